"""Audio reaches the recogniser complete, in order and in the format it needs."""

from typing import Any

from twisted.internet.defer import CancelledError
from twisted.trial.unittest import SynchronousTestCase

from tests.graph.test_definition import surroundings
from tests.session.fakes import PCM16K, FakeDialler, FakeLink, listening_provider
from waav.errors import BadRequest, ProviderLost, ProviderRefused
from waav.graph.nodes.listen import Listen, listen
from waav.secret import Secret
from waav.session.call_settings import Listening
from waav.speech import wire
from waav.speech.audio import AudioFormat
from waav.speech.provider import Account, ListenSettings, Provider


class ListenTests(SynchronousTestCase):
    """One node with one fake link."""

    def setUp(self) -> None:
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
            dialler=self.dialler, congested=self.congestion.append, count=self.count
        )
        node = listen({"listener": listening}, around, self.events.append)
        self.starting = node.start()
        return node

    def count(self, name: str, number: int) -> None:
        """Keep a figure."""
        self.counts[name] = self.counts.get(name, 0) + number

    @property
    def link(self) -> FakeLink:
        """The node's link."""
        return self.dialler.link("ears")

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
