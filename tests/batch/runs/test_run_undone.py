"""Whole runs after an undo, a retry with another agent, and a change of what items have read."""

import json
import shutil

import pytest
from conftest import Here, Workspace
from history import ticked, trailers
from sessions import run_here

from gitbatch.batch.ending import Ending

AGENT = """\
#!/bin/sh
# Writes its prompt; does what its item says behind "do:".
set -eu
prompt=$(cat)
mkdir -p "$(dirname "$1")"
printf '%s\\n' "$prompt" >"$1"
case $prompt in
*"do: fail"*) exit 3 ;;
*"do: shared"*) echo mine >>task.md ;;
*"do: take"*) cd PLACE && mkdir -p out/letters && echo u >out/letters/c.md && git add out && git commit -qm "The user" ;;
esac
echo '{"summary": "Wrote it. It has one heading.", "decisions": ["One heading"]}' >"$GITBATCH_REPLY"
"""
STRONG = """
[agents.strong]
kind = "command"
command = ["sh", "tools/agent.sh", "{output}"]
sandbox = "none"
"""


@pytest.fixture
def workspace_of_runs(three: Workspace) -> Workspace:
    """A plan with two agents that write down their prompts."""
    three.write("tools/agent.sh", AGENT.replace("PLACE", f"'{three.root}'"))
    default = three.read("gitbatch.toml").replace("[batch]", '[batch]\nagent = "scripted"')
    three.write("gitbatch.toml", default.replace("timeout", "reports-usage = true\ntimeout") + STRONG)
    three.git("config", "user.name", "Test User")
    three.git("config", "user.email", "user@example.org")
    three.commit()
    return three


def agent_of(workspace: Workspace, output: str) -> list[str]:
    """The agent of the last commit of an item."""
    commit = workspace.git("log", "-1", "--format=%H", "--grep", f"^Gitbatch-Item: {output}$")
    return trailers(workspace, commit, "Agent")


@pytest.mark.rule("F7")
def test_what_read_an_undone_output_is_undone_and_runs_again(
    workspace_of_runs: Workspace, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then a change of the user's makes items stale: they run again by another agent, which a later run remembers."""
    workspace = workspace_of_runs
    run_here(workspace, monkeypatch)
    code, said, _ = here("undo", "T101", "--with-dependants")
    assert code == 0
    again = ["T201", "T204", "T301", "T302", "T303", "T304"]
    assert said.splitlines()[:7] == ["undone     T101", *(f"undone     {n}, and runs again" for n in again)]
    assert "stale" not in said
    assert ticked(workspace) == ["T102", "T103", "T104", "T202", "T203"]
    assert workspace.git("ls-tree", "-r", "--name-only", "main", "out").count("\n") == 4
    log = workspace.read("decisions-log.md").splitlines()[-7:]
    assert [line.partition(" · ")[2].partition(" · ")[2] for line in log] == [
        f"{name}: undone: One heading" for name in ("T101", *again)
    ]
    assert here("retry", "T101", "--no-run")[0] == 0
    result, events = run_here(workspace, monkeypatch, items=None, checkpoint=None)
    started = [(e["group"], e["revision"]) for e in events if e["event"] == "group-started"]
    assert (result.ending, result.succeeded, started) == (Ending.COMPLETE, 12, [(1, 1), (2, 1), (3, 1)])
    assert here("status", "--stale")[1] == "no item is stale: what each has read is what the branch has\n"
    assert here("retry", "T101", "--no-run")[0] == 1, "nothing of it is stale"
    prompts = next((workspace.root / ".git/gitbatch").glob("*/prompts"))
    kept = here("show", "T201", "--prompt")[1]
    prompts.rename(prompts.with_name("hidden"))
    assert here("show", "T201", "--prompt")[1] == kept, "rendered again, without a word of the undo"

    read = workspace.git("rev-parse", "main:out/letters/b.md")
    workspace.write("out/letters/b.md", "mine\n")
    workspace.commit()
    found = json.loads(here("status", "--stale", "--json")[1])["stale"]
    assert [each["name"] for each in found] == ["T201", "T202", *again[2:]]
    now = workspace.git("rev-parse", "main:out/letters/b.md")
    assert found[1]["inputs"] == [{"path": "out/letters/b.md", "read": read, "now": now}]
    assert "  out/letters/b.md  read" in here("status", "--stale")[1]
    assert here("retry", "T202", "--agent", "strong", "--no-run")[0] == 0
    code, _, error = here("run", "--max-cost", "1")
    assert (code, error.splitlines()[0].partition(",")[0]) == (
        2,
        "gitbatch: agent strong does not report its cost",
    ), "the limits of a run are those of the agents that reviews have chosen too"
    code, said, _ = here("retry", "--stale")
    assert code == 0, said
    assert said.splitlines()[0] == "retried    T201"
    assert agent_of(workspace, "out/pairs/bc.md") == ["strong"]
    assert "or have changed: out/letters/b.md. Bring" in workspace.read("out/pairs/bc.md")
    assert "out/pairs/bc.md is there as the last run" in workspace.read("out/pairs/bc.md")
    assert "retried by Test User, for agent strong" in here("show", "T202")[1]
    kept = here("show", "T202", "--prompt")[1]
    assert f"{workspace.read('out/pairs/bc.md')}".rstrip() == kept.rstrip()
    shutil.rmtree(next((workspace.root / ".git/gitbatch").glob("*/prompts")))
    assert here("show", "T202", "--prompt")[1] == kept
    assert agent_of(workspace, "out/pairs/ab.md") == ["scripted"]
    changed = "or have changed: out/letters/b.md, out/pairs/ab.md, out/pairs/bc.md. Bring"
    assert changed in workspace.read("out/words/one.md")
    assert len(ticked(workspace)) == 12
    assert here("status", "--stale")[1].startswith("no item is stale")
    assert here("verify")[1].endswith("nothing found\n")


@pytest.mark.rule("F7")
@pytest.mark.copied("an agent in an overlay does not find the checkout that it changes here")
def test_every_kind_of_failure_runs_again_and_frees_what_it_blocks(
    workspace_of_runs: Workspace, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One item fails, one is refused, one is in conflict; what reads them is blocked, and runs when they do."""
    workspace = workspace_of_runs
    for name, does in (("a", "fail"), ("b", "shared"), ("c", "take")):
        workspace.edit("task.md", f"Write {name} →", f"Write {name} do: {does} →")
    workspace.commit()
    result, _ = run_here(workspace, monkeypatch)
    status = {failure.name: str(failure.status) for failure in result.failures}
    letters = {"T101": "failed", "T102": "refused", "T103": "conflicted"}
    assert status == letters | dict.fromkeys(["T201", "T202", "T203", "T204"], "blocked")
    workspace.write("task.md", workspace.read("task.md").replace(" do: ", " done: "))
    workspace.commit("Do not")
    code, said, _ = here("retry", "T101", "T102", "--no-run")
    assert said.splitlines()[:3] == ["retried    T101", "retried    T102", "retried    T201"], said
    code, said, _ = here("retry", "--failed")
    assert said.splitlines()[0] == "retried    T103"
    assert code == 0, said
    assert len(ticked(workspace)) == 12
    found = json.loads(here("status", "--stale", "--json")[1])["stale"]
    assert [each["name"] for each in found] == ["T301", "T302", "T303", "T304"], "they ran without"
    read = {each["path"]: each["read"] for each in found[0]["inputs"]}
    assert read.pop("out/letters/c.md") == workspace.git(
        "rev-parse", "main@{0}^{/^The user}:out/letters/c.md"
    )
    assert set(read.values()) == {None}
    assert here("verify")[1].endswith("nothing found\n")
    assert workspace.git("for-each-ref", "refs/heads/gitbatch/") == ""
