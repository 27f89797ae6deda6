"""The embedded voices as a provider."""

import json
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.models import sounds
from waav.errors import BadRequest, ConfigError
from waav.models.moonshine import Listening
from waav.providers import local
from waav.speech import wire
from waav.speech.audio import AudioFormat
from waav.speech.provider import Account, ListenSettings, SpeakSettings
from waav.testing.player import Player
from waav.testing.recording import Recording

WIRE = Path(__file__).parent.parent / "wire"


def listening(account: Account | None = None, **chosen: Any) -> local.Listen:
    return local.Listen(ListenSettings("local", **chosen), account or Account())


def speaking(**chosen: Any) -> local.Speak:
    return local.Speak(SpeakSettings("local", **chosen), Account())


class RecordingTests(SynchronousTestCase):
    """Whole conversations."""

    def test_recordings(self) -> None:
        """What the models say is understood, and commands are answered, exactly as written down."""
        paths = sorted(WIRE.glob("local-*.jsonl"))
        self.assertEqual(len(paths), 2)
        for path in paths:
            Player(Recording.load(path), local.local).play()

    def test_junk(self) -> None:
        """What no model of ours says is an error, never a crash or a silence."""
        for dialogue in (listening(), speaking()):
            for junk in ("{", "[]", "{}", "null", '{"kind": "dance"}'):
                self.assertRaises((KeyError, TypeError, ValueError), dialogue.receive, junk)


class ListenTests(SynchronousTestCase):
    """What a caller may choose for recognition."""

    def refused(self, **chosen: Any) -> str:
        return self.assertRaises(BadRequest, listening, **chosen).message

    def test_format(self) -> None:
        """Whatever callers send, the model gets 16 kHz linear16 mono."""
        for encoding, rate_hz in (("mulaw", 8000), ("linear16", 48000), ("alaw", 8000)):
            asked = AudioFormat(encoding, rate_hz)  # type: ignore[arg-type]
            self.assertEqual(listening(format=asked).format, AudioFormat("linear16", 16000, 1))

    def test_english_only(self) -> None:
        """English in all its spellings is taken; another language is refused by name."""
        for language in ("en", "en-US", "EN-gb", "auto", ""):
            listening(language=language)
        for language in ("de", "fr-FR", "eng-lish", "multi"):
            self.assertIn(language, self.refused(language=language))

    def test_model(self) -> None:
        """The only model may be named; any other is refused by name."""
        listening(model="moonshine-tiny-en")
        listening(model="")
        self.assertIn("nova-3", self.refused(model="nova-3"))

    def test_options(self) -> None:
        """Each option reaches the rules by which speech is cut."""
        options = {"endpoint_ms": 900, "longest_ms": 4000, "vad_threshold": 0.7}
        rules = self.rules(listening(options=options))
        self.assertEqual((rules.endpoint_s, rules.longest_s, rules.threshold), (0.9, 4.0, 0.7))
        operators = Account(options={"endpoint_ms": 400})
        self.assertEqual(self.rules(listening(operators)).endpoint_s, 0.4)
        self.assertEqual(self.rules(listening(operators, options=options)).endpoint_s, 0.9)
        self.assertEqual(self.rules(listening()).endpoint_s, 0.6)

    def rules(self, dialogue: local.Listen) -> Any:
        opened = dialogue.opening.local
        assert opened is not None
        engine = opened.open(None)
        assert isinstance(engine, Listening)
        return engine._segments._rules

    def test_wrong_options(self) -> None:
        """An unknown option, or one out of range, is refused by name instead of being ignored."""
        for name, value in (("no_such_option", 1), ("endpoint_ms", 50), ("vad_threshold", "high")):
            self.assertIn(name, self.refused(options={name: value}))

    def test_no_punctuation(self) -> None:
        """A caller who wants no punctuation gets the words as they are spoken, signs inside words kept."""
        dialogue = listening(punctuation=False)
        text = 'Well, don\'t go - it is 7.30! "Really?"'
        partial = dialogue.receive(json.dumps({"kind": "partial", "text": text, "end_s": 1.0}))
        expected = "Well don't go it is 7.30 Really"
        self.assertEqual(partial, [wire.Transcript(expected, end_s=1.0)])

    def test_few_jobs(self) -> None:
        """Twenty-millisecond frames become a job for a worker every 80 ms, and no byte is lost or moved."""
        dialogue, audio = listening(), sounds.noise(1, 0.1)
        sent = [out for frame in sounds.pieces(audio) for out in dialogue.send(wire.Audio(frame))]
        self.assertEqual(len(sent), 12)
        *rest, order = dialogue.send(wire.Finish())
        self.assertEqual(order, '{"do": "finish"}')
        self.assertEqual(b"".join(one for one in [*sent, *rest] if isinstance(one, bytes)), audio)

    def test_nothing_sent_for_nothing(self) -> None:
        """Empty audio is no job for a worker."""
        self.assertEqual(listening().send(wire.Audio(b"")), [])


class SpeakTests(SynchronousTestCase):
    """What a caller may choose for synthesis."""

    def refused(self, **chosen: Any) -> str:
        return self.assertRaises(BadRequest, speaking, **chosen).message

    def warned(self, **chosen: Any) -> list[str]:
        events = speaking(**chosen).receive('{"kind": "spoken"}')
        return [event.message for event in events if isinstance(event, wire.Warned)]

    def test_format(self) -> None:
        """Whatever a caller wants, the voice speaks 24 kHz linear16, and says so."""
        wanted = AudioFormat("mulaw", 8000)
        self.assertEqual(speaking(format=wanted).format, AudioFormat("linear16", 24000, 1))

    def test_voices(self) -> None:
        """A voice that is not here is refused with the list of those that are."""
        for voice in (None, "", "heart", "HEART"):
            speaking(voice=voice)
        message = self.refused(voice="emma")
        self.assertIn("emma", message)
        self.assertIn("heart", message)

    def test_english_only(self) -> None:
        """The voice speaks English; another language is refused by name."""
        self.assertIn("es-MX", self.refused(language="es-MX"))

    def test_the_country_is_told(self) -> None:
        """Dates and numbers are read as in the country that the caller names; in American English otherwise."""
        for language, told in (
            ("en-GB", "en-GB"),
            ("auto", "auto"),
            ("", "en-US"),
            (None, "en-US"),
        ):
            (sent,) = speaking(language=language).send(wire.Speak("x"))
            assert isinstance(sent, str)
            self.assertEqual(json.loads(sent)["language"], told)

    def test_unknown_option(self) -> None:
        """Synthesis has no options; one that is sent is refused by name."""
        self.assertIn("style", self.refused(options={"style": "calm"}))

    def test_operators_options_are_for_recognition(self) -> None:
        """An operator's option for recognition does not get in the way of synthesis."""
        local.Speak(SpeakSettings("local"), Account(options={"endpoint_ms": 400}))

    def test_speaking_rate(self) -> None:
        """A rate outside 0.5 to 2.0 is brought inside with a warning; one within is used as it is."""
        for rate, speed in ((None, 1.0), (1.0005, 1.0), (1.5, 1.5), (0.25, 0.5), (4.0, 2.0)):
            (sent,) = speaking(rate=rate).send(wire.Speak("x"))
            assert isinstance(sent, str)
            self.assertEqual(json.loads(sent), {"text": "x", "speed": speed, "language": "en-US"})
        self.assertEqual(self.warned(rate=1.5), [])
        self.assertEqual(self.warned(rate=4.0), ["local: speaking rate 4 becomes 2"])

    def test_warnings_once(self) -> None:
        """What is ignored is said once for each connection."""
        dialogue = speaking(rate=4.0)
        self.assertEqual(len(dialogue.receive(b"\0\0")), 2)
        self.assertEqual(len(dialogue.receive(b"\0\0")), 1)


class ProviderTests(SynchronousTestCase):
    """What the module offers."""

    def test_no_credentials(self) -> None:
        """Nothing has to be configured to use it."""
        self.assertEqual(local.local.credentials, ())
        self.assertIsNone(local.local.check(Account()) if local.local.check else "no check")

    def test_operators_settings(self) -> None:
        """A mistyped option and an endpoint, which nothing would use, are refused at start with their paths."""
        for account, path in (
            (Account(options={"no_such_option": 1}), "options.no_such_option"),
            (Account(options={"endpoint_ms": 1}), "options.endpoint_ms"),
            (Account(endpoint="http://127.0.0.1:1"), "endpoint"),
        ):
            error = self.assertRaises(ConfigError, local.check, account)
            self.assertEqual(error.path, path)

    def test_voice_list(self) -> None:
        """The list of voices needs no request and has every field filled."""
        voices = local.Voices(Account())
        self.assertIsNone(voices.first())
        rows, following = voices.read(b"")
        self.assertIsNone(following)
        (row,) = rows
        self.assertEqual((row.id, row.language, row.gender), ("heart", "English", "Female"))

    def test_default_models(self) -> None:
        """The models in the documentation are those that are used."""
        self.assertEqual(listening().opening.url, f"engine:{local.local.models['listen']}")
        self.assertEqual(speaking().opening.url, f"engine:{local.local.models['speak']}")

    def test_the_round_trip(self) -> None:
        """What the voice says is recognised, word for word, through both dialogues and both models."""
        said = speaking()
        audio = b"".join(
            event.frame.data
            for event in self.run_engine(said, [wire.Speak("The gateway is listening.")])
            if isinstance(event, wire.Spoken)
        )
        heard = listening()
        frames = [wire.Audio(frame) for frame in sounds.pieces(sounds.lowered(audio))]
        events = self.run_engine(heard, [*frames, wire.Finish()])
        finals = [e.text for e in events if isinstance(e, wire.Transcript) and e.is_speech_final]
        self.assertEqual(finals, ["The gateway is listening."])

    def run_engine(
        self, dialogue: local.Listen | local.Speak, commands: list[wire.Command]
    ) -> list[wire.Event]:
        """What an engine link does, without threads."""
        opened = dialogue.opening.local
        assert opened is not None
        engine = opened.open(opened.load())
        events: list[wire.Event] = []
        for command in commands:
            for outgoing in dialogue.send(command):
                assert isinstance(outgoing, str | bytes)
                for answer in engine.feed(outgoing):
                    events += dialogue.receive(answer)
        engine.close()
        return events
