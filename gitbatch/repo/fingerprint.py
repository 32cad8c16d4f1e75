"""Detects changes of a repository's control files during a run: they could make git run a program or read other data.

The files are compared before each commit point: times and sizes first, then contents, so touching a file is not a change.
Neither is checking out another branch during a run, which redirects nothing: HEAD may name any branch or commit.
"""

import hashlib
import os
import stat
from pathlib import Path

import msgspec
from msgspec import Struct

from gitbatch.errors import GitbatchError, GitError
from gitbatch.fs.disk import is_of_disk
from gitbatch.patterns import compile_later
from gitbatch.repo.config_file import may_have
from gitbatch.repo.refs.pinned import PinnedRefs
from gitbatch.repo.repository import Repository

_FILES = ("HEAD", "config", "config.worktree", "shallow", "objects/info/alternates", "commondir", "gitdir")
_POINTERS = ("gitdir", "commondir", "config.worktree")

_NAMES = r"^(include(if\..*)?\.path|core\.hookspath)$"
_NOTHING_NAMED = 1
_HOOKS = (
    "applypatch-msg",
    "commit-msg",
    "fsmonitor-watchman",
    "post-applypatch",
    "post-checkout",
    "post-commit",
    "post-index-change",
    "post-merge",
    "post-receive",
    "post-rewrite",
    "post-update",
    "pre-applypatch",
    "pre-auto-gc",
    "pre-commit",
    "pre-merge-commit",
    "pre-push",
    "pre-rebase",
    "pre-receive",
    "prepare-commit-msg",
    "proc-receive",
    "push-to-checkout",
    "reference-transaction",
    "sendemail-validate",
    "update",
)
"""The names in githooks(5)."""

_ANY_BRANCH = compile_later(rb"(?:ref: refs/heads/[^\0-\x20\x7f]+|[0-9a-f]{40}|[0-9a-f]{64})\n")
_LARGEST_HOOK = 1024 * 1024


class TamperedError(GitbatchError):
    """A control file of the repository was changed during the run."""


class _FileMark(Struct, frozen=True):
    """One file: `stamp` changes whenever the file is written, `digest` only with its content."""

    stamp: tuple[int, ...]
    digest: str


class Fingerprint(Struct, frozen=True):
    """The control files of a repository at a moment."""

    marks: tuple[tuple[str, _FileMark], ...]
    ours: str
    """Prefix of the names of the run's own worktrees, which come and go."""
    named: tuple[Path, ...]
    """Paths that the configuration names, existing or not: included files, the folder of hooks."""
    pinned: PinnedRefs = msgspec.field(default_factory=lambda: PinnedRefs({}))
    """The refs that only gitbatch writes meanwhile."""


def take_fingerprint(repo: Repository, ours: str, refs: tuple[str, ...] = ()) -> Fingerprint:
    """Returns the fingerprint of a repository now.

    Args:
        repo: the repository.
        ours: prefix of the names of the run's own worktrees.
        refs: full names of refs that only this process writes.
    """
    named = _list_named_paths(repo)
    files = _control_files(repo, ours, named)
    return Fingerprint(
        tuple((path, _FileMark(_stamp(path), _compute_digest(Path(path)))) for path in files),
        ours,
        named,
        PinnedRefs.read(repo.refs, refs),
    )


def require_same_refs(repo: Repository, before: Fingerprint) -> None:
    """Raises an error if another process has changed a ref that only gitbatch writes.

    Raises:
        TamperedError: the message names the refs.
    """
    if changed := before.pinned.find_changed(repo.refs):
        raise TamperedError(
            f"while agents ran, another process changed {', '.join(changed)}",
            "the old values are restored. Look at what the agents did, then resume: gitbatch run",
        )


def require_untouched(repo: Repository, before: Fingerprint) -> None:
    """Raises an error if a control file was changed, created or removed.

    Raises:
        TamperedError: the message names the files.
    """
    require_same_refs(repo, before)
    known = dict(before.marks)
    there = set(_control_files(repo, before.ours, before.named))
    changed = {path for path in there & known.keys() if not _is_same(path, known[path])}
    # A worktree that the user adds or removes meanwhile redirects nothing.
    changed |= {path for path in known.keys() - there if not _is_removed_worktree(repo, path)}
    changed |= {path for path in there - known.keys() if not _is_of_a_worktree(repo, path)}
    if changed:
        names = ", ".join(sorted(os.path.relpath(path, repo.common_dir) for path in changed))
        raise TamperedError(
            f"while agents ran, {names} changed in {repo.common_dir}",
            "no branch was moved. Check the change; if it was yours, resume: gitbatch run",
        )


def _is_of_a_worktree(repo: Repository, path: str) -> bool:
    return path.startswith(f"{repo.common_dir}/worktrees/")


def _is_removed_worktree(repo: Repository, path: str) -> bool:
    return _is_of_a_worktree(repo, path) and not Path(path).parent.exists()


def _is_same(path: str, mark: _FileMark) -> bool:
    stamp = _stamp(path)
    return (stamp == mark.stamp and stamp != ()) or _compute_digest(Path(path)) == mark.digest


def _list_named_paths(repo: Repository) -> tuple[Path, ...]:
    """Returns the paths that the repository's configuration names: included files, under any condition, and hook folders."""
    folders = dict.fromkeys((repo.common_dir, repo.git_dir))
    files = tuple(above / name for above in folders for name in ("config", "config.worktree"))
    if not may_have(files, (b"include", b"hookspath")):
        return ()
    asked = ("config", "--includes", "--show-origin", "--type=path", "-z", "--get-regexp", _NAMES)
    listed = repo.git.run(*asked, check=False)
    if listed.status not in {0, _NOTHING_NAMED}:
        raise GitError(asked, listed.status, listed.stderr)
    lines = os.fsdecode(listed.stdout).split("\0")
    found: list[Path] = []
    for origin, setting in zip(lines[::2], lines[1::2], strict=False):
        if not origin.startswith("file:"):  # a setting that is passed to git, not read from a file
            continue
        file = repo.root / origin.removeprefix("file:")
        key, _, path = setting.partition("\n")
        found += _hook_paths(repo, path) if key == "core.hookspath" else (file.parent / path,)
    return tuple(found)


def _hook_paths(repo: Repository, path: str) -> tuple[Path, ...]:
    """Returns the paths of the hooks' scripts; with husky, they are in the folder above. An empty path: no hooks."""
    if not path:
        return ()
    folder = Path(os.path.normpath(repo.root / path))
    above = folder.parent if folder.name == "_" else folder
    if not repo.common_dir.resolve().is_relative_to(above.resolve()):
        return (above,)
    # It is the whole checkout, in which much may change.
    return (*(above / name for name in _HOOKS), *((folder,) if folder != above else ()))


def _control_files(repo: Repository, ours: str, named: tuple[Path, ...]) -> list[str]:
    """Returns the paths of all control files that exist; as strings, as they are compared twice for each item."""
    found: list[str] = []
    for path in map(os.fspath, named):
        found += _list_below(path) if os.path.isdir(path) else filter(os.path.lexists, (path,))  # noqa: PTH112
    for place in dict.fromkeys((os.fspath(repo.git_dir), os.fspath(repo.common_dir))):
        found += [path for name in _FILES if os.path.lexists(path := f"{place}/{name}")]
        found += _list_below(f"{place}/hooks")
        made_by_gc = (
            f"{place}/info/refs"  # and, for a moment, the same name with "_" and six letters after it
        )
        found += [path for path in _list_below(f"{place}/info") if not path.startswith(made_by_gc)]
    for entry in _scan(f"{repo.common_dir}/worktrees"):
        if not entry.name.startswith(ours):
            found += [path for name in _POINTERS if os.path.lexists(path := f"{entry.path}/{name}")]
    return found


def _list_below(folder: str) -> list[str]:
    """Returns everything below a folder except folders; a link to a folder counts as a file."""
    found: list[str] = []
    for entry in _scan(folder):
        if entry.is_dir(follow_symlinks=False):
            found += _list_below(entry.path)
        else:
            found.append(entry.path)
    return found


def _scan(folder: str) -> "list[os.DirEntry[str]]":
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []


def _stamp(path: str) -> tuple[int, ...]:
    try:
        status = os.lstat(path)
    except OSError:
        return ()
    if stat.S_ISLNK(status.st_mode):  # what it leads to may change
        return ()
    return (status.st_mode, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)


def _compute_digest(path: Path) -> str:
    """Returns a digest of content and mode: a hook that becomes executable has changed."""
    try:
        mode = path.lstat().st_mode
        content = _read_link(path) if path.is_symlink() else _without_volatile(path.name, path.read_bytes())
    except OSError as error:
        if is_of_disk(error):  # not caused by an agent
            raise
        return f"unreadable: {error.errno}"
    return f"{mode:o} {hashlib.sha256(content).hexdigest()}"


def _read_link(path: Path) -> bytes:
    """Returns the target of a link, and the content of the file that it leads to."""
    target = os.fsencode(path.readlink()) + b"\0"
    return target + path.read_bytes() if path.is_file() and path.stat().st_size <= _LARGEST_HOOK else target


def _without_volatile(name: str, content: bytes) -> bytes:
    """Returns the content of a control file, without the parts that may change."""
    return b"a branch or a commit" if name == "HEAD" and _ANY_BRANCH.fullmatch(content) else content
