"""Files that a plain checkout does not have, but the user's own checkout does: those of Git LFS, and of submodules.

They come from the user's repository without running a filter. A file of Git LFS is copied from its store, where its name is
the digest of its content, which is compared. A submodule that the user has checked out is checked out from its own
object store, by the commit that the tree names; it has no `.git`, so git in a worktree sees an unchanged submodule.
"""

import hashlib
import os
import secrets
import stat
from collections.abc import Iterable, Iterator
from contextlib import closing
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.errors import GitError
from gitbatch.fs.copying import clone_or_copy
from gitbatch.paths import decode_path
from gitbatch.patterns import compile_later
from gitbatch.repo.objects.codec import SUBMODULE
from gitbatch.repo.objects.reader import PathChange
from gitbatch.repo.objects.store import Objects
from gitbatch.repo.path_rules import find_filters
from gitbatch.repo.private_dir import private_git
from gitbatch.repo.repository import Repository
from gitbatch.repo.worktrees.worktree import check_out_all

_POINTER = compile_later(
    rb"version https://git-lfs\.github\.com/spec/v1\noid sha256:([0-9a-f]{64})\nsize ([0-9]+)\n"
)
_LONGEST_POINTER = 200
_OF_LFS, _OF_MODULE = "lfs", "submodule"
"""The first words of what is missing: then the digest, or nothing if the whole store is missing; or the commit, and the name
and the path with NUL between."""
_MODULES = ".gitmodules"
_DEEPEST = 8
"""Levels of submodules in submodules."""


class RealFiles(Struct, frozen=True):
    """What was put into a checkout, and what the user's repository does not have."""

    paths: tuple[str, ...] = ()
    """The files that are not as git makes them."""
    missing: tuple[str, ...] = ()
    """Each a text for `has_come`."""


def put_lfs_files(repo: Repository, tree: str, folder: Path, paths: Iterable[str] | None = None) -> RealFiles:
    """Puts the files of Git LFS that the repository has instead of their pointers.

    Args:
        repo: the repository.
        tree: whose attributes count.
        folder: a new checkout of it, or of some of its files.
        paths: the files to look at; None: all in the folder.

    Raises:
        OSError: a file cannot be read or written.
    """
    if not has_lfs_files(repo):
        return RealFiles(missing=(_OF_LFS,))
    found = dict(_find_pointers(folder, _walk_files(folder) if paths is None else paths))
    filters = find_filters(repo, tree, found) if found else {}
    wanted = {path: pointer for path, pointer in found.items() if filters.get(path) == "lfs"}
    lacking = {path for path, pointer in wanted.items() if not _stored_path(repo, pointer.digest).exists()}
    put = tuple(
        path
        for path, pointer in wanted.items()
        if path not in lacking and _put_file(_stored_path(repo, pointer.digest), folder / path, pointer)
    )
    return RealFiles(put, tuple(f"{_OF_LFS} {wanted[path].digest}" for path in sorted(lacking)))


def has_lfs_files(repo: Repository) -> bool:
    """Whether the repository has files of Git LFS, some of them or all."""
    return repo.lfs_store.is_dir()


def has_come(repo: Repository, missing: str) -> bool:
    """Whether the user's repository has by now what it did not have when a layer was made."""
    kind, *parts = missing.split(" ", 2)
    if kind == _OF_LFS:
        return _stored_path(repo, *parts).exists() if parts else has_lfs_files(repo)
    commit, rest = parts
    name, _, path = rest.partition("\0")
    store = _user_modules(repo).find_store(name, path)
    if store is None:
        return False
    with (
        closing(Objects(repo.git, store / "objects", repo.id_bytes)) as objects,
        private_git(replace(repo, objects=objects)) as git,
    ):
        return git.run("cat-file", "-e", commit, check=False).status == 0


def _stored_path(repo: Repository, digest: str) -> Path:
    return repo.lfs_store / digest[:2] / digest[2:4] / digest


class _Pointer(Struct, frozen=True):
    digest: str
    size: int


def _walk_files(folder: Path) -> Iterator[str]:
    """Yields the paths of the regular files below a folder that are as small as pointers."""
    waiting = [""]
    while waiting:
        prefix = waiting.pop()
        with os.scandir(folder / prefix) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(f"{prefix}{entry.name}/")
                elif entry.stat(follow_symlinks=False).st_size <= _LONGEST_POINTER:
                    yield f"{prefix}{entry.name}"


def _find_pointers(folder: Path, paths: Iterable[str]) -> Iterator[tuple[str, _Pointer]]:
    for path in paths:
        status = (folder / path).lstat()
        if stat.S_ISREG(status.st_mode) and status.st_size <= _LONGEST_POINTER:
            match = _POINTER.fullmatch((folder / path).read_bytes())
            if match:
                yield path, _Pointer(match[1].decode(), int(match[2]))


def _put_file(source: Path, path: Path, pointer: _Pointer) -> bool:
    """Replaces a pointer by its file; false: the store does not have it, or has another content by that name."""
    made = path.with_name(f".{secrets.token_hex(8)}")
    try:
        with source.open("rb") as reading, made.open("xb") as writing:
            clone_or_copy(reading.fileno(), writing.fileno())
        with made.open("rb") as written:
            digest = hashlib.file_digest(written, "sha256").hexdigest()
        if digest == pointer.digest:
            made.chmod(stat.S_IMODE(path.lstat().st_mode))
            made.replace(path)
            return True
    except FileNotFoundError:
        return False
    finally:
        made.unlink(missing_ok=True)
    return False


def has_submodules(changes: Iterable[PathChange]) -> bool:
    """Whether a submodule is among changed paths, whose files no thin layer can replace."""
    return any(entry and entry.mode == SUBMODULE for change in changes for entry in (change.old, change.new))


def put_submodules(repo: Repository, commit: str, folder: Path) -> RealFiles:
    """Puts the files of the submodules that the user has checked out into a new checkout of a commit.

    Of submodules in submodules, it does not say which are missing.

    Raises:
        OSError: a file cannot be written.
        GitError: git cannot check one out.
    """
    return RealFiles(missing=tuple(_fill_submodules(repo, commit, folder, _user_modules(repo), _DEEPEST)))


def _user_modules(repo: Repository) -> "_UserModules":
    return _UserModules(repo.root, (repo.git_dir, repo.common_dir))


class _UserModules(Struct, frozen=True):
    """The git directories of the user's submodules."""

    checkout: Path
    git_dirs: tuple[Path, ...]

    def find_store(self, name: str, path: str) -> Path | None:
        """Returns the git directory of a submodule that is checked out; None: it is not, or it is somewhere else."""
        if not os.path.lexists(self.checkout / path / ".git"):
            return None
        parts = name.split("/")
        is_plain = not set(parts) & {"", ".", ".."}
        folders = (git_dir / "modules" / name for git_dir in self.git_dirs if is_plain)
        for folder in (*folders, self.checkout / path / ".git"):
            if (folder / "objects").is_dir() and not folder.is_symlink():
                return folder
        return None


def _fill_submodules(
    repo: Repository, commit: str, folder: Path, source: _UserModules, levels: int
) -> list[str]:
    """Fills the folders of submodules; returns what is missing."""
    missing: list[str] = []
    modules = folder / _MODULES
    if not levels or modules.is_symlink() or not modules.is_file():
        return missing
    for name, path in _read_modules(repo, modules):
        store = source.find_store(name, path)
        linked = _find_linked_commit(repo, commit, path)
        if linked is None:
            continue
        if store is None:
            missing += _describe_missing(linked, name, path)
            continue
        with closing(Objects(repo.git, store / "objects", repo.id_bytes)) as objects:
            inner = replace(repo, objects=objects, attributes=b"")
            index = folder.with_name(f"{folder.name}.{secrets.token_hex(4)}")
            try:
                check_out_all(inner, folder / path, index, linked)
            except GitError:  # the user's own checkout does not have that commit
                missing += _describe_missing(linked, name, path)
            else:
                below = _UserModules(source.checkout / path, (store,))
                _fill_submodules(inner, linked, folder / path, below, levels - 1)
            index.unlink(missing_ok=True)
    return missing


def _describe_missing(commit: str, name: str, path: str) -> tuple[str, ...]:
    text = f"{_OF_MODULE} {commit} {name}\0{path}"
    return (
        (text,) if text.isprintable() or text.encode("utf-8", "replace").decode() == text else ()
    )  # else the marker cannot have it


def _read_modules(repo: Repository, modules: Path) -> Iterator[tuple[str, str]]:
    """Yields the name and the path of each submodule that a file describes."""
    options = ("config", "--file", str(modules), "-z", "--get-regexp", r"^submodule\..*\.path$")
    for entry in decode_path(repo.git.run(*options, check=False).stdout).split("\0")[:-1]:
        key, _, path = entry.partition("\n")
        if path and not set(path.split("/")) & {"", ".", ".."}:
            yield key.removeprefix("submodule.").removesuffix(".path"), path


def _find_linked_commit(repo: Repository, commit: str, path: str) -> str | None:
    """Returns the commit that a tree has at the path of a submodule."""
    with private_git(repo) as git:
        found = git.run("ls-tree", "-z", commit, "--", path, check=False).stdout
    mode, _, rest = found.partition(b" ")
    return rest.split(b" ")[1].partition(b"\t")[0].decode() if mode.decode() == SUBMODULE else None
