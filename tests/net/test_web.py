"""Twisted's web server and client, and Autobahn, on connections of the event loop."""

from io import BytesIO
from typing import Any

from autobahn.twisted.resource import WebSocketResource
from autobahn.twisted.websocket import (
    WebSocketClientFactory,
    WebSocketClientProtocol,
    WebSocketServerFactory,
    WebSocketServerProtocol,
)
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.web.client import Agent, FileBodyProducer, HTTPConnectionPool, readBody
from twisted.web.http_headers import Headers
from twisted.web.iweb import IAgentEndpointFactory
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site
from zope.interface import implementer

from tests.net.secure_sockets import SecureCase
from tests.net.sockets import SocketCase
from tests.waiting import until
from waav.net.frames import FrameLane
from waav.net.reactor import native

PIECE = bytes(range(256)) * 256
PIECES = 290
"""Nineteen megabytes in all."""


class Streams(Resource):
    """Nineteen megabytes, as fast as the caller takes them."""

    isLeaf = True

    def render_GET(self, request: Any) -> Any:
        self.left, self.pauses = PIECES, 0
        self.request, self.is_paused = request, False
        request.registerProducer(self, True)
        self.resumeProducing()
        return NOT_DONE_YET

    def resumeProducing(self) -> None:
        self.is_paused = False
        reactor.callLater(0, self.produce)  # type: ignore[attr-defined]

    def produce(self) -> None:
        while self.left and not self.is_paused:
            self.left -= 1
            self.request.write(PIECE)
            if not self.left:
                self.request.unregisterProducer()
                self.request.finish()

    def pauseProducing(self) -> None:
        self.is_paused = True
        self.pauses += 1

    def stopProducing(self) -> None:
        self.left = 0


class Takes(Resource):
    """Says how much it got."""

    isLeaf = True

    def render_POST(self, request: Any) -> bytes:
        return str(len(request.content.read())).encode()


class EchoProtocol(FrameLane, WebSocketServerProtocol):  # type: ignore[misc]
    def connectionMade(self) -> None:
        self.transport.unregisterProducer()  # HTTPChannel is still registered
        super().connectionMade()

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.sendMessage(payload, isBinary)


class Speaker(FrameLane, WebSocketClientProtocol):  # type: ignore[misc]
    def __init__(self) -> None:
        super().__init__()
        self.got: list[bytes] = []
        self.opened: Deferred[None] = Deferred()
        self.lost: Deferred[None] = Deferred()
        self.closed: tuple[bool, int | None] | None = None

    def onOpen(self) -> None:
        self.opened.callback(None)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.got.append(payload)

    def onClose(self, wasClean: bool, code: int | None, reason: str) -> None:
        self.closed = wasClean, code
        self.lost.callback(None)


class CountingSite(Site):
    def __init__(self, root: Resource) -> None:
        super().__init__(root)
        self.noisy = False
        self.made: list[Any] = []
        self.gone = 0

    def buildProtocol(self, addr: Any) -> Any:
        protocol = super().buildProtocol(addr)
        self.made.append(protocol)
        return protocol


@implementer(IAgentEndpointFactory)
class _Here:
    def __init__(self, case: Any, port: int) -> None:
        self.case, self.port = case, port

    def endpointForURI(self, uri: Any) -> Any:
        return self.case.client_endpoint(self.port)


class WebBehaviour:
    scheme = "http"

    def setUp(self: Any) -> None:
        super().setUp()  # type: ignore[misc]
        self.net = native(reactor)

    async def serve(self: Any) -> int:
        self.sockets: Any = WebSocketServerFactory()
        self.sockets.protocol = EchoProtocol
        self.streams = Streams()
        root = Resource()
        root.putChild(b"stream", self.streams)
        root.putChild(b"upload", Takes())
        root.putChild(b"ws", WebSocketResource(self.sockets))
        self.site = CountingSite(root)
        port = await self.listen(self.site)
        self.pool = HTTPConnectionPool(self.net)
        self.addCleanup(self.pool.closeCachedConnections)
        here = _Here(self, port.getHost().port)
        self.agent = Agent.usingEndpointFactory(self.net, here, pool=self.pool)
        self.base = f"{self.scheme}://localhost:{port.getHost().port}".encode()
        return int(port.getHost().port)

    async def speaker(self: Any, port: int) -> Speaker:
        """A WebSocket that is open."""
        factory: Any = WebSocketClientFactory("ws://localhost/ws")
        speaker = Speaker()
        factory.protocol = lambda: speaker
        await self.client_endpoint(port).connect(factory)
        await speaker.opened
        return speaker

    async def test_long_answers(self: Any) -> None:
        """Nineteen megabytes stream through, with the server paused when the client is slow; connections are kept."""
        await self.serve()
        for _ in range(2):
            answer = await self.agent.request(b"GET", self.base + b"/stream")
            body = await readBody(answer)
            self.assertEqual(body, PIECE * PIECES)
        self.assertGreater(self.streams.pauses, 0)
        self.assertEqual(len(self.site.made), 1)

    async def test_uploads(self: Any) -> None:
        """Three megabytes go up, several times over one connection."""
        await self.serve()
        for _ in range(3):
            answer = await self.agent.request(
                b"POST",
                self.base + b"/upload",
                Headers({b"content-type": [b"audio/wav"]}),
                FileBodyProducer(BytesIO(bytes(3 << 20)), cooperator=Slices()),
            )
            self.assertEqual(await readBody(answer), str(3 << 20).encode())
        self.assertEqual(len(self.site.made), 1)

    async def test_an_upgrade(self: Any) -> None:
        """A request becomes a WebSocket on the same connection: frames go both ways, then goodbyes."""
        speaker = await self.speaker(await self.serve())
        sent = [bytes([number]) * 640 for number in range(100)] + [bytes(100000)]
        for payload in sent:
            speaker.sendMessage(payload, True)
        await until(lambda: speaker.got == sent)
        self.assertTrue(speaker.transport.getTcpNoDelay())
        speaker.sendClose(1000)
        await speaker.lost
        self.assertEqual(speaker.closed, (True, 1000))

    async def test_a_flood(self: Any) -> None:
        """A caller who sends as fast as he can does not keep others from being heard."""
        port = await self.serve()
        flood, calm = await self.speaker(port), await self.speaker(port)
        frame = flood.frame(bytes(640), True)
        for _ in range(20):
            flood.transport.write(frame * 2000)
        done = len(flood.got)
        calm.sendMessage(b"a word", True)
        await until(lambda: calm.got == [b"a word"])
        self.assertLess(len(flood.got) - done, 40000)
        await until(lambda: len(flood.got) == 40000)
        for speaker in (flood, calm):
            speaker.sendClose(1000)
            await speaker.lost


class Slices:
    """Does cooperative work on the reactor, a piece at a time."""

    def cooperate(self, iterator: Any) -> Any:
        from twisted.internet.task import Cooperator

        self.own = Cooperator(scheduler=lambda work: reactor.callLater(0, work))  # type: ignore[attr-defined]
        return self.own.cooperate(iterator)


class PlainTests(WebBehaviour, SocketCase):
    """Over TCP."""


class SecureTests(WebBehaviour, SecureCase):
    """Over TLS."""

    scheme = "https"
