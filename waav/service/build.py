"""The one place that puts a gateway together, and the tree of services that it becomes."""

import signal
import sys
from collections.abc import Iterator
from typing import Any, Final

from twisted.application.internet import TimerService
from twisted.application.service import MultiService
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import Logger

from waav.cache.answers import Answers
from waav.cache.files import FileStore
from waav.cache.memory import MemoryStore
from waav.cache.settings import CacheSettings
from waav.cache.store import Store
from waav.config.checks import workers_of
from waav.config.load import Config, Loaded, accounts, missing, models_folder
from waav.gateway.admission.live import LiveConnections
from waav.gateway.admission.slots import Slots
from waav.gateway.http.site import build_site
from waav.gateway.voice.ws import VoiceFactory
from waav.links.dial import Dialler
from waav.links.engines.engines import Engines
from waav.links.engines.process import Process
from waav.links.engines.threads import Threads
from waav.net.children import hear_of_children
from waav.ops.garbage import Settled
from waav.ops.metrics import shared_folder
from waav.registry import Registry
from waav.service.parts import Gateway, Listener, Models, Outside, Sessions, endpoints, open_to_all
from waav.service.share import WorkerShare
from waav.service.supervisor import supervise
from waav.service.watchers import Watchers
from waav.session.clock import make_monotonic
from waav.session.world import World

SWITCH_S: Final = 0.001
"""How long one thread may keep the interpreter when another wants it. Python's 5 ms make the reactor wait behind
model threads: with ten recognitions at once, pings of other callers took over 50 ms ten times as often."""

_log = Logger()


def begin(reactor: Any, loaded: Loaded, registry: Registry) -> Gateway:
    """The gateway of a whole process: prepares the reactor, then builds one worker's tree or the supervisor's."""
    make_monotonic(reactor)
    sys.setswitchinterval(SWITCH_S)
    # Where TLS is on, its listener takes the signal over to read the certificate again.
    signal.signal(signal.SIGHUP, lambda number, frame: reactor.callFromThread(_nothing_to_reload))
    reactor.callWhenRunning(hear_of_children, reactor)
    reactor.addSystemEventTrigger("after", "shutdown", _ended_well, reactor)
    workers = workers_of(loaded.config.server.workers)
    if workers > 1:
        announce(loaded, registry)
        return supervise(reactor, loaded, workers)
    return build(reactor, loaded, registry)


def _ended_well(reactor: Any) -> None:
    """Being told to end is no failure: twistd would have the process die of the signal, once all has been stopped."""
    if getattr(reactor, "_exitSignal", None) == signal.SIGTERM:
        reactor._exitSignal = None


def _nothing_to_reload() -> None:
    """A terminal that closes, or ``systemctl reload``, must not end live calls."""
    _log.info("SIGHUP: nothing to read again; a new configuration needs a restart")


def build(
    reactor: Any, loaded: Loaded, registry: Registry, share: WorkerShare | None = None
) -> Gateway:
    """Everything a gateway consists of, put together.

    Args:
        reactor: runs it.
        loaded: its configuration.
        registry: the providers there are.
        share: what this process has in common with others, if it is one of several workers.
    """
    config = loaded.config
    watchers = Watchers(reactor, config.diagnostics, config.metrics, shared_folder())
    host = (Process if config.models.process else Threads)(reactor, config.models.threads)
    engines = Engines(reactor, host, config.models.queue)
    store = _store(reactor, config.cache, share)
    dialler = Dialler(reactor, config.links, Answers(store, config.cache), engines)
    world = World(
        clock=reactor,
        registry=registry,
        dialler=dialler,
        account=accounts(config, registry),
        speech_final=config.speech_final,
        interruption=config.interruption,
        limits=config.call,
        turn=config.turn_detection,
        noise=config.noise_filter,
        models_path=str(models_folder(config)),
        ledger=watchers.ledger,
    )
    calls = LiveConnections(reactor)
    restarts = (lambda: 0) if share is None else share.restarts
    watchers.follow(calls, store, dialler, engines, restarts)
    security = config.security
    voice = VoiceFactory(world, config.websocket, calls, default_rate_hz=config.audio.sample_rate)
    site = build_site(
        reactor,
        world,
        security,
        config.audio,
        config.console,
        voice,
        (
            Slots(security.max_websocket_connections, security.max_connections_per_ip)
            if share is None
            else share.slots(security)
        ),
        limiter=None if share is None else share.limiter(security),
        metrics=watchers.resource(),
    )
    # Its own lines say when it begins and ends to listen.
    site.noisy = voice.noisy = False
    gateway = Gateway()  # type: ignore[no-untyped-call]
    # Started in this order, stopped in the opposite one: first nobody new comes in, then calls end.
    for service in (
        *watchers.services(),
        Outside(dialler, world),
        Models(engines, world, config.audio),
        Settled(reactor, lambda: calls.live),
        # One of several workers sweeps the folder that they share.
        *(
            [timers(store, config.cache.sweep_seconds, reactor)]
            if share is None or share.number == 0
            else []
        ),
        Sessions(reactor, calls, voice.tasks, config.server.drain_s, hears_signals=share is None),
        *(
            listeners(reactor, config, site)
            if share is None
            else share.listeners(config.server, site, calls)
        ),
    ):
        service.setServiceParent(gateway)
    if share is None:
        announce(loaded, registry)
    return gateway


def listeners(reactor: Any, config: Config, factory: IProtocolFactory) -> Iterator[Listener]:
    """What accepts callers."""
    for endpoint, where in endpoints(reactor, config.server):
        yield Listener(endpoint, factory, where, is_console_on=config.console.enabled)


def _store(reactor: Any, settings: CacheSettings, share: WorkerShare | None) -> Store:
    if share is not None:
        settings, entries = share.cache(settings)
        pool = reactor.getThreadPool()
        return FileStore(reactor, pool, settings, max_entries=entries, is_shared=True)
    if settings.path is None:
        return MemoryStore(reactor, settings)
    return FileStore(reactor, reactor.getThreadPool(), settings)


def timers(store: Store, sweep_s: float, clock: Any) -> MultiService:
    """What happens now and then: at start and every ``sweep_s`` the cache loses what has expired."""

    async def sweep() -> None:
        try:
            removed = await store.sweep()
        except Exception:
            # The next sweep may work; a TimerService would stop for ever.
            _log.failure("sweeping the cache failed")
        else:
            if removed:
                _log.info("{removed} expired cache entries removed", removed=removed)

    service = TimerService(sweep_s, lambda: Deferred.fromCoroutine(sweep()))
    service.clock = clock
    group = MultiService()
    service.setServiceParent(group)
    return group


def announce(loaded: Loaded, registry: Registry) -> None:
    """Log what an operator should know at start: which providers can be used, and why others cannot."""
    for notice in loaded.notices:
        _log.warn("{notice}", notice=notice)
    if warned := open_to_all(loaded.config.server):
        _log.warn("{notice}", notice=warned)
    usable = [one.name for one in registry.providers if not missing(one, loaded.config)]
    _log.info("providers that can be used: {names}", names=", ".join(usable) or "none")
    for provider in registry.providers:
        if lacking := missing(provider, loaded.config):
            _log.info(
                "provider {name} lacks credentials: {settings}",
                name=provider.name,
                settings=", ".join(lacking),
            )
