"""The local models' users: endless ``POST /speak`` one after the other, or calls that speak all the time.

Job: ``port``, ``speakers`` (requests at once, of ``sentences`` each, no text twice), ``talkers`` (calls with the local
recogniser), ``sound`` (file of linear16, 16 kHz, mono, that talkers say over and over), ``wants`` ("speech" or "first": what
speakers ask for). Commands: ``begin``, ``end`` (says ``measured``) and ``quit``.
"""

import asyncio
import itertools
import json
import time
from pathlib import Path
from typing import Any

from bench.figures import Delays
from bench.rig import job
from bench.rig.frames import BINARY, TEXT, ClientFrames

RATE_HZ = 24000
PERIOD_S = 0.02
FRAME_BYTES = 640
WORDS = (
    "seven letters arrived this morning", "the harbour stays closed until noon", "nobody expected rain in July",
    "please hold the line for a moment", "our office moved across the river", "a blue lantern hung above the door",
    "twelve ships left before sunrise", "the second train is usually late",
)  # fmt: skip
CONFIG = {
    "type": "config",
    "stt_config": {"provider": "local", "language": "en-US", "sample_rate": 16000, "channels": 1,
                   "punctuation": True, "encoding": "linear16", "model": ""},
}  # fmt: skip


def text(number: int, sentences: int) -> str:
    """A text that no other number gives."""
    chosen = (WORDS[(number + index) % len(WORDS)] for index in range(sentences))
    return " ".join(f"Number {number} {index}, {one}." for index, one in enumerate(chosen))


class Speaker:
    """Asks for speech, again when it has it."""

    def __init__(self, port: int, sentences: int, numbers: "itertools.count[int]") -> None:
        self.port, self.sentences, self.numbers = port, sentences, numbers
        self.first = Delays()
        self.heard = 0
        self.errors: list[str] = []

    async def run(self, pause_s: float) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        while True:
            await self.speak(reader, writer)
            await asyncio.sleep(pause_s)

    async def speak(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        body = json.dumps(
            {
                "text": text(next(self.numbers), self.sentences),
                "tts_config": {"provider": "local", "model": "", "audio_format": "linear16",
                               "sample_rate": RATE_HZ},
            }
        ).encode()  # fmt: skip
        began = time.monotonic_ns()
        writer.write(
            b"POST /speak HTTP/1.1\r\nHost: bench\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body) + body
        )
        head = await reader.readuntil(b"\r\n\r\n")
        if b" 200 " not in head.split(b"\r\n")[0]:
            raise RuntimeError(f"/speak: {head.splitlines()[0].decode()}")
        size = await self.chunk(reader)
        self.first.add(time.monotonic_ns() - began)
        while size:
            self.heard += size
            size = await self.chunk(reader)

    @staticmethod
    async def chunk(reader: asyncio.StreamReader) -> int:
        """Read one piece; its size."""
        size = int(await reader.readline(), 16)
        await reader.readexactly(size + 2)
        return size


class Talker(ClientFrames):
    """A call that says the sound over and over."""

    def __init__(self, number: int, pcm: bytes) -> None:
        super().__init__("/ws", "127.0.0.1")
        self.at = number * 32000 // FRAME_BYTES * FRAME_BYTES % len(pcm)
        self.pcm = pcm
        self.finals = 0
        self.errors: list[str] = []
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def opened(self) -> None:
        self.send(TEXT, json.dumps(CONFIG).encode())

    def text(self, payload: bytes) -> None:
        message = json.loads(payload)
        match message["type"]:
            case "ready":
                self.ready.set_result(None)
            case "stt_result" if message["is_final"]:
                self.finals += 1
            case "error":
                self.errors.append(message["message"])

    async def run(self, phase: float) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + phase * PERIOD_S
        while True:
            await asyncio.sleep(max(0.0, due - loop.time()))
            due += PERIOD_S
            self.send(BINARY, self.pcm[self.at : self.at + FRAME_BYTES])
            self.at = (self.at + FRAME_BYTES) % len(self.pcm)


def read(path: str) -> bytes:
    """Whole frames of a file."""
    sound = Path(path).read_bytes()
    return sound[: len(sound) // FRAME_BYTES * FRAME_BYTES]


async def work(asked: dict[str, Any]) -> None:
    """Begin at once; count from ``begin``."""
    loop = asyncio.get_running_loop()
    orders = await job.commands()
    numbers = itertools.count(asked["first_number"])
    speakers = [
        Speaker(asked["port"], asked["sentences"], numbers) for _ in range(asked["speakers"])
    ]
    sound = read(asked["sound"]) if asked["talkers"] else b""
    talkers = []
    for number in range(asked["talkers"]):
        _, talker = await loop.create_connection(
            lambda number=number: Talker(number, sound), "127.0.0.1", asked["port"]
        )
        await asyncio.wait_for(talker.ready, 30)
        talkers.append(talker)
    running = [loop.create_task(one.run(asked["pause_s"])) for one in speakers]
    running += [
        loop.create_task(one.run(index / len(talkers))) for index, one in enumerate(talkers)
    ]
    job.say("running")
    while (order := await orders.next()) != "quit":
        if order == "begin":
            began = time.monotonic()
            for speaker in speakers:
                speaker.heard, speaker.first = 0, Delays()
            for talker in talkers:
                talker.finals = 0
            job.say("begun")
        elif order == "end":
            seconds = time.monotonic() - began
            errors = [repr(one.exception()) for one in running if one.done()]
            first = Delays()
            for speaker in speakers:
                first.max_us = max(first.max_us, speaker.first.max_us)
                for key, count in speaker.first.counts.items():
                    first.counts[key] = first.counts.get(key, 0) + count
            job.say(
                "measured",
                first=first.row(),
                times_real_time=[round(one.heard / 2 / RATE_HZ / seconds, 2) for one in speakers],
                finals=sum(one.finals for one in talkers),
                errors=errors + [error for one in talkers for error in one.errors],
            )
    for one in running:
        one.cancel()


if __name__ == "__main__":
    job.run(work)
