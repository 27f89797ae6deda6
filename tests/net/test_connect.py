"""Connecting to others."""

import os
import socket
from typing import Any

from twisted.internet import reactor
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, TCP4ClientEndpoint, UNIXClientEndpoint
from twisted.internet.error import (
    BadFileError,
    ConnectBindError,
    ConnectError,
    ConnectingCancelledError,
    ConnectionRefusedError,
    DNSLookupError,
    NotConnectingError,
    TimeoutError,
    UserError,
)
from twisted.internet.interfaces import IHostnameResolver, IResolutionReceiver
from twisted.internet.protocol import ClientFactory
from zope.interface import implementer

from tests.net.sockets import End, Ends, SocketCase, turns
from tests.waiting import until
from waav.net.reactor import native


class Told(ClientFactory):
    """Remembers what it is told."""

    noisy = False

    def __init__(self) -> None:
        self.told: list[str] = []
        self.failed: Deferred[Any] = Deferred()
        self.end = End()

    def doStart(self) -> None:
        self.told.append("start")

    def doStop(self) -> None:
        self.told.append("stop")

    def startedConnecting(self, connector: Any) -> None:
        self.told.append(connector.state)

    def buildProtocol(self, addr: Any) -> Any:
        self.told.append("built")
        return self.end

    def clientConnectionFailed(self, connector: Any, reason: Any) -> None:
        self.told.append("failed")
        self.failed.errback(reason)

    def clientConnectionLost(self, connector: Any, reason: Any) -> None:
        self.told.append("lost")


@implementer(IHostnameResolver)
class Names:
    """Knows where ``many.test`` is."""

    def resolveHostName(
        self,
        resolutionReceiver: IResolutionReceiver,
        hostName: str,
        portNumber: int = 0,
        *rest: Any,
        **more: Any,
    ) -> Any:
        resolutionReceiver.resolutionBegan(self)  # type: ignore[arg-type]
        if hostName == "many.test":
            resolutionReceiver.addressResolved(IPv6Address("TCP", "100::1", portNumber))
            resolutionReceiver.addressResolved(IPv4Address("TCP", "127.0.0.1", portNumber))
        resolutionReceiver.resolutionComplete()
        return self


class ConnectTests(SocketCase):
    def setUp(self) -> None:
        super().setUp()
        self.net = native(reactor)

    def full(self) -> int:
        """A port where nobody is ever taken in."""
        listening = socket.create_server(("127.0.0.1", 0), backlog=0)
        self.addCleanup(listening.close)
        for _ in range(4):
            filling = socket.socket()
            filling.setblocking(False)
            filling.connect_ex(listening.getsockname())
            self.addCleanup(filling.close)
        return int(listening.getsockname()[1])

    async def test_what_a_factory_is_told(self) -> None:
        """A client factory hears of the beginning, the connection and its end, in Twisted's order."""
        port = await self.listen(Ends())
        factory = Told()
        connector = self.net.connectTCP("127.0.0.1", port.getHost().port, factory)
        self.assertRaises(RuntimeError, connector.connect)
        await until(lambda: factory.end.transport)
        self.assertRaises(NotConnectingError, connector.stopConnecting)
        self.assertEqual(connector.getDestination(), port.getHost())
        connector.disconnect()
        await factory.end.lost
        await until(lambda: "stop" in factory.told)
        self.assertEqual(factory.told, ["start", "connecting", "built", "lost", "stop"])

    async def test_nobody_there(self) -> None:
        """A refused connection is told as that, with the system's own error."""
        factory = Told()
        self.net.connectTCP("127.0.0.1", 1, factory)
        error: Any = await self.assertFailure(factory.failed, ConnectionRefusedError)
        self.assertEqual(error.osError, 111)
        await until(lambda: "stop" in factory.told)
        self.assertEqual(factory.told, ["start", "connecting", "failed", "stop"])

    async def test_no_way(self) -> None:
        """An address that cannot be reached is a failure to connect."""
        connecting = TCP4ClientEndpoint(self.net, "255.255.255.255", 9).connect(Ends())
        await self.assertFailure(connecting, ConnectError)

    async def test_too_slow(self) -> None:
        """A host that does not answer is given up in time; nothing is left of the attempt."""
        port = self.full()
        left = []
        for _ in range(3):
            endpoint = TCP4ClientEndpoint(self.net, "127.0.0.1", port, timeout=0.05)  # type: ignore[arg-type]
            await self.assertFailure(endpoint.connect(Ends()), TimeoutError)
            await turns()
            left.append(len(os.listdir("/proc/self/fd")))
        # The first may open descriptors that uvloop keeps for itself.
        self.assertEqual(left[1], left[2])

    async def test_changing_ones_mind(self) -> None:
        """An attempt can be stopped, by its connector or by cancelling."""
        port = self.full()
        factory = Told()
        self.net.connectTCP("127.0.0.1", port, factory).stopConnecting()
        await self.assertFailure(factory.failed, UserError)
        connecting = TCP4ClientEndpoint(self.net, "127.0.0.1", port).connect(Ends())
        await turns()
        connecting.cancel()
        await self.assertFailure(connecting, ConnectingCancelledError)

    async def test_stopping_in_the_last_moment(self) -> None:
        """An attempt that is stopped just as it succeeds leaves no connection."""
        callers = Ends()
        port = await self.listen(callers)
        for number in range(8):
            factory = Told()
            connector = self.net.connectTCP("127.0.0.1", port.getHost().port, factory)
            turned = Deferred[None]()

            def later(left: int, turned: Any = turned) -> None:
                if left:
                    self.net.loop.call_soon(later, left - 1, turned)
                else:
                    turned.callback(None)

            later(number)
            await turned
            if connector.state == "connecting":
                connector.stopConnecting()
                await self.assertFailure(factory.failed, UserError)
            else:
                connector.disconnect()
                await factory.end.lost
        await turns(20)
        for end in callers.made:
            await end.lost

    async def test_where_from(self) -> None:
        """A connection may begin at an address of choice; one that is not ours is refused."""
        callers = Ends()
        port = await self.listen(callers)
        number = port.getHost().port
        client: Any = await TCP4ClientEndpoint(
            self.net, "127.0.0.1", number, bindAddress=("127.0.0.2", 0)
        ).connect(Ends())
        self.ends.append(client)
        self.assertEqual(client.transport.getHost().host, "127.0.0.2")
        await until(lambda: callers.made)
        self.ends += callers.made
        connecting = TCP4ClientEndpoint(
            self.net, "127.0.0.1", number, bindAddress=("192.0.2.1", 0)
        ).connect(Ends())
        await self.assertFailure(connecting, ConnectBindError)

    async def test_names(self) -> None:
        """A host with several addresses is reached by the one that answers first; the reactor's resolver is asked."""
        before = reactor.nameResolver  # type: ignore[attr-defined]
        reactor.installNameResolver(Names())  # type: ignore[attr-defined]
        self.addCleanup(reactor.installNameResolver, before)  # type: ignore[attr-defined]
        callers = Ends()
        port = await self.listen(callers)
        client: Any = await HostnameEndpoint(
            self.net, "many.test", port.getHost().port, attemptDelay=0.01
        ).connect(Ends())
        self.ends.append(client)
        self.assertEqual(client.transport.getPeer().host, "127.0.0.1")
        await until(lambda: callers.made)
        self.ends += callers.made
        connecting = HostnameEndpoint(self.net, "nowhere.test", 1).connect(Ends())
        await self.assertFailure(connecting, DNSLookupError)

    async def test_a_name_for_connectTCP(self) -> None:
        """``connectTCP`` takes names as well, and service names as ports."""
        port = await self.listen(Ends())
        factory = Told()
        self.net.connectTCP("localhost", port.getHost().port, factory)
        await until(lambda: factory.end.transport)
        self.ends.append(factory.end)
        other = Told()
        connector = self.net.connectTCP("127.0.0.1", "discard", other)
        self.assertEqual(connector.port, 9)
        await self.assertFailure(other.failed, ConnectionRefusedError)

    async def test_a_path_without_a_server(self) -> None:
        """A path where nobody listens is a failure to connect, and so is one without the lock that was asked for."""
        path = os.path.relpath(self.mktemp())
        await self.assertFailure(UNIXClientEndpoint(self.net, path).connect(Ends()), ConnectError)
        await self.assertFailure(
            UNIXClientEndpoint(self.net, path, checkPID=True).connect(Ends()), BadFileError
        )
