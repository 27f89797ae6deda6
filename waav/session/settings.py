"""Settings of a call."""

from dataclasses import dataclass
from typing import Any

from waav.settings import not_negative, positive, setting


@dataclass(frozen=True, slots=True)
class SpeechFinalSettings:
    """YAML section ``speech_final``: when an utterance counts as finished."""

    wait_ms: int = setting(
        1800,
        "Wait for the vendor's own end of speech after its last final.",
        unit="ms",
        check=positive,
    )
    inference_timeout_ms: int = setting(
        500, "Longest wait for the turn model's verdict.", unit="ms", check=positive
    )
    hard_timeout_ms: int = setting(
        4000,
        "End of the turn from its first final on, however unfinished; not while somebody speaks.",
        unit="ms",
        check=positive,
    )
    duplicate_window_ms: int = setting(
        500,
        "A vendor's end of speech this soon after a forced one, with the same text, is dropped.",
        unit="ms",
        check=not_negative,
    )
    interim_rearms: bool = setting(True, "Interim results restart the wait.")
    hard_timeout_from: str = setting(
        "first_final", "What the hard limit counts from.", choices=("first_final", "last_activity")
    )
    forced_text: bool = setting(
        True, "A forced final carries the turn's text; false sends the original's empty text."
    )
    providers: dict[str, dict[str, Any]] = setting(
        doc="The same keys for one provider, by its name.", factory=dict
    )


@dataclass(frozen=True, slots=True)
class InterruptionSettings:
    """YAML section ``interruption``: speech that must not be interrupted."""

    block_stt: str = setting(
        "drop",
        "Results during protected speech: drop, buffer (last final afterwards) or pass.",
        choices=("drop", "buffer", "pass"),
    )
    max_lock_s: float = setting(
        120.0, "A lock without new audio ends after this.", unit="s", check=positive
    )


@dataclass(frozen=True, slots=True)
class CallLimits:
    """YAML section ``call``: what one call may take."""

    ready_s: float = setting(30.0, "Limit for providers to become ready.", unit="s", check=positive)
    audio_gap_ms: int = setting(
        1000,
        "Without audio from the caller for this long, what he has said is final.",
        unit="ms",
        check=positive,
    )
    flush_delay_ms: int = setting(
        500,
        "Text spoken with flush: false waits at most this long for more.",
        unit="ms",
        check=not_negative,
    )
