"""Calls over the real dialler and worker threads, with models that a test can hold still."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from tests.session.fakes import PCM16K, PCM24K
from tests.session.test_session import Caller
from waav.errors import ModelMissing
from waav.links.dial import Dialler
from waav.links.engines.engines import Engines
from waav.links.engines.threads import Threads
from waav.links.settings import LinkSettings
from waav.session.call_settings import CallSettings, Listening, Speaking
from waav.session.session import Session
from waav.session.world import World
from waav.speech import wire
from waav.speech.audio import AudioFrame
from waav.speech.provider import Account, ListenSettings, Provider, SpeakSettings


class Ears:
    """An engine that says how many bytes it was given."""

    def feed(self, outgoing: str | bytes) -> Iterator[str]:
        if isinstance(outgoing, bytes):
            yield f"{len(outgoing)} bytes"

    def close(self) -> None:
        pass


class Mouth:
    """An engine that makes one piece of audio for each turn of ``crank``."""

    def __init__(self, crank: threading.Semaphore) -> None:
        self._crank = crank

    def feed(self, outgoing: str | bytes) -> Iterator[str | bytes]:
        assert isinstance(outgoing, str)
        for _ in range(10):
            self._crank.acquire()
            yield outgoing[0].encode() * 480
        yield "done"

    def close(self) -> None:
        pass


class EarsDialogue:
    """Audio to ``Ears``, its words as finals."""

    def __init__(self, settings: ListenSettings, account: Account) -> None:
        self.format = PCM16K
        self.opening = wire.Opening(
            "engine:ears", local=wire.Local("ears", lambda: None, lambda loaded: Ears())
        )

    def send(self, command: wire.Command) -> list[wire.Outgoing]:
        return [command.data] if isinstance(command, wire.Audio) else []

    def receive(self, incoming: wire.Incoming) -> list[wire.Event]:
        return [wire.Transcript(str(incoming), True, True, 1.0)]


class OverLinksTests(TestCase):
    """One call each."""

    def setUp(self) -> None:
        self.crank = threading.Semaphore(0)
        self.engines = Engines(reactor, Threads(reactor, 1), 16)
        self.dialler = Dialler(reactor, LinkSettings(), engines=self.engines)
        self.caller = Caller()
        world: dict[str, Any] = {
            "clock": reactor,
            "registry": None,
            "dialler": self.dialler,
            "account": None,
        }
        self.session = Session(World(**world), self.caller)

    async def _end(self) -> None:
        await self.session.hang_up()
        self.crank.release(1000)
        await self.dialler.stop()
        await self.engines.stop()

    def tearDown(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._end())

    def mouth(self) -> Speaking:
        """Speech by ``Mouth``."""
        crank = self.crank

        class MouthDialogue:
            """Text to ``Mouth``, its bytes as audio."""

            def __init__(self, settings: SpeakSettings, account: Account) -> None:
                self.format = PCM24K
                self.opening = wire.Opening(
                    "engine:mouth", local=wire.Local("mouth", lambda: None, lambda _: Mouth(crank))
                )

            def send(self, command: wire.Command) -> list[wire.Outgoing]:
                return [command.text] if isinstance(command, wire.Speak) else []

            def receive(self, incoming: wire.Incoming) -> list[wire.Event]:
                if isinstance(incoming, bytes):
                    return [wire.Spoken(AudioFrame(PCM24K, incoming))]
                return [wire.SpokenAll(True)]

        provider = Provider("mouth", speak=MouthDialogue)
        return Speaking(provider, SpeakSettings("mouth", PCM24K), Account())

    async def until(self, fact: Callable[[], object]) -> None:
        """Wait for what the caller is told to make something so."""
        while not fact():
            told: Deferred[None] = Deferred()

            def tell(*what: Any, told: Deferred[None] = told) -> None:
                self.caller.on_call = None
                # One turn later: whoever waits must not act in the middle of what the call is doing.
                reactor.callLater(0, told.callback, None)

            self.caller.on_call = tell
            await told

    async def test_listen(self) -> None:
        """Audio goes through a worker and comes back as text."""
        provider = Provider("ears", listen=EarsDialogue)
        listening = Listening(provider, ListenSettings("ears", PCM16K), Account())
        await self.session.configure(CallSettings("s", listening=listening))
        self.session.hear(bytes(640))
        await self.until(lambda: self.caller.of("transcript"))
        self.assertEqual(self.caller.of("transcript")[0].text, "640 bytes")

    async def test_clear(self) -> None:
        """Nothing of a cleared text is heard afterwards, and the next text is heard whole (F-070, S-VM-36)."""
        await self.session.configure(CallSettings("s", speaking=self.mouth()))
        self.session.say("old words")
        self.crank.release(3)
        await self.until(lambda: len(self.caller.of("audio")) == 3)
        self.session.clear()
        self.session.say("new words")
        self.crank.release(100)
        await self.until(lambda: ("spoken_all",) in self.caller.got)
        self.assertEqual(self.caller.of("audio"), [b"o" * 480] * 3 + [b"n" * 480] * 10)
        self.assertEqual(self.caller.got.count(("spoken_all",)), 1)

    async def test_paused(self) -> None:
        """A caller who takes no more gets no more, until he does."""
        await self.session.configure(CallSettings("s", speaking=self.mouth()))
        self.session.pause()
        self.session.say("words")
        self.crank.release(100)
        # The only worker comes to this when it has made what it makes ahead.
        await self.engines.do("test", lambda: self.engines.host.close(0))
        self.assertEqual(self.caller.of("audio"), [])
        self.session.resume()
        await self.until(lambda: ("spoken_all",) in self.caller.got)
        self.assertEqual(len(self.caller.of("audio")), 10)

    async def test_missing_model(self) -> None:
        """A voice whose model is missing is an error in words, and leaves nothing behind (D-31)."""

        def load() -> Any:
            raise ModelMissing("no such file; run waav init")

        class Missing(EarsDialogue):
            def __init__(self, settings: ListenSettings, account: Account) -> None:
                super().__init__(settings, account)
                local = wire.Local("missing", load, lambda loaded: Ears())
                self.opening = wire.Opening("engine:missing", local=local)

        listening = Listening(
            Provider("ears", listen=Missing), ListenSettings("ears", PCM16K), Account()
        )
        settings = CallSettings("s", listening=listening, speaking=self.mouth())
        with self.assertRaises(ModelMissing) as caught:
            await self.session.configure(settings)
        self.assertEqual(
            caught.exception.message, "Failed to start voice manager: no such file; run waav init"
        )
        self.assertEqual(self.session.state, "connected")
