"""The content of the folder that a check of an item runs in: the item's base, and the one harvested blob."""

from msgspec import Struct

from gitbatch.batch.item.scheduled import CommitContext, ScheduledItem
from gitbatch.checks.named_paths import find_named_paths
from gitbatch.checks.self_read import is_self_read
from gitbatch.checks.tree import TreeContent
from gitbatch.project.check_tables import CheckTable
from gitbatch.project.context import ContextFile
from gitbatch.repo.repository import Repository

_MESSAGE = "gitbatch: an output that is being checked\n"


class CheckedItem(Struct, frozen=True):
    """An item whose output is checked."""

    scheduled: ScheduledItem
    blob: str
    context: tuple[ContextFile, ...]


def find_content(
    repo: Repository, commits: CommitContext, checked: CheckedItem, table: CheckTable
) -> tuple[TreeContent, bool]:
    """Returns the content of a check's folder, and whether the check would load the output itself.

    Then the folder has the base's version of that file (see `self_read.py`).
    """
    scheduled = checked.scheduled
    state, output = scheduled.project_state, scheduled.item.output
    is_own = is_self_read(table, output)
    commit = state.commit
    if not is_own:
        tree = repo.objects.write_tree(state.tree, {output: checked.blob})
        commit = repo.objects.write_unsigned(tree, (state.commit,), _MESSAGE, commits.user, commits.user)
    paths = _find_paths(checked, table) if table.checkout == "context" else None
    return TreeContent(commit, state.commit, paths, output, checked.blob), is_own


def _find_paths(checked: CheckedItem, table: CheckTable) -> tuple[str, ...]:
    """Returns the only paths that a check has: the output, what the item read, and what its command names."""
    scheduled = checked.scheduled
    reads = (file.path for file in checked.context)
    snapshot = scheduled.project_state.snapshot
    programs = (path for path in find_named_paths(table) if snapshot.blob(path) is not None)
    return tuple(dict.fromkeys((scheduled.item.output, *reads, *scheduled.seen, *programs)))
