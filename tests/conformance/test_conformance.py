"""Our WebSocket classes against the Autobahn test suite, as server and as client."""

import json
import sys
from pathlib import Path
from typing import Any

from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import SynchronousTestCase, TestCase

from bench.conformance import judged

ROOT = Path(__file__).parents[2]

INFORMATIONAL = ["7.1.6", "7.13.1", "7.13.2"]
"""What the suite only reports: data after a close frame, and close codes that nobody has defined."""


class ConformanceTests(TestCase):
    async def verdict(self, side: str) -> dict[str, Any]:
        """What ``python -m bench.conformance`` says about one side."""
        arguments = ["-m", "bench.conformance", side]
        out, err, code = await getProcessOutputAndValue(
            sys.executable, arguments, env=None, path=ROOT
        )
        self.assertEqual(code, 0, (out + err).decode(errors="replace"))
        verdict: dict[str, Any] = json.loads(out)
        self.assertEqual((verdict["failed"], verdict["non_strict"]), ([], []))
        self.assertEqual(verdict["informational"], INFORMATIONAL)
        return verdict

    async def test_frame_lane(self) -> None:
        """A server with the frame lane on the gateway's sockets passes every case."""
        self.assertEqual((await self.verdict("server"))["ok"], 296)

    async def test_callers(self) -> None:
        """The class of ``/ws`` passes every case but those that its limit on frames of one message forbids."""
        self.assertEqual((await self.verdict("gateway"))["ok"], 290)

    async def test_vendors(self) -> None:
        """The class that calls vendors passes every case as a client."""
        self.assertEqual((await self.verdict("client"))["ok"], 296)


class JudgedTests(SynchronousTestCase):
    def test_worst_counts(self) -> None:
        """A case counts as the worse of what its messages and its end were worth; whatever is unknown has failed."""
        said = {
            "1.2": ("OK", "OK"),
            "1.10": ("OK", "UNCLEAN"),
            "2.1": ("FAILED", "OK"),
            "2.2": ("NON-STRICT", "INFORMATIONAL"),
            "3.1": ("OK", "INFORMATIONAL"),
            "3.2": ("UNIMPLEMENTED", "OK"),
        }
        results = {
            case: {"behavior": one, "behaviorClose": other} for case, (one, other) in said.items()
        }
        found = judged(results)
        self.assertEqual((found["cases"], found["ok"]), (6, 1))
        self.assertEqual(found["failed"], ["1.10", "2.1", "3.2"])
        self.assertEqual(found["non_strict"], ["2.2"])
        self.assertEqual(found["informational"], ["3.1"])
