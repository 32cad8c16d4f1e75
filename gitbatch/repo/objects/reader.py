"""Reads git objects without an index and without a checkout.

Two git processes stay open for a run (see `pipe.py`), so a tree costs a tenth of a millisecond.
Not thread-safe: a run has one thread for git.
"""

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from msgspec import Struct

from gitbatch.errors import GitError
from gitbatch.repo.objects.codec import TREE, Commit, TreeEntry, compute_id, parse_commit, parse_tree
from gitbatch.repo.objects.loose import USUAL, LooseForm
from gitbatch.repo.objects.pack import WholeObject
from gitbatch.repo.objects.walk import missing_by_walk
from gitbatch.repo.objects.writer import Writer, pack_dir_mtime
from gitbatch.repo.pipe import AT_ONCE, Pipe
from gitbatch.repo.process import Git

_CACHED_ENTRIES = 50_000
"""The most folders and entries of them that are cached: about ten megabytes."""


class PathChange(Struct, frozen=True):
    """A path that differs between two trees; None for an entry: the path is missing there, or a folder."""

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


@dataclass(slots=True, eq=False, repr=False)
class ObjectReader:
    """Reads the objects of one repository. Close it when done."""

    git: Git
    folder: Path
    """The folder of the object store."""
    id_bytes: int = 20
    """The length of a raw object id: 20 for SHA-1, 32 for SHA-256."""
    partial: bool = False
    """Objects may be missing that a remote has promised. A git process that is asked for one ends, as it has no network."""
    form: LooseForm = USUAL
    writer: Writer = field(init=False)
    """Stores objects; flushed before anything is read."""
    _reader: Pipe = field(init=False)
    _source: Pipe = field(init=False)
    """For contents that this process must not read."""
    _folders: dict[str, Mapping[str, TreeEntry]] = field(init=False, default_factory=dict)
    """By the id of the tree."""
    _cached: int = field(init=False, default=0)
    """The number of these folders and of their entries."""
    _bases: dict[str, str] = field(init=False, default_factory=dict)
    """The trees of commits that many others have as their parent."""
    _packs: int = field(init=False, default=-1)

    def __post_init__(self) -> None:
        self._reader = Pipe(self.git, ("cat-file", "--batch-command"))
        shortest = len(f"{'0' * 2 * self.id_bytes} blob 0\n")
        self._source = Pipe(self.git, ("cat-file", "--batch"), buffered=False, shortest=shortest)
        self.writer = Writer(self.git, self.folder, self.id_bytes, self.form)

    def close(self) -> None:
        """Ends the git processes, all at the same time."""
        self.hang_up()
        self.writer.hang_up()
        for process in (self._reader, self._source, self.writer):
            process.close()

    def take_reader(self, other: "ObjectReader") -> None:
        """Takes over the process by which another one reads the same store, before it has read anything itself."""
        self._reader, self._packs = other.give_reader(self.git)

    def give_reader(self, git: Git) -> tuple[Pipe, int]:
        """Returns the process that reads, for another git that starts it again, and the state of the packs that it knows."""
        return self._reader.move_to(git), self._packs

    def start_copying(self) -> None:
        """Starts the processes that copy contents to files, and compare files with contents; see `Pipe.start`."""
        self._prepare()
        self._source.start()
        self.writer.start_hashing()

    def hang_up(self) -> None:
        """Lets the git processes that read end, without waiting for them. Call `close` afterwards."""
        self._reader.hang_up()
        self._source.hang_up()

    def _prepare(self, oid: str = "") -> None:
        """Flushes the writer, and restarts the reading processes if packs were added or removed.

        An open process still finds objects in a pack that `git gc` has removed.
        """
        self.writer.flush(oid)
        if (now := pack_dir_mtime(self.folder)) != self._packs:
            self._reader.close()
            self._source.close()
            self._packs = now

    def _query(self, question: str, oid: str) -> list[bytes]:
        """Returns the words that the reading process answers about an object."""
        self._prepare(oid)
        return self._query_restored(self._reader, f"{question} {oid}\n", oid)

    def _query_restored(self, pipe: Pipe, question: str, oid: str) -> list[bytes]:
        """Returns the words that a process answers; it is asked again about an object that is missing and is restored."""
        answer = self._query_pipe(pipe, question)
        is_restored = len(answer) != 3 and self.writer.spares.restore_object(oid)
        return self._query_pipe(pipe, question) if is_restored else answer

    def _query_pipe(self, pipe: Pipe, question: str) -> list[bytes]:
        try:
            return pipe.ask(question.encode()).split(b" ")
        except GitError as error:
            if self.partial and error.status > 0:
                return [b"missing"]
            raise

    def _read_object(self, name: str, kind: str) -> bytes:
        answer = self._query("contents", name)
        if len(answer) != 3:
            raise MissingObjectError(name)
        data = self._reader.read(int(answer[2]))
        if answer[1] != kind.encode():
            raise MissingObjectError(f"{name} ({kind})")
        return data

    def find_missing(self, oids: Iterable[str]) -> tuple[str, ...]:
        """Returns those objects that are not in the repository; no content is read."""
        wanted = tuple(oids)
        self._prepare()
        try:
            answers = self._reader.ask_all([f"info {oid}\n".encode() for oid in wanted])
        except GitError as error:
            if self.partial and error.status > 0:
                return missing_by_walk(self.git, wanted)
            raise
        found = zip(wanted, answers, strict=True)
        gone = tuple(oid for oid, answer in found if len(answer.split(b" ")) != 3)
        return tuple(oid for oid in gone if not self.writer.spares.restore_object(oid))

    def are_stored(self, kinds: Mapping[str, str]) -> bool:
        """Whether all of some objects are in the repository, and have the contents that their ids name, by one question.

        git takes an object for stored, and does not write it, if a file has its name, whatever is in that. Of blobs, no
        content is read. `kinds`: by the ids of the objects.
        """
        self._prepare()
        with suppress(GitError):  # of a partial clone, git ends at an object that is missing
            if self._have_ids(kinds):
                return True
        return not self.find_missing(kinds) and self._have_ids(kinds)

    def _have_ids(self, kinds: Mapping[str, str]) -> bool:
        left = iter(kinds.items())
        while some := tuple(islice(left, AT_ONCE)):
            asked = [f"{'info' if kind == 'blob' else 'contents'} {oid}\n".encode() for oid, kind in some]
            for (oid, kind), (head, content) in zip(some, self._reader.ask_contents(asked), strict=True):
                found = oid if kind == "blob" else compute_id(kind, content, self.id_bytes)
                if head[1:2] != [kind.encode()] or found != oid:
                    return False
        return True

    def read_few(self, oids: Sequence[str], most: int) -> tuple[WholeObject, ...] | None:
        """Returns some objects as they are; None: they have more bytes than `most` together, or one is missing."""
        self._prepare()
        found: list[WholeObject] = []
        with suppress(GitError):  # of a partial clone, git ends at an object that is missing
            for start in range(0, len(oids), AT_ONCE):
                queries = [f"contents {oid}\n".encode() for oid in oids[start : start + AT_ONCE]]
                left = most - sum(len(whole.content) for whole in found)
                answers = self._reader.ask_few_contents(queries, left)
                if answers is None:
                    return None
                found += (WholeObject(head[1].decode(), content) for head, content in answers)
            return tuple(found)
        return None

    def is_blob(self, oid: str) -> bool:
        """Whether an object is in the repository and is a blob; its content is not read."""
        return self._query_info(oid)[1:2] == [b"blob"]

    def read_blob_size(self, oid: str) -> int | None:
        """Returns the size of a blob in bytes without reading its content; None: it is missing, or is not a blob."""
        answer = self._query_info(oid)
        return int(answer[2]) if answer[1:2] == [b"blob"] else None

    def read_size(self, oid: str) -> int | None:
        """Returns the size of an object in bytes without reading its content; None: it is not in the repository."""
        answer = self._query_info(oid)
        return int(answer[2]) if len(answer) == 3 else None

    def _query_info(self, oid: str) -> list[bytes]:
        """Returns the id, kind and size of an object; other words if it is missing."""
        return self._query("info", oid)

    def read_blob(self, oid: str) -> bytes:
        """Returns the bytes of a blob: for control files, never for an output.

        Raises:
            MissingObjectError: the blob is missing.
        """
        return self._read_object(oid, "blob")

    def copy_to_fd(self, oid: str, descriptor: int) -> None:
        """Writes the content of a blob to a new file; this process never reads the bytes (rule O1).

        Raises:
            MissingObjectError: the blob is missing.
            GitError: git failed to write it.
        """
        self._prepare(oid)
        if hasattr(os, "splice"):
            answer = self._query_restored(self._source, f"{oid}\n", oid)
            if answer[1:2] != [b"blob"]:
                self._source.close()  # the rest of its answer is not needed
                raise MissingObjectError(oid)
            with suppress(OSError):  # some file systems do not support it: then git writes the file itself
                self._source.copy_to_fd(int(answer[2]), descriptor)
                return
            os.truncate(descriptor, 0)
            os.lseek(descriptor, 0, os.SEEK_SET)
        self.git.run_to_fd(descriptor, "cat-file", "blob", oid)

    def read_tree(self, oid: str) -> tuple[TreeEntry, ...]:
        """Returns the entries of a tree, in git's order.

        Raises:
            MissingObjectError: the tree is missing.
        """
        return tuple(parse_tree(self.read_tree_content(oid), self.id_bytes))

    def read_tree_content(self, oid: str) -> bytes:
        """Returns the bytes of a tree.

        Raises:
            MissingObjectError: the tree is missing.
        """
        return self._read_object(oid, "tree")

    def read_commit(self, oid: str) -> Commit:
        """Returns a commit.

        Raises:
            MissingObjectError: the commit is missing.
        """
        return parse_commit(oid, self._read_object(oid, "commit"))

    def read_commits(self, oids: Iterable[str]) -> Iterator[Commit]:
        """Yields commits in the given order. Many are asked for at once: git reads one while this process parses another.

        Raises:
            MissingObjectError: one is missing.
        """
        left = iter(oids)
        while some := tuple(islice(left, AT_ONCE)):
            if self.partial:  # git ends at the first that is missing
                yield from map(self.read_commit, some)
                continue
            self._prepare()
            answers = self._reader.ask_contents([f"contents {oid}\n".encode() for oid in some])
            for oid, (head, content) in zip(some, answers, strict=True):
                is_there = head[1:2] == [b"commit"]
                yield parse_commit(oid, content) if is_there else self.read_commit(oid)

    def tree_of(self, commit: str) -> str:
        """Returns the tree of a commit; cached, as many items have the same base."""
        known = self._bases.get(commit)
        if known is None:
            known = self._bases[commit] = self.read_commit(commit).tree
        return known

    def find_entry(self, tree: str, path: str) -> TreeEntry | None:
        """Returns the entry at a path below a tree; None: the path does not exist.

        Raises:
            MissingObjectError: the tree is missing; a cached one is not looked up.
        """
        found: TreeEntry | None = TreeEntry(TREE, "", tree)
        for part in path.split("/"):
            if found is None or not found.is_tree:
                return None
            found = self.read_folder(found.oid).get(part)
        return found

    def read_folder(self, tree: str) -> Mapping[str, TreeEntry]:
        """Returns the entries of a tree by name; cached, as one item's steps read the same few folders repeatedly.

        Not for a check whether objects exist: a cached tree may be gone.
        """
        known = self._folders.get(tree)
        if known is None:
            known = {entry.name: entry for entry in self.read_tree(tree)}
            self.keep_folder(tree, known)
        return known

    def keep_folder(self, tree: str, entries: Mapping[str, TreeEntry]) -> None:
        """Caches the entries of a tree that has been read."""
        if tree in self._folders:
            return
        self._cached += 1 + len(entries)
        if self._cached > _CACHED_ENTRIES:
            self._folders.clear()
            self._cached = 1 + len(entries)
        self._folders[tree] = entries

    def list_files(self, tree: str, prefix: str = "") -> Iterator[tuple[str, TreeEntry]]:
        """Yields the path and the entry of everything below a tree except folders."""
        for entry in self.read_tree(tree):
            if entry.is_tree:
                yield from self.list_files(entry.oid, f"{prefix}{entry.name}/")
            else:
                yield f"{prefix}{entry.name}", entry

    def diff_trees(self, old: str, new: str, prefix: str = "") -> Iterator[PathChange]:
        """Yields the paths that differ between two trees, without rename detection; unchanged folders cost nothing.

        Every folder of the new tree that differs is read from the repository, so a missing one is an error.
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
