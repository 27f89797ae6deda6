"""Which worker takes the next connection, so that calls spread evenly over all.

All workers hear of a new connection at the same moment. Whoever is not the least busy steps back for some
milliseconds; if the connection is still waiting then, he takes it after all.
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Final, Protocol

from twisted.internet.interfaces import IReactorTime

from waav.gateway.admission.live import LiveConnections

STEP_BACK_S: Final = 0.002
"""How long a connection waits for a worker that has fewer calls but is busy at the moment, for each call that it
has fewer."""

STEPS: Final = 4
"""Nobody waits longer than for so many."""

YOUNG_S: Final = 1.0
"""How long a connection counts that has not become a call: it may be about to."""


class Place(Protocol):
    """Where this worker shows how busy it is; ``Board``."""

    def show(self, live: int, load: int) -> None:
        """How many calls there are, and how many connections that are calls or may become some."""

    def accepted(self) -> None:
        """One more connection."""

    def turns_before(self) -> int:
        """How many connections others should take before this worker; 0: it is this one's turn."""


class Pausing(Protocol):
    """A listening port."""

    def pause_accepting(self) -> None:
        """Leave connections to others."""

    def resume_accepting(self) -> None:
        """Look at connections again."""


class Turnstile:
    """Stands in front of the ports of a worker.

    Args:
        clock: for stepping back.
        board: shows how busy this worker and the others are.
        calls: of this worker; reported from now on.
    """

    def __init__(self, clock: IReactorTime, board: Place, calls: LiveConnections) -> None:
        self._clock = clock
        self._board = board
        self._calls = calls
        self._live = calls.live
        self._young: deque[float] = deque()  # when they were accepted
        self._insists_until = 0.0
        calls.changed = self._changed

    def may_accept(self, port: Pausing) -> bool:
        """Whether to take a connection that waits at ``port``, which is paused for a moment if not."""
        before = self._board.turns_before()
        if not before or self._clock.seconds() < self._insists_until:
            return True
        port.pause_accepting()
        again: Callable[..., Any] = self._look_again
        self._clock.callLater(STEP_BACK_S * min(before, STEPS), again, port)
        return False

    def _look_again(self, port: Pausing) -> None:
        # Only for a connection that is there now: the next one may be somebody else's.
        self._insists_until = self._clock.seconds() + STEP_BACK_S
        port.resume_accepting()

    def accepted(self) -> None:
        """A connection was taken."""
        self._insists_until = 0.0
        self._young.append(self._clock.seconds())
        self._board.accepted()
        self._show()
        self._clock.callLater(YOUNG_S, self._show)

    def _changed(self) -> None:
        live, before = self._calls.live, self._live
        self._live = live
        if live > before and self._young:
            self._young.popleft()
        self._show()

    def _show(self) -> None:
        grown_up = self._clock.seconds() - YOUNG_S
        while self._young and self._young[0] <= grown_up:
            self._young.popleft()
        self._board.show(self._live, self._live + len(self._young))
