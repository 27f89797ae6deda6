"""Lists of voices: asked for at all vendors at once, and kept for a while."""

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, field
from secrets import token_bytes
from typing import Any, Final

from twisted.internet.defer import CancelledError, Deferred, TimeoutError
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger, LogLevel

from waav.errors import ConfigError, ProviderTimeout, WaavError, WireError
from waav.links.link import timed_out
from waav.secret import Secret
from waav.session.world import World
from waav.speech import languages
from waav.speech.provider import Account, Provider, Voice
from waav.tasks import Tasks, started

PAGE_S: Final = 10.0
"""Longest wait for one page."""

LIST_S: Final = 20.0
"""Longest wait for a whole list."""

KEPT_S: Final = 600.0
FAILURE_KEPT_S: Final = 30.0
"""A vendor that is down is not asked again by every visitor, but soon."""

MOST_PAGES: Final = 20
MOST_VOICES: Final = 5000
MOST_LISTS: Final = 256
"""Lists kept: one for each account, and callers bring their own."""


@dataclass(slots=True)
class _List:
    """One account's voices: being fetched, there, or why not."""

    until_s: float = 0.0
    voices: list[Voice] = field(default_factory=list)
    error: WaavError | None = None
    waiting: list[Deferred[None]] | None = None  # None: nobody is fetching


class VoiceLists:
    """The voices of every provider.

    A list that is being fetched is fetched once, however many ask, and to its end even if they all leave.
    """

    _log = Logger()

    def __init__(self, world: World) -> None:
        self._world = world
        self._clock: IReactorTime = world.clock
        self._tasks = Tasks()
        self._salt = token_bytes(32)
        self._lists: OrderedDict[tuple[str, str], _List] = OrderedDict()

    async def of(
        self,
        providers: Sequence[Provider],
        key: Secret | None = None,
        *,
        is_fresh: bool = False,
    ) -> tuple[dict[str, list[Voice]], dict[str, str]]:
        """Voices by provider, and reasons by provider where there are none.

        Args:
            key: the caller's own key; only for a single provider.
            is_fresh: do not answer from memory.
        """
        voices: dict[str, list[Voice]] = {}
        errors: dict[str, str] = {}
        asked = [started(self._one(provider, key, is_fresh)) for provider in providers]
        try:
            for provider, answering in zip(providers, asked, strict=True):
                answer = await answering
                if isinstance(answer, WaavError):
                    errors[provider.name] = answer.message
                else:
                    voices[provider.name] = answer
        except CancelledError:
            for answering in asked:
                answering.cancel()
            raise
        return voices, errors

    async def _one(
        self, provider: Provider, key: Secret | None, is_fresh: bool
    ) -> list[Voice] | WaavError:
        try:
            account = self._world.account(provider, key)
        except WaavError as error:
            return error
        entry = self._entry(provider, account)
        if entry.waiting is None and (is_fresh or entry.until_s <= self._clock.seconds()):
            entry.waiting = []
            self._tasks.start(self._fill(entry, provider, account), f"voices of {provider.name}")
        if entry.waiting is not None:
            waiter: Deferred[None] = Deferred()
            entry.waiting.append(waiter)
            await waiter
        return entry.voices if entry.error is None else entry.error

    def _entry(self, provider: Provider, account: Account) -> _List:
        name = (provider.name, self._fingerprint(account))
        entry = self._lists.pop(name, None) or _List()
        self._lists[name] = entry
        while len(self._lists) > MOST_LISTS:
            self._lists.popitem(last=False)
        return entry

    def _fingerprint(self, account: Account) -> str:
        secrets = {**account.credentials, "": account.key or "", "endpoint": account.endpoint or ""}
        said = {
            name: value.reveal() if isinstance(value, Secret) else value
            for name, value in secrets.items()
        }
        return Secret(repr(sorted(said.items()))).fingerprint(self._salt)

    async def _fill(self, entry: _List, provider: Provider, account: Account) -> None:
        try:
            entry.voices = await started(self._fetch(provider, account)).addTimeout(
                LIST_S, self._clock, timed_out
            )
            entry.error, kept_s = None, KEPT_S
        except Exception as error:
            entry.error, kept_s = self._explained(provider, error), FAILURE_KEPT_S
            # Nobody who uses other vendors wants to read that this one is not configured.
            is_expected = isinstance(entry.error, ConfigError)
            self._log.emit(
                LogLevel.debug if is_expected else LogLevel.warn,
                "no voices of {provider}: {reason}",
                provider=provider.name,
                reason=entry.error.message,
            )
        entry.until_s = self._clock.seconds() + kept_s
        waiting, entry.waiting = entry.waiting or [], None
        for waiter in waiting:
            if not waiter.called:
                waiter.callback(None)

    async def _fetch(self, provider: Provider, account: Account) -> list[Voice]:
        if provider.voices is None:
            raise ConfigError(f"{provider.name} has no list of voices")
        pages = provider.voices(account)
        request = pages.first()
        if request is None:
            return pages.read(b"")[0]
        voices: list[Voice] = []
        for _ in range(MOST_PAGES):
            fetching = self._world.dialler.fetch(provider.name, request)
            page, request = pages.read(await fetching.addTimeout(PAGE_S, self._clock, timed_out))
            voices += page
            if request is None or len(voices) >= MOST_VOICES:
                break
        return voices[:MOST_VOICES]

    def _explained(self, provider: Provider, error: Exception) -> WaavError:
        """What went wrong, as an error of ours. Vendors' nonsense is theirs; the rest is logged as ours."""
        if isinstance(error, WaavError):
            return error
        if isinstance(error, TimeoutError | CancelledError):
            return ProviderTimeout(provider.name, f"{provider.name} did not answer in time")
        if isinstance(error, KeyError | TypeError | ValueError | AttributeError | IndexError):
            return WireError(
                provider.name, f"{provider.name} sent a list of voices that cannot be read"
            )
        self._log.failure("voices of {provider}", provider=provider.name)
        return WaavError(f"the voices of {provider.name} could not be read")


def rows(voices: Sequence[Voice], language: str | None = None) -> list[dict[str, Any]]:
    """Voices as docs/protocol.md has them, those of one language only if one is given."""
    return [
        {
            "id": voice.id,
            "sample": voice.sample,
            "name": voice.name,
            "accent": voice.accent,
            "gender": voice.gender,
            "language": voice.language,
        }
        for voice in voices
        if language is None or speaks(voice, language)
    ]


def speaks(voice: Voice, language: str) -> bool:
    """Whether ``language``, a name ("English") or a code ("en", "en-GB"), is the voice's."""
    spoken, wanted = voice.language.lower(), language.lower()
    return spoken in (wanted, languages.language_name(wanted).lower())
