"""Environments of the peers: made on first use, of pinned versions, in a cache folder."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Environment:
    """What a peer needs. ``proof`` are modules that must be there."""

    requirements: tuple[str, ...]
    proof: tuple[str, ...]


ENVIRONMENTS = {
    "picows": Environment(
        ("picows==2.3.1", "aiofastnet==1.2.0", "uvloop==0.23.0"), ("picows", "uvloop")
    ),
    "websockets": Environment(
        ("websockets==17.4", "uvloop==0.23.0"), ("websockets.speedups", "uvloop")
    ),
    "http2": Environment(
        ("h2==4.4.1", "httptools==0.9.0", "uvloop==0.23.0"), ("h2", "httptools", "uvloop")
    ),
    "pipecat": Environment(
        ("pipecat-ai[deepgram,websocket]==1.14.0", "fastapi==0.165.0", "uvicorn==0.54.0",
         "uvloop==0.23.0"),
        ("pipecat", "deepgram", "fastapi", "uvicorn", "uvloop"),
    ),
}  # fmt: skip


def folder() -> Path:
    """Where environments are kept."""
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(os.environ.get("WAAV_BENCH_ENVS") or Path(cache, "waav-bench"))


def has(python: str, modules: tuple[str, ...]) -> bool:
    """Whether an interpreter can import all of these."""
    done = subprocess.run(
        [python, "-c", f"import {', '.join(modules)}"], check=False, capture_output=True
    )
    return done.returncode == 0


def python_of(name: str) -> str:
    """The interpreter of an environment; makes it if need be, which takes a minute."""
    wanted = ENVIRONMENTS[name]
    home = folder() / name
    python = str(home / "bin" / "python")
    if Path(python).exists() and has(python, wanted.proof):
        return python
    print(f"making {home}: {' '.join(wanted.requirements)}", file=sys.stderr, flush=True)
    subprocess.run([sys.executable, "-m", "venv", str(home)], check=True, stdout=sys.stderr)
    install = [python, "-m", "pip", "install", "-q", *wanted.requirements]
    subprocess.run(install, check=True, stdout=sys.stderr)
    return python
