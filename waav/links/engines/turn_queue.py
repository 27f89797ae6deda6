"""Whose turn it is at the models: calls before batches, then caller after caller, then request after request."""

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

J = TypeVar("J")

LIVE_IN_A_ROW: Final = 8
"""Jobs of calls after which a batch job gets a worker though more calls wait: recognition on a machine that is too
small for it would otherwise leave ``POST /speak`` nothing at all."""


@dataclass(frozen=True, slots=True)
class TurnShare:
    """Who a job is for.

    Args:
        caller: everybody with the same name takes turns as one.
        is_batch: nobody on the line waits for it.
    """

    caller: str = ""
    is_batch: bool = False


class _Round(Generic[J]):
    """Everybody who waits, in the order in which they are served: who was, goes to the end."""

    def __init__(self) -> None:
        self._callers: dict[str, dict[Hashable, deque[J]]] = {}

    def __bool__(self) -> bool:
        return bool(self._callers)

    def put(self, caller: str, request: Hashable, job: J) -> None:
        self._callers.setdefault(caller, {}).setdefault(request, deque()).append(job)

    def take(self) -> J:
        caller = next(iter(self._callers))
        requests = self._callers.pop(caller)
        request = next(iter(requests))
        jobs = requests.pop(request)
        job = jobs.popleft()
        if jobs:
            requests[request] = jobs
        if requests:
            self._callers[caller] = requests
        return job


class TurnQueue(Generic[J]):
    """Jobs that wait for a worker. One caller's many requests delay another's by one job, besides those under way."""

    def __init__(self) -> None:
        self._first: deque[J] = deque()
        self._live: _Round[J] = _Round()
        self._batch: _Round[J] = _Round()
        self._size = 0
        self._in_a_row = 0

    def __len__(self) -> int:
        return self._size

    def put(self, share: TurnShare, request: Hashable, job: J) -> None:
        """Wait. Jobs of one request keep their order.

        Args:
            share: whom the job counts for.
            request: tells the requests of one caller apart.
        """
        (self._batch if share.is_batch else self._live).put(share.caller, request, job)
        self._size += 1

    def put_first(self, job: J) -> None:
        """Wait in front of everybody, behind those who do so already: for what takes no time."""
        self._first.append(job)
        self._size += 1

    def take(self) -> J:
        """The next job; there must be one."""
        self._size -= 1
        if self._first:
            return self._first.popleft()
        if self._live and not (self._batch and self._in_a_row >= LIVE_IN_A_ROW):
            self._in_a_row += 1
            return self._live.take()
        self._in_a_row = 0
        return self._batch.take()
