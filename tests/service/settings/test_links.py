"""Settings of the connections to vendors."""

import os
import socket
from pathlib import Path
from typing import Any

from tests.service.settings.rig import Running, SettingsCase, call_config


class LimitTests(SettingsCase):
    """How long the gateway waits for a vendor."""

    async def refused_after(self, gateway: Running, seconds: float) -> str:
        """A caller's config is refused after so long and no earlier; what he is told."""
        client = await gateway.connect()
        client.say(call_config())
        await gateway.until(lambda: self.vendor.asked)
        await gateway.advance(seconds - 0.1)
        self.assertEqual(client.read, [])
        await gateway.advance(0.2)
        message = await gateway.next(client)
        self.assertEqual(message["type"], "error")
        return str(message["message"])

    async def test_dial(self) -> None:
        """links.dial_s: a recogniser that is not ready within that is an error."""
        self.vendor.is_silent = True
        gateway = self.start("links: {dial_s: 3}")
        self.assertIn("not ready within 3 s", await self.refused_after(gateway, 3))

    async def failed_after(self, gateway: Running, seconds: float) -> Any:
        """A speech that a vendor does not finish is given up after so long and no earlier."""
        self.vendor.holds = True
        speaking = await gateway.begin_speak("hello")
        await gateway.until(lambda: self.vendor.waiting)
        await gateway.advance(seconds - 0.1)
        self.assertFalse(speaking.is_over)
        await gateway.advance(0.2)
        return await gateway.end(speaking)

    async def test_first_byte(self) -> None:
        """links.first_byte_s: a vendor who has not begun to answer within that is given up."""
        gateway = self.start("links: {first_byte_s: 3, warmup: off}")
        self.assertEqual((await self.failed_after(gateway, 3)).status, 504)

    async def test_preset(self) -> None:
        """links.preset: low_latency gives a vendor up after 2 s, not after 10."""
        gateway = self.start("links: {preset: low_latency, warmup: off}")
        self.assertEqual((await self.failed_after(gateway, 2)).status, 504)

    async def begun(self, gateway: Running) -> Any:
        """A speech of which the first piece has come."""
        self.vendor.holds = True
        speaking = await gateway.begin_speak("hello")
        await gateway.until(lambda: self.vendor.waiting)
        self.vendor.waiting[0].write(bytes(1000))
        await gateway.until(lambda: speaking.data)
        return speaking

    async def test_idle(self) -> None:
        """links.idle_s: an answer that stops in the middle for so long is broken off."""
        gateway = self.start("links: {idle_s: 3, warmup: off}")
        speaking = await self.begun(gateway)
        await gateway.advance(2.9)
        self.assertFalse(speaking.is_over)
        await gateway.advance(0.2)
        await gateway.until(lambda: speaking.is_over)

    async def test_request(self) -> None:
        """links.request_s: an answer that goes on for longer is broken off, however steadily it comes."""
        gateway = self.start("links: {request_s: 5, warmup: off}")
        speaking = await self.begun(gateway)
        for second in range(4):
            await gateway.advance(1)
            self.vendor.waiting[0].write(bytes(1000))
            await gateway.until(lambda second=second: speaking.data.count(bytes(900)) > second + 1)
        self.assertFalse(speaking.is_over)
        await gateway.advance(1.1)
        await gateway.until(lambda: speaking.is_over)

    async def test_connect(self) -> None:
        """links.connect_s: a vendor whose port does not answer is given up after that."""
        with socket.socket() as full, socket.socket() as first, socket.socket() as second:
            # Nobody accepts here, and there is no room to wait either.
            full.bind(("127.0.0.1", 0))
            full.listen(0)
            for one in (first, second):
                one.setblocking(False)
                one.connect_ex(full.getsockname())
            gateway = self.start(
                "links: {connect_s: 2, retries: 0, warmup: off}\n"
                f"providers: {{deepgram: {{api_key: k, endpoint: 'http://127.0.0.1:{full.getsockname()[1]}'}}}}"
            )
            speaking = await gateway.begin_speak("hello")
            # Addresses are looked up in a thread.
            await gateway.until(
                lambda: "_late" in str(gateway.clock.getDelayedCalls()),
                "no attempt is made",
            )
            await gateway.advance(1.9)
            self.assertFalse(speaking.is_over)
            await gateway.advance(0.2)
            self.assertEqual((await gateway.end(speaking)).status, 504)


class RepetitionTests(SettingsCase):
    """How often, and when, a failed request is made again."""

    async def test_retries(self) -> None:
        """links.retries: a vendor who is busy is asked again so often, then the caller is told."""
        gateway = self.start("links: {retries: 1, backoff_s: 0.001, warmup: off}")
        self.vendor.refusals = [503] * 3
        speaking = await gateway.begin_speak("hello")
        await gateway.until(lambda: len(self.vendor.asked) == 1)
        await gateway.advance(0.001)
        self.assertEqual((await gateway.end(speaking)).status, 502)
        self.assertEqual(len(self.vendor.asked), 2)

    async def again_at_once(self, links: str) -> None:
        """A busy vendor is asked again within a millisecond."""
        gateway = self.start(f"links: {{{links}, warmup: off}}")
        self.vendor.refusals = [503]
        speaking = await gateway.begin_speak("hello")
        await gateway.until(lambda: self.vendor.asked)
        await gateway.advance(0.001)
        self.assertEqual((await gateway.end(speaking)).status, 200)

    async def test_backoff(self) -> None:
        """links.backoff_s: no longer than that passes before the first repetition."""
        await self.again_at_once("backoff_s: 0.001")

    async def test_longest_backoff(self) -> None:
        """links.backoff_most_s: no wait is longer, whatever its bound would be."""
        await self.again_at_once("backoff_s: 50, backoff_most_s: 0.001")


class PoolTests(SettingsCase):
    """How many connections there are to a vendor, and for how long."""

    async def test_requests(self) -> None:
        """links.requests: no more at once; the next is made when one has ended."""
        gateway = self.start(
            "links: {requests: 1, warmup: off}\nmetrics: {token: t}",
        )
        self.vendor.holds = True
        first, second = [await gateway.begin_speak(text) for text in ("one", "two")]
        await gateway.until(lambda: self.vendor.waiting)
        answer = await gateway.ask("GET", "/metrics", authorization="Bearer t")
        self.assertRegex(answer.body, rb"waav_http_waiting{[^}]*} 1\.0")
        for number in range(2):
            await gateway.until(lambda number=number: len(self.vendor.waiting) > number)
            self.assertEqual(len(self.vendor.waiting), number + 1)
            self.vendor.waiting[number].write(bytes(1000))
            self.vendor.waiting[number].finish()
        for speaking in (first, second):
            self.assertEqual((await gateway.end(speaking)).status, 200)

    async def test_connections(self) -> None:
        """links.connections: no more are kept open when they are not used."""
        gateway = self.start("links: {connections: 1, warmup: off}")
        self.vendor.holds = True
        speaking = [await gateway.begin_speak(text) for text in ("one", "two", "three")]
        await gateway.until(lambda: len(self.vendor.waiting) == 3)
        self.assertEqual(self.vendor.open, 3)
        for request in self.vendor.waiting:
            request.write(bytes(1000))
            request.finish()
        for one in speaking:
            await gateway.end(one)
        await gateway.until(lambda: self.vendor.open == 1, "connections stay")

    async def test_keep(self) -> None:
        """links.keep_s: a connection that is not used for so long is closed."""
        gateway = self.start("links: {keep_s: 20, warmup: off}")
        await gateway.speak("hello")
        await gateway.advance(19.9)
        self.assertEqual(self.vendor.open, 1)
        await gateway.advance(0.2)
        await gateway.until(lambda: not self.vendor.open, "the connection stays")

    async def test_tcp_keepalive(self) -> None:
        """links.tcp_keepalive_s: after so much silence the system asks whether the vendor is still there."""
        gateway = self.start("links: {tcp_keepalive_s: 77, warmup: off}")
        await gateway.speak("hello")
        self.assertEqual(keepalives(self.vendor.port), [77])

    async def test_warm(self) -> None:
        """links.warm: so many connections are there before anybody wants one."""
        gateway = self.start("links: {warm: 3}")
        await gateway.until(lambda: self.vendor.open == 3, "no connections")

    async def test_warmup(self) -> None:
        """links.warmup: switched off, no connection is opened but for a request that is made."""
        gateway = self.start("links: {warmup: off, warm: 3}")
        await gateway.settle()
        await gateway.speak("hello")
        await gateway.settle()
        self.assertEqual(len(self.vendor.connections), 1)


def keepalives(port: int) -> list[int]:
    """After how many seconds the system probes, for each of our connections to a port of the loopback interface."""
    found = []
    for name in Path("/proc/self/fd").iterdir():
        try:
            copy = socket.socket(fileno=os.dup(int(name.name)))
        except OSError:
            continue
        with copy:
            try:
                is_it = copy.getpeername() == ("127.0.0.1", port)
            except OSError:
                continue
            if is_it:
                found.append(copy.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE))
    return found


class StreamTests(SettingsCase):
    """Streaming connections: what becomes of the audio when they are lost."""

    async def test_redials(self) -> None:
        """links.redials: a lost connection is dialled again so often; then the caller is told."""
        gateway = self.start("links: {redials: 1, warmup: off}")
        client = await gateway.call()
        self.vendor.refusals = [503] * 3
        self.vendor.listening[0].cut()
        await gateway.wait(self.vendor.listening[0].gone)
        await gateway.advance(0.7)
        self.assertIn("STT streaming error", (await gateway.next(client))["message"])
        self.assertEqual(len(self.vendor.asked), 2)

    async def test_replay(self) -> None:
        """links.replay_s: so much audio of a lost connection is said again on the next one."""
        gateway = self.start("links: {replay_s: 1, warmup: off}")
        client = await gateway.call()
        first = self.vendor.listening[0]
        for number in range(4):
            client.say(bytes([number]) * 16000)  # half a second
        await gateway.until(lambda: len(first.heard) == 64000)
        first.cut()
        await gateway.wait(first.gone)
        await gateway.advance(0.7)
        await gateway.until(lambda: len(self.vendor.listening) == 2)
        client.say(b"\xff" * 16000)
        second = self.vendor.listening[1]
        await gateway.until(lambda: second.heard.count(b"\xff") == 16000)
        self.assertEqual(
            {number: second.heard.count(number) for number in set(second.heard)},
            {2: 16000, 3: 16000, 255: 16000},
        )

    async def test_backlog(self) -> None:
        """links.backlog_s: while a vendor is dialled so much audio is taken from the caller, then no more is read."""
        gateway = self.start("links: {backlog_s: 1, warmup: off}")
        caller = gateway.memory_caller()
        caller.say(call_config())
        await gateway.until(lambda: self.vendor.listening)
        await gateway.until(lambda: b"ready" in caller.transport.value())
        self.vendor.listening[0].cut()
        await gateway.wait(self.vendor.listening[0].gone)
        await gateway.settle()
        for is_read in (True, True, False):
            caller.say(bytes(15000))  # nearly half a second
            self.assertEqual(caller.is_read, is_read)

    async def test_pings(self) -> None:
        """links.ping_s: that often a recogniser is asked whether it is still there; without an answer it is dialled anew."""
        gateway = self.start("links: {ping_s: 6, warmup: off}")
        await gateway.call()
        vendor = self.vendor.listening[0]
        await gateway.advance(5.9)
        self.assertEqual(vendor.pings, 0)
        vendor.is_deaf = True
        await gateway.advance(0.2)
        await gateway.until(lambda: vendor.pings == 1)
        await gateway.advance(6.5)
        await gateway.wait(vendor.gone)
