"""What `gitbatch plan` says about early start: values of plans and their files, and the lines for people."""

import pytest
from batch.planning.test_early_dependencies import FIRST
from plan.plan_samples import parse
from project.file_tree import FileTree

from gitbatch.batch.planning.project_state import ProjectView
from gitbatch.project.config import BatchTable, Config, ReviewTable
from gitbatch.project.control import find_project
from gitbatch.view.block import StyledLine, plain_text
from gitbatch.view.early_start import (
    EarlyEdges,
    EarlyStart,
    HeldItems,
    UndeclaredContext,
    find_early_start,
    render_early_start,
)
from gitbatch.view.overview import plan_state
from gitbatch.view.plan_text import render_plan

TEXT = (
    f"## Work Packages\n{FIRST}"
    "### Two\n- [ ] B1 c (context: out/a.md)\n- [ ] B2 d\n"
    "### Three\n- [ ] C1 e → After: C2 (context: out/b.md, out/a.md)\n- [ ] C2 f (context: x.md)\n"
    "- [ ] C3 g (context: x.md) <!-- wait -->\n"
)


def view_of(text: str, config: Config = Config()) -> ProjectView:  # noqa: B008 - it is frozen
    tree = FileTree({"task.md": text, "x.md": ""})
    return ProjectView("", tree, find_project(tree, config), parse(text), text.encode())


def test_what_a_plan_says_of_early_start() -> None:
    found = find_early_start(view_of(TEXT))
    assert found
    assert found.items == (
        EarlyEdges(2, "two/B1.md", ("A1",)),
        EarlyEdges(3, "three/C1.md", ("A1", "A2", "C2")),
        EarlyEdges(3, "three/C2.md", ()),
    )
    assert found.held == (HeldItems("no-context", 1), HeldItems("wait", 1))
    assert found.without > found.wall_time > 0
    assert 0 < found.saved < 1
    assert [(each.group, each.items) for each in found.missing_contexts] == [(2, ("B2",))]


def test_plans_in_which_nothing_can_start_early() -> None:
    assert find_early_start(view_of(f"## Work Packages\n{FIRST}")) is None
    assert find_early_start(view_of(f"{TEXT}\n## Definition of Done\n- [x] done\n")) is None
    undeclared = find_early_start(view_of(f"## Work Packages\n{FIRST}### Two\n- [ ] B1 c\n"))
    assert undeclared
    assert (undeclared.items, str(undeclared.saved)) == ((), "0.0")


def test_items_show_when_they_could_start() -> None:
    view = view_of(TEXT)
    shown = plan_state(view, find_early_start(view))
    lines = [plain_text(p.parts) for p in render_plan(shown) if isinstance(p, StyledLine)]
    assert [line for line in lines if line.startswith("can start")] == [
        *("can start early: after A1", "can start early: after A1 A2 C2", "can start at once"),
    ]
    until = "up to the next pause; in after-each with --eager on"
    assert (
        f"\nearly start (times are simulated; a run does this with --checkpoint at-end or after-batch:N, {until})"
        in lines
    )


@pytest.mark.parametrize(
    ("config", "said"),
    [
        (Config(batch=BatchTable(eager="off")), "batch.eager is off: a run does this with --eager on"),
        (Config(batch=BatchTable(max_cost=2.0)), "a cost limit is set: a run does this with --eager on"),
        (Config(batch=BatchTable(eager="on")), "a run does this"),
        (
            Config(batch=BatchTable(eager="while-paused"), review=ReviewTable(require_approval=True)),
            "a run does this with --checkpoint at-end or after-batch:N, up to the next pause",
        ),
        (
            Config(review=ReviewTable(require_approval=True)),
            "a run does this with --checkpoint at-end or after-batch:N, up to the next pause",
        ),
    ],
)
def test_when_a_run_does_this(config: Config, said: str) -> None:
    found = find_early_start(view_of(TEXT, config))
    assert found
    assert (
        plain_text(next(render_early_start(found, 4)).parts) == f"\nearly start (times are simulated; {said})"
    )


def test_the_lines_for_people() -> None:
    shown = EarlyStart(
        (EarlyEdges(2, "b.md", ("A1",)),),
        (HeldItems("no-context", 9), HeldItems("barrier", 1)),
        8.0,
        6.0,
        0.25,
        5,
        (
            UndeclaredContext(3, ("C1", "C2", "C3"), 0.2),
            *(UndeclaredContext(group, (f"T{group}",), 0.1) for group in (4, 5, 6)),
            UndeclaredContext(3, ("C2",), 0.04),
        ),
    )
    assert [plain_text(line.parts) for line in render_early_start(shown, 4)][1:] == [
        "1 of 11 items of later groups can start before their group; with 4 at a time: 25 % less time",
        "with their group: 9 without (context: …), 1 behind a barrier",
        "a missing (context: …) costs: the 3 items of group 3, up to 20 % of that time; C2 alone: 4 %",
        "a missing (context: …) costs: T4, up to 10 % of that time",
        "a missing (context: …) costs: T5, up to 10 % of that time",
    ]
