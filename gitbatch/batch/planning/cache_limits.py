"""What is too much in the cache: layers, by the configuration of a repository, and folders of killed processes."""

import time
from pathlib import Path

from gitbatch.batch.planning.worktrees_dir import find_worktrees_dir
from gitbatch.fs.temporary import find_abandoned
from gitbatch.project.config import CONFIG_FILE, Config, read_config
from gitbatch.repo.repository import Repository
from gitbatch.repo.snapshot import TreeSnapshot
from gitbatch.repo.templates.expiry import CachedLayer, CacheLimits, choose_expired, list_cache

_DAY = 24 * 60 * 60


def cache_limits(config: Config) -> CacheLimits:
    """Returns the limits that a configuration sets."""
    return CacheLimits(config.batch.cache_max_bytes, config.batch.cache_max_days * _DAY)


def find_expired_layers(repo: Repository, cache: Path) -> tuple[CachedLayer, ...]:
    """Returns the layers of the cache beyond the limits of the commit that is checked out, as far as these are valid."""
    return choose_expired(list_cache(cache), cache_limits(_read_config(repo)), time.time())


def find_abandoned_folders(
    repo: Repository, worktrees: Path | None, cache: Path, prefixes: tuple[str, ...]
) -> tuple[Path, ...]:
    """Returns temporary folders that killed processes left in the cache, and in the folder of the repository's worktrees.

    Args:
        repo: the repository.
        worktrees: the folder for worktrees that the user chose.
        cache: the user's cache folder.
        prefixes: the beginnings of their names.
    """
    folders = (cache, find_worktrees_dir(repo, _read_config(repo), worktrees, cache))
    return tuple(path for folder in folders for prefix in prefixes for path in find_abandoned(folder, prefix))


def _read_config(repo: Repository) -> Config:
    """Returns the configuration of the commit that is checked out, as far as it is valid."""
    head = repo.refs.commit("HEAD")
    source = TreeSnapshot(repo.objects, repo.objects.tree_of(head)).read(CONFIG_FILE) if head else None
    return read_config(source).config
