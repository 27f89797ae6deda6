"""Synthesis: one request per text."""

import json
import re
from typing import Any

from waav.errors import BadRequest, ProviderError
from waav.providers.openai.account import base, headers, is_openai
from waav.providers.openai.options import SPEAK_OPTIONS, model_of
from waav.providers.openai.refusals import refused
from waav.providers.openai.voices import VOICES
from waav.speech import emotion, vendor_options, wire
from waav.speech.account import api_key
from waav.speech.audio import AudioFormat
from waav.speech.provider import Account, SpeakSettings
from waav.speech.spoken import SpokenAnswers

SPEAK_MODEL = "gpt-4o-mini-tts"
SPEAK_VOICE = "alloy"

_SPEAK_MODELS = re.compile(r"(tts-1|tts-1-hd|gpt-4o-mini-tts)(-\d{4}-\d{2}-\d{2})?")
_PLAIN_MODELS = re.compile(r"tts-1(-hd)?(-.*)?")  # take no instructions
_NOT_PLAIN = ("ballad", "verse", "marin", "cedar")  # voices that those do not have
_COMPRESSED = {("mp3", "raw"): "mp3", ("opus", "ogg"): "opus", ("aac", "raw"): "aac",
               ("flac", "raw"): "flac"}  # fmt: skip


class Speak:
    """Text in, audio out: one request per text."""

    def __init__(self, settings: SpeakSettings, account: Account) -> None:
        chosen = vendor_options.read("openai", SPEAK_OPTIONS, settings.options, account.options)
        address = base(account)
        self._model = model_of(settings.model or SPEAK_MODEL, is_openai=is_openai(address))
        name = vendor_options.model_name("openai", settings.voice or SPEAK_VOICE)
        if is_openai(address):
            name = name if name.startswith("voice_") else name.lower()
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
        self._url = f"{address}/v1/audio/speech"
        self._headers = headers(account) | {"Content-Type": "application/json"}
        self._key = api_key(account, "OpenAI")
        self.opening = wire.Opening(address)
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
    is_plain = bool(_PLAIN_MODELS.fullmatch(model))
    voices = [one for one in VOICES if not is_plain or one not in _NOT_PLAIN]
    if voice not in voices and not voice.startswith("voice_"):
        raise BadRequest(f"openai: no voice {voice} of {model}; there are {', '.join(voices)}")


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
