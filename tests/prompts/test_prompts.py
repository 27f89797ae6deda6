"""``waav listen`` on telephone prompts, 8 kHz mu-law through /ws, recognised by the embedded model."""

import random
import sys
import time
from pathlib import Path
from typing import Any

from twisted.internet import reactor
from twisted.internet.defer import Deferred, DeferredSemaphore, gatherResults
from twisted.internet.task import deferLater
from twisted.internet.utils import getProcessOutputAndValue
from twisted.trial.unittest import TestCase

from bench.client import call
from bench.wer import Prompt, errors, prompts, words
from tests.gateway_process import GatewayProcess

HOW_MANY = 40
LIMIT = 0.12


class PromptTests(TestCase):
    def setUp(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.start())

    async def start(self) -> None:
        self.gateway = GatewayProcess(reactor)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.gateway.stop()))
        await self.gateway.started()

    async def listen(self, prompt: Prompt) -> list[str]:
        """What ``waav listen`` prints for the prompt."""
        sound = Path(self.mktemp()).absolute()
        sound.write_bytes(prompt.telephone())
        url = f"http://127.0.0.1:{self.gateway.port}"
        arguments = [
            "-m",
            "waav.cli.main",
            "listen",
            "--url",
            url,
            "--encoding",
            "mulaw",
            "--rate",
            "8000",
            str(sound),
        ]
        out, err, code = await getProcessOutputAndValue(sys.executable, arguments, env=None)
        self.assertEqual((code, err), (0, b""))
        return words(out.decode())

    async def test_telephone_prompts_are_understood(self) -> None:
        """Of the words of forty telephone prompts at most 12 % come out wrong."""
        chosen = random.Random(1).sample(prompts(), HOW_MANY)
        two = DeferredSemaphore(2)
        heard = await gatherResults(
            [two.run(lambda p=prompt: Deferred.fromCoroutine(self.listen(p))) for prompt in chosen]
        )
        said = [words(prompt.text) for prompt in chosen]
        wrong = sum(errors(one, other) for one, other in zip(said, heard, strict=True))
        count = sum(len(one) for one in said)
        print(f"\n{HOW_MANY} prompts, {count} words: word error rate {wrong / count:.1%}")
        self.assertLessEqual(wrong / count, LIMIT)

    async def test_partials_come_while_the_caller_speaks(self) -> None:
        """The transcript grows while a prompt is still being sent in real time."""
        prompt = max(prompts()[:60], key=lambda one: len(one.text))
        audio = prompt.telephone()[: 8000 * 8]
        caller = await call(
            reactor, self.gateway.port,
            stt_config={"provider": "local", "encoding": "mulaw", "sample_rate": 8000}, tts_config=None,
        )  # fmt: skip
        origin = time.monotonic()
        for number, start in enumerate(range(0, len(audio), 160)):
            wait = origin + 0.02 * number - time.monotonic()
            if wait > 0:
                await deferLater(reactor, wait)
            caller.hear(audio[start : start + 160])
        sent_at = time.monotonic()
        before = [
            event["transcript"]
            for at, event in caller.events
            if at < sent_at
            and isinstance(event, dict)
            and event["type"] == "stt_result"
            and not event["is_final"]
        ]
        self.assertGreaterEqual(len(before), 5)
        self.assertGreater(len(before[-1].split()), len(before[0].split()))
        closed: Any = caller.closed
        caller.sendClose(1000)
        await closed
