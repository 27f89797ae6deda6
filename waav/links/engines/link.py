"""A dialogue with one of the gateway's own models."""

from collections import deque
from typing import Any

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.logger import Logger
from twisted.python.failure import Failure

from waav import errors
from waav.links.backlog import Backlog, bytes_of
from waav.links.engines.engines import Engines, as_error
from waav.links.engines.turn_queue import TurnShare
from waav.links.engines.workbench import AHEAD
from waav.links.figures import LinkFigures
from waav.links.goodbye import Goodbye
from waav.links.link import Sink, Waits, understand
from waav.speech import wire


class EngineLink:
    """A dialogue with a model. At most one job at a time, so that order holds.

    Audio that comes while a job runs goes to the model as one piece afterwards. A worker makes at most
    ``AHEAD`` pieces before it comes back: then other calls get their turn, and a paused call keeps no worker.

    Args:
        backlog_s: audio waiting from which the source is told to stop.
        share: whom the work is for.
    """

    _log = Logger()

    def __init__(
        self,
        engines: Engines,
        provider: str,
        dialogue: wire.Dialogue,
        sink: Sink,
        backlog_s: float,
        share: TurnShare = TurnShare(),
    ) -> None:
        local = dialogue.opening.local
        if local is None:
            raise ValueError(f"{provider}: an engine address needs Opening.local")
        self.figures = LinkFigures(engines.reactor)
        self._engines = engines
        self._provider = provider
        self._dialogue = dialogue
        self._sink = sink
        self._local = local
        self._share = share
        self._waits = Waits()
        self._number: int | None = None  # of the conversation, while there is one
        self._backlog = Backlog(bytes_of(dialogue.format, backlog_s), sink.congested)
        self._turn = self._working_at = 1  # now, and when the present slice began
        self._asked: list[str | bytes] = []  # what the model is told next
        self._has_more = False  # the model has begun to answer in this turn
        self._is_stale = False  # the model holds an answer that nobody wants
        self._held: deque[str | bytes] = deque()
        self._is_working = False
        self._is_paused = False
        self._is_delivering = False
        self._is_over = False
        self._finish_asked = False
        self._was_busy = False  # the last audio found no worker
        self._goodbye = Goodbye(engines.reactor, self.abort)

    async def open(self) -> None:
        """Returns when the model is loaded and the conversation has begun.

        Raises:
            WaavError: with the reason the model gave.
        """
        try:
            await self._waits.on(self._engines.load(self._local))
            self._number = await self._waits.on(
                self._engines.begin(self._provider, self._local, self._share)
            )
        except (CancelledError, errors.WaavError):
            self.abort()
            raise
        except Exception as error:
            self.abort()
            self._log.failure(
                "{provider}: beginning a conversation failed", provider=self._provider
            )
            raise errors.ProviderError(
                self._provider, f"{self._provider}: the model could not begin"
            ) from error
        self._engines.watch(self._number, self._lost)
        self.figures.began()
        self._work_on()

    def send(self, command: wire.Command) -> None:
        """See ``Link.send``."""
        if self._is_over or self._finish_asked:
            return
        if isinstance(command, wire.Clear):
            self._new_turn()
        if isinstance(command, wire.Finish):
            self._finish_asked = True
        self._backlog.push(command)
        self._work_on()

    def send_audio(self, data: bytes) -> None:
        """See ``Link.send_audio``."""
        self.send(wire.Audio(data))

    def pause(self) -> None:
        """See ``Link.pause``."""
        self._is_paused = True

    def resume(self) -> None:
        """See ``Link.resume``."""
        self._is_paused = False
        self._deliver()
        self._work_on()

    def close(self) -> Deferred[None]:
        """See ``Link.close``."""
        if self._is_over:
            return succeed(None)
        if self._goodbye.is_asked:
            return self._goodbye.wait()
        waiting = self._goodbye.wait()
        self._goodbye.limit(self._dialogue.opening.finish_s, self._overdue)
        self.send(wire.Finish())
        self._work_on()
        return waiting

    def _overdue(self) -> None:
        """Nobody waits longer. What the model has not come to is said to be lost: it may have been words."""
        finish_s = self._dialogue.opening.finish_s
        unheard = errors.ProviderError(
            self._provider,
            f"{self._provider} was behind: the end of what it was told was given up after {finish_s:g} s",
        )
        self._sink.event(wire.Failed(unheard))
        self.abort()

    def abort(self) -> None:
        """See ``Link.abort``. A worker that is busy for us stops at its next piece."""
        if self._is_over:
            return
        self._is_over = True
        self.figures.ended()
        self._new_turn()
        self._backlog.clear()
        self._waits.stop()
        if not self._is_working:
            self._end()
        self._goodbye.said()

    def _lost(self, error: errors.ProviderLost) -> None:
        """The model is gone, and the conversation with it."""
        self._number = None
        is_missed = not self._is_over and not self._goodbye.is_asked
        self.abort()
        if is_missed:
            self._sink.event(wire.Lost(errors.ProviderLost(self._provider, error.message)))

    def _new_turn(self) -> None:
        """Nothing that was asked before matters any more."""
        if self._number is not None:
            self._engines.host.over(self._number, self._turn)
        self._turn += 1
        self._held.clear()
        self._asked = []
        self._is_stale = self._is_stale or self._has_more
        self._has_more = False

    def _end(self) -> None:
        number, self._number = self._number, None
        if number is not None:
            self._engines.end(number, self._provider, self._share)

    # Work.

    def _work_on(self) -> None:
        """Give a worker the next slice of work, if there is any and room for its results."""
        if self._is_working or self._is_over or self._number is None:
            return
        if self._held:  # paused, and as far ahead as it may be
            return
        has_begun = self._has_more
        if not has_begun:
            self._ask()
        if not has_begun and not self._asked and not self._is_stale:
            if self._finish_asked and not self._backlog and self._goodbye.is_asked:
                self.abort()
            return
        self._is_working = True
        self._working_at = self._turn
        self._engines.do(
            self._provider, self._slice, self._share, self._number, is_urgent=has_begun
        ).addBoth(self._worked)  # fmt: skip

    def _slice(self) -> Deferred[bool]:
        """Our turn has come. What was said meanwhile may have changed what there is to do."""
        if self._number is None or self._is_over:
            return succeed(False)
        turn, asked = self._turn, self._asked
        self._working_at = turn
        self._asked, self._is_stale = [], False
        return self._engines.host.work(
            self._number, turn, asked, lambda piece: self._piece(turn, piece), AHEAD
        )

    def _ask(self) -> None:
        """Turn everything that waits into what the model is told; neighbouring audio becomes one piece."""
        told: list[str | bytes] = []
        audio: list[bytes] = []
        while self._backlog:
            command = self._backlog.pop()
            self.figures.said(command)
            for outgoing in self._dialogue.send(command):
                if isinstance(outgoing, bytes):
                    audio.append(outgoing)
                    continue
                if isinstance(outgoing, wire.Request):
                    raise TypeError(f"{self._provider} put an HTTP request to a model")
                told += [b"".join(audio)] if audio else []
                audio = []
                told.append(outgoing)
        told += [b"".join(audio)] if audio else []
        self._asked = told

    def _worked(self, result: Any) -> None:
        """A slice has ended."""
        self._is_working = False
        is_current = self._working_at == self._turn
        if isinstance(result, Failure):
            if is_current:
                self._failed(result)
        else:
            self._was_busy = False
            if is_current:
                self._has_more = result
            else:
                self._is_stale = self._is_stale or result
        if self._is_over:
            self._end()
        else:
            self._work_on()

    def _failed(self, failure: Failure) -> None:
        if failure.check(errors.ProviderBusy):
            was_audio = all(isinstance(one, bytes) for one in self._asked)
            self._asked = []
            if was_audio and self._was_busy:
                return  # said already; frames come fifty times a second
            self._was_busy = was_audio
        elif failure.check(errors.ProviderLost):
            self._asked = []
        else:
            self._has_more = True  # perhaps: there may have been other questions
        if not failure.check(errors.ProviderError):
            self._log.failure(
                "{provider}: the model failed", failure=failure, provider=self._provider
            )
        error = as_error(self._provider, "the model failed", failure)
        if not isinstance(error, errors.ProviderError):
            error = errors.ProviderError(self._provider, error.message)
        self._sink.event(wire.Failed(error))

    def _piece(self, turn: int, piece: str | bytes) -> None:
        """The model said something."""
        if turn == self._turn and not self._is_over:
            self._held.append(piece)
            self._deliver()

    def _deliver(self) -> None:
        if self._is_delivering:
            return
        self._is_delivering = True
        try:
            while self._held and not self._is_paused:
                turn, piece = self._turn, self._held.popleft()
                try:
                    events = understand(self._provider, self._dialogue, piece)
                except errors.ProviderError as error:
                    events = [wire.Failed(error)]
                for event in events:
                    if turn != self._turn or self._is_over:
                        break
                    self.figures.heard(event)
                    self._sink.event(event)
        finally:
            self._is_delivering = False
