"""The states of a session, and which of them each event leads to.

The machine decides and remembers; ``Session`` does. So every state is entered before anything else is called,
and whoever is called may come back in any way the new state allows. An event that a state does not know raises
``automat.NoTransition``: it is a mistake of ours, not of the caller.
"""

from typing import Protocol

from automat import TypeMachineBuilder


class SessionEvents(Protocol):
    """What happens to a session."""

    def begin(self) -> bool:
        """A config was accepted. Whether an earlier one is in force and must be stopped first."""

    def stopped(self) -> None:
        """The earlier config's providers are gone."""

    def became_ready(self) -> None:
        """Everything the config needs is there."""

    def failed(self) -> None:
        """It is not; what there was has been undone."""

    def hang_up(self) -> bool:
        """The caller is gone, or must go. Whether there is anything left to do about it."""

    def ended(self) -> None:
        """Nothing of the call is left."""

    def word(self) -> str:
        """The name of the state."""


class Nothing:
    """The machine keeps nothing besides its state."""


_builder = TypeMachineBuilder(SessionEvents, Nothing)

_connected = _builder.state("connected")
_configuring = _builder.state("configuring")
_ready = _builder.state("ready")
_reconfiguring = _builder.state("reconfiguring")
_closing = _builder.state("closing")
_closed = _builder.state("closed")

_connected.upon(SessionEvents.begin).to(_configuring).returns(False)
_connected.upon(SessionEvents.hang_up).to(_closing).returns(True)

_configuring.upon(SessionEvents.became_ready).to(_ready).returns(None)
_configuring.upon(SessionEvents.failed).to(_connected).returns(None)
_configuring.upon(SessionEvents.hang_up).to(_closing).returns(True)

_ready.upon(SessionEvents.begin).to(_reconfiguring).returns(True)
_ready.upon(SessionEvents.hang_up).to(_closing).returns(True)

_reconfiguring.upon(SessionEvents.stopped).to(_configuring).returns(None)
_reconfiguring.upon(SessionEvents.failed).to(_connected).returns(None)
_reconfiguring.upon(SessionEvents.hang_up).to(_closing).returns(True)

# A config that a hang-up interrupts ends by failing, perhaps last of all.
_closing.upon(SessionEvents.failed).loop().returns(None)
_closing.upon(SessionEvents.hang_up).loop().returns(False)
_closing.upon(SessionEvents.ended).to(_closed).returns(None)

_closed.upon(SessionEvents.failed).loop().returns(None)
_closed.upon(SessionEvents.hang_up).loop().returns(False)

for _state in (_connected, _configuring, _ready, _reconfiguring, _closing, _closed):
    _state.upon(SessionEvents.word).loop().returns(_state.name)

new_states = _builder.build()
