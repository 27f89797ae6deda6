"""The callers' side of ``bench.session``: N clients in one process on uvloop."""

import json
import platform
import time
from typing import Any

import uvloop
from twisted.internet import asyncioreactor

asyncioreactor.install(uvloop.new_event_loop())

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol  # noqa: E402
from twisted.internet import reactor  # noqa: E402
from twisted.internet.defer import Deferred  # noqa: E402
from twisted.internet.endpoints import HostnameEndpoint  # noqa: E402
from twisted.internet.task import deferLater  # noqa: E402

from bench.session import FRAME_BYTES, MARK, PERIOD_S, STAMP, Delays, cpu_s, rss_mb  # noqa: E402

PADDING = bytes(FRAME_BYTES - STAMP.size)


class Caller(WebSocketClientProtocol):
    tcpNoDelay = True

    def onOpen(self) -> None:
        self.number = self.factory.number
        self.load = self.factory.load
        self.sequence = 0
        self.speech = 0
        self.config_at = time.monotonic()
        listen = {"provider": "deepgram", "language": "en-US", "sample_rate": 16000, "channels": 1,
                  "punctuation": True, "encoding": "linear16", "model": "nova-3"}  # fmt: skip
        speak = {
            "provider": "deepgram",
            "model": "aura-2-thalia-en",
            "audio_format": "linear16",
            "sample_rate": 24000,
        }
        self.sendMessage(
            json.dumps({"type": "config", "stt_config": listen, "tts_config": speak}).encode()
        )

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        now = time.monotonic_ns()
        if isBinary:
            mark, stamp, call, sequence = STAMP.unpack_from(payload)
            if mark == MARK:
                self.load.speech.add(stamp, self.number * 1000 + call, sequence, now)
            return
        message = json.loads(payload)
        if message["type"] == "stt_result":
            if message["transcript"].startswith("t"):
                self.load.transcripts.values.append(now - int(message["transcript"].split()[1]))
        elif message["type"] == "ready":
            self.load.ready_ms.append((time.monotonic() - self.config_at) * 1000)
            self.factory.opened.callback(self)
        elif message["type"] == "error":
            self.load.errors.append(message["message"])

    def frame(self) -> None:
        self.sendMessage(
            STAMP.pack(MARK, time.monotonic_ns(), self.number, self.sequence) + PADDING,
            isBinary=True,
        )
        self.sequence += 1
        self.load.frames_sent += 1

    def speak(self) -> None:
        text = f"call {self.number:05d} says number {self.speech:07d}."[:34]
        self.speech += 1
        self.sendMessage(json.dumps({"type": "speak", "text": text}).encode())


class Load:
    def __init__(self, calls: int, seconds: float, speak_every: float, port: int, pid: int) -> None:
        self.calls, self.seconds, self.speak_every, self.port, self.pid = (
            calls,
            seconds,
            speak_every,
            port,
            pid,
        )
        self.speech, self.transcripts = Delays(), Delays()
        self.ready_ms: list[float] = []
        self.errors: list[str] = []
        self.late = 0
        self.frames_sent = 0

    def run(self) -> None:
        done = Deferred.fromCoroutine(self.go())
        done.addErrback(lambda failure: self.errors.append(failure.getTraceback()))
        done.addBoth(lambda _: reactor.stop())
        reactor.run()
        if self.errors:
            print("\n".join(self.errors[:5]))

    async def open(self, number: int) -> Caller:
        factory = WebSocketClientFactory(f"ws://127.0.0.1:{self.port}/ws")
        factory.protocol = Caller
        factory.number, factory.load, factory.opened = number, self, Deferred()
        await HostnameEndpoint(reactor, "127.0.0.1", self.port).connect(factory)
        return await factory.opened

    async def go(self) -> None:
        await deferLater(reactor, 2.0)  # models load in the background
        self.rss_before = rss_mb(self.pid)
        callers = [await self.open(number) for number in range(self.calls)]
        await deferLater(reactor, 0.5)
        self.rss_open = rss_mb(self.pid)
        origin = time.monotonic() + 0.1
        frames = int(self.seconds / PERIOD_S)
        due = [
            (origin + PERIOD_S * index / self.calls, caller) for index, caller in enumerate(callers)
        ]
        self.cpu_before, wall = cpu_s(self.pid), time.monotonic()
        next_speech = {
            caller.number: self.speak_every * (caller.number + 1) / (self.calls + 1)
            for caller in callers
        }
        for number in range(frames):
            for start, caller in due:
                at = start + number * PERIOD_S
                wait = at - time.monotonic()
                if wait > 0.0005:
                    await deferLater(reactor, wait)
                elif wait < -PERIOD_S:
                    self.late += 1
                caller.frame()
                if self.speak_every and at - origin >= next_speech[caller.number]:
                    next_speech[caller.number] += self.speak_every
                    if at - origin < self.seconds - 3:
                        caller.speak()
        self.wall = time.monotonic() - wall
        self.cpu = cpu_s(self.pid) - self.cpu_before
        self.rss_end = rss_mb(self.pid)
        await deferLater(reactor, 2.5)
        for caller in callers:
            caller.sendClose(1000)
        await deferLater(reactor, 1.0)

    def figures(self) -> dict[str, Any]:
        return {
            "calls": self.calls, "seconds": round(self.wall, 1), "python": platform.python_version(),
            "cpu_percent_per_call": round(100 * self.cpu / self.wall / self.calls, 3),
            "calls_per_core": int(self.wall * self.calls / self.cpu) if self.cpu else None,
            "rss_mb_per_call": round((self.rss_end - self.rss_before) / self.calls, 3),
            "rss_mb_before": round(self.rss_before, 1),
            "ready_ms_p50": round(sorted(self.ready_ms)[len(self.ready_ms) // 2], 2),
            "audio_down": self.speech.row(), "transcripts": self.transcripts.row(),
            "errors": len(self.errors), "late_ticks_of_the_rig": self.late,
        }  # fmt: skip
