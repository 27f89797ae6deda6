"""Recognition in the process."""

import json
import threading
from collections.abc import Iterable
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from bench import wer
from tests.models import sounds
from tests.models.test_vad import QUIET, SPEECH, script, segments
from waav.models.moonshine import Listening, Moonshine, local
from waav.models.vad import RATE_HZ, Rules, Samples

_loaded: list[Moonshine] = []


def loaded() -> Moonshine:
    """One copy for all tests."""
    if not _loaded:
        _loaded.append(Moonshine())
    return _loaded[0]


class Counting:
    """A model that says how much it heard, and takes its time for it."""

    def __init__(self) -> None:
        self.heard_s: list[float] = []
        self.takes_s = 0.0
        self.now = 0.0

    def recognise(self, samples: Samples) -> str:
        self.now += self.takes_s
        self.heard_s.append(len(samples) / RATE_HZ)
        return f"{len(samples)} samples"


class Conversation:
    """A conversation whose speech is scripted; 20 ms frames as a call has them."""

    def __init__(self, **rules: float) -> None:
        self.model = Counting()
        self.listening = Listening(self.model, segments(**rules), lambda: self.model.now)
        self.answers: list[dict[str, Any]] = []

    def hear(self, *parts: tuple[float, float], frame: int = 640) -> None:
        data = (script(*parts) * 32768).astype("<i2").tobytes()
        for piece in sounds.pieces(data, frame):
            self.tell(piece)

    def tell(self, outgoing: str | bytes) -> None:
        self.answers += [json.loads(answer) for answer in self.listening.feed(outgoing)]

    def of(self, kind: str) -> list[dict[str, Any]]:
        return [answer for answer in self.answers if answer["kind"] == kind]

    @property
    def kinds(self) -> list[str]:
        return [answer["kind"] for answer in self.answers]


class ListeningTests(SynchronousTestCase):
    """What a conversation says, and when."""

    def test_partials_while_somebody_speaks(self) -> None:
        """Text appears about every half second of speech, before the utterance is over."""
        talk = Conversation()
        talk.hear((QUIET, 1.0), (SPEECH, 2.048))
        self.assertEqual(talk.kinds[0], "started")
        self.assertIn(len(talk.of("partial")), (3, 4))
        self.assertEqual(talk.of("final"), [])

    def test_partials_make_room_for_finals(self) -> None:
        """A model that is slow today is asked for fewer partials, so that it does not fall behind the caller."""
        talk = Conversation()
        talk.model.takes_s = 0.9
        talk.hear((QUIET, 1.0), (SPEECH, 4.096), (QUIET, 2.0))
        self.assertIn(len(talk.of("partial")), (2, 3))
        self.assertEqual(len(talk.of("final")), 1)
        self.assertLess(talk.model.takes_s * len(talk.model.heard_s), 4.1)

    def test_a_final_once(self) -> None:
        """An utterance gives exactly one final, which says that it is over, and then the end of speech."""
        talk = Conversation()
        talk.hear((QUIET, 1.0), (SPEECH, 1.024), (QUIET, 3.0))
        self.assertEqual(talk.kinds[-2:], ["final", "ended"])
        (final,) = talk.of("final")
        self.assertTrue(final["is_end"])
        self.assertEqual(final["end_s"], talk.of("ended")[0]["at_s"])

    def test_the_final_is_ready_when_the_silence_is_over(self) -> None:
        """The text of the pause is the text of the end: nothing is recognised again at the endpoint."""
        talk = Conversation()
        talk.hear((SPEECH, 1.024), (QUIET, 0.32))
        before = len(talk.model.heard_s)
        talk.hear((QUIET, 1.0))
        self.assertEqual(len(talk.model.heard_s), before)
        self.assertEqual(talk.of("final")[0]["text"], talk.of("partial")[-1]["text"])

    def test_backlog_costs_one_partial(self) -> None:
        """When audio comes late and all at once, a single partial catches up."""
        talk = Conversation()
        talk.hear((SPEECH, 6.0), frame=1 << 30)
        self.assertEqual(len(talk.model.heard_s), 1)

    def test_long_speech_does_not_cost_ever_more(self) -> None:
        """Partials of a long utterance come less often; the model hears at most nine times its length."""
        talk = Conversation(longest_s=30.0)
        talk.hear((SPEECH, 28.8))
        self.assertGreater(len(talk.model.heard_s), 20)
        self.assertLess(sum(talk.model.heard_s), 9 * 28.8)

    def test_an_utterance_that_never_ends(self) -> None:
        """Somebody who does not pause gets finals on the way, and the last one ends the utterance."""
        talk = Conversation(longest_s=3.2)
        talk.hear((SPEECH, 7.0), (QUIET, 1.0))
        are_ends = [final["is_end"] for final in talk.of("final")]
        self.assertGreaterEqual(len(are_ends), 3)
        self.assertEqual(are_ends, [False] * (len(are_ends) - 1) + [True])
        ends = [f["end_s"] for f in talk.of("final")]
        self.assertEqual(ends, sorted(ends))

    def test_silence_after_a_cut(self) -> None:
        """If nothing is said after a cut, an empty final still tells that the utterance is over."""
        talk = Conversation(longest_s=3.2)
        talk.hear((SPEECH, 2.976), (QUIET, 2.0))
        last = talk.of("final")[-1]
        self.assertEqual((last["text"], last["is_end"]), ("", True))

    def test_a_cough_gives_no_text(self) -> None:
        """Sound too short for a word starts and ends speech, and nothing more."""
        talk = Conversation()
        talk.hear((QUIET, 1.0), (SPEECH, 0.096), (QUIET, 1.0))
        self.assertEqual(talk.kinds, ["started", "ended"])
        self.assertEqual(talk.model.heard_s, [])

    def test_flush(self) -> None:
        """Flush gives the final at once, and the conversation goes on with the next utterance."""
        talk = Conversation()
        talk.hear((SPEECH, 1.024))
        talk.tell('{"do": "flush"}')
        self.assertEqual(talk.kinds[-2:], ["final", "ended"])
        talk.hear((SPEECH, 1.024), (QUIET, 1.0))
        first, second = talk.of("final")
        self.assertLess(first["end_s"], second["end_s"])
        # All audio was recognised once: the second utterance does not hold the first.
        self.assertLess(talk.model.heard_s[-1], 1.5)

    def test_finish_in_silence(self) -> None:
        """The end of a quiet stream says nothing."""
        talk = Conversation()
        talk.hear((QUIET, 1.0))
        talk.tell('{"do": "finish"}')
        self.assertEqual(talk.answers, [])

    def test_unknown_orders_are_refused(self) -> None:
        """A word the model does not know is an error, not silence."""
        self.assertRaises(ValueError, Conversation().tell, '{"do": "dance"}')


class MoonshineTests(SynchronousTestCase):
    """The model itself."""

    def heard(self, frames: Iterable[bytes]) -> list[dict[str, Any]]:
        engine = local(Rules()).open(loaded())
        answers: list[str | bytes] = []
        for frame in frames:
            answers += engine.feed(frame)
        answers += engine.feed('{"do": "finish"}')
        engine.close()
        return [json.loads(answer) for answer in answers]

    def text(self, audio: bytes) -> str:
        said = self.heard(sounds.pieces(audio))
        return " ".join(answer["text"] for answer in said if answer["kind"] == "final")

    def test_words_at_the_edges(self) -> None:
        """A recording without any silence around it keeps its first and its last word."""
        said = self.text(sounds.prompt("conf-userswilljoin"))
        self.assertEqual(wer.words(said), ["users", "will", "join", "the", "conference"])

    def test_partials_come_while_audio_comes(self) -> None:
        """Text is there before the recording has been sent."""
        frames = list(sounds.pieces(sounds.prompt("conf-waitforleader")))
        answers = self.heard(frames)
        partials = [answer for answer in answers if answer["kind"] == "partial"]
        self.assertGreaterEqual(len(partials), 2)
        self.assertLess(partials[0]["end_s"], 1.5)

    def test_two_sentences_with_a_pause(self) -> None:
        """A pause makes two finals out of two sentences, in order, each once."""
        audio = (
            sounds.prompt("conf-userswilljoin")
            + sounds.silence(1.2)
            + sounds.prompt("conf-waitforleader")
            + sounds.silence(1.0)
        )
        finals = [a["text"] for a in self.heard(sounds.pieces(audio)) if a["kind"] == "final"]
        self.assertEqual(len(finals), 2)
        self.assertIn("join the conference", finals[0].lower())
        self.assertIn("leader arrives", finals[1].lower())

    def test_no_words_out_of_nothing(self) -> None:
        """Silence, hiss and beeps give no text at all."""
        for audio in (sounds.silence(5), sounds.noise(5, 0.02), sounds.tone(5, 1000)):
            self.assertEqual(self.heard(sounds.pieces(audio)), [])

    def test_telephone_prompts(self) -> None:
        """Sixteen prompts as 8 kHz mu-law, fed in 20 ms frames: at most 12 % of the words are wrong."""
        wrong = count = 0
        for prompt in wer.prompts()[::11]:
            heard = wer.words(" ".join(wer.recognise(loaded(), prompt.telephone())))
            wrong += wer.errors(wer.words(prompt.text), heard)
            count += len(wer.words(prompt.text))
        self.assertGreater(count, 150)
        self.assertLessEqual(wrong / count, 0.12)

    def test_several_calls_at_once(self) -> None:
        """Callers who speak at the same time each get their own words: the library alone mixes them up."""
        names = ("conf-userswilljoin", "conf-waitforleader", "conf-userwilljoin", "vm-tocancelmsg")
        audio = [sounds.samples(sounds.prompt(name)) for name in names]
        expected = [loaded().recognise(one) for one in audio]
        wrong: list[str] = []

        def listen(one: Samples, text: str) -> None:
            wrong.extend(t for t in (loaded().recognise(one) for _ in range(4)) if t != text)

        threads = [
            threading.Thread(target=listen, args=pair) for pair in zip(audio, expected, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(wrong, [])
        self.assertEqual(len(set(expected)), 4)
