"""Every event in every state, by name: mypy does not see how the machine is wired."""

from automat import NoTransition
from twisted.trial.unittest import SynchronousTestCase

from waav.session.states import Nothing, new_states

PATHS = {
    "connected": (),
    "configuring": ("begin",),
    "ready": ("begin", "became_ready"),
    "reconfiguring": ("begin", "became_ready", "begin"),
    "closing": ("hang_up",),
    "closed": ("hang_up", "ended"),
}

TRANSITIONS = {
    ("connected", "begin"): ("configuring", False),
    ("connected", "hang_up"): ("closing", True),
    ("configuring", "became_ready"): ("ready", None),
    ("configuring", "failed"): ("connected", None),
    ("configuring", "hang_up"): ("closing", True),
    ("ready", "begin"): ("reconfiguring", True),
    ("ready", "hang_up"): ("closing", True),
    ("reconfiguring", "stopped"): ("configuring", None),
    ("reconfiguring", "failed"): ("connected", None),
    ("reconfiguring", "hang_up"): ("closing", True),
    ("closing", "failed"): ("closing", None),
    ("closing", "hang_up"): ("closing", False),
    ("closing", "ended"): ("closed", None),
    ("closed", "failed"): ("closed", None),
    ("closed", "hang_up"): ("closed", False),
}

EVENTS = ("begin", "stopped", "became_ready", "failed", "hang_up", "ended")


class StatesTests(SynchronousTestCase):
    """The machine of a session."""


def _transition_test(state: str, event: str) -> None:
    """Add the test for one event in one state."""
    expected = TRANSITIONS.get((state, event))

    def test(self: SynchronousTestCase) -> None:
        machine = new_states(Nothing())
        for step in PATHS[state]:
            getattr(machine, step)()
        self.assertEqual(machine.word(), state)
        if expected is None:
            self.assertRaises(NoTransition, getattr(machine, event))
            self.assertEqual(machine.word(), state)
            return
        answer = getattr(machine, event)()
        self.assertEqual((machine.word(), answer), expected)

    outcome = f"leads to {expected[0]}" if expected else "is refused"
    test.__doc__ = f"{event} while {state} {outcome}."
    test.__name__ = f"test_{event}_while_{state}"
    setattr(StatesTests, test.__name__, test)


for _state in PATHS:
    for _event in EVENTS:
        _transition_test(_state, _event)
