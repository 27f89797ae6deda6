"""What the rooms count for themselves, as metrics. Taken over when somebody asks."""

import gc
import os
import resource
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Protocol

from waav.cache.store import Store
from waav.links.dial import Dialler
from waav.links.engines.engines import Engines
from waav.links.http.traffic import BOUNDS_S
from waav.ops.lag import LoopLag
from waav.ops.metrics import Following, FollowingClasses, Metrics
from waav.ops.stalls import Stalls

_PROC: Final = Path("/proc/self")
_PAGE_BYTES: Final = resource.getpagesize()


class Connections(Protocol):
    """What ``waav.gateway.admission.connection_figures.ConnectionFigures`` counts."""

    @property
    def opened(self) -> Mapping[str, int]: ...
    @property
    def closed(self) -> Mapping[tuple[str, str], int]: ...
    @property
    def refused(self) -> Mapping[str, int]: ...
    @property
    def answered(self) -> Mapping[int, int]: ...


def connections(metrics: Metrics, figures: Connections) -> Callable[[], None]:
    """Connections and requests."""
    make = metrics.families
    open_ = make.gauge("connections_open", "Connections that are not cleaned up yet.", "route")
    opened = Following(make.counter("connections_opened_total", "Connections accepted.", "route"))
    closed = Following(
        make.counter("connections_closed_total", "Connections gone.", "route", "reason")
    )
    refused = Following(
        make.counter("refused_total", "Connections and requests refused by a limit.", "limit")
    )
    answered = Following(make.counter("requests_total", "Requests answered.", "status"))

    # From the start, so that the first one of a kind is seen as a change.
    for route in ("ws", "speak"):
        opened.set(0, route)
    for limit in ("total", "address", "rate", "shutdown"):
        refused.set(0, limit)

    def take() -> None:
        now = {"ws": 0, "speak": 0, **figures.opened}
        for route, number in figures.opened.items():
            opened.set(number, route)
        for (route, reason), number in figures.closed.items():
            closed.set(number, route, reason)
            now[route] -= number
        for route, number in now.items():
            open_.labels(route).set(number)
        for limit, number in figures.refused.items():
            refused.set(number, limit)
        for status, number in figures.answered.items():
            answered.set(number, str(status))

    return take


def cache(metrics: Metrics, store: Store) -> Callable[[], None]:
    """The cache of speech. Several processes share one, so what it holds is not added up."""
    make = metrics.families
    counters = {
        name: Following(make.counter(f"cache_{name}_total", doc))
        for name, doc in (
            ("hits", "Reads that found something."),
            ("misses", "Reads that found nothing."),
            ("sets", "Entries written."),
            ("deletes", "Entries deleted."),
            ("evictions", "Entries that had to make room."),
            ("failures", "Reads and writes that the disk refused."),
        )
    }
    size = make.gauge("cache_bytes", "What the cache holds.", mode="livemax")
    entries = make.gauge("cache_entries", "Entries in the cache.", mode="livemax")

    def take() -> None:
        figures = store.figures
        for name, counter in counters.items():
            counter.set(getattr(figures, name))
        size.set(figures.size_bytes)
        entries.set(figures.entries)

    return take


def vendors(metrics: Metrics, dialler: Dialler) -> Callable[[], None]:
    """HTTP towards vendors, by their addresses; callers cannot choose those."""
    make = metrics.families
    counters = {
        name: Following(make.counter(f"http_{metric}_total", doc, "origin"))
        for name, metric, doc in (
            ("total", "requests", "Requests that came to an end, repetitions not counted."),
            ("failed", "failed", "The failed ones; those given up by callers are neither."),
            ("succeeded", "succeeded", "The successful ones."),
            ("retries", "retries", "Repetitions."),
            ("seconds", "seconds", "What requests took, all together."),
            ("connections_opened", "connections_opened", "Connections opened."),
            ("connections_reused", "connections_reused", "Requests that found one open."),
        )
    }
    gauges = {
        name: make.gauge(f"http_{name}", doc, "origin")
        for name, doc in (
            ("in_flight", "Requests under way."),
            ("waiting", "Requests that wait for their turn."),
            ("connections_idle", "Open connections that nobody uses."),
        )
    }
    durations = {
        name: FollowingClasses(
            make.histogram(f"http_{name}_seconds", doc, "origin", buckets=BOUNDS_S)
        )
        for name, doc in (
            ("request", "What a request took, to the end of its answer."),
            ("first_byte", "From asking to the head of the answer."),
        )
    }

    busy: set[str] = set()

    def take() -> None:
        for origin in busy - dialler.figures.keys():
            for gauge in gauges.values():
                gauge.labels(origin).set(0)
        busy.clear()
        for origin, figures in dialler.figures.items():
            busy.add(origin)
            for name, counter in counters.items():
                counter.set(getattr(figures, name), origin)
            for name, gauge in gauges.items():
                gauge.labels(origin).set(getattr(figures, name))
            durations["request"].set(figures.seconds, figures.latency, origin)
            durations["first_byte"].set(figures.first_byte_seconds, figures.first_byte, origin)

    return take


def models(metrics: Metrics, engines: Engines) -> Callable[[], None]:
    """Models in this process."""
    make = metrics.families
    waiting = make.gauge("models_waiting", "Jobs that wait for a worker thread.")
    loaded = make.gauge("models_loaded", "Models in memory.")
    jobs = Following(make.counter("models_jobs_total", "Jobs done by worker threads."))
    seconds = Following(make.counter("models_seconds_total", "What these jobs took."))
    refused = Following(
        make.counter("models_refused_total", "Jobs refused because too many waited.")
    )

    def take() -> None:
        waiting.set(engines.waiting)
        loaded.set(engines.loaded)
        jobs.set(engines.figures.jobs)
        seconds.set(engines.figures.seconds)
        refused.set(engines.figures.refused)

    return take


def loop(metrics: Metrics, lag: LoopLag, stalls: Stalls | None) -> Callable[[], None]:
    """The event loop."""
    make = metrics.families
    worst = make.gauge("loop_lag_max_seconds", "The worst lag since the start.", mode="livemax")
    recent = make.gauge(
        "loop_lag_max_minute_seconds", "The worst lag of the last minute.", mode="livemax"
    )
    blocked = Following(
        make.counter("loop_stalls_total", "How often something blocked the event loop.")
    )
    lag.follow(metrics.beat)

    def take() -> None:
        worst.set(lag.figures.max_s)
        recent.set(lag.figures.recent_max_s(lag.seconds()))
        blocked.set(stalls.total if stalls is not None else 0)

    return take


def collections(metrics: Metrics) -> Callable[[], None]:
    """The garbage collector."""
    make = metrics.families
    made = Following(
        make.counter("gc_collections_total", "Garbage collections; 2 is a full one.", "generation")
    )
    found = Following(
        make.counter("gc_objects_total", "Objects that only they could remove.", "generation")
    )

    def take() -> None:
        for generation, figures in enumerate(gc.get_stats()):
            made.set(figures["collections"], str(generation))
            found.set(figures["collected"], str(generation))

    return take


def process(
    metrics: Metrics, proc: Path = _PROC, restarts: Callable[[], int] = lambda: 0
) -> Callable[[], None]:
    """Memory, processor and descriptors, of all worker processes together.

    Args:
        proc: where the system tells of this process.
        restarts: how often workers of this gateway were started again.
    """
    make = metrics.families
    workers = make.gauge("process_workers", "Processes that serve callers.")
    again = make.gauge(
        "process_worker_restarts",
        "Workers that ended and were started again, since the gateway's start.",
        mode="livemax",
    )
    resident = make.gauge("process_resident_memory_bytes", "Resident memory.")
    cpu = Following(make.counter("process_cpu_seconds_total", "Processor time."))
    open_fds = make.gauge("process_open_fds", "Open file descriptors.")
    most_fds = make.gauge("process_max_fds", "Descriptors that may be open.")
    start = make.gauge(
        "process_start_time_seconds", "When the oldest process started, Unix time.", mode="livemin"
    )
    start.set(time.time())
    workers.set(1)

    def take() -> None:
        cpu.set(time.process_time())
        again.set(restarts())
        most_fds.set(resource.getrlimit(resource.RLIMIT_NOFILE)[0])
        try:
            resident.set(int((proc / "statm").read_text().split()[1]) * _PAGE_BYTES)
            open_fds.set(len(os.listdir(proc / "fd")))
        except OSError:
            return  # no Linux, or no descriptor left to look with: then these two say nothing

    return take
