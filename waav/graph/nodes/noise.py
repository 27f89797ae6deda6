"""The node that takes noise out of the caller's audio before it is recognised."""

import struct
from collections.abc import Mapping
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.python.failure import Failure

from waav.graph.build import Emit, Surroundings
from waav.graph.model_talk import ModelTalk
from waav.links.engines.engines import Conversation
from waav.speech import wire
from waav.speech.audio import AudioFormat
from waav.speech.convert import Converter
from waav.tasks import started

# A frame of 20 ms alone is not worth a thread hop.
BATCH_S: Final = 0.04

# The filter holds less than 0.1 s; a machine that needs longer for it is overloaded.
FINISH_S: Final = 0.5

FADE_S: Final = 0.005


class Noise:
    """Receives audio (``bytes``) in the caller's format; emits linear16 in ``format``, in order.

    Audio goes to the worker threads in batches; what comes meanwhile is the next batch. When more than
    ``max_backlog_s`` has not come back, all of it passes unfiltered, and so does what follows until the worker
    answers. Without the model everything passes. What the filter gives out is taken to belong, sample for sample,
    to what it was given, only later; after audio that passed it is faded in. It cannot be faded out: what it
    would have said is just what is not there in time.

    Args:
        source: what the caller sends.
        format: what the model takes and gives, linear16 with one channel.
        finish: asks the model for all that it still holds.
        is_asked: whether the caller asked for it, rather than the operator.
    """

    def __init__(
        self,
        *,
        local: wire.Local,
        source: AudioFormat,
        format: AudioFormat,
        finish: str,
        max_backlog_s: float,
        is_asked: bool,
        surroundings: Surroundings,
        emit: Emit,
    ) -> None:
        self._worker = ModelTalk(
            local,
            surroundings,
            name="noise filter",
            without="audio is not filtered",
            is_asked=is_asked,
        )
        self._format = format
        self._finish = finish
        self._surroundings = surroundings
        self._emit = emit
        self._converter = Converter(source, format)
        self._batch_bytes = format.size_bytes(BATCH_S)
        self._max_backlog_bytes = format.size_bytes(max_backlog_s)
        self._inside = b""  # audio the filter has taken in and not given out
        self._batch = b""  # what the worker is at
        self._waiting: list[bytes] = []
        self._waiting_bytes = 0
        self._stale_bytes = 0  # what the filter will give out of audio that has passed already
        self._is_busy = False
        self._is_wanted = False  # whether what the worker is at has not passed already
        self._has_passed = False  # whether what was emitted last was unfiltered
        self._working: Deferred[None] = succeed(None)
        self._is_over = False

    def receive(self, value: Any) -> None:
        if not isinstance(value, bytes):
            self._emit(value)
            return
        data = self._converter.feed(value)
        worker = self._worker.conversation
        if worker is None or (self._is_busy and not self._is_wanted):
            self._pass(data)
            return
        self._waiting.append(data)
        self._waiting_bytes += len(data)
        if self._is_busy:
            if self._waiting_bytes + len(self._batch) > self._max_backlog_bytes:
                self._bypass()
        elif self._waiting_bytes >= self._batch_bytes:
            self._filter(worker)

    def start(self) -> Deferred[None]:
        return self._worker.start()

    def stop(self, at_once: bool) -> Deferred[None]:
        worker = self._worker.stop()
        if worker is None or at_once:
            if worker is not None:
                worker.close()
            self._end(at_once)
            return succeed(None)
        ending = started(self._empty(worker))
        return ending.addTimeout(FINISH_S, self._surroundings.clock, lambda result, seconds: None)

    async def _empty(self, worker: Conversation) -> None:
        """Get out of the filter what is in it."""
        try:
            if not self._is_busy or self._is_wanted:
                await self._working
                self._waiting.append(self._converter.finish())
                self._filter(worker)
                await self._working
                self._ask(worker, self._finish)
                await self._working
        finally:
            worker.close()
            self._end(False)

    def _end(self, at_once: bool) -> None:
        """What is left passes, and nothing after it."""
        if not at_once:
            self._bypass()
            self._pass(self._converter.finish())
        self._is_over = True

    def pause(self) -> None:
        """The caller is held back by the recogniser's link alone."""

    def resume(self) -> None:
        pass

    def _filter(self, worker: Conversation) -> None:
        self._batch = b"".join(self._waiting)
        self._waiting.clear()
        self._waiting_bytes = 0
        if self._batch:
            self._ask(worker, self._batch)

    def _ask(self, worker: Conversation, outgoing: str | bytes) -> None:
        self._is_busy = self._is_wanted = True
        self._working = worker.feed(outgoing).addCallbacks(self._filtered, self._failed)

    def _filtered(self, answers: list[str | bytes]) -> None:
        if self._is_wanted:
            self._inside += self._batch
        self._batch = b""
        self._is_busy = self._is_wanted = False
        data = b"".join(answer for answer in answers if isinstance(answer, bytes))
        stale = min(self._stale_bytes, len(data))
        self._stale_bytes -= stale
        data = data[stale:]
        raw, self._inside = self._inside[: len(data)], self._inside[len(data) :]
        if data and not self._is_over:
            if self._has_passed:
                self._has_passed = False
                data = _faded(raw, data, self._format.size_bytes(FADE_S))
            self._emit(data)
        worker = self._worker.conversation
        if worker is not None and not self._is_busy and self._waiting_bytes >= self._batch_bytes:
            self._filter(worker)

    def _failed(self, failure: Failure) -> Failure | None:
        """This batch is passed on as it was; the next may fare better."""
        self._worker.complain(failure)
        size = len(self._batch)
        self._bypass()
        # The filter did not take it in.
        self._stale_bytes -= size
        self._batch = b""
        self._is_busy = False
        # Whoever waits for the end does so no longer.
        return failure if failure.check(CancelledError) else None

    def _bypass(self) -> None:
        """Everything that has not come back goes on unfiltered; what comes back of it later is dropped."""
        data = self._inside
        if self._is_wanted:
            data += self._batch
        self._stale_bytes += len(data)
        data += b"".join(self._waiting)
        self._is_wanted = False
        self._inside = b""
        self._waiting.clear()
        self._waiting_bytes = 0
        self._pass(data)

    def _pass(self, data: bytes) -> None:
        if not data or self._is_over:
            return
        self._has_passed = True
        unfiltered_s = self._format.duration_s(len(data)) or 0.0
        self._surroundings.count("unfiltered_ms", round(unfiltered_s * 1000))
        self._emit(data)


def _faded(raw: bytes, filtered: bytes, size_bytes: int) -> bytes:
    """``filtered``, beginning as ``raw`` and turning into itself over the first ``size_bytes``."""
    size_bytes = min(size_bytes, len(raw), len(filtered)) & ~1
    samples = f"<{size_bytes // 2}h"
    pairs = zip(
        struct.unpack(samples, raw[:size_bytes]),
        struct.unpack(samples, filtered[:size_bytes]),
        strict=True,
    )
    total = size_bytes // 2
    mixed = (
        before + (after - before) * number // total for number, (before, after) in enumerate(pairs)
    )
    return struct.pack(samples, *mixed) + filtered[size_bytes:]


def noise(config: Mapping[str, Any], surroundings: Surroundings, emit: Emit) -> Noise:
    """Kind ``noise_filter``: the keywords of ``Noise``."""
    return Noise(surroundings=surroundings, emit=emit, **config)
