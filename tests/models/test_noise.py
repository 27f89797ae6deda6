"""Noise suppression."""

from pathlib import Path

import numpy as np
from twisted.trial.unittest import SynchronousTestCase

from tests.models import sounds
from waav.errors import ConfigError, ModelMissing
from waav.models import noise
from waav.models.settings import NoiseSettings
from waav.models.vad import Samples

KINDS = ("dtln", "deepfilternet")
_loaded: dict[str, noise.Suppressor] = {}


def loaded(kind: str) -> noise.Suppressor:
    """One copy for all tests."""
    if kind not in _loaded:
        _loaded[kind] = noise.local(NoiseSettings(engine=kind), sounds.fetched()).load()
    return _loaded[kind]


def filtered(kind: str, audio: bytes, mix: float = 1.0, size: int = 640) -> bytes:
    """A whole stream, fed in frames of ``size`` bytes."""
    local = noise.local(NoiseSettings(engine=kind, mix=mix), sounds.fetched())
    call = local.open(loaded(kind))
    answers = [answer for frame in sounds.pieces(audio, size) for answer in call.feed(frame)]
    answers += call.feed(noise.FINISH)
    call.close()
    return b"".join(answer for answer in answers if isinstance(answer, bytes))


def speech() -> Samples:
    """Four seconds of a prompt at half level."""
    return sounds.samples(sounds.prompt("conf-usermenu"))[:64000] * np.float32(0.5)


def rms(samples: Samples) -> float:
    return float(np.sqrt(np.mean(np.square(samples))))


class NoiseTests(SynchronousTestCase):
    """What both networks must do."""

    def test_noise_gets_less(self) -> None:
        """Hiss between the words drops by 10 dB or more, and the speech stays closer to what was said. (F-121)"""
        clean = np.concatenate([speech(), np.zeros(32000, np.float32)])
        hiss = sounds.samples(sounds.noise(6, 0.02))
        noisy = sounds.linear16(clean + hiss)
        for kind in KINDS:
            got = sounds.samples(filtered(kind, noisy))
            self.assertLess(rms(got[-16000:]), 0.3 * rms(hiss[-16000:]), kind)
            self.assertLess(rms(got - clean), rms(hiss) * 0.8, kind)

    def test_the_length_stays(self) -> None:
        """Exactly as many samples come out as went in, for lengths that fill no hop as well. (F-121)"""
        for kind in KINDS:
            for size in (0, 1, 127, 1000, 16000, 16001):
                audio = sounds.noise(1.1, 0.02)[: size * 2]
                self.assertEqual(len(filtered(kind, audio)), len(audio), (kind, size))

    def test_speech_stays_where_it_was(self) -> None:
        """The delay of the network is taken out: speech lines up with the original to the sample. (S-NOISE-03)"""
        clean = speech()
        for kind in KINDS:
            got = sounds.samples(filtered(kind, sounds.linear16(clean)))
            spectrum = np.fft.rfft(got, 1 << 17) * np.conj(np.fft.rfft(clean, 1 << 17))
            self.assertEqual(int(np.argmax(np.fft.irfft(spectrum))), 0, kind)

    def test_clean_speech_nearly_unchanged(self) -> None:
        """Speech without noise comes out 12 dB or more above what the filter changes. (F-122)"""
        clean = speech()
        for kind in KINDS:
            got = sounds.samples(filtered(kind, sounds.linear16(clean)))
            self.assertLess(rms(got - clean), 0.25 * rms(clean), kind)

    def test_silence_stays_silent(self) -> None:
        """Digital silence comes out as silence. (F-122)"""
        for kind in KINDS:
            got = sounds.samples(filtered(kind, sounds.silence(1)))
            self.assertLess(float(np.abs(got).max()), 0.001, kind)

    def test_levels_are_left_alone(self) -> None:
        """Quiet speech is not made louder, frame by frame or at all. (S-NOISE-06)"""
        clean = speech() * np.float32(0.2)
        for kind in KINDS:
            got = sounds.samples(filtered(kind, sounds.linear16(clean)))
            self.assertTrue(0.8 < rms(got) / rms(clean) < 1.05, kind)

    def test_any_cutting_of_the_stream(self) -> None:
        """Frames of 10 ms, of 20 ms or of odd sizes give the same audio: nothing is padded in mid-stream. (S-NOISE-03)"""
        audio = sounds.noise(1, 0.02)
        for kind in KINDS:
            expected = sounds.samples(filtered(kind, audio))
            for size in (320, 1034, 20000):
                got = sounds.samples(filtered(kind, audio, size=size))
                # The resampler may round differently in the last bit.
                self.assertLess(float(np.abs(got - expected).max()), 2 / 32767, (kind, size))

    def test_streams_do_not_mix(self) -> None:
        """Two callers filtered in turn by one model hear what each would hear alone. (S-NOISE-01)"""
        one, other = sounds.linear16(speech()), sounds.noise(4, 0.1)
        for kind in KINDS:
            local = noise.local(NoiseSettings(engine=kind, mix=1.0), sounds.fetched())
            first, second = local.open(loaded(kind)), local.open(loaded(kind))
            got: list[str | bytes] = []
            for frame, noisy in zip(sounds.pieces(one), sounds.pieces(other), strict=True):
                got += first.feed(frame)
                list(second.feed(noisy))
            got += first.feed(noise.FINISH)
            first.close()
            second.close()
            whole = b"".join(answer for answer in got if isinstance(answer, bytes))
            self.assertEqual(whole, filtered(kind, one), kind)


class MixTests(SynchronousTestCase):
    """How much of the filter is heard."""

    def test_nothing_of_it(self) -> None:
        """Mixed in at 0, every byte passes as it came, at once."""
        audio = sounds.noise(0.5, 0.1)
        local = noise.local(NoiseSettings(mix=0.0), sounds.fetched())
        call = local.open(loaded("dtln"))
        got = [answer for frame in sounds.pieces(audio) for answer in call.feed(frame)]
        self.assertEqual(got, list(sounds.pieces(audio)))
        self.assertEqual(list(call.feed(noise.FINISH)), [])
        call.close()

    def test_half_of_it(self) -> None:
        """Mixed in at one half, each sample is half way between the raw and the filtered one."""
        audio = sounds.linear16(speech() + sounds.samples(sounds.noise(4, 0.02)))
        for kind in KINDS:
            full, half = (sounds.samples(filtered(kind, audio, mix)) for mix in (1.0, 0.5))
            middle = (sounds.samples(audio) + full) / 2
            self.assertLess(float(np.abs(half - middle).max()), 3 / 32767, kind)

    def test_full_scale_does_not_wrap(self) -> None:
        """Audio at full scale is cut off, not turned over."""

        class Loud:
            def feed(self, samples: Samples) -> Samples:
                return samples * np.float32(3)

            def finish(self) -> Samples:
                return np.zeros(0, np.float32)

            def close(self) -> None:
                pass

        (got,) = noise.Filtering(Loud(), 1.0).feed(np.array([30000, -30000], "<i2").tobytes())
        self.assertEqual(np.frombuffer(got, "<i2").tolist(), [32767, -32768])


class LoadingTests(SynchronousTestCase):
    """Which files are needed."""

    def test_missing(self) -> None:
        """A filter without its files says which, and what to do."""
        for kind in KINDS:
            local = noise.local(NoiseSettings(engine=kind), Path(self.mktemp()))
            error = self.assertRaises(ModelMissing, local.load)
            self.assertIn("run waav init", error.message)

    def test_a_broken_library(self) -> None:
        """A library that is not the pinned one is never loaded into the process."""
        folder = Path(self.mktemp())
        folder.mkdir()
        (folder / "libdeepfilter.so").write_bytes(b"\x7fELF broken")
        local = noise.local(NoiseSettings(engine="deepfilternet"), folder)
        error = self.assertRaises(ModelMissing, local.load)
        self.assertIn("damaged", error.message)

    def test_unknown_filter(self) -> None:
        """A filter nobody has is refused by name."""
        error = self.assertRaises(ConfigError, noise.local, NoiseSettings(engine="magic"))
        self.assertIn("magic", error.message)

    def test_closing_twice(self) -> None:
        """A stream's memory is given back once, whoever closes it."""
        stream = loaded("deepfilternet").stream()
        stream.close()
        stream.close()

    def test_unknown_words_are_refused(self) -> None:
        """A word the conversation does not know is an error."""
        call = noise.Filtering(loaded("dtln").stream(), 1.0)
        self.assertRaises(ValueError, list, call.feed("louder"))
