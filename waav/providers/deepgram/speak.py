"""Synthesis over HTTP: Aura on version 1, Flux on version 2."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

from waav.errors import BadRequest, ProviderError, refusal
from waav.providers.deepgram.account import HOST, authorization
from waav.providers.deepgram.audio import nearest
from waav.providers.deepgram.options import (
    FLUX_SPEAK_OPTIONS,
    SPEAK_OPTIONS,
)
from waav.speech import emotion, vendor_options, wire
from waav.speech.account import base_address
from waav.speech.audio import AudioFormat
from waav.speech.provider import Account, SpeakSettings
from waav.speech.spoken import SpokenAnswers

SPEAK_MODEL = "aura-asteria-en"

_LISTENING = ("flux-general-", "nova", "enhanced", "base", "whisper")  # models, not voices
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
_EXPRESSIVITY = {  # for a low, medium and high intensity of the emotion
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
        self._headers = authorization(account) | {"Content-Type": "application/json"}
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
    if name.startswith(_LISTENING):
        raise BadRequest(f"deepgram: {name} recognises speech, it has no voice")
    return vendor_options.model_name("deepgram", name)


def _speak_format(asked: AudioFormat) -> AudioFormat:
    """What to ask for: the same if Deepgram has it, else the nearest that loses nothing."""
    is_wav = asked.container == "wav"
    if asked.is_raw or is_wav:
        encoding = asked.encoding if asked.encoding in ("mulaw", "alaw") else "linear16"
        if is_wav or asked.rate_hz > max(_SPEAK_RATES[encoding]):
            encoding = "linear16"
        rate_hz = nearest(asked.rate_hz, _SPEAK_RATES[encoding])
        return AudioFormat(encoding, rate_hz, 1, "wav" if is_wav else "raw")
    if asked.encoding == "flac" and asked.container == "raw":
        return AudioFormat("flac", nearest(asked.rate_hz, _SPEAK_RATES["flac"]))
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
