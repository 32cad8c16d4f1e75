"""Checks out everything that an agent sees of a commit: its files as git makes them, those of Git LFS, and submodules."""

from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from gitbatch.repo.objects.reader import PathChange
from gitbatch.repo.path_rules import ATTRIBUTES
from gitbatch.repo.process import Git
from gitbatch.repo.repository import Repository
from gitbatch.repo.templates.delta import index_changes
from gitbatch.repo.templates.index_file import splice_index, write_offsets
from gitbatch.repo.templates.real_files import has_submodules, put_lfs_files, put_submodules
from gitbatch.repo.worktrees.worktree import check_out_all


def check_out_complete(repo: Repository, path: Path, index: Path, commit: str) -> tuple[str, ...]:
    """Checks out a commit into a new folder, and writes its index in version 2; returns what is missing (`RealFiles`).

    Raises:
        OSError: it cannot be written.
        GitError: git cannot check it out.
    """
    repo.objects.writer.flush()  # the other git reads the objects
    check_out_all(repo, path, index, commit, plain_index)
    submodules = put_submodules(repo, commit, path)
    tree = repo.objects.tree_of(commit)
    lfs = put_lfs_files(repo, tree, path)
    changes = [PathChange(name, None, repo.objects.find_entry(tree, name)) for name in lfs.paths]
    if changes:
        table, made = (index.with_suffix(end) for end in (".offsets", ".made"))
        write_offsets(index, table, repo.id_bytes)
        splice_index(index, table, made, index_changes(changes, (path,)), repo.id_bytes)
        table.unlink()
        made.replace(index)
    return (*lfs.missing, *submodules.missing)


def needs_new_template(changes: Iterable[PathChange]) -> bool:
    """Whether changes may change other files too: by attributes, or because a submodule is among them."""
    found = tuple(changes)
    return has_submodules(found) or any(PurePosixPath(change.path).name == ATTRIBUTES for change in found)


def plain_index(git: Git) -> Git:
    """Returns a git that writes an index of version 2 in one file, which `index_file.py` can read."""
    settings = {
        "index.version": "2",
        "index.sparse": "false",
        "core.splitIndex": "false",
        "core.untrackedCache": "false",
        "feature.manyFiles": "false",
    }
    return git.with_config(settings)
