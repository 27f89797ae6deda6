"""Recordings and the player: a recording that does not fit must fail, saying where."""

import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from waav.errors import ProviderBusy, ProviderError
from waav.speech import wire
from waav.speech.audio import AudioFormat
from waav.speech.provider import Account, ListenSettings, Provider
from waav.testing import forms
from waav.testing.player import Mismatch, Player
from waav.testing.recording import Recording, described

FIRST = {"source": "invented", "date": "2026-11-25", "provider": "parrot", "verb": "listen"}
OPEN = {"open": "ws://parrot", "headers": {"K": "test-key"}}


class Parrot:
    """Repeats what it hears as text; complains about "no"."""

    def __init__(self, settings: ListenSettings, account: Account) -> None:
        assert account.key is not None
        self.opening = wire.Opening("ws://parrot", {"K": account.key.reveal()})
        self.format = AudioFormat()

    def send(self, command: wire.Command) -> list[wire.Outgoing]:
        match command:
            case wire.Audio(data):
                return [data]
            case wire.Flush():
                return ['{"say": 1}', b"now"]
            case wire.Finish():
                return [wire.Request("POST", "http://parrot/end", {"K": "v"}, b'{"a": 1}')]
        return []

    def receive(self, incoming: wire.Incoming) -> list[wire.Event]:
        match incoming:
            case "no":
                raise ProviderBusy("parrot", "parrot: no")
            case str(text):
                return [wire.Transcript(text, confidence=0.5, words=(wire.Word(text, 0.0, 0.1),))]
            case wire.Body(data):
                return [wire.Transcript(f"{len(data)}")]
        return []

    def refused(self, head: wire.Head, body: bytes) -> ProviderError:
        return ProviderBusy("parrot", f"parrot: {head.status} {body.decode()}")


PARROT = Provider("parrot", listen=Parrot)
HELLO = {
    "event": "transcript",
    "text": "hello",
    "confidence": 0.5,
    "words": [{"text": "hello", "start_s": 0.0, "end_s": 0.1}],
}
GOOD: list[dict[str, Any]] = [
    OPEN,
    {"do": "audio", "data": {"zeros": 4}},
    {"sent": {"binary": {"base64": "AAAAAA=="}}},
    {"do": "flush"},
    {"sent": {"json": {"say": 1}}},
    {"sent": {"binary": {"text": "now"}}},
    {"do": "keep_alive"},
    {"got": {"text": "hello"}},
    HELLO,
    {"got": {"text": "no"}},
    {"raises": "ProviderBusy", "message": "parrot: no"},
    {"do": "finish"},
    {"sent": {"request": {"method": "POST", "url": "http://parrot/end", "headers": {"K": "v"}, "body": {"json": {"a": 1}}}}},
    {"got": {"head": 429, "body": {"text": "later"}}},
    {"raises": "ProviderBusy", "message": "parrot: 429 later"},
]  # fmt: skip


def recording(*steps: dict[str, Any]) -> Recording:
    return Recording.read("parrot.jsonl", "\n".join(json.dumps(one) for one in (FIRST, *steps)))


class PlayerTests(SynchronousTestCase):
    def complaint(self, *steps: dict[str, Any]) -> str:
        return str(self.assertRaises(Mismatch, Player(recording(*steps), PARROT).play))

    def test_good(self) -> None:
        """A recording that fits plays to its end."""
        Player(recording(*GOOD), PARROT).play()

    def test_every_line_counts(self) -> None:
        """Leaving out any answer of the dialogue makes the player complain about it."""
        for number, step in enumerate(GOOD):
            if {"sent", "event", "raises"} & step.keys():
                self.complaint(*GOOD[:number], *GOOD[number + 1 :])

    def test_every_value_counts(self) -> None:
        """Another address, header, text, byte, event or error is a mismatch, with file and line."""
        for number, change in (
            (0, {"open": "ws://other", "headers": {"K": "test-key"}}),
            (0, {"open": "ws://parrot", "headers": {"K": "other"}}),
            (2, {"sent": {"binary": {"zeros": 3}}}),
            (2, {"sent": {"text": "x"}}),
            (4, {"sent": {"json": {"say": 2}}}),
            (4, {"sent": {"text": '{"say":1}'}}),
            (8, HELLO | {"confidence": 0.6}),
            (8, HELLO | {"is_final": True}),
            (8, HELLO | {"words": []}),
            (10, {"raises": "ProviderLost"}),
            (10, {"raises": "ProviderBusy", "message": "yes"}),
            (12, {"sent": {"request": {"method": "PUT", "url": "http://parrot/end", "headers": {"K": "v"}, "body": {"json": {"a": 1}}}}}),
            (12, {"sent": {"request": {"method": "POST", "url": "http://parrot/end", "headers": {}, "body": {"json": {"a": 1}}}}}),
            (12, {"sent": {"request": {"method": "POST", "url": "http://parrot/end", "headers": {"K": "v"}, "body": {"json": {"a": 2}}}}}),
            (12, {"sent": {"request": {"method": "POST", "url": "http://parrot/end", "headers": {"K": "v"}, "body": {"text": "x"}}}}),
        ):  # fmt: skip
            said = self.complaint(*GOOD[:number], change, *GOOD[number + 1 :])
            self.assertRegex(said, r"^parrot\.jsonl:\d+: the dialogue ")

    def test_unexpected_event(self) -> None:
        """An event nobody wrote down is a mismatch."""
        self.complaint(OPEN, {"got": {"text": "hello"}})

    def test_pieces(self) -> None:
        """Bodies can be cut: a dialogue that cares about the cuts is found out."""
        whole = recording(
            OPEN, {"got": {"body": {"zeros": 4}}}, {"event": "transcript", "text": "4"}
        )
        Player(whole, PARROT).play()
        self.assertRaises(Mismatch, Player(whole, PARROT, piece_bytes=3).play)


class RecordingTests(SynchronousTestCase):
    def test_broken_files(self) -> None:
        """A broken recording is refused with file and line."""
        first = json.dumps(FIRST)
        for text, said in (
            ('{"source": "x"}', "lacks date, provider, verb"),
            (f"{first}\nnonsense", "bad.jsonl:2"),
            (f'{first}\n\n["open"]', "bad.jsonl:3: not an object"),
            (f'{first}\n{{"opened": "x"}}', "a step has one of open"),
            (f'{first}\n{{"do": "flush", "sent": "x"}}', "a step has one of open"),
        ):
            error = self.assertRaises(ValueError, Recording.read, "bad.jsonl", text)
            self.assertIn(said, str(error))

    def test_bytes(self) -> None:
        """Bytes can be signals, zeros, base64, texts, lists of these, and WAV files of them."""
        found = Recording.read("x", json.dumps({**FIRST, "signals": {"s": {"seconds": 1}}}))
        self.assertEqual(
            found.data([{"zeros": 2}, {"text": "ab"}, {"base64": "AQ=="}]), b"\0\0ab\1"
        )
        self.assertEqual(len(found.data({"signal": "s", "from_s": 0.5})), 16000)
        wave = found.data({"signal": "s", "to_s": 0.01, "wav": True})
        self.assertEqual((wave[:4], len(wave)), (b"RIFF", 44 + 320))

    def test_described(self) -> None:
        """An event is written down with what differs from its defaults, errors with their words."""
        error = ProviderBusy("p", "p: busy")
        self.assertEqual(
            described(wire.Failed(error)),
            {"event": "failed", "error": {"raises": "ProviderBusy", "message": "p: busy"}},
        )
        self.assertEqual(
            described(wire.SpeechStarted(1.0)), {"event": "speech_started", "at_s": 1.0}
        )


class FormTests(SynchronousTestCase):
    def test_malformed(self) -> None:
        """A form that a strict server would refuse is refused."""
        kind = "multipart/form-data; boundary=b"
        part = b'\r\nContent-Disposition: form-data; name="a"\r\n\r\nx\r\n'
        self.assertEqual(forms.parse(kind, b"--b" + part + b"--b--\r\n"), [forms.Part("a", b"x")])
        for content_type, body in (
            ("multipart/form-data", b"--b" + part + b"--b--\r\n"),
            (kind, b"--b" + part),
            (kind, b"x--b" + part + b"--b--\r\n"),
            (kind, b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--\r\n"),
            (
                kind,
                b'--b\r\nContent-Disposition: form-data; name="a"\r\nX: y\r\n\r\nx\r\n--b--\r\n',
            ),
            (kind, b"--b" + part.replace(b"\r\n\r\n", b"\r\n") + b"--b--\r\n"),
        ):
            self.assertRaises(ValueError, forms.parse, content_type, body)
