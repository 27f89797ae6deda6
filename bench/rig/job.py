"""How a rig process is run: its job is the argument, commands come as lines on stdin, events go out as JSON lines."""

import asyncio
import gc
import json
import os
import sys
from collections.abc import Callable, Coroutine
from typing import Any


def say(event: str, **fields: Any) -> None:
    """Tell whoever started this process."""
    sys.stdout.write(json.dumps({"event": event} | fields) + "\n")
    sys.stdout.flush()


class Commands(asyncio.Protocol):
    """Lines of stdin, in order. The end of stdin is the command ``quit``."""

    def __init__(self) -> None:
        self.rest = b""
        self.waiting: asyncio.Queue[str] = asyncio.Queue()

    def data_received(self, data: bytes) -> None:
        *lines, self.rest = (self.rest + data).split(b"\n")
        for one in lines:
            self.waiting.put_nowait(one.decode().strip())

    def eof_received(self) -> None:
        self.waiting.put_nowait("quit")

    async def next(self) -> str:
        return await self.waiting.get()


async def commands() -> Commands:
    """Read stdin from now on."""
    loop = asyncio.get_running_loop()
    _, protocol = await loop.connect_read_pipe(Commands, os.fdopen(0, "rb", 0))
    return protocol


def run(work: Callable[[dict[str, Any]], Coroutine[Any, Any, None]]) -> None:
    """Do ``work(job)`` on uvloop where it is there."""
    job = json.loads(sys.argv[1])
    gc.freeze()
    gc.set_threshold(100_000, 50, 50)
    try:
        import uvloop
    except ImportError:
        asyncio.run(work(job))
    else:
        uvloop.run(work(job))
