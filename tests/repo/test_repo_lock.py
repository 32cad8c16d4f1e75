"""One gitbatch at a time; the gits of a dead one are waited for; what dead ones have locked is proven theirs."""

import fcntl
import getpass
import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest
from conftest import Workspace

from gitbatch.errors import BusyError, GitError
from gitbatch.repo import lock
from gitbatch.repo.holder import name_waiting, read_holder, read_waiting
from gitbatch.repo.lock import repository_lock
from gitbatch.repo.repository import Repository

TARGET = "refs/heads/main"


@contextmanager
def orphan(repo: Repository) -> Iterator["subprocess.Popen[bytes]"]:
    """A process that holds what a git of ours inherits."""
    repo.own_dir.mkdir(exist_ok=True)
    descriptor = os.open(repo.own_dir / "children", os.O_RDWR | os.O_CREAT)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    process = subprocess.Popen(["sleep", "60"], pass_fds=(descriptor,))
    os.close(descriptor)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def silent(_: str) -> None:
    """Nobody needs to know."""


def test_who_comes_second_is_told_who_is_first(repo: Repository) -> None:
    with (
        repository_lock(repo, silent),
        pytest.raises(BusyError) as refused,
        repository_lock(repo, silent),
    ):
        pass
    assert f"another gitbatch is running in {repo.root} (process {os.getpid()} of " in refused.value.message
    assert ", since 20" in refused.value.message
    assert os.uname().nodename in refused.value.message
    assert refused.value.message.endswith(")")
    with repository_lock(repo, silent):
        pass
    assert sorted(path.name for path in repo.own_dir.iterdir()) == ["children", "lock"]


def test_the_holder_is_known_while_it_lives(repo: Repository) -> None:
    assert read_holder(repo.own_dir) is None
    with repository_lock(repo, silent, "gc"):
        holder = read_holder(repo.own_dir)
        assert holder
        assert (holder.process, holder.folder, holder.verb) == (os.getpid(), str(repo.root), "gc")
        content = (repo.own_dir / "holder").read_bytes()
    assert read_holder(repo.own_dir) is None
    (repo.own_dir / "holder").write_bytes(content)
    assert read_holder(repo.own_dir) is None, "of a process that was killed"
    with repository_lock(repo, silent):
        (repo.own_dir / "holder").write_bytes(b"half a l")
        assert read_holder(repo.own_dir) is None


def test_a_user_without_a_name_holds_the_lock(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> str:
        raise OSError

    monkeypatch.setattr(getpass, "getuser", fail)
    with repository_lock(repo, silent):
        holder = read_holder(repo.own_dir)
        assert holder
        assert holder.user == f"user {os.geteuid()}"


@pytest.mark.parametrize("kind", ["link", "fifo"])
def test_what_stands_where_the_holder_is_named_is_replaced(
    repo: Repository, tmp_path: Path, kind: str
) -> None:
    """An agent without a sandbox can put it there: nothing is written through it, and nobody waits for it."""
    (tmp_path / "precious").write_text("mine")
    repo.own_dir.mkdir(exist_ok=True)
    holder = repo.own_dir / "holder"

    def plant() -> None:
        holder.unlink(missing_ok=True)
        holder.symlink_to(tmp_path / "precious") if kind == "link" else os.mkfifo(holder)

    plant()
    with repository_lock(repo, silent):
        assert holder.is_file()
        assert not holder.is_symlink()
        plant()
        with pytest.raises(BusyError, match="another gitbatch"), repository_lock(repo, silent):
            pass
    assert (tmp_path / "precious").read_text() == "mine"


def test_the_gits_of_a_dead_run_are_waited_for(repo: Repository) -> None:
    told: list[str] = []

    def end_git(text: str) -> None:
        told.append(text)
        git.kill()
        git.wait()

    with orphan(repo) as git, repository_lock(repo, end_git):
        pass
    assert told == [f"waiting for git processes of a killed run (process {git.pid})"]


def test_a_git_that_does_not_end_is_named(repo: Repository, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock, "_PATIENCE", 0.1)
    with (
        orphan(repo) as git,
        pytest.raises(BusyError, match=f"process {git.pid}"),
        repository_lock(repo, silent),
    ):
        pass


def has_lock(process: "subprocess.Popen[bytes]") -> bool:
    """Returns whether a process has inherited the lock of git's processes."""
    return any(link.readlink().name == "children" for link in Path(f"/proc/{process.pid}/fd").iterdir())


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_gits_inherit_the_lock_and_nobody_else_does(repo: Repository) -> None:
    def has_lock_once(process: "subprocess.Popen[bytes]") -> bool:
        try:
            return has_lock(process)
        finally:
            process.communicate()

    with repository_lock(repo, silent) as held:
        assert has_lock_once(held.git.start("cat-file", "--batch"))
        assert not has_lock_once(subprocess.Popen(["cat"], stdin=subprocess.PIPE))
        assert not has_lock_once(repo.git.start("cat-file", "--batch"))


def lock_like_ours(path: Path) -> None:
    """What a git of ours that was killed leaves where the user's git locks too."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch(0o444)


def reading_process(repo: Repository) -> "subprocess.Popen[bytes]":
    """Returns the process that reads objects."""
    process = repo.objects._reader._process
    assert process
    return process


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="needs /proc")
def test_what_reads_objects_already_is_taken_over_by_who_holds_the_lock(repo: Repository) -> None:
    """A reader that is started again gets the lock like every other git, and the repository without it gets its own."""
    os.utime(repo.objects.folder / "pack", (1, 1))  # shortly after a change there, readers are started again
    tree = repo.objects.tree_of(str(repo.head_commit()))
    taken = reading_process(repo)
    with repository_lock(repo, silent) as held:
        assert held.objects.read_tree(tree)
        assert reading_process(held) is taken
        taken.kill()
        taken.wait()
        with pytest.raises(GitError):
            held.objects.read_tree(tree)
        assert held.objects.read_tree(tree) == repo.objects.read_tree(tree)
        assert has_lock(reading_process(held))
        assert not has_lock(reading_process(repo))
    repo.close()


def test_locks_of_dead_gits_of_ours_are_removed_and_others_stay(
    repo: Repository, workspace: Workspace
) -> None:
    git = workspace.root / ".git"
    ours = [git / "refs/heads/gitbatch/b/1-x.lock", git / "refs/gitbatch/b/end.lock"]
    for path in ours:
        path.parent.mkdir(parents=True)
        path.touch()
    signed = [git / "HEAD.lock", git / "packed-refs.lock", git / "packed-refs.new", git / f"{TARGET}.lock"]
    for path in signed:
        lock_like_ours(path)
    theirs = [git / "refs/heads/theirs.lock", git / "config.lock"]
    for path in theirs:
        path.touch()
    (git / "packed-refs").write_text("# pack-refs with: peeled fully-peeled sorted \n")
    (git / "packed-refs").chmod(0o444)
    litter = git / "gitbatch" / "gitbatch-x1"
    litter.mkdir(parents=True)
    with repository_lock(repo, silent):
        assert not [path for path in (*ours, *signed, litter) if path.exists()]
        assert all(path.exists() for path in theirs)
        assert (git / "packed-refs").stat().st_mode & 0o200


def test_our_git_marks_the_locks_it_shares_and_leaves_no_trace_of_it(
    repo: Repository, workspace: Workspace
) -> None:
    """Seen by a hook that git runs while it holds the locks."""
    git, seen = workspace.root / ".git", workspace.home / "seen"
    with repository_lock(repo, silent) as held:
        hooks = workspace.home / "hooks"
        hooks.mkdir()
        hook = hooks / "reference-transaction"
        hook.write_text(
            f'#!/bin/sh\n[ "$1" = prepared ] && stat -c "%a %n" {git}/HEAD.lock {git}/{TARGET}.lock '
            f"{git}/packed-refs.lock >>{seen} 2>/dev/null\nexit 0\n"
        )
        hook.chmod(0o755)
        shutil.copy(shutil.which("git") or "", workspace.home)  # the hooks path of our git can't be changed
        watched = held.git.in_directory(workspace.root)
        head = workspace.git("rev-parse", "HEAD")
        new = workspace.git("commit-tree", f"{head}^{{tree}}", "-p", head, "-m", "x")
        refs = held.refs
        signing = refs._git_for(TARGET)
        assert signing.umask == refs.lock_umask
        assert watched.umask == -1
        done = signing.run("-c", f"core.hooksPath={hooks}", "update-ref", TARGET, new, head)
        assert done.status == 0
        assert {line.split()[0] for line in seen.read_text().splitlines()} == {"444"}
        assert refs.swap(TARGET, head, new, "back")
    assert (git / TARGET).stat().st_mode & 0o777 == 0o666 & ~_umask()
    assert not list(git.rglob("*.lock"))


def _umask() -> int:
    usual = os.umask(0o22)
    os.umask(usual)
    return usual


def test_a_lock_of_the_users_git_is_named_and_left(repo: Repository, workspace: Workspace) -> None:
    head = workspace.git("rev-parse", "HEAD")
    new = workspace.git("commit-tree", f"{head}^{{tree}}", "-p", head, "-m", "x")
    for name in (f"{TARGET}.lock", "HEAD.lock"):
        path = workspace.root / ".git" / name
        with repository_lock(repo, silent) as held:
            path.touch()
            with pytest.raises(BusyError) as refused:
                held.refs.swap(TARGET, new, head, "x")
            assert f"remove {path}" in refused.value.advice
            path.unlink()


def shim(workspace: Workspace, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Put a git on PATH that does more than git, or less."""
    folder = workspace.home / "bin"
    folder.mkdir()
    (folder / "git").write_text(f"#!/bin/sh\nreal={shutil.which('git')}\n{script}\n")
    (folder / "git").chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")


def test_a_git_that_was_killed_has_not_said_no(
    repo: Repository, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    workspace.git("pack-refs", "--all")
    shim(workspace, monkeypatch, "kill -9 $$")
    questions: tuple[Callable[[], str | None], ...] = (
        lambda: repo.refs.leads_to("refs/heads/none"),
        lambda: repo.refs.read("refs/heads/main"),
        lambda: repo.refs.commit("HEAD"),
    )
    for question in questions:
        with pytest.raises(GitError) as killed:
            question()
        assert killed.value.status == -signal.SIGKILL


def test_a_ref_that_a_killed_git_has_moved_is_moved(
    repo: Repository, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = workspace.git("rev-parse", "HEAD")
    new = workspace.git("commit-tree", f"{head}^{{tree}}", "-p", head, "-m", "x")
    case = 'case "$*" in *update-ref*) "$real" "$@"; kill -9 $$ ;; *) exec "$real" "$@" ;; esac'
    shim(workspace, monkeypatch, case)
    assert repo.refs.swap(TARGET, new, head, "x")
    assert repo.refs.read(TARGET) == new


def test_who_waits_without_the_lock_is_named(repo: Repository) -> None:
    """As it held the lock, from its first moment; what a killed process has left names none, and is removed."""
    with repository_lock(repo, silent, since=5.0):
        holder = read_holder(repo.own_dir)
    assert holder
    assert (holder.since, holder.process) == (5.0, os.getpid())
    killed = repo.own_dir / "waiting-1"
    killed.write_bytes(msgspec.json.encode(holder))
    assert read_waiting(repo.own_dir) == ()
    with name_waiting(repo.own_dir, holder):
        assert read_waiting(repo.own_dir) == (holder,)
        assert not killed.exists()
    assert read_waiting(repo.own_dir) == ()
    repo.own_dir.chmod(0o500)
    with name_waiting(repo.own_dir, holder):
        pass
    repo.own_dir.chmod(0o700)
    assert sorted(path.name for path in repo.own_dir.iterdir()) == ["children", "lock"]
