"""What a call costs: N calls, paced at 20 ms from one monotonic origin, against the replay server.

Each call sends 16 kHz linear16, one 640-byte frame every 20 ms, phases spread over the period; the vendor's
half answers a transcript for every 500 ms of audio, every sixth final. Every ``--speak-every`` seconds a call
speaks 34 characters, answered after 80 ms with 2.04 s of 24 kHz audio in 20 ms pieces in real time, which the
gateway delivers as 10 ms frames. Stamps of CLOCK_MONOTONIC inside the audio, and inside the transcripts, give
the delays; the three processes share that clock.

    .venv/bin/python -m bench.session --calls 20 --seconds 20
"""

import argparse
import json
import os
import struct
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

STAMP = struct.Struct("<Bxxxqii")  # a mark, nanoseconds, call, sequence number; the rest is silence
MARK = 1
FRAME_BYTES = 640
PERIOD_S = 0.02


@dataclass
class Delays:
    """Delays of one direction, in nanoseconds, and what was lost or came out of order."""

    values: list[int] = field(default_factory=list)
    lost: int = 0
    reordered: int = 0
    last: dict[int, int] = field(default_factory=dict)

    def add(self, stamp: int, call: int, sequence: int, now: int) -> None:
        self.values.append(now - stamp)
        before = self.last.get(call, -1)
        if sequence <= before:
            self.reordered += 1
        elif sequence > before + 1:
            self.lost += sequence - before - 1
        self.last[call] = max(sequence, before)

    def row(self) -> dict[str, Any]:
        ordered = sorted(self.values)
        if not ordered:
            return {"frames": 0}

        def at(share: float) -> float:
            return round(ordered[min(len(ordered) - 1, int(len(ordered) * share))] / 1e6, 3)

        return {
            "frames": len(ordered), "p50_ms": at(0.5), "p99_ms": at(0.99), "max_ms": at(1.0),
            "lost": self.lost, "reordered": self.reordered,
        }  # fmt: skip


def cpu_s(pid: int) -> float:
    """CPU seconds of a process so far, user and system."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int) -> float:
    """Resident memory of a process, in MB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def free_port() -> int:
    import socket

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def wait_for(port: int, process: subprocess.Popen[bytes]) -> None:
    import socket

    ends_at = time.monotonic() + 60
    while time.monotonic() < ends_at:
        if process.poll() is not None:
            raise SystemExit(f"{process.args} ended with {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit(f"nothing listens on {port}")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--speak-every", type=float, default=5.0, help="0: never")
    parser.add_argument("--profile", metavar="FILE", help="write a cProfile of the gateway")
    parser.add_argument("--json", metavar="FILE", help="also write the figures there")
    parser.add_argument(
        "--baseline", metavar="FILE", help="figures of an earlier run to compare with"
    )
    parser.add_argument(
        "--tolerance", type=float, default=0.5, help="share by which a figure may be worse"
    )
    options = parser.parse_args()
    figures = run(options)
    print(json.dumps(figures, indent=2))
    if options.json:
        Path(options.json).write_text(json.dumps(figures, indent=2))
    worse = lost(figures)
    if options.baseline:
        before = json.loads(Path(options.baseline).read_text())
        worse += regressions(figures, before, options.tolerance)
    for line in worse:
        print(line, file=sys.stderr)
    return 1 if worse else 0


def lost(figures: dict[str, Any]) -> list[str]:
    """A line for each direction in which a frame got lost or overtook another."""
    found = []
    for way in ("audio_up", "audio_down"):
        row = figures[way]
        missing = row["sent"] - row["frames"]
        if missing or row["lost"] or row["reordered"]:
            found.append(
                f"{way}: {missing} of {row['sent']} missing, {row['lost']} lost, {row['reordered']} reordered"
            )
    return found


def regressions(figures: dict[str, Any], before: dict[str, Any], tolerance: float) -> list[str]:
    """A line for each figure that is worse than before by more than ``tolerance``. Equal numbers of calls only."""
    if figures["calls"] != before["calls"]:
        return [f"the baseline has {before['calls']} calls, this run {figures['calls']}"]
    pairs = {
        name: (figures[name], before[name]) for name in ("cpu_percent_per_call", "rss_mb_per_call")
    }
    for way in ("audio_up", "audio_down", "transcripts"):
        pairs[f"{way}.p50_ms"] = (figures[way]["p50_ms"], before[way]["p50_ms"])
    return [
        f"{name}: {now}, was {was}"
        for name, (now, was) in pairs.items()
        if now > was * (1 + tolerance)
    ]


def run(options: argparse.Namespace) -> dict[str, Any]:
    vendor_port, gateway_port = free_port(), free_port()
    folder = Path(tempfile.mkdtemp(prefix="waav-bench-"))
    report = folder / "vendor.json"
    vendor = subprocess.Popen([sys.executable, "-m", "bench.vendor", str(vendor_port), str(report)])
    wait_for(vendor_port, vendor)
    config = folder / "waav.yaml"
    config.write_text(
        f"server: {{host: 127.0.0.1, port: {gateway_port}}}\n"
        f"providers: {{deepgram: {{api_key: bench, endpoint: 'http://127.0.0.1:{vendor_port}'}}}}\n"
        "cache: {ttl_seconds: 0}\nlogging: {level: warn}\n"
        "security: {max_connections_per_ip: 100000, rate_limit_requests_per_second: 100000}\n"
        "audio: {stt_provider: deepgram, tts_provider: deepgram}\n"
    )
    command = [sys.executable, "-m", "waav.cli", "serve", "-c", str(config)]
    if options.profile:
        # Not python -m cProfile: twistd ends by the signal that stopped it, before that could write.
        command += [f"--profile={options.profile}", "--profiler=cProfile", "--savestats"]
    gateway = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        wait_for(gateway_port, gateway)
        from bench.load import Load

        load = Load(options.calls, options.seconds, options.speak_every, gateway_port, gateway.pid)
        load.run()
    finally:
        gateway.terminate()
        gateway.wait(40)
        vendor.terminate()
        vendor.wait(20)
    up = json.loads(report.read_text())
    figures = load.figures()
    figures["audio_up"] = up["audio"] | {"sent": load.frames_sent}
    figures["audio_down"]["sent"] = up["sent"]["speech_frames"]
    return figures


if __name__ == "__main__":
    sys.exit(main())
