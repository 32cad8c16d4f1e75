"""Layers on the disk: folders of files that many worktrees share, each complete or not there at all.

A layer is a folder with the files (`tree/`), for some an index of git (`git/index`), a lock, and a marker that is written
last and synced, unless it is wanted until a restart of the machine only. It is made under another name and renamed, so a killed process never leaves a part of one; what it
leaves is removed later. A complete layer is never changed. It is removed by a process that has its lock exclusively,
and used by those that share it (a lease), so that nothing is removed while a worktree needs it.

Not thread-safe: a run has one thread for git.
"""

import errno
import fcntl
import os
import secrets
import stat
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

from msgspec import Struct, field

from gitbatch.fs.durable import sync_file
from gitbatch.fs.removal import remove_anything
from gitbatch.repo.templates.marker import (
    INDEX,
    LayerInfo,
    LayerMarker,
    boot_id,
    check_files,
    read_marker,
    stamp_marker,
    write_marker,
)

_NEW, _GONE = ".new-", ".gone-"
_PROBE, _OLD_PROBE = ".probe-", 3600.0
"""The beginning of the names of folders in which an overlay is tried, and the age in seconds at which one is left over."""
_LOCK = "lock"
_TRIES = 5
_FOLDER_MODE = 0o700


class Lease(Struct):
    """The right to use a complete layer until it is closed."""

    store: "LayerStore"
    name: str
    marker: LayerMarker
    is_open: bool = True

    @property
    def folder(self) -> Path:
        """The folder of the layer."""
        return self.store.root / self.name

    @property
    def tree(self) -> Path:
        """The folder of its files, which may be a lower layer of an overlay."""
        return self.folder / "tree"

    @property
    def index(self) -> Path:
        """The index of its files, if its maker wrote one. Nothing else is in its folder, which an overlay may have below."""
        return self.folder / INDEX

    def close(self) -> None:
        """Ends the right; afterwards another process may remove the layer."""
        if self.is_open:
            self.is_open = False
            self.store.release(self.name)


class _Held(Struct):
    """A layer that this process uses: while it does, nothing changes it."""

    descriptor: int
    """Of the lock."""
    leases: int = 0
    marker: LayerMarker | None = None
    """None: not read yet."""
    stamp: tuple[int, ...] = ()
    """That of the marker when it was read: a user may remove the cache."""


class LayerStore(Struct):
    """The layers in one folder. Close it when no lease is needed any more."""

    root: Path
    _held: dict[str, _Held] = field(default_factory=dict)

    def find(self, name: str, *, is_below: bool = False) -> Lease | None:
        """Returns a lease of the complete layer with a name; None: it does not exist, or it has lost files.

        Args:
            name: of the layer.
            is_below: another layer needs it, whose last use counts.
        """
        held = self._hold_layer(name)
        if held is None:
            return None
        stamp = stamp_marker(self.root / name)
        if held.marker is None or not stamp or stamp != held.stamp:
            held.stamp, held.marker = stamp, self._read_complete(name)
        if held.marker is None:
            self.release(name)
            return None
        if not is_below:
            _note_use(held.descriptor)
        return Lease(self, name, held.marker)

    def _read_complete(self, name: str) -> LayerMarker | None:
        """Returns the marker of a layer; None: it is incomplete, or has lost files."""
        marker = read_marker(self.root / name)
        if marker is not None and marker.boot != boot_id():
            return check_files(self.root / name, marker)
        return marker

    def make(self, name: str, fill: Callable[[Path], LayerInfo]) -> Lease:
        """Makes a layer, unless it exists; returns a lease of it.

        Args:
            name: of the layer, without a slash.
            fill: puts the files below `tree/` in the folder that it is given, where that folder is empty.

        Raises:
            OSError: it cannot be written.
        """
        existing = self.find(name)
        if existing:
            return existing
        made, descriptor = self._make_folder()
        try:
            marker = write_marker(made, fill(made))
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            existing = self._publish_layer(made, name)
            if not marker.until_restart:
                sync_file(self.root)
        except BaseException:
            self._drop_unfinished(made, descriptor)
            raise
        if existing:
            self._drop_unfinished(made, descriptor)
            return existing
        self._held[name] = _Held(descriptor, leases=1)
        _note_use(descriptor)
        return Lease(self, name, marker)

    def _publish_layer(self, made: Path, name: str) -> Lease | None:
        """Gives a complete layer its name; returns the lease of another process's, if that was quicker."""
        try:
            made.rename(self.root / name)
        except OSError as error:
            if error.errno not in {errno.ENOTEMPTY, errno.EEXIST}:
                raise
            if existing := self.find(name):
                return existing
            remove_layer(self.root, name)  # it has lost files, or has another version
            made.rename(self.root / name)
        return None

    def _drop_unfinished(self, made: Path, descriptor: int) -> None:
        os.close(descriptor)
        with suppress(OSError):  # another error is the one that counts; what is left is removed later
            remove_anything(made)

    def release(self, name: str) -> None:
        """Ends one use of a layer; see `Lease.close`."""
        held = self._held.get(name)
        if held is None:
            return
        held.leases -= 1
        if not held.leases:
            os.close(held.descriptor)
            del self._held[name]

    def close(self) -> None:
        """Ends all uses."""
        for held in self._held.values():
            os.close(held.descriptor)
        self._held.clear()

    def list_names(self) -> tuple[str, ...]:
        """Returns the names of the layers, the one that was used last first; some may be incomplete."""
        return list_names(self.root)

    def _hold_layer(self, name: str) -> _Held | None:
        held = self._held.get(name)
        if held is None:
            descriptor = _open_lock(self.root / name, fcntl.LOCK_SH)
            if descriptor is None:
                return None
            held = self._held[name] = _Held(descriptor)
        held.leases += 1
        return held

    def _make_folder(self) -> tuple[Path, int]:
        """Creates an empty folder for a new layer, and returns it with its lock, which is held.

        Until the lock is held, a process that removes remains takes the folder for one of them.
        """
        for _ in range(_TRIES):
            with suppress(FileNotFoundError):
                return self._try_folder()
        return self._try_folder()

    def _try_folder(self) -> tuple[Path, int]:
        prepare_folder(self.root)
        made = self.root / f"{_NEW}{secrets.token_hex(4)}"
        made.mkdir(mode=_FOLDER_MODE)
        descriptor = os.open(made / _LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            (made / "tree").mkdir()
            (made / INDEX).parent.mkdir()
        except BaseException:
            os.close(descriptor)
            raise
        return made, descriptor


def prepare_folder(root: Path) -> None:
    """Creates a folder of the cache, whose new files have this process's primary group.

    In a user namespace with one id, a file of another group cannot be written, even by its owner.
    """
    root.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
    status = root.stat()
    if status.st_uid == os.geteuid() and (status.st_mode & stat.S_ISGID or status.st_gid != os.getegid()):
        os.chown(root, -1, os.getegid())
        root.chmod(stat.S_IMODE(status.st_mode) & ~stat.S_ISGID)


def remove_layer(root: Path, name: str) -> bool:
    """Removes a layer, or the remains of one; false: a process uses it."""
    path = root / name
    descriptor = _open_lock(path, fcntl.LOCK_EX)
    if descriptor is None and (path / _LOCK).exists():
        return False
    try:
        gone = path if name.startswith(_GONE) else root / f"{_GONE}{secrets.token_hex(4)}"
        with suppress(FileNotFoundError):
            path.rename(gone)
        return remove_anything(gone)
    finally:
        if descriptor is not None:
            os.close(descriptor)


def list_names(root: Path) -> tuple[str, ...]:
    """Returns the names of the layers in a folder, the one that was used last first; some may be incomplete."""
    found = [
        (_read_last_use(f"{root}/{name}"), name) for name in _folders_in(root) if not name.startswith(".")
    ]
    return tuple(name for _, name in sorted(found, reverse=True))


def list_remains(root: Path) -> tuple[str, ...]:
    """Returns the names of folders that a process has begun to make or to remove, dead or alive."""
    return tuple(sorted(name for name in _folders_in(root) if _is_remains(root, name)))


def _is_remains(root: Path, name: str) -> bool:
    if name.startswith(_PROBE):
        with suppress(FileNotFoundError):
            return (root / name).stat().st_mtime < time.time() - _OLD_PROBE
    return name.startswith((_NEW, _GONE))


def read_layers(root: Path) -> dict[str, tuple[LayerMarker | None, float]]:
    """Returns the layers in a folder by name: the marker, None if it is incomplete, and the last use (seconds since the epoch)."""
    names = sorted(name for name in _folders_in(root) if not name.startswith("."))
    return {name: (read_marker(root / name), _read_last_use(f"{root}/{name}")) for name in names}


def _open_lock(folder: Path, kind: int) -> int | None:
    """Returns the descriptor of a layer's lock, which is held; None: another process holds it, or it is gone."""
    try:
        descriptor = os.open(folder / _LOCK, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with suppress(OSError):
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        # Between the two calls, another process may have removed the folder, and made it again.
        if os.path.samestat(os.fstat(descriptor), os.lstat(folder / _LOCK)):
            return descriptor
    os.close(descriptor)
    return None


def _folders_in(root: Path) -> Iterator[str]:
    """Yields the names of folders, without a look at each: a cache has many layers, and each run lists them."""
    with suppress(OSError), os.scandir(root) as entries:
        yield from (entry.name for entry in entries if entry.is_dir(follow_symlinks=False))


def _note_use(lock: int) -> None:
    """Makes now the last use of a layer, in nanoseconds: the system's own clock of files has steps of up to 10 ms."""
    now = time.time_ns()
    os.utime(lock, ns=(now, now))


def _read_last_use(folder: str) -> float:
    with suppress(OSError):
        return os.stat(f"{folder}/{_LOCK}").st_mtime  # noqa: PTH116 - asked often
    return 0.0
