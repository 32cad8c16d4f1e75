"""Stores objects through a pool of `git hash-object` processes; ids are computed locally so writes overlap.

An object's id is the hash of its content, so no answer of git is awaited for it: all trees and commits of a change are
being written before the first one is stored. A caller that points a ref or the index at objects calls `sync` before; one
that reads them calls `flush`.
Not thread-safe: a run has one thread for git.
"""

import errno
import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import NamedTuple

from gitbatch.errors import GitError
from gitbatch.fs.durable import sync_all
from gitbatch.fs.whole import write_all
from gitbatch.repo.objects.codec import compute_id
from gitbatch.repo.objects.spares import SpareLinks
from gitbatch.repo.pipe import AT_ONCE, Pipe
from gitbatch.repo.process import Git

WRITE_BLOB = ("-c", "core.bigFileThreshold=1024g", "hash-object", "-w")
"""Stores a blob in a file of its own, however large: the name of a pack would not be synced to the disk."""
_WRITE = {
    "blob": (*WRITE_BLOB, "--no-filters"),
    # The other entries of a tree were put there by the user's git, so they are not checked.
    "tree": ("hash-object", "-w", "-t", "tree", "--literally"),
    "commit": ("hash-object", "-w", "-t", "commit"),
}
"""The command that stores an object, by its kind."""
_HASH = ("hash-object", "--no-filters")
_PROCESSES = {"blob": 1, "tree": 3, "commit": 1}
"""The number of processes, by kind: each waits for the disk, and a change has a tree for each folder of its paths."""
_TICK = 20_000_000
"""Nanoseconds, more than between two ticks of the clock that files get their times from."""


class _Pending(NamedTuple):
    """An object that is being written."""

    git: Pipe
    kind: str
    oid: str
    content: int
    """The descriptor of an anonymous file, which git opens through this process."""


@dataclass(slots=True, eq=False, repr=False)
class Writer:
    """Stores the objects of one repository. Close it when done."""

    git: Git
    folder: Path
    """The folder of the object store."""
    id_bytes: int
    """The length of a raw object id: 20 for SHA-1, 32 for SHA-256."""
    spares: SpareLinks = field(init=False)
    """The second names of what is stored."""
    _processes: dict[str, tuple[Pipe, ...]] = field(init=False)
    """By kind of object. The first is used where one is enough."""
    _hasher: Pipe = field(init=False)
    _pending: list[_Pending] = field(init=False, default_factory=list)
    """In the order in which the processes answer."""
    _unsynced: set[str] = field(init=False, default_factory=set)
    """Objects whose file names may not be on the disk yet."""
    _packs: int = field(init=False, default=-1)

    def __post_init__(self) -> None:
        self.spares = SpareLinks(self.folder)
        self._processes = {
            kind: tuple(Pipe(self.git, (*args, "--stdin-paths")) for _ in range(_PROCESSES[kind]))
            for kind, args in _WRITE.items()
        }
        self._hasher = Pipe(self.git, (*_HASH, "--stdin-paths"))

    def start(self) -> None:
        """Starts the processes; see `Pipe.start`."""
        self._restart_for_packs()
        for process in chain(*self._processes.values()):
            process.start()

    def start_hashing(self) -> None:
        """Starts the process of `hash_fd`; see `Pipe.start`."""
        self._hasher.start()

    def write(self, kind: str, content: bytes) -> str:
        """Stores an object and returns its id. It is stored when the next `flush` or `sync` has returned.

        Raises:
            GitError: git cannot store it; `flush` and `sync` may raise it, too.
        """
        self._restart_for_packs()
        if len(self._pending) == AT_ONCE:
            self.flush()
        try:
            file = _open_anonymous(content)
        except OSError:  # this system has no memfd_create, or the limit of open descriptors is reached
            self.flush()
            return self.mark_unsynced(self._run_once(_WRITE[kind], content))
        processes = self._processes[kind]
        git = processes[sum(pending.kind == kind for pending in self._pending) % len(processes)]
        pending = _Pending(git, kind, compute_id(kind, content, self.id_bytes), file)
        try:
            git.send(_proc_path(file))
            self._pending.append(pending)
        except GitError:  # the process has ended: the next one must not answer for it
            self._pending.append(pending)
            self.flush()
        except OSError:
            os.close(file)
            raise
        return self.mark_unsynced(pending.oid)

    def write_fd(self, descriptor: int) -> str:
        """Stores the content of a file descriptor as a blob, which only git reads. Returns its id.

        Raises:
            GitError: git cannot store it.
        """
        self._restart_for_packs()
        self.flush()
        return self.mark_unsynced(self._hash_in(self._processes["blob"][0], descriptor, _WRITE["blob"]))

    def hash_fd(self, descriptor: int) -> str:
        """Returns the id that `write_fd` would return; nothing is stored.

        Raises:
            GitError: git cannot read it.
        """
        return self._hash_in(self._hasher, descriptor, _HASH)

    def _hash_in(self, git: Pipe, descriptor: int, command: tuple[str, ...]) -> str:
        """Returns the id of a descriptor's content from an open process, or else from a new one."""
        with suppress(GitError):  # this system has no /proc
            return git.ask(_proc_path(descriptor)).decode()
        return self._run_once(command, descriptor)

    def mark_unsynced(self, oid: str) -> str:
        """Makes the next `sync` bring the name of an object to the disk, however it was written. Returns its id."""
        self._unsynced.add(oid)
        return oid

    def flush(self, oid: str = "") -> None:
        """Waits until all objects are stored; with an id: only if that object is still being written.

        Raises:
            GitError: git cannot store it.
        """
        if oid and all(pending.oid != oid for pending in self._pending):
            return
        pending, self._pending = self._pending, []
        try:
            for each in pending:
                self._require_stored(each)
        except BaseException:
            self.close()  # their answers would be taken for those to later objects
            raise
        finally:
            for each in pending:
                os.close(each.content)

    def sync(self) -> None:
        """Brings the names of the objects that were written since the last call to the disk.

        Called before anything on the disk refers to them: a ref, the index. git syncs their contents before it gives
        them their names: after a power cut it would take an object that has only its name for stored, forever.
        The contents of objects that another program has written without that are synced here.

        Raises:
            GitError: git cannot store one of them.
        """
        self.flush()
        self.spares.keep_objects(self._unsynced)
        if self._unsynced:
            paths = [f"{self.folder}/{oid[:2]}/{oid[2:]}" for oid in self._unsynced]
            sync_all((*paths, *{os.path.dirname(path) for path in paths}, str(self.folder)))  # noqa: PTH120
            self._unsynced.clear()

    def close(self) -> None:
        """Ends the processes. Objects that were being written may be missing."""
        self.hang_up()
        for process in self._list_processes():
            process.close()
        for pending in self._pending:
            os.close(pending.content)
        self._pending.clear()

    def hang_up(self) -> None:
        """Lets the processes end, without waiting for them. Call `close` afterwards."""
        for process in self._list_processes():
            process.hang_up()

    def _list_processes(self) -> tuple[Pipe, ...]:
        return (self._hasher, *chain(*self._processes.values()))

    def _restart_for_packs(self) -> None:
        """Restarts the processes if packs were added or removed.

        An open process takes the objects of a removed pack for stored. Checked for the first object after a `sync`.
        """
        if not self._unsynced and (now := pack_dir_mtime(self.folder)) != self._packs:
            self.close()
            self._packs = now

    def _require_stored(self, pending: _Pending) -> None:
        git, kind, oid, content = pending
        try:
            answer = git.read_line().decode()
        except GitError:  # the process has ended, or this system has no /proc
            os.lseek(content, 0, os.SEEK_SET)
            answer = self._run_once(_WRITE[kind], content)
        if answer != oid:
            raise GitError(_WRITE[kind], 0, f"git stored {answer} instead of {oid}")

    def _run_once(self, command: tuple[str, ...], content: bytes | int) -> str:
        """Returns the id that a process of its own prints for a content."""
        return self.git.run(*command, "--stdin", input=content).stdout.decode().strip()


def pack_dir_mtime(folder: Path) -> int:
    """Returns a number that changes when a pack is added to an object store or removed.

    It is never the same shortly after a change: `git repack -d` removes the old packs so soon after the new one has come that
    the time of the folder may stay as it is.
    """
    try:
        changed = os.stat(f"{folder}/pack").st_mtime_ns  # noqa: PTH116 - asked often
    except OSError:
        return 0
    now = time.time_ns()
    return -now if 0 <= now - changed < _TICK else changed


def _open_anonymous(content: bytes) -> int:
    """Returns the descriptor of a file without a name that has a content.

    Raises:
        OSError: the system does not provide one.
    """
    if not hasattr(os, "memfd_create"):
        raise OSError(errno.ENOSYS, "memfd_create")
    descriptor = os.memfd_create("gitbatch")
    try:
        write_all(descriptor, content)
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _proc_path(descriptor: int) -> bytes:
    """Returns the line that names a descriptor of this process to another one, where the system has /proc."""
    return f"/proc/{os.getpid()}/fd/{descriptor}\n".encode()
