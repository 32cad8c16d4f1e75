"""Runs gitbatch over and over, each time in a fork of a process that has it imported already.

One JSON object a line on standard input asks for a run, one on standard output tells how it went. The steps of
a run are counted, and its victims killed, by `shim.c`, or its calls fail by `errors.c`: one of them is preloaded into
this process and into git.
"""

import ctypes
import gc
import json
import mmap
import os
import signal
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

import gitbatch.cli.batch
import gitbatch.cli.main
import gitbatch.sandbox.none
import gitbatch.sandbox.server
from gitbatch.cli.verbs import VERBS
from gitbatch.cli.views import VIEWS

PRELOADED = (
    gitbatch.sandbox.none,
    *(resolve_name(target) for _, target, _ in VERBS),
    *map(resolve_name, VIEWS.values()),
)
"""Imports of a run happen in this process, so that its steps are those of its work."""

_HEAD = struct.Struct("IIIIii")
_PID = slice(16, 20)
"""The process that counts as gitbatch."""
_VICTIMS = {"everything": 1, "gitbatch": 2, "git": 3, "launcher": 4, "once": 1, "from there on": 2}
"""Who is killed; which calls fail."""
_FAULT = struct.Struct("i1024s1024s256s")
_LAUNCHER = struct.Struct("III112s")
_LAUNCHER_AT = 3072
_PRELOAD = ("LD_PRELOAD", "FAULTS_PAGE")
_PR_SET_CHILD_SUBREAPER = 36


def main() -> None:
    """Serve until standard input ends."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    with Path(os.environ["FAULTS_PAGE"]).open("r+b") as file:
        page = mmap.mmap(file.fileno(), 4096)
    gc.collect()
    gc.freeze()  # what a collection in a fork would write to, it would have to copy
    for line in sys.stdin:
        print(json.dumps(serve(page, json.loads(line))), flush=True)  # noqa: T201


def serve(page: mmap.mmap, asked: "dict[str, Any]") -> "dict[str, Any]":
    """Do one run."""
    output = Path(asked["output"])
    page[:4096] = bytes(4096)
    child = os.fork()
    if not child:
        become_gitbatch(page, asked, output)
    launcher = partial(kill_at_launcher_step, page, child, asked["victim"]) if asked["launcher"] else None
    status = wait(child, asked["timeout"], launcher)
    count, _, _, killed, _, _ = _HEAD.unpack(page[: _HEAD.size])
    if asked["victim"] == "everything" and killed:
        end_orphans()
    page[:4096] = page[: _HEAD.size - 8] + bytes(8) + page[_HEAD.size : 4096]  # nobody is gitbatch any more
    where = page[_HEAD.size : 256].split(b"\0")[0].decode(errors="replace")
    steps, _, _, reached = _LAUNCHER.unpack_from(page, _LAUNCHER_AT)
    if asked["launcher"]:
        count, where = steps, reached.split(b"\0")[0].decode(errors="replace")
        killed = bool(where)
    page[_LAUNCHER_AT:] = bytes(4096 - _LAUNCHER_AT)
    said = output.read_text(encoding="utf-8", errors="replace")
    return {"status": status, "steps": count, "killed": bool(killed), "where": where, "said": said}


def become_gitbatch(page: mmap.mmap, asked: "dict[str, Any]", output: Path) -> None:
    """Be what `gitbatch ARGUMENTS` would be."""
    null = os.open(os.devnull, os.O_RDONLY)
    said = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.dup2(null, 0)
    os.dup2(said, 1)
    os.dup2(said, 2)
    os.closerange(3, 1000)
    os.chdir(asked["cwd"])
    os.setpgid(0, 0)
    kept = {name: os.environ[name] for name in _PRELOAD}
    if asked["launcher"]:
        vars(gitbatch.sandbox.server)["_NEEDED"] = _PRELOAD
    os.environ.clear()
    os.environ.update(asked["environment"] | kept)
    sys.argv = ["gitbatch", *asked["arguments"]]
    at = 0 if asked["launcher"] else asked["at"]
    _LAUNCHER.pack_into(page, _LAUNCHER_AT, 0, asked["at"] - at, 0, b"")
    head = _HEAD.pack(0, at, _VICTIMS[asked["victim"]], 0, os.getpid(), int(asked["record"]))
    page[: _HEAD.size] = head
    if "error" in asked:
        named = (text.encode() for text in (*asked["below"], asked["only"]))
        page[256 : 256 + _FAULT.size] = _FAULT.pack(asked["error"], *named)
    if asked["elsewhere"]:
        person = partial(Person, start_elsewhere(page, asked["elsewhere"]))
        vars(gitbatch.cli.batch)["PromptReviewer"] = person
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


class Person:
    """Is asked at the pauses of a run: at the first one, other processes run commands meanwhile. Continues always."""

    takes_time = True

    def __init__(self, ask: Callable[[], None], *_: object, **__: object) -> None:
        self.ask = ask

    async def review_checkpoint(self, _checkpoint: object) -> bool:
        self.ask()
        return True

    async def review_last(self, checkpoint: object, *, is_earlier: bool) -> bool:  # noqa: ARG002 - the protocol's
        return await self.review_checkpoint(checkpoint)

    async def accept_config(self) -> bool:
        return True


def start_elsewhere(page: mmap.mmap, commands: list[list[str]]) -> Callable[[], None]:
    """Start a process that runs commands, once, when the returned function is called, which waits for their end."""
    asked, ask = os.pipe()
    ended, end = os.pipe()
    gitbatch_pid = os.getpid()
    if not os.fork():
        os.close(ask)
        for _ in range(1 if os.read(asked, 1) else 0):
            for command in commands:
                run_elsewhere(page, command)
                page[_PID] = struct.pack("i", gitbatch_pid)
            os.write(end, b".")
        os._exit(0)
    os.close(asked)
    os.close(end)
    left = [None]

    def ask_once() -> None:
        for _ in left:
            os.write(ask, b".")
            os.read(ended, 1)
        left.clear()

    return ask_once


def run_elsewhere(page: mmap.mmap, command: list[str]) -> None:
    """Run gitbatch in a process of its own, whose steps are those of gitbatch until it ends."""
    child = os.fork()
    if not child:
        page[_PID] = struct.pack("i", os.getpid())
        sys.argv = ["gitbatch", *command]
        try:
            gitbatch.cli.main.main()
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(0)
    os.waitpid(child, 0)


def kill_at_launcher_step(page: mmap.mmap, child: int, victim: str) -> None:
    """Kill whom a trial wants if the launcher waits at its step: all processes of the launcher, gitbatch, or both."""
    count, at, waits, where = _LAUNCHER.unpack_from(page, _LAUNCHER_AT)
    if not waits:
        return
    victims = list(launchers_of(child)) if victim != "gitbatch" else []
    for pid in (*victims, *([child] if victim != "launcher" else ())):
        os.kill(pid, signal.SIGKILL)
    _LAUNCHER.pack_into(page, _LAUNCHER_AT, count, at, 0, where)


def launchers_of(process: int) -> Iterator[int]:
    """The processes of the launcher below a process."""
    listed = Path(f"/proc/{process}/task/{process}/children").read_text(encoding="ascii").split()
    for pid in map(int, listed):
        if b"launcher.server" in Path(f"/proc/{pid}/cmdline").read_bytes():
            yield pid
            yield from launchers_of(pid)


def wait(child: int, patience: float, look: Callable[[], None] | None = None) -> int:
    """The exit status of a process; 124: it took too long, and was killed. `look` is called again and again."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        if look:
            look()
        with suppress(ChildProcessError):
            pid, status = os.waitpid(-1, os.WNOHANG)
            if pid == child:
                return os.waitstatus_to_exitcode(status)
            if pid:
                continue
        time.sleep(0.001 if look else 0.005)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    return 124


def end_orphans() -> None:
    """Kill whatever a run has left running: as a power cut does."""
    while True:
        listed = Path(f"/proc/self/task/{os.getpid()}/children").read_text(encoding="ascii").split()
        for pid in map(int, listed):
            os.kill(pid, signal.SIGKILL)
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            return


if __name__ == "__main__":
    main()
