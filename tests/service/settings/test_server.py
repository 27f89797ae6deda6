"""Settings of where the gateway listens, and of how it ends."""

import socket
import tempfile
from pathlib import Path
from shutil import rmtree

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import UNIXClientEndpoint, connectProtocol
from twisted.internet.error import ConnectionRefusedError

from bench.machine import free_port
from tests.service.settings.rig import Exchange, SettingsCase


class ListenTests(SettingsCase):
    async def test_host(self) -> None:
        """server.host: who asks at that address is answered, at another address of the machine nobody is."""
        gateway = self.start("server: {host: 127.0.0.1, port: 0}")
        self.assertEqual((await gateway.ask("GET", "/")).status, 200)
        with self.assertRaises(ConnectionRefusedError):
            await gateway.begin("GET", "/", host="127.0.0.2")

    async def test_port(self) -> None:
        """server.port: that is where it answers."""
        port = free_port()
        gateway = self.start(f"server: {{host: 127.0.0.1, port: {port}}}")
        self.assertEqual(gateway.port, port)
        self.assertEqual((await gateway.ask("GET", "/")).status, 200)

    async def test_listen(self) -> None:
        """server.listen: it answers at that endpoint and nowhere else."""
        folder = tempfile.mkdtemp()  # a socket's path must be short
        self.addCleanup(rmtree, folder)
        path, port = Path(folder) / "waav", free_port()
        gateway = self.start(f"server: {{listen: ['unix:{path}'], port: {port}}}")
        exchange = Exchange(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await gateway.wait(connectProtocol(UNIXClientEndpoint(reactor, str(path)), exchange))
        self.assertEqual((await gateway.end(exchange)).status, 200)
        with socket.socket() as probe:
            self.assertNotEqual(probe.connect_ex(("127.0.0.1", port)), 0)

    async def test_backlog(self) -> None:
        """server.backlog: so many callers may wait while nobody is accepted; those above are not answered yet."""
        gateway = self.start("server: {host: 127.0.0.1, port: 0, backlog: 2}")
        callers = [socket.socket() for _ in range(12)]
        waiting = 0
        for caller in callers:
            self.addCleanup(caller.close)
            caller.setblocking(False)
            caller.connect_ex(("127.0.0.1", gateway.port))
            waiting += is_connected(caller)
        # Systems take one or two more than they are told.
        self.assertIn(waiting, (2, 3, 4))


def is_connected(caller: socket.socket) -> bool:
    try:
        caller.getpeername()
    except OSError:
        return False
    return True


class EndTests(SettingsCase):
    async def test_drain(self) -> None:
        """server.drain_s: after a stop a live call goes on for so long, then it is told that the server goes away."""
        gateway = self.start("server: {host: 127.0.0.1, port: 0, drain_s: 7}")
        client = await gateway.call()
        stopping: Deferred[None] = gateway.gateway.stopService()
        await gateway.advance(6.9)
        self.assertFalse(client.gone.called)
        await gateway.advance(0.2)
        self.assertEqual(await gateway.wait(client.gone), 1001)
        await gateway.wait(stopping)
