"""Both other ends of a gateway's connections, in a process of their own: vendors, and callers of every kind.

What they leave to the garbage collector is theirs, so that a test can look at what the gateway leaves. Orders and
answers are lines of JSON: first the vendors' ports by name, then for each
``{"visit": ..., "times": ..., "at_once": ..., "at": ..., "is_secure": ...}`` one ``{"said": ...}``: "" when all went as it should,
otherwise what did not.
"""

import json
import sys
from collections.abc import Coroutine, Iterable
from inspect import signature
from pathlib import Path
from socket import socket
from struct import pack
from typing import Any, Final, TypeVar
from urllib.parse import urlsplit

from twisted.internet import reactor, ssl, stdio
from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.internet.endpoints import SSL4ClientEndpoint, TCP4ClientEndpoint, connectProtocol
from twisted.internet.protocol import Factory, Protocol, connectionDone
from twisted.internet.task import deferLater
from twisted.protocols.basic import LineOnlyReceiver
from twisted.protocols.portforward import ProxyFactory
from twisted.python.failure import Failure

from tests.gateway.client import Client, connect
from waav.testing.replay import Answering, ReplayServer
from waav.testing.signal import Signal

T = TypeVar("T")

WIRE: Final = Path(__file__).parents[1] / "wire"
SIGNAL: Final = Signal.speaking("litter", ["hello there", "how are you"], pause_s=0.8)
STT: Final = {
    "provider": "deepgram",
    "language": "en-US",
    "sample_rate": 16000,
    "channels": 1,
    "punctuation": True,
    "encoding": "linear16",
    "model": "nova-3",
}
TTS: Final = {"provider": "deepgram", "model": "aura-2-thalia-en"}
CONFIG: Final = {"type": "config", "stt_config": STT, "tts_config": TTS}
LOCAL: Final = {
    "type": "config",
    "stt_config": STT | {"provider": "local", "model": ""},
    "tts_config": {"provider": "local", "model": ""},
    "noise_filter": True,
    "turn_detection": True,
}
TEXT: Final = "This goes on for quite a while. " * 5


HANDSHAKE: Final = (
    b"GET /ws HTTP/1.1\r\nHost: gateway\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


class Raw(Protocol):
    """A caller who speaks no protocol that we know: sends bytes, keeps what comes."""

    def __init__(self, sent: bytes) -> None:
        self.sent = sent
        self.came = b""
        self.gone: Deferred[bytes] = Deferred()
        self._wanted: tuple[bytes, Deferred[None]] | None = None

    def connectionMade(self) -> None:
        assert self.transport is not None
        self.transport.write(self.sent)

    def dataReceived(self, data: bytes) -> None:
        self.came += data
        if self._wanted is not None and self._wanted[0] in self.came:
            wanted, self._wanted = self._wanted[1], None
            wanted.callback(None)

    def until(self, text: bytes) -> Deferred[None]:
        """Fires when that has come."""
        wanted: Deferred[None] = Deferred()
        self._wanted = (text, wanted)
        self.dataReceived(b"")
        return wanted

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        self.gone.callback(self.came)


class Visits:
    """What callers do. Each method is one visit from beginning to end, and raises if it went otherwise.

    Args:
        vendor: misbehaves as a visit needs it.
        port: of the gateway.
        is_secure: whether it speaks TLS.
    """

    def __init__(self, vendor: ReplayServer, port: int, is_secure: bool) -> None:
        self.vendor = vendor
        self.port = port
        self.is_secure = is_secure

    # Calls.

    async def plain(self) -> None:
        """Listens and speaks, and says goodbye."""
        client = await self._ready()
        await self._talk(client)
        await self._leave(client)

    async def twice_configured(self) -> None:
        client = await self._ready()
        await self._talk(client)
        client.say(CONFIG)
        await until(client, "ready")
        await self._talk(client)
        await self._leave(client)

    async def listening_only(self) -> None:
        client = await self._ready({"type": "config", "stt_config": STT})
        self._speak_up(client)
        await until(client, "stt_result")
        client.say(b"\0" * 640)
        client.say({"type": "speak", "text": "Hello"})
        await until(client, "error")
        await self._leave(client)

    async def cleared(self) -> None:
        """Interrupts what he is told, and hears the next text."""
        client = await self._ready()
        client.say({"type": "speak", "text": TEXT})
        await until(client, None)
        client.say({"type": "clear"})
        client.say({"type": "speak", "text": "Yes?"})
        await until(client, "tts_playback_complete")
        await self._leave(client)

    async def protected(self) -> None:
        """What he is told is not to be interrupted; he tries, and hangs up."""
        client = await self._ready()
        client.say({"type": "speak", "text": TEXT, "allow_interruption": False})
        await until(client, None)
        client.say({"type": "clear"})
        self._speak_up(client)
        await until(client, None)
        await self._leave(client)

    async def interrupted(self) -> None:
        """Hangs up while he is spoken to."""
        client = await self._ready()
        self._speak_up(client)
        client.say({"type": "speak", "text": TEXT})
        await until(client, None)
        await self._leave(client)

    async def unconfigured(self) -> None:
        client = await self._open()
        client.say({"type": "ping", "timestamp": "now"})
        await until(client, "pong")
        await self._leave(client)

    async def vanishing(self) -> None:
        """His connection breaks."""
        client = await self._ready()
        self._speak_up(client)
        client.say({"type": "speak", "text": TEXT})
        await until(client, None)
        client.transport.abortConnection()
        await client.gone

    async def silent_end(self) -> None:
        """His connection ends without a close frame."""
        client = await self._ready()
        self._speak_up(client)
        client.say({"type": "speak", "text": TEXT})
        await until(client, None)
        client.transport.loseConnection()
        await client.gone

    async def outlasted(self) -> None:
        """Stays until the gateway ends the call."""
        client = await self._ready()
        client.say({"type": "speak", "text": TEXT})
        assert await client.gone == 1001

    async def hasty(self) -> None:
        """Is gone before his config is in force."""
        client = await self._open()
        client.say(CONFIG)
        client.say({"type": "speak", "text": "Hello"})
        await deferLater(reactor, 0.002)  # type: ignore[arg-type]
        client.transport.abortConnection()
        await client.gone

    async def idle(self) -> None:
        client = await self._ready()
        await until(client, "error")
        await client.gone

    async def violating(self) -> None:
        """Breaks the protocol."""
        client = await self._ready()
        client.transport.write(b"\xff\xff\xff\xff\xff\xff\xff")
        await until(client, "error")
        await client.gone

    async def deaf(self) -> None:
        """Answers no ping, and no goodbye."""
        raw = await self._raw(HANDSHAKE + _frame(CONFIG))
        await raw.until(b'"ready"')
        raw.transport.write(_frame({"type": "speak", "text": TEXT}))
        await raw.gone

    async def refused_config(self) -> None:
        client = await self._open()
        for wrong in ({"provider": "nobody"}, {"sample_rate": -1}, {"language": 7}):
            client.say(CONFIG | {"stt_config": STT | wrong})
            await until(client, "error")
        client.say({"type": "nonsense"})
        await until(client, "error")
        await self._leave(client)

    async def refused_key(self) -> None:
        client = await self._open()
        client.say(CONFIG | {"stt_config": STT | {"api_key": "wrong"}})
        await until(client, "error")
        client.say(CONFIG)
        await until(client, "ready")
        await self._leave(client)

    async def unreachable(self) -> None:
        """The vendor cannot be had: not by a config, nor by a text."""
        client = await self._open()
        client.say(CONFIG)
        await until(client, "error")
        client.say({"type": "config", "tts_config": TTS})
        await until(client, "ready")
        client.say({"type": "speak", "text": "Hello"})
        await until(client, "error")
        await self._leave(client)

    # The gateway's own models.

    async def modelled(self) -> None:
        """Everything is done by the gateway's own models."""
        client = await self._ready(LOCAL)
        self._speak_up(client)
        await until(client, "stt_result", is_speech_final=True)
        client.say({"type": "speak", "text": "Hello"})
        await until(client, "tts_playback_complete")
        await self._leave(client)

    async def modelled_interrupted(self) -> None:
        """He clears, and hangs up in the middle."""
        client = await self._ready(LOCAL)
        self._speak_up(client)
        client.say({"type": "speak", "text": TEXT})
        await until(client, None)
        client.say({"type": "clear"})
        client.say({"type": "speak", "text": TEXT})
        await until(client, None)
        client.transport.abortConnection()
        await client.gone

    async def modelled_lost(self) -> None:
        """The models go away."""
        client = await self._ready(LOCAL)
        await until(client, "error")
        await self._leave(client)

    # Calls of several callers whose vendors fail.

    async def redialled(self, count: int) -> None:
        """The vendor's connection breaks, and is made again."""
        clients = await self._all(self._ready() for _ in range(count))
        half = len(SIGNAL.pcm) // 1280 * 640
        for client in clients:
            self._speak_up(client, 0, half)
        await self._all(until(client, "stt_result") for client in clients)
        self.vendor.cut()
        for client in clients:
            self._speak_up(client, half)
        await self._all(until(client, "stt_result", is_speech_final=True) for client in clients)
        await self._all(self._leave(client) for client in clients)

    async def lost(self, count: int) -> None:
        """The vendor's connection breaks, and the vendor refuses another."""
        clients = await self._all(self._ready() for _ in range(count))
        self.vendor.fail_next(401, b"{}", times=count)
        self.vendor.cut()
        await self._all(until(client, "error") for client in clients)
        for client in clients:
            client.say({"type": "speak", "text": "Hello"})
        await self._all(until(client, "tts_playback_complete") for client in clients)
        await self._all(self._leave(client) for client in clients)

    async def dismissed(self, count: int) -> None:
        """The vendor says goodbye, politely and for good."""
        clients = await self._all(self._ready() for _ in range(count))
        self.vendor.close(4001, "no funds")
        await self._all(until(client, "error") for client in clients)
        await self._all(self._leave(client) for client in clients)

    async def silenced(self, count: int) -> None:
        """The vendor refuses to speak, then speaks."""
        clients = await self._all(
            self._ready({"type": "config", "tts_config": TTS}) for _ in range(count)
        )
        self.vendor.fail_next(401, b"{}", times=count)
        for client in clients:
            client.say({"type": "speak", "text": f"Hello {id(client)}"})
        await self._all(until(client, "error") for client in clients)
        for client in clients:
            client.say({"type": "speak", "text": f"Hello {id(client)}"})
        await self._all(until(client, "tts_playback_complete") for client in clients)
        await self._all(self._leave(client) for client in clients)

    async def busy(self, count: int) -> None:
        """The vendor is too busy to speak at first, and is asked again."""
        clients = await self._all(
            self._ready({"type": "config", "tts_config": TTS}) for _ in range(count)
        )
        self.vendor.fail_next(503, b"{}", times=count)
        for client in clients:
            client.say({"type": "speak", "text": f"Hello {id(client)} again"})
        await self._all(until(client, "tts_playback_complete") for client in clients)
        await self._all(self._leave(client) for client in clients)

    async def broken_off(self, count: int) -> None:
        """The vendor breaks off in the middle of speech."""
        for _ in range(count):
            client = await self._ready({"type": "config", "tts_config": TTS})
            self.vendor.answering.drop_after_bytes = 8192
            client.say({"type": "speak", "text": f"{id(client)} {TEXT}"})
            await until(client, "error")
            await self._leave(client)

    # HTTP.

    async def refused_upgrade(self) -> None:
        for headers in ("", "Upgrade: websocket\r\nConnection: upgrade\r\n"):
            answer = await self._ask("GET", "/ws", headers)
            assert b" 400 " in answer or b" 426 " in answer, answer

    async def asked(self) -> None:
        """Questions over HTTP, one after the other on one connection; some have no good answer."""
        paths = "/", "/providers", "/voices?provider=local", "/nowhere", "/speak"
        requests = [f"GET {path} HTTP/1.1\r\nHost: gateway\r\n\r\n".encode() for path in paths]
        raw = await self._raw(b"".join(requests))
        await raw.until(b" 405 ")
        assert raw.came.count(b" 200 ") == 3 and b" 404 " in raw.came, raw.came
        raw.transport.loseConnection()
        await raw.gone

    async def refused_body(self) -> None:
        """POST /speak with what is no JSON, and with too much of it."""
        assert b" 400 " in await self._ask_raw(_post({}).replace(b"{}", b"{]"))
        raw = await self._raw(_post({"text": "x" * 3_000_000, "tts_config": TTS}))
        await raw.until(b" 413 ")
        raw.transport.abortConnection()
        await raw.gone

    async def spoken(self) -> None:
        """POST /speak, to the end."""
        answer = await self._speak("Hello")
        assert answer.startswith(b"HTTP/1.1 200"), answer
        answer = await self._ask("GET", "/", "")
        assert answer.startswith(b"HTTP/1.1 200"), answer

    async def spoken_cached(self) -> None:
        for _ in range(2):
            assert (await self._speak("Again")).startswith(b"HTTP/1.1 200")

    async def spoken_refused(self, count: int) -> None:
        self.vendor.fail_next(401, b"{}", times=count)
        for answer in await self._all(self._speak(f"No {n}") for n in range(count)):
            assert b" 502 " in answer, answer

    async def abandoned(self) -> None:
        """POST /speak, and gone before it ends."""
        raw = await self._raw(_post({"text": TEXT, "tts_config": TTS}))
        await raw.until(b"200 OK")
        raw.transport.abortConnection()
        await raw.gone

    # What they are made of.

    async def _all(self, visits: Iterable[Coroutine[Deferred[Any], Any, T]]) -> list[T]:
        """At the same time."""
        try:
            found: list[T] = await gatherResults(
                [Deferred.fromCoroutine(visit) for visit in visits], consumeErrors=True
            )
        except FirstError as first:
            first.subFailure.raiseException()
        return found

    async def _open(self) -> Client:
        return await connect(self.port, is_secure=self.is_secure)

    async def _ready(self, config: dict[str, Any] = CONFIG) -> Client:
        client = await self._open()
        client.say(config)
        await until(client, "ready")
        return client

    async def _leave(self, client: Client) -> None:
        client.sendClose(1000)
        await client.gone

    def _speak_up(self, client: Client, start: int = 0, end: int | None = None) -> None:
        for at in range(start, len(SIGNAL.pcm) if end is None else end, 640):
            client.say(SIGNAL.pcm[at : at + 640])

    async def _talk(self, client: Client) -> None:
        self._speak_up(client)
        await until(client, "stt_result", is_speech_final=True)
        client.say({"type": "speak", "text": "Hello"})
        await until(client, "tts_playback_complete")

    async def _speak(self, text: str, more: dict[str, Any] | None = None) -> bytes:
        return await self._ask_raw(_post({"text": text, "tts_config": TTS | (more or {})}))

    async def _ask(self, method: str, path: str, headers: str) -> bytes:
        return await self._ask_raw(
            f"{method} {path} HTTP/1.1\r\nHost: gateway\r\n{headers}\r\n".encode()
        )

    async def _ask_raw(self, request: bytes) -> bytes:
        raw = await self._raw(request.replace(b"Host:", b"Connection: close\r\nHost:", 1))
        return await raw.gone

    async def _raw(self, request: bytes) -> Raw:
        endpoint: Any = TCP4ClientEndpoint(reactor, "127.0.0.1", self.port)
        if self.is_secure:
            endpoint = SSL4ClientEndpoint(reactor, "127.0.0.1", self.port, ssl.CertificateOptions())
        raw: Raw = await connectProtocol(endpoint, Raw(request))
        return raw


def _frame(message: dict[str, Any]) -> bytes:
    """A message as a WebSocket sends it. A mask of zeros is a mask."""
    text = json.dumps(message).encode()
    return pack("!BBH", 0x81, 0x80 | 126, len(text)) + bytes(4) + text


def _post(body: dict[str, Any]) -> bytes:
    text = json.dumps(body).encode()
    head = f"POST /speak HTTP/1.1\r\nHost: gateway\r\nContent-Length: {len(text)}\r\n"
    return head.encode() + b"Content-Type: application/json\r\n\r\n" + text


class Silent(Protocol):
    """Takes connections and says nothing."""


class Desk(LineOnlyReceiver):
    """Takes orders and carries them out, one after the other."""

    delimiter = b"\n"

    def __init__(self, vendor: ReplayServer, ports: dict[str, int]) -> None:
        self.vendor = vendor
        self.ports = ports

    def connectionMade(self) -> None:
        self._say(**self.ports)

    def lineReceived(self, line: bytes) -> None:
        Deferred.fromCoroutine(self._carry_out(**json.loads(line)))

    def connectionLost(self, reason: Failure = connectionDone) -> None:
        reactor.stop()  # type: ignore[attr-defined]

    async def _carry_out(
        self, visit: str, times: int, at_once: int, at: int, is_secure: bool
    ) -> None:
        self.vendor.answering = Answering(chunk_bytes=2400, chunk_s=0.01)
        visits = Visits(self.vendor, at, is_secure)
        method: Any = getattr(visits, visit)
        is_for_many = "count" in signature(method).parameters
        try:
            while times:
                count = min(times, at_once)
                if is_for_many:
                    await method(count)
                else:
                    await visits._all(method() for _ in range(count))
                times -= count
        except Exception:
            self._say(said=Failure().getTraceback())
        else:
            self._say(said="")
        self.vendor.requests.clear()
        self.vendor.opened.clear()

    def _say(self, **what: Any) -> None:
        self.sendLine(json.dumps(what).encode())


def main() -> None:
    """The process; ends when nobody orders any more."""
    certificate, key = map(Path, sys.argv[1:])
    vendor = ReplayServer(reactor, WIRE, signal=SIGNAL, keys=frozenset({"good"}))
    vendor.keeps_frames = False
    vendor.start()
    sockets: Any = reactor
    plain = urlsplit(vendor.endpoint).port
    assert plain is not None
    context = ssl.DefaultOpenSSLContextFactory(str(key), str(certificate))
    secure = sockets.listenSSL(0, ProxyFactory("127.0.0.1", plain), context, interface="127.0.0.1")
    silent = sockets.listenTCP(0, Factory.forProtocol(Silent), interface="127.0.0.1")
    with socket() as closed:
        closed.bind(("127.0.0.1", 0))
        ports = {
            "port": plain,
            "secure_port": secure.getHost().port,
            "silent_port": silent.getHost().port,
            "closed_port": closed.getsockname()[1],
        }
    stdio.StandardIO(Desk(vendor, ports))
    sockets.run()


async def until(client: Client, kind: str | None, **fields: Any) -> dict[str, Any] | bytes:
    """The next message of that type with these fields; None: the next audio. Others are passed over."""
    while True:
        message = await client.next()
        if isinstance(message, bytes):
            if kind is None:
                return message
            continue
        if message["type"] == kind and fields.items() <= message.items():
            found: dict[str, Any] = message
            return found
        if message["type"] == "error":
            raise AssertionError(f"instead of {kind}: {message}")


if __name__ == "__main__":
    main()
