"""A caller's messages on their way in: carried out strictly in order, and read no faster than they can be."""

from collections import deque
from collections.abc import Callable
from enum import Enum, Flag, auto
from typing import Final

ENTRY_BYTES: Final = 128
"""What a waiting message costs besides its bytes, so that many tiny ones are bounded too."""

Message = tuple[bytes, bool]
"""What came, and whether it is binary."""


class InboxState(Enum):
    """What becomes of a message that comes now."""

    OPEN = auto()
    """It is carried out; nothing waits."""
    CONFIGURING = auto()
    """It waits for the config that is being carried out."""
    DRAINING = auto()
    """It waits behind those that are being carried out, the oldest first."""
    STALLED = auto()
    """It waits behind others, until somebody carries those out."""
    ENDED = auto()
    """It is forgotten: the caller is gone."""


class HeldBy(Flag):
    """Why a caller is not read from."""

    WAITING = auto()
    """Too much of his waits already."""
    CONGESTED = auto()
    """The vendor takes no more of his audio for now."""
    UNREAD = auto()
    """He does not read what he is sent."""


class Inbox:
    """Says of each message whether it is its turn; it carries out none itself.

    Args:
        waiting_bytes: with more than this waiting he is not read from, until half of it is left.
        hold: stops reading from him (True), or goes on; called on each change.

    Attributes:
        state: what becomes of a message that comes now.
    """

    __slots__ = ("_held", "_hold", "_limit", "_size", "_waiting", "state")

    def __init__(self, waiting_bytes: int, hold: Callable[[bool], None]) -> None:
        self._limit = waiting_bytes
        self._hold = hold
        self._held = HeldBy(0)
        self._waiting: deque[Message] = deque()
        self._size = 0
        self.state = InboxState.OPEN

    def takes(self, data: bytes, is_binary: bool) -> bool:
        """Whether to carry out a message now. If not it waits, and ``next`` gives it back."""
        if self.state is InboxState.OPEN:
            return True
        if self.state is not InboxState.ENDED:
            self._waiting.append((data, is_binary))
            self._size += len(data) + ENTRY_BYTES
            if self._size > self._limit:
                self.hold(HeldBy.WAITING, True)
        return False

    def shut(self) -> InboxState:
        """A config is being carried out. Returns what to ``reopen`` to if that takes no time at all."""
        before = self.state
        if before is not InboxState.ENDED:
            self.state = InboxState.CONFIGURING
        return before

    def reopen(self, state: InboxState) -> None:
        """It has been: ``OPEN`` or ``DRAINING`` as before, or ``STALLED`` for whoever calls ``drain`` next."""
        if self.state is InboxState.CONFIGURING:
            self.state = state

    def drain(self) -> bool:
        """Whether to carry out what waits, as ``next`` gives it; somebody may be at it already."""
        if self.state is not InboxState.STALLED:
            return False
        self.state = InboxState.DRAINING
        return True

    def next(self) -> Message | None:
        """The oldest that waits; None: there is none, or it has to wait on."""
        if self.state is InboxState.DRAINING:
            if self._waiting and HeldBy.CONGESTED not in self._held:
                message = self._waiting.popleft()
                self._size -= len(message[0]) + ENTRY_BYTES
                return message
            self.state = InboxState.STALLED if self._waiting else InboxState.OPEN
        if self._size <= self._limit // 2:
            self.hold(HeldBy.WAITING, False)
        return None

    def hold(self, why: HeldBy, is_held: bool) -> None:
        """Do not read from him for one more reason, or one fewer."""
        was_held = bool(self._held)
        self._held = self._held | why if is_held else self._held & ~why
        if bool(self._held) is not was_held:
            self._hold(not was_held)

    def end(self) -> None:
        """He is gone: forget what waits. Nothing is asked of his connection any more."""
        self.state = InboxState.ENDED
        self._waiting.clear()
        self._hold = _nobody


def _nobody(is_held: bool) -> None:
    """His connection is gone."""
