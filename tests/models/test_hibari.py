"""Synthesis in the process."""

import json
import threading
from collections.abc import Iterator

import numpy as np
from hibari.voices import VOICES
from twisted.trial.unittest import SynchronousTestCase

from tests.models import sounds
from waav.models.hibari import Hibari, Speaking, local, phrases
from waav.models.vad import Samples
from waav.providers.local import Voices
from waav.speech.provider import Account

_loaded: list[Hibari] = []


def loaded() -> Hibari:
    """One copy for all tests."""
    if not _loaded:
        _loaded.append(Hibari())
    return _loaded[0]


class Noting:
    """A voice that notes what it is asked, and takes one second for everything."""

    def __init__(self) -> None:
        self.spoken: list[tuple[str, float]] = []

    def sentences(self, text: str) -> list[str]:
        return text.split("|") if text else []

    def speak(self, sentence: str, speed: float) -> Samples:
        self.spoken.append((sentence, speed))
        return np.full(24000, 0.5, np.float32)


def asked(text: str, speed: float = 1.0) -> str:
    return json.dumps({"text": text, "speed": speed})


class SpeakingTests(SynchronousTestCase):
    """What a conversation says, and when."""

    def setUp(self) -> None:
        self.voice = Noting()
        self.speaking = Speaking(self.voice)

    def test_pieces_are_short(self) -> None:
        """Audio comes in pieces of a tenth of a second, so that a clear can stop between them."""
        *pieces, _ = self.speaking.feed(asked("One."))
        self.assertEqual({len(piece) for piece in pieces}, {4800})
        self.assertEqual(sum(map(len, pieces)), 48000)

    def test_the_next_sentence_waits(self) -> None:
        """Nothing is computed for a caller who has interrupted: a sentence is made when the one before was taken."""
        answer = iter(self.speaking.feed(asked("One.|Two.")))
        for _ in range(10):
            next(answer)
        self.assertEqual([text for text, _ in self.voice.spoken], ["One."])
        next(answer)
        self.assertEqual([text for text, _ in self.voice.spoken], ["One.", "Two."])

    def test_the_end_is_told(self) -> None:
        """After the last piece comes the word that all is spoken, also for a text without words."""
        for text in ("One.|Two.", ""):
            *_, last = self.speaking.feed(asked(text))
            self.assertEqual(json.loads(last), {"kind": "spoken"})

    def test_speed(self) -> None:
        """The speaking rate reaches the voice."""
        list(self.speaking.feed(asked("One.", 1.5)))
        self.assertEqual(self.voice.spoken, [("One.", 1.5)])

    def test_loud_samples_do_not_wrap(self) -> None:
        """A sample above full scale is as loud as possible, not a crack."""

        class Loud(Noting):
            def speak(self, sentence: str, speed: float) -> Samples:
                return np.array([1.5, -1.5], np.float32)

        piece, _ = Speaking(Loud()).feed(asked("One."))
        assert isinstance(piece, bytes)
        self.assertEqual(np.frombuffer(piece, "<i2").tolist(), [32767, -32767])


class PhrasesTests(SynchronousTestCase):
    """How the first sentence is cut for a quick start."""

    def check(self, sentences: list[str], expected: list[str]) -> None:
        self.assertEqual(list(phrases(sentences)), expected)

    def test_a_long_first_sentence(self) -> None:
        """The caller hears its first clause while the rest is computed."""
        self.check(
            [
                "Thank you for calling us, we are open all day long.",
                "Bye, then, dear caller, and call again.",
            ],
            [
                "Thank you for calling us,",
                "we are open all day long.",
                "Bye, then, dear caller, and call again.",
            ],
        )

    def test_short_or_without_clauses(self) -> None:
        """A short sentence, one without commas, and one with only a word before its comma stay whole."""
        for sentence in ("Well, hello there.", "The quick brown fox jumps over the lazy dog."):
            self.check([sentence], [sentence])
        self.check(["No, " + "word " * 12], ["No, " + "word " * 12])

    def test_nothing(self) -> None:
        """No text, no phrases."""
        self.check([], [])


class HibariTests(SynchronousTestCase):
    """The voice itself."""

    def audio(self, text: str, speed: float = 1.0) -> bytes:
        pieces: Iterator[str | bytes] = iter(local().open(loaded()).feed(asked(text, speed)))
        return b"".join(piece for piece in pieces if isinstance(piece, bytes))

    def test_it_speaks(self) -> None:
        """Words become about as much sound as they take to say, at a normal level."""
        audio = self.audio("The gateway is listening.")
        self.assertTrue(1.0 < len(audio) / 48000 < 3.0)
        self.assertGreater(float(np.abs(sounds.samples(audio)).max()), 0.1)

    def test_equal_texts_give_equal_audio(self) -> None:
        """What is spoken can be cached: the same words give the same bytes, from a second copy as well."""
        text = "Your table is booked."
        again = b"".join(p for p in Speaking(Hibari()).feed(asked(text)) if isinstance(p, bytes))
        self.assertEqual(self.audio(text), again)

    def test_speaking_rate(self) -> None:
        """Twice the rate takes about half the time, half the rate twice the time."""
        fast, normal, slow = (
            len(self.audio("How are you doing today?", s)) for s in (2.0, 1.0, 0.5)
        )
        self.assertLess(fast, 0.7 * normal)
        self.assertGreater(slow, 1.5 * normal)

    def test_nothing_to_pronounce(self) -> None:
        """A text of signs alone is silence, not an error."""
        for text in ("", "  ", "...", "\n\n"):
            self.assertLess(len(self.audio(text)), 48000)

    def test_several_calls_at_once(self) -> None:
        """Callers who are spoken to at the same time hear what they would hear alone."""
        texts = [
            "The quorble is blue.",
            "Please hold the line.",
            "Call 555 1234, now.",
            "Dr. Smith left.",
        ]
        expected = [self.audio(text) for text in texts]
        got: dict[str, bytes] = {}
        threads = [
            threading.Thread(target=lambda text=text: got.update({text: self.audio(text)}))
            for text in texts
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual([got[text] for text in texts], expected)

    def test_listed_voices_are_in_the_package(self) -> None:
        """No voice is offered that would have to be fetched from a model hub first."""
        bundled = [name for name, row in VOICES.items() if row.get("bundled")]
        rows, _ = Voices(Account()).read(b"")
        self.assertEqual([row.id for row in rows], bundled)
