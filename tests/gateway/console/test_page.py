"""The files at ``/console``."""

from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.gateway import Gateway
from waav.gateway.console.page import Console, load
from waav.gateway.settings import ConsoleSettings, SecuritySettings

INDEX = (
    b'<link href="style.css"><script src="app.js"></script><a href="https://x/">x</a><a href="#a">'
)


class ConsoleTests(SynchronousTestCase):
    """``Console`` with a folder of its own."""

    def setUp(self) -> None:
        folder = Path(self.mktemp())
        (folder / "parts").mkdir(parents=True)
        (folder / "index.html").write_bytes(INDEX)
        (folder / "app.js").write_bytes(b"1")
        (folder / "parts" / "style.css").write_bytes(b"p{}")
        (folder / "notes.py").write_bytes(b"secret")
        self.gateway = Gateway(
            console=ConsoleSettings(enabled=True),
            security=SecuritySettings(rate_limit_burst_size=100),
        )
        self.gateway.site._children[b"console"] = Console(load(folder))
        self.client = self.gateway.client()

    def test_page(self) -> None:
        """The page is at /console and at /console/, without a redirect."""
        for path in ("/console/", "/console/index.html"):
            self.assertEqual(self.client.request("GET", path).body, INDEX)
        answer = self.client.request("GET", "/console")
        self.assertEqual(
            (answer.status, answer.headers["content-type"]), (200, "text/html; charset=utf-8")
        )
        self.assertIn(b'href="console/style.css"><script src="console/app.js"', answer.body)
        self.assertIn(b'<a href="https://x/">x</a><a href="#a">', answer.body)

    def test_files(self) -> None:
        """Each file has its type; below the folder too."""
        for path, kind, body in (
            ("app.js", "text/javascript; charset=utf-8", b"1"),
            ("parts/style.css", "text/css; charset=utf-8", b"p{}"),
        ):
            answer = self.client.request("GET", f"/console/{path}")
            self.assertEqual((answer.headers["content-type"], answer.body), (kind, body))

    def test_nothing_else(self) -> None:
        """Nothing outside the folder, and no file of a kind that pages do not have."""
        for path in (
            "notes.py",
            "nothing.js",
            "../console.py",
            "%2e%2e/console.py",
            "parts",
            "parts/",
        ):
            answer = self.client.request("GET", f"/console/{path}")
            self.assertEqual((path, answer.status), (path, 404))
            self.assertNotIn(b"import", answer.body)
        self.assertEqual(self.client.request("GET", "/consoles").status, 404)

    def test_policy(self) -> None:
        """The page can load nothing from elsewhere, and only itself may use the microphone."""
        headers = self.client.request("GET", "/console/").headers
        policy = headers["content-security-policy"]
        for part in (
            "default-src 'none'",
            "script-src 'self'",
            "connect-src 'self'",
            "frame-ancestors 'none'",
        ):
            self.assertIn(part, policy)
        self.assertNotIn("unsafe", policy)
        self.assertEqual(headers["permissions-policy"], "microphone=(self)")
        self.assertEqual(headers["x-content-type-options"], "nosniff")

    def test_unchanged(self) -> None:
        """A browser asks each time, and gets a file again only if it changed."""
        first = self.client.request("GET", "/console/app.js")
        self.assertEqual(first.headers["cache-control"], "no-cache")
        again = self.client.request(
            "GET", "/console/app.js", {"If-None-Match": first.headers["etag"]}
        )
        self.assertEqual((again.status, again.body), (304, b""))
        other = self.client.request("GET", "/console/", {"If-None-Match": first.headers["etag"]})
        self.assertEqual(other.status, 200)

    def test_methods(self) -> None:
        """Files can be read, nothing else."""
        self.assertEqual(
            self.client.request("HEAD", "/console/app.js").headers["content-length"], "1"
        )
        answer = self.client.request("POST", "/console/app.js")
        self.assertEqual((answer.status, answer.headers["allow"]), (405, "GET, HEAD"))

    def test_off(self) -> None:
        """Switched off, there is no page."""
        client = Gateway(console=ConsoleSettings(enabled=False)).client()
        self.assertEqual(client.request("GET", "/console").status, 404)

    def test_on(self) -> None:
        """Switched on, whatever is in the package's folder is served."""
        client = Gateway(console=ConsoleSettings(enabled=True)).client()
        for path, page in load().items():
            self.assertEqual(client.request("GET", f"/console{path}").body, page.body)

    def test_it_is_not_starved(self) -> None:
        """However small the burst limit: a reload gets every file, and what the page asks for then is let through."""
        one = SecuritySettings(rate_limit_burst_size=1, rate_limit_requests_per_second=1)
        client = Gateway(console=ConsoleSettings(enabled=True), security=one).client()
        for under in ("", "/api"):
            for path in load():
                self.assertEqual(client.request("GET", f"{under}/console{path}").status, 200)
        self.assertEqual(client.request("GET", "/providers").status, 200)

    def test_what_is_no_file_of_it_is_limited(self) -> None:
        """Paths that merely begin like the console's, and other methods, are counted as any other request."""
        one = SecuritySettings(rate_limit_burst_size=1, rate_limit_requests_per_second=1)
        for method, path in (("GET", "/console/nothing.js"), ("POST", "/console/app.js")):
            client = Gateway(console=ConsoleSettings(enabled=True), security=one).client()
            client.request(method, path)
            self.assertEqual(client.request("GET", "/providers").status, 429)
