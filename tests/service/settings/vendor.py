"""A vendor on a loopback port that does what a test tells it to do, no more: Deepgram's addresses and messages."""

import json
from typing import Any

from autobahn.twisted.resource import WebSocketResource
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater
from twisted.web.http import HTTPChannel
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

AUDIO = b"\1\2" * 4000


class Listening(WebSocketServerProtocol):
    """One connection for recognition.

    Attributes:
        audio: the pieces that came.
        orders: the types of the other messages that came.
        pings: how many came.
        is_deaf: leaves pings unanswered.
    """

    factory: Any

    def onOpen(self) -> None:
        self.audio: list[bytes] = []
        self.orders: list[str] = []
        self.pings = 0
        self.is_deaf = False
        self.gone: Deferred[None] = Deferred()
        self.factory.vendor.listening.append(self)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if isBinary:
            self.audio.append(payload)
            return
        self.orders.append(json.loads(payload)["type"])
        if self.orders[-1] == "CloseStream":
            self.sendClose(1000)

    def onPing(self, payload: bytes) -> None:
        self.pings += 1
        if not self.is_deaf:
            super().onPing(payload)

    def onClose(self, wasClean: bool, code: Any, reason: Any) -> None:
        if not self.gone.called:
            self.gone.callback(None)

    @property
    def heard(self) -> bytes:
        """All audio."""
        return b"".join(self.audio)

    def result(self, text: str, *, final: bool = True, end: bool = False) -> None:
        """Say that something was recognised."""
        said = {
            "type": "Results",
            "is_final": final,
            "speech_final": end,
            "start": 0.0,
            "duration": 0.0,
            "channel": {"alternatives": [{"transcript": text, "confidence": 0.9, "words": []}]},
        }
        self.sendMessage(json.dumps(said).encode())

    def cut(self) -> None:
        """Break the connection."""
        self.transport.abortConnection()


class _Channel(HTTPChannel):
    """A connection that is counted."""

    def connectionMade(self) -> None:
        self.site.vendor.connections.append(self.transport)
        super().connectionMade()


class Vendor(Resource):
    """Answers speech at once with the same audio, unless ``holds``.

    Attributes:
        listening: connections for recognition, gone ones too.
        asked: all requests, and what was in them.
        waiting: those not answered yet, while it ``holds`` them.
        refusals: statuses to answer next.
        is_silent: nobody gets an answer to a WebSocket's handshake.
        audio: what it says.
        connections: TCP connections so far.
    """

    isLeaf = True

    def __init__(self, reactor: Any) -> None:
        super().__init__()
        self._reactor = reactor
        self.listening: list[Listening] = []
        self.asked: list[Request] = []
        self.bodies: list[bytes] = []
        self.waiting: list[Request] = []
        self.refusals: list[int] = []
        self.holds = self.is_silent = False
        self.audio = AUDIO
        self.connections: list[Any] = []
        factory: Any = WebSocketServerFactory(reactor=reactor)
        factory.protocol = Listening
        factory.vendor = self
        factory.setProtocolOptions(openHandshakeTimeout=0, closeHandshakeTimeout=0)
        self._sockets = WebSocketResource(factory)
        site: Any = Site(self, timeout=None)
        site.protocol = _Channel
        site.vendor = self
        self._port = reactor.listenTCP(0, site, interface="127.0.0.1")

    @property
    def port(self) -> int:
        """Where it is."""
        return int(self._port.getHost().port)

    @property
    def endpoint(self) -> str:
        """Its address."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def open(self) -> int:
        """TCP connections there are."""
        return sum(bool(one.connected) for one in self.connections)

    def render(self, request: Request) -> Any:
        self.asked.append(request)
        self.bodies.append(request.content.read() if request.content is not None else b"")
        if self.refusals:
            request.setResponseCode(self.refusals.pop(0))
            return b"no"
        if request.getHeader("upgrade"):
            return NOT_DONE_YET if self.is_silent else self._sockets.render(request)
        request.setHeader("content-type", "audio/l16")
        if self.holds:
            self.waiting.append(request)
            return NOT_DONE_YET
        return self.audio

    def query(self, number: int = -1) -> dict[str, str]:
        """What one of them asked for in its address."""
        arguments = self.asked[number].args or {}
        return {name.decode(): values[0].decode() for name, values in arguments.items()}

    async def stop(self) -> None:
        """Stop, with all connections."""
        await self._port.stopListening()
        while self.open:
            for connection in self.connections:
                if connection.connected:
                    connection.abortConnection()
            await deferLater(self._reactor, 0)
