"""Stores objects: contents of ours in files of their own, an agent's through a `git hash-object` that stays open.

An object's id is the hash of its content. So all objects of a change are stored at once, and what one of them waits for
(the disk) all wait for together. A caller that points a ref or the index at objects calls `sync` before; one that reads
them calls `flush`.
Not thread-safe: a run has one thread for git.
"""

import os
import time
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from gitbatch.errors import GitError
from gitbatch.fs.durable import sync_all
from gitbatch.repo.objects.codec import compute_id, render_header
from gitbatch.repo.objects.loose import USUAL, LooseForm, store_loose
from gitbatch.repo.objects.spares import SpareLinks
from gitbatch.repo.pipe import Pipe
from gitbatch.repo.process import Git

WRITE_BLOB = ("-c", "core.bigFileThreshold=1024g", "hash-object", "-w")
"""Stores a blob in a file of its own, however large: the name of a pack would not be synced to the disk."""
_STORE = (*WRITE_BLOB, "--no-filters")
_HASH = ("hash-object", "--no-filters")
_FEW, _SMALL = 16, 64 * 1024
"""The most objects that wait to be stored, or are stored at once, and the most bytes of one of them that is not the last."""
_TICK = 20_000_000
"""Nanoseconds, more than between two ticks of the clock that files get their times from."""


@dataclass(slots=True, eq=False, repr=False)
class Writer:
    """Stores the objects of one repository. Close it when done."""

    git: Git
    folder: Path
    """The folder of the object store."""
    id_bytes: int
    """The length of a raw object id: 20 for SHA-1, 32 for SHA-256."""
    form: LooseForm = USUAL
    """Of the files of objects."""
    spares: SpareLinks = field(init=False)
    """The second names of what is stored."""
    _storer: Pipe = field(init=False)
    _hasher: Pipe = field(init=False)
    _pending: dict[str, bytes] = field(init=False, default_factory=dict)
    """The objects that are not stored yet, with the header, by id."""
    _failed: dict[str, bytes] = field(init=False, default_factory=dict)
    """Those that could not be stored: tried again once something is to refer to one of them."""
    _unsynced: set[str] = field(init=False, default_factory=set)
    """Objects whose file names may not be on the disk yet."""
    _synced: set[str] = field(init=False, default_factory=set)
    """Those of them whose content is."""
    _packs: int = field(init=False, default=-1)

    def __post_init__(self) -> None:
        self.spares = SpareLinks(self.folder)
        self._storer = Pipe(self.git, (*_STORE, "--stdin-paths"))
        self._hasher = Pipe(self.git, (*_HASH, "--stdin-paths"))

    def start(self) -> None:
        """Starts the process of `write_fd`; see `Pipe.start`."""
        self._restart_for_packs()
        self._storer.start()

    def start_hashing(self) -> None:
        """Starts the process of `hash_fd`; see `Pipe.start`."""
        self._hasher.start()

    def write(self, kind: str, content: bytes) -> str:
        """Stores an object and returns its id. It is stored when the next `flush` or `sync` has returned.

        Raises:
            GitError: it, or an earlier one, cannot be stored; `flush` and `sync` may raise it, too.
        """
        oid = compute_id(kind, content, self.id_bytes)
        if any(bytes.fromhex(failed) in content or failed.encode() in content for failed in self._failed):
            self._try_again()
        self._pending[oid] = render_header(kind, content) + content
        self.mark_unsynced(oid)
        if len(self._pending) >= _FEW or len(content) > _SMALL:
            self.flush()
        return oid

    def write_fd(self, descriptor: int) -> str:
        """Stores the content of a file descriptor as a blob, which only git reads. Returns its id.

        Raises:
            GitError: git cannot store it.
        """
        self._restart_for_packs()
        return self.mark_unsynced(self._hash_in(self._storer, descriptor, _STORE))

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
        """Stores all objects that wait for it; with an id: only if that object does.

        Raises:
            GitError: one cannot be stored.
        """
        if oid in self._failed:
            self._try_again()
        if oid and oid not in self._pending:
            return
        self._failed |= self._pending  # until they are stored
        waiting, self._pending = iter(self._pending.items()), {}
        while some := dict(islice(waiting, _FEW)):  # each has an open file until it is stored
            self._synced |= some.keys() - store_loose(self.folder, some, self.form)
            for stored in some:
                del self._failed[stored]

    def _try_again(self) -> None:
        """Makes the next `flush` store what an earlier one could not: its caller need not be the one that wrote it."""
        self._pending = self._failed | self._pending
        self._failed = {}

    def sync(self, oid: str = "") -> None:
        """Brings the names of the objects that were written since the last call to the disk.

        Called before anything on the disk refers to them: a ref, the index. Contents are synced before they get their
        names: after a power cut, git would take an object that has only its name for stored, forever.
        The contents of objects that another program has written without that are synced here.

        Args:
            oid: the object that is to be referred to; empty: none that could have failed to be stored.

        Raises:
            GitError: one of them cannot be stored.
        """
        if oid in self._failed:
            self._try_again()
        self.flush()
        self.spares.keep_objects(self._unsynced)
        if self._unsynced:
            contents = (f"{self.folder}/{oid[:2]}/{oid[2:]}" for oid in self._unsynced - self._synced)
            names = {f"{self.folder}/{oid[:2]}" for oid in self._unsynced}
            sync_all((*contents, *names, str(self.folder)))
            self._unsynced.clear()
            self._synced.clear()

    def close(self) -> None:
        """Ends the processes. Objects that wait to be stored are dropped."""
        self.hang_up()
        for process in self._list_processes():
            process.close()
        self._pending.clear()
        self._failed.clear()

    def hang_up(self) -> None:
        """Lets the processes end, without waiting for them. Call `close` afterwards."""
        for process in self._list_processes():
            process.hang_up()

    def _list_processes(self) -> tuple[Pipe, ...]:
        return (self._hasher, self._storer)

    def _restart_for_packs(self) -> None:
        """Ends the process of `write_fd` if packs were added or removed.

        An open one takes the objects of a removed pack for stored.
        """
        if (now := pack_dir_mtime(self.folder)) != self._packs:
            self._storer.close()
            self._packs = now

    def _run_once(self, command: tuple[str, ...], content: int) -> str:
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


def _proc_path(descriptor: int) -> bytes:
    """Returns the line that names a descriptor of this process to another one, where the system has /proc."""
    return f"/proc/{os.getpid()}/fd/{descriptor}\n".encode()
