"""The node that has the caller's audio recognised."""

from collections.abc import Mapping
from enum import Enum, auto
from typing import Any, Final, Protocol

from twisted.internet.defer import CancelledError, Deferred, succeed
from twisted.internet.interfaces import IDelayedCall

from waav.errors import BadRequest, ProviderError
from waav.graph.build import Emit, Surroundings
from waav.graph.credential import fingerprint
from waav.graph.notes import Notes
from waav.graph.values import AudioFlow
from waav.links.dial import Link
from waav.links.figures import LinkFigures
from waav.speech import wire
from waav.speech.audio import AudioFormat
from waav.speech.convert import Converter, can_convert
from waav.speech.provider import Account, ListenSettings, Provider
from waav.tasks import started

LONGEST_MESSAGE_S: Final = 2.0
"""Clients that send pieces of up to this length are not taken for ones that have stopped."""

PAD_S: Final = 0.1
PADDING_S: Final = 3.0
"""Silence for vendors who give finals only of their own accord: longer than any of them waits for the next word."""

EPSILON_S: Final = 1e-6


class Recogniser(Protocol):
    """Who recognises, with which account."""

    @property
    def provider(self) -> Provider: ...
    @property
    def settings(self) -> ListenSettings: ...
    @property
    def account(self) -> Account: ...
    @property
    def warnings(self) -> tuple[str, ...]: ...


class Listen:
    """Receives audio (``bytes``); emits the provider's events.

    When the caller's audio stops coming, muted, push-to-talk, or because his network is gone, the vendor is asked for
    what he has, and the turn is told: neither would notice otherwise, for both reckon in audio.

    Args:
        source: what the audio is when it gets here; converted to what the provider needs.
        gap_s: how long no audio may come.

    Attributes:
        figures: what passed over its connection, once there is one.
    """

    def __init__(
        self,
        listener: Recogniser,
        source: AudioFormat,
        surroundings: Surroundings,
        emit: Emit,
        gap_s: float = 1.0,
    ) -> None:
        self._listener = listener
        self._surroundings = surroundings
        self._emit = emit
        dialogue = self._new_dialogue()
        self._format = dialogue.format
        self._gives_finals = dialogue.opening.gives_finals_when_asked
        self._converter = _converter(listener, source, self._format)
        self._clock = surroundings.clock
        self._now = surroundings.clock.seconds
        self._gap_s = gap_s
        self._source = source
        self._flow = _Flow.NONE
        self._heard_at = 0.0
        self._heard_bytes = 0  # of the last message
        self._look: IDelayedCall | None = None
        self._padded_s = 0.0
        self._is_congested = False
        self._notes = Notes(listener.provider.name, surroundings.stream_id)
        self._frame_bytes = source.frame_bytes
        self._odd = b""
        self._link: Link | None = None
        self.figures: LinkFigures | None = None
        self._opening: Deferred[None] | None = None
        self._is_stopped = False

    def receive(self, value: Any) -> None:
        if not isinstance(value, bytes):
            return
        link = self._link
        if link is None:
            self._surroundings.count("dropped", 1)
            return
        self._heard_at, self._heard_bytes = self._now(), len(value)
        if self._flow is not _Flow.COMING:
            self._audio_comes()
        if self._converter is not None:
            value = self._converter.feed(value)
        elif self._odd or len(value) % self._frame_bytes:
            value = self._whole(value)
        if value:
            try:
                link.send_audio(value)
            except ProviderError as error:
                self._emit(wire.Failed(error))

    def start(self) -> Deferred[None]:
        self._opening = started(self._open())
        return self._opening

    def stop(self, at_once: bool) -> Deferred[None]:
        if self._opening is not None:
            self._opening.cancel()
        if self._look is not None:
            self._look.cancel()
            self._look = None
        link, self._link = self._link, None
        if at_once or link is None:
            self._is_stopped = True
            if link is not None:
                link.abort()
            return succeed(None)
        rest = self._converter.finish() if self._converter is not None else b""
        if rest:
            self._send(link, rest)
        return started(self._close(link))

    def pause(self) -> None:
        """What recognition produces is small: it is never held back."""

    def resume(self) -> None:
        pass

    def event(self, event: wire.Event) -> None:
        if self._is_stopped:
            return
        if isinstance(event, wire.Warned):
            self._notes.take(event.message)
            return
        if isinstance(event, wire.Lost):
            self._link = None
        self._emit(event)

    def congested(self, is_full: bool) -> None:
        self._is_congested = is_full
        if not self._is_stopped:
            self._surroundings.congested(is_full)

    def flush(self) -> None:
        """The caller wants finals for what he has said so far."""
        if self._link is not None:
            self._link.send(wire.Flush())

    def _audio_comes(self) -> None:
        """The first audio, or the first after a gap."""
        had_stopped, self._flow = self._flow is _Flow.STOPPED, _Flow.COMING
        if self._look is not None:
            self._look.cancel()
        self._look = self._clock.callLater(self._gap_s, self._look_for_audio)
        if had_stopped:
            self._emit(AudioFlow(True))

    def _look_for_audio(self) -> None:
        """Some time after the last audio, or after the last look: one timer, whatever comes in between."""
        self._look = None
        # A message of a long stretch of audio lasts as long as that; of a whole file there is no next.
        lasts_s = min(self._source.duration_s(self._heard_bytes) or 0.0, LONGEST_MESSAGE_S)
        left_s = self._heard_at + lasts_s + self._gap_s - self._now()
        if self._is_congested:
            # It is we who do not take any.
            left_s = max(left_s, self._gap_s)
        if left_s > EPSILON_S:
            self._look = self._clock.callLater(left_s, self._look_for_audio)
            return
        self._flow = _Flow.STOPPED
        self._padded_s = 0.0
        if self._gives_finals:
            self.flush()
        else:
            self._pad()
        self._emit(AudioFlow(False))

    def _pad(self) -> None:
        """Silence, as fast as it lasts, until the vendor must have heard that nobody speaks."""
        self._look = None
        if self._link is None or not self._format.is_raw or self._padded_s >= PADDING_S:
            return
        self._padded_s += PAD_S
        self._send(self._link, self._format.silence(PAD_S))
        self._look = self._clock.callLater(PAD_S, self._pad)

    def _send(self, link: Link, data: bytes) -> None:
        try:
            link.send_audio(data)
        except ProviderError as error:
            self._emit(wire.Failed(error))

    def _whole(self, data: bytes) -> bytes:
        """As many whole samples as there are; the rest waits for the next frame."""
        data = self._odd + data
        size = len(data) - len(data) % self._frame_bytes
        self._odd = data[size:]
        return data[:size]

    def _new_dialogue(self) -> wire.Dialogue:
        make = self._listener.provider.listen
        if make is None:
            raise BadRequest(f"{self._listener.provider.name} does not recognise speech")
        return make(self._listener.settings, self._listener.account)

    async def _open(self) -> None:
        for warning in self._listener.warnings:
            self._notes.take(warning)
        link = await self._surroundings.dialler.open(
            self._listener.provider.name,
            self._new_dialogue,
            self,
            fingerprint=fingerprint(self._listener.account),
            share=self._surroundings.share,
        )
        if self._is_stopped:
            link.abort()
            raise CancelledError()
        self._link = link
        self.figures = link.figures

    async def _close(self, link: Link) -> None:
        try:
            await link.close()
        finally:
            self._is_stopped = True


class _Flow(Enum):
    """The caller's audio."""

    NONE = auto()  # yet
    COMING = auto()
    STOPPED = auto()  # and the vendor was asked for what he has


def _converter(listener: Recogniser, source: AudioFormat, target: AudioFormat) -> Converter | None:
    if source == target:
        return None
    if not can_convert(source, target):
        raise BadRequest(
            f"{listener.provider.name} needs {target.encoding} and cannot be given {source.encoding}"
        )
    converter = Converter(source, target)
    return None if converter.is_identity else converter


def listen(config: Mapping[str, Any], surroundings: Surroundings, emit: Emit) -> Listen:
    """Kind ``stt_provider``: ``listener``, ``source`` where the audio is not the caller's own any more, and ``gap_s``."""
    listener = config["listener"]
    source = config.get("source", listener.settings.format)
    return Listen(listener, source, surroundings, emit, config.get("gap_s", 1.0))
