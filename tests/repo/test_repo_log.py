"""The log of first parents that `gitbatch status` reads with GitPython."""

import subprocess
from pathlib import Path

import pytest
from conftest import Workspace

from gitbatch.errors import GitbatchError, GitError
from gitbatch.repo.log import read_first_parents
from gitbatch.repo.repository import Repository


def test_first_parents(workspace: Workspace, repo: Repository) -> None:
    base = workspace.git("rev-parse", "HEAD")
    tree = workspace.git("rev-parse", "HEAD^{tree}")
    side = workspace.git("commit-tree", tree, "-p", base, "-m", "side")
    first = workspace.git("commit-tree", tree, "-p", base, "-m", "Ä\n\nGitbatch-Batch: x")
    merge = workspace.git("commit-tree", tree, "-p", first, "-p", side, "-m", "merge")
    log = read_first_parents(repo.root, base, merge)
    assert [entry.oid for entry in log] == [first, merge]
    assert log[0].message == "Ä\n\nGitbatch-Batch: x\n"
    assert read_first_parents(repo.root, base, base) == ()


def test_an_unknown_encoding(workspace: Workspace, repo: Repository) -> None:
    base = workspace.git("rev-parse", "HEAD")
    tree = workspace.git("rev-parse", "HEAD^{tree}")
    who = "A <a@example.org> 0 +0000"
    text = f"tree {tree}\nparent {base}\nauthor {who}\ncommitter {who}\nencoding none\n\ntext\n"
    made = subprocess.run(
        ["git", "hash-object", "-t", "commit", "-w", "--stdin"],
        cwd=workspace.root,
        env=workspace.environment,
        input=text,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.strip()
    (entry,) = read_first_parents(repo.root, base, made)
    assert (entry.oid, entry.message) == (made, "text\n")


def test_a_missing_commit(workspace: Workspace, repo: Repository) -> None:
    with pytest.raises(GitError):
        read_first_parents(repo.root, workspace.git("rev-parse", "HEAD"), "0" * 40)


def test_no_git(repo: Repository, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(GitbatchError, match="git was not found"):
        read_first_parents(repo.root, "a", "b")
