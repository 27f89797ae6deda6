"""Deepgram's own parameters, by verb and version."""

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
)

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
OPERATORS = tuple(
    {
        option.name: option
        for option in (*FLUX_LISTEN_OPTIONS, *LISTEN_OPTIONS, *FLUX_SPEAK_OPTIONS)
    }.values()
)
