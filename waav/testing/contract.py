"""What every provider must do, as test cases to inherit from. For plugin authors too.

    class AcmeListenTests(ListenContract, TestCase):
        provider = acme
        folder = Path(__file__).parent / "wire"

``folder`` is the one with the provider's recordings (``acme-*.jsonl``) and its ``acme.rules.json``. The tests play
every recording without a network, then talk to a ``ReplayServer`` through the gateway's own links.
"""

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import replace
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar, cast

from twisted.internet import defer
from twisted.internet.defer import Deferred
from twisted.web.client import Agent, FileBodyProducer, HTTPConnectionPool, readBody
from twisted.web.http_headers import Headers

from waav.errors import BadRequest, ConfigError, ProviderBusy, ProviderRefused, WireError
from waav.links.dial import Dialler, Link
from waav.links.settings import LinkSettings
from waav.secret import Secret
from waav.speech import formats, wire
from waav.speech.audio import AudioFormat
from waav.speech.provider import Account, ListenSettings, Provider, SpeakSettings
from waav.testing import rules, trials
from waav.testing.player import Player, joined, same
from waav.testing.recording import Recording, described
from waav.testing.replay import ReplayServer
from waav.testing.signal import Signal

KEY = "contract-key-0123456789"

T = TypeVar("T")


class Events:
    """A sink that remembers, and can be waited for."""

    def __init__(self) -> None:
        self.all: list[wire.Event] = []
        self._waiting: list[tuple[Callable[[wire.Event], bool], Deferred[wire.Event]]] = []

    def event(self, event: wire.Event) -> None:
        """See ``Sink``."""
        self.all.append(event)
        for waiter in [one for one in self._waiting if one[0](event)]:
            self._waiting.remove(waiter)
            waiter[1].callback(event)

    def congested(self, is_full: bool) -> None:
        """See ``Sink``."""

    def next(self, is_it: Callable[[wire.Event], bool]) -> Deferred[wire.Event]:
        """The next event of that kind; cancelled by the time limit of the test."""
        waiting: Deferred[wire.Event] = Deferred()
        self._waiting.append((is_it, waiting))
        return waiting

    def described(self) -> list[dict[str, Any]]:
        """Everything as recordings write it down, without ``ready``."""
        return [described(event) for event in self.all if not isinstance(event, wire.Ready)]

    def of(self, kind: type[T]) -> list[T]:
        """Those of one kind."""
        return [one for one in self.all if isinstance(one, kind)]

    @property
    def finals(self) -> str:
        """Everything that was recognised for good."""
        found = [one for one in self.of(wire.Transcript) if one.is_final]
        return " ".join(one.text for one in found if one.text)

    @property
    def audio(self) -> bytes:
        """Everything that was synthesised."""
        return b"".join(one.frame.data for one in self.of(wire.Spoken))


class ProviderContract:
    """What both verbs share. Inherit from ``ListenContract`` or ``SpeakContract``.

    Attributes:
        provider: the one under test.
        folder: with its recordings and rules.
        verb: set by the two contracts.
    """

    provider: Provider
    folder: Path
    verb = ""
    timeout = 10.0

    def case(self) -> Any:
        """This object as the TestCase it is mixed into."""
        return cast(Any, self)

    def recordings(self) -> list[Recording]:
        """The provider's recordings of this verb."""
        paths = sorted(self.folder.glob(f"{self.provider.name}-*.jsonl"))
        return [one for one in map(Recording.load, paths) if one.about["verb"] == self.verb]

    def account(self, endpoint: str | None = None, key: str = KEY) -> Account:
        """An account with the replay server; override it where a provider needs more than a key."""
        return Account(key=Secret(key), endpoint=endpoint)

    def dialogue(self, account: Account | None = None, **chosen: Any) -> wire.Dialogue:
        """A dialogue with these settings, otherwise as a caller who says nothing gets it."""
        account = account or self.account()
        if self.verb == "listen":
            assert self.provider.listen is not None
            return self.provider.listen(ListenSettings(self.provider.name, **chosen), account)
        assert self.provider.speak is not None
        return self.provider.speak(SpeakSettings(self.provider.name, **chosen), account)

    def server(self, signal: Signal | None = None, **options: Any) -> ReplayServer:
        """A running replay server that ends with the test."""
        from twisted.internet import reactor

        server = ReplayServer(reactor, self.folder, signal=signal, **options)
        server.start()
        self.case().addCleanup(lambda: Deferred.fromCoroutine(server.stop()))
        return server

    def open(
        self,
        server: ReplayServer,
        events: Events,
        *,
        settings: LinkSettings | None = None,
        key: str = KEY,
        **chosen: Any,
    ) -> Deferred[Link]:
        """A link to the server through the gateway's own code."""
        from twisted.internet import reactor

        dialler = Dialler(reactor, settings or LinkSettings(), random=lambda: 0.5)
        self.case().addCleanup(dialler.stop)
        account = self.account(server.endpoint, key)
        return dialler.open(self.provider.name, lambda: self.dialogue(account, **chosen), events)

    def test_recordings(self) -> None:
        """What was recorded of the vendor is understood, and answered, exactly as written down."""
        found = self.recordings()
        self.case().assertTrue(found, f"no recording of {self.verb} by {self.provider.name}")
        for recording in found:
            Player(recording, self.provider).play()

    def test_recordings_in_pieces(self) -> None:
        """Answers may be cut anywhere, down to single bytes."""
        for recording in self.recordings():
            for size in (1, 3):
                Player(recording, self.provider, piece_bytes=size).play()

    async def test_recordings_over_sockets(self) -> None:
        """The same recordings through the gateway's links and a real socket, the server playing the vendor."""
        from twisted.internet import reactor

        for recording in self.recordings():
            if any(step.kind == "raises" for step in recording.steps):
                continue  # an error ends or repeats a real conversation; the player has seen it
            server, events = self.server(), Events()
            script = server.play(recording)
            dialler = Dialler(reactor, LinkSettings())
            self.case().addCleanup(dialler.stop)
            link = await dialler.open(
                self.provider.name,
                lambda one=recording, there=server: one.dialogue(self.provider, there.endpoint),  # type: ignore[misc]
                events,
            )
            await self._replay(recording, link, events)
            self.case().assertEqual(server.deviations, [], recording.name)
            self.case().assertTrue(script.is_over, recording.name)

    async def _replay(self, recording: Recording, link: Link, events: Events) -> None:
        """Do what the recording says, each step when the events before it have come."""
        expected: list[dict[str, Any]] = []
        closing: Deferred[None] | None = None
        for step in recording.steps:
            if step.kind == "event" and step.value != "ready":
                data = {"data": recording.data(step.rest["data"])} if "data" in step.rest else {}
                expected.append({"event": step.value, **step.rest, **data})
            elif step.kind == "do":
                await self._reach(events, joined(expected), recording)
                if step.value == "finish":
                    closing = link.close()
                else:
                    link.send(recording.command(step))
        await self._reach(events, joined(expected), recording)
        await (closing or link.close())

    async def _reach(
        self, events: Events, expected: list[dict[str, Any]], recording: Recording
    ) -> None:
        while len(happened := joined(events.described())) < len(expected) or (
            expected and len(happened[-1].get("data", b"")) < len(expected[-1].get("data", b""))
        ):
            await events.next(lambda event: True)
        for one, other in zip(happened, expected, strict=True):
            self.case().assertTrue(same(one, other), f"{recording.name}: {one} is not {other}")

    def test_unknown_option(self) -> None:
        """An option nobody knows is refused by name instead of being ignored."""
        error = self.case().assertRaises(BadRequest, self.dialogue, options={"no_such_option": 1})
        self.case().assertIn("no_such_option", error.message)

    def test_operators_unknown_option(self) -> None:
        """A mistyped option in the configuration is refused at start, with its path."""
        case, check = self.case(), self.provider.check
        case.assertIsNotNone(check, "a provider has a check")
        account = replace(self.account(), options={"no_such_option": 1})
        error = case.assertRaises(ConfigError, check, account)
        case.assertEqual(error.path, "options.no_such_option")

    def test_own_default_model(self) -> None:
        """Without a model the vendor gets a default of its own, and the documentation says which."""
        case, model = self.case(), self.provider.models[self.verb]
        case.assertEqual(self.dialogue().opening, self.dialogue(model=model).opening)
        self.dialogue(model="")

    def test_no_key(self) -> None:
        """Without a key nothing is sent; the error says what is missing."""
        error = self.case().assertRaises(ConfigError, self.dialogue, Account())
        self.case().assertIn(self.provider.title, error.message)

    def test_key_stays_inside(self) -> None:
        """The key is in no text that could end in a log."""
        dialogue = self.dialogue()
        for text in (repr(dialogue), str(dialogue), dialogue.opening.url, repr(self.account())):
            self.case().assertNotIn(KEY, text)

    def test_junk(self) -> None:
        """What is not from the vendor is an error of the vendor's, never a crash or a silence."""
        for junk in ("{", "[]", "{}", "null", b"\x00\xff"):
            dialogue = self.dialogue()
            wanted = (WireError, KeyError, TypeError, ValueError, IndexError, AttributeError)
            self.case().assertRaises(wanted, dialogue.receive, junk)

    async def test_wrong_key(self) -> None:
        """A key the vendor does not know is refused, once, and the caller hears why."""
        events = Events()
        server = self.server(keys=frozenset({"another key"}))
        error = await self.refusal(server, events)
        self.case().assertIsInstance(error, ProviderRefused)
        self.case().assertEqual(error.upstream_status, 401)
        self.case().assertNotIn(KEY, error.message)
        self.case().assertEqual(len(server.requests), 1)

    async def refusal(self, server: ReplayServer, events: Events) -> Any:
        """The error of an attempt that the server refuses: when dialling, or as an event."""
        failed = events.next(lambda event: isinstance(event, wire.Failed))
        try:
            link = await self.open(server, events)
        except ProviderRefused as error:
            return error
        self.ask(link)
        event = await failed
        assert isinstance(event, wire.Failed)
        return event.error

    @abstractmethod
    def ask(self, link: Link) -> None:
        """Make the vendor do something."""


class ListenContract(ProviderContract):
    """Recognition."""

    verb = "listen"
    signal = Signal.speaking("contract", ["hello there friend", "how are you today"])
    piece_s = 0.05

    def ask(self, link: Link) -> None:
        """Have the whole test signal recognised."""
        self.send(link, 0.0, self.signal.seconds)
        link.send(wire.Finish())

    def send(self, link: Link, from_s: float, to_s: float) -> None:
        """That part of the signal, in pieces as a caller would send them."""
        at_s = from_s
        while at_s < to_s - 1e-9:
            end_s = min(at_s + self.piece_s, to_s)
            link.send_audio(self.signal.cut(at_s, end_s))
            at_s = end_s

    def test_format(self) -> None:
        """What a caller sends is taken as it is, or the dialogue says what it wants instead."""
        case = self.case()
        case.assertEqual(self.dialogue().format, AudioFormat())
        for encoding in ("mulaw", "alaw", "linear32", "float32"):
            asked = AudioFormat(encoding, 8000, 1)
            wanted = self.dialogue(format=asked).format
            case.assertTrue(wanted.is_raw)
            case.assertIn(wanted.encoding, ("linear16", encoding))

    def test_nothing_sent_for_nothing(self) -> None:
        """Empty audio is not put on the wire: some vendors read it as the end."""
        self.case().assertEqual(self.dialogue().send(wire.Audio(b"")), [])

    def test_audio_as_it_is(self) -> None:
        """A dialogue that lets its link send audio without asking would have said just that audio."""
        if self.dialogue().opening.takes_audio_as_it_is:
            audio = self.signal.cut(0.0, self.piece_s)
            self.case().assertEqual(self.dialogue().send(wire.Audio(audio)), [audio])

    async def test_every_word_once(self) -> None:
        """All that is said is recognised, in order, once, with the last word after hanging up."""
        events = Events()
        server = self.server(self.signal)
        link = await self.open(server, events)
        self.send(link, 0.0, self.signal.seconds)
        await link.close()
        self.case().assertEqual(events.finals, self.signal.text)

    async def test_restart_of_the_vendor(self) -> None:
        """A vendor that is overloaded for a moment costs time, not words."""
        events = Events()
        server = self.server(self.signal)
        server.fail_next(503, b"{}")
        link = await self._open_patiently(server, events)
        self.send(link, 0.0, self.signal.seconds)
        await link.close()
        self.case().assertEqual(events.finals, self.signal.text)

    async def _open_patiently(self, server: ReplayServer, events: Events) -> Link:
        """Dialling may report an overload instead of trying again."""
        try:
            return await self.open(server, events)
        except ProviderBusy:
            return await self.open(server, events)


class SpeakContract(ProviderContract):
    """Synthesis."""

    verb = "speak"

    def ask(self, link: Link) -> None:
        """Have a text spoken."""
        link.send(wire.Speak("Hello."))

    async def spoken(self, link: Link, events: Events, text: str) -> bytes:
        """The audio of one text."""
        before = len(events.audio)
        done = events.next(lambda event: isinstance(event, wire.SpokenAll | wire.Failed))
        link.send(wire.Speak(text))
        end = await done
        assert isinstance(end, wire.SpokenAll), end
        return events.audio[before:]

    def test_only_speech_is_sent(self) -> None:
        """Flushing, clearing and finishing need nothing said to a vendor that is asked text by text."""
        dialogue = self.dialogue()
        if dialogue.opening.url.startswith("http"):
            for command in (wire.Flush(), wire.Clear(), wire.Finish(), wire.KeepAlive()):
                self.case().assertEqual(dialogue.send(command), [])

    def test_label(self) -> None:
        """Audio is labelled as what it is, whole samples only."""
        for encoding in ("linear16", "mulaw", "mp3"):
            wanted = AudioFormat(encoding, 8000)
            dialogue = self.dialogue(format=wanted)
            dialogue.send(wire.Speak("x"))
            if not dialogue.opening.url.startswith("http"):
                continue
            dialogue.receive(wire.Head(200, {}))
            for event in dialogue.receive(wire.Body(b"\x01\x02\x03")):
                assert isinstance(event, wire.Spoken)
                self.case().assertEqual(event.frame.format, dialogue.format)
                self.case().assertEqual(len(event.frame.data) % dialogue.format.frame_bytes, 0)

    def test_answer_of_another_kind(self) -> None:
        """Where the vendor's own label contradicts what was asked for, it decides, and is told once."""
        case, dialogue = self.case(), self.dialogue()
        if not dialogue.opening.url.startswith("http"):
            return
        dialogue.send(wire.Speak("x"))
        events = dialogue.receive(wire.Head(200, {"content-type": "audio/mpeg"}))
        events += dialogue.receive(wire.Body(b"\xff\xf3\x01"))
        case.assertEqual([type(one) for one in events], [wire.Warned, wire.Spoken])
        [frame] = [one.frame for one in events if isinstance(one, wire.Spoken)]
        case.assertEqual(frame.format.encoding, "mp3")

    async def test_compressed(self) -> None:
        """Each compressed format that is declared is asked of the vendor itself, and delivered."""
        case = self.case()
        for name in self.provider.compressed:
            wanted = formats.resolve(name, None)
            case.assertFalse(wanted.is_raw, name)
            server, events = self.server(), Events()
            link = await self.open(server, events, format=wanted)
            await self.spoken(link, events, "Good morning.")
            [sent] = server.spoken
            for found in (sent, *(one.frame.format for one in events.of(wire.Spoken))):
                got = (found.encoding, found.container)
                case.assertEqual(got, (wanted.encoding, wanted.container), name)
            await link.close()

    async def test_text_becomes_audio(self) -> None:
        """Each text is spoken completely, in order, whatever size the vendor's pieces have."""
        events = Events()
        server = self.server()
        server.answering.chunk_bytes = 333
        link = await self.open(server, events)
        first = await self.spoken(link, events, "Good morning.")
        second = await self.spoken(link, events, "And good night to you.")
        self.case().assertAlmostEqual(len(second) / len(first), 22 / 13, places=2)
        await link.close()

    async def test_broken_off(self) -> None:
        """An answer that is cut short is an error, not the end of the text."""
        events = Events()
        server = self.server()
        server.answering.drop_after_bytes = 1000
        server.answering.chunk_bytes = 500
        server.answering.chunk_s = 0.02  # so that some of it has arrived before
        link = await self.open(server, events)
        failed = events.next(lambda event: isinstance(event, wire.Failed | wire.SpokenAll))
        link.send(wire.Speak("This is never said to its end."))
        self.case().assertIsInstance(await failed, wire.Failed)
        await link.close()

    async def test_clear(self) -> None:
        """After a clear nothing of the old text arrives, and the next text is whole."""
        events = Events()
        server = self.server()
        server.answering.chunk_s = 0.01
        server.answering.chunk_bytes = 960
        link = await self.open(server, events)
        begun = events.next(lambda event: isinstance(event, wire.Spoken))
        link.send(wire.Speak("A long story that nobody wants to hear to its end. " * 4))
        await begun
        link.send(wire.Clear())
        server.answering.chunk_s = 0.0
        before = len(events.audio)
        whole = await self.spoken(link, events, "Hello.")
        self.case().assertEqual(len(events.audio), before + len(whole))
        alone = Events()
        other = await self.open(server, alone)
        self.case().assertEqual(whole, await self.spoken(other, alone, "Hello."))
        await defer.gatherResults([link.close(), other.close()])


class RulesContract:
    """The rules of every vendor in a folder: each says what it refuses, and the replay server refuses it.

        class AcmeRulesTests(RulesContract, TestCase):
            folder = Path(__file__).parent / "wire"

    Attributes:
        folder: with the rules.
    """

    folder: Path
    timeout = 300.0  # a guard only: hundreds of requests, on a machine that may be busy

    def case(self) -> Any:
        """This object as the TestCase it is mixed into."""
        return cast(Any, self)

    async def test_rules(self) -> None:
        """Every field of every route is taken when it is good, and refused when it is of a wrong type, empty or too much."""
        from twisted.internet import reactor

        server = ReplayServer(reactor, self.folder)
        server.start()
        pool = HTTPConnectionPool(reactor)
        try:
            for route in rules.load(self.folder):
                for trial in trials.trials(route):
                    await self._try(Agent(reactor, pool=pool), server, route, trial)
        finally:
            await pool.closeCachedConnections()
            await server.stop()

    async def _try(
        self, agent: Agent, server: ReplayServer, route: rules.Route, trial: trials.Trial
    ) -> None:
        path, headers, body = trials.request(route, trial)
        response = await agent.request(
            route.method.encode(),
            f"{server.endpoint}{path}".encode(),
            Headers({name: [one] for name, one in headers.items()}),
            FileBodyProducer(BytesIO(body)) if body else None,
        )
        answer = await readBody(response)
        about = f"{route.method} {route.path}: {trial.what}: {answer[:200]!r}"
        if trial.status is not None:
            self.case().assertEqual(response.code, trial.status, about)
            return
        # A socket that was asked for without an upgrade: nothing else was wrong.
        wanted = 426 if route.kind == "socket" else 200
        self.case().assertEqual(response.code, wanted, about)
