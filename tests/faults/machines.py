"""Runs and workers in forks of one process that has gitbatch imported: each connection's first line says what to be.

A worker serves the connection. It and a run may be killed at one of their own steps, and a worker's clock moved.
"""

import inspect
import json
import os
import select
import signal
import socket
import sys
import time
from pathlib import Path
from pkgutil import resolve_name
from typing import Any, NoReturn

import gitbatch.batch.worker.stdio
import gitbatch.cli.main
from gitbatch.cli.verbs import VERBS
from gitbatch.cli.views import VIEWS

PRELOADED = gitbatch.batch.worker.stdio


def serve(path: str) -> None:
    """Fork for each connection, until standard input ends."""

    for target in (*(target for _, target, _ in VERBS), *VIEWS.values()):
        resolve_name(target)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen(64)
    print("ready", flush=True)  # noqa: T201
    while sys.stdin not in select.select([listening, sys.stdin], [], [])[0]:
        connection, _ = listening.accept()
        if not os.fork():
            listening.close()
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            be_asked(connection)
        connection.close()


def be_asked(connection: socket.socket) -> NoReturn:
    """Be the program that the first line of a connection asks for."""
    line = b""
    while not line.endswith(b"\n"):
        line += connection.recv(1)
    asked = json.loads(line)
    if "output" in asked:
        child = os.fork()
        if child:
            connection.sendall(b"%d\n" % child)
            _, status, used = os.wait4(child, 0)
            connection.sendall(b"%d %d\n" % (os.waitstatus_to_exitcode(status), used.ru_maxrss))
            os._exit(0)
        streams = (
            os.open(os.devnull, os.O_RDONLY),
            *[os.open(asked["output"], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)] * 2,
        )
    else:
        error = os.open(
            Path(asked["environment"]["HOME"], "errors"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600
        )
        streams = (connection.fileno(), connection.fileno(), error)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
    os.closerange(3, 1000)
    become_gitbatch(asked)


def become_gitbatch(asked: dict[str, Any]) -> NoReturn:
    """Be what `gitbatch ARGUMENTS` would be."""
    os.setsid()
    os.chdir(asked["folder"])
    os.environ.clear()
    os.environ.update(asked["environment"])
    if step := asked.get("kill"):
        kill_at(*step)
    if seconds := asked.get("clock"):
        move_clock(seconds)
    sys.argv = ["gitbatch", *asked["arguments"]]
    code = 70
    try:
        gitbatch.cli.main.main()
        code = 0
    except SystemExit as end:
        code = int(end.code or 0)
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def kill_at(target: str, when: str, count: int) -> None:
    """Let this process be killed before or after the given call, by its number, of a function or method."""
    holder, _, name = target.rpartition("." if "." in target.partition(":")[2] else ":")
    owner = resolve_name(holder)
    real, left = getattr(owner, name), [count]

    def note(which: str) -> None:
        if which == when:
            left[0] -= 1
            if not left[0]:
                os.kill(os.getpid(), signal.SIGKILL)

    def call(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - passed on
        note("before")
        result = real(*given, **named)
        note("after")
        return result

    async def call_async(*given: Any, **named: Any) -> Any:  # noqa: ANN401 - passed on
        note("before")
        result = await real(*given, **named)
        note("after")
        return result

    setattr(owner, name, call_async if inspect.iscoroutinefunction(real) else call)


def move_clock(seconds: list[float]) -> None:
    """Let the wall clock be wrong by the first number of seconds, and after its first ten readings by the second."""
    real, readings = time.time, iter(range(10))
    vars(time)["time"] = lambda: real() + seconds[next(readings, None) is None]


if __name__ == "__main__":
    serve(sys.argv[1])
