"""The manual and the files around the code say what is so."""

import ast
import re
import subprocess
import tomllib
from configparser import ConfigParser
from functools import cache
from importlib.metadata import metadata
from itertools import pairwise
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from waav import __version__

ROOT = Path(__file__).parent.parent
ELSEWHERE = {
    "Another twistd server is running",
    "waav needs Python 3.11 or later; this is Python ...",
    "... requires a different Python: ...",
}
"""Texts of Twisted, of ``setup.py`` and of pip."""


def quoted() -> list[str]:
    """The messages that the troubleshooting page explains, as they stand there."""
    lines = (ROOT / "docs" / "troubleshooting.md").read_text().splitlines()
    titles = [above for above, line in pairwise(lines) if line.startswith(": ")]
    return [text for title in titles for text in re.findall(r"`([^`]+)`", title)]


GAP = "\N{BLACK SQUARE}"
"""Stands for what is filled in."""


def text_of(node: ast.expr) -> str:
    """A literal with its gaps; those of log formats are in braces."""
    if isinstance(node, ast.JoinedStr):
        return "".join(map(text_of, node.values))
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return re.sub(r"\{[a-z_.:0-9]+\}", GAP, node.value)
    return GAP


@cache
def literals() -> dict[str, re.Pattern[str]]:
    """Every text in the package that says something, and what it can look like."""
    trees = [ast.parse(path.read_text()) for path in (ROOT / "waav").rglob("*.py")]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    texts = {text_of(node) for node in nodes if isinstance(node, ast.JoinedStr | ast.Constant)}
    return {text: like(text.split(GAP)) for text in texts if len(text.replace(GAP, "")) >= 8}


def like(parts: list[str]) -> re.Pattern[str]:
    """What a text of these parts can look like, whatever stands between and before them."""
    return re.compile("(.*: )?" + ".*".join(map(re.escape, parts)), re.DOTALL)


def is_said(message: str) -> bool:
    """Whether one of the texts can look like the message, where either has gaps."""
    wanted = like(message.split("..."))
    return any(wanted.fullmatch(text) or one.fullmatch(message) for text, one in literals().items())


class TroubleshootingTests(SynchronousTestCase):
    def test_every_text_is_one_of_ours(self) -> None:
        """Each message that the page explains is one that the gateway or the command gives."""
        messages = set(quoted()) - ELSEWHERE
        self.assertGreater(len(messages), 20)
        wrong = [text for text in messages if not is_said(text)]
        self.assertEqual(wrong, [])

    def test_the_rule_finds_what_nobody_says(self) -> None:
        """A text that is like one of ours but not one is found."""
        for text in ("cannot hear on tcp:1", "there is no noise in it", "this is no WAV"):
            self.assertFalse(is_said(text), text)


class ReleaseTests(SynchronousTestCase):
    def test_the_changelog_begins_with_this_version(self) -> None:
        """The top entry of the changelog is the version that --version prints (F-323, OPS-02)."""
        text = (ROOT / "CHANGELOG.md").read_text()
        self.assertEqual(re.findall(r"^## ([^ \n]+)", text, re.MULTILINE)[0], __version__)

    def test_news_can_be_collected(self) -> None:
        """Every piece of news has a name that the release tool collects, and says something."""
        settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["towncrier"]
        self.assertEqual(settings["filename"], "CHANGELOG.md")
        self.assertIn(settings["start_string"], (ROOT / "CHANGELOG.md").read_text())
        kinds = "|".join(kind["directory"] for kind in settings["type"])
        news = sorted((ROOT / settings["directory"]).iterdir())
        self.assertTrue(news)
        for path in news:
            self.assertRegex(path.name, rf"^(\d+|\+[a-z]+)\.({kinds})(\.\d+)?\.md$")
            self.assertRegex(path.read_text(), r"^[A-Z`].*\.\n$")

    def test_the_licence(self) -> None:
        """The licence file is the Apache License 2.0, and the package's metadata says so (F-324)."""
        text = (ROOT / "LICENSE").read_text()
        self.assertRegex(text, r"^\s*Apache License\s+Version 2\.0, January 2004\s")
        self.assertIn("END OF TERMS AND CONDITIONS", text)
        settings = ConfigParser()
        settings.read(ROOT / "setup.cfg")
        self.assertEqual(settings["metadata"]["license"], "Apache-2.0")
        self.assertEqual(settings["metadata"]["license_files"], "LICENSE")
        about = metadata("waav")
        self.assertEqual(about.get("License-Expression") or about.get("License"), "Apache-2.0")


class IgnoreTests(SynchronousTestCase):
    def ignored(self, names: list[str]) -> set[str]:
        """Those of the names that version control leaves alone."""
        done = subprocess.run(
            ["git", "check-ignore", "--no-index", "--stdin"],
            cwd=ROOT,
            input="\n".join(names),
            capture_output=True,
            text=True,
            check=False,
        )
        self.assertIn(done.returncode, (0, 1), done.stderr)
        return set(done.stdout.splitlines())

    def test_what_must_stay_out(self) -> None:
        """Secrets, models, caches and what is built never get into version control (F-339, OPS-01)."""
        names = [
            ".env",
            "etc/.env",
            "config.yaml",
            "etc/config.yaml",
            "models/smart-turn-v3.2-cpu.onnx",
            "deep/in/a/model.onnx",
            "model.ort",
            "cache/entry",
            "waav/__pycache__/cli.cpython-311.pyc",
            "twisted/plugins/dropin.cache",
            "waav.egg-info/PKG-INFO",
            "build/lib/x.py",
            "dist/waav.whl",
            ".venv/bin/python",
            "docs/_build/index.html",
            ".tox/py/x",
            "_trial_temp/test.log",
            ".mypy_cache/x",
            "waav.pid",
            "waav.log",
            "waav.log.1",
            "twistd.log",
            "speech.wav",
        ]
        self.assertEqual(set(names) - self.ignored(names), set())

    def test_what_must_not_stay_out(self) -> None:
        """The samples and every file of the package are not ignored (F-339)."""
        names = [
            str(path.relative_to(ROOT))
            for folder in ("waav", "tests", "etc", "docs")
            for path in (ROOT / folder).rglob("*")
            if path.suffix in (".py", ".md", ".yaml", ".sample", ".jsonl", ".js", ".css", ".html")
            and "_build" not in path.parts
        ]
        self.assertGreater(len(names), 150)
        self.assertEqual(self.ignored(names), set())
