"""A gateway's ``/ws`` on a real port, plain or over TLS, and what must hold on both."""

from pathlib import Path
from typing import Any

from twisted.internet import reactor, ssl
from twisted.trial.unittest import TestCase
from twisted.web.server import Site

from tests.certificates import write_pair
from tests.gateway.client import Client, Upgrade, connect, soon
from tests.gateway.voices_rig import CONFIG, FakeCall, world
from waav.gateway.admission.live import LiveConnections
from waav.gateway.admission.slots import Slots
from waav.gateway.settings import WebSocketSettings
from waav.gateway.voice.ws import VoiceFactory
from waav.session.outlet import Outlet
from waav.session.world import World


class SocketCase(TestCase):
    """An open port; at the end nobody may be left.

    Attributes:
        is_secure: whether it speaks TLS.
    """

    is_secure = False

    def setUp(self) -> None:
        self.opened: list[FakeCall] = []
        self.calls = LiveConnections(reactor)  # type: ignore[arg-type]
        self.slots = Slots(None, None)

        def open_call(world: World, outlet: Outlet) -> FakeCall:
            self.opened.append(FakeCall(world, outlet))
            return self.opened[-1]

        factory = VoiceFactory(
            world(reactor),  # type: ignore[arg-type]
            WebSocketSettings(),
            self.calls,
            open_call=open_call,
        )
        sockets: Any = reactor
        site = Site(Upgrade(factory, self.slots))
        if self.is_secure:
            certificate, key = write_pair(Path(self.mktemp()))
            context = ssl.DefaultOpenSSLContextFactory(str(key), str(certificate))
            self.port = sockets.listenSSL(0, site, context, interface="127.0.0.1")
        else:
            self.port = sockets.listenTCP(0, site, interface="127.0.0.1")

    async def tearDown(self) -> None:
        await self.calls.stop(0)
        self.assertEqual((self.slots.total, self.calls.live), (0, 0))
        await self.port.stopListening()

    async def connect(self) -> Client:
        """A client without a config."""
        return await connect(self.port.getHost().port, is_secure=self.is_secure)

    async def configured(self) -> Client:
        """A client whose config is in force."""
        client = await self.connect()
        client.say(CONFIG)
        self.assertEqual((await client.next())["type"], "ready")
        return client


class Flow:
    """Tests of slow callers and slow vendors, run by each ``SocketCase`` that inherits from it."""

    async def test_slow_caller(self) -> None:
        """A caller who does not read pauses the call; when he does, everything is there in order. (F-078)"""
        client = await self.configured()
        (call,) = self.opened
        client.transport.pauseProducing()
        sent = 0
        while call.told[-1] != ("pause",):
            call.outlet.audio([sent.to_bytes(4, "big") * 4096])
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
        client = await self.configured()
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

    async def test_goodbyes(self) -> None:
        """Either side may say goodbye. (F-064)"""
        first, second = await self.configured(), await self.configured()
        first.sendClose(1000)
        self.assertEqual(await first.gone, 1000)
        stopping = self.calls.stop(0)
        self.assertEqual(await second.gone, 1001)
        await stopping
