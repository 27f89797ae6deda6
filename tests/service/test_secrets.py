"""A whole gateway is told every kind of secret, in every way there is; its log knows none of them."""

import io
import json
import socket
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.threads import deferToThread
from twisted.logger import LogEvent, formatEvent, globalLogPublisher
from twisted.python.failure import Failure
from twisted.trial.unittest import TestCase

from tests.gateway.client import Client, connect, soon
from waav.config.load import load
from waav.links.http.exchange import Exchange
from waav.ops.logs import LineObserver
from waav.ops.settings import LogSettings
from waav.registry import Registry
from waav.service.build import build
from waav.service.parts import Listener
from waav.session.session import Session
from waav.testing.replay import ReplayServer
from waav.testing.signal import Signal

WIRE = Path(__file__).parents[1] / "wire"
SERVERS, OPENAIS, OWN, REFUSED = "sk-servers-4711", "sk-openais-4711", "sk-own-4711", "sk-no-4711"
BEARER, QUERY, AUTH = "bearer-4711", "query-4711", "auth-4711"
METRICS, GUESSED = "metrics-4711", "guessed-4711"
SPOKEN, HEARD, TYPED = "parsnip", "rutabaga", "kohlrabi"
SECRETS = ("4711", SPOKEN, HEARD, TYPED)

CONFIG = f"""
server: {{host: 127.0.0.1, port: 0}}
audio: {{stt_provider: deepgram, tts_provider: deepgram}}
models: {{process: false}}
metrics: {{token: {METRICS}}}
links: {{backoff_s: 0.001, backoff_most_s: 0.001}}
security: {{rate_limit_requests_per_second: 100000}}
providers:
  deepgram: {{api_key: {SERVERS}, endpoint: "{{endpoint}}"}}
  openai: {{api_key: {OPENAIS}, endpoint: "{{endpoint}}"}}
"""
STT = {"provider": "deepgram", "language": "en", "sample_rate": 16000, "channels": 1,
       "punctuation": True, "encoding": "linear16", "model": "nova-3"}  # fmt: skip
TTS = {"provider": "deepgram", "voice_id": "aura-2-thalia-en"}


class SecretsTests(TestCase):
    def setUp(self) -> None:
        self.raw: list[str] = []
        self.written = io.StringIO()
        for observer in (self.note, LineObserver(self.written, LogSettings(level="debug"))):
            globalLogPublisher.addObserver(observer)
            self.addCleanup(globalLogPublisher.removeObserver, observer)
        self.vendor = ReplayServer(
            reactor,
            WIRE,
            signal=Signal.speaking("voice", [f"hello {HEARD}"]),
            keys=frozenset({SERVERS, OPENAIS, OWN}),
        )
        self.vendor.start()
        self.addCleanup(self.vendor.stop)
        path = Path(self.mktemp())
        path.write_text(CONFIG.replace("{endpoint}", self.vendor.endpoint).replace("{{", "{"))
        registry = Registry.discover()
        gateway: Any = build(reactor, load(registry, path, environ={}), registry)
        gateway.privilegedStartService()
        gateway.startService()
        self.addCleanup(gateway.stopService)
        (listener,) = (one for one in gateway if isinstance(one, Listener))
        self.port: int = listener.port.getHost().port  # type: ignore[union-attr]

    def note(self, event: LogEvent) -> None:
        """Keep what our own code says as it is, before anything is cut out of it."""
        if not str(event["log_namespace"]).startswith("waav."):
            return
        own = {name: value for name, value in event.items() if not name.startswith("log_")}
        self.raw.append(f"{event['log_namespace']}: {formatEvent(event)} {own!r}")
        failure = event.get("log_failure")
        if isinstance(failure, Failure):
            self.raw.append(failure.getTraceback())

    async def ask(self, method: str, path: str, body: bytes = b"", **headers: str) -> bytes:
        """The whole answer to a request that carries every secret a request can."""
        sent = {
            "Host": "x",
            "Connection": "close",
            "Authorization": f"Bearer {BEARER}",
            "X-Provider-Api-Key": OWN,
            "Content-Type": "application/json",
            "Content-Length": str(len(body)),
        }
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        lines = [f"{method} {path}?token={QUERY} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in sent.items()]
        return await deferToThread(talk, self.port, "\r\n".join(lines).encode(), body)

    async def speak(self, **fields: Any) -> bytes:
        return await self.ask(
            "POST", "/speak", json.dumps({"text": TYPED, "tts_config": TTS | fields}).encode()
        )

    async def until(self, client: Client, kind: str) -> dict[str, Any]:
        while True:
            message = await client.next()
            if not isinstance(message, bytes) and message["type"] == kind:
                return dict(message)

    async def test_nothing_of_it(self) -> None:
        """Keys, tokens, texts and transcripts are in no line at any level, whether all goes well or nothing does. (SRV-05)"""
        await self.a_call()
        await self.requests()
        await self.trouble()
        self.flushLoggedErrors(ZeroDivisionError)
        said = "\n".join([*self.raw, self.written.getvalue()])
        # The stories were told: both kinds of link failed, the routes and the call spoke.
        self.assertIn("a request to deepgram failed", said)
        self.assertIn("POST /speak", said)
        self.assertIn("ended after", said)
        self.assertIn("a message failed", said)
        for secret in SECRETS:
            self.assertEqual([line for line in said.splitlines() if secret in line], [], secret)

    async def a_call(self) -> None:
        """A call with keys of its own, whose vendor is lost and found again in the middle."""
        client = await connect(self.port, f"/ws?token={QUERY}", Authorization=f"Bearer {BEARER}")
        client.say({"type": "auth", "token": AUTH})
        own = {"api_key": OWN}
        for keys, answer in (({"api_key": REFUSED}, "error"), (own, "ready"), ({}, "ready")):
            client.say({"type": "config", "stt_config": STT | keys, "tts_config": TTS | keys})
            await self.until(client, answer)
        client.say({"type": "speak", "text": SPOKEN})
        await self.until(client, "tts_playback_complete")
        pcm = self.vendor.signal.pcm
        client.say(pcm[: len(pcm) // 2])
        connections = len(self.vendor.opened)
        self.vendor.cut()
        while len(self.vendor.opened) == connections:
            await soon()
        for at in range(len(pcm) // 2, len(pcm), 640):
            client.say(pcm[at : at + 640])
        heard = ""
        while HEARD not in heard:
            heard += (await self.until(client, "stt_result"))["transcript"].lower()
        client.say({"type": SPOKEN, "text": SPOKEN, "api_key": OWN})
        await self.until(client, "error")
        self.vendor.fail_next(403, f"your key {SERVERS} may not say {SPOKEN}".encode())
        client.say({"type": "speak", "text": SPOKEN + SPOKEN})
        await self.until(client, "error")
        client.sendClose(1000)
        await client.gone

    async def requests(self) -> None:
        """Requests that are answered, and requests that are not."""
        self.assertIn(b"200 OK", await self.speak())
        self.vendor.fail_next(503, b"busy", times=2)
        self.assertIn(
            b"200 OK", await self.speak(provider="openai", voice_id="alloy", api_key=OPENAIS)
        )
        self.assertIn(b"HTTP/1.1 401", await self.speak(api_key=REFUSED))
        self.assertIn(
            b"HTTP/1.1 400", await self.ask("POST", "/speak", b'{"text": "%s' % OWN.encode())
        )
        self.vendor.fail_next(200, TYPED.encode(), {"content-type": "text/html"})
        self.assertIn(b"HTTP/1.1 502", await self.speak(speaking_rate=1.1))
        self.assertIn(b"200 OK", await self.ask("GET", "/voices"))
        self.assertIn(b"HTTP/1.1 401", await self.ask("GET", "/metrics", Authorization=GUESSED))
        for token in (f"Bearer {GUESSED}", f"Bearer {METRICS}"):
            await self.ask("GET", "/metrics", Authorization=token)
        self.assertIn(b"HTTP/1.1 404", await self.ask("GET", "/nothing"))

    async def trouble(self) -> None:
        """Bugs of ours in the middle of it: what is logged then has a traceback."""

        def broken(*_: Any, **__: Any) -> Any:
            raise ZeroDivisionError

        patched = self.patch(Exchange, "_attempt", broken)
        await self.speak(speaking_rate=1.2)
        patched.restore()
        client = await connect(self.port, f"/ws?token={QUERY}")
        client.say({"type": "config", "stt_config": STT, "tts_config": TTS})
        await self.until(client, "ready")
        patched = self.patch(Session, "say", broken)
        client.say({"type": "speak", "text": SPOKEN})
        await self.until(client, "error")
        patched.restore()
        client.sendClose(1000)
        await client.gone


def talk(port: int, head: bytes, body: bytes) -> bytes:
    """Send a request, read to the end; in a thread."""
    with socket.create_connection(("127.0.0.1", port), 20) as connection:
        connection.sendall(head + b"\r\n\r\n" + body)
        return b"".join(iter(lambda: connection.recv(65536), b""))
