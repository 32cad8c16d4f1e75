"""A full disk, below the repository or below the worktrees: it is said, and with room again the batch goes on."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from base_repositories import FSCK
from conftest import Workspace
from faults.trials import RUN, Bench, Servers, agents, check_end, check_instant
from history import ticked

CASES = [("repository", free) for free in (0, 70, 120, 170, 220, 300)]
CASES += [("worktrees", free) for free in (0, 66, 70, 76, 84, 100)]
"""What is on the small disk, and how many kilobytes are free there when the run starts."""


@pytest.fixture(scope="module")
def bench(fault_servers: Servers) -> Iterator[Bench]:
    """Where trials are made."""
    with fault_servers.open_bench() as made:
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
@pytest.mark.sample(2)
def test_a_full_disk_costs_nothing_that_is_done(bench: Bench, disk: Path, what: str, free: int) -> None:
    workspace = bench.workspace()
    if what == "repository":
        shutil.copytree(workspace.root, disk / "repo", symlinks=True)
        workspace = replace(workspace, root=disk / "repo")
    else:
        workspace.environment["GITBATCH_WORKTREES"] = str(disk / "worktrees")
    ballast = fill(disk, free)
    ran = bench.server.run(workspace, *RUN)
    assert ran.status in {0, 1}, ran.said
    assert "No space left" in ran.said or "the disk is full" in ran.said or not ran.status, ran.said
    done = check_instant(bench, workspace)
    ballast.unlink()
    again = bench.server.run(workspace, *RUN)
    assert again.status == 0, again.said
    check_end(bench, workspace)
    assert all(agents(workspace).count(key) == 1 for key in (*done.merged, *done.waiting))
    assert not [path for path in disk.rglob("*") if path.is_file() and what == "worktrees"]


def test_some_of_the_disks_are_full_before_and_some_in_the_middle(bench: Bench, disk: Path) -> None:
    began = []
    for what, free in CASES[:6]:
        workspace = bench.workspace()
        shutil.copytree(workspace.root, disk / f"{what}{free}", symlinks=True)
        workspace = replace(workspace, root=disk / f"{what}{free}")
        ballast = fill(disk, free)
        bench.server.run(workspace, *RUN)
        began.append(len(agents(workspace)))
        ballast.unlink()
    assert began[0] == 0
    assert len(set(began)) >= 3, began


LARGE = 'page; head -c 3000000 /dev/zero | tr "\\0" x >"$output"'


def shown_full(workspace: Workspace, what: str) -> str:
    """The words of a run that finds its disk full."""
    done = workspace.gitbatch("run", "--items", "T101", "--checkpoint", "at-end", "--sandbox", "none", code=1)
    assert "git cat-file" not in done.stderr, done.stderr
    assert "read-tree" not in done.stderr, done.stderr
    assert f"the disk is full: {what}" in done.stderr, done.stderr
    assert "free disk space, then resume: gitbatch run" in done.stderr
    return done.stderr


@pytest.mark.parametrize("converted", [False, True])
def test_a_checkout_without_room_for_an_output(
    three: Workspace, disk: Path, tmp_path: Path, *, converted: bool
) -> None:
    three.edit("tools/agent.sh", "fail) echo", f"large) {LARGE} ;;\nfail) echo")
    three.edit("task.md", "Write a →", "Write a do: large →")
    if converted:
        three.write(".gitattributes", "*.md text eol=crlf\n")
    three.commit()
    three.git("clone", "-q", "--separate-git-dir", str(tmp_path / "gd"), ".", str(disk / "repo"))
    workspace = replace(three, root=disk / "repo")
    ballast = fill(disk, 2000)
    said = shown_full(workspace, str(workspace.root))
    assert "cannot update the checkout to main" in said
    assert "do not commit here" in said
    ballast.unlink()
    workspace.gitbatch("run", code=0)
    assert workspace.git("status", "--porcelain") == ""
    assert len(workspace.read("out/letters/a.md")) >= 3_000_000


@pytest.mark.parametrize(("kind", "full"), [("copy", "worktrees"), ("overlay", "cache")])
def test_a_worktree_without_room_for_the_files(three: Workspace, disk: Path, kind: str, full: str) -> None:
    (three.root / "large.bin").write_bytes(os.urandom(3_000_000))
    three.commit()
    three.environment |= {
        "GITBATCH_WORKTREE": kind,
        "GITBATCH_WORKTREES": str(disk / "worktrees"),
        "GITBATCH_CACHE": str(disk / "cache"),
    }
    ballast = fill(disk, 2000)
    shown_full(three, str(disk / full))
    ballast.unlink()
    three.gitbatch("run", code=0)


@pytest.mark.parametrize("sandbox", ["none", "landlock", "bubblewrap"])
@pytest.mark.sample(1)
def test_an_agent_fills_the_disk_of_its_changes(three: Workspace, disk: Path, sandbox: str) -> None:
    """Also a file of a layer below that it only changes is copied there. Its item runs again when there is room."""
    (three.root / "large.bin").write_bytes(os.urandom(3_000_000))
    three.edit("tools/agent.sh", "fail) echo", 'large) page >"$output"; echo more >>large.bin ;;\nfail) echo')
    three.edit("task.md", "Write a →", "Write a do: large →")
    three.commit()
    three.environment |= {"GITBATCH_WORKTREE": "overlay", "GITBATCH_WORKTREES": str(disk / "worktrees")}
    ballast = fill(disk, 2000)
    # One at a time: the other one would find the disk full, too, while the file is copied.
    options = ("--checkpoint", "at-end", "--sandbox", sandbox, "--jobs", "1")
    done = three.gitbatch("run", "--items", "T101,T102", *options, code=1)
    assert "cannot create large.bin: No space left on device" in done.stdout
    assert ticked(three) == ["T102"]
    assert not [path for path in disk.rglob("*") if path.is_file() and path != ballast]
    ballast.unlink()
    three.gitbatch("retry", "--failed", code=0)
    assert ticked(three) == ["T101", "T102"]
    three.gitbatch("verify", code=0)
    assert three.git(*FSCK) == ""
