"""What starts an agent's program can fail as well: then no other item is tried with it, and it says why."""

import asyncio
import errno
import os
import signal
import stat
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from agents.process_bench import Bench
from agents.test_process_starter import Stage
from agents.values import a_failure

from gitbatch.agents.process.starter import LauncherError
from gitbatch.agents.protocol import Failure
from gitbatch.limits.causes import Cause
from gitbatch.sandbox import server
from gitbatch.sandbox.bubblewrap import Bubblewrap, find_bubblewrap
from gitbatch.sandbox.command_line import launcher_command
from gitbatch.sandbox.landlock import Landlock, find_landlock
from gitbatch.sandbox.launcher import CANNOT_RUN, main, process
from gitbatch.sandbox.model import Confinement, SandboxKind
from gitbatch.sandbox.none import NoSandbox


def _bubblewrap() -> Bubblewrap:
    found = find_bubblewrap()
    assert isinstance(found, Bubblewrap)
    return found


@dataclass
class Broken:
    """Bubblewrap with an option too many."""

    option: tuple[str, ...]
    kind: SandboxKind = SandboxKind.BUBBLEWRAP
    real: Bubblewrap = field(default_factory=_bubblewrap)

    def wrap_command(self, argv: Sequence[str], confinement: Confinement) -> list[str]:
        whole = self.real.wrap_command(argv, confinement)
        at = len(whole) - 1 - whole[::-1].index("--")
        return [*whole[:at], *self.option, *whole[at:]]


def begun(bench: Bench, script: str) -> Failure:
    """A program's failure, started by the server."""

    async def whole() -> object:
        started = bench.start("sh", "-c", script)
        bench.starters[-1].start_server()
        return await started

    try:
        answer = asyncio.run(whole())
    finally:
        for starter in bench.starters:
            starter.close()
    assert isinstance(answer, Failure)
    return answer


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    made = Bench(tmp_path, environment={"PATH": os.environ["PATH"], "HOME": str(tmp_path)})
    made.worktree.mkdir()
    return made


def test_a_bubblewrap_that_can_not_set_its_sandbox_up(bench: Bench) -> None:
    bench.sandbox = Broken(("--ro-bind", "/nonexistent", "/x"))
    failure = begun(bench, "exit 0")
    assert failure.cause is Cause.FATAL
    assert failure.reason == (
        "the agent cannot be started: the sandbox: "
        "bwrap: Can't find source path /nonexistent: No such file or directory"
    )


def test_a_program_that_is_not_in_its_sandbox(bench: Bench) -> None:
    bench.sandbox = Broken(("--tmpfs", "/usr", "--tmpfs", "/bin"))
    failure = begun(bench, "exit 0")
    assert failure.cause is Cause.FATAL


def test_a_folder_of_the_item_is_its_own_trouble(bench: Bench) -> None:
    bench.sandbox = Broken(("--ro-bind", f"{bench.worktree}/none", "/x"))
    failure = begun(bench, "exit 0")
    assert failure.cause is Cause.FAILED


@pytest.mark.parametrize(
    "script",
    ["exit 1", "echo 'bwrap: no' >&2; exit 1", "exit 126", "echo no >&2; exit 127", "exit 3"],
)
@pytest.mark.parametrize("kind", [SandboxKind.BUBBLEWRAP, SandboxKind.LANDLOCK])
def test_a_program_that_fails_is_no_fault_of_the_sandbox(
    bench: Bench, kind: SandboxKind, script: str
) -> None:
    found = find_landlock() if kind is SandboxKind.LANDLOCK else find_bubblewrap()
    assert isinstance(found, Landlock | Bubblewrap)
    bench.sandbox = found
    assert begun(bench, script).cause is Cause.FAILED


@pytest.mark.parametrize("script", ["exit 1", "kill -9 $$"])
def test_what_bubblewrap_says_of_a_program_that_has_run_is_taken(bench: Bench, script: str) -> None:
    bench.sandbox = _bubblewrap()
    code = "exit code 137 (signal 9)" if "kill" in script else "exit code 1"
    assert begun(bench, script) == a_failure(code)


@dataclass
class Launched:
    """No sandbox but our launcher, in a mode, with an option that is not as it should be."""

    mode: str
    options: tuple[str, ...]
    kind: SandboxKind = SandboxKind.LANDLOCK

    def wrap_command(self, argv: Sequence[str], confinement: Confinement) -> list[str]:
        return launcher_command(list(argv), confinement, self.mode, *self.options)


@pytest.mark.parametrize(
    ("mode", "options", "said"),
    [
        ("landlock", ("--cpu-seconds", "no number"), "the sandbox: invalid literal"),
        ("bubblewrap", ("--output", "/proc/none/x"), "/proc/none/x: the output is outside the worktree"),
    ],
)
def test_a_launcher_that_fails_itself(bench: Bench, mode: str, options: tuple[str, ...], said: str) -> None:
    bench.sandbox = Launched(mode, options)
    failure = begun(bench, "exit 0")
    assert failure.cause is Cause.FATAL
    assert failure.reason.startswith(f"the agent cannot be started: {said}")


def test_any_error_of_a_process_that_the_launcher_forks_is_told(capfd: pytest.CaptureFixture[str]) -> None:
    def fail() -> None:
        raise LookupError("unknown encoding: idna")

    child = process.fork_process(fail, on_our_death=signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == CANNOT_RUN
    assert capfd.readouterr().err == "gitbatch: the sandbox: LookupError: unknown encoding: idna\n"


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (OSError(errno.ENOENT, "No such file", "/x"), "/x: No such file"),
        (OSError(errno.ENOENT, "No such file", b"/x"), "/x: No such file"),
        (OSError(errno.EPERM, "Not permitted"), "the sandbox: Not permitted"),
        (OSError(errno.EPERM, "Not permitted", 7), "the sandbox: Not permitted"),
        (KeyError("x"), "the sandbox: KeyError: 'x'"),
    ],
    ids=repr,
)
def test_what_the_launcher_says_of_an_error(error: Exception, said: str) -> None:
    assert process.describe_error(error) == said


def test_nothing_is_said_where_nothing_was_told() -> None:
    reading, writing = os.pipe()
    os.set_blocking(reading, False)
    assert main._read_available(reading) == b""
    os.write(writing, b"x")
    assert main._read_available(reading) == b"x"
    os.close(reading)
    os.close(writing)


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    made = Stage(tmp_path)
    made.starter.start_server()
    yield made
    made.starter.close()


def program(path: Path, text: str) -> str:
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return str(path)


@pytest.mark.parametrize("kind", ["dies", "is not there"])
def test_a_server_that_never_works_makes_the_agent_unusable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    stage = Stage(tmp_path)
    broken = (
        program(tmp_path / "python", f"#!{sys.executable}\nraise SystemExit(1)\n")
        if kind == "dies"
        else "/none"
    )
    monkeypatch.setattr(server, "server_command", lambda: [broken])
    stage.starter._has_launcher = True

    async def scene() -> None:
        with pytest.raises(OSError, match="the launcher server") as first:
            await stage.run("true")
        assert not isinstance(first.value, LauncherError), "once may be bad luck"
        with pytest.raises(LauncherError, match="the launcher server"):
            await stage.run("true")
        monkeypatch.undo()
        assert await stage.run("exit 3") == (3, b"", b"")
        assert stage.starter._strikes == 0

    asyncio.run(scene())
    stage.starter.close()


def test_servers_that_end_before_they_can_be_asked(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise BrokenPipeError

    async def scene() -> None:
        with monkeypatch.context() as patch:
            patch.setattr(server.LauncherServer, "start_program", fail)
            for kind in (OSError, LauncherError):
                with pytest.raises(kind, match="the launcher server was killed"):
                    await stage.run("true")
        assert await stage.run("exit 3") == (3, b"", b"")

    stage.play(scene)


def test_a_program_that_nothing_can_start_is_unusable(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server, "server_command", lambda: ["/none"])
    bench.sandbox = Launched("bubblewrap", ())

    async def whole() -> list[object]:
        found: list[object] = []
        started = bench.start("true")
        starter = bench.starters[0]
        starter._has_launcher = True
        found.append(await started)
        monkeypatch.setattr("agents.process_bench.Starter", lambda: starter)
        found.append(await bench.start("true"))
        return found

    first, second = asyncio.run(whole())
    assert isinstance(first, Failure)
    assert isinstance(second, Failure)
    assert (first.cause, second.cause) == (Cause.FAILED, Cause.FATAL)
    assert second.reason == (
        "the agent cannot be started: the sandbox: the launcher server cannot be started: No such file or directory"
    )


@pytest.mark.parametrize("kind", [SandboxKind.BUBBLEWRAP, SandboxKind.LANDLOCK, SandboxKind.NONE])
@pytest.mark.parametrize(
    ("content", "why"),
    [("ELFgarbage\n", "Exec format error"), ("#!/no/interpreter\n", "")],
    ids=["garbage", "no interpreter"],
)
def test_a_file_that_cannot_be_executed_stops_the_batch_in_every_sandbox(
    bench: Bench, kind: SandboxKind, content: str, why: str
) -> None:
    found = {SandboxKind.LANDLOCK: find_landlock, SandboxKind.BUBBLEWRAP: find_bubblewrap}
    sandbox = found[kind]() if kind in found else NoSandbox()
    assert isinstance(sandbox, Landlock | Bubblewrap | NoSandbox)
    bench.sandbox = sandbox
    (bench.worktree / "program").write_text(content)
    (bench.worktree / "program").chmod(0o755)

    async def whole() -> object:
        return await bench.start("./program")

    failure = asyncio.run(whole())
    for starter in bench.starters:
        starter.close()
    assert isinstance(failure, Failure)
    assert failure.cause is Cause.FATAL
    assert failure.reason.startswith("the agent cannot be started: ./program: ")
    assert failure.reason.endswith(why)
    assert "exec:" not in failure.reason
