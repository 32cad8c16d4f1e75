"""One attempt at an item: prepare a workplace, run the agent, collect, judge (`judge.py`), discard the workplace."""

import asyncio
import time
from contextlib import suppress

from msgspec.structs import replace

from gitbatch.agents.prompt import (
    render_artifacts,
    render_group,
    render_item,
    render_notes,
    render_prompt,
    render_review_comment,
)
from gitbatch.agents.protocol import Assignment, Failure, OutputStream, Reply
from gitbatch.batch.events import ItemProgress, ItemStarted, Notice
from gitbatch.batch.history.kept_prompts import AttemptName, keep_prompt
from gitbatch.batch.history.reads import list_changed
from gitbatch.batch.history.unchecked import Unchecked
from gitbatch.batch.item.charge import charge_answer, charge_interrupted, record_interrupted
from gitbatch.batch.item.checking import check_output
from gitbatch.batch.item.judge import judge_work, sum_spent
from gitbatch.batch.item.rescue import keep_output
from gitbatch.batch.item.run import Run
from gitbatch.batch.item.scheduled import FinishedWork, ScheduledItem, ServerWaits, StartingPoint
from gitbatch.batch.item.start_permit import ItemPermit
from gitbatch.batch.item.starting_point import find_starting_point, make_setup
from gitbatch.batch.item.unexpected import fail_attempt, find_run_error, is_cancelled
from gitbatch.batch.model import FailedAttempt, ItemStatus, Outcome
from gitbatch.batch.workplace.protocol import Workplace
from gitbatch.concurrency import repeat_cancellation, shielded
from gitbatch.errors import GitbatchError
from gitbatch.fs.disk import disk_error
from gitbatch.fs.room import require_room
from gitbatch.limits.budget import Budget
from gitbatch.limits.causes import Cause
from gitbatch.plan.duration import require_duration
from gitbatch.project.manifest import outline_files
from gitbatch.text import CleanText, clean_text


async def run_attempt(permit: ItemPermit, waits: ServerWaits) -> Outcome | FailedAttempt | None:
    """Runs an item once. Every failure of the item is a value, also an internal error; an exception stops the batch.

    Args:
        permit: for the attempt, with its item and the attempts before.
        waits: its waits so far.

    Returns:
        The outcome, or the failed attempt; None if a check gives no verdict, which halts the batch.

    Raises:
        NotBegunError: the permit was not given any more when there was room for the agent.
    """
    run, scheduled, past = permit.run, permit.scheduled, permit.past
    began = time.monotonic()
    workplace = run.workplaces.open_workplace(
        run.batch.id, scheduled.batch_item.slug, scheduled.agent, permit
    )
    counted = tuple(tried for tried in past if tried.is_counted)
    tried = _new_attempt(scheduled, len(counted) + 1)
    keep, start, has_answer = False, None, False
    try:
        _require_room(run)
        start = await run.git(find_starting_point, run.repo, run.batch.id, scheduled)
        await workplace.prepare(make_setup(run.batch.id, scheduled, start))
        assignment = make_assignment(scheduled, start, past, run.agents.budget)
        _keep_prompt(run, scheduled, assignment)
        answer = await _run_agent(run, scheduled, workplace, assignment, tried)
        has_answer = True
        _require_room(run)
        seconds = round(time.monotonic() - began - permit.waited, 3)
        used = charge_answer(run, scheduled, answer)
        tried = replace(tried, seconds=seconds, usage=used, host=workplace.host)
        # The output of an agent that has ended is paid for: it is taken even if the run is stopping.
        keep = True  # if even that is interrupted, the next start reads the branch
        finished = FinishedWork(scheduled, start, past, waits, tried, answer)
        judged = await _judge_finished(run, workplace, finished)
        await shielded(workplace.note_recorded(in_git=not isinstance(judged, FailedAttempt)))
        # From here on a ref keeps the output: its checks may be interrupted, and a resume asks them again.
        result = await check_output(run, finished, judged) if isinstance(judged, Unchecked) else judged
        keep = isinstance(result, Outcome) and result.succeeded
    except BaseException as error:  # noqa: BLE001 - the one broad catch of an item: its error fails it alone (rule E1)
        if found := find_run_error(error):
            raise found from error.__cause__
        if is_cancelled():  # an agent answered the cancellation with an error of its own
            repeat_cancellation()
        keep = False
        tried = charge_interrupted(run, scheduled, tried, began + permit.waited)
        tried = fail_attempt(tried, scheduled.agent, error, scheduled.secrets)
        if start and not has_answer:  # an error of the agent: its output is judged as that of any other
            await shielded(_keep_collected(run, workplace, scheduled, tried, start))
        return tried
    else:
        return result
    finally:
        # Not interrupted by a cancellation: the next start would have to remove what is left here.
        if not await shielded(_discard(run, scheduled, workplace, keep=keep)):
            name = scheduled.batch_item.name
            text = f"a process still writes into the worktree of {name}; it was moved aside in {run.worktrees_dir}"
            run.emit(Notice(batch=run.batch.id, text=text))


def _new_attempt(scheduled: ScheduledItem, number: int) -> FailedAttempt:
    """Returns an attempt that has not happened yet, as it is if nothing comes of it."""
    return FailedAttempt(
        scheduled.key,
        scheduled.base_name,
        number,
        ItemStatus.FAILED,
        Cause.FAILED,
        reason=clean_text(""),
    )


def _require_room(run: Run) -> None:
    require_room(run.worktrees_dir, run.repo.common_dir)


def make_assignment(
    scheduled: ScheduledItem, start: StartingPoint, past: tuple[FailedAttempt, ...], budget: Budget
) -> Assignment:
    """Returns the assignment of the next attempt at an item."""
    counted = tuple(tried for tried in past if tried.is_counted)
    previous, earlier = counted[-1].failure if counted else None, start.earlier_output
    table = scheduled.project_state.project.config.agents[scheduled.agent]
    artifacts = render_artifacts(scheduled.project_state.project.artifacts)
    shared = (artifacts,) if artifacts else ()
    said = _render_reopening(scheduled, start)
    notes = (*shared, *render_notes(scheduled.item.output, start.revised, scheduled.missing), *said)
    spent = sum_spent(past)
    used = replace(spent.usage, cost=budget.estimate_cost(spent)) if spent.unknown else spent.usage
    return Assignment(
        item=scheduled.key,
        output=scheduled.item.output,
        prompt=render_prompt(scheduled.item, scheduled.group, start.context, previous, earlier, notes),
        context=start.context,
        timeout=scheduled.timeout or require_duration(table.timeout),
        attempt=len(counted) + 1,
        previous=previous,
        earlier=earlier,
        used=used,
        group="\n\n".join((render_group(scheduled.group), *shared)),
        instructions="\n\n".join((render_item(scheduled.item), *said)),
        artifacts=tuple(map(str, scheduled.project_state.project.artifacts)),
        missing=scheduled.missing,
        revised=start.revised,
    )


def _keep_prompt(run: Run, scheduled: ScheduledItem, assignment: Assignment) -> None:
    prompt = scheduled.secrets.mask_text(assignment.prompt)
    name = AttemptName(scheduled.key, scheduled.review, assignment.attempt)
    keep_prompt(run.repo.own_dir, run.batch.id, name, prompt)


def _render_reopening(scheduled: ScheduledItem, start: StartingPoint) -> tuple[str, ...]:
    """Returns what a review says to an item that runs again; nothing if it runs for the first time."""
    again = scheduled.reopening
    if again is None:
        return ()
    given = ((file.path, file.blob) for file in start.context)
    changed = list_changed(again.read, given, scheduled.project_state.project.shared_files)
    output = scheduled.item.output
    said = render_review_comment(
        output, again.comment, again.summary, is_there=again.is_there, changed=changed
    )
    return (said,)


async def _run_agent(
    run: Run, scheduled: ScheduledItem, workplace: Workplace, assignment: Assignment, tried: FailedAttempt
) -> Reply | Failure:
    """Returns the agent's answer. The usage of an attempt that is interrupted is recorded."""
    agent = run.agents.get_agent(scheduled.agent, scheduled.project_state.project.config)
    run.emit(
        ItemStarted(
            batch=run.batch.id,
            slug=scheduled.key,
            group=scheduled.batch_item.group,
            item=scheduled.item.output,
            name=scheduled.batch_item.name,
            agent=scheduled.agent,
            attempt=assignment.attempt,
            context=tuple(map(str, outline_files(assignment.context))),
            missing=tuple(map(str, assignment.missing)),
            early=scheduled.is_early,
        )
    )

    def show_progress(stream: OutputStream, line: CleanText) -> None:
        run.emit(
            ItemProgress(
                batch=run.batch.id,
                slug=scheduled.key,
                group=scheduled.batch_item.group,
                item=scheduled.item.output,
                stream=stream,
                line=line,
            )
        )

    try:
        work = workplace.work(agent, assignment, scheduled.secrets.mask_progress(show_progress))
        answer = await run.running_agents.run_stoppable(scheduled.key, work)
    except asyncio.CancelledError as error:
        if is_cancelled():  # if not, it was raised by the agent: an internal error
            await record_interrupted(run, scheduled, tried, error)
        raise
    if isinstance(answer, Reply):
        run.agents.rate_limit.note_success()
    else:
        run.running_agents.note_failure(scheduled.key)
    return scheduled.secrets.mask_answer(answer)


async def _judge_finished(
    run: Run, workplace: Workplace, finished: FinishedWork
) -> Outcome | FailedAttempt | Unchecked:
    """Returns the result of an attempt whose agent has ended; its usage is recorded even if the disk fails here."""
    try:
        return await shielded(_collect_and_judge(run, workplace, finished))
    except (OSError, GitbatchError) as error:
        if disk_error(error) and not finished.tried.usage.is_empty:
            cut = replace(finished.tried, cause=Cause.DISK, reason=clean_text("the disk failed"))
            with suppress(OSError, GitbatchError):  # the ledger may fail for the same reason
                await shielded(run.git(run.ledger.add_attempt, cut))
        raise


async def _collect_and_judge(
    run: Run, workplace: Workplace, finished: FinishedWork
) -> Outcome | FailedAttempt | Unchecked:
    collected = await workplace.collect()
    return await run.git(judge_work, run.repo, run.commit_context(), finished, collected)


async def _keep_collected(
    run: Run, workplace: Workplace, scheduled: ScheduledItem, tried: FailedAttempt, start: StartingPoint
) -> None:
    """Keeps the output of an attempt that failed by an internal error, if its workplace was prepared."""
    collected = await workplace.collect()
    if collected:
        await run.git(keep_output, run.repo, run.commit_context(), scheduled, tried, start, collected.output)


async def _discard(run: Run, scheduled: ScheduledItem, workplace: Workplace, *, keep: bool) -> bool:
    """Removes the workplace, and the item's branch unless it has our commit; false if something still writes there.

    An agent that can write refs may leave a commit that looks like ours on the branch: `keep` alone decides.
    """
    is_gone = await workplace.discard()
    if not keep:  # where that fails, the next start does it
        await run.git(run.repo.refs.remove, scheduled.branch_of(run.batch.id))
    return is_gone
