"""What may be sent in one field of a request, and what is wrong with something else.

A field of ``<vendor>.rules.json`` says, besides ``required`` and ``repeats``, which ``type`` it has and how far it
goes. A field of several types, or of words and something else, lists them in ``any_of``.

``type``      ``text``, ``integer``, ``number``, ``boolean``, ``object`` or ``file``. In a query and in a form all is
              text and read as that type; in a JSON body it must be that type.
``one_of``    values; ``"$name"`` is a list under ``lists`` of the file
``pattern``   of the whole value
``min``, ``max``, ``step``, ``max_chars``, ``members`` (the fields of an object: no others are taken)
``max_count``, ``max_tokens``   of a field that repeats: how many values, how many tokens all of them together
``no_limit``  why there is none. A field with neither limit nor this is an error of the file.
``refusals``  status and message by what is wrong: ``missing``, ``twice``, ``type``, ``empty``, ``limit``; else 400
``example``   a value that is taken, where the limits do not give one; ``wrong`` one that is not; ``with`` what else
              must be sent beside it (for the trials of the contract)
"""

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from waav.testing import forms

Problem = Literal["missing", "twice", "type", "empty", "limit"]
TYPES = ("text", "integer", "number", "boolean", "object", "file")
_LIMITS = ("one_of", "pattern", "min", "max", "step", "max_chars", "members", "no_limit")
_FIELD = ("required", "repeats", "any_of", "max_count", "max_tokens", "refusals",
          "example", "wrong", "with")  # fmt: skip

# The vendors' tokenizers are not published. Four bytes a token and one between two values is less than was measured
# of Deepgram's (500 tokens are reached by about 137 words), so that nothing is refused here that is taken there.
_TOKEN_BYTES = 4


class Refused(Exception):
    """What the vendor answers instead."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


class NotOfThisType(Exception):
    """A value is something else than its field takes."""


@dataclass(frozen=True, slots=True)
class Kind:
    """One type and its limits."""

    type: str
    one_of: tuple[Any, ...] = ()
    pattern: str | None = None
    min: float | None = None
    max: float | None = None
    step: float | None = None
    max_chars: int | None = None
    members: "Mapping[str, Field] | None" = None
    no_limit: str | None = None

    def read(self, value: Any, *, is_text: bool) -> Any:
        """The value as what it is meant to be.

        Args:
            value: as it was sent.
            is_text: it came where all is text.

        Raises:
            NotOfThisType: it is something else.
        """
        if not is_text:
            value = int(value) if self.type == "integer" and _is_whole(value) else value
            if not _IS[self.type](value):
                raise NotOfThisType
            return value
        if isinstance(value, str) == (self.type == "file"):
            raise NotOfThisType
        if self.type == "file":
            return value
        try:
            return _READ[self.type](value)
        except ValueError:
            raise NotOfThisType from None

    def excess(self, value: Any) -> str | None:
        """How a value of this type goes too far, or None."""
        if self.one_of and as_text(value) not in {as_text(one) for one in self.one_of}:
            return f"has the wrong value {as_text(value)[:60]!r}"
        if self.pattern is not None and not re.fullmatch(self.pattern, as_text(value), re.DOTALL):
            return f"has the wrong value {as_text(value)[:60]!r}"
        if self.max_chars is not None and len(value) > self.max_chars:
            return f"is longer than {self.max_chars} characters"
        if self.min is not None and value < self.min:
            return f"is less than {self.min:g}"
        if self.max is not None and value > self.max:
            return f"is more than {self.max:g}"
        if self.step is not None and abs(value / self.step - round(value / self.step)) > 1e-6:
            return f"is no multiple of {self.step:g}"
        return None

    def check_members(self, value: Mapping[str, Any]) -> None:
        """Refuse an object with a member that is wrong, missing or unknown."""
        members = self.members or {}
        for name in value:
            if self.members is not None and name not in members:
                raise Refused(400, f"unknown parameter {name}")
        for name, member in members.items():
            member.check([value[name]] if name in value else [])


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a route, or one member of an object in it."""

    name: str
    kinds: tuple[Kind, ...]
    required: bool = False
    repeats: bool = False
    max_count: int | None = None
    max_tokens: int | None = None
    refusals: Mapping[str, tuple[int, str]] = field(default_factory=dict)
    example: Any = None
    wrong: Any = None
    beside: Mapping[str, Any] = field(default_factory=dict)

    @property
    def is_text(self) -> bool:
        """Whether it comes where all is text: in the query or in a form."""
        return self.name.startswith(("query.", "form."))

    @property
    def short(self) -> str:
        """Its name as the vendor has it."""
        return self.name.partition(".")[2] or self.name

    def check(self, sent: Sequence[Any]) -> None:
        """Refuse what the vendor would refuse.

        Args:
            sent: every value; a list of a JSON body is one value.

        Raises:
            Refused: with the vendor's status.
        """
        if not sent:
            if self.required:
                raise self.refusal("missing", "is required")
            return
        if self.repeats and not self.is_text:
            if not isinstance(sent[0], list):
                raise self.refusal("type", "is no list")
            sent = sent[0]
            if not sent:
                raise self.refusal("empty", "is empty")
        if len(sent) > 1 and not self.repeats:
            raise self.refusal("twice", "is given twice")
        for value in sent:
            self._check_value(value)
        if self.max_count is not None and len(sent) > self.max_count:
            raise self.refusal("limit", f"has more than {self.max_count} entries")
        if self.max_tokens is not None and tokens(sent) > self.max_tokens:
            raise self.refusal("limit", f"has more than {self.max_tokens} tokens")

    def _check_value(self, value: Any) -> None:
        if value in ("", {}) or (isinstance(value, forms.Part) and not value.data):
            raise self.refusal("empty", "is empty")
        found: list[str | None] = []
        for kind in self.kinds:
            try:
                read = kind.read(value, is_text=self.is_text)
            except NotOfThisType:
                continue
            if kind.type == "object":
                kind.check_members(read)
            found.append(kind.excess(read))
        if not found:
            raise self.refusal("type", f"is no {' or '.join(kind.type for kind in self.kinds)}")
        if None not in found:
            raise self.refusal("limit", str(found[0]))

    def refusal(self, problem: Problem, why: str) -> Refused:
        """The vendor's answer to this problem."""
        status, message = self.refusals.get(problem, (400, f"{self.short} {why}"))
        return Refused(status, message)

    def status(self, problem: Problem) -> int:
        """The status of the answer to this problem."""
        return self.refusals.get(problem, (400, ""))[0]


def read_field(name: str, about: Mapping[str, Any], lists: Mapping[str, Any]) -> Field:
    """A field as the rules have it.

    Raises:
        ValueError: it has an unknown member, no type, or neither a limit nor a reason why there is none.
    """
    unknown = about.keys() - {"type", *_LIMITS, *_FIELD}
    if unknown:
        raise ValueError(f"{name}: no such member as {', '.join(sorted(unknown))}")
    kinds = tuple(read_kind(name, one, lists) for one in about.get("any_of", [about]))
    return Field(
        name,
        kinds,
        bool(about.get("required")),
        bool(about.get("repeats")),
        about.get("max_count"),
        about.get("max_tokens"),
        {problem: (status, said) for problem, (status, said) in about.get("refusals", {}).items()},
        about.get("example"),
        about.get("wrong"),
        about.get("with", {}),
    )


def read_kind(name: str, about: Mapping[str, Any], lists: Mapping[str, Any]) -> Kind:
    """One type with its limits.

    Raises:
        ValueError: as for ``read_field``.
    """
    kind = about.get("type")
    if kind not in TYPES:
        raise ValueError(f"{name}: its type must be one of {', '.join(TYPES)}")
    limits = {limit: about[limit] for limit in _LIMITS if limit in about}
    if not limits and kind != "boolean" and not about.keys() & {"max_count", "max_tokens"}:
        raise ValueError(f"{name}: says neither its limits nor 'no_limit'")
    if isinstance(limits.get("one_of"), str):
        limits["one_of"] = lists[limits["one_of"].removeprefix("$")]
    limits["one_of"] = tuple(limits.get("one_of", ()))
    if "members" in limits:
        members = limits["members"].items()
        limits["members"] = {member: read_field(member, one, lists) for member, one in members}
    return Kind(kind, **limits)


def tokens(values: Iterable[Any]) -> int:
    """About how many tokens these values are, rather too few."""
    return sum(-(-len(as_text(value).encode()) // _TOKEN_BYTES) + 1 for value in values)


def as_text(value: Any) -> str:
    """A value as a query string would have it."""
    return value if isinstance(value, str) else json.dumps(value, default=str)


def _is_whole(value: Any) -> bool:
    return isinstance(value, float) and value.is_integer()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)


_IS: dict[str, Any] = {
    "text": lambda value: isinstance(value, str),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": _is_number,
    "boolean": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, Mapping),
    "file": lambda value: False,
}


def _read_integer(value: str) -> int:
    if not re.fullmatch(r"-?[0-9]+", value):
        raise ValueError
    return int(value)


def _read_number(value: str) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


def _read_boolean(value: str) -> bool:
    if value not in ("true", "false"):
        raise ValueError
    return value == "true"


def _read_object(value: str) -> Any:
    found = json.loads(value)
    if not isinstance(found, dict):
        raise ValueError
    return found


_READ: dict[str, Any] = {
    "text": str, "integer": _read_integer, "number": _read_number, "boolean": _read_boolean,
    "object": _read_object,
}  # fmt: skip
