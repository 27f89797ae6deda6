"""The end of a link: who waits for it, and how long it may take."""

from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime


class Goodbye:
    """Asked for by ``Link.close``, any number of times; said once.

    Args:
        clock: measures the limit.
        abort: hangs up at once; called when somebody who waits does not want to wait any more.
    """

    def __init__(self, clock: IReactorTime, abort: Callable[[], None]) -> None:
        self._clock = clock
        self._abort = abort
        self._waiting: Deferred[None] | None = None
        self._limit: IDelayedCall | None = None

    @property
    def is_asked(self) -> bool:
        """Whether anybody waits for it."""
        return self._waiting is not None

    @property
    def is_limited(self) -> bool:
        """Whether a limit is running."""
        return self._limit is not None

    def wait(self) -> Deferred[None]:
        """Fires when it is said. Cancelling it hangs up."""
        waiter: Deferred[None] = Deferred(lambda _: self._abort())
        if self._waiting is None:
            self._waiting = waiter
        else:
            self._waiting.chainDeferred(waiter)
        return waiter

    def limit(self, seconds: float, passed: Callable[[], None]) -> None:
        """Call ``passed`` then, unless it is said before; in place of an earlier limit."""
        self._forget_limit()
        self._limit = self._clock.callLater(seconds, self._limit_passed, passed)

    def said(self) -> None:
        """Nobody waits any longer."""
        self._forget_limit()
        self._abort = _nothing  # it is the link's, which keeps us
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            waiting.callback(None)

    def _limit_passed(self, passed: Callable[[], None]) -> None:
        self._limit = None
        passed()

    def _forget_limit(self) -> None:
        limit, self._limit = self._limit, None
        if limit is not None:
            limit.cancel()


def _nothing() -> None:
    """There is nothing to hang up any more."""
