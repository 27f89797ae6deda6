"""Two ends of a TLS connection."""

from pathlib import Path
from typing import Any

from tests.certificates import write_pair
from tests.net.sockets import SocketCase
from waav.net.tls import Certificate, SecureEndpoint, Trust


class SecureCase(SocketCase):
    """As ``SocketCase``, with a certificate made out to ``host``."""

    host = "localhost"

    def setUp(self) -> None:
        super().setUp()
        self.cert, self.key = write_pair(Path(self.mktemp()), "localhost")
        # The signal belongs to the process, not to a test.
        self.watch = Certificate.watch
        self.patch(Certificate, "watch", lambda certificate: None)

    def server_endpoint(self) -> Any:
        certificate = Certificate(self.net, self.cert, self.key)
        return SecureEndpoint(self.net, super().server_endpoint(), certificate)

    def client_endpoint(self, port: int) -> Any:
        plain = super().client_endpoint(port)
        return Trust(self.cert.read_bytes()).endpoint(self.net, plain, self.host, port)
