"""``POST /speak``."""

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.gateway import SERVER_KEY, Gateway, Said, vendor
from tests.gateway.web import Answer, Client
from waav.errors import (
    BadRequest,
    ConfigError,
    ProviderBusy,
    ProviderError,
    ProviderLost,
    ProviderRefused,
    ProviderTimeout,
    TooMany,
    WaavError,
    WireError,
    refusal,
)
from waav.gateway.routes.speak import LEAVE_S
from waav.gateway.settings import SecuritySettings, SpeechDefaults
from waav.speech import wav
from waav.speech.audio import AudioFormat

FREE = SecuritySettings(rate_limit_requests_per_second=100_000)
PCM = AudioFormat(rate_hz=24000)


class Speech(SynchronousTestCase):
    """What the tests below share."""

    def setUp(self) -> None:
        self.gateway = Gateway(security=FREE)
        self.clock = self.gateway.clock
        self.client = self.gateway.client()

    def speak(
        self, text: str = "Hello.", headers: dict[str, str] | None = None, **config: Any
    ) -> Answer:
        return self.post({"text": text, "tts_config": {"provider": "acme", **config}}, headers)

    def post(self, body: Any, headers: dict[str, str] | None = None) -> Answer:
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.client.request(
            "POST", "/speak", {"Content-Type": "application/json", **(headers or {})}, data
        )

    def refused(self, answer: Answer) -> tuple[int, str]:
        self.assertEqual(answer.headers["content-type"], "application/json")
        said = json.loads(answer.body)
        self.assertEqual(said["error"], said["message"])
        return answer.status, said["error"]

    @property
    def said(self) -> Said:
        return self.gateway.said[-1]


class BodyTests(Speech):
    """What is refused before anything is spoken, in the contract's order."""

    def test_content_type(self) -> None:
        """Only what says that it is JSON is read (contract 1.3)."""
        body = json.dumps({"text": "Hi", "tts_config": {"provider": "acme"}}).encode()
        for kind in ("text/plain", "application/x-json", "", "json"):
            answer = self.client.request("POST", "/speak", {"Content-Type": kind}, body)
            self.assertEqual((kind, answer.status), (kind, 415))
        self.assertEqual(self.client.request("POST", "/speak", {}, body).status, 415)
        for kind in (
            "application/json; charset=utf-8",
            "Application/JSON",
            "application/vnd.x+json",
        ):
            self.gateway.client().request("POST", "/speak", {"Content-Type": kind}, body)
        self.assertEqual(len(self.gateway.said), 3)

    def test_not_json(self) -> None:
        """What is no JSON is a 400 (contract 1.3)."""
        for body in (
            b"",
            b"{",
            b"[]",
            b'"text"',
            b'{"text":"a","text":"b","tts_config":{"provider":"acme"}}',
            b'{"text":"a","tts_config":{"provider":"acme","speaking_rate":NaN}}',
            b'{"text":"\xff","tts_config":{"provider":"acme"}}',
            b'{"a":' * 100_000,
        ):
            status, _ = self.refused(self.post(body))
            self.assertEqual((body[:40], status), (body[:40], 400))

    def test_wrong_fields(self) -> None:
        """A field that is missing or wrong is a 422 that names it (contract 1.3)."""
        for body, name in (
            ({"tts_config": {"provider": "acme"}}, "text"),
            ({"text": None, "tts_config": {"provider": "acme"}}, "text"),
            ({"text": 5, "tts_config": {"provider": "acme"}}, "text"),
            ({"text": "Hi", "tts_config": []}, "tts_config"),
            ({"text": "Hi", "tts_config": {"provider": 5}}, "tts_config.provider"),
            ({"text": "", "tts_config": {"provider": "acme", "sample_rate": "x"}}, "sample_rate"),
            (
                {"text": "Hi", "tts_config": {"provider": "acme", "sample_rate": 8000.5}},
                "sample_rate",
            ),
            ({"text": "Hi", "tts_config": {"provider": "acme", "emotion": "peckish"}}, "emotion"),
        ):
            status, text = self.refused(self.post(body))
            self.assertEqual(status, 422, body)
            self.assertIn(name, text)

    def test_no_provider(self) -> None:
        """Who names no provider gets the gateway's default one, in either shape of the body."""
        for body in (
            {"text": "Hi"},
            {"text": "Hi", "tts_config": {}},
            {"text": "Hi", "tts_config": {"provider": None, "voice_id": "v"}},
            {"text": "Hi", "voice_id": "v"},
        ):
            gateway = Gateway(defaults=SpeechDefaults(tts_provider="brook"))
            gateway.client().request(
                "POST", "/speak", {"Content-Type": "application/json"}, json.dumps(body).encode()
            )
            (said,) = gateway.said
            self.assertEqual(said.speaking.provider.name, "brook")

    def test_text(self) -> None:
        """No text and too much text are refused in the contract's words (F-225)."""
        for blank in ("", "  \n\t"):
            self.assertEqual(self.refused(self.speak(blank)), (400, "Text cannot be empty"))
        too_long = "ä" * 5121
        self.assertEqual(
            self.refused(self.speak(too_long)),
            (400, "Text too long: 10242 bytes exceeds maximum 10240 bytes"),
        )
        self.assertEqual(self.gateway.said, [])
        self.speak("ä" * 5120)
        self.assertEqual(len(self.said.text), 5120)

    def test_text_before_provider(self) -> None:
        """The text is looked at before the provider (contract 2.4)."""
        answer = self.post({"text": " ", "tts_config": {"provider": "zephyr"}})
        self.assertEqual(self.refused(answer), (400, "Text cannot be empty"))

    def test_unknown_provider(self) -> None:
        """An unknown provider is the caller's mistake, and the known ones are listed (contract 2.4)."""
        status, text = self.refused(self.speak(provider="zephyr"))
        self.assertEqual(status, 400)
        self.assertTrue(
            text.startswith("Failed to create TTS provider: Unsupported provider: zephyr")
        )
        self.assertIn("acme, brook", text)

    def test_unknown_format(self) -> None:
        """So is a format that nobody knows."""
        status, text = self.refused(self.speak(audio_format="8track"))
        self.assertEqual(status, 400)
        self.assertIn("8track", text)

    def test_no_key(self) -> None:
        """A provider without any key is named in the contract's words (F-225)."""
        gateway = Gateway(security=FREE, without_key=("acme",))
        self.client = gateway.client()
        self.assertEqual(
            self.refused(self.speak()), (500, "API key not configured for provider: acme")
        )
        self.speak(api_key="mine")
        self.assertEqual(len(gateway.said), 1)

    def test_nulls_and_whole_floats(self) -> None:
        """SDKs send null for what they do not set, and 16000.0 for 16000 (L-15, contract 1.3)."""
        self.speak(
            model=None, pronunciations=None, voice_id=None, sample_rate=16000.0, emotion=None
        )
        self.assertEqual(self.said.speaking.settings.format.rate_hz, 16000)

    def test_flat(self) -> None:
        """Everything in one object works too, as SDKs send it; ``tts_config`` wins (L-9)."""
        self.post(
            {"text": "Hi", "provider": "acme", "voice": "ann", "audio_format": "mp3", "model": "m"}
        )
        settings = self.said.speaking.settings
        self.assertEqual(
            (settings.provider, settings.voice, settings.model, settings.format.encoding),
            ("acme", "ann", "m", "mp3"),
        )
        self.client = self.gateway.client()
        self.post({"text": "Hi", "provider": "acme", "tts_config": {"provider": "brook"}})
        self.assertEqual(self.said.speaking.provider.name, "brook")

    def test_prefer_compressed(self) -> None:
        """Here too a client may leave the choice of a compressed format to the vendor (F-182, TTS-06)."""
        self.gateway = Gateway(security=FREE, providers=(vendor("acme", compressed=("mp3",)),))
        for body, encoding in (
            ({"prefer_compressed": True}, "mp3"),
            ({"prefer_compressed": True, "audio_format": "linear16"}, "linear16"),
            ({}, "linear16"),
        ):
            self.client = self.gateway.client()
            self.speak(**body)
            self.assertEqual(self.said.speaking.settings.format.encoding, encoding)

    def test_default_rate(self) -> None:
        """Who names no rate gets the operator's."""
        gateway = Gateway(defaults=SpeechDefaults(sample_rate=16000))
        self.client = gateway.client()
        self.speak()
        self.assertEqual(gateway.said[0].speaking.settings.format.rate_hz, 16000)


class KeyTests(Speech):
    """Whose key is used."""

    def key(self, headers: dict[str, str] | None = None, **config: Any) -> tuple[str, bool]:
        self.client = self.gateway.client()
        self.speak("Hi", headers, **config)
        account = self.said.speaking.account
        assert account.key is not None
        return account.key.reveal(), account.is_callers_own

    def test_servers(self) -> None:
        """Without a key of his own a caller uses the server's; an empty one is none (F-224)."""
        self.assertEqual(self.key(), (SERVER_KEY.reveal(), False))
        self.assertEqual(self.key(api_key=""), (SERVER_KEY.reveal(), False))
        self.assertEqual(self.key({"X-Provider-Api-Key": " "}), (SERVER_KEY.reveal(), False))

    def test_in_the_body(self) -> None:
        """A key in the body overrides the server's (F-224)."""
        self.assertEqual(self.key(api_key="mine"), ("mine", True))

    def test_in_the_header(self) -> None:
        """A key in the header does too, unless the body has one (F-224, SRV-07)."""
        self.assertEqual(self.key({"X-Provider-Api-Key": "mine"}), ("mine", True))
        self.assertEqual(self.key({"X-Provider-Api-Key": "mine"}, api_key="body"), ("body", True))


class AnswerTests(Speech):
    """The audio."""

    def test_streamed(self) -> None:
        """Audio is on its way to the caller before the vendor has finished (F-223, D-12)."""
        self.speak()
        self.said.starts(PCM)
        self.said.audio(b"ab")
        self.assertEqual(self.client.answer().status, 0)
        self.clock.advance(0)
        answer = self.client.answer()
        self.assertEqual((answer.status, answer.body, answer.is_complete), (200, b"ab", False))
        self.assertEqual(answer.headers["content-type"], "audio/pcm")
        self.assertEqual(answer.headers["x-audio-format"], "linear16")
        self.assertEqual(answer.headers["x-sample-rate"], "24000")
        self.said.audio(b"cd")
        self.said.done.callback(None)
        answer = self.client.answer()
        self.assertEqual((answer.body, answer.is_complete), (b"abcd", True))
        self.assertEqual(self.client.request("GET", "/").status, 200)

    def test_at_once(self) -> None:
        """Audio that is all there at once, as out of the cache, has its length (SPK-03)."""

        def at_once(said: Said) -> None:
            said.starts(AudioFormat("mp3", 44100))
            said.audio(b"abc")
            said.audio(b"def")
            said.done.callback(None)

        self.gateway.begin = at_once
        answer = self.speak()
        self.assertEqual((answer.status, answer.body, answer.is_complete), (200, b"abcdef", True))
        self.assertEqual(answer.headers["content-length"], "6")
        self.assertEqual(answer.headers["content-type"], "audio/mpeg")
        self.assertEqual(answer.headers["x-audio-format"], "mp3")
        self.assertEqual(answer.headers["x-sample-rate"], "44100")
        self.clock.advance(60)

    def test_real_format(self) -> None:
        """The headers say what the audio is, not what was asked for (D-12, SPK-03)."""
        self.speak(audio_format="linear16", sample_rate=16000)
        self.said.starts(AudioFormat("mulaw", 8000))
        self.said.audio(b"abc")
        self.said.done.callback(None)
        answer = self.client.answer()
        self.assertEqual(answer.headers["content-type"], "audio/basic")
        self.assertEqual(answer.headers["x-audio-format"], "mulaw")
        self.assertEqual(answer.headers["x-sample-rate"], "8000")

    def test_every_format(self) -> None:
        """Every format has its own audio type (D-07, SPK-02)."""
        for form, kind in (
            (AudioFormat("linear16"), "audio/pcm"),
            (AudioFormat("linear16", container="wav"), "audio/wav"),
            (AudioFormat("mp3"), "audio/mpeg"),
            (AudioFormat("opus", container="ogg"), "audio/ogg"),
            (AudioFormat("mulaw"), "audio/basic"),
            (AudioFormat("alaw"), "audio/x-alaw-basic"),
            (AudioFormat("flac"), "audio/flac"),
            (AudioFormat("aac"), "audio/aac"),
            (AudioFormat("opus", container="webm"), "audio/webm"),
        ):
            self.speak()
            self.said.starts(form)
            self.said.audio(b"abcd")
            self.said.done.callback(None)
            self.assertEqual(self.client.answer().headers["content-type"], kind)

    def test_nothing_to_say(self) -> None:
        """A text of which nothing can be said is 200 with empty audio of the format that was asked for."""
        for name, form, body in (
            ("linear16", AudioFormat(rate_hz=24000), b""),
            ("mulaw", AudioFormat("mulaw", 8000), b""),
            ("wav", AudioFormat(container="wav"), wav.pack(AudioFormat(), b"")),
        ):
            self.setUp()
            self.speak("👍", audio_format=name)
            self.said.starts(form)
            self.said.done.callback(None)
            answer = self.client.answer()
            self.assertEqual((answer.status, answer.body), (200, body))
            self.assertEqual(answer.headers["x-audio-format"], name)
            self.assertEqual(answer.headers["x-sample-rate"], str(form.rate_hz))
            self.assertEqual(answer.headers["content-length"], str(len(body)))

    def test_wav(self) -> None:
        """A WAV that is all there says how long it is; its samples are untouched (SPK-03)."""
        form = AudioFormat(container="wav")
        self.speak(audio_format="wav")
        self.said.starts(form)
        self.said.audio(wav.header(form, None) + b"ab")
        self.said.audio(b"cd")
        self.said.done.callback(None)
        answer = self.client.answer()
        self.assertEqual(answer.body, wav.pack(AudioFormat(), b"abcd"))
        self.assertEqual(answer.headers["content-length"], str(len(answer.body)))

    def test_never_compressed(self) -> None:
        """Audio is never compressed, whatever the client accepts (SRV-04, F-049)."""
        self.speak("Hi", {"Accept-Encoding": "gzip"})
        self.said.starts(PCM)
        self.said.audio(bytes(5000))
        self.said.done.callback(None)
        answer = self.client.answer()
        self.assertNotIn("content-encoding", answer.headers)
        self.assertEqual(answer.body, bytes(5000))

    def test_instant_completions(self) -> None:
        """10000 syntheses that end in the moment they begin all give their audio (X-15, D-09)."""

        def at_once(said: Said) -> None:
            said.starts(PCM)
            said.audio(b"ab")
            said.done.callback(None)
            self.gateway.said.clear()

        self.gateway.begin = at_once
        for _ in range(10_000):
            self.assertEqual(self.speak().body, b"ab")
        self.assertEqual(self.clock.seconds(), 0.0)

    def test_http_1_0(self) -> None:
        """An old client, which cannot tell the end of chunks, gets the whole with its length."""
        body = b'{"text":"Hi","tts_config":{"provider":"acme"}}'
        self.client.send(
            b"POST /speak HTTP/1.0\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body) + body
        )
        self.said.starts(PCM)
        self.said.audio(b"ab")
        self.clock.advance(1)
        self.assertEqual(self.client.answer().status, 0)
        self.said.done.callback(None)
        self.assertEqual(self.client.answer().headers["content-length"], "2")


class FlowTests(Speech):
    """Slow clients, and those who leave."""

    def stream(self) -> Said:
        self.speak()
        self.said.starts(PCM)
        self.said.audio(b"ab")
        self.clock.advance(0)
        return self.said

    def test_back_pressure(self) -> None:
        """A client that does not read makes the vendor wait, and goes on where it stopped."""
        said = self.stream()
        self.client.channel.pauseProducing()
        self.assertTrue(said.is_paused)
        self.client.channel.resumeProducing()
        self.assertFalse(said.is_paused)

    def test_gone_while_streaming(self) -> None:
        """A client that hangs up stops the synthesis."""
        said = self.stream()
        self.client.hang_up()
        self.assertTrue(said.is_cancelled)
        said.audio(b"too late")

    def test_gone_before_the_first_byte(self) -> None:
        """Also before it got anything."""
        self.speak()
        self.client.hang_up()
        self.assertTrue(self.said.is_cancelled)
        self.clock.advance(60)

    def test_a_client_that_never_reads(self) -> None:
        """A client that stopped reading does not hold a vendor for ever."""
        said = self.stream()
        self.client.channel.pauseProducing()
        self.clock.advance(31)
        self.assertTrue(said.is_cancelled)
        self.assertTrue(self.client.transport.is_broken)

    def test_a_long_answer(self) -> None:
        """An answer may take longer than the limit, as long as audio comes."""
        said = self.stream()
        for _ in range(5):
            self.clock.advance(29)
            said.audio(b"cd")
        said.done.callback(None)
        self.assertEqual(self.client.answer().body, b"ab" + b"cd" * 5)


class ShutdownTests(Speech):
    """A gateway that stops."""

    def stopping(self) -> Deferred[None]:
        """The gateway is told to stop and to give what runs 20 seconds."""
        return self.gateway.calls.stop(20.0)

    def test_finished_first(self) -> None:
        """An answer that is being spoken is spoken to its end, and gets the time to leave (S-CFG-20)."""
        self.speak()
        stopped = self.stopping()
        self.said.starts(PCM)
        self.said.audio(b"ab")
        self.clock.advance(15)
        self.said.audio(b"cd")
        self.said.done.callback(None)
        answer = self.client.answer()
        self.assertEqual((answer.body, answer.is_complete), (b"abcd", True))
        self.assertNoResult(stopped)
        self.clock.advance(LEAVE_S)
        self.successResultOf(stopped)

    def test_whole_answer(self) -> None:
        """Also one that was not begun to be sent."""
        self.speak()
        stopped = self.stopping()
        self.said.starts(PCM)
        self.said.audio(b"ab")
        self.said.done.callback(None)
        self.assertEqual(self.client.answer().body, b"ab")
        self.clock.advance(LEAVE_S)
        self.successResultOf(stopped)

    def test_nothing_runs(self) -> None:
        """Answers of the past hold nobody up."""
        self.speak()
        self.said.starts(PCM)
        self.said.done.callback(None)
        self.assertEqual(self.gateway.calls.live, 0)
        self.successResultOf(self.stopping())

    def test_too_long(self) -> None:
        """What is still silent when the time is over is a 503, and the vendor is let go."""
        self.speak()
        stopped = self.stopping()
        self.clock.advance(19)
        self.assertNoResult(stopped)
        self.clock.advance(1)
        self.assertTrue(self.said.is_cancelled)
        self.assertEqual(self.refused(self.client.answer()), (503, "Server is shutting down"))
        self.clock.advance(LEAVE_S)
        self.successResultOf(stopped)

    def test_too_long_in_the_middle(self) -> None:
        """What is half spoken then is broken off: half an answer must not look like a whole one."""
        self.speak()
        self.said.starts(PCM)
        self.said.audio(b"ab")
        self.clock.advance(1)
        stopped = self.stopping()
        self.clock.advance(20)
        self.assertTrue(self.client.transport.is_broken)
        self.successResultOf(stopped)

    def test_caller_leaves(self) -> None:
        """Who hangs up is not waited for."""
        self.speak()
        stopped = self.stopping()
        self.client.hang_up()
        self.successResultOf(stopped)

    def test_nothing_new(self) -> None:
        """A text that comes on an open connection after the stop is refused: 503 (S-CFG-20)."""
        self.stopping()
        self.assertEqual(self.refused(self.speak()), (503, "Server is shutting down"))
        self.assertEqual(self.gateway.said, [])


class FailureTests(Speech):
    """Vendors that fail."""

    def fail(self, error: Exception, **config: Any) -> Answer:
        self.client = self.gateway.client()
        self.speak(**config)
        self.said.done.errback(error)
        return self.client.answer()

    def test_timeout(self) -> None:
        """Nothing in 30 seconds is a 504 in the contract's words, and the vendor is let go (F-225)."""
        self.speak()
        self.clock.advance(29.9)
        self.assertEqual(self.client.answer().status, 0)
        self.clock.advance(0.2)
        self.assertEqual(self.refused(self.client.answer()), (504, "TTS synthesis timeout"))
        self.assertTrue(self.said.is_cancelled)

    def test_statuses(self) -> None:
        """Each kind of failure has its status and its words (F-225)."""
        known: tuple[tuple[WaavError, int, str], ...] = (
            (ProviderLost("acme", "gone"), 502, "Failed to connect to TTS provider: gone"),
            (ProviderTimeout("acme", "slow"), 504, "TTS synthesis timeout"),
            (refusal("acme", 500), 502, "TTS synthesis error: acme answered HTTP 500"),
            (refusal("acme", 429), 429, "TTS synthesis error: acme answered HTTP 429"),
            (refusal("acme", 401), 502, "Failed to synthesize speech: acme answered HTTP 401"),
            (refusal("acme", 402), 502, "Failed to synthesize speech: acme answered HTTP 402"),
            (refusal("acme", 422), 400, "Failed to synthesize speech: acme answered HTTP 422"),
            (WireError("acme", "what?"), 502, "TTS synthesis error: what?"),
            (ProviderError("acme", "no"), 502, "TTS synthesis error: no"),
            (ProviderBusy("acme", "busy"), 502, "TTS synthesis error: busy"),
            (TooMany("full"), 429, "TTS synthesis error: full"),
            (BadRequest("no such voice"), 400, "Failed to create TTS provider: no such voice"),
            (ConfigError("no region"), 500, "Failed to create TTS provider: no region"),
        )
        for error, status, text in known:
            self.assertEqual(self.refused(self.fail(error)), (status, text))

    def test_whose_key_was_refused(self) -> None:
        """401 says to a caller that his own key is bad; the server's bad key is not his fault (F-224)."""
        for status in (401, 403):
            error = ProviderRefused("acme", "bad key", upstream_status=status)
            self.assertEqual(self.fail(error, api_key="mine").status, 401)
            error = ProviderRefused("acme", "bad key", upstream_status=status)
            self.assertEqual(self.fail(error).status, 502)

    def test_retry_after(self) -> None:
        """What the vendor said about trying again is passed on, in whole seconds (F-225)."""
        self.assertEqual(self.fail(refusal("acme", 429, "", 2.5)).headers["retry-after"], "3")
        self.assertNotIn("retry-after", self.fail(refusal("acme", 429)).headers)

    def test_refused_at_once(self) -> None:
        """Settings that the provider's own checks refuse are told before anything is opened."""

        def refuse(said: Said) -> None:
            raise BadRequest("acme has no mp3")

        self.gateway.begin = refuse
        self.assertEqual(
            self.refused(self.speak()), (400, "Failed to create TTS provider: acme has no mp3")
        )
        self.clock.advance(60)

    def test_before_the_first_byte_is_out(self) -> None:
        """A failure in the same moment as the first audio is still an honest error."""
        self.speak()
        self.said.starts(PCM)
        self.said.audio(b"ab")
        self.said.done.errback(ProviderLost("acme", "gone"))
        answer = self.client.answer()
        self.assertEqual(self.refused(answer)[0], 502)
        self.assertNotIn("x-audio-format", answer.headers)
        self.clock.advance(1)

    def test_in_the_middle(self) -> None:
        """Half an answer is broken off: it never looks like a whole one (F-225)."""
        self.speak()
        self.said.starts(PCM)
        self.said.audio(b"ab")
        self.clock.advance(0)
        self.said.done.errback(ProviderLost("acme", "gone"))
        self.assertTrue(self.client.transport.is_broken)
        answer = self.client.answer()
        self.assertEqual((answer.body, answer.is_complete), (b"ab", False))

    def test_our_mistake(self) -> None:
        """A mistake of ours is a JSON 500, or breaks the answer off; it is in the log (SRV-08)."""
        answer = self.fail(ZeroDivisionError())
        self.assertEqual(self.refused(answer), (500, "Internal server error"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        client: Client = self.gateway.client()
        self.client = client
        self.speak()
        self.said.starts(PCM)
        self.said.audio(b"ab")
        self.clock.advance(0)
        self.said.done.errback(ZeroDivisionError())
        self.assertTrue(client.transport.is_broken)
        self.assertFalse(client.answer().is_complete)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
