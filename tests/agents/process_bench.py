"""A bench on which an agent that is a program runs: a worktree, a scratch folder, and what the program showed."""

import asyncio
import gc
import os
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
import pytest
from agents.values import a_failure, a_reply
from waiting import HeldLimits, loop_turns, wait_until

from gitbatch.agents.command.agent import make_command_agent
from gitbatch.agents.command.table import CommandAgent, ExitMeaning
from gitbatch.agents.process.agent import ProcessAgent
from gitbatch.agents.process.starter import Starter
from gitbatch.agents.protocol import AgentFolders, Assignment, Failure, OutputStream, Reply, ReplyFlag
from gitbatch.agents.services import AgentServices
from gitbatch.limits.causes import Cause
from gitbatch.plan.model import ItemKey
from gitbatch.project.context import ContextFile
from gitbatch.sandbox.command_line import launcher_command
from gitbatch.sandbox.model import Confinement, Sandbox, SandboxKind

OUTPUT, ERROR, PROGRESS = OutputStream.OUTPUT, OutputStream.ERROR, OutputStream.PROGRESS
SAID_NOTHING = a_reply("", flags=(ReplyFlag.SUMMARY_MISSING,))
REPLY_BYTES = 1_048_576
NEVER = 60.0
"""Seconds that no test takes."""


@dataclass
class Unwrapped:
    """A sandbox that leaves the command line as it is: what is tested here is the agent."""

    kind: SandboxKind = SandboxKind.NONE
    asked: list[Confinement] = field(default_factory=list)

    def wrap_command(self, argv: Sequence[str], confinement: Confinement) -> list[str]:
        self.asked.append(confinement)
        return list(argv)


@dataclass
class Served(Unwrapped):
    """A sandbox with nothing in it but our launcher, which a server starts."""

    def wrap_command(self, argv: Sequence[str], confinement: Confinement) -> list[str]:
        return launcher_command(super().wrap_command(argv, confinement), confinement, "none")


def an_agent(
    table: CommandAgent, environment: Mapping[str, str], sandbox: Sandbox, starter: Starter
) -> ProcessAgent:
    services = AgentServices(environment, SandboxKind.NONE, starter)
    return msgspec.structs.replace(make_command_agent("tester", table, services), sandbox=sandbox)


@dataclass
class Bench:
    """A worktree and a scratch folder, and what the program that ran there showed."""

    root: Path
    shown: list[tuple[OutputStream, str]] = field(default_factory=list)
    environment: dict[str, str] = field(default_factory=lambda: {"PATH": os.environ["PATH"]})
    pass_env: tuple[str, ...] = ()
    sandbox: Sandbox = field(default_factory=Unwrapped)
    output: str = "out/a.md"
    prompt: str = "Write a.\n"
    context: tuple[ContextFile, ...] = ()
    timeout: float = NEVER
    busy_patterns: bool | tuple[str, ...] = True
    env: dict[str, str] = field(default_factory=dict)
    exit_codes: dict[str, ExitMeaning] = field(default_factory=dict)
    listen: Callable[[str], None] = lambda _: None
    starters: list[Starter] = field(default_factory=list)

    @property
    def worktree(self) -> Path:
        return self.root / "work tree"

    @property
    def scratch(self) -> Path:
        return self.root / "batch" / "a.io"

    def lines(self, stream: OutputStream) -> list[str]:
        return [line for source, line in self.shown if source is stream]

    def start(self, *argv: str) -> asyncio.Task[Reply | Failure]:
        """Start a program in the running loop."""
        return asyncio.ensure_future(self.attempt(*argv))

    def attempt(self, *argv: str) -> Coroutine[None, None, Reply | Failure]:
        """Prepare an attempt with a program."""
        table = CommandAgent(
            command=argv,
            pass_env=self.pass_env,
            busy_patterns=self.busy_patterns,
            env=self.env,
            exit_codes=self.exit_codes,
        )
        assignment = Assignment(
            item=ItemKey("1-t1"),
            output=self.output,
            prompt=self.prompt,
            context=self.context,
            timeout=self.timeout,
            attempt=2,
        )
        self.starters.append(Starter())
        if isinstance(self.sandbox, Served):
            self.starters[-1].start_server()
        runner = an_agent(table, self.environment, self.sandbox, self.starters[-1])
        place = AgentFolders(self.worktree, self.scratch)
        return runner.run(assignment, place, self._show)

    def _show(self, stream: OutputStream, line: str) -> None:
        self.shown.append((stream, line))
        self.listen(line)

    def expire_at(self, patch: pytest.MonkeyPatch, wanted: str) -> None:
        """Let the time of the attempt be over when the program has shown a line."""
        limits = HeldLimits(patch, self.timeout)
        self.listen = lambda line: limits.expire() if line == wanted else None

    def run(self, *argv: str) -> Reply | Failure:
        """Run a program to its end, and see that nothing of it is left in the loop."""

        async def whole() -> Reply | Failure:
            async with asyncio.timeout(NEVER / 2):
                answer = await self.start(*argv)
            await loop_turns()
            assert asyncio.all_tasks() == {asyncio.current_task()}
            return answer

        answer = asyncio.run(whole())
        gc.collect()  # what was not closed says so here, not in another test
        return answer

    def sh(self, script: str) -> Reply | Failure:
        return self.run("sh", "-c", script)


def busy(reason: str, *details: str) -> Failure:
    """A failure that looks as if a server was busy."""
    return msgspec.structs.replace(a_failure(reason, details, Cause.BUSY), is_guess=True)


either = pytest.mark.parametrize("bench", [Unwrapped, Served], indirect=True)
"""The program is started by the event loop, or our launcher by its server."""


class Tether:
    """A FIFO that a program and its children hold open: at its end, the last of them is gone."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        self.hold = f"exec 9>'{path}'; echo held >&9"

    def assert_loose(self) -> None:
        """It was held, and nobody holds it any more; who was just killed needs a moment to be gone."""
        said: list[bytes] = []

        def is_at_end() -> bool:
            with suppress(BlockingIOError):
                said.append(os.read(self._reader, 100))
            return said[-1:] == [b""]

        wait_until(is_at_end, "nobody holds the tether", patience=30)
        assert b"".join(said) == b"held\n"

    def close(self) -> None:
        os.close(self._reader)


@pytest.fixture
def bench(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    made = Bench(tmp_path, sandbox=getattr(request, "param", Unwrapped)())
    made.worktree.mkdir()
    yield made
    for starter in made.starters:
        starter.close()


@pytest.fixture
def tether(tmp_path: Path) -> Iterator[Tether]:
    made = Tether(tmp_path / "tether")
    yield made
    made.close()
