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
from collections import deque
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import cast

from msgspec import Struct

from gitbatch.agents.environment import passed_variables, secret_names
from gitbatch.agents.failures import Cause
from gitbatch.agents.protocol import Assignment, Failure, Progress, Reply, Stream
from gitbatch.agents.reply import (
    REPLY_BYTES,
    LastWords,
    last_paragraph,
    make_reply,
    parse_last_words,
    parse_reply,
)
from gitbatch.agents.secrets import Secrets
from gitbatch.agents.starter import HEARS_NOTHING, Starter
from gitbatch.project.config import CommandAgent
from gitbatch.repo.disk import is_of_disk
from gitbatch.repo.nofollow import read_small, regular_file
from gitbatch.repo.thread import to_its_end
from gitbatch.repo.worktrees import remove_tree
from gitbatch.sandbox.launcher import CANNOT_RUN, NOT_FOUND
from gitbatch.sandbox.model import Confinement, Limits, Sandbox
from gitbatch.text import Harmless, plain

_GRACE = 5.0
"""Seconds between SIGTERM and SIGKILL."""
_POLL = 0.2
_TAIL_LINES = 20
_TAIL_BYTES = 64 * 1024
_SHOWN_LINES = 10_000
_LAST_CHUNKS = 16
"""How much of the progress file is read when the program has ended, in pieces of `_TAIL_BYTES`."""
_PIPE_PATIENCE = 1.0
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

    @property
    def cost_limit(self) -> None:
        """It can't be limited from outside."""

    async def run(self, assignment: Assignment, progress: Progress) -> Reply | Failure:
        """Run the program to its end; its last words are the details of a failure."""
        secrets = Secrets.of(self.environment, secret_names(self.table))
        try:
            files = _Files.prepare(assignment)
            transport, watch = await self.starter.start(
                lambda: _Watch(progress, files.progress, secrets),
                self.sandbox.command(self._argv(assignment, files), self._confinement(assignment)),
                self._environment(assignment, files),
                assignment.worktree,
            )
        except OSError as error:
            if is_of_disk(error):
                raise
            return Failure(
                plain(f"the agent can't be started: {error.filename}: {error.strerror}"),
                cause=Cause.FATAL if self._is_missing(error) else Cause.FAILED,
            )
        try:
            _feed(transport, assignment.prompt)
            in_time = await watch.until_exit(assignment.timeout)
        except asyncio.CancelledError:
            await _end(transport, watch)
            raise
        await to_its_end(_end(transport, watch))  # what it has done is kept, whoever wants to stop now
        status = transport.get_returncode()
        if not in_time:
            how, cause = f"it took longer than {assignment.timeout:g} seconds", Cause.TIMEOUT
        elif status:
            how, cause = self._how(status, watch.last_errors())
        else:
            return _reply(files, watch, secrets)
        last = _last_words(files)
        return Failure(plain(how), watch.last_errors(), cause, last.retry_after, last.usage)

    def _how(self, status: int, errors: tuple[Harmless, ...]) -> tuple[str, Cause]:
        """How the program ended, and what that means."""
        missing = f"gitbatch: {plain(self.table.command[0])}: "  # as the sandbox's launcher says it
        if status in {CANNOT_RUN, NOT_FOUND} and errors and errors[-1].startswith(missing):
            return f"the agent can't be started: {errors[-1].removeprefix('gitbatch: ')}", Cause.FATAL
        return _how_ended(status), _cause(status)

    def _is_missing(self, error: OSError) -> bool:
        """Whether it is the program itself that is not there, which no other item will find either."""
        return error.filename == self.table.command[0] and error.errno in {errno.ENOENT, errno.EACCES}

    async def close(self) -> None:
        """Nothing is kept between items."""

    def _argv(self, assignment: Assignment, files: "_Files") -> list[str]:
        given = {"{output}": assignment.output, "{item}": assignment.item, "{prompt_file}": str(files.prompt)}
        return [_PLACEHOLDER.sub(lambda match: given[match[0]], argument) for argument in self.table.command]

    def _confinement(self, assignment: Assignment) -> Confinement:
        home = Path(self.environment.get("HOME", "/nonexistent"))
        table = self.table
        return Confinement(
            worktree=assignment.worktree,
            scratch=assignment.scratch,
            repository=assignment.repository,
            hidden=assignment.hidden,
            home=home,
            path=self.environment.get("PATH", ""),
            needs=tuple(_expanded(path, home) for path in table.needs),
            writable=tuple(_expanded(path, home) for path in table.writable),
            network=table.network,
            strict_output=assignment.worktree / assignment.output if table.strict else None,
            limits=Limits(file_bytes=table.max_file_bytes, scratch_bytes=table.max_scratch_bytes),
        )

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


def _expanded(path: str, home: Path) -> Path:
    """A path from the configuration; `~` is the user's home folder."""
    return home / path[2:] if path == "~" or path.startswith("~/") else Path(path)


class _Files(Struct, frozen=True):
    """The files that the agent and we hand each other, in the scratch folder."""

    prompt: Path
    context: Path
    progress: Path
    reply: Path

    @classmethod
    def prepare(cls, assignment: Assignment) -> "_Files":
        scratch = assignment.scratch
        # What an earlier attempt has left there could be a link, or be taken for the reply of this one.
        remove_tree(scratch)
        scratch.mkdir(parents=True)
        files = cls(scratch / "prompt.md", scratch / "context", scratch / "progress", scratch / "reply.json")
        files.prompt.write_text(assignment.prompt, encoding="utf-8", errors="surrogateescape")
        listed = "".join(f"{file.path}\n" for file in assignment.context)
        files.context.write_text(listed, encoding="utf-8", errors="surrogateescape")
        files.progress.write_text("", encoding="utf-8")
        return files


class _Watch(asyncio.SubprocessProtocol):
    """What a running program says, as it says it; keeps only the ends.

    A protocol, because `asyncio.subprocess.Process.wait` also waits for the pipes (python/cpython#119710): a
    child of the program that holds them open would hold us up until the time-out.
    """

    def __init__(self, progress: Progress, progress_file: Path, secrets: Secrets) -> None:
        self.exited = asyncio.Event()
        """The program has ended; its children may not have."""
        self.closed = asyncio.Event()
        """It has ended and nobody holds its pipes."""
        self._progress = progress
        self._secrets = secrets
        self._file = progress_file
        self._file_at = 0
        self._rests = dict.fromkeys(Stream, b"")
        self._shown = 0
        self._errors: deque[Harmless] = deque(maxlen=_TAIL_LINES)
        self._output = b""

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        """Take in a piece of standard output (1) or standard error (2)."""
        if fd == 1:
            # Masked before it is cut, here and below: what is left of a value that was cut is a part of a key.
            self._output = self._secrets.mask_bytes(self._output + data)[-_TAIL_BYTES:]
        self._take(Stream.OUTPUT if fd == 1 else Stream.ERROR, data)

    def process_exited(self) -> None:
        """Note that the program has ended."""
        self.exited.set()

    def connection_lost(self, _exc: Exception | None) -> None:
        """Note that its pipes are closed too."""
        self.closed.set()

    async def until_exit(self, patience: float) -> bool:
        """Wait for the program to end, following its progress file; false if it takes too long."""
        following = asyncio.ensure_future(self._follow())
        try:
            async with asyncio.timeout(patience):
                await self.exited.wait()
        except TimeoutError:
            return False
        finally:
            following.cancel()
        return True

    def finish(self) -> None:
        """Take in what is left when everything has ended, unfinished lines too."""
        for _ in range(_LAST_CHUNKS):
            if not self._take_progress():
                break
        for stream, rest in self._rests.items():
            self._show(stream, [rest])

    def last_errors(self) -> tuple[Harmless, ...]:
        """The last lines of standard error."""
        return tuple(self._errors)

    def last_output(self) -> str:
        """The end of standard output."""
        return self._output.decode(errors="replace")

    async def _follow(self) -> None:
        while True:
            await asyncio.sleep(_POLL)
            self._take_progress()

    def _take_progress(self) -> bool:
        """Take in the next piece of the progress file, if there is one."""
        with suppress(OSError), regular_file(self._file.parent, self._file.name) as (descriptor, _):
            chunk = os.pread(descriptor, _TAIL_BYTES, self._file_at)
            self._file_at += len(chunk)
            self._take(Stream.PROGRESS, chunk)
            return bool(chunk)
        return False

    def _take(self, stream: Stream, chunk: bytes) -> None:
        *lines, rest = self._secrets.mask_bytes(self._rests[stream] + chunk).split(b"\n")
        self._rests[stream] = rest[-_TAIL_BYTES:]
        # A program that floods us must not keep the other items waiting.
        self._show(stream, lines if self._shown <= _SHOWN_LINES else lines[-_TAIL_LINES:])

    def _show(self, stream: Stream, lines: list[bytes]) -> None:
        for raw in lines:
            line = plain(raw.decode(errors="replace") if raw.strip() else "")
            if not line:
                continue
            if stream is Stream.ERROR:
                self._errors.append(line)
            self._shown += 1
            if self._shown <= _SHOWN_LINES:
                self._progress(stream, line)
            elif self._shown == _SHOWN_LINES + 1:
                self._progress(stream, plain(f"… more than {_SHOWN_LINES} lines: the rest is not shown"))


def _feed(transport: asyncio.SubprocessTransport, prompt: str) -> None:
    """Write the prompt to standard input as fast as the program reads it; it need not."""
    stdin = _stdin(transport)
    stdin.write(prompt.encode(errors="surrogateescape"))
    stdin.write_eof()


async def _end(transport: asyncio.SubprocessTransport, watch: _Watch) -> None:
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


def _how_ended(status: int) -> str:
    """An exit status in words. What starts a program for us (a shell, a sandbox) reports signal N as 128 + N."""
    if status < 0:
        return f"ended by signal {-status}"
    signals = {number + 128 for number in signal.valid_signals()}
    return f"exit code {status}" + (f" (signal {status - 128})" if status in signals else "")


def _cause(status: int) -> Cause:
    """What an exit code means: 75 is EX_TEMPFAIL of sysexits.h, come back later."""
    return Cause.BUSY if status == os.EX_TEMPFAIL else Cause.FAILED


def _last_words(files: _Files) -> LastWords:
    """What a program that failed says of itself in its reply file, if it can be read."""
    try:
        return parse_last_words(read_small(files.reply.parent, files.reply.name, REPLY_BYTES))
    except OSError:
        return LastWords()


def _reply(files: _Files, watch: _Watch, secrets: Secrets) -> Reply | Failure:
    try:
        written = read_small(files.reply.parent, files.reply.name, REPLY_BYTES + 1)
    except FileNotFoundError:
        return make_reply(last_paragraph(watch.last_output()))
    except OSError as error:
        if is_of_disk(error):
            raise
        return Failure(plain(f"the reply can't be read: {error}"))
    if len(written) > REPLY_BYTES:
        return Failure(plain(f"the reply is larger than {REPLY_BYTES} bytes"))
    return parse_reply(secrets.mask_bytes(written))
