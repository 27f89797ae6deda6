"""Just enough of RFC 6455 for the rig, for either end: unfragmented frames, no extensions, trusted peers.

A peer that sends anything else ends the run with an error, which is what a benchmark wants to know.
"""

import asyncio
import base64
import hashlib
import os
import socket
from struct import Struct
from typing import Any

TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10
MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

_short = Struct("!BB").pack
_long = Struct("!BBH").pack
_huge = Struct("!BBQ").pack


def xor(data: bytes, key: bytes) -> bytes:
    """Mask or unmask."""
    length = len(data)
    stretched = (key * (length // 4 + 1))[:length]
    return (int.from_bytes(data, "little") ^ int.from_bytes(stretched, "little")).to_bytes(
        length, "little"
    )


def head(opcode: int, length: int, mask_bit: int = 0) -> bytes:
    """The beginning of a whole frame, without the masking key."""
    if length < 126:
        return _short(0x80 | opcode, mask_bit | length)
    if length < 0x10000:
        return _long(0x80 | opcode, mask_bit | 126, length)
    return _huge(0x80 | opcode, mask_bit | 127, length)


def accept(key: bytes) -> bytes:
    """The answer to ``Sec-WebSocket-Key``."""
    return base64.b64encode(hashlib.sha1(key + MAGIC).digest())


class Frames(asyncio.Protocol):
    """An open WebSocket. Subclasses say what happens with ``binary``, ``text`` and ``closed``."""

    transport: asyncio.Transport
    rest = b""
    is_client = False
    is_open = False
    goodbye = b""
    """What the peer gave as its reason to close: two bytes of code, and words."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        sock = transport.get_extra_info("socket")
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def data_received(self, data: bytes) -> None:
        self.read(data)

    def read(self, data: bytes) -> None:
        """Frames from the peer, in any pieces."""
        if self.rest:
            data = self.rest + data
        at, end = 0, len(data)
        while end - at >= 2:
            first, second = data[at], data[at + 1]
            length, start = second & 0x7F, at + 2
            if length == 126:
                if end - at < 4:
                    break
                length, start = data[at + 2] << 8 | data[at + 3], at + 4
            elif length == 127:
                if end - at < 10:
                    break
                length, start = int.from_bytes(data[at + 2 : at + 10]), at + 10
            key = b""
            if second & 0x80:
                key = data[start : start + 4]
                start += 4
            stop = start + length
            if stop > end:
                break
            if first == 0x82:
                self.binary(data, start, stop, key)
            else:
                self.other(first, xor(data[start:stop], key) if key else data[start:stop])
            at = stop
        self.rest = data[at:]

    def other(self, first: int, payload: bytes) -> None:
        """Anything but audio."""
        if first == 0x80 | TEXT:
            self.text(payload)
        elif first == 0x80 | PING:
            self.send(PONG, payload)
        elif first == 0x80 | CLOSE:
            self.goodbye = payload
            if self.is_open:
                self.send(CLOSE, payload[:2])
            self.is_open = False
            self.transport.close()
        elif first != 0x80 | PONG:
            raise RuntimeError(f"the rig does not read frames that begin with {first:#x}")

    def send(self, opcode: int, payload: bytes) -> None:
        """One frame. A client's is masked with a key that is not secret: peers here are not browsers."""
        if self.is_client:
            frame = head(opcode, len(payload), 0x80) + b"\x5a\xc3\x69\x1e"
            self.transport.write(frame + xor(payload, b"\x5a\xc3\x69\x1e"))
        else:
            self.transport.write(head(opcode, len(payload)) + payload)

    def hang_up(self) -> None:
        """Close properly, once."""
        if self.is_open:
            self.is_open = False
            self.send(CLOSE, b"\x03\xe8")

    def binary(self, data: bytes, start: int, stop: int, key: bytes) -> None:
        """A binary message: ``data[start:stop]``, masked with ``key`` where there is one."""

    def text(self, payload: bytes) -> None:
        """A text message."""


class ClientFrames(Frames):
    """A client, from the handshake on; ``opened`` is called when it may send."""

    is_client = True

    def __init__(self, path: str, host: str) -> None:
        self.path, self.host = path, host
        self.key = base64.b64encode(os.urandom(16))
        self.opening = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        lines = (
            f"GET {self.path} HTTP/1.1", f"Host: {self.host}", "Upgrade: websocket",
            "Connection: Upgrade", "Sec-WebSocket-Version: 13",
            f"Sec-WebSocket-Key: {self.key.decode()}", "", "",
        )  # fmt: skip
        self.transport.write("\r\n".join(lines).encode())

    def data_received(self, data: bytes) -> None:
        if self.is_open:
            self.read(data)
            return
        self.opening += data
        answer, end, rest = self.opening.partition(b"\r\n\r\n")
        if not end:
            return
        if b" 101 " not in answer.split(b"\r\n")[0] or accept(self.key) not in answer:
            self.refused(answer.decode("latin-1"))
            self.transport.abort()
            return
        self.is_open = True
        self.data_received = self.read  # type: ignore[method-assign]
        self.transport.set_protocol(self)
        self.opened()
        if rest:
            self.read(rest)

    def opened(self) -> None:
        """The handshake is done."""

    def refused(self, answer: str) -> None:
        """The handshake failed."""
        raise RuntimeError(f"no WebSocket: {answer.splitlines()[0]}")


def text_frame(message: Any) -> bytes:
    """A server's text frame."""
    payload = message if isinstance(message, bytes) else str(message).encode()
    return head(TEXT, len(payload)) + payload
