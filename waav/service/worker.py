"""A worker: the gateway's service tree in a process of its own, with what it shares with the others."""

import os
import pickle
import signal
import sys
import threading
from dataclasses import replace
from typing import Any, Final

from twisted.application.internet import TimerService
from twisted.internet.defer import Deferred, maybeDeferred
from twisted.logger import Logger, globalLogBeginner

from waav.config.load import ConfigProblems, unpacked
from waav.errors import ConfigError
from waav.gateway.admission.shared import SharedMemory
from waav.net.children import hear_of_children
from waav.ops import reports
from waav.ops.logs import Forwarder
from waav.ops.metrics import keep_as, shared_folder
from waav.ops.reports import Orders, Reports
from waav.registry import Registry
from waav.service.build import SWITCH_S, build
from waav.service.parts import CLEAN_UP_S, Gateway, Sessions
from waav.service.share import Beginning, InheritedSocket, WorkerShare, divided
from waav.session.clock import make_monotonic

BEAT_S: Final = 1.0
"""How often a worker shows that its loop goes round."""


def run() -> int:
    """Run a worker until it is told to stop; returns its exit code."""
    from twisted.internet import reactor as running

    reactor: Any = running
    try:
        beginning: Beginning = pickle.loads(reports.read_parcel())
    except EOFError:
        return 1
    make_monotonic(reactor)
    sys.setswitchinterval(SWITCH_S)
    worker = Worker(reactor, Reports())
    if not worker.begin(beginning):
        return 1
    reactor.run(installSignalHandlers=False)
    return 0


class Worker:
    """One worker.

    Args:
        reactor: runs it.
        told: the supervisor's ear.
    """

    _log = Logger()

    def __init__(self, reactor: Any, told: Reports) -> None:
        self._reactor = reactor
        self._told = told
        self._sessions: Sessions | None = None
        self._is_stopping = False

    def begin(self, beginning: Beginning) -> bool:
        """Build the gateway and have it start with the reactor; whether its configuration can be used."""
        registry = Registry.discover()
        try:
            loaded = unpacked(registry, beginning.config)
            forwarder = Forwarder(self._told.event, loaded.config.logging)
            globalLogBeginner.beginLoggingTo([forwarder])
            config = divided(loaded.config, beginning.workers, beginning.number)
            memory = SharedMemory(reports.MEMORY, beginning.workers)
            sockets = tuple(
                InheritedSocket(reports.FIRST_SOCKET + at, family)
                for at, family in enumerate(beginning.families)
            )
            share = WorkerShare(
                self._reactor, memory, beginning.number, sockets, beginning.cache_path
            )
            if shared_folder() is not None:
                keep_as(beginning.number)
            gateway = build(self._reactor, replace(loaded, config=config), registry, share)
        except ConfigProblems as error:
            self._told.refused([str(problem) for problem in error.problems])
            return False
        except ConfigError as error:
            self._told.refused([f"{error.path}: {error.message}" if error.path else error.message])
            return False
        except Exception:
            # A file that was there when the gateway started may be gone or broken now. The supervisor tries again.
            self._log.failure("this worker cannot begin")
            return False
        self._sessions = next(one for one in gateway if isinstance(one, Sessions))
        self._reactor.callWhenRunning(self._start, gateway, share)
        return True

    def _start(self, gateway: Gateway, share: WorkerShare) -> None:
        hear_of_children(self._reactor)
        signal.signal(signal.SIGTERM, lambda number, frame: self._from_signal())
        Orders(self._reactor, self._obey, self._alone)
        beats = TimerService(BEAT_S, share.board.beat)
        beats.clock = self._reactor
        beats.setServiceParent(gateway)
        share.board.join()
        gateway.privilegedStartService()
        gateway.startService()  # type: ignore[no-untyped-call]
        self._reactor.addSystemEventTrigger("before", "shutdown", self._stop, gateway, share)
        self._told.ready()

    def _stop(self, gateway: Gateway, share: WorkerShare) -> Deferred[None]:
        share.board.leave()
        return maybeDeferred(gateway.stopService)

    def _from_signal(self) -> None:
        """SIGTERM: somebody wants this worker to end, or all processes of the service. Never the end of live calls."""
        self._reactor.callFromThread(self._drain)

    def _obey(self, order: bytes) -> None:
        self._drain()
        if order == reports.END:
            self._end_now()

    def _drain(self) -> None:
        if not self._is_stopping:
            self._is_stopping = True
            self._reactor.stop()

    def _end_now(self) -> None:
        if self._sessions is not None:
            self._sessions.end_now()

    def _alone(self) -> None:
        """Nobody is left who would start another worker, or end this one."""
        self._log.error("the supervisor is gone: this worker ends its calls and itself")
        late = threading.Timer(CLEAN_UP_S, os._exit, (1,))
        late.daemon = True
        late.start()
        self._drain()
        self._end_now()
