"""From a path to the method that answers it, and from what that returns or raises to an answer."""

# mypy: allow-untyped-calls
# Our requests and channels inherit from classes of twisted.web that have no annotations.

from collections.abc import Awaitable, Callable
from typing import Any

from klein import Klein
from twisted.internet.defer import CancelledError, Deferred, maybeDeferred
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.iweb import IRequest
from twisted.web.resource import IResource
from twisted.web.server import NOT_DONE_YET
from zope.interface import implementer

from waav.errors import untraced
from waav.gateway.http.request import GatewayRequest
from waav.tasks import unframed

Explain = Callable[[GatewayRequest, Exception], Awaitable[bytes | None]]
"""Makes the answer's body of an error; None: there is no more to be said."""


@implementer(IResource)
class Routes:
    """Answers with what the routes of a Klein application return: bytes, or None where the answer is complete.

    In place of Klein's own resource, which makes closures that know themselves for each request. They would keep the
    request, and all that it has, for the garbage collector.

    Args:
        app: the routes, bound to the object whose methods they are.
        explain: told of errors, those of Werkzeug among them where there is no route.
    """

    isLeaf = True
    _log = Logger()

    def __init__(self, app: Klein, explain: Explain) -> None:
        self._app = app
        self._explain = explain

    def render(self, request: GatewayRequest) -> int:
        """Answer now or later; the work ends with the caller's connection."""
        answering = Deferred.fromCoroutine(self._answer(request))
        if not answering.called:
            request.notifyFinish().addErrback(lambda _: answering.cancel())
        return NOT_DONE_YET

    async def _answer(self, request: GatewayRequest) -> None:
        try:
            body = await self._body(request)
        except Exception as error:
            body = await self._explained(request, error)
        if request.is_over:
            return
        if body is not None:
            request.write(body)
        request.finish()

    async def _body(self, request: GatewayRequest) -> bytes | None:
        parts: list[bytes] = request.postpath or []
        mapper = self._app.url_map.bind(
            "gateway",
            path_info="/" + b"/".join(parts).decode(),
            default_method=request.method.decode(),
            url_scheme="https" if request.isSecure() else "http",
        )
        rule, arguments = mapper.match(return_rule=True)
        execute: Any = self._app.execute_endpoint
        answering = maybeDeferred(execute, rule.endpoint, request, **arguments)
        body: bytes | None = await answering.addErrback(unframed)
        return body

    async def _explained(self, request: GatewayRequest, error: Exception) -> bytes | None:
        try:
            if not request.is_over:
                return await self._explain(request, error)
            if not isinstance(error, CancelledError):
                self._log.failure("a route failed after its caller had gone", Failure(error))
        except Exception:
            request.processingFailed(Failure())
        finally:
            untraced(error)
        return None

    def getChildWithDefault(self, name: bytes, request: IRequest) -> IResource:
        return self

    def putChild(self, path: bytes, child: IResource) -> None:
        raise TypeError("routes are declared in the application")
