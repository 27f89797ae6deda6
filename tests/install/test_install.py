"""The README's first command leaves a gateway that talks: a wheel, not the checkout, in a folder elsewhere."""

import os
import shutil
import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from tests.gateway_process import GatewayProcess

ROOT = Path(__file__).resolve().parent.parent.parent
SPOKEN = "The gateway is listening."


class InstallTests(TestCase):
    def setUp(self) -> None:
        self.gateway = GatewayProcess(reactor)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.gateway.stop()))

    async def waav(self, *arguments: str) -> str:
        """What the installed command prints; it must not complain."""
        command = str(Path(sys.executable).with_name("waav"))
        out, err, code = await getProcessOutputAndValue(
            command, arguments, env=None, path=str(self.gateway.folder)
        )
        self.assertEqual((code, err), (0, b""))
        return out.decode()

    async def test_it_is_the_wheel(self) -> None:
        """Nothing of this test runs from the checkout by accident."""
        where, _, _ = await getProcessOutputAndValue(
            sys.executable,
            ["-c", "import waav; print(waav.__file__)"],
            env=None,
            path=str(self.gateway.folder),
        )
        self.assertIn("site-packages", where.decode())

    async def test_it_talks_and_listens(self) -> None:
        """``waav serve``, ``waav say`` and ``waav listen`` work for somebody who only installed it (F-301)."""
        await self.gateway.started()
        url = f"http://127.0.0.1:{self.gateway.port}"
        await self.waav("say", "--url", url, SPOKEN, "-o", "a.wav")
        self.assertEqual((await self.waav("listen", "--url", url, "a.wav")).strip(), SPOKEN)

    async def test_twistd_finds_the_plugin(self) -> None:
        """``twistd waav --help`` works outside a checkout."""
        twistd = str(Path(sys.executable).with_name("twistd"))
        out, _, code = await getProcessOutputAndValue(
            twistd, ["waav", "--help"], env=None, path=str(self.gateway.folder)
        )
        self.assertEqual(code, 0)
        self.assertIn("waav", out.decode())

    async def test_nothing_else_is_installed(self) -> None:
        """The package has the checkout's modules, and none that an earlier build left behind."""
        code = "from importlib.metadata import files; print(*files('waav'), sep='\\n')"
        out, _, _ = await getProcessOutputAndValue(
            sys.executable, ["-c", code], env=None, path=str(self.gateway.folder)
        )
        installed = {line for line in out.decode().splitlines() if line.endswith(".py")}
        here = [*ROOT.glob("waav/**/*.py"), *ROOT.glob("twisted/**/*.py")]
        self.assertEqual(installed, {str(path.relative_to(ROOT)) for path in here})


class EditableTests(TestCase):
    async def run_quietly(self, *command: str) -> None:
        """Run a program that must succeed."""
        out, err, code = await getProcessOutputAndValue(command[0], command[1:], env=os.environ)
        self.assertEqual(code, 0, (out + err).decode(errors="replace"))

    async def test_serve(self) -> None:
        """After ``pip install -e .``, as the README tells developers, ``waav serve`` runs the checkout, anywhere."""
        folder = Path(self.mktemp()).absolute()
        checkout = folder / "checkout"
        left_out = shutil.ignore_patterns(
            ".*", "_trial_temp*", "build", "*.egg-info", "__pycache__"
        )
        shutil.copytree(ROOT, checkout, ignore=left_out)
        (checkout / "waav" / "__init__.py").write_text(
            '"""Changed."""\n__version__ = "2.0.1.dev7"\n'
        )
        await self.run_quietly(sys.executable, "-m", "venv", str(folder / "venv"))
        pip = (str(folder / "venv" / "bin" / "python"), "-m", "pip", "install", "-q")
        await self.run_quietly(*pip, "-e", str(checkout))
        waav = str(folder / "venv" / "bin" / "waav")
        gateway = GatewayProcess(reactor, [waav])
        self.addCleanup(lambda: Deferred.fromCoroutine(gateway.stop()))
        await gateway.started()
        out, _, _ = await getProcessOutputAndValue(waav, ["--version"], env=os.environ)
        self.assertEqual(out, b"waav 2.0.1.dev7\n")
        self.assertEqual(await gateway.stop(), 0)
