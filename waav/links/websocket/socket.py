"""The WebSocket connection itself, on Autobahn: what it ignores or leaves out is done here."""

from collections.abc import Callable
from typing import Any, Final, Protocol
from urllib.parse import urlsplit

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from waav import errors
from waav.links.refusals import REFUSAL_BYTES, said_in
from waav.links.retry import retry_after_s
from waav.net.frames import FrameLane
from waav.speech import wire

MESSAGE_BYTES: Final = 16 * 1024 * 1024
"""Largest message taken from a vendor: a base64 audio piece of a whole utterance fits."""

_REFUSING: Final = frozenset({1003, 1007, 1008, 1009, 1010, 4001, 4002, 4003, 4401, 4402, 4403})
"""Close codes that say our request is at fault; 40xx: not authorised, no funds."""


def closed(provider: str, code: int | None, reason: str | None) -> errors.ProviderError:
    """The error for a connection that a vendor closed."""
    said = f": {reason.strip()[:500]}" if reason and reason.strip() else ""
    message = f"{provider} closed the connection ({code or 1005}){said}"
    kind = errors.ProviderRefused if code in _REFUSING else errors.ProviderLost
    return kind(provider, message, upstream_status=code)


class Owner(Protocol):
    """Who a ``Socket`` reports to."""

    provider: str

    def socket_opened(self, socket: "Socket") -> None: ...

    def socket_said(self, socket: "Socket", message: str | bytes) -> None: ...

    def socket_alive(self, socket: "Socket") -> None: ...

    def socket_full(self, socket: "Socket", is_full: bool) -> None: ...

    def socket_closed(
        self, socket: "Socket", error: errors.ProviderError, is_clean: bool
    ) -> None: ...

    def refusal(self, head: wire.Head, body: bytes) -> errors.ProviderError | None: ...


class Socket(FrameLane, WebSocketClientProtocol):  # type: ignore[misc]  # Autobahn contradicts itself
    """One connection. All its timers are the owner's: Autobahn's own run on the process-wide reactor."""

    _log = Logger()

    transport: Any
    owner: Owner
    wall: Callable[[], float]
    _refused: errors.ProviderError | None = None

    def processHandshake(self) -> None:
        """Autobahn drops everything but the status of a refusal; the vendor's explanation is wanted."""
        end = self.data.find(b"\r\n\r\n")
        if end < 0 or self.data[:12] in (b"HTTP/1.1 101", b"HTTP/1.0 101"):
            super().processHandshake()  # type: ignore[no-untyped-call]
            return
        head, body = _parse_head(self.data[:end]), self.data[end + 4 :]
        length = head.headers.get("content-length", "")
        expected = int(length) if length.isdigit() else REFUSAL_BYTES
        if len(body) >= min(expected, REFUSAL_BYTES):
            self._take_refusal()
            self.dropConnection(abort=True)

    def _take_refusal(self) -> None:
        end = self.data.find(b"\r\n\r\n")
        if end < 0 or self.state != self.STATE_CONNECTING or self._refused is not None:
            return
        head = _parse_head(self.data[:end])
        body = self.data[end + 4 :][:REFUSAL_BYTES]
        if head.status < 300:
            self._refused = errors.WireError(
                self.owner.provider,
                f"{self.owner.provider} answered HTTP {head.status} to a WebSocket handshake",
            )
            return
        wait = retry_after_s(head.headers.get("retry-after"), self.wall())
        error = self.owner.refusal(head, body)
        if error is None:
            said = said_in(body) or head.headers.get("dg-error", "")
            error = errors.refusal(self.owner.provider, head.status, said, wait)
        elif error.retry_after_s is None:
            error.retry_after_s = wait
        self._refused = error

    def connectionLost(self, reason: Any = None) -> None:
        self._take_refusal()  # an answer without a length ends with the connection
        super().connectionLost(reason)

    def onOpen(self) -> None:
        self.transport.registerProducer(self, True)
        try:
            self.owner.socket_opened(self)
        except Exception:
            self._log.failure(
                "opening a connection to {provider} failed", provider=self.owner.provider
            )
            # sendClose allows 1000 and 3000 to 4999 only.
            self.sendCloseFrame(code=1011, isReply=False)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        try:
            self.owner.socket_said(self, payload if isBinary else payload.decode())
        except Exception:
            # A fault of ours in taking one message must not end a call.
            self._log.failure("a message of {provider} was lost", provider=self.owner.provider)

    def onCloseFrame(self, code: int, reasonRaw: bytes) -> bool | None:
        """Answer the vendor's close and hang up at once; Autobahn would wait for the vendor to do it."""
        answer: bool | None = super().onCloseFrame(code, reasonRaw)
        if self.remoteCloseCode is not None or self.wasClean:
            self.dropConnection()
        return answer

    def onPong(self, payload: bytes) -> None:
        self.owner.socket_alive(self)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        error = self._refused
        if error is None:
            if self.remoteCloseCode is not None:
                code, reason = self.remoteCloseCode, self.remoteCloseReason
            error = closed(self.owner.provider, code, reason)
        self.owner.socket_closed(self, error, self.remoteCloseCode == 1000)

    # The transport tells us, as a push producer, when its buffer is full.
    def pauseProducing(self) -> None:
        self.owner.socket_full(self, True)

    def resumeProducing(self) -> None:
        self.owner.socket_full(self, False)

    def stopProducing(self) -> None:
        """The transport is gone; ``onClose`` follows."""

    def say(self, outgoing: wire.Outgoing) -> None:
        """Send one message."""
        if self.state != self.STATE_OPEN:
            return
        if isinstance(outgoing, bytes):
            self.sendMessage(outgoing, True)
        elif isinstance(outgoing, str):
            self.sendMessage(outgoing.encode(), False)
        else:
            raise TypeError(f"{self.owner.provider} put an HTTP request on a WebSocket")

    def stop_reading(self) -> None:
        """Leave what the vendor sends in the network."""
        self.transport.pauseProducing()

    def go_on_reading(self) -> None:
        """Take it again."""
        self.transport.resumeProducing()

    def ask_alive(self) -> None:
        """Send a ping; ``socket_alive`` when it is answered."""
        if self.state == self.STATE_OPEN:
            self.sendPing()

    def hang_up(self) -> None:
        """Close with 1000; ``abort`` later if the vendor does not."""
        # A transport with a producer never finishes closing.
        self.unregisterProducer()
        if self.state == self.STATE_OPEN:
            self.sendClose(1000)

    def abort(self) -> None:
        """Break the connection."""
        if self.transport is not None:
            self.unregisterProducer()
            self.transport.abortConnection()


def socket_factory(
    reactor: IReactorTime, owner: Owner, opening: wire.Opening, wall: Callable[[], float]
) -> Any:
    """Makes the one ``Socket`` of a dial, with the handshake of ``opening``."""

    def build() -> Socket:
        socket = Socket()
        socket.owner = owner
        socket.wall = wall
        return socket

    headers = dict(opening.headers)
    agent = next(
        (headers.pop(name) for name in list(headers) if name.lower() == "user-agent"), "waav"
    )
    factory: Any = WebSocketClientFactory(
        opening.url,
        headers=headers,
        protocols=list(opening.subprotocols),
        useragent=agent,
        reactor=reactor,
    )
    factory.noisy = False
    factory.protocol = build
    factory.setProtocolOptions(
        openHandshakeTimeout=0,
        closeHandshakeTimeout=0,
        serverConnectionDropTimeout=0,
        autoPingInterval=0,
        autoPingTimeout=0,
        maxMessagePayloadSize=MESSAGE_BYTES,
        maxFramePayloadSize=MESSAGE_BYTES,
        failByDrop=False,
        perMessageCompressionOffers=[],
        tcpNoDelay=True,
    )
    return factory


def address(url: str) -> tuple[str, int, bool]:
    """Host, port and whether TLS, of a ``ws://`` or ``wss://`` address."""
    parts = urlsplit(url)
    is_secure = parts.scheme == "wss"
    return parts.hostname or "", parts.port or (443 if is_secure else 80), is_secure


def _parse_head(raw: bytes) -> wire.Head:
    lines = raw.decode("latin-1").split("\r\n")
    status = lines[0].split(" ")[1:2]
    headers = {}
    for line in lines[1:]:
        name, _, value = line.partition(":")
        headers[name.strip().lower()] = value.strip()
    code = int(status[0]) if status and status[0].isdigit() else 0
    return wire.Head(code, headers)
