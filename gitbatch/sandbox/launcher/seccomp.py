"""The filter that closes what Landlock leaves open: sockets that are not TCP, and calls that reach other processes.

It judges numbers and arguments of system calls, never paths. Families of sockets are an allow-list, everything
else that it names is refused. A stream `socketpair` stays: it leads nowhere else, and runtimes talk to their
children through it. Refusals say what a kernel says that lacks the call, for which programs have a way out.
"""

import ctypes
import errno
import os
import struct
from collections.abc import Iterable

from gitbatch.sandbox.launcher.kernel import PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, prctl

_MODE_FILTER = 2
_LOAD, _EQUAL, _AT_LEAST, _AND, _RETURN = 0x20, 0x15, 0x35, 0x54, 0x06
"""Instructions of classic BPF."""
_NUMBER, _MACHINE, _ARGUMENTS = 0, 4, 16
"""Offsets in `struct seccomp_data`; of an argument the lower half is looked at, as the kernel does for an int."""
_ALLOW, _KILL, _FAIL = 0x7FFF0000, 0x80000000, 0x00050000
_X32 = 0x40000000
"""Where x86-64's second set of calls begins, which nobody uses."""
_ANY = 0xFFFFFFFF
_INTERNET = (2, 10)
"""AF_INET and AF_INET6."""
_HARMLESS = (16,)
"""AF_NETLINK, by which runtimes ask for the machine's own addresses, and some fail if they can't."""
_CONNECTED = (1, 5)
"""SOCK_STREAM and SOCK_SEQPACKET: one half of a pair can't be sent elsewhere."""

Instruction = tuple[int, int, int, int]
"""Code, jump if true, jump if false, operand."""


class Machine:
    """The numbers of a processor architecture."""

    __slots__ = ("audit", "prlimit", "shared", "socket", "socketpair", "xattrs")

    def __init__(
        self,
        audit: int,
        *,
        socket: int,
        socketpair: int,
        prlimit: int,
        shared: tuple[int, ...],
        xattrs: tuple[int, ...],
    ) -> None:
        self.audit = audit
        """AUDIT_ARCH_*, by which the kernel tells the filter whose numbers a call uses."""
        self.socket = socket
        self.socketpair = socketpair
        self.prlimit = prlimit
        self.shared = shared
        """What a user's processes share without a path: mq_open, System V's shared memory, semaphores and messages;
        add_key, request_key, keyctl."""
        self.xattrs = xattrs
        """Setting and removing, by path, without following, by descriptor."""


def _generic(audit: int) -> Machine:
    """A machine with the numbers of asm-generic/unistd.h."""
    return Machine(
        audit,
        socket=198,
        socketpair=199,
        prlimit=261,
        shared=(180, *range(186, 197), 217, 218, 219),
        xattrs=(5, 6, 7, 14, 15, 16),
    )


MACHINES = {
    "x86_64": Machine(
        0xC000003E,
        socket=41,
        socketpair=53,
        prlimit=302,
        shared=(240, 29, 30, 31, 64, 65, 66, 68, 69, 70, 71, 220, 248, 249, 250),
        xattrs=(188, 189, 190, 197, 198, 199),
    ),
    "aarch64": _generic(0xC00000B7),
    "riscv64": _generic(0xC00000F3),
}
_IO_URING = (425, 426, 427)
"""It makes sockets past every filter."""
_NEW_XATTRS = (463, 466)


def filter_calls(*, network: bool) -> None:
    """Refuse the calls, for this process and all its children, for good.

    Raises:
        OSError: the kernel refuses, or the machine is none of `MACHINES`.
    """
    machine = MACHINES.get(os.uname().machine)
    if machine is None:
        raise OSError(errno.ENOSYS, f"no filter for {os.uname().machine}")
    install(_program(machine, network=network))


def install(instructions: Iterable[Instruction]) -> None:
    """Put a filter on this process and all its children, for good."""
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)
    steps = ctypes.create_string_buffer(code)
    program = ctypes.create_string_buffer(struct.pack("HP", len(code) // 8, ctypes.addressof(steps)))
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    prctl(PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(program))


def _program(machine: Machine, *, network: bool) -> list[Instruction]:
    families = (*_HARMLESS, *(_INTERNET if network else ()))
    return [
        (_LOAD, 0, 0, _MACHINE),
        (_EQUAL, 1, 0, machine.audit),
        (_RETURN, 0, 0, _KILL),  # a 32-bit program: its numbers mean something else
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _FAIL | errno.ENOSYS),
        *refuse((*_IO_URING, *machine.shared), errno.ENOSYS),
        *refuse((*_NEW_XATTRS, *machine.xattrs), errno.EOPNOTSUPP),
        *only(machine.socket, 0, _ANY, families, errno.EACCES),
        *only(machine.socketpair, 1, 0xF, _CONNECTED, errno.EACCES),
        *only(machine.prlimit, 0, _ANY, [0], errno.EPERM),  # itself, not another
        (_RETURN, 0, 0, _ALLOW),
    ]


def refuse(numbers: Iterable[int], error: int) -> list[Instruction]:
    """Let calls fail."""
    return [step for number in numbers for step in ((_EQUAL, 0, 1, number), (_RETURN, 0, 0, _FAIL | error))]


def only(number: int, index: int, mask: int, values: Iterable[int], error: int) -> list[Instruction]:
    """Let a call fail, unless an argument, masked, is one of some values."""
    wanted = list(values)
    judge = [
        (_LOAD, 0, 0, _ARGUMENTS + 8 * index),
        (_AND, 0, 0, mask),
        *((_EQUAL, len(wanted) - at, 0, value) for at, value in enumerate(wanted)),
        (_RETURN, 0, 0, _FAIL | error),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return [(_EQUAL, 0, len(judge), number), *judge]
