"""Running a batch: group after group (rule P4), a checkpoint after each, a pause where the mode asks for one."""

# ruff: noqa: PLC0415 - most runs start no item before its group: what does that is imported for it

from collections.abc import Mapping
from typing import TYPE_CHECKING

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.batch.announcing import emit_group, emit_kept, emit_start
from gitbatch.batch.ending import (
    Ending,
    Result,
    halt_batch,
    make_result,
    pause_batch,
    stop_at_boundary,
    stop_complete_phase,
)
from gitbatch.batch.events import (
    BatchFinished,
    BatchWaiting,
    CheckpointReached,
    CheckTime,
    ConfigChanged,
    ItemFinished,
    Notice,
)
from gitbatch.batch.group.checkpoint import GroupOutcomes, Unsound, drop_branches
from gitbatch.batch.group.recording import find_gates, record_group
from gitbatch.batch.group.run_group import run_group
from gitbatch.batch.group.scheduled_items import GroupStart, pending_items
from gitbatch.batch.group.set_aside import fail_unsound, set_aside
from gitbatch.batch.history.progress import BatchProgress, read_progress
from gitbatch.batch.item.charge import report_charges
from gitbatch.batch.item.run import Run
from gitbatch.batch.model import PHASE_COMPLETE, BatchGroup, Checkpoint, Outcome
from gitbatch.batch.planning.agents import require_agents_left
from gitbatch.batch.planning.configuration import ConfigChange
from gitbatch.batch.planning.project_state import ProjectState
from gitbatch.batch.planning.start import describe_open_items
from gitbatch.batch.preconditions import (
    describe_confinement,
    read_runnable_state,
    require_resumable,
)
from gitbatch.batch.ready import take_ready
from gitbatch.batch.resume import finish_batch, read_unreviewed, resume_batch
from gitbatch.batch.review.approval import find_unapproved
from gitbatch.batch.review.reviewing import Answer, Reviewer, Reviews
from gitbatch.batch.revisions import find_turn, prepare_revision
from gitbatch.batch.tally import Tally
from gitbatch.plan.model import ItemKey
from gitbatch.repo.refs.names import short
from gitbatch.repo.refs.store import config_ref
from gitbatch.text import clean_text, list_names

if TYPE_CHECKING:
    from gitbatch.batch.group.early_pool import EarlyPool

_MOST_REPEATS = 3
"""How often items of a group run again because others that they stand on are not merged."""


class Continuation(Struct, frozen=True):
    """The values that a run keeps over a pause at which its state has to be read again, as the lock was given back."""

    began: float
    """Seconds since the epoch."""
    check_time: CheckTime
    reviewed: frozenset[str]
    """The checkpoints that no later review covers."""
    accepted: ConfigChange | None = None
    """The change of the configuration that the user has accepted at that moment."""


async def run_batch(
    run: Run, reviewer: Reviewer, *, resumed: bool, after: Continuation | None = None
) -> Result | Continuation:
    """Runs a batch from its present state to its end, a pause, or a hard stop.

    Args:
        run: the tools.
        reviewer: decides at the pauses.
        resumed: whether an earlier process began the batch.
        after: what an earlier call returned at a pause after which this one continues.

    Returns:
        The end of the run; or what the next call needs, once the lock is taken again.
    """
    if not run.starts_early:
        return await _run_turns(run, reviewer, None, resumed=resumed, after=after)
    from gitbatch.batch.group.early_pool import open_pool

    async with open_pool(run) as pool:
        return await _run_turns(run, reviewer, pool, resumed=resumed, after=after)


async def _run_turns(
    run: Run, reviewer: Reviewer, pool: "EarlyPool | None", *, resumed: bool, after: Continuation | None
) -> Result | Continuation:
    """Does the same; `pool` runs the items that start before their group."""
    run.agents.rate_limit.listener = lambda wait, why: run.emit(
        BatchWaiting(batch=run.batch.id, seconds=round(wait, 1), reason=why)
    )
    run.agents.budget.listener = report_charges(run)
    began = after.began if after else run.clock()
    state = await _resume(run, resumed=resumed, is_continued=after is not None)
    tally = Tally.of_progress(state, began)
    tally.check_time = after.check_time if after else tally.check_time
    record, done = run.batch.record, set[tuple[int, int]]()
    reviewed = after.reviewed if after else frozenset[str]()
    unreviewed = await run.git(read_unreviewed, run.repo, run.batch, state, reviewed)
    reviews = Reviews(reviewer, record.checkpoint_mode, unreviewed, after.accepted if after else None)
    reviews.recorded.update(finished.last for finished in state.finished)
    reviews.reviewed, reviews.pool = reviewed, pool
    while turn := find_turn(record, state, done):
        if not turn.revision and await _is_unapproved(run):
            await reviews.finish_early()
            return replace(await pause_batch(run, tally, turn.title), needs_review=True)
        checkpoint = await _finish_group(run, state, tally, reviews, turn)
        if isinstance(checkpoint, Result | Continuation):
            return checkpoint
        done.add((turn.number, turn.revision))
        if turn.revision or pool:
            state = await run.git(read_progress, run.repo, run.batch)
        if checkpoint is None:
            continue
        tally.add_checkpoint(checkpoint)
        reviews.add_checkpoint(checkpoint)
        following = find_turn(record, state, done)
        if following and not checkpoint.phase_complete and not run.stop_switch.halt:
            answer = await reviews.pause_after(checkpoint)
            if answer in {Answer.STOP, Answer.READ_AGAIN}:
                return await _leave_pause(run, tally, reviews, answer, following.title)
            state = await _read_decided(run, tally, state, answer)
    return await _end_batch(run, tally, reviews)


async def _read_decided(run: Run, tally: Tally, state: BatchProgress, answer: Answer) -> BatchProgress:
    """Returns the progress of a batch after a pause: read again after a review during which the lock was kept."""
    if answer is not Answer.READ_STATE:
        return state
    state = await run.git(read_progress, run.repo, run.batch)
    tally.replace_counts(Tally.of_progress(state, tally.began))
    await run.git(run.ledger.read_again)
    return state


async def _leave_pause(
    run: Run, tally: Tally, reviews: Reviews, answer: Answer, next_group: str
) -> Result | Continuation:
    """Returns what follows a pause at which the run stops, or after which it reads its state again."""
    if answer is Answer.STOP:
        await reviews.finish_early()
        return await pause_batch(run, tally, next_group)
    return Continuation(tally.began, tally.check_time, reviews.reviewed, reviews.accepted)


async def _end_batch(run: Run, tally: Tally, reviews: Reviews) -> Result | Continuation:
    """Ends a batch of which no group is left, once its last checkpoint is reviewed (rule K1)."""
    answer = await reviews.pause_at_end()
    if answer is not Answer.CONTINUE:
        return await _leave_pause(run, tally, reviews, answer, "")
    if await _is_unapproved(run):
        return replace(await pause_batch(run, tally, ""), needs_review=True)
    project_state = await run.git(finish_batch, run.repo, run.batch)
    if project_state.is_complete:
        for text in filter(None, (describe_open_items(project_state.plan), PHASE_COMPLETE)):
            run.emit(Notice(batch=run.batch.id, text=text))
    result = make_result(tally, Ending.COMPLETE, has_ended=True)
    finished = BatchFinished(batch=run.batch.id, succeeded=result.succeeded, failed=result.failed)
    run.emit(tally.complete_end(run, finished))
    return result


async def _is_unapproved(run: Run) -> bool:
    """Whether items wait for a decision without which the batch must not continue; says which."""
    waiting = await run.git(find_unapproved, run.repo, run.batch)
    if waiting:
        names = list_names(tuple(item.name for item in waiting))
        text = f"undecided (review.require-approval): {names}; decide with gitbatch review"
        run.emit(Notice(batch=run.batch.id, text=clean_text(text)))
    return bool(waiting)


async def _resume(run: Run, *, resumed: bool, is_continued: bool) -> BatchProgress:
    """Completes what an interruption left undone, announces the batch once, and returns its progress."""
    state, followed = await run.git(resume_batch, run.repo, run.batch)
    if not is_continued:
        record = run.batch.record
        confined = await run.git(describe_confinement, run.repo, record, state, run.agents, run.checkouts)
        emit_start(run, state, confined, resumed=resumed)
    emit_kept(run, followed)
    if resumed or is_continued:  # a batch that has only just begun was checked when it began
        await run.git(require_resumable, run.repo, run.batch, state)
    await run.extras.make_ready(announce=not is_continued)  # before any agent is paid
    return state


async def _accept_config(run: Run, project_state: ProjectState, tally: Tally, reviews: Reviews) -> Answer:
    """Returns whether a group may start by the configuration that its base has."""
    change = run.fixed.find_change(project_state)
    if change is None:
        return Answer.CONTINUE
    if change != reviews.accepted:
        run.emit(ConfigChanged(batch=run.batch.id, difference=change.difference))
        failed = frozenset(outcome.item.key for outcome in tally.failed)
        require_agents_left(project_state, run.batch.record, failed, run.agents)
        answer = await reviews.accept_config(change)
        if answer is not Answer.CONTINUE:
            return answer
    await run.git(run.fixed.accept_change, run.repo, run.batch.id, change)
    if change.blob:
        run.fingerprint.pinned.values[config_ref(run.batch.id)] = change.blob
    return Answer.CONTINUE


async def _finish_group(
    run: Run, state: BatchProgress, tally: Tally, reviews: Reviews, group: BatchGroup
) -> Checkpoint | Result | Continuation | None:
    """Runs a group until it is recorded. None: all of its items are ticked; a result: the run ends here."""
    reopened = await run.git(prepare_revision, run.repo, run.batch, state, run.ledger, group)
    ready = await run.git(take_ready, run.repo, run.ledger, state, group, tally.failed)
    for text in ready.notices:
        run.emit(Notice(batch=run.batch.id, text=text))
    already, repeats = ready.outcomes, 0
    while True:
        project_state = await run.git(read_runnable_state, run.repo, run.batch.record, state)
        stopped = await _hard_stop(run, project_state, tally, reviews)
        if stopped:
            return stopped
        planned = project_state.find_items(run.batch.record)
        if not pending_items(planned, group, already):
            tally.succeeded += len(group.items)
            said = f"every item of “{group.title}” is ticked in {project_state.plan.path}"
            run.emit(Notice(batch=run.batch.id, text=clean_text(f"{said}: the group is skipped")))
            return None
        start = GroupStart(project_state, group, planned, already, tally.failed, reopened)
        if not repeats:
            emit_group(run, start)
        recorded = None if run.stop_switch.halt else await _run_and_record(run, start, reviews.pool, state)
        if recorded is None:
            await reviews.finish_early()
            return await halt_batch(run, tally)
        if isinstance(recorded, Checkpoint):
            return recorded
        already, repeats = await _set_unsound_aside(run, recorded, repeats), repeats + 1


async def _set_unsound_aside(run: Run, unsound: Unsound, repeats: int) -> Mapping[ItemKey, Outcome]:
    """Sets the unsound items of a group aside, which run again unless that was often enough; returns the outcomes that stay.

    Each time may be because of one more item that they stand on: a row of n items would be paid n² times.
    """
    lost = [outcome for outcome in unsound.outcomes if outcome.item.key in unsound.keys]
    if repeats < _MOST_REPEATS:
        names = ", ".join(outcome.item.name for outcome in lost)
        why = (
            "written on top of the file of an item that is not merged; what it was is kept under rescue refs"
        )
        already = await run.git(set_aside, run.repo, run.ledger, unsound)
        run.emit(Notice(batch=run.batch.id, text=clean_text(f"again: {names}, {why}")))
        return already
    outcomes = await run.git(fail_unsound, run.repo, run.ledger, unsound)
    for outcome in outcomes:
        if outcome.item.key in unsound.keys:
            run.emit(ItemFinished(batch=run.batch.id, outcome=outcome))
    return {outcome.item.key: outcome for outcome in outcomes}


async def _run_and_record(
    run: Run, start: GroupStart, pool: "EarlyPool | None", state: BatchProgress
) -> Checkpoint | Unsound | None:
    """Runs a group and records it, unless it is unsound; None if the batch halts before it is complete."""
    boxes = {key: item.box for key, (_, item) in start.planned.items()}
    gates = find_gates(start)
    outcomes = await run_group(run, start, pool, state)
    if outcomes is None:
        return None
    finished = GroupOutcomes(start.group, outcomes, boxes, start.project_state.commit)
    checkpoint = await record_group(run, finished, gates)
    if not isinstance(checkpoint, Checkpoint):
        return checkpoint
    kept = await run.git(drop_branches, run.repo, run.batch.id, checkpoint)
    run.emit(CheckpointReached(batch=run.batch.id, checkpoint=checkpoint))
    for ref in kept:
        run.emit(Notice(batch=run.batch.id, text=f"kept: branch {short(ref)} (merged, but checked out)"))
    return checkpoint


async def _hard_stop(
    run: Run, project_state: ProjectState, tally: Tally, reviews: Reviews
) -> Result | Continuation | None:
    """Returns the end of a run where only the user can continue; None: the next group may start."""
    if project_state.project.phase.name != run.batch.record.phase:
        await reviews.finish_early()
        return stop_at_boundary(run, project_state, tally)
    if project_state.is_complete:
        answer = await reviews.pause_at_end()
        if answer is not Answer.CONTINUE:
            return await _leave_pause(run, tally, reviews, answer, "")
        await reviews.finish_early()
        return await stop_complete_phase(run, tally)
    answer = await _accept_config(run, project_state, tally, reviews)
    if answer is Answer.STOP:
        await reviews.finish_early()
        return make_result(tally, Ending.CONFIG_CHANGED)
    return None if answer is Answer.CONTINUE else await _leave_pause(run, tally, reviews, answer, "")
