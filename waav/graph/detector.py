"""The turn model of one call: hears the audio, and says whether the caller sounds finished."""

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from waav.errors import WaavError
from waav.graph.build import Surroundings
from waav.links.engine import Conversation
from waav.speech import wire
from waav.speech.audio import AudioFormat
from waav.speech.convert import Converter

# Audio goes to the worker threads in pieces this long: a thread hop for each frame would cost more than the
# model.
BATCH_S = 0.2


class Detector:
    """Asks a turn model in the worker threads.

    Args:
        local: the model; its conversation takes audio as bytes, answers the text ``question`` with a
            probability, and drops what it heard on the text ``forget``.
        format: what the audio is when it gets here.
        model_format: what the model takes.
        threshold: probability from which the caller has finished.

    Attributes:
        threshold: may be changed at any time.
    """

    _log = Logger()

    def __init__(
        self,
        *,
        local: wire.Local,
        question: str,
        forget: str,
        format: AudioFormat,
        model_format: AudioFormat,
        threshold: float,
        surroundings: Surroundings,
    ) -> None:
        self._local = local
        self._question = question
        self._forget = forget
        self.threshold = threshold
        self._surroundings = surroundings
        self._converter = Converter(format, model_format)
        self._batch: list[bytes] = []
        self._batch_bytes = 0
        self._full_bytes = format.size_bytes(BATCH_S) if format.is_raw else 1
        self._worker: Conversation | None = None
        self._opening: Deferred[None] | None = None
        self._is_stopped = False
        self._has_complained = False

    def start(self, can_ask: Callable[[bool], None]) -> None:
        """Load the model; ``can_ask`` is told when it is there. If it never is, the caller is told why."""
        self._opening = Deferred.fromCoroutine(self._open(can_ask))

    def stop(self) -> None:
        """Give the conversation back; open questions are not answered."""
        self._is_stopped = True
        if self._opening is not None:
            self._opening.cancel()
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.close()

    def hear(self, data: bytes) -> None:
        """Audio of the caller."""
        if self._worker is None:
            return
        self._batch.append(data)
        self._batch_bytes += len(data)
        if self._batch_bytes >= self._full_bytes:
            self._send_batch(self._worker)

    def ask(self) -> Deferred[bool | None]:
        """Whether the caller has finished; None if the model could not tell. Never fails."""
        return Deferred.fromCoroutine(self._asked())

    def forget(self) -> None:
        """The turn is over: what was said in it does not count in the next."""
        self._batch.clear()
        self._batch_bytes = 0
        if self._worker is not None:
            self._worker.feed(self._forget).addErrback(self._complain)

    async def _open(self, can_ask: Callable[[bool], None]) -> None:
        try:
            self._worker = await self._surroundings.converse(self._local)
        except CancelledError:
            return
        except WaavError as error:
            self._log.warn(
                "{stream_id}: no turn model, timers end the turns: {reason}",
                stream_id=self._surroundings.stream_id,
                reason=error.message,
            )
            self._surroundings.warn(error)
        except Exception:
            self._complain(Failure())
        else:
            can_ask(True)

    async def _asked(self) -> bool | None:
        worker = self._worker
        if worker is None:
            return None
        self._send_batch(worker)
        try:
            answers = await worker.feed(self._question)
            return float(answers[-1]) >= self.threshold
        except Exception:
            self._complain(Failure())
            return None

    def _send_batch(self, worker: Conversation) -> None:
        data = self._converter.feed(b"".join(self._batch))
        self._batch.clear()
        self._batch_bytes = 0
        if data:
            worker.feed(data).addErrback(self._complain)

    def _complain(self, failure: Failure) -> None:
        """Once per call: an overloaded machine would fill the log."""
        if not self._has_complained and not self._is_stopped:
            self._has_complained = True
            self._log.failure(
                "{stream_id}: the turn model failed",
                failure,
                stream_id=self._surroundings.stream_id,
            )
