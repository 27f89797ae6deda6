"""The log: one line per event as text or JSON, without anything that must not be kept.

Our own code does not log keys, audio or texts. What other libraries say is cut down here: their routine messages
are dropped, and whatever passes loses the values of query strings and credentials.
"""

import json
import re
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from twisted.python.failure import Failure
from zope.interface import implementer

from waav.ops.settings import LogSettings

_LEVELS: Final = ("debug", "info", "warn", "error", "critical")

_QUIET: Final = ("twisted", "autobahn", "txaio", "treq", "log_legacy", "asyncio")
"""Whose messages below a warning are dropped: they tell of every connection, some of every frame, and
Autobahn's debug records hold what was sent (SRV-05, SRV-06)."""

_QUERY = re.compile(r"([?&][\w.\-\[\]%]+=)[^&\s\"'>)\]]+")
_CREDENTIAL = re.compile(
    r"""(\b(?:bearer|basic|token)\s+|(?:authorization|x-provider-api-key|x-api-key|xi-api-key|api[_-]?key|"""
    r"""password|secret)['"]?\s*[:=]\s*(?:b?['"])?(?:(?:bearer|basic|token)\s+)?)[^\s"',;)}\]]+""",
    re.IGNORECASE,
)
_USERINFO = re.compile(r"(?<=://)[^/@\s\"']+(?=@)")


def redacted(text: str) -> str:
    """The text without the values of queries, credentials and passwords in addresses."""
    text = _QUERY.sub(r"\1***", text)
    text = _USERINFO.sub("***", text)
    return _CREDENTIAL.sub(r"\1***", text)


@implementer(ILogObserver)
class LineObserver:
    """Writes a line per event.

    Args:
        out: where to; flushed after each line.
        settings: least level, and whether lines are JSON.
    """

    def __init__(self, out: TextIO, settings: LogSettings | None = None) -> None:
        settings = settings or LogSettings()
        self._out = out
        self._least = _LEVELS.index(settings.level)
        self._least_of_others = max(self._least, _LEVELS.index("warn"))
        self._write = _json if settings.json else _line

    def __call__(self, event: LogEvent) -> None:
        """Take an event; called by Twisted, in any thread, and must not raise."""
        namespace = str(event.get("log_namespace") or "-")
        level = event.get("log_level") or LogLevel.info
        is_others = namespace.partition(".")[0] in _QUIET
        least = self._least_of_others if is_others else self._least
        if _LEVELS.index(level.name) < least:
            return
        try:
            self._out.write(self._write(event, namespace, level.name) + "\n")
            self._out.flush()
        except (OSError, ValueError):
            # Nowhere to say it: the terminal is gone or the disk is full.
            return


def _when(event: LogEvent) -> str:
    moment = datetime.fromtimestamp(float(event.get("log_time") or 0.0), UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _message(event: LogEvent) -> str:
    text = formatEvent(event) if event.get("log_format") else str(event.get("log_text") or "")
    return redacted(text)


def _traceback(event: LogEvent) -> str:
    """The traceback of a failure: lines of code and the exception's own text, never values of variables."""
    failure = event.get("log_failure")
    return redacted(failure.getTraceback().rstrip()) if isinstance(failure, Failure) else ""


def _line(event: LogEvent, namespace: str, level: str) -> str:
    # A message of several lines stays one record: whoever reads lines sees that the rest belongs to it.
    message = _message(event).strip().replace("\n", "\n    ")
    text = f"{_when(event)} {level:<5} {namespace}: {message}"
    trace = _traceback(event)
    return f"{text}\n    " + trace.replace("\n", "\n    ") if trace else text


def _json(event: LogEvent, namespace: str, level: str) -> str:
    record: dict[str, Any] = {
        key: redacted(value) if isinstance(value, str) else value
        for key, value in event.items()
        if not key.startswith("log_") and isinstance(value, str | int | float | bool)
    }
    record |= {
        "time": _when(event),
        "level": level,
        "namespace": namespace,
        "message": _message(event),
    }
    if trace := _traceback(event):
        record["traceback"] = trace
    return json.dumps(record, ensure_ascii=False)
