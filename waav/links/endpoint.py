"""Where connections to vendors are made: names resolved off the reactor, TLS checked, Nagle off."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.interfaces import IProtocol, IProtocolFactory, IStreamClientEndpoint
from zope.interface import implementer

from waav.net.host import HostEndpoint
from waav.net.reactor import loop_of, native
from waav.net.tls import SYSTEM, Trust


@implementer(IStreamClientEndpoint)
class VendorEndpoint:
    """A vendor's address. With TLS the certificate must be valid and made out to ``host``.

    Args:
        reactor: makes the connections.
        is_secure: TLS or not.
        dial_s: limit for the TCP connection.
        trust: whose certificates are believed; None: those of the system's authorities.
    """

    def __init__(
        self,
        reactor: Any,
        host: str,
        port: int,
        *,
        is_secure: bool,
        dial_s: float,
        trust: Trust | None = None,
    ) -> None:
        self._reactor = native(reactor)
        self._host = host
        self._port = port
        self._is_secure = is_secure
        self._dial_s = dial_s
        self._trust = trust or SYSTEM

    def _endpoint(self) -> Any:
        """Built only to connect: most requests find a connection."""
        host = self._host.encode("idna")
        plain: Any
        if loop_of(self._reactor) is None:
            plain = HostnameEndpoint(self._reactor, host, self._port, timeout=self._dial_s)
        else:
            plain = HostEndpoint(self._reactor, host.decode(), self._port, self._dial_s)
        if not self._is_secure:
            return plain
        return self._trust.endpoint(self._reactor, plain, self._host, self._port)

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Connect, and turn Nagle's algorithm off: speech goes out in small pieces."""
        connecting: Deferred[IProtocol] = self._endpoint().connect(protocolFactory)

        def connected(protocol: Any) -> Any:
            protocol.transport.setTcpNoDelay(True)
            return protocol

        return connecting.addCallback(connected)
