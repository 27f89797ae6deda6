"""A client of a running gateway, as ``waav say``, ``waav listen`` and ``waav voices`` use it."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import treq
from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from OpenSSL import SSL
from service_identity import VerificationError
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.error import (
    ConnectError,
    ConnectionDone,
    ConnectionLost,
    DNSLookupError,
)
from twisted.internet.interfaces import IPushProducer, IStreamClientEndpoint
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.ssl import (
    Certificate,
    optionsForClientTLS,
    platformTrust,
    trustRootFromCertificates,
)
from twisted.python.failure import Failure
from twisted.web.client import Agent, ResponseDone
from twisted.web.http import PotentialDataLoss
from twisted.web.iweb import IPolicyForHTTPS
from zope.interface import implementer

from waav.errors import WaavError

DEFAULT_URL: Final = "ws://127.0.0.1:3001"
DIAL_S: Final = 10.0
HANDSHAKE_S: Final = 10.0
ANSWER_S: Final = 60
PEM: Final = re.compile(b"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)
_PLAIN: Final = {"ws": "http", "http": "http", "wss": "https", "https": "https"}


class NoGateway(WaavError):
    """Nothing answers at the address."""

    code = "no_gateway"


class RefusedByGateway(WaavError):
    """The gateway answered, but not with what was asked for."""

    code = "refused"


@dataclass(frozen=True, slots=True)
class Address:
    """Where a gateway is. Accepts ws, wss, http and https; a path before the routes is kept."""

    is_safe: bool
    host: str
    port: int
    path: str
    ca: Path | None = None
    """PEM file with the certificates to trust instead of the system's."""

    @property
    def trust(self) -> Any:
        """Whose certificates are believed, as Twisted's options take it.

        Raises:
            OSError: the file cannot be read.
            ValueError: there is no certificate in it.
        """
        if self.ca is None:
            return platformTrust()
        found = PEM.findall(self.ca.read_bytes())
        if not found:
            raise ValueError(f"{self.ca} holds no PEM certificate")
        return trustRootFromCertificates([Certificate.loadPEM(one) for one in found])

    @classmethod
    def parse(cls, text: str) -> "Address":
        """The address of a text.

        Raises:
            ValueError: it is none.
        """
        wrong = ValueError(f"{text!r} is no address such as {DEFAULT_URL}")
        try:
            parts = urlsplit(text if "://" in text else f"ws://{text}")
            port = parts.port
        except ValueError:
            raise wrong from None
        scheme = _PLAIN.get(parts.scheme)
        if scheme is None or not parts.hostname or port == 0 or parts.query or parts.fragment:
            raise wrong
        path = parts.path.rstrip("/").removesuffix("/ws")
        is_safe = scheme == "https"
        return cls(is_safe, parts.hostname, port or (443 if is_safe else 80), path)

    def url(self, scheme: str, path: str) -> str:
        """The address of a route; ``scheme`` is http or ws."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}{'s' if self.is_safe else ''}://{host}:{self.port}{self.path}{path}"

    def __str__(self) -> str:
        return self.url("ws", "")


def nobody(address: Address, reason: BaseException) -> NoGateway:
    """The error for a connection that could not be made."""
    while getattr(reason, "reasons", None):  # of twisted.web, one inside the other
        reason = reason.reasons[0].value  # type: ignore[attr-defined]
    if isinstance(reason, SSL.Error | VerificationError):
        return NoGateway(f"{address}: {_tls_trouble(reason)}")
    if isinstance(reason, TimeoutError):
        return NoGateway(f"{address}: nothing was answered within {ANSWER_S} s")
    if address.is_safe and isinstance(reason, ConnectionLost | ConnectionDone):
        return NoGateway(f"{address}: {NO_TLS}")
    detail = "" if isinstance(reason, ConnectError | DNSLookupError) else f" ({reason})"
    return NoGateway(f"no gateway answers at {address}{detail}; start one with: waav serve")


def _too_late(result: Any, seconds: float) -> Any:
    """Says so in place of whatever giving up has led to."""
    raise TimeoutError


NO_TLS: Final = "that port does not speak TLS, or hung up; try ws:// or http://"


def _tls_trouble(reason: BaseException) -> str:
    """What is wrong, and what can be done about it."""
    if isinstance(reason, VerificationError):
        return "the certificate is another host's; use a name that stands in it"
    said = [str(part[-1]) for part in reason.args[0]] if reason.args and reason.args[0] else []
    if any("certificate" in one for one in said):
        return (
            "the certificate is not trusted: it is self-signed, or of an authority that this machine does not know. "
            "Trust it with --ca FILE, or SSL_CERT_FILE"
        )
    if any("wrong version" in one or "packet length" in one for one in said):
        return NO_TLS
    return f"TLS failed: {'; '.join(said) or 'the connection was closed'}"


@dataclass(frozen=True, slots=True)
class SpokenAudio:
    """Audio of a text, the name of its format, its rate, and what is not as it was asked for."""

    audio: bytes
    format: str
    rate_hz: int
    warnings: str


class RemoteGateway:
    """A running gateway's routes.

    Args:
        reactor: an ``IReactorTCP`` and ``IReactorTime``.
        address: where it is.
    """

    def __init__(self, reactor: Any, address: Address) -> None:
        self._reactor = reactor
        self._address = address
        policy = _Trusting(address)
        self._http = treq.client.HTTPClient(Agent(reactor, policy, connectTimeout=DIAL_S))

    async def get(self, path: str) -> Any:
        """The JSON of a GET."""
        _, body = await self._ask("GET", path, None)
        return json.loads(body)

    async def defaults(self) -> Mapping[str, str]:
        """The providers that the gateway prefers: ``stt`` and ``tts``."""
        found: Mapping[str, str] = (await self.get("/providers"))["defaults"]
        return found

    async def speak(self, text: str, settings: Mapping[str, Any]) -> "SpokenAudio":
        """Text as audio."""
        body = {"text": text, "tts_config": settings}
        headers, audio = await self._ask("POST", "/speak", body)
        return SpokenAudio(
            audio,
            headers.get("x-audio-format", ""),
            int(headers.get("x-sample-rate", "0")),
            headers.get("x-warnings", ""),
        )

    async def _ask(self, method: str, path: str, body: Any) -> tuple[dict[str, str], bytes]:
        url = self._address.url("http", path)
        try:
            asked = self._http.request(method, url, json=body)
            response = await asked.addTimeout(ANSWER_S, self._reactor, _too_late)
            body = _Body(self._reactor)
            response.deliverBody(body)
            content = await body.whole
        except Exception as error:
            # Whatever keeps an answer from coming is told the same way: there is none.
            raise nobody(self._address, error) from error
        if response.code != 200:
            raise RefusedByGateway(_reason(content) or f"the gateway answered HTTP {response.code}")
        return {
            name.decode().lower(): values[0].decode("latin-1")
            for name, values in response.headers.getAllRawHeaders()
        }, content


class _Body(Protocol):
    """All of an answer, however long it takes, as long as it goes on coming.

    Attributes:
        whole: fires with it; fails if the connection breaks, or with TimeoutError if nothing comes for ``ANSWER_S``.
    """

    transport: Any

    def __init__(self, reactor: Any) -> None:
        self.whole: Deferred[bytes] = Deferred()
        self._pieces: list[bytes] = []
        self._stall = reactor.callLater(ANSWER_S, self._stalled)

    def dataReceived(self, data: bytes) -> None:
        self._stall.reset(ANSWER_S)
        self._pieces.append(data)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if not self._stall.active():
            return
        self._stall.cancel()
        if reason.check(ResponseDone, PotentialDataLoss):
            self.whole.callback(b"".join(self._pieces))
        else:
            self.whole.errback(reason)

    def _stalled(self) -> None:
        self.transport.loseConnection()
        self.whole.errback(TimeoutError())


@implementer(IPolicyForHTTPS)
class _Trusting:
    """Believes the certificates that an address says."""

    def __init__(self, address: Address) -> None:
        self._address = address

    def creatorForNetloc(self, hostname: bytes, port: int) -> Any:
        return optionsForClientTLS(hostname.decode("ascii"), self._address.trust)


def _reason(body: bytes) -> str:
    """What an error body says."""
    try:
        said = json.loads(body)
        return str(said.get("message") or said.get("error") or "")
    except (ValueError, AttributeError):
        return body.decode("utf-8", "replace").strip()[:200]


@implementer(IPushProducer)
class ClientCall(WebSocketClientProtocol):
    """One connection to ``/ws``.

    Attributes:
        on_message: told every JSON message.
        up: fires when the connection is up; fails if it cannot be made.
    """

    def __init__(
        self, on_message: Callable[[dict[str, Any]], None], opened: "Deferred[ClientCall]"
    ) -> None:
        super().__init__()
        self.on_message = on_message
        self.up = opened
        self.is_gone = False
        self._farewells: list[Deferred[str]] = []

    _room: Deferred[None] | None = None
    _is_full = False

    def connectionMade(self) -> None:
        super().connectionMade()
        transport: Any = self.transport
        transport.registerProducer(self, True)

    def onOpen(self) -> None:
        if not self.up.called:
            self.up.callback(self)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if not isBinary:
            self.on_message(json.loads(payload))

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        why = reason or (f"code {code}" if code is not None else "connection lost")
        if not self.up.called:
            self.up.errback(RefusedByGateway(f"the gateway refused the connection: {why}"))
        self.is_gone = True
        closed, self._farewells = self._farewells, []
        for waiter in closed:
            waiter.callback(why)
        self.resumeProducing()

    def closed(self) -> Deferred[str]:
        """Fires with the reason when the connection is gone."""
        waiter: Deferred[str] = Deferred()
        self._farewells.append(waiter)
        return waiter

    def pauseProducing(self) -> None:
        """The gateway does not take more just now."""
        self._is_full = True

    def resumeProducing(self) -> None:
        """It does again."""
        self._is_full = False
        room, self._room = self._room, None
        if room is not None:
            room.callback(None)

    def stopProducing(self) -> None:
        """The connection is lost; ``closed`` tells."""

    def room(self) -> Deferred[None]:
        """Fires when more can be sent."""
        waiter: Deferred[None] = Deferred()
        if self._is_full:
            self._room = waiter
        else:
            waiter.callback(None)
        return waiter

    def tell(self, message: Mapping[str, Any]) -> None:
        """Send a JSON message."""
        self.sendMessage(json.dumps(message).encode())  # type: ignore[no-untyped-call]

    def hear(self, data: bytes) -> None:
        """Send audio."""
        self.sendMessage(data, isBinary=True)  # type: ignore[no-untyped-call]

    def hang_up(self) -> Deferred[str]:
        """Close the connection; fires when it is closed."""
        gone = self.closed()
        self.sendClose(1000)
        return gone


async def call(
    reactor: Any, address: Address, on_message: Callable[[dict[str, Any]], None]
) -> ClientCall:
    """Connect to ``/ws`` of a gateway."""
    opened: Deferred[ClientCall] = Deferred()
    factory: Any = WebSocketClientFactory(address.url("ws", "/ws"), reactor=reactor)
    factory.setProtocolOptions(openHandshakeTimeout=HANDSHAKE_S, closeHandshakeTimeout=2)
    factory.protocol = lambda: ClientCall(on_message, opened)
    endpoint: IStreamClientEndpoint = HostnameEndpoint(
        reactor, address.host, address.port, timeout=DIAL_S
    )
    if address.is_safe:
        endpoint = wrapClientTLS(optionsForClientTLS(address.host, address.trust), endpoint)
    try:
        await endpoint.connect(factory)
    except Exception as error:
        raise nobody(address, error) from error
    return await opened
