from ipaddress import ip_address

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from waav.errors import TooMany
from waav.gateway.admission.slots import AtCapacity, Slot, Slots, counted_as


def attempts(slots: Slots, addresses: list[str]) -> tuple[list[Slot], int, int]:
    """Slots got, refusals for the whole server, refusals for one address."""
    got, full, too_many = [], 0, 0
    for address in addresses:
        try:
            got.append(slots.take(address))
        except AtCapacity:
            full += 1
        except TooMany:
            too_many += 1
    return got, full, too_many


class SlotsTests(SynchronousTestCase):
    def test_the_global_limit_admits_exactly_that_many(self) -> None:
        """Of ten times as many callers as fit, exactly as many as fit get in. (SRV-01, D-71, S-LIM-01)"""
        slots = Slots(5, None)
        got, full, _ = attempts(slots, [f"192.0.2.{n}" for n in range(50)])
        self.assertEqual((len(got), full, slots.total), (5, 45, 5))

    def test_the_limit_of_one_address_leaves_others_alone(self) -> None:
        """One address cannot take more than its share, and does not use up that of others. (SRV-01, D-71)"""
        slots = Slots(None, 3)
        got, _, too_many = attempts(slots, ["192.0.2.1"] * 30 + ["192.0.2.2"])
        self.assertEqual((len(got), too_many), (4, 27))
        self.assertEqual((slots.count("192.0.2.1"), slots.count("192.0.2.2")), (3, 1))

    def test_the_whole_server_is_checked_first(self) -> None:
        """Where both limits are reached, the answer is 503 rather than 429. (S-LIM-01)"""
        slots = Slots(1, 1)
        slots.take("192.0.2.1")
        refusal = self.assertRaises(AtCapacity, slots.take, "192.0.2.1")
        self.assertEqual(
            (refusal.status, refusal.message),
            (503, "Server at capacity. Please try again later."),
        )

    def test_one_address_too_many(self) -> None:
        """The refusal for one address is a 429 with the documented text. (S-LIM-01)"""
        slots = Slots(None, 1)
        slots.take("192.0.2.1")
        refusal = self.assertRaises(TooMany, slots.take, "192.0.2.1")
        self.assertEqual(
            (refusal.status, refusal.message), (429, "Too many connections from your IP address.")
        )

    def test_a_refused_caller_is_not_counted(self) -> None:
        """After a thousand refusals the counters are where they were. (SRV-03, D-72, S-LIM-03)"""
        slots = Slots(None, 1)
        slot = slots.take("192.0.2.1")
        attempts(slots, ["192.0.2.1"] * 1000)
        slot.release()
        self.assertEqual((slots.total, slots.count("192.0.2.1")), (0, 0))
        slots.take("192.0.2.1")

    def test_a_slot_is_given_back_once(self) -> None:
        """Releasing a slot twice does not free somebody else's. (SRV-03, S-LIM-03)"""
        slots = Slots(None, None)
        first, _ = slots.take("192.0.2.1"), slots.take("192.0.2.1")
        first.release()
        first.release()
        self.assertEqual((slots.total, slots.count("192.0.2.1")), (1, 1))

    def test_ipv6_neighbours_share(self) -> None:
        """All addresses of one IPv6 /64 are one caller; the next /64 is another. (S-LIM-05)"""
        slots = Slots(None, 2)
        slots.take("2001:db8::1")
        slots.take("2001:db8::ffff:1")
        self.assertRaises(TooMany, slots.take, "2001:db8:0:0:1::")
        slots.take("2001:db8:0:1::1")

    def test_mapped_ipv4(self) -> None:
        """An IPv4 caller on an IPv6 socket is counted under his IPv4 address. (S-LIM-05)"""
        self.assertEqual(counted_as("::ffff:192.0.2.1"), "192.0.2.1")

    def test_something_else_than_an_address(self) -> None:
        """A caller on a UNIX socket is counted too. (F-054)"""
        slots = Slots(None, 1)
        slots.take("unix")
        self.assertRaises(TooMany, slots.take, "unix")

    @given(st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=60))
    def test_counts_are_true_after_churn(self, steps: list[tuple[int, bool]]) -> None:
        """Whatever comes and goes, the counts are the number of those who are there. (F-054)"""
        slots = Slots(6, 3)
        there: list[tuple[str, Slot]] = []
        for number, leaves in steps:
            address = str(ip_address(number))
            if leaves and there:
                there.pop(number % len(there))[1].release()
            else:
                there += [(address, slot) for slot in attempts(slots, [address])[0]]
            self.assertEqual(slots.total, len(there))
            for each in {address for address, _ in there}:
                self.assertEqual(slots.count(each), [name for name, _ in there].count(each))
        for _, slot in there:
            slot.release()
        self.assertEqual(slots.total, 0)
