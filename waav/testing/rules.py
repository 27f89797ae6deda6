"""What a vendor takes and what it refuses, written down as data next to its recordings.

``<vendor>.rules.json`` holds ``error`` (the body of its refusals; ``$message`` stands for the text, ``$code`` for the
entry of ``codes`` that belongs to the status), ``error_headers``, ``lists`` (of values, to be named in fields) and
``routes``. A route has ``method``, ``path``, ``kind`` (``socket``, ``upload``, ``speech`` or ``fixed``) and:

``auth``          ``header``, ``pattern`` with a group ``key``, ``status``, ``message``, ``example`` of a good header
``body``          how a body of which content type is read: ``json`` (``body.<name>``), ``form`` (``form.<name>``), or
                  the name of the field that it is. Other types are refused.
``refusals``      status and message for a wrong ``content_type``, an ``unreadable`` body and ``unknown`` fields
``fields``        everything that may be sent, by where and name (``query.model``, ``body.text``, ``form.language``;
                  ``file.bytes`` and ``file.seconds`` are what an upload is found to be), as ``limits`` describes it.
                  What is not listed is refused.
``combinations``  tables: for each value of ``field`` (``default`` if it is not sent), ``allow`` says what others may
                  be: a type and limits as in a field, or null: not sent at all
``rules``         what else depends on something: ``when`` (conditions that must all hold; ``unless`` likewise none),
                  then ``require``, ``forbid`` (lists of names) or ``match`` (conditions), or nothing: it is refused;
                  with ``status`` and ``message``. A condition is a pattern of the whole value, or ``{"over": 30}``.
``example``       a request that is taken: values by where and name

What the kinds need besides is described where they are served, in ``replay``.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from waav.testing.limits import (
    Field,
    Kind,
    NotOfThisType,
    Refused,
    as_text,
    read_field,
    read_kind,
)

_CONDITIONS = ("when", "unless", "match")
_LISTS = ("require", "forbid")

Values = Mapping[str, list[Any]]
"""Everything that was sent, by where and name: text, or of a JSON body whatever it holds."""


@dataclass(frozen=True, slots=True)
class Combination:
    """What goes together with each value of one field; None: nothing at all."""

    field: str
    default: str | None
    allow: Mapping[str, Mapping[str, Kind | None]]

    def check(self, values: Values) -> None:
        """Refuse what does not go together."""
        for value in values.get(self.field, [self.default]):
            for name, kind in self.allow.get(as_text(value), {}).items():
                self._check_other(as_text(value), name, kind, values.get(name, ()))

    def _check_other(self, value: str, name: str, kind: Kind | None, sent: Any) -> None:
        other, this = name.partition(".")[2], f"{self.field.partition('.')[2]}={value}"
        if sent and kind is None:
            raise Refused(400, f"{other} is not applicable when {this}")
        for one in sent:
            try:
                assert kind is not None
                why = kind.excess(kind.read(one, is_text=not name.startswith("body.")))
            except NotOfThisType:
                why = "has the wrong type"
            if why:
                raise Refused(400, f"{other} {why} when {this}")


@dataclass(frozen=True, slots=True)
class Route:
    """One address of a vendor."""

    vendor: str
    method: str
    path: str
    kind: str
    about: Mapping[str, Any]
    fields: Mapping[str, Field] = field(default_factory=dict)
    combinations: tuple[Combination, ...] = ()
    error: Any = field(default_factory=dict)
    error_headers: Mapping[str, str] = field(default_factory=dict)
    codes: Mapping[str, str] = field(default_factory=dict)

    def check_auth(self, headers: Mapping[str, str], keys: frozenset[str] | None) -> None:
        """Refuse bad credentials.

        Args:
            headers: by lower-case name.
            keys: the credentials that are good; None: any that look right.

        Raises:
            Refused: with the vendor's status.
        """
        auth = self.about.get("auth")
        if auth is None:
            return
        found = re.fullmatch(auth["pattern"], headers.get(auth["header"], ""))
        if not found or (keys is not None and found["key"] not in keys):
            raise Refused(auth.get("status", 401), auth.get("message", "bad credentials"))

    def reading(self, content_type: str) -> str | None:
        """How a body of this type is read; None: this route has no body.

        Raises:
            Refused: the vendor takes no such body.
        """
        taken: Mapping[str, str] | None = self.about.get("body")
        if taken is None:
            return None
        kind = content_type.partition(";")[0].strip().lower()
        if kind not in taken:
            raise self.refusal("content_type", f"the content type {kind!r} is not supported")
        return taken[kind]

    def check(self, values: Values) -> None:
        """Refuse what the vendor would refuse.

        Raises:
            Refused: with the vendor's status.
        """
        for name in values:
            if name not in self.fields:
                raise self.refusal("unknown", f"unknown parameter {name.partition('.')[2]}")
        for name, one in self.fields.items():
            one.check(values.get(name, []))
        for combination in self.combinations:
            combination.check(values)
        for rule in self.about.get("rules", ()):
            _check_rule(rule, values)

    def refusal(self, problem: str, why: str) -> Refused:
        """The vendor's answer to something that is wrong with the request as a whole."""
        status, message = self.about.get("refusals", {}).get(problem, (400, why))
        return Refused(status, message)

    def refused(self, refusal: Refused) -> tuple[bytes, dict[str, str]]:
        """Body and headers of a refusal."""
        about = {
            "message": refusal.message,
            "code": self.codes.get(str(refusal.status)),
        }
        headers = fill(self.error_headers, about)
        body = json.dumps(fill(self.error, about)).encode()
        return body, {**headers, "content-type": "application/json"}


def load(folder: Path) -> list[Route]:
    """The routes of every vendor that has rules there.

    Raises:
        ValueError: a file breaks the language; the text names file, route and field.
    """
    return [route for path in sorted(folder.glob("*.rules.json")) for route in _routes(path)]


def _routes(path: Path) -> Iterator[Route]:
    rules = json.loads(path.read_text("utf-8"))
    lists = rules.get("lists", {})
    for about in rules["routes"]:
        try:
            fields = {
                name: read_field(name, one, lists) for name, one in about.get("fields", {}).items()
            }
            combinations = tuple(_combination(one, lists) for one in about.get("combinations", ()))
            _check_names(about, fields)
        except ValueError as problem:
            where = f"{path.name}: {about['method']} {about['path']}"
            raise ValueError(f"{where}: {problem}") from None
        yield Route(
            path.name.removesuffix(".rules.json"),
            about["method"],
            about["path"],
            about["kind"],
            about,
            fields,
            combinations,
            rules["error"],
            rules.get("error_headers", {}),
            rules.get("codes", {}),
        )


def _check_names(about: Mapping[str, Any], fields: Mapping[str, Field]) -> None:
    """Raise ValueError for a rule that could never hold because something in it is mistyped."""
    named: set[str] = set()
    for rule in about.get("rules", ()):
        unknown = rule.keys() - {*_CONDITIONS, *_LISTS, "status", "message"}
        if unknown:
            raise ValueError(f"a rule has no such member as {', '.join(sorted(unknown))}")
        named.update(*(rule.get(part, ()) for part in (*_CONDITIONS, *_LISTS)))
    for combination in about.get("combinations", ()):
        named.update({combination["field"]}, *combination["allow"].values())
    named.update(about.get("example", ()))
    for name in sorted(named - fields.keys()):
        raise ValueError(f"{name} is no field")


def _combination(about: Mapping[str, Any], lists: Mapping[str, Any]) -> Combination:
    allow = {
        value: {
            name: None if one is None else read_kind(name, one, lists)
            for name, one in others.items()
        }
        for value, others in about["allow"].items()
    }
    return Combination(about["field"], about.get("default"), allow)


def fill(template: Any, values: Mapping[str, Any]) -> Any:
    """A copy of ``template`` in which ``"$name"`` is the value of that name."""
    if isinstance(template, Mapping):
        return {name: fill(one, values) for name, one in template.items()}
    if isinstance(template, list):
        return [fill(one, values) for one in template]
    if isinstance(template, str) and template.startswith("$"):
        return values[template[1:]]
    if isinstance(template, str) and "$text" in template:
        return template.replace("$text", str(values["text"]))
    return template


def _check_rule(rule: Mapping[str, Any], values: Values) -> None:
    if not all(_holds(values, *one) for one in rule.get("when", {}).items()):
        return
    if any(_holds(values, *one) for one in rule.get("unless", {}).items()):
        return
    is_broken = (
        not rule.keys() & {"require", "forbid", "match"}
        or any(name not in values for name in rule.get("require", ()))
        or any(name in values for name in rule.get("forbid", ()))
        or not all(_holds(values, *one) for one in rule.get("match", {}).items())
    )
    if is_broken:
        raise Refused(rule.get("status", 400), rule["message"])


def _holds(values: Values, name: str, condition: Any) -> bool:
    sent = values.get(name, ())
    if isinstance(condition, Mapping):
        return any(float(value) > condition["over"] for value in sent)
    return any(re.fullmatch(condition, as_text(value), re.DOTALL) for value in sent)
