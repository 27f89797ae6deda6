"""The rules of the vendors, and the language they are written in."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase, TestCase

from waav.speech.audio import AudioFormat
from waav.testing import forms, rules, trials, uploads
from waav.testing.contract import RulesContract
from waav.testing.intake import AudioIntake
from waav.testing.limits import Refused, read_field, tokens
from waav.testing.recording import Recording

WIRE = Path(__file__).parents[1] / "wire"
BAD = (1008, "bad")


class VendorsTests(RulesContract, TestCase):
    """Everything that any of the vendors documents, tried with the replay server over a socket."""

    folder = WIRE


class RecordingTests(SynchronousTestCase):
    """Recordings and rules are two accounts of one vendor."""

    def test_what_was_recorded_is_taken(self) -> None:
        """Nothing in a recording is refused by the rules of its vendor."""
        routes = rules.load(WIRE)
        seen = 0
        for path in sorted(WIRE.glob("*.jsonl")):
            recording = Recording.load(path)
            for method, url, request in self.asked(recording):
                address = urlsplit(url)
                for route in routes:
                    is_this = address.path.endswith(route.path)
                    if recording.about["provider"] != route.vendor or not is_this:
                        continue
                    self.assertEqual(method, route.method)
                    route.check(self.values(recording, address.query, request))
                    seen += 1
        self.assertGreater(seen, 10)

    def asked(self, recording: Recording) -> list[tuple[str, str, dict[str, Any] | None]]:
        """Method, address and request of each step that asks the vendor for something."""
        found: list[tuple[str, str, dict[str, Any] | None]] = []
        for step in recording.steps:
            if step.kind == "open" and step.value.startswith("ws"):
                found.append(("GET", step.value, None))
            elif step.kind == "sent" and "request" in step.value:
                request = step.value["request"]
                found.append((request["method"], request["url"], request))
        return found

    def values(
        self, recording: Recording, query: str, request: dict[str, Any] | None
    ) -> dict[str, list[Any]]:
        values: dict[str, list[Any]] = {}
        for name, value in parse_qsl(query, keep_blank_values=True):
            values.setdefault(f"query.{name}", []).append(value)
        body = request["body"] if request else {}
        if "json" in body:
            values |= {f"body.{name}": [one] for name, one in body["json"].items()}
        parts = []
        for name, value in body.get("form", ()):
            if isinstance(value, dict):
                data = recording.data(value["data"])
                parts.append(forms.Part(name, data, value["filename"], value["content_type"]))
            else:
                parts.append(forms.Part(name, value.encode()))
        return values | uploads.read(parts)


class LanguageTests(SynchronousTestCase):
    """What a rules file may say, and what it must."""

    def refused(self, about: dict[str, Any], *sent: Any, name: str = "query.a") -> int | None:
        """The status with which a field of this kind refuses these values."""
        try:
            read_field(name, about, {"list": ["a", "b"]}).check(sent)
        except Refused as refused:
            return refused.status
        return None

    def test_a_field_says_its_limits(self) -> None:
        """A field without type, without limits, or with a mistyped member stops the file from being read."""
        for about in (
            {},
            {"type": "string"},
            {"type": "text"},
            {"type": "integer", "required": True},
            {"type": "object"},
            {"type": "text", "max_char": 3},
            {"any_of": [{"type": "text", "one_of": ["a"]}, {"type": "number"}]},
            {"type": "object", "members": {"b": {"type": "text"}}},
        ):
            self.assertRaises(ValueError, read_field, "query.a", about, {})
        read_field("query.a", {"type": "text", "no_limit": "none is documented"}, {})
        read_field("query.a", {"type": "boolean"}, {})

    def test_where_a_file_is_wrong(self) -> None:
        """The error names file, route and field."""
        route = {"method": "GET", "path": "/x", "kind": "fixed"}
        for change, named in (
            ({"fields": {"query.a": {"type": "text"}}}, "query.a"),
            ({"rules": [{"when": {"query.b": "c"}, "message": "no"}]}, "query.b"),
            ({"rules": [{"forbids": ["query.a"], "message": "no"}]}, "forbids"),
            ({"combinations": [{"field": "query.c", "allow": {}}]}, "query.c"),
            (
                {"combinations": [{"field": "query.a", "allow": {"x": {"query.d": None}}}]},
                "query.d",
            ),
        ):
            folder = Path(self.mktemp())
            folder.mkdir()
            good = {"fields": {"query.a": {"type": "boolean"}}}
            text = json.dumps({"error": {}, "routes": [{**route, **good, **change}]})
            (folder / "acme.rules.json").write_text(text)
            error = self.assertRaises(ValueError, rules.load, folder)
            self.assertIn("acme.rules.json: GET /x: ", str(error))
            self.assertIn(named, str(error))

    def test_types_of_text(self) -> None:
        """In a query everything is text, and must read as what it is meant to be."""
        whole = {"type": "integer", "min": 1}
        for about, value, status in (
            (whole, "1", None), (whole, "0", 400), (whole, "1.5", 400), (whole, "one", 400), (whole, " 1", 400),
            (whole, "٣", 400), ({"type": "number", "max": 1}, "nan", 400), ({"type": "number", "max": 1}, "inf", 400),
            ({"type": "number", "max": 1}, "0.5", None), ({"type": "boolean"}, "true", None),
            ({"type": "boolean"}, "True", 400), ({"type": "boolean"}, "1", 400),
            ({"type": "text", "one_of": "$list"}, "b", None), ({"type": "text", "one_of": "$list"}, "c", 400),
            ({"type": "integer", "one_of": [8, 16]}, "16", None), ({"type": "integer", "one_of": [8, 16]}, "12", 400),
            ({"type": "text", "pattern": "a+"}, "aab", 400), ({"type": "text", "max_chars": 2}, "abc", 400),
            ({"type": "number", "min": 0, "step": 0.05}, "0.15", None),
            ({"type": "number", "min": 0, "step": 0.05}, "0.16", 400), ({"type": "boolean"}, "", 400),
        ):  # fmt: skip
            self.assertEqual(self.refused(about, value), status, (about, value))

    def test_types_of_json(self) -> None:
        """In a JSON body a number is a number: text that looks like one is refused, and so is a list."""
        number, words = {"type": "number", "min": 0}, {"type": "text", "max_chars": 9}
        whole = {"type": "integer", "max": 9}
        for about, value, status in (
            (number, 1, None), (number, 0.5, None), (number, "1", 400), (number, True, 400), (number, [1], 400),
            (number, None, 400), (number, float("nan"), 400), (words, "a", None), (words, 1, 400),
            (words, ["a"], 400), (words, "", 400), (whole, 3, None), (whole, 3.0, None), (whole, 3.5, 400),
            ({"type": "boolean"}, False, None), ({"type": "boolean"}, 0, 400),
        ):  # fmt: skip
            self.assertEqual(self.refused(about, value, name="body.a"), status, (about, value))

    def test_lists(self) -> None:
        """Only what repeats may be given twice, and only as often, and as much, as the vendor takes."""
        several = {"type": "text", "repeats": True, "max_count": 2}
        self.assertEqual(self.refused({"type": "boolean"}, "true", "true"), 400)
        self.assertIsNone(self.refused(several, "a", "b"))
        self.assertEqual(self.refused(several, "a", "b", "c"), 400)
        self.assertEqual(self.refused(several, "a", ""), 400)
        self.assertIsNone(self.refused(several, ["a", "b"], name="body.a"))
        for value in ("a", [], ["a", 1], ["a", "b", "c"]):
            self.assertEqual(self.refused(several, value, name="body.a"), 400, value)
        some = {"type": "text", "repeats": True, "max_tokens": 4}
        self.assertIsNone(self.refused(some, "four", "more"))
        self.assertEqual(self.refused(some, "four", "more!"), 400)

    def test_several_types(self) -> None:
        """A value must be within the limits of one of the types it can have."""
        about = {"any_of": [{"type": "integer", "min": 10}, {"type": "text", "one_of": ["off"]}]}
        for value, status in (("10", None), ("off", None), ("9", 400), ("on", 400)):
            self.assertEqual(self.refused(about, value), status, value)

    def test_objects(self) -> None:
        """Members of objects are fields like any other; in a form the object is JSON text."""
        members = {"b": {"type": "number", "max": 1, "required": True}, "c": {"type": "boolean"}}
        about = {"type": "object", "members": members}
        for value, status in (
            ({"b": 1}, None), ({"b": 1, "c": True}, None), ({"b": 2}, 400), ({"c": True}, 400), ({}, 400),
            ({"b": 1, "d": 1}, 400), ({"b": "1"}, 400), ([], 400), (1, 400),
        ):  # fmt: skip
            self.assertEqual(self.refused(about, value, name="body.a"), status, value)
            self.assertEqual(self.refused(about, json.dumps(value), name="form.a"), status, value)
        self.assertEqual(self.refused(about, "{", name="form.a"), 400)

    def test_statuses(self) -> None:
        """Each thing that can be wrong has the vendor's own status."""
        about = {
            "type": "text", "required": True, "max_chars": 1,
            "refusals": {"missing": [411, ""], "twice": [412, ""], "type": [413, ""], "empty": [414, ""],
                         "limit": [416, ""]},
        }  # fmt: skip
        for sent, status in (
            ((), 411),
            (("a", "b"), 412),
            ((1,), 413),
            (("",), 414),
            (("ab",), 416),
        ):
            self.assertEqual(self.refused(about, *sent, name="body.a"), status, sent)

    @given(st.lists(st.text()))
    def test_more_is_never_fewer_tokens(self, values: list[str]) -> None:
        """The estimate grows with every value, and a value is at least one token."""
        self.assertGreaterEqual(tokens([*values, "x"]), tokens(values) + 1)
        self.assertGreaterEqual(tokens(values), len(values))


class RouteTests(SynchronousTestCase):
    """What depends on something else."""

    def route(self, **about: Any) -> rules.Route:
        folder = Path(self.mktemp())
        folder.mkdir()
        fields = {f"query.{name}": {"type": "text", "no_limit": "a test"} for name in "abc"}
        fields["file.seconds"] = {"type": "number", "min": 0}
        whole = {"method": "GET", "path": "/x", "kind": "fixed", "fields": fields, **about}
        (folder / "acme.rules.json").write_text(json.dumps({"error": {}, "routes": [whole]}))
        [route] = rules.load(folder)
        return route

    def is_taken(self, route: rules.Route, **sent: str) -> bool:
        try:
            route.check({f"query.{name}": [value] for name, value in sent.items()})
        except Refused:
            return False
        return True

    def test_combinations(self) -> None:
        """A table says what goes with each value, the one that is not sent included."""
        allow = {
            "x": {"query.b": None, "query.c": {"type": "integer", "max": 9}},
            "y": {"query.b": {"type": "text", "one_of": ["1"]}},
        }
        route = self.route(combinations=[{"field": "query.a", "default": "x", "allow": allow}])
        for sent, is_taken in (
            ({"a": "x"}, True), ({}, True), ({"a": "x", "b": "1"}, False), ({"b": "1"}, False),
            ({"c": "9"}, True), ({"c": "10"}, False), ({"c": "nine"}, False), ({"a": "y", "b": "1"}, True),
            ({"a": "y", "b": "2"}, False), ({"a": "y", "c": "10"}, True), ({"a": "z", "b": "2"}, True),
        ):  # fmt: skip
            self.assertEqual(self.is_taken(route, **sent), is_taken, sent)

    def test_rules(self) -> None:
        """Conditions require, forbid or match something, or refuse outright."""
        for rule, sent, is_taken in (
            ({"when": {"query.a": "x"}, "require": ["query.b"]}, {"a": "x"}, False),
            ({"when": {"query.a": "x"}, "require": ["query.b"]}, {"a": "x", "b": "1"}, True),
            ({"when": {"query.a": "x"}, "forbid": ["query.b"]}, {"a": "x", "b": "1"}, False),
            ({"when": {"query.a": "x"}, "match": {"query.b": "1"}}, {"a": "x", "b": "2"}, False),
            ({"when": {"query.a": "x"}}, {"a": "x"}, False),
            ({"when": {"query.a": "x"}}, {"a": "xx"}, True),
            ({"when": {"query.a": "x"}, "unless": {"query.b": "1"}}, {"a": "x", "b": "1"}, True),
            ({"when": {"query.a": {"over": 3}}}, {"a": "3"}, True),
            ({"when": {"query.a": {"over": 3}}}, {"a": "3.1"}, False),
            ({"when": {"query.a": {"over": 3}}}, {"b": "4"}, True),
        ):
            route = self.route(rules=[{**rule, "message": "no"}])
            self.assertEqual(self.is_taken(route, **sent), is_taken, (rule, sent))

    def test_trials_of_everything(self) -> None:
        """Each field is tried good, of another type, empty and past every limit it has."""
        route = self.route(
            fields={
                "body.a": {"type": "integer", "min": 1, "max": 5},
                "body.b": {"type": "text", "required": True, "max_chars": 3, "example": "x"},
                "query.c": {"type": "boolean"},
            },
            body={"application/json": "json"},
            example={"body.b": "x"},
        )
        tried = {trial.what: trial.status for trial in trials.trials(route)}
        for what in (
            "an unknown parameter", "another content type", "body.a below 1", "body.a above 5", "body.a empty",
            "body.a as [\"x\"]", "body.a as null", "body.a as 1.5", "body.b missing", "body.b too long",
            "body.b as 17", "query.c given twice", "query.c as words", "query.c empty",
        ):  # fmt: skip
            self.assertEqual(tried.get(what), 400, what)
        for what in ("the example", "body.a good", "body.b good", "query.c good"):
            self.assertIsNone(tried[what])

    def test_no_value_to_try(self) -> None:
        """A field whose limits give no good value, or no bad one, must have an example of it."""
        for about in (
            {"type": "text", "pattern": "a+"},
            {"type": "text", "pattern": ".+", "example": "a"},
        ):
            route = self.route(fields={"query.a": about})
            self.assertRaises(ValueError, list, trials.trials(route))


class IntakeTests(SynchronousTestCase):
    """Which audio a vendor cannot decode, byte by byte."""

    audio = AudioFormat("linear16", 16000, 2)
    everything = {
        "refuses": ["empty", "unaligned", "json", "container", "headless"],
        "max_frame_bytes": 100, "big_close": [1009, "big"], "speed": 1.25, "burst_s": 10,
    }  # fmt: skip

    def test_frames(self) -> None:
        """Each kind of bad frame ends the conversation, and only where the rules say so."""
        for payload in (b"", bytes(3), b'{"type":"x"}', b"RIFF\0\0\0\0WAVE"):
            intake = AudioIntake(self.everything, BAD, self.audio, "raw")
            self.assertEqual(intake.objection(payload), BAD, payload)
            self.assertIsNone(AudioIntake({}, BAD, self.audio, "raw").objection(payload), payload)
        intake = AudioIntake(self.everything, BAD, self.audio, "raw")
        self.assertEqual(intake.objection(bytes(104)), (1009, "big"))
        self.assertIsNone(intake.objection(bytes(100)))

    def test_beginnings_in_pieces(self) -> None:
        """A container is noticed however small the pieces are, and only at the beginning."""
        mono = AudioFormat("mulaw", 8000)
        for framing, stream, is_bad in (
            ("raw", b"RIFF\1\2\3\4WAVEfmt ", True), ("raw", b"RIFF\1\2\3\4WAXEfmt ", False),
            ("raw", b"\0RIFF\1\2\3\4WAVEfmt ", False), ("container", b"RIFF\1\2\3\4WAVEfmt ", False),
            ("container", bytes(16), True), ("container", b"ID3\4" + bytes(12), False),
            ("compressed", bytes(16), False),
        ):  # fmt: skip
            intake = AudioIntake(self.everything, BAD, mono, framing)
            found = [intake.objection(stream[at : at + 1]) for at in range(len(stream))]
            self.assertEqual(BAD in found, is_bad, (framing, stream))

    def test_speed(self) -> None:
        """Ten seconds come as they like; what is beyond takes its time divided by the speed."""
        intake = AudioIntake(self.everything, BAD, self.audio, "raw")
        self.assertLessEqual(intake.ahead_s(10.0, 0.0), 0)
        self.assertAlmostEqual(intake.ahead_s(15.0, 0.0), 4.0)
        self.assertAlmostEqual(intake.ahead_s(15.0, 3.0), 1.0)
        self.assertLessEqual(intake.ahead_s(3600.0, 3600.0), 0)
        self.assertEqual(intake.free_s(4.0), 15.0)
        at_will = AudioIntake({}, BAD, self.audio, "raw")
        self.assertLessEqual(at_will.ahead_s(3600.0, 0.0), 0)


class FormTests(SynchronousTestCase):
    def test_built_and_read(self) -> None:
        """A form that was put together is read as what it was put together of."""
        parts = [
            forms.Part("file", b"\0\r\n--x", "a.wav", "audio/wav"),
            forms.Part("model", "Zoë".encode()),
        ]
        self.assertEqual(forms.parse(*forms.build(parts)), parts)
