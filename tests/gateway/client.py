"""A WebSocket client over a real socket, and the way in to it."""

import json
from typing import Any

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.internet import reactor, ssl
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import SSL4ClientEndpoint, TCP4ClientEndpoint
from twisted.web.resource import Resource

from waav.gateway.admission.slots import Slots
from waav.gateway.voice.ws import VoiceFactory


class Client(WebSocketClientProtocol):
    """Keeps what comes and fires who waits for it."""

    tcpNoDelay = True

    def onConnect(self, response: Any) -> None:
        self.read: list[Any] = []
        self.waiter: Deferred[Any] | None = None
        self.gone: Deferred[int] = Deferred()

    def onOpen(self) -> None:
        self.factory.opened.callback(self)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.read.append(payload if isBinary else json.loads(payload))
        self.wake()

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:
        self.gone.callback(code)

    def wake(self) -> None:
        if self.waiter is not None and self.read:
            waiter, self.waiter = self.waiter, None
            waiter.callback(self.read.pop(0))

    def next(self) -> Deferred[Any]:
        """The next message."""
        self.waiter = waiter = Deferred()
        self.wake()
        return waiter

    def say(self, message: dict[str, Any] | bytes) -> None:
        """Send a message."""
        if isinstance(message, bytes):
            self.sendMessage(message, isBinary=True)
        else:
            self.sendMessage(json.dumps(message).encode())


async def connect(
    port: int, path: str = "/ws", *, is_secure: bool = False, **headers: str
) -> Client:
    """A client that is connected to ``path`` on this port. Over TLS it believes any certificate."""
    scheme = "wss" if is_secure else "ws"
    url = f"{scheme}://127.0.0.1:{port}{path}"
    factory = WebSocketClientFactory(url, headers=headers, reactor=reactor)
    factory.protocol = Client
    factory.opened = Deferred()
    factory.setProtocolOptions(openHandshakeTimeout=0, closeHandshakeTimeout=0)
    endpoint: Any = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
    if is_secure:
        endpoint = SSL4ClientEndpoint(reactor, "127.0.0.1", port, ssl.CertificateOptions())
    await endpoint.connect(factory)
    client = await factory.opened
    assert isinstance(client, Client)
    return client


async def soon() -> None:
    """One turn of the reactor."""
    turn: Deferred[None] = Deferred()
    reactor.callLater(0, turn.callback, None)  # type: ignore[attr-defined]
    await turn


class Upgrade(Resource):
    """The way in, without the checks of the gateway's own."""

    isLeaf = True

    def __init__(self, factory: VoiceFactory, slots: Slots) -> None:
        super().__init__()
        self.factory, self.slots = factory, slots

    def render_GET(self, request: Any) -> int | bytes:
        address = request.getClientAddress().host
        return self.factory.serve(request, self.slots.take(address), address)
