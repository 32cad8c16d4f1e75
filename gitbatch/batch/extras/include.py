"""Choosing the ignored files of the user's checkout that worktrees get: installed packages, build caches, test settings.

`.worktreeinclude` of the commit that the batch starts from, and `batch.include`, say which. Of what they match, these are
left out:

| what | why |
|---|---|
| what git does not ignore | it is in a commit, or is the user's work in progress |
| what the commit has at the same path | it would hide the committed file |
| shared files, and outputs of the plan | an agent would find its work done |
| names that look like secrets (`_SECRETS`), unless `batch.include` has that very path | an agent can send them anywhere |
| everything called `.git`, sockets, FIFOs, devices | they have no use in a copy |

Below a folder that a package manager fills, the names of modules and public certificates are not judged: nothing that has
`credentials.py` or `cacert.pem` in it would work otherwise.
Links are copied as links, also those that lead out of the checkout (`.venv/bin/python` does); they are never followed.
"""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from functools import partial
from hashlib import sha256
from pathlib import Path, PurePosixPath

from msgspec import Struct

from gitbatch.errors import UsageError
from gitbatch.fs.copying import SourceFile, list_sources
from gitbatch.paths import path_key
from gitbatch.plan.outputs import INCLUDE_FILE
from gitbatch.project.extras_table import ExtrasTable
from gitbatch.repo.ignored import list_ignored, split_patterns
from gitbatch.repo.repository import Repository
from gitbatch.repo.snapshot import TreeSnapshot
from gitbatch.text import CleanText, clean_text, format_count, format_size, list_names

_SECRETS_ANYWHERE = (".env*", ".netrc", ".npmrc", ".pypirc")
_SECRETS = (*_SECRETS_ANYWHERE, "*.pem", "*.key", "id_*", "credentials*")
_PACKAGES = frozenset({"node_modules", "site-packages"})
_LARGEST = 3


class IncludedFiles(Struct, frozen=True):
    """The files of the checkout that worktrees get."""

    files: tuple[SourceFile, ...] = ()
    tops: tuple[str, ...] = ()
    """The files and folders (with a slash) that they are in."""
    size: int = 0
    named: tuple[str, ...] = ()
    """Those with names that look like secrets, which `batch.include` names."""
    left_out: tuple[str, ...] = ()
    """Those that were left out for their names."""

    @property
    def digest(self) -> str:
        """Returns what differs when a file is added, removed or written."""
        return sha256(repr(self.files).encode("utf-8", "surrogatepass")).hexdigest()

    def describe(self) -> tuple[CleanText, ...]:
        """Returns lines for the user."""
        count = format_count(sum(not file.is_folder for file in self.files), "file")
        lines = []
        if self.files:
            lines.append(
                f"worktrees get {list_names(self.tops)} of your checkout ({format_size(self.size)} in {count})"
            )
        if links := tuple(file.path for file in self.files if file.target and file.path in self.tops):
            lines.append(f"included as links, which are not followed: {list_names(links)}")
        if self.named:
            lines.append(f"agents can read {list_names(self.named)}, which batch.include names")
        if self.left_out:
            hint = "to include one, name its very path in batch.include"
            lines.append(
                f"not included, as the names look like secrets: {list_names(self.left_out)} ({hint})"
            )
        return tuple(map(clean_text, lines))


class IncludeSizeError(UsageError):
    """The files to include are more than `batch.include-max` allows."""


def find_included(
    repo: Repository, snapshot: TreeSnapshot, table: ExtrasTable, guarded: frozenset[str]
) -> IncludedFiles:
    """Returns the files of the checkout that worktrees get.

    Args:
        repo: the repository, with the checkout.
        snapshot: the files of the commit that the batch starts from.
        table: the settings.
        guarded: the paths, by `path_key`, that have one writer.

    Raises:
        IncludeSizeError: they are too large together.
        OSError: one cannot be read.
    """
    text = (snapshot.read(INCLUDE_FILE) or b"").decode("utf-8", "surrogateescape")
    patterns = (*split_patterns(text), *table.include)
    listed = list_ignored(repo, patterns)
    tops = tuple(top for top in listed if not _is_committed(snapshot, top.rstrip("/")))
    chosen = _FileChoice(table.included_paths, guarded, {}, {})
    by_top = {top: tuple(chosen.list_files(repo.root, top)) for top in tops}
    found = {top: files for top, files in by_top.items() if files}
    _require_size(found, table.include_max)
    files = tuple(file for files in found.values() for file in files)
    size = sum(file.size for file in files)
    return IncludedFiles(files, tuple(found), size, tuple(chosen.named), tuple(chosen.left_out))


def _is_committed(snapshot: TreeSnapshot, path: str) -> bool:
    if snapshot.find_obstacle(path) is not None:
        return True
    return snapshot.blob(path) is not None


class _FileChoice(Struct, frozen=True):
    """The choice of the files that are included, with those that are left out."""

    wanted: frozenset[str]
    guarded: frozenset[str]
    named: dict[str, None]
    left_out: dict[str, None]

    def list_files(self, root: Path, top: str) -> tuple[SourceFile, ...]:
        path = top.rstrip("/")
        above = [str(folder) for folder in PurePosixPath(path).parents][-2::-1]
        if any(self.is_left_out(folder) for folder in above):
            return ()
        files = tuple(list_sources(root, path, self.is_left_out))
        return () if all(file.is_folder for file in files) else files

    def is_left_out(self, path: str) -> bool:
        if path_key(path) in self.guarded:
            return True
        if not looks_secret(path):
            return False
        (self.named if path in self.wanted else self.left_out)[path] = None
        return path not in self.wanted


def looks_secret(path: str) -> bool:
    """Returns true if the last part of a path has a name that files with secrets have."""
    *folders, name = path.casefold().split("/")
    patterns = _SECRETS_ANYWHERE if _PACKAGES & set(folders) else _SECRETS
    return any(map(partial(fnmatchcase, name), patterns))


def _require_size(found: Mapping[str, tuple[SourceFile, ...]], limit: int) -> None:
    sizes = {top: sum(file.size for file in files) for top, files in found.items()}
    total = sum(sizes.values())
    if total > limit:
        largest = sorted(sizes, key=lambda top: -sizes[top])[:_LARGEST]
        named = ", ".join(f"{top} ({format_size(sizes[top])})" for top in largest)
        raise IncludeSizeError(
            f"the files to include have {format_size(total)}, more than batch.include-max allows "
            f"({format_size(limit)}); the largest: {clean_text(named)}",
            f"narrow {INCLUDE_FILE} or batch.include, or raise include-max under [batch]",
        )
