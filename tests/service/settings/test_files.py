"""The sample configurations in ``etc/``, each in a gateway that is started with it."""

from pathlib import Path

from tests.service.settings.rig import SettingsCase
from tests.service.settings.vendor import AUDIO

ETC = Path(__file__).parents[3] / "etc"


class PerformanceTests(SettingsCase):
    def setUp(self) -> None:
        super().setUp()
        self.usual["security"] = "{}"

    async def test_with_the_limits_of_a_deployment(self) -> None:
        """perf.yaml: it starts, asks nobody who he is, keeps speech in memory, and has no console (F-030)."""
        gateway = self.start((ETC / "perf.yaml").read_text())
        for _ in range(2):
            self.assertEqual((await gateway.speak("hello")).body, AUDIO)
        self.assertEqual(len(self.vendor.asked), 1)
        self.assertEqual(await gateway.upgrade(), 101)
        self.assertEqual((await gateway.ask("GET", "/console")).status, 404)
        self.assertIsNone(gateway.config.cache.path)
        statuses = [(await gateway.ask("GET", "/providers")).status for _ in range(12)]
        self.assertIn(429, statuses)

    async def test_without_limits(self) -> None:
        """perf_no_ratelimit.yaml: many requests and connections of one address are let in."""
        gateway = self.start((ETC / "perf_no_ratelimit.yaml").read_text())
        statuses = {(await gateway.ask("GET", "/providers")).status for _ in range(30)}
        self.assertEqual(statuses, {200})
        self.assertEqual({await gateway.upgrade() for _ in range(110)}, {101})
