"""From the audio a vendor delivers to the audio the caller wants, in the pieces it is sent in."""

from waav.errors import BadRequest
from waav.speech.audio import AudioFormat
from waav.speech.chunks import Chunker
from waav.speech.convert import Converter, can_convert
from waav.speech.duration import Stopwatch
from waav.speech.provider import SpeakSettings


class Shape:
    """Converts and cuts the audio of one utterance.

    ``source`` is what is fed; ``format`` is what comes out: what the caller wants wherever that can be made.
    Compressed audio cannot be made here: it leaves as it came, labelled as what it is, unless the caller asked
    for something else by name.

    Raises:
        BadRequest: the caller asked for what this vendor's audio cannot be turned into.
    """

    def __init__(self, source: AudioFormat, settings: SpeakSettings, is_cut: bool) -> None:
        self.source = source
        self.format = _reachable(source, settings)
        converter = Converter(source, self.format)
        self._converter = None if converter.is_identity else converter
        self._chunker = Chunker(self.format) if is_cut else None
        self._stopwatch = None if self.format.is_raw else Stopwatch(self.format)
        self._bytes_per_s = self.format.frame_bytes * self.format.rate_hz

    def feed(self, data: bytes) -> list[bytes]:
        """The pieces that ``data`` completes."""
        return self._cut(data if self._converter is None else self._converter.feed(data))

    def restart(self) -> list[bytes]:
        """The answer to the next request for the same utterance comes now; what was left of the last."""
        rest = self._converter.restart() if self._converter is not None else b""
        return self._cut(rest)

    def finish(self) -> list[bytes]:
        """What is left at the end of the utterance."""
        rest = self._converter.finish() if self._converter is not None else b""
        return [*self._cut(rest), *(self._chunker.finish() if self._chunker is not None else ())]

    def _cut(self, data: bytes) -> list[bytes]:
        if not data:
            return []
        return [data] if self._chunker is None else self._chunker.feed(data)

    def duration_s(self, frames: list[bytes]) -> float | None:
        """How long ``frames``, the latest ones, play."""
        if self._stopwatch is None:
            return sum(map(len, frames)) / self._bytes_per_s
        total_s = 0.0
        for frame in frames:
            try:
                duration_s = self._stopwatch.feed(frame)
            except BadRequest:
                # It was handed on as it came; only its length stays unknown.
                return None
            if duration_s is None:
                return None
            total_s += duration_s
        return total_s


def _reachable(source: AudioFormat, settings: SpeakSettings) -> AudioFormat:
    wanted = settings.format
    if source == wanted or can_convert(source, wanted):
        return wanted
    is_same_kind = (source.encoding, source.container) == (wanted.encoding, wanted.container)
    if is_same_kind or not settings.wants_format:
        return source
    raise BadRequest(
        f"{settings.provider} delivers {source.encoding} here, which cannot be turned into"
        f" {wanted.encoding}"
    )
