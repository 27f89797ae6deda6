"""Recognition of whole files, as the replay server does it: what a file is, and what is said in it."""

import json
from collections.abc import Mapping
from typing import Any

from waav.speech import wav
from waav.speech.audio import AudioFormat
from waav.testing import forms, rules
from waav.testing.hearing import Hearing
from waav.testing.limits import Refused
from waav.testing.rules import Route
from waav.testing.signal import Signal

_KINDS = {  # extension: MIME types, and how such a file begins
    "wav": (("audio/wav", "audio/x-wav", "audio/wave"), (b"RIFF",)),
    "mp3": (
        ("audio/mpeg", "audio/mp3"),
        (b"ID3", b"\xff\xfb", b"\xff\xf3", b"\xff\xfa", b"\xff\xf2"),
    ),
    "flac": (("audio/flac",), (b"fLaC",)),
    "ogg": (("audio/ogg",), (b"OggS",)),
    "webm": (("audio/webm",), (b"\x1aE\xdf\xa3",)),
    "m4a": (("audio/m4a", "audio/mp4"), (b"\0\0\0",)),
}


def read(parts: list[forms.Part]) -> dict[str, list[Any]]:
    """Every field of a form by its name: text, or for a file the field itself, and what it is found to be.

    Only WAV can be measured: of other files, and of broken ones, there is no ``file.seconds``.
    """
    values: dict[str, list[Any]] = {}
    for one in parts:
        is_file = one.filename is not None
        values.setdefault(f"form.{one.name}", []).append(one if is_file else one.data.decode())
        if is_file:
            values["file.bytes"] = [len(one.data)]
            found = _wav(one.data)
            if found is not None:
                values["file.seconds"] = [_seconds(*found)]
    return values


def transcribed(
    route: Route, values: rules.Values, signal: Signal, extra: Mapping[str, Any]
) -> tuple[bytes, Mapping[str, str]]:
    """Body and headers of the answer.

    Raises:
        Refused: the file is not what its name and type say, or cannot be read.
    """
    file: forms.Part = values[f"form.{route.about['file']}"][0]
    _check_label(file)
    hearing, seconds = _hear(signal, file.data)
    words = [word for heard in hearing.finish(seconds) if heard.is_final for word in heard.words]
    name = values.get(route.about["answer_format"], [route.about["default"]])[0]
    about = {
        "text": " ".join(word.text for word in words),
        "seconds": seconds,
        "words": [rules.fill(route.about["word"], _timed(word)) for word in words],
    }
    answer = rules.fill(route.about["answers"][name], about)
    if isinstance(answer, str):
        return answer.encode(), {"content-type": "text/plain"}
    return json.dumps({**answer, **extra}).encode(), {"content-type": "application/json"}


def _check_label(file: forms.Part) -> None:
    extension = (file.filename or "").rpartition(".")[2].lower()
    types, beginnings = _KINDS.get(extension, ((), ()))
    if file.content_type not in types or not file.data.startswith(beginnings):
        raise Refused(400, "name, type and content of the file do not agree")


def _hear(signal: Signal, data: bytes) -> tuple[Hearing, float]:
    """Listens to a file; what cannot be measured counts as the whole signal."""
    if not data.startswith(b"RIFF"):
        return Hearing(signal, 0.0), signal.seconds - 1e-3
    found = _wav(data)
    if found is None:
        raise Refused(400, "the audio cannot be read")
    samples, audio = found
    return Hearing(signal, signal.find(samples, audio) or 0.0), _seconds(samples, audio)


def _wav(data: bytes) -> tuple[bytes, AudioFormat] | None:
    """Samples and format of a WAV file; None if it is none that can be read."""
    if not data.startswith(b"RIFF"):
        return None
    reader = wav.WavReader()
    try:
        samples = reader.feed(data)
    except wav.UnreadableAudio:
        return None
    audio = reader.format
    return (samples, audio) if audio is not None and audio.is_raw else None


def _seconds(samples: bytes, audio: AudioFormat) -> float:
    return audio.duration_s(len(samples)) or 0.0


def _timed(word: Any) -> dict[str, Any]:
    return {"word": word.text, "start": round(word.start_s, 4), "end": round(word.end_s, 4)}
