"""Counting the files of worktrees that have only what their items read, which decides what kind of worktree costs least."""

from itertools import islice

from gitbatch.batch.planning.project_state import ProjectView
from gitbatch.plan.model import Group, WorkItem
from gitbatch.plan.outputs import INCLUDE_FILE
from gitbatch.project.manifest import ManifestBuilder

_SAMPLE = 16
"""The items that are looked at: the first open ones."""


def count_context_files(state: ProjectView) -> int | None:
    """Returns the most files that a worktree of one of the first items has; None: some have all files, or layers besides.

    A check or a gate that has all files counts too: its folder is of the same kind as the worktrees.
    """
    config = state.project.config
    has_all = (
        config.batch.checkout == "full"
        or config.gates
        or any(table.checkout == "full" for table in config.checks.values())
    )
    has_layers = config.batch.include or config.batch.prepare or state.snapshot.blob(INCLUDE_FILE)
    if has_all or has_layers:
        return None
    items = ((group, item) for group in state.plan.groups for item in group.items if not item.done)
    manifests = ManifestBuilder(state.plan, state.project, state.snapshot)
    return max(
        (_count_files(state, manifests, group, item) for group, item in islice(items, _SAMPLE)), default=0
    )


def _count_files(state: ProjectView, manifests: ManifestBuilder, group: Group, item: WorkItem) -> int:
    folder = item.output.rpartition("/")[0]
    below = state.snapshot.files(folder) if folder else ()
    return len({*below, *(file.path for file in manifests.list_context(item, group))})
