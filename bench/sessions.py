"""What a call costs: N calls against the vendor's double, through each target in turn."""

import argparse
import datetime
import sys
import time
from collections.abc import Sequence
from typing import Any

from bench import machine, targets
from bench.figures import faults, line, ratios, summary
from bench.rig import control

WARM_UP_S = 3.0
"""Until as many calls speak at once as ever will."""

FRAMES_OF_A_CHUNK = 1.5
"""Of each 20 ms of speech comes one piece in, and go two frames out: 1.5 per frame out."""


def measure(
    target: str, calls: int, seconds: float, cores: machine.Cores, speak_every_s: float = 5.0,
    warm_up_s: float = WARM_UP_S, **options: Any,
) -> dict[str, Any]:  # fmt: skip
    """One run; see docs/performance.md for what each figure means."""
    about = machine.about()
    with (
        control.vendor(cores) as (vendor, vendor_port),
        targets.running(target, vendor_port, cores, **options) as running,
    ):
        if running.pid:
            first_call(running, cores)
            vendor.tell("forget")
        rss_before = machine.rss_mb(running.pid) if running.pid else 0.0
        job = {
            "port": running.port, "calls": calls, "speak_every_s": speak_every_s,
            "first_number": 0, "direct": target == "rig", "churn_s": 0,
        }  # fmt: skip
        with control.rig("callers", cores, **job) as callers:
            opened = callers.next("opened", "failed")
            if opened["event"] == "failed":
                raise SystemExit(f"{target}: {opened['errors']}")
            time.sleep(0.3)
            rss_open = machine.rss_mb(running.pid) if running.pid else 0.0
            callers.ask("start", "started")
            time.sleep(warm_up_s)
            vendor.tell("begin")
            callers.ask("begin", "begun")
            span = machine.Span(running.pid, callers.pid, vendor.pid)
            time.sleep(seconds)
            span.end()
            callers.ask("end", "measured")
            rss_end = machine.rss_mb(running.pid) if running.pid else 0.0
            result = callers.next("result")
            heard = vendor.ask("report", "report")
    figures: dict[str, Any] = {"target": target, "calls": calls}
    figures |= costs(span, calls, result["window"])
    figures |= {
        "rss_mb_before": round(rss_before, 1),
        "rss_mb_per_idle_call": round((rss_open - rss_before) / calls, 3),
        "rss_mb_per_call": round((rss_end - rss_before) / calls, 3),
        "ready": result["ready"],
        "audio_up": heard["audio_up"] | {"sent": result["frames_sent"]},
        "speech_down": result["speech_down"] | {"sent": heard["speech_frames"]},
        "transcripts": result["transcripts"] | {"sent": heard["transcripts"]},
        "first_chunk": later(result["window"]["first_chunk"], 80.0),
        "errors": result["errors"],
    }
    figures["faults"] = faults(figures)
    return figures | {
        "machine": about, "versions": running.versions, "cores_of_target": list(cores.target),
        "cores_of_rig": list(cores.rig),
    }  # fmt: skip


def first_call(running: targets.Running, cores: machine.Cores) -> None:
    """One call before all others, so that what is loaded and made once is not counted as that of a call."""
    job = {
        "port": running.port, "calls": 1, "speak_every_s": 1.0, "direct": False, "churn_s": 0,
        "first_number": 90000,
    }  # fmt: skip
    with control.rig("callers", cores, **job) as caller:
        opened = caller.next("opened", "failed")
        if opened["event"] == "failed":
            raise SystemExit(f"{running.name}: {opened['errors']}")
        caller.ask("start", "started")
        time.sleep(0.8)
        caller.ask("end", "measured")
        caller.next("result")
    machine.settle(running.pid)


def later(row: dict[str, Any], wait_ms: float) -> dict[str, Any]:
    """Delays, less the time that the vendor takes."""
    return {
        name: round(value - wait_ms, 3) if name.endswith("_ms") else value
        for name, value in row.items()
    }


def costs(span: machine.Span, calls: int, seen: dict[str, Any]) -> dict[str, Any]:
    """Figures of CPU time; ``seen`` is what the callers counted meanwhile."""
    target, callers, vendor = span.spent
    total = target.total_s
    frames = 2 * (seen["frames_up"] + seen["transcripts"])
    frames += FRAMES_OF_A_CHUNK * seen["frames_down"]
    return {
        "seconds": round(span.seconds, 1),
        "cpu_percent_per_call": round(100 * total / span.seconds / calls, 4),
        "cpu_percent": span.percent(total),
        "user_share": round(target.user_s / total, 2) if total else 0.0,
        "calls_per_core": round(span.seconds * calls / total) if total else 0,
        "us_per_frame": round(1e6 * total / frames, 1) if frames else 0.0,
        "frames_per_call_s": round(frames / span.seconds / calls, 1),
        "rig": {
            "late_ticks": seen["late_ticks"],
            "late_p99_ms": seen["late"].get("p99_ms"),
            "callers_cpu_percent": span.percent(callers.total_s),
            "vendor_cpu_percent": span.percent(vendor.total_s),
        } | span.rest(),
    }  # fmt: skip


def stamped(what: str, figures: dict[str, Any]) -> dict[str, Any]:
    """A run, with what it was, when and how it was started."""
    now = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    return {"what": what} | figures | {"date": now, "command": machine.command()}


ALWAYS = ("target", "calls", "seconds", "machine", "versions")


def in_turn(
    names: list[str], calls: int, rounds: int, seconds: float, cores: machine.Cores,
    what: str = "sessions", only: Sequence[str] = (), **options: Any,
) -> list[dict[str, Any]]:  # fmt: skip
    """All targets at one number of calls, A B A B; prints each run. Returns the runs.

    ``only``: figures to be kept. ``options``: sections of our gateway's configuration.
    """
    runs = []
    for number in range(rounds):
        for name in names:
            more = options if name == "waav" else {}
            figures = measure(name, calls, seconds, cores, **more)
            if only:
                figures = {key: figures[key] for key in (*ALWAYS, *only)}
            run = stamped(what, {"round": number + 1} | figures)
            print(line(run), flush=True)
            runs.append(run)
    return runs


SHOWN = (
    "cpu_percent_per_call", "user_share", "calls_per_core", "us_per_frame", "rss_mb_before",
    "rss_mb_per_idle_call", "rss_mb_per_call", "ready.p50_ms", "ready.p99_ms", "audio_up.p50_ms",
    "audio_up.p99_ms", "audio_up.max_ms", "speech_down.p50_ms", "speech_down.p99_ms",
    "speech_down.max_ms", "transcripts.p50_ms", "transcripts.p99_ms", "first_chunk.p50_ms",
    "first_chunk.p99_ms", "rig.late_ticks", "rig.callers_cpu_percent", "rig.vendor_cpu_percent",
    "rig.others_cpu_percent",
)  # fmt: skip


def summarised(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Median, least and most of each figure for each target, and ratios of our medians to the others'."""
    targets_seen = list(dict.fromkeys(run["target"] for run in runs))
    rows = {
        name: summary([run for run in runs if run["target"] == name], SHOWN)
        for name in targets_seen
    }
    found: dict[str, Any] = {"calls": runs[0]["calls"], "rounds": len(runs) // len(targets_seen),
                             "targets": rows}  # fmt: skip
    ours = rows.get("waav")
    if ours is not None:
        found["ratio"] = {
            name: ratios(ours, row) for name, row in rows.items() if name not in ("waav", "rig")
        }
    return found


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--calls", default="20", help="numbers of calls, 1,20,80,160")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=20.0, help="measured, after warming up")
    parser.add_argument("--against", default="", help=f"of {','.join(targets.NAMES[1:])}")
    parser.add_argument("--only", default="", help="targets to run instead of waav")
    parser.add_argument("--profile", metavar="FILE", help="write a cProfile of the gateway")
    parser.add_argument("--no-pin", action="store_true", help="let the kernel choose cores")


def listed(text: str) -> list[str]:
    return [one for one in text.split(",") if one]


def main(options: argparse.Namespace, what: str = "sessions", only: Sequence[str] = ()) -> int:
    """``sessions``: prints a line for each run and one that sums up."""
    cores = machine.Cores.shared_out(not options.no_pin)
    names = listed(options.only) or ["waav", *listed(options.against)]
    extra = {"profile": options.profile} if options.profile else {}
    wrong = []
    for calls in map(int, listed(options.calls)):
        runs = in_turn(names, calls, options.rounds, options.seconds, cores, what, only, **extra)
        print(line(stamped(f"{what} summary", summarised(runs))), flush=True)
        wrong += [f"{run['target']}: {fault}" for run in runs for fault in run["faults"]]
    for one in wrong:
        print(one, file=sys.stderr)
    return 1 if wrong else 0
