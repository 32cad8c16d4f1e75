"""Git objects: reading and writing blobs, trees and commits without an index and without a checkout.

A few git processes stay open for a run (see `pipe.py`), so a tree costs a tenth of a millisecond, and a change to one
file costs the trees on its path, however large the repository is.
Not safe for use by two threads at once: a run has one thread for git.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from msgspec import Struct

from gitbatch.errors import GitError
from gitbatch.repo.objects.codec import (
    REGULAR,
    TREE,
    Commit,
    Ident,
    TreeEntry,
    end_message,
    parse_commit,
    parse_ident,
    parse_tree,
    render_commit,
    render_tree,
)
from gitbatch.repo.objects.walk import missing_by_walk
from gitbatch.repo.objects.writer import Writer, pack_dir_mtime
from gitbatch.repo.pipe import Pipe
from gitbatch.repo.process import Git
from gitbatch.repo.signing import Signer, SigningError, UnansweredSigningError

_REMEMBERED = 50_000
"""Entries of trees: some ten megabytes."""


class PathChange(Struct, frozen=True):
    """A path that differs between two trees; None: it is not there, or a folder."""

    path: str
    old: TreeEntry | None
    new: TreeEntry | None


class MissingObjectError(GitError):
    """An object that must exist is not in the repository."""

    def __init__(self, name: str) -> None:
        super().__init__(("cat-file", name), 1, f"object {name} is missing")
        self.oid = name.partition(" ")[0]
        self.message = f"object {name} is missing from the repository"
        self.advice = (
            f"see what else is missing: git fsck; in a partial clone, fetch it: git cat-file -t {self.oid}"
        )


@dataclass(slots=True)
class Objects:
    """The object store of one repository. Close it when done."""

    git: Git
    folder: Path
    """Where they are on the disk."""
    id_bytes: int = 20
    """Length of a raw object id: 20 for SHA-1, 32 for SHA-256."""
    signer: Signer | None = None
    """How the user signs their commits, if they do."""
    partial: bool = False
    """Objects may be missing that a remote has promised; git ends when it is asked for one, as it has no network."""
    writer: Writer = field(init=False)
    _reader: Pipe = field(init=False)
    _source: Pipe = field(init=False)
    """For what is not to be read by us."""
    _folders: dict[str, Mapping[str, TreeEntry]] = field(init=False, default_factory=dict)
    """By id of the tree."""
    _bases: dict[str, str] = field(init=False, default_factory=dict)
    """Trees of commits that many others stand on."""
    _packs: int = field(init=False, default=-1)
    _is_unanswered: bool = field(init=False, default=False)
    """The program that signs has not answered."""

    def __post_init__(self) -> None:
        self._reader = Pipe(self.git, ("cat-file", "--batch-command"))
        self._source = Pipe(self.git, ("cat-file", "--batch"), buffered=False)
        self.writer = Writer(self.git, self.folder, self.id_bytes)

    def close(self) -> None:
        """End the git processes."""
        for open_git in (self._reader, self._source, self.writer):
            open_git.close()

    def _prepare(self, oid: str = "") -> None:
        """See that what we wrote can be read, and by a git that knows which packs there are.

        One that is open finds objects in a pack that `git gc` has removed.
        """
        self.writer.flush(oid)
        if (now := pack_dir_mtime(self.folder)) != self._packs:
            self._reader.close()
            self._source.close()
            self._packs = now

    def _ask(self, question: str, oid: str) -> list[bytes]:
        """What the git that reads answers about an object, word by word."""
        self._prepare(oid)
        return self._asked(self._reader, f"{question} {oid}\n")

    def _asked(self, pipe: Pipe, question: str) -> list[bytes]:
        try:
            return pipe.ask(question.encode()).split(b" ")
        except GitError as error:
            if self.partial and error.status > 0:
                return [b"missing"]
            raise

    def _read(self, name: str, kind: str) -> bytes:
        answer = self._ask("contents", name)
        if len(answer) != 3:
            raise MissingObjectError(name)
        data = self._reader.read(int(answer[2]))
        if answer[1] != kind.encode():
            raise MissingObjectError(f"{name} ({kind})")
        return data

    def find_missing(self, oids: Iterable[str]) -> tuple[str, ...]:
        """Those objects that are not in the repository; no content is read."""
        wanted = tuple(oids)
        self._prepare()
        try:
            answers = self._reader.ask_all([f"info {oid}\n".encode() for oid in wanted])
        except GitError as error:
            if self.partial and error.status > 0:
                return missing_by_walk(self.git, wanted)
            raise
        return tuple(oid for oid, said in zip(wanted, answers, strict=True) if len(said.split(b" ")) != 3)

    def is_blob(self, oid: str) -> bool:
        """Whether an object is in the repository, and a blob; its content is not read."""
        return self._info(oid)[1:2] == [b"blob"]

    def read_size(self, oid: str) -> int | None:
        """How many bytes an object has, its content not read; None: it is not in the repository."""
        answer = self._info(oid)
        return int(answer[2]) if len(answer) == 3 else None

    def _info(self, oid: str) -> list[bytes]:
        """Id, kind and size of an object, if it is there."""
        return self._ask("info", oid)

    def read_blob(self, oid: str) -> bytes:
        """The bytes of a blob: for control files, never for an output.

        Raises:
            MissingObjectError: there is no such blob.
        """
        return self._read(oid, "blob")

    def copy_to_fd(self, oid: str, descriptor: int) -> None:
        """Let the content of a blob flow into a new file; the bytes never come through us (rule O1).

        Raises:
            MissingObjectError: there is no such blob.
            GitError: git failed to write it.
        """
        self._prepare(oid)
        if hasattr(os, "splice"):
            answer = self._asked(self._source, f"{oid}\n")
            if answer[1:2] != [b"blob"]:
                self._source.close()  # nobody wants the rest of what it says
                raise MissingObjectError(oid)
            with suppress(OSError):  # not every file system can: git writes the file itself then
                self._source.copy_to_fd(int(answer[2]), descriptor)
                return
            os.truncate(descriptor, 0)
            os.lseek(descriptor, 0, os.SEEK_SET)
        self.git.run_to_fd(descriptor, "cat-file", "blob", oid)

    def read_tree(self, oid: str) -> tuple[TreeEntry, ...]:
        """The entries of a tree, in git's order.

        Raises:
            MissingObjectError: there is no such tree.
        """
        return tuple(parse_tree(self._read(oid, "tree"), self.id_bytes))

    def read_commit(self, oid: str) -> Commit:
        """A commit.

        Raises:
            MissingObjectError: there is no such commit.
        """
        return parse_commit(oid, self._read(oid, "commit"))

    def tree_of(self, commit: str) -> str:
        """The tree of a commit. Remembered, as folders are: many items have one base."""
        known = self._bases.get(commit)
        if known is None:
            known = self._bases[commit] = self.read_commit(commit).tree
        return known

    def find_entry(self, tree: str, path: str) -> TreeEntry | None:
        """What stands at `path` below a tree, or None.

        Raises:
            MissingObjectError: there is no such tree, unless it was there a moment ago.
        """
        found: TreeEntry | None = TreeEntry(TREE, "", tree)
        for part in path.split("/"):
            if found is None or not found.is_tree:
                return None
            found = self.read_folder(found.oid).get(part)
        return found

    def read_folder(self, tree: str) -> Mapping[str, TreeEntry]:
        """The entries of a tree by name. Remembered: one item's steps look at the same few folders again and again.

        Nothing that asks whether objects are there may ask this.
        """
        known = self._folders.get(tree)
        if known is None:
            known = {entry.name: entry for entry in self.read_tree(tree)}
            if sum(map(len, self._folders.values())) + len(known) > _REMEMBERED:
                self._folders.clear()
            self._folders[tree] = known
        return known

    def list_files(self, tree: str, prefix: str = "") -> Iterator[tuple[str, TreeEntry]]:
        """Every entry below a tree that is no folder, with its path."""
        for entry in self.read_tree(tree):
            if entry.is_tree:
                yield from self.list_files(entry.oid, f"{prefix}{entry.name}/")
            else:
                yield f"{prefix}{entry.name}", entry

    def diff_trees(self, old: str, new: str, prefix: str = "") -> Iterator[PathChange]:
        """What differs between two trees, path by path, without rename detection; unchanged folders cost nothing.

        Of the new tree every folder that differs is read, so that one that is gone is found out.
        """
        if old == new:
            return
        before = self.read_folder(old) if old else {}
        after = {entry.name: entry for entry in self.read_tree(new)} if new else {}
        for name in sorted(before.keys() | after.keys()):
            was, now = before.get(name), after.get(name)
            if was == now:
                continue
            inside = [entry.oid if entry and entry.is_tree else "" for entry in (was, now)]
            yield from self.diff_trees(inside[0], inside[1], f"{prefix}{name}/")
            outside = [None if entry and entry.is_tree else entry for entry in (was, now)]
            if any(outside):
                yield PathChange(f"{prefix}{name}", outside[0], outside[1])

    def write_blob(self, content: bytes | int) -> str:
        """Store a blob: bytes of ours, or whatever a file descriptor gives (git reads it, we don't)."""
        return (
            self.writer.write_fd(content) if isinstance(content, int) else self.writer.write("blob", content)
        )

    def write_tree(self, base: str | None, blobs: Mapping[str, str]) -> str:
        """The tree `base` with the regular files `blobs` (path → blob id) put in.

        A folder on the way is made; where a file stands on the way, it is replaced: callers check that before.
        """
        entries = dict(self.read_folder(base)) if base else {}
        below: dict[str, dict[str, str]] = {}
        for path, oid in blobs.items():
            name, _, rest = path.partition("/")
            if rest:
                below.setdefault(name, {})[rest] = oid
            else:
                entries[name] = TreeEntry(REGULAR, name, oid)
        for name, inner in below.items():
            old = entries.get(name)
            oid = self.write_tree(old.oid if old and old.is_tree else None, inner)
            entries[name] = TreeEntry(TREE, name, oid)
        # What we name is there: we wrote it, or it stood in the tree before. Nobody looks, so a folder of 10,000 files
        # is cheap, and a partial clone fetches nothing.
        return self.writer.write("tree", render_tree(entries.values()))

    def write_commit(
        self, tree: str, parents: tuple[str, ...], message: str, author: Ident, committer: Ident
    ) -> str:
        """Store a commit, signed if the user signs. The message is ours to the last byte: it is not edited.

        Raises:
            SigningError: it can't be signed.
        """
        if self.signer is None:
            return self.write_unsigned(tree, parents, message, author, committer)
        who = author.variables("AUTHOR") | committer.variables("COMMITTER")
        self.writer.flush()
        made = self.signer.write_commit(self.git, tree, parents, end_message(message), who)
        return self.writer.mark_unsynced(made)

    def write_signed_if_possible(
        self, tree: str, parents: tuple[str, ...], message: str, author: Ident, committer: Ident
    ) -> str:
        """Store a commit, without a signature where it can't be signed: `signed` does it later.

        A program that has not answered is not asked again: each time costs minutes.
        """
        parts = (tree, parents, message, author, committer)
        try:
            return self.write_unsigned(*parts) if self._is_unanswered else self.write_commit(*parts)
        except SigningError as error:
            self._is_unanswered = isinstance(error, UnansweredSigningError)
            return self.write_unsigned(*parts)

    def write_unsigned(
        self, tree: str, parents: tuple[str, ...], message: str, author: Ident, committer: Ident
    ) -> str:
        """Store a commit without a signature."""
        return self.writer.write("commit", render_commit(tree, parents, message, author, committer))

    def sign_commit(self, oid: str) -> str:
        """A commit of ours as it is when it is signed: itself, if it is already or the user does not sign.

        Raises:
            SigningError: it can't be signed.
        """
        if self.signer is None:
            return oid
        commit = self._own_commit(oid)
        return oid if commit.is_signed else self._write_again(commit, commit.tree, commit.parents)

    def rewrite_commit(self, oid: str, tree: str, parents: tuple[str, ...]) -> str:
        """A commit of ours with another tree and other parents; author, committer and message stay.

        Raises:
            SigningError: it can't be signed.
        """
        return self._write_again(self._own_commit(oid), tree, parents)

    def _own_commit(self, oid: str) -> Commit:
        """Returns a commit of ours, which is in UTF-8: nothing of it may be lost when it is written again."""
        return parse_commit(oid, self._read(oid, "commit"), errors="strict")

    def _write_again(self, commit: Commit, tree: str, parents: tuple[str, ...]) -> str:
        author, committer = parse_ident(commit.author), parse_ident(commit.committer)
        return self.write_commit(tree, parents, commit.message, author, committer)

    def require_signer(self) -> None:
        """Sign something, if the user signs, to see that it works: before anything is paid for.

        Raises:
            SigningError: it does not.
        """
        if self.signer is not None:
            self.signer.require(self.git)

    def wait_for_signer(self, limit: float, tell: Callable[[str], None]) -> None:
        """Set how many seconds a program that signs is waited for, and who is told of it."""
        self.signer = self.signer and self.signer.waiting(limit, tell)

    def stop_signing(self) -> None:
        """End a program that signs, and each one that is started later, without waiting; from any thread."""
        if self.signer is not None:
            self.signer.patience.stop.set()
