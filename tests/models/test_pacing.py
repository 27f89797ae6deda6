"""Where the voice breathes."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from waav.models.pacing import COMMA_S, LONGEST, SENTENCE_S, breaths, trimmed

RATE_HZ = 24000


class BreathsTests(SynchronousTestCase):
    """How a sentence is cut."""

    def test_clauses(self) -> None:
        """Each clause is said in one go and followed by the pause of its sign."""
        self.assertEqual(
            list(breaths("wˈɛl, kˈʌm ˈɪn; sˈɪt — ɔɹ stˈænd?")),
            [
                ("wˈɛl,", COMMA_S),
                ("kˈʌm ˈɪn;", 0.25),
                ("sˈɪt", 0.05),
                ("ɔɹ stˈænd?", SENTENCE_S),
            ],
        )

    def test_quotes(self) -> None:
        """The sign before a closing quotation mark counts."""
        self.assertEqual(list(breaths("hi “nˈO.”")), [("hi “nˈO.”", SENTENCE_S)])

    def test_signs_alone(self) -> None:
        """What has no sound is not said."""
        self.assertEqual(list(breaths(", — …")), [])
        self.assertEqual(list(breaths("")), [])

    def test_equal_parts(self) -> None:
        """A clause that is a little too long becomes two halves, not a whole and a word; the first may be shorter."""
        words = " ".join(["sˈɛvən"] * 30)
        first, second = (len(one.phonemes) for one in breaths(words))
        self.assertApproximates(first, second, 7)
        lengths = [len(one.phonemes) for one in breaths(words, first=60)]
        self.assertLessEqual(lengths[0], 60)
        self.assertGreater(lengths[1], 60)

    def test_signs_before_words(self) -> None:
        """What cannot be said does not count as the first breath, which has to be short."""
        said = list(breaths("." * 30 + "a" * 100, first=20))
        self.assertLessEqual(len(said[0].phonemes), 20)
        self.assertEqual(sum(one.phonemes.count("a") for one in said), 100)

    @given(st.text(alphabet="aˈ ,.;—", max_size=600), st.integers(10, LONGEST))
    def test_nothing_lost_and_nothing_too_long(self, sentence: str, first: int) -> None:
        """Every phoneme is said once, in order, and no breath is too long for the network."""
        said = list(breaths(sentence, first))
        self.assertLessEqual(max([0, *(len(one.phonemes) for one in said)]), LONGEST)
        self.assertLessEqual(len(said[0].phonemes) if said else 0, first)
        self.assertEqual("".join(one.phonemes for one in said).count("a"), sentence.count("a"))


class TrimmedTests(SynchronousTestCase):
    """Silence around sound."""

    def sound(self, before: int, length: int, behind: int) -> np.ndarray:
        wave = 0.2 * np.sin(np.arange(length) / 8)
        parts = [np.zeros(before), wave, np.zeros(behind)]
        return np.concatenate(parts).astype(np.float32)

    def test_silence_goes(self) -> None:
        """What is left begins and ends within 20 ms of the sound."""
        for before, behind in ((8000, 12000), (0, 0), (8000, 0), (0, 12000)):
            kept = trimmed(self.sound(before, 6000, behind), RATE_HZ)
            self.assertTrue(5880 <= len(kept) <= 6480, len(kept))

    def test_silence_inside_stays(self) -> None:
        """A stop inside a word is part of it."""
        twice = np.concatenate([self.sound(100, 3000, 2000), self.sound(0, 3000, 100)])
        self.assertGreater(len(trimmed(twice, RATE_HZ)), 7800)

    def test_no_clicks(self) -> None:
        """Sound rises from zero and ends there, wherever it was cut; the original is left as it is."""
        loud = np.full(2400, 0.5, np.float32)
        kept = trimmed(loud, RATE_HZ)
        self.assertEqual((kept[0], kept[-1]), (0.0, 0.0))
        self.assertEqual(float(loud[0]), 0.5)
        self.assertEqual(float(kept[1200]), 0.5)

    def test_nothing(self) -> None:
        """Silence alone is nothing, and so is nothing."""
        for length in (0, 7, 5000):
            self.assertEqual(len(trimmed(np.zeros(length, np.float32), RATE_HZ)), 0)
