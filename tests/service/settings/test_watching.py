"""Settings of what operators read: the log, what blocks the event loop, metrics."""

import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ClientEndpoint, connectProtocol
from twisted.internet.task import deferLater
from twisted.logger import Logger, LogLevel
from twisted.trial.unittest import SynchronousTestCase

from bench.machine import free_port
from tests.service.settings.rig import Exchange, Running, SettingsCase
from waav.config.load import load
from waav.registry import Registry
from waav.service.build import build
from waav.tap import Options, chosen_observer


class LoggingTests(SynchronousTestCase):
    def logged(self, settings: str) -> list[str]:
        """What is in the log file after a word of each level was said."""
        path, log = Path(self.mktemp()), Path(self.mktemp())
        path.write_text(f"logging: {settings}")
        options = Options()
        parent: Any = {"logger": None, "logfile": str(log), "nodaemon": True}
        options.parent = parent
        options.parseOptions([f"--config={path}", f"--env-file={self.mktemp()}"])
        logger = Logger("waav.session", observer=chosen_observer())
        for level in (LogLevel.debug, LogLevel.info, LogLevel.warn):
            logger.emit(level, "a word at {name}", name=level.name)
        return log.read_text().splitlines()

    def test_level(self) -> None:
        """logging.level: what is less important is not in the log."""
        found = {
            level: [line.rpartition(" ")[2] for line in self.logged(f"{{level: {level}}}")]
            for level in ("debug", "warn")
        }
        self.assertEqual(found, {"debug": ["debug", "info", "warn"], "warn": ["warn"]})

    def test_json(self) -> None:
        """logging.json: each line is an object."""
        self.assertEqual(
            [json.loads(line)["message"] for line in self.logged("{json: true}")],
            ["a word at info", "a word at warn"],
        )


def block() -> None:
    """Keep the event loop for 20 ms."""
    time.sleep(0.02)


class DiagnosticsTests(SettingsCase):
    """Whatever blocks the loop does so in real time. A busy machine makes that longer."""

    async def stalls(self, settings: str, is_enough: Callable[[list[int]], bool]) -> None:
        """The loop is blocked for 20 ms again and again, until what the log tells of it is enough.

        Args:
            is_enough: is given the milliseconds that each line tells at least.
        """
        path = self.folder() / "waav.yaml"
        path.write_text(
            "server: {host: 127.0.0.1, port: 0}\n"
            "audio: {stt_provider: deepgram, tts_provider: deepgram}\n"
            f"diagnostics: {settings}"
        )
        gateway = build(reactor, load(Registry.discover(), path), Registry.discover())
        gateway.privilegedStartService()
        gateway.startService()
        self.addCleanup(gateway.stopService)
        for _ in range(2000):
            told = re.findall(r"the event loop was blocked for (\d+) to", self.log())
            if is_enough([int(one) for one in told]):
                return
            block()
            await deferLater(reactor, 0.01)
        self.fail("nothing was noticed")

    async def test_stall(self) -> None:
        """diagnostics.stall_ms: what blocks the event loop for longer is in the log, though it be short."""
        # By default nothing below 30 ms is told.
        await self.stalls(
            "{stall_ms: 10, stall_log_s: 0.001}", lambda told: any(one < 30 for one in told)
        )

    async def test_stall_log(self) -> None:
        """diagnostics.stall_log_s: after that the next line may come."""
        await self.stalls("{stall_ms: 10, stall_log_s: 0.001}", lambda told: len(told) > 1)


class MetricsTests(SettingsCase):
    async def scraped(self, gateway: Running, port: int, **headers: str) -> Any:
        """The answer to a scrape at that port."""
        exchange = Exchange(
            b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
            + "".join(f"{name}: {value}\r\n" for name, value in headers.items()).encode()
            + b"\r\n"
        )
        endpoint = TCP4ClientEndpoint(reactor, "127.0.0.1", port)
        await gateway.wait(connectProtocol(endpoint, exchange))
        return await gateway.end(exchange)

    async def test_listen(self) -> None:
        """metrics.listen: there the figures are for whoever can reach it, and only there."""
        port = free_port()
        gateway = self.start(f"metrics: {{listen: 'tcp:{port}:interface=127.0.0.1'}}")
        answer = await self.scraped(gateway, port)
        self.assertEqual(answer.status, 200)
        self.assertIn(b"waav_build_info{", answer.body)
        self.assertEqual((await self.scraped(gateway, gateway.port)).status, 404)

    async def test_token(self) -> None:
        """metrics.token: with it the gateway's own port tells them, and nobody is told without it on either port."""
        port = free_port()
        gateway = self.start(f"metrics: {{listen: 'tcp:{port}:interface=127.0.0.1', token: t0k}}")
        for where in (port, gateway.port):
            self.assertEqual((await self.scraped(gateway, where)).status, 401)
            answer = await self.scraped(gateway, where, authorization="Bearer t0k")
            self.assertEqual(answer.status, 200)

    async def test_calls(self) -> None:
        """What happens in calls is in the figures."""
        gateway = self.start("metrics: {token: t0k}")
        client = await gateway.call()
        self.vendor.listening[0].result("hello", end=True)
        await gateway.next(client)
        client.sendClose(1000)
        await gateway.wait(client.gone)
        figures = b""
        while b"waav_call_duration_seconds_count 1.0" not in figures:
            answer = await self.scraped(gateway, gateway.port, authorization="Bearer t0k")
            figures = answer.body
        self.assertIn(b'waav_calls_configured_total{stt="deepgram",tts="nobody"} 1.0', figures)
        self.assertIn(b'waav_stt_results_total{provider="deepgram"} 1.0', figures)
