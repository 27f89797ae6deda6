"""What a call came to, for the one line in the log at its end."""

from collections import Counter


class Figures:
    """Counts and durations of one call, all its configs together.

    Names of counts: ``results``, ``finals``, ``forced_<method>`` (ends of turns by our own timing),
    ``duplicates`` (repeated ends of turns that were dropped), ``suppressed`` (results during protected speech),
    ``utterances``, ``cleared``, ``clears_refused``, ``reconnects`` (of the recogniser), ``errors``,
    ``dropped`` (the caller's audio nobody could take), ``late`` (speech nobody wanted any more) and
    ``unfiltered_ms`` (audio that the noise filter let pass).
    """

    def __init__(self, started_at: float) -> None:
        self.started_at = started_at
        self.heard_s = 0.0
        self.spoken_s = 0.0
        self.counts: Counter[str] = Counter()

    def add(self, name: str, number: int = 1) -> None:
        """Count ``number`` more of ``name``."""
        self.counts[name] += number

    def __getitem__(self, name: str) -> int:
        return self.counts[name]

    def __str__(self) -> str:
        """The counts that are not zero, as ``name=number``."""
        return " ".join(
            f"{name}={number}" for name, number in sorted(self.counts.items()) if number
        )
