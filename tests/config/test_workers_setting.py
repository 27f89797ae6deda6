"""How many workers there are, and how their configuration gets to them."""

import os
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.config.test_load import REGISTRY, ConfigCase
from waav.config.checks import workers_of
from waav.config.load import packed, unpacked
from waav.gateway.settings import WORKERS_MAX
from waav.ops.cores import usable_cores
from waav.secret import Secret


class CountTests(ConfigCase):
    def test_one_is_the_default(self) -> None:
        """Nobody who says nothing gets a second process."""
        self.assertEqual(self.load().config.server.workers, "1")

    def test_what_it_may_be(self) -> None:
        """A number from 1 to 64 or auto; anything else stops the start and says so."""
        for text in ("0", "65", "1000", "-1", "two", "1.5"):
            problem = self.refused("server.workers", f"server: {{workers: '{text}'}}")
            self.assertIn("must be auto or 1 to 64", problem)
        for text in ("1", "64", "auto"):
            found = self.load(f"server: {{workers: {text}}}", env=None).config.server.workers
            self.assertEqual(found, text)

    def test_the_command_line_wins(self) -> None:
        """--workers beats YAML, environment and .env, in either order of those."""
        for order in ("yaml", "env"):
            loaded = self.load(
                "server: {workers: 2}",
                {"WAAV_WORKERS": "3"},
                "WAAV_WORKERS=4",
                precedence=order,
                given={"server.workers": "5"},
            )
            self.assertEqual(loaded.config.server.workers, "5")
            self.assertEqual(loaded.origins["server.workers"], "command line: --workers")
        problem = self.refused("server.workers", given={"server.workers": "none"})
        self.assertIn("[command line: --workers]", problem)

    def test_vendors_limits_can_be_divided(self) -> None:
        """Fewer requests to a vendor than workers cannot be kept: refused by name."""
        text = "{server: {workers: 4}, links: {requests: 3}}"
        self.assertIn("4 workers", self.refused("links.requests", text))
        self.load("{server: {workers: 4}, links: {requests: 4}}")
        self.refused("links.requests", "{server: {workers: 21}, links: {preset: low_latency}}")


class CoresTests(SynchronousTestCase):
    def quota(self, text: str) -> Path:
        path = Path(self.mktemp())
        path.write_text(text)
        return path

    def test_auto(self) -> None:
        """auto is the cores that this process may use, and never more than the most workers there may be."""
        self.assertEqual(workers_of("auto"), min(usable_cores(), WORKERS_MAX))
        self.assertEqual(workers_of("7"), 7)

    def test_a_container_gets_no_more_than_its_share(self) -> None:
        """auto in a container with half a core on a large machine is one worker, not a hundred."""
        self.patch(os, "sched_getaffinity", lambda pid: set(range(100)))
        self.assertEqual(usable_cores(self.quota("50000 100000\n")), 1)
        self.assertEqual(usable_cores(self.quota("250000 100000\n")), 3)
        self.assertEqual(usable_cores(self.quota("max 100000\n")), 100)
        self.assertEqual(usable_cores(Path(self.mktemp())), 100)


class PackedTests(ConfigCase):
    def test_it_arrives_as_it_was(self) -> None:
        """A worker has the configuration that was checked at start, keys and vendors' options included."""
        loaded = self.load(
            """
            server: {workers: 2, listen: ["tcp:1", "tcp:2"]}
            links: {redials: 7}
            speech_final: {providers: {acme-ai: {wait_ms: 900}}}
            providers: {acme: {api_key: k, region: eu, options: {since: 2026-01-01, deep: [1, {a: b}]}}}
            """,
            {"POLY_TOKEN": "t", "POLY_USER": "u"},
        )
        again = unpacked(REGISTRY, packed(loaded))
        self.assertEqual(again.config, loaded.config)
        self.assertEqual(again.values, loaded.values)
        self.assertEqual((again.origins, again.notices), (loaded.origins, loaded.notices))
        self.assertEqual(again.config.providers["acme"].key, Secret("k"))
        self.assertEqual(again.config.providers["poly"].credentials["user"], "u")

    def test_files_may_have_changed(self) -> None:
        """Nothing is read again: a worker that is started after a crash has what the others have."""
        key = self.write("first", "key")
        loaded = self.load("audio: {sample_rate: 8000}", {"ACME_API_KEY_FILE": str(key)})
        data = packed(loaded)
        key.unlink()
        account = unpacked(REGISTRY, data).config.providers["acme"]
        self.assertEqual(account.key, Secret("first"))
