"""Which of several workers takes a connection."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from waav.gateway.admission.live import LiveConnections
from waav.gateway.admission.turnstile import STEP_BACK_S, YOUNG_S, Turnstile


class Place:
    def __init__(self) -> None:
        self.shown = (0, 0)
        self.count = 0
        self.before = 0

    def show(self, live: int, load: int) -> None:
        self.shown = (live, load)

    def accepted(self) -> None:
        self.count += 1

    def turns_before(self) -> int:
        return self.before


class Port:
    def __init__(self) -> None:
        self.told: list[str] = []

    def pause_accepting(self) -> None:
        self.told.append("pause")

    def resume_accepting(self) -> None:
        self.told.append("resume")


class Connection:
    def close(self, code: int, reason: str) -> None:
        pass


class TurnstileTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.place = Place()
        self.calls = LiveConnections(self.clock)
        self.port = Port()
        self.turnstile = Turnstile(self.clock, self.place, self.calls)

    def test_the_least_busy_takes_it(self) -> None:
        """Whose turn it is takes a connection at once."""
        self.assertTrue(self.turnstile.may_accept(self.port))
        self.assertEqual(self.port.told, [])

    def test_the_others_step_back(self) -> None:
        """A busier worker leaves a connection to the others, and takes it when it still waits after two milliseconds."""
        self.place.before = 1
        self.assertFalse(self.turnstile.may_accept(self.port))
        self.assertEqual(self.port.told, ["pause"])
        self.clock.advance(STEP_BACK_S)
        self.assertEqual(self.port.told, ["pause", "resume"])
        self.assertTrue(self.turnstile.may_accept(self.port))
        self.turnstile.accepted()
        self.assertFalse(self.turnstile.may_accept(self.port))

    def test_far_behind(self) -> None:
        """Who has many more calls than another waits longer for him, but never long."""
        self.place.before = 3
        self.turnstile.may_accept(self.port)
        self.clock.advance(2.9 * STEP_BACK_S)
        self.assertEqual(self.port.told, ["pause"])
        self.clock.advance(0.2 * STEP_BACK_S)
        self.assertEqual(self.port.told, ["pause", "resume"])
        self.place.before = 100
        self.clock.advance(STEP_BACK_S)
        self.turnstile.may_accept(self.port)
        self.clock.advance(0.0081)
        self.assertEqual(self.port.told, ["pause", "resume"] * 2)

    def test_having_stepped_back_is_for_one_connection(self) -> None:
        """Who stepped back for a connection that another took has no claim to the next."""
        self.place.before = 1
        self.turnstile.may_accept(self.port)
        self.clock.advance(STEP_BACK_S)
        self.clock.advance(STEP_BACK_S)
        self.assertFalse(self.turnstile.may_accept(self.port))

    def test_connections_count_before_they_are_calls(self) -> None:
        """Many at once are spread although none of them has asked for anything yet; each is counted once."""
        for _ in range(3):
            self.turnstile.accepted()
        self.assertEqual((self.place.shown, self.place.count), ((0, 3), 3))
        call = Connection()
        self.calls.add(call)
        self.assertEqual(self.place.shown, (1, 3))
        self.clock.advance(YOUNG_S)
        self.assertEqual(self.place.shown, (1, 1))
        self.calls.remove(call)
        self.calls.remove(call)
        self.assertEqual(self.place.shown, (0, 0))
