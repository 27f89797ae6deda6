"""Which reactor runs."""

import subprocess
import sys
from typing import Any

from twisted.internet.testing import MemoryReactorClock
from twisted.internet.threads import deferToThread
from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import TestCase

from tests.net.sockets import Loopless
from waav.gateway.settings import ServerSettings
from waav.service.parts import endpoints

ASK = """
import sys
from twisted.scripts import twistd
try:
    twistd.ServerOptions().parseOptions([*sys.argv[1:], "-n", "waav", "--check-config"])
except SystemExit:
    pass
from twisted.internet import reactor
print(type(reactor).__name__, getattr(reactor, "_asyncioEventloop", None), file=sys.stderr)
"""


class ChoiceTests(TestCase):
    async def chosen(self, *options: str) -> str:
        # In a thread: trial on uvloop does not hear of processes that end.
        done = await deferToThread(
            subprocess.run, [sys.executable, "-c", ASK, *options], capture_output=True, text=True
        )
        self.assertEqual(done.returncode, 0, done.stderr)
        return str(done.stderr)

    async def test_twistd(self) -> None:
        """``twistd waav`` runs on uvloop as ``waav serve`` does, unless told otherwise."""
        chosen = await self.chosen()
        self.assertIn("CoarseReactor", chosen)
        self.assertIn("uvloop", chosen)
        self.assertIn("EPollReactor None", await self.chosen("--reactor=epoll"))

    def test_a_slow_reactor(self) -> None:
        """Who chooses a reactor without an event loop is told once at start what it costs."""
        said: list[str] = []

        def note(event: Any) -> None:
            said.append(formatEvent(event))

        globalLogPublisher.addObserver(note)
        self.addCleanup(globalLogPublisher.removeObserver, note)
        for reactor in (MemoryReactorClock(), Loopless()):
            said.clear()
            list(endpoints(reactor, ServerSettings(host="127.0.0.1", port=0)))
            self.assertEqual(len([line for line in said if "no event loop" in line]), 1)
