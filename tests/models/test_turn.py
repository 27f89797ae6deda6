"""The model that hears whether a caller has finished."""

import math
from pathlib import Path
from shutil import copy

import numpy as np
from numpy.typing import NDArray
from twisted.trial.unittest import SynchronousTestCase

from tests.models import sounds
from waav.errors import ConfigError, ModelMissing
from waav.models import fetch, turn
from waav.models.settings import TurnSettings
from waav.models.vad import Samples

_loaded: list[turn.SmartTurn] = []


def loaded() -> turn.SmartTurn:
    """One copy for all tests."""
    if not _loaded:
        _loaded.append(turn.SmartTurn(sounds.fetched(), fetch.SMART_TURN.files[0]))
    return _loaded[0]


def slow_features(samples: Samples) -> NDArray[np.float64]:
    """Whisper's features as its paper and its filter tables define them, step by step."""
    window = np.concatenate([np.zeros(128000 - len(samples)), samples.astype(np.float64)])
    window = (window - window.mean()) / math.sqrt(window.var() + 1e-7)
    mirrored = np.concatenate([window[200:0:-1], window, window[-2:-202:-1]])
    bins, times = np.arange(201)[:, None], np.arange(400)[None, :]
    dft = np.exp(-2j * np.pi * bins * times / 400)
    hann = np.array([math.sin(math.pi * n / 400) ** 2 for n in range(400)])
    frames = np.stack([mirrored[at : at + 400] * hann for at in range(0, 128000, 160)])
    power = np.abs(dft @ frames.T) ** 2

    def mel(hertz: float) -> float:
        return 3 * hertz / 200 if hertz < 1000 else 15 + math.log(hertz / 1000) / math.log(6.4) * 27

    def hertz(mels: float) -> float:
        return 200 * mels / 3 if mels < 15 else 1000 * math.exp((mels - 15) * math.log(6.4) / 27)

    edges = [hertz(mel(8000) * number / 81) for number in range(82)]
    bank = np.zeros((80, 201))
    for band in range(80):
        low, centre, high = edges[band : band + 3]
        for number in range(201):
            at = number * 40
            side = (at - low) / (centre - low) if at <= centre else (high - at) / (high - centre)
            bank[band, number] = max(0.0, side) * 2 / (high - low)
    log = np.log10(np.maximum(bank @ power, 1e-10))
    return (np.maximum(log, log.max() - 8) + 4) / 4


class FeaturesTests(SynchronousTestCase):
    """The picture that the network sees."""

    def test_against_the_definition(self) -> None:
        """The picture is Whisper's, number for number, whatever the length of the audio."""
        prompt = sounds.samples(sounds.prompt("conf-usermenu"))
        for audio in (prompt[:128000], prompt[:50001], prompt[:0]):
            got = turn.features(audio)
            self.assertEqual((got.shape, got.dtype), ((80, 800), np.dtype("float32")))
            self.assertLess(float(np.abs(got - slow_features(audio)).max()), 1e-4)

    def test_the_last_eight_seconds(self) -> None:
        """What was said longer ago does not count."""
        prompt = sounds.samples(sounds.prompt("conf-usermenu"))
        self.assertGreater(len(prompt), 128000)
        np.testing.assert_array_equal(turn.features(prompt), turn.features(prompt[-128000:]))


class SmartTurnTests(SynchronousTestCase):
    """The network itself."""

    def probability(self, samples: Samples) -> float:
        return loaded().probabilities(turn.features(samples)[np.newaxis])[0]

    def test_finished_and_unfinished_sentences(self) -> None:
        """A sentence that is over is likelier to be over than the same sentence cut in the middle. (F-115)"""
        for name in ("conf-usermenu", "conf-getconfno", "pls-hold-while-try"):
            audio = sounds.samples(sounds.prompt(name))
            whole, half = self.probability(audio), self.probability(audio[: len(audio) // 2])
            self.assertGreater(whole, half, name)

    def test_a_batch(self) -> None:
        """Three callers in one batch get three probabilities, each the one it would get alone. (TURN-03, S-TURN-07)"""
        audio = sounds.samples(sounds.prompt("conf-usermenu"))
        clips = [audio, audio[:96000], audio[:30000]]
        batch = loaded().probabilities(np.stack([turn.features(clip) for clip in clips]))
        self.assertEqual(len(batch), 3)
        for got, clip in zip(batch, clips, strict=True):
            self.assertLess(abs(got - self.probability(clip)), 0.02)
        self.assertGreater(max(batch) - min(batch), 0.1)


class LoadingTests(SynchronousTestCase):
    """Which files are taken for the model."""

    def folder(self) -> Path:
        folder = Path(self.mktemp())
        folder.mkdir()
        return folder

    def test_missing(self) -> None:
        """Without the file the operator is told to run waav init."""
        local = turn.local(TurnSettings(), self.folder())
        error = self.assertRaises(ModelMissing, local.load)
        self.assertIn("run waav init", error.message)

    def test_damaged(self) -> None:
        """A file whose content is not the pinned one is refused before it is used. (TURN-01)"""
        folder = self.folder()
        whole = (sounds.fetched() / "smart-turn-v3.2-cpu.onnx").read_bytes()
        (folder / "smart-turn-v3.2-cpu.onnx").write_bytes(whole[:-1] + b"x")
        error = self.assertRaises(ModelMissing, turn.local(TurnSettings(), folder).load)
        self.assertIn("damaged", error.message)

    def test_another_kind_of_model(self) -> None:
        """A model with other inputs and outputs is refused once, not asked for ever. (TURN-03, S-TURN-07)"""
        folder = self.folder()
        other = fetch.DTLN.files[0]
        copy(sounds.fetched() / other.name, folder / "smart-turn-v3.2-cpu.onnx")
        settings = TurnSettings(source="https://models.example/own.onnx", sha256=other.sha256)
        error = self.assertRaises(ConfigError, turn.local(settings, folder).load)
        self.assertIn("input_features", error.message)

    def test_no_model_at_all(self) -> None:
        """A file that is no model is refused with its name."""
        folder = self.folder()
        path = folder / "smart-turn-v3.2-cpu.onnx"
        path.write_bytes(b"not a model")
        settings = TurnSettings(source="https://models.example/own.onnx", sha256=fetch.digest(path))
        error = self.assertRaises(ConfigError, turn.local(settings, folder).load)
        self.assertIn(str(path), error.message)

    def test_the_operators_own_model(self) -> None:
        """A model with the declared shape loads when its own hash is configured."""
        settings = TurnSettings(
            source="https://models.example/own.onnx",
            sha256=fetch.SMART_TURN.files[0].sha256.upper(),
        )
        self.assertIsInstance(turn.local(settings, sounds.fetched()).load(), turn.SmartTurn)


class Certain:
    """A model that notes the picture it saw."""

    def __init__(self, probability: float = 0.75) -> None:
        self.probability = probability
        self.seen: list[NDArray[np.float32]] = []

    def probabilities(self, batch: NDArray[np.float32]) -> list[float]:
        self.seen.extend(batch)
        return [self.probability] * len(batch)


class DecidingTests(SynchronousTestCase):
    """A conversation of one call."""

    def setUp(self) -> None:
        self.model = Certain()
        self.call = turn.Deciding(self.model)

    def asked(self) -> float:
        (answer,) = self.call.feed(turn.QUESTION)
        return float(answer)

    def test_the_answer(self) -> None:
        """Audio alone is not answered; the question is, with the model's probability."""
        self.assertEqual(list(self.call.feed(sounds.tone(1, 200))), [])
        self.assertEqual(self.asked(), 0.75)

    def test_frames_add_up(self) -> None:
        """The model hears the last eight seconds in one piece, however they came."""
        audio = sounds.prompt("conf-usermenu")
        for frame in sounds.pieces(audio):
            list(self.call.feed(frame))
        self.asked()
        expected = turn.features(np.frombuffer(audio, "<i2").astype(np.float32) / 32768)
        np.testing.assert_array_equal(self.model.seen[0], expected)

    def test_memory_is_bounded(self) -> None:
        """An hour of call leaves eight seconds of audio in memory."""
        for _ in range(20):
            list(self.call.feed(sounds.silence(1)))
        self.assertEqual(len(self.call._heard), 8 * 32000)

    def test_too_little_to_judge(self) -> None:
        """Less than half a second is no turn: the model is not even asked."""
        list(self.call.feed(sounds.tone(0.4, 200)))
        self.assertEqual(self.asked(), 0.0)
        self.assertEqual(self.model.seen, [])

    def test_forget(self) -> None:
        """After a turn its audio no longer counts."""
        list(self.call.feed(sounds.tone(2, 200)))
        self.assertEqual(list(self.call.feed(turn.FORGET)), [])
        self.assertEqual(self.asked(), 0.0)

    def test_unknown_words_are_refused(self) -> None:
        """A word the conversation does not know is an error."""
        self.assertRaises(ValueError, list, self.call.feed("guess"))

    def test_the_real_model(self) -> None:
        """Through the front door: load, open, hear, decide."""
        local = turn.local(TurnSettings(), sounds.fetched())
        call = local.open(loaded())
        list(call.feed(sounds.prompt("conf-usermenu")))
        (answer,) = call.feed(turn.QUESTION)
        self.assertGreater(float(answer), 0.5)
        call.close()
