"""Speech in even pieces: 10 ms each where bytes are durations."""

from waav.speech.audio import SILENCE, AudioFormat


class Chunker:
    """Re-cuts raw audio to 10 ms; everything else passes as it comes."""

    def __init__(self, fmt: AudioFormat) -> None:
        self.format = fmt
        self._piece_bytes = max(1, fmt.rate_hz // 100) * fmt.frame_bytes if fmt.is_raw else 0
        self._rest = b""

    def feed(self, data: bytes) -> list[bytes]:
        """The pieces that are complete with ``data``; what is left waits for more."""
        if not self._piece_bytes:
            return [data] if data else []
        size = self._piece_bytes
        if self._rest:
            data = self._rest + data
        whole = len(data) - len(data) % size
        pieces = [data[start : start + size] for start in range(0, whole, size)]
        self._rest = data[whole:]
        return pieces

    def finish(self) -> list[bytes]:
        """What is left, filled up with silence to a whole sample; then it can start anew."""
        rest, self._rest = self._rest, b""
        if not rest:
            return []
        missing = -len(rest) % self.format.frame_bytes
        return [rest + bytes([SILENCE[self.format.encoding]]) * missing]
