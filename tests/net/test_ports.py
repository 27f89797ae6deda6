"""Accepting callers."""

import errno
import os
import resource
import socket
from typing import Any

from twisted.internet import reactor
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort
from twisted.internet.testing import MemoryReactorClock
from twisted.logger import globalLogPublisher
from zope.interface.verify import verifyObject

from tests.net.sockets import End, Ends, Loopless, SocketCase, turns
from tests.waiting import until
from waav.net.ports import RECEIVE_BUFFER, tcp
from waav.net.reactor import native


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


class Deaf(End):
    """Reads no further than so many bytes."""

    enough = 8_000_000
    heard = 0

    def dataReceived(self, data: bytes) -> None:
        self.heard += len(data)
        if self.heard > self.enough:
            self.transport.pauseProducing()


class ListenTests(SocketCase):
    def setUp(self) -> None:
        super().setUp()
        self.net = native(reactor)

    def caller(self, port: Any) -> socket.socket:
        peer = socket.create_connection(("127.0.0.1", port.getHost().port))
        self.addCleanup(peer.close)
        return peer

    async def test_a_port(self) -> None:
        """A free port is found, told and given back; the factory is told of the beginning and the end."""
        factory = Ends()
        port = self.net.listenTCP(0, factory, interface="127.0.0.1")
        verifyObject(IListeningPort, port)
        where = port.getHost()
        self.assertEqual((where.type, where.host, factory.told), ("TCP", "127.0.0.1", ["start"]))
        self.assertTrue(where.port)
        taken = self.assertRaises(
            CannotListenError, self.net.listenTCP, where.port, Ends(), interface="127.0.0.1"
        )
        self.assertIn("Address already in use", str(taken.socketError))
        await port.stopListening()
        await port.stopListening()
        self.assertEqual(factory.told, ["start", "stop"])
        again = self.net.listenTCP(where.port, Ends(), interface="127.0.0.1")
        await again.stopListening()

    async def test_ipv6(self) -> None:
        """Callers may come over IPv6."""
        factory = Ends()
        port = self.net.listenTCP(0, factory, interface="::1")
        self.ports.append(port)
        client: Any = End()
        wanted = Ends(lambda: client)
        self.net.connectTCP("::1", port.getHost().port, wanted_client(wanted))
        await until(lambda: factory.made and client.transport)
        self.ends += [client, factory.made[0]]
        self.assertEqual(factory.addr.host, "::1")
        self.assertEqual(client.transport.getPeer(), port.getHost())

    async def test_description_strings(self) -> None:
        """What may be written in ``server.listen`` is served by the event loop: ports, paths."""
        path = os.path.relpath(self.mktemp())
        for text in ("tcp:0:interface=127.0.0.1:backlog=7", f"unix:{path}"):
            port: Any = await serverFromString(self.net, text).listen(Ends())
            self.assertEqual(type(port).__module__, "waav.net.ports")
            await port.stopListening()

    async def test_a_path_that_is_taken(self) -> None:
        """A path on which somebody listens is refused; one left behind by a process that died is taken over."""
        path = os.path.relpath(self.mktemp())
        first = self.net.listenUNIX(path, Ends(), wantPID=True)
        self.assertRaises(CannotListenError, self.net.listenUNIX, path, Ends(), wantPID=True)
        self.assertRaises(CannotListenError, self.net.listenUNIX, path, Ends())
        await first.stopListening()
        dead = socket.socket(socket.AF_UNIX)
        dead.bind(path)
        dead.close()
        os.symlink("99999999", path + ".lock")
        second = self.net.listenUNIX(path, Ends(), wantPID=True)
        await second.stopListening()

    async def test_a_socket_that_is_handed_over(self) -> None:
        """A socket that listens already is accepted on, and stays the giver's when we stop."""
        listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listening.close)
        factory = Ends()
        port = self.net.adoptStreamPort(listening.fileno(), socket.AF_INET, factory)
        self.caller(port)
        await until(lambda: len(factory.made) == 1)
        self.ends += factory.made
        await port.stopListening()
        self.caller(port)
        await turns(20)
        self.assertEqual(len(factory.made), 1)
        self.assertNotEqual(listening.accept()[0].detach(), -1)

    async def test_a_pause(self) -> None:
        """While accepting is paused callers wait, and are taken in when it goes on."""
        factory = Ends()
        port = await self.listen(factory)
        for _ in range(2):
            port.pause_accepting()
        self.caller(port)
        await turns(20)
        self.assertEqual(factory.made, [])
        for _ in range(2):
            port.resume_accepting()
        await until(lambda: len(factory.made) == 1)
        self.ends += factory.made

    async def test_a_caller_who_is_not_read(self) -> None:
        """Little of what is sent too fast waits on the way: what comes behind it is soon reached."""
        factory = Ends(Deaf)
        port = await self.listen(factory)
        caller = self.caller(port)
        await until(lambda: len(factory.made) == 1)
        caller.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        caller.settimeout(0)
        sent, is_full = 0, 0
        while is_full < 20:
            try:
                sent += caller.send(bytes(65_536))
                is_full = 0
            except BlockingIOError:
                is_full += factory.made[0].heard > Deaf.enough
                await turns(2)
        waiting = sent - factory.made[0].heard
        self.assertLess(waiting, 5 * RECEIVE_BUFFER)
        self.assertGreater(waiting, RECEIVE_BUFFER // 2)
        factory.made[0].transport.resumeProducing()
        self.ends += factory.made

    async def test_no_descriptors_left(self) -> None:
        """When the process has no descriptor left, callers wait; it is said once, and they are served when there is one."""
        said: list[str] = []

        def note(event: Any) -> None:
            if "can be accepted" in (event.get("log_format") or ""):
                said.append(event["reason"])

        globalLogPublisher.addObserver(note)
        self.addCleanup(globalLogPublisher.removeObserver, note)
        factory = Ends()
        port = await self.listen(factory)
        callers = [socket.socket() for _ in range(6)]
        used = max(int(name) for name in os.listdir("/proc/self/fd"))
        free = open_files()
        limits = resource.getrlimit(resource.RLIMIT_NOFILE)
        filling = [os.dup(0) for _ in range(used + 2 - free)]
        resource.setrlimit(
            resource.RLIMIT_NOFILE, (max(used, *filling, 0) + 3 if filling else used + 3, limits[1])
        )
        try:
            for caller in callers:
                self.addCleanup(caller.close)
                caller.connect(("127.0.0.1", port.getHost().port))
            await until(lambda: said)
            served = len(factory.made)
            self.assertLess(served, 6)
            await turns(300)
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limits)
            for one in filling:
                os.close(one)
        await until(lambda: len(factory.made) == 6)
        self.ends += factory.made
        self.assertEqual(len(said), 1)

    async def test_a_caller_the_loop_cannot_take(self) -> None:
        """A socket that the loop refuses is closed, and the next caller is served."""

        class Refusing:
            left = 1

            def __getattr__(self, name: str) -> Any:
                return getattr(native(reactor).loop, name)  # type: ignore[attr-defined]

            async def connect_accepted_socket(self, *args: Any) -> Any:
                if self.left:
                    self.left -= 1
                    raise OSError(errno.ENOMEM, "no memory")
                return await self.__getattr__("connect_accepted_socket")(*args)

        factory = Ends()
        port = tcp(Refusing(), 0, factory, 5, "127.0.0.1")  # type: ignore[arg-type]
        self.ports.append(port)
        first = self.caller(port)
        first.setblocking(False)
        await until(lambda: _is_at_end(first))
        self.assertEqual(factory.made, [])
        self.caller(port)
        await until(lambda: factory.made)
        self.ends += factory.made

    async def test_nothing_is_left(self) -> None:
        """A thousand callers who came and went leave no descriptor behind."""

        class Brief(End):
            def connectionMade(self) -> None:
                self.transport.write(b"bye")
                self.transport.loseConnection()

        factory = Ends(Brief)
        port = await self.listen(factory)

        async def come_and_go(rounds: int) -> None:
            for _ in range(rounds):
                clients = [
                    await self.client_endpoint(port.getHost().port).connect(Ends())
                    for _ in range(50)
                ]
                for client in clients:
                    await client.lost
            await until(lambda: all(end.lost.called for end in factory.made))
            await turns()

        await come_and_go(1)
        before = open_files()
        await come_and_go(20)
        self.assertEqual(len(factory.made), 1050)
        await until(lambda: open_files() <= before)


def _is_at_end(peer: socket.socket) -> bool:
    try:
        return peer.recv(1) == b""
    except BlockingIOError:
        return False


def wanted_client(factory: Ends) -> Any:
    """A factory as ``connectTCP`` wants one."""
    from twisted.internet.protocol import ClientFactory

    client: Any = ClientFactory()
    client.noisy = False
    client.buildProtocol = factory.buildProtocol
    return client


class NativeTests(SocketCase):
    net = None

    def test_reactors(self) -> None:
        """A reactor with an event loop has one stand-in; any other stands for itself."""
        ours = native(reactor)
        self.assertIs(native(reactor), ours)
        self.assertIs(native(ours), ours)
        self.assertIs(ours.callLater.__self__, reactor)
        for other in (MemoryReactorClock(), Loopless()):
            self.assertIs(native(other), other)
