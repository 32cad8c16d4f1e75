"""The output of `gitbatch cache --json`."""

from gitbatch.repo.templates.expiry import CachedLayer
from gitbatch.view.envelope import Envelope


class CacheOutput(Envelope, frozen=True):
    """The layers that the cache folder keeps for worktrees, of all repositories."""

    folder: str
    layers: tuple[CachedLayer, ...]
    """Those that are there, the one that was used last longest ago first."""
    size: int
    """Bytes that they take on the disk, about."""
    removed: tuple[CachedLayer, ...] = ()
    """Those that `--clear` has removed."""
