"""What is live, connections and texts being spoken, and how it ends when the gateway stops."""

from collections.abc import Callable
from typing import Final, Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from waav.errors import WaavError
from waav.gateway.admission.connection_figures import ConnectionFigures

GOING_AWAY: Final = 1001
"""WebSocket close code: the server is shutting down."""


class ShuttingDown(WaavError):
    """The gateway is about to end; another one may do what was asked."""

    status = 503
    code = "shutting_down"
    retryable = True

    def __init__(self) -> None:
        super().__init__("Server is shutting down")


class LiveConnection(Protocol):
    """A live connection as its owner sees it; also an answer to ``POST /speak`` on its way."""

    def close(self, code: int, reason: str) -> None:
        """Send a close frame and be gone soon; closing twice does no harm."""


class LiveConnections:
    """Knows every live connection until it has been cleaned up.

    Attributes:
        figures: what is counted of them.
        changed: called when there is one more or one less.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._live: dict[LiveConnection, str] = {}  # and by which route it came
        self.figures = ConnectionFigures()
        self.changed: Callable[[], None] = _ignored
        self._is_open = True
        self._limit: IDelayedCall | None = None
        self._waiters: list[Deferred[None]] = []

    @property
    def live(self) -> int:
        """Connections that are not cleaned up yet."""
        return len(self._live)

    @property
    def is_open(self) -> bool:
        """Whether new connections are welcome."""
        return self._is_open

    def add(self, connection: LiveConnection, route: str = "ws") -> None:
        """A connection was accepted."""
        self._live[connection] = route
        self.figures.opened[route] += 1
        self.changed()

    def remove(self, connection: LiveConnection, why: str = "lost") -> None:
        """A connection is gone and cleaned up; unknown ones are ignored. See ``ConnectionFigures.closed``."""
        route = self._live.pop(connection, None)
        if route is not None:
            self.figures.closed[route, why] += 1
            self.changed()
        if not self._live:
            self._all_gone()

    def stop(self, drain_s: float) -> Deferred[None]:
        """Refuse new connections, let the live ones go on for ``drain_s``, then close them with 1001.

        A second call closes them at once.

        Returns:
            A Deferred that fires when all are cleaned up. Cancelling it does not stop the stopping.
        """
        was_open, self._is_open = self._is_open, False
        done: Deferred[None] = Deferred()
        self._waiters.append(done)
        if not self._live:
            self._all_gone()
        elif was_open and drain_s > 0:
            self._limit = self._clock.callLater(drain_s, self._close_all)
        else:
            self._close_all()
        return done

    def _close_all(self) -> None:
        self._stop_timer()
        for connection in tuple(self._live):
            connection.close(GOING_AWAY, "server is shutting down")

    def _all_gone(self) -> None:
        if self._is_open:
            return
        self._stop_timer()
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.called:
                waiter.callback(None)

    def _stop_timer(self) -> None:
        limit, self._limit = self._limit, None
        if limit is not None and limit.active():
            limit.cancel()


def _ignored() -> None:
    pass
