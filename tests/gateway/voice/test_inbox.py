"""Every event in every state of an inbox."""

from twisted.trial.unittest import SynchronousTestCase

from waav.gateway.voice.inbox import ENTRY_BYTES, HeldBy, Inbox, InboxState

PATHS: dict[str, tuple[str, ...]] = {
    "OPEN": (),
    "CONFIGURING": ("config", "message", "message"),
    "DRAINING": ("config", "message", "message", "later", "drain"),
    "STALLED": ("config", "message", "message", "later"),
    "ENDED": ("config", "message", "end"),
}

TRANSITIONS: dict[tuple[str, str], tuple[str, object]] = {
    ("OPEN", "message"): ("OPEN", True),
    ("OPEN", "config"): ("CONFIGURING", InboxState.OPEN),
    ("OPEN", "end"): ("ENDED", None),
    ("CONFIGURING", "message"): ("CONFIGURING", False),
    ("CONFIGURING", "config"): ("CONFIGURING", InboxState.CONFIGURING),
    ("CONFIGURING", "at once"): ("OPEN", None),
    ("CONFIGURING", "later"): ("STALLED", None),
    ("CONFIGURING", "end"): ("ENDED", None),
    ("DRAINING", "message"): ("DRAINING", False),
    ("DRAINING", "config"): ("CONFIGURING", InboxState.DRAINING),
    ("DRAINING", "next"): ("DRAINING", (b"a", True)),
    ("DRAINING", "full, next"): ("STALLED", None),
    ("DRAINING", "end"): ("ENDED", None),
    ("STALLED", "message"): ("STALLED", False),
    ("STALLED", "config"): ("CONFIGURING", InboxState.STALLED),
    ("STALLED", "drain"): ("DRAINING", True),
    ("STALLED", "end"): ("ENDED", None),
    ("ENDED", "message"): ("ENDED", False),
    ("ENDED", "config"): ("ENDED", InboxState.ENDED),
}
"""All that means anything, with its answer."""

REFUSED = {"drain": False}
"""What all other events answer, where it is not None. None of them changes anything."""

EVENTS = ("message", "config", "at once", "later", "drain", "next", "full, next", "end")


def do(inbox: Inbox, event: str) -> object:
    """One event, by name, and its answer."""
    match event:
        case "message":
            return inbox.takes(b"a", True)
        case "config":
            return inbox.shut()
        case "at once":
            return inbox.reopen(InboxState.OPEN)  # type: ignore[func-returns-value]
        case "later":
            return inbox.reopen(InboxState.STALLED)  # type: ignore[func-returns-value]
        case "drain":
            return inbox.drain()
        case "next":
            return inbox.next()
        case "full, next":
            inbox.hold(HeldBy.CONGESTED, True)
            return inbox.next()
        case "end":
            return inbox.end()  # type: ignore[func-returns-value]
    raise AssertionError(event)


class InboxCase(SynchronousTestCase):
    def inbox(self, *path: str, waiting_bytes: int = 10_000) -> Inbox:
        self.held: list[bool] = []
        inbox = Inbox(waiting_bytes, self.held.append)
        for event in path:
            do(inbox, event)
        return inbox


class StateTests(InboxCase):
    """The states of an inbox."""

    def test_order(self) -> None:
        """What waited comes out as it came in, and then the way is open."""
        inbox = self.inbox("config")
        sent = [(bytes([number]), number % 2 == 0) for number in range(5)]
        for data, is_binary in sent:
            self.assertFalse(inbox.takes(data, is_binary))
        do(inbox, "later")
        do(inbox, "drain")
        self.assertEqual([inbox.next() for _ in range(6)], [*sent, None])
        self.assertIs(inbox.state, InboxState.OPEN)

    def test_nothing_waited(self) -> None:
        """After a config the way is open at once where nothing came meanwhile, full vendor or not."""
        for event in ("next", "full, next"):
            inbox = self.inbox("config", "later", "drain", event)
            self.assertIs(inbox.state, InboxState.OPEN, event)

    def test_behind_the_others(self) -> None:
        """What comes while others are carried out is carried out after them."""
        inbox = self.inbox("config")
        inbox.takes(b"1", True)
        do(inbox, "later")
        do(inbox, "drain")
        self.assertEqual(inbox.next(), (b"1", True))
        inbox.takes(b"2", True)
        self.assertEqual(inbox.next(), (b"2", True))

    def test_a_config_among_them(self) -> None:
        """A config that waited holds up what came after it; done at once it does not."""
        inbox = self.inbox(*PATHS["DRAINING"], "next", "config", "next")
        self.assertIs(inbox.state, InboxState.CONFIGURING)
        inbox.reopen(InboxState.DRAINING)
        self.assertEqual(inbox.next(), (b"a", True))

    def test_full_for_a_while(self) -> None:
        """What waits for a full vendor is given out when that has room again, and no earlier."""
        inbox = self.inbox(*PATHS["DRAINING"], "full, next", "drain", "next")
        self.assertIs(inbox.state, InboxState.STALLED)
        inbox.hold(HeldBy.CONGESTED, False)
        self.assertTrue(inbox.drain())
        self.assertEqual([inbox.next() for _ in range(3)], [(b"a", True), (b"a", True), None])

    def test_the_end_keeps_nothing(self) -> None:
        """What waits for a caller who has left is forgotten, and so is his connection."""
        inbox = self.inbox(*PATHS["DRAINING"], "end", "message")
        self.assertEqual(len(inbox._waiting), 0)
        inbox.hold(HeldBy.UNREAD, True)
        self.assertEqual(self.held, [])


def _transition_test(state: str, event: str) -> None:
    """Add the test for one event in one state."""
    after, answer = TRANSITIONS.get((state, event), (state, REFUSED.get(event)))

    def test(self: StateTests) -> None:
        inbox = self.inbox(*PATHS[state])
        self.assertEqual(inbox.state.name, state)
        found = do(inbox, event)
        self.assertEqual((inbox.state.name, found), (after, answer))

    outcome = f"leads to {after}" if (state, event) in TRANSITIONS else "changes nothing"
    test.__doc__ = f"{event} while {state} {outcome}."
    test.__name__ = f"test_{event.replace(', ', '_').replace(' ', '_')}_while_{state}"
    setattr(StateTests, test.__name__, test)


for _state in InboxState:
    for _event in EVENTS:
        _transition_test(_state.name, _event)


class HoldTests(InboxCase):
    """Whether a caller is read from."""

    def test_each_reason_by_itself(self) -> None:
        """He is read from while there is no reason against it, and his connection is told of changes only."""
        for first in HeldBy:
            for second in HeldBy:
                inbox = self.inbox()
                for why, is_held in ((first, True), (second, True), (first, False)):
                    inbox.hold(why, is_held)
                    inbox.hold(why, is_held)
                expected = [True, False] if first is second else [True]
                self.assertEqual(self.held, expected, (first, second))
                inbox.hold(second, False)
                self.assertEqual(self.held, [True, False], (first, second))

    def test_too_much_waits(self) -> None:
        """Above the limit he is not read from, until half of it is left."""
        inbox = self.inbox("config", waiting_bytes=10 * (100 + ENTRY_BYTES))
        for _ in range(10):
            inbox.takes(bytes(100), True)
        self.assertEqual(self.held, [])
        inbox.takes(b"", True)
        self.assertEqual(self.held, [True])
        do(inbox, "later")
        do(inbox, "drain")
        for _ in range(5):
            inbox.next()
        do(inbox, "full, next")
        self.assertEqual(self.held, [True])  # 5 and a little one are left
        inbox.hold(HeldBy.CONGESTED, False)
        do(inbox, "drain")
        inbox.next()
        do(inbox, "full, next")
        inbox.hold(HeldBy.CONGESTED, False)
        self.assertEqual(self.held, [True, False])

    def test_a_config_among_much(self) -> None:
        """He is read from again when half is left, though a config is before the rest of it."""
        inbox = self.inbox("config", waiting_bytes=4 * ENTRY_BYTES)
        for _ in range(5):
            inbox.takes(b"", False)
        do(inbox, "later")
        do(inbox, "drain")
        for _ in range(3):
            inbox.next()
        do(inbox, "config")
        self.assertEqual((inbox.next(), self.held), (None, [True, False]))
