"""Runs a command's coroutine."""

from collections.abc import Callable, Coroutine
from typing import Any

from waav.session.clock import make_monotonic


def run(work: Callable[[Any], Coroutine[Any, Any, int]]) -> int:
    """Run a coroutine on a reactor of our own; what it raises is raised here."""
    from twisted.internet import task
    from twisted.internet.defer import Deferred

    outcome: list[int | BaseException] = []

    def interrupted() -> None:
        if not outcome:
            # What fails from now on fails because of it.
            outcome.append(KeyboardInterrupt())

    async def guarded(reactor: Any) -> None:
        make_monotonic(reactor)
        reactor.addSystemEventTrigger("before", "shutdown", interrupted)
        try:
            outcome.append(await work(reactor))
        except BaseException as error:
            outcome.append(error)

    try:
        task.react(lambda reactor: Deferred.fromCoroutine(guarded(reactor)))
    except SystemExit:
        pass
    result = outcome[0]
    if isinstance(result, BaseException):
        raise result
    return result
