"""A double of Deepgram that costs next to nothing: ``/v1/listen`` over WebSocket, ``POST /v1/speak`` over HTTP.

Listening: a transcript for each ``transcript_bytes`` of audio, every ``final_every``-th final; the stamp of every frame
is read. Speaking: ``speech_frames`` of 10 ms, stamped as they leave, after ``first_s``, two every ``pace_s``, or as fast
as the reader takes them where that is 0.
"""

import asyncio
import json
import re
import time
from dataclasses import dataclass, field
from typing import Any

from bench.figures import MARK, STAMP, Delays, Direction
from bench.rig import job
from bench.rig.frames import Frames, accept, text_frame, xor

FRAME_BYTES = 640
"""20 ms of 16 kHz linear16."""

HALF_BYTES = 480
"""10 ms of 24 kHz linear16: what a gateway cuts speech into."""

SILENCE = bytes(HALF_BYTES - STAMP.size)
NUMBERS = re.compile(rb"\d+")
HEAD = (
    b"HTTP/1.1 200 OK\r\nContent-Type: audio/l16;rate=24000\r\nTransfer-Encoding: chunked\r\n"
    b"dg-request-id: bench\r\n\r\n"
)
RESULTS = (
    '{"type":"Results","channel_index":[0,1],"duration":0.5,"start":%.1f,"is_final":%s,"speech_final":%s,'
    '"channel":{"alternatives":[{"transcript":"%s","confidence":0.98,"words":['
    '{"word":"one","start":0.1,"end":0.2,"confidence":0.98,"punctuated_word":"One"},'
    '{"word":"two","start":0.2,"end":0.3,"confidence":0.98,"punctuated_word":"two."}]}]},'
    '"metadata":{"request_id":"bench","model_info":{"name":"nova-3","version":"1","arch":"nova-3"},'
    '"model_uuid":"bench"},"from_finalize":false}'
)


@dataclass
class Totals:
    """What this vendor heard and said."""

    job: dict[str, Any]
    audio: Direction = field(default_factory=Direction)
    speech_frames: int = 0
    transcripts: int = 0
    requests: int = 0
    connections: int = 0
    broken_off: list[tuple[int, int, int]] = field(default_factory=list)
    """Answers that nobody wanted any more: call, utterance, when that was noticed."""


class Connection(Frames):
    """Begins as HTTP; a GET with an upgrade makes it a recogniser."""

    def __init__(self, totals: Totals) -> None:
        self.totals = totals
        self.unread = b""
        self.answers: list[Answer] = []
        self.heard_bytes = self.told = 0
        self.call = -1

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self.totals.connections += 1

    # HTTP.

    def data_received(self, data: bytes) -> None:
        self.unread += data
        while True:
            request, end, rest = self.unread.partition(b"\r\n\r\n")
            if not end:
                return
            length = 0
            for header in request.split(b"\r\n")[1:]:
                name, _, value = header.partition(b":")
                if name.lower() == b"content-length":
                    length = int(value)
                elif name.lower() == b"sec-websocket-key":
                    self.upgrade(value.strip(), rest)
                    return
            if len(rest) < length:
                return
            self.unread = rest[length:]
            self.request(request, rest[:length])

    def request(self, request: bytes, body: bytes) -> None:
        self.totals.requests += 1
        if not request.startswith(b"POST /v1/speak"):
            self.transport.write(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}")
            return
        numbers = [int(one) for one in NUMBERS.findall(json.loads(body)["text"].encode())]
        answer = Answer(self, (*numbers, 0, 0)[:2])
        self.answers.append(answer)
        if len(self.answers) == 1:
            answer.start()

    def answered(self) -> None:
        self.answers.pop(0)
        if self.answers:
            self.answers[0].start()

    def pause_writing(self) -> None:
        if self.answers:
            self.answers[0].is_paused = True

    def resume_writing(self) -> None:
        if self.answers:
            self.answers[0].resume()

    def connection_lost(self, error: Exception | None) -> None:
        now = time.monotonic_ns()
        for answer in self.answers:
            answer.stop()
            if self.totals.job["keeps_broken_off"]:
                self.totals.broken_off.append((*answer.names, now))
        self.is_open = False
        self.totals.connections -= 1
        self.totals.audio.end(self.call)

    # Recognition.

    def upgrade(self, key: bytes, rest: bytes) -> None:
        self.transport.write(
            b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Accept: " + accept(key) + b"\r\n\r\n"
        )
        self.is_open = True
        self.data_received = self.read  # type: ignore[method-assign]
        self.transport.set_protocol(self)
        if rest:
            self.read(rest)

    def binary(self, data: bytes, start: int, stop: int, key: bytes) -> None:
        now = time.monotonic_ns()
        audio = self.totals.audio
        for at in range(start, stop - STAMP.size + 1, FRAME_BYTES):
            stamp = data[at : at + STAMP.size]
            mark, sent, call, _, sequence = STAMP.unpack(xor(stamp, key) if key else stamp)
            if mark == MARK:
                audio.delays.add(now - sent)
                audio.stream(call).add(sequence)
                self.call = call
        self.heard_bytes += stop - start
        due = self.heard_bytes // self.totals.job["transcript_bytes"]
        while self.told < due:
            self.transcript()

    def transcript(self) -> None:
        said = f"t {time.monotonic_ns()} {self.call} {self.told}"
        self.told += 1
        final = "false" if self.told % self.totals.job["final_every"] else "true"
        self.transport.write(text_frame(RESULTS % ((self.told - 1) * 0.5, final, final, said)))
        self.totals.transcripts += 1

    def text(self, payload: bytes) -> None:
        if b"CloseStream" in payload:
            self.hang_up()


class Answer:
    """One speech."""

    def __init__(self, connection: Connection, names: tuple[int, int]) -> None:
        self.connection, self.names = connection, names
        job = connection.totals.job
        self.frames, self.pace_s, self.first_s = (
            job["speech_frames"], job["pace_s"], job["first_s"],
        )  # fmt: skip
        self.sent = 0
        self.is_paused = False
        self.timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.due = self.loop.time() + self.first_s
        if self.first_s:
            self.timer = self.loop.call_at(self.due, self.piece)
        else:
            self.piece()

    def piece(self) -> None:
        """20 ms; with the head before the first and the end behind the last."""
        write = self.connection.transport.write
        while not self.is_paused:
            body = b""
            count = min(2, self.frames - self.sent)
            for _ in range(count):
                body += STAMP.pack(MARK, time.monotonic_ns(), *self.names, self.sent) + SILENCE
                self.sent += 1
            self.connection.totals.speech_frames += count
            chunk = b"%x\r\n%b\r\n" % (len(body), body)
            if self.sent == count:
                chunk = HEAD + chunk
            if self.sent >= self.frames:
                write(chunk + b"0\r\n\r\n")
                self.connection.answered()
                return
            write(chunk)
            if self.pace_s:
                self.due += self.pace_s
                self.timer = self.loop.call_at(self.due, self.piece)
                return

    def resume(self) -> None:
        if self.is_paused:
            self.is_paused = False
            if not self.pace_s:
                self.piece()
            elif self.timer is None or self.timer.when() <= self.loop.time():
                self.timer = self.loop.call_at(self.loop.time(), self.piece)

    def stop(self) -> None:
        self.is_paused = True
        if self.timer is not None:
            self.timer.cancel()


async def work(asked: dict[str, Any]) -> None:
    """Serve until ``quit``. ``forget`` forgets all, ``begin`` delays; ``report`` prints what there was."""
    totals = Totals(asked)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(
        lambda: Connection(totals), "127.0.0.1", asked["port"], backlog=1024
    )
    orders = await job.commands()
    job.say("listening", port=asked["port"])
    while (order := await orders.next()) != "quit":
        if order == "forget":
            totals.audio = Direction()
            totals.speech_frames = totals.transcripts = totals.requests = 0
        elif order == "begin":
            totals.audio.delays = Delays()
        elif order == "connections":
            job.say("connections", open=totals.connections)
        elif order == "report":
            job.say(
                "report", audio_up=totals.audio.row(), speech_frames=totals.speech_frames,
                transcripts=totals.transcripts, requests=totals.requests,
                broken_off=totals.broken_off,
            )  # fmt: skip
    server.close()


if __name__ == "__main__":
    job.run(work)
