"""A person edits an output at a review: whose commit it is, what it has in it, and what a refusal leaves."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from conftest import Workspace
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
def reviewed(three: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Workspace, Repository]]:
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


def edit(workspace: Workspace, repo: Repository, editor: object = add_line, **more: str) -> str:
    sheet = read_sheet(repo)
    user = UserGit(
        select_user_variables(
            {**workspace.environment, "GIT_AUTHOR_NAME": "Ann", "GIT_DIR": "/nowhere", **more}
        )
    )
    return edit_output(repo, sheet, find(sheet), editor, user).commit  # type: ignore[arg-type]  # an editor


def hook(workspace: Workspace, name: str, script: str) -> None:
    path = workspace.root / ".git" / "hooks" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    path.chmod(0o755)


@pytest.mark.rule("F7")
def test_it_is_the_users_commit_of_that_path_alone(reviewed: tuple[Workspace, Repository]) -> None:
    """Their hooks run, their name is on it; what is staged stays staged. Without a change there is no commit."""
    workspace, repo = reviewed
    workspace.write("mine.txt", "staged\n")
    workspace.git("add", "mine.txt")
    hook(workspace, "commit-msg", 'echo "Reviewed-by: Ann" >>"$1"')
    before = workspace.git("rev-parse", "main")
    assert edit(workspace, repo, lambda _: None) == ""
    commit = edit(workspace, repo)
    assert commit == workspace.git("rev-parse", "main")
    assert workspace.git("rev-parse", "main^") == before
    said = workspace.git("log", "-1", "--format=%an|%B", commit)
    assert said == f"Ann|Edit {OUTPUT} in the review of T101\nReviewed-by: Ann\n"
    assert workspace.git("diff-tree", "--no-commit-id", "--name-status", "-r", commit) == f"M\t{OUTPUT}"
    assert workspace.git("status", "--porcelain") == "A  mine.txt"
    workspace.git("rm", "--quiet", "--force", "mine.txt")
    decide(workspace, (APPROVE, "T101"))


def test_a_refused_commit_leaves_everything_as_it_was(reviewed: tuple[Workspace, Repository]) -> None:
    workspace, repo = reviewed
    before, text = workspace.state(), workspace.read(OUTPUT)
    hook(workspace, "pre-commit", "echo 'Too \x1b[31mlong.'; exit 1")
    with pytest.raises(GitbatchError, match=r"your commit was refused: Too long\.") as refused:
        edit(workspace, repo)
    assert workspace.state() == before
    assert workspace.read(OUTPUT) == text
    kept = Path(refused.value.advice.partition("kept: ")[2])
    assert kept.read_text(encoding="utf-8") == text + "Edited by hand.\n"
    hook(workspace, "pre-commit", "exit 0")
    with pytest.raises(GitbatchError, match=r"your commit was refused: .*empty ident name") as refused:
        edit(workspace, repo, GIT_AUTHOR_NAME="", GIT_COMMITTER_NAME="")
    kept = Path(refused.value.advice.partition("kept: ")[2])
    assert kept.read_text(encoding="utf-8") == text + "Edited by hand.\n", "no author is made up"
    with pytest.raises(GitbatchError, match="is not a file any more") as refused:
        edit(workspace, repo, Path.unlink)
    assert refused.value.advice == "to take it back, reject the item", "nothing was written that is kept"
    with pytest.raises(GitbatchError, match="the editor failed") as refused:
        edit(workspace, repo, partial(open_editor, "exit 7;"))
    assert refused.value.advice == "set EDITOR to another one"
    assert workspace.state() == before
    assert workspace.read(OUTPUT) == text
    add_line(workspace.root / OUTPUT)
    with pytest.raises(GitbatchError, match=f"{OUTPUT} has changes in your checkout"):
        edit(workspace, repo)
    workspace.git("checkout", "--quiet", "--", OUTPUT)


def test_a_branch_that_is_not_checked_out_is_edited_in_a_private_checkout(
    reviewed: tuple[Workspace, Repository],
) -> None:
    workspace, repo = reviewed
    workspace.git("switch", "--quiet", "--create", "other", "main~1")
    workspace.git("switch", "--quiet", "--detach")
    workspace.git("branch", "--quiet", "--delete", "--force", "other")
    tip, workspaces = workspace.git("rev-parse", "main"), []

    def note_workspace(file: Path) -> None:
        workspaces.append(file)
        assert (file.parents[2] / "task.md").exists(), "its surroundings are there"
        add_line(file)

    assert edit(workspace, repo, lambda _: None) == ""
    commit = edit(workspace, repo, note_workspace)
    assert workspace.git("rev-parse", "main") == commit
    assert workspace.git("rev-parse", "main^") == tip
    assert workspace.git("show", f"main:{OUTPUT}").endswith("Edited by hand.")
    assert not workspaces[0].exists()
    assert workspace.git("worktree", "list", "--porcelain").count("worktree ") == 1

    def move_branch(file: Path) -> None:
        add_line(file)
        workspace.git("branch", "--force", "main", tip)

    with pytest.raises(GitbatchError, match="branch main has moved while you edited") as refused:
        edit(workspace, repo, move_branch)
    assert Path(refused.value.advice.partition("kept: ")[2]).read_text("utf-8").count("Edited by hand.") == 2


def test_a_sheet_has_what_a_decision_needs(reviewed: tuple[Workspace, Repository]) -> None:
    """The failure first; lines; which decisions are possible. After a decision elsewhere, one on an old sheet is refused."""
    workspace, repo = reviewed
    sheet = read_sheet(repo)
    assert [each.item.name for each in sheet.items] == ["T102", "T101", "T103", "T104"]
    assert (sheet.number, sheet.of, sheet.groups, sheet.group) == (1, 1, 1, "Letters")
    failed, done = sheet.items[:2]
    assert sorted(failed.problems) == ["approve", "reject", "revise", "undo"]
    assert list(done.problems) == ["retry"]
    assert str(done.lines).startswith("+1 ")
    assert read_item_diff(repo, sheet, failed, "", "") == b""
    old = Choice(APPROVE, done.item, done.state.blob, review=done.state.review)
    decide(workspace, (APPROVE, "T101"), (APPROVE, "T103"))
    with pytest.raises(GitbatchError, match=r"decided elsewhere meanwhile: T101 \(approved\)"):
        record_choices(workspace, lambda *_: (old,))
    assert [each.item.name for each in read_sheet(repo).items] == ["T102", "T104", "T101", "T103"]
