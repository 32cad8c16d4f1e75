"""A batch of more items than its records list one by one: what they count instead, and that nothing is lost by it."""

import json

import pytest
from batch.forger import opened
from conftest import Workspace
from history import trailers
from sessions import run_here

from gitbatch.batch.history.batches import read_any_progress
from gitbatch.batch.history.reads import read_recorded_items
from gitbatch.batch.history.record import all_batches
from gitbatch.batch.history.verify.audit import audit_history
from gitbatch.batch.planning.stale import find_stale_items

CONFIG = """\
[batch]
checkout = "context"
retries = 0
on-missing = "tell"

[agents.sh]
kind = "command"
sandbox = "none"
command = ["sh", "-c", 'cat "$GITBATCH_CONTEXT" >&2; test "$1" != out/7.md && echo more >>"$1"', "sh", "{output}"]
"""


def test_what_a_long_group_records(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """One run of 103 items, of which one fails: messages, status, events, verify, what is stale, and a forged digest."""
    numbers = range(1, 102)
    lines = [f"- [ ] T{n} Write → Output: out/{n}.md\n" for n in numbers]
    last = "### Last\n\n- [ ] A1 Join → Output: all.md\n- [ ] A2 Join → Output: out/1.md\n"
    workspace.write("task.md", f"# Plan\n\n## Work Packages\n\n### First\n\n{''.join(lines)}\n{last}")
    workspace.write("gitbatch.toml", CONFIG)
    workspace.commit()
    result, events = run_here(workspace, monkeypatch, jobs=4)
    assert (result.succeeded, result.failed) == (102, 1)

    (first, _) = (e["checkpoint"] for e in events if e["event"] == "checkpoint")
    assert [outcome["item"]["name"] for outcome in first["outcomes"]] == ["T7"]
    assert (first["left_out"], first["group"]["items"]) == (100, [first["outcomes"][0]["item"]])
    said = workspace.git("log", "-1", "--format=%B", first["commit"])
    assert "failed     T7" in said
    assert "100 items succeeded; the commit of each describes it." in said
    assert "succeeded  T8" not in said
    assert len(trailers(workspace, first["commit"], "Succeeded")) == 100
    status = workspace.git("show", f"{first['commit']}:status.md")
    assert "| T7 | out/7.md | failed |" in status
    assert "out/8.md" not in status
    started = {e["name"]: e["context"] for e in events if e["event"] == "item-started"}
    assert started["A1"][-1:] == ["out/: 100 files"]

    commits = workspace.git(
        "log", "--format=%H", "--grep=^Gitbatch-Item: \\(all\\|out/1\\).md$", "-2"
    ).split()
    assert [trailers(workspace, commit, "Context-Outputs")[0].split()[0] for commit in commits] == [
        "100",
        "100",
    ]
    assert not any(
        path.startswith("out/") for commit in commits for path in trailers(workspace, commit, "Context")
    )
    shown = json.loads(workspace.gitbatch("show", "A2", "--json", code=0).stdout)["details"]
    paths = {file["path"] for file in shown["context"]}
    assert {f"out/{n}.md" for n in numbers} - paths == {
        "out/1.md",
        "out/7.md",
    }  # its own, and what is not there
    with opened(workspace) as repo:
        assert audit_history(repo, "main").findings == ()
        (batch,) = all_batches(repo)
        state = read_any_progress(repo, batch)
        joined = next(each for each in read_recorded_items(repo, batch, state) if each.item.name == "A1")
        assert len(joined.last.shared.files) == 100
        assert find_stale_items(repo, batch, state) == ()
    workspace.write("out/9.md", "mine")
    workspace.commit("An input is changed")
    with opened(workspace) as repo:
        stale = find_stale_items(repo, batch, read_any_progress(repo, batch))
        assert {each.name: [one.path for one in each.inputs] for each in stale} == {
            name: ["out/9.md"] for name in ("A1", "A2")
        }
        (forged,) = audit_history(repo, forge_digest(workspace, commits[0])).findings[:1]
    assert "another digest of what it read" in forged.message


def forge_digest(workspace: Workspace, commit: str) -> str:
    """Returns a commit like one of an item that states the digest of another list."""
    text = workspace.git("cat-file", "commit", commit)
    (stated,) = trailers(workspace, commit, "Context-Outputs")
    workspace.write("forged", text.replace(stated, f"100 {'0' * 64}") + "\n")
    made = workspace.git("hash-object", "-w", "-t", "commit", "forged")
    (workspace.root / "forged").unlink()
    return f"{commit}^..{made}"
