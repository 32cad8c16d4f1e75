"""`after:` resolved to references: who waits for whom."""

import random

import pytest
from plan.plan_samples import codes, in_group, parse

from gitbatch.plan.model import PlanOptions

TWO_GROUPS = """\
## Arbeitspakete
### One
- [ ] T1 a → Output: o/1.md
- [ ] T2 b → After: T1
### Two
<!-- after: T1, one/T2.md -->
- [ ] T3 c → After: T2, o/1.md <!-- after: T4 -->
- [ ] T4 d
"""


def test_names_become_references() -> None:
    plan = parse(TWO_GROUPS)
    assert plan.diagnostics == ()
    assert [only.hints.after for only in plan.items] == [
        (),
        ("1:o/1.md",),
        ("1:one/T2.md", "1:o/1.md", "2:two/T4.md"),
        (),
    ]
    assert [group.hints.after for group in plan.groups] == [(), ("1:o/1.md", "1:one/T2.md")]


def test_a_name_that_is_said_twice_is_waited_for_once() -> None:
    plan = in_group("- [ ] T1 a\n- [ ] b → After: T1, g/T1.md <!-- after: T1 -->")
    assert plan.items[1].hints.after == ("1:g/T1.md",)


def test_a_group_can_not_wait_for_itself() -> None:
    plan = parse(TWO_GROUPS.replace("after: T1, one/T2.md", "after: T3"))
    assert [d.message for d in plan.diagnostics] == ["“T3” comes later"]


def test_a_doubled_id_means_the_earlier_item() -> None:
    plan = parse("## Arbeitspakete\n### A\n- [ ] 1.1 a\n- [ ] b → After: 1.1\n### B\n- [ ] 1.1 c\n")
    assert [d.code for d in plan.diagnostics] == ["GB215"]
    assert plan.items[1].hints.after == ("1:a/1.1.md",)


@pytest.mark.parametrize(
    ("waits", "circles"),
    [
        (["1"], ["the item “T1” waits for itself"]),
        (["2", "1"], ["items wait for each other: “T1” → “T2” → “T1”"]),
        (["2", "3", "4", "2"], ["items wait for each other: “T2” → “T3” → “T4” → “T2”"]),
        (["", "1", "1", "2,3"], []),
        (["2", "1", "4", "3", "1,3"], ["items wait for each other: “T1” → “T2” → “T1”", "items wait for each other: “T3” → “T4” → “T3”"]),
    ],
)  # fmt: skip
def test_circles(waits: list[str], circles: list[str]) -> None:
    names = [", ".join(f"T{n}" for n in wait.split(",") if n) for wait in waits]
    lines = [f"- [ ] T{i} x{f' → After: {name}' if name else ''}" for i, name in enumerate(names, 1)]
    plan = in_group("\n".join(lines))
    assert [d.message for d in plan.diagnostics] == circles
    assert set(codes(plan)) <= {"GB231"}


def test_long_chains_and_big_circles_are_no_problem() -> None:
    count = 5_000
    chain = "\n".join(f"- [ ] T{i} x → After: T{i - 1}" for i in range(1, count))
    assert codes(in_group(f"- [ ] T0 x\n{chain}")) == []
    circle = in_group(f"- [ ] T0 x → After: T{count - 1}\n{chain}")
    assert codes(circle) == ["GB231"]


def test_a_circle_is_found_whatever_the_order() -> None:
    order = random.Random(7)  # noqa: S311 - a test that is the same each time
    for _ in range(50):
        edges = [(order.randrange(8), order.randrange(8)) for _ in range(6)]
        lines = [
            f"- [ ] T{i} x" + "".join(f" <!-- after: T{b} -->" for a, b in edges if a == i) for i in range(8)
        ]
        plan = in_group("\n".join(lines), PlanOptions())
        assert bool(plan.errors) == _has_circle(edges)


def _has_circle(edges: list[tuple[int, int]]) -> bool:
    reach = set(edges)
    for _ in range(8):
        reach |= {(a, d) for a, b in reach for c, d in reach if b == c}
    return any(a == b for a, b in reach)


SAME = """\
## Arbeitspakete
### One
- [ ] T1 a → Output: o/a.md
### Two
- [ ] T2 a again → Output: o/a.md
- [ ] T3 b → After: {name}
"""


@pytest.mark.parametrize(
    ("name", "found"), [("1:o/a.md", "1:o/a.md"), ("2:O/A.md", "2:o/a.md"), ("T2", "2:o/a.md")]
)
def test_a_file_of_two_groups_is_named_with_its_group(name: str, found: str) -> None:
    plan = parse(SAME.format(name=name))
    assert plan.diagnostics == ()
    assert plan.items[2].hints.after == (found,)


def test_the_path_alone_names_two() -> None:
    (problem,) = parse(SAME.format(name="o/a.md")).diagnostics
    assert (problem.code, problem.message) == ("GB230", "2 items are called “o/a.md”")
    assert "1:o/a.md | 2:o/a.md" in problem.help
