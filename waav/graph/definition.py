"""What a graph consists of, and whether it can be built."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from waav.errors import BadRequest


@dataclass(frozen=True, slots=True)
class NodeDefinition:
    """One node: ``type`` is the name of a kind, ``config`` is read by that kind alone."""

    id: str
    type: str
    config: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class EdgeDefinition:
    """What ``source`` emits, ``target`` receives."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Definition:
    """A graph: values come in at the entries and leave at the exits."""

    name: str
    nodes: tuple[NodeDefinition, ...]
    edges: tuple[EdgeDefinition, ...]
    entries: tuple[str, ...]
    exits: tuple[str, ...]

    def successors(self, node: str) -> list[str]:
        """Ids of the nodes that receive what ``node`` emits, in the order of the edges."""
        return [edge.target for edge in self.edges if edge.source == node]


def check(definition: Definition, types: Collection[str]) -> None:
    """Make sure that ``definition`` can be built from the kinds named in ``types``.

    Raises:
        BadRequest: it cannot; the text names every problem found, each with its node or edge.
    """
    found = problems(definition, types)
    if found:
        raise BadRequest(f"Invalid graph {definition.name}: " + "; ".join(found))


def problems(definition: Definition, types: Collection[str]) -> list[str]:
    """Everything that is wrong with it, in words; empty when it can be built."""
    found = [*_bad_nodes(definition, types), *_bad_references(definition)]
    if not found:
        cycle = _cycle(definition)
        if cycle:
            found.append("cycle " + " -> ".join(cycle))
    return found


def flow_order(definition: Definition) -> list[str]:
    """Ids with every node before those that receive from it; ties in the order of definition."""
    waiting = {node.id: 0 for node in definition.nodes}
    for edge in definition.edges:
        waiting[edge.target] += 1
    order: list[str] = []
    while len(order) < len(definition.nodes):
        ready = next((one for one, missing in waiting.items() if missing == 0), None)
        if ready is None:
            raise ValueError(f"graph {definition.name} has a cycle")
        order.append(ready)
        del waiting[ready]
        for target in definition.successors(ready):
            waiting[target] -= 1
    return order


def _bad_nodes(definition: Definition, types: Collection[str]) -> list[str]:
    found = []
    seen: set[str] = set()
    if not definition.nodes:
        found.append("it has no nodes")
    for node in definition.nodes:
        if not node.id:
            found.append(f"a {node.type} node has no id")
        elif node.id in seen:
            found.append(f"node {node.id} is defined twice")
        seen.add(node.id)
        if node.type not in types:
            found.append(f"node {node.id} has the unknown type {node.type}")
    return found


def _bad_references(definition: Definition) -> list[str]:
    known = {node.id for node in definition.nodes}
    found = []
    for what, ids in (("entry", definition.entries), ("exit", definition.exits)):
        if not ids:
            found.append(f"it has no {what}")
        found.extend(f"{what} {one} does not exist" for one in ids if one not in known)
    for edge in definition.edges:
        for end in (edge.source, edge.target):
            if end not in known:
                found.append(f"edge {edge.source} -> {edge.target} names the unknown node {end}")
    return found


def _cycle(definition: Definition) -> list[str] | None:
    """The first cycle found, as the path that closes it."""
    finished: set[str] = set()
    for node in definition.nodes:
        found = _closed_path(definition, node.id, [], finished)
        if found:
            return found
    return None


def _closed_path(
    definition: Definition, node: str, path: list[str], finished: set[str]
) -> list[str] | None:
    """The first cycle on the ways from ``node``, which was reached by ``path``; ``finished`` lead to none."""
    if node in path:
        return [*path[path.index(node) :], node]
    if node in finished:
        return None
    for target in definition.successors(node):
        found = _closed_path(definition, target, [*path, node], finished)
        if found:
            return found
    finished.add(node)
    return None
