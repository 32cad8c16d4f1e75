"""Whole runs of the kind `claude-code` with a program that plays recorded streams of Claude Code.

`play: STREAM…` in an item names the stream of each of its starts; the last one stays. The program writes the one file that
its permissions allow, if the stream has a success.
"""

import shutil
from pathlib import Path
from typing import Any

import pytest
from conftest import Workspace
from history import assert_tidy, audit, ticked, trailers
from sessions import run_here

from gitbatch.batch.ending import Ending, Result
from gitbatch.batch.history.ledger import SpendingLimits
from gitbatch.errors import GitbatchError, PlanError
from gitbatch.limits import rate_limit

STREAMS = Path(__file__).parents[2] / "agents" / "streams" / "claude-code"
FAKE = r"""#!/bin/sh
set -u
streams=$(dirname "$0")/streams
prompt=$(cat)
output=$(printf '%s\n' "$@" | sed -n 's/^Edit(\/\(.*\))$/\1/p')
name=$(basename "$output" .md)
count=$(($(cat "$HOME/$name.starts" 2>/dev/null || echo 0) + 1))
echo "$count" >"$HOME/$name.starts"
printf '%s\n' "$@" >"$HOME/$name.arguments.$count"
env >"$HOME/$name.environment.$count"
words=$(printf '%s\n' "$prompt" | sed -n 's/^> .*play: \([a-z0-9 -]*[a-z0-9]\).*/\1/p' | head -n 1)
word=$(echo "$words" | cut -d ' ' -f "$count")
[ -n "$word" ] || word=${words##* }
if [ "$word" = endless ]; then sed '$d' "$streams/success.jsonl"; exec sleep 600; fi
sed "s#/worktree#$(pwd)#g" "$streams/$word.jsonl"
case $word in
success | sibling-denied | retried) mkdir -p "$(dirname "$output")"; echo "$name $count" >"$output" ;;
all-denied) ;;
*) exit 1 ;;
esac
"""
KEY = "key-of-a-test-run"


def set_up(workspace: Workspace, *items: str, agent: str = 'sandbox = "none"') -> None:
    """Writes a plan with an item for each text, the configuration, and the program."""
    programs = workspace.home / "bin"
    programs.mkdir()
    (programs / "claude").write_text(FAKE, encoding="utf-8")
    (programs / "claude").chmod(0o755)
    shutil.copytree(STREAMS, programs / "streams")
    workspace.environment |= {
        "PATH": f"{programs}:{workspace.environment['PATH']}",
        "ANTHROPIC_API_KEY": KEY,
        "CLAUDECODE": "1",
    }
    lines = [f"- [ ] T{n} Write play: {item} → Output: out/T{n}.md\n" for n, item in enumerate(items, 1)]
    workspace.write("task.md", f"# Plan\n\n## Work Packages\n\n### Group\n\n{''.join(lines)}")
    workspace.write("rules.md", "# Rules\n")
    workspace.write(
        "gitbatch.toml",
        f'[batch]\nretry-pause = "0s"\n[agents.claude]\nkind = "claude-code"\ntimeout = "60s"\n{agent}\n',
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


def lines_of(events: list[Any], item: str) -> list[str]:
    return [e["line"] for e in events if e["event"] == "item-progress" and e["item"] == f"out/{item}.md"]


def arguments(workspace: Workspace, name: str, start: int) -> list[str]:
    return (workspace.home / f"{name}.arguments.{start}").read_text(encoding="utf-8").splitlines()


@pytest.mark.rule("F1", "F3", "S1", "S3")
def test_streams_in_a_whole_run(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(
        workspace,
        "success",
        "sibling-denied",
        "status-429 success",
        "max-turns success",
        "answer-cut answer-cut success",
        "refusal",
        "all-denied all-denied success",
        "no-connection success",
    )
    result, outcomes, events = run(workspace, monkeypatch)
    assert (result.ending, result.succeeded, result.failed) == (Ending.COMPLETE, 7, 1)
    found = {
        name: (outcome.get("cause"), outcome["attempts"], outcome["waits"])
        for name, outcome in outcomes.items()
    }
    assert found == {
        "T1": (None, 1, 0),
        "T2": (None, 1, 0),
        "T3": (None, 1, 1),
        "T4": (None, 2, 0),
        "T5": (None, 2, 1),
        "T6": ("declined-by-model", 1, 0),
        "T7": (None, 3, 0),
        "T8": (None, 1, 1),
    }
    first, *_ = audit(workspace).items
    assert trailers(workspace, first, "Model") == ["claude-opus-5-5"]
    assert trailers(workspace, first, "Cost") == ["0.028171"]
    assert "Wrote the page p1." in workspace.git("log", "-1", "--format=%B", first)
    assert len(ticked(workspace)) == 7
    assert_tidy(workspace)
    assert lines_of(events, "T2")[:2] == ["Write: docs/other.md", "not allowed: Write docs/other.md"]
    assert "agent claude: network: all (no sandbox)" in [e.get("text") for e in events]
    (denied, *_) = outcomes["T7"]["earlier"]
    assert (denied["cause"], denied["details"]) == ("no-usable-output", ["not allowed: Write docs/other.md"])
    environment = (workspace.home / "T1.environment.1").read_text(encoding="utf-8")
    assert f"ANTHROPIC_API_KEY={KEY}\n" in environment
    assert "CLAUDECODE=" not in environment


@pytest.mark.parametrize(
    ("stream", "reason"),
    [
        ("status-401", "Failed to authenticate"),
        ("not-logged-in", "is not logged in"),
        ("model-not-found", "issue with the selected model"),
    ],
)
def test_unusable_agent_stops_at_its_first_attempt(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, stream: str, reason: str
) -> None:
    set_up(workspace, stream, "success")
    result, _, _ = run(workspace, monkeypatch, jobs=1)
    assert result.ending is Ending.HALTED
    assert result.halt
    assert reason in result.halt.reason
    assert not (workspace.home / "T2.starts").exists()
    assert (workspace.home / "T1.starts").read_text() == "1\n"


def test_output_that_is_never_written_is_refused(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(workspace, "success")
    workspace.edit("task.md", "out/T1.md", ".claude/T1.md")
    workspace.commit()
    with pytest.raises(PlanError) as raised:
        run(workspace, monkeypatch)
    assert raised.value.message.endswith(
        "cannot write the output .claude/T1.md by agent claude: "
        "Claude Code does not write '.claude' without a terminal"
    )
    assert raised.value.advice == "give the item another agent, or another output"


@pytest.mark.parametrize(
    ("agent", "removed", "message", "advice"),
    [
        ('program = "no-claude"', "", "agent claude: the program no-claude is not found", "install it"),
        ("", "ANTHROPIC_API_KEY", "agent claude needs a key", "claude setup-token"),
        ('tools = ["Write", "Bash"]', "", "agent claude: the tool Bash needs a sandbox", 'remove "Bash"'),
    ],
)
def test_agent_that_cannot_work_is_refused_before_the_batch(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch, agent: str, removed: str, message: str, advice: str
) -> None:
    set_up(workspace, "success", agent=f'sandbox = "none"\n{agent}')
    workspace.environment.pop(removed, None)
    with pytest.raises(GitbatchError) as raised:
        run(workspace, monkeypatch)
    assert raised.value.message.startswith(message)
    assert advice in raised.value.advice
    assert workspace.git("for-each-ref", "refs/gitbatch") == ""


def test_limit_of_an_item_holds_over_attempts(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(workspace, "max-turns", agent='sandbox = "none"\nmax-cost = 0.06')
    # Set aside is what is left of its limit: 0.06 for the third attempt would exceed the batch's.
    result, outcomes, _ = run(workspace, monkeypatch, limits=SpendingLimits(0.1, None))
    assert (result.ending, outcomes["T1"]["cause"]) == (Ending.COMPLETE, "failed")
    assert [arguments(workspace, "T1", n)[-1] for n in (1, 2, 3)] == ["0.060000", "0.035782", "0.011563"]


def test_limit_of_tokens_ends_a_program_that_works_on(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(workspace, "endless", agent='sandbox = "none"\nmax-tokens = 5000')
    result, outcomes, _ = run(workspace, monkeypatch)
    assert (result.ending, outcomes["T1"]["attempts"]) == (Ending.COMPLETE, 1)
    assert outcomes["T1"]["reason"] == "its limit of 5,000 tokens (max-tokens) is reached"
    assert outcomes["T1"]["spent"]["usage"]["input"] == 1738


def test_limit_of_the_batch_holds_over_starts(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    set_up(workspace, "success", "budget success", "success")
    limit = SpendingLimits(0.15, None)
    paused, _, _ = run(workspace, monkeypatch, jobs=1, limits=limit)
    assert (paused.ending, paused.halt and paused.halt.cause) == (Ending.HALTED, "budget-reached")
    assert arguments(workspace, "T2", 1)[-1] == "0.121829"
    result, _, _ = run(workspace, monkeypatch, jobs=1, limits=limit)
    assert arguments(workspace, "T2", 2)[-1] == "0.100631"
    assert (result.ending, result.succeeded) == (Ending.COMPLETE, 3)


@pytest.mark.rule("S1")
@pytest.mark.parametrize("sandbox", ["bubblewrap", "landlock"])
def test_streams_in_a_sandbox(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, sandbox: str) -> None:
    set_up(workspace, "success", "refusal", "sibling-denied", agent=f'sandbox = "{sandbox}"')
    result, outcomes, events = run(workspace, monkeypatch)
    assert (result.ending, result.succeeded, result.failed) == (Ending.COMPLETE, 2, 1)
    assert outcomes["T2"]["cause"] == "declined-by-model"
    assert [trailers(workspace, item, "Cost") for item in audit(workspace).items] == [
        ["0.028171"],
        ["0.029768"],
    ]
    assert lines_of(events, "T1")[0] == "Reading"
    assert not (workspace.home / "T1.starts").exists(), "its home is its own"
