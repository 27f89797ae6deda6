"""When to dial a vendor again whose connection was lost, and when to give up."""

from collections.abc import Callable
from typing import Final

FIRST_S: Final = 0.5
LAST_S: Final = 8.0
JITTER: Final = 0.25
"""Waits of 0.5 s, twice as long each time, +/-25 %: many calls that lost one vendor do not come back as one."""

HEALTHY_S: Final = 30.0
"""A connection that lived this long starts the count anew."""


class Redials:
    """Counts them.

    Args:
        limit: so many in a row.
        random: numbers in [0, 1) for jitter.
    """

    __slots__ = ("_count", "_limit", "_random", "_up_since")

    def __init__(self, limit: int, random: Callable[[], float]) -> None:
        self._limit = limit
        self._random = random
        self._count = 0
        self._up_since = 0.0

    def up(self, now: float) -> None:
        """A connection is there, at ``now`` s."""
        self._up_since = now

    def lost(self, now: float) -> None:
        """It is lost, at ``now`` s."""
        if now - self._up_since >= HEALTHY_S:
            self._count = 0

    def wait_s(self, asked_s: float | None) -> float | None:
        """How long to wait before the next, at least what the vendor asked for; None: that was the last."""
        if self._count >= self._limit:
            return None
        wait_s: float = min(FIRST_S * 2**self._count, LAST_S)
        wait_s *= 1 - JITTER + 2 * JITTER * self._random()
        self._count += 1
        return max(wait_s, asked_s or 0.0)
