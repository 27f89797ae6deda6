"""Checks of the embedded voice on a gateway started here: first audio, clear, calls opened and closed.

python -m bench local first-audio
python -m bench local clear
python -m bench local churn
"""

import argparse
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import deferLater, react

from bench.client import call
from bench.figures import line
from bench.machine import descriptors, free_port, rss_mb, wait_for
from bench.sessions import stamped

LONG = (
    "The old clock on the wall had stopped years ago, yet nobody in the village ever thought of mending it. "
    "Every morning the baker set out before sunrise and walked along the river to the mill. "
    "By the time the first bread was ready, the fishermen were already coming home with their boats. "
) * 6


def gateway(**sections: Any) -> tuple[subprocess.Popen[bytes], int]:
    """``waav serve`` on a free port, warm."""
    port = free_port()
    folder = Path(tempfile.mkdtemp(prefix="waav-shown-"))
    config = folder / "waav.json"
    config.write_text(json.dumps({"server": {"host": "127.0.0.1", "port": port}} | sections))
    command = [sys.executable, "-m", "waav.cli.main", "serve", "-c", str(config)]
    process = subprocess.Popen(
        command, stdout=(folder / "log").open("wb"), stderr=subprocess.STDOUT
    )
    wait_for(port, process)
    return process, port


async def first_audio(reactor: Any, port: int, tries: int = 20) -> dict[str, Any]:
    """Milliseconds from sending ``speak`` to its first audio frame; a new text each time, so nothing is cached."""
    caller = await call(reactor, port)
    caller.send({"type": "speak", "text": "Warming up."})
    await caller.of_type("tts_playback_complete")
    values = []
    for number in range(tries):
        first = caller.until(lambda event: isinstance(event, bytes))
        done = caller.of_type("tts_playback_complete")
        sent = caller.send(
            {
                "type": "speak",
                "text": f"Your appointment is number {number} on the list for this afternoon.",
            }
        )
        values.append(((await first)[0] - sent) * 1000)
        await done
        await deferLater(reactor, 0.1)
    return {
        "tries": tries,
        "median_ms": round(statistics.median(values), 1),
        "max_ms": round(max(values), 1),
    }


async def clear(reactor: Any, port: int, tries: int = 100) -> dict[str, Any]:
    """Latest audio frame after ``clear`` at a random moment of a long utterance, in ``tries`` tries."""
    seed = int(os.environ.get("WAAV_SEED", "7"))
    chance = random.Random(seed)
    caller = await call(reactor, port)
    latest, late, in_progress = 0.0, 0, 0
    for number in range(tries):
        text = f"Try number {number}. " + LONG
        done = caller.of_type("tts_playback_complete")
        caller.events.clear()
        caller.send({"type": "speak", "text": text})
        await deferLater(reactor, chance.uniform(0.02, 0.5))
        before = any(isinstance(event, bytes) for _, event in caller.events)
        finished = done.called
        sent = caller.send({"type": "clear"})
        in_progress += before and not finished
        await deferLater(reactor, 0.35)
        after = [at - sent for at, event in caller.events if isinstance(event, bytes) and at > sent]
        latest = max([latest, *after])
        late += any(value > 0.1 for value in after)
        if not finished:
            caller.waiting.clear()
    return {"tries": tries, "with_audio_flowing": in_progress, "later_than_100_ms": late,
            "latest_frame_ms": round(latest * 1000, 1), "seed": seed}  # fmt: skip


async def churn(
    reactor: Any, port: int, pid: int, calls: int = int(os.environ.get("WAAV_CALLS", "100"))
) -> dict[str, Any]:
    """File descriptors, session counts and memory before and after opening and closing ``calls`` calls."""

    async def one() -> None:
        caller = await call(reactor, port)
        caller.hear(bytes(6400))
        caller.send({"type": "speak", "text": "Hello."})
        await caller.of_type("tts_playback_complete")
        closed = caller.closed
        caller.sendClose(1000)
        await closed

    for _ in range(5):
        await one()
    await deferLater(reactor, 1.0)
    fds, memory = descriptors(pid), rss_mb(pid)
    for _ in range(calls):
        await one()
    await deferLater(reactor, 1.5)
    return {"calls": calls, "descriptors_before": fds, "descriptors_after": descriptors(pid),
            "rss_mb_before": round(memory, 1), "rss_mb_after": round(rss_mb(pid), 1)}  # fmt: skip


CHECKS = {"first-audio": first_audio, "clear": clear, "churn": churn}


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("check", choices=CHECKS)


def main(options: argparse.Namespace) -> int:
    """``local``."""
    process, port = gateway(security={"rate_limit_requests_per_second": 99999})

    async def run(reactor: Any) -> None:
        await deferLater(reactor, 4.0)
        more = (process.pid,) if options.check == "churn" else ()
        began = time.monotonic()
        figures = await CHECKS[options.check](reactor, port, *more)
        figures["took_s"] = round(time.monotonic() - began, 1)
        print(line(stamped("local", {"check": options.check} | figures)), flush=True)

    try:
        react(lambda reactor: Deferred.fromCoroutine(run(reactor)))
    except SystemExit as ended:
        return int(bool(ended.code))
    finally:
        process.terminate()
        process.wait(40)
    return 0
