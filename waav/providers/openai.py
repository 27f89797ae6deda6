"""OpenAI: recognition of finished pieces of speech, and synthesis, both over HTTP.

Obeys https://platform.openai.com/docs/api-reference/audio, read November 2026. Many vendors implement the same
two calls: with an ``endpoint`` of somebody else, models and voices are not checked against OpenAI's lists.
The listed synthesis models close on 2027-01-06, whisper-1 and the gpt-4o-transcribe family on 2027-02-26.
"""

import json
import math
import re
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlsplit

from waav.errors import BadRequest, ProviderBusy, ProviderError, ProviderRefused, WireError, refusal
from waav.speech import emotion, languages, multipart, vendor_options, wav, wire
from waav.speech.account import api_key, base_address
from waav.speech.audio import AudioFormat
from waav.speech.provider import (
    Account,
    Credential,
    ListenSettings,
    Provider,
    SpeakSettings,
    Voice,
)
from waav.speech.segments import Cutting, Segment, Segments, halves
from waav.speech.spoken import SpokenAnswers
from waav.speech.vendor_options import VendorOption, choice, choices, integer, number, texts

HOST = "https://api.openai.com"
LISTEN_MODEL = "gpt-transcribe"
SPEAK_MODEL = "gpt-4o-mini-tts"
SPEAK_VOICE = "alloy"
VOICES = (
    "alloy", "ash", "ballad", "coral", "echo", "fable", "onyx",
    "nova", "sage", "shimmer", "verse", "marin", "cedar",
)  # fmt: skip
FILE_BYTES = 25 * 1024 * 1024
_MARGIN_BYTES = 65536
_ANSWER_BYTES = 8 * 1024 * 1024  # far above any transcript; a server that sends more is not OpenAI


def _chunking(value: Any) -> str:
    """``auto``, or a server_vad object; either way the text that goes into the form."""
    if value == "auto":
        return "auto"
    if isinstance(value, Mapping) and value.get("type") == "server_vad":
        return json.dumps(dict(value))
    raise ValueError("must be auto or an object of type server_vad")


def _at_most_four(value: Any) -> tuple[str, ...]:
    listed = texts(value)
    if len(listed) > 4:
        raise ValueError("must have at most 4 entries")
    return listed


LISTEN_OPTIONS = (
    VendorOption(
        "flush_strategy",
        choice("on_silence", "on_threshold", "on_disconnect"),
        "When collected audio is recognised; on_silence.",
    ),
    VendorOption("flush_threshold_bytes", integer(3200, FILE_BYTES), "For on_threshold; 1048576."),
    VendorOption(
        "rms_threshold", number(0.0, 1.0), "Level that counts as speech; 0.01 of full scale."
    ),
    VendorOption("silence_duration_ms", integer(100, 60000), "Silence that ends a segment; 1000."),
    VendorOption("min_audio_duration_ms", integer(0, 30000), "Shortest segment on_silence; 500."),
    VendorOption("max_file_size_bytes", integer(200000, FILE_BYTES), "Largest upload; 26214400."),
    VendorOption(
        "response_format",
        choice("json", "text", "srt", "vtt", "verbose_json", "diarized_json"),
        "Form of the answer; default: the one of the model that says most.",
    ),
    VendorOption("timestamp_granularities", choices("word", "segment"), "With verbose_json; both."),
    VendorOption("temperature", number(0.0, 1.0), "Sampling temperature."),
    VendorOption("prompt", vendor_options.text, "Words and style to expect."),
    VendorOption("keywords", texts, "Words to expect; gpt-transcribe only."),
    VendorOption("languages", texts, "Languages to expect; gpt-transcribe only."),
    VendorOption("chunking_strategy", _chunking, "auto, or a server_vad object."),
    VendorOption("known_speaker_names", _at_most_four, "Diarisation: names, at most 4."),
    VendorOption(
        "known_speaker_references", _at_most_four, "Diarisation: data URLs of their voices."
    ),
)
SPEAK_OPTIONS = (
    VendorOption(
        "instructions", vendor_options.text, "How to speak, before any emotion; not with tts-1."
    ),
)


def _headers(account: Account) -> dict[str, str]:
    headers = {"Authorization": f"Bearer {api_key(account, 'OpenAI')}"}
    # The server's organisation has nothing to do with a caller's own key.
    for name, header in (("organization", "Organization"), ("project", "Project")):
        value = account.credentials.get(name)
        if value and not account.is_callers_own:
            headers[f"OpenAI-{header}"] = vendor_options.model_name("openai", str(value))
    return headers


def _base(account: Account) -> str:
    """Without the ``/v1`` that OPENAI_BASE_URL traditionally ends in."""
    return base_address(account, HOST).removesuffix("/v1")


def _is_openai(base: str) -> bool:
    return urlsplit(base).hostname == "api.openai.com"


def refused(head: wire.Head, body: bytes, key: str = "", model: str = "") -> ProviderError:
    """The error for OpenAI's answer: quota is never retried, ``x-should-retry`` is obeyed."""
    said, code = _error_text(body)
    if key:
        said = said.replace(key, "***")
    if model and (code == "model_not_found" or head.status == 410):
        said += f" (model {model} is unknown or retired; speech of retired models is only left in the Realtime API)"
    error = refusal("openai", head.status, said, _retry_after_s(head.headers))
    should_retry = head.headers.get("x-should-retry", "").lower()
    kind: type[ProviderError] = type(error)
    if code == "insufficient_quota" or should_retry == "false":
        kind = ProviderRefused
    elif should_retry == "true":
        kind = ProviderBusy
    return kind(
        "openai",
        error.message,
        retry_after_s=error.retry_after_s,
        upstream_status=error.upstream_status,
    )


def _error_text(body: bytes) -> tuple[str, str]:
    try:
        fields = json.loads(body)["error"]
        return str(fields["message"]), str(fields.get("code") or fields.get("type") or "")
    except (ValueError, KeyError, TypeError, AttributeError):
        return body.decode("utf-8", "replace"), ""


def _retry_after_s(headers: Mapping[str, str]) -> float | None:
    """OpenAI's own header in ms; the link reads the standard one."""
    try:
        return float(headers["retry-after-ms"]) / 1000
    except (KeyError, ValueError):
        return None


# Recognition.

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
        base = _base(account)
        self._model = vendor_options.model_name("openai", settings.model or LISTEN_MODEL)
        self._formats = _answers(self._model, _is_openai(base))
        self._fields = self._form(settings, _fit(self._model, chosen, settings.options))
        self._answer_format = dict(self._fields)["response_format"]
        self._url = f"{base}/v1/audio/transcriptions"
        self._headers = _headers(account)
        self._key = api_key(account, "OpenAI")
        self.opening = wire.Opening(base, finish_s=30.0)
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
        """Of what was too large both halves, each once (providers-stt.md 11.3); anything else is forgotten."""
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
        text, confidence, words, language = _read(self._answer_format, answer, segment.start_s)
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


Read = tuple[str, float, tuple[wire.Word, ...], str | None]


def _read(form: str, answer: bytes, start_s: float) -> Read:
    """Text, confidence, words and language of an answer."""
    plain = answer.decode("utf-8").strip()
    if form == "text":
        return plain, 1.0, (), None
    if form in ("srt", "vtt"):
        return _without_cues(plain), 1.0, (), None
    body = json.loads(plain)
    segments = [one for one in body.get("segments") or () if not _is_hallucinated(one)]
    text = str(body["text"]).strip()
    if len(segments) < len(body.get("segments") or ()):
        text = " ".join(str(one["text"]).strip() for one in segments)
    return text, _confidence(body, segments), _words(body, start_s), body.get("language")


def _is_hallucinated(segment: Mapping[str, Any]) -> bool:
    """Whisper invents text for silence and says so in these two numbers."""
    return (
        float(segment.get("no_speech_prob", 0)) > 0.6 and float(segment.get("avg_logprob", 0)) < -1
    )


def _confidence(body: Mapping[str, Any], segments: list[Mapping[str, Any]]) -> float:
    weighed = [
        (max(0.0, float(one["end"]) - float(one["start"])), math.exp(float(one["avg_logprob"])))
        for one in segments
        if "avg_logprob" in one
    ]
    total = sum(length for length, _ in weighed)
    if total > 0:
        return _probability(sum(length * sure for length, sure in weighed) / total)
    logprobs = [float(one["logprob"]) for one in body.get("logprobs") or ()]
    if logprobs:
        return _probability(math.exp(sum(logprobs) / len(logprobs)))
    return 1.0


def _words(body: Mapping[str, Any], start_s: float) -> tuple[wire.Word, ...]:
    """Words with their times; of a diarised answer its segments, with their speakers."""
    timed: list[tuple[str, Any, str | None]]
    timed = [(str(one["word"]), one, None) for one in body.get("words") or ()]
    if not timed:
        spoken = [one for one in body.get("segments") or () if "speaker" in one]
        timed = [(str(one["text"]).strip(), one, str(one["speaker"])) for one in spoken]
    return tuple(
        wire.Word(text, start_s + float(one["start"]), start_s + float(one["end"]), None, speaker)
        for text, one, speaker in timed
    )


def _without_cues(subtitles: str) -> str:
    """The text of an SRT or WebVTT file."""
    lines = [line.strip() for line in subtitles.splitlines()]
    return " ".join(
        line
        for line in lines
        if line and "-->" not in line and not line.isdigit() and not line.startswith("WEBVTT")
    )


def _probability(value: float) -> float:
    return min(1.0, max(0.0, value)) if value == value else 0.0


# Synthesis.

_SPEAK_MODELS = re.compile(r"(tts-1|tts-1-hd|gpt-4o-mini-tts)(-\d{4}-\d{2}-\d{2})?")
_PLAIN_MODELS = re.compile(r"tts-1(-hd)?(-.*)?")  # take no instructions
_COMPRESSED = {("mp3", "raw"): "mp3", ("opus", "ogg"): "opus", ("aac", "raw"): "aac",
               ("flac", "raw"): "flac"}  # fmt: skip


class Speak:
    """Text in, audio out: one request per text."""

    def __init__(self, settings: SpeakSettings, account: Account) -> None:
        chosen = vendor_options.read("openai", SPEAK_OPTIONS, settings.options, account.options)
        base = _base(account)
        self._model = vendor_options.model_name("openai", settings.model or SPEAK_MODEL)
        name = vendor_options.model_name("openai", settings.voice or SPEAK_VOICE)
        if _is_openai(base):
            _check_names(self._model, name)
        self.format, answer_format = _speak_format(settings.format)
        self._warnings: list[wire.Warned] = []
        self._body: dict[str, Any] = {
            "model": self._model,
            "voice": {"id": name} if name.startswith("voice_") else name,
            "response_format": answer_format,
        }
        speed = self._speed(settings.rate)
        if speed is not None:
            self._body["speed"] = speed
        instructions = self._instructions(settings, chosen.get("instructions"))
        if instructions:
            self._body["instructions"] = instructions
        self._url = f"{base}/v1/audio/speech"
        self._headers = _headers(account) | {"Content-Type": "application/json"}
        self._key = api_key(account, "OpenAI")
        self.opening = wire.Opening(base)
        self._answers = SpokenAnswers("openai", self.format)

    def send(self, command: wire.Command) -> list[wire.Outgoing]:
        if not isinstance(command, wire.Speak):
            return []
        body = json.dumps(self._body | {"input": command.text}, ensure_ascii=False).encode()
        return [wire.Request("POST", self._url, self._headers, body, cacheable=True)]

    def receive(self, incoming: wire.Incoming) -> list[wire.Event]:
        events = self._answers.read(incoming)
        if isinstance(incoming, wire.Head):
            warned, self._warnings = self._warnings, []
            events += warned
        return events

    def refused(self, head: wire.Head, body: bytes) -> ProviderError:
        return refused(head, body, self._key, self._model)

    def _speed(self, rate: float | None) -> float | None:
        if rate is None or abs(rate - 1.0) <= 0.001:
            return None
        speed = min(4.0, max(0.25, rate))
        if speed != rate:
            self._warnings.append(wire.Warned(f"openai: speaking rate {rate:g} becomes {speed:g}"))
        return speed

    def _instructions(self, settings: SpeakSettings, asked: str | None) -> str | None:
        """What the options say, else the emotion in words."""
        phrase = emotion.instruction(settings.emotion) if settings.emotion else ""
        if not _PLAIN_MODELS.fullmatch(self._model):
            return asked or phrase
        if settings.options.get("instructions"):
            raise BadRequest(f"openai: option 'instructions' is not for {self._model}")
        if settings.emotion:
            lost = emotion.ignored(settings.emotion, f"openai {self._model}")
            self._warnings += [wire.Warned("; ".join(lost))] if lost else []
        return None


def _check_names(model: str, voice: str) -> None:
    if not _SPEAK_MODELS.fullmatch(model):
        raise BadRequest(
            f"openai: {model} is no speech model; there are tts-1, tts-1-hd and gpt-4o-mini-tts"
        )
    if voice not in VOICES and not voice.startswith("voice_"):
        raise BadRequest(f"openai: no voice {voice}; there are {', '.join(VOICES)}")


def _speak_format(asked: AudioFormat) -> tuple[AudioFormat, str]:
    """What comes, and its name in the request. All of it is 24 kHz mono; Opus decodes at 48."""
    if asked.is_raw:
        return AudioFormat("linear16", 24000), "pcm"
    if asked.container == "wav":
        return AudioFormat("linear16", 24000, 1, "wav"), "wav"
    name = _COMPRESSED.get((asked.encoding, asked.container))
    if name is None:
        raise BadRequest(
            f"openai: no {asked.encoding} in {asked.container}; it has linear16, wav, mulaw, alaw,"
            " mp3, opus, aac and flac"
        )
    rate_hz = 48000 if name == "opus" else 24000
    return AudioFormat(asked.encoding, rate_hz, 1, asked.container), name


class Voices:
    """A fixed list: the API has none to ask for."""

    def __init__(self, account: Account) -> None:
        pass

    def first(self) -> wire.Request | None:
        return None

    def read(self, body: bytes) -> tuple[list[Voice], wire.Request | None]:
        return [Voice(name, name.capitalize(), language="Multilingual") for name in VOICES], None


def check(account: Account) -> None:
    """Refuse wrong operator settings at start."""
    vendor_options.check("openai", (*LISTEN_OPTIONS, *SPEAK_OPTIONS), account.options)
    base_address(account, HOST)


openai = Provider(
    "openai",
    title="OpenAI",
    credentials=(
        Credential("api_key", "OPENAI_API_KEY", "openai_api_key", "OpenAI API key"),
        Credential(
            "organization",
            "OPENAI_ORG_ID",
            "openai_organization",
            "OpenAI organization",
            is_required=False,
            is_secret=False,
        ),
        Credential(
            "project",
            "OPENAI_PROJECT_ID",
            "openai_project",
            "OpenAI project",
            is_required=False,
            is_secret=False,
        ),
    ),
    listen=Listen,
    speak=Speak,
    voices=Voices,
    capabilities=frozenset({"batch", "words", "emotion", "speaking rate", "voice list"}),
    check=check,
    text_limit=4096,
    compressed=("opus", "mp3", "aac"),
    models={"listen": LISTEN_MODEL, "speak": SPEAK_MODEL},
    options=vendor_options.described(LISTEN_OPTIONS, SPEAK_OPTIONS),
)
