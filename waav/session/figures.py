"""What a call came to, for the one line in the log at its end."""

from collections import Counter


class Figures:
    """Counts and durations of one call, all its configs together.

    Names of counts: ``results``, ``finals``, ``utterances``, ``cleared``, ``clears_refused``, ``errors``,
    ``dropped`` (pieces of audio nobody could take), ``unfiltered`` (milliseconds the noise filter let pass),
    ``suppressed`` (results during protected speech) and ``forced_<method>``.
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
