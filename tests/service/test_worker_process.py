"""One worker in a process of its own, whose supervisor is the test: what it obeys, and what it does alone."""

import json
import os
import pickle
import socket
import sys
from pathlib import Path
from typing import Any, TypeVar

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from tests.gateway.client import connect
from tests.service.settings.rig import Exchange
from tests.service.settings.vendor import Vendor
from tests.waiting import until
from waav.config.load import load, packed
from waav.gateway.admission.shared import SharedMemory
from waav.ops import reports
from waav.registry import Registry
from waav.service.share import Beginning

T = TypeVar("T")

WORKER = """\
import sys
from waav.net.loop import install_reactor
install_reactor()
from waav.service import worker
{stuck}
sys.exit(worker.run())
"""

STUCK = """\
worker.Sessions.end_now = lambda self: None
worker.CLEAN_UP_S = 0.5
"""
"""Its calls cannot be ended, and it has little patience."""


class Supervised(ProcessProtocol):
    """A worker, as its supervisor sees it."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.complaints = b""
        self.ready: Deferred[None] = Deferred()
        self.ended: Deferred[int] = Deferred()
        self._reader = reports.ReportReader(self._heard)

    def childDataReceived(self, childFD: int, data: bytes) -> None:
        if childFD == reports.REPORTS:
            self._reader.received(data)
        else:
            self.complaints += data

    def _heard(self, report: dict[str, Any]) -> None:
        if "log" in report:
            self.said.append(report["log"]["message"])
        elif "ready" in report:
            self.ready.callback(None)

    def processEnded(self, reason: Failure) -> None:
        reason.trap(ProcessDone, ProcessTerminated)
        code = getattr(reason.value, "exitCode", None)
        self.ended.callback(-1 if code is None else code)
        if not self.ready.called:
            self.ready.errback(AssertionError(self.complaints.decode()))


class WorkerCase(TestCase):
    async def start(self, stuck: str = "", text: str = "") -> tuple[Supervised, Any, Any]:
        """The first of two workers with that configuration, its process, and a caller of it."""
        path, folder = Path(self.mktemp()), Path(self.mktemp()).absolute()
        path.write_text(
            "audio: {stt_provider: deepgram, tts_provider: deepgram}\n"
            f"server: {{drain_s: 100000}}\n{text}"
        )
        config = packed(load(Registry.discover(), path))
        memory = SharedMemory.make(2)
        self.addCleanup(os.close, memory)
        worker = Supervised()
        with socket.create_server(("127.0.0.1", 0)) as listening:
            self.port = listening.getsockname()[1]
            spawn: Any = reactor
            process = spawn.spawnProcess(
                worker,
                sys.executable,
                [sys.executable, "-c", WORKER.format(stuck=stuck)],
                env=dict(os.environ, PYTHONPATH=os.pathsep.join(filter(None, sys.path))),
                childFDs={
                    1: "r",
                    2: "r",
                    reports.ORDERS: "w",
                    reports.REPORTS: "r",
                    reports.MEMORY: memory,
                    reports.FIRST_SOCKET: listening.fileno(),
                },
            )
        self.addCleanup(lambda: Deferred.fromCoroutine(self.end(worker, process)))
        beginning = Beginning(config, 0, 2, (socket.AF_INET,), str(folder))
        process.writeToChild(reports.ORDERS, reports.parcel(pickle.dumps(beginning)))
        await result_of(worker.ready)
        return worker, process, await connect(self.port)

    async def end(self, worker: Supervised, process: Any) -> None:
        """Whatever it was to do, it has ended after the test."""
        if not worker.ended.called:
            process.signalProcess("KILL")
            await result_of(worker.ended)

    async def until_said(self, worker: Supervised, text: str) -> None:
        """Wait until it has told its supervisor so for the log."""
        await until(lambda: any(text in line for line in worker.said), f"it never said {text!r}")


class AloneTests(WorkerCase):
    async def test_it_ends(self) -> None:
        """It says so, ends its calls as at a shutdown, and then itself."""
        worker, process, caller = await self.start()
        process.closeChildFD(reports.ORDERS)
        self.assertEqual(await result_of(caller.gone), 1001)
        self.assertEqual((await result_of(worker.ended), worker.complaints), (0, b""))
        self.assertIn("the supervisor is gone: this worker ends its calls and itself", worker.said)

    async def test_a_call_that_does_not_end(self) -> None:
        """A call that cannot be ended does not keep it alive for as long as calls may go on."""
        worker, process, caller = await self.start(STUCK)
        process.closeChildFD(reports.ORDERS)
        self.assertEqual((await result_of(worker.ended), worker.complaints), (1, b""))
        self.assertNotEqual(await result_of(caller.gone), 1001)


class SupervisedTests(WorkerCase):
    async def test_an_order_to_drain(self) -> None:
        """While somebody is there it obeys: calls may go on after an order to drain, and an order to end ends them."""
        worker, process, caller = await self.start()
        process.writeToChild(reports.ORDERS, reports.DRAIN)
        await self.until_said(worker, "1 calls may go on")
        self.assertFalse(caller.gone.called)
        process.writeToChild(reports.ORDERS, reports.END)
        self.assertEqual(await result_of(caller.gone), 1001)
        self.assertEqual(await result_of(worker.ended), 0)

    async def test_log_level(self) -> None:
        """logging.level: a worker tells its supervisor, who writes the log, what is that important, and nothing else."""
        worker, process, caller = await self.start(text="logging: {level: error}")
        caller.say({"type": "config", "audio": False})
        await until(lambda: caller.read, "there is no answer")
        process.closeChildFD(reports.ORDERS)
        self.assertEqual(await result_of(worker.ended), 0)
        self.assertEqual(
            worker.said, ["the supervisor is gone: this worker ends its calls and itself"]
        )

    async def test_limits_are_divided(self) -> None:
        """links.requests: of three that all workers together may make at once, the first of two makes two."""
        vendor = Vendor(reactor)
        self.addCleanup(lambda: Deferred.fromCoroutine(vendor.stop()))
        vendor.holds = True
        await self.start(
            text=f"providers: {{deepgram: {{api_key: k, endpoint: '{vendor.endpoint}'}}}}\n"
            "links: {requests: 3, warmup: off}\nmetrics: {token: t0k}"
        )
        for text in ("one", "two", "three"):
            body = json.dumps({"text": text, "tts_config": {"provider": "deepgram"}}).encode()
            head = b"POST /speak HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
            await self.ask(head + b"Content-Length: %d\r\n\r\n" % len(body) + body)
        await until(lambda: len(vendor.waiting) == 2)
        head = b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
        scrape = await self.ask(head + b"Authorization: Bearer t0k\r\n\r\n")
        await until(lambda: scrape.is_over)
        self.assertRegex(scrape.answer.body, rb"waav_http_waiting{[^}]*} 1\.0")

    async def ask(self, request: bytes) -> Exchange:
        """A request on a connection of its own."""
        exchange = Exchange(request)
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", self.port)
        await connectProtocol(endpoint, exchange)
        self.addCleanup(exchange.hang_up)
        return exchange


async def result_of(waited: Deferred[T]) -> T:
    """What it fires with."""
    await until(lambda: waited.called)
    return await waited
