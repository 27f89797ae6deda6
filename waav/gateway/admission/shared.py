"""What the workers of one gateway share: counts of connections, the request limiter, and who accepts next.

Everything lies in one piece of memory that the supervising process makes and every worker maps. A figure that
belongs to a worker is written by that worker alone, so that the supervisor can take back all that a dead one held by
clearing its column. Where checking and counting must be one step, a record lock of ``fcntl`` stands around both: the
system takes such a lock from a process that dies.
"""

import fcntl
import hashlib
import mmap
import os
import tempfile
from functools import partial
from secrets import token_bytes
from types import TracebackType
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from waav.errors import TooMany
from waav.gateway.admission.limiter import OFF_FROM
from waav.gateway.admission.slots import (
    AT_CAPACITY,
    TOO_MANY_FROM_ADDRESS,
    AtCapacity,
    Slot,
    counted_as,
)

ADDRESSES: Final = 32_768
"""Rows for addresses that have connections. There are seldom more than a few hundred."""

BUCKETS: Final = 65_536
"""Addresses whose requests are remembered, as many as one process alone remembers."""

WINDOW: Final = 32
"""Rows in which one address may stand. With all rows a third full, one address in 10 000 000 finds none free."""

_SALT_BYTES: Final = 32
_WARN_EVERY_S: Final = 60.0


class SharedMemory:
    """The piece of memory, as arrays.

    Args:
        descriptor: of the memory; stays open and is the caller's to close.
        workers: how many workers it is for.
    """

    def __init__(self, descriptor: int, workers: int) -> None:
        self.workers = workers
        self._descriptor = descriptor
        self._map = mmap.mmap(descriptor, _size(workers))
        self._at = _SALT_BYTES
        self.salt = self._map[:_SALT_BYTES]
        # Written by the worker of that column, read by all.
        self.is_up = self._array(np.uint64, workers)
        self.loads = self._array(np.uint64, workers)
        self.accepted = self._array(np.uint64, workers)
        self.live = self._array(np.uint64, workers)
        self.beats = self._array(np.uint64, workers)
        self.totals = self._array(np.uint64, workers)
        self.restarts = self._array(np.uint64, workers)  # by the supervisor
        self.counts = self._array(np.uint32, ADDRESSES, workers)
        # Written under a lock by all.
        self.addresses = self._array(np.uint64, ADDRESSES)
        self.buckets = self._array(np.uint64, BUCKETS)
        self.tokens = self._array(np.float64, BUCKETS)
        self.touched = self._array(np.float64, BUCKETS)

    @staticmethod
    def make(workers: int) -> int:
        """The descriptor of new memory for that many workers: all zero but for the salt of its hashes."""
        if hasattr(os, "memfd_create"):
            descriptor = os.memfd_create("waav-workers")
        else:
            with tempfile.TemporaryFile() as file:
                descriptor = os.dup(file.fileno())
        os.ftruncate(descriptor, _size(workers))
        os.pwrite(descriptor, token_bytes(_SALT_BYTES), 0)
        return descriptor

    def lock(self, number: int) -> "RecordLock":
        """One of the locks."""
        return RecordLock(self._descriptor, number)

    def hash(self, text: str) -> int:
        """What stands for a text in a table; nobody can choose texts with equal ones. Never 0, which means "free"."""
        digest = hashlib.blake2b(text.encode(), key=self.salt, digest_size=8).digest()
        return int.from_bytes(digest) or 1

    def clear(self, worker: int) -> None:
        """Take back everything that a worker held, which has ended."""
        self.is_up[worker] = 0
        self.counts[:, worker] = 0
        for figures in (self.totals, self.loads, self.live, self.beats):
            figures[worker] = 0

    def _array(self, kind: Any, *shape: int) -> NDArray[Any]:
        count = int(np.prod(shape))
        array = np.frombuffer(self._map, kind, count, self._at).reshape(shape)
        self._at += -(-array.nbytes // 8) * 8
        return array


def _size(workers: int) -> int:
    columns = 7 * 8 * workers
    counts = -(-4 * ADDRESSES * workers // 8) * 8
    return _SALT_BYTES + columns + counts + 8 * ADDRESSES + 3 * 8 * BUCKETS


class RecordLock:
    """Held by one process at a time; a process that dies holds it no longer. About 2 microseconds."""

    __slots__ = ("_descriptor", "_number")

    def __init__(self, descriptor: int, number: int) -> None:
        self._descriptor = descriptor
        self._number = number

    def __enter__(self) -> None:
        fcntl.lockf(self._descriptor, fcntl.LOCK_EX, 1, self._number)

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN, 1, self._number)


class SharedSlots:
    """``Slots`` whose limits hold over all workers together.

    An address for which no row is free is counted in all, but not by itself: nobody is refused because a table is
    full. That takes thousands of addresses with connections at once.

    Args:
        memory: of all workers.
        worker: whose connections these are.
        clock: for a warning now and then.
        global_limit: see ``Slots``.
        per_address: see ``Slots``.
    """

    _log = Logger()

    def __init__(
        self,
        memory: SharedMemory,
        worker: int,
        clock: IReactorTime,
        global_limit: int | None,
        per_address: int | None,
    ) -> None:
        self._memory = memory
        self._worker = worker
        self._clock = clock
        self._global_limit = global_limit
        self._per_address = per_address
        self._lock = memory.lock(0)
        self._warned_at: float | None = None

    @property
    def total(self) -> int:
        """Connections now, of all workers."""
        return int(self._memory.totals.sum())

    def count(self, address: str) -> int:
        """Connections of all workers from this address, or from its /64."""
        key = self._memory.hash(counted_as(address))
        row = _find(self._memory.addresses, key)
        return 0 if row is None else int(self._memory.counts[row].sum())

    def take(self, address: str) -> Slot:
        """See ``Slots``."""
        key = self._memory.hash(counted_as(address))
        with self._lock:
            if self._global_limit is not None and self.total >= self._global_limit:
                raise AtCapacity(AT_CAPACITY)
            row = self._row(key)
            if row is not None:
                counts = self._memory.counts[row]
                if self._per_address is not None and int(counts.sum()) >= self._per_address:
                    raise TooMany(TOO_MANY_FROM_ADDRESS)
                counts[self._worker] += 1
            self._memory.totals[self._worker] += np.uint64(1)
        if row is None:
            self._warn()
        return Slot(partial(self._release, row))

    def _row(self, key: int) -> int | None:
        """Where the address is counted, or a row that is free for it."""
        row = _find(self._memory.addresses, key)
        if row is None:
            first = _first(key, ADDRESSES)
            used = self._memory.counts[first : first + WINDOW].sum(axis=1)
            row = first + int(used.argmin())
            if used[row - first]:
                return None
            self._memory.addresses[row] = key
        return row

    def _release(self, row: int | None) -> None:
        # Ours alone to write: no lock.
        if row is not None:
            self._memory.counts[row, self._worker] -= 1
        self._memory.totals[self._worker] -= np.uint64(1)

    def _warn(self) -> None:
        now = self._clock.seconds()
        if self._warned_at is None or now - self._warned_at >= _WARN_EVERY_S:
            self._warned_at = now
            self._log.warn(
                "connections from too many addresses at once: some are counted in all, but not by address"
            )


class SharedLimiter:
    """``Limiter`` whose buckets all workers take from.

    Where a table is full, the bucket that was not touched for longest is forgotten, as in ``Limiter``.

    Args:
        memory: of all workers.
        clock: must be one that all processes share, as ``CLOCK_MONOTONIC`` is.
        rate: requests per second and key.
        burst: how many may come at once.
    """

    def __init__(self, memory: SharedMemory, clock: IReactorTime, rate: float, burst: int) -> None:
        self._memory = memory
        self._clock = clock
        self._rate = float(rate)
        self._burst = float(burst)
        self._lock = memory.lock(1)

    @property
    def is_on(self) -> bool:
        """Whether anything is limited at all."""
        return self._rate < OFF_FROM

    def take(self, key: str) -> float:
        """See ``Limiter``."""
        if not self.is_on:
            return 0.0
        memory, hashed, now = self._memory, self._memory.hash(key), self._clock.seconds()
        with self._lock:
            row = _find(memory.buckets, hashed)
            if row is None:
                row = self._forget(_first(hashed, BUCKETS))
                memory.tokens[row], memory.touched[row] = self._burst, now
                memory.buckets[row] = hashed
            spent_s = max(0.0, now - float(memory.touched[row]))
            tokens = min(self._burst, float(memory.tokens[row]) + spent_s * self._rate)
            # See Limiter: short by rounding alone is whole.
            is_let = tokens > 1.0 - 1e-9
            memory.tokens[row] = tokens - 1.0 if is_let else tokens
            memory.touched[row] = now
        return 0.0 if is_let else (1.0 - tokens) / self._rate

    def _forget(self, first: int) -> int:
        """The row to use for a new bucket: a free one, else the one that has been filling for longest."""
        rows = slice(first, first + WINDOW)
        idle_since = np.where(self._memory.buckets[rows] == 0, -np.inf, self._memory.touched[rows])
        row = first + int(idle_since.argmin())
        self._memory.buckets[row] = 0
        return row


def _first(key: int, rows: int) -> int:
    """Where the window of a key begins."""
    return key % (rows - WINDOW)


def _find(keys: NDArray[Any], key: int) -> int | None:
    first = _first(key, len(keys))
    found = (keys[first : first + WINDOW] == np.uint64(key)).nonzero()[0]
    return first + int(found[0]) if len(found) else None


class Board:
    """Where each worker shows how busy it is, and sees how busy the others are.

    Args:
        memory: of all workers.
        worker: whose place this is.
    """

    def __init__(self, memory: SharedMemory, worker: int) -> None:
        self._memory = memory
        self._worker = worker

    def join(self) -> None:
        """Ready to accept. Nobody has to catch up with what a new worker has not yet accepted."""
        self._memory.accepted[self._worker] = self._memory.accepted.max()
        self._memory.is_up[self._worker] = 1

    def leave(self) -> None:
        """Accepts nobody any more."""
        self._memory.is_up[self._worker] = 0

    def show(self, live: int, load: int) -> None:
        """How many calls there are, and how many connections that are calls or may become some."""
        self._memory.live[self._worker] = live
        self._memory.loads[self._worker] = load

    def accepted(self) -> None:
        """One more connection."""
        self._memory.accepted[self._worker] += np.uint64(1)

    def beat(self) -> None:
        """The loop of this worker goes round."""
        self._memory.beats[self._worker] += np.uint64(1)

    def turns_before(self) -> int:
        """How many connections others should take before this worker: as many as its load is larger than theirs,
        and one if with the same load another has accepted less. 0: it is this one's turn.
        """
        memory = self._memory
        rows = zip(
            memory.is_up.tolist(), memory.loads.tolist(), memory.accepted.tolist(), strict=True
        )
        figures = [(load, accepted) if is_up else None for is_up, load, accepted in rows]
        mine = figures[self._worker]
        least = min((other for other in figures if other is not None), default=None)
        if mine is None or least is None or mine <= least:
            return 0
        return max(1, int(mine[0] - least[0]))
