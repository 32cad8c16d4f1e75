"""Landlock: a process drops, for itself and all its children, permissions on files and TCP.

See landlock(7). Rules only allow, and apply to everything below a folder. Some operations need no right: looking up a
path, stat, chmod, chown, utime, flock.
"""

import ctypes
import os
import stat
import struct
from collections.abc import Mapping

from gitbatch.sandbox.launcher.kernel import PR_SET_NO_NEW_PRIVS, prctl, syscall

_CREATE_RULESET, _ADD_RULE, _RESTRICT_SELF = 444, 445, 446
_VERSION, _PATH_BENEATH = 1, 1

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1 << 0, 1 << 1, 1 << 2, 1 << 3
_MAKE_CHAR, _MAKE_BLOCK = 1 << 6, 1 << 11
_TRUNCATE, _IOCTL = 1 << 14, 1 << 15
_OF_FILES = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE | _IOCTL
_TCP = 0b11
_SCOPE_ABSTRACT, _SCOPE_SIGNAL = 0b01, 0b10

READ = _EXECUTE | _READ_FILE | _READ_DIR
WRITE = (1 << 15) - 1 & ~(_MAKE_CHAR | _MAKE_BLOCK)
"""All rights of ABI 3 except making devices."""
DEVICE = _READ_FILE | _WRITE_FILE | _IOCTL

REQUIRED_ABI = 4
"""The lowest ABI that suffices: the first that covers TCP."""


def landlock_abi() -> int:
    """Returns the version of Landlock that the kernel has.

    Raises:
        OSError: it has none, or it is disabled.
    """
    return syscall(_CREATE_RULESET, None, ctypes.c_size_t(0), ctypes.c_uint32(_VERSION))


def restrict_access(rules: Mapping[str, int], *, network: bool) -> None:
    """Drops access to all files except by the rules (path → rights), and signals to other processes; irrevocably.

    Raises:
        OSError: the kernel refuses, or a path does not exist.
    """
    version = landlock_abi()
    handled = (1 << (16 if version >= 5 else 15)) - 1
    scoped = _SCOPE_ABSTRACT | _SCOPE_SIGNAL if version >= 6 else 0
    ruleset = _create_ruleset(handled, 0 if network else _TCP, scoped)
    for path, rights in rules.items():
        _add_rule(ruleset, path, rights & handled)
    _enforce_ruleset(ruleset)


def deny_abstract_sockets() -> None:
    """Denies access to other processes' abstract Unix sockets if the kernel can (ABI 6), and to nothing else."""
    try:
        if landlock_abi() >= 6:
            _enforce_ruleset(_create_ruleset(0, 0, _SCOPE_ABSTRACT))
    except OSError:  # no Landlock here: see the module docstring of bubblewrap for what that means
        return


def _create_ruleset(files: int, tcp: int, scoped: int) -> int:
    attributes = struct.pack("=QQQ" if scoped else "=QQ", files, tcp, *((scoped,) if scoped else ()))
    return syscall(_CREATE_RULESET, attributes, ctypes.c_size_t(len(attributes)), ctypes.c_uint32(0))


def _add_rule(ruleset: int, path: str, rights: int) -> None:
    descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    try:
        if not stat.S_ISDIR(os.fstat(descriptor).st_mode):
            rights &= _OF_FILES
        rule = struct.pack("=Qi", rights, descriptor)
        syscall(_ADD_RULE, ctypes.c_int(ruleset), ctypes.c_int(_PATH_BENEATH), rule, ctypes.c_uint32(0))
    finally:
        os.close(descriptor)


def _enforce_ruleset(ruleset: int) -> None:
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    syscall(_RESTRICT_SELF, ctypes.c_int(ruleset), ctypes.c_uint32(0))
    os.close(ruleset)
