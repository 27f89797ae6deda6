"""Values kept in memory."""

from collections import OrderedDict
from dataclasses import dataclass

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime

from waav.cache.settings import CacheSettings
from waav.cache.store import StoreFigures


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
