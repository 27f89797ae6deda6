"""A connection of the event loop under Twisted's interfaces.

What the loop reads goes straight to the Twisted protocol's ``dataReceived``, what the protocol writes straight to
the loop: both are bound once per connection, and nothing of ours runs between them.
"""

import asyncio
import socket
import struct
from collections.abc import Callable, Iterable
from typing import Any, Final

from twisted.internet.address import IPv4Address, IPv6Address, UNIXAddress
from twisted.internet.error import ConnectionAborted, ConnectionDone, ConnectionLost
from twisted.internet.interfaces import (
    IConsumer,
    IHalfCloseableProtocol,
    IProtocol,
    IPushProducer,
    ISystemHandle,
    ITCPTransport,
)
from twisted.internet.protocol import Protocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

Address = IPv4Address | IPv6Address | UNIXAddress

FULL_BYTES: Final = 65536
"""With more than this unsent the producer is paused; with a quarter of it, it goes on."""

_RESET: Final = struct.pack("ii", 1, 0)
"""For ``SO_LINGER``: closing sends a reset, not a goodbye."""

_LOOPS: Final = ("asyncio", "uvloop", "selectors", "socket")
"""Modules whose errors are the network's, not an application's."""


def address_of(family: int, name: Any) -> Address:
    """A socket's own or its peer's name, as Twisted writes it."""
    if family == socket.AF_UNIX:
        return UNIXAddress(name or None)
    if family == socket.AF_INET6:
        host = name[0]
        if name[3]:  # a link-local address says on which link
            host = socket.getnameinfo(name, socket.NI_NUMERICHOST | socket.NI_NUMERICSERV)[0]
        return IPv6Address("TCP", host, *name[1:])
    return IPv4Address("TCP", *name)


async def attach(
    loop: asyncio.AbstractEventLoop, connection: "Connection", handle: socket.socket
) -> None:
    """Hand a connected socket to the loop; the only place where transports of the loop are made.

    It is the loop's from now on, and closed by it, unless this raises.
    """
    await loop.connect_accepted_socket(lambda: connection, handle)


@implementer(ITCPTransport, IConsumer, IPushProducer, ISystemHandle)
class Connection(asyncio.Protocol):
    """A connection over TCP or a UNIX socket.

    Args:
        loop: where it lives.
        handle: its socket, connected.
        build: makes the Twisted protocol once the loop reads; None: nobody wants the connection.
        peer: the address of the other side.
        gone: told why the connection ended, after the protocol.

    Attributes:
        write: sends bytes; those that come too late are lost.
        writeSequence: sends several.
        connected: from the beginning to the end.
        disconnecting: ``loseConnection`` was called.
        disconnected: it has ended.
        producer: who is paused when much is unsent.
        goodbye: called before it is closed in peace, to write the last bytes.
    """

    _log = Logger()

    write: Callable[[bytes], None]
    writeSequence: Callable[[Iterable[bytes]], None]

    goodbye: Callable[[], None] | None = None
    connected = disconnecting = disconnected = False
    producer: Any = None
    streamingProducer = producerPaused = False

    _transport: Any = None
    _protocol: Any = None
    _is_full = _is_aborting = _is_deaf = _is_held = False
    _half_closing = _half_closed = False
    _is_keeping = False
    _kept = b""

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        handle: socket.socket,
        build: Callable[["Connection"], IProtocol | None],
        peer: Address,
        gone: Callable[[Failure], None] | None = None,
    ) -> None:
        self.loop = loop
        self._handle = handle
        self._build = build
        self._peer = peer
        self._gone = gone
        self._host = self._name()
        self.write = self.writeSequence = _ignore
        self.setTcpNoDelay(True)

    def _name(self) -> Address:
        family = self._handle.family
        try:
            return address_of(family, self._handle.getsockname())
        except OSError:  # it is gone already; the loop will tell
            return address_of(family, {socket.AF_INET: ("0.0.0.0", 0)}.get(family, ("::", 0, 0, 0)))

    # What the loop tells.

    def connection_made(self, transport: Any) -> None:
        self._transport = transport
        transport.set_write_buffer_limits(FULL_BYTES)
        self.write, self.writeSequence = transport.write, transport.writelines
        self.connected = True
        try:
            protocol = self._build(self)
            self.protocol = Protocol() if protocol is None else protocol
            if protocol is None:
                self.loseConnection()
            else:
                protocol.makeConnection(self)
        except Exception:
            self._log.failure("a connection could not be begun")
            if self._protocol is None:
                self.protocol = Protocol()
            self.abortConnection()
        if self._is_held and self.connected and not self._is_deaf:
            # uvloop begins to read now, whatever was asked before.
            self._is_keeping = True
            self._bind(self._keep)
            self.loop.call_soon(self._hold)

    def _hold(self) -> None:
        if self._is_held and self._transport is not None:
            self._transport.pause_reading()

    def _keep(self, data: bytes) -> None:
        """Read before the loop could be told not to: delivered when the protocol wants it."""
        self._kept += data
        self._hold()

    def eof_received(self) -> bool:
        """The peer sends no more. As in Twisted that ends the connection, but for protocols that know better."""
        halves = IHalfCloseableProtocol(self._protocol, None)
        if halves is not None and not self.disconnecting:
            halves.readConnectionLost()
            return True
        self.drop()
        return False

    def drop(self) -> None:
        """The peer takes no more. What was not sent is given up: the loop would wait for him, maybe for ever."""
        if self._transport is not None:
            self._is_deaf = True
            self._transport.abort()
            self._bind(_ignore)

    def pause_writing(self) -> None:
        self._is_full = True
        if self.producer is not None and self.streamingProducer and not self.producerPaused:
            self.producerPaused = True
            self._tell(self.producer.pauseProducing)

    def resume_writing(self) -> None:
        self._is_full = False
        # Not here: asyncio ends a connection twice that is closed in this call.
        self.loop.call_soon(self._resume_writing)

    def _resume_writing(self) -> None:
        if self._is_full or self._transport is None:
            return
        if self._half_closing and self.producer is None:
            self._close_writing()
            return
        if self.producer is not None:
            if not self.streamingProducer:
                self._pull()
            elif self.producerPaused:
                self.producerPaused = False
                self._tell(self.producer.resumeProducing)
        if self.disconnecting and not self._is_waiting:
            self._close()

    def _close(self) -> None:
        if self.goodbye is not None:
            self.goodbye()
        self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        reason = Failure(self._reason(error))
        self.connected, self.disconnected = False, True
        self.write = self.writeSequence = _ignore
        protocol, gone, producer = self._protocol, self._gone, self.producer
        self._protocol = self._gone = self.producer = self._transport = self.goodbye = None
        self._bind(_ignore)
        if producer is not None:
            self._tell(producer.stopProducing)
        if protocol is not None:
            self._tell(protocol.connectionLost, reason)
        if gone is not None:
            self._tell(gone, reason)

    def _reason(self, error: Exception | None) -> Exception:
        if self._is_aborting:
            return ConnectionAborted()
        if error is None:
            return ConnectionDone()
        if isinstance(error, OSError) and _is_ours(error):
            # The loop keeps quiet about it, taking it for the network's.
            self._log.failure("a protocol failed", Failure(error))
        return ConnectionLost(str(error))

    def _tell(self, method: Callable[..., object], *args: object) -> None:
        try:
            method(*args)
        except Exception:
            self._log.failure("a protocol failed")
            self.abortConnection()

    # The protocol.

    @property
    def protocol(self) -> Any:
        """The Twisted protocol; another may take over at any time. None once the connection has ended."""
        return self._protocol

    @protocol.setter
    def protocol(self, protocol: Any) -> None:
        if self.disconnected:
            return
        self._protocol = protocol
        if not self._is_deaf and not self._is_keeping:
            self._bind(protocol.dataReceived)

    def _bind(self, received: Callable[[bytes], object]) -> None:
        self.data_received = received  # type: ignore[method-assign, assignment]
        if self._transport is not None:
            self._transport.set_protocol(self)  # uvloop asks a protocol for its methods only here

    # ITransport, ITCPTransport, ISystemHandle.

    def loseConnection(self) -> None:
        """Close when all is sent that was written, and a producer that is waiting has had its turn."""
        if not self.connected or self.disconnecting:
            return
        self.disconnecting = True
        if self._half_closed:
            self.drop()
            return
        self._is_deaf = True
        self._transport.pause_reading()
        self._bind(_ignore)
        if not self._is_waiting:
            self._close()

    @property
    def _is_waiting(self) -> bool:
        """Whether a producer has yet to write: one that pulls, or was paused."""
        return self.producer is not None and (not self.streamingProducer or self.producerPaused)

    def loseWriteConnection(self) -> None:
        """Send what was written, then say that no more comes; the peer may go on."""
        if not self.connected or self.disconnecting or self._half_closing:
            return
        self._half_closing = True
        if self._transport.get_write_buffer_size():
            self._transport.set_write_buffer_limits(0)
        elif self.producer is None:
            self.loop.call_soon(self._close_writing)

    def _close_writing(self) -> None:
        if self._half_closed or not self.connected or self.disconnecting:
            return
        self._half_closed = True
        self.write = self.writeSequence = _ignore
        self._transport.write_eof()
        halves = IHalfCloseableProtocol(self._protocol, None)
        if halves is not None:
            self._tell(halves.writeConnectionLost)

    def abortConnection(self) -> None:
        """Close now, with a reset; what was not sent is lost."""
        if self.disconnected or self._is_aborting or self._transport is None:
            return
        self._is_aborting = self._is_deaf = True
        self.write = self.writeSequence = _ignore
        try:
            self._handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        except OSError:
            pass
        self._transport.abort()
        self._bind(_ignore)

    def getHost(self) -> Address:  # type: ignore[override]  # Twisted forgets UNIX sockets
        """Our address."""
        return self._host

    def getPeer(self) -> Address:  # type: ignore[override]
        """Theirs."""
        return self._peer

    def getHandle(self) -> socket.socket:
        """The socket."""
        return self._handle

    def getTcpNoDelay(self) -> bool:
        """Whether small pieces leave at once; they do from the start."""
        return self._is_tcp and bool(
            self._handle.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        )

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Have small pieces leave at once, or not."""
        if self._is_tcp:
            self._set(socket.IPPROTO_TCP, socket.TCP_NODELAY, enabled)

    def getTcpKeepAlive(self) -> bool:
        """Whether the system asks a silent peer now and then if he is there."""
        return bool(self._handle.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE))

    def setTcpKeepAlive(self, enabled: bool) -> None:
        """Have the system ask, or not."""
        self._set(socket.SOL_SOCKET, socket.SO_KEEPALIVE, enabled)

    @property
    def _is_tcp(self) -> bool:
        return self._handle.family != socket.AF_UNIX

    def _set(self, level: int, option: int, enabled: bool) -> None:
        try:
            self._handle.setsockopt(level, option, enabled)
        except OSError:  # the peer has reset it: said by the loop in a moment
            pass

    # IPushProducer: the peer's bytes.

    def pauseProducing(self) -> None:
        """Read no more for now."""
        if self.connected and not self.disconnecting:
            self._is_held = True
            self._transport.pause_reading()

    def resumeProducing(self) -> None:
        """Read again."""
        if not self.connected or self.disconnecting:
            return
        self._is_held = False
        if self._is_keeping:
            self._is_keeping = False
            self._bind(self._protocol.dataReceived)
            kept, self._kept = self._kept, b""
            if kept:
                self._tell(self._protocol.dataReceived, kept)
        if self.connected and not self._is_held and not self.disconnecting:
            self._transport.resume_reading()

    def stopProducing(self) -> None:
        """Read no more at all."""
        self.loseConnection()

    # IConsumer: what goes to the peer.

    def registerProducer(self, producer: Any, streaming: bool) -> None:
        """Have ``producer`` paused while much is unsent.

        Raises:
            RuntimeError: another producer is registered.
        """
        if self.producer is not None:
            raise RuntimeError(f"{producer} cannot produce: {self.producer} still does")
        if self.disconnected:
            producer.stopProducing()
            return
        self.producer, self.streamingProducer = producer, streaming
        self.producerPaused = streaming and self._is_full
        if not streaming:
            self._pull()
        elif self._is_full:
            producer.pauseProducing()

    def unregisterProducer(self) -> None:
        """There is no producer any longer."""
        self.producer, self.producerPaused = None, False
        if not self.connected:
            return
        if self.disconnecting:
            self._close()
        elif self._half_closing and not self._transport.get_write_buffer_size():
            self.loop.call_soon(self._close_writing)

    def _pull(self) -> None:
        """Ask for one piece after the other, until the producer is done or much is unsent."""
        producer = self.producer
        if producer is None or self.streamingProducer or self._is_full:
            return
        self._tell(producer.resumeProducing)
        if self.producer is producer and not self._is_full:
            self.loop.call_soon(self._pull)


def _ignore(data: object) -> None:
    """What comes too late."""


def _is_ours(error: BaseException) -> bool:
    """Whether an error came out of an application, not out of the loop's own reading and writing."""
    trace = error.__traceback__
    if trace is None:
        return False
    while trace.tb_next is not None:
        trace = trace.tb_next
    module = str(trace.tb_frame.f_globals.get("__name__", ""))
    return not module.startswith(_LOOPS)


def log_unhandled(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An exception handler for loops: what a protocol raises is logged where Twisted logs."""
    error = context.get("exception")
    if error is None:
        Connection._log.error("{what}", what=context.get("message"))
    else:
        Connection._log.failure("{what}", Failure(error), what=context.get("message"))
