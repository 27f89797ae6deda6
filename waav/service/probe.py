"""Whether the gateway's ports can be had, asked before twistd becomes a daemon: afterwards nobody reads the answer."""

import socket
import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from twisted.internet.defer import succeed
from twisted.internet.endpoints import serverFromString
from twisted.internet.error import CannotListenError
from twisted.internet.interfaces import IStreamServerEndpoint
from twisted.internet.protocol import Factory

from waav.config.load import Config
from waav.gateway.settings import TLSSettings
from waav.service.parts import CHOOSE, PORT_TAKEN, listening_at


class Trying:
    """Stands in for a reactor: what it is asked to listen to is opened and closed again."""

    def listenTCP(
        self, port: int, factory: Any, backlog: int = 50, interface: str = ""
    ) -> "Closed":
        """Try it.

        Raises:
            CannotListenError: somebody else has it, or it is not ours to have.
        """
        family = socket.AF_INET6 if ":" in interface else socket.AF_INET
        try:
            with socket.socket(family) as trial:
                trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    trial.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                trial.bind((interface, port))
                # Binding alone succeeds beside a listener that allows it.
                trial.listen(1)
        except OSError as error:
            raise CannotListenError(interface, port, error) from None
        return Closed()

    def listenSSL(
        self, port: int, factory: Any, contextFactory: Any, backlog: int = 50, interface: str = ""
    ) -> "Closed":
        """The same."""
        return self.listenTCP(port, factory, backlog, interface)

    def __getattr__(self, name: str) -> Any:
        """Paths in the file system and sockets that were handed to us cannot be tried without leaving traces."""
        if name in ("listenUNIX", "adoptStreamPort"):
            return lambda *_, **__: Closed()
        raise AttributeError(name)


class Closed:
    """A port that was open for a moment."""

    def stopListening(self) -> Any:
        """It is closed."""
        return succeed(None)


def refuse_taken_ports(config: Config) -> None:
    """End with a line and exit code 3 if a port cannot be had.

    Raises:
        SystemExit: with that code.
    """
    for endpoint, where, is_chosen in _endpoints(config):
        reasons: list[Any] = []
        endpoint.listen(Factory()).addErrback(reasons.append)
        for failure in reasons:
            failure.trap(CannotListenError)
            reason = failure.value.socketError.strerror or failure.value.socketError
            hint = CHOOSE if is_chosen else ""
            sys.stderr.write(f"waav: cannot listen on {where}: {reason}{hint}\n")
            raise SystemExit(PORT_TAKEN)


def _endpoints(config: Config) -> Iterator[tuple[IStreamServerEndpoint, str, bool]]:
    trying: Any = Trying()
    scheme = "https" if config.server.tls.enabled else "http"
    plain = replace(config.server, tls=TLSSettings())
    for endpoint, where in listening_at(trying, plain):
        yield endpoint, where.replace("http://", f"{scheme}://"), not config.server.listen
    if config.metrics.listen is not None:
        listen = config.metrics.listen
        yield serverFromString(trying, listen), f"{listen} for metrics", False
