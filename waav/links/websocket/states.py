"""The states of a link over a WebSocket, and of its farewell.

They are enums and no machine that is called: every frame asks which state it is, fifty times a second and call.
``tests/links/websocket/test_states.py`` has a row for each event in each state.
"""

from enum import Enum, auto


class LinkState(Enum):
    """What becomes of a command that is given now."""

    DIALLING = auto()
    """It waits: nobody is there to be told, not yet, or not again."""
    DRAINING = auto()
    """It waits behind those that waited and are being said."""
    FREE = auto()
    """It is said."""
    FULL = auto()
    """It waits: the vendor takes no more for now."""
    LEAVING = auto()
    """It is forgotten: we said goodbye, and wait for the vendor's."""
    OVER = auto()
    """It is forgotten."""

    @property
    def is_up(self) -> bool:
        """The vendor is ready and not lost."""
        return self in (LinkState.DRAINING, LinkState.FREE, LinkState.FULL)

    @property
    def is_ended(self) -> bool:
        """Nothing is said or heard any more."""
        return self in (LinkState.LEAVING, LinkState.OVER)


class Farewell(Enum):
    """What has become of ``Finish``, after which no other command is taken."""

    UNASKED = auto()
    ASKED = auto()
    """It waits, behind what was asked before."""
    SAID = auto()
    """The vendor was told. A lost connection leads back to ``ASKED``: the next one is told again."""
