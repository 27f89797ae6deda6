"""All of these tests again on uvloop, which a deployment uses."""

import os
import re
import sys
from pathlib import Path

from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.runner import TestLoader
from twisted.trial.unittest import TestCase

from tests import net

ROOT = Path(__file__).resolve().parent.parent.parent

INSIDE = "WAAV_TESTS_ON_UVLOOP"
"""Set for the process that runs the tests: it does not start another."""

RUN = """
import sys
from waav.net.loop import install_reactor
install_reactor()
from twisted.scripts import trial
sys.argv = ["trial", "--force-gc", "--temp-directory", sys.argv[1], "tests.net"]
trial.run()
"""

TIMERS = """
from waav.net.loop import install_reactor
install_reactor()
from twisted.internet import reactor
turns, real = 0, reactor.runUntilCurrent
def counted():
    global turns
    turns += 1
    real()
reactor.runUntilCurrent = counted
def go(left):
    reactor.callLater(0.0041 + left * 0.0001, go, left - 1) if left else reactor.stop()
reactor.callWhenRunning(go, 100)
reactor.run()
print(turns)
"""


class UvloopTests(TestCase):
    async def test_a_timer_wakes_the_loop_once(self) -> None:
        """Waiting costs nothing: the loop is not asked again and again whether a time has come that is almost there."""
        out, err, code = await getProcessOutputAndValue(
            sys.executable, ["-c", TIMERS], env=os.environ, path=str(ROOT)
        )
        self.assertEqual((code, err), (0, b""))
        self.assertLess(int(out), 250)

    async def test_everything(self) -> None:
        """What is tested on asyncio's event loop holds on uvloop as well, test for test."""
        if INSIDE in os.environ:
            from twisted.internet import reactor

            self.assertIn("uvloop", repr(reactor._asyncioEventloop))  # type: ignore[attr-defined]
            return
        # Random conversations have no socket; a few are enough here.
        out, err, code = await getProcessOutputAndValue(
            sys.executable,
            ["-c", RUN, os.path.abspath(self.mktemp())],
            env={**os.environ, INSIDE: "1", "WAAV_SCRIPTS": "300"},
            path=str(ROOT),  # the folder that trial moves to has no tests
        )
        text = (out + err).decode()
        self.assertEqual(code, 0, text[-6000:])
        ran = re.search(r"Ran (\d+) tests", text)
        assert ran is not None
        expected = TestLoader().loadPackage(net, recurse=True).countTestCases()  # type: ignore[no-untyped-call]
        self.assertEqual(int(ran.group(1)), expected)
