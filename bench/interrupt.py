"""From an interruption to silence: a vendor that answers at once and speaks as fast as it is read.

A long text is being spoken. The caller sends ``clear`` at a random moment, and a ``ping`` behind it. Three times:

``last_frame``: from sending the ``clear`` to the last frame of the text, both seen by the caller.
``answer``: from sending the ``clear`` to the answer to the ``ping``; no frame may come after it.
``after_decision``: from the moment at which the vendor's double notices that the gateway wants no more of its answer, which
is when the gateway has decided, to the last frame that the caller gets. All processes read the same clock.
"""

import argparse
import os
import sys
from typing import Any

from bench import machine, targets
from bench.figures import Delays, line, summary
from bench.rig import control
from bench.sessions import stamped

FRAMES = 12000
"""Two minutes of speech. Where the buffers of all sockets hold the rest of it, the vendor cannot notice that nobody wants it."""


def measure(calls: int, tries: int, pace_s: float, cores: machine.Cores) -> dict[str, Any]:
    """One run."""
    about = machine.about()
    seed = int(os.environ.get("WAAV_SEED", "7"))
    asked = {"speech_frames": FRAMES, "pace_s": pace_s, "first_s": 0.0, "keeps_broken_off": True}
    with (
        control.vendor(cores, **asked) as (vendor, vendor_port),
        targets.running("waav", vendor_port, cores) as running,
    ):
        job = {"port": running.port, "calls": calls, "tries": tries, "frames": FRAMES,
               "seed": seed, "wait_s": 0.5 if pace_s else 0.02}  # fmt: skip
        with control.rig("interrupters", cores, **job) as interrupters:
            result = interrupters.next("result")
        noticed = {
            (call, text): at for call, text, at in vendor.ask("report", "report")["broken_off"]
        }
    late = result["frames_after_the_answer"]
    faults = [f"{late} frames came after the answer to a ping behind the clear"] if late else []
    if not result["moments"]:
        faults.append("nothing was being spoken when it was interrupted")
    return {
        "target": "waav", "calls": calls, "tries": calls * tries,
        "vendor": "real time" if pace_s else "as fast as it is read",
        "with_audio_flowing": len(result["moments"]), **rows(result["moments"], noticed),
        "faults": faults, "seed": seed, "machine": about, "versions": running.versions,
    }  # fmt: skip


def rows(
    moments: list[tuple[int, int, int, int, int]], noticed: dict[tuple[int, int], int]
) -> dict[str, Any]:
    """The three times, of all interruptions."""
    last_frame, answer, after_decision = Delays(), Delays(), Delays()
    for call, text, cleared, last, answered in moments:
        last_frame.add(max(0, last - cleared))
        answer.add(answered - cleared)
        if (call, text) in noticed:
            after_decision.add(max(0, last - noticed[call, text]))
    return {
        "last_frame": last_frame.row(), "answer": answer.row(),
        "after_decision": after_decision.row(),
    }  # fmt: skip


SHOWN = [f"{name}.{share}_ms" for name in ("after_decision", "last_frame", "answer")
         for share in ("p50", "p99", "max")]  # fmt: skip


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--calls", type=int, default=4, help="at once")
    parser.add_argument("--tries", type=int, default=25, help="of each call")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--real-time", action="store_true", help="the vendor speaks in real time")
    parser.add_argument("--no-pin", action="store_true")


def main(options: argparse.Namespace) -> int:
    """``interrupt``."""
    cores = machine.Cores.shared_out(not options.no_pin)
    runs = []
    for number in range(options.rounds):
        run = measure(options.calls, options.tries, 0.02 if options.real_time else 0.0, cores)
        runs.append(stamped("interrupt", {"round": number + 1} | run))
        print(line(runs[-1]), flush=True)
    found = {"rounds": options.rounds, "targets": {"waav": summary(runs, SHOWN)}}
    print(line(stamped("interrupt summary", found)))
    wrong = [fault for run in runs for fault in run["faults"]]
    for one in wrong:
        print(one, file=sys.stderr)
    return 1 if wrong else 0
