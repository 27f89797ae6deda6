"""Recordings and made-up sounds for the models' tests: linear16 mono 16 kHz bytes."""

import wave
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np

from bench import sounds
from waav.models import fetch
from waav.models.vad import Samples
from waav.speech.audio import AudioFormat
from waav.speech.convert import Converter

RATE_HZ = 16000


def linear16(samples: Samples) -> bytes:
    """Bytes of samples between -1 and 1."""
    return (np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes()


def samples(data: bytes) -> Samples:
    """The other way round."""
    return np.frombuffer(data, "<i2").astype(np.float32) / np.float32(32767)


def wav(path: Path) -> bytes:
    """A recording, converted."""
    with wave.open(str(path)) as recording:
        source = AudioFormat("linear16", recording.getframerate(), recording.getnchannels())
        converter = Converter(source, AudioFormat())
        return converter.feed(recording.readframes(recording.getnframes())) + converter.finish()


def lowered(audio: bytes) -> bytes:
    """24 kHz audio at 16 kHz."""
    converter = Converter(AudioFormat(rate_hz=24000), AudioFormat())
    return converter.feed(audio) + converter.finish()


@cache
def prompt(name: str) -> bytes:
    """One of Debian's telephone prompts; no silence around the words."""
    return wav(sounds.root() / sounds.SOUNDS / f"{name}.wav")


def silence(seconds: float) -> bytes:
    """Digital silence."""
    return bytes(round(seconds * RATE_HZ) * 2)


def noise(seconds: float, level: float, seed: int = 1) -> bytes:
    """White noise."""
    made = np.random.default_rng(seed).standard_normal(round(seconds * RATE_HZ)) * level
    return linear16(made.astype(np.float32))


def tone(seconds: float, hertz: float) -> bytes:
    """A sine at half of full scale."""
    times = np.arange(round(seconds * RATE_HZ)) / RATE_HZ
    return linear16((0.5 * np.sin(2 * np.pi * hertz * times)).astype(np.float32))


def pieces(data: bytes, size: int = 640) -> Iterator[bytes]:
    """``data`` in frames, 20 ms unless told."""
    for start in range(0, len(data), size):
        yield data[start : start + size]


@cache
def fetched() -> Path:
    """The models folder with every model in it; the first run on a machine fetches them."""
    folder = fetch.folder(None, None)
    for artefact in (fetch.SMART_TURN, fetch.DTLN, fetch.deepfilternet()):
        fetch.fetch(artefact, folder)
    return folder
