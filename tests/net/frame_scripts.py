"""Random conversations over one WebSocket, for the frame lane and for Autobahn alone.

A script is made from its seed: which side we are, Autobahn's options, and steps: pieces of what the peer sends, cut
anywhere, and what our side does in between. ``play`` runs it against a protocol in memory and notes after each step
all that could be noticed from outside.
"""

import base64
import hashlib
import random
import struct
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from types import SimpleNamespace
from typing import Any
from unittest.mock import patch

from autobahn.twisted.websocket import (
    WebSocketClientFactory,
    WebSocketClientProtocol,
    WebSocketServerFactory,
    WebSocketServerProtocol,
)
from autobahn.websocket import protocol as autobahn_protocol
from autobahn.websocket.compress import (
    PerMessageDeflateOffer,
    PerMessageDeflateOfferAccept,
    PerMessageDeflateResponse,
    PerMessageDeflateResponseAccept,
)
from twisted.internet.address import IPv4Address
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.python.failure import Failure
from txaio.tx import config as txaio_config

from waav.net import frames
from waav.net.frames import FrameLane

Step = tuple[Any, ...]

MAGIC = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"  # RFC 6455 1.3
DEFLATE = "Sec-WebSocket-Extensions: permessage-deflate"
DIAGNOSES = {
    "logOctets",
    "logFrames",
    "trackTimings",
}  # options without a place in setProtocolOptions
WORDS = ("a", "word", "Zürich", "日本語", "🎙", "\x00", "e\u0301", "\U0010ffff")
NOT_UTF8 = (
    b"\xff",
    b"\xc3",
    b"\xed\xa0\x80",  # half of a surrogate pair
    b"\xc0\xaf",  # longer than needed
    b"\xf4\x90\x80\x80",  # past the last code point
    b"\xe6\x97",
    b"ok \x80",
)


# What the peer sends.


def frame(
    payload: bytes = b"",
    first: int = 0x82,
    mask: bytes | None = None,
    *,
    form: int = 0,
    claims: int | None = None,
) -> bytes:
    """A frame, right or wrong.

    Args:
        payload: what is in it.
        first: FIN, RSV and opcode.
        mask: masking key; None for none.
        form: 7, 16 or 64 bits of length; 0 for the shortest possible.
        claims: the length it gives, where that is not the payload's.
    """
    length = len(payload) if claims is None else claims
    bit = 0 if mask is None else 0x80
    if not form:
        form = 7 if length < 126 else 16 if length < 65536 else 64
    if form == 7:
        head = struct.pack("!BB", first, bit | length)
    elif form == 16:
        head = struct.pack("!BBH", first, bit | 126, length)
    else:
        head = struct.pack("!BBQ", first, bit | 127, length)
    return head if mask is None and not payload else head + (mask or b"") + masked(payload, mask)


def masked(payload: bytes, mask: bytes | None) -> bytes:
    """RFC 6455 5.3, byte by byte."""
    if mask is None:
        return payload
    return bytes(byte ^ mask[at % 4] for at, byte in enumerate(payload))


@dataclass(frozen=True)
class Script:
    """What happens on one connection."""

    seed: int
    is_server: bool
    options: tuple[tuple[str, Any], ...]
    is_deflating: bool
    steps: tuple[Step, ...]
    reactions: tuple[tuple[int, str], ...]
    """What our side does while it is told its nth message."""

    def __str__(self) -> str:
        side = "server" if self.is_server else "client"
        deflate = ", permessage-deflate" if self.is_deflating else ""
        lines = [f"WAAV_SEED={self.seed} WAAV_SCRIPTS=1: {side}{deflate}"]
        lines += [f"  option {name} = {value!r}" for name, value in self.options]
        lines += [f"  at message {number}: {what}" for number, what in self.reactions]
        return "\n".join(lines + [f"  {_short(step)}" for step in self.steps])


def _short(step: Step) -> str:
    return " ".join(
        f"{len(each)} bytes {each[:40].hex(' ')}" if isinstance(each, bytes) else repr(each)
        for each in step
    )


class _Author:
    """Writes one script."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.dice = random.Random(seed)
        self.is_server = self.dice.random() < 0.5
        self.is_deflating = self.dice.random() < 0.15
        self.fault = self.dice.choice((0.0, 0.03, 0.03, 0.3))
        self.deflater = zlib.compressobj(wbits=-15)
        self.options = dict(self._options())

    def script(self) -> Script:
        dice = self.dice
        said = [self._said() for _ in range(dice.randint(1, 14))]
        reactions = [
            (number, dice.choice(("echo", "echo", "ping", "close", "drop", "begin", "end")))
            for number in range(12)
            if dice.random() < 0.12
        ]
        return Script(
            self.seed,
            self.is_server,
            tuple(self.options.items()),
            self.is_deflating,
            tuple(self._mixed(list(self._cut(b"".join(said), said)))),
            tuple(reactions),
        )

    def _options(self) -> Iterator[tuple[str, Any]]:
        dice = self.dice
        yield "failByDrop", dice.random() < 0.5
        yield "maxFramePayloadSize", dice.choice((0, 0, 0, 10, 125, 126, 640, 65535))
        yield "maxMessagePayloadSize", dice.choice((0, 0, 0, 10, 126, 640, 65535, 70000))
        yield "closeHandshakeTimeout", dice.choice((0, 1))
        yield "openHandshakeTimeout", 0
        if dice.random() < 0.2:
            yield "autoPingInterval", dice.choice((0.5, 2))
            yield "autoPingTimeout", dice.choice((0, 1))
            yield "autoPingSize", dice.choice((12, 50))
            yield "autoPingRestartOnAnyTraffic", dice.random() < 0.7
        if dice.random() < 0.05:
            yield "applyMask", False
        if dice.random() < 0.1:
            yield "utf8validateIncoming", False
        if dice.random() < 0.1:
            yield "autoFragmentSize", dice.choice((1, 50))
        if dice.random() < 0.1:
            yield "echoCloseCodeReason", True
        if dice.random() < 0.05:
            yield dice.choice(sorted(DIAGNOSES)), True
        if self.is_server:
            yield "requireMaskedClientFrames", dice.random() < 0.8
            yield "maskServerFrames", dice.random() < 0.1
        else:
            yield "acceptMaskedServerFrames", dice.random() < 0.2
            yield "maskClientFrames", dice.random() < 0.9
            yield "serverConnectionDropTimeout", dice.choice((0, 1))

    # Frames.

    def _said(self) -> bytes:
        dice = self.dice
        if dice.random() < self.fault:
            return self._wrong()
        kind = dice.random()
        if kind < 0.68:
            return self._whole()
        if kind < 0.80:
            return self._control()
        if kind < 0.93:
            return self._fragments()
        if kind < 0.96 and self.is_deflating:
            return self._deflated()
        return self._goodbye() if kind > 0.98 else self._whole()

    def _mask(self) -> bytes | None:
        is_masked = self.is_server
        if self.dice.random() < 0.02:
            is_masked = not is_masked
        if not is_masked:
            return None
        return bytes(4) if self.dice.random() < 0.05 else self.dice.randbytes(4)

    def _size(self) -> int:
        dice = self.dice
        limits = [self.options["maxFramePayloadSize"], self.options["maxMessagePayloadSize"]]
        sizes = [0, 1, 2, 125, 126, 127, 640, 640, 1300, dice.randint(0, 300)]
        sizes += [limit + dice.choice((0, 0, -1)) for limit in limits if limit]
        if dice.random() < 0.05:
            sizes += [65535, 65536, 65537] * 5
        size: int = dice.choice(sizes)
        # Scripts in which nothing fits would be over at once.
        fits = [size, *(limit for limit in limits if limit)]
        return size if dice.random() < 0.03 else min(fits)

    def _payload(self, is_text: bool) -> bytes:
        size = self._size()
        if not is_text:
            return self.dice.randbytes(size)
        text = b""
        while len(text) < size and len(text) < 400:
            text += self.dice.choice(WORDS).encode()
        while len(text.decode(errors="replace").encode()) > size:
            text = text[:size].decode(errors="ignore").encode()
        return text + b"x" * (size - len(text))

    def _whole(self) -> bytes:
        is_text = self.dice.random() < 0.4
        return frame(self._payload(is_text), 0x81 if is_text else 0x82, self._mask())

    def _control(self) -> bytes:
        size = self.dice.choice((0, 0, 4, 12, 125))
        return frame(self.dice.randbytes(size), self.dice.choice((0x89, 0x8A)), self._mask())

    def _fragments(self) -> bytes:
        dice = self.dice
        is_text = dice.random() < 0.5
        whole = self._payload(is_text)
        if is_text and dice.random() < self.fault:
            whole += dice.choice(NOT_UTF8)
        cuts = sorted(dice.randint(0, len(whole)) for _ in range(dice.randint(1, 4)))
        pieces = [whole[at:to] for at, to in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
        said = b""
        for number, piece in enumerate(pieces):
            opcode = 0 if number else 1 if is_text else 2
            fin = 0x80 if number == len(pieces) - 1 else 0
            said += frame(piece, fin | opcode, self._mask())
            if not fin and dice.random() < 0.3:
                said += self._control()
        if dice.random() < 0.05:
            said += frame(b"more", 0x80, self._mask())
        return said

    def _deflated(self) -> bytes:
        is_text = self.dice.random() < 0.5
        payload = self._payload(is_text)
        packed = self.deflater.compress(payload) + self.deflater.flush(zlib.Z_SYNC_FLUSH)
        return frame(packed[:-4], 0xC1 if is_text else 0xC2, self._mask())

    def _goodbye(self) -> bytes:
        dice = self.dice
        code = dice.choice((1000, 1000, 1001, 1007, 1011, 3000, 4999, 999, 1005, 1006, 2999, 5000))
        reason = dice.choice((b"", b"bye", "grüezi".encode(), b"\xff\xfe", b"x" * 123))
        body = dice.choice((b"", b"\x03", code.to_bytes(2, "big") + reason))
        return frame(body, 0x88, self._mask())

    def _wrong(self) -> bytes:
        dice = self.dice
        mask, small = self._mask(), dice.randbytes(dice.randint(0, 20))
        kinds: list[Callable[[], bytes]] = [
            lambda: frame(small, dice.choice((0x91, 0xA2, 0xC1, 0xC2, 0xD2, 0xF1, 0xC9)), mask),
            lambda: frame(small, dice.choice((0x83, 0x87, 0x8B, 0x8F, 0x03)), mask),
            lambda: frame(small, 0x82, None if self.is_server else dice.randbytes(4)),
            lambda: frame(small, dice.choice((0x81, 0x82)), mask, form=16),
            lambda: frame(dice.randbytes(200), 0x82, mask, form=64),
            lambda: frame(b"", dice.choice((0x81, 0x82)), mask, form=16, claims=125),
            lambda: frame(small, 0x82, mask, form=64, claims=dice.choice((1 << 63, 1 << 40))),
            lambda: frame(small, 0x89, mask, form=16, claims=dice.choice((126, 5))),
            lambda: frame(small, dice.choice((0x09, 0x08)), mask),
            lambda: frame(small, dice.choice((0x80, 0x00)), mask),
            lambda: frame(small, 0x02, mask) + frame(small, dice.choice((0x81, 0x82, 0x01)), mask),
            lambda: frame(
                b"fine " + dice.choice(NOT_UTF8) + dice.choice((b"", b" on")), 0x81, mask
            ),
            lambda: frame(b"fine " + dice.choice((b"\xc3", b"\xe6\x97")), 0x81, mask),
            lambda: frame(b"", 0x82, mask, claims=dice.choice((65536, 70001, 641, 65535))),
            lambda: dice.randbytes(dice.randint(1, 30)),
            self._goodbye,
        ]
        return dice.choice(kinds)()

    # Steps.

    def _cut(self, stream: bytes, said: list[bytes]) -> Iterator[Step]:
        dice = self.dice
        manner = dice.random()
        if manner < 0.05 and len(stream) < 400:
            sizes: Iterator[int] = iter([1] * len(stream))
        elif manner < 0.4:
            sizes = iter([len(each) for each in said])
        elif manner < 0.65:
            sizes = (max(1, len(each) + dice.choice((-2, -1, 0, 0, 1, 3))) for each in said)
        else:
            most = dice.choice((3, 10, 200, 1500, 4096, 100000))
            sizes = (dice.randint(1, most) if dice.random() < 0.8 else 1 for _ in iter(int, 1))
        at, count = 0, 0
        for size in sizes:
            if at >= len(stream) or count >= 400:
                break
            yield ("in", stream[at : at + size])
            at, count = at + size, count + 1
        if at < len(stream):
            yield ("in", stream[at:])

    def _mixed(self, pieces: list[Step]) -> Iterator[Step]:
        density = min(0.3, 4 / (1 + len(pieces)))
        for piece in pieces:
            yield piece
            while self.dice.random() < density:
                yield self._ours()
        while self.dice.random() < 0.5:
            yield self._ours()
        yield ("lost", self.dice.random() < 0.5)

    def _ours(self) -> Step:
        dice = self.dice
        is_binary = dice.random() < 0.6
        payload = self._payload(not is_binary)
        kind = dice.random()
        if kind < 0.40:
            if dice.random() < 0.05:
                payload = bytes(dice.choice((65535, 65536, 70001)))
            return ("send", payload, is_binary, {})
        if kind < 0.48:
            extra = dice.choice(({"fragmentSize": 3}, {"sync": True}, {"doNotCompress": True}))
            return ("send", payload[:200], is_binary, extra)
        if kind < 0.58:
            several = [self._payload(False)[:2000] for _ in range(dice.randint(0, 4))]
            if dice.random() < 0.2:
                several.insert(0, bytes(dice.choice((126, 1000, 65536))))
            return ("several", several)
        if kind < 0.66:
            return ("ping", dice.randbytes(dice.choice((0, 5, 125, 126))))
        if kind < 0.76:
            part = dice.choice(("begin", "part", "part", "end", "end"))
            return (part, payload[:300]) if part == "part" else (part,)
        if kind < 0.80:
            return ("prepared", payload, is_binary)
        if kind < 0.84:
            code = dice.choice((None, 1000, 3000, 1011))
            return ("close", code, None if code is None else dice.choice((None, "bye", "ü" * 80)))
        if kind < 0.85:
            return ("drop", dice.random() < 0.5)
        return ("wait", dice.choice((0.00001, 0.4, 0.6, 1.1, 2.5)))


def written(seed: int) -> Script:
    """The script of a seed."""
    return _Author(seed).script()


# Both protocols.


class Told:
    """Notes what the application is told, and does what the script says then."""

    reactions: dict[int, str]
    is_tracking: bool
    setTrackTimings: Callable[[bool], None]
    count = 0
    by_autobahn = 0

    def prepare(self, script: Script) -> None:
        self.told: list[Any] = []
        self.reactions = dict(script.reactions)
        self.is_tracking = ("trackTimings", True) in script.options

    def onConnect(self, _: Any) -> None:
        self.told.append("connect")
        if self.is_tracking:
            # The option by itself does nothing in Autobahn 26.10.
            self.setTrackTimings(True)

    def onOpen(self) -> None:
        self.told.append("open")

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.told.append(("message", type(payload).__name__, payload, isBinary))
        what = self.reactions.get(self.count)
        self.count += 1
        if what is not None:
            act(self, REACTIONS[what](payload[:200], isBinary))

    def onMessageEnd(self) -> None:
        self.by_autobahn += 1
        super().onMessageEnd()  # type: ignore[misc]

    def onPing(self, payload: bytes) -> None:
        self.told.append(("ping", payload))
        super().onPing(payload)  # type: ignore[misc]

    def onPong(self, payload: bytes) -> None:
        self.told.append(("pong", payload))

    def logRxOctets(self, data: bytes) -> None:
        self.told.append(("octets in", data))

    def logTxOctets(self, data: bytes, sync: bool) -> None:
        self.told.append(("octets out", data, sync))

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        self.told.append(("closed", wasClean, code, reason))


REACTIONS: dict[str, Callable[[bytes, bool], Step]] = {
    "echo": lambda payload, is_binary: ("send", payload, is_binary, {}),
    "ping": lambda payload, is_binary: ("ping", payload[:20]),
    "close": lambda payload, is_binary: ("close", 1000, "enough"),
    "drop": lambda payload, is_binary: ("drop", True),
    "begin": lambda payload, is_binary: ("begin",),
    "end": lambda payload, is_binary: ("end",),
}


# By their names, which errors quote, the fast and the stock protocol cannot be told apart.
KINDS: dict[tuple[bool, bool], type[Any]] = {
    (is_fast, is_server): type(
        "Server" if is_server else "Client",
        (
            Told,
            *((FrameLane,) if is_fast else ()),
            WebSocketServerProtocol if is_server else WebSocketClientProtocol,
        ),
        {},
    )
    for is_fast in (True, False)
    for is_server in (True, False)
}


class Wire:
    """A transport that keeps what it is asked for."""

    disconnecting = False

    def __init__(self) -> None:
        self.written: list[bytes] = []
        self.asked: list[str] = []

    def write(self, data: bytes) -> None:
        self.written.append(data)

    def loseConnection(self) -> None:
        self.asked.append("lose")

    def abortConnection(self) -> None:
        self.asked.append("abort")

    def unregisterProducer(self) -> None:
        self.asked.append("unregister")

    def setTcpNoDelay(self, is_on: bool) -> None:
        pass

    def getPeer(self) -> IPv4Address:
        return IPv4Address("TCP", "127.0.0.1", 9)

    getHost = getPeer

    def getHandle(self) -> None:
        return None


class Keys:
    """Masking keys and other random bytes, the same ones in the same order for both protocols."""

    def __init__(self) -> None:
        self._dice = random.Random(5)

    def seed(self) -> None:
        """Autobahn's factories ask for it."""

    def getrandbits(self, count: int) -> int:
        return self._dice.getrandbits(count)

    def next(self) -> bytes:
        return struct.pack("!I", self._dice.getrandbits(32))

    def urandom(self, count: int) -> bytes:
        return self._dice.randbytes(count)


class Connection:
    """One of our protocols on a wire, after its handshake."""

    def __init__(self, script: Script, protocol: type[Any]) -> None:
        self.clock = Clock()
        if script.is_server:
            self.factory: Any = WebSocketServerFactory(reactor=self.clock)
        else:
            self.factory = WebSocketClientFactory("ws://localhost/", reactor=self.clock)
        self.factory.protocol = protocol
        options = dict(script.options)
        for name in DIAGNOSES & options.keys():
            is_on = options.pop(name) and name != "trackTimings"
            setattr(self.factory, name, is_on)
        self.factory.setProtocolOptions(**options, **self._compression(script))
        self.factory._batched_timer = SimpleNamespace(call_later=self.clock.callLater)
        self.wire = Wire()
        self.protocol: Any = self.factory.buildProtocol(None)
        self.protocol.prepare(script)
        self.protocol.transport = self.wire

    def open(self, script: Script) -> None:
        """The opening handshake."""
        self.protocol.connectionMade()
        extension = f"{DEFLATE}\r\n" if script.is_deflating else ""
        if script.is_server:
            head = (
                "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Version: 13\r\n"
            )
        else:
            asked = b"".join(self.wire.written)
            key = asked.partition(b"Sec-WebSocket-Key: ")[2].partition(b"\r\n")[0]
            accept = base64.b64encode(hashlib.sha1(key + MAGIC).digest()).decode()
            head = (
                "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                f"Connection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n"
            )
        self.protocol.dataReceived(f"{head}{extension}\r\n".encode())

    @staticmethod
    def _compression(script: Script) -> dict[str, Any]:
        if not script.is_deflating:
            return {}
        if script.is_server:
            return {"perMessageCompressionAccept": lambda offers: _accept_offer(offers)}
        return {
            "perMessageCompressionOffers": [PerMessageDeflateOffer()],
            "perMessageCompressionAccept": lambda response: _accept_response(response),
        }


def _accept_offer(offers: list[Any]) -> Any:
    return PerMessageDeflateOfferAccept(offers[0])


def _accept_response(response: Any) -> Any:
    assert isinstance(response, PerMessageDeflateResponse)
    return PerMessageDeflateResponseAccept(response)


def act(protocol: Any, step: Step) -> None:
    """One step of our side; what it raises is noted."""
    try:
        _act(protocol, *step)
    except Exception as error:
        protocol.told.append(("raised", type(error).__name__, str(error)))


def _act(protocol: Any, kind: str, *rest: Any) -> None:
    match kind:
        case "send":
            protocol.sendMessage(rest[0], rest[1], **rest[2])
        case "several" if isinstance(protocol, FrameLane):
            protocol.send_binaries(rest[0])
        case "several":
            for payload in rest[0]:
                protocol.sendMessage(payload, True)
        case "ping":
            protocol.sendPing(rest[0])
        case "begin":
            protocol.beginMessage(isBinary=True)
        case "part":
            protocol.sendMessageFrame(rest[0])
        case "end":
            protocol.endMessage()
        case "prepared":
            protocol.sendPreparedMessage(protocol.factory.prepareMessage(rest[0], rest[1]))
        case "close":
            protocol.sendClose(*rest)
        case "drop":
            protocol.dropConnection(abort=rest[0])
        case "lost":
            protocol.connectionLost(Failure(ConnectionDone() if rest[0] else ConnectionLost()))
        case _:
            raise AssertionError(kind)


FIELDS = [
    *("state", "send_state", "wasClean", "wasNotCleanReason"),
    *("closedByMe", "failedByMe", "droppedByMe"),
    *("localCloseCode", "localCloseReason", "remoteCloseCode", "remoteCloseReason"),
    *("wasMaxFramePayloadSizeExceeded", "wasMaxMessagePayloadSizeExceeded"),
    *("autoPingPending", "autoPingPendingSeq", "triggered"),
]


@dataclass(frozen=True)
class Noticed:
    """What one step led to."""

    told: tuple[Any, ...]
    written: bytes
    asked: tuple[str, ...]
    fields: tuple[Any, ...]
    tracked: tuple[str, ...]
    timers: tuple[float, ...]


@dataclass(frozen=True)
class Played:
    """How a script went."""

    noticed: list[Noticed]
    messages: int
    by_autobahn: int
    """How many of the messages came through Autobahn; all, or one by one, where the lane could not take them."""

    @property
    def codes(self) -> set[int]:
        """The codes with which our side began to close."""
        at = FIELDS.index("localCloseCode")
        return {each.fields[at] for each in self.noticed if each.fields[at] is not None}

    @property
    def faults(self) -> set[str]:
        """What our side found fault with, and what our own calls raised."""
        at = FIELDS.index("wasNotCleanReason")
        return {str(each.fields[at]) for each in self.noticed if each.fields[at] is not None} | {
            one[1] for each in self.noticed for one in each.told if one[0] == "raised"
        }


def play(script: Script, is_fast: bool) -> Played:
    """Run a script against the fast lane, or Autobahn alone."""
    keys = Keys()
    connection = Connection(script, KINDS[is_fast, script.is_server])
    clock, protocol = connection.clock, connection.protocol
    now = SimpleNamespace(time_ns=lambda: int(clock.seconds() * 1e9), time=clock.seconds)
    with (
        patch.object(autobahn_protocol, "random", keys),
        patch.object(autobahn_protocol, "os", keys),
        patch.object(autobahn_protocol, "time", now),
        patch.object(frames, "_next_key", keys.next),
        patch.object(txaio_config, "loop", clock),
    ):
        connection.open(script)
        noticed = [_noticed(connection)]
        for step in script.steps:
            if step[0] == "in":
                protocol.dataReceived(step[1])
            elif step[0] == "wait":
                clock.advance(step[1])
            else:
                act(protocol, step)
            noticed.append(_noticed(connection))
    return Played(noticed, protocol.count, protocol.by_autobahn)


def _noticed(connection: Connection) -> Noticed:
    protocol, wire = connection.protocol, connection.wire
    noticed = Noticed(
        tuple(protocol.told),
        b"".join(wire.written),
        tuple(wire.asked),
        tuple(getattr(protocol, name) for name in FIELDS),
        tuple(protocol.trackedTimings or ()),
        tuple(sorted(call.getTime() for call in connection.clock.getDelayedCalls())),
    )
    protocol.told.clear()
    wire.written.clear()
    wire.asked.clear()
    return noticed


def shorter(script: Script, is_wrong: Callable[[Script], bool]) -> Script:
    """The script without the steps and reactions that do not matter for what is wrong."""
    for number in reversed(range(len(script.reactions))):
        less = script.reactions[:number] + script.reactions[number + 1 :]
        if is_wrong(candidate := replace(script, reactions=less)):
            script = candidate
    for number in reversed(range(len(script.steps))):
        steps = script.steps[:number] + script.steps[number + 1 :]
        if is_wrong(candidate := replace(script, steps=steps)):
            script = candidate
    return script
