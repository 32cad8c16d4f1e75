"""What failed attempts had written: kept in git, where nothing takes it for done.

The output of an item's last failed attempt is kept under `refs/gitbatch/<batch>/rescue/<slug>-<attempt>`, as a commit
of an item's form (one parent, one path) without `Gitbatch-Item`: `Gitbatch-Rescued: KEY: reason` stands for it. What
counts as an item needs `Gitbatch-Item`, so resume, merge and verify pass it over, wherever an agent points its branch.

| the attempt | what it had written |
|---|---|
| failed, whatever the cause (an exit code, an exception, its time, a busy server, a limit) | kept, if it passes the harvest |
| was refused, because it changed what is not its file | kept as well: this one file is its own, and paid for |
| left no file, an empty, unchanged or too large one, a link, or one with a secret in it | not kept, as the harvest refuses it; what an earlier attempt had written stays |
| was interrupted with the run | not kept: nothing says how far it came |

The next attempt finds it at its path, unless the item's file was changed on the branch since. What that attempt then
leaves is judged against it too (see `harvest.py`). Only the ref is asked, and no ledger: so a run that was killed
between the two finds it as well. It goes when its item is merged, else with the record of its batch.
"""

from contextlib import suppress

from msgspec import Struct

from gitbatch.agents.protocol import EarlierOutput, Failure
from gitbatch.batch.history.messages import render_rescue_message
from gitbatch.batch.history.rescue import Rescued, find_rescued, read_rescue_ref, rescued_refs
from gitbatch.batch.item.harvest import harvest
from gitbatch.batch.item.run import ItemTask, Run
from gitbatch.batch.model import FailedAttempt
from gitbatch.errors import BusyError, GitError
from gitbatch.fs.room import require_room
from gitbatch.limits.causes import Cause
from gitbatch.project.context import ContextFile
from gitbatch.repo.fingerprint import TamperedError, require_untouched
from gitbatch.repo.objects.codec import Ident
from gitbatch.repo.refs.names import rescued_output_ref
from gitbatch.repo.repository import VanishedObjectsError
from gitbatch.repo.worktrees.worktree import Worktree


class StartingPoint(Struct, frozen=True):
    """What an agent starts from."""

    worktree: Worktree
    context: tuple[ContextFile, ...]
    earlier: Rescued | None
    """What an earlier attempt had written: it is in the worktree."""

    @property
    def output(self) -> EarlierOutput | None:
        """The same, as the agent is given it."""
        return self.earlier.output if self.earlier else None


def keep_output(run: Run, task: ItemTask, tried: FailedAttempt, start: StartingPoint) -> None:
    """Keeps what a failed attempt had written, if it passes the harvest; that of the attempt before goes then.

    Where it cannot be kept, the attempt has failed all the same.
    """
    repo, ref = run.repo, rescued_output_ref(run.batch.id, task.batch_item.slug, tried.number)
    config = task.project_state.project.config
    limit, secrets = config.batch.max_output_bytes, run.agents.find_secrets(config)
    try:
        require_untouched(repo, run.fingerprint)  # git is about to run, and an agent has been at work
    except TamperedError:  # the attempt is written down all the same; the next step stops the batch
        return

    def write() -> None:
        taken = harvest(repo, start.worktree.path, task.item.output, limit, task.project_state.tree, secrets)
        if isinstance(taken, Failure):
            return
        commit = _write_commit(run, task, tried, start, taken.blob)
        repo.point(ref, commit)
        if not read_rescue_ref(repo, run.batch.id, task.batch_item, ref, commit):
            raise VanishedObjectsError
        others = rescued_refs(repo, run.batch.id, {task.batch_item.slug})
        repo.refs.delete({name: oid for name, oid in others.items() if name != ref})

    with suppress(GitError, BusyError):  # the objects vanish every time, or a ref stays locked
        repo.publish(write)
        return
    require_room(run.worktrees_dir, repo.common_dir)


def _write_commit(run: Run, task: ItemTask, tried: FailedAttempt, start: StartingPoint, blob: str) -> str:
    """Stores the commit that keeps it. It is not signed: no branch ever has it, and a key may have to be touched."""
    cause, earlier = tried.cause or Cause.FAILED, start.earlier
    if earlier and earlier.commit.blob == blob and not earlier.output.may_stay:
        cause = earlier.cause  # it was left as it was
    tree = run.repo.objects.write_tree(task.project_state.tree, {task.item.output: blob})
    record, group = run.batch.record, task.batch_group
    message = render_rescue_message(record, group, tried, cause, task.agent, start.context)
    author = Ident(f"{task.agent} (gitbatch agent)", "agent@gitbatch.invalid", int(run.clock()))
    return run.repo.objects.write_unsigned(
        tree, (task.project_state.commit,), message, author, run.committer()
    )


def find_usable(run: Run, task: ItemTask) -> Rescued | None:
    """Returns the same, if the next attempt can begin with it: not where the item's file was changed on the branch since."""
    found = find_rescued(run.repo, run.batch.id, task.batch_item)
    if found is None:
        return None
    objects, path = run.repo.objects, task.item.output
    then, now = (
        objects.find_entry(tree, path)
        for tree in (objects.tree_of(found.commit.base), task.project_state.tree)
    )
    return found if then == now else None
