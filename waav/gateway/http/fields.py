"""Reading what a caller sent as JSON, for messages and request bodies alike.

Errors name the field and never repeat its value: it may be a key.
"""

import json
import math
from collections.abc import Iterator, Mapping
from typing import Any, NoReturn

from waav.errors import BadRequest


class Malformed(BadRequest):
    """The JSON is valid, but a field is missing or is not what it must be."""

    status = 422
    code = "invalid_message"


class NotJSON(Malformed):
    """The text is not a JSON object."""

    status = 400


class TooLarge(BadRequest):
    """Something is longer than docs/protocol.md allows."""

    status = 413
    code = "too_large"


def parse_object(text: str | bytes) -> dict[str, Any]:
    """The JSON object in ``text``.

    Raises:
        NotJSON: it is something else, has a key twice, holds NaN or an infinity, or half a surrogate pair.
    """
    try:
        if isinstance(text, bytes):
            text = text.decode()
        value = json.loads(
            text, object_pairs_hook=_unique, parse_constant=_not_a_number, parse_float=_finite
        )
        if "\\u" in text:
            # Half a surrogate pair can be written as an escape, but not be sent anywhere.
            json.dumps(value, ensure_ascii=False).encode()
    except json.JSONDecodeError as error:
        raise NotJSON(f"{error.msg} at line {error.lineno} column {error.colno}") from None
    except UnicodeError:
        raise NotJSON("the text is not valid Unicode") from None
    except RecursionError:
        raise NotJSON("nested too deeply") from None
    except ValueError:
        raise NotJSON("a number has too many digits") from None
    if not isinstance(value, dict):
        raise NotJSON("expected an object")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        seen: set[str] = set()
        for key, _ in pairs:
            if key in seen:
                raise NotJSON(f"duplicate field `{key[:64]}`")
            seen.add(key)
    return found


def _finite(text: str) -> float:
    """``1e999`` is good JSON, but Python would write it back as ``Infinity``, which is not."""
    value = float(text)
    if not math.isfinite(value):
        raise NotJSON("numbers beyond every float are not JSON here")
    return value


def _not_a_number(_: str) -> NoReturn:
    raise NotJSON("NaN and infinities are not JSON")


class Fields:
    """One JSON object, read field by field.

    A field may have several names; the first that is there wins. ``null`` is the same as absent, unknown
    fields are ignored.

    Args:
        source: the decoded object.
        path: where it stands in the message, for error texts.
    """

    __slots__ = ("_path", "_source")

    def __init__(self, source: Mapping[str, Any], path: str = "") -> None:
        self._source = source
        self._path = path

    def path(self, name: str) -> str:
        """The full name of a field, as in ``stt_config.sample_rate``."""
        return f"{self._path}.{name}" if self._path else name

    def wrong(self, name: str, what: str) -> NoReturn:
        """Refuse the field."""
        raise Malformed(f"`{self.path(name)}` {what}")

    def value(self, *names: str) -> Any:
        """Whatever is there, or None."""
        for name in names:
            if (value := self._source.get(name)) is not None:
                return value
        return None

    def has(self, name: str) -> bool:
        """Whether the key is there, even with ``null``."""
        return name in self._source

    def require(self, name: str) -> None:
        """Refuse the object if the field is absent or null."""
        if self.value(name) is None:
            raise Malformed(f"missing field `{self.path(name)}`")

    def text(self, *names: str) -> str | None:
        """A string; an empty one stays empty."""
        value = self.value(*names)
        if value is not None and not isinstance(value, str):
            self.wrong(names[0], "must be a string")
        return value

    def required_text(self, name: str) -> str:
        """A string that must be there."""
        self.require(name)
        return self.text(name) or ""

    def flag(self, *names: str) -> bool | None:
        """true or false."""
        value = self.value(*names)
        if value is not None and not isinstance(value, bool):
            self.wrong(names[0], "must be true or false")
        return value

    def number(self, *names: str) -> float | None:
        """A finite number."""
        value = self.value(*names)
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, int | float):
            self.wrong(names[0], "must be a number")
        if (isinstance(value, int) and abs(value) >= 1 << 64) or not math.isfinite(value):
            self.wrong(names[0], "is out of range")
        return float(value)

    def whole(self, *names: str, low: int = 0, high: int = 0xFFFFFFFF) -> int | None:
        """A whole number; ``16000.0`` is one too."""
        value = self.number(*names)
        if value is None:
            return None
        if not value.is_integer() or not low <= value <= high:
            self.wrong(names[0], f"must be a whole number from {low} to {high}")
        return int(value)

    def object(self, *names: str) -> Mapping[str, Any] | None:
        """A JSON object."""
        value = self.value(*names)
        if value is not None and not isinstance(value, dict):
            self.wrong(names[0], "must be an object")
        return value

    def objects(self, name: str) -> Iterator["Fields"]:
        """The objects of a list, each to be read like this one; nothing where the list is absent."""
        value = self.value(name)
        if value is None:
            return
        if not isinstance(value, list):
            self.wrong(name, "must be a list")
        for at, item in enumerate(value):
            if not isinstance(item, dict):
                self.wrong(f"{name}[{at}]", "must be an object")
            yield Fields(item, self.path(f"{name}[{at}]"))
