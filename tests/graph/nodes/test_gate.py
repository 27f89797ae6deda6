"""Speech that must not be interrupted is not interrupted by what the caller says."""

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.graph.test_definition import surroundings
from waav.graph.nodes.gate import Gate, gate
from waav.speech import wire


class GateTests(SynchronousTestCase):
    """The three policies for results during protected speech (S-VM-33)."""

    def gate(self, policy: str) -> Gate:
        """A gate that is shut."""
        self.is_locked = True
        self.out: list[Any] = []
        self.counts: list[tuple[str, int]] = []
        around = surroundings(count=lambda name, number: self.counts.append((name, number)))
        config = {"is_locked": lambda: self.is_locked, "policy": policy}
        return gate(config, around, self.out.append)

    def test_open(self) -> None:
        """Without protected speech results pass."""
        shut = self.gate("drop")
        self.is_locked = False
        said = wire.Transcript("hi", True)
        shut.receive(said)
        self.assertEqual((self.out, self.counts), ([said], []))

    def test_drop(self) -> None:
        """Dropped results are counted and never come back (S-VM-14, F-111)."""
        shut = self.gate("drop")
        shut.receive(wire.Transcript("hi", True))
        shut.opened()
        self.assertEqual((self.out, self.counts), ([], [("suppressed", 1)]))

    def test_other_events(self) -> None:
        """Only results are held back."""
        shut = self.gate("drop")
        shut.receive(wire.SpeechStarted())
        self.assertEqual(self.out, [wire.SpeechStarted()])

    def test_buffer(self) -> None:
        """The last final that said something is delivered afterwards, once."""
        shut = self.gate("buffer")
        last = wire.Transcript("two", True)
        for said in (
            wire.Transcript("one", True),
            last,
            wire.Transcript("thr"),
            wire.Transcript("", True, True),
        ):
            shut.receive(said)
        self.assertEqual(self.out, [])
        shut.opened()
        shut.opened()
        self.assertEqual(self.out, [last])

    def test_pass(self) -> None:
        """The caller may be heard all the time."""
        shut = self.gate("pass")
        said = wire.Transcript("hi", True)
        shut.receive(said)
        self.assertEqual((self.out, self.counts), ([said], []))
