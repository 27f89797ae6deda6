"""One answer of HTTP/1.1 out of bytes that are cut anywhere (RFC 9112); llhttp does the work, in C."""

from typing import Any, Final

import httptools

HEAD_BYTES: Final = 65536
"""Most that a head, or anything else that is not body, may have in one piece. Node.js allows 16 KiB, proxies 64."""


class NotHttp(Exception):
    """The peer sent something that is no HTTP answer"""


class AnswerParser:
    """Reads one answer. What comes after its end is counted, not kept.

    Args:
        is_head: the request was ``HEAD``: the answer has no body, whatever it says.

    Attributes:
        status: None until the head is there; interim answers (1xx) are skipped.
        headers: names in lower case, of several the last.
        is_complete: the answer ended as its own framing says.
        can_keep: the connection may carry another request.
    """

    def __init__(self, is_head: bool = False) -> None:
        self.status: int | None = None
        self.headers: dict[str, str] = {}
        self.is_complete = False
        self.can_keep = False
        self._is_head = is_head
        self._has_excess = False
        self._pieces: list[bytes] = []
        self._wanted: int | None = None  # how many pieces are the answer's, once that is known
        self._unproductive = 0
        # The parser calls this for every piece of body: nothing of ours runs for it.
        self.on_body = self._pieces.append
        self._parser: Any = httptools.HttpResponseParser(self)
        # Both framings at once are a reason to distrust a request; in answers the chunks count.
        self._parser.set_dangerous_leniencies(lenient_chunked_length=True)

    def feed(self, data: bytes) -> bytes:
        """What ``data`` holds of the body: all of it in one piece.

        Raises:
            NotHttp: it is no answer, or its head does not end.
        """
        if self.is_complete:
            self.can_keep = self.can_keep and not data
            return b""
        try:
            self._parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self.can_keep = False
            if self._wanted is None:
                raise NotHttp from error
        pieces = self._pieces
        if self._wanted is not None:
            if self._has_excess:
                self.can_keep = False
            del pieces[self._wanted :]
        if not pieces:
            self._unproductive += len(data)
            if self._unproductive > HEAD_BYTES and self._wanted is None:
                raise NotHttp
            return b""
        self._unproductive = 0
        body = pieces[0] if len(pieces) == 1 else b"".join(pieces)
        pieces.clear()
        return body

    def release(self) -> None:
        """Nothing more is fed. The two parsers hold each other: without this, each answer would leave some 6 KB
        for the garbage collector to find."""
        self._parser = None

    @property
    def has_begun(self) -> bool:
        """Whether anything came."""
        return self.status is not None or self._unproductive > 0

    @property
    def ends_with_connection(self) -> bool:
        """Whether nothing but the end of the connection tells the end of this answer."""
        return (
            self.status is not None
            and not self.is_complete
            and "content-length" not in self.headers
            and not self.headers.get("transfer-encoding", "").lower().endswith("chunked")
        )

    # What httptools calls.

    def on_message_begin(self) -> None:
        if self.is_complete:
            self._has_excess = True

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.status is None:
            self.headers[name.decode("latin-1").lower()] = value.decode("latin-1").strip()

    def on_headers_complete(self) -> None:
        if self.is_complete:
            return
        status = self._parser.get_status_code()
        if 100 <= status < 200:
            self.headers.clear()
            return
        self.status = status
        if self._is_head:
            self._complete(False)

    def on_message_complete(self) -> None:
        if self.status is not None and not self.is_complete:
            self._complete(self._is_keepable())

    def _is_keepable(self) -> bool:
        is_ambiguous = "content-length" in self.headers and "transfer-encoding" in self.headers
        return self._parser.should_keep_alive() and not is_ambiguous

    def _complete(self, can_keep: bool) -> None:
        self.is_complete = True
        self.can_keep = can_keep
        self._wanted = len(self._pieces)
