"""Models in threads of the gateway's own process."""

import os
import sys
import threading
from collections.abc import Callable
from typing import Any, Final, TypeVar

from twisted.internet.defer import Deferred, succeed
from twisted.internet.threads import deferToThreadPool
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from waav.links.engines.workbench import Workbench
from waav.speech import wire

T = TypeVar("T")

NICENESS: Final = 5
"""How much nicer than others the threads are that models run in. With every core busy recognising, the reactor would
otherwise stand in line behind them for every frame of every call. Not 10: other programs of the machine would then
get ten times their share."""


class Threads:
    """See ``engine.Host``. What they compute competes with the reactor for Python's interpreter lock.

    Args:
        reactor: where results are delivered.
        threads: most jobs at once; whoever asks keeps to it.
    """

    def __init__(self, reactor: Any, threads: int) -> None:
        self.threads = threads
        self.on_lost: Callable[[], None] = lambda: None  # threads do not get lost
        self._reactor = reactor
        self._room = Workbench()
        self._pool: ThreadPool | None = None

    def load(self, name: str, load: Callable[[], Any]) -> Deferred[None]:
        """See ``engine.Host.load``."""
        return self._do(self._room.load, name, load)

    def open(self, number: int, name: str, open: Callable[[Any], wire.Engine]) -> Deferred[None]:
        """See ``engine.Host.open``."""
        return self._do(self._room.open, number, name, open)

    def work(
        self, number: int, turn: int, asked: list[str | bytes], say: Callable[[str | bytes], None], most: int
    ) -> Deferred[bool]:  # fmt: skip
        """See ``engine.Host.work``."""
        deliver = self._reactor.callFromThread
        return self._do(
            self._room.work, number, turn, asked, lambda piece: deliver(say, piece), most
        )

    def over(self, number: int, turn: int) -> None:
        """See ``engine.Host.over``."""
        self._room.over(number, turn)

    def close(self, number: int) -> Deferred[None]:
        """See ``engine.Host.close``."""
        return self._do(self._room.close, number)

    def stop(self) -> Deferred[None]:
        """See ``engine.Host.stop``: fires when the threads have ended what they were doing."""
        pool, self._pool = self._pool, None
        if pool is None:
            return succeed(None)
        # Joining a thread that computes must not hold up the calls that are being drained.
        joining: Deferred[None] = deferToThreadPool(
            self._reactor, self._reactor.getThreadPool(), pool.stop
        )
        return joining

    def _do(self, work: Callable[..., T], *arguments: Any) -> Deferred[T]:
        result: Deferred[T] = Deferred()
        if self._pool is None:
            self._pool = ThreadPool(0, self.threads, name="models")
            self._pool.threadFactory = ModelThread
            self._pool.start()
        self._pool.callInThread(self._work, work, arguments, result)
        return result

    def _work(self, work: Callable[..., T], arguments: Any, result: Deferred[T]) -> None:
        """In a worker thread."""
        found: Any
        try:
            found = work(*arguments)
        except BaseException:
            found = Failure()
        self._reactor.callFromThread(result.callback, found)


class ModelThread(threading.Thread):
    """A thread that models run in. Calls come first: it computes with what the reactor leaves of the processor."""

    def run(self) -> None:
        # Where a thread has a niceness of its own, which its own threads inherit.
        if sys.platform == "linux":
            niceness = os.getpriority(os.PRIO_PROCESS, 0) + NICENESS
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
        super().run()
