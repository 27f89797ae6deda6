"""Takes noise out of a caller's speech: DTLN at 16 kHz, or DeepFilterNet 3 at 48 kHz.

Both networks remember what they heard, so every stream has a state of its own. What a conversation
(``Filtering``) hears and says:

- bytes: linear16, mono, 16 kHz. Answers bytes of the same kind: as many as came, a few hops later. Sample for
  sample they belong to what came in: the delay of the network is taken out, not handed on.
- text ``FINISH``: the stream is over; answers the rest, after which exactly as much came out as went in.

``mix`` is the share of filtered audio; the rest is the audio as it came. At 1.0 people hear the least noise, and
recognition gets worse (measured with every network tried), so what is recognised should have 0.5 or less. Levels
are never adjusted between frames.
"""

import ctypes
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any, Final, Protocol

import numpy as np
import soxr

from waav.errors import ConfigError, ModelMissing
from waav.models import fetch, onnx
from waav.models.settings import NoiseSettings
from waav.models.vad import RATE_HZ, Samples, pcm16
from waav.speech import wire
from waav.speech.audio import AudioFormat

FINISH: Final = "finish"
FORMAT: Final = AudioFormat("linear16", RATE_HZ)
"""What a conversation takes and gives: the same for both networks, who resample themselves."""
_NOTHING: Final = np.zeros(0, np.float32)


class Stream(Protocol):
    """One stream through a network: float32 samples at 16 kHz, lined up with what went in, only later."""

    def feed(self, samples: Samples) -> Samples:
        """What is ready."""

    def finish(self) -> Samples:
        """At least all that is missing."""

    def close(self) -> None:
        """Give back the network's state."""


class Suppressor(Protocol):
    """A loaded network."""

    def stream(self) -> Stream:
        """A new stream with a state of its own."""


# DTLN

_WINDOW: Final = 512
_HOP: Final = 128
_DELAY: Final = _WINDOW - _HOP
_MEMORY: Final = (1, 2, 128, 2)
_MASKING: Final = onnx.TensorShape(
    {"input_2": (1, 1, _WINDOW // 2 + 1), "input_3": _MEMORY},
    {"activation_2": (1, 1, _WINDOW // 2 + 1), "tf_op_layer_stack_2": _MEMORY},
)
_REFINING: Final = onnx.TensorShape(
    {"input_4": (1, 1, _WINDOW), "input_5": _MEMORY},
    {"conv1d_3": (1, 1, _WINDOW), "tf_op_layer_stack_5": _MEMORY},
)


class Dtln:
    """The pair of networks of DTLN (Westhausen and Meyer, Interspeech 2020); safe to use from several threads.

    Raises:
        ModelMissing: a file is not there or damaged.
        ConfigError: a file is another model.
    """

    def __init__(self, path: Path) -> None:
        first, second = fetch.DTLN.files
        self._masking = onnx.opened(fetch.verified(first, path), _MASKING)
        self._refining = onnx.opened(fetch.verified(second, path), _REFINING)

    def stream(self) -> Stream:
        """A new stream with a state of its own."""
        return _DtlnStream(self._masking, self._refining)


class _DtlnStream:
    """Windows of 32 ms every 8 ms, masked in frequency, refined in time, added where they overlap."""

    def __init__(self, masking: Any, refining: Any) -> None:
        self._masking = masking
        self._refining = refining
        self._mask_memory = np.zeros(_MEMORY, np.float32)
        self._refine_memory = np.zeros(_MEMORY, np.float32)
        self._window = np.zeros(_WINDOW, np.float32)
        self._sum = np.zeros(_WINDOW, np.float32)
        self._rest = _NOTHING
        self._late = _DELAY  # samples of output that come before the first of input

    def feed(self, samples: Samples) -> Samples:
        audio = np.concatenate([self._rest, samples])
        whole = len(audio) - len(audio) % _HOP
        self._rest = audio[whole:]
        hops = [self._hop(audio[start : start + _HOP]) for start in range(0, whole, _HOP)]
        ready = np.concatenate(hops) if hops else _NOTHING
        dropped = min(self._late, len(ready))
        self._late -= dropped
        return ready[dropped:]

    def finish(self) -> Samples:
        return self.feed(np.zeros(_WINDOW, np.float32))

    def close(self) -> None:
        pass

    def _hop(self, samples: Samples) -> Samples:
        self._window = np.concatenate([self._window[_HOP:], samples])
        self._sum = np.concatenate([self._sum[_HOP:], np.zeros(_HOP, np.float32)])
        self._sum += self._clean(self._window)
        return self._sum[:_HOP].copy()

    def _clean(self, window: Samples) -> Samples:
        spectrum = np.fft.rfft(window)
        size = np.abs(spectrum).astype(np.float32).reshape(1, 1, -1)
        mask, self._mask_memory = self._masking.run(
            list(_MASKING.outputs), {"input_2": size, "input_3": self._mask_memory}
        )
        masked = np.fft.irfft(spectrum * mask[0, 0]).astype(np.float32).reshape(1, 1, -1)
        refined, self._refine_memory = self._refining.run(
            list(_REFINING.outputs), {"input_4": masked, "input_5": self._refine_memory}
        )
        cleaned: Samples = refined[0, 0]
        return cleaned


# DeepFilterNet

_DFN_RATE_HZ: Final = 48000
_DFN_FRAME: Final = 480
_DFN_DELAY: Final = 1440
"""One hop of overlap and two frames of look-ahead, in samples (measured by correlation as well)."""
_ATTENUATION_DB: Final = 40.0
_POST_FILTER: Final = 0.02
_Floats = ctypes.POINTER(ctypes.c_float)


class DeepFilterNet:
    """DeepFilterNet 3, through the C interface of ``libdeepfilter``.

    Raises:
        ModelMissing: a file is not there or damaged.
        ConfigError: the library does not fit this machine.
    """

    def __init__(self, path: Path) -> None:
        artefact = fetch.deepfilternet()
        library, weights = (fetch.verified(file, path) for file in artefact.files)
        try:
            self._library = ctypes.CDLL(str(library))
            _declare(self._library)
        except (OSError, AttributeError) as problem:
            raise ConfigError(f"{library} cannot be loaded: {problem}", "noise_filter") from None
        self._weights = str(weights).encode()
        self.stream().close()

    def stream(self) -> Stream:
        """A new stream with a state of its own: about 0.2 s of work, 2 MB until it is closed."""
        state = self._library.df_create(self._weights, _ATTENUATION_DB, None)
        if not state:
            raise ModelMissing(f"{self._weights.decode()} cannot be loaded; run waav init")
        self._library.df_set_post_filter_beta(state, _POST_FILTER)
        return _DfnStream(self._library, state)


def _declare(library: Any) -> None:
    library.df_create.restype = ctypes.c_void_p
    library.df_create.argtypes = [ctypes.c_char_p, ctypes.c_float, ctypes.c_char_p]
    library.df_free.restype = None
    library.df_free.argtypes = [ctypes.c_void_p]
    library.df_set_post_filter_beta.restype = None
    library.df_set_post_filter_beta.argtypes = [ctypes.c_void_p, ctypes.c_float]
    library.df_process_frame.restype = ctypes.c_float
    library.df_process_frame.argtypes = [ctypes.c_void_p, _Floats, _Floats]


class _DfnStream:
    """16 kHz up to 48 kHz, through the network in hops of 10 ms, and down again."""

    def __init__(self, library: Any, state: int) -> None:
        self._library = library
        self._state: int | None = state
        self._up = soxr.ResampleStream(RATE_HZ, _DFN_RATE_HZ, 1, dtype="float32")
        self._down = soxr.ResampleStream(_DFN_RATE_HZ, RATE_HZ, 1, dtype="float32")
        self._rest = _NOTHING
        self._late = _DFN_DELAY

    def feed(self, samples: Samples) -> Samples:
        return self._through(self._up.resample_chunk(samples))

    def finish(self) -> Samples:
        # Zeros push out what the network still holds, and fill the last hop.
        ending = self._up.resample_chunk(_NOTHING, last=True)
        zeros = np.zeros(_DFN_DELAY + _DFN_FRAME, np.float32)
        return self._through(np.concatenate([ending, zeros]), is_last=True)

    def close(self) -> None:
        if self._state is not None:
            self._library.df_free(self._state)
            self._state = None

    def _through(self, samples: Samples, is_last: bool = False) -> Samples:
        audio = np.ascontiguousarray(np.concatenate([self._rest, samples]), np.float32)
        whole = len(audio) - len(audio) % _DFN_FRAME
        self._rest = audio[whole:]
        ready = np.zeros(whole, np.float32)
        for start in range(0, whole, _DFN_FRAME):
            self._library.df_process_frame(
                self._state,
                audio[start:].ctypes.data_as(_Floats),
                ready[start:].ctypes.data_as(_Floats),
            )
        dropped = min(self._late, whole)
        self._late -= dropped
        lowered: Samples = self._down.resample_chunk(ready[dropped:], last=is_last)
        return lowered


# The conversation


class Filtering:
    """One conversation: noisy audio in, cleaner audio out, of the same length.

    Args:
        stream: through the network, of this conversation alone.
        mix: share of filtered audio, 0 to 1.
    """

    def __init__(self, stream: Stream, mix: float) -> None:
        self._stream = stream
        self._mix = np.float32(mix)
        self._raw = _NOTHING  # what has not been answered yet
        self._filtered = _NOTHING

    def feed(self, outgoing: str | bytes) -> Iterator[bytes]:
        """Filters bytes; answers what is left on ``FINISH``."""
        if isinstance(outgoing, bytes):
            samples = pcm16(outgoing)
            self._raw = np.concatenate([self._raw, samples])
            self._filtered = np.concatenate([self._filtered, self._stream.feed(samples)])
        elif outgoing == FINISH:
            self._filtered = np.concatenate([self._filtered, self._stream.finish()])
            short = max(0, len(self._raw) - len(self._filtered))  # a resampler may round one away
            self._filtered = np.pad(self._filtered, (0, short))
        else:
            raise ValueError(f"a noise filter knows {FINISH}, not {outgoing}")
        ready = min(len(self._raw), len(self._filtered))
        if ready:
            yield self._mixed(ready)

    def close(self) -> None:
        """Gives back the state of the network."""
        self._stream.close()

    def _mixed(self, size: int) -> bytes:
        raw, filtered = self._raw[:size], self._filtered[:size]
        self._raw, self._filtered = self._raw[size:], self._filtered[size:]
        mixed = np.rint((raw + self._mix * (filtered - raw)) * np.float32(32768))
        return np.clip(mixed, -32768, 32767).astype("<i2").tobytes()


class PassingThrough:
    """The conversation of a filter that is mixed in at 0: every byte as it came."""

    def feed(self, outgoing: str | bytes) -> Iterator[bytes]:
        """The same bytes."""
        if isinstance(outgoing, bytes):
            yield outgoing

    def close(self) -> None:
        """Nothing to give back."""


def local(settings: NoiseSettings, folder: Path | None = None) -> wire.Local:
    """The filter to talk to, as the operator chose it.

    Args:
        folder: where model files are; None: the default of ``fetch.folder``.

    Raises:
        ConfigError: there is no such filter.
    """
    kinds: dict[str, type[Dtln] | type[DeepFilterNet]] = {
        "dtln": Dtln,
        "deepfilternet": DeepFilterNet,
    }
    kind = kinds.get(settings.engine)
    if kind is None:
        raise ConfigError(f"no noise filter is called {settings.engine!r}", "noise_filter.engine")
    where = folder or fetch.folder(None, None)
    return wire.Local(
        f"noise-{settings.engine}", partial(kind, where), partial(_begin, settings.mix)
    )


def _begin(mix: float, model: Suppressor) -> wire.Engine:
    return Filtering(model.stream(), mix) if mix > 0 else PassingThrough()
