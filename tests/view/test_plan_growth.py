"""What `gitbatch plan` computes grows with the items, not with their pairs; and long lists are counted by groups."""

from collections.abc import Callable

import pytest
from counting import growth_of
from project.test_manifest import build, many_items

from gitbatch.batch.planning.project_state import ProjectView
from gitbatch.view.block import StyledLine, plain_text
from gitbatch.view.overview import PlanState, plan_state
from gitbatch.view.plan_text import render_plan


def make_state(groups: int, items: int, *, is_written: bool = True) -> PlanState:
    return prepare_state(groups, items, is_written=is_written)()


def prepare_state(groups: int, items: int, *, is_written: bool = True) -> Callable[[], PlanState]:
    text, outputs = many_items(groups, items)
    builder, plan = build(text, outputs if is_written else ())
    view = ProjectView("", builder.snapshot, builder.project, plan, text.encode())
    return lambda: plan_state(view)


@pytest.mark.parametrize("groups", [1, 5])
@pytest.mark.parametrize("is_written", [True, False])
def test_a_plan_costs_the_same_for_each_item(groups: int, *, is_written: bool) -> None:
    def prepare(items: int) -> Callable[[], object]:
        make = prepare_state(groups, items, is_written=is_written)
        return lambda: render_plan(make())

    assert growth_of(prepare, 60 // groups) < 2.2


def test_many_outputs_are_counted_by_groups() -> None:
    shown = make_state(8, 20)
    assert [(file.path, file.reason) for file in shown.groups[2].items[0].context][2:4] == [
        ("out/g1/i1.md", "earlier group"),
        ("out/g1/i2.md", "earlier group"),
    ]
    last = shown.groups[-1].items[-1]
    assert [file.path for file in last.context] == ["rules.md", "status.md"]
    assert [(each.group, each.outputs) for each in last.reads_from] == [
        (number, 20) for number in range(1, 8)
    ]
    lines = [plain_text(part.parts) for part in render_plan(shown) if isinstance(part, StyledLine)]
    assert lines.count("reads 140 outputs of 7 groups, 1 to 7") == 20
    assert lines.count("reads 20 outputs of group 1 “G1”") == 20 * 3  # 60, 80 and 100 outputs
    waiting = [
        plain_text(p.parts)
        for p in render_plan(make_state(8, 20, is_written=False))
        if isinstance(p, StyledLine)
    ]
    assert waiting.count("reads 140 outputs of 7 groups, 1 to 7 (not there yet)") == 20
