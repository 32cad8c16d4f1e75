"""Refs: their names, and moving them by compare-and-swap. No other file spells a ref name."""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from gitbatch.errors import BusyError, GitbatchError, GitError
from gitbatch.fs.disk import is_of_disk, raising_only_of_disk
from gitbatch.fs.durable import sync_all
from gitbatch.paths import ancestors
from gitbatch.repo.pipe import Pipe
from gitbatch.repo.process import Git, GitResult
from gitbatch.repo.refs.lock_files import OURS, clear_mark, locks_in_the_way, reclaim_ref_locks
from gitbatch.repo.refs.names import _NUMBERED, BATCHES, short

_ID = re.compile(rb"(?:[0-9a-f]{40}|[0-9a-f]{64})\n")
_LEADS_TO = re.compile(rb"ref: (refs/heads/[\w-]+(?:[./][\w-]+)*)\n")
"""A symbolic ref that names a usual branch; of other names git says whether they can be."""
_REASON = "gitbatch"
"""What the reflogs of our own refs say, where they have one: they get none, for what they were nobody asks."""
_SESSION = ("-c", "core.logAllRefUpdates=false", "update-ref", "-m", _REASON, "--stdin")


def config_ref(batch: str) -> str:
    """The gitbatch.toml (a blob) that the user has accepted for a batch since it was started."""
    return f"{BATCHES}{batch}/config"


def split_rescued_output(name: str) -> tuple[str, int] | None:
    """Returns slug and attempt of a ref of `rescued_output_ref`, named without `rescue_refs`; None: it is not one."""
    found = _NUMBERED.fullmatch(name)
    return (found[1], int(found[2])) if found else None


@dataclass(frozen=True, slots=True)
class Refs:
    """The refs of one repository. What is written is the named ref itself, never what it may point on to."""

    git: Git
    common_dir: Path
    git_dir: Path
    zero: str
    """The id that stands for "no object"."""
    lock_umask: int | None = None
    """The umask by which locks that are shared with the user's git are known to be ours (`stale.py`); None: the
    repository's lock is not held, and nothing is taken for stale."""
    session: Pipe = field(init=False)
    """A git that moves one ref after the other; it ends when one can't be moved, and is started again."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "session", Pipe(self.git, _SESSION))

    def with_lock(self, git: Git, lock_umask: int) -> "Refs":
        """The same refs for a git that holds a lock, in which stale locks are known (see `lock_umask`)."""
        return replace(self, git=git, lock_umask=lock_umask)

    def close(self) -> None:
        """End the git that stays open."""
        self.session.close()

    def read(self, ref: str) -> str | None:
        """The object that a full ref name points to, or None."""
        # As git does: a ref's own file counts, if it is there, else that of packed refs. What these two don't say
        # plainly (a symbolic ref, tables, a packed one), git knows.
        try:
            said = (self.common_dir / ref).read_bytes()
            if len(said) == len(self.zero) + 1 and _ID.fullmatch(said):
                return said[:-1].decode()
        except FileNotFoundError:
            if not self._may_be_kept(self.common_dir / ref, f" {ref}\n"):
                return None
        except OSError as error:
            if is_of_disk(error):  # git would call it missing
                raise
        found = self.git.run("show-ref", "--verify", "--hash", "--", ref, check=False)
        return found.stdout.decode().strip() if found.status == 0 else None

    def _may_be_kept(self, path: Path, packed: str) -> bool:
        """Whether git may keep refs that have no file: as a link that leads nowhere, among packed ones, in tables."""
        if self.is_reftable or path.is_symlink():
            return True
        try:
            return os.fsencode(packed) in (self.common_dir / "packed-refs").read_bytes()
        except FileNotFoundError:
            return False
        except OSError:
            return True

    def leads_to(self, name: str) -> str | None:
        """The ref that HEAD, or another symbolic ref, comes to in the end; None if it is not symbolic."""
        further = self._next(name)
        return self.resolve(further) if further else None

    def _next(self, name: str) -> str | None:
        """The next ref on the way there."""
        path = self.git_dir / name if name == "HEAD" else self.common_dir / name
        if not self.is_reftable and not path.is_symlink():
            said = b""
            with raising_only_of_disk():  # git would say that it leads nowhere
                said = path.read_bytes()
            found = _LEADS_TO.fullmatch(said)
            if _ID.fullmatch(said):
                return None
            if found and not found[1].endswith(b".lock"):
                return os.fsdecode(found[1])
        asked = self.git.run("symbolic-ref", "--quiet", name, check=False)
        return os.fsdecode(asked.stdout).strip() if asked.status == 0 else None

    def resolve(self, ref: str) -> str:
        """The ref that a symbolic ref comes to in the end; a ref that is not symbolic comes to itself."""
        for _ in range(5):
            further = self._next(ref)
            if further is None:
                break
            ref = further
        return ref

    def commit(self, name: str) -> str | None:
        """The commit that a revision (a branch, HEAD, an id) names, or None."""
        found = self.git.run(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}", check=False
        )
        return found.stdout.decode().strip() if found.status == 0 else None

    def below(self, prefix: str) -> dict[str, str]:
        """All refs whose names start with `prefix` (ending in a slash), with their objects."""
        folder = self.common_dir / prefix
        if not folder.is_dir() and not self._may_be_kept(folder, f" {prefix}"):
            return {}
        listed = self.git.run("for-each-ref", "--format=%(refname)%00%(objectname)", prefix).stdout
        lines = filter(None, os.fsdecode(listed).split("\n"))
        return {ref: oid for ref, _, oid in (line.partition("\0") for line in lines)}

    def _in_session(self, ref: str, new: str, old: str = "") -> bool:
        """Whether the git that stays open has moved a ref of ours; without `old`: wherever it was."""
        return self._send(ref, new, old) and self._has_moved(ref, new)

    def _send(self, ref: str, new: str, old: str) -> bool:
        """Ask the git that stays open to move a ref of ours; false if it can't be asked that."""
        if not ref.startswith(OURS):  # its lock is one that the user's git may want, so it is signed
            return False
        transaction = f"start\noption no-deref\nupdate {ref} {new} {old}".rstrip() + "\ncommit\n"
        try:
            self.session.send(os.fsencode(transaction))
        except GitError:
            return False
        return True

    def _has_moved(self, ref: str, new: str) -> bool:
        """What it answers."""
        try:
            return self.session.line() == b"start: ok" and self.session.line() == b"commit: ok"
        except GitError as error:  # perhaps it was killed when it had just done it
            return error.status < 0 and self.read(ref) == new

    def create(self, ref: str, oid: str) -> None:
        """Make a ref that does not exist.

        Raises:
            GitError: it exists.
        """
        with self.creating(ref, oid):
            pass

    @contextmanager
    def creating(self, ref: str, oid: str) -> Iterator[None]:
        """Make a ref that does not exist, while the caller does something else, but moves no other ref.

        Raises:
            GitError: it exists.
        """
        is_sent = self.read(ref) is None and self._send(ref, oid, self.zero)
        try:
            yield
        finally:
            is_made = is_sent and self._has_moved(ref, oid)
        if not is_made and not self.swap(ref, oid, None, "gitbatch: created"):
            raise GitError(("update-ref", ref, oid), 1, f"{short(ref)} exists already")

    def point(self, ref: str, oid: str) -> None:
        """Let a ref of ours point to an object, wherever it was."""
        if self._in_session(ref, oid):
            return
        done = self._update(ref, ref, oid)
        if done.status != 0 and self.read(ref) != oid:
            raise self._problem(ref, done)

    def swap(self, ref: str, new: str, old: str | None, reason: str) -> bool:
        """Move a ref from `old` (None: it must not exist) to `new`: compare-and-swap.

        Returns:
            Whether it moved; false if it was not at `old`.

        Raises:
            BusyError: another git holds the ref's lock.
        """
        was = self.read(ref)
        # What is packed, a git that stays open may know from before; then it is one that has only just started.
        if was == old and self._in_session(ref, new, old or self.zero):
            return True
        done = self._update(ref, "-m", reason, ref, new, old or self.zero)
        if done.status == 0:
            return True
        now = self.read(ref)
        # It was killed when it had just done it; or it failed after it, as when it can't write the reflog of HEAD.
        if now == new and (done.status < 0 or was == old):
            return True
        if now == old:
            raise self._problem(ref, done)
        return False

    def remove(self, ref: str) -> bool:
        """Delete a ref wherever it points, even to an object that is gone; returns whether it is not there now."""
        return self.git.run("update-ref", "--no-deref", "-d", ref, check=False).status == 0

    def delete(self, refs: dict[str, str]) -> None:
        """Delete refs that still point where the caller saw them. No commit point: the rest can be done again.

        Raises:
            BusyError: another git holds a lock.
        """
        done = self._delete(refs)
        if done.status < 0 or (done.status > 0 and self._reclaim()):
            self._reclaim()
            there = {ref: oid for ref, oid in refs.items() if self.read(ref) == oid}
            done = self._delete(there)
        if done.status != 0:
            raise self._problem(next(iter(refs)), done)

    def sync(self, ref: str) -> None:
        """Bring the name of a ref to the disk; git did its content."""
        if self.is_reftable:
            sync_all((self.common_dir / "reftable",))
            return
        sync_all(f"{self.common_dir}/{folder}" for folder in ancestors(ref))

    def clear_mark(self, ref: str) -> None:
        """Finish what a move of a ref has left to do that was killed when it was done."""
        clear_mark(self.common_dir / ref)

    def _update(self, ref: str, *arguments: str) -> GitResult:
        """Run `git update-ref`; once more if a dead git of ours was in the way."""
        git = self._git_for(ref)
        done = _run(git, "--no-deref", *arguments)
        if done.status < 0 or (done.status > 0 and self._reclaim()):
            self._reclaim()
            again = _run(git, "--no-deref", *arguments)
            done = done if done.status < 0 and again.status > 0 else again
        if git is not self.git:
            self.clear_mark(ref)
        return done

    def _delete(self, refs: dict[str, str]) -> GitResult:
        if not refs:
            return GitResult(0, b"", "")
        git = self.git
        if self.lock_umask is not None and not self.is_reftable:
            git = git.with_umask(self.lock_umask)  # git takes the lock of packed-refs
            self._make_folders(refs)
        lines = "".join(f"option no-deref\ndelete {ref} {oid}\n" for ref, oid in refs.items())
        done = _run(git, "--stdin", stdin=os.fsencode(lines))
        clear_mark(self.common_dir / "packed-refs")
        return done

    def _git_for(self, ref: str) -> Git:
        """The git to move a ref with: one that signs its locks, where the user's git may want the same ones."""
        logs = (self.common_dir / "logs" / ref, self.git_dir / "logs" / "HEAD")
        if (
            self.lock_umask is None
            or ref.startswith(OURS)
            or self.is_reftable
            or not all(log.is_file() for log in logs)  # what git makes anew and keeps must not be signed
        ):
            return self.git
        self._make_folders((ref,))
        return self.git.with_umask(self.lock_umask)

    def _make_folders(self, refs: Iterable[str]) -> None:
        """Make the folders that git would make for the locks of refs: in a signed one it could not write."""
        for ref in refs:
            with suppress(OSError):  # what is in the way there, git says better
                (self.common_dir / ref).parent.mkdir(parents=True, exist_ok=True)

    @property
    def is_reftable(self) -> bool:
        """Whether git keeps refs in tables, and no file of a ref is one."""
        return (self.common_dir / "reftable").is_dir()

    def _reclaim(self) -> bool:
        return self.lock_umask is not None and reclaim_ref_locks(self.common_dir, self.git_dir)

    def _problem(self, ref: str, done: GitResult) -> GitbatchError:
        """Why a ref was not written."""
        locks = locks_in_the_way(self.common_dir, self.git_dir, ref)
        if locks:
            return BusyError(
                f"{short(ref)} can't be written: another git has locked {locks[0].name}",
                f"wait until it has ended; if none is running, remove {locks[0]}; then gitbatch run goes on",
            )
        return GitError(("update-ref", ref), done.status, done.stderr)


def _run(git: Git, *arguments: str, stdin: bytes = b"") -> GitResult:
    """Run `git update-ref` to whatever end."""
    try:
        return git.run("update-ref", *arguments, input=stdin, check=False)
    except GitError as killed:
        return GitResult(killed.status, b"", killed.stderr)
