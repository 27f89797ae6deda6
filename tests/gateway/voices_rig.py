"""A caller without a network, and a call that only notes what it was told."""

import json
import struct
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, cast

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure

from waav.errors import MissingCredentials
from waav.gateway.admission.live import LiveConnections
from waav.gateway.admission.slots import Slot
from waav.gateway.settings import WebSocketSettings
from waav.gateway.voice.ws import VoiceFactory
from waav.registry import Registry
from waav.secret import Secret
from waav.session.call_settings import CallSettings
from waav.session.outlet import Outlet
from waav.session.world import World
from waav.speech.provider import Account, Provider

STT = {
    "provider": "acme",
    "language": "en-US",
    "sample_rate": 16000,
    "channels": 1,
    "punctuation": True,
    "encoding": "linear16",
    "model": "nova-3",
}
TTS = {"provider": "acme", "model": "aura-asteria-en"}
CONFIG = {"type": "config", "stt_config": STT, "tts_config": TTS}
SERVER_KEY = Secret("server-key")


def _never(*_: Any) -> Any:
    raise AssertionError("no dialogue is opened here")


PROVIDERS = (
    Provider("acme", aliases=("acme-speech",), listen=_never, speak=_never),
    Provider("keyless", title="Keyless", listen=_never, speak=_never),
    Provider("ears", listen=_never),
    Provider("mouth", speak=_never, compressed=("opus", "mp3")),
)


def account(provider: Provider, key: Secret | None) -> Account:
    """The server has a key for every provider but one."""
    if key is None and provider.name == "keyless":
        raise MissingCredentials("Keyless API key not configured in server environment")
    return Account(key or SERVER_KEY, is_callers_own=key is not None)


def world(clock: Clock) -> World:
    """What calls share, without anything to dial with."""
    return World(clock, Registry(PROVIDERS), cast(Any, None), account)


class FakeCall:
    """Notes what a caller's connection tells it."""

    def __init__(self, world: World, outlet: Outlet) -> None:
        self.outlet = outlet
        self.told: list[tuple[Any, ...]] = []
        self.state = "connected"
        self.holds_config = False
        self.holds_hang_up = False
        self.raises: Exception | None = None
        self.configuring: Deferred[None] | None = None
        self.hanging_up: Deferred[None] = Deferred()

    @property
    def settings(self) -> CallSettings:
        """Of the last configure."""
        return cast(CallSettings, [each[1] for each in self.told if each[0] == "configure"][-1])

    def configure(self, settings: CallSettings) -> Deferred[None]:
        self.told.append(("configure", settings))
        self.state = "configuring"
        self.configuring = Deferred(lambda _: self.told.append(("cancelled",)))
        if not self.holds_config:
            self.configured()
        return self.configuring

    def configured(self, failure: Exception | None = None, state: str = "connected") -> None:
        """The config that is being carried out comes to its end."""
        assert self.configuring is not None
        self.state = "ready" if failure is None else state
        if failure is None:
            self.configuring.callback(None)
        else:
            self.configuring.errback(failure)

    @property
    def ear(self) -> Any:
        return lambda data: self.hear(data)

    def hear(self, data: bytes) -> None:
        if self.raises is not None:
            raise self.raises
        self.told.append(("hear", data))

    def say(self, text: str, *, flush: bool = True, allow_interruption: bool = True) -> None:
        self.told.append(("say", text, flush, allow_interruption))

    def clear(self) -> None:
        self.told.append(("clear",))

    def flush(self) -> None:
        self.told.append(("flush",))

    def turn_threshold(self, threshold: float) -> None:
        if self.raises is not None:
            raise self.raises
        self.told.append(("turn_threshold", threshold))

    def pause(self) -> None:
        self.told.append(("pause",))

    def resume(self) -> None:
        self.told.append(("resume",))

    def hang_up(self) -> Deferred[None]:
        self.told.append(("hang_up",))
        if not self.holds_hang_up:
            self.hanging_up.callback(None)
        return self.hanging_up


@dataclass
class Desk:
    """A gateway's ``/ws`` in memory."""

    clock: Clock = field(default_factory=Clock)
    settings: WebSocketSettings = WebSocketSettings()
    calls: LiveConnections = field(init=False)
    factory: VoiceFactory = field(init=False)
    opened: list[FakeCall] = field(default_factory=list)
    seed: int = 1

    def __post_init__(self) -> None:
        self.calls = LiveConnections(self.clock)

        def open_call(world: World, outlet: Outlet) -> FakeCall:
            self.opened.append(FakeCall(world, outlet))
            return self.opened[-1]

        self.factory = VoiceFactory(
            world(self.clock),
            self.settings,
            self.calls,
            Random(self.seed),
            open_call=open_call,
            now_ms=lambda: 1_700_000_000_000,
        )

    def visit(self, **options: Any) -> "Visitor":
        """A new connection, upgraded."""
        return Visitor(self, **options)

    def configured(self, config: dict[str, Any] | None = None) -> "Visitor":
        """A new connection whose config is in force; the ready message is read already."""
        visitor = self.visit()
        visitor.send(CONFIG if config is None else config)
        if visitor.messages()[-1]["type"] != "ready":
            raise AssertionError("not ready")
        return visitor


def desk(**changes: Any) -> Desk:
    """A ``Desk`` with some settings changed."""
    return Desk(settings=replace(WebSocketSettings(), **changes))


class Wire(StringTransport):
    """Notes whether small writes leave at once."""

    no_delay = False

    def setTcpNoDelay(self, enabled: bool) -> None:
        self.no_delay = enabled


class Visitor:
    """The client's side of one connection: sends masked frames, reads what came back."""

    def __init__(
        self,
        desk: Desk,
        headers: str = "",
        slot: Slot | None = None,
        key: str = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n",
    ) -> None:
        protocol = desk.factory.buildProtocol(IPv4Address("TCP", "192.0.2.1", 4711))
        assert protocol is not None
        self.protocol = protocol
        protocol.slot = slot
        self.desk = desk
        self.transport = Wire(lenient=True)
        protocol.makeConnection(self.transport)
        protocol.dataReceived(
            (
                "GET /ws HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                f"Connection: Upgrade\r\n{key}Sec-WebSocket-Version: 13\r\n{headers}\r\n"
            ).encode()
        )
        answer = self.transport.value()
        self.transport.clear()
        head, _, self._rest = answer.partition(b"\r\n\r\n")
        self.head = head.decode()
        self.call = desk.opened[-1] if desk.opened else None

    def send(self, message: dict[str, Any] | str | bytes) -> None:
        """One message: bytes are binary, everything else is text."""
        if isinstance(message, bytes):
            return self.frame(2, message)
        return self.frame(
            1, (message if isinstance(message, str) else json.dumps(message)).encode()
        )

    def frame(self, opcode: int, payload: bytes = b"") -> None:
        """One masked frame."""
        size = len(payload)
        if size < 126:
            head = struct.pack("!BB", 0x80 | opcode, 0x80 | size)
        elif size < 65536:
            head = struct.pack("!BBH", 0x80 | opcode, 0xFE, size)
        else:
            head = struct.pack("!BBQ", 0x80 | opcode, 0xFF, size)
        # A mask of zeros is a mask, and leaves the payload readable.
        self.protocol.dataReceived(head + bytes(4) + payload)

    def frames(self) -> list[tuple[int, bytes]]:
        """Opcode and payload of everything that came since the last look."""
        data = self._rest + self.transport.value()
        self.transport.clear()
        found = []
        while len(data) >= 2:
            size, at = data[1] & 0x7F, 2
            if size == 126:
                (size,), at = struct.unpack_from("!H", data, 2), 4
            elif size == 127:
                (size,), at = struct.unpack_from("!Q", data, 2), 10
            if len(data) < at + size:
                break
            found.append((data[0] & 0x0F, data[at : at + size]))
            data = data[at + size :]
        self._rest = data
        return found

    def messages(self) -> list[Any]:
        """Since the last look: text as decoded JSON, binary as bytes, a close frame as its code."""
        read: list[Any] = []
        for opcode, payload in self.frames():
            if opcode == 1:
                read.append(json.loads(payload))
            elif opcode == 2:
                read.append(payload)
            elif opcode == 8:
                read.append(struct.unpack("!H", payload[:2])[0] if payload else None)
        return read

    def ask(self, message: dict[str, Any] | str | bytes) -> Any:
        """Send something that has exactly one answer."""
        self.send(message)
        (answer,) = self.messages()
        return answer

    @property
    def is_read(self) -> bool:
        """Whether the gateway reads from this connection."""
        return self.transport.producerState == "producing"

    def leave(self) -> None:
        """The network connection breaks."""

        self.protocol.connectionLost(Failure(ConnectionLost()))
