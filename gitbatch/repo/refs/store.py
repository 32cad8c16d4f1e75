"""Reads refs from their files, and moves them by compare-and-swap through git."""

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from gitbatch.errors import BusyError, GitbatchError, GitError
from gitbatch.fs.disk import raising_only_of_disk
from gitbatch.fs.durable import sync_all
from gitbatch.fs.whole import read_whole
from gitbatch.paths import ancestors
from gitbatch.patterns import compile_later
from gitbatch.repo.pipe import Pipe
from gitbatch.repo.process import Git, GitResult
from gitbatch.repo.refs.listing import list_ref_files
from gitbatch.repo.refs.lock_files import OURS, blocking_locks, clear_mark, reclaim_ref_locks
from gitbatch.repo.refs.names import _NUMBERED, BATCHES, short

_ID = compile_later(rb"(?:[0-9a-f]{40}|[0-9a-f]{64})\n")
_LEADS_TO = compile_later(rb"ref: (refs/heads/[\w-]+(?:[./][\w-]+)*)\n")
"""A symbolic ref to a branch with a usual name; git checks other names."""
_REASON = "gitbatch"
"""The reflog message of our own refs. They get no new reflog: their earlier values are not needed."""
_SESSION = (
    *("-c", "core.logAllRefUpdates=false"),
    *(
        "-c",
        "core.warnAmbiguousRefs=false",
    ),  # else git looks for refs that are named like the id of each object
    *("update-ref", "-m", _REASON, "--stdin"),
)


def config_ref(batch: str) -> str:
    """Returns the ref of the gitbatch.toml (a blob) that the user has accepted for a batch since it was started."""
    return f"{BATCHES}{batch}/config"


def split_rescued_output(name: str) -> tuple[str, int] | None:
    """Returns slug and attempt of a ref of `rescued_output_ref`, named without `rescue_refs`; None: it is not one."""
    found = _NUMBERED.fullmatch(name)
    return (found[1], int(found[2])) if found else None


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Refs:
    """The refs of one repository. A write changes the named ref itself, never a ref that it points to."""

    git: Git
    common_dir: Path
    git_dir: Path
    zero: str
    """The id that means "no object"."""
    lock_umask: int | None = None
    """The umask that marks our locks where the user's git takes the same ones (`lock_files.py`); None: the
    repository's lock is not held, and no lock is taken for stale."""
    session: Pipe = field(init=False)
    """A git process that moves one ref after the other. It ends when a ref cannot be moved, and is started again."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "session", Pipe(self.git, _SESSION))

    def with_lock(self, git: Git, lock_umask: int) -> "Refs":
        """Returns the same refs for a git that holds the repository's lock, so that stale locks are recognised."""
        return replace(self, git=git, lock_umask=lock_umask)

    def close(self) -> None:
        """Ends the open git process."""
        self.session.close()

    def read(self, ref: str) -> str | None:
        """Returns the object that a full ref name points to; None: the ref does not exist."""
        return self.read_several((ref,))[ref]

    def read_several(self, refs: Iterable[str]) -> dict[str, str | None]:
        """Returns what `read` does for some refs; packed-refs is read once for all that have no file."""
        # As git does: the ref's own file counts, if it exists, else packed-refs. Other cases (a symbolic ref, a
        # reftable, a packed ref) are left to git. Several refs are read twice for each item: as strings, not as paths.
        found = {ref: self._read_usual(f"{self.common_dir}/{ref}") for ref in refs}
        # Afterwards: a ref that is being packed is in packed-refs before its file is removed.
        rest = {ref: f" {ref}\n" for ref, oid in found.items() if oid is None}
        return found | {ref: self._ask_git(ref) for ref in self._find_possible(rest)}

    def _read_usual(self, path: str) -> str | None:
        """Returns the object that a ref's own file names; None: it has no such file, or git has to be asked."""
        with raising_only_of_disk():  # git would report a missing ref
            content = read_whole(path)
            if len(content) == len(self.zero) + 1 and _ID.fullmatch(content):
                return content[:-1].decode()
        return None

    def _find_possible(self, refs: Mapping[str, str]) -> Iterable[str]:
        """Returns those of refs without a usual file that may exist: with another file, in packed-refs, in a reftable.

        `refs`: how each stands in packed-refs, by its name.
        """
        if not refs or self.is_reftable:
            return refs
        packed = b""
        try:
            packed = read_whole(f"{self.common_dir}/packed-refs")
        except FileNotFoundError:
            pass
        except OSError:
            return refs
        return [
            ref
            for ref, line in refs.items()
            if os.path.lexists(f"{self.common_dir}/{ref}") or os.fsencode(line) in packed
        ]

    def _ask_git(self, ref: str) -> str | None:
        found = self.git.run("show-ref", "--verify", "--hash", "--", ref, check=False)
        return found.stdout.decode().strip() if found.status == 0 else None

    def leads_to(self, name: str) -> str | None:
        """Returns the ref at the end of a chain of symbolic refs that starts at HEAD or another; None: it is not symbolic."""
        further = self._read_symbolic(name)
        return self.resolve(further) if further else None

    def _read_symbolic(self, name: str) -> str | None:
        """Returns the ref that a symbolic ref names; None: it is not symbolic."""
        path = self.git_dir / name if name == "HEAD" else self.common_dir / name
        if not self.is_reftable and not path.is_symlink():
            content = b""
            with raising_only_of_disk():  # git would report a dangling ref
                content = path.read_bytes()
            found = _LEADS_TO.fullmatch(content)
            if _ID.fullmatch(content):
                return None
            if found and not found[1].endswith(b".lock"):
                return os.fsdecode(found[1])
        asked = self.git.run("symbolic-ref", "--quiet", name, check=False)
        return os.fsdecode(asked.stdout).strip() if asked.status == 0 else None

    def resolve(self, ref: str) -> str:
        """Returns the ref at the end of a chain of symbolic refs; a ref that is not symbolic itself."""
        for _ in range(5):
            further = self._read_symbolic(ref)
            if further is None:
                break
            ref = further
        return ref

    def commit(self, name: str) -> str | None:
        """Returns the commit that a revision (a branch, HEAD, an id) names; None: it names no commit."""
        found = self.git.run(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}", check=False
        )
        return found.stdout.decode().strip() if found.status == 0 else None

    def below(self, prefix: str) -> dict[str, str]:
        """Returns all refs whose names start with `prefix` (ending in a slash), with their objects."""
        folder = self.common_dir / prefix
        if not folder.is_dir() and not self._find_possible({prefix: f" {prefix}"}):
            return {}
        found = (
            None if self.is_reftable else list_ref_files(os.fspath(self.common_dir), prefix, len(self.zero))
        )
        if found is not None:
            return found
        listed = self.git.run("for-each-ref", "--format=%(refname)%00%(objectname)", prefix).stdout
        lines = filter(None, os.fsdecode(listed).split("\n"))
        return {ref: oid for ref, _, oid in (line.partition("\0") for line in lines)}

    def _move_in_session(self, ref: str, new: str, old: str = "") -> bool:
        """Moves a ref of ours through the open git process; without `old`: wherever it was. Returns whether it moved."""
        return self._send_move(ref, new, old) and self._receive_moved(ref, new)

    def _send_move(self, ref: str, new: str, old: str) -> bool:
        """Sends a move to the open git process; returns false if it must not or cannot do it."""
        if not ref.startswith(OURS):  # the user's git may take the same lock, so it has to be marked
            return False
        transaction = f"start\noption no-deref\nupdate {ref} {new} {old}".rstrip() + "\ncommit\n"
        try:
            self.session.send(os.fsencode(transaction))
        except GitError:
            return False
        return True

    def _receive_moved(self, ref: str, new: str) -> bool:
        """Returns whether the open git process answers that it has moved a ref."""
        try:
            return self.session.read_line() == b"start: ok" and self.session.read_line() == b"commit: ok"
        except GitError as error:  # it may have been killed right after the move
            return error.status < 0 and self.read(ref) == new

    def create(self, ref: str, oid: str) -> None:
        """Creates a ref that does not exist.

        Raises:
            GitError: it exists.
        """
        with self.creating(ref, oid):
            pass

    @contextmanager
    def creating(self, ref: str, oid: str) -> Iterator[None]:
        """Creates a ref that does not exist, while the caller does something else, but moves no other ref.

        Raises:
            GitError: it exists.
        """
        is_sent = self.read(ref) is None and self._send_move(ref, oid, self.zero)
        try:
            yield
        finally:
            is_made = is_sent and self._receive_moved(ref, oid)
        if not is_made and not self.swap(ref, oid, None, "gitbatch: created"):
            raise GitError(("update-ref", ref, oid), 1, f"{short(ref)} exists already")

    def point(self, ref: str, oid: str) -> None:
        """Points a ref of ours at an object, wherever it was."""
        if self._move_in_session(ref, oid):
            return
        done = self._update_ref(ref, ref, oid)
        if done.status != 0 and self.read(ref) != oid:
            raise self._error_for(ref, done)

    def swap(self, ref: str, new: str, old: str | None, reason: str) -> bool:
        """Moves a ref from `old` (None: it must not exist) to `new`: compare-and-swap.

        Returns:
            Whether it moved; false if it was not at `old`.

        Raises:
            BusyError: another git process holds the lock of the ref.
        """
        was = self.read(ref)
        # An open process may have read packed-refs before the last change; then a new process does it.
        if was == old and self._move_in_session(ref, new, old or self.zero):
            return True
        done = self._update_ref(ref, "-m", reason, ref, new, old or self.zero)
        if done.status == 0:
            return True
        now = self.read(ref)
        # It was killed right after the move; or it failed after it, for example because of the reflog of HEAD.
        if now == new and (done.status < 0 or was == old):
            return True
        if now == old:
            raise self._error_for(ref, done)
        return False

    def remove(self, ref: str) -> bool:
        """Deletes a ref wherever it points, even to a missing object. Returns whether it no longer exists."""
        done = self._git_to_delete((ref,)).run("update-ref", "--no-deref", "-d", ref, check=False)
        clear_mark(self.common_dir / "packed-refs")
        return done.status == 0

    def delete(self, refs: dict[str, str]) -> None:
        """Deletes refs that still point where the caller saw them. Not atomic: the rest can be deleted later.

        Raises:
            BusyError: another git process holds a lock.
        """
        done = self._delete_refs(refs)
        if done.status < 0 or (done.status > 0 and self._reclaim_locks()):
            self._reclaim_locks()
            there = {ref: oid for ref, oid in refs.items() if self.read(ref) == oid}
            done = self._delete_refs(there)
        if done.status != 0:
            raise self._error_for(next(iter(refs)), done)

    def sync(self, ref: str) -> None:
        """Brings the name of a ref to the disk; git has synced its content."""
        if self.is_reftable:
            sync_all((self.common_dir / "reftable",))
            return
        sync_all(f"{self.common_dir}/{folder}" for folder in ancestors(ref))

    def clear_mark(self, ref: str) -> None:
        """Removes the mark of a lock from a ref whose move was killed right after it."""
        clear_mark(self.common_dir / ref)

    def _update_ref(self, ref: str, *arguments: str) -> GitResult:
        """Runs `git update-ref`; again if the lock of a dead git process of ours was removed."""
        git = self._git_for(ref)
        done = _run_update_ref(git, "--no-deref", *arguments)
        if done.status < 0 or (done.status > 0 and self._reclaim_locks()):
            self._reclaim_locks()
            again = _run_update_ref(git, "--no-deref", *arguments)
            done = done if done.status < 0 and again.status > 0 else again
        if git is not self.git:
            self.clear_mark(ref)
        return done

    def _delete_refs(self, refs: dict[str, str]) -> GitResult:
        if not refs:
            return GitResult(0, b"", "")
        git = self._git_to_delete(refs)
        lines = "".join(f"option no-deref\ndelete {ref} {oid}\n" for ref, oid in refs.items())
        done = _run_update_ref(git, "--stdin", stdin=os.fsencode(lines))
        clear_mark(self.common_dir / "packed-refs")
        return done

    def _git_to_delete(self, refs: Iterable[str]) -> Git:
        """Returns the git to delete refs with: it takes the lock of packed-refs, which has to be marked."""
        if self.lock_umask is None or self.is_reftable:
            return self.git
        self._make_folders(refs)
        return self.git.with_umask(self.lock_umask)

    def _git_for(self, ref: str) -> Git:
        """Returns the git to move a ref with: one that marks its locks where the user's git may take the same ones."""
        logs = (self.common_dir / "logs" / ref, self.git_dir / "logs" / "HEAD")
        if (
            self.lock_umask is None
            or ref.startswith(OURS)
            or self.is_reftable
            or not all(log.is_file() for log in logs)  # a new reflog must not get the mark
        ):
            return self.git
        self._make_folders((ref,))
        return self.git.with_umask(self.lock_umask)

    def _make_folders(self, refs: Iterable[str]) -> None:
        """Creates the folders that git would create for the locks of refs: it could not write in a marked one."""
        for folder in {ref.rpartition("/")[0] for ref in refs}:
            with suppress(OSError):  # git reports it with a better message
                (self.common_dir / folder).mkdir(parents=True, exist_ok=True)

    @property
    def is_reftable(self) -> bool:
        """Whether git keeps refs in a reftable and not in files."""
        return os.path.isdir(f"{self.common_dir}/reftable")  # noqa: PTH112 - asked twice for each item

    def _reclaim_locks(self) -> bool:
        return self.lock_umask is not None and reclaim_ref_locks(self.common_dir, self.git_dir)

    def _error_for(self, ref: str, done: GitResult) -> GitbatchError:
        """Returns the error for a ref that was not written."""
        locks = blocking_locks(self.common_dir, self.git_dir, ref)
        if locks:
            return BusyError(
                f"cannot write {short(ref)}: another git process has locked {locks[0].name}",
                f"wait until it has ended (if none is running, remove {locks[0]}), then resume: gitbatch run",
            )
        return GitError(("update-ref", ref), done.status, done.stderr)


def _run_update_ref(git: Git, *arguments: str, stdin: bytes = b"") -> GitResult:
    """Runs `git update-ref` and returns its result, also if it was killed."""
    try:
        return git.run("update-ref", *arguments, input=stdin, check=False)
    except GitError as killed:
        return GitResult(killed.status, b"", killed.stderr)
