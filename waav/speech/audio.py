"""Audio as a value: what it is encoded as, and a piece of it.

Lengths are in bytes, durations in seconds, rates in hertz. Raw encodings are headerless and interleaved.
"""

from dataclasses import dataclass
from typing import Final, Literal

Encoding = Literal[
    "linear16",
    "linear32",
    "float32",
    "float16",
    "mulaw",
    "alaw",
    "mp3",
    "opus",
    "vorbis",
    "flac",
    "aac",
    "amr_nb",
    "amr_wb",
    "speex",
    "g729",
]
Container = Literal["raw", "wav", "ogg", "webm", "mp4"]

SAMPLE_BYTES: Final[dict[str, int]] = {
    "linear16": 2,
    "linear32": 4,
    "float32": 4,
    "float16": 2,
    "mulaw": 1,
    "alaw": 1,
}
"""Bytes per sample and channel of the encodings whose length tells their duration."""

SILENCE: Final[dict[str, int]] = {
    "linear16": 0,
    "linear32": 0,
    "float32": 0,
    "float16": 0,
    "mulaw": 0xFF,
    "alaw": 0xD5,
}
"""The byte that silence consists of."""


@dataclass(frozen=True, slots=True)
class AudioFormat:
    """How a stream of audio is encoded.

    Chunk sizes, content types, durations and labels all come from here. ``container`` is ``raw`` for
    headerless audio; for the compressed encodings it says what wraps them.
    """

    encoding: Encoding = "linear16"
    rate_hz: int = 16000
    channels: int = 1
    container: Container = "raw"

    @property
    def is_raw(self) -> bool:
        """Whether byte counts are durations: headerless and uncompressed."""
        return self.container == "raw" and self.encoding in SAMPLE_BYTES

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of every channel; 1 for compressed audio, which has no such thing."""
        return SAMPLE_BYTES.get(self.encoding, 1) * self.channels if self.is_raw else 1

    def duration_s(self, size_bytes: int) -> float | None:
        """How long ``size_bytes`` of it play, or None where only a decoder could tell."""
        if not self.is_raw:
            return None
        return size_bytes / (self.frame_bytes * self.rate_hz)

    def size_bytes(self, duration_s: float) -> int:
        """Bytes of ``duration_s`` seconds, whole samples, rounded down. Raw audio only."""
        if not self.is_raw:
            raise ValueError(f"{self.encoding} in {self.container} has no fixed size per second")
        return int(self.rate_hz * duration_s + 1e-9) * self.frame_bytes

    def silence(self, duration_s: float) -> bytes:
        """Silence of that length, for keep-alive towards vendors that need audio. Raw audio only."""
        return bytes([SILENCE[self.encoding]]) * self.size_bytes(duration_s)


@dataclass(frozen=True, slots=True)
class AudioFrame:
    """A piece of audio: whole samples when the format is raw."""

    format: AudioFormat
    data: bytes

    @property
    def duration_s(self) -> float | None:
        """Seconds of sound, or None where only a decoder could tell."""
        return self.format.duration_s(len(self.data))
