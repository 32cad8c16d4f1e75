"""The listener of the proxy: the launcher makes it in the network namespace of the program (`sandbox/launcher/network.py`).

Where there are no namespaces, as on macOS, it is one of this machine's loopback, and the sandbox lets its port through.
"""

import asyncio
import socket

from gitbatch.sandbox.launcher import PORT
from gitbatch.sandbox.model import SandboxKind

_CLOSE_ON_EXEC = 0x40000000
"""MSG_CMSG_CLOEXEC: Python passes on what it receives as it is, and other programs must not inherit it."""


_PATIENCE = 120.0
"""Seconds for a launcher to set up its sandbox: it takes milliseconds, on a busy machine a few seconds."""


class ListenerChannel:
    """A pair of connected sockets, of which the launcher of one program gets one."""

    port = PORT
    """The port of the listener, on the loopback interface of the program."""
    host_port: int | None = None
    """The same, if that interface is this machine's."""

    def __init__(self) -> None:
        self._ours, self.theirs = socket.socketpair()
        self._ours.setblocking(False)

    @property
    def channel(self) -> int | None:
        """The descriptor that the launcher gets."""
        return self.theirs.fileno()

    def close(self) -> None:
        """Closes both ends."""
        self._ours.close()
        self.theirs.close()

    async def receive_listener(self) -> socket.socket | None:
        """Returns the listener once it has come; None if the launcher has ended without sending it, or hangs.

        Called once, after the start of the program.
        """
        self.theirs.close()
        loop = asyncio.get_running_loop()
        came = asyncio.Event()
        loop.add_reader(self._ours, came.set)
        try:
            async with asyncio.timeout(_PATIENCE):
                await came.wait()
        except TimeoutError:
            return None
        finally:
            loop.remove_reader(self._ours)
        _, descriptors, _, _ = socket.recv_fds(self._ours, 1, 1, _CLOSE_ON_EXEC)
        return socket.socket(fileno=descriptors[0]) if descriptors else None


class HostListener:
    """A listener on this machine's loopback interface: a `ListenerChannel` without a launcher. To be closed."""

    channel: int | None = None
    """No launcher gets one."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.host_port: int | None = self.port

    def close(self) -> None:
        """Closes it."""
        self._listener.close()

    async def receive_listener(self) -> socket.socket | None:
        """Returns the listener."""
        return self._listener


def open_listener(kind: SandboxKind) -> ListenerChannel | HostListener:
    """Returns the listener for a program in a sandbox of some kind."""
    return HostListener() if kind is SandboxKind.SEATBELT else ListenerChannel()
