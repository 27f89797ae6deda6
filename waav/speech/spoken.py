"""Answers to requests for speech: audio as it comes, cut at whole samples."""

from waav.errors import WireError
from waav.speech import formats, wire
from waav.speech.audio import AudioFormat, AudioFrame


class SpokenAnswers:
    """Reads the answers of one dialogue, one after the other.

    An answer whose ``Content-Type`` contradicts what was asked for is labelled as what it says it is, and the
    dialogue warns; one that is no audio we know is an error.

    Args:
        provider: named in errors.
        audio: what was asked for.
    """

    def __init__(self, provider: str, audio: AudioFormat) -> None:
        self._provider = provider
        self._asked = self._audio = audio
        self._rest = b""

    def read(self, incoming: wire.Incoming) -> list[wire.Event]:
        """What ``incoming`` means.

        Raises:
            WireError: it is no audio.
        """
        match incoming:
            case wire.Head(_, headers):
                return self._begin(headers.get("content-type", ""))
            case wire.Body(data):
                return self._spoken(data)
            case wire.End():
                return [wire.SpokenAll()]
        raise self._error("answered outside HTTP")

    def _begin(self, content_type: str) -> list[wire.Event]:
        self._rest = b""
        name = content_type.partition(";")[0].strip().lower()
        if name == "application/json" or name.startswith("text/"):
            raise self._error("answered with text, not audio")
        audio = formats.delivered(content_type, self._asked)
        if audio is None:
            raise self._error(f"answered with {name[:60]!r}, which is no audio that is known here")
        self._audio = audio
        if audio == self._asked:
            return []
        asked, came = _named(self._asked), _named(audio)
        return [wire.Warned(f"{self._provider}: asked for {asked}, answered with {came}")]

    def _spoken(self, data: bytes) -> list[wire.Event]:
        data = self._rest + data
        whole = len(data) - len(data) % self._audio.frame_bytes
        self._rest = data[whole:]
        return [wire.Spoken(AudioFrame(self._audio, data[:whole]))] if whole else []

    def _error(self, what: str) -> WireError:
        return WireError(self._provider, f"{self._provider}: speech {what}")


def _named(audio: AudioFormat) -> str:
    return f"{formats.label(audio)} at {audio.rate_hz} Hz"
