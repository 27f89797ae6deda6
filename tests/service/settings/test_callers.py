"""Settings of who may come in how often, of the life of a connection, and of what callers get who say little."""

import json
from typing import Any

from tests.service.settings.rig import SettingsCase, call_config


class SecurityTests(SettingsCase):
    async def statuses(self, gateway: Any, times: int, **headers: str) -> list[int]:
        return [(await gateway.ask("GET", "/providers", **headers)).status for _ in range(times)]

    async def test_cors(self) -> None:
        """security.cors_allowed_origins: a page of that origin may read the answer, another may not."""
        gateway = self.start("security: {cors_allowed_origins: 'https://a.test'}")
        for origin, allowed in (("https://a.test", "https://a.test"), ("https://b.test", None)):
            answer = await gateway.ask("GET", "/", origin=origin)
            self.assertEqual(answer.headers.get("access-control-allow-origin"), allowed)

    async def test_rate(self) -> None:
        """security.rate_limit_requests_per_second: after a burst requests are let through at that rate."""
        gateway = self.start(
            "security: {rate_limit_requests_per_second: 1, rate_limit_burst_size: 1}"
        )
        self.assertEqual(await self.statuses(gateway, 2), [200, 429])
        await gateway.advance(0.9)
        self.assertEqual(await self.statuses(gateway, 1), [429])
        await gateway.advance(0.2)
        self.assertEqual(await self.statuses(gateway, 2), [200, 429])

    async def test_burst(self) -> None:
        """security.rate_limit_burst_size: so many requests at once are let through, not one more."""
        gateway = self.start(
            "security: {rate_limit_requests_per_second: 1, rate_limit_burst_size: 3}"
        )
        self.assertEqual(await self.statuses(gateway, 4), [200, 200, 200, 429])

    async def test_proxies(self) -> None:
        """security.trusted_proxies: requests that come through them count for whom they name, not for the proxy."""
        gateway = self.start(
            "security: {trusted_proxies: [127.0.0.1], rate_limit_requests_per_second: 1,"
            " rate_limit_burst_size: 1}"
        )
        for address in ("192.0.2.1", "192.0.2.2"):
            self.assertEqual(await self.statuses(gateway, 2, x_forwarded_for=address), [200, 429])

    async def test_all_connections(self) -> None:
        """security.max_websocket_connections: one more than that is refused, whoever it is."""
        gateway = self.start(
            "security: {max_websocket_connections: 2, max_connections_per_ip: 100}"
        )
        self.assertEqual([await gateway.upgrade() for _ in range(3)], [101, 101, 503])

    async def test_connections_of_one(self) -> None:
        """security.max_connections_per_ip: one more than that from one address is refused."""
        gateway = self.start("security: {max_connections_per_ip: 2}")
        self.assertEqual([await gateway.upgrade() for _ in range(3)], [101, 101, 429])

    async def test_body(self) -> None:
        """security.max_body_bytes: a longer request is refused for its size."""
        gateway = self.start("security: {max_body_bytes: 100}")
        for size, status in ((100, 400), (101, 413)):
            answer = await gateway.ask(
                "POST", "/speak", b" " * size, content_type="application/json"
            )
            self.assertEqual(answer.status, status, answer)


class WebSocketTests(SettingsCase):
    async def test_idle(self) -> None:
        """websocket.idle_s: a caller with whom nothing passes for so long, give or take a tenth, is told and let go."""
        gateway = self.start("websocket: {idle_s: 20}")
        client = await gateway.connect()
        await gateway.advance(17.9)
        self.assertEqual((client.read, client.gone.called), ([], False))
        await gateway.advance(4.2)
        self.assertEqual((await gateway.next(client))["code"], "idle")
        self.assertEqual(await gateway.wait(client.gone), 1000)

    async def test_pings(self) -> None:
        """websocket.ping_s: that often a caller is asked whether he is still there."""
        gateway = self.start("websocket: {ping_s: 5}")
        client = await gateway.connect()
        pings: list[bytes] = []
        client.onPing = pings.append
        await gateway.advance(4.9)
        self.assertEqual(pings, [])
        await gateway.advance(0.2)
        await gateway.until(lambda: pings)

    async def test_missed_pings(self) -> None:
        """websocket.missed_pings: who leaves so many unanswered is let go."""
        gateway = self.start("websocket: {ping_s: 5, missed_pings: 1}")
        client = await gateway.connect()
        client.onPing = lambda payload: None
        await gateway.advance(10.2, pieces=2)
        self.assertEqual(await gateway.wait(client.gone), 1001)

    def test_outgoing_messages(self) -> None:
        """websocket.outgoing_messages: a caller who reads nothing is listened to until so many answers wait for him."""
        caller = self.start("websocket: {outgoing_messages: 3}").memory_caller()
        caller.is_full()
        for is_read in (True, True, False):
            caller.say("what is no message is answered with an error")
            self.assertEqual(caller.is_read, is_read)

    def test_waiting_bytes(self) -> None:
        """websocket.waiting_bytes: while a config is carried out so much of what follows it is taken, then no more is read."""
        caller = self.start("websocket: {waiting_bytes: 2000}").memory_caller()
        self.vendor.is_silent = True
        caller.say(call_config())
        for is_read in (True, False):
            caller.say(bytes(1000))
            self.assertEqual(caller.is_read, is_read)


class ConsoleTests(SettingsCase):
    async def test_console(self) -> None:
        """console.enabled: without it there is no page, and the log promises none."""
        answers = {
            is_on: (
                await self.start(f"console: {{enabled: {is_on}}}").ask("GET", "/console")
            ).status
            for is_on in ("true", "false")
        }
        self.assertEqual(answers, {"true": 200, "false": 404})
        self.assertEqual(self.log().count("console: http://localhost:"), 1)


class AudioTests(SettingsCase):
    async def test_providers(self) -> None:
        """audio.stt_provider, audio.tts_provider: clients are told to use these, and no model of others is loaded."""
        gateway = self.start("audio: {stt_provider: openai, tts_provider: deepgram}")
        told = json.loads((await gateway.ask("GET", "/providers")).body)
        self.assertEqual(told["defaults"], {"stt": "openai", "tts": "deepgram"})
        self.assertEqual(gateway.reactor.spawned, [])

    async def test_sample_rate(self) -> None:
        """audio.sample_rate: speech has this rate where a caller names none, on /speak and on /ws."""
        gateway = self.start(
            "audio: {stt_provider: deepgram, tts_provider: deepgram, sample_rate: 16000}"
        )
        answer = await gateway.speak("hello")
        self.assertEqual(answer.headers["x-sample-rate"], "16000")
        client = await gateway.call(listens=False, speaks=True)
        client.say({"type": "speak", "text": "something else"})
        await gateway.until(lambda: len(self.vendor.asked) == 2)
        self.assertEqual(self.vendor.query()["sample_rate"], "16000")

    async def test_speak_timeout(self) -> None:
        """audio.speak_timeout_s: POST /speak without any audio for so long is given up."""
        gateway = self.start(
            "audio: {stt_provider: deepgram, tts_provider: deepgram, speak_timeout_s: 4}"
        )
        self.vendor.holds = True
        speaking = await gateway.begin_speak("hello")
        await gateway.until(lambda: self.vendor.waiting)
        await gateway.advance(3.9)
        self.assertFalse(speaking.is_over)
        await gateway.advance(0.2)
        self.assertEqual((await gateway.end(speaking)).status, 504)

    async def test_speak_length(self) -> None:
        """audio.speak_max_bytes: a longer text of POST /speak is refused."""
        gateway = self.start(
            "audio: {stt_provider: deepgram, tts_provider: deepgram, speak_max_bytes: 5}"
        )
        self.assertEqual((await gateway.speak("hello")).status, 200)
        answer = await gateway.speak("hello!")
        self.assertEqual(answer.status, 400)
        self.assertIn(b"exceeds maximum 5 bytes", answer.body)
