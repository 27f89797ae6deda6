"""A vendor side in memory: dialler and links that do what a test tells them."""

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import Clock

from waav.links.dial import Link, Sink
from waav.links.engines.turn_queue import TurnShare
from waav.links.figures import LinkFigures
from waav.speech import wire
from waav.speech.audio import AudioFormat, AudioFrame
from waav.speech.provider import Account, ListenSettings, Provider, SpeakSettings

PCM16K = AudioFormat("linear16", 16000)
PCM24K = AudioFormat("linear16", 24000)


class FakeDialogue:
    """A dialogue whose format is all anybody asks for: the fake links run none."""

    def __init__(self, format: AudioFormat, url: str = "fake:vendor") -> None:
        self.format = format
        self.opening = wire.Opening(url)

    def send(self, command: wire.Command) -> list[wire.Outgoing]:
        return []

    def receive(self, incoming: wire.Incoming) -> list[wire.Event]:
        return []


def listening_provider(
    name: str = "ears", format: AudioFormat | None = None, **more: Any
) -> Provider:
    """A provider that recognises, and wants ``format`` or else what the caller sends."""

    def listen(settings: ListenSettings, account: Account) -> FakeDialogue:
        return FakeDialogue(format or settings.format)

    return Provider(name, listen=listen, **more)


def speaking_provider(
    name: str = "mouth", format: AudioFormat | None = None, **more: Any
) -> Provider:
    """A provider that speaks, in ``format`` or else in what the caller wants."""

    def speak(settings: SpeakSettings, account: Account) -> FakeDialogue:
        return FakeDialogue(format or settings.format)

    return Provider(name, speak=speak, **more)


class FakeLink:
    """Records what is sent; ``tell`` plays the vendor."""

    def __init__(
        self, provider: str, sink: Sink, options: dict[str, Any], clock: IReactorTime
    ) -> None:
        self.figures = LinkFigures(clock)
        self.figures.began()
        self.provider = provider
        self.sink = sink
        self.options = options
        self.sent: list[wire.Command] = []
        self.answer: Callable[[wire.Command], None] | None = None
        self.is_paused = False
        self.is_aborted = False
        self.is_closed = False
        self.closing: Deferred[None] | None = None
        self.last_words: list[wire.Event] = []
        self.abort_error: Exception | None = None

    def send(self, command: wire.Command) -> None:
        self.sent.append(command)
        self.figures.said(command)
        if self.answer is not None:
            self.answer(command)

    def send_audio(self, data: bytes) -> None:
        self.send(wire.Audio(data))

    def pause(self) -> None:
        self.is_paused = True

    def resume(self) -> None:
        self.is_paused = False

    def close(self) -> Deferred[None]:
        self.is_closed = True
        self.tell(*self.last_words)
        self.figures.ended()
        return self.closing if self.closing is not None else succeed(None)

    def abort(self) -> None:
        self.is_aborted = True
        self.figures.ended()
        if self.abort_error is not None:
            raise self.abort_error

    def tell(self, *events: wire.Event) -> None:
        for event in events:
            self.figures.heard(event)
            self.sink.event(event)

    def speak(self, format: AudioFormat, *pieces: bytes) -> None:
        """Deliver audio."""
        for piece in pieces:
            self.sink.event(wire.Spoken(AudioFrame(format, piece)))

    @property
    def audio(self) -> bytes:
        return b"".join(one.data for one in self.sent if isinstance(one, wire.Audio))

    @property
    def texts(self) -> list[str]:
        return [one.text for one in self.sent if isinstance(one, wire.Speak)]


class FakeEngines:
    """Workers that answer when the test says so."""

    def __init__(self) -> None:
        self.workers: list[FakeWorker] = []
        self.error: Exception | None = None
        self.asked_for: list[wire.Local] = []
        self.shares: list[TurnShare] = []
        self.waiting: list[Deferred[Any]] | None = None

    def converse(self, local: wire.Local, share: TurnShare = TurnShare()) -> Deferred[Any]:
        self.asked_for.append(local)
        self.shares.append(share)
        if self.error is not None:
            error = self.error

            async def fail() -> None:
                raise error

            return Deferred.fromCoroutine(fail())
        if self.waiting is not None:
            later: Deferred[Any] = Deferred()
            self.waiting.append(later)
            return later
        worker = FakeWorker()
        self.workers.append(worker)
        return succeed(worker)


class FakeWorker:
    def __init__(self) -> None:
        self.fed: list[str | bytes] = []
        self.answers: list[Deferred[list[str | bytes]]] = []
        self.is_closed = False

    def feed(self, data: str | bytes) -> Deferred[list[str | bytes]]:
        self.fed.append(data)
        answer: Deferred[list[str | bytes]] = Deferred()
        self.answers.append(answer)
        return answer

    def close(self) -> None:
        self.is_closed = True


class FakeDialler:
    """Opens ``FakeLink``s: at once, or when the test says ``accept``.

    Attributes:
        links: all that were opened, in order.
        clock: of the links' figures.
        is_slow: opening waits for ``accept`` or ``refuse``.
        errors: by provider name, what opening fails with.
    """

    def __init__(self, clock: IReactorTime | None = None) -> None:
        self.clock = clock or Clock()
        self.links: list[FakeLink] = []
        self.is_slow = False
        self.errors: dict[str, Exception] = {}
        self.waiting: list[tuple[FakeLink, Deferred[Link]]] = []
        self.cancelled: list[str] = []
        self.engines = FakeEngines()
        self.says_at_once: list[wire.Event] = []  # said before the connection counts as open

    def open(
        self,
        provider: str,
        dialogue: Callable[[], wire.Dialogue],
        sink: Sink,
        **options: Any,
    ) -> Deferred[Link]:
        link = FakeLink(provider, sink, options, self.clock)
        dialogue()
        link.tell(*self.says_at_once)
        opening: Deferred[Link] = Deferred(lambda _: self.cancelled.append(provider))
        if provider in self.errors:
            opening.errback(self.errors[provider])
        elif self.is_slow:
            self.waiting.append((link, opening))
        else:
            self.links.append(link)
            opening.callback(link)
        return opening

    def accept(self, provider: str) -> FakeLink:
        """The vendor's connection is there."""
        link, opening = self._take(provider)
        self.links.append(link)
        opening.callback(link)
        return link

    def refuse(self, provider: str, error: Exception) -> None:
        """The vendor cannot be reached."""
        self._take(provider)[1].errback(error)

    def link(self, provider: str) -> FakeLink:
        """The latest link to that provider."""
        return next(one for one in reversed(self.links) if one.provider == provider)

    def waiting_providers(self) -> list[str]:
        """Who is being dialled, in the order of asking."""
        return [link.provider for link, opening in self.waiting if not opening.called]

    def _take(self, provider: str) -> tuple[FakeLink, Deferred[Link]]:
        for one in self.waiting:
            if one[0].provider == provider:
                self.waiting.remove(one)
                return one
        raise AssertionError(f"nobody dials {provider}")
