"""Connecting to a host by name."""

import asyncio
import gc
import socket
from typing import Any
from weakref import ref

from twisted.internet import reactor
from twisted.internet.address import HostnameAddress, IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import (
    ConnectError,
    ConnectingCancelledError,
    ConnectionRefusedError,
    DNSLookupError,
    NoProtocol,
    TimeoutError,
)
from twisted.internet.task import Clock

from tests.net.sockets import End, Ends, SocketCase, turns, until
from waav.net.host import NEXT_S, HostEndpoint
from waav.net.reactor import native

SILENT = "192.0.2.1"
"""An address that never answers."""


class SomeNeverAnswer:
    """The event loop, where connecting to ``SILENT`` neither succeeds nor fails."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self.silent: list[socket.socket] = []

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loop, name)

    async def sock_connect(self, handle: socket.socket, name: Any) -> None:
        if name[0] == SILENT:
            self.silent.append(handle)
            await self._loop.create_future()
        await self._loop.sock_connect(handle, name)


class Net:
    """A network with names of its own, and time that a test lets pass.

    Attributes:
        names: addresses by name, those that are tried first before the others.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.callLater = self.clock.callLater
        self.loop = SomeNeverAnswer(native(reactor).loop)
        self.nameResolver = self
        self.names: dict[str, list[str]] = {}
        self.receivers: list[Any] = []

    def resolveHostName(self, receiver: Any, name: str, portNumber: int = 0) -> None:
        receiver.resolutionBegan(self)
        self.receivers.append(receiver)
        for address in self.names.get(name, ()):
            receiver.addressResolved(IPv4Address("TCP", address, portNumber))
        if name != "slow.test":
            receiver.resolutionComplete()


class HostTests(SocketCase):
    net = native(reactor)

    def setUp(self) -> None:
        super().setUp()
        self.slow = Net()

    async def port(self, callers: Any) -> int:
        return int((await self.listen(callers)).getHost().port)

    def dial(self, name: str, port: int, factory: Any = None) -> Deferred[Any]:
        """Connect; what is connected is closed at the end of the test."""
        return (
            HostEndpoint(self.slow, name, port, 5.0)
            .connect(factory or Ends())
            .addCallback(self.keep)
        )  # type: ignore[arg-type]

    def keep(self, end: Any) -> Any:
        self.ends.append(end)
        return end

    async def test_an_address(self) -> None:
        """An address needs no resolver; what is said and heard goes straight to the protocol."""
        callers = Ends()
        end = await self.dial("127.0.0.1", await self.port(callers))
        self.assertEqual(self.slow.receivers, [])
        end.transport.write(b"hello")
        await until(lambda: callers.made and callers.made[0].data == b"hello")
        self.ends += callers.made
        callers.made[0].transport.write(b"and you")
        await until(lambda: end.data == b"and you")
        self.assertIs(end.transport.protocol, end)
        self.assertEqual(self.slow.clock.getDelayedCalls(), [])

    async def test_a_name(self) -> None:
        """A name is looked up; the addresses of a host that are no good are passed over at once."""
        callers = Ends()
        port = await self.port(callers)
        self.slow.names["two.test"] = ["127.255.255.255", "127.0.0.1"]
        end = await self.dial("two.test", port)
        self.assertEqual(end.transport.getPeer().host, "127.0.0.1")
        await until(lambda: callers.made)
        self.ends += callers.made

    async def test_an_address_that_is_slow(self) -> None:
        """An address that does not answer soon is not waited for: the next is tried too, and the first given up."""
        callers = Ends()
        port = await self.port(callers)
        self.slow.names["two.test"] = [SILENT, "127.0.0.1"]
        dialling = self.dial("two.test", port)
        await until(lambda: self.slow.loop.silent)
        self.slow.clock.advance(NEXT_S - 0.01)
        await turns()
        self.assertEqual((callers.made, dialling.called), ([], False))
        self.slow.clock.advance(0.01)
        await dialling
        await until(lambda: callers.made)
        self.ends += callers.made
        await until(lambda: self.slow.loop.silent[0].fileno() < 0)
        self.assertEqual(self.slow.clock.getDelayedCalls(), [])

    async def test_nobody_answers(self) -> None:
        """An address that never answers is given up after its time limit."""
        dialling = self.dial(SILENT, 1)
        await until(lambda: self.slow.loop.silent)
        self.slow.clock.advance(4.9)
        self.assertFalse(dialling.called)
        self.slow.clock.advance(0.1)
        await self.assertFailure(dialling, TimeoutError)
        await until(lambda: self.slow.loop.silent[0].fileno() < 0)

    async def test_refused(self) -> None:
        """A port where nobody listens is a refusal, by name as by address."""
        with socket.socket() as unused:
            unused.bind(("127.0.0.1", 0))
            port = unused.getsockname()[1]
            self.slow.names["here.test"] = ["127.0.0.1"]
            await self.assertFailure(self.dial("here.test", port), ConnectionRefusedError)

    async def test_unknown_names(self) -> None:
        """A name without an address is told from a host that does not answer."""
        await self.assertFailure(self.dial("nowhere.test", 1), DNSLookupError)

    async def test_cancelled(self) -> None:
        """Whoever does not want to wait says so: nothing is tried any more, at whatever point it was."""
        self.slow.names["slow.test"] = [SILENT, "127.0.0.1"]
        early = self.dial("slow.test", 1)
        early.cancel()
        error = await self.assertFailure(early, ConnectingCancelledError)
        self.assertEqual(error.address, HostnameAddress(b"slow.test", 1))
        self.slow.receivers[0].addressResolved(IPv4Address("TCP", SILENT, 1))
        self.slow.receivers[0].resolutionComplete()
        self.slow.names["two.test"] = [SILENT, "127.0.0.1"]
        late = self.dial("two.test", 1)
        await until(lambda: self.slow.loop.silent)
        late.cancel()
        await self.assertFailure(late, ConnectingCancelledError)
        await until(lambda: self.slow.loop.silent[0].fileno() < 0)
        self.assertEqual((len(self.slow.loop.silent), self.slow.clock.getDelayedCalls()), (1, []))

    async def test_no_protocol(self) -> None:
        """A factory that makes nothing, or fails, is told as such; no other address would be better."""
        callers = Ends()
        port = await self.port(callers)
        self.slow.names["two.test"] = ["127.0.0.1", "127.0.0.1"]
        await self.assertFailure(self.dial("two.test", port, Ends(lambda: None)), NoProtocol)
        await self.assertFailure(
            self.dial("two.test", port, Ends(lambda: 1 / 0)), ZeroDivisionError
        )
        await until(lambda: len(callers.made) == 2)
        self.ends += callers.made

    async def test_a_protocol_that_cannot_begin(self) -> None:
        """A protocol that fails when it gets its connection is a failure, and the connection is broken."""

        def begin() -> None:
            raise ConnectError("not today")

        end = End()
        end.on_made = begin
        callers = Ends()
        port = await self.port(callers)
        await self.assertFailure(self.dial("127.0.0.1", port, Ends(lambda: end)), ConnectError)
        await until(lambda: end.lost.called and callers.made)
        self.ends += callers.made
        self.assertEqual(len(self.flushLoggedErrors(ConnectError)), 1)

    async def test_what_stays(self) -> None:
        """A connection that has ended, and one that could not be made, leave nothing to the garbage collector."""
        callers = Ends()
        port = await self.port(callers)
        self.addCleanup(gc.enable)
        gc.disable()
        end = await HostEndpoint(self.slow, "127.0.0.1", port, 5.0).connect(Ends())  # type: ignore[arg-type]
        left = [ref(end), ref(end.transport)]
        end.transport.abortConnection()
        await end.lost
        factory = Ends()
        left.append(ref(factory))
        dialling = HostEndpoint(self.slow, SILENT, 1, 5.0).connect(factory)  # type: ignore[arg-type]
        await until(lambda: self.slow.loop.silent)
        self.slow.clock.advance(5.0)
        await self.assertFailure(dialling, TimeoutError)
        await until(lambda: callers.made)
        self.ends += callers.made
        del end, factory, dialling
        await turns()
        self.assertEqual([one() for one in left], [None, None, None])
