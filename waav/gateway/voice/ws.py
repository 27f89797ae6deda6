"""``/ws``: the WebSocket that a caller's messages and audio come and go by.

Autobahn speaks RFC 6455; this module sets its limits, watches the connection and hands complete messages to a
``Caller``. It is mounted behind ``waav.gateway.http.site``, which checks limits and origin before the upgrade.
"""

import time
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any, Final

from autobahn.twisted.resource import WebSocketResource
from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from autobahn.util import encode_truncate
from autobahn.websocket.types import ConnectionRequest
from twisted.internet.error import ConnectionDone
from twisted.internet.interfaces import IAddress, IDelayedCall, IPushProducer
from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from zope.interface import implementer

from waav.gateway.admission.live import GOING_AWAY, LiveConnections
from waav.gateway.admission.slots import Slot
from waav.gateway.settings import WebSocketSettings
from waav.gateway.voice import messages
from waav.gateway.voice.activity import Activity
from waav.gateway.voice.caller import LIVEKIT_URL, Caller, OpenSession
from waav.net.frames import FrameLane
from waav.session.outlet import Outlet
from waav.session.session import Session
from waav.session.world import World
from waav.tasks import Tasks

FRAME_MAX_BYTES: Final = 10 * 1024 * 1024

CONTINUATION: Final = 0  # the opcode of every frame of a message but the first

FRAMES_MAX: Final = 4096
"""Frames of one message. Empty ones would fill the memory without ever counting as bytes."""

NORMAL: Final = 1000
TOO_BIG: Final = 1009
INTERNAL_ERROR: Final = 1011

DRAIN_S: Final = 0.5
"""How long what was queued may take to leave after the end."""

CLOSE_REPLY_S: Final = 2.0
"""How long the caller's half of a closing handshake that we began may take; he may be far away."""

PIECE_BYTES: Final = 4096
"""Bytes of one caller that are worked through before anybody looks at the clock."""

TURN_S: Final = 0.01
"""How long one caller's messages are worked through before the others get their turn. One read of the smallest
messages there are could keep everybody waiting for half a second."""

IDLE: Final = "Connection closed due to inactivity"


class VoiceProtocol(FrameLane, WebSocketServerProtocol):  # type: ignore[misc]  # Autobahn contradicts itself
    """One connection to ``/ws``."""

    _log = Logger()

    factory: "VoiceFactory"
    transport: Any  # a transport that is also a consumer and a producer
    slot: Slot | None = None
    address: str = ""

    _caller: Caller | None = None
    _activity: Activity | None = None
    _abort_timer: IDelayedCall | None = None
    _next_turn: IDelayedCall | None = None
    _left: Failure | None = (
        None  # why the connection ended, while messages still wait for their turn
    )
    _is_full = _is_held = _is_in_turn = False
    _why = ""  # it ends, for the figures; the first reason counts
    _frames = 0  # of the message that is coming in

    # Coming and going.

    def connectionMade(self) -> None:
        """Take over the transport; twisted.web's HTTPChannel is still registered as its producer."""
        self._unread: deque[bytes] = deque()
        self.factory.calls.add(self)
        try:
            self.transport.unregisterProducer()
        except RuntimeError:
            pass  # Some transports refuse where nothing is registered.
        self.transport.registerProducer(_Tap(self), True)
        super().connectionMade()

    def onConnect(self, request: ConnectionRequest) -> None:
        """Any caller is welcome here; no subprotocol is chosen."""

    def onOpen(self) -> None:
        """The upgrade is complete. Autobahn would swallow what goes wrong here."""
        try:
            self._caller = self.factory.caller(self)
            self._activity = self.factory.activity(self)
        except Exception:
            self._log.failure("a connection could not be served")
            self.close(INTERNAL_ERROR, "internal error")

    def onCloseFrame(self, code: int, reasonRaw: bytes) -> bool | None:
        """The caller says goodbye. What he does not take now is not held for him for ever."""
        self._why = self._why or "caller"
        result: bool | None = super().onCloseFrame(code, reasonRaw)
        self._gone_within(DRAIN_S)
        return result

    def close(self, code: int, reason: str) -> None:
        """Say goodbye; nothing is sent or carried out afterwards."""
        self._why = self._why or ("shutdown" if code == GOING_AWAY else "error")
        if self.state == self.STATE_OPEN:
            self.sendCloseFrame(code=code, reasonUtf8=encode_truncate(reason, 123), isReply=False)
            self._closing()
        elif self.state == self.STATE_CONNECTING:
            self.dropConnection(abort=True)

    def _closing(self) -> None:
        if self._activity is not None:
            self._activity.stop()
        self._is_held = False
        self._read_or_not()
        self._gone_within(DRAIN_S if self._is_full else CLOSE_REPLY_S)

    def _gone_within(self, seconds: float) -> None:
        if self._abort_timer is None:
            clock = self.factory.world.clock
            self._abort_timer = clock.callLater(seconds, self.transport.abortConnection)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        """The slot is given back only when all that ran for the caller has ended."""
        if self._unread and self.state == self.STATE_OPEN and reason.check(ConnectionDone):
            # He left in peace, and Twisted's TLS says so though we have asked it to wait: hear him to the end first.
            self._left = reason
            return
        super().connectionLost(reason)
        self._unread.clear()
        for timer in (self._abort_timer, self._next_turn):
            if timer is not None and timer.active():
                timer.cancel()
        if self._activity is not None:
            self._activity.stop()
            self._activity = None  # it knows how to ping and to close us
        self.factory.tasks.start(self._leave(), "clean-up of a connection")

    async def _leave(self) -> None:
        caller, self._caller = self._caller, None
        try:
            if caller is not None:
                await caller.end()
        finally:
            if self.slot is not None:
                self.slot.release()
            self.factory.calls.remove(self, self._why or "lost")

    def idle(self) -> None:
        """Nothing has passed for too long."""
        self._why = "idle"
        self.send_text(messages.error(IDLE, "idle"))
        self.close(NORMAL, IDLE)

    def dead(self) -> None:
        """Pings go unanswered."""
        self._why = "no_pong"
        self.close(GOING_AWAY, "no answer to pings")

    def _fail_connection(self, code: int = GOING_AWAY, reason: str = "going away") -> None:
        """He broke the protocol or its limits: tell him in words too, then the close frame with its code."""
        self._why = self._why or "violation"
        if self.state == self.STATE_OPEN:
            self.send_text(messages.error(f"WebSocket error: {reason}", "websocket_error"))
            super()._fail_connection(code, reason)
            self._closing()
        else:
            super()._fail_connection(code, reason)

    # Messages. These six are the hot path.

    def dataReceived(self, data: bytes) -> None:
        """Bytes from the caller. Autobahn's own method formats a debug line for each piece first."""
        activity = self._activity
        if activity is not None:
            activity.heard_at = activity.seconds()
        if len(data) <= PIECE_BYTES and not self._unread and not self._is_in_turn:
            super().dataReceived(data)
        else:
            self._take_turns(data)

    def onMessageFrameBegin(self, length: int) -> None:
        """As Autobahn's, which only limits the bytes of a message."""
        super().onMessageFrameBegin(length)
        self._frames = self._frames + 1 if self.current_frame.opcode == CONTINUATION else 1
        if self._frames > FRAMES_MAX and not self.failedByMe:
            self._fail_connection(TOO_BIG, f"received more than {FRAMES_MAX} frames of one message")

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        """A message from the caller."""
        caller = self._caller
        if caller is None or self.state != self.STATE_OPEN:
            return
        if isBinary:
            caller.heard(payload)
        else:
            caller.arrived(payload, False)

    def send_text(self, text: str) -> None:
        """See ``Line``."""
        if self.state == self.STATE_OPEN:
            # Vendors send halves of surrogate pairs; those are not UTF-8.
            self.sendMessage(text.encode(errors="replace"))
            if self._activity is not None:
                self._activity.sent_at = self._activity.seconds()

    def send_audio(self, frames: list[bytes]) -> None:
        """See ``Line``."""
        if self.state == self.STATE_OPEN:
            self.send_binaries(frames)
            if self._activity is not None:
                self._activity.sent_at = self._activity.seconds()

    # Flow.

    def hold(self, is_held: bool) -> None:
        """See ``Line``."""
        if self._activity is not None:
            self._activity.deaf(is_held)
        if self.state == self.STATE_OPEN:
            self._is_held = is_held
            self._read_or_not()

    def _read_or_not(self) -> None:
        if self._is_held or self._unread:
            self.transport.pauseProducing()
        else:
            self.transport.resumeProducing()

    def _take_turns(self, data: bytes) -> None:
        """Much at once: in pieces, and with pauses for the others if it takes long."""
        view = memoryview(data)
        for at in range(0, len(data), PIECE_BYTES):
            self._unread.append(bytes(view[at : at + PIECE_BYTES]))
        if self._next_turn is None and not self._is_in_turn:
            self._turn()

    def _turn(self) -> None:
        waited, self._next_turn = self._next_turn is not None, None
        clock = self.factory.world.clock
        ends_at = clock.seconds() + TURN_S
        self._is_in_turn = True
        try:
            while self._unread and clock.seconds() < ends_at:
                super().dataReceived(self._unread.popleft())
        finally:
            self._is_in_turn = False
        if self._unread:
            self._next_turn = clock.callLater(0, self._turn)
        elif self._left is not None:
            self.connectionLost(self._left)
            return
        if self._unread or waited:
            self._read_or_not()

    def full(self, is_full: bool) -> None:
        """The transport takes no more, or has room again."""
        self._is_full = is_full
        if self._caller is not None:
            self._caller.full(is_full)

    def onPing(self, payload: bytes) -> None:
        """Pongs are not piled up for somebody who does not read; he may take the next one as the answer."""
        if not self._is_full:
            self.sendPong(payload)  # type: ignore[no-untyped-call]


@implementer(IPushProducer)
class _Tap:
    """What the transport turns off when it is full."""

    def __init__(self, protocol: VoiceProtocol) -> None:
        self._protocol = protocol

    def pauseProducing(self) -> None:
        self._protocol.full(True)

    def resumeProducing(self) -> None:
        self._protocol.full(False)

    def stopProducing(self) -> None:
        pass  # connectionLost follows.


class VoiceFactory(WebSocketServerFactory):
    """Makes the connections of ``/ws`` and knows them all.

    Args:
        world: what calls share.
        settings: idle limit, pings and limits of waiting messages.
        calls: the owner of live connections, for a graceful stop.
        random: where the jitter of idle limits comes from.
        default_rate_hz: sample rate of speech where a caller names none.
        livekit_url: public address of LiveKit, shown in every ``ready``.
        open_call: makes a caller's call.
        now_ms: wall clock in milliseconds.
    """

    protocol = VoiceProtocol  # type: ignore[assignment]

    def __init__(
        self,
        world: World,
        settings: WebSocketSettings,
        calls: LiveConnections,
        random: Random | None = None,
        *,
        default_rate_hz: int = 24000,
        livekit_url: str = LIVEKIT_URL,
        open_call: Callable[[World, Outlet], OpenSession] = Session,
        now_ms: Callable[[], int] = lambda: int(time.time() * 1000),
    ) -> None:
        super().__init__(server="", reactor=world.clock)  # type: ignore[no-untyped-call]
        self.world = world
        self.settings = settings
        self.calls = calls
        self.tasks = Tasks()
        self._random = random or Random()
        self._default_rate_hz = default_rate_hz
        self._livekit_url = livekit_url
        self._open_call = open_call
        self._now_ms = now_ms
        self._arriving: tuple[Slot | None, str] = (None, "")
        self._resource = WebSocketResource(self)
        # No timers of Autobahn's: twisted.web has read the whole upgrade, Activity and close() do the rest.
        self.setProtocolOptions(  # type: ignore[no-untyped-call]
            webStatus=False,
            failByDrop=False,
            maxFramePayloadSize=FRAME_MAX_BYTES,
            maxMessagePayloadSize=FRAME_MAX_BYTES,
            openHandshakeTimeout=0,
            closeHandshakeTimeout=0,
            allowNullOrigin=True,
        )

    def serve(self, request: IRequest, slot: Slot, address: str) -> int | bytes:
        """Upgrade a request; for the resource at ``/ws``, which returns what this returns from ``render``.

        Args:
            request: a GET with upgrade headers.
            slot: this connection's; given back when it is gone and cleaned up, also if the upgrade fails.
            address: where the caller comes from.
        """
        self._arriving = (slot, address)
        try:
            body: int | bytes = self._resource.render(request)
        finally:
            left, self._arriving = self._arriving[0], (None, "")
            if left is not None:
                left.release()
        return body

    def buildProtocol(self, addr: IAddress | None) -> Any:
        """A ``VoiceProtocol``; None while the gateway stops."""
        if not self.calls.is_open:
            return None
        protocol: Any = super().buildProtocol(addr)
        (protocol.slot, protocol.address), self._arriving = self._arriving, (None, "")
        return protocol

    def caller(self, protocol: VoiceProtocol) -> Caller:
        """Who is behind a connection."""
        return Caller(
            protocol,
            self.world,
            self.settings,
            self._open_call,
            self._now_ms,
            default_rate_hz=self._default_rate_hz,
            livekit_url=self._livekit_url,
            address=protocol.address,
        )

    def activity(self, protocol: VoiceProtocol) -> Activity:
        """What watches a connection."""
        ping: Callable[[], Any] = protocol.sendPing
        return Activity(
            self.world.clock,
            self.settings,
            self._random,
            ping=ping,
            idle=protocol.idle,
            dead=protocol.dead,
        )
