"""Keeping the output of failed attempts in git, in a form that is never taken for a finished item.

The output of an item's last failed attempt is kept under `refs/gitbatch/<batch>/rescue/<slug>-<attempt>`, as a commit
of an item's form (one parent, one path) with the trailer `Gitbatch-Rescued: KEY: reason` instead of
`Gitbatch-Item`. Resume, merge and verify count only commits with `Gitbatch-Item` as items, so they pass it over,
wherever an agent points its branch.

| the attempt | its output |
|---|---|
| failed, for any cause (an exit code, an exception, its time, a busy server, a limit) | kept, if it passes the harvest |
| was refused, because it modified a path outside its assigned output | kept: the output itself is its own, and paid for |
| left no file, an empty, unchanged or too large one, a link, or one with a secret in it | not kept, as the harvest refuses it; the output of an earlier attempt stays |
| was interrupted with the run | not kept: it is unknown how far it came |

The next attempt finds it at its path, unless the item's file, or the context that it declares, was changed on the branch
since (`starting_point.py`). The output of that
attempt is compared with it (see `harvest.py`). Only the ref is read, and no ledger: a run that was killed between the
two finds it as well. It is removed when its item is merged, else with the record of its batch.
"""

from collections.abc import Callable
from contextlib import suppress

from gitbatch.agents.protocol import Failure
from gitbatch.batch.history.messages import render_rescue_message
from gitbatch.batch.history.rescue import Rescued, find_rescued, read_rescue_ref, rescued_refs
from gitbatch.batch.item.harvest import harvest_output
from gitbatch.batch.item.scheduled import CommitContext, ScheduledItem, StartingPoint
from gitbatch.batch.model import FailedAttempt
from gitbatch.batch.workplace.protocol import OutputSource
from gitbatch.errors import BusyError, GitError
from gitbatch.fs.room import require_room
from gitbatch.limits.causes import Cause
from gitbatch.repo.fingerprint import TamperedError, require_untouched
from gitbatch.repo.refs.names import rescued_output_ref
from gitbatch.repo.repository import Repository, VanishedObjectsError


def keep_output(
    repo: Repository,
    commits: CommitContext,
    scheduled: ScheduledItem,
    tried: FailedAttempt,
    start: StartingPoint,
    source: OutputSource,
) -> None:
    """Keeps the output of a failed attempt, if it passes the harvest, and removes that of the attempt before.

    Where it cannot be kept, the attempt has failed all the same.
    """
    state = scheduled.project_state
    limit = state.project.config.batch.max_output_bytes

    def take() -> str:
        taken = harvest_output(repo, source, scheduled.item.output, limit, state.tree, scheduled.secrets)
        return "" if isinstance(taken, Failure) else taken.blob

    keep_blob(repo, commits, scheduled, tried, start, take)


def keep_blob(
    repo: Repository,
    commits: CommitContext,
    scheduled: ScheduledItem,
    tried: FailedAttempt,
    start: StartingPoint,
    take: Callable[[], str],
) -> None:
    """Does the same with a blob that `take` returns; empty: none is kept."""
    batch = commits.batch.id
    ref = rescued_output_ref(batch, scheduled.batch_item.slug, tried.number)
    try:
        require_untouched(repo, commits.fingerprint)  # git is about to run, and an agent has been at work
    except TamperedError:  # the attempt is recorded all the same; the next step stops the batch
        return

    def write() -> None:
        blob = take()
        if not blob:
            return
        commit = _write_commit(repo, commits, scheduled, tried, start, blob)
        repo.point(ref, commit)
        if not read_rescue_ref(repo, batch, scheduled.batch_item, ref, commit):
            raise VanishedObjectsError
        others = rescued_refs(repo, batch, {scheduled.batch_item.slug})
        repo.refs.delete({name: oid for name, oid in others.items() if name != ref})

    with suppress(GitError, BusyError):  # the objects vanish every time, or a ref stays locked
        repo.publish(write)
        return
    require_room(repo.common_dir)


def _write_commit(
    repo: Repository,
    commits: CommitContext,
    scheduled: ScheduledItem,
    tried: FailedAttempt,
    start: StartingPoint,
    blob: str,
) -> str:
    """Stores the commit that keeps an output. It is not signed: no branch ever has it, and a key may need a touch."""
    cause, earlier = tried.cause or Cause.FAILED, start.earlier
    if earlier and earlier.commit.blob == blob and not earlier.output.may_stay:
        cause = earlier.cause  # it was left as it was
    tree = repo.objects.write_tree(scheduled.project_state.tree, {scheduled.item.output: blob})
    record, group = commits.batch.record, scheduled.batch_group
    message = render_rescue_message(record, group, tried, cause, scheduled.agent, start.context)
    author = commits.ident_of(scheduled.agent)
    return repo.objects.write_unsigned(tree, (scheduled.project_state.commit,), message, author, commits.user)


def find_usable(repo: Repository, batch: str, scheduled: ScheduledItem) -> Rescued | None:
    """Returns the kept output that the next attempt can begin with.

    None: nothing is kept, or the item's file was changed on the branch since.
    """
    found = find_rescued(repo, batch, scheduled.batch_item)
    if found is None:
        return None
    path, then, now = (
        scheduled.item.output,
        repo.objects.tree_of(found.commit.base),
        scheduled.project_state.tree,
    )
    return found if repo.objects.find_entry(then, path) == repo.objects.find_entry(now, path) else None
