"""``waav init --all``: every optional model there is, whatever the configuration switches on."""

import io
import platform
import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from tests.models import sounds
from waav.cli.main import main
from waav.models import fetch


class EmptyIndex(Resource):
    """A package index that has no package."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[bytes] = []

    def render_GET(self, request: Request) -> bytes:
        self.asked.append(request.path)
        return b"<html></html>"


class AllTests(TestCase):
    def setUp(self) -> None:
        self.index = EmptyIndex()
        port = reactor.listenTCP(0, Site(self.index), interface="127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        self.url = f"http://127.0.0.1:{port.getHost().port}/simple"

    async def init(self, models: str, *options: str) -> tuple[int, list[str]]:
        """``waav init`` where nothing is switched on: its exit code, and the lines it says."""
        path = Path(self.mktemp())
        path.write_text(f"models: {models}")
        err = io.StringIO()
        self.patch(sys, "stderr", err)
        arguments = ["init", "-c", str(path), "--env-file", self.mktemp(), *options]
        return await deferToThread(main, arguments), err.getvalue().splitlines()

    async def test_all_are_there(self) -> None:
        """When every model is there already, each is checked and named, and nobody is asked for anything (F-037)."""
        where = sounds.fetched()
        settings = f"{{path: {where}, index_url: '{self.url}'}}"
        code, said = await self.init(settings, "--all")
        self.assertEqual(
            (code, said),
            (0, [f"{name}: ready in {where}" for name in ("smart-turn", "dtln", "deepfilternet")]),
        )
        self.assertEqual(self.index.asked, [])

    async def test_without_it(self) -> None:
        """Without --all nothing is looked for, since nothing is switched on."""
        code, said = await self.init(f"{{path: {self.mktemp()}, index_url: '{self.url}'}}")
        self.assertEqual((code, len(said), self.index.asked), (0, 1, []))

    async def test_none_can_be_had(self) -> None:
        """Each that cannot be had is a line, the others are tried all the same, and the exit code is 1 (F-037)."""
        code, said = await self.init(f"{{path: {self.mktemp()}}}", "--all", "--index-url", self.url)
        self.assertEqual(code, 1)
        self.assertEqual(
            [line.split(":")[1] for line in said], [" smart-turn", " dtln", " deepfilternet"]
        )
        packages = (fetch.SMART_TURN.package, fetch.DTLN.package, fetch.deepfilternet().package)
        self.assertEqual(self.index.asked, [f"/simple/{package}/".encode() for package in packages])

    async def test_a_machine_that_not_all_are_made_for(self) -> None:
        """A filter that does not exist for this kind of processor is a line; the others are there, and that is enough."""
        where = sounds.fetched()
        self.patch(platform, "machine", lambda: "sparc64")
        code, said = await self.init(f"{{path: {where}}}", "--all")
        self.assertEqual((code, len(said)), (0, 3))
        self.assertIn("waav: DeepFilterNet exists for Linux on", said[0])
        self.assertIn("not on sparc64", said[0])
