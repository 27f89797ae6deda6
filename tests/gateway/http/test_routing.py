"""What becomes of what routes return and raise."""

import gc
from typing import Any
from weakref import ref

from klein import Klein
from twisted.internet.defer import Deferred
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.server import NOT_DONE_YET
from werkzeug.exceptions import HTTPException

from waav.errors import BadRequest
from waav.gateway.http.routing import Routes


class Request:
    """One request, and what has been written to it."""

    method = b"GET"

    def __init__(self, path: str) -> None:
        self.postpath = path.encode().split(b"/")[1:]
        self.written: list[bytes] = []
        self.is_finished = self.is_gone = False
        self.failures: list[Failure] = []
        self._waiting: list[Deferred[None]] = []

    def isSecure(self) -> bool:
        return False

    @property
    def is_over(self) -> bool:
        return self.is_finished or self.is_gone

    def notifyFinish(self) -> Deferred[None]:
        self._waiting.append(Deferred())
        return self._waiting[-1]

    def write(self, data: bytes) -> None:
        assert not self.is_over
        self.written.append(data)

    def finish(self) -> None:
        assert not self.is_over
        self.is_finished = True

    def hang_up(self) -> None:
        """The caller is gone."""
        self.is_gone = True
        for one in self._waiting:
            one.errback(ConnectionDone())

    def processingFailed(self, failure: Failure) -> None:
        self.failures.append(failure)


class Shop:
    """Some routes."""

    app = Klein()

    def __init__(self) -> None:
        self.later: Deferred[bytes | None] = Deferred()
        self.asked: list[Any] = []

    @app.route("/now/<word>", methods=["GET"])
    def now(self, request: Request, word: str) -> bytes:
        return word.encode()

    @app.route("/later", methods=["GET"])
    async def when_it_comes(self, request: Request) -> bytes | None:
        self.asked.append(ref(request))
        try:
            return await self.later
        finally:
            self.asked.append("over")

    async def explain(self, request: Request, error: Exception) -> bytes | None:
        if isinstance(error, BadRequest | HTTPException):
            return str(error).encode()
        raise error


class RoutesTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.shop = Shop()
        self.routes = Routes(self.shop.app, self.shop.explain)  # type: ignore[arg-type]

    def ask(self, path: str) -> Any:
        request: Any = Request(path)
        self.assertEqual(self.routes.render(request), NOT_DONE_YET)
        return request

    def test_answers(self) -> None:
        """What a route returns is the answer, at once or when it is there; None completes what was written before."""
        request = self.ask("/now/one two")
        self.assertEqual((request.written, request.is_finished), ([b"one two"], True))
        for answer, written in ((b"there", [b"there"]), (None, [])):
            self.shop.later = Deferred()
            request = self.ask("/later")
            self.assertFalse(request.is_finished)
            self.shop.later.callback(answer)
            self.assertEqual((request.written, request.is_finished), (written, True))

    def test_errors(self) -> None:
        """What a route raises, and that there is none, is explained."""
        request = self.ask("/later")
        self.shop.later.errback(BadRequest("no"))
        self.assertEqual((request.written, request.is_finished), ([b"no"], True))
        self.assertIn(b"404", self.ask("/nowhere").written[0])

    def test_errors_that_cannot_be_explained(self) -> None:
        """A mistake while explaining is the request's end as well."""
        request = self.ask("/later")
        self.shop.later.errback(ZeroDivisionError())
        (failure,) = request.failures
        self.assertTrue(failure.check(ZeroDivisionError))

    def test_a_caller_who_hangs_up(self) -> None:
        """Work for a caller who is gone is cancelled, nothing is written to him, and nothing need be explained."""
        request = self.ask("/later")
        request.hang_up()
        self.assertEqual(self.shop.asked[1], "over")
        self.assertEqual((request.written, request.failures), ([], []))

    def test_mistakes_after_that(self) -> None:
        """A route that fails after its caller has gone is in the log."""
        request = self.ask("/later")
        request.is_gone = True
        self.shop.later.errback(ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(request.written, [])

    def test_what_stays(self) -> None:
        """A request that is over, however it ended, is not kept for the garbage collector."""
        self.addCleanup(gc.enable)
        gc.disable()
        for end in (
            lambda request: self.shop.later.callback(b"there"),
            lambda request: self.shop.later.errback(BadRequest("no")),
            lambda request: request.hang_up(),
        ):
            self.shop.later, self.shop.asked = Deferred(), []
            request = self.ask("/later")
            end(request)
            del request
            self.assertIsNone(self.shop.asked[0](), end)
