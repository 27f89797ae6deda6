"""The process that keeps the workers: it opens the ports, starts workers, watches them and starts them again.

It serves no callers itself. Its workers get the listening sockets, a piece of shared memory and, through a pipe, the
configuration as it was read at start.
"""

import atexit
import os
import pickle
import signal
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from types import FrameType
from typing import Any, Final

from twisted.application.internet import TimerService
from twisted.application.service import Service
from twisted.internet.defer import Deferred, DeferredList
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.interfaces import IDelayedCall, IListeningPort, IProcessTransport
from twisted.internet.protocol import Factory, ProcessProtocol
from twisted.logger import Logger, globalLogPublisher
from twisted.python.failure import Failure

from waav.config.load import Loaded, packed
from waav.gateway.admission.shared import SharedMemory
from waav.gateway.settings import TLSSettings
from waav.ops import reports
from waav.ops.logs import forwarded
from waav.ops.metrics import FOLDER_VARIABLE, process_gone
from waav.ops.private import PrivateFolder, nearest_to_memory
from waav.ops.reports import ReportReader
from waav.service.parts import CLEAN_UP_S, Gateway, Listener, endpoints
from waav.service.share import Beginning
from waav.service.watchers import metrics_listeners

BACK_OFF_S: Final = (0.5, 30.0)
"""First and longest wait before a worker that ended at once is started again."""

LIVED_S: Final = 10.0
"""A worker that lived as long did not end at once."""

START_S: Final = 120.0
"""How long a worker may take to be ready."""

LOOK_S: Final = 1.0
HUNG_S: Final = 30.0
"""How long a worker's loop may stand still."""

REFUSED: Final = 1
"""Exit code when the configuration cannot be used."""


class Held(Listener):
    """Opens a port for others to accept on."""

    def _listening(self, port: IListeningPort) -> IListeningPort:
        held: Any = port
        # Ports of the event loop, and Twisted's.
        (getattr(held, "pause_accepting", None) or held.stopReading)()
        return super()._listening(port)

    @property
    def handle(self) -> tuple[int, int]:
        """Descriptor and family of the socket."""
        held: Any = self.port
        return held.socket.fileno(), held.socket.family


class WorkerProcess(ProcessProtocol):
    """A process as its supervisor sees it.

    Args:
        number: which worker, from 0.
        heard: called with each report.
        ended: called with how it ended.
    """

    _log = Logger()
    transport: IProcessTransport

    def __init__(
        self,
        number: int,
        parcel: bytes,
        heard: Callable[[dict[str, Any]], None],
        ended: Callable[[Failure], None],
    ) -> None:
        self._number = number
        self._parcel = parcel
        self._hearing = ReportReader(heard)
        self._ended = ended
        self._said = b""

    def connectionMade(self) -> None:
        """It runs: tell it what to begin with."""
        self.transport.writeToChild(reports.ORDERS, self._parcel)
        self._parcel = b""

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        """A report, or something that was not meant for us: a library's complaint, a traceback of the interpreter."""
        if childFD == reports.REPORTS:
            self._hearing.received(data)
            return
        *lines, self._said = (self._said + data).split(b"\n")
        for line in lines:
            self._complained(line)

    def _complained(self, line: bytes) -> None:
        text = line.decode(errors="replace").rstrip()
        if text:
            self._log.warn("it says: {line}", line=text, worker=self._number + 1)

    def order(self, order: bytes) -> None:
        """Have it do something, if it still listens."""
        with suppress(KeyError):
            self.transport.writeToChild(reports.ORDERS, order)

    def processEnded(self, reason: Failure) -> None:
        """It is gone."""
        self._complained(self._said)
        self._ended(reason)


@dataclass(slots=True)
class Post:
    """One place for a worker."""

    number: int
    process: WorkerProcess | None = None
    pid: int = 0
    started_at: float = 0.0
    is_ready: bool = False
    wait_s: float = 0.0
    again: IDelayedCall | None = None
    beats: int = 0
    still_s: float = 0.0
    refusal: tuple[str, ...] = ()
    gone: Deferred[None] | None = None


class Supervisor(Service):
    """Keeps the workers running.

    Args:
        reactor: starts processes.
        memory: of all workers, and its descriptor.
        parcel: what the worker of that number is to begin with.
        sockets: descriptors of the listening sockets.
        environ: of the workers.
        drain_s: how long calls may go on.
        gone: called with the number of a worker that ended.
        give_up: called with an exit code and lines when nothing can be started at all.
    """

    _log = Logger()

    def __init__(
        self,
        reactor: Any,
        memory: SharedMemory,
        descriptor: int,
        parcel: Callable[[int], bytes],
        sockets: Callable[[], list[int]],
        environ: Callable[[], Mapping[str, str]],
        drain_s: float,
        *,
        gone: Callable[[int], None],
        give_up: Callable[[int, list[str]], None],
    ) -> None:
        self._reactor = reactor
        self._memory = memory
        self._descriptor = descriptor
        self._parcel = parcel
        self._sockets = sockets
        self._environ = environ
        self._drain_s = drain_s
        self._gone = gone
        self._give_up = give_up
        self._is_stopping = False
        self._was_ready = False
        self._posts = [Post(number) for number in range(memory.workers)]
        self._looks = TimerService(LOOK_S, self._look)
        self._looks.clock = reactor

    @property
    def live(self) -> int:
        """Calls of all workers."""
        return int(self._memory.live.sum())

    def startService(self) -> None:
        """Start all workers."""
        super().startService()  # type: ignore[no-untyped-call]
        self._log.info("starting {workers} workers", workers=len(self._posts))
        for post in self._posts:
            self._start(post)
        self._looks.startService()

    def _start(self, post: Post) -> None:
        post.again = None
        if self._is_stopping:
            return
        post.is_ready, post.refusal, post.still_s = False, (), 0.0
        post.started_at = self._reactor.seconds()
        post.gone = Deferred()
        post.process = worker = WorkerProcess(
            post.number,
            reports.parcel(self._parcel(post.number)),
            lambda report: self._heard(post, report),
            lambda reason: self._ended(post, reason),
        )
        descriptors: dict[int, int | str] = {
            0: _nothing(),
            1: "r",
            2: "r",
            reports.ORDERS: "w",
            reports.REPORTS: "r",
            reports.MEMORY: self._descriptor,
        }
        for at, descriptor in enumerate(self._sockets()):
            descriptors[reports.FIRST_SOCKET + at] = descriptor
        transport = self._reactor.spawnProcess(
            worker,
            sys.executable,
            [sys.executable, "-P", "-m", "waav.cli.worker"],
            env=dict(self._environ()),
            childFDs=descriptors,
        )
        os.close(int(descriptors[0]))
        post.pid = transport.pid

    # What workers say and do.

    def _heard(self, post: Post, report: dict[str, Any]) -> None:
        if "log" in report:
            globalLogPublisher(forwarded(report["log"], worker=post.number + 1))
        elif "refused" in report:
            post.refusal = tuple(report["refused"])
        elif "ready" in report:
            post.is_ready = self._was_ready = True
            post.still_s = 0.0
            took_s = self._reactor.seconds() - post.started_at
            self._log.info(
                "worker {worker} is ready after {seconds:.1f} s (process {pid})",
                worker=post.number + 1,
                seconds=took_s,
                pid=post.pid,
            )

    def _ended(self, post: Post, reason: Failure) -> None:
        had = int(self._memory.live[post.number])
        self._memory.clear(post.number)
        self._gone(post.number)
        post.process = None
        gone, post.gone = post.gone, None
        if self._is_stopping:
            if gone is not None:
                gone.callback(None)
            return
        lived_s = self._reactor.seconds() - post.started_at
        say = self._log.info if reason.check(ProcessDone) else self._log.error
        say(
            "worker {worker} {how} with {calls} calls",
            worker=post.number + 1,
            how=how_it_ended(reason),
            calls=had,
        )
        for line in post.refusal:
            self._log.error("{line}", line=line, worker=post.number + 1)
        if post.refusal and self._can_nothing_start():
            self._is_stopping = True
            self._give_up(REFUSED, [line for one in self._posts for line in one.refusal])
            return
        self._start_again(post, lived_s)

    def _can_nothing_start(self) -> bool:
        return not self._was_ready and all(
            post.process is None and post.refusal for post in self._posts
        )

    def _start_again(self, post: Post, lived_s: float) -> None:
        least_s, most_s = BACK_OFF_S
        if lived_s >= LIVED_S:
            post.wait_s = 0.0
        else:
            post.wait_s = min(most_s, max(least_s, post.wait_s * 2))
        self._memory.restarts[post.number] += 1
        self._log.info(
            "worker {worker} is started again in {seconds:.1f} s",
            worker=post.number + 1,
            seconds=post.wait_s,
        )
        post.again = self._reactor.callLater(post.wait_s, self._start, post)

    def _look(self) -> None:
        """Whether the loop of each worker goes round. Counted in looks: this process may have stood still itself."""
        for post in self._posts:
            if post.process is None:
                continue
            beats = int(self._memory.beats[post.number])
            post.still_s = post.still_s + LOOK_S if beats == post.beats else 0.0
            post.beats = beats
            if post.still_s >= (HUNG_S if post.is_ready else START_S):
                self._log.error(
                    "worker {worker} has not answered for {seconds:.0f} s: it is killed",
                    worker=post.number + 1,
                    seconds=post.still_s,
                )
                post.still_s = 0.0
                post.process.transport.signalProcess("KILL")

    def hang_up(self) -> None:
        """Hand SIGHUP on: workers read certificates again."""
        self._log.info("SIGHUP is handed on to the workers")
        for post in self._posts:
            if post.process is not None and post.is_ready:
                post.process.transport.signalProcess("HUP")

    # The end.

    def stopService(self) -> Deferred[None]:
        """Have all workers end; calls may go on for a while. A second signal ends them at once."""
        super().stopService()  # type: ignore[no-untyped-call]
        self._is_stopping = True
        return Deferred.fromCoroutine(self._stop())

    async def _stop(self) -> None:
        await self._looks.stopService()
        if live := self.live:
            self._log.info(
                "stopping: {live} calls may go on for {drain:.0f} s; a second signal ends them now",
                live=live,
                drain=self._drain_s,
            )
        signals = (signal.SIGINT, signal.SIGTERM)
        previous = {one: signal.signal(one, self._again) for one in signals}
        waiting = list(self._stop_all())
        ended = DeferredList(waiting, consumeErrors=True)
        ended.addTimeout(self._drain_s + 2 * CLEAN_UP_S, self._reactor)
        await ended
        for one, handler in previous.items():
            signal.signal(one, handler)
        for post in self._posts:
            if post.process is not None:
                self._log.error(
                    "worker {worker} does not end: it is killed with {calls} calls",
                    worker=post.number + 1,
                    calls=int(self._memory.live[post.number]),
                )
                post.process.transport.signalProcess("KILL")

    def _stop_all(self) -> Iterator[Deferred[None]]:
        for post in self._posts:
            if post.again is not None and post.again.active():
                post.again.cancel()
            if post.process is None or post.gone is None:
                continue
            yield post.gone
            if post.is_ready:
                post.process.order(reports.DRAIN)
            else:
                post.process.transport.signalProcess("KILL")

    def _again(self, number: int, frame: FrameType | None) -> None:
        """A second signal; called by Python between two instructions, so only hand it on."""
        self._reactor.callFromThread(self.end_now)

    def end_now(self) -> None:
        """Close all calls without waiting any longer."""
        self._log.info("ending {live} calls now", live=self.live)
        for post in self._posts:
            if post.process is not None:
                post.process.order(reports.END)


def how_it_ended(reason: Failure) -> str:
    """For the log."""
    reason.trap(ProcessDone, ProcessTerminated)
    status: Any = reason.value
    if status.signal is None:
        return f"ended with exit code {status.exitCode}"
    return f"was ended by {signal.Signals(status.signal).name}"


def _nothing() -> int:
    """A descriptor that has nothing to read."""
    return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)


# Putting it together.


def supervise(reactor: Any, loaded: Loaded, workers: int) -> Gateway:
    """A gateway of several processes; nothing is started.

    Args:
        reactor: runs the supervisor.
        loaded: the configuration.
        workers: how many.
    """
    config = loaded.config
    gateway = Gateway()  # type: ignore[no-untyped-call]
    folder = PrivateFolder(nearest_to_memory())
    metrics = folder.path / "metrics" if config.metrics.is_on else None
    # Workers speak TLS; whoever only opens the port needs no certificate for that.
    plain = replace(config.server, tls=TLSSettings())
    scheme = "https" if config.server.tls.enabled else "http"
    ports = [
        Held(
            endpoint,
            Factory(),
            where.replace("http://", f"{scheme}://"),
            is_console_on=config.console.enabled,
        )
        for endpoint, where in endpoints(reactor, plain)
    ]
    descriptor = SharedMemory.make(workers)

    def parcel(number: int) -> bytes:
        beginning = Beginning(
            packed(loaded),
            number,
            workers,
            tuple(port.handle[1] for port in ports),
            str(folder.path / "cache"),
        )
        return pickle.dumps(beginning)

    supervisor = Supervisor(
        reactor,
        SharedMemory(descriptor, workers),
        descriptor,
        parcel,
        lambda: [port.handle[0] for port in ports],
        lambda: environment(loaded, os.environ, metrics),
        config.server.drain_s,
        gone=lambda number: None if metrics is None else process_gone(number, str(metrics)),
        give_up=lambda code, lines: _give_up(reactor, code, lines),
    )
    signal.signal(signal.SIGHUP, lambda number, frame: reactor.callFromThread(supervisor.hang_up))
    # Stopped in the opposite order: first nobody new comes in, then calls end, then what they had in common goes.
    for service in (
        folder,
        *((Subfolder(metrics),) if metrics is not None else ()),
        supervisor,
        *ports,
        *metrics_listeners(
            reactor, None, None if metrics is None else str(metrics), config.metrics
        ),
    ):
        service.setServiceParent(gateway)
    return gateway


class Subfolder(Service):
    """A folder in the private one, made at start."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def startService(self) -> None:
        """Make it."""
        super().startService()  # type: ignore[no-untyped-call]
        self._path.mkdir()


def environment(loaded: Loaded, environ: Mapping[str, str], metrics: Path | None) -> dict[str, str]:
    """The variables of a worker: none that configures the gateway, for what they said it gets by its pipe."""
    names = {option.env for option in loaded.options.values()}
    names |= {f"{option.env}_FILE" for option in loaded.options.values() if option.is_secret}
    kept = {name: text for name, text in environ.items() if name not in names}
    # The same modules, wherever this process found them.
    kept["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
    if metrics is not None:
        kept[FOLDER_VARIABLE] = str(metrics)
    return kept


def _give_up(reactor: Any, code: int, lines: list[str]) -> None:
    """Nothing can be started: end as a gateway of one process would."""
    for line in dict.fromkeys(lines):
        # Not sys.stderr: twistd has made that part of the log.
        print(f"waav: {line}", file=sys.__stderr__, flush=True)
    # twistd ends with 0 whenever the reactor has stopped; this is the last thing that the interpreter does.
    atexit.register(os._exit, code)
    reactor.stop()
