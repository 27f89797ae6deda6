"""Coroutines owned by somebody."""

import gc
from typing import Any
from weakref import ref

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from waav.errors import BadRequest, ProviderLost, untraced
from waav.tasks import Tasks, started


class TasksTests(SynchronousTestCase):
    """Start, fail, stop."""

    def setUp(self) -> None:
        self.tasks = Tasks()
        self.ended: list[str] = []

    async def wait(
        self, name: str, on: Deferred[str], on_cancel: Deferred[None] | None = None
    ) -> str:
        try:
            return await on
        except CancelledError:
            if on_cancel is not None:
                await on_cancel
            raise
        finally:
            self.ended.append(name)

    def test_result(self) -> None:
        """A task gives its result and is then no longer owned."""
        on: Deferred[str] = Deferred()
        task = self.tasks.start(self.wait("one", on), "one")
        self.assertEqual(len(self.tasks), 1)
        on.callback("done")
        self.assertEqual(self.successResultOf(task), "done")
        self.assertEqual(len(self.tasks), 0)

    def test_immediate_result(self) -> None:
        """A task that never waits is over at once and not kept."""
        on: Deferred[str] = Deferred()
        on.callback("done")
        self.assertEqual(
            self.successResultOf(self.tasks.start(self.wait("one", on), "one")), "done"
        )
        self.assertEqual(len(self.tasks), 0)

    def test_failure(self) -> None:
        """A failing task is in the log by name, once, and disturbs nobody."""
        on: Deferred[str] = Deferred()
        task = self.tasks.start(self.wait("one", on), "counting sheep")
        on.errback(ZeroDivisionError("no sheep"))
        self.assertIsNone(self.successResultOf(task))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_cancel(self) -> None:
        """Cancelling what ``start`` gave ends the coroutine, without a word in the log."""
        task = self.tasks.start(self.wait("one", Deferred()), "one")
        task.cancel()
        self.assertIsNone(self.successResultOf(task))
        self.assertEqual((self.ended, len(self.tasks)), (["one"], 0))

    def test_stop(self) -> None:
        """Stopping ends all, newest first, and nothing can be started afterwards."""
        for name in ("one", "two", "three"):
            self.tasks.start(self.wait(name, Deferred()), name)
        self.successResultOf(Deferred.fromCoroutine(self.tasks.stop()))
        self.assertEqual(self.ended, ["three", "two", "one"])
        self.assertRaises(RuntimeError, self.tasks.start, self.wait("four", Deferred()), "four")

    def test_stop_waits(self) -> None:
        """Stopping waits for a task that still tidies up before it ends older ones."""
        tidy: Deferred[None] = Deferred()
        self.tasks.start(self.wait("one", Deferred()), "one")
        self.tasks.start(self.wait("two", Deferred(), tidy), "two")
        stopped = Deferred.fromCoroutine(self.tasks.stop())
        self.assertNoResult(stopped)
        self.assertEqual(self.ended, [])
        tidy.callback(None)
        self.successResultOf(stopped)
        self.assertEqual(self.ended, ["two", "one"])

    def test_stop_itself(self) -> None:
        """A task may stop the whole lot it belongs to; the others end, and it is not waited for by itself."""
        other = self.tasks.start(self.wait("other", Deferred()), "other")
        go: Deferred[str] = Deferred()

        async def stop_all() -> str:
            await go
            await self.tasks.stop()
            return "stopped"

        task = self.tasks.start(stop_all(), "stop all")
        go.callback("")
        self.assertEqual(self.successResultOf(task), "stopped")
        self.assertEqual(self.ended, ["other"])
        self.successResultOf(other)

    def test_stop_itself_slowly(self) -> None:
        """It may do so by way of a Deferred and while others take their time; it still is not cancelled."""
        tidy: Deferred[None] = Deferred()
        self.tasks.start(self.wait("other", Deferred(), tidy), "other")
        go: Deferred[str] = Deferred()

        async def stop_all() -> str:
            await go
            await Deferred.fromCoroutine(self.tasks.stop())
            return "stopped"

        task = self.tasks.start(stop_all(), "stop all")
        go.callback("")
        self.assertNoResult(task)
        tidy.callback(None)
        self.assertEqual(self.successResultOf(task), "stopped")
        self.assertEqual(len(self.tasks), 0)


class Thing:
    """Something that a coroutine works with."""


class StartedTests(SynchronousTestCase):
    """Coroutines that fail leave nothing to the garbage collector."""

    def setUp(self) -> None:
        self.addCleanup(gc.enable)
        gc.disable()
        self.things: list[Any] = []
        self.told: list[Exception] = []

    def thing(self) -> Thing:
        thing = Thing()
        self.things.append(ref(thing))
        return thing

    async def wait(self, on: Deferred[None]) -> None:
        thing = self.thing()
        try:
            await on
        except ProviderLost as error:
            raise BadRequest(f"{type(thing).__name__}: {error}") from error

    async def wait_for(self, on: Deferred[None]) -> None:
        thing = self.thing()
        try:
            await started(self.wait(on))
        except Exception as error:
            self.told.append(untraced(error))
        del thing

    def left(self, waiting: Deferred[None]) -> list[Any]:
        """What there still is of what the coroutines worked with."""
        self.successResultOf(waiting)
        return [one() for one in self.things]

    def test_what_failed(self) -> None:
        """An error that went through several coroutines holds none of what they worked with."""
        on: Deferred[None] = Deferred()
        waiting = started(self.wait_for(on))
        on.errback(ProviderLost("acme", "gone"))
        self.assertEqual(self.left(waiting), [None, None])
        self.assertIsInstance(self.told[0], BadRequest)

    def test_what_was_cancelled(self) -> None:
        """Nor does a coroutine that was cancelled while it waited for another."""
        waiting = started(self.wait_for(Deferred()))
        waiting.cancel()
        self.assertEqual(self.left(waiting), [None, None])
        self.assertIsInstance(self.told[0], CancelledError)

    def test_mistakes(self) -> None:
        """Of an error that nobody expects it is still known where it came from."""

        async def fail() -> None:
            await succeed_later
            raise ZeroDivisionError

        succeed_later: Deferred[None] = Deferred()
        failing = started(fail())
        succeed_later.callback(None)
        failure: Failure = self.failureResultOf(failing, ZeroDivisionError)
        self.assertIn("in fail", failure.getTraceback())
