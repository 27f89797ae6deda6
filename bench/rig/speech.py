"""The cheapest HTTP client for speech: keep-alive connections, one request at a time on each, chunked answers."""

import asyncio
import socket
from collections.abc import Callable

REQUEST = (
    "POST /v1/speak?model=aura-2-thalia-en&encoding=linear16&container=none&sample_rate=24000 HTTP/1.1\r\n"
    "Host: 127.0.0.1\r\nAuthorization: Token bench\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
)

Piece = Callable[[bytes], None]


class SpeechConnection(asyncio.Protocol):
    """``on_piece`` gets each piece of the answer, and then ``b""``."""

    transport: asyncio.Transport

    def __init__(self, idle: list["SpeechConnection"]) -> None:
        self.idle = idle
        self.on_piece: Piece | None = None
        self.unread = b""
        self.is_in_body = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def ask(self, body: bytes, on_piece: Piece) -> None:
        self.on_piece = on_piece
        self.transport.write((REQUEST % len(body)).encode() + body)

    def data_received(self, data: bytes) -> None:
        if self.unread:
            data = self.unread + data
        if not self.is_in_body:
            _, end, data = data.partition(b"\r\n\r\n")
            if not end:
                self.unread = data
                return
            self.is_in_body = True
        at = 0
        while (line := data.find(b"\r\n", at)) >= 0:
            size = int(data[at:line], 16)
            stop = line + 2 + size + 2
            if stop > len(data):
                break
            at = stop
            if size:
                if self.on_piece is not None:
                    self.on_piece(data[line + 2 : stop - 2])
            else:
                self.is_in_body = False
                done, self.on_piece = self.on_piece, None
                self.idle.append(self)
                if done is not None:
                    done(b"")
                break
        self.unread = data[at:]

    def connection_lost(self, error: Exception | None) -> None:
        if self in self.idle:
            self.idle.remove(self)
        if self.on_piece is not None:
            raise RuntimeError("the vendor hung up while it spoke")


class Speech:
    """Connections to a vendor; idle ones are used again."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.idle: list[SpeechConnection] = []

    async def ask(self, body: bytes, on_piece: Piece) -> SpeechConnection:
        """Ask for a text's speech: ``body`` is the JSON. Returns the connection it comes on."""
        if not self.idle:
            loop = asyncio.get_running_loop()
            _, connection = await loop.create_connection(
                lambda: SpeechConnection(self.idle), "127.0.0.1", self.port
            )
        else:
            connection = self.idle.pop()
        connection.ask(body, on_piece)
        return connection
