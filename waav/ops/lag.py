"""How late the event loop is, measured all the time: everything that callers hear is at least as late as that."""

import math
from bisect import bisect_left
from collections.abc import Callable
from typing import Any, Final

from twisted.application.service import Service
from twisted.logger import Logger

PERIOD_S: Final = 0.05
"""How often is looked. Twenty times a second costs about a thousandth of a core and sees what a listener would."""

BOUNDS_S: Final = (0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
"""Upper bounds of the histogram. A frame of speech is 10 or 20 ms; 50 ms are heard, a second is a broken call."""

_PART_S: Final = 10.0
_PARTS: Final = 6
"""The last minute is kept in parts, so that its maximum is of 50 to 60 s."""

Told = Callable[[float, float], None]
"""Gets how late a beat came, in seconds, and when it had been due."""


class LagFigures:
    """What was measured since the start. Times in seconds.

    Attributes:
        counts: beats by lateness, one for each of ``BOUNDS_S`` and a last one for those above.
        total_s: all of them together.
        max_s: the worst one.
    """

    def __init__(self) -> None:
        self.counts = [0] * (len(BOUNDS_S) + 1)
        self.total_s = 0.0
        self.max_s = 0.0
        self._parts: list[tuple[int, float]] = []  # number of the part, its maximum; oldest first

    def add(self, late_s: float, now_s: float) -> None:
        """A beat came ``late_s`` late."""
        self.counts[bisect_left(BOUNDS_S, late_s)] += 1
        self.total_s += late_s
        if late_s > self.max_s:
            self.max_s = late_s
        parts, number = self._parts, int(now_s / _PART_S)
        if parts and parts[-1][0] == number:
            if late_s > parts[-1][1]:
                parts[-1] = (number, late_s)
        else:
            parts.append((number, late_s))
            del parts[:-_PARTS]

    def recent_max_s(self, now_s: float) -> float:
        """The worst one of the last minute; 0.0 if there was none."""
        oldest = int(now_s / _PART_S) - _PARTS
        return max((late_s for number, late_s in self._parts if number > oldest), default=0.0)


class LoopLag(Service):
    """A timer that looks how late it comes.

    Args:
        reactor: whose loop is measured.
        period_s: time between two beats.

    Attributes:
        period_s: the same.
        due_at: when the next beat should come, by ``reactor.seconds``; other threads may read it. Infinite while
            the loop does not run yet.
        figures: what was measured.
    """

    _log = Logger()

    def __init__(self, reactor: Any, period_s: float = PERIOD_S) -> None:
        self.period_s = period_s
        self.due_at = math.inf
        self.figures = LagFigures()
        self.seconds: Callable[[], float] = reactor.seconds
        # A delayed call of Twisted costs twice as much, and it is the loop that is measured.
        loop = getattr(reactor, "_asyncioEventloop", None)
        self._later: Callable[..., Any] = reactor.callLater if loop is None else loop.call_later
        self._timer: Any = None
        self._told: tuple[Told, ...] = ()

    def follow(self, told: Told) -> None:
        """Call ``told`` at each beat, from the next one on."""
        self._told = (*self._told, told)

    def startService(self) -> None:
        """Begin to measure as soon as the loop runs; what other services do before does not count."""
        super().startService()  # type: ignore[no-untyped-call]
        self._timer = self._later(0, self._next)

    def stopService(self) -> None:
        """Measure no longer."""
        super().stopService()  # type: ignore[no-untyped-call]
        timer, self._timer = self._timer, None
        self.due_at = math.inf
        if timer is not None:
            timer.cancel()

    def _next(self) -> None:
        self.due_at = self.seconds() + self.period_s
        self._timer = self._later(self.period_s, self._beat)

    def _beat(self) -> None:
        self._timer = None
        due_at, now = self.due_at, self.seconds()
        self._next()
        late_s = max(0.0, now - due_at)
        self.figures.add(late_s, now)
        for told in self._told:
            try:
                told(late_s, due_at)
            except Exception:
                self._log.failure("somebody who follows the event loop failed")
