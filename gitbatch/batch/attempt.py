"""One attempt at an item: worktree → agent → harvest → item commit → worktree removed.

The commit point: the item's branch moves, by compare-and-swap, from where it is to the commit that we built. From
then on the item is done, whatever happens; it is never run or paid for again (rule F4).
"""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from gitbatch.agents.prompt import render_prompt
from gitbatch.agents.protocol import Agent, Assignment, Failure, Reply, Stream
from gitbatch.agents.registry import make_agent
from gitbatch.batch.events import AttemptFailed, EventStream, ItemFinished, ItemProgress, ItemStarted
from gitbatch.batch.harvest import Strays, find_strays, harvest
from gitbatch.batch.messages import item_message
from gitbatch.batch.model import BatchGroup, BatchItem, ItemStatus, Outcome
from gitbatch.batch.record import Batch
from gitbatch.batch.scene import Scene
from gitbatch.errors import GitbatchError, GitError
from gitbatch.plan.model import Group, WorkItem
from gitbatch.project.config import seconds
from gitbatch.project.context import ContextFile, manifest
from gitbatch.repo.fingerprint import Fingerprint, require_untouched
from gitbatch.repo.objects import Signature
from gitbatch.repo.refs import item_branch
from gitbatch.repo.repository import Repository
from gitbatch.repo.thread import GitThread
from gitbatch.repo.worktrees import Worktree, add_worktree, remove_tree, remove_worktree
from gitbatch.text import plain


@dataclass(frozen=True, slots=True)
class Run:
    """What one process brings to a batch: the tools that every step uses."""

    repo: Repository
    batch: Batch
    jobs: int
    workshop: Path
    """The batch's folder for worktrees; nothing else is in it."""
    environment: Mapping[str, str]
    emit: EventStream
    clock: Callable[[], float]
    """Seconds since the epoch: for what is written into history."""
    git: GitThread
    fingerprint: Fingerprint
    """The repository's control files when the run began."""

    def committer(self) -> Signature:
        """The user, now."""
        who = self.repo.identity
        return Signature(who.name, who.email, int(self.clock()))


@dataclass(frozen=True, slots=True)
class Task:
    """An item that is about to run, in the group's scene."""

    scene: Scene
    batch_group: BatchGroup
    batch_item: BatchItem
    group: Group
    item: WorkItem
    agent: str
    timeout: float | None
    """Seconds, where a hint says so."""
    retries: int

    @property
    def key(self) -> str:
        """The item's key."""
        return self.batch_item.key


async def run_item(run: Run, task: Task) -> Outcome:
    """Run an item to its end: a failed attempt is followed by another, as often as the item may be retried."""
    number, previous = 1, ""
    while True:
        outcome = await attempt(run, task, number, previous)
        if outcome.succeeded or number > task.retries:
            run.emit(ItemFinished(batch=run.batch.id, outcome=outcome))
            return outcome
        run.emit(AttemptFailed(batch=run.batch.id, outcome=outcome, left=task.retries - number + 1))
        number, previous = number + 1, outcome.reason


async def attempt(run: Run, task: Task, number: int, previous: str) -> Outcome:
    """Run an item once. Every failure of the item is in the outcome; what is raised stops the batch.

    Args:
        run: the tools.
        task: the item.
        number: of the attempt, from 1.
        previous: why the attempt before failed.
    """
    began = time.monotonic()
    place = run.workshop / f"{run.batch.id}-{task.batch_item.slug}"
    scratch = run.workshop / f"{task.batch_item.slug}.io"
    scene = task.scene
    context = await run.git(manifest, task.item, task.group, scene.plan, scene.project, scene.snapshot)
    worktree = await run.git(_make_worktree, run, task, place, context)
    committed = False
    try:
        assignment = replace(_assignment(task, worktree, scratch, context, previous), attempt=number)
        agent = make_agent(task.agent, scene.project.config, run.environment)
        answer = await _ask(run, task, agent, assignment)
        outcome = await _judge(run, task, worktree, answer)
        outcome = replace(outcome, seconds=round(time.monotonic() - began, 3), attempts=number)
        if outcome.succeeded:
            outcome = await run.git(_commit, run, task, outcome, context)
        committed = outcome.succeeded
    finally:
        # Not interrupted by a cancellation: what is left here, the next start would have to remove.
        await asyncio.shield(run.git(_clear, run, task, worktree, scratch, keep_branch=committed))
    return outcome


def _make_worktree(run: Run, task: Task, place: Path, context: tuple[ContextFile, ...]) -> Worktree:
    sparse = None
    if task.scene.project.config.batch.checkout == "context":
        folder = task.item.output.rpartition("/")[0]
        sparse = (*(file.path for file in context), f"{folder}/" if folder else task.item.output)
    branch = item_branch(run.batch.id, task.batch_item.slug)
    output, base = task.item.output, task.scene.commit
    try:
        made = add_worktree(run.repo, path=place, branch=branch, base=base, output=output, sparse=sparse)
    except OSError as error:
        raise GitbatchError(
            f"a worktree can't be made in {place.parent}: {error.strerror}",
            "make room or the folder writable, or set GITBATCH_WORKTREES to another; then gitbatch run goes on",
        ) from error
    guarded = tuple(path for path in task.scene.project.shared_files if (place / path).exists())
    return replace(made, guarded=guarded)


def _assignment(
    task: Task, worktree: Worktree, scratch: Path, context: tuple[ContextFile, ...], previous: str
) -> Assignment:
    table = task.scene.project.config.agents[task.agent]
    return Assignment(
        item=task.key,
        output=task.item.output,
        worktree=worktree.path,
        scratch=scratch,
        prompt=render_prompt(task.item, task.group, context, previous),
        context=context,
        timeout=task.timeout or seconds(table.timeout),
        attempt=1,
    )


async def _ask(run: Run, task: Task, agent: Agent, assignment: Assignment) -> Reply | Failure:
    run.emit(
        ItemStarted(
            batch=run.batch.id,
            item=task.key,
            name=task.batch_item.name,
            agent=task.agent,
            attempt=assignment.attempt,
            context=tuple(plain(file.path) for file in assignment.context),
        )
    )

    def progress(stream: Stream, line: str) -> None:
        run.emit(ItemProgress(batch=run.batch.id, item=task.key, stream=stream, line=line))

    return await agent.run(assignment, progress)


async def _judge(run: Run, task: Task, worktree: Worktree, answer: Reply | Failure) -> Outcome:
    """What the attempt comes to, before anything is committed; a success carries its blob in `commit`."""
    strays = await asyncio.to_thread(find_strays, worktree, task.item.output, task.scene.guarded)
    if strays.forbidden:
        return _refused(task, answer, strays)
    if isinstance(answer, Failure):
        return _failed(task, answer, strays)
    limit = task.scene.project.config.batch.max_output_bytes
    taken = await run.git(harvest, run.repo, worktree.path, task.item.output, limit, task.scene.tree)
    if isinstance(taken, Failure):
        return replace(_failed(task, taken, strays), reply=answer)
    return Outcome(task.batch_item, ItemStatus.SUCCEEDED, answer, taken.blob, strays=strays.others)


def _refused(task: Task, answer: Reply | Failure, strays: Strays) -> Outcome:
    details = answer.details if isinstance(answer, Failure) else ()
    reason = f"the agent changed {', '.join(strays.forbidden)}, which is not its file"
    return Outcome(task.batch_item, ItemStatus.REFUSED, None, None, reason, details, strays.others)


def _failed(task: Task, failure: Failure, strays: Strays) -> Outcome:
    return Outcome(
        task.batch_item, ItemStatus.FAILED, None, None, failure.reason, failure.details, strays.others
    )


def _commit(run: Run, task: Task, outcome: Outcome, context: tuple[ContextFile, ...]) -> Outcome:
    """The first commit point."""
    require_untouched(run.repo, run.fingerprint)
    repo, blob = run.repo, outcome.commit or ""
    tree = repo.objects.write_tree(task.scene.tree, {task.item.output: blob})
    message = item_message(
        run.batch.record, task.batch_group, outcome, task.agent, context, task.item.criteria
    )
    author = Signature(f"{task.agent} (gitbatch agent)", "agent@gitbatch.invalid", int(run.clock()))
    commit = repo.objects.write_commit(tree, (task.scene.commit,), message, author, run.committer())
    branch = item_branch(run.batch.id, task.batch_item.slug)
    # An agent may have committed on its branch, or even deleted it: what it made of it is not asked.
    if not repo.refs.swap(branch, commit, repo.refs.read(branch), "gitbatch: item done"):
        raise GitError(("update-ref", branch, commit), 1, f"{branch} moved while we moved it")
    return replace(outcome, commit=commit)


def _clear(run: Run, task: Task, worktree: Worktree, scratch: Path, *, keep_branch: bool) -> None:
    remove_worktree(run.repo, worktree.path)
    remove_tree(scratch)
    branch = item_branch(run.batch.id, task.batch_item.slug)
    found = None if keep_branch else run.repo.refs.read(branch)
    if found:
        run.repo.refs.delete({branch: found})
