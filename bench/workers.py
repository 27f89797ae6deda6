"""Two worker processes against one, in turn.

Requests: as many ``POST /speak`` as the gateway answers from its cache. One worker has one core; two have both, and the client
beside them, which costs a fraction of what the gateway does; the ratio of what they answer in a second is that of their
throughput. What they would answer if the busiest of them had a core to itself is told as well: answers in a second by its share of
one.

Calls: as many as ``--calls``, the same number for one worker and for two. What limits a gateway is its busiest process, so the
ratio of how many calls it could hold is the CPU of the one over that of the busier of the two.
"""

import argparse
import sys
import time
from typing import Any

from bench import machine, speak, targets
from bench.figures import faults, line, spread
from bench.rig import control
from bench.sessions import WARM_UP_S, first_call, stamped


def calls(workers: int, count: int, seconds: float, cores: machine.Cores) -> dict[str, Any]:
    """CPU of each worker under ``count`` calls."""
    about = machine.about()
    with (
        control.vendor(cores) as (vendor, vendor_port),
        targets.running("waav", vendor_port, cores, server={"workers": str(workers)}) as running,
    ):
        first_call(running, cores)
        vendor.tell("forget")
        job = {"port": running.port, "calls": count, "speak_every_s": 5.0, "first_number": 0,
               "direct": False, "churn_s": 0}  # fmt: skip
        with control.rig("callers", cores, **job) as callers:
            callers.next("opened")
            callers.ask("start", "started")
            time.sleep(WARM_UP_S)
            vendor.tell("begin")
            callers.ask("begin", "begun")
            span = machine.Span(running.pid, callers.pid, vendor.pid)
            time.sleep(seconds)
            span.end()
            callers.ask("end", "measured")
            result, heard = callers.next("result"), vendor.ask("report", "report")
    figures = {
        "workers": workers, "calls": count, "seconds": round(span.seconds, 1),
        "cpu_percent": span.percent(span.spent[0].total_s),
        "busiest_worker_cpu_percent": span.percent(span.each[0][0].total_s),
        "each_cpu_percent": [span.percent(one.total_s) for one in span.each[0]],
        "rig": {"late_ticks": result["window"]["late_ticks"]} | span.rest(),
        "audio_up": heard["audio_up"] | {"sent": result["frames_sent"]},
        "speech_down": result["speech_down"] | {"sent": heard["speech_frames"]},
        "transcripts": result["transcripts"] | {"sent": heard["transcripts"]},
        "errors": result["errors"],
    }  # fmt: skip
    return figures | {
        "faults": faults(figures), "machine": about, "versions": running.versions,
        "cores_of_target": list(cores.target), "cores_of_rig": list(cores.rig),
    }  # fmt: skip


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--calls", type=int, default=60)
    parser.add_argument("--connections", type=int, default=16)
    parser.add_argument("--frames", type=int, default=20, help="of 10 ms in a cached answer")
    parser.add_argument("--no-pin", action="store_true")


def main(options: argparse.Namespace) -> int:
    """``workers``."""
    requests: dict[int, list[float]] = {1: [], 2: []}
    possible: dict[int, list[float]] = {1: [], 2: []}
    busiest: dict[int, list[float]] = {1: [], 2: []}
    wrong: list[str] = []
    for number in range(options.rounds):
        for workers in (1, 2):
            cores = machine.Cores.shared_out(not options.no_pin, workers)
            asked = speak.measure(
                True, options.connections, workers, options.seconds, options.frames, cores
            )
            talked = calls(workers, options.calls, options.seconds, cores)
            requests[workers].append(asked["requests_per_s"])
            share = asked["each_cpu_percent"][0] / 100
            possible[workers].append(asked["requests_per_s"] / share if share else 0.0)
            busiest[workers].append(talked["busiest_worker_cpu_percent"])
            for kind, run in (("requests", asked), ("calls", talked)):
                print(
                    line(stamped("workers", {"round": number + 1, "kind": kind} | run)), flush=True
                )
                wrong += [f"{kind}, {workers} workers: {fault}" for fault in run["faults"]]
    rows = {workers: spread(values) for workers, values in requests.items()}
    cpu = {workers: spread(values) for workers, values in busiest.items()}
    found = {
        "rounds": options.rounds, "calls": options.calls, "requests_per_s": rows,
        "busiest_worker_cpu_percent": cpu,
        "possible_requests_per_s": {key: spread(values) for key, values in possible.items()},
        "requests_ratio": spread(two / one for one, two in zip(*requests.values(), strict=True)),
        "possible_ratio": spread(two / one for one, two in zip(*possible.values(), strict=True)),
        "calls_ratio": spread(one / two for one, two in zip(*busiest.values(), strict=True)),
    }  # fmt: skip
    print(line(stamped("workers summary", found)))
    for one in wrong:
        print(one, file=sys.stderr)
    return 1 if wrong else 0
