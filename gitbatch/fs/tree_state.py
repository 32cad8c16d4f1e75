"""The state of the files below a folder, to see afterwards what was changed there. No link is followed."""

import os
from collections.abc import Mapping
from pathlib import Path

from gitbatch.fs.disk import raising_only_of_disk

TreeState = Mapping[str, tuple[int, int]]
"""The inode and the change time (ns) of each file, by its path below the folder."""


def read_tree_state(folder: Path) -> TreeState:
    """Returns the state of the files below a folder; of a folder that is gone, the empty one.

    Raises:
        OSError: the disk fails.
    """
    state: dict[str, tuple[int, int]] = {}
    below = [""]
    while below:
        prefix = below.pop()
        with raising_only_of_disk(), os.scandir(folder / prefix) as entries:
            for entry in entries:
                path = f"{prefix}{entry.name}"
                if entry.is_dir(follow_symlinks=False):
                    below.append(f"{path}/")
                else:
                    status = entry.stat(follow_symlinks=False)
                    state[path] = (status.st_ino, status.st_ctime_ns)
    return state


def find_changed_paths(before: TreeState, after: TreeState) -> tuple[str, ...]:
    """Returns the paths of the files that were written, created or removed, in order.

    A file that was written within the same tick of the clock as the first state is not seen; the caller waits for the next.
    """
    return tuple(sorted(path for path in before.keys() | after.keys() if before.get(path) != after.get(path)))
