"""Checkouts that are kept: whatever an agent did, the next worktree has what git's own checkout has."""

import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from mmap import mmap
from pathlib import Path

import pytest
from conftest import Workspace
from shown import read_folder, require_right_index

from gitbatch.fs.holders import is_in_use
from gitbatch.fs.touched import shows_mapped_writes
from gitbatch.paths import ancestors
from gitbatch.repo.opening import open_repository
from gitbatch.repo.repository import Repository
from gitbatch.repo.templates.complete import check_out_complete
from gitbatch.repo.templates.kept import KeptCheckouts
from gitbatch.repo.worktrees.agent_git import AgentGit, git_dir_of, read_agent_git
from gitbatch.repo.worktrees.worktree import NewWorktree, Worktree, add_worktree, remove_worktree

OUTPUT = "out/deep/x.md"
pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="open files are shown on Linux alone")


@pytest.fixture
def repo(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    for name, value in workspace.environment.items():
        monkeypatch.setenv(name, value)
    for number, path in enumerate(("a/1.md", "a/2.txt", "a/b/3.md", "c/4.md", "d e/ü.md", "top.md")):
        workspace.write(path, f"text {number}\n")
    (workspace.root / "link").symlink_to("a/1.md")
    (workspace.root / "c/4.md").chmod(0o755)
    workspace.commit()
    opened = open_repository(workspace.root)
    yield opened
    opened.close()


@pytest.fixture(autouse=True)
def _keep_small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gitbatch.repo.templates.kept._FEW", 0)
    monkeypatch.setattr("gitbatch.repo.templates.kept.shows_mapped_writes", lambda _: True)  # also on a tmpfs


class Desk:
    """Makes worktrees, one after the other."""

    def __init__(self, repo: Repository, folder: Path) -> None:
        self.repo, self.folder = repo, folder
        folder.mkdir()
        self.kept = KeptCheckouts(repo, folder / ".kept", partial(check_out_complete, repo))
        self.agents: AgentGit = read_agent_git(repo, folder, "refs/heads/main")
        self.count = 0
        self.output = OUTPUT

    def open(self) -> Worktree:
        self.count += 1
        branch = f"refs/heads/gitbatch/b/1-{self.count}"
        base = self.repo.refs.commit("HEAD") or ""
        new = NewWorktree(self.folder / f"b-1-{self.count}", branch, base, self.output, None)
        return add_worktree(self.repo, self.agents, new, self.kept.check_out)

    def leave(self, worktree: Worktree) -> None:
        self.kept.keep(worktree, ancestors(self.output))
        assert remove_worktree(self.repo, worktree.path)

    def waiting(self) -> int:
        folder = self.folder / ".kept"
        return sum(path.is_dir() for path in folder.iterdir()) if folder.exists() else 0


@pytest.fixture
def desk(repo: Repository, tmp_path: Path) -> Iterator[Desk]:
    made = Desk(repo, tmp_path / "worktrees")
    with closing(made.kept):
        yield made
    assert not (tmp_path / "worktrees/.kept").exists()


def require_checkout(workspace: Workspace, desk: Desk, worktree: Worktree, tmp_path: Path) -> None:
    """Requires that a worktree is what git would make, for files and for git in it."""
    checkout = tmp_path / f"checkout-{desk.count}"
    workspace.git("worktree", "add", "-q", "--detach", str(checkout), "HEAD")
    (checkout / OUTPUT).parent.mkdir(parents=True, exist_ok=True)
    assert read_folder(worktree.path) == read_folder(checkout)
    status = ["git", "-C", str(worktree.path), "status", "--porcelain", "--ignored"]
    said = subprocess.run(status, env=workspace.environment, capture_output=True, text=True, check=True)
    assert said.stdout == ""
    tree = workspace.git("rev-parse", "HEAD^{tree}")
    require_right_index(workspace, git_dir_of(worktree.path) / "index", tree, (worktree.path,))


def test_a_checkout_is_used_again(desk: Desk, workspace: Workspace, tmp_path: Path) -> None:
    first = desk.open()
    inode = (first.path / "a/1.md").stat().st_ino
    (first.path / OUTPUT).write_text("written\n")
    desk.leave(first)
    assert desk.waiting() == 1
    second = desk.open()
    assert (second.path / "a/1.md").stat().st_ino == inode
    require_checkout(workspace, desk, second, tmp_path)


def test_a_checkout_is_not_kept_if_the_clock_goes_back(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """What was touched then has an older change time than the checkout."""
    first, second = desk.open(), desk.open()
    real = time.time_ns
    monkeypatch.setattr(time, "time_ns", lambda: real() + 3_600_000_000_000)
    desk.leave(first)
    assert desk.waiting() == 1, "as after a sleep of the machine"
    monkeypatch.setattr(time, "time_ns", lambda: real() - 3_600_000_000_000)
    desk.leave(second)
    assert desk.waiting() == 1


@pytest.mark.parametrize("disk", ["/dev/shm", "/var/tmp"])  # noqa: S108 - for a folder of its own
def test_what_was_written_through_memory_is_seen(
    repo: Repository, monkeypatch: pytest.MonkeyPatch, disk: str
) -> None:
    """A tmpfs does not change a time for it."""
    if not os.access(disk, os.W_OK):
        pytest.skip(f"no {disk} here")
    monkeypatch.setattr("gitbatch.repo.templates.kept.shows_mapped_writes", shows_mapped_writes)
    with tempfile.TemporaryDirectory(dir=disk) as folder:
        desk = Desk(repo, Path(folder) / "worktrees")
        worktree = desk.open()
        with (worktree.path / "a/1.md").open("r+b") as file, mmap(file.fileno(), 0) as memory:
            assert memory[:4] == b"text"
            memory[:4] = b"evil"
        desk.leave(worktree)
        assert (desk.open().path / "a/1.md").read_text() == "text 0\n"


def test_a_small_checkout_is_not_kept(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gitbatch.repo.templates.kept._FEW", 64)
    desk.leave(desk.open())
    assert desk.waiting() == 0


def test_a_folder_that_was_made_for_an_output_goes(desk: Desk) -> None:
    desk.output = "a/new/x.md"
    desk.leave(desk.open())
    (kept,) = (path for path in (desk.folder / ".kept").iterdir() if path.is_dir())
    assert sorted(path.name for path in (kept / "a").iterdir()) == ["1.md", "2.txt", "b"]


def _put(path: str, text: str = "new\n") -> Callable[[Path], object]:
    def write(root: Path) -> None:
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)

    return write


def _shell(command: str) -> Callable[[Path], object]:
    return lambda root: subprocess.run(
        ["sh", "-c", command], cwd=root, check=False, stderr=subprocess.DEVNULL
    )


DEEDS = (
    _put("a/1.md"),
    _put("new/folder/file"),
    _put("out/deep/other"),
    _put(".gitignore", "*\n"),
    _put(".gitattributes", "* text eol=crlf\n"),
    _shell("rm -r a/b"),
    _shell("rm -rf a"),
    _shell("rm -rf out"),
    _shell("rm -f top.md; mkdir top.md; echo x > top.md/y"),
    _shell("rm -rf c; ln -s /etc c"),
    _shell("rm -f link; ln -s /etc/passwd link"),
    _shell("mv a z"),
    _shell("chmod 600 c/4.md a/1.md"),
    _shell("chmod 700 'd e'; chmod 1777 ."),
    _shell("ln -f top.md hard 2>/dev/null; mkfifo fifo; true"),
    _shell("touch -d @1 a/1.md 'd e/ü.md'"),
    _shell("mkdir -p empty/folders/only"),
    _shell("echo '!' > 'd e/ü.md'; touch -d @1700000000 'd e/ü.md'"),
)


@pytest.mark.parametrize("attributes", ["", "*.md text eol=crlf\n*.txt ident\n"])
def test_whatever_was_done_the_next_worktree_is_a_checkout(
    desk: Desk, workspace: Workspace, tmp_path: Path, attributes: str
) -> None:
    dice = random.Random(attributes)  # noqa: S311 - the same deeds each time
    if attributes:
        workspace.write(".gitattributes", attributes)
        workspace.commit()
    deeds = dice.sample(DEEDS, len(DEEDS))
    worktree = desk.open()
    while deeds:
        for deed in [deeds.pop() for _ in range(min(len(deeds), 3))]:
            deed(worktree.path)
        desk.leave(worktree)
        assert desk.waiting() == 1
        if dice.random() < 0.5:  # a later base
            workspace.write("a/1.md", f"{len(deeds)}\n")
            workspace.write(f"later/{len(deeds)}.txt", "$Id$\n")
            workspace.git("rm", "-rq", "--ignore-unmatch", "a/b")
            workspace.commit()
        worktree = desk.open()
        assert desk.waiting() == 0
        require_checkout(workspace, desk, worktree, tmp_path)


def _set_attribute(root: Path) -> None:
    os.setxattr(root / "a", "user.mark", b"1")


@pytest.mark.parametrize("deed", [_set_attribute, _shell("rm .git; mkdir -p .git/x")])
def test_what_cannot_be_restored_is_removed(
    desk: Desk, workspace: Workspace, tmp_path: Path, deed: Callable[[Path], object]
) -> None:
    worktree = desk.open()
    deed(worktree.path)
    desk.leave(worktree)
    assert desk.waiting() == 0
    worktree = desk.open()
    require_checkout(workspace, desk, worktree, tmp_path)


@pytest.mark.parametrize("deed", [_shell("rm -r a"), _shell("for f in a/1.md top.md; do echo x >$f; done")])
def test_what_has_changed_much_is_removed(
    desk: Desk, monkeypatch: pytest.MonkeyPatch, deed: Callable[[Path], object]
) -> None:
    monkeypatch.setattr("gitbatch.repo.templates.restoring._MOST", 1)
    worktree = desk.open()
    deed(worktree.path)
    desk.leave(worktree)
    assert desk.waiting() == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder away")
def test_a_folder_of_another_owner_is_removed(desk: Desk) -> None:
    worktree = desk.open()
    os.chown(worktree.path / "a", 12345, -1)
    desk.leave(worktree)
    assert desk.waiting() == 0


def test_a_base_that_differs_much_gets_a_new_checkout(
    desk: Desk, workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gitbatch.repo.templates.kept._MANY", 0)
    desk.leave(desk.open())
    (kept,) = (desk.folder / ".kept").glob("*/c/4.md")
    workspace.write("top.md", "later\n")
    workspace.commit()
    with kept.open() as file:
        worktree = desk.open()
        assert os.fstat(file.fileno()).st_nlink == 0, "it is gone"
    require_checkout(workspace, desk, worktree, tmp_path)


def test_a_folder_in_which_a_process_works_is_not_kept(desk: Desk) -> None:
    worktree = desk.open()
    assert not is_in_use(worktree.path)
    with subprocess.Popen(["cat"], cwd=worktree.path / "a", stdin=subprocess.PIPE):
        assert is_in_use(worktree.path)
        desk.leave(worktree)
        assert desk.waiting() == 0
    with (worktree.path.parent / "x").open("w"):
        assert is_in_use(worktree.path.parent)


def test_another_attribute_file_makes_a_new_checkout(
    desk: Desk, workspace: Workspace, tmp_path: Path
) -> None:
    desk.leave(desk.open())
    workspace.write("a/.gitattributes", "*.md eol=crlf")
    workspace.commit()
    worktree = desk.open()
    assert desk.waiting() == 0
    require_checkout(workspace, desk, worktree, tmp_path)
