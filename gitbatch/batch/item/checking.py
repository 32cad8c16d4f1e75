"""Checking an output between its harvest and its commit: every check on the blob, each in a fresh folder (rule F6).

The checks of an item run in its job slot: programs side by side, then agents that review (`review_output.py`). A verdict is noted in git when it comes, unless it is the last
one; so a killed run asks no check twice but the interrupted ones. Only when all of them let the output through is
the item committed. One that gives no verdict halts the batch: that is not an attempt, and says nothing about the agent.
"""

# ruff: noqa: PLC0415 - most items have no reviewers: what asks one is imported for it

import asyncio
from functools import partial

from msgspec import Struct, field
from msgspec.structs import replace

from gitbatch.agents.protocol import Failure, OutputStream, Progress
from gitbatch.batch.events import CheckFinished, CheckStarted, ItemProgress
from gitbatch.batch.history.ledger import Ledger
from gitbatch.batch.history.unchecked import Unchecked, drop_unchecked, read_unchecked, write_unchecked
from gitbatch.batch.item.check_folder import CheckedItem, find_content
from gitbatch.batch.item.judge import commit_checked, fail_checked
from gitbatch.batch.item.run import Run
from gitbatch.batch.item.scheduled import FinishedWork, ScheduledItem, ServerWaits
from gitbatch.batch.item.starting_point import find_starting_point
from gitbatch.batch.item.stop import check_unavailable
from gitbatch.batch.item.unexpected import find_run_error
from gitbatch.batch.model import FailedAttempt, Outcome
from gitbatch.checks.command import SIDE_BY_SIDE, Subject, run_command
from gitbatch.checks.remote_check import RemoteCheck
from gitbatch.checks.tree import open_tree
from gitbatch.checks.verdict import CheckResult, CheckVerdict
from gitbatch.concurrency import shielded
from gitbatch.errors import GitError
from gitbatch.plan.item_digest import digest_plan_item
from gitbatch.project.manifest import Manifest
from gitbatch.repo.repository import Repository
from gitbatch.text import CleanText, clean_text


class _Checking(Struct):
    """The checks of one output while they run."""

    run: Run
    finished: FinishedWork
    held: Unchecked
    left: set[str] = field(default_factory=set)
    """The names of the checks that have no verdict yet."""
    slots: asyncio.Semaphore = field(default_factory=partial(asyncio.Semaphore, SIDE_BY_SIDE))
    will_halt: bool = False
    """Whether one of them has ended without a verdict."""

    async def note_verdict(self, result: CheckResult) -> None:
        """Notes a verdict in git, unless it is the last one: the commit or the ledger follows at once."""
        self.left.discard(result.name)
        if result.verdict is CheckVerdict.UNAVAILABLE:
            self.will_halt = True
            return
        scheduled = self.finished.scheduled
        table = scheduled.project_state.project.config.checks[result.name]
        self.held = self.held.with_verdict(result, table)
        if self.left or self.will_halt:
            write = partial(
                write_unchecked, self.run.repo, self.run.batch.id, scheduled.batch_item, self.held
            )
            await shielded(self.run.git(self.run.repo.publish, write))


async def check_output(run: Run, finished: FinishedWork, held: Unchecked) -> Outcome | FailedAttempt | None:
    """Runs the checks of an output that is held, and commits it or fails its attempt.

    Returns:
        The outcome, or the failed attempt; None if a check gives no verdict, which halts the batch.
    """
    checking = _Checking(run, finished, held)
    results = await run.running_agents.run_stoppable(finished.scheduled.key, _run_checks(checking))
    if isinstance(results, Failure):
        from gitbatch.batch.item.agent_check import fail_check

        first = next(name for name in finished.scheduled.checks if name in checking.left)
        results = (fail_check(first, results, 0.0),)
    name = finished.scheduled.batch_item.name
    unavailable = tuple(result for result in results if result.verdict is CheckVerdict.UNAVAILABLE)
    if unavailable and not any(result.failure for result in unavailable):
        run.stop_switch.trip(check_unavailable(name, unavailable))
        return None
    commits = run.commit_context()
    if all(result.verdict.lets_through for result in results):
        return await shielded(run.git(commit_checked, run.repo, commits, finished, held, results))
    return await shielded(run.git(fail_checked, run.repo, commits, finished, held, results))


async def resume_checks(
    run: Run, scheduled: ScheduledItem, past: tuple[FailedAttempt, ...]
) -> tuple[FinishedWork, Unchecked] | None:
    """Returns the output that an earlier run of the batch has harvested and not checked; None if nothing is held."""
    if run.stop_switch.halt:
        return None
    held = await run.git(_find_held, run.ledger, scheduled, past)
    if held is None:
        return None
    start = await run.git(find_starting_point, run.repo, run.batch.id, scheduled)
    if start.context != held.context:
        start = replace(start, context=Manifest(held.context))
    waits = ServerWaits(held.waits, held.waited)
    return FinishedWork(scheduled, start, past, waits, held.tried, held.reply), held


def _find_held(ledger: Ledger, scheduled: ScheduledItem, past: tuple[FailedAttempt, ...]) -> Unchecked | None:
    """Returns the held output of an item, on the item's present base.

    If the branch has another version of the file or of what the agent read by now, only its usage is kept.
    """
    repo, batch, item, output = ledger.repo, ledger.batch.id, scheduled.batch_item, scheduled.item.output
    held = read_unchecked(repo, batch, item)
    if held is None:
        return None
    if not held.is_ended_by(past):
        is_same = held.tried.base == scheduled.base_name
        if is_same and (held.base == scheduled.project_state.commit or not scheduled.reading):
            return replace(held, base=scheduled.project_state.commit)
        if _still_fits(repo, scheduled, held):
            tried = replace(held.tried, base=scheduled.base_name)
            verdicts = held.verdicts if is_same else ()
            return replace(held, base=scheduled.project_state.commit, tried=tried, verdicts=verdicts)
        reason = clean_text(
            f"{output}, what it read, or its line was changed on the branch before it was checked"
        )
        ledger.add_attempt(replace(held.tried, cause=None, reason=reason))
    drop_unchecked(repo, batch, item)
    return None


def _still_fits(repo: Repository, scheduled: ScheduledItem, held: Unchecked) -> bool:
    """Whether a new base has the same version of an item's file, of all that it read, and of the plan's line if it is early."""
    state, output, find = scheduled.project_state, scheduled.item.output, repo.objects.find_entry
    before, now = (find(tree, output) for tree in (repo.objects.tree_of(held.base), state.tree))
    is_same = before == now and all(state.snapshot.blob(file.path) == file.blob for file in held.context)
    # An early item is taken only if its place in the plan is the same: from the new base on, its commit would say so.
    return is_same and held.plan_item in {"", digest_plan_item(scheduled.item, scheduled.group)}


async def _run_checks(checking: _Checking) -> tuple[CheckResult, ...]:
    """Runs the checks that have no verdict yet; returns the results of those that ran, in their order.

    The programs run side by side. If all of them let the output through, the agents that review are asked, one after
    the other: they cost money, and what they use is charged to the one item.
    """
    finished, held = checking.finished, checking.held
    names = finished.scheduled.checks
    tables = finished.scheduled.project_state.project.config.checks
    known = {name: held.find_verdict(name, tables[name]) for name in names}
    found = {name: result for name, result in known.items() if result is not None}
    checking.left.update(set(names) - found.keys())
    programs = tuple(name for name in names if tables[name].agent is None)
    found |= await _run_programs(checking, tuple(name for name in programs if name not in found))
    if all(found[name].verdict.lets_through for name in programs):
        for name in (name for name in names if name not in found):
            found[name] = await _run_check(checking, name)
            if found[name].failure:
                break
    return tuple(found[name] for name in names if name in found)


async def _run_programs(checking: _Checking, names: tuple[str, ...]) -> dict[str, CheckResult]:
    """Runs the checks that are programs, side by side. The first error ends the others, and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as tasks:
            running = {name: tasks.create_task(_run_in_turn(checking, name)) for name in names}
    except ExceptionGroup as several:
        raise find_run_error(several) or several.exceptions[0] from several
    return {name: task.result() for name, task in running.items()}


async def _run_in_turn(checking: _Checking, name: str) -> CheckResult:
    """Runs one check when fewer than `SIDE_BY_SIDE` of its item run."""
    async with checking.slots:
        return await _run_check(checking, name)


async def _run_check(checking: _Checking, name: str) -> CheckResult:
    """Runs one check in a folder of its own, and reports it."""
    run, scheduled = checking.run, checking.finished.scheduled
    batch, key, number = run.batch.id, scheduled.key, scheduled.batch_item.group
    item, shown = scheduled.item.output, scheduled.batch_item.name

    def show_progress(stream: OutputStream, line: CleanText) -> None:
        said = clean_text(f"{name}: {line}")
        run.emit(ItemProgress(batch=batch, slug=key, group=number, item=item, stream=stream, line=said))

    run.emit(CheckStarted(batch=batch, slug=key, group=number, item=item, name=shown, check=name))
    result = await _judge_blob(checking, name, scheduled.secrets.mask_progress(show_progress))
    result = replace(
        result,
        reason=scheduled.secrets.mask_line(result.reason),
        findings=scheduled.secrets.mask_lines(result.findings),
    )
    run.emit(CheckFinished(batch=batch, slug=key, group=number, item=item, name=shown, result=result))
    await checking.note_verdict(result)
    return result


async def _judge_blob(checking: _Checking, name: str, progress: Progress) -> CheckResult:
    run, scheduled = checking.run, checking.finished.scheduled
    table = scheduled.project_state.project.config.checks[name]
    checked = CheckedItem(scheduled, checking.held.blob, checking.held.context)
    if table.agent is not None:
        from gitbatch.batch.item.review_output import review_output

        return await review_output(run, checking.finished, checked, name, progress)
    try:
        content, is_own = await run.git(find_content, run.repo, run.commit_context(), checked, table)
        if run.remote_checks:
            return await run.remote_checks.run_check(
                RemoteCheck(name, table, content, reads_blob=is_own), progress
            )
        async with open_tree(run.trees, f"{scheduled.batch_item.slug}.check", content) as folder:
            output = str(folder.blob) if is_own else scheduled.item.output
            subject = Subject(folder.folders, output, folder.blob)
            return await run_command(run.check_tools, name, table, subject, progress)
    except GitError as error:  # another process has removed the objects: no ref has those of the folder
        return CheckResult(name, CheckVerdict.UNAVAILABLE, reason=clean_text(error.message))
