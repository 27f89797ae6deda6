"""What ``waav listen`` can read."""

import io
import os
import sys
from pathlib import Path
from typing import Any

import av
import numpy as np
from twisted.trial.unittest import SynchronousTestCase

from waav.cli.listen import raw_format
from waav.cli.sounds import Pieces
from waav.errors import BadRequest
from waav.speech.audio import AudioFormat
from waav.speech.wav import pack

GSM = Path(__file__).parents[1] / "sounds" / "tone-gsm.wav"
TONE_HZ = 440


class _AtOnce:
    """A reactor whose threads are the caller's own."""


def tone(rate_hz: int, seconds: float = 0.5) -> np.ndarray[Any, np.dtype[np.int16]]:
    at = np.arange(int(rate_hz * seconds)) / rate_hz
    return (12000 * np.sin(2 * np.pi * TONE_HZ * at)).astype("<i2")


def encoded(container: str, codec: str, rate_hz: int = 16000) -> bytes:
    """The tone in a file of that kind."""
    out = io.BytesIO()
    with av.open(out, "w", format=container) as file:
        stream: Any = file.add_stream(codec, rate=rate_hz, layout="mono")
        frame = av.AudioFrame.from_ndarray(tone(rate_hz)[None, :], format="s16", layout="mono")
        frame.sample_rate = rate_hz
        resampler = av.AudioResampler(
            stream.format.name, "mono", rate_hz, stream.frame_size or None
        )
        for one in (*resampler.resample(frame), *resampler.resample(None)):
            file.mux(stream.encode(one))
        file.mux(stream.encode(None))
    return out.getvalue()


class SoundsTests(SynchronousTestCase):
    def read(self, data: bytes, *, is_pipe: bool = False) -> tuple[bytes, AudioFormat | None]:
        """All samples, as the thread would read them."""
        if is_pipe:
            reading, writing = os.pipe()
            os.write(writing, data)  # small enough for the pipe's buffer
            os.close(writing)
            source = os.fdopen(reading, "rb")
        else:
            path = Path(self.mktemp())
            path.write_bytes(data)
            source = path.open("rb")
        with source:
            pieces = Pieces(_AtOnce(), source, None)
            got = []
            while (piece := pieces._next()) is not None:
                got.append(piece)
            return b"".join(got), pieces.format

    def assert_tone(self, data: bytes, fmt: AudioFormat | None) -> None:
        assert fmt is not None
        self.assertEqual((fmt.encoding, fmt.channels), ("linear16", 1))
        samples = np.frombuffer(data, "<i2").astype(float)
        # Some codecs put their own delay in front, and fill up their last block.
        self.assertApproximates(len(samples) / fmt.rate_hz, 0.5, 0.11)
        spectrum = np.abs(np.fft.rfft(samples * np.hanning(len(samples))))
        loudest = float(np.argmax(spectrum)) * fmt.rate_hz / len(samples)
        self.assertApproximates(loudest, TONE_HZ, 5)

    def test_other_kinds_are_decoded(self) -> None:
        """MP3, FLAC, Ogg, Opus, AIFF, M4A and WAV with ADPCM or GSM inside sound as they should, from a file."""
        for container, codec, rate_hz in (
            ("mp3", "libmp3lame", 16000),
            ("flac", "flac", 16000),
            ("ogg", "libopus", 48000),
            ("aiff", "pcm_s16be", 16000),
            ("ipod", "aac", 16000),
            ("wav", "adpcm_ms", 16000),
            ("wav", "adpcm_ima_wav", 16000),
        ):
            with self.subTest(kind=f"{container} {codec}"):
                self.assert_tone(*self.read(encoded(container, codec, rate_hz)))
        self.assert_tone(*self.read(GSM.read_bytes()))

    def test_from_a_pipe(self) -> None:
        """What can be read from its beginning to its end comes through a pipe as well."""
        for container, codec in (("mp3", "libmp3lame"), ("flac", "flac"), ("wav", "adpcm_ms")):
            self.assert_tone(*self.read(encoded(container, codec), is_pipe=True))

    def test_without_the_extra(self) -> None:
        """Where PyAV is not installed, the message names what the file is and the extra that reads it."""
        self.addCleanup(sys.modules.__setitem__, "av", sys.modules["av"])
        sys.modules["av"] = None  # type: ignore[assignment]
        for data, said in (
            (b"ID3\4" + bytes(50), "this is MP3, not WAV; pip install 'waav[files]'"),
            (
                GSM.read_bytes(),
                "WAV with GSM 6.10 inside is not supported; pip install 'waav[files]'",
            ),
            (b"hello, this is text", "this is no WAV file; for raw sound give --rate"),
        ):
            error = self.assertRaises(BadRequest, self.read, data)
            self.assertIn(said, error.message)

    def test_no_sound_at_all(self) -> None:
        """What nobody can read is said to be no sound."""
        for data in (b"hello, this is text", b"\x89PNG\r\n\x1a\n" + bytes(100), b"RIF"):
            error = self.assertRaises(BadRequest, self.read, data)
            self.assertIn("this is no sound file; for raw sound give --rate", error.message)
        broken = self.assertRaises(BadRequest, self.read, b"fLaC" + bytes(50))
        self.assertEqual(broken.message, "this is FLAC, not WAV; it cannot be read")

    def test_wav_stays_ours(self) -> None:
        """A WAV that we know is passed on as it is, whatever follows its samples."""
        fmt = AudioFormat("mulaw", 8000)
        self.assertEqual(self.read(pack(fmt, b"abcd") + b"ID3" + bytes(100)), (b"abcd", fmt))

    def test_telephone_encodings_have_a_usual_rate(self) -> None:
        """--encoding mulaw or alaw alone means 8000 Hz, anything else 16000."""
        for encoding, rate_hz in (("mulaw", 8000), ("alaw", 8000), ("linear16", 16000)):
            fmt = raw_format(encoding, None, None)
            assert fmt is not None
            self.assertEqual(fmt.rate_hz, rate_hz)
        given = raw_format("mulaw", 16000, None)
        assert given is not None
        self.assertEqual(given.rate_hz, 16000)
