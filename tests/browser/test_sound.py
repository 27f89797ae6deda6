"""Microphone, loudspeaker and files of the console, and pages that may have no microphone."""

from tests.browser.console import ConsoleTestCase

FRAMES_UP = (
    "Number(document.getElementById('counts').textContent.match(/gateway (\\d+) frames/)?.[1] ?? 0)"
)


class FileTests(ConsoleTestCase):
    async def test_a_sound_file_is_understood(self) -> None:
        """Who has no microphone gives the page a sound file, and reads what it says; meanwhile the page listens to it."""
        await self.js("document.body.click()")
        await self.browser.choose("#file", self.sound)
        await self.until("document.getElementById('activity').dataset.activity === 'hearing'")
        await self.until(
            "Number(document.getElementById('you-meter').getAttribute('aria-valuenow')) > 20"
        )
        await self.hears("the gateway is listening")
        await self.until("document.getElementById('activity').dataset.activity === 'idle'")
        await self.assert_fine()

    async def test_what_is_no_sound_is_told(self) -> None:
        """A file that the browser cannot read is named, and the call is there for another."""
        wrong = self.sound.with_name("notes.txt")
        wrong.write_text("no sound at all")
        await self.js("document.body.click()")
        await self.browser.choose("#file", wrong)
        self.assertIn("notes.txt is not a sound", await self.problem())
        await self.browser.choose("#file", self.sound)
        await self.hears("the gateway is listening")


class PlainAddressTests(ConsoleTestCase):
    HOST = "lan.example"
    OPTIONS = ("--host-resolver-rules=MAP lan.example 127.0.0.1",)

    async def test_everything_but_the_microphone_works(self) -> None:
        """At a plain-http address of the network texts are heard and files understood; why the microphone is missing,
        and how to have it, is said."""
        self.assertFalse(await self.js("isSecureContext"))
        notice = await self.text(".notice")
        self.assertIn("No microphone at this address; everything else works.", notice)
        self.assertIn("https, or http://localhost", notice)
        self.assertIn(
            f"ssh -L {self.gateway.port}:localhost:{self.gateway.port} lan.example", notice
        )
        await self.call()
        self.assertTrue(await self.js("document.getElementById('mic').disabled"))
        await self.say("Good morning.")
        await self.until("document.querySelector('.turn.gateway[data-state=heard]')")
        await self.until("document.querySelectorAll('#turns rect.heard').length === 1")
        await self.set("echo", True)
        await self.browser.choose("#file", self.sound)
        await self.hears("the gateway is listening")
        await self.until(
            "document.querySelectorAll('.turn.gateway[data-state=heard]').length === 2"
        )
        problems = await self.js("document.querySelectorAll('.problem').length")
        self.assertEqual(problems, 0)


class MuteTests(ConsoleTestCase):
    MICROPHONE = (1.0, "The gateway is listening.", 12.0, "Please call me back tomorrow.", 4.0)

    async def test_muted_nothing_is_heard(self) -> None:
        """With M the microphone hears nothing though it is open, and the page says so; pressed again, it hears."""
        await self.call()
        await self.until("document.getElementById('activity').dataset.activity === 'listening'")
        await self.js("document.activeElement.blur()")
        await self.browser.press("m", 77)
        await self.until("document.getElementById('activity').dataset.activity === 'muted'")
        self.assertEqual(
            await self.js("document.getElementById('mic').getAttribute('aria-pressed')"), "true"
        )
        self.assertEqual(await self.text("#mic"), "Mute")
        await self.until(f"{FRAMES_UP} > 350")
        self.assertEqual(
            await self.js("document.getElementById('you-meter').getAttribute('aria-valuenow')"), "0"
        )
        await self.click("#mic")
        await self.hears("please call me back tomorrow")

    async def test_push_to_talk_hears_while_it_is_held(self) -> None:
        """Only what is said while Space is held gets to the gateway; let go, the turn ends long before silence would
        have ended it."""
        await self.set("sttOptions", '{"endpoint_ms": 5000}')
        await self.set("pushToTalk", True)
        await self.call()
        await self.until("document.getElementById('mic').hidden")
        await self.until(f"{FRAMES_UP} > 350")
        await self.js("document.activeElement.blur()")
        await self.space("rawKeyDown")
        self.assertEqual(
            await self.js("document.getElementById('hold').getAttribute('aria-pressed')"), "true"
        )
        await self.until(
            "document.querySelector('.turn.you.partial')?.textContent.toLowerCase().includes('tomorrow')"
        )
        await self.space("keyUp")
        await self.hears("please call me back tomorrow")
        self.assertEqual(len(await self.events("flush")), 1)
        self.assertEqual(
            await self.js("document.getElementById('activity').dataset.activity"), "muted"
        )

    async def test_the_button_is_held_with_a_finger(self) -> None:
        """Down it hears, up it does not."""
        await self.set("pushToTalk", True)
        await self.call()
        await self.until("!document.getElementById('hold').hidden")
        x, y = await self.js(
            "(({x, y, width, height}) => [x + width / 2, y + height / 2])(document.getElementById('hold').getBoundingClientRect())"
        )
        pressed = "document.getElementById('hold').getAttribute('aria-pressed')"
        for kind, expected in (("mousePressed", "true"), ("mouseReleased", "false")):
            await self.browser.page.call(
                "Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1
            )
            await self.until(f"{pressed} === '{expected}'")

    async def space(self, kind: str) -> None:
        """Half a press of the space bar."""
        await self.browser.page.call(
            "Input.dispatchKeyEvent", type=kind, key=" ", code="Space", windowsVirtualKeyCode=32
        )


class DeviceTests(ConsoleTestCase):
    async def test_microphone_and_loudspeaker_can_be_chosen(self) -> None:
        """The chosen devices are the ones that are used, now and on the next visit."""
        await self.js(
            "window.asked = []; window.sinks = [];"
            "const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);"
            "navigator.mediaDevices.getUserMedia = (wish) => { asked.push(wish.audio); return open(wish); };"
            "const sink = AudioContext.prototype.setSinkId;"
            "AudioContext.prototype.setSinkId = function (id) { sinks.push(id); return sink.call(this, id); }"
        )
        await self.call()
        options = "document.getElementById('choices').elements.microphone.options"
        await self.until(f"{options}.length > 2")
        chosen = await self.js(f"{options}[2].value")
        self.assertNotEqual(await self.js(f"{options}[2].text"), "")
        await self.set("microphone", chosen)
        await self.until("asked.length === 2")
        self.assertEqual(
            await self.js("[asked[0].deviceId ?? null, asked[1].deviceId.exact]"), [None, chosen]
        )
        speaker = await self.js(
            "document.getElementById('choices').elements.loudspeaker.options[1].value"
        )
        await self.set("loudspeaker", speaker)
        await self.until("sinks.length > 0")
        self.assertEqual(await self.js("sinks.at(-1)"), speaker)
        await self.set("echoCancellation", False)
        await self.until("asked.length === 3")
        self.assertEqual(await self.js("asked[2].echoCancellation"), False)
        await self.reload()
        self.assertEqual(
            await self.js(
                "(({microphone: m, loudspeaker: l}) => [m.value, l.value])(document.getElementById('choices').elements)"
            ),
            [chosen, speaker],
        )
        await self.assert_fine()

    async def test_a_microphone_that_is_unplugged_is_told(self) -> None:
        """The call goes on without it, and it can be started again."""
        await self.js(
            "const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);"
            "navigator.mediaDevices.getUserMedia = async (wish) => window.stream = await open(wish)"
        )
        await self.call()
        await self.until(
            "window.stream && document.getElementById('activity').dataset.activity === 'listening'"
        )
        await self.js("stream.getAudioTracks()[0].dispatchEvent(new Event('ended'))")
        self.assertIn("The microphone is gone", await self.problem())
        self.assertEqual(await self.text("#mic"), "Start mic")
        await self.click("#mic")
        await self.until("document.getElementById('mic').textContent === 'Mute'")

    async def test_hung_up_before_it_was_allowed_nobody_listens(self) -> None:
        """A microphone that is allowed only after the call was ended is closed again at once."""
        await self.js(
            "const open = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);"
            "window.allowed = new Promise((done) => window.allow = done);"
            "navigator.mediaDevices.getUserMedia = async (wish) => {"
            " await allowed; return window.stream = await open(wish); }"
        )
        await self.call()
        await self.click("#call")
        await self.until("document.getElementById('state').dataset.state === 'idle'")
        await self.js("allow()")
        await self.until("window.stream?.getAudioTracks()[0].readyState === 'ended'")
        await self.assert_fine()

    async def test_a_microphone_that_is_not_allowed_is_told(self) -> None:
        """The call is there without it, for typing and files, and how to allow it is said."""
        await self.js(
            "navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException('Permission denied', 'NotAllowedError'))"
        )
        await self.call()
        self.assertIn("does not let this page use the microphone", await self.problem())
        await self.say("Good morning.")
        await self.until("document.querySelector('.turn.gateway[data-state=heard]')")
