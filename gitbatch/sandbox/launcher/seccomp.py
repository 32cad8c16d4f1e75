"""The system call filter for what Landlock does not cover: sockets other than TCP, other processes, and set-id bits.

With set-id bits, an agent that runs as root could give its rights to any program of the machine. The filter checks
numbers and arguments of system calls, never paths. Socket families are an allow-list; every other call that it names is
refused. A stream `socketpair` is allowed: it connects to no other process, and runtimes use it for their children. A
refused call fails as on a kernel that lacks it, for which programs have fallbacks.
"""

import ctypes
import errno
import os
import struct
from collections.abc import Iterable

from gitbatch.sandbox.launcher.kernel import PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, prctl

_MODE_FILTER = 2
_LOAD, _EQUAL, _AT_LEAST, _HAS, _AND, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x54, 0x06
"""Instructions of classic BPF."""
_NUMBER, _MACHINE, _ARGUMENTS = 0, 4, 16
"""Offsets in `struct seccomp_data`; the lower half of an argument is compared, as the kernel does for an int."""
_ALLOW, _KILL, _FAIL = 0x7FFF0000, 0x80000000, 0x00050000
_X32 = 0x40000000
"""The first number of x86-64's second set of calls (x32), which is not in use."""
_ANY = 0xFFFFFFFF
_INTERNET = (2, 10)
"""AF_INET and AF_INET6."""
_HARMLESS = (16,)
"""AF_NETLINK, by which runtimes ask for the machine's own addresses; some fail without it."""
_CONNECTED = (1, 5)
"""SOCK_STREAM and SOCK_SEQPACKET: a pair of these cannot send to another address."""

Instruction = tuple[int, int, int, int]
"""Code, jump if true, jump if false, operand."""


class SyscallNumbers:
    """The system call numbers of a processor architecture."""

    __slots__ = ("audit", "modes", "prlimit", "shared", "socket", "socketpair", "xattrs")

    def __init__(
        self,
        audit: int,
        *,
        sockets: tuple[int, int],
        prlimit: int,
        shared: tuple[int, ...],
        xattrs: tuple[int, ...],
        modes: tuple[tuple[int, int, int], ...],
    ) -> None:
        self.audit = audit
        """AUDIT_ARCH_*, by which the kernel tells the filter which architecture's numbers a call uses."""
        self.socket, self.socketpair = sockets
        self.prlimit = prlimit
        self.shared = shared
        """The calls for objects that processes share without a path: mq_open, System V's shared memory, semaphores and
        messages; add_key, request_key, keyctl."""
        self.xattrs = xattrs
        """The calls that set and remove extended attributes: by path, without following symlinks, by descriptor."""
        self.modes = modes
        """The calls that take a file's mode: chmod, fchmod, fchmodat, mknod, mknodat, creat; open, openat. With the index
        of the mode, and of the flags for a call that opens a file (else -1)."""


def _generic_numbers(audit: int) -> SyscallNumbers:
    """Returns the numbers of asm-generic/unistd.h."""
    return SyscallNumbers(
        audit,
        sockets=(198, 199),
        prlimit=261,
        shared=(180, *range(186, 197), 217, 218, 219),
        xattrs=(5, 6, 7, 14, 15, 16),
        modes=((52, 1, -1), (53, 2, -1), (33, 2, -1), (56, 3, 2)),
    )


MACHINES = {
    "x86_64": SyscallNumbers(
        0xC000003E,
        sockets=(41, 53),
        prlimit=302,
        shared=(240, 29, 30, 31, 64, 65, 66, 68, 69, 70, 71, 220, 248, 249, 250),
        xattrs=(188, 189, 190, 197, 198, 199),
        modes=(
            *((90, 1, -1), (91, 1, -1), (268, 2, -1)),
            *((133, 1, -1), (259, 2, -1), (85, 1, -1), (2, 2, 1), (257, 3, 2)),
        ),
    ),
    "aarch64": _generic_numbers(0xC00000B7),
    "riscv64": _generic_numbers(0xC00000F3),
}
_IO_URING = (425, 426, 427)
"""It opens sockets without a call that a filter sees."""
_OPENAT2 = 437
"""Its mode is in memory, which a filter cannot read; programs that use it have a fallback."""
_NEW_XATTRS = (463, 466)
_FCHMODAT2 = (452, 2, -1)
_SET_ID = 0o6000
_MAKES = 0o100 | 0o20000000
"""O_CREAT and the bit of O_TMPFILE: without them open ignores the mode. The same on every machine of `MACHINES`."""


def filter_calls(*, network: bool) -> None:
    """Refuses the calls for this process and all its children, irrevocably.

    Raises:
        OSError: the kernel refuses, or `MACHINES` lacks this machine.
    """
    machine = MACHINES.get(os.uname().machine)
    if machine is None:
        raise OSError(errno.ENOSYS, f"no filter for {os.uname().machine}")
    install_filter(_build_filter(machine, network=network))


def install_filter(instructions: Iterable[Instruction]) -> None:
    """Installs a filter on this process and all its children, irrevocably."""
    code = b"".join(struct.pack("=HBBI", *instruction) for instruction in instructions)
    steps = ctypes.create_string_buffer(code)
    program = ctypes.create_string_buffer(struct.pack("HP", len(code) // 8, ctypes.addressof(steps)))
    prctl(PR_SET_NO_NEW_PRIVS, 1)
    prctl(PR_SET_SECCOMP, _MODE_FILTER, ctypes.addressof(program))


def _build_filter(machine: SyscallNumbers, *, network: bool) -> list[Instruction]:
    families = (*_HARMLESS, *(_INTERNET if network else ()))
    return [
        (_LOAD, 0, 0, _MACHINE),
        (_EQUAL, 1, 0, machine.audit),
        (_RETURN, 0, 0, _KILL),  # a 32-bit program: its numbers mean something else
        (_LOAD, 0, 0, _NUMBER),
        (_AT_LEAST, 0, 1, _X32),
        (_RETURN, 0, 0, _FAIL | errno.ENOSYS),
        *refuse_calls((*_IO_URING, _OPENAT2, *machine.shared), errno.ENOSYS),
        *refuse_calls((*_NEW_XATTRS, *machine.xattrs), errno.EOPNOTSUPP),
        *require_argument(machine.socket, 0, _ANY, families, errno.EACCES),
        *require_argument(machine.socketpair, 1, 0xF, _CONNECTED, errno.EACCES),
        *require_argument(machine.prlimit, 0, _ANY, [0], errno.EPERM),  # itself, not another
        *(step for call in (*machine.modes, _FCHMODAT2) for step in _refuse_set_id(*call)),
        (_RETURN, 0, 0, _ALLOW),
    ]


def refuse_calls(numbers: Iterable[int], error: int) -> list[Instruction]:
    """Returns the instructions that make calls fail with an error."""
    return [step for number in numbers for step in ((_EQUAL, 0, 1, number), (_RETURN, 0, 0, _FAIL | error))]


def require_argument(
    number: int, index: int, mask: int, values: Iterable[int], error: int
) -> list[Instruction]:
    """Returns the instructions that make a call fail unless an argument, masked, has one of some values."""
    wanted = list(values)
    judge = [
        (_LOAD, 0, 0, _ARGUMENTS + 8 * index),
        (_AND, 0, 0, mask),
        *((_EQUAL, len(wanted) - at, 0, value) for at, value in enumerate(wanted)),
        (_RETURN, 0, 0, _FAIL | error),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return [(_EQUAL, 0, len(judge), number), *judge]


def _refuse_set_id(number: int, mode: int, flags: int) -> list[Instruction]:
    """Returns the instructions that make a call fail if its mode has a set-id bit; opening, only if it makes a file."""
    opens = [(_LOAD, 0, 0, _ARGUMENTS + 8 * flags), (_HAS, 1, 0, _MAKES), (_RETURN, 0, 0, _ALLOW)]
    judge = [
        *(opens if flags >= 0 else ()),
        (_LOAD, 0, 0, _ARGUMENTS + 8 * mode),
        (_HAS, 0, 1, _SET_ID),
        (_RETURN, 0, 0, _FAIL | errno.EPERM),
        (_RETURN, 0, 0, _ALLOW),
    ]
    return [(_EQUAL, 0, len(judge), number), *judge]
