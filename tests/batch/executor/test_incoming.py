"""What comes back for one job, without a connection."""

import asyncio
from contextlib import closing
from pathlib import Path

import pytest
from batch.executor.scripted_workers import REPLY

from gitbatch.batch.executor.carrier import ChannelError
from gitbatch.batch.executor.incoming import IncomingJob
from gitbatch.batch.executor.messages import JobChanges, JobChunk, JobResult

TOKEN = "ab" * 16


def receive(path: Path, *messages: JobChanges | JobChunk | JobResult) -> IncomingJob:
    """A job for which some messages have come; its file is at a path."""

    async def take_all() -> IncomingJob:
        ended = asyncio.get_running_loop().create_future()
        job = IncomingJob(TOKEN, lambda *_: None, 100, path.open("wb", buffering=0), ended)
        for message in messages:
            job.take_message(message)
        return job

    return asyncio.run(take_all())


def test_full_disk_of_ours_is_not_the_workers(tmp_path: Path) -> None:
    job = receive(Path("/dev/full"), JobChunk(TOKEN, b"x"), JobChunk(TOKEN, b"y"))
    with closing(job.file), pytest.raises(OSError, match="No space left"):
        job.ended.result()
    assert not job.has_result
    job = receive(tmp_path / "out", JobChunk(TOKEN, b"x"), JobResult(TOKEN, REPLY, 1), JobChunk(TOKEN, b"y"))
    with closing(job.file):
        assert job.has_result
        assert (tmp_path / "out").read_bytes() == b"x", "what follows the end is dropped"


def test_removed_worktree_has_no_output(tmp_path: Path) -> None:
    job = receive(tmp_path / "out", JobResult(TOKEN, REPLY, is_gone=True))
    with closing(job.file):
        assert job.collect() is None


def test_result_without_its_bytes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ChannelError, match="0 of 7 bytes"):
        receive(tmp_path / "out", JobResult(TOKEN, REPLY, 7))
