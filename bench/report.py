"""Runs what docs/performance.md shows, keeps the results beside it, and writes the page's tables and those of the README anew.

python -m bench report --rounds 3                       # all of it: about an hour
python -m bench report --rounds 3 --parts calls-20,echo # some of it; the others keep their results
python -m bench report --parts none                     # only the tables, from the results there are
"""

import argparse
import json
import subprocess
import sys
from typing import Any

from bench import growth, tables, targets

FOLDER = targets.ROOT / "docs" / "performance"
PAGES = (targets.ROOT / "docs" / "performance.md", targets.ROOT / "README.md")

PARTS: dict[str, list[str]] = {
    "calls-1": ["sessions", "--calls", "1", "--against", "picows"],
    "calls-20": ["sessions", "--calls", "20", "--against", "picows,rig"],
    "calls-80": ["sessions", "--calls", "80", "--against", "picows,rig"],
    "calls-160": ["sessions", "--calls", "160", "--against", "picows"],
    "websockets": ["sessions", "--calls", "20", "--against", "websockets"],
    "pipecat": ["sessions", "--calls", "10", "--against", "pipecat"],
    "interrupt": ["interrupt", "--calls", "1"],
    "interrupt-real-time": ["interrupt", "--calls", "20", "--tries", "5", "--real-time"],
    "echo": ["echo"],
    "speak": ["speak"],
    "workers": ["workers"],
    "models": ["models"],
    "growth": ["growth"],
    "soak": ["soak"],
}
ONCE = ("growth", "soak")
"""Parts that are not repeated: they take long, and each is many measurements."""


def run(part: str, rounds: int, seconds: float) -> tuple[list[dict[str, Any]], int]:
    """Run a part as one would by hand; its lines go to stdout as they come. Returns them, and the exit code."""
    command = [sys.executable, "-m", "bench", *PARTS[part]]
    if part not in ONCE:
        command += ["--rounds", str(rounds)]
    if seconds and PARTS[part][0] == "sessions":
        command += ["--seconds", str(seconds)]
    found = []
    with subprocess.Popen(command, cwd=targets.ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            for text in process.stdout:
                print(text, end="", flush=True)
                if text.startswith("{"):
                    found.append(json.loads(text))
        except BaseException:
            process.terminate()
            raise
    return found, process.returncode


def results() -> dict[str, list[dict[str, Any]]]:
    """What there is, by part."""
    return {
        path.stem: [json.loads(text) for text in path.read_text().splitlines()]
        for path in sorted(FOLDER.glob("*.jsonl"))
    }


def write() -> None:
    """The picture and the pages, by the results there are."""
    found = results()
    if grown := [one for one in found.get("growth", ()) if one["what"] == "growth summary"]:
        growth.PICTURE.write_text(growth.picture(grown[-1]))
    for page in PAGES:
        page.write_text(tables.filled(page.read_text(), found))


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=0.0, help="of each run of calls; 20")
    parser.add_argument("--parts", default=",".join(PARTS), help=f"of {', '.join(PARTS)}, or none")


def main(options: argparse.Namespace) -> int:
    """``report``."""
    parts = [] if options.parts == "none" else options.parts.split(",")
    if unknown := [part for part in parts if part not in PARTS]:
        raise SystemExit(f"there is no part {', '.join(unknown)}")
    FOLDER.mkdir(parents=True, exist_ok=True)
    worst = 0
    for part in parts:
        print(f"{part}: {' '.join(PARTS[part])}", file=sys.stderr, flush=True)
        found, code = run(part, options.rounds, options.seconds)
        worst = worst or code
        if not found:
            print(f"{part}: no results; the earlier ones stay", file=sys.stderr)
            continue
        lines = [json.dumps(one, ensure_ascii=False) for one in found]
        (FOLDER / f"{part}.jsonl").write_text("\n".join([*lines, ""]))
        write()
    write()
    return worst
