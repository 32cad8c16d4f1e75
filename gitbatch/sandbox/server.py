"""Our end of the launcher that forks (`launcher/server.py`): it is asked to start programs, and tells how they end."""

import json
import os
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from gitbatch.sandbox.command_line import server_command
from gitbatch.sandbox.launcher import REQUEST

_ANSWER_BYTES = 64
_NEEDED = ("LD_LIBRARY_PATH",)
"""What of our environment Python may need to start."""
_CLOSE_TIMEOUT = 5.0
"""Seconds that it may take to end what it has started."""


class LauncherEventKind(Enum):
    """What it tells."""

    STARTED = "started"
    """The program leads a process group of its own."""
    FAILED = "failed"
    """It could not be started."""
    ENDED = "ended"


class LauncherEvent(NamedTuple):
    """An answer."""

    kind: LauncherEventKind
    number: int
    """The process; of what failed, the number of the error."""
    status: int = 0
    """How a process ended: its exit code, or -n where signal n ended it."""

    @property
    def has_started(self) -> bool:
        """Whether a program runs."""
        return self.kind is LauncherEventKind.STARTED

    @property
    def has_ended(self) -> bool:
        """Whether a program that ran has ended."""
        return self.kind is LauncherEventKind.ENDED


class LauncherServer:
    """One such launcher. It ends, and what it has started, when it is closed or this process ends."""

    def __init__(self) -> None:
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with theirs, ExitStack() as undone:
            undone.callback(self.socket.close)
            self._process = subprocess.Popen(
                server_command(),
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                cwd="/",
                env={name: os.environ[name] for name in _NEEDED if name in os.environ},
                start_new_session=True,
            )
            undone.pop_all()

    def start_program(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        directory: Path,
        streams: Sequence[int],
    ) -> None:
        """Ask it to start a program. It is to be asked for the next when it has told of this one.

        Args:
            arguments: what the launcher's command line would be.
            environment: of the program.
            directory: its current folder.
            streams: its standard input, output and error.

        Raises:
            OSError: it has ended, or there are too many descriptors.
        """
        coded = {_encode_name(name): _encode_name(value) for name, value in environment.items()}
        request = json.dumps(
            ([_encode_name(argument) for argument in arguments], coded, _encode_name(directory))
        )
        with os.fdopen(os.memfd_create("request"), "w+") as file:
            file.write(request)
            file.seek(0)
            socket.send_fds(self.socket, [REQUEST], [file.fileno(), *streams])

    def receive_event(self, flags: int = 0) -> LauncherEvent | None:
        """What it tells next; None: it has ended, and what it started ends too.

        Raises:
            BlockingIOError: nothing yet, where `flags` say not to wait.
        """
        try:
            answer = self.socket.recv(_ANSWER_BYTES, flags)
        except ConnectionResetError:
            answer = b""
        if not answer:
            return None
        word, *numbers = answer.split()
        return LauncherEvent(LauncherEventKind(word.decode()), *map(int, numbers))

    def kill(self) -> None:
        """End it where it does not answer."""
        self._process.kill()

    def close(self) -> None:
        """End it, and what it has started."""
        self.socket.close()
        try:
            self._process.wait(_CLOSE_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _encode_name(name: str | Path) -> str:
    """A character for each byte."""
    return os.fsencode(name).decode("latin-1")
