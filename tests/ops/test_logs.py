"""The log lines of a deployment."""

import io
import json
from typing import Any

from twisted.logger import Logger, LogLevel
from twisted.trial.unittest import SynchronousTestCase

from waav.ops.logs import LineObserver, redacted
from waav.ops.settings import LogSettings


class LineCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.out = io.StringIO()

    def logger(self, namespace: str = "waav.session", **settings: Any) -> Logger:
        return Logger(namespace, observer=LineObserver(self.out, LogSettings(**settings)))

    def at(self, time_s: float, settings: LogSettings, **event: Any) -> None:
        """An event as Twisted hands it over, at a time of our choice."""
        event |= {"log_time": time_s, "log_level": LogLevel.info, "log_namespace": "waav.session"}
        LineObserver(self.out, settings)(event)

    def lines(self) -> list[str]:
        return self.out.getvalue().splitlines()


class TextTests(LineCase):
    def test_a_line(self) -> None:
        """An event is one line: time in UTC, level, where it comes from, what happened."""
        self.at(1700000000.5, LogSettings(), log_format="call {stream} began", stream="s1")
        self.assertEqual(
            self.lines(), ["2023-11-14T22:13:20.500Z info  waav.session: call s1 began"]
        )

    def test_several_lines_stay_one_record(self) -> None:
        """A message with line breaks is recognisably one record: the rest is indented."""
        self.logger().warn("one\ntwo")
        self.assertEqual(self.lines()[1], "    two")

    def test_levels(self) -> None:
        """Only events of the configured level and above are written (F-002)."""
        for level, expected in (
            ("debug", 5),
            ("info", 4),
            ("warn", 3),
            ("error", 2),
            ("critical", 1),
        ):
            self.out.seek(0)
            self.out.truncate()
            logger = self.logger(level=level)
            for one in LogLevel.iterconstants():
                logger.emit(one, "x")
            self.assertEqual(len(self.lines()), expected, level)

    def test_failures_have_tracebacks(self) -> None:
        """A failure is written with its traceback, without the values of variables (SRV-05)."""
        key = "topsecret"
        try:
            len(key[0]) / 0  # type: ignore[operator]
        except ZeroDivisionError:
            self.logger().failure("the call broke")
        text = self.out.getvalue()
        self.assertIn("critical waav.session: the call broke", text)
        self.assertIn("ZeroDivisionError", text)
        self.assertIn("test_logs.py", text)
        self.assertNotIn(key, text)
        self.assertTrue(all(line.startswith("    ") for line in self.lines()[1:]))

    def test_a_closed_terminal_is_no_error(self) -> None:
        """When the log cannot be written the gateway goes on."""
        logger = self.logger()
        self.out.close()
        logger.error("nobody reads this")


class OthersTests(LineCase):
    def test_libraries_are_quiet(self) -> None:
        """Routine messages of libraries are dropped, even at debug: some hold what was sent (SRV-05, SRV-06)."""
        for namespace in ("twisted.internet.tcp", "autobahn.websocket", "txaio", "log_legacy"):
            logger = self.logger(namespace, level="debug")
            logger.debug("RX Octets {octets}", octets="secret words")
            logger.info("Starting factory")
        self.assertEqual(self.lines(), [])

    def test_their_warnings_pass(self) -> None:
        """What goes wrong in a library is logged."""
        self.logger("twisted.internet.defer").critical("Unhandled error in Deferred")
        self.logger("autobahn").warn("something is odd")
        self.assertEqual(len(self.lines()), 2)

    def test_ours_is_not_mistaken_for_theirs(self) -> None:
        """Only whole names count: our own rooms are written at info."""
        self.logger("twistedly.own").info("x")
        self.assertEqual(len(self.lines()), 1)


class RedactionTests(LineCase):
    SECRET = "sk-1234567890"

    def test_known_places_of_secrets(self) -> None:
        """Tokens in queries, credentials in headers and passwords in addresses never reach the log (SRV-05, S-CFG-54)."""
        for text in (
            f"GET /ws?token={self.SECRET} HTTP/1.1",
            f"GET /ws?a=1&token={self.SECRET}&b=2",
            f"Authorization: Bearer {self.SECRET}",
            f"{{'authorization': 'Token {self.SECRET}'}}",
            f"Headers({{b'Authorization': [b'x'], b'x-provider-api-key': b'{self.SECRET}'}})",
            f'{{"type": "config", "stt_config": {{"api_key": "{self.SECRET}"}}}}',
            f"dialling wss://user:{self.SECRET}@vendor.test/listen?model=x",
            f"bearer {self.SECRET}",
        ):
            self.assertNotIn(self.SECRET, redacted(text), text)
            self.logger().info("{text}", text=text)
            self.logger(json=True).info("{text}", text=text)
        self.assertNotIn(self.SECRET, self.out.getvalue())

    def test_names_of_queries_stay(self) -> None:
        """Which parameters a request had can still be read (SRV-05)."""
        self.assertEqual(
            redacted("GET /ws?token=abc&x=1 HTTP/1.1"), "GET /ws?token=***&x=*** HTTP/1.1"
        )

    def test_exceptions_are_redacted_too(self) -> None:
        """An exception whose text holds an address with a token loses it (SRV-05)."""
        try:
            raise ValueError(f"no answer from https://v.test/x?key={self.SECRET}")
        except ValueError:
            self.logger().failure("request failed")
        self.assertNotIn(self.SECRET, self.out.getvalue())
        self.assertIn("?key=***", self.out.getvalue())

    def test_ordinary_lines_are_untouched(self) -> None:
        """What is no secret is written as it is."""
        for text in (
            "call s1 ended after 3.2 s: 120 frames in, 80 out",
            "listening on http://localhost:3001/console",
            "0 tokens left in the bucket",
        ):
            self.assertEqual(redacted(text), text)


class JSONTests(LineCase):
    def test_a_line_is_an_object(self) -> None:
        """With logging.json each line is a JSON object that carries the fields of the event."""
        self.at(
            1700000000.5,
            LogSettings(json=True),
            log_format="call {stream_id} ended",
            stream_id="s1",
            frames=120,
        )
        (line,) = self.lines()
        self.assertEqual(
            json.loads(line),
            {
                "time": "2023-11-14T22:13:20.500Z",
                "level": "info",
                "namespace": "waav.session",
                "message": "call s1 ended",
                "stream_id": "s1",
                "frames": 120,
            },
        )

    def test_failures(self) -> None:
        """A failure is one line too; its traceback is a field."""
        try:
            raise RuntimeError("broken")
        except RuntimeError:
            self.logger(json=True).failure("oh")
        (line,) = self.lines()
        self.assertIn("RuntimeError: broken", json.loads(line)["traceback"])

    def test_objects_are_left_out(self) -> None:
        """Fields that are objects are not written: nobody knows what they would show."""
        self.logger(json=True).info("x", thing=object(), text={"a": "b"})
        self.assertEqual(
            set(json.loads(self.lines()[0])), {"time", "level", "namespace", "message"}
        )
