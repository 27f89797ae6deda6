"""The kinds of node a definition may name."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from waav.graph.build import Kind
from waav.graph.nodes.ends import audio_output, passthrough, text_output
from waav.graph.nodes.gate import gate
from waav.graph.nodes.listen import listen
from waav.graph.nodes.noise import noise
from waav.graph.nodes.speak import speak
from waav.graph.nodes.turns import turns

KINDS: Final[Mapping[str, Kind]] = MappingProxyType(
    {
        "audio_input": passthrough,
        "text_input": passthrough,
        "passthrough": passthrough,
        "noise_filter": noise,
        "stt_provider": listen,
        "gate": gate,
        "turns": turns,
        "tts_provider": speak,
        "text_output": text_output,
        "audio_output": audio_output,
    }
)
