"""Whole runs of the Claude agent, with the real library, against the scripted server."""

import json
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from agents.busy_server import nap_until_busy
from conftest import Workspace
from fork_server import ForkServer, Started
from history import assert_tidy, audit, ticked, trailers

from gitbatch.agents.anthropic.scripted.script import SUMMARY
from gitbatch.agents.anthropic.scripted.server import ScriptedServer

KEY = "a-key-of-40-characters-that-nobody-sees-"
PRICE = "price = {input = 1.0, output = 10.0, cache-read = 0.1, cache-write = 2.0}"
WRITE = "say Reading. + read rules.md; write # Page; finish"


@pytest.fixture(scope="session")
def fork_server(claude_fork_server: ForkServer) -> ForkServer:
    return claude_fork_server


@pytest.fixture(scope="module")
def running() -> Iterator[ScriptedServer]:
    with ScriptedServer(key=KEY) as server:
        yield server


@pytest.fixture
def server(running: ScriptedServer, workspace: Workspace) -> ScriptedServer:
    running.reset_state()
    workspace.environment |= {"ANTHROPIC_API_KEY": KEY, "ANTHROPIC_BASE_URL": running.url}
    return running


def plan(
    workspace: Workspace, *groups: list[str], jobs: int = 50, batch: str = "", agent: str = PRICE
) -> None:
    """A plan with a group of items for each list of scripts."""
    text = "# P\n\n## Work Packages\n"
    for number, scripts in enumerate(groups, 1):
        text += f"\n### Group {number}\n\n"
        for index, script in enumerate(scripts, 1):
            name = f"T{number}{index:02}"
            text += f"- [ ] {name} Write it `script: {script}` → Output: out/{name}.md\n"
    workspace.write("task.md", text)
    workspace.write("rules.md", "# Rules\n\nWrite short pages.\n")
    workspace.write(
        "gitbatch.toml",
        f'[batch]\njobs = {jobs}\n{batch}\n[agents.claude]\nkind = "anthropic"\nmodel = "scripted"\n{agent}\n',
    )
    workspace.commit("The plan")


def run(workspace: Workspace, *more: str, code: int = 0) -> subprocess.CompletedProcess[str]:
    return workspace.gitbatch("run", "--items", "all", "--checkpoint", "at-end", *more, code=code)


def events(workspace: Workspace) -> list[dict[str, object]]:
    """The events of all starts of the only batch."""
    (log,) = (workspace.root / ".git" / "gitbatch").glob("*/events.jsonl")
    return [json.loads(line) for line in log.read_text(encoding="utf-8").splitlines()]


def assert_no_key(workspace: Workspace, done: subprocess.CompletedProcess[str]) -> None:
    """The key is nowhere: not in what was said, not in any file, not in any object."""
    assert KEY not in done.stdout + done.stderr
    for folder in (workspace.root, workspace.home):
        for path in folder.rglob("*"):
            assert not path.is_file() or KEY.encode() not in path.read_bytes(), path
    command = ["git", "cat-file", "--batch-all-objects", "--batch"]
    objects = subprocess.run(
        command, cwd=workspace.root, env=workspace.environment, capture_output=True, check=True
    )
    assert KEY.encode() not in objects.stdout


@pytest.mark.rule("F1", "S1", "S3")
def test_a_plan_is_done_by_claude(workspace: Workspace, server: ScriptedServer) -> None:
    plan(workspace, [WRITE] * 4, ["write # Two; finish"] * 2)
    done = run(workspace)
    story = audit(workspace)
    assert_tidy(workspace)
    assert len(story.items) == len(ticked(workspace)) == 6
    assert workspace.git("show", "HEAD:out/T101.md") == "# Page"
    item = story.items[0]
    assert " ".join(SUMMARY.split()) in " ".join(workspace.git("log", "-1", "--format=%B", item).split())
    assert trailers(workspace, item, "Model") == ["scripted"]
    assert "requests=3" in trailers(workspace, item, "Usage")[0]
    assert float(trailers(workspace, item, "Cost")[0]) > 0
    shown = [event["line"] for event in events(workspace) if event["event"] == "item-progress"]
    assert shown.count("Reading.") == 4
    assert shown.count("read_file: rules.md: lines 1 to 3 of 3") == 4
    assert "sandbox" not in done.stdout
    assert len({seen.start for seen in server.seen}) == 2, "one start for each group"
    assert_no_key(workspace, done)


@pytest.mark.rule("F3", "F5")
def test_a_rate_limit_makes_a_whole_batch_wait_and_nothing_fails(
    workspace: Workspace, server: ScriptedServer
) -> None:
    plan(
        workspace,
        [*["nap 0.2 + write x; nap 0.2 + read rules.md; finish"] * 19, "write x; fail 429 after=2 + finish"],
    )
    run(workspace)
    assert len(ticked(workspace)) == 20
    assert {trailers(workspace, commit, "Attempt")[0] for commit in audit(workspace).items} == {"1"}
    limited = next(seen.at for seen in server.seen if seen.status == 429)
    assert [seen for seen in server.seen if 1.5 < seen.at - limited < 1.9] == []
    assert max(seen.at for seen in server.seen) - limited > 2


@pytest.mark.rule("F3", "F4")
def test_a_cut_stream_never_commits_half_a_file(workspace: Workspace, server: ScriptedServer) -> None:
    scripts = [f"cut {how} + big 60000; finish" for how in ("eof", "reset", "error")]
    plan(workspace, [*scripts, "big 60000; cut eof + big 100; finish"])
    run(workspace)
    sizes = {
        path: workspace.git("cat-file", "-s", f"HEAD:{path}")
        for path in workspace.git("ls-tree", "-r", "--name-only", "HEAD", "out").splitlines()
    }
    assert sizes == {
        "out/T101.md": "60000",
        "out/T102.md": "60000",
        "out/T103.md": "60000",
        "out/T104.md": "96",
    }
    assert len(server.requests_of("out/T101.md")) == 3


def test_a_key_that_is_refused_stops_the_batch_and_nothing_is_lost(
    workspace: Workspace, server: ScriptedServer
) -> None:
    plan(workspace, ["write x; finish", "fail 401 + write y; finish", "write z; finish"], jobs=1)
    done = run(workspace, code=1)
    assert "401 authentication_error" in done.stdout + done.stderr
    assert server.requests_of("out/T103.md") == []
    assert_no_key(workspace, done)
    workspace.gitbatch("run", "--no-input", code=0)
    assert len(audit(workspace).items) == 3
    assert len(server.requests_of("out/T101.md")) == 2, "what is done is not paid for again"


@pytest.mark.rule("E1")
@pytest.mark.usefixtures("server")
def test_a_request_that_is_refused_fails_its_item_and_no_other(workspace: Workspace) -> None:
    scripts = ["fail 400 x9 + write y", "fail 404 x9 + write y", "write z; finish"]
    plan(workspace, scripts, ["write x; finish"], jobs=1, batch='retries = 0\non-missing = "tell"')
    done = run(workspace, code=1)
    assert "400 invalid_request_error: this is what the script says" in done.stdout
    assert "404 not_found_error: this is what the script says" in done.stdout
    assert {"out/T103.md", "out/T201.md"} == set(workspace.git("ls-files", "out").splitlines())
    assert_tidy(workspace)


@pytest.mark.rule("E1")
def test_a_server_that_does_not_say_what_it_used_stops_nothing(
    workspace: Workspace, server: ScriptedServer
) -> None:
    plan(workspace, [WRITE, WRITE])
    server.reports_usage = False
    try:
        done = run(workspace)
    finally:
        server.reports_usage = True
    story = audit(workspace)
    assert len(story.items) == 2
    assert "tokens unknown" in done.stdout
    assert "[usage missing]" in done.stdout
    assert not re.search(r"\b0 tokens|\$0\.0000", done.stdout)
    assert trailers(workspace, story.items[0], "Flag") == ["usage-missing"]
    assert trailers(workspace, story.items[0], "Cost") == []
    assert "tokens unknown" in workspace.gitbatch("status").stdout


def test_no_limit_is_kept_with_a_server_that_does_not_say_what_it_used(
    workspace: Workspace, server: ScriptedServer
) -> None:
    plan(workspace, [WRITE, WRITE], jobs=1)
    server.reports_usage = False
    try:
        done = run(workspace, "--max-tokens", "1000000", code=1)
    finally:
        server.reports_usage = True
    assert "does not report how many tokens it used, so no limit can be kept" in done.stdout + done.stderr
    assert len(server.seen) == 1


def test_a_key_that_is_missing_is_said_before_anything_is_started(
    workspace: Workspace, server: ScriptedServer
) -> None:
    plan(workspace, [WRITE])
    del workspace.environment["ANTHROPIC_API_KEY"]
    before = workspace.state()
    assert "ANTHROPIC_API_KEY is not set" in run(workspace, code=1).stderr
    assert workspace.state() == before
    assert server.seen == []


def test_a_money_limit_needs_a_known_price(workspace: Workspace, server: ScriptedServer) -> None:
    plan(workspace, [WRITE], agent="")
    before = workspace.state()
    done = run(workspace, "--max-cost", "5", code=1)
    assert "the price of model scripted (agent claude) is unknown" in done.stderr
    assert workspace.state() == before
    assert server.seen == []


def test_a_money_limit_holds(workspace: Workspace, server: ScriptedServer) -> None:
    plan(workspace, [WRITE] * 6, jobs=2)
    done = run(workspace, "--max-cost", "0.004", code=3)
    assert "are spent" in done.stderr
    spent = sum(float(trailers(workspace, commit, "Cost")[0]) for commit in audit(workspace).items)
    assert spent <= 0.02, "at most one request too much for each that ran"
    assert len(server.seen) < 18


@pytest.mark.usefixtures("server")
def test_a_request_that_the_user_interrupts_is_in_the_ledger(workspace: Workspace) -> None:
    plan(workspace, [f"cut hang + say Here.\\\\n{'x' * 4000}"])
    process = workspace.start("run", "--items", "all", "--checkpoint", "at-end")
    assert process.stdout
    assert any("Here." in line for line in process.stdout), "the beginning of the answer was read"
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=100)
    assert process.returncode == 130
    said = json.loads(workspace.gitbatch("status", "--json", code=0).stdout)
    assert re.search(r'"requests": ?1\b', json.dumps(said)), said


def test_the_limit_of_an_item_holds_over_starts_of_the_batch(
    workspace: Workspace, server: ScriptedServer
) -> None:
    plan(workspace, ["write x; fail 401 + read rules.md; finish"], agent=f"{PRICE}\nmax-tokens = 2000")
    run(workspace, code=1)
    assert len(server.seen) == 2
    workspace.gitbatch("run", "--no-input", code=1)
    assert len(server.seen) == 3, "a start on its own would have made two requests"
    used = [event for event in events(workspace) if event["event"] == "item-finished"]
    assert "tokens for this item are used" in json.dumps(used[-1])


@pytest.mark.usefixtures("server")
def test_an_attempt_that_made_no_request_has_cost_nothing(workspace: Workspace) -> None:
    plan(workspace, ["nap 20 + write x"], batch="retries = 0", agent=f'{PRICE}\ntimeout = "1s"')
    run(workspace, code=1)
    spent = json.loads(workspace.gitbatch("status", "--json", code=0).stdout)["spent"]
    assert (spent["usage"]["cost"], spent["known"], spent["unknown"]) == (0.0, 0, 0)


@pytest.mark.usefixtures("server")
def test_a_server_that_says_later_pauses_the_batch(workspace: Workspace) -> None:
    plan(workspace, ["write x; finish", "fail 429 after=7200 + write x; finish"], jobs=1)
    done = run(workspace, code=75)
    assert "429 rate_limit_error" in done.stdout + done.stderr
    workspace.gitbatch("run", "--no-input", code=0)
    assert len(ticked(workspace)) == 2


@pytest.mark.usefixtures("server")
def test_the_key_stays_with_us_whatever_the_server_says(workspace: Workspace) -> None:
    plan(workspace, [WRITE, "leak"], batch="retries = 0")
    assert_no_key(workspace, run(workspace, code=1))


@pytest.mark.usefixtures("server")
def test_the_key_stays_with_us_whatever_the_model_says(workspace: Workspace) -> None:
    said = r"say It is \k. + search \k; write \k; write x; finish It is \k. Two."
    plan(workspace, [said])
    done = run(workspace)
    assert "It is [the key]. Two." in workspace.git("log", "--format=%B")
    assert_no_key(workspace, done)


COMMANDS = """
import sys
from gitbatch.__main__ import main
for command in ("--version", "status", "plan", "lint"):
    sys.argv = ["gitbatch", command]
    try:
        main()
    except SystemExit as ended:
        assert not ended.code, command
    found = {"anthropic", "httpx2", "pydantic", "genai_prices"} & sys.modules.keys()
    assert not found, (command, found)
"""


def test_what_runs_no_agent_does_not_import_the_library(workspace: Workspace) -> None:
    plan(workspace, [WRITE])
    subprocess.run(
        [sys.executable, "-c", COMMANDS], cwd=workspace.root, env=workspace.environment, check=True
    )


@pytest.mark.slow
def test_fifty_items_at_once_take_little_memory(
    workspace: Workspace, server: ScriptedServer, fork_server: ForkServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Beyond what a process has that has imported the library, with which it begins here."""
    status = Path(f"/proc/{fork_server.pid}/status")
    if not status.exists():
        pytest.skip("needs /proc")
    idle = int(next(line for line in status.read_text().splitlines() if line.startswith("VmRSS")).split()[1])
    nap_until_busy(monkeypatch, server, 31)
    plan(workspace, ["nap 0.5 + say x + read rules.md; nap 0.5 + big 60000; nap 0.5 + finish"] * 50)
    running = workspace.start("run", "--items", "all", "--checkpoint", "at-end", is_heard=False)
    assert isinstance(running, Started)
    assert running.wait(100) == 0
    assert server.most_under_way >= 31
    assert 0 < running.peak - idle <= 150 << 10, (idle, running.peak)


def test_what_a_declined_attempt_had_written_has_to_be_changed(
    workspace: Workspace, server: ScriptedServer
) -> None:
    later = "fail 429 after=5000 + write # Later; finish"
    plan(workspace, ["write # Half; stop refusal + say no", later], jobs=1, batch="retries = 0")
    run(workspace, code=75)
    (ref,) = workspace.git("for-each-ref", "--format=%(refname)", "refs/gitbatch/*/rescue/*").splitlines()
    assert workspace.git("show", f"{ref}:out/T101.md") == "# Half"
    assert trailers(workspace, ref, "Cause") == ["declined-by-model"]
    workspace.edit("task.md", "write # Half; stop refusal + say no", "finish; edit Half => Whole; finish")
    workspace.commit("Ask for something else")
    run(workspace)
    assert workspace.git("show", "HEAD:out/T101.md") == "# Whole"
    assert "is as it was: change it" in server.requests_of("out/T101.md")[-2].messages
    assert workspace.git("for-each-ref", "refs/gitbatch/*/rescue/*") == "", "its item is merged"
