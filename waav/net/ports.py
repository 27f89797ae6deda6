"""Accepting connections for the event loop."""

import asyncio
import errno
import os
import socket
import stat
from collections.abc import Callable
from typing import Any, Final, Protocol

from twisted.internet.abstract import isIPv6Address
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IListeningPort, IProtocol
from twisted.logger import Logger
from twisted.python.lockfile import FilesystemLock
from zope.interface import implementer

from waav.net.transport import Address, Connection, address_of, attach

ACCEPTS: Final = 100
"""Connections accepted in one go, before those that are open get their turn."""

RETRY_S: Final = 0.2
"""How long accepting stops when the system has no descriptor or memory left. Callers wait in the backlog."""

RECEIVE_BUFFER: Final = 65_536
"""What the system holds of a caller who is not read, in bytes; it takes twice that, for its own records too.

Left to itself it would hold minutes of audio of somebody who sends faster than real time: a ping behind that, or a
change of mind, would wait as long. This is seconds, and enough for a megabyte a second over a tenth of one.
"""

_EXHAUSTED: Final = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class AcceptGate(Protocol):
    """Decides about connections that other processes with the same socket could take as well."""

    def may_accept(self, port: "Port") -> bool:
        """Whether to take the next one; may pause the port."""

    def accepted(self) -> None:
        """One was taken."""


@implementer(IListeningPort)
class Port:
    """A listening socket.

    Args:
        loop: accepts on it.
        handle: the socket, bound and listening.
        factory: makes the protocols.
        closed: called when it listens no longer.

    Attributes:
        gate: asked before each connection; None: all are taken.
    """

    _log = Logger()

    def __init__(
        self,
        loop: asyncio.AbstractEventLoop,
        handle: socket.socket,
        factory: Any,
        closed: Callable[[], None] | None = None,
    ) -> None:
        self._loop = loop
        self._closed = closed
        self._address = address_of(handle.family, handle.getsockname())
        self._beginning: set[asyncio.Task[None]] = set()
        self._retry: asyncio.TimerHandle | None = None
        self._is_accepting = self._is_exhausted = False
        self.socket = handle
        self.factory = factory
        self.gate: AcceptGate | None = None
        self.connected = False
        handle.setblocking(False)
        if handle.family != socket.AF_UNIX:
            handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # Those that are accepted have it from here; later their window is agreed on already.
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)

    def startListening(self) -> None:
        """Begin to accept; whoever made the port has done so already."""
        self.factory.doStart()
        self.connected = True
        self.resume_accepting()

    def stopListening(self) -> Deferred[None]:
        """Accept nobody new; connections go on. Fires when the address is free again."""
        if not self.connected:
            return maybeDeferred(_nothing)
        self.pause_accepting()
        self.connected = False
        self.socket.close()
        return maybeDeferred(self._stopped)

    def _stopped(self) -> None:
        if self._closed is not None:
            self._closed()
        self.factory.doStop()

    def getHost(self) -> Address:
        """Where it listens."""
        return self._address

    def pause_accepting(self) -> None:
        """Let callers wait in the backlog, or be taken by another process with the same socket."""
        self._is_accepting = False
        if self.connected:
            self._loop.remove_reader(self.socket.fileno())
        if self._retry is not None:
            self._retry.cancel()
            self._retry = None

    def resume_accepting(self) -> None:
        """Accept again."""
        self._retry = None
        if self.connected and not self._is_accepting:
            self._is_accepting = True
            self._loop.add_reader(self.socket.fileno(), self._accept)

    def _accept(self) -> None:
        for _ in range(ACCEPTS):
            if self.gate is not None and not self.gate.may_accept(self):
                return
            try:
                handle, name = self.socket.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _EXHAUSTED:
                    self._exhausted(error)
                    return
                # The caller is gone again, or a firewall refused him.
                continue
            self._is_exhausted = False
            if self.gate is not None:
                self.gate.accepted()
            self._begin(handle, name)
            if not self._is_accepting:
                return

    def _exhausted(self, error: OSError) -> None:
        if not self._is_exhausted:
            self._is_exhausted = True
            self._log.warn("no connection can be accepted: {reason}", reason=error.strerror)
        self.pause_accepting()
        self._retry = self._loop.call_later(RETRY_S, self.resume_accepting)

    def _begin(self, handle: socket.socket, name: Any) -> None:
        handle.setblocking(False)
        peer = address_of(handle.family, name)
        connection = Connection(self._loop, handle, self._build, peer)
        task = self._loop.create_task(self._attach(connection, handle))
        self._beginning.add(task)
        task.add_done_callback(self._beginning.discard)

    async def _attach(self, connection: Connection, handle: socket.socket) -> None:
        try:
            await attach(self._loop, connection, handle)
        except OSError:
            handle.close()

    def _build(self, connection: Connection) -> IProtocol | None:
        protocol: IProtocol | None = self.factory.buildProtocol(connection.getPeer())
        return protocol


def _nothing() -> None:
    pass


def tcp(
    loop: asyncio.AbstractEventLoop, port: Any, factory: Any, backlog: int, interface: str
) -> Port:
    """Listen on a TCP port.

    Raises:
        CannotListenError: the address cannot be had.
    """
    can_share = False
    if not isinstance(port, int):  # what Twisted's makeBinding returns
        interface, can_share, port = port._address or "", port._reusePort, port._port
    is_v6 = isIPv6Address(interface)
    handle = socket.socket(socket.AF_INET6 if is_v6 else socket.AF_INET, socket.SOCK_STREAM)
    try:
        handle.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if can_share:
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        handle.bind(numeric(interface, port) if is_v6 else (interface, port))
        handle.listen(backlog)
    except OSError as error:
        handle.close()
        raise CannotListenError(interface, port, error) from None
    return _started(Port(loop, handle, factory))


def numeric(host: str, port: int) -> Any:
    """An IPv6 address for ``bind`` or ``connect``, with the number of the link it names."""
    only = socket.AI_NUMERICHOST | socket.AI_NUMERICSERV
    name: Any = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=only)[0][4]
    return name


def unix(
    loop: asyncio.AbstractEventLoop,
    address: str | bytes,
    factory: Any,
    backlog: int,
    mode: int,
    is_locked: bool,
) -> Port:
    """Listen on a path.

    Args:
        mode: who may connect.
        is_locked: with a lock file beside it, so that the socket of a process that died is taken over.

    Raises:
        CannotListenError: the path cannot be had.
    """
    path = os.fsencode(address)
    lock = FilesystemLock(os.fsdecode(path + b".lock")) if is_locked else None
    if lock is not None:
        if not lock.lock():
            raise CannotListenError(None, address, OSError(errno.EADDRINUSE, "it is locked"))
        if not lock.clean:
            _remove(path)
    handle = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        handle.bind(path)
        if not path.startswith(b"\0"):
            os.chmod(path, mode)
        handle.listen(backlog)
    except OSError as error:
        handle.close()
        if lock is not None:
            lock.unlock()
        raise CannotListenError(None, address, error) from None

    def closed() -> None:
        _remove(path)
        if lock is not None:
            lock.unlock()

    return _started(Port(loop, handle, factory, closed))


def _remove(path: bytes) -> None:
    """Delete a socket; nothing else that may have the name."""
    try:
        if not path.startswith(b"\0") and stat.S_ISSOCK(os.stat(path).st_mode):
            os.unlink(path)
    except FileNotFoundError:
        pass


def adopted(loop: asyncio.AbstractEventLoop, descriptor: int, family: int, factory: Any) -> Port:
    """Accept on a socket that listens already; the descriptor is copied."""
    return _started(Port(loop, socket.fromfd(descriptor, family, socket.SOCK_STREAM), factory))


def _started(port: Port) -> Port:
    port.startListening()
    return port
