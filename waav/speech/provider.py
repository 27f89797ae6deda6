"""What a vendor module offers, and what it is given."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from twisted.plugin import IPlugin
from zope.interface import implementer

from waav.interfaces import IProvider
from waav.secret import Secret
from waav.speech.audio import AudioFormat
from waav.speech.wire import Dialogue, Request


@dataclass(frozen=True, slots=True)
class Credential:
    """One thing an operator must, or may, configure to use a vendor.

    The setting is ``providers.<provider>.<name>``; its flat spelling ``providers.<yaml>`` and the environment
    variable ``env`` are accepted too.
    """

    name: str
    env: str
    yaml: str
    title: str  # as in "<title> not configured in server environment"
    is_required: bool = True
    is_secret: bool = True


@dataclass(frozen=True, slots=True)
class Account:
    """What is known of the gateway's, or a caller's, account with a vendor.

    Args:
        key: the API key in use: the caller's own if one was sent, else the server's; None if there is none.
        credentials: further values by ``Credential.name`` (region, user id).
        endpoint: base address to use instead of the vendor's; operator only, never from a caller.
        options: the operator's vendor options; a caller's ``options`` come in the settings and win.
        is_callers_own: the key came with the call.
    """

    key: Secret | None = None
    credentials: Mapping[str, Secret | str] = field(default_factory=dict)
    endpoint: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    is_callers_own: bool = False


@dataclass(frozen=True, slots=True)
class Emotion:
    """How to say it. Names are the canonical ones of docs/protocol.md; intensity is 0..1."""

    emotion: str | None = None
    intensity: float | None = None
    style: str | None = None
    description: str | None = None


@dataclass(frozen=True, slots=True)
class ListenSettings:
    """What a caller chose for recognition. ``None`` and "" mean: the provider's own default.

    ``format`` is what the caller sends; a dialogue that needs something else says so in ``Dialogue.format`` and
    the gateway converts.
    """

    provider: str
    format: AudioFormat = AudioFormat()
    language: str = "en-US"
    punctuation: bool = True
    model: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SpeakSettings:
    """What a caller chose for synthesis. ``None`` means: the provider's own default.

    ``format`` is the audio the caller wants, resolved; a dialogue asks its vendor for the nearest it has and
    labels what it delivers; the gateway converts the rest.
    ``wants_format`` tells whether the caller named a format.
    """

    provider: str
    format: AudioFormat = AudioFormat(rate_hz=24000)
    model: str | None = None
    voice: str | None = None
    language: str | None = None
    rate: float | None = None  # speaking rate, 1.0 is normal
    emotion: Emotion | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    wants_format: bool = False


@dataclass(frozen=True, slots=True)
class Voice:
    """One row of ``GET /voices``; no field is ever None."""

    id: str
    name: str
    sample: str = ""
    accent: str = "Unknown"
    gender: str = "Unknown"
    language: str = "Unknown"


class VoiceList(Protocol):
    """Reads a vendor's list of voices, page by page, without IO."""

    def first(self) -> Request | None:
        """The first request to make; None for a list that needs none (then call ``read`` with b"")."""

    def read(self, body: bytes) -> tuple[list[Voice], Request | None]:
        """The voices on this page, and the request for the next page if there is one."""


@implementer(IPlugin, IProvider)
@dataclass(frozen=True, slots=True)
class Provider:
    """A vendor: the one object a provider module exports.

    ``listen`` and ``speak`` build a new dialogue for each connection. They raise ``ConfigError`` or
    ``BadRequest`` naming the setting when it cannot work; they never touch the network.
    """

    name: str
    title: str = ""
    aliases: tuple[str, ...] = ()
    credentials: tuple[Credential, ...] = ()
    listen: Callable[[ListenSettings, Account], Dialogue] | None = None
    speak: Callable[[SpeakSettings, Account], Dialogue] | None = None
    voices: Callable[[Account], VoiceList] | None = None
    capabilities: frozenset[str] = frozenset()
    text_limit: int = 2000
    """Longest text of one ``Speak``, in characters (``text_limit_in_bytes``: in UTF-8 bytes)."""
    text_limit_in_bytes: bool = False
    compressed: tuple[str, ...] = ()
    """Compressed formats that the vendor itself streams, by our names (``waav.speech.formats``), best first."""
    check: Callable[[Account], None] | None = None
    """Validates the operator's ``options`` and ``endpoint`` at start; raises ConfigError with a path
    relative to ``providers.<name>``."""
    models: Mapping[str, str] = field(default_factory=dict)
    """The default model of each verb (``listen``, ``speak``), for the documentation table."""
    options: Mapping[str, str] = field(default_factory=dict)
    """Every vendor option with one sentence about it, for the documentation."""
    timing: Mapping[str, float] = field(default_factory=dict)
    """Speech-final times in seconds that suit this vendor better than the defaults (``wait_s``, ...)."""
