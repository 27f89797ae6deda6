"""The node that keeps what is recognised from interrupting speech that must not be interrupted."""

from collections.abc import Callable, Mapping
from typing import Any

from waav.graph.build import Emit, PlainNode, Surroundings
from waav.speech import wire


class Gate(PlainNode):
    """Receives a provider's events; holds the transcripts back while ``is_locked()``.

    Args:
        policy: what becomes of them: ``drop``, ``buffer`` (the last final comes out of ``opened``) or ``pass``.
    """

    def __init__(
        self,
        emit: Emit,
        is_locked: Callable[[], bool],
        policy: str,
        count: Callable[[str, int], None],
    ) -> None:
        super().__init__(emit)
        self._is_locked = is_locked
        self._policy = policy
        self._count = count
        self._last_final: wire.Transcript | None = None

    def receive(self, value: Any) -> None:
        is_held = isinstance(value, wire.Transcript) and self._is_locked()
        if not is_held or self._policy == "pass":
            self.emit(value)
            return
        self._count("suppressed", 1)
        if self._policy == "buffer" and value.is_final and value.text.strip():
            self._last_final = value

    def opened(self) -> None:
        """Protection has ended."""
        final, self._last_final = self._last_final, None
        if final is not None:
            self.emit(final)


def gate(config: Mapping[str, Any], surroundings: Surroundings, emit: Emit) -> Gate:
    """Kind ``gate``: ``is_locked`` and ``policy``."""
    return Gate(emit, config["is_locked"], config["policy"], surroundings.count)
