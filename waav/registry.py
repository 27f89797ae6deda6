"""Which providers there are, by name and by alias.

Nothing lists them: every module-level ``Provider`` in ``waav.providers``, and in the ``twisted.plugins`` package
of any installed distribution, is found at start. A module that cannot be imported is logged by Twisted and
leaves the others alone.
"""

from collections.abc import Iterable
from typing import Self

from twisted.plugin import getPlugins

import twisted.plugins
import waav.providers
from waav.errors import BadRequest, ConfigError
from waav.interfaces import IProvider
from waav.speech.provider import Provider


class Registry:
    """The providers of this process. Names and aliases are found in any case.

    Args:
        providers: in any order; the same object twice counts once.

    Raises:
        ConfigError: two providers claim one name or alias; the text names both.
    """

    def __init__(self, providers: Iterable[Provider]) -> None:
        self._by_name: dict[str, Provider] = {}
        mine: list[Provider] = []
        for provider in providers:
            if not any(provider is known for known in mine):
                self._claim(provider)
                mine.append(provider)
        self.providers: tuple[Provider, ...] = tuple(sorted(mine, key=lambda one: one.name))

    @classmethod
    def discover(cls) -> Self:
        """Everything installed: our own modules and outside plugins."""
        ours = getPlugins(IProvider, waav.providers)
        outside = getPlugins(IProvider, twisted.plugins)
        return cls(_implementations([*ours, *outside]))

    def find(self, name: str) -> Provider:
        """The provider of that name or alias.

        Raises:
            BadRequest: there is none; the text lists every name.
        """
        provider = self._by_name.get(name.strip().lower())
        if provider is None:
            known = ", ".join(one.name for one in self.providers)
            raise BadRequest(f"Unsupported provider: {name}. Supported: {known}")
        return provider

    def listening(self) -> tuple[Provider, ...]:
        """Those that recognise speech, by name."""
        return tuple(one for one in self.providers if one.listen is not None)

    def speaking(self) -> tuple[Provider, ...]:
        """Those that synthesise speech, by name."""
        return tuple(one for one in self.providers if one.speak is not None)

    def _claim(self, provider: Provider) -> None:
        for name in (provider.name, *provider.aliases):
            owner = self._by_name.setdefault(name.lower(), provider)
            if owner is not provider:
                raise ConfigError(
                    f"provider name {name!r} is claimed by both {owner.name} ({owner.title})"
                    f" and {provider.name} ({provider.title})"
                )


def _implementations(found: Iterable[object]) -> Iterable[Provider]:
    for one in found:
        if not isinstance(one, Provider):
            raise ConfigError(f"plugin {one!r} claims to be a provider but is no waav Provider")
        yield one
