"""Has the caller finished? Smart Turn v3.2: a probability from the sound of the last eight seconds.

The model hears, it does not read: intonation and pace, no words. Its verdicts on synthetic speech are poor. A
silence time-out must stand beside it; that is the business of whoever asks.

What a conversation (``Deciding``) hears and says:

- bytes: ``FORMAT`` audio, appended to what it remembers (8 s).
- text ``QUESTION``: answers the probability that the turn is complete, as the text of a number. With less than half
  a second of audio that is 0: there is nothing to judge.
- text ``FORGET``: the turn is over; what was heard is dropped.
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Final, Protocol

import numpy as np
from numpy.typing import NDArray

from waav.errors import ConfigError
from waav.models import fetch, onnx
from waav.models.settings import TurnSettings
from waav.models.vad import RATE_HZ, Samples, pcm16
from waav.speech import wire
from waav.speech.audio import AudioFormat

FORMAT: Final = AudioFormat("linear16", RATE_HZ)
QUESTION: Final = "decide"
FORGET: Final = "forget"
WINDOW: Final = 8 * RATE_HZ
SHORTEST: Final = RATE_HZ // 2
"""Samples below which nothing is decided: half a second tells the model nothing about how a sentence ends."""
_FFT: Final = 400
_HOP: Final = 160
_BANDS: Final = 80
_FRAMES: Final = WINDOW // _HOP
_FLOOR: Final = 1e-10
_DECLARED: Final = onnx.TensorShape(
    {"input_features": (None, _BANDS, _FRAMES)},
    {"logits": (None, 1)},  # despite its name: the model ends in a sigmoid
)


class Model(Protocol):
    """Judges turns."""

    def probabilities(self, batch: NDArray[np.float32]) -> list[float]:
        """For features [N, 80, 800], N probabilities that the turn is complete."""


class SmartTurn:
    """The loaded model, one thread; safe to call from several.

    Raises:
        ModelMissing: the file is not there or damaged.
        ConfigError: it is another kind of model than the declared one.
    """

    def __init__(self, path: Path, file: fetch.File) -> None:
        self._session = onnx.opened(fetch.verified(file, path), _DECLARED)
        probe = self.probabilities(np.zeros((3, _BANDS, _FRAMES), np.float32))
        if len(probe) != 3 or not all(0.0 <= p <= 1.0 for p in probe):
            raise ConfigError(
                f"{path / file.name} does not answer one probability per row", "turn_detection"
            )

    def probabilities(self, batch: NDArray[np.float32]) -> list[float]:
        """For features [N, 80, 800], N probabilities that the turn is complete."""
        (answer,) = self._session.run(["logits"], {"input_features": batch})
        return [float(row[0]) for row in answer]


def features(samples: Samples) -> NDArray[np.float32]:
    """Whisper's log-mel picture [80, 800] of the last 8 s; shorter audio is padded on the left.

    The waveform is brought to mean 0 and variance 1 first, over the padded window, as in training.
    """
    window = np.zeros(WINDOW, np.float32)
    kept = samples[-WINDOW:]
    if len(kept):
        window[-len(kept) :] = kept
    window = (window - window.mean()) / np.sqrt(window.var() + np.float32(1e-7))
    mel = np.maximum(_FILTERS @ _power(window), _FLOOR)
    log = np.log10(mel)
    log = np.maximum(log, log.max() - 8.0)
    picture: NDArray[np.float32] = ((log + 4.0) / 4.0).astype(np.float32)
    return picture


def _power(window: Samples) -> NDArray[np.float64]:
    """Power spectrum [201, 800]: frames centred on multiples of the hop, the edges mirrored."""
    mirrored = np.pad(window.astype(np.float64), _FFT // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(mirrored, _FFT)[::_HOP][:_FRAMES]
    spectrum = np.fft.rfft(frames * _HANN, axis=1)
    power: NDArray[np.float64] = spectrum.real**2 + spectrum.imag**2
    return power.T


def _mel_filters() -> NDArray[np.float64]:
    """Triangles [80, 201] between 0 and 8 kHz, even on Slaney's mel scale, each of unit area."""
    edges = _hertz(np.linspace(0.0, _mel(RATE_HZ / 2), _BANDS + 2))
    low, centre, high = edges[:-2, None], edges[1:-1, None], edges[2:, None]
    bins = np.linspace(0.0, RATE_HZ / 2, _FFT // 2 + 1)[None, :]
    rising = (bins - low) / (centre - low)
    falling = (high - bins) / (high - centre)
    triangles: NDArray[np.float64] = np.maximum(0.0, np.minimum(rising, falling))
    return triangles * (2.0 / (high - low))


# Slaney's scale: linear up to 1 kHz (15 mel), then 27 mel for each factor of 6.4.
def _mel(hertz: float) -> float:
    return hertz * 3 / 200 if hertz < 1000 else 15 + 27 * float(np.log(hertz / 1000) / np.log(6.4))


def _hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.where(mel < 15, mel * 200 / 3, 1000 * 6.4 ** ((mel - 15) / 27))


_HANN: Final = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_FFT) / _FFT)
_FILTERS: Final = _mel_filters()


class Deciding:
    """One conversation: a caller's audio in, probabilities out when asked."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._heard = bytearray()

    def feed(self, outgoing: str | bytes) -> Iterator[str]:
        """Remembers bytes; answers ``QUESTION``; obeys ``FORGET``."""
        if isinstance(outgoing, bytes):
            self._heard += outgoing
            del self._heard[: -WINDOW * 2]
        elif outgoing == QUESTION:
            yield str(self._probability())
        elif outgoing == FORGET:
            self._heard.clear()
        else:
            raise ValueError(f"a turn model knows {QUESTION} and {FORGET}, not {outgoing}")

    def close(self) -> None:
        """Nothing to give back."""

    def _probability(self) -> float:
        if len(self._heard) < SHORTEST * 2:
            return 0.0
        picture = features(pcm16(bytes(self._heard)))
        (probability,) = self._model.probabilities(picture[np.newaxis])
        return probability


def local(settings: TurnSettings, folder: Path | None = None) -> wire.Local:
    """The model to talk to, as the operator chose it.

    Args:
        folder: where model files are; None: the default of ``fetch.folder``.

    Raises:
        ConfigError: the operator's own model is not described completely.
    """
    (file,) = fetch.smart_turn(settings.source, settings.sha256).files
    where = folder or fetch.folder(None, None)
    return wire.Local("smart-turn", partial(SmartTurn, where, file), Deciding)
