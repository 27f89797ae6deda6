"""What the gateway and its model process say to each other: lengths, and values that ``marshal`` knows.

Both are the same interpreter, and nobody else has an end of the socket. Orders: ``("load", job, name, load)``,
``("open", job, number, name, open)``, ``("work", job, number, turn, asked, most)``, ``("close", job, number)`` and
``("over", number, turn)``, where ``load`` and ``open`` are pickled. Answers: ``("said", job, piece)``, any number of
times, then ``("done", job, result)`` or ``("failed", job, error)``.
"""

import marshal
import pickle
import traceback
from collections.abc import Iterator
from struct import Struct
from typing import Any, Final

from waav.errors import WaavError

_LENGTH: Final = Struct("<I")


class Elsewhere(Exception):
    """A model failed in its process; the text is the traceback from there.

    Args:
        kind: the exception's name.
    """

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind


def packed(*values: Any) -> bytes:
    """One message."""
    body = marshal.dumps(values)
    return _LENGTH.pack(len(body)) + body


class ValueReader:
    """Messages out of bytes that come in any pieces."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[tuple[Any, ...]]:
        """The messages that are complete with ``data``."""
        rest = self._rest
        rest += data
        at, size = 0, len(rest)
        while size - at >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(rest, at)
            start = at + _LENGTH.size
            if size - start < length:
                break
            at = start + length
            yield marshal.loads(bytes(rest[start:at]))
        del rest[:at]


def packed_error(error: BaseException) -> bytes:
    """An exception, so that ``unpacked_error`` makes the same of it if it is one of ours."""
    if isinstance(error, WaavError):
        return pickle.dumps((type(error), error.args, error.__dict__))
    return pickle.dumps((type(error).__name__, "".join(traceback.format_exception(error))))


def unpacked_error(data: bytes) -> Exception:
    """See ``packed_error``; what is not ours becomes ``Elsewhere``."""
    kind, *rest = pickle.loads(data)
    if isinstance(kind, str):
        return Elsewhere(kind, *rest)
    arguments, fields = rest
    error: WaavError = kind.__new__(kind, *arguments)
    error.__dict__.update(fields)
    return error
