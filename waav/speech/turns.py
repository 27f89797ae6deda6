"""When an utterance is over: the vendor's word, the turn model's, or the timers'.

There is no clock in here. Times are seconds of one monotonic clock, passed in as ``now``; ``next_at`` says when
to call ``on_time``.
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Final, Protocol

from waav.speech.wire import Transcript

# A timer that fires a rounding error early has still fired.
_EPSILON_S: Final = 1e-6


WORDS_S: Final = 1.0
"""How long after a partial result somebody counts as speaking: while people speak, the next one comes much sooner."""

ANSWER_S: Final = 1.0
"""How long a vendor who was asked for his finals may take before the turn ends with those that are there."""


class Timing(Protocol):
    """The numbers a turn obeys; ``SpeechFinalSettings`` has them, with the defaults."""

    @property
    def wait_ms(self) -> int:
        """Wait for the vendor's own end of speech after its last final."""

    @property
    def inference_timeout_ms(self) -> int:
        """Longest wait for the turn model's verdict."""

    @property
    def hard_timeout_ms(self) -> int:
        """End of the turn at the latest, unless somebody is speaking then."""

    @property
    def duplicate_window_ms(self) -> int:
        """How long after a forced end the vendor's own repetition of it is dropped."""

    @property
    def interim_rearms(self) -> bool:
        """Interim results restart the wait."""

    @property
    def hard_timeout_from(self) -> str:
        """``first_final`` or ``last_activity``."""

    @property
    def forced_text(self) -> bool:
        """False: forced finals are empty, as the original's were."""


class State(Enum):
    """Where a turn stands."""

    IDLE = "idle"
    WAITING = "waiting"
    DECIDING = "deciding"


@dataclass(frozen=True, slots=True)
class Ask:
    """Ask the turn model whether the speaker has finished; hand this back with its verdict.

    Args:
        segment_id: the turn it is about.
        number: tells two questions about one turn apart.
        text: what was said in the turn so far.
    """

    segment_id: int
    number: int
    text: str


@dataclass(frozen=True, slots=True)
class _Forced:
    """The last forced final: what a late answer of the vendor is compared with."""

    text: str
    last_segment: str
    at: float


class TurnRules:
    """The turns of one caller.

    Args:
        timing: waits and options.
        has_detector: a turn model answers questions. False, also later, means that nobody is ever asked.

    Attributes:
        counts: how many turns were forced to an end, by method name.
        duplicates: how many repeated ends of speech were dropped.
    """

    def __init__(self, timing: Timing, *, has_detector: bool = False) -> None:
        self.has_detector = has_detector
        self.counts: Counter[str] = Counter()
        self.duplicates = 0
        self._timing = timing
        self._segment_id = 0
        self._asked = 0
        self._last_forced: _Forced | None = None
        self._segments: list[Transcript] = []
        self._question: Ask | None = None
        self._wait_at: float | None = None
        self._limit_at: float | None = None
        self._hard_at: float | None = None
        self._heard_at: float | None = None  # when somebody was last heard speaking
        self._is_speaking = False  # the vendor's detector said so, and nothing else since
        self._has_stopped = False  # no audio comes, and the vendor was asked for what he has
        self._has_interim = False  # words were shown that are not final yet

    @property
    def state(self) -> State:
        """Where the current turn stands."""
        if not self._segments:
            return State.IDLE
        return State.DECIDING if self._question is not None else State.WAITING

    @property
    def text(self) -> str:
        """What was said in the current turn, as far as it is final."""
        return join([segment.text for segment in self._segments])

    def next_at(self) -> float | None:
        """When ``on_time`` is due next; None when nothing is being waited for."""
        due = [at for at in (self._wait_at, self._limit_at, self._hard_at) if at is not None]
        return min(due) if due else None

    def on_transcript(self, transcript: Transcript, now: float) -> list[Transcript]:
        """What the caller gets to see of a vendor's result, in order."""
        transcript = _with_sane_confidence(transcript)
        is_blank = not transcript.text.strip()
        if transcript.is_speech_final:
            return self._on_speech_final(transcript, now)
        if not transcript.is_final:
            return self._on_interim(transcript, now) if not is_blank else []
        self._is_speaking = self._has_interim = False
        if not is_blank:
            self._on_final(transcript, now)
        heard = [] if is_blank else [transcript]
        if self._has_stopped and self._segments:
            return [*heard, self._force("audio_stopped", now)]
        return heard

    def on_speech(self, is_speaking: bool, now: float) -> None:
        """The vendor's detector says that somebody begins, or ends, to speak: no turn is forced to an end meanwhile."""
        self._is_speaking = is_speaking
        if is_speaking:
            self._heard_at = now
            if self._segments and self._timing.interim_rearms:
                self._on_activity(now)

    def on_audio(self, is_coming: bool, now: float) -> list[Transcript]:
        """Audio comes again, or comes no more and the vendor was asked for what he has.

        Without audio nobody can go on speaking: what is final is the whole turn, and ends it. Words that are not final
        yet are waited for, for ``ANSWER_S`` at most if others are.
        """
        self._has_stopped = not is_coming
        if is_coming or not self._segments:
            return []
        if not self._has_interim:
            return [self._force("audio_stopped", now)]
        self._is_speaking = False
        self._heard_at = None
        self._wait_at = now + ANSWER_S
        return []

    def _on_interim(self, transcript: Transcript, now: float) -> list[Transcript]:
        self._heard_at = now
        self._has_interim = True
        if self._segments and self._timing.interim_rearms and not self._has_stopped:
            self._on_activity(now)
        return [transcript]

    def on_time(self, now: float) -> list[Transcript | Ask]:
        """What follows from the time being ``now``: forced finals to deliver, questions to the turn model."""
        asked: list[Transcript | Ask] = []
        while (due := self.next_at()) is not None and due <= now + _EPSILON_S:
            # A question put in an earlier round is pointless once the turn is over.
            if due == self._hard_at:
                if (until := self._spoken_until(now)) is None:
                    return [self._force("hard_timeout_fallback", now)]
                self._hard_at = until
                continue
            if due == self._limit_at:
                return [self._force("inference_timeout_fallback", now)]
            if self._is_speaking and (until := self._spoken_until(now)) is not None:
                self._wait_at = until
                continue
            if not self.has_detector or self._has_stopped:
                return [self._force("no_detector_timeout", now)]
            asked.append(self._ask(now))
        return asked

    def _spoken_until(self, now: float) -> float | None:
        """Until when somebody counts as speaking; None: nobody does.

        Partial words count for as long as the next ones may take. A detector's word counts longer, but not for ever:
        some take noise for speech and never say that it has ended.
        """
        if self._heard_at is None or not self._timing.interim_rearms:
            return None
        grace_s = self._timing.hard_timeout_ms / 1000 if self._is_speaking else WORDS_S
        until = self._heard_at + grace_s
        return until if until > now + _EPSILON_S else None

    def verdict(self, ask: Ask, is_complete: bool | None, now: float) -> list[Transcript]:
        """The turn model's answer to ``ask``; None when it failed. Answers to old questions count for nothing."""
        if ask is not self._question:
            return []
        if is_complete is None:
            return [self._force("turn_detection_error_fallback", now)]
        if is_complete:
            return [self._force("turn_detection_confirmed", now)]
        self._question = self._limit_at = None
        return []

    def end(self, now: float, *, is_open: bool) -> list[Transcript]:
        """Recognition stops.

        Args:
            now: the time.
            is_open: the caller is still there to hear the rest; then text that waits becomes one forced final.
        """
        if is_open and self._segments:
            return [self._force("stopped", now)]
        self._clear()
        return []

    def _on_final(self, transcript: Transcript, now: float) -> None:
        if not self._segments:
            self._segment_id += 1
            self._last_forced = None
            self._hard_at = now + self._timing.hard_timeout_ms / 1000
        self._segments.append(transcript)
        self._on_activity(now)

    def _on_activity(self, now: float) -> None:
        """The speaker goes on: no question stands any more, and the wait begins again."""
        self._question = self._limit_at = None
        self._wait_at = now + self._timing.wait_ms / 1000
        if self._timing.hard_timeout_from == "last_activity":
            self._hard_at = now + self._timing.hard_timeout_ms / 1000

    def _on_speech_final(self, transcript: Transcript, now: float) -> list[Transcript]:
        if not self._segments and self._is_duplicate(transcript.text, now):
            self.duplicates += 1
            return []
        if not transcript.text.strip():
            # Deepgram's UtteranceEnd, for one, repeats nothing: clients would answer an empty prompt.
            return [self._whole(now)] if self._segments else []
        self._clear()
        return [transcript]

    def _is_duplicate(self, text: str, now: float) -> bool:
        forced = self._last_forced
        window_s = self._timing.duplicate_window_ms / 1000
        if forced is None or now > forced.at + window_s + _EPSILON_S:
            return False
        return _normal(text) in ("", _normal(forced.text), _normal(forced.last_segment))

    def _ask(self, now: float) -> Ask:
        self._asked += 1
        question = Ask(self._segment_id, self._asked, self.text)
        self._question = question
        self._wait_at = None
        self._limit_at = now + self._timing.inference_timeout_ms / 1000
        return question

    def _force(self, method: str, now: float) -> Transcript:
        self.counts[method] += 1
        return self._whole(now)

    def _whole(self, now: float) -> Transcript:
        """The turn as one final, which ends it."""
        text, last = self.text, self._segments[-1]
        known = [segment.confidence for segment in self._segments if segment.confidence > 0.0]
        forced = Transcript(
            text if self._timing.forced_text else "",
            is_final=True,
            is_speech_final=True,
            confidence=sum(known) / len(known) if known else 1.0,
            end_s=last.end_s,
            words=tuple(word for segment in self._segments for word in segment.words),
            language=last.language,
            forced=True,
        )
        self._last_forced = _Forced(text, last.text, now)
        self._clear()
        return forced

    def _clear(self) -> None:
        self._segments = []
        self._question = None
        self._wait_at = self._limit_at = self._hard_at = self._heard_at = None
        self._is_speaking = self._has_interim = False


def join(segments: Sequence[str]) -> str:
    """Segments as one text: trimmed, one space between them, none between two Chinese or Japanese characters."""
    text = ""
    for segment in (segment.strip() for segment in segments):
        if text and segment and not (_is_cjk(text[-1]) and _is_cjk(segment[0])):
            text += " "
        text += segment
    return text


_CJK: Final = (
    (0x2E80, 0x2FDF),  # radicals
    (0x3000, 0x30FF),  # punctuation, hiragana, katakana
    (0x31F0, 0x31FF),
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0xFF00, 0xFF9F),  # full-width forms, half-width katakana
    (0x20000, 0x3FFFF),
)


def _is_cjk(character: str) -> bool:
    return any(first <= ord(character) <= last for first, last in _CJK)


_NOT_WORDS = re.compile(r"[\W_]+")


def _normal(text: str) -> str:
    """Words only: vendors add capitals and full stops when they repeat themselves."""
    return _NOT_WORDS.sub(" ", text).strip().casefold()


def _with_sane_confidence(transcript: Transcript) -> Transcript:
    """Between 0 and 1; NaN becomes 0."""
    confidence = transcript.confidence
    if 0.0 <= confidence <= 1.0:
        return transcript
    return replace(
        transcript, confidence=0.0 if math.isnan(confidence) else min(max(confidence, 0.0), 1.0)
    )
