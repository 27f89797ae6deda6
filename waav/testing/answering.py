"""How a replay server answers: switches that both its HTTP and its WebSocket half look at."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Answering:
    """How answers come, and what goes wrong with them. Change it at any time.

    Args:
        first_byte_s: wait before an answer begins.
        chunk_bytes: size of the pieces of a body; odd sizes split samples.
        chunk_s: wait between two pieces.
        drop_after_bytes: break the next answer off after so many bytes, then forget this.
        stall_after_bytes: say nothing more in the next answer after so many bytes, then forget this.
        extra: put into every JSON object that is sent.
        fragment_bytes: cut WebSocket messages into frames of this size.
    """

    first_byte_s: float = 0.0
    chunk_bytes: int = 4096
    chunk_s: float = 0.0
    drop_after_bytes: int | None = None
    stall_after_bytes: int | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)
    fragment_bytes: int | None = None
