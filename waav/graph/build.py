"""From a definition to nodes that pass values on by plain calls.

A node receives one value at a time and hands what it makes of it to ``emit``, which was given to it when it was
built: the ``receive`` of the next node itself where there is just one. No queue sits between two nodes.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from twisted.internet.defer import CancelledError, Deferred, FirstError, gatherResults, succeed
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger

from waav.errors import WaavError, untraced
from waav.graph.definition import Definition, check, flow_order
from waav.links.dial import Dialler
from waav.links.engines.engines import Conversation
from waav.links.engines.turn_queue import TurnShare
from waav.speech import wire

_log = Logger()

Emit = Callable[[Any], None]
Converse = Callable[[wire.Local], Deferred[Conversation]]


class Node(Protocol):
    """A place that values pass through."""

    def receive(self, value: Any) -> None:
        """Take one value; values of a kind that mean nothing here are ignored."""

    def start(self) -> Deferred[None]:
        """Fires when the node can do its work. Cancelling it, or ``stop``, ends a start that takes too long."""

    def stop(self, at_once: bool) -> Deferred[None]:
        """End. ``at_once``: nobody wants what is still to come; otherwise that is emitted first."""

    def pause(self) -> None:
        """What this node produces cannot be taken now: stop reading from where it comes."""

    def resume(self) -> None:
        """Go on after ``pause``."""


class PlainNode:
    """A node with nothing to start, stop or pause."""

    def __init__(self, emit: Emit) -> None:
        self.emit = emit
        if type(self).receive is PlainNode.receive:
            self.receive = emit  # type: ignore[method-assign, assignment]  # whoever feeds it feeds the next one

    def receive(self, value: Any) -> None:
        self.emit(value)

    def start(self) -> Deferred[None]:
        return succeed(None)

    def stop(self, at_once: bool) -> Deferred[None]:
        return succeed(None)

    def pause(self) -> None:
        pass

    def resume(self) -> None:
        pass


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the nodes of one call may use of the world outside the graph.

    Args:
        converse: begins a conversation with one of the gateway's own models; fails with a WaavError.
        congested: told when the recogniser cannot take more audio (True), and when it can again.
        on_text: receives what reaches the node ``text_output``.
        on_audio: receives what reaches the node ``audio_output``.
        count: adds to one of the figures of the call, by name.
        warn: told of what the caller asked for and does not get; the call goes on.
        noted: told of what a vendor could not do as asked, in words, before the audio that it is about.
        took: told how long ``first_audio`` of an utterance took, in seconds.
        stream_id: for log lines.
        share: whom work of the gateway's own models is for.
    """

    clock: IReactorTime
    dialler: Dialler
    converse: Converse
    congested: Callable[[bool], None]
    on_text: Emit
    on_audio: Emit
    count: Callable[[str, int], None]
    warn: Callable[[WaavError], None]
    noted: Callable[[str], None] = lambda message: None
    took: Callable[[str, float], None] = lambda name, seconds: None
    stream_id: str = ""
    share: TurnShare = TurnShare()


Kind = Callable[[Mapping[str, Any], Surroundings, Emit], Node]
"""Makes a node from its config. Raises WaavError for a config that cannot work; never touches the network."""


class Graph:
    """The nodes of one call, built but not started."""

    _log = Logger()

    def __init__(self, nodes: Mapping[str, Node], order: list[str]) -> None:
        self._nodes = nodes
        self._order = order

    def entry(self, node: str) -> Emit:
        """The call that hands a value to ``node``."""
        return self._nodes[node].receive

    def node(self, node: str) -> Node:
        """The node of that id."""
        return self._nodes[node]

    async def start(self) -> None:
        """Start every node, all at the same time; raises what the first of them raises that fails."""
        starting = [self._nodes[name].start() for name in self._order]
        try:
            await gatherResults(starting, consumeErrors=True)
            return
        except FirstError as first:
            for one in starting:
                one.cancel()
            cause = untraced(first).subFailure.value
            assert cause is not None
        # Not in there: it would come of the ``FirstError``, which has it.
        raise cause

    async def stop(self, at_once: bool) -> None:
        """Stop every node, those that feed others first, each whatever became of the others. Then there are none.

        Cancelling it hurries: what has not stopped yet is stopped at once.
        """
        was_cancelled = False
        for name in self._order:
            try:
                await self._nodes[name].stop(at_once)
            except CancelledError:
                was_cancelled = at_once = True
            except Exception:
                self._log.failure("node {node} did not stop cleanly", node=name)
        # They know the call, which knows us.
        self._nodes, self._order = {}, []
        if was_cancelled:
            raise CancelledError()

    def pause(self) -> None:
        """The caller cannot take more; stop reading from vendors that speak."""
        for node in self._nodes.values():
            node.pause()

    def resume(self) -> None:
        """The caller can take more again."""
        for node in self._nodes.values():
            node.resume()


def build(definition: Definition, kinds: Mapping[str, Kind], surroundings: Surroundings) -> Graph:
    """Check ``definition`` and make its nodes, last ones first so that each knows whom it feeds.

    Raises:
        WaavError: the definition, or the config of a node, cannot work. Nothing was started.
    """
    check(definition, kinds.keys())
    order = flow_order(definition)
    by_id = {node.id: node for node in definition.nodes}
    nodes: dict[str, Node] = {}
    for name in reversed(order):
        emit = _joined([nodes[target].receive for target in definition.successors(name)])
        nodes[name] = kinds[by_id[name].type](by_id[name].config, surroundings, emit)
    return Graph(nodes, order)


def _joined(targets: list[Emit]) -> Emit:
    """One call that reaches all of ``targets``, in order."""
    if not targets:
        return nowhere
    if len(targets) == 1:
        return targets[0]
    several = tuple(targets)

    def fan_out(value: Any) -> None:
        for target in several:
            try:
                target(value)
            except Exception:
                _log.failure("a consumer of an edge failed")

    return fan_out


def nowhere(value: Any) -> None:
    """Where the values of a node go that nobody listens to."""
