"""The console page as a person uses it: a whole gateway, a browser, a microphone that says what it is told."""

import json
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from twisted.internet.defer import Deferred
from twisted.trial.unittest import TestCase

from tests.browser.chromium import Chromium
from tests.gateway_process import GatewayProcess
from waav.models.hibari import Hibari
from waav.speech.audio import AudioFormat
from waav.speech.wav import header

MICROPHONE_HZ = 48000


@cache
def spoken(text: str) -> Any:
    """Samples of the embedded voice at the microphone's rate."""
    voice = Hibari()
    return soxr.resample(voice.speak(voice.phonemes(text), 1.0), 24000, MICROPHONE_HZ)


def sound_file(path: Path, *parts: float | str) -> Path:
    """A WAV of silences, in seconds, and sentences, one after the other."""
    pieces = [
        spoken(part) if isinstance(part, str) else np.zeros(int(part * MICROPHONE_HZ))
        for part in parts
    ]
    pcm = (np.clip(np.concatenate(pieces), -1, 1) * 32767).astype("<i2").tobytes()
    path.write_bytes(header(AudioFormat("linear16", MICROPHONE_HZ, 1, "wav"), len(pcm)) + pcm)
    return path


def axe() -> str:
    """The source of axe-core, which a package of ``.ci/run`` brings; nothing of that package is imported."""
    spec = find_spec("axe_playwright_python")
    if spec is None or not spec.submodule_search_locations:
        raise RuntimeError("axe-core is missing: pip install --no-deps axe-playwright-python")
    return (Path(spec.submodule_search_locations[0]) / "axe.min.js").read_text()


class ConsoleTestCase(TestCase):
    """A test with a browser at the console of a gateway of its own.

    Attributes:
        MICROPHONE: what is said into the microphone, see ``sound_file``; it begins when the page first listens.
        HOST: name by which the browser knows the gateway.
        OPTIONS: further switches of the browser.
        SECTIONS: configuration of the gateway.
    """

    MICROPHONE: tuple[float | str, ...] = (0.5, "The gateway is listening.", 3.0)
    HOST = "127.0.0.1"
    OPTIONS: tuple[str, ...] = ()
    SECTIONS: dict[str, Any] = {}

    def setUp(self) -> Deferred[None]:
        return Deferred.fromCoroutine(self.start())

    async def start(self) -> None:
        from twisted.internet import reactor

        self.reactor = reactor
        self.sound = sound_file(Path(self.mktemp()).absolute(), *self.MICROPHONE)
        self.gateway = GatewayProcess(reactor, **self.SECTIONS)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.gateway.stop()))
        self.browser = Chromium(reactor, self.sound, *self.OPTIONS)
        self.addCleanup(lambda: Deferred.fromCoroutine(self.browser.close()))
        await self.gateway.started()
        await self.browser.open(f"http://{self.HOST}:{self.gateway.port}/console")
        await self.offered()

    async def offered(self) -> None:
        """Wait until the page knows what the gateway has."""
        await self.until("document.querySelectorAll('[name=voice] option').length > 1")

    async def reload(self) -> None:
        """Visit the page anew."""
        await self.js("window.isOld = true")
        await self.browser.page.call("Page.reload")
        await self.until("!window.isOld && document.readyState === 'complete'")
        await self.offered()

    async def js(self, script: str) -> Any:
        """The value of a JavaScript expression."""
        return await self.browser.run(script)

    async def until(self, script: str) -> None:
        """Wait until a JavaScript expression is true."""
        await self.browser.until(script)

    async def click(self, selector: str) -> None:
        """Press something."""
        await self.js(f"document.querySelector({json.dumps(selector)}).click()")

    async def set(self, name: str, value: str | bool | float) -> None:
        """Change a field of the settings by hand."""
        field = f"document.getElementById('choices').elements[{json.dumps(name)}]"
        if isinstance(value, bool):
            await self.js(f"{field}.checked === {json.dumps(value)} || {field}.click()")
            return
        changed = "dispatchEvent(new Event('change', {bubbles: true}))"
        await self.js(f"{field}.value = {json.dumps(value)}; {field}.{changed}")

    async def say(self, text: str) -> None:
        """Type a text and press Enter."""
        await self.js("document.getElementById('text').focus()")
        await self.browser.type(text)
        await self.browser.press("Enter", 13)

    async def text(self, selector: str) -> str:
        """What is read there."""
        return str(await self.js(f"document.querySelector({json.dumps(selector)}).textContent"))

    async def call(self) -> None:
        """Start a call and wait until it is there."""
        await self.click("#call")
        await self.until("document.getElementById('state').dataset.state === 'ready'")

    async def hears(self, words: str, number: int = 1) -> None:
        """Wait until the caller's turn ``number`` is understood, and check it."""
        turn = f"document.querySelectorAll('.turn.you:not(.partial)')[{number - 1}]"
        await self.until(turn)
        heard = await self.js(f"{turn}.querySelector('.text').textContent")
        self.assertEqual(heard.strip(" .…").lower(), words)

    async def events(self, kind: str) -> list[dict[str, Any]]:
        """The messages of a type that the inspector shows, oldest first."""
        rows = await self.js(
            "[...document.querySelectorAll('#events pre')].map((pre) => pre.textContent)"
        )
        return [one for one in map(json.loads, rows) if one["type"] == kind]

    async def problem(self) -> str:
        """Title and advice of the problem that is shown; waits for one."""
        await self.until("document.querySelector('.problem')")
        return str(await self.js("document.querySelector('.problem').innerText"))

    async def assert_fine(self) -> None:
        """Nothing is wrong, for the person or for the browser."""
        self.assertEqual(
            await self.js("[...document.querySelectorAll('.problem')].map((one) => one.innerText)"),
            [],
        )
        self.assertEqual(self.browser.page.logged, [])

    async def assert_accessible(self) -> None:
        """axe-core finds nothing to complain of."""
        await self.js(f"{axe()}; 0")
        found = await self.js("axe.run().then((found) => found.violations)")
        told = [
            f"{rule['id']}: {node['html'][:200]} {node['failureSummary']}"
            for rule in found
            for node in rule["nodes"]
        ]
        self.assertEqual(told, [])

    async def size(self, width: int, height: int) -> None:
        """Make the window so large; narrow ones are phones."""
        is_phone = width < 600
        await self.browser.page.call(
            "Emulation.setDeviceMetricsOverride",
            width=width,
            height=height,
            deviceScaleFactor=2 if is_phone else 1,
            mobile=is_phone,
        )
