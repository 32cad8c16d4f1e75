"""Decisions from outside of a run: each review is one commit that verify accepts, or nothing has changed."""

import shlex
import subprocess

import pytest
from conftest import Workspace
from history import ticked
from reviews import APPROVE, REJECT, RETRY, REVISE, UNDO, decide, list_items
from sessions import run_here

from gitbatch.batch.group.put_back import ReviewConflictError, find_word
from gitbatch.batch.history.decisions import DecisionKind
from gitbatch.batch.model import BatchItem, CheckpointMode
from gitbatch.errors import GitbatchError, UsageError


def test_a_review_is_one_commit_with_all_of_its_decisions(paused: Workspace) -> None:
    before = paused.git("rev-parse", "main")
    made = decide(paused, (REJECT, "t102"), (REVISE, "out/letters/c.md"), rest=True, comment="Say *more*.")
    assert paused.subjects()[-1] == "gitbatch: review 1/3: 2 approved, 1 sent back, 1 rejected"
    assert (made.before, made.commit) == (before, paused.git("rev-parse", "main"))
    assert ticked(paused) == ["T101", "T104"]
    plan = paused.git("show", "main:task.md")
    assert "- [ ] Every letter has its page" in plan
    changed = paused.git("diff", "--name-status", before, "main").splitlines()
    assert changed == [
        "M\tdecisions-log.md",
        "M\tinventory.md",
        "D\tout/letters/b.md",
        "M\tstatus.md",
        "M\ttask.md",
    ]
    *_, log, withdrawn = paused.git("show", "main:decisions-log.md").splitlines()
    assert withdrawn.endswith("T102: rejected: Used one heading in out/letters/b.md")
    removed = paused.git("diff", "--unified=0", before, "main", "--", "inventory.md").splitlines()
    assert [line for line in removed if line[0] in "+-"][2:] == ["-- out/letters/b.md exists"]
    assert log.endswith(
        r"Review 1/3: rejected out/letters/b.md (Say \*more\*.); sent back out/letters/c.md (Say \*more\*.); "
        "approved out/letters/a.md; approved out/letters/d.md"
    )
    status = paused.git("show", "main:status.md")
    assert "review 1 of 3: Letters." in status
    assert r"| T103 | out/letters/c.md | sent back | Say \*more\*. |" in status
    assert paused.git("status", "--porcelain") == "", "the checkout has followed"
    assert not (paused.root / "out/letters/b.md").exists()
    assert list_items(paused) == {
        "T101": ("succeeded", APPROVE),
        "T102": ("rejected", REJECT),
        "T103": ("reopened", REVISE),
        "T104": ("succeeded", APPROVE),
    }


def test_what_was_there_before_an_item_comes_back(three: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """A kept neighbour, a nested folder that is gone again, and an older version of the file."""
    three.write("out/letters/a.md", "mine\n")
    three.commit()
    run_here(three, monkeypatch, checkpoint=CheckpointMode.parse("after-each"))
    decide(three, (REJECT, "T101"), (REJECT, "T102"), (REJECT, "T103"), (REJECT, "T104"))
    assert three.read("out/letters/a.md") == "mine\n"
    assert three.git("ls-tree", "-r", "--name-only", "main", "out") == "out/letters/a.md"
    assert three.git("status", "--porcelain") == ""
    assert ticked(three) == []


@pytest.mark.parametrize("how", ["committed", "other version"])
def test_what_has_changed_since_is_a_conflict_and_nothing_moves(paused: Workspace, how: str) -> None:
    seen = paused.git("rev-parse", "main:out/letters/a.md")
    paused.write("out/letters/a.md", "mine\n")
    paused.commit()
    before = paused.state()
    word = f"T101@{seen}" if how == "other version" else "T101"
    with pytest.raises(ReviewConflictError, match=r"out/letters/a\.md"):
        decide(paused, (REJECT, word), (REJECT, "T102"))
    assert paused.state() == before
    assert paused.read("out/letters/a.md") == "mine\n"


def test_a_path_that_changed_in_any_way_is_a_conflict(paused: Workspace) -> None:
    """Its mode, its name, its place; committed, staged or only in the checkout."""
    path = paused.root / "out/letters/b.md"
    for change in (
        "chmod +x b.md && git commit -qam mine",
        "git rm -q b.md && git commit -qm mine",
        "git mv b.md e.md && git commit -qm mine",
        "rm b.md && mkdir b.md && echo x >b.md/x && git add . && git commit -qm mine",
        "echo mine >b.md && git add b.md",
        "echo mine >b.md",
        "rm b.md",
    ):
        folder, environment = paused.root / "out/letters", paused.environment
        subprocess.run(["sh", "-c", change], check=True, cwd=folder, env=environment)
        before = paused.state(), path.is_file() and path.read_bytes()
        with pytest.raises(ReviewConflictError, match=r"changed by you.*: out/letters/b\.md$"):
            decide(paused, (UNDO, "T102"), (REJECT, "T101"))
        assert (paused.state(), path.is_file() and path.read_bytes()) == before
        recorded = paused.git("log", "-1", "--format=%H", "--grep=^Gitbatch-Checkpoint")
        paused.git("reset", "--quiet", "--hard", recorded)


def test_an_edit_that_is_not_committed_is_set_aside(paused: Workspace) -> None:
    """By the command of the advice, as it is printed; then the decision is recorded, and the edit is still there."""
    paused.write("out/letters/b.md", "mine\n")
    with pytest.raises(ReviewConflictError) as refused:
        decide(paused, (REJECT, "T102"))
    command = refused.value.advice.splitlines()[0].partition("git stash ")[2]
    paused.git("stash", *shlex.split(command))
    decide(paused, (REJECT, "T102"))
    assert paused.git("show", "stash@{0}:out/letters/b.md") == "mine"
    assert refused.value.advice.endswith("send the item back: gitbatch review T102 --edit")
    nameless = BatchItem("out/b.md", "out/b.md", "Write b", "2-b", 2)
    assert find_word(nameless) == "2:out/b.md", "as groups may share it"


def test_an_edit_of_the_plan_and_of_an_artifact_stays(paused: Workspace) -> None:
    """The user's own version of the plan gets the open box; a line that they have changed is named."""
    paused.edit("inventory.md", "- out/letters/b.md exists", "- out/letters/b.md exists (read it)")
    paused.commit()
    paused.edit("task.md", "Write d", "Write d soon")
    made = decide(paused, (REJECT, "T102"), (UNDO, "T101"))
    assert made.kept == ("task.md",)
    assert made.notes[0] == ("inventory.md does not have this line of T102 any more: out/letters/b.md exists")
    assert "- [ ] T102" in paused.read("task.md")
    assert "Write d soon" in paused.read("task.md")
    assert "(read it)" in paused.git("show", "main:inventory.md")
    assert "a.md exists" not in paused.git("show", "main:inventory.md")
    assert paused.gitbatch("verify", code=0).stdout.endswith("nothing found\n")


@pytest.mark.parametrize(
    ("chosen", "why"),
    [
        (((APPROVE, "T201"),), "no item with a checkpoint"),
        (((APPROVE, "T101"), (REJECT, "T101")), "decided twice"),
        ((), "nothing to decide"),
        (((RETRY, "T101"),), "it has succeeded"),
    ],
)
def test_what_is_not_up_for_a_decision_is_refused(
    paused: Workspace, chosen: tuple[tuple[DecisionKind, str], ...], why: str
) -> None:
    before = paused.state()
    with pytest.raises(GitbatchError, match=why):
        decide(paused, *chosen)
    assert paused.state() == before


def test_a_rejected_item_is_not_decided_again(paused: Workspace) -> None:
    decide(paused, (REJECT, "T101"), (REVISE, "T102"))
    for kind, word, why in (
        (APPROVE, "T101", "it is rejected"),
        (REJECT, "T101", "nothing of it is in history"),
        (APPROVE, "T102", "has not run again yet"),
    ):
        with pytest.raises(GitbatchError, match=why):
            decide(paused, (kind, word))
    decide(paused, (RETRY, "T102"))
    paused.gitbatch("abort", "--yes", code=0)
    decide(paused, (RETRY, "T102"))
    decide(paused, (REJECT, "T102"))
    assert list_items(paused)["T102"] == ("rejected", REJECT)
    decide(paused, (RETRY, "T102"))
    decide(paused, (RETRY, "T102"), comment="By another agent.")
    assert list_items(paused)["T102"] == ("reopened", RETRY), "a halt before it ran leaves it to be retried"


def test_in_a_complete_phase_nothing_is_made_to_run_again(
    three: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """T302 names no criterion; with T101, its criterion is open again, and both run."""
    run_here(three, monkeypatch, items="T101,T302")
    three.write(
        "task.md", three.read("task.md").replace("- [ ] Every", "- [x] Every").replace("[ ] Some", "[x] Some")
    )
    three.commit()
    before = three.state()
    with pytest.raises(GitbatchError, match="every criterion of the Definition of Done is ticked"):
        decide(three, (REVISE, "T302"))
    assert three.state() == before
    decide(three, (REVISE, "T302"), (REVISE, "T101"))


def test_an_ended_batch_is_reviewed_until_its_branch_loses_it(
    three: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_here(three, monkeypatch)
    decide(three, (APPROVE, "T304"))
    assert "refs/gitbatch" in three.git(
        "for-each-ref", "--format=%(refname)", "--points-at", "main", "refs/gitbatch/*/end"
    )
    three.git("reset", "--quiet", "--hard", "main~1")
    decide(three, (REJECT, "T304"))
    assert list_items(three)["T304"] == ("rejected", REJECT), "a review that is lost is no obstacle"
    ends = ("for-each-ref", "--format=%(refname)", "refs/gitbatch/*/end")
    assert three.git(*ends)
    decide(three, (RETRY, "T304"))
    assert not three.git(*ends), "what makes an item run again opens the batch"
    run_here(three, monkeypatch, items=None, checkpoint=None)
    assert three.git(*ends)
    three.git("reset", "--quiet", "--hard", "main~2")
    with pytest.raises(GitbatchError, match="does not have the last checkpoint of batch"):
        decide(three, (APPROVE, "T101"))


def test_a_review_that_cannot_be_signed_leaves_an_ended_batch_ended(
    three: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_here(three, monkeypatch, items="T101")
    for name, value in (("gpg.format", "ssh"), ("user.signingKey", "/missing"), ("commit.gpgSign", "true")):
        three.git("config", name, value)
    before = three.state()
    with pytest.raises(GitbatchError, match="a commit cannot be signed"):
        decide(three, (REVISE, "T101"))
    assert three.state() == before


def test_decisions_go_to_the_batch_that_began_last(three: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    run_here(three, monkeypatch, items="T101")
    run_here(three, monkeypatch, items="T102")
    assert list(list_items(three)) == ["T102"]
    run_here(three, monkeypatch, items="T103,T301", checkpoint=CheckpointMode.parse("after-each"))
    assert list(list_items(three)) == ["T103"], "an unfinished one goes first"
    three.gitbatch("abort", "--yes", code=0)
    decide(three, (REJECT, "T103"))
    with pytest.raises(UsageError, match="no item with a checkpoint is called T102"):
        decide(three, (APPROVE, "T102"))


def test_without_a_batch_there_is_nothing_to_review(three: Workspace) -> None:
    with pytest.raises(GitbatchError, match="no batch has run here"):
        decide(three, (APPROVE, "T101"))


def test_a_word_that_names_several_items_is_refused(
    three: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    three.edit("task.md", "out/words/two.md", "out/letters/b.md")
    three.commit()
    run_here(three, monkeypatch)
    with pytest.raises(UsageError, match="names several items"):
        decide(three, (APPROVE, "out/letters/b.md"))
    with pytest.raises(ReviewConflictError, match="a later item"):
        decide(three, (REJECT, "T102"))
    decide(three, (UNDO, "1:out/letters/b.md"), (REJECT, "T302"))
    assert not (three.root / "out/letters/b.md").exists()
    assert three.gitbatch("verify", code=0).stdout.endswith("nothing found\n")
