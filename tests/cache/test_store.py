"""What both stores promise, and what each promises alone."""

import json
import os
import stat
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import DeferredList, gatherResults
from twisted.internet.task import Clock
from twisted.internet.utils import getProcessOutputAndValue
from twisted.logger import globalLogPublisher
from twisted.python.threadpool import ThreadPool
from twisted.trial.unittest import SynchronousTestCase, TestCase

from waav.cache.files import FileStore
from waav.cache.memory import MemoryStore
from waav.cache.settings import CacheSettings
from waav.errors import ConfigError


class Contract:
    """The promises of ``Store``. ``build`` gives a store; ``pass_time`` lets its clock go on."""

    build: Callable[..., Any]
    pass_time: Callable[[float], None]

    async def test_put_get_exists_delete_clear(self: Any) -> None:
        """What was kept is found, what was deleted is not. (F-264)"""
        store = self.build()
        self.assertIsNone(await store.get("a"))
        self.assertFalse(await store.exists("a"))
        self.assertTrue(await store.put("a", b"\0\xff\n one"))
        self.assertTrue(await store.put("b", b""))
        self.assertEqual(await store.get("a"), b"\0\xff\n one")
        self.assertEqual(await store.get("b"), b"")
        self.assertTrue(await store.exists("a"))
        self.assertTrue(await store.put("a", b"two"))
        self.assertEqual(await store.get("a"), b"two")
        self.assertTrue(await store.delete("a"))
        self.assertFalse(await store.delete("a"))
        self.assertIsNone(await store.get("a"))
        await store.clear()
        self.assertFalse(await store.exists("b"))
        self.assertEqual((store.figures.entries, store.figures.size_bytes), (0, 0))

    async def test_ttl(self: Any) -> None:
        """An entry lives as long as configured, or as long as its writer said, and not at all with 0. (F-262, F-264, S-CACHE-11)"""
        store = self.build(ttl_seconds=100)
        await store.put("usual", b"1")
        await store.put("short", b"2", 10)
        self.assertFalse(await store.put("never", b"3", 0))
        self.assertIsNone(await store.get("never"))
        self.pass_time(10.5)
        self.assertIsNone(await store.get("short"))
        self.assertEqual(await store.get("usual"), b"1")
        self.pass_time(90)
        self.assertIsNone(await store.get("usual"))
        nothing = self.build(ttl_seconds=0)
        self.assertFalse(await nothing.put("a", b"1"))
        self.assertIsNone(await nothing.get("a"))

    async def test_exists_and_sweep_remove_what_is_expired(self: Any) -> None:
        """Space is given back without anybody reading the old keys. (CACHE-01, S-CACHE-05)"""
        store = self.build()
        for name in ("seen", "swept", "living"):
            await store.put(name, b"x" * 100, 1000 if name == "living" else 10)
        self.pass_time(11)
        self.assertFalse(await store.exists("seen"))
        self.assertEqual(store.figures.entries, 2)
        self.assertEqual(await store.sweep(), 1)
        self.assertEqual(store.figures.entries, 1)
        self.assertEqual(await store.get("living"), b"x" * 100)

    async def test_figures(self: Any) -> None:
        """Hits, misses, sets, deletes and the hit rate are right after a known run. (F-265)"""
        store = self.build()
        self.assertEqual(store.figures.hit_rate, 0.0)
        await store.put("a", b"1")
        await store.get("a")
        await store.get("a")
        await store.get("a")
        await store.get("b")
        await store.exists("b")
        await store.delete("a")
        await store.delete("a")
        figures = store.figures
        self.assertEqual(
            (figures.hits, figures.misses, figures.sets, figures.deletes), (3, 1, 1, 1)
        )
        self.assertEqual(figures.hit_rate, 75.0)

    async def test_one_entry_may_not_be_too_large(self: Any) -> None:
        """A huge answer does not push everything else out."""
        store = self.build(max_entry_bytes=10)
        self.assertFalse(await store.put("a", b"x" * 11))
        self.assertTrue(await store.put("a", b"x" * 10))

    async def test_concurrent_writers(self: Any) -> None:
        """Many writers of the same and of different keys: each key holds one whole value. (F-263, S-CACHE-03)"""
        store = self.build()
        values = [bytes([i]) * 20000 for i in range(40)]
        await gatherResults([store.put(f"key {i % 4}", value) for i, value in enumerate(values)])
        for i in range(4):
            self.assertIn(await store.get(f"key {i}"), values)
        self.assertEqual(store.figures.entries, 4)


class MemoryStoreTests(Contract, TestCase):
    def build(self, **settings: Any) -> MemoryStore:
        self.clock = Clock()
        return MemoryStore(self.clock, CacheSettings(**settings))  # type: ignore[arg-type]

    def pass_time(self, seconds: float) -> None:
        self.clock.advance(seconds)


class MemoryLimitTests(SynchronousTestCase):
    def test_bytes_are_bounded_and_the_least_used_goes(self) -> None:
        """Memory stays under the limit; what was used lately stays. (F-262, CACHE-02, S-CACHE-07)"""
        store = MemoryStore(Clock(), CacheSettings(max_memory_bytes=1000))  # type: ignore[arg-type]
        for i in range(10):
            store.put(str(i), b"x" * 100)
        store.get("0")
        store.put("new", b"x" * 250)
        self.assertLessEqual(store.figures.size_bytes, 1000)
        self.assertEqual(self.successResultOf(store.get("0")), b"x" * 100)
        for gone in ("1", "2", "3"):
            self.assertFalse(self.successResultOf(store.exists(gone)))
        self.assertTrue(self.successResultOf(store.exists("4")))
        self.assertEqual(store.figures.evictions, 3)

    def test_entries_are_bounded(self) -> None:
        """Many tiny entries do not grow without end either. (CACHE-02)"""
        store = MemoryStore(Clock(), CacheSettings(max_entries=3))  # type: ignore[arg-type]
        for i in range(9):
            store.put(str(i), b"")
        self.assertEqual(store.figures.entries, 3)
        self.assertTrue(self.successResultOf(store.exists("8")))

    def test_defaults_are_modest(self) -> None:
        """Nobody who configures nothing gives half a gigabyte to the cache. (CACHE-02)"""
        self.assertLessEqual(CacheSettings().max_memory_bytes, 64 * 1024 * 1024)
        self.assertLessEqual(CacheSettings().max_entries, 10000)


class FileCase(TestCase):
    def setUp(self) -> None:
        self.path = Path(self.mktemp())
        self.now = 1_800_000_000.0
        self.pool = ThreadPool(1, 4)
        self.pool.start()
        self.addCleanup(self.pool.stop)

    def build(self, **settings: Any) -> FileStore:
        settings.setdefault("path", str(self.path))
        return FileStore(reactor, self.pool, CacheSettings(**settings), lambda: self.now)

    def pass_time(self, seconds: float) -> None:
        self.now += seconds

    def files(self) -> list[Path]:
        return [path for path in self.path.rglob("*") if path.is_file()]


class FileStoreTests(Contract, FileCase):
    async def test_survives_a_restart(self) -> None:
        """Speech kept yesterday plays today. (F-263)"""
        await self.build().put("a", b"speech")
        again = self.build()
        self.assertEqual(await again.get("a"), b"speech")
        await again.sweep()
        self.assertEqual(again.figures.entries, 1)

    async def test_only_its_own_files(self) -> None:
        """Clearing the cache leaves models, hooks and anything else in the folder alone. (S-CACHE-01)"""
        self.path.mkdir()
        others = [self.path / "sip_hooks.json", self.path / "models" / "m.onnx"]
        store = self.build()
        others.append(self.path / "audio" / "README")
        others.append(self.path / "audio" / "ab" / "notes.txt")
        for other in others:
            other.parent.mkdir(exist_ok=True)
            other.write_text("mine")
        await store.put("a", b"1")
        self.pass_time(10**9)
        await store.sweep()
        await store.clear()
        self.assertEqual(sorted(self.files()), sorted(others))

    async def test_private(self) -> None:
        """Other users of the machine cannot read what was spoken. (S-CACHE-12)"""
        before = os.umask(0)
        self.addCleanup(os.umask, before)
        await self.build().put("a", b"1")
        for path in [self.path / "audio", *(self.path / "audio").rglob("*")]:
            mode = stat.S_IMODE(path.stat().st_mode)
            self.assertEqual(mode, 0o700 if path.is_dir() else 0o600, path)

    async def test_damage_is_a_miss(self) -> None:
        """A file cut short, changed, swapped or scribbled over is never played, and is removed. (S-CACHE-02, S-CACHE-04)"""

        def cut(path: Path, data: bytes) -> bytes:
            return data[:-1]

        def change(path: Path, data: bytes) -> bytes:
            return data[:-1] + bytes([data[-1] ^ 1])

        def scribble(path: Path, data: bytes) -> bytes:
            return b"\xff" * 200

        def another_key(path: Path, data: bytes) -> bytes:
            line, _, value = data.partition(b"\n")
            header = json.loads(line)
            header["key"] = "0" * 64
            return json.dumps(header).encode() + b"\n" + value

        def empty(path: Path, data: bytes) -> bytes:
            return b""

        def no_version(path: Path, data: bytes) -> bytes:
            return data.replace(b'"version": 1', b'"version": 9')

        for damage in (cut, change, scribble, another_key, empty, no_version):
            store = self.build()
            await store.put("a", b"speech")
            (path,) = self.files()
            path.write_bytes(damage(path, path.read_bytes()))
            self.assertIsNone(await store.get("a"), damage.__name__)
            self.assertEqual(self.files(), [], damage.__name__)
            self.assertEqual(store.figures.failures, 0)

    async def test_the_clock_was_set_back(self) -> None:
        """An entry from the future has expired, instead of living for years. (S-CACHE-10)"""
        store = self.build()
        await store.put("a", b"1")
        self.pass_time(-3600)
        self.assertIsNone(await store.get("a"))

    async def test_sweeper_removes_what_dead_writers_left(self) -> None:
        """A crash while writing leaves a temporary file; it goes, a fresh one stays. (CACHE-01, S-CACHE-05)"""
        store = self.build()
        await store.put("a", b"1")
        folder = self.files()[0].parent
        for name, age in ((".1-2-old.tmp", 3600), (".1-2-new.tmp", 5)):
            (folder / name).write_bytes(b"half")
            os.utime(folder / name, (self.now - age, self.now - age))
        self.assertEqual(await store.sweep(), 1)
        self.assertEqual(len(self.files()), 2)
        self.pass_time(10**8)
        await store.sweep()
        self.assertEqual(self.files(), [])
        self.assertEqual(store.figures.size_bytes, 0)

    async def test_disk_use_is_bounded_by_last_access(self) -> None:
        """The disk does not fill; what was played lately stays. (S-CACHE-06)"""
        store = self.build(max_disk_bytes=10_000)
        for i in range(8):
            self.pass_time(10)
            await store.put(str(i), b"x" * 1000)
        self.pass_time(10)
        await store.get("0")
        self.pass_time(10)
        await store.put("large", b"x" * 3000)
        size = sum(path.stat().st_size for path in self.files())
        self.assertLessEqual(size, 10_000)
        self.assertTrue(await store.exists("0"))
        self.assertTrue(await store.exists("large"))
        self.assertFalse(await store.exists("1"))
        self.assertGreater(store.figures.evictions, 0)

    async def test_making_room_leaves_writers_alone(self) -> None:
        """A file that another writer is in the middle of is not taken for an old entry."""
        store = self.build(max_disk_bytes=3000)
        await store.put("a", b"x" * 1000)
        half = self.files()[0].parent / ".1-2-half.tmp"
        half.write_bytes(b"half")
        os.utime(half, (0, self.now))
        for key in ("b", "c", "d"):
            self.pass_time(10)
            await store.put(key, b"x" * 1000)
        self.assertGreater(store.figures.evictions, 0)
        self.assertTrue(half.exists())

    async def test_keys_are_not_written_down(self) -> None:
        """Nobody learns from the files what was asked."""
        await self.build().put("the secret question", b"1")
        for path in self.files():
            self.assertNotIn(b"secret", str(path).encode() + path.read_bytes())

    async def test_a_failing_disk_is_a_miss_and_one_warning(self) -> None:
        """A full or forbidden disk never fails a synthesis, and does not fill the log. (S-CACHE-09)"""
        store = self.build()
        await store.put("a", b"1")
        lines: list[Any] = []
        globalLogPublisher.addObserver(lines.append)
        self.addCleanup(globalLogPublisher.removeObserver, lines.append)

        def broken(*args: Any) -> Any:
            raise OSError(28, "No space left on device")

        for name in ("read", "write", "has", "clear", "sweep"):
            self.patch(store._folder, name, broken)
        self.assertIsNone(await store.get("a"))
        self.assertFalse(await store.put("a", b"1"))
        self.assertFalse(await store.exists("a"))
        self.assertFalse(await store.delete("a"))
        self.assertIsNone(await store.clear())
        self.assertEqual(await store.sweep(), 0)
        warnings = [line for line in lines if "No space" in str(line.get("reason"))]
        self.assertEqual(len(warnings), 1)
        self.assertEqual(store.figures.failures, 6)

    async def test_not_on_the_reactor(self) -> None:
        """The disk is never touched in the reactor's thread. (S-CACHE-08)"""
        from threading import get_ident

        store = self.build()
        threads: set[int] = set()
        for name in ("read", "write", "has", "remove", "clear", "sweep"):
            real = getattr(store._folder, name)
            self.patch(
                store._folder,
                name,
                lambda *args, real=real: (threads.add(get_ident()), real(*args))[1],
            )
        await DeferredList([store.put("a", b"1"), store.get("a"), store.exists("a")])
        await DeferredList([store.delete("a"), store.clear(), store.sweep()])
        self.assertTrue(threads)
        self.assertNotIn(get_ident(), threads)

    def test_an_unusable_path_is_a_configuration_error(self) -> None:
        """A wrong cache.path is reported at start, by its name. (S-CACHE-09)"""
        self.path.write_text("a file, not a folder")
        error = self.assertRaises(ConfigError, self.build)
        self.assertEqual(error.path, "cache.path")
        self.assertIn(str(self.path), str(error))


WRITER = """\
import sys, time
from pathlib import Path
from waav.cache.files import Folder
path, number = Path(sys.argv[1]), int(sys.argv[2])
folder = Folder(path, 100_000, time.time, max_entries=60, is_shared=True)
for i in range(150):
    folder.write(f"{number * 1000 + i:064x}", b"x" * (1000 if number else 2500), 1000.0)
    folder.write(f"{i:064x}", b"y" * 500, 1000.0)
    folder.has(f"{i:064x}")
    if i % 10 == number:
        folder.remove(f"{i - 5:064x}")
"""
"""Writes entries of its own and some that others write too, and deletes a few."""


class SharedFileStoreTests(Contract, FileCase):
    """A folder that several processes use."""

    def build(self, **settings: Any) -> FileStore:
        entries = settings.pop("entries", None)
        settings.setdefault("path", str(self.path))
        return FileStore(
            reactor,
            self.pool,
            CacheSettings(**settings),
            lambda: self.now,
            max_entries=entries,
            is_shared=True,
        )

    async def test_what_another_worker_kept(self) -> None:
        """Speech that one worker had synthesised is a hit in the next; sizes are those of all together."""
        one, other = self.build(), self.build()
        await one.put("a", b"speech")
        self.assertEqual(await other.get("a"), b"speech")
        self.assertEqual(other.figures, replace(other.figures, entries=1, sets=0, hits=1))
        self.assertEqual(one.figures.size_bytes, other.figures.size_bytes)
        await other.delete("a")
        self.assertEqual((one.figures.entries, one.figures.size_bytes), (0, 0))

    async def test_limits_are_those_of_all_together(self) -> None:
        """However many workers write, the limit is not multiplied; entries are limited like bytes."""
        one, other = (self.build(max_disk_bytes=10_000, entries=6) for _ in range(2))
        for i in range(8):
            self.pass_time(10)
            await one.put(f"one {i}", b"x" * 1000)
            await other.put(f"other {i}", b"x" * 1000)
            taken = [path.stat().st_size for path in self.files() if path.name != ".tally"]
            self.assertLessEqual(sum(taken), 10_000)
            self.assertLessEqual(len(taken), 6)
        self.assertTrue(await one.exists("other 7"))

    async def test_processes_at_once(self) -> None:
        """Three processes that write, read and delete at once keep to the limits and count right."""
        folder = self.path / "audio"
        ended = await gatherResults(
            [
                getProcessOutputAndValue(
                    sys.executable, ["-c", WRITER, str(folder), str(number)], env=None
                )
                for number in range(3)
            ]
        )
        self.assertEqual([(err, code) for _, err, code in ended], [(b"", 0)] * 3)
        store = self.build()
        taken = [path.stat().st_size for path in self.files() if path.name != ".tally"]
        self.assertEqual(store.figures.size_bytes, sum(taken))
        self.assertEqual(store.figures.entries, len(taken))
        self.assertLessEqual(sum(taken), 100_000)
        self.assertLessEqual(len(taken), 60)
