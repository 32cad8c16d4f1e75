"""Running a batch as a service: open a session, run it, close it.

A session holds the repository's lock from its opening to its closing. It starts a batch, or resumes the unfinished
one, and reports all that happens as events. It prints nothing, reads no environment variable and no current
directory, and installs no signal handler: its caller does.
"""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import TextIO

from gitbatch.agents.pool import AgentPool
from gitbatch.agents.process.children import watch_by_descriptor
from gitbatch.agents.process.starter import Starter
from gitbatch.batch.caller import Frontend, SessionSettings, Unattended
from gitbatch.batch.events import BatchStopped, EventStream, Listener, Notice
from gitbatch.batch.history.record import unfinished_batch
from gitbatch.batch.history.target import require_tip
from gitbatch.batch.item.run import Run
from gitbatch.batch.item.stop import pause_by_user
from gitbatch.batch.loop import Ending, Result, run_batch
from gitbatch.batch.model import Checkpoint
from gitbatch.batch.notices import Notices
from gitbatch.batch.opening import HOW_TO_START, Opening
from gitbatch.batch.planning.configuration import read_fixed_config
from gitbatch.batch.planning.project_state import read_project_state
from gitbatch.batch.reviewing import Reviewer
from gitbatch.errors import GitError, UsageError
from gitbatch.fs.room import disk_error_at
from gitbatch.limits.rate_limit import RateLimit
from gitbatch.plan.model import ItemKey
from gitbatch.repo.fingerprint import require_same_refs, require_untouched
from gitbatch.repo.holder import name_plan
from gitbatch.repo.lock import repository_lock
from gitbatch.repo.private_dir import show_diff
from gitbatch.repo.repository import Repository


@dataclass(frozen=True, slots=True)
class Session:
    """An open session; see `open_session`."""

    settled: Result | None
    """The result of a session that has nothing to run."""
    active: Run | None
    """What a run needs; None if there is a result already."""
    notices: Notices | None
    resumed: bool

    async def run(self, reviewer: Reviewer) -> Result:
        """Runs the batch until it is complete, paused, halted or stopped. Finished items are in git at any time.

        Raises:
            GitbatchError: the run cannot continue.
        """
        if self.active is None or self.notices is None:
            return self.settled or Result(Ending.COMPLETE, succeeded=0, failed=0, has_ended=True)
        self.notices.attach_loop()
        try:
            result = await run_batch(self.active, reviewer, resumed=self.resumed)
            require_same_refs(self.active.repo, self.active.fingerprint)
        except GitError as error:  # a tampered repository or a full disk explains it better
            repo = self.active.repo
            require_untouched(repo, self.active.fingerprint)
            if failed := disk_error_at(error, self.active.worktrees_dir, repo.common_dir):
                raise failed from error
            raise
        else:
            return result
        finally:
            await self.active.agents.close()
            self.active.fingerprint.pinned.restore(self.active.repo.refs)

    def show_diff(self, checkpoint: Checkpoint, screen: TextIO | None = None) -> None:
        """Shows a checkpoint's changes on a terminal by `git diff`, in the user's pager."""
        if self.active:
            show_diff(self.active.repo, checkpoint.before, checkpoint.commit, screen)

    def notify(self, text: str) -> None:
        """Emits a notice about the batch."""
        if self.active:
            self.active.emit(Notice(batch=self.active.batch.id, text=text))

    def request_pause(self) -> None:
        """Starts no further item; the run ends when those that run have ended. The next run resumes the batch."""
        if self.active:
            self.active.stop_switch.trip(pause_by_user())

    def stop_item(self, key: ItemKey) -> bool:
        """Ends the agent of an item, which fails. Returns false if none works on it; call it on the event loop."""
        return self.active is not None and self.active.running_agents.stop_item(key)

    def refuse_git(self) -> None:
        """Starts no further git command and no signature; the command that runs is finished."""
        if self.active:
            self.active.git.refuse()
            self.active.repo.objects.stop_signing()


@contextmanager
def open_session(
    repo: Repository,
    settings: SessionSettings,
    listeners: tuple[Listener, ...] = (),
    frontend: Frontend | None = None,
) -> Iterator[Session]:
    """Locks the repository and prepares the unfinished batch, or a new one, to run. Call it outside an event loop.

    Args:
        repo: the repository, opened for writing.
        settings: the caller's choices.
        listeners: receive each event, on one thread.
        frontend: is asked for what the settings leave out; None: nothing can be asked.

    Raises:
        GitbatchError: the batch cannot run; a new one has not been started.
    """
    frontend = frontend or Unattended()
    watch_by_descriptor()
    limit = RateLimit()
    limit.cap = limit.cap if settings.longest_wait is None else settings.longest_wait
    limit.patience = limit.patience if settings.patience is None else settings.patience
    with repository_lock(repo, frontend.report_waiting) as locked, closing(Starter()) as starter:
        opening = Opening(
            locked.fetching(frontend.report_waiting if settings.fetch else None),
            settings,
            frontend,
            AgentPool(dict(settings.environment), settings.sandbox, starter, limit),
            EventStream(settings.clock, listeners),
        )
        unfinished = unfinished_batch(opening.repo)
        if settings.continues and unfinished is None:
            raise UsageError("there is nothing to continue: no batch is unfinished", HOW_TO_START)
        batch = opening.continue_batch(unfinished) if unfinished else opening.begin_batch()
        if isinstance(batch, BatchStopped):
            yield Session(_nothing_left(batch), None, None, resumed=False)
            return
        name_plan(opening.repo.own_dir, batch.record.task)
        state = read_project_state(
            opening.repo, require_tip(opening.repo, batch.record.target), batch.record.plan
        )
        fixed = read_fixed_config(opening.repo, batch, state)
        if not opening.accept_config(batch, state, fixed):
            result = Result(Ending.CONFIG_CHANGED, succeeded=0, failed=0, has_ended=False)
            yield Session(result, None, None, resumed=True)
            return
        with opening.prepare_run(batch, state, fixed, listeners) as (run, notices):
            yield Session(None, run, notices, resumed=unfinished is not None)


def _nothing_left(stopped: BatchStopped) -> Result:
    """Returns the result of a session in which nothing runs; the event has said why."""
    not_run = stopped.reason if stopped.open_items else ""
    return Result(Ending.COMPLETE, succeeded=0, failed=0, has_ended=True, not_run=not_run)
