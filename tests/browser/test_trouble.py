"""What the console says when something goes wrong, and how one goes on from there."""

from typing import ClassVar

from tests.browser.console import ConsoleTestCase
from tests.gateway_process import GatewayProcess


class VendorTests(ConsoleTestCase):
    async def test_a_missing_key_is_told_with_what_to_do(self) -> None:
        """A vendor without a key says so in plain words; the settings are a click away, and the next call works."""
        await self.set("stt", "deepgram")
        await self.click("#call")
        told = await self.problem()
        self.assertIn("This gateway has no key for Deepgram.", told)
        self.assertIn("Enter a key of your own", told)
        self.assertNotIn("voice manager", told)
        self.assertIn("API key not configured", await self.text(".problem .detail"))
        self.assertEqual(await self.js("document.getElementById('state').dataset.state"), "idle")
        await self.assert_accessible()
        await self.click(".problem .actions button")
        self.assertEqual(await self.js("document.activeElement.name"), "stt")
        await self.set("stt", "local")
        await self.call()
        await self.assert_fine()

    async def test_a_language_that_nobody_speaks_is_told(self) -> None:
        """What the gateway itself refuses is said in its words, without those of the wire."""
        await self.set("language", "fr-FR")
        await self.click("#call")
        told = await self.problem()
        self.assertIn("only English", told)
        self.assertNotIn("voice manager", told)
        await self.click(".problem .close")
        self.assertEqual(await self.js("document.querySelectorAll('.problem').length"), 0)

    async def test_a_refusal_in_the_middle_of_a_call_ends_it(self) -> None:
        """Settings that are refused while one talks are told, and the call is over instead of half there."""
        await self.call()
        await self.set("language", "fr-FR")
        self.assertIn("only English", await self.problem())
        await self.until("document.getElementById('state').dataset.state === 'idle'")


class LostTests(ConsoleTestCase):
    async def test_a_lost_connection_says_what_to_do_and_calls_again(self) -> None:
        """The gateway is killed: the page says that the connection is lost; while it is away, that it does not answer;
        when it is back, one click calls again, microphone and all."""
        await self.call()
        await self.until("document.getElementById('activity').dataset.activity === 'listening'")
        self.gateway.transport.signalProcess("KILL")
        told = await self.problem()
        self.assertIn("The connection to the gateway is lost.", told)
        self.assertIn("then call again", told)
        self.assertEqual(
            await self.js("document.getElementById('activity').dataset.activity"), "idle"
        )
        again = "document.querySelector('.problem .actions button')"
        self.assertEqual(await self.js(f"{again}.textContent"), "Call again")
        await self.js(f"{again}.click()")
        await self.until(
            "document.querySelector('.problem')?.textContent.includes('The gateway does not answer.')"
        )
        port = self.gateway.port
        self.gateway = GatewayProcess(self.reactor, server={"port": port})
        self.gateway.port = port
        await self.gateway.started()
        await self.js(f"{again}.click()")
        await self.until("document.getElementById('state').dataset.state === 'ready'")
        await self.until("document.getElementById('activity').dataset.activity === 'listening'")
        self.assertEqual(await self.js("document.querySelectorAll('.problem').length"), 0)


class StoppedTests(ConsoleTestCase):
    SECTIONS: ClassVar = {"server": {"drain_s": 0.2}}

    async def test_a_gateway_that_is_stopped_says_so(self) -> None:
        """Stopped in order, the page says that the gateway goes, not that the network broke."""
        await self.call()
        await self.gateway.stop()
        self.assertIn("stopped or started anew", await self.problem())


class FullTests(ConsoleTestCase):
    SECTIONS: ClassVar = {"security": {"max_connections_per_ip": 1}}

    async def test_a_gateway_that_takes_no_more_calls_says_so(self) -> None:
        """A refused connection is told from a gateway that is gone."""
        await self.js("window.first = new WebSocket(`ws://${location.host}/ws`)")
        await self.until("first.readyState === 1")
        await self.click("#call")
        self.assertIn("took no call from this page", await self.problem())
        await self.js("first.close()")
        await self.call()


class IdleTests(ConsoleTestCase):
    SECTIONS: ClassVar = {"websocket": {"idle_s": 3.0}}

    async def test_a_call_that_was_quiet_for_too_long_says_so(self) -> None:
        """Ended by the gateway because nothing passed, the page says that and offers to call again."""
        await self.say("Good morning.")
        self.assertIn("nothing was said for too long", await self.problem())
        await self.click(".problem .actions button")
        await self.until("document.getElementById('state').dataset.state === 'ready'")


class GoneTests(ConsoleTestCase):
    async def test_a_page_whose_gateway_went_away_finds_it_again(self) -> None:
        """Typed while nothing answers, a text is not lost: it stays in its field until it can be said."""
        await self.gateway.stop()
        await self.say("Good morning.")
        self.assertIn("The gateway does not answer.", await self.problem())
        self.assertEqual(await self.js("document.getElementById('text').value"), "Good morning.")
