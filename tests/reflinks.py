"""A folder on a file system with reflinks: where the tests' own has none, a btrfs in a file, if this may be mounted."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from conftest import Workspace

from gitbatch.fs.cloning import find_clone_problem


@contextmanager
def reflink_folder(folder: Path) -> Iterator[Path]:
    """Yields a folder with reflinks, below another one; skips the test where there can be none."""
    if not (problem := find_clone_problem(folder, folder)):
        yield folder
        return
    program = shutil.which("mkfs.btrfs", path="/sbin:/usr/sbin:/usr/bin")
    image, mounted = folder / "btrfs.image", folder / "btrfs"
    with image.open("wb") as file:
        file.truncate(128 << 20)
    mounted.mkdir()
    made = program and all(
        subprocess.run(command, capture_output=True, check=False).returncode == 0
        for command in ((program, "-q", image), ("mount", "-o", "loop", image, mounted))
    )
    if not made:
        pytest.skip(f"{problem}, and no btrfs can be mounted")
    try:
        yield mounted
    finally:
        subprocess.run(("umount", "--lazy", mounted), check=True)


def move_workspace(workspace: Workspace, folder: Path, name: str = "moved") -> Workspace:
    """Copies a repository and its $HOME into another folder, below a name; returns the place there."""
    old, new = str(workspace.root.parent), str(folder / name)
    shutil.copytree(old, new, symlinks=True, ignore=shutil.ignore_patterns("btrfs*"))
    environment = {name: value.replace(old, new) for name, value in workspace.environment.items()}
    root, home = (Path(str(path).replace(old, new, 1)) for path in (workspace.root, workspace.home))
    there = replace(workspace, root=root, home=home, environment=environment)
    there.git("update-index", "-q", "--refresh")  # copies are other files
    return there
