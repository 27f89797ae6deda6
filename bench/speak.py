"""How many ``POST /speak`` a gateway answers in a second: from its cache, and from a vendor that takes no time."""

import argparse
import sys
import time
from typing import Any

from bench import machine, targets
from bench.figures import line, summary
from bench.rig import control
from bench.sessions import stamped

BODY = {"tts_config": {"provider": "deepgram", "model": "aura-2-thalia-en",
                       "audio_format": "linear16", "sample_rate": 24000}}  # fmt: skip


def measure(
    is_cached: bool, connections: int, workers: int, seconds: float, frames: int,
    cores: machine.Cores,
) -> dict[str, Any]:  # fmt: skip
    """One run. ``frames`` of 10 ms are in each answer."""
    about = machine.about()
    with (
        control.vendor(cores, speech_frames=frames, pace_s=0.0, first_s=0.0) as (vendor, vendor_port),
        targets.running(
            "waav", vendor_port, cores, cache={"ttl_seconds": 3600}, server={"workers": str(workers)}
        ) as running,
    ):  # fmt: skip
        job = {"port": running.port, "connections": connections, "is_cached": is_cached,
               "body": BODY, "first_number": 0}  # fmt: skip
        with control.rig("requesters", cores, **job) as requesters:
            requesters.next("running")
            time.sleep(1.0)
            requesters.ask("begin", "begun")
            span = machine.Span(running.pid, requesters.pid, vendor.pid)
            time.sleep(seconds)
            measured = requesters.ask("end", "measured")
            span.end()
    wall, (target, client, double) = span.seconds, span.spent
    count = measured["took"]["count"]
    faults = [f"error: {one}" for one in measured["errors"]]
    if not count:
        faults.append("not one answer")
    return {
        "target": "waav", "answers": "cached" if is_cached else "vendor", "workers": workers,
        "connections": connections, "seconds": round(wall, 1), "frames_of_an_answer": frames,
        "requests_per_s": round(count / wall, 1), "took": measured["took"],
        "mb_per_s": round(measured["bytes"] / wall / 2**20, 1),
        "cpu_us_per_request": round(1e6 * target.total_s / count, 1) if count else 0.0,
        "cpu_percent": span.percent(target.total_s),
        "each_cpu_percent": [span.percent(one.total_s) for one in span.each[0]],
        "rig": {
            "client_cpu_percent": span.percent(client.total_s),
            "vendor_cpu_percent": span.percent(double.total_s),
        } | span.rest(),
        "faults": faults, "machine": about, "versions": running.versions,
        "cores_of_target": list(cores.target), "cores_of_rig": list(cores.rig),
    }  # fmt: skip


SHOWN = ("requests_per_s", "took.p50_ms", "took.p99_ms", "cpu_us_per_request", "cpu_percent",
         "mb_per_s", "rig.client_cpu_percent")  # fmt: skip


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--workers", default="1", help="numbers of workers, 1,2")
    parser.add_argument("--frames", type=int, default=204, help="of 10 ms in an answer")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--answers", default="cached,vendor")
    parser.add_argument("--no-pin", action="store_true")


def main(options: argparse.Namespace) -> int:
    """``speak``."""
    runs = []
    for number in range(options.rounds):
        for workers in map(int, options.workers.split(",")):
            cores = machine.Cores.shared_out(not options.no_pin, workers)
            for answers in options.answers.split(","):
                run = measure(
                    answers == "cached", options.connections, workers, options.seconds,
                    options.frames, cores,
                )  # fmt: skip
                runs.append(stamped("speak", {"round": number + 1} | run))
                print(line(runs[-1]), flush=True)
    groups: dict[str, list[dict[str, Any]]] = {}
    for run in runs:
        groups.setdefault(f"{run['answers']}, {run['workers']} workers", []).append(run)
    rows = {name: summary(group, SHOWN) for name, group in groups.items()}
    print(line(stamped("speak summary", {"rounds": options.rounds, "targets": rows})))
    wrong = [fault for run in runs for fault in run["faults"]]
    for one in wrong:
        print(one, file=sys.stderr)
    return 1 if wrong else 0
