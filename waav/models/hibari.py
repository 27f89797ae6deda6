"""Text to speech in the process: Hibari, one English voice, 24 kHz.

What a conversation (``Speaking``) hears and says: one JSON text ``{"text", "speed", "language"}`` in; linear16 mono
24 kHz bytes out in pieces of at most 100 ms, then the text ``{"kind": "spoken"}``. Pieces are short so that whoever
iterates can stop between them; the next clause is computed only when the one before was taken.
"""

import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from waav.models import packaged
from waav.models.pacing import FIRST, LONGEST, breaths, trimmed
from waav.models.vad import Samples
from waav.speech import wire
from waav.speech.reading.aloud import Pause, aloud, prepare

MODEL: Final = "hibari-heart"
RATE_HZ: Final = 24000
SLOWEST: Final = 0.5
FASTEST: Final = 2.0
_PIECE: Final = RATE_HZ // 10
_SEED: Final = 1
"""The voice's noise part is random; always the same numbers, so that equal texts give equal, cacheable audio."""
_WARM_UP: Final = (
    "On the third of May, Doctor Quigley read one thousand two hundred fifty zorbles aloud."
)


class Model(Protocol):
    """Synthesises clauses."""

    def phonemes(self, sentence: str) -> str:
        """How a sentence of words is pronounced, with its signs; empty if there is nothing to pronounce."""

    def speak(self, phonemes: str, speed: float) -> Samples:
        """The sound of phonemes as float32 samples, mono, 24 kHz, -1 to 1."""


class Hibari:
    """The loaded voice. Blocks while it synthesises; safe to call from several threads.

    Raises:
        ModelMissing: the files in the package are not the pinned ones.
    """

    def __init__(self) -> None:
        # Reads word lists of several MB, so not at import.
        from hibari import tts

        packaged.HIBARI.verify(Path(tts.ASSETS))
        self._voice = tts.Hibari(voice="heart", threads=1)
        # The network may be run by several threads at once; the pronunciation rules keep state.
        self._lock = threading.Lock()
        for breath in breaths(self.phonemes(_WARM_UP)):
            self.speak(breath.phonemes, 1.0)
        prepare()

    def phonemes(self, sentence: str) -> str:
        """How a sentence of words is pronounced; numbers and abbreviations must be words already."""
        with self._lock:
            return str(self._voice.g2p(sentence, normalize_text=False))

    def speak(self, phonemes: str, speed: float) -> Samples:
        """The sound of phonemes; at most some hundreds, memory grows with their number."""
        sound: Samples = self._voice.from_phonemes(phonemes, speed, _SEED)
        return sound


class Speaking:
    """One conversation: texts in, audio out."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def feed(self, outgoing: str | bytes) -> Iterator[str | bytes]:
        """Speaks one text; every piece comes as soon as its clause is there.

        Behind a sentence there is its pause also at the end of the text: sentences that are sent one by one do not
        run into each other.
        """
        asked = json.loads(outgoing)
        speed = asked["speed"]
        most = FIRST
        silent_s = 0.0  # so far, since the last sound
        for said in aloud(asked["text"], asked["language"]):
            if isinstance(said, Pause):
                yield from _silence(said.lasts_s - silent_s)
                silent_s = max(silent_s, said.lasts_s)
                continue
            for breath in breaths(self._model.phonemes(said), most):
                sound = trimmed(self._model.speak(breath.phonemes, speed), RATE_HZ)
                yield from _pieces(_linear16(sound))
                silent_s = breath.pause_s / speed
                yield from _silence(silent_s)
                most = LONGEST
        yield json.dumps({"kind": "spoken"})

    def close(self) -> None:
        """Nothing to give back."""


def _pieces(audio: NDArray[np.int16]) -> Iterator[bytes]:
    for start in range(0, len(audio), _PIECE):
        yield audio[start : start + _PIECE].tobytes()


def _silence(lasts_s: float) -> Iterator[bytes]:
    yield from _pieces(np.zeros(max(0, round(lasts_s * RATE_HZ)), "<i2"))


def _linear16(samples: Samples) -> NDArray[np.int16]:
    return (np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2")


def local(load: Callable[[], Model] = Hibari) -> wire.Local:
    """The voice for an ``engine:`` address."""
    return wire.Local(MODEL, load, Speaking)
