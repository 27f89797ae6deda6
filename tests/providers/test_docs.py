"""Every provider module has what belongs to it, and its documentation says what the code says.

When a test here fails after a change, its message is the text to put into ``docs/providers.md``.
"""

from importlib import import_module
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase, TestCase

import waav.providers
from waav.registry import Registry
from waav.speech.provider import Provider
from waav.testing import rules
from waav.testing.contract import ListenContract, ProviderContract, SpeakContract
from waav.testing.recording import Recording

ROOT = Path(__file__).parents[2]
WIRE = ROOT / "tests" / "wire"
MODULES = sorted(
    path.stem
    for path in Path(waav.providers.__path__[0]).glob("[a-z]*")
    if path.suffix == ".py" or (path / "__init__.py").is_file()
)


def row(provider: Provider) -> str:
    """The provider's row of the table."""
    keys = [
        f"`{one.name}` ({one.env}){'' if one.is_required else ', optional'}"
        for one in provider.credentials
    ]
    cells = (
        f"`{provider.name}`",
        provider.title,
        ", ".join(f"`{alias}`" for alias in provider.aliases) or "none",
        f"`{provider.models['listen']}`" if provider.listen else "no",
        f"`{provider.models['speak']}`" if provider.speak else "no",
        ", ".join(keys) or "none",
        ", ".join(sorted(provider.capabilities)),
    )
    return f"| {' | '.join(cells)} |"


def section(provider: Provider) -> str:
    """The provider's options."""
    lines = [f"### `{provider.name}`", "", "| option | what it does |", "| --- | --- |"]
    lines += [f"| `{name}` | {text} |" for name, text in sorted(provider.options.items())]
    return "\n".join(lines)


class DocumentationTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.text = (ROOT / "docs" / "providers.md").read_text("utf-8")
        self.providers = Registry.discover()

    def test_rows(self) -> None:
        """The table has one row per provider, and it says what the code says (S-PLG-03)."""
        rows = [
            line
            for line in self.text.splitlines()
            if line.startswith("| `") and line.count("|") == 8
        ]
        wanted = [row(self.providers.find(name)) for name in MODULES]
        self.assertEqual(rows, wanted, "\n" + "\n".join(wanted))

    def test_options(self) -> None:
        """Every option of every provider is described (F-131)."""
        for name in MODULES:
            provider = self.providers.find(name)
            if provider.options:
                self.assertIn(section(provider), self.text, "\n" + section(provider))

    def test_no_option_of_nobody(self) -> None:
        """No option is described that does not exist."""
        known = {option for name in MODULES for option in self.providers.find(name).options}
        described = {
            line.split("`")[1]
            for line in self.text.splitlines()
            if line.startswith("| `") and line.count("|") == 3
        }
        self.assertEqual(described - known, set())


class BelongingsTests(SynchronousTestCase):
    """A new provider is its module, its test, its recordings and its row: nothing else, and nothing less."""

    def vendors(self) -> list[Provider]:
        """Those that are reached over a network."""
        found = [Registry.discover().find(name) for name in MODULES]
        return [provider for provider in found if provider.credentials]

    def test_module_is_the_vendor(self) -> None:
        """A module, its provider and the object in it have one name, so each is found from the other."""
        for name in MODULES:
            provider = getattr(import_module(f"waav.providers.{name}"), name)
            self.assertIs(Registry.discover().find(name), provider)
            self.assertEqual(provider.name, name)
        self.assertTrue(self.vendors())

    def test_recordings(self) -> None:
        """There is a recording for each verb, and each recording says where it is from."""
        for provider in self.vendors():
            verbs = {
                Recording.load(path).about["verb"] for path in WIRE.glob(f"{provider.name}-*.jsonl")
            }
            expected = {"listen"} if provider.listen else set()
            expected |= {"speak"} if provider.speak else set()
            self.assertEqual(verbs, expected, provider.name)

    def test_recordings_of_nobody(self) -> None:
        """No recording or rule is left behind by a vendor that is gone."""
        names = {path.name.partition("-")[0] for path in WIRE.glob("*.jsonl")}
        names |= {route.vendor for route in rules.load(WIRE)}
        self.assertEqual(names - set(MODULES), set())

    def test_contract(self) -> None:
        """Each verb of each vendor passes the one suite that all vendors pass, every test of it (F-174)."""
        for provider in self.vendors():
            module = import_module(f"tests.providers.test_{provider.name}")
            cases = [
                one
                for one in vars(module).values()
                if isinstance(one, type) and issubclass(one, ProviderContract)
            ]
            mine = [one for one in cases if getattr(one, "provider", None) is provider]
            for verb, contract in (
                (provider.listen, ListenContract),
                (provider.speak, SpeakContract),
            ):
                passing = [one for one in mine if issubclass(one, contract)]
                self.assertEqual(len(passing), verb is not None, f"{provider.name}: {contract}")
                for case in passing:
                    self.assertTrue(issubclass(case, TestCase), f"{case} is never run")
                    self.assertEqual(changed(case, contract), [], f"{case} is another suite")


def changed(case: type, contract: type) -> list[str]:
    """The tests of a contract that a case has in a form of its own."""
    return [
        name
        for name in dir(contract)
        if name.startswith("test_") and getattr(case, name) is not getattr(contract, name)
    ]
