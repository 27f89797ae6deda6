"""A whole gateway in a process of its own, for tests that use it as its users do."""

import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

import yaml
from twisted.internet import task
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessTerminated
from twisted.internet.protocol import ProcessProtocol
from twisted.python.failure import Failure


def free_port() -> int:
    """A port of the loopback interface that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


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
        self.ended.callback(getattr(reason.value, "exitCode", None) or 0)


class GatewayProcess:
    """``waav serve`` on a free loopback port."""

    def __init__(self, reactor: Any, **sections: Any) -> None:
        self.reactor = reactor
        self.port = free_port()
        self.folder = Path(tempfile.mkdtemp(prefix="waav-gateway-"))
        server = {"host": "127.0.0.1", "port": self.port} | sections.pop("server", {})
        config = self.folder / "waav.yaml"
        config.write_text(yaml.safe_dump({"server": server} | sections))
        self.output = Output()
        arguments = [sys.executable, "-m", "waav.cli.main", "serve", "-c", str(config)]
        self.transport = reactor.spawnProcess(
            self.output, sys.executable, arguments, env=None, path=str(self.folder)
        )

    @property
    def pid(self) -> int:
        """Its process id."""
        return int(self.transport.pid)

    async def started(self, timeout_s: float = 60.0) -> None:
        """Wait until its port is open."""
        ends_at = self.reactor.seconds() + timeout_s
        while True:
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            if self.output.ended.called or self.reactor.seconds() > ends_at:
                raise AssertionError(f"the gateway did not start:\n{self.output.text}")
            await task.deferLater(self.reactor, 0.05)

    async def stop(self) -> int:
        """SIGTERM it and wait; returns its exit code."""
        if not self.output.ended.called:
            self.transport.signalProcess("TERM")
            late = self.reactor.callLater(20, self.transport.signalProcess, "KILL")
            await self.output.ended
            if late.active():
                late.cancel()
        return int(self.output.ended.result or 0)
