"""Filtered or not, the recogniser gets all of the caller's audio, in order and in time."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import CancelledError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.graph.test_definition import surroundings
from tests.session.fakes import PCM16K, FakeEngines, FakeWorker
from waav.errors import ModelMissing, TooMany
from waav.graph.nodes.noise import FADE_S, FINISH_S, Noise, noise
from waav.speech import wire
from waav.speech.audio import AudioFormat

FRAME = b"\x01\0" * 320  # 20 ms


class NoiseTests(SynchronousTestCase):
    """One node with a fake worker."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.engines = FakeEngines()
        self.out: list[Any] = []
        self.counts: dict[str, int] = {}
        self.warnings: list[Any] = []

    def node(self, source: AudioFormat = PCM16K) -> Noise:
        """A node that has been started, with a backlog limit of 100 ms."""
        config = {
            "local": wire.Local("noise", int, int),
            "source": source,
            "format": PCM16K,
            "finish": "finish",
            "max_backlog_s": 0.1,
            "is_asked": True,
        }
        around = surroundings(
            clock=self.clock,
            converse=self.engines.converse,
            count=self.count,
            warn=self.warnings.append,
        )
        node = noise(config, around, self.out.append)
        self.starting = node.start()
        return node

    def count(self, name: str, number: int) -> None:
        """Keep a figure."""
        self.counts[name] = self.counts.get(name, 0) + number

    @property
    def worker(self) -> FakeWorker:
        """The worker of the node."""
        return self.engines.workers[0]

    def test_filtered(self) -> None:
        """Audio goes to the worker 40 ms at a time, and what comes back goes on, in order."""
        node = self.node()
        for _ in range(4):
            node.receive(FRAME)
        self.assertEqual(self.worker.fed, [FRAME * 2])
        self.worker.answers[0].callback([b"aa", b"bb"])
        self.assertEqual(self.worker.fed, [FRAME * 2, FRAME * 2])
        self.worker.answers[1].callback([b"cc"])
        self.assertEqual(self.out, [b"aabb", b"cc"])
        self.assertEqual(self.counts, {})

    def test_overload(self) -> None:
        """A worker too far behind is gone around: nothing is held back, nothing comes twice (S-NOISE-05)."""
        node = self.node()
        frames = [bytes([number, 0]) * 320 for number in range(8)]
        for frame in frames:
            node.receive(frame)
        self.assertEqual(b"".join(self.out), b"".join(frames))
        self.worker.answers[0].callback([FRAME * 2])
        self.assertEqual(b"".join(self.out), b"".join(frames))
        self.assertEqual(self.counts, {"unfiltered_ms": 160})
        node.receive(FRAME)
        node.receive(FRAME)
        self.assertEqual(self.worker.fed[-1], FRAME * 2)

    def test_failure(self) -> None:
        """A batch the worker cannot filter passes as it was; the log says so once."""
        node = self.node()
        for _ in range(2):
            node.receive(FRAME)
            node.receive(FRAME)
            self.worker.answers[-1].errback(TooMany("queue full"))
        self.assertEqual(b"".join(self.out), FRAME * 4)
        self.assertEqual(len(self.flushLoggedErrors(TooMany)), 1)

    def test_missing(self) -> None:
        """Without its model the audio passes, and the caller is told once."""
        self.engines.error = ModelMissing("no noise model; run waav init")
        node = self.node()
        self.successResultOf(self.starting)
        node.receive(FRAME)
        self.assertEqual(self.out, [FRAME])
        self.assertEqual([one.code for one in self.warnings], ["model_missing"])

    def test_unforeseen(self) -> None:
        """A model that breaks while it is loaded is logged; the audio passes."""
        self.engines.error = ZeroDivisionError()
        node = self.node()
        self.successResultOf(self.starting)
        node.receive(FRAME)
        self.assertEqual(self.out, [FRAME])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_converted(self) -> None:
        """The model gets its own format; so does the recogniser."""
        node = self.node(AudioFormat("mulaw", 16000))
        node.receive(b"\xff" * 640)
        self.assertEqual(self.worker.fed, [bytes(1280)])

    def test_other_values(self) -> None:
        """What is not audio passes."""
        self.node().receive("text")
        self.assertEqual(self.out, ["text"])

    def test_fade(self) -> None:
        """When the filter takes over again its audio is faded in, so that nothing clicks (S-NOISE-05)."""
        node = self.node()
        loud, quiet = b"\x00\x20" * 1280, b"\x00\x10" * 1280
        node.receive(loud + loud)
        node.receive(loud)
        self.worker.answers[0].callback([quiet + quiet])
        node.receive(loud)
        self.worker.answers[1].callback([quiet[:-200]])
        self.assertEqual(self.out[:-1], [loud * 3])
        levels = memoryview(self.out[-1]).cast("h").tolist()
        faded = round(FADE_S * 16000)
        self.assertEqual(levels, sorted(levels, reverse=True))
        self.assertTrue(0x1000 < levels[faded // 2] < 0x2000)
        self.assertEqual((levels[0], set(levels[faded:])), (0x2000, {0x1000}))

    def test_stop_gently(self) -> None:
        """The end of what the caller said is filtered too, and reaches the recogniser before it stops."""
        node = self.node()
        for _ in range(3):
            node.receive(FRAME)
        stopping = node.stop(at_once=False)
        self.worker.answers[0].callback([FRAME])
        self.assertEqual(self.worker.fed, [FRAME * 2, FRAME])
        self.worker.answers[1].callback([FRAME])
        self.assertEqual(self.worker.fed, [FRAME * 2, FRAME, "finish"])
        self.assertNoResult(stopping)
        self.worker.answers[2].callback([b"\x07\0" * 320])
        self.successResultOf(stopping)
        self.assertEqual(self.out, [FRAME, FRAME, b"\x07\0" * 320])
        self.assertEqual((self.worker.is_closed, self.counts), (True, {}))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_in_time(self) -> None:
        """A filter that does not answer holds nobody up: the last frames pass as they were."""
        node = self.node()
        for _ in range(3):
            node.receive(FRAME)
        stopping = node.stop(at_once=False)
        self.clock.advance(FINISH_S - 0.01)
        self.assertNoResult(stopping)
        self.clock.advance(0.01)
        self.successResultOf(stopping)
        self.assertEqual(b"".join(self.out), FRAME * 3)
        self.assertTrue(self.worker.is_closed)
        self.assertEqual(self.worker.fed, [FRAME * 2])

    def test_stop_hurried(self) -> None:
        """A hang-up while the last words are filtered ends the wait."""
        node = self.node()
        node.receive(FRAME * 2)
        stopping = node.stop(at_once=False)
        stopping.cancel()
        self.failureResultOf(stopping, CancelledError)
        self.assertTrue(self.worker.is_closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stop_broken(self) -> None:
        """A filter that fails at the end costs no audio."""
        node = self.node()
        node.receive(FRAME * 2)
        stopping = node.stop(at_once=False)
        self.worker.answers[0].callback([FRAME])
        self.worker.answers[1].errback(TooMany("queue full"))
        self.successResultOf(stopping)
        self.assertEqual(b"".join(self.out), FRAME * 2)

    def test_stop_overloaded(self) -> None:
        """While the filter is gone around, its end is not waited for."""
        node = self.node()
        for _ in range(8):
            node.receive(FRAME)
        self.successResultOf(node.stop(at_once=False))
        self.worker.answers[0].callback([FRAME * 2])
        self.assertEqual(b"".join(self.out), FRAME * 8)
        self.assertTrue(self.worker.is_closed)

    def test_stop_without_filter(self) -> None:
        """Without a model there is no end to wait for."""
        self.engines.error = ModelMissing("no noise model; run waav init")
        node = self.node()
        node.receive(FRAME)
        self.successResultOf(node.stop(at_once=False))
        self.assertEqual(self.out, [FRAME])

    def test_stop_at_once(self) -> None:
        """After a hang-up nothing goes anywhere."""
        node = self.node()
        node.receive(FRAME)
        self.successResultOf(node.stop(at_once=True))
        self.assertEqual(self.out, [])

    def test_stop_while_loading(self) -> None:
        """A hang-up ends the wait for the model."""
        self.engines.waiting = []
        node = self.node()
        self.successResultOf(node.stop(at_once=True))
        self.failureResultOf(self.starting, CancelledError)

    def test_pause(self) -> None:
        """A caller who cannot take more audio is still heard."""
        node = self.node()
        node.pause()
        node.receive(FRAME * 2)
        node.resume()
        self.assertEqual(len(self.worker.fed), 1)

    @given(
        st.lists(st.sampled_from(["frame", "frame", "frame", "answer", "error"]), max_size=60),
        st.integers(0, 1000),
    )
    def test_nothing_lost(self, steps: list[str], delay: int) -> None:
        """However slow the worker is and whatever delay it has, every sample comes out once and in order."""
        self.setUp()
        node = self.node()
        sent = b""
        taken_in = b""
        given_out = answered = 0
        for number, step in enumerate(steps):
            if step == "frame":
                frame = number.to_bytes(2, "little") * 320
                sent += frame
                node.receive(frame)
            elif answered < len(self.worker.fed):
                answer, batch = self.worker.answers[answered], self.worker.fed[answered]
                answered += 1
                if step == "error":
                    answer.errback(TooMany("queue full"))
                    continue
                taken_in += batch
                ready = max(0, len(taken_in) - delay * 2)
                answer.callback([taken_in[given_out:ready]])
                given_out = max(given_out, ready)
        stopping = node.stop(at_once=False)
        while answered < len(self.worker.fed):
            asked = self.worker.fed[answered]
            if isinstance(asked, bytes):
                taken_in += asked
            ready = len(taken_in) - (delay * 2 if isinstance(asked, bytes) else 0)
            self.worker.answers[answered].callback([taken_in[given_out : max(0, ready)]])
            given_out = max(given_out, ready)
            answered += 1
        self.successResultOf(stopping)
        self.flushLoggedErrors(TooMany)
        self.assertEqual(b"".join(self.out), sent)
