"""A full disk, below the repository or below the worktrees: it is said, and with room again the batch goes on."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from faults.trials import RUN, Bench, agents, check_end, check_instant, open_bench

CASES = [("repository", free) for free in (0, 70, 120, 170, 220, 300)]
CASES += [("worktrees", free) for free in (0, 66, 70, 76, 84, 100)]
"""What is on the small disk, and how many kilobytes are free there when the run starts."""


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bench]:
    """Where trials are made."""
    with open_bench(tmp_path_factory.getbasetemp()) as made:
        yield made


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Path]:
    """A small disk of its own."""
    folder = tmp_path / "disk"
    folder.mkdir()
    done = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=8m", "tmpfs", folder], capture_output=True, check=False
    )
    if done.returncode:
        pytest.skip("needs the right to mount")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk: Path, free: int) -> Path:
    """Leave so many kilobytes free."""
    ballast = disk / "ballast"
    status = os.statvfs(disk)
    size = status.f_bavail * status.f_frsize - free * 1024
    with ballast.open("wb") as file:
        file.write(bytes(max(size, 0)))
    return ballast


@pytest.mark.parametrize(("what", "free"), CASES)
def test_a_full_disk_costs_nothing_that_is_done(bench: Bench, disk: Path, what: str, free: int) -> None:
    place = bench.place()
    if what == "repository":
        shutil.copytree(place.root, disk / "repo", symlinks=True)
        place = replace(place, root=disk / "repo")
    else:
        place.environment["GITBATCH_WORKTREES"] = str(disk / "worktrees")
    ballast = fill(disk, free)
    ran = bench.server.run(place, *RUN)
    assert ran.status in {0, 1}, ran.said
    assert "No space left" in ran.said or "the disk is full" in ran.said or not ran.status, ran.said
    done = check_instant(bench, place)
    ballast.unlink()
    again = bench.server.run(place, *RUN)
    assert again.status == 0, again.said
    check_end(bench, place)
    assert all(agents(place).count(key) == 1 for key in (*done.merged, *done.waiting))
    assert not [path for path in disk.rglob("*") if path.is_file() and what == "worktrees"]


def test_some_of_the_disks_are_full_before_and_some_in_the_middle(bench: Bench, disk: Path) -> None:
    began = []
    for what, free in CASES[:6]:
        place = bench.place()
        shutil.copytree(place.root, disk / f"{what}{free}", symlinks=True)
        place = replace(place, root=disk / f"{what}{free}")
        ballast = fill(disk, free)
        bench.server.run(place, *RUN)
        began.append(len(agents(place)))
        ballast.unlink()
    assert began[0] == 0
    assert len(set(began)) >= 3, began
