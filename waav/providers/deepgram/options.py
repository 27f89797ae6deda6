"""Deepgram's own parameters, by verb and version."""

from typing import Any

from waav.speech import vendor_options
from waav.speech.vendor_options import (
    VendorOption,
    boolean,
    choice,
    choices,
    integer,
    number,
    off_or,
    texts,
    texts_within,
)

_KEYTERM_TOKENS = 500


def _keyterms(value: Any) -> tuple[str, ...]:
    """Terms without commas. What a token is only Deepgram knows; a word is at least one."""
    listed = texts(value)
    if any("," in one for one in listed):
        raise ValueError("must be terms without commas; several are a list")
    if sum(len(one.split()) for one in listed) > _KEYTERM_TOKENS:
        raise ValueError(f"must have at most {_KEYTERM_TOKENS} words in all")
    return listed


_KEYTERM = "Terms to expect; Nova-3 (500 words in all) and Flux (100 terms) only."
_SHARED = (
    VendorOption("mip_opt_out", boolean, "Keep this audio out of Deepgram's model improvement."),
    VendorOption(
        "tag", texts_within(chars=128), "Labels for Deepgram's usage reports; one or a list."
    ),
)
_BOTH_LISTEN = (
    VendorOption("language_hint", texts, "Languages to expect, with a multilingual model."),
    VendorOption("numerals", boolean, "Digits instead of number words."),
    VendorOption("profanity_filter", boolean, "Remove profanity."),
)
LISTEN_OPTIONS = (
    *_SHARED,
    VendorOption("keyterm", _keyterms, _KEYTERM),
    *_BOTH_LISTEN,
    VendorOption("detect_entities", boolean, "Report entities."),
    VendorOption("dictation", boolean, "Spoken punctuation becomes punctuation."),
    VendorOption("diarize", boolean, "Tell speakers apart."),
    VendorOption("diarize_model", choice("v1", "latest"), "Which diarisation."),
    VendorOption(
        "endpointing", off_or(integer(1)), "Silence that ends speech, in ms, or false; 200."
    ),
    VendorOption("extra", texts_within(chars=2048), "Key:value pairs returned with the results."),
    VendorOption("filler_words", boolean, "Keep uh and um."),
    VendorOption("interim_results", boolean, "Results while somebody speaks; on."),
    VendorOption(
        "keywords", texts_within(count=100), "Words with a boost, term:2; not for Nova-3."
    ),
    VendorOption("multichannel", boolean, "Recognise every channel for itself."),
    VendorOption(
        "redact",
        choices("pci", "numbers", "aggressive_numbers", "ssn", "true", "false"),
        "What to blot out; one or a list.",
    ),
    VendorOption("replace", texts, "find:replacement pairs."),
    VendorOption("search", texts_within(count=50), "Terms to search for."),
    VendorOption("smart_format", boolean, "Dates, amounts and the like as people write them; on."),
    VendorOption(
        "utterance_end_ms", off_or(integer(1000)), "Gap that ends an utterance, in ms; 1000."
    ),
    VendorOption("vad_events", boolean, "Say when speech starts."),
    VendorOption("version", vendor_options.text, "Model version."),
)
FLUX_LISTEN_OPTIONS = (
    *_SHARED,
    VendorOption("keyterm", texts_within(count=100), _KEYTERM),
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
OPERATORS = tuple(
    {
        option.name: option
        for option in (*FLUX_LISTEN_OPTIONS, *LISTEN_OPTIONS, *FLUX_SPEAK_OPTIONS)
    }.values()
)
