"""Mounts all that a program sees below one folder, which bubblewrap then shows to it as `/`.

Bubblewrap can do this by itself, and does where the launcher has no mount namespace. But it reads the table of all mounts for
each path that it shows, and resolves the path twice. A mount has the same attributes here as from bubblewrap, and below it.
"""

import os
import stat
from collections.abc import Iterable

from gitbatch.sandbox.launcher.kernel import (
    MOUNT_ATTR_NODEV,
    MOUNT_ATTR_NOSUID,
    MOUNT_ATTR_RDONLY,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    attach_mounts,
    copy_mounts,
    mount_filesystem,
    open_path,
    restrict_mount,
)

READ, WRITE, EMPTY, LINK = "read", "write", "empty", "link"
"""What is made at a path: a path of the machine is shown there, or it is an empty folder, or a symlink."""
SHARED_MEMORY = 256 * 1024 * 1024
"""The bytes of `/dev/shm`."""
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_DEVICE_LINKS = {
    "stdin": "/proc/self/fd/0",
    "stdout": "/proc/self/fd/1",
    "stderr": "/proc/self/fd/2",
    "fd": "/proc/self/fd",
    "core": "/proc/kcore",
    "ptmx": "pts/ptmx",
}


def mount_view(root: str, steps: Iterable[tuple[str, str, str]]) -> None:
    """Mounts a program's view of the disk at a folder, in the mount namespace that this process already has.

    `/dev` is made as bubblewrap makes it; `/proc` is an empty folder, for which the program's own namespace has to be there.

    Args:
        root: an existing folder outside of the view.
        steps: what is made, from which source (a path, or the target of a symlink), at which absolute path; a folder before
            what is in it.

    Raises:
        OSError: a source does not exist, there is a symlink on the way to a path, or the kernel refuses.
    """
    before = os.umask(0)
    _mount_memory(root)
    top = open_path(root)
    os.mkdir("proc", 0o700, dir_fd=top)
    emptied = [top, _make_devices(top)]
    for kind, source, path in steps:
        if kind == LINK:
            _make_link(top, source, path)
        elif kind == EMPTY:
            emptied.append(_make_empty(top, path))
        else:
            _show_path(top, source, path, MOUNT_ATTR_NODEV | (0 if kind == WRITE else MOUNT_ATTR_RDONLY))
    for descriptor in emptied:  # only now: what is in them has been made
        restrict_mount(descriptor, MOUNT_ATTR_RDONLY, is_recursive=False)
        os.close(descriptor)
    os.umask(before)


def _make_devices(top: int) -> int:
    """Makes /dev, with shared memory and terminals of its own; returns its descriptor."""
    made = _make_empty(top, "/dev")
    for name in _DEVICES:
        _show_path(top, f"/dev/{name}", f"/dev/{name}", 0)
    for name, target in _DEVICE_LINKS.items():
        os.symlink(target, name, dir_fd=made)
    for name in ("shm", "pts"):
        os.mkdir(name, 0o755, dir_fd=made)
    _mount_memory(f"/proc/self/fd/{made}/shm", f",size={SHARED_MEMORY}")
    terminals = "newinstance,ptmxmode=0666,mode=620"
    mount_filesystem("devpts", f"/proc/self/fd/{made}/pts", "devpts", MS_NOSUID | MS_NOEXEC, terminals)
    return made


def _mount_memory(path: str, more: str = "") -> None:
    mount_filesystem("tmpfs", path, "tmpfs", MS_NOSUID | MS_NODEV, f"mode=0755{more}")


def _make_empty(top: int, path: str) -> int:
    """Mounts an empty folder at a path; returns its descriptor."""
    point = _make_point(top, path, is_folder=True)
    _mount_memory(f"/proc/self/fd/{point}")
    os.close(point)
    return open_path(path[1:], top)


def _show_path(top: int, source: str, path: str, attributes: int) -> None:
    opened = open_path(source)
    copied = copy_mounts(opened)
    restrict_mount(copied, attributes | MOUNT_ATTR_NOSUID, is_recursive=True)
    point = _make_point(top, path, is_folder=stat.S_ISDIR(os.fstat(opened).st_mode))
    attach_mounts(copied, point)
    for descriptor in (opened, copied, point):
        os.close(descriptor)


def _make_link(top: int, target: str, path: str) -> None:
    folder, name = path.rsplit("/", 1)
    around = _make_point(top, folder, is_folder=True)
    os.symlink(target, name, dir_fd=around)
    os.close(around)


def _make_point(top: int, path: str, *, is_folder: bool) -> int:
    """Returns the descriptor of a path, at which an empty folder or file is made if nothing is there."""
    if not path:
        return os.dup(top)
    try:
        return open_path(path[1:], top)
    except FileNotFoundError:
        folder, name = path.rsplit("/", 1)
    around = _make_point(top, folder, is_folder=True)
    if is_folder:
        os.mkdir(name, 0o700, dir_fd=around)
    else:
        os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o444, dir_fd=around))
    os.close(around)
    return open_path(path[1:], top)
