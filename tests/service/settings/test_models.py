"""Settings of the gateway's own models."""

import json
import os
import re
import struct
from typing import Any

from tests.models import sounds
from tests.service.settings.mill import Mill
from tests.service.settings.rig import Exchange, Running, SettingsCase
from waav.registry import Registry

NEVER = 1_000_000


class ModelsCase(SettingsCase):
    """Models run in threads of the test's own process, and one of them can be held still."""

    def setUp(self) -> None:
        super().setUp()
        self.mills: list[Mill] = []

    def mill(self, together: int = 1) -> Mill:
        """The provider ``mill``, for the gateways of this test."""
        mill = Mill(together)
        self.mills.append(mill)
        self.registry = Registry([*self.registry.providers, mill.provider])
        return mill

    def start(self, text: str = "") -> Running:
        """See ``SettingsCase``. Nothing is held still any more when it stops."""
        gateway = super().start(text)
        for mill in self.mills:
            self.addCleanup(mill.is_open.set)
        return gateway

    async def begin_milling(self, gateway: Running, text: str) -> Exchange:
        """Have a text spoken by it."""
        return await gateway.begin_speak(text, provider="mill", audio_format="linear16")

    async def until_jobs(self, gateway: Running, number: int) -> None:
        """Wait until the models have done so many jobs: to load one, to begin a conversation."""
        done = 0
        while done < number:
            answer = await gateway.ask("GET", "/metrics", authorization="Bearer t")
            found = re.search(rb"waav_models_jobs_total (\d+)", answer.body)
            assert found is not None, answer
            done = int(found[1])

    def start_real(self, text: str) -> Running:
        """A gateway that has all models, and one thread for them."""
        models = f"models: {{process: false, threads: 1, path: {sounds.fetched()}}}"
        return self.start(f"{models}\nmetrics: {{token: t}}\n{text}")

    async def model_state(self, gateway: Running, section: str) -> str:
        """What /providers tells of an optional model."""
        told = json.loads((await gateway.ask("GET", "/providers")).body)
        return str(told["models"][section])


class WorkTests(ModelsCase):
    async def test_process(self) -> None:
        """models.process: switched off, models run in the gateway's own process."""
        mill = self.mill()
        mill.is_open.set()
        gateway = self.start("models: {process: false}")
        answer = await gateway.end(await self.begin_milling(gateway, "hello"))
        self.assertEqual(answer.body, struct.pack("<h", os.getpid() % 32768))
        self.assertEqual(gateway.reactor.spawned, [])

    async def test_threads(self) -> None:
        """models.threads: so many texts are spoken at the same time."""
        self.mill(together=3).is_open.set()
        gateway = self.start("models: {process: false, threads: 3}")
        speaking = [await self.begin_milling(gateway, text) for text in ("a", "b", "c")]
        statuses = [(await gateway.end(one)).status for one in speaking]
        self.assertEqual(statuses, [200] * 3)

    async def test_queue(self) -> None:
        """models.queue: no more jobs may wait for a thread; whoever comes after that is told at once."""
        mill = self.mill()
        gateway = self.start("models: {process: false, threads: 1, queue: 1}")
        speaks = {"tts_config": {"provider": "mill"}}
        first, second, third = [await gateway.call(listens=False, **speaks) for _ in range(3)]
        first.say({"type": "speak", "text": "a"})
        await gateway.until(lambda: mill.inside == 1)
        for caller in (second, third):
            caller.say({"type": "speak", "text": "b"})
            caller.say({"type": "ping"})
            message = await gateway.next(caller)
            if caller is third:
                self.assertIn("1 jobs wait for the model already", message["message"])
        mill.is_open.set()

    async def test_path(self) -> None:
        """models.path: models are looked for there."""
        path = self.folder()
        gateway = self.start(f"models: {{path: {path}}}\nturn_detection: {{enabled: true}}")
        await gateway.until(lambda: f"{path}/smart-turn" in self.log(), "nothing is looked for")


class TurnDetectionTests(ModelsCase):
    """With the real model."""

    async def call(self, text: str) -> tuple[Running, Any, Any]:
        """A call whose turn model can be asked."""
        gateway = self.start_real(text)
        client = await gateway.call()
        await self.until_jobs(gateway, 2)
        return gateway, client, self.vendor.listening[-1]

    async def final(self, at: tuple[Running, Any, Any]) -> None:
        """Something was said, a second ago."""
        gateway, client, ears = at
        ears.result("hello")
        self.assertFalse((await gateway.next(client))["is_speech_final"])
        await gateway.advance(1)

    async def test_enabled(self) -> None:
        """turn_detection.enabled: a model that does not think that the caller has finished keeps the turn open."""
        at = await self.call(
            "turn_detection: {enabled: true, threshold: 1.0}\n"
            f"speech_final: {{wait_ms: 900, inference_timeout_ms: {NEVER}, hard_timeout_ms: 3000}}"
        )
        gateway, client, _ = at
        await self.final(at)
        self.assertEqual(client.read, [])
        await gateway.advance(2.1)
        self.assertTrue((await gateway.next(client))["is_speech_final"])
        self.assertEqual(await self.model_state(gateway, "turn_detection"), "ready")

    async def test_threshold(self) -> None:
        """turn_detection.threshold: with 0 the caller has always finished."""
        at = await self.call(
            "turn_detection: {enabled: true, threshold: 0.0}\n"
            f"speech_final: {{wait_ms: 900, inference_timeout_ms: {NEVER}, hard_timeout_ms: {NEVER}}}"
        )
        await self.final(at)
        gateway, client, _ = at
        self.assertTrue((await gateway.next(client))["is_speech_final"])

    async def test_inference_timeout(self) -> None:
        """speech_final.inference_timeout_ms: a model that is too busy to answer is waited for so long."""
        mill = self.mill()
        at = await self.call(
            "turn_detection: {enabled: true}\n"
            f"speech_final: {{wait_ms: 900, inference_timeout_ms: 300, hard_timeout_ms: {NEVER}}}"
        )
        gateway, client, _ = at
        await self.begin_milling(gateway, "this takes long")
        await gateway.until(lambda: mill.inside == 1)
        await self.final(at)
        await gateway.advance(0.29)
        self.assertEqual(client.read, [])
        await gateway.advance(0.02)
        self.assertTrue((await gateway.next(client))["is_speech_final"])

    async def test_required(self) -> None:
        """turn_detection.required: the model is loaded at the start, for calls that ask for it."""
        gateway = self.start_real("turn_detection: {required: true}")
        await gateway.until(lambda: "model smart-turn loaded" in self.log(), "nothing was loaded")


class NoiseFilterTests(ModelsCase):
    """With the real filters."""

    NOISE = sounds.noise(1, 0.02)

    async def heard(self, text: str) -> bytes:
        """What the recogniser gets of a second of noise: all of it but what a filter may hold back."""
        gateway = self.start_real(text)
        client = await gateway.call()
        client.say(self.NOISE)
        ears = self.vendor.listening[-1]
        await gateway.until(lambda: len(ears.heard) > 28000, "no audio")
        return ears.heard

    async def test_enabled(self) -> None:
        """noise_filter.enabled: the recogniser gets less noise; without it, every byte as it came. (NF-01)"""
        self.assertEqual(await self.heard(""), self.NOISE)
        filtered = await self.heard("noise_filter: {enabled: true}")
        self.assertNotEqual(filtered[:28000], self.NOISE[:28000])

    async def test_mix(self) -> None:
        """noise_filter.mix: 0 mixes nothing of the filter in."""
        self.assertEqual(await self.heard("noise_filter: {enabled: true, mix: 0}"), self.NOISE)

    async def test_engine(self) -> None:
        """noise_filter.engine: that filter is loaded."""
        gateway = self.start_real("noise_filter: {enabled: true, engine: deepfilternet}")
        await gateway.until(
            lambda: "model noise-deepfilternet loaded" in self.log(), "it was not loaded"
        )

    async def test_backlog(self) -> None:
        """noise_filter.max_backlog_ms: when the filter is further behind, audio passes as it is."""
        mill = self.mill()
        gateway = self.start_real("noise_filter: {enabled: true, max_backlog_ms: 40}")
        client = await gateway.call()
        await self.begin_milling(gateway, "this takes long")
        await gateway.until(lambda: mill.inside == 1)
        ears = self.vendor.listening[-1]
        for frame in (self.NOISE[:1280], self.NOISE[1280:1920]):  # 40 ms, 20 ms
            client.say(frame)
        await gateway.until(lambda: ears.heard == self.NOISE[:1920], "no audio")
