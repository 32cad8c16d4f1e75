"""The run: group after group (rule P4), a checkpoint after each, a pause where the mode says so."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.agents.process.confine import strict_advice
from gitbatch.batch.events import (
    BatchFinished,
    BatchHalted,
    BatchPaused,
    BatchStarted,
    BatchStopped,
    BatchWaiting,
    CheckpointReached,
    ConfigChanged,
    GroupStarted,
    Notice,
)
from gitbatch.batch.group.checkpoint import drop_branches, record_group
from gitbatch.batch.group.run_group import pending_items, run_group
from gitbatch.batch.history.progress import BatchProgress, read_progress
from gitbatch.batch.history.record import end_batch
from gitbatch.batch.history.target import require_not_checked_out_elsewhere, require_tip
from gitbatch.batch.history.worktree_folders import remove_leftovers
from gitbatch.batch.item.run import Run
from gitbatch.batch.item.stop import Halt
from gitbatch.batch.model import PHASE_COMPLETE, BatchGroup, Checkpoint
from gitbatch.batch.planning.agents import recorded_agents
from gitbatch.batch.planning.preflight import require_clean, require_no_nested_repositories
from gitbatch.batch.planning.project_state import ProjectState, read_project_state, require_runnable
from gitbatch.batch.planning.required_objects import require_objects
from gitbatch.batch.resume import resume
from gitbatch.limits.causes import Cause
from gitbatch.repo.checkout.branch import require_nothing_under_way
from gitbatch.repo.checkout.follow import Followed
from gitbatch.repo.refs.names import short
from gitbatch.repo.unlocked import require_unlocked
from gitbatch.repo.worktrees.checkouts import name_in_checkout, unknown_advice
from gitbatch.text import clean_text

_COMPLETE = "every Definition-of-Done entry of the phase is complete"

Pause = Callable[[Checkpoint], Awaitable[bool]]
"""Asks for a review of a checkpoint; true: go on."""


Accept = Callable[[], Awaitable[bool]]
"""Asks whether to run by a configuration that has changed, once the difference is shown; true: accept it."""


class Ending(StrEnum):
    """How a run came to its end."""

    COMPLETE = "complete"
    """Nothing of the batch is left to do."""
    PAUSED = "paused"
    """Groups are left, and the user wants to go on later."""
    HALTED = "halted"
    """No item was started any more: see why in `Result.halt`."""
    CONFIG_CHANGED = "config-changed"
    """Groups are left, and gitbatch.toml names what the user has not accepted."""
    STOPPED = "stopped"
    """A hard stop: only the user may go on."""


class Result(Struct, frozen=True):
    """The end of a run."""

    ending: Ending
    succeeded: int
    failed: int
    over: bool
    """Whether the batch has ended, so that the next run starts a new one."""
    halt: Halt | None = None


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


async def run_batch(run: Run, pause: Pause, accept: Accept, *, resumed: bool) -> Result:
    """Run a batch from wherever it is to its end, a pause, or a hard stop."""
    run.agents.rate_limit.listener = lambda wait, why: run.emit(
        BatchWaiting(batch=run.batch.id, seconds=round(wait, 1), reason=why)
    )
    state, followed = await run.git(resume, run)
    _announce(run, state, await run.git(_sandboxes, run), resumed=resumed)
    _tell_kept(run, followed)
    await run.git(_require_ready, run, state, resumed=resumed)
    tally = _Tally(state.succeeded, state.missing)
    record = run.batch.record
    for group in record.groups:
        if state.is_finished(group):
            continue
        project_state = await run.git(_read_runnable_state, run, state)
        stopped = await _hard_stop(run, project_state, tally, accept)
        if stopped:
            return stopped
        if not pending_items(project_state, group, state.ready):
            tally.succeeded += len(group.items)
            text = f"every item of “{group.title}” is ticked in {project_state.plan.path}: none of them runs again"
            run.emit(Notice(batch=run.batch.id, text=clean_text(text)))
            continue
        checkpoint = (
            None if run.brake.halt else await _run_one(run, project_state, group, state, tally.missing)
        )
        if checkpoint is None:
            return await _halt(run, tally)
        tally.add(checkpoint)
        rest = record.groups[checkpoint.number :]
        if (
            rest
            and not checkpoint.phase_complete
            and not run.brake.halt
            and record.checkpoint_mode.pauses_after(checkpoint.number)
            and not await pause(checkpoint)
        ):
            run.emit(BatchPaused(batch=run.batch.id, next_group=rest[0].title))
            return tally.result(Ending.PAUSED)
    project_state = await run.git(_finish, run)
    if project_state.is_complete:
        run.emit(Notice(batch=run.batch.id, text=PHASE_COMPLETE))
    result = tally.result(Ending.COMPLETE, over=True)
    run.emit(
        BatchFinished(
            batch=run.batch.id,
            succeeded=result.succeeded,
            failed=result.failed,
            spent=run.agents.budget.spent,
        )
    )
    return result


def _require_ready(run: Run, state: BatchProgress, *, resumed: bool) -> None:
    """Refuse to go on over the user's changes, or in the middle of a merge, in a checkout that would follow."""
    if not resumed:  # it has only just begun, and has seen all that
        return
    target = run.batch.record.target
    if run.repo.head_branch() != target:
        require_not_checked_out_elsewhere(run.repo, target)
    else:
        require_nothing_under_way(run.repo)
        left = tuple(i.key for g in run.batch.record.groups if not state.is_finished(g) for i in g.items)
        project_state = read_project_state(run.repo, require_tip(run.repo, target))
        # An edited plan is the user's next thought, and gets the ticks, as one that is edited during a run does.
        require_no_nested_repositories(run.repo, project_state, left)
        require_clean(run.repo, project_state, left, exempt=frozenset({project_state.project.task}))
    require_unlocked(run.repo, target)
    run.repo.objects.require_signer()


def _read_runnable_state(run: Run, state: BatchProgress) -> ProjectState:
    project_state = read_project_state(run.repo, require_tip(run.repo, run.batch.record.target))
    require_runnable(project_state)
    left = (item for g in run.batch.record.groups if not state.is_finished(g) for item in g.items)
    require_objects(
        run.repo, project_state, filter(None, (project_state.find_item(item.key) for item in left))
    )
    return project_state


async def _is_accepted(run: Run, project_state: ProjectState, accept: Accept) -> bool:
    """Whether a group may start by the configuration that its base has."""
    change = run.fixed.find_change(project_state)
    if change is None:
        return True
    run.emit(ConfigChanged(batch=run.batch.id, difference=change.difference))
    if not await accept():
        return False
    await run.git(run.fixed.accept_change, run.repo, run.batch.id, change)
    return True


async def _run_one(
    run: Run, project_state: ProjectState, group: BatchGroup, state: BatchProgress, missing: frozenset[str]
) -> Checkpoint | None:
    """Run a group and record it; None if the batch halts before it is complete."""
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
    marks = {item.output: item.box for item in project_state.plan.items}
    outcomes = await run_group(run, project_state, group, already, missing)
    if outcomes is None:
        return None
    checkpoint = await run.git(record_group, run, group, outcomes, marks, project_state.commit)
    stay = await run.git(drop_branches, run, checkpoint)
    run.emit(CheckpointReached(batch=run.batch.id, checkpoint=checkpoint))
    for ref in stay:
        run.emit(Notice(batch=run.batch.id, text=f"{short(ref)} is merged and stays: it is checked out"))
    return checkpoint


class _Confined(Struct, frozen=True):
    """What a batch's agents run in."""

    sandboxes: str
    readable: tuple[str, ...]
    """What of the checkout they may read."""
    advice: tuple[str, ...]


def _sandboxes(run: Run) -> _Confined:
    """What the batch's agents run in. Refuses to start where an agent cannot work."""
    project_state = read_project_state(run.repo, require_tip(run.repo, run.batch.record.target))
    names, config = recorded_agents(project_state, run.batch.record), project_state.project.config
    readable = run.agents.read_in_checkouts(names, config, run.checkouts.folders)
    shown = tuple(clean_text(name_in_checkout(path, run.repo.root)) for path in readable)
    sandboxes = run.agents.sandbox_kinds(names, config)
    told = ((name, strict_advice(config.agents[name], run.agents.sandbox)) for name in sorted(names))
    unknown = () if sandboxes in {"", "none"} else tuple(map(unknown_advice, run.checkouts.unknown))
    advice = (*unknown, *(f"agent {name}: {text}" for name, text in told if text))
    return _Confined(sandboxes, shown, tuple(map(clean_text, advice)))


def _announce(run: Run, state: BatchProgress, confined: _Confined, *, resumed: bool) -> None:
    record = run.batch.record
    run.emit(
        BatchStarted(
            batch=run.batch.id,
            resumed=resumed,
            target=record.target,
            mode=record.mode,
            agent=record.agent,
            jobs=run.jobs,
            sandbox=confined.sandboxes,
            readable=confined.readable,
            groups=len(record.groups),
            items=len(record.items),
            groups_done=len(state.finished),
            items_done=state.succeeded + len(state.failed),
            max_cost=run.agents.budget.max_cost,
            max_tokens=run.agents.budget.max_tokens,
            spent=run.agents.budget.spent,
        )
    )
    for text in confined.advice:
        run.emit(Notice(batch=run.batch.id, text=text))


def _tell_kept(run: Run, followed: Followed) -> None:
    for path in followed.kept:
        run.emit(Notice(batch=run.batch.id, text=f"your own version of {path} stays in the checkout"))
    for note in followed.notes:
        run.emit(Notice(batch=run.batch.id, text=note))


async def _halt(run: Run, tally: _Tally) -> Result:
    """The batch halts at a clean point, perhaps in the middle of a group: what is done is on its branches."""
    halt = run.brake.halt or Halt(Cause.FATAL, clean_text("the batch halted"), "gitbatch run goes on")
    state = await run.git(read_progress, run.repo, run.batch)
    run.emit(
        BatchHalted(
            batch=run.batch.id,
            cause=halt.cause,
            reason=halt.reason,
            advice=halt.advice,
            back_at=halt.back_at,
            items_left=len(run.batch.record.items) - state.succeeded - len(state.failed) - len(state.ready),
            spent=run.agents.budget.spent,
        )
    )
    return replace(tally.result(Ending.HALTED), halt=halt)


async def _hard_stop(run: Run, project_state: ProjectState, tally: _Tally, accept: Accept) -> Result | None:
    """The end of a run where only the user may go on, if that is so."""
    if project_state.project.phase.name != run.batch.record.phase:
        return _stop_at_boundary(run, project_state, tally)
    if project_state.is_complete:
        return await _stop_complete(run, tally)
    return None if await _is_accepted(run, project_state, accept) else tally.result(Ending.CONFIG_CHANGED)


def _stop_at_boundary(run: Run, project_state: ProjectState, tally: _Tally) -> Result:
    """Rules O5 and K4: the active phase is another one now."""
    run.emit(
        BatchStopped(
            batch=run.batch.id,
            reason=f"the active phase is now {project_state.project.phase.name or 'not named'}; "
            f"this batch belongs to {run.batch.record.phase or 'a project without phases'}",
            advice="end the batch with gitbatch abort, or set the active scope in CLAUDE.md back",
        )
    )
    return tally.result(Ending.STOPPED)


async def _stop_complete(run: Run, tally: _Tally) -> Result:
    """Rule O6: the phase is complete, although items of the batch are left."""
    await run.git(_finish, run)
    left = len(run.batch.record.items) - tally.succeeded - len(tally.missing)
    run.emit(
        BatchStopped(
            batch=run.batch.id,
            reason=f"{_COMPLETE}; {left} item(s) of the batch were not started",
            advice=PHASE_COMPLETE,
        )
    )
    return tally.result(Ending.STOPPED, over=True)


def _finish(run: Run) -> ProjectState:
    """The batch is over: its end is marked last, so that an interruption before it is made good."""
    remove_leftovers(run.repo, run.batch.id)
    tip = require_tip(run.repo, run.batch.record.target)
    end_batch(run.repo, run.batch.id, tip)
    return read_project_state(run.repo, tip)
