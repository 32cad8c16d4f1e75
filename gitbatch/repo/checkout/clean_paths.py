"""Finds paths of the checkout that certainly have no uncommitted changes, without git, which reads the whole index for it.

Certain is: neither HEAD, nor the index, nor the checkout has anything there; or HEAD and the index have the same file, and
the file has the status that git noted when it read it last. Whatever is not certain is left to `git status`.
"""

import os
from contextlib import suppress

from gitbatch.paths import ancestors, encode_path, first_non_folder
from gitbatch.repo.checkout.index_lookup import IndexLookup, open_lookup
from gitbatch.repo.index_bytes import UnreadableIndexError
from gitbatch.repo.repository import Repository


def leave_clean_out(repo: Repository, head: str, paths: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the paths about which git has to be asked. `head`: the commit that is checked out; empty: no commit."""
    if not head or not paths:
        return paths
    tree = repo.objects.tree_of(head)
    with suppress(UnreadableIndexError), open_lookup(repo.git_dir / "index", repo.id_bytes) as index:
        return tuple(path for path in paths if not _is_clean(repo, tree, index, path))
    return paths


def find_blocker(repo: Repository, path: str) -> str | None:
    """Returns the outermost ancestor of a path that exists and is not a folder; a link counts as not a folder."""

    def is_folder(above: str) -> bool | None:
        folder = repo.root / above
        return not folder.is_symlink() and folder.is_dir() if os.path.lexists(folder) else None

    return first_non_folder(path, is_folder)


def _is_clean(repo: Repository, tree: str, index: IndexLookup, path: str) -> bool:
    """Whether a path is certainly clean."""
    if find_blocker(repo, path) or any(index.find_entry(encode_path(above)) for above in ancestors(path)):
        return False
    name, committed = encode_path(path), repo.objects.find_entry(tree, path)
    entry = index.find_entry(name)
    try:
        found = (repo.root / path).lstat()
    except FileNotFoundError:
        return entry is None and committed is None and not index.has_below(name)
    except OSError:
        return False
    if entry is None or committed is None or not entry.is_merged or entry.is_assumed:
        return False
    is_staged = (entry.mode, entry.oid) != (int(committed.mode, 8), committed.oid)
    # A file that was written in the same moment as the index may have changed after git looked at it.
    return not is_staged and entry.is_status_of(found) and found.st_mtime_ns < index.mtime_ns
