"""The run: group after group (rule P4), a checkpoint after each, a pause where the mode says so."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from gitbatch.batch.attempt import Run
from gitbatch.batch.checkpoint import drop_branches, follow_checkout, record_group, require_tip
from gitbatch.batch.events import (
    BatchFinished,
    BatchPaused,
    BatchStarted,
    BatchStopped,
    CheckpointReached,
    GroupStarted,
    Notice,
)
from gitbatch.batch.group import run_group
from gitbatch.batch.model import BatchGroup, Checkpoint
from gitbatch.batch.record import end_batch, remove_leftovers
from gitbatch.batch.resume import State, resume
from gitbatch.batch.scene import Scene, read_scene, require_runnable
from gitbatch.batch.start import require_clean
from gitbatch.repo.checkout import Followed
from gitbatch.repo.repository import require_nothing_under_way

Pause = Callable[[Checkpoint], Awaitable[bool]]
"""Asks for a review of a checkpoint; true: go on."""


class Ending(StrEnum):
    """How a run came to its end."""

    COMPLETE = "complete"
    """Nothing of the batch is left to do."""
    PAUSED = "paused"
    """Groups are left, and the user wants to go on later."""
    STOPPED = "stopped"
    """A hard stop: only the user may go on."""


@dataclass(frozen=True, slots=True)
class Result:
    """The end of a run."""

    ending: Ending
    succeeded: int
    failed: int
    over: bool
    """Whether the batch has ended, so that the next run starts a new one."""


@dataclass(slots=True)
class _Tally:
    """What is known of the batch's groups so far."""

    succeeded: int
    missing: frozenset[str]

    def add(self, checkpoint: Checkpoint) -> None:
        self.succeeded += len(checkpoint.outcomes) - len(checkpoint.failures)
        self.missing |= {outcome.item.key for outcome in checkpoint.failures}

    def result(self, ending: Ending, *, over: bool = False) -> Result:
        return Result(ending, self.succeeded, len(self.missing), over)


async def run_batch(run: Run, pause: Pause, *, resumed: bool) -> Result:
    """Run a batch from wherever it is to its end, a pause, or a hard stop."""
    state, followed = await run.git(resume, run)
    _announce(run, state, resumed=resumed)
    _tell_kept(run, followed)
    await run.git(_require_ready, run, state)
    tally = _Tally(state.succeeded, state.missing)
    record = run.batch.record
    for group in record.groups:
        if state.is_recorded(group):
            continue
        scene = await run.git(_scene, run)
        if scene.project.phase.name != record.phase:
            return _stop_at_boundary(run, scene, tally)
        checkpoint = await _run_one(run, scene, group, state, tally.missing)
        tally.add(checkpoint)
        rest = record.groups[checkpoint.number :]
        if rest and checkpoint.phase_complete:
            return await _stop_complete(run, checkpoint, tally)
        if rest and record.checkpoint_mode.pauses_after(checkpoint.number) and not await pause(checkpoint):
            run.emit(BatchPaused(batch=run.batch.id, next_group=rest[0].title))
            return tally.result(Ending.PAUSED)
    await run.git(_finish, run)
    result = tally.result(Ending.COMPLETE, over=True)
    run.emit(BatchFinished(batch=run.batch.id, succeeded=result.succeeded, failed=result.failed))
    return result


def _require_ready(run: Run, state: State) -> None:
    """Refuse to go on over the user's changes, or in the middle of a merge, in a checkout that would follow."""
    target = run.batch.record.target
    if run.repo.head_branch() == target:
        require_nothing_under_way(run.repo)
        left = (item.key for g in run.batch.record.groups if not state.is_recorded(g) for item in g.items)
        require_clean(run.repo, read_scene(run.repo, require_tip(run.repo, target)), tuple(left))


def _scene(run: Run) -> Scene:
    scene = read_scene(run.repo, require_tip(run.repo, run.batch.record.target))
    require_runnable(scene)
    return scene


async def _run_one(
    run: Run, scene: Scene, group: BatchGroup, state: State, missing: frozenset[str]
) -> Checkpoint:
    already = {key: outcome for key, outcome in state.ready.items() if outcome.item in group.items}
    run.emit(
        GroupStarted(
            batch=run.batch.id,
            position=run.batch.record.groups.index(group) + 1,
            of=len(run.batch.record.groups),
            title=group.title,
            items=tuple(item.key for item in group.items if item.key not in already),
            already=tuple(already),
        )
    )
    marks = {item.output: item.mark for item in scene.plan.items}
    outcomes = await run_group(run, scene, group, already, missing)
    checkpoint = await run.git(record_group, run, group, outcomes, marks)
    followed = await run.git(_after, run, checkpoint)
    checkpoint = replace(checkpoint, kept=followed.kept)
    run.emit(CheckpointReached(batch=run.batch.id, checkpoint=checkpoint))
    _tell_kept(run, replace(followed, kept=()))
    return checkpoint


def _after(run: Run, checkpoint: Checkpoint) -> Followed:
    """What follows from a checkpoint: checkout and branches."""
    followed = follow_checkout(run.repo, run.batch.record.target, checkpoint.before, checkpoint.commit)
    drop_branches(run, checkpoint)
    return followed


def _announce(run: Run, state: State, *, resumed: bool) -> None:
    record = run.batch.record
    run.emit(
        BatchStarted(
            batch=run.batch.id,
            resumed=resumed,
            target=record.target,
            mode=record.mode,
            agent=record.agent,
            jobs=run.jobs,
            groups=len(record.groups),
            items=len(record.items),
            groups_done=len(state.recorded),
        )
    )


def _tell_kept(run: Run, followed: Followed) -> None:
    for path in followed.kept:
        run.emit(Notice(batch=run.batch.id, text=f"your own version of {path} stays in the checkout"))
    if followed.index_locked:
        text = "the checkout's index is locked by another git: gitbatch run brings it up to date later"
        run.emit(Notice(batch=run.batch.id, text=text))


def _stop_at_boundary(run: Run, scene: Scene, tally: _Tally) -> Result:
    """Rules O5 and K4: the active phase is another one now."""
    run.emit(
        BatchStopped(
            batch=run.batch.id,
            reason=f"the active phase is now {scene.project.phase.name or 'not named'}; "
            f"this batch belongs to {run.batch.record.phase or 'a project without phases'}",
            advice="end the batch with gitbatch abort, or set the active scope in CLAUDE.md back",
        )
    )
    return tally.result(Ending.STOPPED)


async def _stop_complete(run: Run, checkpoint: Checkpoint, tally: _Tally) -> Result:
    """Rule O6: the phase is complete, although items of the batch are left."""
    await run.git(_finish, run)
    left = sum(len(group.items) for group in run.batch.record.groups[checkpoint.number :])
    run.emit(
        BatchStopped(
            batch=run.batch.id,
            reason=f"every Definition-of-Done entry of the phase is complete; {left} item(s) of the batch were not started",
            advice="review the phase; what comes next is yours to decide",
        )
    )
    return tally.result(Ending.STOPPED, over=True)


def _finish(run: Run) -> None:
    """The batch is over: its end is marked last, so that an interruption before it is made good."""
    remove_leftovers(run.repo, run.batch, run.workshop)
    end_batch(run.repo, run.batch, require_tip(run.repo, run.batch.record.target))
