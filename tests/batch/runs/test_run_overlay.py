"""Whole runs whose worktrees are layers: what agents see, what is taken, and what is left."""

import re

import pytest
from conftest import Place
from history import assert_tidy, audit, ticked
from sessions import run_here

from gitbatch.batch.workplace import kinds

LOOK = """look)
  { pwd -P; git log -1 --format=%s; git ls-files | wc -l; git status --porcelain; cat plain.txt
    test -e .env || echo hidden; echo "slot $GITBATCH_SLOT"; } >"$TMPDIR/seen"
  rm plain.txt; git status --porcelain >>"$TMPDIR/seen"; git show HEAD:plain.txt >plain.txt
  git diff --stat >>"$TMPDIR/seen"; cp "$TMPDIR/seen" "$output" ;;
"""


@pytest.fixture
def layered(three: Place) -> Place:
    """A repository with an agent that says what it sees, whose worktrees are layers."""
    three.environment["GITBATCH_WORKTREE"] = "overlay"
    three.edit("task.md", "Write a →", "Write a do: look →")
    three.edit("tools/agent.sh", "fail) echo", f"{LOOK}fail) echo")
    three.write(".gitignore", ".env\n")
    three.write("plain.txt", "plain\n")
    three.commit()
    three.write(".env", "KEY=1\n")
    return three


@pytest.mark.parametrize("kind", ["bubblewrap", "landlock", "none"])
def test_agents_work_at_the_place_of_the_checkout(layered: Place, kind: str) -> None:
    files = layered.git("ls-files").splitlines()
    events, _ = layered.run_json("--items", "group:1", "--checkpoint", "at-end", "--sandbox", kind, code=0)
    assert [event["worktrees"] for event in events if event["event"] == "batch-started"] == ["overlay"]
    assert layered.git("show", "main:out/letters/a.md").splitlines() == [
        *(str(layered.root), "change", str(len(files)), "plain", "hidden", "slot 0"),
        " D plain.txt",
    ]
    strays = [event["outcome"]["strays"] for event in events if event["event"] == "item-finished"]
    assert ["plain.txt"] in strays
    assert layered.read("plain.txt") == "plain\n"
    assert ticked(layered) == ["T101", "T102", "T103", "T104"]
    audit(layered)
    assert_tidy(layered)


def test_kind_that_does_not_work_is_said(layered: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The run falls back to copies, and names the reason; asked for by name, the kind is refused."""
    monkeypatch.setattr(kinds, "_find_overlay_problem", lambda *_: "no mounts here")
    refused = "cannot make worktrees of the kind overlay: no mounts here"
    with pytest.raises(Exception, match=re.escape(refused)):
        run_here(layered, monkeypatch, items="T101")
    layered.environment["GITBATCH_WORKTREE"] = "auto"
    _, events = run_here(layered, monkeypatch, items="T101")
    assert events[0]["worktrees"] == "copy (overlay: no mounts here)"
    assert layered.git("show", "main:out/letters/a.md").splitlines()[0] != str(layered.root)
