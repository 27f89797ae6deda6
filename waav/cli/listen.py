"""``waav listen``: sound goes to a running gateway, its transcript comes back."""

import argparse
import json
import os
import re
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO, Final, TextIO

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from twisted.internet.task import deferLater

from waav.cli.choices import address_of, positive
from waav.cli.client import Address, ClientCall, RefusedByGateway, RemoteGateway, call
from waav.cli.run import run
from waav.cli.sounds import Pieces
from waav.errors import BadRequest
from waav.speech.audio import AudioFormat

ENCODINGS: Final = ("linear16", "linear32", "float32", "mulaw", "alaw")
"""Of raw sound."""

FRAME_S: Final = 0.02
FAST_S: Final = 0.1
"""Length of the pieces that are sent: 20 ms in real time, longer ones where it should be quick."""

TRAILING_S: Final = 1.0
"""Silence after the sound, so that whoever listens for the end of speech hears it."""

FINISH_S: Final = 60.0
"""How long the gateway may say nothing while it is waited for."""

WINDOW_S: Final = 5.0
AHEAD_S: Final = 15.0
"""How often the gateway is asked how far it is, and how much of the sound may be on its way to it."""


def add(commands: Any, client: argparse.ArgumentParser) -> None:
    """Add the command."""
    command = commands.add_parser(
        "listen",
        parents=[client],
        help="have a running gateway recognise a sound",
        description="Have a running gateway recognise a sound file. Final lines go to standard output; a terminal "
        "also shows what is being recognised and how much was sent.",
    )
    command.add_argument(
        "file",
        metavar="FILE",
        help="WAV of any rate, with waav[files] also MP3, FLAC, Ogg, AIFF; - reads standard input",
    )
    command.add_argument("--provider", help="who recognises (default: the gateway's choice)")
    command.add_argument("--model", help="which model")
    command.add_argument("--language", help="which language, such as en-US")
    command.add_argument(
        "--rate",
        type=positive,
        metavar="HZ",
        help="the sound is raw, at this rate (default: 16000; of mulaw and alaw 8000)",
    )
    command.add_argument(
        "--encoding",
        choices=ENCODINGS,
        help="the sound is raw, encoded so (default: linear16)",
    )
    command.add_argument(
        "--channels", type=positive, help="the sound is raw, with so many channels (default: 1)"
    )
    command.add_argument(
        "--realtime", action="store_true", help="send as fast as it was spoken, not faster"
    )
    command.add_argument(
        "--json", action="store_true", help="print every result, partial ones too, as JSON lines"
    )
    command.set_defaults(command=_listen)


def _listen(options: argparse.Namespace) -> int:
    chosen = {
        name: value
        for name in ("provider", "model", "language")
        if (value := getattr(options, name)) is not None
    }
    raw = raw_format(options.encoding, options.rate, options.channels)
    address = address_of(options)
    with _source(options.file) as source:
        size = os.fstat(source.fileno()).st_size or None
        wanted = ListenJob(source, size, raw, chosen, options.realtime, options.json)
        return run(lambda reactor: listen(reactor, address, wanted, sys.stdout, sys.stderr))


def _source(name: str) -> BinaryIO:
    if name == "-":
        return os.fdopen(os.dup(sys.stdin.fileno()), "rb")
    try:
        return open(name, "rb")
    except OSError as error:
        raise OSError(f"cannot read {name}: {error.strerror}") from None


@dataclass(frozen=True, slots=True)
class ListenJob:
    """What to recognise and how.

    Args:
        source: the sound; WAV, or raw where ``raw`` is given.
        size_bytes: of the whole source; None when nobody knows.
        raw: the format of sound without a WAV header.
        settings: fields of ``stt_config`` that were chosen.
        is_realtime: send as fast as it was spoken, not as fast as it goes.
        is_json: print every result as a line of JSON.
    """

    source: BinaryIO
    size_bytes: int | None
    raw: AudioFormat | None
    settings: dict[str, Any]
    is_realtime: bool = False
    is_json: bool = False


class Screen:
    """What the user sees: finals on ``out``, and on a terminal a line that changes on ``err``."""

    def __init__(self, out: TextIO, err: TextIO, is_json: bool) -> None:
        self._out = out
        self._err = err
        self._is_json = is_json
        self._is_live = err.isatty()
        self._partial = ""
        self._share: float | None = None
        self._turn: list[str] = []

    def result(self, message: dict[str, Any]) -> None:
        """A ``stt_result``. A forced final repeats what finals of its turn already said."""
        text = str(message.get("transcript") or "").strip()
        if self._is_json:
            self._print(json.dumps(message, ensure_ascii=False))
        if not message.get("is_final"):
            self._partial = text
            self._draw()
            return
        self._partial = ""
        if text and not (message.get("forced") and self._turn):
            self._turn.append(text)
            if not self._is_json:
                self._print(text)
        if message.get("is_speech_final"):
            self._turn = []
        self._draw()

    def progress(self, share: float | None) -> None:
        """How much of the sound was sent: 0..1."""
        self._share = share
        self._draw()

    def complain(self, text: str) -> None:
        """An error that does not end it."""
        self._wipe()
        print(f"waav: {text}", file=self._err, flush=True)

    def done(self) -> None:
        """Leave the terminal as it was."""
        self._wipe()
        self._is_live = False

    def _print(self, line: str) -> None:
        self._wipe()
        print(line, file=self._out, flush=True)

    def _wipe(self) -> None:
        if self._is_live:
            self._err.write("\r\x1b[K")
            self._err.flush()

    def _draw(self) -> None:
        if self._is_live:
            width = shutil.get_terminal_size().columns - 1
            self._err.write("\r" + self._line(width) + "\x1b[K")
            self._err.flush()

    def _line(self, width: int) -> str:
        bar = ""
        if self._share is not None:
            full = round(self._share * 20)
            bar = f"[{'#' * full}{'.' * (20 - full)}] {self._share * 100:3.0f} % "
        room = max(width - len(bar), 0)
        # The end of a long partial is what is new.
        return bar + (self._partial[-room:] if room else "")


class _Session:
    """One call: configure, send, wait for the last result."""

    def __init__(self, reactor: Any, listen: ListenJob, screen: Screen) -> None:
        self._reactor = reactor
        self._listen = listen
        self._screen = screen
        self._answer: Deferred[None] | None = None
        self._limit: IDelayedCall | None = None
        self._window: Deferred[None] | None = None  # fires when the gateway has caught up
        self._acknowledged_s = 0.0
        self._sent_s = 0.0
        self._has_heard = False
        self._pieces = Pieces(reactor, listen.source, listen.raw)
        self.errors: list[str] = []

    def interrupted(self) -> None:
        """The process is to end, and must not wait for a pipe."""
        self._pieces.end()

    def message(self, message: dict[str, Any]) -> None:
        """Something the gateway says."""
        match message.get("type"):
            case "stt_result":
                self._has_heard = self._has_heard or bool(str(message.get("transcript")).strip())
                self._screen.result(message)
                self._goes_on()
            case "pong":
                self._acknowledged_s = float(message["timestamp"])
                window, self._window = self._window, None
                if window is not None:
                    window.callback(None)
            case "ready":
                self._answered(None)
            case "error":
                self.errors.append(in_words(str(message.get("message"))))
                self._screen.complain(self.errors[-1])
                self._pieces.end()
                self._answered(None)

    def lost(self, reason: str) -> None:
        """The connection is gone."""
        self._pieces.end()
        window, self._window = self._window, None
        if window is not None:
            window.callback(None)
        self._answered(RefusedByGateway(f"the gateway closed the connection: {reason}"))

    def _answered(self, error: RefusedByGateway | None) -> None:
        answer, self._answer = self._answer, None
        if answer is not None and error is None:
            answer.callback(None)
        elif answer is not None:
            answer.errback(error)

    async def run(self, call: ClientCall, provider: str) -> None:
        """Do it all. What goes wrong on the way is in ``errors``."""
        pieces = self._pieces
        first = await pieces.next()
        while first is not None and (pieces.format is None or not first):
            first = await pieces.next()
        _check(call)
        if first is None or pieces.format is None:
            raise BadRequest("there is no sound in it")
        await self._configure(call, provider, pieces.format)
        if not self.errors:
            await self._send(call, pieces, first, pieces.format)
        if not self.errors:
            # Ends recognition: the gateway answers once everything it was sent has been recognised.
            await self._ask(call, {"type": "config", "audio": False})
            if not self._has_heard and not self.errors:
                self._screen.complain("no speech in it")

    async def _configure(self, call: ClientCall, provider: str, fmt: AudioFormat) -> None:
        config = {
            "provider": provider,
            "encoding": fmt.encoding,
            "sample_rate": fmt.rate_hz,
            "channels": fmt.channels,
        } | self._listen.settings
        await self._ask(call, {"type": "config", "stt_config": config})

    async def _ask(self, call: ClientCall, message: dict[str, Any]) -> None:
        """Send a message and wait for ``ready`` or an error."""
        _check(call)
        answer = self._answer = Deferred()
        self._limit = self._reactor.callLater(FINISH_S, self._too_late)
        try:
            call.tell(message)
            await answer
        finally:
            if self._limit.active():
                self._limit.cancel()
            self._limit = None

    def _goes_on(self) -> None:
        """A recogniser that is behind is waited for as long as it says something."""
        if self._limit is not None and self._limit.active():
            self._limit.reset(FINISH_S)

    def _too_late(self) -> None:
        self._answered(RefusedByGateway(f"the gateway said nothing for {FINISH_S:.0f} s"))

    async def _send(self, call: ClientCall, pieces: Pieces, first: bytes, fmt: AudioFormat) -> None:
        began_s = self._reactor.seconds()
        step_bytes = fmt.size_bytes(FRAME_S if self._listen.is_realtime else FAST_S)
        held, sent_s = b"", 0.0
        more: bytes | None = first
        while more is not None and not self.errors:
            held += more
            for piece in _cut(held, step_bytes):
                sent_s += await self._one(call, piece, fmt, began_s + sent_s)
            held = held[len(held) - len(held) % step_bytes :]
            self._progress(pieces)
            more = await pieces.next()
        rest = held[: len(held) - len(held) % fmt.frame_bytes] + fmt.silence(TRAILING_S)
        for start in range(0, len(rest), step_bytes):
            sent_s += await self._one(call, rest[start : start + step_bytes], fmt, began_s + sent_s)

    async def _one(self, call: ClientCall, piece: bytes, fmt: AudioFormat, at_s: float) -> float:
        """Send a piece when its time has come and there is room; returns its length in seconds."""
        wait_s = at_s - self._reactor.seconds() if self._listen.is_realtime else 0.0
        await deferLater(self._reactor, max(wait_s, 0.0))
        await call.room()
        _check(call)
        call.hear(piece)
        lasts_s = fmt.duration_s(len(piece)) or 0.0
        await self._not_too_far(call, lasts_s)
        return lasts_s

    async def _not_too_far(self, call: ClientCall, lasts_s: float) -> None:
        """Stay ahead of the gateway by so much at most: what is in between nobody can take back, or ask after."""
        before_s, self._sent_s = self._sent_s, self._sent_s + lasts_s
        if before_s // WINDOW_S == self._sent_s // WINDOW_S:
            return
        call.tell({"type": "ping", "timestamp": self._sent_s})
        while self._sent_s - self._acknowledged_s > AHEAD_S and not self.errors:
            self._window = Deferred()
            await self._window
            _check(call)

    def _progress(self, pieces: Pieces) -> None:
        size = self._listen.size_bytes
        self._screen.progress(min(pieces.read_bytes / size, 1.0) if size else None)


VOICE_MANAGER: Final = re.compile(r"Failed to (?:create|start) voice manager: ")
"""How the protocol begins some errors; clients of the original look for it, people do not."""


def in_words(message: str) -> str:
    """An error of the gateway as people say it."""
    plain = VOICE_MANAGER.sub("", message)
    return message if plain == message else f"the call could not begin: {plain}"


def _check(call: ClientCall) -> None:
    if call.is_gone:
        raise RefusedByGateway("the gateway closed the connection")


def _cut(data: bytes, step_bytes: int) -> Iterator[bytes]:
    """Whole steps; what is left over waits for more."""
    for start in range(0, len(data) - step_bytes + 1, step_bytes):
        yield data[start : start + step_bytes]


async def listen(
    reactor: Any, address: Address, wanted: ListenJob, out: TextIO, err: TextIO
) -> int:
    """Recognise; returns the exit code."""
    screen = Screen(out, err, wanted.is_json)
    session = _Session(reactor, wanted, screen)
    ending = reactor.addSystemEventTrigger("before", "shutdown", session.interrupted)
    provider = wanted.settings.get("provider")
    try:
        if not provider:
            provider = (await RemoteGateway(reactor, address).defaults())["stt"]
        connection = await call(reactor, address, session.message)
        connection.closed().addCallback(session.lost)
        try:
            await session.run(connection, provider)
        finally:
            if not connection.is_gone:
                await connection.hang_up()
    finally:
        reactor.removeSystemEventTrigger(ending)
        screen.done()
    return 1 if session.errors else 0


def raw_format(
    encoding: str | None, rate_hz: int | None, channels: int | None
) -> AudioFormat | None:
    """The format of sound without a header, if anything of it was named."""
    if encoding is None and rate_hz is None and channels is None:
        return None
    usual_hz = 8000 if encoding in ("mulaw", "alaw") else 16000  # what telephones have
    return AudioFormat(encoding or "linear16", rate_hz or usual_hz, channels or 1)  # type: ignore[arg-type]
