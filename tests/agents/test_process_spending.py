"""The limits that the proxy holds, and the larger of both counts: pure values."""

import pytest
from msgspec.structs import replace

from gitbatch.agents.process.spending import AttemptLimits
from gitbatch.limits.budget import Budget
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import FREE, Usage, take_larger
from gitbatch.plan.model import ItemKey
from gitbatch.text import clean_text

KEY = ItemKey("1/a")
ONE = Usage(clean_text("m"), input=100, output=50, requests=1)


def find_cost(model: str, usage: Usage) -> float | None:
    """Returns a cent for each hundred tokens of the one model that has a price."""
    return usage.total_tokens / 10_000 if model == "m" else None


def limits(
    *,
    cost: float | None = None,
    used: float = 0.0,
    tokens: int | None = None,
    max_cost: float | None = None,
    max_tokens: int | None = None,
) -> AttemptLimits:
    return AttemptLimits(
        Budget(max_cost, max_tokens), KEY, cost, tokens, Usage(input=int(used * 10_000), cost=used), find_cost
    )


@pytest.mark.parametrize(
    ("checked", "answers", "cause"),
    [
        (limits(), 9, None),
        (limits(cost=0.04), 2, None),
        (limits(cost=0.03), 2, Cause.LIMIT),
        (limits(cost=0.04, used=0.02), 2, Cause.LIMIT),
        (limits(max_cost=0.04), 2, None),
        (limits(max_cost=0.03), 2, Cause.BUDGET),
        (limits(cost=0.03, max_cost=0.03), 2, Cause.LIMIT),
        (limits(tokens=301), 2, None),
        (limits(tokens=300), 2, Cause.LIMIT),
        (limits(tokens=400, used=0.01), 2, Cause.LIMIT),
        (limits(max_tokens=301), 2, None),
        (limits(max_tokens=300), 2, Cause.BUDGET),
    ],
)
def test_a_limit_is_reached_by_what_the_proxy_counts(
    checked: AttemptLimits, answers: int, cause: Cause | None
) -> None:
    reached = checked.find_reached((ONE,) * answers)
    assert (reached and reached.cause) == cause


def test_what_a_program_has_reported_is_not_counted_twice() -> None:
    """It is charged while the program works, and is a part of what the proxy counts."""
    checked = limits(max_cost=0.04)
    checked.budget.charge_request(KEY, Usage(cost=0.02))
    assert checked.find_reached((ONE, ONE)) is None
    reached = checked.find_reached((ONE, ONE, ONE))
    assert (reached and reached.cause) == Cause.BUDGET


def test_items_that_run_at_the_same_time_see_what_each_has_spent() -> None:
    """Four of them with the whole budget each would spend it four times."""
    first, other = limits(max_cost=0.05, max_tokens=500), ItemKey("1/b")
    second = replace(first, item=other)
    for checked, answers in ((first, 1), (second, 1), (first, 2)):
        checked.charge_usages((ONE,) * answers)
        assert checked.find_reached((ONE,) * answers) is None
    assert first.budget.cost_left_for(other) == pytest.approx(0.005)
    second.charge_usages((ONE, ONE))
    reached = second.find_reached((ONE, ONE))
    assert (reached and reached.cause) == Cause.BUDGET
    assert first.budget.is_reached
    first.budget.close_attempt(KEY, Usage(clean_text("m"), input=200, output=100, requests=2, cost=0.03))
    assert first.budget.known_usage.total_tokens == 600
    assert first.budget.mean_cost == pytest.approx(0.03)


def test_charges_of_an_unknown_price_leave_the_cost_to_the_program() -> None:
    unknown = Usage(clean_text("other"), input=10, requests=1)
    checked = limits(max_cost=1.0)
    checked.charge_usages((unknown,))
    assert checked.budget.known_usage.total_tokens == 10
    whole = Usage(clean_text("other"), input=12, requests=1, cost=0.5)
    assert checked.budget.close_attempt(KEY, whole) == whole


def test_an_unknown_price_counts_nothing_and_makes_the_sum_unknown() -> None:
    unknown = Usage(clean_text("other"), input=10**9, requests=1)
    assert limits(cost=0.03).find_reached((ONE, unknown)) is None
    assert limits(cost=0.03).sum_usage((ONE, unknown), needs_cost=True).cost is None
    assert limits(cost=0.03).sum_usage((ONE, ONE), needs_cost=False).cost == pytest.approx(0.03)
    assert limits().sum_usage((ONE, ONE), needs_cost=False).cost is None
    assert limits().sum_usage((), needs_cost=True) == Usage()


COUNTED = Usage(clean_text("m"), 100, 50, requests=2, cost=0.3)


@pytest.mark.parametrize(
    ("reported", "counted", "expected"),
    [
        (Usage(), COUNTED, COUNTED),
        (FREE, COUNTED, COUNTED),
        (FREE, Usage(), FREE),
        (Usage(), Usage(), Usage()),
        (Usage(clean_text("r"), 10, 5, requests=3, cost=0.5), COUNTED, Usage(clean_text("r"), 100, 50, requests=3, cost=0.5)),
        (Usage(clean_text("r"), 900, requests=1), COUNTED, Usage(clean_text("r"), 900, requests=2, cost=0.3)),
        # Answers without counts: what the agent reports is all that is known.
        (Usage(clean_text("r"), 9, requests=1, cost=0.1), Usage(requests=2), Usage(clean_text("r"), 9, requests=2, cost=0.1)),
        (Usage(), Usage(requests=2), Usage(requests=2)),
    ],
)  # fmt: skip
def test_the_larger_of_two_counts(reported: Usage, counted: Usage, expected: Usage) -> None:
    assert take_larger(reported, counted) == expected
