"""Error answers of vendors: how much of them is read, and what people want to know of it."""

import json
from collections.abc import Iterator
from typing import Any, Final

REFUSAL_BYTES: Final = 4096
"""How much of an error answer is read."""


def said_in(body: bytes) -> str:
    """What a person would want to read of an error answer: the vendor's message where it is JSON."""
    text = body.decode("utf-8", "replace").strip()
    try:
        return next(_messages(json.loads(text)), text)
    except (ValueError, RecursionError):
        return text


def _messages(found: Any) -> Iterator[str]:
    """Strings under the names vendors use for their explanation."""
    if isinstance(found, str):
        yield found
    elif isinstance(found, dict):
        for name in ("message", "err_msg", "detail", "error", "reason"):
            if name in found:
                yield from _messages(found[name])


def cause(error: BaseException | None) -> str:
    """The innermost reason Twisted gives, by type: its text may quote addresses with keys in them."""
    reasons = getattr(error, "reasons", None)
    if reasons:
        return cause(reasons[-1].value)
    return type(error).__name__
