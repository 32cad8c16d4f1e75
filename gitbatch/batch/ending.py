"""The end of a run: the ways in which it can end, its result, and the event that reports it."""

from enum import StrEnum

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.batch.events import BatchHalted, BatchPaused, BatchStopped, EarlyWork
from gitbatch.batch.history.early_work import find_early_work
from gitbatch.batch.history.ledger import read_ledger
from gitbatch.batch.history.progress import read_progress
from gitbatch.batch.history.record import Batch
from gitbatch.batch.item.run import Run
from gitbatch.batch.item.stop import Halt
from gitbatch.batch.model import FailedItem
from gitbatch.batch.planning.project_state import ProjectState
from gitbatch.batch.planning.start import stop_complete
from gitbatch.batch.resume import finish_batch
from gitbatch.batch.tally import Tally
from gitbatch.limits.causes import Cause
from gitbatch.repo.repository import Repository
from gitbatch.text import clean_text


class Ending(StrEnum):
    """The way in which a run ended."""

    COMPLETE = "complete"
    """No item of the batch remains."""
    PAUSED = "paused"
    """Groups or the end of the batch remain, and the user wants to continue later."""
    HALTED = "halted"
    """No further item was started; `Result.halt` has the reason."""
    CONFIG_CHANGED = "config-changed"
    """Groups remain, and gitbatch.toml names programs, hosts, keys or paths that the user has not accepted."""
    STOPPED = "stopped"
    """A hard stop: only the user can continue."""


class Result(Struct, frozen=True):
    """The end of a run."""

    ending: Ending
    succeeded: int
    failed: int
    has_ended: bool
    """Whether the batch has ended, so that the next run starts a new one."""
    halt: Halt | None = None
    failures: tuple[FailedItem, ...] = ()
    not_run: str = ""
    """Why open items of a complete phase do not run (rule O6); empty if the run was not stopped by that."""
    needs_review: bool = False
    """Whether items wait for a decision without which the batch does not continue (`review.require-approval`)."""


def make_result(tally: Tally, ending: Ending, *, has_ended: bool = False) -> Result:
    """Returns the end of a run, with the counts of its items."""
    failures = tally.failures
    return Result(ending, tally.succeeded, len(failures), has_ended, failures=failures)


async def pause_batch(run: Run, tally: Tally, next_group: str) -> Result:
    """Ends a run at a pause; the next run resumes the batch."""
    is_eager = run.eagerness.is_on
    early = await run.git(_read_early_work, run.repo, run.batch) if is_eager else EarlyWork()
    paused = BatchPaused(batch=run.batch.id, next_group=next_group, early=early)
    run.emit(tally.complete_end(run, paused))
    return make_result(tally, Ending.PAUSED)


def _read_early_work(repo: Repository, batch: Batch) -> EarlyWork:
    """Returns what is done of later groups, as git has it now."""
    return find_early_work(repo, batch, read_progress(repo, batch), read_ledger(repo, batch.id))


async def halt_batch(run: Run, tally: Tally) -> Result:
    """Halts the batch at a clean point, perhaps in the middle of a group: finished items are on their branches."""
    halt = run.stop_switch.halt or Halt(Cause.FATAL, clean_text("the batch halted"), "resume: gitbatch run")
    state = await run.git(read_progress, run.repo, run.batch)
    run.emit(
        tally.complete_end(
            run,
            BatchHalted(
                batch=run.batch.id,
                cause=halt.cause,
                reason=halt.reason,
                advice=halt.advice,
                back_at=halt.back_at,
                items_left=len(run.batch.record.items)
                - state.succeeded
                - len(state.failed)
                - len(state.ready),
            ),
        )
    )
    return replace(make_result(tally, Ending.HALTED), halt=halt)


def stop_at_boundary(run: Run, project_state: ProjectState, tally: Tally) -> Result:
    """Ends a run because the active phase is another one now (rules O5, K4)."""
    run.emit(
        tally.complete_end(
            run,
            BatchStopped(
                batch=run.batch.id,
                reason=f"the active phase is now {project_state.project.phase.name or 'not named'}; "
                f"this batch belongs to {run.batch.record.phase or 'a project without phases'}",
                advice="end the batch (gitbatch abort), or set Active Scope in CLAUDE.md back",
            ),
        )
    )
    return make_result(tally, Ending.STOPPED)


async def stop_complete_phase(run: Run, tally: Tally) -> Result:
    """Ends a run because the phase is complete, although items of the batch remain (rule O6)."""
    project_state = await run.git(finish_batch, run.repo, run.batch)
    stopped = stop_complete(project_state.plan, run.batch.id, "every Definition-of-Done entry is done")
    run.emit(tally.complete_end(run, stopped))
    result = make_result(tally, Ending.STOPPED, has_ended=True)
    return replace(result, not_run=stopped.reason if stopped.open_items else "")
