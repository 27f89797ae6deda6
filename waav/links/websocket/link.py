"""A dialogue over a WebSocket: dialling, keeping alive, back-pressure, and going on after a lost connection."""

import time
from collections.abc import Callable
from random import random
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, TimeoutError, succeed
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger

from waav import errors
from waav.links.backlog import Backlog, bytes_of, whole_samples
from waav.links.figures import LinkFigures
from waav.links.goodbye import Goodbye
from waav.links.link import Sink, Waits, timed_out, understand
from waav.links.settings import LinkSettings
from waav.links.websocket.replay_buffer import ReplayBuffer
from waav.links.websocket.socket import Socket, address, socket_factory
from waav.speech import wire

FIRST_REDIAL_S: Final = 0.5
LAST_REDIAL_S: Final = 8.0
JITTER: Final = 0.25
"""Back-off after a lost connection: 0.5 s, twice as long each time, +/-25 %."""
HEALTHY_S: Final = 30.0
"""A connection that lived this long starts the count of redials anew."""
GOODBYE_S: Final = 1.0
"""How long the vendor may take to answer our close frame."""

Connect = Callable[[Any, str, int, bool, float], Deferred[Any]]
"""Connects a factory: (factory, host, port, is_secure, seconds)."""


class WebSocketLink:
    """One conversation over one WebSocket after the other.

    Args:
        reactor: the clock.
        connect: makes TCP or TLS connections.
        dialogue: makes a new dialogue for each connection.
        dial_s: limit for connecting, in place of the dialogue's and the operator's.
        random: numbers in [0, 1) for jitter.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: IReactorTime,
        connect: Connect,
        provider: str,
        dialogue: Callable[[], wire.Dialogue],
        sink: Sink,
        settings: LinkSettings,
        *,
        dial_s: float | None = None,
        random: Callable[[], float] = random,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.provider = provider
        self.figures = LinkFigures(reactor)
        self._clock = reactor
        self._connect = connect
        self._new_dialogue = dialogue
        self._sink = sink
        self._settings = settings
        self._dial_s = dial_s
        self._random = random
        self._wall = wall
        self._waits = Waits()
        self._dialogue = dialogue()
        self._opening = self._dialogue.opening
        format = self._dialogue.format
        self._piece_bytes = whole_samples(format, self._opening.chunk_bytes)
        self._backlog = Backlog(bytes_of(format, settings.backlog_s), sink.congested)
        # Compressed audio cannot be cut at a moment, nor begun in its middle.
        can_resume = self._opening.resumes and format.is_raw
        self._replay = ReplayBuffer(format, settings.replay_s) if can_resume else None
        self._socket: Socket | None = None
        self._opened: Deferred[None] | None = None
        self._is_up = False  # dialled, ready, and not lost since
        self._is_full = False
        self._is_draining = False
        self._is_paused = False
        self._is_over = False
        self._wants_flush = False  # a Flush went out and no final came since
        self._finish_asked = False
        self._finish_said = False
        self._goodbye = Goodbye(reactor, self.abort)
        self._watch_call: IDelayedCall | None = None
        self._redials = 0
        self._up_since = 0.0
        self._said_at = 0.0
        self._heard_at = 0.0
        self._pinged_at: float | None = None
        self._ping_due = 0.0

    # What the room's users call.

    async def open(self) -> None:
        """Dial; returns when the vendor is ready.

        Raises:
            ProviderError: with the vendor's own reason where it gave one.
        """
        try:
            await self._dial()
        except BaseException:
            self.abort()
            raise
        self._go()

    def send(self, command: wire.Command) -> None:
        """Say ``command``, or keep it until that is possible."""
        if self._is_over or self._finish_asked:
            return
        if isinstance(command, wire.Finish):
            self._finish_asked = True
        if isinstance(command, wire.Audio) and len(command.data) > self._piece_bytes:
            for start in range(0, len(command.data), self._piece_bytes):
                self._offer(wire.Audio(command.data[start : start + self._piece_bytes]))
        else:
            self._offer(command)

    def send_audio(self, data: bytes) -> None:
        """See ``Link.send_audio``."""
        socket = self._socket
        if (
            socket is None
            or not self._is_up
            or self._is_full
            or self._backlog.waiting
            or self._finish_asked
            or not self._opening.takes_audio_as_it_is
            or not 0 < len(data) <= self._piece_bytes
        ):
            self.send(wire.Audio(data))
            return
        if self._replay is not None:
            self._replay.sent(data)
        self.figures.audio_bytes += len(data)
        self._said_at = self._clock.seconds()
        if not socket.write_binary(data):
            socket.say(data)

    def pause(self) -> None:
        """Stop reading the vendor; pings rest meanwhile, since their answers would not be read."""
        self._is_paused = True
        if self._is_up and self._socket is not None:
            self._socket.stop_reading()

    def resume(self) -> None:
        """Read on."""
        if not self._is_paused:
            return
        self._is_paused = False
        now = self._clock.seconds()
        self._heard_at = now
        self._pinged_at = None
        self._ping_due = now + self._settings.ping_s
        if self._is_up and self._socket is not None:
            self._socket.go_on_reading()

    def close(self) -> Deferred[None]:
        """See ``Link.close``."""
        if self._is_over:
            return succeed(None)
        if self._goodbye.is_asked:
            return self._goodbye.wait()
        waiting = self._goodbye.wait()
        self.send(wire.Finish())
        if not self._is_over:
            self._goodbye.limit(self._opening.finish_s, self._hang_up)
        return waiting

    def abort(self) -> None:
        """See ``Link.abort``."""
        self._end()
        self._waits.stop()
        if self._socket is not None:
            self._socket.abort()

    # Dialling.

    async def _dial(self) -> None:
        limit = self._dial_s or min(self._opening.dial_s, self._settings.dial_s)
        dialling = Deferred.fromCoroutine(self._connected(limit))
        dialling.addTimeout(limit, self._clock, timed_out)
        try:
            await self._waits.on(dialling)
        except TimeoutError as error:
            self._drop_socket()
            raise errors.ProviderTimeout(
                self.provider, f"{self.provider} was not ready within {limit:g} s"
            ) from error
        except errors.ProviderError:
            self._drop_socket()
            raise
        except Exception as error:
            if self._waits.is_stopped:
                raise CancelledError from error
            raise errors.ProviderLost(
                self.provider, f"{self.provider} could not be reached: {_cause(error)}"
            ) from error

    async def _connected(self, limit: float) -> None:
        host, port, is_secure = address(self._opening.url)
        factory = socket_factory(self._clock, self, self._opening, self._wall)
        self._opened = Deferred()
        opened = self._opened
        # Whatever happens to it while the connection is made is seen below.
        try:
            self._socket = await self._connect(factory, host, port, is_secure, limit)
            await opened
        finally:
            opened.addErrback(lambda _: None)
            self._opened = None

    def _drop_socket(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            socket.abort()

    def socket_opened(self, socket: Socket) -> None:
        """The handshake is done."""
        if not self._opening.says_ready:
            self._settle(None)

    def _settle(self, error: errors.ProviderError | None) -> None:
        """End the present dial, if there is one that has not ended."""
        opened = self._opened
        if opened is None or opened.called:
            return
        if error is None:
            opened.callback(None)
        else:
            opened.errback(error)

    def _go(self) -> None:
        """The vendor is ready: say what waited, watch the connection."""
        now = self._clock.seconds()
        self.figures.began()
        self._is_up, self._is_full = True, False
        self._up_since = self._said_at = self._heard_at = now
        self._pinged_at, self._ping_due = None, now + self._settings.ping_s
        if self._is_paused and self._socket is not None:
            self._socket.stop_reading()
        self._watch()
        self._drain()

    # Out.

    def _offer(self, command: wire.Command) -> None:
        if self._is_up and not self._is_full and not self._backlog:
            self._say(command)
        else:
            self._backlog.push(command)

    def _drain(self) -> None:
        if self._is_draining:
            return
        self._is_draining = True
        try:
            while self._backlog and self._is_up and not self._is_full:
                self._say(self._backlog.pop())
        finally:
            self._is_draining = False

    def _say(self, command: wire.Command) -> None:
        socket = self._socket
        if socket is None:
            return
        if self._replay is not None and isinstance(command, wire.Audio):
            self._replay.sent(command.data)
        self.figures.said(command)
        outgoing = self._dialogue.send(command)
        if isinstance(command, wire.Flush):
            self._wants_flush = bool(outgoing)
        for one in outgoing:
            self._said_at = self._clock.seconds()
            socket.say(one)
        if isinstance(command, wire.Finish):
            self._finish_said = True
            if not outgoing and self._goodbye.is_asked:
                self._hang_up()  # the vendor knows no goodbye: there is nothing to wait for

    def socket_full(self, socket: Socket, is_full: bool) -> None:
        """The transport's buffer is full, or has room again."""
        if socket is not self._socket:
            return
        self._is_full = is_full
        if not is_full:
            self._drain()

    # In.

    def socket_said(self, socket: Socket, message: str | bytes) -> None:
        """One message of the vendor."""
        # Autobahn goes on with what is left of a packet after a connection was dropped.
        if self._is_over or socket is not self._socket:
            return
        self._heard_at = self._clock.seconds()
        try:
            events = understand(self.provider, self._dialogue, message)
        except errors.WireError as error:
            if self._is_up:
                self._sink.event(wire.Failed(error))
            else:
                self._settle(error)
            return
        except errors.ProviderError as error:
            self._broken(socket, error)
            return
        for event in events:
            if socket is self._socket and not self._has_ended():
                self._hear(event)

    def _has_ended(self) -> bool:
        return self._is_over

    def _hear(self, event: wire.Event) -> None:
        if isinstance(event, wire.Ready):
            self._settle(None)
            return
        if isinstance(event, wire.Transcript) and event.is_final:
            self._wants_flush = False
        if self._replay is not None:
            placed = self._replay.heard(event)
            if placed is None:
                return
            event = placed
        self.figures.heard(event)
        self._sink.event(event)

    def socket_alive(self, socket: Socket) -> None:
        """A pong came."""
        if socket is self._socket:
            self._heard_at = self._clock.seconds()

    def refusal(self, head: wire.Head, body: bytes) -> errors.ProviderError | None:
        """The dialogue's reading of a refused handshake, if it has one."""
        refused = getattr(self._dialogue, "refused", None)
        return None if refused is None else refused(head, body)

    # Losing the connection.

    def socket_closed(self, socket: Socket, error: errors.ProviderError, is_clean: bool) -> None:
        """The connection is gone."""
        if socket is not self._socket:
            return
        if self._is_over:
            self._goodbye.said()
        elif self._is_up:
            self._lost(error, is_clean)
        else:
            self._settle(error)

    def _broken(self, socket: Socket, error: errors.ProviderError) -> None:
        """The vendor reported an error that ends the connection."""
        if not self._is_up:
            self._settle(error)
            return
        self._drop_socket()
        self._lost(error, is_clean=False)

    def _lost(self, error: errors.ProviderError, is_clean: bool) -> None:
        self._is_up = self._is_full = False
        self._socket = None
        self._stop_watching()
        if self._finish_said and (is_clean or self._is_all_covered()):
            self._end()
            return
        if self._replay is None or not error.retryable:
            self._give_up(error)
            return
        if self._clock.seconds() - self._up_since >= HEALTHY_S:
            self._redials = 0
        if self._goodbye.is_limited:
            limit_s = self._settings.dial_s + self._opening.finish_s
            self._goodbye.limit(limit_s, self._hang_up)
        redialling = Deferred.fromCoroutine(self._redial(error))
        redialling.addErrback(self._redial_failed)

    def _is_all_covered(self) -> bool:
        return self._replay is not None and not self._replay.kept_bytes

    async def _redial(self, error: errors.ProviderError) -> None:
        while self._redials < self._settings.redials and error.retryable:
            pause = min(FIRST_REDIAL_S * 2**self._redials, LAST_REDIAL_S)
            pause *= 1 - JITTER + 2 * JITTER * self._random()
            self._redials += 1
            await self._waits.sleep(self._clock, max(pause, error.retry_after_s or 0.0))
            self._dialogue = self._new_dialogue()
            self._opening = self._dialogue.opening
            try:
                await self._dial()
            except errors.ProviderError as failed:
                error = failed
                continue
            self._restored()
            return
        self._give_up(error)

    def _redial_failed(self, failure: Any) -> None:
        if failure.check(CancelledError) and self._is_over:
            return
        self._log.failure("redialling {provider} failed", failure=failure, provider=self.provider)
        self._give_up(
            errors.ProviderLost(self.provider, f"{self.provider} could not be dialled again")
        )

    def _restored(self) -> None:
        assert self._replay is not None
        again: list[wire.Command] = [wire.Audio(piece) for piece in self._replay.take()]
        size = sum(len(one.data) for one in again if isinstance(one, wire.Audio))
        if self._finish_said:
            self._finish_said = False
            again.append(wire.Finish())
        elif self._wants_flush:
            again.append(wire.Flush())
        self._backlog.push_first(again)
        self._sink.event(wire.Restored(self._dialogue.format.duration_s(size) or 0.0))
        if not self._is_over:
            self._go()

    def _give_up(self, error: errors.ProviderError) -> None:
        if self._is_over:
            return
        self._stop()
        self._sink.event(wire.Lost(error))
        self._goodbye.said()

    # Watching the connection.

    def _watch(self) -> None:
        """One timer per connection: it compares times, so that no frame has to move it."""
        self._watch_call = None
        now = self._clock.seconds()
        socket = self._socket
        if self._is_over or socket is None:
            return
        if not self._is_paused and now >= self._ping_due:
            if self._pinged_at is not None and self._heard_at < self._pinged_at:
                silent = errors.ProviderLost(
                    self.provider,
                    f"{self.provider} did not answer a ping within {self._settings.ping_s:g} s",
                )
                self._drop_socket()
                self._lost(silent, is_clean=False)
                return
            self._pinged_at, self._ping_due = now, now + self._settings.ping_s
            socket.ask_alive()
        keepalive_s = self._opening.keepalive_s
        due = self._ping_due if not self._is_paused else now + self._settings.ping_s
        if keepalive_s is not None:
            if now - self._said_at >= keepalive_s:
                self._said_at = now
                self._offer_keepalive()
            due = min(due, self._said_at + keepalive_s)
        self._watch_call = self._clock.callLater(max(due - now, 0.001), self._watch)

    def _offer_keepalive(self) -> None:
        # With things waiting to go out the vendor is about to hear from us anyway.
        if self._is_up and not self._is_full and not self._backlog and not self._finish_said:
            self._say(wire.KeepAlive())

    def _stop_watching(self) -> None:
        if self._watch_call is not None:
            self._watch_call.cancel()
            self._watch_call = None

    # Ending.

    def _hang_up(self) -> None:
        """Close politely; the rest of the vendor's words are not wanted any more."""
        socket = self._socket
        if socket is None or not self._is_up:
            self.abort()
            return
        self._stop()
        if self._is_paused:
            socket.go_on_reading()  # the vendor's close frame must be read
        socket.hang_up()
        self._goodbye.limit(GOODBYE_S, self._goodbye_overdue)

    def _goodbye_overdue(self) -> None:
        if self._socket is not None:
            self._socket.abort()
        self._goodbye.said()

    def _end(self) -> None:
        """No event follows; whoever waits in ``close`` is told."""
        self._stop()
        self._goodbye.said()

    def _stop(self) -> None:
        self._is_over = True
        self._is_up = False
        self.figures.ended()
        self._stop_watching()
        self._backlog.clear()
        if self._replay is not None:
            # Up to a megabyte; the objects of an ended call may stay until the garbage collector comes by.
            self._replay.clear()


def _cause(error: BaseException) -> str:
    """What went wrong with TCP or TLS, in words."""
    return str(error) or type(error).__name__
