"""Audio to test with: noise in which every 20 ms occur once, loud where a word is said, nearly silent elsewhere.

Whoever receives a piece of it can tell where in the signal the piece belongs, and so which words it holds.
"""

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from typing import Any, Self

import numpy as np

from waav.speech.audio import AudioFormat
from waav.speech.convert import Converter

_KEY_BYTES = 64  # enough to be unique, few enough that any first frame has them


@dataclass(frozen=True, slots=True)
class SaidWord:
    """A word and where it is in the signal, in seconds."""

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True)
class Signal:
    """linear16 mono noise with words in it. Equal names, rates and words give equal bytes, on every machine."""

    name: str
    seconds: float
    words: tuple[SaidWord, ...] = ()
    rate_hz: int = 16000

    @classmethod
    def speaking(
        cls,
        name: str,
        utterances: Iterable[str],
        *,
        rate_hz: int = 16000,
        lead_s: float = 0.4,
        word_s: float = 0.3,
        gap_s: float = 0.1,
        pause_s: float = 1.6,
    ) -> Self:
        """One word after the other, a pause after every utterance."""
        words: list[SaidWord] = []
        at_s = lead_s
        for utterance in utterances:
            for text in utterance.split():
                words.append(SaidWord(text, round(at_s, 6), round(at_s + word_s, 6)))
                at_s += word_s + gap_s
            at_s += pause_s - gap_s
        return cls(name, round(at_s, 6), tuple(words), rate_hz)

    @classmethod
    def from_json(cls, name: str, about: Mapping[str, Any]) -> Self:
        """As recordings describe it: ``utterances``, or ``seconds`` and ``words`` as [text, start, end]."""
        rate_hz = int(about.get("rate_hz", 16000))
        if "utterances" in about:
            return cls.speaking(name, about["utterances"], rate_hz=rate_hz)
        words = tuple(SaidWord(*word) for word in about.get("words", ()))
        return cls(name, float(about["seconds"]), words, rate_hz)

    @property
    def format(self) -> AudioFormat:
        """What the signal is."""
        return AudioFormat("linear16", self.rate_hz, 1)

    @property
    def text(self) -> str:
        """All that is said."""
        return " ".join(word.text for word in self.words)

    @cached_property
    def pcm(self) -> bytes:
        """The whole signal."""
        count = self.format.size_bytes(self.seconds) // 2
        noise = np.frombuffer(hashlib.shake_128(self.name.encode()).digest(count * 2), "<i2")
        shift = np.full(count, 9, dtype=np.int16)  # +-64: far below any speech threshold
        for word in self.words:
            shift[self._sample(word.start_s) : self._sample(word.end_s)] = 2  # +-8192
        return (noise >> shift).astype("<i2").tobytes()

    def cut(self, from_s: float, to_s: float) -> bytes:
        """The samples between two moments."""
        return self.pcm[2 * self._sample(from_s) : 2 * self._sample(to_s)]

    def encoded(self, audio: AudioFormat) -> bytes:
        """The whole signal in another headerless format, as our own conversion gives it."""
        return _through(self, (audio,))

    def find(self, data: bytes, audio: AudioFormat | None = None) -> float | None:
        """Where in the signal ``data`` begins, in seconds; None if it is not from here.

        Audio that came over the telephone, and has lost some of its accuracy there, is found too.

        Args:
            data: at least 64 bytes.
            audio: how it is encoded; None: as the signal is.
        """
        form, key = audio or self.format, data[:_KEY_BYTES]
        if len(key) < _KEY_BYTES:
            return None
        for law in (None, "mulaw", "alaw"):
            path = (replace(self.format, encoding=law), form) if law else (form,)
            whole = _through(self, path)
            at = whole.find(key)
            while at >= 0 and at % form.frame_bytes:
                at = whole.find(key, at + 1)
            if at >= 0:
                return form.duration_s(at)
        return None

    def _sample(self, at_s: float) -> int:
        return int(self.rate_hz * at_s + 1e-6)


@lru_cache(maxsize=16)
def _through(signal: Signal, path: tuple[AudioFormat, ...]) -> bytes:
    """The signal converted from one format to the next."""
    data, source = signal.pcm, signal.format
    for target in path:
        if target != source:
            converter = Converter(source, target)
            data = converter.feed(data) + converter.finish()
        source = target
    return data
