"""Pings, keep-alives and the vendor who is gone."""

from collections.abc import Callable

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from waav.links.websocket.liveness import Liveness


class Line:
    """Notes what it is asked for, and when."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.asked: list[tuple[str, float]] = []
        self.on_ask: Callable[[], None] | None = None

    def note(self, what: str) -> None:
        self.asked.append((what, round(self.clock.seconds(), 2)))
        if self.on_ask is not None:
            self.on_ask()

    def ask_alive(self) -> None:
        self.note("ping")

    def keep_alive(self) -> None:
        self.note("keep")

    def gave_no_answer(self) -> None:
        self.note("gone")


class LivenessTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.line = Line(self.clock)
        self.liveness = Liveness(self.clock, 20.0)  # type: ignore[arg-type]

    def begin(self, keepalive_s: float | None = None, is_read: bool = True) -> None:
        self.liveness.begin(self.line, keepalive_s, is_read=is_read)

    def advance(self, seconds: float, hears: bool = True) -> None:
        """Let time pass, with something heard all the time, or nothing."""
        for _ in range(round(seconds * 2)):
            self.clock.advance(0.5)
            if hears:
                self.liveness.heard_at = self.clock.seconds()

    def timers(self) -> int:
        return len(self.clock.getDelayedCalls())

    def test_pings(self) -> None:
        """A vendor who answers is asked every 20 s, by one timer."""
        self.begin()
        self.advance(65)
        self.assertEqual(self.line.asked, [("ping", 20.0), ("ping", 40.0), ("ping", 60.0)])
        self.assertEqual(self.timers(), 1)

    def test_no_answer(self) -> None:
        """One who says nothing after a ping is given up 20 s later, once; nothing runs on."""
        self.begin()
        self.advance(100, hears=False)
        self.assertEqual(self.line.asked, [("ping", 20.0), ("gone", 40.0)])
        self.assertEqual(self.timers(), 0)

    def test_keep_alives(self) -> None:
        """When nothing was said for so long, something is; what is said meanwhile puts it off."""
        self.begin(4.0)
        self.advance(9)
        self.assertEqual(self.line.asked, [("keep", 4.0), ("keep", 8.0)])
        self.liveness.said_at = self.clock.seconds()
        self.advance(4)
        self.assertEqual(self.line.asked[2:], [("keep", 13.0)])
        self.assertEqual(self.timers(), 1)

    def test_keep_alives_do_not_answer_pings(self) -> None:
        """What we say is no sign of life of the vendor."""
        self.begin(4.0)
        self.advance(60, hears=False)
        self.assertEqual([one for one in self.line.asked if one[0] != "keep"][-1], ("gone", 40.0))

    def test_resting(self) -> None:
        """Who is not read is not pinged, but kept alive; when he is read again everything begins anew."""
        self.begin(15.0)
        self.advance(21, hears=False)
        self.assertEqual(self.line.asked, [("keep", 15.0), ("ping", 20.0)])
        self.liveness.rest()
        self.advance(60, hears=False)
        self.assertEqual({what for what, _ in self.line.asked[2:]}, {"keep"})
        self.line.asked.clear()
        self.liveness.go_on()  # at 81 s
        self.advance(39, hears=False)
        self.assertEqual([one for one in self.line.asked if one[0] != "keep"], [("ping", 101.0)])
        self.advance(2, hears=False)
        self.assertEqual(self.line.asked[-1], ("gone", 121.0))

    def test_beginning_at_rest(self) -> None:
        """A connection that is not to be read from the beginning is not pinged."""
        self.begin(is_read=False)
        self.advance(100, hears=False)
        self.assertEqual(self.line.asked, [])
        self.liveness.go_on()
        self.advance(21, hears=False)
        self.assertEqual([what for what, _ in self.line.asked], ["ping"])

    def test_stopped(self) -> None:
        """After the end nothing runs, and nobody is held."""
        self.begin(4.0)
        self.liveness.stop()
        self.liveness.stop()
        self.assertEqual(self.timers(), 0)
        self.assertIs(self.liveness._owner, None)

    def test_stopped_by_what_it_asks(self) -> None:
        """A connection that ends over a ping or a keep-alive leaves no timer behind."""
        for keepalive_s in (4.0, None):
            self.line.on_ask = self.liveness.stop
            self.begin(keepalive_s)
            self.advance(21)
            self.assertEqual(self.timers(), 0)
        self.assertEqual([what for what, _ in self.line.asked], ["keep", "ping"])

    def test_a_new_connection(self) -> None:
        """What the last connection owed is not asked of the next."""
        self.begin(15.0)
        self.advance(21, hears=False)
        self.liveness.stop()
        self.line.asked.clear()
        self.advance(10, hears=False)  # 31 s
        self.begin(15.0)
        self.advance(19, hears=False)
        self.assertEqual(self.line.asked, [("keep", 46.0)])
        self.advance(2, hears=False)
        self.assertEqual(self.line.asked[-1], ("ping", 51.0))
