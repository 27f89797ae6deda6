"""Ports that cannot be had are told before the process becomes a daemon."""

import socket
import sys
from dataclasses import replace
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.gateway_process import Output
from waav.config.load import Config
from waav.gateway.settings import ServerSettings, TLSSettings
from waav.ops.settings import MetricsSettings
from waav.service.parts import CannotServe, Gateway
from waav.service.probe import refuse_taken_ports


class ProbeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.said: list[str] = []
        self.patch(sys, "stderr", self)
        self.taken = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(self.taken.close)
        self.port = self.taken.getsockname()[1]

    def write(self, text: str) -> None:
        self.said.append(text)

    def refused(self, server: ServerSettings, metrics: str | None = None) -> str:
        config = replace(Config(), server=server, metrics=MetricsSettings(listen=metrics))
        error = self.assertRaises(SystemExit, refuse_taken_ports, config)
        self.assertEqual(error.code, 3)
        return "".join(self.said)

    def test_the_port(self) -> None:
        """A taken port is named, with the ways to choose another one."""
        said = self.refused(ServerSettings(host="127.0.0.1", port=self.port))
        self.assertIn(
            f"cannot listen on http://127.0.0.1:{self.port}: Address already in use", said
        )
        self.assertIn("--port, server.port or PORT", said)

    def test_with_tls(self) -> None:
        """The same with TLS; no certificate is read for it."""
        tls = TLSSettings(enabled=True, cert_path="/none", key_path="/none")
        said = self.refused(ServerSettings(host="127.0.0.1", port=self.port, tls=tls))
        self.assertIn(f"https://127.0.0.1:{self.port}", said)

    def test_endpoints(self) -> None:
        """Of several endpoints the one that is taken is named; nothing is advised about a port that was not asked for."""
        mine = f"tcp:{self.port}:interface=127.0.0.1"
        said = self.refused(ServerSettings(listen=("tcp:0:interface=127.0.0.1", mine)))
        self.assertIn(mine, said)
        self.assertNotIn("--port", said)

    def test_metrics(self) -> None:
        """The separate port of the metrics is tried too."""
        mine = f"tcp:{self.port}:interface=127.0.0.1"
        said = self.refused(ServerSettings(host="127.0.0.1", port=0), mine)
        self.assertIn(f"{mine} for metrics", said)

    def test_free_ports(self) -> None:
        """Ports that are free stay free, and sockets in the file system are left alone."""
        self.taken.close()
        path = Path(self.mktemp())
        listen = (
            f"tcp:{self.port}:interface=127.0.0.1",
            f"unix:{path}",
            "tcp6:0:interface=\\:\\:1",
        )
        for _ in range(2):
            refuse_taken_ports(replace(Config(), server=ServerSettings(listen=listen)))
        self.assertEqual((self.said, path.exists()), ([], False))

    def test_too_late(self) -> None:
        """A port that is lost between trying and listening ends a daemon with an error that twistd passes on; in
        the foreground it is an exit code."""

        class Refusing(Gateway):
            def __iter__(self):  # type: ignore[no-untyped-def]
                raise SystemExit(3)

        for is_daemon, error in ((True, CannotServe), (False, SystemExit)):
            gateway = Refusing()
            gateway.is_daemon = is_daemon
            self.assertRaises(error, gateway.privilegedStartService)


class DaemonTests(TestCase):
    async def test_a_taken_port(self) -> None:
        """waav serve --daemon, the same with workers, and twistd itself end with code 3 and leave no pid file."""
        from twisted.internet import reactor

        with socket.create_server(("127.0.0.1", 0)) as taken:
            options = ["--host=127.0.0.1", f"--port={taken.getsockname()[1]}"]
            for command in (
                ["-m", "waav.cli.main", "serve", "--daemon", *options],
                ["-m", "waav.cli.main", "serve", "--daemon", "--workers=2", *options],
                ["-c", TWISTD, *options],
            ):
                folder = Path(self.mktemp())
                folder.mkdir()
                output = Output()
                reactor.spawnProcess(  # type: ignore[attr-defined]
                    output, sys.executable, [sys.executable, *command], env=None, path=str(folder)
                )
                code = await output.ended
                self.assertEqual(code, 3, output.text)
                self.assertIn("cannot listen on http://127.0.0.1", output.text)
                self.assertEqual(list(folder.glob("*.pid")), [])


TWISTD = """
import sys
from twisted.scripts.twistd import run
sys.argv = ["twistd", "waav", *sys.argv[1:]]
run()
"""
