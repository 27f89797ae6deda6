"""Coroutines started on somebody's behalf, and what becomes of them when that somebody goes away."""

from collections.abc import Coroutine
from typing import Any, TypeVar

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.logger import Logger
from twisted.python.failure import Failure

from waav.errors import WaavError, untraced

T = TypeVar("T")


def started(coroutine: Coroutine[Deferred[Any], Any, T]) -> Deferred[T]:
    """Run ``coroutine`` now, up to its first wait; cancelling the Deferred cancels it. For those that fail, or are
    cancelled, in the ordinary course of a call: see ``unframed``."""
    return Deferred.fromCoroutine(coroutine).addErrback(unframed)


def unframed(failure: Failure) -> Failure:
    """For ``addErrback``: the same failure, without the frames it passed through if it is one of those we expect.

    The frames of a coroutine that fails, and of whoever cancels it, lead to the very failure that holds them: without
    this each of them would stay for the garbage collector, with all that its frames worked with.
    """
    if isinstance(failure.value, WaavError | CancelledError | TimeoutError):
        failure.tb = None
        untraced(failure.value)
    return failure


class Tasks:
    """Owns coroutines: logs those that fail, cancels the rest on ``stop``."""

    _log = Logger()

    def __init__(self) -> None:
        self._running: dict[Deferred[Any], Coroutine[Deferred[Any], Any, Any]] = {}
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
        self._running[task] = coroutine

        def ended(result: Any) -> Any:
            del self._running[task]
            if isinstance(result, Failure):
                if unframed(result).check(CancelledError):
                    return None
                self._log.failure("{what} failed", failure=result, what=what)
                result.cleanFailure()
                return None
            return result

        task.addBoth(ended)
        return task

    async def stop(self) -> None:
        """Cancel newest first and wait until all have ended. Nothing can be started afterwards.

        A task that stops the lot it belongs to goes on; it cannot wait for its own end.
        """
        self._stopped = True
        callers = {task for task, coroutine in self._running.items() if _is_running(coroutine)}
        while others := [task for task in self._running if task not in callers]:
            task = others[-1]
            task.cancel()
            if task in self._running:
                await _end(task)


def _is_running(coroutine: Coroutine[Deferred[Any], Any, Any]) -> bool:
    """Whether ``coroutine`` is the one executing right now, or awaits it without a Deferred in between."""
    return bool(getattr(coroutine, "cr_running", False))


def _end(task: Deferred[Any]) -> Deferred[None]:
    """Fires when ``task`` has, and leaves its result alone."""
    waiter: Deferred[None] = Deferred()

    def ended(result: Any) -> Any:
        waiter.callback(None)
        return result

    task.addBoth(ended)
    return waiter
