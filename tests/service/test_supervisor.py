"""How workers are kept running, without any."""

import json
import os
import signal
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.task import Clock
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from waav.config.load import load
from waav.gateway.admission.shared import SharedMemory, SharedSlots
from waav.ops import reports
from waav.registry import Registry
from waav.service.share import divided, part
from waav.service.supervisor import HUNG_S, START_S, Supervisor, WorkerProcess, environment


class Transport:
    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.signals: list[str] = []
        self.written: list[tuple[int, bytes]] = []

    def signalProcess(self, name: str) -> None:
        self.signals.append(name)

    def writeToChild(self, descriptor: int, data: bytes) -> None:
        self.written.append((descriptor, data))


class Processes(Clock):
    """A reactor that starts nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[WorkerProcess] = []
        self.descriptors: list[dict[int, Any]] = []

    def spawnProcess(
        self, protocol: WorkerProcess, program: str, arguments: list[str], **named: Any
    ) -> Transport:
        protocol.transport = Transport(100 + len(self.started))  # type: ignore[assignment]
        protocol.connectionMade()
        self.started.append(protocol)
        self.descriptors.append(named["childFDs"])
        return protocol.transport  # type: ignore[return-value]

    def callFromThread(self, work: Any, *arguments: Any) -> None:
        self.callLater(0, work, *arguments)


class SupervisorCase(SynchronousTestCase):
    workers = 2

    def setUp(self) -> None:
        self.reactor = Processes()
        self.descriptor = SharedMemory.make(self.workers)
        self.addCleanup(os.close, self.descriptor)
        self.memory = SharedMemory(self.descriptor, self.workers)
        self.gone: list[int] = []
        self.gave_up: list[tuple[int, list[str]]] = []
        self.events: list[LogEvent] = []
        globalLogPublisher.addObserver(self.events.append)
        self.addCleanup(globalLogPublisher.removeObserver, self.events.append)
        self.supervisor = Supervisor(
            self.reactor,
            self.memory,
            self.descriptor,
            lambda number: b"begin %d" % number,
            lambda: [77],
            lambda: {"PATH": "x"},
            30.0,
            gone=self.gone.append,
            give_up=lambda code, lines: self.gave_up.append((code, lines)),
        )
        self.supervisor.startService()

    def lines(self) -> list[str]:
        return [formatEvent(event) for event in self.events]

    def report(self, at: int, **said: Any) -> None:
        line = json.dumps(said).encode() + b"\n"
        for piece in (line[:5], line[5:]):
            self.reactor.started[at].childDataReceived(reports.REPORTS, piece)

    def ready(self, *at: int) -> None:
        for one in at:
            self.report(one, ready=True)

    def end(self, at: int, *, code: int | None = None, by: int | None = None) -> None:
        status = ProcessDone(0) if code == 0 else ProcessTerminated(code, by)
        self.reactor.started[at].processEnded(Failure(status))

    def transport(self, at: int) -> Transport:
        transport: Any = self.reactor.started[at].transport
        return transport  # type: ignore[no-any-return]

    def pass_seconds(self, seconds: float) -> None:
        """Time goes on, and the loops of the workers go round."""
        for _ in range(int(seconds)):
            for number in range(self.workers):
                self.memory.beats[number] += 1
            self.reactor.advance(1)


class RestartTests(SupervisorCase):
    def test_workers_begin_with_what_they_need(self) -> None:
        """Each gets its configuration by its pipe, the memory and the sockets, and nobody else's pipes."""
        self.assertEqual(len(self.reactor.started), 2)
        written = self.transport(1).written
        self.assertEqual(written, [(reports.ORDERS, reports.parcel(b"begin 1"))])
        descriptors = self.reactor.descriptors[1]
        self.assertEqual(sorted(descriptors), [0, 1, 2, 3, 4, 5, 6])
        self.assertEqual((descriptors[reports.MEMORY], descriptors[6]), (self.descriptor, 77))

    def test_a_crash_is_told_and_repaired(self) -> None:
        """The log says how a worker ended and how many calls it had; what it held is free; it is started again."""
        self.ready(0, 1)
        self.pass_seconds(20)
        SharedSlots(self.memory, 0, self.reactor, None, None).take("192.0.2.1")
        self.memory.live[0] = 3
        self.end(0, by=signal.SIGSEGV)
        self.assertIn("worker 1 was ended by SIGSEGV with 3 calls", self.lines())
        self.assertEqual((int(self.memory.totals.sum()), self.supervisor.live), (0, 0))
        self.assertEqual(self.gone, [0])
        self.reactor.advance(0)
        self.assertEqual(len(self.reactor.started), 3)
        self.assertEqual(self.memory.restarts.tolist(), [1, 0])

    def test_a_worker_that_ends_at_once(self) -> None:
        """It is started again after half a second, then after twice as long, at most after 30 s; a long life is forgiven."""
        self.ready(0, 1)
        at, waits = 0, []
        for _ in range(8):
            self.end(at, code=1)
            at = len(self.reactor.started)
            waited = 0.0
            while len(self.reactor.started) == at:
                self.reactor.advance(0.5)
                waited += 0.5
            waits.append(waited)
        self.assertEqual(waits, [0.5, 1, 2, 4, 8, 16, 30, 30])
        self.report(at, ready=True)
        self.pass_seconds(60)
        self.end(at, code=0)
        self.reactor.advance(0)
        self.assertEqual(len(self.reactor.started), at + 2)
        self.assertIn("worker 1 ended with exit code 0 with 0 calls", self.lines())

    def test_a_worker_that_hangs(self) -> None:
        """A worker whose loop stands still for 30 s is killed; one that goes round is not."""
        self.ready(0, 1)
        self.pass_seconds(5)
        for _ in range(int(HUNG_S) + 1):
            self.memory.beats[1] += 1
            self.reactor.advance(1)
        self.assertEqual(self.transport(0).signals, ["KILL"])
        self.assertEqual(self.transport(1).signals, [])
        self.assertIn("worker 1 has not answered for 30 s: it is killed", self.lines())

    def test_a_supervisor_that_stood_still(self) -> None:
        """When all processes were stopped for a minute and go on, nobody is killed for it."""
        self.ready(0, 1)
        self.pass_seconds(3)
        self.reactor.advance(60)
        self.pass_seconds(3)
        self.assertEqual(self.transport(0).signals + self.transport(1).signals, [])

    def test_a_worker_that_never_gets_ready(self) -> None:
        """It has two minutes."""
        self.ready(1)
        for _ in range(int(START_S) + 1):
            self.memory.beats[1] += 1
            self.reactor.advance(1)
        self.assertEqual(self.transport(0).signals, ["KILL"])

    def test_nothing_can_be_started(self) -> None:
        """A configuration that no worker can use ends the gateway with 1 and says why, instead of trying for ever."""
        for at in (0, 1):
            self.report(at, refused=["cache.path: no"])
            self.assertEqual(self.gave_up, [])
            self.end(at, code=1)
        self.assertEqual(self.gave_up, [(1, ["cache.path: no"] * 2)])
        self.reactor.advance(100)
        self.assertEqual(len(self.reactor.started), 2)

    def test_one_that_cannot_be_started_again(self) -> None:
        """While others serve callers, a worker that finds its configuration unusable is only tried again."""
        self.ready(0, 1)
        self.end(0, by=signal.SIGKILL)
        self.reactor.advance(0.5)
        self.report(2, refused=["cache.path: gone"])
        self.end(2, code=1)
        self.assertEqual(self.gave_up, [])
        self.assertIn("cache.path: gone", self.lines())
        self.reactor.advance(1)
        self.assertEqual(len(self.reactor.started), 4)


class LogTests(SupervisorCase):
    def test_lines_of_workers(self) -> None:
        """What a worker logs is in the log once, whole, with its number; a library's complaint as well."""
        said = {
            "time": 1.0,
            "level": "warn",
            "namespace": "waav.session",
            "message": "{it} is so",
            "trace": "",
            "fields": {"stream": "s1"},
        }
        self.report(1, log=said)
        self.reactor.started[0].childDataReceived(2, b"Fatal Python err")
        self.reactor.started[0].childDataReceived(2, b"or: no\n")
        mine = [event for event in self.events if event.get("worker") and "log_said" in event]
        self.assertEqual([(one["worker"], one["stream"]) for one in mine], [(2, "s1")])
        self.assertEqual(formatEvent(mine[0]), "{it} is so")
        self.assertIn("it says: Fatal Python error: no", self.lines())


class StopTests(SupervisorCase):
    def stop(self) -> Deferred[None]:
        before = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
        for one, handler in before.items():
            self.addCleanup(signal.signal, one, handler)
        return self.supervisor.stopService()

    def test_draining(self) -> None:
        """All are told to drain, the log says how many calls go on in all, and the stop waits for the last worker."""
        self.ready(0, 1)
        self.memory.live[:] = (2, 3)
        stopped = self.stop()
        for at in (0, 1):
            self.assertEqual(self.transport(at).written[-1], (reports.ORDERS, reports.DRAIN))
        text = "stopping: 5 calls may go on for 30 s; a second signal ends them now"
        self.assertIn(text, self.lines())
        self.end(0, code=0)
        self.assertNoResult(stopped)
        self.end(1, code=0)
        self.successResultOf(stopped)
        self.reactor.advance(100)
        self.assertEqual(len(self.reactor.started), 2)

    def test_a_second_signal(self) -> None:
        """It ends the calls of all workers now."""
        self.ready(0, 1)
        stopped = self.stop()
        signal.raise_signal(signal.SIGTERM)
        self.reactor.advance(0)
        for at in (0, 1):
            self.assertEqual(self.transport(at).written[-1], (reports.ORDERS, reports.END))
            self.end(at, code=0)
        self.successResultOf(stopped)

    def test_workers_that_are_not_up(self) -> None:
        """One that is starting is ended at once, one that is to be started is not started any more."""
        self.ready(0)
        self.end(0, code=1)
        stopped = self.stop()
        self.assertEqual(self.transport(1).signals, ["KILL"])
        self.end(1, by=signal.SIGKILL)
        self.successResultOf(stopped)
        self.reactor.advance(100)
        self.assertEqual(len(self.reactor.started), 2)

    def test_a_worker_that_does_not_end(self) -> None:
        """It is killed some time after the drain: a stop does not last for ever."""
        self.ready(0, 1)
        stopped = self.stop()
        self.end(0, code=0)
        self.reactor.advance(51)
        self.successResultOf(stopped)
        self.assertEqual(self.transport(1).signals, ["KILL"])

    def test_hang_up(self) -> None:
        """SIGHUP gets to the workers that are up, which read certificates again."""
        self.ready(1)
        self.supervisor.hang_up()
        self.assertEqual((self.transport(0).signals, self.transport(1).signals), ([], ["HUP"]))


class PartTests(SynchronousTestCase):
    def test_parts_add_up(self) -> None:
        """Limits are divided without a rest, and everybody gets one."""
        for total in range(1, 20):
            for workers in range(1, 10):
                parts = [part(total, workers, number) for number in range(workers)]
                self.assertEqual(sum(parts), max(total, workers))
                self.assertLessEqual(max(parts) - min(parts), 1)

    def test_what_is_divided(self) -> None:
        """Requests to a vendor, kept connections and model threads are those of the whole gateway."""
        config = load(
            Registry.discover(),
            environ={"WAAV_LINKS_REQUESTS": "5", "WAAV_MODELS_QUEUE": "100"},
        ).config
        parts = [divided(config, 2, number) for number in range(2)]
        self.assertEqual([one.links.requests for one in parts], [3, 2])
        self.assertEqual([one.models.queue for one in parts], [50, 50])
        self.assertEqual([one.models.threads for one in parts], [1, 1])

    def test_variables(self) -> None:
        """Workers find the same modules, and no key in their environment."""
        loaded = load(Registry.discover())
        environ = {"DEEPGRAM_API_KEY": "k", "DEEPGRAM_API_KEY_FILE": "f", "HOME": "/h", "PORT": "1"}
        made = environment(loaded, environ, None)
        self.assertEqual(set(made), {"HOME", "PYTHONPATH"})
