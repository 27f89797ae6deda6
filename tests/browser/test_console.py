"""The console page in a real browser, against a real gateway with the embedded voices."""

import os
from pathlib import Path

import numpy as np
import soxr
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from tests.browser.chromium import Chromium
from tests.gateway_process import GatewayProcess
from waav.models.hibari import Hibari
from waav.speech.audio import AudioFormat
from waav.speech.wav import header

SHOTS = Path(os.environ.get("WAAV_SCREENSHOTS", "screenshots"))
SPOKEN = "The gateway is listening."


def microphone(path: Path) -> None:
    """Half a second of silence, the sentence, three seconds of silence: 48 kHz mono WAV."""
    loud = soxr.resample(Hibari().speak(SPOKEN, 1.0), 24000, 48000)
    samples = np.concatenate([np.zeros(24000), loud, np.zeros(144000)])
    pcm = (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()
    path.write_bytes(header(AudioFormat("linear16", 48000, 1, "wav"), len(pcm)) + pcm)


class ConsoleTests(TestCase):
    def setUp(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.start())

    async def start(self) -> None:
        sound = Path(self.mktemp()).absolute()
        microphone(sound)
        SHOTS.mkdir(exist_ok=True)
        self.sound = sound
        self.gateway = GatewayProcess(reactor)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.gateway.stop()))
        self.browser = Chromium(reactor, sound)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.leave()))
        await self.gateway.started()
        await self.browser.open(f"http://127.0.0.1:{self.gateway.port}/console")
        await self.browser.until("document.querySelectorAll('#voice option').length > 0", 20)

    async def leave(self) -> None:
        """Leave a picture of how the page looked in the end; it tells why a test failed."""
        if self.browser.page is not None:
            await self.browser.screenshot(SHOTS / f"{self.id().rpartition('.')[2]}.png")
        await self.browser.close()

    async def test_a_person_is_understood_and_answered(self) -> None:
        """What is said into the microphone is read on the page and said back aloud; no error, no other host."""
        browser = self.browser
        await browser.run("document.getElementById('echo').click()")
        await browser.run("document.getElementById('talk').click()")
        await browser.until("document.getElementById('state').dataset.state === 'ready'", 60)
        await browser.until("document.querySelector('#transcript .heard') !== null", 60)
        heard = await browser.run("document.querySelector('#transcript .heard').textContent")
        self.assertEqual(heard.strip(" .…").lower(), "the gateway is listening")
        await browser.until("Number(document.documentElement.dataset.playedMs || 0) > 700", 60)
        await browser.until("document.querySelectorAll('#turns rect.play').length > 0", 20)
        await browser.screenshot(SHOTS / "console-call.png")
        self.assertEqual(await browser.run("document.getElementById('problem').textContent"), "")
        self.assertEqual(browser.page.logged, [])

    async def test_a_sound_file_is_understood(self) -> None:
        """Who has no microphone gives the page a sound file, and reads what it says."""
        browser = self.browser
        await browser.run("document.body.click()")
        await browser.choose("#file", self.sound)
        await browser.until("document.querySelector('#transcript .heard') !== null", 60)
        heard = await browser.run("document.querySelector('#transcript .heard').textContent")
        self.assertEqual(heard.strip(" .…").lower(), "the gateway is listening")

    async def test_a_wrong_key_is_told(self) -> None:
        """A vendor without a key says so on the page, and the page can be used again at once."""
        browser = self.browser
        await browser.run(
            "const stt = document.getElementById('stt'); stt.value = 'deepgram';"
            " stt.dispatchEvent(new Event('change')); document.getElementById('talk').click()"
        )
        await browser.until("!document.getElementById('problem').hidden", 30)
        told = await browser.run("document.getElementById('problem').textContent")
        self.assertIn("Deepgram API key not configured", told)
        await browser.run(
            "document.getElementById('stt').value = 'local'; document.getElementById('talk').click()"
        )
        await browser.until("document.getElementById('state').dataset.state === 'ready'", 60)
        self.assertEqual(await browser.run("document.getElementById('problem').textContent"), "")

    async def test_keyboard_alone_speaks_and_interrupts(self) -> None:
        """Typing a text and Enter is heard; Escape stops it at once."""
        browser = self.browser
        await browser.run("document.getElementById('text').focus()")
        await browser.type("This is a long sentence that goes on and on. " * 12)
        await browser.press("Enter", 13)
        await browser.until("Number(document.documentElement.dataset.playedMs || 0) > 500", 60)
        await browser.press("Escape", 27)
        await browser.until(
            "document.querySelector('#events').textContent.includes('interrupt')", 10
        )
        first = await browser.run(
            "new Promise((r) => setTimeout(() => r(document.documentElement.dataset.playedMs), 300))"
        )
        second = await browser.run(
            "new Promise((r) => setTimeout(() => r(document.documentElement.dataset.playedMs), 1000))"
        )
        self.assertEqual(first, second)

    async def test_readable_on_a_phone(self) -> None:
        """At 390 pixels nothing is wider than the screen, and everything that can be pressed is big enough."""
        browser = self.browser
        await browser.page.call(
            "Emulation.setDeviceMetricsOverride",
            width=390,
            height=844,
            deviceScaleFactor=2,
            mobile=True,
        )
        self.assertLessEqual(await browser.run("document.documentElement.scrollWidth"), 390)
        heights = await browser.run(
            "[...document.querySelectorAll('button, .button')].map((b) => b.getBoundingClientRect().height)"
        )
        self.assertGreaterEqual(min(heights), 40)
        await browser.screenshot(SHOTS / "console-phone.png")
