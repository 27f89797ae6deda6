"""The test signal and the ear that hears it."""

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from waav.speech.audio import AudioFormat
from waav.testing.hearing import Ear, Heard, Hearing
from waav.testing.signal import Signal

SIGNAL = Signal.speaking("ear", ["one two three four", "five six", "seven"])


def finals(results: list[Heard]) -> str:
    return " ".join(one.text for one in results if one.is_final and one.words)


class SignalTests(SynchronousTestCase):
    def test_every_place_is_known(self) -> None:
        """From any 20 ms of it one can tell where they are from, in speech and in silence."""
        for at in range(int(SIGNAL.seconds * 50) - 1):
            self.assertAlmostEqual(SIGNAL.find(SIGNAL.cut(at / 50, at / 50 + 0.02)) or 0.0, at / 50)

    def test_odd_places(self) -> None:
        """A piece that begins between two frames is found at its sample; foreign audio is not found."""
        self.assertAlmostEqual(SIGNAL.find(SIGNAL.pcm[12346:14000]) or 0.0, 6173 / 16000)
        self.assertIsNone(SIGNAL.find(bytes(640)))
        self.assertIsNone(SIGNAL.find(SIGNAL.pcm[:10]))

    def test_same_everywhere(self) -> None:
        """The bytes depend on the name only, so recordings can refer to them."""
        self.assertEqual(Signal("x", 0.01).pcm[:8].hex(), "3900f1fff9fffcff")
        self.assertNotEqual(Signal("x", 0.01).pcm, Signal("y", 0.01).pcm)

    def test_telephone(self) -> None:
        """It is found in mu-law too."""
        signal = Signal.speaking("phone", ["one"], rate_hz=8000)
        audio = AudioFormat("mulaw", 8000)
        data = signal.encoded(audio)
        self.assertEqual(signal.find(data[800:1000], audio), 0.1)


class HearingTests(SynchronousTestCase):
    def test_all_words(self) -> None:
        """Everything that was said is in the finals, in order, and pauses end utterances."""
        heard = Hearing(SIGNAL).finish(SIGNAL.seconds)
        self.assertEqual(finals(heard), SIGNAL.text)
        self.assertEqual(
            [one.text for one in heard if one.is_speech_final],
            ["one two three four", "five six", "seven"],
        )

    def test_interims(self) -> None:
        """Twice a second there is an interim result while words come."""
        texts = [one.text for one in Hearing(SIGNAL).until(2.05) if not one.is_final]
        self.assertEqual(texts, ["one", "one two", "one two three four"])

    def test_half_a_word(self) -> None:
        """A word of which only a part arrived is not recognised, at the beginning or at the end."""
        second = SIGNAL.words[1]
        heard = Hearing(SIGNAL, second.start_s + 0.01).finish(
            SIGNAL.words[2].end_s - second.start_s
        )
        self.assertEqual(finals(heard), "three")
        self.assertEqual(finals(Hearing(SIGNAL).finish(second.end_s - 0.01)), "one")

    def test_long_speech(self) -> None:
        """Long speech becomes final in parts whose ends do not cut words; its end is reported as a gap."""
        signal = Signal.speaking("long", ["a b c d e f g h i j k l m n o p"])
        heard = Hearing(signal, 0.0, Ear(None, utterance_end_s=1.0)).until(signal.seconds)
        parts = [one for one in heard if one.is_final and one.words]
        self.assertGreater(len(parts), 1)
        self.assertFalse(any(one.is_speech_final for one in heard))
        self.assertEqual(
            [one.end_s for one in heard if one.is_utterance_end], [signal.words[-1].end_s]
        )
        ends = {round(word.end_s, 6) for word in signal.words}
        self.assertTrue(all(round(one.end_s, 6) in ends for one in parts))

    def test_finalize(self) -> None:
        """Asked for finals, it gives what it has and says that it was asked."""
        heard = Hearing(SIGNAL).finish(SIGNAL.words[0].end_s + 0.05, from_finalize=True)
        self.assertEqual([(one.text, one.from_finalize) for one in heard], [("one", True)])

    def test_again(self) -> None:
        """A signal that is over begins again."""
        heard = Hearing(SIGNAL).until(SIGNAL.seconds * 2)
        self.assertEqual(finals(heard), f"{SIGNAL.text} {SIGNAL.text}")

    @settings(max_examples=60, deadline=None)
    @given(st.lists(st.floats(0.001, 2.0), min_size=1, max_size=40))
    def test_any_pieces(self, steps: list[float]) -> None:
        """How the audio is cut up changes nothing, and nothing is due before ``next_s``."""
        whole, pieces, now_s, found = Hearing(SIGNAL), Hearing(SIGNAL), 0.0, []
        for step in steps:
            now_s += step
            due_s = pieces.next_s
            part = pieces.until(now_s)
            if now_s < due_s - 1e-6:
                self.assertEqual(part, [])
            found += part
        self.assertEqual(found, whole.until(now_s))
