"""An item to its end: attempt after attempt, by the table of causes (rule F3); waits and halts are not attempts."""

import asyncio

from msgspec.structs import replace

from gitbatch.batch.events import AttemptFailed, ItemFinished, ItemWaiting
from gitbatch.batch.history.rescue import find_rescued
from gitbatch.batch.item.attempt import ServerWaits, attempt, seconds_of, spent_by
from gitbatch.batch.item.run import ItemTask, Run
from gitbatch.batch.item.stop import MORE, Halt, cannot_work, come_back_later, disk_failed, out_of_budget
from gitbatch.batch.model import BatchItem, FailedAttempt, Outcome
from gitbatch.concurrency import shielded
from gitbatch.errors import GitbatchError
from gitbatch.fs.disk import disk_error
from gitbatch.limits.causes import TREATMENTS, Cause, Remedy
from gitbatch.plan.duration import parse_duration
from gitbatch.text import clean_text

_LONGEST_PAUSE = 60.0
_GUESSES = 10
"""How often an item waits because its program only seems to have met a busy server; after that, it has failed."""


async def run_item(run: Run, task: ItemTask) -> Outcome | None:
    """Run an item to its end: what is done about a failed attempt, the table of causes says (rule F3).

    Returns:
        The outcome; None if the batch halts before there is one.
    """
    waits = ServerWaits()
    while True:
        past = run.ledger.entries.of_item(task.key)
        if _is_over(past, task):
            kept = await run.git(find_rescued, run.repo, run.batch.id, task.batch_item)
            outcome = failed_outcome(task.batch_item, past, waits)
            return _finish(run, replace(outcome, rescued=kept.ref if kept else ""))
        waited = await _cleared(run, task)
        if waited is None:
            return None
        waits = waits.longer(waited)
        tried = await _attempt(run, task, past, waits)
        if not isinstance(tried, FailedAttempt):
            return tried and _finish(run, tried)
        if tried.is_counted or not tried.usage.is_empty:
            await shielded(
                run.git(run.ledger.add_attempt, tried)
            )  # it is paid for, even if the run is being ended
        if _waits(run, task, tried):
            waits = waits.more()
        elif not _goes_on(run, task, tried):
            return None
        else:
            await _pause(run, task, tried)


async def _attempt(
    run: Run, task: ItemTask, past: tuple[FailedAttempt, ...], waits: ServerWaits
) -> Outcome | FailedAttempt | None:
    """One attempt; None if our disk failed, which is not the item's fault: then nothing starts any more.

    A cause that is a guess is not believed for ever: the program may only talk about limits.
    """
    try:
        tried = await attempt(run, task, past, waits)
    except (OSError, GitbatchError) as error:
        failed = disk_error(error)
        if failed is None:
            raise
        run.brake.pull(disk_failed(failed))
        return None
    finally:
        run.agents.budget.release_reservation(task.key)
    if isinstance(tried, FailedAttempt) and tried.is_guess and waits.count >= _GUESSES:
        return replace(tried, cause=Cause.FAILED)
    return tried


def _finish(run: Run, outcome: Outcome) -> Outcome:
    run.emit(ItemFinished(batch=run.batch.id, outcome=outcome))
    return outcome


def _counted(past: tuple[FailedAttempt, ...], task: ItemTask) -> tuple[FailedAttempt, ...]:
    """The attempts that count for a task: those upon the same commit. If the user changed anything, it starts anew."""
    return tuple(tried for tried in past if tried.is_counted and tried.base == task.project_state.commit)


def _is_over(past: tuple[FailedAttempt, ...], task: ItemTask) -> bool:
    mine = _counted(past, task)
    return bool(mine) and (mine[-1].remedy is Remedy.FAIL or len(mine) > task.retries)


async def _cleared(run: Run, task: ItemTask) -> float | None:
    """Wait until an attempt may start; the seconds that the server took of that. None: the batch halts."""
    budget, brake = run.agents.budget, run.brake
    if brake.halt:
        return None
    limit = run.agents.get_agent(task.agent, task.project_state.project.config).cost_limit
    if not await budget.wait_to_reserve(task.key, budget.spent.mean_cost if limit is None else limit):
        brake.pull(out_of_budget(budget))
        return None
    waited = await brake.unless(run.agents.rate_limit.wait())
    if brake.halt:
        budget.release_reservation(task.key)
        return None
    return waited


def _waits(run: Run, task: ItemTask, tried: FailedAttempt) -> bool:
    """Starts a wait of all items if a failure calls for one. Returns false if it does not, or the wait is too long."""
    limit = run.agents.rate_limit
    busy = tried.remedy is Remedy.WAIT or (tried.cause is Cause.LATER and limit.is_endless)
    if not busy or not limit.start_wait(tried.retry_after):
        return False
    run.emit(
        ItemWaiting(
            batch=run.batch.id,
            item=task.key,
            name=task.batch_item.name,
            reason=tried.reason,
            usage=tried.usage,
        )
    )
    return True


def _goes_on(run: Run, task: ItemTask, tried: FailedAttempt) -> bool:
    """Whether an item goes on after a failure; if not, the batch halts."""
    if not tried.is_counted:
        run.brake.pull(_halt(run, task, tried))
    past = run.ledger.entries.of_item(task.key)
    if _is_over(past, task):
        return True  # to its outcome
    outcome = replace(failed_outcome(task.batch_item, (tried,), ServerWaits()), attempts=tried.number)
    left = task.retries + 1 - len(_counted(past, task))
    run.emit(AttemptFailed(batch=run.batch.id, outcome=outcome, left=left, counts=tried.is_counted))
    return run.brake.halt is None


async def _pause(run: Run, task: ItemTask, tried: FailedAttempt) -> None:
    """Waits a little before an attempt after one that failed for no known reason, unless the batch halts meanwhile."""
    past = run.ledger.entries.of_item(task.key)
    first = parse_duration(task.project_state.project.config.batch.retry_pause)
    if first and tried.cause and TREATMENTS[tried.cause].pauses and not _is_over(past, task):
        seconds = min(first * 2 ** (len(_counted(past, task)) - 1), _LONGEST_PAUSE)
        await run.brake.unless(asyncio.sleep(seconds, seconds))


def _halt(run: Run, task: ItemTask, tried: FailedAttempt) -> Halt:
    """Why the batch halts after an attempt."""
    match tried.cause:
        case Cause.BUDGET if run.agents.budget.is_reached:
            return out_of_budget(run.agents.budget)
        case Cause.BUDGET:
            return Halt(Cause.BUDGET, clean_text(f"{task.batch_item.name}: {tried.reason}"), MORE)
        case Cause.BUSY | Cause.LATER:
            return come_back_later(tried.reason, run.clock(), tried.retry_after)
        case _:
            return cannot_work(task.batch_item.name, tried.reason)


def failed_outcome(item: BatchItem, past: tuple[FailedAttempt, ...], waits: ServerWaits) -> Outcome:
    """What became of an item by its attempts, of which the last one that counts was the last."""
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
        seconds=seconds_of(past),
        waits=waits.count,
        waited=waits.seconds,
        spent=spent_by(past),
    )
