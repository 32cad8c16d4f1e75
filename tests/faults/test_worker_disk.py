"""A full disk at a worker, for real: as a pack arrives, at the checkout, at the output, at the spool. With room again it works."""

# ruff: noqa: F811 - a parameter has the name of its fixture

import os
from functools import partial
from pathlib import Path

import pytest
from batch.worker.orchestrators import OTHER, TOKEN, Orchestrator, far, talk  # noqa: F401 - a fixture
from conftest import Workspace
from faults.test_disk_full import disk, fill  # noqa: F401 - a fixture
from msgspec.structs import replace

from gitbatch.batch.executor.messages import JobResult, SentFailure, SentReply
from gitbatch.batch.executor.shipment import HaveSet
from gitbatch.batch.worker.stdio import list_spooled
from gitbatch.limits.causes import Cause

FREE = (0, 4, 60, 80, 100, 110, 120, 130, 170, 240)
"""Kilobytes that are free when the worker starts."""


@pytest.fixture
def small(far: Orchestrator, disk: Path) -> Orchestrator:
    """A worker whose folder is on a small disk."""
    far.settings = replace(far.settings, folder=disk / "far")
    (far.settings.folder / "work").mkdir(parents=True)
    return far


@pytest.mark.parametrize("free", FREE)
@pytest.mark.sample(3)
def test_full_disk_of_a_worker_is_no_failure_of_an_item(
    small: Orchestrator, disk: Path, tmp_path: Path, free: int
) -> None:
    """Also that of an agent whose output had no room, or a part of it."""
    write = "head -c 30000 /dev/zero | tr '\\0' x >out/a.md || exit 7; echo 'A. Wrote it.'"
    send = partial(
        Orchestrator.send_job, script=f"echo >>{tmp_path}/starts; cat >/dev/null; {write}", most=50_000
    )
    ballast = fill(disk, free)
    small.names_spooled = False
    talk(small, send, Orchestrator.wait_for_result)
    [result] = small.of(JobResult)
    begun = count_starts(tmp_path)
    if isinstance(result.answer, SentFailure):
        assert result.answer.cause is Cause.DISK
        assert result.answer.usage.cost == (None if begun else 0.0)
        assert list_spooled(small.settings) == ()
    else:
        assert result.size == 30_000
    ballast.unlink()
    kept, small.have = list_spooled(small.settings), HaveSet()
    talk(small, send, Orchestrator.wait_for_result)
    [result] = small.of(JobResult)
    assert isinstance(result.answer, SentReply)
    assert count_starts(tmp_path) == begun + (not kept)


def count_starts(folder: Path) -> int:
    return (folder / "starts").read_text().count("\n") if (folder / "starts").exists() else 0


def test_pack_that_has_no_room_is_no_failure_of_an_item(
    small: Orchestrator, workspace: Workspace, disk: Path
) -> None:
    (workspace.root / "a.txt").write_bytes(os.urandom(3_000_000))
    workspace.commit()
    fill(disk, 2_000)
    talk(small, partial(Orchestrator.send_job, script="true"), Orchestrator.wait_for_result)
    [result] = small.of(JobResult)
    assert isinstance(result.answer, SentFailure)
    assert (result.answer.cause, result.answer.usage.cost) == (Cause.DISK, 0.0)
