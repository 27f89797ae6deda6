"""A caller for benchmarks and checks: one /ws call, everything it gets with the time it came."""

import json
import time
from typing import Any

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint


class Caller(WebSocketClientProtocol):
    """``events`` holds (seconds, message or bytes); ``until`` waits for one that fits."""

    tcpNoDelay = True

    def __init__(self) -> None:
        super().__init__()
        self.events: list[tuple[float, Any]] = []
        self.waiting: list[tuple[Any, Deferred[Any]]] = []
        self.closed: Deferred[tuple[int | None, str | None]] = Deferred()

    def onOpen(self) -> None:
        self.factory.opened.callback(self)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        event = (time.monotonic(), payload if isBinary else json.loads(payload))
        self.events.append(event)
        for fits, waiter in list(self.waiting):
            if fits(event[1]):
                self.waiting.remove((fits, waiter))
                waiter.callback(event)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        if not self.factory.opened.called:
            self.factory.opened.errback(RuntimeError(f"refused: {reason}"))
        self.closed.callback((code, reason))

    def send(self, message: dict[str, Any]) -> float:
        """Send a JSON message; returns when."""
        now = time.monotonic()
        self.sendMessage(json.dumps(message).encode())
        return now

    def hear(self, pcm: bytes) -> None:
        """Send audio."""
        self.sendMessage(pcm, isBinary=True)

    def until(self, fits: Any) -> Deferred[tuple[float, Any]]:
        """The next event (time, message) for which ``fits(message)``; messages are dicts, audio is bytes."""
        waiter: Deferred[Any] = Deferred()
        self.waiting.append((fits, waiter))
        return waiter

    def of_type(self, kind: str) -> Deferred[tuple[float, Any]]:
        """The next JSON message of that type."""
        return self.until(lambda event: isinstance(event, dict) and event["type"] == kind)


async def call(reactor: Any, port: int, **config: Any) -> Caller:
    """A call that is ready. ``config``: fields of the config message; by default both halves are local."""
    factory = WebSocketClientFactory(f"ws://127.0.0.1:{port}/ws")
    factory.protocol = Caller
    factory.opened = Deferred()
    await HostnameEndpoint(reactor, "127.0.0.1", port).connect(factory)
    caller: Caller = await factory.opened
    message = {
        "type": "config",
        "stt_config": {"provider": "local"},
        "tts_config": {"provider": "local"},
    } | config
    ready = caller.until(
        lambda event: isinstance(event, dict) and event["type"] in ("ready", "error")
    )
    caller.send({key: value for key, value in message.items() if value is not None})
    answer = (await ready)[1]
    if answer["type"] != "ready":
        raise RuntimeError(answer["message"])
    return caller
