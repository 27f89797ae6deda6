"""Graphs that need no definition by the caller."""

from collections.abc import Mapping
from itertools import pairwise
from typing import Any

from waav.graph.definition import Definition, EdgeDefinition, NodeDefinition

Config = Mapping[str, Any]


def plain_call(
    *,
    listening: Config | None = None,
    speaking: Config | None = None,
    gate: Config | None = None,
    turns: Config | None = None,
    noise: Config | None = None,
    hears_audio: bool = False,
) -> Definition:
    """What a ``/ws`` config without a graph of its own runs.

    ``audio_input -> [noise] -> listen -> gate -> turns -> text_output`` and
    ``text_input -> speak -> audio_output``, either half alone or both.

    Args:
        listening: config of the node ``stt_provider``; None leaves that half out.
        speaking: config of the node ``tts_provider``; None leaves that half out.
        gate: config of the node in between; needed with ``listening``.
        turns: config of the node ``turns``; needed with ``listening``.
        noise: config of the noise filter; None: the audio goes to the recogniser as it is.
        hears_audio: whether the node ``turns`` gets the audio as well, for its model.
    """
    nodes: list[NodeDefinition] = []
    edges: list[EdgeDefinition] = []
    entries: list[str] = []
    exits: list[str] = []

    def chain(*steps: tuple[str, str, Config]) -> None:
        nodes.extend(NodeDefinition(*step) for step in steps)
        ids = [step[0] for step in steps]
        edges.extend(EdgeDefinition(*pair) for pair in pairwise(ids))
        entries.append(ids[0])
        exits.append(ids[-1])

    if listening is not None:
        if gate is None or turns is None:
            raise ValueError("a call that listens needs a gate and turns")
        filters = [] if noise is None else [("noise", "noise_filter", noise)]
        chain(
            ("audio_input", "audio_input", {}),
            *filters,
            ("listen", "stt_provider", listening),
            ("gate", "gate", gate),
            ("turns", "turns", turns),
            ("text_output", "text_output", {}),
        )
        if hears_audio:
            edges.append(EdgeDefinition("audio_input" if noise is None else "noise", "turns"))
    if speaking is not None:
        chain(
            ("text_input", "text_input", {}),
            ("speak", "tts_provider", speaking),
            ("audio_output", "audio_output", {}),
        )
    return Definition("plain call", tuple(nodes), tuple(edges), tuple(entries), tuple(exits))
