"""What a link to a vendor is, seen from the two sides of it."""

from typing import Any, Protocol, TypeVar

from twisted.internet.defer import Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import deferLater
from twisted.python.failure import Failure

from waav.errors import ProviderError, WireError
from waav.links.figures import LinkFigures
from waav.speech import wire

T = TypeVar("T")


class Sink(Protocol):
    """Where a link puts what the vendor says. Both methods return at once and never raise."""

    def event(self, event: wire.Event) -> None:
        """One thing happened. Events come in order; nothing follows a ``wire.Lost``."""

    def congested(self, is_full: bool) -> None:
        """True: the vendor cannot take more just now, stop the source. False: go on.

        What is sent in spite of it is kept in order all the same.
        """


class Link(Protocol):
    """A conversation with a vendor that has begun."""

    @property
    def figures(self) -> LinkFigures:
        """What passed so far; still there after the end."""

    def send(self, command: wire.Command) -> None:
        """Say ``command`` to the vendor. Returns at once; ignored after ``close`` or ``abort``."""

    def send_audio(self, data: bytes) -> None:
        """The same as ``send(wire.Audio(data))``, in fewer steps where there are any to be saved."""

    def pause(self) -> None:
        """Stop reading what the vendor says: the far side is full."""

    def resume(self) -> None:
        """Go on reading."""

    def close(self) -> Deferred[None]:
        """Say ``Finish``, deliver the last events (at most ``Opening.finish_s``), then hang up.

        The Deferred never fails. Cancelling it hangs up at once.
        """

    def abort(self) -> None:
        """Hang up at once. No event follows."""


def understand(provider: str, dialogue: wire.Dialogue, incoming: wire.Incoming) -> list[wire.Event]:
    """What ``incoming`` means. A message of the wrong shape becomes a ``WireError`` here, and only here.

    Raises:
        ProviderError: from the dialogue, or the ``WireError``.
    """
    try:
        return dialogue.receive(incoming)
    except ProviderError:
        raise
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        # The text of the error may quote the vendor's message, and with it a transcript: only its type is shown.
        raise WireError(
            provider,
            f"{provider} sent something its documentation does not describe ({type(error).__name__})",
        ) from error


def timed_out(result: object, seconds: float) -> Failure:
    """For ``Deferred.addTimeout``: Twisted's clients fail in several ways when cancelled, all mean this."""
    return Failure(TimeoutError(seconds, "Deferred"))


class Waits:
    """Awaits one Deferred after the other and can be stopped from anywhere.

    A coroutine's own Deferred cannot be cancelled from a callback that the coroutine itself is running just
    then; a consumer that hangs up while it is given an event does exactly that. ``stop`` can.
    """

    def __init__(self) -> None:
        self.is_stopped = False
        self._waiting: Deferred[Any] | None = None

    async def on(self, deferred: Deferred[T]) -> T:
        """The result of ``deferred``, or ``CancelledError`` once stopped."""
        if self.is_stopped:
            deferred.cancel()
        self._waiting = deferred
        try:
            return await deferred
        finally:
            self._waiting = None

    async def sleep(self, clock: IReactorTime, seconds: float) -> None:
        """Let ``seconds`` pass."""
        await self.on(deferLater(clock, seconds))

    def stop(self) -> None:
        """Cancel what is being waited for, now and later."""
        self.is_stopped = True
        if self._waiting is not None:
            self._waiting.cancel()
