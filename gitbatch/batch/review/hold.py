"""The hold of a session on its repository: the lock, and the tools that a run has under it.

A run that waits for a person gives the lock back, and with it everything that it has read: `give_back` ends its git
processes and forgets the values of refs. `take_again` opens the batch by the same steps as a resume. So nothing that
another process did meanwhile is missed, and nothing old is written.
"""

# ruff: noqa: PLC0415 - most runs meet no review: what reads and records one is imported for it

import asyncio
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from msgspec.structs import replace

from gitbatch.batch.ending import Ending, Result
from gitbatch.batch.event_log import BatchLog
from gitbatch.batch.events import Notice
from gitbatch.batch.history.decisions import ItemName
from gitbatch.batch.history.ledger import SpendingLimits
from gitbatch.batch.history.progress import BatchProgress, read_progress
from gitbatch.batch.history.record import Batch, all_batches
from gitbatch.batch.history.target import require_tip
from gitbatch.batch.item.run import Run
from gitbatch.batch.notices import Notices
from gitbatch.batch.opening import Opening
from gitbatch.batch.planning.configuration import FixedConfig, read_fixed_config
from gitbatch.batch.planning.project_state import ProjectState, read_project_state
from gitbatch.batch.resume import require_genuine_reviews
from gitbatch.batch.tally import Tally
from gitbatch.batch.worktree_choice import begin_choice
from gitbatch.concurrency import GitThread
from gitbatch.errors import BusyError, GitbatchError
from gitbatch.repo.fingerprint import require_same_refs
from gitbatch.repo.holder import name_plan, name_waiting, read_holder
from gitbatch.repo.lock import repository_lock
from gitbatch.repo.repository import Repository

if TYPE_CHECKING:
    from gitbatch.batch.group.review import RecordedReview
    from gitbatch.batch.review.choices import Choice
    from gitbatch.batch.review.deciding import StartCheck

_PATIENCE = 10.0
"""Seconds that a lock is waited for which another process holds."""
_PAUSE = 0.1


class DecidedElsewhereError(GitbatchError):
    """Decisions cannot be recorded because another process has decided about the same items since."""


@dataclass(slots=True, eq=False, repr=False)
class Hold:
    """The hold of a session on its repository, from the moment in which its batch is known."""

    unlocked: Repository
    """The repository without its lock: for reading while a person is asked."""
    opening: Opening
    git: GitThread
    log: BatchLog
    notices: Notices
    held: ExitStack
    """The lock, and what is read under it; closed while the lock is given back."""
    waiting: ExitStack
    """Names this process for others while the lock is given back."""
    run: Run = field(init=False)
    """The tools of the run. While the lock is given back, they have the repository without it."""
    patience: float = _PATIENCE
    is_lent: bool = False
    """Whether a person is asked while the run keeps the lock."""
    own: set[str] = field(default_factory=set)
    """The reviews that this session has recorded."""
    _since: float | None = None
    """When the session took the lock first, in seconds since the epoch."""
    _last: str = ""
    """The last commit of the batch on its branch when the lock was given back."""

    def open_first(self, batch: Batch) -> bool:
        """Opens what a run of a batch needs. Returns false if its configuration is not accepted."""
        repo = self.opening.repo
        name_plan(repo.own_dir, batch.record.plan_path)
        state = read_project_state(repo, require_tip(repo, batch.record.target), batch.record.plan)
        fixed = read_fixed_config(repo, batch, state)
        if not self.opening.accept_config(batch, state, fixed):
            return False
        self._open_run(batch, state, fixed)
        return True

    def _open_run(self, batch: Batch, state: ProjectState, fixed: FixedConfig) -> None:
        self.held.enter_context(self.log.open(self.opening.repo.own_dir, batch.id))
        begin_choice(self.opening.settings, state.project.config, self.opening.agents)
        prepared = self.opening.prepare_run(batch, state, fixed, self.git, self.notices)
        self.run = self.held.enter_context(prepared)

    async def give_back(self) -> None:
        """Gives the lock back, with all that was read under it.

        Raises:
            TamperedError: an agent has changed what the batch was started with.
        """
        run = self.run
        await run.workplaces.close(in_hurry=False)
        self._last = (await self.git(read_progress, run.repo, run.batch)).last
        await self.git(require_same_refs, run.repo, run.fingerprint)
        run.fingerprint.pinned.values.clear()  # other processes of gitbatch may write them now
        self.run = replace(run, repo=self.unlocked)
        if holder := read_holder(run.repo.own_dir):
            self._since = holder.since
            self.waiting.enter_context(name_waiting(run.repo.own_dir, holder))
        self.held.close()

    @contextmanager
    def lend(self) -> Iterator[None]:
        """Keeps the lock while a person is asked, as early items run; what they look at is read besides, as without it."""
        run = self.run
        self.run, self.is_lent = replace(run, repo=self.unlocked), True
        try:
            yield
        finally:
            self.run, self.is_lent = run, False
            self.unlocked.close()

    async def take_again(self) -> Result | None:
        """Takes the lock, reports what was recorded elsewhere, and opens the batch as git has it now.

        Returns:
            The end of the run if another one has continued the batch, or ended it; None: the run continues.

        Raises:
            BusyError: another process keeps the lock.
            GitbatchError: the batch cannot continue by what the branch has now.
        """
        await self._take_lock("run", self._tell)
        self._end_waiting()
        repo, before = self.opening.repo, self.run.batch
        batch = next((each for each in all_batches(repo) if each.id == before.id), None)
        if batch is None or batch.ended:
            return self._end_elsewhere(batch)
        from gitbatch.batch.review.elsewhere import read_elsewhere

        elsewhere = read_elsewhere(repo, batch, self._last, self.own)
        if elsewhere.decided:  # before they are reported
            require_genuine_reviews(repo, batch, read_progress(repo, batch))
        for decided in elsewhere.decided:
            self._tell(decided.text)
        if elsewhere.checkpoints:
            oid = elsewhere.checkpoints[-1][:10]
            self._tell(f"another run has continued the batch meanwhile ({oid}): this one ends here")
            return self._make_result(Ending.PAUSED, batch)
        if batch.record != before.record:
            record = batch.record
            self._tell(f"changed elsewhere: for the rest, mode {record.mode} and agent {record.agent}")
        # Limits that were given elsewhere meanwhile are younger than those of this session, which the ledger has.
        settings = replace(self.opening.settings, limits=SpendingLimits())
        self.opening = replace(self.opening, settings=settings)
        state = read_project_state(repo, require_tip(repo, batch.record.target), batch.record.plan)
        # The configuration that this process has accepted still counts, whatever a ref says by now.
        self._open_run(batch, state, self.run.fixed)
        return None

    def _end_elsewhere(self, batch: Batch | None) -> Result:
        """Returns the result of a batch that another process has ended.

        Raises:
            GitbatchError: it ended before it was complete.
        """
        name = self.run.batch.id
        if batch is None or any(
            not self._read_state(batch).is_finished(group) for group in batch.record.groups
        ):
            raise GitbatchError(
                f"batch {name} was ended elsewhere while this run waited",
                "see what it has recorded: gitbatch status; start another: gitbatch run",
            )
        self._tell(f"batch {name} was ended elsewhere while this run waited")
        return self._make_result(Ending.COMPLETE, batch)

    def _make_result(self, ending: Ending, batch: Batch) -> Result:
        state = self._read_state(batch)
        failures = Tally.of_progress(state, 0.0).failures
        return Result(ending, state.succeeded, len(failures), has_ended=batch.ended, failures=failures)

    def _read_state(self, batch: Batch) -> BatchProgress:
        from gitbatch.batch.history.batches import read_any_progress

        return read_any_progress(self.opening.repo, batch)

    def take_for_the_end(self) -> None:
        """Takes the lock if it is free, so that the end of the run is logged."""
        with suppress(GitbatchError):
            self._enter_lock("run", self._tell)
            self._end_waiting()
            self.held.enter_context(self.log.open(self.opening.repo.own_dir, self.run.batch.id))

    async def decide(
        self, choices: "tuple[Choice, ...]", require_start: "StartCheck | None" = None
    ) -> "RecordedReview":
        """Records decisions while the lock is given back, as `gitbatch review` of another process does.

        `require_start`: judges whether the run can continue, as it will be opened again; None: it stops.

        Raises:
            BusyError: another process keeps the lock.
            DecidedElsewhereError: another one has decided about the same items. Nothing has changed.
            GitbatchError: they cannot be recorded as they are. Nothing has changed.
        """
        if self.is_lent:
            return await self._record(choices, None)
        await self._take_lock("review", _say_nothing)
        try:
            return await self._record(choices, require_start)
        finally:
            self.held.close()

    async def _record(
        self, choices: "tuple[Choice, ...]", require_start: "StartCheck | None"
    ) -> "RecordedReview":
        """Records decisions under the lock."""
        from gitbatch.batch.review import deciding, elsewhere, reviewable

        repo = self.opening.repo
        found = await self.git(reviewable.find_reviewable, repo)
        if found.batch.id != self.run.batch.id:
            raise GitbatchError(
                f"batch {self.run.batch.id} is not the last one any more", "see: gitbatch batches"
            )
        clock, is_running = self.opening.settings.clock, self.is_lent
        try:
            made = await self.git(
                deciding.decide_items, repo, found, choices, clock, require_start, is_running=is_running
            )
        except GitbatchError as error:
            if is_running:  # no other process can have decided anything
                raise
            items = frozenset(ItemName(choice.item.group, choice.item.output) for choice in choices)
            found_elsewhere = await self.git(
                elsewhere.read_elsewhere, repo, found.batch, self._last, self.own
            )
            decided = found_elsewhere.about(items)
            if not decided:
                raise
            raise DecidedElsewhereError(f"{error.message} ({'; '.join(decided)})", error.advice) from error
        self.own.add(made.commit)
        return made

    def _end_waiting(self) -> None:
        name_plan(self.unlocked.own_dir, self.run.batch.record.plan_path)
        self.waiting.close()

    def _tell(self, text: str) -> None:
        self.opening.emit(Notice(batch=self.run.batch.id, text=text))

    async def _take_lock(self, verb: str, tell: Callable[[str], None]) -> None:
        """Takes the lock, and waits a short time for another process that has it."""
        waited = 0.0
        while True:
            try:
                return self._enter_lock(verb, tell)
            except BusyError as error:
                if waited >= self.patience:
                    raise
                if not waited:
                    tell(f"{error.message}: waiting for it")
                await asyncio.sleep(_PAUSE)
                waited += _PAUSE

    def _enter_lock(self, verb: str, tell: Callable[[str], None]) -> None:
        self.unlocked.close()  # its git processes may have started in this pause
        locked = self.held.enter_context(repository_lock(self.unlocked, tell, verb, self._since))
        fetching = locked.fetching(tell if self.opening.settings.fetch else None)
        self.opening = replace(self.opening, repo=fetching)


def _say_nothing(_: str) -> None:
    """Reports nothing: the screen of a review is open."""
