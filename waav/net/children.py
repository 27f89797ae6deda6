"""Processes that were started and have ended."""

import signal
from typing import Any

from twisted.internet import process


def hear_of_children(reactor: Any) -> None:
    """Have the reactor notice processes that end; once it runs.

    Twisted waits for a byte on the wake-up descriptor of signals, which uvloop takes for itself: without this, a
    process of which all pipes were closed a moment before it ended would never be reaped.
    """
    reap: Any = process.reapAllProcesses
    signal.signal(signal.SIGCHLD, lambda number, frame: reactor.callFromThread(reap))
