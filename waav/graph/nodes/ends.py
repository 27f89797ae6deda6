"""The nodes at the edge of a graph, and the one that does nothing."""

from collections.abc import Mapping
from typing import Any

from waav.graph.build import Emit, PlainNode, Surroundings, nowhere


def passthrough(config: Mapping[str, Any], surroundings: Surroundings, emit: Emit) -> PlainNode:
    """Kinds ``audio_input``, ``text_input`` and ``passthrough``: hands on what it receives, as it is."""
    return PlainNode(emit)


def text_output(config: Mapping[str, Any], surroundings: Surroundings, emit: Emit) -> PlainNode:
    """Kind ``text_output``: gives what it receives to the call, then to whoever follows."""
    return _Output(surroundings.on_text, emit)


def audio_output(config: Mapping[str, Any], surroundings: Surroundings, emit: Emit) -> PlainNode:
    """Kind ``audio_output``: gives what it receives to the call, then to whoever follows."""
    return _Output(surroundings.on_audio, emit)


class _Output(PlainNode):
    def __init__(self, deliver: Emit, emit: Emit) -> None:
        super().__init__(emit)
        self._deliver = deliver
        if emit is nowhere:
            self.receive = deliver  # type: ignore[method-assign, assignment]

    def receive(self, value: Any) -> None:
        self._deliver(value)
        self.emit(value)
