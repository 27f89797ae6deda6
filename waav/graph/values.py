"""What runs along the edges of a graph, besides caller audio (``bytes``) and the events of ``waav.speech.wire``."""

from dataclasses import dataclass

from waav.errors import WaavError
from waav.speech.audio import AudioFormat


@dataclass(frozen=True, slots=True)
class Say:
    """Speak this. ``utterance`` numbers are given in the order of asking.

    Args:
        flush: False: more text may follow and be spoken together with it.
        is_protected: the caller must not be interrupted in hearing it; never joined with text that may be.
    """

    utterance: int
    text: str
    flush: bool = True
    is_protected: bool = False


@dataclass(frozen=True, slots=True)
class AudioFlow:
    """The caller's audio comes again, or has stopped coming and the recogniser was asked for what he has."""

    is_coming: bool


@dataclass(frozen=True, slots=True)
class Frames:
    """Some audio of an utterance, labelled with what it really is, in the pieces that the caller gets.

    All that one piece of the vendor's audio has become travels together: one value, and one write in the end.
    ``duration_s`` is of all of it; None where only a decoder could tell.
    """

    utterance: int
    format: AudioFormat
    frames: list[bytes]
    duration_s: float | None


@dataclass(frozen=True, slots=True)
class Complete:
    """Everything of this utterance was handed on. Once per ``Say`` that was not cleared."""

    utterance: int


@dataclass(frozen=True, slots=True)
class Broken:
    """This utterance could not be spoken to its end. Its ``Complete`` follows."""

    utterance: int
    error: WaavError
