"""One attempt at an item: worktree → agent → harvest → item commit → worktree removed.

The commit point: the item's branch moves, by compare-and-swap, from where it is to the commit that we built. From
then on the item is done, whatever happens; it is never run or paid for again (rule F4).
"""

import asyncio
import time
from dataclasses import replace
from pathlib import Path

from gitbatch.agents.failures import Cause
from gitbatch.agents.prompt import render_prompt
from gitbatch.agents.protocol import Agent, Assignment, Failure, Reply, Stream
from gitbatch.batch.events import AttemptFailed, ItemFinished, ItemProgress, ItemStarted, Notice
from gitbatch.batch.harvest import find_strays, harvest
from gitbatch.batch.merge import finished
from gitbatch.batch.messages import item_message
from gitbatch.batch.model import ItemStatus, Outcome
from gitbatch.batch.running import Run, Task
from gitbatch.errors import GitbatchError, GitError
from gitbatch.project.config import seconds
from gitbatch.project.context import ContextFile, manifest
from gitbatch.repo.fingerprint import require_untouched
from gitbatch.repo.objects import Signature
from gitbatch.repo.thread import to_its_end
from gitbatch.repo.worktrees import Worktree, add_worktree, remove_tree, remove_worktree
from gitbatch.text import Harmless, plain

_TRIES = 10
"""How often an output is taken again when its objects were pruned before its branch had them."""


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
    try:
        context = await run.git(manifest, task.item, task.group, scene.plan, scene.project, scene.snapshot)
        worktree = await run.git(_make_worktree, run, task, place, context)
        assignment = _assignment(task, worktree, scratch, context, previous)
        assignment = replace(
            assignment,
            attempt=number,
            repository=(run.repo.root, run.repo.common_dir),
            hidden=(run.workshop.parent.parent,),
        )
        agent = run.agents.agent(task.agent, scene.project.config)
        answer = await _ask(run, task, agent, assignment)
        outcome = Outcome(
            task.batch_item, ItemStatus.FAILED, attempts=number, seconds=round(time.monotonic() - began, 3)
        )
        # What an agent has finished is paid for: it is taken even if the run is being ended.
        return await to_its_end(_judge(run, task, worktree, answer, outcome, context))
    finally:
        # Not interrupted by a cancellation: what is left here, the next start would have to remove.
        if not await to_its_end(run.git(_clear, run, task, place, scratch)):
            name = task.batch_item.name
            text = f"something still writes into the worktree of {name}; it was moved aside in {run.workshop}"
            run.emit(Notice(batch=run.batch.id, text=text))


async def _judge(
    run: Run,
    task: Task,
    worktree: Worktree,
    answer: Reply | Failure,
    outcome: Outcome,
    context: tuple[ContextFile, ...],
) -> Outcome:
    """What becomes of an attempt whose agent is done; `outcome`: what is known of it before."""
    if not worktree.path.is_dir():
        return replace(
            outcome, reason=plain("its worktree was removed while it ran"), details=_details(answer)
        )
    strays = await asyncio.to_thread(find_strays, worktree, task.item.output, task.scene.guarded)
    outcome = replace(outcome, strays=strays.others)
    if strays.forbidden:
        return replace(
            outcome,
            status=ItemStatus.REFUSED,
            reason=plain(f"the agent changed {', '.join(strays.forbidden)}, which is not its file"),
            details=_details(answer),
            cause=Cause.REFUSED,
        )
    if isinstance(answer, Failure):
        return replace(outcome, reason=answer.reason, details=answer.details, cause=answer.cause)
    return await run.git(_take, run, task, worktree, replace(outcome, reply=answer), context)


def _details(answer: Reply | Failure) -> tuple[Harmless, ...]:
    return answer.details if isinstance(answer, Failure) else ()


def _make_worktree(run: Run, task: Task, place: Path, context: tuple[ContextFile, ...]) -> Worktree:
    sparse = None
    if task.scene.project.config.batch.checkout == "context":
        folder = task.item.output.rpartition("/")[0]
        sparse = (*(file.path for file in context), f"{folder}/" if folder else task.item.output)
    branch = task.branch(run.batch.id)
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

    def progress(stream: Stream, line: Harmless) -> None:
        run.emit(ItemProgress(batch=run.batch.id, item=task.key, stream=stream, line=line))

    return await agent.run(assignment, progress)


def _take(
    run: Run, task: Task, worktree: Worktree, outcome: Outcome, context: tuple[ContextFile, ...]
) -> Outcome:
    """Harvest the output and commit it: the first commit point.

    Until the branch has them, a `git gc --prune=now` somewhere may remove the new objects; so they are looked
    for afterwards, and taken again, as long as the worktree is there.
    """
    limit = task.scene.project.config.batch.max_output_bytes
    problem = plain("git loses the new objects: is something pruning this repository all the time?")
    for _ in range(_TRIES):
        try:
            taken = harvest(run.repo, worktree.path, task.item.output, limit, task.scene.tree)
            if isinstance(taken, Failure):
                return replace(outcome, reason=taken.reason, details=taken.details, cause=taken.cause)
            commit = _commit(run, task, outcome, taken.blob, context)
        except (
            GitError
        ) as error:  # an object is pruned before the branch has it, or branches are below its name
            problem = plain(error.message)
            run.repo.refs.delete(run.repo.refs.below(f"{task.branch(run.batch.id)}/"))
            continue
        if finished(run.repo, run.batch.id, task.batch_item, commit):
            return replace(outcome, status=ItemStatus.SUCCEEDED, commit=commit)
    return replace(outcome, reason=problem)


def _commit(run: Run, task: Task, outcome: Outcome, blob: str, context: tuple[ContextFile, ...]) -> str:
    repo, branch = run.repo, task.branch(run.batch.id)
    tree = repo.objects.write_tree(task.scene.tree, {task.item.output: blob})
    message = item_message(
        run.batch.record, task.batch_group, outcome, task.agent, context, task.item.criteria
    )
    author = Signature(f"{task.agent} (gitbatch agent)", "agent@gitbatch.invalid", int(run.clock()))
    commit = repo.objects.write_commit(tree, (task.scene.commit,), message, author, run.committer())
    require_untouched(repo, run.fingerprint)
    # An agent may have committed on its branch, or deleted it: that is not asked.
    if not repo.refs.advance(branch, commit, repo.refs.read(branch)):
        raise GitError(("update-ref", branch, commit), 1, f"{branch} moved while we moved it")
    return commit


def _clear(run: Run, task: Task, place: Path, scratch: Path) -> bool:
    """Remove what an attempt had; its branch too, unless the item is done. Returns whether its folders are gone."""
    gone = [remove_worktree(run.repo, place), remove_tree(scratch)]
    branch = task.branch(run.batch.id)
    at = run.repo.refs.read(branch)
    if at and not finished(run.repo, run.batch.id, task.batch_item, at):
        run.repo.refs.delete({branch: at})
    return all(gone)
