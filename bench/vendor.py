"""The vendor of ``bench.session``: the replay server, which also reads and writes stamps in the audio."""

import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

import uvloop
from twisted.internet import asyncioreactor

asyncioreactor.install(uvloop.new_event_loop())

from twisted.internet import reactor  # noqa: E402

from bench.session import MARK, STAMP, Delays  # noqa: E402
from waav.testing import replay, sockets  # noqa: E402
from waav.testing.signal import Signal  # noqa: E402

DELAYS = Delays()
SENT = {"speech_frames": 0}
RULES = Path(__file__).resolve().parent.parent / "tests" / "wire"
HALF = 480  # 10 ms of 24 kHz linear16: what the gateway cuts speech into


class Recogniser(sockets.Recogniser):
    """Reads the stamp of every frame, and puts one into every transcript."""

    tcpNoDelay = True

    def onMessage(self, payload: bytes, isBinary: bool) -> None:
        if isBinary:
            now = time.monotonic_ns()
            _, stamp, call, sequence = STAMP.unpack_from(payload)
            DELAYS.add(stamp, call, sequence, now)
        super().onMessage(payload, isBinary)

    def _values(self, heard: Any) -> dict[str, Any]:
        return super()._values(heard) | {"text": f"t {time.monotonic_ns()}"}


class Answer(replay._Answer):
    """Stamps every 10 ms of speech as it leaves."""

    def _piece(self) -> None:
        body = bytearray(self._body)
        end = min(self._at + self._server.answering.chunk_bytes, len(body))
        number = int(json.loads(self._request.content.getvalue())["text"].split()[-1].rstrip("."))
        for at in range(self._at, end, HALF):
            STAMP.pack_into(body, at, MARK, time.monotonic_ns(), number, at // HALF)
            SENT["speech_frames"] += 1
        self._body = bytes(body)
        super()._piece()


def main() -> None:
    port, report = int(sys.argv[1]), Path(sys.argv[2])
    sockets.Recognisers.protocol = Recogniser
    replay._Answer = Answer  # type: ignore[misc]
    words = Signal.speaking("bench", ["one two three four five six seven"] * 8, pause_s=1.0)
    server = replay.ReplayServer(reactor, RULES, signal=words)
    server.keeps_frames = False
    server.answering.chunk_bytes, server.answering.chunk_s, server.answering.first_byte_s = (
        2 * HALF,
        0.02,
        0.08,
    )
    server.start(port)
    reactor.callLater(
        0, signal.signal, signal.SIGTERM, lambda *_: reactor.callFromThread(reactor.stop)
    )
    reactor.run()
    report.write_text(json.dumps({"audio": DELAYS.row(), "sent": SENT}))


if __name__ == "__main__":
    main()
