"""Refs: their names, and moving them by compare-and-swap. No other file spells a ref name."""

import os
import re
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from gitbatch.errors import BusyError, GitError
from gitbatch.repo.pipe import Pipe
from gitbatch.repo.process import Git

BATCHES = "refs/gitbatch/"
HEADS = "refs/heads/"

_ID = re.compile(rb"(?:[0-9a-f]{40}|[0-9a-f]{64})\n")
_REASON = "gitbatch: item"
"""What the reflog of an item's branch says."""


def base_ref(batch: str) -> str:
    """Where a batch began; it pins the objects and is where an undo goes."""
    return f"{BATCHES}{batch}/base"


def record_ref(batch: str) -> str:
    """What a batch was started with (a blob). The batch exists if and only if this ref does."""
    return f"{BATCHES}{batch}/record"


def end_ref(batch: str) -> str:
    """The last checkpoint of a batch that is over. A batch without it is unfinished."""
    return f"{BATCHES}{batch}/end"


def followed_ref(batch: str) -> str:
    """The last checkpoint that the user's checkout has followed, or had no need to."""
    return f"{BATCHES}{batch}/followed"


def building_ref(batch: str) -> str:
    """The checkpoint that is being built: it keeps its objects from being pruned until the branch has them."""
    return f"{BATCHES}{batch}/building"


def ledger_refs(batch: str) -> str:
    """What the names of the refs start with that have the failed attempts at items (a blob each)."""
    return f"{BATCHES}{batch}/ledger/"


def limits_ref(batch: str) -> str:
    """What a batch may spend (a blob), where the user said so on the command line."""
    return f"{BATCHES}{batch}/limits"


def rescue_ref(batch: str, slug: str) -> str:
    """An item's commit that was not merged when its batch ended."""
    return f"{BATCHES}{batch}/rescue/{slug}"


def rescue_refs(batch: str) -> str:
    """What the names of all rescue refs of a batch start with."""
    return f"{BATCHES}{batch}/rescue/"


def item_branch(batch: str, slug: str) -> str:
    """The branch of an item: at the group's base until its one commit is there. `slug` has the group's number."""
    return f"{HEADS}gitbatch/{batch}/{slug}"


def item_branches(batch: str) -> str:
    """What the names of all item branches of a batch start with."""
    return f"{HEADS}gitbatch/{batch}/"


def short(ref: str) -> str:
    """A branch's name as people write it."""
    return ref.removeprefix(HEADS)


@dataclass(frozen=True, slots=True)
class Refs:
    """The refs of one repository. What is written is the named ref itself, never what it may point on to."""

    git: Git
    common_dir: Path
    zero: str
    """The id that stands for "no object"."""
    session: Pipe = field(init=False)
    """A git that moves one ref after the other; it ends when one can't be moved, and is started again."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "session", Pipe(self.git, ("update-ref", "-m", _REASON, "--stdin")))

    def close(self) -> None:
        """End the git that stays open."""
        self.session.close()

    def read(self, ref: str) -> str | None:
        """The object that a full ref name points to, or None."""
        # As git does: a ref's own file counts, if it is there. Else (packed, symbolic, kept otherwise) git knows.
        with suppress(OSError):
            said = (self.common_dir / ref).read_bytes()
            if len(said) == len(self.zero) + 1 and _ID.fullmatch(said):
                return said[:-1].decode()
        found = self.git.run("show-ref", "--verify", "--hash", "--", ref, check=False)
        return found.stdout.decode().strip() if found.status == 0 else None

    def resolve(self, ref: str) -> str:
        """The ref that a symbolic ref comes to in the end; a ref that is not symbolic comes to itself."""
        for _ in range(5):
            found = self.git.run("symbolic-ref", "--quiet", ref, check=False)
            if found.status != 0:
                break
            ref = os.fsdecode(found.stdout).strip()
        return ref

    def commit(self, name: str) -> str | None:
        """The commit that a revision (a branch, HEAD, an id) names, or None."""
        found = self.git.run(
            "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}", check=False
        )
        return found.stdout.decode().strip() if found.status == 0 else None

    def below(self, prefix: str) -> dict[str, str]:
        """All refs whose names start with `prefix` (ending in a slash), with their objects."""
        listed = self.git.run("for-each-ref", "--format=%(refname)%00%(objectname)", prefix).stdout
        lines = os.fsdecode(listed).splitlines()
        return {ref: oid for ref, _, oid in (line.partition("\0") for line in lines)}

    def advance(self, ref: str, new: str, old: str | None) -> bool:
        """As `swap`, for the many branches of items: by a git that stays open.

        Raises:
            BusyError, GitError: as `swap`.
        """
        with suppress(GitError):
            transaction = f"start\noption no-deref\nupdate {ref} {new} {old or self.zero}\ncommit\n"
            if (
                self.session.ask(os.fsencode(transaction)) == b"start: ok"
                and self.session.line() == b"commit: ok"
            ):
                return True
        return self.swap(ref, new, old, _REASON)

    def create(self, ref: str, oid: str) -> None:
        """Make a ref that does not exist.

        Raises:
            GitError: it exists.
        """
        if not self.swap(ref, oid, None, "gitbatch: created"):
            raise GitError(("update-ref", ref, oid), 1, f"{ref} exists already")

    def point(self, ref: str, oid: str) -> None:
        """Let a ref of ours point to an object, wherever it was."""
        self.git.run("update-ref", "--no-deref", ref, oid)

    def swap(self, ref: str, new: str, old: str | None, reason: str) -> bool:
        """Move a ref from `old` (None: it must not exist) to `new`: compare-and-swap.

        Returns:
            Whether it moved; false if it was not at `old`.

        Raises:
            BusyError: another git holds the ref's lock.
        """
        done = self.git.run("update-ref", "--no-deref", "-m", reason, ref, new, old or self.zero, check=False)
        if done.status == 0:
            return True
        if self.read(ref) != old:
            return False
        lock = self.common_dir / f"{ref}.lock"
        if lock.exists():
            raise BusyError(
                f"{short(ref)} is locked by another git process",
                f"wait until it has ended; if none is running, remove {lock} and try again",
            )
        raise GitError(("update-ref", ref, new), done.status, done.stderr)

    def delete(self, refs: dict[str, str]) -> None:
        """Delete refs that still point where the caller saw them. No commit point: the rest can be done again."""
        if refs:
            lines = "".join(f"option no-deref\ndelete {ref} {oid}\n" for ref, oid in refs.items())
            self.git.feed(os.fsencode(lines), "update-ref", "--stdin")
