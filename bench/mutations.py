"""Whether the tests notice: small faults put into the code one at a time, and the tests that should fail then.

The faults stand in ``bench/mutants/*.txt``; ``docs/mutations.md`` tells how they are written. Each is put into a copy
of the tree in a temporary folder, never into the tree itself, and the tests it names are run there. The same tests
have to pass without any fault first.

A line per fault tells what became of it:

killed    a test failed; its name follows, or the time limit: the tests hung, which nobody would call a good test
SURVIVED  all tests passed: nobody would have noticed
ROTTEN    it cannot be put in: its text is not in the file, or is there more than once, or what it makes is no code
"""

import argparse
import ast
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from queue import SimpleQueue
from threading import Lock
from typing import Final, TextIO

from tests.run import kill, waited_s

ROOT: Final = Path(__file__).resolve().parent.parent
LISTS: Final = ROOT / "bench" / "mutants"

LIMIT_S: Final = 30.0
LIMIT_TIMES: Final = 5.0
"""Tests may take this long, and so many times what they took without any fault. Time in which they waited for a core
is not counted."""

LEFT_BEHIND: Final = (".git", "__pycache__", "_trial_temp*", ".venv", "venv", ".tox", ".mypy_cache", ".ruff_cache",
                      ".hypothesis", "node_modules", "_build", "*.egg-info")  # fmt: skip

NO_IMPORT: Final = 97
"""Exit code of tests that cannot be imported any more: a fault that is found so is no fault anybody would make."""

WAIT_S: Final = 15.0
"""What tests wait for and a fault keeps from happening does not happen after this; see ``tests.waiting``."""

MEMORY_BYTES: Final = 4 << 30
"""A fault that fills the memory ends its own tests, not the machine."""

RUNNER: Final = f"""
import importlib, resource, sys, traceback
resource.setrlimit(resource.RLIMIT_DATA, ({MEMORY_BYTES}, {MEMORY_BYTES}))
from twisted.application.reactors import installReactor
installReactor("asyncio")
try:
    for name in sys.argv.pop().split(","):
        importlib.import_module(name)
except Exception:
    traceback.print_exc()
    sys.exit({NO_IMPORT})
from twisted.scripts.trial import run
run()
"""


@dataclass(frozen=True, slots=True)
class Mutation:
    """A fault.

    Args:
        place: file and line of the list.
        path: of the file it is put into, from the root of the tree.
        loss: what a user would lose by it.
        tests: modules, or classes of modules, that should notice.
        old: whole lines of the file, found there exactly once.
        new: what takes their place.
    """

    place: str
    path: str
    loss: str
    tests: tuple[str, ...]
    old: str
    new: str

    @property
    def title(self) -> str:
        """It in a line."""
        return f"{self.path}: {self.loss}"

    def into(self, text: str) -> str:
        """The text of the file with the fault in it.

        Raises:
            Rotten: that cannot be done.
        """
        found = f"\n{text}".count(f"\n{self.old}")
        if found != 1:
            raise Rotten(f"its text is {'not' if not found else f'{found} times'} in {self.path}")
        at = f"\n{text}".index(f"\n{self.old}")
        made = text[:at] + self.new + text[at + len(self.old) :]
        if made == text:
            raise Rotten("it changes nothing")
        try:
            if self.path.endswith(".py"):
                ast.parse(made)
            elif self.path.endswith(".json"):
                json.loads(made)
        except (ValueError, SyntaxError) as error:
            raise Rotten(f"what it makes of {self.path} is no code: {error}") from None
        return made


class Rotten(Exception):
    """A fault that cannot be put in any more."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a fault: ``killed``, ``SURVIVED`` or ``ROTTEN``, and by what or why."""

    mutation: Mutation
    kind: str
    why: str
    seconds: float = 0.0

    @property
    def line(self) -> str:
        """For the reader."""
        return f"{self.kind:8} {self.seconds:6.1f} s  {self.mutation.title} ({self.why})"


def read(folder: Path = LISTS) -> list[Mutation]:
    """All faults, in the order of their lists.

    Raises:
        ValueError: a list is not written as it should be; names file and line.
    """
    return [
        one for path in sorted(folder.glob("*.txt")) for one in parse(path.name, path.read_text())
    ]


def parse(name: str, text: str) -> Iterator[Mutation]:
    """The faults of one list. A fault ends with an empty line; lines outside that begin with ``#`` are comments."""
    lines = [*text.split("\n"), ""]
    begun: int | None = None
    for number, line in enumerate(lines):
        if begun is None:
            if line.startswith("@ "):
                begun = number
            elif line and not line.startswith("#"):
                raise ValueError(f"{name}:{number + 1}: a fault begins with '@ ' and its file")
        elif not line:
            yield _fault(f"{name}:{begun + 1}", lines[begun:number])
            begun = None


def _fault(place: str, lines: Sequence[str]) -> Mutation:
    if [line[:2] for line in lines[:3]] != ["@ ", "? ", "! "]:
        raise ValueError(
            f"{place}: '@ ' file, '? ' what is lost and '! ' tests come first, in this order"
        )
    path, loss, tests = (line[2:].strip() for line in lines[:3])
    change = lines[3:]
    if wrong := [line for line in change if line[0] not in " -+"]:
        raise ValueError(f"{place}: {wrong[0]!r} begins with none of ' ', '-' and '+'")
    old = [line[1:] for line in change if line[0] in " -"]
    new = [line[1:] for line in change if line[0] in " +"]
    if not old:
        raise ValueError(f"{place}: no line of the file is named")
    return Mutation(place, path, loss, tuple(tests.split()), _joined(old), _joined(new))


def _joined(lines: Iterable[str]) -> str:
    return "".join(f"{line}\n" for line in lines)


def module_of(test: str) -> str:
    """The module of a test: names of classes begin with a capital."""
    parts = test.split(".")
    return ".".join(part for part in parts if not part[0].isupper())


@dataclass(frozen=True, slots=True)
class Ran:
    """How a run of tests ended."""

    code: int
    output: str
    seconds: float
    is_late: bool

    @property
    def failed(self) -> str:
        """The first test that failed, as far as the output tells."""
        found = re.findall(r"^(?:\w+\.)+[A-Z]\w*\.test_\w+$", self.output, re.MULTILINE)
        return str(found[0]) if found else f"exit code {self.code}"


class Copy:
    """A copy of the tree for one worker."""

    def __init__(self, root: Path, folder: Path) -> None:
        self.root = folder / "tree"
        self._scratch = folder / "scratch"
        shutil.copytree(root, self.root, ignore=shutil.ignore_patterns(*LEFT_BEHIND), symlinks=True)
        # Compiled files that are trusted by their source's content, not by its time: that changes too fast here.
        subprocess.run(
            [sys.executable, "-m", "compileall", "-q", "--invalidation-mode", "checked-hash", "."],
            cwd=self.root,
            check=False,
        )

    def test(self, tests: Sequence[str], limit_s: float, running: "Running") -> Ran:
        """Run the tests to their first failure."""
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._scratch.mkdir()
        modules = ",".join(dict.fromkeys(map(module_of, tests)))
        arguments = ["--force-gc", "-x", f"--temp-directory={self._scratch}/trial", *tests, modules]
        environment = {
            **os.environ,
            "PYTHONPATH": str(self.root),
            "PYTHONDONTWRITEBYTECODE": "1",
            "TMPDIR": str(self._scratch),
            "TESTS_LIMIT_S": str(WAIT_S),
        }
        began_s = time.monotonic()
        output = self._scratch / "output"
        with output.open("wb") as stream:
            process = running.start(
                [sys.executable, "-c", RUNNER, *arguments], self.root, environment, stream
            )
        is_late = False
        while not is_late:
            with suppress(subprocess.TimeoutExpired):
                process.wait(1.0)
                break
            is_late = time.monotonic() - began_s - waited_s(process.pid) > limit_s
        # What tests started and did not end would go on beside the next ones.
        running.end(process)
        seconds = time.monotonic() - began_s
        return Ran(process.returncode, output.read_text(errors="replace"), seconds, is_late)


@dataclass(slots=True)
class Running:
    """The processes of tests, so that none is left when the command ends."""

    processes: set[int] = field(default_factory=set)
    is_stopped: bool = False
    lock: Lock = field(default_factory=Lock)

    def start(
        self, command: Sequence[str], folder: Path, environment: dict[str, str], output: object
    ) -> "subprocess.Popen[bytes]":
        """Start one, the first of a process group of its own."""
        with self.lock:
            if self.is_stopped:
                raise RuntimeError("stopped")
            process = subprocess.Popen(
                command,
                cwd=folder,
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,  # type: ignore[arg-type]
                stderr=subprocess.STDOUT,
                process_group=0,
            )
            self.processes.add(process.pid)
        return process

    def end(self, process: "subprocess.Popen[bytes]") -> None:
        """End it and all that it started."""
        kill(process.pid)
        process.wait()
        self.processes.discard(process.pid)

    def stop(self) -> None:
        """End all, and start no other."""
        with self.lock:
            self.is_stopped = True
            for one in self.processes:
                kill(one)


@dataclass(slots=True)
class Trials:
    """Tries faults, so many at once.

    Args:
        root: the tree; only read.
        folder: for the copies.
        jobs: how many at once.
        limit_s: see ``LIMIT_S``.
    """

    root: Path
    folder: Path
    jobs: int
    limit_s: float = LIMIT_S
    running: Running = field(default_factory=Running)
    copies: "SimpleQueue[Copy]" = field(default_factory=SimpleQueue)

    def all(self, mutations: Sequence[Mutation], out: TextIO) -> list[Outcome]:
        """Print a line for each as its end comes; first of all those that are rotten."""
        outcomes = [Outcome(one, "ROTTEN", why) for one in mutations if (why := self._rot(one))]
        rotten = {one.mutation for one in outcomes}
        for outcome in outcomes:
            print(outcome.line, file=out, flush=True)
        sound = [one for one in mutations if one not in rotten]
        if not sound:
            return outcomes
        with ThreadPoolExecutor(self.jobs) as pool:
            try:
                for number in range(self.jobs):
                    self.copies.put(Copy(self.root, self.folder / str(number)))
                took = self._without(pool, sound, out)
                tries = [pool.submit(self._try, one, took[one.tests]) for one in sound]
                for each in as_completed(tries):
                    outcomes.append(each.result())
                    print(outcomes[-1].line, file=out, flush=True)
            finally:
                self.running.stop()
        return outcomes

    def _rot(self, mutation: Mutation) -> str:
        """Why it cannot be tried; "" if it can."""
        try:
            mutation.into((self.root / mutation.path).read_text())
        except (Rotten, OSError) as error:
            return str(error)
        for test in mutation.tests:
            if not (self.root / f"{module_of(test).replace('.', '/')}.py").is_file():
                return f"{test} is no module of tests"
        return "" if mutation.tests else "it names no tests"

    def _without(
        self, pool: ThreadPoolExecutor, mutations: Sequence[Mutation], out: TextIO
    ) -> dict[tuple[str, ...], Ran]:
        """How the tests end without any fault; those that do not pass are shown."""
        names = list(dict.fromkeys(one.tests for one in mutations))
        print(f"{len(mutations)} faults; first their tests without any", file=out, flush=True)
        took = dict(zip(names, pool.map(self._run_clean, names), strict=True))
        for tests, ran in took.items():
            if ran.code:
                print(f"these fail without any fault: {' '.join(tests)}\n{ran.output}", file=out)
        return took

    def _run_clean(self, tests: tuple[str, ...]) -> Ran:
        copy = self.copies.get()
        try:
            return copy.test(tests, 600.0, self.running)
        finally:
            self.copies.put(copy)

    def _try(self, mutation: Mutation, without: Ran) -> Outcome:
        if without.code:
            return Outcome(mutation, "ROTTEN", "its tests fail without it")
        copy = self.copies.get()
        path = copy.root / mutation.path
        text = path.read_text()
        try:
            path.write_text(mutation.into(text))
            limit_s = self.limit_s + LIMIT_TIMES * without.seconds
            ran = copy.test(mutation.tests, limit_s, self.running)
        finally:
            path.write_text(text)
            self.copies.put(copy)
        if ran.is_late:
            return Outcome(mutation, "killed", f"by the time limit of {limit_s:.0f} s", ran.seconds)
        if ran.code == NO_IMPORT:
            return Outcome(mutation, "ROTTEN", "its tests cannot even be imported", ran.seconds)
        if ran.code:
            return Outcome(mutation, "killed", f"by {ran.failed}", ran.seconds)
        return Outcome(mutation, "SURVIVED", " ".join(mutation.tests), ran.seconds)


def chosen(mutations: Iterable[Mutation], only: str) -> list[Mutation]:
    """Those in whose place, file, loss or tests the text stands."""
    return [
        one
        for one in mutations
        if only.lower() in f"{one.place} {one.path} {one.loss} {' '.join(one.tests)}".lower()
    ]


def run(
    mutations: Sequence[Mutation],
    root: Path,
    jobs: int,
    out: TextIO,
    *,
    limit_s: float = LIMIT_S,
) -> int:
    """Try them all; returns the exit code."""
    with tempfile.TemporaryDirectory(
        prefix="waav-mutations-", ignore_cleanup_errors=True
    ) as folder:
        outcomes = Trials(root, Path(folder), max(1, jobs), limit_s).all(mutations, out)
    counts = {
        kind: [one.kind for one in outcomes].count(kind)
        for kind in ("killed", "SURVIVED", "ROTTEN")
    }
    bad = [one for one in outcomes if one.kind != "killed"]
    if bad:
        print("", file=out)
        for one in bad:
            print(f"{one.mutation.place}: {one.line}", file=out)
    rotten = f", {counts['ROTTEN']} could not be applied" if counts["ROTTEN"] else ""
    print(f"{counts['killed']} killed, {counts['SURVIVED']} survived{rotten}", file=out, flush=True)
    return 1 if bad or not outcomes else 0


def arguments(parser: argparse.ArgumentParser) -> None:
    """The options of ``python -m bench mutations``."""
    parser.add_argument(
        "--only", metavar="TEXT", default="", help="those whose file, loss or tests hold it"
    )
    parser.add_argument("--list", action="store_true", help="show them, try none")
    parser.add_argument("-j", "--jobs", type=int, default=len(os.sched_getaffinity(0)))


def main(options: argparse.Namespace) -> int:
    """Try what was asked for."""
    mutations = chosen(read(), options.only)
    if options.list:
        for one in mutations:
            print(f"{one.place:24} {one.title} ({' '.join(one.tests)})")
        return 0
    return run(mutations, ROOT, options.jobs, sys.stdout)
