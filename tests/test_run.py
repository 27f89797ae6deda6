"""The program that runs the suite: what it runs, what it makes of the output, what it does with a test that hangs."""

import contextlib
import importlib.util
import io
import sys
from pathlib import Path
from types import ModuleType

from twisted.trial.unittest import SynchronousTestCase

from tests import run
from tests.run import Group, Run, judge, plan

OUTPUT = """\
tests.a.test_b.CTests.test_quick ... [OK]
(0.001 secs)
tests.a.test_b.CTests.test_chatty ... what it said
[FAILURE]
(1.500 secs)

-------------------------------------------------------------------------------
Ran 2 tests in 1.502s

FAILED (failures=1, successes=1)
"""
GROUP = Group("tests.a", ("tests.a.test_b",), 1.0)


def steps() -> ModuleType:
    """``.ci/steps.py``."""
    path = run.ROOT / ".ci" / "steps.py"
    spec = importlib.util.spec_from_file_location("steps", path)
    assert spec is not None and spec.loader is not None
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


class PlanTests(SynchronousTestCase):
    """Which tests run together."""

    def test_every_file_is_found(self) -> None:
        """A new file of tests is run without being named anywhere."""
        root = Path(self.mktemp())
        for name in ("test_x.py", "a/test_b.py", "a/c/test_d.py", "a/other.py", "test_data.txt"):
            path = root / "tests" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.touch()
        expected = {"tests.a": ["tests.a.c.test_d", "tests.a.test_b"], "tests": ["tests.test_x"]}
        self.assertEqual(run.find_modules(root), expected)

    def test_long_ones_first(self) -> None:
        """The group that takes longest begins first: nobody waits for it alone at the end."""
        rooms = {"tests.a": ["tests.a.test_1"], "tests.b": ["tests.b.test_1", "tests.b.test_2"]}
        groups = plan(rooms, {"tests.b.test_1": 20.0})
        self.assertEqual([group.name for group in groups], ["tests.b", "tests.a"])
        self.assertEqual(groups[0].tests, ("tests.b.test_1", "tests.b.test_2"))

    def test_a_long_room_is_cut(self) -> None:
        """A room that takes long is run in several processes, each of its modules once."""
        modules = [f"tests.a.test_{number}" for number in range(5)]
        times = dict(zip(modules, (10, 15, 50, 10, 10), strict=True))
        groups = plan({"tests.a": modules}, times)
        self.assertEqual(
            [(group.name, group.expected_s) for group in groups],
            [
                ("tests.a.test_2", 50),
                ("tests.a.test_0 .. test_1", 25),
                ("tests.a.test_3 .. test_4", 20),
            ],
        )
        self.assertEqual(sorted(one for group in groups for one in group.tests), modules)

    def test_what_was_asked_for(self) -> None:
        """A room is run as ever, and anything that trial knows besides; nothing else."""
        rooms = {"tests.a": ["tests.a.test_1"], "tests.b": ["tests.b.test_1"]}
        name = "tests.b.test_1.XTests.test_y"
        groups = run.choose(["tests.a", name], rooms, {})
        self.assertEqual([group.tests for group in groups], [("tests.a.test_1",), (name,)])

    def test_the_list_of_long_ones_is_true(self) -> None:
        """Modules that are known to take long exist."""
        there = {module for modules in run.find_modules().values() for module in modules}
        self.assertEqual(set(run.LONG_S) - there, set())


class JudgeTests(SynchronousTestCase):
    """What trial's output says."""

    def test_counts_and_times(self) -> None:
        """The summary is counted, and each test has its time, also one that prints."""
        result = judge(GROUP, 1, OUTPUT, 2.0)
        self.assertEqual(result.counts, {"failures": 1, "successes": 1})
        times = {
            "tests.a.test_b.CTests.test_quick": 0.001,
            "tests.a.test_b.CTests.test_chatty": 1.5,
        }
        self.assertEqual(result.times, times)
        self.assertEqual((result.failed, result.problem), (1, ""))
        self.assertRegex(result.line, r"^tests\.a +1 passed +1 failed +2\.0 s$")

    def test_all_well(self) -> None:
        """A group that passed is no failure."""
        self.assertEqual(judge(GROUP, 0, "PASSED (successes=3)\n", 1.0).failed, 0)

    def test_not_well(self) -> None:
        """No summary, nothing run and an exit code that contradicts the summary are failures of the group."""
        for output, code, problem in (
            ("Segmentation fault\n", -11, "no summary, exit code -11"),
            ("PASSED\n", 0, "ran nothing"),
            ("PASSED (skips=1)\n", 0, "ran nothing"),
            ("PASSED (successes=3)\n", 1, "exit code 1"),
        ):
            result = judge(GROUP, code, output, 1.0)
            self.assertEqual((result.problem, result.failed), (problem, 1))
            self.assertIn(problem, result.line)

    def test_the_end(self) -> None:
        """The last line is one that ``.ci/run`` counts, after the slowest tests; the exit code says the same."""
        for bad, line, code in ((True, (3, 1), 1), (False, (2, 0), 0)):
            results = [judge(GROUP, 0, "PASSED (successes=2)\n", 1.0)]
            if bad:
                results.append(judge(GROUP, 1, OUTPUT, 2.0))
            out = io.StringIO()
            self.assertEqual(run.conclude(results, 3.0, out), code)
            module = steps()
            counts = module.Counts()
            module.count_trial(code, out.getvalue(), counts)
            self.assertEqual((counts.passed, counts.failed), line)
            self.assertEqual("1.5 s  tests.a.test_b.CTests.test_chatty" in out.getvalue(), bad)

    def test_a_group_that_died(self) -> None:
        """A group without a summary makes the whole fail, and is counted."""
        out = io.StringIO()
        self.assertEqual(run.conclude([judge(GROUP, -11, "", 1.0)], 1.0, out), 1)
        self.assertTrue(out.getvalue().endswith("FAILED (errors=1, successes=0)\n"))

    def test_times_are_remembered(self) -> None:
        """What a module took is known to the next run; of a group that failed nothing is kept."""
        path = Path(self.mktemp())
        two = Group("tests.a", ("tests.a.test_b", "tests.a.test_c"), 1.0)
        output = OUTPUT.replace("FAILURE", "OK").replace("failures=1, successes=1", "successes=2")
        more = "tests.a.test_c.CTests.test_x ... [OK]\n(0.499 secs)\n"
        run.remember([judge(two, 0, more + output, 4.0)], path)
        run.remember([judge(GROUP, 1, OUTPUT, 100.0)], path)
        times = run.recalled(path)
        self.assertEqual((times["tests.a.test_b"], times["tests.a.test_c"]), (3.0, 1.0))
        path.write_text("spoilt")
        self.assertEqual(run.recalled(path), dict(run.LONG_S))


class RunTests(SynchronousTestCase):
    """Real processes."""

    def setUp(self) -> None:
        self.folder = Path(self.mktemp()).absolute()
        self.folder.mkdir()

    def run_script(self, script: str, **more: object) -> run.Result:
        """A group that is this Python script."""
        command = [sys.executable, "-X", "faulthandler", "-u", "-c", script]
        return Run(self.folder, command=lambda *_: command, **more).group(0, GROUP)  # type: ignore[arg-type]

    def test_trial_runs(self) -> None:
        """A group's tests are run by trial, each is timed, and nothing is left where they wrote."""
        path = self.folder / "test_here.py"
        path.write_text(
            "from pathlib import Path\n"
            "from twisted.internet import reactor\n"
            "from twisted.trial.unittest import TestCase\n"
            "class HereTests(TestCase):\n"
            "    def test_good(self):\n"
            "        Path(self.mktemp()).touch()\n"
            "        assert 'asyncio' in repr(reactor)\n"
            "    def test_bad(self):\n"
            "        self.fail('as it must')\n"
        )
        folder = self.folder / "runs"
        folder.mkdir()
        result = Run(folder).group(0, Group("here", (str(path),), 0.0))
        self.assertEqual(result.counts, {"failures": 1, "successes": 1}, result.output)
        self.assertEqual(result.failed, 1)
        self.assertIn("as it must", result.output)
        names = {"test_here.HereTests.test_bad", "test_here.HereTests.test_good"}
        self.assertEqual(set(result.times), names)
        self.assertEqual(list(folder.iterdir()), [])

    def test_a_test_that_hangs(self) -> None:
        """It is killed and named, and the place where it hangs is shown."""
        output = self.folder / "0" / "output"
        script = (
            "import threading\n"
            "def stuck():\n"
            "    print('tests.a.test_b.C.test_d ... ', flush=True)\n"
            "    threading.Event().wait()\n"
            "stuck()\n"
        )

        def seconds() -> float:
            """No time passes until it hangs."""
            return 1e9 if output.exists() and output.read_text() else 0.0

        result = self.run_script(script, seconds=seconds, limit_s=5.0, poll_s=0.01)
        self.assertEqual(
            result.problem, "killed: no test ended for 5 s, in tests.a.test_b.C.test_d"
        )
        self.assertIn("in stuck", result.output)
        self.assertEqual(result.failed, 1)

    def test_nothing_is_left(self) -> None:
        """A program that a test started and forgot ends with the group."""
        script = (
            "import subprocess, sys\n"
            "one = subprocess.Popen([sys.executable, '-c', 'input()'], stdin=subprocess.PIPE)\n"
            "two = subprocess.Popen(['sleep', '600'])\n"
            "three = subprocess.Popen(['sleep', '600'], start_new_session=True)\n"
            "print(two.pid, three.pid)\n"
            "print('PASSED (successes=1)')\n"
        )
        result = self.run_script(script)
        self.assertEqual(result.problem, "")
        for pid in result.output.split()[:2]:
            stat = Path(f"/proc/{pid}/stat")
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                while stat.read_text().rpartition(")")[2].split()[0] not in "ZX":
                    pass  # it was sent the signal, and may take a moment to die

    def test_stopped(self) -> None:
        """Who stops the runner stops what it runs, and nothing begins afterwards."""
        output = self.folder / "0" / "output"
        script = "import time; print('begun', flush=True); time.sleep(3600)"
        runner = Run(self.folder, command=lambda *_: [sys.executable, "-c", script], poll_s=0.01)

        def seconds() -> float:
            """It is stopped as soon as the first has begun."""
            if output.exists() and output.read_text():
                runner.stop()
            return 0.0

        runner.seconds = seconds
        self.assertEqual([one.problem for one in runner.all([GROUP] * 3, 1)], ["stopped"] * 3)

    def test_the_whole_command(self) -> None:
        """Naming a test runs it, tells how it went and ends with trial's line."""
        out = io.StringIO()
        self.assertEqual(run.main(["tests.test_secret.SecretTests.test_printing"], out), 0)
        lines = out.getvalue().splitlines()
        self.assertRegex(lines[0], r"test_printing +1 passed +0 failed")
        self.assertEqual(lines[-1], "PASSED (successes=1)")
        self.assertNotIn("not run here", out.getvalue())
        self.assertNotIn("twisted.trial", out.getvalue())

    def test_everything_is_shown(self) -> None:
        """With -v groups that passed are shown like those that failed."""
        out = io.StringIO()
        run.main(["-v", "tests.test_secret.SecretTests.test_printing"], out)
        self.assertIn("$ python -m twisted.trial", out.getvalue())
        self.assertIn("SecretTests.test_printing ... [OK]", out.getvalue())

    def test_a_test_that_is_not_there(self) -> None:
        """A name that is wrong is a failure, shown with what trial says."""
        out = io.StringIO()
        self.assertEqual(run.main(["tests.test_nothing_here"], out), 1)
        self.assertIn("twisted.trial --force-gc", out.getvalue())
        self.assertIn("tests.test_nothing_here", out.getvalue())
        self.assertRegex(out.getvalue().splitlines()[-1], r"^FAILED \(errors=1")
