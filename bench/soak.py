"""Calls that come and go for minutes or hours, and what the gateway keeps of them.

As many calls as ``--calls``, or 70 % of what a core holds by a short measurement before. One after the other ends and a new one
takes its place, so that each lasts about a minute. Every few seconds: memory, descriptors, delays, losses, the event loop's lag.
At the end all calls hang up, and the descriptors must be as many as before the first; connections to the vendor that are kept for
the next text are counted apart.
"""

import argparse
import sys
import time
import urllib.request
from contextlib import ExitStack
from typing import Any

from bench import machine, targets
from bench.figures import faults, line, slope
from bench.rig import control
from bench.sessions import first_call, later, measure, stamped

CALL_S = 60.0
SHARE_OF_CAPACITY = 0.7
MOST_CALLS = 300
"""The rig is one core as well."""

FORGET_S = 60.0
"""How long after the last call something of it may still be open."""

LAG = "waav_loop_lag_max_minute_seconds"


def capacity(cores: machine.Cores) -> int:
    """Calls that one core holds, by what 40 cost."""
    found = measure("waav", 40, 8.0, cores)
    print(line(stamped("soak capacity", found)), flush=True)
    return int(found["calls_per_core"])


def metric(port: int, name: str) -> float | None:
    """A gauge of the gateway's ``GET /metrics``; None where there is none."""
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/metrics", headers={"Authorization": f"Bearer {targets.TOKEN}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        for text in answer.read().decode().splitlines():
            if text.startswith((name + " ", name + "{")):
                return float(text.rsplit(" ", 1)[1])
    return None


def collected(port: int) -> list[dict[str, int]]:
    """What the gateway's garbage collector has done, by generation."""
    return [
        {
            "collections": int(metric(port, f'waav_gc_collections_total{{generation="{n}"}}') or 0),
            "objects": int(metric(port, f'waav_gc_objects_total{{generation="{n}"}}') or 0),
        }
        for n in range(3)
    ]


class Watch:
    """Samples of a run."""

    def __init__(self, running: targets.Running, callers: control.Rig, vendor: control.Rig) -> None:
        self.running, self.callers, self.vendor = running, callers, vendor
        self.began = time.monotonic()
        self.samples: list[dict[str, Any]] = []
        self.cpu = machine.family_cpu(running.pid)

    def look(self) -> None:
        """One sample, printed."""
        seen = self.callers.ask("sample", "sample")
        cpu = machine.family_cpu(self.running.pid)
        lag = metric(self.running.port, LAG)
        sample = {
            "at_s": round(time.monotonic() - self.began, 1),
            "rss_mb": round(machine.rss_mb(self.running.pid), 2),
            "descriptors": machine.descriptors(self.running.pid),
            "cpu_s": round((cpu - self.cpu).total_s, 2),
            "lag_ms": round(lag * 1000, 2) if lag is not None else None,
            "speech": seen["speech"], "first_chunk": later(seen["first_chunk"], 80.0),
            "late_ticks": seen["late_ticks"], "errors": seen["errors"],
        }  # fmt: skip
        self.cpu = cpu
        self.samples.append(sample)
        print(line({"what": "soak sample"} | sample), flush=True)


def trend(samples: list[dict[str, Any]], warm_up_s: float) -> dict[str, Any]:
    """How memory grows after warming up, in MB an hour."""
    kept = [one for one in samples if one["at_s"] >= warm_up_s]
    points = [(one["at_s"] / 3600, one["rss_mb"]) for one in kept]
    return {
        "rss_mb_per_h": round(slope(points), 2), "warm_up_s": warm_up_s,
        "samples_after_warm_up": len(kept),
        "rss_mb_first": kept[0]["rss_mb"] if kept else None,
        "rss_mb_last": kept[-1]["rss_mb"] if kept else None,
        "lag_max_ms": max((one["lag_ms"] or 0.0 for one in kept), default=0.0),
        "speech_p99_max_ms": max((one["speech"].get("p99_ms", 0.0) for one in kept), default=0.0),
    }  # fmt: skip


def kept(running: targets.Running, vendor: control.Rig) -> tuple[int, int]:
    """Descriptors, less connections to the vendor that wait for the next text; and how many those are."""
    waiting = int(vendor.ask("connections", "connections")["open"])
    return machine.descriptors(running.pid) - waiting, waiting


def at_rest(running: targets.Running, vendor: control.Rig) -> tuple[int, int]:
    """The same, the least of some seconds: what just closes is not counted."""
    seen = []
    for _ in range(5):
        time.sleep(1.0)
        seen.append(kept(running, vendor))
    return min(seen)


def left(running: targets.Running, vendor: control.Rig, before: int) -> tuple[int, int]:
    """The same, once they are as many as before, or when there is no more waiting for that."""
    ends_at = time.monotonic() + FORGET_S
    while (now := kept(running, vendor))[0] > before and time.monotonic() < ends_at:
        time.sleep(1.0)
    return now


def soak(options: argparse.Namespace, cores: machine.Cores, calls: int) -> dict[str, Any]:
    """The run."""
    about = machine.about()
    seconds = options.hours * 3600 or options.minutes * 60
    with ExitStack() as stack:
        vendor, vendor_port = stack.enter_context(control.vendor(cores))
        running = stack.enter_context(
            targets.running("waav", vendor_port, cores, server={"workers": str(options.workers)})
        )
        first_call(running, cores)
        vendor.tell("forget")
        if options.manners:
            with rude(running.port, 22.0) as visit:  # what is loaded for the first of them stays
                visit.wait()
        metric(running.port, LAG)
        before, waiting_before = at_rest(running, vendor)
        rss_before = machine.rss_mb(running.pid)
        collected_before = collected(running.port)
        job = {"port": running.port, "calls": calls, "speak_every_s": 5.0, "first_number": 0,
               "direct": False, "churn_s": CALL_S / calls}  # fmt: skip
        callers = stack.enter_context(control.rig("callers", cores, **job))
        if callers.next("opened", "failed")["event"] == "failed":
            raise SystemExit("the calls could not be opened")
        callers.ask("start", "started")
        if options.manners:
            visit = stack.enter_context(rude(running.port, seconds))
        callers.ask("begin", "begun")
        watch = Watch(running, callers, vendor)
        while (rest := watch.began + seconds - time.monotonic()) > 0:
            time.sleep(min(options.every, rest))
            watch.look()
        if options.manners:
            visit.wait()
        callers.ask("end", "measured")
        collected_after = collected(running.port)
        result, heard = callers.next("result"), vendor.ask("report", "report")
        after, waiting_after = left(running, vendor, before)
        rss_after = machine.rss_mb(running.pid)
    figures = {
        "calls": calls, "calls_in_all": result["calls_opened"], "seconds": round(seconds),
        "workers": options.workers,
        "cpu_percent": round(100 * sum(one["cpu_s"] for one in watch.samples) / seconds, 1),
        "descriptors_before": before, "descriptors_after": after,
        "kept_alive_before": waiting_before, "kept_alive_after": waiting_after,
        "gc_before": collected_before, "gc_after": collected_after,
        "rss_mb_before": round(rss_before, 1), "rss_mb_after": round(rss_after, 1),
        **trend(watch.samples, options.warm_up or min(120.0, seconds / 4)),
        "ready": result["ready"],
        "audio_up": heard["audio_up"] | {"sent": result["frames_sent"]},
        "speech_down": result["speech_down"] | {"sent": heard["speech_frames"]},
        "transcripts": result["transcripts"] | {"sent": heard["transcripts"]},
        "errors": result["errors"],
    }  # fmt: skip
    figures["faults"] = faults(figures)
    if after > before:
        figures["faults"].append(f"{after - before} descriptors left over")
    return figures | {"machine": about, "versions": running.versions,
                      "cores_of_target": list(cores.target)}  # fmt: skip


def rude(port: int, seconds: float) -> Any:
    """Callers with bad manners, on the same gateway."""
    command = [sys.executable, "-m", "bench", "manners", "--port", str(port), "--callers", "4",
               "--seconds", str(max(1.0, seconds - 20))]  # fmt: skip
    return targets.started(command)


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--hours", type=float, default=0.0, help="instead of minutes; 8 is a night")
    parser.add_argument(
        "--calls", type=int, default=0, help="instead of 70 %% of a core's capacity"
    )
    parser.add_argument("--workers", type=int, default=1)
    parser.add_argument("--every", type=float, default=5.0, help="seconds between samples")
    parser.add_argument(
        "--warm-up", type=float, default=0.0, help="seconds; default: a quarter, at most 120"
    )
    parser.add_argument(
        "--manners", action="store_true", help="with callers with bad manners beside"
    )
    parser.add_argument("--no-pin", action="store_true")


def main(options: argparse.Namespace) -> int:
    """``soak``."""
    cores = machine.Cores.shared_out(not options.no_pin, options.workers)
    calls = options.calls or min(MOST_CALLS, int(SHARE_OF_CAPACITY * capacity(cores)))
    figures = soak(options, cores, calls)
    print(line(stamped("soak", figures)), flush=True)
    for one in figures["faults"]:
        print(one, file=sys.stderr)
    return 1 if figures["faults"] else 0
