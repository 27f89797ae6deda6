"""What blocks the event loop is named."""

import re
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase, TestCase

from waav.ops.lag import LoopLag
from waav.ops.settings import DiagnosticsSettings
from waav.ops.stalls import Caught, Stalls, Watch, lines, period_s, places, shown, stacks

SETTINGS = DiagnosticsSettings()
HERE = (("", (("/x/a.py", 1, "f"),)),)


def gather(case: SynchronousTestCase) -> list[LogEvent]:
    """The events about stalls, as they come."""
    events: list[LogEvent] = []

    def observe(event: LogEvent) -> None:
        if event.get("log_namespace") == "waav.ops.stalls.Stalls":
            events.append(event)

    globalLogPublisher.addObserver(observe)
    case.addCleanup(globalLogPublisher.removeObserver, observe)
    return events


class WatchTests(SynchronousTestCase):
    """Looks at a loop whose beat the test holds back. The limit is 30 ms, the beat 20 ms."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.cpu_s = 0.0
        self.lag = LoopLag(self.clock, 0.02)
        self.lag.due_at = 0.02
        self.watch = Watch(self.lag, 0.03, lambda: HERE, lambda: self.cpu_s)
        self.wait_s = 0.03

    def look(self, overslept_s: float = 0.0) -> float:
        """The next look, when it is due or later."""
        self.clock.advance(self.wait_s + overslept_s)
        self.wait_s = self.watch.look()
        return self.wait_s

    def test_a_loop_that_beats(self) -> None:
        """While the loop is alive nothing is looked at, and the thread sleeps as long as it can."""
        for _ in range(20):
            self.lag.due_at = self.clock.seconds() + 0.03
            self.assertGreaterEqual(self.look(), 0.02)
            self.assertIsNone(self.watch.caught)

    def test_a_blocked_loop(self) -> None:
        """A beat that is late by the limit is a stall, looked at once however long it lasts."""
        self.look()
        self.assertIsNone(self.watch.caught)
        self.look()
        self.assertEqual(self.watch.caught, Caught(0.02, 0.0, HERE))
        caught = self.watch.caught
        for _ in range(5):
            self.look()
        self.assertIs(self.watch.caught, caught)

    def test_a_process_that_was_stopped(self) -> None:
        """SIGSTOP, or a machine that slept, is no stall: nothing was computed meanwhile."""
        self.look(overslept_s=10.0)
        self.assertIsNone(self.watch.caught)
        self.lag.due_at = self.clock.seconds() + 0.02  # the loop goes on
        self.look()
        self.assertIsNone(self.watch.caught)

    def test_a_process_that_was_stopped_at_any_moment(self) -> None:
        """However near a look or a beat it was when it was stopped, the loop gets its time when it goes on."""
        for has_beaten in (False, True):
            for at in range(50):
                self.setUp()
                for _ in range(3):
                    self.clock.advance(self.wait_s)
                    self.lag.due_at = self.clock.seconds() + 0.0004 * at
                    self.wait_s = self.watch.look()
                self.lag.due_at += 0.02 * has_beaten
                self.look(overslept_s=0.5)
                self.assertIsNone(self.watch.caught)
                self.assertGreaterEqual(self.wait_s, 0.03 - 1e-9)

    def test_a_stall_right_after(self) -> None:
        """A loop that is blocked after the process went on is caught, without the time it was stopped."""
        self.look(overslept_s=10.0)
        while self.watch.caught is None:
            self.assertLess(self.clock.seconds(), 10.2)
            self.look()
        self.assertAlmostEqual(self.watch.caught.excused_s, 10.01)

    def test_a_process_that_is_stopped_in_the_middle(self) -> None:
        """What the process was stopped for after a stall was noticed is no part of it, whoever runs first then."""
        for looks in (0, 1):
            self.setUp()
            self.look()
            self.look()
            for _ in range(looks):
                self.look(overslept_s=10.0)
            if not looks:
                self.clock.advance(self.wait_s + 10.0)
            caught = self.watch.take()
            assert caught is not None
            self.assertAlmostEqual(caught.excused_s, 10.0)
            self.assertIsNone(self.watch.take())

    def test_a_stall_that_computes(self) -> None:
        """A stall that lasts, with looks that come late because it computes, counts in full."""
        self.look()
        self.look()
        self.cpu_s = 0.5
        self.look(overslept_s=0.5)
        self.cpu_s = 1.0
        self.clock.advance(self.wait_s + 0.5)
        self.assertEqual(self.watch.take(), Caught(0.02, 0.0, HERE))

    def test_code_that_keeps_the_interpreter(self) -> None:
        """C code that computes without letting other threads run is caught when it lets go."""
        self.cpu_s = 0.5
        self.look(overslept_s=0.5)
        self.assertEqual(self.watch.caught, Caught(0.02, 0.0, HERE))

    def test_before_the_loop_runs(self) -> None:
        """However long the start takes, it is no stall."""
        self.lag.due_at = float("inf")
        for _ in range(20):
            self.assertLessEqual(self.look(), 0.5)
        self.assertIsNone(self.watch.caught)

    def test_it_never_spins(self) -> None:
        """The thread sleeps at least 5 ms, whatever the clock says."""
        self.lag.due_at = self.clock.seconds() - 0.0001
        self.assertGreaterEqual(self.look(), 0.005)


class LineTests(SynchronousTestCase):
    """What is logged, with looks that the test takes itself."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.lag = LoopLag(self.clock, period_s(SETTINGS))
        self.stalls = Stalls(self.lag, SETTINGS)
        self.watch = self.stalls._watch = Watch(self.lag, 0.03, lambda: HERE, self.clock.seconds)
        self.events = gather(self)
        self.lag.startService()
        self.addCleanup(self.lag.stopService)
        self.clock.advance(0)

    def block(self, seconds: float, excused_s: float = 0.0) -> None:
        """The loop is blocked from the last beat on."""
        self.watch.caught = Caught(self.lag.due_at, excused_s, HERE)
        self.clock.rightNow += seconds
        self.clock.advance(0)

    def test_one(self) -> None:
        """A stall is one warning with its length, which is known to one beat, and its stack."""
        self.block(0.1)
        self.assertEqual(
            [formatEvent(event) for event in self.events],
            [
                "the event loop was blocked for 80 to 100 ms; 0 more since the last such line\n"
                "/x/a.py:1 in f"
            ],
        )
        self.assertEqual(self.events[0]["log_level"].name, "warn")

    def test_many(self) -> None:
        """Within a minute there is one line; the next one says how many there were, and all are counted."""
        for _ in range(5):
            self.block(0.1)
        self.assertEqual(len(self.events), 1)
        self.clock.advance(60)
        self.block(0.2)
        self.assertEqual([event["more"] for event in self.events], [0, 4])
        self.assertEqual(self.stalls.total, 6)

    def test_a_late_look(self) -> None:
        """A look that came when the loop was alive again accuses nobody, also not at the next beat."""
        self.watch.caught = Caught(self.lag.due_at - 0.02, 0.0, HERE)
        self.clock.advance(0.1)
        self.assertIsNone(self.watch.caught)
        self.clock.advance(0.1)
        self.assertEqual(self.events, [])
        self.assertEqual(self.stalls.total, 0)

    def test_time_that_did_not_run(self) -> None:
        """What the process was stopped for is no part of a stall."""
        self.block(5.0, excused_s=4.99)
        self.assertEqual(self.events, [])
        self.block(5.1, excused_s=5.0)
        self.assertEqual(round(self.events[0]["least_ms"]), 80)

    def test_a_beat_fits_the_limit(self) -> None:
        """Whatever the setting, a stall of that length holds back a beat for longer than the limit."""
        for stall_ms in (10, 50, 100, 5000):
            settings = DiagnosticsSettings(stall_ms=stall_ms)
            self.assertLess(period_s(settings), stall_ms / 1000 / 2)
        self.assertEqual(period_s(DiagnosticsSettings(stall_ms=0)), 0.05)


class ReactorTests(TestCase):
    """A reactor that runs, blocked for real until it was seen: on a busy machine the watching thread comes late."""

    def setUp(self) -> None:
        self.events = gather(self)

    async def run_with(self, work: Callable[[Callable[[], bool]], Any], stall_ms: int = 50) -> None:
        """Watch the reactor, do ``work`` on it, and let it breathe.

        Every stall is logged: on a busy machine there may be others. For the same reason the process is said to
        compute all the time; one that gets no core is excused.

        Args:
            work: gets what tells whether the loop was seen to be blocked.
            stall_ms: what counts as blocked.
        """
        settings = DiagnosticsSettings(stall_ms=stall_ms, stall_log_s=1e-9)
        lag = LoopLag(reactor, period_s(settings))
        stalls = Stalls(lag, settings, time.monotonic)
        lag.startService()
        stalls.startService()

        def is_seen() -> bool:
            caught = stalls._watch.caught  # type: ignore[union-attr]
            return caught is not None and caught.due_at == lag.due_at

        try:
            await self.beat(lag)
            work(is_seen)
            await self.beat(lag)
        finally:
            stalls.stopService()
            lag.stopService()

    async def beat(self, lag: LoopLag) -> None:
        """Until the loop has beaten once more."""
        heard: Deferred[None] = Deferred()
        lag.follow(lambda late_s, due_at: None if heard.called else heard.callback(None))
        await heard

    def found(self, function: str) -> LogEvent:
        """The line about the stall whose innermost place is in that function of these tests."""
        where = re.compile(rf"tests/ops/test_stalls\.py:\d+ in \S*\b{function}$")
        stacks = [str(event["stack"]).splitlines() for event in self.events]
        found = [number for number, stack in enumerate(stacks) if where.match(stack[-1])]
        self.assertEqual(len(found), 1, stacks)
        return self.events[found[0]]

    async def test_python_that_computes(self) -> None:
        """Python is logged with the function that computes, innermost, and with no argument."""

        def computes(is_seen: Callable[[], bool], secret: str) -> str:
            while True:
                sum(range(1000))
                caught_at = time.monotonic()
                if is_seen():
                    return f"{secret} {caught_at}"

        def work(is_seen: Callable[[], bool]) -> None:
            computes(is_seen, "hunter2")

        await self.run_with(work)
        event = self.found("(computes|is_seen)")
        self.assertNotIn("hunter2", str(self.events))
        self.assertGreater(event["least_ms"], 30)
        self.assertGreater(event["most_ms"], 50)

    async def test_code_that_waits(self) -> None:
        """A call that waits for the world, here a sleep, is named by the line that makes it."""

        def sleeps(is_seen: Callable[[], bool]) -> None:
            while not is_seen():
                time.sleep(0.12)

        await self.run_with(sleeps)
        self.found("(sleeps|is_seen)")

    async def test_c_that_keeps_the_interpreter(self) -> None:
        """C code that lets no other thread run is named by the line that called it."""

        def keeps(is_seen: Callable[[], bool]) -> None:
            while not is_seen():
                pow(3, 2_200_000)

        await self.run_with(keeps)
        self.found("(keeps|is_seen)")

    async def test_what_is_short(self) -> None:
        """A block well below the limit is not logged."""
        await self.run_with(lambda _: time.sleep(0.1), stall_ms=600_000)
        self.assertEqual(self.events, [])

    async def test_no_thread_stays(self) -> None:
        """A gateway that has stopped leaves no thread, and one that hangs is not kept by it."""
        before = set(threading.enumerate())
        lag = LoopLag(reactor)
        stalls = Stalls(lag, SETTINGS)
        stalls.startService()
        started = set(threading.enumerate()) - before
        self.assertEqual([thread.daemon for thread in started], [True])
        stalls.stopService()
        await deferLater(reactor, 0)
        self.assertEqual(set(threading.enumerate()) - before, set())


class PlaceTests(SynchronousTestCase):
    LOOP = "/lib/twisted/internet/asyncioreactor.py"

    def looked(self, look: Callable[[], Any]) -> Any:
        """What ``look`` sees from a function that is called as a reactor's loop calls."""
        found: list[Any] = []
        namespace: dict[str, Any] = {}
        exec(compile("def run(work):\n    work()\n", self.LOOP, "exec"), namespace)
        namespace["run"](lambda: found.append(look()))
        return found[0]

    def test_the_process_s_start_is_left_out(self) -> None:
        """A stack begins where the reactor's loop does."""
        ident = threading.get_ident()
        ((name, mine),) = self.looked(lambda: stacks(ident))
        self.assertEqual((name, mine[0][2]), ("", "run"))

    def test_a_loop_that_waits_for_the_interpreter(self) -> None:
        """Where the loop itself does nothing, the threads that may keep it from running are shown, but no idle ones."""
        started, ended = threading.Event(), threading.Event()
        told: list[bool] = []

        def busy() -> None:
            started.set()
            while not told:
                pass

        threads = [
            threading.Thread(target=busy, name="models-1"),
            threading.Thread(target=ended.wait, name="idle-1"),
        ]
        for thread in threads:
            thread.start()
        started.wait()
        try:
            frames = dict(sys._current_frames())
            loop = self.looked(lambda: sys._getframe().f_back.f_back)  # type: ignore[union-attr]
            frames[-1] = loop
            found = stacks(-1, lambda: frames)
        finally:
            ended.set()
            told.append(True)
            for thread in threads:
                thread.join()
        named = {name: [place[2].rpartition(".")[2] for place in seen] for name, seen in found}
        self.assertEqual(named[""], ["run"])
        self.assertEqual(named["models-1"][-1], "busy")
        self.assertNotIn("idle-1", named)
        self.assertIn("meanwhile, in the thread models-1:", [lines(one)[0] for one in found])

    def test_a_deep_stack(self) -> None:
        """Of a recursion only the innermost lines are shown."""

        def deep(left: int) -> tuple[Any, ...]:
            return deep(left - 1) if left else stacks(threading.get_ident())

        self.assertEqual(len(deep(100)[0][1]), 40)

    def test_a_thread_that_is_gone(self) -> None:
        """There is no stack of a thread that does not run."""
        self.assertEqual(places(None, 40), ())

    def test_files_are_shown_as_they_are_imported(self) -> None:
        """Ours and libraries' files are shown below where they are imported from; others whole."""
        root = max((one for one in sys.path if one.endswith("site-packages")), key=len)
        self.assertEqual(shown((f"{root}/twisted/x.py", 3, "f")), "twisted/x.py:3 in f")
        self.assertEqual(shown(("/nowhere/x.py", 3, "f")), "/nowhere/x.py:3 in f")
