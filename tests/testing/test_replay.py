"""The replay server over real loopback sockets: it refuses what vendors refuse, and fails as told."""

import json
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from autobahn.twisted.websocket import WebSocketClientFactory, WebSocketClientProtocol
from twisted.internet import reactor
from twisted.internet.defer import Deferred, succeed
from twisted.internet.endpoints import HostnameEndpoint
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import TestCase
from twisted.web.client import Agent, HTTPConnectionPool, readBody
from twisted.web.http_headers import Headers
from twisted.web.iweb import IBodyProducer
from zope.interface import implementer

from tests.service.settings.rig import PacedReactor
from tests.waiting import until
from waav.speech import multipart, wav
from waav.testing.recording import Recording
from waav.testing.replay import ReplayServer
from waav.testing.signal import Signal

WIRE = Path(__file__).parents[1] / "wire"
SIGNAL = Signal.speaking("replay", ["one two three", "four five"])
LISTEN = {
    "model": "nova-3",
    "encoding": "linear16",
    "sample_rate": 16000,
    "interim_results": "true",
    "endpointing": 200,
}


@implementer(IBodyProducer)
class Bytes:
    def __init__(self, data: bytes) -> None:
        self.data, self.length = data, len(data)

    def startProducing(self, consumer: Any) -> Deferred[None]:
        consumer.write(self.data)
        return succeed(None)

    def stopProducing(self) -> None: ...
    def pauseProducing(self) -> None: ...
    def resumeProducing(self) -> None: ...


class Timed:
    """The real reactor, with a clock that only the test moves."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.seconds, self.callLater = self.clock.seconds, self.clock.callLater

    def __getattr__(self, name: str) -> Any:
        return getattr(reactor, name)


class Client(WebSocketClientProtocol):
    def onOpen(self) -> None:
        self.factory.opened.callback(self)

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self.factory.messages.append(payload)

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:
        if not self.factory.opened.called:
            self.factory.opened.errback(ConnectionError(reason))
        self.factory.closed.callback((wasClean, code, reason))


class ServerCase(TestCase):
    def setUp(self) -> None:
        self.pool = HTTPConnectionPool(reactor, persistent=False)
        self.agent = Agent(reactor, pool=self.pool)

    def serve(self, on: Any = reactor, **options: Any) -> ReplayServer:
        server = ReplayServer(on, WIRE, signal=SIGNAL, **options)
        server.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(server.stop()))
        return server

    async def ask(
        self, server: ReplayServer, method: str, path: str, body: bytes = b"", **headers: str
    ) -> tuple[int, bytes, Headers]:
        sent = {
            "Authorization": "Token k",
            **({"Content-Type": "application/json"} if body else {}),
            **{name.replace("_", "-"): one for name, one in headers.items()},
        }
        response = await self.agent.request(
            method.encode(), f"{server.endpoint}{path}".encode(),
            Headers({name: [one] for name, one in sent.items()}), Bytes(body) if body else None,
        )  # fmt: skip
        return response.code, await readBody(response), response.headers

    async def connect(self, server: ReplayServer, path: str = "/v1/listen", **query: Any) -> Any:
        asked = {name: one for name, one in {**LISTEN, **query}.items() if one is not None}
        address = f"{server.endpoint.replace('http', 'ws')}{path}?{urlencode(asked, doseq=True)}"
        factory = WebSocketClientFactory(address, headers={"Authorization": "Token k"})
        factory.protocol = Client
        factory.opened, factory.closed, factory.messages = Deferred(), Deferred(), []
        port = int(server.endpoint.rpartition(":")[2])
        await HostnameEndpoint(reactor, "127.0.0.1", port).connect(factory)
        return await factory.opened

    def heard(self, client: Any) -> list[dict[str, Any]]:
        return [json.loads(one) for one in client.factory.messages]

    def finals(self, client: Any) -> str:
        found = [one for one in self.heard(client) if one["type"] == "Results" and one["is_final"]]
        texts = [one["channel"]["alternatives"][0]["transcript"] for one in found]
        return " ".join(text for text in texts if text)


class DeepgramRuleTests(ServerCase):
    async def test_refused_handshakes(self) -> None:
        """Everything Deepgram refuses at the handshake is refused with Deepgram's status."""
        server = self.serve()
        for query, status in (
            ({"sample_rate": None}, 400),
            ({"keywords": "a:2"}, 400),
            ({"model": "nova-2", "keyterm": "a"}, 400),
            ({"utterance_end_ms": 999}, 400),
            ({"utterance_end_ms": 1000, "interim_results": "false"}, 400),
            ({"model": "whisper-1"}, 404),
            ({"model": "nova-2-nonsense"}, 404),
            ({"model": "aura-2-thalia-en"}, 404),
            ({"model": None}, 400),
            ({"language": "xx"}, 400),
            ({"language": "multi", "language_hint": "en"}, 426),
            ({"model": "nova-2", "language": "multi", "language_hint": "en"}, 400),
            ({"language": "en", "language_hint": "en"}, 400),
            ({"keyterm": [f"term{number}" for number in range(1000)]}, 400),
            ({"keyterm": [f"term{number}" for number in range(100)]}, 426),
            ({"tag": "x" * 129}, 400),
            ({"encoding": "pcm"}, 400),
            ({"punctuate": "yes"}, 400),
            ({"punctuate": ["true", "true"]}, 400),
            ({"surprise": "1"}, 400),
            ({}, 426),
        ):
            asked = {name: one for name, one in (LISTEN | query).items() if one is not None}
            code, body, headers = await self.ask(
                server, "GET", f"/v1/listen?{urlencode(asked, doseq=True)}"
            )
            self.assertEqual(code, status, query)
            self.assertEqual(json.loads(body)["err_msg"], headers.getRawHeaders("dg-error")[0])
        for authorization in ("token k", "Basic k", "Token", "Token a b"):
            code, _, _ = await self.ask(server, "GET", "/v1/listen", Authorization=authorization)
            self.assertEqual(code, 401)
        self.assertEqual((await self.ask(server, "GET", "/v3/listen"))[0], 404)
        self.assertEqual(len(server.requests), 26)

    async def test_conversation(self) -> None:
        """No hello; interims, finals at pauses; Finalize and CloseStream as documented."""
        client = await self.connect(self.serve(), utterance_end_ms=1000)
        for at in range(0, len(SIGNAL.pcm) - 30000, 640):
            client.sendMessage(SIGNAL.pcm[at : at + 640], isBinary=True)
        client.sendMessage(b'{"type":"KeepAlive"}')
        client.sendMessage(b'{"type":"Finalize"}')
        client.sendMessage(b'{"type":"CloseStream"}')
        self.assertEqual((await client.factory.closed)[:2], (True, 1000))
        found = self.heard(client)
        self.assertEqual(found[-1]["type"], "Metadata")
        self.assertEqual(self.finals(client), SIGNAL.text)
        self.assertIn("UtteranceEnd", [one["type"] for one in found])
        self.assertTrue(any(not one.get("is_final", True) for one in found))

    async def test_place_of_the_audio(self) -> None:
        """Audio that begins later in the signal is answered with the words from there, timed from its beginning."""
        server = self.serve()
        client = await self.connect(server)
        client.sendMessage(SIGNAL.cut(SIGNAL.words[1].start_s, 2.4), isBinary=True)
        client.sendMessage(b'{"type":"CloseStream"}')
        await client.factory.closed
        self.assertEqual(self.finals(client), "two three")
        final = next(one for one in self.heard(client) if one.get("is_final"))
        self.assertEqual(final["channel"]["alternatives"][0]["words"][0]["start"], 0.0)
        self.assertAlmostEqual(server.opened[0].offset_s or 0.0, SIGNAL.words[1].start_s)

    async def test_silent_client(self) -> None:
        """Nothing sent for the idle limit: 1011 with NET-0001; a KeepAlive in time prevents it (F-132)."""
        paced = PacedReactor()
        server = self.serve(paced, idle_s=10.0)
        silent, lively = await self.connect(server), await self.connect(server)
        paced.clock.advance(9)
        lively.sendMessage(b'{"type":"KeepAlive"}')
        await until(lambda: server.sockets[1].frames)
        paced.clock.advance(2)
        _, code, reason = await silent.factory.closed
        self.assertEqual((code, reason[:8]), (1011, "NET-0001"))
        self.assertFalse(lively.factory.closed.called)

    async def test_wrong_frames(self) -> None:
        """A KeepAlive sent as audio, unknown text and broken text are closed with 1008."""
        server = self.serve()
        for payload, is_binary in (
            (b'{"type":"KeepAlive"}', True),
            (b'{ "type": "KeepAlive" }', True),
            (b'{"type":"Keepalive"}', False),
            (b"{", False),
        ):
            client = await self.connect(server)
            client.sendMessage(payload, isBinary=is_binary)
            _, code, reason = await client.factory.closed
            self.assertEqual((code, reason[:9]), (1008, "DATA-0000"))

    async def test_audio_that_cannot_be_decoded(self) -> None:
        """Empty frames, halves of samples, containers sent as raw audio and raw audio without a name end with 1008."""
        server = self.serve()
        file = wav.pack(SIGNAL.format, SIGNAL.pcm)
        unnamed = {"encoding": None, "sample_rate": None}
        for query, frames in (
            ({}, [b""]),
            ({}, [SIGNAL.pcm[:640], b""]),
            ({}, [SIGNAL.pcm[:641]]),
            ({"encoding": "linear32"}, [SIGNAL.pcm[:642]]),
            ({"channels": 2}, [SIGNAL.pcm[:642]]),
            ({}, [file[:3200]]),
            ({}, [file[:2], file[2:10], file[10:44]]),
            ({"encoding": "mulaw", "sample_rate": 8000}, [b"OggS" + bytes(100)]),
            (unnamed, [SIGNAL.pcm[:640]]),
        ):
            client = await self.connect(server, **query)
            for frame in frames:
                client.sendMessage(frame, isBinary=True)
            _, code, reason = await client.factory.closed
            self.assertEqual((code, reason[:9]), (1008, "DATA-0000"), query)

    async def test_audio_that_can_be_decoded(self) -> None:
        """A container whose encoding is not named, single bytes of mu-law, and any bytes of a compressed stream are fine."""
        server = self.serve()
        file = wav.pack(SIGNAL.format, SIGNAL.pcm)
        for query, frames in (
            ({"encoding": None, "sample_rate": None}, [file[:1], file[1:3201]]),
            ({"encoding": "mulaw", "sample_rate": 8000}, [b"\xff" * 3]),
            ({"encoding": "flac"}, [b"fLaC" + bytes(9)]),
        ):
            client = await self.connect(server, **query)
            for frame in frames:
                client.sendMessage(frame, isBinary=True)
            client.sendMessage(b'{"type":"CloseStream"}')
            self.assertEqual((await client.factory.closed)[1], 1000, query)

    async def test_frames_that_are_too_big(self) -> None:
        """A frame of 20 MB is too big for the vendor, who says so with 1009; one below the limit is not."""
        server = self.serve()
        for size, code in ((20_000_000, 1009), (1_000_000, 1000)):
            client = await self.connect(server, sample_rate=1_000_000)
            client.sendMessage(bytes(size), isBinary=True)
            client.sendMessage(b'{"type":"CloseStream"}')
            self.assertEqual((await client.factory.closed)[1], code)

    async def test_audio_that_comes_too_fast(self) -> None:
        """Audio far ahead of real time is not refused but read late, and what follows it waits."""
        time = Timed()
        server = ReplayServer(time, WIRE, signal=SIGNAL)
        server.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(server.stop()))
        client = await self.connect(server)
        for _ in range(20 * 50):
            client.sendMessage(bytes(640), isBinary=True)
        client.sendMessage(b'{"type":"CloseStream"}')
        while not client.factory.closed.called:
            await deferLater(reactor, 0.005)
            time.clock.advance(0.25)
        self.assertEqual((await client.factory.closed)[1], 1000)
        self.assertEqual(server.opened[0].received_s, 20.0)
        # 10 s at once, 10 s at 1.25 times real time, less what one read of the socket brings.
        self.assertGreater(time.clock.seconds(), 6.0)

    async def test_a_vendor_that_reads_late_does_not_call_it_silence(self) -> None:
        """While the vendor itself waits, longer than its idle limit, the client is not blamed for saying nothing."""
        time = Timed()
        server = ReplayServer(time, WIRE, signal=SIGNAL)
        server.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(server.stop()))
        client = await self.connect(server)
        client.sendMessage(bytes(32 * 32000), isBinary=True)  # read on after 17.6 s
        while server.opened[0].received_s < 32.0:
            await deferLater(reactor, 0.01)
        client.sendMessage(b'{"type":"CloseStream"}')
        while not client.factory.closed.called:
            time.clock.advance(0.5)
            await deferLater(reactor, 0.005)
        self.assertEqual((await client.factory.closed)[1], 1000)

    async def test_audio_in_real_time_is_never_late(self) -> None:
        """As fast as it plays, and somewhat faster, audio is read at once for as long as it comes."""
        time = Timed()
        server = ReplayServer(time, WIRE, signal=SIGNAL)
        server.start()
        self.addCleanup(lambda: Deferred.fromCoroutine(server.stop()))
        client = await self.connect(server)
        for second in range(1, 61):
            client.sendMessage(bytes(int(32000 * 1.2)), isBinary=True)
            while server.opened[0].received_s < second * 1.2 - 1e-6:
                await deferLater(reactor, 0.001)
            time.clock.advance(1.0)
        client.sendMessage(b'{"type":"CloseStream"}')
        self.assertEqual((await client.factory.closed)[1], 1000)

    async def test_audio_that_looks_like_a_message(self) -> None:
        """Samples may begin with any byte, a brace too: only what really is a message is taken for one."""
        server = self.serve()
        client = await self.connect(server)
        for payload in (b"{" + bytes(319), b'{"type"' + bytes(313), b'{"text":1}', b"{}"):
            client.sendMessage(payload, isBinary=True)
        client.sendMessage(b'{"type":"CloseStream"}')
        self.assertEqual((await client.factory.closed)[1], 1000)
        self.assertEqual(server.opened[0].received_s, (320 + 320 + 10 + 2) / 32000)

    async def test_speech(self) -> None:
        """Synthesis refuses what Deepgram refuses and answers a tone as long as the text."""
        server = self.serve()
        good = {
            "model": "aura-2-thalia-en",
            "encoding": "linear16",
            "container": "none",
            "sample_rate": 8000,
        }
        none = {"encoding": None, "container": None, "sample_rate": None}
        for query, text, status in (
            ({}, "Hello", 200),
            ({"encoding": "pcm"}, "Hello", 400),
            ({"encoding": "mp3", "container": None}, "Hello", 400),
            ({"encoding": "mp3", "container": None, "sample_rate": None}, "Hello", 200),
            ({"encoding": "mp3", "container": "none", "sample_rate": None}, "Hello", 400),
            ({"container": "none", "encoding": None, "sample_rate": None}, "Hello", 400),
            ({"encoding": None, "container": None}, "Hello", 400),
            (none, "Hello", 200),
            ({**none, "bit_rate": 48000}, "Hello", 200),
            ({**none, "encoding": "aac", "bit_rate": 192000}, "Hello", 200),
            ({**none, "encoding": "aac", "bit_rate": 300000}, "Hello", 400),
            ({**none, "encoding": "mp3", "bit_rate": 40000}, "Hello", 400),
            ({"sample_rate": 22050}, "Hello", 400),
            ({"encoding": "mulaw", "sample_rate": 24000}, "Hello", 400),
            ({"model": "aura-asteria-en", "speed": 1.2}, "Hello", 400),
            ({"speed": 1.6}, "Hello", 400),
            ({"container": "ogg"}, "Hello", 400),
            ({"model": "nova-3"}, "Hello", 400),
            ({"model": "flux-general-en"}, "Hello", 400),
            ({"model": "aura-2-nobody-en"}, "Hello", 400),
            ({"model": None}, "Hello", 200),
            ({}, "x" * 2001, 413),
            ({}, "", 400),
            ({}, ["Hello"], 400),
            ({}, 17, 400),
        ):
            asked = {name: one for name, one in (good | query).items() if one is not None}
            body = json.dumps({"text": text}).encode()
            code, data, headers = await self.ask(
                server, "POST", f"/v1/speak?{urlencode(asked)}", body
            )
            self.assertEqual(code, status, (query, text))
        code, data, headers = await self.ask(
            server, "POST", f"/v1/speak?{urlencode(good)}", b'{"text":"Hello"}'
        )
        self.assertEqual(
            (len(data), headers.getRawHeaders("dg-request-id")), (5 * 60 * 8 * 2, ["r1"])
        )
        for kind, body, status in (
            ("application/json", b"Hello", 400),
            ("application/json", b'["Hello"]', 400),
            ("application/json; charset=utf-8", b'{"text":"Hello"}', 200),
            ("text/plain", b"Hello", 200),
            ("text/xml", b"<text>Hello</text>", 415),
            ("application/x-www-form-urlencoded", b"text=Hello", 415),
        ):
            code, _, _ = await self.ask(
                server, "POST", f"/v1/speak?{urlencode(good)}", body, Content_Type=kind
            )
            self.assertEqual(code, status, kind)

    async def test_labels(self) -> None:
        """Audio is labelled as the vendor labels it, and is in a WAV file unless that is declined."""
        server = self.serve()
        for query, kind, begins in (
            ("encoding=linear16", "audio/wav", b"RIFF"),
            ("encoding=linear16&container=none&sample_rate=8000", "audio/l16;rate=8000", b"\0\0"),
            ("encoding=mulaw&container=none", "audio/mulaw;rate=8000", b""),
            ("encoding=opus", "audio/ogg;codecs=opus", b"OggS"),
            ("encoding=mp3", "audio/mpeg", b"\xff\xf3"),
            ("", "audio/mpeg", b"\xff\xf3"),
        ):
            address = f"/v1/speak?model=aura-2-thalia-en&{query}"
            _, data, headers = await self.ask(server, "POST", address, b'{"text":"Hello"}')
            self.assertEqual(headers.getRawHeaders("content-type"), [kind])
            self.assertTrue(data.startswith(begins), query)

    async def test_flux_speech(self) -> None:
        """Flux has bit rates of its own, and voices of its own."""
        server = self.serve()
        good = {"model": "flux-alexis-en", "encoding": "mp3"}
        for query, status in (
            *(({"bit_rate": rate}, 200) for rate in (8000, 16000, 24000, 32000, 40000, 48000)),
            ({"bit_rate": 4000}, 400),
            ({"bit_rate": 36000}, 400),
            ({"bit_rate": 64000}, 400),
            ({"speed": 1.25}, 200),
            ({"speed": 1.27}, 400),
            ({"model": "aura-2-thalia-en"}, 400),
            ({"model": "flux-general-en"}, 400),
        ):
            address = f"/v2/speak?{urlencode(good | query)}"
            code, _, _ = await self.ask(server, "POST", address, b'{"text":"Hello"}')
            self.assertEqual(code, status, query)


class PlayTests(ServerCase):
    """The server playing one recording: it goes along only as long as the gateway keeps to it."""

    def record(self, *steps: dict[str, Any]) -> Recording:
        first = {"source": "invented", "date": "2026-11-25", "provider": "x", "verb": "listen"}
        return Recording.read("x", "\n".join(json.dumps(one) for one in (first, *steps)))

    async def test_socket(self) -> None:
        """What was recorded is said in its turn; anything else ends the conversation and is written down."""
        recording = self.record(
            {
                "open": f"ws://x/v1/listen?{urlencode(LISTEN)}",
                "headers": {"Authorization": "Token k"},
            },
            {"got": {"text": "hello"}},
            {"sent": {"text": "one"}},
            {"got": {"binary": {"text": "two"}}},
            {"sent": {"binary": {"text": "three"}}},
        )
        for last, code in ((b"three", 1000), (b"four", 1008)):
            server = self.serve()
            script = server.play(recording)
            client = await self.connect(server)
            client.sendMessage(b"one")
            client.sendMessage(last, isBinary=True)
            self.assertEqual((await client.factory.closed)[1], code)
            self.assertEqual(client.factory.messages, [b"hello", b"two"])
            self.assertEqual(len(server.deviations), 0 if code == 1000 else 1)
            self.assertTrue(script.is_over)

    async def test_wrong_address(self) -> None:
        """Another address, query or credential than recorded is refused."""
        for url, key in (
            ("ws://x/v1/listen?a=b", "Token k"),
            (f"ws://x/v2/listen?{urlencode(LISTEN)}", "Token k"),
            (f"ws://x/v1/listen?{urlencode(LISTEN)}", "Token z"),
        ):
            server = self.serve()
            server.play(self.record({"open": url, "headers": {"Authorization": key}}))
            await self.assertFailure(Deferred.fromCoroutine(self.connect(server)), ConnectionError)
            self.assertEqual(len(server.deviations), 1)

    async def test_requests(self) -> None:
        """Requests get their recorded answers in order; one too many, or another one, is refused."""
        asked = {
            "method": "POST",
            "url": "https://x/say?a=b",
            "headers": {"Authorization": "Token k"},
            "body": {"json": {"t": 1}},
        }
        server = self.serve()
        server.play(
            self.record(
                {"open": "https://x"},
                {"sent": {"request": asked}},
                {"got": {"head": 429, "body": {"text": "later"}}},
                {"sent": {"request": asked}},
                {"got": {"head": 200, "headers": {"x-a": "b"}}},
                {"got": {"body": {"text": "some"}}},
                {"got": {"body": {"text": "thing"}}},
                {"got": {"end": True}},
                {"sent": {"request": asked}},
            )
        )
        self.assertEqual(
            (await self.ask(server, "POST", "/say?a=b", b'{"t": 1}'))[:2], (429, b"later")
        )
        code, body, headers = await self.ask(server, "POST", "/say?a=b", b'{"t": 1}')
        self.assertEqual((code, body, headers.getRawHeaders("x-a")), (200, b"something", ["b"]))
        self.assertEqual((await self.ask(server, "POST", "/say?a=b", b'{"t": 2}'))[0], 400)
        self.assertEqual((await self.ask(server, "POST", "/say?a=b", b'{"t": 1}'))[0], 400)
        self.assertEqual(len(server.deviations), 2)


class OpenAIRuleTests(ServerCase):
    async def upload(
        self,
        server: ReplayServer,
        data: bytes,
        name: str = "audio.wav",
        kind: str = "audio/wav",
        **fields: Any,
    ) -> int:
        chosen = {"model": "whisper-1", "response_format": "verbose_json", **fields}
        pairs = [
            (field, one)
            for field, values in chosen.items()
            for one in (values if isinstance(values, list) else [values])
            if one is not None
        ]
        content_type, body = multipart.encode("file", name, kind, data, pairs)
        code, self.body, _ = await self.ask(
            server,
            "POST",
            "/v1/audio/transcriptions",
            body,
            Authorization="Bearer k",
            Content_Type=content_type,
        )
        return code

    async def test_uploads(self) -> None:
        """Uploads are refused as OpenAI refuses them: size, length, labels, language, answer format, model."""
        server = self.serve()
        good = wav.pack(SIGNAL.format, SIGNAL.pcm)
        self.assertEqual(await self.upload(server, good, language="en"), 200)
        self.assertEqual(json.loads(self.body)["text"], SIGNAL.text)
        self.assertEqual(await self.upload(server, good, language="en-US"), 400)
        self.assertEqual(await self.upload(server, good, model="nova-3"), 404)
        self.assertEqual(await self.upload(server, good, model="gpt-4o-transcribe"), 400)
        self.assertEqual(await self.upload(server, good, response_format="diarized_json"), 400)
        self.assertEqual(await self.upload(server, good, name="audio.mp3"), 400)
        self.assertEqual(await self.upload(server, good, name="audio.mp3", kind="audio/mpeg"), 400)
        self.assertEqual(await self.upload(server, wav.pack(SIGNAL.format, bytes(3000))), 400)
        self.assertEqual(await self.upload(server, b"RIFF" + bytes(25 * 1024 * 1024)), 413)
        self.assertEqual(await self.upload(server, good, surprise="1"), 400)
        code, _, _ = await self.ask(
            server,
            "POST",
            "/v1/audio/transcriptions",
            b"x",
            Authorization="Bearer k",
            Content_Type="text/plain",
        )
        self.assertEqual(code, 400)

    async def test_what_goes_with_which_model(self) -> None:
        """Languages that are none, what belongs to another model, a fifth speaker and invented cutting are refused."""
        server = self.serve()
        good = wav.pack(SIGNAL.format, SIGNAL.pcm)
        diarize = {"model": "gpt-4o-transcribe-diarize", "response_format": "diarized_json"}
        logprobs = {"response_format": "json", "include[]": "logprobs"}
        names, reference = "known_speaker_names[]", "data:audio/wav;base64,UklGRg=="
        vad = {"type": "server_vad", "threshold": 0.4, "silence_duration_ms": 300}
        for fields, status in (
            ({"language": "xx"}, 400),
            ({"language": ""}, 400),
            (
                {"model": "gpt-transcribe", "response_format": "json", "languages[]": ["en", "da"]},
                200,
            ),
            (
                {"model": "gpt-transcribe", "response_format": "json", "languages[]": ["en", "xx"]},
                400,
            ),
            ({"model": "gpt-4o-transcribe", **logprobs}, 200),
            ({"model": "gpt-4o-transcribe", "include[]": "logprobs", "response_format": None}, 200),
            ({**diarize, **logprobs}, 400),
            ({**diarize, "include[]": "logprobs"}, 400),
            (logprobs, 400),
            ({**diarize, names: list("ABCD")}, 200),
            ({**diarize, names: list("ABCDE")}, 400),
            ({names: "A"}, 400),
            ({**diarize, "known_speaker_references[]": [reference] * 4}, 200),
            ({**diarize, "known_speaker_references[]": [reference] * 5}, 400),
            ({**diarize, "known_speaker_references[]": "ann.wav"}, 400),
            ({**diarize, "chunking_strategy": "auto"}, 200),
            ({**diarize, "chunking_strategy": json.dumps(vad)}, 200),
            ({**diarize, "chunking_strategy": "mine"}, 400),
            ({**diarize, "chunking_strategy": "{}"}, 400),
            ({**diarize, "chunking_strategy": '{"type": "client_vad"}'}, 400),
            ({**diarize, "chunking_strategy": json.dumps(vad | {"threshold": 2})}, 400),
            ({**diarize, "chunking_strategy": json.dumps(vad | {"threshold": "high"})}, 400),
            ({**diarize, "chunking_strategy": json.dumps(vad | {"surprise": 1})}, 400),
            ({**diarize, "prompt": "WaaV"}, 400),
        ):
            self.assertEqual(await self.upload(server, good, **fields), status, fields)

    async def test_long_uploads_are_cut_by_somebody(self) -> None:
        """More than 30 s for a model that tells speakers apart need a chunking strategy; others do not."""
        server = self.serve()
        diarize = {"model": "gpt-4o-transcribe-diarize", "response_format": "diarized_json"}
        for seconds, fields, status in (
            (30.0, diarize, 200),
            (30.5, diarize, 400),
            (30.5, {**diarize, "chunking_strategy": "auto"}, 200),
            (30.5, {}, 200),
        ):
            data = wav.pack(SIGNAL.format, SIGNAL.format.silence(seconds))
            self.assertEqual(await self.upload(server, data, **fields), status, (seconds, fields))

    async def test_broken_files(self) -> None:
        """A WAV file that ends in its header, or has no such samples, cannot be read."""
        server = self.serve()
        for data in (b"RIFF", b"RIFF" + bytes(100), wav.pack(SIGNAL.format, b"")[:40]):
            self.assertEqual(await self.upload(server, data), 400)

    async def test_speech(self) -> None:
        """Synthesis refuses empty and long texts, unknown names, wrong types, and what tts-1 does not have."""
        server = self.serve()
        newer = {"model": "gpt-4o-mini-tts"}
        for change, status in (
            ({"input": ""}, 400), ({"input": ["Hello"]}, 400), ({"input": 17}, 400), ({"input": None}, 400),
            ({"voice": ["alloy"]}, 400), ({"model": ["tts-1"]}, 400), ({"response_format": ["pcm"]}, 400),
            ({"speed": [1]}, 400), ({"speed": "1"}, 400), ({"speed": True}, 400), ({"speed": 1}, 200),
            ({"voice": "verse"}, 400), ({**newer, "voice": "verse"}, 200), ({"voice": "marin"}, 400),
            ({"stream_format": "sse"}, 400), ({"stream_format": "audio"}, 200),
            ({**newer, "stream_format": "sse"}, 501), ({**newer, "instructions": ["Sing"]}, 400),
            ({"voice": {"id": "Ann"}}, 400), ({"voice": {"id": "voice_1", "name": "Ann"}}, 400),
            ({}, 200), ({"input": "x" * 4097}, 400), ({"model": "sonic"}, 404), ({"voice": "aura"}, 400),
            ({"voice": {"id": "voice_1"}}, 200), ({"instructions": "Sing"}, 400), ({"speed": 5}, 400),
            ({"response_format": "ogg"}, 400), ({"surprise": 1}, 400),
        ):  # fmt: skip
            asked = {
                "model": "tts-1",
                "voice": "alloy",
                "input": "Hello",
                "response_format": "pcm",
                **change,
            }
            code, _, _ = await self.ask(
                server,
                "POST",
                "/v1/audio/speech",
                json.dumps(asked).encode(),
                Authorization="Bearer k",
            )
            self.assertEqual(code, status, change)
        whole = {"model": "tts-1", "voice": "alloy", "input": "Hello"}
        for missing in whole:
            rest = {name: value for name, value in whole.items() if name != missing}
            code, _, _ = await self.ask(
                server, "POST", "/v1/audio/speech", json.dumps(rest).encode(),
                Authorization="Bearer k",
            )  # fmt: skip
            self.assertEqual(code, 400, missing)
        body = json.dumps(whole).encode()
        for kind in ("text/plain", "application/octet-stream", ""):
            code, answer, _ = await self.ask(
                server, "POST", "/v1/audio/speech", body,
                Authorization="Bearer k", Content_Type=kind,
            )  # fmt: skip
            self.assertEqual(code, 400, kind)
            self.assertIn("content type", json.loads(answer)["error"]["message"])


class FaultTests(ServerCase):
    speak = "/v1/speak?model=aura-2-thalia-en&encoding=linear16&container=none&sample_rate=8000"

    async def test_failing_answers(self) -> None:
        """The next requests fail as told, then all is well; what was asked is remembered."""
        server = self.serve()
        server.fail_next(429, b"{}", {"Retry-After": "2"}, times=2)
        codes = [(await self.ask(server, "POST", self.speak, b'{"text":"x"}'))[0] for _ in range(3)]
        self.assertEqual(codes, [429, 429, 200])
        self.assertEqual(server.requests[2].body, b'{"text":"x"}')
        self.assertEqual(server.requests[2].headers["authorization"], "Token k")

    async def test_broken_bodies(self) -> None:
        """A body can be broken off after so many bytes, once."""
        server = self.serve()
        server.answering.drop_after_bytes = 100
        response = self.ask(server, "POST", self.speak, b'{"text":"Hello"}')
        await self.assertFailure(Deferred.fromCoroutine(response), Exception)
        code, data, _ = await self.ask(server, "POST", self.speak, b'{"text":"Hello"}')
        self.assertEqual((code, len(data)), (200, 4800))

    async def test_hanging_bodies(self) -> None:
        """A body can stop coming in the middle."""
        server = self.serve()
        server.answering.stall_after_bytes = 100
        waiting = Deferred.fromCoroutine(self.ask(server, "POST", self.speak, b'{"text":"Hello"}'))
        waiting.addErrback(lambda _: None)
        await deferLater(reactor, 0.1)
        self.assertFalse(waiting.called)
        await server.stop()
        await deferLater(reactor, 0.05)

    async def test_pace(self) -> None:
        """Answers can begin late and come in pieces."""
        server = self.serve()
        server.answering.first_byte_s = 0.1
        server.answering.chunk_bytes = 1600
        server.answering.chunk_s = 0.05
        before = reactor.seconds()
        _, data, _ = await self.ask(server, "POST", self.speak, b'{"text":"Hello"}')
        self.assertGreaterEqual(reactor.seconds() - before, 0.19)
        self.assertEqual(len(data), 4800)

    async def test_sockets(self) -> None:
        """Open conversations can be cut, closed with a code, and told nonsense."""
        server = self.serve()
        cut, closed = await self.connect(server), None
        server.cut()
        self.assertFalse((await cut.factory.closed)[0])
        closed = await self.connect(server)
        server.say("{not json")
        server.close(1011, "NET-0000")
        self.assertEqual((await closed.factory.closed)[1:], (1011, "NET-0000"))
        self.assertEqual(closed.factory.messages, [b"{not json"])

    async def test_cut_after(self) -> None:
        """A conversation can be cut after so much audio: what was due before has been said, no more."""
        server = self.serve()
        server.cut_after(1.15)
        client = await self.connect(server)
        for at in range(0, 64000, 640):
            client.sendMessage(SIGNAL.pcm[at : at + 640], isBinary=True)
        self.assertFalse((await client.factory.closed)[0])
        self.assertEqual(self.finals(client), "")
        again = await self.connect(server)
        again.sendMessage(SIGNAL.pcm, isBinary=True)
        again.sendMessage(b'{"type":"CloseStream"}')
        await again.factory.closed
        self.assertEqual(self.finals(again), SIGNAL.text)

    async def test_strange_messages(self) -> None:
        """Messages can carry fields nobody knows and come in fragments."""
        server = self.serve()
        server.answering.extra = {"brand_new": [1]}
        server.answering.fragment_bytes = 3
        client = await self.connect(server)
        client.sendMessage(SIGNAL.cut(0.0, 1.2), isBinary=True)
        client.sendMessage(b'{"type":"CloseStream"}')
        await client.factory.closed
        self.assertTrue(all(one["brand_new"] == [1] for one in self.heard(client)))

    async def test_stall(self) -> None:
        """A server that stops reading takes nothing in until it goes on."""
        server = self.serve()
        client = await self.connect(server)
        server.stall()
        client.sendMessage(SIGNAL.cut(0.0, 0.1), isBinary=True)
        await deferLater(reactor, 0.05)
        self.assertEqual(server.sockets[0].received_s, 0.0)
        server.go_on()
        await until(lambda: abs(server.sockets[0].received_s - 0.1) < 1e-6)

    async def test_frames_are_kept_on_request(self) -> None:
        """Frames are remembered for tests and dropped for benchmarks."""
        server = self.serve()
        for keeps in (True, False):
            server.keeps_frames = keeps
            client = await self.connect(server)
            client.sendMessage(b"\0\0", isBinary=True)
            client.sendMessage(b'{"type":"CloseStream"}')
            await client.factory.closed
            self.assertEqual(
                server.opened[-1].frames, [b"\0\0", '{"type":"CloseStream"}'] if keeps else []
            )
