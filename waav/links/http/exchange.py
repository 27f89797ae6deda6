"""One request and its answer, made again where that is safe."""

from collections.abc import Callable
from typing import Any, Final

from twisted.internet import error as net
from twisted.internet.defer import CancelledError, TimeoutError

from waav import errors
from waav.links.http.connection import HttpConnection
from waav.links.http.outgoing import encode
from waav.links.http.pool import Pool
from waav.links.http.reading import Reading
from waav.links.http.web import DOCUMENT_BYTES, Limits, Web
from waav.links.link import Waits, timed_out
from waav.links.refusals import cause, said_in
from waav.links.retry import DialTimeout, retry_after_s, wait_s
from waav.speech import wire

BARE: Final = frozenset({"HEAD"})
"""Methods whose answers have no body."""


class Exchange:
    """One request, made again where that is safe, and its answer as it comes.

    Args:
        deliver: gets ``Head``, ``Body``... and ``End``; a ProviderError it raises ends the exchange.
        refused: reads the vendor's error answers; None: the status decides.
    """

    def __init__(
        self,
        web: Web,
        provider: str,
        request: wire.Request,
        deliver: Callable[[wire.Incoming], None],
        limits: Limits,
        refused: Callable[[wire.Head, bytes], errors.ProviderError] | None = None,
    ) -> None:
        self._web = web
        self._clock = web.reactor
        self._provider = provider
        self._request = request
        self._deliver = deliver
        self._limits = limits
        self._refused = refused
        self._waits = Waits()
        self._is_paused = False
        self._reading: Reading | None = None
        self._began_at: float = web.reactor.seconds()

    @property
    def is_whole(self) -> bool:
        """Whether the answer said itself how long it is, and was that long: safe to keep."""
        return self._reading is not None and self._reading.is_whole

    def pause(self) -> None:
        """Stop reading the answer."""
        self._is_paused = True
        if self._reading is not None:
            self._reading.pause()

    def resume(self) -> None:
        """Go on reading the answer."""
        self._is_paused = False
        if self._reading is not None:
            self._reading.resume()

    def cancel(self) -> None:
        """Hang up; nothing more is delivered and ``run`` ends with ``CancelledError``."""
        reading, self._reading = self._reading, None
        if reading is not None:
            reading.abandon()
        self._waits.stop()

    async def run(self) -> None:
        """Returns after ``End`` was delivered.

        Raises:
            ProviderError: the last failure, when it cannot or need not be tried again.
        """
        data = encode(self._provider, self._request)
        pool = self._web.pool(self._request.url)
        figures = pool.figures
        try:
            await self._waits.on(pool.turns.acquire())
            try:
                await self._persist(pool, data)
            finally:
                pool.turns.release()
        except CancelledError:
            raise  # neither the vendor's success nor its failure
        except BaseException:
            figures.failed += 1
            raise
        else:
            figures.succeeded += 1
        finally:
            figures.ended(self._clock.seconds() - self._began_at)

    async def _persist(self, pool: Pool, data: bytes) -> None:
        for tried in range(self._web.settings.retries + 1):
            try:
                return await self._attempt(pool, data)
            except errors.ProviderError as error:
                wait = self._wait_before_repeating(error, tried)
                if wait is None:
                    raise
                errors.untraced(error)
            pool.figures.retries += 1
            self._reading = None
            await self._waits.sleep(self._clock, wait)
        raise AssertionError("the last attempt returns or raises")

    def _wait_before_repeating(self, error: errors.ProviderError, tried: int) -> float | None:
        """Seconds until the request may be made again, or None if it may not."""
        settings = self._web.settings
        has_begun = self._reading is not None and self._reading.has_begun
        if tried >= settings.retries or not self._request.repeatable or has_begun:
            return None
        first, most = settings.backoff_s, settings.backoff_most_s
        wait = wait_s(error, tried, first, most, self._web.random)
        return wait if wait is not None and wait < self._remaining_s() else None

    def _remaining_s(self) -> float:
        passed: float = self._clock.seconds() - self._began_at
        return self._limits.request_s - passed

    async def _attempt(self, pool: Pool, data: bytes) -> None:
        kept = pool.take()
        if kept is not None:
            try:
                await self._ask(pool, kept, data, self._limits.first_byte_s)
                return
            except errors.ProviderLost as error:
                reading = self._reading
                if reading is None or reading.has_heard or not self._request.repeatable:
                    raise
                errors.untraced(error)
            # The vendor closed it while it was idle and we did not know yet: nothing he has done wrong.
            pool.figures.retries += 1
        limit = min(self._limits.dial_s, self._remaining_s())
        fresh = await self._connected(pool, limit)
        await self._ask(pool, fresh, data, self._limits.first_byte_s)

    async def _connected(self, pool: Pool, limit: float) -> HttpConnection:
        connecting = pool.connect()
        connecting.addTimeout(max(0.0, limit), self._clock, timed_out)
        try:
            return await self._waits.on(connecting)
        except Exception as error:
            if self._waits.is_stopped:
                # Twisted wraps a cancellation differently in each phase of a dial.
                raise CancelledError from error
            raise self._unreachable(error, limit) from error

    def _unreachable(self, error: Exception, limit: float) -> errors.ProviderError:
        name = self._provider
        if isinstance(error, net.TimeoutError):
            return DialTimeout(name, f"{name} could not be reached in time")
        if isinstance(error, TimeoutError):
            return errors.ProviderTimeout(name, f"{name} did not answer within {limit:.1f} s")
        return errors.ProviderLost(name, f"{name} could not be reached: {cause(error)}")

    async def _ask(
        self, pool: Pool, connection: HttpConnection, data: bytes, first_byte_s: float
    ) -> None:
        reading = Reading(
            self._clock,
            self._provider,
            self._request,
            self._deliver,
            self._limits.size_bytes,
            first_byte_s,
            self._limits.idle_s,
            self._remaining_s(),
        )
        self._reading = reading
        if self._waits.is_stopped:
            reading.abandon()
        elif self._is_paused:
            reading.pause()
        reading.ask(connection, data, is_head=self._request.method in BARE)
        await self._waits.on(reading.finished)
        if reading.answered_s is not None:
            pool.figures.answered(reading.answered_s)
        if reading.answer is not None and not 200 <= reading.answer.status < 300:
            self._reading = None
            raise self._refusal(reading.answer, reading.explanation)

    def _refusal(self, head: wire.Head, body: bytes) -> errors.ProviderError:
        wait = retry_after_s(head.headers.get("retry-after"), self._web.wall())
        if self._refused is None:
            return errors.refusal(self._provider, head.status, said_in(body), wait)
        error = self._refused(head, body)
        if error.retry_after_s is None:
            error.retry_after_s = wait
        if error.upstream_status is None:
            error.upstream_status = head.status
        return error


async def fetch(web: Web, provider: str, request: wire.Request) -> bytes:
    """The body of a small answer.

    Raises:
        ProviderError: the vendor refused, was lost or said too much.
    """
    pieces: list[bytes] = []
    limits = web.limits(None, DOCUMENT_BYTES)
    await Exchange(web, provider, request, collected(pieces), limits).run()
    return b"".join(pieces)


def collected(pieces: list[bytes]) -> Callable[[wire.Incoming], Any]:
    """For ``deliver``: puts the body into ``pieces``."""

    def deliver(piece: wire.Incoming) -> None:
        if isinstance(piece, wire.Body):
            pieces.append(piece.data)

    return deliver
