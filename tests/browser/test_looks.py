"""What the console looks like: themes, phones, and for people who cannot see it."""

import json
import os
from pathlib import Path

from tests.browser.console import ConsoleTestCase

SHOTS = os.environ.get("WAAV_SCREENSHOTS")
"""Folder for the pictures of docs/console; without it none are taken."""

ANSWER = "Your appointment is on Thursday at half past nine. Shall I remind you the day before? "
PHONE = (390, 844)
DESKTOP = (1440, 900)
GROUND = "getComputedStyle(document.documentElement).backgroundColor"


class LooksTests(ConsoleTestCase):
    MICROPHONE = (
        0.5,
        "The gateway is listening.",
        5.0,
        "Please call me back tomorrow at half past nine.",
        60.0,
    )

    async def test_the_theme_is_the_systems_until_one_is_chosen(self) -> None:
        """Light and dark follow the system, a choice wins over it, and is there on the next visit."""
        grounds = {}
        for theme in ("dark", "light"):
            await self.browser.page.call(
                "Emulation.setEmulatedMedia",
                features=[{"name": "prefers-color-scheme", "value": theme}],
            )
            grounds[theme] = await self.js(GROUND)
        self.assertNotEqual(grounds["dark"], grounds["light"])
        await self.click("[name=theme][value=dark]")
        self.assertEqual(await self.js(GROUND), grounds["dark"])
        await self.reload()
        self.assertEqual(await self.js(GROUND), grounds["dark"])
        await self.click("[name=theme][value=system]")
        self.assertEqual(await self.js(GROUND), grounds["light"])

    async def test_the_gateway_is_introduced(self) -> None:
        """Its version and what became of its models are there."""
        version = await self.js(
            "fetch('/').then((answer) => answer.json()).then(({version}) => version)"
        )
        self.assertEqual(await self.text("#gateway-line"), f"WaaV {version}")
        facts = await self.text("#gateway-facts")
        self.assertIn("Turn detectionoff: timers end the turns", facts)
        self.assertIn("Noise filteroff: audio is not filtered", facts)
        self.assertEqual(await self.js("document.getElementById('gateway').dataset.state"), "ready")

    async def test_axe_has_nothing_to_say(self) -> None:
        """At rest, with everything open, in both themes, on a desktop and on a phone (in a call: test_console)."""
        for size in (DESKTOP, PHONE):
            await self.size(*size)
            for theme in ("light", "dark"):
                await self.click(f"[name=theme][value={theme}]")
                await self.js(
                    "for (const one of document.querySelectorAll('details')) one.open = true"
                )
                await self.assert_accessible()

    async def test_usable_on_a_phone(self) -> None:
        """In a call at 390 pixels nothing is wider than the screen, what is pressed is big enough for a finger, and the
        call's buttons are on the screen wherever one has scrolled to."""
        await self.size(*PHONE)
        await self.reload()
        self.assertEqual(
            await self.js("[...document.querySelectorAll('details.fold')].map((one) => one.open)"),
            [False] * 3,
        )
        await self.set("echo", True)
        await self.call()
        await self.until("document.querySelector('.turn.gateway[data-state=heard]')")
        await self.assert_accessible()
        self.assertLess(
            await self.js(
                "(({scrollHeight, scrollTop, clientHeight}) => scrollHeight - scrollTop - clientHeight)"
                "(document.getElementById('conversation'))"
            ),
            2,
        )
        await self.js("for (const one of document.querySelectorAll('details')) one.open = true")
        self.assertLessEqual(await self.js("document.documentElement.scrollWidth"), PHONE[0])
        small = await self.js(
            "[...document.querySelectorAll('button, .button, select, input:not([type=range]):not(.unseen), summary, label.check')]"
            ".filter((one) => one.checkVisibility() && !one.closest('label.check') && !one.closest('#events, .problem, .notice, #turns'))"
            ".filter((one) => one.getBoundingClientRect().height < 37).map((one) => one.outerHTML)"
        )
        self.assertEqual(small, [])
        for place in ("0", "document.body.scrollHeight / 3"):
            await self.js(f"scrollTo(0, {place})")
            bottom = await self.js(
                "document.querySelector('.callbar').getBoundingClientRect().bottom"
            )
            self.assertLessEqual(bottom, PHONE[1] + 1)

    async def test_pictures(self) -> None:
        """Every picture of the manual shows what is there now: a call and an error, both sizes, both themes."""
        await self.set("echo", True)
        await self.call()
        await self.until(
            "document.querySelectorAll('.turn.gateway[data-state=heard]').length === 2"
        )
        await self.say(ANSWER * 3)
        await self.until("document.querySelector('.turn.gateway[data-state=sounding]')")
        await self.js("document.activeElement.blur()")
        for size, where in ((DESKTOP, "desktop"), (PHONE, "phone")):
            await self.size(*size)
            for theme in ("light", "dark"):
                await self.click(f"[name=theme][value={theme}]")
                await self.shoot(f"{where}-{theme}-call")
        await self.set("stt", "deepgram")
        await self.problem()
        for size, where in ((DESKTOP, "desktop"), (PHONE, "phone")):
            await self.size(*size)
            for theme in ("light", "dark"):
                await self.click(f"[name=theme][value={theme}]")
                await self.shoot(f"{where}-{theme}-error")

    async def shoot(self, name: str) -> None:
        """One picture, as it is on the screen."""
        await self.js("new Promise((done) => requestAnimationFrame(() => setTimeout(done, 300)))")
        folder = Path(SHOTS or self.mktemp())
        folder.mkdir(parents=True, exist_ok=True)
        await self.browser.screenshot(folder / f"{name}.png")
        self.assertGreater((folder / f"{name}.png").stat().st_size, 20_000, json.dumps(name))
