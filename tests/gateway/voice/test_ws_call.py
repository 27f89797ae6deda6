"""Whole calls over real sockets: a client, the gateway, and a vendor played by the replay server."""

from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.interfaces import IReactorTCP
from twisted.logger import LogLevel, formatEvent, globalLogPublisher
from twisted.trial.unittest import TestCase
from twisted.web.server import Site

from tests.gateway.client import Client, Upgrade, connect, soon
from waav.gateway.admission.live import LiveConnections
from waav.gateway.admission.slots import Slots
from waav.gateway.settings import WebSocketSettings
from waav.gateway.voice.ws import VoiceFactory
from waav.links.dial import Dialler
from waav.links.settings import LinkSettings
from waav.providers.deepgram import deepgram
from waav.registry import Registry
from waav.secret import Secret
from waav.session.world import World
from waav.speech.provider import Account, Provider
from waav.testing.replay import ReplayServer
from waav.testing.signal import Signal

WIRE = Path(__file__).parents[2] / "wire"
STT = {
    "provider": "deepgram",
    "language": "en-US",
    "sample_rate": 16000,
    "channels": 1,
    "punctuation": True,
    "encoding": "linear16",
    "model": "nova-3",
}
TTS = {"provider": "deepgram", "model": "aura-2-thalia-en"}
CONFIG = {"type": "config", "stream_id": "call", "stt_config": STT, "tts_config": TTS}


class CallTests(TestCase):
    def setUp(self) -> None:
        self.signal = Signal.speaking("voice", ["hello there", "how are you"])
        self.vendor = ReplayServer(
            reactor, WIRE, signal=self.signal, keys=frozenset({"good", "own"})
        )
        self.vendor.start()
        self.dialler = Dialler(reactor, LinkSettings())
        self.calls = LiveConnections(reactor)  # type: ignore[arg-type]
        self.slots = Slots(None, None)
        world = World(
            reactor,  # type: ignore[arg-type]
            Registry((deepgram,)),
            self.dialler,
            self.account,
        )
        factory = VoiceFactory(world, WebSocketSettings(), self.calls)
        site = Site(Upgrade(factory, self.slots))
        self.port = IReactorTCP(reactor).listenTCP(0, site, interface="127.0.0.1")

    def account(self, provider: Provider, key: Secret | None) -> Account:
        return Account(key or Secret("good"), endpoint=self.vendor.endpoint)

    async def tearDown(self) -> None:
        await self.calls.stop(0)
        self.assertEqual((self.slots.total, self.calls.live), (0, 0))
        await self.port.stopListening()  # type: ignore[misc]
        await self.dialler.stop()
        await self.vendor.stop()

    async def connect(self, config: dict[str, Any] = CONFIG) -> Client:
        """A client whose config is in force."""
        client = await connect(self.port.getHost().port)
        client.say(config)
        ready = await client.next()
        self.assertEqual(ready["type"], "ready", ready)
        return client

    async def spoken(self, client: Client) -> list[bytes]:
        """The audio until its completion."""
        pieces = []
        while isinstance(message := await client.next(), bytes):
            pieces.append(message)
        self.assertEqual(message["type"], "tts_playback_complete", message)
        return pieces

    async def test_speech(self) -> None:
        """A text comes back as speech in pieces of 10 ms, and then its completion. (F-064, F-078, F-080)"""
        client = await self.connect()
        client.say({"type": "speak", "text": "Hello, how are you?"})
        pieces = await self.spoken(client)
        self.assertGreater(len(pieces), 10)
        self.assertEqual({len(piece) for piece in pieces[:-1]}, {480})

    async def test_recognition(self) -> None:
        """What is said comes back as text, and each utterance has its end. (F-064, F-077, F-079)"""
        client = await self.connect()
        pcm = self.signal.pcm
        for at in range(0, len(pcm), 640):
            client.say(pcm[at : at + 640])
        finals, ends = [], 0
        while ends < 2:
            result = await client.next()
            self.assertEqual(result["type"], "stt_result", result)
            finals += [result["transcript"]] if result["is_final"] else []
            ends += result["is_speech_final"]
        self.assertEqual(" ".join(finals).lower(), self.signal.text)

    async def test_clear(self) -> None:
        """After clear, speech stops and nothing of it follows; the next text is spoken. (F-070)"""
        client = await self.connect()
        self.vendor.answering.chunk_s = 0.01
        client.say({"type": "speak", "text": "This goes on for quite a while. " * 10})
        await client.next()
        client.say({"type": "clear"})
        client.say({"type": "ping", "timestamp": "cleared"})
        while isinstance(message := await client.next(), bytes):
            pass
        self.assertEqual(message["timestamp"], "cleared")
        self.vendor.answering.chunk_s = 0.0
        client.say({"type": "ping", "timestamp": "still silent"})
        self.assertEqual((await client.next())["timestamp"], "still silent")
        client.say({"type": "speak", "text": "Yes?"})
        self.assertTrue(await self.spoken(client))

    async def test_log(self) -> None:
        """A call leaves three lines with its id: its beginning, where it comes from, and its end, without texts.
        (SRV-06, X-11)"""
        lines: list[str] = []

        def note(event: Any) -> None:
            if event["log_namespace"].startswith("waav") and event["log_level"] != LogLevel.debug:
                lines.append(formatEvent(event))

        globalLogPublisher.addObserver(note)
        self.addCleanup(globalLogPublisher.removeObserver, note)
        client = await self.connect()
        client.say({"type": "speak", "text": "Hello"})
        for at in range(0, len(self.signal.pcm), 640):
            client.say(self.signal.pcm[at : at + 640])
        await self.spoken_among_results(client)
        client.sendClose(1000)
        await client.gone
        await self.calls.stop(0)
        self.assertEqual([line.partition(":")[0] for line in lines], ["call"] * 3, lines)
        self.assertIn("the caller is at 127.0.0.1", " ".join(lines))
        self.assertNotIn("hello", " ".join(lines).lower())

    async def spoken_among_results(self, client: Client) -> None:
        while True:
            message = await client.next()
            if not isinstance(message, bytes) and message["type"] == "tts_playback_complete":
                return

    async def test_without_waiting_for_ready(self) -> None:
        """A text right behind the config is spoken. (F-069)"""
        client = await connect(self.port.getHost().port)
        client.say(CONFIG)
        client.say({"type": "speak", "text": "Hello"})
        self.assertEqual((await client.next())["type"], "ready")
        self.assertTrue(await self.spoken(client))

    async def test_own_key(self) -> None:
        """A caller's own key is what the vendor sees. (F-068)"""
        client = await self.connect(
            CONFIG
            | {"stt_config": STT | {"api_key": "own"}, "tts_config": TTS | {"api_key": "own"}}
        )
        client.say({"type": "speak", "text": "Hello"})
        await self.spoken(client)
        keys = {seen.headers["authorization"] for seen in self.vendor.requests}
        self.assertEqual(keys, {"Token own"})

    async def test_refused_key(self) -> None:
        """A key that the vendor refuses is an error without the key, and the next config works. (F-083, D-31)"""
        client = await connect(self.port.getHost().port)
        client.say(CONFIG | {"stt_config": STT | {"api_key": "wrong-key-4711"}})
        answer = await client.next()
        self.assertEqual((answer["type"], answer["code"]), ("error", "provider_refused"))
        self.assertTrue(answer["message"].startswith("Failed to start voice manager: "), answer)
        self.assertNotIn("4711", answer["message"])
        client.say(b"\0\0")
        self.assertIn("Audio processing is disabled", (await client.next())["message"])
        client.say(CONFIG)
        self.assertEqual((await client.next())["type"], "ready")

    async def test_second_config(self) -> None:
        """A second config ends the first one's connection to the vendor before its own is opened. (WS-15)"""
        client = await self.connect()
        client.say(CONFIG | {"stream_id": "second"})
        self.assertEqual((await client.next())["stream_id"], "second")
        self.assertEqual((len(self.vendor.sockets), len(self.vendor.opened)), (1, 2))

    async def test_reconnect(self) -> None:
        """connect opens the vendor's connection again. (F-072)"""
        client = await self.connect()
        client.say({"type": "connect"})
        self.assertEqual((await client.next())["stream_id"], "call")
        self.assertEqual((len(self.vendor.sockets), len(self.vendor.opened)), (1, 2))

    async def test_hang_up(self) -> None:
        """When a caller leaves, his vendor connections are closed and his slot is free. (F-087, SRV-03)"""
        client = await self.connect()
        client.transport.abortConnection()
        await client.gone
        await self.calls.stop(0)
        self.assertEqual(self.slots.total, 0)
        while self.vendor.sockets:
            await soon()
