"""Talking to a model of this process from a node: what it needs of ``waav.links.engine``."""

from collections.abc import Callable
from typing import Protocol

from twisted.internet.defer import Deferred

from waav.speech import wire


class Worker(Protocol):
    """A conversation with a model, run in worker threads, one question at a time and in order."""

    def feed(self, data: str | bytes) -> Deferred[list[str | bytes]]:
        """Everything the model answers to ``data``. Fails with a WaavError when too many wait already."""

    def close(self) -> None:
        """Give the conversation back. What is still being computed is not delivered."""


Converse = Callable[[wire.Local], Deferred[Worker]]
"""Begins a conversation with a model, loading it first if nobody has. Fails with a WaavError."""
