"""What a vendor takes and what it refuses, written down as data next to its recordings.

``<vendor>.rules.json`` holds ``error`` (the body of its refusals; ``$message`` stands for the text) and ``routes``.
A route has ``method``, ``path``, ``kind`` (``socket``, ``upload``, ``speech`` or ``fixed``) and:

``auth``    ``header``, ``pattern`` with a group ``key``, ``status``, ``message``
``fields``  everything that may be sent, by where and name (``query.model``, ``body.text``, ``form.language``):
            ``required``, ``pattern`` (of the whole value), ``min``, ``max``, ``max_chars``, ``repeats``,
            ``status`` and ``message`` of the refusal (400). What is not listed is refused.
``rules``   what depends on something else: ``when`` (patterns that must all match; ``unless`` likewise none), then
            ``require``, ``forbid`` (lists of names) or ``match`` (patterns), with ``status`` and ``message``

What the kinds need besides is described where they are served, in ``replay``.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Values = Mapping[str, list[str]]
"""Everything that was sent, as text, by where and name."""


class Refused(Exception):
    """What the vendor answers instead."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.message = message


@dataclass(frozen=True, slots=True)
class Route:
    """One address of a vendor."""

    vendor: str
    method: str
    path: str
    kind: str
    about: Mapping[str, Any]
    error: Any = field(default_factory=dict)

    def check(self, values: Values, keys: frozenset[str] | None) -> None:
        """Refuse what the vendor would refuse.

        Args:
            values: what was sent; headers as ``header.<lower-case name>``.
            keys: the credentials that are good; None: any that look right.

        Raises:
            Refused: with the vendor's status.
        """
        self._check_auth(values, keys)
        fields = self.about.get("fields", {})
        for name in values:
            if not name.startswith("header.") and name not in fields:
                raise Refused(400, f"unknown parameter {name.partition('.')[2]}")
        for name, spec in fields.items():
            _check_field(name, spec, values.get(name, []))
        for rule in self.about.get("rules", ()):
            _check_rule(rule, values)

    def _check_auth(self, values: Values, keys: frozenset[str] | None) -> None:
        auth = self.about.get("auth")
        if auth is None:
            return
        sent = values.get(f"header.{auth['header']}", [""])
        found = re.fullmatch(auth["pattern"], sent[0])
        if not found or (keys is not None and found["key"] not in keys):
            raise Refused(auth.get("status", 401), auth.get("message", "bad credentials"))


def load(folder: Path) -> list[Route]:
    """The routes of every vendor that has rules there."""
    routes: list[Route] = []
    for path in sorted(folder.glob("*.rules.json")):
        rules = json.loads(path.read_text("utf-8"))
        vendor = path.name.removesuffix(".rules.json")
        for about in rules["routes"]:
            routes.append(
                Route(vendor, about["method"], about["path"], about["kind"], about, rules["error"])
            )
    return routes


def fill(template: Any, values: Mapping[str, Any]) -> Any:
    """A copy of ``template`` in which ``"$name"`` is the value of that name."""
    if isinstance(template, dict):
        return {name: fill(one, values) for name, one in template.items()}
    if isinstance(template, list):
        return [fill(one, values) for one in template]
    if isinstance(template, str) and template.startswith("$"):
        return values[template[1:]]
    if isinstance(template, str) and "$text" in template:
        return template.replace("$text", str(values["text"]))
    return template


def flat(where: str, value: Any) -> dict[str, list[str]]:
    """A JSON object as ``Values``; nested objects become JSON text."""
    result: dict[str, list[str]] = {}
    for name, one in value.items():
        listed = one if isinstance(one, list) else [one]
        result[f"{where}.{name}"] = [
            item if isinstance(item, str) else json.dumps(item) for item in listed
        ]
    return result


def _check_field(name: str, spec: Mapping[str, Any], sent: list[str]) -> None:
    short = name.partition(".")[2]
    status = spec.get("status", 400)

    def refuse(why: str) -> None:
        raise Refused(status, spec.get("message", f"{short} {why}"))

    if spec.get("required") and not sent:
        refuse("is required")
    if len(sent) > 1 and not spec.get("repeats"):
        refuse("is given twice")
    for value in sent:
        if "pattern" in spec and not re.fullmatch(spec["pattern"], value, re.DOTALL):
            refuse(f"has the wrong value {value[:60]!r}")
        if len(value) > spec.get("max_chars", len(value)):
            refuse("is too long")
        if "min" in spec or "max" in spec:
            try:
                number = float(value)
            except ValueError:
                refuse("is no number")
            if not spec.get("min", number) <= number <= spec.get("max", number):
                refuse("is out of range")


def _check_rule(rule: Mapping[str, Any], values: Values) -> None:
    if not all(_matches(values, *one) for one in rule.get("when", {}).items()):
        return
    if any(_matches(values, *one) for one in rule.get("unless", {}).items()):
        return
    is_broken = (
        any(name not in values for name in rule.get("require", ()))
        or any(name in values for name in rule.get("forbid", ()))
        or not all(_matches(values, *one) for one in rule.get("match", {}).items())
    )
    if is_broken:
        raise Refused(rule.get("status", 400), rule["message"])


def _matches(values: Values, name: str, pattern: str) -> bool:
    return any(re.fullmatch(pattern, value, re.DOTALL) for value in values.get(name, ()))
