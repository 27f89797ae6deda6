"""The console page in a real browser, against a real gateway with the embedded voices."""

from tests.browser.console import ConsoleTestCase

LONG = "This is a long sentence that goes on and on, and then goes on a little more. " * 10


class CallTests(ConsoleTestCase):
    async def test_a_person_is_understood_and_answered(self) -> None:
        """What is said is read on the page, in place while it is understood, and said back aloud."""
        await self.set("echo", True)
        await self.js(
            "window.partials = new Set(); new MutationObserver(() => {"
            " for (const one of document.querySelectorAll('.turn.partial[aria-busy=true]'))"
            " partials.add(one.dataset.turn); })"
            ".observe(document.getElementById('conversation'), {subtree: true, childList: true, attributes: true})"
        )
        await self.js(
            "window.loudest = 0; new MutationObserver(([{target}]) =>"
            " window.loudest = Math.max(window.loudest, target.getAttribute('aria-valuenow')))"
            ".observe(document.getElementById('gateway-meter'), {attributes: true})"
        )
        await self.call()
        await self.hears("the gateway is listening")
        await self.until("document.querySelector('.turn.gateway[data-state=heard]')")
        self.assertGreater(await self.js("window.loudest"), 20)
        self.assertRegex(await self.text("#elapsed"), r"^\d:\d\d$")
        self.assertEqual(await self.js("[...partials]"), ["you-1"])
        turns = await self.js(
            "[...document.querySelectorAll('.turn')].map((turn) => ["
            "turn.querySelector('.head b').textContent, turn.querySelector('time').textContent,"
            "turn.querySelector('.notes').textContent])"
        )
        self.assertEqual([who for who, _, _ in turns], ["You", "Gateway (Heart)"])
        for _, time, _ in turns:
            self.assertRegex(time, r"^\d\d:\d\d:\d\d$")
        self.assertRegex(turns[0][2], r"^understood after \d+ ms$")
        self.assertRegex(turns[1][2], r"^heard after \d+ ms$")
        await self.assert_accessible()
        await self.assert_fine()

    async def test_a_turn_can_be_played_again(self) -> None:
        """Each side of a turn, and the turn as it was, is heard again; pressed once more it stops."""
        await self.set("echo", True)
        await self.call()
        await self.until("document.querySelector('.turn.gateway[data-state=heard]')")
        for selector in (".turn.you .play", ".turn.gateway .play", "#turns .play"):
            pressed = f"document.querySelector('{selector}').getAttribute('aria-pressed')"
            began = await self.js("performance.now()")
            await self.click(selector)
            self.assertEqual(await self.js(pressed), "true")
            await self.until(f"{pressed} === 'false'")
            took_ms = await self.js("performance.now()") - began
            self.assertGreater(took_ms, 900, selector)
        await self.click("#turns .play")
        await self.click("#turns .play")
        await self.until(
            "document.querySelector('#turns .play').getAttribute('aria-pressed') === 'false'"
        )
        await self.assert_fine()

    async def test_the_conversation_can_be_cleared_and_saved(self) -> None:
        """It becomes a text file with who said what when; cleared, the page is as at first."""
        await self.js("URL.createObjectURL = (blob) => { window.saved = blob.text(); return '#'; }")
        await self.say("Good morning.")
        await self.until("document.querySelector('.turn.gateway[data-state=heard]')")
        await self.click("#save-talk")
        self.assertRegex(
            await self.js("window.saved"), r"^\d\d:\d\d:\d\d  Gateway \(Heart\): Good morning\.\n$"
        )
        await self.click("#clear-talk")
        self.assertEqual(await self.js("document.querySelectorAll('.turn, .measured').length"), 0)
        self.assertTrue(await self.js("!document.getElementById('welcome').hidden"))

    async def test_hanging_up_is_no_error(self) -> None:
        """Hung up, everything is quiet, and the next call is there at a click."""
        await self.call()
        await self.click("#call")
        await self.until("document.getElementById('state').dataset.state === 'idle'")
        self.assertEqual(await self.text("#call"), "Start call")
        self.assertTrue(await self.js("document.getElementById('mic').disabled"))
        await self.call()
        await self.assert_fine()


class KeyboardTests(ConsoleTestCase):
    async def test_keyboard_alone_speaks_and_interrupts(self) -> None:
        """Typing a text and Enter is heard; Escape stops it at once, and says how much was heard."""
        await self.say(LONG)
        await self.until("document.querySelector('.turn.gateway[data-state=sounding]')")
        await self.browser.press("Escape", 27)
        await self.until("document.querySelector('.turn.gateway[data-state=interrupted]')")
        self.assertRegex(await self.text(".turn .notes"), r"^interrupted after \d+\.\d s$")
        self.assertEqual(len(await self.events("interrupt")), 1)
        await self.until("document.getElementById('activity').dataset.activity !== 'speaking'")
        await self.say("Once more.")
        await self.until(
            "document.querySelectorAll('.turn.gateway[data-state=heard]').length === 1"
        )
        await self.assert_fine()

    async def test_texts_that_are_interrupted_before_they_sound_are_told(self) -> None:
        """Of two texts the one that was never heard is marked as not spoken."""
        await self.say(LONG)
        await self.say("And this is never said.")
        await self.until("document.querySelector('.turn.gateway[data-state=sounding]')")
        await self.click("#interrupt")
        await self.until("document.querySelector('.turn.gateway[data-state=interrupted]')")
        self.assertEqual(
            await self.js("document.querySelectorAll('.turn.gateway')[1].dataset.state"), "unsaid"
        )


class InterruptionTests(ConsoleTestCase):
    async def speak_over(self) -> None:
        """Have a long text heard that the gateway is through with, then speak."""
        await self.say(LONG)
        await self.until(
            "document.querySelector('#events').textContent.includes('tts_playback_complete')"
        )
        await self.until("document.querySelector('.turn.gateway[data-state=sounding]')")
        await self.click("#mic")

    async def test_speaking_over_the_gateway_silences_it(self) -> None:
        """All of the text has been sent, but what is being heard counts: the caller's voice stops it, and the page hears
        that voice before the recogniser has a word of it."""
        await self.speak_over()
        await self.until("document.querySelector('.turn.gateway[data-state=interrupted]')")
        await self.hears("the gateway is listening")
        order = await self.js(
            "[...document.querySelectorAll('#events summary b')].map((one) => one.textContent)"
            ".filter((type) => ['tts_playback_complete', 'interrupt', 'stt_result'].includes(type))"
        )
        self.assertEqual(order[:3], ["tts_playback_complete", "interrupt", "stt_result"])
        await self.assert_fine()

    async def test_switched_off_nobody_is_interrupted(self) -> None:
        """Without the option the caller is understood while the gateway speaks on."""
        await self.set("bargeIn", False)
        await self.speak_over()
        await self.hears("the gateway is listening")
        self.assertEqual(
            await self.js("document.querySelector('.turn.gateway').dataset.state"), "sounding"
        )
        self.assertEqual(await self.events("interrupt"), [])


class LatencyTests(ConsoleTestCase):
    async def turn(self) -> list[int]:
        """The parts of a turn that was answered, and their sum as it is shown."""
        await self.set("echo", True)
        await self.call()
        await self.until("document.querySelectorAll('#turns rect.heard').length === 1")
        figures = (await self.text("#turns .figures")).removesuffix(" ms")
        whole = (await self.text("#turns .total")).removesuffix(" ms")
        return [*map(int, figures.split(" + ")), int(whole)]

    async def test_600_ms_of_silence_show_as_600(self) -> None:
        """The turn is measured from where the voice ended; its parts add up to what was waited; p50 and p95 are there."""
        final, asked, first_audio, sound, whole = await self.turn()
        self.assertGreaterEqual(final, 560)
        self.assertEqual(final + asked + first_audio + sound, whole)
        rows = await self.js(
            "[...document.querySelectorAll('#summary tbody tr')].map((row) => [...row.cells].map((one) => one.textContent))"
        )
        self.assertEqual(rows[-1], ["voice end to sound", "1", str(whole), str(whole)])
        self.assertEqual(len(rows), 5)

    async def test_what_the_endpoint_adds_is_seen(self) -> None:
        """With 2.5 s of silence asked of the recogniser, the first part is at least so long."""
        await self.set("sttOptions", '{"endpoint_ms": 2500}')
        final, *_ = await self.turn()
        self.assertGreaterEqual(final, 2440)
