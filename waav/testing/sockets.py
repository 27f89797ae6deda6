"""The WebSocket part of the replay server: a recogniser that hears a test signal."""

import json
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from waav.speech.audio import AudioFormat, Encoding
from waav.testing import rules
from waav.testing.hearing import Ear, Heard, Hearing
from waav.testing.script import Deviation

if TYPE_CHECKING:
    from waav.testing.replay import ReplayServer

_ENCODINGS: dict[str, Encoding] = {
    "linear16": "linear16", "pcm_s16le": "linear16", "linear32": "linear32",
    "mulaw": "mulaw", "pcm_mulaw": "mulaw", "alaw": "alaw", "pcm_alaw": "alaw",
}  # fmt: skip


class Recogniser(WebSocketServerProtocol):
    """One connection.

    Attributes:
        frames: every message received, text as str, while the server keeps frames.
        received_s: seconds of audio received.
        close_code, close_reason: what the client said when it closed.
    """

    def onConnect(self, request: Any) -> None:
        self.server: ReplayServer = self.factory.server
        query: Mapping[str, list[str]] = request.params
        self.query = query
        self._script = self.server.script
        self.route = None if self._script else self.server.route("GET", request.path)
        self.about = self.route.about if self.route else {}
        self.frames: list[str | bytes] = []
        self.close_code: int | None = None
        self.close_reason: str | None = None
        self.offset_s: float | None = None
        self._gone: list[Deferred[None]] = []
        self._idle: IDelayedCall | None = None
        self._bytes = 0
        self._lead = b""
        self._next_bytes = 0
        self._hearing: Hearing | None = None
        self._format = _format(query, self.about.get("ear", {}))
        self._cut_s = self.server.cuts_s.pop(0) if self.server.cuts_s else None
        self._sequence = 0

    def onOpen(self) -> None:
        self.server.sockets.append(self)
        self.server.opened.append(self)
        if self.server.is_stalled:
            self.pause()
        self._idle_s = self.server.idle_s or self.about.get("idle_s")
        self._heard_at = self.server.reactor.seconds()
        if self._idle_s:
            self._idle = self.server.reactor.callLater(self._idle_s, self._check_idle)
        self._say_all(self.server.greetings)
        for message in self.about.get("hello", ()):
            self._say(message, {})

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        self._heard_at = self.server.reactor.seconds()
        if self.server.keeps_frames:
            self.frames.append(payload if isBinary else payload.decode())
        if self._script is not None:
            self._follow(payload if isBinary else payload.decode())
            return
        if not isBinary:
            self._obey(payload)
            return
        if self.about.get("refuses_json_audio") and _is_message(payload):
            self.shut(*self.about["bad_close"])
            return
        self._bytes += len(payload)
        if self._bytes >= self._next_bytes:
            self._hear(payload)

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:
        self.close_code, self.close_reason = code, reason
        idle = getattr(self, "_idle", None)  # refused handshakes never got that far
        if idle is not None and idle.active():
            idle.cancel()
        if self in self.server.sockets:
            self.server.sockets.remove(self)
        for waiter in self._gone:
            waiter.callback(None)

    @property
    def received_s(self) -> float:
        return self._format.duration_s(self._bytes) or 0.0

    def gone(self) -> Deferred[None]:
        """Fires when the connection is closed."""
        waiter: Deferred[None] = Deferred()
        self._gone.append(waiter)
        return waiter

    def cut(self) -> None:
        """Break the TCP connection."""
        tcp(self.transport).abortConnection()

    def shut(self, code: int, reason: str = "") -> None:
        """Close politely. Autobahn's own ``sendClose`` only takes the codes of applications."""
        self.sendCloseFrame(code=code, reasonUtf8=reason.encode(), isReply=False)

    def pause(self) -> None:
        """Read nothing more."""
        tcp(self.transport).pauseProducing()

    def resume(self) -> None:
        """Read again."""
        tcp(self.transport).resumeProducing()

    def say_text(self, text: str) -> None:
        """Send that text."""
        if self.state != self.STATE_OPEN:
            return  # the client closes, or is gone
        size = self.server.answering.fragment_bytes
        self.sendMessage(text.encode(), fragmentSize=size)  # type: ignore[no-untyped-call]

    def _follow(self, message: str | bytes) -> None:
        """Play the next part of a recording."""
        assert self._script is not None
        try:
            self._say_all(self._script.hear(message))
        except Deviation as deviation:
            self.server.deviations.append(str(deviation))
            self.shut(1008, "not in the recording")
            return
        if self._script.is_over:
            self.shut(1000)

    def _say_all(self, messages: Sequence[str | bytes]) -> None:
        for message in messages:
            is_text = isinstance(message, str)
            data = message.encode() if isinstance(message, str) else message
            self.sendMessage(data, isBinary=not is_text)  # type: ignore[no-untyped-call]

    def _hear(self, payload: bytes) -> None:
        """Something is due: the audio's place in the signal at first, results later, or a planned cut."""
        if self._hearing is None:
            self._lead += payload
            if len(self._lead) < 64:
                return
            self.offset_s = self.server.signal.find(self._lead, self._format)
            self._hearing = Hearing(self.server.signal, self.offset_s or 0.0, self._ear())
        now_s = self.received_s
        until_s = now_s if self._cut_s is None else min(now_s, self._cut_s)
        self._report(self._hearing.until(until_s))
        if self._cut_s is not None and now_s >= self._cut_s:
            self.cut()
            return
        next_s = min(self._hearing.next_s, self._cut_s or self._hearing.next_s)
        is_ever = next_s != float("inf")
        self._next_bytes = self._format.size_bytes(next_s) if is_ever else 1 << 62

    def _ear(self) -> Ear:
        about = self.about.get("ear", {})

        def seconds(name: str) -> float | None:
            value = self.query.get(about.get(name, ""), [None])[0]
            value = about.get(f"{name}_default") if value is None else value
            return None if value in (None, "false") else float(value) / 1000

        has_interims = self.query.get(about.get("interims", ""), ["true"])[0] == "true"
        return Ear(
            seconds("endpointing"),
            seconds("utterance_end"),
            about.get("interim_s", 0.5) if has_interims else None,
            about.get("final_s", 3.0),
        )

    def _obey(self, payload: bytes) -> None:
        try:
            kind = self.about["messages"][json.loads(payload)["type"]]
        except (ValueError, KeyError, TypeError):
            self.shut(*self.about["bad_close"])
            return
        if kind == "finalize":
            self._report(self._rest(from_finalize=True))
        elif kind == "finish":
            self._report(self._rest())
            for message in self.about.get("goodbye", ()):
                self._say(message, {"seconds": self.received_s})
            self.shut(1000)

    def _rest(self, *, from_finalize: bool = False) -> list[Heard]:
        if self._hearing is None:
            return []
        return self._hearing.finish(self.received_s, from_finalize=from_finalize)

    def _report(self, results: list[Heard]) -> None:
        for heard in results:
            template = self.about["results"].get(_name(heard))
            if template is not None:
                self._say(template, self._values(heard))

    def _values(self, heard: Heard) -> dict[str, Any]:
        word = self.about.get("word", {})
        return {
            "text": heard.text,
            "start": round(heard.start_s, 4),
            "end": round(heard.end_s, 4),
            "duration": round(heard.end_s - heard.start_s, 4),
            "words": [
                rules.fill(
                    word,
                    {"word": one.text, "start": round(one.start_s, 4), "end": round(one.end_s, 4)},
                )
                for one in heard.words
            ],
            "first_word_start": round(heard.words[0].start_s, 4) if heard.words else 0.0,
        }

    def _say(self, template: Any, values: dict[str, Any]) -> None:
        filled = rules.fill(template, {**values, "sequence": self._sequence})
        self._sequence += 1
        self.say_text(json.dumps({**filled, **self.server.answering.extra}))

    def _check_idle(self) -> None:
        left = self._heard_at + self._idle_s - self.server.reactor.seconds()
        if left > 0:
            self._idle = self.server.reactor.callLater(left, self._check_idle)
        else:
            self.shut(*self.about["idle_close"])


class Recognisers(WebSocketServerFactory):
    """Makes the connections of one server."""

    protocol = Recogniser

    def __init__(self, server: "ReplayServer") -> None:
        super().__init__(reactor=server.reactor)  # type: ignore[no-untyped-call]
        self.server = server
        self.setProtocolOptions(tcpNoDelay=True)  # type: ignore[no-untyped-call]


def tcp(transport: Any) -> Any:
    """The transport of a loopback connection; what it really is has no useful interface in Twisted."""
    return transport


def _name(heard: Heard) -> str:
    """Which template a result takes."""
    if heard.is_utterance_end:
        return "utterance_end"
    if not heard.is_final:
        return "interim"
    if heard.is_speech_final:
        return "speech_final"
    return "finalized" if heard.from_finalize else "final"


def _is_message(payload: bytes) -> bool:
    """Whether audio is really text sent the wrong way: samples, too, may begin with a brace."""
    if not payload.startswith(b"{"):
        return False
    try:
        return "type" in json.loads(payload)
    except ValueError:
        return False


def _format(query: Mapping[str, list[str]], names: Mapping[str, str]) -> AudioFormat:
    """How the handshake describes the audio; containers, which it does not describe, count as 16 kHz linear16."""

    def value(name: str, default: str) -> str:
        return query.get(names.get(name, name), [default])[0]

    encoding = _ENCODINGS.get(value("encoding", "linear16"), "linear16")
    return AudioFormat(encoding, int(value("sample_rate", "16000")), int(value("channels", "1")))
