"""A call from hello to hang-up, with a vendor side in memory."""

from dataclasses import replace
from typing import Any

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.task import Clock
from twisted.logger import LogLevel, formatEvent, globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from tests.session.fakes import (
    PCM16K,
    PCM24K,
    FakeDialler,
    FakeLink,
    listening_provider,
    speaking_provider,
)
from tests.speech.test_duration import MP3, OGG_OPUS, WAV, mp3, opus
from waav.errors import (
    BadRequest,
    ConfigError,
    ModelMissing,
    ProviderBusy,
    ProviderLost,
    ProviderRefused,
    ProviderTimeout,
    WaavError,
)
from waav.models.noise import FINISH
from waav.models.settings import NoiseSettings, TurnSettings
from waav.secret import Secret
from waav.session.call_settings import CallSettings, Listening, Speaking
from waav.session.session import Session
from waav.session.settings import CallLimits, InterruptionSettings, SpeechFinalSettings
from waav.session.world import World
from waav.speech import wire
from waav.speech.audio import AudioFormat
from waav.speech.provider import Account, ListenSettings, Provider, SpeakSettings
from waav.speech.sentences import Pronunciation
from waav.speech.wav import header, pack
from waav.speech.wire import Transcript

DISABLED = "Audio processing is disabled. Send config message with audio=true first."
FRAME = bytes(480)


class Caller:
    """The outlet: keeps everything, in order, in words."""

    def __init__(self) -> None:
        self.got: list[tuple[Any, ...]] = []
        self.on_call: Any = None

    def transcript(self, transcript: Transcript) -> None:
        self._note("transcript", transcript)

    def audio(self, frames: list[bytes]) -> None:
        for frame in frames:
            self._note("audio", frame)

    def spoken_all(self) -> None:
        self._note("spoken_all")

    def error(self, message: str, code: str) -> None:
        self._note("error", message, code)

    def congested(self, is_full: bool) -> None:
        self._note("congested", is_full)

    def _note(self, *what: Any) -> None:
        self.got.append(what)
        if self.on_call is not None:
            self.on_call(*what)

    def of(self, kind: str) -> list[Any]:
        """What came of one kind, without the name of the kind."""
        return [one[1] if len(one) == 2 else one[1:] for one in self.got if one[0] == kind]


def listening(provider: Provider | None = None, format: AudioFormat = PCM16K) -> Listening:
    """Recognition by ``ears``."""
    provider = provider or listening_provider()
    return Listening(provider, ListenSettings(provider.name, format), Account())


def speaking(provider: Provider | None = None, format: AudioFormat = PCM24K) -> Speaking:
    """Speech by ``mouth``."""
    provider = provider or speaking_provider()
    return Speaking(provider, SpeakSettings(provider.name, format), Account())


def both(**more: Any) -> CallSettings:
    """A call that listens and speaks."""
    halves: dict[str, Any] = {"listening": listening(), "speaking": speaking()}
    return CallSettings("stream", **{**halves, **more})


class SessionCase(SynchronousTestCase):
    """A session with a fake dialler and a clock."""

    def setUp(self) -> None:
        self.clock = Clock()
        self.dialler = FakeDialler(self.clock)
        self.caller = Caller()
        self.session = self.new_session()

    def new_session(self, **more: Any) -> Session:
        """A session in a world with these settings."""
        world: dict[str, Any] = {
            "clock": self.clock,
            "registry": None,
            "dialler": self.dialler,
            "account": None,
        }
        return Session(World(**{**world, **more}), self.caller)

    def ready(self, settings: CallSettings | None = None, **world: Any) -> None:
        """Bring a call up."""
        if world:
            self.session = self.new_session(**world)
        self.successResultOf(self.session.configure(settings or both()))
        self.assertEqual(self.session.state, "ready")

    @property
    def ears(self) -> FakeLink:
        """The latest link that listens."""
        return self.dialler.link("ears")

    @property
    def mouth(self) -> FakeLink:
        """The latest link that speaks."""
        return self.dialler.link("mouth")

    def logged(self) -> list[str]:
        """What is logged at ``info`` from now on about the call."""
        lines: list[str] = []

        def watch(event: Any) -> None:
            if event["log_level"] is LogLevel.info and event.get("stream_id") == "stream":
                lines.append(event["log_format"].format(**event))

        globalLogPublisher.addObserver(watch)
        self.addCleanup(globalLogPublisher.removeObserver, watch)
        return lines

    def assert_nothing_left(self) -> None:
        """No timer runs and every link was ended."""
        self.assertEqual(self.clock.getDelayedCalls(), [])
        self.assertEqual(self.dialler.waiting_providers(), [])
        for link in self.dialler.links:
            self.assertTrue(link.is_aborted or link.is_closed, link.provider)


class ConfigureTests(SessionCase):
    """From ``config`` to ``ready``, or back."""

    def test_ready(self) -> None:
        """A call is ready when both providers are; they are dialled at the same time (F-107)."""
        self.dialler.is_slow = True
        configuring = self.session.configure(both())
        self.assertEqual(self.session.state, "configuring")
        self.assertEqual(self.dialler.waiting_providers(), ["ears", "mouth"])
        self.dialler.accept("mouth")
        self.assertNoResult(configuring)
        self.dialler.accept("ears")
        self.assertIsNone(self.successResultOf(configuring))
        self.assertEqual(self.session.state, "ready")
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_early_result(self) -> None:
        """What a provider says before the call is ready is not lost."""
        self.dialler.is_slow = True
        self.session.configure(both())
        early = Transcript("hi", False)
        self.dialler.waiting[0][0].tell(early)
        self.assertEqual(self.caller.of("transcript"), [early])

    def test_halves(self) -> None:
        """A call may only listen, or only speak (D-30)."""
        self.ready(CallSettings("s", listening=listening()))
        self.assertEqual([one.provider for one in self.dialler.links], ["ears"])
        self.session = self.new_session()
        self.ready(CallSettings("s", speaking=speaking()))
        self.assertEqual(self.dialler.links[-1].provider, "mouth")

    def test_neither_half(self) -> None:
        """A call with audio needs at least one of them (D-30)."""
        error = self.failureResultOf(self.session.configure(CallSettings("s")), BadRequest).value
        self.assertEqual(error.message, "STT configuration is required when audio=true")
        self.assertEqual(self.session.state, "connected")

    def test_control_only(self) -> None:
        """A call without audio is ready without any provider, and says so when audio comes."""
        self.ready(CallSettings("s", has_audio=False, listening=listening()))
        self.assertEqual(self.dialler.links, [])
        self.session.hear(b"\0\0")
        self.session.say("Hello.")
        self.session.clear()
        self.assertEqual(self.caller.of("error"), [(DISABLED, "audio_disabled")] * 2)

    def test_before_config(self) -> None:
        """Before a config, audio and text are answered with an error and a clear with nothing."""
        self.session.hear(b"\0\0")
        self.session.say("Hello.")
        self.session.clear()
        self.assertEqual(self.caller.got, [("error", DISABLED, "audio_disabled")] * 2)
        self.assertEqual(self.session.figures["errors"], 2)

    def test_settings_that_cannot_work(self) -> None:
        """Settings a provider refuses are an error before anything is dialled."""

        def refuse(settings: ListenSettings, account: Account) -> Any:
            raise ConfigError("ears needs a region")

        settings = both(listening=listening(Provider("ears", listen=refuse)))
        error = self.failureResultOf(self.session.configure(settings), ConfigError).value
        self.assertEqual(error.message, "Failed to create voice manager: ears needs a region")
        self.assertEqual((self.session.state, self.dialler.links), ("connected", []))

    def test_unreachable(self) -> None:
        """When one provider cannot be reached the other is hung up; another config may follow (D-31, S-VM-01)."""
        self.dialler.is_slow = True
        configuring = self.session.configure(both())
        mouth = self.dialler.accept("mouth")
        self.dialler.refuse("ears", ProviderRefused("ears", "wrong key"))
        error = self.failureResultOf(configuring, ProviderRefused).value
        self.assertEqual(error.message, "Failed to start voice manager: wrong key")
        self.assertTrue(mouth.is_aborted)
        self.assertEqual(self.session.state, "connected")
        self.assert_nothing_left()
        self.session.hear(b"\0\0")
        self.assertEqual(self.caller.of("error"), [(DISABLED, "audio_disabled")])
        self.dialler.is_slow = False
        self.ready()

    def test_one_error_for_many(self) -> None:
        """Calls that wait for the same thing get the same text when it fails."""
        error = ProviderLost("ears", "down")
        self.dialler.errors["ears"] = error
        for _ in range(2):
            self.failureResultOf(self.new_session().configure(both()), ProviderLost)
        self.assertEqual(error.message, "Failed to start voice manager: down")

    def test_never_ready(self) -> None:
        """Providers that do not become ready in time end the config; the dialling stops (S-VM-01)."""
        self.session = self.new_session(limits=CallLimits(ready_s=5))
        self.dialler.is_slow = True
        configuring = self.session.configure(both())
        mouth = self.dialler.accept("mouth")
        self.clock.advance(4.9)
        self.assertNoResult(configuring)
        self.clock.advance(0.1)
        error = self.failureResultOf(configuring, ProviderTimeout).value
        self.assertEqual(error.message, "Timeout waiting for voice providers to be ready")
        self.assertEqual(self.dialler.cancelled, ["ears"])
        self.assertTrue(mouth.is_aborted)
        self.assertEqual((self.session.state, self.clock.getDelayedCalls()), ("connected", []))

    def test_unforeseen(self) -> None:
        """An error nobody foresaw is logged; the caller gets a text without its details."""
        self.dialler.errors["ears"] = ZeroDivisionError("secret detail")
        error = self.failureResultOf(self.session.configure(both()), WaavError).value
        self.assertEqual(error.message, "Failed to start voice manager: internal error")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.assertTrue(self.mouth.is_aborted)

    def test_cancelled(self) -> None:
        """A config that is given up leaves nothing behind."""
        self.dialler.is_slow = True
        configuring = self.session.configure(both())
        configuring.cancel()
        self.failureResultOf(configuring, CancelledError)
        self.assertEqual(self.session.state, "connected")
        self.assertEqual(sorted(self.dialler.cancelled), ["ears", "mouth"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_twice_at_once(self) -> None:
        """Configuring while configuring is a mistake of the connection."""
        self.dialler.is_slow = True
        self.session.configure(both())
        self.assertRaises(RuntimeError, self.session.configure, both())


class ReconfigureTests(SessionCase):
    """A second config."""

    def test_invalid(self) -> None:
        """One that cannot work leaves the first in force (S-VM-02, WS-15)."""
        self.ready()
        first = self.ears
        bad = both(timing={"wait_ms": -1})
        error = self.failureResultOf(self.session.configure(bad), BadRequest).value
        self.assertIn("Failed to create voice manager: speech_final.wait_ms", error.message)
        self.assertEqual(self.session.state, "ready")
        self.session.hear(b"\x01\0")
        self.assertEqual(first.audio, b"\x01\0")
        self.assertFalse(first.is_closed or first.is_aborted)

    def test_stops_the_first(self) -> None:
        """One that can work first ends the providers of the first, completely (D-32, S-VM-02, WS-15)."""
        self.ready()
        ears, mouth = self.ears, self.mouth
        ears.closing = Deferred()
        self.session.say("Old text.")
        configuring = self.session.configure(both())
        self.assertEqual(self.session.state, "reconfiguring")
        self.assertEqual(len(self.dialler.links), 2)
        self.session.hear(b"\0\0")
        self.assertEqual(ears.audio, b"")
        ears.closing.callback(None)
        self.successResultOf(configuring)
        self.assertTrue(ears.is_closed and mouth.is_closed)
        self.assertEqual(len(self.dialler.links), 4)
        mouth.speak(PCM24K, FRAME)
        self.assertEqual(self.caller.of("audio"), [])
        self.session.hear(b"\x01\0")
        self.assertEqual(self.ears.audio, b"\x01\0")

    def test_last_words(self) -> None:
        """What was being recognised is still delivered, with the end of its turn."""
        self.ready()
        self.ears.last_words = [Transcript("good bye", True)]
        self.successResultOf(self.session.configure(both()))
        texts = [(one.text, one.forced) for one in self.caller.of("transcript")]
        self.assertEqual(texts, [("good bye", False), ("good bye", True)])

    def test_other_half_kept(self) -> None:
        """One that names a single half keeps the other as it was configured (D-32)."""
        self.ready(both(timing={"wait_ms": 300}))
        self.successResultOf(
            self.session.configure(
                CallSettings("s", speaking=speaking(speaking_provider("voice2")))
            )
        )
        self.ears.tell(Transcript("hello", True))
        self.clock.advance(0.3)
        self.assertTrue(self.caller.of("transcript")[-1].forced)
        self.session.say("Hi.")
        self.assertEqual(self.dialler.link("voice2").texts, ["Hi."])
        self.successResultOf(
            self.session.configure(
                CallSettings("s", listening=listening(listening_provider("ears2")))
            )
        )
        self.session.say("Ho.")
        self.assertEqual(self.dialler.link("voice2").texts, ["Ho."])
        self.session.hear(b"\x01\0")
        self.assertEqual(self.dialler.link("ears2").audio, b"\x01\0")

    def test_to_control_only(self) -> None:
        """One without audio ends both halves."""
        self.ready()
        self.successResultOf(self.session.configure(CallSettings("s", has_audio=False)))
        self.assertTrue(self.ears.is_closed and self.mouth.is_closed)
        self.session.hear(b"\0\0")
        self.assertEqual(self.caller.of("error"), [(DISABLED, "audio_disabled")])

    def test_fails(self) -> None:
        """One that cannot be started leaves the call without providers, and open for another (D-31)."""
        self.ready()
        self.dialler.errors["ears"] = ProviderLost("ears", "down")
        self.failureResultOf(self.session.configure(both()), ProviderLost)
        self.assertEqual(self.session.state, "connected")
        self.assert_nothing_left()

    def test_still_congested(self) -> None:
        """A caller who cannot take audio when the config changes is not sent any by the new provider."""
        self.ready()
        self.session.pause()
        self.successResultOf(self.session.configure(both()))
        self.assertTrue(self.mouth.is_paused)
        self.session.resume()
        self.assertFalse(self.mouth.is_paused)


class ListenTests(SessionCase):
    """What is heard."""

    def test_results(self) -> None:
        """Audio reaches the recogniser untouched, its results the caller, in order, once each (F-112)."""
        self.ready()
        frame = b"\x01\x02" * 160
        self.session.hear(frame)
        self.assertIs(self.ears.sent[0].data, frame)
        results = [Transcript("he"), Transcript("hello", True), Transcript("hello", True, True)]
        self.ears.tell(*results)
        self.assertEqual(self.caller.of("transcript"), results)
        self.assertEqual((self.session.figures["results"], self.session.figures["finals"]), (3, 2))

    def test_forced(self) -> None:
        """The end of a turn that no vendor announces carries the turn's text (D-40, VM-01, VM-02)."""
        self.ready()
        self.ears.tell(Transcript("hello", True), Transcript("world", True))
        self.clock.advance(1.8)
        last = self.caller.of("transcript")[-1]
        self.assertEqual(
            (last.text, last.is_final, last.is_speech_final, last.forced),
            ("hello world", True, True, True),
        )

    def test_provider_times(self) -> None:
        """The operator's times for a provider are used (VM-04, F-114)."""
        self.ready(speech_final=SpeechFinalSettings(providers={"ears": {"wait_ms": 200}}))
        self.ears.tell(Transcript("hello", True))
        self.clock.advance(0.2)
        self.assertTrue(self.caller.of("transcript")[-1].forced)

    def test_failed(self) -> None:
        """An error of the recogniser is told, and the call goes on."""
        self.ready()
        self.ears.tell(wire.Failed(ProviderBusy("ears", "overloaded")))
        self.assertEqual(
            self.caller.of("error"), [("STT streaming error: overloaded", "provider_busy")]
        )
        self.ears.tell(Transcript("on", True))
        self.assertEqual(len(self.caller.of("transcript")), 1)

    def test_lost(self) -> None:
        """A recogniser lost for good is told once; the caller is not held back for it any more."""
        self.ready()
        self.ears.sink.congested(True)
        self.ears.tell(wire.Lost(ProviderLost("ears", "gone")))
        for _ in range(50):
            self.session.hear(b"\0\0")
        self.assertEqual(
            self.caller.got,
            [
                ("congested", True),
                ("congested", False),
                ("error", "STT streaming error: gone", "provider_lost"),
            ],
        )
        self.assertEqual(self.session.figures["dropped"], 50)

    def test_reconnected(self) -> None:
        """A connection that was made again is for the figures, not for the caller."""
        self.ready()
        self.ears.tell(wire.Restored(1.5))
        self.assertEqual((self.caller.got, self.session.figures["reconnects"]), ([], 1))

    def test_congested(self) -> None:
        """A slow recogniser holds the caller back instead of filling memory (S-VM-07)."""
        self.ready()
        self.ears.sink.congested(True)
        self.ears.sink.congested(True)
        self.assertEqual(self.caller.got, [("congested", True)])
        self.successResultOf(self.session.configure(both()))
        self.assertEqual(self.caller.got, [("congested", True), ("congested", False)])

    def test_nobody_listens(self) -> None:
        """Audio in a call that only speaks is an error once, not for each frame."""
        self.ready(CallSettings("s", speaking=speaking()))
        self.session.hear(b"\0\0")
        self.session.hear(b"\0\0")
        self.assertEqual(len(self.caller.of("error")), 1)
        self.assertIn("no stt_config", self.caller.of("error")[0][0])

    def test_deaf_connection(self) -> None:
        """A connection that fails to take a result is logged; the next result is delivered (S-VM-52)."""
        self.ready()
        self.caller.on_call = lambda *what: 1 // 0
        self.ears.tell(Transcript("one"))
        self.caller.on_call = None
        self.ears.tell(Transcript("two"))
        self.assertEqual([one.text for one in self.caller.of("transcript")], ["one", "two"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)


class ModelTests(SessionCase):
    """Turn model and noise filter, each off unless wanted."""

    def test_off(self) -> None:
        """By default neither is used (S-NOISE-04)."""
        self.ready()
        self.assertEqual(self.dialler.engines.asked_for, [])

    def test_filter_switch(self) -> None:
        """The call's word on the noise filter wins over the server's, either way (WS-10)."""
        self.ready(both(noise_filter=True))
        self.assertEqual(len(self.dialler.engines.asked_for), 1)
        self.session.hear(bytes(1280))
        self.assertEqual(self.dialler.engines.workers[0].fed, [bytes(1280)])
        self.assertEqual(self.ears.sent, [])
        self.ready(both(noise_filter=False), noise=NoiseSettings(enabled=True))
        self.session.hear(bytes(1280))
        self.assertEqual(self.ears.audio, bytes(1280))

    def test_filter_by_default(self) -> None:
        """The server's default counts where the call says nothing (WS-10)."""
        self.ready(noise=NoiseSettings(enabled=True))
        self.assertEqual(len(self.dialler.engines.asked_for), 1)

    def test_filtered_format(self) -> None:
        """Filtered telephone audio is announced to the recogniser's conversion as what it has become."""
        self.ready(
            CallSettings(
                "s",
                listening=listening(listening_provider(format=PCM16K), AudioFormat("mulaw", 16000)),
                noise_filter=True,
            )
        )
        self.session.hear(b"\xff" * 640)
        worker = self.dialler.engines.workers[0]
        self.assertEqual(worker.fed, [bytes(1280)])
        worker.answers[0].callback([b"\x05\0" * 640])
        self.assertEqual(self.ears.audio, b"\x05\0" * 640)

    def test_filter_is_emptied(self) -> None:
        """When a call is configured anew, the recogniser still gets what the noise filter holds."""
        self.ready(both(noise_filter=True))
        worker, ears = self.dialler.engines.workers[0], self.ears
        self.session.hear(b"\1\0" * 640)
        worker.answers[0].callback([])
        second = self.session.configure(both())
        self.assertEqual(worker.fed[-1], FINISH)
        self.assertEqual((ears.audio, ears.is_closed), (b"", False))
        worker.answers[1].callback([b"\2\0" * 640])
        self.successResultOf(second)
        self.assertEqual((ears.audio, ears.is_closed), (b"\2\0" * 640, True))

    def test_turn_model(self) -> None:
        """The turn model's verdict ends the turn, at the threshold of the call (F-120)."""
        self.ready(both(turn_detection=True, turn_threshold=0.2))
        worker = self.dialler.engines.workers[0]
        self.session.hear(bytes(6400))
        self.ears.tell(Transcript("hello", True))
        for _ in range(90):  # silence; without any audio nobody would be asked
            self.clock.advance(0.02)
            self.session.hear(bytes(640))
        self.assertEqual(worker.fed[-1], "decide")
        worker.answers[-1].callback(["0.3"])
        self.assertTrue(self.caller.of("transcript")[-1].forced)
        self.successResultOf(self.session.hang_up())
        self.assertTrue(worker.is_closed)
        self.assertEqual(self.session.figures["forced_turn_detection_confirmed"], 1)

    def test_new_threshold(self) -> None:
        """A caller may change the threshold while the call runs; it stays when the other half is configured anew."""
        self.ready(both(turn_detection=True, turn_threshold=0.9))
        self.session.turn_threshold(0.2)
        self.ears.tell(Transcript("hello", True))
        self.clock.advance(1.8)
        self.dialler.engines.workers[0].answers[-1].callback(["0.3"])
        self.assertTrue(self.caller.of("transcript")[-1].forced)
        self.ready(CallSettings("stream", speaking=speaking()))
        self.ears.tell(Transcript("hello", True))
        self.clock.advance(1.8)
        self.assertFalse(self.caller.of("transcript")[-1].forced)
        self.dialler.engines.workers[1].answers[-1].callback(["0.3"])
        self.assertTrue(self.caller.of("transcript")[-1].forced)

    def test_threshold_without_model(self) -> None:
        """Without turn detection, or without a call, there is no threshold to change: that is said."""
        error = self.assertRaises(BadRequest, self.session.turn_threshold, 0.5)
        self.assertEqual(error.message, DISABLED)
        for settings in (both(), CallSettings("stream", speaking=speaking())):
            self.session = self.new_session()
            self.ready(settings)
            error = self.assertRaises(BadRequest, self.session.turn_threshold, 0.5)
            self.assertIn("no turn detection", error.message)

    def test_turn_model_by_default(self) -> None:
        """The server's default and threshold count where the call says nothing."""
        self.ready(turn=TurnSettings(enabled=True, threshold=0.9))
        self.ears.tell(Transcript("hello", True))
        self.clock.advance(1.8)
        self.dialler.engines.workers[0].answers[-1].callback(["0.89"])
        self.assertFalse(self.caller.of("transcript")[-1].forced)

    def test_missing_models(self) -> None:
        """Missing models are told once each, and the call is ready without them (F-119)."""
        self.dialler.engines.error = ModelMissing("/srv/models/x is not there; run waav init")
        self.ready(both(turn_detection=True, noise_filter=True))
        told = self.caller.of("error")
        self.assertEqual([code for _, code in told], ["model_missing"] * 2)
        self.assertIn("there is no noise filter here", told[0][0] + told[1][0])
        self.assertIn("there is no turn model here, timers end the turns", told[0][0] + told[1][0])
        self.assertNotIn("/srv", told[0][0] + told[1][0])
        self.session.hear(bytes(640))
        self.assertEqual(self.ears.audio, bytes(640))

    def test_missing_models_of_the_operator(self) -> None:
        """A caller who did not ask for a model hears nothing of its absence: only ``ready`` (F-119)."""
        self.dialler.engines.error = ModelMissing("not there; run waav init")
        self.ready(turn=TurnSettings(enabled=True), noise=NoiseSettings(enabled=True))
        self.assertEqual(self.caller.of("error"), [])
        self.session.hear(bytes(640))
        self.assertEqual(self.ears.audio, bytes(640))

    def test_no_models_at_all(self) -> None:
        """A process that runs no models says so, and goes on."""
        self.dialler.engines = None
        self.ready(both(turn_detection=True))
        self.assertEqual(self.caller.of("error")[0][1], "model_missing")


class SpeakTests(SessionCase):
    """What is said."""

    def test_say(self) -> None:
        """Speech reaches the caller in pieces of 10 ms, then its completion, once (F-069, VM-08)."""
        self.ready()
        self.session.say("Hello.")
        self.assertEqual(self.mouth.texts, ["Hello."])
        self.mouth.speak(PCM24K, FRAME * 2)
        self.mouth.tell(wire.SpokenAll(True))
        self.assertEqual(self.caller.got, [("audio", FRAME), ("audio", FRAME), ("spoken_all",)])
        self.assertEqual(self.session.figures["utterances"], 1)

    def test_completion_comes_last(self) -> None:
        """When a completion is told, the call is free already: the caller may act on it right then (VM-08)."""
        self.ready()
        self.session.say("Listen.", allow_interruption=False)

        def go_on(*what: Any) -> None:
            self.caller.on_call = None
            self.session.say("Next.")
            self.session.clear()

        self.caller.on_call = go_on
        self.mouth.tell(wire.SpokenAll(True))
        self.assertEqual(self.caller.got, [("spoken_all",)])
        self.assertEqual(self.session.figures["cleared"], 1)
        self.assertEqual(self.session.figures["clears_refused"], 0)

    def test_answer_from_memory(self) -> None:
        """Speech that is there at once, as from the cache, reaches the caller like any other (D-47, D-44)."""
        self.ready()

        def answer(command: wire.Command) -> None:
            if isinstance(command, wire.Speak):
                self.mouth.speak(PCM24K, FRAME * 3)
                self.mouth.tell(wire.SpokenAll(True))

        self.mouth.answer = answer
        self.session.say("Hello.")
        self.assertEqual(self.caller.got, [("audio", FRAME)] * 3 + [("spoken_all",)])

    def test_pronunciations(self) -> None:
        """A call applies pronunciations once as well (SPK-01, D-08)."""
        replaced = replace(
            speaking(),
            pronunciations=(Pronunciation("cat", "cat food"), Pronunciation("food", "rice")),
        )
        self.ready(both(speaking=replaced))
        self.session.say("The cat eats.")
        self.assertEqual(self.mouth.texts, ["The cat food eats."])

    def test_blank_and_protected(self) -> None:
        """Blank text completes and never locks the call (D-42, S-VM-31)."""
        self.ready()
        self.session.say("  ", allow_interruption=False)
        self.assertEqual(self.caller.got, [("spoken_all",)])
        self.ears.tell(Transcript("hi", True))
        self.assertEqual(len(self.caller.of("transcript")), 1)

    def test_nobody_speaks(self) -> None:
        """Text in a call that only listens is an error and a completion: nobody waits for ever (D-10)."""
        self.ready(CallSettings("s", listening=listening()))
        self.session.say("Hello.")
        self.assertIn("no tts_config", self.caller.of("error")[0][0])
        self.assertEqual(self.caller.got[-1], ("spoken_all",))
        self.session.clear()

    def test_clear(self) -> None:
        """Clear drops everything asked for; nothing follows (F-070, S-VM-35)."""
        self.ready()
        self.session.say("One.")
        self.session.say("Two.")
        self.mouth.speak(PCM24K, FRAME)
        self.session.clear()
        self.mouth.speak(PCM24K, FRAME)
        self.mouth.tell(wire.SpokenAll(True))
        self.assertEqual(self.caller.got, [("audio", FRAME)])
        self.assertEqual(self.session.figures["cleared"], 2)

    def test_protected(self) -> None:
        """During protected speech a clear does nothing and results are dropped, until it has been heard (F-111,
        S-VM-14, S-VM-34)."""
        self.ready()
        self.session.say("Listen.", allow_interruption=False)
        self.session.clear()
        self.ears.tell(Transcript("no", True))
        self.mouth.speak(PCM24K, FRAME * 100)
        self.mouth.tell(wire.SpokenAll(True))
        self.assertEqual(self.caller.got[-1], ("spoken_all",))
        self.clock.advance(0.99)
        self.session.clear()
        self.assertEqual(self.session.figures["clears_refused"], 2)
        self.assertEqual(self.caller.of("transcript"), [])
        self.clock.advance(0.02)
        yes = Transcript("yes", True)
        self.ears.tell(yes)
        self.assertEqual(self.caller.of("transcript"), [yes])
        self.session.say("More.")
        self.session.clear()
        self.assertEqual(self.session.figures["cleared"], 1)

    def test_true_duration(self) -> None:
        """The lock lasts as long as the audio does, in every format, in whatever pieces it comes (VM-05, D-43,
        S-VM-41)."""
        for format, data, seconds in (
            (AudioFormat("linear16", 48000, 2), bytes(192000), 1.0),
            (AudioFormat("mulaw", 8000), b"\xff" * 8000, 1.0),
            (MP3, mp3(100), 2.612),
            (OGG_OPUS, opus(2), 2.0),
            (WAV, pack(AudioFormat("linear16", 24000), bytes(48000)), 1.0),
        ):
            chosen = speaking(format=format)
            chosen = replace(chosen, settings=replace(chosen.settings, wants_format=True))
            self.caller.got.clear()
            self.session = self.new_session()
            self.ready(both(speaking=chosen))
            self.session.say("Listen.", allow_interruption=False)
            self.mouth.speak(format, *(data[at : at + 1000] for at in range(0, len(data), 1000)))
            self.mouth.tell(wire.SpokenAll(True))
            heard = b"".join(self.caller.of("audio"))
            self.assertEqual(
                heard, data.replace(data[:44], header(PCM24K, None)) if format == WAV else data
            )
            self.clock.advance(seconds * 0.95)
            self.ears.tell(Transcript("no", True))
            self.clock.advance(seconds * 0.1)
            self.ears.tell(Transcript("yes", True))
            texts = [one.text for one in self.caller.of("transcript")]
            self.assertEqual(texts, ["yes"], format)
            self.successResultOf(self.session.hang_up())

    def test_buffered(self) -> None:
        """With ``buffer``, the last final during protected speech comes right after it (S-VM-33)."""
        self.ready(interruption=InterruptionSettings(block_stt="buffer"))
        self.session.say("Listen.", allow_interruption=False)
        self.ears.tell(Transcript("one", True), Transcript("two", True))
        self.mouth.speak(PCM24K, FRAME * 100)
        self.mouth.tell(wire.SpokenAll(True))
        self.assertEqual(self.caller.of("transcript"), [])
        self.clock.advance(1.001)
        self.assertEqual([one.text for one in self.caller.of("transcript")], ["two"])

    def test_passed(self) -> None:
        """With ``pass``, results come all the time (S-VM-33)."""
        self.ready(interruption=InterruptionSettings(block_stt="pass"))
        self.session.say("Listen.", allow_interruption=False)
        self.ears.tell(Transcript("one", True))
        self.assertEqual(len(self.caller.of("transcript")), 1)

    def test_failure_unlocks(self) -> None:
        """An error of protected speech is told, then its completion, and the call is free (D-42, S-VM-44, S-VM-38)."""
        self.ready()
        self.session.say("Listen.", allow_interruption=False)
        self.mouth.speak(PCM24K, FRAME * 1000)
        self.caller.got.clear()
        self.mouth.tell(wire.Failed(ProviderBusy("mouth", "HTTP 503")))
        self.assertEqual(
            self.caller.got, [("error", "TTS error: HTTP 503", "provider_busy"), ("spoken_all",)]
        )
        self.ears.tell(Transcript("yes", True))
        self.assertEqual(len(self.caller.of("transcript")), 1)

    def test_stuck_protection(self) -> None:
        """Protected speech that never comes frees the call after the longest lock (S-VM-44)."""
        self.ready(interruption=InterruptionSettings(max_lock_s=10))
        self.session.say("Listen.", allow_interruption=False)
        self.clock.advance(10)
        self.session.clear()
        self.assertEqual(self.mouth.sent[-1], wire.Clear())

    def test_back_pressure(self) -> None:
        """A caller whose connection is full stops the vendor, and starts it again."""
        self.ready()
        self.session.pause()
        self.assertTrue(self.mouth.is_paused)
        self.session.resume()
        self.assertFalse(self.mouth.is_paused)

    def test_flush_delay(self) -> None:
        """Text without flush waits for the configured time at most (S-VM-32)."""
        self.ready(limits=CallLimits(flush_delay_ms=100))
        self.session.say("Hello", flush=False)
        self.assertEqual(self.mouth.texts, [])
        self.clock.advance(0.1)
        self.assertEqual(self.mouth.texts, ["Hello"])

    def test_hang_up_in_the_middle(self) -> None:
        """A caller who hangs up on a piece of audio gets no other one."""
        self.ready()
        self.session.say("Hello.")
        self.caller.on_call = lambda *what: self.session.hang_up()
        self.mouth.speak(PCM24K, FRAME, FRAME * 50)
        self.assertEqual(self.caller.got, [("audio", FRAME)])


class HangUpTests(SessionCase):
    """The end of a call."""

    def test_fault_of_ours(self) -> None:
        """Whatever goes wrong inside, a hang-up comes to its end: the connection's slot depends on it. (S-LIM-03)"""
        self.ready()
        call = self.session._call
        assert call is not None

        def broken() -> None:
            raise ValueError("a fault of ours")

        self.patch(call._playback, "cleared", broken)
        self.assertIsNone(self.successResultOf(self.session.hang_up()))
        self.assertEqual(self.session.state, "closed")
        self.assertTrue(self.mouth.is_aborted)
        self.assertEqual(len(self.flushLoggedErrors(ValueError)), 1)

    def test_hang_up(self) -> None:
        """Everything is ended at once, nothing is said afterwards, no timer is left."""
        self.ready()
        self.session.say("Hello.", allow_interruption=False)
        self.session.say("and", flush=False)
        self.ears.tell(Transcript("hi", True))
        self.caller.got.clear()
        self.assertIsNone(self.successResultOf(self.session.hang_up()))
        self.assertEqual(self.session.state, "closed")
        self.ears.tell(Transcript("ghost", True))
        self.mouth.speak(PCM24K, FRAME)
        self.ears.sink.congested(True)
        self.clock.advance(1000)
        self.assertEqual(self.caller.got, [])
        self.assert_nothing_left()

    def test_stubborn_part(self) -> None:
        """A part that cannot be ended is logged, and the others are ended all the same (S-VM-04)."""
        self.ready()
        self.ears.abort_error = RuntimeError("stuck")
        self.successResultOf(self.session.hang_up())
        self.assertTrue(self.mouth.is_aborted)
        self.assertEqual(self.session.state, "closed")
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)

    def test_before_config(self) -> None:
        """A caller may hang up without having said anything."""
        self.assertIsNone(self.successResultOf(self.session.hang_up()))
        self.assertIsNone(self.successResultOf(self.session.hang_up()))
        self.assertEqual(self.session.state, "closed")
        self.assertRaises(RuntimeError, self.session.configure, both())

    def test_while_configuring(self) -> None:
        """A hang-up ends a config that is under way, and what it had started."""
        self.dialler.is_slow = True
        configuring = self.session.configure(both())
        mouth = self.dialler.accept("mouth")
        self.successResultOf(self.session.hang_up())
        self.failureResultOf(configuring, CancelledError)
        self.assertEqual(self.session.state, "closed")
        self.assertTrue(mouth.is_aborted)
        self.assertEqual(self.dialler.cancelled, ["ears"])
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_while_reconfiguring(self) -> None:
        """So it does while the earlier config is being ended."""
        self.ready()
        self.ears.closing = Deferred(lambda _: None)
        configuring = self.session.configure(both())
        leaving = self.session.hang_up()
        self.failureResultOf(configuring, CancelledError)
        self.successResultOf(leaving)
        self.assertEqual(self.session.state, "closed")
        self.assertEqual(len(self.dialler.links), 2)
        self.assert_nothing_left()

    def test_from_inside_configure(self) -> None:
        """A caller who is told something while the config starts may hang up right then."""
        self.dialler.says_at_once = [Transcript("early")]
        self.caller.on_call = lambda *what: self.session.hang_up()
        self.failureResultOf(self.session.configure(both()), CancelledError)
        self.assertEqual(self.session.state, "closed")
        self.assertEqual(len(self.caller.got), 1)
        self.assert_nothing_left()

    def test_figures(self) -> None:
        """The figures say how much was heard and said (SRV-05)."""
        lines = self.logged()
        self.ready()
        for _ in range(50):
            self.session.hear(bytes(640))
        self.session.say("Private words.")
        self.mouth.speak(PCM24K, FRAME * 50)
        self.mouth.tell(wire.SpokenAll(True))
        self.ears.tell(Transcript("secret words", True))
        self.clock.advance(20)
        self.successResultOf(self.session.hang_up())
        figures = self.session.figures
        self.assertAlmostEqual(figures.heard_s, 1.0)
        self.assertAlmostEqual(figures.spoken_s, 0.5)
        self.assertEqual(len(lines), 2)
        self.assertEqual(lines[0], "stream: ready, listening with ears, speaking with mouth")
        self.assertIn("ended after 20.0s, heard 1.0s, spoke 0.5s", lines[1])
        self.assertIn("forced_audio_stopped=1", lines[1])
        self.assertNotIn("words", "".join(lines))

    def test_log_of_a_minute(self) -> None:
        """A minute of audio both ways leaves no line per frame at any level, and nothing of what was said or of
        keys (SRV-05, SRV-06)."""
        events: list[Any] = []
        globalLogPublisher.addObserver(events.append)
        self.addCleanup(globalLogPublisher.removeObserver, events.append)
        account = Account(Secret("hush-key"), {"user": Secret("hush-user")})
        self.ready(
            both(
                listening=replace(listening(), account=account),
                speaking=replace(speaking(), account=account),
                noise_filter=True,
                turn_detection=True,
            )
        )
        workers = self.dialler.engines.workers
        for number in range(3000):
            self.session.hear(bytes(640))
            for worker in workers:
                while worker.answers:
                    worker.answers.pop(0).callback([worker.fed.pop(0)])
            if number % 100 == 0:
                self.session.say("hush-text")
            self.mouth.speak(PCM24K, bytes(960))
            self.ears.tell(Transcript("hush-words"))
            if number % 100 == 99:
                self.mouth.tell(wire.SpokenAll(True))
                self.ears.tell(Transcript("hush-words", True, True))
            self.clock.advance(0.02)
        self.assertGreater(len(self.caller.of("audio")), 5900)
        self.assertGreater(len(self.ears.audio), 640 * 2900)
        self.successResultOf(self.session.hang_up())
        self.assertLess(len(events), 20)
        for event in events:
            self.assertNotIn("hush", f"{formatEvent(event)} {event!r}")

    def test_recognition(self) -> None:
        """How recognition went is told at the end of a call, all its connections together (STT-02)."""
        lines = self.logged()
        self.ready()
        self.assertEqual(self.session.figures.recognition.finals, 0)
        self.session.hear(bytes(640))
        self.ears.tell(Transcript("a"), Transcript("a b", True, confidence=0.5))
        self.clock.advance(3)
        recognition = self.session.figures.recognition
        self.assertEqual((recognition.audio_bytes, recognition.results), (640, 2))
        self.assertEqual((recognition.finals, recognition.uptime_s), (1, 3.0))
        self.ready()
        self.session.hear(bytes(1280))
        self.ears.tell(*[Transcript("c", True, True, confidence=0.8)] * 2)
        self.clock.advance(4.5)
        self.successResultOf(self.session.hang_up())
        self.clock.advance(1)
        self.assertIn("stt: 1920 bytes, 4 results, 3 finals, confidence 0.70, up 7.5s", lines[-1])

    def test_no_recognition(self) -> None:
        """A call that only speaks has nothing to tell of recognition, one without words no confidence (STT-02)."""
        self.ready(CallSettings("stream", speaking=speaking()))
        self.assertEqual(str(self.session.figures), "")
        self.ready()
        self.assertEqual(str(self.session.figures), "stt: 0 bytes, 0 results, 0 finals, up 0.0s")
