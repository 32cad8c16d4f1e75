"""Shared artifacts (rule O4): every inventory beside the plan is one; agents contribute, the orchestrator writes."""

import sys

import pytest
from conftest import Workspace
from sessions import run_here

from gitbatch.agents.protocol import Contribution
from gitbatch.batch.item.contributions import describe_lost_contributions, group_contributions
from gitbatch.batch.planning.project_state import ProjectState, read_project_state
from gitbatch.repo.opening import open_repository
from gitbatch.text import clean_text

AGENT = """\
import json, os, sys
told = "which no worker writes: capabilities-inventory.md. " in sys.stdin.read()
open(os.environ["GITBATCH_OUTPUT"], "w").write("page\\n")
if os.environ["GITBATCH_OUTPUT"] == "out/2.md":
    open("stray-inventory.md", "w").write("mine\\n")
json.dump({"summary": "Wrote it. It is short.", "contributions": [
    {"artifact": name, "text": f"about {name}" if told else "not told"}
    for name in ("capabilities-inventory.md", "new-inventory.md", "notes.md", "link-inventory.md")
]}, open(os.environ["GITBATCH_REPLY"], "w"))
"""
PLAN = "# P\n\n## Work Packages\n\n### G\n\n- [ ] T1 Write → Output: out/1.md\n- [ ] T2 Stray → Output: out/2.md\n"
KNOWN = "capabilities-inventory.md, *-inventory.md"
NOTES = [
    f"contributed to notes.md: unknown shared artifact (known: {KNOWN}); the text is in the item's commit",
    "contributed to link-inventory.md: link-inventory.md is a symlink; the text is in the item's commit",
]


@pytest.fixture
def workspace(three: Workspace) -> Workspace:
    three.write("tools/contribute.py", AGENT)
    three.write("task.md", PLAN)
    three.write("capabilities-inventory.md", "# Capabilities\n")
    three.write(
        "gitbatch.toml",
        '[batch]\nretries = 0\n[agents.a]\nkind = "command"\n'
        f'command = ["{sys.executable}", "-S", "tools/contribute.py"]\n',
    )
    (three.root / "link-inventory.md").symlink_to("task.md")
    three.commit()
    return three


@pytest.mark.rule("O4")
def test_contributions_reach_the_inventories_beside_the_plan(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, events = run_here(workspace, monkeypatch)
    for name in ("capabilities-inventory.md", "new-inventory.md"):
        written = workspace.git("show", f"HEAD:{name}")
        assert written.endswith(f"## G\n\n- about {name}")
        assert (workspace.root / name).read_text(encoding="utf-8") == f"{written}\n"
    outcomes = {e["outcome"]["item"]["name"]: e["outcome"] for e in events if e["event"] == "item-finished"}
    assert outcomes["T1"]["status"] == "succeeded"
    assert outcomes["T1"]["notes"] == NOTES
    assert outcomes["T2"]["status"] == "refused"
    assert "stray-inventory.md" in outcomes["T2"]["reason"]
    (checkpoint,) = [e["checkpoint"] for e in events if e["event"] == "checkpoint"]
    assert checkpoint["notes"] == [f"T1 {note}" for note in NOTES]
    assert f"Note: T1 {NOTES[0]}" in workspace.git("log", "-1", "--format=%B").replace("\n", " ")
    workspace.gitbatch("verify", code=0)


def state_of(workspace: Workspace) -> ProjectState:
    repo = open_repository(workspace.root, read_only=True)
    try:
        return read_project_state(repo, workspace.git("rev-parse", "HEAD").strip())
    finally:
        repo.close()


def test_two_spellings_of_a_new_inventory_are_one_file(workspace: Workspace) -> None:
    state = state_of(workspace)
    given = tuple(
        Contribution(clean_text(name), clean_text(text))
        for name, text in (("A-inventory.md", "1"), ("./a-Inventory.md", "2"), ("b.md", "3"))
    )
    assert group_contributions(given, state) == {"A-inventory.md": ("1", "2")}
    assert [note.partition(":")[0] for note in describe_lost_contributions(given, state)] == [
        "contributed to b.md"
    ]
