"""Even pieces of speech."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from waav.speech.audio import AudioFormat
from waav.speech.chunks import Chunker
from waav.speech.formats import resolve


class ChunkerTests(SynchronousTestCase):
    """10 ms where bytes are durations."""

    def test_sizes(self) -> None:
        """Raw audio comes in pieces of 10 ms, whatever it is called (F-176, TTS-04, S-TTS-18, D-43)."""
        for name, size in (
            ("linear16", 480),
            ("pcm_24000", 480),
            ("pcm16", 480),
            ("pcm_s16le", 480),
            ("raw-24khz-16bit-mono-pcm", 480),
            ("pcm_16000", 320),
            ("pcm_22050", 440),
            ("pcm_11025", 220),
            ("mulaw", 80),
            ("alaw", 80),
            ("pcm_f32le", 960),
        ):
            fmt = resolve(name, None)
            pieces = Chunker(fmt).feed(bytes(4000))
            self.assertEqual({len(piece) for piece in pieces}, {size}, name)
            self.assertAlmostEqual(fmt.duration_s(size) or 0, 0.01, places=4)

    def test_compressed(self) -> None:
        """Compressed and WAV audio is forwarded as it comes (F-176, S-TTS-18)."""
        for name in ("mp3", "opus", "wav", "flac"):
            chunker = Chunker(resolve(name, None))
            self.assertEqual(chunker.feed(b"x" * 5000), [b"x" * 5000])
            self.assertEqual(chunker.feed(b""), [])
            self.assertEqual(chunker.finish(), [])

    def test_remainder(self) -> None:
        """The last piece is what is left, whole samples, half ones filled up with silence (S-TTS-18)."""
        chunker = Chunker(AudioFormat("linear16", 8000))
        self.assertEqual(chunker.feed(b"\1" * 163), [b"\1" * 160])
        self.assertEqual(chunker.finish(), [b"\1\1\1\0"])
        self.assertEqual(chunker.finish(), [])

    @given(st.lists(st.binary(max_size=700)), st.sampled_from([8000, 22050, 44100]))
    def test_cut_anywhere(self, parts: list[bytes], rate_hz: int) -> None:
        """However a vendor cuts its stream, the caller gets the same pieces and every byte (F-176)."""
        fmt = AudioFormat("linear16", rate_hz, 2)
        chunker, whole = Chunker(fmt), Chunker(fmt)
        pieces = [piece for part in parts for piece in chunker.feed(part)] + chunker.finish()
        self.assertEqual(pieces, whole.feed(b"".join(parts)) + whole.finish())
        self.assertEqual(b"".join(pieces).rstrip(b"\0"), b"".join(parts).rstrip(b"\0"))
