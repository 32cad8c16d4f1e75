"""Decisions that come from another machine with the branch."""

from dataclasses import replace

import pytest
from conftest import Here, Workspace
from reviews import APPROVE, REJECT, REVISE, UNDO, decide, list_items
from sessions import run_here

from gitbatch.batch.ending import Ending
from gitbatch.batch.model import CheckpointMode
from gitbatch.errors import GitbatchError


@pytest.mark.rule("F7")
def test_a_review_of_another_clone_opens_the_ended_batch(
    three: Workspace, monkeypatch: pytest.MonkeyPatch, here: Here
) -> None:
    """The commands are those of the documentation. An approval opens nothing."""
    refs = "+refs/gitbatch/*:refs/gitbatch/*"
    hub, other = three.root.parent / "hub.git", replace(three, root=three.root.parent / "other")
    three.git("init", "--quiet", "--bare", "--initial-branch=main", str(hub))
    three.git("remote", "add", "origin", str(hub))
    run_here(three, monkeypatch, items="T101")
    three.git("push", "--quiet", "origin", "main", refs)
    three.git("clone", "--quiet", str(hub), str(other.root))
    other.git("fetch", "--quiet", "origin", refs)
    decide(other, (APPROVE, "T101"))
    other.git("push", "--quiet", "origin", "main")
    three.git("pull", "--quiet", "--ff-only", "origin", "main")
    assert here("run", "--dry-run")[0] == 2, "it is asked which items a new batch has"
    decide(other, (REVISE, "T101"), comment="From afar.")
    other.git("push", "--quiet", "origin", "main")
    three.git("pull", "--quiet", "--ff-only", "origin", "main")
    before = three.state()
    assert "resume" in here("run", "--dry-run")[1]
    assert three.state() == before
    result, events = run_here(three, monkeypatch, items=None, checkpoint=None)
    assert (result.ending, result.has_ended) == (Ending.COMPLETE, True)
    assert [(e["group"], e["revision"]) for e in events if e["event"] == "group-started"] == [(1, 1)]
    assert three.subjects()[-1].startswith("gitbatch: checkpoint 1/1, revision 1: Letters")
    assert here("run", "--dry-run")[0] == 2


@pytest.mark.parametrize("kind", ["review", "checkpoint"])
def test_what_a_merge_brought_of_another_clone_is_named(
    three: Workspace, monkeypatch: pytest.MonkeyPatch, here: Here, kind: str
) -> None:
    """Neither a decision nor a checkpoint would count, although its files are there. With what the message says, they do."""
    run_here(three, monkeypatch, items="T101,T102,T201,T301", checkpoint=CheckpointMode.parse("after-each"))
    base = three.git("rev-parse", "main")
    if kind == "review":
        decide(three, (REJECT, "T101"))
    else:
        run_here(three, monkeypatch, items=None, checkpoint=None)
    brought = three.git("rev-parse", "main")
    three.git("branch", "other")
    three.git("reset", "--quiet", "--hard", base)
    three.write("own.txt", "own\n")
    own = three.commit("Own")
    three.git("merge", "--quiet", "--no-edit", "other")
    merge = three.git("rev-parse", "main")
    code, _, said = here("run")
    assert code == 1
    assert f"{brought[:12]}, a {kind} of batch" in said
    assert here("review", "T102", "--approve")[0] == 1
    assert three.git("rev-parse", "main") == merge
    three.git("reset", "--quiet", "--keep", f"{merge[:12]}^1")
    assert three.git("rev-parse", "main") == own
    three.git("rebase", "--quiet", "other")
    assert (list_items(three)["T101"] == ("rejected", REJECT)) is (kind == "review")
    before = len(three.git("log", "--format=%h", "--grep=^gitbatch: checkpoint").split())
    run_here(three, monkeypatch, items=None, checkpoint=None)
    assert len(three.git("log", "--format=%h", "--grep=^gitbatch: checkpoint").split()) == before + 1


@pytest.mark.rule("F7")
@pytest.mark.parametrize("is_tip", [True, False])
def test_a_review_of_an_ended_batch_that_was_cut_is_completed(
    three: Workspace, monkeypatch: pytest.MonkeyPatch, *, is_tip: bool
) -> None:
    """Killed behind the move of the branch: without that the user would be told to commit what takes the review back."""
    run_here(three, monkeypatch, items="T101,T102")
    old = three.git("rev-parse", "main")
    refs = three.git(
        "for-each-ref", "--format=update %(refname) %(objectname)", "refs/gitbatch/"
    ).splitlines()
    kept = [line.split() for line in refs if line.split()[1].endswith(("/end", "/followed"))]
    decide(three, (UNDO, "T101"))
    undone = three.git("rev-parse", "main")
    for _, ref, oid in kept:
        three.git("update-ref", ref, oid)
    if not is_tip:
        three.git("commit", "--quiet", "--allow-empty", "--message", "Mine")
    three.git("checkout", "--quiet", old, "--", ".")
    dirty = three.git("status", "--porcelain")
    assert dirty
    if is_tip:
        run_here(three, monkeypatch, items="T301")
        assert three.git("status", "--porcelain") == ""
        assert not (three.root / "out/letters/a.md").exists()
        assert three.git("rev-parse", kept[0][1]) == undone
    else:
        with pytest.raises(GitbatchError, match="uncommitted changes"):
            run_here(three, monkeypatch, items="T301")
        assert three.git("status", "--porcelain") == dirty
