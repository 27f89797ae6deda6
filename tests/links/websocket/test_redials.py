"""When a vendor is dialled again."""

from twisted.trial.unittest import SynchronousTestCase

from waav.links.websocket.redials import HEALTHY_S, Redials


class RedialsTests(SynchronousTestCase):
    def test_waits_grow_and_end(self) -> None:
        """Each wait is twice as long as the one before, up to 8 s; then there are no more."""
        redials = Redials(7, lambda: 0.5)
        waits = [redials.wait_s(None) for _ in range(8)]
        self.assertEqual(waits, [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, None])
        self.assertEqual(redials.wait_s(None), None)

    def test_none_at_all(self) -> None:
        """With a limit of 0 a lost vendor stays lost."""
        self.assertIsNone(Redials(0, lambda: 0.5).wait_s(None))

    def test_jitter(self) -> None:
        """Waits differ by a quarter either way."""
        for number, first, second in ((0.0, 0.375, 0.75), (1.0, 0.625, 1.25)):
            redials = Redials(5, lambda number=number: number)  # type: ignore[misc]
            self.assertEqual((redials.wait_s(None), redials.wait_s(None)), (first, second))

    def test_what_the_vendor_asks_for(self) -> None:
        """A vendor who says when to come back is not dialled earlier, nor later because of it."""
        redials = Redials(5, lambda: 0.5)
        self.assertEqual([redials.wait_s(one) for one in (3.0, 0.1, 0.0)], [3.0, 1.0, 2.0])

    def test_health(self) -> None:
        """The count begins anew after a connection that lived long enough, and only then."""
        redials = Redials(2, lambda: 0.5)
        redials.up(100.0)
        redials.lost(100.0 + HEALTHY_S)
        self.assertEqual(redials.wait_s(None), 0.5)
        redials.up(200.0)
        redials.lost(200.0 + HEALTHY_S - 0.1)
        self.assertEqual((redials.wait_s(None), redials.wait_s(None)), (1.0, None))
        redials.up(300.0)
        redials.lost(300.0 + HEALTHY_S)
        self.assertEqual(redials.wait_s(None), 0.5)
