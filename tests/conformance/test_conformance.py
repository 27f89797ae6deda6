"""Our WebSocket classes against the Autobahn test suite, as server and as client."""

import json
import sys
from pathlib import Path
from typing import Any

from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

ROOT = Path(__file__).parents[2]

INFORMATIONAL = ["7.1.6", "7.13.1", "7.13.2"]
"""What the suite only reports: data after a close frame, and close codes that nobody has defined."""


class ConformanceTests(TestCase):
    timeout = 600

    async def judged(self, side: str) -> dict[str, Any]:
        """What ``python -m bench.conformance`` says about one side."""
        arguments = ["-m", "bench.conformance", side]
        out, err, code = await getProcessOutputAndValue(
            sys.executable, arguments, env=None, path=ROOT
        )
        self.assertEqual(code, 0, (out + err).decode(errors="replace"))
        judged: dict[str, Any] = json.loads(out)
        self.assertEqual((judged["failed"], judged["non_strict"]), ([], []))
        self.assertEqual(judged["informational"], INFORMATIONAL)
        return judged

    async def test_frame_lane(self) -> None:
        """A server with the frame lane on the gateway's sockets passes every case."""
        self.assertEqual((await self.judged("server"))["ok"], 296)

    async def test_callers(self) -> None:
        """The class of ``/ws`` passes every case but those that its limit on frames of one message forbids."""
        self.assertEqual((await self.judged("gateway"))["ok"], 290)

    async def test_vendors(self) -> None:
        """The class that calls vendors passes every case as a client."""
        self.assertEqual((await self.judged("client"))["ok"], 296)
