"""RIFF/WAVE headers, written and read."""

import struct

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from waav.errors import BadRequest
from waav.speech.audio import AudioFormat
from waav.speech.wav import UnreadableAudio, WavReader, header, pack

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


ABOUT = struct.pack("<HHIIHH", 1, 1, 16000, 32000, 2, 16)


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

    def test_unknown_kinds(self) -> None:
        """What we cannot play is refused instead of played as noise."""
        mp3 = struct.pack("<HHIIHH", 0x55, 1, 16000, 32000, 2, 16)
        for file in (
            riff((b"fmt ", mp3), (b"data", b"abcd")),
            riff((b"fmt ", ABOUT[:14] + b"\x18\0"), (b"data", b"abcd")),
            riff((b"fmt ", b"short"), (b"data", b"abcd")),
            riff((b"data", b"abcd"), (b"fmt ", ABOUT)),
            riff((b"fmt ", ABOUT[:2] + b"\0\0" + ABOUT[4:]), (b"data", b"abcd")),
            riff((b"JUNK", bytes(70_000)), (b"fmt ", ABOUT), (b"data", b"abcd")),
        ):
            error = self.assertRaises(UnreadableAudio, self.read, file, 1000)
            self.assertIsInstance(error, BadRequest)
            self.assertIsInstance(error, ValueError)

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
