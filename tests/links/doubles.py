"""Vendors, dialogues and sinks for the tests of the links."""

import json
from collections.abc import Callable
from typing import Any

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.protocol import Protocol
from twisted.internet.task import Clock
from twisted.internet.testing import MemoryReactorClock
from twisted.test import iosim

from waav import errors
from waav.speech import wire
from waav.speech.audio import AudioFormat, AudioFrame

PCM = AudioFormat("linear16", 16000, 1)


class Heard:
    """A sink that remembers."""

    def __init__(self) -> None:
        self.events: list[wire.Event] = []
        self.congestion: list[bool] = []
        self.on_event: Callable[[wire.Event], None] | None = None

    def event(self, event: wire.Event) -> None:
        self.events.append(event)
        if self.on_event is not None:
            self.on_event(event)

    def congested(self, is_full: bool) -> None:
        self.congestion.append(is_full)

    def of(self, kind: type) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def audio(self) -> bytes:
        return b"".join(event.frame.data for event in self.of(wire.Spoken))

    @property
    def finals(self) -> list[str]:
        return [event.text for event in self.of(wire.Transcript) if event.is_final]


class Talk:
    """A vendor's streaming protocol in its simplest form."""

    def __init__(self, opening: wire.Opening, format: AudioFormat = PCM) -> None:
        self.opening = opening
        self.format = format

    def send(self, command: wire.Command) -> list[wire.Outgoing]:
        match command:
            case wire.Audio(data):
                return [data]
            case wire.Speak(text):
                return [json.dumps({"type": "speak", "text": text})]
            case _:
                return [json.dumps({"type": type(command).__name__.lower()})]

    def receive(self, incoming: wire.Incoming) -> list[wire.Event]:
        if isinstance(incoming, bytes):
            return [wire.Spoken(AudioFrame(self.format, incoming))]
        assert isinstance(incoming, str)
        body = json.loads(incoming)
        match body["type"]:
            case "ready":
                return [wire.Ready()]
            case "text":
                return [_transcript(body)]
            case "started":
                return [wire.SpeechStarted(body["at_s"])]
            case "ended":
                return [wire.SpeechEnded(body["at_s"])]
            case "error":
                kind = getattr(errors, body["kind"])
                raise kind("acme", body["message"])
        return []


def _transcript(body: dict[str, Any]) -> wire.Transcript:
    words = tuple(wire.Word(*word) for word in body.get("words", []))
    return wire.Transcript(
        body["text"],
        body.get("final", True),
        confidence=body.get("confidence", 0.0),
        end_s=body.get("end_s"),
        words=words,
    )


class Mute(Talk):
    """A vendor that knows no goodbye."""

    def send(self, command: wire.Command) -> list[wire.Outgoing]:
        return [] if isinstance(command, wire.Finish) else super().send(command)


class Server(WebSocketServerProtocol):  # type: ignore[misc]
    """The vendor's end of one connection."""

    def __init__(self) -> None:
        super().__init__()
        self.heard: list[str | bytes] = []
        self.closed: tuple[Any, ...] | None = None
        self.extensions = ""

    def onConnect(self, request: Any) -> None:
        self.extensions = request.headers.get("sec-websocket-extensions", "")

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.heard.append(payload if isBinary else payload.decode())

    def onClose(self, wasClean: bool, code: Any, reason: Any) -> None:
        self.closed = (wasClean, code)

    def say(self, **body: Any) -> None:
        self.sendMessage(json.dumps(body).encode())

    def close_with(self, code: int, reason: str = "") -> None:
        """With any code; Autobahn's own method allows few."""
        self.sendCloseFrame(code=code, reasonUtf8=reason.encode(), isReply=False)

    @property
    def audio(self) -> bytes:
        return b"".join(one for one in self.heard if isinstance(one, bytes))

    @property
    def types(self) -> list[str]:
        return [json.loads(one)["type"] for one in self.heard if isinstance(one, str)]


class Says(Protocol):
    """A server that answers every connection with the same bytes, when it was asked something."""

    def __init__(self, answer: bytes, hangs_up: bool) -> None:
        self._answer = answer
        self._hangs_up = hangs_up

    def dataReceived(self, data: bytes) -> None:
        self.transport.write(self._answer)  # type: ignore[union-attr]
        if self._hangs_up:
            self.transport.loseConnection()  # type: ignore[union-attr]


class Vendor:
    """A WebSocket vendor in memory, on a clock."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.servers: list[Any] = []
        self.pumps: list[Any] = []
        self.clients: list[Any] = []
        self.asked: list[tuple[Any, ...]] = []
        self.refusals: list[Exception] = []
        self.answer: bytes | None = None
        self.hangs_up = False
        self.is_unreachable = False

    def connect(
        self, factory: Any, host: str, port: int, is_secure: bool, limit: float
    ) -> Deferred[Any]:
        self.asked.append((host, port, is_secure, limit))
        if self.is_unreachable:
            return Deferred()
        if self.refusals:
            return fail(self.refusals.pop(0))
        client = factory.buildProtocol(None)
        server: Any = Says(self.answer, self.hangs_up) if self.answer is not None else Server()
        if self.answer is None:
            server.factory = WebSocketServerFactory("ws://127.0.0.1", reactor=MemoryReactorClock())
            server.factory.setProtocolOptions(openHandshakeTimeout=0, closeHandshakeTimeout=0)
        transport = iosim.FakeTransport(client, isServer=False)
        self.pumps.append(
            iosim.connect(
                server,
                iosim.FakeTransport(server, isServer=True),
                client,
                transport,
                greet=False,  # as with real sockets, nothing is received inside connect
            )
        )
        self.servers.append(server)
        self.clients.append(client)
        return succeed(client)

    def flush(self) -> None:
        for _ in range(3):
            for pump in self.pumps:
                pump.flush()

    def advance(self, seconds: float, step: float = 0.5) -> None:
        """Let time pass, with everything delivered on the way."""
        self.flush()
        while seconds > 1e-9:
            self.clock.advance(min(step, seconds))
            seconds -= step
            self.flush()

    def break_off(self, index: int = -1) -> None:
        """The network fails: neither side says goodbye."""
        self.servers[index].transport.abortConnection()
        self.flush()

    @property
    def server(self) -> Any:
        return self.servers[-1]

    @property
    def client(self) -> Any:
        return self.clients[-1]


class Say:
    """Synthesis over HTTP: each text is one request, the answer is audio."""

    format = PCM

    def __init__(self, url: str, finish_s: float = 5.0, **fields: Any) -> None:
        self.url = url
        self.opening = wire.Opening(url, finish_s=finish_s)
        self.fields = {"cacheable": True, **fields}
        self.is_junk = False

    def send(self, command: wire.Command) -> list[wire.Outgoing]:
        if not isinstance(command, wire.Speak):
            return []
        headers = {"Authorization": "Token k", "Content-Type": "text/plain"}
        return [wire.Request("POST", self.url, headers, command.text.encode(), **self.fields)]

    def receive(self, incoming: wire.Incoming) -> list[wire.Event]:
        match incoming:
            case wire.Body(data):
                if self.is_junk:
                    raise KeyError("audio")
                return [wire.Spoken(AudioFrame(PCM, data))]
            case wire.End():
                return [wire.SpokenAll()]
        return []
