"""The state of a run, followed from its events."""

from collections.abc import Iterable

import pytest
from msgspec.structs import replace
from view.events import BROKE, EVENTS, ITEM, WROTE

from gitbatch.agents.protocol import OutputStream
from gitbatch.batch.events import (
    AttemptFailed,
    BatchStarted,
    BatchWaiting,
    CheckStarted,
    Event,
    GateFinished,
    GateStarted,
    GroupStarted,
    ItemCharged,
    ItemFinished,
    ItemProgress,
    ItemStarted,
    ItemWaiting,
)
from gitbatch.batch.model import FailedAttempt, ItemStatus
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import Spent, Usage
from gitbatch.plan.model import ItemKey
from gitbatch.text import clean_text
from gitbatch.view.live_state import EndedItem, LiveState, RunningItem, follow_event

PAID = Usage(input=5, requests=1, cost=0.25)


def of_kind(kind: type[Event], at: float = 0.0) -> Event:
    return replace(next(event for event, _ in EVENTS if type(event) is kind), at=at)


def follow(events: Iterable[Event], state: LiveState = LiveState()) -> LiveState:  # noqa: B008 - a value
    for event in events:
        state = follow_event(state, event)
    return state


def started(key: str, at: float = 0.0) -> ItemStarted:
    event = of_kind(ItemStarted, at)
    assert isinstance(event, ItemStarted)
    return replace(event, slug=ItemKey(key), name=key)


def test_item_runs_from_its_start_with_its_last_line() -> None:
    state = follow([of_kind(ItemStarted, 10.0), of_kind(ItemProgress, 12.5)])
    assert dict(state.running) == {ITEM.key: RunningItem("T1", 10.0, "oh", 12.5)}


def test_line_of_an_item_that_has_ended_changes_nothing() -> None:
    assert follow([of_kind(ItemProgress)]) == LiveState()


@pytest.mark.parametrize("kind", [ItemFinished, ItemWaiting, AttemptFailed])
def test_attempt_that_ends_runs_no_longer(kind: type[Event]) -> None:
    assert not follow([of_kind(ItemStarted), of_kind(kind)]).running


def test_item_that_runs_again_counts_once_and_is_no_failure() -> None:
    failed = ItemFinished(batch="b", outcome=BROKE)
    state = follow([of_kind(ItemStarted), failed])
    assert dict(state.failures) == {ITEM.key: EndedItem("T1", ItemStatus.FAILED, "it broke")}
    again = follow([of_kind(ItemStarted), of_kind(ItemFinished)], state)
    assert (again.done, dict(again.failures)) == (1, {})


def test_check_of_a_held_output_runs_without_its_agent() -> None:
    state = follow([of_kind(CheckStarted, 3.0)])
    assert dict(state.running) == {ITEM.key: RunningItem("T1", 3.0, "check links")}


def test_check_after_the_agent_keeps_the_time_and_cannot_be_silent() -> None:
    state = follow([of_kind(ItemStarted, 1.0), of_kind(CheckStarted, 3.0)])
    assert dict(state.running) == {ITEM.key: RunningItem("T1", 1.0, "check links")}


def test_gate_runs_until_it_has_ended() -> None:
    state = follow([of_kind(GateStarted, 2.0)])
    assert list(state.running.values()) == [RunningItem("gate tests", 2.0, "1 of 2 items")]
    assert not follow([of_kind(GateFinished)], state).running


def test_start_of_a_batch_forgets_what_was_before() -> None:
    state = follow([of_kind(ItemStarted), of_kind(BatchStarted, 7.0), of_kind(GroupStarted)])
    assert state == LiveState(items=1, done=1, jobs=4, began=7.0, cost_before=0.5)


def test_wait_for_a_server_has_an_end() -> None:
    state = follow([of_kind(BatchWaiting, 100.0)])
    assert (state.opens, state.wait_reason) == (112.0, "the server is busy")


def tried_once(usage: Usage) -> FailedAttempt:
    return FailedAttempt(
        ITEM.key, "base", 1, ItemStatus.FAILED, Cause.FAILED, clean_text("it broke"), usage=usage
    )


def test_each_attempt_is_paid_once() -> None:
    """The outcome of an item has the cost of all its attempts; those that failed were reported before."""
    first = AttemptFailed(batch="b", outcome=replace(BROKE, spent=Spent.of_attempt(PAID)), left=1)
    last = replace(WROTE, earlier=(tried_once(PAID),), spent=Spent.of_attempt(PAID) + Spent.of_attempt(PAID))
    state = follow([of_kind(BatchStarted), of_kind(ItemStarted), first])
    assert state.cost == 0.75
    again = follow([of_kind(ItemStarted)], state)
    assert again.running[ITEM.key].cost == 0.25
    assert follow([ItemFinished(batch="b", outcome=last)], again).cost == 1.0


@pytest.mark.rule("F2")
def test_an_item_that_ends_again_is_paid_once() -> None:
    """It was stale, and its second outcome has the cost of both runs; what a review sent back has that of the new run alone."""
    once, twice = (replace(WROTE, spent=sum((Spent.of_attempt(PAID),) * n, Spent())) for n in (1, 2))
    state = follow(
        [of_kind(BatchStarted), *(ItemFinished(batch="b", outcome=each) for each in (once, twice))]
    )
    assert state.cost == 1.0
    again = replace(of_kind(GroupStarted), group=ITEM.group, items=(ITEM.output,), already=(), revision=1)
    assert follow([again, ItemFinished(batch="b", outcome=once)], state).cost == 1.25


def test_what_a_running_item_has_used_is_known_before_its_end() -> None:
    state = follow([of_kind(BatchStarted), of_kind(ItemStarted), of_kind(ItemCharged), of_kind(ItemCharged)])
    assert (state.running[ITEM.key].whole_cost, state.cost) == (0.5, 1.0)
    done = replace(WROTE, spent=Spent.of_attempt(Usage(requests=2, cost=0.5)))
    assert follow([ItemFinished(batch="b", outcome=done)], state).cost == 1.0
    assert follow([of_kind(ItemCharged)]) == LiveState(), "of an item that has ended"


def test_wait_that_was_paid_counts_and_an_item_that_never_ran_is_not_timed() -> None:
    waiting = of_kind(ItemWaiting)
    assert isinstance(waiting, ItemWaiting)
    assert follow([of_kind(ItemStarted), replace(waiting, usage=PAID)]).cost == 0.25
    blocked = replace(WROTE, seconds=0.0)
    assert follow([ItemFinished(batch="b", outcome=blocked)]).timed == 0


def test_cost_that_is_unknown_is_none() -> None:
    assert follow([of_kind(ItemFinished)]).cost is None


def test_rest_is_estimated_from_the_mean_time() -> None:
    """Two of four have taken 10 s each; the third began 4 s ago, and one runs at a time."""
    state = LiveState(items=4, done=2, jobs=1, seconds=20.0, timed=2, running={})
    state = follow([started("third", at=6.0)], state)
    assert state.estimate_left(10.0) == 16.0
    assert replace(state, jobs=2).estimate_left(10.0) == 8.0
    assert replace(state, opens=15.0).estimate_left(10.0) == 21.0


@pytest.mark.parametrize("state", [LiveState(items=4), LiveState(items=2, done=2, seconds=1.0, timed=2)])
def test_no_estimate_without_a_timed_item_or_a_rest(state: LiveState) -> None:
    assert state.estimate_left(0.0) is None


def test_other_streams_count_as_signs_of_life() -> None:
    event = ItemProgress(
        batch="b", slug=ITEM.key, group=1, item="a", stream=OutputStream.OUTPUT, line=clean_text("x"), at=9.0
    )
    assert follow([of_kind(ItemStarted), event]).running[ITEM.key].heard == 9.0
