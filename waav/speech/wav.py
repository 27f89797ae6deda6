"""RIFF/WAVE: writing its header, and reading through it as it arrives."""

import struct
from typing import Final

from waav.errors import BadRequest
from waav.speech.audio import SAMPLE_BYTES, AudioFormat, Encoding

_ENDLESS: Final = 0xFFFFFFFF
# Sizes from here up are what streaming writers put where they do not know the size.
_UNKNOWN_FROM: Final = 0x7FFFFFFF
_HEADER_LIMIT: Final = 64 * 1024

_TAGS: Final[dict[str, int]] = {
    "linear16": 1,
    "linear32": 1,
    "float32": 3,
    "alaw": 6,
    "mulaw": 7,
}
_ENCODINGS: Final[dict[tuple[int, int], Encoding]] = {
    (1, 16): "linear16",
    (1, 32): "linear32",
    (3, 32): "float32",
    (6, 8): "alaw",
    (7, 8): "mulaw",
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


class WavReader:
    """Takes WAV in pieces cut anywhere, gives the samples.

    Audio that does not begin with a RIFF header passes unchanged. After the samples of one header another header
    may follow in the same stream; where the sizes do not tell, ``restart`` says that a header comes next.

    Attributes:
        format: what the header said (container ``raw``); None before it was seen, and for audio without one.
        is_bare: the audio turned out to have no header.
    """

    def __init__(self) -> None:
        self.format: AudioFormat | None = None
        self.restart()

    def restart(self) -> None:
        """The next byte is the first of a new header, or of audio without one."""
        self.is_bare = False
        self._held = b""
        self._left = 0  # of the chunk being passed or skipped; -1: until the end of the stream
        self._is_data = False
        self._has_riff = False
        self._pad = 0
        self._header_bytes = 0

    def feed(self, data: bytes) -> bytes:
        """The samples in ``data``.

        Raises:
            UnreadableAudio: it is WAV, but of a kind we do not know, or without samples in its first 64 KiB.
        """
        if self.is_bare:
            return data
        if self._is_data and self._left < 0:
            return data
        self._held += data
        samples: list[bytes] = []
        while self._step(samples):
            pass
        return samples[0] if len(samples) == 1 else b"".join(samples)

    def finish(self) -> bytes:
        """At the end of the stream: bytes too few to tell whether they begin a header."""
        held, self._held = self._held, b""
        return held if not self._has_riff and self.format is None else b""

    def _step(self, samples: list[bytes]) -> bool:
        """Deal with the next part of what is held; False when it takes more bytes."""
        if self._left:
            return self._take(samples)
        self._is_data = False
        if self._pad:
            if not self._held:
                return False
            self._held, self._pad = self._held[1:], 0
        if not self._has_riff and len(self._held) < 12 and self.format is None:
            if any(mark.startswith(self._held[:4]) for mark in (b"RIFF", b"RF64")):
                return False
            return self._go_bare(samples)
        if len(self._held) < 8:
            return False
        if not self._has_riff and not self._held.startswith((b"RIFF", b"RF64")):
            return self._go_bare(samples)
        return self._open_chunk(samples)

    def _go_bare(self, samples: list[bytes]) -> bool:
        """There is no header: from here on everything passes."""
        self.is_bare = True
        samples.append(self._held)
        self._held = b""
        return False

    def _open_chunk(self, samples: list[bytes]) -> bool:
        name, size = struct.unpack_from("<4sI", self._held)
        if name in (b"RIFF", b"RF64"):
            if len(self._held) < 12:
                return False
            if self._held[8:12] == b"WAVE":
                self._has_riff = True
                self._header_bytes = 12
                self._held = self._held[12:]
                return True
            if not self._has_riff:
                return self._go_bare(samples)
        if name == b"fmt ":
            if len(self._held) < 8 + min(size, 40):
                return False
            self.format = _read_format(self._held[8 : 8 + size])
        elif name == b"data":
            if self.format is None:
                raise UnreadableAudio("malformed WAV: samples before their format")
            self._is_data = True
        self._held = self._held[8:]
        self._left = -1 if self._is_data and (not size or size >= _UNKNOWN_FROM) else size
        self._pad = size % 2 if self._left > 0 else 0
        if not self._is_data:
            self._header_bytes += 8 + size
        if self._header_bytes > _HEADER_LIMIT:
            raise UnreadableAudio("malformed WAV: no samples in the first 64 KiB")
        if self._is_data:
            self._header_bytes = 0
        return True

    def _take(self, samples: list[bytes]) -> bool:
        """Pass on or skip what belongs to the current chunk."""
        if not self._held:
            return False
        size = len(self._held) if self._left < 0 else min(self._left, len(self._held))
        if self._is_data:
            samples.append(self._held[:size])
        self._held = self._held[size:]
        if self._left > 0:
            self._left -= size
        return True


def _read_format(about: bytes) -> AudioFormat:
    if len(about) < 16:
        raise UnreadableAudio("malformed WAV: its format is cut short")
    tag, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", about)
    if tag == _EXTENSIBLE and len(about) >= 26:
        tag = int.from_bytes(about[24:26], "little")
    encoding = _ENCODINGS.get((tag, bits))
    if encoding is None:
        raise UnreadableAudio(f"WAV with format tag {tag} and {bits} bits is not supported")
    if not channels or not rate_hz:
        raise UnreadableAudio("malformed WAV: no channels or no rate")
    return AudioFormat(encoding, rate_hz, channels)
