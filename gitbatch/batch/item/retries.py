"""Running an item to its end: attempt after attempt, by the table of causes (rule F3). Waits and halts do not count."""

import asyncio
from collections.abc import Awaitable

from msgspec.structs import replace

from gitbatch.batch.events import AttemptFailed, ItemFinished, ItemWaiting
from gitbatch.batch.history.rescue import find_rescued
from gitbatch.batch.item.attempt import run_attempt
from gitbatch.batch.item.checking import check_output, resume_checks
from gitbatch.batch.item.judge import sum_seconds, sum_spent
from gitbatch.batch.item.run import Run
from gitbatch.batch.item.scheduled import ScheduledItem, ServerWaits
from gitbatch.batch.item.start_permit import ItemPermit, emit_unaffordable
from gitbatch.batch.item.stop import (
    MORE,
    NO_WORKER_ADVICE,
    Halt,
    cannot_work,
    come_back_later,
    out_of_budget,
)
from gitbatch.batch.model import BatchItem, FailedAttempt, Outcome
from gitbatch.batch.workplace.protocol import NotBegunError
from gitbatch.concurrency import shielded
from gitbatch.errors import GitbatchError
from gitbatch.limits.causes import TREATMENTS, Cause, Remedy
from gitbatch.plan.duration import parse_duration
from gitbatch.text import clean_text

_LONGEST_PAUSE = 60.0
_GUESSES = 10
"""How often an item waits for a server that seems busy by its program's output; after that, the attempt has failed."""


async def run_item(run: Run, scheduled: ScheduledItem) -> Outcome | None:
    """Runs an item to its end. The table of causes says what follows a failed attempt (rule F3).

    Returns:
        The outcome; None if the batch halts before there is one, or an early item is to start again with its group.
    """
    try:
        return await _run_attempts(run, scheduled)
    finally:
        run.running_agents.note_decision(scheduled.key)


async def _run_attempts(run: Run, scheduled: ScheduledItem) -> Outcome | None:
    waits = ServerWaits()
    held = await resume_checks(
        run, scheduled, run.ledger.entries.since_review(scheduled.key, scheduled.review)
    )
    while True:
        past = run.ledger.entries.since_review(scheduled.key, scheduled.review)
        if _has_ended(past, scheduled):
            return await _finish_failed(run, scheduled, past, waits)
        if held:
            work, waits, held = check_output(run, *held), held[0].waits, None
        else:
            permit = ItemPermit(run, scheduled, past)
            waited = await permit.wait_for_start()
            if waited is None:
                return None
            waits = waits.add_seconds(waited)
            work = run_attempt(permit, waits)
        tried = await _try_once(run, scheduled, work, waits)
        if not isinstance(tried, FailedAttempt):
            return tried and _emit_outcome(run, tried)
        after = await _follow_failure(run, scheduled, tried, waits)
        if after is None:
            return None
        waits = after


async def _follow_failure(
    run: Run, scheduled: ScheduledItem, tried: FailedAttempt, waits: ServerWaits
) -> ServerWaits | None:
    """Records a failed attempt, and waits if it calls for that; returns the item's waits. None: the batch halts."""
    if tried.is_counted or tried.cause is Cause.LOST or not tried.usage.is_empty:
        # It is paid for, even if the run is stopping.
        await shielded(run.git(run.ledger.add_attempt, tried))
    waits_for_server = _start_wait(run, scheduled, tried)
    may_continue = waits_for_server or _may_continue(run, scheduled, tried)
    run.running_agents.note_decision(scheduled.key)
    if waits_for_server:
        return waits.add_one()
    if not may_continue:
        return None
    await _pause_before_retry(run, scheduled, tried)
    return waits


async def _try_once(
    run: Run,
    scheduled: ScheduledItem,
    work: Awaitable[Outcome | FailedAttempt | None],
    waits: ServerWaits,
) -> Outcome | FailedAttempt | None:
    """Returns the result of one attempt; None if our disk or a check failed: that stops the batch without a blame.

    None too if its agent was not started, as the batch halts or its cost is not left. A cause that is a guess counts only so
    often: the program may print something about limits for another reason.
    """
    try:
        tried = await work
    except NotBegunError:
        return None
    except (OSError, GitbatchError) as error:
        if not run.stop_switch.trip_at_disk_error(error, run.worktrees_dir, run.repo.common_dir):
            raise
        return None
    finally:
        run.agents.budget.release_reservation(scheduled.key)
    if isinstance(tried, FailedAttempt) and tried.is_guess and waits.count >= _GUESSES:
        return replace(tried, cause=Cause.FAILED)
    return tried


async def _finish_failed(
    run: Run, scheduled: ScheduledItem, past: tuple[FailedAttempt, ...], waits: ServerWaits
) -> Outcome:
    """Reports the outcome of an item whose attempts have all failed."""
    kept = await run.git(find_rescued, run.repo, run.batch.id, scheduled.batch_item)
    outcome = failed_outcome(scheduled.batch_item, past, waits)
    kept_ref = kept.ref if kept else ""
    return _emit_outcome(run, replace(outcome, rescued=kept_ref, missing=scheduled.missing))


def _emit_outcome(run: Run, outcome: Outcome) -> Outcome:
    run.emit(ItemFinished(batch=run.batch.id, outcome=outcome))
    return outcome


def _counted_attempts(past: tuple[FailedAttempt, ...], scheduled: ScheduledItem) -> tuple[FailedAttempt, ...]:
    """Returns the attempts that count for an item: those from the same base. A new base resets the count."""
    return tuple(tried for tried in past if tried.is_counted and tried.base == scheduled.base_name)


def _has_ended(past: tuple[FailedAttempt, ...], scheduled: ScheduledItem) -> bool:
    """Whether an item gets no further attempt."""
    mine = _counted_attempts(past, scheduled)
    lost = sum(tried.cause is Cause.LOST and tried.base == scheduled.base_name for tried in past)
    if lost > scheduled.project_state.project.config.executor.max_lost:
        return True
    return bool(mine) and (mine[-1].remedy is Remedy.FAIL or len(mine) > scheduled.retries)


def _start_wait(run: Run, scheduled: ScheduledItem, tried: FailedAttempt) -> bool:
    """Starts a wait of all items if a failure calls for one. Returns false if it does not, or the wait is too long."""
    limit = run.agents.rate_limit
    busy = tried.remedy is Remedy.WAIT or (tried.cause is Cause.LATER and limit.is_endless)
    if not busy or not limit.start_wait(tried.retry_after, tried.wait_reason):
        return False
    run.emit(
        ItemWaiting(
            batch=run.batch.id,
            slug=scheduled.key,
            group=scheduled.batch_item.group,
            item=scheduled.item.output,
            name=scheduled.batch_item.name,
            reason=tried.reason,
            usage=tried.usage,
        )
    )
    return True


def _may_continue(run: Run, scheduled: ScheduledItem, tried: FailedAttempt) -> bool:
    """Returns true if an item continues after a failure, with an attempt or its outcome.

    False: the batch halts, or the item started early and runs again with its group.
    """
    if scheduled.is_early and tried.cause is Cause.BUDGET and not run.agents.budget.is_reached:
        emit_unaffordable(run, scheduled)
        return False
    if not tried.is_counted and tried.remedy is not Remedy.ELSEWHERE:
        run.stop_switch.trip(_make_halt(run, scheduled, tried))
    past = run.ledger.entries.since_review(scheduled.key, scheduled.review)
    if _has_ended(past, scheduled):
        return True  # it gets its outcome
    outcome = replace(failed_outcome(scheduled.batch_item, (tried,), ServerWaits()), attempts=tried.number)
    left = scheduled.retries + 1 - len(_counted_attempts(past, scheduled))
    run.emit(AttemptFailed(batch=run.batch.id, outcome=outcome, left=left, counts=tried.is_counted))
    return run.stop_switch.halt is None


async def _pause_before_retry(run: Run, scheduled: ScheduledItem, tried: FailedAttempt) -> None:
    """Waits before the attempt that follows one without a known cause, unless the batch halts meanwhile."""
    past = run.ledger.entries.since_review(scheduled.key, scheduled.review)
    first = parse_duration(scheduled.project_state.project.config.batch.retry_pause)
    if first and tried.cause and TREATMENTS[tried.cause].pauses and not _has_ended(past, scheduled):
        seconds = min(first * 2 ** (len(_counted_attempts(past, scheduled)) - 1), _LONGEST_PAUSE)
        await run.stop_switch.wait_unless_stopped(asyncio.sleep(seconds, seconds))


def _make_halt(run: Run, scheduled: ScheduledItem, tried: FailedAttempt) -> Halt:
    """Returns the halt of the batch that an attempt causes."""
    match tried.cause:
        case Cause.BUDGET if run.agents.budget.is_reached:
            return out_of_budget(run.agents.budget)
        case Cause.BUDGET:
            return Halt(Cause.BUDGET, clean_text(f"{scheduled.batch_item.name}: {tried.reason}"), MORE)
        case Cause.NO_WORKER:
            return Halt(Cause.NO_WORKER, tried.reason, NO_WORKER_ADVICE)
        case Cause.BUSY | Cause.LATER:
            return come_back_later(tried.reason, run.clock(), tried.retry_after)
        case _:
            return cannot_work(scheduled.batch_item.name, tried.reason)


def failed_outcome(item: BatchItem, past: tuple[FailedAttempt, ...], waits: ServerWaits) -> Outcome:
    """Returns the outcome of an item whose attempts have all failed: the last one that counts decides."""
    counted = tuple(tried for tried in past if tried.is_counted) or past
    last = counted[-1]
    return Outcome(
        item,
        last.status,
        reason=last.reason,
        details=last.details,
        cause=last.cause,
        strays=last.strays,
        attempts=len(counted),
        earlier=counted[:-1],
        seconds=sum_seconds(past),
        waits=waits.count,
        waited=waits.seconds,
        spent=sum_spent(past),
        checks=last.checks,
        host=last.host,
    )
