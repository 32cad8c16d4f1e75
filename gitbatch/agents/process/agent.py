"""An agent that is a program: started once for each item, in the item's worktree, prompt on standard input.

The program finds its assignment in GITBATCH_OUTPUT, GITBATCH_ITEM, GITBATCH_PROMPT_FILE and GITBATCH_CONTEXT (a
file with one path a line); it may append lines to the file GITBATCH_PROGRESS, which are shown as they come
(rule F1), and write a reply as JSON to the file GITBATCH_REPLY. It runs in a process group of its own,
which ends with it.
"""

import asyncio
import errno
import os
import re
import signal
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import cast

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.agents.process.confine import confinement_of, read_in_checkouts, strict_advice, was_denied
from gitbatch.agents.process.environment import passed_variables, secret_names
from gitbatch.agents.process.files import _Files, _last_words, _reply
from gitbatch.agents.process.last_lines import find_reason, is_busy
from gitbatch.agents.process.starter import HEARS_NOTHING, LauncherError, Starter
from gitbatch.agents.process.watch import Watch
from gitbatch.agents.protocol import Assignment, Failure, LocalPlace, Progress, Reply
from gitbatch.agents.secrets import Secrets
from gitbatch.concurrency import shielded
from gitbatch.fs.disk import is_of_disk
from gitbatch.limits.causes import Cause
from gitbatch.project.config import CommandAgent
from gitbatch.sandbox.launcher import CANNOT_RUN, NOT_FOUND
from gitbatch.sandbox.model import Sandbox, SandboxKind
from gitbatch.text import CleanText, clean_text

_GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL."""
_PIPE_PATIENCE = 1.0
_COMPLAINT = "gitbatch: "
"""How each line of the launcher begins, and of the shell where there is no sandbox."""
_PLACEHOLDER = re.compile(r"\{(?:output|item|prompt_file)\}")


class CommandRunner(Struct, frozen=True):
    """The agent kind `command`."""

    name: str
    table: CommandAgent
    environment: Mapping[str, str]
    """The user's environment, of which an allow-list is passed on."""
    sandbox: Sandbox
    starter: Starter

    @property
    def knows_usage(self) -> bool:
        """Whether the program says what it used."""
        return self.table.reports_usage

    @property
    def knows_cost(self) -> bool:
        """Whether the program says what that cost."""
        return self.table.reports_usage

    def read_in_checkouts(self, checkouts: tuple[Path, ...]) -> tuple[Path, ...]:
        """What of the user's checkouts the program may read: its own installation, and what the table says."""
        if self.sandbox.kind is SandboxKind.NONE:
            return ()
        return read_in_checkouts(self.table, self.environment, checkouts)

    @property
    def cost_limit(self) -> None:
        """It can't be limited from outside."""

    async def run(self, assignment: Assignment, place: LocalPlace, progress: Progress) -> Reply | Failure:
        """Run the program to its end; its last lines are the details of a failure, and the last one says why."""
        secrets = Secrets.of(self.environment, secret_names(self.table))
        try:
            files = _Files.prepare(assignment, place)
            transport, watch = await self.starter.start(
                lambda: Watch(progress, files.progress, secrets),
                self.sandbox.wrap_command(
                    self._argv(assignment, files),
                    confinement_of(self.table, self.environment, place, assignment.output),
                ),
                self._environment(assignment, files),
                place.worktree,
            )
        except OSError as error:
            if is_of_disk(error):
                raise
            return Failure(
                clean_text(f"the agent can't be started: {error.filename}: {error.strerror}"),
                cause=Cause.FATAL if self._is_unusable(error) else Cause.FAILED,
            )
        try:
            _feed(transport, assignment.prompt)
            in_time = await watch.until_exit(assignment.timeout)
        except asyncio.CancelledError:
            await _end(transport, watch)
            raise
        await shielded(_end(transport, watch))  # what it has done is kept, whoever wants to stop now
        status = transport.get_returncode()
        if not in_time:
            reason = clean_text(f"it took longer than {assignment.timeout:g} seconds")
            failure = Failure(reason, watch.last_lines(), Cause.TIMEOUT)
        elif status:
            failure = self._failure(status, watch, place)
        else:
            return _reply(files, watch, secrets)
        last = _last_words(files, secrets)
        return replace(failure, retry_after=last.retry_after, usage=last.usage)

    def _failure(self, status: int, watch: Watch, place: LocalPlace) -> Failure:
        """Returns why the program failed, by its exit status and its last lines."""
        details = watch.last_lines()
        if status in {CANNOT_RUN, NOT_FOUND} and (problem := _launcher_problem(watch, place)):
            return Failure(clean_text(f"the agent can't be started: {problem}"), details, Cause.FATAL)
        reason = _reason(status, find_reason(details))
        details += self._advice(details)
        if status == os.EX_TEMPFAIL:  # of sysexits.h: come back later
            return Failure(clean_text(reason), details, Cause.BUSY)
        seems_busy = is_busy(watch.last_whole_lines(), self.table.busy_words)
        cause = Cause.BUSY if seems_busy else Cause.FAILED
        return Failure(clean_text(reason), details, cause, is_guess=seems_busy)

    def _advice(self, details: tuple[CleanText, ...]) -> tuple[CleanText, ...]:
        """What the user can do about a program that says that it may not write."""
        advice = strict_advice(self.table, self.sandbox.kind)
        return (clean_text(advice),) if advice and was_denied(details) else ()

    def _is_unusable(self, error: OSError) -> bool:
        """Whether it is the program that is not there, or what starts it, which no other item will find either."""
        return isinstance(error, LauncherError) or (
            error.filename == self.table.command[0] and error.errno in {errno.ENOENT, errno.EACCES}
        )

    async def close(self) -> None:
        """Nothing is kept between items."""

    def _argv(self, assignment: Assignment, files: "_Files") -> list[str]:
        given = {"{output}": assignment.output, "{item}": assignment.item, "{prompt_file}": str(files.prompt)}
        return [_PLACEHOLDER.sub(lambda match: given[match[0]], argument) for argument in self.table.command]

    def _environment(self, assignment: Assignment, files: "_Files") -> dict[str, str]:
        return {
            **passed_variables(self.table, self.environment),
            "GITBATCH_OUTPUT": assignment.output,
            "GITBATCH_ITEM": assignment.item,
            "GITBATCH_ATTEMPT": str(assignment.attempt),
            "GITBATCH_PROMPT_FILE": str(files.prompt),
            "GITBATCH_CONTEXT": str(files.context),
            "GITBATCH_PROGRESS": str(files.progress),
            "GITBATCH_REPLY": str(files.reply),
        }


def _feed(transport: asyncio.SubprocessTransport, prompt: str) -> None:
    """Write the prompt to standard input as fast as the program reads it; it need not."""
    stdin = _stdin(transport)
    stdin.write(prompt.encode(errors="surrogateescape"))
    stdin.write_eof()


async def _end(transport: asyncio.SubprocessTransport, watch: Watch) -> None:
    """End the program, if it still runs, and everything in its process group; take in its last words."""
    group = transport.get_pid()
    try:
        if not watch.exited.is_set():
            _signal_group(group, signal.SIGTERM)
            await _wait(watch.exited, _GRACE)
    finally:  # also if we are cancelled once more
        _signal_group(group, signal.SIGKILL)
        await _wait(watch.exited, HEARS_NOTHING)
        if not watch.exited.is_set():
            transport.kill()
        await watch.exited.wait()
        await _wait(watch.closed, _PIPE_PATIENCE)  # a child that has left the group does not hold us up
        _let_go(transport)
        await watch.closed.wait()
        watch.finish()


def _let_go(transport: asyncio.SubprocessTransport) -> None:
    """Close our ends of the pipes; nobody reads any more what is left of the prompt."""
    stdin = _stdin(transport)
    if stdin.get_write_buffer_size():
        stdin.abort()
    transport.close()


async def _wait(event: asyncio.Event, patience: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(patience):
            await event.wait()


def _stdin(transport: asyncio.SubprocessTransport) -> asyncio.WriteTransport:
    return cast("asyncio.WriteTransport", transport.get_pipe_transport(0))


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _reason(status: int, said: str) -> str:
    """Why a program failed: what it said last, and how it ended.

    What starts a program for us (a shell, a sandbox) reports signal N as 128 + N.
    """
    if status < 0:
        return f"{said} (signal {-status})" if said else f"ended by signal {-status}"
    is_signal = status - 128 in signal.valid_signals()
    if said:
        return f"{said} (exit {status}{f', signal {status - 128}' if is_signal else ''})"
    return f"exit code {status}" + (f" (signal {status - 128})" if is_signal else "")


def _launcher_problem(watch: Watch, place: LocalPlace) -> str:
    """Returns what the launcher, or bubblewrap, says of why it could not start the program; empty if neither does.

    What is wrong with a place of the item is not the launcher's, nor another item's.
    """
    *others, last = watch.last_errors() or ("",)
    if not last.startswith(_COMPLAINT):
        return ""
    by_bubblewrap = others and others[-1].startswith("bwrap: ")
    said = f"the sandbox: {others[-1]}" if by_bubblewrap else last.removeprefix(_COMPLAINT)
    own = (clean_text(str(place.worktree)), clean_text(str(place.scratch)))
    return "" if any(path in said for path in own) else said
