"""Programs in a sandbox, started as a run of gitbatch starts them: by one launcher server, one after another."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from gitbatch.sandbox.server import LauncherServer

_PATIENCE = 30


class Programs:
    """Runs programs by a launcher server. It starts with the first of them, and again after one that has ended it."""

    def __init__(self) -> None:
        self._server: LauncherServer | None = None

    def close(self) -> None:
        """End the server."""
        if self._server:
            self._server.close()

    def run(
        self, arguments: Sequence[str], folder: Path, environment: Mapping[str, str], stdin: str | None
    ) -> "subprocess.CompletedProcess[str]":
        """Run a program, by the launcher's arguments, until it has ended and nothing can write to its output."""
        if not self._server or self._server.exit_code is not None:
            self.close()
            self._server = LauncherServer()
            self._server.socket.settimeout(_PATIENCE)
        (given, giving), (output, said), (errors, wrong) = (os.pipe() for _ in range(3))
        try:
            self._server.start_program(arguments, environment, folder, (given, said, wrong))
        finally:
            for descriptor in (given, said, wrong):
                os.close(descriptor)
        with ThreadPoolExecutor(3) as threads:
            threads.submit(_write_text, giving, stdin or "")
            texts = [threads.submit(_read_text, descriptor) for descriptor in (output, errors)]
            status = _wait_for_end(self._server)
        return subprocess.CompletedProcess(arguments, status, *(text.result() for text in texts))


def _write_text(descriptor: int, text: str) -> None:
    with suppress(BrokenPipeError), os.fdopen(descriptor, "w") as file:
        file.write(text)


def _read_text(descriptor: int) -> str:
    with os.fdopen(descriptor, errors="replace") as file:
        return file.read()


def _wait_for_end(server: LauncherServer) -> int:
    """Wait until a program has ended; a server from which nothing comes is killed, and with it the program."""
    try:
        started, ended = server.receive_event(), server.receive_event()
    except TimeoutError:
        server.kill()
        raise
    assert started
    assert ended
    assert (started.has_started, ended.has_ended, started.number) == (True, True, ended.number)
    return ended.status
