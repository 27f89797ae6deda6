"""A model for tests that run models in another process: told what to do, and writes down what it did."""

import os
import signal
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from waav import errors
from waav.speech import wire


def load(problem: Exception | None = None) -> str:
    """The model."""
    if problem is not None:
        raise problem
    return "loaded"


def die() -> None:
    """A load that takes the process with it."""
    os.kill(os.getpid(), signal.SIGKILL)


class Script:
    """One conversation. What it does stands in the first word of what it is told.

    Args:
        diary: a file that gets a line for each thing that happens.
    """

    def __init__(self, diary: Path, loaded: Any) -> None:
        assert loaded == "loaded"
        self._diary = diary

    def note(self, line: str) -> None:
        with self._diary.open("a") as file:
            file.write(line + "\n")

    def feed(self, outgoing: str | bytes) -> Iterator[str | bytes]:
        if isinstance(outgoing, bytes):
            self.note(f"{len(outgoing)} bytes")
            yield outgoing
            return
        if '"speak"' not in outgoing:
            return
        text = outgoing.split('"text": "')[1].rstrip('"}')
        self.note(text)
        word, *more = text.split()
        try:
            yield from self._do(word, more)
        except GeneratorExit:
            self.note("left early")
            raise

    def _do(self, word: str, more: list[str]) -> Iterator[str | bytes]:
        match word, more:
            case "pid", _:
                yield f"{os.getpid()} ".encode()
            case "count", [number]:
                for index in range(int(number)):
                    yield bytes([index % 256, 0])
            case "wait", [gate]:
                yield b"\1\1"
                # Blocks until somebody opens the other end.
                Path(gate).read_bytes()
                yield b"\2\2"
            case "fail", _:
                raise RuntimeError("the weights are on fire")
            case "refuse", _:
                raise errors.ProviderRefused("acme", "not that", upstream_status=400)
            case "die", _:
                os.kill(os.getpid(), signal.SIGKILL)
            case _:
                yield text_of(word, more)

    def close(self) -> None:
        self.note("closed")


def text_of(word: str, more: list[str]) -> bytes:
    """The words as bytes, of an even number."""
    said = " ".join([word, *more]).encode()
    return said + b" " * (len(said) % 2)


def local(diary: Path, name: str = "m", problem: Exception | None = None) -> wire.Local:
    """The model, for an engine address."""
    return wire.Local(name, partial(load, problem), partial(Script, diary))
