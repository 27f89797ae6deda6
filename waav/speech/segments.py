"""Cuts a stream of linear16 into uploads for vendors that recognise whole files.

All lengths are audio time: bytes divided by rate, channels and sample width. Nothing here knows a clock.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from waav.speech.audio import AudioFormat

Strategy = Literal["on_silence", "on_threshold", "on_disconnect"]

WINDOW_S = 0.02
PRE_ROLL_S = 0.3  # kept from before speech was noticed, so that its first sound is whole
LONG_S = 30.0  # from here the next short dip ends a segment
DIP_S = 0.2
LONGEST_S = 60.0
QUIETEST_S = 0.1
SEARCH_S = 5.0  # how far before the size limit a quiet place to cut is looked for


@dataclass(frozen=True, slots=True)
class Cutting:
    """When to cut."""

    strategy: Strategy = "on_silence"
    threshold_bytes: int = 1024 * 1024
    rms_threshold: float = 0.01  # of full scale
    silence_s: float = 1.0
    min_audio_s: float = 0.5
    min_upload_s: float = 0.1
    max_bytes: int = 25 * 1024 * 1024 - 44 - 65536


@dataclass(frozen=True, slots=True)
class Segment:
    """Audio for one upload, and where it begins and ends in the stream."""

    data: bytes
    start_s: float
    end_s: float


class Segments:
    """Collects audio; gives a segment when one is due."""

    def __init__(self, audio: AudioFormat, cutting: Cutting) -> None:
        self._format = audio
        self._cutting = cutting
        self._window = audio.size_bytes(WINDOW_S)
        self._pre_roll = audio.size_bytes(PRE_ROLL_S)
        self._start_bytes = 0
        self._reset()

    def feed(self, data: bytes) -> list[Segment]:
        """Take whole samples; the segments they complete, in order."""
        self._buffer += data
        due: list[Segment] = []
        while self._scan(due):
            pass
        return due

    def flush(self) -> list[Segment]:
        """What is there now, whatever the strategy; nothing if it is too short or nobody spoke."""
        is_worth = self._has_speech or self._cutting.strategy != "on_silence"
        if not is_worth:
            self._drop(len(self._buffer))
            return []
        return self._take(len(self._buffer))

    def _scan(self, due: list[Segment]) -> bool:
        """Look at the windows not yet looked at. True when a cut was made and there may be more."""
        if self._cutting.strategy == "on_silence":
            for end, level in self._levels():
                self._scanned = end
                was_silent = not self._has_speech
                self._note(level)
                if self._has_speech and was_silent and self._forget(self._window):
                    return True  # what is left has moved
                if self._is_due(end):
                    due += self._take(end)
                    return True
            if not self._has_speech:
                self._forget()
        size = len(self._buffer)
        if size > self._cutting.max_bytes:
            due += self._take(self._quiet_place())
            return True
        if self._cutting.strategy == "on_threshold" and size >= self._cutting.threshold_bytes:
            due += self._take(size)
        return False

    def _levels(self) -> Iterable[tuple[int, float]]:
        """End offset and RMS (1.0 is full scale) of every whole window not yet scanned."""
        count = (len(self._buffer) - self._scanned) // self._window
        if count <= 0:
            return []
        stop = self._scanned + count * self._window
        levels = _rms(bytes(self._buffer[self._scanned : stop]), count)
        return [(self._scanned + (n + 1) * self._window, level) for n, level in enumerate(levels)]

    def _note(self, level: float) -> None:
        if level >= self._cutting.rms_threshold:
            self._has_speech = True
            self._silence_bytes = 0
        else:
            self._silence_bytes += self._window

    def _is_due(self, size: int) -> bool:
        if not self._has_speech:
            return False
        length, silence = self._seconds(size), self._seconds(self._silence_bytes)
        if length >= self._cutting.min_audio_s and silence >= self._cutting.silence_s:
            return True
        return length >= LONGEST_S or (length >= LONG_S and silence >= DIP_S)

    def _quiet_place(self) -> int:
        """A cut at or before the size limit, in the middle of the quietest tenth of a second there."""
        limit = self._cutting.max_bytes
        limit -= limit % self._format.frame_bytes
        step = self._format.size_bytes(QUIETEST_S)
        count = min(self._format.size_bytes(SEARCH_S), limit // 2) // step
        if count < 2:
            return limit
        first = limit - count * step
        return first + _quietest(self._format, bytes(self._buffer[first:limit]), count)

    def _take(self, size: int) -> list[Segment]:
        start, end = self._start_bytes, self._start_bytes + size
        data = bytes(self._buffer[:size])
        self._drop(size)
        if self._seconds(size) < self._cutting.min_upload_s:
            return []
        return [Segment(data, self._seconds(start), self._seconds(end))]

    def _forget(self, spoken_bytes: int = 0) -> bool:
        """Nobody spoke until ``spoken_bytes`` before here: of that, only the last moment is worth keeping."""
        surplus = self._scanned - spoken_bytes - self._pre_roll
        if surplus <= 0:
            return False
        del self._buffer[:surplus]
        self._start_bytes += surplus
        self._scanned -= surplus
        return True

    def _drop(self, size: int) -> None:
        rest = self._buffer[size:]
        self._start_bytes += size
        self._reset()
        self._buffer += rest

    def _reset(self) -> None:
        """The state of a new stream."""
        self._buffer = bytearray()
        self._scanned = 0
        self._silence_bytes = 0
        self._has_speech = False

    def _seconds(self, size: int) -> float:
        return self._format.duration_s(size) or 0.0


def halves(audio: AudioFormat, segment: Segment) -> list[Segment]:
    """The segment in two, cut in the quietest tenth of a second of its middle; none if it is too short."""
    data, step = segment.data, audio.size_bytes(QUIETEST_S)
    count = min(2 * audio.size_bytes(SEARCH_S), len(data) // 2) // step
    if count < 1:
        return []
    first = (len(data) - count * step) // 2
    first -= first % audio.frame_bytes
    cut = first + _quietest(audio, data[first : first + count * step], count)
    cut_s = segment.start_s + (audio.duration_s(cut) or 0.0)
    return [
        Segment(data[:cut], segment.start_s, cut_s),
        Segment(data[cut:], cut_s, segment.end_s),
    ]


def _quietest(audio: AudioFormat, data: bytes, count: int) -> int:
    """The middle of the quietest of ``count`` equal parts, the last one of equals."""
    step = len(data) // count
    levels = _rms(data, count)
    lowest = min(levels)
    last = max(n for n, level in enumerate(levels) if level == lowest)
    middle = last * step + step // 2
    return middle - middle % audio.frame_bytes


def _rms(data: bytes, count: int) -> list[float]:
    samples = np.frombuffer(data, dtype="<i2").reshape(count, -1).astype(np.float32)
    levels: list[float] = (np.sqrt(np.mean(samples * samples, axis=1)) / 32768.0).tolist()
    return levels
