"""A caller who sends very much must neither keep the others waiting nor fill the memory."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.voices_rig import Desk, FakeCall
from waav.gateway.voice.ws import FRAMES_MAX, PIECE_BYTES, TURN_S

TINY = b"\x82\x82" + bytes(4) + b"ab"
MANY = 3 * PIECE_BYTES // len(TINY)


class TurnTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.desk = Desk()
        self.visitor = self.desk.configured()
        call = self.visitor.call
        assert call is not None
        self.call: FakeCall = call
        self.cost_s = TURN_S
        hear = call.hear

        def slow(data: bytes) -> None:
            hear(data)
            self.desk.clock.rightNow += self.cost_s

        call.hear = slow  # type: ignore[method-assign]

    def heard(self) -> list[Any]:
        return [each[1] for each in self.call.told if each[0] == "hear"]

    def test_many_at_once(self) -> None:
        """Thousands of tiny messages in one read are worked through in turns; nothing is lost meanwhile."""
        self.visitor.protocol.dataReceived(TINY * MANY)
        self.assertEqual(len(self.heard()), PIECE_BYTES // len(TINY))
        self.assertFalse(self.visitor.is_read)
        for _ in range(2):
            self.desk.clock.advance(0)
        self.assertEqual(self.heard(), [b"ab"] * MANY)
        self.assertTrue(self.visitor.is_read)

    def test_order(self) -> None:
        """What comes while earlier messages wait for their turn stays behind them."""
        self.visitor.protocol.dataReceived(TINY * MANY)
        self.visitor.send(b"last")
        self.assertNotIn(b"last", self.heard())
        for _ in range(3):
            self.desk.clock.advance(0)
        self.assertEqual(self.heard(), [b"ab"] * MANY + [b"last"])

    def test_cheap_messages(self) -> None:
        """A large message that costs little is taken at once."""
        self.cost_s = 0.0
        self.visitor.send(bytes(20 * PIECE_BYTES))
        self.assertEqual(self.heard(), [bytes(20 * PIECE_BYTES)])
        self.assertTrue(self.visitor.is_read)

    def test_held_meanwhile(self) -> None:
        """A caller whose vendor is full is still not read from when his turns are over."""
        self.visitor.protocol.dataReceived(TINY * MANY)
        self.call.outlet.congested(True)
        for _ in range(2):
            self.desk.clock.advance(0)
        self.assertEqual(len(self.heard()), MANY)
        self.assertFalse(self.visitor.is_read)
        self.call.outlet.congested(False)
        self.assertTrue(self.visitor.is_read)

    def test_let_go_meanwhile(self) -> None:
        """Room at the vendor does not let in more while messages wait for their turn."""
        self.call.outlet.congested(True)
        self.visitor.protocol.dataReceived(TINY * MANY)
        self.call.outlet.congested(False)
        self.assertFalse(self.visitor.is_read)
        for _ in range(2):
            self.desk.clock.advance(0)
        self.assertTrue(self.visitor.is_read)

    def test_gone_meanwhile(self) -> None:
        """Nothing happens any more for a caller who is gone."""
        self.visitor.protocol.dataReceived(TINY * MANY)
        heard = len(self.heard())
        self.visitor.leave()
        self.desk.clock.advance(1)
        self.assertEqual(len(self.heard()), heard)
        self.assertEqual(self.desk.clock.getDelayedCalls(), [])

    def test_closed_meanwhile(self) -> None:
        """A caller who is told goodbye between two turns can still answer it."""
        self.visitor.protocol.dataReceived(TINY * MANY + b"\x88\x82" + bytes(4) + b"\x03\xe8")
        self.visitor.protocol.close(1001, "going away")
        for _ in range(3):
            self.desk.clock.advance(0)
        self.assertEqual(self.visitor.messages(), [1001])
        self.assertTrue(self.visitor.transport.disconnecting)


def frame(first: int, payload: bytes = b"") -> bytes:
    return bytes([first, 0x80 | len(payload)]) + bytes(4) + payload


class FrameTests(SynchronousTestCase):
    def test_message_without_end(self) -> None:
        """A message of more frames than anybody needs, all of them empty, is closed with 1009. (F-084)"""
        visitor = Desk().configured()
        visitor.protocol.dataReceived(frame(0x02) + frame(0x00) * (FRAMES_MAX - 1))
        self.assertEqual(visitor.messages(), [])
        visitor.protocol.dataReceived(frame(0x00))
        explained, code = visitor.messages()
        self.assertIn("frames of one message", explained["message"])
        self.assertEqual(code, 1009)

    def test_many_messages(self) -> None:
        """Frames are counted for each message; control frames between them are not."""
        visitor = Desk().configured()
        visitor.protocol.dataReceived(frame(0x82, b"a") * (FRAMES_MAX + 1))
        for _ in range(3):
            most = frame(0x00) * (FRAMES_MAX - 2) + frame(0x8A)
            visitor.protocol.dataReceived(frame(0x02, b"b") + most + frame(0x80, b"c"))
        call = visitor.call
        assert call is not None
        self.assertEqual([each[1] for each in call.told[-3:]], [b"bc"] * 3)
        self.assertEqual(visitor.messages(), [])
