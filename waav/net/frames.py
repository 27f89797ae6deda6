"""The fast lane of WebSocket frames (RFC 6455 section 5), in front of Autobahn.

Nearly every frame of a call is a whole message in one unfragmented data frame. Those are read and built here, in
as few steps as Python allows. All else goes to Autobahn as it came: the handshake, control frames, fragments,
compressed and oversized frames, everything that breaks the protocol. So Autobahn alone decides about errors,
limits and closing.

Autobahn's ``trafficStats`` count neither what the lane reads nor what it writes.
"""

from os import urandom
from struct import Struct
from typing import Any, Final

try:
    from websockets.speedups import apply_mask
except ImportError:  # no compiled module for this platform
    from websockets.utils import apply_mask

LARGEST_BYTES: Final = 0xFFFF
"""Payloads up to this size have a length of two bytes; larger ones are Autobahn's."""

_OPEN: Final = 3  # WebSocketProtocol.STATE_OPEN
_TEXT: Final = 0x81
_BINARY: Final = 0x82
_MASKED: Final = 0x80
_LENGTH_16: Final = 126

_short_head: Final = Struct("!BB").pack
_long_head: Final = Struct("!BBH").pack

_KEYS_BYTES: Final = 4096
"""Masking keys are drawn from the system's random numbers in batches: a call to the kernel for each costs more than
masking does. RFC 6455 5.3 asks for keys that cannot be foreseen."""


class _Keys:
    """Masking keys, each used once."""

    def __init__(self) -> None:
        self._drawn = b""
        self._at = 0

    def next(self) -> bytes:
        """Four random bytes."""
        at = self._at
        if at >= len(self._drawn):
            self._drawn, at = urandom(_KEYS_BYTES), 0
        self._at = at + 4
        return self._drawn[at : at + 4]


_next_key = _Keys().next


def _let_go(connection: object) -> None:
    """For a Deferred whose result nobody wants."""


class FrameLane:
    """Put in front of Autobahn's ``WebSocketServerProtocol`` or ``WebSocketClientProtocol`` among the bases.

    The application sees no difference, with three exceptions: functions registered for Autobahn's signal ``message``
    are not called; the steps on the way to ``onMessage`` (``onMessageBegin`` and the like) are called for messages
    that came through Autobahn only; Autobahn's options are read once, when the connection opens. ``frame`` and
    ``send_binaries`` are this class's own.
    """

    # Autobahn's, which has no annotations.
    factory: Any
    transport: Any
    state: int
    data: bytes
    current_frame: Any
    inside_message: bool
    message_data: Any
    message_is_binary: bool
    send_queue: Any
    failedByMe: bool
    autoPingTimeoutCall: Any
    trackedTimings: Any
    logOctets: bool
    STATE_OPEN: int

    # On the class: Autobahn 26.10 reads it before it copies its factory's options, and swallows the error.
    tcpNoDelay = True

    _rest = b""  # the beginning of a frame that is not complete
    _late: list[bytes] | None = None  # what arrives while a read is being worked through
    _can_read = _can_write = False
    _mask_bit = 0
    _limit = 0

    def _enter_lane(self) -> None:
        """The handshake is done: find out what may be read and written without Autobahn."""
        lane: Any = self
        is_server: bool = self.factory.isServer
        self._mask_bit = _MASKED if is_server else 0
        limits = (LARGEST_BYTES, lane.maxFramePayloadSize, lane.maxMessagePayloadSize)
        self._limit = min(limit for limit in limits if limit > 0)
        is_plain = bool(lane.applyMask and not lane.logFrames)
        is_plain = is_plain and self.trackedTimings is None and not self.logOctets
        self._can_read = is_plain
        is_masked = lane.maskServerFrames if is_server else lane.maskClientFrames
        self._can_write = (
            is_plain
            and lane._perMessageCompress is None
            and bool(is_masked) is not is_server
            and lane.autoFragmentSize == 0
        )

    def _connectionMade(self) -> None:
        """Autobahn's: TCP is there. It copies its factory's options, and writes all of them out for a debug line
        that nobody reads: a sixth of the cost of a new call."""
        lane: Any = self
        for name in lane.CONFIG_ATTRS:
            if not hasattr(lane, name):
                setattr(lane, name, getattr(self.factory, name))
        lane.CONFIG_ATTRS = ()
        # It fires with the connection itself, which it would then keep alive, and be kept by.
        lane.is_closed.addCallback(_let_go)
        super()._connectionMade()  # type: ignore[misc]

    def _onOpen(self) -> None:
        """Autobahn's: the connection is open."""
        self._enter_lane()
        super()._onOpen()  # type: ignore[misc]

    # In.

    def dataReceived(self, data: bytes) -> None:
        """Bytes from the peer."""
        if self._late is not None:
            self._late.append(data)
            return
        if not self._can_read:
            self._dataReceived(data)
            return
        late: list[bytes] = []
        self._late = late
        try:
            self._read(data)
            while late:
                self._read(late.pop(0))
        finally:
            self._late = None

    def _read(self, data: bytes) -> None:
        if (
            self.current_frame is not None
            or self.inside_message
            or self.data
            or self.autoPingTimeoutCall is not None
        ):
            self._to_autobahn(data)
            return
        was_waiting = self._rest
        if was_waiting:
            data = was_waiting + data
            self._rest = b""
        at, end, mask_bit = 0, len(data), self._mask_bit
        while end - at >= 2 and self.state == _OPEN:
            opcode, length = data[at], data[at + 1]
            if (opcode != _BINARY and opcode != _TEXT) or length & _MASKED != mask_bit:
                break
            length &= 0x7F
            start = at + 2
            if length >= _LENGTH_16:
                if length != _LENGTH_16 or end < at + 4:
                    break
                length = data[at + 2] << 8 | data[at + 3]
                if length < _LENGTH_16:
                    break
                start = at + 4
            if length > self._limit:
                break
            if mask_bit:
                start += 4
            stop = start + length
            if stop > end:
                break
            payload = data[start:stop]
            if mask_bit:
                payload = apply_mask(payload, data[start - 4 : start])
            if opcode == _TEXT:
                try:
                    payload.decode()
                except UnicodeDecodeError:
                    break
            at = stop
            self.onMessage(payload, opcode == _BINARY)
        if at == end:
            return
        data = data[at:]
        # A frame may wait here for one more read; should that not complete it, Autobahn takes it in bit by bit.
        if (was_waiting and not at) or not self._is_incomplete(data):
            self._to_autobahn(data)
        else:
            self._rest = data

    def _is_incomplete(self, data: bytes) -> bool:
        """Whether ``data`` is the beginning of a frame for the fast lane, as far as one can tell."""
        if self.state != _OPEN or data[0] not in (_BINARY, _TEXT):
            return False
        if len(data) < 2:
            return True
        length = data[1] & 0x7F
        if data[1] & _MASKED != self._mask_bit or length > _LENGTH_16:
            return False
        head = 2 + (4 if self._mask_bit else 0)
        if length == _LENGTH_16:
            if len(data) < 4:
                return True
            head, length = head + 2, data[2] << 8 | data[3]
            if length < _LENGTH_16:
                return False
        # Autobahn looks at each piece of a text as it comes: what is not UTF-8 ends the connection at once.
        whole = head + (length if data[0] == _BINARY else 1)
        return length <= self._limit and len(data) < whole

    def _to_autobahn(self, data: bytes) -> None:
        rest, self._rest = self._rest, b""
        self._dataReceived(rest + data if rest else data)

    def onMessageEnd(self) -> None:
        """A message that came through Autobahn; its listeners, told through Deferreds, are left out."""
        if self.trackedTimings is not None and not self.failedByMe:
            self.trackedTimings.track("onMessage")
        pieces, self.message_data = self.message_data, None
        if not self.failedByMe:
            self.onMessage(b"".join(pieces), self.message_is_binary)

    # Out.

    def sendMessage(
        self,
        payload: bytes,
        isBinary: bool = False,
        fragmentSize: int | None = None,
        sync: bool = False,
        doNotCompress: bool = False,
    ) -> None:
        """Autobahn's: send one message.

        Raises:
            Disconnected: the connection is not open.
        """
        if self._is_free(payload) and fragmentSize is None and not sync:
            self.transport.write(self.frame(payload, isBinary))
        else:
            super().sendMessage(payload, isBinary, fragmentSize, sync, doNotCompress)  # type: ignore[misc]

    def send_binaries(self, payloads: list[bytes]) -> None:
        """Send several binary messages in one write.

        Raises:
            Disconnected: the connection is not open.
        """
        if payloads and self._is_free(max(payloads, key=len)):
            frame = self.frame
            self.transport.write(b"".join([frame(payload, True) for payload in payloads]))
        else:
            for payload in payloads:
                self.sendMessage(payload, True)

    def write_binary(self, payload: bytes) -> bool:
        """Send a binary message if nothing stands in the way; whether it was sent.

        The same as ``sendMessage`` otherwise, in one step: for audio.
        """
        length = len(payload)
        if (
            not self._can_write
            or self.state != _OPEN
            or self.send_queue
            or not _LENGTH_16 <= length <= self._limit
        ):
            return False
        if self._mask_bit:
            self.transport.write(_long_head(_BINARY, _LENGTH_16, length) + payload)
        else:
            key = _next_key()
            head = _long_head(_BINARY, _MASKED | _LENGTH_16, length)
            self.transport.write(head + key + apply_mask(payload, key))
        return True

    def _is_free(self, payload: bytes) -> bool:
        """Whether nothing of Autobahn's stands in the way of a frame."""
        return (
            self._can_write
            and self.state == _OPEN
            and not self.send_queue
            and len(payload) <= self._limit
        )

    def frame(self, payload: bytes, is_binary: bool) -> bytes:
        """One whole data frame, masked where we are the client."""
        opcode = _BINARY if is_binary else _TEXT
        length = len(payload)
        client_bit = self._mask_bit ^ _MASKED
        if length < _LENGTH_16:
            head = _short_head(opcode, client_bit | length)
        else:
            head = _long_head(opcode, client_bit | _LENGTH_16, length)
        if client_bit:
            key = _next_key()
            return head + key + apply_mask(payload, key)
        return head + payload

    def sendData(self, data: bytes, sync: bool = False, chopsize: int | None = None) -> None:
        """Autobahn's: write; as it does, but without building the arguments of a debug line first."""
        if sync or chopsize or self.send_queue or self.logOctets:
            super().sendData(data, sync, chopsize)  # type: ignore[misc]
        else:
            self.transport.write(data)

    # Declared for type checkers; Autobahn, or who inherits from both, has them.

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """A whole message."""
        super().onMessage(payload, isBinary)  # type: ignore[misc]

    def _dataReceived(self, data: bytes) -> None:
        super()._dataReceived(data)  # type: ignore[misc]
