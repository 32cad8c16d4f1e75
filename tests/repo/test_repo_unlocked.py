"""A lock that would stop a checkpoint is noticed before any agent starts."""

import pytest
from conftest import Workspace

from gitbatch.errors import BusyError
from gitbatch.repo.repository import Repository
from gitbatch.repo.unlocked import require_unlocked

MAIN = "refs/heads/main"


@pytest.mark.parametrize("name", ["index.lock", "HEAD.lock", "packed-refs.lock", f"{MAIN}.lock"])
def test_a_lock_is_named(
    repo: Repository, workspace: Workspace, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("gitbatch.repo.unlocked._TRIES", 1)
    require_unlocked(repo, MAIN)
    lock = workspace.root / ".git" / name
    lock.touch()
    with pytest.raises(BusyError) as refused:
        require_unlocked(repo, MAIN)
    assert f"({lock})" in refused.value.message
    assert f"remove {lock}" in refused.value.advice
    assert lock.exists()


def test_the_index_of_a_checkout_that_does_not_follow_may_be_locked(
    repo: Repository, workspace: Workspace
) -> None:
    (workspace.root / ".git/index.lock").touch()
    require_unlocked(repo, "refs/heads/other")


def test_a_lock_that_goes_away_in_time_is_waited_for(
    repo: Repository, workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = workspace.root / ".git" / f"{MAIN}.lock"
    lock.touch()
    monkeypatch.setattr("time.sleep", lambda _: lock.unlink())
    require_unlocked(repo, MAIN)
