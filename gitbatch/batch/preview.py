"""What a run would do, after all its checks; nothing is started, and no lock is taken."""

from contextlib import closing

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.agents.pool import AgentPool
from gitbatch.agents.process.starter import Starter
from gitbatch.batch.caller import Frontend, SessionSettings
from gitbatch.batch.event_stream import EventStream
from gitbatch.batch.events import BatchStopped
from gitbatch.batch.history.progress import read_progress
from gitbatch.batch.history.record import all_batches, find_unfinished
from gitbatch.batch.model import BatchGroup, Record
from gitbatch.batch.opening import HOW_TO_START, Opening
from gitbatch.batch.reopening import find_reopened
from gitbatch.errors import UsageError
from gitbatch.limits.rate_limit import RateLimit
from gitbatch.repo.repository import Repository


class Preview(Struct, frozen=True):
    """What a run would do."""

    record: Record | None
    """None: nothing would run."""
    is_resumed: bool = False
    groups: tuple[BatchGroup, ...] = ()
    """What is left to run."""
    changes: str = ""
    """What `--continue` would change for the rest of the batch."""
    reason: str = ""
    """Why nothing would run."""


def preview_batch(repo: Repository, settings: SessionSettings, frontend: Frontend) -> Preview:
    """Returns what a session with the same settings would run.

    Raises:
        GitbatchError: it would refuse.
    """
    with closing(Starter()) as starter:
        pool = AgentPool(
            *(dict(settings.environment), settings.sandbox, starter, RateLimit()),
            is_remote=settings.cluster is not None,
        )
        found = repo.fetching(frontend.report_waiting if settings.fetch else None)
        opening = Opening(found, settings, frontend, pool, EventStream(settings.clock, ()))
        batches = all_batches(repo)
        batch = find_unfinished(batches) or find_reopened(repo, batches)
        if batch:
            record, changes = opening.plan_rest(batch)
            progress = read_progress(repo, batch)
            left = ((g, tuple(progress.find_open(g.items))) for g in record.groups)
            groups = tuple(BatchGroup(g.number, g.title, items) for g, items in left if items)
            record = replace(record, jobs=settings.jobs or record.jobs)
            return Preview(record, is_resumed=True, groups=groups, changes=changes)
        if settings.continues:
            raise UsageError("there is nothing to continue: no batch is unfinished", HOW_TO_START)
        planned = opening.plan_batch()
        if isinstance(planned, BatchStopped):
            return Preview(None, reason=planned.reason)
        return Preview(planned.record, groups=planned.record.groups)
