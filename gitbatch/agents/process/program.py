"""One start of an agent's program: what a kind of agent defines, and how the program is fed and ended.

A kind of agent that is a process defines a `Program`: its arguments, its environment, what is written to its standard
input, how a line that it prints is shown, and what its exit means. Everything else is `ProcessAgent`'s and the same for all: the sandbox, secrets,
time-outs, the process group that ends with the attempt, an error at the start.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Protocol, cast

from msgspec import Struct

from gitbatch.agents.json_text import shorten_json
from gitbatch.agents.process.files import ExchangeFiles
from gitbatch.agents.process.starter import ANSWER_TIMEOUT
from gitbatch.agents.process.watch import ExitWait, OutputWatch, ShownLine
from gitbatch.agents.protocol import Assignment, Failure, OutputStream, Reply
from gitbatch.agents.reply import PartialReply
from gitbatch.agents.secrets import Secrets
from gitbatch.text import CleanText

_GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL."""
_PIPE_PATIENCE = 1.0


class ProgramExit(Struct, frozen=True):
    """A program that has ended, and everything that is known of its run."""

    status: int
    """Its exit code, or -n where signal n ended it."""
    watch: OutputWatch
    """Its last lines."""
    files: ExchangeFiles
    secrets: Secrets


class Program(Protocol):
    """One start of a program, as its kind of agent defines it. It may keep state: one is made for each attempt."""

    @property
    def line_bytes(self) -> int:
        """The bytes of its lines that are kept until they are whole: `TEXT_LINE` or `EVENT_LINE`."""
        ...

    def arguments(self) -> Sequence[str]:
        """Returns the command line."""
        ...

    def environment(self) -> Mapping[str, str]:
        """Returns variables in addition to those of the user's environment that are passed on."""
        ...

    def show_line(self, stream: OutputStream, line: str) -> ShownLine | None:
        """Returns how a line is shown; None: it is not. Called with each line as it comes; secrets are masked."""
        ...

    async def work(self, transport: asyncio.SubprocessTransport, watch: OutputWatch) -> ExitWait:
        """Gives it its prompt by standard input, and waits until it ends, has done its work, or takes too long.

        Most kinds use `feed_and_wait`. A cancellation is raised as it is; the program is ended in every case.
        """
        ...

    def read_reply(self, ended: ProgramExit) -> Reply | Failure:
        """Returns the reply of a program that ended with exit code 0, or that had to be ended after its last line."""
        ...

    def read_failure(self, ended: ProgramExit) -> Failure:
        """Returns why a program failed that ended in any other way."""
        ...

    def read_partial_reply(self, ended: ProgramExit) -> PartialReply:
        """Returns what is known in spite of a failure (a time-out too): its usage, how long to wait."""
        ...


def show_shortened(stream: OutputStream, line: str) -> ShownLine:
    """Shows a line as it is; of JSON, its type and its text for people."""
    return ShownLine(stream, shorten_json(line))


async def feed_and_wait(
    transport: asyncio.SubprocessTransport,
    watch: OutputWatch,
    assignment: Assignment,
    has_finished: Callable[[], bool],
    must_end: Callable[[], bool] = lambda: False,
) -> ExitWait:
    """Writes the prompt to standard input as fast as the program reads it, which it need not, and waits.

    Args:
        transport: the program's.
        watch: receives its output.
        assignment: has the prompt, and the most seconds to wait.
        has_finished: whether it has printed its last line: if it does not end soon after that, it is ended.
        must_end: whether it may work no longer: it is ended at once.
    """
    stdin = get_stdin(transport)
    stdin.write(assignment.prompt.encode(errors="surrogateescape"))
    stdin.write_eof()
    return await watch.wait_for_exit(assignment.timeout, has_finished, must_end)


def has_ended(transport: asyncio.SubprocessTransport, watch: OutputWatch) -> bool:
    """Returns whether the program has ended by itself; the loop may hear of that a moment later."""
    if watch.exited.is_set():
        return True
    try:
        os.kill(transport.get_pid(), 0)
    except ProcessLookupError:
        return True
    except PermissionError:  # another user's
        return False
    return False


async def end_program(transport: asyncio.SubprocessTransport, watch: OutputWatch) -> None:
    """Ends the program, if it still runs, and everything in its process group; reads the rest of its output."""
    group = transport.get_pid()
    try:
        if not watch.exited.is_set():
            _signal_group(group, signal.SIGTERM)
            await _wait_for(watch.exited, _GRACE)
    finally:  # also if we are cancelled once more
        _signal_group(group, signal.SIGKILL)
        await _wait_for(watch.exited, ANSWER_TIMEOUT)
        if not watch.exited.is_set():
            transport.kill()
        await watch.exited.wait()
        await _wait_for(watch.closed, _PIPE_PATIENCE)  # a child that has left the group does not hold us up
        _close_pipes(transport)
        await watch.closed.wait()
        watch.read_rest()


def kill_program(transport: asyncio.SubprocessTransport) -> None:
    """Kills the program and everything in its process group."""
    _signal_group(transport.get_pid(), signal.SIGKILL)


def describe_exit(status: int, said: CleanText) -> str:
    """Returns why a program failed: the last line that it printed, and how it ended.

    What starts a program for us (a shell, a sandbox) reports signal N as 128 + N.
    """
    if status < 0:
        return f"{said} (signal {-status})" if said else f"ended by signal {-status}"
    is_signal = status - 128 in signal.valid_signals()
    if said:
        return f"{said} (exit {status}{f', signal {status - 128}' if is_signal else ''})"
    return f"exit code {status}" + (f" (signal {status - 128})" if is_signal else "")


def _close_pipes(transport: asyncio.SubprocessTransport) -> None:
    """Closes our ends of the pipes; what is left of the prompt is dropped, since no process reads it any more."""
    if transport.get_pipe_transport(0) is not None:  # None: it reads a descriptor
        stdin = get_stdin(transport)
        if stdin.get_write_buffer_size():
            stdin.abort()
    transport.close()


async def _wait_for(event: asyncio.Event, patience: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(patience):
            await event.wait()


def get_stdin(transport: asyncio.SubprocessTransport) -> asyncio.WriteTransport:
    """Returns our end of the standard input of a program that has a pipe there."""
    return cast("asyncio.WriteTransport", transport.get_pipe_transport(0))


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)
