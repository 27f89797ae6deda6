"""A dialogue over a WebSocket: dialling, keeping alive, back-pressure, and going on after a lost connection."""

import time
from collections.abc import Callable
from random import random
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, TimeoutError, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from waav import errors
from waav.links.backlog import Backlog, bytes_of, whole_samples
from waav.links.figures import LinkFigures
from waav.links.goodbye import Goodbye
from waav.links.link import Sink, Waits, timed_out, understand
from waav.links.settings import LinkSettings
from waav.links.websocket.liveness import Liveness
from waav.links.websocket.redials import Redials
from waav.links.websocket.replay_buffer import ReplayBuffer
from waav.links.websocket.socket import Socket, address, socket_factory
from waav.links.websocket.states import Farewell, LinkState
from waav.speech import wire
from waav.tasks import started

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
        self._state = LinkState.DIALLING
        self._farewell = Farewell.UNASKED
        self._opened: Deferred[None] | None = None  # while dialling: fires when the vendor is ready
        self._socket: Socket | None = None  # the vendor's words on it count
        self._direct: Socket | None = None  # the same, while audio can go straight into it
        self._parting: Socket | None = None  # while leaving: the goodbye was said on it
        self._is_paused = False  # the vendor is not to be read
        self._goodbye = Goodbye(reactor, self.abort)
        self._redials = Redials(settings.redials, random)
        self._liveness = Liveness(reactor, settings.ping_s)

    # What the room's users call.

    async def open(self) -> None:
        """Dial; returns when the vendor is ready.

        Raises:
            ProviderError: with the vendor's own reason where it gave one.
        """
        try:
            await self._dial()
            self._go()
        except BaseException:
            self.abort()
            raise

    def send(self, command: wire.Command) -> None:
        """Say ``command``, or keep it until that is possible."""
        if self._farewell is not Farewell.UNASKED:
            return
        if isinstance(command, wire.Finish):
            self._farewell, self._direct = Farewell.ASKED, None
        if isinstance(command, wire.Audio) and len(command.data) > self._piece_bytes:
            for start in range(0, len(command.data), self._piece_bytes):
                self._offer(wire.Audio(command.data[start : start + self._piece_bytes]))
        else:
            self._offer(command)

    def send_audio(self, data: bytes) -> None:
        """See ``Link.send_audio``."""
        socket = self._direct
        if socket is None or not 0 < len(data) <= self._piece_bytes:
            self.send(wire.Audio(data))
            return
        if self._replay is not None:
            self._replay.sent(data)
        self.figures.audio_bytes += len(data)
        liveness = self._liveness
        liveness.said_at = liveness.seconds()
        if not socket.write_binary(data):
            socket.say(data)

    def pause(self) -> None:
        """Stop reading the vendor; pings rest meanwhile, since their answers would not be read."""
        self._is_paused = True
        self._liveness.rest()
        if self._socket is not None and self._state.is_up:
            self._socket.stop_reading()

    def resume(self) -> None:
        """Read on."""
        if not self._is_paused:
            return
        self._is_paused = False
        self._liveness.go_on()
        if self._socket is not None and self._state.is_up:
            self._socket.go_on_reading()

    def close(self) -> Deferred[None]:
        """See ``Link.close``."""
        if self._state.is_ended:
            return succeed(None)
        if self._goodbye.is_asked:
            return self._goodbye.wait()
        waiting = self._goodbye.wait()
        self.send(wire.Finish())
        if not self._state.is_ended:
            self._goodbye.limit(self._opening.finish_s, self._overdue)
        return waiting

    def abort(self) -> None:
        """See ``Link.abort``."""
        sockets = self._socket, self._parting
        self._end()
        self._waits.stop()
        for socket in sockets:
            if socket is not None:
                socket.abort()

    # Dialling.

    async def _dial(self) -> None:
        limit = self._dial_s or min(self._opening.dial_s, self._settings.dial_s)
        dialling = started(self._connected(limit))
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
        self._enter(LinkState.DRAINING)
        self.figures.began()
        self._redials.up(self._clock.seconds())
        if self._is_paused and self._socket is not None:
            self._socket.stop_reading()
        self._liveness.begin(self, self._opening.keepalive_s, is_read=not self._is_paused)
        self._drain()

    def _enter(self, state: LinkState) -> None:
        self._state = state
        is_direct = (
            state is LinkState.FREE
            and self._farewell is Farewell.UNASKED
            and self._opening.takes_audio_as_it_is
        )
        self._direct = self._socket if is_direct else None

    # Out.

    def _offer(self, command: wire.Command) -> None:
        if self._state is LinkState.FREE:
            self._say(command)
        elif not self._state.is_ended:
            self._backlog.push(command)

    def _drain(self) -> None:
        """Say what waited, as long as the vendor takes it."""
        try:
            while self._backlog and self._state is LinkState.DRAINING:
                self._say(self._backlog.pop())
        finally:
            if self._state is LinkState.DRAINING:
                self._enter(LinkState.FULL if self._backlog else LinkState.FREE)

    def _say(self, command: wire.Command) -> None:
        socket = self._socket
        if socket is None:
            return
        replay = self._replay
        if replay is not None and isinstance(command, wire.Audio):
            replay.sent(command.data)
        self.figures.said(command)
        outgoing = self._dialogue.send(command)
        if replay is not None and isinstance(command, wire.Flush):
            replay.wants_final = bool(outgoing)
        liveness = self._liveness
        for one in outgoing:
            liveness.said_at = liveness.seconds()
            socket.say(one)
        if isinstance(command, wire.Finish):
            self._farewell = Farewell.SAID
            if not outgoing and self._goodbye.is_asked:
                self._hang_up()  # the vendor knows no goodbye: there is nothing to wait for

    def socket_full(self, socket: Socket, is_full: bool) -> None:
        """The transport's buffer is full, or has room again."""
        if socket is not self._socket or not self._state.is_up:
            return
        if is_full:
            self._enter(LinkState.FULL)
        elif self._state is LinkState.FULL:
            self._enter(LinkState.DRAINING)
            self._drain()

    # In.

    def socket_said(self, socket: Socket, message: str | bytes) -> None:
        """One message of the vendor."""
        # Autobahn goes on with what is left of a packet after a connection was dropped.
        if socket is not self._socket:
            return
        liveness = self._liveness
        liveness.heard_at = liveness.seconds()
        try:
            events = understand(self.provider, self._dialogue, message)
        except errors.WireError as error:
            if self._state.is_up:
                self._sink.event(wire.Failed(error))
            else:
                self._settle(error)
            return
        except errors.ProviderError as error:
            self._broken(error)
            return
        for event in events:
            if socket is self._socket:
                self._hear(event)

    def _hear(self, event: wire.Event) -> None:
        if isinstance(event, wire.Ready):
            self._settle(None)
            return
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
            self._liveness.heard_at = self._liveness.seconds()

    def refusal(self, head: wire.Head, body: bytes) -> errors.ProviderError | None:
        """The dialogue's reading of a refused handshake, if it has one."""
        refused = getattr(self._dialogue, "refused", None)
        return None if refused is None else refused(head, body)

    # Losing the connection.

    def socket_closed(self, socket: Socket, error: errors.ProviderError, is_clean: bool) -> None:
        """The connection is gone."""
        if socket is self._parting:
            self._end()
        elif socket is not self._socket:
            return
        elif self._state.is_up:
            self._lost(error, is_clean)
        else:
            self._settle(error)

    def _broken(self, error: errors.ProviderError) -> None:
        """The connection is of no use any more."""
        if not self._state.is_up:
            self._settle(error)
            return
        self._drop_socket()
        self._lost(error, is_clean=False)

    def _lost(self, error: errors.ProviderError, is_clean: bool) -> None:
        self._socket = None
        self._enter(LinkState.DIALLING)
        self._liveness.stop()
        if self._farewell is Farewell.SAID and (is_clean or self._is_all_covered()):
            self._end()
            return
        if self._replay is None:
            self._give_up(error)
            return
        self._redials.lost(self._clock.seconds())
        if self._goodbye.is_limited:
            limit_s = self._settings.dial_s + self._opening.finish_s
            self._goodbye.limit(limit_s, self._overdue)
        redialling = started(self._redial(error))
        redialling.addErrback(self._redial_failed)

    def _is_all_covered(self) -> bool:
        return self._replay is not None and not self._replay.kept_bytes

    async def _redial(self, error: errors.ProviderError) -> None:
        while error.retryable:
            wait_s = self._redials.wait_s(error.retry_after_s)
            if wait_s is None:
                break
            await self._waits.sleep(self._clock, wait_s)
            self._dialogue = self._new_dialogue()
            self._opening = self._dialogue.opening
            try:
                await self._dial()
            except errors.ProviderError as failed:
                error = errors.untraced(failed)
                continue
            self._restored()
            return
        self._give_up(error)

    def _redial_failed(self, failure: Any) -> None:
        if failure.check(CancelledError) and self._state.is_ended:
            return
        self._log.failure("redialling {provider} failed", failure=failure, provider=self.provider)
        self._drop_socket()
        self._give_up(
            errors.ProviderLost(self.provider, f"{self.provider} could not be dialled again")
        )

    def _restored(self) -> None:
        assert self._replay is not None
        again: list[wire.Command] = [wire.Audio(piece) for piece in self._replay.take()]
        size = sum(len(one.data) for one in again if isinstance(one, wire.Audio))
        if self._farewell is Farewell.SAID:
            self._farewell = Farewell.ASKED
            again.append(wire.Finish())
        elif self._replay.wants_final:
            again.append(wire.Flush())
        self._backlog.push_first(again)
        self._sink.event(wire.Restored(self._dialogue.format.duration_s(size) or 0.0))
        if not self._state.is_ended:
            self._go()

    def _give_up(self, error: errors.ProviderError) -> None:
        if self._state.is_ended:
            return
        self._stop(LinkState.OVER)
        self._sink.event(wire.Lost(errors.untraced(error)))
        self._goodbye.said()

    # Watching the connection: what ``Liveness`` asks for.

    def ask_alive(self) -> None:
        """See ``Watched``."""
        if self._socket is not None:
            self._socket.ask_alive()

    def keep_alive(self) -> None:
        """See ``Watched``. With things waiting to go out the vendor is about to hear from us anyway."""
        if self._state is LinkState.FREE and self._farewell is not Farewell.SAID:
            self._say(wire.KeepAlive())

    def gave_no_answer(self) -> None:
        """See ``Watched``."""
        within = f"within {self._settings.ping_s:g} s"
        self._broken(
            errors.ProviderLost(self.provider, f"{self.provider} did not answer a ping {within}")
        )

    # Ending.

    def _overdue(self) -> None:
        """Nobody waits longer. What the vendor was never told is said to be lost: it may have been words."""
        size = self._backlog.audio_bytes
        if self._replay is not None and not self._state.is_up:
            size += self._replay.kept_bytes
        if size:
            lasts_s = self._dialogue.format.duration_s(size)
            what = "audio" if lasts_s is None else f"{lasts_s:.1f} s of audio"
            unheard = errors.ProviderError(
                self.provider, f"{self.provider} was behind: the last {what} were given up"
            )
            self._sink.event(wire.Failed(unheard))
        self._hang_up()

    def _hang_up(self) -> None:
        """Close politely; the rest of the vendor's words are not wanted any more."""
        socket = self._socket
        if socket is None or not self._state.is_up:
            self.abort()
            return
        self._stop(LinkState.LEAVING)
        self._parting = socket
        if self._is_paused:
            socket.go_on_reading()  # the vendor's close frame must be read
        socket.hang_up()
        self._goodbye.limit(GOODBYE_S, self.abort)

    def _end(self) -> None:
        """No event follows; whoever waits in ``close`` is told."""
        self._stop(LinkState.OVER)
        self._goodbye.said()

    def _stop(self, state: LinkState) -> None:
        self._socket = self._parting = None
        self._enter(state)
        self.figures.ended()
        self._liveness.stop()
        self._backlog.clear()
        if self._replay is not None:
            # Up to a megabyte; the objects of an ended call may stay until the garbage collector comes by.
            self._replay.clear()


def _cause(error: BaseException) -> str:
    """What went wrong with TCP or TLS, in words."""
    return str(error) or type(error).__name__
