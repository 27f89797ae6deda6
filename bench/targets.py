"""What is measured: our gateway, and the peers. Each is one process that serves ``/ws`` on a port."""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import environments, machine

ROOT = Path(__file__).resolve().parent.parent
LIBRARIES = (
    "waav", "twisted", "autobahn", "websockets", "uvloop", "picows", "aiofastnet", "pipecat-ai",
    "deepgram-sdk", "fastapi", "uvicorn",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Running:
    """A target that serves. ``pid`` is 0 where there is no process: the rig alone."""

    name: str
    pid: int
    port: int
    versions: dict[str, str]


Maker = Callable[..., tuple[str, list[str]]]


TOKEN = "bench-metrics"
"""Of our gateway's ``GET /metrics``."""


def waav_config(port: int, vendor_port: int, **sections: Any) -> dict[str, Any]:
    """A gateway with everything at its default, but for what a run from one address needs.

    Answers are not kept: every text is unique, so the cache would only grow while memory is being measured.
    """
    config: dict[str, Any] = {
        "server": {"host": "127.0.0.1", "port": port},
        "providers": {
            "deepgram": {"api_key": "bench", "endpoint": f"http://127.0.0.1:{vendor_port}"}
        },
        "audio": {"stt_provider": "deepgram", "tts_provider": "deepgram"},
        "cache": {"ttl_seconds": 0},
        "logging": {"level": "warn"},
        "metrics": {"token": TOKEN},
        "security": {
            "max_connections_per_ip": 100000,
            "rate_limit_requests_per_second": 99999,
            "rate_limit_burst_size": 99999,
        },
    }
    for name, values in sections.items():
        if values is None:
            del config[name]
            continue
        config[name] = config.get(name, {}) | values if isinstance(values, dict) else values
    return config


def _waav(
    folder: Path, port: int, vendor_port: int, profile: str | None = None, **sections: Any
) -> tuple[str, list[str]]:
    config = folder / "waav.json"
    config.write_text(json.dumps(waav_config(port, vendor_port, **sections)))
    command = [sys.executable, "-m", "waav.cli.main", "serve", "-c", str(config)]
    if profile:
        # Not python -m cProfile: twistd ends by the signal that stopped it, before that could write.
        command += [f"--profile={profile}", "--profiler=cProfile", "--savestats"]
    return sys.executable, command


def _earlier(folder: Path, port: int, vendor_port: int) -> tuple[str, list[str]]:
    """Our gateway as it stands in another checkout: ``git worktree add`` makes one."""
    # It may be older than the metrics.
    python, command = _waav(folder, port, vendor_port, metrics=None)
    checkout = os.environ.get("WAAV_BENCH_EARLIER")
    if not checkout:
        raise SystemExit("WAAV_BENCH_EARLIER must name the folder of another checkout")
    return python, ["env", "-C", checkout, *command]


def _peer(environment: str, module: str, *extra: str) -> Maker:
    def make(folder: Path, port: int, vendor_port: int) -> tuple[str, list[str]]:
        python = environments.python_of(environment)
        return python, [python, "-m", module, str(port), str(vendor_port), *extra]

    return make


TARGETS: dict[str, Maker] = {
    "waav": _waav,
    "earlier": _earlier,
    "picows": _peer("picows", "bench.peers.picows_relay"),
    "websockets": _peer("websockets", "bench.peers.websockets_relay"),
    "pipecat": _peer("pipecat", "bench.peers.pipecat_server"),
}
NAMES = ("waav", "rig", "earlier", "picows", "websockets", "pipecat")


@contextmanager
def running(
    name: str, vendor_port: int, cores: machine.Cores = machine.Cores(), **options: Any
) -> Iterator[Running]:
    """Start a target, and stop it at the end. ``options`` are sections of our gateway's configuration."""
    if name == "rig":
        yield Running(name, 0, vendor_port, machine.versions(sys.executable, "uvloop"))
        return
    with tempfile.TemporaryDirectory(prefix="waav-bench-") as place:
        folder, port = Path(place), machine.free_port()
        python, command = TARGETS[name](folder, port, vendor_port, **options)
        with served(command, port, cores) as process:
            found = machine.versions(python, *LIBRARIES)
            yield Running(name, process.pid, port, found)


@contextmanager
def served(
    command: list[str], port: int, cores: machine.Cores
) -> Iterator["subprocess.Popen[Any]"]:
    """A server that listens and has come to rest. What it wrote is shown if anything fails."""
    with tempfile.NamedTemporaryFile(prefix="waav-bench-", suffix=".log") as log:
        try:
            with started(command, cores.target, stdout=log, stderr=log) as process:
                machine.wait_for(port, process)
                machine.settle(process.pid)
                yield process
        except BaseException:
            sys.stderr.write(Path(log.name).read_text(errors="replace")[-4000:])
            raise


@contextmanager
def started(
    command: list[str], cores: tuple[int, ...] = (), **options: Any
) -> Iterator["subprocess.Popen[Any]"]:
    """A process in the checkout's folder, stopped at the end."""
    process = subprocess.Popen(command, cwd=ROOT, preexec_fn=machine.pin(cores), **options)
    try:
        yield process
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(40)
        if process.poll() is None:
            process.kill()
            process.wait()
