"""Schedules from plans: pure tables. That a run keeps to them is shown in test_hints.py."""

from collections.abc import Callable

import pytest
from counting import growth_of

from gitbatch.batch.planning.schedule import count_at_once, find_critical_path, plan_steps, settings_of
from gitbatch.plan.model import Plan, PlanOptions
from gitbatch.plan.parse import parse_plan

HEAD = "## Work Packages\n\n"


def plan_of(text: str) -> Plan:
    plan = parse_plan((HEAD + text).encode(), "task.md", PlanOptions())
    assert plan.errors == ()
    return plan


def items(*lines: str) -> str:
    return "".join(f"- [ ] {line}\n" for line in lines)


A, B, C, D = (f"{name} Write {name}" for name in ("A1", "B1", "C1", "D1"))


@pytest.mark.parametrize(
    ("text", "jobs", "expected"),
    [
        (f"### G\n\n{items(A, B, C, D)}", 9, "A1 B1 C1 D1"),
        (f"### G\n\n{items(A, B, C, D)}", 3, "A1 B1 C1 → D1"),
        (f"### G\n\n<!-- sequential -->\n\n{items(A, B, C)}", 9, "A1 → B1 → C1"),
        (f"### G\n\n<!-- max: 2 -->\n\n{items(A, B, C)}", 9, "A1 B1 → C1"),
        (f"### G\n\n<!-- max: 5 -->\n\n{items(A, B, C)}", 2, "A1 B1 → C1"),
        (f"<!-- sequential -->\n\n### G\n\n{items(A, B)}", 9, "A1 → B1"),
        (f"<!-- sequential -->\n\n### G\n\n<!-- parallel -->\n\n{items(A, B)}", 9, "A1 B1"),
        (f"### G\n\n{items(A + ' <!-- after: C1 -->', B, C)}", 9, "B1 C1 → A1"),
        (f"### G\n\n{items(A, B + ' → After: A1', C + ' → After: B1', D)}", 9, "A1 D1 → B1 → C1"),
        (f"### G\n\n{items(A, B + ' <!-- sequential -->', C)}", 9, "A1 → B1 → C1"),
        (f"### G\n\n- [x] A1 done\n{items(B, C + ' → After: A1')}", 9, "B1 C1"),
        (f"### G\n\n{items(A)}- [x] B1 done → After: A1\n{items(C + ' → After: B1', D)}", 9, "A1 D1 → C1"),
    ],
)
@pytest.mark.rule("F5")
def test_steps(text: str, jobs: int, expected: str) -> None:
    plan = plan_of(text)
    found = plan_steps(plan.groups[0], plan, jobs)
    assert " → ".join(" ".join(item.name for item in step) for step in found) == expected


def test_the_critical_path_goes_through_the_groups() -> None:
    plan = plan_of(f"### G\n\n{items(A, B + ' → After: A1')}\n### H\n\n{items(C, D)}")
    chains = {
        jobs: find_critical_path(plan, [plan_steps(g, plan, jobs) for g in plan.groups]) for jobs in (9, 1)
    }
    assert [item.name for item in chains[9]] == ["A1", "B1", "C1"]
    assert [item.name for item in chains[1]] == ["A1", "B1", "C1", "D1"]


@pytest.mark.parametrize("hint", ["", "<!-- sequential -->\n\n", "<!-- max: 3 -->\n\n"])
def test_a_step_costs_the_same_for_each_item(hint: str) -> None:
    def prepare(count: int) -> Callable[[], object]:
        plan = plan_of(f"### G\n\n{hint}{items(*(f'T{n} Write T{n}' for n in range(count)))}")
        return lambda: find_critical_path(plan, [plan_steps(plan.groups[0], plan, 4)])

    assert growth_of(prepare, 100) < 2.2


def test_the_nearest_hint_holds() -> None:
    plan = plan_of(
        f"<!-- agent: one -->\n<!-- timeout: 5m -->\n<!-- retries: 1 -->\n\n### G\n\n<!-- agent: two -->\n\n"
        f"{items(A + ' <!-- agent: three --> <!-- retries: 0 -->', B)}\n### H\n\n{items(C)}"
    )
    found = [settings_of(item, plan.groups[item.group - 1], plan) for item in plan.items]
    assert [said.agent for said in found] == ["three", "two", "one"]
    assert [said.retries for said in found] == [0, 1, 1]
    assert {said.timeout for said in found} == {300}


def test_width_is_never_more_than_jobs() -> None:
    plan = plan_of(f"### G\n\n<!-- max: 100 -->\n\n{items(A)}")
    assert count_at_once(plan.groups[0], plan, 4) == 4
