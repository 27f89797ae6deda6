"""Names of audio formats: what callers may write, what vendors write, and what we call it.

Spelling is lenient: case does not matter, and ``-``, ``_`` and space are the same.
"""

import re
from dataclasses import replace
from typing import Final

from waav.errors import BadRequest
from waav.speech.audio import SAMPLE_BYTES, AudioFormat, Container, Encoding
from waav.speech.wav import HIGHEST_RATE_HZ, LOWEST_RATE_HZ, MOST_CHANNELS

_Kind = tuple[Encoding, Container]

_SPEAK: Final[dict[str, _Kind]] = {
    **dict.fromkeys(
        ("linear16", "pcm", "pcm16", "pcm_s16le", "s16le", "raw", "l16"), ("linear16", "raw")
    ),
    **dict.fromkeys(("wav", "wave", "riff"), ("linear16", "wav")),
    **dict.fromkeys(("mp3", "mpeg"), ("mp3", "raw")),
    **dict.fromkeys(
        ("mulaw", "ulaw", "mu_law", "u_law", "pcmu", "g711_ulaw", "pcm_mulaw"), ("mulaw", "raw")
    ),
    **dict.fromkeys(("alaw", "a_law", "pcma", "g711_alaw", "pcm_alaw"), ("alaw", "raw")),
    **dict.fromkeys(("opus", "ogg_opus", "ogg"), ("opus", "ogg")),
    **dict.fromkeys(("ogg_vorbis", "vorbis"), ("vorbis", "ogg")),
    **dict.fromkeys(("webm", "webm_opus"), ("opus", "webm")),
    "flac": ("flac", "raw"),
    **dict.fromkeys(("aac", "adts"), ("aac", "raw")),
    **dict.fromkeys(("m4a", "mp4"), ("aac", "mp4")),
    **dict.fromkeys(("pcm_f32le", "f32le", "float32"), ("float32", "raw")),
    **dict.fromkeys(("pcm_s32le", "s32le", "linear32"), ("linear32", "raw")),
}

_LISTEN: Final[dict[str, _Kind]] = {
    **dict.fromkeys(("linear16", "pcm", "pcm16", "pcm_s16le", "s16le"), ("linear16", "raw")),
    **dict.fromkeys(("linear32", "pcm_s32le"), ("linear32", "raw")),
    **dict.fromkeys(("float32", "pcm_f32le"), ("float32", "raw")),
    "pcm_f16le": ("float16", "raw"),
    **dict.fromkeys(
        ("mulaw", "ulaw", "mu_law", "pcm_mulaw", "g711_ulaw", "pcmu"), ("mulaw", "raw")
    ),
    **dict.fromkeys(("alaw", "a_law", "pcm_alaw", "g711_alaw", "pcma"), ("alaw", "raw")),
    "wav": ("linear16", "wav"),
    "flac": ("flac", "raw"),
    "opus": ("opus", "raw"),
    "ogg_opus": ("opus", "ogg"),
    "webm_opus": ("opus", "webm"),
    "ogg_vorbis": ("vorbis", "ogg"),
    "mp3": ("mp3", "raw"),
    "aac": ("aac", "raw"),
    **dict.fromkeys(("mp4_aac", "m4a_aac", "mov_aac"), ("aac", "mp4")),
    **dict.fromkeys(("amr", "amr_nb"), ("amr_nb", "raw")),
    "amr_wb": ("amr_wb", "raw"),
    "speex": ("speex", "raw"),
    "g729": ("g729", "raw"),
}

SPEAK_NAMES: Final = (
    "linear16",
    "wav",
    "mp3",
    "mulaw",
    "alaw",
    "opus",
    "ogg_vorbis",
    "webm",
    "flac",
    "aac",
    "m4a",
    "pcm_f32le",
    "linear32",
)
"""Canonical names of what ``resolve`` gives."""

LISTEN_NAMES: Final = tuple(sorted(_LISTEN))
"""Every encoding name that ``listen_format`` takes."""

# As in pcm_24000, mp3_44100_128, wav_16000, opus_48000_64.
_WITH_RATE = re.compile(r"(?P<name>[a-z][a-z0-9_]*?)_(?P<rate>\d{4,6})(_\d+)?")
# As in raw-24khz-16bit-mono-pcm, riff-22050hz-16bit-mono-pcm, audio-48khz-96kbitrate-mono-mp3.
_LONG = re.compile(
    r"(?P<wrap>raw|riff|audio|ogg|webm)_(?P<rate>\d+)(?P<unit>k?hz)_"
    r"(?:(?P<bits>\d+)bit_)?(?:\d+(?:kbitrate|kbps)_)?(?P<width>mono|stereo)_(?P<name>[a-z0-9]+)"
)
_LONG_KINDS: Final[dict[tuple[str, str, str | None], _Kind]] = {
    ("raw", "pcm", "16"): ("linear16", "raw"),
    ("raw", "mulaw", "8"): ("mulaw", "raw"),
    ("raw", "alaw", "8"): ("alaw", "raw"),
    ("riff", "pcm", "16"): ("linear16", "wav"),
    ("riff", "mulaw", "8"): ("mulaw", "wav"),
    ("riff", "alaw", "8"): ("alaw", "wav"),
    ("audio", "mp3", None): ("mp3", "raw"),
    ("ogg", "opus", "16"): ("opus", "ogg"),
    ("webm", "opus", "16"): ("opus", "webm"),
}


def resolve(name: str | None, rate_hz: int | None, *, default_rate_hz: int = 24000) -> AudioFormat:
    """The audio a caller wants when it writes ``audio_format: name`` and ``sample_rate: rate_hz``.

    A rate inside the name counts where none is given explicitly. Where both are given, headerless and WAV audio
    takes the explicit one (we can resample), compressed audio the one in the name.

    Raises:
        BadRequest: nobody knows that name (the message lists those known), or the rate is out of range.
    """
    _check_rate(rate_hz)
    given = _normal(name or "linear16")
    kind, named_hz, channels = _read_name(given)
    if kind is None:
        raise BadRequest(
            f"audio_format: unknown format {_quoted(name)}; accepted: {', '.join(SPEAK_NAMES)}"
        )
    _check_rate(named_hz)
    encoding, container = kind
    first, second = (rate_hz, named_hz) if encoding in SAMPLE_BYTES else (named_hz, rate_hz)
    rate = first or second or _usual_rate_hz(encoding, default_rate_hz)
    return AudioFormat(encoding, rate, channels, container)


def listen_format(encoding: str, rate_hz: int, channels: int) -> AudioFormat:
    """The audio a caller sends, by the encoding names of docs/protocol.md.

    Raises:
        BadRequest: unknown encoding, or a rate or a number of channels that makes no sense.
    """
    kind = _LISTEN.get(_normal(encoding))
    if kind is None:
        raise BadRequest(
            f"encoding: unknown encoding {_quoted(encoding)}; accepted: {', '.join(LISTEN_NAMES)}"
        )
    _check_rate(rate_hz)
    if not 1 <= channels <= MOST_CHANNELS:
        raise BadRequest(f"channels: {channels} is not between 1 and {MOST_CHANNELS}")
    return AudioFormat(kind[0], rate_hz, channels, kind[1])


def label(fmt: AudioFormat) -> str:
    """Our one name for it, as in the ``x-audio-format`` header."""
    if fmt.container == "wav":
        return "wav"
    if fmt.container == "webm":
        return "webm"
    if fmt.container == "mp4":
        return "m4a"
    return {"vorbis": "ogg_vorbis", "float32": "pcm_f32le", "float16": "pcm_f16le"}.get(
        fmt.encoding, fmt.encoding
    )


_CONTENT_TYPES: Final[dict[str, str]] = {
    "linear16": "audio/pcm",
    "linear32": "audio/pcm",
    "float32": "audio/pcm",
    "float16": "audio/pcm",
    "mulaw": "audio/basic",
    "alaw": "audio/x-alaw-basic",
    "mp3": "audio/mpeg",
    "opus": "audio/ogg",
    "vorbis": "audio/ogg",
    "flac": "audio/flac",
    "aac": "audio/aac",
    "amr_nb": "audio/amr",
    "amr_wb": "audio/amr-wb",
    "speex": "audio/speex",
    "g729": "audio/g729",
}
_CONTAINER_TYPES: Final[dict[str, str]] = {
    "wav": "audio/wav",
    "ogg": "audio/ogg",
    "webm": "audio/webm",
    "mp4": "audio/mp4",
}


def content_type(fmt: AudioFormat) -> str:
    """MIME type of a ``POST /speak`` answer in that format."""
    return _CONTAINER_TYPES.get(fmt.container) or _CONTENT_TYPES[fmt.encoding]


_PCM: Final = frozenset({"linear16", "linear32", "float32", "float16"})
_DELIVERED: Final[dict[str, _Kind]] = {
    **dict.fromkeys(
        ("audio/l16", "audio/pcm", "audio/x-pcm", "audio/raw", "audio/x-raw"), ("linear16", "raw")
    ),
    **dict.fromkeys(
        ("audio/wav", "audio/wave", "audio/x-wav", "audio/vnd.wave"), ("linear16", "wav")
    ),
    **dict.fromkeys(
        ("audio/basic", "audio/mulaw", "audio/x-mulaw", "audio/ulaw", "audio/pcmu"),
        ("mulaw", "raw"),
    ),
    **dict.fromkeys(
        ("audio/alaw", "audio/x-alaw", "audio/x-alaw-basic", "audio/pcma"), ("alaw", "raw")
    ),
    **dict.fromkeys(("audio/mpeg", "audio/mp3", "audio/x-mp3", "audio/mpeg3"), ("mp3", "raw")),
    **dict.fromkeys(("audio/ogg", "application/ogg", "audio/opus"), ("opus", "ogg")),
    **dict.fromkeys(("audio/webm", "video/webm"), ("opus", "webm")),
    **dict.fromkeys(("audio/flac", "audio/x-flac"), ("flac", "raw")),
    **dict.fromkeys(("audio/aac", "audio/aacp", "audio/x-aac"), ("aac", "raw")),
    **dict.fromkeys(("audio/mp4", "video/mp4", "audio/m4a", "audio/x-m4a"), ("aac", "mp4")),
}
_SAYS_NOTHING: Final = frozenset({"", "application/octet-stream", "binary/octet-stream"})


def delivered(content_type: str, asked: AudioFormat) -> AudioFormat | None:
    """What an answer with that ``Content-Type`` holds, where ``asked`` was asked for.

    A type that says less than ``asked`` (``audio/ogg`` says nothing of Opus, ``audio/pcm`` nothing of the width)
    does not contradict it; ``rate`` and ``channels`` of headerless audio are believed.

    Returns:
        ``asked`` itself where nothing contradicts it; None: it is no audio that we know.
    """
    name, _, rest = content_type.lower().partition(";")
    name = name.strip()
    if name in _SAYS_NOTHING:
        return asked
    kind = _DELIVERED.get(name)
    if kind is None:
        return None
    encoding, container = kind
    if container != "raw" or encoding not in SAMPLE_BYTES:
        if container == "raw":
            is_same = kind == (asked.encoding, asked.container)
        else:
            is_same = container == asked.container
        usual_hz = _usual_rate_hz(encoding, asked.rate_hz)
        return asked if is_same else AudioFormat(encoding, usual_hz, asked.channels, container)
    rate_hz, channels = _number(rest, "rate"), _number(rest, "channels")
    if asked.encoding in SAMPLE_BYTES and _may_be(name, encoding, asked.encoding):
        # Also where WAV was asked for: whoever reads it sees whether it begins with a header.
        return replace(asked, rate_hz=rate_hz or asked.rate_hz, channels=channels or asked.channels)
    rate_hz = rate_hz or _usual_rate_hz(encoding, asked.rate_hz)
    return AudioFormat(encoding, rate_hz, channels or asked.channels)


def _may_be(name: str, encoding: Encoding, asked: Encoding) -> bool:
    """Whether a type of headerless audio can mean the encoding that was asked for."""
    if encoding == "linear16":
        return asked == encoding or (asked in _PCM and name != "audio/l16")
    # RFC 2046 means mu-law by audio/basic; A-law has no type of its own there, and vendors write the same.
    return asked == encoding or (name == "audio/basic" and asked == "alaw")


def _number(parameters: str, name: str) -> int | None:
    """A parameter of a MIME type; None where it is absent or senseless."""
    found = re.search(rf"(?:^|;)\s*{name}\s*=\s*\"?(\d{{1,6}})\b", parameters)
    number = int(found[1]) if found else 0
    least, most = (LOWEST_RATE_HZ, HIGHEST_RATE_HZ) if name == "rate" else (1, MOST_CHANNELS)
    return number if least <= number <= most else None


def _read_name(name: str) -> tuple[_Kind | None, int | None, int]:
    """What a normalised name says: kind, rate and channels."""
    if name in _SPEAK:
        return _SPEAK[name], None, 1
    if long := _LONG.fullmatch(name):
        kind = _LONG_KINDS.get((long["wrap"], long["name"], long["bits"]))
        rate_hz = int(long["rate"]) * (1000 if long["unit"] == "khz" else 1)
        return kind, rate_hz, 2 if long["width"] == "stereo" else 1
    if (short := _WITH_RATE.fullmatch(name)) and short["name"] in _SPEAK:
        return _SPEAK[short["name"]], int(short["rate"]), 1
    return None, None, 1


def _usual_rate_hz(encoding: Encoding, default_rate_hz: int) -> int:
    if encoding in ("mulaw", "alaw"):
        return 8000
    return 48000 if encoding == "opus" else default_rate_hz


def _normal(name: str) -> str:
    return name.strip().lower().replace("-", "_").replace(" ", "_")


def _quoted(name: str | None) -> str:
    """A caller's word, short enough for an error message; cut by characters."""
    return repr((name or "")[:40])


def _check_rate(rate_hz: int | None) -> None:
    if rate_hz is not None and not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
        raise BadRequest(
            f"sample_rate: {rate_hz} is not between {LOWEST_RATE_HZ} and {HIGHEST_RATE_HZ} Hz"
        )
