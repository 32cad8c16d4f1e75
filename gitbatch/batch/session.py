"""Running a batch as a service: open a session, run it, close it.

A session holds the repository's lock from its opening to its closing, except while it waits for a person at a pause
(`review/hold.py`). It starts a batch, or resumes the unfinished one, and reports all that happens as events. It prints nothing,
reads no environment variable and no current directory, and installs no signal handler: its caller does.
"""

from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager, nullcontext
from typing import TYPE_CHECKING

from msgspec import Struct

from gitbatch.agents.pool import AgentPool
from gitbatch.agents.process.children import watch_by_descriptor
from gitbatch.agents.process.starter import Starter
from gitbatch.batch.caller import Frontend, SessionSettings, Unattended
from gitbatch.batch.ending import Ending, Result
from gitbatch.batch.event_log import BatchLog
from gitbatch.batch.event_stream import EventStream
from gitbatch.batch.events import BatchStopped, Listener, Notice
from gitbatch.batch.history.record import all_batches, find_unfinished
from gitbatch.batch.item.run import Run
from gitbatch.batch.item.stop import pause_by_user
from gitbatch.batch.item.unexpected import is_cancelled
from gitbatch.batch.loop import Continuation, run_batch
from gitbatch.batch.model import Checkpoint
from gitbatch.batch.notices import Notices
from gitbatch.batch.opening import HOW_TO_START, Opening
from gitbatch.batch.reopening import complete_review, reopen_batch
from gitbatch.batch.review.hold import Hold
from gitbatch.batch.review.reviewing import Reviewer
from gitbatch.concurrency import GitThread, shielded
from gitbatch.errors import GitError, UsageError
from gitbatch.fs.room import disk_error_at
from gitbatch.limits.rate_limit import RateLimit
from gitbatch.plan.model import ItemKey
from gitbatch.repo.fingerprint import require_same_refs, require_untouched
from gitbatch.repo.lock import repository_lock
from gitbatch.repo.repository import Repository

if TYPE_CHECKING:  # most runs meet no review
    from gitbatch.batch.group.review import RecordedReview
    from gitbatch.batch.review.choices import Choice
    from gitbatch.batch.review.deciding import StartCheck
    from gitbatch.sandbox.server import LauncherServer


class Session(Struct, frozen=True):
    """An open session; see `open_session`."""

    known_result: Result | None
    """The result of a session that has nothing to run."""
    hold: Hold | None
    """Its hold on the repository; None if there is a result already."""
    resumed: bool

    @property
    def active(self) -> Run | None:
        """The tools of the run; None if nothing runs. At a pause, their repository can only be read."""
        return self.hold.run if self.hold else None

    async def run(self, reviewer: Reviewer) -> Result:
        """Runs the batch until it is complete, paused, halted or stopped. Finished items are in git at any time.

        Raises:
            GitbatchError: the run cannot continue.
        """
        hold = self.hold
        if hold is None:
            return self.known_result or Result(Ending.COMPLETE, succeeded=0, failed=0, has_ended=True)
        hold.notices.attach_loop()
        try:
            result = await self._run_to_end(hold, _GivingBack(hold, reviewer))
            require_same_refs(hold.run.repo, hold.run.fingerprint)
        except GitError as error:  # a tampered repository or a full disk explains it better
            run = hold.run
            require_untouched(run.repo, run.fingerprint)
            if failed := disk_error_at(error, run.worktrees_dir, run.repo.common_dir):
                raise failed from error
            raise
        else:
            return result
        finally:
            await shielded(hold.run.workplaces.close(in_hurry=is_cancelled()))
            await hold.run.agents.close()
            hold.run.fingerprint.pinned.restore(hold.run.repo.refs)

    async def _run_to_end(self, hold: Hold, reviewer: Reviewer) -> Result:
        """Runs the batch from pause to pause."""
        part = await run_batch(hold.run, reviewer, resumed=self.resumed)
        while isinstance(part, Continuation):
            ended = await hold.take_again()
            if ended:
                return ended
            part = await run_batch(hold.run, reviewer, resumed=self.resumed, after=part)
        return part

    async def decide(
        self, choices: "tuple[Choice, ...]", require_start: "StartCheck | None" = None
    ) -> "RecordedReview":
        """Records a person's decisions at a pause, as one review. The run continues by them.

        It takes the lock for this moment. What was decided elsewhere meanwhile counts: a decision about another version
        of a file, or about an item that is not up for it any more, is refused, and then nothing is recorded.

        Args:
            choices: each about another item.
            require_start: where the run is to continue after it, judges whether it can.

        Raises:
            BusyError: another process keeps the lock: it may be tried again.
            GitbatchError: what is in the way. Nothing has changed.
        """
        assert self.hold is not None  # noqa: S101 - a reviewer is asked by a run
        return await self.hold.decide(choices, require_start)

    @contextmanager
    def hold_events(self) -> Iterator[None]:
        """Keeps events back from the listeners while a prompt has the terminal; early items may run meanwhile, which the log has."""
        with self.hold.opening.emit.hold_back() if self.hold else nullcontext():
            yield

    def notify(self, text: str) -> None:
        """Emits a notice about the batch."""
        if self.active:
            self.active.emit(Notice(batch=self.active.batch.id, text=text))

    def request_pause(self) -> None:
        """Starts no further item; the run ends when those that run have ended. The next run resumes the batch."""
        if self.active:
            self.active.stop_switch.trip(pause_by_user())

    def stop_item(self, key: ItemKey) -> bool:
        """Ends the agent or the checks of an item, which fails. Returns false if none runs; call it on the event loop."""
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
    server: "LauncherServer | None" = None,
) -> Iterator[Session]:
    """Locks the repository and prepares the unfinished batch, or a new one, to run. Call it outside an event loop.

    Args:
        repo: the repository, opened for writing.
        settings: the caller's choices.
        listeners: receive each event, on one thread.
        frontend: is asked for what the settings leave out; None: nothing can be asked.
        server: starts programs, and is closed with the session; None: one is started if a program needs it.

    Raises:
        GitbatchError: the batch cannot run; a new one has not been started.
    """
    frontend = frontend or Unattended()
    watch_by_descriptor()
    limit = RateLimit()
    limit.cap = limit.cap if settings.longest_wait is None else settings.longest_wait
    limit.patience = limit.patience if settings.patience is None else settings.patience
    log = BatchLog()
    emit = EventStream(settings.clock, listeners, log)
    with (
        ExitStack() as held,
        ExitStack() as waiting,
        closing(Starter(server)) as starter,
        closing(GitThread()) as git,
    ):
        locked = held.enter_context(repository_lock(repo, frontend.report_waiting))
        opening = Opening(
            locked.fetching(frontend.report_waiting if settings.fetch else None),
            settings,
            frontend,
            AgentPool(
                *(dict(settings.environment), settings.sandbox, starter, limit),
                is_remote=settings.cluster is not None,
            ),
            emit,
        )
        batches = all_batches(opening.repo)
        unfinished = find_unfinished(batches) or reopen_batch(opening.repo, batches)
        if settings.continues and unfinished is None:
            raise UsageError("there is nothing to continue: no batch is unfinished", HOW_TO_START)
        if unfinished is None:
            complete_review(opening.repo, batches)
        batch = opening.continue_batch(unfinished) if unfinished else opening.begin_batch()
        if isinstance(batch, BatchStopped):
            yield Session(_nothing_left(batch), None, resumed=False)
            return
        hold = Hold(repo, opening, git, log, Notices(emit, batch.id), held, waiting)
        if not hold.open_first(batch):
            result = Result(Ending.CONFIG_CHANGED, succeeded=0, failed=0, has_ended=False)
            yield Session(result, None, resumed=True)
            return
        yield Session(None, hold, resumed=unfinished is not None)


class _GivingBack:
    """A reviewer that gives the lock back before a person is asked."""

    def __init__(self, hold: Hold, reviewer: Reviewer) -> None:
        self._hold = hold
        self._reviewer = reviewer
        self.takes_time = reviewer.takes_time

    async def review_checkpoint(self, checkpoint: Checkpoint) -> bool:
        """Asks whether the batch continues after a checkpoint. While early items run, the lock is kept."""
        if self.takes_time and self._hold.run.running_agents.keeps_lock:
            with self._hold.lend():
                return await self._reviewer.review_checkpoint(checkpoint)
        await self._give_back()
        return self._note_answer(await self._reviewer.review_checkpoint(checkpoint))

    async def review_last(self, checkpoint: Checkpoint, *, is_earlier: bool) -> bool:
        """Asks whether the batch ends after its last checkpoint."""
        await self._give_back()
        return self._note_answer(await self._reviewer.review_last(checkpoint, is_earlier=is_earlier))

    async def accept_config(self) -> bool:
        """Asks whether the batch may run with a changed configuration."""
        await self._give_back()
        return self._note_answer(await self._reviewer.accept_config())

    async def _give_back(self) -> None:
        if self.takes_time:
            await self._hold.give_back()

    def _note_answer(self, consent: bool) -> bool:  # noqa: FBT001 - the answer itself
        if self.takes_time and not consent:
            self._hold.take_for_the_end()
        return consent


def _nothing_left(stopped: BatchStopped) -> Result:
    """Returns the result of a session in which nothing runs; the event has said why."""
    not_run = stopped.reason if stopped.open_items else ""
    return Result(Ending.COMPLETE, succeeded=0, failed=0, has_ended=True, not_run=not_run)
