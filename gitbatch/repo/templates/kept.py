"""Checkouts that are kept for the next worktree, where worktrees are copies.

To make a checkout and to remove it costs more than all else that an item does, and a file system may avoid the blocks of
files that were just removed (ext4 does for five seconds). So what an agent leaves is made equal to a checkout again, as
files, and the next worktree takes it; if that has another base, the files that differ are replaced. A folder that cannot
be restored is removed.

No git runs in such a folder, and none reads an index that an agent could write: a copy of each is kept next to it.
A folder in which a process still works, which an agent without a sandbox may have left behind, is not kept; such a process
finds its files under no name that the next agent has. Not thread-safe: a run has one thread for git.
"""

import secrets
import shutil
from collections.abc import Iterable
from contextlib import suppress
from itertools import islice
from pathlib import Path

from msgspec import Struct, field

from gitbatch.errors import GitError
from gitbatch.fs.holders import is_in_use
from gitbatch.fs.removal import remove_anything
from gitbatch.fs.touched import ClockMark, Touched, find_touched, shows_mapped_writes
from gitbatch.repo.index_bytes import UnreadableIndexError
from gitbatch.repo.objects.reader import MissingObjectError, PathChange
from gitbatch.repo.repository import Repository
from gitbatch.repo.templates.complete import needs_new_template
from gitbatch.repo.templates.delta import Delta, index_changes
from gitbatch.repo.templates.index_file import splice_index, write_offsets
from gitbatch.repo.templates.restoring import NotRestorableError, restore_checkout, write_changes
from gitbatch.repo.worktrees.worktree import CheckOut, Worktree

_MANY = 1000
"""The most paths that are replaced for another base."""
_FEW = 64
"""The most files of a checkout that is not kept: to make it costs less than to look through all processes."""


class _WaitingCheckout(Struct, frozen=True):
    """A checkout: in use, or free and at `folder`."""

    folder: Path
    index: Path
    """Its index; next to the folder, where no agent writes."""
    tree: str


class KeptCheckouts(Struct):
    """The checkouts of a run that wait for a worktree, and those that are in one. Close it at the end of the run."""

    repo: Repository
    folder: Path
    """In which they wait: on the file system of the worktrees."""
    make: CheckOut
    """Makes a new checkout, with an index of version 2."""
    _free: list[_WaitingCheckout] = field(default_factory=list)
    _used: dict[Path, tuple[_WaitingCheckout, ClockMark]] = field(default_factory=dict)
    _shows: bool | None = None

    def check_out(self, path: Path, index: Path, commit: str) -> None:
        """Puts the files of a commit into a new worktree, whose folder has a `.git` and nothing else, and its index.

        Raises:
            OSError: it cannot be written.
            GitError: git cannot check the commit out.
        """
        tree = self.repo.objects.tree_of(commit)
        kept = self._take_waiting(tree)
        if kept:
            (path / ".git").rename(kept.folder / ".git")
            path.rmdir()
            kept.folder.rename(path)
            shutil.copyfile(kept.index, index)
        else:
            self.make(path, index, commit)
            if _count_files(index) <= _FEW:
                return
            self.folder.mkdir(exist_ok=True)
            if not self._shows_changes():
                return
            kept = self._make_waiting(tree)
            shutil.copyfile(index, kept.index)
        self._used[path] = kept, ClockMark()

    def keep(self, worktree: Worktree, own_folders: Iterable[str] = ()) -> None:
        """Takes the files of a worktree whose agent has ended, and keeps them if they can be made a checkout again.

        Args:
            worktree: the worktree.
            own_folders: folders that were made for the agent, so that it need not have touched them.
        """
        used = self._used.pop(worktree.path, None)
        if used is None:
            return
        kept, mark = used
        with suppress(OSError, GitError, NotRestorableError, UnreadableIndexError):
            worktree.path.rename(kept.folder)
            if is_in_use(kept.folder) or mark.went_back():
                raise NotRestorableError
            (kept.folder / ".git").unlink(missing_ok=True)
            touched = find_touched(kept.folder, worktree.made)
            found = Touched(touched.files, (*touched.folders, *own_folders))
            usual = self.folder.stat()
            changes = restore_checkout(self.repo, kept.folder, kept.tree, found, usual)
            self._update_index(kept, changes)
            self._free.append(kept)
            return
        self._remove_waiting(kept)

    def close(self) -> None:
        """Removes the checkouts that wait."""
        self._free.clear()
        self._used.clear()
        remove_anything(self.folder)

    def _shows_changes(self) -> bool:
        """Returns whether the file system tells everything that an agent changes; it is tried once."""
        if self._shows is None:
            self._shows = shows_mapped_writes(self.folder)
        return self._shows

    def _take_waiting(self, tree: str) -> _WaitingCheckout | None:
        """Returns a waiting checkout that has the files of a tree now; None: none can have them."""
        self._free.sort(key=lambda kept: kept.tree == tree)
        while self._free:
            kept = self._free.pop()
            with suppress(OSError, GitError, UnreadableIndexError, NotRestorableError):
                return kept if kept.tree == tree else self._change_base(kept, tree)
            self._remove_waiting(kept)
        return None

    def _remove_waiting(self, kept: _WaitingCheckout) -> None:
        remove_anything(kept.folder)
        kept.index.unlink(missing_ok=True)

    def _change_base(self, kept: _WaitingCheckout, tree: str) -> _WaitingCheckout:
        try:
            changes = tuple(islice(self.repo.objects.diff_trees(kept.tree, tree), _MANY + 1))
        except MissingObjectError as error:
            raise NotRestorableError from error
        if len(changes) > _MANY or needs_new_template(changes):
            raise NotRestorableError
        write_changes(self.repo, kept.folder, Delta(tree, changes))
        self._update_index(kept, changes)
        return _WaitingCheckout(kept.folder, kept.index, tree)

    def _update_index(self, kept: _WaitingCheckout, changes: tuple[PathChange, ...]) -> None:
        """Puts the status of files that were written into the kept index."""
        if not changes:
            return
        table, made = (kept.index.with_suffix(end) for end in (".offsets", ".made"))
        write_offsets(kept.index, table, self.repo.id_bytes)
        splice_index(kept.index, table, made, index_changes(changes, (kept.folder,)), self.repo.id_bytes)
        table.unlink()
        made.replace(kept.index)

    def _make_waiting(self, tree: str) -> _WaitingCheckout:
        name = secrets.token_hex(4)
        return _WaitingCheckout(self.folder / name, self.folder / f"{name}.index", tree)


def _count_files(index: Path) -> int:
    """Returns how many entries an index has, from its header."""
    with index.open("rb") as file:
        return int.from_bytes(file.read(12)[8:])
