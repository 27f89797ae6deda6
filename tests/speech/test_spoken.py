"""Answers to requests for speech."""

from twisted.trial.unittest import SynchronousTestCase

from waav.errors import WireError
from waav.speech import wire
from waav.speech.audio import AudioFormat, AudioFrame
from waav.speech.spoken import SpokenAnswers

PCM = AudioFormat("linear16", 24000)


class SpokenAnswersTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.answers = SpokenAnswers("acme", PCM)

    def head(self, content_type: str | None) -> list[wire.Event]:
        headers = {} if content_type is None else {"content-type": content_type}
        return self.answers.read(wire.Head(200, headers))

    def spoken(self, data: bytes) -> AudioFrame:
        [event] = self.answers.read(wire.Body(data))
        assert isinstance(event, wire.Spoken)
        return event.frame

    def test_whole_samples(self) -> None:
        """However the network cuts it, no sample is torn apart, and none is mixed with the next answer's."""
        self.assertEqual(self.head("audio/pcm"), [])
        self.assertEqual(self.spoken(b"abc").data, b"ab")
        self.assertEqual(self.answers.read(wire.Body(b"")), [])
        self.assertEqual(self.spoken(b"de").data, b"cd")
        self.assertEqual(self.answers.read(wire.End()), [wire.SpokenAll()])
        self.head(None)
        self.assertEqual(self.spoken(b"fg"), AudioFrame(PCM, b"fg"))

    def test_another_kind(self) -> None:
        """MP3 in place of raw audio is called MP3 and passes byte for byte; the operator reads of it (S-TTS-31)."""
        self.assertEqual(
            self.head("audio/mpeg"),
            [wire.Warned("acme: asked for linear16 at 24000 Hz, answered with mp3 at 24000 Hz")],
        )
        self.assertEqual(
            self.spoken(b"\xff\xf3x"), AudioFrame(AudioFormat("mp3", 24000), b"\xff\xf3x")
        )

    def test_another_rate(self) -> None:
        """Raw audio at another rate than was asked for is not played too fast or too slow (S-TTS-31)."""
        self.assertEqual(len(self.head("audio/l16;rate=16000")), 1)
        self.assertEqual(self.spoken(b"ab").format, AudioFormat("linear16", 16000))

    def test_each_answer_says_for_itself(self) -> None:
        """After a surprise the next answer is what was asked for, unless it says otherwise again."""
        self.head("audio/mpeg")
        self.answers.read(wire.End())
        self.assertEqual(self.head("audio/pcm"), [])
        self.assertEqual(self.spoken(b"ab").format, PCM)

    def test_no_audio(self) -> None:
        """A page or a picture is an error that says what came, never noise (S-TTS-31)."""
        for content_type, said in (
            ("application/json; charset=utf-8", "acme: speech answered with text, not audio"),
            ("TEXT/html", "acme: speech answered with text, not audio"),
            ("image/png", "acme: speech answered with 'image/png', which is no audio"),
            ("audio/" + "x" * 500, "acme: speech answered with 'audio/xxx"),
        ):
            error = self.assertRaises(WireError, self.head, content_type)
            self.assertIn(said, error.message)
            self.assertLess(len(error.message), 150)

    def test_outside_http(self) -> None:
        """What is no HTTP answer is an error of the vendor's."""
        for junk in ("text", b"bytes"):
            self.assertRaises(WireError, self.answers.read, junk)
