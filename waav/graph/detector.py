"""The turn model of one call: hears the audio, and says whether the caller sounds finished."""

from collections.abc import Callable

from twisted.internet.defer import CancelledError, Deferred
from twisted.python.failure import Failure

from waav.errors import untraced
from waav.graph.build import Surroundings
from waav.graph.model_talk import ModelTalk
from waav.links.engines.engines import Conversation
from waav.speech import wire
from waav.speech.audio import AudioFormat
from waav.speech.convert import Converter
from waav.tasks import started

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
        is_asked: whether the caller asked for it, rather than the operator.

    Attributes:
        threshold: may be changed at any time.
    """

    def __init__(
        self,
        *,
        local: wire.Local,
        question: str,
        forget: str,
        format: AudioFormat,
        model_format: AudioFormat,
        threshold: float,
        is_asked: bool,
        surroundings: Surroundings,
    ) -> None:
        self._question = question
        self._forget = forget
        self.threshold = threshold
        self._worker = ModelTalk(
            local,
            surroundings,
            name="turn model",
            without="timers end the turns",
            is_asked=is_asked,
        )
        self._converter = Converter(format, model_format)
        self._batch: list[bytes] = []
        self._batch_bytes = 0
        self._full_bytes = format.size_bytes(BATCH_S) if format.is_raw else 1

    def start(self, can_ask: Callable[[bool], None]) -> None:
        """Load the model; ``can_ask`` is told when it is there. If it never is, a caller who asked for it is told why."""
        started(self._start(can_ask))

    def stop(self) -> None:
        """Give the conversation back; open questions are not answered."""
        conversation = self._worker.stop()
        if conversation is not None:
            conversation.close()

    def hear(self, data: bytes) -> None:
        """Audio of the caller."""
        conversation = self._worker.conversation
        if conversation is None:
            return
        self._batch.append(data)
        self._batch_bytes += len(data)
        if self._batch_bytes >= self._full_bytes:
            self._send_batch(conversation)

    def ask(self) -> Deferred[bool | None]:
        """Whether the caller has finished; None if the model could not tell. Never fails."""
        return started(self._asked())

    def forget(self) -> None:
        """The turn is over: what was said in it does not count in the next."""
        self._batch.clear()
        self._batch_bytes = 0
        conversation = self._worker.conversation
        if conversation is not None:
            conversation.feed(self._forget).addErrback(self._worker.complain)

    async def _start(self, can_ask: Callable[[bool], None]) -> None:
        try:
            await self._worker.start()
        except CancelledError as cancelled:
            untraced(cancelled)
            return
        if self._worker.conversation is not None:
            can_ask(True)

    async def _asked(self) -> bool | None:
        conversation = self._worker.conversation
        if conversation is None:
            return None
        self._send_batch(conversation)
        try:
            answers = await conversation.feed(self._question)
            return float(answers[-1]) >= self.threshold
        except Exception:
            self._worker.complain(Failure())
            return None

    def _send_batch(self, conversation: Conversation) -> None:
        data = self._converter.feed(b"".join(self._batch))
        self._batch.clear()
        self._batch_bytes = 0
        if data:
            conversation.feed(data).addErrback(self._worker.complain)
