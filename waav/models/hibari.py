"""Text to speech in the process: Hibari, one English voice, 24 kHz.

What a conversation (``Speaking``) hears and says: one JSON text ``{"text", "speed"}`` in; linear16 mono 24 kHz
bytes out in pieces of at most 100 ms, then the text ``{"kind": "spoken"}``. Pieces are short so that whoever
iterates can stop between them; the next sentence is computed only when the one before was taken.
"""

import json
import re
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from waav.models import packaged
from waav.models.vad import Samples
from waav.speech import wire

MODEL: Final = "hibari-heart"
RATE_HZ: Final = 24000
SLOWEST: Final = 0.5
FASTEST: Final = 2.0
_PIECE: Final = RATE_HZ // 10
_SEED: Final = 1
"""The voice's noise part is random; always the same numbers, so that equal texts give equal, cacheable audio."""
_OPENING_CHARACTERS: Final = 40
_CLAUSE_END: Final = re.compile(r"(?<=[,;:—])\s+")
_WARM_UP: Final = "On the 3rd of May, Dr. Quigley read 1,250 zorbles aloud."


class Model(Protocol):
    """Synthesises sentences."""

    def sentences(self, text: str) -> list[str]:
        """``text`` cut where sentences end."""

    def speak(self, sentence: str, speed: float) -> Samples:
        """The sentence as float32 samples, mono, 24 kHz, -1 to 1."""


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
        self.speak(_WARM_UP, 1.0)

    def sentences(self, text: str) -> list[str]:
        """``text`` cut where sentences end; abbreviations do not end one."""
        return [str(sentence) for sentence in self._voice.split_sentences(text)]

    def speak(self, sentence: str, speed: float) -> Samples:
        """The sentence as float32 samples, mono, 24 kHz; none if it has nothing to pronounce."""
        with self._lock:
            pronounced = self._voice.phonemize(sentence)
        spoken = [self._voice.from_phonemes(part, speed, _SEED) for part in pronounced]
        return np.concatenate([*spoken, np.zeros(0, np.float32)])


class Speaking:
    """One conversation: texts in, audio out."""

    def __init__(self, model: Model) -> None:
        self._model = model

    def feed(self, outgoing: str | bytes) -> Iterator[str | bytes]:
        """Speaks one text; every piece comes as soon as its clause or sentence is there."""
        asked = json.loads(outgoing)
        for sentence in phrases(self._model.sentences(asked["text"])):
            audio = _linear16(self._model.speak(sentence, asked["speed"]))
            for start in range(0, len(audio), _PIECE):
                yield audio[start : start + _PIECE].tobytes()
        yield json.dumps({"kind": "spoken"})

    def close(self) -> None:
        """Nothing to give back."""


def phrases(sentences: list[str]) -> Iterator[str]:
    """The sentences, the first one cut after its opening clause when it is long.

    A caller hears the opening while the rest is computed. Later sentences are spoken whole: they are ready
    before they are needed, and a whole sentence sounds better.
    """
    if not sentences:
        return
    first = sentences[0]
    cut = next((m for m in _CLAUSE_END.finditer(first) if m.start() >= 8), None)
    if len(first) > _OPENING_CHARACTERS and cut is not None:
        yield first[: cut.start()]
        yield first[cut.end() :]
    else:
        yield first
    yield from sentences[1:]


def _linear16(samples: Samples) -> NDArray[np.int16]:
    return (np.clip(samples, -1.0, 1.0) * 32767.0).astype("<i2")


def local(load: Callable[[], Model] = Hibari) -> wire.Local:
    """The voice for an ``engine:`` address."""
    return wire.Local(MODEL, load, Speaking)
