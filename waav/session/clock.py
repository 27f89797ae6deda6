"""Time that nobody can set.

Twisted's reactors tell the time of day (``time.time``), and reckon their delayed calls with it: stepping the
system clock by an hour would end, or prolong by an hour, every silence, lock and time-out.
"""

import time
from typing import Any


def make_monotonic(reactor: Any) -> None:
    """Let ``reactor`` reckon with the monotonic clock. Before anything was scheduled on it."""
    reactor.seconds = time.monotonic
