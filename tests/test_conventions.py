"""Habits of the code that a tool can see (docs/rooms.md)."""

import ast
import re
import subprocess
from collections.abc import Iterator
from configparser import ConfigParser
from dataclasses import dataclass
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests import run

ROOT = Path(__file__).parent.parent

VAGUE_CLASS = re.compile(r"(Manager|Handler|Processor|Helper|Util|Utils|Base)$")
"""Words that say that something is done, not what (style.md 1.3)."""

VAGUE_FILES = {
    "utils",
    "util",
    "helpers",
    "helper",
    "common",
    "manager",
    "handler",
    "handlers",
    "core",
}


def modules(*folders: str) -> Iterator[tuple[Path, ast.Module]]:
    for folder in folders:
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield path, ast.parse(path.read_text())


def classes(tree: ast.AST) -> Iterator[ast.ClassDef]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.ClassDef))


def base_names(node: ast.ClassDef) -> list[str]:
    return [ast.unparse(base).split(".")[-1].split("[")[0] for base in node.bases]


class NameTests(SynchronousTestCase):
    def test_names_say_what_a_thing_is(self) -> None:
        """No file and no class is named for merely doing something."""
        wrong = []
        for path, tree in modules("waav"):
            if path.stem in VAGUE_FILES:
                wrong.append(str(path))
            wrong += [
                f"{path}: {one.name}" for one in classes(tree) if VAGUE_CLASS.search(one.name)
            ]
        self.assertEqual(wrong, [])


ELSEWHERE = re.compile(
    r"\b(contract(\.md)? \d|style\.md|subsystems(\.md)? \d|subsystems\.md|providers-(stt|tts)|S-[A-Z]+-\d"
    r"|(F|D|X|L)-\d{2,3}|(AUTH|CACHE|CFG|DAG|EMO|LK|NF|OPS|PLG|SIP|SPK|SRV|STT|TTS|TURN|VM|WS)(-[A-Z]{2,4})?-\d{2})\b"
)
"""Documents and numbered rules that readers of this repository do not have."""


class CommentTests(SynchronousTestCase):
    def test_comments_stand_alone(self) -> None:
        """Comments and docstrings of the code give the reason themselves, or a page under docs/; none cites a paper
        that is not in this repository. (Tests name ids: that is how it is known what they decide.)"""
        wrong = [
            f"{path}:{number} {found[0]}"
            for folder in ("waav", "twisted", "bench", "etc", ".ci")
            for path in sorted((ROOT / folder).rglob("*"))
            if path.suffix in (".py", ".js", ".css", ".html", ".yaml", "") and path.is_file()
            for number, line in enumerate(path.read_text(errors="replace").splitlines(), 1)
            if (found := ELSEWHERE.search(line))
        ]
        self.assertEqual(wrong, [])

    def test_the_rule_finds_what_it_forbids(self) -> None:
        """Each kind of citation is seen, and words that look alike are left alone."""
        for text in ("contract 3.9", "see style.md", "(S-VM-60)", "D-40", "F-012", "STT-DG-02"):
            self.assertTrue(ELSEWHERE.search(text), text)
        for text in ("UTF-8", "ISO-8859", "MP3-1", "a contract test", "RFC 6455"):
            self.assertFalse(ELSEWHERE.search(text), text)


@dataclass(frozen=True, slots=True)
class Names:
    """What the names of a file are: its classes with their bases, and the modules of ours that others come from."""

    bases: dict[str, list[str]]
    imports: dict[str, str]

    @classmethod
    def of(cls, tree: ast.Module) -> "Names":
        """Read them from the source."""
        return cls(
            {one.name: base_names(one) for one in classes(tree)},
            {
                alias.name: node.module or ""
                for node in ast.walk(tree)
                if isinstance(node, ast.ImportFrom)
                for alias in node.names
            },
        )


def ancestors(name: str, module: str, known: dict[str, Names]) -> set[str]:
    """The names of all classes that a class of that module is made from, itself included."""
    found = {name}
    if module in known:
        for base in known[module].bases.get(name, ()):
            found |= ancestors(base, module, known)
        if name in known[module].imports:
            found |= ancestors(name, known[module].imports[name], known)
    return found


def never_awaited(trees: dict[str, ast.Module]) -> list[str]:
    """The tests that pass without running: those that are coroutines of a case that waits for none."""
    known = {module: Names.of(tree) for module, tree in trees.items()}
    return [
        f"{module}.{one.name}.{method.name}"
        for module, tree in trees.items()
        for one in classes(tree)
        for method in one.body
        if isinstance(method, ast.AsyncFunctionDef)
        and method.name.startswith(("test", "setUp", "tearDown"))
        and "SynchronousTestCase" in ancestors(one.name, module, known)
    ]


class CoroutineTests(SynchronousTestCase):
    def test_async_tests_are_run(self) -> None:
        """An ``async def`` test of a SynchronousTestCase would pass without running; there is none."""
        trees = {
            ".".join(path.relative_to(ROOT).with_suffix("").parts): tree
            for path, tree in modules("tests", "waav/testing")
        }
        self.assertEqual(never_awaited(trees), [])

    def test_the_rule_finds_what_it_forbids(self) -> None:
        """The rule above sees an async test, also where the case is inherited, from another module too."""
        texts = {
            "a": "class A(SynchronousTestCase): ...\nclass B(A):\n    async def test_x(self): ...",
            "b": "from a import B\nclass C(B[int]):\n    async def setUp(self): ...",
            "c": "class D(TestCase):\n    async def test_y(self): ...",
        }
        trees = {name: ast.parse(text) for name, text in texts.items()}
        self.assertEqual(never_awaited(trees), ["a.B.test_x", "b.C.setUp"])

    def test_inline_callbacks_are_not_used(self) -> None:
        """There is one kind of coroutine: no inlineCallbacks, no returnValue, no ensureDeferred."""
        wrong = []
        for path, tree in modules("waav", "tests", "bench"):
            for node in ast.walk(tree):
                if isinstance(node, ast.ImportFrom | ast.Import):
                    for alias in node.names:
                        if alias.name.split(".")[-1] in ("inlineCallbacks", "returnValue"):
                            wrong.append(f"{path}:{node.lineno}")
                elif isinstance(node, ast.Attribute) and node.attr in (
                    "inlineCallbacks",
                    "returnValue",
                    "ensureDeferred",
                ):
                    wrong.append(f"{path}:{node.lineno}")
        self.assertEqual(wrong, [])


class TestTests(SynchronousTestCase):
    def test_every_test_says_what_a_user_would_notice(self) -> None:
        """Each test has a docstring."""
        wrong = [
            f"{path}:{node.lineno} {node.name}"
            for path, tree in modules("tests")
            for one in classes(tree)
            for node in one.body
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
            and node.name.startswith("test_")
            and not ast.get_docstring(node)
        ]
        self.assertEqual(wrong, [])

    def test_no_limit_by_the_clock(self) -> None:
        """No class of tests has a ``timeout`` of its own: it would be about what else the machine does; waiting is for
        tests/waiting.py."""
        wrong = [
            f"{path}: {one.name}"
            for path, tree in modules("tests")
            for one in classes(tree)
            for node in one.body
            if isinstance(node, ast.Assign | ast.AnnAssign)
            for target in (node.targets if isinstance(node, ast.Assign) else [node.target])
            if ast.unparse(target) == "timeout"
        ]
        self.assertEqual(wrong, [])

    def test_nothing_is_skipped(self) -> None:
        """No test is switched off."""
        wrong = []
        for path, tree in modules("tests"):
            for node in ast.walk(tree):
                names = {"skip", "todo", "skipIf", "skipUnless", "expectedFailure", "SkipTest"}
                target = node.attr if isinstance(node, ast.Attribute) else ""
                name = node.id if isinstance(node, ast.Name) else ""
                if names & {target, name}:
                    wrong.append(f"{path}:{getattr(node, 'lineno', 0)}")
        self.assertEqual(wrong, [])


def unimplemented(node: ast.AST, is_seam: bool = False) -> Iterator[str]:
    """Functions that are only there in name: they raise NotImplementedError, or owe a value and have no body.

    Seams (protocols, interfaces) are declarations; a function that returns nothing may have nothing to do.
    """
    for one in ast.iter_child_nodes(node):
        if isinstance(one, ast.Raise) and "NotImplemented" in ast.unparse(one):
            yield f"{one.lineno} {ast.unparse(one)}"
        elif isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and not is_seam:
            owes = one.returns is not None and ast.unparse(one.returns) != "None"
            if owes and all(isinstance(each, ast.Pass) or is_constant(each) for each in one.body):
                yield f"{one.lineno} {one.name}"
        if isinstance(one, ast.ClassDef):
            is_declaration = bool({"Protocol", "Interface"} & set(base_names(one)))
            yield from unimplemented(one, is_declaration)
        else:
            yield from unimplemented(one, is_seam)


def is_constant(node: ast.stmt) -> bool:
    """A docstring, or an ellipsis."""
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


class CompletenessTests(SynchronousTestCase):
    def test_nothing_is_a_stub(self) -> None:
        """No module that is shipped has a function without its body, and none is put off to a later day (STT-04)."""
        wrong = [f"{path}:{one}" for path, tree in modules("waav") for one in unimplemented(tree)]
        for path in (ROOT / "waav").rglob("*.py"):
            if found := re.search(r"\b(TODO|FIXME|XXX)\b", path.read_text()):
                wrong.append(f"{path}: {found[0]}")
        self.assertEqual(wrong, [])

    def test_the_rule_finds_what_it_forbids(self) -> None:
        """The rule sees a stub whatever it is made of, and lets seams be."""
        for text in (
            "def f():\n    raise NotImplementedError",
            "class A:\n    def f(self) -> list[int]:\n        '''Later.'''",
            "class A:\n    async def f(self) -> int: ...",
            "def f() -> int:\n    pass",
        ):
            self.assertEqual(len(list(unimplemented(ast.parse(text)))), 1, text)
        for text in (
            "class A(Protocol):\n    def f(self) -> int: ...",
            "class A(Protocol[T]):\n    @property\n    def f(self) -> int:\n        '''It.'''",
            "def f() -> None:\n    '''Nothing to do.'''",
            "def f() -> int:\n    return 1",
        ):
            self.assertEqual(list(unimplemented(ast.parse(text))), [], text)


class LogTests(SynchronousTestCase):
    METHODS = ("debug", "info", "warn", "error", "critical", "failure")

    def calls(self) -> Iterator[tuple[Path, ast.Call]]:
        for path, tree in modules("waav"):
            for node in ast.walk(tree):
                if (
                    isinstance(node, ast.Call)
                    and isinstance(node.func, ast.Attribute)
                    and node.func.attr in self.METHODS
                    and ast.unparse(node.func.value).endswith(("_log", "log"))
                ):
                    yield path, node

    def test_formats_are_constant(self) -> None:
        """A log call has a constant format with fields, so that redaction and levels cost nothing unused."""
        wrong = [
            f"{path}:{call.lineno}"
            for path, call in self.calls()
            if not call.args
            or not isinstance(call.args[0], ast.Constant | ast.Name)
            or isinstance(call.args[0], ast.JoinedStr)
        ]
        self.assertEqual(wrong, [])

    def test_what_was_said_is_not_logged(self) -> None:
        """No log call has a field for a text, a transcript, audio or a key (X-11)."""
        forbidden = {
            "text",
            "transcript",
            "audio",
            "data",
            "payload",
            "key",
            "token",
            "body",
            "pcm",
        }
        wrong = [
            f"{path}:{call.lineno} {word.arg}"
            for path, call in self.calls()
            for word in call.keywords
            if word.arg in forbidden
        ]
        self.assertEqual(wrong, [])


class SuiteTests(SynchronousTestCase):
    def test_every_test_is_run(self) -> None:
        """Each file of tests is in one of the groups that ``tox -e py`` runs, or in one left out on purpose."""
        there = {
            ".".join(path.relative_to(ROOT).with_suffix("").parts)
            for path in (ROOT / "tests").rglob("test_*.py")
        }
        groups = run.choose([], run.find_modules(), {})
        ran = [module for group in groups for module in group.tests]
        self.assertEqual(len(ran), len(set(ran)))
        left_out = {name for name in there - set(ran) if not name.startswith(tuple(run.EXCLUDED))}
        self.assertEqual(left_out, set())
        self.assertIn("commands = python -m tests.run {posargs}", (ROOT / "tox.ini").read_text())

    def test_what_is_left_out_has_its_own_command(self) -> None:
        """What ``tox -e py`` leaves out is run by another environment, which ``.ci/run`` runs."""
        tox = ConfigParser()
        tox.read(ROOT / "tox.ini")
        steps = (ROOT / ".ci" / "steps.py").read_text()
        for room, reason in run.EXCLUDED.items():
            name = room.removeprefix("tests.")
            self.assertTrue(tox[f"testenv:{name}"]["commands"].endswith(f" {room}"), room)
            self.assertTrue(reason.startswith(f"tox -e {name}: "), reason)
            self.assertIn(f'"{name}"', steps)


SECRET_SHAPES = re.compile(
    r"\bsk-[A-Za-z0-9_-]{32,}|\bAKIA[0-9A-Z]{16}\b|\bgh[pousr]_[A-Za-z0-9]{36}\b|\bAIza[0-9A-Za-z_-]{35}\b"
    r"|-----BEGIN (?:RSA |EC |OPENSSH )?PRIVATE KEY-----\n[A-Za-z0-9+/=]{40}"
    r"|\bxox[abpr]-[0-9A-Za-z-]{20,}|\beyJ[A-Za-z0-9_-]{20,}\.eyJ[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}"
    r"|(?i:api_?key|secret|token)[\"']?\s*[:=]\s*[\"']?[0-9a-f]{32,}\b"
)


class HygieneTests(SynchronousTestCase):
    def git(self, *arguments: str) -> str:
        done = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, check=True, errors="replace"
        )
        return str(done.stdout)

    def test_the_scan_finds_secrets(self) -> None:
        """The patterns recognise keys of the common shapes, and leave placeholders alone (OPS-01)."""
        for key in ("sk-" + "a1" * 20, "AKIA" + "A1" * 8, "DEEPGRAM_API_KEY=" + "0f" * 20):
            self.assertTrue(SECRET_SHAPES.search(key), key)
        for text in ("DEEPGRAM_API_KEY=your-key", "sk-test", "api_key: ''"):
            self.assertFalse(SECRET_SHAPES.search(text), text)

    def test_no_secret_is_in_the_files(self) -> None:
        """No file of the source tree holds what looks like a real key (OPS-01, S-CFG-53)."""
        wrong = []
        for path in (one for one in ROOT.rglob("*") if one.is_file()):
            relative = path.relative_to(ROOT)
            if relative.parts[0].startswith((".", "_trial")) or "__pycache__" in relative.parts:
                continue
            if path.stat().st_size < 1_000_000:
                found = SECRET_SHAPES.search(path.read_text(errors="replace"))
                if found:
                    wrong.append(f"{relative}: {found[0][:12]}...")
        self.assertEqual(wrong, [])

    def test_local_files_stay_out(self) -> None:
        """.env and config.yaml, where people keep their keys, are ignored by version control (OPS-01, F-028)."""
        ignored = (ROOT / ".gitignore").read_text().split()
        for name in (".env", "config.yaml", "dropin.cache"):
            self.assertIn(name, ignored)
            self.assertFalse((ROOT / "etc" / name).exists())


class VersionTests(SynchronousTestCase):
    def test_the_version_stands_in_one_place(self) -> None:
        """Package metadata and --version take it from waav/__init__.py; it is written nowhere else (OPS-02)."""
        from waav import __version__

        self.assertIn("version = attr: waav.__version__", (ROOT / "setup.cfg").read_text())
        wrong = [
            str(path)
            for path in [
                *(ROOT / "waav").rglob("*.py"),
                ROOT / "setup.cfg",
                ROOT / "pyproject.toml",
            ]
            if re.search(rf"(?<![\d.]){re.escape(__version__)}(?![\d.])", path.read_text())
            and path.name != "__init__.py"
        ]
        self.assertEqual(wrong, [])
