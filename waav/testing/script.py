"""The vendor's half of a recording, for the replay server to play."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlsplit

from waav.speech import wire
from waav.testing.recording import Recording, Step


class Deviation(Exception):
    """The gateway said something else than the recording."""


class Script:
    """Goes through the ``open``, ``sent`` and ``got`` steps of one recording.

    Attributes:
        is_over: everything in it has happened.
    """

    def __init__(self, recording: Recording) -> None:
        self._recording = recording
        self._steps = [step for step in recording.steps if step.kind in ("open", "sent", "got")]

    @property
    def is_over(self) -> bool:
        return not self._steps

    def open(self, path: str, query: str, headers: Mapping[str, str]) -> list[str | bytes]:
        """A WebSocket is opened; what the vendor says at once.

        Raises:
            Deviation: to another address, or with other headers.
        """
        step = self._next("open")
        wanted = urlsplit(step.value)
        if not wanted.path.endswith(path) or parse_qsl(wanted.query) != parse_qsl(query):
            raise Deviation(f"line {step.line}: opened {path}?{query}")
        for name, value in step.rest.get("headers", {}).items():
            if headers.get(name.lower()) != value:
                raise Deviation(f"line {step.line}: opened with another {name}")
        return self._said()

    def hear(self, message: str | bytes) -> list[str | bytes]:
        """A message came; what the vendor says to it.

        Raises:
            Deviation: it was another message's turn.
        """
        step = self._next("sent")
        difference = self._recording.matches(step.value, message)
        if difference:
            raise Deviation(f"line {step.line}: {difference}")
        return self._said()

    def answer(
        self, method: str, path: str, query: str, headers: Mapping[str, str], body: bytes
    ) -> tuple[int, Mapping[str, str], bytes]:
        """A request came; status, headers and body of the answer.

        Raises:
            Deviation: it was another request's turn.
        """
        if self._steps and self._steps[0].kind == "open":
            self._steps.pop(0)
        step = self._next("sent")
        wanted = step.value["request"]
        address = urlsplit(wanted["url"])
        is_same = address.path.endswith(path) and parse_qsl(address.query) == parse_qsl(query)
        names = (
            {*wanted["headers"], "Content-Type"}
            if "form" in wanted.get("body", ())
            else wanted["headers"]
        )
        request = wire.Request(
            method,
            wanted["url"] if is_same else f"{path}?{query}",
            {name: headers.get(name.lower(), "") for name in names},
            body,
        )
        difference = self._recording.matches(step.value, request)
        if difference:
            raise Deviation(f"line {step.line}: {difference}")
        return self._answer()

    def _answer(self) -> tuple[int, Mapping[str, str], bytes]:
        head = self._next("got").value
        body = self._recording.data(head.get("body", []))
        while self._steps and self._steps[0].kind == "got":
            value = self._steps.pop(0).value
            body += self._recording.data(value.get("body", []))
        return head["head"], head.get("headers", {}), body

    def _said(self) -> list[str | bytes]:
        said: list[str | bytes] = []
        while self._steps and self._steps[0].kind == "got":
            incoming = self._recording.incoming(self._steps.pop(0).value)
            assert isinstance(incoming, str | bytes), "an HTTP answer in a WebSocket recording"
            said.append(incoming)
        return said

    def _next(self, kind: str) -> Step:
        if not self._steps:
            raise Deviation("the recording is over")
        step = self._steps.pop(0)
        if step.kind != kind:
            raise Deviation(f"line {step.line}: {step.kind} comes next, not {kind}")
        return step
