"""Nobody ends a silence by setting the clock."""

import time

from twisted.internet.base import ReactorBase
from twisted.trial.unittest import SynchronousTestCase

from waav.session.clock import make_monotonic


class Ticking(ReactorBase):
    """A reactor that waits for nothing."""

    def installWaker(self) -> None:
        pass


class ClockTests(SynchronousTestCase):
    """Delayed calls and the time of day."""

    def test_stepped(self) -> None:
        """Stepping the system clock by an hour either way neither fires nor delays a call (VM-06, S-VM-40)."""
        wall = [time.time()]
        self.patch(ReactorBase, "seconds", staticmethod(lambda: wall[0]))
        for step_s in (3600, -3600):
            reactor = Ticking()
            make_monotonic(reactor)
            fired: list[int] = []
            call = reactor.callLater(60, fired.append, 1)
            wall[0] += step_s
            reactor.runUntilCurrent()
            self.assertEqual(fired, [])
            self.assertLessEqual(reactor.timeout(), 60)
            call.cancel()

    def test_monotonic(self) -> None:
        """The reactor tells monotonic time."""
        reactor = Ticking()
        make_monotonic(reactor)
        before = time.monotonic()
        self.assertTrue(before <= reactor.seconds() <= time.monotonic())
