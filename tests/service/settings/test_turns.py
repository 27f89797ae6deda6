"""Settings of turns, of interruptions, and of calls."""

from typing import Any

from tests.gateway.client import Client
from tests.service.settings.rig import Running, SettingsCase, call_config
from tests.service.settings.vendor import Listening

NEVER = 1_000_000


class TurnsCase(SettingsCase):
    """One call, whose recogniser says what the test has it say."""

    async def call(self, text: str, **config: Any) -> tuple[Running, Client, Listening]:
        """A gateway with that configuration, a caller, and his recogniser."""
        gateway = self.start(text)
        client = await gateway.call(**config)
        return gateway, client, self.vendor.listening[-1]

    async def told(self, gateway: Running, client: Client, text: str) -> dict[str, Any]:
        """The caller's next message, which has that text."""
        message: dict[str, Any] = await gateway.next(client)
        self.assertEqual(message.get("transcript"), text, message)
        return message

    async def final(self, at: tuple[Running, Client, Listening], text: str) -> None:
        """A final result reaches the caller, and ends no turn."""
        gateway, client, ears = at
        ears.result(text)
        self.assertFalse((await self.told(gateway, client, text))["is_speech_final"])

    async def ends_after(self, at: tuple[Running, Client, Listening], seconds: float) -> Any:
        """The gateway ends the turn after so long, and no earlier."""
        gateway, client, _ = at
        await gateway.advance(seconds - 0.01)
        self.assertEqual(client.read, [])
        await gateway.advance(0.02)
        message = await gateway.next(client)
        self.assertTrue(message["is_speech_final"])
        return message


class SpeechFinalTests(TurnsCase):
    async def test_wait(self) -> None:
        """speech_final.wait_ms: so long after a final result a turn ends if the vendor does not say so himself."""
        at = await self.call("speech_final: {wait_ms: 700}")
        await self.final(at, "hello")
        await self.ends_after(at, 0.7)

    async def test_hard_timeout(self) -> None:
        """speech_final.hard_timeout_ms: so long after its first result a turn ends, whatever else is recognised."""
        at = await self.call(f"speech_final: {{wait_ms: {NEVER}, hard_timeout_ms: 900}}")
        await self.final(at, "hello")
        await self.ends_after(at, 0.9)

    async def test_duplicates(self) -> None:
        """speech_final.duplicate_window_ms: within it the vendor's own end of a turn that was ended is not told again."""
        at = await self.call("speech_final: {wait_ms: 100, duplicate_window_ms: 2000}")
        gateway, client, ears = at
        await self.final(at, "hello")
        await self.ends_after(at, 0.1)
        await gateway.advance(1.9)
        ears.result("Hello.", end=True)
        ears.result("more", end=True)
        await self.told(gateway, client, "more")

    async def test_interims(self) -> None:
        """speech_final.interim_rearms: switched off, a partial result does not put off the end of the turn."""
        at = await self.call("speech_final: {wait_ms: 700, interim_rearms: false}")
        gateway, client, ears = at
        await self.final(at, "hello")
        await gateway.advance(0.4)
        ears.result("wor", final=False)
        await self.told(gateway, client, "wor")
        await self.ends_after(at, 0.3)

    async def test_what_the_limit_counts_from(self) -> None:
        """speech_final.hard_timeout_from: last_activity puts the limit off with each result."""
        at = await self.call(
            f"speech_final: {{wait_ms: {NEVER}, hard_timeout_ms: 900, hard_timeout_from: last_activity}}"
        )
        await self.final(at, "hello")
        await at[0].advance(0.6)
        await self.final(at, "world")
        await self.ends_after(at, 0.9)

    async def test_text(self) -> None:
        """speech_final.forced_text: switched off, an end that the gateway decides on repeats no text."""
        at = await self.call("speech_final: {wait_ms: 100, forced_text: false}")
        await self.final(at, "hello")
        self.assertEqual((await self.ends_after(at, 0.1))["transcript"], "")

    async def test_of_one_provider(self) -> None:
        """speech_final.providers: for that recogniser these times hold instead."""
        at = await self.call("speech_final: {wait_ms: 100, providers: {deepgram: {wait_ms: 700}}}")
        await self.final(at, "hello")
        await self.ends_after(at, 0.7)


class InterruptionTests(TurnsCase):
    """The caller hears a quarter of a second of speech that must not be interrupted: 24 kHz, 8000 bytes are 0.17 s."""

    async def protected(self, text: str) -> tuple[Running, Client, Listening]:
        """A call in the middle of such speech."""
        at = await self.call(text, speaks=True)
        gateway, client, _ = at
        self.vendor.holds = True
        client.say({"type": "speak", "text": "listen to me", "allow_interruption": False})
        await gateway.until(lambda: self.vendor.waiting)
        return at

    async def spoken(self, at: tuple[Running, Client, Listening]) -> None:
        """The vendor says all of it, and the caller gets that."""
        gateway, client, _ = at
        self.vendor.waiting[0].write(self.vendor.audio)
        self.vendor.waiting[0].finish()
        while True:
            message = await gateway.next(client)
            if not isinstance(message, bytes):
                break
        self.assertEqual(message["type"], "tts_playback_complete")

    async def test_pass(self) -> None:
        """interruption.block_stt: pass lets results through during such speech."""
        gateway, client, ears = await self.protected("interruption: {block_stt: pass}")
        ears.result("stop it", end=True)
        await self.told(gateway, client, "stop it")

    async def test_buffer(self) -> None:
        """interruption.block_stt: buffer tells the last final result when such speech has been heard."""
        at = await self.protected("interruption: {block_stt: buffer}")
        gateway, client, ears = at
        ears.result("stop it", end=True)
        await gateway.settle()
        await self.spoken(at)
        await gateway.advance(0.2)
        await self.told(gateway, client, "stop it")

    async def test_longest_lock(self) -> None:
        """interruption.max_lock_s: speech that does not come protects nothing any more after that."""
        gateway, client, ears = await self.protected("interruption: {max_lock_s: 5}")
        ears.result("one", end=True)
        await gateway.advance(4.9)
        ears.result("two", end=True)
        await gateway.advance(0.2)
        ears.result("three", end=True)
        await self.told(gateway, client, "three")


class CallTests(SettingsCase):
    async def test_ready(self) -> None:
        """call.ready_s: a call whose providers are not ready within that is refused."""
        self.vendor.is_silent = True
        gateway = self.start("call: {ready_s: 2}")
        client = await gateway.connect()
        client.say(call_config())
        await gateway.until(lambda: self.vendor.asked)
        await gateway.advance(1.9)
        self.assertEqual(client.read, [])
        await gateway.advance(0.2)
        message = await gateway.next(client)
        self.assertIn("Timeout waiting for voice providers", message["message"])

    async def test_audio_gap(self) -> None:
        """call.audio_gap_ms: so long after the caller's last audio his recogniser is asked for finals."""
        gateway = self.start("call: {audio_gap_ms: 4000}")
        client = await gateway.call()
        ears = self.vendor.listening[-1]
        client.say(bytes(640))
        await gateway.until(lambda: ears.audio)
        await gateway.advance(3.9)
        self.assertNotIn("Finalize", ears.orders)
        await gateway.advance(0.2)
        await gateway.until(lambda: "Finalize" in ears.orders)

    async def test_flush_delay(self) -> None:
        """call.flush_delay_ms: a text that may wait for more is spoken after that."""
        gateway = self.start("call: {flush_delay_ms: 100}")
        client = await gateway.call(listens=False, speaks=True)
        client.say({"type": "speak", "text": "hello", "flush": False})
        # What is answered after it has been carried out after it.
        client.say({"type": "ping"})
        self.assertEqual((await gateway.next(client))["type"], "pong")
        await gateway.advance(0.09)
        self.assertEqual(self.vendor.asked, [])
        await gateway.advance(0.02)
        await gateway.until(lambda: self.vendor.asked, "nothing is spoken")
