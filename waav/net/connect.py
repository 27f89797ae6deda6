"""Connections that we begin, made by the event loop."""

import asyncio
import os
import socket
from typing import Any

from twisted.internet import tcp as stock_tcp
from twisted.internet import unix as stock_unix
from twisted.internet.abstract import isIPAddress, isIPv6Address
from twisted.internet.address import IPv4Address, IPv6Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import BadFileError, ConnectBindError, getConnectError
from twisted.internet.interfaces import IProtocol
from twisted.python.failure import Failure
from twisted.python.lockfile import isLocked

from waav.net.ports import numeric
from waav.net.transport import Connection, address_of, attach


class Attempt:
    """One attempt to connect, and then the connection, as Twisted's connectors want them.

    Args:
        connector: told what became of it.
        loop: connects.
    """

    def __init__(self, connector: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._connector = connector
        self._loop = loop
        self._task: asyncio.Task[None] | None = None
        self._handle: socket.socket | None = None
        self._connection: Connection | None = None
        self._is_over = False

    def start(self, family: int, name: Any, bind_to: Any = None) -> None:
        """Connect to an address.

        Args:
            name: the address, as sockets want it.
            bind_to: where to connect from; None: anywhere.
        """
        if not self._is_over:
            self._task = self._loop.create_task(self._connect(family, name, bind_to))

    def reach(self, address: IPv4Address | IPv6Address) -> None:
        """Connect to an address, as Twisted writes it."""
        if isinstance(address, IPv6Address):
            self.start(socket.AF_INET6, numeric(address.host, address.port))
        else:
            self.start(socket.AF_INET, (address.host, address.port))

    async def _connect(self, family: int, name: Any, bind_to: Any) -> None:
        try:
            self._handle = handle = _bound(family, bind_to)
        except OSError as error:
            self.failIfNotConnected(ConnectBindError(error.errno, error.strerror))
            return
        try:
            await self._loop.sock_connect(handle, name)
            connection = Connection(
                self._loop, handle, self._build, address_of(family, name), self._lost
            )
            await attach(self._loop, connection, handle)
        except OSError as error:
            self.failIfNotConnected(getConnectError((error.errno, error.strerror)))

    def _build(self, connection: Connection) -> IProtocol | None:
        if self._is_over:
            return None
        self._connection = connection
        protocol: IProtocol | None = self._connector.buildProtocol(connection.getPeer())
        return protocol

    def _lost(self, reason: Failure) -> None:
        if self._connection is not None:
            # The connection knows us, and the connector does: one would keep the others.
            connector, self._connector, self._connection = self._connector, None, None
            self._is_over = True
            connector.connectionLost(reason)

    def failIfNotConnected(self, error: Any) -> None:
        """Give up, unless there is a connection already."""
        if self._is_over or self._connection is not None:
            return
        self._is_over = True
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
        if self._handle is not None:
            # The task may be waiting for the descriptor: it lets go of it first.
            self._loop.call_soon(self._handle.close)
        connector, self._connector = self._connector, None
        connector.connectionFailed(Failure(error))

    def loseConnection(self) -> None:
        """End the connection."""
        if self._connection is not None:
            self._connection.loseConnection()


def _bound(family: int, bind_to: Any) -> socket.socket:
    handle = socket.socket(family, socket.SOCK_STREAM)
    try:
        handle.setblocking(False)
        if bind_to is not None:
            can_reuse = can_share = False
            if not isinstance(bind_to, tuple):  # what Twisted's makeBinding returns
                can_reuse, can_share = bind_to._reuseAddress, bind_to._reusePort
                bind_to = (bind_to._address or "", bind_to._port)
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, can_reuse)
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, can_share)
            handle.bind(numeric(*bind_to) if isIPv6Address(bind_to[0]) else bind_to)
    except OSError:
        handle.close()
        raise
    return handle


class TCP(stock_tcp.Connector):
    """Twisted's connector over the loop's connections."""

    def _makeTransport(self) -> Any:
        reactor: Any = self.reactor
        attempt = Attempt(self, reactor.loop)
        host, port = self.host, self.port
        if isIPv6Address(host):
            attempt.start(socket.AF_INET6, numeric(host, port), self.bindAddress)
            return attempt
        looking: Deferred[str] = succeed(host) if isIPAddress(host) else reactor.resolve(host)
        looking.addCallback(
            lambda found: attempt.start(socket.AF_INET, (found, port), self.bindAddress)
        )
        looking.addErrback(lambda failure: attempt.failIfNotConnected(failure.value))
        return attempt


class UNIX(stock_unix.Connector):
    """The same for paths."""

    def _makeTransport(self) -> Any:
        reactor: Any = self.reactor
        attempt = Attempt(self, reactor.loop)
        path = os.fsencode(self.address)
        if self.checkPID and not isLocked(os.fsdecode(path + b".lock")):
            reactor.callLater(0, attempt.failIfNotConnected, BadFileError(path))
        else:
            attempt.start(socket.AF_UNIX, path)
        return attempt
