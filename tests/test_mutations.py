"""The list of faults is in order, and the command that tries them tells the truth."""

import argparse
import ast
import io
import os
import re
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from bench import mutations
from bench.mutations import Mutation, Rotten

CODE = '''"""Sums."""


def total(numbers):
    found = 0
    for number in numbers:
        found += number
    return found


def last(numbers):
    return numbers[-1]
'''
TESTS = '''
from twisted.trial.unittest import SynchronousTestCase

from waav.sums import last, total


class SumTests(SynchronousTestCase):
    def test_total(self):
        """Sums are sums."""
        self.assertEqual(total([1, 2]), 3)

    def test_last(self):
        """It cannot fail."""
        last([1])
'''


def fault(
    old: str, new: str = "", tests: str = "tests.test_sums", path: str = "waav/sums.py"
) -> Mutation:
    """One of a toy's."""
    return Mutation("toy.txt:1", path, "sums are wrong", tuple(tests.split()), old, new)


class ListTests(SynchronousTestCase):
    """The faults of ``bench/mutants``."""

    def test_none_is_rotten(self) -> None:
        """Each can still be put into the code: the list is kept as the code changes."""
        wrong = []
        for one in mutations.read():
            try:
                one.into((mutations.ROOT / one.path).read_text())
            except (Rotten, OSError) as error:
                wrong.append(f"{one.place}: {error}")
        self.assertEqual(wrong, [])

    def test_enough(self) -> None:
        """There are many, none twice, of every room, and each says what is lost and names tests that exist."""
        found = mutations.read()
        self.assertGreaterEqual(len(found), 60)
        self.assertEqual(len({(one.path, one.old, one.new) for one in found}), len(found))
        for one in found:
            self.assertRegex(one.loss, r"^[\w'-].{15,}[^.]$", one.place)
            self.assertTrue(one.tests, one.place)
            for test in one.tests:
                path = mutations.ROOT / f"{mutations.module_of(test).replace('.', '/')}.py"
                self.assertTrue(path.is_file(), f"{one.place}: {test}")
                classes = {
                    each.name
                    for each in ast.parse(path.read_text()).body
                    if isinstance(each, ast.ClassDef)
                }
                self.assertLessEqual(set(re.findall(r"\.([A-Z]\w*)", test)), classes, one.place)
        rooms = {one.path.split("/")[1] for one in found if one.path.startswith("waav/")}
        there = {path.name for path in (mutations.ROOT / "waav").iterdir() if path.is_dir()}
        self.assertEqual(there - rooms - {"__pycache__"}, set())


class ParseTests(SynchronousTestCase):
    """How lists are written."""

    def test_a_fault(self) -> None:
        """Lines with a minus go, those with a plus come, others show where."""
        text = "# about sums\n\n@ waav/sums.py\n? sums are wrong\n! tests.a tests.b.CTests\n def f():\n-    a\n+    b\n-\n"
        (found,) = mutations.parse("toy.txt", text)
        self.assertEqual(
            found,
            Mutation(
                "toy.txt:3",
                "waav/sums.py",
                "sums are wrong",
                ("tests.a", "tests.b.CTests"),
                "def f():\n    a\n\n",
                "def f():\n    b\n",
            ),
        )

    def test_mistakes(self) -> None:
        """A list that is not written so is refused, and where is said."""
        for text, said in (
            ("-a\n", "toy.txt:1"),
            ("\n@ a\n! t\n? l\n-a\n", "toy.txt:2"),
            ("@ a\n? l\n! t\nxa\n", "'xa'"),
            ("@ a\n? l\n! t\n+a\n", "no line of the file"),
        ):
            error = self.assertRaises(
                ValueError, lambda text=text: list(mutations.parse("toy.txt", text))
            )
            self.assertIn(said, str(error))

    def test_modules(self) -> None:
        """A class names its module as well."""
        self.assertEqual(mutations.module_of("tests.a.test_b.CTests"), "tests.a.test_b")

    def test_rotten(self) -> None:
        """A fault is put in only where its text is there once, as whole lines, and makes other code of it."""
        self.assertIn("return 0", fault("    return found\n", "    return 0\n").into(CODE))
        for old, new, said in (
            ("    return lost\n", "", "not in waav/sums.py"),
            ("return found\n", "", "not in waav/sums.py"),
            ("    return found\n", "    return found\n", "changes nothing"),
            ("    return found\n", "    return (\n", "is no code"),
        ):
            error = self.assertRaises(Rotten, fault(old, new).into, CODE)
            self.assertIn(said, str(error))
        error = self.assertRaises(Rotten, fault("    return found\n").into, CODE * 2)
        self.assertIn("2 times in waav/sums.py", str(error))
        error = self.assertRaises(
            Rotten, fault('{"a": 1}\n', "{\n", path="a.json").into, '{"a": 1}\n'
        )
        self.assertIn("is no code", str(error))


class CommandTests(SynchronousTestCase):
    """``python -m bench mutations`` on a toy."""

    def setUp(self) -> None:
        self.root = Path(self.mktemp()).resolve()
        for name, text in {
            "waav/__init__.py": "",
            "waav/sums.py": CODE,
            "tests/__init__.py": "",
            "tests/test_sums.py": TESTS,
        }.items():
            path = self.root / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    def run_all(self, *faults: Mutation, limit_s: float = 30.0) -> tuple[int, str]:
        """Exit code and what is printed."""
        out = io.StringIO()
        before = self.files()
        code = mutations.run(faults, self.root, 2, out, limit_s=limit_s)
        self.assertEqual(self.files(), before, "the tree itself is left alone")
        return code, out.getvalue()

    def files(self) -> dict[str, bytes]:
        return {str(path): path.read_bytes() for path in self.root.rglob("*") if path.is_file()}

    def test_all_of_them(self) -> None:
        """What a test notices is killed, what none does is a survivor, what cannot be tried is told apart, and only 0 of both is well."""
        code, said = self.run_all(
            fault("        found += number\n", "        found -= number\n"),
            fault("    return numbers[-1]\n", "    return numbers[0]\n"),
            fault("    return lost\n"),
            fault("    found = 0\n", "    found = 1\n", "tests.test_nothing"),
            fault("def last(numbers):\n", "def least(numbers):\n"),
        )
        self.assertEqual(code, 1)
        self.assertRegex(said, r"killed .* \(by tests\.test_sums\.SumTests\.test_total\)")
        self.assertRegex(said, r"SURVIVED .* \(tests\.test_sums\)")
        self.assertRegex(said, r"ROTTEN .* \(its text is not in waav/sums\.py\)")
        self.assertRegex(said, r"ROTTEN .* \(tests\.test_nothing is no module of tests\)")
        self.assertRegex(said, r"ROTTEN .* \(its tests cannot even be imported\)")
        self.assertEqual(said.splitlines()[-1], "1 killed, 1 survived, 3 could not be applied")

    def test_well(self) -> None:
        """When all are killed, that is the last line, and the exit code is 0; each is put in alone."""
        code, said = self.run_all(
            fault("        found += number\n", "        found += 2 * number\n"),
            fault("    found = 0\n", "    found = 1\n", "tests.test_sums.SumTests"),
            fault("    return found\n", "    return -found\n"),
        )
        self.assertEqual((code, said.splitlines()[-1]), (0, "3 killed, 0 survived"), said)

    def test_without_an_end(self) -> None:
        """Tests that hang are ended by the time limit, and that is said; what they had started is gone too."""
        pid = self.root.parent / "pid"
        sleeper = "import subprocess, sys; started = subprocess.Popen(['sleep', '1000'])"
        endless = f"    {sleeper}; open({str(pid)!r}, 'w').write(str(started.pid)); sys.stdin\n    while True:\n        pass\n"
        code, said = self.run_all(fault("    found = 0\n", endless), limit_s=1.0)
        self.assertEqual(code, 0, said)
        self.assertRegex(said, r"killed .* \(by the time limit of \d+ s\)")
        self.assertFalse(is_running(int(pid.read_text())))

    def test_tests_that_fail_anyway(self) -> None:
        """Tests that fail without any fault prove nothing."""
        (self.root / "tests" / "test_sums.py").write_text(TESTS.replace(", 3)", ", 4)"))
        code, said = self.run_all(fault("    found = 0\n", "    found = 1\n"))
        self.assertEqual(code, 1)
        self.assertIn("these fail without any fault: tests.test_sums", said)
        self.assertIn("0 killed, 0 survived, 1 could not be applied", said)

    def test_nothing_chosen(self) -> None:
        """Where a text that nobody has chooses none, the command does not say that all is well."""
        self.assertEqual(self.run_all()[0], 1)

    def test_choice(self) -> None:
        """A part of the file's name, of the loss or of a test chooses; a list shows them and tries none."""
        found = mutations.read()
        for text in (found[0].path, found[0].loss.upper()[:20], found[0].tests[0]):
            self.assertIn(found[0], mutations.chosen(found, text))
        self.assertEqual(mutations.chosen(found, "no such text"), [])
        self.assertEqual(mutations.chosen(found, ""), found)
        parser = argparse.ArgumentParser()
        mutations.arguments(parser)
        out = io.StringIO()
        self.patch(mutations.sys, "stdout", out)
        self.assertEqual(mutations.main(parser.parse_args(["--list", "--only", found[0].path])), 0)
        self.assertIn(found[0].title, out.getvalue())


def is_running(pid: int) -> bool:
    """Whether there is such a process, and it is not only remembered."""
    try:
        os.kill(pid, 0)
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False
