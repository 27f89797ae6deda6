"""A bare relay on picows: the data path of a gateway, and nothing else. No checks, queues, limits or log.

It speaks as much of the gateway's protocol as the benchmark's callers need: ``config``, audio, ``speak``, transcripts.
"""

import asyncio
import json
import socket
import sys
from typing import Any

import uvloop
from picows import (
    WSFrame,
    WSListener,
    WSMsgType,
    WSTransport,
    ws_connect,
    ws_create_server,
)

from bench.rig.speech import Speech

LISTEN = (
    "ws://127.0.0.1:%d/v1/listen?model=nova-3&language=en-US&encoding=linear16&sample_rate=16000"
    "&channels=1&punctuate=true&interim_results=true"
)
HALF_BYTES = 480
TASKS: set["asyncio.Task[Any]"] = set()


def spawn(work: Any) -> None:
    task = asyncio.get_running_loop().create_task(work)
    TASKS.add(task)
    task.add_done_callback(TASKS.discard)


def no_delay(transport: WSTransport) -> None:
    sock = transport.underlying_transport.get_extra_info("socket")
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


class Recogniser(WSListener):
    """The vendor's end."""

    def __init__(self, caller: "Caller") -> None:
        self.caller = caller

    def on_ws_connected(self, transport: WSTransport) -> None:
        no_delay(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.CLOSE:
            transport.send_close()
            transport.disconnect()
            return
        if frame.msg_type != WSMsgType.TEXT:
            return
        message = json.loads(frame.get_payload_as_bytes())
        if message["type"] == "Results":
            self.caller.tell(stt_result(message))


def stt_result(message: dict[str, Any]) -> dict[str, Any]:
    """The gateway's words for a vendor's result."""
    best = message["channel"]["alternatives"][0]
    return {
        "type": "stt_result", "transcript": best["transcript"], "is_final": message["is_final"],
        "is_speech_final": message["speech_final"], "confidence": best["confidence"],
        "text": best["transcript"],
    }  # fmt: skip


class Caller(WSListener):
    """The caller's end."""

    def __init__(self, vendor_port: int, speech: Speech) -> None:
        self.vendor_port, self.speech = vendor_port, speech
        self.vendor: WSTransport | None = None

    def on_ws_connected(self, transport: WSTransport) -> None:
        self.transport = transport
        no_delay(transport)

    def on_ws_frame(self, transport: WSTransport, frame: WSFrame) -> None:
        if frame.msg_type == WSMsgType.BINARY:
            if self.vendor is not None:
                self.vendor.send(WSMsgType.BINARY, frame.get_payload_as_bytes())
        elif frame.msg_type == WSMsgType.TEXT:
            self.told(json.loads(frame.get_payload_as_bytes()))
        elif frame.msg_type == WSMsgType.CLOSE:
            transport.send_close(frame.get_close_code(), frame.get_close_message())
            transport.disconnect()

    def told(self, message: dict[str, Any]) -> None:
        if message["type"] == "config":
            spawn(self.dial())
        elif message["type"] == "speak":
            body = json.dumps({"text": message["text"]}).encode()
            spawn(self.speech.ask(body, self.piece))

    async def dial(self) -> None:
        self.vendor, _ = await ws_connect(
            lambda: Recogniser(self), LISTEN % self.vendor_port,
            extra_headers={"Authorization": "Token bench"},
        )  # fmt: skip
        self.tell({"type": "ready"})

    def piece(self, piece: bytes) -> None:
        send = self.transport.send
        for at in range(0, len(piece), HALF_BYTES):
            send(WSMsgType.BINARY, piece[at : at + HALF_BYTES])
        if not piece:
            self.tell({"type": "tts_playback_complete"})

    def tell(self, message: dict[str, Any]) -> None:
        self.transport.send(WSMsgType.TEXT, json.dumps(message).encode())

    def on_ws_disconnected(self, transport: WSTransport) -> None:
        if self.vendor is not None:
            self.vendor.send_close()
            self.vendor.disconnect()


async def serve(port: int, vendor_port: int) -> None:
    speech = Speech(vendor_port)
    server = await ws_create_server(
        lambda _: Caller(vendor_port, speech), "127.0.0.1", port, backlog=1024
    )
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(serve(int(sys.argv[1]), int(sys.argv[2])))
