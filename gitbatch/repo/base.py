"""Reads the files of one commit for an agent without a process of its own.

Everything comes from git's objects: no path is ever opened, so no link is followed and no other folder is
reached. Answers are bounded, and a search has limits of time and memory.
"""

import asyncio
import itertools

from msgspec import Struct

from gitbatch.concurrency import GitThread
from gitbatch.errors import GitError
from gitbatch.paths import decode_path
from gitbatch.repo.process import Git
from gitbatch.repo.snapshot import TreeSnapshot

_SEARCH_SECONDS = 15.0
_SEARCH_BYTES = 1024 * 1024
_SEARCH_MEMORY = 512 * 1024 * 1024
"""The memory limit of one search: a regular expression of 30 characters can take gigabytes."""


class BaseFile(Struct, frozen=True):
    """A regular file of the commit. `content`: None if it is larger than the limit."""

    size: int
    content: bytes | None


class Hit(Struct, frozen=True):
    """A line that a search found."""

    path: str
    line: int
    text: str


class Hits(Struct, frozen=True):
    """The result of a search. `complete`: everything was searched within the limits of time, size and memory."""

    found: tuple[Hit, ...]
    complete: bool


class Base(Struct, frozen=True):
    """The commit that an item starts from. Safe to use from the event loop by many items at once."""

    commit: str
    snapshot: TreeSnapshot
    thread: GitThread
    """The run's git thread: the object store is used on this one only."""
    git: Git

    async def file(self, path: str, most: int) -> BaseFile | None:
        """Returns the regular file at a path, with its content if it has at most `most` bytes; None: it is missing.

        Raises:
            GitError: the commit has it, but this partial clone does not.
        """
        return await self.thread(self._read_file, path, most)

    async def blob(self, oid: str, most: int) -> BaseFile | None:
        """Returns the same by an object id."""
        return await self.thread(self._read_blob, oid, most)

    async def paths(self, folder: str, skip: int, most: int) -> tuple[str, ...]:
        """Returns a page of the paths of the regular files below a folder (empty: the top), in git's order."""
        return await self.thread(self._list_paths, folder, skip, most)

    async def search(self, text: str, folder: str, *, regex: bool, ignore_case: bool) -> Hits:
        """Returns the lines of text files below a folder, or of one file, that contain a text or match an expression.

        Raises:
            GitError: git cannot search for that.
        """
        # A process of its own, which does not use the object store's pipes: so it does not block the git thread.
        return await asyncio.to_thread(self._search_tree, text, folder, regex=regex, ignore_case=ignore_case)

    def _read_file(self, path: str, most: int) -> BaseFile | None:
        oid = self.snapshot.blob(path)
        found = self._read_blob(oid, most) if oid else None
        if oid and not found:
            raise GitError(("cat-file", path), 1, f"{path} is missing in this partial clone")
        return found

    def _read_blob(self, oid: str, most: int) -> BaseFile | None:
        objects = self.snapshot.objects
        size = objects.read_size(oid)
        if size is None:
            return None
        return BaseFile(size, objects.read_blob(oid) if size <= most else None)

    def _list_paths(self, folder: str, skip: int, most: int) -> tuple[str, ...]:
        objects, tree = self.snapshot.objects, self.snapshot.tree
        if folder:
            entry = objects.find_entry(tree, folder)
            if entry is None or not entry.is_tree:
                return ()
            tree = entry.oid
        walked = objects.list_files(tree, f"{folder}/" if folder else "")
        files = (path for path, entry in walked if entry.is_file)
        return tuple(itertools.islice(files, skip, skip + most))

    def _search_tree(self, text: str, folder: str, *, regex: bool, ignore_case: bool) -> Hits:
        options = ["-E" if regex else "-F", *(["-i"] if ignore_case else [])]
        where = ["--", folder] if folder else []
        result = self.git.with_memory_limit(_SEARCH_MEMORY).run_limited(
            *("grep", "-n", "-z", "-I", "--full-name", "--no-color", "--no-column", "--no-textconv"),
            *(*options, "-e", text, self.snapshot.tree, *where),
            seconds=_SEARCH_SECONDS,
            max_bytes=_SEARCH_BYTES,
        )
        if result.complete and result.status not in {0, 1}:
            partial = self.snapshot.objects.partial
            why = "files are missing in this partial clone" if partial else "git cannot search for it"
            raise GitError(("grep", "-e", text), result.status or 0, why)
        lines = result.stdout.split(b"\n")
        return Hits(tuple(filter(None, map(self._parse_hit, lines[:-1]))), result.complete)

    def _parse_hit(self, line: bytes) -> Hit | None:
        parts = line.split(b"\0", 2)
        if len(parts) != 3 or not parts[1].isdigit():
            return None
        path = decode_path(parts[0]).removeprefix(f"{self.snapshot.tree}:")
        return Hit(path, int(parts[1]), parts[2].decode(errors="replace"))
