"""Headerless audio from one encoding, rate and number of channels to another, piece by piece.

Cutting the stream differently never changes the result. Both laws have the decision values and levels of ITU-T
G.711, tables 1 and 2.
Samples are interleaved and little-endian; full scale of the float encodings is 1.0.
"""

from collections.abc import Callable
from functools import cache
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import soxr

from waav.speech import wav
from waav.speech.audio import SAMPLE_BYTES, AudioFormat

_Samples = npt.NDArray[Any]

_DTYPES: Final[dict[str, str]] = {
    "linear16": "<i2",
    "linear32": "<i4",
    "float32": "<f4",
    "float16": "<f2",
    "mulaw": "u1",
    "alaw": "u1",
}
# Float samples beyond this are not sound; cutting them keeps the arithmetic finite.
_LOUDEST: Final = 16.0
_IN_16_BITS: Final = frozenset({"linear16", "mulaw", "alaw"})


def can_convert(source: AudioFormat, target: AudioFormat) -> bool:
    """Whether ``Converter(source, target)`` works: both headerless or WAV, channels equal, to one or from one."""
    if source == target:
        return True
    if not all(
        fmt.encoding in SAMPLE_BYTES and fmt.container in ("raw", "wav") for fmt in (source, target)
    ):
        return False
    if target.container == "wav" and target.encoding == "float16":
        return False
    return source.channels == target.channels or 1 in (source.channels, target.channels)


class Converter:
    """One stream of audio being converted.

    A WAV source is what its header says, whatever ``source`` claims; a WAV target gets one header, of unknown
    length, also where the source is several files one after the other (``restart``).

    Raises:
        ValueError: the two formats cannot be converted into each other (see ``can_convert``).
    """

    def __init__(self, source: AudioFormat, target: AudioFormat) -> None:
        if not can_convert(source, target):
            raise ValueError(f"cannot convert {source} to {target}")
        self.source = source
        self.target = target
        # A WAV has its header read and written anew: several in one stream would be noise.
        self.is_identity = source == target and not (
            source.container == "wav" and source.encoding in SAMPLE_BYTES
        )
        self._reader = wav.WavReader() if source.container == "wav" else None
        is_known = self._reader is None and not self.is_identity
        self._samples = _Samples2Samples(source, target) if is_known else None
        has_header = target.container == "wav" and not self.is_identity
        self._header = wav.header(target, None) if has_header else b""

    def feed(self, data: bytes) -> bytes:
        """What ``data`` becomes; may be empty while the resampler collects samples.

        Raises:
            UnreadableAudio: a WAV source has a broken header.
        """
        if self.is_identity:
            return data
        if self._reader is not None:
            data = self._reader.feed(data)
        return self._with_header(self._convert(data))

    def restart(self) -> bytes:
        """Another file begins with the next byte of the source, if its kind knows files; what was left of the last."""
        if self._reader is None:
            return b""
        rest = self._with_header(self._convert(self._reader.finish()))
        self._reader.restart()
        return rest

    def finish(self) -> bytes:
        """The rest: what the resampler still holds. An incomplete sample at the very end is dropped."""
        if self.is_identity:
            return b""
        rest = self._reader.finish() if self._reader is not None else b""
        converted = self._convert(rest)
        if self._samples is not None:
            converted += self._samples.finish()
        return self._with_header(converted, is_end=True)

    def _convert(self, data: bytes) -> bytes:
        if not data:
            return b""
        if self._samples is None:
            self._samples = _Samples2Samples(self._real_source(), self.target)
        return self._samples.feed(data)

    def _real_source(self) -> AudioFormat:
        found = self._reader.format if self._reader is not None else None
        real = found or AudioFormat(self.source.encoding, self.source.rate_hz, self.source.channels)
        if not can_convert(real, self.target):
            raise wav.UnreadableAudio(f"WAV with {real.channels} channels cannot be mixed")
        return real

    def _with_header(self, data: bytes, *, is_end: bool = False) -> bytes:
        if self._header and (data or is_end):
            data, self._header = self._header + data, b""
        return data


class _Samples2Samples:
    """The conversion of the samples themselves."""

    def __init__(self, source: AudioFormat, target: AudioFormat) -> None:
        self._frame_bytes = SAMPLE_BYTES[source.encoding] * source.channels
        self._rest = b""
        self._is_same = (source.encoding, source.rate_hz, source.channels) == (
            target.encoding,
            target.rate_hz,
            target.channels,
        )
        self._table = _direct(source, target)
        self._source = source
        self._target = target
        has_wide = "linear32" in (source.encoding, target.encoding)
        self._work: Any = np.float64 if has_wide else np.float32
        # Mixing down before resampling, and up after it, costs the least.
        self._channels = min(source.channels, target.channels)
        self._mix = _Mix(source) if source.channels > target.channels else None
        self._resampler: soxr.ResampleStream | None = None
        if source.rate_hz != target.rate_hz:
            self._resampler = soxr.ResampleStream(
                source.rate_hz,
                target.rate_hz,
                self._channels,
                dtype="float64" if has_wide else "float32",
                # The fixed-ratio filters of soxr give their output in blocks and hold back up to 115 ms. This one
                # delays evenly, by 10 to 30 ms, keeps the band up to 85 % and aliases below -100 dB (measured,
                # soxr 1.1.0), at up to 50 us per 20 ms.
                vr=True,
            )

    def feed(self, data: bytes) -> bytes:
        if self._rest:
            data = self._rest + data
            self._rest = b""
        odd = len(data) % self._frame_bytes
        if odd:
            self._rest = data[-odd:]
            data = data[:-odd]
        if not data or self._is_same:
            return data
        if self._table is not None:
            return self._table(data)
        return self._pass(self._decode(data), is_end=False)

    def finish(self) -> bytes:
        self._rest = b""
        if self._resampler is None:
            return b""
        nothing = np.zeros((0, self._channels), self._work)
        return self._pass(nothing, is_end=True)

    def _pass(self, samples: _Samples, *, is_end: bool) -> bytes:
        if self._resampler is not None:
            if self._channels == 1:
                samples = self._resampler.resample_chunk(samples[:, 0], last=is_end)[:, None]
            else:
                samples = self._resampler.resample_chunk(samples, last=is_end)
        if self._target.channels > samples.shape[1]:
            samples = np.repeat(samples, self._target.channels, axis=1)
        return _encode(samples, self._target.encoding)

    def _decode(self, data: bytes) -> _Samples:
        """Frames by channels, full scale 1.0."""
        encoding = self._source.encoding
        raw = np.frombuffer(data, _DTYPES[encoding])
        if encoding in ("mulaw", "alaw"):
            raw = _expansion(encoding)[raw]
        samples = raw.astype(self._work)
        if encoding in _IN_16_BITS:
            samples *= 2.0**-15
        elif encoding == "linear32":
            samples *= 2.0**-31
        else:
            np.nan_to_num(samples, copy=False)
            np.clip(samples, -_LOUDEST, _LOUDEST, out=samples)
        samples = samples.reshape(-1, self._source.channels)
        if self._source.channels > self._channels:
            assert self._mix is not None
            samples = self._mix.one_channel(samples)
        return samples


class _Mix:
    """Several channels to one: their mean, unless they cancel each other out; then the loudest one alone.

    Telephone recorders and cheap adapters give stereo whose sides are each other's negative: its mean is silence. What
    the last 10 ms were like decides for the next, so that cutting the stream differently changes nothing.
    """

    CANCELS: Final = 0.1
    """The mean has less than this share of the loudest channel's energy: two independent voices leave a half, a single
    one in one of two channels a quarter."""

    RETURNS: Final = 0.2
    """More than for ``CANCELS``, so that the choice does not go to and fro."""

    LOUDER: Final = 4.0
    """How many times the energy another channel must have to be heard instead: each change is a click."""

    def __init__(self, source: AudioFormat) -> None:
        self._block = max(1, source.rate_hz // 100)
        self._seen = 0  # frames of the block
        self._energies = np.zeros(source.channels)
        self._mean_energy = 0.0
        self._only: int | None = None

    def one_channel(self, samples: _Samples) -> _Samples:
        """Frames by channels to frames by one."""
        mixed: _Samples = samples.mean(axis=1, keepdims=True, dtype=samples.dtype)
        at = 0
        while at < len(samples):
            size = min(self._block - self._seen, len(samples) - at)
            self._take(samples[at : at + size], mixed[at : at + size])
            if self._only is not None:
                mixed[at : at + size, 0] = samples[at : at + size, self._only]
            at += size
            self._seen += size
            if self._seen == self._block:
                self._decide()
        return mixed

    def _take(self, samples: _Samples, mean: _Samples) -> None:
        self._energies += np.square(samples, dtype=np.float64).sum(axis=0)
        self._mean_energy += float(np.square(mean, dtype=np.float64).sum())

    def _decide(self) -> None:
        loudest = int(self._energies.argmax())
        energy = float(self._energies[loudest])
        if energy > 0:
            share = self._mean_energy / energy
            if share < self.CANCELS:
                if self._only is None or energy > self.LOUDER * self._energies[self._only]:
                    self._only = loudest
            elif share > self.RETURNS:
                self._only = None
        self._seen = 0
        self._energies[:] = 0
        self._mean_energy = 0.0


def _encode(samples: _Samples, encoding: str) -> bytes:
    if encoding in ("float32", "float16"):
        floats: bytes = samples.astype(_DTYPES[encoding]).tobytes()
        return floats
    if encoding == "linear32":
        scaled = np.rint(samples.astype(np.float64) * 2.0**31)
        return np.clip(scaled, -(2.0**31), 2.0**31 - 1).astype("<i4").tobytes()
    linear = np.clip(np.rint(samples * 32768.0), -32768, 32767).astype("<i2")
    if encoding == "linear16":
        return linear.tobytes()
    return _compression(encoding)[linear.view(np.uint16)].tobytes()


def _direct(source: AudioFormat, target: AudioFormat) -> Callable[[bytes], bytes] | None:
    """One table look-up per sample, where both sides fit in 16 bits and only the encoding differs."""
    pair = {source.encoding, target.encoding}
    if (source.rate_hz, source.channels) != (target.rate_hz, target.channels):
        return None
    if not pair <= _IN_16_BITS or len(pair) == 1:
        return None
    if source.encoding == "linear16":
        table: _Samples = _compression(target.encoding)
    elif target.encoding == "linear16":
        table = _expansion(source.encoding)
    else:
        table = _compression(target.encoding)[_expansion(source.encoding).view(np.uint16)]
    index = "<u2" if source.encoding == "linear16" else "u1"

    def look_up(data: bytes) -> bytes:
        found: bytes = table[np.frombuffer(data, index)].tobytes()
        return found

    return look_up


@cache
def _expansion(law: str) -> npt.NDArray[np.int16]:
    """The linear16 value of each of the 256 codes."""
    codes = np.arange(256, dtype=np.int32)
    if law == "mulaw":
        codes = codes ^ 0xFF
        exponent, mantissa = (codes >> 4) & 7, codes & 0x0F
        size = (((mantissa << 3) + 132) << exponent) - 132
        is_negative = (codes & 0x80) != 0
    else:
        codes = codes ^ 0x55
        exponent, mantissa = (codes >> 4) & 7, codes & 0x0F
        size = np.where(
            exponent == 0,
            (mantissa << 4) + 8,
            ((mantissa << 4) + 264) << np.maximum(exponent - 1, 0),
        )
        is_negative = (codes & 0x80) == 0
    return np.asarray(np.where(is_negative, -size, size), np.dtype("<i2"))


@cache
def _compression(law: str) -> npt.NDArray[np.uint8]:
    """The code of each linear16 value, indexed by its 16 bits read as unsigned."""
    linear = np.arange(65536, dtype=np.uint16).view(np.int16).astype(np.int32)
    is_negative = linear < 0
    if law == "mulaw":
        size = np.minimum(np.abs(linear), 32635) + 132
        exponent = np.floor(np.log2(size)).astype(np.int32) - 7
        codes = (exponent << 4) | ((size >> (exponent + 3)) & 0x0F)
        codes = (codes | np.where(is_negative, 0x80, 0)) ^ 0xFF
    else:
        size = np.where(is_negative, -linear - 1, linear)
        exponent = np.floor(np.log2(np.maximum(size, 1))).astype(np.int32) - 7
        codes = np.where(
            size < 256,
            size >> 4,
            (exponent << 4) | ((size >> np.maximum(exponent + 3, 0)) & 0x0F),
        )
        codes = (codes | np.where(is_negative, 0, 0x80)) ^ 0x55
    return np.asarray(codes, np.uint8)
