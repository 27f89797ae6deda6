"""Speech for one text, as ``POST /speak`` wants it."""

from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.session.fakes import PCM24K, FakeDialler, FakeLink, speaking_provider
from waav.errors import BadRequest, ProviderLost, ProviderRefused, WireError
from waav.session.call_settings import Speaking
from waav.session.synthesis import Synthesis, synthesize
from waav.session.world import World
from waav.speech import wire
from waav.speech.audio import AudioFormat
from waav.speech.provider import Account, SpeakSettings
from waav.speech.sentences import Pronunciation


class SynthesisTests(SynchronousTestCase):
    """The same node as in a call, without the call."""

    def setUp(self) -> None:
        self.dialler = FakeDialler()
        self.formats: list[AudioFormat] = []
        self.audio: list[bytes] = []

    def begin(
        self,
        text: str = "Hello.",
        *,
        wanted: AudioFormat = PCM24K,
        delivered: AudioFormat | None = None,
        wants_format: bool = False,
        on_audio: Any = None,
        **provider: Any,
    ) -> Synthesis:
        """Ask for speech."""
        world: dict[str, Any] = {
            "clock": Clock(),
            "registry": None,
            "dialler": self.dialler,
            "account": None,
        }
        speaking = Speaking(
            speaking_provider(format=delivered, **provider),
            SpeakSettings("mouth", wanted, wants_format=wants_format),
            Account(),
            pronunciations=(Pronunciation("cat", "cat food"), Pronunciation("food", "rice")),
        )
        return synthesize(
            World(**world), speaking, text, on_audio or self.audio.append, self.formats.append
        )

    @property
    def link(self) -> FakeLink:
        """The link to the vendor."""
        return self.dialler.link("mouth")

    def test_spoken(self) -> None:
        """The format comes before the audio, the audio as it comes, and the end right after it (D-09)."""
        synthesis = self.begin()
        self.link.speak(PCM24K, bytes(1000), bytes(500))
        self.assertNoResult(synthesis.done)
        self.link.tell(wire.SpokenAll(True))
        self.assertIsNone(self.successResultOf(synthesis.done))
        self.assertEqual(self.formats, [PCM24K])
        self.assertEqual([len(one) for one in self.audio], [1000, 500])
        self.assertTrue(self.link.is_closed)

    def test_vendor_that_answers_at_once(self) -> None:
        """An answer that is there before anybody waits is not missed (D-09)."""
        self.dialler.is_slow = True
        synthesis = self.begin()
        link = self.dialler.waiting[0][0]

        def answer(command: wire.Command) -> None:
            if isinstance(command, wire.Speak):
                link.speak(PCM24K, b"\x01\0")
                link.tell(wire.SpokenAll(True))

        link.answer = answer
        self.dialler.accept("mouth")
        self.successResultOf(synthesis.done)
        self.assertEqual(self.audio, [b"\x01\0"])

    def test_pronounced_once(self) -> None:
        """Pronunciations are applied here too, once (SPK-01, D-08)."""
        self.begin("The cat eats.")
        self.assertEqual(self.link.texts, ["The cat food eats."])

    def test_long_text(self) -> None:
        """A text in several parts is one stream of audio."""
        synthesis = self.begin("One a. Two b.", text_limit=6)
        for _ in range(2):
            self.link.speak(PCM24K, bytes(10))
            self.link.tell(wire.SpokenAll(True))
        self.successResultOf(synthesis.done)
        self.assertEqual((self.link.texts, len(self.audio)), (["One a.", "Two b."], 2))

    def test_format(self) -> None:
        """The format told is the one of the audio, converted or as the vendor delivers it (TTS-05)."""
        mulaw = AudioFormat("mulaw", 24000)
        self.begin(wanted=mulaw, delivered=PCM24K)
        self.link.speak(PCM24K, bytes(480))
        self.assertEqual((self.formats, self.audio), ([mulaw], [b"\xff" * 240]))

    def test_last_samples(self) -> None:
        """Resampled audio is complete to its last sample."""
        pcm16k = AudioFormat("linear16", 16000)
        synthesis = self.begin(wanted=pcm16k, delivered=PCM24K)
        self.link.speak(PCM24K, bytes(48000))
        self.link.tell(wire.SpokenAll(True))
        self.successResultOf(synthesis.done)
        self.assertEqual(sum(len(one) for one in self.audio), 32000)

    def test_real_format(self) -> None:
        """A vendor's own rate of compressed audio is told as it is (TTS-05)."""
        real = AudioFormat("mp3", 22050)
        self.begin(wanted=AudioFormat("mp3", 24000), wants_format=True)
        self.link.speak(real, b"\xff\xf3junk")
        self.assertEqual(self.formats, [real])

    def test_another_kind(self) -> None:
        """A vendor that sends MP3 unasked is heard by those who named no format, labelled as MP3 (S-TTS-31)."""
        mp3 = AudioFormat("mp3", 24000)
        self.begin()
        self.link.speak(mp3, b"\xff\xf3junk")
        self.assertEqual((self.formats, self.audio), ([mp3], [b"\xff\xf3junk"]))

    def test_unwanted_kind(self) -> None:
        """Those who did name one get an error about the vendor, and nothing that is something else (S-TTS-31)."""
        synthesis = self.begin(wants_format=True)
        self.link.speak(AudioFormat("mp3", 24000), b"\xff\xf3junk")
        error = self.failureResultOf(synthesis.done, WireError).value
        self.assertIn("mouth delivers mp3", error.message)
        self.assertEqual((self.formats, self.audio), ([], []))

    def test_impossible(self) -> None:
        """Settings that cannot work are an error at once; nothing is dialled."""
        self.assertRaises(
            BadRequest, self.begin, wanted=AudioFormat("mp3"), delivered=PCM24K, wants_format=True
        )
        self.assertEqual(self.dialler.links, [])

    def test_refused(self) -> None:
        """The vendor's error is the error of the request, as it is."""
        synthesis = self.begin()
        error = ProviderRefused("mouth", "bad key", upstream_status=401)
        self.link.tell(wire.Failed(error))
        self.assertIs(self.failureResultOf(synthesis.done, ProviderRefused).value, error)
        self.assertTrue(self.link.is_aborted)

    def test_broken_off(self) -> None:
        """An error in the middle ends the audio with an error, not as if it were complete."""
        synthesis = self.begin()
        self.link.speak(PCM24K, bytes(10))
        self.link.tell(wire.Lost(ProviderLost("mouth", "gone")))
        self.failureResultOf(synthesis.done, ProviderLost)
        self.assertEqual(len(self.audio), 1)

    def test_unreachable(self) -> None:
        """A vendor that cannot be reached is an error with its cause."""
        self.dialler.errors["mouth"] = ProviderLost("mouth", "down")
        self.failureResultOf(self.begin().done, ProviderLost)

    def test_silent(self) -> None:
        """A vendor that says it is done without any audio is an error, not an empty sound."""
        synthesis = self.begin()
        self.link.tell(wire.SpokenAll())
        self.failureResultOf(synthesis.done, WireError)

    def test_nothing_to_say(self) -> None:
        """A text of which nothing can be said, by us or by the voice's own account, is an empty sound of the format
        that was asked for."""
        for text, answers in (("👍 ***", False), ("°", True)):
            self.formats.clear()
            synthesis = self.begin(text)
            if answers:
                self.link.tell(wire.SpokenAll(True))
            self.successResultOf(synthesis.done)
            self.assertEqual((self.formats, self.audio), ([PCM24K], []))

    def test_cancelled(self) -> None:
        """A reader who goes away stops the vendor; nothing is delivered to him afterwards."""
        synthesis = self.begin()
        synthesis.done.cancel()
        self.failureResultOf(synthesis.done, CancelledError)
        self.assertTrue(self.link.is_aborted)
        self.link.speak(PCM24K, bytes(10))
        self.assertEqual(self.audio, [])

    def test_back_pressure(self) -> None:
        """A slow reader stops the vendor."""
        synthesis = self.begin()
        synthesis.pause()
        self.assertTrue(self.link.is_paused)
        synthesis.resume()
        self.assertFalse(self.link.is_paused)
