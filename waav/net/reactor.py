"""The reactor, with the connections of its event loop in place of its own."""

import asyncio
from typing import Any
from weakref import WeakKeyDictionary

from twisted.internet.interfaces import IReactorSocket, IReactorTCP, IReactorUNIX
from zope.interface import directlyProvides, providedBy

from waav.net import connect, ports
from waav.net.transport import log_unhandled

_natives: WeakKeyDictionary[Any, "Native"] = WeakKeyDictionary()


def loop_of(reactor: Any) -> asyncio.AbstractEventLoop | None:
    """The event loop that a reactor runs on, if it runs on one."""
    loop = getattr(reactor, "_asyncioEventloop", None)
    return loop if isinstance(loop, asyncio.AbstractEventLoop) else None


def native(reactor: Any) -> Any:
    """The reactor itself, or one in its place that listens and connects by means of the event loop.

    Endpoints of Twisted work with it as with any reactor.
    """
    if isinstance(reactor, Native) or (loop := loop_of(reactor)) is None:
        return reactor
    if reactor not in _natives:
        _natives[reactor] = Native(reactor, loop)
    return _natives[reactor]


class Native:
    """A reactor whose stream sockets are the event loop's. All else is done by the reactor.

    Args:
        reactor: the one that runs.
        loop: what it runs on.
    """

    def __init__(self, reactor: Any, loop: asyncio.AbstractEventLoop) -> None:
        self._reactor = reactor
        self.loop = loop
        directlyProvides(self, IReactorTCP, IReactorUNIX, IReactorSocket, providedBy(reactor))
        if loop.get_exception_handler() is None:
            loop.set_exception_handler(log_unhandled)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._reactor, name)

    def listenTCP(self, port: Any, factory: Any, backlog: int = 50, interface: str = "") -> Any:
        """Listen on a port; ``port`` may be what ``makeBinding`` returns.

        Raises:
            CannotListenError: the address cannot be had.
        """
        return ports.tcp(self.loop, port, factory, backlog, interface)

    def listenUNIX(
        self,
        address: Any,
        factory: Any,
        backlog: int = 50,
        mode: int = 0o666,
        wantPID: bool = False,
    ) -> Any:
        """Listen on a path.

        Raises:
            CannotListenError: the path cannot be had.
        """
        return ports.unix(self.loop, address, factory, backlog, mode, wantPID)

    def adoptStreamPort(self, fileDescriptor: int, addressFamily: Any, factory: Any) -> Any:
        """Accept connections on a socket that listens already. The descriptor is copied; the caller closes his."""
        return ports.adopted(self.loop, fileDescriptor, addressFamily, factory)

    def connectTCP(
        self, host: Any, port: Any, factory: Any, timeout: float = 30, bindAddress: Any = None
    ) -> Any:
        """Connect to a host, by name or by address."""
        connector = connect.TCP(host, port, factory, timeout, bindAddress, self)
        connector.connect()
        return connector

    def connectUNIX(
        self, address: Any, factory: Any, timeout: float = 30, checkPID: bool = False
    ) -> Any:
        """Connect to a path."""
        connector: Any = connect.UNIX(address, factory, timeout, self, checkPID)  # type: ignore[no-untyped-call]
        connector.connect()
        return connector
