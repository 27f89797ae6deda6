"""The registry: names, aliases, discovery."""

import sys
from pathlib import Path
from types import ModuleType

from twisted.trial.unittest import SynchronousTestCase

import twisted.plugins
import waav.providers
from waav.config.load import load
from waav.errors import BadRequest, ConfigError
from waav.registry import Registry
from waav.speech.provider import Provider

_PLUGIN = """
from waav.speech.provider import Provider

acme = Provider("acme", title="Acme", aliases=("coyote",), listen=lambda settings, account: None)
"""


def _nothing(settings: object, account: object) -> object:
    return None


class RegistryTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.acme = Provider(
            "acme", title="Acme", aliases=("Coyote", "acme-speech"), listen=_nothing
        )
        self.other = Provider("other", title="Other", speak=_nothing)
        self.registry = Registry([self.other, self.acme])

    def test_names_in_any_case(self) -> None:
        """A name or an alias is found however it is spelt, blanks around it included (F-126, D-14, S-PLG-01)."""
        for name in ("acme", "ACME", "Acme-Speech", "coyote", " COYOTE "):
            self.assertIs(self.registry.find(name), self.acme)

    def test_metadata(self) -> None:
        """What a provider says about itself can be read under any of its names (F-271)."""
        about = Provider(
            "about",
            title="About",
            aliases=("About-Speech",),
            speak=_nothing,
            capabilities=frozenset({"emotion"}),
            models={"speak": "about-1"},
            options={"pitch": "How high."},
            text_limit=300,
        )
        found = Registry([about, self.acme]).find("ABOUT-speech")
        self.assertEqual(
            (found.name, found.title, found.aliases), ("about", "About", ("About-Speech",))
        )
        self.assertEqual((found.capabilities, found.text_limit), (frozenset({"emotion"}), 300))
        self.assertEqual(
            (found.models, found.options), ({"speak": "about-1"}, {"pitch": "How high."})
        )

    def test_aliases_are_no_providers(self) -> None:
        """Each provider is listed once, under its main name (PLUG-01, S-PLG-01)."""
        self.assertEqual([one.name for one in self.registry.providers], ["acme", "other"])

    def test_unknown_name_lists_all(self) -> None:
        """Asking for a provider that does not exist tells which ones do (TTS-08, S-PLG-03)."""
        error = self.assertRaises(BadRequest, self.registry.find, "Nobody")
        self.assertEqual(error.message, "Unsupported provider: Nobody. Supported: acme, other")

    def test_two_owners_of_a_name(self) -> None:
        """Two providers cannot have one name; the error names both (S-PLG-02)."""
        for thief in (
            Provider("ACME", title="Thief"),
            Provider("thief", title="Thief", aliases=("coyote",)),
        ):
            error = self.assertRaises(ConfigError, Registry, [self.acme, thief])
            self.assertIn("Acme", error.message)
            self.assertIn("Thief", error.message)

    def test_same_object_twice(self) -> None:
        """A provider that two modules mention is no conflict."""
        self.assertEqual(Registry([self.acme, self.acme]).providers, (self.acme,))

    def test_by_verb(self) -> None:
        """Who recognises and who synthesises is told apart."""
        self.assertEqual(self.registry.listening(), (self.acme,))
        self.assertEqual(self.registry.speaking(), (self.other,))


def vendors() -> set[str]:
    """The names of our own vendors: modules, and folders of their verbs."""
    return {
        path.stem
        for path in Path(waav.providers.__path__[0]).glob("[a-z]*")
        if path.suffix == ".py" or (path / "__init__.py").is_file()
    }


class DiscoveryTests(SynchronousTestCase):
    def test_every_module_is_found(self) -> None:
        """Every vendor of ours, a module or a folder, is found without being listed anywhere (S-PLG-03)."""
        modules = vendors()
        self.assertEqual({one.name for one in Registry.discover().providers} & modules, modules)
        self.assertLessEqual({"deepgram", "local"}, modules)  # a folder, and a single file

    def test_nothing_else_names_a_vendor(self) -> None:
        """Adding a vendor touches its own module only: no other code of the gateway's rooms below config names one."""
        named = vendors() - {"local"}  # the built-in default of settings
        self.assertLessEqual({"deepgram", "openai"}, named)
        root = Path(waav.providers.__path__[0]).parent
        rooms = ("speech", "links", "graph", "session", "models", "testing")
        for path in [
            *(p for room in rooms for p in (root / room).rglob("*.py")),
            root / "registry.py",
        ]:
            code = "\n".join(
                line
                for line in path.read_text("utf-8").splitlines()
                if "import" in line or " == " in line
            )
            for vendor in named:
                self.assertNotIn(vendor, code.lower(), str(path))

    def test_outside_plugin(self) -> None:
        """A plugin of another distribution is found through ``twisted.plugins``, alias included (S-PLG-03)."""
        folder = Path(self.mktemp()) / "plugins"
        folder.mkdir(parents=True)
        (folder / "acme_speech.py").write_text(_PLUGIN)
        self.patch(twisted.plugins, "__path__", [*twisted.plugins.__path__, str(folder.resolve())])
        self.addCleanup(sys.modules.pop, "twisted.plugins.acme_speech", None)
        self.assertEqual(Registry.discover().find("coyote").title, "Acme")

    def test_broken_plugin(self) -> None:
        """A plugin that cannot be imported is one line with its file and the error; the others are there (S-PLG-03)."""
        folder = Path(self.mktemp()) / "plugins"
        folder.mkdir(parents=True)
        for name, text, line, said in (
            (
                "broken_speech.py",
                "\nimport there_is_no_such_module\n",
                2,
                "ModuleNotFoundError: No module named",
            ),
            ("broken_words.py", "x = 1\nthis is no Python\n", 2, "SyntaxError: invalid syntax"),
            ("broken_start.py", "import json\n\njson.loads('{')\n", 3, "JSONDecodeError: "),
            ("broken_exit.py", "raise SystemExit(3)\n", 1, "SystemExit: 3"),
        ):
            (folder / name).write_text(text)
            self.patch(
                twisted.plugins, "__path__", [*twisted.plugins.__path__, str(folder.resolve())]
            )
            registry = Registry.discover()
            self.assertEqual(registry.find("openai").name, "openai")
            (told,) = registry.broken
            self.assertIn(
                f"plugin {folder.resolve() / name} line {line} cannot be used: {said}", told
            )
            self.assertNotIn("\n", told)
            (folder / name).unlink()

    def test_broken_plugins_are_told_at_start(self) -> None:
        """What is wrong with a plugin is among the notices that check prints and the log begins with."""
        broken = Registry(Registry.discover().providers, ["plugin x.py cannot be used: why"])
        loaded = load(broken)
        self.assertIn("plugin x.py cannot be used: why", loaded.notices)

    def test_no_provider_at_all(self) -> None:
        """Something that only claims to be a provider is refused by name."""
        module = ModuleType("impostor")
        self.assertRaises(ConfigError, lambda: Registry(_checked([module])))


def _checked(found: list[object]) -> list[Provider]:
    from waav.registry import _implementations

    return list(_implementations(found))
