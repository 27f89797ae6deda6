"""The gateway over real sockets, with a vendor on the other side: what memory transports cannot show."""

import json
from collections.abc import Callable
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, TCP4ServerEndpoint, connectProtocol
from twisted.internet.interfaces import IPushProducer
from twisted.internet.protocol import Protocol
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site
from zope.interface import implementer

from tests.gateway.web import Answer, parse
from waav.cache.answers import Answers
from waav.cache.memory import MemoryStore
from waav.cache.settings import CacheSettings
from waav.gateway.admission.live import LiveConnections
from waav.gateway.admission.slots import Slots
from waav.gateway.http.site import build_site
from waav.gateway.settings import (
    ConsoleSettings,
    SecuritySettings,
    SpeechDefaults,
    WebSocketSettings,
)
from waav.gateway.voice.ws import VoiceFactory
from waav.links.dial import Dialler
from waav.links.settings import LinkSettings
from waav.registry import Registry
from waav.secret import Secret
from waav.session.world import World
from waav.speech import wire
from waav.speech.audio import AudioFormat, AudioFrame
from waav.speech.provider import Account, Provider, SpeakSettings


class Until:
    """Something that others wait for."""

    def __init__(self) -> None:
        self._waiting: list[tuple[Callable[[], bool], Deferred[None]]] = []

    def until(self, is_so: Callable[[], bool]) -> Deferred[None]:
        """Fires as soon as it is so."""
        waiter: Deferred[None] = Deferred()
        self._waiting.append((is_so, waiter))
        self.changed()
        return waiter

    def changed(self) -> None:
        """Look again."""
        for pair in [pair for pair in self._waiting if pair[0]()]:
            self._waiting.remove(pair)
            pair[1].callback(None)


class Browser(Protocol, Until):
    """A client on a socket."""

    def __init__(self) -> None:
        Until.__init__(self)
        self.data = bytearray()
        self.gone: Failure | None = None

    @property
    def answer(self) -> Answer:
        """What has come so far."""
        return parse(bytes(self.data), "POST")

    def dataReceived(self, data: bytes) -> None:
        self.data += data
        self.changed()

    def connectionLost(self, reason: Any = None) -> None:
        self.gone = reason
        self.changed()


class Vendor(Resource, Until):
    """Speaks whatever it is told to, when it is told to."""

    isLeaf = True

    def __init__(self) -> None:
        Resource.__init__(self)
        Until.__init__(self)
        self.asked: list[Any] = []
        self.texts: list[str] = []
        self.ports: set[int] = set()
        self.left = 0
        self.is_quick = False

    def render_POST(self, request: Any) -> int | bytes:
        """One synthesis."""
        self.texts.append(request.content.read().decode())
        self.ports.add(request.getClientAddress().port)
        self.asked.append(request)
        if self.is_quick:
            return b"abcd"
        request.notifyFinish().addErrback(self._leaves)
        self.changed()
        return NOT_DONE_YET

    def _leaves(self, _: Failure) -> None:
        self.left += 1
        self.changed()


@implementer(IPushProducer)
class Flood:
    """A vendor that sends as fast as it is let."""

    size_bytes = 32 * 1024 * 1024

    def __init__(self, request: Any) -> None:
        self._request = request
        self.sent_bytes = 0
        self.stalled: Deferred[None] = Deferred()
        self._is_paused = False
        self._turns = 0
        request.registerProducer(self, True)
        reactor.callLater(0, self._turn)

    def resumeProducing(self) -> None:
        self._is_paused = False

    def pauseProducing(self) -> None:
        self._is_paused = True
        self._turns = 0

    def stopProducing(self) -> None:
        self._request = None

    def _turn(self) -> None:
        """Send, or count how long nothing could be sent: many turns of the reactor are no hiccup."""
        if self._request is None:
            return
        if not self._is_paused:
            if self.sent_bytes >= self.size_bytes:
                self._request.unregisterProducer()
                self._request.finish()
                if not self.stalled.called:
                    self.stalled.errback(AssertionError("nobody stopped the vendor"))
                return
            self.sent_bytes += 65536
            self._request.write(bytes(65536))
        self._turns += 1
        if self._is_paused and self._turns > 2000 and not self.stalled.called:
            self.stalled.callback(None)
        reactor.callLater(0, self._turn)


class Speak:
    """The vendor's dialogue: the text goes out as it is, audio comes back as it is."""

    format = AudioFormat(rate_hz=24000)

    def __init__(self, url: str) -> None:
        self._url = url
        self.opening = wire.Opening(url)

    def send(self, command: wire.Command) -> list[wire.Outgoing]:
        """Only texts are sent."""
        if isinstance(command, wire.Speak):
            body = command.text.encode()
            return [wire.Request("POST", self._url + "/speak", {}, body, cacheable=True)]
        return []

    def receive(self, incoming: wire.Incoming) -> list[wire.Event]:
        """Raw audio."""
        match incoming:
            case wire.Body(data):
                return [wire.Spoken(AudioFrame(self.format, data))]
            case wire.End():
                return [wire.SpokenAll()]
        return []


class SocketTests(TestCase):
    """A gateway on one port, a vendor on another."""

    async def setUp(self) -> None:
        self.vendor = Vendor()
        there = await self.listen(Site(self.vendor))

        def speak(settings: SpeakSettings, account: Account) -> wire.Dialogue:
            return Speak(f"http://127.0.0.1:{there}")

        links = LinkSettings()
        answers = Answers(MemoryStore(reactor, CacheSettings()), CacheSettings())
        dialler = Dialler(reactor, links, answers)
        self.addCleanup(dialler.stop)
        world = World(
            reactor,
            Registry([Provider("chime", "Chime", speak=speak)]),
            dialler,
            lambda provider, key: Account(key or Secret("server")),
        )
        security = SecuritySettings(rate_limit_requests_per_second=100_000)
        voice = VoiceFactory(world, WebSocketSettings(), LiveConnections(reactor))
        self.port = await self.listen(
            build_site(
                reactor,
                world,
                security,
                SpeechDefaults(),
                ConsoleSettings(enabled=False),
                voice,
                Slots(None, None),
            )
        )

    async def listen(self, site: Site) -> int:
        port = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(site)
        self.addCleanup(port.stopListening)
        return port.getHost().port

    async def browser(self) -> Browser:
        browser = await connectProtocol(
            TCP4ClientEndpoint(reactor, "127.0.0.1", self.port), Browser()
        )
        self.addCleanup(browser.transport.abortConnection)
        return browser

    def speak(self, browser: Browser, text: str, **config: Any) -> None:
        body = json.dumps({"text": text, "tts_config": {"provider": "chime", **config}}).encode()
        browser.transport.write(
            b"POST /speak HTTP/1.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: %d\r\n\r\n" % len(body) + body
        )

    async def said(self, text: str, **config: Any) -> bytes:
        """A whole synthesis with a vendor that answers ``abcd`` at once."""
        self.vendor.is_quick = True
        browser = await self.browser()
        self.speak(browser, text, **config)
        await browser.until(lambda: browser.answer.is_complete)
        return browser.answer.body

    async def streaming(self) -> Browser:
        """A browser that has got the first piece of its answer."""
        browser = await self.browser()
        self.speak(browser, "Hello.")
        await self.vendor.until(lambda: bool(self.vendor.asked))
        self.vendor.asked[0].write(b"abcd")
        await browser.until(lambda: b"abcd" in browser.data)
        return browser

    async def test_first_byte_early(self) -> None:
        """The first audio reaches the caller while the vendor is still speaking (F-223)."""
        browser = await self.streaming()
        self.assertFalse(browser.answer.is_complete)
        self.vendor.asked[0].write(b"efgh")
        self.vendor.asked[0].finish()
        await browser.until(lambda: browser.answer.is_complete)
        self.assertEqual(browser.answer.body, b"abcdefgh")

    async def test_cut_off(self) -> None:
        """If the vendor's answer is cut off, so is ours: the caller's library reports an error (F-225)."""
        browser = await self.streaming()
        self.vendor.asked[0].transport.abortConnection()
        await browser.until(lambda: browser.gone is not None)
        self.assertFalse(browser.answer.is_complete)

    async def test_hung_up(self) -> None:
        """A caller who hangs up makes the gateway hang up on the vendor."""
        browser = await self.streaming()
        browser.transport.abortConnection()
        await self.vendor.until(lambda: self.vendor.left == 1)

    async def test_back_pressure(self) -> None:
        """A caller who does not read stops the vendor: nothing piles up here, and nothing is lost."""
        browser = await self.browser()
        self.speak(browser, "Hello.")
        browser.transport.pauseProducing()
        await self.vendor.until(lambda: bool(self.vendor.asked))
        flood = Flood(self.vendor.asked[0])
        await flood.stalled
        self.assertLess(flood.sent_bytes, flood.size_bytes / 2)
        browser.transport.resumeProducing()
        await browser.until(lambda: browser.data.endswith(b"\r\n0\r\n\r\n"))
        self.assertEqual(browser.answer.body, bytes(flood.size_bytes))

    async def test_same_cache(self) -> None:
        """The same text and settings twice are one upstream synthesis, and sound the same (D-11, VM-07)."""
        first = await self.said("Hello.")
        second = await self.said("Hello.")
        self.assertEqual((first, second), (b"abcd", b"abcd"))
        self.assertEqual(self.vendor.texts, ["Hello."])

    async def test_pronunciations(self) -> None:
        """A pronunciation is applied once, to whole words whatever their capitals, as it stands (D-08, SPK-01)."""
        await self.said(
            "SQL and sql, SQLite",
            pronunciations=[{"word": "SQL", "pronunciation": "the SQL $1 way"}],
        )
        self.assertEqual(self.vendor.texts, ["the SQL $1 way and the SQL $1 way, SQLite"])

    async def test_connections_are_kept(self) -> None:
        """Callers one after the other use the same connection to the vendor (F-226)."""
        for text in ("One.", "Two.", "Three."):
            await self.said(text)
        self.assertEqual(len(self.vendor.texts), 3)
        self.assertEqual(len(self.vendor.ports), 1)

    async def test_a_large_body(self) -> None:
        """Who sends far too much can still read why he was refused (S-LIM-20)."""
        browser = await self.browser()
        browser.transport.write(
            b"POST /speak HTTP/1.1\r\nContent-Type: application/json\r\n"
            b"Content-Length: 8000000\r\n\r\n"
        )
        for _ in range(80):
            browser.transport.write(bytes(100_000))
        await browser.until(lambda: browser.answer.is_complete)
        self.assertEqual(browser.answer.status, 413)
        self.assertIsNone(browser.gone)
