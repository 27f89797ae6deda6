"""Synthesis over HTTP against a vendor on loopback, and with a clock where time matters."""

import gc
import gzip
import json
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.internet.testing import MemoryReactorClock
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.http import Request as WebRequest
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Site

from tests.links.doubles import Heard, Say
from tests.waiting import until
from waav import errors
from waav.cache.answers import AnswerRecording, Answers
from waav.cache.memory import MemoryStore
from waav.cache.settings import CacheSettings
from waav.links import link as link_module
from waav.links.dial import Dialler
from waav.links.http.exchange import Exchange, fetch
from waav.links.http.link import Job
from waav.links.http.parser import AnswerParser
from waav.links.http.web import Web
from waav.links.refusals import said_in
from waav.links.retry import retry_after_s, wait_s
from waav.links.settings import LinkSettings
from waav.speech import wire


class Vendor(Resource):
    """Answers as the test says: ``answer(request, text)`` writes to the request."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []
        self.headers: list[dict[str, str]] = []
        self.clients: set[Any] = set()
        self.gone: list[str] = []
        self.now = self.most = 0
        self.answer: Callable[[WebRequest, str], None] = lambda request, text: say(request, text)
        self.waiting: list[tuple[int, Deferred[None]]] = []

    def render(self, request: WebRequest) -> int:
        text = request.content.read().decode()
        self.texts.append(text)
        self.headers.append(
            {
                name.decode().lower(): values[0].decode()
                for name, values in request.requestHeaders.getAllRawHeaders()
            }
        )
        self.clients.add(request.getClientAddress().port)
        self.now += 1
        self.most = max(self.most, self.now)

        def ended(failure: Any) -> None:
            self.now -= 1
            if failure is not None:
                self.gone.append(text)

        request.notifyFinish().addCallbacks(lambda _: ended(None), ended)
        self.answer(request, text)
        for count, waiter in list(self.waiting):
            if len(self.texts) >= count:
                self.waiting.remove((count, waiter))
                waiter.callback(None)
        return NOT_DONE_YET


def say(request: WebRequest, text: str) -> None:
    request.setHeader("content-type", "audio/l16")
    request.write(f"<{text}>".encode())
    request.finish()


def refuse(status: int, body: bytes = b"", **headers: str) -> Callable[[WebRequest, str], None]:
    def answer(request: WebRequest, text: str) -> None:
        request.setResponseCode(status)
        for name, value in headers.items():
            request.setHeader(name.replace("_", "-"), value)
        request.write(body)
        request.finish()

    return answer


class CountingSite(Site):
    """Knows how many connections it has open."""

    open = 0

    def buildProtocol(self, address: Any) -> Any:
        protocol = super().buildProtocol(address)
        self.open += 1
        lost = protocol._channel.connectionLost

        def closed(reason: Any) -> None:
            self.open -= 1
            lost(reason)

        protocol._channel.connectionLost = closed
        return protocol


class HttpCase(TestCase):
    def setUp(self) -> None:
        self.vendor = Vendor()
        self.site = CountingSite(self.vendor)
        self.port = reactor.listenTCP(0, self.site, interface="127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(self.port.stopListening)
        self.url = f"http://127.0.0.1:{self.port.getHost().port}/v1/speak?model=a%20b&x=1&x=2"
        self.sink = Heard()
        self.store = MemoryStore(reactor, CacheSettings())  # type: ignore[arg-type]
        self.randoms: list[float] = []
        self.diallers: list[Dialler] = []
        self.addCleanup(lambda: Deferred.fromCoroutine(self.stop()))

    async def stop(self) -> None:
        await deferLater(reactor, 0)  # type: ignore[arg-type]
        for dialler in self.diallers:
            await dialler.stop()
        # The server's side of kept connections ends a moment after ours.
        await until(lambda: not self.site.open)

    def dialler(self, cached: bool = False, **settings: Any) -> Dialler:
        answers = Answers(self.store, CacheSettings()) if cached else None
        dialler = Dialler(
            reactor,
            LinkSettings(**settings),
            answers,
            random=lambda: self.randoms.pop(0) if self.randoms else 0.0,
            wall=lambda: 1_800_000_000.0,
        )

        self.diallers.append(dialler)
        return dialler

    async def link(
        self, dialler: Dialler | None = None, say: Say | None = None, sink: Any = None, **open_: Any
    ) -> Any:
        dialler = dialler or self.dialler()
        return await dialler.open("acme", lambda: say or Say(self.url), sink or self.sink, **open_)

    async def spoken(self, count: int = 1, sink: Heard | None = None) -> None:
        """Wait until ``count`` requests ended, well or badly."""
        heard = sink or self.sink
        await until(lambda: len(heard.of(wire.SpokenAll)) + len(heard.of(wire.Failed)) >= count)


class OrderTests(HttpCase):
    async def test_texts_are_spoken_in_order_one_at_a_time(self) -> None:
        """Three texts are heard in the order they were given; the vendor never has two at once. (F-175, S-TTS-10)"""
        link = await self.link()
        for text in ("one", "two", "three"):
            link.send(wire.Speak(text))
        await self.spoken(3)
        self.assertEqual(self.sink.audio, b"<one><two><three>")
        self.assertEqual(self.vendor.most, 1)
        kinds = [type(event).__name__ for event in self.sink.events]
        self.assertEqual(kinds, ["Spoken", "SpokenAll"] * 3)

    async def test_connections_are_kept(self) -> None:
        """Calls after each other use the same connection: no new handshake for each text. (F-226, F-266, S-REQ-01, S-TTS-50)"""
        dialler = self.dialler()
        for _ in range(3):
            link = await self.link(dialler)
            link.send(wire.Speak("a"))
            link.send(wire.Speak("b"))
            await link.close()
        self.assertEqual(len(self.vendor.texts), 6)
        self.assertEqual(len(self.vendor.clients), 1)
        (figures,) = dialler.figures.values()
        self.assertEqual(figures.connections_opened, 1)
        self.assertEqual((figures.total, figures.succeeded, figures.failed), (6, 6, 0))
        self.assertEqual(figures.in_flight, 0)

    async def test_answers_leave_nothing_behind(self) -> None:
        """The memory of an answer is free once it was given, not when the garbage collector comes by."""
        dialler = self.dialler(cached=True)
        link = await self.link(dialler)
        kinds = (AnswerParser, Exchange, Job, AnswerRecording)

        def there() -> set[int]:
            return {id(one) for one in gc.get_objects() if isinstance(one, kinds)}

        gc.collect()
        before = there()  # of other tests
        gc.disable()
        self.addCleanup(gc.enable)
        for number in range(5):
            link.send(wire.Speak(str(number)))
        await self.spoken(5)
        await link.close()
        self.assertEqual(there() - before, set())

    async def test_the_limit_per_host_holds_and_those_behind_wait_in_order(self) -> None:
        """A hundred calls at once do not become a hundred requests at one vendor. (F-266, S-REQ-01)"""
        dialler = self.dialler(requests=2)
        held: list[WebRequest] = []
        self.vendor.answer = lambda request, text: held.append(request)
        sinks = [Heard() for _ in range(5)]
        for i, sink in enumerate(sinks):
            link = await self.link(dialler, sink=sink)
            link.send(wire.Speak(str(i)))
        for count in (2, 3, 4, 5):
            await until(lambda count=count: len(self.vendor.texts) == count)
            say(held.pop(0), "x")
        await until(lambda: held)
        say(held.pop(0), "x")
        for sink in sinks:
            await self.spoken(1, sink)
        self.assertEqual(self.vendor.most, 2)
        # The first two have a connection each: which is there first is the network's affair.
        self.assertEqual(sorted(self.vendor.texts[:2]), ["0", "1"])
        self.assertEqual(self.vendor.texts[2:], ["2", "3", "4"])

    async def test_the_request_arrives_as_it_was_made(self) -> None:
        """Address, headers and body reach the vendor unchanged; nobody hears another tenant's cookies."""
        paths: list[bytes] = []

        def answer(request: WebRequest, text: str) -> None:
            paths.append(request.uri)
            request.addCookie("tenant", "one")
            say(request, text)

        self.vendor.answer = answer
        dialler = self.dialler()
        self.url += "&q=%7e+[]"
        link = await self.link(dialler)
        link.send(wire.Speak("grüß"))
        link.send(wire.Speak("b"))
        await self.spoken(2)
        other = await self.link(dialler)
        other.send(wire.Speak("c"))
        await self.spoken(3)
        self.assertEqual(paths[0], b"/v1/speak?model=a%20b&x=1&x=2&q=%7e+[]")
        for headers in self.vendor.headers:
            self.assertEqual(headers["authorization"], "Token k")
            self.assertEqual(headers["user-agent"], "waav")
            self.assertEqual(headers["accept-encoding"], "identity")
            self.assertNotIn("cookie", headers)
        self.assertEqual(self.vendor.texts, ["grüß", "b", "c"])

    async def test_a_vendor_that_compresses_all_the_same(self) -> None:
        """Audio that comes zipped although nobody asked for it is heard, not its zipped bytes; the cache keeps that."""

        def answer(request: WebRequest, text: str) -> None:
            request.setHeader("content-encoding", "gzip")
            request.write(gzip.compress(f"<{text}>".encode()))
            request.finish()

        self.vendor.answer = answer
        dialler = self.dialler(cached=True)
        for count in (1, 2):
            link = await self.link(dialler)
            link.send(wire.Speak("a"))
            await self.spoken(count)
        self.assertEqual(self.sink.audio, b"<a><a>")
        self.assertEqual(len(self.vendor.texts), 1)

    async def test_small_pieces_leave_at_once(self) -> None:
        """Connections to vendors have Nagle's algorithm off."""
        dialler = self.dialler()
        link = await self.link(dialler)
        link.send(wire.Speak("a"))
        await self.spoken()
        (kept,) = dialler._web.pool(self.url)._idle
        self.assertTrue(kept.transport.getTcpNoDelay())


class StreamTests(HttpCase):
    def dribble(self) -> None:
        self.held: list[WebRequest] = []

        def answer(request: WebRequest, text: str) -> None:
            request.write(f"<{text}".encode())
            self.held.append(request)

        self.vendor.answer = answer

    async def test_the_first_piece_does_not_wait_for_the_last(self) -> None:
        """Audio is heard while the vendor is still speaking. (F-175)"""
        self.dribble()
        link = await self.link()
        link.send(wire.Speak("a"))
        await until(lambda: self.sink.audio == b"<a")
        self.held[0].write(b">")
        self.held[0].finish()
        await self.spoken()
        self.assertEqual(self.sink.audio, b"<a>")

    async def test_clear_breaks_the_connection_and_nothing_older_comes(self) -> None:
        """An interruption stops the vendor's work; the next text is spoken, the old ones are not. (F-175, S-TTS-13)"""
        self.dribble()
        link = await self.link()
        for text in ("a", "b", "c"):
            link.send(wire.Speak(text))
        await until(lambda: self.sink.audio)
        link.send(wire.Clear())
        await until(lambda: self.vendor.gone == ["a"])
        self.sink.events.clear()
        self.vendor.answer = say
        link.send(wire.Speak("new"))
        await self.spoken()
        self.assertEqual(self.sink.audio, b"<new>")
        self.assertEqual(self.vendor.texts, ["a", "new"])
        self.assertEqual(self.sink.of(wire.Failed), [])

    async def test_clear_before_the_vendor_answers(self) -> None:
        """An interruption before the first byte leaves nothing running either. (S-TTS-13)"""
        self.vendor.answer = lambda request, text: None
        link = await self.link()
        link.send(wire.Speak("a"))
        await until(lambda: self.vendor.texts)
        link.send(wire.Clear())
        await until(lambda: self.vendor.gone == ["a"])
        self.assertEqual(self.sink.events, [])

    async def test_clear_inside_an_event(self) -> None:
        """An interruption caused by the audio itself is obeyed before the next event. (S-TTS-13)"""
        link = await self.link()
        self.sink.on_event = lambda _: link.send(wire.Clear())
        link.send(wire.Speak("a"))
        link.send(wire.Speak("b"))
        await until(lambda: self.sink.events)
        await deferLater(reactor, 0.05)  # type: ignore[arg-type]
        self.assertEqual(len(self.sink.events), 1)

    async def test_abort_while_paused(self) -> None:
        """A caller who leaves while his connection is full does not keep the vendor working."""
        self.dribble()
        link = await self.link()
        link.send(wire.Speak("a"))
        await until(lambda: self.sink.audio)
        link.pause()
        link.abort()
        await until(lambda: self.vendor.gone == ["a"])
        link.send(wire.Speak("b"))
        self.assertEqual(self.vendor.texts, ["a"])

    async def test_a_slow_caller_stops_the_vendor(self) -> None:
        """While the caller is full the vendor's data stays in the network; later all of it is heard. (S-TTS-12)"""
        block = b"x" * 65536
        sent = 0

        class Producer:
            def resumeProducing(self) -> None:
                nonlocal sent
                if sent < 400:
                    sent += 1
                    request.write(block)
                elif sent == 400:
                    sent += 1
                    request.unregisterProducer()
                    request.finish()

            def stopProducing(self) -> None: ...

        request: Any = None

        def answer(r: WebRequest, text: str) -> None:
            nonlocal request
            request = r
            r.registerProducer(Producer(), False)

        self.vendor.answer = answer
        link = await self.link()
        link.send(wire.Speak("a"))
        await until(lambda: self.sink.audio)
        link.pause()
        seen = -1
        while seen != sent:
            seen = sent
            await deferLater(reactor, 0.1)  # type: ignore[arg-type]
        self.assertLess(sent, 300)
        link.resume()
        await self.spoken()
        self.assertEqual(len(self.sink.audio), 400 * 65536)

    async def test_close_lets_the_last_text_end(self) -> None:
        """Hanging up politely lets what is being spoken be spoken, up to the limit."""
        self.dribble()
        link = await self.link(say=Say(self.url, finish_s=0.3))
        link.send(wire.Speak("a"))
        await until(lambda: self.held)
        closing = link.close()
        self.held[0].finish()
        await closing
        self.assertEqual(len(self.sink.of(wire.SpokenAll)), 1)
        other = await self.link(say=Say(self.url, finish_s=0.1))
        other.send(wire.Speak("b"))
        await until(lambda: len(self.held) == 2)
        await gatherResults([other.close(), other.close()])
        await until(lambda: self.vendor.gone == ["b"])
        await other.close()


class FailureTests(HttpCase):
    async def failed(self, link: Any = None, text: str = "a", count: int = 1) -> Any:
        link = link or await self.link()
        link.send(wire.Speak(text))
        await self.spoken(count)
        return self.sink.of(wire.Failed)[-1].error

    async def test_an_answer_cut_short_is_a_failure(self) -> None:
        """Half a sentence is never taken for a whole one, and is not asked for again. (S-TTS-17, S-TTS-51)"""

        def with_length(request: WebRequest, text: str) -> None:
            request.setHeader("content-length", "100")
            request.write(b"half")
            deferLater(reactor, 0.01, request.loseConnection)  # type: ignore[arg-type]

        def chunked(request: WebRequest, text: str) -> None:
            request.write(b"half")
            deferLater(reactor, 0.01, request.loseConnection)  # type: ignore[arg-type]

        for answer in (with_length, chunked):
            self.vendor.answer = answer
            error = await self.failed()
            self.assertIsInstance(error, errors.ProviderLost)
            self.assertEqual(self.sink.of(wire.SpokenAll), [])
            self.assertEqual(self.sink.audio, b"half")
            self.assertEqual(len(self.vendor.texts), 1)
            self.sink.events.clear()
            self.vendor.texts.clear()

    async def test_a_failed_text_does_not_stop_the_next(self) -> None:
        """One refused text is reported, the others are spoken. (S-TTS-15)"""
        self.vendor.answer = lambda request, text: (
            refuse(400, b'{"error":{"message":"no such voice"}}') if text == "bad" else say
        )(request, text)
        link = await self.link()
        for text in ("bad", "good"):
            link.send(wire.Speak(text))
        await self.spoken(2)
        (failed,) = self.sink.of(wire.Failed)
        self.assertEqual(str(failed.error), "acme answered HTTP 400: no such voice")
        self.assertIsInstance(failed.error, errors.ProviderRefused)
        self.assertEqual(self.sink.audio, b"<good>")
        self.assertEqual(self.vendor.texts, ["bad", "good"])

    async def test_a_rejected_key_fails_everything_that_waits(self) -> None:
        """The same wrong key is not presented again for each queued text."""
        for status in (401, 403):
            self.sink.events.clear()
            self.vendor.texts.clear()
            self.vendor.answer = refuse(status)
            link = await self.link()
            for text in ("a", "b", "c"):
                link.send(wire.Speak(text))
            await self.spoken(3)
            self.assertEqual(len(self.sink.of(wire.Failed)), 3)
            self.assertEqual(self.vendor.texts, ["a"])
            link.send(wire.Speak("later"))
            await self.spoken(4)
            self.assertEqual(self.vendor.texts, ["a", "later"])

    async def test_each_status_has_its_class_and_number_of_tries(self) -> None:
        """Refusals are reported at once, overload is tried three times. (F-180, F-267, S-TTS-51, S-REQ-02)"""
        dialler = self.dialler()
        for status, kind, tries in (
            (302, errors.ProviderRefused, 1),
            (400, errors.ProviderRefused, 1),
            (402, errors.ProviderRefused, 1),
            (404, errors.ProviderRefused, 1),
            (422, errors.ProviderRefused, 1),
            (408, errors.ProviderBusy, 3),
            (425, errors.ProviderBusy, 3),
            (429, errors.ProviderBusy, 3),
            (500, errors.ProviderBusy, 3),
            (503, errors.ProviderBusy, 3),
        ):
            self.sink.events.clear()
            self.vendor.texts.clear()
            self.vendor.answer = refuse(status, location="http://127.0.0.1:1/")
            error = await self.failed(await self.link(dialler))
            self.assertIs(type(error), kind, status)
            self.assertEqual(error.upstream_status, status)
            self.assertEqual(len(self.vendor.texts), tries, status)
        (figures,) = dialler.figures.values()
        self.assertEqual((figures.total, figures.failed, figures.retries), (10, 10, 10))

    async def test_it_works_the_second_time(self) -> None:
        """A vendor that stumbles once costs a short delay, not the sentence. (F-267, S-TTS-51)"""
        answers = [refuse(503), say]
        self.vendor.answer = lambda request, text: answers.pop(0)(request, text)
        link = await self.link()
        link.send(wire.Speak("a"))
        await self.spoken()
        self.assertEqual(self.sink.audio, b"<a>")
        self.assertEqual(self.sink.of(wire.Failed), [])

    async def test_what_may_not_be_repeated_is_not(self) -> None:
        """A request that changes something at the vendor is made once. (S-REQ-02)"""
        self.vendor.answer = refuse(503)
        await self.failed(await self.link(say=Say(self.url, repeatable=False)))
        self.assertEqual(len(self.vendor.texts), 1)

    async def test_retry_after(self) -> None:
        """A short Retry-After is waited for, a long one is passed on. (F-180, S-REQ-02)"""
        answers = [refuse(429, retry_after="150ms"), say]
        self.vendor.answer = lambda request, text: answers.pop(0)(request, text)
        began = reactor.seconds()  # type: ignore[attr-defined]
        link = await self.link()
        link.send(wire.Speak("a"))
        await self.spoken()
        self.assertGreaterEqual(reactor.seconds() - began, 0.14)  # type: ignore[attr-defined]
        self.assertEqual(self.sink.audio, b"<a>")
        self.vendor.texts.clear()
        self.vendor.answer = refuse(429, retry_after="Fri, 15 Jan 2027 08:01:00 GMT")
        error = await self.failed(link, "b", 2)
        self.assertEqual(error.retry_after_s, 60.0)
        self.assertEqual(self.vendor.texts, ["b"])

    async def test_waits_are_random_below_a_growing_bound(self) -> None:
        """Many calls that failed together do not come back together. (F-267, S-REQ-03)"""
        self.vendor.answer = refuse(503)
        self.randoms = [0.5, 0.25]
        dialler = self.dialler()
        waits: list[float] = []
        link = await self.link(dialler)
        self.patch(
            link_module,
            "deferLater",
            lambda clock, seconds: (waits.append(seconds), deferLater(clock, 0))[1],
        )
        await self.failed(link)
        self.assertEqual(waits, [0.1, 0.2])

    async def test_nobody_listens(self) -> None:
        """A vendor that cannot be reached is tried again and then named. (F-267, S-TTS-51)"""
        dialler = self.dialler()
        error = await self.failed(await self.link(dialler, Say("http://127.0.0.1:1/")))
        self.assertIsInstance(error, errors.ProviderLost)
        self.assertIn("could not be reached", str(error))
        self.assertEqual(dialler.figures["http://127.0.0.1:1"].retries, 2)

    async def test_hung_up_before_the_answer(self) -> None:
        """A connection that breaks before the first byte is made again. (F-267, S-TTS-51)"""
        answers = [lambda request, text: request.loseConnection(), say]
        self.vendor.answer = lambda request, text: answers.pop(0)(request, text)
        link = await self.link()
        link.send(wire.Speak("a"))
        await self.spoken()
        self.assertEqual(self.sink.audio, b"<a>")

    async def test_the_explanation_is_cut(self) -> None:
        """A vendor that answers with a web page does not flood the caller, and cuts no character. (S-REQ-10)"""
        sizes: list[int] = []

        class Reads(Say):
            def refused(self, head: wire.Head, body: bytes) -> errors.ProviderError:
                sizes.append(len(body))
                return errors.ProviderRefused("acme", "mine")

        self.vendor.answer = refuse(500, "ü".encode() * 100_000)
        error = await self.failed(await self.link(say=Reads(self.url)))
        self.assertEqual((str(error), error.upstream_status), ("mine", 500))
        self.assertEqual(sizes, [4096])
        self.assertEqual(len(self.vendor.texts), 1)
        self.vendor.answer = refuse(400, "ü".encode() * 100_000)
        error = await self.failed(count=2)
        self.assertLess(len(str(error)), 600)
        self.assertIn("üüü", str(error))

    async def test_junk_is_a_protocol_error(self) -> None:
        """What the dialogue cannot read is reported as the vendor's fault, once, and not repeated."""
        junk = Say(self.url)
        junk.is_junk = True
        error = await self.failed(await self.link(say=junk))
        self.assertIsInstance(error, errors.WireError)
        self.assertEqual(len(self.vendor.texts), 1)

    async def test_a_fault_of_ours_is_a_failure_of_one_text(self) -> None:
        """A text we stumble over is reported without inner details, the next is spoken."""
        link = await self.link()

        def stumble(event: wire.Event) -> None:
            self.sink.on_event = None
            raise ZeroDivisionError("inner detail")

        self.sink.on_event = stumble
        link.send(wire.Speak("a"))
        link.send(wire.Speak("b"))
        await self.spoken(2)
        (failed,) = self.sink.of(wire.Failed)
        self.assertEqual(str(failed.error), "acme: the request failed")
        self.assertEqual(len(self.sink.of(wire.SpokenAll)), 1)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    async def test_limits_in_time(self) -> None:
        """A silent vendor is given up: before its first byte, between two, and altogether. (S-TTS-52)"""

        def silent(request: WebRequest, text: str) -> None: ...

        def stops(request: WebRequest, text: str) -> None:
            request.write(b"x")

        async def never_ends(request: WebRequest) -> None:
            while not request._disconnected:
                request.write(b"x")
                await deferLater(reactor, 0.02)  # type: ignore[arg-type]

        writing: list[Deferred[None]] = []

        def babbles(request: WebRequest, text: str) -> None:
            writing.append(Deferred.fromCoroutine(never_ends(request)))

        for answer, settings, open_, words in (
            (silent, {"dial_s": 0.2, "first_byte_s": 0.2}, {}, "did not answer"),
            (silent, {}, {"request_s": 0.3}, "did not answer"),
            (stops, {"idle_s": 0.2}, {}, "sent nothing"),
            (babbles, {"idle_s": 1.0}, {"request_s": 0.4}, "did not finish"),
        ):
            self.sink.events.clear()
            self.vendor.texts.clear()
            self.vendor.gone.clear()
            self.vendor.answer = answer
            error = await self.failed(await self.link(self.dialler(**settings), **open_))
            self.assertIsInstance(error, errors.ProviderTimeout)
            self.assertIn(words, str(error))
            await until(lambda: self.vendor.gone == ["a"])
            self.assertEqual(len(self.vendor.texts), 1)
        await gatherResults(writing)


class DialLimitTests(SynchronousTestCase):
    """Vendors that cannot be reached, on a clock."""

    def fetch(self, **settings: Any) -> tuple[MemoryReactorClock, Deferred[bytes]]:
        """Ask an address at which nobody ever answers."""
        clock = MemoryReactorClock()
        request = wire.Request("GET", "http://192.0.2.1/voices", {})
        web = Web(clock, LinkSettings(retries=0, **settings))
        return clock, Deferred.fromCoroutine(fetch(web, "acme", request))

    def test_the_connection(self) -> None:
        """A vendor that is not there costs 5 s, less where the operator wants less, not the system's minutes. (S-TTS-52)"""
        for settings, limit_s in (
            ({}, 5.0),
            ({"dial_s": 3.0}, 3.0),
            ({"connect_s": 7.0}, 7.0),
            ({"preset": "low_latency"}, 0.25),
        ):
            clock, fetching = self.fetch(**settings)
            [(_, _, _, timeout_s, _)] = clock.tcpClients
            self.assertEqual(timeout_s, limit_s)
            fetching.cancel()
            self.failureResultOf(fetching)

    def test_all_of_it(self) -> None:
        """A dial that does not even fail is given up all the same, after 10 s. (S-TTS-52)"""
        for settings, limit_s in (
            ({}, 10.0),
            ({"dial_s": 1.0, "first_byte_s": 2.0}, 1.0),
            ({"request_s": 4.0}, 4.0),
        ):
            clock, fetching = self.fetch(**settings)
            clock.pump([0.1] * round(limit_s * 10 - 1))
            self.assertNoResult(fetching)
            clock.advance(0.11)
            error = self.failureResultOf(fetching, errors.ProviderTimeout).value
            self.assertEqual(str(error), f"acme did not answer within {limit_s:.1f} s")


class FetchTests(HttpCase):
    async def test_a_document(self) -> None:
        """Lists of voices come whole. (S-REQ-01)"""
        self.vendor.answer = refuse(200, b'["a"]')
        body = await self.dialler().fetch("acme", wire.Request("GET", self.url, {}))
        self.assertEqual(json.loads(body), ["a"])

    async def test_a_document_too_large(self) -> None:
        """A vendor cannot fill our memory with a list. (S-REQ-10)"""
        self.vendor.answer = refuse(200, b"x" * (1024 * 1024 + 1))
        fetching = self.dialler().fetch("acme", wire.Request("GET", self.url, {}))
        error = await self.assertFailure(fetching, errors.WireError)
        self.assertIn("more than is allowed", str(error))

    async def test_a_refusal(self) -> None:
        """A refused list is an error with the vendor's status."""
        self.vendor.answer = refuse(403, b"no")
        fetching = self.dialler().fetch("acme", wire.Request("GET", self.url, {}))
        error = await self.assertFailure(fetching, errors.ProviderRefused)
        self.assertEqual(error.upstream_status, 403)


class CacheTests(HttpCase):
    async def speak(self, dialler: Dialler, text: str = "a", **open_: Any) -> Heard:
        sink = Heard()
        link = await self.link(dialler, sink=sink, **open_)
        link.send(wire.Speak(text))
        await self.spoken(1, sink)
        return sink

    async def test_the_second_time_it_comes_from_here(self) -> None:
        """The same words of the same account are asked for once; other words and accounts are not mixed up. (F-113, F-177, VM-07, TTS-03, S-TTS-21)"""
        dialler = self.dialler(cached=True)
        first = await self.speak(dialler, fingerprint="f")
        second = await self.speak(dialler, fingerprint="f")
        self.assertEqual(self.vendor.texts, ["a"])
        self.assertEqual(first.events[-1], second.events[-1])
        self.assertEqual(first.audio, second.audio)
        await self.speak(dialler, fingerprint="g")
        await self.speak(dialler, "b", fingerprint="f")
        self.assertEqual(self.vendor.texts, ["a", "a", "b"])

    async def test_only_where_wanted(self) -> None:
        """A call, or a request, can say no to the cache. (S-TTS-25)"""
        dialler = self.dialler(cached=True)
        for _ in range(2):
            await self.speak(dialler, use_cache=False)
            await self.speak(dialler, say=Say(self.url, cacheable=False))
        self.assertEqual(len(self.vendor.texts), 4)

    async def test_no_half_answers(self) -> None:
        """A broken or interrupted answer is asked for again. (S-TTS-22)"""
        dialler = self.dialler(cached=True)

        def half(request: WebRequest, text: str) -> None:
            request.write(b"half")
            deferLater(reactor, 0.01, request.loseConnection)  # type: ignore[arg-type]

        self.vendor.answer = half
        await self.speak(dialler)
        self.vendor.answer = lambda request, text: request.write(b"half")
        sink = Heard()
        link = await self.link(dialler, sink=sink)
        link.send(wire.Speak("a"))
        await until(lambda: sink.audio)
        link.send(wire.Clear())
        await until(lambda: self.vendor.gone[-1:] == ["a"])
        self.vendor.answer = say
        self.assertEqual((await self.speak(dialler)).audio, b"<a>")
        self.assertEqual(len(self.vendor.texts), 3)

    async def test_a_caller_who_leaves_with_the_last_event(self) -> None:
        """An answer that was heard to its end is kept, even by a caller who hangs up that very moment. (S-TTS-22)"""
        dialler = self.dialler(cached=True)
        link = await self.link(dialler)

        def leave(event: wire.Event) -> None:
            if isinstance(event, wire.SpokenAll):
                link.abort()

        self.sink.on_event = leave
        link.send(wire.Speak("a"))
        await self.spoken()
        self.assertEqual((await self.speak(dialler)).audio, b"<a>")
        self.assertEqual(len(self.vendor.texts), 1)

    async def test_an_answer_without_an_end_is_not_kept(self) -> None:
        """Where only the connection's end says that it is over, nobody knows whether it was whole. (S-TTS-22)"""

        def closes(request: WebRequest, text: str) -> None:
            request.channel.transport.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<a>")
            request.channel.loseConnection()

        self.vendor.answer = closes
        dialler = self.dialler(cached=True)
        self.assertEqual((await self.speak(dialler)).audio, b"<a>")
        await self.speak(dialler)
        self.assertEqual(len(self.vendor.texts), 2)

    async def test_replay_in_pieces_with_pause_and_clear(self) -> None:
        """A remembered answer is interrupted and held back like a fresh one. (S-TTS-23)"""
        dialler = self.dialler(cached=True)
        self.vendor.answer = refuse(200, bytes(range(256)) * 1024)
        await self.speak(dialler)
        sink = Heard()
        link = await self.link(dialler, sink=sink)
        sink.on_event = lambda _: link.pause()
        link.send(wire.Speak("a"))
        await until(lambda: sink.events)
        await deferLater(reactor, 0.05)  # type: ignore[arg-type]
        self.assertEqual(len(sink.audio), 16384)
        link.resume()
        await until(lambda: len(sink.events) == 2)
        sink.on_event = None
        link.send(wire.Clear())
        link.resume()
        await deferLater(reactor, 0.05)  # type: ignore[arg-type]
        self.assertEqual(len(sink.events), 2)
        link.send(wire.Speak("a"))
        await self.spoken(1, sink)
        self.assertEqual(len(sink.audio), 2 * 16384 + 262144)
        self.assertEqual(len(self.vendor.texts), 1)

    async def test_many_at_once_ask_once(self) -> None:
        """The same prompt for ten callers at the same moment is one request; the first may leave. (S-TTS-24)"""
        dialler = self.dialler(cached=True)
        held: list[WebRequest] = []
        self.vendor.answer = lambda request, text: held.append(request)
        sinks = [Heard() for _ in range(5)]
        links = []
        for sink in sinks:
            links.append(await self.link(dialler, sink=sink))
            links[-1].send(wire.Speak("a"))
        await until(lambda: held)
        links[0].abort()
        await until(lambda: len(held) == 2)
        say(held[1], "a")
        for sink in sinks[1:]:
            await self.spoken(1, sink)
            self.assertEqual(sink.audio, b"<a>")
        self.assertEqual(sinks[0].events, [])
        self.assertEqual(len(self.vendor.texts), 2)


class RetryAfterTests(SynchronousTestCase):
    def test_all_its_spellings(self) -> None:
        """Seconds, decimals, durations and dates are understood; the rest is ignored. (F-180)"""
        now = 1_800_000_000.0
        for text, seconds in (
            ("3", 3.0),
            (" 1.5 ", 1.5),
            ("-2", 0.0),
            ("750ms", 0.75),
            ("2s", 2.0),
            ("1m30s", 90.0),
            ("1h", 3600.0),
            ("Fri, 15 Jan 2027 08:00:10 GMT", 10.0),
            ("Fri, 15 Jan 2027 07:00:10 GMT", 0.0),
            ("soon", None),
            ("", None),
            (None, None),
            ("nan", None),
            ("inf", None),
        ):
            self.assertEqual(retry_after_s(text, now), seconds, text)

    def test_patience(self) -> None:
        """A vendor may have us wait 5 s; what takes him longer is told to the caller instead. (F-180, S-TTS-51)"""
        for asked_s, waited_s in ((0.0, 0.0), (5.0, 5.0), (5.1, None), (59.0, None)):
            busy = errors.ProviderBusy("acme", "busy", retry_after_s=asked_s)
            self.assertEqual(wait_s(busy, 0, 0.2, 3.2, lambda: 1.0), waited_s)
        refused = errors.ProviderRefused("acme", "no", retry_after_s=1.0)
        self.assertIsNone(wait_s(refused, 0, 0.2, 3.2, lambda: 1.0))

    @given(st.text())
    def test_junk(self, text: str) -> None:
        """Whatever a vendor sends there, it is a number or nothing."""
        seconds = retry_after_s(text, 0.0)
        self.assertTrue(seconds is None or seconds >= 0)

    def test_the_message_inside(self) -> None:
        """People read the vendor's sentence, not its JSON."""
        for body, said in (
            (b'{"err_code":"X","err_msg":"no credits"}', "no credits"),
            (b'{"error":{"message":"bad key","type":"t"}}', "bad key"),
            (b'{"detail":{"status":"s","message":"quota"}}', "quota"),
            (b'{"detail":"Not Found"}', "Not Found"),
            (b'{"x":1}', '{"x":1}'),
            (b"plain", "plain"),
            (b"\xff", "\ufffd"),
        ):
            self.assertEqual(said_in(body), said)
