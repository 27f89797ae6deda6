"""What a call came to, for the one line in the log at its end."""

from collections import Counter
from dataclasses import dataclass
from typing import Final

from waav.links.figures import LinkFigures

MOST_CAUSES: Final = 32
"""Kinds of trouble that one call may log: enough for any, and not for a vendor that invents new codes."""


@dataclass(frozen=True, slots=True)
class Recognition:
    """What passed between a call and its recognisers.

    Args:
        audio_bytes: audio given to them, repeated audio included.
        results: texts they recognised, interim and final, whether or not the caller got to see them.
        finals: the final ones.
        confidence: mean of the finals, 0..1; None before the first.
        uptime_s: how long they were connected.
    """

    audio_bytes: int
    results: int
    finals: int
    confidence: float | None
    uptime_s: float

    def __str__(self) -> str:
        sure = "" if self.confidence is None else f", confidence {self.confidence:.2f}"
        return (
            f"stt: {self.audio_bytes} bytes, {self.results} results, {self.finals} finals{sure},"
            f" up {self.uptime_s:.1f}s"
        )


class CallSummary:
    """Counts and durations of one call, all its configs together.

    Names of counts: ``results``, ``finals``, ``forced_<method>`` (ends of turns by our own timing),
    ``duplicates`` (repeated ends of turns that were dropped), ``suppressed`` (results during protected speech),
    ``utterances``, ``characters`` (asked to be spoken, from the cache too), ``cleared``, ``clears_refused``, ``reconnects`` (of the recogniser), ``errors``,
    ``dropped`` (the caller's audio nobody could take), ``late`` (speech nobody wanted any more) and
    ``unfiltered_ms`` (audio that the noise filter let pass).
    """

    def __init__(self, started_at: float) -> None:
        self.started_at = started_at
        self.heard_s = 0.0
        self.spoken_s = 0.0
        self.counts: Counter[str] = Counter()
        self._recognisers: list[LinkFigures] = []
        self._told: set[tuple[str, ...]] = set()

    def connected(self, recogniser: LinkFigures) -> None:
        """Another connection recognises from now on."""
        self._recognisers.append(recogniser)

    @property
    def recognition(self) -> Recognition:
        """Of all connections so far, the present one included."""
        links = self._recognisers
        finals = sum(link.finals for link in links)
        sure = sum(link.finals * (link.mean_confidence or 0.0) for link in links)
        return Recognition(
            audio_bytes=sum(link.audio_bytes for link in links),
            results=sum(link.results for link in links),
            finals=finals,
            confidence=sure / finals if finals else None,
            uptime_s=sum(link.uptime_s for link in links),
        )

    def add(self, name: str, number: int = 1) -> None:
        """Count ``number`` more of ``name``."""
        self.counts[name] += number

    def is_new(self, *cause: str) -> bool:
        """Whether this cause of trouble has not been told of before in this call."""
        if cause in self._told or len(self._told) >= MOST_CAUSES:
            return False
        self._told.add(cause)
        return True

    @property
    def fields(self) -> dict[str, int | float]:
        """All that was counted, by name, for logs that are read by programs."""
        recognition = self.recognition
        found: dict[str, int | float] = dict(self.counts)
        if self._recognisers:
            found |= {
                "stt_audio_bytes": recognition.audio_bytes,
                "stt_results": recognition.results,
                "stt_finals": recognition.finals,
                "stt_uptime_s": round(recognition.uptime_s, 3),
            }
            if recognition.confidence is not None:
                found["stt_confidence"] = round(recognition.confidence, 3)
        return found

    def __getitem__(self, name: str) -> int:
        return self.counts[name]

    def __str__(self) -> str:
        """The counts that are not zero, as ``name=number``, and how recognition went."""
        words = [f"{name}={number}" for name, number in sorted(self.counts.items()) if number]
        return " ".join([*words, str(self.recognition)] if self._recognisers else words)
