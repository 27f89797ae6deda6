"""What the Autobahn test suite is run against: our protocol classes, sending back what they get.

    python -m bench.testees gateway PORT    the class of /ws, upgraded by twisted.web as in the gateway
    python -m bench.testees deflate PORT    the frame lane with compression agreed on
    python -m bench.testees client PORT     the class that calls vendors, as the client of a fuzzing server

``bench.echo_server`` is the fourth. The gateway itself has no such addresses.
"""

import argparse
import sys
import time
from collections.abc import Callable
from typing import Any

from waav.net.loop import install_reactor

if __name__ == "__main__":
    install_reactor()

from autobahn.twisted.websocket import WebSocketServerFactory
from autobahn.websocket.compress import PerMessageDeflateOfferAccept
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import HostnameEndpoint, serverFromString
from twisted.web.iweb import IRequest
from twisted.web.resource import Resource
from twisted.web.server import Site

from bench.echo_server import Echo
from waav import errors
from waav.gateway.admission.live import LiveConnections
from waav.gateway.admission.slots import Slots
from waav.gateway.settings import WebSocketSettings
from waav.gateway.voice.ws import VoiceFactory, VoiceProtocol
from waav.links.websocket.socket import Socket, socket_factory
from waav.net.reactor import native
from waav.registry import Registry
from waav.session.world import World
from waav.speech import wire

AGENT = "waav"


class VoiceEcho(VoiceProtocol):
    """A caller's connection with all its rules, but for what is said on it."""

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if self.state == self.STATE_OPEN:
            self.sendMessage(payload, isBinary)

    def send_text(self, text: str) -> None:
        """The gateway says in words why it closes; the suite takes any message it did not ask for as a fault."""


class VoiceEchoFactory(VoiceFactory):
    """Makes ``VoiceEcho``."""

    protocol = VoiceEcho


class Door(Resource):
    """Lets everybody in."""

    isLeaf = True

    def __init__(self, factory: VoiceFactory) -> None:
        super().__init__()
        self._factory = factory
        self._slots = Slots(None, None)

    def render(self, request: IRequest) -> int | bytes:
        return self._factory.serve(request, self._slots.take("127.0.0.1"), "127.0.0.1")


def serve_gateway(reactor: Any, port: int) -> Deferred[Any]:
    """The class of ``/ws`` on a port of the loopback."""
    nothing: Any = None
    world = World(reactor, Registry(()), nothing, nothing)
    factory = VoiceEchoFactory(world, WebSocketSettings(), LiveConnections(reactor))
    return _serve(reactor, port, Site(Door(factory)))


def serve_deflate(reactor: Any, port: int) -> Deferred[Any]:
    """The frame lane with compression agreed on."""

    def accept(offers: list[Any]) -> Any:
        return PerMessageDeflateOfferAccept(offers[0])

    factory: Any = WebSocketServerFactory()
    factory.protocol = Echo
    factory.setProtocolOptions(perMessageCompressionAccept=accept)
    return _serve(reactor, port, factory)


def _serve(reactor: Any, port: int, factory: Any) -> Deferred[Any]:
    endpoint = serverFromString(native(reactor), f"tcp:{port}:interface=127.0.0.1:backlog=1024")
    served: Deferred[Any] = endpoint.listen(factory)
    return served


class Owner:
    """Has one connection to the fuzzing server; ``done`` fires when it is over."""

    provider = "the suite"

    def __init__(self, is_echoing: bool) -> None:
        self.done: Deferred[None] = Deferred()
        self.told: list[str | bytes] = []
        self._is_echoing = is_echoing

    def socket_opened(self, socket: Socket) -> None:
        pass

    def socket_said(self, socket: Socket, message: str | bytes) -> None:
        if self._is_echoing:
            socket.say(message)
        else:
            self.told.append(message)

    def socket_alive(self, socket: Socket) -> None:
        pass

    def socket_full(self, socket: Socket, is_full: bool) -> None:
        pass

    def socket_closed(self, socket: Socket, error: errors.ProviderError, is_clean: bool) -> None:
        self.done.callback(None)

    def refusal(self, head: wire.Head, body: bytes) -> errors.ProviderError | None:
        return None


async def run_client(reactor: Any, port: int) -> None:
    """Let a fuzzing server try all its cases on the class that calls vendors."""

    async def visit(path: str, is_echoing: bool = False) -> Owner:
        owner = Owner(is_echoing)
        opening = wire.Opening(f"ws://127.0.0.1:{port}{path}", {})
        factory = socket_factory(reactor, owner, opening, time.time)
        await HostnameEndpoint(native(reactor), "127.0.0.1", port).connect(factory)
        await owner.done
        return owner

    count = int((await visit("/getCaseCount")).told[0])
    for number in range(1, count + 1):
        await visit(f"/runCase?case={number}&agent={AGENT}", is_echoing=True)
    await visit(f"/updateReports?agent={AGENT}")
    reactor.stop()


ROLES: dict[str, Callable[[Any, int], Deferred[Any]]] = {
    "gateway": serve_gateway,
    "deflate": serve_deflate,
    "client": lambda reactor, port: Deferred.fromCoroutine(run_client(reactor, port)),
}


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("role", choices=ROLES)
    parser.add_argument("port", type=int)
    options = parser.parse_args()
    from twisted.internet import reactor

    failures: list[Any] = []

    def failed(failure: Any) -> None:
        failures.append(failure)
        reactor.stop()

    reactor.callWhenRunning(lambda: ROLES[options.role](reactor, options.port).addErrback(failed))
    reactor.run()
    for failure in failures:
        print(failure.getTraceback(), file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
