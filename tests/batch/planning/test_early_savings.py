"""What early start saves by simulation, and which missing context costs most. Pure, with the same times in each round."""

from batch.planning.early_batches import name_item

from gitbatch.batch.planning.early.missing_contexts import estimate_savings
from gitbatch.batch.planning.early.model import EarlyGroup, EarlyItem, EarlyLimits, EarlyPlan, Obstacle
from gitbatch.batch.planning.early.simulation import simulate_run


def make_waves(groups: int, items: int, undeclared: frozenset[tuple[int, int]] = frozenset()) -> EarlyPlan:
    """Groups in which each item reads what the item with its number of the group before wrote, if it declares that."""
    return EarlyPlan(
        tuple(
            EarlyItem(name_item(group, number), group, obstacle=Obstacle.NO_CONTEXT)
            if (group, number) in undeclared
            else EarlyItem(
                name_item(group, number), group, (name_item(group - 1, number),) if group > 1 else ()
            )
            for group in range(1, groups + 1)
            for number in range(items)
        ),
        tuple(EarlyGroup(group, 12) for group in range(1, groups + 1)),
    )


def test_an_early_item_runs_while_the_slowest_of_the_open_group_does() -> None:
    plan = make_waves(2, 2)
    times = dict(zip((item.reference for item in plan.items), (1.0, 4.0, 3.0, 1.0), strict=True))
    found = simulate_run(plan, EarlyLimits(4), times)
    assert found.wall_time == 5
    assert [(item.is_early, item.start, item.end) for item in found.items] == [
        *((False, 0, 1), (False, 0, 4), (True, 1, 4), (False, 4, 5)),
    ]
    assert simulate_run(plan, EarlyLimits(4, lookahead=0), times).wall_time == 7
    times[name_item(2, 0)] = 1.0  # it ends before its group's turn
    assert simulate_run(plan, EarlyLimits(4), times).wall_time == 5


def test_waves_save_more_than_a_fifth_at_12_slots() -> None:
    found = estimate_savings(make_waves(4, 12), EarlyLimits(12))
    assert found
    assert found.saved > 0.2
    assert found.missing == ()
    assert found == estimate_savings(make_waves(4, 12), EarlyLimits(12))


def test_without_contexts_nothing_is_saved_and_each_group_is_named() -> None:
    undeclared = frozenset((group, number) for group in (2, 3) for number in range(4))
    found = estimate_savings(make_waves(3, 4, undeclared), EarlyLimits(12))
    assert found
    assert found.saved == 0
    groups = [each for each in found.missing if len(each.items) > 1]
    assert {item.partition(":")[0] for each in groups for item in each.items} == {"2", "3"}
    assert groups[0].saved > groups[1].saved > 0.02


def test_the_item_that_costs_most_is_named() -> None:
    found = estimate_savings(make_waves(3, 6, frozenset({(2, 1), (2, 4)})), EarlyLimits(12))
    assert found
    group, alone = found.missing
    assert [group.items, len(alone.items)] == [(name_item(2, 1), name_item(2, 4)), 1]
    assert group.saved >= alone.saved > 0


def test_one_missing_context_is_named_once() -> None:
    found = estimate_savings(make_waves(3, 6, frozenset({(2, 1)})), EarlyLimits(12))
    assert found
    assert [each.items for each in found.missing] == [(name_item(2, 1),)]


def test_one_group_and_many_items() -> None:
    assert estimate_savings(make_waves(1, 6), EarlyLimits(12)) is None
    large = estimate_savings(make_waves(2, 1300, frozenset({(2, 1)})), EarlyLimits(12))
    assert large
    assert (large.rounds, large.missing) == (1, ())
