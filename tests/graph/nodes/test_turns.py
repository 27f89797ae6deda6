"""A turn ends by the vendor's word, the model's or the clock's; the model never has the last one."""

from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.graph.test_definition import surroundings
from tests.session.fakes import PCM16K, FakeEngines
from waav.errors import ModelMissing, ProviderLost, TooMany
from waav.graph.nodes.turns import Turns, turns
from waav.graph.values import AudioFlow
from waav.session.settings import SpeechFinalSettings
from waav.speech import wire
from waav.speech.audio import AudioFormat
from waav.speech.wire import Transcript


class TurnsCase(SynchronousTestCase):
    """A started node."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.engines = FakeEngines()
        self.out: list[Any] = []
        self.counts: dict[str, int] = {}
        self.warnings: list[Any] = []

    def node(self, *, detector: bool = False, format: AudioFormat = PCM16K, **times: Any) -> Turns:
        """A node with the default times but ``times``."""
        around = surroundings(
            converse=self.engines.converse,
            clock=self.clock,
            count=self.count,
            warn=lambda error: self.warnings.append(error),
        )
        model = {
            "local": wire.Local("turn", lambda: None, lambda loaded: loaded),
            "question": "finished?",
            "forget": "forget",
            "format": format,
            "model_format": PCM16K,
            "threshold": 0.6,
            "is_asked": True,
        }
        config = {
            "timing": SpeechFinalSettings(**times),
            "detector": model if detector else None,
        }
        node = turns(config, around, self.out.append)
        self.successResultOf(node.start())
        return node

    def count(self, name: str, number: int) -> None:
        """Keep a figure."""
        self.counts[name] = self.counts.get(name, 0) + number

    @property
    def forced(self) -> list[str]:
        """Texts of forced finals."""
        return [one.text for one in self.out if isinstance(one, Transcript) and one.forced]


class TimerTests(TurnsCase):
    """Without a model."""

    def test_silence(self) -> None:
        """Silence after finals ends the turn with its whole text (F-108, F-110, VM-01, D-40)."""
        node = self.node()
        node.receive(Transcript("hello", True, confidence=0.8))
        self.clock.advance(1.0)
        node.receive(Transcript("world", True, confidence=0.6))
        self.clock.advance(1.79)
        self.assertEqual(self.forced, [])
        self.clock.advance(0.01)
        forced = self.out[-1]
        self.assertEqual(forced.text, "hello world")
        self.assertTrue(forced.is_final and forced.is_speech_final and forced.forced)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_vendor_is_first(self) -> None:
        """The vendor's own end of speech needs no second one (S-VM-29)."""
        node = self.node()
        node.receive(Transcript("hello", True))
        node.receive(Transcript("hello", True, True))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.clock.advance(10)
        self.assertEqual(self.forced, [])

    def test_hard_limit(self) -> None:
        """Somebody who never pauses is not cut off; where words count for nothing, the hard limit does, from the first
        final on (S-VM-27)."""
        for rearms, forced in ((True, []), (False, ["on"])):
            self.out.clear()
            node = self.node(interim_rearms=rearms, wait_ms=5000)
            node.receive(Transcript("on", True))
            for _ in range(39):
                self.clock.advance(0.1)
                node.receive(Transcript("and on"))
            self.assertEqual(self.forced, [])
            self.clock.advance(0.2)
            self.assertEqual(self.forced, forced)
            node.stop(at_once=True)
            self.clock.advance(60)

    def test_speech(self) -> None:
        """The vendor's word that somebody speaks holds the end of the turn back, and is passed on."""
        node = self.node()
        node.receive(Transcript("hello", True))
        self.clock.advance(1.0)
        node.receive(wire.SpeechStarted(1.0))
        self.clock.advance(2.0)
        self.assertEqual(self.forced, [])
        node.receive(wire.SpeechEnded(3.0))
        self.clock.advance(1.8)
        self.assertEqual(self.forced, ["hello"])
        self.assertEqual(
            [type(one) for one in self.out[1:3]], [wire.SpeechStarted, wire.SpeechEnded]
        )

    def test_audio_that_stops(self) -> None:
        """When no audio comes any more the turn ends with what is final; nobody further down hears of the audio."""
        node = self.node()
        node.receive(Transcript("hello", True))
        node.receive(AudioFlow(False))
        self.assertEqual(self.forced, ["hello"])
        node.receive(AudioFlow(True))
        self.assertEqual([type(one) for one in self.out], [Transcript, Transcript])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_duplicate(self) -> None:
        """The vendor's late echo of a forced end is dropped and counted (F-109)."""
        node = self.node()
        node.receive(Transcript("hello", True))
        self.clock.advance(1.8)
        node.receive(Transcript("Hello.", True, True))
        self.assertEqual(len(self.out), 2)
        node.stop(at_once=True)
        self.assertEqual(self.counts["duplicates"], 1)

    def test_one_timer(self) -> None:
        """However many results come, there is never more than one timer, and frames have none."""
        node = self.node()
        for _ in range(50):
            node.receive(b"\0" * 640)
            node.receive(Transcript("on", True))
            self.clock.advance(0.02)
            self.assertEqual(len(self.clock.getDelayedCalls()), 1)

    def test_custom_times(self) -> None:
        """Times set for a call are kept (F-114, VM-04)."""
        node = self.node(wait_ms=300)
        node.receive(Transcript("hello", True))
        self.clock.advance(0.29)
        self.assertEqual(self.forced, [])
        self.clock.advance(0.01)
        self.assertEqual(self.forced, ["hello"])

    def test_other_events(self) -> None:
        """Everything else passes."""
        event = wire.SpeechStarted()
        self.node().receive(event)
        self.assertEqual(self.out, [event])

    def test_lost(self) -> None:
        """When the recogniser is gone, what was said is delivered before the error."""
        node = self.node()
        node.receive(Transcript("hello", True))
        lost = wire.Lost(ProviderLost("v", "gone"))
        node.receive(lost)
        self.assertEqual(self.forced, ["hello"])
        self.assertIs(self.out[-1], lost)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopped_gently(self) -> None:
        """The end of a config ends the turn; the figures say how turns ended."""
        node = self.node()
        node.receive(Transcript("hello", True))
        self.clock.advance(1.8)
        node.receive(Transcript("again", True))
        node.stop(at_once=False)
        self.assertEqual(self.forced, ["hello", "again"])
        self.assertEqual(self.counts["forced_no_detector_timeout"], 1)
        self.assertEqual(self.counts["forced_stopped"], 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_stopped_at_once(self) -> None:
        """A hang-up ends it in silence, with no timer left."""
        node = self.node()
        node.receive(Transcript("hello", True))
        node.stop(at_once=True)
        self.assertEqual((self.forced, self.clock.getDelayedCalls()), ([], []))

    def test_pause(self) -> None:
        """A caller who cannot take more audio still gets transcripts."""
        node = self.node()
        node.pause()
        node.receive(Transcript("hello", True))
        node.resume()
        self.assertEqual(len(self.out), 1)


class ModelTests(TurnsCase):
    """With a turn model in a worker thread."""

    def asked(self, node: Turns) -> Deferred[Any]:
        """A turn that has come to the question."""
        before = self.forced
        node.receive(Transcript("hello", True))
        self.clock.advance(1.8)
        worker = self.engines.workers[0]
        self.assertEqual(worker.fed[-1], "finished?")
        self.assertEqual(self.forced, before)
        return worker.answers[-1]

    def test_finished(self) -> None:
        """The model's yes ends the turn (F-120)."""
        node = self.node(detector=True)
        self.asked(node).callback(["0.61"])
        self.assertEqual(self.forced, ["hello"])
        node.stop(at_once=True)
        self.assertEqual(self.counts["forced_turn_detection_confirmed"], 1)

    def test_not_finished(self) -> None:
        """The model's no leaves it to the hard limit, which always comes (F-120)."""
        node = self.node(detector=True)
        self.asked(node).callback(["0.59"])
        self.clock.advance(2.19)
        self.assertEqual(self.forced, [])
        self.clock.advance(0.01)
        self.assertEqual(self.forced, ["hello"])

    def test_too_slow(self) -> None:
        """A model that takes too long is not waited for, and its late answer changes nothing (S-VM-25)."""
        node = self.node(detector=True)
        answer = self.asked(node)
        self.clock.advance(0.5)
        self.assertEqual(self.forced, ["hello"])
        node.receive(Transcript("next", True))
        answer.callback(["0.99"])
        self.assertEqual(self.forced, ["hello"])

    def test_speaks_on(self) -> None:
        """An answer about a turn that has gone on meanwhile counts for nothing (S-VM-25)."""
        node = self.node(detector=True)
        answer = self.asked(node)
        node.receive(Transcript("there", True))
        answer.callback(["0.99"])
        self.assertEqual(self.forced, [])

    def test_broken(self) -> None:
        """A model that fails ends the turn like the timer, and complains once in the log."""
        node = self.node(detector=True)
        self.asked(node).errback(RuntimeError("bad tensor"))
        self.assertEqual(self.forced, ["hello"])
        self.asked(node).errback(TooMany("queue full"))
        self.assertEqual(self.forced, ["hello", "hello"])
        self.assertEqual(len(self.flushLoggedErrors()), 1)

    def test_nonsense(self) -> None:
        """So does one that does not answer with a number."""
        self.asked(self.node(detector=True)).callback([])
        self.assertEqual(self.forced, ["hello"])
        self.flushLoggedErrors()

    def test_missing(self) -> None:
        """A missing model is told to the caller once; the timers end the turns (F-119)."""
        self.engines.error = ModelMissing("no turn model; run waav init")
        node = self.node(detector=True)
        self.assertEqual([one.code for one in self.warnings], ["model_missing"])
        node.receive(b"\0" * 640)
        node.receive(Transcript("hello", True))
        self.clock.advance(1.8)
        self.assertEqual(self.forced, ["hello"])
        node.stop(at_once=True)
        self.assertEqual(self.counts["forced_no_detector_timeout"], 1)

    def test_unforeseen(self) -> None:
        """A model that breaks while it is loaded is logged; the timers end the turns (F-119)."""
        self.engines.error = ZeroDivisionError()
        node = self.node(detector=True)
        node.receive(Transcript("hello", True))
        self.clock.advance(1.8)
        self.assertEqual(self.forced, ["hello"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_slow_to_load(self) -> None:
        """A call does not wait for the model: until it is there, the timers do its work (F-118, S-VM-30)."""
        self.engines.waiting = []
        node = self.node(detector=True)
        node.receive(Transcript("hello", True))
        self.clock.advance(1.8)
        self.assertEqual(self.forced, ["hello"])
        self.engines.waiting[0].callback(self.engine())
        self.asked(node).callback(["0.9"])

    def engine(self) -> Any:
        """A worker that has been loaded late."""
        self.engines.waiting, waiting = None, self.engines.waiting
        worker = self.successResultOf(self.engines.converse(wire.Local("x", int, int)))
        self.engines.waiting = waiting
        self.out.clear()
        return worker

    def test_batches(self) -> None:
        """Audio goes to the model 200 ms at a time, what is left of it before the question."""
        node = self.node(detector=True)
        worker = self.engines.workers[0]
        for _ in range(25):
            node.receive(b"\x01\0" * 320)
        self.assertEqual([len(one) for one in worker.fed], [6400, 6400])
        self.asked(node)
        self.assertEqual([len(one) for one in worker.fed[:3]], [6400, 6400, 3200])

    def test_converted(self) -> None:
        """The model hears its own format whatever the caller sends."""
        node = self.node(detector=True, format=AudioFormat("mulaw", 16000))
        node.receive(b"\xff" * 3200)
        self.assertEqual(self.engines.workers[0].fed, [bytes(6400)])

    def test_failed_audio(self) -> None:
        """Audio that finds no place in the queue is complained about once, and the call goes on."""
        node = self.node(detector=True)
        for _ in range(2):
            node.receive(b"\0" * 6400)
            self.engines.workers[0].answers[-1].errback(TooMany("queue full"))
        self.assertEqual(len(self.flushLoggedErrors(TooMany)), 1)
        self.asked(node).callback(["0.9"])
        self.assertEqual(self.forced, ["hello"])

    def test_forget(self) -> None:
        """A turn that has ended, by whomever, is not judged again with the next one."""
        node = self.node(detector=True)
        worker = self.engines.workers[0]
        self.asked(node).callback(["0.9"])
        self.assertEqual(worker.fed[-1], "forget")
        node.receive(b"\0" * 640)
        node.receive(Transcript("bye", True, True))
        self.assertEqual(worker.fed[-1], "forget")
        node.receive(b"\x01" * 6400)
        self.assertEqual(worker.fed[-1], b"\x01" * 6400)

    def test_stop(self) -> None:
        """The end of the call gives the conversation back; an answer still to come is not used."""
        node = self.node(detector=True)
        answer = self.asked(node)
        node.stop(at_once=True)
        self.assertTrue(self.engines.workers[0].is_closed)
        answer.callback(["0.9"])
        self.assertEqual(self.forced, [])

    def test_stop_while_loading(self) -> None:
        """The end of the call ends the wait for the model."""
        self.engines.waiting = []
        node = self.node(detector=True)
        node.stop(at_once=True)
        self.assertTrue(self.engines.waiting[0].called)
