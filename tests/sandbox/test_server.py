"""The server or the launcher is killed at any moment of a start: none of the program's processes is left."""

import os
import select
import shutil
import signal
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing, suppress
from itertools import count
from pathlib import Path

import pytest
from sandbox.arena import SERVED, Arena, Wall, behind
from sandbox.test_overlay_worktree import make_layers
from waiting import pass_moment, wait_until

from gitbatch.sandbox import overlay
from gitbatch.sandbox.command_line import launcher_arguments
from gitbatch.sandbox.launcher import CANNOT_RUN
from gitbatch.sandbox.model import Network, SandboxKind
from gitbatch.sandbox.overlay import find_overlay_problem
from gitbatch.sandbox.server import LauncherEventKind, LauncherServer

ROUNDS = 24 if os.environ.get("GITBATCH_FAULTS") == "long" else 12
confined = behind(Wall.BUBBLEWRAP, Wall.LANDLOCK)
PROGRAM = "import os, time\nif not os.fork() and not os.fork(): os.setsid()\ntime.sleep(120)"
"""It leaves processes behind in other process groups."""


def left(arena: Arena) -> list[str]:
    """Returns the processes of the program, and of its launcher, that are alive."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            command = (process / "cmdline").read_text()
            state = (process / "stat").read_text().rpartition(")")[2].split()[0]
            if str(arena.scratch) in command and state != "Z":
                found.append(f"{process.name} {command[:200]}")
    return found


def wait_until_clean(arena: Arena) -> None:
    found: list[str] = []

    def is_clean() -> bool:
        found[:] = left(arena)
        return not found

    wait_until(is_clean, found)


def afresh(arena: Arena) -> None:
    """Empties the scratch folder; if tools are below /tmp, bubblewrap makes symlinks in it."""
    for name in ("tmp", "home"):
        shutil.rmtree(arena.scratch / name, ignore_errors=True)


def command_of(arena: Arena) -> list[str]:
    """Returns the command line with the most processes in a start: one of them makes the listener."""
    confinement = arena.usual._replace(network=Network.API)
    return arena.command(*arena.wall.python, "-c", PROGRAM, str(arena.scratch), confinement=confinement)


def spread(longest: float) -> Iterator[float]:
    """Yields moments from zero on, each in the largest gap between those before."""
    return (longest * (number * 0.618 % 1) for number in count())


@confined
@pytest.mark.parametrize("longest", [0.012, 0.1])
def test_watch_is_killed_during_start(arena: Arena, longest: float) -> None:
    asked = launcher_arguments(command_of(arena))
    assert asked
    server, moments = LauncherServer(), spread(longest)
    ours, theirs = socket.socketpair()
    with Path(os.devnull).open("r+b") as null, ours, theirs:
        streams = (*[null.fileno()] * 3, theirs.fileno())
        for _ in range(ROUNDS):
            afresh(arena)
            server.start_program(asked, arena.environment, arena.worktree, streams)
            started = server.receive_event()
            assert started
            pass_moment(next(moments))
            with suppress(ProcessLookupError):  # what the one before left may have kept it from starting
                os.killpg(started.number, signal.SIGKILL)
            ended = server.receive_event()
            assert ended
            assert ended[:2] == (LauncherEventKind.ENDED, started.number)
    wait_until_clean(arena)
    server.close()


@behind(Wall.NONE)
def test_namespace_or_server_is_killed_during_start(arena: Arena) -> None:
    confinement, moments = make_layers(arena, arena.repo), spread(0.02)
    asked = launcher_arguments(
        arena.command(*arena.wall.python, "-c", PROGRAM, str(arena.scratch), confinement=confinement)
    )
    assert asked
    with Path(os.devnull).open("r+b") as null:
        for number in range(ROUNDS // 2):
            server = LauncherServer()
            server.start_program(asked, arena.environment, arena.repo, [null.fileno()] * 3)
            if number % 2:
                pass_moment(next(moments))
                os.kill(server._process.pid, signal.SIGKILL)
            else:
                started = server.receive_event()
                assert started
                pass_moment(next(moments))
                os.killpg(started.number, signal.SIGKILL)
                ended = server.receive_event()
                assert ended
                assert ended == (LauncherEventKind.ENDED, started.number, -signal.SIGKILL)
                assert left(arena) == []
            server.close()
            wait_until_clean(arena)


@behind(Wall.LANDLOCK, Wall.NONE)
def test_signal_comes_during_start(arena: Arena) -> None:
    """The first process of a namespace never sees one that it does not wait for, so it has to from its beginning."""
    confinement, moments = make_layers(arena, arena.repo), spread(0.02)
    script = "sleep 120 & sleep 120 #$0"
    asked = launcher_arguments(arena.command("sh", "-c", script, str(arena.scratch), confinement=confinement))
    assert asked
    with closing(LauncherServer()) as server, Path(os.devnull).open("r+b") as null:
        server.socket.settimeout(60)
        for _ in range(ROUNDS):
            server.start_program(asked, arena.environment, arena.repo, [null.fileno()] * 3)
            started = server.receive_event()
            assert started
            pass_moment(next(moments))
            os.killpg(started.number, signal.SIGTERM)
            ended = server.receive_event()
            assert ended == (LauncherEventKind.ENDED, started.number, 128 + signal.SIGTERM)
            assert left(arena) == []


@behind(Wall.BUBBLEWRAP)
def test_answer_that_was_not_read(arena: Arena) -> None:
    """Gitbatch is killed before it has read an answer: the server's next call fails, which must not end it at once."""
    asked = launcher_arguments(arena.command(*arena.wall.python, "-c", PROGRAM, str(arena.scratch)))
    assert asked
    server = LauncherServer()
    with Path(os.devnull).open("r+b") as null:
        server.start_program(asked, arena.environment, arena.worktree, [null.fileno()] * 3)
    select.select([server.socket], [], [])
    server.close()
    assert server.exit_code == 0
    assert left(arena) == []


@confined
@pytest.mark.parametrize("longest", [0.012, 0.1])
def test_server_is_closed_or_orphaned(arena: Arena, longest: float) -> None:
    command = command_of(arena)
    asked = launcher_arguments(command)
    assert asked
    moments = spread(longest)
    ours, theirs = socket.socketpair()
    with Path(os.devnull).open("r+b") as null, ours, theirs:
        streams = (*[null.fileno()] * 3, theirs.fileno())
        for _ in range(ROUNDS // 4):
            afresh(arena)
            server = LauncherServer()
            server.start_program(asked, arena.environment, arena.worktree, streams)
            server.receive_event()
            pass_moment(next(moments))
            server.close()
            assert left(arena) == []
            afresh(arena)
            with subprocess.Popen(
                [*arena.wall.python, str(SERVED), str(SERVED.parents[2]), *command], stdin=subprocess.DEVNULL
            ) as asking:
                pass_moment(0.15 + next(moments))
                asking.kill()
            wait_until_clean(arena)


@confined
def test_program_that_is_waited_for(arena: Arena) -> None:
    """A trial is run so: its exit code and its standard error, and no more patience than it is given."""
    with closing(LauncherServer()) as server:
        for script, found in (("echo said; echo wrong >&2; exit 3", (3, "wrong\n")), ("exit 0", (0, ""))):
            asked = launcher_arguments(arena.command("/bin/sh", "-c", script))
            assert asked
            assert server.run_program(asked, arena.worktree, 30.0) == found
        code, said = server.run_program([], arena.base / "missing", 30.0)
        assert (code, "No such file" in said) == (CANNOT_RUN, True)
        asked = launcher_arguments(arena.command("/bin/sh", "-c", "sleep 100"))
        assert asked
        with pytest.raises(TimeoutError):
            server.run_program(asked, arena.worktree, 0.3)
        wait_until(lambda: server.exit_code == -signal.SIGKILL, server)
        with pytest.raises(OSError, match=r"was killed|Broken pipe"):
            server.run_program(asked, arena.worktree, 0.3)
    wait_until_clean(arena)


def test_overlay_is_tried_by_the_server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The server that will start the programs runs the trial too: no other Python has to start."""
    started: list[LauncherServer] = []

    def start_server() -> LauncherServer:
        started.append(LauncherServer())
        return started[-1]

    worktrees, layers = tmp_path / "worktrees", tmp_path / "layers"
    for folder in (worktrees, layers):
        folder.mkdir()
    monkeypatch.setattr(overlay, "_KNOWN", {})
    if find_overlay_problem(SandboxKind.NONE, worktrees, layers):
        pytest.skip("no overlays here")
    overlay._KNOWN.clear()
    monkeypatch.setattr(
        "gitbatch.sandbox.overlay.subprocess.run", lambda *_, **__: pytest.fail("another launcher starts")
    )
    assert find_overlay_problem(SandboxKind.NONE, worktrees, layers, start_server) == ""
    (server,) = started
    server.close()
    assert list(tmp_path.glob("*/*")) == []
