"""How long frames of calls take while the gateway's own models work, and how much those get done.

Calls against the vendor's double need no model; their frames are stamped. Beside them, in turn: nothing, four syntheses
that never end, ten recognitions. Other calls talk to a second double at the same time without the gateway: what their
frames take is the machine's doing (``floor``).

    python -m bench models --seconds 15
"""

import argparse
import json
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from bench import machine, targets
from bench.figures import faults, line
from bench.rig import control

CONDITIONS = {
    "nothing": {},
    "one_after_the_other": {"speakers": 1, "sentences": 1, "pause_s": 0.15},
    "four_syntheses": {"speakers": 4, "sentences": 12},
    "ten_recognitions": {"talkers": 10},
}
WARM_UP_S = 2.0
SAID = (
    "Please hold the line, somebody will be with you in a moment. "
    "Seven letters arrived this morning, and nobody has opened them yet. "
    "The second train is usually late, but today it left at ten past four. "
    "If you would like to leave a message, speak after the tone. "
)


class Threads:
    """CPU time of the gateway, split into what moves frames and what computes."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.began = time.monotonic()
        self.reactor_s, self.all_s = self.now()

    def now(self) -> tuple[float, float]:
        fields = Path(f"/proc/{self.pid}/task/{self.pid}/stat").read_text().rsplit(")", 1)[1]
        user, system = fields.split()[11:13]
        reactor = (int(user) + int(system)) / machine.TICKS
        return reactor, machine.family_cpu(self.pid).total_s

    def row(self) -> dict[str, float]:
        seconds = time.monotonic() - self.began
        reactor_s, all_s = (
            now - before
            for now, before in zip(self.now(), (self.reactor_s, self.all_s), strict=True)
        )
        return {
            "reactor_cpu_percent": round(100 * reactor_s / seconds, 1),
            "other_threads_cpu_percent": round(100 * (all_s - reactor_s) / seconds, 1),
        }


@contextmanager
def callers(port: int, calls: int, cores: machine.Cores, is_direct: bool) -> Iterator[control.Rig]:
    """Calls with audio flowing."""
    job = {
        "port": port, "calls": calls, "speak_every_s": 4.0, "direct": is_direct, "churn_s": 0,
        "first_number": 0,
    }  # fmt: skip
    with control.rig("callers", cores, **job) as crowd:
        opened = crowd.next("opened", "failed")
        if opened["event"] == "failed":
            raise SystemExit(f"{opened['errors']}")
        crowd.ask("start", "started")
        yield crowd


def measure(
    name: str, gateway: targets.Running, vendor: tuple[control.Rig, int], sound: Path,
    options: argparse.Namespace, cores: machine.Cores, number: int,
) -> dict[str, Any]:  # fmt: skip
    """One condition."""
    heard, _port = vendor
    job = {
        "port": gateway.port, "speakers": 0, "sentences": 0, "talkers": 0, "sound": str(sound),
        "pause_s": 0.0, "first_number": number * 100_000,
    } | CONDITIONS[name]  # fmt: skip
    with (
        control.vendor(cores) as (double, double_port),
        callers(gateway.port, options.calls, cores, False) as ours,
        callers(double_port, options.calls, cores, True) as direct,
        control.rig("talkers", cores, **job) as talkers,
    ):
        talkers.next("running")
        time.sleep(WARM_UP_S)
        heard.tell("begin")
        double.tell("begin")
        for one in (ours, direct, talkers):
            one.ask("begin", "begun")
        threads = Threads(gateway.pid)
        time.sleep(options.seconds)
        cpu = threads.row()
        done = talkers.ask("end", "measured")
        for crowd in (ours, direct):
            crowd.ask("end", "measured")
        rows = [
            (crowd.next("result"), rig.ask("report", "report"))
            for crowd, rig in ((ours, heard), (direct, double))
        ]
    (result, report), (floor, floor_report) = rows
    figures = {
        "audio_up": report["audio_up"] | {"sent": result["frames_sent"]},
        "speech_down": result["speech_down"] | {"sent": report["speech_frames"]},
        "transcripts": result["transcripts"] | {"sent": report["transcripts"]},
        "errors": result["errors"] + done["errors"],
    }
    return figures | {
        "floor": {"audio_up": floor_report["audio_up"], "speech_down": floor["speech_down"]},
        "late": result["window"]["late"],
        "first_audio": done["first"],
        "times_real_time": done["times_real_time"],
        "finals": done["finals"],
        "rss_mb": round(machine.rss_mb(gateway.pid), 1),
        "faults": faults(figures),
    } | cpu  # fmt: skip


def spoken(port: int, folder: Path) -> Path:
    """What talkers say, in the gateway's own voice: 16 kHz linear16."""
    body = {
        "text": SAID * 2,
        "tts_config": {"provider": "local", "model": "", "audio_format": "linear16",
                       "sample_rate": 16000},
    }  # fmt: skip
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}/speak",
        json.dumps(body).encode(),
        {"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        path = folder / "said.raw"
        path.write_bytes(answer.read() + bytes(16000))
    return path


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--calls", type=int, default=5, help="through the gateway, and as many beside it"
    )
    parser.add_argument("--seconds", type=float, default=10.0, help="measured, for each condition")
    parser.add_argument("--only", default=",".join(CONDITIONS), help="conditions")
    parser.add_argument("--threads", type=int, default=2, help="models.threads")
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--in-threads", action="store_true", help="models.process: false")


def main(options: argparse.Namespace) -> int:
    """``models``: prints a line for each round."""
    cores = machine.Cores()
    wrong = []
    models = {"threads": options.threads, "process": not options.in_threads}
    names = [one for one in options.only.split(",") if one]
    for number in range(options.rounds):
        about = machine.about()
        found = {}
        with tempfile.TemporaryDirectory(prefix="waav-bench-") as folder:
            for index, name in enumerate(names):
                # A gateway for each, so that the double's counts are of one condition.
                with (
                    control.vendor(cores) as vendor,
                    targets.running("waav", vendor[1], cores, models=models) as gateway,
                ):
                    sound = spoken(gateway.port, Path(folder))
                    found[name] = measure(name, gateway, vendor, sound, options, cores, index)
                    versions = gateway.versions
                wrong += [f"{name}: {one}" for one in found[name]["faults"]]
        figures = {"what": "models", "round": number + 1, "calls": options.calls,
                   "seconds": options.seconds, "models_threads": options.threads,
                   "models_process": not options.in_threads}  # fmt: skip
        figures |= found | {"machine": about, "versions": versions, "command": machine.command()}
        print(line(figures), flush=True)
    for one in wrong:
        print(one, file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    arguments(parser)
    sys.exit(main(parser.parse_args()))
