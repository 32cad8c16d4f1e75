"""An agent that is a program: started once for each item, in the item's worktree, prompt on standard input.

The program finds its assignment in GITBATCH_OUTPUT, GITBATCH_ITEM, GITBATCH_PROMPT_FILE and GITBATCH_CONTEXT (a
file with one path a line); it may append lines to the file GITBATCH_PROGRESS, which are shown as they come
(rule F1), and write a reply as JSON to the file GITBATCH_REPLY. It runs in a process group of its own,
which ends with it.
"""

import asyncio
import os
import signal
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from gitbatch.agents.protocol import Assignment, Failure, Progress, Reply, Stream
from gitbatch.agents.reply import REPLY_BYTES, last_paragraph, make_reply, parse_reply
from gitbatch.errors import PlanError
from gitbatch.project.config import CommandAgent, seconds
from gitbatch.repo.nofollow import read_small, regular_file
from gitbatch.text import plain

PASSED = (
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "LANGUAGE",
    "TERM",
    "TMPDIR",
    "TZ",
    "VIRTUAL_ENV",
)
"""The variables that every program gets; what else it needs, the configuration names."""

_GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL."""
_POLL = 0.2
_TAIL_LINES = 20
_TAIL_BYTES = 64 * 1024
_SHOWN_LINES = 10_000
_PIPE_PATIENCE = 1.0


@dataclass(frozen=True, slots=True)
class CommandRunner:
    """The agent kind `command`."""

    name: str
    table: CommandAgent
    environment: Mapping[str, str]
    """The user's environment, of which an allow-list is passed on."""

    async def run(self, assignment: Assignment, progress: Progress) -> Reply | Failure:
        """Run the program to its end; its last words are the details of a failure."""
        files = _Files.prepare(assignment)
        try:
            process = await asyncio.create_subprocess_exec(
                *self._argv(assignment, files),
                cwd=assignment.worktree,
                env=self._environment(assignment, files),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                stderr=asyncio.subprocess.PIPE,
                start_new_session=True,
            )
        except OSError as error:
            return Failure(f"the agent can't be started: {self.table.command[0]}: {error.strerror}")
        watch = _Watch(process, progress, files.progress)
        try:
            status = await watch.until_end(assignment)
        finally:
            await _end_group(process)
        await watch.drain()
        if status is None:
            return Failure(f"it took longer than {assignment.timeout:g} seconds", watch.last_errors())
        if status != 0:
            how = f"ended by signal {-status}" if status < 0 else f"exit code {status}"
            return Failure(how, watch.last_errors())
        return _reply(files, watch)

    def _argv(self, assignment: Assignment, files: "_Files") -> list[str]:
        given = {"{output}": assignment.output, "{item}": assignment.item, "{prompt_file}": str(files.prompt)}
        return [_filled(argument, given) for argument in self.table.command]

    def _environment(self, assignment: Assignment, files: "_Files") -> dict[str, str]:
        wanted = {*PASSED, *self.table.pass_env}
        passed = {k: v for k, v in self.environment.items() if k in wanted or k.startswith("LC_")}
        return {
            **passed,
            "GITBATCH_OUTPUT": assignment.output,
            "GITBATCH_ITEM": assignment.item,
            "GITBATCH_ATTEMPT": str(assignment.attempt),
            "GITBATCH_PROMPT_FILE": str(files.prompt),
            "GITBATCH_CONTEXT": str(files.context),
            "GITBATCH_PROGRESS": str(files.progress),
            "GITBATCH_REPLY": str(files.reply),
        }


def command_agent(name: str, table: CommandAgent, environment: Mapping[str, str]) -> CommandRunner:
    """The agent of a configuration table.

    Raises:
        PlanError: its time-out is no duration.
    """
    if seconds(table.timeout) <= 0:
        raise PlanError(
            f"agent {name}: the time-out must be more than nothing", 'write it like timeout = "30m"'
        )
    return CommandRunner(name, table, environment)


def _filled(argument: str, given: Mapping[str, str]) -> str:
    for placeholder, value in given.items():
        argument = argument.replace(placeholder, value)
    return argument


@dataclass(frozen=True, slots=True)
class _Files:
    """The files that the agent and we hand each other, in the scratch folder."""

    prompt: Path
    context: Path
    progress: Path
    reply: Path

    @classmethod
    def prepare(cls, assignment: Assignment) -> "_Files":
        scratch = assignment.scratch
        scratch.mkdir(parents=True, exist_ok=True)
        files = cls(scratch / "prompt.md", scratch / "context", scratch / "progress", scratch / "reply.json")
        files.prompt.write_text(assignment.prompt, encoding="utf-8", errors="surrogateescape")
        listed = "".join(f"{file.path}\n" for file in assignment.context)
        files.context.write_text(listed, encoding="utf-8", errors="surrogateescape")
        files.progress.write_text("", encoding="utf-8")
        return files


class _Watch:
    """What a running program says, as it says it; keeps only the ends."""

    def __init__(self, process: asyncio.subprocess.Process, progress: Progress, progress_file: Path) -> None:
        self._process = process
        self._progress = progress
        self._file = progress_file
        self._file_at = 0
        self._file_rest = b""
        self._shown = 0
        self._errors: deque[str] = deque(maxlen=_TAIL_LINES)
        self._output = b""
        self._readers = (
            asyncio.ensure_future(self._read(process.stdout, Stream.OUTPUT)),
            asyncio.ensure_future(self._read(process.stderr, Stream.ERROR)),
        )

    async def until_end(self, assignment: Assignment) -> int | None:
        """Wait for the program's exit status; None if it took too long."""
        feeding = asyncio.ensure_future(self._feed(assignment.prompt))
        following = asyncio.ensure_future(self._follow())
        try:
            async with asyncio.timeout(assignment.timeout):
                return await self._process.wait()
        except TimeoutError:
            return None
        finally:
            feeding.cancel()
            following.cancel()

    async def drain(self) -> None:
        """Take in what is left in the pipes; a stray child that holds them open does not hold us up."""
        await asyncio.wait(self._readers, timeout=_PIPE_PATIENCE)
        for reader in self._readers:
            reader.cancel()
        self._take_progress()

    def last_errors(self) -> tuple[str, ...]:
        """The last lines of standard error."""
        return tuple(self._errors)

    def last_output(self) -> str:
        """The end of standard output."""
        return self._output.decode(errors="replace")

    async def _feed(self, prompt: str) -> None:
        stdin = self._process.stdin
        if stdin is None:  # pragma: no cover  # it is a pipe
            return
        with suppress(BrokenPipeError, ConnectionResetError):  # a program need not read its prompt
            stdin.write(prompt.encode(errors="surrogateescape"))
            await stdin.drain()
            stdin.close()
            await stdin.wait_closed()

    async def _read(self, pipe: asyncio.StreamReader | None, stream: Stream) -> None:
        rest = b""
        while pipe and (chunk := await pipe.read(_TAIL_BYTES)):
            if stream is Stream.OUTPUT:
                self._output = (self._output + chunk)[-_TAIL_BYTES:]
            *lines, rest = (rest + chunk).split(b"\n")
            rest = rest[-_TAIL_BYTES:]
            self._show(stream, lines)
        self._show(stream, [rest])

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(_POLL)
            self._take_progress()

    def _take_progress(self) -> None:
        with suppress(OSError), regular_file(self._file.parent, self._file.name) as (descriptor, _):
            chunk = os.pread(descriptor, _TAIL_BYTES, self._file_at)
            self._file_at += len(chunk)
            *lines, self._file_rest = (self._file_rest + chunk).split(b"\n")
            self._file_rest = self._file_rest[-_TAIL_BYTES:]
            self._show(Stream.PROGRESS, lines)

    def _show(self, stream: Stream, lines: list[bytes]) -> None:
        for raw in lines:
            line = plain(raw.decode(errors="replace"))
            if not line:
                continue
            if stream is Stream.ERROR:
                self._errors.append(line)
            self._shown += 1
            if self._shown <= _SHOWN_LINES:
                self._progress(stream, line)
            elif self._shown == _SHOWN_LINES + 1:
                self._progress(stream, f"… more than {_SHOWN_LINES} lines: the rest is not shown")


async def _end_group(process: asyncio.subprocess.Process) -> None:
    """End the program, if it still runs, and everything in its process group."""
    if process.returncode is None:
        _signal_group(process.pid, signal.SIGTERM)
        with suppress(TimeoutError):
            async with asyncio.timeout(_GRACE):
                await process.wait()
    _signal_group(process.pid, signal.SIGKILL)
    await process.wait()


def _signal_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(group, number)


def _reply(files: _Files, watch: _Watch) -> Reply | Failure:
    try:
        written = read_small(files.reply.parent, files.reply.name, REPLY_BYTES + 1)
    except FileNotFoundError:
        return make_reply(last_paragraph(watch.last_output()))
    except OSError as error:
        return Failure(f"the reply can't be read: {plain(str(error))}")
    if len(written) > REPLY_BYTES:
        return Failure(f"the reply is larger than {REPLY_BYTES} bytes")
    return parse_reply(written)
