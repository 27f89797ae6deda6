"""``/ws`` and the frame lane: turns, pieces of reads, and the event loop's own sockets."""

import random
import signal
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.certificates import write_pair
from tests.gateway.client import soon
from tests.gateway.sockets import Flow, SocketCase
from tests.gateway.voices_rig import Desk, Visitor, desk
from tests.net.frame_scripts import frame
from waav.gateway.voice import ws
from waav.gateway.voice.ws import PIECE_BYTES, TURN_S
from waav.net.reactor import native
from waav.net.tls import Certificate, SecureEndpoint

MASK = b"\x11\x22\x33\x44"


def heard(visitor: Visitor) -> list[bytes]:
    """The audio that the caller's call was told."""
    assert visitor.call is not None
    return [each[1] for each in visitor.call.told if each[0] == "hear"]


class BurstTests(SynchronousTestCase):
    """Several seconds of audio in one read."""

    def setUp(self) -> None:
        self.desk = desk()
        self.visitor = self.desk.configured()
        self.by_autobahn = 0
        end = self.visitor.protocol.onMessageEnd

        def counted() -> None:
            self.by_autobahn += 1
            end()

        self.visitor.protocol.onMessageEnd = counted

    def test_lane_is_kept(self) -> None:
        """Frames that lie across the pieces of a read arrive in order, and without the long way through Autobahn."""
        audio = [number.to_bytes(4, "big") * 160 for number in range(100)]
        self.visitor.protocol.dataReceived(b"".join(frame(each, 0x82, MASK) for each in audio))
        self.assertEqual(heard(self.visitor), audio)
        self.assertEqual(self.by_autobahn, 0)

    def test_cut_like_whole(self) -> None:
        """However a stream of everything a caller may send is cut, it means the same."""
        dice = random.Random(3)
        stream = b""
        for _ in range(300):
            sound = dice.randbytes(dice.choice((0, 2, 124, 126, 640, 640, 640, 5000, 70000)))
            kind = dice.random()
            if kind < 0.7:
                stream += frame(sound, 0x82, MASK)
            elif kind < 0.8:
                stream += (
                    frame(sound, 0x02, MASK) + frame(b"?", 0x89, MASK) + frame(b"!!", 0x80, MASK)
                )
            elif kind < 0.9:
                stream += frame(b'{"type": "ping", "timestamp": 7}', 0x81, MASK)
            else:
                stream += frame(sound[:125], 0x89, MASK)
        self.visitor.protocol.dataReceived(stream)
        whole = heard(self.visitor), self.visitor.frames()
        self.assertGreater(len(whole[0]), 100)
        for most in (1500, PIECE_BYTES, PIECE_BYTES + 1, 65536):
            visitor, at = Desk().configured(), 0
            while at < len(stream):
                size = dice.randint(1, most)
                visitor.protocol.dataReceived(stream[at : at + size])
                at += size
            self.assertEqual((heard(visitor), visitor.frames()), whole)


class FairTests(SynchronousTestCase):
    """Turns."""

    def setUp(self) -> None:
        self.desk = desk()
        self.flood, self.other = self.desk.configured(), self.desk.configured()
        call = self.flood.call
        assert call is not None
        hear = call.hear

        def slow(data: bytes) -> None:
            hear(data)
            self.desk.clock.rightNow += TURN_S / 3

        call.hear = slow  # type: ignore[method-assign]
        self.audio = [bytes([number]) * 640 for number in range(200)]
        self.stream = b"".join(frame(each, 0x82, MASK) for each in self.audio)

    def test_others_between(self) -> None:
        """While a caller's seconds of audio are worked through, another's frame is heard between two turns."""
        self.flood.protocol.dataReceived(self.stream)
        first = len(heard(self.flood))
        self.assertLess(first, 20)
        self.other.send(b"now")
        self.assertEqual(heard(self.other), [b"now"])
        self.assertEqual(len(heard(self.flood)), first)
        self.desk.clock.advance(0)
        self.assertEqual(heard(self.flood), self.audio)

    def test_left_within(self) -> None:
        """A caller who ends the connection in peace is heard to the end first; only then his call is over."""
        self.flood.protocol.dataReceived(self.stream)
        self.flood.protocol.connectionLost(Failure(ConnectionDone()))
        call = self.flood.call
        assert call is not None
        self.assertNotIn(("hang_up",), call.told)
        self.desk.clock.advance(0)
        self.assertEqual(heard(self.flood), self.audio)
        self.assertEqual(call.told[-1], ("hang_up",))
        self.other.protocol.connectionLost(Failure(ConnectionDone()))
        self.assertEqual((self.desk.calls.live, self.desk.clock.getDelayedCalls()), (0, []))

    def test_left_after_goodbye(self) -> None:
        """Nor does anything stay behind of a caller whom we told goodbye before he left."""
        self.flood.protocol.dataReceived(self.stream)
        self.flood.protocol.close(1001, "going away")
        self.flood.protocol.connectionLost(Failure(ConnectionDone()))
        self.other.leave()
        self.assertEqual((self.desk.calls.live, self.desk.clock.getDelayedCalls()), (0, []))

    def test_goodbye_within(self) -> None:
        """A caller who says goodbye after much audio is heard to the end, and nothing after it."""
        goodbye = frame(b"\x03\xe8", 0x88, MASK)
        self.flood.protocol.dataReceived(self.stream + goodbye + frame(b"late", 0x82, MASK))
        for _ in range(200):
            self.desk.clock.advance(0)
        self.assertEqual(heard(self.flood), self.audio)
        self.assertEqual(self.flood.messages(), [1000])
        self.assertTrue(self.flood.transport.disconnecting)

    def test_fault_within(self) -> None:
        """What comes before a broken frame is heard although it waits for its turn; then it ends with 1002."""
        self.flood.protocol.dataReceived(self.stream + frame(b"unmasked") + self.stream)
        for _ in range(400):
            self.desk.clock.advance(0)
        self.assertEqual(heard(self.flood), self.audio)
        explained, code = self.flood.messages()
        self.assertIn("WebSocket error", explained["message"])
        self.assertEqual(code, 1002)


class LoopSockets(SocketCase):
    """The port is the event loop's, as in a deployment."""

    async def setUp(self) -> None:  # type: ignore[override]
        super().setUp()
        factory = self.port.factory
        site = getattr(factory, "wrappedFactory", factory)
        await self.port.stopListening()
        net = native(reactor)
        endpoint: Any = serverFromString(net, "tcp:0:interface=127.0.0.1")
        if self.is_secure:
            self.addCleanup(signal.signal, signal.SIGHUP, signal.getsignal(signal.SIGHUP))
            endpoint = SecureEndpoint(
                net, endpoint, Certificate(net, *write_pair(Path(self.mktemp())))
            )
        self.port = await endpoint.listen(site)


class Leaving:
    """Callers who say much and leave; for ``SocketCase``."""

    async def test_gone_after_much(self) -> None:
        """All is heard that a caller sent before the connection ended, though it took many turns to work it through."""
        self.patch(ws, "TURN_S", 0.00001)
        client = await self.configured()
        (call,) = self.opened
        audio = [number.to_bytes(4, "big") * 160 for number in range(3000)]
        for each in audio:
            client.say(each)
        client.dropConnection()
        await client.gone
        while self.calls.live:
            await soon()
        self.assertEqual([each[1] for each in call.told if each[0] == "hear"], audio)
        self.assertEqual(call.told[-1], ("hang_up",))


class LeaveTests(Leaving, LoopSockets):
    """On the event loop's sockets."""


class SecureLeaveTests(Leaving, LoopSockets):
    """With TLS on top of them."""

    is_secure = True


class StockLeaveTests(Leaving, SocketCase):
    """On Twisted's sockets."""


class SecureStockLeaveTests(Leaving, SocketCase):
    """With Twisted's TLS, which tells the end of a connection though it was asked to wait."""

    is_secure = True


class FlowTests(Flow, LoopSockets):
    """What holds on Twisted's sockets holds on the event loop's."""


class SecureFlowTests(Flow, LoopSockets):
    """Over TLS."""

    is_secure = True
