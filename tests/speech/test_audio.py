"""Audio as a value."""

from twisted.trial.unittest import SynchronousTestCase

from waav.speech.audio import AudioFormat, AudioFrame


class AudioFormatTests(SynchronousTestCase):
    """Sizes and durations."""

    def test_durations(self) -> None:
        """Seconds come from encoding, rate and channels (D-43, VM-05)."""
        for fmt, seconds in (
            (AudioFormat("linear16", 16000), 0.1),
            (AudioFormat("linear16", 16000, 2), 0.05),
            (AudioFormat("mulaw", 8000), 0.4),
            (AudioFormat("float32", 16000), 0.05),
        ):
            self.assertAlmostEqual(AudioFrame(fmt, bytes(3200)).duration_s or 0, seconds)
            self.assertEqual(fmt.size_bytes(seconds), 3200)

    def test_unknown_duration(self) -> None:
        """Of compressed audio the size says nothing: no guess (S-TTS-34)."""
        fmt = AudioFormat("mp3", 24000)
        self.assertIsNone(fmt.duration_s(1000))
        self.assertRaises(ValueError, fmt.size_bytes, 1.0)

    def test_silence(self) -> None:
        """Silence is what each encoding plays as nothing, in whole samples."""
        self.assertEqual(AudioFormat("mulaw", 8000).silence(0.001), b"\xff" * 8)
        self.assertEqual(AudioFormat("alaw", 8000).silence(0.001), b"\xd5" * 8)
        self.assertEqual(AudioFormat("linear16", 22050, 2).silence(0.0001), bytes(8))
