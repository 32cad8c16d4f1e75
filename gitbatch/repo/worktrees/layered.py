"""Linked worktrees whose files are layers that they share: their folders hold nothing but what their agents change.

Git's entry and the branch are those of any worktree (`worktree.py`). The git directory is mounted too: its lower layers are the
index, which is shared, and the directory that the worktrees of one base share; so what git writes for an agent is its own,
and a worktree takes few blocks of the disk. The object directories of the user's repository get further paths,
because a worktree that is mounted at the path of the checkout hides what is in it.
"""

import os
import secrets
import shutil
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.fs.listing import list_folder
from gitbatch.fs.removal import remove_anything, remove_tree
from gitbatch.repo.refs.lock_files import TEMPORARY
from gitbatch.repo.repository import Repository
from gitbatch.repo.worktrees.agent_git import AgentGit, git_dir_of
from gitbatch.repo.worktrees.worktree import NewWorktree, Worktree, put_empty_worktree, remove_worktree


class LayeredGit(Struct, frozen=True):
    """Makes the git directories of worktrees that are mounted."""

    agents: AgentGit
    """Its object directories are the paths that a mount does not hide."""
    binds: tuple[tuple[Path, Path], ...]
    """Object directories, and where they are shown too."""

    def readable(self, worktree: Path) -> tuple[Path, ...]:
        """Returns the directories that git reads in a worktree."""
        return (git_dir_of(worktree), *self.agents.objects)

    def make(self, worktree: Path, base: str, output: str, head: str = "") -> Path:
        """Creates the folders that the mounts of a worktree need, and returns its git directory.

        Args:
            worktree: the folder.
            base: the commit whose refs it shares.
            output: the path that may be committed there.
            head: the commit that it is at; empty: `base`.

        Raises:
            OSError: it cannot be written.
        """
        made = self.agents.make_upper(worktree, base, output, head)
        for folder in work_folders_of(worktree):
            folder.mkdir()
        for _, target in self.binds:
            if not target.is_dir():  # the first worktree makes it
                target.mkdir(parents=True, exist_ok=True)
        return made

    def share_index(self, index: Path) -> Path:
        """Returns a folder that has an index and nothing else, the same for all worktrees.

        Raises:
            OSError: it cannot be written.
        """
        if [file.name for file in index.parent.iterdir()] == [index.name]:
            return index.parent
        shared = self.agents.folder / f"{index.parent.name}-{self.agents.mark}.index"
        if not shared.is_dir():
            made = shared.with_name(f"{TEMPORARY}{secrets.token_hex(4)}")
            made.mkdir()
            try:
                os.link(index, made / "index")
            except OSError:  # another file system, or one without hard links
                shutil.copyfile(index, made / "index")
            made.rename(shared)
        return shared

    def close(self) -> None:
        """Removes what the worktrees share."""
        self.agents.close()
        mark = self.agents.mark
        for shared in list_folder(self.agents.folder):
            is_objects = shared.name.startswith(f"{mark}-") and shared.suffix == ".objects"
            if is_objects or shared.name.endswith(f"-{mark}.index"):
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
            binds.append((objects, agents.folder / f"{mark}-{number}.objects"))
    targets = dict(binds)
    shown = tuple(targets.get(objects, objects) for objects in agents.objects)
    return LayeredGit(replace(agents, mark=mark, objects=shown), tuple(binds))


def add_layered_worktree(repo: Repository, git: LayeredGit, new: NewWorktree) -> Worktree:
    """Creates a worktree without files, and its branch. Its index and its files are in layers.

    Raises:
        OSError: it cannot be written.
        GitError: the branch exists.
    """
    if not new.path.parent.is_dir():
        new.path.parent.mkdir(parents=True, exist_ok=True)
    git_dir = git.make(new.path, new.base, new.output)
    pointer = put_empty_worktree(repo, git_dir, new)
    return Worktree(new.path, new.branch, 0, pointer)


def work_folders_of(worktree: Path) -> tuple[Path, Path]:
    """Returns the folders that the kernel needs for the mounts of a worktree and, in the first one, of its git directory.

    The latter has to be mounted first: the kernel takes no folder in one that it uses already.
    """
    work = worktree.with_name(f"{worktree.name}.work")
    return work, work / "git"


def remove_layered_worktree(repo: Repository, path: Path) -> bool:
    """Removes a worktree and git's entry for it; its branch stays. Nothing may be mounted on it any more.

    Returns:
        Whether its folders are gone (see `remove_tree`).
    """
    return all([remove_worktree(repo, path), remove_anything(work_folders_of(path)[0])])
