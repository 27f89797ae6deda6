"""A browser without a network: talks to a site through its own channels, bytes in and bytes out."""

from dataclasses import dataclass
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionLost
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.python.log import err
from twisted.web.server import Site


@dataclass(frozen=True)
class Answer:
    """One parsed HTTP answer; header names are lower case, repeated ones joined with ", "."""

    status: int
    headers: dict[str, str]
    body: bytes
    is_complete: bool = True


class Wire(StringTransport):
    """A transport that knows whether it was closed or broken off, and what stands behind it."""

    def __init__(self, peer: str) -> None:
        super().__init__(peerAddress=IPv4Address("TCP", peer, 50000))
        self.protocol: Any = None
        self.is_closed = False
        self.is_broken = False

    def setTcpNoDelay(self, enabled: bool) -> None:
        """Nothing to do in memory."""

    def loseConnection(self) -> None:
        self.is_closed = self.disconnecting = True

    def abortConnection(self) -> None:
        self.is_broken = True
        try:
            self.protocol.connectionLost(Failure(ConnectionLost()))
        except Exception:
            err()  # as a reactor does


class Client:
    """One connection to a site."""

    def __init__(self, site: Site, peer: str = "192.0.2.1") -> None:
        self.transport = Wire(peer)
        self.channel = site.buildProtocol(self.transport.getPeer())
        self.transport.protocol = self.channel
        self.channel.makeConnection(self.transport)

    def send(self, data: bytes) -> None:
        """Raw bytes, to whoever has taken over the connection."""
        self.transport.protocol.dataReceived(data)

    def request(
        self, method: str, path: str, headers: dict[str, str] | None = None, body: bytes = b""
    ) -> Answer:
        """A whole request, and what was answered at once."""
        self.transport.clear()
        lines = [f"{method} {path} HTTP/1.1", "Host: gateway"]
        lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.send("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        return self.answer(method)

    def answer(self, method: str = "GET") -> Answer:
        """What has been answered so far to the last request."""
        return parse(self.transport.value(), method)

    def answers(self) -> list[Answer]:
        """Everything that was answered, all with lengths."""
        data, found = self.transport.value(), []
        while data:
            head, _, rest = data.partition(b"\r\n\r\n")
            length = int(parse(head + b"\r\n\r\n", "HEAD").headers.get("content-length", "0"))
            found.append(parse(head + b"\r\n\r\n" + rest[:length], "GET"))
            data = rest[length:]
        return found

    def hang_up(self) -> None:
        """The client is gone."""
        self.transport.protocol.connectionLost(Failure(ConnectionLost()))


def parse(data: bytes, method: str) -> Answer:
    """One HTTP answer out of its bytes; status 0 while there is none."""
    if not data:
        return Answer(0, {}, b"", is_complete=False)
    head, _, body = data.partition(b"\r\n\r\n")
    first, *lines = head.decode().split("\r\n")
    headers: dict[str, str] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        known = headers.get(name.lower())
        headers[name.lower()] = value if known is None else f"{known}, {value}"
    status = int(first.split()[1])
    if headers.get("transfer-encoding") == "chunked" and method != "HEAD":
        body, is_complete = _dechunked(body)
        return Answer(status, headers, body, is_complete)
    wanted = 0 if method == "HEAD" else int(headers.get("content-length", "0"))
    return Answer(status, headers, body, len(body) == wanted)


def _dechunked(data: bytes) -> tuple[bytes, bool]:
    pieces: list[bytes] = []
    at = 0
    while at < len(data):
        end = data.find(b"\r\n", at)
        if end < 0:
            break
        length, at = int(data[at:end], 16), end + 2
        if not length:
            return b"".join(pieces), True
        pieces.append(data[at : at + length])
        at += length + 2
    return b"".join(pieces), False
