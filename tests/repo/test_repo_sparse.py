"""A few files of a commit, and an index in which git finds all of them."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from conftest import IDENTITY, Workspace

from gitbatch.errors import GitError
from gitbatch.repo.objects.codec import REGULAR, TreeEntry
from gitbatch.repo.objects.store import Objects
from gitbatch.repo.opening import open_repository
from gitbatch.repo.process import Git
from gitbatch.repo.repository import Repository
from gitbatch.repo.worktrees.agent_git import read_agent_git
from gitbatch.repo.worktrees.sparse import check_out
from gitbatch.repo.worktrees.worktree import NewWorktree, add_worktree

BRANCH = "refs/heads/gitbatch/b/1-x"


@pytest.fixture(params=["sha1", "sha256"])
def repo(
    tmp_path: Path,
    environment: dict[str, str],
    request: pytest.FixtureRequest,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Repository]:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    workspace = Workspace(tmp_path / "repo", tmp_path / "home", environment)
    workspace.root.mkdir()
    workspace.git("init", "-q", f"--object-format={request.param}", "-b", "main")
    for path in (
        "a/b/c.txt",
        "a/b/d.txt",
        "a/e.txt",
        "a.x",
        "a-x",
        "ü/ß.md",
        "ü/2",
        "z",
        f"long/{'n' * 200}/x",
    ):
        workspace.write(path, f"{path}\n")
    workspace.write("empty", "")
    workspace.write("run", "#!/bin/sh\n")
    (workspace.root / "run").chmod(0o755)
    (workspace.root / "link").symlink_to("a/b/c.txt")
    workspace.git("add", "--all")
    workspace.git(
        "update-index", "--add", "--cacheinfo", f"160000,{'1' * (40 if request.param == 'sha1' else 64)},sub"
    )
    workspace.git("commit", "-qm", "all kinds")
    opened = open_repository(workspace.root)
    yield opened
    opened.close()


def made(repo: Repository, tmp_path: Path, *paths: str) -> Workspace:
    """A worktree with some paths, to look at with the user's git."""
    base = repo.refs.commit("HEAD") or ""
    output = "out/x.md"
    path = tmp_path / "w t" / "b-1-x"
    agents = read_agent_git(repo, path.parent, "refs/heads/main")
    add_worktree(repo, agents, NewWorktree(path, BRANCH, base, output, paths))
    return Workspace(tmp_path / "w t" / "b-1-x", tmp_path / "home", {})


def on_disk(workspace: Workspace) -> set[str]:
    found = (path for path in workspace.root.rglob("*") if path.is_symlink() or not path.is_dir())
    return {path.relative_to(workspace.root).as_posix() for path in found} - {".git"}


def inside(workspace: Workspace, *arguments: str) -> list[str]:
    command = ["git", "-c", "core.quotePath=false", *arguments]
    return subprocess.run(
        command,
        cwd=workspace.root,
        env={**os.environ, **IDENTITY},
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()


@pytest.mark.parametrize(
    ("paths", "expected"),
    [
        ((), set()),
        (("a/b/c.txt", "z"), {"a/b/c.txt", "z"}),
        (("a/", "a/b/c.txt"), {"a/b/c.txt", "a/b/d.txt", "a/e.txt"}),
        (("a/b/c.txt", "a/"), {"a/b/c.txt", "a/b/d.txt", "a/e.txt"}),
        (("a/b/",), {"a/b/c.txt", "a/b/d.txt"}),
        (("link", "run", "sub", "empty"), {"link", "run", "empty"}),
        (("nothing", "a/nothing/", "z/below", "ü/ß.md"), {"ü/ß.md"}),
    ],
)
def test_what_is_wanted_is_there_and_git_misses_nothing(
    repo: Repository, tmp_path: Path, paths: tuple[str, ...], expected: set[str]
) -> None:
    workspace = made(repo, tmp_path, *paths)
    assert on_disk(workspace) == expected
    assert inside(workspace, "diff-files", "--name-only") == [], "what git compares first is right"
    assert inside(workspace, "status", "--porcelain") == []
    staged = [line.replace(" 0\t", "\t") for line in inside(workspace, "ls-files", "--stage")]
    listed = inside(workspace, "ls-tree", "-r", "HEAD")
    assert staged == [
        f"{mode} {oid}\t{path}"
        for mode, _, oid, path in (line.replace("\t", " ").split(" ") for line in listed)
    ]
    skipped = {line[2:] for line in inside(workspace, "ls-files", "-t") if line.startswith("S ")}
    assert skipped == {line.partition("\t")[2] for line in listed} - expected - set(paths)


def test_kinds_of_files_come_as_they_are(repo: Repository, tmp_path: Path) -> None:
    workspace = made(repo, tmp_path, "link", "run", "sub", "z")
    assert (workspace.root / "link").readlink() == Path("a/b/c.txt")
    assert (workspace.root / "run").stat().st_mode & 0o777 == 0o755
    assert (workspace.root / "z").stat().st_mode & 0o777 == 0o644
    assert (workspace.root / "sub").is_dir()


def test_a_commit_of_the_agent_changes_what_it_changed(repo: Repository, tmp_path: Path) -> None:
    workspace = made(repo, tmp_path, "a/b/c.txt", "out/")
    (workspace.root / "out" / "x.md").write_text("x")
    (workspace.root / "a/b/c.txt").write_text("changed")
    (workspace.root / "a/new").write_text("new")
    inside(workspace, "add", "--all")
    inside(workspace, "commit", "-qm", "mine")
    assert inside(workspace, "diff-tree", "-r", "--name-status", "HEAD^", "HEAD") == [
        "M\ta/b/c.txt",
        "A\ta/new",
        "A\tout/x.md",
    ]
    assert inside(workspace, "status", "--porcelain") == []
    inside(workspace, "checkout", "--ignore-skip-worktree-bits", "HEAD^", "--", "a")
    assert (workspace.root / "a/b/d.txt").read_text() == "a/b/d.txt\n"


def test_git_knows_the_worktree_as_its_own(repo: Repository, tmp_path: Path) -> None:
    workspace = made(repo, tmp_path, "z")
    assert inside(workspace, "rev-parse", "HEAD", "main") == [repo.refs.commit("HEAD")] * 2
    assert inside(workspace, "branch", "--list", "gitbatch/*") == [], "what others work on"
    listed = repo.git.read_output("worktree", "list", "--porcelain")
    assert f"worktree {workspace.root}\nHEAD {repo.refs.commit('HEAD')}\nbranch {BRANCH}\n" in listed
    repo.git.run("worktree", "prune", "--expire=now")
    assert repo.git.read_output("worktree", "list", "--porcelain") == listed
    assert listed.count("locked gitbatch works in it") == 1, "so that a prune of the user keeps it"
    assert inside(workspace, "fsck", "--no-dangling") == []


def test_a_branch_that_is_there_is_not_taken(repo: Repository, tmp_path: Path) -> None:
    repo.refs.create(BRANCH, repo.refs.commit("HEAD") or "")
    with pytest.raises(GitError):
        made(repo, tmp_path, "z")


@pytest.mark.parametrize("name", ["..", ".", ".git", "a/b"])
def test_a_tree_that_git_would_refuse_is_refused(workspace: Workspace, tmp_path: Path, name: str) -> None:
    objects = Objects(Git(workspace.root), workspace.root / ".git/objects")
    inner = objects.write_tree(None, {"config": objects.write_blob(b"evil")})
    oid = bytes.fromhex(inner)
    objects.read_folder(inner)
    objects._folders["0" * 40] = {name: TreeEntry("40000", name, oid.hex())}
    (tmp_path / "wt").mkdir()
    (tmp_path / "wt" / ".git").write_text("gitdir: elsewhere\n")
    with pytest.raises((GitError, OSError)):
        check_out(objects, "0" * 40, (f"{name}/",), tmp_path / "wt")
    objects._folders["1" * 40] = {".git": TreeEntry(REGULAR, ".git", objects.write_blob(b"gitdir: evil\n"))}
    check_out(objects, "1" * 40, (".git",), tmp_path / "wt")
    assert (tmp_path / "wt" / ".git").read_text() == "gitdir: elsewhere\n"
    assert not list(tmp_path.rglob("config.evil"))
    objects.close()
