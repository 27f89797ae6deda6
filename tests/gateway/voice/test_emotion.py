"""Emotion settings from the message to the vendor's wire, on both ways in."""

import json
from pathlib import Path
from typing import Any

import treq
from twisted.internet import reactor
from twisted.internet.interfaces import IReactorTCP
from twisted.trial.unittest import TestCase

from tests.gateway.client import connect
from waav.gateway.admission.live import LiveConnections
from waav.gateway.admission.slots import Slots
from waav.gateway.http.site import build_site
from waav.gateway.settings import (
    ConsoleSettings,
    SecuritySettings,
    SpeechDefaults,
    WebSocketSettings,
)
from waav.gateway.voice.ws import VoiceFactory
from waav.links.dial import Dialler
from waav.links.settings import LinkSettings
from waav.providers.deepgram import deepgram
from waav.providers.openai import openai
from waav.registry import Registry
from waav.secret import Secret
from waav.session.world import World
from waav.speech.provider import Account
from waav.testing.replay import ReplayServer

WIRE = Path(__file__).parents[2] / "wire"
MOOD = {"emotion": "sad", "emotion_intensity": "high", "delivery_style": "whispered"}


class EmotionTests(TestCase):
    def setUp(self) -> None:
        self.vendor = ReplayServer(reactor, WIRE)
        self.vendor.start()
        self.dialler = Dialler(reactor, LinkSettings())
        world = World(
            reactor,  # type: ignore[arg-type]
            Registry((deepgram, openai)),
            self.dialler,
            lambda provider, key: Account(key or Secret("good"), endpoint=self.vendor.endpoint),
        )
        self.calls = LiveConnections(reactor)  # type: ignore[arg-type]
        voice = VoiceFactory(world, WebSocketSettings(), self.calls)
        site = build_site(
            reactor,  # type: ignore[arg-type]
            world,
            SecuritySettings(),
            SpeechDefaults(),
            ConsoleSettings(enabled=False),
            voice,
            Slots(None, 100),
        )
        self.port = IReactorTCP(reactor).listenTCP(0, site, interface="127.0.0.1")

    async def tearDown(self) -> None:
        await self.calls.stop(0)
        await self.port.stopListening()  # type: ignore[misc]
        await self.dialler.stop()
        await self.vendor.stop()

    async def spoken(self, speech: dict[str, Any]) -> None:
        """A call that says one thing."""
        client = await connect(self.port.getHost().port)
        client.say({"type": "config", "tts_config": speech})
        self.assertEqual((await client.next())["type"], "ready")
        client.say({"type": "speak", "text": "It rains."})
        while isinstance(message := await client.next(), bytes):
            pass
        self.assertEqual(message["type"], "tts_playback_complete", message)
        client.transport.loseConnection()

    async def posted(self, speech: dict[str, Any]) -> int:
        """The status of ``POST /speak``."""
        url = f"http://127.0.0.1:{self.port.getHost().port}/speak"
        body = {"text": "It rains.", "tts_config": speech}
        answer = await treq.post(url, json=body, persistent=False)
        await answer.content()
        return int(answer.code)

    async def test_it_reaches_the_vendor(self) -> None:
        """Who asks for a sad whisper has the vendor asked for one, in a call and over REST. (F-216, X-06)"""
        speech = {"provider": "openai", "model": "gpt-4o-mini-tts"} | MOOD
        await self.spoken(speech)
        self.assertEqual(await self.posted(speech), 200)
        asked = [json.loads(seen.body)["instructions"] for seen in self.vendor.requests]
        self.assertEqual(len(asked), 2)
        for instructions in asked:
            self.assertIn("sad", instructions)
            self.assertIn("whisper", instructions)

    async def test_a_voice_without_moods_speaks_all_the_same(self) -> None:
        """A voice that knows no emotion speaks as always; the request is the one without it. (F-215)"""
        speech = {"provider": "deepgram", "model": "aura-asteria-en"}
        await self.spoken(speech)
        await self.spoken(speech | MOOD)
        self.assertEqual(await self.posted(speech | MOOD), 200)
        asked = [(seen.path, sorted(seen.query), seen.body) for seen in self.vendor.requests]
        self.assertEqual(len(asked), 3)
        self.assertEqual(asked[1:], [asked[0]] * 2)
