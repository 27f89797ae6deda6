"""One HTTP connection: slow senders are hung up on, and a body that is too large is refused while it comes."""

# mypy: allow-untyped-calls
# Our requests and channels inherit from classes of twisted.web that have no annotations.

from typing import Any, Final

from twisted.internet.protocol import connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import HTTPChannel
from twisted.web.http_headers import Headers

from waav.gateway.http.headers import SECURITY

HEADER_S: Final = 10.0
"""From the first byte of a request to the end of its headers, however lively the bytes come."""

BODY_IDLE_S: Final = 30.0
"""Between two pieces of a body."""

KEPT_OPEN_S: Final = 60.0
"""Between two requests."""

LINGER_S: Final = 2.0
"""How long what a refused caller goes on sending is read and dropped. Closing at once would reset the
connection, and the caller would never see why."""

_BAD_REQUEST: Final = (
    b"HTTP/1.1 400 Bad Request\r\nconnection: close\r\ncontent-length: 0\r\n"
    + b"".join(b"%b: %b\r\n" % (name.lower().encode(), value.encode()) for name, value in SECURITY)
    + b"\r\n"
)


class Channel(HTTPChannel):
    """Reads requests and hands them to ``GatewayRequest``; HTTP/1.1 only."""

    site: Any

    def __init__(self) -> None:
        super().__init__()
        # twisted.web tells of every connection that it closes for idleness; under its own name, so that the log
        # treats that as what other libraries say (ops.logs).
        self._log = Logger("twisted.web.http.HTTPChannel")
        self._is_between = False
        self._is_in_body = False
        self._is_refused = False

    def connectionMade(self) -> None:
        super().connectionMade()
        self.setTimeout(HEADER_S)

    def dataReceived(self, data: bytes) -> None:
        if self._is_refused:
            return
        if self._is_between:
            self._is_between = False
            self.setTimeout(HEADER_S)
        super().dataReceived(data)

    def resetTimeout(self) -> None:
        # Bytes of headers buy no time: one a second would hold a connection for hours.
        if self._is_in_body:
            super().resetTimeout()

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        super().connectionLost(reason)
        self._transferDecoder = None  # knows us; left over by a body that did not come to its end

    def allHeadersReceived(self) -> None:
        request = self.requests[-1]
        if self.length is not None and self.length > self.site.max_body_bytes:
            self.refuse(request)
            return
        super().allHeadersReceived()
        self._is_in_body = True
        self.setTimeout(BODY_IDLE_S)

    def rawDataReceived(self, data: bytes) -> None:
        if not self._is_refused:
            super().rawDataReceived(data)

    def allContentReceived(self) -> None:
        if not self._is_refused:
            self._is_in_body = False
            super().allContentReceived()

    def refuse(self, request: Any) -> None:
        """Answer 413 to a request whose body is, or is becoming, too large; read no more of it."""
        self._is_refused = True
        self._is_in_body = False
        self.persistent = False
        request.refuse_body(self._command, self._path, self._version)

    def writeHeaders(self, version: bytes, code: bytes, reason: bytes, headers: Headers) -> None:
        """As twisted.web's, with the names in lower case as the original sends them: some clients look them up in a
        plain mapping."""
        lines = [version, b" ", code, b" ", reason, b"\r\n"]
        for name, values in headers.getAllRawHeaders():
            for value in values:
                lines += (name.lower(), b": ", value, b"\r\n")
        lines.append(b"\r\n")
        assert self.transport is not None
        self.transport.writeSequence(lines)

    def taken_over(self) -> None:
        """The connection is another protocol's from now on; the request that asked for that is nobody's."""
        self.requests.clear()

    def requestDone(self, request: Any) -> None:
        if self._is_refused:
            self.requests.remove(request)
            self.setTimeout(LINGER_S)
            return
        self._is_between = True
        self._savedTimeOut = KEPT_OPEN_S
        super().requestDone(request)

    def _respondToBadRequestAndDisconnect(self) -> None:
        self._is_refused = True
        assert self.transport is not None
        self.transport.write(_BAD_REQUEST)
        self.loseConnection()
