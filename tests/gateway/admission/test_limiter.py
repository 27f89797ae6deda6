"""How often one caller may ask."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from waav.gateway.admission.limiter import Limiter


class LimiterTests(SynchronousTestCase):
    """``Limiter.take``."""

    def setUp(self) -> None:
        self.clock = Clock()

    def test_steady_use_below_the_rate(self) -> None:
        """50 requests a second for ten seconds pass at 60 a second with burst 10 (X-01, D-69, S-CFG-37)."""
        limiter = Limiter(self.clock, 60, 10)
        waits = []
        for _ in range(500):
            waits.append(limiter.take("a"))
            self.clock.advance(1 / 50)
        self.assertEqual(waits, [0.0] * 500)

    def test_a_burst_at_once(self) -> None:
        """60 requests in one moment pass with burst 60, the 61st does not (S-CFG-37)."""
        limiter = Limiter(self.clock, 60, 60)
        self.assertEqual([limiter.take("a") for _ in range(60)], [0.0] * 60)
        self.assertGreater(limiter.take("a"), 0.0)

    def test_the_sustained_rate(self) -> None:
        """Who asks as fast as he can gets the burst, then 60 a second (S-CFG-37, F-047)."""
        limiter = Limiter(self.clock, 60, 10)
        passed = 0
        for _ in range(10_000):
            passed += limiter.take("a") == 0.0
            self.clock.advance(0.001)
        self.assertIn(passed, range(609, 612))

    def test_waiting_saves_nothing_up(self) -> None:
        """Who was quiet for an hour may ask the burst at once, as at the beginning, and not an hour's worth (S-CFG-37)."""
        limiter = Limiter(self.clock, 60, 10)
        for wait_s in (0, 3600):
            self.clock.advance(wait_s)
            self.assertEqual([limiter.take("a") for _ in range(10)], [0.0] * 10)
            self.assertGreater(limiter.take("a"), 0.0)

    def test_the_wait_is_right(self) -> None:
        """Who waits as long as told gets in; a little earlier not."""
        limiter = Limiter(self.clock, 0.5, 1)
        limiter.take("a")
        wait_s = limiter.take("a")
        self.assertAlmostEqual(wait_s, 2.0)
        self.clock.advance(wait_s - 0.01)
        self.assertGreater(limiter.take("a"), 0.0)
        self.clock.advance(0.011)
        self.assertEqual(limiter.take("a"), 0.0)

    def test_callers_do_not_share(self) -> None:
        """One caller's hurry costs no other caller anything (F-047)."""
        limiter = Limiter(self.clock, 1, 1)
        limiter.take("a")
        self.assertGreater(limiter.take("a"), 0.0)
        self.assertEqual(limiter.take("b"), 0.0)

    def test_off_switch(self) -> None:
        """100000 a second is no limit at all and costs no memory; 99999 is one (CFG-11)."""
        off = Limiter(self.clock, 100_000, 1)
        self.assertEqual([off.take("a") for _ in range(1000)], [0.0] * 1000)
        self.assertEqual((off.is_on, len(off)), (False, 0))
        on = Limiter(self.clock, 99_999, 1)
        on.take("a")
        self.assertTrue(on.is_on)
        self.assertGreater(on.take("a"), 0.0)

    def test_idle_callers_are_forgotten(self) -> None:
        """Memory follows those who are here now, not all who ever were."""
        limiter = Limiter(self.clock, 10, 10)
        for n in range(1000):
            limiter.take(str(n))
        self.clock.advance(2)
        limiter.take("new")
        self.assertEqual(len(limiter), 1)

    def test_a_flood_of_addresses(self) -> None:
        """However many addresses ask, no more than the limit are remembered."""
        limiter = Limiter(self.clock, 1, 10, most_buckets=100)
        for n in range(1000):
            limiter.take(str(n))
        self.assertEqual(len(limiter), 100)

    def test_forgetting_changes_nothing_for_the_busy(self) -> None:
        """A caller over his limit stays over it while others come and go."""
        limiter = Limiter(self.clock, 1, 1)
        limiter.take("busy")
        for n in range(100):
            limiter.take(str(n))
        self.assertGreater(limiter.take("busy"), 0.0)
