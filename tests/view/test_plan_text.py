"""The plan, as text."""

import pytest
from msgspec.structs import replace

from gitbatch.batch.model import CriterionState
from gitbatch.view.block import StyledLine, TextTable, plain_text
from gitbatch.view.overview import (
    AbsentFile,
    AwaitedOutputs,
    PlannedFile,
    PlannedGroup,
    PlannedItem,
    PlannedLimits,
    PlanState,
)
from gitbatch.view.plan_text import render_brief_plan, render_plan, shorten_names

NO_LIMITS = PlannedLimits()


def make_item(number: int, *, done: bool = False, context: tuple[PlannedFile, ...] = ()) -> PlannedItem:
    name = f"T{number:03}"
    awaited = (AwaitedOutputs(1, "First", 2),)
    return PlannedItem(
        f"out/{name}.md", name, f"{name} Write", done, 1, (), "writer", context, (), 2, awaited, 90.0, 3
    )


def make_plan(*groups: tuple[PlannedItem, ...], limits: PlannedLimits = NO_LIMITS) -> PlanState:
    return PlanState(
        plan="task.md",
        commit="1" * 40,
        phase="",
        rules=None,
        status="status.md",
        decisions="decisions-log.md",
        context_documents=(),
        artifacts=(),
        agents=("writer",),
        groups=tuple(PlannedGroup(n, f"Group {n}", items, (), 4) for n, items in enumerate(groups, 1)),
        criteria=(),
        jobs=4,
        critical_path=("T001", "T021"),
        limits=limits,
    )


def text_of(*parts: StyledLine | TextTable) -> str:
    rows = (
        plain_text(part.parts)
        if isinstance(part, StyledLine)
        else "\n".join("  ".join(plain_text(cell) for cell in row) for row in part.rows)
        for part in parts
    )
    return "\n".join(rows)


def test_200_items_fit_on_a_screen() -> None:
    groups = [
        tuple(make_item(20 * group + n, done=not group and n < 5) for n in range(1, 21))
        for group in range(10)
    ]
    lines = text_of(*render_brief_plan(make_plan(*groups))).splitlines()
    assert len(lines) < 24
    assert all(len(line) <= 80 for line in lines)
    assert lines[0] == "task.md: 200 items in 10 groups, 196 open"
    assert lines[1] == "1  Group 1  16 of 20 open  writer  T005..T020"
    assert lines[-1].startswith("4 at a time; the longest chain has 2 steps")


def test_a_group_that_is_done() -> None:
    assert "1  Group 1  done" in text_of(*render_brief_plan(make_plan((make_item(1, done=True),))))


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        ("T1 T2", "T1 T2"),
        ("T1 T2 T3 T5", "T1..T3 T5"),
        ("T9 T10 T11", "T9 T10 T11"),
        ("a.md b.md A1 A2 A3", "a.md b.md A1..A3"),
        ("", ""),
    ],
)
def test_ranges_of_names(names: str, shown: str) -> None:
    assert " ".join(shorten_names(names.split())) == shown


def test_each_file_with_its_origin_and_each_limit() -> None:
    context = (
        PlannedFile("rules.md", "rules", None),
        PlannedFile("short/status.md", "status", "status.md", "", "short/{name}.md"),
        PlannedFile("out/a.short.md", "earlier group", "out/a.md", "T001 of group 1", "{name}.short.md"),
        PlannedFile("out/b.md", "declared", None, form_not_taken="b.md"),
    )
    limits = PlannedLimits(5.0, 9000, 3 * 1024 * 1024)
    said = text_of(*render_plan(make_plan((make_item(1, context=context),), limits=limits)))
    assert "limits  4 at a time, $5.00 for a batch, 9,000 tokens for a batch, 3.0 MiB for an output" in said
    assert (
        "reads out/a.short.md (earlier group: T001 of group 1, condensed form of out/a.md by the pattern “{name}.short.md”)"
        in said
    )
    assert "reads out/b.md (declared, raw: b.md could be the condensed form of several of its files)" in said
    base = (
        "short/status.md (every item reads it, condensed form of status.md by the pattern “short/{name}.md”)"
    )
    assert f"status  {base}" in said
    assert "reads 2 outputs of group 1 “First” (not there yet)" in said
    assert "agent writer, 3 attempts of at most 1 min 30 s" in said
    assert "reads rules.md" not in said


def test_shared_files_that_do_not_exist_yet() -> None:
    shown = replace(
        make_plan((make_item(1),)), artifacts=("a.md", "b-inventory.md"), absent=("status.md", "a.md")
    )
    said = text_of(*render_plan(shown))
    assert "status  status.md (not there yet: a checkpoint creates it)" in said
    assert "decisions  decisions-log.md\n" in said
    assert "shared artifacts  a.md (not there yet: a checkpoint creates it), b-inventory.md\n" in said


def test_order_limit_and_criteria() -> None:
    plan = make_plan((make_item(1, done=True), make_item(2), make_item(3)))
    group = replace(plan.groups[0], steps=(("T002",), ("T003",)), at_once=1)
    criterion = CriterionState(1, "All is written", done=False, items=(), open_items=0)
    said = text_of(*render_plan(replace(plan, groups=(group,), criteria=(criterion,), critical_path=())))
    assert "group 1  Group 1  at most 1 at a time" in said
    assert "  order: T002 → T003" in said
    assert "Definition of Done\nDoD #1  [ ]  cross-cutting  All is written" in said
    assert "critical path" not in said
    assert "[x] T001 Write\n→ out/T001.md\n[ ] T002" in said, "what is done has no more lines"


def test_declared_files_that_are_not_there_yet() -> None:
    absent = (AbsentFile("a.md", "T001 of group 1"), AbsentFile("b.md"))
    said = text_of(*render_plan(make_plan((replace(make_item(2), absent=absent),))))
    assert "reads a.md (not there yet: T001 of group 1 writes it)" in said
    assert "reads b.md (not there yet)" in said
