"""The hot path of a vendor's WebSocket."""

from typing import Any

from autobahn.websocket import protocol
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport
from twisted.trial.unittest import SynchronousTestCase

from waav.links.websocket.socket import socket_factory
from waav.speech import wire


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
