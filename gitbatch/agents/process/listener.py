"""Receives the listener that the launcher makes in the network namespace of a program (`sandbox/launcher/network.py`)."""

import asyncio
import socket

_CLOSE_ON_EXEC = 0x40000000
"""MSG_CMSG_CLOEXEC: Python passes on what it receives as it is, and other programs must not inherit it."""


class ListenerChannel:
    """A pair of connected sockets, of which the launcher of one program gets one."""

    def __init__(self) -> None:
        self._ours, self.theirs = socket.socketpair()
        self._ours.setblocking(False)

    def close(self) -> None:
        """Closes both ends."""
        self._ours.close()
        self.theirs.close()

    async def receive_listener(self) -> socket.socket | None:
        """Returns the listener once it has come; None if the launcher has ended without sending it.

        Called once, after the start of the program.
        """
        self.theirs.close()
        loop = asyncio.get_running_loop()
        came = asyncio.Event()
        loop.add_reader(self._ours, came.set)
        try:
            await came.wait()
        finally:
            loop.remove_reader(self._ours)
        _, descriptors, _, _ = socket.recv_fds(self._ours, 1, 1, _CLOSE_ON_EXEC)
        return socket.socket(fileno=descriptors[0]) if descriptors else None
