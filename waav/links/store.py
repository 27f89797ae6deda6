"""Where bytes are kept for a while: in memory, or in files that survive a restart (S-CACHE).

Both stores are called from the reactor's thread. A failure of the disk is a miss, never an error.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from waav.links.settings import CacheSettings


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


@dataclass(frozen=True, slots=True)
class _Kept:
    value: bytes
    expires_at: float


class MemoryStore:
    """Bounded in bytes and entries; what was not used for longest goes first.

    Args:
        clock: monotonic time for expiry.
        settings: limits.
    """

    def __init__(self, clock: IReactorTime, settings: CacheSettings) -> None:
        self._clock = clock
        self._settings = settings
        self._kept: OrderedDict[str, _Kept] = OrderedDict()
        self.figures = StoreFigures()

    def get(self, key: str) -> Deferred[bytes | None]:
        """See ``Store``."""
        found = self._living(key)
        if found is None:
            self.figures.misses += 1
            return succeed(None)
        self.figures.hits += 1
        self._kept.move_to_end(key)
        return succeed(found.value)

    def put(self, key: str, value: bytes, ttl_s: float | None = None) -> Deferred[bool]:
        """See ``Store``."""
        ttl_s = self._settings.ttl_seconds if ttl_s is None else ttl_s
        limit = min(self._settings.max_entry_bytes, self._settings.max_memory_bytes)
        if ttl_s <= 0 or len(value) > limit:
            return succeed(False)
        self._remove(key)
        self._kept[key] = _Kept(value, self._clock.seconds() + ttl_s)
        self.figures.sets += 1
        self.figures.size_bytes += len(value)
        self.figures.entries = len(self._kept)
        while self._is_over_limit():
            self._remove(next(iter(self._kept)))
            self.figures.evictions += 1
        return succeed(True)

    def exists(self, key: str) -> Deferred[bool]:
        """See ``Store``."""
        return succeed(self._living(key) is not None)

    def delete(self, key: str) -> Deferred[bool]:
        """See ``Store``."""
        was_there = self._living(key) is not None
        if was_there:
            self._remove(key)
            self.figures.deletes += 1
        return succeed(was_there)

    def clear(self) -> Deferred[None]:
        """See ``Store``."""
        for key in list(self._kept):
            self._remove(key)
        return succeed(None)

    def sweep(self) -> Deferred[int]:
        """See ``Store``."""
        now = self._clock.seconds()
        expired = [key for key, kept in self._kept.items() if kept.expires_at <= now]
        for key in expired:
            self._remove(key)
        return succeed(len(expired))

    def _is_over_limit(self) -> bool:
        return (
            self.figures.size_bytes > self._settings.max_memory_bytes
            or len(self._kept) > self._settings.max_entries
        )

    def _living(self, key: str) -> _Kept | None:
        found = self._kept.get(key)
        if found is not None and found.expires_at <= self._clock.seconds():
            self._remove(key)
            return None
        return found

    def _remove(self, key: str) -> None:
        found = self._kept.pop(key, None)
        if found is not None:
            self.figures.size_bytes -= len(found.value)
            self.figures.entries = len(self._kept)


Wall = Callable[[], float]
"""The wall clock, Unix seconds."""
