"""Clients of ``POST /speak``: each asks again as soon as it has its answer.

Job: ``port``, ``connections``, ``is_cached`` (one text for all, or each its own), ``body`` (the request, without the text),
``first_number``. Commands: ``begin`` (count from here), ``end`` (say ``measured``), ``quit``.
"""

import asyncio
import json
import socket
import time
from typing import Any

from bench.figures import Delays
from bench.rig import job


class Requester(asyncio.Protocol):
    """One connection, kept alive."""

    transport: asyncio.Transport

    def __init__(self, crowd: "Crowd") -> None:
        self.crowd = crowd
        self.unread = b""
        self.left = -1
        self.is_chunked = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.ask()

    def ask(self) -> None:
        self.asked_ns = time.monotonic_ns()
        self.transport.write(self.crowd.request())

    def data_received(self, data: bytes) -> None:
        if self.left >= 0:
            self.left -= len(data)
            self.crowd.bytes += len(data)
            if self.left <= 0:
                self.answered()
            return
        self.unread += data
        if not self.is_chunked:
            head, end, rest = self.unread.partition(b"\r\n\r\n")
            if not end:
                return
            if not head.startswith(b"HTTP/1.1 200"):
                self.crowd.errors.append((head + rest[:200]).decode("latin-1"))
                self.transport.abort()
                return
            self.unread = rest
            lower = head.lower()
            at = lower.find(b"content-length:")
            if at >= 0:
                self.left = int(lower[at + 15 :].split(b"\r\n", 1)[0]) - len(rest)
                self.crowd.bytes += len(rest)
                self.unread = b""
                if self.left <= 0:
                    self.answered()
                return
            self.is_chunked = True
        self.chunks()

    def chunks(self) -> None:
        at, data = 0, self.unread
        while (line := data.find(b"\r\n", at)) >= 0:
            size = int(data[at:line], 16)
            stop = line + 4 + size
            if stop > len(data):
                break
            at = stop
            if not size:
                self.unread, self.is_chunked = b"", False
                self.answered()
                return
            self.crowd.bytes += size
        self.unread = data[at:]

    def answered(self) -> None:
        self.left = -1
        self.crowd.took.add(time.monotonic_ns() - self.asked_ns)
        if self.crowd.is_running:
            self.ask()
        else:
            self.transport.close()

    def connection_lost(self, error: Exception | None) -> None:
        if self.crowd.is_running:
            self.crowd.errors.append(f"the gateway hung up: {error}")


class Crowd:
    """All of them."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self.job = asked
        self.number: int = asked["first_number"]
        self.took = Delays()
        self.errors: list[str] = []
        self.bytes = 0
        self.is_running = True
        self.cached = b""

    def request(self) -> bytes:
        if self.cached:
            return self.cached
        self.number += 1
        body = json.dumps(
            self.job["body"] | {"text": f"call 00001 says phrase no {self.number:07d}."}
        )
        text = (
            "POST /speak HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        ).encode()
        if self.job["is_cached"]:
            self.cached = text
        return text


async def work(asked: dict[str, Any]) -> None:
    crowd = Crowd(asked)
    orders = await job.commands()
    loop = asyncio.get_running_loop()
    for number in range(asked["connections"]):
        await loop.create_connection(lambda: Requester(crowd), "127.0.0.1", asked["port"])
        if asked["is_cached"] and not number:
            await asyncio.sleep(1.0)  # now the gateway keeps it
    job.say("running", errors=crowd.errors[:5])
    while (order := await orders.next()) != "quit":
        if order == "begin":
            crowd.took, crowd.bytes = Delays(), 0
            job.say("begun")
        elif order == "end":
            crowd.is_running = False
            job.say("measured", took=crowd.took.row(), bytes=crowd.bytes, errors=crowd.errors[:20])


if __name__ == "__main__":
    job.run(work)
