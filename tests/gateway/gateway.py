"""A whole gateway without a network: the site, with vendors that a test plays."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.web.resource import IResource

from tests.gateway.web import Client
from waav.errors import MissingCredentials
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
from waav.registry import Registry
from waav.secret import Secret
from waav.session.call_settings import Speaking
from waav.session.world import World
from waav.speech import wire
from waav.speech.audio import AudioFormat
from waav.speech.provider import Account, Provider, SpeakSettings, Voice

SERVER_KEY = Secret("the server's own key")


class Fetches:
    """In place of a dialler: requests wait until the test answers them."""

    def __init__(self) -> None:
        self.open: list[tuple[str, wire.Request, Deferred[bytes]]] = []
        self.made: list[str] = []

    def fetch(self, provider: str, request: wire.Request) -> Deferred[bytes]:
        """As ``Dialler.fetch``."""
        self.made.append(request.url)
        answer: Deferred[bytes] = Deferred()
        self.open.append((provider, request, answer))
        return answer

    def answer(self, provider: str, body: bytes | Exception) -> None:
        """The vendor answers its oldest open request."""
        for at, (name, _, waiting) in enumerate(self.open):
            if name == provider:
                del self.open[at]
                if isinstance(body, Exception):
                    waiting.errback(body)
                else:
                    waiting.callback(body)
                return
        raise AssertionError(f"nobody asked {provider}")


class Pages:
    """A voice list whose every page is ``id language`` lines, and a last line ``more`` if another follows."""

    def __init__(self, name: str, account: Account) -> None:
        self.name = name
        self.key = account.key.reveal() if account.key else ""
        self.number = 0

    def first(self) -> wire.Request:
        """Page 0."""
        return wire.Request(
            "GET", f"https://{self.name}/{self.number}", {"authorization": self.key}
        )

    def read(self, body: bytes) -> tuple[list[Voice], wire.Request | None]:
        """One page."""
        *lines, last = body.decode().split("\n")
        self.number += 1
        rows = [line.split() for line in lines]
        voices = [Voice(id, id.title(), language=language) for id, language in rows]
        return voices, self.first() if last == "more" else None


class Fixed:
    """A voice list that needs no request."""

    def first(self) -> None:
        """Nothing to ask."""

    def read(self, body: bytes) -> tuple[list[Voice], None]:
        """The one voice."""
        return [Voice("inside", "Inside", language="English")], None


def vendor(name: str, **named: Any) -> Provider:
    """A vendor that speaks and has a list of voices."""
    named.setdefault("voices", lambda account: Pages(name, account))
    return Provider(name, name.title(), speak=_no_dialogue, **named)


def _no_dialogue(settings: SpeakSettings, account: Account) -> wire.Dialogue:
    raise AssertionError("the route opens no dialogue itself")


class Said:
    """One synthesis, played by the test."""

    def __init__(
        self,
        speaking: Speaking,
        text: str,
        on_audio: Callable[[bytes], None],
        on_start: Callable[[AudioFormat], None],
        caller: str,
    ) -> None:
        self.speaking, self.text, self.caller = speaking, text, caller
        self.audio, self.starts = on_audio, on_start
        self.is_paused = self.is_cancelled = False
        self.warnings: list[str] = []
        self.done: Deferred[None] = Deferred(self._cancelled)

    def _cancelled(self, _: Deferred[None]) -> None:
        self.is_cancelled = True

    def pause(self) -> None:
        """The client is full."""
        self.is_paused = True

    def resume(self) -> None:
        """The client has room."""
        self.is_paused = False


@dataclass
class Gateway:
    """The site and what stands behind it."""

    clock: Clock = field(default_factory=Clock)
    security: SecuritySettings = SecuritySettings()
    defaults: SpeechDefaults = SpeechDefaults()
    providers: tuple[Provider, ...] = (vendor("acme"), vendor("brook"))
    without_key: tuple[str, ...] = ()
    console: ConsoleSettings = ConsoleSettings(enabled=False)
    begin: Callable[[Said], None] = lambda said: None
    metrics: IResource | None = None

    def __post_init__(self) -> None:
        self.fetches = Fetches()
        self.said: list[Said] = []
        self.world = World(
            self.clock,
            Registry(self.providers),
            self.fetches,
            self._account,  # type: ignore[arg-type]
        )
        self.slots = Slots(
            self.security.max_websocket_connections, self.security.max_connections_per_ip
        )
        self.calls = LiveConnections(self.clock)
        voice = VoiceFactory(self.world, WebSocketSettings(), self.calls)
        self.site = build_site(
            self.clock,
            self.world,
            self.security,
            self.defaults,
            self.console,
            voice,
            self.slots,
            metrics=self.metrics,
            begin=self._begin,
        )

    def client(self, peer: str = "192.0.2.1") -> Client:
        """A new connection."""
        return Client(self.site, peer)

    def _account(self, provider: Provider, key: Secret | None) -> Account:
        if key is None and provider.name in self.without_key:
            raise MissingCredentials(
                f"{provider.title} API key not configured in server environment"
            )
        return Account(key or SERVER_KEY, is_callers_own=key is not None)

    def _begin(self, world: World, speaking: Speaking, text: str, *ways: Any) -> Said:
        said = Said(speaking, text, *ways)
        self.said.append(said)
        self.begin(said)
        return said
