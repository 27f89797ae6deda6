"""One request and its answer: what is done before any route sees it, and the line that is logged after."""

# mypy: allow-untyped-calls
# Our requests and channels inherit from classes of twisted.web that have no annotations.

from io import BytesIO
from typing import Any
from urllib.parse import unquote_to_bytes

from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from twisted.web.http import datetimeToString
from twisted.web.server import Request

from waav.gateway.admission.slots import counted_as
from waav.gateway.http.headers import SECURITY
from waav.gateway.http.replies import empty_answer, error_answer, text_answer, whole_seconds


class GatewayRequest(Request):
    """A request to the gateway.

    ``process`` goes through what stands in front of the routes, outermost first: security headers,
    CORS, the request limiter. Answers have no ``Server`` header and no HTML.
    """

    channel: Any  # a Channel, in whose module we are used
    defaultContentType = None
    _log = Logger()

    def __init__(self, channel: Any, *args: Any, **named: Any) -> None:
        super().__init__(channel, *args, **named)
        self._gateway = channel.site
        self._began_at = self._gateway.reactor.seconds()
        self._size_bytes = 0
        self._is_logged = False

    @property
    def client_address(self) -> str:
        """Whose request this is, for everything that counts by address."""
        peer = getattr(self.client, "host", None)
        return str(self._gateway.addresses.client(peer, self.requestHeaders))

    @property
    def asked_host(self) -> str | None:
        """The address that the caller asked for, as he knows it."""
        peer = getattr(self.client, "host", None)
        return self._gateway.addresses.asked_host(peer, self.requestHeaders)  # type: ignore[no-any-return]

    @property
    def is_over(self) -> bool:
        """Whether nothing more can be written: the answer is complete, or nobody is there to read it."""
        return bool(self.finished or self._disconnected)

    def handleContentChunk(self, data: bytes) -> None:
        self._size_bytes += len(data)
        if self._size_bytes <= self._gateway.max_body_bytes:
            super().handleContentChunk(data)
        elif not self.finished:
            self.channel.refuse(self)

    def process(self) -> None:
        self.site = self._gateway
        self.prepath = []
        self.postpath = [unquote_to_bytes(part) for part in self.path[1:].split(b"/")]
        try:
            if not self._answer_early():
                self.render(self._gateway.getResourceFor(self))
        except Exception:
            self.processingFailed(Failure())

    def refuse_body(self, method: bytes, uri: bytes, version: bytes) -> None:
        """Answer 413 before the body is there; the channel closes afterwards."""
        if self.content is None:
            self.content = BytesIO()
        self.method, self.uri, self.clientproto = method, uri, version
        self.path = uri.partition(b"?")[0]
        self.setHeader(b"connection", b"close")
        if not self._answer_early():
            most = self._gateway.max_body_bytes
            self._send(error_answer(self, 413, f"Request body is larger than {most} bytes"))

    def _answer_early(self) -> bool:
        """True if the request never gets to a route: preflights, callers in a hurry, unreadable paths."""
        origin = self.getHeader("origin")
        is_preflight = self.method == b"OPTIONS"
        cors = self._gateway.cors
        self.setHeader(b"date", datetimeToString())
        for name, value in SECURITY:
            self.setHeader(name, value)
        for name, value in cors.preflight(origin) if is_preflight else cors.headers(origin):
            self.responseHeaders.addRawHeader(name, value)
        if is_preflight:
            self._send(empty_answer(self, 200))
            return True
        return self._is_too_fast() or self._is_unreadable()

    def _is_too_fast(self) -> bool:
        if self.path in self._gateway.unlimited and self.method in (b"GET", b"HEAD"):
            return False
        wait_s = self._gateway.limiter.take(counted_as(self.client_address))
        if wait_s <= 0.0:
            return False
        self._gateway.figures.refused["rate"] += 1
        seconds = str(whole_seconds(wait_s))
        self.setHeader("retry-after", seconds)
        self.setHeader("x-ratelimit-after", seconds)
        self._send(text_answer(self, 429, f"Too Many Requests! Wait for {seconds}s"))
        return True

    def _is_unreadable(self) -> bool:
        try:
            unquote_to_bytes(self.path).decode()
        except UnicodeDecodeError:
            self._send(text_answer(self, 400, "The path is not UTF-8"))
            return True
        if not self.path.startswith(b"/"):
            self._send(text_answer(self, 400, "The path must start with /"))
            return True
        if b"//" in self.path:  # Klein would look past empty parts
            self._send(error_answer(self, 404, "Not found"))
            return True
        return False

    def getRequestHostname(self) -> bytes:
        """No route depends on ``Host``, and Werkzeug would trip over odd ones."""
        return b"gateway"

    def _send(self, body: bytes) -> None:
        self.write(body)
        self.finish()

    def unregisterProducer(self) -> None:
        if self._disconnected:  # twisted.web would stumble
            self.producer = None
        else:
            super().unregisterProducer()

    def abort(self) -> None:
        """Break the connection off: what was sent is not the whole answer, and must not look as if it were."""
        connection: Any = self.transport
        connection.abortConnection()

    async def break_off(self) -> None:
        """``abort``, and wait until the connection is gone, so that nobody ends the answer after all."""
        gone = self.notifyFinish()
        self.abort()
        try:
            await gone
        except Exception:
            # However it went, it is gone: that was the point.
            return

    def processingFailed(self, reason: Failure) -> Failure:
        said = self._said()
        self._log.failure("{method} {path} failed", reason, LogLevel.critical, **said)
        is_taken_over = self.channel.transport is None  # by a WebSocket
        if self.startedWriting or is_taken_over:
            self.abort()
        else:
            self.responseHeaders.removeHeader(b"content-encoding")
            self._send(error_answer(self, 500, "Internal server error"))
        return reason

    def finish(self) -> None:
        super().finish()
        self.log_line(self.code)

    def connectionLost(self, reason: Failure) -> None:
        super().connectionLost(reason)
        self.log_line(self.code if self.startedWriting else 499, "; the caller hung up")

    def log_line(self, status: int, remark: str = "") -> None:
        """The one line of the access log: no query, no headers, no body."""
        if self._is_logged:
            return
        self._is_logged = True
        self._gateway.figures.answered[status] += 1
        duration_ms = (self._gateway.reactor.seconds() - self._began_at) * 1000.0
        self._log.info(
            "{method} {path} {status} in {duration_ms:.1f} ms{remark}",
            status=status,
            duration_ms=duration_ms,
            remark=remark,
            **self._said(),
        )

    def _said(self) -> dict[str, str]:
        return {"method": _printable(self.method), "path": _printable(self.path or b"")}


def _printable(raw: bytes) -> str:
    """Fit for a log: a caller must not be able to write control characters or megabytes into it."""
    return "".join(c if " " < c <= "~" else "?" for c in raw[:200].decode("latin-1"))
