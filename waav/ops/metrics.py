"""Figures of the process for Prometheus.

Three kinds of source: events of calls, written down as they happen (``CallMetrics``); counts that the rooms keep for
themselves, taken over at each ``refresh`` (``Sources``); and the beat of the event loop. Nothing here is on the way
of a frame.

Labels are names that the gateway itself knows: providers, error codes, routes, hosts of vendors. Never anything of a
caller.

Several worker processes add up: with ``PROMETHEUS_MULTIPROC_DIR`` in the environment of the process from its very
start, prometheus_client keeps all values in files of that folder, and ``exposition`` with the folder gives the sums.
"""

import os
import platform
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import prometheus_client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, multiprocess, values
from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4, generate_latest

import twisted
import waav
from waav.ops.lag import BOUNDS_S
from waav.session.ledger import Ledger

CONTENT_TYPE: Final = CONTENT_TYPE_PLAIN_0_0_4

FOLDER_VARIABLE: Final = "PROMETHEUS_MULTIPROC_DIR"
"""The library's name for the folder in which several processes keep their values."""

LATENCIES_S: Final = (0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1.0, 1.5, 2.0, 3.0, 5.0, 10.0)
"""What a caller waits for an answer: below 0.3 s it seems immediate, above 1 s it does not."""

DURATIONS_S: Final = (1, 5, 15, 30, 60, 120, 300, 600, 1800, 3600, 7200)
"""How long telephone calls take."""

Mode = Literal["livesum", "livemax", "livemin"]
"""How the gauges of several processes become one; those of processes that are gone do not count."""

# The library adds a series to each counter and histogram that says when it was made; the text format has no place
# for it, and it would double what is scraped.
prometheus_client.disable_created_metrics()  # type: ignore[no-untyped-call]


@dataclass(frozen=True, slots=True)
class Family:
    """One metric, as the manual describes it."""

    name: str
    kind: str
    labels: tuple[str, ...]
    doc: str


class Families:
    """Makes metrics, all of them with our prefix and in one registry.

    Attributes:
        made: all of them.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.made: list[Family] = []

    def counter(self, name: str, doc: str, *labels: str) -> Counter:
        """Something that only grows; ``name`` without prefix, ending in ``_total``."""
        self._note("counter", name, doc, labels)
        return Counter(f"waav_{name}", doc, labels, registry=self.registry)

    def gauge(self, name: str, doc: str, *labels: str, mode: Mode = "livesum") -> Gauge:
        """Something as it is now."""
        self._note("gauge", name, doc, labels)
        return Gauge(f"waav_{name}", doc, labels, registry=self.registry, multiprocess_mode=mode)

    def histogram(
        self, name: str, doc: str, *labels: str, buckets: tuple[float, ...] = LATENCIES_S
    ) -> Histogram:
        """How often something took how long, in seconds."""
        self._note("histogram", name, doc, labels)
        return Histogram(f"waav_{name}", doc, labels, registry=self.registry, buckets=buckets)

    def _note(self, kind: str, name: str, doc: str, labels: tuple[str, ...]) -> None:
        self.made.append(Family(f"waav_{name}", kind, labels, doc))


class CallMetrics(Ledger):
    """What happens in calls."""

    def __init__(self, families: Families) -> None:
        counter, histogram = families.counter, families.histogram
        self._configured = counter(
            "calls_configured_total", "Configs that came into force.", "stt", "tts"
        )
        self._ended = histogram(
            "call_duration_seconds",
            "From connection to clean-up, of calls that had a config.",
            buckets=DURATIONS_S,
        )
        self._errors = {
            "stt": counter("stt_errors_total", "Errors in recognition.", "provider", "kind"),
            "tts": counter("tts_errors_total", "Errors in synthesis.", "provider", "kind"),
        }
        self._took = {
            "first_result": histogram(
                "stt_first_result_seconds",
                "From the first audio of a config to the first recognised text.",
                "provider",
            ),
            "first_audio": histogram(
                "tts_first_audio_seconds",
                "From asking for an utterance to its first audio.",
                "provider",
            ),
        }
        self._forced = counter(
            "stt_forced_finals_total",
            "Ends of turns by the gateway's own timing.",
            "provider",
            "method",
        )
        self._counts = {
            name: counter(metric, doc, "provider") for name, (metric, doc) in COUNTS.items()
        }

    def configured(self, listener: str, speaker: str) -> None:
        """See ``Ledger``."""
        self._configured.labels(listener, speaker).inc()

    def ended(self, seconds: float) -> None:
        """See ``Ledger``."""
        self._ended.observe(seconds)

    def count(self, provider: str, name: str, number: float) -> None:
        """See ``Ledger``."""
        if name.startswith("forced_"):
            self._forced.labels(provider, name.removeprefix("forced_")).inc(number)
        elif name == "unfiltered_ms":
            self._counts[name].labels(provider).inc(number / 1000)
        elif name in self._counts:
            self._counts[name].labels(provider).inc(number)

    def error(self, provider: str, half: str, code: str) -> None:
        """See ``Ledger``."""
        self._errors[half].labels(provider, code).inc()

    def took(self, provider: str, name: str, seconds: float) -> None:
        """See ``Ledger``."""
        self._took[name].labels(provider).observe(seconds)


COUNTS: Final = {
    "results": ("stt_results_total", "Recognised texts, interim and final, that callers got."),
    "finals": ("stt_finals_total", "The final ones."),
    "duplicates": ("stt_duplicates_total", "Repeated ends of turns that were dropped."),
    "suppressed": ("stt_suppressed_total", "Results during speech that must not be interrupted."),
    "reconnects": ("stt_reconnects_total", "Lost connections to recognisers that came back."),
    "dropped": ("stt_dropped_total", "Pieces of callers' audio that nobody could take."),
    "unfiltered_ms": (
        "stt_unfiltered_seconds_total",
        "Callers' audio that the noise filter let pass because it was busy.",
    ),
    "heard_s": ("stt_audio_seconds_total", "Callers' audio."),
    "utterances": ("tts_utterances_total", "Texts to be spoken."),
    "characters": ("tts_characters_total", "Characters of them, from the cache too."),
    "spoken_s": ("tts_audio_seconds_total", "Speech that callers got, where its length is known."),
    "cleared": ("tts_cleared_total", "Texts that were dropped by an interruption."),
    "clears_refused": ("tts_clears_refused_total", "Interruptions during protected speech."),
    "late": ("tts_late_total", "Pieces of speech that came when nobody wanted them any more."),
}
"""Metrics of the counts in ``waav.session.summary.Figures``, by their names there."""


class Metrics:
    """All metrics of a process.

    Attributes:
        calls: the ledger for ``World``.
        families: for whoever has more to count.
    """

    def __init__(self) -> None:
        self.families = Families()
        self.calls = CallMetrics(self.families)
        self._lag = self.families.histogram(
            "loop_lag_seconds",
            "How late the event loop came to a timer; all that callers hear is at least as late.",
            buckets=BOUNDS_S,
        )
        self._sources: list[Callable[[], None]] = []
        build = self.families.gauge(
            "build_info", "Always 1.", "version", "python", "twisted", mode="livemax"
        )
        build.labels(waav.__version__, platform.python_version(), str(twisted.__version__)).set(1)

    def beat(self, late_s: float, due_at: float) -> None:
        """For ``LoopLag.follow``."""
        self._lag.observe(late_s)

    def follow(self, source: Callable[[], None]) -> None:
        """Call ``source`` at each refresh, to take over what it counts."""
        self._sources.append(source)

    def refresh(self) -> None:
        """Take over what is counted elsewhere; on the reactor's thread."""
        for source in self._sources:
            source()


class Following:
    """A counter that follows numbers which others count, and which may begin again at nothing."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._seen: dict[tuple[str, ...], float] = {}

    def set(self, number: float, *labels: str) -> None:
        """The number is now this."""
        before = self._seen.get(labels, 0.0)
        self._seen[labels] = number
        more = number - before if number >= before else number
        child = self._counter.labels(*labels) if labels else self._counter
        child.inc(more)


class FollowingClasses:
    """A histogram that follows what others have counted by its classes, each for itself."""

    def __init__(self, histogram: Histogram) -> None:
        self._histogram = histogram
        self._seen: dict[tuple[str, ...], tuple[float, list[int]]] = {}

    def set(self, seconds: float, counts: Sequence[int], *labels: str) -> None:
        """It is now this: the sum, and the numbers in the classes, the one above all bounds last."""
        known_s, known = self._seen.get(labels, (0.0, [0] * len(counts)))
        if sum(counts) < sum(known):
            known_s, known = 0.0, [0] * len(counts)
        self._seen[labels] = seconds, list(counts)
        child: Any = self._histogram.labels(*labels)
        # The library has no call for that: it only takes one observation at a time.
        child._sum.inc(seconds - known_s)
        for bucket, number, before in zip(child._buckets, counts, known, strict=True):
            bucket.inc(number - before)


def exposition(registry: CollectorRegistry, folder: str | None = None) -> bytes:
    """The text that Prometheus reads. May be called in any thread.

    Args:
        folder: of several processes, whose values are added up; then ``registry`` is not looked at.
    """
    if folder is not None:
        registry = CollectorRegistry()
        multiprocess.MultiProcessCollector(registry, folder)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def keep_as(number: int) -> None:
    """Keep the values of this process under the number of its place, instead of its process id.

    A worker that takes the place of another then goes on with its files: however often workers end, there are no
    more of them. To be called in a worker before any metric is made.
    """
    values.ValueClass = values.MultiProcessValue(lambda: number)  # type: ignore[no-untyped-call]


def process_gone(number: int, folder: str) -> None:
    """A worker has ended: what it had open is gone, what it counted stays.

    Args:
        number: what it called ``keep_as`` with, or its process id.
    """
    multiprocess.mark_process_dead(number, folder)  # type: ignore[no-untyped-call]


def shared_folder(environ: Mapping[str, str] = os.environ) -> str | None:
    """Where several processes keep their values; None where there is only one."""
    return environ.get(FOLDER_VARIABLE) or None
