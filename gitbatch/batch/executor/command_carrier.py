"""The carrier `command`: a worker is a process that a command starts, here or by ssh, srun or kubectl on another machine.

Messages are frames on its standard input and output. What it prints to standard error is kept for the report of its end.
"""

import asyncio
import os
import re
import signal
from asyncio.subprocess import Process, SubprocessStreamProtocol
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from subprocess import PIPE

from gitbatch.batch.executor.carrier import CarrierTools, ChannelError, WorkerLink
from gitbatch.batch.executor.frames import pack_frame
from gitbatch.batch.executor.message_codec import encode_message
from gitbatch.batch.executor.message_stream import READ_BYTES, SILENCE, MessageStream
from gitbatch.batch.executor.messages import FromWorker, ToWorker
from gitbatch.patterns import compile_later
from gitbatch.plan.duration import require_duration
from gitbatch.project.private_commands import is_module
from gitbatch.text import CleanText, clean_text

_PATIENCE = 0.8
"""Seconds that a worker has to end."""
_ASKED = 0.4
"""Seconds that a command has which is asked to end, before it is killed: `srun` needs 0.1."""
_LAST_WORDS = 0.3
"""Seconds in which its last lines come, after its end."""
_LINE = 2_000
_LINES = 3
"""The lines that are kept of what a command says before its end."""
_NAME = 60
_VALUE = compile_later(r"\A([A-Z_][A-Z0-9_]*)=.+\Z", re.DOTALL)
"""A variable for a worker: its value may be a key."""
_WORKER = re.compile(r"(?:^|[\s/])gitbatch[ ]worker\b")


class CommandCarrier:
    """The workers that commands of the configuration start."""

    problem, may_find_more = "", False

    def __init__(self, tools: CarrierTools) -> None:
        greeting = max(SILENCE, require_duration(tools.table.no_worker))
        self._links = tuple(
            CommandLink(tuple(command), _choose_environment(command, tools), tools.directory, greeting)
            for command in tools.table.workers
        )

    async def find_workers(self, join: Callable[[WorkerLink], None]) -> None:
        """Calls `join` with each of them."""
        for link in self._links:
            join(link)


@dataclass(frozen=True, slots=True)
class CommandLink:
    """A command that starts a worker."""

    command: tuple[str, ...]
    environment: Mapping[str, str]
    directory: Path
    greeting: float = SILENCE
    """Seconds until its first message: the time for which a batch waits for one (`executor.no-worker`), as `srun` waits in a queue."""

    @property
    def is_gone(self) -> bool:
        """Whether it is gone for good: the command can be started again."""
        return False

    @property
    def name(self) -> str:
        """The command, in short."""
        return shorten_command(self.command)

    async def connect(self) -> "CommandChannel":
        """Starts the command."""
        loop = asyncio.get_running_loop()
        try:
            transport, protocol = await loop.subprocess_exec(
                lambda: SubprocessStreamProtocol(limit=READ_BYTES, loop=loop),
                *self.command,
                stdin=PIPE,
                stdout=PIPE,
                stderr=PIPE,
                env=dict(self.environment),
                cwd=self.directory,
                start_new_session=True,  # Ctrl-C is for the orchestrator, which tells the workers
            )
        except OSError as error:
            raise ChannelError(f"cannot start {self.command[0]}: {error.strerror}") from error
        return CommandChannel(Process(transport, protocol, loop), transport, self.greeting)


def _choose_environment(command: tuple[str, ...], tools: CarrierTools) -> Mapping[str, str]:
    """Returns the variables of a command: `python -m gitbatch` would load files of the checkout as modules without one."""
    return {**tools.environment, "PYTHONSAFEPATH": "1"} if is_module(command) else tools.environment


def shorten_command(command: tuple[str, ...]) -> CleanText:
    """Returns a command without the worker's own part; of a long one, the program and the last word: a host, for example."""
    own = (
        index
        for index, word in enumerate(command)
        if _WORKER.search(word)
        or (Path(word).name == "gitbatch" and command[index + 1 : index + 2] == ("worker",))
    )
    words = [*command[: next(own, None)]]
    while words and words[-1] in {"--", "-m"}:
        words.pop()
    words = [_VALUE.sub(r"\1=…", word) for word in words or command]
    text = " ".join(words)
    return clean_text(text if len(text) <= _NAME else f"{words[0]} … {words[-1]}", _NAME)


@dataclass(slots=True)
class CommandChannel:
    """The standard streams of such a process."""

    process: Process
    transport: asyncio.SubprocessTransport
    greeting: float = SILENCE
    _stream: MessageStream = field(init=False)
    _said: "deque[str]" = field(default_factory=lambda: deque(maxlen=_LINES))
    _listening: "asyncio.Task[None] | None" = None

    def __post_init__(self) -> None:
        self._stream = MessageStream(self.greeting)
        self._listening = asyncio.create_task(self._keep_last_lines())

    async def send(self, message: ToWorker) -> None:
        """Writes a message to its standard input."""
        stdin = self.process.stdin
        assert stdin is not None  # noqa: S101 - it is a pipe
        try:
            stdin.write(pack_frame(encode_message(message)))
            await stdin.drain()
        except ConnectionError as error:
            raise ChannelError(await self._describe_end()) from error

    async def receive(self) -> list[FromWorker]:
        """Reads messages from its standard output."""
        return await self._stream.receive_messages(self._read_some)

    async def _read_some(self) -> bytes:
        assert self.process.stdout is not None  # noqa: S101 - it is a pipe
        data = await self.process.stdout.read(READ_BYTES)
        if not data:
            raise ChannelError(await self._describe_end())
        return data

    async def close(self, patience: float) -> None:
        """Closes its standard input; if it does not end soon, asks it to, and then kills it."""
        stdin = self.process.stdin
        if stdin:
            stdin.close()
        try:
            with suppress(TimeoutError):
                async with asyncio.timeout(patience):
                    await self.process.wait()
        finally:
            await self._end_process()
            if self._listening:
                self._listening.cancel()
            # A process that it has left may keep its pipes open, and what is not read keeps their end from being seen.
            self.transport.close()
            # What sudo, for example, has started as another user cannot be killed.
            with suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    await self.process.wait()

    async def _end_process(self) -> None:
        """Ends the command. It is asked first: an `srun` that is killed does not give its nodes back."""
        for number in (signal.SIGTERM, signal.SIGKILL):
            if self.process.returncode is not None:
                return
            with suppress(ProcessLookupError, PermissionError):
                os.killpg(self.process.pid, number)
            if number is signal.SIGTERM:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_ASKED):
                        await self.process.wait()

    async def _describe_end(self) -> str:
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await self.process.wait()
        if self._listening:
            await asyncio.wait((self._listening,), timeout=_LAST_WORDS)
        status = self.process.returncode
        how = "closed its output" if status is None else f"ended with {status}"
        # A terminal on the way brings both on one output.
        said = (*self._stream.read_noise(_LINES), *self._said)
        return clean_text(f"{how}: {' / '.join(said)}" if said else how)

    async def _keep_last_lines(self) -> None:
        stderr = self.process.stderr
        assert stderr is not None  # noqa: S101 - it is a pipe
        rest = b""
        while data := await stderr.read(READ_BYTES):
            *lines, rest = (rest + data).split(b"\n")
            rest = rest[-_LINE:]
            # Of a flood, only what is kept takes time.
            last = [*islice((line for line in reversed(lines) if line.strip()), self._said.maxlen)]
            said = (clean_text(line[-_LINE:].decode(errors="replace")) for line in reversed(last))
            self._said.extend(filter(None, said))
