"""Who read what: a picture of the items and the outputs between them, and a table of all files that were read."""

from collections import Counter
from collections.abc import Iterator, Mapping

from msgspec import Struct

from gitbatch.batch.report.model import BatchReport, ReportItem
from gitbatch.text import format_count
from gitbatch.view.report.markup import Markup, make_element
from gitbatch.view.report.words import (
    DASH,
    make_cell,
    make_path,
    make_row,
    make_section,
    make_table,
    shorten_name,
)

_COLUMN, _ROW = 220.0, 30.0
_NODE_WIDTH, _NODE_HEIGHT = 150.0, 22.0
_MOST_NODES, _MOST_EDGES = 60, 300
"""Beyond these the picture has groups instead of items."""
_MOST_READERS = 12
_MOST_FILES = 400
_LONGEST_NAME = 20


_Edge = tuple[str, str]
"""The keys of a writer and of a reader."""


class _GraphNode(Struct, frozen=True):
    """A box of the picture: an item, or a group."""

    key: str
    name: str
    column: int


class _Reading(Struct, frozen=True):
    """A file in the context of items."""

    path: str
    blobs: int
    """The number of its versions that were read."""
    writer: str
    readers: tuple[str, ...]


def render_context(report: BatchReport) -> Markup:
    """Returns the section of the contexts."""
    readings = _list_readings(report)
    if not readings:
        return make_section("Context", make_element("p", "No item has read a file.", class_="muted"))
    rows = (
        make_row(
            make_path(reading.path),
            make_cell(reading.writer or DASH),
            make_cell(f"{reading.blobs:,}", kind="number"),
            make_cell(f"{len(reading.readers):,}", kind="number"),
            make_cell(_list_readers(reading.readers)),
        )
        for reading in readings[:_MOST_FILES]
    )
    more = len(readings) - _MOST_FILES
    head = ("File", "Written by", "Versions", "Items", "Read by")
    return make_section(
        "Context",
        _draw_graph(report),
        make_table("Files that items were given to read, the most read first", head, rows),
        make_element("p", f"… and {format_count(more, 'file')} more", class_="muted") if more > 0 else "",
    )


def _list_readers(names: tuple[str, ...]) -> str:
    more = len(names) - _MOST_READERS
    return ", ".join(names[:_MOST_READERS]) + (f" and {more:,} more" if more > 0 else "")


def _list_readings(report: BatchReport) -> list[_Reading]:
    readers: dict[str, list[str]] = {}
    blobs: dict[str, set[str]] = {}
    for item in report.items:
        for path, blob in item.context:
            readers.setdefault(path, []).append(item.item.name)
            blobs.setdefault(path, set()).add(blob)
    writers = {item.item.output: item.item.name for item in report.items}
    found = (_Reading(p, len(blobs[p]), writers.get(p, ""), tuple(names)) for p, names in readers.items())
    return sorted(found, key=lambda reading: (-len(reading.readers), reading.path))


def _draw_graph(report: BatchReport) -> Markup:
    """Draws the items that read each other's outputs; of a large batch, its groups."""
    edges = _find_edges(report.items)
    used = {key for edge in edges for key in edge}
    if not used:
        return Markup()
    items = [item.item for item in report.items if item.item.key in used]
    columns = {group.number: at for at, group in enumerate(report.groups)}
    nodes = [_GraphNode(item.key, item.name, columns[item.group]) for item in items]
    what = "items"
    if len(nodes) > _MOST_NODES or len(edges) > _MOST_EDGES:
        groups = {str(item.key): str(item.group) for item in items}
        edges = _merge_edges(edges, groups)
        used = set(groups.values())
        shown = (group for group in report.groups if str(group.number) in used)
        nodes = [_GraphNode(str(g.number), f"{g.number}. {g.title}", columns[g.number]) for g in shown]
        what = "groups"
    said = f"The {what} whose outputs others read, with a line from each to its readers"
    return make_element(
        "figure",
        _draw_nodes(nodes, edges, said),
        make_element("figcaption", f"{said}; {format_count(edges.total(), 'read')}."),
        class_="paned",
        tabindex="0",
        role="group",
        aria_label="Context graph",
    )


def _find_edges(items: tuple[ReportItem, ...]) -> Counter[_Edge]:
    """Returns how often an item reads the output of another: of several that write it, of the last one before."""
    writers: dict[str, list[ReportItem]] = {}
    for each in items:
        writers.setdefault(each.item.output, []).append(each)
    edges: Counter[_Edge] = Counter()
    for reader in items:
        for path, _ in reader.context:
            found = (
                w for w in writers.get(path, ()) if w.item.group <= reader.item.group and w is not reader
            )
            if before := list(found):
                edges[before[-1].item.key, reader.item.key] += 1
    return edges


def _merge_edges(edges: Counter[_Edge], groups: Mapping[str, str]) -> Counter[_Edge]:
    """Returns the edges between groups; `groups`: the group of each item."""
    merged: Counter[_Edge] = Counter()
    for (writer, reader), count in edges.items():
        merged[groups[writer], groups[reader]] += count
    return merged


def _draw_nodes(nodes: list[_GraphNode], edges: Counter[_Edge], said: str) -> Markup:
    filled: Counter[int] = Counter()
    places: dict[str, tuple[float, float]] = {}
    for node in nodes:
        places[node.key] = (node.column * _COLUMN + 1, filled[node.column] * _ROW + 1)
        filled[node.column] += 1
    width, height = (max(filled) + 1) * _COLUMN, max(filled.values()) * _ROW + 2
    return make_element(
        "svg",
        make_element("title", said),
        *(_draw_edge(places[writer], places[reader], count) for (writer, reader), count in edges.items()),
        *(part for node in nodes for part in _draw_node(node, places[node.key])),
        role="img",
        aria_label=said,
        viewBox=f"0 0 {width:g} {height:g}",
        width=width,
        height=height,
    )


def _draw_edge(start: tuple[float, float], end: tuple[float, float], count: int) -> Markup:
    """Draws an edge from the right of a box to the left of another; in the same column, back to its right."""
    x1, y1 = start[0] + _NODE_WIDTH, start[1] + _NODE_HEIGHT / 2
    is_beside = start[0] == end[0]
    x2, y2 = end[0] + (_NODE_WIDTH if is_beside else 0.0), end[1] + _NODE_HEIGHT / 2
    bend = (_COLUMN - _NODE_WIDTH) * (0.8 if is_beside else 0.5)
    x3 = x2 + bend if is_beside else x2 - bend
    title = make_element("title", format_count(count, "read"))
    return make_element("path", title, d=f"M{x1:g} {y1:g}C{x1 + bend:g} {y1:g} {x3:g} {y2:g} {x2:g} {y2:g}")


def _draw_node(node: _GraphNode, place: tuple[float, float]) -> Iterator[Markup]:
    x, y = place
    title = make_element("title", node.name)
    yield make_element("rect", title, x=x, y=y, width=_NODE_WIDTH, height=_NODE_HEIGHT, rx=4.0, class_="node")
    yield make_element("text", shorten_name(node.name, _LONGEST_NAME), x=x + 8, y=y + 15)
