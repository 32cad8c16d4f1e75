"""Random plans and random outcomes through the core of early start. Long: 2,000 of them, `GITBATCH_FAULTS=long`."""

import os
import random
from heapq import heappop, heappush

from batch.planning.early_batches import RandomBatch, draw_plan

from gitbatch.batch.planning.early.model import EarlyLimits, EarlyPlan, Start
from gitbatch.batch.planning.early.simulation import simulate_run
from gitbatch.plan.model import ItemReference

TRIALS = 2000 if os.environ.get("GITBATCH_FAULTS") == "long" else 100


def test_batches_end_and_take_nothing_stale() -> None:
    starts: list[Start] = []
    stale = 0
    for seed in range(TRIALS):
        drawn = random.Random(seed)  # noqa: S311 - the same batches in each round
        limits = EarlyLimits(drawn.randint(1, 5), drawn.choice((0, 1, None, None)))
        batch = RandomBatch(draw_plan(drawn), limits, drawn, disturbances=drawn.choice((0, 3, 8)))
        batch.run()
        starts += batch.starts
        stale += batch.stale
        assert limits.lookahead != 0 or not any(start.is_early for start in batch.starts)
    assert sum(start.is_early for start in starts) > TRIALS
    assert sum(start.is_early and len(start.base) > 1 for start in starts) > TRIALS // 20
    assert stale > TRIALS // 20


def run_by_groups(
    plan: EarlyPlan, jobs: int, durations: dict[ItemReference, float]
) -> dict[ItemReference, float]:
    """When each item starts, group by group in the order of the plan, without any early start."""
    now, started = 0.0, dict[ItemReference, float]()
    for group in plan.groups:
        left = [item for item in plan.items if item.group == group.number]
        running: list[tuple[float, ItemReference]] = []
        ended: set[ItemReference] = set()
        while left or running:
            for item in [each for each in left if ended.issuperset(each.waits)]:
                if len(running) < min(jobs, group.at_once):
                    started[item.reference] = now
                    heappush(running, (now + durations[item.reference], item.reference))
                    left.remove(item)
            now = running[0][0]
            while running and running[0][0] == now:
                ended.add(heappop(running)[1])
    return started


def test_without_lookahead_a_batch_runs_group_by_group() -> None:
    for seed in range(TRIALS):
        drawn = random.Random(seed)  # noqa: S311 - the same batches in each round
        plan, jobs = draw_plan(drawn), drawn.randint(1, 5)
        durations = {item.reference: float(drawn.randint(1, 4)) for item in plan.items}
        simulated = simulate_run(plan, EarlyLimits(jobs, lookahead=0), durations)
        expected = run_by_groups(plan, jobs, durations)
        assert {item.reference: item.start for item in simulated.items} == expected
        assert simulated.wall_time == max(expected[item] + durations[item] for item in expected)
