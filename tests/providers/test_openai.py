"""OpenAI against its recordings and against a server as strict as OpenAI."""

import json
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase, TestCase

from waav.errors import BadRequest, ConfigError, ProviderBusy
from waav.providers.openai import openai
from waav.providers.openai.options import LISTEN_OPTIONS
from waav.providers.openai.voices import VOICES, Voices
from waav.secret import Secret
from waav.speech import wire
from waav.speech.audio import AudioFormat, Container, Encoding
from waav.speech.provider import Account, Emotion, ListenSettings, SpeakSettings
from waav.testing import forms
from waav.testing.contract import Events, ListenContract, SpeakContract
from waav.testing.signal import Signal

WIRE = Path(__file__).parents[1] / "wire"
ACCOUNT = Account(key=Secret("test-key"))
ELSEWHERE = Account(key=Secret("test-key"), endpoint="https://speech.example/v1")
FILES: tuple[tuple[Encoding, Container, str, str], ...] = (
    ("linear16", "wav", "audio.wav", "audio/wav"), ("mp3", "raw", "audio.mp3", "audio/mpeg"),
    ("flac", "raw", "audio.flac", "audio/flac"), ("opus", "ogg", "audio.ogg", "audio/ogg"),
    ("vorbis", "ogg", "audio.ogg", "audio/ogg"), ("opus", "webm", "audio.webm", "audio/webm"),
    ("aac", "mp4", "audio.m4a", "audio/m4a"),
)  # fmt: skip


def listen(account: Account = ACCOUNT, **chosen: Any) -> wire.Dialogue:
    assert openai.listen is not None
    return openai.listen(ListenSettings("openai", **chosen), account)


def speak(account: Account = ACCOUNT, **chosen: Any) -> wire.Dialogue:
    assert openai.speak is not None
    return openai.speak(SpeakSettings("openai", **chosen), account)


def upload(dialogue: wire.Dialogue, data: bytes = bytes(32000)) -> list[forms.Part]:
    """The form that goes out for that audio."""
    dialogue.send(wire.Audio(data))
    [request] = dialogue.send(wire.Finish())
    assert isinstance(request, wire.Request)
    return forms.parse(request.headers["Content-Type"], request.body)


def fields(dialogue: wire.Dialogue) -> dict[str, list[str]]:
    """Names and values of the form without its file."""
    found: dict[str, list[str]] = {}
    for one in upload(dialogue)[1:]:
        found.setdefault(one.name, []).append(one.data.decode())
    return found


def transcript(dialogue: wire.Dialogue, answer: bytes) -> wire.Transcript:
    """What an answer to one upload means."""
    upload(dialogue)
    dialogue.receive(wire.Head(200, {}))
    dialogue.receive(wire.Body(answer))
    [event] = dialogue.receive(wire.End())
    assert isinstance(event, wire.Transcript)
    return event


def asked(dialogue: wire.Dialogue, text: str = "Hello.") -> dict[str, Any]:
    """The JSON of the request for a text."""
    [request] = dialogue.send(wire.Speak(text))
    assert isinstance(request, wire.Request)
    body: dict[str, Any] = json.loads(request.body)
    return body


def warnings(dialogue: wire.Dialogue) -> list[str]:
    events = dialogue.receive(wire.Head(200, {"content-type": "audio/pcm"}))
    return [event.message for event in events if isinstance(event, wire.Warned)]


WHOLE = {"flush_strategy": "on_disconnect"}


class OpenAIListenTests(ListenContract, TestCase):
    """Recognition as every provider must do it, over HTTP (F-147)."""

    provider = openai
    folder = WIRE

    async def test_every_model(self) -> None:
        """Every model is asked for by its name, for an answer that says as much as it can, and its words arrive
        (F-147, F-148)."""
        for model, answer in (
            ("whisper-1", "verbose_json"),
            ("gpt-4o-transcribe", "json"),
            ("gpt-4o-mini-transcribe-2025-12-15", "json"),
            ("gpt-4o-transcribe-diarize", "diarized_json"),
            ("gpt-transcribe", "json"),
        ):
            sent = await self.transcribed(model=model)
            self.assertEqual(sent, {(model, answer)})

    async def test_every_answer_format(self) -> None:
        """Each answer format is asked for as it was chosen, from every model that has it, and understood: subtitles
        without their numbers and times (F-148)."""
        for model, answers in (
            ("whisper-1", ("json", "text", "srt", "vtt", "verbose_json")),
            ("gpt-4o-transcribe-diarize", ("json", "text", "diarized_json")),
            ("gpt-4o-transcribe", ("json",)),
            ("gpt-transcribe", ("json",)),
        ):
            for answer in answers:
                options = {"response_format": answer}
                sent = await self.transcribed(model=model, options=options)
                self.assertEqual(sent, {(model, answer)})

    async def transcribed(self, **chosen: Any) -> set[tuple[str, str]]:
        """Have every word recognised; which models were asked for which answers."""
        events, server = Events(), self.server(self.signal)
        link = await self.open(server, events, **chosen)
        self.send(link, 0.0, self.signal.seconds)
        await link.close()
        self.assertEqual(events.finals, self.signal.text, chosen)
        sent = set()
        for request in server.requests:
            form = forms.parse(request.headers["content-type"], request.body)
            values = {one.name: one.data.decode() for one in form if one.filename is None}
            sent.add((values["model"], values["response_format"]))
        return sent

    async def test_stereo_and_other_rates(self) -> None:
        """What a caller sends at 8 kHz is packed as that and understood (F-128)."""
        signal = Signal.speaking("low", ["at eight kilohertz"], rate_hz=8000)
        events = Events()
        server = self.server(signal)
        link = await self.open(server, events, format=signal.format)
        link.send(wire.Audio(signal.pcm))
        await link.close()
        self.assertEqual(events.finals, signal.text)

    async def test_a_failed_upload_between(self) -> None:
        """An upload that fails for good is reported; the times of the next one are still its own."""
        events = Events()
        server = self.server(self.signal)
        link = await self.open(server, events, model="whisper-1")
        failed = events.next(lambda event: isinstance(event, wire.Failed))
        server.fail_next(400, b'{"error":{"message":"bad audio"}}')
        self.send(link, 0.0, self.signal.seconds)
        await link.close()
        await failed
        [found] = [one for one in events.all if isinstance(one, wire.Transcript)]
        self.assertEqual(found.text, "how are you today")
        said = self.signal.words[3]
        self.assertEqual(found.words[0].text, "how")
        self.assertAlmostEqual(found.words[0].start_s, said.start_s, places=2)

    async def test_too_large(self) -> None:
        """An upload that is too large for the vendor is cut in a quiet place and recognised in two halves, in order."""
        events = Events()
        server = self.server(self.signal)
        link = await self.open(server, events, model="whisper-1")
        server.fail_next(413, b'{"error":{"message":"Maximum content size limit exceeded"}}')
        self.send(link, 0.0, self.signal.seconds)
        await link.close()
        self.assertEqual(events.finals, self.signal.text)
        self.assertEqual(len(server.requests), 4)  # the first, its halves, and the one behind it
        words = [word for one in events.of(wire.Transcript) for word in one.words]
        for found, said in zip(words, self.signal.words, strict=True):
            self.assertAlmostEqual(found.start_s, said.start_s, places=2)
        self.assertEqual(events.of(wire.Failed), [])

    async def test_still_too_large(self) -> None:
        """A half that is too large as well is reported once and forgotten; what comes after it is recognised."""
        events = Events()
        server = self.server(self.signal)
        link = await self.open(server, events, options=WHOLE)
        server.fail_next(413, b"{}", times=2)
        self.send(link, 0.0, self.signal.seconds)
        await link.close()
        self.assertEqual(events.finals, "how are you today")
        self.assertEqual(len(server.requests), 3)
        [failed] = events.of(wire.Failed)
        self.assertEqual(failed.error.upstream_status, 413)

    async def test_nothing_to_cut(self) -> None:
        """A file, and any other refusal, is reported as it is."""
        for status, chosen in (
            (413, {"format": AudioFormat("mp3")}),
            (400, {"options": WHOLE}),
        ):
            events = Events()
            server = self.server(self.signal)
            link = await self.open(server, events, **chosen)
            server.fail_next(status, b"{}")
            link.send(wire.Audio(self.signal.pcm))
            await link.close()
            [failed] = events.of(wire.Failed)
            self.assertEqual(failed.error.upstream_status, status)
            self.assertEqual(len(server.requests), 1)


class OpenAIUploadTests(SynchronousTestCase):
    def test_files_go_out_as_they_came(self) -> None:
        """Name, type and bytes of an upload agree: containers as given, raw audio as WAV (STT-OAI-01, F-148)."""
        for encoding, container, filename, mime in FILES:
            audio = AudioFormat(encoding, 44100, 1, container)
            dialogue = listen(format=audio)
            self.assertEqual(dialogue.format, audio)
            file = upload(dialogue, b"anything at all")[0]
            self.assertEqual(
                (file.name, file.filename, file.content_type), ("file", filename, mime)
            )
            self.assertEqual(file.data, b"anything at all")
        file = upload(listen(options=WHOLE))[0]
        self.assertEqual((file.filename, file.content_type), ("audio.wav", "audio/wav"))
        self.assertEqual(file.data[:4] + file.data[8:16], b"RIFFWAVEfmt ")
        self.assertEqual(len(file.data), 44 + 32000)

    def test_other_raw_encodings(self) -> None:
        """Mu-law and A-law are wanted decoded; what nobody can decode is refused at once (STT-OAI-02)."""
        for encoding in ("mulaw", "alaw", "linear32", "float32"):
            asked_for = AudioFormat(encoding, 8000, 2)  # type: ignore[arg-type]
            self.assertEqual(listen(format=asked_for).format, AudioFormat("linear16", 8000, 2))
        for encoding in ("amr_nb", "opus", "aac", "g729"):
            error = self.assertRaises(BadRequest, listen, format=AudioFormat(encoding))  # type: ignore[arg-type]
            self.assertIn(encoding, error.message)

    def test_strategies(self) -> None:
        """Each flush strategy acts as set, and files can only go out whole (F-149)."""
        half_second = Signal("noise", 0.5).pcm
        by_size = listen(options={"flush_strategy": "on_threshold", "flush_threshold_bytes": 16000})
        self.assertEqual(len(by_size.send(wire.Audio(half_second))), 1)
        at_the_end = listen(options=WHOLE)
        self.assertEqual(at_the_end.send(wire.Audio(half_second)), [])
        self.assertEqual(len(at_the_end.send(wire.Finish())), 1)
        self.assertEqual(at_the_end.send(wire.Finish()), [])
        error = self.assertRaises(
            BadRequest, listen, format=AudioFormat("mp3"), options={"flush_strategy": "on_silence"}
        )
        self.assertIn("flush_strategy", error.message)

    def test_silence_settings(self) -> None:
        """Threshold and duration of silence come from the options (F-150)."""
        signal = Signal.speaking("settings", ["one"], pause_s=0.9)
        self.assertEqual(listen().send(wire.Audio(signal.pcm)), [])
        eager = listen(options={"silence_duration_ms": 300, "min_audio_duration_ms": 100})
        self.assertEqual(len(eager.send(wire.Audio(signal.pcm))), 1)
        deaf = listen(options={"silence_duration_ms": 300, "rms_threshold": 0.9})
        self.assertEqual(deaf.send(wire.Audio(signal.pcm)), [])
        self.assertEqual(deaf.send(wire.Finish()), [])

    def test_largest_file(self) -> None:
        """The configured maximum bounds every upload (STT-OAI-05)."""
        dialogue = listen(options={"max_file_size_bytes": 200000, **WHOLE})
        requests = dialogue.send(wire.Audio(bytes(500000))) + dialogue.send(wire.Finish())
        sizes = []
        for request in requests:
            assert isinstance(request, wire.Request)
            sizes.append(len(forms.parse(request.headers["Content-Type"], request.body)[0].data))
        self.assertGreater(len(sizes), 2)
        self.assertLessEqual(max(sizes), 200000)

    def test_failed_uploads_are_forgotten(self) -> None:
        """While a vendor is down for hours, the audio of its failed uploads does not fill the memory."""
        dialogue: Any = listen(options=WHOLE)
        for _ in range(3):
            dialogue.send(wire.Audio(bytes(32000)))
            [request] = dialogue.send(wire.Flush())
            error = ProviderBusy("openai", "down", upstream_status=503)
            self.assertEqual(dialogue.instead(request, error), [])
            self.assertEqual(len(dialogue._asked), 0)

    def test_file_that_is_too_large(self) -> None:
        """Of a file beyond the limit the beginning is used, and that is said."""
        dialogue = listen(format=AudioFormat("mp3"), options={"max_file_size_bytes": 200000})
        self.assertEqual(len(upload(dialogue, bytes(250000))[0].data), 200000)
        dialogue.receive(wire.Head(200, {}))
        dialogue.receive(wire.Body(b'{"text": "x"}'))
        events = dialogue.receive(wire.End())
        self.assertEqual([type(one) for one in events], [wire.Transcript, wire.Warned])

    def test_form(self) -> None:
        """Language is cut to two letters, options arrive, lists repeat; nothing else is in the form (F-128, F-148)."""
        self.assertEqual(
            fields(listen(language="pt-BR", options=WHOLE)),
            {"model": ["gpt-transcribe"], "response_format": ["json"], "language": ["pt"]},
        )
        self.assertNotIn("language", fields(listen(language="auto", options=WHOLE)))
        found = fields(
            listen(options=WHOLE | {"keywords": ["WaaV", "Søn"], "languages": ["en", "da"]})
        )
        self.assertEqual(found["keywords[]"], ["WaaV", "Søn"])
        self.assertEqual(found["languages[]"], ["en", "da"])
        self.assertNotIn("language", found)
        found = fields(
            listen(
                model="gpt-4o-transcribe-diarize",
                options=WHOLE
                | {
                    "known_speaker_names": ["a", "b"],
                    "known_speaker_references": ["data:audio/wav;base64,UklGRg=="] * 2,
                },
            )
        )
        self.assertEqual(found["response_format"], ["diarized_json"])
        self.assertEqual(found["chunking_strategy"], ["auto"])
        self.assertEqual(found["known_speaker_names[]"], ["a", "b"])
        found = fields(
            listen(
                model="gpt-4o-transcribe", options=WHOLE | {"temperature": 0.5, "prompt": "WaaV"}
            )
        )
        self.assertEqual(
            (found["include[]"], found["temperature"], found["prompt"]),
            (["logprobs"], ["0.5"], ["WaaV"]),
        )
        vad = {"type": "server_vad", "threshold": 0.5}
        found = fields(listen(options=WHOLE | {"chunking_strategy": vad}))
        self.assertEqual(json.loads(found["chunking_strategy"][0]), vad)

    def test_wrong_choices(self) -> None:
        """What a model cannot do is refused, naming the option (F-148, STT-01)."""
        for model, options, named in (
            ("nova-3", {}, "nova-3"),
            ("gpt-4o-transcribe", {"response_format": "verbose_json"}, "verbose_json"),
            ("whisper-1", {"response_format": "diarized_json"}, "diarized_json"),
            ("whisper-1", {"keywords": ["x"]}, "keywords"),
            ("gpt-4o-transcribe-diarize", {"prompt": "x"}, "prompt"),
            ("gpt-transcribe", {"known_speaker_names": ["x"]}, "known_speaker_names"),
            (None, {"temperature": 2}, "temperature"),
            (None, {"silence_duration_ms": 50}, "silence_duration_ms"),
            (None, {"chunking_strategy": "mine"}, "chunking_strategy"),
            (None, {"chunking_strategy": {"type": "server_vad", "treshold": 0.5}}, "treshold"),
            (None, {"chunking_strategy": {"type": "server_vad", "threshold": 2}}, "threshold"),
            (None, {"chunking_strategy": {"type": "client_vad"}}, "chunking_strategy"),
            (None, {"languages": ["en", "xx"]}, "languages"),
            ("gpt-4o-transcribe-diarize", {"known_speaker_references": "ann.wav"}, "references"),
            (
                "gpt-4o-transcribe-diarize",
                {"known_speaker_names": list("abcde")},
                "known_speaker_names",
            ),
        ):
            error = self.assertRaises(BadRequest, listen, model=model, options=options)
            self.assertIn(named, error.message)
        self.assertIn("response_format", {option.name for option in LISTEN_OPTIONS})
        error = self.assertRaises(BadRequest, listen, language="xx")
        self.assertIn("'xx'", error.message)

    def test_operators_wishes(self) -> None:
        """An operator's option that a model cannot take is left out."""
        account = Account(
            key=Secret("k"), options={"prompt": "x", "response_format": "verbose_json", **WHOLE}
        )
        found = fields(listen(account, model="gpt-4o-transcribe-diarize"))
        self.assertEqual((found.get("prompt"), found["response_format"]), (None, ["diarized_json"]))
        assert openai.check is not None
        openai.check(account)
        wrong = Account(options={"temperature": "hot"})
        self.assertEqual(
            self.assertRaises(ConfigError, openai.check, wrong).path, "options.temperature"
        )

    def test_other_vendors(self) -> None:
        """Behind somebody else's address every model name passes."""
        self.assertEqual(
            fields(listen(ELSEWHERE, model="large-v3", options=WHOLE))["model"], ["large-v3"]
        )

    def test_confidence(self) -> None:
        """Confidence comes from log-probabilities where there are any, weighted by length, and stays within 0 and 1."""
        segments = [
            {"start": 0, "end": 3, "text": "a", "avg_logprob": 0.0},
            {"start": 3, "end": 4, "text": "b", "avg_logprob": -50.0},
        ]
        verbose = json.dumps({"text": "a b", "segments": segments}).encode()
        self.assertAlmostEqual(
            transcript(listen(model="whisper-1", options=WHOLE), verbose).confidence, 0.75
        )
        scored = json.dumps(
            {"text": "a", "logprobs": [{"logprob": -0.5}, {"logprob": -1.5}]}
        ).encode()
        model = "gpt-4o-transcribe"
        self.assertAlmostEqual(
            transcript(listen(model=model, options=WHOLE), scored).confidence, 0.36788, places=4
        )
        self.assertEqual(transcript(listen(options=WHOLE), b'{"text":"a"}').confidence, 1.0)

    def test_speakers(self) -> None:
        """A diarised answer says who said what."""
        answer = {"text": "Hi. Ho.", "segments": [
            {"start": 0.0, "end": 0.5, "text": " Hi.", "speaker": "A"},
            {"start": 0.5, "end": 0.9, "text": " Ho.", "speaker": "B"},
        ]}  # fmt: skip
        found = transcript(
            listen(model="gpt-4o-transcribe-diarize", options=WHOLE), json.dumps(answer).encode()
        )
        self.assertEqual(
            [(one.text, one.speaker) for one in found.words], [("Hi.", "A"), ("Ho.", "B")]
        )

    def test_endless_answer(self) -> None:
        """An answer that does not end is given up, not collected for ever."""
        dialogue = listen(options=WHOLE)
        upload(dialogue)
        dialogue.receive(wire.Head(200, {}))
        from waav.errors import WireError

        for _ in range(8):
            dialogue.receive(wire.Body(bytes(1024 * 1024)))
        self.assertRaises(WireError, dialogue.receive, wire.Body(b"x"))

    def test_callers_own_key(self) -> None:
        """The server's organisation is not mixed with a caller's own key."""
        credentials = {"organization": "org-1"}
        for is_own in (True, False):
            account = Account(Secret("k"), credentials, is_callers_own=is_own)
            [request] = speak(account).send(wire.Speak("x"))
            assert isinstance(request, wire.Request)
            self.assertEqual("OpenAI-Organization" in request.headers, not is_own)


class OpenAISpeakTests(SpeakContract, TestCase):
    """Synthesis as every provider must do it, over HTTP (F-188, F-174)."""

    provider = openai
    folder = WIRE

    def test_declares_what_it_streams(self) -> None:
        """Callers who prefer compressed audio get Opus first: the contract asks for each of these (TTS-06)."""
        self.assertEqual(openai.compressed, ("opus", "mp3", "aac"))

    async def test_formats(self) -> None:
        """Every format is asked for by OpenAI's name and arrives labelled as what it is (F-189, TTS-OAI-01)."""
        for encoding, container, rate_hz, begins in (
            ("linear16", "raw", 24000, b""), ("linear16", "wav", 24000, b"RIFF"),
            ("mp3", "raw", 24000, b"\xff\xf3"), ("opus", "ogg", 48000, b"OggS"),
            ("flac", "raw", 24000, b"fLaC"), ("aac", "raw", 24000, b"\xff\xf1"),
        ):  # fmt: skip
            events = Events()
            audio = AudioFormat(encoding, 8000, 1, container)  # type: ignore[arg-type]
            link = await self.open(self.server(), events, format=audio)
            data = await self.spoken(link, events, "Hello there.")
            self.assertTrue(data.startswith(begins))
            labels = {one.frame.format for one in events.all if isinstance(one, wire.Spoken)}
            self.assertEqual(labels, {AudioFormat(audio.encoding, rate_hz, 1, audio.container)})
            if not begins:
                self.assertEqual(len(data), 12 * 60 * 24 * 2)
            await link.close()

    async def test_every_voice_and_model(self) -> None:
        """Every voice and model is accepted and sent unchanged (F-188, TTS-OAI-03)."""
        server = self.server()
        for model in ("tts-1", "tts-1-hd", "gpt-4o-mini-tts", "gpt-4o-mini-tts-2025-12-15"):
            for voice in (*VOICES, "voice_123") if model == "gpt-4o-mini-tts" else ("alloy",):
                events = Events()
                link = await self.open(server, events, model=model, voice=voice)
                await self.spoken(link, events, "x")
                body = json.loads(server.requests[-1].body)
                sent = {"id": voice} if voice == "voice_123" else voice
                self.assertEqual((body["model"], body["voice"]), (model, sent))
                await link.close()


class OpenAISpeakOptionTests(SynchronousTestCase):
    def test_defaults(self) -> None:
        """With nothing chosen the request has OpenAI's own defaults and headerless audio (TTS-OAI-01)."""
        self.assertEqual(
            asked(speak()),
            {
                "model": "gpt-4o-mini-tts",
                "voice": "alloy",
                "response_format": "pcm",
                "input": "Hello.",
            },
        )

    def test_unknown_names(self) -> None:
        """An unknown voice or model is an error that names what there is, not a silent default (TTS-OAI-03)."""
        error = self.assertRaises(BadRequest, speak, voice="aura-asteria-en")
        self.assertIn("shimmer", error.message)
        for voice in ("ballad", "verse", "marin", "cedar"):
            error = self.assertRaises(BadRequest, speak, model="tts-1-hd", voice=voice)
            self.assertIn("tts-1-hd", error.message)
        error = self.assertRaises(BadRequest, speak, model="sonic-3")
        self.assertIn("tts-1-hd", error.message)
        body = asked(speak(ELSEWHERE, model="kokoro", voice="af_sky"))
        self.assertEqual((body["model"], body["voice"]), ("kokoro", "af_sky"))

    def test_rate_changes_nothing(self) -> None:
        """Callers who want different rates share one request; what comes is labelled 24 kHz (TTS-OAI-02)."""
        low, high = (
            speak(format=AudioFormat("linear16", 8000)),
            speak(format=AudioFormat("mulaw", 16000)),
        )
        self.assertEqual(low.send(wire.Speak("x")), high.send(wire.Speak("x")))
        self.assertEqual((low.format.rate_hz, high.format.rate_hz), (24000, 24000))

    def test_format_it_lacks(self) -> None:
        """A format OpenAI has not is refused, not replaced by mp3."""
        for audio in (AudioFormat("vorbis", 24000, 1, "ogg"), AudioFormat("aac", 24000, 1, "mp4")):
            self.assertRaises(BadRequest, speak, format=audio)

    def test_speed(self) -> None:
        """Speed is sent within 0.25 and 4; a value beyond is cut and reported once (F-189)."""
        for rate, speed, warned in (
            (0.25, 0.25, 0),
            (4.0, 4.0, 0),
            (1.0, None, 0),
            (0.1, 0.25, 1),
            (5.0, 4.0, 1),
        ):
            dialogue = speak(rate=rate)
            self.assertEqual(asked(dialogue).get("speed"), speed)
            self.assertEqual(len(warnings(dialogue)), warned)
            self.assertEqual(warnings(dialogue), [])

    def test_emotion(self) -> None:
        """An emotion becomes instructions; tts-1, which takes none, says once that it is ignored (EMO-01)."""
        sad = Emotion("sad", 1.0, "whispered")
        self.assertIn("sad", asked(speak(emotion=sad))["instructions"])
        self.assertIn("whisper", asked(speak(emotion=sad))["instructions"])
        self.assertEqual(
            asked(speak(emotion=sad, options={"instructions": "Sing."}))["instructions"], "Sing."
        )
        old = speak(model="tts-1", emotion=sad)
        self.assertEqual(asked(old), asked(speak(model="tts-1")))
        [said] = warnings(old)
        self.assertIn("openai", said)
        self.assertEqual(warnings(old), [])
        self.assertNotIn("instructions", asked(speak(emotion=Emotion())))
        self.assertRaises(BadRequest, speak, model="tts-1-hd", options={"instructions": "Sing."})
        self.assertRaises(BadRequest, speak, options={"instructions": "x" * 4097})

    def test_voices(self) -> None:
        """The voices are listed without asking anybody."""
        listing = Voices(ACCOUNT)
        self.assertIsNone(listing.first())
        voices, more = listing.read(b"")
        self.assertEqual((len(voices), more), (13, None))
        self.assertEqual(
            (voices[0].id, voices[0].name, voices[0].language), ("alloy", "Alloy", "Multilingual")
        )
