"""The limits of the cache of layers, by the configuration of a repository."""

import time
from pathlib import Path

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
    head = repo.refs.commit("HEAD")
    source = TreeSnapshot(repo.objects, repo.objects.tree_of(head)).read(CONFIG_FILE) if head else None
    return choose_expired(list_cache(cache), cache_limits(read_config(source).config), time.time())
