"""TLS on a connection of the event loop.

Python's ``ssl`` encrypts in memory; the connection below moves the bytes. The loops' own TLS is not used: uvloop
0.23 never tells of the end of a connection that ended while reading was paused, asyncio's gives up unsent bytes
when something arrives while it says goodbye, and neither tells a connection that ended from one that was cut.
"""

import ssl
from collections.abc import Callable, Iterable
from typing import Any, Final

from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IConsumer,
    IProtocol,
    IPushProducer,
    ISSLTransport,
    ISystemHandle,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from waav.net.transport import Address, Connection

HANDSHAKE_S: Final = 10.0
"""How long a handshake may take."""

_RECORD_BYTES: Final = 16384
"""The most that one record of TLS holds."""


@implementer(ITCPTransport, IConsumer, IPushProducer, ISystemHandle)
class Secure:
    """The protocol of a connection, and the transport of the protocol above it.

    It adapts to ``ISSLTransport`` but does not say that it provides it: Autobahn 26.10 takes every transport that
    does for one of pyOpenSSL, and asks it for what only those have.

    Args:
        context: certificates, and what is checked.
        shaken: called when the handshake is done; calls ``start``.
        failed: called when that will never be, with the reason.
        server_name: whom the peer must prove to be; None: we are the server.

    Attributes:
        write: sends bytes; those that come too late are lost.
    """

    _log = Logger()

    write: Callable[[bytes], None]
    dataReceived: Callable[[bytes], None]

    connected = disconnecting = disconnected = False

    _protocol: Any = None
    _is_held = _is_ended = _is_resuming = False

    def __init__(
        self,
        context: ssl.SSLContext,
        shaken: Callable[["Secure"], None],
        failed: Callable[[Exception], None],
        server_name: str | None = None,
    ) -> None:
        self._shaken = shaken
        self._failed = failed
        self._incoming, self._outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(
            self._incoming, self._outgoing, server_name is None, server_name
        )
        self.write = _ignore
        self.dataReceived = self._shaking

    # The connection below.

    def makeConnection(self, lower: Connection) -> None:
        """Begin the handshake."""
        self._lower = lower
        self._timer = lower.loop.call_later(HANDSHAKE_S, self._too_late)
        self._shake()

    def _too_late(self) -> None:
        self._not_shaken(TimeoutError("the handshake took too long"))

    def _shaking(self, data: bytes) -> None:
        self._incoming.write(data)
        self._shake()

    def _shake(self) -> None:
        try:
            self._tls.do_handshake()
        except ssl.SSLWantReadError:
            self._flush()
        except ssl.SSLError as error:
            self._flush()  # tells the peer why
            self._not_shaken(error)
        else:
            self._flush()
            self._begin()

    def _not_shaken(self, error: Exception) -> None:
        self._timer.cancel()
        self.dataReceived = _ignore
        self.disconnected = True
        self._lower.loseConnection()
        self._tell_failure(error)

    def _tell_failure(self, error: Exception) -> None:
        failed = self._failed
        self._forget()
        failed(error)

    def _forget(self) -> None:
        """How the handshake went has been told; whoever is told knows us, and must not be known for ever."""
        self._shaken = self._failed = _ignore

    def _begin(self) -> None:
        self._timer.cancel()
        self.connected = True
        self.write = self._write
        self.dataReceived = self._received
        self._lower.goodbye = self._say_goodbye
        self._lower.protocol = self
        shaken = self._shaken
        self._forget()
        shaken(self)
        self._deliver()

    def start(self, protocol: IProtocol | None) -> None:
        """Put a protocol on top; None: nobody wants the connection."""
        self.protocol = Protocol() if protocol is None else protocol
        if protocol is None:
            self.loseConnection()
        else:
            protocol.makeConnection(self)

    def _received(self, data: bytes) -> None:
        self._incoming.write(data)
        if not self._is_held:
            self._deliver()

    def _deliver(self) -> None:
        """Decrypt what there is, as long as it is wanted."""
        incoming, tls = self._incoming, self._tls
        while not self._is_held and self.connected and not self.disconnecting:
            try:
                data = tls.read(_RECORD_BYTES)
            except ssl.SSLWantReadError:
                break
            except ssl.SSLError as error:
                self._log.info("a TLS connection broke: {reason}", reason=error.reason)
                self._lower.abortConnection()
                return
            if not data:
                self._is_ended = True
                self._lower.drop()
                return
            self._protocol.dataReceived(data)
            if not incoming.pending and not tls.pending():
                break
        if self._outgoing.pending and self.connected:
            self._flush()  # TLS has things of its own to say

    def connectionLost(self, reason: Failure) -> None:
        """The end. One that the peer did not announce may be a forgery."""
        self._timer.cancel()
        self.write = self.dataReceived = _ignore
        was_connected, self.connected = self.connected, False
        if not was_connected:
            if not self.disconnected:
                self.disconnected = True
                self._tell_failure(ConnectionLost("the peer hung up during the handshake"))
            return
        self.disconnected = True
        if reason.check(ConnectionDone) and not (self._is_ended or self.disconnecting):
            reason = Failure(ConnectionLost("the peer did not say goodbye"))
        protocol, self._protocol = self._protocol, None
        if protocol is not None:
            protocol.connectionLost(reason)

    # The protocol above.

    def __conform__(self, interface: Any) -> Any:
        """Zope's way to ask for an adapter."""
        return self if interface is ISSLTransport else None

    @property
    def protocol(self) -> Any:
        """The Twisted protocol; another may take over at any time. None once the connection has ended."""
        return self._protocol

    @protocol.setter
    def protocol(self, protocol: Any) -> None:
        if not self.disconnected:
            self._protocol = protocol

    def _write(self, data: bytes) -> None:
        if not data:
            return
        sent = self._tls.write(data)
        while sent < len(data):  # one record at a time
            sent += self._tls.write(memoryview(data)[sent:])
        self._lower.write(self._outgoing.read())

    def writeSequence(self, data: Iterable[bytes]) -> None:
        """Send several, in as few records as possible."""
        self.write(b"".join(data))

    def _flush(self) -> None:
        if self._outgoing.pending:
            self._lower.write(self._outgoing.read())

    def _say_goodbye(self) -> None:
        self.write = _ignore
        try:
            self._tls.unwrap()
        except ssl.SSLError:  # the peer has not said it yet; nobody waits for that
            pass
        self._flush()

    def loseConnection(self) -> None:
        """Close when all is sent that was written, and a producer that is waiting has had its turn."""
        if self.connected and not self.disconnecting:
            self.disconnecting = True
            self._lower.loseConnection()

    def loseWriteConnection(self) -> None:
        """Close: TLS has no half of a connection."""
        self.loseConnection()

    def abortConnection(self) -> None:
        """Close now, with a reset; what was not sent is lost."""
        self.write = _ignore
        self._lower.abortConnection()

    def getPeerCertificate(self) -> bytes | None:
        """What the peer showed, in DER; None: nothing."""
        return self._tls.getpeercert(binary_form=True)

    @property
    def negotiatedProtocol(self) -> bytes | None:
        """What both sides agreed to speak (ALPN); None: they did not say."""
        name = self._tls.selected_alpn_protocol()
        return None if name is None else name.encode("ascii")

    def getHost(self) -> Address:  # type: ignore[override]  # Twisted forgets UNIX sockets
        """Our address."""
        return self._lower.getHost()

    def getPeer(self) -> Address:  # type: ignore[override]
        """Theirs."""
        return self._lower.getPeer()

    def getHandle(self) -> Any:
        """The socket."""
        return self._lower.getHandle()

    def getTcpNoDelay(self) -> bool:
        """Whether small pieces leave at once; they do from the start."""
        return self._lower.getTcpNoDelay()

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Have small pieces leave at once, or not."""
        self._lower.setTcpNoDelay(enabled)

    def getTcpKeepAlive(self) -> bool:
        """Whether the system asks a silent peer now and then if he is there."""
        return self._lower.getTcpKeepAlive()

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Have the system ask, or not."""
        self._lower.setTcpKeepAlive(enabled)

    def pauseProducing(self) -> None:
        """Deliver no more for now."""
        self._is_held = True
        self._lower.pauseProducing()

    def resumeProducing(self) -> None:
        """Deliver again: first what is here, soon."""
        self._is_held = False
        if self.connected and not self._is_resuming:
            self._is_resuming = True
            self._lower.loop.call_soon(self._resume)

    def _resume(self) -> None:
        self._is_resuming = False
        if self._is_held or not self.connected:
            return
        try:
            self._deliver()
        except Exception:
            self._log.failure("a protocol failed")
            self.abortConnection()
        if not self._is_held:
            self._lower.resumeProducing()

    def stopProducing(self) -> None:
        """Read no more at all."""
        self.loseConnection()

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Have ``producer`` paused while much is unsent.

        Raises:
            RuntimeError: another producer is registered.
        """
        self._lower.registerProducer(producer, streaming)

    def unregisterProducer(self) -> None:
        """There is no producer any longer."""
        self._lower.unregisterProducer()


def _ignore(data: object) -> None:
    """What comes too late."""
