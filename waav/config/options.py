"""Every option of the configuration as a value: its path, type, default, checks and environment variable.

The options are read from the rooms' own settings classes (``waav/*/settings.py``) and, below ``providers``,
from what each provider declares. Nothing else in the configuration code knows the name of a single option.
"""

import difflib
import json
import math
import re
import types
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields, is_dataclass
from typing import Any, Final

from waav.cache.settings import CacheSettings
from waav.gateway.settings import (
    ConsoleSettings,
    SecuritySettings,
    ServerSettings,
    SpeechDefaults,
    WebSocketSettings,
)
from waav.links.settings import LinkSettings
from waav.models.settings import ModelSettings, NoiseSettings, TurnSettings
from waav.ops.settings import DiagnosticsSettings, LogSettings, MetricsSettings
from waav.registry import Registry
from waav.secret import Secret
from waav.session.settings import CallLimits, InterruptionSettings, SpeechFinalSettings
from waav.speech.provider import Credential, Provider

SECTIONS: Final[dict[str, type]] = {
    "server": ServerSettings,
    "security": SecuritySettings,
    "websocket": WebSocketSettings,
    "console": ConsoleSettings,
    "audio": SpeechDefaults,
    "links": LinkSettings,
    "cache": CacheSettings,
    "models": ModelSettings,
    "turn_detection": TurnSettings,
    "noise_filter": NoiseSettings,
    "speech_final": SpeechFinalSettings,
    "interruption": InterruptionSettings,
    "call": CallLimits,
    "logging": LogSettings,
    "diagnostics": DiagnosticsSettings,
    "metrics": MetricsSettings,
}
"""The sections of the configuration in the order they are shown; ``providers`` comes last."""

TRUE: Final = frozenset({"true", "1", "yes"})
FALSE: Final = frozenset({"false", "0", "no"})


class Wrong(ValueError):
    """The text of a value is not what the option takes. Never contains the value of a secret."""


@dataclass(frozen=True, slots=True)
class Option:
    """One thing that can be configured.

    Args:
        path: dotted name: ``server.tls.enabled``.
        kind: str, int, float, bool, tuple, dict or Secret.
        is_url: the text must be an address with a scheme and a host.
        spellings: other dotted names accepted in YAML.
        credential: of a provider, if that is what it is.
    """

    path: str
    kind: type
    default: Any
    doc: str
    unit: str = ""
    env: str = ""
    check: Callable[[Any], str | None] | None = None
    choices: tuple[Any, ...] = ()
    is_url: bool = False
    spellings: tuple[str, ...] = ()
    credential: Credential | None = None

    @property
    def is_secret(self) -> bool:
        """Whether its value must never be shown."""
        return self.kind is Secret

    def read(self, raw: object) -> Any:
        """The value for what a layer holds: text, or a list or mapping of a YAML file.

        Raises:
            Wrong: it cannot be that; the text says what can.
        """
        value = _READERS[self.kind](raw)
        if self.choices and value not in self.choices:
            allowed = ", ".join(str(choice) for choice in self.choices)
            raise Wrong(f"must be one of {allowed}, is {value!r}")
        if self.is_url:
            _check_url(value)
        if self.check is not None and (problem := self.check(value)):
            raise Wrong(problem if self.is_secret else f"{problem}, is {value!r}")
        return value


def _text(raw: object) -> str:
    if not isinstance(raw, str):
        raise Wrong(f"must be text, is {_what(raw)}")
    return raw.strip()


def _secret(raw: object) -> Secret:
    return Secret(_text(raw))


def _bool(raw: object) -> bool:
    text = _text_of(raw, "true or false").lower()
    if text in TRUE:
        return True
    if text in FALSE:
        return False
    raise Wrong(f"must be true or false (also 1, 0, yes, no), is {raw!r}")


def _int(raw: object) -> int:
    text = _text_of(raw, "a whole number")
    if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
        raise Wrong(f"must be a whole number, is {text!r}")
    return int(text)


def _float(raw: object) -> float:
    text = _text_of(raw, "a number")
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise Wrong(f"must be a number, is {text!r}")
    return number


def _list(raw: object) -> tuple[str, ...]:
    if isinstance(raw, str):
        raw = raw.split(",")
    if not isinstance(raw, list) or not all(isinstance(item, str) for item in raw):
        raise Wrong(f"must be a list of texts, is {_what(raw)}")
    return tuple(item.strip() for item in raw if item.strip())


def _map(raw: object) -> Mapping[str, Any]:
    if isinstance(raw, str):
        try:
            raw = json.loads(raw)
        except ValueError:
            raise Wrong("must be a JSON object") from None
    if not isinstance(raw, dict):
        raise Wrong(f"must be a mapping, is {_what(raw)}")
    made: Mapping[str, Any] = frozen(raw)
    return made


_READERS: Final[dict[type, Callable[[object], Any]]] = {
    str: _text,
    Secret: _secret,
    bool: _bool,
    int: _int,
    float: _float,
    tuple: _list,
    dict: _map,
}


def _text_of(raw: object, wanted: str) -> str:
    if not isinstance(raw, str):
        raise Wrong(f"must be {wanted}, is {_what(raw)}")
    return raw.strip()


def _what(raw: object) -> str:
    if isinstance(raw, Mapping):
        return "a mapping"
    return "a list" if isinstance(raw, list) else type(raw).__name__


def _check_url(text: str) -> None:
    if not re.fullmatch(r"(https?|wss?)://[^\s/?#]+\S*", text):
        raise Wrong("must be an http, https, ws or wss address")


def frozen(value: Any) -> Any:
    """The same mapping, list or scalar, unchangeable all the way down."""
    if isinstance(value, Mapping):
        return types.MappingProxyType({str(key): frozen(item) for key, item in value.items()})
    if isinstance(value, list | tuple):
        return tuple(frozen(item) for item in value)
    return value


def options(registry: Registry) -> dict[str, Option]:
    """Every option there is, by path, in the order they are shown."""
    mine = {}
    for section, settings in SECTIONS.items():
        mine.update({option.path: option for option in declared(settings, section)})
    for provider in registry.providers:
        mine.update({option.path: option for option in of_provider(provider)})
    return mine


def declared(settings: type, prefix: str) -> Iterator[Option]:
    """The options that a settings class declares, below ``prefix``."""
    hints = typing.get_type_hints(settings)
    for field in fields(settings):
        path = f"{prefix}.{field.name}"
        kind = _kind(hints[field.name])
        if is_dataclass(kind):
            yield from declared(kind, path)
        else:
            yield _option(field, path, kind)


def _option(field: Field[Any], path: str, kind: type) -> Option:
    facts = field.metadata
    made = field.default_factory
    default = field.default if made is MISSING else made()
    return Option(
        path,
        kind,
        frozen(default),
        facts["doc"],
        facts["unit"],
        facts["env"] or environment_name(path),
        facts["check"],
        facts["choices"],
    )


def _kind(hint: Any) -> type:
    """The plain type of an annotation: ``int`` of ``int | None``, ``tuple`` of ``tuple[str, ...]``."""
    if isinstance(hint, types.UnionType):
        hint = next(part for part in hint.__args__ if part is not type(None))
    origin: type = typing.get_origin(hint) or hint
    return origin


def environment_name(path: str) -> str:
    """The variable of an option that has no traditional one: ``WAAV_`` and its path."""
    return "WAAV_" + re.sub(r"[^A-Za-z0-9]", "_", path).upper()


def of_provider(provider: Provider) -> Iterator[Option]:
    """What can be configured of a provider: its credentials, another address, its own options."""
    section = f"providers.{provider.name}"
    for credential in provider.credentials:
        yield Option(
            f"{section}.{credential.name}",
            Secret if credential.is_secret else str,
            None,
            f"{credential.title}.",
            env=credential.env or environment_name(f"{section}.{credential.name}"),
            spellings=(f"providers.{credential.yaml}",) if credential.yaml else (),
            credential=credential,
        )
    endpoint = f"{section}.endpoint"
    yield Option(
        endpoint,
        str,
        None,
        "Base address to use instead of the vendor's own.",
        env=environment_name(endpoint),
        is_url=True,
    )
    yield Option(
        f"{section}.options",
        dict,
        frozen({}),
        "The vendor's own options, checked by the provider (environment: JSON).",
        env=environment_name(f"{section}.options"),
    )


def elsewhere(name: str, known: Iterable[str]) -> str:
    """`` (did you mean section.X?)`` for a key that stands in the wrong section, or in none; or nothing."""
    key = name.rpartition(".")[2]
    places = [path for path in known if path.rpartition(".")[2] == key]
    return f" (did you mean {' or '.join(places)}?)" if 0 < len(places) <= 3 else ""


def closest(name: str, known: Iterable[str]) -> str:
    """`` (did you mean X?)`` for the known name most like ``name``, or nothing."""
    best = difflib.get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f" (did you mean {best[0]}?)" if best else ""
