"""End of an utterance: one test per row of subsystems.md 2.3, then properties over random calls."""

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from waav.session.settings import SpeechFinalSettings
from waav.speech.turns import Ask, State, TurnRules, join
from waav.speech.wire import Transcript, Word

DEFAULTS = SpeechFinalSettings()


def interim(text: str) -> Transcript:
    return Transcript(text)


def final(text: str, confidence: float = 0.9) -> Transcript:
    return Transcript(text, is_final=True, confidence=confidence)


def vendor_end(text: str) -> Transcript:
    return Transcript(text, is_final=True, is_speech_final=True, confidence=0.9)


class RowTests(SynchronousTestCase):
    """The state table."""

    def setUp(self) -> None:
        self.turns = TurnRules(DEFAULTS, has_detector=True)

    def ask(self, at: float = 1.8) -> Ask:
        (question,) = self.turns.on_time(at)
        assert isinstance(question, Ask)
        return question

    def force(self, at: float) -> Transcript:
        (forced,) = self.turns.on_time(at)
        assert isinstance(forced, Transcript)
        return forced

    def test_idle_interim(self) -> None:
        """Partial text before any final appears at once and starts no timer (S-VM-11)."""
        self.assertEqual(self.turns.on_transcript(interim("he"), 0.0), [interim("he")])
        self.assertIs(self.turns.state, State.IDLE)
        self.assertIsNone(self.turns.next_at())

    def test_idle_final(self) -> None:
        """A final appears at once and the wait for the vendor's end of speech begins (S-VM-12, VM-03)."""
        self.assertEqual(self.turns.on_transcript(final("hello"), 5.0), [final("hello")])
        self.assertIs(self.turns.state, State.WAITING)
        self.assertEqual(self.turns.next_at(), 6.8)

    def test_idle_speech_final(self) -> None:
        """A vendor that ends utterances itself is passed on and nothing is forced (S-VM-29)."""
        self.assertEqual(self.turns.on_transcript(vendor_end("hi"), 0.0), [vendor_end("hi")])
        self.assertIsNone(self.turns.next_at())

    def test_waiting_interim(self) -> None:
        """Somebody who goes on speaking is not cut off 1.8 s after the last final (S-VM-26)."""
        self.turns.on_transcript(final("hello"), 0.0)
        self.assertEqual(self.turns.on_transcript(interim("wor"), 1.0), [interim("wor")])
        self.assertEqual(self.turns.next_at(), 2.8)

    def test_waiting_blank_interim(self) -> None:
        """A blank partial result is shown to nobody and is not speech (S-VM-13)."""
        self.turns.on_transcript(final("hello"), 0.0)
        self.assertEqual(self.turns.on_transcript(interim("  "), 1.0), [])
        self.assertEqual(self.turns.next_at(), 1.8)

    def test_waiting_final(self) -> None:
        """A second final belongs to the same turn and restarts the wait (F-110)."""
        self.turns.on_transcript(final("hello"), 0.0)
        self.turns.on_transcript(final("world"), 1.0)
        self.assertEqual(self.turns.next_at(), 2.8)
        self.assertEqual(self.turns.text, "hello world")

    def test_waiting_speech_final(self) -> None:
        """The vendor's own end of speech ends the turn; no forced one follows (F-108, S-VM-29)."""
        self.turns.on_transcript(final("hello"), 0.0)
        end = vendor_end("hello")
        self.assertEqual(self.turns.on_transcript(end, 0.5), [end])
        self.assertIsNone(self.turns.next_at())
        self.assertEqual(self.turns.on_time(10.0), [])
        self.assertEqual(self.turns.text, "")

    def test_waiting_timer_with_detector(self) -> None:
        """After the wait the turn model is asked, with the words properly apart (F-108, D-41, S-VM-21, VM-02)."""
        self.turns.on_transcript(final("hello "), 0.0)
        self.turns.on_transcript(final(" world"), 0.0)
        question = self.ask()
        self.assertEqual((question.segment_id, question.text), (1, "hello world"))
        self.assertIs(self.turns.state, State.DECIDING)
        self.assertEqual(self.turns.next_at(), 2.3)

    def test_waiting_timer_without_detector(self) -> None:
        """Without a turn model silence ends the turn after the wait (F-108, S-VM-30)."""
        self.turns.has_detector = False
        self.turns.on_transcript(final("hello"), 0.0)
        self.assertEqual(self.turns.on_time(1.79), [])
        self.assertEqual(self.force(1.8).text, "hello")
        self.assertEqual(dict(self.turns.counts), {"no_detector_timeout": 1})
        self.assertIs(self.turns.state, State.IDLE)

    def test_deciding_final(self) -> None:
        """Who speaks on while the model thinks is not interrupted by its answer (S-VM-25)."""
        self.turns.on_transcript(final("hello"), 0.0)
        question = self.ask()
        self.turns.on_transcript(final("world"), 2.0)
        self.assertIs(self.turns.state, State.WAITING)
        self.assertEqual(self.turns.verdict(question, True, 2.1), [])
        self.assertEqual(self.turns.next_at(), 3.8)

    def test_deciding_interim(self) -> None:
        """A partial result withdraws the question; the next one is another question (S-VM-25)."""
        self.turns.on_transcript(final("hello"), 0.0)
        old = self.ask()
        self.turns.on_transcript(interim("and"), 2.0)
        new = self.ask(3.8)
        self.assertEqual(old.segment_id, new.segment_id)
        self.assertEqual(self.turns.verdict(old, True, 3.9), [])
        self.assertEqual(len(self.turns.verdict(new, True, 3.9)), 1)

    def test_deciding_true(self) -> None:
        """The turn model's yes ends the turn (F-108)."""
        self.turns.on_transcript(final("hello"), 0.0)
        (forced,) = self.turns.verdict(self.ask(), True, 1.9)
        self.assertTrue(forced.is_final and forced.is_speech_final and forced.forced)
        self.assertEqual(dict(self.turns.counts), {"turn_detection_confirmed": 1})

    def test_deciding_false(self) -> None:
        """After the model's no only the hard limit, or more speech, ends the turn (F-108)."""
        self.turns.on_transcript(final("hello"), 0.0)
        self.assertEqual(self.turns.verdict(self.ask(), False, 1.9), [])
        self.assertIs(self.turns.state, State.WAITING)
        self.assertEqual(self.turns.next_at(), 4.0)
        self.turns.on_transcript(interim("well"), 2.0)
        self.assertEqual(self.turns.next_at(), 3.8)

    def test_deciding_failed(self) -> None:
        """A broken turn model ends the turn instead of holding it up."""
        self.turns.on_transcript(final("hello"), 0.0)
        (forced,) = self.turns.verdict(self.ask(), None, 1.9)
        self.assertEqual(forced.text, "hello")
        self.assertEqual(dict(self.turns.counts), {"turn_detection_error_fallback": 1})

    def test_deciding_limit(self) -> None:
        """A turn model that takes too long ends the turn, and its late answer does nothing."""
        self.turns.on_transcript(final("hello"), 0.0)
        question = self.ask()
        self.assertEqual(self.turns.on_time(2.29), [])
        self.assertEqual(self.force(2.3).text, "hello")
        self.assertEqual(dict(self.turns.counts), {"inference_timeout_fallback": 1})
        self.assertEqual(self.turns.verdict(question, True, 2.4), [])

    def test_hard_limit_waiting(self) -> None:
        """However often the model says that somebody has not finished, the turn ends 4 s after its first final
        (F-108, S-VM-27)."""
        self.turns.on_transcript(final("a"), 0.0)
        self.turns.on_transcript(final("b"), 1.0)
        self.assertEqual(self.turns.verdict(self.ask(2.8), False, 2.9), [])
        self.assertEqual(self.turns.next_at(), 4.0)
        self.assertEqual(self.force(4.0).text, "a b")
        self.assertEqual(dict(self.turns.counts), {"hard_timeout_fallback": 1})

    def test_hard_limit_deciding(self) -> None:
        """The hard limit does not wait for the turn model; its answer must not end the next turn (S-VM-25)."""
        self.turns.on_transcript(final("a"), 0.0)
        self.turns.on_transcript(final("b"), 2.0)
        question = self.ask(3.8)
        self.assertEqual(self.force(4.0).text, "a b")
        self.turns.on_transcript(final("next"), 4.1)
        self.assertEqual(self.turns.verdict(question, True, 4.2), [])
        self.assertEqual(self.turns.text, "next")

    def test_late_clock(self) -> None:
        """After a stall past the hard limit the turn just ends; the model is not asked about the past."""
        self.turns.on_transcript(final("a"), 0.0)
        self.turns.on_transcript(final("b"), 2.5)
        (forced,) = self.turns.on_time(60.0)
        self.assertEqual(forced.text, "a b")

    def test_stop_while_open(self) -> None:
        """When recognition stops first, the text that waits is still delivered as the end of the turn."""
        self.turns.on_transcript(final("hello"), 0.0)
        (forced,) = self.turns.end(0.5, is_open=True)
        self.assertEqual((forced.text, forced.is_speech_final), ("hello", True))
        self.assertIsNone(self.turns.next_at())
        self.assertEqual(self.turns.end(0.6, is_open=True), [])

    def test_stop_while_closed(self) -> None:
        """When the caller is gone nothing more is said, and nothing is left running."""
        self.turns.on_transcript(final("hello"), 0.0)
        self.assertEqual(self.turns.end(0.5, is_open=False), [])
        self.assertIsNone(self.turns.next_at())


class ForcedFinalTests(SynchronousTestCase):
    """What a forced final looks like."""

    def force(self, *finals: Transcript, timing: SpeechFinalSettings = DEFAULTS) -> Transcript:
        turns = TurnRules(timing)
        for transcript in finals:
            turns.on_transcript(transcript, 0.0)
        (forced,) = turns.on_time(1.8)
        assert isinstance(forced, Transcript)
        return forced

    def test_text(self) -> None:
        """It repeats the whole turn and says that it does (VM-01, VM-02, D-40, D-41, S-VM-20, S-VM-22)."""
        forced = self.force(final("hello "), final(" world"), final("again"))
        self.assertEqual(forced.text, "hello world again")
        self.assertTrue(forced.is_final and forced.is_speech_final and forced.forced)

    def test_old_empty_text(self) -> None:
        """An operator whose clients append every final can have the original's empty text."""
        forced = self.force(final("hello"), timing=replace(DEFAULTS, forced_text=False))
        self.assertEqual((forced.text, forced.is_speech_final), ("", True))

    def test_confidence(self) -> None:
        """Its confidence is the mean of the turn's finals, 1.0 where the vendor gave none (S-VM-23)."""
        self.assertAlmostEqual(self.force(final("a", 0.5), final("b", 1.0)).confidence, 0.75)
        self.assertEqual(self.force(final("a", 0.0)).confidence, 1.0)

    def test_blank_end(self) -> None:
        """A vendor that ends a turn without repeating it does not send the client an empty prompt (D-40, S-VM-23)."""
        turns = TurnRules(DEFAULTS)
        turns.on_transcript(final("hello ", 0.5), 0.0)
        turns.on_transcript(final("world", 1.0), 0.1)
        (end,) = turns.on_transcript(vendor_end(" "), 0.5)
        self.assertEqual((end.text, end.confidence), ("hello world", 0.75))
        self.assertTrue(end.is_final and end.is_speech_final and end.forced)
        self.assertEqual((turns.state, turns.next_at(), dict(turns.counts)), (State.IDLE, None, {}))
        self.assertEqual(turns.on_transcript(vendor_end("Hello world."), 0.9), [])

    def test_blank_end_without_text(self) -> None:
        """Where finals are to be empty, so is the one that stands for a vendor's empty end."""
        turns = TurnRules(replace(DEFAULTS, forced_text=False))
        turns.on_transcript(final("hello"), 0.0)
        (end,) = turns.on_transcript(vendor_end(""), 0.5)
        self.assertEqual((end.text, end.is_speech_final, end.forced), ("", True, True))

    def test_words(self) -> None:
        """It keeps word times, the language and how much audio it accounts for."""
        one, two = Word("a", 0.0, 0.2), Word("b", 0.3, 0.5)
        forced = self.force(
            replace(final("a"), words=(one,), end_s=0.2),
            replace(final("b"), words=(two,), end_s=0.5, language="en"),
        )
        self.assertEqual((forced.words, forced.end_s, forced.language), ((one, two), 0.5, "en"))

    def test_joining(self) -> None:
        """One space between words, none between Chinese or Japanese characters (VM-02, S-VM-20)."""
        for segments, text in (
            (["hello", "world"], "hello world"),
            ([" hello ", "", "  world"], "hello world"),
            (["你好", "世界"], "你好世界"),
            (["こんにちは。", "元気"], "こんにちは。元気"),
            (["你好", "world"], "你好 world"),
            (["안녕", "하세요"], "안녕 하세요"),
            ([], ""),
        ):
            self.assertEqual(join(segments), text)


class DuplicateTests(SynchronousTestCase):
    """A vendor's end of speech right after a forced one."""

    def setUp(self) -> None:
        self.turns = TurnRules(DEFAULTS)
        self.turns.on_transcript(final("Hello there."), 0.0)
        self.turns.on_transcript(final("How are you?"), 0.0)
        self.turns.on_time(1.8)

    def test_same_words(self) -> None:
        """The same words again do not make the client answer twice (F-109, S-VM-24)."""
        for text in ("hello there how are you", "How are you", "  ", "..."):
            self.assertEqual(self.turns.on_transcript(vendor_end(text), 2.3), [], text)
        self.assertEqual(self.turns.duplicates, 4)

    def test_other_words(self) -> None:
        """Other words are another utterance, however soon (S-VM-24)."""
        for text in ("hello there", "fine"):
            self.assertEqual(len(self.turns.on_transcript(vendor_end(text), 2.0)), 1, text)

    def test_outside_window(self) -> None:
        """The same words later were said again (F-109)."""
        self.assertEqual(len(self.turns.on_transcript(vendor_end("How are you?"), 2.31)), 1)

    def test_after_new_final(self) -> None:
        """With a final in between it is a new turn that happens to sound alike (S-VM-24)."""
        self.turns.on_transcript(final("How are you?"), 1.9)
        for at in (2.0, 2.1):
            self.assertEqual(len(self.turns.on_transcript(vendor_end("How are you?"), at)), 1)

    def test_empty_forced_text(self) -> None:
        """The comparison uses what was said even where forced finals go out empty."""
        turns = TurnRules(replace(DEFAULTS, forced_text=False))
        turns.on_transcript(final("yes"), 0.0)
        turns.on_time(1.8)
        self.assertEqual(turns.on_transcript(vendor_end("Yes."), 1.9), [])
        self.assertEqual(len(turns.on_transcript(vendor_end("No."), 1.9)), 1)


class OptionTests(SynchronousTestCase):
    """Settings and odd results."""

    def test_every_number(self) -> None:
        """Each of the four times is the one that was set (VM-04)."""
        timing = replace(
            DEFAULTS,
            wait_ms=300,
            inference_timeout_ms=100,
            hard_timeout_ms=350,
            duplicate_window_ms=50,
        )
        turns = TurnRules(timing, has_detector=True)
        turns.on_transcript(final("a"), 0.0)
        self.assertAlmostEqual(turns.next_at() or 0, 0.3)
        self.assertIsInstance(turns.on_time(0.3)[0], Ask)
        self.assertAlmostEqual(turns.next_at() or 0, 0.35)
        turns.on_time(0.35)
        self.assertEqual(turns.on_transcript(vendor_end("a"), 0.39), [])
        self.assertEqual(len(turns.on_transcript(vendor_end("a"), 0.41)), 1)
        turns.on_transcript(final("b"), 1.0)
        turns.on_transcript(interim("b"), 1.01)
        turns.on_transcript(final("b"), 1.02)
        self.assertAlmostEqual(turns.next_at() or 0, 1.32)
        slow = TurnRules(replace(timing, hard_timeout_ms=9000), has_detector=True)
        slow.on_transcript(final("a"), 0.0)
        slow.on_time(0.3)
        self.assertAlmostEqual(slow.next_at() or 0, 0.4)

    def test_defaults(self) -> None:
        """Out of the box: 1.8 s wait, 0.5 s for the model, 4 s at most, 0.5 s for duplicates (VM-03)."""
        self.assertEqual(
            (
                DEFAULTS.wait_ms,
                DEFAULTS.inference_timeout_ms,
                DEFAULTS.hard_timeout_ms,
                DEFAULTS.duplicate_window_ms,
            ),
            (1800, 500, 4000, 500),
        )

    def test_interims_do_not_rearm(self) -> None:
        """With interim_rearms off only finals restart the wait or withdraw a question (S-VM-26)."""
        turns = TurnRules(replace(DEFAULTS, interim_rearms=False), has_detector=True)
        turns.on_transcript(final("a"), 0.0)
        turns.on_transcript(interim("b"), 1.0)
        self.assertEqual(turns.next_at(), 1.8)
        (question,) = turns.on_time(1.8)
        turns.on_transcript(interim("b"), 1.9)
        assert isinstance(question, Ask)
        self.assertEqual(len(turns.verdict(question, True, 2.0)), 1)

    def test_hard_limit_from_activity(self) -> None:
        """An operator may let long speech run: the hard limit then counts from the last words (S-VM-27)."""
        turns = TurnRules(
            replace(DEFAULTS, hard_timeout_from="last_activity", wait_ms=10_000), has_detector=True
        )
        turns.on_transcript(final("a"), 0.0)
        turns.on_transcript(interim("b"), 3.0)
        self.assertEqual(turns.next_at(), 7.0)
        turns.on_transcript(final("b"), 6.0)
        self.assertEqual(turns.next_at(), 10.0)

    def test_blank_final(self) -> None:
        """A result without words is never shown, whatever it says of itself; the end of speech is, with the turn's
        text (S-VM-10)."""
        turns = TurnRules(DEFAULTS)
        for blank in (interim(""), final("  "), vendor_end(""), vendor_end(" \n")):
            self.assertEqual(turns.on_transcript(blank, 0.0), [])
            self.assertIsNone(turns.next_at())
        turns.on_transcript(final("hello"), 0.0)
        turns.on_transcript(final("world"), 0.5)
        (shown,) = turns.on_transcript(vendor_end(" "), 1.0)
        self.assertEqual((shown.text, shown.is_speech_final), ("hello world", True))

    def test_confidence_range(self) -> None:
        """Whatever a vendor sends, a client sees a confidence between 0 and 1 (F-125)."""
        turns = TurnRules(DEFAULTS)
        for sent, seen in ((1.7, 1.0), (-0.2, 0.0), (float("nan"), 0.0), (0.4, 0.4)):
            (transcript,) = turns.on_transcript(Transcript("a", confidence=sent), 0.0)
            self.assertEqual(transcript.confidence, seen)

    def test_rounding(self) -> None:
        """A timer that fires a rounding error early still ends the turn."""
        turns = TurnRules(DEFAULTS)
        turns.on_transcript(final("a"), 0.0)
        self.assertEqual(len(turns.on_time(1.8 - 1e-9)), 1)


TEXTS = st.sampled_from(["yes", "Yes.", "no", "你好", "and then", " ", ""])
STEPS = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "interim",
                "final",
                "end",
                "true",
                "false",
                "failed",
                "started",
                "ended",
                "stops",
                "comes",
            ]
        ),
        TEXTS,
        st.floats(0.0, 2.5),
    ),
    max_size=40,
)


class _Call:
    """Drives turns as a node does, on a made-up clock, and keeps its own account of what is open."""

    def __init__(self, turns: TurnRules) -> None:
        self.turns = turns
        self.now = 0.0
        self.open: list[str] = []
        self.opened_at = 0.0
        self.held_until = 0.0  # somebody counts as speaking
        self.questions: list[Ask] = []

    def step(self, kind: str, text: str, pause_s: float) -> None:
        self.pass_time(self.now + pause_s)
        if text.strip() and kind == "interim":
            self.held_until = max(self.held_until, self.now + 1.0)
        if kind == "started":
            self.held_until = self.now + 4.0
        if kind in ("started", "ended"):
            self.turns.on_speech(kind == "started", self.now)
        elif kind in ("stops", "comes"):
            self.see(self.turns.on_audio(kind == "comes", self.now))
        elif kind == "interim":
            self.see(self.turns.on_transcript(interim(text), self.now))
        elif kind == "final":
            if text.strip():
                if not self.open:
                    self.opened_at = self.now
                self.open.append(text)
            self.see(self.turns.on_transcript(final(text), self.now))
        elif kind == "end":
            self.see(self.turns.on_transcript(vendor_end(text), self.now))
        elif self.questions:
            verdict = {"true": True, "false": False, "failed": None}[kind]
            self.see(self.turns.verdict(self.questions[-1], verdict, self.now))

    def pass_time(self, until: float) -> None:
        while (at := self.turns.next_at()) is not None and at <= until:
            self.now = at
            self.see(self.turns.on_time(at))
        self.now = until
        limit = max(self.opened_at + 4.0, self.held_until)
        assert not self.open or self.now <= limit + 1e-6, "turn outlived its limit"

    def see(self, results: list[Transcript] | list[Transcript | Ask]) -> None:
        for result in results:
            if isinstance(result, Ask):
                assert result.text == join(self.open)
                self.questions.append(result)
            elif result.is_speech_final:
                assert result.text.strip() or not self.open, "an empty prompt (D-40)"
                if result.forced:
                    assert self.open, "a second end of speech for one turn"
                    assert result.text == join(self.open) != ""
                self.open = []


class SpeakingTests(SynchronousTestCase):
    """Nobody is cut off in the middle of speaking."""

    def setUp(self) -> None:
        self.turns = TurnRules(DEFAULTS)

    def run_to(self, until: float, step_s: float = 0.1, at: float = 0.0) -> list[Transcript]:
        """What timers force from ``at`` on, looked at every ``step_s``."""
        forced: list[Transcript] = []
        while at <= until:
            forced += [one for one in self.turns.on_time(at) if isinstance(one, Transcript)]
            at += step_s
        return forced

    def test_a_monologue(self) -> None:
        """Of 57 s without a pause there are finals of its parts, and one end of speech, after its end."""
        shown: list[Transcript] = []
        at = 0.0
        while at < 57.0:
            said = final(f"part {at:.0f}") if round(at * 10) % 30 == 29 else interim("and so on")
            shown += self.turns.on_transcript(said, at)
            at += 0.1
            shown += [one for one in self.turns.on_time(at) if isinstance(one, Transcript)]
        self.assertEqual([one for one in shown if one.is_speech_final], [])
        self.assertEqual(len([one for one in shown if one.is_final]), 19)
        (end,) = self.run_to(70.0, at=at)
        self.assertTrue(end.is_speech_final)
        self.assertEqual(len(end.text.split("part ")), 20)

    def test_finals_alone(self) -> None:
        """A vendor who shows no partial text but tells when speech begins, with finals every 3 s and the true end at
        15 s, is not cut off at 7 s."""
        for part in range(5):
            self.turns.on_speech(True, part * 3.0 + 0.1)
            self.assertEqual(self.run_to(part * 3.0 + 2.9, at=part * 3.0 + 0.1), [])
            self.turns.on_transcript(final(f"part {part}"), part * 3.0 + 3.0)
        (end,) = self.turns.on_transcript(vendor_end("the whole"), 15.2)
        self.assertEqual((end.text, end.forced), ("the whole", False))

    def test_a_detector_that_forgets(self) -> None:
        """A detector that takes noise for speech and never says that it has ended holds a turn open for a while, not
        for ever."""
        self.turns.on_transcript(final("hello"), 0.0)
        self.turns.on_speech(True, 1.0)
        self.assertEqual(self.run_to(4.9, at=1.0), [])
        (end,) = self.run_to(6.0, at=4.9)
        self.assertEqual(end.text, "hello")

    def test_the_end_of_speech(self) -> None:
        """When the detector says that nobody speaks any more, the ordinary wait counts."""
        self.turns.on_transcript(final("hello"), 0.0)
        self.turns.on_speech(True, 1.0)
        self.turns.on_speech(False, 1.5)
        self.assertEqual(len(self.run_to(2.9, at=1.5)), 1)

    def test_words_hold_the_hard_limit_back(self) -> None:
        """Partial text just before the hard limit moves it, by as long as the next words may take; a final does not."""
        turns = TurnRules(replace(DEFAULTS, hard_timeout_ms=2000))
        turns.on_transcript(final("hello"), 0.0)
        turns.on_transcript(interim("and"), 1.9)
        self.assertEqual(turns.on_time(2.0), [])
        self.assertAlmostEqual(turns.next_at() or 0.0, 2.9)
        (end,) = turns.on_time(2.9)
        self.assertIsInstance(end, Transcript)
        turns.on_transcript(final("again"), 10.0)
        turns.on_transcript(final("and again"), 11.9)
        self.assertEqual(len(turns.on_time(12.0)), 1)

    def test_an_operator_who_wants_it_so(self) -> None:
        """With interim_rearms off, words do not hold anything back: the limits are those that were configured."""
        turns = TurnRules(replace(DEFAULTS, interim_rearms=False, wait_ms=10_000))
        turns.on_transcript(final("hello"), 0.0)
        turns.on_transcript(interim("and"), 3.9)
        self.assertEqual(len(turns.on_time(4.0)), 1)


class StoppedTests(SynchronousTestCase):
    """Audio that stops coming."""

    def setUp(self) -> None:
        self.turns = TurnRules(DEFAULTS, has_detector=True)

    def test_finals_are_the_turn(self) -> None:
        """What is final when the audio stops ends the turn at once; no model is asked about silence."""
        self.turns.on_transcript(final("hello"), 0.0)
        (end,) = self.turns.on_audio(False, 1.0)
        self.assertEqual((end.text, end.is_speech_final), ("hello", True))
        self.assertIsNone(self.turns.next_at())

    def test_the_vendors_last_final(self) -> None:
        """Words that were not final yet are waited for; their final is the end."""
        self.turns.on_transcript(final("hello"), 0.0)
        self.turns.on_transcript(interim("wor"), 0.5)
        self.assertEqual(self.turns.on_audio(False, 1.5), [])
        shown = self.turns.on_transcript(final("world"), 1.7)
        self.assertEqual([one.text for one in shown], ["world", "hello world"])
        self.assertEqual([one.is_speech_final for one in shown], [False, True])

    def test_a_vendor_who_says_nothing(self) -> None:
        """A vendor who has no final for what he showed is not waited for longer than a second."""
        self.turns.on_transcript(final("hello"), 0.0)
        self.turns.on_transcript(interim("wor"), 0.5)
        self.turns.on_audio(False, 1.5)
        self.assertEqual(self.turns.on_time(2.4), [])
        (end,) = self.turns.on_time(2.5)
        assert isinstance(end, Transcript)
        self.assertEqual(end.text, "hello")

    def test_only_partial_text(self) -> None:
        """Where nothing was final yet, the first final after the stop is the whole turn."""
        self.turns.on_transcript(interim("hel"), 0.0)
        self.assertEqual(self.turns.on_audio(False, 1.0), [])
        shown = self.turns.on_transcript(final("hello"), 1.2)
        self.assertEqual([one.is_speech_final for one in shown], [False, True])

    def test_audio_again(self) -> None:
        """When audio comes again, the next turn is like any other."""
        self.turns.on_audio(False, 1.0)
        self.assertEqual(self.turns.on_audio(True, 5.0), [])
        self.assertEqual(len(self.turns.on_transcript(final("hello"), 6.0)), 1)
        self.assertEqual(self.turns.next_at(), 7.8)


class CallTests(SynchronousTestCase):
    """Any order of results, answers and pauses."""

    @given(STEPS, st.booleans())
    @settings(deadline=None, max_examples=300)
    def test_any_call(self, steps: list[tuple[str, str, float]], has_detector: bool) -> None:
        """Every turn ends within the hard limit, once, and with all of its words (F-108, F-110, VM-01)."""
        call = _Call(TurnRules(DEFAULTS, has_detector=has_detector))
        for kind, text, pause_s in steps:
            call.step(kind, text, pause_s)
        call.pass_time(call.now + 8.0)
        self.assertEqual(call.open, [])
        self.assertIs(call.turns.state, State.IDLE)
