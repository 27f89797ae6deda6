"""What a recogniser would say about a stretch of a test signal, driven by how much of it has arrived."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from waav.testing.signal import SaidWord, Signal

_NEVER = float("inf")


@dataclass(frozen=True, slots=True)
class Ear:
    """How a recogniser behaves.

    Args:
        endpointing_s: silence after which an utterance has ended; None: never.
        utterance_end_s: gap after a word that is reported for itself; None: never.
        interim_s: how much audio there is between two interim results; None: none.
        final_s: length after which a stretch is made final though the utterance goes on.
    """

    endpointing_s: float | None = 0.2
    utterance_end_s: float | None = None
    interim_s: float | None = 0.5
    final_s: float = 3.0


@dataclass(frozen=True, slots=True)
class Heard:
    """One result, or the end of an utterance. Times in seconds from the connection's first audio."""

    words: tuple[SaidWord, ...]
    start_s: float
    end_s: float
    is_final: bool = False
    is_speech_final: bool = False
    from_finalize: bool = False
    is_utterance_end: bool = False

    @property
    def text(self) -> str:
        return " ".join(word.text for word in self.words)


class Hearing:
    """Listens to one connection whose audio began at ``offset_s`` of the signal.

    Only words that lie completely in what arrived are recognised. A signal that is over begins again.

    Attributes:
        next_s: nothing is due before this much audio has arrived.
    """

    def __init__(self, signal: Signal, offset_s: float = 0.0, ear: Ear | None = None) -> None:
        self._ear = ear or Ear()
        self._coming = _words(signal, offset_s)
        self._word = next(self._coming, None)
        self._said: list[SaidWord] = []
        self._start_s = 0.0
        self._tick_s = self._ear.interim_s or _NEVER
        self._last_end_s: float | None = None  # of the last word, until its gap was reported
        self.next_s = 0.0
        self.until(0.0)

    def until(self, now_s: float) -> list[Heard]:
        """Everything due by the time ``now_s`` seconds of audio have arrived, in order."""
        due: list[Heard] = []
        while True:
            moments = {
                self._word.end_s if self._word else _NEVER: self._hear_word,
                self._gap_s(): self._report_gap,
                self._pause_s(): self._end_utterance,
                self._tick_s: self._tick,
            }
            at_s = min(moments)
            if at_s > now_s + 1e-9:
                self.next_s = at_s
                return due
            heard = moments[at_s](at_s)
            if heard is not None:
                due.append(heard)

    def finish(self, now_s: float, *, from_finalize: bool = False) -> list[Heard]:
        """What is due, and a final for the rest."""
        due = self.until(now_s)
        if self._said:
            due.append(self._final(now_s, is_speech_final=False, from_finalize=from_finalize))
        return due

    def _hear_word(self, at_s: float) -> None:
        assert self._word is not None
        self._said.append(self._word)
        self._last_end_s = at_s
        self._word = next(self._coming, None)

    def _end_utterance(self, at_s: float) -> Heard:
        return self._final(at_s, is_speech_final=True)

    def _report_gap(self, at_s: float) -> Heard:
        last_s, self._last_end_s = self._last_end_s, None
        return Heard((), last_s or 0.0, last_s or 0.0, is_utterance_end=True)

    def _tick(self, at_s: float) -> Heard | None:
        self._tick_s += self._ear.interim_s or _NEVER
        is_long = at_s - self._start_s >= self._ear.final_s
        if not self._said:
            in_word = self._word is not None and self._word.start_s < at_s
            return self._final(at_s, is_speech_final=False) if is_long and not in_word else None
        if is_long:
            return self._final(self._said[-1].end_s, is_speech_final=False)
        return Heard(tuple(self._said), self._start_s, at_s)

    def _final(self, end_s: float, *, is_speech_final: bool, from_finalize: bool = False) -> Heard:
        heard = Heard(tuple(self._said), self._start_s, end_s, True, is_speech_final, from_finalize)
        self._said.clear()
        self._start_s = end_s
        return heard

    def _pause_s(self) -> float:
        """When the utterance counts as ended, if no word comes before that."""
        if self._ear.endpointing_s is None or not self._said:
            return _NEVER
        return self._unless_a_word(self._said[-1].end_s + self._ear.endpointing_s)

    def _gap_s(self) -> float:
        if self._ear.utterance_end_s is None or self._last_end_s is None:
            return _NEVER
        return self._unless_a_word(self._last_end_s + self._ear.utterance_end_s)

    def _unless_a_word(self, at_s: float) -> float:
        return _NEVER if self._word and self._word.start_s < at_s else at_s


def _words(signal: Signal, offset_s: float) -> Iterator[SaidWord]:
    """The words from there on, timed from there, again and again."""
    if not signal.words:
        return
    for round_number in count():
        shift = round_number * signal.seconds - offset_s
        for word in signal.words:
            if word.start_s + shift >= -1e-6:
                yield SaidWord(word.text, word.start_s + shift, word.end_s + shift)
