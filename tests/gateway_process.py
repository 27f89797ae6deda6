"""A whole gateway in a process of its own, for tests that use it as its users do."""

import socket
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure

from bench.machine import free_port
from tests.waiting import until


def is_open(port: int) -> bool:
    """Whether somebody listens on that port of the loopback interface."""
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


class Output(ProcessProtocol):
    """What a program says, and how it ends. Its standard input stays open."""

    def __init__(self) -> None:
        self.text = ""
        self.ended: Deferred[int] = Deferred()

    def outReceived(self, data: bytes) -> None:
        self.text += data.decode(errors="replace")

    errReceived = outReceived

    def processEnded(self, reason: Failure) -> None:
        reason.trap(ProcessDone, ProcessTerminated)
        status = reason.value
        self.ended.callback(
            -status.signal if getattr(status, "signal", None) else status.exitCode or 0
        )


class GatewayProcess:
    """``waav serve`` on a free loopback port.

    Args:
        reactor: what watches it.
        program: what stands before ``serve``; None: this Python with the waav that it finds.
        sections: of its configuration.
    """

    def __init__(self, reactor: Any, program: Sequence[str] | None = None, **sections: Any) -> None:
        self.reactor = reactor
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="waav-gateway-"))
        server = {"host": "127.0.0.1", "port": self.port} | sections.pop("server", {})
        config = self.folder / "waav.yaml"
        config.write_text(yaml.safe_dump({"server": server} | sections))
        self.output = Output()
        program = program or [sys.executable, "-m", "waav.cli.main"]
        self.transport = reactor.spawnProcess(
            self.output,
            program[0],
            [*program, "serve", "-c", str(config)],
            env=None,
            path=str(self.folder),
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return int(self.transport.pid)

    async def started(self) -> None:
        """Wait until its port is open."""
        await until(
            lambda: self.output.ended.called or is_open(self.port),
            lambda: f"the gateway did not start:\n{self.output.text}",
        )
        if self.output.ended.called:
            raise AssertionError(f"the gateway ended:\n{self.output.text}")

    async def stop(self) -> int:
        """SIGTERM it and wait; returns its exit code."""
        if not self.output.ended.called:
            self.transport.signalProcess("TERM")
            try:
                await until(lambda: self.output.ended.called)
            except AssertionError:
                self.transport.signalProcess("KILL")
                await self.output.ended
        return int(self.output.ended.result or 0)
