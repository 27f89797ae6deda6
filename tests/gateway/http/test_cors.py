"""Which web pages may use the gateway."""

from twisted.trial.unittest import SynchronousTestCase

from waav.errors import ConfigError
from waav.gateway.http.cors import Cors

PAGE = "https://shop.example"


class CorsTests(SynchronousTestCase):
    """``Cors``: the three ways of ``security.cors_allowed_origins``."""

    def test_unset(self) -> None:
        """No other origin is allowed; the preflight names three methods (S-CFG-32, F-045)."""
        cors = Cors()
        self.assertEqual(cors.headers(PAGE), [])
        answer = dict(cors.preflight(PAGE))
        self.assertNotIn("access-control-allow-origin", answer)
        self.assertEqual(answer["access-control-allow-methods"], "GET, POST, OPTIONS")

    def test_any(self) -> None:
        """``*`` allows every page, without credentials (S-CFG-30, F-045)."""
        answer = dict(Cors(["*"]).preflight(PAGE))
        self.assertEqual(answer["access-control-allow-origin"], "*")
        self.assertEqual(answer["access-control-allow-methods"], "GET, POST, PUT, DELETE, OPTIONS")
        self.assertNotIn("access-control-allow-credentials", answer)

    def test_list(self) -> None:
        """A listed page is allowed by name, with credentials, and caches are told (S-CFG-31, F-045)."""
        cors = Cors(["https://other.example", PAGE])
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
            self.assertEqual(Cors([PAGE]).headers(origin), [("vary", "Origin")])

    def test_request_headers(self) -> None:
        """Pages may send their credential and a provider's key (S-CFG-33)."""
        allowed = dict(Cors(["*"]).preflight(PAGE))["access-control-allow-headers"]
        self.assertEqual(allowed, "authorization, content-type, x-provider-api-key")

    def test_exposed_headers(self) -> None:
        """Pages can read what the audio is, and how long to wait (D-73)."""
        for cors in (Cors(["*"]), Cors([PAGE])):
            exposed = dict(cors.headers(PAGE))["access-control-expose-headers"].split(", ")
            for name in ("x-audio-format", "x-sample-rate", "content-length", "retry-after"):
                self.assertIn(name, exposed)

    def test_websockets(self) -> None:
        """Pages of the gateway itself and listed ones may open a WebSocket, and programs, which send no origin; no
        other page may, list or not (S-CFG-39)."""
        for cors in (Cors(), Cors([PAGE])):
            self.assertTrue(cors.may_upgrade(None, "gw.example"))
            self.assertFalse(cors.may_upgrade("https://evil.example", "gw.example"))
            self.assertFalse(cors.may_upgrade("null", "gw.example"))
            self.assertFalse(cors.may_upgrade("https://gw.example", None))
            self.assertTrue(cors.may_upgrade("https://gw.example", "gw.example"))
        self.assertTrue(Cors([PAGE]).may_upgrade(PAGE, "gw.example"))
        self.assertFalse(Cors().may_upgrade(PAGE, "gw.example"))
        self.assertTrue(Cors(["*"]).may_upgrade("https://evil.example", "gw.example"))

    def test_the_gateways_own_address(self) -> None:
        """An address is the same in any case, with its usual port or without, and behind a proxy that speaks TLS;
        another port, name or scheme is another address."""
        for origin, host in (
            ("http://localhost:3001", "localhost:3001"),
            ("http://LOCALHOST:3001", "LocalHost:3001"),
            ("http://[::1]:3001", "[::1]:3001"),
            ("https://gw.example", "gw.example"),
            ("https://gw.example", "gw.example:443"),
            ("http://gw.example:80", "gw.example"),
        ):
            self.assertTrue(Cors().may_upgrade(origin, host), origin)
        for origin, host in (
            ("http://localhost:8000", "localhost:3001"),
            ("http://127.0.0.1:3001", "localhost:3001"),
            ("http://gw.example.evil:3001", "gw.example:3001"),
            ("https://gw.example", "gw.example:80"),
            ("file://gw.example", "gw.example"),
            ("http://gw.example:x", "gw.example"),
            ("http://gw.example@evil.example", "gw.example"),
            ("", "gw.example"),
        ):
            self.assertFalse(Cors().may_upgrade(origin, host), origin)

    def test_a_bad_origin_is_refused(self) -> None:
        """A typo in the configuration is named, not dropped."""
        for listed in (["shop.example"], ["https://shop.example/"], [PAGE, ""]):
            with self.assertRaises(ConfigError) as caught:
                Cors(listed)
            self.assertEqual(caught.exception.path, "security.cors_allowed_origins")
