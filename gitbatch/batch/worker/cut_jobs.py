"""Jobs of a connection that was cut: they are finished for the run that comes back by another connection, unless it cancels them.

The other connection may be that of another process of the worker: the request to cancel is a file in the spool.
"""

import asyncio
from collections.abc import Mapping
from typing import TYPE_CHECKING

from gitbatch.batch.worker.spool import Spool

if TYPE_CHECKING:
    from gitbatch.batch.worker.item_job import JobTools

POLL = 0.2
"""Seconds after which one process looks again at what another has done."""


async def lock_job(spool: Spool, token: str) -> int:
    """Locks a job, after the end of the process that works on it since a connection that was cut; returns the descriptor."""
    while (lock := spool.lock_job(token)) is None:  # noqa: ASYNC110 - of another process
        await asyncio.sleep(POLL)
    return lock


async def finish_jobs(
    tools: "asyncio.Task[JobTools] | None", jobs: Mapping[str, "asyncio.Task[None]"]
) -> None:
    """Waits until the jobs of a connection that was cut have ended, and ends those that are to be cancelled.

    Args:
        tools: opened by the task; if that fails, so do the jobs.
        jobs: by token; each is removed when it has ended.
    """
    while jobs:
        await asyncio.wait(jobs.values(), timeout=POLL)
        if not tools or not tools.done() or tools.exception():
            continue
        spool = tools.result().spool
        for token, task in tuple(jobs.items()):
            if spool.take_cancel_request(token):
                task.cancel()
