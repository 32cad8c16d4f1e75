"""The orchestrator's end of the launcher server (`launcher/server.py`), which starts programs and reports their ends."""

import errno
import marshal
import os
import socket
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from enum import Enum
from pathlib import Path
from typing import NamedTuple

from gitbatch.sandbox.command_line import needs_namespace, server_command
from gitbatch.sandbox.launcher import NAMESPACE_REQUEST, REQUEST

_ANSWER_BYTES = 64
_NEEDED = ("LD_LIBRARY_PATH",)
"""The variables of our environment that Python may need to start."""
_CLOSE_TIMEOUT = 5.0
"""Seconds in which the server must end the programs that it has started."""


class LauncherEventKind(Enum):
    """The kinds of events that the server reports."""

    STARTED = "started"
    """The program has started, and leads a process group of its own."""
    FAILED = "failed"
    """The program could not be started."""
    ENDED = "ended"


class LauncherEvent(NamedTuple):
    """An event of one program."""

    kind: LauncherEventKind
    number: int
    """The process id; for `FAILED`, the error number."""
    status: int = 0
    """For `ENDED`, the exit code, or -n if signal n ended the process."""

    @property
    def has_started(self) -> bool:
        """Whether the program has started."""
        return self.kind is LauncherEventKind.STARTED

    @property
    def has_ended(self) -> bool:
        """Whether the program has ended."""
        return self.kind is LauncherEventKind.ENDED


class LauncherServer:
    """A running launcher server. It and the programs that it has started end when it is closed or this process ends."""

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
        self._was_asked = False

    def start_program(
        self,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        directory: Path,
        streams: Sequence[int],
    ) -> None:
        """Requests the start of a program. Send the next request after the event of this one.

        Args:
            arguments: the arguments of the launcher's command line.
            environment: the program's environment.
            directory: the program's current folder.
            streams: the program's standard input, output and error, and the channel for a listener if it needs one.

        Raises:
            OSError: the server has ended, or too many descriptors are open.
        """
        self._was_asked = True
        message = NAMESPACE_REQUEST if needs_namespace(arguments) else REQUEST
        with os.fdopen(os.memfd_create("request"), "w+b") as file:
            file.write(_render_request(arguments, environment, directory))
            file.seek(0)
            socket.send_fds(self.socket, [message], [file.fileno(), *streams])

    def receive_event(self, flags: int = 0) -> LauncherEvent | None:
        """Returns the next event; None if the server has ended, and with it the programs that it started.

        Raises:
            BlockingIOError: no event has come yet, and `flags` say not to wait.
        """
        try:
            answer = self.socket.recv(_ANSWER_BYTES, flags)
        except ConnectionResetError:
            answer = b""
        if not answer:
            return None
        kind, *numbers = answer.split()
        return LauncherEvent(LauncherEventKind(kind.decode()), *map(int, numbers))

    def run_program(self, arguments: Sequence[str], directory: Path, timeout: float) -> tuple[int, str]:
        """Runs a program to its end, while no other one does. Returns its exit code and its standard error.

        Its standard input is empty, and it has no variables. A server that does not answer in time is killed.

        Args:
            arguments: the arguments of the launcher's command line.
            directory: the program's current folder.
            timeout: the most seconds until each event.

        Raises:
            OSError: it cannot be started, or the server has ended.
            TimeoutError: it took too long.
        """
        with (
            Path(os.devnull).open("rb+", buffering=0) as null,
            os.fdopen(os.memfd_create("said"), "w+b") as said,
        ):
            self.socket.settimeout(timeout)
            try:
                self.start_program(arguments, {}, directory, (null.fileno(), null.fileno(), said.fileno()))
                status = self._wait_for_end()
            except TimeoutError:
                self.kill()
                raise
            finally:
                self.socket.settimeout(None)
            said.seek(0)
            return status, said.read().decode(errors="replace")

    def _wait_for_end(self) -> int:
        while event := self.receive_event():
            if event.has_ended:
                return event.status
            if not event.has_started:
                raise OSError(event.number, os.strerror(event.number), "the sandbox")
        raise OSError(errno.ECHILD, "the launcher server was killed", "the sandbox")

    @property
    def exit_code(self) -> int | None:
        """The exit code of the server, or -n if signal n ended it; None: it runs."""
        return self._process.poll()

    def kill(self) -> None:
        """Kills a server that does not answer."""
        self._process.kill()

    def close(self) -> None:
        """Ends the server and the programs that it has started."""
        if not self._was_asked:  # it may still be importing what it needs to end by itself
            self._process.kill()
        self.socket.close()
        try:
            self._process.wait(_CLOSE_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


def _render_request(arguments: Sequence[str], environment: Mapping[str, str], directory: Path) -> bytes:
    """Returns a request as the server, which is the same Python, reads it: names of any encoding are kept."""
    return marshal.dumps((str(directory), [*arguments], dict(environment)))
