"""The options of OpenAI's two calls, and the gateway's own for cutting audio into uploads."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from waav.speech import languages, vendor_options
from waav.speech.vendor_options import (
    VendorOption,
    choice,
    choices,
    integer,
    number,
    texts,
    texts_within,
)

FILE_BYTES = 25 * 1024 * 1024
"""Largest upload that OpenAI takes."""
INSTRUCTIONS_CHARS = 4096
_AUDIO_URL = re.compile(r"data:audio/[a-z0-9.+-]+;base64,[A-Za-z0-9+/]+=*")
_VAD = {  # the members of a chunking strategy that is an object
    "prefix_padding_ms": integer(0),
    "silence_duration_ms": integer(0),
    "threshold": number(0.0, 1.0),
}
SHORT_NAMES: Final[Mapping[str, str]] = {
    "tts1": "tts-1",
    "tts1hd": "tts-1-hd",
    "tts1-hd": "tts-1-hd",
    "whisper": "whisper-1",
    "whisper1": "whisper-1",
}
"""What the original took for a model besides its name."""


def model_of(name: str, *, is_openai: bool) -> str:
    """A model by its name in any case, or by a short name; vendors with the same API may well tell case apart.

    Raises:
        BadRequest: it is no name at all.
    """
    checked = vendor_options.model_name("openai", name)
    if not is_openai:
        return checked
    plain = checked.lower().replace("_", "-")
    return SHORT_NAMES.get(plain, plain)


def _chunking(value: Any) -> str:
    """``auto``, or a server_vad object; either way the text that goes into the form."""
    if value == "auto":
        return "auto"
    if not isinstance(value, Mapping) or value.get("type") != "server_vad":
        raise ValueError("must be auto or an object of type server_vad")
    for name, one in value.items():
        if name not in ("type", *_VAD):
            raise ValueError(f"has no member {name!r}; there are type, {', '.join(_VAD)}")
        if name != "type":
            try:
                _VAD[name](one)
            except ValueError as problem:
                raise ValueError(f"has {name!r}, which {problem}") from None
    return json.dumps(dict(value))


def _languages(value: Any) -> tuple[str, ...]:
    listed = texts(value)
    for one in listed:
        if not languages.is_iso639_1(one):
            raise ValueError(f"must be codes of ISO 639-1, not {one!r}")
    return listed


def _references(value: Any) -> tuple[str, ...]:
    listed: tuple[str, ...] = texts_within(count=4)(value)
    if not all(_AUDIO_URL.fullmatch(one) for one in listed):
        raise ValueError("must be data URLs of audio, data:audio/wav;base64,...")
    return listed


def _instructions(value: Any) -> str:
    said = vendor_options.text(value)
    if len(said) > INSTRUCTIONS_CHARS:
        raise ValueError(f"must have at most {INSTRUCTIONS_CHARS} characters")
    return said


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
    VendorOption("languages", _languages, "Languages to expect; gpt-transcribe only."),
    VendorOption("chunking_strategy", _chunking, "auto, or a server_vad object."),
    VendorOption("known_speaker_names", texts_within(count=4), "Diarisation: names, at most 4."),
    VendorOption(
        "known_speaker_references", _references, "Diarisation: data URLs of their voices."
    ),
)
SPEAK_OPTIONS = (
    VendorOption(
        "instructions", _instructions, "How to speak, before any emotion; not with tts-1."
    ),
)
