"""A stage for conversations of the Claude agent: the real library, a server, a base commit, and what was heard."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
from agents.values import committed
from msgspec.structs import replace

from gitbatch.agents.anthropic.agent import ClaudeAgent, make_anthropic_agent
from gitbatch.agents.anthropic.scripted.server import KEY, ScriptedServer, SeenRequest
from gitbatch.agents.anthropic.table import AnthropicAgent, Price
from gitbatch.agents.process.starter import Starter
from gitbatch.agents.protocol import AgentFolders, Assignment, Failure, OutputStream, Reply
from gitbatch.agents.services import AgentServices
from gitbatch.limits import rate_limit as limits_module
from gitbatch.limits.budget import Budget
from gitbatch.limits.rate_limit import RateLimit
from gitbatch.plan.model import ItemKey
from gitbatch.project.context import ContextFile, ContextReason
from gitbatch.repo.base import Base
from gitbatch.text import CleanText

FILES = {"rules.md": "Short pages.\n", "src/a.py": "def a(): ...\n" * 50, "src/large.py": "x = 1\n" * 20_000}
PRICE = Price(input=1.0, output=10.0, cache_read=0.1, cache_write=2.0)


@pytest.fixture(scope="module")
def server() -> Iterator[ScriptedServer]:
    with ScriptedServer() as running:
        yield running


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Base]:
    contents = {path: text.encode() for path, text in FILES.items()}
    with committed(tmp_path_factory.mktemp("repo"), contents) as made:
        yield made


@dataclass
class Stage:
    """What a conversation needs, and what it left."""

    server: ScriptedServer
    base: Base
    folder: Path
    table: AnthropicAgent = field(default_factory=lambda: AnthropicAgent(model="scripted", price=PRICE))
    rate_limit: RateLimit = field(default_factory=RateLimit)
    budget: Budget = field(default_factory=Budget)
    said: list[tuple[OutputStream, str]] = field(default_factory=list)
    asked_raw: list[bytes] = field(default_factory=list)
    """What a server of another kind was asked."""

    def __post_init__(self) -> None:
        self.server.reset_state()
        self.server.counts = True

    def agent(self) -> ClaudeAgent:
        environment = {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": self.server.url}
        services = AgentServices(environment, None, Starter(), self.rate_limit, self.budget)
        return make_anthropic_agent("claude", self.table, services)

    def assignment(self, script: str, name: str = "a", **more: Any) -> Assignment:  # noqa: ANN401 - fields of an assignment
        rules = self.context("rules.md", ContextReason.RULES)
        made = Assignment(
            item=ItemKey(f"out/{name}.md"),
            output=f"out/{name}.md",
            prompt="",
            context=(rules,),
            timeout=60.0,
            attempt=1,
            group="Group: G",
            instructions=f"> - [ ] Write {name} `script: {script}`",
        )
        return replace(made, **more)

    def place(self, assignment: Assignment) -> AgentFolders:
        name = PurePosixPath(assignment.item).stem
        worktree = self.folder / name
        worktree.mkdir(exist_ok=True)
        return AgentFolders(worktree, self.folder / f"{name}.io", base=self.base)

    def context(self, path: str, reason: ContextReason) -> ContextFile:
        return ContextFile(path, self.base.snapshot.blob(path) or "", reason)

    def run(self, *assignments: Assignment) -> list[Reply | Failure]:
        agent = self.agent()

        async def scene() -> list[Reply | Failure]:
            try:
                return await asyncio.gather(
                    *(agent.run(assignment, self.place(assignment), self.hear) for assignment in assignments)
                )
            finally:
                await agent.close()

        return asyncio.run(scene())

    def talk(self, script: str, **more: Any) -> Reply | Failure:  # noqa: ANN401 - fields of an assignment
        (result,) = self.run(self.assignment(script, **more))
        return result

    def failure(self, script: str, **more: Any) -> Failure:  # noqa: ANN401 - fields of an assignment
        result = self.talk(script, **more)
        assert isinstance(result, Failure), result
        return result

    def hear(self, stream: OutputStream, line: CleanText) -> None:
        self.said.append((stream, line))

    def output(self, name: str = "a") -> str | None:
        path = self.folder / name / "out" / f"{name}.md"
        return path.read_text(encoding="utf-8") if path.exists() else None

    @property
    def asked(self) -> list[SeenRequest]:
        return self.server.requests_of("out/a.md")

    def lines(self) -> str:
        return "\n".join(line for _, line in self.said)


@pytest.fixture
def stage(server: ScriptedServer, base: Base, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr(limits_module, "_FIRST", 0.02)
    return Stage(server, base, tmp_path)
