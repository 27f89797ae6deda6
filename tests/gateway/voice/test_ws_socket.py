"""``/ws`` over real sockets, behind twisted.web."""

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.protocol import Factory, Protocol

from tests.gateway.client import soon
from tests.gateway.sockets import Flow, SocketCase
from tests.gateway.voices_rig import CONFIG


class Raw(Protocol):
    """Collects bytes until the end of the headers."""

    transport: Any

    def __init__(self) -> None:
        self.data = b""
        self.done: Deferred[bytes] = Deferred()

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        if b"\r\n\r\n" in self.data:
            self.transport.loseConnection()

    def connectionLost(self, reason: Any = None) -> None:
        self.done.callback(self.data)


class SocketTests(Flow, SocketCase):
    async def test_a_call(self) -> None:
        """Upgrade, config, audio both ways, results and a goodbye work over a real socket. (F-064)"""
        client = await self.connect()
        client.say(CONFIG)
        client.say(b"\1\2" * 320)
        client.say({"type": "ping", "timestamp": 7})
        self.assertEqual((await client.next())["type"], "ready")
        self.assertEqual((await client.next())["timestamp"], 7)
        (call,) = self.opened
        self.assertEqual(call.told[-1], ("hear", b"\1\2" * 320))
        call.outlet.audio([b"\3\4" * 240])
        call.outlet.spoken_all()
        self.assertEqual(await client.next(), b"\3\4" * 240)
        self.assertEqual((await client.next())["type"], "tts_playback_complete")
        self.assertEqual((self.slots.total, self.slots.count("127.0.0.1")), (1, 1))
        client.sendClose(1000)
        self.assertEqual(await client.gone, 1000)

    async def test_small_frames_leave_at_once(self) -> None:
        """Speech is not held back by Nagle's algorithm, behind twisted.web too."""
        await self.connect()
        (protocol,) = self.calls._live
        self.assertTrue(protocol.transport.getTcpNoDelay())  # type: ignore[attr-defined]

    async def test_broken_network(self) -> None:
        """A connection that breaks is cleaned up and its slot freed. (SRV-03, D-72)"""
        client = await self.connect()
        client.transport.abortConnection()
        await client.gone
        while self.calls.live:
            await soon()
        self.assertEqual((self.slots.total, self.opened[0].told), (0, [("hang_up",)]))

    async def test_failed_upgrade(self) -> None:
        """A handshake that fails gives its slot back. (SRV-03, D-72)"""
        for broken in ("Sec-WebSocket-Key: short\r\n", "Sec-WebSocket-Key: ?\r\n"):
            self.assertIn(b"400", await self.raw(broken))
            while self.calls.live:
                await soon()
            self.assertEqual(self.slots.total, 0)

    async def test_too_late(self) -> None:
        """While the gateway stops, an upgrade is refused and takes no slot. (SRV-03, D-72)"""
        await self.calls.stop(0)
        answer = await self.raw("Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n")
        self.assertIn(b" 500 ", answer)
        self.assertEqual(self.slots.total, 0)

    async def raw(self, headers: str) -> bytes:
        """What comes back for a handshake with these headers."""
        got = Raw()
        await TCP4ClientEndpoint(reactor, "127.0.0.1", self.port.getHost().port).connect(
            Factory.forProtocol(lambda: got)
        )
        got.transport.write(
            (
                "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Version: 13\r\n{headers}\r\n"
            ).encode()
        )
        return await got.done
