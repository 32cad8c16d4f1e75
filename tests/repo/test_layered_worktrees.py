"""Worktrees of layers: what they take on the disk, and what they share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import Workspace

from gitbatch.repo.opening import open_repository
from gitbatch.repo.repository import Repository
from gitbatch.repo.worktrees.agent_git import read_agent_git
from gitbatch.repo.worktrees.layered import (
    LayeredGit,
    add_layered_worktree,
    open_layered_git,
    remove_layered_worktree,
)
from gitbatch.repo.worktrees.worktree import NewWorktree


@pytest.fixture
def repo(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    workspace.write("top.md", "1")
    workspace.commit()
    opened = open_repository(workspace.root)
    yield opened
    opened.close()


@pytest.fixture
def git(repo: Repository, tmp_path: Path) -> LayeredGit:
    folder = tmp_path / "worktrees"
    folder.mkdir()
    return open_layered_git(read_agent_git(repo, folder, "refs/heads/main"), repo.root)


def add(repo: Repository, git: LayeredGit, name: str) -> Path:
    base = repo.refs.commit("HEAD") or ""
    new = NewWorktree(git.agents.folder / name, f"refs/heads/gitbatch/b/{name}", base, "out/x.md", None)
    return add_layered_worktree(repo, git, new).path


def list_all(*folders: Path) -> set[Path]:
    return {path for folder in folders for path in folder.rglob("*")}


def test_a_worktree_takes_few_blocks_and_leaves_none(repo: Repository, git: LayeredGit) -> None:
    entries = repo.common_dir / "worktrees"
    add(repo, git, "1-a")
    before = list_all(git.agents.folder, entries)
    path = add(repo, git, "1-b")
    own = {str(made.relative_to(path.parent)) for made in list_all(path.parent) - before}
    assert own == {"1-b", "1-b/.git", "1-b.git", "1-b.git/gitbatch-output", "1-b.work", "1-b.work/git"}
    assert (path.with_name("1-b.git") / "gitbatch-output").is_symlink()
    entry = entries / "1-b"
    blocks = {file.name for file in entry.iterdir() if file.stat().st_nlink == 1}
    assert blocks == {"HEAD", "gitdir"}
    assert {file.name for file in entry.iterdir()} - blocks == {"commondir", "locked"}
    assert remove_layered_worktree(repo, path)
    assert list_all(git.agents.folder, entries) == before


def test_a_file_that_entries_share_is_written_again_when_it_was_lost(
    repo: Repository, git: LayeredGit, workspace: Workspace
) -> None:
    add(repo, git, "1-a")
    for kept in (repo.own_dir / "entry").iterdir():  # what a power cut may leave
        kept.unlink()
        kept.touch()
    add(repo, git, "1-b")
    listed = workspace.git("worktree", "list", "--porcelain")
    assert listed.count("locked gitbatch works in it; gitbatch removes it") == 2
    workspace.git("worktree", "unlock", str(git.agents.folder / "1-a"))
    assert workspace.git("worktree", "list", "--porcelain").count("locked gitbatch works in it") == 1


def test_an_entry_needs_no_hard_links(
    repo: Repository, git: LayeredGit, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "hardlink_to", refuse)
    add(repo, git, "1-a")
    assert (repo.common_dir / "worktrees/1-a/commondir").read_text() == "../..\n"


def test_worktrees_share_the_folder_of_an_index(git: LayeredGit, tmp_path: Path) -> None:
    cached, alone = tmp_path / "layer", tmp_path / "alone"
    for folder in (cached, cached / "tree", alone):
        folder.mkdir()
    for folder in (cached, alone):
        (folder / "index").write_bytes(b"index")
    shared = git.share_index(cached / "index")
    assert [file.name for file in shared.iterdir()] == ["index"]
    assert (shared / "index").samefile(cached / "index")
    assert git.share_index(cached / "index") == shared
    assert git.share_index(alone / "index") == alone
    git.close()
    assert (shared.exists(), (alone / "index").exists()) == (False, True)
