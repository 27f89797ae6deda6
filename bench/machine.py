"""What Linux knows about processes, and about this machine."""

import json
import os
import platform
import random
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Cpu:
    """CPU seconds."""

    user_s: float = 0.0
    system_s: float = 0.0

    @property
    def total_s(self) -> float:
        return self.user_s + self.system_s

    def __add__(self, other: "Cpu") -> "Cpu":
        return Cpu(self.user_s + other.user_s, self.system_s + other.system_s)

    def __sub__(self, other: "Cpu") -> "Cpu":
        return Cpu(self.user_s - other.user_s, self.system_s - other.system_s)


def family(pid: int) -> list[int]:
    """A process and all that come from it."""
    found = [pid]
    for one in found:
        with suppress(OSError):
            for task in Path(f"/proc/{one}/task").iterdir():
                with suppress(OSError):
                    found += [int(child) for child in (task / "children").read_text().split()]
    return found


def cpu(pid: int) -> Cpu:
    """CPU time of one process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return Cpu(int(fields[11]) / TICKS, int(fields[12]) / TICKS)


def family_cpu(pid: int) -> Cpu:
    """CPU time of a process and its children so far."""
    return sum(each_cpu(pid).values(), Cpu())


def each_cpu(pid: int) -> dict[int, Cpu]:
    """The same, process by process."""
    found = {}
    for one in family(pid):
        with suppress(OSError):
            found[one] = cpu(one)
    return found


def busy() -> Cpu:
    """CPU time of all processes so far, and in ``system_s`` what the hypervisor gave to other machines."""
    fields = Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]
    user, nice, system, _idle, _wait, irq, softirq, steal = map(int, fields[:8])
    return Cpu((user + nice + system + irq + softirq) / TICKS, steal / TICKS)


class Span:
    """What processes and their children, each 0 for none, and the rest of the machine use from here to ``end``."""

    def __init__(self, *pids: int) -> None:
        self.pids = pids
        self.began = time.monotonic()
        self.before = [each_cpu(pid) if pid else {} for pid in pids]
        self.busy_before = busy()

    def end(self) -> None:
        self.seconds = time.monotonic() - self.began
        used = busy() - self.busy_before
        self.each: list[list[Cpu]] = []
        """CPU time process by process, the busiest first, of each family."""
        for pid, before in zip(self.pids, self.before, strict=True):
            after = each_cpu(pid) if pid else {}
            spent = [after[one] - before.get(one, Cpu()) for one in after]
            self.each.append(sorted(spent, key=lambda one: -one.total_s) or [Cpu()])
        self.spent = [sum(family, Cpu()) for family in self.each]
        self.others_s = max(0.0, used.user_s - sum(one.total_s for one in self.spent))
        self.stolen_s = used.system_s

    def percent(self, spent_s: float) -> float:
        """Of one core."""
        return round(100 * spent_s / self.seconds, 2)

    def rest(self) -> dict[str, float]:
        """What the measured processes had to share the machine with."""
        return {
            "others_cpu_percent": self.percent(self.others_s),
            "stolen_cpu_percent": self.percent(self.stolen_s),
        }


def rss_mb(pid: int) -> float:
    """Resident memory of a process and its children, in MB of 2^20 bytes."""
    total = 0
    for one in family(pid):
        with suppress(OSError):
            for line in Path(f"/proc/{one}/status").read_text().splitlines():
                if line.startswith("VmRSS"):
                    total += int(line.split()[1])
    return total / 1024


def descriptors(pid: int) -> int:
    """Open file descriptors of a process and its children."""
    return sum(len(os.listdir(f"/proc/{one}/fd")) for one in family(pid))


EPHEMERAL = Path("/proc/sys/net/ipv4/ip_local_port_range")
STARTS_S = 600.0
"""How long a program may take to listen; a minute is not enough where others have the cores."""


def free_port() -> int:
    """A TCP port of the loopback that nobody uses now, and that nobody is given for a connection meanwhile."""
    end = max(int(EPHEMERAL.read_text().split()[0]), 20_000)
    while True:
        port = random.SystemRandom().randrange(10_000, end)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def wait_for(port: int, process: "subprocess.Popen[Any]") -> None:
    """Until something listens."""
    ends_at = time.monotonic() + STARTS_S
    while time.monotonic() < ends_at:
        if process.poll() is not None:
            raise SystemExit(f"{process.args!r} ended with {process.returncode}")
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.05)
    raise SystemExit(f"nothing listens on {port}")


def settle(pid: int, most_s: float = 20.0) -> None:
    """Until a process that has just started does nothing any more."""
    ends_at = time.monotonic() + most_s
    quiet = 0
    while quiet < 3 and time.monotonic() < ends_at:
        before = family_cpu(pid).total_s
        time.sleep(0.3)
        quiet = quiet + 1 if family_cpu(pid).total_s - before <= 0.02 else 0


@dataclass(frozen=True, slots=True)
class Cores:
    """Who runs where. Empty: wherever the kernel likes."""

    target: tuple[int, ...] = ()
    rig: tuple[int, ...] = ()

    @classmethod
    def shared_out(cls, is_pinned: bool, for_target: int = 1) -> "Cores":
        """The last ``for_target`` cores for the target and the others for the rig, where that leaves any."""
        all_cores = sorted(os.sched_getaffinity(0))
        if not is_pinned or len(all_cores) < 2:
            return cls()
        if len(all_cores) <= for_target:
            return cls(tuple(all_cores), tuple(all_cores))
        return cls(tuple(all_cores[-for_target:]), tuple(all_cores[:-for_target]))


def pin(cores: Iterable[int]) -> Callable[[], None] | None:
    """For ``preexec_fn``: stay on these cores."""
    chosen = set(cores)
    return (lambda: os.sched_setaffinity(0, chosen)) if chosen else None


def about() -> dict[str, Any]:
    """The machine, in words."""
    model = platform.machine()
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                model = line.partition(":")[2].strip()
                break
    system = platform.system()
    with suppress(OSError):
        system = platform.freedesktop_os_release()["PRETTY_NAME"]
    return {
        "cpu": model, "cores": len(os.sched_getaffinity(0)), "system": system,
        "kernel": platform.release(), "load_before": round(os.getloadavg()[0], 2),
    }  # fmt: skip


VERSIONS = """
import json, platform, sys
from importlib.metadata import PackageNotFoundError, version
found = {"python": platform.python_version()}
for name in sys.argv[1:]:
    try:
        found[name] = version(name)
    except PackageNotFoundError:
        pass
print(json.dumps(found))
"""


def versions(python: str, *packages: str) -> dict[str, str]:
    """Versions of those packages that this interpreter has, and its own."""
    done = subprocess.run(
        [python, "-I", "-c", VERSIONS, *packages], check=True, capture_output=True, text=True
    )
    return dict(json.loads(done.stdout))


def command() -> str:
    """How this run was started."""
    return " ".join(["python -m bench", *sys.argv[1:]])
