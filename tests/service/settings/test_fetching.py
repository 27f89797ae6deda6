"""Settings of where models are fetched from, as ``waav init`` obeys them."""

import hashlib
import io
import sys
from pathlib import Path

from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import TestCase
from twisted.web.resource import Resource
from twisted.web.server import Request, Site

from waav.cli.main import main

MODEL = b"a model of no use"


class Index(Resource):
    """A web server that has one file, whatever it is called, and notes what it is asked for."""

    isLeaf = True

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[bytes] = []

    def render_GET(self, request: Request) -> bytes:
        self.asked.append(request.path)
        return MODEL


class FetchingTests(TestCase):
    def setUp(self) -> None:
        self.index = Index()
        port = reactor.listenTCP(0, Site(self.index), interface="127.0.0.1")  # type: ignore[attr-defined]
        self.addCleanup(port.stopListening)
        self.url = f"http://127.0.0.1:{port.getHost().port}"
        self.models = Path(self.mktemp()).absolute()

    async def init(self, text: str) -> tuple[int, str]:
        """``waav init`` with this configuration: its exit code, and what it says."""
        path = Path(self.mktemp())
        path.write_text(text)
        err = io.StringIO()
        self.patch(sys, "stderr", err)
        code = await deferToThread(main, ["init", "-c", str(path), "--env-file", self.mktemp()])
        return code, err.getvalue()

    async def test_index(self) -> None:
        """models.index_url: packages are looked for there."""
        code, said = await self.init(
            f"models: {{path: {self.models}, index_url: '{self.url}/simple'}}\n"
            "turn_detection: {enabled: true}"
        )
        self.assertEqual(self.index.asked, [b"/simple/pipecat-ai/"])
        self.assertEqual(code, 1)
        self.assertIn("has no pipecat_ai", said)

    async def test_offline(self) -> None:
        """models.offline: nobody is asked for anything."""
        code, said = await self.init(
            f"models: {{path: {self.models}, index_url: '{self.url}', offline: true}}\n"
            "turn_detection: {enabled: true}"
        )
        self.assertEqual((code, self.index.asked), (1, []))
        self.assertIn("models.offline forbids fetching", said)

    async def fetched(self, digest: str) -> tuple[int, str]:
        """``waav init`` for a turn model of the operator's own."""
        return await self.init(
            f"models: {{path: {self.models}}}\n"
            f"turn_detection: {{enabled: true, source: '{self.url}/own.onnx', sha256: {digest}}}"
        )

    async def test_source(self) -> None:
        """turn_detection.source: the model is fetched from there."""
        code, _ = await self.fetched(hashlib.sha256(MODEL).hexdigest())
        self.assertEqual((code, self.index.asked), (0, [b"/own.onnx"]))
        self.assertEqual((self.models / "smart-turn-v3.2-cpu.onnx").read_bytes(), MODEL)

    async def test_digest(self) -> None:
        """turn_detection.sha256: a file of other content is not kept."""
        code, said = await self.fetched("0" * 64)
        self.assertEqual(code, 1)
        self.assertIn("expected 000000000000", said)
        self.assertEqual(list(self.models.glob("*.onnx")), [])
