"""The hot path of a vendor's WebSocket."""

from typing import Any

from autobahn.websocket import protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from waav.links.websocket.socket import socket_factory
from waav.speech import wire


class Owner:
    """Fails at once."""

    provider = "acme"

    def socket_opened(self, socket: Any) -> None:
        raise ZeroDivisionError


class FaultTests(SynchronousTestCase):
    """Faults of ours around a vendor's connection."""

    def setUp(self) -> None:
        self.owner = Owner()
        factory = socket_factory(
            Clock(),  # type: ignore[arg-type]
            self.owner,
            wire.Opening("ws://127.0.0.1/"),
            lambda: 0.0,
        )
        self.socket = factory.buildProtocol(None)
        self.transport = StringTransport()
        self.socket.makeConnection(self.transport)
        self.transport.clear()
        self.socket.state = self.socket.STATE_OPEN
        self.transport.registerProducer(self.socket, True)

    def test_in_opening_it(self) -> None:
        """A fault when the connection is there is logged, and the vendor is told that it is ours."""
        self.transport.unregisterProducer()
        self.socket.onOpen()
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        head = self.transport.value()[:2]
        self.assertEqual(head, b"\x88\x82")  # a close frame with a code, masked
        mask, code = self.transport.value()[2:6], self.transport.value()[6:8]
        self.assertEqual(bytes(a ^ b for a, b in zip(mask, code)), (1011).to_bytes(2))  # noqa: B905

    def test_a_request_in_place_of_a_message(self) -> None:
        """A dialogue that makes an HTTP request where it was to say something is named."""
        error = self.assertRaises(
            TypeError, self.socket.say, wire.Request("GET", "http://a.test/", {})
        )
        self.assertIn("acme", str(error))

    def test_saying_something_too_late(self) -> None:
        """Once a connection is closing nothing more goes out, neither words nor pings."""
        self.socket.hang_up()
        self.transport.clear()
        self.socket.say(b"audio")
        self.socket.ask_alive()
        self.assertEqual(self.transport.value(), b"")


class FrameTests(SynchronousTestCase):
    def test_nothing_is_formatted_for_a_frame(self) -> None:
        """Fifty times a second and call, audio goes out without a debug line being made up for it."""
        factory = socket_factory(Clock(), object(), wire.Opening("ws://127.0.0.1/"), lambda: 0.0)  # type: ignore[arg-type]
        socket = factory.buildProtocol(None)
        transport = StringTransport()
        socket.makeConnection(transport)
        transport.clear()
        socket.state = socket.STATE_OPEN
        formatted: list[Any] = []
        self.patch(protocol, "hltype", formatted.append)
        self.patch(protocol, "hlval", formatted.append)
        socket.say(bytes(640))
        self.assertEqual(len(transport.value()), 640 + 8)
        self.assertEqual(formatted, [])
