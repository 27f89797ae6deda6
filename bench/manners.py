"""Half a minute of bad manners against a daemon started here: what a gateway must survive without leaking or lying.

Callers that behave badly configure, speak, clear, send audio and vanish at random moments, some with a reset.
Callers that are careful meanwhile speak and clear at random moments and check what they get: after the answer to
a ping that was sent behind a ``clear``, no audio of what was cleared; for every text that was not cleared, one
completion. A bystander sends pings all the time: the slowest answer bounds the longest stall of the reactor.

python -m bench manners [--seconds 30] [--callers 8] [--port PORT]

Prints the figures as JSON; exit code 1 if anything was wrong or left over. ``WAAV_SEED`` repeats a run's choices. With
``--port`` a gateway that runs already is visited, and what it keeps is left to whoever runs it.
"""

import argparse
import os
import random
import socket
import struct
import time
from typing import Any

from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater, react

from bench.client import Caller, call
from bench.figures import line
from bench.local import gateway
from bench.machine import descriptors, rss_mb
from bench.sessions import stamped

RESET = struct.pack("ii", 1, 0)
FRAME = bytes(640)
WORDS = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]


class Visit:
    """One run. ``wrong`` says what should not have happened."""

    def __init__(self, reactor: Any, port: int, seconds: float, seed: int) -> None:
        self.reactor, self.port, self.seed = reactor, port, seed
        self.ends_at = time.monotonic() + seconds
        self.counts = {"calls": 0, "resets": 0, "texts": 0, "clears": 0, "completions": 0}
        self.wrong: list[str] = []
        self.slowest_ms = self.pings = 0.0

    @property
    def is_over(self) -> bool:
        return time.monotonic() > self.ends_at

    def pause(self, seconds: float) -> Deferred[None]:
        return deferLater(self.reactor, seconds)

    async def rude(self, number: int) -> None:
        """Calls, does this and that, and is gone."""
        chance = random.Random(f"{self.seed} rude {number}")
        while not self.is_over:
            caller = await call(self.reactor, self.port)
            self.counts["calls"] += 1
            for _ in range(chance.randint(0, 8)):
                self.act(caller, chance)
                if chance.random() < 0.5:
                    await self.pause(chance.uniform(0, 0.08))
            await self.leave(caller, chance)

    def act(self, caller: Caller, chance: random.Random) -> None:
        """Something that a caller may do at any time."""
        match chance.choice(("config", "speak", "speak", "clear", "audio", "audio")):
            case "config":
                voice = {"provider": "local", "sample_rate": chance.choice((8000, 24000))}
                caller.send({"type": "config", "tts_config": voice})
            case "speak":
                caller.send({"type": "speak", "text": " ".join(chance.choices(WORDS, k=40))})
            case "clear":
                caller.send({"type": "clear"})
            case "audio":
                for _ in range(chance.randint(1, 200)):
                    caller.hear(FRAME)

    async def leave(self, caller: Caller, chance: random.Random) -> None:
        """Properly, or as when a network breaks."""
        if chance.random() < 0.4:
            caller.sendClose(1000)
        elif chance.random() < 0.5:
            handle = caller.transport.getHandle()
            handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
            self.counts["resets"] += 1
            caller.transport.abortConnection()
        else:
            caller.transport.abortConnection()
        await caller.closed

    async def careful(self, number: int) -> None:
        """Speaks, clears or listens to the end, and checks what comes."""
        chance = random.Random(f"{self.seed} careful {number}")
        caller = await call(self.reactor, self.port, stt_config=None)
        while not self.is_over:
            texts = chance.randint(1, 3)
            caller.events.clear()
            completed = self.completed(caller, texts)
            for _ in range(texts):
                words = " ".join(chance.choices(WORDS, k=chance.randint(1, 25)))
                caller.send({"type": "speak", "text": f"{words}."})
            self.counts["texts"] += texts
            if chance.random() < 0.7:
                await self.pause(
                    chance.choice((0.0, chance.uniform(0, 0.05), chance.uniform(0, 0.8)))
                )
                await self.cleared(caller, texts, chance)
            else:
                await completed
                self.counts["completions"] += texts
                await self.silent(caller, "after the last completion")
        caller.sendClose(1000)
        await caller.closed

    def completed(self, caller: Caller, texts: int) -> Deferred[Any]:
        """Fires at the last completion that is due."""
        left = [texts]

        def fits(event: Any) -> bool:
            if isinstance(event, dict) and event["type"] == "error":
                self.wrong.append(event["message"])
            if isinstance(event, dict) and event["type"] == "tts_playback_complete":
                left[0] -= 1
            return left[0] == 0

        return caller.until(fits)

    async def cleared(self, caller: Caller, texts: int, chance: random.Random) -> None:
        caller.send({"type": "clear"})
        self.counts["clears"] += 1
        await self.silent(caller, "after a clear", chance.choice((0.0, 0.1, 0.3)))
        told = [event for _, event in caller.events if isinstance(event, dict)]
        completions = sum(event["type"] == "tts_playback_complete" for event in told)
        if completions > texts:
            self.wrong.append(f"{completions} completions of {texts} texts")
        caller.waiting.clear()

    async def silent(self, caller: Caller, when: str, seconds: float = 0.0) -> None:
        """Behind the answer to a ping nothing may come until something new is said."""
        pong = caller.of_type("pong")
        caller.send({"type": "ping"})
        await pong
        seen = len(caller.events)
        await self.pause(seconds)
        if len(caller.events) > seen:
            self.wrong.append(f"{len(caller.events) - seen} events {when}")

    async def bystander(self) -> None:
        """Measures how long an answer takes meanwhile."""
        caller = await call(self.reactor, self.port, stt_config=None, tts_config=None, audio=False)
        while not self.is_over:
            pong = caller.of_type("pong")
            sent = caller.send({"type": "ping"})
            took_ms = ((await pong)[0] - sent) * 1000
            self.slowest_ms = max(self.slowest_ms, took_ms)
            self.pings += 1
            caller.events.clear()
            await self.pause(0.005)
        caller.sendClose(1000)
        await caller.closed

    async def run(self, callers: int) -> None:
        everybody = [self.bystander()]
        for number in range(callers):
            everybody += (
                [self.rude(number), self.careful(number)] if number % 2 else [self.rude(number)]
            )
        await gatherResults([Deferred.fromCoroutine(one) for one in everybody], consumeErrors=True)


async def visited(reactor: Any, pid: int, port: int, options: argparse.Namespace) -> dict[str, Any]:
    """Warm up, run, and look at what is left of it. ``pid`` is 0 where that is not ours to say."""
    seed = int(os.environ.get("WAAV_SEED", "7"))
    await deferLater(reactor, 4.0)
    await Visit(reactor, port, 0.5, seed).run(2)
    await deferLater(reactor, 1.0)
    before = (descriptors(pid), rss_mb(pid)) if pid else (0, 0.0)
    run = Visit(reactor, port, options.seconds, seed)
    await run.run(options.callers)
    await deferLater(reactor, 3.0)
    after = (descriptors(pid), rss_mb(pid)) if pid else (0, 0.0)
    if after[0] > before[0]:
        run.wrong.append(f"{after[0] - before[0]} descriptors left over")
    return {
        **run.counts, "wrong": len(run.wrong), "for_example": run.wrong[:5], "pings": int(run.pings),
        "slowest_ping_ms": round(run.slowest_ms, 1), "descriptors_before": before[0],
        "descriptors_after": after[0], "rss_mb_before": round(before[1], 1),
        "rss_mb_after": round(after[1], 1), "seed": seed,
    }  # fmt: skip


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--callers", type=int, default=8)
    parser.add_argument("--port", type=int, help="of a gateway that runs already")


def main(options: argparse.Namespace) -> int:
    """``manners``."""
    process = None
    port = options.port
    if port is None:
        security = {"rate_limit_requests_per_second": 99999, "rate_limit_burst_size": 99999,
                    "max_connections_per_ip": 100000}  # fmt: skip
        process, port = gateway(
            security=security, cache={"ttl_seconds": 0}, logging={"level": "warn"}
        )
    figures: dict[str, Any] = {"wrong": 1}

    async def run(reactor: Any) -> None:
        pid = process.pid if process is not None else 0
        figures.update(await visited(reactor, pid, port, options))
        print(line(stamped("manners", figures)), flush=True)

    try:
        react(lambda reactor: Deferred.fromCoroutine(run(reactor)))
    except SystemExit as ended:
        return int(bool(ended.code) or bool(figures["wrong"]))
    finally:
        if process is not None:
            process.terminate()
            process.wait(40)
    return 0
