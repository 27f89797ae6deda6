"""What a call is told to do, and where it puts what it has to say."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, TypeVar

from twisted.internet.interfaces import IReactorTime

from waav.links.dial import Dialler
from waav.models.settings import NoiseSettings, TurnSettings
from waav.registry import Registry
from waav.secret import Secret
from waav.session.ledger import Ledger
from waav.session.settings import CallLimits, InterruptionSettings, SpeechFinalSettings
from waav.speech.provider import Account, ListenSettings, Provider, SpeakSettings
from waav.speech.wire import Transcript

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Listening:
    """Recognition of a call: who does it, with which account."""

    provider: Provider
    settings: ListenSettings
    account: Account


@dataclass(frozen=True, slots=True)
class Speaking:
    """Synthesis of a call: who does it, with which account, and what is done to the text first."""

    provider: Provider
    settings: SpeakSettings
    account: Account
    pronunciations: tuple[tuple[str, str], ...] = ()
    dial_s: float | None = None  # connection_timeout of the message
    request_s: float | None = None  # request_timeout of the message
    use_cache: bool = True
    warnings: tuple[str, ...] = ()  # what was asked for and will not be had, for the log


@dataclass(frozen=True, slots=True)
class CallSettings:
    """One accepted ``config`` message."""

    stream_id: str
    has_audio: bool = True
    listening: Listening | None = None
    speaking: Speaking | None = None
    noise_filter: bool | None = None  # None: the server's default
    turn_detection: bool | None = None
    turn_threshold: float | None = None
    timing: Mapping[str, Any] = field(
        default_factory=dict
    )  # fields of SpeechFinalSettings set by this call

    def over(self, earlier: "CallSettings") -> "CallSettings":
        """These settings, put in the place of ``earlier`` ones.

        A call with audio that names only one half keeps the other one as it was (contract.md D-32).
        """
        if not self.has_audio or (self.listening is None and self.speaking is None):
            return self
        if self.listening is not None:
            return replace(self, speaking=self.speaking or earlier.speaking)
        return replace(
            self,
            listening=earlier.listening,
            noise_filter=_first(self.noise_filter, earlier.noise_filter),
            turn_detection=_first(self.turn_detection, earlier.turn_detection),
            turn_threshold=_first(self.turn_threshold, earlier.turn_threshold),
            timing={**earlier.timing, **self.timing},
        )


def _first(mine: _T | None, earlier: _T | None) -> _T | None:
    return earlier if mine is None else mine


@dataclass(frozen=True, slots=True)
class World:
    """Everything a call shares with other calls. Built once, in ``tap.py``."""

    clock: IReactorTime
    registry: Registry
    dialler: Dialler
    account: Callable[[Provider, Secret | None], Account]
    """The account to use for a provider: a caller's own key wins over the server's. Raises
    MissingCredentials with the contract's text when there is neither and the provider needs one."""
    speech_final: SpeechFinalSettings = SpeechFinalSettings()
    interruption: InterruptionSettings = InterruptionSettings()
    limits: CallLimits = CallLimits()
    turn: TurnSettings = TurnSettings()
    noise: NoiseSettings = NoiseSettings()
    models_path: str | None = None
    ledger: Ledger = Ledger()
    optional_models: dict[str, str] = field(default_factory=dict)
    """What became of the optional models, by their section of the configuration; no paths: anybody may read it."""


class Outlet(Protocol):
    """Where a call's results go: the caller's connection."""

    def transcript(self, transcript: Transcript) -> None:
        """Recognised text, in order."""

    def audio(self, frames: list[bytes]) -> None:
        """Some speech in the format of ``Speaking.settings.format``, in frames of 10 ms where it is raw."""

    def spoken_all(self) -> None:
        """One ``speak`` is complete: everything it had was handed over."""

    def error(self, message: str, code: str) -> None:
        """Something went wrong; the call goes on."""

    def congested(self, is_full: bool) -> None:
        """True: the vendor side cannot take more of the caller's audio, stop reading from the caller."""
