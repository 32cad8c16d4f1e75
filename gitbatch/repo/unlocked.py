"""Checks, before an agent is paid, for locks that would keep the checkpoint from being recorded.

A git process holds such a lock for moments only, and a killed one leaves it behind. Those of killed processes of ours
have been removed before (`refs/lock_files.py`), so a lock that is found here belongs to another program and stays.
"""

import time

from gitbatch.errors import BusyError
from gitbatch.repo.checkout.follow import index_lock
from gitbatch.repo.refs.lock_files import blocking_locks
from gitbatch.repo.refs.names import short
from gitbatch.repo.repository import Repository

_TRIES = 20
"""Tries, a tenth of a second apart: longer than the `git status` of an editor takes."""


def require_unlocked(repo: Repository, target: str) -> None:
    """Raises an error if another git process holds a lock that a checkpoint needs, or has left it behind.

    Args:
        repo: the repository.
        target: the full name of the branch that checkpoints go to.

    Raises:
        BusyError: the checkout's index, or the branch, is locked.
    """
    if repo.head_branch() == target:
        with index_lock(repo, _TRIES):
            pass
    locks = blocking_locks(repo.common_dir, repo.git_dir, target)
    for _ in range(_TRIES):
        if not locks:
            return
        time.sleep(0.1)
        locks = blocking_locks(repo.common_dir, repo.git_dir, target)
    raise BusyError(
        f"branch {short(target)} is locked by another git process ({locks[0]})",
        f"wait until it has ended (if no git command is running there, remove {locks[0]}), then run gitbatch run again",
    )
