"""What tests wait for, and how long."""

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests import waiting
from tests.waiting import Patience, until


class PatienceTests(SynchronousTestCase):
    """When something has taken too long."""

    def test_nothing_ends(self) -> None:
        """What does not go on for long is given up; what goes on slowly is not."""
        patience = Patience(10.0, 0.0)
        self.assertFalse(patience.is_over(9.0, 0, 0.0))
        self.assertFalse(patience.is_over(11.0, 1, 0.0))
        self.assertFalse(patience.is_over(20.0, 1, 0.0))
        self.assertTrue(patience.is_over(22.0, 1, 0.0))

    def test_a_busy_machine(self) -> None:
        """Time in which others had the cores is not held against the tests, once."""
        patience = Patience(10.0, 0.0)
        self.assertFalse(patience.is_over(100.0, 0, 95.0))
        self.assertTrue(patience.is_over(106.0, 0, 95.0))
        self.assertFalse(patience.is_over(107.0, 1, 95.0))
        self.assertTrue(patience.is_over(118.0, 1, 95.5))

    def test_threads_that_end(self) -> None:
        """The waiting of a thread that is gone is not missed later."""
        patience = Patience(10.0, 0.0, waited_s=50.0)
        self.assertFalse(patience.is_over(5.0, 0, 2.0))
        self.assertFalse(patience.is_over(18.0, 0, 12.0))

    def test_waiting_is_counted(self) -> None:
        """The kernel tells how long a group's threads waited for a core."""
        own = int(Path("/proc/self/schedstat").read_text().split()[1]) / 1e9
        self.assertGreaterEqual(waiting.waited_s(os.getpgrp()), own)
        self.assertEqual(waiting.waited_s(-1), 0.0)


class UntilTests(TestCase):
    """Waiting while the reactor runs."""

    async def test_it_happens(self) -> None:
        """Whoever waits goes on as soon as it is so."""
        looks = iter((False, 0, "yes"))
        await until(lambda: next(looks))
        self.assertEqual(list(looks), [])

    async def test_it_does_not_happen(self) -> None:
        """What never happens fails with its reason, which may be one that is known only then."""
        self.patch(waiting, "PATIENCE_S", 0.0)
        # The machine never has a core for others to wait for.
        self.patch(waiting, "waited_s", lambda group: 0.0)
        for why in ("no word came", lambda: "no word came"):
            waited = until(lambda: False, why, limit_s=0.0)
            with self.assertRaisesRegex(AssertionError, "^no word came$"):
                await waited
