"""The log: one line per event as text or JSON, without anything that must not be kept.

Our own code does not log keys, audio or texts. What other libraries say is cut down here: their routine messages
are dropped, and whatever passes loses the values of query strings and credentials.
"""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, TextIO

from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent
from twisted.python.failure import Failure
from zope.interface import implementer

from waav.ops.settings import LogSettings

_LEVELS: Final = ("debug", "info", "warn", "error", "critical")

_QUIET: Final = ("twisted", "autobahn", "txaio", "treq", "log_legacy", "asyncio")
"""Whose messages below a warning are dropped: they tell of every connection, some of every frame, and
Autobahn's debug records hold what was sent."""

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


class _Wanted:
    """Which events are written at all."""

    def __init__(self, settings: LogSettings) -> None:
        self._least = _LEVELS.index(settings.level)
        self._least_of_others = max(self._least, _LEVELS.index("warn"))

    def has(self, namespace: str, level: str) -> bool:
        """Whether an event of that origin and importance is one of them."""
        is_others = namespace.partition(".")[0] in _QUIET
        return _LEVELS.index(level) >= (self._least_of_others if is_others else self._least)


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
        self._wanted = _Wanted(settings)
        self._write = _json if settings.json else _line

    def __call__(self, event: LogEvent) -> None:
        """Take an event; called by Twisted, in any thread, and must not raise."""
        namespace = str(event.get("log_namespace") or "-")
        level = event.get("log_level") or LogLevel.info
        if not self._wanted.has(namespace, level.name):
            return
        try:
            self._out.write(self._write(event, namespace, level.name) + "\n")
            self._out.flush()
        except (OSError, ValueError):
            # Nowhere to say it: the terminal is gone or the disk is full.
            return


@implementer(ILogObserver)
class Forwarder:
    """Hands events to another process, which logs them with ``forwarded``.

    Args:
        send: takes one event as a JSON object; may be called in any thread, and raises OSError when nobody listens.
        settings: least level.
    """

    def __init__(self, send: Callable[[dict[str, Any]], None], settings: LogSettings) -> None:
        self._send = send
        self._wanted = _Wanted(settings)

    def __call__(self, event: LogEvent) -> None:
        """Take an event; called by Twisted, in any thread, and must not raise."""
        namespace = str(event.get("log_namespace") or "-")
        level = (event.get("log_level") or LogLevel.info).name
        if not self._wanted.has(namespace, level):
            return
        said = {
            "time": float(event.get("log_time") or 0.0),
            "level": level,
            "namespace": namespace,
            "message": _message(event),
            "trace": _traceback(event),
            "fields": _fields(event),
        }
        try:
            self._send(said)
        except (OSError, ValueError):
            # The other process is gone, and we are about to be.
            return


def forwarded(said: dict[str, Any], **more: int | str) -> LogEvent:
    """The event that a ``Forwarder`` sent, with ``more`` fields, for the log of this process."""
    trace = str(said["trace"])
    return {
        **said["fields"],
        **more,
        "log_time": said["time"],
        "log_level": LogLevel.lookupByName(said["level"]),
        "log_namespace": said["namespace"],
        "log_said": said["message"],
        "log_traceback": trace,
        "log_format": "{log_said}\n{log_traceback}" if trace else "{log_said}",
    }


def _when(event: LogEvent) -> str:
    moment = datetime.fromtimestamp(float(event.get("log_time") or 0.0), UTC)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _message(event: LogEvent) -> str:
    if "log_said" in event:  # and was cut down where it was said
        return str(event["log_said"])
    text = formatEvent(event) if event.get("log_format") else str(event.get("log_text") or "")
    return redacted(text)


def _traceback(event: LogEvent) -> str:
    """The traceback of a failure: lines of code and the exception's own text, never values of variables."""
    if "log_traceback" in event:
        return str(event["log_traceback"])
    failure = event.get("log_failure")
    return redacted(failure.getTraceback().rstrip()) if isinstance(failure, Failure) else ""


def _line(event: LogEvent, namespace: str, level: str) -> str:
    # A message of several lines stays one record: whoever reads lines sees that the rest belongs to it.
    message = _message(event).strip().replace("\n", "\n    ")
    worker = f" worker={event['worker']}" if "worker" in event else ""
    text = f"{_when(event)} {level:<5} {namespace}{worker}: {message}"
    trace = _traceback(event)
    return f"{text}\n    " + trace.replace("\n", "\n    ") if trace else text


def _fields(event: LogEvent) -> dict[str, Any]:
    return {
        key: redacted(value) if isinstance(value, str) else value
        for key, value in event.items()
        if not key.startswith("log_") and isinstance(value, str | int | float | bool)
    }


def _json(event: LogEvent, namespace: str, level: str) -> str:
    record = _fields(event)
    record |= {
        "time": _when(event),
        "level": level,
        "namespace": namespace,
        "message": _message(event),
    }
    if trace := _traceback(event):
        record["traceback"] = trace
    return json.dumps(record, ensure_ascii=False)
