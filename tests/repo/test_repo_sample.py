"""The demo's repository is a new one, wherever it is and whatever the environment says of others."""

from pathlib import Path

import pytest
from conftest import Workspace

from gitbatch.errors import GitError
from gitbatch.repo.sample import make_repository


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "tree" / "docs").mkdir(parents=True)
    (tmp_path / "tree" / "docs" / "a.md").write_text("a", encoding="utf-8")
    return tmp_path / "tree"


@pytest.fixture
def environment_of(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Workspace:
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    return workspace


@pytest.mark.parametrize(
    "name", ["plain", "with space", "$HOME", "a$Zb", "${HOME}x", "~", "ü:β", "%(prefix)"]
)
def test_any_name_will_do(environment_of: Workspace, tmp_path: Path, tree: Path, name: str) -> None:
    workspace = tmp_path / "made" / name
    make_repository(workspace, tree)
    made = Workspace(workspace, tmp_path, environment_of.environment)
    assert made.git("ls-files") == "docs/a.md"
    assert made.git("status", "--porcelain") == ""
    assert [folder.name for folder in (tmp_path / "made").iterdir()] == [name]


def test_a_repository_of_the_environment_is_left_alone(
    environment_of: Workspace, tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    user = environment_of
    user.write("mine.txt", "mine")
    head = user.commit()
    user.write("secret.txt", "not to be committed")
    for name, value in (("GIT_DIR", ".git"), ("GIT_WORK_TREE", ""), ("GIT_INDEX_FILE", ".git/index")):
        monkeypatch.setenv(name, str(user.root / value))
    make_repository(tmp_path / "demo", tree)
    assert (tmp_path / "demo" / ".git").is_dir()
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE"):
        monkeypatch.delenv(name, raising=False)
    assert user.git("rev-parse", "HEAD") == head
    assert user.git("status", "--porcelain") == "?? secret.txt"


def test_what_the_user_has_everywhere_changes_nothing(
    environment_of: Workspace, tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("pre-commit", "prepare-commit-msg", "commit-msg"):
        (hooks / name).write_text("#!/bin/sh\nexit 1\n", encoding="utf-8")
        (hooks / name).chmod(0o755)
    (tmp_path / "ignored").write_text("*.md\n", encoding="utf-8")
    config = f"[core]\n\thooksPath = {hooks}\n\texcludesFile = {tmp_path / 'ignored'}\n"
    (tmp_path / "config").write_text(config, encoding="utf-8")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(tmp_path / "config"))
    make_repository(tmp_path / "demo", tree)
    assert Workspace(tmp_path / "demo", tmp_path, environment_of.environment).git("ls-files") == "docs/a.md"


@pytest.mark.usefixtures("environment_of")
def test_a_failing_git_is_an_error_of_ours(
    tmp_path: Path, tree: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GIT_AUTHOR_DATE", "no date")
    with pytest.raises(GitError, match="invalid date"):
        make_repository(tmp_path / "demo", tree)
