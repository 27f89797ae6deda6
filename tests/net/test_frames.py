"""The frame lane by itself: what it takes, what it leaves to Autobahn, and what it writes."""

import os
import struct
from typing import Any
from unittest.mock import patch

from autobahn.exception import Disconnected, PayloadExceededError
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.net.frame_scripts import KINDS, Connection, Keys, Script, frame, masked
from waav.net import frames

MASK = b"\x01\x02\x03\x04"
REPORTED = frozenset({"message", "ping", "pong", "closed"})


class Peer:
    """A fast protocol in memory, and the peer's end of its wire."""

    def __init__(self, is_server: bool = True, is_deflating: bool = False, **options: Any) -> None:
        script = Script(0, is_server, tuple(options.items()), is_deflating, (), ())
        self.connection = Connection(script, KINDS[True, is_server])
        self.connection.open(script)
        self.protocol = self.connection.protocol
        self.mask = MASK if is_server else None
        self.written()

    def says(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.protocol.dataReceived(piece)

    def frame(self, payload: bytes, first: int = 0x82) -> bytes:
        return frame(payload, first, self.mask)

    def written(self) -> bytes:
        """What our side has written since the last call."""
        data = b"".join(self.connection.wire.written)
        self.connection.wire.written.clear()
        return data

    @property
    def messages(self) -> list[tuple[bytes, bool]]:
        return [each[2:] for each in self.protocol.told if each[0] == "message"]

    @property
    def told(self) -> list[Any]:
        return [each for each in self.protocol.told if each[0] in REPORTED]

    @property
    def by_autobahn(self) -> int:
        """How many messages Autobahn has read."""
        count: int = self.protocol.by_autobahn
        return count


class TakenTests(SynchronousTestCase):
    """Whole data frames do without Autobahn."""

    def taken(self, peer: Peer, payload: bytes, first: int = 0x82) -> None:
        peer.says(peer.frame(payload, first))
        self.assertEqual(peer.messages[-1], (payload, first == 0x82))
        self.assertEqual(peer.by_autobahn, 0)

    def left(self, peer: Peer, payload: bytes) -> None:
        before = peer.by_autobahn
        peer.says(peer.frame(payload))
        self.assertEqual(peer.messages[-1], (payload, True))
        self.assertEqual(peer.by_autobahn, before + 1)

    def test_sizes(self) -> None:
        """Messages up to 64 KB, of both kinds and with both lengths of length, arrive on both sides."""
        for is_server in (True, False):
            peer = Peer(is_server)
            for size in (0, 1, 2, 3, 4, 5, 125, 126, 127, 640, 65535):
                self.taken(peer, bytes(range(256)) * (size // 256) + bytes(range(size % 256)))
                self.taken(peer, b"t" * size, 0x81)
            self.left(peer, bytes(65536))

    def test_kinds(self) -> None:
        """Payloads are bytes, and text is told from sound."""
        peer = Peer()
        peer.says(peer.frame("grüezi".encode(), 0x81) + peer.frame(b"\xff"))
        self.assertEqual(peer.messages, [("grüezi".encode(), False), (b"\xff", True)])
        self.assertEqual({each[1] for each in peer.told}, {"bytes"})

    def test_limits(self) -> None:
        """A message as large as the smaller limit is taken; one byte more is Autobahn's, who refuses it."""
        for limits in ((640, 0), (0, 640), (640, 1000), (1000, 640)):
            options = dict(
                zip(("maxFramePayloadSize", "maxMessagePayloadSize"), limits, strict=True)
            )
            peer = Peer(failByDrop=False, **options)
            self.taken(peer, bytes(640))
            peer.says(peer.frame(bytes(641)))
            self.assertEqual(len(peer.messages), 1)
            self.assertEqual(peer.protocol.localCloseCode, 1009)

    def test_several(self) -> None:
        """Messages that come in one read are taken in their order; one of Autobahn's may be among them."""
        peer = Peer()
        pieces = [bytes([number]) * 300 for number in range(5)]
        peer.says(b"".join(peer.frame(piece) for piece in pieces))
        self.assertEqual(peer.by_autobahn, 0)
        peer.says(peer.frame(b"a") + peer.frame(b"?", 0x89) + peer.frame(b"b"))
        self.assertEqual([each[0] for each in peer.messages], [*pieces, b"a", b"b"])
        self.assertEqual(peer.told[-2], ("ping", b"?"))
        self.taken_again(peer)

    def taken_again(self, peer: Peer) -> None:
        """Afterwards the lane is open again."""
        before = peer.by_autobahn
        peer.says(peer.frame(b"again"))
        self.assertEqual(peer.messages[-1], (b"again", True))
        self.assertEqual(peer.by_autobahn, before)

    def test_fragments(self) -> None:
        """A message in fragments is Autobahn's, also if whole frames are sent inside it; later ones are not."""
        peer = Peer(failByDrop=False)
        peer.says(peer.frame(b"a", 0x02), peer.frame(b"", 0x8A), peer.frame(b"b", 0x80))
        self.assertEqual(peer.messages, [(b"ab", True)])
        self.taken_again(peer)
        peer.says(peer.frame(b"c", 0x02), peer.frame(b"d"))
        self.assertEqual(peer.protocol.localCloseCode, 1002)

    def test_compression_agreed(self) -> None:
        """Where compression was agreed on, messages that are not compressed are still taken."""
        self.taken(Peer(is_deflating=True), b"plain")

    def test_ping_pending(self) -> None:
        """A message counts as the answer to a ping of Autobahn's own: the connection stays."""
        peer = Peer(autoPingInterval=1, autoPingTimeout=1, autoPingSize=12)
        peer.connection.clock.advance(1)
        self.left(peer, b"here")
        self.assertIsNone(peer.protocol.autoPingTimeoutCall)
        self.taken_again(peer)
        peer.connection.clock.advance(0.5)
        self.assertEqual(peer.connection.wire.asked, [])

    def test_diagnosis(self) -> None:
        """Who asks Autobahn for its logs and timings gets all of them: nothing passes it by."""
        for option in ("logOctets", "logFrames", "trackTimings"):
            peer = Peer(**{option: True})
            self.left(peer, b"a")
            peer.protocol.sendMessage(b"b", True)
            self.assertEqual(peer.written(), frame(b"b"))


class RefusedTests(SynchronousTestCase):
    """What breaks the protocol is refused by Autobahn, with its codes."""

    def refused(self, code: int, data: bytes, **options: Any) -> Peer:
        peer = Peer(failByDrop=False, **options)
        peer.says(peer.frame(b"before"), data)
        self.assertEqual(peer.messages[:1], [(b"before", True)])
        self.assertEqual(peer.protocol.localCloseCode, code)
        return peer

    def test_mask(self) -> None:
        """Frames of a client must be masked, those of a server must not be."""
        self.refused(1002, frame(b"a"))
        self.refused(1002, frame(b"a", mask=MASK), is_server=False)

    def test_mask_not_required(self) -> None:
        """Who allows the wrong masking gets the messages."""
        peer = Peer(requireMaskedClientFrames=False)
        peer.says(frame(b"a"))
        self.assertEqual(peer.messages, [(b"a", True)])
        peer = Peer(is_server=False, acceptMaskedServerFrames=True)
        peer.says(frame(b"a", mask=MASK))
        self.assertEqual(peer.messages, [(b"a", True)])

    def test_reserved(self) -> None:
        """Reserved bits and opcodes end the connection."""
        for first in (0xC2, 0xA1, 0x92, 0x83, 0x8B):
            self.refused(1002, frame(b"a", first, MASK))

    def test_length(self) -> None:
        """Lengths must be as short as possible."""
        self.refused(1002, frame(bytes(125), mask=MASK, form=16))
        self.refused(1002, frame(bytes(125), mask=MASK, form=64))
        self.refused(1002, frame(bytes(65535), mask=MASK, form=64))
        self.refused(1002, frame(b"", mask=MASK, form=64, claims=1 << 63))

    def test_text(self) -> None:
        """Text that is not UTF-8 is not delivered."""
        for bad in (b"\xff", b"ok \xc3", b"\xed\xa0\x80", b"\xf4\x90\x80\x80", b"\xc0\xaf"):
            peer = self.refused(1007, frame(bad, 0x81, MASK))
            self.assertEqual(len(peer.messages), 1)

    def test_text_in_pieces(self) -> None:
        """A long text that is not UTF-8 ends the connection before it is complete."""
        whole = frame(b"\xff" + bytes(1000), 0x81, MASK)
        peer = self.refused(1007, whole[:9])
        self.assertEqual(len(peer.messages), 1)


class PieceTests(SynchronousTestCase):
    """TCP cuts where it likes."""

    def test_every_cut(self) -> None:
        """A stream cut in two anywhere gives the same messages."""
        peer = Peer()
        stream = peer.frame(bytes(200)) + peer.frame(b"abc", 0x81) + peer.frame(b"", 0x81)
        stream += peer.frame(b"?", 0x89) + peer.frame(bytes(range(130)))
        peer.says(stream)
        whole = peer.told
        for at in range(1, len(stream)):
            peer = Peer()
            peer.says(stream[:at], stream[at:])
            self.assertEqual(peer.told, whole, f"cut at {at}")

    def test_byte_by_byte(self) -> None:
        """Nor does it matter if every byte comes alone."""
        for is_server in (True, False):
            peer = Peer(is_server)
            stream = b"".join(peer.frame(b"x" * size) for size in (0, 1, 125, 126, 300))
            peer.says(*(stream[at : at + 1] for at in range(len(stream))))
            self.assertEqual([len(each[0]) for each in peer.messages], [0, 1, 125, 126, 300])

    def test_one_more_read(self) -> None:
        """A frame in two reads is taken; one in three is Autobahn's, so that nobody can make us join bytes for ever."""
        peer = Peer()
        whole = peer.frame(bytes(1000))
        peer.says(whole[:500], whole[500:])
        self.assertEqual(peer.by_autobahn, 0)
        peer.says(whole[:300], whole[300:600], whole[600:])
        self.assertEqual(peer.by_autobahn, 1)
        self.assertEqual(peer.messages, [(bytes(1000), True)] * 2)

    def test_reads_that_never_fit(self) -> None:
        """Frames that lie across reads, each across the end of one, are all taken."""
        peer = Peer()
        stream = peer.frame(bytes(640)) * 100
        peer.says(*(stream[at : at + 1400] for at in range(0, len(stream), 1400)))
        self.assertEqual(len(peer.messages), 100)
        self.assertEqual(peer.by_autobahn, 0)

    def test_rest_of_a_message_of_autobahns(self) -> None:
        """The end of a frame that Autobahn began to read goes to Autobahn, and so does what follows in that read."""
        peer = Peer()
        text = peer.frame(b"t" * 100, 0x81)
        peer.says(text[:50], text[50:] + peer.frame(b"next"))
        self.assertEqual(peer.messages, [(b"t" * 100, False), (b"next", True)])
        self.assertEqual(peer.by_autobahn, 2)

    def test_closing_meanwhile(self) -> None:
        """When we say goodbye while a frame is incomplete, the rest of it is not taken for the answer."""
        peer = Peer()
        sound = peer.frame(b"\x88\x00" * 50)
        peer.says(sound[:20])
        peer.protocol.sendClose(1000)
        peer.says(sound[20:] + peer.frame(b"\x03\xe8", 0x88))
        self.assertEqual(peer.messages, [(b"\x88\x00" * 50, True)])
        self.assertTrue(peer.protocol.wasClean)

    @given(st.lists(st.binary(max_size=300), max_size=6), st.lists(st.integers(0, 2000)))
    def test_any_cuts(self, payloads: list[bytes], cuts: list[int]) -> None:
        """Any messages, cut anywhere, arrive as they were."""
        peer = Peer()
        stream = b"".join(peer.frame(payload) for payload in payloads)
        ends = sorted({min(cut, len(stream)) for cut in cuts} | {len(stream)})
        peer.says(*(stream[at:to] for at, to in zip([0, *ends], ends, strict=False)))
        self.assertEqual([each[0] for each in peer.messages], payloads)


class InsideTests(SynchronousTestCase):
    """What the application does while it is told a message."""

    def reacts(self, peer: Peer, reaction: Any) -> None:
        """Let ``reaction(payload)`` follow each message."""
        take = peer.protocol.onMessage

        def told(payload: bytes, is_binary: bool) -> None:
            take(payload, is_binary)
            reaction(payload)

        peer.protocol.onMessage = told

    def test_dropped(self) -> None:
        """After the application dropped the connection it is told nothing more, not even of the same read."""
        peer = Peer()
        self.reacts(peer, lambda _: peer.protocol.dropConnection(abort=True))
        peer.says(peer.frame(b"a") + peer.frame(b"b"), peer.frame(b"c"))
        self.assertEqual(peer.messages, [(b"a", True)])

    def test_closed(self) -> None:
        """After it said goodbye what follows is Autobahn's: here the peer's answer."""
        peer = Peer()
        self.reacts(peer, lambda _: peer.protocol.sendClose(1000))
        peer.says(peer.frame(b"a") + peer.frame(b"b") + peer.frame(b"\x03\xe8", 0x88))
        self.assertEqual(peer.by_autobahn, 1)
        self.assertTrue(peer.protocol.wasClean)

    def test_late_data(self) -> None:
        """What a transport delivers while a message is being told comes behind the rest of the read."""
        peer = Peer()
        late = {b"a": [peer.frame(b"d")[:3], peer.frame(b"d")[3:] + peer.frame(b"e")]}
        self.reacts(peer, lambda payload: peer.says(*late.get(payload, [])))
        peer.says(peer.frame(b"a") + peer.frame(b"b") + peer.frame(b"c"))
        self.assertEqual(b"".join(each[0] for each in peer.messages), b"abcde")

    def test_late_data_of_autobahns(self) -> None:
        """Also where Autobahn tells the message."""
        peer = Peer()
        late = {b"a": [peer.frame(b"c")]}
        self.reacts(peer, lambda payload: peer.says(*late.get(payload, [])))
        peer.says(peer.frame(b"a", 0x02), peer.frame(b"", 0x80) + peer.frame(b"b"))
        self.assertEqual(b"".join(each[0] for each in peer.messages), b"abc")

    def test_error(self) -> None:
        """An error of the application reaches the transport, which ends the connection; the lane is not stuck."""
        peer = Peer()

        def fails(payload: bytes) -> None:
            if payload == b"bad":
                raise ZeroDivisionError

        self.reacts(peer, fails)
        with self.assertRaises(ZeroDivisionError):
            peer.says(peer.frame(b"bad"))
        peer.says(peer.frame(b"good"))
        self.assertEqual(peer.messages[-1], (b"good", True))


class SentTests(SynchronousTestCase):
    """What our side writes."""

    def read(self, data: bytes) -> tuple[int, bytes]:
        """First byte and payload of one masked frame."""
        first, second = data[0], data[1]
        self.assertTrue(second & 0x80)
        length, at = second & 0x7F, 2
        if length == 126:
            length, at = struct.unpack("!H", data[2:4])[0], 4
        self.assertEqual(len(data), at + 4 + length)
        return first, masked(data[at + 4 :], data[at : at + 4])

    def test_server(self) -> None:
        """A server's frames are written as they are, with the shortest length there is."""
        peer = Peer()
        for size in (0, 1, 125, 126, 65535, 65536):
            peer.protocol.sendMessage(b"s" * size, True)
            self.assertEqual(peer.written(), frame(b"s" * size))
            peer.protocol.sendMessage(b"t" * size)
            self.assertEqual(peer.written(), frame(b"t" * size, 0x81))

    def test_client(self) -> None:
        """A client's frames are masked; unmasked they are what was sent."""
        peer = Peer(is_server=False)
        for size in (0, 1, 2, 3, 4, 5, 125, 126, 127, 640, 65535):
            payload = bytes(range(256)) * (size // 256) + bytes(range(size % 256))
            peer.protocol.sendMessage(payload, True)
            self.assertEqual(self.read(peer.written()), (0x82, payload))
            peer.protocol.sendMessage(payload)
            self.assertEqual(self.read(peer.written()), (0x81, payload))

    def test_one_write(self) -> None:
        """Several messages leave in one write; on the wire they are what single ones would be."""
        for is_server in (True, False):
            peer = Peer(is_server)
            with patch.object(frames, "_next_key", lambda: MASK):
                peer.protocol.send_binaries([b"a", bytes(640), b""])
            self.assertEqual(len(peer.connection.wire.written), 1)
            mask = None if is_server else MASK
            self.assertEqual(
                peer.written(),
                b"".join(frame(each, 0x82, mask) for each in (b"a", bytes(640), b"")),
            )
            peer.protocol.send_binaries([])
            self.assertEqual(peer.connection.wire.written, [])

    def test_audio(self) -> None:
        """Audio in one step is on the wire what ``sendMessage`` would have made of it."""
        for is_server in (True, False):
            peer = Peer(is_server)
            for size in (126, 640, 65535):
                with patch.object(frames, "_next_key", lambda: MASK):
                    self.assertTrue(
                        peer.protocol.write_binary(bytes(range(126)) + bytes(size - 126))
                    )
                    written = peer.written()
                    peer.protocol.sendMessage(bytes(range(126)) + bytes(size - 126), True)
                self.assertEqual(written, peer.written())

    def test_audio_in_the_way(self) -> None:
        """Where Autobahn has a say, or the lane would need more steps, nothing is sent and that is told."""
        peer = Peer(maxMessagePayloadSize=1000)
        for size in (0, 125, 1001):
            self.assertFalse(peer.protocol.write_binary(bytes(size)))
        peer.protocol.sendClose(1000)
        peer.written()
        self.assertFalse(peer.protocol.write_binary(bytes(640)))
        self.assertEqual(peer.written(), b"")

    def test_several_with_a_large_one(self) -> None:
        """Several messages of which one is too large for the lane all leave, in order."""
        peer = Peer()
        peer.protocol.send_binaries([b"a", bytes(65536), b"b"])
        self.assertEqual(peer.written(), frame(b"a") + frame(bytes(65536)) + frame(b"b"))

    def test_too_large(self) -> None:
        """What the other side would not take is not sent; the caller of ``sendMessage`` is told."""
        peer = Peer(maxMessagePayloadSize=640)
        peer.protocol.sendMessage(bytes(640), True)
        peer.written()
        with self.assertRaises(PayloadExceededError):
            peer.protocol.sendMessage(bytes(641), True)
        with self.assertRaises(PayloadExceededError):
            peer.protocol.send_binaries([bytes(641)])
        self.assertEqual(peer.written(), b"")

    def test_closed(self) -> None:
        """After goodbye nothing is sent any more; who tries is told."""
        peer = Peer()
        peer.protocol.sendClose(1000)
        peer.written()
        with self.assertRaises(Disconnected):
            peer.protocol.sendMessage(b"a", True)
        with self.assertRaises(Disconnected):
            peer.protocol.send_binaries([b"a", b"b"])
        self.assertEqual(peer.written(), b"")

    def test_compressed(self) -> None:
        """Where compression was agreed on, messages are compressed."""
        peer = Peer(is_deflating=True)
        peer.protocol.sendMessage(bytes(640), True)
        self.assertEqual(peer.connection.wire.written[0][0], 0xC2)
        self.assertLess(len(peer.written()), 100)

    def test_queue(self) -> None:
        """A message does not overtake one that waits."""
        peer = Peer()
        peer.protocol.send_queue.append((b"waiting", True))
        peer.protocol.sendMessage(b"a", True)
        self.assertEqual(peer.written(), b"waiting")
        self.assertEqual(peer.protocol.send_queue[0][0], frame(b"a"))

    def test_fragments(self) -> None:
        """Fragments are sent where they are asked for, by the call or by an option."""
        peer = Peer()
        peer.protocol.sendMessage(b"abc", True, fragmentSize=2)
        self.assertEqual(peer.written(), frame(b"ab", 0x02) + frame(b"c", 0x80))
        peer = Peer(autoFragmentSize=2)
        peer.protocol.sendMessage(b"abc", True)
        self.assertEqual(peer.written(), frame(b"ab", 0x02) + frame(b"c", 0x80))

    def test_masked_server(self) -> None:
        """A server that was told to mask, masks; a client that was told not to, does not."""
        peer = Peer(maskServerFrames=True)
        peer.protocol.sendMessage(b"abc", True)
        self.assertEqual(self.read(peer.written()), (0x82, b"abc"))
        peer = Peer(is_server=False, maskClientFrames=False)
        peer.protocol.sendMessage(b"abc", True)
        self.assertEqual(peer.written(), frame(b"abc"))


class KeyTests(SynchronousTestCase):
    """Masking keys (RFC 6455 5.3)."""

    def test_source(self) -> None:
        """Keys are the system's random numbers, each used once."""
        drawn: list[bytes] = []

        def draw(count: int) -> bytes:
            drawn.append(source.urandom(count))
            return drawn[-1]

        source = Keys()
        keys = frames._Keys()
        with patch.object(frames, "urandom", draw):
            first = [keys.next() for _ in range(3)]
            rest = [keys.next() for _ in range(len(drawn[0]) // 4 - 2)]
        self.assertEqual(len(drawn), 2)
        self.assertEqual(b"".join(first + rest), drawn[0] + drawn[1][:4])

    def test_system(self) -> None:
        """The source is the operating system, and two frames of the same payload differ."""
        self.assertIs(frames.urandom, os.urandom)
        peer = Peer(is_server=False)
        peer.protocol.sendMessage(bytes(64), True)
        peer.protocol.sendMessage(bytes(64), True)
        one, other = peer.connection.wire.written
        self.assertNotEqual(one, other)

    def test_mask(self) -> None:
        """The compiled masking is that of the RFC, for every length of rest."""
        for size in range(70):
            payload = bytes(range(100, 100 + size))
            self.assertEqual(bytes(frames.apply_mask(payload, MASK)), masked(payload, MASK))
