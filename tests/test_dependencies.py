"""What is installed is used, what is used is installed, and the manual says what it costs."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from configparser import ConfigParser
from functools import cache
from importlib.metadata import packages_distributions
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parent.parent
EXTRAS_FOR_USERS = ("files", "livekit")
"""The other extras are for those who work on the gateway."""

LATER = {"livekit", "livekit-api"}
"""Declared before their first user: what waav will need for rooms."""


def canonical(name: str) -> str:
    """A distribution's name as it is compared."""
    return re.sub(r"[-_.]+", "-", name).lower()


def declared(text: str) -> set[str]:
    """The distributions of a list of requirements."""
    return {
        canonical(re.split(r"[\[<>=!~; ]", line.strip())[0])
        for line in text.splitlines()
        if line.strip()
    }


def imports(tree: ast.AST) -> Iterator[tuple[str, bool]]:
    """The packages that a module imports, and whether it does as soon as it is imported itself."""
    later = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef | ast.AsyncFunctionDef)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name.split(".")[0], id(node) not in later
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").split(".")[0], id(node) not in later


@cache
def imported() -> dict[str, tuple[set[str], bool]]:
    """What the gateway imports: the distributions that may bring each package, and whether it starts with it."""
    made_of = packages_distributions()
    own = {"waav", *sys.stdlib_module_names}
    found: dict[str, tuple[set[str], bool]] = {}
    for path in [*(ROOT / "waav").rglob("*.py"), *(ROOT / "twisted").rglob("*.py")]:
        for package, is_at_once in imports(ast.parse(path.read_text("utf-8"))):
            if package not in own:
                distributions = {canonical(one) for one in made_of.get(package, [package])}
                before = found.get(package, (set(), False))[1]
                found[package] = (distributions, before or is_at_once)
    return found


class DependencyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.setup_cfg = ConfigParser()
        self.setup_cfg.read(ROOT / "setup.cfg")
        self.always = declared(self.setup_cfg["options"]["install_requires"])
        self.some: set[str] = set()
        for name in EXTRAS_FOR_USERS:
            self.some |= declared(self.setup_cfg["options.extras_require"][name])

    def test_what_is_installed_is_used(self) -> None:
        """Nobody downloads what the gateway never imports."""
        used: set[str] = set().union(*(found for found, _ in imported().values()))
        self.assertEqual(self.always - used, set())
        self.assertEqual(self.some - used, LATER)

    def test_what_is_used_is_installed(self) -> None:
        """Whatever the gateway imports is declared, not only brought along by something else; what only some
        have is imported when it is needed."""
        for package, (distributions, is_at_once) in imported().items():
            there = self.always if is_at_once else self.always | self.some
            self.assertTrue(distributions & there, package)

    def test_the_manual_says_what_for(self) -> None:
        """The page about dependencies has a row for each, and none for what is gone."""
        page = (ROOT / "docs" / "dependencies.md").read_text("utf-8")
        rows = [canonical(name) for name in re.findall(r"^\| `([\w.-]+)` \|", page, re.MULTILINE)]
        self.assertEqual(set(rows), self.always | self.some)
        self.assertEqual(len(rows), len(set(rows)))

    def test_the_least_python(self) -> None:
        """Who installs with an older Python is told which one it takes, before anything else can go wrong."""
        code = "import sys; sys.version_info = (3, 10, 13); exec(open('setup.py').read())"
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True
        )
        said = "waav needs Python 3.11 or later; this is Python 3.10\n"
        self.assertEqual((done.returncode, done.stdout, done.stderr), (1, "", said))
        self.assertEqual(self.setup_cfg["options"]["python_requires"], ">=3.11")
        self.assertIn("Python 3.11 or later", (ROOT / "docs" / "quickstart.md").read_text("utf-8"))


class RuleTests(SynchronousTestCase):
    def test_imports_are_seen(self) -> None:
        """Imports are found however they are written, and told apart by when they are done."""
        code = "import a.b\nfrom c.d import e\ndef f():\n    from g import h\ntry:\n    import i\nexcept: pass"
        found = [("a", True), ("c", True), ("g", False), ("i", True)]
        self.assertEqual(sorted(imports(ast.parse(code))), found)

    def test_requirements_are_read(self) -> None:
        """Versions, extras and conditions are no part of a name."""
        text = "\nTwisted[tls] >= 1\npy_yaml>=2,<3\nuv ; x == 'y'\nzope.interface\n"
        self.assertEqual(declared(text), {"twisted", "py-yaml", "uv", "zope-interface"})
