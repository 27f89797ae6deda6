"""Callers who interrupt: each speaks a long text, and clears it while it comes as fast as it can.

Job: ``port``, ``calls``, ``tries`` (of each), ``frames`` (of an answer), ``seed``. One ``result``: for each
interruption of flowing audio when the ``clear`` was sent, when the last frame of what was cleared came and when the answer to
a ``ping`` sent behind it; and how many frames came behind that answer.
"""

import asyncio
import json
import random
import time
from typing import Any

from bench.figures import MARK, STAMP
from bench.rig import job
from bench.rig.callers import CONFIG, HALF_BYTES
from bench.rig.frames import TEXT, ClientFrames

LOOKED_FOR_S = 0.3
"""How long after an interruption frames are still looked for."""

DEADLINE_S = 10.0


class Interrupter(ClientFrames):
    """One call."""

    def __init__(self, number: int, frames: int) -> None:
        super().__init__("/ws", "127.0.0.1")
        self.number, self.frames = number, frames
        self.utterance = -1
        self.heard = self.stray = 0
        self.last_ns = 0
        loop = asyncio.get_running_loop()
        self.ready: asyncio.Future[None] = loop.create_future()
        self.speaking: asyncio.Future[None] = loop.create_future()
        self.pong: asyncio.Future[None] = loop.create_future()
        self.pong_ns = 0
        self.gone: asyncio.Future[None] = loop.create_future()

    def opened(self) -> None:
        self.send(TEXT, CONFIG)

    def connection_lost(self, error: Exception | None) -> None:
        for one in (self.ready, self.speaking, self.pong):
            if not one.done():
                one.set_exception(RuntimeError(f"the gateway hung up: {self.goodbye!r}"))
                one.exception()
        if not self.gone.done():
            self.gone.set_result(None)

    def binary(self, data: bytes, start: int, stop: int, key: bytes) -> None:
        for at in range(start, stop - STAMP.size + 1, HALF_BYTES):
            mark, _, call, utterance, _ = STAMP.unpack_from(data, at)
            if mark != MARK or call != self.number or utterance != self.utterance:
                self.stray += 1
                continue
            self.last_ns = time.monotonic_ns()
            self.heard += 1
            if self.pong.done():
                self.stray += 1
            if not self.speaking.done():
                self.speaking.set_result(None)

    def text(self, payload: bytes) -> None:
        message = json.loads(payload)
        match message["type"]:
            case "ready":
                self.ready.set_result(None)
            case "pong":
                self.pong_ns = time.monotonic_ns()
                self.pong.set_result(None)
            case "error":
                raise RuntimeError(message["message"])

    def tell(self, message: dict[str, Any]) -> None:
        self.send(TEXT, json.dumps(message).encode())

    def check(self) -> None:
        if not self.is_open:
            raise RuntimeError(f"the gateway hung up: {self.goodbye!r}")

    async def interrupt(self, wait_s: float) -> tuple[int, int, int, int, int] | None:
        """Speak, wait, clear. Returns call, utterance and the three moments; None if nothing was flowing any more."""
        loop = asyncio.get_running_loop()
        self.utterance += 1
        self.heard = 0
        self.speaking, self.pong = loop.create_future(), loop.create_future()
        self.tell(
            {
                "type": "speak",
                "text": f"call {self.number:05d} says phrase no {self.utterance:07d}.",
            }
        )
        await asyncio.wait_for(self.speaking, DEADLINE_S)
        await asyncio.sleep(wait_s)
        self.check()
        heard_before, cleared_ns = self.heard, time.monotonic_ns()
        self.tell({"type": "clear"})
        self.tell({"type": "ping"})
        await asyncio.wait_for(self.pong, DEADLINE_S)
        await asyncio.sleep(LOOKED_FOR_S)
        if heard_before >= self.frames:
            return None
        return self.number, self.utterance, cleared_ns, self.last_ns, self.pong_ns


Moments = list[tuple[int, int, int, int, int]]


async def call(asked: dict[str, Any], number: int, found: Moments) -> int:
    """All tries of one call; returns how many frames should not have come."""
    chance = random.Random(f"{asked['seed']} {number}")
    _, caller = await asyncio.get_running_loop().create_connection(
        lambda: Interrupter(number, asked["frames"]), "127.0.0.1", asked["port"]
    )
    await asyncio.wait_for(caller.ready, DEADLINE_S)
    for _ in range(asked["tries"]):
        moments = await caller.interrupt(chance.uniform(0.0, asked["wait_s"]))
        if moments is not None:
            found.append(moments)
    caller.hang_up()
    await asyncio.wait_for(caller.gone, DEADLINE_S)
    return caller.stray


async def work(asked: dict[str, Any]) -> None:
    found: Moments = []
    stray = await asyncio.gather(*(call(asked, one, found) for one in range(asked["calls"])))
    job.say("result", moments=found, frames_after_the_answer=sum(stray))


if __name__ == "__main__":
    job.run(work)
