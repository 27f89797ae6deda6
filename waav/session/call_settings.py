"""What a call is told to do: one accepted ``config`` message, with its vendors and accounts."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

from waav.secret import Secret
from waav.speech.provider import Account, ListenSettings, Provider, SpeakSettings
from waav.speech.sentences import Pronunciation

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Listening:
    """Recognition of a call: who does it, with which account."""

    provider: Provider
    settings: ListenSettings
    account: Account
    warnings: tuple[str, ...] = ()  # what was asked for and will not be had


@dataclass(frozen=True, slots=True)
class Speaking:
    """Synthesis of a call: who does it, with which account, and what is done to the text first."""

    provider: Provider
    settings: SpeakSettings
    account: Account
    pronunciations: tuple[Pronunciation, ...] = ()
    dial_s: float | None = None  # connection_timeout of the message
    request_s: float | None = None  # request_timeout of the message
    use_cache: bool = True
    warnings: tuple[str, ...] = ()  # what was asked for and will not be had


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

    def masked(self, text: str) -> str:
        """The text without the keys of both halves: vendors quote what they were sent."""
        for half in (self.listening, self.speaking):
            if half is None:
                continue
            for secret in (half.account.key, *half.account.credentials.values()):
                if isinstance(secret, Secret) and secret:
                    text = text.replace(secret.reveal(), "***")
        return text

    def over(self, earlier: "CallSettings") -> "CallSettings":
        """These settings, put in the place of ``earlier`` ones.

        A call with audio that names only one half keeps the other one as it was; one that names neither keeps both.
        """
        if not self.has_audio:
            return self
        if self.listening is not None:
            return replace(self, speaking=self.speaking or earlier.speaking)
        return replace(
            self,
            listening=earlier.listening,
            speaking=self.speaking or earlier.speaking,
            noise_filter=_first(self.noise_filter, earlier.noise_filter),
            turn_detection=_first(self.turn_detection, earlier.turn_detection),
            turn_threshold=_first(self.turn_threshold, earlier.turn_threshold),
            timing={**earlier.timing, **self.timing},
        )


def _first(mine: _T | None, earlier: _T | None) -> _T | None:
    return earlier if mine is None else mine
