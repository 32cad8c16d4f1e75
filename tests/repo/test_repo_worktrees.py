"""Worktrees of items: filled by git, removed as files, whatever an agent made of them."""

import os
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from base_repositories import SAMPLES
from conftest import Workspace

from gitbatch.fs.removal import remove_tree
from gitbatch.repo.opening import open_repository
from gitbatch.repo.refs.lock_files import reclaim_folders
from gitbatch.repo.refs.store import Refs
from gitbatch.repo.repository import Repository
from gitbatch.repo.worktrees.agent_git import read_agent_git
from gitbatch.repo.worktrees.worktree import (
    NewWorktree,
    Worktree,
    add_worktree,
    checked_out_elsewhere,
    list_checked_out,
    remove_worktree,
    remove_worktree_entries,
    worktrees_named,
)

BRANCH = "refs/heads/gitbatch/b/1-x"


@pytest.fixture
def repo(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    workspace.write("a b/ü.md", "1")
    workspace.write("a b/second.md", "2")
    workspace.write("c/[x]*.md", "3")
    workspace.write("c/other.md", "4")
    workspace.write("top.md", "5")
    workspace.commit()
    opened = open_repository(workspace.root)
    yield opened
    opened.close()


def make(repo: Repository, tmp_path: Path, sparse: tuple[str, ...] | None = None) -> Worktree:
    path = tmp_path / "wörk trees" / "b-1-x"
    agents, base = read_agent_git(repo, path.parent, "refs/heads/main"), repo.refs.commit("HEAD") or ""
    return add_worktree(repo, agents, NewWorktree(path, BRANCH, base, "out/deep/x.md", sparse))


def files(root: Path) -> list[str]:
    return sorted(str(p.relative_to(root)) for p in root.rglob("*") if p.is_file() and p.name != ".git")


def test_a_full_worktree_has_everything(repo: Repository, tmp_path: Path) -> None:
    made = make(repo, tmp_path)
    assert files(made.path) == ["a b/second.md", "a b/ü.md", "c/[x]*.md", "c/other.md", "top.md"]
    assert (made.path / "out/deep").is_dir()
    assert repo.refs.read(BRANCH) == repo.refs.commit("HEAD")


def test_a_prune_that_removes_the_empty_folder_of_entries(
    repo: Repository, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`git worktree prune`, which `git gc` runs too, may do that before the entry is in it."""
    pruned: list[Path] = []
    rename = os.rename

    def prune_first(old: str, new: str) -> None:
        entries = Path(new).parent
        if entries.name == "worktrees" and entries.exists() and not pruned:
            workspace.git("worktree", "prune")
            pruned.append(Path(new))
            assert not entries.exists()
        rename(old, new)

    monkeypatch.setattr("gitbatch.repo.worktrees.worktree.os.rename", prune_first)
    assert make(repo, tmp_path, ()).branch == BRANCH
    assert pruned[0].is_dir()


def test_its_entry_is_made_while_git_makes_its_branch(
    repo: Repository, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To wait for git takes longer than to write the entry."""
    receive, entry = Refs._receive_moved, repo.common_dir / "worktrees/b-1-x/HEAD"
    seen: list[str] = []

    def note(refs: Refs, ref: str, new: str) -> bool:
        seen.append(entry.read_text(encoding="utf-8"))
        return receive(refs, ref, new)

    monkeypatch.setattr(Refs, "_receive_moved", note)
    made = make(repo, tmp_path)
    assert seen == [f"ref: {made.branch}\n"]


def test_a_sparse_worktree_has_what_was_asked_for(
    repo: Repository, workspace: Workspace, tmp_path: Path
) -> None:
    config = workspace.read(".git/config")
    made = make(repo, tmp_path, ("a b/ü.md", "c/[x]*.md", "out/deep/"))
    assert files(made.path) == ["a b/ü.md", "c/[x]*.md"]
    status = subprocess.run(["git", "status", "--porcelain"], cwd=made.path, capture_output=True, check=True)
    assert status.stdout == b"", "what is not checked out is not deleted"
    assert workspace.read(".git/config") == config


def test_nothing_of_the_checkout_is_newer_than_its_making(repo: Repository, tmp_path: Path) -> None:
    made = make(repo, tmp_path)
    times = [p.lstat().st_ctime_ns for p in made.path.rglob("*") if p.is_file() and p.name != ".git"]
    assert max(times) <= made.made
    (made.path / "top.md").chmod(0o600)
    assert (made.path / "top.md").stat().st_ctime_ns > made.made


def test_removal_leaves_no_trace_and_touches_nothing_else(
    repo: Repository, workspace: Workspace, tmp_path: Path
) -> None:
    workspace.git("worktree", "add", "-q", "--detach", str(tmp_path / "users own"))
    made = make(repo, tmp_path)
    (tmp_path / "precious").mkdir()
    (tmp_path / "precious" / "x").write_text("x", encoding="utf-8")
    (made.path / "link").symlink_to(tmp_path / "precious")
    locked = made.path / "locked" / "inner"
    locked.mkdir(parents=True)
    (locked / "x").write_text("x", encoding="utf-8")
    locked.chmod(0)
    (made.path / ".git").write_text("gitdir: /somewhere/else", encoding="utf-8")
    remove_worktree(repo, made.path)
    assert not made.path.exists()
    assert (tmp_path / "precious" / "x").read_text(encoding="utf-8") == "x"
    assert worktrees_named(repo, "b-") == ()
    assert workspace.git("worktree", "list", "--porcelain").count("worktree ") == 2
    remove_worktree(repo, made.path)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_a_locked_folder_is_removed_without_being_root() -> None:
    with tempfile.TemporaryDirectory() as top:
        tree = Path(top) / "tree"
        (tree / "a" / "b").mkdir(parents=True)
        (tree / "a" / "b" / "x").write_text("x", encoding="utf-8")
        for folder in (Path(top), tree, tree / "a", tree / "a" / "b"):
            os.chown(folder, 65534, 65534)
        (tree / "a" / "b").chmod(0)
        (tree / "a").chmod(0o500)
        child = os.fork()
        if child == 0:
            try:
                os.setresuid(65534, 65534, 65534)
                remove_tree(tree)
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        assert not tree.exists()


def test_a_missing_worktree_is_still_known_by_its_record(repo: Repository, tmp_path: Path) -> None:
    made = make(repo, tmp_path)
    remove_tree(made.path)
    assert worktrees_named(repo, "b-") == (made.path,)
    remove_worktree(repo, made.path)
    assert worktrees_named(repo, "b-") == ()


def test_a_branch_in_another_checkout_is_found(
    repo: Repository, workspace: Workspace, tmp_path: Path
) -> None:
    workspace.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    assert checked_out_elsewhere(repo, "refs/heads/side") == tmp_path / "side"
    assert checked_out_elsewhere(repo, "refs/heads/main") is None


@pytest.mark.rule("S1")
def test_the_hook_lets_only_the_assigned_file_be_committed(
    repo: Repository, workspace: Workspace, tmp_path: Path
) -> None:
    hook = workspace.root / ".git" / "hooks" / "pre-commit"
    hook.parent.mkdir(exist_ok=True)
    hook.write_bytes((SAMPLES.parent.parent / "hooks" / "pre-commit").read_bytes())
    hook.chmod(0o755)
    made = make(repo, tmp_path)
    inside = Workspace(made.path, workspace.home, workspace.environment)
    inside.write("out/deep/x.md", "x")
    inside.commit()
    inside.write("top.md", "mine now\n")
    inside.write("out/deep/x.md", "y")
    inside.git("add", "--all")
    done = subprocess.run(
        ["git", "commit", "-qm", "x"],
        cwd=made.path,
        env=workspace.environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert done.stderr.splitlines() == [
        "gitbatch: top.md may not be committed here (rule S1: a subagent writes only its own output file)",
        "gitbatch: the assigned file is out/deep/x.md: leave it in the worktree; gitbatch commits it for you",
    ]
    workspace.write("top.md", "the user's\n")
    assert workspace.commit(), "the user's own commits pass"


@pytest.mark.parametrize("kind", ["file", "link", "folder"])
def test_whatever_stands_where_a_record_belongs_goes_and_stays_in_nobodys_way(
    repo: Repository, tmp_path: Path, kind: str
) -> None:
    """An agent without a sandbox can put it there."""
    records = repo.common_dir / "worktrees"
    records.mkdir()
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/file").write_text("mine")
    odd = records / "b-odd"
    match kind:
        case "file":
            odd.write_text("x")
        case "link":
            odd.symlink_to(tmp_path / "kept")
        case _:
            odd.mkdir()
    remove_worktree_entries(repo, "b-")
    assert not records.exists()
    assert not list(repo.own_dir.glob("gitbatch-*"))
    (repo.own_dir / "gitbatch-1").write_text("left by somebody")
    (repo.own_dir / "gitbatch-2").symlink_to(tmp_path / "kept")
    reclaim_folders(repo.own_dir)
    assert not list(repo.own_dir.glob("gitbatch-*"))
    assert (tmp_path / "kept/file").exists()


def test_what_is_checked_out_is_known_with_and_without_other_worktrees(
    repo: Repository, workspace: Workspace, tmp_path: Path
) -> None:
    assert list_checked_out(repo) == {"refs/heads/main": repo.root}
    workspace.git("worktree", "add", "-q", "-b", "side", str(tmp_path / "side"))
    both = {"refs/heads/main": repo.root, "refs/heads/side": tmp_path / "side"}
    assert list_checked_out(repo) == both
    workspace.git("worktree", "remove", str(tmp_path / "side"))
    workspace.git("checkout", "-q", "--detach")
    assert list_checked_out(repo) == {}
