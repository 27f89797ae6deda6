"""Commands that wait for a vendor that is connecting or slow."""

from collections import deque
from collections.abc import Callable

from waav.speech import wire
from waav.speech.audio import AudioFormat

_COMPRESSED_BYTES_PER_S = 16_000
"""What a second of compressed audio is taken to weigh where only a decoder could tell (128 kbit/s)."""


def whole_samples(format: AudioFormat, size_bytes: int) -> int:
    """The largest piece not above ``size_bytes`` that consists of whole samples; at least one."""
    frame = format.frame_bytes
    return max(frame, size_bytes - size_bytes % frame)


def bytes_of(format: AudioFormat, duration_s: float) -> int:
    """How many bytes ``duration_s`` is, estimated for compressed audio."""
    if format.is_raw:
        return format.size_bytes(duration_s)
    return int(_COMPRESSED_BYTES_PER_S * duration_s)


class Backlog:
    """Keeps order, loses nothing, and says when the source should stop.

    Args:
        limit_bytes: audio from which the source is told to stop; it goes on at half of that.
        congested: told once on each change.

    Attributes:
        waiting: the oldest first; for looking whether there are any.
    """

    def __init__(self, limit_bytes: int, congested: Callable[[bool], None]) -> None:
        self._limit = limit_bytes
        self._congested = congested
        self.waiting: deque[wire.Command] = deque()
        self._audio_bytes = 0
        self._is_full = False

    def __len__(self) -> int:
        return len(self.waiting)

    @property
    def audio_bytes(self) -> int:
        """Audio waiting."""
        return self._audio_bytes

    def push(self, command: wire.Command) -> None:
        """Wait behind the others. ``Clear`` makes texts before it disappear."""
        if isinstance(command, wire.Clear):
            kept = [one for one in self.waiting if not isinstance(one, wire.Speak | wire.Flush)]
            self.waiting.clear()
            self.waiting.extend(kept)
        self.waiting.append(command)
        if isinstance(command, wire.Audio):
            self._audio_bytes += len(command.data)
            self._weigh()

    def push_first(self, commands: list[wire.Command]) -> None:
        """Wait in front of the others, in the given order."""
        self.waiting.extendleft(reversed(commands))
        self._audio_bytes += sum(len(one.data) for one in commands if isinstance(one, wire.Audio))
        self._weigh()

    def pop(self) -> wire.Command:
        """The oldest."""
        command = self.waiting.popleft()
        if isinstance(command, wire.Audio):
            self._audio_bytes -= len(command.data)
            self._weigh()
        return command

    def clear(self) -> None:
        """Forget everything."""
        self.waiting.clear()
        self._audio_bytes = 0
        self._weigh()

    def _weigh(self) -> None:
        if not self._is_full and self._audio_bytes >= self._limit:
            self._is_full = True
            self._congested(True)
        elif self._is_full and self._audio_bytes <= self._limit // 2:
            self._is_full = False
            self._congested(False)
