"""Which source of the configuration wins, however the gateway is started or asked."""

import io
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from waav.cli.main import chosen, main
from waav.cli.serve import twistd_arguments
from waav.tap import Options


class PrecedenceTests(SynchronousTestCase):
    """server.port is 4000 in YAML, 5000 in the environment, 6000 in .env."""

    def setUp(self) -> None:
        self.yaml, self.dotenv = Path(self.mktemp()), Path(self.mktemp())
        self.yaml.write_text("server: {port: 4000}\n")
        self.dotenv.write_text("PORT=6000\nHOST=127.0.0.6\n")
        before = dict(os.environ)
        self.addCleanup(os.environ.update, before)
        self.addCleanup(os.environ.clear)
        os.environ["PORT"] = "5000"

    @property
    def arguments(self) -> list[str]:
        """Where the files are."""
        return [f"--config={self.yaml}", f"--env-file={self.dotenv}"]

    def shown(self, *command: str) -> int:
        """The port that a command shows."""
        out = io.StringIO()
        self.patch(sys, "stdout", out)
        self.patch(sys, "stderr", io.StringIO())  # what differs is told there
        self.assertEqual(main([*command, *self.arguments]), 0)
        found = re.search(r"^server\.port = (\d+)", out.getvalue(), re.MULTILINE)
        assert found is not None
        return int(found[1])

    def started(self, *given: str) -> int:
        """The port of ``twistd waav``."""
        options = Options()
        options.parseOptions([*given, *self.arguments])
        return options.loaded.config.server.port

    def served(self, *given: str) -> int:
        """The port of ``waav serve``, which hands its options to twistd."""
        mine = twistd_arguments(chosen(["serve", *given, *self.arguments]))
        options = Options()
        options.parseOptions(mine[mine.index("waav") + 1 :])
        return options.loaded.config.server.port

    @property
    def doors(self) -> list[Callable[..., int]]:
        """Every way in."""
        return [
            lambda *given: self.shown("config", "show", *given),
            lambda *given: self.shown("serve", "--check-config", *given),
            self.started,
            self.served,
        ]

    def test_the_option(self) -> None:
        """--config-precedence env puts the environment before YAML, and .env stays behind both (S-CFG-03)."""
        for port in self.doors:
            self.assertEqual(port(), 4000)
            self.assertEqual(port("--config-precedence=yaml"), 4000)
            self.assertEqual(port("--config-precedence=env"), 5000)
        del os.environ["PORT"]
        for port in self.doors:
            self.assertEqual(port("--config-precedence=env"), 4000)
        self.yaml.write_text("")
        for port in self.doors:
            self.assertEqual(port("--config-precedence=env"), 6000)

    def test_the_variable(self) -> None:
        """WAAV_CONFIG_PRECEDENCE=env does the same; what the command line says comes before it (S-CFG-03)."""
        os.environ["WAAV_CONFIG_PRECEDENCE"] = "env"
        for port in self.doors:
            self.assertEqual(port(), 5000)
            self.assertEqual(port("--config-precedence=yaml"), 4000)

    def test_dotenv_is_not_exported(self) -> None:
        """What stands in .env is in no environment: neither ours nor that of processes we start (S-CFG-03)."""
        del os.environ["PORT"]
        before = dict(os.environ)
        self.yaml.write_text("")
        for port in self.doors:
            self.assertEqual(port(), 6000)
            self.assertEqual(dict(os.environ), before)
