"""The gateway's own models: loaded once, asked in turn, never on the reactor."""

from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from itertools import count
from typing import Any, Final, Protocol, TypeVar

from twisted.internet.defer import Deferred, DeferredLock, fail, maybeDeferred, succeed
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger
from twisted.python.failure import Failure

from waav import errors
from waav.links.engines.protocol import Elsewhere
from waav.links.engines.turn_queue import TurnQueue, TurnShare
from waav.links.engines.workbench import EVERYTHING
from waav.speech import wire
from waav.tasks import started

T = TypeVar("T")

AGAIN_S: Final = 1.0
"""After which models are loaded again whose process died: one that dies of loading must not do so all the time."""

_LOADING: Final = TurnShare(is_batch=True)


class Host(Protocol):
    """Where models are. Conversations have numbers that are never used again.

    Attributes:
        threads: jobs at once; it is given no more.
        on_lost: called when all models and conversations are gone, before the jobs fail that were under way.
    """

    threads: int
    on_lost: Callable[[], None]

    def load(self, name: str, load: Callable[[], Any]) -> Deferred[None]:
        """Make the one copy of a model; fails with what ``load`` raises."""

    def open(self, number: int, name: str, open: Callable[[Any], wire.Engine]) -> Deferred[None]:
        """Begin a conversation with a loaded model; fails with what ``open`` raises."""

    def work(
        self, number: int, turn: int, asked: list[str | bytes], say: Callable[[str | bytes], None], most: int
    ) -> Deferred[bool]:  # fmt: skip
        """Tell a conversation what is asked, in order, and have it make up to ``most`` pieces of its answer.

        Args:
            turn: counts up from 1; what an earlier one left unsaid is given up first.
            say: called on the reactor with each piece.

        Returns:
            whether there is more. Fails with what the model raises; what else was asked is there still.
        """

    def over(self, number: int, turn: int) -> None:
        """Nothing of that turn, nor of earlier ones, is wanted any more; the model stops at its next piece."""

    def close(self, number: int) -> Deferred[None]:
        """Give a conversation back."""

    def stop(self) -> Deferred[None]:
        """End it."""


@dataclass(slots=True)
class _Model:
    """One loaded copy, or the wait for it."""

    local: wire.Local
    is_loaded: bool = False
    waiting: list[Deferred[None]] = field(default_factory=list)


@dataclass(slots=True)
class EngineFigures:
    """What the workers did so far: jobs that ended, seconds they took, jobs refused because too many waited."""

    jobs: int = 0
    seconds: float = 0.0
    refused: int = 0


class Engines:
    """The models and the queue in front of them.

    Args:
        reactor: the clock.
        host: where the models are.
        queue: most jobs that may wait for a worker; one more is ``ProviderBusy``.

    Attributes:
        figures: what the workers did.
    """

    _log = Logger()

    def __init__(self, reactor: Any, host: Host, queue: int) -> None:
        self.reactor = reactor
        self.host = host
        host.on_lost = self._lost
        self.figures = EngineFigures()
        self._queue = queue
        self._jobs: TurnQueue[tuple[Callable[[], Deferred[Any]], Deferred[Any]]] = TurnQueue()
        self._running = 0
        self._is_dispatching = False
        self._models: dict[str, _Model] = {}
        self._loads = DeferredLock()
        self._numbers = count(1)
        self._talks: dict[int, Callable[[errors.ProviderLost], None]] = {}
        self._wanted: list[wire.Local] = []  # models to load again
        self._again: IDelayedCall | None = None
        self._is_stopped = False

    @property
    def waiting(self) -> int:
        """Jobs that no worker has begun."""
        return len(self._jobs)

    @property
    def loaded(self) -> int:
        """Models that are ready."""
        return sum(model.is_loaded for model in self._models.values())

    # Jobs.

    def do(
        self,
        name: str,
        work: Callable[[], Deferred[T]],
        share: TurnShare = TurnShare(),
        request: Hashable = None,
        *,
        is_urgent: bool = False,
    ) -> Deferred[T]:
        """Call ``work`` when its turn has come; it occupies a worker until its Deferred fires.

        Args:
            name: of the model or provider, for the error.
            share: whom it is for.
            request: what it belongs to; jobs of one keep their order.
            is_urgent: part of something that has begun: waits however many wait.

        Returns:
            Fails with ``ProviderBusy`` when too many jobs wait. Cancelling it forgets the result.
        """
        if self._is_stopped:
            return fail(_stopping(name))
        if not is_urgent and len(self._jobs) >= self._queue:
            self.figures.refused += 1
            return fail(
                errors.ProviderBusy(
                    name, f"{name}: {len(self._jobs)} jobs wait for the model already"
                )
            )
        result: Deferred[T] = Deferred()
        self._jobs.put(share, request, (work, result))
        self._dispatch()
        return result

    def _dispatch(self) -> None:
        """Give free workers what waits."""
        if self._is_dispatching:
            return
        self._is_dispatching = True
        try:
            while self._jobs and self._running < self.host.threads:
                work, result = self._jobs.take()
                self._running += 1
                maybeDeferred(work).addBoth(self._ended, result, self.reactor.seconds())
        finally:
            self._is_dispatching = False

    def _ended(self, found: Any, result: Deferred[Any], began_at: float) -> None:
        self._running -= 1
        self.figures.jobs += 1
        self.figures.seconds += self.reactor.seconds() - began_at
        # Whoever was served asks for more now, behind the others: only then it is seen whose turn it is.
        settle(result, found)
        self._dispatch()

    # Models.

    def load(self, local: wire.Local) -> Deferred[None]:
        """Fires when there is a loaded copy of ``local.model``. A failed load is tried again next time."""
        is_new = local.model not in self._models
        model = self._models.setdefault(local.model, _Model(local))
        if model.is_loaded:
            return succeed(None)
        waiter: Deferred[None] = Deferred(lambda one: _forget(model.waiting, one))
        model.waiting.append(waiter)
        if is_new:
            self._load(model)
        return waiter

    def _load(self, model: _Model) -> None:
        local = model.local

        def ended(result: Any) -> None:
            waiting, model.waiting = model.waiting, []
            if isinstance(result, Failure):
                self._models.pop(local.model, None)
                error = as_error(local.model, "could not be loaded", result)
                if not isinstance(result.value, errors.WaavError):
                    self._log.failure("loading {model} failed", failure=result, model=local.model)
                for waiter in waiting:
                    waiter.errback(error)
                return
            model.is_loaded = True
            for waiter in waiting:
                waiter.callback(None)

        def begin() -> Deferred[None]:
            return self.do(
                local.model,
                lambda: self.host.load(local.model, local.load),
                _LOADING,
                is_urgent=True,
            )

        # One at a time: loading takes seconds, and the other workers go on working meanwhile.
        self._loads.run(begin).addBoth(ended)

    def _lost(self) -> None:
        """The host has lost everything: all conversations end, and what was loaded is loaded again."""
        lost = [model.local for model in self._models.values() if model.is_loaded]
        for local in lost:
            del self._models[local.model]
        talks, self._talks = self._talks, {}
        for tell in talks.values():
            tell(errors.ProviderLost("models", "the process that runs the models is gone"))
        self._wanted += lost
        if self._again is None:
            self._again = self.reactor.callLater(AGAIN_S, self._load_again)

    def _load_again(self) -> None:
        self._again = None
        wanted, self._wanted = self._wanted, []
        for local in wanted:
            # Whoever asks for it is told why it failed, and it is logged.
            self.load(local).addErrback(lambda failure: None)

    # Conversations.

    def converse(
        self, local: wire.Local, share: TurnShare = TurnShare()
    ) -> Deferred["Conversation"]:
        """A conversation with ``local`` for those who ask and wait; ready when the model is."""
        return started(self._converse(local, share))

    async def _converse(self, local: wire.Local, share: TurnShare) -> "Conversation":
        await self.load(local)
        number = await self.begin(local.model, local, share)
        conversation = Conversation(self, local.model, number, share)
        self.watch(number, conversation.lost)
        return conversation

    def begin(self, name: str, local: wire.Local, share: TurnShare = TurnShare()) -> Deferred[int]:
        """The number of a new conversation with a loaded model. Cancelling it gives the conversation back once it
        has begun.

        It waits for nobody: callers come back all at once after a restart, to begin takes no time, and there are
        no more of these than connections.
        """
        if self._is_stopped:
            return fail(_stopping(name))
        number = next(self._numbers)
        begun: Deferred[int] = Deferred()

        def opened(result: None) -> None:
            if begun.called:
                self.end(number, name, share)
            else:
                begun.callback(number)

        def failed(failure: Failure) -> None:
            if not begun.called:
                begun.errback(failure)

        beginning: Deferred[None] = Deferred()
        beginning.addCallbacks(opened, failed)
        self._jobs.put_first((lambda: self.host.open(number, local.model, local.open), beginning))
        self._dispatch()
        return begun

    def watch(self, number: int, lost: Callable[[errors.ProviderLost], None]) -> None:
        """Call ``lost`` if the host loses the conversation before its ``end``."""
        self._talks[number] = lost

    def end(self, number: int, name: str, share: TurnShare = TurnShare()) -> None:
        """Give a conversation back, after what was asked. That happens however busy the workers are."""

        def failed(failure: Failure) -> None:
            if not failure.check(errors.ProviderLost):
                self._log.failure("closing {name} failed", failure=failure, name=name)

        self._talks.pop(number, None)
        self.do(
            name, lambda: self.host.close(number), share, number, is_urgent=True
        ).addErrback(failed)  # fmt: skip

    def stop(self) -> Deferred[None]:
        """Begin no more work; fires when what was under way has ended."""
        if self._is_stopped:
            return succeed(None)
        self._is_stopped = True
        self._models.clear()
        if self._again is not None:
            self._again.cancel()
        while self._jobs:
            _work, result = self._jobs.take()
            settle(result, Failure(_stopping("models")))
        return self.host.stop()


class Conversation:
    """A model that is asked and answers, in order; for nodes of a graph.

    Args:
        number: of a conversation that has begun.
    """

    def __init__(
        self, engines: Engines, model: str, number: int, share: TurnShare = TurnShare()
    ) -> None:
        self._engines = engines
        self._model = model
        self._number = number
        self._share = share
        self._asked: deque[tuple[str | bytes, Deferred[list[str | bytes]]]] = deque()
        self._is_working = False
        self._is_closed = False
        self._is_ended = False

    def feed(self, outgoing: str | bytes) -> Deferred[list[str | bytes]]:
        """What the model says to ``outgoing``. Fails with a ProviderError; later questions go on.

        Cancelling it forgets the answer.
        """
        if self._is_closed:
            return fail(errors.ProviderLost(self._model, f"{self._model}: already closed"))
        answer: Deferred[list[str | bytes]] = Deferred()
        self._asked.append((outgoing, answer))
        self._work_on()
        return answer

    def close(self) -> None:
        """Give the conversation back, after what was asked."""
        if not self._is_closed:
            self._is_closed = True
            self._work_on()

    def lost(self, error: errors.ProviderLost) -> None:
        """The model is gone, and with it the conversation."""
        self._is_closed = self._is_ended = True
        asked, self._asked = self._asked, deque()
        for _outgoing, answer in asked:
            settle(answer, Failure(error))

    def _work_on(self) -> None:
        if self._is_working:
            return
        if not self._asked:
            if self._is_closed and not self._is_ended:
                self._is_ended = True
                self._engines.end(self._number, self._model, self._share)
            return
        outgoing, answer = self._asked.popleft()
        said: list[str | bytes] = []
        self._is_working = True

        def ended(result: Any) -> None:
            self._is_working = False
            if isinstance(result, Failure):
                result = Failure(as_error(self._model, "failed", result))
            else:
                result = said
            settle(answer, result)
            self._work_on()

        self._engines.do(
            self._model,
            lambda: self._engines.host.work(self._number, 1, [outgoing], said.append, EVERYTHING),
            self._share,
            self._number,
        ).addBoth(ended)


def settle(result: Deferred[Any], found: Any) -> None:
    """Fire ``result``, unless nobody waits for it any longer."""
    if not result.called:
        result.callback(found)


def as_error(provider: str, what: str, failure: Failure) -> errors.WaavError:
    """A failure in words for callers: what is not an error of ours is named, no more."""
    error = failure.value
    if isinstance(error, errors.WaavError):
        return error
    kind = error.kind if isinstance(error, Elsewhere) else type(error).__name__
    return errors.ProviderError(provider, f"{provider}: {what} ({kind})")


def _stopping(name: str) -> errors.ProviderLost:
    return errors.ProviderLost(name, f"{name}: the gateway is stopping")


def _forget(waiting: list[Deferred[None]], waiter: Deferred[None]) -> None:
    if waiter in waiting:
        waiting.remove(waiter)
