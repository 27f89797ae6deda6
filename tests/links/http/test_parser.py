"""Answers out of bytes, cut anywhere, and junk."""

from itertools import pairwise
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from waav.links.http.parser import HEAD_BYTES, AnswerParser, NotHttp

OK = b"HTTP/1.1 200 OK\r\n"


def read(data: bytes, cuts: list[int] | None = None, **more: Any) -> tuple[AnswerParser, bytes]:
    parser = AnswerParser(**more)
    edges = [0, *sorted(cuts or ()), len(data)]
    body = b"".join(parser.feed(data[start:end]) for start, end in pairwise(edges))
    return parser, body


ANSWERS: tuple[tuple[bytes, bytes, bool, bool], ...] = (
    # what came, its body, whether it is complete, whether the connection can be kept
    (OK + b"Content-Length: 5\r\n\r\nhello", b"hello", True, True),
    (OK + b"Content-Length: 0\r\n\r\n", b"", True, True),
    (OK + b"Transfer-Encoding: chunked\r\n\r\n2\r\nhe\r\n3;x=y\r\nllo\r\n0\r\n\r\n", b"hello", True, True),
    (OK + b"Transfer-Encoding: chunked\r\n\r\n1\r\nh\r\n0\r\nX-Cost: 3\r\n\r\n", b"h", True, True),
    (OK + b"Connection: close\r\nContent-Length: 1\r\n\r\nh", b"h", True, False),
    (b"HTTP/1.0 200 OK\r\nContent-Length: 1\r\n\r\nh", b"h", True, False),
    (OK + b"\r\nhello", b"hello", False, False),
    (OK + b"Content-Length: 9\r\n\r\nhello", b"hello", False, False),
    (b"HTTP/1.1 204 No Content\r\n\r\n", b"", True, True),
    (b"HTTP/1.1 100 Continue\r\n\r\n" + OK + b"Content-Length: 1\r\n\r\nh", b"h", True, True),
    (b"HTTP/1.1 103 Early\r\nLink: x\r\n\r\n" * 3 + OK + b"Content-Length: 1\r\n\r\nh", b"h", True, True),
    (OK + b"Upgrade: h2\r\nConnection: Upgrade\r\nContent-Length: 1\r\n\r\nh", b"h", True, True),
    # Both framings: the chunks count, the connection is not trusted with another request.
    (OK + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nh\r\n0\r\n\r\n", b"h", True, False),
    # Another answer behind it, which nobody asked for.
    (OK + b"Content-Length: 1\r\n\r\nh" + OK + b"Content-Length: 1\r\n\r\nj", b"h", True, False),
    (OK + b"Content-Length: 1\r\n\r\nhjunk", b"h", True, False),
)  # fmt: skip


class AnswerTests(SynchronousTestCase):
    def test_whole_and_byte_by_byte(self) -> None:
        """Each answer is understood the same at once and one byte at a time."""
        for data, body, is_complete, can_keep in ANSWERS:
            for cuts in (None, list(range(1, len(data)))):
                parser, found = read(data, cuts)
                self.assertEqual(
                    (parser.status is not None, found, parser.is_complete, parser.can_keep),
                    (True, body, is_complete, can_keep),
                    data,
                )

    @given(st.sampled_from(ANSWERS), st.data())
    def test_cut_anywhere(self, answer: Any, data: Any) -> None:
        """Nor does it matter how the network cuts it."""
        came, body, is_complete, can_keep = answer
        cuts = data.draw(st.lists(st.integers(0, len(came)), max_size=6))
        parser, found = read(came, cuts)
        self.assertEqual(
            (found, parser.is_complete, parser.can_keep), (body, is_complete, can_keep)
        )

    def test_headers(self) -> None:
        """Names in lower case, of several the last, and none of interim answers or trailers."""
        parser, _ = read(
            b"HTTP/1.1 100 Continue\r\nX-Interim: 1\r\n\r\n"
            + OK
            + b"X-One: a\r\nx-one:  b \r\nX-Raw: \xe9\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-After: 1\r\n\r\n"
        )
        self.assertEqual(
            parser.headers, {"x-one": "b", "x-raw": "é", "transfer-encoding": "chunked"}
        )

    def test_head_has_no_body(self) -> None:
        """The answer to HEAD tells a length and sends nothing."""
        parser, body = read(OK + b"Content-Length: 5\r\n\r\n", is_head=True)
        self.assertEqual((parser.is_complete, parser.can_keep, body), (True, False, b""))

    def test_which_answers_end_with_the_connection(self) -> None:
        """Only those that say nothing about their length."""
        for head, ends in (
            (b"\r\n", True),
            (b"Content-Length: 9\r\n\r\n", False),
            (b"Transfer-Encoding: chunked\r\n\r\n", False),
            (b"Transfer-Encoding: gzip, chunked\r\n\r\n", False),
        ):
            self.assertEqual(read(OK + head)[0].ends_with_connection, ends, head)
        self.assertFalse(AnswerParser().ends_with_connection)

    def test_what_is_not_http(self) -> None:
        """Other protocols, broken lengths and switched protocols are refused."""
        for data in (
            b"SSH-2.0-OpenSSH\r\n",
            b"HTTP/1.1 20x OK\r\n\r\n",
            OK + b"Content-Length: 1\r\nContent-Length: 2\r\n\r\n",
            OK + b"Content-Length: -1\r\n\r\n",
            OK + b"Transfer-Encoding: chunked\r\n\r\nzz\r\n",
            b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n\0\0",
        ):
            self.assertRaises(NotHttp, read, data)

    def test_a_head_without_end(self) -> None:
        """Headers, interim answers and trailers without end do not fill our memory. (S-REQ-10)"""
        for begin, again in (
            (OK, b"X: y\r\n" * 1000),
            (OK + b"X: ", b"y" * 6000),
            (b"", b"HTTP/1.1 100 Continue\r\n\r\n" * 300),
            (OK + b"Transfer-Encoding: chunked\r\n\r\n0\r\n", b"X: y\r\n" * 1000),
            (OK + b"Transfer-Encoding: chunked\r\n\r\n1;", b"x" * 6000),
        ):
            parser = AnswerParser()
            fed = len(begin)

            def forever(
                parser: AnswerParser = parser, begin: bytes = begin, again: bytes = again
            ) -> None:
                nonlocal fed
                parser.feed(begin)
                for _ in range(100):
                    fed += len(again)
                    parser.feed(again)

            self.assertRaises(NotHttp, forever)
            self.assertLess(fed, HEAD_BYTES + 2 * len(again))

    @settings(max_examples=300)
    @given(st.lists(st.one_of(
        st.binary(max_size=40),
        st.sampled_from([OK, b"\r\n", b"Content-Length: 3\r\n", b"Transfer-Encoding: chunked\r\n", b"3\r\nabc\r\n", b"0\r\n\r\n", b"HTTP/1.1 100 C\r\n\r\n"]),
    )))  # fmt: skip
    def test_junk(self, pieces: list[bytes]) -> None:
        """Whatever comes is body, nothing yet, or not HTTP; after the end nothing is body any more."""
        parser = AnswerParser()
        try:
            for piece in pieces:
                was_complete = parser.is_complete
                body = parser.feed(piece)
                self.assertFalse(was_complete and body)
                self.assertTrue(parser.status is not None or not body)
        except NotHttp:
            self.assertFalse(parser.can_keep)
