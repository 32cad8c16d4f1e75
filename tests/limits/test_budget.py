"""What a batch may spend."""

import pytest

from gitbatch.limits.budget import Budget
from gitbatch.limits.usage import FREE, Spent, Usage, format_dollars
from gitbatch.plan.model import ItemKey
from gitbatch.text import clean_text


def a_request(cost: float | None = 0.25, tokens: int = 100) -> Usage:
    return Usage(clean_text("m"), input=tokens, requests=1, cost=cost)


def test_without_limits_everything_goes() -> None:
    budget = Budget()
    assert budget.reserve_cost(ItemKey("a"), 1e9)
    budget.charge_request(ItemKey("a"), a_request(1e9))
    assert not budget.is_reached


def test_what_is_reserved_is_not_there_for_others() -> None:
    budget = Budget(max_cost=1.0)
    assert budget.reserve_cost(ItemKey("a"), 0.75)
    assert not budget.reserve_cost(ItemKey("b"), 0.5)
    budget.release_reservation(ItemKey("a"))
    assert budget.reserve_cost(ItemKey("b"), 0.5)


def test_what_is_used_comes_off_what_was_reserved() -> None:
    budget = Budget(max_cost=1.0)
    budget.reserve_cost(ItemKey("a"), 0.5)
    budget.charge_request(ItemKey("a"), a_request(0.25))
    assert budget.reserve_cost(ItemKey("b"), 0.5)
    budget.charge_request(ItemKey("a"), a_request(0.5))
    assert budget.known_usage.cost == 0.75
    assert not budget.reserve_cost(ItemKey("c"), 0.01)


def test_a_limit_is_reached_by_cost_or_by_tokens() -> None:
    money, tokens = Budget(max_cost=0.5), Budget(max_tokens=200)
    for budget in (money, tokens):
        budget.charge_request(ItemKey("a"), a_request())
        assert not budget.is_reached
        budget.charge_request(ItemKey("a"), a_request())
        assert budget.is_reached
        assert not budget.reserve_cost(ItemKey("b"), 0)


def test_what_two_used_together() -> None:
    both = a_request(0.25) + Usage(
        clean_text("n"), output=5, cache_read=7, cache_write=9, requests=2, cost=0.5
    )
    assert both == Usage(clean_text("n"), 100, 5, 7, 9, 3, 0.75)
    assert both.total_tokens == 121
    assert (both + a_request(None)).cost is None
    assert (Usage() + a_request()).cost == 0.25
    assert Usage() + Usage() == Usage()


def test_amounts_for_people() -> None:
    assert [format_dollars(amount) for amount in (0, 0.5, 1.3, 5, 0.0042, 0.125)] == [
        "$0.00",
        "$0.50",
        "$1.30",
        "$5.00",
        "$0.0042",
        "$0.1250",
    ]


def test_total_of_an_attempt_counts_beyond_what_was_charged() -> None:
    """A program can report its cost while it works, and more at its end, or the proxy can have counted more."""
    budget, item = Budget(max_cost=1.0), ItemKey("a")
    budget.charge_request(item, Usage(cost=0.25))
    budget.charge_request(item, Usage(cost=0.25))
    assert budget.charged_cost(item) == 0.5
    total = Usage(clean_text("m"), 100, 20, 3, 4, requests=1, cost=0.75)
    assert budget.close_attempt(item, total) == total
    assert budget.spent.usage == total
    assert budget.charged_cost(item) == 0.0


def test_total_that_is_less_or_unknown_changes_nothing() -> None:
    for total in (Usage(), Usage(cost=0.0), a_request(0.1, tokens=50), a_request(None)):
        budget, item = Budget(), ItemKey("a")
        budget.charge_request(item, a_request())
        assert budget.close_attempt(item, total) == a_request()


def test_an_attempt_of_unknown_cost_counts_as_the_mean_of_those_that_have_ended() -> None:
    budget, spent = Budget(max_cost=1.0), Spent(a_request(0.1), known=1, unknown=2)
    assert budget.estimate_cost(spent) == pytest.approx(0.1)
    for item, cost in (("a", 0.2), ("b", 0.4)):
        budget.close_attempt(ItemKey(item), a_request(cost))
    budget.charge_request(ItemKey("c"), a_request(0.3))  # it still works
    assert budget.estimate_cost(spent) == pytest.approx(0.7)
    budget.close_attempt(ItemKey("d"), a_request(None))
    assert budget.is_reached


def test_an_attempt_that_was_not_sent_is_not_in_the_mean() -> None:
    budget = Budget(max_cost=1.0)
    budget.close_attempt(ItemKey("a"), a_request(0.4))
    for item in "bcd":  # the connection of their worker was cut before
        budget.close_attempt(ItemKey(item), FREE)
    budget.close_attempt(ItemKey("e"), Usage(requests=1, cost=0.0))  # by a model that costs nothing
    assert (budget.mean_cost, budget.spent.known) == (0.2, 2)


@pytest.mark.rule("F2")
def test_an_early_item_reserves_what_the_open_group_leaves() -> None:
    budget, early = Budget(max_cost=2.0), ItemKey("early")
    budget.keep_cost({ItemKey("a"): 0.5, ItemKey("b"): 1.0})
    assert budget.reserve_cost(ItemKey("a"), 0.5)
    assert not budget.reserve_early_cost(early, 0.75)
    assert budget.reserve_early_cost(early, 0.5)
    assert budget.cost_left_for(early) == 0.5
    assert budget.cost_left_for(ItemKey("a")) == 1.5
    assert budget.reserve_cost(ItemKey("b"), 1.0)
    budget.charge_request(early, a_request(0.25))
    assert budget.cost_left_for(early) == 0.25
    budget.release_reservation(early)
    budget.release_reservation(ItemKey("b"))
    budget.end_keeping(ItemKey("b"))
    assert budget.reserve_early_cost(early, 1.25)
    assert not Budget(max_tokens=0).reserve_early_cost(early, 0.0)


def test_an_early_item_waits_until_a_cost_is_known() -> None:
    """Where agents have no limits, an item of the open group may cost the mean."""
    budget, early = Budget(max_cost=1.0), ItemKey("early")
    budget.keep_cost({ItemKey("a"): None, ItemKey("b"): None, early: None})
    assert not budget.reserve_early_cost(early, 0.0)
    budget.close_attempt(ItemKey("a"), a_request(0.375))
    budget.end_keeping(ItemKey("a"))
    assert not budget.reserve_early_cost(early, 0.375)
    assert budget.reserve_early_cost(early, 0.25)
    assert Budget().reserve_early_cost(early, 9.0)


def test_what_runs_with_less_than_the_mean_keeps_the_rest() -> None:
    """It started when no cost was known, so that it has reserved nothing."""
    budget, early = Budget(max_cost=1.0), ItemKey("early")
    budget.keep_cost({ItemKey("a"): None, ItemKey("b"): None})
    assert budget.reserve_cost(ItemKey("a"), 0.0)
    assert budget.reserve_cost(ItemKey("b"), 0.0)
    budget.charge_request(ItemKey("b"), a_request(0.125))
    budget.close_attempt(ItemKey("a"), a_request(0.5))
    budget.end_keeping(ItemKey("a"))
    assert not budget.reserve_early_cost(early, 0.125)
    budget.close_attempt(ItemKey("b"), a_request(0.25))
    budget.end_keeping(ItemKey("b"))
    assert budget.reserve_early_cost(early, 0.25)
