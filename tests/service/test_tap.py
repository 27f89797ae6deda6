"""The service tree: what starts, in which order it stops, and what an operator reads."""

import hashlib
import io
import os
import signal
import socket
import ssl
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from autobahn.twisted.websocket import WebSocketClientFactory
from twisted.application.service import Service
from twisted.internet import reactor
from twisted.internet.base import ReactorBase
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.endpoints import HostnameEndpoint, wrapClientTLS
from twisted.internet.ssl import Certificate as Trusted
from twisted.internet.ssl import optionsForClientTLS
from twisted.internet.task import Clock, deferLater
from twisted.internet.testing import MemoryReactorClock
from twisted.internet.threads import deferToThread
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.python import usage
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.certificates import write_pair
from tests.session.test_clock import Ticking
from twisted import internet
from waav import __version__
from waav.cli.client import ClientCall
from waav.config.load import Loaded, accounts, load
from waav.errors import ConfigError, ModelMissing, WaavError
from waav.gateway.admission.live import LiveConnections
from waav.gateway.settings import ServerSettings, SpeechDefaults, TLSSettings
from waav.links.dial import Dialler
from waav.links.settings import LinkSettings
from waav.models import fetch
from waav.models.settings import NoiseSettings, TurnSettings
from waav.ops.logs import LineObserver
from waav.ops.settings import LogSettings
from waav.registry import Registry
from waav.service.build import announce, build, timers
from waav.service.parts import Gateway, Listener, Models, Outside, Sessions, endpoints, open_to_all
from waav.session.world import World
from waav.speech.provider import Account
from waav.speech.wire import Local, Opening
from waav.tap import Options, chosen_observer, makeService
from waav.tasks import Tasks


def loaded(case: SynchronousTestCase, text: str = "", **env: str) -> Loaded:
    path = Path(case.mktemp())
    path.write_text(text)
    return load(Registry.discover(), path, environ=env)


class Part(Service):
    def __init__(self, name: str, told: list[str], *, fails: bool = False) -> None:
        self.setName(name)
        self.told = told
        self.gone: Deferred[None] = Deferred()
        self.fails = fails

    def startService(self) -> None:
        self.told.append(f"start {self.name}")

    def stopService(self) -> Deferred[None]:
        self.told.append(f"stop {self.name}")
        if self.fails:
            raise RuntimeError("cannot stop")
        return self.gone


class OrderTests(SynchronousTestCase):
    def test_parts_stop_one_after_the_other(self) -> None:
        """What started last stops first, and the next waits for it: vendors are there until calls have ended."""
        told: list[str] = []
        gateway = Gateway()
        first, second = Part("first", told), Part("second", told)
        first.setServiceParent(gateway)
        second.setServiceParent(gateway)
        gateway.startService()
        stopped = gateway.stopService()
        self.assertEqual(told, ["start first", "start second", "stop second"])
        second.gone.callback(None)
        self.assertEqual(told[-1], "stop first")
        self.assertNoResult(stopped)
        first.gone.callback(None)
        self.successResultOf(stopped)

    def test_a_part_that_cannot_stop(self) -> None:
        """One part that fails to stop does not keep the others from stopping."""
        told: list[str] = []
        gateway = Gateway()
        first, second = Part("first", told), Part("second", told, fails=True)
        first.setServiceParent(gateway)
        second.setServiceParent(gateway)
        first.gone.callback(None)
        gateway.startService()
        self.successResultOf(gateway.stopService())
        self.assertEqual(told[-1], "stop first")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class Connection:
    def __init__(self, calls: LiveConnections) -> None:
        self.calls = calls
        self.closed_with: int | None = None

    def close(self, code: int, reason: str) -> None:
        self.closed_with = code
        self.calls.remove(self)


class SessionsTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = MemoryReactorClock()
        self.calls = LiveConnections(self.clock)
        self.service = Sessions(self.clock, self.calls, Tasks(), 30.0)
        self.connection = Connection(self.calls)
        self.calls.add(self.connection)
        self.service.startService()

    def test_calls_may_go_on(self) -> None:
        """After a stop nobody new is welcome, live calls go on until the drain ends, then close with 1001 (S-CFG-20)."""
        stopped = self.service.stopService()
        self.assertFalse(self.calls.is_open)
        self.clock.advance(29)
        self.assertNoResult(stopped)
        self.assertIsNone(self.connection.closed_with)
        self.clock.advance(1)
        self.assertEqual(self.connection.closed_with, 1001)
        self.successResultOf(stopped)

    def test_the_last_call_ends_the_stop(self) -> None:
        """A stop waits no longer than the last call."""
        stopped = self.service.stopService()
        self.calls.remove(self.connection)
        self.successResultOf(stopped)

    def test_a_second_signal_ends_them_now(self) -> None:
        """A second SIGTERM during the drain closes all calls at once; handlers are put back afterwards."""
        before = signal.getsignal(signal.SIGTERM)
        queue: list[Any] = []
        self.clock.callFromThread = lambda what: queue.append(what)
        stopped = self.service.stopService()
        os.kill(os.getpid(), signal.SIGTERM)
        self.assertEqual(len(queue), 1)
        queue[0]()
        self.assertEqual(self.connection.closed_with, 1001)
        self.successResultOf(stopped)
        self.assertEqual(signal.getsignal(signal.SIGTERM), before)

    def test_a_call_that_does_not_go(self) -> None:
        """A connection that cannot be cleaned up does not keep the process alive for ever."""
        self.connection.close = lambda code, reason: None  # type: ignore[method-assign]
        stopped = self.service.stopService()
        self.clock.advance(30)
        self.clock.advance(10)
        self.successResultOf(stopped)


class SweepTests(SynchronousTestCase):
    def test_the_cache_is_swept_now_and_then(self) -> None:
        """Expired entries go at start and every sweep_seconds; a failed sweep is tried again."""
        swept: list[float] = []
        clock = Clock()

        class Store:
            def sweep(self) -> Deferred[int]:
                swept.append(clock.seconds())
                if len(swept) == 2:
                    raise OSError("disk is gone")
                return succeed(3)

        service = timers(Store(), 60, clock)  # type: ignore[arg-type]
        service.startService()
        clock.advance(60)
        clock.advance(60)
        self.assertEqual(swept, [0, 60, 120])
        self.assertEqual(len(self.flushLoggedErrors(OSError)), 1)
        service.stopService()


class OptionsTests(SynchronousTestCase):
    def parse(self, *arguments: str, parent: dict[str, Any] | None = None) -> Options:
        options = Options()
        options.parent = parent  # type: ignore[assignment]
        options.parseOptions([f"--env-file={self.mktemp()}", *arguments])
        return options

    def captured(self, *arguments: str) -> tuple[Any, str, str]:
        out, err = io.StringIO(), io.StringIO()
        self.patch(__import__("sys"), "stdout", out)
        self.patch(__import__("sys"), "stderr", err)
        error = self.assertRaises(SystemExit, self.parse, *arguments)
        return error.code, out.getvalue(), err.getvalue()

    def test_problems_are_lines(self) -> None:
        """A configuration that cannot be used is exit code 1 and a line per problem (CFG-04, S-CFG-07)."""
        path = Path(self.mktemp())
        path.write_text("server: {port: x, hots: y}\n")
        code, out, err = self.captured("-c", str(path))
        self.assertEqual((code, out), (1, ""))
        lines = err.splitlines()
        self.assertEqual(len(lines), 2)
        self.assertTrue(lines[0].startswith("waav: server.hots: unknown key"), lines)
        self.assertTrue(lines[1].startswith("waav: server.port: must be a whole number"), lines)

    def test_two_providers_of_one_name(self) -> None:
        """Installed plugins that cannot be used together stop the start with one line."""

        def discover() -> Registry:
            raise ConfigError("provider name 'acme' is claimed by both a (A) and b (B)")

        self.patch(Registry, "discover", discover)
        self.assertEqual(
            self.captured(),
            (1, "", "waav: provider name 'acme' is claimed by both a (A) and b (B)\n"),
        )

    def test_check_config(self) -> None:
        """--check-config shows what would be in effect and ends (S-CFG 1.11)."""
        code, out, _ = self.captured("--check-config")
        self.assertEqual(code, 0)
        self.assertIn("server.port = 3001", out)

    def test_version(self) -> None:
        """--version is the package's version (OPS-02)."""
        code, out, _ = self.captured("--version")
        self.assertEqual((code, out), (0, f"waav {__version__}\n"))

    def test_precedence(self) -> None:
        """--config-precedence takes two words."""
        self.assertRaises(usage.UsageError, self.parse, "--config-precedence", "dotenv")

    def test_lenient(self) -> None:
        """--lenient-config lets an unknown key pass with a warning (S-CFG-07)."""
        path = Path(self.mktemp())
        path.write_text("livekit: {url: x}\n")
        options = self.parse("-c", str(path), "--lenient-config")
        self.assertIn("livekit", options.loaded.notices[0])

    def test_our_log_lines_go_where_twistd_logs(self) -> None:
        """twistd is told to use our log lines, in its --logfile where one was given."""
        log = self.mktemp()
        twistd = {"logger": None, "logfile": log, "nodaemon": True}
        self.parse(parent=twistd)
        self.assertEqual(twistd["logger"], "waav.tap.chosen_observer")
        observer = chosen_observer()
        observer({"log_namespace": "waav", "log_format": "hello"})
        self.assertIn("waav: hello", Path(log).read_text())

    def test_an_observer_of_the_operators_choice_stays(self) -> None:
        """--logger and --syslog of twistd are left alone."""
        for twistd in ({"logger": "some.where", "nodaemon": True}, {"syslog": 1}):
            before = dict(twistd)
            self.parse(parent=twistd)
            self.assertEqual(twistd, before)

    def required(self, model: bytes | None) -> tuple[Any, str, str]:
        """Start with a required turn model that has this content."""
        folder = Path(self.mktemp())
        folder.mkdir()
        digest = hashlib.sha256(model or b"").hexdigest()
        if model is not None:
            (folder / "smart-turn-v3.2-cpu.onnx").write_bytes(model)
        path = folder / "waav.yaml"
        path.write_text(
            f"models: {{path: {folder}}}\n"
            f"turn_detection: {{required: true, source: 'https://a.test/x.onnx', sha256: {digest}}}"
        )
        return self.captured("-c", str(path))

    def test_a_required_model_that_is_not_there(self) -> None:
        """A required turn model that is not there stops the start with a line that says what to do."""
        code, _, err = self.required(None)
        self.assertEqual((code, len(err.splitlines())), (1, 1))
        self.assertIn("waav: turn_detection.required: ", err)
        self.assertIn("run waav init", err)

    def test_a_required_model_that_cannot_be_loaded(self) -> None:
        """A required turn model is loaded before anything is opened: one that is no model stops the start with one line."""
        code, out, err = self.required(b"not a model\nat all")
        self.assertEqual((code, out, len(err.splitlines())), (1, "", 1), err)
        self.assertIn("waav: turn_detection.required: ", err)
        self.assertIn("cannot be loaded", err)

    def noise_filter(self, engine: str, folder: Path) -> tuple[Any, str, str]:
        """Start with the filter switched on, and its files looked for there."""
        path = Path(self.mktemp())
        path.write_text(
            f"models: {{path: {folder}}}\nnoise_filter: {{enabled: true, engine: {engine}}}"
        )
        return self.captured("-c", str(path))

    def test_a_noise_filter_that_is_not_there(self) -> None:
        """A filter that is switched on and is not there stops the start with a line that says which file is missing,
        and what to do (NF-01)."""
        for engine, file in (("dtln", "dtln-1.onnx"), ("deepfilternet", "libdeepfilter.so")):
            code, _, err = self.noise_filter(engine, Path(self.mktemp()))
            self.assertEqual((code, len(err.splitlines())), (1, 1), err)
            self.assertIn("waav: noise_filter.enabled: ", err)
            self.assertIn(f"{file} is not there; run waav init", err)

    def test_a_noise_filter_that_is_damaged(self) -> None:
        """So does one of which any file is not the pinned one (NF-01)."""
        there = fetch.folder(None, None)
        for artefact in (fetch.DTLN, fetch.deepfilternet()):
            fetch.fetch(artefact, there)
            for damaged in artefact.files:
                folder = Path(self.mktemp())
                folder.mkdir()
                for file in artefact.files:
                    (folder / file.name).symlink_to(there / file.name)
                (folder / damaged.name).unlink()
                (folder / damaged.name).write_bytes(b"x")
                code, _, err = self.noise_filter(artefact.name, folder)
                self.assertEqual(code, 1)
                self.assertIn(f"{damaged.name} is damaged", err)

    def test_a_noise_filter_that_is_not_wanted(self) -> None:
        """Without the filter nobody looks for its files (NF-01)."""
        path = Path(self.mktemp())
        path.write_text(f"models: {{path: {self.mktemp()}}}")
        self.assertFalse(self.parse("-c", str(path)).loaded.config.noise_filter.enabled)

    def test_a_required_model_that_works(self) -> None:
        """With a required turn model that can be loaded the gateway starts."""
        (file,) = fetch.SMART_TURN.files
        folder = fetch.folder(None, None)
        fetch.fetch(fetch.SMART_TURN, folder)
        path = Path(self.mktemp())
        path.write_text(
            f"models: {{path: {folder}}}\nturn_detection: {{enabled: true, required: true}}"
        )
        options = self.parse("-c", str(path))
        self.assertTrue(options.loaded.config.turn_detection.required)
        self.assertTrue((folder / file.name).exists())


class ClockTests(SynchronousTestCase):
    def test_nobody_sets_the_gateways_clock(self) -> None:
        """However it is started, the gateway's reactor does not notice when the system clock is set (VM-06)."""
        from twisted.plugins.waav_plugin import waav as plugin

        wall = [time.time()]
        self.patch(ReactorBase, "seconds", staticmethod(lambda: wall[0]))
        stepped = Ticking()
        self.patch(internet, "reactor", stepped)
        options = Options()
        options.parseOptions([f"--env-file={self.mktemp()}"])
        fired: list[str] = []
        self.addCleanup(signal.signal, signal.SIGHUP, signal.getsignal(signal.SIGHUP))
        self.addCleanup(sys.setswitchinterval, sys.getswitchinterval())
        gateway = plugin.makeService(options)
        stepped.callLater(60, fired.append, "late")
        before = stepped.seconds()
        for step_s in (3600, -7200):
            wall[0] += step_s
            stepped.runUntilCurrent()
            self.assertLess(stepped.seconds() - before, 10)
        self.assertEqual(fired, [])
        self.assertIsInstance(gateway, Gateway)


class AnnounceTests(SynchronousTestCase):
    def test_providers_by_name(self) -> None:
        """The log says which providers can be used and which setting others lack, without a value (CFG-05)."""
        out = io.StringIO()
        observer = LineObserver(out)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        announce(loaded(self, DEEPGRAM_API_KEY="topsecret"), Registry.discover())
        text = out.getvalue()
        self.assertIn("providers that can be used: deepgram, local", text)
        self.assertIn("provider openai lacks credentials: providers.openai.api_key", text)
        self.assertNotIn("topsecret", text)


class OpenTests(SynchronousTestCase):
    """Who can reach a gateway that asks nobody who he is."""

    def test_all_addresses(self) -> None:
        """One warning names the address and the two settings that change it."""
        for settings in (
            ServerSettings(),
            ServerSettings(host="::"),
            ServerSettings(host="192.0.2.7"),
            ServerSettings(listen=("tcp:8080",)),
            ServerSettings(listen=("tcp:8080:interface=192.0.2.7",)),
            ServerSettings(listen=("unix:/run/w.sock", "ssl:443:privateKey=k.pem")),
        ):
            warning = open_to_all(settings)
            assert warning is not None, settings
            self.assertIn("server.host: 127.0.0.1", warning)
            self.assertIn("server.listen: [unix:", warning)
            self.assertNotIn("\n", warning)

    def test_this_machine_only(self) -> None:
        """Nothing is said of addresses that only this machine has, and of sockets that somebody handed over."""
        for settings in (
            ServerSettings(host="127.0.0.1"),
            ServerSettings(host="::1"),
            ServerSettings(host="localhost"),
            ServerSettings(listen=("tcp:8080:interface=127.0.0.1", "tcp6:8080:interface=\\:\\:1")),
            ServerSettings(listen=("tcp:8080:interface=localhost", "unix:/run/w.sock")),
            ServerSettings(listen=("systemd:domain=INET:index=0",)),
        ):
            self.assertIsNone(open_to_all(settings), settings)

    def test_it_is_logged_once(self) -> None:
        """The warning is a line of the log at start."""
        out = io.StringIO()
        observer = LineObserver(out)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        announce(loaded(self), Registry.discover())
        lines = [line for line in out.getvalue().splitlines() if "no authentication" in line]
        self.assertEqual(len(lines), 1)
        self.assertIn("warn", lines[0])
        announce(loaded(self, HOST="127.0.0.1"), Registry.discover())
        self.assertEqual(out.getvalue().count("no authentication"), 1)


class Workers:
    """Loads nothing; tells which models it was asked for."""

    def __init__(self, error: WaavError | None = None, *, is_slow: bool = False) -> None:
        self.loaded: list[str] = []
        self.error = error
        self.is_slow = is_slow

    def load(self, local: Local) -> Deferred[None]:
        self.loaded.append(local.model)
        if self.is_slow:
            return Deferred()
        return succeed(None) if self.error is None else fail(self.error)


class Vendors:
    """A dialler that remembers what it is to keep warm."""

    def __init__(self) -> None:
        self.warm: list[str] = []

    def keep_warm(self, openings: Iterable[Opening]) -> None:
        self.warm += [opening.url for opening in openings]

    def stop(self) -> Deferred[None]:
        return succeed(None)


class WarmUpTests(SynchronousTestCase):
    def warmed(self, text: str = "", **env: str) -> list[str]:
        """What is kept warm with this configuration."""
        registry = Registry.discover()
        clock, vendors = Clock(), Vendors()
        account = accounts(loaded(self, text, **env).config, registry)
        service = Outside(vendors, World(clock, registry, vendors, account))  # type: ignore[arg-type]
        service.startService()
        self.assertEqual(vendors.warm, [])  # the start waits for nobody
        clock.advance(0)
        self.successResultOf(service.stopService())
        return vendors.warm

    def test_those_with_credentials(self) -> None:
        """Vendors whose keys are configured are warmed up where their requests will go; others, and local voices, are not. (F-183, F-268, F-270, S-REQ-05)"""
        self.assertEqual(self.warmed(), [])
        self.assertEqual(
            [url for url in self.warmed(DEEPGRAM_API_KEY="k") if url.startswith("http")],
            ["https://api.deepgram.com"],
        )
        own = "providers: {openai: {api_key: k, endpoint: 'http://127.0.0.1:9/own'}}"
        self.assertEqual(set(self.warmed(own)), {"http://127.0.0.1:9/own"})

    def test_a_provider_that_cannot_begin(self) -> None:
        """A key that cannot be used keeps neither the gateway nor other vendors from starting; who looks finds why. (S-REQ-05)"""
        keys = {"DEEPGRAM_API_KEY": "not a key", "OPENAI_API_KEY": "k"}
        events: list[LogEvent] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        self.assertEqual(set(self.warmed(**keys)), {"https://api.openai.com"})
        self.assertEqual([one["log_level"].name for one in events], ["debug"])

    def test_a_stop_before_it_has_begun(self) -> None:
        """A gateway that is stopped at once opens nothing."""
        registry, clock, vendors = Registry.discover(), Clock(), Vendors()
        world = World(
            clock, registry, vendors, accounts(loaded(self, DEEPGRAM_API_KEY="k").config, registry)
        )  # type: ignore[arg-type]
        service = Outside(vendors, world)  # type: ignore[arg-type]
        service.startService()
        self.successResultOf(service.stopService())
        self.assertEqual((clock.getDelayedCalls(), vendors.warm), ([], []))


class PreloadTests(SynchronousTestCase):
    def preloaded(self, workers: Workers, **settings: Any) -> str:
        """The log of a start."""
        out = io.StringIO()
        observer = LineObserver(out)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        registry = Registry.discover()
        world = World(
            Clock(),
            registry,
            Dialler(Clock(), LinkSettings()),
            lambda provider, key: Account(),
            **settings,
        )
        self.states = world.optional_models
        self.unready = world.unready_models
        service = Models(workers, world, SpeechDefaults())  # type: ignore[arg-type]
        service.startService()
        self.successResultOf(service.stopService())
        return out.getvalue()

    def test_what_is_switched_on_is_loaded_at_start(self) -> None:
        """The first call waits for no model: those of the default providers and the optional ones that are on are loaded."""
        workers = Workers()
        self.preloaded(workers)
        usual = workers.loaded
        self.assertEqual(len(usual), 2)
        workers = Workers()
        self.preloaded(workers, turn=TurnSettings(enabled=True), noise=NoiseSettings(enabled=True))
        self.assertEqual(workers.loaded, [*usual, "smart-turn", "noise-dtln"])

    def test_a_slow_model_does_not_hold_up_the_start(self) -> None:
        """The gateway starts, and stops again, however long a model takes to load (F-118)."""
        workers = Workers(is_slow=True)
        self.preloaded(workers, turn=TurnSettings(enabled=True))
        self.assertIn("smart-turn", workers.loaded)

    def test_an_optional_model_that_is_not_there(self) -> None:
        """The log says which file is not there, what to do, and that calls go on."""
        log = self.preloaded(Workers(ModelMissing("/x.onnx is not there; run waav init")))
        self.assertIn(
            "warn  waav.service.parts.Models: model moonshine-tiny-en: /x.onnx is not there; run waav init; until then",
            log,
        )
        self.assertNotIn("Traceback", log)

    def test_timer_mode_says_why(self) -> None:
        """Log and status say that timers end the turns, and why; a status that anybody may read names no path. (TURN-02)"""
        self.preloaded(Workers())
        self.assertEqual(self.unready, {})
        self.assertEqual(self.states["turn_detection"], "off: timers end the turns")
        on = TurnSettings(enabled=True)
        self.preloaded(Workers(is_slow=True), turn=on)
        self.assertEqual(self.unready["smart-turn"], "loading")
        self.assertEqual(self.states["turn_detection"], "loading: until then timers end the turns")
        self.preloaded(Workers(), turn=on)
        self.assertEqual(self.states["turn_detection"], "ready")
        log = self.preloaded(Workers(ModelMissing("/x.onnx is not there; run waav init")), turn=on)
        self.assertIn("/x.onnx is not there; run waav init; until then timers end the turns", log)
        self.assertEqual(
            self.states["turn_detection"],
            "missing: timers end the turns; waav init fetches the model",
        )
        log = self.preloaded(Workers(ConfigError("not an ONNX model")), turn=on)
        self.assertEqual(self.unready["moonshine-tiny-en"], "broken")
        self.assertNotIn("smart-turn", self.unready)
        self.assertIn("not an ONNX model; timers end the turns", log)
        self.assertIn("broken: timers end the turns", self.states["turn_detection"])


class EndpointTests(SynchronousTestCase):
    def test_addresses(self) -> None:
        """Names, IPv4 and IPv6 are listened on with the configured backlog (F-005, F-040)."""
        for host, shown, is_v6 in (
            ("localhost", "http://127.0.0.1:4000", False),
            ("0.0.0.0", "http://0.0.0.0:4000", False),
            ("[::1]", "http://[::1]:4000", True),
        ):
            memory = MemoryReactorClock()
            settings = ServerSettings(host=host, port=4000, backlog=7)
            ((endpoint, where),) = endpoints(memory, settings)
            self.assertEqual(where, shown)
            endpoint.listen(None)
            port, _, backlog, interface = memory.tcpServers[0]
            self.assertEqual((port, backlog, ":" in interface), (4000, 7, is_v6))

    def test_endpoint_strings(self) -> None:
        """Listen strings replace host and port."""
        memory = MemoryReactorClock()
        settings = ServerSettings(listen=("tcp:5000:interface=127.0.0.1", "unix:/tmp/waav.sock"))
        for endpoint, _ in endpoints(memory, settings):
            endpoint.listen(None)
        self.assertEqual(memory.tcpServers[0][0], 5000)
        self.assertEqual(len(memory.unixServers), 1)


class GatewayCase(TestCase):
    """A whole gateway on the loopback interface."""

    def start(self, text: str = "") -> Any:
        head = "server: {host: 127.0.0.1, port: 0}\n" if "server:" not in text else ""
        config = loaded(self, head + text)
        gateway = build(reactor, config, Registry.discover())
        self.patch(Models, "openings", lambda self: iter(()))
        gateway.privilegedStartService()
        gateway.startService()
        self.addCleanup(gateway.stopService)
        return gateway

    def listener(self, gateway: Any) -> Listener:
        (found,) = (one for one in gateway if isinstance(one, Listener))
        return found

    def port(self, gateway: Any) -> int:
        port: Any = self.listener(gateway).port
        return int(port.getHost().port)


class StartTests(GatewayCase):
    async def test_it_answers(self) -> None:
        """The gateway of a default configuration answers on its port (F-036, F-042)."""
        gateway = self.start()
        answer = await deferToThread(get, self.port(gateway))
        self.assertTrue(answer.startswith(b"HTTP/1.1 200"), answer)

    async def test_small_frames_do_not_wait(self) -> None:
        """Accepted sockets have no-delay set (F-040)."""
        gateway = self.start()
        port: Any = self.listener(gateway).port
        option = port.socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
        self.assertTrue(option)
        accepted: list[int] = []
        original = port.factory.buildProtocol

        def build_protocol(address: Any) -> Any:
            protocol = original(address)
            made = protocol.makeConnection

            def connected(transport: Any) -> None:
                accepted.append(transport.getTcpNoDelay())
                made(transport)

            protocol.makeConnection = connected
            return protocol

        self.patch(port.factory, "buildProtocol", build_protocol)
        await deferToThread(get, self.port(gateway))
        self.assertEqual(len(accepted), 1)
        self.assertTrue(accepted[0])

    async def test_a_port_that_is_taken(self) -> None:
        """A taken port is one line and exit code 3, no traceback."""
        gateway = self.start()
        config = loaded(self, f"server: {{host: 127.0.0.1, port: {self.port(gateway)}}}")
        err = io.StringIO()
        self.patch(__import__("sys"), "__stderr__", err)
        other = build(reactor, config, Registry.discover())
        error = self.assertRaises(SystemExit, other.privilegedStartService)
        self.assertEqual(error.code, 3)
        self.assertEqual(len(err.getvalue().splitlines()), 1)
        self.assertIn("Address already in use", err.getvalue())

    async def test_it_stops_listening(self) -> None:
        """After a stop the port is free again."""
        gateway = self.start()
        number = self.port(gateway)
        await gateway.stopService()
        with socket.socket() as probe:
            self.assertNotEqual(probe.connect_ex(("127.0.0.1", number)), 0)


class SecretTests(GatewayCase):
    async def test_no_secret_reaches_the_log(self) -> None:
        """Secrets in queries and headers are in no log line, at any level (SRV-05)."""
        out = io.StringIO()
        observer = LineObserver(out, LogSettings(level="debug"))
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        gateway = self.start("providers: {deepgram: {api_key: topsecret}}\nlinks: {warmup: off}")
        port = self.port(gateway)
        for path in (
            "/?token=topsecret",
            "/ws?token=topsecret",
            "/voices?key=topsecret&provider=local",
        ):
            await deferToThread(get, port, path, "Authorization: Bearer topsecret\r\n")
            await deferToThread(get, port, path, "X-Provider-Api-Key: topsecret\r\n")
        self.assertIn("GET /voices", out.getvalue())
        self.assertNotIn("topsecret", out.getvalue())


def get(port: int, path: str = "/", headers: str = "") -> bytes:
    """The answer to a GET, in a thread."""
    with socket.create_connection(("127.0.0.1", port), 5) as connection:
        head = f"GET {path} HTTP/1.1\r\nHost: x\r\n{headers}Connection: close\r\n\r\n"
        connection.sendall(head.encode())
        return b"".join(iter(lambda: connection.recv(4096), b""))


def handshake(port: int, trust: Path, version: ssl.TLSVersion | None = None) -> tuple[bytes, bytes]:
    """An HTTPS GET: the answer and the certificate that was shown, in a thread."""
    context = ssl.create_default_context(cafile=str(trust))
    if version is not None:
        context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        context.maximum_version = version
    with (
        socket.create_connection(("127.0.0.1", port), 5) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secure,
    ):
        secure.sendall(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        answer = b"".join(iter(lambda: secure.recv(4096), b""))
        return answer, secure.getpeercert(binary_form=True) or b""


class SignalTests(SynchronousTestCase):
    def test_a_hangup_ends_nothing(self) -> None:
        """Without TLS, SIGHUP leaves the gateway running and says that there is nothing to read again (S-CFG-19)."""
        self.addCleanup(signal.signal, signal.SIGHUP, signal.getsignal(signal.SIGHUP))
        self.addCleanup(sys.setswitchinterval, sys.getswitchinterval())
        waiting = Ticking()
        self.patch(internet, "reactor", waiting)
        options = Options()
        options.parseOptions([f"--env-file={self.mktemp()}"])
        makeService(options)
        said: list[str] = []

        def note(event: Any) -> None:
            said.append(formatEvent(event))

        globalLogPublisher.addObserver(note)
        self.addCleanup(globalLogPublisher.removeObserver, note)
        os.kill(os.getpid(), signal.SIGHUP)
        waiting.runUntilCurrent()
        self.assertIn("nothing to read again", " ".join(said))


class TLSTests(GatewayCase):
    def tls(self) -> tuple[Any, Path, Path]:
        cert, key = write_pair(Path(self.mktemp()))
        gateway = self.start(
            "server: {host: 127.0.0.1, port: 0, tls: {enabled: true, "
            f"cert_path: {cert}, key_path: {key}}}}}"
        )
        self.addCleanup(signal.signal, signal.SIGHUP, signal.SIG_DFL)
        return gateway, cert, key

    async def test_https(self) -> None:
        """With a certificate the same port speaks HTTPS (F-006, F-052)."""
        gateway, cert, _ = self.tls()
        answer, _ = await deferToThread(handshake, self.port(gateway), cert)
        self.assertTrue(answer.startswith(b"HTTP/1.1 200"), answer)

    async def test_wss(self) -> None:
        """A caller speaks to /ws over TLS on the same port, with a certificate he can check: config, ready, goodbye (F-006)."""
        gateway, cert, _ = self.tls()
        trust = Trusted.loadPEM(cert.read_bytes())
        opened: Deferred[ClientCall] = Deferred()
        said: list[Any] = []
        ready: Deferred[None] = Deferred()

        def told(message: Any) -> None:
            said.append(message)
            ready.callback(None)

        factory: Any = WebSocketClientFactory(f"wss://localhost:{self.port(gateway)}/ws")
        factory.protocol = lambda: ClientCall(told, opened)
        plain = HostnameEndpoint(reactor, "127.0.0.1", self.port(gateway))
        await wrapClientTLS(optionsForClientTLS("localhost", trust), plain).connect(factory)
        caller = await opened
        caller.tell({"type": "config", "audio": False})
        await ready
        self.assertEqual(said[0]["type"], "ready")
        self.assertIn("1000", await caller.hang_up())

    async def test_old_versions_are_refused(self) -> None:
        """TLS 1.1 gets no connection (S-CFG-19)."""
        gateway, cert, _ = self.tls()
        try:
            await deferToThread(handshake, self.port(gateway), cert, ssl.TLSVersion.TLSv1_1)
        except (ssl.SSLError, OSError):
            return
        self.fail("TLS 1.1 was accepted")

    async def test_a_new_certificate(self) -> None:
        """After SIGHUP new connections get the certificate that the files hold now (S-CFG-19)."""
        gateway, cert, key = self.tls()
        _, before = await deferToThread(handshake, self.port(gateway), cert)
        other_cert, other_key = write_pair(Path(self.mktemp()))
        cert.write_bytes(other_cert.read_bytes())
        key.write_bytes(other_key.read_bytes())
        os.kill(os.getpid(), signal.SIGHUP)
        await deferLater(reactor, 0)
        await deferLater(reactor, 0)
        _, after = await deferToThread(handshake, self.port(gateway), cert)
        self.assertNotEqual(before, after)

    async def test_a_broken_certificate(self) -> None:
        """A certificate that cannot be read at SIGHUP leaves the old one in place (S-CFG-19)."""
        gateway, cert, _ = self.tls()
        trust = Path(self.mktemp())
        trust.write_bytes(cert.read_bytes())
        cert.write_text("broken")
        os.kill(os.getpid(), signal.SIGHUP)
        await deferLater(reactor, 0)
        await deferLater(reactor, 0)
        answer, _ = await deferToThread(handshake, self.port(gateway), trust)
        self.assertTrue(answer.startswith(b"HTTP/1.1 200"))
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_settings(self) -> None:
        """TLS is off unless it is switched on (F-006)."""
        self.assertFalse(TLSSettings().enabled)
