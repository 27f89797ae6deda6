"""A bare relay on the ``websockets`` library: the data path of a gateway, and nothing else."""

import asyncio
import json
import sys
from typing import Any

import uvloop
from websockets.asyncio.client import ClientConnection, connect
from websockets.asyncio.server import ServerConnection, serve

from bench.rig.speech import Speech

LISTEN = (
    "ws://127.0.0.1:%d/v1/listen?model=nova-3&language=en-US&encoding=linear16&sample_rate=16000"
    "&channels=1&punctuate=true&interim_results=true"
)
HALF_BYTES = 480


class Call:
    """One caller."""

    def __init__(self, caller: ServerConnection, vendor_port: int, speech: Speech) -> None:
        self.caller, self.vendor_port, self.speech = caller, vendor_port, speech
        self.pieces: asyncio.Queue[bytes] = asyncio.Queue()
        self.tasks: list[asyncio.Task[Any]] = []

    async def run(self) -> None:
        vendor: ClientConnection | None = None
        try:
            async for message in self.caller:
                if isinstance(message, bytes):
                    if vendor is not None:
                        await vendor.send(message)
                    continue
                told = json.loads(message)
                if told["type"] == "config":
                    vendor = await self.dial()
                elif told["type"] == "speak":
                    body = json.dumps({"text": told["text"]}).encode()
                    await self.speech.ask(body, self.pieces.put_nowait)
        finally:
            for task in self.tasks:
                task.cancel()
            if vendor is not None:
                await vendor.close()

    async def dial(self) -> ClientConnection:
        vendor = await connect(
            LISTEN % self.vendor_port,
            additional_headers={"Authorization": "Token bench"},
            compression=None,
            ping_interval=None,
        )
        loop = asyncio.get_running_loop()
        self.tasks += [loop.create_task(self.results(vendor)), loop.create_task(self.speak())]
        await self.tell({"type": "ready"})
        return vendor

    async def results(self, vendor: ClientConnection) -> None:
        async for message in vendor:
            told = json.loads(message)
            if told["type"] == "Results":
                best = told["channel"]["alternatives"][0]
                await self.tell({
                    "type": "stt_result", "transcript": best["transcript"],
                    "is_final": told["is_final"], "is_speech_final": told["speech_final"],
                    "confidence": best["confidence"], "text": best["transcript"],
                })  # fmt: skip

    async def speak(self) -> None:
        while True:
            piece = await self.pieces.get()
            for at in range(0, len(piece), HALF_BYTES):
                await self.caller.send(piece[at : at + HALF_BYTES])
            if not piece:
                await self.tell({"type": "tts_playback_complete"})

    async def tell(self, message: dict[str, Any]) -> None:
        await self.caller.send(json.dumps(message))


async def main(port: int, vendor_port: int) -> None:
    speech = Speech(vendor_port)
    server = await serve(
        lambda caller: Call(caller, vendor_port, speech).run(), "127.0.0.1", port,
        compression=None, ping_interval=None, backlog=1024,
    )  # fmt: skip
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2])))
