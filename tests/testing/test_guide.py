"""``docs/writing-a-provider.md``: what it shows is taken out of it and run, its own tests included."""

import atexit
import importlib
import re
import shutil
import sys
import tempfile
import tomllib
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

import twisted.plugins
from waav import __version__
from waav.registry import Registry
from waav.testing.player import Player
from waav.testing.recording import Recording

GUIDE = Path(__file__).parents[2] / "docs" / "writing-a-provider.md"
FILES = dict(re.findall(r"```\w+ file=(\S+)\n(.*?)```", GUIDE.read_text("utf-8"), re.DOTALL))

_folder = Path(tempfile.mkdtemp(prefix="waav-guide-"))
atexit.register(shutil.rmtree, _folder, ignore_errors=True)
for _name, _text in FILES.items():
    (_folder / _name).write_text(_text, "utf-8")
sys.path.insert(0, str(_folder))
_tests = importlib.import_module("test_acme")
sys.path.remove(str(_folder))

AcmeListenTests = _tests.AcmeListenTests
AcmeSpeakTests = _tests.AcmeSpeakTests
AcmeRulesTests = _tests.AcmeRulesTests


class GuideTests(SynchronousTestCase):
    def test_everything_is_there(self) -> None:
        """Following the guide yields a provider with recordings, rules and tests (F-318, STT-04)."""
        self.assertEqual(
            sorted(FILES),
            [
                "acme-broken.jsonl",
                "acme-listen.jsonl",
                "acme-refused.jsonl",
                "acme-speak.jsonl",
                "acme.py",
                "acme.rules.json",
                "pyproject.toml",
                "test_acme.py",
            ],
        )

    def test_the_distribution(self) -> None:
        """The guide's pyproject.toml is whole: it names what builds it, what it needs, and the folder of the plugin."""
        project = tomllib.loads(FILES["pyproject.toml"])
        self.assertEqual(project["tool"]["setuptools"]["packages"], ["twisted.plugins"])
        (needs,) = project["project"]["dependencies"]
        self.assertEqual(needs, f"waav >= {__version__.partition('.')[0]}")
        self.assertIn("requires-python", project["project"])

    def test_the_command(self) -> None:
        """The command that runs the tests names the reactor that the gateway runs on."""
        self.assertIn("twisted.trial --reactor=asyncio test_acme", GUIDE.read_text("utf-8"))

    def test_found_as_a_plugin(self) -> None:
        """The module of the guide, put where it says, is found under its alias and does what was recorded (F-318, F-327)."""
        folder = Path(self.mktemp()) / "twisted" / "plugins"
        folder.mkdir(parents=True)
        (folder / "acme.py").write_text(FILES["acme.py"], "utf-8")
        self.patch(twisted.plugins, "__path__", [*twisted.plugins.__path__, str(folder.resolve())])
        self.addCleanup(sys.modules.pop, "twisted.plugins.acme", None)
        acme = Registry.discover().find("Acme-Speech")
        self.assertEqual(acme.title, "Acme")
        for name, text in FILES.items():
            if name.endswith(".jsonl"):
                Player(Recording.read(name.removesuffix(".jsonl"), text), acme).play()
