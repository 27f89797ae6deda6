"""The embedded voices: recognition and synthesis by the gateway's own models, in English, without any account.

Recognition is Moonshine tiny (``waav.models.moonshine``), which gives no confidence: it stays at 0 for partials and
is 1.0 for finals, as clients expect of vendors without scores. Synthesis is Hibari (``waav.models.hibari``).
Both always work in their own audio format; the gateway converts.
"""

import json
from typing import Final

from waav.errors import BadRequest, ConfigError, WireError
from waav.models import hibari, moonshine
from waav.models.vad import Rules
from waav.speech import emotion, vendor_options, wire
from waav.speech.audio import AudioFormat, AudioFrame
from waav.speech.provider import Account, ListenSettings, Provider, SpeakSettings, Voice
from waav.speech.vendor_options import VendorOption, integer, number

_DEFAULTS: Final = Rules()
_JOB_BYTES: Final = 2048
"""64 ms: every message is a job for a worker thread, and the voice activity network looks at 32 ms at a time."""
LISTEN_OPTIONS = (
    VendorOption("endpoint_ms", integer(200, 5000), "Silence that ends an utterance; 600."),
    VendorOption(
        "longest_ms", integer(3000, 30000), "An utterance is cut when it gets this long; 15000."
    ),
    VendorOption(
        "vad_threshold", number(0.1, 0.95), "Probability from which sound is speech; 0.5."
    ),
)
_VOICES: Final = {"heart": Voice("heart", "Heart", "", "American", "Female", "English")}


class Listen:
    """Audio in, transcripts out."""

    def __init__(self, settings: ListenSettings, account: Account) -> None:
        _only_english(settings.language)
        _only_model(settings.model, moonshine.MODEL)
        chosen = vendor_options.read("local", LISTEN_OPTIONS, settings.options, account.options)
        rules = Rules(
            endpoint_s=chosen.get("endpoint_ms", _DEFAULTS.endpoint_s * 1000) / 1000,
            longest_s=chosen.get("longest_ms", _DEFAULTS.longest_s * 1000) / 1000,
            threshold=chosen.get("vad_threshold", _DEFAULTS.threshold),
        )
        self.format = AudioFormat("linear16", 16000)
        self.opening = wire.Opening(
            f"engine:{moonshine.MODEL}", finish_s=10.0, local=moonshine.local(rules)
        )
        self._collected = b""
        # The model always punctuates; without it text comes as spoken words only.
        self._keeps_punctuation = settings.punctuation

    def send(self, command: wire.Command) -> list[wire.Outgoing]:
        match command:
            case wire.Audio(data):
                self._collected += data
                return self._taken() if len(self._collected) >= _JOB_BYTES else []
            case wire.Flush():
                return [*self._taken(), '{"do": "flush"}']
            case wire.Finish():
                return [*self._taken(), '{"do": "finish"}']
        return []

    def _taken(self) -> list[wire.Outgoing]:
        data, self._collected = self._collected, b""
        return [data] if data else []

    def receive(self, incoming: wire.Incoming) -> list[wire.Event]:
        told = json.loads(_text(incoming))
        match told["kind"]:
            case "started":
                return [wire.SpeechStarted(told["at_s"])]
            case "ended":
                return [wire.SpeechEnded(told["at_s"])]
            case "partial":
                return [wire.Transcript(self._plain(told["text"]), end_s=told["end_s"])]
            case "final":
                text, is_end = self._plain(told["text"]), told["is_end"]
                return [wire.Transcript(text, True, is_end, 1.0, told["end_s"], language="en")]
        raise ValueError(f"unknown kind {told['kind']!r}")

    def _plain(self, text: str) -> str:
        if self._keeps_punctuation:
            return text
        # Inside words ("don't", "7.30") it is spelling.
        words = (word.strip('.,;:!?…"“”()') for word in text.split())
        return " ".join(word for word in words if word not in ("", "-", "–", "—"))


class Speak:
    """Text in, audio out."""

    def __init__(self, settings: SpeakSettings, account: Account) -> None:
        vendor_options.read("local", (), settings.options, {})
        _only_english(settings.language or "")
        _only_model(settings.model, hibari.MODEL)
        voice = (settings.voice or "heart").lower()
        if voice not in _VOICES:
            raise BadRequest(f"local: unknown voice {voice[:100]!r}. Voices: {', '.join(_VOICES)}")
        self.format = AudioFormat("linear16", hibari.RATE_HZ)
        self.opening = wire.Opening(f"engine:{hibari.MODEL}", finish_s=30.0, local=hibari.local())
        self._is_silent = True
        self._warnings: list[wire.Event] = []
        self._language = settings.language or "en-US"
        self._speed = self._within(settings.rate)
        if settings.emotion is not None:
            lost = emotion.ignored(settings.emotion, "local")
            self._warnings += [wire.Warned("; ".join(lost))] if lost else []

    def send(self, command: wire.Command) -> list[wire.Outgoing]:
        match command:
            case wire.Speak(text):
                asked = {"text": text, "speed": self._speed, "language": self._language}
                return [json.dumps(asked)]
        # Clear: the link stops the synthesis between two pieces, there is nothing to tell the model.
        return []

    def receive(self, incoming: wire.Incoming) -> list[wire.Event]:
        warnings, self._warnings = self._warnings, []
        if isinstance(incoming, bytes):
            self._is_silent = False
            return [*warnings, wire.Spoken(AudioFrame(self.format, incoming))]
        told = json.loads(_text(incoming))
        if told["kind"] != "spoken":
            raise ValueError(f"unknown kind {told['kind']!r}")
        # The model answers every text: what it is silent about has nothing in it that can be said.
        is_silent, self._is_silent = self._is_silent, True
        return [*warnings, wire.SpokenAll(is_silent)]

    def _within(self, rate: float | None) -> float:
        if rate is None or abs(rate - 1.0) <= 0.001:
            return 1.0
        speed = min(hibari.FASTEST, max(hibari.SLOWEST, rate))
        if speed != rate:
            self._warnings.append(wire.Warned(f"local: speaking rate {rate:g} becomes {speed:g}"))
        return speed


class Voices:
    """The voices inside the installed package; needs no request."""

    def __init__(self, account: Account) -> None:
        del account

    def first(self) -> wire.Request | None:
        return None

    def read(self, body: bytes) -> tuple[list[Voice], wire.Request | None]:
        return list(_VOICES.values()), None


def check(account: Account) -> None:
    """Refuse wrong operator settings at start."""
    vendor_options.check("local", LISTEN_OPTIONS, account.options)
    if account.endpoint:
        raise ConfigError("local: the models run in this process; there is no endpoint", "endpoint")


def _only_english(language: str) -> None:
    if language and language.lower() != "auto" and language.lower().split("-")[0] != "en":
        raise BadRequest(f"local: only English (en), not {language[:50]!r}")


def _only_model(asked: str | None, there: str) -> None:
    if asked and asked != there:
        raise BadRequest(f"local: unknown model {asked[:100]!r}. The model is {there}")


def _text(incoming: wire.Incoming) -> str:
    if not isinstance(incoming, str):
        raise WireError("local", "local: the model answered with something other than text")
    return incoming


local = Provider(
    "local",
    title="Embedded voices",
    listen=Listen,
    speak=Speak,
    voices=Voices,
    capabilities=frozenset(
        {"streaming", "interim results", "speaking rate", "voice list", "no account"}
    ),
    check=check,
    text_limit=2000,
    models={"listen": moonshine.MODEL, "speak": hibari.MODEL},
    options=vendor_options.described(LISTEN_OPTIONS),
)
