"""The orchestrator's end of a rig process."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from bench import machine, targets


class Rig:
    """A process of the rig: told one word, answers with one event."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process
        self.pid = process.pid

    def tell(self, order: str) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(order + "\n")
        self.process.stdin.flush()

    def next(self, *expected: str) -> dict[str, Any]:
        """The next event, which must be one of those.

        Raises:
            SystemExit: it was another, or the process is gone.
        """
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        event: dict[str, Any] = json.loads(line) if line else {"event": "ended"}
        if event["event"] not in expected:
            raise SystemExit(f"the rig said {event}")
        return event

    def ask(self, order: str, *expected: str) -> dict[str, Any]:
        self.tell(order)
        return self.next(*expected)


@contextmanager
def rig(module: str, cores: machine.Cores, **job: Any) -> Iterator[Rig]:
    """Start ``bench.rig.<module>``, stop it at the end."""
    command = [sys.executable, "-m", f"bench.rig.{module}", json.dumps(job)]
    with targets.started(
        command, cores.rig, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield Rig(process)


@contextmanager
def vendor(cores: machine.Cores, **changed: Any) -> Iterator[tuple[Rig, int]]:
    """The vendor's double, and its port. The job is that of a call of the benchmark, unless ``changed``."""
    port = machine.free_port()
    job = {
        "port": port, "transcript_bytes": 16000, "final_every": 6, "speech_frames": 204,
        "pace_s": 0.02, "first_s": 0.08, "keeps_broken_off": False,
    } | changed  # fmt: skip
    with rig("vendor", cores, **job) as process:
        process.next("listening")
        yield process, port
