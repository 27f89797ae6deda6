"""A connection of the event loop behaves as one of Twisted's: the same tests for both, plain and with TLS."""

import os
import socket
import struct
from typing import Any

from twisted.internet import reactor
from twisted.internet.endpoints import UNIXClientEndpoint, UNIXServerEndpoint
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableProtocol,
    IPushProducer,
    ISystemHandle,
    ITCPTransport,
)
from twisted.internet.task import deferLater
from zope.interface import implementer
from zope.interface.verify import verifyObject

from tests.net.secure_sockets import SecureCase
from tests.net.sockets import End, Ends, Loopless, SocketCase, turns
from tests.waiting import until
from waav.net.reactor import native
from waav.net.transport import Connection

MUCH = bytes(range(256)) * 48000
"""Twelve megabytes: more than the buffers of two sockets on loopback take."""


@implementer(IHalfCloseableProtocol)
class Half(End):
    def readConnectionLost(self) -> None:
        self.told.append("read lost")

    def writeConnectionLost(self) -> None:
        self.told.append("write lost")


class Breaks(End):
    error: type[Exception] = RuntimeError

    def dataReceived(self, data: bytes) -> None:
        raise self.error("broken")


class BreaksLikeTheNetwork(Breaks):
    error = ConnectionResetError


class Pieces(End):
    """Pulled: one piece for each time it is asked."""

    left = 20

    def resumeProducing(self) -> None:
        self.left -= 1
        self.transport.write(b"x" * 30000)
        if not self.left:
            self.transport.unregisterProducer()
            self.transport.loseConnection()


class Behaviour:
    """What protocols may expect of any stream transport."""

    async def test_there_and_back(self: Any) -> None:
        """What one end writes the other gets, in order, whatever the sizes."""
        server, client = await self.pair()
        client.transport.write(b"one")
        client.transport.write(b"")
        client.transport.writeSequence([b"two", b"", b"three"])
        client.transport.writeSequence([])
        server.transport.write(MUCH)
        await until(lambda: server.data == b"onetwothree" and len(client.data) == len(MUCH))
        self.assertEqual(client.data, MUCH)

    async def test_interfaces(self: Any) -> None:
        """Code that asks Twisted's interfaces what a transport can do gets what they promise."""
        for end in await self.pair():
            for interface in (ITCPTransport, IPushProducer, IConsumer, ISystemHandle):
                verifyObject(interface, end.transport)

    async def test_addresses(self: Any) -> None:
        """Each end knows its own address and the other's."""
        server, client = await self.pair()
        self.assertEqual(server.transport.getPeer(), client.transport.getHost())
        self.assertEqual(server.transport.getHost(), client.transport.getPeer())
        self.assertEqual(client.transport.getPeer().host, "127.0.0.1")

    async def test_closing_sends_what_was_written(self: Any) -> None:
        """A connection closed after a large answer delivers all of it; both ends see a clean end. Nothing is delivered any more."""
        server, client = await self.pair()
        server.transport.write(MUCH)
        server.transport.loseConnection()
        self.assertTrue(server.transport.disconnecting)
        await client.lost
        await server.lost
        self.assertEqual(client.data, MUCH)
        self.assertEqual((server.ended_by, client.ended_by), ("ConnectionDone", "ConnectionDone"))
        server.transport.write(b"late")
        server.transport.writeSequence([b"late"])
        server.transport.loseConnection()
        server.transport.abortConnection()
        server.transport.pauseProducing()
        server.transport.resumeProducing()

    async def test_breaking_it_off(self: Any) -> None:
        """An aborted connection ends at once though the peer reads nothing; the peer sees that it was cut."""
        server, client = await self.pair()
        client.transport.pauseProducing()
        server.transport.write(MUCH)
        server.transport.abortConnection()
        server.transport.abortConnection()
        self.assertEqual(server.ended_by, "")
        await server.lost
        self.assertEqual(server.ended_by, "ConnectionAborted")
        client.transport.resumeProducing()
        await client.lost
        self.assertEqual(client.ended_by, "ConnectionLost")

    async def test_abort_while_closing(self: Any) -> None:
        """A close that waits for a peer who reads nothing can be cut short."""
        server, client = await self.pair()
        client.transport.pauseProducing()
        server.transport.write(MUCH)
        server.transport.loseConnection()
        await turns()
        self.assertEqual(server.ended_by, "")
        server.transport.abortConnection()
        await server.lost
        self.assertEqual(server.ended_by, "ConnectionAborted")

    async def test_a_reset_while_closing(self: Any) -> None:
        """Who still says the last of a large answer, to a peer who cuts him off, hears that it was lost."""
        server, client = await self.pair()
        client.transport.pauseProducing()
        server.transport.write(MUCH)
        server.transport.loseConnection()
        await turns()
        self.assertEqual(server.ended_by, "")
        client.transport.abortConnection()
        await server.lost
        self.assertEqual(
            (server.ended_by, client.ended_by), ("ConnectionLost", "ConnectionAborted")
        )

    async def test_a_protocol_that_fails(self: Any) -> None:
        """An error in a protocol is logged once and ends that connection, whatever kind of error it is."""
        for kind in (Breaks, BreaksLikeTheNetwork):
            server, client = await self.pair(kind)
            client.transport.write(b"x")
            await server.lost
            await client.lost
            self.assertEqual(len(self.flushLoggedErrors(kind.error)), 1)

    async def test_pausing(self: Any) -> None:
        """A paused connection delivers nothing; what waited comes when it is resumed. Saying it twice is once."""
        server, client = await self.pair()
        for _ in range(2):
            server.transport.pauseProducing()
        client.transport.write(b"waits")
        await turns(20)
        self.assertEqual(server.data, b"")
        for _ in range(2):
            server.transport.resumeProducing()
        await until(lambda: server.data == b"waits")

    async def test_pausing_at_once(self: Any) -> None:
        """A protocol that pauses before anything came gets nothing until it resumes."""

        class Careful(End):
            def connectionMade(self) -> None:
                self.transport.pauseProducing()

        class Eager(End):
            def connectionMade(self) -> None:
                self.transport.write(b"at once")

        server, client = await self.pair(Careful, Eager)
        await turns(20)
        self.assertEqual(server.data, b"")
        client.transport.write(b", and later")
        server.transport.resumeProducing()
        await until(lambda: server.data == b"at once, and later")

    async def test_the_end_while_paused(self: Any) -> None:
        """What a peer sent before he hung up is delivered after a pause, and then the end."""
        server, client = await self.pair()
        server.transport.pauseProducing()
        client.transport.write(b"last words")
        client.transport.loseConnection()
        await turns(20)
        self.assertEqual((server.data, server.ended_by), (b"", ""))
        server.transport.resumeProducing()
        await server.lost
        self.assertEqual((server.data, server.ended_by), (b"last words", "ConnectionDone"))

    async def test_pausing_in_the_middle(self: Any) -> None:
        """A protocol that pauses while it is given something gets no more; the rest is in order."""

        class Sips(End):
            def dataReceived(self, data: bytes) -> None:
                self.data += data
                self.transport.pauseProducing()
                reactor.callLater(0, self.transport.resumeProducing)  # type: ignore[attr-defined]

        server, client = await self.pair(Sips)
        client.transport.write(MUCH[:500000])
        client.transport.loseConnection()
        await server.lost
        self.assertEqual(server.data, MUCH[:500000])

    async def test_a_reader_that_stalls(self: Any) -> None:
        """A producer is paused when the peer takes no more, told to go on when he does, and stopped at the end. (S-LIM-03)"""
        server, client = await self.pair()
        client.transport.pauseProducing()
        server.transport.registerProducer(server, True)
        sent, pauses = 0, 0
        while server.told[-1:] != ["pause"]:
            while server.told[-1:] != ["pause"]:
                server.transport.write(MUCH[:16384])
                sent += 16384
                self.assertLess(sent, 1 << 28)
                await deferLater(reactor, 0)
            pauses += 1
            # The kernel may take some more, on a busy machine a moment later.
            await turns(20)
        self.assertEqual(server.told, ["pause", "resume"] * (pauses - 1) + ["pause"])
        client.transport.resumeProducing()
        await until(lambda: server.told == ["pause", "resume"] * pauses)
        await until(lambda: len(client.data) == sent)
        client.transport.abortConnection()
        await server.lost
        self.assertEqual(server.told, ["pause", "resume"] * pauses + ["stop"])

    async def test_pulling(self: Any) -> None:
        """A producer that is to be pulled is asked again and again, also when the connection is to close."""
        server, client = await self.pair(Pieces)
        server.transport.registerProducer(server, False)
        server.transport.loseConnection()
        await client.lost
        self.assertEqual(len(client.data), 600000)

    async def test_closing_with_a_producer_that_waits(self: Any) -> None:
        """A producer that was paused says the rest before the connection closes."""
        server, client = await self.pair()
        client.transport.pauseProducing()

        def resume() -> None:
            server.transport.write(b"the end")
            server.transport.unregisterProducer()

        server.resumeProducing = resume
        server.transport.registerProducer(server, True)
        server.transport.write(MUCH)
        await until(lambda: server.told == ["pause"])
        server.transport.loseConnection()
        client.transport.resumeProducing()
        await client.lost
        self.assertEqual(client.data, MUCH + b"the end")

    async def test_one_producer_at_a_time(self: Any) -> None:
        """A second producer is refused; after the end one is stopped at once."""
        server, client = await self.pair()
        server.transport.registerProducer(server, True)
        self.assertRaises(RuntimeError, server.transport.registerProducer, client, True)
        server.transport.unregisterProducer()
        server.transport.registerProducer(client, True)
        server.transport.abortConnection()
        await server.lost
        self.assertEqual(client.told, ["stop"])
        late = End()
        server.transport.registerProducer(late, True)
        self.assertEqual(late.told, ["stop"])

    async def test_small_pieces(self: Any) -> None:
        """Both ends can be told not to hold small pieces back, and to ask for silent peers."""
        for end in await self.pair():
            end.transport.setTcpNoDelay(True)
            self.assertTrue(end.transport.getTcpNoDelay())
            end.transport.setTcpKeepAlive(True)
            self.assertTrue(end.transport.getTcpKeepAlive())

    async def test_nobody_wants_it(self: Any) -> None:
        """A factory that builds nothing closes the connection."""
        factory = Ends(lambda: None)
        port = await self.listen(factory)
        client = await self.client_endpoint(port.getHost().port).connect(Ends())
        self.ends.append(client)
        await client.lost
        self.assertEqual(client.data, b"")


class PlainBehaviour(Behaviour):
    """What differs under TLS."""

    async def test_a_peer_that_sends_no_more(self: Any) -> None:
        """A peer that closes its sending half ends the connection, though it never reads what we have for it."""
        server, client = await self.pair()
        client.transport.pauseProducing()
        server.transport.write(MUCH)
        await turns()
        client.transport.loseWriteConnection()
        await server.lost
        self.assertEqual(server.ended_by, "ConnectionDone")

    async def test_half_a_connection(self: Any) -> None:
        """Where both know of it, one end may finish while the other still talks."""
        server, client = await self.pair(Half, Half)
        client.transport.write(MUCH)
        client.transport.loseWriteConnection()
        await until(lambda: server.told == ["read lost"] and client.told == ["write lost"])
        self.assertEqual(server.data, MUCH)
        client.transport.write(b"forgotten")
        server.transport.write(MUCH)
        server.transport.loseConnection()
        await until(lambda: len(client.data) == len(MUCH))
        client.transport.loseConnection()
        await client.lost
        await server.lost
        self.assertEqual((server.ended_by, client.ended_by), ("ConnectionDone", "ConnectionDone"))

    async def test_another_protocol(self: Any) -> None:
        """Another protocol may take a connection over in the middle, as WebSockets do, and gets its end."""
        server, client = await self.pair()
        client.transport.write(b"first")
        await until(lambda: server.data == b"first")
        second = End()
        server.transport.protocol = second
        second.makeConnection(server.transport)
        client.transport.write(b"second")
        await until(lambda: second.data == b"second")
        client.transport.loseConnection()
        await second.lost
        self.assertEqual((server.data, second.ended_by), (b"first", "ConnectionDone"))
        server.lost.callback(None)


class Resets:
    """What comes with a reset. Twisted's own sockets never hear of some of those on uvloop, so these are for ours."""

    async def test_what_arrives_after_closing(self: Any) -> None:
        """Who has closed hears no more, though his last words are still on their way and the peer still talks."""
        server, client = await self.pair()
        client.transport.pauseProducing()
        server.transport.write(MUCH)
        server.transport.loseConnection()
        client.transport.write(b"too late")
        await turns(20)
        client.transport.resumeProducing()
        await client.lost
        await server.lost
        self.assertEqual(server.data, b"")


class Failures:
    """Protocols that fail where Twisted's own sockets log it in ways of their own."""

    async def test_failing_on_what_waited(self: Any) -> None:
        """An error over bytes that waited for a pause to end is logged once and ends that connection."""

        class Sips(End):
            def dataReceived(self, data: bytes) -> None:
                if self.data:
                    raise RuntimeError("broken")
                self.data += data
                self.transport.pauseProducing()
                reactor.callLater(0, self.transport.resumeProducing)  # type: ignore[attr-defined]

        server, client = await self.pair(Sips)
        client.transport.write(MUCH)
        await server.lost
        await client.lost
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    async def test_failing_at_the_end(self: Any) -> None:
        """An error of a protocol that is told of its end is logged once, and the peer's end comes all the same."""

        class Stumbles(End):
            def connectionLost(self, reason: Any = None) -> None:
                super().connectionLost(reason)
                raise RuntimeError("broken")

        for end in ("loseConnection", "abortConnection"):
            server, client = await self.pair(Stumbles)
            getattr(server.transport, end)()
            await server.lost
            await client.lost
            self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class PlainResets(Resets):
    """What differs under TLS."""

    async def test_a_reset_with_much_unread(self: Any) -> None:
        """A caller who is cut off while more than one read of his audio waits is noticed. (S-LIM-03)"""
        callers = Ends()
        port = await self.listen(callers)
        peer = socket.create_connection(("127.0.0.1", port.getHost().port))
        self.addCleanup(peer.close)
        await until(lambda: callers.made and callers.made[0].transport)
        self.ends.append(callers.made[0])
        callers.made[0].transport.pauseProducing()
        peer.sendall(MUCH[:700000])
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        peer.close()
        await turns()
        callers.made[0].transport.resumeProducing()
        callers.made[0].transport.write(b"to nobody")
        await callers.made[0].lost
        self.assertEqual(callers.made[0].ended_by, "ConnectionLost")


class StockTests(PlainBehaviour, SocketCase):
    """Twisted's own: the measure of ours."""

    net: Any = Loopless()


class NativeTests(PlainBehaviour, PlainResets, Failures, SocketCase):
    """Ours."""

    def setUp(self) -> None:
        super().setUp()
        self.net = native(reactor)

    async def test_it_is_ours(self) -> None:
        """Connections of a reactor with an event loop are the loop's, with no-delay from the start. (F-040)"""
        ends = await self.pair()
        handles = [end.transport.getHandle().fileno() for end in ends]
        watched = {one.fileno() for one in reactor.getReaders()}  # type: ignore[attr-defined]
        self.assertEqual(watched.intersection(handles), set())
        for end in ends:
            self.assertIsInstance(end.transport, Connection)
            self.assertTrue(end.transport.getTcpNoDelay())
            self.assertEqual(end.transport.getHandle().family, socket.AF_INET)

    async def test_an_error_is_a_loss(self) -> None:
        """A protocol that failed is told of a lost connection, as the interface says, not of its own error."""
        server, client = await self.pair(Breaks)
        client.transport.write(b"x")
        await server.lost
        self.assertEqual(server.ended_by, "ConnectionLost")
        self.flushLoggedErrors(RuntimeError)

    async def test_a_protocol_that_cannot_begin(self) -> None:
        """An error in connectionMade is logged and ends the connection."""

        class Broken(End):
            def connectionMade(self) -> None:
                raise RuntimeError("cannot begin")

        _, client = await self.pair(Broken)
        await client.lost
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    async def test_a_producer_that_fails(self) -> None:
        """An error in a producer is logged, and the loop goes on."""
        server, client = await self.pair()

        def broken() -> None:
            raise RuntimeError("cannot pause")

        server.pauseProducing = broken
        server.transport.registerProducer(server, True)
        client.transport.pauseProducing()
        server.transport.write(MUCH)
        await server.lost
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    async def test_a_late_producer(self) -> None:
        """Who begins to produce when much is unsent already is paused at once."""
        server, client = await self.pair()
        client.transport.pauseProducing()
        server.transport.write(MUCH)
        await turns()
        server.transport.registerProducer(server, True)
        self.assertEqual(server.told, ["pause"])
        client.transport.resumeProducing()
        await until(lambda: server.told == ["pause", "resume"])


class UnixTests(SocketCase):
    """Over a path."""

    net: Any

    def setUp(self) -> None:
        super().setUp()
        self.net = native(reactor)
        self.path = self.mktemp()[-90:].lstrip("/")

    async def test_there_and_back(self) -> None:
        """Callers may come over a UNIX socket; it is removed when nobody listens any longer."""
        callers = Ends()
        port = await UNIXServerEndpoint(self.net, self.path, wantPID=True).listen(callers)
        mode = os.stat(self.path).st_mode & 0o777
        client: Any = await UNIXClientEndpoint(self.net, self.path).connect(Ends())
        await until(lambda: callers.made)
        server = callers.made[0]
        self.ends += [client, server]
        client.transport.write(b"a")
        server.transport.write(b"b")
        await until(lambda: server.data == b"a" and client.data == b"b")
        self.assertEqual(client.transport.getPeer().name, os.fsencode(self.path))
        self.assertIsInstance(server.transport, Connection)
        server.transport.setTcpNoDelay(True)
        self.assertFalse(server.transport.getTcpNoDelay())
        self.assertEqual(mode, 0o666)
        await port.stopListening()
        self.assertFalse(os.path.exists(self.path))
        self.assertFalse(os.path.lexists(self.path + ".lock"))


class NativeSecureTests(Behaviour, Resets, Failures, SecureCase):
    """The same with TLS."""

    def setUp(self) -> None:
        super().setUp()
        self.net = native(reactor)

    async def test_another_protocol(self) -> None:
        """Another protocol may take a connection over in the middle, as WebSockets do, and gets its end."""
        server, client = await self.pair()
        second = End()
        server.transport.protocol = second
        second.makeConnection(server.transport)
        client.transport.write(b"second")
        await until(lambda: second.data == b"second")
        client.transport.loseWriteConnection()
        await second.lost
        self.assertEqual((server.data, second.ended_by), (b"", "ConnectionDone"))
        server.lost.callback(None)
