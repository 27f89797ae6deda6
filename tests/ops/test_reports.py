"""What a worker and its supervisor tell each other."""

import json
import os
import threading
from typing import Any

from twisted.logger import Logger, LogLevel
from twisted.trial.unittest import SynchronousTestCase

from tests.ops.test_logs import LineCase
from waav.ops.logs import Forwarder, LineObserver, forwarded
from waav.ops.reports import Orders, ReportReader, Reports, parcel, read_parcel
from waav.ops.settings import LogSettings


class PipeCase(SynchronousTestCase):
    def pipe(self) -> tuple[int, int]:
        ends = os.pipe()
        for end in ends:
            self.addCleanup(self.close, end)
        return ends

    def close(self, end: int) -> None:
        try:
            os.close(end)
        except OSError:
            pass


class ParcelTests(PipeCase):
    def test_it_arrives_whole(self) -> None:
        """A configuration larger than a pipe arrives as it was, and nothing behind it is taken."""
        out, into = self.pipe()
        data = os.urandom(300_000)
        writer = threading.Thread(target=lambda: os.write(into, parcel(data) + b"d"))
        writer.start()
        self.assertEqual(read_parcel(out), data)
        writer.join()
        self.assertEqual(os.read(out, 10), b"d")

    def test_a_supervisor_that_is_gone(self) -> None:
        """Half a parcel is none."""
        out, into = self.pipe()
        os.write(into, parcel(b"abc")[:-1])
        os.close(into)
        self.assertRaises(EOFError, read_parcel, out)


class ReportTests(PipeCase):
    def test_lines_of_threads_do_not_mix(self) -> None:
        """What several threads say at once arrives as whole lines, however the pipe cuts them."""
        out, into = self.pipe()
        told = Reports(into)
        heard: list[dict[str, Any]] = []
        hearing = ReportReader(heard.append)
        threads = [
            threading.Thread(target=lambda: [told.refused(["x" * 20_000]) for _ in range(10)])
            for _ in range(4)
        ]
        for one in threads:
            one.start()
        while len(heard) < 40:
            hearing.received(os.read(out, 7777))
        for one in threads:
            one.join()
        self.assertEqual(heard, [{"refused": ["x" * 20_000]}] * 40)


class Reactor:
    def __init__(self) -> None:
        self.readers: list[Any] = []

    def addReader(self, reader: Any) -> None:
        self.readers.append(reader)

    def removeReader(self, reader: Any) -> None:
        self.readers.remove(reader)


class OrderTests(PipeCase):
    def test_orders_and_the_end(self) -> None:
        """Orders come one by one; when the supervisor is gone that is noticed, once."""
        out, into = self.pipe()
        reactor, obeyed, alone = Reactor(), [], []  # type: ignore[var-annotated]
        orders = Orders(reactor, obeyed.append, lambda: alone.append(True), out)
        orders.doRead()
        os.write(into, b"de")
        orders.doRead()
        self.assertEqual((obeyed, alone), ([b"d", b"e"], []))
        os.close(into)
        orders.doRead()
        self.assertEqual((alone, reactor.readers), ([True], []))


class ForwardTests(LineCase):
    def forward(self, settings: LogSettings, **written: Any) -> Logger:
        """A logger in a worker whose supervisor writes lines here."""
        out = LineObserver(self.out, LogSettings(**written))
        forwarder = Forwarder(
            lambda said: out(forwarded(json.loads(json.dumps(said)), worker=2)), settings
        )
        return Logger("waav.session", observer=forwarder)

    def test_a_line_says_which_worker(self) -> None:
        """A worker's line is as its own would be, with its number; braces and line breaks do no harm."""
        self.forward(LogSettings()).warn("call {stream} began {odd}\nnow", stream="s1", odd="{x}")
        first, second = self.lines()
        self.assertRegex(first, r"Z warn  waav\.session worker=2: call s1 began \{x\}$")
        self.assertEqual(second, "    now")

    def test_json(self) -> None:
        """In JSON the number, the fields and the traceback are fields."""
        logger = self.forward(LogSettings(), json=True)
        try:
            raise ValueError("api_key=abc")
        except ValueError:
            logger.failure("it {what}", what="failed")
        (line,) = self.lines()
        record = json.loads(line)
        self.assertEqual((record["worker"], record["what"]), (2, "failed"))
        self.assertEqual((record["message"], record["level"]), ("it failed", "critical"))
        self.assertIn("ValueError: api_key=***", record["traceback"])

    def test_levels(self) -> None:
        """What would not be written is not sent, and the routine of libraries neither."""
        sent: list[Any] = []
        forwarder = Forwarder(sent.append, LogSettings(level="warn"))
        Logger("waav.session", observer=forwarder).info("no")
        Logger("autobahn.websocket", observer=forwarder).info("no")
        Logger("waav.session", observer=forwarder).emit(LogLevel.error, "yes")
        self.assertEqual([one["message"] for one in sent], ["yes"])

    def test_nobody_listens(self) -> None:
        """A supervisor that is gone is no error."""

        def gone(said: Any) -> None:
            raise BrokenPipeError()

        Logger("waav.session", observer=Forwarder(gone, LogSettings())).error("lost")
