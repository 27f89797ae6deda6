"""One caller on ``/ws``: what each message does, whatever carries the messages."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final, Protocol
from uuid import uuid4

from twisted.internet.defer import CancelledError, Deferred
from twisted.logger import Logger

from waav.errors import BadRequest, WaavError, untraced
from waav.gateway.http.fields import TooLarge
from waav.gateway.settings import WebSocketSettings
from waav.gateway.voice import messages
from waav.gateway.voice.inbox import HeldBy, Inbox, InboxState
from waav.session.call_settings import CallSettings, Listening, Speaking
from waav.session.outlet import Outlet
from waav.session.world import World
from waav.speech.wire import Transcript
from waav.tasks import Tasks

AUDIO_DISABLED: Final = "Audio processing is disabled. Send config message with audio=true first."
NO_STT: Final = "Speech recognition is not configured. Send config message with stt_config first."
NO_TTS: Final = "Speech synthesis is not configured. Send config message with tts_config first."
NO_CONFIG: Final = "Nothing to connect. Send config message first."
STT_REQUIRED: Final = "STT configuration is required when audio=true"
NO_LIVEKIT: Final = "LiveKit room handler not initialized. Check API keys configuration."
NO_ROOM: Final = (
    "LiveKit client not configured. Send config message with livekit configuration first."
)
NO_DAG: Final = "DAG routing is not enabled. Build with --features dag-routing"
INTERNAL: Final = "Internal error"

LIVEKIT_URL: Final = "http://localhost:7880"
"""What the original shows in every ``ready`` where nothing else is configured."""


class Line(Protocol):
    """What carries a caller's messages: his connection."""

    def send_text(self, text: str) -> None:
        """Queue a message; dropped once the connection is closing."""

    def send_audio(self, frames: list[bytes]) -> None:
        """Queue speech, each frame a message; dropped once the connection is closing."""

    def hold(self, is_held: bool) -> None:
        """Stop, or go on, reading from the caller."""


class OpenSession(Protocol):
    """What a caller needs of ``waav.session.session.Session``."""

    @property
    def ear(self) -> Callable[[bytes], None] | None:
        """What ``hear`` does with audio, until the next ``configure`` or ``hang_up``; None: it is not listening."""

    @property
    def state(self) -> str:
        """``ready`` while a config is in force and none is being carried out."""

    def configure(self, settings: CallSettings) -> Deferred[None]:
        """Stop what ran before and start this."""

    def hear(self, data: bytes) -> None:
        """The caller's audio."""

    def say(self, text: str, *, flush: bool = True, allow_interruption: bool = True) -> None:
        """Speak to the caller."""

    def clear(self) -> None:
        """Stop speaking."""

    def flush(self) -> None:
        """Finals for what was heard so far."""

    def turn_threshold(self, threshold: float) -> None:
        """Change when a turn counts as finished; raises BadRequest where that changes nothing."""

    def pause(self) -> None:
        """The caller's connection is full."""

    def resume(self) -> None:
        """It has room again."""

    def hang_up(self) -> Deferred[None]:
        """Stop everything."""


class Caller:
    """Takes a caller's messages strictly in order and drives his call. It is the call's ``Outlet``.

    While a ``config`` is carried out, messages and audio wait; when too much waits, reading stops.

    Args:
        line: his connection.
        world: what calls share.
        settings: limits of waiting messages.
        open_call: makes the call, given where its results go.
        now_ms: wall clock in milliseconds.
        default_rate_hz: sample rate of speech where he names none.
        livekit_url: shown in ``ready``.
        address: where he comes from, for the log.
    """

    _log = Logger()

    def __init__(
        self,
        line: Line,
        world: World,
        settings: WebSocketSettings,
        open_call: Callable[[World, Outlet], OpenSession],
        now_ms: Callable[[], int],
        *,
        default_rate_hz: int = 24000,
        livekit_url: str = LIVEKIT_URL,
        address: str = "",
    ) -> None:
        self._line = line
        self._world = world
        self._limits = settings
        self._now_ms = now_ms
        self._default_rate_hz = default_rate_hz
        self._livekit_url = livekit_url
        self._address = address
        self._tasks = Tasks()
        self._call = open_call(world, self)
        self._settings: CallSettings | None = None  # in force
        self._logged_as: str | None = None
        self._asked: CallSettings | None = None  # in force, being carried out, or failed
        self._inbox = Inbox(settings.waiting_bytes, line.hold)
        self._unread: int | None = None  # messages sent since his connection is full
        self._was_told_no_stt = False  # since the last config
        self._ear: Callable[[bytes], None] | None = (
            None  # while nothing has to be asked about his audio
        )

    @property
    def stream_id(self) -> str:
        """Of the last config, and of the next unless it names another; "" before the first."""
        return self._asked.stream_id if self._asked is not None else ""

    # Messages in.

    def heard(self, data: bytes) -> None:
        """A complete message of audio: the same as ``arrived``, in fewer steps. Never raises."""
        ear = self._ear
        if ear is None or len(data) > messages.AUDIO_MAX_BYTES:
            self.arrived(data, True)
            return
        try:
            ear(data)
        except Exception:
            self._failed()

    def arrived(self, data: bytes, is_binary: bool) -> None:
        """A complete message. Never raises."""
        if self._inbox.takes(data, is_binary):
            self._take(data, is_binary)

    def _take(self, data: bytes, is_binary: bool) -> None:
        try:
            if is_binary:
                self._hear(data)
            else:
                self._carry_out(messages.decode(data))
        except messages.BadNumber as reason:
            self._send(messages.sip_transfer_error(reason.message, reason.code))
        except WaavError as reason:
            self._send(messages.refusal(reason))
        except Exception:
            self._failed()

    def _failed(self) -> None:
        """The exception being handled is a fault of ours; he is told no more than that."""
        self._log.failure("{stream_id}: a message failed", stream_id=self.stream_id)
        self._send(messages.error(INTERNAL, WaavError.code))

    def _drain(self) -> None:
        """Carry out what waits, if nobody is at it and nothing is before it."""
        if not self._inbox.drain():
            return
        while (message := self._inbox.next()) is not None:
            self._take(*message)
        self._open_ear()

    def _open_ear(self) -> None:
        """His audio goes straight into the call where nothing is before it, and a call listens."""
        is_next = self._inbox.state is InboxState.OPEN
        listens = self._settings is not None and self._settings.listening is not None
        self._ear = self._call.ear if is_next and listens else None

    def _hear(self, data: bytes) -> None:
        size_bytes = len(data)
        if size_bytes > messages.AUDIO_MAX_BYTES:
            raise TooLarge(
                f"Audio frame too large: {size_bytes} bytes (max: {messages.AUDIO_MAX_BYTES} bytes)"
            )
        settings = self._settings
        if settings is None or not settings.has_audio:
            raise BadRequest(AUDIO_DISABLED)
        if settings.listening is not None:
            self._call.hear(data)
        elif not self._was_told_no_stt:
            self._was_told_no_stt = True
            raise BadRequest(NO_STT)

    def _carry_out(self, message: messages.Message) -> None:
        match message:
            case messages.Config():
                self._config(message)
            case messages.Speak():
                self._speak(message)
            case messages.Clear():
                if self._settings is not None and self._settings.has_audio:
                    self._call.clear()
            case messages.Flush():
                if self._settings is not None and self._settings.has_audio:
                    self._call.flush()
            case messages.Loading():
                pass
            case messages.Audio(data):
                self._hear(data)
            case messages.Connect():
                if self._settings is None:
                    raise BadRequest(NO_CONFIG)
                self._configure(self._settings)
            case messages.UpdateConfig():
                self._update(message)
            case messages.Ping():
                self._send(messages.pong(message, self._now_ms()))
            case messages.Auth():
                self._send(messages.authenticated())
            case messages.SendMessage():
                raise BadRequest(NO_ROOM)
            case messages.SipTransfer():
                self._send(messages.sip_transfer_error(NO_ROOM, "livekit_not_configured"))
            case messages.Custom(message_type):
                raise BadRequest(f"Unknown custom message type: {message_type}")

    def _speak(self, message: messages.Speak) -> None:
        if self._settings is None or not self._settings.has_audio:
            raise BadRequest(AUDIO_DISABLED)
        if self._settings.speaking is None:
            raise BadRequest(NO_TTS)
        self._call.say(
            message.text, flush=message.flush, allow_interruption=message.allow_interruption
        )

    def _update(self, message: messages.UpdateConfig) -> None:
        if self._settings is None or not self._settings.has_audio:
            raise BadRequest(AUDIO_DISABLED)
        self._call.turn_threshold(message.turn_threshold)
        self._settings = replace(self._settings, turn_threshold=message.turn_threshold)

    # Setting up.

    def _config(self, message: messages.Config) -> None:
        """Everything that can be refused is refused before anything of the last config is touched."""
        if message.is_deprecated:
            self._log.warn(
                "{stream_id}: audio_disabled is deprecated, send audio instead",
                stream_id=message.stream_id or self.stream_id,
            )
        settings = self._decide(message)
        if message.wants_livekit:
            raise BadRequest(NO_LIVEKIT)
        self._configure(settings, wants_dag=message.wants_dag)

    def _decide(self, message: messages.Config) -> CallSettings:
        stream_id = message.stream_id or self.stream_id or str(uuid4())
        if not message.has_audio:
            return CallSettings(stream_id, has_audio=False)
        if message.listening is None and message.speaking is None and not self._has_halves():
            raise BadRequest(STT_REQUIRED)
        return CallSettings(
            stream_id,
            listening=self._listening(message.listening),
            speaking=self._speaking(message.speaking),
            noise_filter=message.noise_filter,
            turn_detection=message.turn_detection,
            turn_threshold=message.turn_threshold,
            timing=message.timing,
        )

    def _has_halves(self) -> bool:
        """Whether there is something that a config which names neither half goes on with."""
        before = self._settings
        return before is not None and (before.listening or before.speaking) is not None

    def _listening(self, source: Mapping[str, Any] | None) -> Listening | None:
        return None if source is None else messages.decode_listening(source, self._world)

    def _speaking(self, source: Mapping[str, Any] | None) -> Speaking | None:
        if source is None:
            return None
        return messages.decode_speaking(source, self._world, default_rate_hz=self._default_rate_hz)

    def _configure(self, settings: CallSettings, *, wants_dag: bool = False) -> None:
        self._ear = None
        before, self._settings = self._settings, None
        if before is not None and settings.has_audio:
            settings = settings.over(before)
        self._asked = settings
        came_from = self._inbox.shut()
        config = self._tasks.start(self._carry_out_config(settings, before, wants_dag), "config")
        if config.called:
            # Whoever carries out messages goes on with the next: a thousand configs are not a thousand calls deep.
            self._inbox.reopen(came_from)
            self._open_ear()
        else:
            config.addCallback(lambda _: self._configured())

    async def _carry_out_config(
        self, settings: CallSettings, before: CallSettings | None, wants_dag: bool
    ) -> None:
        try:
            await self._call.configure(settings)
        except CancelledError:
            raise
        except WaavError as reason:
            message = self._without_keys(reason.message)
            self._send(messages.error(message, reason.code))
            untraced(reason)
        except Exception:
            self._log.failure("{stream_id}: config failed", stream_id=settings.stream_id)
            self._send(messages.error(INTERNAL, WaavError.code))
        else:
            self._ready(settings, wants_dag)
        if self._settings is None and self._call.state == "ready":
            self._settings = self._asked = (
                before  # Refused before anything of the last was touched.
            )

    def _configured(self) -> None:
        self._inbox.reopen(InboxState.STALLED)
        self._drain()

    def _ready(self, settings: CallSettings, wants_dag: bool) -> None:
        self._settings = settings
        self._was_told_no_stt = False
        self._log_arrival(settings)
        if wants_dag:
            self._send(messages.error(NO_DAG, "dag_not_enabled"))
        self._send(
            messages.ready(
                settings.stream_id,
                settings.listening,
                settings.speaking,
                livekit_url=self._livekit_url,
            )
        )

    # Results out: the call's Outlet.

    def transcript(self, transcript: Transcript) -> None:
        """See ``Outlet``."""
        self._send(messages.stt_result(transcript))

    def audio(self, frames: list[bytes]) -> None:
        """See ``Outlet``."""
        self._line.send_audio(frames)

    def spoken_all(self) -> None:
        """See ``Outlet``."""
        self._send(messages.tts_playback_complete(self._now_ms()))

    def error(self, message: str, code: str) -> None:
        """See ``Outlet``."""
        self._send(messages.error(self._without_keys(message), code))

    def congested(self, is_full: bool) -> None:
        """See ``Outlet``."""
        self._inbox.hold(HeldBy.CONGESTED, is_full)
        if not is_full:
            self._drain()

    def _send(self, text: str) -> None:
        """Messages are never dropped: a caller who does not read them is not read from either, in the end."""
        self._line.send_text(text)
        if self._unread is not None:
            self._unread += 1
            if self._unread >= self._limits.outgoing_messages:
                self._inbox.hold(HeldBy.UNREAD, True)

    def full(self, is_full: bool) -> None:
        """His connection takes no more for now, or has room again."""
        if is_full == (self._unread is not None):
            return
        if is_full:
            self._unread = 0
            self._call.pause()
        else:
            self._unread = None
            self._inbox.hold(HeldBy.UNREAD, False)
            self._call.resume()

    def _log_arrival(self, settings: CallSettings) -> None:
        """Where he comes from: once for each name that his call has."""
        if settings.stream_id != self._logged_as:
            self._logged_as = settings.stream_id
            self._log.info(
                "{stream_id}: the caller is at {address}",
                stream_id=settings.stream_id,
                address=self._address or "no address",
            )

    def _without_keys(self, text: str) -> str:
        """Vendors quote what they were sent; a key must not get into a message."""
        return text if self._asked is None else self._asked.masked(text)

    # The end.

    async def end(self) -> None:
        """He is gone: stop whatever runs for him. Returns when all of it has ended."""
        self._inbox.end()
        self._ear = None
        try:
            await self._tasks.stop()
            await self._call.hang_up()
        except Exception:
            self._log.failure("{stream_id}: clean-up failed", stream_id=self.stream_id)
