"""A dialogue with a model in this process: loaded once, run in worker threads, never on the reactor."""

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.python.threadpool import ThreadPool

from waav import errors
from waav.links.backlog import Backlog, bytes_of
from waav.links.figures import LinkFigures
from waav.links.goodbye import Goodbye
from waav.links.link import Sink, Waits, understand
from waav.speech import wire

T = TypeVar("T")

AHEAD: Final = 8
"""Pieces a worker makes before it looks whether they were taken, and gives other calls a turn."""

NICENESS: Final = 5
"""How much nicer than others the threads are that models run in. With every core busy recognising, the reactor would
otherwise stand in line behind them for every frame of every call. Not 10: other programs of the machine would then
get ten times their share."""


@dataclass(slots=True)
class _Model:
    """One loaded copy, or the wait for it."""

    loaded: Any = None
    is_loaded: bool = False
    is_loading: bool = False
    waiting: list[Deferred[Any]] = field(default_factory=list)


@dataclass(slots=True)
class EngineFigures:
    """What the workers did so far: jobs that ended, seconds they took, jobs refused because too many waited."""

    jobs: int = 0
    seconds: float = 0.0
    refused: int = 0


class Engines:
    """The models of the process and the threads they run in.

    Args:
        reactor: where results are delivered.
        threads: workers, all calls together.
        queue: most jobs that may wait for a worker; one more is ``ProviderBusy``.

    Attributes:
        figures: what the workers did.
    """

    _log = Logger()

    def __init__(self, reactor: Any, threads: int, queue: int) -> None:
        self.reactor = reactor
        self._queue = queue
        self._threads = threads
        self._waiting = 0
        self._models: dict[str, _Model] = {}
        self._pool: ThreadPool | None = None
        self._is_stopped = False
        self.figures = EngineFigures()

    @property
    def waiting(self) -> int:
        """Jobs that no worker has begun."""
        return self._waiting

    @property
    def loaded(self) -> int:
        """Models that are ready."""
        return sum(model.is_loaded for model in self._models.values())

    def load(self, local: wire.Local) -> Deferred[Any]:
        """The loaded copy of ``local.model``: there is one per process. A failed load is tried again next time."""
        model = self._models.setdefault(local.model, _Model())
        if model.is_loaded:
            return succeed(model.loaded)
        waiter: Deferred[Any] = Deferred(lambda one: _forget(model.waiting, one))
        model.waiting.append(waiter)
        if not model.is_loading:
            self._load(local, model)
        return waiter

    def _load(self, local: wire.Local, model: _Model) -> None:
        model.is_loading = True

        def ended(result: Any) -> None:
            waiting, model.waiting = model.waiting, []
            if isinstance(result, Failure):
                self._models.pop(local.model, None)
                error = _as_error(local.model, "could not be loaded", result)
                if not isinstance(result.value, errors.WaavError):
                    self._log.failure("loading {model} failed", failure=result, model=local.model)
                for waiter in waiting:
                    waiter.errback(error)
                return
            model.loaded, model.is_loaded = result, True
            for waiter in waiting:
                waiter.callback(result)

        self.run(local.model, local.load, is_urgent=True).addBoth(ended)

    def run(self, model: str, work: Callable[[], T], *, is_urgent: bool = False) -> Deferred[T]:
        """``work`` in a worker thread.

        Args:
            model: named in the error.
            is_urgent: part of something that has begun: waits however many wait.

        Returns:
            Fails with ``ProviderBusy`` when too many jobs wait. Cancelling it forgets the result; ``work``
            itself cannot be stopped from here.
        """
        result: Deferred[T] = Deferred()
        if self._is_stopped:
            result.errback(errors.ProviderLost(model, f"{model}: the gateway is stopping"))
            return result
        if not is_urgent and self._waiting >= self._queue:
            self.figures.refused += 1
            result.errback(
                errors.ProviderBusy(
                    model, f"{model}: {self._waiting} jobs wait for the model already"
                )
            )
            return result
        self._waiting += 1
        self._workers().callInThread(self._work, work, result)
        return result

    def _work(self, work: Callable[[], T], result: Deferred[T]) -> None:
        """In a worker thread."""
        self.reactor.callFromThread(self._begun)
        began_at = time.monotonic()
        found: Any
        try:
            found = work()
        except BaseException:
            found = Failure()
        self.reactor.callFromThread(self._ended, result, found, time.monotonic() - began_at)

    def _ended(self, result: Deferred[Any], found: Any, seconds: float) -> None:
        self.figures.jobs += 1
        self.figures.seconds += seconds
        _settle(result, found)

    def _begun(self) -> None:
        self._waiting -= 1

    def _workers(self) -> ThreadPool:
        if self._pool is None:
            self._pool = ThreadPool(0, self._threads, name="models")
            self._pool.threadFactory = Worker
            self._pool.start()
        return self._pool

    def converse(self, local: wire.Local) -> Deferred["Conversation"]:
        """A conversation with ``local`` for those who ask and wait; ready when the model is."""
        return Deferred.fromCoroutine(self._converse(local))

    async def _converse(self, local: wire.Local) -> "Conversation":
        loaded = await self.load(local)
        return Conversation(self, local.model, await self.begin(local.model, local, loaded))

    def begin(self, name: str, local: wire.Local, loaded: Any) -> Deferred[wire.Engine]:
        """One conversation with a loaded copy. Cancelling it gives the conversation back once it has begun.

        It waits however many wait: callers come back all at once after a restart, to begin takes no time, and
        there are no more of these than connections.
        """
        begun: Deferred[wire.Engine] = Deferred()

        def opened(engine: wire.Engine) -> None:
            if begun.called:
                self.run(name, engine.close, is_urgent=True).addErrback(
                    lambda failure: self._log.failure("closing {name} failed", failure, name=name)
                )
            else:
                begun.callback(engine)

        def failed(failure: Failure) -> None:
            if not begun.called:
                begun.errback(failure)

        beginning = self.run(name, lambda: local.open(loaded), is_urgent=True)
        beginning.addCallbacks(opened, failed)
        return begun

    def stop(self) -> Deferred[None]:
        """Begin no more work; fires when the threads have ended what they were doing."""
        self._is_stopped = True
        self._models.clear()
        pool, self._pool = self._pool, None
        if pool is None:
            return succeed(None)
        # Joining a thread that computes must not hold up the calls that are being drained.
        joining: Deferred[None] = deferToThreadPool(
            self.reactor, self.reactor.getThreadPool(), pool.stop
        )
        return joining


class Worker(threading.Thread):
    """A thread that models run in. Calls come first: it computes with what the reactor leaves of the processor."""

    def run(self) -> None:
        if (
            sys.platform == "linux"
        ):  # where a thread has a niceness of its own, which its own threads inherit
            niceness = os.getpriority(os.PRIO_PROCESS, 0) + NICENESS
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), niceness)
        super().run()


class Conversation:
    """A model that is asked and answers, in order; for nodes of a graph.

    Args:
        engine: only ever called in one worker thread at a time.
    """

    _log = Logger()

    def __init__(self, engines: Engines, model: str, engine: wire.Engine) -> None:
        self._engines = engines
        self._model = model
        self._engine = engine
        self._jobs: deque[tuple[Callable[[], Any], Deferred[Any]]] = deque()
        self._is_working = False
        self._is_closed = False

    def feed(self, outgoing: str | bytes) -> Deferred[list[str | bytes]]:
        """What the model says to ``outgoing``. Fails with a ProviderError; later questions go on.

        Cancelling it forgets the answer.
        """
        answer: Deferred[list[str | bytes]] = Deferred()
        if self._is_closed:
            answer.errback(errors.ProviderLost(self._model, f"{self._model}: already closed"))
            return answer
        self._jobs.append((lambda: list(self._engine.feed(outgoing)), answer))
        self._work_on()
        return answer

    def close(self) -> None:
        """Give the conversation back, after what was asked."""
        if not self._is_closed:
            self._is_closed = True
            closed: Deferred[None] = Deferred()
            closed.addErrback(
                lambda failure: self._log.failure(
                    "closing {model} failed", failure=failure, model=self._model
                )
            )
            self._jobs.append((self._engine.close, closed))
            self._work_on()

    def _work_on(self) -> None:
        if self._is_working or not self._jobs:
            return
        work, answer = self._jobs.popleft()
        self._is_working = True
        # Closing must happen however busy the workers are.
        job = self._engines.run(self._model, work, is_urgent=self._is_closed and not self._jobs)

        def ended(result: Any) -> None:
            self._is_working = False
            if isinstance(result, Failure):
                result = Failure(_as_error(self._model, "failed", result))
            _settle(answer, result)
            self._work_on()

        job.addBoth(ended)


class _Turn:
    """What a worker shares with the reactor: whether its work is still wanted."""

    __slots__ = ("is_over",)

    def __init__(self) -> None:
        self.is_over = False


class EngineLink:
    """A dialogue with a model. At most one job at a time, so that order holds.

    Audio that comes while a job runs goes to the model as one piece afterwards. A worker makes at most
    ``AHEAD`` pieces before it comes back: then other calls get their turn, and a paused call keeps no thread.

    Args:
        backlog_s: audio waiting from which the source is told to stop.
    """

    _log = Logger()

    def __init__(
        self,
        engines: Engines,
        provider: str,
        dialogue: wire.Dialogue,
        sink: Sink,
        backlog_s: float,
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
        self._waits = Waits()
        self._engine: wire.Engine | None = None
        self._backlog = Backlog(bytes_of(dialogue.format, backlog_s), sink.congested)
        self._turn = _Turn()
        self._asked: deque[str | bytes] = (
            deque()
        )  # what the present job still has to tell the model
        self._answering: Iterator[str | bytes] | None = None
        self._stale: list[Iterator[str | bytes]] = []
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
            loaded = await self._waits.on(self._engines.load(self._local))
            self._engine = await self._waits.on(
                self._engines.begin(self._provider, self._local, loaded)
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
        self._goodbye.limit(self._dialogue.opening.finish_s, self.abort)
        self.send(wire.Finish())
        self._work_on()
        return waiting

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
            self._close_engine()
        self._goodbye.said()

    def _new_turn(self) -> None:
        """Nothing that was asked before matters any more."""
        self._turn.is_over = True
        self._turn = _Turn()
        self._held.clear()
        self._asked.clear()
        if self._answering is not None and not self._is_working:
            self._stale.append(self._answering)
            self._answering = None

    def _close_engine(self) -> None:
        engine, self._engine = self._engine, None
        if engine is None:
            return
        stale, self._stale = self._stale, []

        def close() -> None:
            _close_all(stale)
            engine.close()

        self._engines.run(self._provider, close, is_urgent=True).addErrback(self._close_failed)

    def _close_failed(self, failure: Failure) -> None:
        if not failure.check(errors.ProviderLost):
            self._log.failure(
                "{provider}: closing failed", failure=failure, provider=self._provider
            )

    # Work.

    def _work_on(self) -> None:
        """Give a worker the next slice of work, if there is any and room for its results."""
        if self._is_working or self._is_over or self._engine is None:
            return
        if self._held:  # paused, and as far ahead as it may be
            return
        has_begun = self._answering is not None or bool(self._asked)
        if not has_begun:
            self._ask()
        if self._answering is None and not self._asked and not self._stale:
            if self._finish_asked and not self._backlog and self._goodbye.is_asked:
                self.abort()
            return
        self._is_working = True
        turn, engine, stale = self._turn, self._engine, self._stale
        self._stale = []
        answering, self._answering = self._answering, None
        slice_ = _Slice(self._engines.reactor, turn, engine, answering, self._asked, self._piece)
        job = self._engines.run(self._provider, lambda: slice_.work(stale), is_urgent=has_begun)
        job.addBoth(self._worked, turn)

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
        self._asked = deque(told)

    def _worked(self, result: Any, turn: _Turn) -> None:
        """A slice has ended."""
        self._is_working = False
        if isinstance(result, Failure):
            if turn is self._turn:
                self._failed(result)
        else:
            self._was_busy = False
            if result is not None and turn is self._turn:
                self._answering = result
            elif result is not None:
                self._stale.append(result)
        if self._has_ended():
            self._close_engine()
        else:
            self._work_on()

    def _has_ended(self) -> bool:
        return self._is_over

    def _failed(self, failure: Failure) -> None:
        if not failure.check(errors.ProviderError):
            self._log.failure(
                "{provider}: the model failed", failure=failure, provider=self._provider
            )
        if failure.check(errors.ProviderBusy):
            was_audio = all(isinstance(one, bytes) for one in self._asked)
            self._asked.clear()
            if was_audio and self._was_busy:
                return  # said already; frames come fifty times a second
            self._was_busy = was_audio
        error = _as_error(self._provider, "the model failed", failure)
        if not isinstance(error, errors.ProviderError):
            error = errors.ProviderError(self._provider, error.message)
        self._sink.event(wire.Failed(error))

    def _piece(self, turn: _Turn, piece: str | bytes) -> None:
        """The model said something; called on the reactor."""
        if turn is self._turn and not self._is_over:
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
                    if turn is not self._turn or self._is_over:
                        break
                    self.figures.heard(event)
                    self._sink.event(event)
        finally:
            self._is_delivering = False


class _Slice:
    """A bounded piece of work. ``work`` runs in a worker thread."""

    def __init__(
        self,
        reactor: Any,
        turn: _Turn,
        engine: wire.Engine,
        answering: Iterator[str | bytes] | None,
        asked: deque[str | bytes],
        deliver: Callable[[_Turn, str | bytes], None],
    ) -> None:
        self._reactor = reactor
        self._turn = turn
        self._engine = engine
        self._answering = answering
        self._asked = asked
        self._deliver = deliver

    def work(self, stale: list[Iterator[str | bytes]]) -> Iterator[str | bytes] | None:
        """Make up to ``AHEAD`` pieces; returns an answer that has not ended."""
        _close_all(stale)
        for _ in range(AHEAD):
            piece = self._next()
            if piece is None:
                return None
            if self._turn.is_over:
                self._give_up()
                return None
            self._reactor.callFromThread(self._deliver, self._turn, piece)
        return self._answering

    def _next(self) -> str | bytes | None:
        """The model's next piece; None when it has nothing to say any more, or is not to."""
        while not self._turn.is_over:
            if self._answering is None:
                try:
                    # The reactor may empty this at any moment, for a Clear.
                    asked = self._asked.popleft()
                except IndexError:
                    return None
                self._answering = iter(self._engine.feed(asked))
            for piece in self._answering:
                return piece
            self._answering = None
        self._give_up()
        return None

    def _give_up(self) -> None:
        if self._answering is not None:
            _close_all([self._answering])
            self._answering = None


def _close_all(stale: list[Iterator[str | bytes]]) -> None:
    """End generators in the middle, in a worker thread, so that the model frees what they hold."""
    for answering in stale:
        close = getattr(answering, "close", None)
        if close is not None:
            close()


def _forget(waiting: list[Deferred[Any]], waiter: Deferred[Any]) -> None:
    if waiter in waiting:
        waiting.remove(waiter)


def _settle(result: Deferred[Any], found: Any) -> None:
    if not result.called:
        result.callback(found)


def _as_error(provider: str, what: str, failure: Failure) -> errors.WaavError:
    if isinstance(failure.value, errors.WaavError):
        return failure.value
    return errors.ProviderError(provider, f"{provider}: {what} ({type(failure.value).__name__})")
