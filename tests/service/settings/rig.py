"""A whole gateway from the text of a YAML file: real sockets on the loopback interface, time that a test lets pass."""

import json
import re
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Protocol, connectionDone
from twisted.internet.task import Clock, deferLater
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from zope.interface import directlyProvides, providedBy

from tests.gateway import web
from tests.gateway.client import Client, connect
from tests.service.settings.vendor import Vendor
from tests.waiting import until
from waav.config.load import load
from waav.registry import Registry
from waav.service.build import build
from waav.service.parts import Gateway, Listener, Sessions
from waav.service.share import WorkerShare

T = TypeVar("T")
Share = Callable[[Any], WorkerShare]

_real: Any = reactor

UPGRADE = {
    "connection": "Upgrade",
    "upgrade": "websocket",
    "sec_websocket_version": "13",
    "sec_websocket_key": "dGhlIHNhbXBsZSBub25jZQ==",
}


class PacedReactor:
    """The reactor, its sockets and threads, with a clock that only a test moves on.

    Attributes:
        clock: what the gateway takes for the time.
        spawned: the command lines of processes that were started.
    """

    def __init__(self) -> None:
        self.clock = Clock()
        self.seconds = self.clock.seconds
        self.callLater = self.clock.callLater
        self.getDelayedCalls = self.clock.getDelayedCalls
        self.spawned: list[list[str]] = []
        directlyProvides(self, providedBy(reactor))

    def __getattr__(self, name: str) -> Any:
        return getattr(reactor, name)

    def spawnProcess(
        self, protocol: Any, executable: str, arguments: list[str], **named: Any
    ) -> Any:
        """Start a process."""
        self.spawned.append(arguments)
        return _real.spawnProcess(protocol, executable, arguments, **named)


async def next_turn() -> None:
    """The network gets its turn."""
    await deferLater(_real, 0)


class Exchange(Protocol):
    """One request on a connection of its own, and what has been answered so far."""

    def __init__(self, request: bytes) -> None:
        self._request = request
        self.data = b""
        self.is_over = False

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(self._request)

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.is_over = True

    def hang_up(self) -> None:
        """Break the connection."""
        transport: Any = self.transport
        transport.abortConnection()

    @property
    def answer(self) -> web.Answer:
        """What has come of it; status 0 while there is nothing to read."""
        return web.parse(self.data if b"\r\n\r\n" in self.data else b"", "GET")


class MemoryCaller:
    """A caller on ``/ws`` without a network: the gateway sees at once what he says and whether he reads."""

    def __init__(self, site: Any) -> None:
        self._client = web.Client(site, "127.0.0.1")
        self.transport = self._client.transport
        headers = {name.replace("_", "-"): value for name, value in UPGRADE.items()}
        self.answer = self._client.request("GET", "/ws", headers)

    def say(self, message: dict[str, Any] | str | bytes) -> None:
        """Send a message of up to 64 KiB."""
        opcode = 2 if isinstance(message, bytes) else 1
        if isinstance(message, dict):
            message = json.dumps(message)
        data = message if isinstance(message, bytes) else message.encode()
        if len(data) < 126:
            head = struct.pack("!BB", 0x80 | opcode, 0x80 | len(data))
        else:
            head = struct.pack("!BBH", 0x80 | opcode, 0x80 | 126, len(data))
        # A mask of zeros is a mask.
        self._client.send(head + bytes(4) + data)

    def is_full(self) -> None:
        """From now on he reads nothing, and the buffers between are full."""
        producer: Any = self.transport.producer
        producer.pauseProducing()

    @property
    def is_read(self) -> bool:
        """Whether the gateway reads what he sends."""
        return self.transport.producerState == "producing"


class Running:
    """A gateway that has been started.

    Args:
        text: its configuration.
        folder: where that is written down.
        share: makes what it has in common with others, if it is a worker.
    """

    def __init__(
        self, text: str, registry: Registry, folder: Path, share: Share | None = None
    ) -> None:
        self.reactor = PacedReactor()
        self.clock = self.reactor.clock
        path = folder / "waav.yaml"
        path.write_text(text)
        loaded = load(registry, path)
        self.config = loaded.config
        worker = None if share is None else share(self.reactor)
        self.gateway: Gateway = build(self.reactor, loaded, registry, worker)
        self._clients: list[Client] = []
        self._exchanges: list[Exchange] = []
        self._callers: list[MemoryCaller] = []
        self.gateway.privilegedStartService()
        self.gateway.startService()

    @property
    def port(self) -> int:
        """Where it listens."""
        port: Any = self._port
        return int(port.getHost().port)

    @property
    def _port(self) -> Any:
        return [one for one in self.gateway if isinstance(one, Listener)][-1].port

    # Time.

    async def turn(self) -> None:
        """Whatever is due now is done, and the network gets its turn."""
        self.clock.advance(0)
        await next_turn()

    async def until(
        self, fact: Callable[[], object], what: str = "it did not come to that"
    ) -> None:
        """Wait, while no time passes for the gateway, until something is so."""

        def is_so() -> bool:
            if fact():
                return True
            self.clock.advance(0)
            return False

        await until(is_so, what)

    async def wait(self, waited: Deferred[T]) -> T:
        """The same, for a Deferred."""
        results: list[Any] = []
        waited.addBoth(results.append)
        await self.until(lambda: results)
        if isinstance(results[0], Failure):
            results[0].raiseException()
        result: T = results[0]
        return result

    async def settle(self) -> None:
        """Let whatever is under way on the loopback interface arrive, and what follows from it."""
        for _ in range(30):
            await self.turn()

    async def advance(self, seconds: float, pieces: int = 1) -> None:
        """Let so much time pass for the gateway, and a microsecond more: sums of floats must not fall short."""
        await self.settle()
        for _ in range(pieces):
            self.clock.advance(seconds / pieces + 1e-6)
            await self.settle()

    # Callers.

    async def begin(
        self, method: str, path: str, body: bytes = b"", host: str = "127.0.0.1", **headers: str
    ) -> Exchange:
        """Ask something; do not wait for the answer."""
        lines = [f"{method} {path} HTTP/1.1", "Host: x"]
        for name, value in {"connection": "close", **headers}.items():
            lines.append(f"{name.replace('_', '-')}: {value}")
        if body:
            lines.append(f"Content-Length: {len(body)}")
        exchange = Exchange("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        endpoint = TCP4ClientEndpoint(_real, host, self.port)
        await self.wait(connectProtocol(endpoint, exchange))
        self._exchanges.append(exchange)
        return exchange

    async def end(self, exchange: Exchange) -> web.Answer:
        """The answer to what was asked, or what came of it before the connection broke."""
        await self.until(
            lambda: exchange.is_over or exchange.answer.is_complete, "there is no answer"
        )
        return exchange.answer

    async def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> web.Answer:
        """Ask something and wait for the answer."""
        return await self.end(await self.begin(method, path, body, **headers))

    async def upgrade(self) -> int:
        """Ask for ``/ws``: the status that is answered. Whoever got in stays."""
        exchange = await self.begin("GET", "/ws", **UPGRADE)
        await self.until(lambda: exchange.data)
        return exchange.answer.status

    async def begin_speak(self, text: str, **config: Any) -> Exchange:
        """``POST /speak``, not waiting for the answer."""
        body = {"text": text, "tts_config": {"provider": "deepgram", **config}}
        return await self.begin(
            "POST", "/speak", json.dumps(body).encode(), content_type="application/json"
        )

    async def speak(self, text: str, **config: Any) -> web.Answer:
        """``POST /speak``, with the answer."""
        return await self.end(await self.begin_speak(text, **config))

    async def connect(self) -> Client:
        """A caller on ``/ws`` without a config."""
        client = await self.wait(Deferred.fromCoroutine(connect(self.port)))
        self._clients.append(client)
        return client

    async def call(self, *, listens: bool = True, speaks: bool = False, **config: Any) -> Client:
        """A caller whose config is in force."""
        client = await self.connect()
        client.say(call_config(listens=listens, speaks=speaks, **config))
        message = await self.next(client)
        if message["type"] != "ready":
            raise AssertionError(message)
        return client

    async def next(self, client: Client) -> Any:
        """The caller's next message."""
        return await self.wait(client.next())

    def memory_caller(self) -> MemoryCaller:
        """A caller on ``/ws`` without a network, and without a config."""
        caller = MemoryCaller(self._port.factory)
        self._callers.append(caller)
        return caller

    # The end.

    async def stop(self) -> None:
        """Stop, whatever is live."""
        for client in self._clients:
            if not client.gone.called:
                client.transport.abortConnection()
        for exchange in self._exchanges:
            if not exchange.is_over:
                exchange.hang_up()
        for caller in self._callers:
            if not caller.transport.is_broken:
                caller.transport.abortConnection()
        stopped: list[Any] = []
        stopping: Deferred[None] = self.gateway.stopService()
        stopping.addBoth(stopped.append)
        for service in self.gateway:
            if isinstance(service, Sessions):
                service.end_now()

        def has_stopped() -> bool:
            self.clock.advance(0.1)
            return bool(stopped)

        await self.until(has_stopped, "the gateway does not stop")
        await gatherResults([client.gone for client in self._clients])
        while not all(exchange.is_over for exchange in self._exchanges):
            await next_turn()


def call_config(*, listens: bool = True, speaks: bool = False, **more: Any) -> dict[str, Any]:
    """A config message."""
    config: dict[str, Any] = {"type": "config", **more}
    if listens:
        config["stt_config"] = {
            "provider": "deepgram",
            "encoding": "linear16",
            "sample_rate": 16000,
            "channels": 1,
        }
    if speaks:
        config["tts_config"] = {"provider": "deepgram"}
    return config


class SettingsCase(TestCase):
    """Starts gateways in front of one vendor.

    Attributes:
        vendor: to whom ``deepgram`` leads.
        registry: the providers there are.
        usual: sections that a configuration has if it does not say otherwise.
        share: makes what a gateway has in common with others; None: it is alone.
    """

    share: Share | None = None

    def setUp(self) -> None:
        self.vendor = Vendor(_real)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.vendor.stop()))
        self.registry = Registry.discover()
        self.usual = {
            "server": "{host: 127.0.0.1, port: 0}",
            # Who needs no model is ready at once.
            "audio": "{stt_provider: deepgram, tts_provider: deepgram}",
            "diagnostics": "{stall_ms: 0}",
            "security": "{rate_limit_requests_per_second: 100000}",
            "links": "{warmup: off}",
            "providers": f"{{deepgram: {{api_key: k, endpoint: '{self.vendor.endpoint}'}}}}",
        }
        self.events: list[LogEvent] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)

    def folder(self) -> Path:
        """A new one."""
        folder = Path(self.mktemp()).absolute()
        folder.mkdir(parents=True)
        return folder

    def start(self, text: str = "") -> Running:
        """A gateway with this configuration."""
        for section, body in self.usual.items():
            if re.search(rf"^{section}:", text, re.MULTILINE) is None:
                text = f"{section}: {body}\n{text}"
        running = Running(text, self.registry, self.folder(), self.share)
        self.addCleanup(lambda: Deferred.fromCoroutine(running.stop()))
        return running

    def log(self) -> str:
        """What was logged so far."""
        return "\n".join(formatEvent(event) for event in self.events)
