"""How late the event loop is."""

import math

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from waav.ops.lag import BOUNDS_S, LagFigures, LoopLag


class Late(Clock):
    """A clock whose delayed calls come later than asked for."""

    late_s = 0.0

    def callLater(self, delay: float, *rest: object, **named: object) -> object:
        return super().callLater(delay + (self.late_s if delay else 0.0), *rest, **named)


class LoopLagTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Late()
        self.lag = LoopLag(self.clock)

    def start(self) -> None:
        """Start it, and the loop."""
        self.lag.startService()
        self.clock.advance(0)

    def test_an_idle_loop(self) -> None:
        """A loop that has time is not late, and that is seen twenty times a second."""
        self.start()
        self.clock.pump([0.05] * 20)
        self.assertEqual(self.lag.figures.counts[0], 20)
        self.assertEqual(sum(self.lag.figures.counts), 20)
        self.assertLess(self.lag.figures.max_s, 1e-9)

    def test_a_late_loop(self) -> None:
        """Every beat counts in the bucket of its lateness, the worst one is remembered."""
        self.start()
        for late_s in (0.003, 0.08, 7.0):
            self.clock.late_s = late_s
            self.clock.advance(0.05)  # the beat that was on its way
            self.clock.late_s = 0.0
            self.clock.advance(0.05 + late_s)
        counted = dict(zip((*BOUNDS_S, math.inf), self.lag.figures.counts, strict=True))
        self.assertEqual(
            {bound: number for bound, number in counted.items() if number},
            {0.001: 3, 0.005: 1, 0.1: 1, math.inf: 1},
        )
        self.assertAlmostEqual(self.lag.figures.max_s, 7.0)
        self.assertAlmostEqual(self.lag.figures.total_s, 7.083)

    def test_the_start_does_not_count(self) -> None:
        """What other services do before the loop runs is not its lateness."""
        self.lag.startService()
        self.clock.rightNow += 3.0
        self.clock.advance(0)
        self.clock.advance(0.05)
        self.assertLess(self.lag.figures.max_s, 1e-9)

    def test_it_ends(self) -> None:
        """A gateway that has stopped leaves no timer behind."""
        self.start()
        self.lag.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.lag.due_at, math.inf)

    def test_one_that_follows_and_fails(self) -> None:
        """A follower that fails is logged, and neither ends the measuring nor keeps others from being told."""
        told: list[float] = []

        def fails(late_s: float, due_at: float) -> None:
            raise ValueError("oops")

        self.lag.follow(fails)
        self.lag.follow(lambda late_s, due_at: told.append(due_at))
        self.start()
        self.clock.pump([0.05, 0.05])
        self.assertEqual([round(one, 3) for one in told], [0.05, 0.1])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 2)


class RecentTests(SynchronousTestCase):
    def test_the_last_minute(self) -> None:
        """The maximum of the last minute forgets what is older; the one since the start does not."""
        figures = LagFigures()
        figures.add(0.9, 5.0)
        figures.add(0.2, 31.0)
        figures.add(0.1, 32.0)
        self.assertEqual(figures.recent_max_s(59.0), 0.9)
        self.assertEqual(figures.recent_max_s(66.0), 0.2)
        figures.add(0.3, 70.0)
        self.assertEqual(figures.recent_max_s(80.0), 0.3)
        self.assertEqual(figures.recent_max_s(200.0), 0.0)
        self.assertEqual(figures.max_s, 0.9)

    def test_it_does_not_grow(self) -> None:
        """After a day it remembers no more than after two minutes."""
        figures = LagFigures()
        for minute in range(24 * 60):
            figures.add(0.01, minute * 60.0)
        self.assertLessEqual(len(figures._parts), 6)
