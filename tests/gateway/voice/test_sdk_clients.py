"""What the client SDKs send first, and what they look for in the answers (contract 8 and 9.4)."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.voices_rig import Desk, FakeCall, Visitor
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
        self.assertEqual(speaking.pronunciations, (("nginx", "engine x"),))
        call.outlet.transcript(Transcript("hi", True))
        self.assertEqual(visitor.messages()[0]["text"], "hi")

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
            [("say", "Hello", True, True), ("clear",), ("clear",), ("hear", b"\0\0\0")],
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
        self.assertEqual(visitor.ask({"type": "loading_start"})["type"], "error")
        visitor.send(b"\0\0")
        self.assertEqual(call.told[-1], ("hear", b"\0\0"))
