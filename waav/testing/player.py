"""Plays a recording against a dialogue, without network and without time."""

from collections.abc import Iterator
from itertools import pairwise
from typing import Any, NoReturn

from waav.errors import ProviderError
from waav.speech import wire
from waav.speech.provider import Provider
from waav.testing.recording import Recording, Step, described


class Mismatch(AssertionError):
    """The dialogue did something else than the recording says."""


class Player:
    """One run.

    Args:
        recording: what should happen.
        provider: whose dialogue is meant.
        piece_bytes: cut every body into pieces of this size; None: as recorded.

    Raises:
        Mismatch: from ``play``; the text says where and what happened instead.
    """

    def __init__(
        self, recording: Recording, provider: Provider, *, piece_bytes: int | None = None
    ) -> None:
        self._recording = recording
        self._dialogue = recording.dialogue(provider)
        self._piece_bytes = piece_bytes
        self._sent: list[wire.Outgoing] = []
        self._requests: list[wire.Request] = []
        self._events: list[wire.Event] = []
        self._expected: list[dict[str, Any]] = []
        self._raised: ProviderError | None = None

    def play(self) -> None:
        """Go through all steps."""
        steps = (*self._recording.steps, Step(0, "finished", None, {}))
        for step, following in pairwise(steps):
            _STEPS[step.kind](self, step)
            if following.kind != "sent" and self._sent:
                self._complain(step, f"also sent {self._shown(self._sent[0])}")
            if following.kind not in ("event", "raises"):
                self._compare_events(step)

    def _open(self, step: Step) -> None:
        opening = self._dialogue.opening
        if opening.url != step.value:
            self._complain(step, f"opens {opening.url}")
        if dict(opening.headers) != step.rest.get("headers", {}):
            self._complain(step, f"opens with the headers {sorted(opening.headers)}")

    def _do(self, step: Step) -> None:
        self._sent = self._dialogue.send(self._recording.command(step))

    def _sent_step(self, step: Step) -> None:
        if not self._sent:
            self._complain(step, "sent nothing")
        outgoing = self._sent.pop(0)
        difference = self._recording.matches(step.value, outgoing)
        if difference:
            self._complain(step, f"sent {difference}")
        if isinstance(outgoing, wire.Request):
            self._requests.append(outgoing)

    def _got(self, step: Step) -> None:
        if step.value.get("head", 0) >= 300:
            self._refuse(step)
            return
        for incoming in self._pieces(step):
            try:
                self._events += self._dialogue.receive(incoming)
            except ProviderError as error:
                self._raised = error

    def _refuse(self, step: Step) -> None:
        head = wire.Head(step.value["head"], step.value.get("headers", {}), self._answered())
        refused = getattr(self._dialogue, "refused", None)  # wire.Refuses is optional
        if refused is None:
            self._complain(step, "cannot read refusals")
        self._raised = refused(head, self._recording.data(step.value.get("body", {"text": ""})))

    def _pieces(self, step: Step) -> Iterator[wire.Incoming]:
        incoming = self._recording.incoming(step.value)
        if isinstance(incoming, wire.Head):
            yield wire.Head(incoming.status, incoming.headers, self._answered())
        elif isinstance(incoming, wire.Body) and self._piece_bytes:
            for at in range(0, len(incoming.data), self._piece_bytes):
                yield wire.Body(incoming.data[at : at + self._piece_bytes])
        else:
            yield incoming

    def _answered(self) -> wire.Request | None:
        return self._requests.pop(0) if self._requests else None

    def _event(self, step: Step) -> None:
        expected = {"event": step.value, **step.rest}
        if "data" in expected:
            expected["data"] = self._recording.data(expected["data"])
        self._expected.append(expected)

    def _raises(self, step: Step) -> None:
        error, self._raised = self._raised, None
        if type(error).__name__ != step.value:
            self._complain(step, f"raised {error!r}")
        wanted = step.rest.get("message")
        if wanted is not None and (error is None or error.message != wanted):
            self._complain(step, f"said {error.message if error else None!r}")

    def _compare_events(self, step: Step) -> None:
        if self._raised is not None:
            self._complain(step, f"raised {self._raised!r}")
        happened = joined([described(event) for event in self._events])
        expected = joined(self._expected)
        self._events, self._expected = [], []
        for number in range(max(len(happened), len(expected))):
            one = happened[number] if number < len(happened) else None
            other = expected[number] if number < len(expected) else None
            if not same(one, other):
                self._complain(step, f"gave {_short(one)} instead of {_short(other)}")

    def _shown(self, outgoing: wire.Outgoing) -> str:
        if isinstance(outgoing, wire.Request):
            return f"{outgoing.method} {outgoing.url}"
        return outgoing if isinstance(outgoing, str) else f"{len(outgoing)} bytes"

    def _complain(self, step: Step, what: str) -> NoReturn:
        raise Mismatch(f"{self._recording.name}:{step.line}: the dialogue {what}")


def joined(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Audio cut differently is the same audio."""
    result: list[dict[str, Any]] = []
    for event in events:
        if result and "data" in event and _format_of(result[-1]) == _format_of(event):
            result[-1] = {**event, "data": result[-1]["data"] + event["data"]}
        else:
            result.append(event)
    return result


def _format_of(event: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in event.items() if name != "data"}


def same(one: Any, other: Any) -> bool:
    """Equal, but for the last digits of numbers."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple) and isinstance(other, list | tuple):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, float) and isinstance(other, int | float):
        return abs(one - other) < 1e-6
    return bool(one == other)


def _short(event: dict[str, Any] | None) -> Any:
    if event and "data" in event:
        return {**event, "data": f"{len(event['data'])} bytes"}
    return event


_STEPS = {
    "open": Player._open,
    "do": Player._do,
    "sent": Player._sent_step,
    "got": Player._got,
    "event": Player._event,
    "raises": Player._raises,
}
