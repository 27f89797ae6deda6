"""Deepgram against its recordings and against a server as strict as Deepgram."""

import json
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.links.doubles import Heard, Vendor
from waav.errors import BadRequest, ConfigError, MissingCredentials, ProviderRefused
from waav.links.settings import LinkSettings
from waav.links.websocket.link import WebSocketLink
from waav.providers.deepgram import deepgram
from waav.providers.deepgram.options import FLUX_LISTEN_OPTIONS, LISTEN_OPTIONS, SPEAK_OPTIONS
from waav.providers.deepgram.voices import Voices
from waav.secret import Secret
from waav.speech import wire
from waav.speech.audio import AudioFormat
from waav.speech.provider import Account, Emotion, ListenSettings, SpeakSettings
from waav.testing.contract import Events, ListenContract, SpeakContract
from waav.testing.signal import Signal

WIRE = Path(__file__).parents[1] / "wire"
ACCOUNT = Account(key=Secret("test-key"))
NASTY = "a b&c=d+é日本?#%41;/"
"""Text with everything that means something in a query."""


def listen_query(account: Account = ACCOUNT, **chosen: Any) -> dict[str, list[str]]:
    assert deepgram.listen is not None
    dialogue = deepgram.listen(ListenSettings("deepgram", **chosen), account)
    return parse_qs(urlsplit(dialogue.opening.url).query)


def parsed(query: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """The values of each name."""
    found: dict[str, list[str]] = {}
    for name, value in query:
        found.setdefault(name, []).append(value)
    return found


def speak(account: Account = ACCOUNT, **chosen: Any) -> wire.Dialogue:
    assert deepgram.speak is not None
    return deepgram.speak(SpeakSettings("deepgram", **chosen), account)


def asked(dialogue: wire.Dialogue, text: str = "Hello.") -> tuple[dict[str, str], str]:
    """Query and text of the request for a text."""
    [request] = dialogue.send(wire.Speak(text))
    assert isinstance(request, wire.Request)
    return dict(parse_qsl(urlsplit(request.url).query)), json.loads(request.body)["text"]


def warnings(dialogue: wire.Dialogue) -> list[str]:
    events = dialogue.receive(wire.Head(200, {"content-type": "audio/l16"}))
    return [event.message for event in events if isinstance(event, wire.Warned)]


class DeepgramListenTests(ListenContract, TestCase):
    """Recognition as every provider must do it, over sockets (F-130)."""

    provider = deepgram
    folder = WIRE

    async def test_cut_in_the_middle(self) -> None:
        """When the vendor's socket breaks, the words before, during and after are all there, once (F-130)."""
        for cut_s in (0.95, 1.25, 2.0, 3.31, 4.4):
            events = Events()
            server = self.server(self.signal)
            server.cut_after(cut_s)
            link = await self.open(server, events, settings=LinkSettings(ping_s=5.0))
            restored = events.next(lambda event: isinstance(event, wire.Restored))
            middle_s = cut_s + 0.1
            self.send(link, 0.0, middle_s)
            await restored
            self.send(link, middle_s, self.signal.seconds)
            await link.close()
            self.assertEqual(events.finals, self.signal.text, f"cut at {cut_s}")
            self.assertEqual(len(server.opened), 2)

    async def test_cut_twice(self) -> None:
        """Two broken connections in one utterance lose nothing either (F-130)."""
        events = Events()
        server = self.server(self.signal)
        server.cut_after(0.95)
        server.cut_after(0.7)
        link = await self.open(server, events)
        restored = events.next(lambda event: isinstance(event, wire.Restored))
        self.send(link, 0.0, 1.0)
        await restored
        again = events.next(lambda event: isinstance(event, wire.Restored))
        self.send(link, 1.0, 2.2)
        await again
        self.send(link, 2.2, self.signal.seconds)
        await link.close()
        self.assertEqual(events.finals, self.signal.text)

    async def test_interim_results(self) -> None:
        """Text appears while it is being said, with a confidence between 0 and 1 (F-130)."""
        events = Events()
        link = await self.open(self.server(self.signal), events)
        self.send(link, 0.0, self.signal.seconds)
        await link.close()
        found = [one for one in events.all if isinstance(one, wire.Transcript)]
        self.assertTrue(any(not one.is_final and one.text for one in found))
        self.assertTrue(all(0.0 <= one.confidence <= 1.0 for one in found))
        self.assertEqual(sum(one.is_speech_final for one in found), 2)

    async def test_keep_alive(self) -> None:
        """A silent caller keeps its connection: KeepAlive goes out as text before the vendor hangs up (F-132)."""
        events = Events()
        server = self.server(self.signal)
        dialogue = self.dialogue(self.account(server.endpoint))
        self.assertTrue(3.0 <= (dialogue.opening.keepalive_s or 0.0) <= 5.0)
        link = await self.open(server, events)
        self.send(link, 0.0, 0.1)
        link.send(wire.KeepAlive())
        link.send(wire.Flush())
        await link.close()
        texts = [one for one in server.opened[0].frames if isinstance(one, str)]
        self.assertEqual(
            [json.loads(one)["type"] for one in texts], ["KeepAlive", "Finalize", "CloseStream"]
        )

    async def test_mulaw_passes(self) -> None:
        """Telephone audio goes to Deepgram as it is (F-128)."""
        events = Events()
        signal = Signal.speaking("phone", ["good evening"], rate_hz=8000)
        server = self.server(signal)
        audio = AudioFormat("mulaw", 8000)
        link = await self.open(server, events, format=audio)
        link.send(wire.Audio(signal.encoded(audio)))
        await link.close()
        self.assertEqual(events.finals, "good evening")
        self.assertEqual(dict(server.requests[0].query)["encoding"], "mulaw")
        self.assertEqual(server.opened[0].offset_s, 0.0)

    async def test_flux(self) -> None:
        """Flux models are talked to at their own address, and their turns are finals (F-130)."""
        events = Events()
        server = self.server(self.signal)
        link = await self.open(server, events, model="flux-general-en")
        self.send(link, 0.0, self.signal.seconds)
        await link.close()
        self.assertEqual(events.finals, self.signal.text)
        self.assertEqual(server.requests[0].path, "/v2/listen")

    async def test_text_arrives_intact(self) -> None:
        """Blanks, ampersands, equal signs and other alphabets reach the vendor as the caller wrote them (STT-DG-02)."""
        for model, options in (
            ("nova-2", {"tag": NASTY, "keywords": [f"{NASTY}:2", "b c"], "search": NASTY}),
            ("nova-3", {"tag": [NASTY, "x"], "keyterm": [NASTY, "b c"], "replace": f"a b:{NASTY}"}),
            ("flux-general-multi", {"tag": NASTY, "keyterm": NASTY, "language_hint": NASTY}),
        ):
            server = self.server()
            server.fail_next(400, b"{}")  # it need not like it
            opening = self.open(server, Events(), model=model, language="x y&z=é", options=options)
            await self.assertFailure(opening, ProviderRefused)
            sent = parsed(server.requests[0].query)
            for name, value in options.items():
                self.assertEqual(sent[name], [value] if isinstance(value, str) else value)
            if not model.startswith("flux"):
                self.assertEqual(sent["language"], ["x y&z=é"])

    async def test_refused_by_the_vendor(self) -> None:
        """A model Deepgram does not have is an error with Deepgram's words."""
        server = self.server(self.signal)
        error = await self.assertFailure(
            self.open(server, Events(), model="nova-99"), ProviderRefused
        )
        self.assertEqual(error.upstream_status, 404)


class DeepgramSilenceTests(SynchronousTestCase):
    """A caller who says nothing, on a clock, through the gateway's own link to a vendor in memory."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.vendor = Vendor(self.clock)
        self.sink = Heard()
        self.said: list[tuple[float, str | bytes]] = []

    def opened(self, **chosen: Any) -> WebSocketLink:
        link = WebSocketLink(
            self.clock,  # type: ignore[arg-type]
            self.vendor.connect,
            "deepgram",
            lambda: deepgram.listen(ListenSettings("deepgram", **chosen), ACCOUNT),  # type: ignore
            self.sink,
            LinkSettings(),
            random=lambda: 0.5,
        )
        opening = Deferred.fromCoroutine(link.open())
        self.vendor.flush()
        if "model" in chosen:
            self.vendor.server.say(type="Connected")
            self.vendor.flush()
        self.successResultOf(opening)
        self.addCleanup(link.abort)
        server = self.vendor.server
        server.onMessage = lambda payload, is_binary: self.said.append(
            (self.clock.seconds(), payload if is_binary else payload.decode())
        )
        link.send(wire.Audio(bytes(320)))
        self.vendor.flush()
        return link

    def longest_gap_s(self) -> float:
        times = [at_s for at_s, _ in self.said]
        return max(later - before for before, later in pairwise([*times, self.clock.seconds()]))

    def test_ten_minutes(self) -> None:
        """Deepgram hears a KeepAlive, as text, at least every 5 s; the stream stays open and takes audio (STT-DG-03)."""
        link = self.opened()
        self.vendor.advance(600.0)
        self.assertEqual({said for _, said in self.said[1:]}, {'{"type":"KeepAlive"}'})
        self.assertLessEqual(self.longest_gap_s(), 5.0)
        self.assertEqual((self.sink.events, len(self.vendor.servers)), ([], 1))
        link.send(wire.Audio(b"\1\1"))
        self.vendor.flush()
        self.assertEqual(self.said[-1], (600.0, b"\1\1"))

    def test_ten_minutes_of_flux(self) -> None:
        """Flux knows no KeepAlive: it hears silence instead, and stays open as long (STT-DG-03)."""
        self.opened(model="flux-general-en")
        self.vendor.advance(600.0)
        self.assertEqual({said for _, said in self.said[1:]}, {bytes(3200)})
        self.assertLessEqual(self.longest_gap_s(), 5.0)
        self.assertEqual((self.sink.events, len(self.vendor.servers)), ([], 1))

    def test_missed_pong(self) -> None:
        """Only a vendor that does not answer a ping is given up, and dialled again (STT-DG-03)."""
        self.opened()
        self.vendor.advance(300.0)
        self.vendor.server.onPing = lambda payload: None
        self.vendor.advance(41.0)
        self.assertEqual(len(self.vendor.servers), 2)
        self.assertEqual(len(self.sink.of(wire.Restored)), 1)

    def test_broken_connection(self) -> None:
        """So is one whose connection breaks (STT-DG-03)."""
        self.opened()
        self.vendor.advance(300.0)
        self.vendor.break_off()
        self.vendor.advance(1.0)
        self.assertEqual(len(self.vendor.servers), 2)
        self.assertEqual(len(self.sink.of(wire.Restored)), 1)


class DeepgramListenOptionTests(SynchronousTestCase):
    def test_defaults(self) -> None:
        """With nothing chosen Deepgram gets its own model and nothing that was not asked for (STT-01, STT-DG-01)."""
        self.assertEqual(
            listen_query(),
            {
                "model": ["nova-3"], "language": ["en-US"], "encoding": ["linear16"],
                "sample_rate": ["16000"], "channels": ["1"], "punctuate": ["true"],
                "interim_results": ["true"], "smart_format": ["true"], "endpointing": ["200"],
                "utterance_end_ms": ["1000"],
            },
        )  # fmt: skip

    def test_common_options(self) -> None:
        """Language, rate, channels, punctuation, encoding and model all arrive (F-128)."""
        query = listen_query(
            language="pt-BR", punctuation=False, model="nova-2", format=AudioFormat("alaw", 8000, 2)
        )
        self.assertEqual(
            [
                query[name]
                for name in (
                    "language",
                    "punctuate",
                    "model",
                    "encoding",
                    "sample_rate",
                    "channels",
                )
            ],
            [["pt-BR"], ["false"], ["nova-2"], ["alaw"], ["8000"], ["2"]],
        )

    def test_every_option(self) -> None:
        """Each option appears in the query when set, lists as repetitions (STT-DG-01, F-131)."""
        samples: dict[str, Any] = {
            "tag": ["a", "b"], "keyterm": ["WaaV"], "language_hint": ["en", "es"], "extra": ["k:v"],
            "diarize_model": "latest", "endpointing": 300, "keywords": ["WaaV:2"],
            "redact": ["pci", "ssn"], "replace": ["a:b"], "search": ["x"], "utterance_end_ms": 1500,
            "version": "latest",
        }  # fmt: skip
        for option in LISTEN_OPTIONS:
            value = samples.get(option.name, True)
            model = "nova-2" if option.name == "keywords" else "nova-3"
            query = listen_query(model=model, language="multi", options={option.name: value})
            listed = value if isinstance(value, list) else [value]
            self.assertEqual(
                query[option.name], [str(one).replace("True", "true") for one in listed]
            )

    def test_what_deepgram_refuses(self) -> None:
        """Combinations Deepgram answers with 400 are refused before anything is sent, naming the option (F-131)."""
        for options in (
            {"keywords": ["a:2"]},
            {"utterance_end_ms": 500},
            {"utterance_end_ms": 1000, "interim_results": False},
            {"language_hint": "en"},
            {"redact": "everything"},
            {"diarize": "yes"},
            {"endpointing": True},
            {"tag": ""},
            {"tag": "x" * 129},
            {"keyterm": [f"term{number}" for number in range(1000)]},
            {"keyterm": "one, two"},
            {"search": ["word"] * 51},
            {"extra": "k:" + "v" * 2047},
        ):
            name = next(iter(options))
            error = self.assertRaises(BadRequest, listen_query, options=options)
            self.assertIn(name, error.message)

    def test_what_flux_refuses(self) -> None:
        """Flux counts terms, not words; a voice is no model for listening."""
        terms = [f"term number {number}" for number in range(101)]
        query = listen_query(model="flux-general-en", options={"keyterm": terms[:100]})
        self.assertEqual(query["keyterm"], terms[:100])
        error = self.assertRaises(
            BadRequest, listen_query, model="flux-general-en", options={"keyterm": terms}
        )
        self.assertIn("keyterm", error.message)
        error = self.assertRaises(BadRequest, listen_query, model="aura-2-thalia-en")
        self.assertIn("aura-2-thalia-en", error.message)

    def test_operators_options(self) -> None:
        """An operator's option is in force until a caller says otherwise; where it does not fit it is left out."""
        account = Account(
            key=Secret("k"), options={"endpointing": 500, "keywords": ["a:2"], "bit_rate": 32000}
        )
        self.assertEqual(listen_query(account)["endpointing"], ["500"])
        self.assertNotIn("keywords", listen_query(account))
        self.assertEqual(listen_query(account, model="nova-2")["keywords"], ["a:2"])
        self.assertEqual(
            listen_query(account, options={"endpointing": 100})["endpointing"], ["100"]
        )

    def test_no_interims(self) -> None:
        """Without interim results the utterance-end gap, which needs them, is not asked for."""
        self.assertNotIn("utterance_end_ms", listen_query(options={"interim_results": False}))
        self.assertNotIn("utterance_end_ms", listen_query(options={"utterance_end_ms": False}))

    def test_containers(self) -> None:
        """Audio in a container describes itself; naming its encoding would make Deepgram misread it."""
        for audio in (
            AudioFormat("opus", 48000, 1, "webm"),
            AudioFormat("mp3", 44100),
            AudioFormat("linear16", 8000, 1, "wav"),
        ):
            self.assertNotIn("encoding", listen_query(format=audio))
        self.assertEqual(
            listen_query(format=AudioFormat("opus", 48000, 1, "ogg"))["encoding"], ["ogg-opus"]
        )

    def test_flux_options(self) -> None:
        """Flux gets only parameters it knows."""
        query = listen_query(model="flux-general-en", format=AudioFormat("mulaw", 11025, 2))
        self.assertEqual(
            query,
            {"model": ["flux-general-en"], "encoding": ["linear16"], "sample_rate": ["16000"]},
        )
        self.assertRaises(
            BadRequest, listen_query, model="flux-general-en", options={"endpointing": 1}
        )
        self.assertRaises(
            BadRequest, listen_query, model="flux-general-en", options={"language_hint": "en"}
        )
        self.assertRaises(
            BadRequest, listen_query, model="flux-general-en", format=AudioFormat("mp3")
        )
        query = listen_query(model="flux-general-multi", options={"language_hint": ["en", "es"]})
        self.assertEqual(query["language_hint"], ["en", "es"])
        self.assertIn("eot_threshold", {option.name for option in FLUX_LISTEN_OPTIONS})

    def test_endpoints(self) -> None:
        """One endpoint serves both verbs, whichever of the four schemes it is written with."""
        for endpoint, socket, plain in (
            (
                "https://api.eu.deepgram.com",
                "wss://api.eu.deepgram.com/v1/listen",
                "https://api.eu.deepgram.com/v1/speak",
            ),
            (
                "ws://10.0.0.1:8080/dg/",
                "ws://10.0.0.1:8080/dg/v1/listen",
                "http://10.0.0.1:8080/dg/v1/speak",
            ),
        ):
            account = Account(key=Secret("k"), endpoint=endpoint)
            assert deepgram.listen is not None
            url = deepgram.listen(ListenSettings("deepgram"), account).opening.url
            self.assertEqual(url.partition("?")[0], socket)
            [request] = speak(account).send(wire.Speak("x"))
            assert isinstance(request, wire.Request)
            self.assertEqual(request.url.partition("?")[0], plain)

    def test_wrong_endpoint(self) -> None:
        """An endpoint that is no address is refused at start, with its path."""
        assert deepgram.check is not None
        for endpoint in (
            "api.deepgram.com",
            "ftp://x",
            "https://",
            "https://x/?a=b",
            "https://u:p@x",
        ):
            error = self.assertRaises(ConfigError, deepgram.check, Account(endpoint=endpoint))
            self.assertEqual(error.path, "endpoint")

    def test_broken_key(self) -> None:
        """A key with a line break is refused without being shown."""
        for is_own, kind in ((True, BadRequest), (False, ConfigError)):
            account = Account(key=Secret("abc\r\nX: y"), is_callers_own=is_own)
            error = self.assertRaises(kind, listen_query, account)
            self.assertNotIn("abc", error.message)
        self.assertRaises(MissingCredentials, listen_query, Account())

    def test_bad_model_name(self) -> None:
        """A model name that would change the address is refused."""
        self.assertRaises(BadRequest, listen_query, model="nova-3&callback=http://evil")


class DeepgramSpeakTests(SpeakContract, TestCase):
    """Synthesis as every provider must do it, over HTTP (F-184, F-174)."""

    provider = deepgram
    folder = WIRE

    def test_declares_what_it_streams(self) -> None:
        """Callers who prefer compressed audio get Opus first: the contract asks for each of these (TTS-06)."""
        self.assertEqual(deepgram.compressed, ("opus", "mp3", "aac"))

    async def test_formats(self) -> None:
        """Raw audio comes without a container header, WAV and compressed audio with theirs (F-184)."""
        for encoding, container, begins in (
            ("linear16", "raw", b""), ("mulaw", "raw", b""), ("alaw", "raw", b""),
            ("linear16", "wav", b"RIFF"),
            ("mp3", "raw", b"\xff\xf3"), ("opus", "ogg", b"OggS"), ("flac", "raw", b"fLaC"),
            ("aac", "raw", b"\xff\xf1"),
        ):  # fmt: skip
            events = Events()
            server = self.server()
            audio = AudioFormat(encoding, 8000, 1, container)  # type: ignore[arg-type]
            link = await self.open(server, events, format=audio)
            data = await self.spoken(link, events, "Hello there.")
            self.assertTrue(data.startswith(begins))
            if not begins:
                self.assertEqual(len(data), audio.size_bytes(12 * 0.06))
                self.assertNotIn(b"RIFF", data)
            await link.close()

    async def test_text_arrives_intact(self) -> None:
        """A label with blanks and signs reaches the vendor as the operator wrote it, and so does the text (STT-DG-02)."""
        server, events = self.server(), Events()
        link = await self.open(server, events, options={"tag": [NASTY, "x"]})
        await self.spoken(link, events, NASTY)
        self.assertEqual(parsed(server.requests[0].query)["tag"], [NASTY, "x"])
        self.assertEqual(json.loads(server.requests[0].body)["text"], NASTY)
        await link.close()

    async def test_voices(self) -> None:
        """The voice list is the vendor's own, with whole-word genders and language names (D-01)."""
        server = self.server()
        listing = Voices(self.account(server.endpoint))
        request = listing.first()
        assert request is not None
        from twisted.internet import reactor

        from waav.links.dial import Dialler

        dialler = Dialler(reactor, LinkSettings())
        self.addCleanup(dialler.stop)
        voices, more = listing.read(await dialler.fetch("deepgram", request))
        self.assertIsNone(more)
        self.assertEqual(
            [(one.id, one.gender, one.language, one.accent) for one in voices],
            [
                ("aura-2-thalia-en", "Female", "English", "American"),
                ("aura-2-orion-en", "Male", "English", "American"),
                ("aura-2-elara-de", "Unknown", "German", "Unknown"),
            ],
        )


class DeepgramSpeakOptionTests(SynchronousTestCase):
    def test_voice_or_model(self) -> None:
        """The voice may stand in either field; a model that is a voice wins."""
        for voice, model, sent in (
            (None, None, "aura-asteria-en"),
            ("aura-2-thalia-en", None, "aura-2-thalia-en"),
            ("aura-2-thalia-en", "", "aura-2-thalia-en"),
            (None, "aura-2-zeus-en", "aura-2-zeus-en"),
            ("aura-2-thalia-en", "aura-2-zeus-en", "aura-2-zeus-en"),
            ("aura-2-thalia-en", "something", "aura-2-thalia-en"),
        ):
            self.assertEqual(asked(speak(voice=voice, model=model))[0]["model"], sent)
        for name in ("flux-general-en", "nova-3", "whisper-large"):
            self.assertRaises(BadRequest, speak, model=name)
            error = self.assertRaises(BadRequest, speak, voice=name)
            self.assertIn(name, error.message)

    def test_encodings(self) -> None:
        """Format names become Deepgram's, rates are named only where it takes one, and what will come is known (F-184)."""
        pcm = "encoding=linear16 container=none sample_rate="
        for asked_for, query, comes in (
            (AudioFormat("linear16", 22050), f"{pcm}24000", AudioFormat("linear16", 24000)),
            (AudioFormat("linear16", 96000), f"{pcm}48000", AudioFormat("linear16", 48000)),
            (AudioFormat("linear16", 8000, 2), f"{pcm}8000", AudioFormat("linear16", 8000)),
            (AudioFormat("float32", 16000), f"{pcm}16000", AudioFormat("linear16", 16000)),
            (AudioFormat("alaw", 24000), f"{pcm}24000", AudioFormat("linear16", 24000)),
            (
                AudioFormat("mulaw", 8000),
                "encoding=mulaw container=none sample_rate=8000",
                AudioFormat("mulaw", 8000),
            ),
            (
                AudioFormat("alaw", 11025),
                "encoding=alaw container=none sample_rate=16000",
                AudioFormat("alaw", 16000),
            ),
            (
                AudioFormat("linear16", 24000, 1, "wav"),
                "encoding=linear16 container=wav sample_rate=24000",
                AudioFormat("linear16", 24000, 1, "wav"),
            ),
            (
                AudioFormat("mulaw", 8000, 1, "wav"),
                "encoding=linear16 container=wav sample_rate=8000",
                AudioFormat("linear16", 8000, 1, "wav"),
            ),
            (AudioFormat("mp3", 44100), "encoding=mp3", AudioFormat("mp3", 22050)),
            (AudioFormat("aac", 44100), "encoding=aac", AudioFormat("aac", 22050)),
            (
                AudioFormat("opus", 24000, 1, "ogg"),
                "encoding=opus container=ogg",
                AudioFormat("opus", 48000, 1, "ogg"),
            ),
            (
                AudioFormat("flac", 24000),
                "encoding=flac sample_rate=32000",
                AudioFormat("flac", 32000),
            ),
        ):
            dialogue = speak(format=asked_for)
            found = asked(dialogue)[0]
            del found["model"]
            self.assertEqual(found, dict(one.split("=") for one in query.split()), asked_for)
            self.assertEqual(dialogue.format, comes)

    def test_format_it_lacks(self) -> None:
        """A format Deepgram has not is refused, and the error names what it has."""
        for audio in (
            AudioFormat("vorbis", 24000, 1, "ogg"),
            AudioFormat("aac", 24000, 1, "mp4"),
            AudioFormat("opus", 48000, 1, "webm"),
        ):
            error = self.assertRaises(BadRequest, speak, format=audio)
            self.assertIn("opus, flac and aac", error.message)

    def test_speaking_rate(self) -> None:
        """Aura-2 and Flux speak faster or slower; Aura-1 says once, naming the provider, that it cannot (TTS-DG-01)."""
        for voice, rate, speed, warned in (
            ("aura-2-thalia-en", 1.2, "1.2", 0),
            ("aura-2-thalia-en", 1.0005, None, 0),
            ("aura-2-thalia-en", 0.25, "0.7", 1),
            ("flux-alexis-en", 1.5, "1.5", 0),
            ("flux-alexis-en", 4.0, "1.5", 1),
            ("aura-asteria-en", 1.2, None, 1),
        ):
            dialogue = speak(voice=voice, rate=rate)
            self.assertEqual(asked(dialogue)[0].get("speed"), speed)
            said = warnings(dialogue)
            self.assertEqual(len(said), warned)
            self.assertTrue(all("deepgram" in one for one in said))
            self.assertEqual(warnings(dialogue), [])

    def test_emotion(self) -> None:
        """An emotion changes what Flux is asked, or is reported once naming the provider, changing nothing (EMO-01)."""
        happy = Emotion("happy", 1.0)
        plain = speak(voice="aura-2-thalia-en")
        moved = speak(voice="aura-2-thalia-en", emotion=happy)
        self.assertEqual(asked(plain), asked(moved))
        [said] = warnings(moved)
        self.assertIn("deepgram", said)
        self.assertEqual(warnings(moved), [])
        self.assertEqual(
            asked(speak(voice="flux-alexis-en", emotion=happy))[0]["expressivity"], "1.5"
        )
        calm = speak(voice="flux-alexis-en", emotion=Emotion("sad"))
        self.assertEqual((asked(calm)[0]["expressivity"], warnings(calm)), ("-0.5", []))
        chosen = speak(voice="flux-alexis-en", emotion=happy, options={"expressivity": 0.5})
        self.assertEqual(asked(chosen)[0]["expressivity"], "0.5")

    def test_markup(self) -> None:
        """Tags in a caller's text are spoken, not obeyed, unless the option says so."""
        self.assertEqual(asked(speak(), r"a \{pause:500ms\} b")[1], "a {pause:500ms} b")
        self.assertEqual(
            asked(speak(options={"markup": True}), r"\{pause:1s\}")[1], r"\{pause:1s\}"
        )

    def test_bit_rate(self) -> None:
        """A bit rate is checked against the format; an operator's is left out where it does not fit."""
        mp3 = AudioFormat("mp3", 24000)
        self.assertEqual(
            asked(speak(format=mp3, options={"bit_rate": 32000}))[0]["bit_rate"], "32000"
        )
        self.assertRaises(BadRequest, speak, format=mp3, options={"bit_rate": 16000})
        self.assertRaises(BadRequest, speak, options={"bit_rate": 32000})
        account = Account(key=Secret("k"), options={"bit_rate": 32000})
        self.assertNotIn("bit_rate", asked(speak(account))[0])
        self.assertNotIn("expressivity", {option.name for option in SPEAK_OPTIONS})

    def test_requests_may_be_kept(self) -> None:
        """Synthesis may be answered from the cache, and the key is among what must not be hashed or logged."""
        [request] = speak().send(wire.Speak("x"))
        assert isinstance(request, wire.Request)
        self.assertTrue(request.cacheable)
        self.assertIn(
            "authorization", {name.lower() for name in request.headers} & request.secret_headers
        )
