"""The audio that must be said again after a lost connection, and one time line over several connections."""

from collections import deque
from dataclasses import replace

from waav.speech import wire
from waav.speech.audio import AudioFormat

_CLOSE_S = 0.001
"""Vendors round times to milliseconds; closer than this is the same moment."""


class ReplayBuffer:
    """Keeps what was sent and no final result covers yet.

    Args:
        format: of the audio, raw.
        limit_s: most audio kept; beyond it the oldest is dropped and counted.

    Attributes:
        wants_final: a final was asked for, and none came since.
    """

    def __init__(self, format: AudioFormat, limit_s: float) -> None:
        self._format = format
        self._limit = format.size_bytes(limit_s)
        self._kept: deque[bytes] = deque()
        self._kept_bytes = 0
        self._first = 0  # position of the first kept byte in the whole call's audio
        self._origin = 0  # position at which the present connection's time begins
        self._covered_s = 0.0
        self._repeated_from_s = -1.0
        self.dropped_bytes = 0
        self.wants_final = False

    @property
    def dropped_s(self) -> float:
        """Audio that was too old to be repeated and no final ever covered."""
        return self._format.duration_s(self.dropped_bytes) or 0.0

    @property
    def kept_bytes(self) -> int:
        """Audio that no final covers yet."""
        return self._kept_bytes

    def sent(self, data: bytes) -> None:
        """``data`` went out."""
        self._kept.append(data)
        self._kept_bytes += len(data)
        excess = self._kept_bytes - self._limit
        if excess > 0:
            self.dropped_bytes += excess
            self._forget(excess)

    def take(self) -> list[bytes]:
        """What to send again on a new connection, whose time begins with it."""
        again = list(self._kept)
        self._kept.clear()
        self._kept_bytes = 0
        self._origin = self._first
        self._repeated_from_s = self._covered_s
        return again

    def clear(self) -> None:
        """Nothing will be repeated any more: let go of the audio."""
        self._kept.clear()
        self._kept_bytes = 0

    def heard(self, event: wire.Event) -> wire.Event | None:
        """``event`` on the whole call's time line; None when it repeats what an earlier connection said."""
        offset = self._seconds(self._origin)
        match event:
            case wire.Transcript():
                return self._transcript(event, offset)
            case wire.SpeechStarted(at_s) if at_s is not None and offset:
                return wire.SpeechStarted(at_s + offset)
            case wire.SpeechEnded(at_s) if at_s is not None and offset:
                return wire.SpeechEnded(at_s + offset)
        return event

    def _transcript(self, found: wire.Transcript, offset: float) -> wire.Transcript | None:
        if found.is_final:
            self.wants_final = False
        if offset:
            words = tuple(
                replace(word, start_s=word.start_s + offset, end_s=word.end_s + offset)
                for word in found.words
            )
            end_s = None if found.end_s is None else found.end_s + offset
            found = replace(found, words=words, end_s=end_s)
        if not found.is_final or found.end_s is None:
            return found
        if found.end_s <= self._repeated_from_s + _CLOSE_S and found.text:
            return None
        if found.end_s > self._covered_s:
            self._covered_s = found.end_s
            self._forget(self._format.size_bytes(found.end_s) - self._first)
        return found

    def _forget(self, count: int) -> None:
        """Drop ``count`` bytes from the front, as far as there are any."""
        count = min(count, self._kept_bytes)
        if count <= 0:
            return
        self._first += count
        self._kept_bytes -= count
        while count:
            piece = self._kept.popleft()
            if len(piece) > count:
                self._kept.appendleft(piece[count:])
                return
            count -= len(piece)

    def _seconds(self, position: int) -> float:
        return self._format.duration_s(position) or 0.0
