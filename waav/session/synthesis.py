"""Speech for one text without a call: what ``POST /speak`` does, by the same node and the same cache."""

from collections.abc import Callable
from functools import partial
from typing import Any

from twisted.internet.defer import Deferred

from waav.errors import WaavError
from waav.graph.build import Surroundings
from waav.graph.nodes.speak import Speak
from waav.graph.values import Broken, Complete, Frames, Say
from waav.links.engines.turn_queue import TurnShare
from waav.session.call_settings import Speaking
from waav.session.own_models import converse
from waav.session.world import World
from waav.speech.audio import AudioFormat
from waav.tasks import started


def synthesize(
    world: World,
    speaking: Speaking,
    text: str,
    on_audio: Callable[[bytes], None],
    on_start: Callable[[AudioFormat], None],
    caller: str = "",
) -> "Synthesis":
    """Speak ``text``.

    Args:
        caller: who asks: the gateway's own voice speaks for one caller after the other.
        on_start: called once, before the first audio, with the format of what follows.
        on_audio: called with each piece as it comes, cut anywhere.

    Raises:
        WaavError: the settings cannot work; nothing was connected.
    """
    return Synthesis(world, speaking, text, on_audio, on_start, caller)


class Synthesis:
    """One text being spoken.

    Attributes:
        warnings: what will not be had as it was asked for; complete when the first audio comes.
        done: fires when everything was delivered; fails with the WaavError that ended it, also in the middle.
            Cancelling it aborts the vendor's request; nothing is delivered afterwards.
    """

    def __init__(
        self,
        world: World,
        speaking: Speaking,
        text: str,
        on_audio: Callable[[bytes], None],
        on_start: Callable[[AudioFormat], None],
        caller: str,
    ) -> None:
        self._provider = speaking.provider.name
        self._ledger = world.ledger
        self._spoken_s = 0.0
        self._on_audio = on_audio
        self._on_start = on_start
        self._has_started = False
        self._error: WaavError | None = None
        self._ended: Deferred[None] = Deferred()
        self.warnings: list[str] = []
        share = TurnShare(caller, is_batch=True)
        node = Speak(
            speaking,
            Surroundings(
                clock=world.clock,
                dialler=world.dialler,
                converse=partial(converse, world, share),
                congested=lambda is_full: None,
                on_text=lambda value: None,
                on_audio=lambda value: None,
                count=partial(world.ledger.count, self._provider),
                warn=lambda error: None,
                noted=self.warnings.append,
                took=partial(world.ledger.took, self._provider),
                share=share,
            ),
            self._receive,
            is_cut=False,
            is_labelled=True,
        )
        self._promised = node.promised
        self._node: Speak | None = node  # until it is over
        self.done: Deferred[None] = started(self._run(node, text))

    def pause(self) -> None:
        """The reader is slow: stop reading from the vendor."""
        if self._node is not None:
            self._node.pause()

    def resume(self) -> None:
        """The reader takes more."""
        if self._node is not None:
            self._node.resume()

    async def _run(self, node: Speak, text: str) -> None:
        try:
            await node.start()
            self._ledger.count(self._provider, "utterances", 1)
            node.receive(Say(1, text))
            await self._ended
        except Exception as error:
            if isinstance(error, WaavError):
                self._ledger.error(self._provider, "tts", error.code)
            await node.stop(at_once=True)
            raise
        finally:
            self._node = None
            self._ledger.count(self._provider, "spoken_s", self._spoken_s)
        # Nothing more is wanted, but the link may have work of its own left, such as keeping the answer. It is
        # bounded and never fails.
        self._closing = node.stop(at_once=False)

    def _receive(self, value: Any) -> None:
        match value:
            case Frames():
                if not self._has_started:
                    self._has_started = True
                    self._on_start(value.format)
                self._spoken_s += value.duration_s or 0.0
                for data in value.frames:
                    self._on_audio(data)
            case Broken(_, error):
                self._error = error
            case Complete():
                self._finish()

    def _finish(self) -> None:
        if self._ended.called:
            return
        error = self._error
        if error is None and not self._has_started:
            # There was nothing in the text that can be said.
            self._on_start(self._promised)
        if error is None:
            self._ended.callback(None)
        else:
            self._ended.errback(error)
