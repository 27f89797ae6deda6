"""The event loop that the gateway runs on."""

import math

from twisted.internet import asyncioreactor
from twisted.internet.main import installReactor

RESOLUTION_S = 0.001
"""What uvloop's timers are exact to."""


class CoarseReactor(asyncioreactor.AsyncioSelectorReactor):
    """Twisted's reactor on a loop whose timers know milliseconds only.

    Such a loop calls up to a millisecond too early; asked for the rest, which it takes for nothing, it calls again at
    once, and so on some dozens of times until the time has come. So no rest of less than a millisecond is asked for.
    """

    def timeout(self) -> float | None:
        """Seconds until the next timed call is due, as the loop can measure it; None if there is none."""
        exact: float | None = super().timeout()
        return math.ceil(exact / RESOLUTION_S) * RESOLUTION_S if exact else exact


def install_reactor() -> None:
    """Install the reactor; must come before anything imports ``twisted.internet.reactor``."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        asyncioreactor.install()
    else:
        reactor = CoarseReactor(new_event_loop())
        installReactor(reactor)
