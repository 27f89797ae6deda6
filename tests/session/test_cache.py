"""What was spoken once is not synthesised again, whoever asks."""

from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from tests.session.fakes import PCM24K
from tests.session.test_session import Caller
from waav.cache.answers import Answers
from waav.cache.memory import MemoryStore
from waav.cache.settings import CacheSettings
from waav.links.dial import Dialler
from waav.links.settings import LinkSettings
from waav.secret import Secret
from waav.session.call_settings import CallSettings, Speaking
from waav.session.session import Session
from waav.session.synthesis import synthesize
from waav.session.world import World
from waav.speech import wire
from waav.speech.audio import AudioFrame
from waav.speech.provider import Account, Provider, SpeakSettings


class Vendor(Resource):
    """Answers each text with 20 ms of audio made of its first letter."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[bytes] = []

    def render_POST(self, request: Request) -> bytes:
        text = request.content.read()
        self.texts.append(text)
        return text[:1] * 960


class CacheTests(TestCase):
    """Calls and requests against one vendor on the loopback."""

    def setUp(self) -> None:
        self.vendor = Vendor()
        self.port = reactor.listenTCP(0, Site(self.vendor), interface="127.0.0.1")
        url = f"http://127.0.0.1:{self.port.getHost().port}/tts"

        class Speak:
            """Text as the body of a request, the answer's body as audio."""

            def __init__(self, settings: SpeakSettings, account: Account) -> None:
                self.format = PCM24K
                self.opening = wire.Opening(url)

            def send(self, command: wire.Command) -> list[wire.Outgoing]:
                if not isinstance(command, wire.Speak):
                    return []
                body = command.text.encode()
                return [wire.Request("POST", url, {}, body, cacheable=True)]

            def receive(self, incoming: wire.Incoming) -> list[wire.Event]:
                match incoming:
                    case wire.Body(data):
                        return [wire.Spoken(AudioFrame(PCM24K, data))]
                    case wire.End():
                        return [wire.SpokenAll(True)]
                return []

        self.provider = Provider("vendor", speak=Speak)
        store = MemoryStore(reactor, CacheSettings())
        self.dialler = Dialler(reactor, LinkSettings(), Answers(store, CacheSettings()))
        world: dict[str, Any] = {
            "clock": reactor,
            "registry": None,
            "dialler": self.dialler,
            "account": None,
        }
        self.world = World(**world)

    def tearDown(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self._end())

    async def _end(self) -> None:
        await self.dialler.stop()
        await self.port.stopListening()

    def speaking(self, key: str = "one", use_cache: bool = True) -> Speaking:
        """Speech on an account of that key."""
        settings = SpeakSettings("vendor", PCM24K)
        account = Account(key=Secret(key))
        return Speaking(self.provider, settings, account, use_cache=use_cache)

    async def call(self, text: str, **speaking: Any) -> bytes:
        """What is heard of ``text`` in a call of its own."""
        caller = Caller()
        session = Session(self.world, caller)
        await session.configure(CallSettings("s", speaking=self.speaking(**speaking)))
        complete: Deferred[None] = Deferred()

        def told(what: str, *more: Any) -> None:
            if what == "spoken_all":
                # Nobody hangs up within the very call that tells of the end.
                reactor.callLater(0, complete.callback, None)

        caller.on_call = told
        session.say(text)
        await complete
        await session.hang_up()
        self.assertEqual({len(one) for one in caller.of("audio")}, {480})
        return b"".join(caller.of("audio"))

    async def request(self, text: str, **speaking: Any) -> bytes:
        """What is heard of ``text`` over REST."""
        audio: list[bytes] = []
        formats: list[Any] = []
        synthesis = synthesize(
            self.world, self.speaking(**speaking), text, audio.append, formats.append
        )
        await synthesis.done
        return b"".join(audio)

    async def test_second_call(self) -> None:
        """A second call hears the same from the cache, in the same pieces (F-113, D-44)."""
        first = await self.call("Hello.")
        self.assertEqual(await self.call("Hello."), first)
        self.assertEqual(first, b"H" * 960)
        self.assertEqual(self.vendor.texts, [b"Hello."])

    async def test_call_and_request(self) -> None:
        """A call and a request share what was spoken (VM-07)."""
        self.assertEqual(await self.call("Hello."), await self.request("Hello."))
        self.assertEqual(await self.request("Bye."), await self.call("Bye."))
        self.assertEqual(self.vendor.texts, [b"Hello.", b"Bye."])

    async def test_two_requests(self) -> None:
        """So do two requests (VM-07)."""
        self.assertEqual(await self.request("Hello."), await self.request("Hello."))
        self.assertEqual(self.vendor.texts, [b"Hello."])

    async def test_other_account(self) -> None:
        """Another account does not hear it (TTS-01)."""
        await self.call("Hello.", key="one")
        await self.call("Hello.", key="two")
        self.assertEqual(len(self.vendor.texts), 2)

    async def test_without(self) -> None:
        """A caller may do without the cache."""
        await self.call("Hello.")
        await self.call("Hello.", use_cache=False)
        self.assertEqual(len(self.vendor.texts), 2)
