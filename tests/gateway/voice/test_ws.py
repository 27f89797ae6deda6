from typing import Any, cast

from twisted.logger import formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from tests.gateway.voices_rig import (
    CONFIG,
    SERVER_KEY,
    STT,
    TTS,
    Desk,
    FakeCall,
    Visitor,
    account,
    desk,
)
from tests.session.fakes import FakeDialler, listening_provider, speaking_provider
from waav.errors import BadRequest, ProviderLost
from waav.gateway.voice import caller
from waav.registry import Registry
from waav.session.call_settings import CallSettings
from waav.session.session import Session
from waav.session.world import World
from waav.speech.provider import Provider
from waav.speech.wire import Transcript

MB = 1024 * 1024
KEY = "sk-very-secret-4711"
SPEAK = {"type": "speak", "text": "hi"}
CLEAR = {"type": "clear"}


def error(message: str, code: str = "bad_request") -> dict[str, str]:
    return {"type": "error", "message": message, "code": code}


def call_of(visitor: Visitor) -> FakeCall:
    assert visitor.call is not None
    return visitor.call


class UpgradeTests(SynchronousTestCase):
    def test_nothing_is_negotiated(self) -> None:
        """No compression and no subprotocol, whatever a client offers; no server banner. (F-064)"""
        visitor = Desk().visit(
            headers="Sec-WebSocket-Extensions: permessage-deflate\r\n"
            "Sec-WebSocket-Protocol: waav, chat\r\nOrigin: null\r\n"
        )
        self.assertTrue(visitor.head.startswith("HTTP/1.1 101"))
        for header in ("extensions", "protocol:", "server:"):
            self.assertNotIn(header, visitor.head.lower())

    def test_small_frames_leave_at_once(self) -> None:
        """Speech is not held back by Nagle's algorithm."""
        self.assertTrue(Desk().visit().transport.no_delay)

    def test_not_a_websocket(self) -> None:
        """A handshake without a key is refused and leaves nothing behind. (SRV-03)"""
        stand = Desk()
        slot = SlotSpy()
        visitor = Visitor(stand, key="", slot=slot)  # type: ignore[arg-type]
        self.assertTrue(visitor.head.startswith("HTTP/1.1 400"), visitor.head)
        self.assertTrue(visitor.transport.disconnecting)
        visitor.leave()
        self.assertEqual((slot.released, stand.calls.live, stand.opened), (1, 0, []))

    def test_broken_start(self) -> None:
        """A connection that cannot be served is closed with 1011 and logged, not left hanging."""
        stand = Desk()

        def broken(*_: Any) -> Any:
            raise ValueError("no call today")

        stand.factory._open_call = broken
        visitor = stand.visit()
        self.assertEqual(visitor.messages(), [1011])
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)


class SlotSpy:
    def __init__(self) -> None:
        self.released = 0

    def release(self) -> None:
        self.released += 1


class ConfigTests(SynchronousTestCase):
    def test_ready(self) -> None:
        """A config is answered with ready; without an id, one is made up. (F-065)"""
        visitor = Desk().visit()
        ready = visitor.ask(CONFIG)
        self.assertEqual(
            (ready["type"], ready["stt_ready"], ready["tts_ready"]), ("ready", True, True)
        )
        self.assertEqual(ready["livekit_url"], "http://localhost:7880")
        self.assertRegex(ready["stream_id"], r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-")
        self.assertEqual(ready["session_id"], ready["stream_id"])

    def test_own_id(self) -> None:
        """The caller's stream id is used, and an empty one replaced. (F-065, D-20)"""
        visitor = Desk().visit()
        self.assertTrue(visitor.ask(CONFIG | {"stream_id": ""})["stream_id"])
        self.assertEqual(visitor.ask(CONFIG | {"stream_id": "call-1"})["stream_id"], "call-1")

    def test_same_id(self) -> None:
        """A caller keeps his stream id until he names another, also where a config comes to nothing."""
        visitor = Desk().visit()
        call = call_of(visitor)
        first = visitor.ask(CONFIG)["stream_id"]
        self.assertEqual(visitor.ask(CONFIG)["stream_id"], first)
        self.assertEqual(visitor.ask({"type": "config", "audio": False})["stream_id"], first)
        self.assertEqual(visitor.ask(CONFIG | {"stream_id": "call-1"})["stream_id"], "call-1")
        call.holds_config = True
        visitor.send(CONFIG | {"stream_id": "call-2"})
        call.configured(BadRequest("no such model"), state="ready")
        visitor.send(CONFIG)
        call.configured()
        self.assertEqual(visitor.messages()[-1]["stream_id"], "call-1")
        self.assertEqual(call.settings.stream_id, "call-1")

    def test_unsafe_id(self) -> None:
        """An id that is not safe as a file name is refused. (X-10, D-20)"""
        answer = Desk().visit().ask(CONFIG | {"stream_id": "../a"})
        self.assertTrue(answer["message"].startswith("Invalid stream_id"))

    def test_settings_arrive(self) -> None:
        """What the caller chose is what the call is told. (F-065)"""
        visitor = Desk().visit()
        visitor.send(
            CONFIG
            | {"stream_id": "a", "noise_filter": True, "turn_detect": {"threshold": 0.5}}
            | {"speech_final": {"wait_ms": 700}, "tts_config": {**TTS, "language": "de-DE"}}
        )
        settings = call_of(visitor).settings
        assert settings.listening and settings.speaking
        self.assertEqual(settings.listening.provider.name, "acme")
        self.assertEqual(settings.speaking.settings.language, "de-DE")
        self.assertEqual(
            (settings.noise_filter, settings.turn_threshold, settings.timing),
            (True, 0.5, {"wait_ms": 700}),
        )

    def test_one_half(self) -> None:
        """A call may only listen or only speak. (D-30)"""
        for name, half, stt, tts in (
            ("stt_config", STT, True, False),
            ("tts_config", TTS, False, True),
        ):
            ready = Desk().visit().ask({"type": "config", "audio": True, name: half})
            self.assertEqual((ready["stt_ready"], ready["tts_ready"]), (stt, tts))

    def test_neither_half(self) -> None:
        """Audio without any provider is refused with the documented text. (D-30)"""
        visitor = Desk().visit()
        self.assertEqual(
            visitor.ask({"type": "config"}), error("STT configuration is required when audio=true")
        )
        self.assertEqual(call_of(visitor).told, [])

    def test_without_audio(self) -> None:
        """With audio off no provider and no key is needed. (F-067, D-29, WS-16, F-066)"""
        for fields in (
            {"audio": False},
            {"audio_disabled": True},
            {"audio": False, "stt_config": STT | {"provider": "keyless"}},
        ):
            visitor = Desk().visit()
            ready = visitor.ask({"type": "config"} | fields)
            self.assertEqual((ready["type"], ready["stt_ready"]), ("ready", False))
            self.assertEqual(
                call_of(visitor).settings, CallSettings(ready["stream_id"], has_audio=False)
            )
            self.assertEqual(visitor.ask(SPEAK), error(caller.AUDIO_DISABLED))

    def test_own_key(self) -> None:
        """A caller's own key reaches the provider in place of the server's. (F-068)"""
        visitor = Desk().visit()
        visitor.send({"type": "config", "stt_config": STT | {"api_key": KEY}, "tts_config": TTS})
        settings = call_of(visitor).settings
        assert settings.listening and settings.speaking
        key = settings.listening.account.key
        assert key is not None
        self.assertEqual(key.reveal(), KEY)
        self.assertEqual(settings.speaking.account.key, SERVER_KEY)

    def test_no_key(self) -> None:
        """A missing key is named, and the connection stays open. (F-083)"""
        visitor = Desk().visit()
        answer = visitor.ask(CONFIG | {"stt_config": STT | {"provider": "keyless"}})
        self.assertEqual(
            answer,
            error("Keyless API key not configured in server environment", "missing_credentials"),
        )
        self.assertEqual(visitor.ask(CONFIG)["type"], "ready")

    def test_livekit(self) -> None:
        """Without LiveKit on the server, a config that wants it is refused and starts nothing; the caller may send
        another one. (D-31, D-35)"""
        visitor = Desk().visit()
        self.assertEqual(
            visitor.ask(CONFIG | {"livekit": {"room_name": "r"}}), error(caller.NO_LIVEKIT)
        )
        self.assertEqual(call_of(visitor).told, [])
        self.assertEqual(visitor.ask(b"\0\0"), error(caller.AUDIO_DISABLED))
        self.assertEqual(visitor.ask(CONFIG)["type"], "ready")

    def test_dag(self) -> None:
        """A config with a DAG is answered with an error and then ready all the same."""
        visitor = Desk().visit()
        visitor.send(CONFIG | {"dag_config": {"template": "a"}})
        first, second = visitor.messages()
        self.assertEqual(
            first,
            error(
                "DAG routing is not enabled. Build with --features dag-routing", "dag_not_enabled"
            ),
        )
        self.assertEqual(second["type"], "ready")

    def test_malformed_half(self) -> None:
        """A wrong field inside a half is named, and its value not repeated. (F-083, SRV-05)"""
        visitor = Desk().visit()
        answer = visitor.ask(CONFIG | {"stt_config": STT | {"sample_rate": KEY}})
        self.assertEqual(
            answer["message"], "Invalid message format: `stt_config.sample_rate` must be a number"
        )

    def test_provider_that_cannot_be_reached(self) -> None:
        """A provider that fails is explained; no ready follows, and audio is refused. (D-31, F-083)"""
        visitor = Desk().visit()
        call = call_of(visitor)
        call.holds_config = True
        visitor.send(CONFIG)
        call.configured(ProviderLost("acme", "Failed to start voice manager: acme is gone"))
        self.assertEqual(
            visitor.messages(),
            [error("Failed to start voice manager: acme is gone", "provider_lost")],
        )
        self.assertEqual(visitor.ask(b"\0\0"), error(caller.AUDIO_DISABLED))

    def test_slow_provider(self) -> None:
        """Providers that do not become ready are an error after 30 s, not a hang; another config may follow. (F-086)"""
        stand, dialler = Desk(), FakeDialler()
        acme = Provider("acme", listen=listening_provider().listen, speak=speaking_provider().speak)
        stand.factory.world = World(stand.clock, Registry((acme,)), cast(Any, dialler), account)
        stand.factory._open_call = Session
        visitor = stand.visit()
        for slow, quick in (("listening", "speaking"), ("speaking", "listening")):
            dialler.is_slow = True
            visitor.send(CONFIG)
            halves = dict(zip(("listening", "speaking"), dialler.waiting, strict=True))
            link, opening = halves[quick]
            opening.callback(link)  # one of the two is quick: that is not enough
            stand.clock.advance(29.9)
            self.assertEqual(visitor.messages(), [], slow)
            stand.clock.advance(0.1)
            said = "Timeout waiting for voice providers to be ready"
            self.assertEqual(visitor.messages(), [error(said, "provider_timeout")], slow)
            self.assertEqual((dialler.cancelled.pop(), link.is_aborted), ("acme", True), slow)
            dialler.waiting.clear()
        dialler.is_slow = False
        self.assertEqual(visitor.ask(CONFIG)["type"], "ready")

    def test_key_in_a_vendors_answer(self) -> None:
        """A vendor that quotes the key back does not get it shown to anybody. (SRV-05, F-068)"""
        visitor = Desk().visit()
        call = call_of(visitor)
        call.holds_config = True
        visitor.send({"type": "config", "stt_config": STT | {"api_key": KEY}})
        call.configured(ProviderLost("acme", f"bad key {KEY}"))
        self.assertEqual(visitor.messages(), [error("bad key ***", "provider_lost")])
        call.outlet.error(f"STT streaming error: {KEY}", "provider_lost")
        self.assertEqual(visitor.messages(), [error("STT streaming error: ***", "provider_lost")])

    def test_crash_in_config(self) -> None:
        """A bug while setting up is an internal error for the caller, and the connection goes on."""
        visitor = Desk().visit()
        call = call_of(visitor)
        call.holds_config = True
        visitor.send(CONFIG)
        call.configured(ZeroDivisionError("bug"))
        self.assertEqual(visitor.messages(), [error("Internal error", "internal_error")])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        call.holds_config = False
        self.assertEqual(visitor.ask(CONFIG)["type"], "ready")


class SecondConfigTests(SynchronousTestCase):
    def test_invalid_one(self) -> None:
        """A second config that cannot be leaves the first in force. (WS-15)"""
        visitor = Desk().configured()
        told = len(call_of(visitor).told)
        for bad in ({"stt_config": 3}, {"livekit": {"room_name": "r"}}, {"stream_id": "/"}):
            self.assertEqual(visitor.ask(CONFIG | bad)["type"], "error")
        self.assertEqual(len(call_of(visitor).told), told)
        visitor.send(SPEAK)
        self.assertEqual(call_of(visitor).told[-1], ("say", "hi", True, True))

    def test_one_that_the_call_refuses(self) -> None:
        """A config refused before it touched anything leaves the first in force. (WS-15)"""
        visitor = Desk().configured()
        call = call_of(visitor)
        call.holds_config = True
        visitor.send(CONFIG)
        call.configured(BadRequest("no such model"), state="ready")
        self.assertEqual(visitor.messages(), [error("no such model")])
        visitor.send(b"\1\2")
        self.assertEqual(call.told[-1], ("hear", b"\1\2"))

    def test_one_that_fails(self) -> None:
        """A config that fails after the first was stopped leaves none in force. (WS-15, D-31)"""
        visitor = Desk().configured()
        call = call_of(visitor)
        call.holds_config = True
        visitor.send(CONFIG)
        visitor.send(b"\1\2")
        call.configured(ProviderLost("acme", "gone"))
        self.assertEqual(
            visitor.messages(), [error("gone", "provider_lost"), error(caller.AUDIO_DISABLED)]
        )

    def test_valid_one(self) -> None:
        """A valid second config is answered with ready, and nothing is handled in between. (WS-15)"""
        visitor = Desk().configured()
        call = call_of(visitor)
        call.holds_config = True
        visitor.send(CONFIG | {"stream_id": "second"})
        visitor.send(b"\1\2")
        self.assertEqual(call.told[-1][0], "configure")
        call.configured()
        self.assertEqual([each["stream_id"] for each in visitor.messages()], ["second"])
        self.assertEqual(call.told[-1], ("hear", b"\1\2"))

    def test_one_half_keeps_the_other(self) -> None:
        """A config with one half only does not end the other half. (WS-15)"""
        visitor = Desk().configured({"type": "config", "tts_config": TTS})
        ready = visitor.ask({"type": "config", "stt_config": STT})
        self.assertEqual((ready["stt_ready"], ready["tts_ready"]), (True, True))
        visitor.send(SPEAK)
        self.assertEqual(call_of(visitor).told[-1], ("say", "hi", True, True))

    def test_connect(self) -> None:
        """connect opens the providers of the last config again and is answered with ready. (F-072)"""
        visitor = Desk().configured(CONFIG | {"stream_id": "a"})
        first = call_of(visitor).settings
        self.assertEqual(visitor.ask({"type": "connect"})["stream_id"], "a")
        self.assertEqual(call_of(visitor).settings, first)
        self.assertEqual([each[0] for each in call_of(visitor).told], ["configure", "configure"])

    def test_update_config(self) -> None:
        """A new threshold goes to the call, and is its threshold from then on."""
        visitor = Desk().configured()
        update = {"type": "update_config", "turn_detect": {"threshold": 0.6}}
        visitor.send(update)
        self.assertEqual(visitor.messages(), [])
        self.assertEqual(call_of(visitor).told[-1], ("turn_threshold", 0.6))
        visitor.send({"type": "connect"})
        self.assertEqual(call_of(visitor).settings.turn_threshold, 0.6)

    def test_update_config_refused(self) -> None:
        """A threshold that nobody would look at is an error, and nothing is changed."""
        update = {"type": "update_config", "turn_detect": {"threshold": 0.6}}
        self.assertEqual(Desk().visit().ask(update), error(caller.AUDIO_DISABLED))
        visitor = Desk().configured()
        call_of(visitor).raises = BadRequest("no turn detection")
        self.assertEqual(visitor.ask(update), error("no turn detection"))
        visitor.send({"type": "connect"})
        self.assertIsNone(call_of(visitor).settings.turn_threshold)

    def test_connect_before_config(self) -> None:
        """There is nothing to connect before a config. (F-072)"""
        self.assertEqual(
            Desk().visit().ask({"type": "connect"}),
            error("Nothing to connect. Send config message first."),
        )


class OrderTests(SynchronousTestCase):
    def test_messages_wait_for_config(self) -> None:
        """What is sent right after config is carried out after it, in order, nothing dropped. (F-077)"""
        visitor = Desk().visit()
        call = call_of(visitor)
        call.holds_config = True
        for message in (CONFIG, b"\1\2", SPEAK, b"\3\4", CLEAR, {"type": "ping", "timestamp": 1}):
            visitor.send(message)  # type: ignore[arg-type]
        self.assertEqual(visitor.messages(), [])
        call.configured()
        self.assertEqual([each["type"] for each in visitor.messages()], ["ready", "pong"])
        self.assertEqual(
            call.told[1:],
            [("hear", b"\1\2"), ("say", "hi", True, True), ("hear", b"\3\4"), ("clear",)],
        )

    def test_config_behind_config(self) -> None:
        """Two configs in a row are carried out one after the other. (WS-15)"""
        visitor = Desk().visit()
        call = call_of(visitor)
        call.holds_config = True
        visitor.send(CONFIG | {"stream_id": "a"})
        visitor.send(CONFIG | {"stream_id": "b"})
        visitor.send(b"\1\2")
        self.assertEqual(len(call.told), 1)
        call.configured()
        self.assertEqual(len(call.told), 2)
        call.configured()
        self.assertEqual([each["stream_id"] for each in visitor.messages()], ["a", "b"])
        self.assertEqual(call.told[-1], ("hear", b"\1\2"))

    def test_bounded_waiting(self) -> None:
        """A client that sends too much during config is not read from until it is carried out. (F-077)"""
        visitor = desk(waiting_bytes=10_000).visit()
        call = call_of(visitor)
        call.holds_config = True
        visitor.send(CONFIG)
        for number in range(12):
            self.assertEqual(visitor.is_read, number < 9)
            visitor.send(bytes([number]) * 1000)
        call.configured()
        self.assertTrue(visitor.is_read)
        self.assertEqual([each[1][0] for each in call.told[1:]], list(range(12)))

    def test_tiny_messages_are_bounded_too(self) -> None:
        """A flood of empty messages does not grow without bound either."""
        visitor = desk(waiting_bytes=10_000).visit()
        call_of(visitor).holds_config = True
        visitor.send(CONFIG)
        for _ in range(80):
            visitor.send(b"")
        self.assertFalse(visitor.is_read)

    def test_congested_provider(self) -> None:
        """While a provider takes no more audio the caller is not read; order is kept. (F-077)"""
        visitor = Desk().configured()
        call = call_of(visitor)
        call.outlet.congested(True)
        self.assertFalse(visitor.is_read)
        call.outlet.congested(False)
        self.assertTrue(visitor.is_read)

    def test_congested_while_waiting_is_carried_out(self) -> None:
        """A provider that is full after half of what waited gets the rest later, in order. (F-077)"""
        visitor = Desk().visit()
        call = call_of(visitor)
        call.holds_config = True
        visitor.send(CONFIG)
        for number in range(4):
            visitor.send(bytes([number]))
        hear = call.hear

        def slow(data: bytes) -> None:
            hear(data)
            call.outlet.congested(True)

        call.hear = slow  # type: ignore[method-assign]
        call.configured()
        self.assertEqual(len(call.told), 2)
        visitor.send(b"\4")
        for _ in range(4):
            call.outlet.congested(False)
        self.assertEqual([each[1] for each in call.told[1:]], [bytes([n]) for n in range(5)])
        self.assertFalse(visitor.is_read)

    def test_provider_that_is_full_for_a_moment(self) -> None:
        """Thousands of waiting pieces that each fill the provider briefly are all carried out."""
        visitor = Desk().visit()
        call = call_of(visitor)
        call.holds_config = True
        visitor.send(CONFIG)
        for number in range(2000):
            visitor.send(number.to_bytes(2, "big"))
        hear = call.hear

        def brief(data: bytes) -> None:
            hear(data)
            call.outlet.congested(True)
            call.outlet.congested(False)

        call.hear = brief  # type: ignore[method-assign]
        call.configured()
        self.assertEqual(
            [int.from_bytes(each[1], "big") for each in call.told[1:]], list(range(2000))
        )


class TalkTests(SynchronousTestCase):
    def test_audio_in(self) -> None:
        """Audio reaches the call as it came, frame by frame, also as base64 text. (F-077)"""
        visitor = Desk().configured()
        for number in range(3):
            visitor.send(bytes([number]) * 640)
        visitor.send({"type": "audio", "data": "AwM="})
        self.assertEqual(
            call_of(visitor).told[1:],
            [("hear", bytes([n]) * 640) for n in range(3)] + [("hear", b"\3\3")],
        )

    def test_fragmented_audio(self) -> None:
        """A message in several WebSocket frames is one piece of audio. (F-077)"""
        visitor = Desk().configured()
        for head, payload in ((0x02, b"ab"), (0x00, b"cd"), (0x80, b"ef")):
            visitor.protocol.dataReceived(bytes([head, 0x80 | len(payload)]) + bytes(4) + payload)
        self.assertEqual(call_of(visitor).told[-1], ("hear", b"abcdef"))

    def test_byte_by_byte(self) -> None:
        """However the network cuts a message, it arrives whole. (F-077)"""
        visitor = Desk().configured()
        for byte in b"\x82\x83" + bytes(4) + b"abc":
            visitor.protocol.dataReceived(bytes([byte]))
        self.assertEqual(call_of(visitor).told[-1], ("hear", b"abc"))

    def test_speech_out(self) -> None:
        """Speech and its completion come in the order the call gives them. (F-078, F-080)"""
        visitor = Desk().configured()
        outlet = call_of(visitor).outlet
        outlet.audio([b"\1\1"])
        outlet.audio([b"\2\2"])
        outlet.spoken_all()
        complete = {"type": "tts_playback_complete", "timestamp": 1_700_000_000_000}
        self.assertEqual(visitor.messages(), [b"\1\1", b"\2\2", complete])

    def test_results(self) -> None:
        """What is recognised is sent as it comes. (F-079)"""
        visitor = Desk().configured()
        call_of(visitor).outlet.transcript(Transcript("hi", True, True, 0.9))
        (result,) = visitor.messages()
        self.assertEqual((result["type"], result["transcript"]), ("stt_result", "hi"))

    def test_broken_text_of_a_vendor(self) -> None:
        """Half a surrogate pair in a result does not break the connection. (F-079)"""
        visitor = Desk().configured()
        call_of(visitor).outlet.transcript(Transcript("a\ud83d"))
        self.assertEqual(visitor.messages()[0]["transcript"], "a?")

    def test_speak_flags(self) -> None:
        """Both flags of a text reach the call. (F-069)"""
        visitor = Desk().configured()
        visitor.send(SPEAK | {"flush": False, "allow_interruption": False})
        self.assertEqual(call_of(visitor).told[-1], ("say", "hi", False, False))

    def test_clear(self) -> None:
        """clear and its other names reach the call and are not answered. (F-070, F-071)"""
        visitor = Desk().configured()
        for kind in ("clear", "interrupt", "stop"):
            visitor.send({"type": kind})
        self.assertEqual(call_of(visitor).told[1:], [("clear",)] * 3)
        self.assertEqual(visitor.messages(), [])

    def test_before_config(self) -> None:
        """Audio and texts before config are refused, clear is not. (F-083)"""
        visitor = Desk().visit()
        for message in (b"\0\0", SPEAK, {"type": "audio", "data": ""}):
            self.assertEqual(visitor.ask(message), error(caller.AUDIO_DISABLED))  # type: ignore[arg-type]
        visitor.send(CLEAR)
        visitor.send({"type": "flush"})
        self.assertEqual((visitor.messages(), call_of(visitor).told), ([], []))

    def test_text_to_a_call_that_only_listens(self) -> None:
        """A text for a call without synthesis is refused by name. (D-30)"""
        visitor = Desk().configured({"type": "config", "stt_config": STT})
        self.assertEqual(visitor.ask(SPEAK), error(caller.NO_TTS))

    def test_audio_to_a_call_that_only_speaks(self) -> None:
        """Audio for a call without recognition is refused once, not fifty times a second. (D-30)"""
        visitor = Desk().configured({"type": "config", "tts_config": TTS})
        self.assertEqual(visitor.ask(b"\0\0"), error(caller.NO_STT))
        visitor.send(b"\0\0")
        self.assertEqual(visitor.messages(), [])
        visitor.ask({"type": "connect"})
        self.assertEqual(visitor.ask(b"\0\0"), error(caller.NO_STT))

    def test_other_messages(self) -> None:
        """What needs parts that are not there says which. (F-083, D-26)"""
        visitor = Desk().configured()
        for message, answer in (
            ({"type": "auth", "token": "t"}, {"type": "authenticated"}),
            ({"type": "send_message", "message": "hi", "role": "user"}, error(caller.NO_ROOM)),
            (
                {"type": "custom", "message_type": "Foo", "payload": None},
                error("Unknown custom message type: Foo"),
            ),
            (
                {"type": "sip_transfer", "transfer_to": "+4912"},
                {
                    "type": "sip_transfer_error",
                    "message": caller.NO_ROOM,
                    "code": "livekit_not_configured",
                },
            ),
        ):
            self.assertEqual(visitor.ask(message), answer)
        answer = visitor.ask({"type": "sip_transfer", "transfer_to": "12-3"})
        self.assertEqual(answer["type"], "sip_transfer_error")
        self.assertTrue(answer["message"].startswith("Invalid phone number: Invalid character '-'"))

    def test_ping(self) -> None:
        """A ping message is answered with its own timestamp."""
        answer = Desk().visit().ask({"type": "ping", "timestamp": 4711})
        self.assertEqual(answer["timestamp"], 4711)
        self.assertEqual(answer["server_time"], 1_700_000_000_000)

    def test_unknown_message(self) -> None:
        """A message nobody knows is an error; the connection stays open. (F-083)"""
        visitor = Desk().configured()
        answer = visitor.ask({"type": "dance"})
        self.assertTrue(answer["message"].startswith("Invalid message format: unknown variant"))
        self.assertTrue(visitor.ask("{")["message"].startswith("Invalid message format: "))
        visitor.send(SPEAK)
        self.assertEqual(call_of(visitor).told[-1], ("say", "hi", True, True))

    def test_bug_in_a_message(self) -> None:
        """A bug is an internal error for the caller without details, and the connection goes on. (F-083)"""
        visitor = Desk().configured()
        call_of(visitor).raises = ZeroDivisionError(KEY)
        self.assertEqual(visitor.ask(b"\0\0"), error("Internal error", "internal_error"))
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        call_of(visitor).raises = None
        visitor.send(b"\1\1")
        self.assertEqual(call_of(visitor).told[-1], ("hear", b"\1\1"))


class LimitTests(SynchronousTestCase):
    def test_text(self) -> None:
        """A text message above 1 MB is refused and the connection stays open. (F-084, F-329)"""
        visitor = Desk().configured()
        visitor.send("x" * (MB + 1))
        self.assertEqual(
            visitor.messages(),
            [error("Message too large: 1048577 bytes (max 1048576 bytes)", "too_large")],
        )
        self.assertIn("Invalid message format", visitor.ask("x" * MB)["message"])

    def test_audio(self) -> None:
        """Audio of 5 MB is taken, a byte more is refused, and the connection stays open. (F-084, WS-12, F-329)"""
        visitor = Desk().configured()
        visitor.send(bytes(5 * MB))
        self.assertEqual(len(call_of(visitor).told[-1][1]), 5 * MB)
        self.assertEqual(
            visitor.ask(bytes(5 * MB + 1)),
            error("Audio frame too large: 5242881 bytes (max: 5242880 bytes)", "too_large"),
        )

    def test_frame(self) -> None:
        """A frame above 10 MB is explained and closed with 1009; one of 10 MB is only too much audio.

        (F-084, F-329)
        """
        visitor = Desk().configured()
        self.assertIn("Audio frame too large", visitor.ask(bytes(10 * MB))["message"])
        visitor.send(bytes(10 * MB + 1))
        explained, code = visitor.messages()
        self.assertTrue(explained["message"].startswith("WebSocket error: "))
        self.assertEqual(code, 1009)

    def test_message_in_pieces(self) -> None:
        """A message that grows above 10 MB piece by piece is closed with 1009. (F-084)"""
        visitor = Desk().configured()
        for head in (0x02, *[0x00] * 10):
            visitor.protocol.dataReceived(
                bytes([head, 0xFF]) + MB.to_bytes(8, "big") + bytes(4) + bytes(MB)
            )
        self.assertEqual(visitor.messages()[-1], 1009)

    def test_bad_text(self) -> None:
        """Text that is not UTF-8 is closed with 1007. (F-083)"""
        visitor = Desk().configured()
        visitor.frame(1, b"\xff\xfe")
        self.assertEqual(visitor.messages()[-1], 1007)

    def test_broken_frames(self) -> None:
        """A client that does not speak the protocol is closed with 1002. (F-083)"""
        visitor = Desk().configured()
        visitor.protocol.dataReceived(b"\x82\x01a")
        self.assertEqual(visitor.messages()[-1], 1002)


class BackPressureTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.visitor = desk(outgoing_messages=3).configured()
        self.call = call_of(self.visitor)

    def fill(self) -> None:
        self.visitor.transport.producer.pauseProducing()

    def empty(self) -> None:
        self.visitor.transport.producer.resumeProducing()

    def test_full_connection(self) -> None:
        """A caller who takes no more speech makes the call pause, and go on when he does. (F-078)"""
        self.fill()
        self.fill()
        self.assertEqual(self.call.told[1:], [("pause",)])
        self.empty()
        self.assertEqual(self.call.told[1:], [("pause",), ("resume",)])

    def test_transcripts_are_not_dropped(self) -> None:
        """Results go to a slow caller all the same; too many and he is not read from. (S-VM-64)"""
        self.fill()
        for number in range(5):
            self.assertEqual(self.visitor.is_read, number < 3)
            self.call.outlet.transcript(Transcript(str(number)))
        self.assertEqual([each["text"] for each in self.visitor.messages()], list("01234"))
        self.empty()
        self.assertTrue(self.visitor.is_read)

    def test_each_time_anew(self) -> None:
        """Messages that a caller has read do not count against him later. (S-VM-64)"""
        for _ in range(3):
            self.fill()
            for _ in range(2):
                self.call.outlet.transcript(Transcript("a"))
            self.assertTrue(self.visitor.is_read)
            self.empty()

    def test_pings_of_somebody_who_does_not_read(self) -> None:
        """Pongs do not pile up for a caller who does not read."""
        self.fill()
        self.visitor.frame(9, b"a")
        self.assertEqual(self.visitor.frames(), [])
        self.empty()
        self.visitor.frame(9, b"b")
        self.assertEqual(self.visitor.frames(), [(10, b"b")])


class EndTests(SynchronousTestCase):
    def test_abrupt_end(self) -> None:
        """A caller whose network breaks is hung up, and counted until that is done. (F-087, F-088, SRV-03)"""
        stand = Desk()
        slot = SlotSpy()
        visitor = Visitor(stand, slot=slot)  # type: ignore[arg-type]
        visitor.send(CONFIG)
        call = call_of(visitor)
        call.holds_hang_up = True
        visitor.leave()
        self.assertEqual(call.told[-1], ("hang_up",))
        self.assertEqual((slot.released, stand.calls.live), (0, 1))
        call.hanging_up.callback(None)
        self.assertEqual((slot.released, stand.calls.live), (1, 0))

    def test_end_during_config(self) -> None:
        """A caller who leaves during config takes it with him; nothing is sent after. (F-087, SRV-03)"""
        stand = Desk()
        visitor = stand.visit()
        call = call_of(visitor)
        call.holds_config = True
        visitor.send(CONFIG)
        visitor.send(b"\0\0")
        visitor.leave()
        self.assertEqual([each[0] for each in call.told], ["configure", "cancelled", "hang_up"])
        self.assertEqual(visitor.messages(), [])
        self.assertEqual(stand.calls.live, 0)

    def test_end_with_a_failure(self) -> None:
        """A call that fails to end is logged, and its slot is free all the same. (SRV-03)"""
        stand = Desk()
        slot = SlotSpy()
        visitor = Visitor(stand, slot=slot)  # type: ignore[arg-type]
        visitor.send(CONFIG)
        call = call_of(visitor)
        call.holds_hang_up = True
        visitor.leave()
        call.hanging_up.errback(ZeroDivisionError())
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertEqual((slot.released, stand.calls.live), (1, 0))

    def test_polite_end(self) -> None:
        """A caller who says goodbye is answered and disconnected. (F-064)"""
        visitor = Desk().configured()
        visitor.frame(8, b"\x03\xe8")
        self.assertEqual(visitor.messages(), [1000])
        self.assertTrue(visitor.transport.disconnecting)

    def test_polite_end_of_somebody_who_does_not_read(self) -> None:
        """After a goodbye, half a second is all that unsent speech may take. (S-VM-65)"""
        stand = Desk()
        visitor = stand.configured()
        aborted: list[bool] = []
        visitor.transport.abortConnection = lambda: aborted.append(True)  # type: ignore[method-assign]
        visitor.frame(8, b"\x03\xe8")
        stand.clock.advance(0.4)
        self.assertEqual(aborted, [])
        stand.clock.advance(0.2)
        self.assertEqual(aborted, [True])

    def test_close_of_a_connection_that_is_not_read(self) -> None:
        """The answer to our goodbye is read even where nothing was read before."""
        visitor = Desk().configured()
        call_of(visitor).outlet.congested(True)
        visitor.protocol.close(1000, "bye")
        self.assertTrue(visitor.is_read)

    def test_silence_after_close(self) -> None:
        """After a close frame nothing is sent and nothing carried out."""
        visitor = Desk().configured()
        visitor.protocol.close(1000, "bye")
        self.assertEqual(visitor.messages(), [1000])
        call_of(visitor).outlet.audio([b"\0\0"])
        call_of(visitor).outlet.spoken_all()
        visitor.send(SPEAK)
        visitor.protocol.close(1000, "again")
        self.assertEqual(visitor.messages(), [])
        self.assertNotIn("say", [each[0] for each in call_of(visitor).told])

    def test_close_to_somebody_who_does_not_answer(self) -> None:
        """A caller who does not answer a close frame is cut off; a full one sooner. (S-VM-65)"""
        for is_full, seconds in ((False, 2.0), (True, 0.5)):
            self.check_cut_off(is_full, seconds)

    def check_cut_off(self, is_full: bool, seconds: float) -> None:
        stand = Desk()
        visitor = stand.configured()
        if is_full:
            visitor.transport.producer.pauseProducing()
        aborted: list[bool] = []
        visitor.transport.abortConnection = lambda: aborted.append(True)  # type: ignore[method-assign]
        visitor.protocol.close(1000, "bye")
        stand.clock.advance(seconds - 0.1)
        self.assertEqual(aborted, [])
        stand.clock.advance(0.2)
        self.assertEqual(aborted, [True])
        visitor.leave()
        self.assertEqual(stand.clock.getDelayedCalls(), [])


class StopTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.stand = Desk()

    def test_nobody_there(self) -> None:
        """With no live calls the gateway stops at once, and takes no new ones."""
        self.successResultOf(self.stand.calls.stop(30.0))
        self.assertFalse(self.stand.calls.is_open)
        self.assertIsNone(self.stand.factory.buildProtocol(None))  # type: ignore[arg-type]

    def test_calls_may_finish(self) -> None:
        """Live calls go on until they end or the time is up, then they are closed with 1001."""
        first, second = self.stand.configured(), self.stand.configured()
        done = self.stand.calls.stop(30.0)
        first.send(SPEAK)
        self.assertEqual(call_of(first).told[-1], ("say", "hi", True, True))
        first.leave()
        self.stand.clock.advance(29.9)
        self.assertEqual((self.stand.calls.live, second.messages()), (1, []))
        self.stand.clock.advance(0.2)
        self.assertEqual(second.messages(), [1001])
        self.assertNoResult(done)
        second.leave()
        self.successResultOf(done)

    def test_last_call_ends(self) -> None:
        """When the last call ends, stopping ends, and no timer is left."""
        visitor = self.stand.configured()
        done = self.stand.calls.stop(30.0)
        visitor.leave()
        self.successResultOf(done)
        self.assertEqual(self.stand.clock.getDelayedCalls(), [])

    def test_second_signal(self) -> None:
        """A second stop closes everything at once; both are told when it is done."""
        visitor = self.stand.configured()
        first = self.stand.calls.stop(30.0)
        second = self.stand.calls.stop(30.0)
        self.assertEqual(visitor.messages(), [1001])
        visitor.leave()
        self.successResultOf(first)
        self.successResultOf(second)


class LogTests(SynchronousTestCase):
    def test_no_line_per_frame(self) -> None:
        """A minute of audio both ways leaves nothing per frame in the log at any level. (SRV-06)"""
        lines = self.captured(self.minute)
        self.assertLess(len(lines), 20, lines[:20])

    def test_nothing_that_is_secret(self) -> None:
        """No key, no spoken text, no transcript and no token gets into the log. (X-11, SRV-05, F-068)"""
        for line in self.captured(self.minute):
            for secret in (KEY, "SPOKEN", "HEARD", "TOKEN"):
                self.assertNotIn(secret, line)

    def test_deprecation(self) -> None:
        """audio_disabled is logged as deprecated. (F-066)"""
        lines = self.captured(
            lambda: Desk().visit().ask({"type": "config", "audio_disabled": True})
        )
        self.assertTrue([line for line in lines if "audio_disabled is deprecated" in line])

    def minute(self) -> None:
        visitor = Desk().configured(
            {
                "type": "config",
                "stream_id": "stream-1",
                "stt_config": STT | {"api_key": KEY},
                "tts_config": TTS | {"api_key": KEY},
            }
        )
        visitor.send({"type": "auth", "token": "TOKEN"})
        visitor.send({"type": "speak", "text": "SPOKEN"})
        visitor.send({"type": "speak", "text": 1})
        outlet = call_of(visitor).outlet
        for _ in range(3000):
            visitor.send(bytes(640))
            outlet.audio([bytes(480)])
        outlet.transcript(Transcript("HEARD", True))
        visitor.leave()

    def captured(self, act: Any) -> list[str]:
        """Everything that is logged at any level, formatted and raw."""
        lines: list[str] = []

        def note(event: Any) -> None:
            lines.append(f"{event['log_namespace']}: {formatEvent(event)} {event!r}")

        globalLogPublisher.addObserver(note)
        try:
            act()
        finally:
            globalLogPublisher.removeObserver(note)
        return lines
