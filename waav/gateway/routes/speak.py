"""``POST /speak``: a text becomes the body of the answer, sent while it is still being spoken."""

# mypy: allow-untyped-calls
# Our requests and channels inherit from classes of twisted.web that have no annotations.

import re
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IPushProducer, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import implementer

from waav.errors import (
    BadRequest,
    ConfigError,
    MissingCredentials,
    ProviderBusy,
    ProviderError,
    ProviderLost,
    ProviderRefused,
    ProviderTimeout,
    WaavError,
    untraced,
)
from waav.gateway.admission.live import LiveConnections, ShuttingDown
from waav.gateway.http.fields import Fields, Malformed, TooLarge
from waav.gateway.http.replies import error_answer
from waav.gateway.http.request import GatewayRequest
from waav.gateway.settings import SpeechDefaults
from waav.gateway.voice.messages import decode_speaking
from waav.secret import Secret
from waav.session.call_settings import CallSettings, Speaking
from waav.session.summary import CallSummary
from waav.session.trouble import log_trouble
from waav.session.world import World
from waav.speech import wav
from waav.speech.audio import SAMPLE_BYTES, AudioFormat
from waav.speech.formats import content_type, label

MOST_WARNING: Final = 1000
"""Characters of the header that tells what will not be had as it was asked for."""

LEAVE_S: Final = 0.5
"""How long the end of an answer may take to leave when the gateway stops."""

TIMEOUT_TEXT: Final = "TTS synthesis timeout"

_CALLERS_FAULT: Final = frozenset({400, 404, 409, 413, 415, 422})
"""What vendors answer to settings that they do not know: voices, models, texts."""


class SpokenText(Protocol):
    """One text on its way to being audio."""

    warnings: list[str]
    """What will not be had as it was asked for; complete when the first audio comes."""
    done: Deferred[None]
    """Fires when all audio was handed over, fails where there was none; cancelling it stops the work."""

    def pause(self) -> None: ...

    def resume(self) -> None: ...


Begin = Callable[
    [World, Speaking, str, Callable[[bytes], None], Callable[[AudioFormat], None], str], SpokenText
]
"""``waav.session.synthesis.synthesize``: audio goes to the first callable, its format before that to the second; the
last is the caller's address."""


def decode_body(
    body: Mapping[str, Any], world: World, defaults: SpeechDefaults, header_key: Secret | None
) -> tuple[str, Speaking]:
    """What a body asks for: ``{text, tts_config}``, or everything in one flat object as SDKs send it.

    Who names no provider gets the gateway's default one.

    Raises:
        Malformed: a field is missing or wrong; found before anything else.
        BadRequest: no text, too much of it, or settings that cannot work.
        MissingCredentials: nobody has a key for that provider.
    """
    read = Fields(body)
    text = read.required_text("text")
    source = read.object("tts_config")
    if source is None:
        source = {name: value for name, value in body.items() if name != "text"}
    if source.get("provider") is None:
        source = {**source, "provider": defaults.tts_provider}
    try:
        speaking: Speaking | WaavError = decode_speaking(
            source, world, header_key, default_rate_hz=defaults.sample_rate
        )
    except (Malformed, TooLarge):
        raise
    except WaavError as error:
        # A text that is empty or too long is told before anything about the provider: clients rely on that order.
        speaking = error
    _check_text(text, defaults.speak_max_bytes)
    if isinstance(speaking, WaavError):
        raise _not_created(speaking, str(source.get("provider")))
    return text, speaking


def _check_text(text: str, most_bytes: int) -> None:
    if not text.strip():
        raise BadRequest("Text cannot be empty")
    size_bytes = len(text.encode())
    if size_bytes > most_bytes:
        raise BadRequest(f"Text too long: {size_bytes} bytes exceeds maximum {most_bytes} bytes")


def _not_created(error: WaavError, name: str) -> WaavError:
    if isinstance(error, MissingCredentials):
        return MissingCredentials(f"API key not configured for provider: {name[:64]}")
    kind = BadRequest if isinstance(error, BadRequest) else ConfigError
    return kind(f"Failed to create TTS provider: {error.message}")


@implementer(IPushProducer)
class Delivery:
    """The answer to one request.

    Its head needs the format of the first audio, and its length if the whole is there at once (an answer out of
    the cache): the first audio is held until the reactor's next turn. An answer that fails later is broken off,
    never ended: half an answer must not look like a whole one.

    Args:
        timeout_s: longest time without any audio; for the first of it that is the limit of the whole wait.
        calls: waits for this answer when the gateway stops, as for a call.
    """

    _log = Logger()

    def __init__(
        self, request: GatewayRequest, clock: IReactorTime, timeout_s: float, calls: LiveConnections
    ) -> None:
        self._request = request
        self._clock = clock
        self._timeout_s = timeout_s
        self._calls = calls
        # HTTP/1.0 knows no chunks: there only the length tells a whole answer from half of one.
        self._is_whole = request.clientproto != b"HTTP/1.1"
        self._synthesis: SpokenText | None = None
        self._format: AudioFormat | None = None
        self._held: list[bytes] = []
        self._is_open = self._is_paused = False
        self._name = ""
        self._why_cancelled: WaavError | None = None
        self._progress_at = clock.seconds()
        self._opening: IDelayedCall | None = None
        self._limit: IDelayedCall | None = None

    async def run(self, begin: Begin, world: World, speaking: Speaking, text: str) -> bytes | None:
        """Speak ``text``.

        Returns:
            the rest of the answer's body: all of it, an error, or None where it was sent or broken off already.
            Cancelling stops the synthesis.
        """
        self._name = speaking.provider.name
        self._calls.add(self, "speak")
        self._request.notifyFinish().addBoth(self._finished)
        try:
            self._synthesis = begin(
                world, speaking, text, self._audio, self._starts, self._request.client_address
            )
            if self._is_paused:
                self._synthesis.pause()
            self._watch()
            await self._synthesis.done
        except CancelledError as cancelled:
            if self._why_cancelled is None:
                raise
            untraced(cancelled)
            return await self._failed(self._why_cancelled, speaking)
        except WaavError as error:
            return await self._failed(untraced(error), speaking)
        finally:
            self._stop()
        if self._is_open:
            return None
        assert self._format is not None, "a synthesis has told its format when it ends"
        body = _sized(self._format, b"".join(self._held))
        self._describe(self._format)
        self._request.setHeader("content-length", str(len(body)))
        return body

    def close(self, code: int, reason: str) -> None:
        """The gateway waits no longer; see ``calls.Connection``."""
        self._cancel(ShuttingDown())

    def _cancel(self, why: WaavError) -> None:
        if self._synthesis is not None and not self._synthesis.done.called:
            self._why_cancelled = why
            self._synthesis.done.cancel()

    def _finished(self, result: object) -> None:
        """Nothing more will be written, or nobody is there to read it."""
        if isinstance(result, Failure):
            self._calls.remove(self, "lost")
        elif self._calls.is_open:
            self._calls.remove(self, "caller")
        else:
            self._clock.callLater(LEAVE_S, self._calls.remove, self, "caller")

    def pauseProducing(self) -> None:
        self._is_paused = True
        if self._synthesis is not None:
            self._synthesis.pause()

    def resumeProducing(self) -> None:
        self._is_paused = False
        self._progress_at = self._clock.seconds()
        if self._synthesis is not None:
            self._synthesis.resume()

    def stopProducing(self) -> None:
        """The connection is going; ``run`` is cancelled."""

    def _starts(self, form: AudioFormat) -> None:
        self._format = form

    def _audio(self, data: bytes) -> None:
        self._progress_at = self._clock.seconds()
        if self._is_open:
            self._request.write(data)
            return
        self._held.append(data)
        if self._opening is None and not self._is_whole:
            self._opening = self._clock.callLater(0, self._open)

    def _open(self) -> None:
        self._opening = None
        self._is_open = True
        assert self._format is not None, "audio came without a format"
        self._describe(self._format)
        self._request.registerProducer(self, True)
        self._request.write(b"".join(self._held))
        self._held.clear()

    def _describe(self, form: AudioFormat) -> None:
        self._request.setHeader("content-type", content_type(form))
        self._request.setHeader("x-audio-format", label(form))
        self._request.setHeader("x-sample-rate", str(form.rate_hz))
        if self._synthesis is not None and self._synthesis.warnings:
            said = "; ".join(self._synthesis.warnings)
            plain = re.sub(r"[^\x20-\x7e]+", " ", said)  # a header carries no more
            self._request.setHeader("x-warnings", plain[:MOST_WARNING])

    def _watch(self) -> None:
        self._limit = None
        if self._synthesis is None or self._synthesis.done.called:
            return
        left_s = self._progress_at + self._timeout_s - self._clock.seconds()
        if left_s > 0.001:
            self._limit = self._clock.callLater(left_s, self._watch)
        else:
            self._cancel(ProviderTimeout(self._name, TIMEOUT_TEXT))

    def _stop(self) -> None:
        for timer in (self._opening, self._limit):
            if timer is not None and timer.active():
                timer.cancel()
        self._opening = self._limit = None
        self._synthesis = None  # it knows where its audio goes
        if self._is_open and self._request.producer is self:
            self._request.unregisterProducer()

    async def _failed(self, error: WaavError, speaking: Speaking) -> bytes | None:
        if isinstance(error, ProviderError):
            # One request is one cause.
            call = CallSettings(
                f"POST /speak from {self._request.client_address}", speaking=speaking
            )
            log_trouble(self._log, CallSummary(0.0), call, error)
        if not self._is_open:
            return refusal(self._request, error, speaking)
        await self._request.break_off()
        return None


def _sized(form: AudioFormat, body: bytes) -> bytes:
    """A WAV whose end is known gets a header that says so; while streaming it cannot."""
    if form.container != "wav" or form.encoding not in SAMPLE_BYTES:
        return body
    if not body:
        return wav.pack(form, b"")
    reader = wav.WavReader()
    samples = reader.feed(body) + reader.finish()
    return body if reader.format is None else wav.pack(reader.format, samples)


def refusal(request: GatewayRequest, error: WaavError, speaking: Speaking) -> bytes:
    """The answer when no audio was sent yet."""
    status, text = _explained(error, speaking.account.is_callers_own)
    wait_s = getattr(error, "retry_after_s", None)
    return error_answer(request, status, text, wait_s if status in (429, 503) else None)


def _explained(error: WaavError, is_callers_key: bool) -> tuple[int, str]:
    match error:
        case ProviderTimeout():
            return 504, TIMEOUT_TEXT
        case ProviderLost():
            return 502, f"Failed to connect to TTS provider: {error.message}"
        case ProviderBusy(upstream_status=429):
            return 429, f"TTS synthesis error: {error.message}"
        case ProviderRefused(upstream_status=401 | 403) if is_callers_key:
            return 401, f"Failed to synthesize speech: {error.message}"
        case ProviderRefused(upstream_status=status) if status in _CALLERS_FAULT:
            return 400, f"Failed to synthesize speech: {error.message}"
        case ProviderRefused():
            return 502, f"Failed to synthesize speech: {error.message}"
        case ProviderError():
            return error.status, f"TTS synthesis error: {error.message}"
        case ShuttingDown():
            return error.status, error.message
        case BadRequest() | ConfigError():
            return error.status, f"Failed to create TTS provider: {error.message}"
    return error.status, f"TTS synthesis error: {error.message}"
