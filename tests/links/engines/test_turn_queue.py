"""Whose turn it is at the models."""

from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.links.doubles import PCM, Heard, Talk
from waav.links.engines.engines import Engines
from waav.links.engines.link import EngineLink
from waav.links.engines.turn_queue import LIVE_IN_A_ROW, TurnQueue, TurnShare
from waav.speech import wire

BATCH = TurnShare("a", is_batch=True)


class TurnsTests(SynchronousTestCase):
    def drained(self, turns: TurnQueue[Any]) -> list[Any]:
        return [turns.take() for _ in range(len(turns))]

    def test_one_caller_after_the_other(self) -> None:
        """A caller with many requests waits for every other caller between two of them."""
        turns: TurnQueue[str] = TurnQueue()
        for number in range(4):
            turns.put(TurnShare("a"), number, f"a{number}")
        for caller in "bc":
            turns.put(TurnShare(caller), caller, caller)
        self.assertEqual(self.drained(turns), ["a0", "b", "c", "a1", "a2", "a3"])

    def test_requests_of_one_caller_take_turns(self) -> None:
        """Of one caller's requests a long one does not hold up a short one; each keeps its order."""
        turns: TurnQueue[str] = TurnQueue()
        for job in ("x0", "x1", "x2", "y0", "y1"):
            turns.put(TurnShare("a"), job[0], job)
        self.assertEqual(self.drained(turns), ["x0", "y0", "x1", "y1", "x2"])

    def test_calls_before_batches(self) -> None:
        """Who is on the line goes before POST /speak, also when he comes later."""
        turns: TurnQueue[str] = TurnQueue()
        turns.put(BATCH, 1, "batch")
        turns.put(TurnShare("b"), 2, "live")
        self.assertEqual(self.drained(turns), ["live", "batch"])

    def test_batches_get_on(self) -> None:
        """However busy the calls are, POST /speak gets a worker now and then."""
        turns: TurnQueue[str] = TurnQueue()
        for number in range(2):
            turns.put(BATCH, number, "batch")
        for number in range(20):
            turns.put(TurnShare(str(number)), number, "live")
        found = self.drained(turns)
        at = [index for index, one in enumerate(found) if one == "batch"]
        self.assertEqual(at, [LIVE_IN_A_ROW, 2 * LIVE_IN_A_ROW + 1])

    @given(
        st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 2), st.booleans(), st.booleans()))
    )
    def test_nothing_is_lost_and_order_holds(
        self, steps: list[tuple[str, int, bool, bool]]
    ) -> None:
        """Every job gets its turn, once, and those of one request in their order."""
        turns: TurnQueue[tuple[Any, int]] = TurnQueue()
        taken = []
        for index, (caller, request, is_batch, takes) in enumerate(steps):
            turns.put(TurnShare(caller, is_batch), request, ((caller, request, is_batch), index))
            if takes:
                taken.append(turns.take())
        taken += self.drained(turns)
        self.assertEqual(sorted(index for _, index in taken), list(range(len(steps))))
        for key in {key for key, _ in taken}:
            mine = [index for one, index in taken if one == key]
            self.assertEqual(mine, sorted(mine))


class Hand:
    """A host that does a job when the test says so, and makes as many pieces as it may, for ever."""

    def __init__(self, threads: int) -> None:
        self.threads = threads
        self.on_lost: Callable[[], None] = lambda: None
        self.running: list[tuple[int, Callable[[], None]]] = []
        self.closed: list[int] = []
        self.loading: list[Deferred[None]] = []

    def load(self, name: str, load: Any) -> Deferred[None]:
        if load is None:
            return succeed(None)
        self.loading.append(Deferred())
        return self.loading[-1]

    def open(self, number: int, name: str, open: Any) -> Deferred[None]:
        return succeed(None)

    def work(
        self, number: int, turn: int, asked: list[str | bytes], say: Any, most: int
    ) -> Deferred[bool]:
        done: Deferred[bool] = Deferred()

        def finish() -> None:
            for _ in range(most):
                say(b"\1\1")
            done.callback(True)

        self.running.append((number, finish))
        return done

    def over(self, number: int, turn: int) -> None:
        pass

    def close(self, number: int) -> Deferred[None]:
        self.closed.append(number)
        return succeed(None)

    def stop(self) -> Deferred[None]:
        return succeed(None)

    def step(self) -> None:
        """The job that was begun first is done."""
        self.running.pop(0)[1]()


class FairnessTests(SynchronousTestCase):
    """Links with texts that never end, on one worker."""

    def setUp(self) -> None:
        self.host = Hand(1)
        self.engines = Engines(Clock(), self.host, 1000)

    def speaking(self, share: TurnShare) -> Heard:
        """A link that has been told to speak."""
        sink = Heard()
        local: Any = wire.Local("m", None, None)  # type: ignore[arg-type]
        dialogue = Talk(wire.Opening("engine:m", local=local), PCM)
        link = EngineLink(self.engines, "acme", dialogue, sink, 5.0, share)
        opening = Deferred.fromCoroutine(link.open())
        link.send(wire.Speak("for ever"))
        opening.addErrback(self.fail)
        return sink

    def test_many_texts_of_one_caller(self) -> None:
        """A caller with 50 texts delays another's first audio by the slice of work under way and one more."""
        crowd = [self.speaking(BATCH) for _ in range(50)]
        for _ in range(101):
            self.host.step()
        other = self.speaking(TurnShare("b", is_batch=True))
        for _ in range(2):
            self.host.step()
            self.assertFalse(other.events)
        self.host.step()
        self.assertTrue(other.events)
        self.assertTrue(all(sink.events for sink in crowd))

    def test_equal_shares(self) -> None:
        """One text against fifty: each caller gets half of the work."""
        crowd = [self.speaking(BATCH) for _ in range(50)]
        other = self.speaking(TurnShare("b", is_batch=True))
        for _ in range(101):
            self.host.step()
        theirs = sum(len(sink.events) for sink in crowd)
        self.assertEqual(len(other.events), 50 * 8)
        self.assertEqual(theirs, 51 * 8)

    def test_a_call_among_batches(self) -> None:
        """A caller on the line waits for the slice under way and for nothing else."""
        for number in range(20):
            self.speaking(TurnShare(str(number), is_batch=True))
        call = self.speaking(TurnShare("call"))
        self.host.step()
        self.host.step()
        self.assertTrue(call.events)

    def test_one_load_at_a_time(self) -> None:
        """Models that load for seconds leave the other workers to the calls."""
        self.successResultOf(self.engines.load(wire.Local("m", None, None)))  # type: ignore[arg-type]
        self.host.threads = 2
        loads = [self.engines.load(wire.Local(name, int, int)) for name in "abc"]  # type: ignore[arg-type]
        self.assertEqual(len(self.host.loading), 1)
        call = self.speaking(TurnShare("call"))
        self.host.step()
        self.assertTrue(call.events)
        for index in range(3):
            self.host.loading[index].callback(None)
        for load in loads:
            self.successResultOf(load)

    def test_jobs_that_end_at_once(self) -> None:
        """Thousands of jobs with nothing to do are done one after the other, not one inside the other."""
        self.engines.do("m", lambda: self.host.work(1, 1, [], lambda piece: None, 0))
        done = [self.engines.do("m", lambda: succeed(1), is_urgent=True) for _ in range(5000)]
        self.host.step()
        self.assertEqual(sum(self.successResultOf(one) for one in done), 5000)
