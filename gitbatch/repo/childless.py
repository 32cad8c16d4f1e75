"""Starts processes that cannot start others, enforced by the kernel where it can (Linux, seccomp).

A filter of git's attributes is a program. Where git converts content, our configuration names none; but an agent
without a sandbox may write into any directory that git reads, however short it exists. So these processes are started by
a thread that has a filter of system calls. The filter refuses fork(2), by which git starts programs, for all that the
thread starts; it allows threads, and vfork(2), by which `subprocess` starts git itself.

Where the kernel or the architecture has no such filter, or `git` on PATH is a script that needs to fork, processes
start as usual, and the private directory (`private_dir.py`) is the only protection.
"""

import ctypes
import errno
import os
import struct
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import cache

from msgspec import Struct

_NO_NEW_PRIVS, _SET_SECCOMP, _FILTER = 38, 22, 2
"""Options of prctl(2)."""
_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
"""Instructions of classic BPF."""
_NUMBER, _MACHINE, _FIRST_ARGUMENT = 0, 4, 16
"""Offsets in `struct seccomp_data`."""
_ALLOW, _FAIL = 0x7FFF0000, 0x00050000
_X32 = 0x40000000
_CLONE3 = 435
"""Its flags are behind a pointer, which no filter can follow; without it, libc uses clone."""
_THREAD_OR_VFORK = 0x00010000 | 0x00004000
"""CLONE_THREAD, CLONE_VFORK."""

Popen = Callable[[], "subprocess.Popen[bytes]"]


class _Machine(Struct, frozen=True):
    """The system call numbers of a processor architecture."""

    audit: int
    """AUDIT_ARCH_*, by which the kernel tells which numbers a call uses."""
    clone: int
    fork: int | None = None
    """Only old architectures have the call."""


_MACHINES = {
    "x86_64": _Machine(0xC000003E, clone=56, fork=57),
    "aarch64": _Machine(0xC00000B7, clone=220),
    "riscv64": _Machine(0xC00000F3, clone=220),
}


def start_childless(popen: Popen) -> "subprocess.Popen[bytes]":
    """Starts a process that cannot fork, where that can be enforced; else as usual.

    Args:
        popen: starts it; called in another thread.
    """
    thread = _filtered_thread()
    return thread.submit(popen).result() if thread else popen()


def prepare_childless() -> None:
    """Finds out whether that can be enforced, for which a git is started: the first process then need not wait for that."""
    _filtered_thread()


@cache
def _filtered_thread() -> ThreadPoolExecutor | None:
    """Returns the thread that has the filter; None: it is not supported, or git does not work with it."""
    machine = _MACHINES.get(os.uname().machine)
    if machine is None:
        return None
    thread = ThreadPoolExecutor(1, "gitbatch-childless")
    try:
        thread.submit(_filter_calls, machine).result()
        thread.submit(subprocess.run, ["git", "--version"], check=True, capture_output=True).result()
    except (OSError, subprocess.SubprocessError):
        thread.shutdown()
        return None
    return thread


def _filter_calls(machine: _Machine) -> None:
    """Puts the filter on the calling thread and all that it starts, permanently.

    Raises:
        OSError: the kernel refuses.
    """
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in _filter_program(machine))
    steps = ctypes.create_string_buffer(code)
    program = ctypes.create_string_buffer(struct.pack("HP", len(code) // 8, ctypes.addressof(steps)))
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    for option, first, second in ((_NO_NEW_PRIVS, 1, 0), (_SET_SECCOMP, _FILTER, ctypes.addressof(program))):
        if prctl(option, *(ctypes.c_ulong(number) for number in (first, second, 0, 0))):
            raise OSError(ctypes.get_errno(), "no filter of system calls")


def _filter_program(machine: _Machine) -> list[tuple[int, int, int, int]]:
    """Returns the filter: code, jump if true, jump if false and operand of each step."""
    refuse = (_RETURN, 0, 0, _FAIL | errno.EPERM)
    fork = [(_EQUAL, 0, 1, machine.fork), refuse] if machine.fork is not None else []
    return [
        (_LOAD, 0, 0, _MACHINE),
        (_EQUAL, 1, 0, machine.audit),
        refuse,  # a 32-bit program: its numbers mean something else
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _X32),
        refuse,
        *fork,
        (_EQUAL, 0, 1, _CLONE3),
        (_RETURN, 0, 0, _FAIL | errno.ENOSYS),
        (_EQUAL, 0, 3, machine.clone),
        (_LOAD, 0, 0, _FIRST_ARGUMENT),
        (_ANY_BIT, 1, 0, _THREAD_OR_VFORK),
        refuse,
        (_RETURN, 0, 0, _ALLOW),
    ]
