import base64
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.voices_rig import STT, TTS, world
from waav.errors import BadRequest, MissingCredentials, WaavError
from waav.gateway.http.fields import Malformed, NotJSON, TooLarge, parse_object
from waav.gateway.voice import messages
from waav.gateway.voice.messages import decode, decode_listening, decode_speaking
from waav.secret import Secret
from waav.speech.audio import AudioFormat
from waav.speech.provider import Emotion
from waav.speech.wire import Transcript

KEY = "sk-very-secret-4711"


def text(message: dict[str, Any]) -> str:
    return json.dumps(message, ensure_ascii=False)


class JSONTests(SynchronousTestCase):
    def refused(self, source: str | bytes) -> str:
        refusal = self.assertRaises(NotJSON, parse_object, source)
        self.assertEqual(refusal.status, 400)
        return refusal.message

    def test_not_json(self) -> None:
        """Broken JSON is refused with the place where it breaks."""
        self.assertEqual(self.refused('{"type": }'), "Expecting value at line 1 column 10")

    def test_something_else_than_an_object(self) -> None:
        """A list, a string or nothing is not a message."""
        for source in ("[]", '"config"', "3", "null"):
            self.assertEqual(self.refused(source), "expected an object")

    def test_duplicate_keys(self) -> None:
        """A key that stands twice is refused at any depth, and named."""
        for source in ('{"a": 1, "a": 2}', '{"b": [{"a": 1, "a": 1}]}'):
            self.assertEqual(self.refused(source), "duplicate field `a`")

    def test_numbers_that_are_not_json(self) -> None:
        """NaN and infinities are refused."""
        for word in ("NaN", "Infinity", "-Infinity", "1e999", "-1e999"):
            self.assertIn("not JSON", self.refused(f'{{"a": {word}}}'))

    def test_endless_numbers_and_nesting(self) -> None:
        """A number of ten thousand digits and a hundred thousand brackets are refused, not crashed on."""
        self.assertIn("too many digits", self.refused('{"a": ' + "9" * 10_000 + "}"))
        self.assertIn("nested", self.refused('{"a": ' + "[" * 100_000 + "]" * 100_000 + "}"))

    def test_half_a_surrogate_pair(self) -> None:
        """Text that could not be sent on is refused; a whole pair is a character."""
        self.assertIn("Unicode", self.refused('{"text": "\\ud83d"}'))
        self.assertEqual(parse_object('{"text": "\\ud83d\\ude00"}'), {"text": "\U0001f600"})

    def test_bytes_that_are_not_utf8(self) -> None:
        """A body in another encoding is refused."""
        self.assertIn("Unicode", self.refused(b'{"text": "\xff"}'))

    @given(st.text(max_size=200))
    def test_any_text(self, source: str) -> None:
        """Whatever comes, the answer is a message or an explained refusal."""
        try:
            decode(source)
        except BadRequest:
            pass


class LimitTests(SynchronousTestCase):
    def check_limit(
        self, message: dict[str, Any], field: str, limit: int, refusal: str, filler: str = "x"
    ) -> None:
        decode(text(message | {field: filler * (limit // len(filler.encode()))}))
        over = "x" * (limit - 1) + "é"
        error = self.assertRaises(TooLarge, decode, text(message | {field: over}))
        self.assertEqual(error.message, refusal.format(limit + 1, limit))

    def test_whole_message(self) -> None:
        """A text message may have 1 MB and not a byte more, before anything else is looked at. (F-084, F-329)"""
        limit = 1024 * 1024
        for size in (limit, limit + 1):
            broken = "{" + "x" * (size - 1)
            error = self.assertRaises(BadRequest, decode, broken)
            expected = "Message too large: 1048577 bytes (max 1048576 bytes)"
            self.assertEqual(error.message == expected, size > limit)
        error = self.assertRaises(TooLarge, decode, "é" * (limit // 2) + "x")
        self.assertEqual(error.message, "Message too large: 1048577 bytes (max 1048576 bytes)")

    def test_speak_text(self) -> None:
        """100 KB of text are spoken, counted in UTF-8 bytes; one byte more is refused. (F-084, F-329)"""
        self.check_limit(
            {"type": "speak"},
            "text",
            102400,
            "Speak text too large: {} bytes (max: {} bytes)",
            filler="é",
        )

    def test_message_content(self) -> None:
        """A room message may have 50 KB and not a byte more. (F-084, F-329)"""
        self.check_limit(
            {"type": "send_message"},
            "message",
            51200,
            "Message content too large: {} bytes (max: {} bytes)",
        )

    def test_custom_payload(self) -> None:
        """A plugin's payload may have 50 KB of JSON and not a byte more. (F-084, F-329)"""
        message = {"type": "custom", "message_type": "a"}
        decode(text(message | {"payload": "x" * 51198}))
        error = self.assertRaises(TooLarge, decode, text(message | {"payload": "x" * 51199}))
        self.assertEqual(error.message, "Message content too large: 51201 bytes (max: 51200 bytes)")

    def test_transfer_target(self) -> None:
        """A number to transfer to may have 256 bytes and not one more. (F-084, F-329)"""
        message = {"type": "sip_transfer"}
        decode(text(message | {"transfer_to": "1" * 256}))
        error = self.assertRaises(TooLarge, decode, text(message | {"transfer_to": "1" * 257}))
        self.assertEqual(error.message, "SIP transfer_to too large: 257 bytes (max: 256 bytes)")

    def test_ids(self) -> None:
        """A stream id and a plugin's message type may have 256 bytes and not one more. (F-084, F-329)"""
        refusal = "Stream ID too large: {} bytes (max: {} bytes)"
        self.check_limit({"type": "config"}, "stream_id", 256, refusal)
        self.check_limit({"type": "custom", "payload": None}, "message_type", 256, refusal)

    def test_token(self) -> None:
        """A token may have 4 KB and not a byte more. (F-084, F-329)"""
        self.check_limit(
            {"type": "auth"}, "token", 4096, "Auth token too large: {} bytes (max: {} bytes)"
        )


class DecodeTests(SynchronousTestCase):
    def malformed(self, message: dict[str, Any] | str) -> str:
        source = message if isinstance(message, str) else text(message)
        return self.assertRaises(Malformed, decode, source).message

    def test_unknown_type(self) -> None:
        """A type nobody knows is refused with the ones there are. (F-083)"""
        said = self.malformed({"type": "dance"})
        self.assertTrue(
            said.startswith("unknown variant `dance`, expected one of `config`, `speak`")
        )

    def test_no_type(self) -> None:
        """A message without a type says so."""
        self.assertEqual(self.malformed({"text": "hi"}), "missing field `type`")

    def test_missing_fields(self) -> None:
        """Required fields are named when they are missing or null. (F-083)"""
        for kind, field in (
            ("speak", "text"),
            ("send_message", "message"),
            ("sip_transfer", "transfer_to"),
            ("auth", "token"),
            ("custom", "message_type"),
            ("audio", "data"),
        ):
            self.assertEqual(self.malformed({"type": kind}), f"missing field `{field}`")
            self.assertEqual(
                self.malformed({"type": kind, field: None}), f"missing field `{field}`"
            )
        self.assertEqual(
            self.malformed({"type": "custom", "message_type": "a"}), "missing field `payload`"
        )

    def test_wrong_types(self) -> None:
        """A field of the wrong kind is named, and its value is not repeated. (SRV-05)"""
        for message, said in (
            ({"type": "speak", "text": 4711}, "`text` must be a string"),
            ({"type": "speak", "text": "a", "flush": KEY}, "`flush` must be true or false"),
            ({"type": "config", "audio": KEY}, "`audio` must be true or false"),
            ({"type": "config", "stt_config": KEY}, "`stt_config` must be an object"),
            ({"type": "config", "livekit": {}}, "missing field `livekit.room_name`"),
            ({"type": "config", "livekit": [KEY]}, "`livekit` must be an object"),
            ({"type": "audio", "data": KEY}, "`data` must be base64"),
        ):
            self.assertEqual(self.malformed(message), said)

    def test_speak_defaults(self) -> None:
        """Without flags, or with null, a text is spoken at once and may be interrupted. (F-069)"""
        self.assertEqual(decode('{"type":"speak","text":"hi"}'), messages.Speak("hi", True, True))
        self.assertEqual(
            decode('{"type":"speak","text":"hi","flush":null,"allow_interruption":null,"ssml":1}'),
            messages.Speak("hi"),
        )
        self.assertEqual(
            decode('{"type":"speak","text":"hi","flush":false,"allow_interruption":false}'),
            messages.Speak("hi", False, False),
        )

    def test_other_words_for_clear(self) -> None:
        """stop and interrupt are clear; flush is accepted. (F-071)"""
        for kind in ("clear", "stop", "interrupt"):
            self.assertEqual(decode(text({"type": kind})), messages.Clear())
        self.assertEqual(decode('{"type":"flush"}'), messages.Flush())

    def test_audio_as_text(self) -> None:
        """A client that can only send text sends audio as base64."""
        data = base64.b64encode(b"\x01\x02\xff").decode()
        self.assertEqual(decode(text({"type": "audio", "data": data})), messages.Audio(b"\1\2\xff"))

    def test_config_defaults(self) -> None:
        """Null is the same as absent everywhere in a config, and unknown fields are ignored."""
        names = (
            "stream_id audio audio_disabled stt_config tts_config livekit dag_config dag "
            "noise_filter turn_detection turn_detect speech_final"
        )
        nulls = dict.fromkeys(names.split())
        self.assertEqual(
            decode(text({"type": "config", "api_key": KEY, "features": {"vad": 1}} | nulls)),
            messages.Config(),
        )

    def test_audio_disabled(self) -> None:
        """audio_disabled turns audio off where audio is absent or null; audio wins. (D-29, WS-16, F-066)"""
        for fields, has_audio in (
            ({}, True),
            ({"audio": False}, False),
            ({"audio_disabled": True}, False),
            ({"audio": None, "audio_disabled": True}, False),
            ({"audio_disabled": False}, True),
            ({"audio": True, "audio_disabled": True}, True),
            ({"audio": False, "audio_disabled": False}, False),
        ):
            config = decode(text({"type": "config"} | fields))
            assert isinstance(config, messages.Config)
            self.assertEqual(config.has_audio, has_audio, fields)

    def test_stream_ids(self) -> None:
        """Only ids that are safe as a file name are taken; an empty one is none. (D-20, X-10)"""
        for good in ("call-1", "A.b_c-9", "x" * 256, "a.b"):
            config = decode(text({"type": "config", "stream_id": good}))
            assert isinstance(config, messages.Config)
            self.assertEqual(config.stream_id, good)
        for bad in ("../etc", "a/b", "a b", "a..b", ".", "..", "é", "a\n", "a\0"):
            error = self.assertRaises(
                BadRequest, decode, text({"type": "config", "stream_id": bad})
            )
            self.assertTrue(error.message.startswith("Invalid stream_id"), error.message)
        self.assertEqual(decode('{"type":"config","stream_id":""}'), messages.Config())

    def test_turn_settings_of_a_call(self) -> None:
        """A call may set its own times for the end of speech and its own threshold."""
        config = decode(
            text(
                {
                    "type": "config",
                    "speech_final": {"wait_ms": 900.0, "interim_rearms": False, "providers": {}},
                    "turn_detect": {"threshold": 0.7},
                    "turn_detection": True,
                    "noise_filter": False,
                }
            )
        )
        self.assertEqual(
            config,
            messages.Config(
                timing={"wait_ms": 900, "interim_rearms": False},
                turn_threshold=0.7,
                turn_detection=True,
                noise_filter=False,
            ),
        )

    def test_turn_settings_that_cannot_be(self) -> None:
        """Times and thresholds out of range are refused by name."""
        for fields, said in (
            ({"speech_final": {"wait_ms": 0}}, "`speech_final.wait_ms` must be a whole number"),
            ({"speech_final": {"hard_timeout_from": "now"}}, "must be one of first_final, last"),
            ({"turn_detect": {"threshold": 1.1}}, "`turn_detect.threshold` must be between"),
        ):
            self.assertIn(said, self.malformed({"type": "config"} | fields))

    def test_update_config(self) -> None:
        """The threshold of a running call can be changed; what cannot be changed is refused, not stored."""
        update = {"type": "update_config", "turn_detect": {"threshold": 0.6}}
        self.assertEqual(decode(text(update)), messages.UpdateConfig(0.6))
        self.assertEqual(decode(text(update | {"vad": None})), messages.UpdateConfig(0.6))
        for wrong, said in (
            (
                {"turn_detect": {"threshold": 1.1}},
                "`turn_detect.threshold` must be between 0 and 1",
            ),
            ({"turn_detect": {"threshold": KEY}}, "`turn_detect.threshold` must be a number"),
            ({"turn_detect": {}}, "missing field `turn_detect.threshold`"),
            ({"turn_detect": None}, "missing field `turn_detect`"),
        ):
            self.assertEqual(self.malformed(update | wrong), said)
        error = self.assertRaises(
            BadRequest, decode, text(update | {"vad": {"silence_duration_ms": 300}})
        )
        self.assertTrue(error.message.startswith("vad.silence_duration_ms cannot be changed"))

    def test_dag_has_two_names(self) -> None:
        """dag is accepted for dag_config."""
        for name in ("dag", "dag_config"):
            config = decode(text({"type": "config", name: {"template": "a"}}))
            self.assertEqual(config, messages.Config(wants_dag=True))

    def test_room_message(self) -> None:
        """Role and topic have defaults."""
        self.assertEqual(
            decode('{"type":"send_message","message":"hi","topic":null}'),
            messages.SendMessage("hi", "user", "messages", None),
        )

    def test_phone_numbers(self) -> None:
        """One leading plus and digits, after trimming; everything else says what is wrong."""
        for number in ("+491234", "110", " 4711 ", "1"):
            self.assertEqual(
                decode(text({"type": "sip_transfer", "transfer_to": number})),
                messages.SipTransfer(number.strip()),
            )
        for number, said in (
            ("", "Phone number cannot be empty"),
            ("  ", "Phone number cannot be empty"),
            ("+", "Phone number must contain at least one digit"),
            ("12-3", "Invalid character '-' at position 2 - "),
            ("++1", "Invalid character '+' at position 1 - "),
            ("١", "Invalid character '١' at position 0 - "),
        ):
            error = self.assertRaises(
                messages.BadNumber, decode, text({"type": "sip_transfer", "transfer_to": number})
            )
            self.assertTrue(error.message.startswith(f"Invalid phone number: {said}"))

    def test_token_is_not_shown(self) -> None:
        """A credential does not appear when the message is printed. (SRV-05)"""
        self.assertNotIn(KEY, repr(decode(text({"type": "auth", "token": KEY}))))


class ListeningTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = world(Clock())

    def listening(self, **fields: Any) -> Any:
        return decode_listening({"provider": "acme"} | fields, self.world)

    def malformed(self, **fields: Any) -> str:
        error = self.assertRaises(Malformed, self.listening, **fields)
        self.assertEqual(error.status, 422)
        return error.message

    def test_complete(self) -> None:
        """Everything a client chose arrives."""
        found = decode_listening(
            STT
            | {
                "provider": "ACME-Speech",
                "encoding": "mulaw",
                "options": {"a": 1},
                "vad": 3,
                "model": "m",
            },
            self.world,
        )
        settings = found.settings
        self.assertEqual(
            (settings.provider, settings.language, settings.punctuation, settings.model),
            ("acme", "en-US", True, "m"),
        )
        self.assertEqual(settings.format, AudioFormat("mulaw", 16000, 1))
        self.assertEqual(settings.options, {"a": 1})

    def test_defaults(self) -> None:
        """Only the provider is needed, whatever of the rest is null. (D-30)"""
        nulls = dict.fromkeys(
            ["language", "sample_rate", "channels", "punctuation", "encoding", "model"]
        )
        for fields in ({}, nulls):
            settings = self.listening(**fields).settings
            self.assertEqual(settings.format, AudioFormat("linear16", 16000, 1))
            self.assertEqual((settings.language, settings.model), ("en-US", None))
            self.assertTrue(settings.punctuation)

    def test_other_names(self) -> None:
        """punctuate is punctuation, which wins where both are there."""
        self.assertFalse(self.listening(punctuate=False).settings.punctuation)
        self.assertTrue(self.listening(punctuate=False, punctuation=True).settings.punctuation)

    def test_integral_floats(self) -> None:
        """A sample rate of 8000.0 is 8000."""
        self.assertEqual(self.listening(sample_rate=8000.0).settings.format.rate_hz, 8000)

    def test_wrong_fields(self) -> None:
        """What cannot be is refused by its full name, without its value."""
        for fields, said in (
            ({"sample_rate": 0}, "`stt_config.sample_rate` must be a whole number from 1"),
            ({"sample_rate": 8000.5}, "`stt_config.sample_rate` must be a whole number"),
            ({"sample_rate": True}, "`stt_config.sample_rate` must be a number"),
            ({"sample_rate": "16000"}, "`stt_config.sample_rate` must be a number"),
            ({"sample_rate": 10**30}, "`stt_config.sample_rate` is out of range"),
            ({"channels": 70000}, "`stt_config.channels` must be a whole number from 1 to 65535"),
            ({"language": 3}, "`stt_config.language` must be a string"),
            ({"api_key": [KEY]}, "`stt_config.api_key` must be a string"),
            ({"provider": None}, "missing field `stt_config.provider`"),
        ):
            self.assertTrue(self.malformed(**fields).startswith(said), fields)

    def test_own_key(self) -> None:
        """A caller's own key wins over the server's; an empty one is none. (F-068)"""
        account = self.listening(api_key=KEY).account
        self.assertEqual((account.key, account.is_callers_own), (Secret(KEY), True))
        self.assertEqual(self.listening(auth={"api_key": KEY}).account.key, Secret(KEY))
        self.assertFalse(self.listening(api_key="").account.is_callers_own)
        header = decode_listening({"provider": "keyless"}, self.world, Secret("h"))
        self.assertEqual(header.account.key, Secret("h"))
        both = decode_listening({"provider": "acme", "api_key": KEY}, self.world, Secret("h"))
        self.assertEqual(both.account.key, Secret(KEY))

    def test_no_key(self) -> None:
        """Without any key the refusal says which setting is missing."""
        error = self.assertRaises(MissingCredentials, self.listening, provider="keyless")
        self.assertEqual(error.message, "Keyless API key not configured in server environment")

    def test_unknown_provider(self) -> None:
        """A provider nobody knows, or one that cannot listen, is refused."""
        self.assertRaises(BadRequest, self.listening, provider="nobody")
        error = self.assertRaises(BadRequest, self.listening, provider="mouth")
        self.assertEqual(error.message, "mouth does not offer speech recognition")


class SpeakingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = world(Clock())

    def speaking(self, **fields: Any) -> Any:
        return decode_speaking({"provider": "acme"} | fields, self.world)

    def test_defaults(self) -> None:
        """What a client does not choose stays open for the provider to choose, its voice too (D-13)."""
        nulls = dict.fromkeys(
            [
                "model",
                "voice_id",
                "speaking_rate",
                "audio_format",
                "sample_rate",
                "connection_timeout",
                "request_timeout",
                "pronunciations",
                "api_key",
                "emotion",
                "emotion_intensity",
                "delivery_style",
                "emotion_description",
            ]
        )
        for fields in ({}, nulls, {"model": "", "voice_id": "", "audio_format": ""}):
            found = self.speaking(**fields)
            settings = found.settings
            self.assertEqual(settings.format, AudioFormat("linear16", 24000, 1))
            self.assertEqual(
                (settings.model, settings.voice, settings.rate, settings.emotion),
                (None, None, None, None),
            )
            self.assertFalse(settings.wants_format)
            self.assertEqual(
                (found.pronunciations, found.dial_s, found.request_s), ((), None, None)
            )

    def test_prefer_compressed(self) -> None:
        """Who would rather have compressed speech gets the best that the vendor streams (F-182, TTS-06, S-TTS-30)."""
        found = self.speaking(provider="mouth", prefer_compressed=True)
        self.assertEqual(found.settings.format, AudioFormat("opus", 48000, 1, "ogg"))
        self.assertEqual((found.settings.wants_format, found.warnings), (False, ()))
        for value in (False, None):
            plain = self.speaking(provider="mouth", prefer_compressed=value)
            self.assertEqual(plain.settings.format, AudioFormat("linear16", 24000))

    def test_named_format_wins(self) -> None:
        """A format that a client names is what it gets, also where it names the default (TTS-07, S-TTS-30)."""
        for name in ("linear16", "mp3", "wav"):
            named = self.speaking(provider="mouth", audio_format=name, prefer_compressed=True)
            self.assertEqual(
                named.settings, self.speaking(provider="mouth", audio_format=name).settings
            )
            self.assertTrue(named.settings.wants_format)

    def test_nothing_compressed(self) -> None:
        """A vendor without compressed formats speaks as it does by default, and the log will say why (TTS-06)."""
        found = self.speaking(prefer_compressed=True)
        self.assertEqual(found.settings, self.speaking().settings)
        self.assertEqual(found.warnings, ("prefer_compressed: it streams no compressed format",))
        self.assertEqual(self.speaking(audio_format="wav", prefer_compressed=True).warnings, ())

    def test_complete(self) -> None:
        """Everything a client chose arrives."""
        found = self.speaking(
            model="m",
            voice_id="v",
            language="de-DE",
            audio_format="mulaw",
            sample_rate=8000,
            speaking_rate=1.5,
            emotion="happy",
            connection_timeout=3,
            request_timeout=20,
            options={"seed": 1},
            pronunciations=[{"word": "nginx", "pronunciation": "engine x"}],
        )
        settings = found.settings
        self.assertEqual(
            (settings.model, settings.voice, settings.language, settings.rate, settings.options),
            ("m", "v", "de-DE", 1.5, {"seed": 1}),
        )
        self.assertEqual(settings.format, AudioFormat("mulaw", 8000, 1))
        assert isinstance(settings.emotion, Emotion)
        self.assertEqual(settings.emotion.emotion, "happy")
        self.assertTrue(settings.wants_format)
        self.assertEqual((found.dial_s, found.request_s), (3.0, 20.0))
        self.assertEqual(found.pronunciations, (("nginx", "engine x", False),))

    def test_other_names(self) -> None:
        """voice, speed, format and from/to are understood; the documented names win."""
        found = self.speaking(
            voice="v",
            speed=2,
            format="pcm_8000",
            pronunciations=[{"from": "a", "to": ""}],
        )
        self.assertEqual((found.settings.voice, found.settings.rate), ("v", 2.0))
        self.assertEqual(found.settings.format.rate_hz, 8000)
        self.assertEqual(found.pronunciations, (("a", "", False),))
        both = self.speaking(voice="w", voice_id="v", speed=2, speaking_rate=3)
        self.assertEqual((both.settings.voice, both.settings.rate), ("v", 3.0))

    def test_capitals_of_pronunciations(self) -> None:
        """A pronunciation may ask for the very capitals it is written in."""
        found = self.speaking(
            pronunciations=[{"word": "US", "pronunciation": "U S", "case_sensitive": True}]
        )
        self.assertEqual(found.pronunciations, (("US", "U S", True),))

    def test_rate_in_the_name(self) -> None:
        """A format name with a rate settles the rate; one without leaves the default."""
        self.assertEqual(self.speaking(audio_format="pcm_16000").settings.format.rate_hz, 16000)
        self.assertEqual(self.speaking(audio_format="pcm16").settings.format.rate_hz, 24000)

    def test_default_rate(self) -> None:
        """The operator's default rate is used where the caller names none."""
        found = decode_speaking({"provider": "acme"}, self.world, default_rate_hz=16000)
        self.assertEqual(found.settings.format.rate_hz, 16000)

    def test_speaking_rate(self) -> None:
        """Rates out of range are brought into it; normal speed is left to the provider."""
        for asked, rate in ((0.1, 0.25), (9, 4.0), (1, None), (1.0005, None), (1.01, 1.01)):
            self.assertEqual(self.speaking(speaking_rate=asked).settings.rate, rate)

    def test_wrong_fields(self) -> None:
        """What cannot be is refused by its full name, without its value."""
        for fields, said in (
            ({"speaking_rate": "fast"}, "`tts_config.speaking_rate` must be a number"),
            ({"pronunciations": {}}, "`tts_config.pronunciations` must be a list"),
            (
                {"pronunciations": [{"from": "a", "to": "b", "case_sensitive": "no"}]},
                "`tts_config.pronunciations[0].case_sensitive` must be true or false",
            ),
            ({"pronunciations": [3]}, "`tts_config.pronunciations[0]` must be an object"),
            (
                {"pronunciations": [{"word": "a"}]},
                "missing field `tts_config.pronunciations[0].pronunciation`",
            ),
            (
                {"pronunciations": [{"word": "", "pronunciation": "a"}]},
                "missing field `tts_config.pronunciations[0].word`",
            ),
            ({"request_timeout": 0}, "`tts_config.request_timeout` must be greater than 0"),
            ({"options": KEY}, "`tts_config.options` must be an object"),
        ):
            error = self.assertRaises(Malformed, self.speaking, **fields)
            self.assertEqual(error.message, said)

    def test_numbers_out_of_range(self) -> None:
        """A number with 999 digits is valid JSON and no speed."""
        source = parse_object('{"provider": "acme", "speaking_rate": 1' + "0" * 999 + "}")
        error = self.assertRaises(Malformed, decode_speaking, source, self.world)
        self.assertEqual(error.message, "`tts_config.speaking_rate` is out of range")

    def test_unknown_emotion(self) -> None:
        """An emotion nobody knows fails the message."""
        self.assertRaises(Malformed, self.speaking, emotion="hangry")

    def test_long_timeouts(self) -> None:
        """A caller cannot hold a vendor's connection for ever."""
        self.assertEqual(self.speaking(request_timeout=10**9).request_s, 300.0)

    def test_provider_that_cannot_speak(self) -> None:
        """A provider without synthesis is refused."""
        error = self.assertRaises(BadRequest, self.speaking, provider="ears")
        self.assertEqual(error.message, "ears does not offer speech synthesis")

    def test_key_is_not_shown(self) -> None:
        """A caller's key does not appear when his settings are printed. (F-068, SRV-05)"""
        self.assertNotIn(KEY, repr(self.speaking(api_key=KEY)))
        self.assertEqual(self.speaking(**TTS, api_key=KEY).account.key, Secret(KEY))


class EncodeTests(SynchronousTestCase):
    def test_ready(self) -> None:
        """ready has the documented fields first and what SDKs look for. (F-065)"""
        listening = decode_listening({"provider": "acme"}, world(Clock()))
        message = json.loads(messages.ready("s", listening, None, livekit_url="http://l"))
        self.assertEqual(list(message)[:3], ["type", "stream_id", "livekit_url"])
        version = message.pop("server_version")
        self.assertTrue(version)
        self.assertEqual(
            message,
            {
                "type": "ready",
                "stream_id": "s",
                "livekit_url": "http://l",
                "session_id": "s",
                "stt_ready": True,
                "tts_ready": False,
                "livekit_connected": False,
                "capabilities": ["stt"],
                "stt": {
                    "provider": "acme",
                    "model": None,
                    "language": "en-US",
                    "encoding": "linear16",
                    "sample_rate": 16000,
                    "channels": 1,
                },
            },
        )

    def test_ready_tells_what_is_in_force(self) -> None:
        """ready names providers, models and formats as they are in force, and what will not be had as asked."""
        there = world(Clock())
        listening = decode_listening(
            {"provider": "acme-speech", "model": "nova-3", "encoding": "wav", "sample_rate": 8000},
            there,
        )
        speaking = decode_speaking(
            {"provider": "mouth", "voice": "v", "model": "m", "prefer_compressed": True}, there
        )
        message = json.loads(messages.ready("s", listening, speaking, livekit_url=""))
        self.assertEqual(
            (message["stt"]["provider"], message["stt"]["model"], message["stt"]["encoding"]),
            ("acme", None, "wav"),
        )
        self.assertEqual(
            message["tts"],
            {
                "provider": "mouth",
                "model": "m",
                "voice": "v",
                "audio_format": "opus",
                "sample_rate": 48000,
                "channels": 1,
            },
        )
        self.assertEqual(
            message["warnings"], ["model 'nova-3' is none of acme's: its own default is used"]
        )

    def test_result(self) -> None:
        """A result has its text twice, flags and confidence, and no word about being forced. (F-079)"""
        self.assertEqual(
            json.loads(messages.stt_result(Transcript("hé", True, False, 0.5))),
            {
                "type": "stt_result",
                "transcript": "hé",
                "is_final": True,
                "is_speech_final": False,
                "confidence": 0.5,
                "text": "hé",
            },
        )

    def test_forced_result(self) -> None:
        """An end of speech that the gateway made carries the turn's text and says so. (D-40, VM-01)"""
        message = json.loads(messages.stt_result(Transcript("a b", True, True, 1.0, forced=True)))
        self.assertEqual((message["transcript"], message["forced"]), ("a b", True))

    def test_confidence(self) -> None:
        """Confidence is between 0 and 1 whatever a vendor says. (F-079)"""
        for said, sent in ((1.2, 1.0), (-1.0, 0.0), (float("nan"), 0.0)):
            message = json.loads(messages.stt_result(Transcript("a", confidence=said)))
            self.assertEqual(message["confidence"], sent)

    def test_complete(self) -> None:
        """A completion has a time in milliseconds. (F-080)"""
        self.assertEqual(
            json.loads(messages.tts_playback_complete(1_700_000_000_123)),
            {"type": "tts_playback_complete", "timestamp": 1_700_000_000_123},
        )

    def test_errors(self) -> None:
        """Errors have a text for people and a code for programs. (F-083)"""
        self.assertEqual(
            json.loads(messages.refusal(WaavError("no"))),
            {"type": "error", "message": "no", "code": "internal_error"},
        )
        self.assertEqual(
            json.loads(messages.refusal(Malformed("no"))),
            {"type": "error", "message": "Invalid message format: no", "code": "invalid_message"},
        )
        self.assertEqual(
            json.loads(messages.sip_transfer_error("no", "x")),
            {"type": "sip_transfer_error", "message": "no", "code": "x"},
        )

    def test_authenticated(self) -> None:
        """The tenant is there only where it is known. (D-26)"""
        self.assertEqual(messages.authenticated(), '{"type":"authenticated"}')
        self.assertEqual(messages.authenticated("a"), '{"type":"authenticated","id":"a"}')

    def test_pong(self) -> None:
        """A pong has the ping's own timestamp, or the server's where it had none."""
        for source, timestamp in (
            ('{"type":"ping","timestamp":5}', 5),
            ('{"type":"ping","timestamp":"t"}', "t"),
            ('{"type":"ping"}', 9),
            ('{"type":"ping","timestamp":[1]}', 9),
        ):
            ping = decode(source)
            assert isinstance(ping, messages.Ping)
            self.assertEqual(
                json.loads(messages.pong(ping, 9)),
                {"type": "pong", "timestamp": timestamp, "server_time": 9},
            )
