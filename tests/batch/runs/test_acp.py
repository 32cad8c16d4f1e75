"""Whole runs of the kind `acp` with a program that plays recorded streams, or is hostile."""

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import Workspace
from history import assert_tidy, audit, ticked, trailers
from processes import require_no_agents
from sessions import run_here

from gitbatch.batch.ending import Ending, Result
from gitbatch.batch.history.ledger import SpendingLimits
from gitbatch.limits import rate_limit

HERE = Path(__file__).parents[2] / "agents"
SUMMARY = "Wrote the page. It has one heading."


def set_up(workspace: Workspace, *items: str, agent: str = "", batch: str = "") -> None:
    """Writes a plan with an item for each text, the configuration, and the program."""
    programs = workspace.home / "bin"
    programs.mkdir()
    source = (HERE / "acp_agent.py").read_text(encoding="utf-8")
    (programs / "an-agent").write_text(f"#!{sys.executable} -ES\n{source}", encoding="utf-8")
    (programs / "an-agent").chmod(0o755)
    shutil.copytree(HERE / "streams" / "acp", programs / "streams")
    workspace.environment["PATH"] = f"{programs}:{workspace.environment['PATH']}"
    lines = [f"- [ ] T{n} Write {item} → Output: out/T{n}.md\n" for n, item in enumerate(items, 1)]
    workspace.write("task.md", f"# Plan\n\n## Work Packages\n\n### Group\n\n{''.join(lines)}")
    workspace.write("rules.md", "# Rules\n")
    needs = f'needs = ["{programs}", "{sys.prefix}", "{sys.base_prefix}"]'
    workspace.write(
        "gitbatch.toml",
        f'[batch]\nretries = 0\n{batch}\n[agents.a]\nkind = "acp"\ncommand = ["an-agent"]\n'
        f"reports-usage = true\n{needs}\n{agent}\n",
    )
    workspace.commit("The plan")


def run(
    workspace: Workspace,
    patch: pytest.MonkeyPatch,
    **more: Any,  # noqa: ANN401 - settings of a session
) -> tuple[Result, dict[str, Any], list[Any]]:
    """Runs all items. Returns the result, the outcomes by the names of the items, and the events."""
    patch.setattr(rate_limit, "_FIRST", 0.05)
    result, events = run_here(workspace, patch, **more)
    outcomes = [event["outcome"] for event in events if event["event"] == "item-finished"]
    return result, {outcome["item"]["name"]: outcome for outcome in outcomes}, events


@pytest.mark.rule("F1", "S1", "S3")
@pytest.mark.parametrize("sandbox", ["bubblewrap", "landlock"])
def test_streams_in_a_whole_run(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, sandbox: str) -> None:
    """Commits, costs and classes of recorded streams, and of agents that do what they are not allowed to."""
    set_up(
        workspace,
        "play: claude-success",
        "play: claude-sibling-denied",
        "play: claude-prompt-too-long",
        "play: claude-refusal",
        "act: disobey",
        "act: flood",
        "act: long-line",
        "act: stop",
        agent=f'sandbox = "{sandbox}"',
    )
    result, outcomes, events = run(workspace, monkeypatch)
    causes = {name: outcome.get("cause") for name, outcome in outcomes.items()}
    assert {name for name, outcome in outcomes.items() if outcome["status"] == "succeeded"} == {
        *("T1", "T2", "T5", "T6", "T7"),
    }, outcomes
    assert (causes["T3"], causes["T4"], causes["T8"]) == ("context-too-large", "declined-by-model", "failed")
    assert result.succeeded == len(ticked(workspace)) == 5
    assert_tidy(workspace)
    assert outcomes["T1"]["reply"]["summary"] == SUMMARY
    assert outcomes["T1"]["reply"]["usage"]["cost"] == pytest.approx(0.0851788)
    models = [trailers(workspace, item, "Model") for item in audit(workspace).items]
    assert models.count(["claude-opus-5-5"]) == 2
    assert workspace.git("show", "HEAD:out/T5.md").splitlines() == [
        *("reject_once", "reject_once", "cancelled", "allow_once", "reject_once"),
    ]
    assert "other.md" not in workspace.git("ls-tree", "-r", "--name-only", "HEAD").splitlines()
    shown = [event["line"] for event in events if event["event"] == "item-progress"]
    assert {"not allowed: edit: task.md", "read: rules.md", "edit: out/T1.md"} <= set(shown)
    assert outcomes["T8"]["reason"] == "it ended in the middle of its turn: half a turn (exit 1)"
    require_no_agents(workspace)


def test_limits_hold_while_an_agent_works(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(workspace, "act: spend", agent='sandbox = "none"\nmax-cost = 0.25')
    result, outcomes, _ = run(workspace, monkeypatch)
    assert (result.ending, outcomes["T1"]["cause"]) == (Ending.COMPLETE, "item-limit-reached")
    assert outcomes["T1"]["reason"] == "its limit of $0.25 (max-cost) is reached"
    workspace.edit("gitbatch.toml", "max-cost = 0.25", "")
    workspace.commit("No limit")
    result, _, _ = run(workspace, monkeypatch, limits=SpendingLimits(max_cost=0.5))
    assert result.ending is not Ending.COMPLETE


def test_agent_that_never_answers_stops_the_batch(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gitbatch.agents.acp.dialogue.START_LIMIT", 0.5)
    set_up(workspace, "act: flood", "act: flood", agent='sandbox = "none"\nenv = {SILENT = "1"}')
    result, _, _ = run(workspace, monkeypatch, jobs=1)
    assert (result.ending, result.succeeded) == (Ending.HALTED, 0)
    assert result.halt
    assert "no answer to initialize in 0.5 s" in result.halt.reason
    require_no_agents(workspace)
