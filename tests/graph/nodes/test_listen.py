"""Audio reaches the recogniser complete, in order and in the format it needs."""

from dataclasses import replace
from typing import Any

from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.graph.test_definition import surroundings
from tests.session.fakes import PCM16K, FakeDialler, FakeLink, listening_provider
from waav.errors import BadRequest, ProviderLost, ProviderRefused
from waav.graph.nodes.listen import Listen, listen
from waav.graph.values import AudioFlow
from waav.secret import Secret
from waav.session.call_settings import Listening
from waav.speech import wire
from waav.speech.audio import AudioFormat
from waav.speech.provider import Account, ListenSettings, Provider


class ListenCase(SynchronousTestCase):
    """One node with one fake link."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.dialler = FakeDialler()
        self.events: list[Any] = []
        self.congestion: list[bool] = []
        self.counts: dict[str, int] = {}

    def node(
        self, source: AudioFormat = PCM16K, target: AudioFormat | None = None, key: str = ""
    ) -> Listen:
        """A node that is started as far as the dialler lets it."""
        account = Account(key=Secret(key)) if key else Account()
        listening = Listening(
            listening_provider(format=target), ListenSettings("ears", source), account
        )
        around = surroundings(
            clock=self.clock,
            dialler=self.dialler,
            congested=self.congestion.append,
            count=self.count,
        )
        node = listen({"listener": listening, "gap_s": 1.0}, around, self.events.append)
        self.starting = node.start()
        return node

    def count(self, name: str, number: int) -> None:
        """Keep a figure."""
        self.counts[name] = self.counts.get(name, 0) + number

    @property
    def link(self) -> FakeLink:
        """The node's link."""
        return self.dialler.link("ears")


class ListenTests(ListenCase):
    """Audio on its way."""

    def test_unchanged(self) -> None:
        """Audio the provider takes as it is goes out untouched: the same bytes object (S-VM-07, WS-10)."""
        node = self.node()
        frame = b"\x01\x02" * 320
        node.receive(frame)
        self.assertIs(self.link.sent[0].data, frame)

    def test_odd_frames(self) -> None:
        """Frames cut in the middle of a sample are joined again; no byte is lost (S-VM-07)."""
        node = self.node()
        data = bytes(range(15)) + b"\x0f"
        for start in range(0, 16, 5):
            node.receive(data[start : start + 5])
        self.assertEqual(self.link.audio, data)
        self.assertEqual({len(one.data) % 2 for one in self.link.sent}, {0})

    def test_conversion(self) -> None:
        """Telephone audio is converted to what the provider needs frame by frame."""
        node = self.node(AudioFormat("mulaw", 8000), AudioFormat("linear16", 8000))
        node.receive(b"\xff" * 160)
        self.assertEqual(self.link.audio, bytes(320))

    def test_rate(self) -> None:
        """A second of 48 kHz audio arrives as a second of 16 kHz, its last samples when listening ends."""
        node = self.node(AudioFormat("linear16", 48000), PCM16K)
        for _ in range(50):
            node.receive(bytes(1920))
        self.successResultOf(node.stop(at_once=False))
        self.assertEqual(len(self.link.audio), 32000)
        self.assertTrue(self.link.is_closed)

    def test_impossible_format(self) -> None:
        """Audio that cannot be made into what the provider needs is refused before anything is dialled."""
        error = self.assertRaises(BadRequest, self.node, AudioFormat("opus", 48000), PCM16K)
        self.assertIn("ears needs linear16 and cannot be given opus", error.message)
        self.assertEqual(self.dialler.links, [])

    def test_deaf_provider(self) -> None:
        """A provider that only speaks is refused by name."""
        listening = Listening(Provider("mute"), ListenSettings("mute"), Account())
        error = self.assertRaises(
            BadRequest, listen, {"listener": listening}, surroundings(), self.events.append
        )
        self.assertIn("mute does not recognise speech", error.message)

    def test_events(self) -> None:
        """What the provider says comes out in order, also before the connection counts as open (S-TTS-16)."""
        self.dialler.is_slow = True
        self.node()
        early, late = wire.SpeechStarted(), wire.Transcript("hi", True)
        self.dialler.waiting[0][0].tell(early)
        self.dialler.accept("ears").tell(late)
        self.assertEqual(self.events, [early, late])

    def test_congestion(self) -> None:
        """A slow provider is passed on to the caller's connection, and so is its end."""
        self.node()
        self.link.sink.congested(True)
        self.link.sink.congested(False)
        self.assertEqual(self.congestion, [True, False])

    def test_warning(self) -> None:
        """What the provider cannot do is for the log, not for the caller."""
        self.node()
        self.link.tell(wire.Warned("no punctuation"))
        self.assertEqual(self.events, [])

    def test_lost(self) -> None:
        """After the connection is lost for good, audio is counted and dropped instead of kept for ever."""
        node = self.node()
        lost = wire.Lost(ProviderLost("ears", "gone"))
        self.link.tell(lost)
        node.receive(b"\0\0")
        self.assertEqual(self.events, [lost])
        self.assertEqual(self.link.sent, [])
        self.assertEqual(self.counts, {"dropped": 1})

    def test_refused_audio(self) -> None:
        """A provider that cannot be sent a frame is an error in the call, not a crash."""
        node = self.node()

        def refuse(command: wire.Command) -> None:
            raise ProviderRefused("ears", "no")

        self.link.answer = refuse
        node.receive(b"\0\0")
        self.assertIsInstance(self.events[0], wire.Failed)

    def test_only_audio(self) -> None:
        """Values that are not audio mean nothing to a recogniser."""
        self.node().receive(wire.Flush())
        self.assertEqual(self.link.sent, [])

    def test_stop_gently(self) -> None:
        """The last words are still delivered when listening ends in the middle of a call."""
        node = self.node()
        last = wire.Transcript("bye", True)
        self.link.last_words = [last]
        self.successResultOf(node.stop(at_once=False))
        self.assertEqual(self.events, [last])
        self.link.tell(wire.Transcript("ghost", True))
        self.assertEqual(self.events, [last])

    def test_stop_at_once(self) -> None:
        """Nothing is delivered after a hang-up."""
        node = self.node()
        self.successResultOf(node.stop(at_once=True))
        self.assertTrue(self.link.is_aborted)
        self.link.tell(wire.Transcript("ghost", True))
        self.link.sink.congested(True)
        self.assertEqual((self.events, self.congestion), ([], []))

    def test_stop_while_dialling(self) -> None:
        """A hang-up ends the dialling."""
        self.dialler.is_slow = True
        node = self.node()
        self.successResultOf(node.stop(at_once=True))
        self.assertEqual(self.dialler.cancelled, ["ears"])
        self.failureResultOf(self.starting, CancelledError)

    def test_hang_up_while_dialling_begins(self) -> None:
        """A caller who hangs up on the first thing heard leaves no connection behind."""
        self.dialler.says_at_once = [wire.SpeechStarted()]
        listening = Listening(listening_provider(), ListenSettings("ears", PCM16K), Account())
        stopped: list[Any] = []
        node: Listen = listen(
            {"listener": listening},
            surroundings(dialler=self.dialler),
            lambda event: stopped.append(node.stop(at_once=True)),
        )
        self.failureResultOf(node.start(), CancelledError)
        self.assertEqual(len(stopped), 1)
        self.assertTrue(self.link.is_aborted)

    def test_pause(self) -> None:
        """A caller who cannot take more audio still gets transcripts."""
        node = self.node()
        node.pause()
        node.resume()
        self.assertFalse(self.link.is_paused)

    def test_fingerprint(self) -> None:
        """The vendor's answers belong to an account; the key itself is not shown."""
        prints = []
        for key in ("", "secret-one", "secret-two"):
            self.node(key=key)
            prints.append(self.link.options["fingerprint"])
        self.assertEqual(prints[0], "")
        self.assertEqual(len(set(prints)), 3)
        self.assertNotIn("secret", "".join(prints))


class GapTests(ListenCase):
    """Audio that stops coming."""

    FRAME = bytes(640)

    def talk(self, node: Listen, frames: int, frame: bytes = FRAME) -> None:
        """Send audio as fast as it lasts."""
        for _ in range(frames):
            node.receive(frame)
            self.clock.advance(len(frame) / 32000)

    @property
    def flushes(self) -> int:
        """How often the vendor was asked for finals."""
        return sum(isinstance(one, wire.Flush) for one in self.link.sent)

    def test_it_stops(self) -> None:
        """A second after the last audio the vendor is asked for what he has, once, and the turn is told."""
        node = self.node()
        self.talk(node, 100)
        self.clock.advance(0.97)
        self.assertEqual((self.flushes, self.events), (0, []))
        self.clock.advance(0.03)
        self.assertEqual((self.flushes, self.events), (1, [AudioFlow(False)]))
        self.clock.pump([1.0] * 60)
        self.assertEqual(self.flushes, 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_before_any_audio(self) -> None:
        """A call in which nothing was said yet waits for ever and has no timer."""
        self.node()
        self.clock.advance(60)
        self.assertEqual((self.link.sent, self.clock.getDelayedCalls()), ([], []))

    def test_it_comes_again(self) -> None:
        """When it comes again the turn is told before the audio is sent, and the next gap is noticed too."""
        node = self.node()
        for _ in range(3):
            self.talk(node, 10)
            self.clock.advance(1.5)
        self.assertEqual(self.flushes, 3)
        stops, comes = AudioFlow(False), AudioFlow(True)
        self.assertEqual(self.events, [stops, comes, stops, comes, stops])

    def test_long_messages(self) -> None:
        """Clients who send two seconds at a time have not stopped in between; who sends a whole file has, in time."""
        node = self.node()
        self.talk(node, 5, bytes(64000))
        self.assertEqual(self.flushes, 0)
        self.clock.advance(1.0)
        self.assertEqual(self.flushes, 1)
        node.receive(bytes(640_000))
        self.clock.advance(3.0)
        self.assertEqual(self.flushes, 2)

    def test_one_timer(self) -> None:
        """Frames cost no timer each."""
        node = self.node()
        calls: list[object] = []
        later = self.clock.callLater
        self.clock.callLater = lambda *call: calls.append(call) or later(*call)  # type: ignore[method-assign, func-returns-value]
        self.talk(node, 500)
        self.assertLessEqual(len(calls), 11)

    def test_it_is_we_who_do_not_read(self) -> None:
        """While the recogniser is behind and the caller is not read from, nobody says that his audio stopped."""
        node = self.node()
        self.talk(node, 10)
        node.congested(True)
        self.clock.pump([0.5] * 20)
        self.assertEqual(self.flushes, 0)
        node.congested(False)
        self.clock.pump([0.5] * 4)
        self.assertEqual(self.flushes, 1)

    def test_a_vendor_who_cannot_be_asked(self) -> None:
        """A vendor without such a command is given silence in his own format, as fast as it lasts, and not for ever."""
        mulaw = AudioFormat("mulaw", 8000)
        provider = listening_provider(format=mulaw)
        assert provider.listen is not None
        make = provider.listen

        def without(settings: ListenSettings, account: Account) -> Any:
            dialogue: Any = make(settings, account)
            dialogue.opening = replace(dialogue.opening, gives_finals_when_asked=False)
            return dialogue

        listening = Listening(replace(provider, listen=without), ListenSettings("ears"), Account())
        around = surroundings(clock=self.clock, dialler=self.dialler)
        node = listen({"listener": listening, "gap_s": 1.0}, around, self.events.append)
        node.start()
        node.receive(bytes(640))
        before = len(self.link.audio)
        self.clock.advance(1.02)
        self.assertEqual(self.events, [AudioFlow(False)])
        for _ in range(50):
            self.clock.advance(0.1)
        pads = self.link.audio[before:]
        self.assertEqual(set(pads), {0xFF})
        self.assertAlmostEqual(len(pads) / 8000, 3.0, places=1)
        self.assertEqual((self.flushes, self.clock.getDelayedCalls()), (0, []))

    def test_the_end(self) -> None:
        """A call that ends leaves no timer, whatever it was waiting for."""
        for seconds in (0.0, 0.5, 1.5):
            for at_once in (True, False):
                node = self.node()
                self.talk(node, 3)
                self.clock.advance(seconds)
                node.stop(at_once)
                self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_flush(self) -> None:
        """A caller who asks for finals has the vendor asked; without a connection nothing happens."""
        node = self.node()
        node.receive(self.FRAME)
        node.flush()
        self.assertEqual(self.flushes, 1)
        node.stop(at_once=True)
        node.flush()
