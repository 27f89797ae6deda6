"""RIFF/WAVE headers, written and read."""

import struct
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from waav.errors import BadRequest
from waav.speech.audio import AudioFormat
from waav.speech.wav import UnreadableAudio, WavReader, header, pack, with_sizes

FORMATS = (
    AudioFormat("linear16", 8000),
    AudioFormat("linear16", 44100, 2),
    AudioFormat("linear32", 16000),
    AudioFormat("float32", 48000),
    AudioFormat("mulaw", 8000),
    AudioFormat("alaw", 8000),
)


def riff(*chunks: tuple[bytes, bytes]) -> bytes:
    """A WAV file of these chunks, pad bytes included."""
    body = b"".join(
        name + struct.pack("<I", len(data)) + data + b"\0" * (len(data) % 2)
        for name, data in chunks
    )
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WAVE" + body


def about(tag: int = 1, channels: int = 1, rate_hz: int = 16000, bits: int = 16) -> bytes:
    """The content of a format chunk."""
    block = (bits + 7) // 8 * channels
    return struct.pack("<HHIIHH", tag, channels, rate_hz, rate_hz * block % 2**32, block, bits)


ABOUT = about()


class HeaderTests(SynchronousTestCase):
    """What other programs read."""

    def test_pcm(self) -> None:
        """Plain PCM gets the 44 bytes everybody knows."""
        self.assertEqual(
            header(AudioFormat("linear16", 16000), 1000),
            b"RIFF\x0c\x04\0\0WAVEfmt \x10\0\0\0\x01\0\x01\0\x80>\0\0\0}\0\0\x02\0\x10\0data\xe8\x03\0\0",
        )

    def test_g711(self) -> None:
        """mu-law and A-law have their own tags and the longer format chunk."""
        for encoding, tag in (("mulaw", 7), ("alaw", 6)):
            head = header(AudioFormat(encoding, 8000), 10)  # type: ignore[arg-type]
            self.assertEqual(
                struct.unpack_from("<IHHIIHHH", head, 16), (18, tag, 1, 8000, 8000, 1, 8, 0)
            )
            self.assertEqual(struct.unpack_from("<I", head, 4), (len(head) + 10 - 8,))

    def test_streaming(self) -> None:
        """A stream whose end nobody knows says so with the largest sizes."""
        head = header(AudioFormat("linear16", 24000), None)
        self.assertEqual(head[4:8] + head[-4:], b"\xff" * 8)

    def test_file(self) -> None:
        """A whole file has an even length and tells its true size."""
        data = pack(AudioFormat("mulaw", 8000), b"abc")
        self.assertEqual(len(data) % 2, 0)
        self.assertEqual(struct.unpack_from("<I", data, 4), (len(data) - 8,))
        self.assertEqual(WavReader().feed(data), b"abc")

    def test_refusals(self) -> None:
        """What WAV cannot carry is refused."""
        for fmt, size in (
            (AudioFormat("mp3", 24000), 0),
            (AudioFormat("linear16", 0), 0),
            (AudioFormat("linear16", 8000, 0), 0),
            (AudioFormat("linear16", 8000), 2**32 - 10),
        ):
            self.assertRaises(ValueError, header, fmt, size)


class WavReaderTests(SynchronousTestCase):
    """Reading through headers as they arrive."""

    def read(self, data: bytes, size: int = 1) -> tuple[bytes, WavReader]:
        reader = WavReader()
        got = b"".join(reader.feed(data[at : at + size]) for at in range(0, len(data), size))
        return got + reader.finish(), reader

    def test_formats(self) -> None:
        """Each encoding is recognised by its header, byte by byte."""
        for fmt in FORMATS:
            for size in (4, None):
                got, reader = self.read(header(fmt, size) + b"abcd")
                self.assertEqual((got, reader.format), (b"abcd", fmt))

    def test_other_chunks(self) -> None:
        """Chunks before and after the samples never become noise, even of odd length."""
        file = riff((b"LIST", b"odd"), (b"fmt ", ABOUT), (b"fact", b"1234"), (b"data", b"xyz"))
        file += b"LIST\4\0\0\0INFO"
        for size in (1, 2, 3, 7, 1000):
            self.assertEqual(self.read(file, size)[0], b"xyz")

    def test_extensible(self) -> None:
        """The extensible header, as Windows writes it, is read by its sub-format."""
        about = struct.pack("<HHIIHHHHI", 0xFFFE, 2, 48000, 192000, 4, 16, 22, 16, 3)
        about += b"\1\0\0\0\0\0\x10\0\x80\0\0\xaa\0\x38\x9b\x71"
        got, reader = self.read(riff((b"fmt ", about), (b"data", b"abcd")))
        self.assertEqual((got, reader.format), (b"abcd", AudioFormat("linear16", 48000, 2)))

    def test_bare(self) -> None:
        """Audio without a header passes whole, however little of it there is."""
        for data in (b"", b"R", b"RIFF", b"RIFX" * 5, b"RIFF1234WAVX" * 3, b"\1\2\3"):
            got, reader = self.read(data)
            self.assertEqual(got, data)
            self.assertIsNone(reader.format)

    def test_header_after_header(self) -> None:
        """A stream of complete WAV files is the sound of all of them."""
        file = riff((b"fmt ", ABOUT), (b"data", b"abc"))
        self.assertEqual(self.read(file * 3, 5)[0], b"abcabcabc")

    def test_restart(self) -> None:
        """Where each message has a header of unknown size, a restart keeps it out of the sound."""
        message = header(AudioFormat("linear16", 8000), None) + b"abcd"
        reader = WavReader()
        self.assertEqual(reader.feed(message), b"abcd")
        reader.restart()
        self.assertEqual(reader.feed(message), b"abcd")
        reader.restart()
        self.assertEqual(reader.feed(b"no header this time"), b"no header this time")

    def test_unknown_sizes(self) -> None:
        """Streams whose writers did not know the size, and said 0 or a very large one, are heard to their end."""
        sound = bytes(range(256)) * 2
        for size in (0, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFE, 0xFFFFFFFF):
            head = riff((b"fmt ", ABOUT)) + b"data" + struct.pack("<I", size)
            for piece in (1, 7, 1000):
                self.assertEqual(self.read(head + sound, piece)[0], sound, hex(size))

    def test_unknown_kinds(self) -> None:
        """What we cannot play is refused instead of played as noise."""
        mp3 = struct.pack("<HHIIHH", 0x55, 1, 16000, 32000, 2, 16)
        for file in (
            riff((b"fmt ", mp3), (b"data", b"abcd")),
            riff((b"fmt ", ABOUT[:12] + b"\x08\0\x40\0"), (b"data", b"abcd")),
            riff((b"fmt ", b"short"), (b"data", b"abcd")),
            riff((b"data", b"abcd"), (b"fmt ", ABOUT)),
            riff((b"fmt ", ABOUT[:2] + b"\0\0" + ABOUT[4:]), (b"data", b"abcd")),
            riff((b"fmt ", about(rate_hz=1)), (b"data", b"abcd")),
            riff((b"fmt ", about(rate_hz=4_000_000_000)), (b"data", b"abcd")),
            riff((b"fmt ", about(channels=17)), (b"data", b"abcd")),
            b"RIFX" + riff((b"fmt ", ABOUT), (b"data", b"abcd"))[4:],
        ):
            error = self.assertRaises(UnreadableAudio, self.read, file, 1000)
            self.assertIsInstance(error, BadRequest)
            self.assertIsInstance(error, ValueError)

    def test_what_follows_the_samples(self) -> None:
        """After the samples nothing is sound and nothing is an error: tags, zeros, a few stray bytes, a broken chunk."""
        file = riff((b"fmt ", ABOUT), (b"data", b"abcd"))
        for more in (
            b"12345678",
            b"ID3\4\0\0\0\0\1\0" + bytes(300),
            bytes(100_000),
            b"LIST\xff\xff\xff\x7fINFO" + b"x" * 1000,
            b"\xff\xfe" * 5000,
            b"TAG" + b"Title".ljust(125),
            b"R",
        ):
            for size in (1000, 3):
                got, reader = self.read(file + more, size)
                self.assertEqual((got, reader.format), (b"abcd", AudioFormat()), more[:8])

    def test_a_file_after_strange_bytes_is_not_looked_for(self) -> None:
        """Bytes that only look like a header somewhere behind the samples are none."""
        file = riff((b"fmt ", ABOUT), (b"data", b"abcd"))
        self.assertEqual(self.read(file + b"\0\1\2" + file, 5)[0], b"abcd")

    def test_long_chunks_before_the_samples(self) -> None:
        """Pictures and padding of any size before the samples are skipped, and not held in memory."""
        file = riff(
            (b"JUNK", bytes(300_001)), (b"fmt ", ABOUT), (b"id3 ", bytes(5)), (b"data", b"abcd")
        )
        self.assertEqual(self.read(file, 4096)[0], b"abcd")
        reader = WavReader()
        reader.feed(file[:200_000])
        self.assertLess(len(reader._held), 100)

    def test_a_missing_pad_byte(self) -> None:
        """Writers who forget the byte after a chunk of odd length are understood; a pad byte that is no zero too."""
        for pad in (b"", b"\0", b"\xff"):
            body = b"LIST\3\0\0\0abc" + pad + b"fmt \x10\0\0\0" + ABOUT + b"data\3\0\0\0xyz" + pad
            file = b"RIFF\0\0\0\0WAVE" + body
            for size in (1, 1000):
                self.assertEqual(self.read(file + b"LIST\4\0\0\0INFO", size)[0], b"xyz", pad)

    def test_large_files(self) -> None:
        """RF64 and BW64 tell their size in a chunk of its own; the samples end where it says."""
        for mark in (b"RF64", b"BW64"):
            sizes = struct.pack("<QQQI", 1000, 4, 2, 0)
            body = riff((b"ds64", sizes), (b"fmt ", ABOUT))[12:] + b"data\xff\xff\xff\xff"
            file = mark + b"\xff\xff\xff\xffWAVE" + body + b"abcdLIST\4\0\0\0INFO"
            self.assertEqual(self.read(file, 3)[0], b"abcd", mark)

    def test_other_widths(self) -> None:
        """8, 12, 20, 24 and 64 bits are handed on as the encoding that loses nothing we can use."""
        for tag, bits, data, encoding, expected in (
            (1, 8, b"\x80\xff\x00", "linear16", struct.pack("<3h", 0, 127 << 8, -128 << 8)),
            (1, 12, b"\x10\x20", "linear16", b"\x10\x20"),
            (1, 20, b"\1\2\3", "linear32", b"\0\1\2\3"),
            (1, 24, b"\1\2\3\xff\xff\xff", "linear32", b"\0\1\2\3\0\xff\xff\xff"),
            (1, 32, b"\1\2\3\4", "linear32", b"\1\2\3\4"),
            (3, 32, struct.pack("<f", 0.5), "float32", struct.pack("<f", 0.5)),
            (
                3,
                64,
                struct.pack("<2d", 0.5, 1e300),
                "float32",
                struct.pack("<2f", 0.5, float("inf")),
            ),
        ):
            file = riff((b"fmt ", about(tag, 1, 16000, bits)), (b"data", data))
            for size in (1, 5, 1000):
                got, reader = self.read(file, size)
                self.assertEqual((got, reader.format), (expected, AudioFormat(encoding, 16000)))  # type: ignore[arg-type]

    def test_codecs_are_named(self) -> None:
        """A WAV with something compressed inside is refused by the name of what it is, once."""
        for tag, name in (
            (2, "Microsoft ADPCM"),
            (0x11, "IMA ADPCM"),
            (0x31, "GSM 6.10"),
            (0x55, "MP3"),
        ):
            reader = WavReader()
            file = riff((b"fmt ", about(tag, bits=4)), (b"data", b"abcd"))
            error = self.assertRaises(UnreadableAudio, reader.feed, file)
            self.assertIn(name, str(error))
            self.assertEqual(reader.feed(b"more of it"), b"")

    def test_other_files_are_named(self) -> None:
        """Sound files of another kind are refused by name instead of played as noise."""
        for data, name in (
            (b"ID3\4" + bytes(20), "MP3"),
            (b"fLaC" + bytes(20), "FLAC"),
            (b"OggS" + bytes(20), "Ogg"),
            (b"FORM\0\0\0\0AIFF" + bytes(20), "AIFF"),
            (b"\0\0\0\x20ftypM4A " + bytes(20), "MP4"),
        ):
            for size in (1, 1000):
                error = self.assertRaises(UnreadableAudio, self.read, data, size)
                self.assertEqual(str(error), f"this is {name}, not WAV")

    def test_tiny_chunks(self) -> None:
        """Ten times as many chunks take about ten times as many steps: nothing is copied again for each."""
        steps = []
        for number in (1000, 10_000):
            reader = WavReader()
            file = riff(*[(b"JUNK", b"")] * number, (b"fmt ", ABOUT), (b"data", b"abcd"))
            seen = _Counting(reader._held)
            reader._held = seen
            self.assertEqual(reader.feed(file), b"abcd")
            steps.append(seen.moved)
        self.assertLess(steps[1], 12 * steps[0])

    @given(st.binary(max_size=300), st.integers(1, 50), st.sampled_from(FORMATS))
    def test_cut_anywhere(self, samples: bytes, size: int, fmt: AudioFormat) -> None:
        """However the network cuts it, the samples come out and nothing else."""
        self.assertEqual(self.read(pack(fmt, samples or b"x"), size)[0], samples or b"x")

    @given(
        st.lists(
            st.sampled_from([b"RIFF", b"WAVE", b"data", b"fmt ", b"\0\0\0\0", ABOUT])
            | st.binary(max_size=9)
        )
    )
    def test_junk(self, parts: list[bytes]) -> None:
        """Junk gives sound or a refusal, the same however it is cut."""
        junk = b"RIFF1234WAVE" + b"".join(parts)

        def outcome(size: int) -> bytes | str:
            try:
                return self.read(junk, size)[0]
            except UnreadableAudio as error:
                return error.message

        self.assertEqual(outcome(1), outcome(len(junk)))


class _Counting(bytearray):
    """Counts the bytes that are copied or moved."""

    moved = 0

    def __getitem__(self, key: Any) -> Any:
        found = super().__getitem__(key)
        self.moved += len(found) if isinstance(found, bytes | bytearray) else 1
        return found

    def __delitem__(self, key: Any) -> None:
        self.moved += len(self)
        super().__delitem__(key)


class SizesTests(SynchronousTestCase):
    def test_a_stream_that_is_over(self) -> None:
        """What was written as a stream gets its true sizes; what is no WAV stays as it is."""
        fmt = AudioFormat("linear16", 24000)
        self.assertEqual(with_sizes(header(fmt, None) + b"abcd"), pack(fmt, b"abcd"))
        self.assertEqual(with_sizes(b"ID3 and so on"), b"ID3 and so on")
        self.assertEqual(with_sizes(b"bare"), b"bare")
