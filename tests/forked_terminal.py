"""gitbatch in a pseudo-terminal, forked from the server of tests: what `pexpect.spawn` is for a program that starts."""

import os
import sys
import termios
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pexpect
import ptyprocess  # type: ignore[import-untyped]
from conftest import Workspace
from fork_server import ForkServer, Started

GITBATCH = (sys.executable, "-m", "gitbatch")


class _ForkedProcess(ptyprocess.PtyProcess):  # type: ignore[misc]  # it has no types
    """The process, which is a child of the server."""

    def __init__(self, started: Started, terminal: int) -> None:
        super().__init__(started.pid, terminal)
        self._started = started
        self.exitstatus: int | None = None
        self.signalstatus: int | None = None

    def isalive(self) -> bool:
        """Whether it has not ended."""
        if self.flag_eof:
            self._started.wait()
        code = self._started.poll()
        if code is None:
            return True
        self.terminated = True
        self.exitstatus = code if code >= 0 else None
        self.signalstatus = -code if code < 0 else None
        return False

    def wait(self) -> int | None:
        """Wait for its end; returns the exit code, or None after a signal."""
        self._started.wait()
        self.isalive()
        return self.exitstatus


if TYPE_CHECKING:
    Spawn = pexpect.spawn[str]
else:
    Spawn = pexpect.spawn


class _ForkedTerminal(Spawn):
    def __init__(self, server: ForkServer, arguments: Sequence[str], **options: Any) -> None:  # noqa: ANN401 - pexpect's
        self._server = server
        super().__init__(sys.executable, [*GITBATCH[1:], *arguments], **options)

    def _spawnpty(self, args: list[Any], **options: Any) -> _ForkedProcess:  # noqa: ANN401 - as above
        ours, theirs = os.openpty()
        termios.tcsetwinsize(ours, options["dimensions"])
        arguments = [os.fsdecode(argument) for argument in args[len(GITBATCH) :]]
        started = self._server.start_in_terminal(arguments, Path(options["cwd"]), options["env"], theirs)
        os.close(theirs)
        return _ForkedProcess(started, ours)


def open_terminal(workspace: Workspace, command: Sequence[str], **options: Any) -> "pexpect.spawn[str]":  # noqa: ANN401 - as above
    """Start a command in a pseudo-terminal: a fork if it is gitbatch, and would start as the server has."""
    options = {"cwd": str(workspace.root), "encoding": "utf-8", **options}
    if (
        workspace.server
        and tuple(command[: len(GITBATCH)]) == GITBATCH
        and workspace.server.can_run(options["env"])
    ):
        return _ForkedTerminal(workspace.server, command[len(GITBATCH) :], **options)
    return pexpect.spawn(command[0], list(command[1:]), **options)
