"""Short garbage collections: what start-up has made is not looked through again and again."""

import gc
from typing import Final

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime

SETTLED_S: Final = 10.0
"""After this what the first calls import and what is made once is there for good as well."""


class Settled(Service):
    """At the start, and once some time after it, hides all that exists by then from the garbage collector.

    Modules are about a hundred thousand objects that live as long as the process. A full collection looks at each of
    them: 15 to 60 ms in which no frame moves. Afterwards it looks only at what calls have made.

    Args:
        clock: tells when.
    """

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._timer: IDelayedCall | None = None

    def startService(self) -> None:
        """Hide what there is, and begin to wait."""
        super().startService()  # type: ignore[no-untyped-call]
        _set_aside()
        self._timer = self._clock.callLater(SETTLED_S, self._settle)

    def stopService(self) -> None:
        """Wait no longer; what was hidden stays hidden."""
        super().stopService()  # type: ignore[no-untyped-call]
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _settle(self) -> None:
        self._timer = None
        _set_aside()


def _set_aside() -> None:
    gc.collect()
    gc.freeze()
