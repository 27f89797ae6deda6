"""What the client SDKs send first, and what they look for in the answers (contract 8 and 9.4)."""

import json
from typing import Any, cast

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.voices_rig import Desk, FakeCall, Visitor, account
from waav.errors import BadRequest
from waav.gateway.voice.messages import decode_listening, decode_speaking
from waav.providers.deepgram import deepgram
from waav.providers.openai import openai
from waav.registry import Registry
from waav.secret import Secret
from waav.session.world import World
from waav.speech import wire
from waav.speech.provider import Account, ListenSettings, SpeakSettings
from waav.speech.wire import Transcript

PYTHON: dict[str, Any] = {
    "type": "config",
    "audio": True,
    "stt_config": {
        "provider": "acme",
        "language": "en-US",
        "sample_rate": 16000,
        "channels": 1,
        "punctuation": True,
        "encoding": "linear16",
        "model": "nova-3",
    },
    "tts_config": {
        "provider": "acme",
        "voice_id": "aura-asteria-en",
        "sample_rate": 24000,
        "model": "aura-asteria-en",
    },
}

TYPESCRIPT: dict[str, Any] = {
    "type": "config",
    "audio": True,
    "stt_config": {
        "provider": "acme",
        "language": "en-US",
        "sample_rate": 16000,
        "channels": 1,
        "encoding": "linear16",
        "punctuate": True,
        "interim_results": True,
        "smart_format": True,
        "endpointing": 300,
    },
    "tts_config": {
        "provider": "acme",
        "voice": "luna",
        "speed": 1.2,
        "pitch": 0,
        "pronunciations": [{"from": "nginx", "to": "engine x"}],
    },
    "features": {"vad": True, "noise_cancellation": False, "speaker_diarization": False},
}

WIDGET: dict[str, Any] = {
    "type": "config",
    "audio": True,
    "stt_config": PYTHON["stt_config"],
    "tts_config": {"provider": "acme", "voice_id": "luna", "audio_format": "linear16"},
    "audio_features": {
        "turn_detection": {"enabled": True},
        "noise_filtering": {"enabled": True},
        "vad": {"enabled": True},
    },
    "realtime_config": {"provider": "openai"},
}

DASHBOARD: dict[str, Any] = {
    "type": "config",
    "stt_config": PYTHON["stt_config"] | {"api_key": "own-stt"},
    "tts_config": PYTHON["tts_config"] | {"api_key": "own-tts"},
}

SAYNA: dict[str, Any] = {
    "type": "config",
    "stream_id": None,
    "audio": True,
    "stt_config": PYTHON["stt_config"] | {"auth": None},
    "tts_config": {
        "provider": "acme",
        "voice_id": "luna",
        "speaking_rate": None,
        "audio_format": None,
        "sample_rate": None,
        "connection_timeout": None,
        "request_timeout": None,
        "model": "m",
        "pronunciations": None,
        "auth": None,
    },
    "livekit": None,
    "loading_audio": None,
}


def found_settings(source: dict[str, Any], world: World) -> ListenSettings:
    """What a deepgram ``stt_config`` with these fields asks for."""
    return decode_listening(source | {"provider": "deepgram"}, world).settings


class SDKTests(SynchronousTestCase):
    def connect(self, config: dict[str, Any]) -> tuple[Visitor, FakeCall, dict[str, Any]]:
        visitor = Desk().visit()
        ready = visitor.ask(config)
        self.assertEqual(ready["type"], "ready", ready)
        assert visitor.call is not None
        return visitor, visitor.call, ready

    def test_python(self) -> None:
        """The Python SDK gets ready, its texts are spoken, its pings answered. (F-069)"""
        visitor, call, _ = self.connect(PYTHON)
        visitor.send({"type": "speak", "text": "Hello", "flush": False})
        self.assertEqual(call.told[-1], ("say", "Hello", False, True))
        pong = visitor.ask({"type": "ping", "timestamp": 1700000000.25})
        self.assertEqual((pong["type"], pong["timestamp"]), ("pong", 1700000000.25))

    def test_python_sessions_of_one_kind(self) -> None:
        """The Python SDK's sessions that only listen, or only speak, get ready. (D-30)"""
        for half in ("stt_config", "tts_config"):
            self.connect({"type": "config", "audio": True, half: PYTHON[half]})

    def test_typescript(self) -> None:
        """The TypeScript SDK's own names reach the call, and its answers have what it reads. (D-30)"""
        visitor, call, ready = self.connect(TYPESCRIPT)
        for key in ("session_id", "server_version"):
            self.assertIsInstance(ready[key], str)
        self.assertEqual(
            (ready["stt_ready"], ready["tts_ready"], ready["livekit_connected"]),
            (True, True, False),
        )
        self.assertEqual(ready["capabilities"], ["stt", "tts"])
        speaking = call.settings.speaking
        assert speaking is not None
        self.assertEqual((speaking.settings.voice, speaking.settings.rate), ("luna", 1.2))
        self.assertEqual(speaking.pronunciations, (("nginx", "engine x", False),))
        call.outlet.transcript(Transcript("hi", True))
        self.assertEqual(visitor.messages()[0]["text"], "hi")

    def test_names_that_nobody_chose(self) -> None:
        """What the Python SDK fills in for every vendor counts as not chosen where it is another vendor's, and is told."""
        _, call, ready = self.connect(PYTHON)
        listening, speaking = call.settings.listening, call.settings.speaking
        assert listening and speaking
        self.assertIsNone(listening.settings.model)
        self.assertEqual((speaking.settings.model, speaking.settings.voice), (None, None))
        self.assertEqual(len(ready["warnings"]), 3)
        for warning in ready["warnings"]:
            self.assertIn("none of acme's", warning)

    def test_other_unknown_names(self) -> None:
        """A name that is in no client's defaults is the caller's choice, and stays."""
        for name in ("nova-4", "roadrunner", "aura-2-thalia-en"):
            config = PYTHON | {"stt_config": PYTHON["stt_config"] | {"model": name}}
            _, call, _ = self.connect(config)
            assert call.settings.listening
            self.assertEqual(call.settings.listening.settings.model, name)

    def test_a_voice_as_the_model(self) -> None:
        """Where a client repeats the voice as the model and the vendor knows no such model, its default is used."""
        source = {"provider": "openai", "voice_id": "coral", "model": "coral", "api_key": "k"}
        real = World(Clock(), Registry([openai, deepgram]), cast(Any, None), account)
        found = decode_speaking(source, real)
        self.assertEqual((found.settings.model, found.settings.voice), (None, "coral"))
        self.assertIn("'coral' is a voice", found.warnings[0])
        voice = "aura-2-thalia-en"
        same = decode_speaking({"provider": "deepgram", "voice_id": voice, "model": voice}, real)
        self.assertEqual((same.settings.model, same.warnings), (voice, ()))
        with self.assertRaises(BadRequest):
            wrong = decode_speaking(source | {"model": "no-such"}, real)
            openai.speak and openai.speak(wrong.settings, wrong.account)

    def test_names_of_openai(self) -> None:
        """Names in any case and the original's short names are OpenAI's models; openai-whisper is OpenAI."""
        for name, model in (
            ("TTS-1", "tts-1"),
            ("tts1", "tts-1"),
            ("tts-1-HD", "tts-1-hd"),
            ("tts1hd", "tts-1-hd"),
        ):
            dialogue: Any = openai.speak and openai.speak(
                SpeakSettings("openai", model=name, voice="Alloy"), Account(Secret("k"))
            )
            (request,) = dialogue.send(wire.Speak("x"))
            self.assertEqual(json.loads(request.body)["model"], model)
            self.assertEqual(json.loads(request.body)["voice"], "alloy")
        for name in ("whisper", "Whisper-1"):
            listening: Any = openai.listen and openai.listen(
                ListenSettings("openai", model=name), Account(Secret("k"))
            )
            self.assertIn(("model", "whisper-1"), listening._fields)
        self.assertIs(Registry([openai]).find("openai-whisper"), openai)

    def test_flat_options(self) -> None:
        """The SDKs' options beside the other fields reach a vendor that has them; its own object wins; others ignore them."""
        real = World(Clock(), Registry([openai, deepgram]), cast(Any, None), account)
        source = TYPESCRIPT["stt_config"] | {"diarize": True, "keywords": None}
        found = decode_listening(source | {"provider": "deepgram"}, real).settings.options
        self.assertEqual(
            found,
            {"interim_results": True, "smart_format": True, "endpointing": 300, "diarize": True},
        )
        mine = source | {"provider": "deepgram", "options": {"endpointing": 100}}
        self.assertEqual(decode_listening(mine, real).settings.options["endpointing"], 100)
        others = decode_listening(source | {"provider": "openai"}, real)
        self.assertEqual(others.settings.options, {})
        assert deepgram.listen
        query = deepgram.listen(found_settings(source, real), Account(Secret("k"))).opening.url
        for part in ("endpointing=300", "diarize=true", "smart_format=true"):
            self.assertIn(part, query)

    def test_a_config_that_names_neither_half(self) -> None:
        """After a config in force, one without halves keeps both: it only changes what it names."""
        visitor, call, _ = self.connect(WIDGET)
        ready = visitor.ask({"type": "config", "noise_filter": False})
        self.assertEqual((ready["type"], ready["capabilities"]), ("ready", ["stt", "tts"]))
        listening, speaking = call.settings.listening, call.settings.speaking
        assert listening and speaking
        self.assertEqual((listening.provider.name, speaking.settings.voice), ("acme", "luna"))
        self.assertIs(call.settings.noise_filter, False)

    def test_typescript_controls(self) -> None:
        """ping, stop, flush, interrupt and base64 audio are understood. (F-071)"""
        visitor, call, _ = self.connect(TYPESCRIPT)
        visitor.send({"type": "speak", "text": "Hello", "voice": "v", "speed": 1, "emotion": "x"})
        for kind in ("flush", "stop", "interrupt"):
            visitor.send({"type": kind})
        visitor.send({"type": "audio", "data": "AAAA"})
        self.assertEqual(visitor.messages(), [])
        self.assertEqual(
            call.told[1:],
            [("say", "Hello", True, True), ("flush",), ("clear",), ("clear",), ("hear", b"\0\0\0")],
        )
        self.assertIn("code", visitor.ask({"type": "send_message"}))

    def test_typescript_parts(self) -> None:
        """A config of the TypeScript SDK with one part only gets ready. (D-30)"""
        self.connect({"type": "config", "stt_config": TYPESCRIPT["stt_config"]})
        self.connect({"type": "config", "audio": False, "features": TYPESCRIPT["features"]})

    def test_widget(self) -> None:
        """The widget, which leaves the model out, gets ready and is spoken to. (F-069)"""
        visitor, call, _ = self.connect(WIDGET)
        visitor.send({"type": "speak", "text": "Hello", "flush": False, "emotion": "happy"})
        self.assertEqual(call.told[-1], ("say", "Hello", False, True))
        self.assertEqual(visitor.ask({"type": "ping"})["type"], "pong")
        call.outlet.audio([b"\0\1"])
        self.assertEqual(visitor.messages(), [b"\0\1"])

    def test_dashboard(self) -> None:
        """The dashboard's own keys are used, and its latency can be told from the pong. (F-068)"""
        visitor, call, _ = self.connect(DASHBOARD)
        listening, speaking = call.settings.listening, call.settings.speaking
        assert listening and listening.account.key and speaking and speaking.account.key
        self.assertEqual(listening.account.key.reveal(), "own-stt")
        self.assertEqual(speaking.account.key.reveal(), "own-tts")
        self.assertEqual(visitor.ask({"type": "ping", "timestamp": 5})["timestamp"], 5)
        self.assertIn(
            "missing field `text`", visitor.ask({"type": "speak", "ssml": "<s/>"})["message"]
        )

    def test_sayna(self) -> None:
        """The Sayna client, which writes out every null, gets ready and works. (F-069, F-070)"""
        visitor, call, _ = self.connect(SAYNA)
        visitor.send({"type": "speak", "text": "Hello", "flush": None, "allow_interruption": None})
        visitor.send({"type": "clear"})
        self.assertEqual(call.told[1:], [("say", "Hello", True, True), ("clear",)])
        for kind in ("loading_start", "loading_stop"):
            visitor.send({"type": kind})
        self.assertEqual(visitor.messages(), [])
        visitor.send(b"\0\0")
        self.assertEqual(call.told[-1], ("hear", b"\0\0"))
