"""System calls that Python lacks, by ctypes. Their numbers are from Linux's headers, since libc may lack them too."""

# ruff: noqa: PTH123 - pathlib takes longer to import than the launcher to do its work

import ctypes
import errno
import os
import sys
from collections.abc import Iterable
from contextlib import suppress

_LIBC = ctypes.CDLL(None, use_errno=True)

PR_SET_PDEATHSIG = 1
PR_SET_SECCOMP = 22
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4

CLONE_NEWNS, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x20000, 0x10000000, 0x20000000, 0x40000000

MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_BIND, MS_REC, MS_PRIVATE = 2, 4, 8, 0x1000, 0x4000, 0x40000

MOUNT_ATTR_RDONLY, MOUNT_ATTR_NOSUID, MOUNT_ATTR_NODEV = 1, 2, 4

_OPEN_TREE, _MOVE_MOUNT, _OPENAT2, _MOUNT_SETATTR = 428, 429, 437, 442
_AT_EMPTY_PATH, _AT_RECURSIVE, _OPEN_TREE_CLONE = 0x1000, 0x8000, 1
_FROM_DESCRIPTOR, _TO_DESCRIPTOR = 0x04, 0x40
_RESOLVE_NO_SYMLINKS, _RESOLVE_BENEATH = 0x04, 0x08

_CAPABILITY_VERSION_3 = 0x20080522
_NO_MORE = "the system allows no more namespaces (sysctl user.max_user_namespaces, user.max_pid_namespaces)"


def prctl(option: int, first: int = 0, second: int = 0) -> None:
    """Changes a property of this process, one of `PR_SET_…`.

    Raises:
        OSError: the kernel refuses.
    """
    arguments = (ctypes.c_ulong(number) for number in (first, second, 0, 0))
    _check_result(_LIBC.prctl(option, *arguments))


def signal_mask(signals: Iterable[int]) -> bytes:
    """Returns the `sigset_t` of some signals."""
    return sum(1 << number - 1 for number in signals).to_bytes(8, sys.byteorder) + bytes(120)


def change_signal_mask(how: int, mask: bytes) -> None:
    """Blocks or unblocks signals of this process, which has one thread; `how`: `SIG_BLOCK` or `SIG_UNBLOCK`.

    `signal.pthread_sigmask` makes enums of those that were blocked, and so copies many pages of a forked process.

    Raises:
        OSError: the kernel refuses.
    """
    _check_result(_LIBC.sigprocmask(how, mask, None))


def syscall(number: int, *arguments: object) -> int:
    """Makes a system call by its number.

    Raises:
        OSError: it fails.
    """
    return _check_result(_LIBC.syscall(ctypes.c_long(number), *arguments))


def unshare(namespaces: int) -> None:
    """Moves this process to new namespaces, of the kinds `CLONE_NEW…` (`os.unshare` needs Python 3.12).

    Raises:
        OSError: the kernel refuses.
    """
    try:
        _check_result(_LIBC.unshare(ctypes.c_int(namespaces)))
    except OSError as error:
        if error.errno == errno.ENOSPC:  # its own words are about a disk
            raise OSError(error.errno, _NO_MORE) from error
        raise


def setns(namespace: int, kind: int) -> None:
    """Moves this process to the namespace of a descriptor, of the kind `CLONE_NEW…` (`os.setns` needs Python 3.12).

    Raises:
        OSError: the kernel refuses.
    """
    _check_result(_LIBC.setns(ctypes.c_int(namespace), ctypes.c_int(kind)))


def mount_filesystem(source: str, target: str, kind: str | None, flags: int, options: str = "") -> None:
    """Mounts a file system, or changes a mount; see mount(2).

    Raises:
        OSError: the kernel refuses.
    """
    encoded = None if kind is None else kind.encode()
    _check_result(
        _LIBC.mount(
            os.fsencode(source), os.fsencode(target), encoded, ctypes.c_ulong(flags), os.fsencode(options)
        )
    )


def open_path(path: str, folder: int | None = None) -> int:
    """Returns a descriptor (O_PATH) of a path that no symlink is part of.

    Args:
        path: an absolute path; with `folder`, one that starts there and does not leave it.
        folder: the descriptor of a folder.

    Raises:
        OSError: it does not exist, or has a symlink in it (ELOOP).
    """
    resolve = _RESOLVE_NO_SYMLINKS | (0 if folder is None else _RESOLVE_BENEATH)
    how = (ctypes.c_uint64 * 3)(os.O_PATH | os.O_CLOEXEC, 0, resolve)
    at = ctypes.c_long(-1 if folder is None else folder)
    try:
        return syscall(_OPENAT2, at, os.fsencode(path), how, ctypes.c_size_t(ctypes.sizeof(how)))
    except OSError as error:
        raise OSError(error.errno, error.strerror, path) from error


def copy_mounts(descriptor: int) -> int:
    """Returns the descriptor of a copy of the mounts at an open path and below it, which are at no path yet.

    Raises:
        OSError: the kernel refuses.
    """
    flags = _OPEN_TREE_CLONE | _AT_EMPTY_PATH | _AT_RECURSIVE | os.O_CLOEXEC
    return syscall(_OPEN_TREE, ctypes.c_long(descriptor), b"", ctypes.c_long(flags))


def restrict_mount(descriptor: int, attributes: int, *, is_recursive: bool) -> None:
    """Adds attributes `MOUNT_ATTR_…` to a mount, and if `is_recursive` to the mounts below it.

    Raises:
        OSError: the kernel refuses.
    """
    flags = _AT_EMPTY_PATH | (_AT_RECURSIVE if is_recursive else 0)
    given = (ctypes.c_uint64 * 4)(attributes)
    size = ctypes.c_size_t(ctypes.sizeof(given))
    syscall(_MOUNT_SETATTR, ctypes.c_long(descriptor), b"", ctypes.c_long(flags), given, size)


def attach_mounts(copied: int, mount_point: int) -> None:
    """Mounts what `copy_mounts` has returned at an open path.

    Raises:
        OSError: the kernel refuses.
    """
    flags = ctypes.c_long(_FROM_DESCRIPTOR | _TO_DESCRIPTOR)
    syscall(_MOVE_MOUNT, ctypes.c_long(copied), b"", ctypes.c_long(mount_point), b"", flags)


def filesystem_type(descriptor: int) -> int:
    """Returns the number that the kernel gives the kind of file system of an open file.

    Raises:
        OSError: the kernel refuses.
    """
    found = (ctypes.c_long * 64)()  # `struct statfs`, whose first member it is, has fewer on every machine
    _check_result(_LIBC.fstatfs(ctypes.c_int(descriptor), found))
    return found[0]


def last_capability() -> int:
    """Returns the number of the last capability that the kernel knows; -1 if this process is not root's."""
    if os.geteuid() != 0:
        return -1
    with open("/proc/sys/kernel/cap_last_cap", "rb") as file:
        return int(file.read())


def drop_capabilities(last: int) -> None:
    """Drops every capability irrevocably, also those that a later exec would give back to root. Opens no file.

    `last`: see `last_capability`.
    """
    _drop_bounding_set(last)
    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    none = (ctypes.c_uint32 * 6)()
    _check_result(_LIBC.capset(header, none))


def _drop_bounding_set(last: int) -> None:
    # Without CAP_SETPCAP, which root may lack, only `no_new_privs` prevents exec from adding capabilities.
    with suppress(PermissionError):
        for capability in range(last + 1):
            prctl(PR_CAPBSET_DROP, capability)


def join_empty_keyring() -> None:
    """Joins an empty session keyring: the user's is inherited, and namespaces do not hide the keys in it."""
    keyctl, join_session = 250 if os.uname().machine == "x86_64" else 219, 1
    with suppress(OSError):  # a kernel without keyrings, or a container that denies them
        syscall(keyctl, ctypes.c_int(join_session), None)


def _check_result(result: int) -> int:
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result
