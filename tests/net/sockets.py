"""Two ends of a connection on loopback, over Twisted's own sockets or the event loop's."""

from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from tests.waiting import until


class Loopless:
    """The running reactor as one that knows of no event loop."""

    def __getattr__(self, name: str) -> Any:
        if name == "_asyncioEventloop":
            raise AttributeError(name)
        return getattr(reactor, name)


async def turns(number: int = 5) -> None:
    """Let the event loop go round."""
    for _ in range(number):
        await deferLater(reactor, 0.001)  # type: ignore[arg-type]


class End(Protocol):
    """One end: remembers what it gets and how it ends."""

    transport: Any
    on_made: Callable[[], None] | None = None

    def __init__(self) -> None:
        self.data = b""
        self.reason: Failure | None = None
        self.lost: Deferred[None] = Deferred()
        self.told: list[str] = []

    def connectionMade(self) -> None:
        if self.on_made is not None:
            self.on_made()

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: Any = None) -> None:
        self.reason = reason
        self.lost.callback(None)

    @property
    def ended_by(self) -> str:
        """The name of the error that ended it."""
        return "" if self.reason is None else type(self.reason.value).__name__

    # As a producer.

    def pauseProducing(self) -> None:
        self.told.append("pause")

    def resumeProducing(self) -> None:
        self.told.append("resume")

    def stopProducing(self) -> None:
        self.told.append("stop")


class Ends(Factory):
    """Makes ends, and keeps them."""

    noisy = False

    def __init__(self, build: Callable[[], Any] = End) -> None:
        self.made: list[Any] = []
        self.build = build
        self.told: list[str] = []

    def doStart(self) -> None:
        self.told.append("start")

    def doStop(self) -> None:
        self.told.append("stop")

    def buildProtocol(self, addr: Any) -> Any:
        self.addr = addr
        end = self.build()
        self.made.append(end)
        return end


class SocketCase(TestCase):
    """Listens and connects over ``net``, a reactor; all is gone when a test is over."""

    net: Any

    def setUp(self) -> None:
        self.ports: list[Any] = []
        self.ends: list[Any] = []
        self.addCleanup(lambda: Deferred.fromCoroutine(self.close()))

    async def close(self) -> None:
        for port in self.ports:
            await port.stopListening()
        for end in self.ends:
            if end.transport is not None and not end.lost.called:
                end.transport.abortConnection()
        for end in self.ends:
            await until(lambda end=end: end.lost.called, "a connection stays open")
        await turns()

    def server_endpoint(self) -> Any:
        return TCP4ServerEndpoint(self.net, 0, interface="127.0.0.1")

    def client_endpoint(self, port: int) -> Any:
        return TCP4ClientEndpoint(self.net, "127.0.0.1", port)

    async def listen(self, factory: Any) -> Any:
        port = await self.server_endpoint().listen(factory)
        self.ports.append(port)
        return port

    async def pair(
        self, server: Callable[[], Any] = End, client: Callable[[], Any] = End
    ) -> tuple[Any, Any]:
        """Two ends, connected."""
        callers = Ends(server)
        port = await self.listen(callers)
        end = await self.client_endpoint(port.getHost().port).connect(Ends(client))
        self.ends.append(end)
        await until(lambda: callers.made and callers.made[0].transport is not None)
        self.ends.append(callers.made[0])
        # A server of TLS 1.3 says more after the handshake; who closes without having read it resets the connection.
        await turns()
        return callers.made[0], end
