"""TLS: who is believed, what is refused, and on both kinds of reactor."""

import os
import signal
import socket
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from twisted.internet import reactor
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.error import ConnectionLost, NoProtocol
from twisted.internet.interfaces import ISSLTransport
from twisted.internet.threads import deferToThread
from twisted.trial.unittest import SynchronousTestCase
from twisted.web.resource import Resource
from twisted.web.server import Site

from tests.certificates import write_pair
from tests.net.secure_sockets import SecureCase
from tests.net.sockets import End, Ends, Loopless, turns
from tests.waiting import until
from waav.net import secure
from waav.net.reactor import native
from waav.net.tls import (
    SYSTEM,
    Certificate,
    CertificateExpired,
    CertificateForAnotherHost,
    CertificateUntrusted,
    HandshakeFailed,
    SecureEndpoint,
    Trust,
    refusal,
)

LOCKED = ec.generate_private_key(ec.SECP256R1()).private_bytes(
    serialization.Encoding.PEM,
    serialization.PrivateFormat.PKCS8,
    serialization.BestAvailableEncryption(b"secret"),
)
"""A key that cannot be read without a password."""


class BothTests:
    """What holds on any reactor."""

    async def test_who_is_believed(self: Any) -> None:
        """With the right certificate both ends talk; the connection is known to be a secure one."""
        server, client = await self.pair()
        client.transport.write(b"hello")
        server.transport.write(b"there")
        await until(lambda: server.data == b"hello" and client.data == b"there")
        self.assertIsNotNone(ISSLTransport(server.transport, None))
        self.assertIsNotNone(ISSLTransport(client.transport, None))

    async def refused(self: Any, host: str, trust: Trust) -> str:
        """How a connection to a server that shows ``self.cert`` ends; the server must not hear a word."""
        callers = Ends()
        port = await self.listen(callers)
        plain = super(SecureCase, self).client_endpoint(port.getHost().port)

        class Speaks(End):
            def connectionMade(self) -> None:
                self.transport.write(b"secret")

        try:
            end = await trust.endpoint(self.net, plain, host, 1).connect(Ends(Speaks))
        except Exception as error:
            return type(error).__name__
        finally:
            await turns(20)
            self.assertEqual(b"".join(caller.data for caller in callers.made), b"")
        await end.lost
        self.assertTrue(end.reason.check(Exception))
        return "lost"

    async def test_an_unknown_authority(self: Any) -> None:
        """A certificate that nobody we know vouches for ends the connection before anything is said."""
        self.assertIn(await self.refused("localhost", SYSTEM), ("CertificateUntrusted", "lost"))

    async def test_another_host(self: Any) -> None:
        """A certificate made out to somebody else is none; the same for addresses."""
        trust = Trust(self.cert.read_bytes())
        for host in ("elsewhere.test", "127.0.0.1"):
            self.assertIn(await self.refused(host, trust), ("CertificateForAnotherHost", "lost"))

    async def test_addresses(self: Any) -> None:
        """A certificate made out to an IP address serves that address."""
        self.cert, self.key = write_pair(Path(self.mktemp()), "127.0.0.1", is_address=True)
        self.host = "127.0.0.1"
        server, client = await self.pair()
        client.transport.write(b"hello")
        await until(lambda: server.data == b"hello")

    async def test_a_new_certificate(self: Any) -> None:
        """After SIGHUP new callers are shown what the files hold now; open connections go on. (S-CFG-19)"""
        self.addCleanup(signal.signal, signal.SIGHUP, signal.getsignal(signal.SIGHUP))
        certificate = Certificate(self.net, self.cert, self.key)
        plain = TCP4ServerEndpoint(self.net, 0, interface="127.0.0.1")
        callers = Ends()
        port: Any = await SecureEndpoint(self.net, plain, certificate).listen(callers)
        self.ports.append(port)
        number = port.getHost().port
        first: Any = await self.client_endpoint(number).connect(Ends())
        self.ends.append(first)
        first.transport.write(b"before")
        await until(lambda: callers.made and callers.made[0].data == b"before")
        other = write_pair(Path(self.mktemp()))
        self.cert.write_bytes(other[0].read_bytes())
        self.key.write_bytes(other[1].read_bytes())
        self.watch(certificate)
        os.kill(os.getpid(), signal.SIGHUP)
        await turns()
        self.key.write_text("broken")
        certificate.reload()
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)
        second: Any = await self.client_endpoint(number).connect(Ends())
        self.ends.append(second)
        first.transport.write(b", after")
        second.transport.write(b"new")
        await until(lambda: [end.data for end in callers.made] == [b"before, after", b"new"])
        self.ends += callers.made

    def test_files_that_are_no_use(self: Any) -> None:
        """A certificate without its key, or with another's, is told at start, by name."""
        _, strange = write_pair(Path(self.mktemp()))
        empty = Path(self.mktemp())
        empty.write_text("nothing")
        locked = Path(self.mktemp())
        locked.write_bytes(LOCKED)
        for key in (strange, empty, locked):
            error = self.assertRaises(ValueError, Certificate, self.net, self.cert, key)
            self.assertIn("certificate", str(error))
        self.assertRaises(ValueError, Certificate, self.net, empty, self.key)
        self.assertRaises(OSError, Certificate, self.net, Path("/nowhere"), self.key)

    async def test_what_is_offered(self: Any) -> None:
        """Callers get TLS 1.2 or later, and are told that HTTP/1.1 is spoken. (S-CFG-19)"""
        port = await self.listen(Ends())
        self.assertEqual(
            await deferToThread(greet, port, self.cert, ssl.TLSVersion.TLSv1_2), "http/1.1"
        )
        with self.assertRaises((ssl.SSLError, OSError)):
            await deferToThread(greet, port, self.cert, ssl.TLSVersion.TLSv1_1)

    async def test_a_request(self: Any) -> None:
        """A web server knows that a request came over TLS."""
        known: list[bool] = []

        class Root(Resource):
            isLeaf = True

            def render_GET(self, request: Any) -> bytes:
                known.append(request.isSecure())
                return b"yes"

        site = Site(Root())
        site.noisy = False
        port = await self.listen(site)
        client: Any = await self.client_endpoint(port.getHost().port).connect(Ends())
        self.ends.append(client)
        client.transport.write(b"GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        await client.lost
        self.assertTrue(client.data.startswith(b"HTTP/1.1 200"))
        self.assertEqual(known, [True])


def greet(port: Any, trusted: Path, version: ssl.TLSVersion) -> str | None:
    """What a caller with at most this version is told to speak, in a thread."""
    context = ssl.create_default_context(cafile=str(trusted))
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    context.maximum_version = version
    context.set_alpn_protocols(["h2", "http/1.1"])
    with (
        socket.create_connection(("127.0.0.1", port.getHost().port), 5) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as talking,
    ):
        return talking.selected_alpn_protocol()


class StockTests(BothTests, SecureCase):
    """On a reactor without an event loop TLS is Twisted's."""

    net: Any = Loopless()


class NativeTests(BothTests, SecureCase):
    """On a reactor with one it is ours."""

    def setUp(self) -> None:
        super().setUp()
        self.net = native(reactor)

    async def test_why(self) -> None:
        """A refused certificate says in words what is wrong with it."""
        trust = Trust(self.cert.read_bytes())
        self.assertEqual(await self.refused("localhost", SYSTEM), "CertificateUntrusted")
        self.assertEqual(await self.refused("other.test", trust), "CertificateForAnotherHost")
        past = datetime.now(UTC) - timedelta(days=3)
        self.cert, self.key = write_pair(Path(self.mktemp()), until=past)
        trust = Trust(self.cert.read_bytes())
        self.assertEqual(await self.refused("localhost", trust), "CertificateExpired")

    async def test_a_peer_without_tls(self) -> None:
        """A vendor that speaks no TLS is told as that."""

        class Plain(End):
            def connectionMade(self) -> None:
                self.transport.write(b"220 hello, I speak something else\r\n" * 9)

        plain = await TCP4ServerEndpoint(self.net, 0, interface="127.0.0.1").listen(Ends(Plain))
        self.ports.append(plain)
        connecting = self.client_endpoint(plain.getHost().port).connect(Ends())
        error = await self.assertFailure(connecting, HandshakeFailed)
        self.assertIn("wrong version number", str(error))

    async def test_a_caller_without_tls(self) -> None:
        """A caller who speaks no TLS is sent away, and nobody else notices."""
        callers = Ends()
        port = await self.listen(callers)
        plain: Any = (
            await super(SecureCase, self).client_endpoint(port.getHost().port).connect(Ends())
        )
        self.ends.append(plain)
        plain.transport.write(b"GET / HTTP/1.1\r\n\r\n")
        await plain.lost
        self.assertEqual(callers.made, [])

    async def test_who_never_shakes_hands(self) -> None:
        """A caller who connects and says nothing is let go; so is a vendor that never answers."""
        self.patch(secure, "HANDSHAKE_S", 0.05)
        callers = Ends()
        port = await self.listen(callers)
        plain: Any = (
            await super(SecureCase, self).client_endpoint(port.getHost().port).connect(Ends())
        )
        self.ends.append(plain)
        await plain.lost
        silent = await TCP4ServerEndpoint(self.net, 0, interface="127.0.0.1").listen(Ends())
        self.ports.append(silent)
        connecting = self.client_endpoint(silent.getHost().port).connect(Ends())
        error = await self.assertFailure(connecting, HandshakeFailed)
        self.assertIn("too long", str(error))

    async def test_giving_up_in_the_handshake(self) -> None:
        """Who gives up while hands are being shaken leaves no connection."""
        callers = Ends()
        silent = await TCP4ServerEndpoint(self.net, 0, interface="127.0.0.1").listen(callers)
        self.ports.append(silent)
        connecting = self.client_endpoint(silent.getHost().port).connect(Ends())
        await until(lambda: callers.made and callers.made[0].data)
        connecting.cancel()
        await self.assertFailure(connecting, Exception)
        await callers.made[0].lost
        again = self.client_endpoint(silent.getHost().port).connect(Ends())
        again.cancel()
        await self.assertFailure(again, Exception)

    async def test_a_cut(self) -> None:
        """A connection that ends without TLS's goodbye was cut, whoever did it: an answer may not be whole."""
        server, client = await self.pair()
        client.transport.write(b"x")
        await until(lambda: server.data)
        server.transport.getHandle().shutdown(socket.SHUT_WR)
        await client.lost
        self.assertEqual(client.ended_by, ConnectionLost.__name__)

    async def test_a_forged_record(self) -> None:
        """A record that is not the peer's breaks the connection."""
        server, client = await self.pair()
        client.transport.getHandle().send(b"\x17\x03\x03\x00\x20" + b"forged" * 8)
        await server.lost
        self.assertEqual(server.ended_by, "ConnectionAborted")

    async def test_nagle(self) -> None:
        """No-delay is on under TLS as well. (F-040)"""
        for end in await self.pair():
            self.assertIsInstance(end.transport, secure.Secure)
            self.assertTrue(end.transport.getTcpNoDelay())

    async def test_what_the_peer_showed(self) -> None:
        """The peer's certificate can be asked for."""
        server, client = await self.pair()
        der = ssl.PEM_cert_to_DER_cert(self.cert.read_text())
        self.assertEqual(client.transport.getPeerCertificate(), der)
        self.assertIsNone(server.transport.getPeerCertificate())
        self.assertIsNone(client.transport.negotiatedProtocol)

    async def test_a_protocol_that_cannot_be_made(self) -> None:
        """An error while the protocol is made is the answer to who connects."""

        def broken() -> None:
            raise ZeroDivisionError("cannot be made")

        port = await self.listen(Ends())
        connecting = self.client_endpoint(port.getHost().port).connect(Ends(broken))
        await self.assertFailure(connecting, ZeroDivisionError)

    async def test_a_protocol_that_nobody_makes(self) -> None:
        """A factory that makes none is told as that, and the connection does not stay open."""
        callers = Ends()
        port = await self.listen(callers)
        connecting = self.client_endpoint(port.getHost().port).connect(Ends(lambda: None))
        await self.assertFailure(connecting, NoProtocol)
        await until(lambda: all(end.lost.called for end in callers.made))


class WordTests(SynchronousTestCase):
    def test_reasons(self) -> None:
        """Each error says in a sentence what it is."""
        for kind in (
            HandshakeFailed,
            CertificateUntrusted,
            CertificateExpired,
            CertificateForAnotherHost,
        ):
            self.assertEqual(str(kind("really")), f"{kind.__doc__}: really.")
        self.assertIn("hung up", str(refusal(ConnectionLost("hung up"))))
