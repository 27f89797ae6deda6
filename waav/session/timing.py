"""Which speech-final times a call uses: defaults, then the provider's, then the operator's for it, then the call's."""

from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from waav.errors import BadRequest
from waav.session.settings import SpeechFinalSettings
from waav.speech.provider import Provider

_OWN = {one.name: one for one in fields(SpeechFinalSettings) if one.name != "providers"}


def timing(
    base: SpeechFinalSettings, provider: Provider, overrides: Mapping[str, Any]
) -> SpeechFinalSettings:
    """The times for one call.

    Args:
        base: the operator's section, with its part for single providers.
        provider: recognises this call; knows times that suit it, in seconds.
        overrides: what the caller set.

    Raises:
        BadRequest: an override is unknown or out of range; the text names it.
    """
    suited = {_in_ms(name): round(value * 1000) for name, value in provider.timing.items()}
    merged = {**suited, **base.providers.get(provider.name, {}), **overrides}
    for name, value in merged.items():
        problem = _problem(name, value)
        if problem:
            raise BadRequest(f"speech_final.{name} {problem}")
    return replace(base, providers={}, **merged)


def _in_ms(name: str) -> str:
    return name.removesuffix("_s") + "_ms"


def _problem(name: str, value: Any) -> str | None:
    if name not in _OWN:
        return f"is unknown; known: {', '.join(_OWN)}"
    own = _OWN[name]
    default = own.default
    if isinstance(default, bool):
        return None if isinstance(value, bool) else "must be true or false"
    if isinstance(default, int) and (isinstance(value, bool) or not isinstance(value, int | float)):
        return "must be a number"
    choices = own.metadata["choices"]
    if choices and value not in choices:
        return f"must be one of {', '.join(choices)}"
    check = own.metadata["check"]
    said: str | None = check(value) if check is not None else None
    return said
