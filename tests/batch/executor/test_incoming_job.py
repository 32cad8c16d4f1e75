"""What comes back for one job, without a connection."""

import asyncio
from io import BytesIO
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest
from batch.executor.scripted_workers import REPLY

from gitbatch.batch.executor.carrier import ChannelError
from gitbatch.batch.executor.incoming_job import IncomingJob
from gitbatch.batch.executor.messages import JobChanges, JobChunk, JobResult, JobUsage

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer

TOKEN = "ab" * 16


def receive(file: IO[bytes], *messages: JobChanges | JobChunk | JobResult | JobUsage) -> IncomingJob:
    """A job for which some messages have come."""

    async def take_all() -> IncomingJob:
        ended = asyncio.get_running_loop().create_future()
        job = IncomingJob(TOKEN, lambda *_: None, "writer", 100, file, ended)
        for message in messages:
            job.take_message(message)
        return job

    return asyncio.run(take_all())


def test_full_disk_of_ours_is_not_the_workers(tmp_path: Path) -> None:
    with Path("/dev/full").open("wb", buffering=0) as full:
        job = receive(full, JobChunk(TOKEN, b"x"), JobChunk(TOKEN, b"y"))
    with pytest.raises(OSError, match="No space left"):
        job.ended.result()
    assert not job.has_result
    with (tmp_path / "out").open("wb", buffering=0) as file:
        job = receive(file, JobChunk(TOKEN, b"x"), JobResult(TOKEN, REPLY, 1), JobChunk(TOKEN, b"y"))
    assert job.has_result
    assert (tmp_path / "out").read_bytes() == b"x", "what follows the end is dropped"


class SlowFile(BytesIO):
    """A file that takes a few bytes at a time, as one without a buffer may."""

    def write(self, data: "ReadableBuffer", /) -> int:
        return super().write(memoryview(data)[:3])


def test_file_may_take_a_few_bytes_at_a_time() -> None:
    file = SlowFile()
    assert receive(file, JobChunk(TOKEN, b"a whole"), JobChunk(TOKEN, b" page")).token
    assert file.getvalue() == b"a whole page"


def test_long_paths_are_bounded_together() -> None:
    with pytest.raises(ChannelError, match="more than 1,000,000 characters"):
        receive(BytesIO(), JobChanges(TOKEN, ("x" * 4_000,) * 251))


def test_removed_worktree_has_no_output() -> None:
    assert receive(BytesIO(), JobResult(TOKEN, REPLY, is_gone=True)).collect() is None


def test_result_without_its_bytes_is_refused() -> None:
    with pytest.raises(ChannelError, match="0 of 7 bytes"):
        receive(BytesIO(), JobResult(TOKEN, REPLY, 7))
