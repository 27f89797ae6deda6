"""The whole suite: ``python -m tests.run [options] [NAME ...]``.

A room of tests (a folder of ``tests/``, or the modules beside the folders) runs as a trial process of its own, as
many at once as there are cores, long ones first; a room that takes long is cut into several. A line per group tells
how it ended; of those that failed everything is shown, with the command that repeats them. At the end come the
slowest tests and a line like trial's own.

NAME is what trial takes: ``tests.links``, ``tests.links.test_pool``, a class or a test. Without any all are run but
those of ``EXCLUDED``.
"""

import argparse
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Final, TextIO

from tests.waiting import Patience, waited_s

ROOT: Final = Path(__file__).resolve().parent.parent

EXCLUDED: Final = {
    "tests.browser": "tox -e browser: needs Chromium",
    "tests.conformance": "tox -e conformance: another test suite, minutes long",
    "tests.install": "tox -e install: about the installed package, not the checkout",
    "tests.prompts": "tox -e prompts: telephone prompts in real time",
}
"""What has a tox environment of its own, and why."""

LONG_S: Final[Mapping[str, float]] = {
    "tests.browser.test_console": 130,
    "tests.browser.test_looks": 70,
    "tests.browser.test_modules": 10,
    "tests.browser.test_settings": 90,
    "tests.browser.test_sound": 130,
    "tests.browser.test_trouble": 110,
    "tests.cli.test_commands": 14,
    "tests.links.engines.test_beside_calls": 20,
    "tests.links.engines.test_process": 16,
    "tests.links.http.test_link": 6,
    "tests.models.test_fetch": 6,
    "tests.models.test_moonshine": 57,
    "tests.models.test_noise": 12,
    "tests.net.test_frames_same": 32,
    "tests.net.test_reactor": 5,
    "tests.net.test_transport": 10,
    "tests.net.test_uvloop": 33,
    "tests.ops.test_metrics": 9,
    "tests.ops.test_scrape": 11,
    "tests.providers.test_deepgram": 10,
    "tests.providers.test_local": 5,
    "tests.service.test_workers": 35,
    "tests.test_bench": 18,
    "tests.test_conventions": 14,
    "tests.test_rooms": 5,
    "tests.testing.test_replay": 8,
}
"""Modules that take long, with their seconds as measured alone on two quiet cores; used until a run has
remembered what it measured here."""

OTHER_S: Final = 1.0
"""What a module takes of which nothing is known."""

PORTION_S: Final = 30.0
"""A room that takes longer is cut: the last of two cores shall not work alone for long. A process more costs a
second."""

LIMIT_S: Final = 600.0
"""A group in which no test ended for so long hangs. Time in which its processes waited for a core is not counted, so
that a busy machine does not look like a test that hangs."""

GRACE_S: Final = 30.0
"""How long a group that hangs may take to tell where its threads are."""

SLOWEST: Final = 10
MEMORY: Final = ROOT / ".suite-times.json"

TRIAL: Final = ("-m", "twisted.trial", "--force-gc", "--reactor=asyncio", "--reporter=timing")
BEGUN: Final = re.compile(r"^(\S+\.test\w*) \.\.\. ", re.MULTILINE)
ENDED: Final = re.compile(r"^\((\d+\.\d+) secs\)$", re.MULTILINE)
SUMMARY: Final = re.compile(r"^(?:PASSED|FAILED)(?: \((.*)\))?$", re.MULTILINE)
BAD: Final = ("failures", "errors", "unexpectedSuccesses")


@dataclass(frozen=True, slots=True)
class Group:
    """What runs in one process."""

    name: str
    tests: tuple[str, ...]
    expected_s: float

    def command(self, folder: Path) -> list[str]:
        """Trial for it; a signal that kills it makes Python tell where each thread was."""
        return [
            sys.executable,
            "-X",
            "faulthandler",
            *TRIAL,
            f"--temp-directory={folder}",
            *self.tests,
        ]


@dataclass(frozen=True, slots=True)
class Result:
    """How a group ended."""

    group: Group
    seconds: float
    output: str
    counts: Mapping[str, int]
    times: Mapping[str, float]
    """Seconds of each test that ended."""
    problem: str
    """Why the group failed, when it is not for its tests."""

    @property
    def failed(self) -> int:
        """Tests that failed; the group itself counts as one if none did and yet it is not well."""
        return sum(self.counts.get(name, 0) for name in BAD) or bool(self.problem)

    @property
    def line(self) -> str:
        """The result in a line."""
        passed = self.counts.get("successes", 0)
        text = (
            f"{self.group.name:50} {passed:5} passed {self.failed:4} failed {self.seconds:7.1f} s"
        )
        return f"{text}  {self.problem}".rstrip()


def find_modules(root: Path = ROOT) -> dict[str, list[str]]:
    """The test modules of each room, both by dotted names and in order."""
    rooms: dict[str, list[str]] = {}
    for path in sorted((root / "tests").rglob("test_*.py")):
        parts = path.relative_to(root).with_suffix("").parts
        rooms.setdefault(".".join(parts[:2]) if len(parts) > 2 else parts[0], []).append(
            ".".join(parts)
        )
    return rooms


def plan(rooms: Mapping[str, Sequence[str]], times: Mapping[str, float]) -> list[Group]:
    """Groups of the modules, long ones first."""
    groups = []
    for room, modules in rooms.items():
        portions: list[list[str]] = [[]]
        for module in modules:
            expected_s = sum(times.get(one, OTHER_S) for one in [*portions[-1], module])
            if portions[-1] and expected_s > PORTION_S:
                portions.append([])
            portions[-1].append(module)
        for portion in portions:
            if len(portions) == 1:
                name = room
            elif len(portion) == 1:
                name = portion[0]
            else:
                name = f"{portion[0]} .. {portion[-1].removeprefix(f'{room}.')}"
            expected_s = sum(times.get(one, OTHER_S) for one in portion)
            groups.append(Group(name, tuple(portion), expected_s))
    return sorted(groups, key=lambda one: -one.expected_s)


def choose(
    names: Sequence[str], rooms: Mapping[str, Sequence[str]], times: Mapping[str, float]
) -> list[Group]:
    """The groups of what was asked for: rooms as ever, anything else as one group."""
    if not names:
        return plan({room: rooms[room] for room in rooms if room not in EXCLUDED}, times)
    chosen = {name: rooms[name] for name in names if name in rooms and name != "tests"}
    rest = tuple(name for name in names if name not in chosen)
    groups = plan(chosen, times)
    return [*groups, Group(" ".join(rest), rest, 0.0)] if rest else groups


def test_times(output: str) -> Iterator[tuple[str, float]]:
    """The tests that ended, with their seconds; whatever else was printed between."""
    name = ""
    for match in re.finditer(f"{BEGUN.pattern}|{ENDED.pattern}", output, re.MULTILINE):
        if match[1]:
            name = match[1]
        elif name:
            yield name, float(match[2])
            name = ""


def judge(group: Group, code: int, output: str, seconds: float, problem: str = "") -> Result:
    """What the output and the exit code of trial say."""
    summaries = SUMMARY.findall(output)
    counts = {key: int(n) for key, n in re.findall(r"(\w+)=(\d+)", "".join(summaries[-1:]))}
    if not problem:
        if not summaries:
            problem = f"no summary, exit code {code}"
        elif not counts.get("successes", 0) and not any(counts.get(name) for name in BAD):
            problem = "ran nothing"
        elif code and not any(counts.get(name) for name in BAD):
            problem = f"exit code {code}"
    return Result(group, seconds, output, counts, dict(test_times(output)), problem)


@dataclass(slots=True)
class Run:
    """Runs groups, each in a process group of its own, and leaves none behind."""

    folder: Path
    limit_s: float = LIMIT_S
    poll_s: float = 2.0
    seconds: Callable[[], float] = time.monotonic
    command: Callable[[Group, Path], list[str]] = Group.command
    running: set[int] = field(default_factory=set)
    is_stopped: bool = False
    lock: Lock = field(default_factory=Lock)

    def group(self, number: int, group: Group) -> Result:
        """Run one to its end, however it ends."""
        folder = self.folder / str(number)
        folder.mkdir()
        path = folder / "output"
        began_s = self.seconds()
        with path.open("wb") as output, self.lock:
            if self.is_stopped:
                return judge(group, -1, "", 0.0, "stopped")
            # No session of its own: the kernel would share the cores between sessions, whatever ``nice`` says.
            process = subprocess.Popen(
                self.command(group, folder / "trial"),
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                # Programs that tests start are of the checkout, too; ``tests.install`` is about the others.
                env=os.environ | {"TMPDIR": str(folder), "PYTHONPATH": str(ROOT)},
                process_group=0,
            )
            self.running.add(process.pid)
        problem = self._wait(process, path)
        # What tests started and did not end would go on for ever, beside the next group.
        kill(process.pid)
        kill_users(folder)
        self.running.discard(process.pid)
        text = path.read_text(errors="replace")
        shutil.rmtree(folder, ignore_errors=True)
        return judge(group, process.returncode, text, self.seconds() - began_s, problem)

    def _wait(self, process: subprocess.Popen[bytes], path: Path) -> str:
        """Until it has ended; returns why it was made to."""
        patience = Patience(self.limit_s, self.seconds())
        while True:
            with suppress(subprocess.TimeoutExpired):
                process.wait(self.poll_s)
                return "stopped" if self.is_stopped else ""
            output = path.read_text(errors="replace")
            if patience.is_over(self.seconds(), ENDED.subn("", output)[1], waited_s(process.pid)):
                break
        # Python tells where each thread is when this signal ends it.
        process.send_signal(signal.SIGABRT)
        with suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_S)
        kill(process.pid)
        process.wait()
        where = BEGUN.findall(output)
        return (
            f"killed: no test ended for {self.limit_s:.0f} s, in {(where or ['its beginning'])[-1]}"
        )

    def stop(self) -> None:
        """End what runs, at once: who stops the runner may not wait."""
        with self.lock:
            self.is_stopped = True
            for one in self.running:
                kill(one)
        kill_users(self.folder)

    def all(self, groups: Sequence[Group], jobs: int) -> Iterator[Result]:
        """Run them, so many at once, and give each result as it comes."""
        with ThreadPoolExecutor(jobs) as pool:
            try:
                running = [pool.submit(self.group, *one) for one in enumerate(groups)]
                for one in as_completed(running):
                    yield one.result()
            finally:
                self.stop()


def kill(process_group: int) -> None:
    """End all its processes that are left."""
    with suppress(ProcessLookupError):
        os.killpg(process_group, signal.SIGKILL)


def kill_users(folder: Path) -> None:
    """End programs that have their temporary files below ``folder``: those that tests put into groups of their own."""
    wanted = f"TMPDIR={folder}".encode()
    for environ in Path("/proc").glob("[0-9]*/environ"):
        with suppress(OSError):
            found = environ.read_bytes().split(b"\0")
            if any(one == wanted or one.startswith(wanted + b"/") for one in found):
                os.kill(int(environ.parent.name), signal.SIGKILL)


def recalled(path: Path = MEMORY) -> dict[str, float]:
    """Seconds of modules: as an earlier run measured them, else as they were measured once."""
    times = dict(LONG_S)
    with suppress(OSError, ValueError):
        times |= {str(name): float(value) for name, value in json.loads(path.read_text()).items()}
    return times


def remember(results: Iterable[Result], path: Path = MEMORY) -> None:
    """Keep what each module took: its share of the group's time."""
    times = recalled(path)
    for result in results:
        modules = dict.fromkeys(result.group.tests, 0.0)
        for name, seconds in result.times.items():
            for module in modules:
                if name.startswith(f"{module}."):
                    modules[module] += seconds
        total_s = sum(modules.values())
        if not result.failed and total_s:
            times |= {one: round(s * result.seconds / total_s, 2) for one, s in modules.items()}
    new = path.with_name(f"{path.name}.{os.getpid()}")
    new.write_text(json.dumps(dict(sorted(times.items())), indent=1) + "\n")
    new.replace(path)


def conclude(results: Sequence[Result], seconds: float, out: TextIO) -> int:
    """Print the slowest tests and the sum of all; returns the exit code."""
    times = {name: taken for one in results for name, taken in one.times.items()}
    slowest = sorted(times, key=lambda name: -times[name])[:SLOWEST]
    print("\nslowest:", file=out)
    for name in slowest:
        print(f"{times[name]:7.1f} s  {name}", file=out)
    passed = sum(one.counts.get("successes", 0) for one in results)
    print(f"\n{len(results)} groups in {seconds:.0f} s", file=out)
    counts: dict[str, int] = {}
    for one in results:
        for name, count in one.counts.items():
            if name != "successes":
                counts[name] = counts.get(name, 0) + count
        if one.problem:
            counts["errors"] = counts.get("errors", 0) + 1
    is_well = passed and not any(one.failed for one in results)
    told = ", ".join(f"{name}={count}" for name, count in (counts | {"successes": passed}).items())
    print(f"{'PASSED' if is_well else 'FAILED'} ({told})", file=out, flush=True)
    return 0 if is_well else 1


def main(arguments: Sequence[str], out: TextIO = sys.stdout) -> int:
    """Run what was asked for; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tests.run", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("-j", "--jobs", type=int, default=len(os.sched_getaffinity(0)))
    parser.add_argument("-v", "--verbose", action="store_true", help="show what all of them say")
    parser.add_argument("--limit-s", type=float, default=LIMIT_S)
    options = parser.parse_args(arguments)
    groups = choose(options.names, find_modules(), recalled())
    began_s = time.monotonic()
    results = []
    with tempfile.TemporaryDirectory(prefix="waav-tests-", ignore_cleanup_errors=True) as folder:
        run = Run(Path(folder), options.limit_s)
        for result in run.all(groups, max(1, options.jobs)):
            results.append(result)
            print(result.line, file=out, flush=True)
            if result.failed or options.verbose:
                again = " ".join(["python", *TRIAL, *result.group.tests])
                print(f"$ {again}\n{result.output}", file=out, flush=True)
    if not options.names:
        for name, reason in EXCLUDED.items():
            print(f"{name:50} not run here; {reason}", file=out)
        remember(results)
    return conclude(results, time.monotonic() - began_s, out)


if __name__ == "__main__":
    # What was started is ended then, too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main(sys.argv[1:]))
