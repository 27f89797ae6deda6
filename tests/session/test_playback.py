"""Protected speech is protected from the moment it is asked for until the caller has heard it, and no longer."""

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from waav.session.playback import Playback


class PlaybackTests(SynchronousTestCase):
    """The interruption lock on a clock that the test moves."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000)
        self.unlocks = 0
        self.playback = Playback(self.clock, 120.0, self.unlocked)

    def unlocked(self) -> None:
        """Count."""
        self.unlocks += 1

    def hand_over(self, utterance: int, seconds: float) -> None:
        """Audio of that length, in pieces of 10 ms, all at once."""
        for _ in range(round(seconds * 100)):
            self.playback.handed_over(utterance, [bytes(480)], 0.01)

    def assert_locked_until(self, at: float) -> None:
        """It is locked until just before ``at``, and the end is told at ``at``, once."""
        self.clock.advance(at - 0.001 - self.clock.seconds())
        self.assertTrue(self.playback.is_locked)
        self.assertEqual(self.unlocks, 0)
        self.clock.advance(0.001 + 1e-6)
        self.assertFalse(self.playback.is_locked)
        self.assertEqual(self.unlocks, 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_ordinary(self) -> None:
        """Ordinary speech locks nothing, and needs no timer (S-VM-45)."""
        self.playback.asked(1, False)
        self.hand_over(1, 5)
        self.playback.finished(1)
        self.assertFalse(self.playback.is_locked)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.unlocks, 0)

    def test_queued(self) -> None:
        """Asking is enough: nobody slips in before the first byte (S-VM-46)."""
        self.playback.asked(1, True)
        self.assertTrue(self.playback.is_locked)

    def test_until_heard(self) -> None:
        """The lock lasts until the audio has been played, not until it was handed over (F-111)."""
        self.playback.asked(1, True)
        self.hand_over(1, 2)
        self.playback.finished(1)
        self.assert_locked_until(1002)

    def test_slow_synthesis(self) -> None:
        """Time that passes before and between the pieces is not taken off the lock (S-VM-42)."""
        self.playback.asked(1, True)
        self.clock.advance(3)
        self.hand_over(1, 1)
        self.clock.advance(5)
        self.hand_over(1, 2)
        self.playback.finished(1)
        self.assert_locked_until(1010)

    def test_behind_other_speech(self) -> None:
        """Speech handed over earlier and still playing is heard first, so the lock ends later."""
        self.playback.asked(1, False)
        self.hand_over(1, 4)
        self.playback.finished(1)
        self.playback.asked(2, True)
        self.hand_over(2, 1)
        self.playback.finished(2)
        self.assert_locked_until(1005)

    def test_later_ordinary_speech(self) -> None:
        """Ordinary speech asked for later neither ends the lock nor makes it longer (S-VM-43, S-VM-45)."""
        self.playback.asked(1, True)
        self.hand_over(1, 2)
        self.playback.finished(1)
        self.playback.asked(2, False)
        self.hand_over(2, 10)
        self.assertTrue(self.playback.is_locked)
        self.playback.finished(2)
        self.assert_locked_until(1002)

    def test_two_protected(self) -> None:
        """Between two protected utterances there is no gap to slip through."""
        self.playback.asked(1, True)
        self.playback.asked(2, True)
        self.hand_over(1, 1)
        self.playback.finished(1)
        self.clock.advance(2)
        self.assertTrue(self.playback.is_locked)
        self.hand_over(2, 1)
        self.playback.finished(2)
        self.assert_locked_until(1003)

    def test_failed(self) -> None:
        """Speech that fails is not protected any more, whatever was heard of it (S-VM-44, D-42)."""
        self.playback.asked(1, True)
        self.hand_over(1, 3)
        self.playback.failed(1)
        self.assertFalse(self.playback.is_locked)
        self.assertEqual((self.unlocks, self.clock.getDelayedCalls()), (1, []))

    def test_failed_behind_another(self) -> None:
        """A failure does not take the protection of what still plays in front of it (S-VM-43)."""
        self.playback.asked(1, True)
        self.playback.asked(2, True)
        self.hand_over(1, 3)
        self.playback.finished(1)
        self.hand_over(2, 3)
        self.playback.failed(2)
        self.assert_locked_until(1003)

    def test_stuck(self) -> None:
        """A synthesis that never brings anything gives the call back after the longest lock (S-VM-44)."""
        self.playback.asked(1, True)
        self.assert_locked_until(1120)

    def test_stuck_in_the_middle(self) -> None:
        """So does one that stops in the middle, counted from the end of what was heard."""
        self.playback.asked(1, True)
        self.clock.advance(100)
        self.hand_over(1, 10)
        self.assert_locked_until(1230)

    def test_given_up(self) -> None:
        """What comes after that is ordinary speech."""
        self.playback.asked(1, True)
        self.clock.advance(120)
        self.hand_over(1, 10)
        self.playback.finished(1)
        self.assertFalse(self.playback.is_locked)

    def test_nothing_said(self) -> None:
        """An utterance without audio unlocks when it is complete."""
        self.playback.asked(1, True)
        self.playback.finished(1)
        self.assertFalse(self.playback.is_locked)
        self.assertEqual(self.unlocks, 1)

    def test_unknown_duration(self) -> None:
        """Audio whose length only a decoder could tell counts by its size, never as PCM (VM-05, D-43)."""
        self.playback.asked(1, True)
        self.playback.handed_over(1, [bytes(5000), bytes(3000)], None)
        self.playback.finished(1)
        self.assert_locked_until(1002)

    def test_cleared(self) -> None:
        """After a clear nothing is playing: a lock counts from then."""
        self.playback.asked(1, False)
        self.hand_over(1, 60)
        self.assertEqual(self.playback.unfinished, 1)
        self.playback.cleared()
        self.assertEqual(self.playback.unfinished, 0)
        self.playback.asked(2, True)
        self.hand_over(2, 1)
        self.playback.finished(2)
        self.assert_locked_until(1001)

    def test_end_of_call(self) -> None:
        """The end of a call leaves no timer (S-VM-44)."""
        self.playback.asked(1, True)
        self.playback.cleared()
        self.assertFalse(self.playback.is_locked)
        self.assertEqual((self.unlocks, self.clock.getDelayedCalls()), (1, []))

    def test_no_timer_per_piece(self) -> None:
        """However many pieces come, there is one timer."""
        self.playback.asked(1, True)
        self.hand_over(1, 20)
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
