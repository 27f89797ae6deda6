"""What a node has of one of the gateway's own models: a conversation, or a reason why there is none."""

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from waav.errors import ModelMissing, WaavError, untraced
from waav.graph.build import Surroundings
from waav.links.engines.engines import Conversation
from waav.speech import wire
from waav.tasks import started


class ModelTalk:
    """The conversation of one node with a model. Without a model the call goes on.

    Args:
        local: the model.
        name: what people call it.
        without: what happens instead while there is no model.
        is_asked: whether this call asked for it. Where the operator did, the log is told and the caller is not:
            he can neither help it nor tell it from a ``config`` that failed.

    Attributes:
        conversation: there once the model is loaded, until ``stop``.
    """

    _log = Logger()

    def __init__(
        self,
        local: wire.Local,
        surroundings: Surroundings,
        *,
        name: str,
        without: str,
        is_asked: bool,
    ) -> None:
        self.conversation: Conversation | None = None
        self._local = local
        self._surroundings = surroundings
        self._name = name
        self._without = without
        self._is_asked = is_asked
        self._opening: Deferred[None] | None = None
        self._is_stopped = False
        self._has_complained = False

    def start(self) -> Deferred[None]:
        """Fires when the model is loaded, or will not be: then the log was told why, and a caller who asked for it.

        Fails with CancelledError if it is stopped before.
        """
        self._opening = started(self._open())
        return self._opening

    def stop(self) -> Conversation | None:
        """Ask no more; returns the conversation, to be closed."""
        self._is_stopped = True
        if self._opening is not None:
            self._opening.cancel()
        conversation, self.conversation = self.conversation, None
        return conversation

    def complain(self, failure: Failure) -> None:
        """Log a failure, once per call: an overloaded machine would fill the log."""
        if not self._has_complained and not self._is_stopped:
            self._has_complained = True
            self._log.failure(
                "{stream_id}: the {name} failed",
                failure,
                stream_id=self._surroundings.stream_id,
                name=self._name,
            )
        failure.cleanFailure()

    async def _open(self) -> None:
        try:
            self.conversation = await self._surroundings.converse(self._local)
        except CancelledError:
            raise
        except WaavError as error:
            self._log.warn(
                "{stream_id}: no {name}, {without}: {reason}",
                stream_id=self._surroundings.stream_id,
                name=self._name,
                without=self._without,
                reason=error.message,
            )
            if self._is_asked:
                self._surroundings.warn(self._told(error))
            untraced(error)
        except Exception:
            self.complain(Failure())

    def _told(self, error: WaavError) -> WaavError:
        """What a caller may know: not where this machine keeps its files."""
        if isinstance(error, ModelMissing):
            return ModelMissing(
                f"there is no {self._name} here, {self._without}: waav init fetches it"
            )
        return error
