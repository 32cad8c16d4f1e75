"""Agents that are needed at workers only: what the orchestrator does not look at, and workers that lack it."""

import asyncio
from pathlib import Path

import pytest
from agents.test_protocol import ASSIGNMENT
from batch.executor.scripted_workers import (
    HELLO,
    ScriptedChannel,
    ScriptedLink,
    name_executor,
    run_with,
    work_honestly,
)
from batch.executor.test_remote_runs import notes, of_kind
from batch.programs import set_up
from conftest import Workspace
from msgspec.structs import replace

from gitbatch.agents.acp.table import AcpAgent
from gitbatch.agents.anthropic.table import AnthropicAgent
from gitbatch.agents.claude_code.table import ClaudeCodeAgent
from gitbatch.agents.command.table import CommandAgent
from gitbatch.agents.pool import make_idle_pool
from gitbatch.agents.process.sent_agent import describe_sent_agent
from gitbatch.agents.process.table import ProcessTable, Reports
from gitbatch.agents.protocol import AgentFolders, Failure
from gitbatch.batch.executor.messages import ItemJob, JobRefused
from gitbatch.errors import GitbatchError
from gitbatch.limits.causes import Cause
from gitbatch.project.check_tables import CheckTable
from gitbatch.project.config import Config
from gitbatch.project.executor_table import ExecutorTable
from gitbatch.project.sent_work import is_sent, keep_here

FAR = ExecutorTable(kind="command", workers=(("true",),))


async def refuse(channel: ScriptedChannel, job: ItemJob) -> None:
    channel.tell(JobRefused(job.token, "agent told: its key is\x1b[31m missing"))


def test_worker_that_lacks_something_is_named_and_no_attempt_is_lost(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(workspace, "ok", "ok", batch="retries = 0")
    settings = workspace.read("gitbatch.toml").replace('kind = "command"', 'kind = "claude-code"')
    settings = settings.replace('command = ["sh", "agent.sh"]', 'program = "/no/such/claude"')
    workspace.write("gitbatch.toml", settings.replace('"none"', '"seatbelt"'))
    name_executor(workspace, "max-lost = 0\n")
    bare = ScriptedLink(refuse, (replace(HELLO, host="bare", slots=9, programs=("codex",)),))
    full = ScriptedLink(work_honestly, (replace(HELLO, host="full", slots=1),))
    result, events = run_with(workspace, monkeypatch, bare, full)
    assert (result.succeeded, result.failed) == (2, 0)
    assert of_kind(events, "attempt-failed") == []
    assert notes(events).count("worker bare cannot run agent told: agent told: its key is missing") == 1
    assert "worker bare: 9 slots, sandbox bubblewrap, agents codex" in notes(events)
    assert [event["outcome"]["host"] for event in of_kind(events, "item-finished")] == ["full"] * 2


def test_batch_halts_if_every_worker_lacks_something(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(workspace, "ok")
    name_executor(workspace)
    links = [ScriptedLink(refuse, (replace(HELLO, host=host),)) for host in ("one", "two")]
    result, events = run_with(workspace, monkeypatch, *links)
    assert (result.succeeded, result.failed) == (0, 0)
    [halted] = of_kind(events, "batch-halted")
    assert "no worker can run agent told (one: agent told: its key is missing; two: " in halted["reason"]
    assert [event["counts"] for event in of_kind(events, "attempt-failed")] == [False]


@pytest.mark.parametrize(
    ("table", "reports"),
    [
        (ClaudeCodeAgent(max_cost=2.0), Reports(usage=True, cost=True)),
        (AcpAgent(preset="codex"), Reports(usage=True, cost=True)),
        (AcpAgent(preset="codex", network=True, reports_usage=False), Reports()),
        (AcpAgent(command=("x",)), Reports()),
        (CommandAgent(command=("x",)), Reports()),
        (CommandAgent(command=("x",), reports_usage=True), Reports(usage=True, cost=True)),
        (CommandAgent(command=("qwen",), format="qwen"), Reports(usage=True)),
        (CommandAgent(command=("codex",), format="codex"), Reports(usage=True, cost=True)),
        (CommandAgent(command=("codex",), format="codex", key="environment"), Reports(usage=True)),
    ],
)
def test_what_settings_say_of_an_agent_that_is_sent(table: ProcessTable, reports: Reports) -> None:
    """No key is set, and no program is there."""
    agent = make_idle_pool({}).require_usable("a", Config(agents={"a": table}, executor=FAR), lambda _: False)
    assert (agent.knows_usage, agent.knows_cost) == reports
    assert agent.cost_limit == table.cost_limit
    here = (Path("/repo"),)
    assert (agent.sandbox_kind, agent.notes) == ("", ())
    assert agent.read_in_checkouts(here) == agent.find_used_in(here) == ()


def test_agent_that_is_sent_does_not_work_here(tmp_path: Path) -> None:
    agent = describe_sent_agent("a", ClaudeCodeAgent())
    answer = asyncio.run(agent.run(ASSIGNMENT, AgentFolders(tmp_path, tmp_path), lambda *_: None))
    assert isinstance(answer, Failure)
    assert (answer.cause, answer.reason) == (Cause.FATAL, "agent a works on other machines")


def test_agent_is_needed_here_if_it_works_or_reviews_here() -> None:
    agents = {"claude": ClaudeCodeAgent(), "server": AnthropicAgent(model="m")}
    config = Config(agents=agents, executor=FAR)
    assert (is_sent(config, "claude"), is_sent(config, "server")) == (True, False)
    assert not is_sent(keep_here(config), "claude")
    reviews = Config(agents=agents, executor=FAR, checks={"r": CheckTable(agent="claude")})
    with pytest.raises(GitbatchError, match="needs a key"):
        make_idle_pool({}).get_agent("claude", reviews)
