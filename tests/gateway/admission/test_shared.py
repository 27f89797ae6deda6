"""What holds over all workers of a gateway."""

import os
import signal
import subprocess
import sys

from twisted.internet.task import Clock
from twisted.logger import LogEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from waav.errors import TooMany
from waav.gateway.admission import shared
from waav.gateway.admission.shared import Board, SharedLimiter, SharedMemory, SharedSlots
from waav.gateway.admission.slots import AtCapacity, Slot

WORKERS = 3

PROGRAM = """\
import sys, time
from twisted.internet.task import Clock
from waav.errors import TooMany
from waav.gateway.admission.shared import SharedLimiter, SharedMemory, SharedSlots
descriptor, worker, what = map(int, sys.argv[1:])
class Monotonic:
    seconds = staticmethod(time.monotonic)
memory = SharedMemory(descriptor, 3)
slots = SharedSlots(memory, worker, Clock(), 50, 40)
limiter = SharedLimiter(memory, Monotonic, 0.001, 30)
lock = memory.lock(0)
print("ready", flush=True)
sys.stdin.readline()
got = 0
if what == 0:  # one address up to its limit, then others up to the limit of all
    for address in ["192.0.2.1"] * 300 + [f"198.51.100.{n}" for n in range(200)]:
        try:
            slots.take(address)
            got += 1
        except TooMany:
            pass
elif what == 1:
    got = sum(limiter.take("192.0.2.1") == 0.0 for _ in range(300))
else:
    lock.__enter__()
print(got, flush=True)
sys.stdin.readline()
"""


class MemoryCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.descriptor = SharedMemory.make(WORKERS)
        self.addCleanup(os.close, self.descriptor)
        self.memory = SharedMemory(self.descriptor, WORKERS)
        self.clock = Clock()

    def slots(self, worker: int, in_all: int | None, per_address: int | None) -> SharedSlots:
        return SharedSlots(self.memory, worker, self.clock, in_all, per_address)


class SlotsTests(MemoryCase):
    def test_the_limit_of_all_is_one_limit(self) -> None:
        """What one worker admitted counts in the others, and what it gave back is free for them (SRV-01)."""
        one, other = self.slots(0, 2, None), self.slots(1, 2, None)
        slot = one.take("192.0.2.1")
        other.take("192.0.2.2")
        refusal = self.assertRaises(AtCapacity, other.take, "192.0.2.3")
        self.assertEqual(refusal.status, 503)
        self.assertRaises(AtCapacity, one.take, "192.0.2.3")
        slot.release()
        slot.release()
        self.assertEqual(other.total, 1)
        other.take("192.0.2.3")

    def test_the_limit_of_an_address_is_one_limit(self) -> None:
        """An address gets no more by being served by several workers; its /64 is one address (SRV-01)."""
        one, other = self.slots(0, None, 2), self.slots(1, None, 2)
        one.take("2001:db8::1")
        other.take("2001:db8::2")
        refusal = self.assertRaises(TooMany, one.take, "2001:db8::3")
        self.assertEqual(refusal.status, 429)
        self.assertEqual((one.count("2001:db8::9"), one.total), (2, 2))
        other.take("2001:db8:0:1::1")

    def test_a_dead_worker_holds_nothing(self) -> None:
        """What a worker that crashed had counted is taken back, and nothing else."""
        one, other = self.slots(0, None, 2), self.slots(1, None, 2)
        one.take("192.0.2.1")
        other.take("192.0.2.1")
        self.memory.clear(0)
        self.assertEqual((other.count("192.0.2.1"), other.total), (1, 1))
        other.take("192.0.2.1")
        self.assertRaises(TooMany, other.take, "192.0.2.1")

    def test_a_full_table_refuses_nobody(self) -> None:
        """With more addresses than are expected, calls are still counted in all; it is said once."""
        self.patch(shared, "ADDRESSES", shared.WINDOW + 1)
        self.memory.addresses = self.memory.addresses[: shared.WINDOW + 1]
        slots = self.slots(0, 100, 1)
        warned: list[LogEvent] = []
        globalLogPublisher.addObserver(warned.append)
        self.addCleanup(globalLogPublisher.removeObserver, warned.append)
        taken: list[Slot] = [slots.take(f"192.0.2.{n}") for n in range(100)]
        self.assertEqual((slots.total, len(warned)), (100, 1))
        self.assertRaises(AtCapacity, slots.take, "203.0.113.1")
        for slot in taken:
            slot.release()
        self.assertEqual((slots.total, int(self.memory.counts.sum())), (0, 0))

    def test_addresses_come_and_go(self) -> None:
        """Rows of addresses that hung up are used again: the table never fills up with history."""
        slots = self.slots(0, None, 1)
        for n in range(3 * shared.ADDRESSES // 100):
            for slot in [slots.take(f"10.{n % 250}.{n // 250}.{m}") for m in range(100)]:
                slot.release()
        self.assertEqual(slots.total, 0)
        slots.take("192.0.2.1")
        self.assertRaises(TooMany, slots.take, "192.0.2.1")


class LimiterTests(MemoryCase):
    def limiters(self, rate: float, burst: int) -> tuple[SharedLimiter, SharedLimiter]:
        return (
            SharedLimiter(self.memory, self.clock, rate, burst),
            SharedLimiter(self.memory, self.clock, rate, burst),
        )

    def test_one_bucket_for_all_workers(self) -> None:
        """A caller has one burst and one rate, whichever worker answers him (F-047)."""
        one, other = self.limiters(2, 4)
        took = [limiter.take("a") for limiter in (one, other) * 2]
        self.assertEqual(took, [0.0] * 4)
        wait_s = one.take("a")
        self.assertAlmostEqual(wait_s, 0.5)
        self.assertAlmostEqual(other.take("a"), 0.5)
        self.assertEqual(other.take("b"), 0.0)
        self.clock.advance(wait_s)
        self.assertEqual(other.take("a"), 0.0)
        self.assertGreater(one.take("a"), 0.0)

    def test_the_sustained_rate(self) -> None:
        """Who asks as fast as he can, all workers in turn, gets the burst, then 60 a second (S-CFG-37)."""
        limiters = self.limiters(60, 10)
        passed = 0
        for n in range(10_000):
            passed += limiters[n % 2].take("a") == 0.0
            self.clock.advance(0.001)
        self.assertIn(passed, range(609, 612))

    def test_off_switch(self) -> None:
        """100000 a second is no limit here either (CFG-11)."""
        off = self.limiters(100_000, 1)[0]
        self.assertEqual([off.take("a") for _ in range(1000)], [0.0] * 1000)
        self.assertFalse(off.is_on)
        on = self.limiters(99_999, 1)[0]
        on.take("a")
        self.assertGreater(on.take("a"), 0.0)

    def test_a_flood_of_addresses(self) -> None:
        """However many addresses ask, each gets its burst: the longest untouched are forgotten, nobody is refused."""
        limiter = self.limiters(1, 1)[0]
        self.assertEqual({limiter.take(str(n)) for n in range(2 * shared.BUCKETS)}, {0.0})


class BoardTests(MemoryCase):
    def boards(self) -> list[Board]:
        boards = [Board(self.memory, worker) for worker in range(WORKERS)]
        for board in boards[:2]:
            board.join()
        return boards

    def test_the_least_busy_accepts(self) -> None:
        """A new call goes to the worker with the fewest."""
        one, other, absent = self.boards()
        one.show(live=3, load=3)
        other.show(live=0, load=1)
        self.assertEqual(one.turns_before(), 2)
        other.show(live=1, load=2)
        self.assertEqual((one.turns_before(), other.turns_before()), (1, 0))
        self.memory.clear(1)
        self.assertEqual(one.turns_before(), 0)
        self.assertEqual(absent.turns_before(), 0)

    def test_equals_take_turns(self) -> None:
        """Workers that are equally busy accept in turn: short requests spread as well."""
        one, other, _ = self.boards()
        one.accepted()
        self.assertEqual((one.turns_before(), other.turns_before()), (1, 0))
        other.accepted()
        self.assertEqual((one.turns_before(), other.turns_before()), (0, 0))

    def test_a_worker_that_joins_later(self) -> None:
        """A worker that was started again is not sent every request until it has caught up."""
        one, other, late = self.boards()
        for _ in range(100):
            one.accepted()
            other.accepted()
        late.join()
        late.accepted()
        self.assertEqual(one.turns_before(), 0)


class ProcessTests(SynchronousTestCase):
    """The same with real processes."""

    def setUp(self) -> None:
        self.descriptor = SharedMemory.make(WORKERS)
        self.addCleanup(os.close, self.descriptor)
        self.memory = SharedMemory(self.descriptor, WORKERS)

    def workers(self, *tasks: int) -> list["subprocess.Popen[str]"]:
        """Programs that have begun and wait."""
        started = [
            subprocess.Popen(
                [sys.executable, "-c", PROGRAM, str(self.descriptor), str(worker), str(task)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                pass_fds=[self.descriptor],
                text=True,
            )
            for worker, task in enumerate(tasks)
        ]
        for one in started:
            self.addCleanup(self.end, one)
            assert one.stdout is not None
            self.assertEqual(one.stdout.readline(), "ready\n")
        return started

    def end(self, one: "subprocess.Popen[str]") -> None:
        one.kill()
        one.communicate()

    def run_all(self, *tasks: int) -> list[int]:
        """What each counted when all begin at the same moment."""
        started = self.workers(*tasks)
        for one in started:
            assert one.stdin is not None
            one.stdin.write("go\n")
            one.stdin.flush()
        counted = []
        for one in started:
            assert one.stdout is not None
            counted.append(int(one.stdout.readline()))
        return counted

    def test_exactly_as_many_as_fit(self) -> None:
        """Of thirty times as many callers over three processes at once, exactly as many as fit get in (SRV-01)."""
        self.assertEqual(sum(self.run_all(0, 0, 0)), 50)
        self.assertEqual(int(self.memory.totals.sum()), 50)
        slots = SharedSlots(self.memory, 0, Clock(), None, None)
        self.assertEqual(slots.count("192.0.2.1"), 40)

    def test_exactly_one_burst(self) -> None:
        """A burst at three processes at once is one burst (F-047)."""
        self.assertEqual(sum(self.run_all(1, 1, 1)), 30)

    def test_a_process_that_dies_with_the_lock(self) -> None:
        """A worker killed at the worst moment leaves nothing locked."""
        (one,) = self.workers(2)
        assert one.stdin is not None and one.stdout is not None
        one.stdin.write("go\n")
        one.stdin.flush()
        one.stdout.readline()
        os.kill(one.pid, signal.SIGKILL)
        one.wait()
        # Would wait for ever if the lock were held.
        SharedSlots(self.memory, 1, Clock(), 1, 1).take("192.0.2.1").release()
