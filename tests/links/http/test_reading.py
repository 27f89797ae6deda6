"""One answer within its limits, on a clock."""

import gzip
import zlib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from waav import errors
from waav.links.http.connection import HttpConnection
from waav.links.http.reading import Reading
from waav.links.http.unpacking import Unpacker, Unreadable, unpacker_for
from waav.speech import wire


class Wire(StringTransport):
    """A transport that remembers whether it was broken."""

    is_aborted = False

    def abortConnection(self) -> None:
        self.is_aborted = True


class ReadingCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.pieces: list[Any] = []
        self.freed: list[HttpConnection] = []
        self.wire = Wire()
        self.connection = HttpConnection(self.freed.append, lambda _: None)
        self.connection.makeConnection(self.wire)

    def read(self, size_bytes: int = 10**9, **limits: float) -> Reading:
        chosen = {"first_byte_s": 10.0, "idle_s": 10.0, "request_s": 60.0, **limits}
        reading = Reading(self.clock, "acme", None, self.pieces.append, size_bytes, **chosen)
        reading.ask(self.connection, b"?")
        return reading

    def head(self, *lines: str) -> None:
        said = "\r\n".join(("HTTP/1.1 200 OK", *lines, "", ""))
        self.connection.dataReceived(said.encode())

    @property
    def body(self) -> bytes:
        return b"".join(one.data for one in self.pieces if isinstance(one, wire.Body))


class LimitTests(ReadingCase):
    def test_a_pause_of_ours_is_not_the_vendors_silence(self) -> None:
        """A caller who listens slowly for minutes does not make the vendor time out. (S-TTS-12, S-TTS-52)"""
        reading = self.read()
        self.head("Content-Length: 100")
        self.clock.advance(5)
        reading.pause()
        self.assertEqual(self.wire.producerState, "paused")
        for _ in range(30):
            self.clock.advance(10)
        reading.resume()
        self.assertEqual(self.wire.producerState, "producing")
        self.clock.advance(9)
        self.connection.dataReceived(b"x")
        self.clock.advance(9)
        self.assertNoResult(reading.finished)
        self.clock.advance(2)
        self.failureResultOf(reading.finished, errors.ProviderTimeout)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertTrue(self.wire.is_aborted)
        self.assertEqual(self.pieces, [wire.Head(200, {"content-length": "100"}), wire.Body(b"x")])

    def test_a_pause_before_the_first_byte(self) -> None:
        """Nor does one that begins before the vendor has said anything."""
        reading = self.read(first_byte_s=1.0)
        reading.pause()
        self.clock.pump([10.0] * 12)
        reading.resume()
        self.head("Content-Length: 1")
        self.connection.dataReceived(b"x")
        self.successResultOf(reading.finished)

    def test_one_timer_however_many_pieces(self) -> None:
        """Pieces do not make timers."""
        reading = self.read()
        self.head("Content-Length: 10000")
        for _ in range(1000):
            self.connection.dataReceived(b"x")
        self.assertEqual(len(self.clock.getDelayedCalls()), 1)
        reading.abandon()
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertTrue(self.wire.is_aborted)

    def test_too_much(self) -> None:
        """An answer without end does not fill our memory. (S-REQ-10)"""
        reading = self.read(10)
        self.head()
        self.connection.dataReceived(b"x" * 10)
        self.assertNoResult(reading.finished)
        self.connection.dataReceived(b"x")
        self.failureResultOf(reading.finished, errors.WireError)
        self.assertTrue(self.wire.is_aborted)

    def test_each_limit_has_its_words(self) -> None:
        """A time-out says what the vendor did not do: answer, go on, or come to an end. (S-TTS-52)"""
        for limit, said in (
            ({"first_byte_s": 1.0}, "acme did not answer within 1.0 s"),
            ({"request_s": 1.0}, "acme did not finish its answer in time"),
            ({"idle_s": 1.0}, "acme sent nothing for 1 s"),
        ):
            self.setUp()
            reading = self.read(**limit)
            if "first_byte_s" not in limit:
                self.head()
            self.clock.advance(1.0)
            error = self.failureResultOf(reading.finished, errors.ProviderTimeout).value
            self.assertEqual(str(error), said)

    def test_a_slow_refusal_is_still_a_refusal(self) -> None:
        """When the explanation of an error answer does not end, what was read of it counts."""
        reading = self.read()
        self.connection.dataReceived(b"HTTP/1.1 429 No\r\nContent-Length: 99\r\n\r\nslow down")
        self.clock.advance(10)
        self.successResultOf(reading.finished)
        self.assertEqual((reading.answer.status, reading.explanation), (429, b"slow down"))
        self.assertEqual(self.pieces, [])


class OneBurstTests(ReadingCase):
    def test_chunks_that_came_together(self) -> None:
        """Several chunks of one read become one piece of speech, so the caller gets them in one write."""
        self.read()
        self.head("Transfer-Encoding: chunked")
        self.connection.dataReceived(b"3\r\nabc\r\n2\r\nde\r\n1\r\nf\r\n0\r\n\r\n")
        self.assertEqual(self.pieces[1:], [wire.Body(b"abcdef"), wire.End()])

    def test_a_consumer_that_hangs_up_inside(self) -> None:
        """Whoever hangs up while he is given a piece gets nothing more, not even the end."""
        reading = self.read()
        deliver = self.pieces.append

        def leave(piece: Any) -> None:
            deliver(piece)
            if isinstance(piece, wire.Body):
                reading.abandon()

        reading._deliver = leave
        self.connection.dataReceived(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
        self.assertEqual([type(one) for one in self.pieces], [wire.Head, wire.Body])
        self.assertEqual(self.freed, [])
        self.assertTrue(self.wire.is_aborted)
        self.assertNoResult(reading.finished)

    def test_the_connection_is_free_before_the_end_is_told(self) -> None:
        """Who asks again at the end of an answer finds its connection."""
        reading = self.read()
        free: list[int] = []
        reading._deliver = lambda piece: free.append(len(self.freed))
        self.connection.dataReceived(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
        self.assertEqual(free, [0, 0, 1])

    def test_a_paused_connection_is_not_given_back_paused(self) -> None:
        """The next request on a connection is not held up by the last one's pause."""
        reading = self.read()
        reading.pause()
        self.connection.dataReceived(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nx")
        self.assertEqual(self.freed, [self.connection])
        self.assertEqual(self.wire.producerState, "producing")


class EndTests(ReadingCase):
    def lose(self, kind: type[Exception] = ConnectionDone) -> None:
        self.connection.connectionLost(Failure(kind()))

    def test_cut_in_the_middle(self) -> None:
        """An answer that knows its length and does not reach it is a failure."""
        for framing in ("Content-Length: 9", "Transfer-Encoding: chunked"):
            self.setUp()
            reading = self.read()
            self.head(framing)
            self.lose()
            error = self.failureResultOf(reading.finished, errors.ProviderLost).value
            self.assertIn("in the middle of its answer (ConnectionDone)", str(error))

    def test_the_end_of_the_connection_as_the_end_of_the_answer(self) -> None:
        """It is one where the vendor gives no other, but nothing to keep; a cut connection is never one."""
        reading = self.read()
        self.head()
        self.connection.dataReceived(b"abc")
        self.lose()
        self.successResultOf(reading.finished)
        self.assertEqual((self.body, reading.is_whole), (b"abc", False))
        self.setUp()
        reading = self.read()
        self.head()
        self.lose(ConnectionLost)
        self.failureResultOf(reading.finished, errors.ProviderLost)

    def test_before_the_answer(self) -> None:
        """Nothing came at all: whoever asked may ask again."""
        reading = self.read()
        self.lose()
        error = self.failureResultOf(reading.finished, errors.ProviderLost).value
        self.assertIn("hung up before it answered", str(error))
        self.assertFalse(reading.has_heard)
        self.setUp()
        reading = self.read()
        self.connection.dataReceived(b"HTTP/1.")
        self.lose()
        self.failureResultOf(reading.finished, errors.ProviderLost)
        self.assertTrue(reading.has_heard)

    def test_not_http(self) -> None:
        """Somebody who does not speak HTTP is told apart from somebody who hung up."""
        reading = self.read()
        self.connection.dataReceived(b"SSH-2.0-OpenSSH_9.2\r\n")
        self.failureResultOf(reading.finished, errors.WireError)
        self.assertTrue(self.wire.is_aborted)

    def test_words_nobody_asked_for(self) -> None:
        """A vendor's last word on an idle connection is not taken for the answer to the next request."""
        self.connection.dataReceived(b"HTTP/1.1 408 Request Timeout\r\n\r\n")
        self.assertTrue(self.wire.is_aborted)
        self.assertFalse(self.connection.is_open)


class PackedTests(ReadingCase):
    def packed(self, coding: str, data: bytes, *, size_bytes: int = 10**9) -> Reading:
        reading = self.read(size_bytes)
        self.head(f"Content-Encoding: {coding}", f"Content-Length: {len(data)}")
        self.connection.dataReceived(data)
        return reading

    def test_unpacked(self) -> None:
        """Audio that comes zipped although nobody asked for it is heard, not its zipped bytes."""
        raw = zlib.compressobj(wbits=-15)
        for coding, data in (
            ("gzip", gzip.compress(b"speech")),
            ("X-GZIP", gzip.compress(b"spe") + gzip.compress(b"ech")),
            ("deflate", zlib.compress(b"speech")),
            ("deflate", raw.compress(b"speech") + raw.flush()),
            ("identity", b"speech"),
        ):
            self.setUp()
            self.successResultOf(self.packed(coding, data).finished)
            self.assertEqual(self.body, b"speech", coding)
        self.assertNotIn("content-length", unpack_headers("gzip"))

    def test_not_to_be_unpacked(self) -> None:
        """What nobody here can unpack, or is broken or cut, is an error and never noise."""
        for coding, data, kind in (
            ("br", b"x", errors.WireError),
            ("gzip, br", b"x", errors.WireError),
            ("gzip", b"no gzip at all", errors.WireError),
            ("gzip", gzip.compress(b"speech")[:-4], errors.ProviderLost),
            ("deflate", zlib.compress(b"speech")[:-4], errors.ProviderLost),
        ):
            self.setUp()
            self.failureResultOf(self.packed(coding, data).finished, kind)
            self.assertNotIn(wire.End(), self.pieces)

    def test_a_bomb(self) -> None:
        """A few zipped bytes that unpack to gigabytes fill nothing. (S-REQ-10)"""
        reading = self.packed("gzip", gzip.compress(bytes(10_000_000)), size_bytes=1000)
        self.failureResultOf(reading.finished, errors.WireError)
        self.assertLess(len(self.body), 1100)

    def test_a_refusal_in_any_packing(self) -> None:
        """An error answer keeps its status even if its explanation cannot be read."""
        reading = self.read()
        self.connection.dataReceived(
            b"HTTP/1.1 401 No\r\nContent-Encoding: br\r\nContent-Length: 1\r\n\r\nx"
        )
        self.successResultOf(reading.finished)
        self.assertEqual((reading.answer.status, reading.explanation), (401, b""))

    @given(st.binary(max_size=500), st.sampled_from(["gzip", "deflate"]), st.data())
    def test_cut_anywhere(self, speech: bytes, coding: str, data: Any) -> None:
        """However the network cuts it, the same comes out."""
        packed = gzip.compress(speech) if coding == "gzip" else zlib.compress(speech)
        unpacker = Unpacker(coding)
        found = b""
        while packed:
            size = data.draw(st.integers(1, len(packed)))
            found += unpacker.feed(packed[:size], 10**6)
            packed = packed[size:]
        self.assertEqual((found, unpacker.is_whole), (speech, True))

    @given(st.lists(st.binary(max_size=50)), st.sampled_from(["gzip", "deflate"]))
    def test_junk(self, pieces: list[bytes], coding: str) -> None:
        """Broken bytes are unreadable, nothing else."""
        unpacker = Unpacker(coding)
        try:
            for piece in pieces:
                unpacker.feed(piece, 1000)
        except Unreadable:
            pass


def unpack_headers(coding: str) -> dict[str, str]:
    headers = {"content-encoding": coding, "content-length": "7", "x": "y"}
    unpacker_for(headers)
    return headers
