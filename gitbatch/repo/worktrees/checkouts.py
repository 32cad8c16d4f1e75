"""The user's checkouts and git directories, as far as they can be known: what no agent may read.

They are those of the repository and of its superprojects. git records where a linked worktree is, but the main one only
as the parent of a git directory called `.git`, or in `core.worktree`. With `git init --separate-git-dir` only a `.git`
file in the main checkout names the git directory; so that file is looked for where checkouts usually are.
"""

import os
import shlex
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from gitbatch.repo.config_file import may_have
from gitbatch.repo.process import Git
from gitbatch.repo.repository import Repository
from gitbatch.repo.worktrees.worktree import linked_worktrees

_WHERE = ("rev-parse", "--path-format=absolute", "--absolute-git-dir", "--git-common-dir")
_SETTINGS = r"^core\.(worktree|bare)$"
_NOT_BARE = b"\tbare = false\n"
"""The line of every repository with a checkout."""
_MOST_SUPERPROJECTS = 20


class Checkouts(Struct, frozen=True):
    """The folders of checkouts, and git directories."""

    folders: tuple[Path, ...]
    """The checkout of the repository first."""
    unknown: tuple[Path, ...] = ()
    """Git directories whose main checkout was not found."""


class _GitFolders(Struct, frozen=True):
    """One checkout and its git directories; without a checkout, those of one."""

    root: Path | None
    git_dir: Path
    common_dir: Path

    @property
    def is_main(self) -> bool:
        """Whether this is not a linked worktree."""
        return self.git_dir == self.common_dir


def find_checkouts(repo: Repository, search_path: str = "") -> Checkouts:
    """Returns the checkouts of a repository and its superprojects, and their git directories.

    Args:
        repo: the repository.
        search_path: a value of PATH, whose folders may be in a main checkout that git does not record.
    """
    near = tuple(Path(folder) for folder in search_path.split(":") if folder.startswith("/"))
    own = _GitFolders(repo.root, repo.git_dir, repo.common_dir)
    found: dict[Path, None] = {}
    mains: dict[Path, bool] = {}
    for folders in (own, *_superprojects(repo.git, own)):
        linked = linked_worktrees(folders.common_dir)
        roots = (folders.root,) if folders.root else ()
        settings = _main_settings(repo.git, folders.common_dir)
        named = (*_named_main(folders.common_dir, settings), *(roots if folders.is_main else ()))
        main = named or _search_main(folders.common_dir, (*roots, *linked), near)
        found |= dict.fromkeys((*roots, *main, *linked, folders.common_dir, folders.git_dir))
        is_known = bool(main) or settings.get("core.bare") == "true"
        mains[folders.common_dir] = is_known or mains.get(folders.common_dir, False)
    return Checkouts(
        tuple(found), tuple(common_dir for common_dir, is_known in mains.items() if not is_known)
    )


def unknown_advice(common_dir: Path) -> str:
    """Returns what to tell the user about a git directory whose main checkout was not found."""
    name = "config.worktree" if (common_dir / "config.worktree").is_file() else "config"
    command = f"git config --file {shlex.quote(str(common_dir / name))} core.worktree /path/of/it"
    return (
        f"the main checkout of {common_dir} is not named, so agents might be able to read it; "
        f"record where it is: {command}"
    )


def name_in_checkout(path: Path, root: Path) -> str:
    """Returns how a path is shown to the user: relative to the checkout, through whatever links it is known by."""
    return os.path.relpath(Path(os.path.realpath(path.parent)) / path.name, os.path.realpath(root))


def _named_main(common_dir: Path, settings: Mapping[str, str]) -> tuple[Path, ...]:
    """Returns where git records the main checkout of a repository, if it does."""
    parent = (common_dir.parent,) if common_dir.name == ".git" else ()
    named = settings.get("core.worktree")
    return (*parent, *((Path(os.path.realpath(common_dir / named)),) if named else ()))


def _search_main(common_dir: Path, known: tuple[Path, ...], near: tuple[Path, ...]) -> tuple[Path, ...]:
    """Returns the folders next to what is known, or above `near`, whose `.git` names a git directory."""
    folders = dict.fromkeys((common_dir.parent, *(path.parent for path in known)))
    beside = (entry for folder in folders for entry in _folders_in(folder))
    above = (folder for path in near for folder in (path, *path.parents))
    return tuple(path for path in dict.fromkeys((*beside, *above)) if _git_dir_of(path) == common_dir)


def _main_settings(git: Git, common_dir: Path) -> dict[str, str]:
    """Returns the settings that name the main checkout, by key; git reads none of them in a linked worktree."""
    found: dict[str, str] = {}
    for file in (common_dir / "config", common_dir / "config.worktree"):
        if file.is_file() and may_have((file,), (b"worktree", b"bare"), _NOT_BARE):
            asked = ("config", "--file", str(file), "--no-includes", "-z", "--get-regexp", _SETTINGS)
            listed = os.fsdecode(git.run(*asked, check=False).stdout).split("\0")
            found |= {key: value for key, _, value in (entry.partition("\n") for entry in listed)}
    return found


def _folders_in(folder: Path) -> tuple[Path, ...]:
    with suppress(OSError), os.scandir(folder) as entries:
        return tuple(Path(entry.path) for entry in entries if entry.is_dir(follow_symlinks=False))
    return ()


def _git_dir_of(checkout: Path) -> Path | None:
    """Returns the git directory that the `.git` of a folder names, by its text or as a link."""
    mark = checkout / ".git"
    with suppress(OSError):
        if mark.is_dir():
            return Path(os.path.realpath(mark))
        text = mark.read_text(encoding="utf-8", errors="surrogateescape")
        if text.startswith("gitdir: "):
            return Path(os.path.realpath(checkout / text.removeprefix("gitdir: ").rstrip("\n")))
    return None


def _superprojects(git: Git, folders: _GitFolders) -> Iterator[_GitFolders]:
    """Yields the repositories that a repository is a submodule of, the innermost first."""
    root = folders.root
    for _ in range(_MOST_SUPERPROJECTS):
        yield from _enclosing_git_dirs(folders)
        if root is None or not any(os.path.lexists(above / ".git") for above in root.parents):
            return
        answer = git.in_directory(root).run("rev-parse", "--show-superproject-working-tree", check=False)
        above = os.fsdecode(answer.stdout).removesuffix("\n")
        if answer.status or not above:
            return
        root = Path(above)
        git_dir, common_dir, _ = os.fsdecode(git.in_directory(root).run(*_WHERE).stdout).split("\n")
        folders = _GitFolders(root, Path(git_dir), Path(common_dir))
        yield folders


def _enclosing_git_dirs(folders: _GitFolders) -> Iterator[_GitFolders]:
    """Yields the superprojects by the git directories that a submodule's is in: `X/modules/NAME`."""
    for folder in dict.fromkeys((*folders.common_dir.parents, *folders.git_dir.parents)):
        if folder != folders.common_dir and (folder / "HEAD").is_file() and (folder / "objects").is_dir():
            yield _GitFolders(None, folder, folder)
