"""Worktrees without a branch, of the kind that the items have: for the commands of `batch.prepare`, and for checks."""

import os
import stat
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from msgspec import Struct

from gitbatch.agents.protocol import AgentFolders
from gitbatch.batch.extras.extras import WorktreeExtras, copy_layers
from gitbatch.batch.extras.prepare import DetachedWorktree, DetachedWorktrees, NewDetachedWorktree
from gitbatch.batch.workplace.changes import list_changes
from gitbatch.batch.workplace.local import LocalWorkplaces, raising_disk_errors
from gitbatch.batch.workplace.overlay import SharedLayers, make_git_layer
from gitbatch.batch.workplace.sparse_layers import SparseLayer
from gitbatch.checks.tree import TreeContent
from gitbatch.concurrency import shielded
from gitbatch.fs.copying import SourceFile, copy_sources, list_sources
from gitbatch.fs.layers import OPAQUE_ATTRIBUTES, EntryKind, walk_layer
from gitbatch.fs.removal import remove_anything, remove_tree
from gitbatch.repo.fingerprint import require_untouched
from gitbatch.repo.templates.layers import Layers
from gitbatch.repo.templates.store import LayerStore, remove_layer
from gitbatch.repo.worktrees.agent_git import git_dir_of
from gitbatch.repo.worktrees.layered import work_folders_of
from gitbatch.repo.worktrees.worktree import Worktree, make_detached, wait_for_ctime_tick
from gitbatch.sandbox.model import Overlay

if TYPE_CHECKING:
    from gitbatch.repo.templates.kept import KeptCheckouts


class DetachedCopies(Struct, frozen=True):
    """Plain worktrees: `prepare.DetachedWorktrees`."""

    plain: LocalWorkplaces
    kept: "KeptCheckouts | None" = None
    """The checkouts that checks and gates leave and take, and agents never; None: git makes each. Its owner closes it."""

    @property
    def seen_at(self) -> str:
        """Empty: each has a path of its own."""
        return ""

    @asynccontextmanager
    async def open_worktree(self, new: NewDetachedWorktree) -> AsyncIterator[DetachedWorktree]:
        """Makes a worktree, and removes it at the end."""
        plain, path = self.plain, new.path
        kept = None if new.layers or new.paths is not None or not new.is_rare else self.kept
        made, has_ended = None, False
        try:
            made = await plain.git(_make_copy, plain, new, kept)
            folders = AgentFolders(
                worktree=path,
                scratch=_scratch_of(path),
                git=plain.agent_git.readable(path, new.base),
                checkouts=plain.checkouts,
                hidden=(plain.folder.parent.parent, *plain.hidden),
            )
            yield DetachedWorktree(folders, partial(_take_written, made))
            has_ended = True
        finally:
            if kept and made is not None and has_ended:
                await shielded(plain.git(kept.keep, made))
            await shielded(plain.git(_remove_folders, path))


class DetachedOverlays(Struct, frozen=True):
    """Worktrees of layers: `prepare.DetachedWorktrees`."""

    plain: LocalWorkplaces
    layers: SharedLayers

    @property
    def seen_at(self) -> str:
        """The checkout's path, unless that is not possible."""
        return str(self.layers.mount_point or "")

    @asynccontextmanager
    async def open_worktree(self, new: NewDetachedWorktree) -> AsyncIterator[DetachedWorktree]:
        """Makes a worktree of layers, and removes it at the end."""
        plain, path, held = self.plain, new.path, None
        try:
            held = await plain.git(_hold_layers, plain, self.layers, new)
            overlay = await plain.git(_make_overlay, self.layers, new, held.layers)
            folders = AgentFolders(
                worktree=self.layers.mount_point or path,
                scratch=_scratch_of(path),
                git=self.layers.git.readable(path),
                checkouts=plain.checkouts,
                hidden=(plain.folder.parent.parent, *plain.hidden),
                overlay=overlay,
            )
            yield DetachedWorktree(folders, partial(_take_upper, path))
        finally:
            await shielded(plain.git(_remove_folders, path))
            if held is not None:
                await shielded(plain.git(held.release))


class DetachedTrees(Struct, frozen=True):
    """The folders of checks, with the layers that worktrees have: `checks.tree.TreeSource`."""

    detached: DetachedWorktrees
    extras: WorktreeExtras | None = None
    """None: there are no layers."""

    def is_for(self, content: TreeContent) -> bool:
        """Returns whether there are layers, or all files, which may be a layer too."""
        return content.paths is None or (self.extras is not None and self.extras.has_layers)

    @asynccontextmanager
    async def open_folders(self, path: Path, content: TreeContent) -> AsyncIterator[AgentFolders]:
        """Makes a folder with the files of a commit, and removes it at the end.

        The layers are those of the branch's tip: what the checked output would change in them is not prepared yet.
        """
        layers = await self.extras.list_layers(content.base) if self.extras else ()
        new = NewDetachedWorktree(path, content.commit, content.base, layers, content.paths, is_rare=True)
        async with self.detached.open_worktree(new) as opened:
            yield opened.folders


def _scratch_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.io")


def _make_copy(plain: LocalWorkplaces, new: NewDetachedWorktree, kept: "KeptCheckouts | None") -> Worktree:
    repo, path = plain.repo, new.path
    with raising_disk_errors(path.parent):
        require_untouched(repo, plain.fingerprint)
        repo.objects.writer.flush()
        path.parent.mkdir(parents=True, exist_ok=True)
        make_detached(repo, plain.agent_git, path, new.commit, new.base, () if kept else new.paths)
        if kept:
            index = git_dir_of(path) / "index"
            index.unlink()
            kept.check_out(path, index, new.commit)
        copy_layers(new.layers, path)
        _scratch_of(path).mkdir()
        return Worktree(path, "", wait_for_ctime_tick(path), (path / ".git").read_bytes())


def _take_written(made: Worktree, target: Path) -> None:
    """Copies the files that were written in a plain worktree. What was deleted there is not: worktrees keep it."""
    written = frozenset(list_changes(made).written)

    def is_wanted(file: SourceFile) -> bool:
        return not file.is_folder and file.path in written

    for top in sorted(path.name for path in made.path.iterdir()):
        copy_sources(made.path, filter(is_wanted, list_sources(made.path, top, lambda _: False)), target)


class _HeldLayers(Struct, frozen=True):
    """The layers of one worktree, on the git thread."""

    layers: Layers | SparseLayer
    release: Callable[[], None]
    """Ends their use."""


def _hold_layers(plain: LocalWorkplaces, layers: SharedLayers, new: NewDetachedWorktree) -> _HeldLayers:
    """Returns the layers with the files of a commit. One that was made for a rare commit is removed after its use."""
    with raising_disk_errors(plain.folder):
        require_untouched(plain.repo, plain.fingerprint)
        plain.repo.objects.writer.flush()
        if new.paths is not None:
            sparse = layers.sparse.take_layer(plain.repo.objects.tree_of(new.commit), new.paths)
            return _HeldLayers(sparse, sparse.close)
        store = layers.templates.store
        known = frozenset(store.list_names())
        held = layers.templates.layers(new.commit)
        is_useless = new.is_rare and held.leases[0].name not in known
        return _HeldLayers(held, partial(_release_rare, store, held) if is_useless else held.close)


def _release_rare(store: LayerStore, held: Layers) -> None:
    """Ends the use of layers, and removes the uppermost one, which no other worktree will need."""
    name = held.leases[0].name
    held.close()
    remove_layer(store.root, name)


def _make_overlay(layers: SharedLayers, new: NewDetachedWorktree, held: Layers | SparseLayer) -> Overlay:
    path = new.path
    with raising_disk_errors(path.parent):
        path.mkdir(parents=True)
        git_dir = layers.git.make(path, new.base, "", new.commit)
        (path / ".git").write_bytes(os.fsencode(f"gitdir: {git_dir}\n"))
        _scratch_of(path).mkdir(parents=True)
        of_git = make_git_layer(layers.git, path, new.base, held.index)
        return Overlay((*new.layers, *held.lower), path, work_folders_of(path)[0], of_git, layers.git.binds)


def _take_upper(upper: Path, target: Path) -> None:
    """Moves an upper layer, which nothing is mounted on any more, to the path of a lower one."""
    remove_anything(upper / ".git")
    target.rmdir()
    try:
        upper.rename(target)
    except OSError:  # another file system
        target.mkdir()
        _copy_upper(upper, target)


def _copy_upper(upper: Path, target: Path) -> None:
    """Copies an upper layer, with what it says about the layers below."""
    for top in sorted(path.name for path in upper.iterdir()):
        copy_sources(upper, list_sources(upper, top, lambda _: False), target)
    for path, kind in walk_layer(upper):
        if kind is EntryKind.WHITEOUT:
            (target / path).parent.mkdir(parents=True, exist_ok=True)
            os.mknod(target / path, stat.S_IFCHR, 0)
        elif kind is EntryKind.OPAQUE:
            os.setxattr(target / path, OPAQUE_ATTRIBUTES[0], b"y")


def _remove_folders(path: Path) -> None:
    for folder in (path, _scratch_of(path), work_folders_of(path)[0], git_dir_of(path)):
        with suppress(FileNotFoundError):
            remove_tree(folder)
