"""The dialler over real sockets on loopback."""

import socket
import ssl
from pathlib import Path
from typing import Any

from autobahn.twisted.websocket import WebSocketServerFactory
from OpenSSL.crypto import FILETYPE_PEM
from twisted.internet import reactor
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.ssl import PrivateCertificate
from twisted.internet.task import deferLater
from twisted.internet.threads import deferToThread
from twisted.python.threadpool import ThreadPool
from twisted.trial.unittest import TestCase

from tests.certificates import write_pair
from tests.links.doubles import PCM, Heard, Say, Server, Talk
from tests.links.http.test_link import CountingSite, Vendor
from tests.waiting import LIMIT_S, until
from waav import errors
from waav.cache.answers import Answers
from waav.cache.files import FileStore
from waav.cache.settings import CacheSettings
from waav.links.dial import Dialler
from waav.links.settings import LinkSettings
from waav.net.tls import Trust
from waav.speech import wire


def certificate(host: str, folder: str) -> tuple[PrivateCertificate, bytes]:
    """A self-signed certificate for ``host``, and what trusts it."""
    public, private = (path.read_bytes() for path in write_pair(Path(folder), host))
    return PrivateCertificate.loadPEM(public + private), public


class DialCase(TestCase):
    def setUp(self) -> None:
        self.sink = Heard()
        self.servers: list[Server] = []
        self.diallers: list[Dialler] = []
        self.ports: list[Any] = []
        self.sites: list[CountingSite] = []
        self.addCleanup(lambda: Deferred.fromCoroutine(self.stop()))

    async def stop(self) -> None:
        for dialler in self.diallers:
            await dialler.stop()
        for port in self.ports:
            await port.stopListening()
        await until(lambda: all(server.closed for server in self.servers))
        await until(lambda: not any(site.open for site in self.sites))
        await deferLater(reactor, 0.01)  # type: ignore[arg-type]

    def dialler(self, **more: Any) -> Dialler:
        settings = more.pop("settings", LinkSettings())
        dialler = Dialler(reactor, settings, more.pop("answers", None), **more)
        self.diallers.append(dialler)
        return dialler

    def serve(self, tls: PrivateCertificate | None = None) -> int:
        """A WebSocket vendor; returns its port."""

        def build() -> Server:
            self.servers.append(Server())
            return self.servers[-1]

        factory: Any = WebSocketServerFactory(reactor=reactor)
        factory.protocol = build
        factory.setProtocolOptions(maxMessagePayloadSize=0, closeHandshakeTimeout=0)
        if tls is None:
            port = reactor.listenTCP(0, factory, interface="127.0.0.1")  # type: ignore[attr-defined]
        else:
            port = reactor.listenSSL(0, factory, tls.options(), interface="127.0.0.1")  # type: ignore[attr-defined]
        self.ports.append(port)
        return int(port.getHost().port)

    def open(self, dialler: Dialler, url: str, **opening: Any) -> Deferred[Any]:
        return dialler.open("acme", lambda: Talk(wire.Opening(url, **opening), PCM), self.sink)


class SocketTests(DialCase):
    async def test_small_frames_leave_at_once(self) -> None:
        """Audio frames are not held back by Nagle's algorithm."""
        link = await self.open(self.dialler(), f"ws://127.0.0.1:{self.serve()}/")
        self.assertTrue(link._socket.transport.getTcpNoDelay())
        link.send(wire.Audio(b"\1\1"))
        await until(lambda: self.servers[0].audio == b"\1\1")
        closing = link.close()
        await until(lambda: self.servers[0].types == ["finish"])
        self.servers[0].say(type="text", text="last")
        self.servers[0].sendClose(1000)
        await closing
        self.assertEqual(self.sink.finals, ["last"])

    async def test_a_stalled_vendor(self) -> None:
        """A vendor that stops reading stops the caller, not the gateway's memory; later everything arrives."""
        settings = LinkSettings(backlog_s=1.0)
        link = await self.open(self.dialler(settings=settings), f"ws://127.0.0.1:{self.serve()}/")
        server = self.servers[0]
        server.transport.pauseProducing()
        piece = bytes(range(256)) * 12
        sent = 0
        while not self.sink.congestion:
            link.send(wire.Audio(piece))
            sent += 1
            self.assertLess(sent, 20000)
            await deferLater(reactor, 0)  # type: ignore[arg-type]
        self.assertLess(link._backlog.audio_bytes, 32000 + 2 * len(piece))
        link.send(wire.Audio(b"\7\7"))
        server.transport.resumeProducing()
        await until(lambda: server.audio.endswith(b"\7\7"))
        self.assertEqual(server.audio, piece * sent + b"\7\7")
        self.assertEqual(self.sink.congestion, [True, False])
        link.abort()

    async def test_a_cut_in_the_middle(self) -> None:
        """The vendor's socket is killed: the call goes on over a new one, the open audio is said again."""
        dialler = self.dialler(random=lambda: 0.0)
        link = await self.open(dialler, f"ws://127.0.0.1:{self.serve()}/", resumes=True)
        link.send(wire.Audio(bytes(32000)))
        await until(lambda: len(self.servers[0].audio) == 32000)
        self.servers[0].say(type="text", text="before", end_s=0.25)
        await until(lambda: self.sink.finals)
        self.servers[0].transport.abortConnection()
        await until(lambda: self.sink.of(wire.Restored))
        link.send(wire.Audio(b"\7\7"))
        await until(lambda: len(self.servers) == 2 and len(self.servers[1].audio) == 24002)
        self.assertEqual(self.sink.of(wire.Restored), [wire.Restored(0.75)])
        link.abort()

    async def test_giving_up_while_dialling(self) -> None:
        """A caller who leaves while we dial leaves no connection."""
        port = self.serve()
        dialling = self.open(self.dialler(), f"ws://127.0.0.1:{port}/", says_ready=True)
        await until(lambda: self.servers)
        dialling.cancel()
        await self.assertFailure(dialling, CancelledError)
        await until(lambda: self.servers[0].closed)

    async def test_nobody_there(self) -> None:
        """A refused connection is reported as what it is."""
        dialling = self.open(self.dialler(), "ws://127.0.0.1:1/")
        error = await self.assertFailure(dialling, errors.ProviderLost)
        self.assertIn("refused", str(error))

    async def test_stop_hangs_up_everywhere(self) -> None:
        """Stopping the gateway leaves no connection to a vendor."""
        dialler = self.dialler()
        url = f"ws://127.0.0.1:{self.serve()}/"
        for _ in range(3):
            await self.open(dialler, url)
        await dialler.stop()
        await until(lambda: [bool(server.closed) for server in self.servers] == [True] * 3)
        self.assertEqual(self.sink.events, [])


class TlsTests(DialCase):
    def trusting(self, authorities: bytes) -> Dialler:
        return self.dialler(trust=Trust(authorities))

    async def test_a_vendor_that_is_who_it_says(self) -> None:
        """wss and https work with a valid certificate; Nagle is off under TLS too."""
        private, public = certificate("localhost", self.mktemp())
        dialler = self.trusting(public)
        link = await self.open(dialler, f"wss://localhost:{self.serve(private)}/")
        self.assertTrue(link._socket.transport.getTcpNoDelay())
        link.send(wire.Audio(b"\1\1"))
        await until(lambda: self.servers[0].audio == b"\1\1")
        link.abort()

    async def test_a_vendor_that_is_not(self) -> None:
        """A certificate for another name, or of an unknown authority, ends the dial before the key is sent."""
        private, public = certificate("elsewhere.test", self.mktemp())
        port = self.serve(private)
        for dialler in (self.trusting(public), self.dialler()):
            dialling = self.open(
                dialler, f"wss://localhost:{port}/", headers={"Authorization": "Token k"}
            )
            await self.assertFailure(dialling, errors.ProviderLost)
        for server in self.servers:
            self.assertEqual(server.data, b"")

    async def test_an_interrupted_answer_over_tls(self) -> None:
        """Clear breaks a TLS connection too, though the vendor is in the middle of its answer."""
        private, public = certificate("localhost", self.mktemp())
        vendor = Vendor()
        vendor.answer = lambda request, text: request.write(b"half")
        site = CountingSite(vendor)
        self.sites.append(site)
        port = reactor.listenSSL(0, site, private.options(), interface="127.0.0.1")  # type: ignore[attr-defined]
        self.ports.append(port)
        url = f"https://localhost:{port.getHost().port}/"
        link = await self.trusting(public).open("acme", lambda: Say(url), self.sink)
        link.send(wire.Speak("a"))
        await until(lambda: self.sink.audio)
        link.pause()
        link.send(wire.Clear())
        await until(lambda: vendor.gone == ["a"])

    async def test_a_vendor_that_does_not_take_the_goodbye(self) -> None:
        """A vendor that only sends, and never reads our goodbye, is cut off all the same."""
        private, public = certificate("localhost", self.mktemp())
        path = self.mktemp()
        Path(path).write_bytes(private.dumpPEM() + private.privateKey.dump(FILETYPE_PEM))
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        listening = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listening.close)
        listening.settimeout(5)

        def serve() -> str:
            """Blocks, in a thread: sends until the connection breaks."""
            with context.wrap_socket(listening.accept()[0], server_side=True) as peer:
                peer.settimeout(LIMIT_S)
                peer.recv(65536)
                peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 99999999\r\n\r\n")
                try:
                    while True:
                        peer.sendall(bytes(65536))
                except TimeoutError:
                    return "still connected"
                except OSError:
                    return "cut off"

        served = deferToThread(serve)
        url = f"https://localhost:{listening.getsockname()[1]}/"
        link = await self.trusting(public).open("acme", lambda: Say(url), self.sink)
        link.send(wire.Speak("a"))
        await until(lambda: self.sink.audio)
        link.pause()
        await deferLater(reactor, 0.1)  # type: ignore[arg-type]
        link.abort()
        self.assertEqual(await served, "cut off")


class ChoiceTests(DialCase):
    async def test_a_dialogue_that_cannot_begin(self) -> None:
        """A wrong setting found while the dialogue is built is the answer."""

        def broken() -> Any:
            raise errors.BadRequest("no such model")

        opening = self.dialler().open("acme", broken, self.sink)
        await self.assertFailure(opening, errors.BadRequest)

    async def test_unknown_addresses(self) -> None:
        """A provider with an address nobody can dial is a mistake in our code, and loud."""
        self.assertRaises(ValueError, self.open, self.dialler(), "ftp://vendor.test/")
        self.assertRaises(RuntimeError, self.open, self.dialler(), "engine:m")


class FileCacheTests(DialCase):
    async def test_survives_a_restart_and_holds_no_key(self) -> None:
        """Speech kept in files plays after a restart without the vendor; no key and no text is in them. (F-177, F-263, TTS-01)"""
        vendor = Vendor()
        site = CountingSite(vendor)
        self.sites.append(site)
        port = reactor.listenTCP(0, site, interface="127.0.0.1")  # type: ignore[attr-defined]
        self.ports.append(port)
        url = f"http://127.0.0.1:{port.getHost().port}/?api_key=hush"
        path = Path(self.mktemp())
        pool = ThreadPool(1, 1)
        pool.start()
        self.addCleanup(pool.stop)
        settings = CacheSettings(path=str(path))
        for _ in range(2):
            store = FileStore(reactor, pool, settings)
            dialler = self.dialler(answers=Answers(store, settings))
            sink = Heard()
            link = await dialler.open("acme", lambda: Say(url), sink, fingerprint="f")
            link.send(wire.Speak("private words"))
            await until(lambda sink=sink: sink.of(wire.SpokenAll))
            self.assertEqual(sink.audio, b"<private words>")
            await until(lambda store=store: store.figures.sets or store.figures.hits)
        self.assertEqual(vendor.texts, ["private words"])
        (file,) = [one for one in path.rglob("*") if one.is_file()]
        header, _, _ = file.read_bytes().partition(b"<private")
        for secret in (b"hush", b"Token k", b"private words"):
            self.assertNotIn(secret, header + str(file).encode())
