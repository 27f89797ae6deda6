"""Names of audio formats."""

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from waav.errors import BadRequest
from waav.speech.audio import AudioFormat
from waav.speech.formats import (
    LISTEN_NAMES,
    SPEAK_NAMES,
    content_type,
    delivered,
    label,
    listen_format,
    resolve,
)


class ResolveTests(SynchronousTestCase):
    """``audio_format`` and ``sample_rate`` of a request."""

    def test_spellings(self) -> None:
        """Every spelling in use for headerless PCM means PCM with the right rate (TTS-04, S-TTS-19)."""
        for name, rate_hz in (
            ("linear16", 24000),
            ("PCM", 24000),
            ("pcm16", 24000),
            ("pcm_s16le", 24000),
            ("S16LE", 24000),
            ("raw", 24000),
            ("l16", 24000),
            ("pcm_16000", 16000),
            ("pcm-48000", 48000),
            ("raw-24khz-16bit-mono-pcm", 24000),
            ("Raw 8KHz 16bit mono PCM", 8000),
            ("raw-22050hz-16bit-mono-pcm", 22050),
        ):
            self.assertEqual(resolve(name, None), AudioFormat("linear16", rate_hz), name)

    def test_other_families(self) -> None:
        """Telephony, WAV and compressed names resolve to encoding, container and rate (S-TTS-19)."""
        for name, fmt in (
            ("wav", AudioFormat("linear16", 24000, 1, "wav")),
            ("riff-16khz-16bit-mono-pcm", AudioFormat("linear16", 16000, 1, "wav")),
            ("riff-8khz-8bit-mono-alaw", AudioFormat("alaw", 8000, 1, "wav")),
            ("wav_44100", AudioFormat("linear16", 44100, 1, "wav")),
            ("mulaw", AudioFormat("mulaw", 8000)),
            ("mu-law", AudioFormat("mulaw", 8000)),
            ("ulaw_8000", AudioFormat("mulaw", 8000)),
            ("g711_ulaw", AudioFormat("mulaw", 8000)),
            ("raw-8khz-8bit-mono-mulaw", AudioFormat("mulaw", 8000)),
            ("PCMA", AudioFormat("alaw", 8000)),
            ("alaw_8000", AudioFormat("alaw", 8000)),
            ("mp3", AudioFormat("mp3", 24000)),
            ("mp3_44100_128", AudioFormat("mp3", 44100)),
            ("audio-48khz-192kbitrate-mono-mp3", AudioFormat("mp3", 48000)),
            ("opus", AudioFormat("opus", 48000, 1, "ogg")),
            ("ogg-24khz-16bit-mono-opus", AudioFormat("opus", 24000, 1, "ogg")),
            ("opus_48000_64", AudioFormat("opus", 48000, 1, "ogg")),
            ("webm-24khz-16bit-mono-opus", AudioFormat("opus", 24000, 1, "webm")),
            ("vorbis", AudioFormat("vorbis", 24000, 1, "ogg")),
            ("flac", AudioFormat("flac", 24000)),
            ("adts", AudioFormat("aac", 24000)),
            ("mp4", AudioFormat("aac", 24000, 1, "mp4")),
            ("f32le", AudioFormat("float32", 24000)),
            ("raw-16khz-16bit-stereo-pcm", AudioFormat("linear16", 16000, 2)),
        ):
            self.assertEqual(resolve(name, None), fmt, name)

    def test_rates(self) -> None:
        """An explicit rate wins for audio we can resample; a compressed name keeps its own."""
        self.assertEqual(resolve("pcm_16000", 8000).rate_hz, 8000)
        self.assertEqual(resolve("mulaw", 16000).rate_hz, 16000)
        self.assertEqual(resolve("mp3_44100_128", 24000).rate_hz, 44100)
        self.assertEqual(resolve("mp3", 22050).rate_hz, 22050)
        self.assertEqual(resolve(None, None, default_rate_hz=16000), AudioFormat("linear16", 16000))
        self.assertEqual(resolve("", 8000), AudioFormat("linear16", 8000))

    def test_unknown(self) -> None:
        """An unknown name is refused with the list of known ones, never replaced by another format."""
        for name in ("mp5", "pcm_", "raw-24khz-16bit-mono-truesilk", "foo_16000"):
            error = self.assertRaises(BadRequest, resolve, name, None)
            self.assertIn("audio_format", error.message)
            for known in SPEAK_NAMES:
                self.assertIn(known, error.message)

    def test_silly_rates(self) -> None:
        """A rate nobody uses is refused, in the field or in the name."""
        for name, rate_hz in (("linear16", 0), ("linear16", 10**7), ("pcm_999999", None)):
            error = self.assertRaises(BadRequest, resolve, name, rate_hz)
            self.assertIn("sample_rate", error.message)

    def test_long_multi_byte_name(self) -> None:
        """A long name in any script is cut by characters in the error (X-14)."""
        error = self.assertRaises(BadRequest, resolve, "é" * 500, None)
        self.assertIn("é" * 40 + "'", error.message)
        self.assertNotIn("é" * 41, error.message)

    @given(st.text(max_size=30))
    def test_any_name(self, name: str) -> None:
        """No name makes anything but a format or a refusal."""
        try:
            fmt = resolve(name, None)
        except BadRequest:
            return
        self.assertIn("/", content_type(fmt))

    def test_own_labels(self) -> None:
        """What we call a format in a header is a name we take in a request."""
        for name in SPEAK_NAMES:
            fmt = resolve(name, 16000)
            self.assertEqual(resolve(label(fmt), 16000), fmt)
            self.assertEqual(label(fmt), name)


class ContentTypeTests(SynchronousTestCase):
    """The ``Content-Type`` of ``POST /speak``."""

    def test_table(self) -> None:
        """Each name of the contract's table has its type (D-07, SPK-02)."""
        for names, expected in (
            ("linear16 pcm pcm16 pcm_s16le pcm_8000 pcm_48000 raw", "audio/pcm"),
            ("raw-16khz-16bit-mono-pcm pcm_f32le", "audio/pcm"),
            ("wav riff-24khz-16bit-mono-pcm wav_16000", "audio/wav"),
            ("mp3 mpeg mp3_44100_128 audio-24khz-48kbitrate-mono-mp3", "audio/mpeg"),
            ("ogg opus ogg_opus ogg_vorbis opus_48000_64", "audio/ogg"),
            ("ogg-24khz-16bit-mono-opus", "audio/ogg"),
            ("mulaw ulaw ulaw_8000 mu-law raw-8khz-8bit-mono-mulaw", "audio/basic"),
            ("alaw alaw_8000 raw-8khz-8bit-mono-alaw", "audio/x-alaw-basic"),
            ("flac", "audio/flac"),
            ("aac", "audio/aac"),
            ("m4a", "audio/mp4"),
            ("webm webm-24khz-16bit-mono-opus", "audio/webm"),
        ):
            for name in names.split():
                self.assertEqual(content_type(resolve(name, None)), expected, name)
                self.assertEqual(content_type(resolve(name.upper(), None)), expected, name)

    def test_everything_has_one(self) -> None:
        """No format that can be listened to or spoken is labelled a byte stream (SPK-02)."""
        for name in LISTEN_NAMES:
            self.assertTrue(content_type(listen_format(name, 16000, 1)).startswith("audio/"), name)


class DeliveredTests(SynchronousTestCase):
    """The ``Content-Type`` of a vendor's answer."""

    def test_table(self) -> None:
        """A vendor's type that contradicts what was asked for is believed (S-TTS-31)."""
        pcm = AudioFormat("linear16", 24000)
        for types, expected in (
            ("audio/mpeg audio/mp3 Audio/MPEG;q=1", AudioFormat("mp3", 24000)),
            ("audio/ogg application/ogg audio/opus", AudioFormat("opus", 48000, 1, "ogg")),
            ("audio/webm", AudioFormat("opus", 48000, 1, "webm")),
            ("audio/flac audio/x-flac", AudioFormat("flac", 24000)),
            ("audio/aac", AudioFormat("aac", 24000)),
            ("audio/mp4 audio/x-m4a", AudioFormat("aac", 24000, 1, "mp4")),
            ("audio/wav audio/x-wav audio/vnd.wave", AudioFormat("linear16", 24000, 1, "wav")),
            ("audio/basic audio/mulaw", AudioFormat("mulaw", 8000)),
            ("audio/x-alaw-basic audio/alaw", AudioFormat("alaw", 8000)),
            ("audio/l16;rate=16000 audio/pcm;RATE=16000", AudioFormat("linear16", 16000)),
            ('audio/L16;channels=2;rate="8000"', AudioFormat("linear16", 8000, 2)),
            ("audio/basic;rate=16000", AudioFormat("mulaw", 16000)),
        ):
            for name in types.split():
                self.assertEqual(delivered(name, pcm), expected, name)

    def test_as_asked(self) -> None:
        """A type that only says less than what was asked for changes nothing."""
        for name, asked in (
            ("", AudioFormat("mp3", 22050)),
            ("application/octet-stream", AudioFormat("linear16", 8000)),
            ("audio/mpeg", AudioFormat("mp3", 22050)),
            ("audio/ogg; codecs=vorbis", AudioFormat("vorbis", 22050, 1, "ogg")),
            ("audio/mp4", AudioFormat("aac", 22050, 1, "mp4")),
            ("audio/pcm", AudioFormat("float32", 24000)),
            ("audio/l16", AudioFormat("linear16", 24000, 2)),
            ("audio/l16;rate=24000;channels=1", AudioFormat("linear16", 24000)),
            ("audio/pcm;rate=0;channels=0", AudioFormat("linear16", 24000)),
            ("audio/l16;bitrate=16000", AudioFormat("linear16", 24000)),
            ("audio/l16", AudioFormat("linear16", 24000, 1, "wav")),
            ("audio/wav", AudioFormat("mulaw", 8000, 1, "wav")),
            ("audio/basic", AudioFormat("mulaw", 16000)),
            ("audio/basic", AudioFormat("alaw", 8000)),
            ("audio/flac", AudioFormat("flac", 8000)),
        ):
            self.assertEqual(delivered(name, asked), asked, name)

    def test_no_audio(self) -> None:
        """What is no audio, or of a kind nobody here knows, is not taken for what was asked for (S-TTS-31)."""
        for name in ("text/html", "application/json", "audio/midi", "image/png", "audio", "mpeg"):
            self.assertIsNone(delivered(name, AudioFormat()), name)

    def test_our_own(self) -> None:
        """A gateway that asks another one understands every type it answers with."""
        for name in SPEAK_NAMES:
            fmt = resolve(name, 16000)
            self.assertEqual(delivered(content_type(fmt), fmt), fmt)


class ListenFormatTests(SynchronousTestCase):
    """``encoding`` of an ``stt_config``."""

    def test_aliases(self) -> None:
        """Every alias of the encoding table is understood, in any case and with either hyphen."""
        for names, encoding, container in (
            ("linear16 PCM pcm16 pcm_s16le s16le", "linear16", "raw"),
            ("linear32 pcm_s32le", "linear32", "raw"),
            ("pcm_f32le", "float32", "raw"),
            ("pcm_f16le", "float16", "raw"),
            ("mulaw ulaw MU-LAW pcm_mulaw g711_ulaw g711-ulaw pcmu", "mulaw", "raw"),
            ("alaw a-law pcm_alaw g711_alaw pcma", "alaw", "raw"),
            ("opus", "opus", "raw"),
            ("ogg-opus ogg_opus", "opus", "ogg"),
            ("webm_opus", "opus", "webm"),
            ("amr amr-nb", "amr_nb", "raw"),
            ("amr-wb", "amr_wb", "raw"),
            ("flac", "flac", "raw"),
            ("mp3", "mp3", "raw"),
            ("speex", "speex", "raw"),
            ("g729", "g729", "raw"),
        ):
            for name in names.split():
                fmt = listen_format(name, 8000, 2)
                self.assertEqual(fmt, AudioFormat(encoding, 8000, 2, container), name)  # type: ignore[arg-type]

    def test_refusals(self) -> None:
        """Nonsense is refused with the name of the field."""
        for encoding, rate_hz, channels, field in (
            ("mp9", 16000, 1, "encoding"),
            ("linear16", -1, 1, "sample_rate"),
            ("linear16", 16000, 0, "channels"),
            ("linear16", 16000, 99, "channels"),
        ):
            error = self.assertRaises(BadRequest, listen_format, encoding, rate_hz, channels)
            self.assertTrue(error.message.startswith(field), error.message)
