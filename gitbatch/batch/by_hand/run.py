"""Runs checks and gates by hand: each in a fresh folder with the files of a commit, or of it with the checkout's changes."""

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path

from msgspec import Struct

from gitbatch.agents.protocol import OutputStream
from gitbatch.batch.by_hand.choice import CheckChoice, ChosenCheck
from gitbatch.batch.by_hand.trees import CheckSetup
from gitbatch.checks.command import Subject, run_command
from gitbatch.checks.named_paths import find_named_paths
from gitbatch.checks.tree import CheckFolder, TreeContent, open_tree
from gitbatch.checks.verdict import CheckResult
from gitbatch.project.check_tables import ProgramTable
from gitbatch.repo.checkout.changes import copy_changed
from gitbatch.repo.snapshot import TreeSnapshot
from gitbatch.text import CleanText


class CheckedFiles(Struct, frozen=True):
    """The files that are checked."""

    commit: str
    root: Path | None = None
    """The checkout whose changes are put on top; None: the files are those of the commit."""
    changed: tuple[str, ...] = ()
    """The paths that differ in the checkout."""


class HandResult(Struct, frozen=True):
    """The result of a check of an output, or of a gate."""

    output: str
    """Empty: a gate, which judges the whole tree."""
    result: CheckResult


class _Job(Struct, frozen=True):
    """One run of one program."""

    name: str
    table: ProgramTable
    output: str = ""
    paths: tuple[str, ...] | None = None


async def run_checks(
    setup: CheckSetup,
    files: CheckedFiles,
    choice: CheckChoice,
    jobs: int,
    show: Callable[[HandResult], None],
) -> tuple[HandResult, ...]:
    """Runs what was chosen, several at the same time; returns all results in the order of the choice.

    Args:
        setup: what they run with.
        files: what they judge.
        choice: checks and gates; checks of agents are left out.
        jobs: how many at the same time.
        show: gets each result when it comes.
    """
    if setup.extras:
        await setup.extras.make_ready(announce=False)
    wanted = [*map(partial(_plan_job, setup, files), programs_of(choice))]
    wanted += [_Job(name, table) for name, table in choice.gates]
    slots = asyncio.Semaphore(jobs)

    async def run_one(job: _Job) -> HandResult:
        async with slots:
            result = HandResult(job.output, await _run_job(setup, files, job))
        show(result)
        return result

    async with asyncio.TaskGroup() as tasks:
        running = [tasks.create_task(run_one(job)) for job in wanted]
    return tuple(task.result() for task in running)


def programs_of(choice: CheckChoice) -> tuple[ChosenCheck, ...]:
    """Returns the checks by a program: those of agents cost money, and are asked in a batch only."""
    return tuple(check for check in choice.checks if check.table.agent is None)


def _plan_job(setup: CheckSetup, files: CheckedFiles, check: ChosenCheck) -> _Job:
    paths = None
    if check.table.checkout == "context":
        objects = setup.trees.repo.objects
        there = TreeSnapshot(objects, objects.tree_of(files.commit))
        wanted = dict.fromkeys((check.output, *check.reads, *find_named_paths(check.table)))
        paths = tuple(path for path in wanted if path and (there.blob(path) or path in files.changed))
    return _Job(check.name, check.table, check.output, paths)


async def _run_job(setup: CheckSetup, files: CheckedFiles, job: _Job) -> CheckResult:
    content = TreeContent(commit=files.commit, base=files.commit, paths=job.paths)
    async with open_tree(setup.trees, "check", content) as folder:
        await setup.trees.git(_add_changes, files, job, folder)
        stdin = folder.folders.worktree / job.output if job.output else None
        subject = Subject(folder.folders, job.output, stdin)
        return await run_command(setup.tools, job.name, job.table, subject, _show_nothing)


def _add_changes(files: CheckedFiles, job: _Job, folder: CheckFolder) -> None:
    if files.root is not None:
        paths = files.changed if job.paths is None else tuple(set(files.changed) & set(job.paths))
        copy_changed(files.root, paths, folder.folders.worktree)


def _show_nothing(_stream: OutputStream, _line: CleanText) -> None:
    """Shows no line while a program runs: its last ones are in its result."""
