"""What watches the gateway put together: the event loop's lag and stalls, the metrics, and who may read them."""

from collections.abc import Callable, Iterator
from typing import Any, Final

from twisted.application.internet import TimerService
from twisted.application.service import Service
from twisted.internet.endpoints import serverFromString

from waav.cache.store import Store
from waav.gateway.admission.live import LiveConnections
from waav.links.dial import Dialler
from waav.links.engines.engines import Engines
from waav.net.reactor import native
from waav.ops import sources
from waav.ops.lag import LoopLag
from waav.ops.metrics import Metrics
from waav.ops.scrape import Scrape, ScrapeSite, build_metrics_resource
from waav.ops.settings import DiagnosticsSettings, MetricsSettings
from waav.ops.stalls import Stalls, period_s
from waav.service.parts import Listener
from waav.session.ledger import Ledger

REFRESH_S: Final = 1.0
"""How old the figures of another worker may be that somebody reads."""


class Watchers:
    """Lag and stalls of the event loop, and metrics if anybody can read them.

    Args:
        folder: where several workers keep their metrics; None where this is the only process.

    Attributes:
        ledger: for ``World``.
    """

    def __init__(
        self,
        reactor: Any,
        diagnostics: DiagnosticsSettings,
        settings: MetricsSettings,
        folder: str | None,
    ) -> None:
        self._reactor = reactor
        self._settings = settings
        self._folder = folder
        self._lag = LoopLag(reactor, period_s(diagnostics))
        self._stalls = Stalls(self._lag, diagnostics) if diagnostics.stall_ms else None
        self._metrics = Metrics() if settings.is_on else None
        self.ledger = Ledger() if self._metrics is None else self._metrics.calls

    def follow(
        self,
        calls: LiveConnections,
        store: Store,
        dialler: Dialler,
        engines: Engines,
        restarts: Callable[[], int] = lambda: 0,
    ) -> None:
        """Have what these count in the metrics.

        Args:
            restarts: how often workers of this gateway were started again.
        """
        metrics = self._metrics
        if metrics is None:
            return
        for source in (
            sources.connections(metrics, calls.figures),
            sources.cache(metrics, store),
            sources.vendors(metrics, dialler),
            sources.models(metrics, engines),
            sources.loop(metrics, self._lag, self._stalls),
            sources.collections(metrics),
            sources.process(metrics, restarts=restarts),
        ):
            metrics.follow(source)

    def resource(self) -> Scrape | None:
        """What answers at ``/metrics`` beside the gateway's other routes: nothing without a token."""
        if not self._settings.token:
            return None
        return build_metrics_resource(
            self._reactor, self._metrics, self._folder, self._settings.token
        )

    def services(self) -> Iterator[Service]:
        """All that has to run. A worker has no listener of its own for metrics: its supervisor has that."""
        yield self._lag
        if self._stalls is not None:
            yield self._stalls
        if self._metrics is None:
            return
        if self._folder is None:
            yield from metrics_listeners(self._reactor, self._metrics, None, self._settings)
            return
        timer = TimerService(REFRESH_S, self._metrics.refresh)
        timer.clock = self._reactor
        yield timer


def metrics_listeners(
    reactor: Any, metrics: Metrics | None, folder: str | None, settings: MetricsSettings
) -> Iterator[Listener]:
    """The separate listener, if one is configured.

    Args:
        metrics: of this process; None for a supervisor.
        folder: where workers keep their metrics; None where there are none.
    """
    if settings.listen is None:
        return
    resource = build_metrics_resource(reactor, metrics, folder, settings.token)
    yield Listener(
        serverFromString(native(reactor), settings.listen),
        ScrapeSite(reactor, resource),
        f"{settings.listen} for metrics",
        is_console_on=False,
    )
