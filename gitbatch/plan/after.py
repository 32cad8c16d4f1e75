"""`after:` which items wait for which, resolved from ids and output paths to references.

An item may wait for items of its own group or of an earlier one, a group for items of earlier groups.
"""

from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property

from msgspec import Struct

from gitbatch.paths import path_key
from gitbatch.plan import help_texts
from gitbatch.plan.clauses import Value
from gitbatch.plan.findings import Findings, quoted
from gitbatch.plan.model import ItemReference


class Node(Struct, frozen=True, gc=False):
    """An item as others name it, and the names of those it waits for."""

    group: int
    id: str | None
    output: str
    after: tuple[Value, ...]
    reference: ItemReference


class WaitingItems(Struct, frozen=True):
    """The items that each item and each group waits for, in the order in which they were given."""

    items: tuple[tuple[ItemReference, ...], ...]
    groups: tuple[tuple[ItemReference, ...], ...]


def resolve(nodes: Sequence[Node], groups: Sequence[tuple[Value, ...]], findings: Findings) -> WaitingItems:
    """Who waits for whom; `groups` has the names that each group waits for. Reports unclear names, and cycles."""
    index = _Index(nodes, findings)
    edges = [_unique(index.find(value, node.group) for value in node.after) for node in nodes]
    for cycle in _cycles(edges):
        _report_cycle([nodes[index] for index in cycle], findings)
    earlier = [_unique(index.find(value, number) for value in after) for number, after in enumerate(groups)]
    return WaitingItems(
        tuple(tuple(nodes[i].reference for i in edge) for edge in edges),
        tuple(tuple(nodes[i].reference for i in edge) for edge in earlier),
    )


def _report_cycle(cycle: Sequence[Node], findings: Findings) -> None:
    names = [quoted(node.id or node.output) for node in cycle[:8]]
    message = f"items wait for each other: {' → '.join((*names, names[0]))}"
    if len(cycle) == 1:
        message = f"the item {names[0]} waits for itself"
    findings.error("GB231", cycle[0].after[0].span, message, help_texts.BREAK_CYCLE)


def _unique(found: Iterable[int | None]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(index for index in found if index is not None))


class _Index:
    """Items by every name they have."""

    def __init__(self, nodes: Sequence[Node], findings: Findings) -> None:
        self._nodes = nodes
        self._findings = findings

    @cached_property
    def _named(self) -> dict[str, list[int]]:
        """The items by name. Made when the first name is looked for: most plans have none."""
        named: dict[str, list[int]] = {}
        for index, node in enumerate(self._nodes):
            for name in {node.id or "", path_key(node.output), path_key(node.reference)}:
                named.setdefault(name, []).append(index)
        return named

    def find(self, value: Value, last_group: int) -> int | None:
        """The item with a name, in a group up to `last_group`."""
        found = self._named.get(value.text) or self._named.get(path_key(value.text)) or []
        early = [index for index in found if self._nodes[index].group <= last_group]
        if len(early) == 1:
            return early[0]
        name = quoted(value.text)
        if early:
            message = f"{len(early)} items are called {name}"
            advice = help_texts.NAME_ONE_OF.fill(
                names=" | ".join(self._nodes[index].reference for index in early)
            )
        elif found:
            message, advice = f"{name} comes later", help_texts.WAIT_FOR_EARLIER
        else:
            message, advice = f"unknown item {name}", help_texts.NAME_ITEM
        self._findings.error("GB230", value.span, message, advice)
        return None


def _cycles(edges: Sequence[tuple[int, ...]]) -> Iterator[tuple[int, ...]]:
    """Circles among the edges, none sharing an item with another; no recursion, as chains may be long."""
    following = _first_stuck(edges)
    seen: dict[int, int] = {}
    for start in sorted(following):
        path: list[int] = []
        node = start
        while node not in seen:
            seen[node] = start
            path.append(node)
            node = following[node]
        if seen[node] == start:
            circle = path[path.index(node) :]
            first = circle.index(min(circle))
            yield (*circle[first:], *circle[:first])


def _first_stuck(edges: Sequence[tuple[int, ...]]) -> dict[int, int]:
    """For each item that can never start, one that it waits for and that can never start either."""
    waiting = [len(edge) for edge in edges]
    waited_by: list[list[int]] = [[] for _ in edges]
    for index, edge in enumerate(edges):
        for other in edge:
            waited_by[other].append(index)
    free = [index for index, count in enumerate(waiting) if count == 0]
    while free:
        for index in waited_by[free.pop()]:
            waiting[index] -= 1
            if waiting[index] == 0:
                free.append(index)
    stuck = {index for index, count in enumerate(waiting) if count}
    return {index: next(other for other in edges[index] if other in stuck) for index in stuck}
