"""The connections to one vendor host: kept open between requests, and some opened before anybody needs them."""

import socket
from collections.abc import Callable
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, DeferredSemaphore, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.python.failure import Failure

from waav.links.http.connection import HttpConnection
from waav.links.http.traffic import TrafficFigures
from waav.links.settings import LinkSettings

WARM_FAILURES: Final = 10
"""After so many in a row no connection is opened in advance, until somebody asks for one (4.2)."""
SHORT_S: Final = 5.0
"""A connection that the vendor closes unused before this is counted as a failure: he does not want it."""
REOPEN_S: Final = (1.0, 60.0)
"""Wait after the first failure, twice as long after each further one; and the longest."""
PROBES: Final = 3
"""So many unanswered TCP probes mean that the peer is gone."""

Dial = Callable[[Factory], Deferred[Any]]


class _Dialling:
    """A connection in the making. It is nobody's until it is claimed.

    Attributes:
        claimed: fires with the connection; cancelling it ends the attempt. None: nobody waits for it.
    """

    def __init__(self) -> None:
        self.claimed: Deferred[HttpConnection] | None = None
        self._connecting: Deferred[Any] | None = None

    def claim(self) -> Deferred[HttpConnection]:
        """Have it."""
        self.claimed = Deferred(lambda _: self.cancel())
        return self.claimed

    def start(
        self, dial: Dial, factory: Factory, ended: Callable[["_Dialling", Any], None]
    ) -> None:
        """Begin; ``ended`` may be called at once."""
        self._connecting = dial(factory)
        self._connecting.addBoth(lambda result: ended(self, result))

    def cancel(self) -> None:
        """Give up."""
        if self._connecting is not None:
            self._connecting.cancel()


class _Connections(Factory):
    noisy = False

    def __init__(self, make: Callable[[], HttpConnection]) -> None:
        self._make = make

    def buildProtocol(self, addr: Any) -> Any:
        return self._make()


class Pool:
    """Connections to one ``scheme://host:port``, and whose turn it is to use one.

    Args:
        clock: the reactor.
        settings: how many, and for how long.
        dial: makes a connection for the factory it is given.

    Attributes:
        turns: one for each request that may be under way; those who wait are served in order.
    """

    _log = Logger()

    def __init__(self, clock: Any, settings: LinkSettings, dial: Dial) -> None:
        self.turns = DeferredSemaphore(settings.requests)
        self._counted = TrafficFigures()
        self._clock = clock
        self._settings = settings
        self._dial = dial
        self._idle: list[HttpConnection] = []  # the freshest last
        self._open: set[HttpConnection] = set()
        self._dialling: set[_Dialling] = set()
        self._spares: list[_Dialling] = []  # those nobody waits for
        self._warm = 0
        self._failures = 0
        self._reopening: IDelayedCall | None = None
        self._sweeping: IDelayedCall | None = None
        self._gone: Deferred[None] | None = None

    @property
    def figures(self) -> TrafficFigures:
        """As of now. Under way is what has a turn: capacity less free ones."""
        self._counted.in_flight = self._settings.requests - self.turns.tokens
        self._counted.waiting = len(self.turns.waiting)
        self._counted.connections_idle = len(self._idle)
        return self._counted

    @property
    def is_busy(self) -> bool:
        """Whether somebody uses it, or it is to be kept ready."""
        return self.turns.tokens < self._settings.requests or self._warm > 0

    # For requests.

    def take(self) -> HttpConnection | None:
        """A connection that is open, if there is one; give it back by letting its answer end."""
        self._failures = 0
        while self._idle:
            connection = self._idle.pop()
            if connection.is_open:
                self._counted.connections_reused += 1
                self._fill()
                return connection
        return None

    def connect(self) -> Deferred[HttpConnection]:
        """A new connection, perhaps one that is being made already. Cancelling it gives that up."""
        self._failures = 0
        if self._spares:
            claimed = self._spares.pop().claim()
        else:
            dialling = _Dialling()
            claimed = dialling.claim()
            self._start(dialling)
        self._fill()
        return claimed

    # Before there are any.

    def expect(self) -> None:
        """A request will come soon: have a connection ready for it."""
        if self._settings.warmup != "off" and not self._idle and not self._spares:
            self._failures = 0
            self._spare()

    def keep_warm(self, count: int) -> None:
        """Have ``count`` connections open and idle, from now on."""
        self._warm = min(count, self._settings.connections)
        self._fill()

    def _fill(self, is_due: bool = False) -> None:
        """Open what is missing to the number that is to be idle: later after a failure, not at all after many."""
        for _ in range(self._warm - len(self._idle) - len(self._spares)):
            if self._reopening is not None or self._gone is not None:
                return
            if self._failures and not is_due:
                self._fill_later()
                return
            self._spare()

    def _fill_later(self) -> None:
        if self._failures < WARM_FAILURES:
            first, most = REOPEN_S
            wait = min(first * 2 ** (self._failures - 1), most)
            self._reopening = self._clock.callLater(wait, self._reopen)

    def _reopen(self) -> None:
        self._reopening = None
        self._fill(is_due=True)

    def _spare(self) -> None:
        dialling = _Dialling()
        self._spares.append(dialling)
        self._start(dialling)

    # Connections come and go.

    def _start(self, dialling: _Dialling) -> None:
        self._dialling.add(dialling)
        factory = _Connections(lambda: HttpConnection(self._free, self._lost))
        dialling.start(self._dial, factory, self._dialled)

    def _dialled(self, dialling: _Dialling, result: Any) -> None:
        self._dialling.discard(dialling)
        if dialling in self._spares:
            self._spares.remove(dialling)
        claimed = dialling.claimed
        if isinstance(result, Failure):
            self._not_dialled(claimed, result)
            return
        self._counted.connections_opened += 1
        if result.is_open:
            self._open.add(result)
        _probe(result.transport, self._settings.tcp_keepalive_s)
        if self._gone is not None or (claimed is not None and claimed.called):
            result.abort()
        elif claimed is not None:
            claimed.callback(result)
        else:
            self._free(result)

    def _not_dialled(self, claimed: Deferred[HttpConnection] | None, failure: Failure) -> None:
        if claimed is not None:
            if not claimed.called:
                claimed.errback(failure)
            return
        if failure.check(CancelledError) and self._gone is not None:
            return
        self._failures += 1
        self._log.debug("no connection in advance: {reason}", reason=type(failure.value).__name__)
        self._fill()

    def _free(self, connection: HttpConnection) -> None:
        """``connection`` may carry another request."""
        if self._gone is not None or len(self._idle) >= self._settings.connections:
            connection.abort()
            return
        connection.idle_since = self._clock.seconds()
        self._idle.append(connection)
        if self._sweeping is None:
            self._sweeping = self._clock.callLater(self._settings.keep_s, self._sweep)

    def _lost(self, connection: HttpConnection) -> None:
        self._open.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
            idle_s = self._clock.seconds() - connection.idle_since
            is_unwanted = not connection.is_used and idle_s < SHORT_S
            self._failures = self._failures + 1 if is_unwanted else 0
        self._end()
        self._fill()

    def _sweep(self) -> None:
        """Close what was idle for long. One timer for all of them."""
        self._sweeping = None
        oldest = self._clock.seconds() - self._settings.keep_s
        old = [one for one in self._idle if one.idle_since <= oldest]
        self._idle = [one for one in self._idle if one.idle_since > oldest]
        if old:
            self._failures = 0  # they lived long enough
        for connection in old:
            connection.abort()
        if self._idle:
            due = min(one.idle_since for one in self._idle) - oldest
            self._sweeping = self._clock.callLater(due, self._sweep)
        self._fill()

    def stop(self) -> Deferred[None]:
        """Close everything. Fires when the last connection is gone."""
        if self._gone is None:
            self._gone = Deferred()
            for timer in (self._sweeping, self._reopening):
                if timer is not None:
                    timer.cancel()
            self._sweeping = self._reopening = None
            for dialling in list(self._dialling):
                dialling.cancel()
            self._idle.clear()
            for connection in list(self._open):
                connection.abort()
            self._end()
        return succeed(None) if self._gone.called else _also(self._gone)

    def _end(self) -> None:
        if self._gone is not None and not self._gone.called and not self._open:
            self._gone.callback(None)


def _also(waited_for: Deferred[None]) -> Deferred[None]:
    """Fires with it, and leaves it alone."""
    also: Deferred[None] = Deferred()
    waited_for.addCallback(lambda _: also.callback(None))
    return also


def _probe(transport: Any, idle_s: float) -> None:
    """Have the system find out when a silent peer is gone: no goodbye comes from one that lost its power."""
    if not hasattr(transport, "setTcpKeepAlive"):
        return  # a connection in memory
    transport.setTcpKeepAlive(True)
    handle = getattr(transport, "socket", None) or transport.getHandle()
    if isinstance(handle, socket.socket) and hasattr(socket, "TCP_KEEPIDLE"):
        seconds = max(1, round(idle_s))
        for option, value in (
            (socket.TCP_KEEPIDLE, seconds),
            (socket.TCP_KEEPINTVL, seconds),
            (socket.TCP_KEEPCNT, PROBES),
        ):
            handle.setsockopt(socket.IPPROTO_TCP, option, value)
