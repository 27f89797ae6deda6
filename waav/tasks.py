"""Coroutines started on somebody's behalf, and what becomes of them when that somebody goes away."""

from collections.abc import Coroutine
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure


class Tasks:
    """Owns coroutines: logs those that fail, cancels the rest on ``stop``."""

    _log = Logger()

    def __init__(self) -> None:
        self._running: list[Deferred[Any]] = []
        self._stopped = False

    def __len__(self) -> int:
        return len(self._running)

    def start(self, coroutine: Coroutine[Deferred[Any], Any, Any], what: str) -> Deferred[Any]:
        """Run ``coroutine`` now, up to its first wait.

        Args:
            coroutine: it may await Deferreds only.
            what: named in the log if it fails.

        Returns:
            A Deferred that fires with the result, or with None after a failure that was logged. Cancelling
            it cancels the coroutine.
        """
        if self._stopped:
            coroutine.close()
            raise RuntimeError(f"cannot start {what}: already stopped")
        task = Deferred.fromCoroutine(coroutine)
        self._running.append(task)

        def ended(result: Any) -> Any:
            if task in self._running:
                self._running.remove(task)
            if isinstance(result, Failure):
                if not result.check(CancelledError):
                    self._log.failure("{what} failed", failure=result, what=what)
                return None
            return result

        task.addBoth(ended)
        return task

    async def stop(self) -> None:
        """Cancel newest first and wait until all have ended. Nothing can be started afterwards."""
        self._stopped = True
        while self._running:
            task = self._running[-1]
            task.cancel()
            if task in self._running:
                waiter: Deferred[None] = Deferred()
                task.addBoth(lambda _, waiter=waiter: waiter.callback(None))
                await waiter
