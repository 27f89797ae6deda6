"""What a worker tells its supervisor, and what it is told: lines of JSON one way, single bytes the other."""

import json
import os
import struct
from collections.abc import Callable
from threading import Lock
from typing import Any, Final

from twisted.internet.interfaces import IReadDescriptor
from twisted.python.failure import Failure
from zope.interface import implementer

ORDERS: Final = 3
"""Descriptor from which a worker reads how it is to begin, and then orders. It ends with the supervisor."""
REPORTS: Final = 4
"""Descriptor that a worker writes to."""
MEMORY: Final = 5
"""Descriptor of the memory that all workers share."""
FIRST_SOCKET: Final = 6
"""The listening sockets are this descriptor and the following ones."""

DRAIN: Final = b"d"
"""Accept nobody new, let calls go on for as long as they may, then end."""
END: Final = b"e"
"""End all calls now."""

_LENGTH = struct.Struct("<Q")


def parcel(data: bytes) -> bytes:
    """What a worker is to begin with, as written to ``ORDERS``."""
    return _LENGTH.pack(len(data)) + data


def read_parcel(descriptor: int = ORDERS) -> bytes:
    """What ``parcel`` wrote; blocks until it is there.

    Raises:
        EOFError: whoever wrote it is gone.
    """
    (length,) = _LENGTH.unpack(_exactly(descriptor, _LENGTH.size))
    return _exactly(descriptor, length)


def _exactly(descriptor: int, size: int) -> bytes:
    pieces = []
    while size:
        piece = os.read(descriptor, min(size, 65536))
        if not piece:
            raise EOFError("the supervisor is gone")
        pieces.append(piece)
        size -= len(piece)
    return b"".join(pieces)


class Reports:
    """Tells the supervisor what happens here. May be used in any thread; a line is never cut in two by another.

    A supervisor that does not read makes the worker wait, as a terminal that is stopped does.
    """

    def __init__(self, descriptor: int = REPORTS) -> None:
        self._descriptor = descriptor
        self._lock = Lock()

    def event(self, said: dict[str, Any]) -> None:
        """A log event of a ``Forwarder``. Raises OSError when the supervisor is gone."""
        self._write({"log": said})

    def ready(self) -> None:
        """Callers are served from now on."""
        self._write({"ready": True})

    def refused(self, lines: list[str]) -> None:
        """The configuration cannot be used, for these reasons."""
        self._write({"refused": lines})

    def _write(self, said: dict[str, Any]) -> None:
        left = memoryview(json.dumps(said).encode() + b"\n")
        with self._lock:
            while left:
                left = left[os.write(self._descriptor, left) :]


class ReportReader:
    """Puts the lines of a worker together from the pieces in which they come.

    Args:
        heard: called with each report.
    """

    def __init__(self, heard: Callable[[dict[str, Any]], None]) -> None:
        self._heard = heard
        self._rest = b""

    def received(self, data: bytes) -> None:
        """More of what a worker wrote."""
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._heard(json.loads(line))


@implementer(IReadDescriptor)
class Orders:
    """Reads orders on the reactor.

    Args:
        reactor: watches the descriptor.
        obey: called with each order.
        alone: called when the supervisor is gone.
    """

    def __init__(
        self,
        reactor: Any,
        obey: Callable[[bytes], None],
        alone: Callable[[], None],
        descriptor: int = ORDERS,
    ) -> None:
        self._reactor = reactor
        self._obey = obey
        self._alone = alone
        self._descriptor = descriptor
        os.set_blocking(descriptor, False)
        reactor.addReader(self)

    def fileno(self) -> int:
        """The descriptor."""
        return self._descriptor

    def logPrefix(self) -> str:
        """For messages of the reactor."""
        return "orders"

    def doRead(self) -> None:
        """Orders have come, or nobody is there any more to give any."""
        try:
            data = os.read(self._descriptor, 100)
        except BlockingIOError:
            return
        if not data:
            self._reactor.removeReader(self)
            self._alone()
        for order in data:
            self._obey(bytes([order]))

    def connectionLost(self, reason: Failure) -> None:
        """The reactor found the descriptor broken, or stops."""
