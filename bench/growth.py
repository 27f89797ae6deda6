"""CPU and memory at growing numbers of calls, and a picture of both."""

import argparse
import sys
from pathlib import Path
from typing import Any

from bench import chart, machine, targets
from bench.figures import line, summary
from bench.sessions import in_turn, listed, stamped

PICTURE = targets.ROOT / "docs" / "performance" / "growth.svg"
FITS = {"pipecat": 20}
"""More calls than this are too many for one process of it."""


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--calls", default="1,10,20,40,80,160")
    parser.add_argument("--against", default="picows,pipecat")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument(
        "--svg", default=str(PICTURE), help="where the picture goes; empty: nowhere"
    )
    parser.add_argument("--no-pin", action="store_true")


def main(options: argparse.Namespace) -> int:
    """``growth``."""
    cores = machine.Cores.shared_out(not options.no_pin)
    names = ["waav", *listed(options.against)]
    runs: list[dict[str, Any]] = []
    for calls in map(int, listed(options.calls)):
        fitting = [name for name in names if calls <= FITS.get(name, calls)]
        runs += in_turn(fitting, calls, options.rounds, options.seconds, cores, "growth")
    found = stamped("growth summary", grown(runs))
    print(line(found), flush=True)
    if options.svg:
        Path(options.svg).parent.mkdir(parents=True, exist_ok=True)
        Path(options.svg).write_text(picture(found))
    wrong = [f"{run['target']}: {fault}" for run in runs for fault in run["faults"]]
    for one in wrong:
        print(one, file=sys.stderr)
    return 1 if wrong else 0


def grown(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """CPU and memory of each target at each number of calls: medians."""
    found: dict[str, list[list[float]]] = {}
    for name in dict.fromkeys(run["target"] for run in runs):
        for calls in dict.fromkeys(run["calls"] for run in runs if run["target"] == name):
            same = [run for run in runs if run["target"] == name and run["calls"] == calls]
            row = summary(same, ("cpu_percent", "rss_mb_before", "rss_mb_per_call"))
            rss = row["rss_mb_before"]["median"] + calls * row["rss_mb_per_call"]["median"]
            found.setdefault(name, []).append([calls, row["cpu_percent"]["median"], round(rss, 1)])
    versions: dict[str, str] = {}
    for run in runs:
        versions |= run["versions"]
    return {"targets": found, "machine": runs[0]["machine"], "versions": versions}


def picture(found: dict[str, Any]) -> str:
    """The picture of a summary, with all that one needs to make it again."""
    cpu = {name: [(x, y) for x, y, _ in rows] for name, rows in found["targets"].items()}
    rss = {name: [(x, y) for x, _, y in rows] for name, rows in found["targets"].items()}
    about = found["machine"]
    shown = ("python", "waav", "twisted", "autobahn", "uvloop", "picows", "pipecat-ai")
    versions = [f"{name} {found['versions'][name]}" for name in shown if name in found["versions"]]
    return chart.svg(
        [
            chart.Panel("CPU", "calls", "% of one core", cpu),
            chart.Panel("Memory", "calls", "MB resident", rss),
        ],
        [
            f"{about['cpu']}, {about['cores']} cores, {about['system']}, Linux {about['kernel']}; {found['date'][:10]}",
            ", ".join(versions),
            found["command"],
        ],
    )
