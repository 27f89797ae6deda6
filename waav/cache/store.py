"""What every store does: one in memory, one in files that survive a restart.

Stores are called from the reactor's thread. A failure of the disk is a miss, never an error.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from twisted.internet.defer import Deferred

Wall = Callable[[], float]
"""The wall clock, Unix seconds."""


@dataclass(slots=True)
class StoreFigures:
    """What a store did so far. ``size_bytes`` and ``entries`` are what it holds now."""

    hits: int = 0
    misses: int = 0
    sets: int = 0
    deletes: int = 0
    evictions: int = 0
    failures: int = 0
    size_bytes: int = 0
    entries: int = 0

    @property
    def hit_rate(self) -> float:
        """Percent of reads that found something; 0 without reads."""
        reads = self.hits + self.misses
        return 100.0 * self.hits / reads if reads else 0.0


class Store(Protocol):
    """Keeps values by key. Keys are any text; they are not stored readably."""

    @property
    def figures(self) -> StoreFigures:
        """Counts since the start."""

    def get(self, key: str) -> Deferred[bytes | None]:
        """The value, or None when there is none (any more)."""

    def put(self, key: str, value: bytes, ttl_s: float | None = None) -> Deferred[bool]:
        """Keep ``value`` for ``ttl_s`` seconds (None: the configured time; 0: not at all).

        Returns:
            Whether it was kept.
        """

    def exists(self, key: str) -> Deferred[bool]:
        """Whether ``get`` would find something; does not count as a read. Removes what is expired."""

    def delete(self, key: str) -> Deferred[bool]:
        """Forget one value; whether there was one."""

    def clear(self) -> Deferred[None]:
        """Forget all."""

    def sweep(self) -> Deferred[int]:
        """Remove what is expired or left over; how many."""
