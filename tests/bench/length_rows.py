"""What batches of several lengths have to reach, and their table. The numbers for the longest are extrapolated."""

import argparse
from collections.abc import Iterator

from bench.lengths import NUMBERS, WALLS, Length, extrapolate, measure_length
from bench.repositories import Repository
from bench.rows import Row, render_table

_FAR = 100_000
"""The items for which numbers are extrapolated: a batch of so many takes too long to be run."""
_SECONDS = {"lint": 3, "plan": 3, "status": 3, "verify": 15}
_BOUNDED = {
    "event": "bytes of the log of events for an item",
    "message": "longest message of a checkpoint",
    "status_file": "status.md",
    "prompt": "longest prompt",
}


def measure_lengths(repo: Repository, wanted: argparse.Namespace) -> list[Length]:
    """What batches of each length cost, in each number of groups; the last ones are extrapolated."""
    found: list[Length] = []
    for groups in wanted.length_groups:
        own = [
            measure_length(repo, items, groups, wanted.sandbox[0], wanted.jobs, wanted.length_checkout)
            for items in sorted(wanted.lengths)
        ]
        numbers = {
            name: extrapolate([(each.items, getattr(each, name)) for each in own], _FAR)
            for name in (*NUMBERS, *WALLS)
        }
        found += [*own, Length(items=_FAR, groups=groups, **numbers)]
    return found


def list_length_rows(found: list[Length]) -> list[Row]:
    """Returns the rows of the longest batches that were run, and those that are extrapolated."""
    rows: list[Row] = []
    for groups in dict.fromkeys(each.groups for each in found):
        *measured, far = (each for each in found if each.groups == groups)
        rows += _list_rows(measured[0], measured[-1])
        rows += _list_far_rows(far, len(measured)) if len(measured) > 1 else ()
    return rows


def _list_rows(shortest: Length, longest: Length) -> Iterator[Row]:
    where = f"{longest.items:,} items in {longest.groups}"
    for name, aim in _SECONDS.items():
        cpu, wall = (getattr(longest, each) for each in (name, f"{name}_wall"))
        yield Row(f"{where}: {name}", f"processor time {cpu:.2f} s", wall, aim, unit=" s")
    cpu = f"processor time {longest.run:.1f} ms with agents and git, {longest.run_alone:.1f} of the orchestrator alone"
    yield Row(f"{where}: the run, for an item", cpu, longest.run_wall, 12, unit=" ms")
    yield Row(f"{where}: the last items / those from the hundredth", "", longest.late, 1.5)
    yield Row(f"{where}: memory of the orchestrator", "", longest.run_memory, 120, unit=" MB")
    yield Row(f"{where}: memory of verify", "", longest.verify_memory, unit=" MB")
    for name, words in _BOUNDED.items():
        few, many = getattr(shortest, name), getattr(longest, name)
        sizes = f"{few:,.0f} -> {many:,.0f} bytes"
        yield Row(f"{where} / {shortest.items:,}: {words}", sizes, many / few, 1.5)


def _list_far_rows(far: Length, count: int) -> Iterator[Row]:
    where = f"{far.items:,} items in {far.groups}, extrapolated from {count} lengths"
    for name in _SECONDS:
        yield Row(f"{where}: {name}", "", getattr(far, f"{name}_wall"), unit=" s")
    yield Row(f"{where}: the run, for an item", "", far.run_wall, unit=" ms")
    yield Row(f"{where}: memory of the orchestrator", "", far.run_memory, unit=" MB")


def render_lengths(found: list[Length], sandbox: str) -> str:
    """Returns the table of all lengths."""
    rows = [["items, groups", *(name.replace("_", " ") for name in NUMBERS)]]
    for each in found:
        said = " (extrapolated)" if each.items == _FAR else ""
        numbers = (getattr(each, name) for name in NUMBERS)
        rows.append([f"{each.items:,} in {each.groups}{said}", *(f"{number:,.3g}" for number in numbers)])
    head = (
        f"sandbox {sandbox}, no context declared; lint, plan, status, verify: seconds of processor time; run: ms of it for an item; "
        "late: the last items / those from the hundredth; memory: MB; the rest: bytes"
    )
    return f"{head}\n\n{render_table(rows)}"
