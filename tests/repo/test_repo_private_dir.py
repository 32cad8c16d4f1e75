"""No git of ours runs a program that an agent names, whatever it writes and whenever it does.

The race with a process that an agent has left behind, 200 times with each command:

    GITBATCH_FAULTS=long pytest tests/repo/test_repo_private_dir.py -n 0 -s
"""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from conftest import Workspace

from gitbatch.errors import GitbatchError
from gitbatch.repo import childless
from gitbatch.repo.attributes import store
from gitbatch.repo.checkout.follow import find_uncommitted, update_checkout
from gitbatch.repo.childless import start_childless
from gitbatch.repo.opening import open_repository
from gitbatch.repo.private_dir import private_git
from gitbatch.repo.repository import Repository
from gitbatch.repo.worktrees.agent_git import read_agent_git
from gitbatch.repo.worktrees.worktree import NewWorktree, add_worktree, remove_worktree

LONG = os.environ.get("GITBATCH_FAULTS") == "long"
TIMES = 200 if LONG else 8
FLIPPER = Path(__file__).parent / "flipper.py"
SPOILT = (GitbatchError, OSError)
"""What an attempt may end with where the agent writes into our own folder."""


@pytest.fixture
def repo(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    """Text files have CRLF in the checkout; `a.md` is one."""
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    workspace.write(".gitattributes", "*.md text eol=crlf\n")
    workspace.write("a.md", "a\r\n")
    workspace.commit()
    with closing(open_repository(workspace.root)) as opened:
        opened.own_dir.mkdir()
        yield opened


def tree_of(repo: Repository) -> str:
    return repo.objects.tree_of(repo.refs.commit("HEAD") or "")


def stores(repo: Repository, folder: Path, number: int) -> None:
    (folder / "output").write_bytes(b"%d\r\n" % number)
    with (folder / "output").open("rb") as stream:
        blob = store(repo, stream.fileno(), tree_of(repo), "a.md")
    assert repo.objects.read_blob(blob) == b"%d\n" % number


def follows_once(repo: Repository, folder: Path, number: int) -> None:
    old = tree_of(repo)
    path = f"new-{folder.name}-{number}.md"
    new = repo.objects.write_tree(old, {path: repo.objects.write_blob(b"%d\n" % number)})
    assert update_checkout(repo, old, new, (path,)).kept == ()
    assert (repo.root / path).read_bytes() == b"%d\r\n" % number


def follows(repo: Repository, folder: Path, number: int) -> None:
    for _ in "ab":  # the second time the file is compared
        follows_once(repo, folder, number)
        (repo.git_dir / "index").unlink()


def fills(repo: Repository, folder: Path, number: int) -> None:
    path = folder / f"tree-{number}"
    branch = f"refs/heads/gitbatch/{folder.name}/{number}"
    base = repo.refs.commit("HEAD") or ""
    agents = read_agent_git(repo, folder, "refs/heads/main")
    add_worktree(repo, agents, NewWorktree(path, branch, base, "b.md", None))
    assert (path / "a.md").read_bytes() == b"a\r\n"
    remove_worktree(repo, path)


def compares(repo: Repository, _folder: Path, _number: int) -> None:
    os.utime(repo.root / "a.md", ns=(0, 0))  # git looks into it
    assert find_uncommitted(repo, ("a.md",)) == ()


@contextmanager
def flipping(repo: Repository, *arguments: str) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, str(FLIPPER), str(repo.root), *arguments], stdout=subprocess.PIPE
    )
    try:
        assert process.stdout
        assert process.stdout.readline() == b"ready\n"
        yield
    finally:
        process.kill()
        process.communicate()


COMMANDS = {
    "hash-object --path": stores,
    "cat-file --filters": follows,
    "read-tree -u": fills,
    "status": compares,
}


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_what_an_agent_flips_runs_nothing(
    repo: Repository, tmp_path: Path, command: Callable[[Repository, Path, int], None]
) -> None:
    with flipping(repo, str(tmp_path / "canary"), "1"):
        for number in range(TIMES):
            command(repo, tmp_path, number)
    assert ran(tmp_path) == ""


@pytest.mark.parametrize("command", COMMANDS.values(), ids=COMMANDS)
def test_not_even_what_it_writes_into_our_own_folder(
    repo: Repository, tmp_path: Path, command: Callable[[Repository, Path, int], None]
) -> None:
    if can_fork():
        pytest.skip("this kernel has no filter of system calls")
    with flipping(repo, str(tmp_path / "canary"), "2", "--private"):
        for number in range(TIMES):
            with suppress(AssertionError, *SPOILT):
                command(repo, tmp_path, number)
    assert ran(tmp_path) == ""


def ran(folder: Path) -> str:
    """The git commands that started the agent's program."""
    found = folder / "canary"
    return found.read_text(encoding="utf-8").replace("\0", " ") if found.exists() else ""


def can_fork() -> bool:
    """Whether a childless process can start another one."""
    command = ["sh", "-c", "(exit 0)"]
    return start_childless(lambda: subprocess.Popen(command, stderr=subprocess.DEVNULL)).wait() == 0


def test_where_nothing_can_be_enforced_processes_start_as_usual(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make = childless._filtered_thread.__wrapped__
    with monkeypatch.context() as here:
        here.setattr(childless, "_SET_SECCOMP", -1)  # no such option of prctl
        assert make() is None
    with monkeypatch.context() as here:
        here.setattr(childless, "_MACHINES", {})
        assert make() is None
        here.setattr(childless, "_filtered_thread", make)
        assert can_fork()
    git = tmp_path / "bin" / "git"
    git.parent.mkdir()
    git.write_text('#!/bin/sh\n(exit 0) && echo "git version 2.39.5"\n', encoding="utf-8")
    git.chmod(0o755)
    monkeypatch.setenv("PATH", str(git.parent), prepend=os.pathsep)
    assert make() is None, "this git needs to fork"


def test_a_filter_that_gets_into_our_folder_cannot_start(repo: Repository, tmp_path: Path) -> None:
    if can_fork():
        pytest.skip("this kernel has no filter of system calls")
    with private_git(repo) as git:
        workspace = Path(git.variables["GIT_DIR"])
        program = f"touch {tmp_path}/canary; cat"
        (workspace / "config").write_text(f'[filter "evil"]\n\tclean = "{program}"\n', encoding="utf-8")
        (workspace / "info" / "attributes").write_text("* filter=evil\n", encoding="utf-8")
        usual = git.run("hash-object", "--stdin", "--path=a", input=b"a").stderr
        assert not (tmp_path / "canary").exists()
        assert "Operation not permitted" in usual
        subprocess.run(
            ["git", "hash-object", "--stdin", "--path=a"],
            env={**os.environ, **git.variables},
            cwd=git.directory,
            input=b"a",
            check=True,
            capture_output=True,
        )
    assert (tmp_path / "canary").exists(), "the naive way runs it"


def test_a_split_index_is_read(repo: Repository, workspace: Workspace) -> None:
    workspace.git("update-index", "--split-index")
    assert list(repo.git_dir.glob("sharedindex.*"))
    assert find_uncommitted(repo, ("a.md",)) == ()
    workspace.write("a.md", "b\r\n")
    assert find_uncommitted(repo, ("a.md",)) == ("a.md",)


def test_a_split_index_is_written(repo: Repository, workspace: Workspace, tmp_path: Path) -> None:
    workspace.git("update-index", "--split-index")
    for number in range(5):
        follows_once(repo, tmp_path, number)
    assert workspace.git("ls-files").splitlines() == [
        ".gitattributes",
        "a.md",
        *(f"new-{tmp_path.name}-{number}.md" for number in range(5)),
    ]


def test_a_sparse_index_stays_sparse(workspace: Workspace, tmp_path: Path) -> None:
    workspace.write(".gitattributes", "*.md text eol=crlf\n")
    for path in ("here/b.md", "elsewhere/c.md"):
        workspace.write(path, "text\r\n")
    workspace.commit()
    workspace.git("sparse-checkout", "set", "--cone", "--sparse-index", "here")
    index = workspace.root / ".git" / "index"
    assert b"sdir" in index.read_bytes()
    with closing(open_repository(workspace.root, read_only=True)) as repo:
        repo.own_dir.mkdir()
        follows_once(repo, tmp_path, 1)
        assert find_uncommitted(repo, ("here/b.md",)) == ()
    assert b"sdir" in index.read_bytes()
