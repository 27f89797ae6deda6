"""The modules of the console that touch no page, tested by themselves inside a browser, all on one page."""

import json
from pathlib import Path
from typing import Any

import numpy as np
import soxr
from twisted.internet import reactor
from twisted.internet.defer import Deferred
from twisted.internet.endpoints import TCP4ServerEndpoint
from twisted.internet.interfaces import IListeningPort
from twisted.trial.unittest import SynchronousTestCase, TestCase
from twisted.web.resource import Resource
from twisted.web.server import Site
from twisted.web.static import Data, File

from tests.browser.chromium import Chromium
from waav.gateway.console.page import FOLDER
from waav.models.hibari import Hibari

MODULES = Path(__file__).parent / "modules"
PURE = (
    "audio/blocks",
    "audio/level",
    "audio/player",
    "audio/queue",
    "audio/resampler",
    "call/*",
    "measure/*",
)
"""Modules that need no page, no network and no sound card."""

SENTENCES = (
    "The gateway is listening.",
    "Please call me back tomorrow at half past nine.",
    "Yes.",
    "Six seven eight, fish and chips.",
)
RATE_HZ = 16000
BEFORE_S = 1.0


def spoken() -> tuple[list[dict[str, Any]], dict[str, bytes]]:
    """Sentences of the embedded voice, in quiet and in noise: where each begins and ends, and the samples."""
    index, sounds = [], {}
    random = np.random.default_rng(1)
    for number, text in enumerate(SENTENCES):
        heart = Hibari()
        voice = soxr.resample(heart.speak(heart.phonemes(text), 1.0), 24000, RATE_HZ) * 0.5
        loudness = np.sqrt(np.convolve(voice**2, np.ones(160) / 160, "same"))
        # 32 dB below the loudest: what is fainter nobody takes for the word's end.
        heard = np.flatnonzero(loudness > loudness.max() / 40)
        begin_ms, end_ms = (1000 * (BEFORE_S + at / RATE_HZ) for at in (heard[0], heard[-1]))
        for ratio_db in (None, 15):
            whole = np.concatenate(
                [np.zeros(int(BEFORE_S * RATE_HZ)), voice, np.zeros(2 * RATE_HZ)]
            )
            if ratio_db is not None:
                noise = np.sqrt(np.mean(voice**2) / 10 ** (ratio_db / 10))
                whole = whole + random.standard_normal(len(whole)) * noise
            name = f"{number}-{ratio_db}"
            sounds[name] = (np.clip(whole, -1, 1) * 32767).astype("<i2").tobytes()
            index.append(
                {"name": name, "fromMs": begin_ms, "toMs": end_ms, "isNoisy": ratio_db is not None}
            )
    return index, sounds


def page(tests: list[Path]) -> bytes:
    """Imports all of them, then runs what they declare."""
    imports = "".join(f'import "/modules/{path.name}";' for path in tests)
    script = f'{imports} import {{ run }} from "/modules/check.js"; window.results = await run();'
    return f'<!doctype html><title>tests</title><link rel="icon" href="data:,"><script type="module">{script}</script>'.encode()


def site(tests: list[Path]) -> Site:
    """The console's files at ``/console``, the tests beside them, and what they listen to."""
    index, sounds = spoken()
    root, speech = Resource(), Resource()
    root.putChild(b"", Data(page(tests), "text/html"))
    root.putChild(b"console", File(str(FOLDER)))
    root.putChild(b"modules", File(str(MODULES)))
    root.putChild(b"speech", speech)
    speech.putChild(b"index.json", Data(json.dumps(index).encode(), "application/json"))
    for name, samples in sounds.items():
        speech.putChild(f"{name}.raw".encode(), Data(samples, "application/octet-stream"))
    return Site(root)


class ModuleTests(TestCase):
    def test_modules(self) -> Deferred[None]:
        """Every sentence of ``modules/*.test.js`` holds."""
        return Deferred.fromCoroutine(self.run_all())

    async def run_all(self) -> None:
        tests = sorted(MODULES.glob("*.test.js"))
        port: IListeningPort = await TCP4ServerEndpoint(reactor, 0, interface="127.0.0.1").listen(
            site(tests)
        )
        self.addCleanup(port.stopListening)
        browser = Chromium(reactor)
        self.addCleanup(lambda: Deferred.fromCoroutine(browser.close()))
        await browser.open(f"http://127.0.0.1:{port.getHost().port}/")
        await browser.until("window.results")
        results = await browser.run("window.results")
        wrong = [f"{one['sentence']}: {one['error']}" for one in results if one["error"]]
        if wrong:
            self.fail("\n".join(wrong))
        sentences = [one["sentence"] for one in results]
        self.assertGreater(len(sentences), 80)
        self.assertEqual(len(set(sentences)), len(sentences))
        self.assertEqual(browser.page.logged, [])


class CoverageTests(SynchronousTestCase):
    def test_every_module_has_tests(self) -> None:
        """A module without a page is imported by a test of its own; a new one cannot be forgotten."""
        sources = "".join(path.read_text() for path in MODULES.glob("*.test.js"))
        modules = [path for pattern in PURE for path in FOLDER.glob(f"{pattern}.js")]
        self.assertGreater(len(modules), 20)
        untested = [
            name
            for name in (path.relative_to(FOLDER).as_posix() for path in modules)
            if f'"/console/{name}"' not in sources
        ]
        self.assertEqual(untested, [])
