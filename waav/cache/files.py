"""The store in files: one file per entry, in ``<cache.path>/audio/``, nobody else's files touched.

A file is one line of JSON (digest of the key, times, size and digest of the value) and the value. Everything
here but ``FileStore`` itself runs in worker threads. Several processes may use one folder.
"""

import fcntl
import hashlib
import json
import math
import os
import re
import struct
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from secrets import token_hex
from threading import Lock
from types import TracebackType
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.threadpool import ThreadPool

from waav.cache.settings import CacheSettings
from waav.cache.store import StoreFigures, Wall
from waav.errors import ConfigError

T = TypeVar("T")

HEADER_BYTES: Final = 1024
"""Longest header line; ours are about 250 bytes."""
ORPHAN_S: Final = 600.0
"""A temporary file this old belongs to no writer any more."""
WARN_EVERY_S: Final = 60.0
"""At most one warning about a failing disk in this time; the others are only counted."""
SKEW_S: Final = 60.0
"""An entry written this far in the future means that the clock was set back: it has expired."""

_TALLY = struct.Struct("<qq")
_ENTRY = re.compile(r"[0-9a-f]{64}")
_numbers = count()


class Corrupt(Exception):
    """A file of the cache is not what its header says."""


@dataclass(frozen=True, slots=True)
class _Header:
    key: str
    created_at: float
    expires_at: float
    size: int
    digest: str

    def line(self) -> bytes:
        fields = {name: getattr(self, name) for name in self.__slots__}
        return json.dumps({"version": 1, **fields}).encode() + b"\n"

    def is_living(self, now: float) -> bool:
        return self.created_at <= now + SKEW_S and now < self.expires_at


def _parse(line: bytes) -> _Header:
    try:
        found = json.loads(line)
        if found["version"] != 1:
            raise Corrupt("another version")
        return _Header(
            str(found["key"]),
            float(found["created_at"]),
            float(found["expires_at"]),
            int(found["size"]),
            str(found["digest"]),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise Corrupt("unreadable header") from error


class Tally:
    """How much there is, known to one process. Held (``with``) while files and numbers change together."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._now = (0, 0)

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._lock.release()

    def read(self) -> tuple[int, int]:
        """Bytes and entries."""
        return self._now

    def write(self, size_bytes: int, entries: int) -> None:
        """Only while held."""
        self._now = (size_bytes, entries)

    def add(self, size_bytes: int, entries: int) -> None:
        """Only while held."""
        size, count = self.read()
        self.write(max(0, size + size_bytes), max(0, count + entries))


class SharedTally(Tally):
    """The same for all processes that use a folder: in a file of 16 bytes, under a record lock.

    The system takes the lock from a process that dies. What such a process did not count is counted by ``sweep``.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        # Open until the end: closing it anywhere in this process would give the lock up.
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def __enter__(self) -> None:
        super().__enter__()
        try:
            fcntl.lockf(self._descriptor, fcntl.LOCK_EX)
        except BaseException:
            self._lock.release()
            raise

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        fcntl.lockf(self._descriptor, fcntl.LOCK_UN)
        super().__exit__(kind, error, trace)

    def read(self) -> tuple[int, int]:
        stored = os.pread(self._descriptor, _TALLY.size, 0)
        if len(stored) < _TALLY.size:
            return 0, 0
        size, entries = _TALLY.unpack(stored)
        return size, entries

    def write(self, size_bytes: int, entries: int) -> None:
        os.pwrite(self._descriptor, _TALLY.pack(size_bytes, entries), 0)


class Folder:
    """The files themselves. Blocks; called from worker threads, several at a time.

    Args:
        path: the folder, made if it is missing; only its owner may read it.
        max_bytes: most that all values together may take; None: no limit.
        wall: the wall clock.
        max_entries: most values; None: no limit.
        is_shared: whether other processes write into it as well.
    """

    def __init__(
        self,
        path: Path,
        max_bytes: int | None,
        wall: Wall,
        *,
        max_entries: int | None = None,
        is_shared: bool = False,
    ) -> None:
        self._path = path
        self._max_bytes = math.inf if max_bytes is None else max_bytes
        self._max_entries = math.inf if max_entries is None else max_entries
        self._wall = wall
        self.evictions = 0
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.chmod(0o700)
        self._tally = SharedTally(path / ".tally") if is_shared else Tally()

    @property
    def size_bytes(self) -> int:
        """What all files together take, of all processes."""
        return self._tally.read()[0]

    @property
    def entries(self) -> int:
        """How many there are, of all processes."""
        return self._tally.read()[1]

    def read(self, key: str) -> bytes | None:
        """The value if it is there, whole and living. Anything else found in its place is deleted."""
        path = self._file(key)
        try:
            header, value = self._load(path, key)
        except FileNotFoundError:
            return None
        except Corrupt:
            self._unlink(path)
            return None
        now = self._wall()
        if not header.is_living(now):
            self._unlink(path)
            return None
        # The time of last access is ours: file systems are usually mounted without it.
        with suppress(OSError):
            os.utime(path, (now, path.stat().st_mtime))
        return value

    def write(self, key: str, value: bytes, ttl_s: float) -> None:
        """Replace the entry in one step: a reader sees the old value or the new one."""
        path = self._file(key)
        now = self._wall()
        header = _Header(key, now, now + ttl_s, len(value), hashlib.sha256(value).hexdigest())
        path.parent.mkdir(mode=0o700, exist_ok=True)
        temporary = path.parent / f".{os.getpid()}-{next(_numbers)}-{token_hex(8)}.tmp"
        try:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(header.line())
                file.write(value)
                file.flush()
                os.fsync(file.fileno())
            os.utime(temporary, (now, now))
            with self._tally:
                before = _size(path)
                os.replace(temporary, path)
                self._tally.add(_size(path) - before, 0 if before else 1)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
        self._make_room()

    def has(self, key: str) -> bool:
        """Whether there is a living entry, by its header; an expired or unreadable one is deleted."""
        path = self._file(key)
        try:
            with path.open("rb") as file:
                header = _parse(file.readline(HEADER_BYTES))
            if header.key == key and header.is_living(self._wall()):
                return True
        except FileNotFoundError:
            return False
        except Corrupt:
            pass
        self._unlink(path)
        return False

    def remove(self, key: str) -> bool:
        """Delete one entry."""
        return self._unlink(self._file(key))

    def clear(self) -> None:
        """Delete every file that is ours."""
        for path in self._files():
            self._unlink(path)

    def sweep(self) -> int:
        """Delete what is expired, unreadable or left over by a writer that died; count the rest anew."""
        removed = size = entries = 0
        now = self._wall()
        for path in self._files():
            try:
                if self._is_rubbish(path, now):
                    removed += self._unlink(path)
                    continue
                if not path.name.startswith("."):
                    size += _size(path)
                    entries += 1
            except FileNotFoundError:
                continue
        with self._tally:
            self._tally.write(size, entries)
        self._make_room()
        return removed

    def _is_rubbish(self, path: Path, now: float) -> bool:
        if path.name.startswith("."):
            return abs(now - path.stat().st_mtime) > ORPHAN_S
        try:
            with path.open("rb") as file:
                header = _parse(file.readline(HEADER_BYTES))
        except Corrupt:
            return True
        return not header.is_living(now)

    def _file(self, key: str) -> Path:
        return self._path / key[:2] / key

    def _files(self) -> Iterator[Path]:
        """Entries and temporary files; other things in the folder are not ours."""
        for folder in sorted(self._path.iterdir()):
            if len(folder.name) != 2 or not folder.is_dir():
                continue
            for path in sorted(folder.iterdir()):
                if _ENTRY.fullmatch(path.name) or (path.name[0] == "." and path.suffix == ".tmp"):
                    yield path

    def _load(self, path: Path, key: str) -> tuple[_Header, bytes]:
        with path.open("rb") as file:
            header = _parse(file.readline(HEADER_BYTES))
            value = file.read()
        if header.key != key or header.size != len(value):
            raise Corrupt("another entry, or cut short")
        if hashlib.sha256(value).hexdigest() != header.digest:
            raise Corrupt("damaged")
        return header, value

    def _unlink(self, path: Path) -> bool:
        with self._tally:
            size = _size(path)
            try:
                path.unlink()
            except FileNotFoundError:
                return False
            if not path.name.startswith("."):
                self._tally.add(-size, -1)
        return True

    def _is_over(self, share: float) -> bool:
        """Whether there is more than that share of what may be."""
        size, entries = self._tally.read()
        return size > self._max_bytes * share or entries > self._max_entries * share

    def _make_room(self) -> None:
        """Delete what was not used for longest until the limit holds, and a tenth more, so as not to do this for each
        entry; of the last one left only the limit is asked."""
        if not self._is_over(1.0):
            return
        found = []
        for path in self._files():
            if path.name.startswith("."):
                continue  # somebody is writing it
            with suppress(FileNotFoundError):
                found.append((path.stat().st_atime, path))
        oldest = [path for _, path in sorted(found)]
        for path in oldest:
            if not self._is_over(1.0 if path == oldest[-1] else 0.9):
                return
            if self._unlink(path):
                self.evictions += 1


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


class FileStore:
    """A ``Store`` in ``<path>/audio/``.

    Args:
        reactor: where results are delivered.
        pool: the threads that touch the disk; started and stopped by whoever made it.
        settings: ``path`` and limits.
        wall: the wall clock.
        max_entries: most entries; None: no limit.
        is_shared: whether other processes use the folder as well; limits and sizes are then those of all together.

    Raises:
        ConfigError: the folder cannot be used.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        pool: ThreadPool,
        settings: CacheSettings,
        wall: Wall = time.time,
        *,
        max_entries: int | None = None,
        is_shared: bool = False,
    ) -> None:
        self._reactor = reactor
        self._pool = pool
        self._settings = settings
        self._warned_at: float | None = None
        self._figures = StoreFigures()
        try:
            self._folder = Folder(
                Path(settings.path or "").expanduser() / "audio",
                settings.max_disk_bytes,
                wall,
                max_entries=max_entries,
                is_shared=is_shared,
            )
            probe = _digest("is this folder usable?")
            self._folder.write(probe, b"", 0.0)
            self._folder.remove(probe)
        except OSError as error:
            raise ConfigError(
                f"cache.path: the folder {settings.path} cannot be used: {error.strerror or error}",
                path="cache.path",
            ) from error

    @property
    def figures(self) -> StoreFigures:
        """See ``StoreFigures``; sizes are right after the first ``sweep``."""
        self._figures.size_bytes = self._folder.size_bytes
        self._figures.entries = self._folder.entries
        self._figures.evictions = self._folder.evictions
        return self._figures

    async def _do(self, what: str, default: T, work: Callable[..., T], *args: Any) -> T:
        """``work`` in a thread; a failing disk gives ``default``."""
        try:
            result: T = await deferToThreadPool(self._reactor, self._pool, work, *args)
        except OSError as error:
            self._figures.failures += 1
            self._warn(what, error)
            return default
        return result

    def _warn(self, what: str, error: OSError) -> None:
        now = self._reactor.seconds()
        if self._warned_at is None or now - self._warned_at >= WARN_EVERY_S:
            self._warned_at = now
            self._log.warn(
                "cache: {what} failed: {reason}; {failures} failures so far",
                what=what,
                reason=error.strerror or type(error).__name__,
                failures=self._figures.failures,
            )

    def get(self, key: str) -> Deferred[bytes | None]:
        """See ``Store``."""
        return Deferred.fromCoroutine(self._get(_digest(key)))

    async def _get(self, digest: str) -> bytes | None:
        value = await self._do("reading", None, self._folder.read, digest)
        if value is None:
            self._figures.misses += 1
        else:
            self._figures.hits += 1
        return value

    def put(self, key: str, value: bytes, ttl_s: float | None = None) -> Deferred[bool]:
        """See ``Store``."""
        return Deferred.fromCoroutine(self._put(_digest(key), value, ttl_s))

    async def _put(self, digest: str, value: bytes, ttl_s: float | None) -> bool:
        ttl_s = self._settings.ttl_seconds if ttl_s is None else ttl_s
        limit = min(self._settings.max_entry_bytes, self._settings.max_disk_bytes or len(value))
        if ttl_s <= 0 or len(value) > limit:
            return False

        def write() -> bool:
            self._folder.write(digest, value, ttl_s)
            return True

        was_kept = await self._do("writing", False, write)
        self._figures.sets += was_kept
        return was_kept

    def exists(self, key: str) -> Deferred[bool]:
        """See ``Store``."""
        return Deferred.fromCoroutine(self._do("reading", False, self._folder.has, _digest(key)))

    def delete(self, key: str) -> Deferred[bool]:
        """See ``Store``."""
        return Deferred.fromCoroutine(self._delete(_digest(key)))

    async def _delete(self, digest: str) -> bool:
        def remove() -> bool:
            return self._folder.has(digest) and self._folder.remove(digest)

        was_there = await self._do("deleting", False, remove)
        self._figures.deletes += was_there
        return was_there

    def clear(self) -> Deferred[None]:
        """See ``Store``."""
        return Deferred.fromCoroutine(self._do("clearing", None, self._folder.clear))

    def sweep(self) -> Deferred[int]:
        """See ``Store``."""
        return Deferred.fromCoroutine(self._do("sweeping", 0, self._folder.sweep))


def _digest(key: str) -> str:
    return hashlib.sha256(key.encode()).hexdigest()
