"""How long encoded speech plays: from frame headers and page positions, never from guesses.

MPEG audio: ISO 11172-3 and 13818-3 headers. ADTS: ISO 13818-7. Ogg: RFC 3533 with Opus (RFC 7845) or Vorbis I.
"""

import struct
from collections.abc import Callable
from typing import Final

from waav.speech.audio import SAMPLE_BYTES, AudioFormat
from waav.speech.wav import WavReader


class Stopwatch:
    """Adds up the time of one stream of audio, cut anywhere."""

    def __init__(self, fmt: AudioFormat) -> None:
        self._count = _counter(fmt)

    def feed(self, data: bytes) -> float | None:
        """Seconds of sound that became certain with ``data``; None where only a decoder could tell.

        Frames count as soon as their header is there, Ogg pages when they are complete.

        Raises:
            UnreadableAudio: WAV with a broken header.
        """
        return self._count(data) if self._count is not None else None


def _counter(fmt: AudioFormat) -> Callable[[bytes], float] | None:
    if fmt.is_raw:
        return lambda data: len(data) / (fmt.frame_bytes * fmt.rate_hz)
    if fmt.container == "wav" and fmt.encoding in SAMPLE_BYTES:
        return _Wav(fmt).feed
    if fmt.container == "ogg" and fmt.encoding in ("opus", "vorbis"):
        return _Ogg().feed
    if fmt.container == "raw" and fmt.encoding == "mp3":
        return _Frames(_mpeg_frame).feed
    if fmt.container == "raw" and fmt.encoding == "aac":
        return _Frames(_adts_frame).feed
    return None


class _Wav:
    """WAV: what its header says, else what was promised."""

    def __init__(self, fmt: AudioFormat) -> None:
        self._reader = WavReader()
        self._promised = AudioFormat(fmt.encoding, fmt.rate_hz, fmt.channels)

    def feed(self, data: bytes) -> float:
        samples = self._reader.feed(data)
        fmt = self._reader.format or self._promised
        return len(samples) / (fmt.frame_bytes * fmt.rate_hz)


_MPEG_KBPS: Final = {
    # (is MPEG 1, layer): bit rates of the indexes 1 to 14
    (True, 1): (32, 64, 96, 128, 160, 192, 224, 256, 288, 320, 352, 384, 416, 448),
    (True, 2): (32, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320, 384),
    (True, 3): (32, 40, 48, 56, 64, 80, 96, 112, 128, 160, 192, 224, 256, 320),
    (False, 1): (32, 48, 56, 64, 80, 96, 112, 128, 144, 160, 176, 192, 224, 256),
    (False, 2): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
    (False, 3): (8, 16, 24, 32, 40, 48, 56, 64, 80, 96, 112, 128, 144, 160),
}
_MPEG_RATES_HZ: Final = (44100, 48000, 32000)
_ADTS_RATES_HZ: Final = (
    96000,
    88200,
    64000,
    48000,
    44100,
    32000,
    24000,
    22050,
    16000,
    12000,
    11025,
    8000,
    7350,
)
_HEADER_BYTES: Final = 10  # the longest header looked at: that of an ID3 tag

_Frame = tuple[int, float]  # its size in bytes, header included, and its seconds


def _mpeg_frame(head: bytes) -> _Frame | None:
    """What an MPEG audio header says; None if it is none."""
    if head[0] != 0xFF or head[1] & 0xE0 != 0xE0:
        return None
    version, layer = (head[1] >> 3) & 3, 4 - ((head[1] >> 1) & 3)
    bitrate_index, rate_index = head[2] >> 4, (head[2] >> 2) & 3
    if version == 1 or layer == 4 or not 0 < bitrate_index < 15 or rate_index == 3:
        return None
    is_one = version == 3
    bits_per_s = _MPEG_KBPS[is_one, layer][bitrate_index - 1] * 1000
    # MPEG 2 halves the rates of MPEG 1, MPEG 2.5 halves them again.
    rate_hz = _MPEG_RATES_HZ[rate_index] >> {3: 0, 2: 1, 0: 2}[version]
    padding = (head[2] >> 1) & 1
    if layer == 1:
        return (12 * bits_per_s // rate_hz + padding) * 4, 384 / rate_hz
    samples = 1152 if is_one or layer == 2 else 576
    return samples // 8 * bits_per_s // rate_hz + padding, samples / rate_hz


def _adts_frame(head: bytes) -> _Frame | None:
    """What an ADTS header says; None if it is none."""
    if head[0] != 0xFF or head[1] & 0xF6 != 0xF0:
        return None
    rate_index = (head[2] >> 2) & 0x0F
    size = (head[3] & 3) << 11 | head[4] << 3 | head[5] >> 5
    if rate_index >= len(_ADTS_RATES_HZ) or size < 7:
        return None
    return size, 1024 * ((head[6] & 3) + 1) / _ADTS_RATES_HZ[rate_index]


class _Frames:
    """Audio made of frames that each begin with a header."""

    def __init__(self, read: Callable[[bytes], _Frame | None]) -> None:
        self._read = read
        self._held = b""
        self._skip = 0  # bytes of the current frame still to come

    def feed(self, data: bytes) -> float:
        held = self._held + data
        seconds, place = 0.0, 0
        while True:
            step = min(self._skip, len(held) - place)
            place, self._skip = place + step, self._skip - step
            if len(held) - place < _HEADER_BYTES:
                break
            seconds += self._next(held[place : place + _HEADER_BYTES])
        self._held = held[place:]
        return seconds

    def _next(self, head: bytes) -> float:
        """Sets how far to go on; out of step, that is to where a header may begin."""
        if head.startswith(b"ID3"):
            # The tag's size has 7 bits in each byte.
            size = head[6] << 21 | head[7] << 14 | head[8] << 7 | head[9]
            self._skip = 10 + size
            return 0.0
        frame = self._read(head)
        if frame is None:
            mark = head.find(b"\xff", 1)
            self._skip = mark if mark > 0 else _HEADER_BYTES
            return 0.0
        self._skip = frame[0]
        return frame[1]


_PAGE_BYTES: Final = 27


class _Ogg:
    """Ogg pages: each says where in time its last packet ends."""

    def __init__(self) -> None:
        self._held = b""
        self._rate_hz = 48000
        self._end = 0  # granule position up to which time is counted

    def feed(self, data: bytes) -> float:
        self._held += data
        before = self._end
        seconds = 0.0
        while (page := self._page()) is not None:
            is_first, granule, body = page
            if is_first:
                # Another stream chained on: its time starts anew.
                seconds += (self._end - before) / self._rate_hz
                self._begin(body)
                before = self._end
            elif granule > self._end:
                self._end = granule
        return seconds + (self._end - before) / self._rate_hz

    def _begin(self, body: bytes) -> None:
        self._end = 0
        if body.startswith(b"OpusHead") and len(body) >= 12:
            self._rate_hz = 48000  # granules count at 48 kHz whatever the input was
            self._end = int.from_bytes(body[10:12], "little")  # pre-skip: never heard
        elif body.startswith(b"\x01vorbis") and len(body) >= 16:
            self._rate_hz = int.from_bytes(body[12:16], "little") or 48000

    def _page(self) -> tuple[bool, int, bytes] | None:
        """The next whole page: whether a stream begins with it, its granule position, its body."""
        start = self._held.find(b"OggS")
        if start < 0:
            self._held = self._held[-3:]
            return None
        self._held = self._held[start:]
        if len(self._held) < _PAGE_BYTES:
            return None
        flags, granule = struct.unpack_from("<xxxxxBq", self._held)
        body_at = _PAGE_BYTES + self._held[26]
        size = sum(self._held[_PAGE_BYTES:body_at])
        if len(self._held) < body_at + size:
            return None
        body = self._held[body_at : body_at + size]
        self._held = self._held[body_at + size :]
        return bool(flags & 2), granule, body
