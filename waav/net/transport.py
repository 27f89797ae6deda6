"""A connection of the event loop under Twisted's interfaces.

What the loop reads goes straight to the Twisted protocol's ``dataReceived``, what the protocol writes straight to
the loop: both are bound once per connection, and nothing of ours runs between them.
"""

import asyncio
import socket
import struct
from collections.abc import Callable, Iterable
from enum import Enum, IntEnum, auto
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


class Stage(IntEnum):
    """How far a connection has come. It only ever goes forward, so what comes too late is told by ``<``."""

    NEW = auto()
    """The loop has not begun to read."""
    OPEN = auto()
    """Both sides talk."""
    FINISHING = auto()
    """As ``OPEN``; when all is sent and nobody produces any longer, the peer is told that no more comes."""
    FINISHED = auto()
    """He was told. He may go on."""
    CLOSING = auto()
    """Nothing is delivered any more. A producer that pulls or was paused has yet to say the rest."""
    CLOSED = auto()
    """The loop sends what it has, then closes."""
    DROPPED = auto()
    """Given up, since the peer takes no more; the loop's word of the end follows."""
    ABORTED = auto()
    """Broken off with a reset; the loop's word of the end follows."""
    ENDED = auto()
    """Nothing is left."""


class Intake(Enum):
    """What becomes of the peer's bytes, up to ``CLOSING``."""

    FLOWS = auto()
    """The protocol gets them."""
    HELD = auto()
    """They stay in the network."""
    KEPT = auto()
    """As ``HELD``, but the loop could not be told in time: what it has read waits here."""


class Feeding(Enum):
    """Who is asked for more to be sent, and when."""

    NOBODY = auto()
    PULLED = auto()
    """A producer, for one piece after the other."""
    PUSHES = auto()
    """A producer that goes on by itself."""
    PAUSED = auto()
    """The same, stopped while much is unsent."""


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
        producer: who is paused when much is unsent.
        goodbye: called before it is closed in peace, to write the last bytes.
    """

    _log = Logger()

    write: Callable[[bytes], None]
    writeSequence: Callable[[Iterable[bytes]], None]

    goodbye: Callable[[], None] | None = None
    producer: Any = None

    _stage = Stage.NEW
    _intake = Intake.FLOWS
    _feeding = Feeding.NOBODY
    _is_full = False  # much is unsent
    _kept = b""  # of the peer's bytes, while ``KEPT``
    _transport: Any = None
    _protocol: Any = None

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
        self._stage = Stage.OPEN
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
        if self._intake is Intake.HELD and self._stage < Stage.CLOSING:
            # uvloop begins to read now, whatever was asked before.
            self._intake = Intake.KEPT
            self._bind(self._keep)
            self.loop.call_soon(self._hold)

    def _hold(self) -> None:
        if self._intake is not Intake.FLOWS and self._stage < Stage.CLOSING:
            self._transport.pause_reading()

    def _keep(self, data: bytes) -> None:
        """Read before the loop could be told not to: delivered when the protocol wants it."""
        self._kept += data
        self._hold()

    def eof_received(self) -> bool:
        """The peer sends no more. As in Twisted that ends the connection, but for protocols that know better."""
        halves = IHalfCloseableProtocol(self._protocol, None)
        if halves is not None and self._stage < Stage.CLOSING:
            halves.readConnectionLost()
            return True
        self.drop()
        return False

    def drop(self) -> None:
        """The peer takes no more. What was not sent is given up: the loop would wait for him, maybe for ever."""
        if Stage.OPEN <= self._stage < Stage.DROPPED:
            self._stage = Stage.DROPPED
            self._break()

    def _break(self) -> None:
        self.write = self.writeSequence = _ignore
        self._transport.abort()
        self._bind(_ignore)

    def pause_writing(self) -> None:
        self._is_full = True
        if self._feeding is Feeding.PUSHES:
            self._feeding = Feeding.PAUSED
            self._tell(self.producer.pauseProducing)

    def resume_writing(self) -> None:
        self._is_full = False
        # Not here: asyncio ends a connection twice that is closed in this call.
        self.loop.call_soon(self._resume_writing)

    def _resume_writing(self) -> None:
        if self._is_full:
            return
        match self._feeding:
            case Feeding.NOBODY:
                self._close_writing()
            case Feeding.PULLED:
                self._pull()
            case Feeding.PAUSED:
                self._feeding = Feeding.PUSHES
                self._tell(self.producer.resumeProducing)
        self._close()

    def _close(self) -> None:
        """Close, once whoever has yet to write has had his turn."""
        if self._stage is Stage.CLOSING and self._feeding in (Feeding.NOBODY, Feeding.PUSHES):
            self._stage = Stage.CLOSED
            if self.goodbye is not None:
                self.goodbye()
            self._transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        reason = Failure(self._reason(error))
        self._stage, self._feeding = Stage.ENDED, Feeding.NOBODY
        self.write = self.writeSequence = _ignore
        protocol, gone, producer = self._protocol, self._gone, self.producer
        self._protocol = self._gone = self.producer = self._transport = self.goodbye = None
        self._kept = b""
        self._bind(_ignore)
        if producer is not None:
            self._tell(producer.stopProducing)
        if protocol is not None:
            self._tell(protocol.connectionLost, reason)
        if gone is not None:
            self._tell(gone, reason)

    def _reason(self, error: Exception | None) -> Exception:
        if self._stage is Stage.ABORTED:
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
    def connected(self) -> bool:
        """From the beginning to the end."""
        return Stage.OPEN <= self._stage < Stage.ENDED

    @property
    def disconnecting(self) -> bool:
        """It is to end, or has ended: nothing is delivered any more. Twisted's own protocols look at this."""
        return self._stage >= Stage.CLOSING

    @property
    def disconnected(self) -> bool:
        """It has ended."""
        return self._stage is Stage.ENDED

    @property
    def protocol(self) -> Any:
        """The Twisted protocol; another may take over at any time. None once the connection has ended."""
        return self._protocol

    @protocol.setter
    def protocol(self, protocol: Any) -> None:
        if self._stage is Stage.ENDED:
            return
        self._protocol = protocol
        if self._stage < Stage.CLOSING and self._intake is not Intake.KEPT:
            self._bind(protocol.dataReceived)

    def _bind(self, received: Callable[[bytes], object]) -> None:
        self.data_received = received  # type: ignore[method-assign, assignment]
        if self._transport is not None:
            self._transport.set_protocol(self)  # uvloop asks a protocol for its methods only here

    # ITransport, ITCPTransport, ISystemHandle.

    def loseConnection(self) -> None:
        """Close when all is sent that was written, and a producer that is waiting has had its turn."""
        if self._stage is Stage.FINISHED:
            self.drop()
        elif Stage.OPEN <= self._stage < Stage.CLOSING:
            self._stage = Stage.CLOSING
            self._transport.pause_reading()
            self._bind(_ignore)
            self._close()

    def loseWriteConnection(self) -> None:
        """Send what was written, then say that no more comes; the peer may go on."""
        if self._stage is not Stage.OPEN:
            return
        self._stage = Stage.FINISHING
        if self._transport.get_write_buffer_size():
            self._transport.set_write_buffer_limits(0)
        elif self._feeding is Feeding.NOBODY:
            self.loop.call_soon(self._close_writing)

    def _close_writing(self) -> None:
        if self._stage is not Stage.FINISHING:
            return
        self._stage = Stage.FINISHED
        self.write = self.writeSequence = _ignore
        self._transport.write_eof()
        halves = IHalfCloseableProtocol(self._protocol, None)
        if halves is not None:
            self._tell(halves.writeConnectionLost)

    def abortConnection(self) -> None:
        """Close now, with a reset; what was not sent is lost."""
        if not Stage.OPEN <= self._stage < Stage.ABORTED:
            return
        self._stage = Stage.ABORTED
        try:
            self._handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        except OSError:
            pass
        self._break()

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
        if self._intake is Intake.FLOWS and Stage.OPEN <= self._stage < Stage.CLOSING:
            self._intake = Intake.HELD
            self._transport.pause_reading()

    def resumeProducing(self) -> None:
        """Read again."""
        if self._intake is Intake.FLOWS or self._stage >= Stage.CLOSING:
            return
        was, self._intake = self._intake, Intake.FLOWS
        if was is Intake.KEPT:
            self._bind(self._protocol.dataReceived)
            kept, self._kept = self._kept, b""
            if kept:
                self._tell(self._protocol.dataReceived, kept)
        if self._intake is Intake.FLOWS and self._stage < Stage.CLOSING:
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
        if self._stage is Stage.ENDED:
            producer.stopProducing()
            return
        self.producer = producer
        if not streaming:
            self._feeding = Feeding.PULLED
            self._pull()
        elif self._is_full:
            self._feeding = Feeding.PAUSED
            producer.pauseProducing()
        else:
            self._feeding = Feeding.PUSHES

    def unregisterProducer(self) -> None:
        """There is no producer any longer."""
        self.producer, self._feeding = None, Feeding.NOBODY
        self._close()
        if self._stage is Stage.FINISHING and not self._transport.get_write_buffer_size():
            self.loop.call_soon(self._close_writing)

    def _pull(self) -> None:
        """Ask for one piece after the other, until the producer is done or much is unsent."""
        producer = self.producer
        if self._feeding is not Feeding.PULLED or self._is_full:
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
