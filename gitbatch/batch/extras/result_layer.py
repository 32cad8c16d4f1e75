"""The layer of what commands of `batch.prepare` changed, without what would hide the work of items, or commits of the user.

The layer lies on top of every later commit of the batch, and of other batches. So it has nothing at the paths that have one
writer, nor at those that the commit has: a later version of the file would not be seen. And it has nothing on the way to
them that hides what is below: no deleted folder, no link and no opaque folder. An overlay makes each
new folder opaque, though nothing is below it yet; if a later commit has files there, they would not be seen.
"""

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from msgspec import Struct

from gitbatch.fs.layers import OPAQUE_ATTRIBUTES, EntryKind, walk_layer
from gitbatch.fs.removal import remove_anything
from gitbatch.paths import ancestors, path_key


class Before(Struct, frozen=True):
    """What there was before the commands ran."""

    had_folder: Callable[[str], bool]
    """Says whether there was a folder at a path."""
    is_tracked: Callable[[str], bool]
    """Says whether the commit has a file, a link, a submodule or a folder at a path."""


def uncover_guarded(tree: Path, guarded: frozenset[str], before: Before) -> tuple[str, ...]:
    """Removes from a layer what hides guarded paths, files of the commit, or files of later commits in new folders.

    Args:
        tree: the layer, which nothing is mounted on.
        guarded: the paths, by `path_key`, that have one writer.
        before: what there was before the commands ran.

    Returns:
        The paths of the commit that the commands had changed, which stay as the commit has them.

    Raises:
        OSError: the layer cannot be changed.
    """
    above = {folder for path in guarded for folder in ancestors(path)}
    _remove_folders_at(tree, "", guarded, above)
    unchanged = []
    for path, kind in tuple(walk_layer(tree)):
        plain = path.rstrip("/")
        key = path_key(plain)
        if not os.path.lexists(tree / plain):  # it was in a folder that is gone
            continue
        is_tracked = before.is_tracked(plain)
        if kind is EntryKind.OPAQUE and (before.had_folder(plain) or not is_tracked):
            if key in above or is_tracked or not before.had_folder(plain):
                _merge_folder(tree / plain)
        elif key in guarded or key in above:
            _remove_entry(tree / plain)
        elif is_tracked:
            unchanged.append(plain)
            _remove_entry(tree / plain)
    return tuple(unchanged)


def _remove_folders_at(tree: Path, prefix: str, guarded: frozenset[str], above: set[str]) -> None:
    """Removes folders at guarded paths, where their writers put files."""
    with os.scandir(tree / prefix) as entries:
        folders = [entry.name for entry in entries if entry.is_dir(follow_symlinks=False)]
    for path in (f"{prefix}{name}" for name in folders):
        key = path_key(path)
        if key in guarded:
            _remove_entry(tree / path)
        elif key in above:
            _remove_folders_at(tree, f"{path}/", guarded, above)


def _merge_folder(folder: Path) -> None:
    """Makes a folder of a layer show what is below it too."""
    for name in OPAQUE_ATTRIBUTES:
        with suppress(OSError):  # it has only one of them
            os.removexattr(folder, name, follow_symlinks=False)


def _remove_entry(path: Path) -> None:
    """Removes an entry, also from a folder that the commands have made read-only."""
    mode = stat.S_IMODE(path.parent.stat().st_mode)
    path.parent.chmod(mode | stat.S_IRWXU)
    remove_anything(path)
    path.parent.chmod(mode)
