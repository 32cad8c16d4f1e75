"""The namespace of processes that a program in an overlay worktree has: its first process, the ids in it, and its end."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, TextIO

import pytest
from sandbox.arena import Arena, Wall, behind
from sandbox.test_overlay_worktree import find_sleepers, make_layers

from gitbatch.sandbox.command_line import launcher_arguments
from gitbatch.sandbox.launcher import CANNOT_RUN, process, watch
from gitbatch.sandbox.launcher.limits import WrittenBytes
from gitbatch.sandbox.launcher.process import fork_process, spawn_program
from gitbatch.sandbox.server import LauncherServer

unsandboxed = behind(Wall.NONE, Wall.USERS_NONE)
END_ALL = """
grep -aq gitbatch /proc/1/cmdline || exit 1  # never the first process of the machine
for name in TERM STOP KILL; do kill -$name 1 2> /dev/null; done
echo on; exit 5
"""
MANY = """
for number in $(seq 50); do setsid sleep "$1" & done
until test $(ps -A -o args= | grep -c "^sleep $1") = 50; do :; done
echo on; wait
"""


@unsandboxed
def test_program_does_not_end_its_keeper(arena: Arena) -> None:
    """It may well try: the keeper is called `python`, as the servers are that an agent starts and ends by their name."""
    done = arena.run("sh", "-c", END_ALL, confinement=make_layers(arena, arena.repo))
    assert (done.returncode, done.stdout) == (5, "on\n"), done.stderr


@unsandboxed
def test_ids_of_processes_differ_between_programs(arena: Arena) -> None:
    """Programs make names in /tmp of them, which agents without a sandbox share."""
    confinement = make_layers(arena, arena.repo)
    seen = {arena.run("sh", "-c", "echo $$", confinement=confinement).stdout for _ in range(2)}
    assert len(seen) == 2, seen


@contextmanager
def served(arena: Arena, *argv: str) -> Iterator[tuple[LauncherServer, TextIO]]:
    """A server that was asked to start a program in an overlay worktree, and what that prints."""
    asked = launcher_arguments(arena.command(*argv, confinement=make_layers(arena, arena.repo)))
    reading, writing = os.pipe()
    assert asked
    with (
        closing(LauncherServer()) as server,
        open(reading) as said,  # noqa: PTH123 - a descriptor
        Path(os.devnull).open("r+b") as null,
    ):
        server.start_program(asked, arena.environment, arena.base, (null.fileno(), writing, null.fileno()))
        os.close(writing)
        yield server, said


@behind(Wall.BUBBLEWRAP, Wall.LANDLOCK, Wall.NONE)
def test_end_of_a_killed_program_is_reported_when_nothing_is_left(arena: Arena) -> None:
    """Else the files of an agent that ignores SIGTERM would be read while it still writes."""
    seconds = f"{os.getpid()}12345"
    with served(arena, "sh", "-c", MANY, "sh", seconds) as (server, said):
        assert said.readline() == "on\n"
        started, programs = server.receive_event(), find_sleepers(seconds)
        assert started
        assert len(programs) == 50
        os.killpg(started.number, signal.SIGKILL)
        ended = server.receive_event()
        assert [each for each in programs if Path(f"/proc/{each}").exists()] == []
        assert ended
        assert ended.status == -signal.SIGKILL


TRAP = "trap 'echo bye; exit 7' TERM; echo on; sleep 600 & wait"


@behind(Wall.LANDLOCK, Wall.NONE)
def test_server_forks_one_process_for_a_program(arena: Arena) -> None:
    """It is the first of its namespace from its beginning, and hands on the signals that it gets."""
    with served(arena, "sh", "-c", TRAP) as (server, said):
        started = server.receive_event()
        assert started
        status = dict(
            line.split(":", 1) for line in Path(f"/proc/{started.number}/status").read_text().splitlines()
        )
        assert status["NSpid"].split() == [str(started.number), "1"]
        assert said.readline() == "on\n"
        os.killpg(started.number, signal.SIGTERM)
        ended = server.receive_event()
        assert ended
        assert (ended.status, said.read()) == (7, "bye\n")


def test_write_limit_is_judged_however_many_signals_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Children of a program that end, and signals that it sends, must not put off the next count."""
    monkeypatch.setattr(watch, "_PERIOD", 0.0)
    monkeypatch.setattr(watch, "_SHARE", 0)
    limit = watch.WriteLimit(WrittenBytes([str(tmp_path)], 5000))
    assert (limit.must_end(), limit.seconds_left, limit.judge_exit(3)) == (False, 0.0, 3)
    (tmp_path / "file").write_bytes(bytes(20_000))
    assert [limit.must_end() for _ in range(2)] == [True, False]
    assert limit.judge_exit(137) == 128 + signal.SIGXFSZ
    assert "max-scratch-bytes" in capsys.readouterr().err
    monkeypatch.setattr(watch, "_PERIOD", 60.0)
    assert limit.seconds_left == 60.0
    early = watch.WriteLimit(WrittenBytes([str(tmp_path)], 0))
    assert not early.must_end()
    assert 0.0 < early.seconds_left <= 60.0


@behind(Wall.NONE)
def test_limit_of_namespaces_is_named(arena: Arena) -> None:
    """The kernel's words for it are "No space left on device"."""
    limit = 'echo 0 > /proc/sys/user/max_pid_namespaces && exec "$@"'
    command = arena.command("true", confinement=make_layers(arena, arena.repo))
    limited = ("unshare", "--user", "--map-root-user", "sh", "-c", limit, "sh", *command)
    done = subprocess.run(limited, env=arena.environment, capture_output=True, text=True, check=False)
    assert done.returncode == 126
    assert "no more namespaces" in done.stderr


def test_program_is_only_spawned_where_it_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A try to spawn a program makes a process, also where there is no program."""
    folders = [tmp_path / name for name in ("empty", "here", "later")]
    for folder in folders:
        folder.mkdir()
    for folder in folders[1:]:
        (folder / "tool").symlink_to("/bin/true")
    variables = {"PATH": ":".join(map(str, (tmp_path / "missing", *folders)))}
    tried: list[str] = []
    spawn = os.posix_spawn

    def note(path: str, *arguments: Any, **more: Any) -> int:  # noqa: ANN401 - as they are given
        tried.append(path)
        return spawn(path, *arguments, **more)

    monkeypatch.setattr(os, "posix_spawn", note)
    child = spawn_program(["tool"], variables)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert tried == [f"{folders[1]}/tool"]


@pytest.mark.parametrize("error", [BrokenPipeError, ValueError, KeyboardInterrupt])
def test_forked_process_ends_whatever_fails(
    monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    """Else it would continue where the server was, and read its requests."""

    def fail(*_: object) -> None:
        raise error

    ours = os.getpid()
    monkeypatch.setattr(process, "print_error", fail)
    try:
        child = fork_process(fail, on_our_death=signal.SIGKILL)
    finally:
        if os.getpid() != ours:
            os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == CANNOT_RUN
