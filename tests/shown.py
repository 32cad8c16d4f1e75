"""What tests of layers compare: what a folder shows, and whether an index belongs to it."""

import os
import stat
import subprocess
from pathlib import Path

from conftest import Workspace
from msgspec.structs import replace

from gitbatch.repo.templates.layers import Layers
from gitbatch.repo.templates.marker import check_files

Shown = dict[str, tuple[int, bytes]]
"""The mode and the content of each path."""


def read_folder(folder: Path) -> Shown:
    """Returns what is below a folder, without its `.git`."""
    found: Shown = {}
    for path in sorted(folder.rglob("*")):
        name, status = str(path.relative_to(folder)), path.lstat()
        if name == ".git":
            continue
        if stat.S_ISLNK(status.st_mode):
            found[name] = (stat.S_IFLNK, os.fsencode(path.readlink()))
        elif stat.S_ISCHR(status.st_mode):
            found[name] = (stat.S_IFCHR, str(status.st_rdev).encode())
        else:
            found[name] = (status.st_mode, path.read_bytes() if stat.S_ISREG(status.st_mode) else b"")
    return found


def require_right_index(workspace: Workspace, index: Path, tree: str, lower: tuple[Path, ...]) -> None:
    """Requires that an index has a tree, the trees of its folders in its cache, and the status of each file in layers."""
    environment = {**workspace.environment, "GIT_INDEX_FILE": str(index)}

    def run_git(*arguments: str) -> str:
        command = ["git", "-C", str(workspace.root), *arguments]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout

    assert run_git("write-tree").strip() == tree, "an invalid cache of trees gives another one"
    listed = run_git("ls-files", "--debug", "-z").split("\0")
    names = [listed[0], *(part.rpartition("\n")[2] for part in listed[1:])]
    for path, told in zip(names, listed[1:], strict=False):
        status = next(layer / path for layer in lower if os.path.lexists(layer / path)).lstat()
        assert f"ino: {status.st_ino}" in told, path
        assert f"size: {status.st_size}" in told, path
        assert f"mtime: {status.st_mtime_ns // 10**9}:{status.st_mtime_ns % 10**9}" in told, path
        assert status.st_mtime_ns < index.stat().st_mtime_ns, "git would read the file again"


def require_right_sizes(layers: Layers) -> None:
    """Asserts that the marker of each layer has the number and the sizes of the files that are there."""
    for lease in layers.leases:
        assert check_files(lease.folder, replace(lease.marker, until_restart=False)) is not None, lease.name
