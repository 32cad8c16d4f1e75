"""The folder for the worktrees of a repository's batches: outside the repository, one folder per repository."""

import hashlib
import os
from pathlib import Path

from gitbatch.batch.planning.preflight import require_outside_worktrees_dir
from gitbatch.project.config import Config
from gitbatch.repo.repository import Repository


def find_worktrees_dir(repo: Repository, config: Config, chosen: Path | None, cache_dir: Path) -> Path:
    """Returns the folder: below the chosen one, else below the configured one, else below the cache folder.

    Raises:
        UsageError: the folder is inside the repository.
    """
    configured = Path(config.batch.worktrees).expanduser() if config.batch.worktrees else cache_dir
    mark = hashlib.sha256(os.fsencode(repo.common_dir)).hexdigest()[:8]
    folder = repo.root.joinpath(chosen or configured) / f"{repo.name}-{mark}"
    require_outside_worktrees_dir(repo, folder)
    return folder
