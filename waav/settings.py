"""How a room declares its settings: a frozen dataclass whose fields carry their documentation.

``waav.config.load`` reads these declarations to load, check, show and document the configuration; rooms never
import it.
"""

from collections.abc import Callable
from dataclasses import MISSING, field
from typing import Any


def setting(
    default: Any = MISSING,
    doc: str = "",
    *,
    unit: str = "",
    env: str = "",
    check: Callable[[Any], str | None] | None = None,
    factory: Callable[[], Any] | None = None,
    choices: tuple[Any, ...] = (),
) -> Any:
    """A field of a settings class.

    Args:
        default: used when no source gives a value; None where "not set" is an answer.
        doc: one sentence an operator understands.
        unit: of a number: "s", "ms", "bytes", "Hz".
        env: name of the environment variable that sets it; "" for none.
        check: given a value of the right type, says in a few words what is wrong with it, or None.
        factory: makes the default where it is mutable or a tuple.
        choices: the only values allowed.
    """
    metadata = {"doc": doc, "unit": unit, "env": env, "check": check, "choices": choices}
    if factory is not None:
        return field(default_factory=factory, metadata=metadata)
    return field(default=default, metadata=metadata)


def positive(value: Any) -> str | None:
    """Check: greater than zero."""
    return None if value is None or value > 0 else "must be greater than 0"


def not_negative(value: Any) -> str | None:
    """Check: zero or more."""
    return None if value is None or value >= 0 else "must be 0 or more"


def fraction(value: Any) -> str | None:
    """Check: between 0 and 1."""
    return None if value is None or 0.0 <= value <= 1.0 else "must be between 0 and 1"
