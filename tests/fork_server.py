"""gitbatch, started as a process of its own, but without a Python that starts and imports everything again.

`python fork_server.py` imports gitbatch once and then forks for each request of its standard input, a socket. What is
forked is what `python -m gitbatch` would be by then: it has the environment, the folder and the streams of the request.
"""

import atexit
import fcntl
import gc
import importlib
import io
import json
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import termios
import threading
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, redirect_stderr, redirect_stdout, suppress
from pathlib import Path
from typing import TextIO
from unittest.mock import patch

from base_repositories import SAMPLES

_LARGEST = 1 << 18
"""Bytes of a request."""
_OF_TERMINALS = (
    "git",
    "gitbatch.cli.editor",
    "gitbatch.cli.questions",
    "gitbatch.cli.reviewing",
    "gitbatch.cli.review_desk",
    "gitbatch.cli.review_prompts",
    "gitbatch.cli.review_screen",
    "gitbatch.view.item_page",
    "gitbatch.view.live",
    "gitbatch.view.review_screen.commands",
    "gitbatch.view.review_screen.pane",
    "prompt_toolkit.application",
    "questionary",
)
"""What only runs in terminals import: the server does it at the first of them."""
_DECIDED_AT_START = ("PYTHON", "LC_", "LANG", "COVERAGE_")
"""Beginnings of the names of variables that a Python reads when it starts."""


class ForkServer:
    """Runs gitbatch in forks of one process, which ends with this one.

    It imports `modules` besides what most runs need: a fork that does not need them would only be slower by them.
    """

    def __init__(self, environment: Mapping[str, str], *modules: str) -> None:
        self._environment = dict(environment)
        self._socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _LARGEST)
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, __file__, *modules], stdin=theirs.fileno(), env=self._environment, cwd="/"
            )

    def can_run(self, environment: Mapping[str, str]) -> bool:
        """Whether a Python with this environment would start as the server has."""
        return all(
            environment.get(name) == self._environment.get(name)
            for name in {*environment, *self._environment}
            if name.startswith(_DECIDED_AT_START)
        )

    def start(
        self,
        arguments: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        streams: tuple[int, int],
        change: str = "",
    ) -> "Started":
        """Start gitbatch without input.

        Args:
            arguments: of gitbatch.
            folder: it runs there.
            environment: its variables.
            streams: the descriptors of its standard output and error, which the caller closes.
            change: Python that runs before it.
        """
        with Path(os.devnull).open() as null:
            return self._request(arguments, folder, environment, (null.fileno(), *streams), change=change)

    def start_in_terminal(
        self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], terminal: int
    ) -> "Started":
        """Start gitbatch as the leader of a terminal's session; the caller closes the descriptor."""
        return self._request(arguments, folder, environment, (terminal,) * 3, *_OF_TERMINALS)

    def _request(
        self,
        arguments: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        streams: tuple[int, int, int],
        *modules: str,
        change: str = "",
    ) -> "Started":
        request = json.dumps(
            {
                "arguments": arguments,
                "folder": str(folder),
                "environment": dict(environment),
                "modules": modules,
                "change": change,
            }
        )
        ours, theirs = socket.socketpair()
        with theirs:
            socket.send_fds(self._socket, [request.encode()], [*streams, theirs.fileno()])
        return Started(arguments, ours)

    def run(
        self,
        arguments: Sequence[str],
        folder: Path,
        environment: Mapping[str, str],
        timeout: float,
        change: str = "",
    ) -> subprocess.CompletedProcess[str]:
        """Run gitbatch to its end, as `subprocess.run` with captured output and no input; `change`: as of `start`."""
        with ExitStack() as files:
            out, err = (files.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8")) for _ in "oe")
            started = self.start(arguments, folder, environment, (out.fileno(), err.fileno()), change)
            try:
                status = started.wait(timeout)
            except subprocess.TimeoutExpired:
                started.kill()
                raise
            for file in (out, err):
                file.seek(0)
            return subprocess.CompletedProcess(["gitbatch", *arguments], status, out.read(), err.read())

    @property
    def pid(self) -> int:
        """The process of the server."""
        return self._process.pid

    def close(self) -> None:
        """End the server."""
        self._socket.close()
        self._process.wait()


class Started:
    """A gitbatch that runs: what `subprocess.Popen` is for a child of this process."""

    def __init__(self, arguments: Sequence[str], connection: socket.socket) -> None:
        self._arguments = arguments
        self._connection = connection
        self._answers = connection.makefile()
        self.pid = int(self._answers.readline())
        self.stdout: TextIO | None = None
        self.returncode: int | None = None
        self.peak = 0
        """The kilobytes that it had at the most, from its end on; at its start, it has those of the server."""

    def poll(self) -> int | None:
        """The exit code, or None while it runs."""
        with suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for its end; returns the exit code, which is negative after a signal."""
        if self.returncode is None:
            if not select.select([self._connection], [], [], timeout)[0]:
                raise subprocess.TimeoutExpired(["gitbatch", *self._arguments], timeout or 0)
            self.returncode, self.peak = map(int, self._answers.readline().split())
            self._answers.close()
            self._connection.close()
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):  # it has ended in this moment
                os.kill(self.pid, number)

    def kill(self) -> None:
        """Kill it, unless it has ended."""
        self.send_signal(signal.SIGKILL)

    def communicate(self, timeout: float | None = None) -> tuple[str, None]:
        """Read what it says until its end."""
        said = self.stdout.read() if self.stdout and not self.stdout.closed else ""
        if self.stdout:
            self.stdout.close()
        self.wait(timeout)
        return said, None


def serve() -> None:
    """Fork for each request, and report each end; returns in gitbatch itself."""
    requests = socket.socket(fileno=os.dup(0))
    ended, ending = socket.socketpair()
    ending.setblocking(False)
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.set_wakeup_fd(ending.fileno())
    connections: dict[int, int] = {}
    while True:
        request, streams = _receive_request(requests, ended, connections)
        if not request:
            os._exit(0)
        _import_modules(json.loads(request)["modules"])
        process = os.fork()
        if not process:
            break
        connections[process] = streams.pop()
        os.write(connections[process], f"{process}\n".encode())
        for stream in streams:
            os.close(stream)
    signal.set_wakeup_fd(-1)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for connection in (requests, ended, ending):
        connection.close()
    for stream in connections.values():
        os.close(stream)
    _become(json.loads(request), streams)


def _warm_up() -> None:
    """Run commands that start no thread: a fork finds the parsers of options and the patterns that each run would make."""
    with tempfile.TemporaryDirectory() as folder:
        plan = Path(folder) / "repo"
        shutil.copytree(SAMPLES / "three-groups", plan)
        environment = {**os.environ, "HOME": folder, "GIT_CONFIG_GLOBAL": os.devnull}
        subprocess.run(["git", "init", "--quiet"], cwd=plan, env=environment, check=True)
        for command in (["lint"], ["status"], ["plan", "--unknown"], ["run", "--unknown"]):
            with ExitStack() as stack:
                stack.enter_context(patch.dict(os.environ, environment))
                stack.enter_context(patch.object(sys, "argv", ["gitbatch", "-C", str(plan), *command]))
                for redirect in (redirect_stdout, redirect_stderr):
                    stack.enter_context(redirect(io.TextIOWrapper(io.BytesIO(), "utf-8")))
                stack.enter_context(suppress(SystemExit))
                gitbatch.cli.main.main()
    assert threading.active_count() == 1, "a fork would have its locks without it"


def _import_modules(names: Sequence[str]) -> None:
    if not set(names) <= sys.modules.keys():
        for name in names:
            importlib.import_module(name)
        gc.freeze()


def _receive_request(
    requests: socket.socket, ended: socket.socket, connections: dict[int, int]
) -> tuple[bytes, list[int]]:
    """Wait for the next request; returns it with its streams. At the end of all requests it is empty."""
    while True:
        readable = select.select([requests, ended], [], [])[0]
        if ended in readable:
            ended.recv(_LARGEST)
            _report_ended(connections)
        if requests in readable:
            return socket.recv_fds(requests, _LARGEST, 4)[:2]


def _report_ended(connections: dict[int, int]) -> None:
    """Say of each process that has ended how it ended."""
    with suppress(ChildProcessError):
        while (found := os.wait4(-1, os.WNOHANG))[0]:
            stream = connections.pop(found[0])
            with suppress(BrokenPipeError):  # the test has ended before
                os.write(stream, f"{os.waitstatus_to_exitcode(found[1])} {found[2].ru_maxrss}\n".encode())
            os.close(stream)


def _leave(code: int) -> None:
    """End as Python does, but do not free each object, which would copy most memory that the server shares."""
    threading._shutdown()  # type: ignore[attr-defined]  # waits for threads, as Python does first
    atexit._run_exitfuncs()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)


def _become(request: dict[str, object], streams: Sequence[int]) -> None:
    """Take on what a process has at its start, in a session of its own where the input is a terminal."""
    # A shell lets what it starts behind `&` ignore SIGINT, and `nohup` SIGHUP: the round then, but not this.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    if os.isatty(streams[0]):
        os.setsid()
        fcntl.ioctl(streams[0], termios.TIOCSCTTY, 0)
    for number, stream in enumerate(streams[:3]):
        os.dup2(stream, number)
    for stream in streams:
        os.close(stream)
    os.environ.clear()
    environment, arguments = request["environment"], request["arguments"]
    assert isinstance(environment, dict)
    assert isinstance(arguments, list)
    os.environ.update(environment)
    os.chdir(str(request["folder"]))
    for name, number in (("stdin", 0), ("stdout", 1), ("stderr", 2)):
        old = getattr(sys, name)
        buffer = os.fdopen(number, "rb" if number == 0 else "wb", closefd=False)
        by_line = number == 2 or os.isatty(number)
        setattr(sys, name, io.TextIOWrapper(buffer, old.encoding, old.errors, line_buffering=by_line))
    sys.argv = ["gitbatch", *arguments]
    exec(str(request["change"]), {})  # noqa: S102 - a test's own


if __name__ == "__main__":
    import gitbatch.agents.command.agent
    import gitbatch.cli.batch
    import gitbatch.cli.lint
    import gitbatch.cli.main
    import gitbatch.cli.plan
    import gitbatch.cli.report_error
    import gitbatch.cli.run
    import gitbatch.cli.status
    import gitbatch.cli.verify
    import gitbatch.sandbox.bubblewrap
    import gitbatch.sandbox.landlock
    import gitbatch.sandbox.none
    import gitbatch.view.plain  # imported before it forks: what most runs need
    from gitbatch.__main__ import main

    for module in sys.argv[1:]:
        importlib.import_module(module)
    _warm_up()
    gc.collect()
    gc.freeze()  # what a collection in a fork would write to, it would have to copy
    serve()
    try:
        main()
    except SystemExit as ended:
        if isinstance(ended.code, int):
            _leave(ended.code)
        raise
