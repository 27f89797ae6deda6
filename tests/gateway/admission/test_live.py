"""What is counted of connections and requests."""

import struct

from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.gateway import Gateway
from tests.gateway.voices_rig import Desk, desk
from waav.errors import ProviderLost
from waav.gateway.admission.live import GOING_AWAY, LiveConnections
from waav.gateway.settings import SecuritySettings

SPEAK = b'{"text": "hello", "tts_config": {"provider": "acme"}}'
JSON = {"content-type": "application/json"}
UPGRADE = {
    "upgrade": "websocket",
    "connection": "upgrade",
    "sec-websocket-version": "13",
    "sec-websocket-key": "dGhlIHNhbXBsZSBub25jZQ==",
}


class ClosedTests(SynchronousTestCase):
    """Why connections to /ws end."""

    def assert_closed(self, stand: Desk, why: str) -> None:
        """The only connection ended for that reason."""
        self.assertEqual(stand.calls.figures.opened, {"ws": 1})
        self.assertEqual(stand.calls.figures.closed, {("ws", why): 1})

    def test_goodbye(self) -> None:
        """A caller who sends a close frame has hung up himself, however the connection ends then."""
        visitor = desk().visit()
        visitor.frame(8, struct.pack("!H", 1000))
        visitor.leave()
        self.assert_closed(visitor.desk, "caller")

    def test_lost(self) -> None:
        """A connection that breaks without a goodbye is lost."""
        visitor = desk().visit()
        visitor.leave()
        self.assert_closed(visitor.desk, "lost")

    def test_idle(self) -> None:
        """One on which nothing passes is idle, also if the caller confirms the close."""
        visitor = desk(idle_s=2.0, ping_s=1000.0).visit()
        visitor.desk.clock.pump([0.1] * 25)
        visitor.frame(8, struct.pack("!H", 1000))
        visitor.leave()
        self.assert_closed(visitor.desk, "idle")

    def test_no_pong(self) -> None:
        """One that answers no pings is told apart from a shutdown, which has the same code."""
        visitor = desk(idle_s=1000.0, ping_s=1.0, missed_pings=2).visit()
        visitor.desk.clock.pump([0.5] * 12)
        visitor.leave()
        self.assert_closed(visitor.desk, "no_pong")

    def test_violation(self) -> None:
        """A caller who breaks the protocol is counted as such."""
        visitor = desk().visit()
        visitor.frame(3)
        visitor.leave()
        self.assert_closed(visitor.desk, "violation")

    def test_shutdown(self) -> None:
        """What a stop of the gateway ends is counted as that."""
        visitor = desk().visit()
        visitor.protocol.close(GOING_AWAY, "bye")
        visitor.leave()
        self.assert_closed(visitor.desk, "shutdown")

    def test_our_error(self) -> None:
        """A connection that could not be served is our error."""
        stand = desk()
        stand.factory.caller = None  # type: ignore[method-assign, assignment]
        visitor = stand.visit()
        visitor.leave()
        self.assert_closed(stand, "error")
        self.assertEqual(len(self.flushLoggedErrors(TypeError)), 1)


class CallsTests(SynchronousTestCase):
    def test_unknown_ones(self) -> None:
        """A connection that is removed twice, or was never there, is counted once, or not."""
        calls = LiveConnections(desk().clock)
        connection = desk().visit().protocol
        calls.add(connection)
        calls.remove(connection, "idle")
        calls.remove(connection, "caller")
        self.assertEqual(calls.figures.closed, {("ws", "idle"): 1})


class RequestTests(SynchronousTestCase):
    def test_speech(self) -> None:
        """Each POST /speak is a connection of its own, ended by the caller or lost."""
        gateway = Gateway()
        gateway.client().request("POST", "/speak", JSON, SPEAK)
        gateway.said[0].done.errback(ProviderLost("acme", "gone"))
        hasty = gateway.client()
        hasty.request("POST", "/speak", JSON, SPEAK)
        hasty.hang_up()
        figures = gateway.calls.figures
        self.assertEqual(figures.opened, {"speak": 2})
        self.assertEqual(figures.closed, {("speak", "caller"): 1, ("speak", "lost"): 1})

    def test_statuses(self) -> None:
        """Requests are counted by the status of their answer."""
        gateway = Gateway()
        gateway.client().request("GET", "/")
        gateway.client().request("GET", "/nowhere")
        self.assertEqual(gateway.calls.figures.answered, {200: 1, 404: 1})

    def test_too_fast(self) -> None:
        """Requests above the rate are counted as refused by it."""
        gateway = Gateway(security=SecuritySettings(rate_limit_burst_size=1))
        for _ in range(3):
            gateway.client().request("GET", "/providers")
        self.assertEqual(gateway.calls.figures.refused, {"rate": 2})
        self.assertEqual(gateway.calls.figures.answered, {200: 1, 429: 2})

    def test_too_many(self) -> None:
        """Connections refused by either limit are counted by which it was."""
        gateway = Gateway(security=SecuritySettings(max_websocket_connections=1))
        other = Gateway(security=SecuritySettings(max_connections_per_ip=1))
        gateway.slots.take("192.0.2.7")
        other.slots.take("192.0.2.1")
        gateway.client().request("GET", "/ws", UPGRADE)
        other.client().request("GET", "/ws", UPGRADE)
        self.assertEqual(gateway.calls.figures.refused, {"total": 1})
        self.assertEqual(other.calls.figures.refused, {"address": 1})

    def test_stopping(self) -> None:
        """What a gateway that stops refuses is counted as refused by that."""
        gateway = Gateway()
        gateway.calls.stop(0.0)
        gateway.client().request("GET", "/ws", UPGRADE)
        gateway.client().request("POST", "/speak", JSON, SPEAK)
        self.assertEqual(gateway.calls.figures.refused, {"shutdown": 2})
