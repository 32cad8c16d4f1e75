"""Programs that the launcher's server starts: each with its own streams, end and place, whatever happens to the server."""

import asyncio
import errno
import gc
import os
import signal
import socket
import subprocess
import sys
import weakref
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Any

import pytest
from waiting import loop_turns, wait_until, wait_until_async

from gitbatch.agents.process import starter
from gitbatch.agents.process.starter import Starter
from gitbatch.sandbox import server
from gitbatch.sandbox.command_line import launcher_command
from gitbatch.sandbox.launcher.server import _start_program
from gitbatch.sandbox.model import Confinement

NEVER = 30.0
ENVIRONMENT = {"PATH": os.environ["PATH"]}


class Heard(asyncio.SubprocessProtocol):
    """What a program says, and when nobody can say any more."""

    def __init__(self) -> None:
        self.speaks = asyncio.Event()
        self.said = {1: b"", 2: b""}
        self.exited = asyncio.Event()
        self.closed = asyncio.Event()

    def pipe_data_received(self, fd: int, data: bytes) -> None:
        self.said[fd] += data
        self.speaks.set()

    def process_exited(self) -> None:
        self.exited.set()

    def connection_lost(self, _exc: Exception | None) -> None:
        assert self.exited.is_set()
        self.closed.set()


class Stage:
    """Where programs are started."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.starter = Starter()
        self.environment = dict(ENVIRONMENT)

    def command(self, *argv: str) -> list[str]:
        nowhere = Path("/nonexistent")
        confined = Confinement(worktree=self.root, scratch=self.root / "scratch", git=(), home=nowhere)
        return launcher_command(list(argv), confined, "none")

    async def start(self, *argv: str) -> tuple[asyncio.SubprocessTransport, Heard]:
        return await self.starter.start_program(Heard, self.command(*argv), self.environment, self.root)

    async def run(self, script: str, given: bytes = b"") -> tuple[int | None, bytes, bytes]:
        """A shell's end, and what it said."""
        process, heard = await self.start("sh", "-c", script)
        stdin = process.get_pipe_transport(0)
        assert isinstance(stdin, asyncio.WriteTransport)
        stdin.write(given)
        stdin.write_eof()
        await heard.closed.wait()
        return process.get_returncode(), heard.said[1], heard.said[2]

    def play(self, scene: Callable[[], Awaitable[None]]) -> None:
        """Do something in a loop of its own."""

        async def whole() -> None:
            async with asyncio.timeout(NEVER):
                await scene()

        asyncio.run(whole())
        gc.collect()  # what was not closed says so here

    @property
    def server(self) -> int:
        return self.starter.start_server()._process.pid

    def children(self) -> list[str]:
        return Path(f"/proc/{self.server}/task/{self.server}/children").read_text().split()


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    made.starter.start_server()
    yield made
    made.starter.close()


def wait_until_gone(process: int) -> None:
    def is_gone() -> bool:
        with suppress(FileNotFoundError, ProcessLookupError):
            return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
        return True

    wait_until(is_gone, f"the end of process {process}", patience=25)


def test_nothing_of_a_program_waits_for_a_garbage_collection(stage: Stage) -> None:
    """They are rare: of 10,000 programs in between, each would have left 20 KB."""

    async def scene() -> None:
        async def run() -> "weakref.ref[asyncio.SubprocessTransport]":
            process, heard = await stage.start("sh", "-c", "echo out; echo err >&2")
            await heard.closed.wait()
            process.close()
            return weakref.ref(process)

        gc.disable()
        try:
            left = await run()
            await wait_until_async(lambda: left() is None, "the end of what is known of a program")
            assert left() is None
        finally:
            gc.enable()

    stage.play(scene)


def test_programs_at_the_same_time_are_not_mixed_up(stage: Stage) -> None:
    async def scene() -> None:
        script = "n=$(cat); echo out $n; echo err $n >&2; exit $n"
        ends = await asyncio.gather(*(stage.run(script, b"%d" % number) for number in range(60)))
        assert ends == [(number, b"out %d\n" % number, b"err %d\n" % number) for number in range(60)]
        assert stage.children() == []

    stage.play(scene)


def test_streams_are_made_while_another_program_starts(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """They take some turns of the loop, for which the next program need not wait."""
    opened, open_pipes = asyncio.Event(), starter.ServedProcess.open_pipes

    async def note(process: starter.ServedProcess, theirs: ExitStack) -> list[int]:
        made = await open_pipes(process, theirs)
        opened.set()
        return made

    monkeypatch.setattr(starter.ServedProcess, "open_pipes", note)

    async def scene() -> None:
        async with stage.starter._one_at_a_time:
            ending = asyncio.ensure_future(stage.run("exit 3"))
            await opened.wait()
            assert not stage.children()
        assert (await ending)[0] == 3

    stage.play(scene)


@pytest.mark.parametrize("size", [0, 1, 70_000, 3_000_000])
def test_much_goes_in_and_out(stage: Stage, size: int) -> None:
    async def scene() -> None:
        given = os.urandom(size)
        assert await stage.run("cat", given) == (0, given, b"")

    stage.play(scene)


def test_names_are_bytes(stage: Stage) -> None:
    odd = os.fsdecode(b"\xff\n \xc3\xbc")
    stage.root = stage.root / odd
    stage.root.mkdir()
    stage.environment |= {"ODD": odd, "LC_CTYPE": "C"}

    async def scene() -> None:
        process, heard = await stage.start("sh", "-c", 'printf %s "$1|$ODD|$LC_CTYPE|$PWD"', "sh", odd)
        await heard.closed.wait()
        place = os.fsencode(stage.root)
        assert heard.said[1] == b"|".join((os.fsencode(odd), os.fsencode(odd), b"C", place))
        assert process.get_returncode() == 0

    stage.play(scene)


def test_nothing_of_ours_is_handed_on(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITBATCH_SECRET", "ours")

    async def scene() -> None:
        _, said, _ = await stage.run("env; echo :; ls /proc/self/fd; echo :; cat /proc/$PPID/environ")
        environment, descriptors, around = said.split(b":\n")
        names = {line.partition(b"=")[0] for line in environment.splitlines()}
        assert names == {b"PATH", b"PWD", b"TMPDIR"}
        assert descriptors.split() == [b"0", b"1", b"2", b"3"], "the last is of ls itself"
        assert around == b""
        _, heard = await stage.start("grep", "-E", "Sig(Ign|Blk)", "/proc/self/status")
        await heard.closed.wait()
        assert {line.split()[1] for line in heard.said[1].splitlines()} == {b"0000000000000000"}

    stage.play(scene)


def test_a_program_leads_its_group_when_it_is_known(stage: Stage) -> None:
    async def scene() -> None:
        for _ in range(30):
            process, heard = await stage.start("sleep", "60")
            assert os.getpgid(process.get_pid()) == os.getsid(process.get_pid()) == process.get_pid()
            os.killpg(process.get_pid(), signal.SIGKILL)
            await heard.exited.wait()
            assert process.get_returncode() == -signal.SIGKILL
            process.close()
            await heard.closed.wait()

    stage.play(scene)


def test_when_the_server_is_killed_so_is_all_that_it_started(stage: Stage) -> None:
    async def scene() -> None:
        started = [await stage.start("sh", "-c", "echo $$; exec sleep 60") for _ in range(3)]
        for _, heard in started:
            await heard.speaks.wait()
        first = stage.server
        os.kill(first, signal.SIGKILL)
        for process, heard in started:
            await heard.closed.wait()
            assert process.get_returncode() == -signal.SIGKILL
            wait_until_gone(process.get_pid())
            wait_until_gone(int(heard.said[1]))
        assert await stage.run("echo again") == (0, b"again\n", b"")
        assert stage.server != first

    stage.play(scene)


def test_a_server_that_dies_before_it_starts_a_program_says_so_and_another_does(stage: Stage) -> None:
    async def scene() -> None:
        os.kill(stage.server, signal.SIGSTOP)
        starting = asyncio.ensure_future(stage.run("true"))
        await wait_until_async(lambda: stage.starter._starting, "the server is asked")
        os.kill(stage.server, signal.SIGKILL)
        with pytest.raises(OSError, match="the launcher server was killed"):
            await starting
        os.kill(stage.server, signal.SIGKILL)
        stage.starter.start_server()._process.wait()
        assert await stage.run("exit 7") == (7, b"", b""), "it is not even noticed"

    stage.play(scene)


def test_a_server_that_does_not_answer_is_given_up(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scene() -> None:
        process, heard = await stage.start("sleep", "60")
        os.kill(stage.server, signal.SIGSTOP)
        with monkeypatch.context() as patch:
            patch.setattr(starter, "ANSWER_TIMEOUT", 0.2)
            with pytest.raises(OSError, match="the launcher server does not answer"):
                await stage.run("true")
        await heard.closed.wait()
        assert process.get_returncode() == -signal.SIGKILL
        process, heard = await stage.start("sleep", "60")
        os.kill(stage.server, signal.SIGSTOP)
        os.kill(process.get_pid(), signal.SIGKILL)
        process.kill()
        await heard.closed.wait()
        assert process.get_returncode() == -signal.SIGKILL
        process.kill()
        assert await stage.run("exit 5") == (5, b"", b"")

    stage.play(scene)


@pytest.mark.parametrize("name", ["zero", "", "a=b"])
def test_an_environment_that_can_not_be(stage: Stage, name: str) -> None:
    stage.environment[name] = "\0" if name == "zero" else "x"

    async def scene() -> None:
        code, _, said = await stage.run("true")
        assert (code, said.count(b"\n"), said[:22]) == (126, 1, b"gitbatch: the sandbox:")
        stage.environment = dict(ENVIRONMENT)
        assert await stage.run("exit 2") == (2, b"", b"")

    stage.play(scene)


def test_what_who_started_us_has_made_of_signals_is_undone(tmp_path: Path) -> None:
    code = """
import asyncio, signal, sys
from pathlib import Path
for number in (signal.SIGTERM, signal.SIGHUP, signal.SIGINT, signal.SIGQUIT): signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
sys.path.append(sys.argv[1])
from agents.test_process_starter import Stage

stage = Stage(Path(sys.argv[2]))
stage.starter.start_server()
print(asyncio.run(stage.run("grep -E 'Sig(Ign|Blk)' /proc/self/status")))
stage.starter.close()
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parents[1]), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
        timeout=NEVER,
    )
    assert done.stdout.count("0000000000000000") == 2, done


@pytest.mark.parametrize("is_first", [False, True])
def test_what_can_not_be_forked_is_told(monkeypatch: pytest.MonkeyPatch, *, is_first: bool) -> None:
    def refused() -> int:
        raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))

    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with ours, theirs, monkeypatch.context() as patch:
        patch.setattr(os, "fork", refused)
        descriptors = [os.dup(0) for _ in range(4)]
        _start_program(theirs, set(), descriptors, is_first=is_first)
        assert ours.recv(99) == b"failed %d" % errno.EAGAIN
        for descriptor in descriptors:
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.fstat(descriptor)
    children, own = (Path(f"/proc/self/ns/{name}").readlink() for name in ("pid_for_children", "pid"))
    assert children == own
    assert signal.pthread_sigmask(signal.SIG_BLOCK, ()) == set()


def test_what_is_not_started_is_an_error(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    told = server.LauncherEvent(server.LauncherEventKind.FAILED, errno.EAGAIN)

    async def scene() -> None:
        with monkeypatch.context() as patch:
            loop = asyncio.get_running_loop()
            patch.setattr(
                server.LauncherServer,
                "start_program",
                lambda *_: loop.call_soon(stage.starter._receive_event),
            )
            patch.setattr(server.LauncherServer, "receive_event", lambda *_: told)
            with pytest.raises(BlockingIOError) as refused:
                await stage.run("true")
            assert refused.value.errno == errno.EAGAIN
        assert await stage.run("exit 4") == (4, b"", b"")

    stage.play(scene)


def test_a_folder_that_is_gone(stage: Stage) -> None:
    async def scene() -> None:
        command = stage.command("true")
        _, heard = await stage.starter.start_program(Heard, command, ENVIRONMENT, stage.root / "gone")
        await heard.closed.wait()
        assert heard.said[2] == b"gitbatch: %s/gone: No such file or directory\n" % os.fsencode(stage.root)

    stage.play(scene)


@pytest.mark.parametrize("turns", range(12))
def test_who_is_cancelled_meanwhile_has_the_program_all_the_same(stage: Stage, turns: int) -> None:
    """Then it can be ended."""

    async def scene() -> None:
        async def whole() -> None:
            process, heard = await stage.start("sleep", "60")
            try:
                await asyncio.Event().wait()
            finally:
                os.killpg(process.get_pid(), signal.SIGKILL)
                process.close()
                await heard.closed.wait()

        running = asyncio.ensure_future(whole())
        await loop_turns(turns)
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running
        for child in stage.children():
            wait_until_gone(int(child))

    stage.play(scene)


@pytest.mark.parametrize("program", ["sleep 60", ": >ended"])
def test_what_nobody_waits_for_any_more_is_ended_and_is_no_other(stage: Stage, program: str) -> None:
    troubles: list[dict[str, Any]] = []

    async def scene() -> None:
        assert await stage.run("true") == (0, b"", b"")
        os.kill(stage.server, signal.SIGSTOP)
        asyncio.get_running_loop().set_exception_handler(lambda _, trouble: troubles.append(trouble))
        starting = asyncio.ensure_future(stage.run(program))
        await wait_until_async(lambda: stage.starter._starting, "the server is asked")
        for _ in range(2):
            starting.cancel()
            await loop_turns(20)
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        other = asyncio.ensure_future(stage.run("echo other; exit 3"))
        await wait_until_async(lambda: len(stage.starter._starting) == 2, "the server is asked again")
        os.kill(stage.server, signal.SIGCONT)
        if program != "sleep 60":  # it has ended before we hear that it has started
            wait_until(lambda: (stage.root / "ended").exists() and not stage.children(), "its end")
        assert await other == (3, b"other\n", b"")
        for child in stage.children():
            wait_until_gone(int(child))
        assert troubles == []

    stage.play(scene)


def test_it_ends_with_us(tmp_path: Path) -> None:
    code = """
import asyncio, os, sys
from pathlib import Path
sys.path.append(sys.argv[1])
from agents.test_process_starter import Stage

async def scene():
    process, _ = await stage.start("sleep", "60")
    print(stage.server, process.get_pid(), *stage.children(), flush=True)
    os.kill(os.getpid(), 9)

stage = Stage(Path(sys.argv[2]))
stage.starter.start_server()
asyncio.run(scene())
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(Path(__file__).parents[1]), str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    processes = done.stdout.split()
    assert len(processes) == 3, done.stderr
    for process in processes:
        wait_until_gone(int(process))
