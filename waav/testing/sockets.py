"""The WebSocket part of the replay server: a recogniser that hears a test signal."""

import json
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

from autobahn.twisted.websocket import WebSocketServerFactory, WebSocketServerProtocol
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from waav.speech.audio import AudioFormat, Encoding
from waav.testing import rules
from waav.testing.answering import Answering
from waav.testing.hearing import Ear, Heard, Hearing
from waav.testing.intake import AudioIntake, Framing
from waav.testing.rules import Route
from waav.testing.script import Deviation, Script
from waav.testing.signal import Signal

_ENCODINGS: dict[str, Encoding] = {
    "linear16": "linear16", "pcm_s16le": "linear16", "linear32": "linear32",
    "mulaw": "mulaw", "pcm_mulaw": "mulaw", "alaw": "alaw", "pcm_alaw": "alaw",
}  # fmt: skip


class Vendor(Protocol):
    """The server that connections belong to: what it was told to do, and what it remembers of them."""

    reactor: Any
    signal: Signal
    idle_s: float | None
    answering: Answering
    script: Script | None
    deviations: list[str]
    sockets: "list[Recogniser]"
    opened: "list[Recogniser]"
    keeps_frames: bool
    cuts_s: list[float]
    greetings: list[str | bytes]
    is_stalled: bool

    def route(self, method: str, path: str) -> Route | None: ...


class Recogniser(WebSocketServerProtocol):
    """One connection.

    Attributes:
        frames: every message received, text as str, while the server keeps frames.
        received_s: seconds of audio received.
        close_code, close_reason: what the client said when it closed.
    """

    def onConnect(self, request: Any) -> None:
        self.server: Vendor = self.factory.server
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
        self._format, framing = _format(query, self.about)
        audio = self.about.get("audio", {})
        self._intake = AudioIntake(
            audio, self.about.get("bad_close", (1008, "")), self._format, framing
        )
        self._free_bytes = 0
        self._reading: IDelayedCall | None = None
        self._cut_s = self.server.cuts_s.pop(0) if self.server.cuts_s else None
        self._sequence = 0

    def onOpen(self) -> None:
        self.server.sockets.append(self)
        self.server.opened.append(self)
        if self.server.is_stalled:
            self.pause()
        self._idle_s = self.server.idle_s or self.about.get("idle_s")
        self._opened_at = self._heard_at = self.server.reactor.seconds()
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
        objection = self._intake.objection(payload)
        if objection is not None:
            self.shut(*objection)
            return
        self._bytes += len(payload)
        if self._bytes >= self._next_bytes:
            self._hear(payload)
        if self._bytes > self._free_bytes:
            self._slow_down()

    def onClose(self, wasClean: bool, code: int, reason: str) -> None:
        self.close_code, self.close_reason = code, reason
        for name in ("_idle", "_reading"):
            call = getattr(self, name, None)  # refused handshakes never got that far
            if call is not None and call.active():
                call.cancel()
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

    def _slow_down(self) -> None:
        """Read nothing for as long as the audio is too far ahead of real time."""
        elapsed_s = self.server.reactor.seconds() - self._opened_at
        wait_s = self._intake.ahead_s(self.received_s, elapsed_s)
        if wait_s <= 0:
            free_s = self._intake.free_s(elapsed_s)
            is_ever = self._format.is_raw and free_s != float("inf")
            self._free_bytes = self._format.size_bytes(free_s) if is_ever else 1 << 62
            return
        self.pause()
        if self._reading is not None and self._reading.active():
            self._reading.cancel()  # what had arrived before the pause is still delivered
        self._reading = self.server.reactor.callLater(wait_s, self._read_on)

    def _read_on(self) -> None:
        self._heard_at = self.server.reactor.seconds()
        if not self.server.is_stalled:
            self.resume()

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
        if self._reading is not None and self._reading.active():
            left = self._idle_s  # it is the vendor who does not read
        if left > 0:
            self._idle = self.server.reactor.callLater(left, self._check_idle)
        else:
            self.shut(*self.about["idle_close"])


class Recognisers(WebSocketServerFactory):
    """Makes the connections of one server."""

    protocol = Recogniser

    def __init__(self, server: Vendor) -> None:
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


def _format(
    query: Mapping[str, list[str]], about: Mapping[str, Any]
) -> tuple[AudioFormat, Framing]:
    """How the handshake describes the audio; what it does not describe counts as 16 kHz linear16."""
    names = about.get("ear", {})

    def value(name: str, default: str) -> str:
        return query.get(names.get(name, name), [default])[0]

    named = value("encoding", "")
    encoding = _ENCODINGS.get(named or "linear16", "linear16")
    audio = AudioFormat(encoding, int(value("sample_rate", "16000")), int(value("channels", "1")))
    if named:
        return audio, "raw" if named in _ENCODINGS else "compressed"
    # A vendor that wants to be told the encoding looks for a container where it is not.
    wants_name = "headless" in about.get("audio", {}).get("refuses", ())
    return audio, "container" if wants_name else "raw"
