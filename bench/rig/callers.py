"""The callers of a benchmark: N calls, 20 ms frames paced from one origin with their phases spread, and what comes back.

Job: ``port``, ``calls``, ``speak_every_s`` (0: never), ``first_number`` (of the calls), ``direct`` (talk to the vendor itself: the floor of all delays),
``churn_s`` (0: never; how often the oldest call is replaced by a new one). Commands: ``start`` (audio flows),
``begin`` (delays count from here), ``sample`` (what there was since the last one), ``end`` (audio stops, speech runs out,
all hang up) and ``quit``.
"""

import asyncio
import json
import time
from collections import deque
from typing import Any

from bench.figures import MARK, STAMP, Delays, Direction
from bench.rig import job
from bench.rig.frames import BINARY, TEXT, ClientFrames, head, xor
from bench.rig.speech import Speech

PERIOD_S = 0.02
FRAME_BYTES = 640
HALF_BYTES = 480
KEY = b"\x5a\xc3\x69\x1e"
HEAD = head(BINARY, FRAME_BYTES, 0x80) + KEY
PADDING = xor(bytes(FRAME_BYTES - STAMP.size), KEY)
STRETCHED = int.from_bytes(KEY * (STAMP.size // 4), "little")
CONFIG = json.dumps({
    "type": "config",
    "stt_config": {"provider": "deepgram", "language": "en-US", "sample_rate": 16000, "channels": 1,
                   "punctuation": True, "encoding": "linear16", "model": "nova-3"},
    "tts_config": {"provider": "deepgram", "model": "aura-2-thalia-en", "audio_format": "linear16",
                   "sample_rate": 24000},
}).encode()  # fmt: skip
DRAIN_S = 3.0
"""Longer than a speech lasts, its wait included."""

QUIET_S = 1.0
MOST_S = 30.0
"""A target that is behind is heard out until nothing has come for a second, but not for ever."""


class Caller(ClientFrames):
    """One call."""

    def __init__(self, crowd: "Crowd", number: int) -> None:
        super().__init__("/v1/listen?model=nova-3" if crowd.direct else "/ws", "127.0.0.1")
        self.crowd, self.number = crowd, number
        self.sequence = self.utterance = 0
        self.is_audible = False
        self.asked_ns: dict[int, int] = {}
        self.heard_ns = 0
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.gone: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def opened(self) -> None:
        self.config_ns = time.monotonic_ns()
        if self.crowd.direct:
            self.is_ready()
        else:
            self.send(TEXT, CONFIG)

    def is_ready(self) -> None:
        if not self.ready.done():
            if not self.crowd.direct:
                self.crowd.ready.add(time.monotonic_ns() - self.config_ns)
            self.ready.set_result(None)

    def refused(self, answer: str) -> None:
        self.fail(f"no WebSocket: {answer.splitlines()[0]}")

    def fail(self, why: str) -> None:
        self.crowd.errors.append(f"call {self.number}: {why}")
        if not self.ready.done():
            self.ready.set_exception(RuntimeError(why))

    def connection_lost(self, error: Exception | None) -> None:
        if self.is_open:
            self.fail(f"hung up on: {error}")
        self.is_open = False
        if not self.gone.done():
            self.gone.set_result(None)

    # From the gateway.

    def binary(self, data: bytes, start: int, stop: int, key: bytes) -> None:
        now = time.monotonic_ns()
        for at in range(start, stop - STAMP.size + 1, HALF_BYTES):
            mark, sent, call, utterance, sequence = STAMP.unpack_from(data, at)
            if mark == MARK:
                self.heard(now, sent, call, utterance, sequence)

    def heard(self, now: int, sent: int, call: int, utterance: int, sequence: int) -> None:
        crowd = self.crowd
        self.heard_ns = now
        if call != self.number:
            crowd.errors.append(f"call {self.number} got the speech of call {call}")
            return
        crowd.speech.delays.add(now - sent)
        crowd.speech.stream((call, utterance)).add(sequence)
        if sequence == 0 and (asked := self.asked_ns.pop(utterance, 0)):
            crowd.first.add(now - asked)

    def text(self, payload: bytes) -> None:
        now = time.monotonic_ns()
        message = json.loads(payload)
        kind = message["type"]
        if kind == "stt_result":
            self.transcript(now, message["transcript"])
        elif kind == "Results":
            self.transcript(now, message["channel"]["alternatives"][0]["transcript"])
        elif kind == "ready":
            self.is_ready()
        elif kind == "error":
            self.fail(message["message"])

    def transcript(self, now: int, said: str) -> None:
        self.heard_ns = now
        if said.startswith("t "):
            _, sent, call, sequence = said.split()
            self.crowd.transcripts.delays.add(now - int(sent))
            self.crowd.transcripts.stream(int(call)).add(int(sequence))

    # To the gateway.

    def frame(self) -> None:
        stamp = STAMP.pack(MARK, time.monotonic_ns(), self.number, 0, self.sequence)
        masked = (int.from_bytes(stamp, "little") ^ STRETCHED).to_bytes(STAMP.size, "little")
        self.transport.write(HEAD + masked + PADDING)
        self.sequence += 1
        self.crowd.frames_sent += 1

    def speak(self) -> None:
        text = f"call {self.number:05d} says phrase no {self.utterance:07d}."
        self.asked_ns[self.utterance] = time.monotonic_ns()
        if self.crowd.direct:
            body = json.dumps({"text": text}).encode()
            self.crowd.spawn(self.crowd.vendor.ask(body, self.piece))
        else:
            self.send(TEXT, json.dumps({"type": "speak", "text": text}).encode())
        self.utterance += 1

    def piece(self, piece: bytes) -> None:
        if piece:
            self.binary(piece, 0, len(piece), b"")

    async def leave(self) -> None:
        """Fall silent, hear the last speech out, hang up."""
        self.is_audible = False
        ends_ns = time.monotonic_ns() + int(MOST_S * 1e9)
        await asyncio.sleep(DRAIN_S)
        while self.heard_ns + QUIET_S * 1e9 > (now := time.monotonic_ns()) and now < ends_ns:  # noqa: ASYNC110  # no event per frame
            await asyncio.sleep(0.1)
        self.hang_up()
        try:
            await asyncio.wait_for(asyncio.shield(self.gone), 5)
        except TimeoutError:
            self.crowd.errors.append(f"call {self.number}: no answer to a close")
            self.transport.abort()
        for utterance in range(self.utterance):
            self.crowd.speech.end((self.number, utterance))
        self.crowd.transcripts.end(self.number)


class Crowd:
    """All calls of a run."""

    def __init__(self, asked: dict[str, Any]) -> None:
        self.job = asked
        self.port: int = asked["port"]
        self.direct: bool = asked["direct"]
        self.vendor = Speech(self.port)
        self.speech, self.transcripts = Direction(), Direction()
        self.ready, self.first, self.late = Delays(), Delays(), Delays()
        self.errors: list[str] = []
        self.frames_sent = self.sent_before = self.late_ticks = 0
        self.opened: int = asked["first_number"]
        self.callers: list[Caller] = []
        self.tasks: set[asyncio.Task[Any]] = set()
        self.is_running = False

    def spawn(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self.tasks.add(task)
        task.add_done_callback(self.done)

    def done(self, task: "asyncio.Task[Any]") -> None:
        self.tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.errors.append(repr(error))

    async def open(self) -> Caller:
        """One more call, ready."""
        loop = asyncio.get_running_loop()
        number, self.opened = self.opened, self.opened + 1
        _, caller = await loop.create_connection(
            lambda: Caller(self, number), "127.0.0.1", self.port
        )
        await asyncio.wait_for(caller.ready, 30)
        return caller

    def start(self) -> None:
        """Audio flows, from now until ``is_running`` ends."""
        loop = asyncio.get_running_loop()
        self.is_running = True
        self.origin = loop.time() + 0.05
        self.turns = deque(
            (self.origin + PERIOD_S * index / len(self.callers), index)
            for index in range(len(self.callers))
        )
        every = self.job["speak_every_s"]
        self.next_speech = [
            self.origin + every * (index + 1) / (len(self.callers) + 1) if every else float("inf")
            for index in range(len(self.callers))
        ]
        for caller in self.callers:
            caller.is_audible = True
        loop.call_at(self.origin, self.tick)
        if self.job["churn_s"]:
            self.spawn(self.churn())

    def tick(self) -> None:
        """Every frame that is due."""
        if not self.is_running:
            return
        loop = asyncio.get_running_loop()
        turns = self.turns
        now = loop.time()
        while turns[0][0] <= now:
            due, index = turns.popleft()
            turns.append((due + PERIOD_S, index))
            self.late.add(int((now - due) * 1e9))
            if now - due > PERIOD_S:
                self.late_ticks += 1
            caller = self.callers[index]
            if caller.is_audible and caller.is_open:
                caller.frame()
                if due >= self.next_speech[index]:
                    self.next_speech[index] += self.job["speak_every_s"]
                    caller.speak()
        # A timer of libuv fires on the millisecond.
        loop.call_at(max(turns[0][0], now + 0.0005), self.tick)

    async def churn(self) -> None:
        """Calls end and others begin, one after the other."""
        index = 0
        while self.is_running:
            await asyncio.sleep(self.job["churn_s"])
            index = (index + 1) % len(self.callers)
            old, new = self.callers[index], await self.open()
            if not self.is_running:
                self.spawn(new.leave())
                self.spawn(old.leave())
                return
            new.is_audible = True
            self.callers[index] = new
            self.spawn(old.leave())

    def begin(self) -> None:
        """Forget the delays so far; losses are never forgotten."""
        for direction in (self.speech, self.transcripts):
            direction.delays = Delays()
        self.first, self.late = Delays(), Delays()
        self.late_ticks = 0
        self.sent_before = self.frames_sent

    def window(self) -> dict[str, Any]:
        """What was measured since ``begin``."""
        return {
            "first_chunk": self.first.row(), "late": self.late.row(), "late_ticks": self.late_ticks,
            "frames_up": self.frames_sent - self.sent_before,
            "frames_down": sum(self.speech.delays.counts.values()),
            "transcripts": sum(self.transcripts.delays.counts.values()),
            "speech": self.speech.delays.row(),
        }  # fmt: skip

    async def end(self) -> None:
        self.is_running = False
        everybody = {*self.callers}
        await asyncio.gather(*(caller.leave() for caller in everybody))
        while self.tasks:
            await asyncio.wait(self.tasks)

    def result(self) -> dict[str, Any]:
        return {
            "ready": self.ready.row(), "speech_down": self.speech.row(),
            "transcripts": self.transcripts.row(), "frames_sent": self.frames_sent,
            "calls_opened": self.opened - self.job["first_number"], "errors": self.errors[:20],
        }  # fmt: skip


async def work(asked: dict[str, Any]) -> None:
    """Open the calls, then do as told."""
    crowd = Crowd(asked)
    orders = await job.commands()
    try:
        for _ in range(asked["calls"]):
            crowd.callers.append(await crowd.open())
    except (OSError, RuntimeError, TimeoutError) as error:
        crowd.errors.append(f"call {crowd.opened - 1} could not be opened: {error!r}")
        job.say("failed", **crowd.result())
        return
    job.say("opened")
    measured: dict[str, Any] = {}
    while (order := await orders.next()) != "quit":
        match order:
            case "start":
                crowd.start()
                job.say("started")
            case "begin":
                crowd.begin()
                job.say("begun")
            case "sample":
                job.say("sample", **crowd.window(), errors=crowd.errors[:20])
                crowd.begin()
            case "end":
                measured = crowd.window()
                job.say("measured")
                await crowd.end()
                job.say("result", window=measured, **crowd.result())


if __name__ == "__main__":
    job.run(work)
