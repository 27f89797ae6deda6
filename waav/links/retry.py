"""When a request is made again: what vendors say about it, and how long to wait."""

import re
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import Final

from waav import errors

PATIENCE_S: Final = 5.0
"""Longest ``Retry-After`` that is obeyed; a longer one is the caller's to know."""
GROWTH: Final = 4.0
"""Each upper bound is this many times the one before: 0.2 s, then 0.8 s."""

_DURATION = re.compile(
    r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?"
)


class DialTimeout(errors.ProviderTimeout):
    """No connection in time. Unlike other timeouts it may be tried again: the vendor got nothing."""


def retry_after_s(text: str | None, now: float) -> float | None:
    """Seconds of a ``Retry-After``: a number, an HTTP date, or ``750ms`` / ``1m30s``; None if unreadable.

    Args:
        text: the header, or None.
        now: wall clock, Unix seconds.
    """
    said = (text or "").strip()
    if not said:
        return None
    try:
        seconds = float(said)
    except ValueError:
        pass
    else:
        return max(0.0, seconds) if seconds < 1e9 else None
    parts = _DURATION.fullmatch(said)
    if parts:
        hours, minutes, seconds, millis = (float(part or 0) for part in parts.groups())
        return hours * 3600 + minutes * 60 + seconds + millis / 1000
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - now)
    except (TypeError, ValueError):
        return None


def wait_s(
    error: errors.ProviderError,
    tried: int,
    first_s: float,
    most_s: float,
    random: Callable[[], float],
) -> float | None:
    """Seconds before the request may be made again after ``error``, or None if it may not.

    Args:
        tried: how often it was repeated before.
        first_s: upper bound of the first wait.
        most_s: no wait has a higher one.
        random: a number in [0, 1): full jitter, so that many who failed together do not come back together.
    """
    if not isinstance(error, errors.ProviderBusy | errors.ProviderLost | DialTimeout):
        return None
    if error.retry_after_s is None:
        # The exponent is bounded: the setting is not, and floats overflow.
        return min(first_s * GROWTH ** min(tried, 32), most_s) * random()
    return error.retry_after_s if error.retry_after_s <= PATIENCE_S else None
