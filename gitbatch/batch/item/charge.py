"""Charging attempts to the budget.

What an agent reported counts, also if the attempt failed or was interrupted. A cost that it did not report is unknown, never
0: a cost limit is then held by an estimate, the mean of the known costs. Where no
cost is known, a batch with a cost limit halts.
"""

import asyncio
import time
from collections.abc import Callable

from msgspec.structs import replace

from gitbatch.agents.process.interruption import AttemptInterruptedError
from gitbatch.agents.protocol import Failure, Reply
from gitbatch.batch.events import ItemCharged, Notice
from gitbatch.batch.item.run import Run
from gitbatch.batch.item.scheduled import ScheduledItem
from gitbatch.batch.item.stop import cost_unknown
from gitbatch.batch.model import FailedAttempt
from gitbatch.concurrency import shielded
from gitbatch.limits.causes import TREATMENTS, Cause, Remedy
from gitbatch.limits.usage import FREE, Usage, format_dollars
from gitbatch.plan.model import ItemKey
from gitbatch.text import clean_text


def report_charges(run: Run) -> Callable[[ItemKey, Usage], None]:
    """Returns the listener that emits what running items use, as far as its cost is known."""
    items = {item.key: item for item in run.batch.record.items}

    def report_charge(key: ItemKey, usage: Usage) -> None:
        if usage.cost:
            item = items[key]
            run.emit(
                ItemCharged(batch=run.batch.id, slug=key, group=item.group, item=item.output, usage=usage)
            )

    return report_charge


def charge_answer(run: Run, scheduled: ScheduledItem, answer: Reply | Failure) -> Usage:
    """Returns the usage of an attempt, charged to the budget.

    An attempt that the server was too busy for, and that reports no usage, has cost nothing.
    """
    budget = run.agents.budget
    is_busy = (
        isinstance(answer, Failure) and answer.cause in {Cause.BUSY, Cause.LATER} and not answer.is_guess
    )
    if is_busy and answer.usage.is_empty and not budget.is_charged(scheduled.key):
        return Usage()
    used = budget.close_attempt(scheduled.key, answer.usage)
    if used.cost is None and budget.max_cost is not None:
        _hold_by_estimate(run, scheduled, answer)
    return used


def charge_interrupted(
    run: Run, scheduled: ScheduledItem, tried: FailedAttempt, began: float
) -> FailedAttempt:
    """Returns an attempt that an error has interrupted, with its usage until then."""
    if tried.seconds:
        return tried
    seconds = round(max(time.monotonic() - began, 0.001), 3)
    return replace(tried, seconds=seconds, usage=run.agents.budget.close_attempt(scheduled.key, Usage()))


async def record_interrupted(
    run: Run,
    scheduled: ScheduledItem,
    tried: FailedAttempt,
    error: asyncio.CancelledError,
    before: Usage = Usage(),
) -> None:
    """Records the usage of an attempt that ends with the run, unless it cannot have cost anything.

    Args:
        run: the tools.
        scheduled: the item, with the agent that worked.
        tried: what is known of the attempt.
        error: the cancellation.
        before: usage of the same attempt that is charged already.
    """
    reported = error.usage if isinstance(error, AttemptInterruptedError) else FREE
    used = before + run.agents.budget.close_attempt(scheduled.key, reported)
    agent = run.agents.get_agent(scheduled.agent, scheduled.project_state.project.config)
    if not used.is_empty or (used.cost is None and agent.knows_cost):
        cut = replace(tried, cause=None, reason=clean_text("interrupted"), usage=used)
        await shielded(run.git(run.ledger.add_attempt, cut))


def _hold_by_estimate(run: Run, scheduled: ScheduledItem, answer: Reply | Failure) -> None:
    """Reports that the cost limit is held by an estimate; stops the batch if nothing gives an estimate."""
    mean_cost, name = run.agents.budget.mean_cost, scheduled.batch_item.name
    if mean_cost:  # 0: no attempt has made a request whose cost is known
        mean = format_dollars(round(mean_cost, 4))
        text = f"limit held by estimate: the cost of {name} is unknown and counts as the mean, {mean}"
        run.emit(Notice(batch=run.batch.id, text=text))
    elif isinstance(answer, Reply) or TREATMENTS[answer.cause].remedy in {Remedy.AGAIN, Remedy.FAIL}:
        run.stop_switch.trip(cost_unknown(scheduled.agent, name))
