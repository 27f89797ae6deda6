"""Requests as bytes."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from waav.errors import ProviderError
from waav.links.http.outgoing import encode, origin_of
from waav.speech import wire


def encoded(
    method: str = "POST", url: str = "http://a.test/", body: bytes = b"", **headers: str
) -> bytes:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return encode("acme", wire.Request(method, url, named, body))


class EncodeTests(SynchronousTestCase):
    def test_one_piece(self) -> None:
        """Head and body leave together, so a request is one packet where it fits into one."""
        self.assertEqual(
            encoded(url="https://a.test/v1?x=%20&y=%7e", body=b"hi", Authorization="Token k"),
            b"POST /v1?x=%20&y=%7e HTTP/1.1\r\nHost: a.test\r\nAuthorization: Token k\r\n"
            b"User-Agent: waav\r\nAccept-Encoding: identity\r\nContent-Length: 2\r\n\r\nhi",
        )

    def test_addresses(self) -> None:
        """Hosts and ports are written as servers expect them; fragments and names before the host stay here."""
        for url, target, host in (
            ("http://a.test", "/", "a.test"),
            ("http://a.test:80/x", "/x", "a.test"),
            ("http://a.test:443/x", "/x", "a.test:443"),
            ("https://a.test:443/x", "/x", "a.test"),
            ("http://[::1]:8080/x#y", "/x", "[::1]:8080"),
            ("http://me:secret@a.test?x=1", "/?x=1", "a.test"),
            ("http://bücher.test/", "/", "xn--bcher-kva.test"),
        ):
            lines = encoded("GET", url).decode().split("\r\n")
            self.assertEqual(lines[:2], [f"GET {target} HTTP/1.1", f"Host: {host}"])

    def test_what_belongs_to_the_connection(self) -> None:
        """A provider cannot ask for compression, or frame the body otherwise; its user agent and host are kept."""
        lines = encoded(
            body=b"x",
            accept_encoding="gzip",
            Content_Length="99",
            Transfer_Encoding="chunked",
            Connection="close",
            User_Agent="mine",
            Host="b.test",
        ).decode()
        self.assertEqual(
            lines.split("\r\n")[1:],
            [
                "User-Agent: mine",
                "Host: b.test",
                "Accept-Encoding: identity",
                "Content-Length: 1",
                "",
                "x",
            ],
        )

    def test_empty_bodies(self) -> None:
        """Methods that usually have a body say that there is none."""
        self.assertIn(b"Content-Length: 0\r\n", encoded("POST"))
        self.assertNotIn(b"Content-Length", encoded("GET"))

    def test_injection(self) -> None:
        """Line ends in values, names, methods or addresses are refused, without repeating the value."""
        for wrong in (
            {"Authorization": "Token k\r\nX-Evil: hush"},
            {"Authorization": "Token hush\n"},
            {"Authorization": "hush\0"},
            {"Authorization": "hush \u2014"},
            {"X-Evil: hush\r\nX": "y"},
            {"": "hush"},
            {"method": "GET / hush"},
            {"url": "http://a.test/hush x"},
            {"url": "http://a.test/hush\u00fc"},
        ):
            error = self.assertRaises(ProviderError, lambda wrong=wrong: encoded(**wrong))
            self.assertNotIn("hush", str(error))

    @given(st.dictionaries(st.text(max_size=8), st.text(max_size=20)), st.text(max_size=20))
    def test_never_more_lines(self, headers: dict[str, str], path: str) -> None:
        """Whatever a request is made of, it has as many lines as headers and one body."""
        try:
            data = encode("acme", wire.Request("GET", f"http://a.test/{path}", headers))
        except ProviderError:
            return
        self.assertLessEqual(data.count(b"\n"), len(headers) + 5)
        self.assertTrue(data.endswith(b"\r\n\r\n"))
        self.assertEqual(data.count(b"\r\n\r\n"), 1)

    def test_origins(self) -> None:
        """Pools are told apart by scheme, host and port."""
        self.assertEqual(origin_of("https://A.test/x"), "https://a.test:443")
        self.assertEqual(origin_of("http://[::1]/x"), "http://[::1]:80")
