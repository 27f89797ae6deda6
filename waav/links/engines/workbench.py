"""The side of the models: loaded copies and conversations with them. Everything here may block.

Knows neither Twisted nor in which process it is: ``engine_threads`` runs it beside the reactor, ``engine_worker`` in
a process of its own.
"""

from collections import deque
from collections.abc import Callable, Iterator
from typing import Any, Final

from waav.errors import ProviderLost
from waav.speech import wire

AHEAD: Final = 8
"""Pieces that are made before anybody looks whether they were taken, and before other calls get a turn."""

EVERYTHING: Final = 1 << 30


class Workbench:
    """Models and conversations. Jobs of one conversation come one at a time; ``over`` comes at any moment."""

    def __init__(self) -> None:
        self._models: dict[str, Any] = {}
        self._talks: dict[int, _Talk] = {}

    def load(self, name: str, load: Callable[[], Any]) -> None:
        """Make the copy of this process."""
        self._models[name] = load()

    def open(self, number: int, name: str, open: Callable[[Any], wire.Engine]) -> None:
        """Begin conversation ``number`` with a loaded model."""
        if name not in self._models:
            raise ProviderLost(name, f"{name}: the model is not loaded any more")
        self._talks[number] = _Talk(open(self._models[name]))

    def work(
        self, number: int, turn: int, asked: list[str | bytes], say: Callable[[str | bytes], None], most: int
    ) -> bool:  # fmt: skip
        """Tell the model what is asked, in order; returns whether it has more to say.

        Args:
            turn: what earlier turns left unsaid is given up first.
            say: takes each piece of the answer.
            most: pieces to make.
        """
        talk = self._talks.get(number)
        if talk is None:
            raise ProviderLost("models", "the conversation with the model is gone")
        return talk.work(turn, asked, say, most)

    def over(self, number: int, turn: int) -> None:
        """Nothing of this turn, or one before, is wanted any more: the model stops at its next piece."""
        talk = self._talks.get(number)
        if talk is not None:
            talk.over = max(talk.over, turn)

    def close(self, number: int) -> None:
        """Give a conversation back."""
        talk = self._talks.pop(number, None)
        if talk is not None:
            talk.close()


class _Talk:
    """One conversation."""

    def __init__(self, engine: wire.Engine) -> None:
        self.over = 0
        self._engine = engine
        self._turn = 0
        self._asked: deque[str | bytes] = deque()
        self._answering: Iterator[str | bytes] | None = None

    def work(
        self, turn: int, asked: list[str | bytes], say: Callable[[str | bytes], None], most: int
    ) -> bool:
        if turn != self._turn:
            self._give_up()
            self._turn = turn
        self._asked.extend(asked)
        for _ in range(most):
            piece = self._next()
            if self.over >= turn:
                self._give_up()
                return False
            if piece is None:
                return False
            say(piece)
        return True

    def close(self) -> None:
        self._give_up()
        self._engine.close()

    def _next(self) -> str | bytes | None:
        """The model's next piece; None when it has nothing to say any more, or is not to."""
        while self.over < self._turn:
            if self._answering is None:
                if not self._asked:
                    return None
                self._answering = iter(self._engine.feed(self._asked.popleft()))
            try:
                for piece in self._answering:
                    return piece
            except BaseException:
                self._answering = None
                raise
            self._answering = None
        return None

    def _give_up(self) -> None:
        """End a generator in the middle, so that the model frees what it holds."""
        self._asked.clear()
        answering, self._answering = self._answering, None
        close = getattr(answering, "close", None)
        if close is not None:
            close()
