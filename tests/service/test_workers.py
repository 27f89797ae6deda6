"""A gateway of several processes, used as its users use it."""

import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.internet import reactor
from twisted.internet.defer import Deferred, gatherResults
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.protocol import Protocol
from twisted.internet.threads import deferToThread
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from bench.machine import free_port
from tests.certificates import write_pair
from tests.gateway_process import GatewayProcess
from tests.service.test_tap import handshake
from tests.waiting import until
from waav.ops.private import nearest_to_memory

QUIET = {"stt_provider": "deepgram", "tts_provider": "deepgram"}
"""Defaults that load no model: a worker is ready sooner."""


class Caller(WebSocketClientProtocol):
    """Somebody on the telephone."""

    def __init__(self) -> None:
        super().__init__()
        self.opened: Deferred[bool] = Deferred()
        self.gone: Deferred[int | None] = Deferred()
        self.is_in = False

    def onOpen(self) -> None:
        self.is_in = True
        self.opened.callback(True)

    def onClose(self, wasClean: bool, code: int | None, reason: str | None) -> None:
        if not self.opened.called:
            self.opened.callback(False)
        self.is_in = False
        self.gone.callback(code)


class Answer(Protocol):
    """Reads an answer to its end."""

    def __init__(self, request: bytes) -> None:
        self.request = request
        self.data = b""
        self.done: Deferred[bytes] = Deferred()

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(self.request)

    def dataReceived(self, data: bytes) -> None:
        self.data += data

    def connectionLost(self, reason: Any = None) -> None:
        self.done.callback(self.data)


class Vendor(Resource):
    """Speaks whatever it is asked to."""

    isLeaf = True
    asked = 0

    def render_POST(self, request: Request) -> bytes:
        self.asked += 1
        request.setHeader(b"content-type", b"audio/l16")
        return b"\1\2" * 4000


class WorkersCase(TestCase):
    async def start(self, workers: int = 2, **sections: Any) -> GatewayProcess:
        """A gateway whose workers are all ready."""
        server = sections.pop("server", {}) | {"workers": workers}
        sections.setdefault("audio", QUIET)
        security = sections.pop("security", {})
        security.setdefault("rate_limit_requests_per_second", 100_000)
        gateway = GatewayProcess(reactor, server=server, security=security, **sections)
        self.addCleanup(lambda: Deferred.fromCoroutine(gateway.stop()))
        for worker in range(1, workers + 1):
            await self.said(gateway, f"worker {worker} is ready")
        return gateway

    async def said(self, gateway: GatewayProcess, text: str, times: int = 1) -> None:
        """Wait until the log has it that often."""
        await self.until(lambda: gateway.output.text.count(text) >= times, gateway)

    async def until(self, is_so: Callable[[], object], gateway: GatewayProcess) -> None:
        await until(is_so, lambda: f"it did not come to that:\n{gateway.output.text}")

    def pids(self, gateway: GatewayProcess) -> list[int]:
        """The processes of the workers, in order; the newest of each."""
        found = re.findall(
            r"worker (\d) is ready after \S+ s \(process (\d+)\)", gateway.output.text
        )
        return [pid for _, pid in sorted({int(n): int(pid) for n, pid in found}.items())]

    def folder_in_memory(self, gateway: GatewayProcess) -> Path:
        """What its processes share as files; other gateways on this machine have theirs beside it."""
        held = Path(f"/proc/{gateway.pid}/fd").iterdir()
        paths = [Path(os.readlink(descriptor)) for descriptor in held]
        (found,) = {path for path in paths if path.parent == nearest_to_memory()}
        return found

    async def call(self, gateway: GatewayProcess) -> Caller:
        """Connect; the caller may have been refused."""
        factory = WebSocketClientFactory(f"ws://127.0.0.1:{gateway.port}/ws")
        factory.protocol = Caller
        factory.noisy = False
        caller: Caller = await HostnameEndpoint(reactor, "127.0.0.1", gateway.port).connect(factory)
        await caller.opened
        return caller

    async def calls(self, gateway: GatewayProcess, count: int) -> list[Caller]:
        """Many at once; those who got in."""
        coming = [Deferred.fromCoroutine(self.call(gateway)) for _ in range(count)]
        return [caller for caller in await gatherResults(coming) if caller.is_in]

    async def hang_up(self, callers: list[Caller]) -> None:
        for caller in callers:
            caller.sendClose()
        await gatherResults([caller.gone for caller in callers])

    async def ask(self, gateway: GatewayProcess, request: bytes) -> bytes:
        """The answer to a request on a connection of its own."""
        endpoint = HostnameEndpoint(reactor, "127.0.0.1", gateway.port)
        return await (await connectProtocol(endpoint, Answer(request))).done

    def connections(self, pid: int, port: int) -> int:
        """Connections of a process to callers at that port."""
        inodes = set()
        for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
            fields = line.split()
            if fields[1].endswith(f":{port:04X}") and fields[3] == "01":
                inodes.add(f"socket:[{fields[9]}]")
        count = 0
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            try:
                count += os.readlink(descriptor) in inodes
            except FileNotFoundError:
                continue
        return count


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


class CallTests(WorkersCase):
    async def test_a_crash_and_a_drain(self) -> None:
        """Calls spread evenly; one limit holds for all workers; a killed worker costs its own calls and is replaced;
        at SIGTERM nobody new gets in and calls go on (SRV-01)."""
        gateway = await self.start(security={"max_websocket_connections": 40})
        first, second = self.pids(gateway)
        callers = await self.calls(gateway, 40)
        self.assertEqual(len(callers), 40)
        split = [self.connections(pid, gateway.port) for pid in (first, second)]
        self.assertEqual(sum(split), 40)
        self.assertLessEqual(abs(split[0] - 20), 2, split)
        self.assertEqual(await self.calls(gateway, 10), [])

        os.kill(first, signal.SIGKILL)
        await self.said(gateway, f"was ended by SIGKILL with {split[0]} calls")
        await self.until(lambda: sum(one.is_in for one in callers) == split[1], gateway)
        fresh = await self.calls(gateway, 40)
        self.assertEqual(len(fresh), split[0])
        await self.said(gateway, "worker 1 is ready", 2)
        self.assertNotEqual(self.pids(gateway)[0], first)
        self.assertEqual(sum(one.is_in for one in callers), split[1])

        gateway.transport.signalProcess("TERM")
        await self.said(gateway, "40 calls may go on for 30 s")
        with self.assertRaises(ConnectionRefusedError):
            while True:
                await self.call(gateway)
        self.assertEqual(sum(one.is_in for one in [*callers, *fresh]), 40)
        pids = self.pids(gateway)
        await self.hang_up([one for one in [*callers, *fresh] if one.is_in])
        await gateway.output.ended
        self.assertEqual([pid for pid in pids if is_alive(pid)], [])
        self.assertNotIn("Traceback", gateway.output.text)
        for line in gateway.output.text.splitlines():
            self.assertRegex(line, r"^(\d{4}-\d\d-\d\dT\S+Z \w+ +[\w.]+( worker=\d)?: |    )")

    async def test_a_second_signal(self) -> None:
        """A second signal ends all calls of all workers at once, with 1001; one to the whole group is one."""
        gateway = await self.start()
        callers = await self.calls(gateway, 6)
        for pid in [gateway.pid, *self.pids(gateway)] * 2:
            if pid != gateway.pid or "may go on" not in gateway.output.text:
                os.kill(pid, signal.SIGTERM)
                os.kill(pid, signal.SIGINT) if pid != gateway.pid else None
        await self.said(gateway, "6 calls may go on")
        self.assertEqual(sum(one.is_in for one in callers), 6)
        gateway.transport.signalProcess("INT")
        ended = await gatherResults([one.gone for one in callers])
        self.assertEqual(ended, [1001] * 6)
        await gateway.output.ended

    async def test_the_supervisor_is_killed(self) -> None:
        """Without their supervisor the workers end their calls and themselves, and the port is free."""
        gateway = await self.start()
        callers = await self.calls(gateway, 4)
        pids = self.pids(gateway)
        os.kill(gateway.pid, signal.SIGKILL)
        ended = await gatherResults([one.gone for one in callers])
        self.assertEqual(ended, [1001] * 4)
        await self.until(lambda: not any(map(is_alive, pids)), gateway)
        with self.assertRaises(ConnectionRefusedError):
            await self.call(gateway)


class RequestTests(WorkersCase):
    SPEAK = (
        b"POST /speak HTTP/1.0\r\nHost: x\r\nConnection: close\r\nContent-Type: application/json\r\n"
        b"Content-Length: %d\r\n\r\n%s"
    )

    async def test_requests_share_limits_and_the_cache(self) -> None:
        """Speech that one worker had synthesised is a hit in the other; a caller's burst is one burst (F-047)."""
        vendor = Vendor()
        port = reactor.listenTCP(0, Site(vendor), interface="127.0.0.1")
        self.addCleanup(port.stopListening)
        gateway = await self.start(
            providers={
                "deepgram": {
                    "api_key": "k",
                    "endpoint": f"http://127.0.0.1:{port.getHost().port}",
                }
            },
            security={"rate_limit_requests_per_second": 1, "rate_limit_burst_size": 30},
        )
        body = b'{"text": "hello", "tts_config": {"provider": "deepgram", "model": "aura-2-thalia-en"}}'
        request = self.SPEAK % (len(body), body)
        answers = [await self.ask(gateway, request)]
        kept = self.folder_in_memory(gateway)
        await self.until(lambda: any(kept.glob("cache/audio/*/[!.]*")), gateway)
        # All at once, so that they are shared out.
        asking = [Deferred.fromCoroutine(self.ask(gateway, request)) for _ in range(5)]
        answers += await gatherResults(asking)
        sounds = {answer.partition(b"\r\n\r\n")[2] for answer in answers}
        self.assertEqual({answer.split()[1] for answer in answers}, {b"200"}, answers[0])
        self.assertEqual((len(sounds), vendor.asked), (1, 1))
        for worker in (1, 2):
            line = f"worker={worker}: POST /speak 200"
            await self.until(lambda line=line: line in gateway.output.text, gateway)  # type: ignore[misc]
        many = [
            Deferred.fromCoroutine(
                self.ask(
                    gateway, b"GET /providers HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"
                )
            )
            for _ in range(60)
        ]
        statuses = [answer.split()[1] for answer in await gatherResults(many)]
        self.assertIn(statuses.count(b"200"), (24, 25, 26, 27))
        self.assertEqual(statuses.count(b"200") + statuses.count(b"429"), 60)
        for worker in (1, 2):
            self.assertRegex(gateway.output.text, rf"worker={worker}: GET /providers 429")
        await gateway.stop()
        self.assertNotIn("Traceback", gateway.output.text)


SPOILT = """\
import sys
from dataclasses import replace
import waav.service.supervisor as supervisor
from waav.cli.main import main
packed = supervisor.packed
supervisor.packed = lambda loaded: packed(
    replace(loaded, values={**loaded.values, "cache.path": "/dev/null/speech"})
)
sys.exit(main())
"""
"""waav, whose workers find what it cannot have found itself: a folder that is gone."""


class TLSTests(WorkersCase):
    async def test_a_new_certificate(self) -> None:
        """All workers speak TLS, and read the certificate again at SIGHUP (S-CFG-19)."""
        folder = Path(self.mktemp()).absolute()
        cert, key = write_pair(folder)
        server = {"tls": {"enabled": True, "cert_path": str(cert), "key_path": str(key)}}
        gateway = await self.start(server=server)
        answers = [await deferToThread(handshake, gateway.port, cert) for _ in range(2)]
        self.assertEqual({answer.split()[1] for answer, _ in answers}, {b"200"})
        write_pair(folder)
        gateway.transport.signalProcess("HUP")
        await self.said(gateway, "TLS certificate read again", 2)
        again = [await deferToThread(handshake, gateway.port, cert) for _ in range(2)]
        self.assertEqual(len({shown for _, shown in again} - {answers[0][1]}), 1)
        self.assertRegex(gateway.output.text, r"worker=1: GET / 200")
        self.assertRegex(gateway.output.text, r"worker=2: GET / 200")


class StartTests(TestCase):
    async def serve(
        self, *options: str, program: tuple[str, str] = ("-m", "waav.cli.main"), **env: str
    ) -> tuple[str, int]:
        folder = Path(self.mktemp())
        folder.mkdir()
        _, err, code = await getProcessOutputAndValue(
            sys.executable,
            [*program, "serve", *options],
            env=dict(os.environ, PORT=str(free_port()), **env),
            path=str(folder),
        )
        return err.decode(), code

    async def test_a_wrong_number(self) -> None:
        """A number of workers that makes no sense is one line and exit code 1."""
        err, code = await self.serve("--workers", "many", HOST="127.0.0.1")
        self.assertEqual(code, 1)
        self.assertEqual(len(err.splitlines()), 1, err)
        self.assertIn("server.workers: must be auto or 1 to 64", err)

    async def test_workers_that_cannot_begin(self) -> None:
        """When no worker can use the configuration the gateway ends with 1 and says why, once, instead of trying for ever."""
        err, code = await self.serve(
            "--workers", "2", "--logfile", "log", program=("-c", SPOILT), HOST="127.0.0.1"
        )
        self.assertEqual(code, 1, err)
        self.assertRegex(err, r"^waav: cache\.path: .*/dev/null/speech.*\n$")

    async def test_a_new_root(self) -> None:
        """Workers cannot be started in another root: said at start."""
        err, code = await self.serve("--workers", "2", "--chroot", ".", HOST="127.0.0.1")
        self.assertEqual(code, 1)
        self.assertIn("does not go together with --chroot", err)
