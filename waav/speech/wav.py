"""RIFF/WAVE: writing its header, and reading through it as it arrives."""

import struct
from collections.abc import Callable
from enum import Enum, auto
from typing import Final

import numpy as np

from waav.errors import BadRequest
from waav.speech.audio import SAMPLE_BYTES, AudioFormat, Encoding

_ENDLESS: Final = 0xFFFFFFFF
# Sizes from here up are what streaming writers put where they do not know the size.
_UNKNOWN_FROM: Final = 0x7FFFFFFF

LOWEST_RATE_HZ: Final = 4000
HIGHEST_RATE_HZ: Final = 192_000
MOST_CHANNELS: Final = 16
"""What a header may claim: the same as what a caller may."""

_TAGS: Final[dict[str, int]] = {
    "linear16": 1,
    "linear32": 1,
    "float32": 3,
    "alaw": 6,
    "mulaw": 7,
}

Decode = Callable[[bytes], bytes]


def _from_8(data: bytes) -> bytes:
    """Unsigned bytes to linear16."""
    widened: bytes = ((np.frombuffer(data, "u1").astype("<i2") - 128) << 8).astype("<i2").tobytes()
    return widened


def _from_24(data: bytes) -> bytes:
    """Three bytes a sample to linear32: nothing is lost."""
    wide = np.zeros((len(data) // 3, 4), "u1")
    wide[:, 1:] = np.frombuffer(data, "u1").reshape(-1, 3)
    return wide.tobytes()


def _from_double(data: bytes) -> bytes:
    with np.errstate(over="ignore", invalid="ignore"):
        narrow: bytes = np.frombuffer(data, "<f8").astype("<f4").tobytes()
    return narrow


_KINDS: Final[dict[tuple[int, int], tuple[Encoding, Decode | None]]] = {
    (1, 1): ("linear16", _from_8),
    (1, 2): ("linear16", None),
    (1, 3): ("linear32", _from_24),
    (1, 4): ("linear32", None),
    (3, 4): ("float32", None),
    (3, 8): ("float32", _from_double),
    (6, 1): ("alaw", None),
    (7, 1): ("mulaw", None),
}
"""By format tag and bytes per sample: what the samples are handed on as, and how where that is not as they stand."""

_CODECS: Final[dict[int, str]] = {
    0x02: "Microsoft ADPCM",
    0x11: "IMA ADPCM",
    0x16: "G.723",
    0x31: "GSM 6.10",
    0x42: "G.723.1",
    0x45: "G.726",
    0x50: "MPEG audio",
    0x55: "MP3",
    0x64: "G.726",
    0x83: "G.729",
    0xFF: "AAC",
    0x161: "Windows Media Audio",
    0xF1AC: "FLAC",
}
_EXTENSIBLE: Final = 0xFFFE


class UnreadableAudio(BadRequest, ValueError):
    """Audio that claims to be WAV cannot be read as such."""

    code = "unreadable_audio"


def header(fmt: AudioFormat, size_bytes: int | None) -> bytes:
    """The bytes before the samples.

    Args:
        fmt: encoding, rate and channels; its container does not matter.
        size_bytes: of the samples that follow; None when nobody knows yet (streaming).
    """
    tag = _TAGS.get(fmt.encoding)
    if tag is None:
        raise ValueError(f"WAV does not carry {fmt.encoding}")
    if fmt.rate_hz <= 0 or fmt.channels <= 0:
        raise ValueError(f"WAV needs a rate and channels, not {fmt.rate_hz} Hz x {fmt.channels}")
    width = SAMPLE_BYTES[fmt.encoding]
    block = width * fmt.channels
    about = struct.pack(
        "<HHIIHH", tag, fmt.channels, fmt.rate_hz, fmt.rate_hz * block, block, width * 8
    )
    if tag != 1:
        about += b"\0\0"  # size of the extension, which every tag but PCM must have
    riff_bytes = data_bytes = _ENDLESS
    if size_bytes is not None:
        data_bytes = size_bytes
        riff_bytes = 20 + len(about) + size_bytes + size_bytes % 2
        if riff_bytes >= _ENDLESS:
            raise ValueError(f"{size_bytes} bytes are too many for a WAV file")
    return b"".join(
        (
            struct.pack("<4sI4s4sI", b"RIFF", riff_bytes, b"WAVE", b"fmt ", len(about)),
            about,
            struct.pack("<4sI", b"data", data_bytes),
        )
    )


def pack(fmt: AudioFormat, data: bytes) -> bytes:
    """A whole WAV file: header, samples, and the pad byte of odd lengths."""
    return header(fmt, len(data)) + data + b"\0" * (len(data) % 2)


_MARKS: Final = (b"RIFF", b"RF64", b"BW64")
_NOT_WAV: Final[tuple[tuple[bytes, str], ...]] = (
    (b"ID3", "MP3"),
    (b"fLaC", "FLAC"),
    (b"OggS", "Ogg"),
    (b"FORM", "AIFF"),
    (b"caff", "CAF"),
    (b"\x1aE\xdf\xa3", "WebM or Matroska"),
    (b"#!AMR", "AMR"),
    (b".snd", "AU"),
)


def kind_of(data: bytes) -> str | None:
    """The name of the kind of file that begins so; None for WAV, for bare samples, and where nobody can tell."""
    for mark, name in _NOT_WAV:
        if data.startswith(mark):
            return name
    return "MP4" if data[4:8] == b"ftyp" else None


def with_sizes(data: bytes) -> bytes:
    """A whole file that was written as a stream, with its true sizes in the header; anything else as it is."""
    reader = WavReader()
    try:
        samples = reader.feed(data) + reader.finish()
    except UnreadableAudio:
        return data
    return data if reader.format is None else pack(reader.format, samples)


class _At(Enum):
    """What the next byte is."""

    START = auto()  # of a file, or of audio that has no header
    CHUNKS = auto()  # the head of a chunk
    SKIPPED = auto()  # inside a chunk that says nothing about the sound
    SAMPLES = auto()
    PAD = auto()  # after a chunk of odd length
    NOTHING = auto()  # of interest any more: what follows the samples
    BARE = auto()  # sound without a header


class WavReader:
    """Takes WAV in pieces cut anywhere, gives the samples. Takes time in proportion to the bytes, whatever they are.

    Audio that does not begin with a RIFF, RF64 or BW64 header passes unchanged. Samples of 8 bits come as linear16,
    of 24 bits as linear32, of 64 bits as float32. What follows the samples is ignored, but for another whole file:
    one may come right after the other in the same stream; where the sizes do not tell, ``restart`` says that a
    header comes next.

    Attributes:
        format: of the samples that are given (container ``raw``); None before the header was seen, and for audio
            without one.
    """

    def __init__(self) -> None:
        self.format: AudioFormat | None = None
        self.restart()

    def restart(self) -> None:
        """The next byte is the first of a new header, or of audio without one."""
        self._at = _At.START
        self._held = bytearray()
        self._left = 0  # bytes of the chunk that are still to come; -1: until the end of the stream
        self._is_odd = False
        self._had_samples = False
        self._wide_bytes: int | None = None  # size of the samples as a RF64 header tells it
        self._decode: Decode | None = None
        self._sample_bytes = 1
        self._part = b""  # of a sample

    @property
    def is_bare(self) -> bool:
        """The audio turned out to have no header."""
        return self._at is _At.BARE

    @property
    def _is_endless(self) -> bool:
        """Nothing but samples will come, and they are given as they are."""
        return self._at is _At.SAMPLES and self._left < 0 and self._decode is None

    def feed(self, data: bytes) -> bytes:
        """The samples in ``data``.

        Raises:
            UnreadableAudio: it is WAV of a kind that we do not know, or a sound file of another kind. What comes
                after that is ignored, so it is raised once.
        """
        if self.is_bare or self._is_endless:
            return data
        self._held += data
        samples: list[bytes] = []
        at = 0
        try:
            while (step := self._step(at, samples)) is not None:
                at += step
        except UnreadableAudio:
            self._at = _At.NOTHING
            raise
        finally:
            if at:
                del self._held[:at]
        self._let_go(samples)
        return samples[0] if len(samples) == 1 else b"".join(samples)

    def finish(self) -> bytes:
        """At the end of the stream: bytes too few to tell whether they begin a header."""
        held = bytes(self._held) if self._at is _At.START and self.format is None else b""
        self._held.clear()
        return held

    def _let_go(self, samples: list[bytes]) -> None:
        """Of what is held, where no header is waited for any more."""
        if self._at is _At.BARE:
            samples.append(bytes(self._held))
        if self._at in (_At.BARE, _At.NOTHING):
            self._held.clear()

    def _decoded(self, samples: bytes) -> bytes:
        if self._decode is None:
            return samples
        samples = self._part + samples
        whole = len(samples) - len(samples) % self._sample_bytes
        self._part = samples[whole:]
        return self._decode(samples[:whole])

    def _step(self, at: int, samples: list[bytes]) -> int | None:
        """Deal with the next part of what is held, from ``at``; its bytes, or None when it takes more of them."""
        there = len(self._held) - at
        match self._at:
            case _At.START:
                return self._begin(at, there)
            case _At.CHUNKS:
                return self._open_chunk(at, there)
            case _At.PAD if there:
                self._at = _At.CHUNKS
                # Writers who forget the pad byte go on with the name of the next chunk at once.
                return 0 if 0x20 < self._held[at] < 0x7F else 1
            case _At.SKIPPED | _At.SAMPLES if there:
                return self._pass(at, there, samples)
        return None

    def _pass(self, at: int, there: int, samples: list[bytes]) -> int:
        size = there if self._left < 0 else min(self._left, there)
        if self._at is _At.SAMPLES:
            samples.append(self._decoded(bytes(self._held[at : at + size])))
        if self._left > 0:
            self._left -= size
            if not self._left:
                self._at = _At.PAD if self._is_odd else _At.CHUNKS
        return size

    def _begin(self, at: int, there: int) -> int | None:
        if there < 12:
            return None
        head = bytes(self._held[at : at + 12])
        if head[:4] in (*_MARKS, b"RIFX") and head[8:] == b"WAVE":
            if head.startswith(b"RIFX"):
                raise UnreadableAudio("WAV in big-endian byte order (RIFX) is not supported")
            self._at = _At.CHUNKS
            return 12
        if other := kind_of(head):
            raise UnreadableAudio(f"this is {other}, not WAV")
        self._at = _At.BARE
        return None

    def _open_chunk(self, at: int, there: int) -> int | None:
        if there < 8:
            return None
        name, size = struct.unpack_from("<4sI", self._held, at)
        if self._had_samples:
            if name in _MARKS:
                if there < 12:
                    return None
                if self._held[at + 8 : at + 12] == b"WAVE":
                    self._had_samples, self._wide_bytes = False, None
                    return 12
            if not all(0x20 <= byte < 0x7F for byte in name):
                self._at = _At.NOTHING
                return None
        read = 0
        if name == b"fmt ":
            read = min(size, 40)
            if there < 8 + read:
                return None
            self._begin_samples(bytes(self._held[at + 8 : at + 8 + read]))
        elif name == b"ds64":
            read = min(size, 28)
            if there < 8 + read:
                return None
            if read >= 16:
                self._wide_bytes = int.from_bytes(self._held[at + 16 : at + 24], "little")
        is_data = name == b"data"
        if is_data and self.format is None:
            raise UnreadableAudio("malformed WAV: samples before their format")
        if is_data:
            self._had_samples = True
            if size == _ENDLESS and self._wide_bytes is not None:
                size = self._wide_bytes
            elif not size or size >= _UNKNOWN_FROM:
                size = -1
        self._left = size - read if size > 0 else size
        self._is_odd = size > 0 and size % 2 == 1
        if self._left:
            self._at = _At.SAMPLES if is_data else _At.SKIPPED
        elif self._is_odd:
            self._at = _At.PAD
        return 8 + read

    def _begin_samples(self, about: bytes) -> None:
        self.format, self._decode, self._sample_bytes = _read_format(about)
        self._part = b""


def _read_format(about: bytes) -> tuple[AudioFormat, Decode | None, int]:
    """What the samples become, how, and how many bytes one of them has."""
    if len(about) < 16:
        raise UnreadableAudio("malformed WAV: its format is cut short")
    tag, channels, rate_hz, _, block, bits = struct.unpack_from("<HHIIHH", about)
    if tag == _EXTENSIBLE and len(about) >= 26:
        tag = int.from_bytes(about[24:26], "little")
    if tag in _CODECS:
        raise UnreadableAudio(f"WAV with {_CODECS[tag]} inside is not supported")
    # 20 bits come in 3 bytes, 12 in 2: what counts is the room that a sample has.
    is_even = channels and block and block % channels == 0 and block // channels * 8 >= bits
    width = block // channels if is_even else (bits + 7) // 8
    kind = _KINDS.get((tag, width))
    if kind is None or not bits:
        raise UnreadableAudio(f"WAV with format tag {tag} and {bits} bits is not supported")
    if not 1 <= channels <= MOST_CHANNELS:
        raise UnreadableAudio(f"WAV with {channels} channels: 1 to {MOST_CHANNELS} are supported")
    if not LOWEST_RATE_HZ <= rate_hz <= HIGHEST_RATE_HZ:
        raise UnreadableAudio(
            f"WAV of {rate_hz} Hz: {LOWEST_RATE_HZ} to {HIGHEST_RATE_HZ} Hz are supported"
        )
    encoding, decode = kind
    return AudioFormat(encoding, rate_hz, channels), decode, width
