"""Whatever blocks the event loop is named in the log: while it is blocked, another thread looks where it is.

The stack is of code only: files, lines and functions, never arguments or variables.
"""

import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from types import FrameType
from typing import Final

from twisted.application.service import Service
from twisted.logger import Logger

from waav.ops.lag import PERIOD_S, LoopLag
from waav.ops.settings import DiagnosticsSettings

SHARE: Final = 0.4
"""The beat of the loop as a part of what counts as a stall. A stall may begin right after a beat: what is known of
its length is as uncertain as one beat is long."""

SHORTEST_WAIT_S: Final = 0.005
"""The watching thread never wakes up more often."""

LONGEST_WAIT_S: Final = 0.5
"""How long it sleeps while the loop does not run yet."""

DEPTH: Final = 40
"""Innermost lines of a stack that are logged."""

_LOOPS: Final = frozenset({("asyncioreactor.py", "run"), ("base.py", "mainLoop")})
"""Where Twisted's reactors wait: what is above says only how the process was started."""

_IDLE: Final = frozenset({("threading.py", "wait"), ("queue.py", "get"), ("thread.py", "_worker")})
"""Where threads wait that have nothing to do."""

OTHERS_DEPTH: Final = 8
"""Innermost lines that are logged of each other thread."""

Place = tuple[str, int, str]
"""File, line, function."""

Stack = tuple[str, tuple[Place, ...]]
"""Name of a thread, "" for the loop's own, and where it is, innermost last."""


def period_s(settings: DiagnosticsSettings) -> float:
    """How often the loop has to beat so that stalls can be told from what is shorter."""
    if not settings.stall_ms:
        return PERIOD_S
    return min(PERIOD_S, SHARE * settings.stall_ms / 1000)


@dataclass(frozen=True, slots=True)
class Caught:
    """A look at a blocked loop.

    Args:
        due_at: of the beat that does not come.
        excused_s: how much of its lateness the whole process did not run.
        stacks: where the loop's thread is; while it waits for the interpreter, others too.
    """

    due_at: float
    excused_s: float
    stacks: tuple[Stack, ...]


class Watch:
    """Decides at each look whether the loop is blocked, and if so, looks where.

    A look that comes late itself, while the process used no processor, means that the process or the machine was
    stopped: that is nobody's fault and counts for nothing. Code in C that keeps the interpreter to itself makes
    looks late too, but it computes.

    Args:
        lag: the beat that is watched.
        limit_s: lateness from which the loop counts as blocked.
        look: takes the stack.
        cpu: processor time of the process, in seconds.
    """

    def __init__(
        self,
        lag: LoopLag,
        limit_s: float,
        look: Callable[[], tuple[Stack, ...]],
        cpu: Callable[[], float] = time.process_time,
    ) -> None:
        self._lag = lag
        self._limit_s = limit_s
        self._look = look
        self._cpu = cpu
        self._due_at = lag.due_at
        self._excused_s = 0.0
        self._planned_at = lag.seconds() + limit_s
        self._cpu_s = cpu()
        self.caught: Caught | None = None

    def look(self) -> float:
        """Look once; returns the seconds until the next look."""
        now, cpu_s, due_at = self._lag.seconds(), self._cpu(), self._lag.due_at
        stopped_s = self._stopped_s(now, cpu_s)
        if due_at != self._due_at:
            self._due_at, self._excused_s = due_at, 0.0
        if stopped_s:
            # From now on: the loop has not had its chance to come in time either.
            self._excused_s = max(0.0, now - due_at)
        left_s = due_at + self._excused_s + self._limit_s - now
        caught = self.caught
        if caught is not None and caught.due_at == due_at:
            if stopped_s:
                self.caught = replace(caught, excused_s=caught.excused_s + stopped_s)
            left_s = self._limit_s
        elif left_s <= 0:
            self.caught = Caught(due_at, self._excused_s, self._look())
            left_s = self._limit_s
        wait_s = min(max(SHORTEST_WAIT_S, left_s), LONGEST_WAIT_S)
        self._planned_at, self._cpu_s = now + wait_s, cpu_s
        return wait_s

    def take(self) -> Caught | None:
        """What was caught since the last time, at the beat that ended it: the loop may go on before the next look."""
        caught, self.caught = self.caught, None
        if caught is None:
            return None
        stopped_s = self._stopped_s(self._lag.seconds(), self._cpu())
        return replace(caught, excused_s=caught.excused_s + stopped_s)

    def _stopped_s(self, now: float, cpu_s: float) -> float:
        """How much of the time since the last look the process or the machine was stopped."""
        late_s = now - self._planned_at
        is_stopped = late_s > self._limit_s / 2 and cpu_s - self._cpu_s < late_s / 2
        return late_s if is_stopped else 0.0


class Stalls(Service):
    """Logs what blocks the loop, once in a while, and counts all of it.

    Args:
        lag: the beat of the loop; must run with ``period_s(settings)``.
        settings: what counts as a stall, and how often one is logged.
        cpu: processor time of the process, in seconds.

    Attributes:
        total: stalls since the start.
    """

    _log = Logger()

    def __init__(
        self,
        lag: LoopLag,
        settings: DiagnosticsSettings,
        cpu: Callable[[], float] = time.process_time,
    ) -> None:
        self._lag = lag
        self._cpu = cpu
        self._limit_s = settings.stall_ms / 1000 - lag.period_s
        self._every_s = settings.stall_log_s
        self._logged_at: float | None = None
        self._unlogged = 0
        self._watch: Watch | None = None
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self.total = 0
        lag.follow(self._beat)

    def startService(self) -> None:
        """Watch the thread that calls this: it must be the reactor's, after the process has become a daemon."""
        super().startService()  # type: ignore[no-untyped-call]
        ident = threading.get_ident()
        watch = self._watch = Watch(self._lag, self._limit_s, lambda: stacks(ident), self._cpu)
        self._ended.clear()
        # A daemon thread: whatever becomes of the reactor, it does not keep the process.
        thread = threading.Thread(target=self._run, args=(watch,), name="stalls", daemon=True)
        self._thread = thread
        thread.start()

    def stopService(self) -> None:
        """Watch no longer."""
        super().stopService()  # type: ignore[no-untyped-call]
        self._ended.set()
        thread, self._thread = self._thread, None
        self._watch = None
        if thread is not None:
            thread.join(1.0)

    def _run(self, watch: Watch) -> None:
        wait_s = self._limit_s
        while not self._ended.wait(wait_s):
            wait_s = watch.look()

    def _beat(self, late_s: float, due_at: float) -> None:
        watch = self._watch
        caught = None if watch is None else watch.take()
        if caught is None:
            return
        least_s = late_s - caught.excused_s
        if caught.due_at == due_at and least_s > self._limit_s:
            self._stalled(least_s, caught.stacks)

    def _stalled(self, least_s: float, stacks: tuple[Stack, ...]) -> None:
        self.total += 1
        now = self._lag.seconds()
        if self._logged_at is not None and now - self._logged_at < self._every_s:
            self._unlogged += 1
            return
        more, self._unlogged = self._unlogged, 0
        self._logged_at = now
        self._log.warn(
            "the event loop was blocked for {least_ms:.0f} to {most_ms:.0f} ms; {more} more since the last"
            " such line\n{stack}",
            least_ms=least_s * 1000,
            most_ms=(least_s + self._lag.period_s) * 1000,
            more=more,
            stack="\n".join(line for stack in stacks for line in lines(stack)),
        )


Frames = Callable[[], Mapping[int, FrameType]]


def stacks(ident: int, frames: Frames = sys._current_frames) -> tuple[Stack, ...]:
    """Where a reactor's thread is, from its loop on.

    If it is nowhere but in the loop, then no code of its own runs: it waits for the interpreter, or for a processor.
    Then those who may have it are looked at as well: the other threads that do something.
    """
    found = dict(frames())
    try:
        mine = places(found.get(ident), DEPTH)
        result: list[Stack] = [("", mine)]
        if len(mine) == 1 and _where(mine[0]) in _LOOPS:
            names = {thread.ident: thread.name for thread in threading.enumerate()}
            for other in found.keys() - {ident, threading.get_ident()}:
                theirs = places(found[other], OTHERS_DEPTH)
                if _where(theirs[-1]) not in _IDLE:
                    result.append((names.get(other, "without a name"), theirs))
        return tuple(result)
    finally:
        found.clear()  # this very frame is in it, and would keep itself


def places(frame: FrameType | None, depth: int) -> tuple[Place, ...]:
    """Where a frame is, innermost last, at most from a reactor's loop on."""
    found: list[Place] = []
    while frame is not None and len(found) < depth:
        code = frame.f_code
        found.append((code.co_filename, frame.f_lineno, code.co_qualname))
        if _where(found[-1]) in _LOOPS:
            break
        frame = frame.f_back
    return tuple(reversed(found))


def _where(place: Place) -> tuple[str, str]:
    """Names of the file and of the function, both without what is before them."""
    return place[0].rpartition("/")[2], place[2].rpartition(".")[2]


def lines(stack: Stack) -> list[str]:
    """As it is logged."""
    name, places = stack
    head = [f"meanwhile, in the thread {name}:"] if name else []
    return [*head, *map(shown, places)]


def shown(place: Place) -> str:
    """``waav/links/http/web.py:12 in Web.fetch``: the file as it would be imported."""
    file, line, function = place
    roots = [root for root in sys.path if root and file.startswith(root.rstrip("/") + "/")]
    inside = file[len(max(roots, key=len).rstrip("/")) + 1 :] if roots else file
    return f"{inside}:{line} in {function}"
