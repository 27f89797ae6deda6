"""The supervisor's service tree, with real ports and no workers."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.error import ProcessTerminated
from twisted.internet.utils import getProcessOutputAndValue
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from bench.machine import free_port
from tests.gateway.web import Answer
from tests.service.settings.rig import Exchange, PacedReactor
from tests.waiting import until
from waav.config.load import load
from waav.ops.metrics import FOLDER_VARIABLE
from waav.registry import Registry
from waav.service.supervisor import supervise

COUNTING = """\
import sys
from waav.ops.metrics import Metrics, keep_as
number, count = map(int, sys.argv[1:])
keep_as(number)
Metrics().calls.count("acme", "results", count)
"""
"""What a worker does when something was recognised."""


class Child:
    """A process that does nothing but be killed."""

    def __init__(self, protocol: Any, pid: int) -> None:
        self.pid = pid
        self._protocol = protocol
        protocol.transport = self
        protocol.connectionMade()

    def writeToChild(self, descriptor: int, data: bytes) -> None:
        """Orders."""

    def signalProcess(self, name: str) -> None:
        """It dies of any."""
        self._protocol.processEnded(Failure(ProcessTerminated(None, signal.SIGKILL)))


class ChildlessReactor(PacedReactor):
    """Starts nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.environments: list[dict[str, str]] = []

    def spawnProcess(
        self, protocol: Any, executable: str, arguments: list[str], **named: Any
    ) -> Any:
        """As a reactor does, without a process."""
        self.spawned.append(arguments)
        self.environments.append(named["env"])
        return Child(protocol, 1000 + len(self.spawned))


class SuperviseTests(TestCase):
    def setUp(self) -> None:
        self.addCleanup(signal.signal, signal.SIGHUP, signal.getsignal(signal.SIGHUP))
        self.reactor = ChildlessReactor()

    def start(self, text: str) -> None:
        """A supervisor of two workers."""
        path = Path(self.mktemp())
        path.write_text(
            f"server: {{host: 127.0.0.1, port: 0, workers: 2}}\nproviders: {{deepgram: {{api_key: k}}}}\n{text}"
        )
        gateway = supervise(self.reactor, load(Registry.discover(), path), 2)
        gateway.privilegedStartService()
        gateway.startService()
        self.addCleanup(lambda: Deferred.fromCoroutine(self.stop(gateway)))

    async def stop(self, gateway: Any) -> None:
        stopped: list[Any] = []
        gateway.stopService().addBoth(stopped.append)

        def has_stopped() -> bool:
            self.reactor.clock.advance(1)
            return bool(stopped)

        await until(has_stopped)

    async def get(self, port: int, path: str, token: str = "") -> Answer:
        """The answer to a GET."""
        credential = f"Authorization: Bearer {token}\r\n" if token else ""
        asking = Exchange(
            f"GET {path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{credential}\r\n".encode()
        )
        await connectProtocol(TCP4ClientEndpoint(reactor, "127.0.0.1", port), asking)
        await until(lambda: asking.is_over)
        return asking.answer

    async def test_metrics(self) -> None:
        """The supervisor has the listener for metrics: it tells what all workers counted, to those who have the token,
        and knows no other path."""
        port = free_port()
        self.start(f"metrics: {{listen: 'tcp:{port}:interface=127.0.0.1', token: t0k}}")
        self.assertEqual((await self.get(port, "/metrics")).status, 401)
        self.assertEqual((await self.get(port, "/speak", "t0k")).status, 404)
        for number, count in enumerate(("3", "4")):
            environment = self.reactor.environments[number]
            self.assertNotIn("PROMETHEUS_MULTIPROC_DIR", os.environ)
            out, err, code = await getProcessOutputAndValue(
                sys.executable, ["-c", COUNTING, str(number), count], env=environment
            )
            self.assertEqual((out, err, code), (b"", b"", 0))
        answer = await self.get(port, "/metrics", "t0k")
        self.assertEqual(answer.status, 200)
        self.assertIn(b'waav_stt_results_total{provider="acme"} 7.0\n', answer.body)
        folders = {environment[FOLDER_VARIABLE] for environment in self.reactor.environments}
        self.assertEqual(len(folders), 1)

    async def test_no_metrics(self) -> None:
        """Without anybody who reads them, workers are not told to keep any where others can see them."""
        self.start("")
        self.assertEqual(len(self.reactor.spawned), 2)
        for environment in self.reactor.environments:
            self.assertNotIn(FOLDER_VARIABLE, environment)
