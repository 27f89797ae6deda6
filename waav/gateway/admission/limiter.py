"""How often one caller may ask: a token bucket per address."""

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

from twisted.internet.interfaces import IReactorTime

OFF_FROM: Final = 100_000
"""Requests per second from which the limiter is off, as documented."""

MOST_BUCKETS: Final = 65_536
"""Addresses remembered at once, about 16 MB. A flood from more addresses than that forgets the oldest."""


@dataclass(slots=True)
class _Bucket:
    tokens: float
    at_s: float


class Limiter:
    """``rate`` requests per second for each key, after a first burst of ``burst``.

    A bucket that has filled up again says nothing that a new one would not: it is forgotten.
    """

    def __init__(
        self, clock: IReactorTime, rate: float, burst: int, most_buckets: int = MOST_BUCKETS
    ) -> None:
        self._clock = clock
        self._rate = float(rate)
        self._burst = float(burst)
        self._most = most_buckets
        self._buckets: OrderedDict[str, _Bucket] = OrderedDict()  # longest untouched first

    def __len__(self) -> int:
        return len(self._buckets)

    @property
    def is_on(self) -> bool:
        """Whether anything is limited at all."""
        return self._rate < OFF_FROM

    def take(self, key: str) -> float:
        """Ask for one request.

        Returns:
            0.0 if it may go on; else the seconds until one would.
        """
        if not self.is_on:
            return 0.0
        now = self._clock.seconds()
        bucket = self._buckets.pop(key, None)
        if bucket is None:
            self._forget(now)
            bucket = _Bucket(self._burst, now)
        self._buckets[key] = bucket
        bucket.tokens = self._filled(bucket, now)
        bucket.at_s = now
        # Refilling adds many small fractions: a token that is short by rounding alone counts as whole.
        if bucket.tokens > 1.0 - 1e-9:
            bucket.tokens -= 1.0
            return 0.0
        return (1.0 - bucket.tokens) / self._rate

    def _filled(self, bucket: _Bucket, now: float) -> float:
        return min(self._burst, bucket.tokens + max(0.0, now - bucket.at_s) * self._rate)

    def _forget(self, now: float) -> None:
        """Drop buckets that are full again, oldest first, and the oldest anyway where there are too many."""
        while self._buckets:
            key, bucket = next(iter(self._buckets.items()))
            if self._filled(bucket, now) < self._burst and len(self._buckets) < self._most:
                return
            del self._buckets[key]
