"""The state of a run, followed from its events: what its own terminal shows, and `gitbatch watch` in another one.

A value: each event gives a new one, so another thread may draw it at any time. Times are seconds since the epoch.
"""

from collections.abc import Mapping
from typing import assert_never

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.batch.events import (
    AttemptFailed,
    BatchEvent,
    BatchStarted,
    BatchWaiting,
    CheckFinished,
    CheckStarted,
    Event,
    GateEvent,
    GateFinished,
    GroupStarted,
    ItemCharged,
    ItemFinished,
    ItemProgress,
    ItemQueued,
    ItemSent,
    ItemStarted,
    ItemWaiting,
)
from gitbatch.batch.history.activity import NO_SLOT
from gitbatch.batch.model import ItemStatus, Outcome
from gitbatch.limits.causes import WAIT_DESCRIPTIONS
from gitbatch.limits.usage import Usage
from gitbatch.plan.model import ItemKey
from gitbatch.text import format_count

_RUNNING = ItemStarted | ItemQueued | ItemSent | ItemProgress | ItemCharged | CheckStarted | CheckFinished
"""The events of an item that runs."""


class RunningItem(Struct, frozen=True):
    """An item or a gate that runs."""

    name: str
    since: float
    line: str = ""
    """What its agent showed last, or the check that runs."""
    heard: float | None = None
    """When its agent showed something last; None: what runs now is a check or a gate, which show nothing."""
    cost: float | None = None
    """US dollars of its attempts that have ended; None: none is known."""
    charged: float | None = None
    """US dollars of the attempt that runs, so far; None: none is known."""
    is_early: bool = False
    """Whether its group had not begun when it started."""
    host: str = ""
    """The other machine that its agent works on; empty: this one."""

    @property
    def whole_cost(self) -> float | None:
        """US dollars of all its attempts so far; None: none is known."""
        known = [cost for cost in (self.cost, self.charged) if cost is not None]
        return sum(known) if known else None


class EndedItem(Struct, frozen=True):
    """An item that did not succeed."""

    name: str
    status: ItemStatus
    reason: str


class LiveState(Struct, frozen=True):
    """A run at one moment."""

    items: int = 0
    """Of the batch."""
    done: int = 0
    """Items that have an outcome, over all starts of the batch."""
    jobs: int = 1
    began: float | None = None
    """When this start of the batch began."""
    running: Mapping[ItemKey, RunningItem] = {}
    """In the order in which they started."""
    failures: Mapping[ItemKey, EndedItem] = {}
    """Of this start, in the order in which they ended; one that runs again is taken out."""
    ended: frozenset[ItemKey] = frozenset()
    """The items that have an outcome from this start."""
    ended_outputs: frozenset[tuple[int, str]] = frozenset()
    """The same, by group and output."""
    costs: Mapping[ItemKey, float] = {}
    """US dollars of the attempts of this start that have ended, as far as they are known."""
    cost_before: float | None = None
    """US dollars of earlier starts; None: none is known."""
    uncounted: Mapping[tuple[int, str], float] = {}
    """By group and output: US dollars of an ended item that `costs` has not, as they are of earlier starts."""
    opens: float = 0.0
    """Until when the server is waited for."""
    wait_reason: str = ""
    seconds: float = 0.0
    """Of all items that succeeded in this start, together."""
    timed: int = 0
    """The number of those items."""

    @property
    def cost(self) -> float | None:
        """US dollars of the whole batch, as far as they are known; None: nothing is."""
        running = (each.charged for each in self.running.values())
        known = [cost for cost in (self.cost_before, *self.costs.values(), *running) if cost is not None]
        return sum(known) if known else None

    def estimate_left(self, now: float) -> float | None:
        """Returns the seconds that the rest probably takes; None: no item has been timed yet, or none is left.

        Items that run are counted with what is left of the mean time.
        """
        agents = [each for key, each in self.running.items() if not is_gate(key)]
        left = self.items - self.done
        if not self.timed or left <= 0:
            return None
        mean = self.seconds / self.timed
        begun = sum(max(0.0, mean - (now - each.since)) for each in agents)
        work = begun + mean * max(0, left - len(agents))
        return max(0.0, self.opens - now) + work / max(1, min(self.jobs, left))


def is_gate(key: ItemKey) -> bool:
    """Whether the key of something that runs is a gate's; an item's has no space."""
    return " " in key


def follow_event(state: LiveState, event: Event) -> LiveState:
    """Returns the state after an event; what ends a run or a group, and what is only said, changes nothing."""
    if isinstance(event, _RUNNING):
        return _follow_running_item(state, event)
    if isinstance(event, ItemWaiting | AttemptFailed | ItemFinished):
        return _follow_ended_attempt(state, event)
    if isinstance(event, GateEvent):
        return _follow_gate(state, event)
    return _follow_batch(state, event) if isinstance(event, BatchEvent) else state


def _follow_batch(state: LiveState, event: BatchEvent) -> LiveState:
    match event:
        case BatchStarted():
            return LiveState(
                items=event.items,
                done=event.items_done,
                jobs=event.jobs,
                began=event.at,
                cost_before=event.spent.usage.cost,
            )
        case GroupStarted():
            before = {(event.group, output) for output in event.already} - state.ended_outputs
            return replace(_begin_revision(state, event), done=state.done + len(before))
        case BatchWaiting():
            return replace(state, opens=event.at + event.seconds, wait_reason=WAIT_DESCRIPTIONS[event.reason])
        case _:
            return state


def _follow_gate(state: LiveState, event: GateEvent) -> LiveState:
    key = ItemKey(f"gate {event.gate}")
    if isinstance(event, GateFinished):
        return _drop(state, key)
    line = f"{len(event.items)} of {format_count(event.of, 'item')}"
    return _put(state, key, RunningItem(f"gate {event.gate}", event.at, line))


def _put(state: LiveState, key: ItemKey, item: RunningItem) -> LiveState:
    return replace(state, running={**state.running, key: item})


def _drop(state: LiveState, key: ItemKey) -> LiveState:
    return replace(state, running={k: each for k, each in state.running.items() if k != key})


def _note_machine(item: RunningItem, event: ItemSent | ItemQueued) -> RunningItem:
    """Returns an item that is sent to another machine, or waits for a slot of one, without an agent that could be silent."""
    if isinstance(event, ItemQueued):
        return replace(item, host="", line=NO_SLOT, heard=None)
    return replace(item, host=event.host, line="", heard=event.at)


def _follow_running_item(
    state: LiveState,
    event: ItemStarted | ItemQueued | ItemSent | ItemProgress | ItemCharged | CheckStarted | CheckFinished,
) -> LiveState:
    match event:
        case ItemStarted():
            failures = {key: each for key, each in state.failures.items() if key != event.slug}
            cost = state.costs.get(event.slug)
            item = RunningItem(event.name, event.at, heard=event.at, cost=cost, is_early=event.early)
            return _put(replace(state, failures=failures), event.slug, item)
        case ItemSent() | ItemQueued() if item_now := state.running.get(event.slug):
            return _put(state, event.slug, _note_machine(item_now, event))
        case ItemProgress() if item_now := state.running.get(event.slug):
            return _put(state, event.slug, replace(item_now, line=event.line, heard=event.at))
        case ItemCharged() if (item_now := state.running.get(event.slug)) and event.usage.cost is not None:
            charged = (item_now.charged or 0.0) + event.usage.cost
            return _put(state, event.slug, replace(item_now, charged=charged))
        case CheckStarted():  # of an output that was held, the agent has no row
            item = state.running.get(event.slug) or RunningItem(event.name, event.at)
            return _put(state, event.slug, replace(item, line=f"check {event.check}", heard=None))
        case _:
            return state


def _follow_ended_attempt(state: LiveState, event: ItemWaiting | AttemptFailed | ItemFinished) -> LiveState:
    match event:
        case ItemWaiting():
            return _drop(_add_cost(state, event.slug, event.usage.cost), event.slug)
        case AttemptFailed():
            key = event.outcome.item.key
            return _drop(_add_cost(state, key, event.outcome.spent.usage.cost), key)
        case ItemFinished():
            return _finish_item(state, event.outcome)
        case _:
            assert_never(event)


def _add_cost(state: LiveState, key: ItemKey, cost: float | None) -> LiveState:
    if cost is None:
        return state
    return replace(state, costs={**state.costs, key: state.costs.get(key, 0.0) + cost})


def _finish_item(state: LiveState, outcome: Outcome) -> LiveState:
    key = outcome.item.key
    state = _drop(_count_cost(state, outcome), key)
    is_again = key in state.ended  # it may run again, and counts once
    outputs = state.ended_outputs | {(outcome.item.group, outcome.item.output)}
    done = state.done + (not is_again)
    state = replace(state, done=done, ended=state.ended | {key}, ended_outputs=outputs)
    if not outcome.succeeded:
        failed = EndedItem(outcome.item.name, outcome.status, outcome.reason)
        return replace(state, failures={**state.failures, key: failed})
    if not outcome.seconds:
        return state
    return replace(state, seconds=state.seconds + outcome.seconds, timed=state.timed + 1)


def _begin_revision(state: LiveState, event: GroupStarted) -> LiveState:
    """Returns the state in which the cost of items that a review sent back is counted from the review on, as outcomes have it."""
    if not event.revision:
        return state
    again = {(event.group, output) for output in event.items}
    return replace(state, uncounted={k: cost for k, cost in state.uncounted.items() if k not in again})


def _count_cost(state: LiveState, outcome: Outcome) -> LiveState:
    """Returns the state with the cost of an item that has ended; one that ends again, as it was stale, has it in its sum."""
    key, name, cost = outcome.item.key, (outcome.item.group, outcome.item.output), outcome.spent.usage.cost
    if cost is None:
        return state
    if name in state.uncounted:
        return replace(state, costs={**state.costs, key: cost - state.uncounted[name]})
    state = _add_cost(state, key, _find_last_cost(outcome))
    return replace(state, uncounted={**state.uncounted, name: cost - state.costs.get(key, 0.0)})


def _find_last_cost(outcome: Outcome) -> float | None:
    """Returns what the last attempt at an item cost: those before it have been reported as they failed."""
    before = sum((tried.usage for tried in outcome.earlier), Usage())
    return outcome.spent.usage.without(before).cost
