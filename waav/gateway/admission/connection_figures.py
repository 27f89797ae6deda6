"""What is counted of connections and requests, whether anybody asks or not."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass(slots=True)
class ConnectionFigures:
    """Since the start.

    Args:
        opened: connections by route: ``ws``, and ``speak`` for each answer of ``POST /speak``.
        closed: by route and why: ``caller`` said goodbye or had his answer, he was ``lost``, ``idle`` or gave
            ``no_pong``, he committed a ``violation`` of the protocol, there was an ``error`` of ours, or a
            ``shutdown``.
        refused: by limit: ``total`` or ``address`` of connections, ``rate`` of requests, ``shutdown``.
        answered: requests by status.
    """

    opened: Counter[str] = field(default_factory=Counter)
    closed: Counter[tuple[str, str]] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    answered: Counter[int] = field(default_factory=Counter)
