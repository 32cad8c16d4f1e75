"""Which items of a plan a run never starts early, besides those that the plan itself holds back."""

import pytest

from gitbatch.batch.group.early_turn import find_doubled
from gitbatch.batch.planning.early.model import EarlyGroup, EarlyItem, EarlyPlan
from gitbatch.plan.model import ItemReference

A, B, C, D, E, F = (ItemReference(f"{number}:{name}") for number, name in enumerate("ABCDEF", 1))
OUTPUTS = {A: "a.md", B: "a.md", C: "c.md", D: "d.md", E: "e.md", F: "f.md"}


def plan_of(**reads: tuple[ItemReference, ...]) -> EarlyPlan:
    items = tuple(EarlyItem(each, n, reads.get(each[2:], ())) for n, each in enumerate(OUTPUTS, 1))
    return EarlyPlan(items, tuple(EarlyGroup(item.group, 9) for item in items))


@pytest.mark.rule("F2")
def test_a_base_has_no_file_in_two_versions() -> None:
    """B writes the file of A again. Who reads both has two versions; also by way of others, in any order of the plan.

    Whose base has A alone would be stale in its turn, after that of B.
    """
    assert find_doubled(plan_of(B=(A,), D=(B,)), OUTPUTS) == {D}
    assert find_doubled(plan_of(C=(A,), D=(B,), E=(C, D), F=(E,)), OUTPUTS) == {C, E, F}
    assert find_doubled(plan_of(D=(B,), E=(D,)), OUTPUTS) == frozenset()
    assert find_doubled(plan_of(C=(D,), D=(A, B)), OUTPUTS) == {C, D}
    assert find_doubled(plan_of(C=(A,), D=(C,)), {**OUTPUTS, B: "b.md"}) == frozenset()
