"""Deepgram: streaming recognition over WebSocket, synthesis over HTTP.

Obeys https://developers.deepgram.com/reference (listen-live, listen-flux, speak, models), read November 2026.
Models and voices named ``flux-*`` live on version 2 of either address, everything else on version 1.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from waav.errors import BadRequest, ProviderBusy, ProviderError, ProviderRefused, WireError, refusal
from waav.speech import emotion, languages, vendor_options, wire
from waav.speech.account import api_key, base_address
from waav.speech.audio import SAMPLE_BYTES, AudioFormat
from waav.speech.provider import (
    Account,
    Credential,
    ListenSettings,
    Provider,
    SpeakSettings,
    Voice,
)
from waav.speech.spoken import SpokenAnswers
from waav.speech.vendor_options import (
    VendorOption,
    boolean,
    choice,
    choices,
    integer,
    number,
    off_or,
    texts,
)

HOST = "https://api.deepgram.com"
LISTEN_MODEL = "nova-3"
SPEAK_MODEL = "aura-asteria-en"

_SHARED = (
    VendorOption("mip_opt_out", boolean, "Keep this audio out of Deepgram's model improvement."),
    VendorOption("tag", texts, "Labels for Deepgram's usage reports; one or a list."),
)
_BOTH_LISTEN = (
    *_SHARED,
    VendorOption("keyterm", texts, "Terms to expect; Nova-3 and Flux only."),
    VendorOption("language_hint", texts, "Languages to expect, with a multilingual model."),
    VendorOption("numerals", boolean, "Digits instead of number words."),
    VendorOption("profanity_filter", boolean, "Remove profanity."),
)
LISTEN_OPTIONS = (
    *_BOTH_LISTEN,
    VendorOption("detect_entities", boolean, "Report entities."),
    VendorOption("dictation", boolean, "Spoken punctuation becomes punctuation."),
    VendorOption("diarize", boolean, "Tell speakers apart."),
    VendorOption("diarize_model", choice("v1", "latest"), "Which diarisation."),
    VendorOption(
        "endpointing", off_or(integer(1)), "Silence that ends speech, in ms, or false; 200."
    ),
    VendorOption("extra", texts, "Key:value pairs returned with the results."),
    VendorOption("filler_words", boolean, "Keep uh and um."),
    VendorOption("interim_results", boolean, "Results while somebody speaks; on."),
    VendorOption("keywords", texts, "Words with a boost, term:2; not for Nova-3."),
    VendorOption("multichannel", boolean, "Recognise every channel for itself."),
    VendorOption(
        "redact",
        choices("pci", "numbers", "aggressive_numbers", "ssn", "true", "false"),
        "What to blot out; one or a list.",
    ),
    VendorOption("replace", texts, "find:replacement pairs."),
    VendorOption("search", texts, "Terms to search for."),
    VendorOption("smart_format", boolean, "Dates, amounts and the like as people write them; on."),
    VendorOption(
        "utterance_end_ms", off_or(integer(1000)), "Gap that ends an utterance, in ms; 1000."
    ),
    VendorOption("vad_events", boolean, "Say when speech starts."),
    VendorOption("version", vendor_options.text, "Model version."),
)
FLUX_LISTEN_OPTIONS = (
    *_BOTH_LISTEN,
    VendorOption(
        "eager_eot_threshold", number(0.3, 0.9), "Flux: confidence for an early end of turn."
    ),
    VendorOption("eot_threshold", number(0.5, 1.0), "Flux: confidence for the end of a turn."),
    VendorOption("eot_timeout_ms", integer(500, 60000), "Flux: silence that ends a turn, in ms."),
    VendorOption(
        "redact", choices("numbers", "aggressive_numbers"), "What to blot out; one or a list."
    ),
)
SPEAK_OPTIONS = (
    *_SHARED,
    VendorOption("bit_rate", integer(4000, 650000), "Bits per second of mp3, opus and aac."),
    VendorOption("markup", boolean, "Pass pause and pronunciation tags in the text; off."),
)
FLUX_SPEAK_OPTIONS = (
    *SPEAK_OPTIONS,
    VendorOption("expressivity", number(-2.0, 2.0), "Flux: how lively, before any emotion."),
)
_OPERATORS = tuple(
    {
        option.name: option
        for option in (*FLUX_LISTEN_OPTIONS, *LISTEN_OPTIONS, *FLUX_SPEAK_OPTIONS)
    }.values()
)


def _authorization(account: Account) -> dict[str, str]:
    """A short-lived token (a JWT) is announced otherwise than a key."""
    key = api_key(account, "Deepgram")
    is_token = key.startswith("eyJ") and key.count(".") == 2
    return {"Authorization": f"{'Bearer' if is_token else 'Token'} {key}"}


# Recognition.

_RAW_NAMES = {"linear16": "linear16", "linear32": "linear32", "mulaw": "mulaw", "alaw": "alaw",
              "flac": "flac", "opus": "opus", "amr_nb": "amr-nb", "amr_wb": "amr-wb",
              "speex": "speex", "g729": "g729"}  # fmt: skip
_FLUX_RATES = (8000, 16000, 24000, 44100, 48000)


def listen(settings: ListenSettings, account: Account) -> wire.Dialogue:
    """The dialogue that suits the model."""
    model = vendor_options.model_name("deepgram", settings.model or LISTEN_MODEL)
    if model.startswith("flux-"):
        return FluxListen(settings, account, model)
    return Listen(settings, account, model)


def _described(audio: AudioFormat) -> dict[str, Any]:
    """How the query describes audio. Containers describe themselves and must not be named."""
    if audio.container == "ogg" and audio.encoding == "opus":
        return {"encoding": "ogg-opus", "sample_rate": audio.rate_hz}
    if audio.container != "raw" or audio.encoding not in _RAW_NAMES:
        return {}
    return {"encoding": _RAW_NAMES[audio.encoding], "sample_rate": audio.rate_hz}


class Listen:
    """Audio in, transcripts out (version 1)."""

    def __init__(self, settings: ListenSettings, account: Account, model: str) -> None:
        self.format = settings.format
        if self.format.encoding in ("float32", "float16"):
            self.format = replace(self.format, encoding="linear16")
        chosen = vendor_options.read("deepgram", LISTEN_OPTIONS, settings.options, account.options)
        chosen = _fit(model, settings.language, chosen, settings.options)
        values: dict[str, Any] = {"model": model}
        if settings.language and settings.language != "auto":
            values["language"] = settings.language
        values |= _described(self.format)
        if self.format.container == "raw":
            values["channels"] = self.format.channels
        values["punctuate"] = settings.punctuation
        values |= {"interim_results": True, "smart_format": True, "endpointing": 200} | chosen
        if values["interim_results"]:
            values.setdefault("utterance_end_ms", 1000)
        if values.get("utterance_end_ms") is False:
            del values["utterance_end_ms"]
        base = base_address(account, HOST, is_socket=True)
        self.opening = wire.Opening(
            f"{base}/v1/listen?{urlencode(vendor_options.query(values))}",
            _authorization(account),
            keepalive_s=4.0,
            resumes=self.format.is_raw,
            takes_audio_as_it_is=True,
        )
        self._has_open_final = False
        self._covered: dict[int, float] = {}

    def send(self, command: wire.Command) -> list[wire.Outgoing]:
        match command:
            case wire.Audio(data):
                # An empty frame would count as the end of the audio.
                return [data] if data else []
            case wire.KeepAlive():
                return ['{"type":"KeepAlive"}']
            case wire.Flush():
                return ['{"type":"Finalize"}']
            case wire.Finish():
                return ['{"type":"CloseStream"}']
        return []

    def receive(self, incoming: wire.Incoming) -> list[wire.Event]:
        body = _message(incoming)
        match body["type"]:
            case "Results":
                return self._results(body)
            case "UtteranceEnd" if self._has_open_final:
                self._has_open_final = False
                return [wire.Transcript("", is_final=True, is_speech_final=True)]
            case "SpeechStarted":
                return [wire.SpeechStarted(float(body["timestamp"]))]
            case "Error":
                return [_reported(body)]
            case "ConfigureFailure":
                return [wire.Warned(f"deepgram refused a change: {body.get('description', '')}")]
        return []

    def _results(self, body: dict[str, Any]) -> list[wire.Event]:
        best = body["channel"]["alternatives"][0]
        text = str(best["transcript"]).strip()
        is_final = bool(body["is_final"])
        is_speech_final = is_final and bool(body["speech_final"] or body.get("from_finalize"))
        if not is_final and not text:
            return []
        end_s = self._cover(body) if is_final else None
        if is_speech_final:
            self._has_open_final = False
        elif is_final and text:
            self._has_open_final = True
        # A blank final is said all the same: it tells the link up to where the audio is dealt with.
        channel = body["channel_index"] if body.get("channel_index", [0, 1])[1] > 1 else None
        spoken_in = best.get("languages") or [None]
        return [
            wire.Transcript(
                text,
                is_final,
                is_speech_final,
                _probability(best.get("confidence")),
                end_s,
                _words(best.get("words", ()), f"channel {channel[0]}" if channel else None),
                spoken_in[0],
            )
        ]

    def _cover(self, body: Mapping[str, Any]) -> float:
        """Up to where every channel has its final."""
        index, count = body.get("channel_index", [0, 1])
        self._covered[index] = float(body["start"]) + float(body["duration"])
        return min(self._covered.get(one, 0.0) for one in range(count))


class FluxListen:
    """Audio in, turns out (version 2)."""

    def __init__(self, settings: ListenSettings, account: Account, model: str) -> None:
        self.format = _flux_format(settings.format)
        chosen = vendor_options.read(
            "deepgram", FLUX_LISTEN_OPTIONS, settings.options, account.options
        )
        if "language_hint" in chosen and not model.endswith("-multi"):
            raise BadRequest("deepgram: option 'language_hint' needs a multilingual model")
        values = {"model": model} | _described(self.format) | chosen
        base = base_address(account, HOST, is_socket=True)
        self.opening = wire.Opening(
            f"{base}/v2/listen?{urlencode(vendor_options.query(values))}",
            _authorization(account),
            says_ready=True,
            keepalive_s=4.0 if self.format.is_raw else None,
            resumes=self.format.is_raw,
        )
        self._sent_bytes = 0
        self._silences: list[tuple[float, float]] = []

    def send(self, command: wire.Command) -> list[wire.Outgoing]:
        match command:
            case wire.Audio(data):
                self._sent_bytes += len(data)
                return [data] if data else []
            case wire.KeepAlive():
                return [self._silence()]
            case wire.Flush():
                return ['{"type":"ForceEndTurn"}']
            case wire.Finish():
                return ['{"type":"CloseStream"}']
        return []

    def receive(self, incoming: wire.Incoming) -> list[wire.Event]:
        body = _message(incoming)
        match body["type"]:
            case "Connected":
                return [wire.Ready()]
            case "TurnInfo":
                return self._turn(body)
            case "Error":
                raise _broken(body)
            case "Warning":
                return [wire.Warned(f"deepgram warns: {body.get('description', '')}")]
            case "ConfigureFailure":
                return [wire.Warned(f"deepgram refused a change: {body.get('description', '')}")]
        return []

    def _turn(self, body: Mapping[str, Any]) -> list[wire.Event]:
        text = str(body["transcript"]).strip()
        words = list(body.get("words", ()))
        sure = _probability(
            sum(float(word["confidence"]) for word in words) / len(words) if words else 0.0
        )
        timed = tuple(self._word(word) for word in words if "start" in word and "end" in word)
        if body["event"] == "EndOfTurn":
            end_s = self._callers_time(float(body["audio_window_end"]))
            return [wire.Transcript(text, True, True, sure, end_s, timed)]
        events: list[wire.Event] = []
        if body["event"] == "StartOfTurn":
            events.append(wire.SpeechStarted(self._callers_time(float(body["audio_window_start"]))))
        if text:
            events.append(wire.Transcript(text, confidence=sure, words=timed))
        return events

    def _word(self, word: Mapping[str, Any]) -> wire.Word:
        start, end = self._callers_time(word["start"]), self._callers_time(word["end"])
        return wire.Word(word["word"], start, end, _probability(word["confidence"]))

    def _silence(self) -> bytes:
        """There is no keep-alive message; silence does, and its length is taken out of all times."""
        silence = self.format.silence(0.1)
        at_s = self.format.duration_s(self._sent_bytes) or 0.0
        self._sent_bytes += len(silence)
        self._silences.append((at_s, self.format.duration_s(len(silence)) or 0.0))
        return silence

    def _callers_time(self, vendors_s: float) -> float:
        return vendors_s - sum(
            min(length, vendors_s - at) for at, length in self._silences if at < vendors_s
        )


def _flux_format(asked: AudioFormat) -> AudioFormat:
    """The nearest that Flux takes: one channel, one of its rates."""
    if not asked.is_raw:
        if asked.encoding == "opus" and asked.container in ("raw", "ogg"):
            return asked
        raise BadRequest(f"deepgram: flux models do not take {asked.encoding} in {asked.container}")
    encoding = "linear16" if asked.encoding.startswith("float") else asked.encoding
    if asked.rate_hz not in _FLUX_RATES and SAMPLE_BYTES[encoding] == 1:
        encoding = "linear16"
    rate_hz = _nearest(asked.rate_hz, _FLUX_RATES)
    return AudioFormat(encoding, rate_hz)


def _fit(
    model: str, language: str, chosen: dict[str, Any], asked: Mapping[str, Any]
) -> dict[str, Any]:
    """Without the options that Deepgram would answer with 400 for this model.

    Raises:
        BadRequest: it was the caller who asked for one; an operator's is only a wish.
    """
    is_nova3 = model.startswith("nova-3")
    wrong = {
        "keywords": "is not for nova-3 models; use 'keyterm'" if is_nova3 else "",
        "keyterm": "" if is_nova3 else f"needs a nova-3 model, not {model}",
        "language_hint": "" if is_nova3 and language == "multi" else "needs nova-3 and 'multi'",
        "utterance_end_ms": (
            "needs interim_results" if chosen.get("interim_results") is False else ""
        ),
    }
    for name, why in wrong.items():
        if why and asked.get(name):
            raise BadRequest(f"deepgram: option {name!r} {why}")
    return {name: value for name, value in chosen.items() if not wrong.get(name)}


def _message(incoming: wire.Incoming) -> dict[str, Any]:
    if not isinstance(incoming, str):
        raise WireError("deepgram", "deepgram: listen answered with something other than text")
    body = json.loads(incoming)
    if not isinstance(body, dict):
        raise WireError("deepgram", "deepgram: listen answered with something other than an object")
    return body


def _words(raw: Any, speaker: str | None) -> tuple[wire.Word, ...]:
    return tuple(
        wire.Word(
            word.get("punctuated_word") or word["word"],
            float(word["start"]),
            float(word["end"]),
            _probability(word.get("confidence")),
            speaker if "speaker" not in word else str(word["speaker"]),
        )
        for word in raw
    )


def _probability(value: Any) -> float:
    sure = float(value or 0.0)
    return min(1.0, max(0.0, sure)) if sure == sure else 0.0


def _said(body: Mapping[str, Any]) -> str:
    name = body.get("variant") or body.get("code") or "Error"
    return f"{name}: {body.get('description') or body.get('message') or 'no description'}"


def _reported(body: Mapping[str, Any]) -> wire.Event:
    """A schema error spoils one message; every other error ends the stream."""
    if body.get("variant") == "SchemaError":
        return wire.Failed(ProviderRefused("deepgram", f"deepgram reported {_said(body)}"))
    raise _broken(body)


def _broken(body: Mapping[str, Any]) -> ProviderError:
    """NET codes are trouble on Deepgram's side and pass; the others would come again."""
    code = str(body.get("code") or body.get("variant") or "")
    kind = ProviderBusy if code.startswith(("NET", "INTERNAL")) else ProviderRefused
    return kind("deepgram", f"deepgram reported {_said(body)}")


# Synthesis.

_SPEAK_RATES: dict[str, tuple[int, ...]] = {
    "linear16": (8000, 16000, 24000, 32000, 48000),
    "flac": (8000, 16000, 22050, 32000, 48000),
    "mulaw": (8000, 16000),
    "alaw": (8000, 16000),
}
_FIXED_RATES = {"mp3": 22050, "opus": 48000, "aac": 22050}
_BIT_RATES: dict[str, tuple[int, ...] | range] = {
    "mp3": (32000, 48000),
    "opus": range(4000, 650001),
    "aac": range(4000, 192001),
}
_FLUX_MP3_BIT_RATES = (8000, 16000, 24000, 32000, 40000, 48000)
_EXPRESSIVITY = {  # providers-tts 7.6: low, medium, high
    "neutral": (0.0, 0.0, 0.0), "happy": (0.5, 1.0, 1.5), "sad": (-0.5, -0.5, -0.5),
    "angry": (1.0, 1.5, 2.0), "fearful": (0.5, 1.0, 1.5), "surprised": (1.0, 1.0, 1.0),
    "disgusted": (0.5, 0.5, 0.5), "excited": (1.0, 1.5, 2.0), "calm": (-0.5, -0.5, -0.5),
    "anxious": (0.5, 0.5, 0.5), "confident": (0.5, 0.5, 0.5), "confused": (0.0, 0.0, 0.0),
    "empathetic": (0.0, 0.0, 0.0), "sarcastic": (0.5, 0.5, 0.5), "hopeful": (0.5, 0.5, 0.5),
    "disappointed": (-0.5, -0.5, -0.5), "curious": (0.5, 0.5, 0.5), "grateful": (0.0, 0.0, 0.0),
    "proud": (1.0, 1.0, 1.0), "embarrassed": (0.0, 0.0, 0.0), "content": (0.0, 0.0, 0.0),
    "bored": (-1.0, -1.0, -1.0),
}  # fmt: skip


class Speak:
    """Text in, audio out: one request per text."""

    def __init__(self, settings: SpeakSettings, account: Account) -> None:
        voice = _voice(settings)
        is_flux = voice.startswith("flux-")
        known = FLUX_SPEAK_OPTIONS if is_flux else SPEAK_OPTIONS
        chosen = vendor_options.read("deepgram", known, settings.options, account.options)
        self.format = _speak_format(settings.format)
        _fit_bit_rate(chosen, settings.options, self.format.encoding, is_flux)
        self._keeps_markup = chosen.pop("markup", False)
        self._warnings = _ignored(settings, voice)
        values: dict[str, Any] = {"model": voice, "encoding": self.format.encoding}
        values |= _packed(self.format)
        speed = _speed(settings.rate, voice, self._warnings)
        values |= {"speed": speed} if speed is not None else {}
        values |= _liveliness(settings) if is_flux else {}
        values |= chosen
        base = base_address(account, HOST)
        path = "v2" if is_flux else "v1"
        self._url = f"{base}/{path}/speak?{urlencode(vendor_options.query(values))}"
        self._headers = _authorization(account) | {"Content-Type": "application/json"}
        self.opening = wire.Opening(base)
        self._answers = SpokenAnswers("deepgram", self.format)

    def send(self, command: wire.Command) -> list[wire.Outgoing]:
        if not isinstance(command, wire.Speak):
            return []
        text = command.text
        if not self._keeps_markup:
            text = text.replace("\\{", "{").replace("\\}", "}")
        body = json.dumps({"text": text}, ensure_ascii=False).encode()
        return [wire.Request("POST", self._url, self._headers, body, cacheable=True)]

    def receive(self, incoming: wire.Incoming) -> list[wire.Event]:
        events = self._answers.read(incoming)
        if isinstance(incoming, wire.Head):
            warned, self._warnings = self._warnings, []
            events += [*warned, *_vendors_warning(incoming.headers)]
        return events

    def refused(self, head: wire.Head, body: bytes) -> ProviderError:
        """Deepgram's own words for what it refuses."""
        return refusal("deepgram", head.status, _refusal_text(body))


def _voice(settings: SpeakSettings) -> str:
    """The voice is the model; either field may carry it."""
    model = settings.model or ""
    if model.startswith(("aura", "flux")) or not settings.voice:
        name = model or SPEAK_MODEL
    else:
        name = settings.voice
    if name.startswith("flux-general-"):
        raise BadRequest(f"deepgram: {name} recognises speech, it has no voice")
    return vendor_options.model_name("deepgram", name)


def _speak_format(asked: AudioFormat) -> AudioFormat:
    """What to ask for: the same if Deepgram has it, else the nearest that loses nothing."""
    is_wav = asked.container == "wav"
    if asked.is_raw or is_wav:
        encoding = asked.encoding if asked.encoding in ("mulaw", "alaw") else "linear16"
        if is_wav or asked.rate_hz > max(_SPEAK_RATES[encoding]):
            encoding = "linear16"
        rate_hz = _nearest(asked.rate_hz, _SPEAK_RATES[encoding])
        return AudioFormat(encoding, rate_hz, 1, "wav" if is_wav else "raw")
    if asked.encoding == "flac" and asked.container == "raw":
        return AudioFormat("flac", _nearest(asked.rate_hz, _SPEAK_RATES["flac"]))
    container = "ogg" if asked.encoding == "opus" else "raw"
    if asked.encoding in _FIXED_RATES and asked.container == container:
        return AudioFormat(asked.encoding, _FIXED_RATES[asked.encoding], 1, asked.container)
    raise BadRequest(
        f"deepgram: no {asked.encoding} in {asked.container}; it has linear16, wav, mulaw, alaw,"
        " mp3, opus, flac and aac"
    )


def _packed(audio: AudioFormat) -> dict[str, Any]:
    """Container and rate of the query; compressed formats have a fixed rate that must not be named."""
    values: dict[str, Any] = {}
    if audio.encoding in ("linear16", "mulaw", "alaw"):
        values["container"] = "wav" if audio.container == "wav" else "none"
    elif audio.encoding == "opus":
        values["container"] = "ogg"
    if audio.encoding in _SPEAK_RATES:
        values["sample_rate"] = audio.rate_hz
    return values


def _fit_bit_rate(
    chosen: dict[str, Any], asked: Mapping[str, Any], encoding: str, is_flux: bool
) -> None:
    """Check a caller's bit rate against the encoding; drop an operator's that does not fit."""
    allowed = _BIT_RATES.get(encoding, ())
    if is_flux and encoding == "mp3":
        allowed = _FLUX_MP3_BIT_RATES
    bit_rate = chosen.get("bit_rate")
    if bit_rate is None or bit_rate in allowed:
        return
    if asked.get("bit_rate") is not None:
        raise BadRequest(f"deepgram: option 'bit_rate' {bit_rate} is not for {encoding}")
    del chosen["bit_rate"]


def _speed(rate: float | None, voice: str, warnings: list[wire.Warned]) -> float | None:
    if rate is None or abs(rate - 1.0) <= 0.001:
        return None
    if voice.startswith("aura-2-"):
        low, high, speed = 0.7, 1.5, rate
    elif voice.startswith("flux-"):
        low, high, speed = 0.5, 1.5, round(rate * 20) / 20
    else:
        warnings.append(wire.Warned(f"deepgram: {voice} has no speaking rate; it is ignored"))
        return None
    speed = min(high, max(low, speed))
    if abs(speed - rate) > 0.001:
        warnings.append(wire.Warned(f"deepgram: speaking rate {rate:g} becomes {speed:g}"))
    return speed


def _ignored(settings: SpeakSettings, voice: str) -> list[wire.Warned]:
    warnings: list[wire.Warned] = []
    if settings.emotion is not None:
        asked = settings.emotion
        if voice.startswith("flux-"):  # has a strength for the emotion, and nothing else
            asked = replace(asked, emotion=None, intensity=None)
        lost = emotion.ignored(asked, f"deepgram {voice}")
        warnings += [wire.Warned("; ".join(lost))] if lost else []
    suffix = voice.rsplit("-", 1)[-1]
    language = (settings.language or suffix).split("-")[0].lower()
    if len(suffix) == 2 and language != suffix:
        warnings.append(wire.Warned(f"deepgram: {voice} speaks {suffix}, not {settings.language}"))
    return warnings


def _liveliness(settings: SpeakSettings) -> dict[str, float]:
    asked = settings.emotion
    if asked is None or asked.emotion not in _EXPRESSIVITY:
        return {}
    intensity = 0.6 if asked.intensity is None else asked.intensity
    level = 0 if intensity < 0.45 else 1 if intensity < 0.8 else 2
    return {"expressivity": _EXPRESSIVITY[asked.emotion][level]}


def _vendors_warning(headers: Mapping[str, str]) -> list[wire.Warned]:
    said = headers.get("dg-warnings")
    return [wire.Warned(f"deepgram warns: {said}")] if said else []


def _refusal_text(body: bytes) -> str:
    """Either of the two shapes errors have; whatever else as it is."""
    try:
        fields = json.loads(body)
        name = fields.get("err_code") or fields.get("category")
        said = fields.get("err_msg") or fields.get("message")
    except (ValueError, AttributeError):
        return body.decode("utf-8", "replace")
    details = fields.get("details")
    return ": ".join(str(part) for part in (name, said, details) if part)


def _nearest(rate_hz: int, offered: tuple[int, ...]) -> int:
    """The rate itself, else the next higher one, else the highest."""
    return min((one for one in offered if one >= rate_hz), default=max(offered))


# Voices.


class Voices:
    """The voices of ``GET /v1/models``."""

    def __init__(self, account: Account) -> None:
        self._url = f"{base_address(account, HOST)}/v1/models"
        self._headers = _authorization(account)

    def first(self) -> wire.Request | None:
        return wire.Request("GET", self._url, self._headers)

    def read(self, body: bytes) -> tuple[list[Voice], wire.Request | None]:
        return [_voice_row(row) for row in json.loads(body)["tts"]], None


def _voice_row(row: Mapping[str, Any]) -> Voice:
    about = row.get("metadata") or {}
    spoken = row.get("languages") or []
    return Voice(
        str(row["canonical_name"]),
        str(row.get("name") or row["canonical_name"]),
        str(about.get("sample") or ""),
        str(about.get("accent") or "Unknown"),
        languages.gender(about.get("tags") or ()),
        languages.language_name(spoken[0]) if spoken else "Unknown",
    )


def check(account: Account) -> None:
    """Refuse wrong operator settings at start."""
    vendor_options.check("deepgram", _OPERATORS, account.options)
    base_address(account, HOST)


deepgram = Provider(
    "deepgram",
    title="Deepgram",
    credentials=(
        Credential("api_key", "DEEPGRAM_API_KEY", "deepgram_api_key", "Deepgram API key"),
    ),
    listen=listen,
    speak=Speak,
    voices=Voices,
    capabilities=frozenset(
        {"streaming", "interim results", "words", "diarization", "speaking rate", "voice list"}
    ),
    check=check,
    text_limit=2000,
    compressed=("opus", "mp3", "aac"),
    models={"listen": LISTEN_MODEL, "speak": SPEAK_MODEL},
    options=vendor_options.described(FLUX_LISTEN_OPTIONS, LISTEN_OPTIONS, FLUX_SPEAK_OPTIONS),
)
