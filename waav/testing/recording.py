"""Recorded conversations with vendors: one JSON object per line.

The first line says where the recording is from, whom it is with, and what was chosen::

    {"source": "written from https://...", "date": "2026-11-25", "provider": "acme", "verb": "listen",
     "settings": {"language": "en-US"}, "account": {"key": "test-key"},
     "signals": {"hello": {"utterances": ["hello there"]}}}

``settings`` may hold ``format`` (encoding, rate_hz, channels, container), ``emotion`` and every other field of
``ListenSettings`` or ``SpeakSettings``; ``account`` may hold ``options``, ``endpoint`` and ``credentials``.
Every further line is one step, in order:

====================================  ==========================================================================
``{"open": URL, "headers": {...}}``   how the conversation begins
``{"do": "audio", "data": BYTES}``    a command of the gateway; ``speak`` has ``text``, the others nothing
``{"sent": MESSAGE}``                 what the dialogue then says
``{"got": MESSAGE}``                  what the vendor says
``{"event": "transcript", ...}``      what that means; only fields that differ from their defaults
``{"raises": "ProviderBusy", ...}``   instead: the error it raises; ``message`` is optional
====================================  ==========================================================================

MESSAGE is ``{"text": ...}``, ``{"json": ...}`` (a text, compared as JSON), ``{"binary": BYTES}``,
``{"request": {"method", "url", "headers", "body": BYTES}}``, or for answers ``{"head": 200, "headers": {...}}``
(a status of 300 or more has its ``body`` there), ``{"body": BYTES}``, ``{"end": true}``.
BYTES is ``{"base64": ...}``, ``{"text": ...}``, ``{"json": ...}``, ``{"zeros": 640}``,
``{"signal": NAME, "from_s": 0, "to_s": 0.5}``, any of the last two in a WAV file with ``"wav": true``, a list of
BYTES, or in requests ``{"form": [[NAME, VALUE], ...]}`` whose VALUE of a file is
``{"filename", "content_type", "data": BYTES}``.
"""

import base64
import dataclasses
import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from waav.secret import Secret
from waav.speech import wav, wire
from waav.speech.audio import AudioFormat
from waav.speech.provider import Account, Emotion, ListenSettings, Provider, SpeakSettings
from waav.testing import forms
from waav.testing.signal import Signal

STEPS = ("open", "do", "sent", "got", "event", "raises")
_COMMANDS: dict[str, type[Any]] = {
    "audio": wire.Audio, "speak": wire.Speak, "flush": wire.Flush, "clear": wire.Clear,
    "finish": wire.Finish, "keep_alive": wire.KeepAlive,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Step:
    """One line: ``kind`` is one of ``STEPS``, ``value`` what stands behind it, ``rest`` the other members."""

    line: int
    kind: str
    value: Any
    rest: Mapping[str, Any]


@dataclass(frozen=True)
class Recording:
    """One file."""

    name: str
    about: Mapping[str, Any]
    steps: tuple[Step, ...]

    @classmethod
    def load(cls, path: Path) -> "Recording":
        """Read a file.

        Raises:
            ValueError: a line is no step, or the first line lacks something; the text names file and line.
        """
        return cls.read(path.name, path.read_text("utf-8"))

    @classmethod
    def read(cls, name: str, text: str) -> "Recording":
        """The same, from the text of a file."""
        first, *rest = list(_lines(name, text))
        missing = [key for key in ("source", "date", "provider", "verb") if not first[1].get(key)]
        if missing:
            raise ValueError(f"{name}:1: the first line lacks {', '.join(missing)}")
        return cls(name, first[1], tuple(_step(name, line, value) for line, value in rest))

    @cached_property
    def signals(self) -> dict[str, Signal]:
        """The signals it names."""
        named = self.about.get("signals", {})
        return {name: Signal.from_json(name, about) for name, about in named.items()}

    @property
    def settings(self) -> ListenSettings | SpeakSettings:
        """What was chosen."""
        fields = dict(self.about.get("settings", {}))
        if "format" in fields:
            fields["format"] = AudioFormat(**fields["format"])
        if "emotion" in fields:
            fields["emotion"] = Emotion(**fields["emotion"])
        kind = ListenSettings if self.about["verb"] == "listen" else SpeakSettings
        return kind(provider=self.about["provider"], **fields)

    def account(self, endpoint: str | None = None) -> Account:
        """The account it was made with, or the same one at another address."""
        fields = self.about.get("account", {})
        return Account(
            key=Secret(fields.get("key", "test-key")),
            credentials=fields.get("credentials", {}),
            endpoint=endpoint or fields.get("endpoint"),
            options=fields.get("options", {}),
        )

    def dialogue(self, provider: Provider, endpoint: str | None = None) -> wire.Dialogue:
        """A new dialogue with what was chosen."""
        settings, account = self.settings, self.account(endpoint)
        if isinstance(settings, ListenSettings):
            assert provider.listen is not None, f"{provider.name} does not listen"
            return provider.listen(settings, account)
        assert provider.speak is not None, f"{provider.name} does not speak"
        return provider.speak(settings, account)

    def command(self, step: Step) -> wire.Command:
        """The command of a ``do`` step."""
        if step.value == "audio":
            return wire.Audio(self.data(step.rest["data"]))
        command: wire.Command = _COMMANDS[step.value](**step.rest)
        return command

    def data(self, ref: Any) -> bytes:
        """The bytes that BYTES stands for."""
        if isinstance(ref, list):
            return b"".join(self.data(one) for one in ref)
        data, audio = self._plain(ref)
        return wav.pack(audio, data) if ref.get("wav") else data

    def _plain(self, ref: Mapping[str, Any]) -> tuple[bytes, AudioFormat]:
        audio = AudioFormat("linear16", int(ref.get("rate_hz", 16000)))
        if "signal" in ref:
            signal = self.signals[ref["signal"]]
            return signal.cut(
                ref.get("from_s", 0.0), ref.get("to_s", signal.seconds)
            ), signal.format
        if "base64" in ref:
            return base64.b64decode(ref["base64"], validate=True), audio
        if "zeros" in ref:
            return bytes(ref["zeros"]), audio
        if "json" in ref:
            return json.dumps(ref["json"]).encode(), audio
        return ref["text"].encode(), audio

    def incoming(self, message: Mapping[str, Any]) -> wire.Incoming:
        """What a ``got`` step hands to the dialogue. Error answers are not among it."""
        if "head" in message:
            return wire.Head(message["head"], message.get("headers", {}))
        if "body" in message:
            return wire.Body(self.data(message["body"]))
        if "end" in message:
            return wire.End()
        if "binary" in message:
            return self.data(message["binary"])
        return json.dumps(message["json"]) if "json" in message else str(message["text"])

    def matches(self, expected: Mapping[str, Any], outgoing: wire.Outgoing) -> str | None:
        """How ``outgoing`` differs from a ``sent`` step, or None."""
        if isinstance(outgoing, wire.Request):
            if "request" not in expected:
                return f"a request to {outgoing.url} instead of {expected}"
            return self._request_differs(expected["request"], outgoing)
        if isinstance(outgoing, bytes):
            if "binary" not in expected or self.data(expected["binary"]) != outgoing:
                return f"{len(outgoing)} other bytes"
            return None
        if "json" in expected:
            same = json.loads(outgoing) == expected["json"]
        else:
            same = expected.get("text") == outgoing
        return None if same else f"the text {outgoing}"

    def _request_differs(self, expected: Mapping[str, Any], request: wire.Request) -> str | None:
        if (expected["method"], expected["url"]) != (request.method, request.url):
            return f"{request.method} {request.url}"
        headers = dict(request.headers)
        body = expected.get("body", {"text": ""})
        if "form" in body:
            form = forms.parse(headers.pop("Content-Type"), request.body)
            wanted = [self._form_field(*field) for field in body["form"]]
            if form != wanted:
                return f"the form {[field.name for field in form]}"
        elif "json" in body:
            if json.loads(request.body) != body["json"]:
                return f"the body {request.body.decode()}"
        elif self.data(body) != request.body:
            return f"another body of {len(request.body)} bytes"
        return None if headers == expected["headers"] else f"the headers {sorted(headers)}"

    def _form_field(self, name: str, value: Any) -> forms.Part:
        if isinstance(value, str):
            return forms.Part(name, value.encode())
        return forms.Part(name, self.data(value["data"]), value["filename"], value["content_type"])


def described(event: wire.Event) -> dict[str, Any]:
    """An event as a step writes it down; audio as its bytes."""
    name = type(event).__name__
    kind = "".join(f"_{char.lower()}" if char.isupper() else char for char in name).lstrip("_")
    if isinstance(event, wire.Spoken):
        return {"event": kind, **_changed(event.frame.format), "data": event.frame.data}
    fields = _changed(event)
    if isinstance(event, wire.Failed | wire.Lost):
        fields["error"] = {"raises": type(event.error).__name__, "message": event.error.message}
    if "words" in fields:
        fields["words"] = [_changed(word) for word in fields["words"]]
    return {"event": kind, **fields}


def _changed(value: Any) -> dict[str, Any]:
    """The fields of a dataclass that differ from their defaults."""
    return {
        field.name: getattr(value, field.name)
        for field in dataclasses.fields(value)
        if getattr(value, field.name) != field.default
    }


def _lines(name: str, text: str) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip():
            continue
        try:
            value = json.loads(line)
        except ValueError as problem:
            raise ValueError(f"{name}:{number}: {problem}") from None
        if not isinstance(value, dict):
            raise ValueError(f"{name}:{number}: not an object")
        yield number, value


def _step(name: str, line: int, value: dict[str, Any]) -> Step:
    kinds = [kind for kind in STEPS if kind in value]
    if len(kinds) != 1:
        raise ValueError(f"{name}:{line}: a step has one of {', '.join(STEPS)}")
    kind = kinds[0]
    rest = {key: item for key, item in value.items() if key != kind}
    return Step(line, kind, value[kind], rest)
