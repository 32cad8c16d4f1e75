"""Real agents that speak ACP against the scripted server, where they are installed on PATH."""

import json
import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from batch.scripted_models import SUMMARY, serve_models
from conftest import Workspace
from history import assert_tidy, ticked
from processes import require_no_agents
from sessions import run_here

from gitbatch.agents.anthropic.scripted.server import KEY, ScriptedServer
from gitbatch.batch.ending import Ending, Result

claude = pytest.mark.skipif(
    shutil.which("claude-agent-acp") is None, reason="claude-agent-acp is not installed"
)
opencode = pytest.mark.skipif(shutil.which("opencode") is None, reason="OpenCode is not installed")
SAY = "say Wrote the page. It has one heading."


@pytest.fixture(scope="module")
def running() -> Iterator[ScriptedServer]:
    with ScriptedServer() as server:
        yield server


def write_call(path: str) -> str:
    """Returns a step of a script: a call that writes a file."""
    return f"Write {json.dumps({'file_path': path, 'content': '# Page'})}"


def set_up(
    workspace: Workspace,
    server: ScriptedServer,
    items: tuple[tuple[str, str], ...],
    agent: str,
    preset: str = "claude",
) -> None:
    server.reset_state()
    workspace.environment |= {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": server.url}
    workspace.environment["PATH"] = os.environ["PATH"]
    listed = "".join(
        f"- [ ] T{index:02} Write it `script: {script}` → Output: `{output}`\n"
        for index, (output, script) in enumerate(items, 1)
    )
    workspace.write("task.md", f"# P\n\n## Work Packages\n\n### Group 1\n\n{listed}")
    workspace.write("rules.md", "# Rules\n\nWrite short pages.\n")
    workspace.write(
        "gitbatch.toml", f'[batch]\nretries = 0\n[agents.a]\nkind = "acp"\npreset = "{preset}"\n{agent}\n'
    )
    workspace.commit("The plan")


def run(workspace: Workspace, patch: pytest.MonkeyPatch) -> tuple[Result, dict[str, Any], list[Any]]:
    result, events = run_here(workspace, patch)
    outcomes = [event["outcome"] for event in events if event["event"] == "item-finished"]
    return result, {outcome["item"]["name"]: outcome for outcome in outcomes}, events


@claude
@pytest.mark.parametrize("sandbox", ["bubblewrap", "landlock"])
def test_claude_adapter(
    workspace: Workspace, running: ScriptedServer, monkeypatch: pytest.MonkeyPatch, sandbox: str
) -> None:
    """It writes its outputs, a sibling's is denied, and its cost is known."""
    items = (
        ("out/a.md", f'say Reading + Read {{"file_path": "rules.md"}}; {write_call("out/a.md")}; {SAY}'),
        ("out/b.md", f"{write_call('out/a.md')}; {write_call('out/b.md')}; {SAY}"),
    )
    set_up(workspace, running, items, f'sandbox = "{sandbox}"')
    result, outcomes, events = run(workspace, monkeypatch)
    assert (result.ending, result.succeeded) == (Ending.COMPLETE, 2), json.dumps(outcomes)
    assert len(ticked(workspace)) == 2
    assert_tidy(workspace)
    shown = [event["line"] for event in events if event["event"] == "item-progress"]
    assert {"Reading", "edit: out/a.md", "not allowed: edit: out/a.md"} <= set(shown), shown
    assert all(outcome["reply"]["usage"]["cost"] > 0 for outcome in outcomes.values())
    assert outcomes["T01"]["reply"]["summary"] == "Wrote the page. It has one heading."
    require_no_agents(workspace)


@claude
def test_claude_adapter_reviews_and_writes_nothing(
    workspace: Workspace, running: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its edit is not allowed and changes nothing; the verdict is at the end of its last message."""
    verdict = r'say Looked. {"review": "\c", "verdict": '
    finding = '[{"line": 1, "text": "No."}]'
    scripts = {
        "a": f'Read {{"file_path": "out/a.md"}}; {write_call("out/a.md")}; {verdict}"accept", "findings": []}}',
        "b": f'{verdict}"revise", "findings": {finding}}}',
        "c": 'say {"verdict": "accept", "findings": []}',
    }
    checks = "".join(
        f"[checks.{name}]\nagent = \"a\"\nprompt = '''`script: {script}`'''\non = [\"out/{name}.md\"]\n"
        for name, script in scripts.items()
    )
    items = tuple((f"out/{name}.md", f"{write_call(f'out/{name}.md')}; {SAY}") for name in scripts)
    set_up(workspace, running, items, checks)
    _, outcomes, events = run(workspace, monkeypatch)
    shown = [event["line"] for event in events if event["event"] == "item-progress"]
    assert ticked(workspace) == ["T01"], (outcomes, shown)
    assert "a: not allowed: edit: out/a.md" in shown, shown
    assert outcomes["T02"]["details"] == ["b: line 1 “# Page”: No."]
    assert outcomes["T03"]["cause"] == "unreviewed"
    require_no_agents(workspace)


@opencode
def test_opencode(workspace: Workspace, running: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    """It asks for nothing, but keeps the rules of its preset."""
    sibling = json.dumps({"filePath": "out/b.md", "content": "# No"})
    own = json.dumps({"filePath": "out/a.md", "content": "# Page"})
    shell = json.dumps({"command": "touch x", "description": "d"})
    script = f"raw write {sibling}; raw bash {shell}; raw write {own}; {SAY}"
    settings = json.dumps({"provider": {"anthropic": {"options": {"baseURL": f"{running.url}/v1"}}}})
    agent = (
        f'sandbox = "bubblewrap"\nmodel = "anthropic/claude-sonnet-4-5"\nnetwork = true\n'
        f"env = {{OPENCODE_CONFIG_CONTENT = '{settings}'}}"
    )
    set_up(workspace, running, (("out/a.md", script),), agent, "opencode")
    result, outcomes, events = run(workspace, monkeypatch)
    shown = [event["line"] for event in events if event["event"] == "item-progress"]
    assert (result.ending, result.succeeded) == (Ending.COMPLETE, 1), (outcomes, shown)
    assert any(line.startswith("edit: out/b.md failed") for line in shown), shown
    assert outcomes["T01"]["reply"]["usage"]["cost"] > 0


@pytest.mark.parametrize(
    ("program", "variables", "goes_on"),
    [
        ("qwen", {"OPENAI_API_KEY": "key-of-a-test", "OPENAI_BASE_URL": "{url}/v1"}, False),
        ("gemini", {"GEMINI_API_KEY": "key-of-a-test", "GOOGLE_GEMINI_BASE_URL": "{url}"}, True),
    ],
)
def test_other_agents(
    workspace: Workspace,
    running: ScriptedServer,
    monkeypatch: pytest.MonkeyPatch,
    program: str,
    variables: dict[str, str],
    goes_on: bool,  # noqa: FBT001 - rows of a table
) -> None:
    """They ask for each write, and only the output is allowed. Qwen Code ends its turn when a call is denied."""
    if shutil.which(program) is None:
        pytest.skip(f"{program} is not installed")
    items = (
        ("out/a.md", "x` write: out/a.md out/a.md `"),
        ("out/b.md", "x` write: out/a.md out/b.md `"),
    )
    with serve_models() as url:
        workspace.environment |= {name: value.format(url=url) for name, value in variables.items()}
        set_up(workspace, running, items, 'model = "gemini-2.5-pro"\ntimeout = "2m"', program)
        result, outcomes, events = run(workspace, monkeypatch)
    shown = [event["line"] for event in events if event["event"] == "item-progress"]
    assert (result.ending, result.succeeded) == (Ending.COMPLETE, 1 + goes_on), (outcomes, shown)
    assert "not allowed: edit: out/a.md" in shown, shown
    assert outcomes["T01"]["reply"]["summary"] == SUMMARY
    assert outcomes["T02"].get("cause") == (None if goes_on else "no-usable-output")
