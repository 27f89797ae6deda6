"""``docs/protocol.md`` says what the code does."""

import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.voices_rig import Desk, world
from waav.gateway.http.fields import Fields
from waav.gateway.voice import messages
from waav.registry import Registry
from waav.session.world import World
from waav.speech.emotion import parse_emotion
from waav.speech.provider import Provider
from waav.speech.wire import Transcript

PROTOCOL = Path(__file__).parents[3] / "docs" / "protocol.md"

WORLD = world(Clock())
LISTENING = messages.decode_listening({"provider": "acme", "model": "nova-3"}, WORLD)
SPEAKING = messages.decode_speaking({"provider": "acme"}, WORLD)

SENT = {
    "ready": [messages.ready("s", LISTENING, SPEAKING, livekit_url="u")],
    "stt_result": [
        messages.stt_result(Transcript("a")),
        messages.stt_result(Transcript("a", forced=True)),
    ],
    "tts_playback_complete": [messages.tts_playback_complete(1)],
    "error": [messages.error("a", "b")],
    "sip_transfer_error": [messages.sip_transfer_error("a", "b")],
    "authenticated": [messages.authenticated()],
    "pong": [messages.pong(messages.Ping(1), 2)],
}


def section(title: str) -> str:
    """The text under a heading of the ``/ws`` half, up to the next one of its level."""
    half = PROTOCOL.read_text().partition("\n## The WebSocket `/ws`\n")[2].partition("\n## ")[0]
    return half.partition(f"\n### {title}\n")[2].partition("\n### ")[0]


def samples(text: str) -> list[dict[str, Any]]:
    """Every JSON block."""
    return [json.loads(block) for block in re.findall(r"```json\n(.*?)```", text, re.DOTALL)]


class ProtocolTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.to_gateway = section("Messages to the gateway")
        self.from_gateway = section("Messages from the gateway")

    def test_every_sample_is_accepted(self) -> None:
        """Every message that the manual tells to send is understood, its halves too. (DOC-04, F-308, WS-16)"""
        found = samples(self.to_gateway)
        self.assertGreater(len(found), 10)
        for sample in found:
            message = messages.decode(json.dumps(sample))
            if isinstance(message, messages.Config):
                self.decode_halves(message)

    def decode_halves(self, message: messages.Config) -> None:
        known = self.world()
        if message.listening is not None:
            messages.decode_listening(message.listening, known)
        if message.speaking is not None:
            messages.decode_speaking(message.speaking, known)

    def world(self) -> World:
        local = Provider("local", listen=lambda *_: self.fail(), speak=lambda *_: self.fail())
        shared = world(Clock())
        return World(shared.clock, Registry((local,)), shared.dialler, shared.account)

    def test_every_sample_is_answered_as_described(self) -> None:
        """No sample without a config is answered by anything that the manual does not show. (DOC-04)"""
        shown = {each["type"] for each in samples(self.from_gateway)}
        for sample in samples(self.to_gateway):
            visitor = Desk().visit()
            visitor.send(sample)
            for answer in visitor.messages():
                self.assertIn(answer["type"], shown)

    def test_every_type_is_described(self) -> None:
        """Every message that the gateway knows has a sample. (DOC-04)"""
        sent = {each["type"] for each in samples(self.to_gateway)}
        self.assertEqual(sent, set(messages.CLIENT_TYPES))
        got = {each["type"] for each in samples(self.from_gateway)}
        self.assertEqual(got, set(messages.SERVER_TYPES))
        self.assertEqual(set(SENT), set(messages.SERVER_TYPES))

    def test_every_answer_has_the_shape_described(self) -> None:
        """What the gateway sends has exactly the fields shown, in that order. (DOC-04)"""
        for name, encoded in SENT.items():
            shown = [each for each in samples(self.from_gateway) if each["type"] == name]
            self.assertEqual([list(each) for each in shown], [list(json.loads(e)) for e in encoded])

    def test_every_field_is_described(self) -> None:
        """Every field that is read from a message stands in the manual. (DOC-04)"""
        read: set[str] = set()
        value = Fields.value

        def noting(fields: Fields, *names: str) -> Any:
            read.update(names)
            return value(fields, *names)

        self.patch(Fields, "value", noting)
        self.test_every_sample_is_accepted()
        self.assertGreater(len(read), 40)
        for name in (*read, *self.emotion_fields()):
            self.assertRegex(self.to_gateway, rf"[`\"{{]{name}[`\":]", name)

    @staticmethod
    def emotion_fields() -> set[str]:
        """What ``parse_emotion`` looks at."""
        looked: set[str] = set()

        class Noting(dict[str, Any]):
            def get(self, key: str, default: Any = None) -> Any:
                looked.add(key)
                return default

            def __getitem__(self, key: str) -> Any:
                looked.add(key)
                raise KeyError(key)

            def __contains__(self, key: object) -> bool:
                looked.add(str(key))
                return False

        source: Mapping[str, Any] = Noting()
        parse_emotion(source)
        return looked

    def test_limits(self) -> None:
        """The limits of the manual are those of the code. (DOC-04)"""
        limits = section("Limits")
        for row in (
            f"| Text message | {messages.TEXT_MAX_BYTES // 1024 // 1024} MB |",
            f"| Binary message | {messages.AUDIO_MAX_BYTES // 1024 // 1024} MB |",
            f"| `text` of `speak` | {messages.SPEAK_MAX_BYTES // 1024} KB |",
            f"`payload` of `custom` | {messages.CONTENT_MAX_BYTES // 1024} KB |",
            f"`transfer_to` | {messages.ID_MAX_BYTES} bytes |",
            f"| `token` | {messages.TOKEN_MAX_BYTES // 1024} KB |",
        ):
            self.assertIn(row, limits)

    def test_life(self) -> None:
        """The idle limit and the pings of the manual are those of the code. (WS-01)"""
        settings = Desk().settings
        life = section("Staying alive, and closing")
        self.assertIn(f"every {settings.ping_s:.0f} s", life)
        self.assertIn(f"for {settings.idle_s:.0f} s", life)
