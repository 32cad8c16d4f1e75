"""Storing git objects: named by us at once, written by gits that stay open, and waited for together.

An object's name is the hash of what is in it, so nobody has to wait for git to say it: the trees and commits of a
change are all on their way before the first one is there. Whoever lets anything name them (a ref, the index), or
reads them, calls `sync` or `flush` before.
Not safe for use by two threads at once: a run has one thread for git.
"""

import errno
import hashlib
import os
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import IO, NamedTuple

from gitbatch.errors import GitError
from gitbatch.fs.durable import sync_all
from gitbatch.repo.pipe import AT_ONCE, Pipe
from gitbatch.repo.process import Git

WRITE_BLOB = ("-c", "core.bigFileThreshold=1024g", "hash-object", "-w")
"""How git stores a blob: in a file of its own, however large. Of a pack, nobody would bring the name to the disk."""
_WRITE = {
    "blob": (*WRITE_BLOB, "--no-filters"),
    # What else stands in a tree, the user's git has put there.
    "tree": ("hash-object", "-w", "-t", "tree", "--literally"),
    "commit": ("hash-object", "-w", "-t", "commit"),
}
"""How git stores an object, by its kind."""
_NAME = ("hash-object", "--no-filters")
_GITS = {"blob": 1, "tree": 3, "commit": 1}
"""How many gits do it at the same time: each waits for the disk, and a change has a tree for each folder on its way."""


class _Waiting(NamedTuple):
    """An object on its way."""

    git: Pipe
    kind: str
    oid: str
    content: IO[bytes]
    """Has no name anywhere; git finds it by our descriptor."""


@dataclass(slots=True)
class Writer:
    """Stores the objects of one repository. Close it when done."""

    git: Git
    folder: Path
    """Where git keeps them."""
    id_bytes: int
    """Length of a raw object id: 20 for SHA-1, 32 for SHA-256."""
    _gits: dict[str, tuple[Pipe, ...]] = field(init=False)
    """By kind of object. The first does what one can do."""
    _namer: Pipe = field(init=False)
    _waiting: list[_Waiting] = field(init=False, default_factory=list)
    """In the order in which the gits answer."""
    _written: set[str] = field(init=False, default_factory=set)
    """Not yet with their names on the disk."""
    _packs: int = field(init=False, default=-1)

    def __post_init__(self) -> None:
        self._gits = {
            kind: tuple(Pipe(self.git, (*args, "--stdin-paths")) for _ in range(_GITS[kind]))
            for kind, args in _WRITE.items()
        }
        self._namer = Pipe(self.git, (*_NAME, "--stdin-paths"))

    def write(self, kind: str, content: bytes) -> str:
        """Store an object; returns its id, under which it is there after the next `flush` or `sync`.

        Raises:
            GitError: git can't store it; also `flush` and `sync` may say so.
        """
        self._notice_packs()
        if len(self._waiting) == AT_ONCE:
            self.flush()
        try:
            file = _open(content)
        except OSError:  # no such call here, or as many descriptors are open as may be
            self.flush()
            return self.mark_unsynced(self._alone(_WRITE[kind], content))
        gits = self._gits[kind]
        git = gits[sum(waiting.kind == kind for waiting in self._waiting) % len(gits)]
        waiting = _Waiting(git, kind, self._id(kind, content), file)
        try:
            git.send(_path(file.fileno()))
            self._waiting.append(waiting)
        except GitError:  # it has ended: the next one must not answer for it
            self._waiting.append(waiting)
            self.flush()
        except OSError:
            file.close()
            raise
        return self.mark_unsynced(waiting.oid)

    def write_fd(self, descriptor: int) -> str:
        """Store whatever a file descriptor gives as a blob: git reads it, we don't.

        Raises:
            GitError: git can't store it.
        """
        self._notice_packs()
        self.flush()
        return self.mark_unsynced(self._read(self._gits["blob"][0], descriptor, _WRITE["blob"]))

    def hash_fd(self, descriptor: int) -> str:
        """The id that `write_fd` would give it; nothing is stored.

        Raises:
            GitError: git can't read it.
        """
        return self._read(self._namer, descriptor, _NAME)

    def _read(self, git: Pipe, descriptor: int, command: tuple[str, ...]) -> str:
        """What a git that stays open, or else one of its own, calls what a descriptor gives."""
        with suppress(GitError):  # there is no /proc
            return git.ask(_path(descriptor)).decode()
        return self._alone(command, descriptor)

    def mark_unsynced(self, oid: str) -> str:
        """Have the name of an object that was written by whatever means go to the disk with the next `sync`."""
        self._written.add(oid)
        return oid

    def flush(self, oid: str = "") -> None:
        """Wait until everything that was written is there; with the id of an object, only if that is not yet there.

        Raises:
            GitError: git can't store it.
        """
        if oid and all(waiting.oid != oid for waiting in self._waiting):
            return
        waiting, self._waiting = self._waiting, []
        try:
            for each in waiting:
                self._require_stored(each)
        except BaseException:
            self.close()  # they would answer for what nobody waits for any more
            raise
        finally:
            for each in waiting:
                each.content.close()

    def sync(self) -> None:
        """Bring the names of the objects that were written since the last call to the disk.

        Before anything that is on the disk names them: a ref, the index. Their contents git brings there, before it
        gives them their names: after a power cut it would take one that has only its name for written, for ever.
        What it finds written by somebody who did not, is brought there here.

        Raises:
            GitError: git can't store one of them.
        """
        self.flush()
        if self._written:
            places = [f"{self.folder}/{oid[:2]}/{oid[2:]}" for oid in self._written]
            sync_all((*places, *{os.path.dirname(place) for place in places}, str(self.folder)))  # noqa: PTH120
            self._written.clear()

    def close(self) -> None:
        """End the gits. What was on its way may not arrive."""
        gits = (self._namer, *chain(*self._gits.values()))
        for git in gits:
            git.hang_up()
        for git in gits:
            git.close()
        for waiting in self._waiting:
            waiting.content.close()
        self._waiting.clear()

    def _notice_packs(self) -> None:
        """Have new gits write when packs have come or gone: one that is open takes what a pack had for written.

        Asked for the first object of several that are named together.
        """
        if not self._written and (now := pack_dir_mtime(self.folder)) != self._packs:
            self.close()
            self._packs = now

    def _id(self, kind: str, content: bytes) -> str:
        made = hashlib.new("sha1" if self.id_bytes == 20 else "sha256", usedforsecurity=False)
        made.update(b"%s %d\0" % (kind.encode(), len(content)))
        made.update(content)
        return made.hexdigest()

    def _require_stored(self, waiting: _Waiting) -> None:
        git, kind, oid, content = waiting
        try:
            called = git.line().decode()
        except GitError:  # it has ended, or there is no /proc
            content.seek(0)
            called = self._alone(_WRITE[kind], content.fileno())
        if called != oid:
            raise GitError(_WRITE[kind], 0, f"git calls {called} what is {oid}")

    def _alone(self, command: tuple[str, ...], content: bytes | int) -> str:
        """What a git of its own calls it."""
        return self.git.run(*command, "--stdin", input=content).stdout.decode().strip()


def pack_dir_mtime(folder: Path) -> int:
    """A number that changes when a pack comes to an object store, or goes."""
    try:
        return os.stat(f"{folder}/pack").st_mtime_ns  # noqa: PTH116 - asked often
    except OSError:
        return 0


def _open(content: bytes) -> IO[bytes]:
    """A file without a name that has a content.

    Raises:
        OSError: there is none to be had.
    """
    if not hasattr(os, "memfd_create"):
        raise OSError(errno.ENOSYS, "memfd_create")
    file = os.fdopen(os.memfd_create("gitbatch"), "w+b")
    try:
        file.write(content)
        file.flush()
    except BaseException:
        file.close()
        raise
    return file


def _path(descriptor: int) -> bytes:
    """Where another process finds what a descriptor of ours gives, where there is a /proc."""
    return f"/proc/{os.getpid()}/fd/{descriptor}\n".encode()
