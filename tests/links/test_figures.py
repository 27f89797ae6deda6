"""What is counted of a link, the same for every kind of link and so for every provider."""

from collections.abc import Iterator
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.links.doubles import PCM, Heard, Talk
from tests.links.http.test_link import HttpCase
from tests.links.websocket.test_link import LinkCase
from tests.waiting import until
from waav.links.dial import Dialler
from waav.links.engines.engines import Engines
from waav.links.engines.threads import Threads
from waav.links.figures import LinkFigures
from waav.links.settings import LinkSettings
from waav.speech import wire

SAID = (
    {"text": "one", "final": False},
    {"text": "one two", "confidence": 0.5},
    {"text": "", "confidence": 0.0},
    {"text": "three", "confidence": 1.0},
)
"""An interim, two finals, and a final without text, which is no result."""


class Upload(Talk):
    """A vendor that recognises finished pieces over HTTP: the answer to each is what it heard."""

    def send(self, command: wire.Command) -> list[wire.Outgoing]:
        if not isinstance(command, wire.Audio):
            return []
        return [wire.Request("POST", self.opening.url, {}, command.data)]

    def receive(self, incoming: wire.Incoming) -> list[wire.Event]:
        if not isinstance(incoming, wire.End):
            return []
        return [wire.Transcript("one", False), *_finals()]


class Hears(Talk):
    """A model that hears what was said."""

    def send(self, command: wire.Command) -> list[wire.Outgoing]:
        return [command.data] if isinstance(command, wire.Audio) else []

    def receive(self, incoming: wire.Incoming) -> list[wire.Event]:
        return [wire.Transcript("one", False), *_finals()]


def _finals() -> list[wire.Event]:
    return [
        wire.Transcript(one["text"], True, confidence=one["confidence"])  # type: ignore[arg-type]
        for one in SAID[1:]
    ]


class _Model:
    def feed(self, outgoing: str | bytes) -> Iterator[str | bytes]:
        yield outgoing

    def close(self) -> None: ...


class FiguresTests(SynchronousTestCase):
    def test_before_anything(self) -> None:
        """A link that is not up yet has no uptime and no mean of nothing."""
        figures = LinkFigures(Clock())  # type: ignore[arg-type]
        self.assertEqual(
            (figures.audio_bytes, figures.results, figures.finals, figures.uptime_s), (0, 0, 0, 0.0)
        )
        self.assertIsNone(figures.mean_confidence)


class WebSocketTests(LinkCase):
    def test_figures(self) -> None:
        """Bytes, results, finals, mean confidence and uptime of a streaming vendor can be read; the end stops the time. (STT-02)"""
        link = self.link()
        opening = Deferred.fromCoroutine(link.open())
        self.clock.advance(1.0)
        self.vendor.flush()
        self.successResultOf(opening)
        link.send(wire.Audio(bytes(640)))
        link.send(wire.Audio(bytes(320)))
        self.vendor.flush()
        for one in SAID:
            self.vendor.server.say(type="text", **one)
        self.vendor.advance(5.0)
        figures = link.figures
        self.assertEqual((figures.audio_bytes, figures.results, figures.finals), (960, 3, 2))
        self.assertEqual((figures.mean_confidence, figures.uptime_s), (0.75, 5.0))
        self.end(link)
        self.clock.advance(60.0)
        self.assertEqual(figures.uptime_s, 5.0)


class HttpTests(HttpCase):
    async def test_figures(self) -> None:
        """The same of a vendor that is given finished pieces. (STT-02)"""
        dialler = self.dialler()
        upload = Upload(wire.Opening(self.url), PCM)
        link: Any = await dialler.open("acme", lambda: upload, self.sink)
        link.send(wire.Audio(b"abcd"))
        await until(lambda: len(self.sink.finals) == 3)
        figures = link.figures
        self.assertEqual((figures.audio_bytes, figures.results, figures.finals), (4, 3, 2))
        self.assertEqual(figures.mean_confidence, 0.75)
        link.abort()
        stopped_at = figures.uptime_s
        self.assertGreater(stopped_at, 0.0)
        await until(lambda: True)
        self.assertEqual(figures.uptime_s, stopped_at)


class EngineTests(TestCase):
    async def test_figures(self) -> None:
        """The same of a model in this process. (STT-02)"""
        from twisted.internet import reactor

        engines, sink = Engines(reactor, Threads(reactor, 1), 8), Heard()
        self.addCleanup(engines.stop)
        opening = wire.Opening("engine:m", local=wire.Local("m", _Model, lambda loaded: loaded))
        dialler = Dialler(reactor, LinkSettings(), engines=engines)
        link: Any = await dialler.open("acme", lambda: Hears(opening, PCM), sink)
        link.send(wire.Audio(b"abcd"))
        await until(lambda: len(sink.finals) == 3)
        figures = link.figures
        self.assertEqual((figures.audio_bytes, figures.results, figures.finals), (4, 3, 2))
        self.assertEqual(figures.mean_confidence, 0.75)
        self.assertGreater(figures.uptime_s, 0.0)
        await link.close()
