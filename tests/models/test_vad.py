"""Where utterances begin and end."""

import numpy as np
from twisted.trial.unittest import SynchronousTestCase

from tests.models import sounds
from waav.models import vad
from waav.models.vad import (
    PIECE,
    PIECE_S,
    Change,
    Cut,
    Ended,
    Rules,
    Samples,
    SpeechSegments,
    Started,
)

SPEECH, QUIET = 0.9, 0.1


def script(*parts: tuple[float, float]) -> Samples:
    """Samples whose value is the probability of speech: (probability, seconds) each."""
    runs = [np.full(round(seconds / PIECE_S) * PIECE, value) for value, seconds in parts]
    return np.concatenate(runs).astype(np.float32)


def segments(**rules: float) -> SpeechSegments:
    """With a network that reads the probability off the first sample."""
    return SpeechSegments(lambda piece: float(piece[0]), Rules(**rules))


class SegmentsTests(SynchronousTestCase):
    """The rules over probabilities."""

    def changes(self, audio: Samples, **rules: float) -> list[Change]:
        return list(segments(**rules).feed(audio))

    def near(self, found_s: float, expected_s: float) -> None:
        """To a piece."""
        self.assertLess(abs(found_s - expected_s), PIECE_S + 0.001)

    def test_an_utterance(self) -> None:
        """Speech between silences is one utterance: noticed soon, ended by the silence after it."""
        started, ended = self.changes(script((QUIET, 1.024), (SPEECH, 2.048), (QUIET, 1.024)))
        assert isinstance(started, Started) and isinstance(ended, Ended)
        self.assertAlmostEqual(started.at_s, 1.024)
        self.near(ended.at_s, 1.024 + 2.048 + 0.6)
        self.assertTrue(ended.clip.is_speech)

    def test_soft_edges_are_kept(self) -> None:
        """The audio just before and after the voiced part is recognised with it, or soft consonants are lost."""
        _, ended = self.changes(script((QUIET, 1.024), (SPEECH, 2.048), (QUIET, 1.024)))
        assert isinstance(ended, Ended)
        self.near(ended.clip.start_s, 1.024 - 0.3)
        self.near(ended.clip.end_s, 1.024 + 2.048 + 0.2)
        length_s = len(ended.clip.samples) / sounds.RATE_HZ
        self.assertAlmostEqual(length_s, ended.clip.end_s - ended.clip.start_s)

    def test_a_stream_that_starts_with_speech(self) -> None:
        """A recording without silence before its first word loses nothing of it."""
        started, ended = self.changes(script((SPEECH, 0.512), (QUIET, 1.024)))
        assert isinstance(started, Started) and isinstance(ended, Ended)
        self.assertEqual((started.at_s, ended.clip.start_s), (0.0, 0.0))

    def test_a_click_is_no_speech(self) -> None:
        """Two voiced pieces are a click: nobody is told of speech."""
        self.assertEqual(self.changes(script((QUIET, 1.0), (SPEECH, 0.064), (QUIET, 1.0))), [])

    def test_a_cough_holds_no_words(self) -> None:
        """Sound just long enough to be noticed ends without being recognised."""
        _, ended = self.changes(script((QUIET, 1.0), (SPEECH, 0.096), (QUIET, 1.0)))
        assert isinstance(ended, Ended)
        self.assertFalse(ended.clip.is_speech)

    def test_a_pause_between_words_ends_nothing(self) -> None:
        """A pause shorter than the endpoint stays inside the utterance."""
        audio = script((SPEECH, 1.024), (QUIET, 0.512), (SPEECH, 1.024), (QUIET, 1.024))
        started, ended = self.changes(audio)
        assert isinstance(started, Started) and isinstance(ended, Ended)
        self.assertGreater(ended.clip.end_s, 2.5)

    def test_the_endpoint_is_a_choice(self) -> None:
        """With a shorter endpoint the same pause ends the utterance."""
        audio = script((SPEECH, 1.024), (QUIET, 0.512), (SPEECH, 1.024), (QUIET, 1.024))
        kinds = [type(change) for change in self.changes(audio, endpoint_s=0.4)]
        self.assertEqual(kinds, [Started, Ended, Started, Ended])

    def test_the_threshold_is_a_choice(self) -> None:
        """What is speech at one threshold is background at a higher one."""
        audio = script((0.6, 1.0), (QUIET, 1.0))
        self.assertEqual(len(self.changes(audio)), 2)
        self.assertEqual(self.changes(audio, threshold=0.8), [])

    def test_nothing_is_recognised_twice(self) -> None:
        """The pre-roll of an utterance never reaches back into the one before it."""
        audio = script((SPEECH, 1.0), (QUIET, 0.416), (SPEECH, 1.0), (QUIET, 1.0))
        clips = [c.clip for c in self.changes(audio, endpoint_s=0.4) if isinstance(c, Ended)]
        self.assertEqual(len(clips), 2)
        self.assertGreaterEqual(clips[1].start_s, clips[0].end_s)

    def test_a_long_utterance_is_cut_where_it_is_quiet(self) -> None:
        """Somebody who never pauses is recognised in parts, cut at the quietest place, without a gap."""
        audio = script((0.9, 2.528), (0.6, 0.096), (0.9, 3.2), (QUIET, 1.0))
        started, cut, ended = self.changes(audio, longest_s=3.2)[:3]
        assert isinstance(started, Started) and isinstance(cut, Cut)
        self.near(cut.clip.end_s, 2.528 + 0.064)
        assert isinstance(ended, Cut | Ended)
        self.assertEqual(ended.clip.start_s, cut.clip.end_s)

    def test_what_follows_a_cut_may_be_silence(self) -> None:
        """An utterance that ends right after its cut ends with a part that holds no words."""
        audio = script((SPEECH, 2.976), (QUIET, 2.0))
        _, cut, ended = self.changes(audio, longest_s=3.2)
        assert isinstance(cut, Cut) and isinstance(ended, Ended)
        self.assertTrue(cut.clip.is_speech)
        self.assertFalse(ended.clip.is_speech)

    def test_finish_ends_at_once(self) -> None:
        """A stream that stops in mid-word is recognised to its last sample."""
        stream = segments()
        list(
            stream.feed(np.concatenate([script((SPEECH, 1.024)), np.full(100, SPEECH, np.float32)]))
        )
        (ended,) = stream.finish()
        assert isinstance(ended, Ended)
        self.assertAlmostEqual(ended.clip.end_s, 1.024 + PIECE_S)
        self.assertEqual(list(stream.finish()), [])

    def test_any_cutting_of_the_stream(self) -> None:
        """However the network delivered the audio, the utterances are the same."""
        audio = script((QUIET, 0.5), (SPEECH, 1.0), (QUIET, 1.0), (SPEECH, 0.7), (QUIET, 1.0))
        whole = self.changes(audio)
        self.assertEqual(len(whole), 4)
        for size in (1, 160, 511, 4000):
            stream = segments()
            cut = [c for i in range(0, len(audio), size) for c in stream.feed(audio[i : i + size])]
            self.assertEqual([str(c) for c in cut], [str(c) for c in whole])

    def test_a_pause_is_seen(self) -> None:
        """While somebody pauses, the utterance so far does not grow."""
        stream = segments()
        list(stream.feed(script((SPEECH, 1.024), (QUIET, 0.224))))
        first = stream.open_clip()
        self.assertTrue(stream.is_pausing)
        list(stream.feed(script((QUIET, 0.096))))
        second = stream.open_clip()
        assert first is not None and second is not None
        self.assertEqual(first.end_s, second.end_s)


class SileroTests(SynchronousTestCase):
    """The network itself."""

    def started(self, audio: bytes) -> int:
        changes = SpeechSegments(vad.silero(), Rules()).feed(vad.pcm16(audio))
        return sum(isinstance(change, Started) for change in changes)

    def test_silence_noise_and_tones(self) -> None:
        """A quiet line, hiss and beeps are not speech."""
        for audio in (sounds.silence(3), sounds.noise(3, 0.02), sounds.tone(3, 440)):
            self.assertEqual(self.started(audio), 0)

    def test_speech(self) -> None:
        """A telephone prompt is."""
        self.assertEqual(self.started(sounds.prompt("conf-userswilljoin")), 1)

    def test_a_muted_microphone_costs_nothing(self) -> None:
        """Silence is not even shown to the network, and it hears the next word as well as ever."""
        probability = vad.silero()
        self.assertEqual({probability(np.zeros(PIECE, np.float32)) for _ in range(50)}, {0.0})
        audio = sounds.silence(2) + sounds.prompt("conf-userswilljoin")
        self.assertEqual(self.started(audio), 1)

    def test_state_belongs_to_a_stream(self) -> None:
        """Two callers on one machine do not disturb each other's network."""
        pieces = np.split(vad.pcm16(sounds.prompt("conf-userswilljoin"))[: 60 * PIECE], 60)
        alone = vad.silero()
        expected = [alone(piece) for piece in pieces]
        first, second = vad.silero(), vad.silero()
        got = []
        for piece in pieces:
            got.append(first(piece))
            second(np.zeros(PIECE, np.float32))
        self.assertEqual(got, expected)
