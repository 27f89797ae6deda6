"""Audio as Deepgram calls it."""

from typing import Any

from waav.speech.audio import AudioFormat

_RAW_NAMES = {"linear16": "linear16", "linear32": "linear32", "mulaw": "mulaw", "alaw": "alaw",
              "flac": "flac", "opus": "opus", "amr_nb": "amr-nb", "amr_wb": "amr-wb",
              "speex": "speex", "g729": "g729"}  # fmt: skip


def described(audio: AudioFormat) -> dict[str, Any]:
    """How the query describes audio. Containers describe themselves and must not be named."""
    if audio.container == "ogg" and audio.encoding == "opus":
        return {"encoding": "ogg-opus", "sample_rate": audio.rate_hz}
    if audio.container != "raw" or audio.encoding not in _RAW_NAMES:
        return {}
    return {"encoding": _RAW_NAMES[audio.encoding], "sample_rate": audio.rate_hz}


def nearest(rate_hz: int, offered: tuple[int, ...]) -> int:
    """The rate itself, else the next higher one, else the highest."""
    return min((one for one in offered if one >= rate_hz), default=max(offered))
