"""``/ws`` over TLS: another transport, with its own idea of producers."""

from tests.gateway.sockets import Flow, SocketCase


class TLSTests(Flow, SocketCase):
    """What holds without TLS holds with it."""

    is_secure = True
