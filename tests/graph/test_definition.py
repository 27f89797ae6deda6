"""Graphs are checked as a whole before anything is built."""

from typing import Any

from twisted.internet.defer import Deferred, fail
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.session.fakes import FakeDialler, FakeEngines
from waav.errors import BadRequest, ProviderLost
from waav.graph.build import Graph, PlainNode, Surroundings, build
from waav.graph.definition import (
    Definition,
    EdgeDefinition,
    NodeDefinition,
    check,
    flow_order,
    problems,
)
from waav.graph.kinds import KINDS
from waav.graph.nodes.ends import passthrough
from waav.graph.templates import plain_call


def graph(nodes: str, edges: str = "", entries: str = "", exits: str = "") -> Definition:
    """A definition from words: ``a b c``, ``a>b b>c``."""
    ids = nodes.split()
    return Definition(
        "g",
        tuple(NodeDefinition(one, "passthrough") for one in ids),
        tuple(EdgeDefinition(*edge.split(">")) for edge in edges.split()),
        tuple(entries.split() or ids[:1]),
        tuple(exits.split() or ids[-1:]),
    )


def surroundings(**more: Any) -> Surroundings:
    """Surroundings in which nothing is listened to."""
    given: dict[str, Any] = {
        "clock": Clock(),
        "dialler": FakeDialler(),
        "converse": FakeEngines().converse,
        "congested": lambda is_full: None,
        "on_text": lambda value: None,
        "on_audio": lambda value: None,
        "count": lambda name, number: None,
        "warn": lambda error: None,
    }
    return Surroundings(**{**given, **more})


class DefinitionTests(SynchronousTestCase):
    """What is wrong with a graph is said all at once."""

    def test_good(self) -> None:
        """A chain with a branch has nothing wrong with it."""
        self.assertEqual(problems(graph("a b c d", "a>b a>c c>d"), KINDS), [])

    def test_everything_at_once(self) -> None:
        """One error text names every bad node, edge, entry and exit."""
        definition = Definition(
            "mine",
            (
                NodeDefinition("a", "passthrough"),
                NodeDefinition("a", "passthrough"),
                NodeDefinition("", "passthrough"),
                NodeDefinition("b", "teapot"),
            ),
            (EdgeDefinition("a", "nowhere"),),
            ("x",),
            (),
        )
        error = self.assertRaises(BadRequest, check, definition, KINDS)
        for part in (
            "graph mine",
            "node a is defined twice",
            "a passthrough node has no id",
            "node b has the unknown type teapot",
            "edge a -> nowhere names the unknown node nowhere",
            "entry x does not exist",
            "it has no exit",
        ):
            self.assertIn(part, error.message)

    def test_empty(self) -> None:
        """A graph without nodes is refused."""
        self.assertIn("it has no nodes", problems(Definition("g", (), (), (), ()), KINDS))

    def test_cycle(self) -> None:
        """A cycle is shown with the path that closes it."""
        found = problems(graph("a b c d", "a>b b>c c>d d>b"), KINDS)
        self.assertEqual(found, ["cycle b -> c -> d -> b"])

    def test_flow_order(self) -> None:
        """Nodes are ordered by the way values take, whatever the order they are written in."""
        self.assertEqual(flow_order(graph("c b a", "a>b b>c a>c", "a", "c")), ["a", "b", "c"])

    def test_flow_order_of_a_cycle(self) -> None:
        """There is no order in a cycle."""
        self.assertRaises(ValueError, flow_order, graph("a b", "a>b b>a"))


class BuildTests(SynchronousTestCase):
    """Values run along the edges by plain calls."""

    def test_order_and_fan_out(self) -> None:
        """A value reaches every node behind an edge, once, in the order of the edges."""
        seen: list[tuple[str, object]] = []

        def noting(config: Any, surroundings: Surroundings, emit: Any) -> PlainNode:
            def note(value: object) -> None:
                seen.append((config["name"], value))
                emit(value)

            return PlainNode(note)

        definition = Definition(
            "g",
            tuple(NodeDefinition(one, "noting", {"name": one}) for one in "abcd"),
            (
                EdgeDefinition("a", "b"),
                EdgeDefinition("a", "c"),
                EdgeDefinition("b", "d"),
                EdgeDefinition("c", "d"),
            ),
            ("a",),
            ("d",),
        )
        value = b"frame"
        build(definition, {"noting": noting}, surroundings()).entry("a")(value)
        self.assertEqual([name for name, _ in seen], ["a", "b", "d", "c", "d"])
        self.assertTrue(all(one is value for _, one in seen))

    def test_one_failing_consumer(self) -> None:
        """A consumer that fails is logged and takes nothing from the others (S-VM-52)."""
        seen: list[object] = []

        def failing(config: Any, surroundings: Surroundings, emit: Any) -> PlainNode:
            return PlainNode(lambda value: 1 // 0)

        def keeping(config: Any, surroundings: Surroundings, emit: Any) -> PlainNode:
            return PlainNode(seen.append)

        definition = Definition(
            "g",
            (
                NodeDefinition("a", "passthrough"),
                NodeDefinition("b", "failing"),
                NodeDefinition("c", "keeping"),
            ),
            (EdgeDefinition("a", "b"), EdgeDefinition("a", "c")),
            ("a",),
            ("c",),
        )
        kinds = {"passthrough": passthrough, "failing": failing, "keeping": keeping}
        built = build(definition, kinds, surroundings())
        built.entry("a")("x")
        self.assertEqual(seen, ["x"])
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_invalid(self) -> None:
        """An invalid graph is not built."""
        self.assertRaises(BadRequest, build, graph("a b", "a>x"), KINDS, surroundings())

    def test_outputs(self) -> None:
        """What reaches an output goes to the call, and on to whoever follows."""
        texts: list[object] = []
        audio: list[object] = []
        definition = Definition(
            "g",
            (NodeDefinition("t", "text_output"), NodeDefinition("a", "audio_output")),
            (EdgeDefinition("t", "a"),),
            ("t",),
            ("a",),
        )
        built = build(definition, KINDS, surroundings(on_text=texts.append, on_audio=audio.append))
        built.entry("t")("hello")
        self.assertEqual((texts, audio), (["hello"], ["hello"]))


class Part(PlainNode):
    """A node whose start and stop are in the hands of the test."""

    def __init__(self, starting: Deferred[None], stopping: Any = None) -> None:
        super().__init__(lambda value: None)
        self.starting = starting
        self.stopping = stopping
        self.stops: list[bool] = []

    def start(self) -> Deferred[None]:
        return self.starting

    def stop(self, at_once: bool) -> Deferred[None]:
        self.stops.append(at_once)
        return self.stopping() if self.stopping else super().stop(at_once)


class StartStopTests(SynchronousTestCase):
    """All nodes start together; each is stopped whatever becomes of the others."""

    def test_waits_for_all(self) -> None:
        """A graph has started when the slowest of its nodes has."""
        parts = {one: Part(Deferred()) for one in "ab"}
        starting = Deferred.fromCoroutine(Graph(parts, ["a", "b"]).start())
        parts["b"].starting.callback(None)
        self.assertNoResult(starting)
        parts["a"].starting.callback(None)
        self.assertIsNone(self.successResultOf(starting))

    def test_first_failure(self) -> None:
        """The first failure is what the caller hears of, and the others stop trying."""
        cancelled: list[str] = []
        parts = {"a": Part(Deferred(lambda _: cancelled.append("a"))), "b": Part(Deferred())}
        starting = Deferred.fromCoroutine(Graph(parts, ["a", "b"]).start())
        parts["b"].starting.errback(ProviderLost("v", "gone"))
        self.failureResultOf(starting, ProviderLost)
        self.assertEqual(cancelled, ["a"])

    def test_stop_goes_on(self) -> None:
        """A node that cannot be stopped is logged; those behind it are stopped all the same (S-VM-04)."""
        parts = {
            "a": Part(Deferred(), stopping=lambda: fail(RuntimeError("stuck"))),
            "b": Part(Deferred()),
        }
        self.successResultOf(Deferred.fromCoroutine(Graph(parts, ["a", "b"]).stop(True)))
        self.assertEqual(parts["b"].stops, [True])
        self.assertEqual(len(self.flushLoggedErrors(RuntimeError)), 1)


class TemplateTests(SynchronousTestCase):
    """The graphs of a plain call."""

    def types(self, definition: Definition) -> list[str]:
        """Types in flow order."""
        by_id = {node.id: node.type for node in definition.nodes}
        return [by_id[one] for one in flow_order(definition)]

    def test_both_halves(self) -> None:
        """A call that listens and speaks is two chains, and every kind in it exists."""
        definition = plain_call(listening={}, speaking={}, gate={}, turns={}, noise={})
        self.assertEqual(problems(definition, KINDS), [])
        self.assertEqual(definition.entries, ("audio_input", "text_input"))
        self.assertEqual(definition.exits, ("text_output", "audio_output"))
        self.assertEqual(definition.successors("audio_input"), ["noise"])
        self.assertEqual(definition.successors("noise"), ["listen"])
        self.assertEqual(definition.successors("speak"), ["audio_output"])

    def test_one_half(self) -> None:
        """Either half stands alone (D-30)."""
        ears = plain_call(listening={}, gate={}, turns={})
        self.assertEqual(problems(ears, KINDS), [])
        self.assertNotIn("tts_provider", self.types(ears))
        mouth = plain_call(speaking={})
        self.assertEqual(self.types(mouth), ["text_input", "tts_provider", "audio_output"])

    def test_without_filter(self) -> None:
        """No filter wanted means that none is in the way of the audio (WS-10)."""
        definition = plain_call(listening={}, gate={}, turns={})
        self.assertEqual(definition.successors("audio_input"), ["listen"])

    def test_audio_for_the_turn_model(self) -> None:
        """The turn model hears what the recogniser hears: filtered audio where there is a filter."""
        plain = plain_call(listening={}, gate={}, turns={}, hears_audio=True)
        self.assertEqual(plain.successors("audio_input"), ["listen", "turns"])
        filtered = plain_call(listening={}, gate={}, turns={}, noise={}, hears_audio=True)
        self.assertEqual(filtered.successors("noise"), ["listen", "turns"])

    def test_listening_needs_its_parts(self) -> None:
        """Forgetting the gate or the turns is a mistake in the program."""
        self.assertRaises(ValueError, plain_call, listening={})
