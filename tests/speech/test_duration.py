"""True durations of encoded audio, from streams made here by hand."""

import struct

from twisted.trial.unittest import SynchronousTestCase

from waav.speech.audio import AudioFormat
from waav.speech.duration import Stopwatch
from waav.speech.wav import header, pack


def mp3(frames: int) -> bytes:
    """MPEG 1 layer III, 128 kbit/s, 44.1 kHz: 417 bytes and 26.12 ms a frame."""
    return (b"\xff\xfb\x90\xc0" + bytes(413)) * frames


def mp3_low(frames: int) -> bytes:
    """MPEG 2 layer III, 48 kbit/s, 24 kHz: 144 bytes and 24 ms a frame, as speech vendors send it."""
    return (b"\xff\xf3\x64\xc4" + b"\xff" * 140) * frames


def mp3_padded(frames: int) -> bytes:
    """As ``mp3`` with the padding byte."""
    return (b"\xff\xfb\x92\xc0" + bytes(414)) * frames


def id3(size: int) -> bytes:
    return b"ID3\4\0\0" + bytes([0, 0, size >> 7, size & 0x7F]) + b"\xff\xfb" * (size // 2)


def adts(frames: int) -> bytes:
    """AAC-LC, 24 kHz: 1024 samples a frame."""
    size = 100
    head = bytes(
        [0xFF, 0xF1, 0x58, 0x80 | size >> 11, size >> 3 & 0xFF, (size & 7) << 5 | 0x1F, 0xFC]
    )
    return (head + bytes(size - 7)) * frames


def page(flags: int, granule: int, body: bytes) -> bytes:
    lacing = bytes([255] * (len(body) // 255) + [len(body) % 255])
    return (
        struct.pack("<4sBBqIIIB", b"OggS", 0, flags, granule, 1, 0, 0, len(lacing)) + lacing + body
    )


def opus(seconds: int, pre_skip: int = 312) -> bytes:
    head = b"OpusHead" + struct.pack("<BBHIhB", 1, 1, pre_skip, 16000, 0, 0)
    pages = [page(2, 0, head), page(0, 0, b"OpusTags" + bytes(20))]
    pages += [page(0, pre_skip + 48000 * (n + 1), bytes(3000)) for n in range(seconds)]
    return b"".join(pages)


def vorbis(seconds: int, rate_hz: int) -> bytes:
    head = b"\x01vorbis" + struct.pack("<IBI", 0, 1, rate_hz) + bytes(13)
    pages = [page(2, 0, head), page(0, -1, bytes(500)), page(0, 0, bytes(40))]
    pages += [page(0, rate_hz * (n + 1), bytes(9000)) for n in range(seconds)]
    return b"".join(pages)


MP3 = AudioFormat("mp3", 44100)
OGG_OPUS = AudioFormat("opus", 48000, 1, "ogg")
WAV = AudioFormat("linear16", 24000, 1, "wav")


class StopwatchTests(SynchronousTestCase):
    """How long speech really plays."""

    def seconds(self, fmt: AudioFormat, data: bytes, size: int) -> float:
        stopwatch = Stopwatch(fmt)
        parts = [stopwatch.feed(data[at : at + size]) for at in range(0, len(data), size)]
        return sum(part or 0.0 for part in parts)

    def test_true_durations(self) -> None:
        """Protected speech lasts what it lasts, in every encoding, however it is cut (VM-05, D-43, S-VM-41)."""
        cases = (
            (AudioFormat("linear16", 24000), bytes(24000), 0.5),
            (AudioFormat("linear16", 24000, 2), bytes(24000), 0.25),
            (AudioFormat("mulaw", 8000), bytes(4000), 0.5),
            (WAV, pack(AudioFormat("linear16", 16000), bytes(16000)), 0.5),
            (WAV, header(AudioFormat("mulaw", 8000), None) + bytes(4000), 0.5),
            (WAV, bytes(4800), 0.1),
            (MP3, mp3(40), 40 * 1152 / 44100),
            (MP3, id3(1000) + mp3(40), 40 * 1152 / 44100),
            (MP3, mp3_padded(10) + mp3(10), 20 * 1152 / 44100),
            (MP3, mp3_low(50), 1.2),
            (AudioFormat("aac", 24000), adts(30), 30 * 1024 / 24000),
            (OGG_OPUS, opus(3), 3.0),
            (AudioFormat("vorbis", 22050, 1, "ogg"), vorbis(2, 22050), 2.0),
        )
        for fmt, data, seconds in cases:
            for size in (1, 100, 4096, len(data)):
                self.assertAlmostEqual(
                    self.seconds(fmt, data, size), seconds, places=3, msg=f"{fmt}"
                )

    def test_as_it_comes(self) -> None:
        """The time of each piece is known when the piece is there, not only at the end (VM-05)."""
        stopwatch = Stopwatch(MP3)
        for _ in range(5):
            self.assertAlmostEqual(stopwatch.feed(mp3(2)) or 0, 2 * 1152 / 44100)

    def test_chained(self) -> None:
        """Several Ogg streams in a row, one for each sentence, add up."""
        self.assertAlmostEqual(self.seconds(OGG_OPUS, opus(1) + opus(2), 333), 3.0)

    def test_junk(self) -> None:
        """Damaged audio counts what can be recognised, and takes no more than that."""
        damaged = b"\xff\x00junk\xff\xff" * 9 + mp3(10)
        self.assertAlmostEqual(self.seconds(MP3, damaged, 7), 10 * 1152 / 44100, places=1)
        self.assertEqual(self.seconds(OGG_OPUS, b"no pages here" * 50, 7), 0.0)
        self.assertEqual(self.seconds(MP3, b"\0" * 5000, 7), 0.0)

    def test_reserved_headers(self) -> None:
        """Bytes that look like a header and are not allowed are no sound."""
        for head in (
            b"\xff\xeb\x90\xc0",
            b"\xff\xf9\x90\xc0",
            b"\xff\xfb\xf0\xc0",
            b"\xff\xfb\x9c\xc0",
        ):
            self.assertEqual(self.seconds(MP3, head + bytes(500), 50), 0.0)

    def test_other_layers(self) -> None:
        """Layers I and II and MPEG 2.5 have their own frame lengths."""
        for head, size, seconds in (
            (b"\xff\xff\x14\xc0", 32, 384 / 48000),  # layer I, 32 kbit/s, 48 kHz
            (b"\xff\xfd\x84\xc0", 384, 1152 / 48000),  # layer II, 128 kbit/s, 48 kHz
            (b"\xff\xe3\x18\xc0", 72, 576 / 8000),  # MPEG 2.5 layer III, 8 kbit/s, 8 kHz
        ):
            data = (head + bytes(size - 4)) * 5
            self.assertAlmostEqual(self.seconds(MP3, data, 11), 5 * seconds)

    def test_unknown(self) -> None:
        """Where only a decoder could tell there is no answer, not a guess (S-TTS-34)."""
        for fmt in (AudioFormat("flac", 24000), AudioFormat("opus", 48000, 1, "webm")):
            self.assertIsNone(Stopwatch(fmt).feed(b"data"))
