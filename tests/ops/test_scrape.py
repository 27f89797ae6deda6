"""Who may read the metrics, and how they get them."""

import os
import re
import signal
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.task import Clock, deferLater
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.client import Agent, readBody
from twisted.web.http_headers import Headers

from bench.machine import free_port
from tests.gateway.gateway import Gateway
from tests.gateway.web import Answer, Client
from tests.gateway_process import GatewayProcess, is_open
from tests.ops.test_metrics import samples
from tests.waiting import until
from waav.ops.metrics import Metrics
from waav.ops.scrape import Scrape, ScrapeSite, build_metrics_resource
from waav.ops.settings import MetricsSettings
from waav.secret import Secret

TOKEN = Secret("s3cret")
BEARER = {"authorization": "Bearer s3cret"}


class Threads(Clock):
    """A reactor and its thread pool: work is done when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.jobs: list[tuple[Callable[[bool, Any], None], Callable[[], Any]]] = []

    def getThreadPool(self) -> "Threads":
        return self

    def callInThreadWithCallback(
        self, done: Callable[[bool, Any], None], work: Callable[[], Any]
    ) -> None:
        self.jobs.append((done, work))

    def callFromThread(self, work: Callable[..., Any], *words: Any) -> None:
        work(*words)

    def work(self) -> None:
        """The oldest job is done."""
        done, work = self.jobs.pop(0)
        try:
            result = work()
        except Exception:
            done(False, Failure())
        else:
            done(True, result)


class ScrapeCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.threads = Threads()
        self.refreshed = 0

    def text(self) -> bytes:
        return b"waav_x 1\n"

    def refresh(self) -> None:
        self.refreshed += 1

    def gateway(self, token: Secret | None = TOKEN) -> Gateway:
        """A gateway with metrics on its port."""
        return Gateway(metrics=Scrape(self.threads, self.text, self.refresh, token))

    def get(self, client: Client, path: str = "/metrics", **headers: str) -> Answer:
        """A scrape to its end."""
        client.request("GET", path, headers)
        while self.threads.jobs:
            self.threads.work()
        return client.answer()


class MainPortTests(ScrapeCase):
    def test_with_the_token(self) -> None:
        """Whoever shows the token gets the text, as Prometheus expects it, and fresh."""
        answer = self.get(self.gateway().client(), **BEARER)
        self.assertEqual((answer.status, answer.body), (200, b"waav_x 1\n"))
        self.assertEqual(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8")
        self.assertEqual(answer.headers["cache-control"], "no-store")
        self.assertEqual(self.refreshed, 1)

    def test_without_it(self) -> None:
        """Nobody else gets anything, and nothing is worked out for him (S-MET-01)."""
        for said in (
            None,
            "",
            "Bearer",
            "Bearer s3cre",
            "Bearer s3cret2",
            "Basic s3cret",
            "s3cret",
        ):
            headers = {} if said is None else {"authorization": said}
            answer = self.get(self.gateway().client(), **headers)
            self.assertEqual((answer.status, answer.body), (401, b""), said)
            self.assertEqual(answer.headers["www-authenticate"], "Bearer")
        self.assertEqual((self.refreshed, self.threads.jobs), (0, []))

    def test_the_scheme_has_no_case(self) -> None:
        """HTTP says that the name of a scheme may be written anyhow."""
        answer = self.get(self.gateway().client(), authorization="bearer  s3cret ")
        self.assertEqual(answer.status, 200)

    def test_a_token_of_any_characters(self) -> None:
        """A token beyond ASCII can be used; what is no UTF-8 is refused, not an error."""
        gateway = self.gateway(Secret("s\N{LATIN SMALL LETTER E WITH ACUTE}cret"))
        client = gateway.client()
        client.send(b"GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer s\xe9cret\r\n\r\n")
        self.assertEqual(client.answer().status, 401)
        client = gateway.client()
        client.send(
            b"GET /metrics HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer s\xc3\xa9cret\r\n\r\n"
        )
        self.threads.work()
        self.assertEqual(client.answer().status, 200)

    def test_off_by_default(self) -> None:
        """Without any configuration there are no metrics, and the path is as unknown as any other."""
        self.assertFalse(MetricsSettings().is_on)
        answers = [Gateway().client().request("GET", path) for path in ("/metrics", "/nothing")]
        (metrics, nothing) = [(one.status, one.body) for one in answers]
        self.assertEqual((metrics, metrics[0]), (nothing, 404))

    def test_other_paths_and_methods(self) -> None:
        """Only GET and HEAD of the path itself are answered."""
        gateway = self.gateway()
        self.assertEqual(self.get(gateway.client(), "/metrics/x", **BEARER).status, 404)
        self.assertEqual(self.get(gateway.client(), "/metrics/", **BEARER).status, 404)
        answer = gateway.client().request("POST", "/metrics", BEARER)
        self.assertEqual((answer.status, answer.headers["allow"]), (405, "GET, HEAD"))
        client = gateway.client()
        client.request("HEAD", "/metrics", BEARER)
        self.threads.work()
        answer = client.answer("HEAD")
        self.assertEqual((answer.status, answer.body), (200, b""))
        self.assertEqual(answer.headers["content-length"], "9")


class WaitTests(ScrapeCase):
    def test_at_the_same_time(self) -> None:
        """Those who ask while a text is being made share it."""
        gateway = self.gateway()
        clients = [gateway.client() for _ in range(3)]
        for client in clients:
            client.request("GET", "/metrics", BEARER)
        self.assertEqual((len(self.threads.jobs), self.refreshed), (1, 1))
        self.threads.work()
        self.assertEqual([client.answer().body for client in clients], [b"waav_x 1\n"] * 3)

    def test_one_that_hangs_up(self) -> None:
        """One that hangs up meanwhile disturbs neither the others nor the next."""
        gateway = self.gateway()
        hasty, patient = gateway.client(), gateway.client()
        for client in (hasty, patient):
            client.request("GET", "/metrics", BEARER)
        hasty.hang_up()
        self.threads.work()
        self.assertEqual(patient.answer().status, 200)
        self.assertEqual(self.get(gateway.client(), **BEARER).status, 200)

    def test_the_only_one_hangs_up(self) -> None:
        """A text that nobody wants any more is given to whoever asked in the meantime."""
        gateway = self.gateway()
        client = gateway.client()
        client.request("GET", "/metrics", BEARER)
        client.hang_up()
        self.assertEqual(self.get(gateway.client(), **BEARER).status, 200)

    def test_a_text_that_fails(self) -> None:
        """An error of ours is a 500 and a line in the log, and the next scrape works again."""
        gateway = Gateway(metrics=Scrape(self.threads, lambda: b"%d" % (1 // 0)))
        self.assertEqual(self.get(gateway.client()).status, 500)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual(self.get(gateway.client()).status, 500)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_refresh_that_fails(self) -> None:
        """Figures that cannot be taken over are an error of that scrape alone."""
        fails = True

        def refresh() -> None:
            if fails:
                raise ValueError("oops")

        gateway = Gateway(metrics=Scrape(self.threads, self.text, refresh))
        self.assertEqual(self.get(gateway.client()).status, 500)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        fails = False
        self.assertEqual(self.get(gateway.client()).status, 200)


class SeparateTests(ScrapeCase):
    def client(self, token: Secret | None = None) -> Client:
        """A connection to the listener for metrics alone."""
        return Client(
            ScrapeSite(self.threads, Scrape(self.threads, self.text, self.refresh, token))
        )

    def test_it_needs_no_token(self) -> None:
        """A port of its own may be open to whoever can reach it."""
        answer = self.get(self.client())
        self.assertEqual((answer.status, answer.body), (200, b"waav_x 1\n"))

    def test_it_can_have_one(self) -> None:
        """With a token configured the separate port asks for it as well."""
        self.assertEqual(self.get(self.client(TOKEN)).status, 401)
        self.assertEqual(self.get(self.client(TOKEN), **BEARER).status, 200)

    def test_there_is_nothing_else(self) -> None:
        """No other path is answered there."""
        for path in ("/", "/x", "/metrics/x", "/x/metrics", "/speak", "//metrics"):
            self.assertEqual(self.get(self.client(), path).status, 404, path)

    def test_it_makes_nothing_up(self) -> None:
        """What it answers are the process's metrics."""
        metrics = Metrics()
        metrics.calls.count("acme", "results", 3)
        resource = build_metrics_resource(self.threads, metrics, None, None)
        answer = self.get(Client(ScrapeSite(self.threads, resource)))
        self.assertIn(b'waav_stt_results_total{provider="acme"} 3.0\n', answer.body)


class DaemonCase(TestCase):
    """A gateway as it is deployed."""

    sections: Mapping[str, Any] = {}

    def setUp(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.start())

    async def start(self) -> None:
        self.port = free_port()
        self.gateway = GatewayProcess(
            reactor,
            metrics={"listen": f"tcp:{self.port}:interface=127.0.0.1", "token": "s3cret"},
            # Without models it is ready sooner.
            audio={"stt_provider": "deepgram", "tts_provider": "deepgram"},
            **self.sections,
        )
        self.addCleanup(lambda: Deferred.fromCoroutine(self.gateway.stop()))
        await self.gateway.started()
        await until(lambda: is_open(self.port), "the listener for metrics is not there")

    async def ask(self, port: int, path: str, **headers: str) -> tuple[int, bytes]:
        """A GET on a connection of its own."""
        wanted = Headers({name: [value] for name, value in headers.items()})
        address = f"http://127.0.0.1:{port}{path}".encode()
        response = await Agent(reactor).request(b"GET", address, wanted)
        return response.code, await readBody(response)

    async def scrape(self, port: int) -> dict[str, float]:
        """What that port tells."""
        status, text = await self.ask(port, "/metrics", **BEARER)
        self.assertEqual(status, 200)
        return samples(text)


class DaemonTests(DaemonCase):
    async def test_both_ways(self) -> None:
        """Both ports tell the same figures to those who have the token; they are true after some requests."""
        for port in (self.port, self.gateway.port):
            self.assertEqual((await self.ask(port, "/metrics"))[0], 401)
        for _ in range(3):
            await self.ask(self.gateway.port, "/")
        for port in (self.port, self.gateway.port):
            said = await self.scrape(port)
            while not said["waav_loop_lag_seconds_count"]:
                said = await self.scrape(port)
            self.assertGreaterEqual(said['waav_requests_total{status="200"}'], 3)
            self.assertEqual(said['waav_requests_total{status="401"}'], 1)
            self.assertGreater(said["waav_process_resident_memory_bytes"], 50_000_000)
        self.assertNotIn("s3cret", self.gateway.output.text)
        self.assertEqual(await self.gateway.stop(), 0)

    async def test_a_stopped_process(self) -> None:
        """Somebody who stops the process for a while and lets it go on is not told that something blocked it."""
        while not (await self.scrape(self.port))["waav_loop_lag_seconds_count"]:
            pass  # it may be up for less than a beat
        os.kill(self.gateway.pid, signal.SIGSTOP)
        await deferLater(reactor, 3)
        os.kill(self.gateway.pid, signal.SIGCONT)
        said = await self.scrape(self.port)
        while said["waav_loop_lag_max_seconds"] < 2.9:
            said = await self.scrape(self.port)
        # Other programs of a busy machine may well block it, but not for as long.
        blocked = re.findall(r"blocked for (\d+) to", self.gateway.output.text)
        self.assertEqual([length for length in blocked if int(length) > 2500], [])


class WorkersTests(DaemonCase):
    sections = {
        "server": {"workers": 2},
        "security": {"rate_limit_requests_per_second": 100_000},
    }

    async def until(self, port: int, name: str, value: float) -> dict[str, float]:
        """Scrape until a figure is that; what other workers count may be a second old."""
        while True:
            said = await self.scrape(port)
            if said.get(name) == value:
                return said
            await deferLater(reactor, 0.1)

    async def test_all_workers_together(self) -> None:
        """Any worker and the supervisor tell what all workers did, and it stays when a worker is killed."""
        await self.until(self.port, "waav_process_workers", 2)
        for _ in range(20):
            await self.ask(self.gateway.port, "/nowhere")
        name = 'waav_requests_total{status="404"}'
        for port in (self.port, self.gateway.port):
            await self.until(port, name, 20)
        found = re.search(r"worker 1 is ready after .* \(process (\d+)\)", self.gateway.output.text)
        assert found is not None
        os.kill(int(found[1]), signal.SIGKILL)
        await self.until(self.port, "waav_process_workers", 1)
        said = await self.until(self.port, "waav_process_workers", 2)
        self.assertEqual(said[name], 20)
