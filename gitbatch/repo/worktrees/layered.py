"""Linked worktrees whose files are layers that they share: their folders hold nothing but what their agents change.

Git's entry, the branch and the git directory are those of any worktree (`worktree.py`). The index is shared: it is the
lower layer of the git directory, which is mounted too. So is the directory that the worktrees of one base share, so that
objects and refs which an agent writes are its own. The object directories of the user's repository get further places,
because a worktree that is mounted at the place of the checkout hides what is in it.
"""

import os
import secrets
import shutil
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.fs.removal import remove_anything, remove_tree
from gitbatch.repo.refs.lock_files import TEMPORARY
from gitbatch.repo.repository import Repository
from gitbatch.repo.worktrees.agent_git import AgentGit
from gitbatch.repo.worktrees.worktree import NewWorktree, Worktree, put_empty_worktree, remove_worktree


class LayeredGit(Struct, frozen=True):
    """Makes the git directories of worktrees that are mounted."""

    agents: AgentGit
    """Its object directories are the places that a mount does not hide."""
    binds: tuple[tuple[Path, Path], ...]
    """Object directories, and where they are shown too."""

    def share_index(self, index: Path, worktree: Path) -> Path:
        """Returns a folder that has an index and nothing else, for a worktree whose work folders exist.

        Raises:
            OSError: it cannot be written.
        """
        own = work_folders_of(worktree)[0].with_name("index")
        own.mkdir()
        try:
            os.link(index, own / "index")
        except OSError:  # another file system, or one without hard links: one copy for all worktrees
            return self._copy_index(index)
        return own

    def _copy_index(self, index: Path) -> Path:
        shared = self.agents.folder / f"{index.parent.name}-{self.agents.mark}.index"
        if not shared.is_dir():
            made = shared.with_name(f"{TEMPORARY}{secrets.token_hex(4)}")
            made.mkdir()
            shutil.copyfile(index, made / "index")
            made.rename(shared)
        return shared

    def close(self) -> None:
        """Removes what the worktrees share."""
        self.agents.close()
        mark = self.agents.mark
        for shared in (*self.agents.folder.glob(f"*-{mark}.index"), self.agents.folder / f"{mark}.objects"):
            remove_tree(shared)


def open_layered_git(agents: AgentGit, hidden: Path) -> LayeredGit:
    """Returns the maker of git directories for worktrees that hide a folder where they are mounted.

    Args:
        agents: the maker for plain worktrees.
        hidden: the folder.
    """
    mark = secrets.token_hex(2)
    top = Path(os.path.realpath(hidden))
    binds = []
    for number, objects in enumerate(agents.objects):
        if objects.is_relative_to(top):
            binds.append((objects, agents.folder / f"{mark}.objects" / str(number)))
    places = dict(binds)
    shown = tuple(places.get(objects, objects) for objects in agents.objects)
    return LayeredGit(replace(agents, mark=mark, objects=shown), tuple(binds))


def add_layered_worktree(repo: Repository, git: LayeredGit, new: NewWorktree) -> Worktree:
    """Creates a worktree without files, and its branch. Its index and its files are in layers.

    Raises:
        OSError: it cannot be written.
        GitError: the branch exists.
    """
    new.path.parent.mkdir(parents=True, exist_ok=True)
    git_dir = git.agents.make(new.path, new.base, new.output)
    pointer = put_empty_worktree(repo, git_dir, new)
    for folder in (*work_folders_of(new.path), *common_folders_of(new.path)):
        folder.mkdir(parents=True)
    for _, place in git.binds:
        place.mkdir(parents=True, exist_ok=True)
    return Worktree(new.path, new.branch, 0, pointer)


def work_folders_of(worktree: Path) -> tuple[Path, Path]:
    """Returns the folders that the kernel needs for the mounts of a worktree and of its git directory."""
    work = worktree.with_name(f"{worktree.name}.work")
    return work / "files", work / "git"


def common_folders_of(worktree: Path) -> tuple[Path, Path]:
    """Returns the folders with what a worktree's program changes in the shared git directory, and for the kernel."""
    work = work_folders_of(worktree)[0].parent
    return work / "common", work / "common-work"


def remove_layered_worktree(repo: Repository, path: Path) -> bool:
    """Removes a worktree and git's entry for it; its branch stays. Nothing may be mounted on it any more.

    Returns:
        Whether its folders are gone (see `remove_tree`).
    """
    return all([remove_worktree(repo, path), remove_anything(work_folders_of(path)[0].parent)])
