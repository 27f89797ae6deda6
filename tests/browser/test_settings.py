"""The console's settings: what they do to the call, and that they are there the next time."""

import json
from typing import Any, ClassVar

from tests.browser.console import ConsoleTestCase


class SettingsTests(ConsoleTestCase):
    MICROPHONE = (90.0,)

    async def last_config(self) -> dict[str, Any]:
        """The config that was sent last."""
        return (await self.events("config"))[-1]

    async def test_each_of_them_reaches_the_call(self) -> None:
        """Before the call or in it: language, model, speed, turn detection, noise filter and vendors' options."""
        await self.set("language", "en-GB")
        await self.set("sttModel", "moonshine-tiny-en")
        await self.set("sttOptions", '{"endpoint_ms": 700}')
        await self.call()
        config = await self.last_config()
        listen = config["stt_config"]
        self.assertEqual(
            [listen["language"], listen["model"], listen["options"]],
            ["en-GB", "moonshine-tiny-en", {"endpoint_ms": 700}],
        )
        self.assertNotIn("turn_detection", config)
        for name, value in (
            ("speed", 1.25),
            ("turnDetection", "off"),
            ("noiseFilter", "off"),
            ("voice", "heart"),
        ):
            before = len(await self.events("ready"))
            await self.set(name, value)
            await self.until(
                "[...document.querySelectorAll('#events summary b')]"
                f".filter((one) => one.textContent === 'ready').length > {before}"
            )
        config = await self.last_config()
        self.assertEqual(
            [
                config["tts_config"]["speaking_rate"],
                config["tts_config"]["voice_id"],
                config["turn_detection"],
                config["noise_filter"],
            ],
            [1.25, "heart", False, False],
        )
        self.assertEqual(await self.text("#speed-shown"), "1.25 ×")
        await self.say("Still here.")
        await self.until("document.querySelector('.turn.gateway[data-state=heard]')")
        await self.assert_fine()

    async def test_they_are_remembered(self) -> None:
        """After a reload every choice is as it was; a key is not, for it was stored nowhere."""
        await self.set("stt", "deepgram")
        await self.js(
            "const key = document.querySelector('[data-key=stt]'); key.value = 'my-secret-key';"
            " key.dispatchEvent(new Event('change', {bubbles: true}))"
        )
        for name, value in (
            ("language", "de-DE"),
            ("speed", 0.8),
            ("echo", True),
            ("bargeIn", False),
        ):
            await self.set(name, value)
        await self.reload()
        shown = await self.js(
            "(({elements: e}) => [e.stt.value, e.language.value, e.speed.value, e.echo.checked, e.bargeIn.checked,"
            " document.querySelector('[data-key=stt]').value])(document.getElementById('choices'))"
        )
        self.assertEqual(shown, ["deepgram", "de-DE", "0.8", True, False, ""])
        kept = json.dumps(await self.js("({...localStorage, ...sessionStorage})"))
        self.assertIn("deepgram", kept)
        self.assertNotIn("my-secret-key", kept)
        await self.click("#forget")
        self.assertEqual(
            await self.js("document.getElementById('choices').elements.stt.value"), "local"
        )
        await self.call()
        self.assertEqual((await self.last_config())["stt_config"]["language"], "en-US")

    async def test_what_the_gateway_does_otherwise_is_told(self) -> None:
        """A model that this vendor does not have is replaced, and the page says so as long as it is true."""
        await self.set("sttModel", "nova-3")
        await self.call()
        await self.until("document.querySelector('.notice.warning')")
        self.assertIn("nova-3", await self.text(".notice.warning"))
        await self.set("sttModel", "")
        await self.until("!document.querySelector('.notice.warning')")
        await self.assert_fine()

    async def test_what_a_field_holds_wrongly_is_told(self) -> None:
        """Options that are no JSON are told by the field's name before anything is sent; corrected, the call works."""
        await self.set("sttOptions", "{endpoint")
        await self.click("#call")
        self.assertIn(
            "Recognition: the vendor's options must be a JSON object", await self.problem()
        )
        await self.set("sttOptions", "")
        await self.call()
        await self.assert_fine()

    async def test_who_hears_the_call_is_said_truly(self) -> None:
        """Only while both vendors are the gateway's own models is it said that audio goes nowhere else."""
        only_here = "Audio goes to this gateway only."
        self.assertEqual(await self.text("#privacy"), only_here)
        await self.set("stt", "deepgram")
        self.assertEqual(
            await self.text("#privacy"), "The gateway passes this call on to Deepgram."
        )
        await self.set("tts", "openai")
        self.assertEqual(
            await self.text("#privacy"), "The gateway passes this call on to Deepgram and OpenAI."
        )
        await self.set("stt", "local")
        self.assertEqual(await self.text("#privacy"), "The gateway passes this call on to OpenAI.")
        await self.set("tts", "local")
        self.assertEqual(await self.text("#privacy"), only_here)

    async def test_a_vendor_without_voices_says_why(self) -> None:
        """For a vendor whose list cannot be had there is the reason, its default model, and a field for a key."""
        await self.set("tts", "deepgram")
        await self.until("!document.getElementById('voices-note').hidden")
        self.assertIn("Deepgram API key not configured", await self.text("#voices-note"))
        self.assertTrue(
            await self.js("!document.querySelector('[data-key=tts]').parentElement.hidden")
        )
        self.assertTrue(
            await self.js(
                "document.getElementById('choices').elements.ttsModel.placeholder.startsWith('aura')"
            )
        )
        await self.set("tts", "local")
        await self.until("document.getElementById('voices-note').hidden")
        self.assertTrue(
            await self.js("document.querySelector('[data-key=tts]').parentElement.hidden")
        )


class ModelTests(ConsoleTestCase):
    MICROPHONE = (90.0,)
    SECTIONS: ClassVar = {"models": {"path": "none"}}

    async def test_a_filter_that_is_not_there_is_told_and_the_call_goes_on(self) -> None:
        """The settings say what became of the gateway's models; asked for a missing one, the call goes on without it."""
        self.assertEqual(await self.text("#noise-note"), "Here: off, audio is not filtered.")
        await self.set("noiseFilter", "on")
        await self.call()
        self.assertIn("the call goes on without it", await self.problem())
        await self.say("Still here.")
        await self.until("document.querySelector('.turn.gateway[data-state=heard]')")


class EventsTests(ConsoleTestCase):
    async def types(self) -> list[str]:
        """The rows of the inspector."""
        found: list[str] = await self.js(
            "[...document.querySelectorAll('#events summary b')].map((one) => one.textContent)"
        )
        return found

    async def test_they_can_be_filtered_found_and_taken_away(self) -> None:
        """Kinds are hidden and shown, a word is found, audio is counted, and all of it is saved as JSON without keys."""
        await self.js("URL.createObjectURL = (blob) => { window.saved = blob.text(); return '#'; }")
        await self.set("tts", "deepgram")
        await self.js(
            "const key = document.querySelector('[data-key=tts]'); key.value = 'my-secret-key';"
            " key.dispatchEvent(new Event('change', {bubbles: true}))"
        )
        await self.set("tts", "local")
        await self.set("stt", "deepgram")
        await self.click("#call")
        await self.until(
            "document.querySelector('#events [data-kind=call] b')?.textContent === 'config'"
        )
        await self.until("document.getElementById('state').dataset.state === 'idle'")
        await self.set("stt", "local")
        await self.say("Good morning.")
        await self.until("document.querySelector('.turn.gateway[data-state=heard]')")
        self.assertIn("speak", await self.types())
        self.assertNotIn("audio", await self.types())
        await self.click(".filters [value=speech]")
        self.assertNotIn("speak", await self.types())
        await self.click(".filters [value=audio]")
        self.assertIn("audio", await self.types())
        await self.js(
            "document.getElementById('find').value = 'CAPABILITIES'; document.getElementById('find').dispatchEvent(new Event('input'))"
        )
        self.assertEqual(set(await self.types()), {"ready"})
        self.assertRegex(await self.text("#counts"), r"from it [1-9]\d* frames, [1-9]\d* KB")
        await self.click("#save-events")
        saved = await self.js("window.saved")
        self.assertNotIn("my-secret-key", saved)
        rows = json.loads(saved)
        self.assertEqual((rows[0]["type"], rows[0]["direction"]), ("config", "up"))
        self.assertIn("audio", {row["type"] for row in rows})
        await self.click("#clear-events")
        self.assertEqual(await self.types(), [])
