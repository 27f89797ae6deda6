"""The arithmetic of the benchmarks: delays, losses, medians, ratios, slopes. Standard library only."""

import json
import statistics
import struct
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

STAMP = struct.Struct("<Bxxxqiii")
"""What stands at the beginning of a frame: a mark, CLOCK_MONOTONIC in nanoseconds, call, utterance, sequence number."""

MARK = 0xA5


class Delays:
    """How often each delay was seen. Kept in microseconds, to ten significant bits, so hours of frames need no room."""

    def __init__(self) -> None:
        self.counts: dict[int, int] = {}
        self.max_us = 0

    def add(self, delay_ns: int) -> None:
        key = delay_us = delay_ns // 1000
        if delay_us >= 1024:
            bits = delay_us.bit_length() - 10
            key = delay_us >> bits << bits
        self.counts[key] = self.counts.get(key, 0) + 1
        if delay_us > self.max_us:
            self.max_us = delay_us

    def at(self, share: float) -> float:
        """The delay in milliseconds that this share of all frames did not exceed."""
        left = int(sum(self.counts.values()) * share)
        for key in sorted(self.counts):
            left -= self.counts[key]
            if left < 0:
                return round(key / 1000, 3)
        return round(self.max_us / 1000, 3)

    def row(self) -> dict[str, Any]:
        """``count`` and, where there are any, ``p50_ms``, ``p99_ms`` and ``max_ms``."""
        count = sum(self.counts.values())
        if not count:
            return {"count": 0}
        return {
            "count": count,
            "p50_ms": self.at(0.5),
            "p99_ms": self.at(0.99),
            "max_ms": round(self.max_us / 1000, 3),
        }


class Stream:
    """The sequence numbers of one stream, from 0: what is missing, what came twice, what came late."""

    __slots__ = ("doubled", "missing", "next", "reordered")

    def __init__(self) -> None:
        self.next = 0
        self.missing: set[int] = set()
        self.doubled = self.reordered = 0

    def add(self, sequence: int) -> None:
        if sequence == self.next:
            self.next += 1
        elif sequence > self.next:
            self.missing.update(range(self.next, sequence))
            self.next = sequence + 1
        elif sequence in self.missing:
            self.missing.discard(sequence)
            self.reordered += 1
        else:
            self.doubled += 1

    @property
    def received(self) -> int:
        """Different frames that came."""
        return self.next - len(self.missing)


@dataclass
class Direction:
    """All streams of one direction, and how long their frames took."""

    delays: Delays = field(default_factory=Delays)
    streams: dict[Any, Stream] = field(default_factory=dict)
    frames: int = 0
    lost: int = 0
    doubled: int = 0
    reordered: int = 0

    def stream(self, name: Any) -> Stream:
        found = self.streams.get(name)
        if found is None:
            found = self.streams[name] = Stream()
        return found

    def end(self, name: Any) -> None:
        """That stream is over: keep its sums only."""
        done = self.streams.pop(name, None)
        if done is not None:
            self.frames += done.received
            self.lost += len(done.missing)
            self.doubled += done.doubled
            self.reordered += done.reordered

    def row(self) -> dict[str, Any]:
        """Delays, and the frames of all streams so far."""
        open_now = self.streams.values()
        return self.delays.row() | {
            "received": self.frames + sum(one.received for one in open_now),
            "lost": self.lost + sum(len(one.missing) for one in open_now),
            "doubled": self.doubled + sum(one.doubled for one in open_now),
            "reordered": self.reordered + sum(one.reordered for one in open_now),
        }


DIRECTIONS = ("audio_up", "speech_down", "transcripts")


def faults(figures: Mapping[str, Any]) -> list[str]:
    """A line for each direction in which a frame got lost, came twice or overtook another, and for each error."""
    found = []
    for way in DIRECTIONS:
        row = figures.get(way)
        if row is None or "sent" not in row:
            continue
        missing = row["sent"] - row["received"]
        if missing or row["doubled"] or row["reordered"]:
            found.append(
                f"{way}: {missing} of {row['sent']} lost, {row['doubled']} doubled, {row['reordered']} reordered"
            )
    return found + [f"error: {one}" for one in figures.get("errors", ())]


def flat(figures: Mapping[str, Any], prefix: str = "") -> dict[str, float]:
    """Every number of a run under one name: ``audio_up.p50_ms``."""
    found: dict[str, float] = {}
    for name, value in figures.items():
        if isinstance(value, Mapping):
            found |= flat(value, f"{prefix}{name}.")
        elif isinstance(value, int | float) and not isinstance(value, bool):
            found[f"{prefix}{name}"] = value
    return found


def spread(values: Iterable[float]) -> dict[str, float]:
    """Median, least and most."""
    ordered = sorted(values)
    return {
        "median": round(statistics.median(ordered), 4),
        "min": round(ordered[0], 4),
        "max": round(ordered[-1], 4),
    }


def summary(
    runs: Sequence[Mapping[str, Any]], names: Iterable[str] = ()
) -> dict[str, dict[str, float]]:
    """Median, least and most of these figures, or of all, as far as every run has them."""
    rows = [flat(run) for run in runs]
    shared = [name for name in names or rows[0] if all(name in row for row in rows)]
    return {name: spread(row[name] for row in rows) for name in shared}


def ratios(
    ours: Mapping[str, Mapping[str, float]], theirs: Mapping[str, Mapping[str, float]]
) -> dict[str, float]:
    """Our median over theirs, for each figure that both have and that is not 0 there."""
    return {
        name: round(ours[name]["median"] / theirs[name]["median"], 3)
        for name in ours
        if name in theirs and theirs[name]["median"]
    }


def slope(points: Sequence[tuple[float, float]]) -> float:
    """Least squares: by how much y grows with each x. 0 for fewer than two different x."""
    if len({x for x, _ in points}) < 2:
        return 0.0
    return statistics.linear_regression([x for x, _ in points], [y for _, y in points]).slope


def line(figures: Mapping[str, Any]) -> str:
    """A run as one line of JSON."""
    return json.dumps(figures, separators=(",", ":"), ensure_ascii=False)
