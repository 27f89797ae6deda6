"""A vendor's half of a conversation on a real loopback port, as strict as the vendor.

One server plays every vendor that has rules (see ``rules``). Recognition is driven by audio, not by the number of
messages: the server knows the test signal, finds out where in it the received audio begins, and answers with
the words that lie in what it got. After a lost connection whose audio is repeated it therefore says exactly what a
recogniser would. Synthesis answers a tone (see ``tone``).

Besides what ``rules`` describes, a route of kind

``socket``  has ``messages`` (what a text frame of a ``type`` means: ``keep_alive``, ``finalize``, ``finish``,
            ``ignore``), ``hello``, ``goodbye`` (lists of messages), ``results`` (templates ``interim``, ``final``,
            ``speech_final``, ``finalized``, ``utterance_end``), ``word`` (template), ``idle_s``, ``idle_close``,
            ``bad_close`` (code and reason), ``ear`` (under which names the query has ``endpointing``,
            ``utterance_end``, ``interims``, ``encoding``, ``sample_rate`` and ``channels``; ``..._default``), and
            ``audio``: what of it ends the conversation with ``bad_close``, and how much is taken (see ``intake``)
``upload``  has ``file`` (its name), ``answer_format`` (where its name stands), ``default`` and ``answers``
``speech``  has ``text``, ``voice``, ``encoding``, ``container``, ``rate_hz`` (where they stand), ``default``,
            ``headers`` and ``formats``: how the vendor's names are meant, with ``content_type`` (``$rate`` stands
            for the rate) and ``default_container``
``fixed``   has ``answer``
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from autobahn.twisted.resource import WebSocketResource
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IListeningPort
from twisted.web.resource import Resource
from twisted.web.server import NOT_DONE_YET, Request, Site

from waav.speech.audio import AudioFormat
from waav.testing import forms, rules, uploads
from waav.testing.answering import Answering
from waav.testing.limits import Refused, as_text
from waav.testing.recording import Recording
from waav.testing.rules import Route
from waav.testing.script import Deviation, Script
from waav.testing.signal import Signal
from waav.testing.sockets import Recogniser, Recognisers, tcp
from waav.testing.tone import tone


@dataclass(frozen=True, slots=True)
class Seen:
    """One request as it came, credentials and all: this is a test."""

    method: str
    path: str
    query: tuple[tuple[str, str], ...]
    headers: Mapping[str, str]
    body: bytes = b""


class ReplayServer:
    """Serves the vendors whose rules are in a folder.

    Args:
        reactor: the real one.
        folder: with ``*.rules.json``.
        signal: what recognition hears; audio that is not from it counts as beginning at its start.
        keys: good credentials; None: any that look right.
        idle_s: instead of the idle limits of the rules.

    Attributes:
        requests: every request and handshake, as ``Seen``.
        sockets: the open WebSocket connections, oldest first; each has ``frames`` and ``received_s``.
        opened: every WebSocket connection there was, gone ones too, oldest first.
        spoken: the audio of every synthesis as it was asked for, oldest first.
        keeps_frames: False for benchmarks, where recorded frames would fill the memory.
        answering: switches.
    """

    def __init__(
        self,
        reactor: Any,
        folder: Path,
        *,
        signal: Signal | None = None,
        keys: frozenset[str] | None = None,
        idle_s: float | None = None,
    ) -> None:
        self.reactor = reactor
        self.signal = signal or Signal("silence", 60.0)
        self.keys = keys
        self.idle_s = idle_s
        self.answering = Answering()
        self.requests: list[Seen] = []
        self.sockets: list[Recogniser] = []
        self.opened: list[Recogniser] = []
        self.spoken: list[AudioFormat] = []
        self.keeps_frames = True
        self.routes = rules.load(folder)
        self.cuts_s: list[float] = []
        self.greetings: list[str | bytes] = []
        self.is_stalled = False
        self.script: Script | None = None
        self.deviations: list[str] = []
        self.under_way: set[_Answer] = set()
        self._failures: list[tuple[int, bytes, Mapping[str, str]]] = []
        self._port: IListeningPort | None = None
        self._factory = Recognisers(self)

    def start(self, port: int = 0) -> None:
        """Listen on a loopback port; 0: a free one."""
        self._factory.startFactory()  # type: ignore[no-untyped-call]
        root = _Root(self)
        self._port = self.reactor.listenTCP(port, Site(root), interface="127.0.0.1")

    @property
    def endpoint(self) -> str:
        """The address to give to providers."""
        assert self._port is not None, "not started"
        return f"http://127.0.0.1:{self._port.getHost().port}"  # type: ignore[attr-defined]

    async def stop(self) -> None:
        """Close everything. Wait for it in tests, or the reactor stays unclean."""
        port, self._port = self._port, None
        if port is not None:
            await port.stopListening()  # type: ignore[misc]
        gone = [socket.gone() for socket in self.sockets]
        self.cut()
        for answer in tuple(self.under_way):
            gone.append(answer.gone())
            answer.abort()
        for one in gone:
            await one

    def play(self, recording: Recording) -> Script:
        """From now on play the vendor's half of this recording and nothing else.

        Whatever the gateway says differently is refused and stands in ``deviations``.
        """
        self.script = Script(recording)
        return self.script

    # What goes wrong.

    def fail_next(
        self,
        status: int,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
        *,
        times: int = 1,
    ) -> None:
        """Answer the next requests, handshakes included, with this instead."""
        self._failures += [(status, body, headers or {})] * times

    def cut_after(self, audio_s: float) -> None:
        """Break the TCP connection of the next WebSocket that has received so much audio. Calls add up."""
        self.cuts_s.append(audio_s)

    def cut(self) -> None:
        """Break the TCP connections of all open WebSockets now."""
        for socket in tuple(self.sockets):
            socket.cut()

    def close(self, code: int, reason: str = "") -> None:
        """Close all open WebSockets politely."""
        for socket in tuple(self.sockets):
            socket.shut(code, reason)

    def say(self, text: str) -> None:
        """Send this text on all open WebSockets, whatever it is."""
        for socket in self.sockets:
            socket.say_text(text)

    def stall(self) -> None:
        """Read nothing from any WebSocket any more."""
        self.is_stalled = True
        for socket in self.sockets:
            socket.pause()

    def go_on(self) -> None:
        """Read again."""
        self.is_stalled = False
        for socket in self.sockets:
            socket.resume()

    # For the two halves of the server.

    def take_failure(self) -> tuple[int, bytes, Mapping[str, str]] | None:
        """What the next request is answered with, if ``fail_next`` was called for it."""
        return self._failures.pop(0) if self._failures else None

    def route(self, method: str, path: str) -> Route | None:
        """The rules for a request; None where the vendor has no such address."""
        for route in self.routes:
            if (route.method, route.path) == (method, path):
                return route
        return None

    @property
    def sockets_resource(self) -> WebSocketResource:
        """Serves the routes that are WebSockets."""
        return WebSocketResource(self._factory)


class _Root(Resource):
    """Every address there is."""

    isLeaf = True

    def __init__(self, server: ReplayServer) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._server = server
        self._upgrade = server.sockets_resource

    def render(self, request: Request) -> Any:
        seen = _seen(request)
        self._server.requests.append(seen)
        failure = self._server.take_failure()
        if failure is not None:
            status, body, headers = failure
            return _answer(request, status, body, headers)
        if self._server.script is not None:
            return self._play(self._server.script, seen, request)
        route = self._server.route(seen.method, seen.path)
        if route is None:
            return _answer(request, 404, b"no such address", {})
        try:
            return self._serve(route, seen, request)
        except Refused as refusal:
            body, headers = route.refused(refusal)
            return _answer(request, refusal.status, body, headers)

    def _play(self, script: Script, seen: Seen, request: Request) -> Any:
        query = urlencode(seen.query)
        try:
            if seen.headers.get("upgrade", "").lower() == "websocket":
                self._server.greetings = script.open(seen.path, query, seen.headers)
                return self._upgrade.render(request)
            status, headers, body = script.answer(
                seen.method, seen.path, query, seen.headers, seen.body
            )
        except Deviation as deviation:
            self._server.deviations.append(str(deviation))
            return _answer(request, 400, str(deviation).encode(), {})
        request.setResponseCode(status)
        _Answer(self._server, request, body, headers).start()
        return NOT_DONE_YET

    def _serve(self, route: Route, seen: Seen, request: Request) -> Any:
        route.check_auth(seen.headers, self._server.keys)
        values = _values(route, seen)
        route.check(values)
        if route.kind == "socket":
            if seen.headers.get("upgrade", "").lower() != "websocket":
                raise Refused(426, "a WebSocket is wanted here")
            return self._upgrade.render(request)
        headers: Mapping[str, str]
        if route.kind == "fixed":
            body, headers = json.dumps(route.about["answer"]).encode(), _JSON
        elif route.kind == "upload":
            extra = self._server.answering.extra
            body, headers = uploads.transcribed(route, values, self._server.signal, extra)
        else:
            body, headers = _spoken(self._server, route, values)
        _Answer(self._server, request, body, headers).start()
        return NOT_DONE_YET


_JSON = {"content-type": "application/json"}


class _Answer:
    """One body on its way out, at the pace and with the faults that were asked for."""

    def __init__(
        self, server: ReplayServer, request: Request, body: bytes, headers: Mapping[str, str]
    ) -> None:
        self._server = server
        self._request = request
        self._body = body
        self._headers = headers
        self._at = 0
        self._drop, server.answering.drop_after_bytes = server.answering.drop_after_bytes, None
        self._stall, server.answering.stall_after_bytes = server.answering.stall_after_bytes, None
        self._next: Any = None
        self._waiting: list[Deferred[None]] = []
        server.under_way.add(self)
        request.notifyFinish().addBoth(self._ended)

    def start(self) -> None:
        self._wait(self._server.answering.first_byte_s, self._head)

    def abort(self) -> None:
        """Break the connection."""
        tcp(self._request.transport).abortConnection()

    def gone(self) -> Deferred[None]:
        """Fires when the answer has ended in one way or another."""
        waiter: Deferred[None] = Deferred()
        self._waiting.append(waiter)
        return waiter

    def _head(self) -> None:
        for name, value in self._headers.items():
            self._request.setHeader(name, value)
        self._piece()

    def _piece(self) -> None:
        while self._at < len(self._body):
            end = min(self._at + self._server.answering.chunk_bytes, len(self._body))
            for limit in (self._drop, self._stall):
                end = min(end, limit if limit is not None else end)
            self._request.write(self._body[self._at : end])
            self._at = end
            if self._drop == end:
                self.abort()
                return
            if self._stall == end:
                return
            if self._server.answering.chunk_s:
                self._wait(self._server.answering.chunk_s, self._piece)
                return
        self._request.finish()

    def _wait(self, seconds: float, then: Any) -> None:
        if seconds:
            self._next = self._server.reactor.callLater(seconds, then)
        else:
            then()

    def _ended(self, _: object) -> None:
        self._server.under_way.discard(self)
        if self._next is not None and self._next.active():
            self._next.cancel()
        for waiter in self._waiting:
            waiter.callback(None)


def _seen(request: Request) -> Seen:
    uri = urlsplit(request.uri.decode("ascii"))
    headers = {
        name.decode("ascii").lower(): values[0].decode("latin-1")
        for name, values in request.requestHeaders.getAllRawHeaders()
    }
    query = tuple(parse_qsl(uri.query, keep_blank_values=True))
    body = request.content.read() if request.content is not None else b""
    return Seen(request.method.decode("ascii"), uri.path, query, headers, body)


def _values(route: Route, seen: Seen) -> dict[str, list[Any]]:
    """Everything that was sent; a body that cannot be read is refused."""
    values: dict[str, list[Any]] = {}
    for name, value in seen.query:
        values.setdefault(f"query.{name}", []).append(value)
    content_type = seen.headers.get("content-type", "")
    reading = route.reading(content_type)
    try:
        if reading == "form":
            values |= uploads.read(forms.parse(content_type, seen.body))
        elif reading == "json":
            values |= {f"body.{name}": [one] for name, one in json.loads(seen.body).items()}
        elif reading is not None:
            values[reading] = [seen.body.decode()]
    except (ValueError, AttributeError) as problem:
        raise route.refusal("unreadable", f"cannot read the request: {problem}") from None
    return values


def _answer(request: Request, status: int, body: bytes, headers: Mapping[str, str]) -> bytes:
    request.setResponseCode(status)
    for name, value in headers.items():
        request.setHeader(name, value)
    return body


# Synthesis.


def _spoken(
    server: ReplayServer, route: Route, values: rules.Values
) -> tuple[bytes, Mapping[str, str]]:
    def value(name: str) -> str | None:
        sent = values.get(route.about.get(name, ""))
        return as_text(sent[0]) if sent else None

    about = dict(route.about["formats"][value("encoding") or route.about["default"]])
    rate_hz = int(value("rate_hz") or about["rate_hz"])
    content_type = about.pop("content_type").replace("$rate", str(rate_hz))
    container = value("container") or about.get("default_container")
    about = {name: about[name] for name in ("encoding", "container") if name in about}
    if container == "wav":
        about["container"], content_type = "wav", "audio/wav"
    audio = AudioFormat(rate_hz=rate_hz, **about)
    server.spoken.append(audio)
    body = tone(value("voice") or "", value("text") or "", audio)
    return body, {"content-type": content_type, **route.about.get("headers", {})}
