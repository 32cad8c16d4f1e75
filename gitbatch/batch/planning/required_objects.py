"""The objects that a batch's items need and a partial clone may lack: fetched before any agent runs.

A full worktree needs every file of its base. One with `checkout = "context"` needs the files that its agent reads and
those in its output's folder. Besides these, the orchestrator reads the shared files, and the attribute files on the way to an
output. Later bases add only what the batch itself has written, and what the user commits meanwhile: so the same is
asked again when a group starts.
"""

from collections.abc import Iterable, Iterator

from gitbatch.batch.planning.project_state import ProjectState
from gitbatch.checks.named_paths import find_named_paths
from gitbatch.plan.model import Group, WorkItem
from gitbatch.project.check_choice import group_gates, item_checks
from gitbatch.project.manifest import ManifestBuilder
from gitbatch.repo.path_rules import rule_files
from gitbatch.repo.promised import require_present, require_whole
from gitbatch.repo.repository import Repository


def require_objects(
    repo: Repository, project_state: ProjectState, items: Iterable[tuple[Group, WorkItem]]
) -> None:
    """Ensures that all objects that items need of a commit exist; in a partial clone, fetches those that are missing.

    Raises:
        PartialCloneError: an object is missing, and fetching it is not allowed or failed.
    """
    if repo.promised is None:
        return
    items = tuple(items)
    if _needs_whole(project_state, items):
        require_whole(repo.objects, repo.promised, project_state.commit)
    else:
        require_present(
            repo.objects, repo.promised, project_state.commit, _needed_blobs(repo, project_state, items)
        )


def require_shared_files(repo: Repository, project_state: ProjectState) -> None:
    """Ensures that the shared files of a commit exist: the user may have pulled it a moment ago.

    Raises:
        PartialCloneError: a file is missing, and fetching it is not allowed or failed.
    """
    if repo.promised is not None:
        require_present(
            repo.objects, repo.promised, project_state.commit, _needed_blobs(repo, project_state, ())
        )


def _needs_whole(project_state: ProjectState, items: tuple[tuple[Group, WorkItem], ...]) -> bool:
    """Whether anything checks out every file of a commit: an agent, a check of an output, or a gate."""
    config, plan = project_state.project.config, project_state.plan
    checks = {name for group, item in items for name in item_checks(config, plan, group, item)}
    return (
        config.batch.checkout == "full"
        or any(table.checkout == "full" for name, table in config.checks.items() if name in checks)
        or any(group_gates(config, plan, group) for group, _ in items)
    )


def _needed_blobs(
    repo: Repository, project_state: ProjectState, items: Iterable[tuple[Group, WorkItem]]
) -> Iterator[str]:
    """Yields the blobs that shared files and items need."""
    snapshot = project_state.snapshot
    paths = {*project_state.project.shared_files}
    manifests = ManifestBuilder(project_state.plan, project_state.project, snapshot)
    for group, item in items:
        paths |= {file.path for file in manifests.list_context(item, group)}
        config, plan = project_state.project.config, project_state.plan
        checks = item_checks(config, plan, group, item)
        tables = (config.checks[name] for name in checks if name in config.checks)
        paths |= {path for table in tables for path in find_named_paths(table)}
        folder = item.output.rpartition("/")[0]
        paths |= {item.output, *(snapshot.files(folder) if folder else ())}
    yield from filter(None, map(snapshot.blob, paths))
    yield from (oid for _, oid in rule_files(repo, project_state.tree, paths))
