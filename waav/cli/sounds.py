"""Sound files as ``waav listen`` reads them: WAV by ourselves, everything else by PyAV where that is installed."""

import os
import select
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from twisted.internet.threads import deferToThreadPool

from waav.errors import BadRequest
from waav.speech.audio import AudioFormat
from waav.speech.wav import HIGHEST_RATE_HZ, LOWEST_RATE_HZ, UnreadableAudio, WavReader

READ_BYTES: Final = 16384
LOOK_S: Final = 0.1
"""How often a reader of a pipe that says nothing looks whether it is still wanted."""

INSTALL: Final = "pip install 'waav[files]' reads it, or convert it: ffmpeg -i FILE OUT.wav"
RAW: Final = "for raw sound give --rate and --encoding"


class Pieces:
    """A source's samples, with their format once it is known.

    Args:
        reactor: whose threads read, since a pipe may have nothing to read for a long time.
        source: of the sound; anything with a descriptor.
        raw: what its bytes are, if they have no header.

    Attributes:
        format: of the samples.
        read_bytes: of the source.
    """

    def __init__(self, reactor: Any, source: BinaryIO, raw: AudioFormat | None) -> None:
        self._reactor = reactor
        self._source = source.fileno()
        self._wav = None if raw is not None else WavReader()
        self._decoded: Iterator[bytes] | None = None
        self._begun = b""  # what was read before the format was known
        self._is_over = False
        self.format = raw
        self.read_bytes = 0

    def end(self) -> None:
        """Read no more, whatever the source still has."""
        self._is_over = True

    async def next(self) -> bytes | None:
        """Some samples, perhaps none yet; None at the end.

        Raises:
            BadRequest: this is no sound, or none that is understood.
        """
        piece: bytes | None = await deferToThreadPool(
            self._reactor, self._reactor.getThreadPool(), self._next
        )
        return piece

    def _next(self) -> bytes | None:
        """In a thread."""
        if self._decoded is not None:
            return next(self._decoded, None)
        is_first = self.read_bytes == 0
        data = self._read(READ_BYTES)
        if self._wav is None:
            if is_first and data.startswith(b"RIFF"):
                raise BadRequest("this is WAV; leave out --rate, --encoding and --channels")
            return data or None
        return self._samples(self._wav, data)

    def _samples(self, wav: WavReader, data: bytes) -> bytes | None:
        if self.format is None:
            self._begun += data
        try:
            samples = wav.feed(data) if data else wav.finish()
        except UnreadableAudio as error:
            return self._decode(error.message)
        if wav.is_bare or (self.read_bytes and not data and wav.format is None):
            return self._decode(None)
        if self.format is None and wav.format is not None:
            self.format, self._begun = wav.format, b""
        return samples if data else None

    def _decode(self, why: str | None) -> bytes | None:
        """Have PyAV read what we cannot.

        Args:
            why: we cannot; None: nobody knows what it is.
        """
        try:
            import av
        except ImportError:
            if why is None:
                raise BadRequest(f"this is no WAV file; {RAW}, or {INSTALL}") from None
            raise BadRequest(f"{why}; {INSTALL}") from None
        nothing = BadRequest(
            f"{why}; it cannot be read" if why else f"this is no sound file; {RAW}"
        )
        try:
            container: Any = av.open(self._whole(), mode="r")
            if not container.streams.audio:
                raise nothing
            self._decoded = self._frames(av, container)
            return next(self._decoded, None)
        except av.error.FFmpegError:
            raise nothing from None

    def _whole(self) -> Any:
        """The source from its beginning. Some kinds have their index at the end: files can be gone about in freely."""
        try:
            os.lseek(self._source, 0, os.SEEK_SET)
        except OSError:
            return _Rest(self)
        return os.fdopen(os.dup(self._source), "rb")

    def _frames(self, av: Any, container: Any) -> Iterator[bytes]:
        stream = container.streams.audio[0]
        channels = min(stream.channels, 2)
        rate_hz = min(max(stream.rate, LOWEST_RATE_HZ), HIGHEST_RATE_HZ)
        self.format = AudioFormat("linear16", rate_hz, channels)
        resampler = av.AudioResampler("s16", "mono" if channels == 1 else "stereo", rate_hz)
        with container:
            for packet in container.demux(stream):
                if self._is_over:
                    return
                self.read_bytes = max(self.read_bytes, self._place())
                try:
                    frames = packet.decode()
                except av.error.InvalidDataError:
                    continue  # players skip a broken packet, and the last one is often cut short
                for frame in frames:
                    yield b"".join(_bytes_of(one, channels) for one in resampler.resample(frame))
            yield b"".join(_bytes_of(one, channels) for one in resampler.resample(None))

    def _place(self) -> int:
        """How far a file was read."""
        try:
            return os.lseek(self._source, 0, os.SEEK_CUR)
        except OSError:
            return 0

    def _read(self, most_bytes: int) -> bytes:
        """Blocks until there is something, or nobody wants it any more."""
        while not self._is_over:
            ready, _, _ = select.select([self._source], [], [], LOOK_S)
            if ready:
                data = os.read(self._source, most_bytes)
                self.read_bytes += len(data)
                return data
        return b""


class _Rest:
    """The whole source again, for PyAV: what was read before, and what is still to come. It cannot go back."""

    def __init__(self, pieces: Pieces) -> None:
        self._pieces = pieces

    def read(self, most_bytes: int) -> bytes:
        begun = self._pieces._begun
        if begun:
            self._pieces._begun = begun[most_bytes:]
            return begun[:most_bytes]
        return self._pieces._read(max(1, most_bytes))


def _bytes_of(frame: Any, channels: int) -> bytes:
    return bytes(frame.planes[0])[: frame.samples * channels * 2]
