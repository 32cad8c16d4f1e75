"""The uncommitted changes of the user's checkout, and a copy of them in another folder with the files of the commit."""

import os
import shutil
from pathlib import Path

from gitbatch.paths import decode_path
from gitbatch.repo.private_dir import private_git
from gitbatch.repo.repository import Repository

_STATUS = ("status", "--porcelain", "-z", "--no-renames", "--untracked-files=all", "--ignore-submodules=all")


def list_changed(repo: Repository, commit: str) -> tuple[str, ...]:
    """Returns the paths of the checkout that differ from its commit: changed, deleted, or new and not ignored."""
    with private_git(repo, repo.root, head=commit, index=repo.git_dir / "index") as git:
        lines = git.run(*_STATUS).stdout.split(b"\0")
    paths = (decode_path(line)[3:] for line in lines if line)
    return tuple(path for path in paths if not path.endswith("/"))  # a repository in the checkout


def copy_changed(root: Path, paths: tuple[str, ...], folder: Path) -> None:
    """Makes paths in a folder what they are in the checkout: copied as they are, or removed.

    Raises:
        OSError: one cannot be read, or written.
    """
    for path in paths:
        source, target = root / path, folder / path
        if os.path.lexists(target) and (target.is_symlink() or not target.is_dir()):
            target.unlink()
        if os.path.lexists(source) and (source.is_symlink() or source.is_file()):
            _make_room(folder, target)
            shutil.copy2(source, target, follow_symlinks=False)


def _make_room(folder: Path, target: Path) -> None:
    """Makes the folders of a path; a file that was there before, and is a folder in the checkout, is removed."""
    if target.is_dir():
        shutil.rmtree(target)
    for above in reversed([above for above in target.parents if above.is_relative_to(folder)]):
        if os.path.lexists(above) and (above.is_symlink() or not above.is_dir()):
            above.unlink()
        above.mkdir(exist_ok=True)
