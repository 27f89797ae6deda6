"""What the documentation has plugin authors import is public, and says what it is (docs/stable.md)."""

import ast
import re
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType

from twisted.trial.unittest import SynchronousTestCase

ROOT = Path(__file__).parent.parent
BLOCK = re.compile(r"^```python[^\n]*\n(.*?)^```", re.MULTILINE | re.DOTALL)


def shown() -> Iterator[tuple[str, str]]:
    """Every piece of Python that people are shown: where it stands, and its text."""
    for page in [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]:
        for found in BLOCK.finditer(page.read_text("utf-8")):
            yield page.name, found[1]
    for path in sorted((ROOT / "examples").rglob("*.py")):
        yield str(path.relative_to(ROOT)), path.read_text("utf-8")


def imported(code: str) -> Iterator[str]:
    """The dotted names of ours that code imports."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            yield from (one.name for one in node.names if one.name.split(".")[0] == "waav")
        elif isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "waav":
            yield from (f"{node.module}.{one.name}" for one in node.names)


def promised() -> list[str]:
    """The modules of the table."""
    page = (ROOT / "docs" / "stable.md").read_text("utf-8")
    return re.findall(r"^\| `(waav[\w.]*)` \|", page, re.MULTILINE)


class StableTests(SynchronousTestCase):
    def test_examples_use_what_is_promised(self) -> None:
        """No example has people import a private name, or a module that is not promised to stay."""
        modules = promised()
        names = [(where, name) for where, code in shown() for name in imported(code)]
        self.assertTrue(names)
        for where, name in names:
            self.assertFalse(
                any(part.startswith("_") for part in name.split(".")), f"{where}: {name}"
            )
            self.assertTrue(
                name in modules or name.rpartition(".")[0] in modules, f"{where}: {name}"
            )

    def test_the_rule_finds_what_it_forbids(self) -> None:
        """Imports are seen whichever way they are written."""
        code = "import waav._x\nfrom waav.speech import _y, wire\nimport json\n"
        self.assertEqual(list(imported(code)), ["waav._x", "waav.speech._y", "waav.speech.wire"])

    def test_promised_names_say_what_they_are(self) -> None:
        """Every public class and function of a promised module has a docstring, as has every method of one."""
        wrong = []
        for name in promised():
            module = import_module(name)
            wrong += [name] if not module.__doc__ else []
            wrong += [f"{name}.{what}" for what in undocumented(module)]
        self.assertEqual(wrong, [])


def undocumented(module: ModuleType) -> Iterator[str]:
    """Public functions and classes without a docstring, and public methods that are no part of a documented protocol."""
    assert module.__file__ is not None
    for node in ast.parse(Path(module.__file__).read_text("utf-8")).body:
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        if node.name.startswith("_"):
            continue
        if not ast.get_docstring(node):
            yield node.name
        if isinstance(node, ast.ClassDef):
            yield from (
                f"{node.name}.{method.name}"
                for method in node.body
                if isinstance(method, ast.FunctionDef)
                and not method.name.startswith(("_", "test", "setUp", "tearDown"))
                and not ast.get_docstring(method)
            )
