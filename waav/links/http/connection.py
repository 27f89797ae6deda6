"""One connection of HTTP/1.1: a request at a time, the answer handed on as it comes."""

from collections.abc import Callable
from typing import Any, Protocol

from twisted.internet import protocol
from twisted.internet.error import ConnectionDone
from twisted.python.failure import Failure

from waav.links.http.parser import AnswerParser, NotHttp


class Reader(Protocol):
    """Gets one answer. It may abort the connection at any time; then it is told nothing more."""

    def head(self, status: int, headers: dict[str, str]) -> None:
        """The answer begins."""

    def body(self, data: bytes) -> None:
        """Some of it, cut anywhere; chunks that came together come together."""

    def ended(self, is_whole: bool) -> None:
        """The answer is over. ``is_whole``: it said itself that it ends here."""

    def lost(self, reason: BaseException | None, has_begun: bool) -> None:
        """The connection broke, or what came is not HTTP (``NotHttp``). ``has_begun``: something had come."""


class HttpConnection(protocol.Protocol):
    """Asks a vendor, keeps the connection for the next question.

    Args:
        on_free: called when an answer has ended and the connection may carry another request.
        on_lost: called once, when it is gone.

    Attributes:
        is_used: a request was made on it before.
        idle_since: when it was last given back, on the pool's clock.
        is_open: as far as anybody knows.
    """

    def __init__(
        self,
        on_free: Callable[["HttpConnection"], None],
        on_lost: Callable[["HttpConnection"], None],
    ) -> None:
        self._on_free = on_free
        self._on_lost = on_lost
        self._parser: AnswerParser | None = None
        self._reader: Reader | None = None
        self._has_told_head = False
        self._is_paused = False
        self.is_used = False
        self.is_open = False
        self.idle_since = 0.0
        self._wire: Any = None

    def connectionMade(self) -> None:
        self._wire = self.transport
        self.is_open = True

    def ask(self, request: bytes, reader: Reader, *, is_head: bool = False) -> None:
        """Send ``request``; the answer goes to ``reader``, from inside this call on."""
        self._parser = AnswerParser(is_head)
        self._reader = reader
        self._has_told_head = False
        self._wire.write(request)

    def pause(self) -> None:
        """Leave the answer in the network for now."""
        if not self._is_paused and self.is_open:
            self._is_paused = True
            self._wire.pauseProducing()

    def resume(self) -> None:
        """Go on reading."""
        if self._is_paused:
            self._is_paused = False
            if self.is_open:
                self._wire.resumeProducing()

    def abort(self) -> None:
        """Break it: the vendor sees that and stops working. Nobody is told anything more."""
        self._forget()
        if self.is_open:
            self.is_open = False
            self._wire.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        parser, reader = self._parser, self._reader
        if parser is None or reader is None:
            self.abort()  # nobody asked: a last word before the vendor hangs up
            return
        try:
            body = parser.feed(data)
        except NotHttp as error:
            self.abort()
            reader.lost(error, has_begun=True)
            return
        if not self._has_told_head and parser.status is not None:
            self._has_told_head = True
            reader.head(parser.status, parser.headers)
        if body and self._reader is reader:
            reader.body(body)
        if parser.is_complete and self._reader is reader:
            self._end(parser, reader)

    def _forget(self) -> None:
        if self._parser is not None:
            self._parser.release()
        self._parser = self._reader = None

    def _end(self, parser: AnswerParser, reader: Reader) -> None:
        self._forget()
        self.is_used = True
        if parser.can_keep and self.is_open:
            self.resume()
            self._on_free(self)
        else:
            self.abort()
        reader.ended(is_whole=True)

    def connectionLost(self, reason: Failure = protocol.connectionDone) -> None:
        parser, reader = self._parser, self._reader
        self._forget()
        self.is_open = False
        self._on_lost(self)
        if parser is None or reader is None:
            return
        # TLS ends in other ways than with a goodbye; then the answer may have been cut.
        if parser.ends_with_connection and reason.check(ConnectionDone):
            reader.ended(is_whole=False)
        else:
            reader.lost(reason.value, parser.has_begun)
