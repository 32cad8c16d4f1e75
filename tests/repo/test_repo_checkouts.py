"""The checkouts and git directories that no agent may read: the repository's and its superprojects'."""

import os
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Workspace

from gitbatch.repo.opening import open_repository
from gitbatch.repo.worktrees.checkouts import Checkouts, find_checkouts, name_in_checkout, unknown_advice


@pytest.fixture(autouse=True)
def _user(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    workspace.write("a.txt", "a\n")
    workspace.commit()


def checkouts(directory: Path, *near: Path) -> Checkouts:
    with closing(open_repository(directory, read_only=True)) as repo:
        return find_checkouts(repo, ":".join(map(str, near)))


def separate(workspace: Workspace, git_dir: Path) -> None:
    """Move the git directory of a repository away, as `git init --separate-git-dir` does."""
    git_dir.parent.mkdir(exist_ok=True)
    workspace.git("init", "--quiet", "--separate-git-dir", str(git_dir))


def link(workspace: Workspace, path: Path) -> Path:
    path.parent.mkdir(exist_ok=True)
    workspace.git("worktree", "add", "-q", "--detach", str(path))
    return path


def add_submodule(outer: Workspace, source: Path, name: str) -> Workspace:
    outer.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", str(source), name)
    outer.commit()
    return replace(outer, root=outer.root / name)


def make_repository(workspace: Workspace, root: Path) -> Workspace:
    root.mkdir()
    made = replace(workspace, root=root)
    made.git("init", "--quiet", "--initial-branch=main")
    made.write("b.txt", "b\n")
    made.commit()
    return made


def test_linked(workspace: Workspace, tmp_path: Path) -> None:
    linked = link(workspace, tmp_path / "linked")
    (workspace.root / ".git/worktrees/broken").mkdir()
    (workspace.root / ".git/worktrees/empty").mkdir()
    (workspace.root / ".git/worktrees/empty/gitdir").touch()
    everything = {workspace.root, linked, workspace.root / ".git"}
    assert set(checkouts(workspace.root).folders) == everything
    found = checkouts(linked)
    assert found.folders[0] == linked
    assert set(found.folders) == {*everything, workspace.root / ".git/worktrees/linked"}
    assert not found.unknown


def test_a_relative_record(workspace: Workspace, tmp_path: Path) -> None:
    linked = link(workspace, tmp_path / "linked")
    other = link(workspace, tmp_path / "other")
    (workspace.root / ".git/worktrees/linked/gitdir").write_text("../../../../linked/.git\n")
    assert linked in checkouts(workspace.root).folders
    assert linked in checkouts(other).folders


@pytest.mark.parametrize("folder", ["linked", "apart/linked"])
def test_a_separate_git_dir_next_to_its_checkout(workspace: Workspace, tmp_path: Path, folder: str) -> None:
    separate(workspace, tmp_path / "gd")
    found = checkouts(link(workspace, tmp_path / folder))
    assert {workspace.root, tmp_path / folder, tmp_path / "gd"} <= set(found.folders)
    assert not found.unknown
    assert not checkouts(workspace.root).unknown


def test_a_separate_git_dir_by_a_link(workspace: Workspace, tmp_path: Path) -> None:
    (workspace.root / ".git").rename(tmp_path / "gd")
    (workspace.root / ".git").symlink_to(tmp_path / "gd")
    assert workspace.root in checkouts(link(workspace, tmp_path / "linked")).folders


def test_a_separate_git_dir_far_from_its_checkout(workspace: Workspace, tmp_path: Path) -> None:
    git_dir = tmp_path / "dirs" / "gd"
    separate(workspace, git_dir)
    linked = link(workspace, tmp_path / "apart" / "linked")
    found = checkouts(linked)
    assert workspace.root not in found.folders
    assert found.unknown == (git_dir,)
    assert f"git config --file {git_dir}/config core.worktree" in unknown_advice(git_dir)
    assert workspace.root in checkouts(linked, workspace.root / "tools" / "bin").folders
    assert not checkouts(linked, workspace.root / "tools" / "bin").unknown
    workspace.git("config", "--file", f"{git_dir}/config", "core.worktree", str(workspace.root))
    found = checkouts(linked)
    assert workspace.root in found.folders
    assert not found.unknown


@pytest.mark.parametrize("file", ["config", "config.worktree"])
def test_a_git_dir_that_names_its_checkout(workspace: Workspace, tmp_path: Path, file: str) -> None:
    linked = link(workspace, tmp_path / "apart" / "linked")
    (tmp_path / "dirs").mkdir()
    (workspace.root / ".git").rename(tmp_path / "dirs" / "gd")
    workspace.git("config", "--file", str(tmp_path / "dirs/gd" / file), "core.worktree", "../../repo")
    (linked / ".git").write_text(f"gitdir: {tmp_path}/dirs/gd/worktrees/linked\n")
    if file == "config.worktree":
        assert f"{file} core.worktree" in unknown_advice(tmp_path / "dirs/gd")
    found = checkouts(linked)
    assert workspace.root in found.folders
    assert not found.unknown


def test_a_bare_repository_has_no_main_checkout(workspace: Workspace, tmp_path: Path) -> None:
    workspace.git("clone", "--quiet", "--bare", ".", str(tmp_path / "dirs.git"))
    bare = replace(workspace, root=tmp_path / "dirs.git")
    linked = link(bare, tmp_path / "apart" / "linked")
    found = checkouts(linked)
    assert set(found.folders) == {linked, bare.root, bare.root / "worktrees/linked"}
    assert not found.unknown


def test_superprojects(workspace: Workspace, tmp_path: Path) -> None:
    middle = make_repository(workspace, tmp_path / "middle")
    add_submodule(middle, workspace.root, "inner")
    outer = make_repository(workspace, tmp_path / "outer")
    linked = link(outer, tmp_path / "outer-linked")
    inside = add_submodule(outer, middle.root, "mid")
    inside.git("-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init")
    found = set(checkouts(inside.root / "inner").folders)
    git_dir = outer.root / ".git"
    wanted = {outer.root, inside.root, inside.root / "inner", linked, git_dir}
    assert {*wanted, git_dir / "modules/mid", git_dir / "modules/mid/modules/inner"} <= found


def test_a_submodule_s_linked_worktree(workspace: Workspace, tmp_path: Path) -> None:
    outer = make_repository(workspace, tmp_path / "outer")
    inside = add_submodule(outer, workspace.root, "sub")
    linked = link(inside, tmp_path / "apart" / "linked")
    found = checkouts(linked)
    assert {linked, inside.root, outer.root, outer.root / ".git"} <= set(found.folders)
    assert not found.unknown


def test_a_superproject_with_a_separate_git_dir(workspace: Workspace, tmp_path: Path) -> None:
    outer = make_repository(workspace, tmp_path / "outer")
    separate(outer, tmp_path / "dirs" / "gd")
    inside = add_submodule(outer, workspace.root, "sub")
    linked = link(inside, tmp_path / "apart" / "linked")
    assert not checkouts(inside.root).unknown
    assert {outer.root, tmp_path / "dirs/gd"} <= set(checkouts(inside.root).folders)
    assert checkouts(linked).unknown == (tmp_path / "dirs/gd",)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_superproject_of_another_owner(workspace: Workspace, tmp_path: Path) -> None:
    outer = make_repository(workspace, tmp_path / "outer")
    inside = add_submodule(outer, workspace.root, "sub")
    for path in (outer.root, outer.root / ".git"):
        os.chown(path, 12345, -1)
    assert {outer.root, outer.root / ".git"} <= set(checkouts(inside.root).folders)


def test_a_repository_around_it_is_no_superproject(workspace: Workspace) -> None:
    inner = make_repository(workspace, workspace.root / "inner")
    assert set(checkouts(inner.root).folders) == {inner.root, inner.root / ".git"}


def test_names_are_shown_relative_to_the_checkout(tmp_path: Path) -> None:
    (tmp_path / "repo" / ".venv").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "repo")
    for root in (tmp_path / "repo", tmp_path / "link"):
        for path in (tmp_path / "repo" / ".venv", tmp_path / "link" / ".venv"):
            assert name_in_checkout(path, root) == ".venv"
    assert name_in_checkout(tmp_path / "other", tmp_path / "repo") == os.path.join("..", "other")  # noqa: PTH118
