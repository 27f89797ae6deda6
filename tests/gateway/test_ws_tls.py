"""``/ws`` over TLS: another transport, with its own idea of producers."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from twisted.internet import reactor, ssl
from twisted.internet.interfaces import IReactorSSL
from twisted.trial.unittest import TestCase
from twisted.web.server import Site

from tests.gateway.client import Client, Upgrade, connect, soon
from tests.gateway.voice import CONFIG, FakeCall, world
from waav.gateway.calls import Calls
from waav.gateway.settings import WebSocketSettings
from waav.gateway.slots import Slots
from waav.gateway.ws import VoiceFactory
from waav.session.call import Outlet, World


def self_signed() -> ssl.PrivateCertificate:
    """A certificate for nobody in particular."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return ssl.PrivateCertificate.loadPEM(
        pem + certificate.public_bytes(serialization.Encoding.PEM)
    )


class TLSTests(TestCase):
    def setUp(self) -> None:
        self.opened: list[FakeCall] = []
        self.calls = Calls(reactor)  # type: ignore[arg-type]
        self.slots = Slots(None, None)

        def open_call(world: World, outlet: Outlet) -> FakeCall:
            self.opened.append(FakeCall(world, outlet))
            return self.opened[-1]

        factory = VoiceFactory(
            world(reactor),  # type: ignore[arg-type]
            WebSocketSettings(),
            self.calls,
            open_call=open_call,
        )
        self.port = IReactorSSL(reactor).listenSSL(
            0,
            Site(Upgrade(factory, self.slots)),
            self_signed().options(),
            interface="127.0.0.1",
        )

    async def tearDown(self) -> None:
        await self.calls.stop(0)
        self.assertEqual((self.slots.total, self.calls.live), (0, 0))
        await self.port.stopListening()  # type: ignore[misc]

    async def connect(self) -> Client:
        """A client whose config is in force."""
        client = await connect(self.port.getHost().port, is_secure=True)
        client.say(CONFIG)
        self.assertEqual((await client.next())["type"], "ready")
        return client

    async def test_slow_caller(self) -> None:
        """A caller who does not read pauses the call over TLS too, and gets everything in order. (F-078)"""
        client = await self.connect()
        (call,) = self.opened
        client.transport.pauseProducing()
        sent = 0
        while call.told[-1] != ("pause",):
            call.outlet.audio(sent.to_bytes(4, "big") * 4096)
            sent += 1
            await soon()
            self.assertLess(sent, 5000)
        client.transport.resumeProducing()
        for number in range(sent):
            self.assertEqual(await client.next(), number.to_bytes(4, "big") * 4096)
        while call.told[-1] != ("resume",):
            await soon()

    async def test_goodbyes(self) -> None:
        """Either side may say goodbye over TLS. (F-064)"""
        first, second = await self.connect(), await self.connect()
        first.sendClose(1000)
        self.assertEqual(await first.gone, 1000)
        stopping = self.calls.stop(0)
        self.assertEqual(await second.gone, 1001)
        await stopping

    async def test_congested_provider(self) -> None:
        """A caller whose provider is full is stopped over TLS too, and loses nothing. (F-077)"""
        client = await self.connect()
        (call,) = self.opened
        call.outlet.congested(True)
        for number in range(1000):
            client.say(number.to_bytes(4, "big") * 4096)
        for _ in range(50):
            await soon()
        self.assertLess(len(call.told), 50)
        call.outlet.congested(False)
        while len(call.told) < 1001:
            await soon()
        self.assertEqual(
            [each[1][:4] for each in call.told[1:]], [n.to_bytes(4, "big") for n in range(1000)]
        )
