"""``/ws`` over real sockets, behind twisted.web."""

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint
from twisted.internet.interfaces import IReactorTCP
from twisted.internet.protocol import Factory, Protocol
from twisted.trial.unittest import TestCase
from twisted.web.server import Site

from tests.gateway.client import Client, Upgrade, connect, soon
from tests.gateway.voice import CONFIG, FakeCall, world
from waav.gateway.calls import Calls
from waav.gateway.settings import WebSocketSettings
from waav.gateway.slots import Slots
from waav.gateway.ws import VoiceFactory
from waav.session.call import Outlet, World


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


class SocketTests(TestCase):
    def setUp(self) -> None:
        self.opened: list[FakeCall] = []
        self.told: Deferred[str] | None = None
        self.calls = Calls(reactor)  # type: ignore[arg-type]
        self.slots = Slots(None, None)

        def open_call(world: World, outlet: Outlet) -> FakeCall:
            self.opened.append(FakeCall(world, outlet))
            return self.opened[-1]

        self.factory = VoiceFactory(
            world(reactor),  # type: ignore[arg-type]
            WebSocketSettings(),
            self.calls,
            open_call=open_call,
        )
        sockets = IReactorTCP(reactor)
        port = sockets.listenTCP(0, Site(Upgrade(self.factory, self.slots)), interface="127.0.0.1")
        self.address = port.getHost().port
        self.addCleanup(port.stopListening)

    async def tearDown(self) -> None:
        await self.calls.stop(0)
        self.assertEqual((self.slots.total, self.calls.live), (0, 0))

    async def connect(self) -> Client:
        return await connect(self.address)

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
        call.outlet.audio(b"\3\4" * 240)
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

    async def test_slow_caller(self) -> None:
        """A caller who does not read pauses the call; when he does, everything is there in order. (F-078)"""
        client = await self.connect()
        client.say(CONFIG)
        await client.next()
        (call,) = self.opened
        client.transport.pauseProducing()
        sent = 0
        while call.told[-1] != ("pause",):
            call.outlet.audio(sent.to_bytes(4, "big") * 4096)
            sent += 1
            await soon()
            self.assertLess(sent, 5000)
        client.transport.resumeProducing()
        for number in range(sent):
            self.assertEqual(await client.next(), number.to_bytes(4, "big") * 4096)
        while call.told[-1] != ("resume",):
            await soon()

    async def test_congested_provider(self) -> None:
        """A caller whose provider is full is stopped by TCP, and loses nothing. (F-077)"""
        client = await self.connect()
        client.say(CONFIG)
        await client.next()
        (call,) = self.opened
        call.outlet.congested(True)
        for number in range(1000):
            client.say(number.to_bytes(4, "big") * 4096)
        for _ in range(50):
            await soon()
        self.assertLess(len(call.told), 50)
        call.outlet.congested(False)
        while len(call.told) < 1001:
            await soon()
        self.assertEqual(
            [each[1][:4] for each in call.told[1:]], [n.to_bytes(4, "big") for n in range(1000)]
        )

    async def test_shut_down(self) -> None:
        """When the gateway stops, callers are told with 1001."""
        client = await self.connect()
        stopping = self.calls.stop(0)
        self.assertEqual(await client.gone, 1001)
        await stopping

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
        await TCP4ClientEndpoint(reactor, "127.0.0.1", self.address).connect(
            Factory.forProtocol(lambda: got)
        )
        got.transport.write(
            (
                "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                f"Sec-WebSocket-Version: 13\r\n{headers}\r\n"
            ).encode()
        )
        return await got.done
