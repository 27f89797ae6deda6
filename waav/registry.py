"""Which providers there are, by name and by alias.

Nothing lists them: every module-level ``Provider`` in ``waav.providers``, and in the ``twisted.plugins`` package
of any installed distribution, is found at start. A module that cannot be imported is told by its file and leaves the
others alone.
"""

import re
import sys
from collections.abc import Iterable
from typing import Self

import twisted.plugin
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

    Attributes:
        broken: a line for each plugin that cannot be imported: its file, and the error.

    Raises:
        ConfigError: two providers claim one name or alias; the text names both.
    """

    def __init__(self, providers: Iterable[Provider], broken: Iterable[str] = ()) -> None:
        self.broken = tuple(broken)
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
        with _Complaints() as complaints:
            ours = list(getPlugins(IProvider, waav.providers))
            outside = list(getPlugins(IProvider, twisted.plugins))
        return cls(_implementations([*ours, *outside]), complaints.lines)

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


class _Complaints:
    """Stands in for the log of ``twisted.plugin`` while it looks: it would log a whole traceback of its own inside for
    every plugin that cannot be imported, and only where a log is kept."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def __enter__(self) -> Self:
        self._log = twisted.plugin.log  # type: ignore[attr-defined]
        twisted.plugin.log = self  # type: ignore[attr-defined, assignment]
        return self

    def __exit__(self, *exception: object) -> None:
        twisted.plugin.log = self._log  # type: ignore[attr-defined]

    def err(self, *_: object) -> None:
        """The exception that is being handled."""
        error = sys.exception()
        line = f"plugin {_file_of(error)} cannot be used: {type(error).__name__}: {error}"
        if line not in self.lines:
            self.lines.append(line)

    def msg(self, *_: object, **__: object) -> None:
        """That the cache of plugins cannot be written, which costs some milliseconds at each start."""


def _file_of(error: BaseException | None) -> str:
    """The plugin's own file: the first that is neither Twisted's nor the machinery of imports."""
    if isinstance(error, SyntaxError) and error.filename:
        return f"{error.filename} line {error.lineno}"
    traceback = None if error is None else error.__traceback__
    while traceback is not None:
        name = traceback.tb_frame.f_code.co_filename
        if not name.startswith("<frozen") and not re.search(
            r"[/\\]twisted[/\\](plugin|python)\b", name
        ):
            return f"{name} line {traceback.tb_lineno}"
        traceback = traceback.tb_next
    return "of unknown place"


def _implementations(found: Iterable[object]) -> Iterable[Provider]:
    for one in found:
        if not isinstance(one, Provider):
            raise ConfigError(f"plugin {one!r} claims to be a provider but is no waav Provider")
        yield one
