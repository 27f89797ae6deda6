"""Clients of an echo: N connections, each sends a stamped message every ``period_s`` and reads it back.

Job: ``port``, ``connections``, ``period_s``, ``bytes``, ``tls``. Commands: ``start``, ``begin``, ``end``, ``quit``.
"""

import asyncio
import ssl
import time
from typing import Any

from bench.figures import MARK, STAMP, Delays, Direction
from bench.rig import job
from bench.rig.frames import BINARY, ClientFrames


class Echoed(ClientFrames):
    """One connection."""

    def __init__(self, crowd: "Crowd", number: int) -> None:
        super().__init__("/", "127.0.0.1")
        self.crowd, self.number, self.sequence = crowd, number, 0
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.padding = bytes(crowd.job["bytes"] - STAMP.size)

    def opened(self) -> None:
        self.ready.set_result(None)

    def binary(self, data: bytes, start: int, stop: int, key: bytes) -> None:
        _, sent, number, _, sequence = STAMP.unpack_from(data, start)
        self.crowd.echoes.delays.add(time.monotonic_ns() - sent)
        self.crowd.echoes.stream(number).add(sequence)

    def connection_lost(self, error: Exception | None) -> None:
        if self.is_open:
            self.crowd.hung_up += 1
        self.is_open = False

    def message(self) -> None:
        if not self.is_open:
            return
        stamp = STAMP.pack(MARK, time.monotonic_ns(), self.number, 0, self.sequence)
        self.send(BINARY, stamp + self.padding)
        self.sequence += 1
        self.crowd.sent += 1


class Crowd:
    """All of them."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self.job = asked
        self.echoes = Direction()
        self.late = Delays()
        self.sent = self.hung_up = 0
        self.is_running = False
        self.connections: list[Echoed] = []

    async def open(self) -> None:
        context = None
        if self.job["tls"]:
            context = ssl.create_default_context()
            context.check_hostname = False
            context.verify_mode = ssl.CERT_NONE
        for number in range(self.job["connections"]):
            _, one = await asyncio.get_running_loop().create_connection(
                lambda number=number: Echoed(self, number), "127.0.0.1", self.job["port"],
                ssl=context,
            )  # fmt: skip
            await one.ready
            self.connections.append(one)

    def start(self) -> None:
        self.is_running = True
        loop = asyncio.get_running_loop()
        step = self.job["period_s"] / len(self.connections)
        for index, one in enumerate(self.connections):
            loop.call_at(loop.time() + step * index, self.tick, one, loop.time() + step * index)

    def tick(self, one: Echoed, due: float) -> None:
        if self.is_running:
            loop = asyncio.get_running_loop()
            self.late.add(int((loop.time() - due) * 1e9))
            one.message()
            loop.call_at(due + self.job["period_s"], self.tick, one, due + self.job["period_s"])

    async def all_back(self) -> None:
        """Until every message has come back, or there is no more waiting for it."""
        for _ in range(100):
            await asyncio.sleep(0.1)
            if self.echoes.row()["received"] == self.sent:
                return

    def begin(self) -> None:
        self.echoes.delays, self.late = Delays(), Delays()


async def work(asked: dict[str, Any]) -> None:
    """Open, then do as told."""
    crowd = Crowd(asked)
    orders = await job.commands()
    await crowd.open()
    job.say("opened")
    while (order := await orders.next()) != "quit":
        if order == "start":
            crowd.start()
            job.say("started")
        elif order == "begin":
            crowd.begin()
            job.say("begun")
        elif order == "end":
            echoed = sum(crowd.echoes.delays.counts.values())
            crowd.is_running = False
            job.say("measured", echoed=echoed, late=crowd.late.row(), hung_up=crowd.hung_up)
            await crowd.all_back()
            job.say("result", echoes=crowd.echoes.row() | {"sent": crowd.sent})


if __name__ == "__main__":
    job.run(work)
