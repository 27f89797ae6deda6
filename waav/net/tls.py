"""Who is who: certificates of our own, and whose certificates are believed.

On a reactor with an event loop TLS is that of ``secure``, with Python's ``ssl``; on any other it is Twisted's, with
pyOpenSSL. Both take TLS 1.2 or later, and HTTP/1.1.
"""

import re
import signal
import ssl
from pathlib import Path
from typing import Any, Final

from OpenSSL import SSL, crypto
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import wrapClientTLS
from twisted.internet.error import ConnectError, NoProtocol
from twisted.internet.interfaces import (
    IListeningPort,
    IOpenSSLContextFactory,
    IProtocol,
    IProtocolFactory,
    IStreamClientEndpoint,
    IStreamServerEndpoint,
)
from twisted.internet.protocol import Factory
from twisted.internet.ssl import Certificate as StockCertificate
from twisted.internet.ssl import CertificateOptions, TLSVersion, trustRootFromCertificates
from twisted.logger import Logger
from twisted.protocols.tls import TLSMemoryBIOFactory
from twisted.python.failure import Failure
from twisted.web.client import BrowserLikePolicyForHTTPS
from zope.interface import implementer

from waav.net.reactor import loop_of
from waav.net.secure import Secure

PROTOCOLS: Final = ("http/1.1",)
"""What is spoken inside, for callers who ask."""

_CERTIFICATE: Final = re.compile(
    rb"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL
)


class HandshakeFailed(ConnectError):
    """No agreement on TLS"""

    MESSAGE = __doc__ or ""

    def __init__(self, reason: str = "") -> None:
        super().__init__(string=reason)  # type: ignore[no-untyped-call]


class CertificateUntrusted(HandshakeFailed):
    """The certificate comes from an authority nobody here knows"""

    MESSAGE = __doc__ or ""


class CertificateExpired(HandshakeFailed):
    """The certificate is no longer valid, or not yet"""

    MESSAGE = __doc__ or ""


class CertificateForAnotherHost(HandshakeFailed):
    """The certificate is made out to another host"""

    MESSAGE = __doc__ or ""


_WHY: Final = {9: CertificateExpired, 10: CertificateExpired} | dict.fromkeys(
    (62, 64), CertificateForAnotherHost
)
"""OpenSSL's codes (``X509_V_ERR_...``); all others mean that the chain of trust does not hold."""


def refusal(error: Exception) -> Exception:
    """Why a handshake failed, as something to be told."""
    if isinstance(error, ssl.SSLCertVerificationError):
        kind = _WHY.get(error.verify_code, CertificateUntrusted)
        return kind(error.verify_message)
    if isinstance(error, ssl.SSLError):
        return HandshakeFailed((error.reason or "").replace("_", " ").lower())
    return HandshakeFailed(str(error))


# We are the server.


@implementer(IOpenSSLContextFactory)
class Certificate:
    """A certificate with its key, read again from its files at SIGHUP.

    It is taken for each new connection; connections that are open keep the one they began with.

    Args:
        reactor: runs the connections.
        certificate: PEM, with the chain after it.
        key: PEM, without a password.

    Raises:
        OSError: a file cannot be read.
        ValueError: they hold no certificate with its key.
    """

    _log = Logger()

    def __init__(self, reactor: Any, certificate: Path, key: Path) -> None:
        self._reactor = reactor
        self._certificate = certificate
        self._key = key
        self._context: Any = self._read()

    @property
    def context(self) -> ssl.SSLContext:
        """For connections of an event loop."""
        context: ssl.SSLContext = self._context
        return context

    def getContext(self) -> SSL.Context:
        """What Twisted asks for at each connection."""
        context: SSL.Context = self._context
        return context

    def watch(self) -> None:
        """Read the files again at each SIGHUP."""
        signal.signal(
            signal.SIGHUP, lambda number, frame: self._reactor.callFromThread(self.reload)
        )

    def reload(self) -> None:
        """Use what the files hold now. Files that cannot be used leave the old certificate in place."""
        try:
            self._context = self._read()
        except (OSError, ValueError):
            self._log.failure("the TLS certificate could not be read again; the old one stays")
        else:
            self._log.info("TLS certificate read again")

    def _read(self) -> Any:
        try:
            return self._read_pyopenssl() if loop_of(self._reactor) is None else self._read_ssl()
        except (ssl.SSLError, SSL.Error, crypto.Error) as error:
            raise ValueError(f"{self._certificate} holds no certificate for {self._key}") from error

    def _read_ssl(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.set_alpn_protocols(list(PROTOCOLS))
        # Without a password OpenSSL would ask the terminal for one.
        context.load_cert_chain(self._certificate, self._key, lambda: b"")
        return context

    def _read_pyopenssl(self) -> SSL.Context:
        chain = [
            crypto.load_certificate(crypto.FILETYPE_PEM, pem)
            for pem in _CERTIFICATE.findall(self._certificate.read_bytes())
        ]
        if not chain:
            raise ValueError("the certificate file holds no certificate")
        options = CertificateOptions(
            privateKey=crypto.load_privatekey(
                crypto.FILETYPE_PEM, self._key.read_bytes(), passphrase=b""
            ),
            certificate=chain[0],
            extraCertChain=chain[1:],
            raiseMinimumTo=TLSVersion.TLSv1_2,
            acceptableProtocols=[name.encode() for name in PROTOCOLS],
        )
        context: SSL.Context = options.getContext()
        context.check_privatekey()
        return context


@implementer(IStreamServerEndpoint)
class SecureEndpoint:
    """TLS on top of another endpoint, one of ``native(reactor)``."""

    def __init__(
        self, reactor: Any, endpoint: IStreamServerEndpoint, certificate: Certificate
    ) -> None:
        self._reactor = reactor
        self._endpoint = endpoint
        self._certificate = certificate

    def listen(self, factory: IProtocolFactory) -> Deferred[IListeningPort]:
        """Listen; the certificate is watched from now on."""
        self._certificate.watch()
        secure: Any
        if loop_of(self._reactor) is None:
            secure = TLSMemoryBIOFactory(self._certificate, False, factory)
        else:
            secure = _Callers(self._certificate, factory)
        return self._endpoint.listen(secure)


class _Callers(Factory):
    """Shakes hands with each caller, and makes his protocol when that is done."""

    _log = Logger()
    noisy = False

    def __init__(self, certificate: Certificate, factory: Any) -> None:
        self._certificate = certificate
        self._factory = factory

    def doStart(self) -> None:
        self._factory.doStart()

    def doStop(self) -> None:
        self._factory.doStop()

    def buildProtocol(self, addr: Any) -> Any:
        return Secure(
            self._certificate.context,
            lambda secure: secure.start(self._factory.buildProtocol(addr)),
            self._failed,
        )

    def _failed(self, error: Exception) -> None:
        self._log.debug("no TLS connection: {reason}", reason=refusal(error))


# We are the client.


class Trust:
    """Whose certificates are believed.

    Args:
        authorities: PEM; None: those that the system knows.
    """

    def __init__(self, authorities: bytes | None = None) -> None:
        self._authorities = authorities
        self._context: ssl.SSLContext | None = None
        self._policy: BrowserLikePolicyForHTTPS | None = None

    def prepare(self, reactor: Any) -> None:
        """Read the authorities, which takes tens of milliseconds, before the first call has to wait for it."""
        if loop_of(reactor) is None:
            self.policy  # noqa: B018
        else:
            self.context  # noqa: B018

    @property
    def context(self) -> ssl.SSLContext:
        """For connections of an event loop."""
        if self._context is None:
            pem = self._authorities
            context = ssl.create_default_context(cadata=None if pem is None else pem.decode())
            context.minimum_version = ssl.TLSVersion.TLSv1_2
            # No ALPN: whoever is not asked speaks HTTP/1.1, and Twisted's servers may hang up on the question.
            self._context = context
        return self._context

    @property
    def policy(self) -> BrowserLikePolicyForHTTPS:
        """For Twisted's own TLS."""
        if self._policy is None:
            pem = self._authorities
            if pem is None:
                self._policy = BrowserLikePolicyForHTTPS()
            else:
                known = [StockCertificate.loadPEM(one) for one in _CERTIFICATE.findall(pem)]
                self._policy = BrowserLikePolicyForHTTPS(trustRootFromCertificates(known))
        return self._policy

    def endpoint(
        self, reactor: Any, plain: IStreamClientEndpoint, host: str, port: int
    ) -> IStreamClientEndpoint:
        """TLS on top of an endpoint of ``native(reactor)``, with the peer proving to be ``host``."""
        if loop_of(reactor) is None:
            creator: Any = self.policy.creatorForNetloc(host.encode("idna"), port)
            secure: IStreamClientEndpoint = wrapClientTLS(creator, plain)
            return secure
        return _Vendors(plain, self.context, host.encode("idna").decode())


@implementer(IStreamClientEndpoint)
class _Vendors:
    def __init__(self, plain: IStreamClientEndpoint, context: ssl.SSLContext, host: str) -> None:
        self._plain = plain
        self._context = context
        self._host = host

    def connect(self, protocolFactory: IProtocolFactory) -> Deferred[IProtocol]:
        """Fires with the protocol when the handshake is done."""
        return _Vendor(protocolFactory, self._context, self._host).connect(self._plain)


class _Vendor(Factory):
    """Shakes hands with one vendor, and makes the protocol when that is done."""

    noisy = False

    def __init__(self, factory: Any, context: ssl.SSLContext, host: str) -> None:
        self._factory = factory
        self._context = context
        self._host = host
        self._secure: Secure | None = None
        self._done: Deferred[IProtocol] = Deferred(lambda _: self._give_up())

    def connect(self, plain: IStreamClientEndpoint) -> Deferred[IProtocol]:
        self._connecting: Deferred[Any] = plain.connect(self)
        self._connecting.addErrback(self._failed)
        return self._done

    def doStart(self) -> None:
        self._factory.doStart()

    def doStop(self) -> None:
        self._factory.doStop()

    def buildProtocol(self, addr: Any) -> Any:
        self._secure = Secure(self._context, self._shaken, self._refused, self._host)
        return self._secure

    def _shaken(self, secure: Secure) -> None:
        try:
            protocol: Any = self._factory.buildProtocol(secure.getPeer())
            if protocol is None:
                raise NoProtocol
            secure.start(protocol)
        except Exception:
            secure.abortConnection()
            self._done.errback()
        else:
            self._done.callback(protocol)

    def _refused(self, error: Exception) -> None:
        self._failed(Failure(refusal(error)))

    def _failed(self, failure: Failure) -> None:
        if not self._done.called:
            self._done.errback(failure)

    def _give_up(self) -> None:
        if self._secure is None:
            self._connecting.cancel()
        else:
            self._secure.abortConnection()


SYSTEM: Final = Trust()
"""In the authorities that the system knows."""
