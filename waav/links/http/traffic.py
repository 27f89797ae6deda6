"""What happened over HTTP with one vendor, counted for whoever watches."""

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Final

BOUNDS_S: Final = (0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0)
"""Upper bounds of the histograms' classes; one more class is above all of them."""


def _classes() -> list[int]:
    return [0] * (len(BOUNDS_S) + 1)


@dataclass(slots=True)
class TrafficFigures:
    """One vendor host so far. Durations in seconds; classes as in ``BOUNDS_S``, each counted for itself.

    Args:
        total: requests that came to an end: well, badly, or given up by whoever asked. Repetitions are not counted.
        seconds: what these took, waiting for their turn and repetitions included; ``latency`` has them by class.
        in_flight: requests that have their turn.
        waiting: requests that wait for it.
        connections_reused: requests that found a connection open, warmed up or kept from earlier.
        first_byte: from asking to the head of the answer, by class; ``first_byte_seconds`` all together.
    """

    total: int = 0
    succeeded: int = 0
    failed: int = 0
    retries: int = 0
    in_flight: int = 0
    seconds: float = 0.0
    connections_opened: int = 0
    connections_reused: int = 0
    connections_idle: int = 0
    waiting: int = 0
    latency: list[int] = field(default_factory=_classes)
    first_byte_seconds: float = 0.0
    first_byte: list[int] = field(default_factory=_classes)

    def ended(self, seconds: float) -> None:
        """A request is over."""
        self.total += 1
        self.seconds += seconds
        self.latency[bisect_left(BOUNDS_S, seconds)] += 1

    def answered(self, seconds: float) -> None:
        """A request has been answered, well or badly."""
        self.first_byte_seconds += seconds
        self.first_byte[bisect_left(BOUNDS_S, seconds)] += 1
