"""`gitbatch review`, `retry` and `undo` as a script uses them."""

import fcntl
import json
import os
import re
import shlex

import pytest
from conftest import Here, Workspace
from history import ticked
from sessions import run_here

from gitbatch.batch.model import CheckpointMode
from gitbatch.repo import lock as repository_locks
from gitbatch.repo.checkout import follow
from gitbatch.repo.lock import repository_lock
from gitbatch.repo.opening import open_repository


def test_a_script_lists_and_decides(paused: Workspace, here: Here) -> None:
    code, said, _ = here("review", "--json")
    listed = json.loads(said)
    assert (code, listed["commit"]) == (0, None)
    first = listed["items"][0]
    assert (first["name"], first["status"], first["decision"]) == ("T101", "succeeded", None)
    assert first["blob"] == paused.git("rev-parse", "main:out/letters/a.md")
    code, said, _ = here("review", f"T101@{first['blob']}", "T102", "--reject", "--say", "Not now.", "--json")
    made = json.loads(said)
    assert (code, made["commit"]) == (0, paused.git("rev-parse", "main"))
    assert made["items"][1]["comment"] == "Not now."
    code, said, _ = here("review", "t103", "--revise", "Say more.", "--approve-rest")
    assert code == 0
    assert said.splitlines()[:2] == ["sent back  T103", "approved   T104"]
    assert said.splitlines()[-1] == "run them: gitbatch run"
    code, said, _ = here("review", "--list")
    rows = [line.split() for line in said.splitlines()]
    assert [row[:3] for row in rows[:3]] == [
        ["T101", "rejected", "rejected"],
        ["T102", "rejected", "rejected"],
        ["T103", "reopened", "sent"],
    ]
    assert rows[-1] == ["every", "item", "is", "decided"]


def test_a_blob_is_named_by_its_beginning(paused: Workspace, here: Here) -> None:
    """As `gitbatch show` prints it; fewer than 7 digits are none."""
    blob = paused.git("rev-parse", "HEAD:out/letters/a.md")
    assert here("review", f"T101@{blob[:6]}", "--approve")[0] == 1
    assert here("review", f"T101@{blob[:10]}", "--approve")[0] == 0
    assert f"Gitbatch-Review: approve 1 out/letters/a.md {blob}\n" in paused.git("log", "-1", "--format=%B%n")


def test_a_comment_comes_from_a_file(paused: Workspace, here: Here) -> None:
    paused.write("../comment.txt", "Line 1\n\nLine 2\n")
    assert here("review", "T101", "-F", "../comment.txt")[0] == 0
    body = paused.git("log", "-1", "--format=%B")
    assert "\nrevise 1 out/letters/a.md:\n    Line 1\n\n    Line 2\n" in body


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("review", "T101"), 2, "name items and one of"),
        (("review", "--approve"), 2, "name items and one of"),
        (("review", "T101", "--approve", "--reject"), 2, "name items and one of"),
        (("review", "--list", "--approve-rest"), 2, "--list decides nothing"),
        (("review", "T101", "--revise", "x", "-F", "y"), 2, "each give the comment"),
        (("review", "T101", "T102", "--edit"), 2, "--edit is for one item"),
        (("review", "T101", "-F", "missing"), 2, "cannot read missing"),
        (("review", "T101", "--revise", " \u200b\n"), 2, "the comment is empty"),
        (("review", "T101", "-F", os.devnull), 2, "the comment is empty"),
        (("review", "T101", "--revise", "x" * 20_001), 2, "has 20,001 characters; 20,000 is the most"),
        (("review", "T101@", "--approve"), 2, "T101@ names no blob"),
        (("review", "T999", "--approve"), 2, "no item with a checkpoint is called T999"),
        (("review", "T101@abc", "--approve"), 1, "changed since it was looked at: out/letters/a.md"),
        (("retry",), 2, "name items, --failed or --stale"),
        (("retry", "T101", "--stale"), 2, "name items, --failed or --stale"),
        (("retry", "--stale", "--no-run"), 2, "no item is stale\n"),
        (("retry", "--failed", "--no-run", "--max-cost", "1"), 2, "--no-run starts none"),
        (("retry", "T101", "--agent", "nobody", "--no-run"), 2, "agent 'nobody' is not configured"),
        (("retry", "--failed", "--stale"), 2, "no item is failed or stale\n"),
        (
            ("retry", "T101", "--no-run"),
            1,
            "it has succeeded, and what it read has not changed: send it back",
        ),
        (("undo", "T101", "--checkpoint", "1"), 2, "name items, or --checkpoint"),
        (("undo", "--checkpoint", "3"), 2, "has no checkpoint 3"),
    ],
)
@pytest.mark.sample(6)
def test_a_mistake_changes_nothing(
    paused: Workspace, here: Here, arguments: tuple[str, ...], code: int, said: str
) -> None:
    before = paused.state()
    found = here(*arguments)
    assert found[0] == code
    assert said in found[2]
    assert paused.state() == before


def test_while_another_gitbatch_runs_it_is_busy(
    paused: Workspace, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in paused.environment.items():
        monkeypatch.setenv(name, value)
    repo = open_repository(paused.root)
    with repository_lock(repo, print):
        for verb in (("review", "T101", "--approve"), ("undo", "T101"), ("retry", "T101")):
            assert here(*verb)[0] == 75
        assert here("review", "--list")[0] == 0
    repo.close()


def test_without_a_name_nothing_is_decided(
    paused: Workspace, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A review has its author: what to set is said, as it can be run, and what is only shown needs none."""
    for name in [name for name in paused.environment if name.startswith(("GIT_AUTHOR_", "GIT_COMMITTER_"))]:
        del paused.environment[name]
        monkeypatch.delenv(name, raising=False)
    before, said = paused.state(), ""
    for verb in (("review", "T101", "--approve"), ("undo", "T101"), ("retry", "T101", "--no-run")):
        code, _, said = here(*verb)
        assert (code, paused.state()) == (1, before)
    assert here("review", "--list")[0] == 0
    (advice,) = re.findall(r"git (config user.name .*) && git (config .*)", said)
    for command in advice:
        paused.git(*shlex.split(command))
    assert here("undo", "T101")[0] == 0
    assert paused.git("log", "-1", "--format=%an <%ae>") == "Your Name <you@example.org>"


def test_a_lock_of_the_users_git_is_named(
    paused: Workspace, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The advice is of the command that was given, not of a run."""
    lock = paused.root / ".git/index.lock"
    lock.touch()
    monkeypatch.setattr(follow, "_PATIENCE", 1)
    code, _, said = here("undo", "T101")
    assert (code, f"remove {lock}. Then decide again\n" in said) == (75, True), said
    assert "gitbatch run" not in said
    lock.unlink()
    monkeypatch.setattr(repository_locks, "_PATIENCE", 0.0)
    with (paused.root / ".git/gitbatch/children").open("w") as children:
        fcntl.flock(children, fcntl.LOCK_EX)
        code, _, said = here("undo", "T101")
    assert (code, "or end them, then decide again\n" in said) == (75, True), said


def test_what_a_person_rejected_has_not_failed(
    three: Workspace, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A run that leaves nothing else ends with exit code 0, and no command is named that would run it."""
    run_here(three, monkeypatch, items="T101,T301", checkpoint=CheckpointMode.parse("after-each"))
    assert here("review", "T101", "--reject")[0] == 0
    code, _, said = here("run")
    assert (code, said) == (0, "")
    assert here("batches")[1].count("not done") == 0
    assert here("run", "--items", "failed", "--checkpoint", "at-end")[0] == 2
    assert ticked(three) == ["T301"]


@pytest.mark.usefixtures("paused")
def test_what_an_ended_batch_does_not_run_again(here: Here) -> None:
    assert here("review", "T101", "--revise", "More.")[0] == 0
    assert "sent back in a review: it runs again" in here("status")[1]
    assert here("abort", "--yes")[0] == 0
    said = " ".join(here("status")[1].split())
    assert "sent back in a review: its batch was ended before it ran again" in said
    assert "it runs again" not in said


def test_a_retry_records_and_runs(three: Workspace, here: Here, monkeypatch: pytest.MonkeyPatch) -> None:
    """An item that failed, of a batch that has ended."""
    three.edit("task.md", "Write two", "Write two do: fail")
    three.commit()
    run_here(three, monkeypatch)
    three.edit("task.md", " do: fail", "")
    three.commit()
    code, said, _ = here("retry", "--failed", "--say", "Again.")
    assert code == 0, said
    assert "retried    T302" in said
    assert len(ticked(three)) == 12
    assert three.subjects()[-1] == "gitbatch: checkpoint 3/3, revision 1: Words (1 of 1 done)"


@pytest.mark.rule("F7")
def test_a_checkpoint_is_undone_and_its_items_run_again(
    three: Workspace, here: Here, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_here(three, monkeypatch)
    tree = three.git("rev-parse", "main:out")
    assert here("undo")[0] == 0
    assert not (three.root / "out/words").exists()
    assert len(ticked(three)) == 8
    assert here("undo", "T201", "--checkpoint", "2")[0] == 2
    assert here("undo", "--checkpoint", "2", "--say", "All wrong.")[0] == 0
    assert "undone" in here("review", "--list")[1]
    code, said, _ = here("retry", "T201", "T202", "T203", "T204", "T301", "T302", "T303", "T304", "--json")
    assert code == 0
    assert json.loads(said.splitlines()[-1])["ending"] == "complete"
    assert three.git("rev-parse", "main:out") == tree
    assert len(ticked(three)) == 12
    assert here("undo", "T101")[0] == 0
    assert here("retry", "T101")[0] == 0
    assert here("undo")[0] == 0, "the last checkpoint is the revision of one item"
    assert three.subjects()[-1] == "gitbatch: review 3/3: 1 undone"
    assert "nothing that the last checkpoint brought is in history" in here("undo")[2]
    assert len(ticked(three)) == 11
