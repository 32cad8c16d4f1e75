"""The real Claude Code against the scripted server, where it is installed: a `claude` on PATH, or the one that the
package `claude-agent-sdk` brings along.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from conftest import Here, Workspace
from history import assert_tidy, ticked
from processes import agents_below, require_no_agents
from sessions import run_here
from waiting import wait_until

from gitbatch.agents.anthropic.scripted.server import KEY, ScriptedServer
from gitbatch.batch.ending import Ending, Result
from gitbatch.batch.trial import repository


def find_claude() -> Path | None:
    """Returns the program."""
    package = find_spec("claude_agent_sdk")
    folders = package.submodule_search_locations if package else None
    bundled = [Path(folder) / "_bundled" / "claude" for folder in folders or ()]
    on_path = shutil.which("claude")
    return next((path for path in bundled if path.is_file()), Path(on_path) if on_path else None)


CLAUDE = find_claude()
pytestmark = pytest.mark.skipif(CLAUDE is None, reason="Claude Code is not installed")


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
    *groups: tuple[tuple[str, str], ...],
    agent: str = "",
    retries: int = 0,
) -> None:
    """Writes a plan with an item for each pair of an output and a script."""
    server.reset_state()
    workspace.environment |= {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": server.url}
    workspace.environment["PATH"] = os.environ["PATH"]
    text = "# P\n\n## Work Packages\n"
    for number, items in enumerate(groups, 1):
        text += f"\n### Group {number}\n\n"
        for index, (output, script) in enumerate(items, 1):
            text += f"- [ ] T{number}{index:02} Write it `script: {script}` → Output: `{output}`\n"
    workspace.write("task.md", text)
    workspace.write("rules.md", "# Rules\n\nWrite short pages.\n")
    workspace.write(
        "gitbatch.toml",
        f'[batch]\nretries = {retries}\n[agents.claude]\nkind = "claude-code"\nprogram = "{CLAUDE}"\n{agent}\n',
    )
    workspace.commit("The plan")


def run(
    workspace: Workspace,
    patch: pytest.MonkeyPatch,
    **more: Any,  # noqa: ANN401 - settings of a session
) -> tuple[Result, dict[str, Any], list[Any]]:
    result, events = run_here(workspace, patch, **more)
    outcomes = [event["outcome"] for event in events if event["event"] == "item-finished"]
    return result, {outcome["item"]["name"]: outcome for outcome in outcomes}, events


CONTRIBUTED = '{"contributions": [{"artifact": "tool-inventory.md", "text": "A hammer"}]}'
SAY = "say Wrote the page. It has one heading."


@pytest.mark.rule("F1", "S1", "S3", "P4")
@pytest.mark.parametrize("sandbox", ["bubblewrap", "landlock"])
def test_five_items_in_two_groups(
    workspace: Workspace, running: ScriptedServer, monkeypatch: pytest.MonkeyPatch, sandbox: str
) -> None:
    """A sibling's output is denied, odd names are written, and a busy server makes the items wait."""
    odd, top = "out/[x] a*b!#(1) c.md", "c (1) d.md"
    workspace.write("tool-inventory.md", "# Tools\n")
    set_up(
        workspace,
        running,
        (
            (
                "out/a.md",
                f'say Reading + Read {{"file_path": "rules.md"}}; {write_call("out/a.md")}; {SAY}\\n{CONTRIBUTED}',
            ),
            ("out/b.md", f"{write_call('out/a.md')}; {write_call('out/b.md')}; {SAY}"),
            (odd, f"{write_call('out/x aab!#(1) c.md')}; {write_call(odd)}; {SAY}"),
        ),
        (
            (top, f"{write_call(f'out/{top}')}; {write_call(top)}; {SAY}"),
            ("out/d.md", f"fail 429 after=1 + {write_call('out/d.md')}; {SAY}"),
        ),
        agent=f'sandbox = "{sandbox}"',
    )
    result, outcomes, events = run(workspace, monkeypatch)
    assert (result.ending, result.succeeded) == (Ending.COMPLETE, 5), json.dumps(outcomes)
    assert len(ticked(workspace)) == 5
    assert_tidy(workspace)
    paths = workspace.git("-c", "core.quotePath=false", "ls-tree", "-r", "--name-only", "HEAD").splitlines()
    assert {top, "out/a.md", "out/b.md", "out/d.md", odd} <= set(paths)
    assert not {f"out/{top}", "out/x aab!#(1) c.md"} & set(paths)
    assert {outcome["attempts"] for outcome in outcomes.values()} == {1}
    assert all(outcome["reply"]["usage"]["cost"] > 0 for outcome in outcomes.values())
    shown = [event["line"] for event in events if event["event"] == "item-progress"]
    assert {
        "Reading",
        "Read: rules.md",
        "not allowed: Write out/a.md",
        f"not allowed: Write out/{top}",
    } <= set(shown)
    assert outcomes["T101"]["reply"]["summary"] == "Wrote the page. It has one heading."
    assert "A hammer" in workspace.git("show", "HEAD:tool-inventory.md")
    header = f"agent claude: network: api ({running.url.removeprefix('http://')})"
    assert header in [event.get("text") for event in events]
    require_no_agents(workspace)


def test_failures(workspace: Workspace, running: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
    read = 'Read {"file_path": "rules.md"}'
    set_up(
        workspace,
        running,
        (
            ("out/a.md", "overflow 10 + say x"),
            ("out/b.md", "say no + stop refusal"),
            ("out/c.md", "; ".join([read] * 4)),
            ("out/d.md", "fail 400 x9 + say x"),
        ),
        agent='sandbox = "bubblewrap"\nmax-turns = 2\nmax-cost = 1.0\n',
    )
    _, outcomes, _ = run(workspace, monkeypatch)
    causes = {name: outcome.get("cause") for name, outcome in outcomes.items()}
    assert causes == {
        "T101": "context-too-large",
        "T102": "declined-by-model",
        "T103": "failed",
        "T104": "failed",
    }
    assert "maximum number of turns" in outcomes["T103"]["reason"]


@pytest.mark.parametrize(
    ("script", "key", "halt"),
    [
        (SAY, "another-key", ("agent-unusable", "Failed to authenticate")),
        ("fail 529 x9 + say x", KEY, ("come-back-later", "API Error: 529")),
        ("fail 429 after=300 x9 + say x", KEY, ("come-back-later", "Request rejected (429)")),
    ],
)
def test_batch_halts(
    workspace: Workspace,
    running: ScriptedServer,
    monkeypatch: pytest.MonkeyPatch,
    script: str,
    key: str,
    halt: tuple[str, str],
) -> None:
    set_up(workspace, running, (("out/a.md", script), ("out/b.md", SAY)), agent='sandbox = "bubblewrap"')
    workspace.environment["ANTHROPIC_API_KEY"] = key
    result, _, _ = run(workspace, monkeypatch, jobs=1, longest_wait=0.01)
    assert result.halt
    cause, reason = halt
    assert (result.halt.cause, reason in result.halt.reason) == (cause, True), result.halt
    asked = 300 if "after=300" in script else 0  # which Claude Code does not say: the proxy has read it
    assert (result.halt.back_at or time.time()) > time.time() + asked - 100


def test_environment_has_no_key(
    workspace: Workspace, running: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its shell finds a placeholder; the requests that reach the server have the key."""
    show = f"Bash {json.dumps({'command': 'env && cat /proc/self/environ', 'description': 'Show it'})}"
    set_up(
        workspace,
        running,
        (("out/a.md", f"{show}; {write_call('out/a.md')}; {SAY}"),),
        agent='tools = ["Read", "Write", "Bash"]',
    )
    result, _, events = run(workspace, monkeypatch)
    assert (result.ending, result.succeeded) == (Ending.COMPLETE, 1), json.dumps(events)
    assert f"agent claude: network: api ({running.url.removeprefix('http://')})" in [
        e.get("text") for e in events
    ]
    shown = "".join(seen.messages for seen in running.seen)
    assert "ANTHROPIC_API_KEY=sk-ant-api03-" in shown
    assert KEY not in shown
    assert {seen.status for seen in running.seen} == {200}


@pytest.mark.parametrize("sandbox", ["bubblewrap", "landlock"])
def test_suite_of_included_packages(
    workspace: Workspace, running: ScriptedServer, monkeypatch: pytest.MonkeyPatch, sandbox: str
) -> None:
    """Its shell runs a suite out of node_modules and one out of a .venv that has the repository as an editable install."""
    venv, suite = (
        workspace.root / ".venv",
        "node_modules/.bin/run-tests && .venv/bin/python -m unittest -q checks 2>&1",
    )
    run_suite = f"Bash {json.dumps({'command': suite, 'description': 'Run the tests'})}"
    workspace.write(".gitignore", ".venv\nnode_modules\n")
    workspace.write(".worktreeinclude", ".venv\nnode_modules\n")
    workspace.write("src/thing.py", "WHERE = __file__\n")
    workspace.write(
        "checks.py",
        "import os, sys, thing, unittest\n\n\nclass Checks(unittest.TestCase):\n    def test_place(self):\n"
        f"        self.assertEqual((thing.WHERE, os.getcwd()), ('{workspace.root}/src/thing.py', '{workspace.root}'))\n"
        "        self.assertFalse(os.path.exists('.git/config'), 'it is the worktree')\n",
    )
    set_up(
        workspace,
        running,
        (("out/a.md", f"{run_suite}; {write_call('out/a.md')}; {SAY}"),),
        agent=f'sandbox = "{sandbox}"\ntools = ["Read", "Write", "Bash"]\n',
    )
    workspace.write(
        "node_modules/.bin/run-tests", "#!/bin/sh\ntest -e node_modules/lib.js && echo packages work\n"
    )
    workspace.write("node_modules/lib.js", "")
    (workspace.root / "node_modules/.bin/run-tests").chmod(0o755)
    subprocess.run(("/usr/bin/python3", "-m", "venv", "--without-pip", venv), check=True)
    (site,) = venv.glob("lib/python*/site-packages")
    (site / "editable.pth").write_text(f"{workspace.root}/src\n")
    workspace.environment["GITBATCH_WORKTREE"] = "overlay"
    result, outcomes, events = run(workspace, monkeypatch)
    assert (result.ending, result.succeeded) == (Ending.COMPLETE, 1), json.dumps(outcomes)
    assert events[0]["worktrees"] == "overlay"
    shown = "".join(seen.messages for seen in running.seen)
    assert "packages work" in shown
    assert "Ran 1 test" in shown
    assert "FAILED" not in shown
    require_no_agents(workspace)
    assert str(workspace.root) not in Path("/proc/self/mountinfo").read_text()


def test_time_out_leaves_no_process(
    workspace: Workspace, running: ScriptedServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_up(
        workspace,
        running,
        (("out/a.md", "nap 50 + say x"),),
        agent='sandbox = "bubblewrap"\ntimeout = "4s"\n',
    )
    _, outcomes, _ = run(workspace, monkeypatch)
    assert outcomes["T101"]["cause"] == "timed-out"
    require_no_agents(workspace)


@pytest.mark.copied("its processes are known by the folder that they work in")
def test_interrupt_leaves_no_process(workspace: Workspace, running: ScriptedServer) -> None:
    set_up(workspace, running, (("out/a.md", "nap 50 + say x"),), agent='sandbox = "bubblewrap"')
    command = [sys.executable, "-m", "gitbatch", "run", "--items", "all", "--checkpoint", "at-end"]
    process = subprocess.Popen(
        command, cwd=workspace.root, env=workspace.environment, stdin=subprocess.DEVNULL
    )
    try:
        wait_until(lambda: bool(running.seen), "the request of Claude Code", patience=60)
        assert agents_below(workspace)
        process.send_signal(signal.SIGINT)
        assert process.wait(30) == 130
    finally:
        process.kill()
    require_no_agents(workspace)


@pytest.mark.parametrize("sandbox", ["bubblewrap", "landlock"])
def test_trial(
    workspace: Workspace, running: ScriptedServer, monkeypatch: pytest.MonkeyPatch, here: Here, sandbox: str
) -> None:
    """`gitbatch agents try` finds out whether this version keeps the rule for the one file."""
    set_up(workspace, running, agent=f'sandbox = "{sandbox}"')
    script = (
        f"{write_call(repository.OTHER_FILE)}; {write_call(repository.OUTPUT)}; say Wrote it. It is short."
    )
    plan = repository._PLAN.replace("T1 Say hello", f"T1 Say hello `script: {script}`")
    monkeypatch.setattr(repository, "_PLAN", plan)
    code, said, _ = here("agents", "try", "claude", "--json")
    steps = {step["name"]: step for step in json.loads(said)["steps"]}
    assert (code, {step["status"] for step in steps.values()}) == (0, {"ok"}), steps
    assert steps["version"]["detail"]
    assert steps["other file"]["detail"] == f"not allowed: Write {repository.OTHER_FILE}"


@pytest.mark.parametrize("sandbox", ["bubblewrap", "landlock"])
def test_it_reviews_and_writes_nothing(
    workspace: Workspace, running: ScriptedServer, monkeypatch: pytest.MonkeyPatch, sandbox: str
) -> None:
    """One item is accepted after attempts to write, one is sent back, and one has a verdict without its code."""
    verdict = r'say Looked. {"review": "\c", "verdict": '
    accept, revise = (
        f'{verdict}"accept", "findings": []}}',
        f'{verdict}"revise", "findings": [{{"line": 1, "text": "No."}}]}}',
    )
    tries = f'{write_call("out/a.md")} + Bash {{"command": "touch new"}}; Read {{"file_path": "out/a.md"}}; {accept}'
    scripts = {"a": tries, "b": revise, "c": 'say {"verdict": "accept", "findings": []}'}
    checks = "".join(
        f"[checks.{name}]\nagent = \"claude\"\nprompt = '''`script: {script}`'''\non = [\"out/{name}.md\"]\n"
        for name, script in scripts.items()
    )
    items = tuple((f"out/{name}.md", f"{write_call(f'out/{name}.md')}; {SAY}") for name in scripts)
    set_up(workspace, running, items, agent=f'sandbox = "{sandbox}"\n{checks}')
    _, outcomes, events = run(workspace, monkeypatch)
    assert ticked(workspace) == ["T101"], json.dumps(outcomes)
    assert outcomes["T102"]["details"] == ["b: line 1 “# Page”: No."]
    assert outcomes["T103"]["cause"] == "unreviewed"
    shown = [event["line"] for event in events if event["event"] == "item-progress"]
    assert "a: Read: out/a.md" in shown
    assert workspace.git("show", "HEAD:out/a.md") == "# Page"
    require_no_agents(workspace)
