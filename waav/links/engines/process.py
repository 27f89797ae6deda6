"""Models in a process of their own, so that nothing they compute holds the interpreter that moves frames."""

import os
import pickle
import socket
import sys
from collections.abc import Callable
from itertools import count
from typing import Any, Final

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.protocol import Factory, ProcessProtocol, Protocol, connectionDone
from twisted.logger import Logger
from twisted.python.failure import Failure

from waav.errors import ModelMissing, ProviderLost
from waav.links.engines.child import DESCRIPTOR
from waav.links.engines.protocol import ValueReader, packed, unpacked_error
from waav.speech import wire

NICENESS: Final = 10
"""How much nicer than the gateway the process is: with every core busy recognising, frames of calls still go first."""

END_S: Final = 5.0
"""How long the process may take to end after its line is closed; it normally takes none."""

_LINE_BYTES: Final = 500


class Process:
    """See ``engine.Host``. Started when the first model is loaded, and again after it was lost.

    Args:
        reactor: runs it.
        threads: most jobs at once; whoever asks keeps to it.
    """

    _log = Logger()

    def __init__(self, reactor: Any, threads: int) -> None:
        self.threads = threads
        self.on_lost: Callable[[], None] = lambda: None
        self._reactor = reactor
        self._numbers = count(1)
        self._jobs: dict[int, tuple[Deferred[Any], Callable[[str | bytes], None] | None]] = {}
        self._line: _Line | None = None
        self._child: _Child | None = None

    @property
    def pid(self) -> int | None:
        """Of the process, while there is one."""
        if self._child is None or self._line is None:
            return None
        return int(self._child.transport.pid)

    def load(self, name: str, load: Callable[[], Any]) -> Deferred[None]:
        """See ``engine.Host.load``; ``load`` is pickled."""
        if self._line is None:
            try:
                self._start()
            except OSError as error:
                return fail(
                    ModelMissing(f"{name}: no process for models can be started: {error.strerror}")
                )
        return self._do("load", name, pickle.dumps(load))

    def open(self, number: int, name: str, open: Callable[[Any], wire.Engine]) -> Deferred[None]:
        """See ``engine.Host.open``; ``open`` is pickled."""
        return self._do("open", number, name, pickle.dumps(open))

    def work(
        self, number: int, turn: int, asked: list[str | bytes], say: Callable[[str | bytes], None], most: int
    ) -> Deferred[bool]:  # fmt: skip
        """See ``engine.Host.work``."""
        return self._do("work", number, turn, asked, most, say=say)

    def over(self, number: int, turn: int) -> None:
        """See ``engine.Host.over``."""
        if self._line is not None:
            self._line.write(packed("over", number, turn))

    def close(self, number: int) -> Deferred[None]:
        """See ``engine.Host.close``."""
        return succeed(None) if self._line is None else self._do("close", number)

    def stop(self) -> Deferred[None]:
        """See ``engine.Host.stop``."""
        child, line = self._child, self._line
        if child is None:
            return succeed(None)
        self._line = None
        if line is not None:
            line.hang_up()
        self._fail_jobs()
        return child.end()

    def _do(
        self, what: str, *arguments: Any, say: Callable[[str | bytes], None] | None = None
    ) -> Deferred[Any]:
        if self._line is None:
            return fail(_lost())
        job = next(self._numbers)
        result: Deferred[Any] = Deferred()
        self._jobs[job] = (result, say)
        self._line.write(packed(what, job, *arguments))
        return result

    def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with ours, theirs:
            ours.setblocking(False)
            command = [sys.executable, "-m", "waav.links.engines.child"]
            # It finds modules where this process finds them, and nowhere else.
            path = os.pathsep.join(filter(None, sys.path))
            environment = dict(os.environ, PYTHONPATH=path, PYTHONSAFEPATH="1")
            child = _Child(self._reactor, self._log)
            self._reactor.spawnProcess(
                child,
                sys.executable,
                [*command, str(self.threads), str(NICENESS)],
                env=environment,
                childFDs={0: "w", 1: "r", 2: "r", DESCRIPTOR: theirs.fileno()},
            )
            self._child = child
            line = self._line = _Line(self)
            factory = Factory.forProtocol(lambda: line)
            self._reactor.adoptStreamConnection(ours.fileno(), socket.AF_UNIX, factory)

    def heard(self, message: tuple[Any, ...]) -> None:
        """The process says something."""
        match message:
            case "said", job, piece:
                say = self._jobs[job][1]
                if say is not None:
                    say(piece)
            case "done", job, result:
                self._jobs.pop(job)[0].callback(result)
            case "failed", job, error:
                self._jobs.pop(job)[0].errback(unpacked_error(error))

    def lost(self, line: "_Line") -> None:
        """The line is dead."""
        if line is not self._line:
            return
        self._line = None
        if self._child is not None:
            self._child.end()
        self._log.error("the process that runs the models is gone; it is started again")
        # Conversations first: what their jobs would say is no news then.
        self.on_lost()
        self._fail_jobs()

    def _fail_jobs(self) -> None:
        jobs, self._jobs = self._jobs, {}
        for result, _ in jobs.values():
            result.errback(_lost())


def _lost() -> ProviderLost:
    return ProviderLost("models", "the process that runs the models is gone")


class _Line(Protocol):
    """Our end of the socket."""

    transport: Any

    def __init__(self, process: Process) -> None:
        self._process = process
        self._unpacker = ValueReader()

    def write(self, message: bytes) -> None:
        self.transport.write(message)

    def hang_up(self) -> None:
        self.transport.abortConnection()

    def dataReceived(self, data: bytes) -> None:
        for message in self._unpacker.feed(data):
            self._process.heard(message)

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self._process.lost(self)


class _Child(ProcessProtocol):
    """The process itself. What it prints, which only libraries do, is logged."""

    transport: Any

    def __init__(self, reactor: Any, log: Logger) -> None:
        self._reactor = reactor
        self._log = log
        self._waiting: list[Deferred[None]] = []
        self._has_ended = False

    def connectionMade(self) -> None:
        self.transport.closeStdin()

    def outReceived(self, data: bytes) -> None:
        for line in data.decode(errors="replace").splitlines():
            self._log.warn("model process: {line}", line=line[:_LINE_BYTES])

    errReceived = outReceived

    def end(self) -> Deferred[None]:
        """Fires when it is gone. Its line has to be closed before."""
        if self._has_ended:
            return succeed(None)
        waiter: Deferred[None] = Deferred()
        self._waiting.append(waiter)
        if len(self._waiting) == 1:
            self._late = self._reactor.callLater(END_S, self.transport.signalProcess, "KILL")
        return waiter

    def processEnded(self, reason: Failure) -> None:
        self._has_ended = True
        waiting, self._waiting = self._waiting, []
        if waiting and self._late.active():
            self._late.cancel()
        for waiter in waiting:
            waiter.callback(None)
