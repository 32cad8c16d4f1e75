"""A person edits an output at a review: whose commit it is, what it has in it, and what a refusal leaves."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from conftest import Place
from reviews import APPROVE, decide, record_choices
from sessions import run_here

from gitbatch.batch.review.choices import Choice
from gitbatch.batch.review.output_edit import edit_output
from gitbatch.batch.review.sheet import ReviewSheet, SheetItem, read_item_diff, read_sheet
from gitbatch.cli.editor import open_editor
from gitbatch.errors import GitbatchError
from gitbatch.repo.opening import open_repository
from gitbatch.repo.repository import Repository
from gitbatch.repo.user_commit import UserGit, select_user_variables

OUTPUT = "out/letters/a.md"


@pytest.fixture
def reviewed(three: Place, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Place, Repository]]:
    """A batch of one group, of which one item failed; and its repository, opened in this process."""
    three.edit("task.md", "Write b →", "Write b do: fail →")
    three.commit()
    run_here(three, monkeypatch, items="group:1")
    for name, value in three.environment.items():
        monkeypatch.setenv(name, value)
    repo = open_repository(three.root)
    yield three, repo
    repo.close()


def find(sheet: ReviewSheet, name: str = "T101") -> SheetItem:
    return next(each for each in sheet.items if each.item.name == name)


def add_line(file: Path) -> None:
    with file.open("a", encoding="utf-8") as opened:
        opened.write("Edited by hand.\n")


def edit(place: Place, repo: Repository, editor: object = add_line, **more: str) -> str:
    sheet = read_sheet(repo)
    user = UserGit(
        select_user_variables({**place.environment, "GIT_AUTHOR_NAME": "Ann", "GIT_DIR": "/nowhere", **more})
    )
    return edit_output(repo, sheet, find(sheet), editor, user).commit  # type: ignore[arg-type]  # an editor


def hook(place: Place, name: str, script: str) -> None:
    path = place.root / ".git" / "hooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


@pytest.mark.rule("F7")
def test_it_is_the_users_commit_of_that_path_alone(reviewed: tuple[Place, Repository]) -> None:
    """Their hooks run, their name is on it; what is staged stays staged. Without a change there is no commit."""
    place, repo = reviewed
    place.write("mine.txt", "staged\n")
    place.git("add", "mine.txt")
    hook(place, "commit-msg", 'echo "Reviewed-by: Ann" >>"$1"')
    before = place.git("rev-parse", "main")
    assert edit(place, repo, lambda _: None) == ""
    commit = edit(place, repo)
    assert commit == place.git("rev-parse", "main")
    assert place.git("rev-parse", "main^") == before
    said = place.git("log", "-1", "--format=%an|%B", commit)
    assert said == f"Ann|Edit {OUTPUT} in the review of T101\nReviewed-by: Ann\n"
    assert place.git("diff-tree", "--no-commit-id", "--name-status", "-r", commit) == f"M\t{OUTPUT}"
    assert place.git("status", "--porcelain") == "A  mine.txt"
    place.git("rm", "--quiet", "--force", "mine.txt")
    decide(place, (APPROVE, "T101"))


def test_a_refused_commit_leaves_everything_as_it_was(reviewed: tuple[Place, Repository]) -> None:
    place, repo = reviewed
    before, text = place.state(), place.read(OUTPUT)
    hook(place, "pre-commit", "echo 'Too \x1b[31mlong.'; exit 1")
    with pytest.raises(GitbatchError, match=r"your commit was refused: Too long\.") as refused:
        edit(place, repo)
    assert place.state() == before
    assert place.read(OUTPUT) == text
    kept = Path(refused.value.advice.partition("kept: ")[2])
    assert kept.read_text(encoding="utf-8") == text + "Edited by hand.\n"
    hook(place, "pre-commit", "exit 0")
    with pytest.raises(GitbatchError, match=r"your commit was refused: .*empty ident name") as refused:
        edit(place, repo, GIT_AUTHOR_NAME="", GIT_COMMITTER_NAME="")
    kept = Path(refused.value.advice.partition("kept: ")[2])
    assert kept.read_text(encoding="utf-8") == text + "Edited by hand.\n", "no author is made up"
    with pytest.raises(GitbatchError, match="is not a file any more") as refused:
        edit(place, repo, Path.unlink)
    assert refused.value.advice == "to take it back, reject the item", "nothing was written that is kept"
    with pytest.raises(GitbatchError, match="the editor failed") as refused:
        edit(place, repo, partial(open_editor, "exit 7;"))
    assert refused.value.advice == "set EDITOR to another one"
    assert place.state() == before
    assert place.read(OUTPUT) == text
    add_line(place.root / OUTPUT)
    with pytest.raises(GitbatchError, match=f"{OUTPUT} has changes in your checkout"):
        edit(place, repo)
    place.git("checkout", "--quiet", "--", OUTPUT)


def test_a_branch_that_is_not_checked_out_is_edited_in_a_private_checkout(
    reviewed: tuple[Place, Repository],
) -> None:
    place, repo = reviewed
    place.git("switch", "--quiet", "--create", "other", "main~1")
    place.git("switch", "--quiet", "--detach")
    place.git("branch", "--quiet", "--delete", "--force", "other")
    tip, places = place.git("rev-parse", "main"), []

    def note_place(file: Path) -> None:
        places.append(file)
        assert (file.parents[2] / "task.md").exists(), "its surroundings are there"
        add_line(file)

    assert edit(place, repo, lambda _: None) == ""
    commit = edit(place, repo, note_place)
    assert place.git("rev-parse", "main") == commit
    assert place.git("rev-parse", "main^") == tip
    assert place.git("show", f"main:{OUTPUT}").endswith("Edited by hand.")
    assert not places[0].exists()
    assert place.git("worktree", "list", "--porcelain").count("worktree ") == 1

    def move_branch(file: Path) -> None:
        add_line(file)
        place.git("branch", "--force", "main", tip)

    with pytest.raises(GitbatchError, match="branch main has moved while you edited") as refused:
        edit(place, repo, move_branch)
    assert Path(refused.value.advice.partition("kept: ")[2]).read_text("utf-8").count("Edited by hand.") == 2


def test_a_sheet_has_what_a_decision_needs(reviewed: tuple[Place, Repository]) -> None:
    """The failure first; lines; which decisions are possible. After a decision elsewhere, one on an old sheet is refused."""
    place, repo = reviewed
    sheet = read_sheet(repo)
    assert [each.item.name for each in sheet.items] == ["T102", "T101", "T103", "T104"]
    assert (sheet.number, sheet.of, sheet.groups, sheet.group) == (1, 1, 1, "Letters")
    failed, done = sheet.items[:2]
    assert sorted(failed.problems) == ["approve", "reject", "revise", "undo"]
    assert list(done.problems) == ["retry"]
    assert str(done.lines).startswith("+1 ")
    assert read_item_diff(repo, sheet, failed, "", "") == b""
    old = Choice(APPROVE, done.item, done.state.blob, review=done.state.review)
    decide(place, (APPROVE, "T101"), (APPROVE, "T103"))
    with pytest.raises(GitbatchError, match=r"decided elsewhere meanwhile: T101 \(approved\)"):
        record_choices(place, lambda *_: (old,))
    assert [each.item.name for each in read_sheet(repo).items] == ["T102", "T104", "T101", "T103"]
