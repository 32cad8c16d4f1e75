"""Opens the workplaces of a run, of the kind that is chosen for it."""

# ruff: noqa: PLC0415 - what checks files out is not imported for worktrees in layers

from collections.abc import Iterator
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.batch.extras.prepare import DetachedWorktrees
from gitbatch.batch.workplace.detached_worktrees import DetachedCopies, DetachedOverlays
from gitbatch.batch.workplace.kinds import WorktreeKind
from gitbatch.batch.workplace.local import PROCESS, LocalWorkplaces
from gitbatch.batch.workplace.overlay import OverlayWorkplaces, SharedLayers, choose_mount_point
from gitbatch.batch.workplace.protocol import Workplaces
from gitbatch.batch.workplace.sparse_layers import SparseLayers
from gitbatch.repo.fingerprint import require_untouched
from gitbatch.repo.templates.expiry import LAYERS, CacheLimits
from gitbatch.repo.templates.templates import open_templates
from gitbatch.repo.worktrees.layered import open_layered_git
from gitbatch.repo.worktrees.worktree import CheckOut
from gitbatch.sandbox.trial_memory import TrialMemory


class UserFolders(Struct, frozen=True):
    """The user's folders that matter for where a worktree is."""

    cache: Path
    """The cache folder of gitbatch."""
    home: Path
    limits: CacheLimits
    """What the cache folder may keep."""
    memory: TrialMemory | None = None
    """What is remembered of trials of overlays."""


class Supply(NamedTuple):
    """The workplaces of a run, and the worktrees without a branch for its checks and for `batch.prepare`."""

    workplaces: Workplaces
    detached: DetachedWorktrees
    """Worktrees of the same kind without a branch."""


@contextmanager
def open_workplaces(plain: LocalWorkplaces, kind: WorktreeKind, around: UserFolders) -> Iterator[Supply]:
    """Yields the workplaces of a kind, and closes them.

    Args:
        plain: the workplaces of the kind `copy`.
        kind: the kind.
        around: the user's folders.
    """
    repo = plain.repo
    if kind is WorktreeKind.COPY:
        from gitbatch.repo.templates.complete import check_out_complete

        with _open_copies(plain, partial(check_out_complete, repo)) as supply:
            yield supply
        return
    hidden = replace(plain, hidden=(*plain.hidden, around.cache / LAYERS))
    guard = partial(require_untouched, repo, plain.fingerprint)
    with open_templates(repo, around.cache, guard, around.limits) as templates:
        if kind is WorktreeKind.CLONE:
            from gitbatch.repo.templates.cloned import clone_checkout

            with _open_copies(hidden, partial(clone_checkout, templates)) as supply:
                yield supply
        else:
            with closing(open_layered_git(plain.agent_git, repo.root)) as git:
                sparse = SparseLayers(repo.objects, plain.folder / f".sparse-{PROCESS}")
                mount_point = choose_mount_point(repo.root, around.home, plain.folder)
                layers = SharedLayers(templates, sparse, git, mount_point, around.memory)
                with closing(sparse):
                    yield Supply(OverlayWorkplaces(hidden, layers), DetachedOverlays(hidden, layers))


@contextmanager
def _open_copies(plain: LocalWorkplaces, make: CheckOut) -> Iterator[Supply]:
    """Yields workplaces with a checkout each, which are kept: those of agents and those of checks apart."""
    from gitbatch.repo.templates.kept import KeptCheckouts

    with (
        closing(KeptCheckouts(plain.repo, plain.folder / ".kept", make)) as kept,
        closing(KeptCheckouts(plain.repo, plain.folder / ".kept-checks", make)) as of_checks,
    ):
        yield Supply(replace(plain, kept=kept), DetachedCopies(plain, of_checks))
