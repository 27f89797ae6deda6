"""Synthesis in the process."""

import json
import threading
from collections.abc import Iterator

import numpy as np
from hibari.voices import VOICES
from twisted.trial.unittest import SynchronousTestCase

from tests.models import sounds
from waav.models.hibari import Hibari, Speaking, local
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

    def phonemes(self, sentence: str) -> str:
        return sentence

    def speak(self, phonemes: str, speed: float) -> Samples:
        self.spoken.append((phonemes, speed))
        quiet = np.zeros(6000, np.float32)
        return np.concatenate([quiet, np.full(24000, 0.5, np.float32), quiet])


def asked(text: str, speed: float = 1.0, language: str = "en-US") -> str:
    return json.dumps({"text": text, "speed": speed, "language": language})


def silences(audio: bytes, at_least_s: float = 0.06) -> list[float]:
    """How long the quiet places are, in order, in seconds."""
    frames = np.frombuffer(audio[: len(audio) // 240 * 240], "<i2").reshape(-1, 120)
    is_quiet = np.sqrt(np.square(frames.astype(float)).mean(axis=1)) < 100
    runs = "".join(".#"[bool(quiet)] for quiet in is_quiet).split(".")
    return [len(run) * 0.005 for run in runs if len(run) * 0.005 >= at_least_s]


class SpeakingTests(SynchronousTestCase):
    """What a conversation says, and when."""

    def setUp(self) -> None:
        self.voice = Noting()
        self.speaking = Speaking(self.voice)

    def heard(self, text: str, speed: float = 1.0) -> bytes:
        answer = self.speaking.feed(asked(text, speed))
        return b"".join(piece for piece in answer if isinstance(piece, bytes))

    def test_pieces_are_short(self) -> None:
        """Audio comes in pieces of a tenth of a second at most, so that a clear can stop between them."""
        *pieces, _ = self.speaking.feed(asked("One. Two."))
        self.assertLessEqual({len(piece) for piece in pieces}, set(range(2, 4801, 2)))
        self.assertGreater(len(pieces), 20)

    def test_the_next_clause_waits(self) -> None:
        """Nothing is computed for a caller who has interrupted: a clause is made when the one before was taken."""
        answer = iter(self.speaking.feed(asked("One, or two.")))
        for _ in range(13):
            next(answer)
        self.assertEqual([text for text, _ in self.voice.spoken], ["One,"])
        next(answer)
        self.assertEqual([text for text, _ in self.voice.spoken], ["One,", "or two."])

    def test_the_end_is_told(self) -> None:
        """After the last piece comes the word that all is spoken, also for a text without words."""
        for text in ("One. Two.", "", "...", "\U0001f389"):
            *_, last = self.speaking.feed(asked(text))
            self.assertEqual(json.loads(last), {"kind": "spoken"})

    def test_speed(self) -> None:
        """The speaking rate reaches the voice, and pauses are the shorter the faster it speaks."""
        self.assertEqual(len(silences(self.heard("One, or two.", 1.5))), 2)
        self.assertEqual(self.voice.spoken, [("One,", 1.5), ("or two.", 1.5)])
        slow, fast = (silences(self.heard("One, or two.", speed))[0] for speed in (0.5, 2.0))
        self.assertApproximates(slow, 4 * fast, 0.03)

    def test_it_is_read(self) -> None:
        """The voice is given words, not figures and signs, and reads dates as the caller's country does."""
        self.heard("It is $5 on 3/4/2025.")
        list(Speaking(self.voice).feed(asked("On 3/4/2025.", language="en-GB")))
        self.assertEqual(
            [text for text, _ in self.voice.spoken],
            [
                "It is five dollars on March fourth,",
                "twenty twenty five.",
                "On the third of April,",
                "twenty twenty five.",
            ],
        )

    def test_pauses(self) -> None:
        """A comma is a breath, a full stop more of one, wherever the text was cut; nothing is silent at first."""
        audio = self.heard("Well, come in. Sit down.")
        comma_s, first_stop_s, last_stop_s = silences(audio)
        self.assertTrue(0.10 <= comma_s <= 0.35, comma_s)
        self.assertTrue(0.25 <= first_stop_s <= 0.45, first_stop_s)
        self.assertApproximates(first_stop_s, last_stop_s, 0.02)
        self.assertGreater(int(np.abs(np.frombuffer(audio[:960], "<i2")).max()), 10000)

    def test_asked_pauses(self) -> None:
        """A pause that the text asks for is as long as it says, and takes the place of the sentence's own."""
        (asked_s, _) = silences(self.heard("Hold on. <break time='1200ms'/> Here."))
        self.assertApproximates(asked_s, 1.2, 0.03)
        (first_s, *_) = silences(self.heard("<break time='0.5s'/>Here"))
        self.assertApproximates(first_s, 0.5, 0.03)

    def test_a_text_without_end(self) -> None:
        """Two kilobytes without a full stop are asked of the network in small parts: the first soon, none so long
        that its memory grows."""
        self.heard("7 " * 995)
        lengths = [len(text) for text, _ in self.voice.spoken]
        self.assertLessEqual(lengths[0], 100)
        self.assertLessEqual(max(lengths), 160)
        self.assertEqual(" ".join(text for text, _ in self.voice.spoken), " ".join(["seven"] * 995))

    def test_loud_samples_do_not_wrap(self) -> None:
        """A sample above full scale is as loud as possible, not a crack."""

        class Loud(Noting):
            def speak(self, phonemes: str, speed: float) -> Samples:
                return np.tile(np.array([1.5, -1.5], np.float32), 600)

        piece, *_ = Speaking(Loud()).feed(asked("One"))
        assert isinstance(piece, bytes)
        self.assertEqual(np.frombuffer(piece, "<i2").tolist()[600:602], [32767, -32767])


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

    def test_no_silence_where_none_belongs(self) -> None:
        """An utterance begins with sound, and its commas are breaths, whatever the network does there."""
        for text in (
            "Thank you for calling us, we are open all day long.",
            "Yes, of course.",
            "To confirm, say yes; to cancel, say no.",
        ):
            audio = self.audio(text)
            begins = np.frombuffer(audio[:960], "<i2").astype(float)
            self.assertGreater(float(np.sqrt(np.square(begins).mean())), 100.0, text)
            pauses = silences(audio, 0.09)[:-1]
            self.assertGreaterEqual(len(pauses), 1, text)
            self.assertTrue(all(0.10 <= pause_s <= 0.35 for pause_s in pauses), (text, pauses))

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
