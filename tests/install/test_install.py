"""The README's first command leaves a gateway that talks: a wheel, not the checkout, in a folder elsewhere."""

import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from tests.gateway_process import GatewayProcess

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
