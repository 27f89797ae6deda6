"""Recognition of finished pieces of speech."""

import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from waav.errors import BadRequest, ProviderError, WireError
from waav.providers.openai.account import base, headers, is_openai
from waav.providers.openai.answers import read
from waav.providers.openai.options import FILE_BYTES, LISTEN_OPTIONS, model_of
from waav.providers.openai.refusals import refused
from waav.speech import languages, multipart, vendor_options, wav, wire
from waav.speech.account import api_key
from waav.speech.audio import AudioFormat
from waav.speech.provider import Account, ListenSettings
from waav.speech.segments import Cutting, Segment, Segments, halves

LISTEN_MODEL = "gpt-transcribe"

_MARGIN_BYTES = 65536
_ANSWER_BYTES = 8 * 1024 * 1024  # far above any transcript; a server that sends more is not OpenAI
_JSON = ("json",)
_FORMATS = (  # which answers a model gives, the most telling first
    (re.compile(r"whisper-1"), ("verbose_json", "json", "text", "srt", "vtt")),
    (re.compile(r".*transcribe-diarize.*"), ("diarized_json", "json", "text")),
    (re.compile(r"gpt-4o(-mini)?-transcribe.*"), _JSON),
    (re.compile(r"gpt-transcribe.*"), _JSON),
)
_FILES = {  # what the API takes as it is: extension and MIME type by encoding and container
    ("mp3", "raw"): ("mp3", "audio/mpeg"),
    ("flac", "raw"): ("flac", "audio/flac"),
    ("opus", "ogg"): ("ogg", "audio/ogg"),
    ("vorbis", "ogg"): ("ogg", "audio/ogg"),
    ("opus", "webm"): ("webm", "audio/webm"),
    ("aac", "mp4"): ("m4a", "audio/m4a"),
}


class Listen:
    """Audio in; one final transcript per uploaded piece."""

    def __init__(self, settings: ListenSettings, account: Account) -> None:
        chosen = vendor_options.read("openai", LISTEN_OPTIONS, settings.options, account.options)
        address = base(account)
        self._model = model_of(settings.model or LISTEN_MODEL, is_openai=is_openai(address))
        self._formats = _answers(self._model, is_openai(address))
        self._fields = self._form(settings, _fit(self._model, chosen, settings.options))
        self._answer_format = dict(self._fields)["response_format"]
        self._url = f"{address}/v1/audio/transcriptions"
        self._headers = headers(account)
        self._key = api_key(account, "OpenAI")
        self.opening = wire.Opening(address, finish_s=30.0)
        self.format, self._file = _upload_format(settings.format)
        self._limit = chosen.get("max_file_size_bytes", FILE_BYTES)
        self._segments: Segments | _WholeFile
        if self.format.is_raw:
            self._segments = Segments(self.format, _cutting(chosen, self._limit))
        else:
            _check_strategy(chosen, settings.options, self._file[0])
            self._segments = _WholeFile(self._limit)
        self._asked: deque[_Asked] = deque()
        self._segment: Segment | None = None
        self._answer = bytearray()

    def send(self, command: wire.Command) -> list[wire.Outgoing]:
        match command:
            case wire.Audio(data):
                due = self._segments.feed(data)
            case wire.Flush() | wire.Finish():
                due = self._segments.flush()
            case _:
                due = []
        asked = [_Asked(self._upload(segment), segment) for segment in due]
        self._asked += asked
        return [one.request for one in asked]

    def receive(self, incoming: wire.Incoming) -> list[wire.Event]:
        match incoming:
            case wire.Head(request=request):
                self._segment = self._asked_for(request).segment
                self._answer.clear()
            case wire.Body(data):
                self._answer += data
                if len(self._answer) > _ANSWER_BYTES:
                    raise WireError("openai", "openai: the transcript does not end")
            case wire.End():
                return self._transcribed(self._segment, bytes(self._answer))
            case _:
                raise WireError("openai", "openai: transcription answered outside HTTP")
        return []

    def refused(self, head: wire.Head, body: bytes) -> ProviderError:
        return refused(head, body, self._key)

    def instead(self, request: wire.Request, error: ProviderError) -> list[wire.Request]:
        """Of what was too large both halves, each once; anything else is forgotten."""
        asked = self._asked_for(request)
        if error.upstream_status != 413 or asked.is_half or not self.format.is_raw:
            return []
        both = [
            _Asked(self._upload(half), half, is_half=True)
            for half in halves(self.format, asked.segment)
        ]
        self._asked.extendleft(reversed(both))
        return [one.request for one in both]

    def _form(self, settings: ListenSettings, chosen: Mapping[str, Any]) -> list[tuple[str, str]]:
        form = chosen.get("response_format", self._formats[0])
        if form not in self._formats:
            if settings.options.get("response_format"):
                raise BadRequest(
                    f"openai: {self._model} answers in {', '.join(self._formats)}, not {form}"
                )
            form = self._formats[0]
        values: dict[str, Any] = {"model": self._model, "response_format": form}
        language = languages.iso639_1(settings.language)
        if language and not languages.is_iso639_1(language):
            raise BadRequest(f"openai: language {settings.language!r} is not in ISO 639-1")
        if language and "languages" not in chosen:
            values["language"] = language
        for name in ("temperature", "prompt", "chunking_strategy"):
            if name in chosen:
                values[name] = chosen[name]
        if form == "verbose_json":
            both = chosen.get("timestamp_granularities", ("word", "segment"))
            values["timestamp_granularities[]"] = both
        if form == "json" and self._model.startswith("gpt-4o") and "diarize" not in self._model:
            values["include[]"] = "logprobs"
        for name in ("keywords", "languages", "known_speaker_names", "known_speaker_references"):
            if name in chosen:
                values[f"{name}[]"] = chosen[name]
        return vendor_options.query(values)

    def _upload(self, segment: Segment) -> wire.Request:
        extension, mime = self._file
        data = segment.data
        if self.format.is_raw:
            data = wav.pack(self.format, data)
        content_type, body = multipart.encode(
            "file", f"audio.{extension}", mime, data, self._fields
        )
        return wire.Request("POST", self._url, self._headers | {"Content-Type": content_type}, body)

    def _asked_for(self, request: wire.Request | None) -> "_Asked":
        """What an answer is about. Requests before it failed: nothing will come for them."""
        while True:
            asked = self._asked.popleft()
            if request is None or asked.request is request:
                return asked

    def _transcribed(self, segment: Segment | None, answer: bytes) -> list[wire.Event]:
        if segment is None:
            raise WireError("openai", "openai: an answer ended that had not begun")
        text, confidence, words, language = read(self._answer_format, answer, segment.start_s)
        end_s = segment.end_s if self.format.is_raw else None
        events: list[wire.Event] = [
            wire.Transcript(text, True, True, confidence, end_s, words, language)
        ]
        if isinstance(self._segments, _WholeFile) and self._segments.is_cut:
            self._segments.is_cut = False
            events.append(wire.Warned(f"openai: only {self._limit} bytes of the file were used"))
        return events


@dataclass(frozen=True, slots=True)
class _Asked:
    """An upload that has no answer yet."""

    request: wire.Request
    segment: Segment
    is_half: bool = False


class _WholeFile:
    """Collects a file as the caller sends it; only the end of the file makes it an upload."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()
        self.is_cut = False  # what is too much for one upload was left out

    def feed(self, data: bytes) -> list[Segment]:
        room = self._limit - len(self._buffer)
        self._buffer += data[:room]
        self.is_cut = self.is_cut or len(data) > room
        return []

    def flush(self) -> list[Segment]:
        data, self._buffer = bytes(self._buffer), bytearray()
        return [Segment(data, 0.0, 0.0)] if data else []


def _answers(model: str, is_openai: bool) -> tuple[str, ...]:
    for pattern, answers in _FORMATS:
        if pattern.fullmatch(model):
            return answers
    if is_openai:
        raise BadRequest(
            f"openai: {model} is no transcription model; there are gpt-transcribe,"
            " gpt-4o-transcribe, gpt-4o-mini-transcribe, gpt-4o-transcribe-diarize and whisper-1"
        )
    return ("json", "text", "srt", "vtt", "verbose_json")


def _fit(model: str, chosen: dict[str, Any], asked: Mapping[str, Any]) -> dict[str, Any]:
    """Without what the API would refuse for this model; a caller who asked for that is told."""
    is_diarizing = "diarize" in model
    wrong = {
        "prompt": is_diarizing,
        "keywords": not model.startswith("gpt-transcribe"),
        "languages": not model.startswith("gpt-transcribe"),
        "known_speaker_names": not is_diarizing,
        "known_speaker_references": not is_diarizing,
    }
    for name, is_wrong in wrong.items():
        if is_wrong and asked.get(name):
            raise BadRequest(f"openai: option {name!r} is not for {model}")
    fitting = {name: value for name, value in chosen.items() if not wrong.get(name)}
    if is_diarizing:
        fitting.setdefault("chunking_strategy", "auto")  # required from 30 s on
    return fitting


def _upload_format(asked: AudioFormat) -> tuple[AudioFormat, tuple[str, str]]:
    """The audio wanted of the gateway, and extension and MIME type of the upload.

    Raw audio becomes linear16 in a WAV file; a caller's own file goes out as it came.
    """
    if asked.container == "wav":
        return asked, ("wav", "audio/wav")
    if asked.is_raw:
        return replace(asked, encoding="linear16"), ("wav", "audio/wav")
    kind = _FILES.get((asked.encoding, asked.container))
    if kind is None:
        raise BadRequest(
            f"openai: no {asked.encoding} in {asked.container}; it takes raw audio, wav, mp3, flac,"
            " ogg, webm and m4a"
        )
    return asked, kind


def _cutting(chosen: Mapping[str, Any], limit: int) -> Cutting:
    return Cutting(
        strategy=chosen.get("flush_strategy", "on_silence"),
        threshold_bytes=chosen.get("flush_threshold_bytes", 1024 * 1024),
        rms_threshold=chosen.get("rms_threshold", 0.01),
        silence_s=chosen.get("silence_duration_ms", 1000) / 1000,
        min_audio_s=chosen.get("min_audio_duration_ms", 500) / 1000,
        max_bytes=limit - 44 - _MARGIN_BYTES,
    )


def _check_strategy(chosen: Mapping[str, Any], asked: Mapping[str, Any], extension: str) -> None:
    """A file cannot be cut; a caller who asks for that is told."""
    if asked.get("flush_strategy") and chosen["flush_strategy"] != "on_disconnect":
        raise BadRequest(
            f"openai: {extension} files are uploaded whole; flush_strategy must be on_disconnect"
        )
