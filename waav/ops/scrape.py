"""``GET /metrics``: the figures as text, for those who may read them."""

import hmac
from collections.abc import Callable
from typing import Any

from prometheus_client import CollectorRegistry
from twisted.internet.defer import Deferred
from twisted.internet.threads import deferToThreadPool
from twisted.logger import Logger
from twisted.web.http import INTERNAL_SERVER_ERROR, NOT_FOUND, UNAUTHORIZED
from twisted.web.resource import IResource
from twisted.web.server import NOT_DONE_YET, Request, Site
from zope.interface import implementer

from waav.ops.metrics import CONTENT_TYPE, Metrics, exposition
from waav.secret import Secret


@implementer(IResource)
class Scrape:
    """Answers with the metrics. The text is made in a thread: with many providers it takes milliseconds.

    Args:
        reactor: runs the thread.
        text: makes the text, in a thread.
        refresh: called before, on the reactor.
        token: asked for as a bearer token; None: everybody may read.
    """

    isLeaf = True
    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        text: Callable[[], bytes],
        refresh: Callable[[], None] = lambda: None,
        token: Secret | None = None,
    ) -> None:
        self._reactor = reactor
        self._text = text
        self._refresh = refresh
        self._token = token
        self._waiting: list[Request] = []

    def render(self, request: Request) -> bytes | int:
        """Start an answer; those who ask at the same time share one text."""
        request.setHeader(b"cache-control", b"no-store")
        if request.postpath:
            return _empty(request, NOT_FOUND)
        if request.method not in (b"GET", b"HEAD"):
            request.setHeader(b"allow", b"GET, HEAD")
            return _empty(request, 405)
        if not self._may_read(request):
            request.setHeader(b"www-authenticate", b"Bearer")
            return _empty(request, UNAUTHORIZED)
        is_first = not self._waiting
        if is_first:
            self._refresh()
        request.notifyFinish().addErrback(lambda failure: self._gone(request))
        self._waiting.append(request)
        if is_first:
            self._make().addCallbacks(self._made, self._failed)
        return NOT_DONE_YET

    def _may_read(self, request: Request) -> bool:
        if not self._token:
            return True
        kind, _, given = (request.getHeader(b"authorization") or b"").partition(b" ")
        wanted = self._token.reveal().encode("utf-8", "surrogatepass")
        return kind.lower() == b"bearer" and hmac.compare_digest(given.strip(), wanted)

    def _make(self) -> Deferred[bytes]:
        making: Deferred[bytes] = deferToThreadPool(
            self._reactor, self._reactor.getThreadPool(), self._text
        )
        return making

    def _made(self, text: bytes) -> None:
        waiting, self._waiting = self._waiting, []
        for request in waiting:
            request.setHeader(b"content-type", CONTENT_TYPE.encode())
            request.setHeader(b"content-length", b"%d" % len(text))
            request.write(text)
            request.finish()

    def _failed(self, failure: Any) -> None:
        self._log.failure("metrics could not be written", failure)
        waiting, self._waiting = self._waiting, []
        for request in waiting:
            request.write(_empty(request, INTERNAL_SERVER_ERROR))
            request.finish()

    def _gone(self, request: Request) -> None:
        if request in self._waiting:
            self._waiting.remove(request)

    def getChildWithDefault(self, name: bytes, request: Request) -> IResource:
        return self

    def putChild(self, path: bytes, child: IResource) -> None:
        raise TypeError("metrics have no children")


class ScrapeSite(Site):
    """A listener for nothing but ``GET /metrics``."""

    def __init__(self, reactor: Any, scrape: Scrape) -> None:
        super().__init__(scrape, reactor=reactor)  # type: ignore[no-untyped-call]
        self.noisy = False
        self.displayTracebacks = False
        self._scrape = scrape

    def getResourceFor(self, request: Request) -> IResource:
        path = request.postpath or []
        # Whatever is left of the path is not found.
        request.postpath = path[1:] if path[:1] == [b"metrics"] else [b"", *path]
        return self._scrape

    def startFactory(self) -> None:
        """No access log, and no timer that wakes up each second to keep its clock."""

    def stopFactory(self) -> None:
        """Nothing was started."""

    def log(self, request: Any) -> None:
        """Scrapes are not worth a line each."""


def build_metrics_resource(
    reactor: Any, metrics: Metrics | None, folder: str | None, token: Secret | None
) -> Scrape:
    """What answers at ``/metrics``.

    Args:
        metrics: of this process; None in a process that only supervises others.
        folder: where several processes keep their values: the answer is about all of them.
    """
    registry = CollectorRegistry() if metrics is None else metrics.families.registry
    return Scrape(
        reactor,
        lambda: exposition(registry, folder),
        (lambda: None) if metrics is None else metrics.refresh,
        token,
    )


def _empty(request: Request, status: int) -> bytes:
    request.setResponseCode(status)
    request.setHeader(b"content-length", b"0")
    return b""
