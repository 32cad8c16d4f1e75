"""The common options of commands: paths of the command line, and the folders that the environment names."""

from pathlib import Path

import pytest

from gitbatch.cli.common import cache_dir, choose_plan, chosen_worktrees, make_page, open_repository_of
from gitbatch.errors import UsageError
from gitbatch.project.control import PlanChoice
from gitbatch.repo.repository import Repository
from gitbatch.view.page import PlainPage
from gitbatch.view.terminal import Terminal


@pytest.mark.parametrize(
    ("directory", "path", "expected"),
    [
        (".", None, PlanChoice()),
        (".a/docs", None, PlanChoice(folder=".a/docs")),
        ("..", None, PlanChoice()),
        (".", "task.md", PlanChoice("task.md")),
        ("docs", "task.md", PlanChoice("docs/task.md")),
        ("docs", "../task.md", PlanChoice("task.md")),
    ],
)
def test_plan_choice(repo: Repository, directory: str, path: str | None, expected: PlanChoice) -> None:
    assert choose_plan(repo, repo.root / directory, Path(path) if path else None) == expected


def test_plan_by_a_link(repo: Repository) -> None:
    """The repository, and a folder in it, may be reached by a link."""
    (repo.root / "docs").mkdir()
    (repo.root / "link").symlink_to("docs")
    outside = repo.root.parent / "outside"
    outside.symlink_to(repo.root)
    assert choose_plan(repo, repo.root, outside / "docs/task.md") == PlanChoice("docs/task.md")
    assert choose_plan(repo, repo.root, Path("link/task.md")) == PlanChoice("docs/task.md")


@pytest.mark.parametrize("path", ["../task.md", "/task.md"])
def test_path_outside(repo: Repository, path: str) -> None:
    with pytest.raises(UsageError, match="is outside the repository"):
        choose_plan(repo, repo.root, Path(path))


def test_repository_of_a_folder_below(repo: Repository) -> None:
    (repo.root / "docs").mkdir()
    with open_repository_of(repo.root / "docs", read_only=True) as found:
        assert found.root == repo.root


def test_folders(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("GITBATCH_WORKTREES", "~/trees")
    assert chosen_worktrees() == tmp_path / "trees"
    monkeypatch.setenv("GITBATCH_WORKTREES", "")
    assert chosen_worktrees() is None
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    assert cache_dir().name == "gitbatch"


@pytest.mark.parametrize(("forced", "kind"), [("1", Terminal), ("", PlainPage)])
def test_page(forced: str, kind: type, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FORCE_COLOR", forced)
    assert isinstance(make_page(), kind)
