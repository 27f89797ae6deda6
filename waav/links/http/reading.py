"""One answer on its way to whoever asked, within its limits."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from waav import errors
from waav.links.http.connection import HttpConnection
from waav.links.http.parser import NotHttp
from waav.links.http.unpacking import Unpacker, Unreadable, unpacker_for
from waav.links.refusals import REFUSAL_BYTES, cause
from waav.speech import wire


class Reading:
    """Reads one answer. A limit passed, or ``abandon``, breaks the connection.

    Args:
        request: what is answered.
        deliver: gets ``Head``, ``Body``... and ``End`` of a success; an error it raises ends the reading.
        size_bytes: most of it.
        first_byte_s: until the head is there.
        idle_s: between two pieces, while nobody has us paused.
        request_s: altogether, time in which somebody has us paused not counted.

    Attributes:
        has_heard: something came: even if it is not enough, the vendor got the request.
        has_begun: something was delivered.
        is_whole: the answer said itself where it ends, and went on to there.
        answer: of the vendor, once its head is there; one that is no success is kept in ``explanation``.
        finished: fires when everything was delivered, or a refusal was read as far as it matters; fails with
            the ProviderError otherwise.
    """

    def __init__(
        self,
        clock: Any,
        provider: str,
        request: wire.Request | None,
        deliver: Callable[[wire.Incoming], None],
        size_bytes: int,
        first_byte_s: float,
        idle_s: float,
        request_s: float,
    ) -> None:
        self._clock = clock
        self._provider = provider
        self._request = request
        self._deliver = deliver
        self._room = size_bytes
        self._first_byte_s = first_byte_s
        self._idle_s = idle_s
        self._began_at: float = clock.seconds()
        self._heard_at: float = self._began_at
        self._ends_at = self._began_at + request_s
        self._paused_at: float | None = None
        self._connection: HttpConnection | None = None
        self._unpacker: Unpacker | None = None
        self._is_refusal = self._is_over = False
        self.has_heard = self.has_begun = self.is_whole = False
        self.answer: wire.Head | None = None
        self.answered_s: float | None = None
        self.explanation = b""
        self.finished: Deferred[None] = Deferred(lambda _: self.abandon())
        self._timer: IDelayedCall | None = None
        self._watch()

    def ask(self, connection: HttpConnection, data: bytes, *, is_head: bool = False) -> None:
        """Have the answer come over ``connection``."""
        if self._is_over:
            connection.abort()
            return
        self._connection = connection
        connection.ask(data, self, is_head=is_head)
        if self._paused_at is not None and self._connection is connection:
            connection.pause()

    # Who listens.

    def pause(self) -> None:
        if self._paused_at is None:
            self._paused_at = self._clock.seconds()
            if self._connection is not None:
                self._connection.pause()

    def resume(self) -> None:
        if self._paused_at is None:
            return
        now = self._clock.seconds()
        passed = now - self._paused_at
        self._began_at += passed
        self._ends_at += passed
        self._heard_at = now
        self._paused_at = None
        if self._connection is not None:
            self._connection.resume()

    def abandon(self) -> None:
        """Break the connection: the vendor sees it and stops working. ``finished`` does not fire."""
        connection = self._stop()
        if connection is not None:
            connection.abort()

    # What the connection tells.

    def head(self, status: int, headers: dict[str, str]) -> None:
        self._heard()
        self.answered_s = self._clock.seconds() - self._began_at
        self.answer = wire.Head(status, headers, self._request)
        if not 200 <= status < 300:
            self._is_refusal = True
            self._room = REFUSAL_BYTES
        try:
            self._unpacker = unpacker_for(headers)
        except Unreadable:
            coding = headers["content-encoding"][:40]
            self._fail(
                self._wire_error(f"{self._provider} sent an answer compressed as {coding!r}")
            )

    def body(self, data: bytes) -> None:
        self._heard_at = self._clock.seconds()
        if self._unpacker is not None:
            try:
                data = self._unpacker.feed(data, max(self._room, 0))
            except Unreadable:
                self._fail(
                    self._wire_error(f"{self._provider} sent compressed bytes that are broken")
                )
                return
            if not data:
                return
        self._room -= len(data)
        if self._is_refusal:
            self.explanation = (self.explanation + data)[:REFUSAL_BYTES]
        elif self.has_begun:
            # Nothing else is done for most pieces.
            try:
                self._deliver(wire.Body(data))
            except Exception as error:
                self._fail(error)
        else:
            self._give(wire.Body(data))
        if self._room < 0:
            self._fail(self._wire_error(f"{self._provider} sent more than is allowed"))

    def ended(self, is_whole: bool) -> None:
        self._connection = None  # it is another's by now
        if self._unpacker is not None and not self._unpacker.is_whole:
            self._fail(self._lost_error(f"{self._provider} hung up in the middle of its answer"))
            return
        self.is_whole = is_whole
        if not self._is_refusal:
            self._give(wire.End())
        if not self._is_over:
            self._stop()
            self.finished.callback(None)

    def lost(self, reason: BaseException | None, has_begun: bool) -> None:
        self._connection = None
        self.has_heard |= has_begun
        if isinstance(reason, NotHttp):
            self._fail(
                self._wire_error(f"{self._provider} answered with something that is not HTTP")
            )
        elif self.answer is None:
            self._fail(
                self._lost_error(f"{self._provider} hung up before it answered ({cause(reason)})")
            )
        else:
            self._fail(
                self._lost_error(
                    f"{self._provider} hung up in the middle of its answer ({cause(reason)})"
                )
            )

    # How it ends.

    def _heard(self) -> None:
        self.has_heard = True
        self._heard_at = self._clock.seconds()
        if self._timer is not None:
            self._timer.cancel()
            self._watch()

    def _give(self, piece: wire.Body | wire.End) -> None:
        try:
            if not self.has_begun and self.answer is not None:
                self.has_begun = True
                self._deliver(self.answer)
            if not self._is_over:
                self._deliver(piece)
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if self._is_over:
            return
        connection = self._stop()
        if connection is not None:
            connection.abort()
        if self._is_refusal:
            # What was read of the explanation is enough.
            self.finished.callback(None)
        else:
            self.finished.errback(error)

    def _stop(self) -> HttpConnection | None:
        """Deliver nothing more. Whoever calls breaks the connection, if there is one."""
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        connection, self._connection = self._connection, None
        return connection

    def _watch(self) -> None:
        """One timer per answer, not one per piece: it looks at when the last piece came."""
        self._timer = None
        now = self._clock.seconds()
        if self._paused_at is not None:
            due = now + self._idle_s
        else:
            due = min(self._silent_at, self._ends_at)
        if due > now:
            self._timer = self._clock.callLater(due - now, self._watch)
            return
        if not self.has_heard:
            said = f"{self._provider} did not answer within {now - self._began_at:.1f} s"
        elif self._ends_at <= now:
            said = f"{self._provider} did not finish its answer in time"
        else:
            said = f"{self._provider} sent nothing for {self._idle_s:g} s"
        self._fail(errors.ProviderTimeout(self._provider, said))

    @property
    def _silent_at(self) -> float:
        """When the vendor's silence has lasted too long."""
        if self.has_heard:
            return self._heard_at + self._idle_s
        return self._began_at + self._first_byte_s

    def _wire_error(self, said: str) -> errors.WireError:
        return errors.WireError(self._provider, said)

    def _lost_error(self, said: str) -> errors.ProviderLost:
        return errors.ProviderLost(self._provider, said)
