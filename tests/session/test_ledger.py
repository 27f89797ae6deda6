"""What calls write down for the figures of the process."""

from collections import Counter
from typing import Any

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.session.fakes import (
    PCM16K,
    PCM24K,
    FakeDialler,
    FakeLink,
    listening_provider,
    speaking_provider,
)
from waav.errors import ProviderBusy
from waav.registry import Registry
from waav.session.call_settings import CallSettings, Listening, Speaking
from waav.session.ledger import Ledger
from waav.session.session import Session
from waav.session.synthesis import synthesize
from waav.session.world import World
from waav.speech import wire
from waav.speech.provider import Account, ListenSettings, Provider, SpeakSettings

EARS, MOUTH = listening_provider("ears", PCM16K), speaking_provider("mouth", PCM24K)


class Book(Ledger):
    """Remembers everything."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.told: list[tuple[Any, ...]] = []

    def configured(self, *words: Any) -> None:
        self.told.append(("configured", *words))

    def ended(self, *words: Any) -> None:
        self.told.append(("ended", *words))

    def count(self, provider: str, name: str, number: float) -> None:
        self.counts[f"{provider} {name}"] += number  # type: ignore[assignment]

    def error(self, *words: Any) -> None:
        self.told.append(("error", *words))

    def took(self, provider: str, name: str, seconds: float) -> None:
        self.told.append((provider, name, round(seconds, 3)))


class Reader:
    """A caller who takes everything."""

    def transcript(self, transcript: wire.Transcript) -> None:
        """Nothing to do with it."""

    def audio(self, frames: list[bytes]) -> None:
        """Nothing to do with it."""

    def spoken_all(self) -> None:
        """Nothing to do with it."""

    def error(self, message: str, code: str) -> None:
        """Nothing to do with it."""

    def congested(self, is_full: bool) -> None:
        """Nothing to do with it."""


class LedgerTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.dialler = FakeDialler(self.clock)
        self.book = Book()
        self.world = World(
            self.clock,
            Registry((EARS, MOUTH)),
            self.dialler,  # type: ignore[arg-type]
            lambda provider, key: Account(),
            ledger=self.book,
        )
        self.session = Session(self.world, Reader())

    def configure(
        self, ears: Provider | None = EARS, mouth: Provider | None = MOUTH, **more: Any
    ) -> None:
        """Put a config in force."""
        settings = CallSettings(
            "s1",
            listening=ears and Listening(ears, ListenSettings(ears.name), Account()),
            speaking=mouth and Speaking(mouth, SpeakSettings(mouth.name), Account()),
            **more,
        )
        self.successResultOf(self.session.configure(settings))

    def link(self, name: str) -> FakeLink:
        """The vendor's end."""
        return self.dialler.link(name)

    def final(self, name: str = "ears") -> None:
        """The vendor recognises something."""
        self.link(name).tell(wire.Transcript("yes", True, True, 1.0))

    def test_recognition(self) -> None:
        """Texts, audio and the time to the first text are written down at the end of a turn."""
        self.configure()
        self.clock.advance(5)
        self.session.hear(bytes(32000))
        self.clock.advance(0.4)
        self.link("ears").tell(wire.Transcript("ye", False, False, 1.0))
        self.assertEqual(self.book.counts, {})
        self.final()
        self.assertEqual(
            self.book.counts, {"ears results": 2, "ears finals": 1, "ears heard_s": 1.0}
        )
        self.assertEqual(
            self.book.told, [("configured", "ears", "mouth"), ("ears", "first_result", 0.4)]
        )

    def test_nothing_is_written_twice(self) -> None:
        """What was written at the end of a turn is not written again at the next, or at the call's end."""
        self.configure()
        for _ in range(3):
            self.session.hear(bytes(3200))
            self.final()
        self.session.hear(bytes(3200))
        self.successResultOf(self.session.hang_up())
        self.assertEqual(self.book.counts["ears finals"], 3)
        self.assertAlmostEqual(self.book.counts["ears heard_s"], 0.4)
        self.assertEqual(self.book.told[-1], ("ended", 0.0))

    def test_each_provider_gets_its_own(self) -> None:
        """After a change of provider the new one's counts begin at nothing; what is open goes to the old one."""
        other = listening_provider("other")
        self.configure()
        self.session.hear(bytes(32000))
        self.final()
        self.session.hear(bytes(32000))
        self.configure(other)
        self.session.hear(bytes(16000))
        self.final("other")
        self.assertEqual(self.book.counts["ears finals"], 1)
        self.assertEqual(self.book.counts["ears heard_s"], 2.0)
        self.assertEqual(self.book.counts["other finals"], 1)
        self.assertEqual(self.book.counts["other heard_s"], 0.5)

    def test_synthesis(self) -> None:
        """Utterances, characters, audio and the time to the first of it are written down."""
        self.configure()
        self.session.say("four")
        self.clock.advance(0.25)
        link = self.link("mouth")
        link.speak(PCM24K, bytes(24000))
        self.clock.advance(1)
        link.speak(PCM24K, bytes(24000))
        self.assertEqual(self.book.counts, {})
        link.tell(wire.SpokenAll(True))
        self.assertEqual(
            self.book.counts,
            {"mouth utterances": 1, "mouth characters": 4, "mouth spoken_s": 1.0},
        )
        self.assertEqual(self.book.told[1:], [("mouth", "first_audio", 0.25)])

    def test_waiting_for_others_is_not_the_vendor_s(self) -> None:
        """The time to the first audio begins when an utterance's turn has come."""
        self.configure()
        self.session.say("one")
        self.session.say("two")
        link = self.link("mouth")
        self.clock.advance(3)
        link.speak(PCM24K, bytes(240))
        link.tell(wire.SpokenAll(True))
        self.clock.advance(0.1)
        link.speak(PCM24K, bytes(240))
        took = [words[2] for words in self.book.told if words[1] == "first_audio"]
        self.assertEqual(took, [3.0, 0.1])

    def test_errors(self) -> None:
        """Errors of vendors are written down by vendor, half and kind."""
        self.configure()
        self.session.say("one")
        self.link("mouth").tell(wire.Failed(ProviderBusy("mouth", "too much")))
        self.link("ears").tell(wire.Failed(ProviderBusy("ears", "too much")))
        self.assertEqual(
            self.book.told[1:],
            [("error", "mouth", "tts", "provider_busy"), ("error", "ears", "stt", "provider_busy")],
        )

    def test_speech_without_a_call(self) -> None:
        """POST /speak counts as synthesis too."""
        speaking = Speaking(MOUTH, SpeakSettings("mouth"), Account())
        done = synthesize(self.world, speaking, "hello", lambda data: None, lambda form: None).done
        self.clock.advance(0.5)
        self.link("mouth").speak(PCM24K, bytes(48000))
        self.link("mouth").tell(wire.SpokenAll(True))
        self.successResultOf(done)
        self.assertEqual(
            self.book.counts,
            {"mouth utterances": 1, "mouth characters": 5, "mouth spoken_s": 1.0},
        )
        self.assertEqual(self.book.told, [("mouth", "first_audio", 0.5)])

    def test_speech_without_a_call_that_fails(self) -> None:
        """An error of POST /speak counts as well."""
        speaking = Speaking(MOUTH, SpeakSettings("mouth"), Account())
        done = synthesize(self.world, speaking, "hello", lambda data: None, lambda form: None).done
        self.link("mouth").tell(wire.Failed(ProviderBusy("mouth", "too much")))
        self.failureResultOf(done, ProviderBusy)
        self.assertEqual(self.book.told, [("error", "mouth", "tts", "provider_busy")])

    def test_who_keeps_nothing(self) -> None:
        """Without metrics calls run just the same."""
        ledger = Ledger()
        ledger.configured("a", "b")
        ledger.count("a", "results", 1)
        ledger.error("a", "stt", "x")
        ledger.took("a", "first_audio", 1.0)
        ledger.ended(1.0)
        self.assertEqual(vars(ledger), {})
