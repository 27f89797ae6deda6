"""The words that dialogues with vendors are made of.

A ``Dialogue`` is one conversation with one vendor, without IO: ``send`` turns a command into what goes out,
``receive`` turns what came in into events. A link (``waav.links``) runs it over a socket, over HTTP or against
a model in the process. Dialogues know no clock; numbers about time stand in their ``Opening``.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from waav.errors import ProviderError
from waav.speech.audio import AudioFormat, AudioFrame

# What the gateway wants of a vendor.


@dataclass(frozen=True, slots=True)
class Audio:
    """Recognise this: bytes in the format the dialogue asked for (``Dialogue.format``), whole samples."""

    data: bytes


@dataclass(frozen=True, slots=True)
class Speak:
    """Synthesise this text: one piece, already within the vendor's limit, pronunciations applied."""

    text: str


@dataclass(frozen=True, slots=True)
class Flush:
    """Recognition: give finals for what you have now. Synthesis: speak what you have buffered."""


@dataclass(frozen=True, slots=True)
class Clear:
    """Forget what is being spoken; nothing older may come out after this."""


@dataclass(frozen=True, slots=True)
class Finish:
    """No more input. The vendor's last events are still wanted."""


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """Nothing was sent for ``Opening.keepalive_s``: say whatever keeps the vendor from hanging up."""


Command = Audio | Speak | Flush | Clear | Finish | KeepAlive

# What goes out and comes in.


@dataclass(frozen=True, slots=True)
class Request:
    """An HTTP request, complete. Requests of one dialogue are made one after the other, in order.

    Its repr shows neither credentials nor texts: it may end in a traceback.

    Args:
        url: absolute, query already encoded.
        headers: with the credential; ``secret_headers`` names those that must not be logged or hashed.
        cacheable: whether the same request gives an answer that may be kept (synthesis: yes).
        repeatable: whether it may be made again as long as nothing of its answer was delivered.
    """

    method: str
    url: str
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(default=b"", repr=False)
    secret_headers: frozenset[str] = frozenset({"authorization"})
    cacheable: bool = False
    repeatable: bool = True


@dataclass(frozen=True, slots=True)
class Head:
    """The first part of a successful HTTP answer (2xx only: the link turns others into errors).

    ``request`` is the one it answers: requests that failed for good get no answer, so a dialogue with several
    under way could not tell otherwise.
    """

    status: int
    headers: Mapping[str, str]  # lower-case names
    request: Request | None = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Body:
    """Some bytes of an HTTP answer, cut anywhere."""

    data: bytes


@dataclass(frozen=True, slots=True)
class End:
    """The HTTP answer is complete and was not cut short."""


Outgoing = str | bytes | Request
Incoming = str | bytes | Head | Body | End

# What happened.


@dataclass(frozen=True, slots=True)
class Ready:
    """The vendor says it is ready (only where ``Opening.says_ready``)."""


@dataclass(frozen=True, slots=True)
class Word:
    """One recognised word; times in seconds from the start of the connection's audio."""

    text: str
    start_s: float
    end_s: float
    confidence: float | None = None
    speaker: str | None = None


@dataclass(frozen=True, slots=True)
class Transcript:
    """Recognised text.

    Args:
        is_final: this span will not change.
        is_speech_final: the utterance has ended.
        confidence: 0..1.
        end_s: audio time, in seconds from the start of this connection's audio, up to which this result
            accounts for what was sent. Needed on finals by links that replay audio after a lost connection.
        forced: made by the gateway, not by the vendor; repeats the turn's text.
    """

    text: str
    is_final: bool = False
    is_speech_final: bool = False
    confidence: float = 0.0
    end_s: float | None = None
    words: tuple[Word, ...] = ()
    language: str | None = None
    forced: bool = False


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Somebody began to speak; seconds from the start of the connection's audio, where known."""

    at_s: float | None = None


@dataclass(frozen=True, slots=True)
class SpeechEnded:
    """Nobody speaks any more; seconds from the start of the connection's audio, where known."""

    at_s: float | None = None


@dataclass(frozen=True, slots=True)
class Spoken:
    """A piece of synthesised audio, labelled with the format that was really delivered."""

    frame: AudioFrame


@dataclass(frozen=True, slots=True)
class SpokenAll:
    """The text of the last ``Speak`` has been synthesised completely.

    Args:
        is_silent: there was nothing in it that can be said, so no audio is no mistake.
    """

    is_silent: bool = False


@dataclass(frozen=True, slots=True)
class Failed:
    """One request failed for good; the dialogue goes on with the next.

    A dialogue may return it for errors that the vendor reports inside a healthy connection.
    """

    error: ProviderError


@dataclass(frozen=True, slots=True)
class Lost:
    """The connection is gone and was not, or could not be, made again. Nothing follows."""

    error: ProviderError


@dataclass(frozen=True, slots=True)
class Restored:
    """The connection broke and was made again; ``repeated_s`` seconds of audio were sent again."""

    repeated_s: float


@dataclass(frozen=True, slots=True)
class Warned:
    """The vendor, or the dialogue, ignores something that was asked for. Logged once per connection."""

    message: str


Event = (
    Ready
    | Transcript
    | SpeechStarted
    | SpeechEnded
    | Spoken
    | SpokenAll
    | Failed
    | Lost
    | Restored
    | Warned
)

# The conversation itself.


class Engine(Protocol):
    """One conversation with one of the gateway's own models. Only ever called in one thread at a time."""

    def feed(self, outgoing: str | bytes) -> Iterable[str | bytes]:
        """Blocks while it computes; yields each piece of the answer as soon as it is there."""

    def close(self) -> None:
        """Give back what the conversation holds. The model stays loaded."""


@dataclass(frozen=True, slots=True)
class Local:
    """A model to talk to instead of a vendor.

    Args:
        model: names the loaded copy; there is one per name.
        load: makes that copy; blocks. It runs in another process, so it must be one that ``pickle`` can take there:
            a class or function of a module, or a ``partial`` of one.
        open: begins one conversation with a loaded copy; may block, and must travel as well.
    """

    model: str
    load: Callable[[], Any]
    open: Callable[[Any], Engine]


@dataclass(frozen=True, slots=True)
class Opening:
    """How a conversation begins, and the numbers its link obeys. Its repr shows no credential.

    Args:
        url: ``ws://`` or ``wss://``: a WebSocket is opened to it. ``http://`` or ``https://``: nothing is
            opened, requests go out as they come; this is the origin they mostly go to. ``engine:NAME``: a model
            in the process.
        headers: of the WebSocket handshake, with the credential.
        subprotocols: offered in the handshake.
        says_ready: the vendor announces readiness (``Ready``) after the connection is up.
        dial_s: limit for connecting, including ``Ready``.
        keepalive_s: send ``KeepAlive`` when nothing was sent for this long; None: never.
        finish_s: how long to wait for the last events after ``Finish``.
        chunk_bytes: largest ``Audio`` the vendor takes at once; the link cuts at whole samples.
        resumes: after a lost connection, dial again and repeat the audio that no final covers.
        local: for ``engine:`` addresses, the model to talk to.
        takes_audio_as_it_is: ``send`` makes of ``Audio`` just its bytes. The link then does not ask: most of what
            a call says is audio, fifty times a second.
        gives_finals_when_asked: ``send`` makes something of ``Flush``. A vendor who knows no such thing is given
            silence where the caller's audio stops coming.
    """

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    subprotocols: tuple[str, ...] = field(default=(), repr=False)
    says_ready: bool = False
    dial_s: float = 10.0
    keepalive_s: float | None = None
    finish_s: float = 5.0
    chunk_bytes: int = 65536
    resumes: bool = False
    local: Local | None = None
    takes_audio_as_it_is: bool = False
    gives_finals_when_asked: bool = True


class Dialogue(Protocol):
    """One conversation with one vendor. Not re-usable: a new connection gets a new one."""

    @property
    def opening(self) -> Opening:
        """How to begin."""

    @property
    def format(self) -> AudioFormat:
        """Recognition: the audio ``Audio`` commands must carry. Synthesis: what was asked of the vendor."""

    def send(self, command: Command) -> list[Outgoing]:
        """What to put on the wire for ``command``; empty when the vendor needs nothing said."""

    def receive(self, incoming: Incoming) -> list[Event]:
        """What ``incoming`` means.

        Raises:
            ProviderError: the vendor reports an error that ends the connection or the request.
            KeyError, TypeError, ValueError, IndexError, AttributeError: the message does not have the
                documented shape; the link makes a ``WireError`` of it.
        """


class Retries(Protocol):
    """A dialogue that can ask in another way what was refused: in smaller pieces, for example."""

    def instead(self, request: Request, error: ProviderError) -> list[Request]:
        """What to ask, at once, in place of ``request``, which failed for good; empty: ``error`` is reported."""


class Refuses(Protocol):
    """A dialogue that can read the vendor's error answers itself. Without it the HTTP status decides."""

    def refused(self, head: Head, body: bytes) -> ProviderError:
        """The error for an HTTP answer that is not a success (``body``: at most 4 KiB of it)."""
