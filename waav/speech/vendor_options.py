"""Vendor options: what exists, what a value may be, and what is said when it is something else."""

import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from waav.errors import BadRequest, ConfigError, check_all

Read = Callable[[Any], Any]
"""Gives the checked value, or raises ValueError with what it must be: "must be true or false"."""


@dataclass(frozen=True, slots=True)
class VendorOption:
    """One option, by the vendor's own parameter name."""

    name: str
    read: Read
    doc: str


def boolean(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError("must be true or false")
    return value


def integer(low: int, high: int | None = None) -> Read:
    """A whole number in a range."""

    def read(value: Any) -> int:
        is_whole = isinstance(value, int) and not isinstance(value, bool)
        if not is_whole or value < low or (high is not None and value > high):
            raise ValueError(f"must be a whole number {_range(low, high)}")
        return int(value)

    return read


def number(low: float, high: float) -> Read:
    """A number in a range."""

    def read(value: Any) -> float:
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if not is_number or not math.isfinite(value) or not low <= value <= high:
            raise ValueError(f"must be a number {_range(low, high)}")
        return float(value)

    return read


def off_or(read_number: Read) -> Read:
    """``false``, or what ``read_number`` takes."""

    def read(value: Any) -> Any:
        if value is False:
            return False
        try:
            return read_number(value)
        except ValueError as problem:
            raise ValueError(f"{problem}, or false") from None

    return read


def choice(*allowed: str) -> Read:
    """One of a few words."""

    def read(value: Any) -> str:
        if not isinstance(value, str) or value not in allowed:
            raise ValueError(f"must be one of {', '.join(allowed)}")
        return value

    return read


def text(value: Any) -> str:
    """A text with something in it."""
    if not isinstance(value, str) or not value.strip():
        raise ValueError("must be a text that is not empty")
    return value


def texts(value: Any) -> tuple[str, ...]:
    """One text or a list of them."""
    listed = [value] if isinstance(value, str) else value
    if not isinstance(listed, list | tuple):
        raise ValueError("must be a text or a list of texts")
    return tuple(text(one) for one in listed)


def texts_within(count: int | None = None, chars: int | None = None) -> Read:
    """One text or a list of them: at most ``count``, each of at most ``chars`` characters."""

    def read(value: Any) -> tuple[str, ...]:
        listed = texts(value)
        if count is not None and len(listed) > count:
            raise ValueError(f"must have at most {count} entries")
        if chars is not None and any(len(one) > chars for one in listed):
            raise ValueError(f"must have at most {chars} characters an entry")
        return listed

    return read


def choices(*allowed: str) -> Read:
    """One or several of a few words."""
    one = choice(*allowed)

    def read(value: Any) -> tuple[str, ...]:
        listed = value if isinstance(value, list | tuple) else [value]
        return tuple(one(word) for word in listed)

    return read


def read(
    provider: str,
    known: Iterable[VendorOption],
    asked: Mapping[str, Any],
    operators: Mapping[str, Any],
) -> dict[str, Any]:
    """The options in force: a caller's before the operator's.

    Args:
        provider: named in errors.
        known: what this verb has.
        asked: by the caller; an unknown one is refused.
        operators: for all verbs of the vendor; those of other verbs are left alone (``check`` has seen them).

    Raises:
        BadRequest: a caller's option is unknown or wrong.
        ConfigError: an operator's option is wrong.
    """
    by_name = {option.name: option for option in known}
    for name in asked:
        if name not in by_name:
            listed = ", ".join(sorted(by_name))
            raise BadRequest(f"{provider}: unknown option {name!r}. Options: {listed}")
    result: dict[str, Any] = {}
    for name, option in by_name.items():
        try:
            if asked.get(name) is not None:
                result[name] = option.read(asked[name])
            elif operators.get(name) is not None:
                result[name] = option.read(operators[name])
        except ValueError as problem:
            message = f"{provider}: option {name!r} {problem}"
            if asked.get(name) is not None:
                raise BadRequest(message) from None
            raise ConfigError(message, f"options.{name}") from None
    return result


def check(provider: str, known: Iterable[VendorOption], operators: Mapping[str, Any]) -> None:
    """Refuse an operator's unknown and wrong options at start, all of them together.

    Raises:
        ConfigError: with the path of the option; ``SeveralConfigErrors`` if there are more.
    """
    options = tuple(known)
    check_all(
        *(partial(_check_one, provider, options, {name: operators[name]}) for name in operators)
    )


def _check_one(
    provider: str, options: tuple[VendorOption, ...], operators: Mapping[str, Any]
) -> None:
    for name in operators.keys() - {option.name for option in options}:
        listed = ", ".join(sorted(option.name for option in options))
        raise ConfigError(
            f"{provider}: unknown option {name!r}. Options: {listed}", f"options.{name}"
        )
    read(provider, options, {}, operators)


def described(*groups: Iterable[VendorOption]) -> dict[str, str]:
    """Name and sentence of every option, for the documentation."""
    return {option.name: option.doc for group in groups for option in group}


def query(values: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Name and text of every value in the way query strings spell them; a list repeats its name."""
    pairs: list[tuple[str, str]] = []
    for name, value in values.items():
        for one in value if isinstance(value, tuple) else (value,):
            pairs.append((name, _spell(one)))
    return pairs


def model_name(provider: str, name: str) -> str:
    """A model or voice name that can stand in an address.

    Raises:
        BadRequest: it cannot.
    """
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._:/-]{0,127}", name):
        raise BadRequest(f"{provider}: {name[:100]!r} is not a model or voice name")
    return name


def _spell(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _range(low: float, high: float | None) -> str:
    return f"of at least {low}" if high is None else f"from {low:g} to {high:g}"
