"""``twistd waav``: options, and the one place that builds the service tree (style.md 2.7)."""

import os
import signal
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final, TextIO, cast

from twisted.application.internet import TimerService
from twisted.application.service import MultiService
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IProtocolFactory
from twisted.logger import ILogObserver, Logger
from twisted.python import usage
from twisted.python.logfile import LogFile

from waav import __version__
from waav.config import (
    PRECEDENCES,
    Config,
    ConfigProblems,
    Loaded,
    accounts,
    check_turn_model,
    given_by,
    load,
    missing,
    models_folder,
)
from waav.config_checks import workers_of
from waav.config_text import shown
from waav.errors import ConfigError
from waav.gateway.calls import Calls
from waav.gateway.site import build_site
from waav.gateway.slots import Slots
from waav.gateway.ws import VoiceFactory
from waav.links.answers import Answers
from waav.links.dial import Dialler
from waav.links.engine import Engines
from waav.links.engine_process import Process
from waav.links.engine_threads import Threads
from waav.links.files import FileStore
from waav.links.settings import CacheSettings
from waav.links.store import MemoryStore, Store
from waav.net.children import hear_of_children
from waav.ops.garbage import Settled
from waav.ops.logs import LineObserver
from waav.ops.metrics import shared_folder
from waav.registry import Registry
from waav.session.call import World
from waav.session.clock import make_monotonic
from waav.tap_metrics import Watchers
from waav.tap_services import Gateway, Listener, Models, Outside, Sessions, endpoints
from waav.tap_shared import Share
from waav.tap_supervisor import supervise

SWITCH_S: Final = 0.001
"""How long one thread may keep the interpreter when another wants it. Python's 5 ms make the reactor wait behind
model threads: with ten recognitions at once, pings of other callers took over 50 ms ten times as often."""

_log = Logger()

_observer: Callable[[], ILogObserver] | None = None


def chosen_observer() -> ILogObserver:
    """The log observer that the configuration asks for; twistd finds this function by its name."""
    if _observer is None:
        raise RuntimeError("the options of waav have not been read")
    return _observer()


class Options(usage.Options):
    """The gateway's own options; twistd's come before the word waav."""

    synopsis = "[options]"
    longdesc = "A real-time voice gateway."
    optParameters = (
        ["config", "c", None, "YAML configuration file."],
        ["config-precedence", None, None, "Which wins where both say something: yaml or env."],
        ["env-file", None, ".env", "File with environment variables; need not exist."],
        ["workers", None, None, "Processes that share the port: a number, or auto."],
    )
    optFlags = (
        ["lenient-config", None, "Unknown keys are warnings, not errors."],
        ["check-config", None, "Check the configuration, show it, and exit."],
    )
    loaded: Loaded
    registry: Registry

    def opt_version(self) -> None:
        """Show the version and exit."""
        sys.stdout.write(f"waav {__version__}\n")
        raise SystemExit(0)

    def postOptions(self) -> None:
        """Read the configuration: what is wrong with it is told before anything else happens."""
        precedence = self["config-precedence"]
        if precedence is not None and precedence not in PRECEDENCES:
            raise usage.UsageError("--config-precedence is yaml or env")
        try:
            self.registry = Registry.discover()
            self.loaded = load(
                self.registry,
                None if self["config"] is None else Path(self["config"]),
                environ=os.environ,
                dotenv=Path(self["env-file"]),
                precedence=precedence,
                is_lenient=bool(self["lenient-config"]),
                given=given_by(self["workers"]),
            )
            check_turn_model(self.loaded.config)
        except ConfigProblems as error:
            refuse(*(str(problem) for problem in error.problems))
        except ConfigError as error:
            refuse(f"{error.path}: {error.message}" if error.path else error.message)
        self._check_root()
        if self["check-config"]:
            sys.stdout.write("\n".join([*self.loaded.notices, *shown(self.loaded), ""]))
            raise SystemExit(0)
        self._choose_log()

    def _check_root(self) -> None:
        """Workers are started again and again: what they are made of must be there after a ``--chroot``."""
        has_moved = self.parent is not None and self.parent.get("chroot")
        if has_moved and workers_of(self.loaded.config.server.workers) > 1:
            refuse("server.workers: more than one does not go together with --chroot")

    def _choose_log(self) -> None:
        """Have twistd log our lines where its own options say, unless they name an observer or syslog."""
        global _observer
        twistd = self.parent
        if twistd is None or twistd.get("logger") or twistd.get("syslog"):
            return
        name, is_foreground = twistd.get("logfile"), bool(twistd.get("nodaemon"))
        settings = self.loaded.config.logging
        if name == "-" and not is_foreground:
            raise usage.UsageError("a daemon cannot log to standard output")
        _observer = lambda: LineObserver(_log_file(name, is_foreground), settings)  # noqa: E731
        twistd["logger"] = "waav.tap.chosen_observer"


def _log_file(name: str | None, is_foreground: bool) -> TextIO:
    if name == "-" or (is_foreground and not name):
        return sys.stdout
    return cast(TextIO, LogFile.fromFullPath(name or "waav.log", rotateLength=None))


def refuse(*lines: str) -> None:
    """End with exit code 1 and a line for each thing that is wrong."""
    for line in lines:
        sys.stderr.write(f"waav: {line}\n")
    raise SystemExit(1)


def makeService(options: Options) -> Gateway:
    """The gateway that the options describe; nothing is started."""
    from twisted.internet import reactor as running

    reactor: Any = running
    make_monotonic(reactor)
    sys.setswitchinterval(SWITCH_S)
    # Where TLS is on, its listener takes the signal over to read the certificate again.
    signal.signal(signal.SIGHUP, lambda number, frame: reactor.callFromThread(_nothing_to_reload))
    reactor.callWhenRunning(hear_of_children, reactor)
    workers = workers_of(options.loaded.config.server.workers)
    if workers > 1:
        announce(options.loaded, options.registry)
        return supervise(reactor, options.loaded, workers)
    return build(reactor, options.loaded, options.registry)


def _nothing_to_reload() -> None:
    """A terminal that closes, or ``systemctl reload``, must not end live calls."""
    _log.info("SIGHUP: nothing to read again; a new configuration needs a restart")


def build(reactor: Any, loaded: Loaded, registry: Registry, share: Share | None = None) -> Gateway:
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
    calls = Calls(reactor)
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
        Settled(reactor),
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


def _store(reactor: Any, settings: CacheSettings, share: Share | None) -> Store:
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
    usable = [one.name for one in registry.providers if not missing(one, loaded.config)]
    _log.info("providers that can be used: {names}", names=", ".join(usable) or "none")
    for provider in registry.providers:
        if lacking := missing(provider, loaded.config):
            _log.info(
                "provider {name} lacks credentials: {settings}",
                name=provider.name,
                settings=", ".join(lacking),
            )
