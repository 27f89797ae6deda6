"""Conversion of headerless audio."""

import itertools
import time
from typing import Any

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from waav.speech.audio import AudioFormat, Encoding
from waav.speech.convert import Converter, can_convert
from waav.speech.wav import UnreadableAudio, header

ENCODINGS: tuple[Encoding, ...] = (
    "linear16",
    "linear32",
    "float32",
    "float16",
    "mulaw",
    "alaw",
)
RATES = (8000, 16000, 22050, 24000, 44100, 48000)
FORMATS = st.builds(
    AudioFormat, st.sampled_from(ENCODINGS), st.sampled_from(RATES), st.integers(1, 2)
)


def convert(data: bytes, source: AudioFormat, target: AudioFormat) -> bytes:
    converter = Converter(source, target)
    return converter.feed(data) + converter.finish()


def linear(*values: int) -> bytes:
    return np.array(values, "<i2").tobytes()


def values(data: bytes) -> list[int]:
    return [int(value) for value in np.frombuffer(data, "<i2")]


PCM_8K = AudioFormat("linear16", 8000)
MULAW = AudioFormat("mulaw", 8000)
ALAW = AudioFormat("alaw", 8000)


def g711_levels(law: str) -> dict[int, int]:
    """Code to linear16 value from the chords of G.711: table 2 (mu-law, 14 bits), table 1 (A-law, 13 bits)."""
    levels = {}
    for chord, step in itertools.product(range(8), range(16)):
        if law == "mulaw":
            size = (33 * 2**chord - 33 + 2 ** (chord + 1) * step) * 4
            positive, negative = 0xFF - (chord * 16 + step), 0x7F - (chord * 16 + step)
        else:
            size = (2 * step + 1 if chord == 0 else 2 ** (chord - 1) * (33 + 2 * step)) * 8
            positive, negative = (chord * 16 + step | 0x80) ^ 0x55, (chord * 16 + step) ^ 0x55
        levels[positive], levels[negative] = size, -size
    return levels


class G711Tests(SynchronousTestCase):
    """Telephone audio against the recommendation, not against another program."""

    def test_printed_values(self) -> None:
        """Values printed in the tables of G.711 come out (tables 1a, 1b, 2a, 2b)."""
        for fmt, pairs in (
            (MULAW, {0x80: 32124, 0x8F: 16764, 0x90: 15996, 0xEF: 132, 0xFF: 0, 0x00: -32124}),
            (ALAW, {0xAA: 32256, 0xD5: 8, 0xD4: 24, 0x55: -8, 0x2A: -32256, 0x80: 5504}),
        ):
            for code, value in pairs.items():
                self.assertEqual(values(convert(bytes([code]), fmt, PCM_8K)), [value], hex(code))
                self.assertEqual(convert(linear(value), PCM_8K, fmt), bytes([code]), hex(code))

    def test_all_codes(self) -> None:
        """All 256 codes of both laws play as the recommendation says."""
        for fmt in (MULAW, ALAW):
            levels = g711_levels(fmt.encoding)
            self.assertEqual(len(levels), 256)
            codes = bytes(range(256))
            self.assertEqual(values(convert(codes, fmt, PCM_8K)), [levels[c] for c in codes])

    def test_decision_values(self) -> None:
        """Each of the 65536 amplitudes gets the code whose interval it lies in (columns 3 of the tables)."""
        for fmt in (MULAW, ALAW):
            levels = sorted(
                (size, code) for code, size in g711_levels(fmt.encoding).items() if code > 127
            )
            # An interval begins half a step of its chord below its level; the first begins at 0.
            halves = [
                4 * 2**chord if fmt is MULAW else 8 * 2 ** max(chord - 1, 0) for chord in range(8)
            ]
            begins = [max(size - halves[n // 16], 0) for n, (size, _) in enumerate(levels)]
            codes = np.array([code for _, code in levels])
            sizes = np.arange(32768)
            expected = codes[np.searchsorted(begins, sizes, "right") - 1]
            got = np.frombuffer(convert(sizes.astype("<i2").tobytes(), PCM_8K, fmt), np.uint8)
            self.assertEqual(got.tolist(), expected.tolist())
            # Negative amplitudes mirror them; A-law has no zero, its mirror lies between 0 and -1.
            below = -sizes[1:] if fmt is MULAW else -sizes - 1
            got = np.frombuffer(convert(below.astype("<i2").tobytes(), PCM_8K, fmt), np.uint8)
            self.assertEqual(got.tolist(), (expected[-len(below) :] ^ 0x80).tolist())

    def test_between_laws(self) -> None:
        """From one law to the other is the same as by way of linear audio."""
        codes = bytes(range(256))
        for one, other in ((MULAW, ALAW), (ALAW, MULAW)):
            by_way = convert(convert(codes, one, PCM_8K), PCM_8K, other)
            self.assertEqual(convert(codes, one, other), by_way)


class ExactTests(SynchronousTestCase):
    """Conversions whose result can be written down."""

    def test_identity(self) -> None:
        """Audio that needs no conversion is the very same object, not a copy."""
        converter = Converter(PCM_8K, PCM_8K)
        data = b"odd"
        self.assertTrue(converter.is_identity)
        self.assertIs(converter.feed(data), data)
        self.assertEqual(converter.finish(), b"")

    def test_channels(self) -> None:
        """Stereo becomes the mean of both sides, mono goes to both."""
        stereo = AudioFormat("linear16", 8000, 2)
        self.assertEqual(convert(linear(100, 300, -5, -7), stereo, PCM_8K), linear(200, -6))
        self.assertEqual(convert(linear(100, -5), PCM_8K, stereo), linear(100, 100, -5, -5))
        five = AudioFormat("linear16", 8000, 5)
        self.assertEqual(convert(linear(1, 2, 3, 4, 5), five, PCM_8K), linear(3))

    def test_widths(self) -> None:
        """Full scale stays full scale, and louder than that is clipped, never wrapped round."""
        wide, floating = AudioFormat("linear32", 8000), AudioFormat("float32", 8000)
        loud = np.array([0.5, -1.0, 1.5, -9.0, np.nan, np.inf], "<f4").tobytes()
        self.assertEqual(
            convert(loud, floating, PCM_8K), linear(16384, -32768, 32767, -32768, 0, 32767)
        )
        self.assertEqual(
            convert(linear(16384, -32768), PCM_8K, floating),
            np.array([0.5, -1.0], "<f4").tobytes(),
        )
        full = np.array([2**31 - 1, -(2**31), 65536], "<i4").tobytes()
        self.assertEqual(convert(full, wide, PCM_8K), linear(32767, -32768, 1))
        self.assertEqual(convert(linear(-3), PCM_8K, wide), np.array([-196608], "<i4").tobytes())
        self.assertEqual(
            convert(loud, floating, wide)[8:16], np.array([2**31 - 1, -(2**31)], "<i4").tobytes()
        )

    def test_lossless(self) -> None:
        """Linear audio survives a trip through every wider encoding."""
        everything = np.arange(-32768, 32768, 7).astype("<i2").tobytes()
        for encoding in ("linear32", "float32"):
            wider = AudioFormat(encoding, 8000)  # type: ignore[arg-type]
            self.assertEqual(convert(convert(everything, PCM_8K, wider), wider, PCM_8K), everything)

    def test_half_a_sample_at_the_end(self) -> None:
        """A byte that is no sample is dropped at the end, and not before the next one comes."""
        converter = Converter(PCM_8K, MULAW)
        self.assertEqual(converter.feed(b"\0\0\0"), b"\xff")
        self.assertEqual(converter.feed(b"\0\0"), b"\xff")
        self.assertEqual(converter.finish(), b"")


class ResamplingTests(SynchronousTestCase):
    """Another rate is the same sound."""

    def tone(self, fmt: AudioFormat, hertz: float, seconds: float = 1.0) -> bytes:
        moments = np.arange(int(fmt.rate_hz * seconds)) / fmt.rate_hz
        return (np.sin(2 * np.pi * hertz * moments) * 16000).astype("<i2").tobytes()

    def test_tone(self) -> None:
        """A tone keeps its pitch, loudness and length at every rate."""
        for source_hz, target_hz in itertools.permutations(RATES, 2):
            source = AudioFormat("linear16", source_hz)
            target = AudioFormat("linear16", target_hz)
            data = convert(self.tone(source, 1000), source, target)
            samples = np.frombuffer(data, "<i2")
            self.assertAlmostEqual(len(samples) / target_hz, 1.0, places=3)
            spectrum = np.abs(np.fft.rfft(samples[: target_hz // 2 * 2]))
            self.assertAlmostEqual(
                float(np.argmax(spectrum)) * target_hz / len(samples), 1000, places=-1
            )
            middle = samples[target_hz // 4 : target_hz // 2].astype(float)
            self.assertAlmostEqual(
                np.sqrt((middle**2).mean()) / (16000 / np.sqrt(2)), 1.0, places=2
            )

    def test_no_aliases(self) -> None:
        """Sound above the new band disappears instead of coming back as a whistle."""
        source = AudioFormat("linear16", 48000)
        data = convert(self.tone(source, 6000), source, PCM_8K)
        self.assertLess(np.abs(np.frombuffer(data, "<i2")[800:-800]).max(), 20)

    def test_short_delay(self) -> None:
        """A live call is never held back by more than 32 ms for the sake of another rate."""
        for source_hz, target_hz in itertools.permutations(RATES, 2):
            source = AudioFormat("linear16", source_hz)
            target = AudioFormat("linear16", target_hz)
            converter = Converter(source, target)
            frame, got = self.tone(source, 500, 0.02), 0
            for sent in range(1, 51):
                got += len(converter.feed(frame))
                held_s = sent * (source.duration_s(len(frame)) or 0) - (target.duration_s(got) or 0)
                self.assertLessEqual(held_s, 0.032, (source_hz, target_hz))

    @given(FORMATS, FORMATS, st.binary(max_size=4000), st.data())
    @settings(deadline=None, max_examples=200)
    def test_cut_anywhere(
        self, source: AudioFormat, target: AudioFormat, data: bytes, draw: st.DataObject
    ) -> None:
        """However a stream is cut, the result is the same to the sample."""
        data = data * 3
        cuts = draw.draw(st.lists(st.integers(0, len(data)), max_size=12).map(sorted))
        converter = Converter(source, target)
        pieces = [
            converter.feed(data[start:end])
            for start, end in itertools.pairwise([0, *cuts, len(data)])
        ]
        self.assertEqual(b"".join(pieces) + converter.finish(), convert(data, source, target))

    def test_byte_by_byte(self) -> None:
        """Even one byte at a time, for every encoding, rate and number of channels."""
        noise = np.random.default_rng(7).bytes(1200)
        for encoding, rate_hz, channels in itertools.product(ENCODINGS, RATES, (1, 2)):
            source = AudioFormat(encoding, rate_hz, channels)
            for target in (PCM_8K, AudioFormat("alaw", 16000, 2)):
                converter = Converter(source, target)
                pieces = [converter.feed(noise[at : at + 1]) for at in range(len(noise))]
                whole = convert(noise, source, target)
                got = b"".join(pieces) + converter.finish()
                self.assertEqual(got, whole, (source, target))


class MixTests(SynchronousTestCase):
    """Several channels to one."""

    def mixed(self, *channels: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """The sound of these channels in one, without the first 10 ms, in which nothing is known yet."""
        source = AudioFormat("linear16", 16000, len(channels))
        data = np.stack(channels, axis=1).astype("<i2").tobytes()
        return np.frombuffer(convert(data, source, AudioFormat()), "<i2")[160:].astype(float)

    def test_sides_that_cancel(self) -> None:
        """Stereo whose sides are each other's negative, whole or nearly, is heard as loud as one of them."""
        voice = np.random.default_rng(1).integers(-8000, 8000, 16000)
        for other in (-voice, -voice * 0.9, -voice + 5):
            heard = self.mixed(voice, other)
            np.testing.assert_array_equal(heard, voice[160:])

    def test_the_louder_side_is_kept(self) -> None:
        """Of two sides that cancel it is the louder that is heard."""
        voice = np.random.default_rng(1).integers(-4000, 4000, 16000)
        np.testing.assert_array_equal(
            self.mixed(-voice, voice * 1.2 // 1), (voice * 1.2 // 1)[160:]
        )

    def test_ordinary_stereo(self) -> None:
        """Two people on two sides, the same on both, and one side silent stay the mean of both."""
        one, two = (np.random.default_rng(seed).integers(-8000, 8000, 16000) for seed in (1, 2))
        for left, right in ((one, two), (one, one), (one, one * 0)):
            heard = self.mixed(left, right)
            self.assertLess(np.abs(heard - (left + right)[160:] / 2).max(), 1.5)

    def test_sides_that_cancel_for_a_while(self) -> None:
        """When the sides go together again, both are heard again."""
        one, two = (np.random.default_rng(seed).integers(-8000, 8000, 16000) for seed in (1, 2))
        heard = self.mixed(np.concatenate([one, one]), np.concatenate([-one, two]))
        np.testing.assert_array_equal(heard[:15840], one[160:])
        expected = (one + two)[320:] / 2
        self.assertLess(np.abs(heard[16160:] - expected).max(), 1.5)

    def test_one_of_many(self) -> None:
        """A single voice in one of sixteen channels is not lowered by the fifteen that are silent."""
        voice = np.random.default_rng(1).integers(-8000, 8000, 8000)
        np.testing.assert_array_equal(
            self.mixed(*[voice * 0] * 7, voice, *[voice * 0] * 8), voice[160:]
        )

    def test_silence(self) -> None:
        """Silence decides nothing."""
        self.assertFalse(self.mixed(np.zeros(800), np.zeros(800)).any())


class WavTests(SynchronousTestCase):
    """WAV in and out."""

    def test_source(self) -> None:
        """A WAV stream is what its header says, not what was promised; the header never becomes sound."""
        promised = AudioFormat("linear16", 24000, 1, "wav")
        file = header(MULAW, None) + b"\x80\xff\x00"
        converter = Converter(promised, PCM_8K)
        got = b"".join(converter.feed(file[at : at + 1]) for at in range(len(file)))
        self.assertEqual(got + converter.finish(), linear(32124, 0, -32124))

    def test_bare_source(self) -> None:
        """Audio that was promised as WAV and has no header is taken as what was promised."""
        promised = AudioFormat("linear16", 8000, 1, "wav")
        self.assertEqual(convert(linear(0), promised, MULAW), b"\xff")

    def test_target(self) -> None:
        """WAV for a caller begins with one header of unknown length, even if nothing follows."""
        target = AudioFormat("linear16", 8000, 1, "wav")
        converter = Converter(MULAW, target)
        self.assertEqual(converter.feed(b"\xff"), header(target, None) + b"\0\0")
        self.assertEqual(converter.feed(b"\xff"), b"\0\0")
        self.assertEqual(converter.finish(), b"")
        self.assertEqual(convert(b"", PCM_8K, target), header(target, None))

    def test_several_files(self) -> None:
        """WAV files one after the other become one, at the same rate or another, cut anywhere."""
        source = AudioFormat("linear16", 8000, 1, "wav")
        files = [header(PCM_8K, None) + linear(1, 2), header(PCM_8K, 4) + linear(3, 4)]
        for target, expected in (
            (source, header(PCM_8K, None) + linear(1, 2, 3, 4)),
            (PCM_8K, linear(1, 2, 3, 4)),
            (MULAW, convert(linear(1, 2, 3, 4), PCM_8K, MULAW)),
        ):
            converter = Converter(source, target)
            got = b""
            for file in files:
                got += converter.restart()
                got += b"".join(converter.feed(file[at : at + 1]) for at in range(len(file)))
            self.assertEqual(got + converter.finish(), expected)
            self.assertFalse(converter.is_identity)

    def test_strange_wav(self) -> None:
        """WAV that carries something compressed passes as it came."""
        form = AudioFormat("g729", 8000, 1, "wav")
        self.assertEqual(convert(b"RIFFjunk", form, form), b"RIFFjunk")

    def test_unmixable_source(self) -> None:
        """A WAV with more channels than can be mixed is refused with words."""
        source = AudioFormat("linear16", 8000, 2, "wav")
        converter = Converter(source, AudioFormat("linear16", 8000, 2))
        file = header(AudioFormat("linear16", 8000, 3), None) + bytes(60)
        self.assertRaises(UnreadableAudio, converter.feed, file)


class CanConvertTests(SynchronousTestCase):
    """What is refused instead of turned to noise."""

    def test_pairs(self) -> None:
        """Compressed audio only passes unchanged; channels go to one or from one."""
        mp3, stereo = AudioFormat("mp3", 24000), AudioFormat("linear16", 8000, 2)
        self.assertTrue(can_convert(mp3, mp3))
        self.assertTrue(can_convert(stereo, AudioFormat("alaw", 16000)))
        self.assertTrue(can_convert(PCM_8K, AudioFormat("mulaw", 8000, 4, "wav")))
        for source, target in (
            (mp3, PCM_8K),
            (PCM_8K, mp3),
            (PCM_8K, AudioFormat("opus", 48000, 1, "ogg")),
            (stereo, AudioFormat("linear16", 8000, 3)),
            (PCM_8K, AudioFormat("float16", 8000, 1, "wav")),
        ):
            self.assertFalse(can_convert(source, target))
            self.assertRaises(ValueError, Converter, source, target)


class SpeedTests(SynchronousTestCase):
    """The reactor thread does this 50 times a second for each call. Its own time counts, not what others take."""

    def cost_s(self, source: AudioFormat, target: AudioFormat) -> float:
        converter, frame = Converter(source, target), bytes(source.size_bytes(0.02))
        costs = []
        for _ in range(20):
            began = time.thread_time()
            for _ in range(50):
                converter.feed(frame)
            costs.append((time.thread_time() - began) / 50)
        return min(costs)

    def test_telephone_frame(self) -> None:
        """A 20 ms telephone frame becomes linear audio in well under 100 us, and resampled in under 300."""
        self.assertLess(self.cost_s(MULAW, PCM_8K), 100e-6)
        self.assertLess(self.cost_s(MULAW, AudioFormat("linear16", 16000)), 300e-6)
