"""A WebSocket server that sends back what it gets, on the gateway's own protocol classes and sockets.

It exists for benchmarks and for the Autobahn test suite only; the gateway has no such address.

    python -m bench.echo_server PORT [--stock] [--tls [PEM]]

``--stock`` is Autobahn on Twisted's own sockets, as they come; ``--tls`` without a file makes a certificate.
"""

import argparse
import sys
import tempfile
from pathlib import Path
from typing import Any

from waav.net.loop import install_reactor

if __name__ == "__main__":
    install_reactor()

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.endpoints import serverFromString

from waav.net.frames import FrameLane
from waav.net.reactor import native
from waav.net.tls import Certificate, SecureEndpoint


class StockEcho(WebSocketServerProtocol):
    """Autobahn alone."""

    tcpNoDelay = True

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.sendMessage(payload, isBinary)


class Echo(FrameLane, WebSocketServerProtocol):
    """As the gateway's callers are served."""

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.sendMessage(payload, isBinary)


def listen(reactor: Any, port: int, is_stock: bool, pem: Path | None) -> Any:
    """Serve on a port of the loopback; returns a Deferred of the port."""
    factory = WebSocketServerFactory()
    factory.protocol = StockEcho if is_stock else Echo
    place = f"{port}:interface=127.0.0.1:backlog=1024"
    if is_stock:
        text = f"ssl:{place}:privateKey={pem}:certKey={pem}" if pem else f"tcp:{place}"
        return serverFromString(reactor, text).listen(factory)
    endpoint: Any = serverFromString(native(reactor), f"tcp:{place}")
    if pem is not None:
        endpoint = SecureEndpoint(reactor, endpoint, Certificate(reactor, pem, pem))
    return endpoint.listen(factory)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("port", type=int)
    parser.add_argument("--stock", action="store_true")
    parser.add_argument("--tls", nargs="?", const="", default=None, metavar="PEM")
    options = parser.parse_args()
    from twisted.internet import reactor

    folder = tempfile.TemporaryDirectory(prefix="waav-echo-")
    pem = None
    if options.tls is not None:
        from bench import certificate

        pem = Path(options.tls) if options.tls else certificate.write(Path(folder.name, "echo.pem"))
    failures: list[Any] = []

    def failed(failure: Any) -> None:
        failures.append(failure)
        reactor.stop()

    reactor.callWhenRunning(
        lambda: listen(reactor, options.port, options.stock, pem).addErrback(failed)
    )
    reactor.run()
    folder.cleanup()
    for failure in failures:
        print(failure.getErrorMessage(), file=sys.stderr)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
