"""What start-up made is not in the way of calls."""

import gc
import weakref

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from waav.ops.garbage import IDLE_S, SETTLED_S, THRESHOLDS, Settled


class Thing:
    """Can be part of a cycle."""

    me: "Thing"


class SettledTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.live = 0
        self.settled = Settled(self.clock, lambda: self.live)

    def test_once(self) -> None:
        """Garbage of the start is thrown away, and what is left is not looked at by later collections."""
        self.settled.startService()
        self.addCleanup(self.settled.stopService)
        thing = Thing()
        thing.me = thing
        kept = Thing()
        gone = weakref.ref(thing)
        del thing
        self.clock.advance(SETTLED_S)
        self.assertIsNone(gone())
        self.assertNotIn(id(kept), {id(one) for one in gc.get_objects()})

    def test_full_collections_wait(self) -> None:
        """What calls are made of is not looked through while there are any; what a plugin left goes when there are none."""
        self.settled.startService()
        self.addCleanup(self.settled.stopService)
        self.assertEqual(gc.get_threshold(), THRESHOLDS)
        self.clock.advance(SETTLED_S)
        thing = Thing()
        thing.me = thing
        gone = weakref.ref(thing)
        gc.collect(1)
        del thing
        self.live = 1
        self.clock.advance(IDLE_S)
        self.assertIsNotNone(gone())
        self.live = 0
        self.clock.advance(IDLE_S)
        self.assertIsNone(gone())

    def test_from_the_start(self) -> None:
        """The first calls of a gateway are not held up by a look through all its modules either."""
        early = Thing()
        self.settled.startService()
        self.addCleanup(self.settled.stopService)
        self.assertNotIn(id(early), {id(one) for one in gc.get_objects()})

    def test_stop(self) -> None:
        """A gateway that stops before leaves no timer behind."""
        before = gc.get_threshold()
        self.settled.startService()
        self.settled.stopService()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(gc.get_threshold(), before)
