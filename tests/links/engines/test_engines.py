"""Models in this process: loaded once, run in threads, interrupted between pieces."""

import os
import sys
import threading
from collections.abc import Iterator
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred, gatherResults, succeed
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread as in_thread
from twisted.trial.unittest import TestCase

from tests.links.doubles import PCM, Heard, Mute, Talk
from tests.waiting import until
from waav import errors
from waav.links.dial import Dialler
from waav.links.engines.engines import Engines
from waav.links.engines.threads import NICENESS, Threads
from waav.links.engines.workbench import AHEAD
from waav.links.settings import LinkSettings
from waav.speech import wire

WAIT_S = 600.0
"""How long a model waits for its gate, which every test opens at its end: longer than any test."""


class Model:
    """A scripted model: what it does stands in the first word of what it is told."""

    def __init__(self) -> None:
        self.told: list[str | bytes] = []
        self.threads: set[int] = set()
        self.gate = threading.Event()
        self.entered = threading.Event()
        self.made = 0
        self.left_early = 0
        self.closed = 0
        self.loads = 0
        self.busy = 0
        self.most_busy = 0
        self.load_error: BaseException | None = None
        self.open_error: BaseException | None = None

    def load(self) -> "Model":
        self.loads += 1
        self.gate.wait(WAIT_S) if self.loads == 1 else None
        if self.load_error is not None:
            raise self.load_error
        return self

    def open(self, loaded: "Model") -> "Model":
        assert loaded is self
        if self.open_error is not None:
            raise self.open_error
        return self

    def close(self) -> None:
        self.threads.add(threading.get_ident())
        self.closed += 1

    def feed(self, outgoing: str | bytes) -> Iterator[str | bytes]:
        self.busy += 1
        self.most_busy = max(self.most_busy, self.busy)
        self.threads.add(threading.get_ident())
        self.told.append(outgoing)
        try:
            yield from self._answer(outgoing)
        except GeneratorExit:
            self.left_early += 1
            self.threads.add(threading.get_ident())
            raise
        finally:
            self.busy -= 1

    def _answer(self, outgoing: str | bytes) -> Iterator[str | bytes]:
        if isinstance(outgoing, bytes):
            self.entered.set()
            self.gate.wait(WAIT_S)
            return
        if '"speak"' not in outgoing:
            return
        words = outgoing.split('"text": "')[1].rstrip('"}').split()
        match words[0]:
            case "fail":
                raise RuntimeError("the weights are on fire")
            case "refuse":
                raise errors.ProviderRefused("acme", "not that")
            case "count":
                for i in range(int(words[1])):
                    self.made += 1
                    yield bytes([i % 256, 0])
            case "wait":
                yield b"\1\1"
                self.entered.set()
                self.gate.wait(WAIT_S)
                yield b"\2\2"
            case "junk":
                yield "{}"
            case _:
                yield outgoing.encode()


class EngineCase(TestCase):
    def setUp(self) -> None:
        self.model = Model()
        self.engines = Engines(reactor, Threads(reactor, 2), 64)
        self.sink = Heard()
        self.addCleanup(self.stop)

    def stop(self) -> Any:
        self.model.gate.set()
        return self.engines.stop()

    def local(self, name: str = "m") -> wire.Local:
        return wire.Local(name, self.model.load, self.model.open)

    async def link(
        self,
        sink: Heard | None = None,
        kind: type[Talk] = Talk,
        backlog_s: float = 5.0,
        **opening: Any,
    ) -> Any:
        self.model.loads = self.model.loads or 1  # only tests of loading wait for the gate there
        return await self.opening(sink, kind, backlog_s, **opening)

    def opening(
        self,
        sink: Heard | None = None,
        kind: type[Talk] = Talk,
        backlog_s: float = 5.0,
        **opening: Any,
    ) -> Deferred[Any]:
        dialler = Dialler(reactor, LinkSettings(backlog_s=backlog_s), engines=self.engines)
        opening_ = wire.Opening("engine:m", local=self.local(), **opening)
        return dialler.open("acme", lambda: kind(opening_, PCM), sink or self.sink)

    async def idle(self, seconds: float = 0.05) -> None:
        """Long enough for anything wrong to show."""
        await deferLater(reactor, seconds)  # type: ignore[arg-type]


class LoadTests(EngineCase):
    async def test_ready_only_when_the_model_is_and_loaded_once(self) -> None:
        """Calls that come while a model loads wait for it; there is one copy for all."""
        waiting = [self.opening() for _ in range(3)]
        await self.idle()
        for one in waiting:
            self.assertNoResult(one)
        self.model.gate.set()
        await gatherResults(waiting)
        await self.opening()
        self.assertEqual(self.model.loads, 1)

    async def test_a_failed_load_tells_everybody_and_is_tried_again(self) -> None:
        """A model that could not be loaded is an error with its reason, and no verdict for ever."""
        self.model.load_error = errors.ModelMissing("run waav init")
        waiting = [self.opening() for _ in range(2)]
        self.model.gate.set()
        for one in waiting:
            error = await self.assertFailure(one, errors.ModelMissing)
            self.assertEqual(str(error), "run waav init")
        self.model.load_error = MemoryError("no room")
        await self.assertFailure(self.opening(), errors.ProviderError)
        self.assertEqual(len(self.flushLoggedErrors(MemoryError)), 1)
        self.model.load_error = None
        await self.opening()
        self.assertEqual(self.model.loads, 3)

    async def test_a_caller_who_leaves_while_it_loads(self) -> None:
        """One caller hanging up does not stop the load for the others, nor start a second."""
        one = self.opening()
        one.cancel()
        await self.assertFailure(one, CancelledError)
        other = self.opening()
        self.model.gate.set()
        await other
        self.assertEqual((self.model.loads, self.model.closed), (1, 0))

    async def test_a_conversation_that_cannot_begin(self) -> None:
        """The reason a conversation cannot begin reaches the caller."""
        self.model.open_error = errors.BadRequest("no such voice")
        error = await self.assertFailure(Deferred.fromCoroutine(self.link()), errors.BadRequest)
        self.assertEqual(str(error), "no such voice")
        self.model.open_error = ZeroDivisionError()
        await self.assertFailure(Deferred.fromCoroutine(self.link()), errors.ProviderError)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    async def test_leaving_while_a_conversation_begins_gives_it_back(self) -> None:
        """A conversation that nobody waits for any more is closed."""
        began = threading.Event()
        real = self.model.open

        def slow(loaded: Model) -> Model:
            began.set()
            self.model.gate.wait(WAIT_S)
            return real(loaded)

        self.model.open = slow  # type: ignore[method-assign]
        self.model.loads = 1
        one = self.opening()
        await until(began.is_set)
        one.cancel()
        self.failureResultOf(one, CancelledError)
        self.model.gate.set()
        await until(lambda: self.model.closed == 1)


class TalkTests(EngineCase):
    async def test_in_order_and_off_the_reactor(self) -> None:
        """What is told to the model comes back in order, computed in a worker thread."""
        link = await self.link()
        for text in ("one", "two", "three"):
            link.send(wire.Speak(text))
        await until(lambda: len(self.sink.events) == 3)
        self.assertEqual([b"two" in e.frame.data for e in self.sink.events], [False, True, False])
        self.assertIn(b"three", self.sink.events[2].frame.data)
        self.assertNotIn(threading.get_ident(), self.model.threads)
        await link.close()

    async def test_audio_gathers_while_the_model_works(self) -> None:
        """A model that is slow for a moment gets what came meanwhile in one piece, in order."""
        link = await self.link()
        link.send(wire.Audio(b"\0\0"))
        await until(self.model.entered.is_set)
        for i in range(1, 6):
            link.send(wire.Audio(bytes([i, i])))
        link.send(wire.Flush())
        link.send(wire.Audio(b"\7\7"))
        self.assertEqual(self.model.told, [b"\0\0"])
        self.model.gate.set()
        await until(lambda: len(self.model.told) == 4)
        self.assertEqual(
            self.model.told, [b"\0\0", b"\1\1\2\2\3\3\4\4\5\5", '{"type": "flush"}', b"\7\7"]
        )
        self.assertEqual(self.model.most_busy, 1)

    async def test_a_slow_model_pauses_the_caller(self) -> None:
        """Audio that waits is bounded by the caller being paused."""
        link = await self.link(backlog_s=0.1)
        link.send(wire.Audio(b"\0\0"))
        await until(self.model.entered.is_set)
        link.send(wire.Audio(bytes(3200)))
        self.assertEqual(self.sink.congestion, [True])
        self.model.gate.set()
        await until(lambda: self.sink.congestion == [True, False])
        self.assertEqual(sum(map(len, self.model.told)), 3202)

    async def test_errors_are_events_and_the_next_goes_on(self) -> None:
        """One text the model cannot say does not end the call, and its text is not in the log."""
        link = await self.link()
        for text in ("fail now", "refuse", "junk", "fine"):
            link.send(wire.Speak(text))
        await until(lambda: self.sink.audio)
        failed = [type(one.error) for one in self.sink.of(wire.Failed)]
        self.assertEqual(failed, [errors.ProviderError, errors.ProviderRefused, errors.WireError])
        self.assertNotIn("fire", str(self.sink.of(wire.Failed)[0].error))
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    async def test_close_waits_for_the_last_words(self) -> None:
        """Hanging up lets the model say what it has, then gives the conversation back."""
        link = await self.link()
        link.send(wire.Speak("count 20"))
        await gatherResults([link.close(), link.close()])
        self.assertEqual(len(self.sink.events), 20)
        self.assertEqual(self.sink.of(wire.Failed), [])
        self.assertEqual(self.model.told[-1], '{"type": "finish"}')
        await until(lambda: self.model.closed == 1)
        self.assertNotIn(threading.get_ident(), self.model.threads)
        link.send(wire.Speak("more"))
        await link.close()
        self.assertEqual(len(self.model.told), 2)

    async def test_close_does_not_wait_for_ever(self) -> None:
        """A model that hangs, or is far behind, does not keep a caller who left; what it never heard is said to be lost."""
        link = await self.link(kind=Mute, finish_s=0.1)
        link.send(wire.Audio(b"\0\0"))
        await until(self.model.entered.is_set)
        link.send(wire.Audio(b"\1\1"))
        await link.close()
        (failed,) = self.sink.of(wire.Failed)
        self.assertIn("acme was behind", str(failed.error))
        self.assertEqual(self.model.closed, 0)
        self.model.gate.set()
        await until(lambda: self.model.closed == 1)


class ClearTests(EngineCase):
    async def test_nothing_older_than_a_clear(self) -> None:
        """After an interruption nothing of the old text is heard; the model stops at its next piece. (S-TTS-13)"""
        link = await self.link()
        link.send(wire.Speak("wait"))
        link.send(wire.Speak("old"))
        await until(self.model.entered.is_set)
        await until(lambda: self.sink.audio == b"\1\1")
        link.send(wire.Clear())
        link.send(wire.Speak("new"))
        self.model.gate.set()
        await until(lambda: b"new" in self.sink.audio)
        await self.idle()
        self.assertNotIn(b"\2\2", self.sink.audio)
        self.assertNotIn(b"old", self.sink.audio)
        self.assertEqual(self.model.left_early, 1)
        self.assertEqual(len(self.sink.events), 2)

    async def test_clear_inside_an_event(self) -> None:
        """An interruption caused by the audio itself is obeyed before the next piece. (S-TTS-13)"""
        link = await self.link()
        self.sink.on_event = lambda _: link.send(wire.Clear())
        link.send(wire.Speak("count 1000"))
        await until(lambda: self.sink.events)
        await self.idle()
        self.assertEqual(len(self.sink.events), 1)
        self.assertLess(self.model.made, 1000)
        await until(lambda: self.model.left_early == 1)

    async def test_abort_stops_the_worker_and_gives_back(self) -> None:
        """A caller who hangs up frees the model at its next piece."""
        link = await self.link()
        link.send(wire.Speak("wait"))
        await until(self.model.entered.is_set)
        count = len(self.sink.events)
        link.abort()
        link.abort()
        self.model.gate.set()
        await until(lambda: self.model.closed == 1)
        self.assertEqual(self.model.left_early, 1)
        self.assertEqual(len(self.sink.events), count)
        link.send(wire.Speak("more"))
        self.assertEqual(len(self.model.told), 1)


class PauseTests(EngineCase):
    async def test_a_slow_caller_holds_the_model_back_and_keeps_no_thread(self) -> None:
        """A paused call does not run ahead, and others still get their turn. (S-TTS-12)"""
        links = [await self.link() for _ in range(3)]
        for link in links:
            link.pause()
            link.send(wire.Speak("count 100"))
        await until(lambda: self.model.made == 3 * AHEAD)
        await self.idle()
        self.assertEqual(self.model.made, 3 * AHEAD)
        self.assertEqual(self.sink.events, [])
        other = Heard()
        free = await self.link(other)
        free.send(wire.Speak("through"))
        await until(lambda: other.audio)
        links[0].resume()
        await until(lambda: len(self.sink.events) == 100)
        self.assertEqual(self.sink.audio, bytes(b for i in range(100) for b in (i, 0)))

    async def test_clear_while_paused(self) -> None:
        """An interruption of a paused call throws away what was made ahead."""
        link = await self.link()
        link.pause()
        link.send(wire.Speak("count 100"))
        await until(lambda: self.model.made == AHEAD)
        await self.idle(0.02)
        link.send(wire.Clear())
        link.send(wire.Speak("new"))
        link.resume()
        await until(lambda: self.sink.audio)
        await self.idle()
        self.assertEqual(len(self.sink.events), 1)
        self.assertIn(b"new", self.sink.audio)
        self.assertEqual(self.model.left_early, 1)
        self.assertNotIn(threading.get_ident(), self.model.threads)


class QueueTests(EngineCase):
    async def test_a_full_queue_is_an_error_not_a_wait(self) -> None:
        """When too many jobs wait the caller is told, at once."""
        engines = Engines(reactor, Threads(reactor, 1), 2)
        self.addCleanup(engines.stop)
        self.addCleanup(self.model.gate.set)

        running = engines.do("m", lambda: in_thread(self.block))
        await until(self.model.entered.is_set)
        waiting = [engines.do("m", lambda: succeed("next")) for _ in range(2)]
        self.assertEqual(engines.waiting, 2)
        await self.assertFailure(engines.do("m", lambda: succeed("no")), errors.ProviderBusy)
        urgent = engines.do("m", lambda: succeed("begun"), is_urgent=True)
        self.model.gate.set()
        self.assertEqual(
            await gatherResults([running, *waiting, urgent]), ["done", "next", "next", "begun"]
        )
        self.assertEqual(await engines.do("m", lambda: succeed("again")), "again")

    def block(self) -> str:
        self.model.entered.set()
        self.model.gate.wait(WAIT_S)
        return "done"

    async def test_busy_reaches_the_caller_as_an_event(self) -> None:
        """A call whose text finds the queue full hears of it, and goes on later."""
        link = await self.link()
        self.engines._queue = 0
        link.send(wire.Speak("a"))
        self.assertEqual([type(e.error) for e in self.sink.of(wire.Failed)], [errors.ProviderBusy])
        self.engines._queue = 64
        link.send(wire.Speak("b"))
        await until(lambda: self.sink.audio)

    async def test_calls_begin_however_many_wait(self) -> None:
        """When everybody calls at once, nobody is turned away for that; only work is refused."""
        self.engines._queue = 0
        link = await self.link()
        self.assertEqual(self.sink.of(wire.Failed), [])
        link.abort()

    async def test_refused_audio_is_reported_once(self) -> None:
        """An overloaded model is one error for a speaking caller, not fifty a second."""
        self.model.gate.set()
        link = await self.link()
        self.engines._queue = 0
        for _ in range(50):
            link.send(wire.Audio(b"\1\1"))
        self.assertEqual(len(self.sink.of(wire.Failed)), 1)
        self.engines._queue = 64
        link.send(wire.Audio(b"\2\2"))
        await until(lambda: not link._is_working)
        self.assertEqual(self.model.told, [b"\2\2"])
        self.engines._queue = 0
        link.send(wire.Audio(b"\1\1"))
        self.assertEqual(len(self.sink.of(wire.Failed)), 2)

    async def test_calls_come_first(self) -> None:
        """Where threads differ in that, models compute with what the reactor leaves of the processor."""

        def niceness() -> int:
            return os.getpriority(os.PRIO_PROCESS, 0)

        expected = niceness() + (NICENESS if sys.platform == "linux" else 0)
        seen: list[int] = []
        await self.engines.host.load("model", lambda: seen.append(niceness()))
        self.assertEqual(seen, [min(expected, 19)])

    async def test_stop_ends_the_threads(self) -> None:
        """Stopping the gateway leaves no thread behind and begins no more work."""
        await self.link()
        before = [t for t in threading.enumerate() if "models" in t.name]
        self.assertTrue(before)
        await self.engines.stop()
        self.assertFalse([t for t in before if t.is_alive()])
        await self.assertFailure(self.engines.do("m", lambda: succeed(1)), errors.ProviderLost)
        await self.engines.stop()


class ConversationTests(EngineCase):
    async def conversation(self) -> Any:
        self.model.loads = 1
        return await self.engines.converse(self.local())

    async def test_answers_in_order(self) -> None:
        """A node that asks gets all that the model says to each question, in order."""
        conversation = await self.conversation()
        asked = [conversation.feed(f'{{"type": "speak", "text": "count {n}"}}') for n in (3, 0, 1)]
        answers = await gatherResults(asked)
        self.assertEqual(answers, [[b"\0\0", b"\1\0", b"\2\0"], [], [b"\0\0"]])
        conversation.close()
        conversation.close()
        await until(lambda: self.model.closed == 1)
        await self.assertFailure(conversation.feed("x"), errors.ProviderLost)
        self.assertNotIn(threading.get_ident(), self.model.threads)

    async def test_a_failure_is_the_askers(self) -> None:
        """A question the model cannot answer fails; the next is answered."""
        conversation = await self.conversation()
        failing = conversation.feed('{"type": "speak", "text": "fail"}')
        good = conversation.feed('{"type": "speak", "text": "count 1"}')
        await self.assertFailure(failing, errors.ProviderError)
        self.assertEqual(await good, [b"\0\0"])

    async def test_forgotten_answers(self) -> None:
        """A node that does not wait any longer does not disturb the order."""
        conversation = await self.conversation()
        one = conversation.feed('{"type": "speak", "text": "count 1"}')
        two = conversation.feed('{"type": "speak", "text": "count 2"}')
        one.cancel()
        self.failureResultOf(one, CancelledError)
        self.assertEqual(len(await two), 2)


class FigureTests(EngineCase):
    async def test_what_the_workers_did(self) -> None:
        """Jobs, the time they took, refused ones and loaded models are counted for the operator."""
        self.engines = Engines(reactor, Threads(reactor, 1), 0)
        self.model.loads = 1
        await self.engines.load(self.local())
        self.assertEqual((self.engines.loaded, self.engines.figures.jobs), (1, 1))
        entered = self.engines.do(
            "m", lambda: in_thread(lambda: self.model.gate.wait(0.05)), is_urgent=True
        )
        refused = self.engines.do("m", lambda: succeed(None))
        await self.assertFailure(refused, errors.ProviderBusy)
        await entered
        figures = self.engines.figures
        self.assertEqual((figures.jobs, figures.refused), (2, 1))
        self.assertGreater(figures.seconds, 0.045)
