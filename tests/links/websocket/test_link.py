"""A streaming vendor over a WebSocket, in memory and on a clock."""

import json
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionRefusedError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.links.doubles import PCM, Heard, Mute, Talk, Vendor
from waav import errors
from waav.links.settings import LinkSettings
from waav.links.websocket.link import WebSocketLink
from waav.speech import wire
from waav.speech.audio import AudioFormat

SECOND = PCM.size_bytes(1.0)


def noise(seconds: float, start: int = 0) -> bytes:
    """Audio in which every sample can be told from its neighbours."""
    count = int(seconds * 16000)
    return b"".join(((start + i) % 65536).to_bytes(2, "little") for i in range(count))


class LinkCase(SynchronousTestCase):
    """Builds links to a vendor in memory."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.vendor = Vendor(self.clock)
        self.sink = Heard()
        self.dialogues: list[Talk] = []
        self.kind = Talk
        self.format = PCM
        self.random = 0.5

    def link(
        self, settings: LinkSettings | None = None, dial_s: float | None = None, **opening: Any
    ) -> WebSocketLink:
        opening.setdefault("url", "ws://vendor.test:81/v1/listen?a=1&a=2")

        def dialogue() -> Talk:
            self.dialogues.append(self.kind(wire.Opening(**opening), self.format))
            return self.dialogues[-1]

        return WebSocketLink(
            self.clock,  # type: ignore[arg-type]
            self.vendor.connect,
            "acme",
            dialogue,
            self.sink,
            settings or LinkSettings(),
            dial_s=dial_s,
            random=lambda: self.random,
            wall=lambda: 0.0,
        )

    def opened(self, settings: LinkSettings | None = None, **opening: Any) -> WebSocketLink:
        link = self.link(settings, **opening)
        opening_ = Deferred.fromCoroutine(link.open())
        self.vendor.flush()
        self.successResultOf(opening_)
        return link

    def end(self, link: WebSocketLink) -> None:
        link.abort()
        self.vendor.flush()
        self.assertEqual(self.clock.getDelayedCalls(), [])


class DialTests(LinkCase):
    def test_an_ended_link_holds_no_audio(self) -> None:
        """The audio of a call that has ended takes no memory."""
        link = self.opened(resumes=True)
        link.send_audio(bytes(640))
        replay = link._replay
        assert replay is not None
        self.assertEqual(replay.kept_bytes, 640)
        self.end(link)
        self.assertEqual(replay.kept_bytes, 0)

    def test_ready_when_the_handshake_is_done(self) -> None:
        """A call is ready only once the vendor accepted; nothing is compressed on the way."""
        link = self.link(headers={"Authorization": "Token k", "User-Agent": "mine/1"})
        opening = Deferred.fromCoroutine(link.open())
        self.assertNoResult(opening)
        self.vendor.flush()
        self.successResultOf(opening)
        server = self.vendor.server
        self.assertEqual(server.http_headers["authorization"], "Token k")
        self.assertEqual(server.http_headers["user-agent"], "mine/1")
        self.assertEqual(server.http_request_uri, "/v1/listen?a=1&a=2")
        self.assertEqual(server.extensions, "")
        self.assertEqual(self.vendor.asked[0][:3], ("vendor.test", 81, False))
        self.end(link)

    def test_waits_for_the_vendors_own_ready(self) -> None:
        """Where a vendor announces that it is ready, the call is not ready before."""
        link = self.link(says_ready=True)
        opening = Deferred.fromCoroutine(link.open())
        self.vendor.flush()
        self.assertNoResult(opening)
        self.vendor.server.say(type="ready")
        self.vendor.flush()
        self.successResultOf(opening)
        self.assertEqual(self.sink.events, [])
        self.end(link)

    def test_tls_by_default_port(self) -> None:
        """wss addresses are dialled with TLS on 443."""
        link = self.opened(url="wss://vendor.test/listen")
        self.assertEqual(self.vendor.asked[0][:3], ("vendor.test", 443, True))
        self.end(link)

    def refused(self, answer: bytes, hangs_up: bool = False, **opening: Any) -> Any:
        self.vendor.answer = answer
        self.vendor.hangs_up = hangs_up
        link = self.link(**opening)
        opening_ = Deferred.fromCoroutine(link.open())
        self.vendor.flush()
        return self.failureResultOf(opening_, errors.ProviderError).value

    def test_a_wrong_key_is_a_refusal_with_the_vendors_words(self) -> None:
        """A caller reads what the vendor said about the key, and nobody tries it again. (F-180)"""
        error = self.refused(
            b'HTTP/1.1 401 Unauthorized\r\nContent-Length: 27\r\n\r\n{"err_msg":"Invalid key."}\n',
            resumes=True,
        )
        self.assertIsInstance(error, errors.ProviderRefused)
        self.assertEqual(str(error), "acme answered HTTP 401: Invalid key.")
        self.assertEqual(error.upstream_status, 401)
        self.clock.advance(60)
        self.assertEqual(len(self.vendor.asked), 1)

    def test_a_busy_vendor_says_when_to_come_back(self) -> None:
        """429 is busy, with the vendor's Retry-After. (F-180)"""
        error = self.refused(
            b"HTTP/1.1 429 Slow down\r\nRetry-After: 750ms\r\nContent-Length: 0\r\n\r\n"
        )
        self.assertIsInstance(error, errors.ProviderBusy)
        self.assertEqual(error.retry_after_s, 0.75)

    def test_a_refusal_without_a_length_ends_with_the_connection(self) -> None:
        """The explanation is read up to where the vendor hangs up."""
        error = self.refused(b"HTTP/1.1 503 Down\r\n\r\nback at noon", hangs_up=True)
        self.assertIsInstance(error, errors.ProviderBusy)
        self.assertIn("back at noon", str(error))

    def test_a_redirect_is_not_followed(self) -> None:
        """The key is not carried to another address."""
        error = self.refused(
            b"HTTP/1.1 302 Found\r\nLocation: ws://evil.test/\r\nContent-Length: 0\r\n\r\n"
        )
        self.assertIsInstance(error, errors.ProviderRefused)
        self.assertEqual(len(self.vendor.asked), 1)

    def test_the_dialogue_may_read_the_refusal(self) -> None:
        """A vendor's own error format decides where the dialogue knows it."""

        class Knows(Talk):
            def refused(self, head: wire.Head, body: bytes) -> errors.ProviderError:
                return errors.ProviderRefused("acme", f"no money: {head.status} {body.decode()}")

        self.kind = Knows
        error = self.refused(b"HTTP/1.1 429 No\r\nContent-Length: 5\r\n\r\nquota")
        self.assertEqual(str(error), "no money: 429 quota")

    def test_a_vendor_that_speaks_http_200(self) -> None:
        """A web server in the vendor's place is not taken for a vendor."""
        error = self.refused(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi")
        self.assertIsInstance(error, errors.WireError)

    def test_an_unreachable_vendor_is_named(self) -> None:
        """Connection refused is reported as such."""
        self.vendor.refusals = [ConnectionRefusedError("nobody there")]
        failed = self.failureResultOf(Deferred.fromCoroutine(self.link().open()))
        self.assertIsInstance(failed.value, errors.ProviderLost)
        self.assertIn("nobody there", str(failed.value))

    def test_a_silent_vendor_times_out(self) -> None:
        """After the limit the caller is told, and nothing keeps running."""
        for limit, settings, dial_s in (
            (3.0, LinkSettings(dial_s=3.0), None),
            (4.0, LinkSettings(), 4.0),
            (10.0, LinkSettings(dial_s=30.0), None),
        ):
            opening = Deferred.fromCoroutine(self.link(settings, dial_s, says_ready=True).open())
            self.vendor.advance(limit - 0.1)
            self.assertNoResult(opening)
            self.vendor.advance(0.2)
            self.failureResultOf(opening, errors.ProviderTimeout)
            self.assertEqual(self.clock.getDelayedCalls(), [])
            self.assertIsNotNone(self.vendor.server.closed)

    def test_an_unreachable_host_times_out(self) -> None:
        """The limit holds for the TCP connection too."""
        self.vendor.is_unreachable = True
        opening = Deferred.fromCoroutine(self.link().open())
        self.clock.advance(10.1)
        self.failureResultOf(opening, errors.ProviderTimeout)

    def test_dialling_can_be_given_up(self) -> None:
        """A caller who hangs up while we dial leaves no connection behind."""
        link = self.link(says_ready=True)
        opening = Deferred.fromCoroutine(link.open())
        self.vendor.flush()
        link.abort()
        self.failureResultOf(opening, CancelledError)
        self.vendor.flush()
        self.assertIsNotNone(self.vendor.server.closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_an_error_instead_of_ready_is_the_answer(self) -> None:
        """What the vendor reports before it is ready is what the caller reads."""
        for body, kind in (
            (
                {"type": "error", "kind": "ProviderRefused", "message": "bad model"},
                errors.ProviderRefused,
            ),
            ({"nothing": "known"}, errors.WireError),
        ):
            opening = Deferred.fromCoroutine(self.link(says_ready=True).open())
            self.vendor.flush()
            self.vendor.server.say(**body)
            self.vendor.flush()
            self.failureResultOf(opening, kind)

    def test_hanging_up_instead_of_ready(self) -> None:
        """The close code and reason are part of the error."""
        opening = Deferred.fromCoroutine(self.link(says_ready=True).open())
        self.vendor.flush()
        self.vendor.server.close_with(1008, "key expired")
        self.vendor.flush()
        error = self.failureResultOf(opening, errors.ProviderRefused).value
        self.assertIn("key expired", str(error))
        self.assertEqual(error.upstream_status, 1008)


class TalkTests(LinkCase):
    def test_audio_out_text_in(self) -> None:
        """What is said arrives in order, what the vendor recognises comes back."""
        link = self.opened()
        link.send(wire.Audio(b"\1\2\3\4"))
        link.send(wire.Flush())
        self.vendor.flush()
        self.assertEqual(self.vendor.server.heard, [b"\1\2\3\4", '{"type": "flush"}'])
        self.vendor.server.say(type="text", text="hello", end_s=1.0)
        self.vendor.server.sendMessage(b"\7\7", True)
        self.vendor.flush()
        self.assertEqual(self.sink.finals, ["hello"])
        self.assertEqual(self.sink.audio, b"\7\7")
        self.end(link)

    def test_large_audio_is_cut_at_whole_samples(self) -> None:
        """A vendor with a small message limit gets several messages, none with half a sample."""
        self.format = AudioFormat("linear16", 16000, 2)
        link = self.opened(chunk_bytes=1002)
        data = bytes(range(256)) * 12
        link.send(wire.Audio(data))
        self.vendor.flush()
        sizes = [len(one) for one in self.vendor.server.heard]
        self.assertEqual(sizes, [1000, 1000, 1000, 72])
        self.assertEqual(self.vendor.server.audio, data)
        self.end(link)

    def test_large_audio_is_cut_on_the_short_way_too(self) -> None:
        """The same where audio goes straight to the vendor."""
        link = self.opened(chunk_bytes=1000, takes_audio_as_it_is=True)
        link.send_audio(bytes(2500))
        link.send_audio(bytes(1000))
        self.vendor.flush()
        self.assertEqual([len(one) for one in self.vendor.server.heard], [1000, 1000, 500, 1000])
        self.end(link)

    def test_empty_audio_is_the_dialogues_to_judge(self) -> None:
        """To some vendors an empty message is a goodbye."""

        class Careful(Talk):
            def send(self, command: wire.Command) -> list[wire.Outgoing]:
                return [] if command == wire.Audio(b"") else super().send(command)

        self.kind = Careful
        link = self.opened(takes_audio_as_it_is=True)
        link.send_audio(b"")
        link.send_audio(b"\1\1")
        self.vendor.flush()
        self.assertEqual(self.vendor.server.heard, [b"\1\1"])
        self.end(link)

    def test_audio_in_a_vendors_own_clothes(self) -> None:
        """Where a dialogue makes more of audio than its bytes, it always does."""

        class Dresses(Talk):
            def send(self, command: wire.Command) -> list[wire.Outgoing]:
                if isinstance(command, wire.Audio):
                    return [json.dumps({"type": "audio", "data": command.data.hex()})]
                return super().send(command)

        self.kind = Dresses
        link = self.opened()
        link.send_audio(b"\1\2")
        self.vendor.flush()
        self.assertEqual(self.vendor.server.heard, ['{"type": "audio", "data": "0102"}'])
        self.end(link)

    def test_two_things_in_one_message(self) -> None:
        """A caller who hangs up over the first of them does not hear the second."""

        class Twice(Talk):
            def receive(self, incoming: wire.Incoming) -> list[wire.Event]:
                return super().receive(incoming) * 2

        self.kind = Twice
        link = self.opened()
        self.sink.on_event = lambda _: link.abort()
        self.vendor.server.say(type="text", text="one")
        self.vendor.flush()
        self.assertEqual(self.sink.finals, ["one"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_uptime_stands_still_after_the_end(self) -> None:
        """How long a vendor was there is told after a call too."""
        link = self.opened()
        self.vendor.advance(3)
        self.end(link)
        self.vendor.advance(3)
        self.assertEqual(link.figures.uptime_s, 3.0)

    def test_junk_from_the_vendor_is_one_error_not_the_end(self) -> None:
        """A message of unknown shape is reported and the conversation goes on."""
        link = self.opened()
        self.vendor.server.sendMessage(b"{not json")
        self.vendor.server.say(no="type")
        self.vendor.server.say(type="text", text="still here")
        self.vendor.flush()
        failed = self.sink.of(wire.Failed)
        self.assertEqual([type(one.error) for one in failed], [errors.WireError] * 2)
        self.assertNotIn("not json", str(failed[0].error))
        self.assertEqual(self.sink.finals, ["still here"])
        self.end(link)

    def test_an_error_the_vendor_reports_ends_the_connection(self) -> None:
        """A refusal in the middle is the last thing a caller hears of this vendor."""
        link = self.opened(resumes=True)
        self.vendor.server.say(type="error", kind="ProviderRefused", message="no funds")
        self.vendor.server.say(type="text", text="too late")
        self.vendor.flush()
        self.assertEqual([str(one.error) for one in self.sink.of(wire.Lost)], ["no funds"])
        self.assertEqual(self.sink.finals, [])
        link.send(wire.Audio(b"\0\0"))
        self.vendor.advance(60)
        self.assertEqual(len(self.vendor.servers), 1)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nothing_of_a_dropped_connection_is_heard(self) -> None:
        """What came in the same packet as the error that ended a connection belongs to nobody."""
        link = self.opened(resumes=True)
        client = self.vendor.client
        self.vendor.server.say(type="error", kind="ProviderBusy", message="overloaded")
        self.vendor.flush()
        # On a real socket Autobahn goes on with the rest of the packet; in memory the abort is immediate.
        client.onMessage(b'{"type": "text", "text": "stale", "end_s": 0.0}', False)
        self.vendor.advance(1)
        self.assertEqual(self.sink.finals, [])
        self.assertEqual(self.sink.of(wire.Restored), [wire.Restored(0.0)])
        self.end(link)

    def test_a_fault_in_taking_an_event_does_not_end_the_call(self) -> None:
        """One message we stumble over is logged, the next is heard."""
        link = self.opened()

        def stumble(event: wire.Event) -> None:
            raise ZeroDivisionError

        self.sink.on_event = stumble
        self.vendor.server.say(type="text", text="one")
        self.vendor.flush()
        self.sink.on_event = None
        self.vendor.server.say(type="text", text="two")
        self.vendor.flush()
        self.assertEqual(self.sink.finals, ["one", "two"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.end(link)

    def test_pause_stops_reading(self) -> None:
        """A caller who cannot take more leaves the vendor's words in the network."""
        link = self.opened()
        transport = self.vendor.client.transport
        calls: list[str] = []
        transport.pauseProducing = lambda: calls.append("pause")
        transport.resumeProducing = lambda: calls.append("resume")
        link.pause()
        link.resume()
        link.resume()
        self.assertEqual(calls, ["pause", "resume"])
        self.end(link)

    def test_hanging_up_inside_an_event(self) -> None:
        """A caller who hangs up because of an event hears nothing after it."""
        link = self.opened()
        self.sink.on_event = lambda _: link.abort()
        self.vendor.server.say(type="text", text="one")
        self.vendor.server.say(type="text", text="two")
        self.vendor.flush()
        self.assertEqual(self.sink.finals, ["one"])
        self.assertEqual(self.clock.getDelayedCalls(), [])


class AliveTests(LinkCase):
    def test_ten_minutes_of_silence(self) -> None:
        """Nobody speaks for ten minutes: keep-alives go out, the stream stays open. (F-132, STT-DG-03)"""
        link = self.opened(keepalive_s=4.0)
        self.vendor.advance(600)
        self.assertEqual(self.vendor.server.types, ["keepalive"] * 150)
        self.assertEqual(self.sink.events, [])
        link.send(wire.Audio(b"\1\1"))
        self.vendor.flush()
        self.assertEqual(self.vendor.server.audio, b"\1\1")
        self.end(link)

    def test_no_keepalive_while_audio_flows(self) -> None:
        """Audio is enough to stay alive; a keep-alive comes only after a gap. (F-132)"""
        link = self.opened(keepalive_s=4.0)
        for _ in range(20):
            link.send(wire.Audio(b"\1\1"))
            self.vendor.advance(1.0)
        self.assertEqual(self.vendor.server.types, [])
        self.vendor.advance(3.5)
        self.assertEqual(self.vendor.server.types, ["keepalive"])
        self.end(link)

    def test_no_keepalive_while_audio_takes_the_short_way(self) -> None:
        """The same where audio goes straight to the vendor. (F-132)"""
        link = self.opened(keepalive_s=4.0, takes_audio_as_it_is=True)
        for _ in range(20):
            link.send_audio(bytes(640))
            self.vendor.advance(1.0)
        self.assertEqual(self.vendor.server.types, [])
        self.end(link)

    def test_no_keepalive_out_of_turn(self) -> None:
        """A vendor who takes no more just now, or was told goodbye, is not kept alive."""
        link = self.opened(keepalive_s=4.0, finish_s=100.0)
        self.vendor.client.pauseProducing()
        self.vendor.advance(9)
        self.vendor.client.resumeProducing()
        closing = link.close()
        self.vendor.advance(9)
        self.assertEqual(self.vendor.server.types, ["finish"])
        closing.cancel()
        self.end(link)

    def test_one_timer_however_many_frames(self) -> None:
        """Frames do not make timers: 50 frames a second and call would be costly."""
        link = self.opened(keepalive_s=4.0)
        made: list[float] = []
        real = self.clock.callLater
        self.clock.callLater = lambda s, *a, **k: made.append(s) or real(s, *a, **k)  # type: ignore
        for _ in range(500):
            link.send(wire.Audio(b"\1\1"))
        self.assertEqual(made, [])
        self.end(link)

    def test_a_missed_pong_ends_the_connection(self) -> None:
        """A vendor that is gone without a word is noticed by its missing pong. (STT-DG-03)"""
        link = self.opened()
        self.vendor.server.onPing = lambda payload: None
        self.vendor.advance(39)
        self.assertEqual(self.sink.events, [])
        self.vendor.advance(2)
        lost = self.sink.of(wire.Lost)
        self.assertIsInstance(lost[0].error, errors.ProviderLost)
        self.assertIn("ping", str(lost[0].error))
        self.end(link)

    def test_no_ping_is_missed_while_we_do_not_read(self) -> None:
        """A long pause of ours is not held against the vendor."""
        link = self.opened()
        link.pause()
        self.vendor.server.onPing = lambda payload: None
        self.vendor.advance(100)
        link.resume()
        self.vendor.advance(39)
        self.assertEqual(self.sink.events, [])
        self.vendor.advance(2)
        self.assertEqual(len(self.sink.of(wire.Lost)), 1)

    def test_no_ping_is_missed_where_we_never_read(self) -> None:
        """Nor a pause that began before the vendor was ready."""
        link = self.link()
        link.pause()
        opening = Deferred.fromCoroutine(link.open())
        self.vendor.flush()
        self.successResultOf(opening)
        self.vendor.server.onPing = lambda payload: None
        self.vendor.advance(100)
        self.assertEqual(self.sink.events, [])
        self.end(link)

    def test_words_are_an_answer(self) -> None:
        """A vendor who talks is there, whether he answers pings or not."""
        link = self.opened()
        self.vendor.server.onPing = lambda payload: None
        for _ in range(20):
            self.vendor.server.say(type="text", text="hello")
            self.vendor.advance(5)
        self.assertEqual(self.sink.of(wire.Lost), [])
        self.end(link)


class BackPressureTests(LinkCase):
    def test_a_slow_vendor_pauses_the_caller_and_loses_nothing(self) -> None:
        """While the vendor does not take audio it waits in order; the caller is paused and let go again."""
        link = self.opened(LinkSettings(backlog_s=1.0))
        self.vendor.client.pauseProducing()  # the transport says its buffer is full
        said = [noise(0.1, i * 1600) for i in range(15)]
        for piece in said:
            link.send(wire.Audio(piece))
        self.vendor.flush()
        self.assertEqual(self.vendor.server.audio, b"")
        self.assertEqual(self.sink.congestion, [True])
        self.vendor.client.resumeProducing()
        self.vendor.flush()
        self.assertEqual(self.sink.congestion, [True, False])
        self.assertEqual(self.vendor.server.audio, b"".join(said))
        self.end(link)

    def test_what_is_said_while_dialling_waits(self) -> None:
        """Audio sent before the vendor is ready arrives after it is, in order."""
        link = self.link(LinkSettings(backlog_s=1.0), says_ready=True)
        opening = Deferred.fromCoroutine(link.open())
        link.send(wire.Audio(noise(0.6)))
        link.send(wire.Audio(noise(0.6, 9600)))
        self.vendor.flush()
        self.assertEqual(self.sink.congestion, [True])
        self.vendor.server.say(type="ready")
        self.vendor.flush()
        self.successResultOf(opening)
        self.vendor.flush()
        self.assertEqual(self.vendor.server.audio, noise(1.2))
        self.assertEqual(self.sink.congestion, [True, False])
        self.end(link)

    def test_clear_forgets_waiting_texts(self) -> None:
        """A text that still waits for the vendor is not spoken after an interruption."""
        link = self.opened()
        self.vendor.client.pauseProducing()
        link.send(wire.Speak("old"))
        link.send(wire.Clear())
        link.send(wire.Speak("new"))
        self.vendor.client.resumeProducing()
        self.vendor.flush()
        self.assertEqual(self.vendor.server.types, ["clear", "speak"])
        self.assertIn("new", self.vendor.server.heard[-1])
        self.end(link)


class CloseTests(LinkCase):
    def test_late_finals_are_delivered(self) -> None:
        """Hanging up waits for the last words; the vendor's own goodbye ends the wait."""
        link = self.opened()
        closing = link.close()
        self.vendor.flush()
        self.assertEqual(self.vendor.server.types, ["finish"])
        self.vendor.server.say(type="text", text="last words")
        self.vendor.flush()
        self.assertNoResult(closing)
        self.vendor.server.sendClose(1000)
        self.vendor.flush()
        self.successResultOf(closing)
        self.assertEqual(self.sink.finals, ["last words"])
        self.assertEqual(self.sink.of(wire.Lost), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_vendor_that_never_ends_is_closed_politely(self) -> None:
        """After the limit the gateway closes with 1000 itself."""
        link = self.opened(finish_s=2.0)
        closing = link.close()
        again = link.close()
        self.vendor.advance(1.9, 0.1)
        self.assertNoResult(closing)
        self.vendor.advance(0.2, 0.1)
        self.successResultOf(closing)
        self.successResultOf(again)
        self.assertEqual(self.vendor.server.closed, (True, 1000))
        self.assertEqual(self.sink.of(wire.Failed), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_vendor_that_ignores_the_close_frame(self) -> None:
        """The connection is broken a second later and the call ends."""
        link = self.opened(finish_s=2.0)
        self.vendor.server.onCloseFrame = lambda code, reason: None
        closing = link.close()
        self.vendor.advance(2.5)
        self.assertNoResult(closing)
        self.vendor.advance(1.0)
        self.successResultOf(closing)
        self.assertFalse(self.vendor.server.closed[0])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_without_a_goodbye_there_is_nothing_to_wait_for(self) -> None:
        """A vendor that is told nothing at the end does not delay hanging up."""
        self.kind = Mute
        link = self.opened()
        closing = link.close()
        self.vendor.flush()
        self.successResultOf(closing)
        self.assertEqual(self.vendor.server.closed, (True, 1000))

    def test_who_says_nothing_at_the_end_may_ignore_our_close_frame_as_well(self) -> None:
        """Then a second is all he gets."""
        self.kind = Mute
        link = self.opened(finish_s=60.0)
        self.vendor.server.onCloseFrame = lambda code, reason: None
        closing = link.close()
        self.vendor.advance(1.1, 0.1)
        self.successResultOf(closing)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_finishing_is_not_hanging_up(self) -> None:
        """A vendor who was only told that no more audio comes is heard to the end, goodbye or not."""
        self.kind = Mute
        link = self.opened()
        link.send(wire.Finish())
        self.vendor.server.say(type="text", text="last words")
        self.vendor.flush()
        self.assertEqual(self.sink.finals, ["last words"])
        self.end(link)

    def test_asking_again_takes_no_longer(self) -> None:
        """The limit runs from the first time somebody hung up."""
        link = self.opened(finish_s=2.0)
        first = link.close()
        self.vendor.advance(1.5, 0.1)
        second = link.close()
        self.vendor.advance(0.6, 0.1)
        self.successResultOf(first)
        self.successResultOf(second)

    def test_nothing_is_sent_after_finish(self) -> None:
        """Audio after the end is dropped, not sent to a vendor that has been told goodbye."""
        link = self.opened()
        closing = link.close()
        link.send(wire.Audio(b"\1\1"))
        self.vendor.flush()
        self.assertEqual(self.vendor.server.audio, b"")
        closing.cancel()
        self.vendor.flush()
        self.assertIsNotNone(self.vendor.server.closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_closing_twice_or_after_a_loss_is_harmless(self) -> None:
        """Whoever cleans up late gets an answer at once."""
        link = self.opened()
        self.vendor.break_off()
        self.assertEqual(len(self.sink.of(wire.Lost)), 1)
        self.successResultOf(link.close())
        link.abort()


class ResumeTests(LinkCase):
    def resumed(self, settings: LinkSettings | None = None, **opening: Any) -> WebSocketLink:
        return self.opened(settings, resumes=True, **opening)

    def test_the_words_around_a_cut_are_all_there_once(self) -> None:
        """The connection breaks in the middle: what no final covers is said again, times go on."""
        link = self.resumed()
        for i in range(40):
            link.send(wire.Audio(noise(0.1, i * 1600)))
        self.vendor.flush()
        self.vendor.server.say(type="text", text="before", end_s=2.5, words=[["before", 2.0, 2.5]])
        self.vendor.flush()
        self.vendor.break_off()
        link.send(wire.Audio(noise(0.1, 64000)))  # said during the break
        self.vendor.advance(0.4, 0.1)
        self.assertEqual(len(self.vendor.servers), 1)
        self.vendor.advance(0.2, 0.1)
        self.assertEqual(len(self.vendor.servers), 2)
        self.assertEqual(self.vendor.server.audio, noise(4.1)[5 * SECOND // 2 :])
        self.assertEqual(self.sink.of(wire.Restored), [wire.Restored(1.5)])
        self.assertEqual(len(self.dialogues), 2)
        self.vendor.server.say(type="started", at_s=0.25)
        self.vendor.server.say(
            type="text", text="after", end_s=1.0, words=[["after", 0.5, 1.0, 0.9]]
        )
        self.vendor.server.say(type="ended", at_s=1.25)
        self.vendor.flush()
        self.assertEqual(self.sink.finals, ["before", "after"])
        final = self.sink.of(wire.Transcript)[-1]
        self.assertEqual(final.end_s, 3.5)
        self.assertEqual(final.words, (wire.Word("after", 3.0, 3.5, 0.9),))
        self.assertEqual(self.sink.of(wire.SpeechStarted), [wire.SpeechStarted(2.75)])
        self.assertEqual(self.sink.of(wire.SpeechEnded), [wire.SpeechEnded(3.75)])
        self.end(link)

    def test_a_second_cut_repeats_only_what_is_still_open(self) -> None:
        """Two breaks in a row still give one time line."""
        link = self.resumed()
        link.send(wire.Audio(noise(2.0)))
        self.vendor.flush()
        self.vendor.server.say(type="text", text="one", end_s=0.5)
        self.vendor.flush()
        self.vendor.break_off()
        self.vendor.advance(0.6)
        self.vendor.server.say(type="text", text="two", end_s=0.75)
        self.vendor.flush()
        self.vendor.break_off()
        self.vendor.advance(1.1)
        self.assertEqual(self.vendor.server.audio, noise(2.0)[5 * SECOND // 4 :])
        self.vendor.server.say(type="text", text="three", end_s=0.75)
        self.vendor.flush()
        self.assertEqual(self.sink.finals, ["one", "two", "three"])
        self.assertEqual([t.end_s for t in self.sink.of(wire.Transcript)], [0.5, 1.25, 2.0])
        self.end(link)

    def test_a_final_for_audio_already_covered_is_not_said_twice(self) -> None:
        """A vendor that recognises the repeated edge again does not double a word."""
        link = self.resumed()
        link.send(wire.Audio(noise(2.0)))
        self.vendor.flush()
        self.vendor.server.say(type="text", text="one", end_s=1.0)
        self.vendor.flush()
        self.vendor.break_off()
        self.vendor.advance(0.6)
        self.vendor.server.say(type="text", text="one", end_s=0.0)
        self.vendor.server.say(type="text", text="two", end_s=1.0)
        self.vendor.flush()
        self.assertEqual(self.sink.finals, ["one", "two"])
        self.end(link)

    def test_waits_grow_and_end(self) -> None:
        """Redials wait 0.5, 1, 2, 4, 8 seconds, then the loss is final."""
        link = self.resumed()
        self.vendor.refusals = [ConnectionRefusedError("down") for _ in range(9)]
        self.vendor.break_off()
        times: list[float] = []
        for _ in range(320):
            before = len(self.vendor.asked)
            self.clock.advance(0.125)
            times += [self.clock.seconds()] * (len(self.vendor.asked) - before)
        self.assertEqual(times, [0.5, 1.5, 3.5, 7.5, 15.5])
        lost = self.sink.of(wire.Lost)
        self.assertEqual(len(lost), 1)
        self.assertIn("down", str(lost[0].error))
        self.assertEqual(self.clock.getDelayedCalls(), [])
        link.send(wire.Audio(b"\0\0"))

    def test_jitter_is_a_quarter_either_way(self) -> None:
        """Many calls that lost the same vendor do not come back in the same instant."""
        for number, expected in ((0.0, 0.375), (1.0, 0.625)):
            link = self.resumed()
            self.random = number
            count = len(self.vendor.asked)
            self.vendor.break_off()
            self.clock.advance(expected - 0.01)
            self.assertEqual(len(self.vendor.asked), count)
            self.clock.advance(0.02)
            self.assertEqual(len(self.vendor.asked), count + 1)
            self.end(link)

    def test_health_starts_the_count_anew(self) -> None:
        """A connection that breaks now and then in a long call is always made again."""
        link = self.resumed(LinkSettings(redials=1))
        for _ in range(4):
            self.vendor.advance(31)
            self.vendor.break_off()
            self.vendor.advance(1)
        self.assertEqual(len(self.sink.of(wire.Restored)), 4)
        self.vendor.break_off()
        self.vendor.advance(1)
        self.assertEqual(len(self.sink.of(wire.Lost)), 1)
        self.end(link)

    def test_a_refused_redial_is_final(self) -> None:
        """A key revoked during the call is reported, not tried five times. (F-180)"""
        link = self.resumed()
        self.vendor.break_off()
        self.vendor.answer = b"HTTP/1.1 403 No\r\nContent-Length: 0\r\n\r\n"
        self.vendor.advance(60)
        self.assertEqual(len(self.vendor.asked), 2)
        self.assertEqual(self.sink.of(wire.Lost)[0].error.upstream_status, 403)
        self.end(link)

    def test_a_close_code_that_blames_us_is_final(self) -> None:
        """1008 is a refusal, 1011 is a loss: only the second is dialled again."""
        for code, dials in ((1008, 1), (1011, 2), (1012, 2)):
            self.vendor.asked.clear()
            link = self.resumed()
            self.vendor.server.close_with(code, "because")
            self.vendor.flush()
            self.vendor.advance(1)
            self.assertEqual(len(self.vendor.asked), dials, code)
            self.end(link)

    def test_the_oldest_audio_goes_first(self) -> None:
        """A vendor that never gives a final does not make the gateway keep the whole call."""
        link = self.resumed(LinkSettings(replay_s=1.0))
        link.send(wire.Audio(noise(3.0)))
        self.vendor.flush()
        self.vendor.break_off()
        self.vendor.advance(0.6)
        self.assertEqual(self.vendor.server.audio, noise(3.0)[2 * SECOND :])
        self.assertEqual(self.sink.of(wire.Restored), [wire.Restored(1.0)])
        assert link._replay is not None
        self.assertEqual(link._replay.dropped_s, 2.0)
        self.end(link)

    def test_a_cut_after_finish_still_gives_the_last_words(self) -> None:
        """The caller has hung up, the vendor is cut: the tail is said again and heard to the end."""
        link = self.resumed()
        link.send(wire.Audio(noise(1.0)))
        closing = link.close()
        self.vendor.flush()
        self.vendor.break_off()
        self.vendor.advance(0.6)
        self.assertEqual(self.vendor.server.audio, noise(1.0))
        self.assertEqual(self.vendor.server.types, ["finish"])
        self.vendor.server.say(type="text", text="tail", end_s=1.0)
        self.vendor.server.sendClose(1000)
        self.vendor.flush()
        self.successResultOf(closing)
        self.assertEqual(self.sink.finals, ["tail"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_cut_at_the_end_may_take_longer(self) -> None:
        """Who is cut just before the last words were due is given the time of another dial."""
        link = self.resumed(finish_s=0.8)
        link.send(wire.Audio(noise(1.0)))
        closing = link.close()
        self.vendor.advance(0.6, 0.1)
        self.vendor.break_off()
        self.vendor.advance(0.6, 0.1)
        self.vendor.server.say(type="text", text="tail", end_s=1.0)
        self.vendor.server.sendClose(1000)
        self.vendor.flush()
        self.successResultOf(closing)
        self.assertEqual(self.sink.finals, ["tail"])

    def test_a_cut_after_everything_was_heard_is_the_end(self) -> None:
        """When the last final covers all audio there is nothing to dial for."""
        link = self.resumed()
        link.send(wire.Audio(noise(1.0)))
        closing = link.close()
        self.vendor.flush()
        self.vendor.server.say(type="text", text="all", end_s=1.0)
        self.vendor.flush()
        self.vendor.break_off()
        self.successResultOf(closing)
        self.assertEqual(self.sink.of(wire.Lost), [])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_hanging_up_while_redialling_ends_in_bounded_time(self) -> None:
        """A caller who left is not kept by a vendor that is gone."""
        link = self.resumed(LinkSettings(dial_s=1.0), finish_s=1.0)
        link.send(wire.Audio(noise(1.0)))
        self.vendor.is_unreachable = True
        self.vendor.break_off()
        closing = link.close()
        self.vendor.advance(3.5)
        self.successResultOf(closing)
        self.assertEqual(
            [str(one.error) for one in self.sink.of(wire.Failed)],
            ["acme was behind: the last 1.0 s of audio were given up"],
        )
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_flush_without_an_answer_is_asked_again(self) -> None:
        """A caller who asked for finals just before the cut gets them."""
        link = self.resumed()
        link.send(wire.Audio(noise(1.0)))
        link.send(wire.Flush())
        self.vendor.flush()
        self.vendor.break_off()
        self.vendor.advance(0.6)
        self.assertEqual(self.vendor.server.types, ["flush"])
        self.end(link)

    def crashed(self, link: WebSocketLink) -> None:
        """The loss is final, said once, logged once; nothing is left open or running."""
        lost = self.sink.of(wire.Lost)
        self.assertEqual(
            [str(one.error) for one in lost], ["acme could not be dialled again"], self.sink.events
        )
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIs(self.sink.events[-1], lost[0])
        self.vendor.advance(60)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        for server in self.vendor.servers:
            self.assertIsNotNone(server.closed)
        self.successResultOf(link.close())

    def test_a_dialogue_that_cannot_be_made_again(self) -> None:
        """A fault of ours while a vendor is dialled again ends the call, it does not leave it waiting."""
        made = Talk.__init__

        def stumble(talk: Talk, *args: Any) -> None:
            if self.dialogues:
                raise ZeroDivisionError
            made(talk, *args)

        self.patch(Talk, "__init__", stumble)
        link = self.resumed()
        closing = []
        self.vendor.break_off()
        closing.append(link.close())
        self.vendor.advance(0.6)
        self.successResultOf(closing[0])
        self.assertEqual(len(self.vendor.servers), 1)
        self.crashed(link)

    def test_a_fault_in_saying_it_again(self) -> None:
        """A fault of ours in what is said again hangs up at the vendor that had just been reached."""

        class Stumbles(Talk):
            def send(talk, command: wire.Command) -> list[wire.Outgoing]:
                if len(self.dialogues) > 1:
                    raise ZeroDivisionError
                return super().send(command)

        self.kind = Stumbles
        link = self.resumed()
        link.send(wire.Audio(noise(1.0)))
        self.vendor.flush()
        self.vendor.break_off()
        self.vendor.advance(0.6)
        self.assertEqual(len(self.vendor.servers), 2)
        self.crashed(link)

    def test_a_redial_that_is_never_ready(self) -> None:
        """A vendor that comes back but is not ready in time is tried again, then given up as too slow."""
        link = self.resumed(LinkSettings(dial_s=2.0, redials=2), says_ready=False)
        silent = wire.Opening(self.dialogues[0].opening.url, says_ready=True, resumes=True)
        real = link._new_dialogue

        def slow() -> Talk:
            dialogue = real()
            dialogue.opening = silent
            return dialogue

        link._new_dialogue = slow
        self.vendor.break_off()
        self.vendor.advance(0.5 + 2.0 + 1.0, 0.1)
        self.assertEqual(self.sink.of(wire.Lost), [])
        self.vendor.advance(2.2, 0.1)
        lost = self.sink.of(wire.Lost)
        self.assertIsInstance(lost[0].error, errors.ProviderTimeout)
        self.assertEqual(str(lost[0].error), "acme was not ready within 2 s")
        self.assertEqual(len(self.vendor.servers), 3)
        for server in self.vendor.servers:
            self.assertIsNotNone(server.closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_redial_that_does_not_connect(self) -> None:
        """A vendor whose host does not answer any more is tried again, then given up as too slow."""
        link = self.resumed(LinkSettings(dial_s=2.0, redials=2))
        self.vendor.is_unreachable = True
        self.vendor.break_off()
        self.vendor.advance(0.5 + 2.0 + 1.0 + 1.9, 0.1)
        self.assertEqual((len(self.vendor.asked), self.sink.of(wire.Lost)), (3, []))
        self.vendor.advance(0.3, 0.1)
        self.assertIsInstance(self.sink.of(wire.Lost)[0].error, errors.ProviderTimeout)
        self.assertEqual(self.clock.getDelayedCalls(), [])
        link.abort()

    def test_a_vendor_who_comes_back_the_second_time(self) -> None:
        """After a redial that took too long the next one goes on with the call."""
        link = self.resumed(LinkSettings(dial_s=2.0))
        link.send(wire.Audio(noise(1.0)))
        self.vendor.flush()
        self.vendor.is_unreachable = True
        self.vendor.break_off()
        self.vendor.advance(0.5 + 1.0, 0.1)
        self.vendor.is_unreachable = False
        self.vendor.advance(1.0 + 1.1, 0.1)
        self.assertEqual(self.vendor.server.audio, noise(1.0))
        self.assertEqual(self.sink.of(wire.Restored), [wire.Restored(1.0)])
        self.end(link)

    def test_hanging_up_while_waiting_to_redial(self) -> None:
        """A call that ends between two dials leaves nothing behind, and nothing in the log."""
        link = self.resumed()
        self.vendor.break_off()
        link.abort()
        self.vendor.advance(60)
        self.assertEqual((len(self.vendor.asked), self.sink.events), (1, []))
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_a_fault_after_hanging_up(self) -> None:
        """A fault of ours in the moment of the end is logged; the caller, who has gone, is told nothing."""
        link = self.resumed()
        self.vendor.break_off()

        def stumble(event: wire.Event) -> None:
            link.abort()
            raise ZeroDivisionError

        self.sink.on_event = stumble
        self.vendor.advance(0.6)
        self.assertEqual(self.sink.events, [wire.Restored(0.0)])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertIsNotNone(self.vendor.server.closed)

    def test_hanging_up_when_it_goes_on(self) -> None:
        """A call that ends over the news that it goes on says nothing more to the vendor."""
        link = self.resumed()
        link.send(wire.Audio(noise(1.0)))
        self.vendor.flush()
        self.vendor.break_off()
        self.sink.on_event = lambda _: link.abort()
        self.vendor.advance(0.6)
        self.assertEqual(self.vendor.server.heard, [])
        self.assertIsNotNone(self.vendor.server.closed)
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_without_resume_a_cut_is_the_end(self) -> None:
        """Vendors whose streams cannot be continued are not dialled again."""
        for format, resumes in ((PCM, False), (AudioFormat("opus", 48000, 1, "ogg"), True)):
            self.format = format
            link = self.opened(resumes=resumes)
            self.vendor.break_off()
            self.vendor.advance(60)
            self.assertEqual(len(self.sink.of(wire.Lost)), 1)
            self.sink.events.clear()
            self.end(link)
