"""Short garbage collections: what start-up has made is not looked through again and again, nor what calls are made of."""

import gc
from collections.abc import Callable
from typing import Final

from twisted.application.service import Service
from twisted.internet.interfaces import IDelayedCall, IReactorTime

SETTLED_S: Final = 10.0
"""After this what the first calls import and what is made once is there for good as well."""

THRESHOLDS: Final = (5_000, 10, 100_000)
"""Objects made and not yet gone that bring about a young collection; young ones that bring about a middle one; and middle
ones that bring about a full one: never while there are calls. A call that has ended leaves nothing to be collected, so a
full collection would look at what all calls are made of, some hundred thousand objects, and find nothing."""

IDLE_S: Final = 60.0
"""How often a gateway without calls makes a full collection. What a plugin has left behind goes then."""


class Settled(Service):
    """At the start, and once some time after it, hides all that exists by then from the garbage collector.

    Modules are about a hundred thousand objects that live as long as the process. A full collection looks at each of
    them: 15 to 60 ms in which no frame moves. Afterwards full ones are made only when nobody is there to notice.

    Args:
        clock: tells when.
        live: how many calls and requests there are.
    """

    def __init__(self, clock: IReactorTime, live: Callable[[], int]) -> None:
        self._clock = clock
        self._live = live
        self._timer: IDelayedCall | None = None
        self._before = gc.get_threshold()

    def startService(self) -> None:
        """Hide what there is, and begin to wait."""
        super().startService()  # type: ignore[no-untyped-call]
        self._before = gc.get_threshold()
        gc.set_threshold(*THRESHOLDS)
        _set_aside()
        self._timer = self._clock.callLater(SETTLED_S, self._settle)

    def stopService(self) -> None:
        """Wait no longer; what was hidden stays hidden."""
        super().stopService()  # type: ignore[no-untyped-call]
        gc.set_threshold(*self._before)
        timer, self._timer = self._timer, None
        if timer is not None:
            timer.cancel()

    def _settle(self) -> None:
        _set_aside()
        self._timer = self._clock.callLater(IDLE_S, self._look)

    def _look(self) -> None:
        if not self._live():
            gc.collect()
        self._timer = self._clock.callLater(IDLE_S, self._look)


def _set_aside() -> None:
    gc.collect()
    gc.freeze()
