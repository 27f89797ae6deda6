"""A caller's order of messages, seen from his side; the rest of him is in ``test_ws``."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.voices_rig import CONFIG, Desk, FakeCall, Visitor, desk
from waav.gateway.voice import caller


def call_of(visitor: Visitor) -> FakeCall:
    assert visitor.call is not None
    return visitor.call


class InboxTests(SynchronousTestCase):
    def test_a_thousand_configs(self) -> None:
        """However many configs wait, each is carried out after the other, and what came last as well."""
        visitor = desk(waiting_bytes=10_000_000).visit()
        call = call_of(visitor)
        call.holds_config = True
        for number in range(1500):
            visitor.send(CONFIG | {"stream_id": str(number)})
        visitor.send(b"\1\2")
        call.holds_config = False
        call.configured()
        ready = [each["stream_id"] for each in visitor.messages()]
        self.assertEqual(ready, [str(number) for number in range(1500)])
        self.assertEqual(call.told[-1], ("hear", b"\1\2"))
        self.assertEqual(self.flushLoggedErrors(), [])

    def test_straight_into_the_call(self) -> None:
        """Audio takes the short way exactly while nothing is before it and the call listens."""
        visitor = Desk().configured()
        person: Any = visitor.protocol._caller
        self.assertIsNotNone(person._ear)
        call = call_of(visitor)
        call.holds_config = True
        visitor.send(CONFIG)
        self.assertIsNone(person._ear)
        visitor.send(b"\1\2")
        call.hear = lambda data: call.outlet.congested(True)  # type: ignore[method-assign]
        visitor.send(b"\3\4")
        call.configured()
        self.assertIsNone(person._ear)  # one piece still waits for the vendor
        call.outlet.congested(False)
        self.assertIsNotNone(person._ear)
        visitor.send(CONFIG | {"stt_config": None, "tts_config": None, "audio": False})
        call.configured()
        self.assertIsNone(person._ear)

    def test_a_vendor_that_comes_and_goes_during_config(self) -> None:
        """A vendor that has room again while a config is carried out does not let messages past it."""
        visitor = Desk().configured()
        call = call_of(visitor)
        call.holds_config = True
        call.outlet.congested(True)
        visitor.send(CONFIG)
        visitor.send(b"\1\2")
        call.outlet.congested(False)
        self.assertEqual([each[0] for each in call.told], ["configure", "configure"])
        call.configured()
        self.assertEqual(call.told[-1], ("hear", b"\1\2"))

    def test_full_again_and_again(self) -> None:
        """A caller who takes no more makes the call pause each time, and go on each time."""
        visitor = Desk().configured()
        for _ in range(3):
            visitor.transport.producer.pauseProducing()
            visitor.transport.producer.resumeProducing()
        self.assertEqual(call_of(visitor).told[1:], [("pause",), ("resume",)] * 3)

    def test_a_fault_of_ours(self) -> None:
        """What a fault of ours is in the way of is answered as such, and the next piece of audio is heard."""
        visitor = Desk().configured()
        call = call_of(visitor)
        call.raises = ZeroDivisionError()
        self.assertEqual(
            visitor.ask(b"\1\2"),
            {"type": "error", "message": caller.INTERNAL, "code": "internal_error"},
        )
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        wish = {"type": "update_config", "turn_detect": {"threshold": 0.5}}
        self.assertEqual(visitor.ask(wish)["message"], caller.INTERNAL)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        call.raises = None
        visitor.send(b"\3\4")
        self.assertEqual(call.told[-1], ("hear", b"\3\4"))

    def test_messages_after_the_end(self) -> None:
        """Nothing of a caller who is gone is carried out, whatever still comes."""
        visitor = Desk().configured()
        call = call_of(visitor)
        person: Any = visitor.protocol._caller
        visitor.leave()
        before = list(call.told)
        person.heard(b"\1\2")
        person.arrived(b'{"type": "clear"}', False)
        person.congested(True)
        person.congested(False)
        self.assertEqual(call.told, before)
