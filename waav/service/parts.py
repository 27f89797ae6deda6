"""The services of the tree: who listens, who knows the calls, who talks to vendors, and how each of them ends."""

import re
import signal
import socket
import sys
from collections.abc import Iterator
from ipaddress import ip_address
from pathlib import Path
from types import FrameType
from typing import Any, Final

from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred, TimeoutError, maybeDeferred, succeed
from twisted.internet.endpoints import (
    TCP4ServerEndpoint,
    TCP6ServerEndpoint,
    serverFromString,
)
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import (
    IDelayedCall,
    IListeningPort,
    IProtocolFactory,
    IStreamServerEndpoint,
)
from twisted.logger import Logger
from twisted.python.failure import Failure

from waav.config.checks import addresses
from waav.errors import ModelMissing, WaavError
from waav.gateway.admission.live import LiveConnections
from waav.gateway.settings import ServerSettings, SpeechDefaults
from waav.links.dial import Dialler
from waav.links.engines.engines import Engines
from waav.models import noise, turn
from waav.net.reactor import loop_of, native
from waav.net.tls import Certificate, SecureEndpoint
from waav.secret import Secret
from waav.session.world import World
from waav.speech.provider import ListenSettings, SpeakSettings
from waav.speech.wire import Local, Opening
from waav.tasks import Tasks

PORT_TAKEN: Final = 3
"""Exit code when something the gateway needs is not to be had."""

SLOW: Final = (
    "this reactor has no event loop: calls cost about twice the processor time. "
    "Without --reactor, twistd waav chooses one that has"
)

CHOOSE: Final = "; another one is chosen with --port, server.port or PORT"

CLEAN_UP_S: Final = 10.0
"""How long connections may take to go after the drain; they normally take no time at all."""


_log = Logger()


class CannotServe(Exception):
    """Told to twistd by a daemon that cannot begin; it shows it and removes the pid file."""


class Gateway(MultiService):
    """The root. Its parts start in order and stop in the opposite order, each after the last has stopped."""

    _log = Logger()

    is_daemon = False
    """Whether twistd waits for word of the daemon that this process has become: an exit would leave it waiting."""

    def privilegedStartService(self) -> None:
        """Open what needs the rights that the process gives up next."""
        try:
            super().privilegedStartService()  # type: ignore[no-untyped-call]
        except SystemExit as error:
            if self.is_daemon:
                raise CannotServe(f"exit code {error.code}: the log says why") from error
            raise

    def stopService(self) -> Deferred[None]:
        """Stop everything. One part that fails does not keep the others from stopping."""
        Service.stopService(self)
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        for service in reversed(list(self)):
            try:
                await maybeDeferred(service.stopService)
            except Exception:
                self._log.failure("stopping {service} failed", service=type(service).__name__)


class Listener(Service):
    """Accepts callers on one address.

    Args:
        endpoint: where.
        factory: the site.
        where: the address as people write it, with ``{port}`` where the port is only known later.
        is_console_on: whether there is a console to tell of.

    Attributes:
        port: the open port, once there is one.
    """

    _log = Logger()

    def __init__(
        self,
        endpoint: IStreamServerEndpoint,
        factory: IProtocolFactory,
        where: str,
        *,
        is_console_on: bool = True,
    ) -> None:
        self._endpoint = endpoint
        self._factory = factory
        self._where = where
        self._is_console_on = is_console_on
        self._opening: Deferred[IListeningPort] | None = None
        self.port: IListeningPort | None = None

    def privilegedStartService(self) -> None:
        """Listen: before the process gives up its rights, so that low ports can be had.

        Raises:
            SystemExit: with code 3, after one line, when the address cannot be had.
        """
        super().privilegedStartService()  # type: ignore[no-untyped-call]
        reasons: list[Failure] = []
        self._opening = self._endpoint.listen(self._factory)
        self._opening.addCallback(self._listening).addErrback(reasons.append)
        for failure in reasons:
            failure.trap(CannotListenError)
            error = getattr(failure.value, "socketError", failure.value)
            reason = getattr(error, "strerror", None) or error
            line = (
                f"cannot listen on {self._where}: {reason}{CHOOSE if self._is_console_on else ''}"
            )
            self._log.critical("{line}", line=line)
            # Not sys.stderr: twistd has made that part of the log.
            print(f"waav: {line}", file=sys.__stderr__)
            raise SystemExit(PORT_TAKEN)

    def startService(self) -> None:
        """Listen, if that was not done before."""
        super().startService()  # type: ignore[no-untyped-call]
        if self._opening is None:
            self.privilegedStartService()

    def stopService(self) -> Deferred[None]:
        """Accept nobody new."""
        super().stopService()  # type: ignore[no-untyped-call]
        port, self.port = self.port, None
        stopped = None if port is None else port.stopListening()
        return succeed(None) if stopped is None else stopped

    def _listening(self, port: IListeningPort) -> IListeningPort:
        self.port = port
        handle = getattr(port, "socket", None)
        if handle is not None and handle.family in (socket.AF_INET, socket.AF_INET6):
            # Linux hands it on to every connection that is accepted: small frames must not wait.
            handle.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._tell(port)
        return port

    def _tell(self, port: IListeningPort) -> None:
        number = getattr(port.getHost(), "port", "")
        where = self._where.replace("{port}", str(number))
        self._log.info("listening on {where}", where=where)
        if self._is_console_on and where.startswith("http"):
            # Browsers give the microphone to localhost, not to 0.0.0.0.
            shown = re.sub(r"//(0\.0\.0\.0|\[::\]|127\.0\.0\.1)(?=:)", "//localhost", where)
            self._log.info("console: {address}/console", address=shown)


class Sessions(Service):
    """The live calls: a stop refuses new ones, lets them go on for a while, then closes them with 1001.

    Args:
        reactor: the clock, and where signals are handed to.
        calls: knows the connections.
        clean_ups: what still runs for connections that are gone.
        drain_s: how long calls may go on.
        hears_signals: whether a second signal ends calls at once; a worker is told by its supervisor.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        calls: LiveConnections,
        clean_ups: Tasks,
        drain_s: float,
        *,
        hears_signals: bool = True,
    ) -> None:
        self._reactor = reactor
        self._calls = calls
        self._clean_ups = clean_ups
        self._drain_s = drain_s
        self._signals = (signal.SIGINT, signal.SIGTERM) if hears_signals else ()

    def stopService(self) -> Deferred[None]:
        """End all calls; a second signal ends them at once."""
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        if self._calls.live:
            self._log.info(
                "stopping: {live} calls may go on for {drain:.0f} s; a second signal ends them now",
                live=self._calls.live,
                drain=self._drain_s,
            )
        previous = {one: signal.getsignal(one) for one in self._signals}
        for one in previous:
            signal.signal(one, self._again)
        gone = self._calls.stop(self._drain_s)
        gone.addTimeout(self._drain_s + CLEAN_UP_S, self._reactor)
        try:
            await gone
        except TimeoutError:
            self._log.error("{live} calls could not be cleaned up", live=self._calls.live)
        finally:
            for one, handler in previous.items():
                signal.signal(one, handler)
        await self._clean_ups.stop()

    def _again(self, number: int, frame: FrameType | None) -> None:
        """A second signal; called by Python between two instructions, so only hand it on."""
        self._reactor.callFromThread(self.end_now)

    def end_now(self) -> None:
        """Close all calls without waiting any longer."""
        self._log.info("ending {live} calls now", live=self._calls.live)
        self._calls.stop(0.0)


class Outside(Service):
    """The connections to vendors and the models of the process: the last to stop.

    Args:
        dialler: makes the connections.
        world: knows the vendors, and for which of them there are credentials.
    """

    _log = Logger()

    def __init__(self, dialler: Dialler, world: World) -> None:
        self._dialler = dialler
        self._world = world
        self._warming: IDelayedCall | None = None

    def startService(self) -> None:
        """Have connections open before the first call needs them, without holding up the start."""
        super().startService()  # type: ignore[no-untyped-call]
        self._warming = self._world.clock.callLater(0, self._warm)

    def _warm(self) -> None:
        self._warming = None
        self._dialler.keep_warm(self.openings())

    def openings(self) -> Iterator[Opening]:
        """How conversations begin with each provider for which the gateway has credentials."""
        for provider in self._world.registry.providers:
            try:
                account = self._world.account(provider, None)
                if not account.credentials:
                    continue
                if provider.listen is not None:
                    yield provider.listen(ListenSettings(provider.name), account).opening
                if provider.speak is not None:
                    yield provider.speak(SpeakSettings(provider.name), account).opening
            except WaavError as error:
                self._log.debug("nothing to warm up: {error}", error=error.message)

    def stopService(self) -> Deferred[None]:
        """Hang up everywhere."""
        super().stopService()  # type: ignore[no-untyped-call]
        if self._warming is not None:
            self._warming.cancel()
            self._warming = None
        return self._dialler.stop()


WITHOUT: Final = {
    "turn_detection": "timers end the turns",
    "noise_filter": "audio is not filtered",
}
"""What happens without an optional model, by its section of the configuration."""


class Models(Service):
    """Loads the models that calls will want from this process, so that the first call need not wait."""

    _log = Logger()

    def __init__(self, engines: Engines, world: World, defaults: SpeechDefaults) -> None:
        self._engines = engines
        self._world = world
        self._defaults = defaults
        self._tasks = Tasks()

    def startService(self) -> None:
        """Begin loading; calls that come before wait for the same copy."""
        super().startService()  # type: ignore[no-untyped-call]
        for name, without in WITHOUT.items():
            self._world.optional_models[name] = f"off: {without}"
        for local, section in self.wanted():
            self._world.unready_models[local.model] = "loading"
            self._tasks.start(self._load(local, section), "loading a model")

    def wanted(self) -> Iterator[tuple[Local, str | None]]:
        """Those of the default providers, and the optional ones that are switched on, with their section."""
        for opening in self.openings():
            if opening.local is not None:
                yield opening.local, None
        folder = None if self._world.models_path is None else Path(self._world.models_path)
        if self._world.turn.enabled or self._world.turn.required:
            yield turn.local(self._world.turn, folder), "turn_detection"
        if self._world.noise.enabled:
            yield noise.local(self._world.noise, folder), "noise_filter"

    def openings(self) -> Iterator[Opening]:
        """How conversations with the default providers begin."""
        registry, account = self._world.registry, self._world.account
        none: Secret | None = None
        try:
            listener = registry.find(self._defaults.stt_provider)
            if listener.listen is not None:
                settings = ListenSettings(listener.name)
                yield listener.listen(settings, account(listener, none)).opening
            speaker = registry.find(self._defaults.tts_provider)
            if speaker.speak is not None:
                yield speaker.speak(SpeakSettings(speaker.name), account(speaker, none)).opening
        except WaavError as error:
            # Said at start, by name, in any case; callers may bring keys of their own.
            self._log.debug("nothing to load: {error}", error=error.message)

    async def _load(self, local: Local, section: str | None) -> None:
        began_s = self._world.clock.seconds()
        without = WITHOUT.get(section or "", "calls go on without it")
        self._note(section, f"loading: until then {without}")
        try:
            await self._engines.load(local)
        except ModelMissing as error:
            self._log.warn(
                "model {model}: {error}; until then {without}",
                model=local.model,
                error=error.message,
                without=without,
            )
            self._settled(local, section, "missing")
            self._note(section, f"missing: {without}; waav init fetches the model")
        except WaavError as error:
            self._log.error(
                "model {model} cannot be used: {error}; {without}",
                model=local.model,
                error=error.message,
                without=without,
            )
            self._settled(local, section, "broken")
            self._note(section, f"broken: {without}; the log says why")
        else:
            took_s = self._world.clock.seconds() - began_s
            self._log.info(
                "model {model} loaded in {seconds:.1f} s", model=local.model, seconds=took_s
            )
            self._settled(local, section, "ready")
            self._note(section, "ready")

    def _settled(self, local: Local, section: str | None, state: str) -> None:
        """Loading has ended. Calls do without an optional model; without one of a default provider they fail."""
        if section is None and state != "ready":
            self._world.unready_models[local.model] = state
        else:
            del self._world.unready_models[local.model]

    def _note(self, section: str | None, state: str) -> None:
        if section is not None:
            self._world.optional_models[section] = state

    def stopService(self) -> Deferred[None]:
        """Wait for no model any longer."""
        super().stopService()  # type: ignore[no-untyped-call]
        return Deferred.fromCoroutine(self._tasks.stop())


# Where to listen.


def open_to_all(server: ServerSettings) -> str | None:
    """A warning, if others than this machine's own programs can reach a gateway that asks nobody who he is."""
    if server.listen:
        where = [text for text in server.listen if not _is_local(text)]
    else:
        host, _ = addresses(server.host, server.port)
        where = [] if ip_address(host).is_loopback else [host]
    if not where:
        return None
    return (
        f"whoever reaches {', '.join(where)} may use this gateway: there is no authentication yet. "
        "server.host: 127.0.0.1 (or --host) keeps it to this machine; "
        "server.listen: [unix:/run/waav.sock] keeps it behind a proxy that asks"
    )


def _is_local(endpoint: str) -> bool:
    """Whether a Twisted endpoint string can only be reached from this machine."""
    kind, _, rest = endpoint.partition(":")
    if kind in ("unix", "systemd", "fd", "stdio"):
        return True  # what was handed to us somebody else has opened, on purpose
    interface = re.search(r"(?:^|:)interface=((?:\\.|[^:])*)", rest)
    try:
        return interface is not None and ip_address(interface[1].replace("\\", "")).is_loopback
    except ValueError:
        return interface is not None and interface[1] == "localhost"


def endpoints(reactor: Any, server: ServerSettings) -> Iterator[tuple[IStreamServerEndpoint, str]]:
    """The endpoints to listen on, each with its address as people write it."""
    if loop_of(reactor) is None:
        _log.warn("{what}", what=SLOW)
    yield from listening_at(native(reactor), server)


def listening_at(
    reactor: Any, server: ServerSettings
) -> Iterator[tuple[IStreamServerEndpoint, str]]:
    """The same endpoints, on that very reactor."""
    for text in server.listen:
        yield serverFromString(reactor, text), text
    if server.listen:
        return
    host, is_v6 = addresses(server.host, server.port)
    kind = TCP6ServerEndpoint if is_v6 else TCP4ServerEndpoint
    endpoint: IStreamServerEndpoint = kind(reactor, server.port, server.backlog, host)
    shown = f"[{host}]" if is_v6 else host
    port = server.port or "{port}"
    if server.tls.enabled:
        files = Path(server.tls.cert_path or ""), Path(server.tls.key_path or "")
        endpoint = SecureEndpoint(reactor, endpoint, Certificate(reactor, *files))
    yield endpoint, f"http{'s' if server.tls.enabled else ''}://{shown}:{port}"
