"""A network that reaches nothing but a proxy outside: a namespace with a loopback interface, and one listener on it.

The listener is made in the namespace, and its descriptor is sent to gitbatch, which accepts connections outside: a socket
stays in the namespace in which it was made. So no process of ours runs next to the program, and no Unix socket is visible.
"""

import fcntl
import os
import signal
import socket
import struct

from gitbatch.sandbox.launcher import CHANNEL, PORT
from gitbatch.sandbox.launcher.kernel import CLONE_NEWNET, CLONE_NEWUSER, setns
from gitbatch.sandbox.launcher.namespaces import enter_namespace

_NS_GET_USERNS = 0xB701
_SIOCGIFFLAGS, _SIOCSIFFLAGS = 0x8913, 0x8914
_IFF_UP = 1
_IP_FREEBIND = 15
_BACKLOG = 128
_LOOPBACK = b"lo"
_IFREQ = "16sH22x"


def enter_new_network() -> None:
    """Moves this process to a network namespace of its own, in a user namespace if that is needed.

    Raises:
        OSError: the kernel, or a sandbox around us, refuses.
    """
    enter_namespace(CLONE_NEWNET, signal.SIGKILL)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        asked = struct.pack(_IFREQ, _LOOPBACK, 0)
        _, flags = struct.unpack(_IFREQ, fcntl.ioctl(any_socket, _SIOCGIFFLAGS, asked))
        fcntl.ioctl(any_socket, _SIOCSIFFLAGS, struct.pack(_IFREQ, _LOOPBACK, flags | _IFF_UP))


def lend_listener() -> None:
    """Makes the listener in the present namespace, and sends it to gitbatch.

    Raises:
        OSError: the kernel refuses, or gitbatch has ended.
    """
    with socket.socket(fileno=CHANNEL) as channel, socket.socket() as listener:
        listener.setsockopt(
            socket.IPPROTO_IP, _IP_FREEBIND, 1
        )  # bubblewrap may not have set up the address yet
        listener.bind(("127.0.0.1", PORT))
        listener.listen(_BACKLOG)
        socket.send_fds(channel, [b"."], [listener.fileno()])


def lend_listener_of_bubblewrap(info: int, block: int) -> None:
    """Makes the listener in the namespace of a program that bubblewrap is about to start, then lets it start.

    Args:
        info: where bubblewrap writes the process id (`--info-fd`).
        block: what bubblewrap waits for (`--block-fd`).

    Raises:
        OSError: the kernel refuses, or gitbatch has ended.
    """
    told = b""
    while b"}" not in told:
        part = os.read(info, 4096)
        if not part:
            return  # bubblewrap has failed, and says so itself
        told += part
    # Of `{ "child-pid": 12, … }`. The parser of JSON would have memory that the server copies with each fork.
    _join_network(int(told.partition(b'"child-pid":')[2].partition(b",")[0].strip(b" \n}")))
    lend_listener()
    os.write(block, b".")


def _join_network(process: int) -> None:
    """Moves this process to the network namespace of another, and to the user namespace that owns it."""
    network = os.open(f"/proc/{process}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    owner = fcntl.ioctl(network, _NS_GET_USERNS)
    if os.fstat(owner).st_ino != os.stat("/proc/self/ns/user").st_ino:  # noqa: PTH116 - see above
        setns(owner, CLONE_NEWUSER)
    setns(network, CLONE_NEWNET)
