"""What stands in front of the routes: headers, CORS, limits, sizes, times, the log."""

import io
import json

from twisted.internet.task import Clock
from twisted.logger import LogLevel, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase
from twisted.web import http

from tests.gateway.admission.test_door import UPGRADE
from tests.gateway.gateway import Gateway
from tests.gateway.web import Answer, Client
from waav import __version__
from waav.gateway.settings import SecuritySettings
from waav.ops.logs import LineObserver
from waav.ops.settings import LogSettings
from waav.speech.audio import AudioFormat

PAGE = "https://shop.example"
JSON = {"Content-Type": "application/json"}


class SiteTests(SynchronousTestCase):
    """Every answer, whatever it is."""

    def setUp(self) -> None:
        self.gateway = Gateway(security=SecuritySettings(rate_limit_burst_size=100))
        self.client = self.gateway.client()

    def test_health(self) -> None:
        """A probe hears that the process is up, and which version (F-042)."""
        answer = self.client.request("GET", "/")
        self.assertEqual((answer.status, answer.headers["content-type"]), (200, "application/json"))
        self.assertEqual(answer.body, b'{"status":"OK","version":"%b"}' % __version__.encode())

    def test_head(self) -> None:
        """HEAD gives the headers of GET and no body; the connection stays usable."""
        answer = self.client.request("HEAD", "/")
        length = self.client.request("GET", "/").headers["content-length"]
        self.assertEqual((answer.status, answer.body), (200, b""))
        self.assertEqual(answer.headers["content-length"], length)

    def test_unknown_paths(self) -> None:
        """What is not there answers 404 in JSON: no HTML, no redirect (contract 1.3)."""
        for path in (
            "/nothing",
            "/metrics",
            "/voices/",
            "/Voices",
            "//voices",
            "/api%2Fvoices",
            "/api/api/",
        ):
            answer = self.client.request("GET", path)
            self.assertEqual((path, answer.status), (path, 404))
            self.assertEqual(answer.headers["content-type"], "application/json")
            self.assertEqual(json.loads(answer.body)["error"], "Not found")
            self.assertNotIn("location", answer.headers)

    def test_wrong_method(self) -> None:
        """A route says which methods it has (contract 1.3)."""
        answer = self.client.request("DELETE", "/speak")
        self.assertEqual((answer.status, answer.body, answer.headers["allow"]), (405, b"", "POST"))
        answer = self.client.request("POST", "/voices", JSON, b"{}")
        self.assertEqual((answer.status, answer.headers["allow"]), (405, "GET, HEAD"))

    def test_api_prefix(self) -> None:
        """Every path answers under /api as at the root (F-044)."""
        for path in ("/", "/voices?provider=none", "/speak", "/ws", "/nothing"):
            plain, prefixed = (self.client.request("GET", before + path) for before in ("", "/api"))
            self.assertEqual((plain.status, plain.body), (prefixed.status, prefixed.body))
        self.assertEqual(self.client.request("GET", "/api").status, 200)

    def test_unreadable_paths(self) -> None:
        """A path that is no text is refused in words (contract 1.3)."""
        for path in ("/%ff", "*", "http://elsewhere/voices"):
            self.assertEqual(self.client.request("GET", path).status, 400)

    def test_odd_hosts(self) -> None:
        """Whatever a client calls us, the routes are there and nothing is logged as a mistake of ours."""
        for host in (b"", b"\xff", b"x" * 300, b"a..b", b"[::1", b"a:b:c"):
            self.client.transport.clear()
            self.client.send(
                b"GET /voices?provider=none&verbose=true HTTP/1.1\r\nHost: " + host + b"\r\n\r\n"
            )
            self.assertEqual((host, self.client.answer().status), (host, 200))
            self.assertIn(b"Unsupported provider", self.client.answer().body)

    def test_large_bodies_stay_in_memory(self) -> None:
        """A body, which may hold a text or a key, is not written to a disk on its way."""
        opened: list[object] = []
        self.patch(http.tempfile, "TemporaryFile", lambda *_: opened.append(1))  # type: ignore[attr-defined]
        self.assertEqual(self.client.request("POST", "/speak", JSON, b"[" * 500_000).status, 400)
        self.assertEqual(opened, [])

    def test_header_names(self) -> None:
        """The names of all headers are sent in lower case: some clients keep them in a plain mapping."""
        refused = Gateway(security=SecuritySettings(rate_limit_burst_size=1)).client()
        refused.request("GET", "/providers")
        for client, method, path, headers in (
            (self.client, "GET", "/", {}),
            (self.client, "GET", "/nothing", {}),
            (self.client, "OPTIONS", "/speak", {"Origin": PAGE}),
            (self.client, "POST", "/speak", JSON),
            (refused, "GET", "/providers", {}),
        ):
            client.transport.clear()
            client.request(method, path, headers, b"{}" if method == "POST" else b"")
            head = client.transport.value().partition(b"\r\n\r\n")[0].split(b"\r\n")[1:]
            names = [line.partition(b":")[0] for line in head]
            self.assertGreater(len(names), 3)
            self.assertEqual(names, [name.lower() for name in names])
        self.client.transport.clear()
        self.client.send(b"nonsense\r\n\r\n")
        self.assertNotRegex(self.client.transport.value().partition(b"\r\n")[2], rb"(?m)^[A-Z]")

    def test_security_headers(self) -> None:
        """Every answer forbids sniffing and framing, and none names the server (S-CFG-34, F-046)."""
        refused = Gateway(security=SecuritySettings(rate_limit_burst_size=1)).client()
        answers = [
            self.client.request("GET", "/"),
            self.client.request("GET", "/nothing"),
            self.client.request("OPTIONS", "/speak"),
            self.client.request("GET", "/ws"),
            self.client.request("POST", "/speak", JSON, b"nonsense"),
            self.client.request("POST", "/speak", {**JSON, "Content-Length": "9999999"}),
            refused.request("GET", "/x"),
            refused.request("GET", "/x"),
            self.malformed(),
        ]
        statuses = [answer.status for answer in answers]
        self.assertEqual(statuses, [200, 404, 200, 400, 400, 413, 404, 429, 400])
        for answer in answers:
            self.assertEqual(answer.headers["x-content-type-options"], "nosniff")
            self.assertEqual(answer.headers["x-frame-options"], "DENY")
            self.assertNotIn("server", answer.headers)
            self.assertNotIn(b"<", answer.body)

    def malformed(self) -> Answer:
        client = self.gateway.client()
        client.send(b"this is not HTTP\r\n\r\n")
        return client.answer()

    def test_a_broken_route(self) -> None:
        """A mistake of ours is a JSON 500 without its traceback, and the next request works (SRV-08)."""
        self.gateway.site.getResourceFor = lambda request: 1 / 0  # type: ignore[method-assign,assignment,return-value]
        answer = self.client.request("GET", "/voices")
        self.assertEqual(answer.status, 500)
        self.assertEqual(
            answer.body, b'{"error":"Internal server error","message":"Internal server error"}'
        )
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        del self.gateway.site.getResourceFor
        self.assertEqual(self.client.request("GET", "/").status, 200)


class CorsOrderTests(SynchronousTestCase):
    """CORS stands outside the limiter."""

    def setUp(self) -> None:
        self.gateway = Gateway(
            security=SecuritySettings(cors_allowed_origins=(PAGE,), rate_limit_burst_size=1)
        )
        self.client = self.gateway.client()

    def test_preflight(self) -> None:
        """A preflight is answered 200 on any path and costs nothing (S-CFG-35, F-045)."""
        for _ in range(5):
            answer = self.client.request("OPTIONS", "/anywhere", {"Origin": PAGE})
            self.assertEqual((answer.status, answer.body), (200, b""))
            self.assertEqual(answer.headers["access-control-allow-origin"], PAGE)

    def test_refusals_can_be_read_by_pages(self) -> None:
        """A page that asks too often can read the 429 and how long to wait (S-CFG-35, S-LIM-23, D-73)."""
        self.client.request("GET", "/x", {"Origin": PAGE})
        answer = self.client.request("GET", "/x", {"Origin": PAGE})
        self.assertEqual(answer.status, 429)
        self.assertEqual(answer.headers["access-control-allow-origin"], PAGE)
        self.assertIn("retry-after", answer.headers["access-control-expose-headers"])

    def test_answers_vary(self) -> None:
        """A cache never gives one origin's answer to another (S-CFG-31)."""
        answer = self.client.request("GET", "/", {"Origin": "https://evil.example"})
        self.assertEqual(answer.headers["vary"], "Origin")
        self.assertNotIn("access-control-allow-origin", answer.headers)


class RateTests(SynchronousTestCase):
    """The request limiter in place."""

    def gateway(self, **named: object) -> Gateway:
        return Gateway(security=SecuritySettings(**named))  # type: ignore[arg-type]

    def test_too_many(self) -> None:
        """After the burst the answer says how long to wait, as SDKs parse it (F-047, S-LIM-23)."""
        gateway = self.gateway(rate_limit_requests_per_second=1, rate_limit_burst_size=2)
        client = gateway.client()
        statuses = [client.request("GET", "/x").status for _ in range(2)]
        self.assertEqual(statuses, [404, 404])
        answer = client.request("GET", "/x")
        self.assertEqual((answer.status, answer.body), (429, b"Too Many Requests! Wait for 1s"))
        self.assertEqual(answer.headers["content-type"], "text/plain; charset=utf-8")
        self.assertEqual(answer.headers["retry-after"], "1")
        self.assertEqual(answer.headers["x-ratelimit-after"], "1")
        gateway.clock.advance(1)
        self.assertEqual(client.request("GET", "/x").status, 404)

    def test_fifty_a_second(self) -> None:
        """With the defaults, 50 requests a second for ten seconds meet no 429 (X-01, D-69)."""
        gateway = self.gateway()
        client = gateway.client()
        for _ in range(500):
            self.assertEqual(client.request("GET", "/x").status, 404)
            gateway.clock.advance(1 / 50)

    def test_probes_are_free(self) -> None:
        """A load balancer's probes are never refused, and cost others nothing (S-CFG-36)."""
        client = self.gateway(rate_limit_burst_size=1).client()
        for _ in range(20):
            self.assertEqual(client.request("GET", "/").status, 200)
        self.assertEqual(client.request("GET", "/x").status, 404)
        self.assertEqual(client.request("GET", "/x").status, 429)
        self.assertEqual(client.request("HEAD", "/api/").status, 200)

    def test_only_get_is_a_probe(self) -> None:
        """POST to the health path is no way around the limiter (S-CFG-36)."""
        client = self.gateway(rate_limit_burst_size=1).client()
        self.assertEqual([client.request("POST", "/").status for _ in range(2)], [405, 429])

    def test_connections_share_a_bucket(self) -> None:
        """Opening more connections does not help (F-047)."""
        gateway = self.gateway(rate_limit_burst_size=1)
        statuses = [gateway.client().request("GET", "/x").status for _ in range(2)]
        self.assertEqual(statuses, [404, 429])
        self.assertEqual(gateway.client("192.0.2.2").request("GET", "/x").status, 404)

    def test_an_ipv6_network_shares_a_bucket(self) -> None:
        """Who has a whole /64 is one caller (S-LIM-05)."""
        gateway = self.gateway(rate_limit_burst_size=1)
        peers = ("2001:db8::1", "2001:db8::ffff:2", "2001:db8:0:1::1")
        statuses = [gateway.client(peer).request("GET", "/x").status for peer in peers]
        self.assertEqual(statuses, [404, 429, 404])

    def test_behind_a_proxy(self) -> None:
        """Callers behind a trusted proxy are told apart; behind any other they are one (X-02, D-70, S-LIM-06)."""
        for trusted, expected in ((("192.0.2.1",), [404, 404]), ((), [404, 429])):
            client = self.gateway(rate_limit_burst_size=1, trusted_proxies=trusted).client()
            users = ({"X-Forwarded-For": f"203.0.113.{n}"} for n in (1, 2))
            statuses = [client.request("GET", "/x", user).status for user in users]
            self.assertEqual(statuses, expected)

    def test_off(self) -> None:
        """With the limiter off 10000 quick requests are all accepted, and the log says it is off (F-031, CFG-11)."""
        warnings = Logged(self, LogLevel.warn)
        client = self.gateway(
            rate_limit_requests_per_second=100_000, rate_limit_burst_size=1
        ).client()
        self.assertIn("the request limiter is off", warnings.text())
        for _ in range(100):
            client.transport.clear()
            client.send(b"GET /x HTTP/1.1\r\nHost: gateway\r\n\r\n" * 100)
            self.assertEqual(client.transport.value().count(b"HTTP/1.1 404 "), 100)

    def test_on(self) -> None:
        """99999 a second is a limit, and nothing is logged (CFG-11)."""
        warnings = Logged(self, LogLevel.warn)
        client = self.gateway(
            rate_limit_requests_per_second=99_999, rate_limit_burst_size=1
        ).client()
        self.assertEqual([client.request("GET", "/x").status for _ in range(2)], [404, 429])
        self.assertEqual(warnings.text(), "")


class SizeTests(SynchronousTestCase):
    """Bodies that are too large."""

    def setUp(self) -> None:
        self.gateway = Gateway(
            security=SecuritySettings(max_body_bytes=1000, rate_limit_burst_size=3)
        )
        self.client = self.gateway.client()

    def begin(self, headers: str) -> None:
        self.client.send(
            f"POST /speak HTTP/1.1\r\nContent-Type: application/json\r\n{headers}\r\n\r\n".encode()
        )

    def test_announced(self) -> None:
        """A body whose length is announced too large is refused before it comes (S-LIM-20)."""
        self.begin("Content-Length: 1001\r\nExpect: 100-continue")
        answer = self.client.answer()
        self.assertEqual((answer.status, answer.headers["connection"]), (413, "close"))
        self.assertEqual(
            answer.body,
            b'{"error":"Request body is larger than 1000 bytes",'
            b'"message":"Request body is larger than 1000 bytes"}',
        )

    def test_largest(self) -> None:
        """A body of exactly the limit is read (S-LIM-20)."""
        self.begin("Content-Length: 1000")
        self.client.send(b"[" * 1000)
        self.assertEqual(self.client.answer().status, 400)

    def test_chunked(self) -> None:
        """A chunked body is refused as soon as it passes the limit, not when it ends (S-LIM-20)."""
        self.begin("Transfer-Encoding: chunked")
        self.client.send(b"1f4\r\n" + b"[" * 500 + b"\r\n1f4\r\n" + b"[" * 500 + b"\r\n")
        self.assertEqual(self.client.transport.value(), b"")
        self.client.send(b"a\r\n[")
        self.assertEqual(self.client.answer().status, 413)

    def test_what_follows_is_dropped(self) -> None:
        """The rest of a refused body is neither kept nor taken for a request; then the connection ends."""
        self.begin("Content-Length: 5000")
        self.client.transport.clear()
        for _ in range(100):
            self.client.send(b"GET / HTTP/1.1\r\n\r\n" * 1000)
        self.assertEqual(self.client.transport.value(), b"")
        self.assertFalse(self.client.transport.is_closed)
        self.gateway.clock.advance(2.1)
        self.assertTrue(self.client.transport.is_closed)

    def test_the_end_of_a_refused_body(self) -> None:
        """A refused chunked body that ends in the same packet is answered once."""
        self.begin("Transfer-Encoding: chunked")
        self.client.send(b"3e9\r\n" + b"[" * 1001 + b"\r\n0\r\n\r\n")
        self.assertEqual([answer.status for answer in self.client.answers()], [413])

    def test_refusals_count(self) -> None:
        """Sending only large bodies is no way around the limiter (S-LIM-20)."""
        statuses = []
        for _ in range(4):
            self.client = self.gateway.client()
            self.begin("Content-Length: 5000")
            statuses.append(self.client.answer().status)
        self.assertEqual(statuses, [413, 413, 413, 429])


class SlownessTests(SynchronousTestCase):
    """Clients that take their time (S-LIM-25)."""

    def setUp(self) -> None:
        self.gateway = Gateway()
        self.clock: Clock = self.gateway.clock
        self.client = self.gateway.client()

    def drip(self, data: bytes, every_s: float, seconds: float) -> None:
        for n in range(int(seconds / every_s)):
            if self.client.transport.is_closed:
                return
            self.client.send(data[n : n + 1])
            self.clock.advance(every_s)

    def test_silence(self) -> None:
        """A connection that never asks anything is closed after ten seconds (S-LIM-25)."""
        self.clock.advance(9.9)
        self.assertFalse(self.client.transport.is_closed)
        self.clock.advance(0.2)
        self.assertTrue(self.client.transport.is_closed)

    def test_dripping_headers(self) -> None:
        """Headers byte by byte do not hold a connection longer than silence does (S-LIM-25)."""
        self.drip(b"GET / HTTP/1.1\r\nX-Padding: " + b"x" * 1000, 0.5, 11)
        self.assertTrue(self.client.transport.is_closed)
        self.assertEqual(self.clock.seconds(), 10.0)

    def test_dripping_headers_on_a_kept_connection(self) -> None:
        """Neither after an earlier request (S-LIM-25)."""
        self.client.request("GET", "/")
        self.clock.advance(50)
        self.assertFalse(self.client.transport.is_closed)
        self.drip(b"GET / HTTP/1.1\r\nX-Padding: " + b"x" * 1000, 0.5, 11)
        self.assertTrue(self.client.transport.is_closed)
        self.assertEqual(self.clock.seconds(), 60.0)

    def test_a_kept_connection(self) -> None:
        """A connection without a next request is closed after a minute."""
        self.client.request("GET", "/")
        self.clock.advance(59)
        self.assertFalse(self.client.transport.is_closed)
        self.clock.advance(2)
        self.assertTrue(self.client.transport.is_closed)

    def test_idle_connections_fill_no_log(self) -> None:
        """A browser that keeps its connection open leaves no line in the log when it is closed (S-LIM-22)."""
        said = io.StringIO()
        observer = LineObserver(said)
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.clock.advance(11)
        self.assertTrue(self.client.transport.is_closed)
        self.assertEqual(said.getvalue(), "")

    def test_a_slow_body(self) -> None:
        """A body may come slowly, as long as something comes every 30 seconds (S-LIM-25)."""
        self.client.send(b"POST /speak HTTP/1.1\r\nContent-Length: 100\r\n\r\n")
        self.drip(b"x" * 5, 29, 5 * 29)
        self.assertFalse(self.client.transport.is_closed)
        self.clock.advance(1.5)
        self.assertTrue(self.client.transport.is_closed)

    def test_two_at_once(self) -> None:
        """Requests sent without waiting are answered in order."""
        self.client.send(b"GET / HTTP/1.1\r\n\r\nGET /x HTTP/1.1\r\n\r\n")
        self.assertEqual([answer.status for answer in self.client.answers()], [200, 404])

    def test_close(self) -> None:
        """Who asks for the connection to be closed gets it closed."""
        answer = self.client.request("GET", "/", {"Connection": "close"})
        self.assertEqual(answer.headers["connection"], "close")
        self.assertTrue(self.client.transport.is_closed)


class Logged:
    """What is logged during a test."""

    def __init__(self, test: SynchronousTestCase, level: LogLevel) -> None:
        self.events: list[dict[str, object]] = []
        self._level = level
        globalLogPublisher.addObserver(self)
        test.addCleanup(globalLogPublisher.removeObserver, self)

    def __call__(self, event: dict[str, object]) -> None:
        if event["log_level"] == self._level and str(event["log_namespace"]).startswith("waav."):
            self.events.append(event)

    def text(self) -> str:
        """The lines."""
        return "\n".join(str(event["log_format"]).format(**event) for event in self.events)


class LogTests(SynchronousTestCase):
    """The access log (S-LIM-22, F-050)."""

    def setUp(self) -> None:
        self.gateway = Gateway()
        self.client = self.gateway.client()
        self.logged = Logged(self, LogLevel.info)

    def test_one_line(self) -> None:
        """A request leaves one line: method, path, status, duration (F-050, S-LIM-22)."""
        self.client.request("GET", "/voices?provider=acme")
        self.gateway.clock.advance(0.25)
        self.gateway.fetches.answer("acme", b"end")
        self.assertEqual(self.logged.text(), "GET /voices 200 in 250.0 ms")

    def test_refusals_too(self) -> None:
        """Requests that never get to a route leave their line too (F-050)."""
        self.client.request("OPTIONS", "/speak")
        self.client.request("POST", "/speak", {"Content-Length": "9999999"})
        self.assertEqual(
            self.logged.text().split("\n"),
            ["OPTIONS /speak 200 in 0.0 ms", "POST /speak 413 in 0.0 ms"],
        )

    def test_hung_up(self) -> None:
        """A caller who leaves before the answer leaves a line that says so."""
        self.client.request("GET", "/voices?provider=acme")
        self.client.hang_up()
        self.assertEqual(self.logged.text(), "GET /voices 499 in 0.0 ms; the caller hung up")

    def test_nothing_secret(self) -> None:
        """Queries, headers and bodies never get into the log, nor into the fields of its JSON (S-LIM-22, SRV-05)."""
        log = io.StringIO()
        observer = LineObserver(log, LogSettings(level="debug", json=True))
        globalLogPublisher.addObserver(observer)
        self.addCleanup(globalLogPublisher.removeObserver, observer)
        secrets = {
            name: f"hush-{name}" for name in ("Authorization", "X-Provider-Api-Key", "Cookie")
        }
        body = b'{"text":"hush-text","tts_config":{"provider":"acme","api_key":"hush-key"}}'
        self.client.request("POST", "/speak?token=hush-token", {**JSON, **secrets}, body)
        self.gateway.said[0].starts(AudioFormat())
        self.gateway.said[0].audio(b"ab")
        self.gateway.said[0].done.callback(None)
        self.client.request("POST", "/speak?token=hush-token", {**JSON, **secrets}, b"hush-body")
        self.client.request("GET", "/ws?token=hush-token", {**UPGRADE, **secrets})
        lines = [json.loads(line) for line in log.getvalue().splitlines()]
        self.assertEqual(
            [line["message"].partition(" in ")[0] for line in lines if "path" in line],
            ["POST /speak 200", "POST /speak 400", "GET /ws 101"],
        )
        self.assertNotIn("hush", log.getvalue())
        # What writes the log would mask some of it; there must be nothing to mask.
        for event in self.logged.events:
            fields = [value for value in event.values() if isinstance(value, str | bytes)]
            self.assertNotIn("hush", str(fields))

    def test_no_control_characters(self) -> None:
        """A caller cannot write terminal commands or megabytes into the log (S-LIM-22)."""
        for request, shown in ((b"GET /\x9b2J\x7f%b", "GET /?2J?xxx"), (b"G%b /", "Gxxx")):
            self.logged.events.clear()
            self.gateway.client().send(request % (b"x" * 500) + b" HTTP/1.1\r\n\r\n")
            line = self.logged.text()
            self.assertTrue(line.startswith(shown), line)
            self.assertTrue(line.isprintable() and line.isascii(), line)
            self.assertLess(len(line), 250)

    def test_bounded_on_a_kept_connection(self) -> None:
        """Log lines are counted in requests, whatever their bodies."""
        client: Client = self.gateway.client()
        client.send(b"POST /nothing HTTP/1.1\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(1000):
            client.send(b"x")
        self.assertEqual(len(self.logged.events), 1)
