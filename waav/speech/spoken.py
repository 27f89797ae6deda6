"""Answers to requests for speech: audio as it comes, cut at whole samples."""

from waav.errors import WireError
from waav.speech import wire
from waav.speech.audio import AudioFormat, AudioFrame


class SpokenAnswers:
    """Reads the answers of one dialogue, one after the other.

    Args:
        provider: named in errors.
        audio: what they are.
    """

    def __init__(self, provider: str, audio: AudioFormat) -> None:
        self._provider = provider
        self._audio = audio
        self._rest = b""

    def read(self, incoming: wire.Incoming) -> list[wire.Event]:
        """What ``incoming`` means.

        Raises:
            WireError: it is no audio.
        """
        match incoming:
            case wire.Head(_, headers):
                self._rest = b""
                if headers.get("content-type", "").startswith(("application/json", "text/")):
                    raise self._error("answered with text, not audio")
                return []
            case wire.Body(data):
                return self._spoken(data)
            case wire.End():
                return [wire.SpokenAll()]
        raise self._error("answered outside HTTP")

    def _spoken(self, data: bytes) -> list[wire.Event]:
        data = self._rest + data
        whole = len(data) - len(data) % self._audio.frame_bytes
        self._rest = data[whole:]
        return [wire.Spoken(AudioFrame(self._audio, data[:whole]))] if whole else []

    def _error(self, what: str) -> WireError:
        return WireError(self._provider, f"{self._provider}: speech {what}")
