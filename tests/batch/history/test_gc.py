"""Housekeeping: what finished batches left goes, what is unmerged or not ours stays."""

import fcntl
import json
import os
from collections.abc import Callable, Iterator
from hashlib import sha256
from pathlib import Path

import pytest
from base_repositories import BaseRepositories, list_objects
from conftest import Workspace, assert_sound
from history import audit

from gitbatch.batch.history.gc import find_garbage, remove_garbage
from gitbatch.batch.history.record import all_batches
from gitbatch.fs.removal import remove_tree
from gitbatch.repo.opening import open_repository
from gitbatch.repo.refs.store import Refs
from gitbatch.repo.repository import Repository

LOCKS = {"holder", "children", "lock"}
GROUP = ("run", "--checkpoint", "at-end", "--items")


def batch_of(workspace: Workspace) -> str:
    return refs(workspace, "refs/gitbatch/*/base")[-1].split("/")[2]


def refs(workspace: Workspace, pattern: str) -> list[str]:
    return workspace.git("for-each-ref", "--format=%(refname)", pattern).splitlines()


def everything(workspace: Workspace) -> list[str]:
    """All files of .git and of the cache, but for the locks."""
    roots = (workspace.root / ".git", workspace.home / "cache")
    return sorted(str(path) for root in roots for path in root.rglob("*") if path.name not in LOCKS)


@pytest.fixture
def run(workspace: Workspace, base_repositories: BaseRepositories) -> Iterator[Workspace]:
    """The sample with three groups, of which a batch has done the first one."""
    if not base_repositories.copy_kept("first-group", workspace.root):
        base_repositories.copy_sample("three-groups", workspace.root)
        workspace.gitbatch(*GROUP, "group:1", code=0)
        base_repositories.keep("first-group", workspace.root)
    before = list_objects(workspace.root)
    yield workspace
    assert_sound(workspace, before)


def with_conflict(workspace: Workspace) -> str:
    """A batch that is over and whose first item is in conflict; returns its branch."""
    workspace.edit("task.md", "Write ab →", "Write ab do: take →")
    workspace.edit(
        "tools/agent.sh",
        "fail) echo",
        f'take) page >"$output"; cd "{workspace.root}"; mkdir -p out/pairs; echo u >out/pairs/ab.md; '
        "git add out; git -c user.name=U -c user.email=u@u commit -qm user ;;\nfail) echo",
    )
    workspace.commit()
    workspace.gitbatch(*GROUP, "T201", code=1)
    (branch,) = refs(workspace, "refs/heads/gitbatch/")
    return branch


def test_the_last_batch_stays_known_and_older_ones_go(run: Workspace) -> None:
    first = batch_of(run)
    run.gitbatch(*GROUP, "group:2", code=0)
    before = run.git("log", "--format=%H")
    cache, mark = run.home / "cache/gitbatch", sha256(os.fsencode(run.root / ".git")).hexdigest()[:8]
    left = [cache / "trial-0", cache / f"{run.root.name}-{mark}" / "check-0"]
    for folder in left:
        folder.mkdir(parents=True)
        os.utime(folder, (1e9, 1e9))
    said = run.gitbatch("gc", code=0).stdout
    assert [f"removed: folder {folder}" in said for folder in left] == [True, True], said
    assert not any(map(Path.exists, left))
    assert f"removed: ref refs/gitbatch/{first}/record" in said
    assert f"removed: folder {run.root}/.git/gitbatch/{first}" in said
    assert not refs(run, f"refs/gitbatch/{first}")
    assert "2 of 3" not in run.gitbatch("status", code=0).stdout
    assert batch_of(run) in run.gitbatch("status", code=0).stdout
    assert run.gitbatch("gc", code=0).stdout == "nothing to remove\n"
    run.gitbatch("gc", "--keep", "0", code=0)
    assert not refs(run, "refs/gitbatch")
    assert sorted(path.name for path in (run.root / ".git" / "gitbatch").iterdir()) == ["children", "lock"]
    assert "no batch has run here yet" in run.gitbatch("status", code=0).stdout
    assert run.git("log", "--format=%H") == before
    assert len(audit(run).items) == 8
    run.gitbatch(*GROUP, "group:3", code=0)


@pytest.mark.copied("an agent in an overlay does not find the checkout that it changes here")
def test_a_dry_run_says_the_same_and_changes_nothing(run: Workspace) -> None:
    branch = with_conflict(run)
    before, files = run.state(), everything(run)
    said = run.gitbatch("gc", "-n", "--keep", "0", code=0).stdout
    assert (run.state(), everything(run)) == (before, files)
    assert f"would be removed: branch {branch.removeprefix('refs/heads/')}" in said
    assert run.gitbatch("gc", "--keep", "0", code=0).stdout == said.replace("would be ", "")


@pytest.mark.copied("an agent in an overlay does not find the checkout that it changes here")
def test_what_is_unmerged_is_kept_first_and_goes_when_it_is_merged(run: Workspace) -> None:
    branch = with_conflict(run)
    commit = run.git("rev-parse", branch)
    batch = batch_of(run)
    said = json.loads(run.gitbatch("gc", "--json", code=0).stdout)
    kept = f"refs/gitbatch/{batch}/rescue/2-t201"
    assert said["rescued"] == [{"name": branch.removeprefix("refs/heads/"), "ref": kept, "commit": commit}]
    assert {"kind": "branch", "name": branch, "batch": batch, "oid": commit} in said["removed"]
    assert refs(run, "refs/heads/gitbatch/") == []
    assert run.git("rev-parse", kept) == commit
    run.git("gc", "-q", "--prune=now")
    assert "# out/pairs/ab.md" in run.git("show", f"{kept}:out/pairs/ab.md")
    again = run.gitbatch("gc", "--keep", "0", code=0).stdout
    assert f"kept: {kept}: it is not merged" in again
    assert refs(run, "refs/gitbatch") == [kept]
    run.git("merge", "-q", "-s", "ours", "-m", "seen", kept)
    assert f"removed: ref {kept}" in run.gitbatch("gc", code=0).stdout
    assert refs(run, "refs/gitbatch") == []


def test_a_batch_whose_branch_the_user_reset_is_unmerged(run: Workspace) -> None:
    end = run.git("rev-parse", "HEAD")
    run.git("reset", "-q", "--hard", "HEAD~2")
    said = json.loads(run.gitbatch("gc", "--keep", "0", "--json", code=0).stdout)
    assert [rescue["commit"] for rescue in said["rescued"]] == [end]
    (kept,) = refs(run, "refs/gitbatch")
    assert run.git("rev-parse", kept) == end
    assert kept.endswith(("/rescue/end", "/rescue/followed"))


def test_an_unfinished_batch_is_left_alone(paused: Workspace) -> None:
    before, files = paused.state(), everything(paused)
    said = json.loads(paused.gitbatch("gc", "--keep", "0", "--json", code=0).stdout)
    assert (said["removed"], said["rescued"]) == ([], [])
    assert said["kept"] == [
        {
            "name": batch_of(paused),
            "reason": "it is unfinished: gitbatch run resumes it, gitbatch abort ends it",
        }
    ]
    assert (paused.state(), everything(paused)) == (before, files)
    paused.gitbatch("run", code=3)


def test_worktrees_and_folders_are_found_by_our_own_record(run: Workspace) -> None:
    batch = batch_of(run)
    worktrees_dir = run.home / "cache" / "gitbatch" / "repo-12345678" / batch
    run.git("worktree", "add", "-q", "-b", f"gitbatch/{batch}/1-x", str(worktrees_dir / f"{batch}-1-x"))
    left = Workspace(worktrees_dir / f"{batch}-1-x", run.home, run.environment)
    left.write("work.md", "paid for")
    commit = left.commit("work")
    other = worktrees_dir.parent / "another batch"
    other.mkdir()
    precious = run.root.parent / "precious"
    precious.mkdir()
    (run.root / ".git" / "gitbatch" / batch / "workshops").write_bytes(
        f"{worktrees_dir}\0{precious}\0".encode()
    )
    (run.root / ".git" / "gitbatch" / "gitbatch-abc").mkdir()
    run.git("worktree", "add", "-q", "-b", "mine", str(run.root.parent / "mine"))
    run.gitbatch("gc", code=0)
    assert run.git("worktree", "list", "--porcelain").count("worktree ") == 2
    assert not worktrees_dir.exists()
    assert other.exists()
    assert precious.exists(), "no note makes us remove a folder that is not called as the batch is"
    assert not list((run.root / ".git" / "gitbatch").glob("gitbatch-*"))
    assert run.git("rev-parse", f"refs/gitbatch/{batch}/rescue/1-x") == commit


@pytest.mark.copied("an agent in an overlay does not find the checkout that it changes here")
def test_a_branch_that_the_user_looks_at_stays(run: Workspace) -> None:
    branch = with_conflict(run)
    looked_at = run.root.parent / "looked-at"
    run.git("worktree", "add", "-q", str(looked_at), branch.removeprefix("refs/heads/"))
    said = run.gitbatch("gc", "--keep", "0", code=0).stdout
    assert f"kept: {branch.removeprefix('refs/heads/')}: it is checked out in {looked_at}" in said
    assert refs(run, "refs/heads/gitbatch/") == [branch]
    run.git("worktree", "remove", str(looked_at))
    run.gitbatch("gc", code=0)
    assert refs(run, "refs/heads/gitbatch/") == []
    assert len(refs(run, "refs/gitbatch/*/rescue/*")) == 1


@pytest.fixture
def repo(run: Workspace, monkeypatch: pytest.MonkeyPatch) -> Iterator[Repository]:
    for name, value in run.environment.items():
        monkeypatch.setenv(name, value)
    with_conflict(run)
    opened = open_repository(run.root)
    yield opened
    opened.close()


@pytest.mark.parametrize("step", range(4))
@pytest.mark.sample(2)
@pytest.mark.copied("an agent in an overlay does not find the checkout that it changes here")
def test_cut_anywhere_it_loses_nothing_and_is_done_again(
    run: Workspace, repo: Repository, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    (commit,) = (run.git("rev-parse", branch) for branch in refs(run, "refs/heads/gitbatch/"))
    left = [True] * step

    def cutting(function: Callable[..., object]) -> Callable[..., object]:
        def wrapped(*arguments: object) -> object:
            if not left:
                raise KeyboardInterrupt
            left.pop()
            return function(*arguments)

        return wrapped

    garbage = find_garbage(repo, 0)
    with monkeypatch.context() as patched:
        patched.setattr(Refs, "point", cutting(Refs.point))
        patched.setattr(Refs, "delete", cutting(Refs.delete))
        patched.setattr("gitbatch.batch.history.gc.remove_anything", cutting(remove_tree))
        with pytest.raises(KeyboardInterrupt):
            remove_garbage(repo, garbage)
    assert not [batch for batch in all_batches(repo) if not batch.ended], "no batch has come to life again"
    assert commit in run.git("rev-list", "--all")
    run.gitbatch("gc", "--keep", "0", code=0)
    (kept,) = refs(run, "refs/gitbatch")
    assert run.git("rev-parse", kept) == commit
    assert sorted(path.name for path in (run.root / ".git" / "gitbatch").iterdir()) == ["children", "lock"]


def test_two_at_once(run: Workspace) -> None:
    before = run.state()
    with Path(run.root / ".git" / "gitbatch" / "lock").open("w", encoding="utf-8") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert "gitbatch" in run.gitbatch("gc", "--keep", "0", code=75).stderr
    assert run.state() == before
