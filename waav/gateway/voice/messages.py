"""The messages of ``/ws``: what callers send, decoded, and what they are sent, encoded.

``docs/protocol.md`` describes every one of them and is tested against this module.
"""

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

from waav import __version__
from waav.errors import BadRequest, WaavError
from waav.gateway.http.fields import Fields, Malformed, TooLarge, parse_object
from waav.secret import Secret
from waav.session.call_settings import Listening, Speaking
from waav.session.settings import SpeechFinalSettings
from waav.session.world import World
from waav.speech.emotion import parse_emotion
from waav.speech.formats import label, listen_format, resolve
from waav.speech.provider import Account, ListenSettings, Provider, SpeakSettings
from waav.speech.sentences import Pronunciation
from waav.speech.wire import Transcript

TEXT_MAX_BYTES: Final = 1024 * 1024
AUDIO_MAX_BYTES: Final = 5 * 1024 * 1024
SPEAK_MAX_BYTES: Final = 100 * 1024
CONTENT_MAX_BYTES: Final = 50 * 1024
ID_MAX_BYTES: Final = 256
TOKEN_MAX_BYTES: Final = 4096

NOT_COMPRESSED: Final = "prefer_compressed: it streams no compressed format"

TIMEOUT_MAX_S: Final = 300.0
"""A caller may shorten or lengthen the limits towards a vendor, but not hold a connection for ever."""

# What callers send.


@dataclass(frozen=True, slots=True)
class Config:
    """Set the call up. ``listening`` and ``speaking`` are still JSON: see ``decode_listening``."""

    stream_id: str | None = None
    has_audio: bool = True
    listening: Mapping[str, Any] | None = None
    speaking: Mapping[str, Any] | None = None
    wants_livekit: bool = False
    wants_dag: bool = False
    noise_filter: bool | None = None
    turn_detection: bool | None = None
    turn_threshold: float | None = None
    timing: Mapping[str, Any] = field(default_factory=dict)
    is_deprecated: bool = False  # used audio_disabled


@dataclass(frozen=True, slots=True)
class Speak:
    """Say this."""

    text: str
    flush: bool = True
    allow_interruption: bool = True


@dataclass(frozen=True, slots=True)
class Clear:
    """Stop speaking and forget what was still to be said (``clear``, ``stop``, ``interrupt``)."""


@dataclass(frozen=True, slots=True)
class Flush:
    """Give finals for what was heard so far."""


@dataclass(frozen=True, slots=True)
class Loading:
    """``loading_start`` and ``loading_stop`` of Sayna's clients: its sound while somebody thinks. There is none here."""


@dataclass(frozen=True, slots=True)
class Connect:
    """Open the providers of the last ``config`` again."""


@dataclass(frozen=True, slots=True)
class UpdateConfig:
    """Change the running call without setting it up anew."""

    turn_threshold: float


@dataclass(frozen=True, slots=True)
class Audio:
    """The caller's audio as base64 text instead of a binary message."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Ping:
    """Answer ``pong`` with the same timestamp."""

    timestamp: int | float | str | None = None


@dataclass(frozen=True, slots=True)
class Auth:
    """A credential. Its repr does not show it."""

    token: Secret


@dataclass(frozen=True, slots=True)
class SendMessage:
    """Publish to the participants of a room."""

    message: str
    role: str = "user"
    topic: str = "messages"
    debug: Any = None


@dataclass(frozen=True, slots=True)
class SipTransfer:
    """Hand a telephone caller over to another number; ``number`` is trimmed and valid."""

    number: str


@dataclass(frozen=True, slots=True)
class Custom:
    """For a plugin."""

    message_type: str
    payload: Any


Message = (
    Config
    | Speak
    | Clear
    | Flush
    | Loading
    | Connect
    | UpdateConfig
    | Audio
    | Ping
    | Auth
    | SendMessage
    | SipTransfer
    | Custom
)


class BadNumber(BadRequest):
    """A telephone number that cannot be dialled; answered with ``sip_transfer_error``."""

    code = "invalid_phone_number"


def decode(data: bytes | str) -> Message:
    """The message in one text frame. Sizes are checked first, in UTF-8 bytes.

    Raises:
        TooLarge: the message or one of its fields is too long.
        Malformed: it is not JSON, of no known type, or a field is missing or wrong.
        BadNumber: ``sip_transfer`` to something that is not a number.
        BadRequest: ``stream_id`` has characters that are not allowed.
    """
    size_bytes = len(data if isinstance(data, bytes) else data.encode())
    if size_bytes > TEXT_MAX_BYTES:
        raise TooLarge(f"Message too large: {size_bytes} bytes (max {TEXT_MAX_BYTES} bytes)")
    read = Fields(parse_object(data))
    kind = read.required_text("type")
    decoder = _DECODERS.get(kind)
    if decoder is None:
        known = ", ".join(f"`{name}`" for name in _DECODERS)
        raise Malformed(f"unknown variant `{kind[:64]}`, expected one of {known}")
    return decoder(read)


def _limit(text: str, limit_bytes: int, what: str) -> str:
    size_bytes = len(text.encode())
    if size_bytes > limit_bytes:
        raise TooLarge(f"{what} too large: {size_bytes} bytes (max: {limit_bytes} bytes)")
    return text


def _config(read: Fields) -> Config:
    threshold = _threshold(Fields(read.object("turn_detect") or {}, "turn_detect"))
    if (room := read.object("livekit")) is not None:
        Fields(room, "livekit").required_text("room_name")
    audio, audio_disabled = read.flag("audio"), read.flag("audio_disabled")
    return Config(
        stream_id=_stream_id(read.text("stream_id")),
        has_audio=not audio_disabled if audio is None else audio,
        listening=read.object("stt_config"),
        speaking=read.object("tts_config"),
        wants_livekit=room is not None,
        wants_dag=read.object("dag_config", "dag") is not None,
        noise_filter=read.flag("noise_filter"),
        turn_detection=read.flag("turn_detection"),
        turn_threshold=threshold,
        timing=_timing(Fields(read.object("speech_final") or {}, "speech_final")),
        is_deprecated=audio_disabled is not None,
    )


def _update_config(read: Fields) -> UpdateConfig:
    """As Sayna has it, which stores ``vad`` and does nothing with it."""
    if read.object("vad") is not None:
        raise BadRequest(
            "vad.silence_duration_ms cannot be changed during a call: send config with"
            " speech_final.wait_ms, or with the provider's own option in stt_config.options"
        )
    read.require("turn_detect")
    turns = Fields(read.object("turn_detect") or {}, "turn_detect")
    turns.require("threshold")
    threshold = _threshold(turns)
    assert threshold is not None
    return UpdateConfig(threshold)


def _threshold(turns: Fields) -> float | None:
    threshold = turns.number("threshold")
    if threshold is not None and not 0.0 <= threshold <= 1.0:
        turns.wrong("threshold", "must be between 0 and 1")
    return threshold


_STREAM_ID = re.compile(r"[A-Za-z0-9._-]+")


def _stream_id(text: str | None) -> str | None:
    """Checked, because recordings are filed under it; empty is the same as absent."""
    if not text:
        return None
    _limit(text, ID_MAX_BYTES, "Stream ID")
    if not _STREAM_ID.fullmatch(text) or ".." in text or text == ".":
        raise BadRequest(
            "Invalid stream_id: only letters, digits, '.', '_' and '-' are allowed, and no '..'"
        )
    return text


def _timing(read: Fields) -> dict[str, Any]:
    """The caller's own values for ``speech_final``: those of its keys that are there."""
    chosen: dict[str, Any] = {}
    for each in fields(SpeechFinalSettings):
        if each.name == "providers" or read.value(each.name) is None:
            continue
        if each.type is bool:
            chosen[each.name] = read.flag(each.name)
        elif each.type is int:
            low = 0 if each.name == "duplicate_window_ms" else 1
            chosen[each.name] = read.whole(each.name, low=low, high=600_000)
        else:
            allowed = each.metadata["choices"]
            chosen[each.name] = read.text(each.name)
            if chosen[each.name] not in allowed:
                read.wrong(each.name, f"must be one of {', '.join(allowed)}")
    return chosen


def _speak(read: Fields) -> Speak:
    flush, allow_interruption = read.flag("flush"), read.flag("allow_interruption")
    return Speak(
        text=_limit(read.required_text("text"), SPEAK_MAX_BYTES, "Speak text"),
        flush=flush is not False,
        allow_interruption=allow_interruption is not False,
    )


def _audio(read: Fields) -> Audio:
    try:
        return Audio(base64.b64decode(read.required_text("data"), validate=True))
    except (binascii.Error, ValueError):
        read.wrong("data", "must be base64")


def _ping(read: Fields) -> Ping:
    timestamp = read.value("timestamp")
    if isinstance(timestamp, str):
        return Ping(timestamp[:64])
    return Ping(timestamp if type(timestamp) in (int, float) else None)


def _auth(read: Fields) -> Auth:
    return Auth(Secret(_limit(read.required_text("token"), TOKEN_MAX_BYTES, "Auth token")))


def _send_message(read: Fields) -> SendMessage:
    return SendMessage(
        message=_limit(read.required_text("message"), CONTENT_MAX_BYTES, "Message content"),
        role=read.text("role") or "user",
        topic=read.text("topic") or "messages",
        debug=read.value("debug"),
    )


def _sip_transfer(read: Fields) -> SipTransfer:
    transfer_to = _limit(read.required_text("transfer_to"), ID_MAX_BYTES, "SIP transfer_to")
    return SipTransfer(_phone_number(transfer_to))


def _phone_number(text: str) -> str:
    """One optional leading +, then ASCII digits only."""
    number = text.strip()
    if not number:
        raise BadNumber("Invalid phone number: Phone number cannot be empty")
    digits = number.removeprefix("+")
    for at, character in enumerate(digits, start=len(number) - len(digits)):
        if character not in "0123456789":
            raise BadNumber(
                f"Invalid phone number: Invalid character '{character}' at position {at}"
                " - only digits and one leading + are allowed"
            )
    if not digits:
        raise BadNumber("Invalid phone number: Phone number must contain at least one digit")
    return number


def _custom(read: Fields) -> Custom:
    message_type = _limit(read.required_text("message_type"), ID_MAX_BYTES, "Stream ID")
    if not read.has("payload"):
        raise Malformed("missing field `payload`")
    payload = read.value("payload")
    _limit(_dump(payload), CONTENT_MAX_BYTES, "Message content")
    return Custom(message_type, payload)


_DECODERS: Final[dict[str, Callable[[Fields], Message]]] = {
    "config": _config,
    "speak": _speak,
    "clear": lambda _: Clear(),
    "send_message": _send_message,
    "sip_transfer": _sip_transfer,
    "auth": _auth,
    "custom": _custom,
    "connect": lambda _: Connect(),
    "update_config": _update_config,
    "interrupt": lambda _: Clear(),
    "stop": lambda _: Clear(),
    "flush": lambda _: Flush(),
    "loading_start": lambda _: Loading(),
    "loading_stop": lambda _: Loading(),
    "audio": _audio,
    "ping": _ping,
}

CLIENT_TYPES: Final = tuple(_DECODERS)

# What the two halves of a config ask for. Shared with REST.


def decode_listening(
    source: Mapping[str, Any], world: World, header_key: Secret | None = None
) -> Listening:
    """What an ``stt_config`` asks for.

    Args:
        source: the JSON object.
        world: knows the providers and the server's own keys.
        header_key: the caller's key for the provider from outside the object, used if it has none.

    Raises:
        Malformed: a field is missing or wrong.
        BadRequest: no such provider, or an audio format that is not known.
        MissingCredentials: neither the caller nor the server has a key.
    """
    read = Fields(source, "stt_config")
    read.require("provider")
    sample_rate = read.whole("sample_rate", low=1)
    channels = read.whole("channels", low=1, high=0xFFFF)
    punctuation = read.flag("punctuation", "punctuate")
    own_key = _own_key(read) or header_key
    provider = world.registry.find(read.required_text("provider"))
    if provider.listen is None:
        raise BadRequest(f"{provider.name} does not offer speech recognition")
    model, warnings = _chosen(provider, read.text("model"), "model")
    settings = ListenSettings(
        provider=provider.name,
        format=listen_format(
            read.text("encoding") or "linear16", sample_rate or 16000, channels or 1
        ),
        language=read.text("language") or "en-US",
        punctuation=punctuation is not False,
        model=model,
        options={**_flat_options(read, provider), **(read.object("options") or {})},
    )
    return Listening(provider, settings, world.account(provider, own_key), warnings)


def decode_speaking(
    source: Mapping[str, Any],
    world: World,
    header_key: Secret | None = None,
    *,
    default_rate_hz: int = 24000,
) -> Speaking:
    """What a ``tts_config`` asks for. Arguments and errors as for ``decode_listening``.

    Args:
        default_rate_hz: the sample rate where neither ``sample_rate`` nor the name of the format gives one.
    """
    read = Fields(source, "tts_config")
    read.require("provider")
    sample_rate = read.whole("sample_rate", low=1)
    name = read.text("audio_format", "format") or None
    prefers_compressed = read.flag("prefer_compressed") is True and name is None
    pronunciations = tuple(_pronunciation(each) for each in read.objects("pronunciations"))
    asked_rate = read.number("speaking_rate", "speed")
    rate = _speaking_rate(asked_rate)
    clamped = (
        ()
        if rate is None or rate == asked_rate
        else (f"speaking_rate {asked_rate:g} becomes {rate:g}",)
    )
    dial_s, request_s = _timeout(read, "connection_timeout"), _timeout(read, "request_timeout")
    own_key = _own_key(read) or header_key
    try:
        emotion = parse_emotion(source)
    except BadRequest as error:
        raise Malformed(error.message) from None
    provider = world.registry.find(read.required_text("provider"))
    if provider.speak is None:
        raise BadRequest(f"{provider.name} does not offer speech synthesis")
    preferred = provider.compressed[0] if prefers_compressed and provider.compressed else None
    model, no_model = _chosen(provider, read.text("model"), "model")
    voice, no_voice = _chosen(provider, read.text("voice_id", "voice"), "voice_id")
    settings = SpeakSettings(
        provider=provider.name,
        format=resolve(name or preferred, sample_rate, default_rate_hz=default_rate_hz),
        model=model,
        voice=voice,
        language=read.text("language") or None,
        rate=rate,
        emotion=emotion,
        options=read.object("options") or {},
        wants_format=name is not None,
    )
    account = world.account(provider, own_key)
    settings, no_such = _without_voice_as_model(provider, settings, account)
    not_compressed = (NOT_COMPRESSED,) if prefers_compressed and preferred is None else ()
    return Speaking(
        provider,
        settings,
        account,
        pronunciations,
        dial_s,
        request_s,
        warnings=(*no_model, *no_voice, *no_such, *clamped, *not_compressed),
    )


FILLED_IN: Final[Mapping[str, str]] = {
    "nova-3": "deepgram",
    "nova-2": "deepgram",
    "aura-asteria-en": "deepgram",
}
"""Names that clients of the original send whether or not anybody chose them, and whose names they are."""


def _chosen(
    provider: Provider, name: str | None, field_name: str
) -> tuple[str | None, tuple[str, ...]]:
    """A model or voice that somebody chose, and a warning where nobody did: a client has filled in another vendor's."""
    if not name:
        return None, ()
    if FILLED_IN.get(name.strip().lower(), provider.name) == provider.name:
        return name, ()
    return None, (
        f"{field_name} {name[:64]!r} is none of {provider.name}'s: its own default is used",
    )


def _without_voice_as_model(
    provider: Provider, settings: SpeakSettings, account: Account
) -> tuple[SpeakSettings, tuple[str, ...]]:
    """Some clients send the voice as the model too. Where a vendor knows no such model, it counts as not chosen."""
    if settings.model is None or settings.model != settings.voice or provider.speak is None:
        return settings, ()
    try:
        provider.speak(settings, account)
    except BadRequest:
        without = replace(settings, model=None)
        return without, (
            f"model {settings.model[:64]!r} is a voice: {provider.name}'s own default is used",
        )
    return settings, ()


FLAT_OPTIONS: Final = ("interim_results", "endpointing", "diarize", "keywords", "smart_format")
"""Vendor options that the SDKs send beside the other fields of ``stt_config``."""


def _flat_options(read: Fields, provider: Provider) -> dict[str, Any]:
    """Those of the SDKs' flat options that are there, for a vendor that has them."""
    return {
        name: value
        for name in FLAT_OPTIONS
        if name in provider.options and (value := read.value(name)) is not None
    }


def _own_key(read: Fields) -> Secret | None:
    """The caller's own key for the provider; empty is the same as absent."""
    key = read.text("api_key")
    if not key and (auth := read.object("auth")) is not None:
        key = Fields(auth, read.path("auth")).text("api_key")
    return Secret(key) if key else None


def _pronunciation(read: Fields) -> Pronunciation:
    word, said = read.text("word", "from"), read.text("pronunciation", "to")
    if not word:
        raise Malformed(f"missing field `{read.path('word')}`")
    if said is None:
        raise Malformed(f"missing field `{read.path('pronunciation')}`")
    return Pronunciation(word, said, read.flag("case_sensitive") is True)


def _speaking_rate(rate: float | None) -> float | None:
    """Within 0.25 to 4.0; normal speed is the same as absent."""
    if rate is None or abs(rate - 1.0) < 0.001:
        return None
    return min(max(rate, 0.25), 4.0)


def _timeout(read: Fields, name: str) -> float | None:
    seconds = read.number(name)
    if seconds is None:
        return None
    if seconds <= 0:
        read.wrong(name, "must be greater than 0")
    return min(seconds, TIMEOUT_MAX_S)


# What callers are sent.

SERVER_TYPES: Final = (
    "ready",
    "stt_result",
    "tts_playback_complete",
    "error",
    "sip_transfer_error",
    "authenticated",
    "pong",
)


def _dump(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))


def ready(
    stream_id: str, listening: Listening | None, speaking: Speaking | None, *, livekit_url: str
) -> str:
    """The config is in force: audio and texts are welcome."""
    words = [word for word, half in (("stt", listening), ("tts", speaking)) if half is not None]
    message: dict[str, Any] = {
        "type": "ready",
        "stream_id": stream_id,
        "livekit_url": livekit_url,
        "session_id": stream_id,
        "stt_ready": listening is not None,
        "tts_ready": speaking is not None,
        "livekit_connected": False,
        "server_version": __version__,
        "capabilities": words,
    }
    warnings: list[str] = []
    if listening is not None:
        message["stt"] = _heard_as(listening)
        warnings += listening.warnings
    if speaking is not None:
        message["tts"] = _spoken_as(speaking)
        warnings += speaking.warnings
    if warnings:
        message["warnings"] = warnings
    return _dump(message)


def _heard_as(listening: Listening) -> dict[str, Any]:
    """Who recognises, and what the caller's audio is taken for."""
    settings, provider = listening.settings, listening.provider
    return {
        "provider": provider.name,
        "model": settings.model or provider.models.get("listen"),
        "language": settings.language,
        "encoding": settings.format.encoding
        if settings.format.container == "raw"
        else label(settings.format),
        "sample_rate": settings.format.rate_hz,
        "channels": settings.format.channels,
    }


def _spoken_as(speaking: Speaking) -> dict[str, Any]:
    """Who speaks, and what audio the caller will get."""
    settings, provider = speaking.settings, speaking.provider
    return {
        "provider": provider.name,
        "model": settings.model or provider.models.get("speak"),
        "voice": settings.voice,
        "audio_format": label(settings.format),
        "sample_rate": settings.format.rate_hz,
        "channels": settings.format.channels,
    }


def stt_result(transcript: Transcript) -> str:
    """Recognised text. ``forced`` is there only where the text repeats the whole turn."""
    message: dict[str, Any] = {
        "type": "stt_result",
        "transcript": transcript.text,
        "is_final": transcript.is_final,
        "is_speech_final": transcript.is_speech_final,
        "confidence": _confidence(transcript.confidence),
        "text": transcript.text,
    }
    if transcript.forced:
        message["forced"] = True
    return _dump(message)


def _confidence(said: float) -> float:
    """Between 0 and 1, whatever a vendor says; NaN would not even be JSON."""
    return min(said, 1.0) if said > 0.0 else 0.0


def tts_playback_complete(timestamp_ms: int) -> str:
    """All audio so far was sent; not: was heard."""
    return _dump({"type": "tts_playback_complete", "timestamp": timestamp_ms})


def error(message: str, code: str = "error") -> str:
    """Something did not work; the connection stays open unless a close frame follows."""
    return _dump({"type": "error", "message": message, "code": code})


def refusal(reason: WaavError) -> str:
    """The ``error`` for a message that was not carried out."""
    if isinstance(reason, Malformed):
        return error(f"Invalid message format: {reason.message}", reason.code)
    return error(reason.message, reason.code)


def sip_transfer_error(message: str, code: str) -> str:
    """A telephone caller was not handed over."""
    return _dump({"type": "sip_transfer_error", "message": message, "code": code})


def authenticated(tenant: str | None = None) -> str:
    """The credential was accepted, or none was needed."""
    return _dump({"type": "authenticated"} | ({"id": tenant} if tenant is not None else {}))


def pong(ping: Ping, now_ms: int) -> str:
    """The answer to ``ping``: its own timestamp where it had one, and the server's wall clock."""
    timestamp = now_ms if ping.timestamp is None else ping.timestamp
    return _dump({"type": "pong", "timestamp": timestamp, "server_time": now_ms})
