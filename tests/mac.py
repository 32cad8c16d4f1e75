"""gitbatch as a Mac would run it, as far as Linux can show that: `python mac.py SANDBOX_EXEC ARGUMENT…`.

Before anything of gitbatch is imported, all that only Linux has is taken away from Python, and its platform is that of a
Mac; `/proc` is hidden by whoever starts this. A call that gitbatch makes to one of them is an error here as it is there.
"""

import ctypes
import errno
import fcntl
import os
import select
import selectors
import shutil
import signal
import socket
import sys
from functools import partial
from importlib import reload
from types import ModuleType
from urllib.request import getproxies
from zoneinfo import ZoneInfo

from truststore import SSLContext

MISSING: dict[ModuleType, tuple[str, ...]] = {
    os: (
        *(
            "memfd_create",
            "splice",
            "pidfd_open",
            "eventfd",
            "eventfd_read",
            "eventfd_write",
            "unshare",
            "setns",
        ),
        *(
            "sched_getaffinity",
            "sched_setaffinity",
            "copy_file_range",
            "posix_fallocate",
            "posix_fadvise",
            "pipe2",
        ),
        *(
            "fdatasync",
            "getxattr",
            "setxattr",
            "listxattr",
            "removexattr",
            "getrandom",
            "O_PATH",
            "O_TMPFILE",
        ),
        *("getresuid", "getresgid", "setresuid", "setresgid", "O_DIRECT", "O_NOATIME"),
    ),
    signal: (
        "pidfd_send_signal",
        "sigtimedwait",
        "sigwaitinfo",
        "SIGRTMIN",
        "SIGRTMAX",
        "SIGSTKFLT",
        "SIGPWR",
    ),
    select: ("epoll",),
    socket: ("SOCK_CLOEXEC", "SOCK_NONBLOCK", "SO_PEERCRED", "AF_NETLINK", "AF_PACKET"),
    fcntl: ("F_SETPIPE_SZ", "F_GETPIPE_SZ", "F_ADD_SEALS", "F_OFD_SETLK", "F_NOTIFY"),
}
"""What Python has on Linux, and not on a Mac."""
CALLS = (
    "prctl",
    "syscall",
    "unshare",
    "setns",
    "renameat2",
    "memfd_create",
    "splice",
    "pidfd_open",
    "capset",
)
"""What the C library has on Linux, and not on a Mac."""


IMPORTED = (ZoneInfo, getproxies, SSLContext)
"""Of modules that on a Mac import what only a Mac has: they are imported before."""


def hide_linux() -> None:
    """Takes Linux away from this process."""
    sys.platform = "darwin"
    real = os.uname()
    os.uname = lambda: os.uname_result(("Darwin", real.nodename, "24.0.0", "Darwin Kernel", "arm64"))
    _delete_names()
    _replace_calls()


def _delete_names() -> None:
    for module, names in MISSING.items():
        for name in names:
            if hasattr(module, name):
                delattr(module, name)
    for module in (shutil, selectors):  # they have looked for these
        reload(module)


def _replace_calls() -> None:
    find, pair = ctypes.CDLL.__getattr__, socket.socketpair

    def find_call(library: ctypes.CDLL, name: str) -> object:
        if name in CALLS:
            raise AttributeError(f"dlsym(RTLD_DEFAULT, {name}): symbol not found")
        return find(library, name)

    def make_pair(
        family: int = socket.AF_UNIX, kind: int = socket.SOCK_STREAM, proto: int = 0
    ) -> tuple[socket.socket, socket.socket]:
        if kind == socket.SOCK_SEQPACKET:
            raise OSError(errno.EPROTONOSUPPORT, os.strerror(errno.EPROTONOSUPPORT))
        return pair(family, kind, proto)

    ctypes.CDLL.__getattr__ = find_call  # type: ignore[method-assign,assignment]
    socket.socketpair = make_pair  # type: ignore[assignment]


def main() -> None:
    """Runs gitbatch with a program in place of macOS's own sandbox-exec."""
    hide_linux()
    from gitbatch import __main__  # noqa: PLC0415 - it must see no Linux
    from gitbatch.sandbox import seatbelt  # noqa: PLC0415 - it must see no Linux

    seatbelt.find_seatbelt = partial(seatbelt.find_seatbelt, sys.argv.pop(1), sys.platform)  # type: ignore[assignment]
    __main__.main()


if __name__ == "__main__":
    main()
