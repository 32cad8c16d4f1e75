"""One attempt at an item: worktree → agent → harvest → item commit (`item_commit.py`) → worktree removed."""

import asyncio
import secrets
import time
from contextlib import suppress
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.agents.prompt import render_group, render_item, render_prompt
from gitbatch.agents.protocol import Agent, Assignment, Failure, LocalPlace, OutputStream, Reply
from gitbatch.batch.events import ItemProgress, ItemStarted, Notice
from gitbatch.batch.item.commit import take_output
from gitbatch.batch.item.harvest import find_strays
from gitbatch.batch.item.rescue import StartingPoint, keep_output
from gitbatch.batch.item.run import ItemTask, Run
from gitbatch.batch.item.starting_point import prepare
from gitbatch.batch.item.stop import Halt
from gitbatch.batch.item.unexpected import fail_attempt, find_run_error, is_cancelled
from gitbatch.batch.model import FailedAttempt, ItemStatus, Outcome
from gitbatch.concurrency import shielded
from gitbatch.errors import GitbatchError
from gitbatch.fs.disk import disk_error
from gitbatch.fs.removal import remove_tree
from gitbatch.fs.room import require_room
from gitbatch.limits.causes import Cause
from gitbatch.limits.usage import Spent, Usage
from gitbatch.paths import quote_path
from gitbatch.plan.duration import require_duration
from gitbatch.repo.base import Base
from gitbatch.repo.worktrees.worktree import remove_worktree
from gitbatch.text import CleanText, clean_text

_START = secrets.token_hex(2)
"""In the names of this process's folders: without a sandbox, agents of a killed run may still write into theirs."""
_MOMENT = 0.01
"""Seconds that are no wait."""


class ServerWaits(Struct, frozen=True):
    """How often and how long an item waited for a server."""

    count: int = 0
    seconds: float = 0.0

    def more(self) -> "ServerWaits":
        """With one more."""
        return replace(self, count=self.count + 1)

    def longer(self, seconds: float) -> "ServerWaits":
        """With so many more seconds, if it is more than the looking itself takes."""
        return replace(self, seconds=round(self.seconds + seconds, 3)) if seconds >= _MOMENT else self


async def attempt(
    run: Run, task: ItemTask, past: tuple[FailedAttempt, ...], waits: ServerWaits
) -> Outcome | FailedAttempt:
    """Run an item once. Every failure of the item is a value, an internal error too; what is raised stops the batch.

    Args:
        run: the tools.
        task: the item.
        past: the attempts before.
        waits: what it waited so far.
    """
    began = time.monotonic()
    place = run.worktrees_dir / f"{run.batch.id}-{task.batch_item.slug}-{_START}"
    scratch = run.worktrees_dir / f"{task.batch_item.slug}-{_START}.io"
    project_state = task.project_state
    counted = tuple(tried for tried in past if tried.is_counted)
    tried = FailedAttempt(
        task.key,
        project_state.commit,
        len(counted) + 1,
        ItemStatus.FAILED,
        Cause.FAILED,
        reason=clean_text(""),
    )
    keep, start, work = False, None, None
    try:
        _require_room(run)
        start = await run.git(prepare, run, task, place)
        assignment = replace(_assignment(task, start, counted), used=spent_by(past).usage)
        here = LocalPlace(
            worktree=place,
            scratch=scratch,
            git=run.agent_git.readable(place, project_state.commit),
            checkouts=run.checkouts.folders,
            hidden=(run.worktrees_dir.parent.parent,),
            base=Base(project_state.commit, project_state.snapshot, run.git, run.repo.git),
        )
        agent = run.agents.get_agent(task.agent, project_state.project.config)
        answer = await _ask(run, task, agent, assignment, here, tried)
        _require_room(run)
        tried = replace(tried, seconds=round(time.monotonic() - began, 3), usage=_settle(run, task, answer))
        # What an agent has finished is paid for: it is taken even if the run is being ended.
        keep = True  # where even that is cut off, the next start sees what the branch has
        if isinstance(answer, Reply):
            _require_cost(run, task, tried.usage)
        work = FinishedWork(start, past, waits, tried)
        result = await _judged(run, task, work, answer)
        keep = isinstance(result, Outcome) and result.succeeded
    except BaseException as error:  # noqa: BLE001 - the one broad catch of an item: its trouble stays its own (rule E1)
        if found := find_run_error(error):
            raise found from error.__cause__
        _cancel_again()
        keep = False
        tried = _settled(run, task, tried, began)
        tried = fail_attempt(tried, task.agent, error, run.agents.find_secrets(project_state.project.config))
        if start and not work:  # it was the agent's error: what it had written is judged as that of any other
            await shielded(run.git(keep_output, run, task, tried, start))
        return tried
    else:
        return result
    finally:
        # Not interrupted by a cancellation: what is left here, the next start would have to remove.
        if not await shielded(run.git(_clear, run, task, place, scratch, keep=keep)):
            name = task.batch_item.name
            text = f"something still writes into the worktree of {name}; it was moved aside in {run.worktrees_dir}"
            run.emit(Notice(batch=run.batch.id, text=text))


def _settled(run: Run, task: ItemTask, tried: FailedAttempt, began: float) -> FailedAttempt:
    """Returns an attempt that was cut off by an error, with what it has used until then."""
    if tried.seconds:
        return tried
    seconds = round(max(time.monotonic() - began, 0.001), 3)
    return replace(tried, seconds=seconds, usage=run.agents.budget.close_attempt(task.key, Usage()))


def _cancel_again() -> None:
    """Repeats a cancellation that an agent answered with an error of its own: the next wait of this task raises it."""
    task = asyncio.current_task()
    if task and is_cancelled():
        task.cancel()


def _require_room(run: Run) -> None:
    require_room(run.worktrees_dir, run.repo.common_dir)


class FinishedWork(Struct, frozen=True):
    """An attempt whose agent is done, and what there was before it."""

    start: StartingPoint
    past: tuple[FailedAttempt, ...]
    waits: ServerWaits
    tried: FailedAttempt
    """What is known of it: its number, its time, what it used."""


async def _judged(
    run: Run, task: ItemTask, work: FinishedWork, answer: Reply | Failure
) -> Outcome | FailedAttempt:
    """What becomes of an attempt whose agent is done; what it used is written down even if the disk fails here."""
    try:
        return await shielded(run.git(_judge, run, task, work, answer))
    except (OSError, GitbatchError) as error:
        if disk_error(error) and not work.tried.usage.is_empty:
            cut = replace(work.tried, cause=Cause.DISK, reason=clean_text("the disk failed"))
            with suppress(OSError, GitbatchError):  # it may not take that either
                await shielded(run.git(run.ledger.add_attempt, cut))
        raise


def _judge(run: Run, task: ItemTask, work: FinishedWork, answer: Reply | Failure) -> Outcome | FailedAttempt:
    """What becomes of an attempt whose agent is done; what one that failed had written is kept."""
    start, judged = work.start, _judge_answer(run, task, work, answer)
    if isinstance(judged, FailedAttempt):
        keep_output(run, task, judged, start)
    return judged


def _judge_answer(
    run: Run, task: ItemTask, work: FinishedWork, answer: Reply | Failure
) -> Outcome | FailedAttempt:
    start, tried, waits = work.start, work.tried, work.waits
    if not start.worktree.path.is_dir():
        reason = clean_text("its worktree was removed while it ran")
        return replace(tried, reason=reason, details=_details(answer))
    strays = find_strays(start.worktree, task.item.output, task.project_state.guarded)
    secrets = run.agents.find_secrets(task.project_state.project.config)
    tried = replace(tried, strays=secrets.mask_lines(strays.others))
    if strays.forbidden:
        return replace(
            tried,
            status=ItemStatus.REFUSED,
            reason=clean_text(f"the agent changed {', '.join(strays.forbidden)}, which is not its file"),
            details=_details(answer),
            cause=Cause.REFUSED,
        )
    if isinstance(answer, Failure):
        return _told(tried, answer)
    outcome = Outcome(
        task.batch_item,
        ItemStatus.SUCCEEDED,
        reply=replace(answer, usage=tried.usage),
        strays=tried.strays,
        attempts=tried.number,
        earlier=tuple(before for before in work.past if before.is_counted),
        seconds=round(seconds_of(work.past) + tried.seconds, 3),
        waits=waits.count,
        waited=waits.seconds,
        spent=spent_by(work.past) + Spent.of_attempt(tried.usage),
    )
    taken = take_output(run, task, start.worktree, outcome, start.context, start.output)
    return (
        _told(tried, replace(taken, details=taken.details or _details(answer)))
        if isinstance(taken, Failure)
        else taken
    )


def seconds_of(past: tuple[FailedAttempt, ...]) -> float:
    """How long attempts took together."""
    return round(sum(tried.seconds for tried in past), 3)


def spent_by(past: tuple[FailedAttempt, ...]) -> Spent:
    """What attempts used together."""
    return sum((Spent.of_attempt(tried.usage) for tried in past), Spent())


def _settle(run: Run, task: ItemTask, answer: Reply | Failure) -> Usage:
    """What the attempt used. One that the server was too busy for, and that says nothing, has cost nothing."""
    is_busy = (
        isinstance(answer, Failure) and answer.cause in {Cause.BUSY, Cause.LATER} and not answer.is_guess
    )
    if is_busy and answer.usage.is_empty and not run.agents.budget.is_charged(task.key):
        return Usage()
    return run.agents.budget.close_attempt(task.key, answer.usage)


def _told(tried: FailedAttempt, failure: Failure) -> FailedAttempt:
    return replace(
        tried,
        status=ItemStatus.REFUSED if failure.cause is Cause.LEAK else tried.status,
        reason=failure.reason,
        details=failure.details,
        cause=failure.cause,
        retry_after=failure.retry_after,
        is_guess=failure.is_guess,
    )


def _require_cost(run: Run, task: ItemTask, used: Usage) -> None:
    """Let nothing start any more where a money limit can't be kept, because an agent does not say what it cost."""
    if run.agents.budget.max_cost is not None and used.cost is None:
        reason = clean_text(f"agent {task.agent} did not say what {task.batch_item.name} cost")
        run.brake.pull(Halt(Cause.BUDGET, reason, "let it report its cost, or run without a money limit"))


def _details(answer: Reply | Failure) -> tuple[CleanText, ...]:
    """Returns what the agent said at last: of one that thinks it succeeded, its summary."""
    if isinstance(answer, Failure):
        return answer.details
    return (answer.summary,) if answer.summary else ()


def _assignment(task: ItemTask, start: StartingPoint, counted: tuple[FailedAttempt, ...]) -> Assignment:
    previous = counted[-1].failure if counted else None
    table = task.project_state.project.config.agents[task.agent]
    return Assignment(
        item=task.key,
        output=task.item.output,
        prompt=render_prompt(task.item, task.group, start.context, previous, start.output),
        context=start.context,
        timeout=task.timeout or require_duration(table.timeout),
        attempt=len(counted) + 1,
        previous=previous,
        earlier=start.output,
        group=render_group(task.group),
        task=render_item(task.item),
    )


async def _ask(
    run: Run,
    task: ItemTask,
    agent: Agent,
    assignment: Assignment,
    place: LocalPlace,
    tried: FailedAttempt,
) -> Reply | Failure:
    """The agent's answer. What an attempt that is interrupted has used until then, is written down."""
    run.emit(
        ItemStarted(
            batch=run.batch.id,
            item=task.key,
            name=task.batch_item.name,
            agent=task.agent,
            attempt=assignment.attempt,
            context=tuple(quote_path(file.path) for file in assignment.context),
        )
    )

    secrets = run.agents.find_secrets(task.project_state.project.config)

    def progress(stream: OutputStream, line: CleanText) -> None:
        run.emit(ItemProgress(batch=run.batch.id, item=task.key, stream=stream, line=line))

    try:
        answer = await agent.run(assignment, place, secrets.mask_progress(progress))
    except asyncio.CancelledError:
        if not is_cancelled():  # raised by the agent: an internal error
            raise
        used = run.agents.budget.close_attempt(task.key, Usage())
        if not used.is_empty:
            cut = replace(tried, cause=None, reason=clean_text("interrupted"), usage=used)
            await shielded(run.git(run.ledger.add_attempt, cut))
        raise
    if isinstance(answer, Reply):
        run.agents.rate_limit.note_success()
    return secrets.mask_answer(answer)


def _clear(run: Run, task: ItemTask, worktree: Path, scratch: Path, *, keep: bool) -> bool:
    """Remove what an attempt had; its branch too, unless it has our commit. Returns whether its folders are gone.

    Where an agent could write refs, its branch may have a commit that looks like ours: it is not asked how it looks.
    """
    gone = [remove_worktree(run.repo, worktree), remove_tree(scratch)]
    if not keep:
        run.repo.refs.remove(task.branch(run.batch.id))  # where that fails, the next start does it
    return all(gone)
