"""Waiting for what happens in other processes and on real sockets, on a machine that may be busy.

No test says how long something takes: it waits until it is so. Only what does not happen at all ends the waiting, and
time in which others had the cores is not counted: with ``nice 19`` beside two busy loops a gateway takes a minute and
a half to start.
"""

import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from twisted.internet.task import deferLater

LIMIT_S: Final = float(os.environ.get("TESTS_LIMIT_S", 60.0))
"""What has not happened after so long does not happen. The variable is for those who want tests to fail, and soon."""

TEST_LIMIT_S: Final = 3600.0
"""Trial's own limit for a test. It goes by the wall clock and so may not be short; ``tests.run`` ends what hangs."""

QUICK_TURNS: Final = 50
"""Turns of the reactor in a row; then it is looked less often."""

LOOK_S: Final = 0.002
PATIENCE_S: Final = 5.0
"""How often it is looked whether the waiting has been long enough."""


def waited_s(process_group: int) -> float:
    """Seconds that the threads of a process group could have run and did not get a core, by the kernel's count."""
    total_ns = 0
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with suppress(OSError, IndexError, ValueError):
            if int(stat.read_text().rpartition(")")[2].split()[2]) == process_group:
                for one in stat.parent.glob("task/*/schedstat"):
                    total_ns += int(one.read_text().split()[1])
    return total_ns / 1e9


@dataclass(slots=True)
class Patience:
    """Knows when something has not gone on for too long.

    Args:
        limit_s: how long may that be.
        since_s: when it last went on.
        done: how far it had come then.
        waited_s: what ``waited_s`` said then.
    """

    limit_s: float
    since_s: float
    done: int = 0
    waited_s: float = 0.0

    def is_over(self, now_s: float, done: int, waited_s: float) -> bool:
        """Whether it was too long, time in which processes waited for a core not counted."""
        if done != self.done:
            self.done, self.since_s, self.waited_s = done, now_s, waited_s
        # Threads that end take their share of the waiting with them.
        self.waited_s = min(self.waited_s, waited_s)
        return now_s - self.since_s - (waited_s - self.waited_s) > self.limit_s


async def until(
    is_so: Callable[[], object],
    why: str | Callable[[], str] = "it did not happen",
    *,
    limit_s: float = LIMIT_S,
) -> None:
    """Let the reactor turn until something is so.

    Args:
        is_so: asked again and again, after a while 500 times a second.
        why: said when it never was.
        limit_s: how long to wait, time without a core not counted.
    """
    from twisted.internet import reactor

    patience: Patience | None = None
    looks_at: float = reactor.seconds() + PATIENCE_S  # type: ignore[attr-defined]
    turns = 0
    while not is_so():
        now_s: float = reactor.seconds()  # type: ignore[attr-defined]
        if now_s >= looks_at:
            looks_at = now_s + PATIENCE_S
            waited = waited_s(os.getpgrp())
            if patience is None:
                patience = Patience(limit_s, now_s, waited_s=waited)
            elif patience.is_over(now_s, 0, waited):
                raise AssertionError(why if isinstance(why, str) else why())
        turns += 1
        await deferLater(reactor, 0 if turns <= QUICK_TURNS else LOOK_S)  # type: ignore[arg-type]
