"""Namespaces of a program: of mounts, of processes and of the network, in a user namespace where the user may not make them."""

# ruff: noqa: PTH123 - pathlib takes longer to import than the launcher to do its work

import os
from contextlib import suppress

from gitbatch.sandbox.launcher import CANNOT_RUN
from gitbatch.sandbox.launcher.kernel import (
    CLONE_NEWNS,
    CLONE_NEWPID,
    CLONE_NEWUSER,
    MS_NODEV,
    MS_NOEXEC,
    MS_NOSUID,
    MS_PRIVATE,
    MS_REC,
    PR_SET_PDEATHSIG,
    mount_filesystem,
    prctl,
    setns,
    unshare,
)

_KERNEL = "/proc/sys/kernel"
_ALWAYS_EMPTY = {b"/proc/sys/fs/binfmt_misc", b"/proc/fs/nfsd"}
"""Folders of /proc that are made for mounts, so that one there hides nothing."""
_RESERVED = 300
"""The kernel gives lower ids only once, before the first turn."""


def enter_namespace(kind: int, on_parent_death: int) -> None:
    """Moves this process to a namespace of its own; a namespace of processes only has the children that it starts later.

    Args:
        kind: one of `CLONE_NEW…`.
        on_parent_death: the signal that this process gets if its parent dies.

    Raises:
        OSError: the kernel, or a sandbox around us, refuses.
    """
    user, group, parent = os.geteuid(), os.getegid(), os.getppid()
    try:
        unshare(kind)
    except PermissionError:
        unshare(CLONE_NEWUSER | kind)
        _write_id_maps(user, group)
        prctl(PR_SET_PDEATHSIG, on_parent_death)  # the change of rights has cleared it
        if os.getppid() != parent:  # it died in between
            os._exit(CANNOT_RUN)


def move_next_child() -> int:
    """Lets the next child of this process be the first of a namespace of processes; returns this one's, for `setns`.

    Raises:
        OSError: the kernel refuses it, as it does to all but root.
    """
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    try:
        setns(own, CLONE_NEWPID)  # what could not return must not leave
        unshare(CLONE_NEWPID)
    except OSError:
        os.close(own)
        raise
    return own


def enter_mount_namespace(on_parent_death: int) -> None:
    """Moves this process to a mount namespace of its own, whose mounts no other process sees.

    Raises:
        OSError: the kernel, or a sandbox around us, refuses.
    """
    enter_namespace(CLONE_NEWNS, on_parent_death)
    mount_filesystem("none", "/", None, MS_REC | MS_PRIVATE)


def is_proc_mountable() -> bool:
    """Returns whether this process may mount another /proc, as far as that is known before.

    Containers hide parts of /proc by mounts on it, and the kernel then lets only root outside of user namespaces mount another.
    """
    if os.geteuid() == 0:
        with open("/proc/self/uid_map", "rb") as file:
            if file.read().split() == [b"0", b"0", b"4294967295"]:
                return True
    with open("/proc/self/mounts", "rb") as file:
        points = {line.split(b" ")[1] for line in file}
    return not any(point.startswith(b"/proc/") for point in points - _ALWAYS_EMPTY)


def mount_own_proc() -> bool:
    """Mounts a /proc with the processes of this namespace only; False where that is refused: then it is as outside.

    A container that hides parts of its /proc refuses it to all but root.
    """
    try:
        mount_filesystem("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC)
    except OSError:
        return False
    return True


def scatter_process_ids() -> None:
    """Gives the next process of this namespace any id. They would begin with 2 in each, and programs name files by them (`/tmp/log.$$`)."""
    with suppress(OSError):  # a kernel without this, or a container that hides it
        with open(f"{_KERNEL}/pid_max", "rb", 0) as file:
            most = int(file.read(99))
        with open(f"{_KERNEL}/ns_last_pid", "wb", 0) as file:
            file.write(b"%d" % (_RESERVED + int.from_bytes(os.urandom(4)) % max(most - 2 * _RESERVED, 1)))


def _write_id_maps(user: int, group: int) -> None:
    """Maps the user and its group to themselves in a new user namespace of this process."""
    for path, text in (
        ("/proc/self/setgroups", b"deny"),
        ("/proc/self/gid_map", b"%d %d 1" % (group, group)),
        ("/proc/self/uid_map", b"%d %d 1" % (user, user)),
    ):
        with suppress(FileNotFoundError), open(path, "wb") as file:
            file.write(text)
