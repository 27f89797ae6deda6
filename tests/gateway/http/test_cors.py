"""Which web pages may use the gateway."""

from twisted.trial.unittest import SynchronousTestCase

from waav.errors import ConfigError
from waav.gateway.http.cors import Cors

PAGE = "https://shop.example"


class CorsTests(SynchronousTestCase):
    """``Cors``: the three ways of ``security.cors_allowed_origins``."""

    def test_unset(self) -> None:
        """No other origin is allowed; the preflight names three methods (S-CFG-32, F-045)."""
        cors = Cors(None)
        self.assertEqual(cors.headers(PAGE), [])
        answer = dict(cors.preflight(PAGE))
        self.assertNotIn("access-control-allow-origin", answer)
        self.assertEqual(answer["access-control-allow-methods"], "GET, POST, OPTIONS")

    def test_any(self) -> None:
        """``*`` allows every page, without credentials (S-CFG-30, F-045)."""
        answer = dict(Cors("*").preflight(PAGE))
        self.assertEqual(answer["access-control-allow-origin"], "*")
        self.assertEqual(answer["access-control-allow-methods"], "GET, POST, PUT, DELETE, OPTIONS")
        self.assertNotIn("access-control-allow-credentials", answer)

    def test_list(self) -> None:
        """A listed page is allowed by name, with credentials, and caches are told (S-CFG-31, F-045)."""
        cors = Cors(f" https://other.example , {PAGE},")
        answer = dict(cors.preflight(PAGE))
        self.assertEqual(answer["access-control-allow-origin"], PAGE)
        self.assertEqual(answer["access-control-allow-credentials"], "true")
        self.assertEqual(answer["access-control-allow-methods"], "GET, POST, PUT, DELETE, OPTIONS")
        self.assertEqual(answer["vary"], "Origin")

    def test_not_in_the_list(self) -> None:
        """Another page gets nothing, but caches are told that it depends (S-CFG-31)."""
        for origin in (
            "https://evil.example",
            "https://shop.example.evil",
            "http://shop.example",
            None,
        ):
            self.assertEqual(Cors(PAGE).headers(origin), [("vary", "Origin")])

    def test_request_headers(self) -> None:
        """Pages may send their credential and a provider's key (S-CFG-33)."""
        allowed = dict(Cors("*").preflight(PAGE))["access-control-allow-headers"]
        self.assertEqual(allowed, "authorization, content-type, x-provider-api-key")

    def test_exposed_headers(self) -> None:
        """Pages can read what the audio is, and how long to wait (D-73)."""
        for cors in (Cors("*"), Cors(PAGE)):
            exposed = dict(cors.headers(PAGE))["access-control-expose-headers"].split(", ")
            for name in ("x-audio-format", "x-sample-rate", "content-length", "retry-after"):
                self.assertIn(name, exposed)

    def test_websockets(self) -> None:
        """A list also decides who may open a WebSocket from a page; programs send no origin (S-CFG-39)."""
        cors = Cors(PAGE)
        self.assertTrue(cors.may_upgrade(PAGE))
        self.assertTrue(cors.may_upgrade(None))
        self.assertFalse(cors.may_upgrade("https://evil.example"))
        self.assertTrue(Cors("*").may_upgrade("https://evil.example"))
        self.assertTrue(Cors(None).may_upgrade(PAGE))

    def test_a_bad_origin_is_refused(self) -> None:
        """A typo in the configuration is named, not dropped."""
        for text in ("shop.example", "https://shop.example/", f"{PAGE},*"):
            with self.assertRaises(ConfigError) as caught:
                Cors(text)
            self.assertEqual(caught.exception.path, "security.cors_allowed_origins")
