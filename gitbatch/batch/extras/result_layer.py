"""The layer of what commands of `batch.prepare` changed, without what would hide the work of items.

The layer lies on top of every later commit of the batch. So it has nothing at the paths that have one writer, and nothing
on the way to them that hides what is below: no deleted folder, no link and no opaque folder. An overlay makes each
new folder opaque, though nothing is below it yet; if a later commit has files there, they would not be seen.
"""

import os
import stat
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from gitbatch.fs.layers import OPAQUE_ATTRIBUTES, EntryKind, walk_layer
from gitbatch.fs.removal import remove_anything
from gitbatch.paths import ancestors, path_key


def uncover_guarded(tree: Path, guarded: frozenset[str], had_folder: Callable[[str], bool]) -> None:
    """Removes from a layer what hides guarded paths, or files of later commits in folders that were new.

    Args:
        tree: the layer, which nothing is mounted on.
        guarded: the paths, by `path_key`, that have one writer.
        had_folder: says whether there was a folder at a path before the commands ran.

    Raises:
        OSError: the layer cannot be changed.
    """
    above = {folder for path in guarded for folder in ancestors(path)}
    for path, kind in tuple(walk_layer(tree)):
        plain = path.rstrip("/")
        key = path_key(plain)
        if kind is EntryKind.OPAQUE:
            if key in above or not had_folder(plain):
                _merge_folder(tree / plain)
        elif key in guarded or key in above:
            _remove_entry(tree / plain)


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
