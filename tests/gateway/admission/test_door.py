"""The way to ``/ws``: who gets in, and whether his slot comes back."""

from base64 import b64encode
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.gateway import Gateway
from tests.gateway.web import Answer, Client
from waav.gateway.settings import SecuritySettings
from waav.gateway.voice.ws import VoiceProtocol

UPGRADE = {
    "Connection": "keep-alive, Upgrade",
    "Upgrade": "WebSocket",
    "Sec-WebSocket-Version": "13",
    "Sec-WebSocket-Key": b64encode(bytes(16)).decode(),
}
PAGE = "https://shop.example"


def without(name: str) -> dict[str, str]:
    return {key: value for key, value in UPGRADE.items() if key != name}


class TwoGatewaysTests(SynchronousTestCase):
    """Several gateways in one process."""

    def test_nothing_shared(self) -> None:
        """What one gateway counts, remembers or stops is nothing to another in the same process (F-053)."""
        limits = SecuritySettings(
            max_connections_per_ip=1,
            max_websocket_connections=1,
            rate_limit_requests_per_second=1,
            rate_limit_burst_size=4,
        )
        busy, quiet = Gateway(security=limits), Gateway(security=limits)
        self.assertEqual(self.statuses(busy), [101, 503, 0, 0, 429])
        busy.fetches.answer("acme", b"ann English\nend")
        busy.calls.stop(0)
        self.assertEqual(self.statuses(quiet), [101, 503, 0, 0, 429])
        self.assertEqual((busy.slots.total, quiet.slots.total), (1, 1))
        self.assertEqual(quiet.fetches.made, ["https://acme/0"])
        self.assertEqual((busy.calls.is_open, quiet.calls.is_open), (False, True))
        self.assertEqual([len(busy.said), len(quiet.said)], [1, 1])

    def statuses(self, gateway: Gateway) -> list[int]:
        """Of two upgrades, a list of voices, a text to speak and one request too many."""
        body = b'{"text": "Hi", "tts_config": {"provider": "acme"}}'
        return [
            gateway.client().request("GET", "/ws", UPGRADE).status,
            gateway.client().request("GET", "/ws", UPGRADE).status,
            gateway.client().request("GET", "/voices?provider=acme").status,
            gateway.client()
            .request("POST", "/speak", {"Content-Type": "application/json"}, body)
            .status,
            gateway.client().request("GET", "/providers").status,
        ]


class DoorTests(SynchronousTestCase):
    """Upgrades through the whole site."""

    def gateway(self, **named: Any) -> Gateway:
        self.open = Gateway(
            security=SecuritySettings(rate_limit_requests_per_second=100_000, **named)
        )
        return self.open

    def knock(
        self, gateway: Gateway, headers: dict[str, str] | None = None, peer: str = "192.0.2.1"
    ) -> tuple[Client, Answer]:
        client = gateway.client(peer)
        return client, client.request("GET", "/ws", UPGRADE if headers is None else headers)

    def leave(self, client: Client) -> None:
        """The caller is gone and everything that ran for him has ended."""
        client.hang_up()
        self.open.clock.advance(1)

    def test_in(self) -> None:
        """An upgrade gets 101 with the security headers and no banner; the slot is the caller's (S-CFG-34, F-046)."""
        gateway = self.gateway()
        client, answer = self.knock(gateway)
        self.assertEqual(answer.status, 101)
        self.assertEqual(answer.headers["x-content-type-options"], "nosniff")
        self.assertEqual(answer.headers["x-frame-options"], "DENY")
        self.assertNotIn("server", answer.headers)
        self.assertIsInstance(client.transport.protocol, VoiceProtocol)
        self.assertEqual(gateway.slots.count("192.0.2.1"), 1)
        self.leave(client)
        self.assertEqual(gateway.slots.total, 0)

    def test_under_api(self) -> None:
        """The same under /api (F-044)."""
        client = self.gateway().client()
        self.assertEqual(client.request("GET", "/api/ws", UPGRADE).status, 101)
        self.leave(client)

    def test_no_upgrade(self) -> None:
        """A plain request is told so and takes no slot, whatever the case of its headers (SRV-02, S-LIM-08)."""
        gateway = self.gateway(max_connections_per_ip=1)
        for headers, status in (
            ({}, 400),
            (without("Upgrade"), 400),
            (without("Connection"), 400),
            (without("Sec-WebSocket-Key"), 400),
            (without("Sec-WebSocket-Version"), 426),
            ({**UPGRADE, "Sec-WebSocket-Version": "8"}, 426),
        ):
            _, answer = self.knock(gateway, headers)
            self.assertEqual((headers, answer.status), (headers, status))
            self.assertTrue(answer.headers["content-type"].startswith("text/plain"))
            self.assertEqual(gateway.slots.total, 0)
        client, answer = self.knock(
            gateway,
            {
                name.upper(): value.lower() if name != "Sec-WebSocket-Key" else value
                for name, value in UPGRADE.items()
            },
        )
        self.assertEqual((answer.status, gateway.slots.total), (101, 1))
        self.leave(client)

    def test_methods(self) -> None:
        """Only GET opens a WebSocket."""
        client = self.gateway().client()
        self.assertEqual(client.request("POST", "/ws", UPGRADE).status, 405)
        self.assertEqual(client.request("HEAD", "/ws", UPGRADE).status, 400)
        self.assertEqual(client.request("GET", "/ws/more", UPGRADE).status, 404)

    def test_http_1_0(self) -> None:
        """An old client is told what it needs (S-LIM-08)."""
        client = self.gateway().client()
        client.send(b"GET /ws HTTP/1.0\r\n\r\n")
        answer = client.answer()
        self.assertEqual((answer.status, answer.headers["upgrade"]), (426, "websocket"))

    def test_origin(self) -> None:
        """With a list of origins, only their pages and programs get in (S-CFG-39)."""
        gateway = self.gateway(cors_allowed_origins=(PAGE,))
        for headers, status in (
            ({}, 101),
            ({"Origin": PAGE}, 101),
            ({"Origin": "https://evil.example"}, 403),
            ({"Origin": "null"}, 403),
        ):
            client, answer = self.knock(gateway, {**UPGRADE, **headers})
            self.assertEqual((headers, answer.status), (headers, status))
            if status == 101:
                self.leave(client)
        self.assertEqual(gateway.slots.total, 0)

    def test_any_origin(self) -> None:
        """Every page may only where the operator says so: a list of "*" (S-CFG-39)."""
        for allowed, status in (((), 403), (("*",), 101)):
            gateway = self.gateway(cors_allowed_origins=allowed)
            client, answer = self.knock(gateway, {**UPGRADE, "Origin": "https://evil.example"})
            self.assertEqual(answer.status, status)
            if status == 101:
                self.leave(client)

    def test_the_console_is_at_home(self) -> None:
        """The gateway's own pages get a call, also where other origins are listed."""
        for allowed in ((), (PAGE,)):
            gateway = self.gateway(cors_allowed_origins=allowed)
            headers = {**UPGRADE, "Host": "gw.example:3001", "Origin": "http://gw.example:3001"}
            client, answer = self.knock(gateway, headers)
            self.assertEqual(answer.status, 101)
            self.leave(client)

    def test_behind_a_proxy(self) -> None:
        """The name by which callers know the gateway is believed of a trusted proxy, and of nobody else."""
        asked = {**UPGRADE, "X-Forwarded-Host": "gw.example", "Origin": "https://gw.example"}
        for trusted, status in ((("10.0.0.0/8", "127.0.0.1", "192.0.2.0/24"), 101), ((), 403)):
            client, answer = self.knock(self.gateway(trusted_proxies=trusted), asked)
            self.assertEqual(answer.status, status)
            if status == 101:
                self.leave(client)

    def test_limit_in_all(self) -> None:
        """Of ten times too many callers exactly the limit get in; the rest read why not (S-LIM-01, SRV-01, D-71)."""
        gateway = self.gateway(max_websocket_connections=5)
        met = [self.knock(gateway, peer=f"192.0.2.{n}") for n in range(50)]
        statuses = [answer.status for _, answer in met]
        self.assertEqual((statuses.count(101), statuses.count(503)), (5, 45))
        self.assertEqual(met[-1][1].body, b"Server at capacity. Please try again later.")
        for client, answer in met:
            if answer.status == 101:
                self.leave(client)
        self.assertEqual(gateway.slots.total, 0)

    def test_limit_per_address(self) -> None:
        """One address gets its share, a whole IPv6 /64 one share (S-LIM-01, S-LIM-05, SRV-01, D-71)."""
        gateway = self.gateway(max_connections_per_ip=2)
        met = [self.knock(gateway, peer=f"2001:db8::{n:x}") for n in range(20)]
        statuses = [answer.status for _, answer in met]
        self.assertEqual((statuses.count(101), statuses.count(429)), (2, 18))
        self.assertEqual(met[-1][1].body, b"Too many connections from your IP address.")
        self.assertIn("retry-after", met[-1][1].headers)
        other, answer = self.knock(gateway, peer="2001:db8:0:1::1")
        self.assertEqual(answer.status, 101)
        for client in (met[0][0], met[1][0], other):
            self.leave(client)
        self.assertEqual(gateway.slots.total, 0)

    def test_one_address_for_both_limits(self) -> None:
        """Behind a trusted proxy slots are counted by the real caller, as requests are (X-02, S-LIM-06, S-CFG-38)."""
        gateway = self.gateway(max_connections_per_ip=1, trusted_proxies=("192.0.2.1",))
        users = [{**UPGRADE, "X-Forwarded-For": f"203.0.113.{n}"} for n in (1, 2, 1)]
        met = [self.knock(gateway, user) for user in users]
        self.assertEqual([answer.status for _, answer in met], [101, 101, 429])
        self.assertEqual(gateway.slots.count("203.0.113.1"), 1)
        for client, _ in met[:2]:
            self.leave(client)

    def test_refused_upgrades_keep_nothing(self) -> None:
        """A thousand refused upgrades leave the counters at zero (X-03, D-72, S-LIM-03)."""
        gateway = self.gateway(cors_allowed_origins=(PAGE,))
        for n in range(1000):
            headers = (
                without("Sec-WebSocket-Key")
                if n % 2
                else {**UPGRADE, "Origin": "https://evil.example"}
            )
            self.knock(gateway, headers)
        self.assertEqual(gateway.slots.total, 0)

    def test_failures_at_each_stage(self) -> None:
        """A slot comes back once, wherever the upgrade fails (SRV-03, D-72, S-LIM-03)."""
        gateway = self.gateway()
        factory = gateway.site._children[b"ws"]._factory  # type: ignore[attr-defined]

        def fail(*_: object) -> None:
            raise ZeroDivisionError

        for stage in ("buildProtocol", "makeConnection", "onConnect", "caller"):
            patch = self.patch(
                VoiceProtocol if hasattr(VoiceProtocol, stage) else factory, stage, fail
            )
            client = gateway.client()
            client.request("GET", "/ws", UPGRADE)
            if not client.transport.is_broken and client.transport.protocol is not client.channel:
                self.leave(client)
            self.assertEqual((stage, gateway.slots.total), (stage, 0))
            patch.restore()
            self.flushLoggedErrors()

    def test_bad_handshake(self) -> None:
        """A key that the WebSocket library refuses gives the slot back too (SRV-03, D-72)."""
        gateway = self.gateway()
        client, answer = self.knock(gateway, {**UPGRADE, "Sec-WebSocket-Key": "short"})
        self.assertEqual(answer.status, 400)
        self.leave(client)
        self.assertEqual(gateway.slots.total, 0)

    def test_while_stopping(self) -> None:
        """A gateway that is shutting down lets nobody in, and says so."""
        gateway = self.gateway()
        gateway.calls.stop(0)
        _, answer = self.knock(gateway)
        self.assertEqual((answer.status, answer.body), (503, b"Server is shutting down"))
        self.assertEqual(gateway.slots.total, 0)

    def test_counts_as_a_request(self) -> None:
        """Upgrades cost a request each, with everything else (S-CFG-35)."""
        gateway = Gateway(security=SecuritySettings(rate_limit_burst_size=1))
        self.open = gateway
        client, answer = self.knock(gateway)
        self.assertEqual(answer.status, 101)
        self.assertEqual(self.knock(gateway)[1].status, 429)
        self.assertEqual(gateway.slots.total, 1)
        self.leave(client)
