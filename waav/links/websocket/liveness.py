"""Keeps a silent connection open, and notices one that is gone without a word."""

from math import inf
from typing import Final, Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

SOON_S: Final = 0.001
"""The timer never runs at once: a rounding error must not make it run for ever."""


class Watched(Protocol):
    """Whose connection it is."""

    def ask_alive(self) -> None:
        """Send a ping."""

    def keep_alive(self) -> None:
        """Nothing was said for as long as the vendor allows."""

    def gave_no_answer(self) -> None:
        """A ping was not answered. Nothing follows, until it begins again."""


class Liveness:
    """One timer per connection: it compares times, so that no frame has to move it.

    Args:
        clock: runs it.
        ping_s: between two pings; whatever comes after one is the answer, and must come as soon.

    Attributes:
        seconds: the time, for the next two.
        said_at: when something was last said; set by whoever says it.
        heard_at: when something was last heard; set by whoever hears it.
    """

    __slots__ = (
        "_call",
        "_clock",
        "_keepalive_s",
        "_owner",
        "_ping_due",
        "_ping_s",
        "_pinged_at",
        "heard_at",
        "said_at",
        "seconds",
    )

    def __init__(self, clock: IReactorTime, ping_s: float) -> None:
        self._clock = clock
        self._ping_s = ping_s
        self._owner: Watched | None = None
        self._call: IDelayedCall | None = None
        self._keepalive_s: float | None = None
        self._pinged_at, self._ping_due = -inf, inf
        self.seconds = clock.seconds
        self.said_at = self.heard_at = 0.0

    def begin(self, owner: Watched, keepalive_s: float | None, *, is_read: bool) -> None:
        """A new connection is ready.

        Args:
            keepalive_s: ``keep_alive`` when nothing was said for so long; None: never.
            is_read: False: as after ``rest``.
        """
        self._owner = owner
        self._keepalive_s = keepalive_s
        self.said_at = self.seconds()
        self.go_on()
        if not is_read:
            self.rest()
        self._look()

    def rest(self) -> None:
        """The vendor is not read: no pings, since their answers would not be."""
        self._ping_due = inf

    def go_on(self) -> None:
        """He is read again, as if he had answered just now."""
        self.heard_at = self.seconds()
        self._ping_due = self.heard_at + self._ping_s

    def stop(self) -> None:
        """The connection is gone."""
        self._owner = None
        call, self._call = self._call, None
        if call is not None:
            call.cancel()

    def _look(self) -> None:
        self._call = None
        owner, now = self._owner, self.seconds()
        if owner is None:
            return
        if now >= self._ping_due:
            if self.heard_at < self._pinged_at:
                owner.gave_no_answer()
                return
            self._pinged_at, self._ping_due = now, now + self._ping_s
            owner.ask_alive()
        due = min(self._ping_due, now + self._ping_s)
        if self._keepalive_s is not None:
            if now - self.said_at >= self._keepalive_s:
                self.said_at = now
                owner.keep_alive()
            due = min(due, self.said_at + self._keepalive_s)
        if self._owner is owner:  # neither of the two has ended it
            self._call = self._clock.callLater(max(due - now, SOON_S), self._look)
