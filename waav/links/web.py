"""HTTP/1.1 towards vendors: one pool of kept-open connections, limits, retries, streamed answers.

treq makes the requests, over an ``Agent`` with our pool and our endpoints. Three things it does by default would
be wrong here: its cookie jar, which would carry a vendor's cookies from one tenant to another, is one that keeps
nothing; it asks for gzip, which delays audio, so the agent below it asks for ``identity`` (an answer that is
compressed all the same is unpacked); and bodies go to our own protocol as they come, never into its buffer.
"""

import json
import re
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from random import random
from typing import Any, Final
from urllib.parse import urlsplit

import treq.client
from hyperlink import EncodedURL
from treq.cookies import IndexableCookieJar
from twisted.internet import error as net
from twisted.internet.defer import (
    CancelledError,
    Deferred,
    DeferredSemaphore,
    TimeoutError,
    succeed,
)
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.protocol import Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.client import (
    URI,
    Agent,
    HTTPConnectionPool,
    ResponseDone,
)
from twisted.web.http import PotentialDataLoss
from twisted.web.http_headers import Headers
from twisted.web.iweb import (
    IAgent,
    IAgentEndpointFactory,
    IBodyProducer,
    IResponse,
)
from zope.interface import implementer

from waav import errors
from waav.links.endpoint import VendorEndpoint
from waav.links.link import Waits, timed_out
from waav.links.settings import LinkSettings
from waav.net.tls import Trust
from waav.speech import wire

AUDIO_BYTES: Final = 100 * 1024 * 1024
"""Largest answer that is streamed (S-REQ-10)."""
DOCUMENT_BYTES: Final = 1024 * 1024
"""Largest answer that is collected: lists of voices, tokens (S-REQ-10)."""
REFUSAL_BYTES: Final = 4096
"""How much of an error answer is read (S-REQ-10)."""
PATIENCE_S: Final = 5.0
"""Longest ``Retry-After`` that is obeyed; a longer one is the caller's to know (S-TTS-51)."""
BACKOFF_S: Final = (0.2, 0.8, 3.2)
"""Upper bounds of the waits before a repetition, full jitter below them (providers-tts.md 2.11)."""
ORIGINS: Final = 64
"""Most vendor hosts whose figures and queues are remembered; the least recently used idle one goes."""

_DURATION = re.compile(
    r"(?:(\d+(?:\.\d+)?)h)?(?:(\d+(?:\.\d+)?)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?"
)


def retry_after_s(text: str | None, now: float) -> float | None:
    """Seconds of a ``Retry-After``: a number, an HTTP date, or ``750ms`` / ``1m30s``; None if unreadable.

    Args:
        text: the header, or None.
        now: wall clock, Unix seconds.
    """
    said = (text or "").strip()
    if not said:
        return None
    try:
        seconds = float(said)
    except ValueError:
        pass
    else:
        return max(0.0, seconds) if seconds < 1e9 else None
    parts = _DURATION.fullmatch(said)
    if parts:
        hours, minutes, seconds, millis = (float(part or 0) for part in parts.groups())
        return hours * 3600 + minutes * 60 + seconds + millis / 1000
    try:
        return max(0.0, parsedate_to_datetime(said).timestamp() - now)
    except (TypeError, ValueError):
        return None


class DialTimeout(errors.ProviderTimeout):
    """No connection in time. Unlike other timeouts it may be tried again: the vendor got nothing."""


@dataclass(slots=True)
class Figures:
    """What happened with one vendor host so far. Durations in seconds."""

    total: int = 0
    succeeded: int = 0
    failed: int = 0
    retries: int = 0
    in_flight: int = 0
    seconds: float = 0.0
    connections_opened: int = 0


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one request, in seconds and bytes. Time during which the consumer has us paused does not count."""

    first_byte_s: float
    idle_s: float
    request_s: float
    size_bytes: int = AUDIO_BYTES


@implementer(IAgentEndpointFactory)
class _Endpoints:
    def __init__(self, web: "Web") -> None:
        self._web = web

    def endpointForURI(self, uri: URI) -> VendorEndpoint:
        return self._web._endpoint(uri)


@implementer(IAgent)
class _Uncompressed:
    """Asks for answers as they are, whatever those above ask for."""

    def __init__(self, agent: IAgent) -> None:
        self._agent = agent

    def request(
        self,
        method: bytes,
        uri: bytes,
        headers: Headers | None = None,
        bodyProducer: IBodyProducer | None = None,
    ) -> Deferred[IResponse]:
        headers = Headers() if headers is None else headers
        headers.setRawHeaders(b"accept-encoding", [b"identity"])
        return self._agent.request(method, uri, headers, bodyProducer)


class _Address(EncodedURL):
    """An address that goes out as it was made: treq would take it apart and put it together for each request."""

    def __init__(self, url: str) -> None:
        super().__init__()
        self._url = url

    def to_uri(self) -> "_Address":
        return self

    def to_text(self, with_password: bool = False) -> str:
        return self._url


class _NoCookies(IndexableCookieJar):
    """Neither keeps nor sends any."""

    def add_cookie_header(self, request: Any) -> None:
        pass

    def extract_cookies(self, response: Any, request: Any) -> None:
        pass


class Web:
    """The process's HTTP client.

    Args:
        reactor: runs it.
        settings: limits, and how many connections are kept.
        trust: whose certificates are believed; None: those of the system's authorities.
        random: numbers in [0, 1) for jitter.
        wall: the wall clock, for ``Retry-After`` dates.
    """

    def __init__(
        self,
        reactor: Any,
        settings: LinkSettings,
        *,
        trust: Trust | None = None,
        random: Callable[[], float] = random,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self.reactor = reactor
        self.settings = settings
        self.random = random
        self.wall = wall
        self._trust = trust
        self._pool: Any = HTTPConnectionPool(reactor, persistent=True)
        self._pool.maxPersistentPerHost = settings.connections
        # Twisted would repeat a GET itself after a stale connection; that is our decision, and counted.
        self._pool.retryAutomatically = False
        agent = Agent.usingEndpointFactory(reactor, _Endpoints(self), pool=self._pool)
        self.client = treq.client.HTTPClient(_Uncompressed(agent), _NoCookies())
        self._origins: OrderedDict[str, tuple[Figures, DeferredSemaphore]] = OrderedDict()

    def _endpoint(self, uri: URI) -> VendorEndpoint:
        host, port = uri.host.decode("ascii"), uri.port
        figures = self.origin(f"{uri.scheme.decode('ascii')}://{host}:{port}")[0]

        def connected() -> None:
            figures.connections_opened += 1

        return VendorEndpoint(
            self.reactor,
            host,
            port,
            is_secure=uri.scheme == b"https",
            dial_s=self.settings.dial_s,
            trust=self._trust,
            on_connected=connected,
        )

    def origin(self, origin: str) -> tuple[Figures, DeferredSemaphore]:
        """Figures and queue of one ``scheme://host:port``."""
        if origin not in self._origins:
            for known in [name for name, (busy, _) in self._origins.items() if not busy.in_flight]:
                if len(self._origins) < ORIGINS:
                    break
                del self._origins[known]
            self._origins[origin] = Figures(), DeferredSemaphore(self.settings.requests)
        self._origins.move_to_end(origin)
        return self._origins[origin]

    @property
    def figures(self) -> dict[str, Figures]:
        """By ``scheme://host:port``."""
        return {name: figures for name, (figures, _) in self._origins.items()}

    def limits(self, request_s: float | None = None, size_bytes: int = AUDIO_BYTES) -> Limits:
        """The configured limits, with a call's own overall limit."""
        settings = self.settings
        return Limits(
            settings.first_byte_s, settings.idle_s, request_s or settings.request_s, size_bytes
        )

    async def fetch(self, provider: str, request: wire.Request) -> bytes:
        """The body of a small answer.

        Raises:
            ProviderError: the vendor refused, was lost or said too much.
        """
        pieces: list[bytes] = []

        def deliver(piece: wire.Incoming) -> None:
            if isinstance(piece, wire.Body):
                pieces.append(piece.data)

        await Exchange(self, provider, request, deliver, self.limits(None, DOCUMENT_BYTES)).run()
        return b"".join(pieces)

    def stop(self) -> Deferred[None]:
        """Close the kept connections."""
        closing: Deferred[None] = self._pool.closeCachedConnections()
        return closing


def origin_of(url: str) -> str:
    """``scheme://host:port`` of an address, port always written."""
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    return f"{parts.scheme}://{parts.hostname}:{port}"


class Exchange:
    """One request, made again where that is safe, and its answer as it comes.

    Args:
        deliver: gets ``Head``, ``Body``... and ``End``; a ProviderError it raises ends the exchange.
        refused: reads the vendor's error answers; None: the status decides.
    """

    _log = Logger()

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
        self._provider = provider
        self._request = request
        self._deliver = deliver
        self._limits = limits
        self._refused = refused
        self._waits = Waits()
        self._is_paused = False
        self._reading: Reading | None = None
        self._began_at = web.reactor.seconds()

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
        figures, queue = self._web.origin(origin_of(self._request.url))
        figures.in_flight += 1
        try:
            await self._waits.on(queue.acquire())
            try:
                await self._persist(figures)
            finally:
                queue.release()
        except CancelledError:
            raise  # neither the vendor's success nor its failure
        except BaseException:
            figures.failed += 1
            raise
        else:
            figures.succeeded += 1
        finally:
            figures.in_flight -= 1
            figures.total += 1
            figures.seconds += self._web.reactor.seconds() - self._began_at

    async def _persist(self, figures: Figures) -> None:
        for tried in range(self._web.settings.retries + 1):
            try:
                return await self._attempt()
            except errors.ProviderError as error:
                wait = self._wait_before_repeating(error, tried)
                if wait is None:
                    raise
            figures.retries += 1
            self._reading = None
            await self._waits.sleep(self._web.reactor, wait)
        raise AssertionError("the last attempt returns or raises")

    def _wait_before_repeating(self, error: errors.ProviderError, tried: int) -> float | None:
        """Seconds until the request may be made again, or None if it may not."""
        is_transient = isinstance(error, errors.ProviderBusy | errors.ProviderLost | DialTimeout)
        has_begun = self._reading is not None and self._reading.has_begun
        if (
            tried >= self._web.settings.retries
            or not is_transient
            or not self._request.repeatable
            or has_begun
        ):
            return None
        wait = error.retry_after_s
        if wait is None:
            wait = BACKOFF_S[min(tried, len(BACKOFF_S) - 1)] * self._web.random()
        elif wait > PATIENCE_S:
            return None
        return wait if wait < self._remaining_s() else None

    def _remaining_s(self) -> float:
        passed: float = self._web.reactor.seconds() - self._began_at
        return self._limits.request_s - passed

    async def _attempt(self) -> None:
        response = await self._response()
        headers = {
            name.decode("latin-1").lower(): values[-1].decode("latin-1")
            for name, values in response.headers.getAllRawHeaders()
        }
        head = wire.Head(response.code, headers, self._request)
        if not 200 <= response.code < 300:
            raise await self._refusal(head, response)
        await self._read(response, head, self._deliver, self._limits.size_bytes)

    async def _response(self) -> Any:
        request = self._request
        headers = Headers({name: [value] for name, value in request.headers.items()})
        if not headers.hasHeader("user-agent"):
            headers.addRawHeader("user-agent", "waav")
        body = _Content(request.body) if request.body else None
        answering = self._web.client.request(
            request.method,
            _Address(request.url),
            headers=headers,
            data=body,
            allow_redirects=False,
            unbuffered=True,
            reactor=self._web.reactor,
        )
        limit = min(self._web.settings.dial_s + self._limits.first_byte_s, self._remaining_s())
        answering.addTimeout(max(0.0, limit), self._web.reactor, timed_out)
        try:
            return await self._waits.on(answering)
        except Exception as error:
            if self._waits.is_stopped:
                # Twisted wraps a cancellation differently in each phase of a request.
                raise CancelledError from error
            raise self._no_response(error, limit) from error

    def _no_response(self, error: Exception, limit: float) -> errors.ProviderError:
        name = self._provider
        if isinstance(error, net.TimeoutError):
            return DialTimeout(name, f"{name} could not be reached in time")
        if isinstance(error, TimeoutError):
            return errors.ProviderTimeout(name, f"{name} did not answer within {limit:.1f} s")
        if isinstance(error, net.ConnectError | net.DNSLookupError):
            return errors.ProviderLost(name, f"{name} could not be reached: {_cause(error)}")
        return errors.ProviderLost(name, f"{name} hung up before it answered ({_cause(error)})")

    async def _read(
        self, response: Any, head: wire.Head, deliver: Callable[[wire.Incoming], None], size: int
    ) -> None:
        reading = Reading(
            self._web.reactor,
            self._provider,
            head,
            deliver,
            size,
            self._limits.idle_s,
            self._remaining_s(),
        )
        self._reading = reading
        if self._waits.is_stopped:
            reading.abandon()
        elif self._is_paused:
            reading.pause()
        response.deliverBody(reading)
        await self._waits.on(reading.finished)

    async def _refusal(self, head: wire.Head, response: Any) -> errors.ProviderError:
        pieces: list[bytes] = []

        def collect(piece: wire.Incoming) -> None:
            if isinstance(piece, wire.Body):
                pieces.append(piece.data)

        try:
            await self._read(response, head, collect, REFUSAL_BYTES)
        except errors.ProviderError:
            pass  # what was read of the explanation is enough
        finally:
            self._reading = None
        body = b"".join(pieces)[:REFUSAL_BYTES]
        wait = retry_after_s(head.headers.get("retry-after"), self._web.wall())
        if self._refused is not None:
            error = self._refused(head, body)
            if error.retry_after_s is None:
                error.retry_after_s = wait
            if error.upstream_status is None:
                error.upstream_status = head.status
            return error
        return errors.refusal(self._provider, head.status, said_in(body), wait)


@implementer(IBodyProducer)
class _Content:
    """A request body that is there already; Twisted's own producer copies it through a cooperative task."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.length = len(data)

    def startProducing(self, consumer: Any) -> Deferred[None]:
        consumer.write(self._data)
        return succeed(None)

    def pauseProducing(self) -> None:
        """It is all written."""

    def resumeProducing(self) -> None:
        """It is all written."""

    def stopProducing(self) -> None:
        """It is all written."""


class Reading(Protocol):
    """One answer's body on its way to ``deliver``. A limit passed, or ``abandon``, breaks the connection."""

    def __init__(
        self,
        clock: Any,
        provider: str,
        head: wire.Head,
        deliver: Callable[[wire.Incoming], None],
        size_bytes: int,
        idle_s: float,
        request_s: float,
    ) -> None:
        self._clock = clock
        self._provider = provider
        self._head = head
        self._deliver = deliver
        self._room = size_bytes
        self._idle_s = idle_s
        self._ends_at = clock.seconds() + request_s
        self._heard_at = clock.seconds()
        self._paused_at: float | None = None
        self._is_over = False
        self._timer: IDelayedCall | None = None
        self.has_begun = False
        self.is_whole = False
        self.finished: Deferred[None] = Deferred(lambda _: self.abandon())
        self._watch()

    def pause(self) -> None:
        if self._paused_at is None:
            self._paused_at = self._clock.seconds()
            if self.transport is not None:
                self.transport.pauseProducing()  # type: ignore[attr-defined]

    def resume(self) -> None:
        if self._paused_at is None:
            return
        now = self._clock.seconds()
        self._ends_at += now - self._paused_at
        self._heard_at = now
        self._paused_at = None
        if self.transport is not None and not self._is_over:
            self.transport.resumeProducing()  # type: ignore[attr-defined]

    def abandon(self) -> None:
        """Break the connection: the vendor sees it and stops working."""
        self._stop()
        _abort(self.transport)

    def connectionMade(self) -> None:
        if self._is_over:
            _abort(self.transport)
        elif self._paused_at is not None and self.transport is not None:
            self.transport.pauseProducing()  # type: ignore[attr-defined]

    def dataReceived(self, data: bytes) -> None:
        if self._is_over:
            return
        self._heard_at = self._clock.seconds()
        self._room -= len(data)
        self._give(wire.Body(data))
        if self._room < 0:
            self._fail(
                errors.WireError(self._provider, f"{self._provider} sent more than is allowed")
            )

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        if self._is_over:
            return
        if not isinstance(reason.value, ResponseDone | PotentialDataLoss):
            self._fail(
                errors.ProviderLost(
                    self._provider,
                    f"{self._provider} hung up in the middle of its answer ({_cause(reason.value)})",
                )
            )
            return
        self.is_whole = isinstance(reason.value, ResponseDone)
        self._give(wire.End())
        if not self._is_over:
            self._stop()
            self.finished.callback(None)

    def _give(self, piece: wire.Body | wire.End) -> None:
        try:
            if not self.has_begun:
                self.has_begun = True
                self._deliver(self._head)
            if not self._is_over:
                self._deliver(piece)
        except Exception as error:
            self._fail(error)

    def _fail(self, error: Exception) -> None:
        if self._is_over:
            return
        self._stop()
        _abort(self.transport)
        self.finished.errback(error)

    def _stop(self) -> None:
        self._is_over = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _watch(self) -> None:
        """One timer per answer, not one per piece: it looks at when the last piece came."""
        self._timer = None
        now = self._clock.seconds()
        if self._paused_at is not None:
            due = now + self._idle_s
        else:
            due = min(self._heard_at + self._idle_s, self._ends_at)
        if due > now:
            self._timer = self._clock.callLater(due - now, self._watch)
        elif self._ends_at <= now:
            self._fail(
                errors.ProviderTimeout(
                    self._provider, f"{self._provider} did not finish its answer in time"
                )
            )
        else:
            self._fail(
                errors.ProviderTimeout(
                    self._provider, f"{self._provider} sent nothing for {self._idle_s:g} s"
                )
            )


def said_in(body: bytes) -> str:
    """What a person would want to read of an error answer: the vendor's message where it is JSON."""
    text = body.decode("utf-8", "replace").strip()
    try:
        return next(_messages(json.loads(text)), text)
    except ValueError:
        return text


def _messages(found: Any) -> Iterator[str]:
    """Strings under the names vendors use for their explanation."""
    if isinstance(found, str):
        yield found
    elif isinstance(found, dict):
        for name in ("message", "err_msg", "detail", "error", "reason"):
            if name in found:
                yield from _messages(found[name])


def _cause(error: BaseException | None) -> str:
    """The innermost reason Twisted gives, by type: its text may quote addresses with keys in them."""
    reasons = getattr(error, "reasons", None)
    if reasons:
        return _cause(reasons[-1].value)
    return type(error).__name__


def _abort(transport: Any) -> None:
    """Break a connection at once.

    Twisted hands body protocols a proxy without ``abortConnection`` (26.10), and its ``loseConnection`` waits
    for the peer's goodbye under TLS, which a vendor in the middle of a long answer does not say.
    """
    inner = getattr(transport, "_producer", None)
    if inner is not None and hasattr(inner, "abortConnection"):
        inner.abortConnection()
    elif transport is not None:
        transport.loseConnection()
