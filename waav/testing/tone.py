"""Speech that tests can check: a tone whose pitch tells the voice and whose length tells the text."""

import hashlib
import struct
from functools import lru_cache

import numpy as np

from waav.speech import wav
from waav.speech.audio import AudioFormat
from waav.speech.convert import Converter

CHAR_S = 0.06


def pitch_hz(voice: str) -> int:
    """The frequency that stands for a voice, 200 to 799 Hz."""
    return 200 + int.from_bytes(hashlib.blake2b(voice.encode(), digest_size=4).digest()) % 600


@lru_cache(maxsize=64)
def tone(voice: str, text: str, audio: AudioFormat) -> bytes:
    """What the voice says: 60 ms for every character.

    Headerless and WAV audio is exact. Compressed audio has frames of the right number and with right headers
    where those are simple (mp3, aac, Ogg); there is nothing to hear in them.
    """
    seconds = len(text) * CHAR_S
    if audio.encoding == "mp3":
        return _mp3(seconds, audio.rate_hz)
    if audio.encoding == "aac":
        return _adts(seconds, audio.rate_hz)
    if audio.container == "ogg":
        return _ogg(seconds)
    if audio.encoding == "flac":
        return b"fLaC" + bytes(int(4000 * seconds))
    raw = AudioFormat(audio.encoding, audio.rate_hz, 1)
    plain = AudioFormat("linear16", audio.rate_hz, 1)
    times = np.arange(int(audio.rate_hz * seconds + 1e-6)) / audio.rate_hz
    samples = np.sin(2 * np.pi * pitch_hz(voice) * times) * 8000
    converter = Converter(plain, raw)
    data = converter.feed(samples.astype("<i2").tobytes()) + converter.finish()
    # A streaming server does not know the size when it writes the header.
    return wav.header(raw, None) + data if audio.container == "wav" else data


def _mp3(seconds: float, rate_hz: int) -> bytes:
    """MPEG-2 layer III, mono, 48 kbit/s: 576 samples a frame."""
    index = {22050: 0, 24000: 1, 16000: 2}[rate_hz]
    size = 72 * 48000 // rate_hz
    frame = bytes([0xFF, 0xF3, 0x60 | index << 2, 0xC0]) + bytes(size - 4)
    return frame * (int(seconds * rate_hz / 576) + 1)


def _adts(seconds: float, rate_hz: int) -> bytes:
    """AAC-LC mono in ADTS: 1024 samples a frame."""
    index = {24000: 6, 22050: 7, 16000: 8}[rate_hz]
    size = 120
    head = 0xFFF << 44 | 1 << 40 | 1 << 38 | index << 34 | 1 << 30 | size << 13 | 0x7FF << 2
    frame = head.to_bytes(7) + bytes(size - 7)
    return frame * (int(seconds * rate_hz / 1024) + 1)


def _ogg(seconds: float) -> bytes:
    """Ogg Opus: two header pages, then pages of 20 ms, all with zero checksums."""
    pages = [
        _page(2, 0, 0, b"OpusHead" + struct.pack("<BBHIhB", 1, 1, 0, 48000, 0, 0)),
        _page(0, 0, 1, b"OpusTags" + struct.pack("<I", 0) + struct.pack("<I", 0)),
    ]
    count = int(seconds / 0.02) + 1
    for number in range(1, count + 1):
        flags = 4 if number == count else 0
        pages.append(_page(flags, number * 960, number + 1, b"\xf8" + bytes(40)))
    return b"".join(pages)


def _page(flags: int, granule: int, sequence: int, packet: bytes) -> bytes:
    head = struct.pack("<4sBBqIIIB", b"OggS", 0, flags, granule, 1, sequence, 0, 1)
    return head + bytes([len(packet)]) + packet
