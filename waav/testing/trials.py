"""What a route must take and what it must refuse, worked out from its rules: a request for each.

Every field is sent with a value that is good, with values of other types, empty, and one past each of its limits; every
row of a combination with what does not belong to it. ``RulesContract`` sends them all.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from waav.speech import wav
from waav.speech.audio import AudioFormat
from waav.testing import forms
from waav.testing.limits import Field, Kind, NotOfThisType, Problem, as_text, tokens
from waav.testing.rules import Combination, Route

_AUDIO = AudioFormat("linear16", 8000)
# None of these is a word, a name or a number that a vendor takes.
_STRANGE = ("no-such-thing", "!", "x", ",", ":")
_STRANGE_NUMBER = 7919

Asked = Mapping[str, Any]
"""Values by where and name; of a field that repeats a list."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One request, and the status it must get; None: it must be taken."""

    what: str
    asked: Asked
    status: int | None = None
    content_type: str | None = None
    is_known: bool = True  # its credentials are good


def trials(route: Route) -> Iterator[Trial]:
    """Everything to be tried with this route."""
    base: Asked = route.about.get("example", {})
    yield Trial("the example", base)
    if "auth" in route.about:
        status = route.about["auth"].get("status", 401)
        yield Trial("no credentials", base, status, is_known=False)
    unknown = route.refusal("unknown", "").status
    yield Trial("an unknown parameter", {**base, "query.no_such_field": "1"}, unknown)
    if "body" in route.about:
        status = route.refusal("content_type", "").status
        yield Trial("another content type", base, status, "application/x-no-such-type")
    for field in route.fields.values():
        beside = {**base, **field.beside}
        for what, value, problem in _values(field):
            asked = {**beside, field.name: value}
            status = field.status(problem) if problem else None
            yield Trial(f"{field.name} {what}", asked, status)
        if field.required:
            rest = {name: one for name, one in beside.items() if name != field.name}
            yield Trial(f"{field.name} missing", rest, field.status("missing"))
    for combination in route.combinations:
        yield from _combined(route, combination, base)


def good(field: Field) -> Any:
    """A value that this field takes.

    Raises:
        ValueError: its limits give none; it needs an ``example``.
    """
    value = field.example if field.example is not None else _good(field, field.kinds[0])
    return [value] if field.repeats else value


def _good(field: Field, kind: Kind) -> Any:
    if kind.type == "boolean":
        return "true" if field.is_text else True
    if kind.members is not None:
        whole = {name: good(one) for name, one in kind.members.items() if one.required}
        return json.dumps(whole) if field.is_text else whole
    for candidate in (*kind.one_of[:1], kind.min, kind.max):
        if candidate is not None:
            value = int(candidate) if kind.type == "integer" else candidate
            return as_text(value) if field.is_text else value
    raise ValueError(f"{field.name} needs an 'example'")


def _values(field: Field) -> Iterator[tuple[str, Any, Problem | None]]:
    """What is sent, and what is wrong with it."""
    value = good(field)
    yield "good", value, None
    if not field.name.startswith("file."):  # what an upload is found to be has a size, and no type
        yield from _of_other_types(field, value)
        yield from _empty(field)
    yield from _excessive(field)


def _of_other_types(field: Field, value: Any) -> Iterator[tuple[str, Any, Problem | None]]:
    types = {kind.type for kind in field.kinds}
    if field.name.startswith("form."):
        as_other = "a text" if "file" in types else forms.Part("", b"x", "x.txt", "text/plain")
        yield "of another type", as_other, "type"
    elif field.name.startswith("query."):
        if not field.repeats:
            yield "given twice", [value, value], "twice"
    else:
        others: tuple[Any, ...] = (17, 1.5, True, None, "no-such-thing", ["x"], {"x": "y"})
        for other in others:
            if not any(_is_of(kind, other) for kind in field.kinds):
                yield f"as {json.dumps(other)}", other, "type"
    if field.is_text and types <= {"integer", "number", "boolean"}:
        yield "as words", "no-such-thing", "type"
    if field.is_text and types == {"integer"}:
        yield "as a fraction", "1.5", "type"


def _empty(field: Field) -> Iterator[tuple[str, Any, Problem | None]]:
    if field.kinds[0].type == "file":
        yield "empty", forms.Part("", b"", "x.wav", "audio/wav"), "empty"
    else:
        yield "empty", [""] if field.repeats else "", "empty"


def _excessive(field: Field) -> Iterator[tuple[str, Any, Problem | None]]:
    def one(value: Any) -> Any:
        if field.is_text:
            value = as_text(value)
        return [value] if field.repeats else value

    for kind in field.kinds:
        size = 1 if kind.type == "integer" else 0.01
        if kind.min is not None:
            yield f"below {kind.min:g}", one(_number(kind, kind.min - size)), "limit"
        if kind.max is not None:
            yield f"above {kind.max:g}", one(_number(kind, kind.max + size)), "limit"
        if kind.step is not None and kind.min is not None:
            yield "between two steps", one(kind.min + kind.step / 2), "limit"
        if kind.max_chars is not None:
            yield "too long", one(_stretched(field, kind.max_chars + 1)), "limit"
        if kind.members is not None:
            yield from _wrong_members(field, kind)
    strange = [field.wrong] if field.wrong is not None else _strange(field)
    if any(kind.one_of or kind.pattern for kind in field.kinds):
        if not strange:
            raise ValueError(f"{field.name} needs a value that is 'wrong'")
        yield "of no such value", one(strange[0]), "limit"
    if field.max_count is not None:
        yield "too often", good(field) * (field.max_count + 1), "limit"
    if field.max_tokens is not None:
        value = good(field)
        yield "with too many tokens", value * (field.max_tokens // tokens(value) + 1), "limit"


def _wrong_members(field: Field, kind: Kind) -> Iterator[tuple[str, Any, Problem | None]]:
    whole = {name: good(one) for name, one in (kind.members or {}).items() if one.required}

    def one(value: Any) -> Any:
        return json.dumps(value) if field.is_text else value

    yield "with members", one(whole), None
    yield "with an unknown member", one({**whole, "no_such_member": 1}), "limit"
    for name, member in (kind.members or {}).items():
        for what, value, _ in _values(member):
            if what != "good":
                yield f"with {name} {what}", one({**whole, name: value}), "limit"
        if member.required:
            rest = {other: value for other, value in whole.items() if other != name}
            yield f"without {name}", one(rest), "limit"


def _combined(route: Route, combination: Combination, base: Asked) -> Iterator[Trial]:
    for value, others in combination.allow.items():
        row = {**base, combination.field: value}
        yield Trial(f"{combination.field} {value}", row)
        if value == combination.default:
            yield from _crossed(route, combination.default, base, others)
        yield from _crossed(route, value, row, others)


def _crossed(
    route: Route, value: str, row: Asked, others: Mapping[str, Kind | None]
) -> Iterator[Trial]:
    """What does not belong to this value, once each; what does, at its edges."""
    for name, kind in others.items():
        field = route.fields[name]
        if kind is None:
            yield Trial(f"{name} with {value}", {**row, name: good(field)}, 400)
            continue
        narrowed = Field(name, (kind,))
        yield Trial(f"{name} that goes with {value}", {**row, name: good(narrowed)})
        for what, sent, _ in _excessive(narrowed):
            yield Trial(f"{name} {what} with {value}", {**row, name: sent}, 400)


def _is_of(kind: Kind, value: Any) -> bool:
    try:
        kind.read(value, is_text=False)
    except NotOfThisType:
        return False
    return True


def _number(kind: Kind, value: float) -> float:
    return int(value) if kind.type == "integer" else round(value, 6)


def _stretched(field: Field, size: int) -> str:
    """A good value made longer than it may be."""
    value = good(field)
    text = as_text(value[0] if field.repeats else value)
    return text + text[-1] * (size - len(text))


def _strange(field: Field) -> list[Any]:
    """Values that none of its types takes, though one of them might: numbers where all are numbers."""
    is_numeric = all(kind.type in ("integer", "number") for kind in field.kinds)
    number = str(_STRANGE_NUMBER) if field.is_text else _STRANGE_NUMBER
    found: list[Any] = []
    for value in (number,) if is_numeric else _STRANGE:
        for kind in field.kinds:
            try:
                if kind.excess(kind.read(value, is_text=field.is_text)) is None:
                    break
            except NotOfThisType:
                continue
        else:
            found.append(value)
    return found


def request(route: Route, trial: Trial) -> tuple[str, dict[str, str], bytes]:
    """Path with query, headers and body of a trial."""
    parts: dict[str, list[tuple[str, Any]]] = {"query": [], "form": [], "body": [], "file": []}
    for name, value in trial.asked.items():
        where, _, short = name.partition(".")
        is_many = isinstance(value, list) and where in ("query", "form")
        parts[where] += [(short, one) for one in (value if is_many else [value])]
    query = urlencode([(name, as_text(value)) for name, value in parts["query"]])
    headers = {}
    if trial.is_known and "auth" in route.about:
        headers[route.about["auth"]["header"]] = route.about["auth"]["example"]
    content_type, body = _body(route, parts)
    content_type = trial.content_type or content_type
    if content_type:
        headers["content-type"] = content_type
    return f"{route.path}?{query}", headers, body


def _body(route: Route, parts: Mapping[str, list[tuple[str, Any]]]) -> tuple[str, bytes]:
    taken = next(iter(route.about.get("body", {}).items()), None)
    if taken is None:
        return "", b""
    content_type, reading = taken
    if reading == "form":
        found = dict(parts["file"])
        return forms.build([_part(name, value, found) for name, value in parts["form"]])
    return content_type, json.dumps(dict(parts["body"])).encode()


def _part(name: str, value: Any, found: Mapping[str, Any]) -> forms.Part:
    """One part of a form; a file becomes as large, or as long, as it is to be found."""
    if isinstance(value, forms.Part):
        return forms.Part(name, value.data, value.filename, value.content_type)
    if not isinstance(value, Mapping):
        return forms.Part(name, as_text(value).encode())
    samples = _AUDIO.silence(found.get("seconds", value["seconds"]))
    if "bytes" in found:
        samples = bytes(found["bytes"] - len(wav.pack(_AUDIO, b"")))
    data = wav.pack(_AUDIO, samples)[: found.get("bytes")]  # without the pad byte of an odd length
    return forms.Part(name, data, value["filename"], value["content_type"])
