"""Connections that are open before they are used, and kept ones that are not open any more; on loopback."""

from typing import Any

from twisted.internet import reactor
from twisted.internet.protocol import Factory, Protocol
from twisted.internet.task import deferLater
from twisted.logger import LogEvent, globalLogPublisher
from twisted.web.http import Request as WebRequest

from tests.links.doubles import Heard, Say
from tests.links.http.test_link import CountingSite, HttpCase, Vendor, refuse, say
from tests.links.test_dial import DialCase, certificate
from tests.waiting import until
from waav import errors
from waav.links.dial import Dialler
from waav.links.http.traffic import BOUNDS_S
from waav.net.tls import Trust
from waav.speech import wire


class WarmTests(HttpCase):
    async def test_open_before_first_use(self) -> None:
        """At start a connection to a configured vendor is opened, and the first text of a call goes over it. (F-268, S-REQ-05)"""
        dialler = self.dialler(warm=2)
        dialler.keep_warm([wire.Opening(self.url), wire.Opening("engine:local")])
        await until(lambda: dialler._web.pool(self.url).figures.connections_idle == 2)
        self.assertEqual(self.vendor.texts, [])
        link = await self.link(dialler)
        link.send(wire.Speak("a"))
        await self.spoken()
        (figures,) = dialler.figures.values()
        self.assertEqual(figures.connections_reused, 1)
        await until(lambda: dialler._web.pool(self.url).figures.connections_idle >= 2)

    async def test_opened_again(self) -> None:
        """A warm connection that the vendor closes after its time is replaced before anybody asks. (F-268)"""
        dialler = self.dialler()
        dialler.keep_warm([wire.Opening(self.url)])
        pool = dialler._web.pool(self.url)
        await until(lambda: pool.figures.connections_idle)
        pool._idle[0].idle_since -= 60  # it is an old one
        pool._idle[0].transport.loseConnection()  # type: ignore[union-attr]
        await until(lambda: pool.figures.connections_opened == 2 and self.site.open == 1)

    async def test_ready_when_a_call_is_set_up(self) -> None:
        """The configuration of a call opens a connection, also for a caller's own key; its first text waits for no handshake. (F-268)"""
        dialler = self.dialler()
        link = await self.link(dialler)
        await until(lambda: dialler._web.pool(self.url).figures.connections_idle)
        self.assertEqual(self.vendor.texts, [])
        link.send(wire.Speak("a"))
        await self.spoken()
        self.assertEqual(len(self.vendor.clients), 1)
        (figures,) = dialler.figures.values()
        self.assertEqual((figures.connections_opened, figures.connections_reused), (1, 1))

    async def test_off(self) -> None:
        """With ``links.warmup: off`` a vendor hears of nobody who has nothing to say."""
        dialler = self.dialler(warmup="off")
        dialler.keep_warm([wire.Opening(self.url)])
        link = await self.link(dialler)
        await deferLater(reactor, 0.05)  # type: ignore[arg-type]
        self.assertEqual(self.site.open, 0)
        link.abort()

    async def test_a_vendor_that_is_not_there(self) -> None:
        """Calls with a vendor that cannot be reached are set up as before; nothing is logged for an operator to worry about. (S-REQ-05)"""
        events: list[LogEvent] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        dialler = self.dialler()
        nowhere = "http://127.0.0.1:1/"
        dialler.keep_warm([wire.Opening(nowhere)])
        link = await self.link(dialler, Say(nowhere))
        await until(lambda: [one for one in events if "no connection" in one["log_format"]])
        link.abort()
        (figures,) = dialler.figures.values()
        self.assertEqual((figures.total, figures.failed), (0, 0))
        self.assertEqual(
            {one["log_level"].name for one in events if one["log_namespace"].startswith("waav.")},
            {"debug"},
        )


class SecureWarmTests(DialCase):
    async def test_the_handshake_is_done(self) -> None:
        """The warm connection has its TLS handshake behind it: the request is the first thing that is said. (F-268)"""
        private, public = certificate("localhost", self.mktemp())
        vendor = Vendor()
        site = CountingSite(vendor)
        self.sites.append(site)
        port = reactor.listenSSL(0, site, private.options(), interface="127.0.0.1")  # type: ignore[attr-defined]
        self.ports.append(port)
        url = f"https://localhost:{port.getHost().port}/"
        dialler = self.dialler(trust=Trust(public))
        dialler.keep_warm([wire.Opening(url)])
        await until(lambda: dialler._web.pool(url).figures.connections_idle)
        link = await dialler.open("acme", lambda: Say(url), self.sink)
        link.send(wire.Speak("a"))
        await until(lambda: self.sink.of(wire.SpokenAll))
        self.assertEqual(dialler._web.pool(url).figures.connections_reused, 1)


class StaleVendor(Protocol):
    """Answers the first request of each connection, and hangs up at the second without a word."""

    def __init__(self, site: "StaleSite") -> None:
        self._site = site
        self._asked = 0

    def connectionMade(self) -> None:
        self._site.open += 1

    def dataReceived(self, data: bytes) -> None:
        self._asked += 1
        self._site.asked += 1
        if self._asked == 1:
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\n<a>")  # type: ignore[union-attr]
        else:
            self.transport.abortConnection()  # type: ignore[union-attr]

    def connectionLost(self, reason: Any = None) -> None:
        self._site.open -= 1


class StaleSite(Factory):
    open = asked = 0

    def buildProtocol(self, addr: Any) -> StaleVendor:
        return StaleVendor(self)


class StaleTests(HttpCase):
    def setUp(self) -> None:
        super().setUp()
        self.stale = StaleSite()
        port = reactor.listenTCP(0, self.stale, interface="127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        self.url = f"http://127.0.0.1:{port.getHost().port}/"

    async def stop(self) -> None:
        await super().stop()
        await until(lambda: not self.stale.open)

    async def twice(self, **fields: Any) -> Dialler:
        """Two texts, the second over a connection that the vendor has had enough of."""
        dialler = self.dialler(retries=0)
        for count in (1, 2):
            link = await self.link(dialler, Say(self.url, **fields))
            link.send(wire.Speak("a"))
            await self.spoken(count)
        return dialler

    async def test_asked_again_at_once(self) -> None:
        """A kept connection that turns out to be closed costs nothing: no failure, no wait, not one of the retries. (F-226)"""
        dialler = await self.twice()
        self.assertEqual(self.sink.audio, b"<a><a>")
        self.assertEqual(self.stale.asked, 3)
        (figures,) = dialler.figures.values()
        self.assertEqual((figures.succeeded, figures.failed, figures.retries), (2, 0, 1))

    async def test_what_may_not_be_repeated(self) -> None:
        """A request that changes something is not made again even then: the vendor may have done it. (S-REQ-02)"""
        await self.twice(repeatable=False)
        self.assertEqual(self.stale.asked, 2)
        (failed,) = self.sink.of(wire.Failed)
        self.assertIsInstance(failed.error, errors.ProviderLost)


class FiguresTests(HttpCase):
    async def test_every_request_counts(self) -> None:
        """Well, badly, or given up: each request is counted once, with what it took by class. (F-269, S-REQ-04)"""
        dialler = self.dialler(requests=1, retries=1)
        held: list[WebRequest] = []
        self.vendor.answer = lambda request, text: held.append(request)
        links = []
        for _ in range(3):
            links.append(await self.link(dialler))
            links[-1].send(wire.Speak("a"))
        await until(lambda: held)
        (figures,) = dialler.figures.values()
        self.assertEqual((figures.in_flight, figures.waiting, figures.total), (1, 2, 0))
        links[2].abort()  # in the queue
        say(held[0], "a")
        await until(lambda: len(held) == 2)
        links[1].abort()  # under way
        self.vendor.answer = refuse(503)
        last = await self.link(dialler)
        last.send(wire.Speak("b"))
        await self.spoken(2)
        (figures,) = dialler.figures.values()
        self.assertEqual(
            (figures.total, figures.succeeded, figures.failed, figures.retries), (4, 1, 1, 1)
        )
        self.assertEqual((figures.in_flight, figures.waiting), (0, 0))
        self.assertEqual(sum(figures.latency), 4)
        self.assertEqual(sum(figures.first_byte), 3)
        self.assertEqual(len(figures.latency), len(BOUNDS_S) + 1)
        self.assertGreaterEqual(figures.seconds, figures.first_byte_seconds)

    async def test_presets_take_effect(self) -> None:
        """The chosen preset decides how many requests a vendor gets at once, and how long he may take. (F-269)"""
        dialler = self.dialler(preset="low_latency")
        self.vendor.answer = lambda request, text: None
        links = [await self.link(dialler) for _ in range(25)]
        for link in links:
            link.send(wire.Speak("a"))
        await until(lambda: len(self.vendor.texts) == 20)
        (figures,) = dialler.figures.values()
        self.assertEqual((figures.in_flight, figures.waiting), (20, 5))
        limits = dialler._web.limits()
        self.assertEqual((limits.first_byte_s, limits.request_s), (2.0, 15.0))
        for link in links:
            link.abort()

    async def test_forgotten_hosts(self) -> None:
        """Of many hosts the least recently used are forgotten, with their connections; a busy one is not."""
        dialler = self.dialler()
        self.vendor.answer = lambda request, text: None
        busy = await self.link(dialler)
        busy.send(wire.Speak("a"))
        await until(lambda: self.vendor.texts)
        for number in range(100):
            dialler._web.pool(f"http://{number}.test/")
        self.assertEqual(len(dialler.figures), 64)
        self.assertIn(f"http://127.0.0.1:{self.port.getHost().port}", dialler.figures)
        busy.abort()


class OverLoopbackTests(HttpCase):
    async def test_several_sinks_one_connection_each(self) -> None:
        """Twenty calls that speak at the same time open twenty connections, and none when they speak again. (F-266)"""
        dialler = self.dialler()
        held: list[WebRequest] = []
        self.vendor.answer = lambda request, text: held.append(request)
        sinks = [Heard() for _ in range(20)]
        links = [await self.link(dialler, sink=sink) for sink in sinks]
        for count in (1, 2):
            for link in links:
                link.send(wire.Speak("a"))
            await until(lambda: len(held) == 20)
            while held:
                say(held.pop(), "x")
            for sink in sinks:
                await self.spoken(count, sink)
        (figures,) = dialler.figures.values()
        self.assertEqual(figures.connections_opened, 20)
        self.assertEqual(figures.succeeded, 40)
