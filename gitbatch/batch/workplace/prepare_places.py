"""Worktrees for the commands of `batch.prepare`: of the kind that the items have, but without a branch."""

import os
import secrets
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path

from msgspec import Struct

from gitbatch.agents.protocol import LocalPlace
from gitbatch.batch.extras.extras import copy_layers
from gitbatch.batch.extras.prepare import PreparePlace
from gitbatch.batch.workplace.changes import list_changes
from gitbatch.batch.workplace.local import LocalWorkplaces, raising_disk_errors
from gitbatch.batch.workplace.overlay import SharedLayers, choose_place
from gitbatch.concurrency import shielded
from gitbatch.fs.copying import SourceFile, copy_sources, list_sources
from gitbatch.fs.layers import EntryKind, walk_layer
from gitbatch.fs.removal import remove_anything, remove_tree
from gitbatch.repo.fingerprint import require_untouched
from gitbatch.repo.templates.layers import Layers
from gitbatch.repo.worktrees.agent_git import git_dir_of
from gitbatch.repo.worktrees.layered import work_folders_of
from gitbatch.repo.worktrees.worktree import Worktree, make_detached, wait_for_ctime_tick
from gitbatch.sandbox.model import Overlay

_OPAQUE = "user.overlay.opaque"


class CopyPreparePlaces(Struct, frozen=True):
    """Plain worktrees: `extras.PreparePlaces`."""

    plain: LocalWorkplaces

    @property
    def seen_at(self) -> str:
        """Empty: each has a path of its own."""
        return ""

    @asynccontextmanager
    async def open_place(self, commit: str, below: tuple[Path, ...]) -> AsyncIterator[PreparePlace]:
        """Makes a worktree, and removes it at the end."""
        plain, path = self.plain, _new_path(self.plain)
        try:
            made = await plain.git(_make_copy, plain, path, commit, below)
            place = LocalPlace(
                worktree=path,
                scratch=_scratch_of(path),
                git=plain.agent_git.readable(path, commit),
                checkouts=plain.checkouts,
                hidden=(plain.folder.parent.parent, *plain.hidden),
            )
            yield PreparePlace(place, partial(_take_written, made))
        finally:
            await shielded(plain.git(_remove_folders, path))


class OverlayPreparePlaces(Struct, frozen=True):
    """Worktrees of layers: `extras.PreparePlaces`."""

    plain: LocalWorkplaces
    layers: SharedLayers

    @property
    def seen_at(self) -> str:
        """The checkout's place, unless that is not possible."""
        own = self.plain.folder
        place = self._choose_place(own)
        return "" if place == own else str(place)

    def _choose_place(self, own: Path) -> Path:
        return choose_place((self.plain.repo.root, self.layers.home), (), (), own)

    @asynccontextmanager
    async def open_place(self, commit: str, below: tuple[Path, ...]) -> AsyncIterator[PreparePlace]:
        """Makes a worktree of layers, and removes it at the end."""
        plain, path, held = self.plain, _new_path(self.plain), None
        try:
            held = await plain.git(_find_layers, plain, self.layers, commit)
            overlay = await plain.git(_make_overlay, self.layers, path, commit, (held, below))
            place = LocalPlace(
                worktree=self._choose_place(path),
                scratch=_scratch_of(path),
                git=self.layers.git.agents.readable(path, commit),
                checkouts=plain.checkouts,
                hidden=(plain.folder.parent.parent, *plain.hidden),
                overlay=overlay,
            )
            yield PreparePlace(place, partial(_take_upper, path))
        finally:
            await shielded(plain.git(_remove_folders, path))
            if held is not None:
                held.close()


def _new_path(plain: LocalWorkplaces) -> Path:
    return plain.folder / f"prepare-{secrets.token_hex(4)}"


def _scratch_of(path: Path) -> Path:
    return path.with_name(f"{path.name}.io")


def _make_copy(plain: LocalWorkplaces, path: Path, commit: str, below: tuple[Path, ...]) -> Worktree:
    repo = plain.repo
    with raising_disk_errors(path.parent):
        require_untouched(repo, plain.fingerprint)
        repo.objects.writer.flush()
        path.parent.mkdir(parents=True, exist_ok=True)
        make_detached(repo, plain.agent_git, path, commit, commit, None)
        copy_layers(below, path)
        _scratch_of(path).mkdir()
        return Worktree(path, "", wait_for_ctime_tick(path), (path / ".git").read_bytes())


def _take_written(made: Worktree, target: Path) -> None:
    """Copies the files that were written in a plain worktree. What was deleted there is not: worktrees keep it."""
    written = frozenset(list_changes(made).written)

    def is_wanted(file: SourceFile) -> bool:
        return not file.is_folder and file.path in written

    for top in sorted(path.name for path in made.path.iterdir()):
        copy_sources(made.path, filter(is_wanted, list_sources(made.path, top, lambda _: False)), target)


def _find_layers(plain: LocalWorkplaces, layers: SharedLayers, commit: str) -> Layers:
    with raising_disk_errors(plain.folder):
        require_untouched(plain.repo, plain.fingerprint)
        plain.repo.objects.writer.flush()
        return layers.templates.layers(commit)


def _make_overlay(
    layers: SharedLayers, path: Path, commit: str, under: tuple[Layers, tuple[Path, ...]]
) -> Overlay:
    held, below = under
    with raising_disk_errors(path.parent):
        path.mkdir(parents=True)
        git_dir = layers.git.agents.make(path, commit, "", head=commit)
        (path / ".git").write_bytes(os.fsencode(f"gitdir: {git_dir}\n"))
        for folder in (*work_folders_of(path), _scratch_of(path)):
            folder.mkdir(parents=True)
        for _, shown in layers.git.binds:
            shown.mkdir(parents=True, exist_ok=True)
        work, git_work = work_folders_of(path)
        of_git = Overlay((layers.git.share_index(held.index),), git_dir_of(path), git_work)
        return Overlay((*below, *held.lower), path, work, of_git, layers.git.binds)


def _take_upper(upper: Path, target: Path) -> None:
    """Moves an upper layer, which nothing is mounted on any more, to the place of a lower one."""
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
            os.setxattr(target / path, _OPAQUE, b"y")


def _remove_folders(path: Path) -> None:
    for folder in (path, _scratch_of(path), work_folders_of(path)[0].parent, git_dir_of(path)):
        with suppress(FileNotFoundError):
            remove_tree(folder)
