"""Starts the programs of agents: as `loop.subprocess_exec` does, but in a sandbox without a new Python for each.

In a sandbox our launcher runs first, and a server that runs already forks it (`sandbox/server.py`).
"""

# ruff: noqa: PLC0415 - what no agent needs that has no sandbox is not imported for it: start-up is a feature

import asyncio
import errno
import io
import os
import signal
import socket
import subprocess
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from gitbatch.concurrency import shielded

if TYPE_CHECKING:
    from gitbatch.sandbox.server import LauncherServer

_P = TypeVar("_P", bound=asyncio.SubprocessProtocol)
_STREAMS = (0, 1, 2)
_AT_ONCE = 64 * 1024
"""The most bytes that are read of a stream before others are looked at: as many as a pipe holds."""
ANSWER_TIMEOUT = 30.0
"""Seconds after which a server that has not reported an event that must have happened is killed."""


_STRIKES = 2
"""How many starts in a row may fail because of the server before it is taken for broken."""


class LauncherError(OSError):
    """The launcher does not work: no other program can be started either."""


class Starter:
    """Starts the programs of the agents of a run. Belongs to one event loop."""

    starts_programs = True
    """Whether it starts any: one for agents that are only looked at starts none."""

    def __init__(self, server: "LauncherServer | None" = None) -> None:
        """`server`: one that runs already, which `start_server` returns."""
        self._has_launcher = False
        self._server = server
        self._loop: asyncio.AbstractEventLoop | None = None
        """The loop that reads the events of the server."""
        self._one_at_a_time = asyncio.Lock()
        self._starting: deque[ServedProcess] = deque()
        """In the order in which the server was asked, which is that of its answers."""
        self._running: dict[int, ServedProcess] = {}
        self._strikes = 0
        """Starts in a row that failed because of the server."""

    def start_server(self) -> "LauncherServer":
        """Starts the server in the background, if it does not run. Without this call, no server is used."""
        from gitbatch.sandbox.server import LauncherServer

        self._has_launcher = True
        if self._server is None:
            self._server = LauncherServer()
        return self._server

    async def start_program(
        self,
        make: Callable[[], _P],
        command: Sequence[str],
        environment: Mapping[str, str],
        directory: Path,
        stdin: int | None = None,
        channel: int | None = None,
    ) -> tuple[asyncio.SubprocessTransport, _P]:
        """Starts a program in a process group of its own, with a pipe for each of its standard streams.

        Args:
            make: makes the protocol that receives its output.
            command: the command line, as a sandbox has wrapped it.
            environment: its variables.
            directory: its current folder.
            stdin: a descriptor that it reads instead of a pipe. The caller closes it.
            channel: a descriptor that its launcher gets, for the listener of a program with the network `api`.

        Raises:
            LauncherError: no program can be started.
            OSError: this one cannot be started.
        """
        asked = self._server_arguments(command)
        if asked is None:
            # A cancelled `subprocess_exec` kills the program alone, and waits until its children close the pipes.
            starting = asyncio.get_running_loop().subprocess_exec(
                make,
                *command,
                stdin=subprocess.PIPE if stdin is None else stdin,
                cwd=directory,
                env=environment,
                start_new_session=True,
            )
            return await shielded(starting)
        protocol = make()
        started = ServedProcess(protocol, self.give_up, stdin, channel)
        await shielded(self._start_by_server(started, asked, environment, directory))
        return started, protocol

    def give_up(self) -> None:
        """Kills a server that does not answer."""
        if self._server:
            self._server.kill()
        self.close()

    def close(self) -> None:
        """Ends the server, and with it every program that it has started and that still runs."""
        if self._server is None:
            return
        if self._loop and not self._loop.is_closed():
            self._loop.remove_reader(self._server.socket)
        self._server.close()
        self._server = self._loop = None
        while self._running:
            self._running.popitem()[1].notify_ended(-signal.SIGKILL)
        self._strikes += bool(self._starting)
        while self._starting:
            self._starting.popleft().notify_failed(
                self._launcher_error(errno.ECHILD, "the launcher server was killed")
            )

    def _launcher_error(self, number: int, why: str) -> OSError:
        kind = LauncherError if self._strikes >= _STRIKES else OSError
        return kind(number, why, "the sandbox")

    def _server_arguments(self, command: Sequence[str]) -> Sequence[str] | None:
        """Returns the arguments for the server; None: the program is not started by our launcher."""
        if not self._has_launcher:
            return None
        from gitbatch.sandbox.command_line import launcher_arguments

        return launcher_arguments(command)

    async def _start_by_server(
        self,
        started: "ServedProcess",
        asked: Sequence[str],
        environment: Mapping[str, str],
        directory: Path,
    ) -> None:
        with ExitStack() as theirs:
            try:
                streams = await started.open_pipes(theirs)  # takes some turns of the loop: not one at a time
                async with self._one_at_a_time:
                    self._send_request(asked, environment, directory, streams)
                    self._starting.append(started)
                    async with asyncio.timeout(ANSWER_TIMEOUT):
                        await started.has_started
            except TimeoutError:
                started.close()
                self.give_up()
                raise self._launcher_error(errno.ETIMEDOUT, "the launcher server does not answer") from None
            except BaseException:
                started.close()
                raise

    def _send_request(
        self, asked: Sequence[str], environment: Mapping[str, str], directory: Path, streams: Sequence[int]
    ) -> None:
        for _ in range(2):
            try:
                return self._connect_server().start_program(asked, environment, directory, streams)
            except ConnectionError:  # it has died, and that was not reported yet
                self.close()
        self._strikes += 1
        raise self._launcher_error(errno.ECHILD, "the launcher server was killed")

    def _connect_server(self) -> "LauncherServer":
        try:
            server = self.start_server()
        except OSError as error:
            self._strikes += 1
            raise self._launcher_error(
                error.errno or 0, f"the launcher server cannot be started: {error.strerror}"
            ) from error
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._loop.add_reader(server.socket, self._receive_event)
        return server

    def _receive_event(self) -> None:
        """Reads an event of the server."""
        if self._server is None:
            return
        try:
            event = self._server.receive_event(socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        if event is None:
            self.close()  # the next program gets a new one
        elif event.has_ended:
            self._running.pop(event.number).notify_ended(event.status)
        elif event.has_started:
            started = self._running[event.number] = self._starting.popleft()
            started.notify_started(event.number)
            self._strikes = 0
        else:
            error = OSError(event.number, os.strerror(event.number), "the sandbox")
            self._starting.popleft().notify_failed(error)


class ServedProcess(asyncio.SubprocessTransport):
    """A program that a server has started."""

    def __init__(
        self,
        protocol: asyncio.SubprocessProtocol,
        give_up: Callable[[], None],
        stdin: int | None = None,
        channel: int | None = None,
    ) -> None:
        super().__init__()
        self._stdin = stdin
        self._given = () if channel is None else (channel,)
        self._give_up = give_up
        self.has_started: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Fails with an `OSError` if it cannot be started."""
        self._process = 0
        self._protocol = protocol
        self._code: int | None = None
        self._pipes: dict[int, asyncio.WriteTransport | _OutputPipe] = {}
        self._input: asyncio.WriteTransport | None = None
        self._open = set(_STREAMS if stdin is None else _STREAMS[1:])

    async def open_pipes(self, theirs: ExitStack) -> list[int]:
        """Makes a pipe for each standard stream. Returns what the program gets: the pipes' ends, then its channel."""
        loop = asyncio.get_running_loop()
        streams = []
        for stream in _STREAMS:
            if stream == 0 and self._stdin is not None:
                streams.append(self._stdin)  # its owner closes it
                continue
            reading, writing = os.pipe()
            our, their = (reading, writing) if stream else (writing, reading)
            theirs.callback(os.close, their)
            streams.append(their)
            file = os.fdopen(our, "rb" if stream else "wb", 0)
            if stream:
                self._pipes[stream] = _OutputPipe(self, stream, file)
            else:
                self._input, _ = await loop.connect_write_pipe(partial(_InputPipe, self), file)
                self._pipes[stream] = self._input
        return [*streams, *self._given]

    def notify_started(self, process: int) -> None:
        """Notes that it has started. If its start was cancelled meanwhile, it is killed."""
        self._process = process
        if self.has_started.done():
            with suppress(ProcessLookupError):
                os.killpg(process, signal.SIGKILL)
        else:
            self.has_started.set_result(None)

    def notify_failed(self, error: OSError) -> None:
        """Notes that it could not be started."""
        if not self.has_started.done():
            self.has_started.set_exception(error)

    def notify_ended(self, code: int) -> None:
        """Notes that it has ended."""
        self._code = code
        self._protocol.process_exited()
        self._report_end()

    def receive_data(self, stream: int, data: bytes) -> None:
        """Passes its output on."""
        self._protocol.pipe_data_received(stream, data)

    def notify_closed(self, stream: int) -> None:
        """Notes that a stream is closed."""
        self._open.discard(stream)
        self._pipes.pop(stream, None)  # it refers to us: so nothing waits for a garbage collection
        self._report_end()

    def get_pid(self) -> int:
        """Returns the process id, which is that of its group too."""
        return self._process

    def get_returncode(self) -> int | None:
        """Returns its exit code, or -n if signal n ended it; None: it runs."""
        return self._code

    def get_pipe_transport(self, fd: int) -> asyncio.WriteTransport | None:
        """Returns our end of its standard input, if that is a pipe; the others have no transport."""
        return None if fd else self._input

    def close(self) -> None:
        """Closes our ends of its streams."""
        for pipe in tuple(self._pipes.values()):
            pipe.close()

    def kill(self) -> None:
        """Kills the server, when the program has been killed and the server does not report that."""
        if self._code is None:
            self._give_up()

    def _report_end(self) -> None:
        if self._code is not None and not self._open:
            self._protocol.connection_lost(None)


class _InputPipe(asyncio.Protocol):
    """Its standard input."""

    def __init__(self, owner: ServedProcess) -> None:
        self._owner = owner

    def connection_lost(self, _exc: Exception | None) -> None:
        self._owner.notify_closed(0)


class _OutputPipe:
    """Its standard output or error. A transport of asyncio takes nine callbacks and turns of the loop for what takes one here."""

    def __init__(self, owner: ServedProcess, stream: int, file: io.FileIO) -> None:
        self._owner = owner
        self._stream = stream
        self._file = file
        self._loop = asyncio.get_running_loop()
        os.set_blocking(file.fileno(), False)
        self._loop.add_reader(file, self._read)

    def _read(self) -> None:
        data = self._file.read(_AT_ONCE)
        if data:
            self._owner.receive_data(self._stream, data)
        elif data is not None:  # None: there is nothing yet
            self.close()

    def close(self) -> None:
        """Closes it, if it is open."""
        if not self._file.closed:
            self._loop.remove_reader(self._file)
            self._file.close()
            self._owner.notify_closed(self._stream)
