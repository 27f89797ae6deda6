"""uvloop, made to notice every connection that is reset."""

# mypy: disable-error-code="override"
# The annotations of uvloop and of typeshed contradict each other here.

import select
from collections.abc import Callable
from typing import Any, Final

import uvloop

LOOK_EVERY_S: Final = 1.0
"""How often descriptors are looked at for errors that nobody was told of."""

DRAIN_EVERY_S: Final = 0.01
"""How often while such a descriptor still has bytes to be read."""


class Loop(uvloop.Loop):
    """An event loop for ``asyncioreactor``, which only ever names descriptors by their number.

    When a peer resets a connection, libuv stops watching the descriptor and uvloop calls the reader once more. If
    more bytes wait than that one call reads, the reader never hears of the reset: the connection, its call and
    its slot stay for ever. And whoever writes to it gets ``RuntimeError: the handler is closed``. Here readers of
    descriptors with an error are called again until they are gone, and writers find an open handle.
    """

    def __init__(self) -> None:
        super().__init__()
        self._readers: dict[int, tuple[Callable[..., object], tuple[Any, ...]]] = {}
        self._errors = select.poll()
        self.call_later(LOOK_EVERY_S, self._look)

    def add_reader(self, fd: Any, callback: Callable[..., object], *args: Any) -> None:
        self._readers[fd] = (callback, args)
        self._errors.register(fd, 0)  # errors are told without asking
        try:
            super().add_reader(fd, callback, *args)
        except RuntimeError:
            self._forget(fd)
            super().add_reader(fd, callback, *args)

    def remove_reader(self, fd: Any) -> Any:
        if self._readers.pop(fd, None) is not None:
            self._errors.unregister(fd)
        return super().remove_reader(fd)

    def add_writer(self, fd: Any, callback: Callable[..., object], *args: Any) -> None:
        try:
            super().add_writer(fd, callback, *args)
        except RuntimeError:
            self._forget(fd)
            super().add_writer(fd, callback, *args)
            if (reader := self._readers.get(fd)) is not None:
                super().add_reader(fd, reader[0], *reader[1])

    def _forget(self, fd: int) -> None:
        """Drop the handle of a descriptor, dead or alive."""
        super().remove_reader(fd)
        super().remove_writer(fd)

    def _look(self) -> None:
        broken = self._errors.poll(0) if self._readers else []
        for fd, _ in broken:
            callback, args = self._readers[fd]
            super().remove_reader(fd)
            super().add_reader(fd, callback, *args)
        self.call_later(DRAIN_EVERY_S if broken else LOOK_EVERY_S, self._look)
