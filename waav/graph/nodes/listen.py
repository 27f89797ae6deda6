"""The node that has the caller's audio recognised."""

from collections.abc import Mapping
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred, succeed

from waav.errors import BadRequest, ProviderError
from waav.graph.build import Emit, Surroundings
from waav.graph.credential import fingerprint
from waav.graph.notes import Notes
from waav.links.dial import Link
from waav.links.figures import LinkFigures
from waav.speech import wire
from waav.speech.audio import AudioFormat
from waav.speech.convert import Converter, can_convert
from waav.speech.provider import Account, ListenSettings, Provider


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

    Args:
        source: what the audio is when it gets here; converted to what the provider needs.

    Attributes:
        figures: what passed over its connection, once there is one.
    """

    def __init__(
        self, listener: Recogniser, source: AudioFormat, surroundings: Surroundings, emit: Emit
    ) -> None:
        self._listener = listener
        self._surroundings = surroundings
        self._emit = emit
        self._converter = _converter(listener, source, self._new_dialogue().format)
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
        self._opening = Deferred.fromCoroutine(self._open())
        return self._opening

    def stop(self, at_once: bool) -> Deferred[None]:
        if self._opening is not None:
            self._opening.cancel()
        link, self._link = self._link, None
        if at_once or link is None:
            self._is_stopped = True
            if link is not None:
                link.abort()
            return succeed(None)
        rest = self._converter.finish() if self._converter is not None else b""
        if rest:
            self._send(link, rest)
        return Deferred.fromCoroutine(self._close(link))

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
        if not self._is_stopped:
            self._surroundings.congested(is_full)

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
    """Kind ``stt_provider``: ``listener``, and ``source`` where the audio is not the caller's own any more."""
    listener = config["listener"]
    return Listen(listener, config.get("source", listener.settings.format), surroundings, emit)
