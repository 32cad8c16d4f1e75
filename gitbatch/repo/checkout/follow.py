"""Updates the user's checkout after their branch has moved: the changed paths, and nothing else.

A path is updated if the user has not changed it: in the working tree by writing a temporary file and renaming it, in the
index by replacing its entry. A path that the user has changed stays as it is and is reported.

The index is locked, as git locks it, from before the branch moves until the checkout is updated: a `git commit` of the
user's in between would commit the old index, and so revert the checkpoint; it has to wait.
"""

import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from gitbatch.errors import BusyError
from gitbatch.fs.disk import is_at_the_path, naming
from gitbatch.fs.durable import replacing
from gitbatch.fs.nofollow import directory, regular_file
from gitbatch.paths import ancestors, decode_path, encode_path
from gitbatch.repo.attributes import as_committed, read_rules
from gitbatch.repo.checkout.clean_paths import find_blocker, leave_clean_out
from gitbatch.repo.checkout.files import FileChange, drop_all_remains, find_differing, update_files
from gitbatch.repo.checkout.index_lookup import open_lookup
from gitbatch.repo.checkout.index_update import update_index
from gitbatch.repo.index_bytes import UnreadableIndexError
from gitbatch.repo.private_dir import private_git
from gitbatch.repo.process import Git
from gitbatch.repo.refs.lock_files import is_same_file, release_index
from gitbatch.repo.repository import Repository
from gitbatch.text import CleanText

_UNMERGED = "unmerged"
_ARGUMENTS = 500
_CHANGED = (
    *("status", "--porcelain=v1", "-z", "--no-renames", "--untracked-files=all", "--ignored=no"),
    # In each submodule git would start another git, which reads the submodule's own configuration.
    "--ignore-submodules=all",
)
_TRACKED = ("ls-files", "-z")
_STAGED = ("ls-files", "-t", "--stage", "-z")
_CONVERTING = ("check-attr", "-z", "eol", "ident", "working-tree-encoding")
_AS_STORED = frozenset({b"unspecified", b"unset", b"lf"})
_PATIENCE = 100
"""Tries, a tenth of a second apart, for an index that another git process has locked."""


class Followed(Struct, frozen=True):
    """The result of updating the checkout, as far as it concerns the user."""

    kept: tuple[str, ...] = ()
    """Paths where the user's own version stays."""
    notes: tuple[CleanText, ...] = ()
    """Other notes, one line each."""


class _IndexEntry(NamedTuple):
    """The entry of the index at a path."""

    blob: str
    """`_UNMERGED` for an entry in conflict, which equals no blob."""
    skipped: bool
    """Whether a sparse checkout leaves it out."""


class _SavedAgain(Exception):  # noqa: N818 - not an error
    """The user saved a file while a new version of it was written."""


_NO_ENTRY = _IndexEntry("", skipped=False)


def find_uncommitted(repo: Repository, paths: tuple[str, ...]) -> tuple[str, ...]:
    """Returns those of the paths that have uncommitted changes in the user's checkout (staged, unstaged or untracked)."""
    if not paths:
        return ()
    head = repo.head_commit() or ""
    asked = leave_clean_out(repo, head, paths)
    if not asked:
        return ()
    found = _ask_git(repo, head, asked)
    return tuple(path for path in paths if path in found)


def _ask_git(repo: Repository, head: str, paths: tuple[str, ...]) -> set[str]:
    """Returns those of the paths that have uncommitted changes, as git says."""
    # Two cases are not in git status: an ignored file at an output path would be overwritten, too, and a path below
    # something other than a folder cannot be written.
    blockers = {path: above for path in paths if (above := find_blocker(repo, path))}
    found: set[str] = set()
    tracked: set[str] = set()
    with private_git(repo, repo.root, head=head, index=repo.git_dir / "index") as git:
        for some in _split_arguments(paths):
            asked = (*some, *(blockers[path] for path in some if path in blockers))
            changed, known = git.run_all((*_CHANGED, "--", *some), (*_TRACKED, "--", *asked))
            found |= {line[3:] for line in _split_names(changed.stdout)}
            tracked |= set(_split_names(known.stdout))
    there = [path for path in paths if path not in found and os.path.lexists(repo.root / path)]
    folders = {above for path in tracked for above in ancestors(path)}
    found |= {path for path in there if path not in tracked | folders}
    return found | {path for path, above in blockers.items() if above not in tracked}


def _split_arguments(paths: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """Splits paths into parts that fit into an argument list."""
    return (paths[start : start + _ARGUMENTS] for start in range(0, len(paths), _ARGUMENTS))


def _split_names(listed: bytes) -> Iterator[str]:
    return (decode_path(line) for line in listed.split(b"\0") if line)


@contextmanager
def index_lock(repo: Repository, tries: int | None = None) -> Iterator[None]:
    """Holds the lock of the checkout's index, as git does.

    The lock is a hard link to a file of ours, so that after a crash it is known not to belong to a running git process.
    That file is removed after the lock.

    Raises:
        BusyError: another git process holds it.
    """
    lock, proof = repo.git_dir / "index.lock", repo.own_dir / "index-lock"
    repo.own_dir.mkdir(exist_ok=True)
    proof.touch()
    try:
        _link_patiently(proof, lock, _PATIENCE if tries is None else tries)
        yield
    finally:
        release_index(lock, proof)


def _link_patiently(proof: Path, lock: Path, tries: int) -> None:
    for _ in range(tries):
        try:
            lock.hardlink_to(proof)
        except FileExistsError:
            if is_same_file(lock, proof):  # left by this process, which could not remove it
                return
            time.sleep(0.1)
        else:
            return
    raise BusyError(
        f"the index of the checkout is locked by another git process ({lock})",
        "finish that command (is a commit message being edited?); if no git command is running there, "
        f"remove {lock}. Then resume: gitbatch run (finished items are kept)",
    )


def update_checkout(repo: Repository, old_tree: str, new_tree: str, paths: tuple[str, ...]) -> Followed:
    """Updates the paths that differ between two trees in the checkout. Call it under `index_lock`.

    The index is updated last: as long as it has the old version, the same call updates the file at that path, too.

    Raises:
        OSError: the disk fails. Some paths may have been updated; the same call updates the others later.
    """
    rules = read_rules(repo, new_tree, paths)
    if not rules and not repo.attributes and not repo.line_ends.on_disk:
        return _update_paths(repo, (old_tree, new_tree), paths, None)
    with as_committed(repo, rules) as git:
        return _update_paths(repo, (old_tree, new_tree), paths, git)


def _update_paths(
    repo: Repository, trees: tuple[str, str], paths: tuple[str, ...], converting: Git | None
) -> Followed:
    """Does the same; `converting`: a git that converts by the new tree's attributes, if there are any."""
    staged = _read_index(repo, paths)
    converted = find_converted(repo, converting, paths) if converting else frozenset()
    kept: set[str] = set()
    entries: list[FileChange] = []
    followed: list[FileChange] = []
    for path in paths:
        old, new = (repo.objects.find_entry(tree, path) for tree in trees)
        entry = staged.get(path, _NO_ENTRY)
        change = FileChange(
            path, old.oid if old else None, new.oid if new else "", path in converted, entry.skipped
        )
        if entry.blob == change.new:  # updated by an earlier call, which may have been interrupted
            followed.append(change)
        elif entry.blob == (change.old or ""):
            entries.append(change)
        else:
            kept.add(path)
    drop_all_remains(repo, paths)
    kept |= update_files(repo, entries, converting) | find_differing(repo, followed, converting)
    update_index(repo, entries)
    return Followed(tuple(path for path in paths if path in kept))


def _read_index(repo: Repository, paths: tuple[str, ...]) -> dict[str, _IndexEntry]:
    """Returns the entries of the index at paths."""
    with suppress(UnreadableIndexError), open_lookup(repo.git_dir / "index", repo.id_bytes) as index:
        found = {path: index.find_entry(encode_path(path)) for path in paths}
        return {
            path: _IndexEntry(entry.oid if entry.is_merged else _UNMERGED, skipped=False)
            for path, entry in found.items()
            if entry
        }
    staged: dict[str, _IndexEntry] = {}
    for some in _split_arguments(paths):
        staged |= _parse_entries(repo.git.run(*_STAGED, "--", *some).stdout)
    return staged


def find_converted(repo: Repository, converting: Git, paths: tuple[str, ...]) -> frozenset[str]:
    """Returns the paths whose files may differ from their blobs by conversion."""
    converted = set(paths) if repo.line_ends.on_disk else set[str]()
    for some in _split_arguments(paths):
        parts = converting.run(*_CONVERTING, "--", *some).stdout.split(b"\0")
        values = zip(parts[::3], parts[2::3], strict=False)
        converted |= {decode_path(path) for path, value in values if value not in _AS_STORED}
    return frozenset(converted)


def rewrite_file(repo: Repository, path: str, change: Callable[[bytes], bytes]) -> None:
    """Changes the user's own versions of a file: the staged one, and the one on disk. Call it under `index_lock`.

    A version that does not exist (deleted, a link, in conflict) is not created.

    Raises:
        OSError: the disk fails.
    """
    staged, skipped = _parse_entries(repo.git.run(*_STAGED, "--", path).stdout).get(path, _NO_ENTRY)
    if staged and staged != _UNMERGED:
        before = repo.objects.read_blob(staged)
        after = change(before)
        if after != before:
            update_index(repo, [FileChange(path, staged, repo.objects.write_blob(after), skipped=skipped)])
    try:
        with naming(repo.root / path), suppress(_SavedAgain):
            _rewrite_on_disk(repo, path, change)
    except OSError as error:
        if not is_at_the_path(error):
            raise


def _rewrite_on_disk(repo: Repository, path: str, change: Callable[[bytes], bytes]) -> None:
    with regular_file(repo.root, path) as (descriptor, status):
        before = os.pread(descriptor, status.st_size, 0)
    after = change(before)
    if after == before:
        return
    with _replace_file(repo, path) as written:
        _write_all(written, after)
        os.fchmod(written, status.st_mode & 0o7777)
        with regular_file(repo.root, path) as (
            _,
            now,
        ):  # the user has saved it in the meantime: their version is newer
            if (now.st_ino, now.st_mtime_ns, now.st_size) != (
                status.st_ino,
                status.st_mtime_ns,
                status.st_size,
            ):
                raise _SavedAgain


def _write_all(descriptor: int, content: bytes) -> None:
    with open(descriptor, "wb", closefd=False) as stream:
        stream.write(content)


def _parse_entries(listed: bytes) -> dict[str, _IndexEntry]:
    """Parses the output of `git ls-files --stage`."""
    found: dict[str, _IndexEntry] = {}
    for line in _split_names(listed):
        head, _, name = line.partition("\t")
        tag, _, oid, stage = head.split(" ")
        found[name] = _IndexEntry(oid if stage == "0" else _UNMERGED, tag == "S")
    return found


@contextmanager
def _replace_file(repo: Repository, path: str) -> Iterator[int]:
    """Yields the descriptor of a new file that replaces the one at a path if nothing is raised."""
    *parents, name = path.split("/")
    with directory(repo.root, tuple(parents), create=True) as parent, replacing(parent, name) as descriptor:
        yield descriptor
