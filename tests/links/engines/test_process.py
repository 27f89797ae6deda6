"""Models in a process of their own: the same conversations, and what happens when the process dies."""

import errno
import os
import signal
import threading
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.task import deferLater
from twisted.trial.unittest import TestCase

from tests.links import scripted
from tests.links.doubles import PCM, Heard, Talk
from tests.waiting import until
from waav import errors
from waav.links.dial import Dialler
from waav.links.engines import engines
from waav.links.engines.engines import Engines
from waav.links.engines.process import Process
from waav.links.engines.turn_queue import TurnShare
from waav.links.engines.workbench import AHEAD
from waav.links.settings import LinkSettings
from waav.speech import wire


def is_alive(pid: int) -> bool:
    """Whether there is such a process, one that waits to be noticed not counted."""
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False


def was_opened(gate: Path) -> bool:
    """Open a FIFO and close it again, if somebody reads at its other end."""
    try:
        os.close(os.open(gate, os.O_WRONLY | os.O_NONBLOCK))
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        return False
    return True


class ProcessTests(TestCase):
    """Each with a process."""

    def setUp(self) -> None:
        folder = Path(self.mktemp())
        folder.mkdir()
        self.diary = folder / "diary"
        self.diary.touch()
        self.gate = folder.absolute() / "gate"
        os.mkfifo(self.gate)
        self.host = Process(reactor, 2)
        self.engines = Engines(reactor, self.host, 64)
        self.dialler = Dialler(reactor, LinkSettings(), engines=self.engines)
        self.sink = Heard()
        self.patch(engines, "AGAIN_S", 0.05)

    def tearDown(self) -> Deferred[None]:
        return self.dialler.stop()

    def local(self, **more: Any) -> wire.Local:
        return scripted.local(self.diary.absolute(), **more)

    def link(self, sink: Heard | None = None, **more: Any) -> Deferred[Any]:
        opening = wire.Opening("engine:m", local=self.local(**more))
        return self.dialler.open("acme", lambda: Talk(opening, PCM), sink or self.sink)

    async def open_gate(self) -> None:
        """Let the model go on, after it has heard of what was said to it so far."""
        other = await self.engines.converse(self.local(), TurnShare("other"))
        await other.feed("anything")
        other.close()
        # Not in a thread: it would wait for a process that died, and the end of the tests for the thread.
        await until(lambda: was_opened(self.gate), "nobody waits at the gate")

    @property
    def notes(self) -> list[str]:
        return self.diary.read_text().splitlines()

    async def test_in_order_in_another_process(self) -> None:
        """What is told to the model comes back in order and whole, computed where it cannot hold up a call."""
        link = await self.link()
        for text in ("pid", "count 20", "last words"):
            link.send(wire.Speak(text))
        link.send(wire.Audio(bytes(range(200))))
        await link.close()
        pid, rest = self.sink.audio.split(b" ", 1)
        self.assertEqual(int(pid), self.host.pid)
        self.assertNotEqual(int(pid), os.getpid())
        count = bytes(byte for index in range(20) for byte in (index, 0))
        self.assertEqual(rest, count + b"last words" + bytes(range(200)))
        await until(lambda: self.notes[-1] == "closed")

    async def test_large_pieces(self) -> None:
        """Audio larger than any buffer on the way passes whole."""
        link = await self.link()
        data = os.urandom(1 << 20)
        link.send(wire.Audio(data))
        await until(lambda: len(self.sink.audio) == len(data))
        self.assertEqual(self.sink.audio, data)

    async def test_clear_stops_the_model(self) -> None:
        """After an interruption nothing of the old text is heard, and the model leaves it at its next piece. (S-TTS-13)"""
        link = await self.link()
        link.send(wire.Speak(f"wait {self.gate}"))
        link.send(wire.Speak("old"))
        await until(lambda: self.sink.audio == b"\1\1")
        link.send(wire.Clear())
        link.send(wire.Speak("new words!"))
        await self.open_gate()
        await until(lambda: b"new words!" in self.sink.audio)
        self.assertEqual(self.sink.audio, b"\1\1new words!")
        self.assertLess(self.notes.index("left early"), self.notes.index("new words!"))
        self.assertNotIn("old", self.notes)

    async def test_abort_gives_the_conversation_back(self) -> None:
        """A caller who hangs up frees the model at its next piece."""
        link = await self.link()
        link.send(wire.Speak(f"wait {self.gate}"))
        await until(lambda: self.sink.audio == b"\1\1")
        link.abort()
        await self.open_gate()
        await until(lambda: self.notes.count("closed") == 2)
        self.assertIn("left early", self.notes)
        self.assertEqual(len(self.sink.events), 1)

    async def test_a_slow_caller_holds_the_model_back(self) -> None:
        """A paused call is at most a slice ahead, keeps no worker, and loses nothing. (S-TTS-12)"""
        links = [await self.link() for _ in range(3)]
        for link in links:
            link.pause()
            link.send(wire.Speak("count 100"))
        await until(lambda: not any(link._is_working for link in links))
        self.assertEqual([len(link._held) for link in links], [AHEAD] * 3)
        other = Heard()
        (await self.link(other)).send(wire.Speak("through!"))
        await until(lambda: other.audio)
        links[0].resume()
        await until(lambda: len(self.sink.events) == 100)
        self.assertEqual(self.sink.audio, bytes(b for i in range(100) for b in (i, 0)))

    async def test_errors_keep_their_reasons(self) -> None:
        """What a model could not do is told as it would be without the process between, and the next goes on."""
        link = await self.link()
        for text in ("fail now", "refuse", "fine"):
            link.send(wire.Speak(text))
        await until(lambda: self.sink.audio)
        failed, refused = (one.error for one in self.sink.of(wire.Failed))
        self.assertEqual(str(failed), "acme: the model failed (RuntimeError)")
        self.assertIsInstance(refused, errors.ProviderRefused)
        self.assertEqual((str(refused), refused.upstream_status), ("not that", 400))
        (logged,) = self.flushLoggedErrors()
        self.assertIn("the weights are on fire", str(logged.value))

    async def test_load_errors_keep_their_reasons(self) -> None:
        """A model that is missing says what to do about it; one that breaks is an error, and tried again next time."""
        missing = errors.ModelMissing("no such file; run waav init", "models.path")
        error = await self.assertFailure(self.link(problem=missing), errors.ModelMissing)
        self.assertEqual((str(error), error.path), ("no such file; run waav init", "models.path"))
        error = await self.assertFailure(self.link(problem=MemoryError()), errors.ProviderError)
        self.assertEqual(str(error), "m: could not be loaded (MemoryError)")
        self.assertEqual(len(self.flushLoggedErrors()), 1)
        await self.link()

    async def test_a_model_that_cannot_travel(self) -> None:
        """A model that only this process can make is an error, not a wait for ever."""
        here = threading.Lock()
        local = wire.Local("here", lambda: here, lambda loaded: loaded)
        await self.assertFailure(self.engines.load(local), errors.ProviderError)
        self.assertEqual(len(self.flushLoggedErrors()), 1)

    async def test_a_crash_ends_its_conversations_and_is_overcome(self) -> None:
        """When the process dies its calls hear of it once, and the next call has the model again by itself."""
        link = await self.link()
        idle = Heard()
        other = await self.link(idle)
        conversation = await self.engines.converse(self.local())
        first = self.host.pid
        link.send(wire.Speak("die"))
        link.send(wire.Speak("never heard"))
        await until(lambda: self.sink.events and idle.events)
        for sink in (self.sink, idle):
            (lost,) = sink.events
            self.assertIsInstance(lost, wire.Lost)
            self.assertIsInstance(lost.error, errors.ProviderLost)
            self.assertEqual(lost.error.provider, "acme")
        await self.assertFailure(conversation.feed("more"), errors.ProviderLost)
        link.send(wire.Speak("more"))
        other.abort()
        await until(lambda: self.engines.loaded == 1)
        self.assertNotEqual(self.host.pid, first)
        sink = Heard()
        (await self.link(sink)).send(wire.Speak("again!"))
        await until(lambda: sink.audio == b"again!")
        self.assertEqual(self.engines.waiting, 0)

    async def test_a_question_that_kills(self) -> None:
        """Whoever waits for an answer when the process dies is told so."""
        conversation = await self.engines.converse(self.local())
        asked = [conversation.feed(f'{{"type": "speak", "text": "{one}"}}') for one in ("die", "x")]
        for one in asked:
            await self.assertFailure(one, errors.ProviderLost)
        conversation.close()

    async def test_a_load_that_kills(self) -> None:
        """A model that takes the process with it when it loads is an error for who wants it, not a loop."""
        local = wire.Local("bad", scripted.die, scripted.load)
        await self.assertFailure(self.engines.load(local), errors.ProviderLost)
        self.assertIsNone(self.host.pid)
        await deferLater(reactor, 0.1)  # type: ignore[arg-type]
        self.assertIsNone(self.host.pid)
        await self.link()

    async def test_stop_leaves_no_process(self) -> None:
        """Stopping the gateway ends the process, also one that computes; nothing begins afterwards."""
        links = [await self.link() for _ in range(2)]
        for link in links:
            link.send(wire.Speak(f"wait {self.gate}"))
        await until(lambda: len(self.sink.events) == 2)
        pid = self.host.pid
        assert pid is not None
        await gatherResults([self.dialler.stop(), self.engines.stop()])
        self.assertFalse(is_alive(pid))
        await self.assertFailure(self.engines.load(self.local()), errors.ProviderLost)

    async def test_signals_of_the_group(self) -> None:
        """Ctrl-C or the service manager reach the whole group; calls that are drained keep their models."""
        link = await self.link()
        assert self.host.pid is not None
        for one in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            os.kill(self.host.pid, one)
        link.send(wire.Speak("still here"))
        await until(lambda: self.sink.audio == b"still here")

    async def test_no_room_for_a_process(self) -> None:
        """A machine that can start no process says so in words."""

        def refuse(*arguments: Any, **named: Any) -> None:
            raise OSError(11, "Resource temporarily unavailable")

        self.patch(reactor, "spawnProcess", refuse)
        error = await self.assertFailure(self.link(), errors.ModelMissing)
        self.assertIn("Resource temporarily unavailable", str(error))
