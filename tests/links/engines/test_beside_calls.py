"""A whole gateway that speaks with its own voice while it carries calls, and how its model process ends."""

import json
import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from tests.gateway_process import GatewayProcess
from tests.links.engines.test_process import is_alive
from tests.waiting import until

ROOT = Path(__file__).resolve().parents[3]

BOUND_MS = 50.0
"""Generous: ``python -m bench models`` measures, and docs/models.md has figures. A synthesis in the way of the frames
would hold up most of them for longer."""

HAS_TIME_MS = 10.0
"""A machine on which frames beside the gateway take no longer has time for everything."""


class BesideCallsTests(TestCase):
    async def test_four_syntheses(self) -> None:
        """Four endless POST /speak with the local voice neither lose nor delay the frames of other calls."""
        arguments = ["-m", "bench.models", "--only", "four_syntheses", "--seconds", "3"]
        out, err, code = await getProcessOutputAndValue(
            sys.executable, arguments, env=None, path=str(ROOT)
        )
        self.assertEqual((code, err), (0, b""))
        found = json.loads(out)["four_syntheses"]
        self.assertEqual(found["faults"], [])
        self.assertEqual(len(found["times_real_time"]), 4)
        for way in ("audio_up", "speech_down"):
            # What frames take that do not pass the gateway is the machine's doing; with it there are two hops for one.
            floor = found["floor"][way]
            self.assertLess(
                found[way].get("p50_ms", 0.0), BOUND_MS + 4 * floor.get("p50_ms", 0.0), found
            )
        if found["floor"]["audio_up"].get("p99_ms", 1e9) < HAS_TIME_MS:
            self.assertGreater(min(found["times_real_time"]), 0.5)
            self.assertGreater(found["audio_up"]["count"], 500)
            self.assertGreater(found["speech_down"]["count"], 500)


class EndTests(TestCase):
    """A gateway whose voice is loaded."""

    def setUp(self) -> None:
        self.gateway = GatewayProcess(
            reactor, audio={"tts_provider": "local"}, logging={"level": "info"}
        )
        self.addCleanup(self.gateway.stop)

    async def model_process(self) -> int:
        """Its id, once the voice is loaded."""
        await self.gateway.started()
        await until(lambda: "hibari-heart loaded" in self.gateway.output.text)
        children = Path(f"/proc/{self.gateway.pid}/task/{self.gateway.pid}/children").read_text()
        (child,) = map(int, children.split())
        self.assertIn(b"waav.links.engines.child", Path(f"/proc/{child}/cmdline").read_bytes())
        return child

    async def test_killed(self) -> None:
        """A gateway that is killed takes the process of its models with it."""
        child = await self.model_process()
        self.gateway.transport.signalProcess("KILL")
        await until(lambda: not is_alive(child))

    async def test_stopped(self) -> None:
        """A gateway that is told to stop ends its models without a word of complaint."""
        child = await self.model_process()
        self.assertEqual(await self.gateway.stop(), 0)
        self.assertFalse(is_alive(child))
        self.assertNotIn("is gone", self.gateway.output.text)
        self.assertNotIn("rror", self.gateway.output.text)
