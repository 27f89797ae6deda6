"""Whole calls against the replay server: what a caller hears and reads when vendors misbehave."""

from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from waav.links.dial import Dialler
from waav.links.settings import LinkSettings
from waav.registry import Registry
from waav.secret import Secret
from waav.session.call_settings import CallSettings, Listening, Speaking
from waav.session.session import Session
from waav.session.world import World
from waav.speech.audio import AudioFormat
from waav.speech.provider import Account, ListenSettings, SpeakSettings
from waav.speech.wire import Transcript
from waav.testing.replay import ReplayServer
from waav.testing.signal import SaidWord, Signal

WIRE = Path(__file__).parents[1] / "wire"
SIGNAL = Signal.speaking("call", ["one two three four", "five six seven"])
TELEPHONE = AudioFormat("mulaw", 8000)


class Reader:
    """A caller who reads and listens."""

    def __init__(self) -> None:
        self.transcripts: list[Transcript] = []
        self.heard = b""
        self.errors: list[str] = []
        self.spoken: Deferred[None] = Deferred()
        self._wanted: str | None = None
        self._complete: Deferred[None] = Deferred()

    def transcript(self, transcript: Transcript) -> None:
        self.transcripts.append(transcript)
        if self.text == self._wanted and not self._complete.called:
            self._complete.callback(None)

    def read(self, text: str) -> Deferred[None]:
        """Fires when this is what was said for good so far."""
        self._wanted = text
        return self._complete

    def audio(self, frames: list[bytes]) -> None:
        self.heard += b"".join(frames)

    def spoken_all(self) -> None:
        self.spoken.callback(None)

    def error(self, message: str, code: str) -> None:
        self.errors.append(message)

    def congested(self, is_full: bool) -> None:
        pass

    @property
    def text(self) -> str:
        """Everything final that the vendor said, in order."""
        finals = [one.text for one in self.transcripts if one.is_final and not one.forced]
        return " ".join(text for text in finals if text)


class CallTests(TestCase):
    def setUp(self) -> None:
        self.server = ReplayServer(reactor, WIRE, signal=SIGNAL)
        self.server.start()
        self.registry = Registry.discover()
        self.account = Account(key=Secret("test-key"), endpoint=self.server.endpoint)
        self.reader = Reader()
        self.dialler = Dialler(reactor, LinkSettings())
        world: dict[str, Any] = {
            "clock": reactor,
            "registry": self.registry,
            "dialler": self.dialler,
            "account": lambda provider, key: self.account,
        }
        self.session = Session(World(**world), self.reader)

    def tearDown(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._end())

    async def _end(self) -> None:
        await self.session.hang_up()
        await self.dialler.stop()
        await self.server.stop()

    def listening(self, name: str, audio: AudioFormat = SIGNAL.format) -> Listening:
        return Listening(self.registry.find(name), ListenSettings(name, audio), self.account)

    def hear(self, from_s: float, to_s: float, pcm: bytes = SIGNAL.pcm, rate: int = 32000) -> None:
        """That part of the audio in frames of 20 ms."""
        for at in range(int(from_s * 50), int(to_s * 50)):
            size = rate // 50
            self.session.hear(pcm[at * size : (at + 1) * size])

    async def test_vendor_lost_in_the_middle(self) -> None:
        """The vendor's socket breaks in the middle of an utterance: every word is in the transcript, once (F-130)."""
        self.server.cut_after(1.4)
        await self.session.configure(CallSettings("s", listening=self.listening("deepgram")))
        gone = self.server.sockets[0].gone()
        self.hear(0.0, 1.5)
        await gone
        complete = self.reader.read(SIGNAL.text)
        self.hear(1.5, SIGNAL.seconds)
        await complete
        await self.session.hang_up()
        self.assertEqual(self.reader.text, SIGNAL.text)
        self.assertEqual(self.reader.errors, [])

    async def test_blank_results_stay_inside(self) -> None:
        """Finals without text, which tell the link what is dealt with, are not shown to the caller."""
        late = Signal("late", 9.0, (SaidWord("finally", 7.5, 8.0),))
        self.server.signal = late
        await self.session.configure(CallSettings("s", listening=self.listening("deepgram")))
        complete = self.reader.read("finally")
        self.hear(0.0, 9.0, late.pcm)
        await complete
        self.assertEqual({one.text for one in self.reader.transcripts}, {"finally"})

    async def test_telephone_to_a_vendor_without_mulaw(self) -> None:
        """A mu-law caller is understood by a vendor that takes files only (STT-OAI-02)."""
        signal = Signal.speaking("telephone", ["good evening", "good night"], rate_hz=8000)
        self.server.signal = signal
        listening = self.listening("openai", TELEPHONE)
        await self.session.configure(CallSettings("s", listening=listening))
        complete = self.reader.read(signal.text)
        self.hear(0.0, signal.seconds, signal.encoded(TELEPHONE), 8000)
        await complete
        self.assertEqual(
            [(one.text, one.is_speech_final) for one in self.reader.transcripts],
            [("good evening", True), ("good night", True)],
        )

    async def test_rate_the_vendor_lacks(self) -> None:
        """Speech is heard at the rate that was asked for, whatever the vendor has, after one failed try."""
        for name in ("deepgram", "openai"):
            settings = SpeakSettings(name, AudioFormat("linear16", 22050))
            speaking = Speaking(self.registry.find(name), settings, self.account)
            self.server.fail_next(503)
            await self.session.configure(CallSettings("s", speaking=speaking))
            self.reader.heard, self.reader.spoken = b"", Deferred()
            self.session.say("Hello there.")
            await self.reader.spoken
            self.assertAlmostEqual(len(self.reader.heard) / 2 / 22050, 12 * 0.06, places=2)
