"""Running items before their group, in the slots that the open group leaves free (rule F2).

A pool lives as long as the lock is held. For each turn of a group it has an `EagerTurn`, which gives all slots of the run:
first to the items of the group, then to those of later groups. What ends early is judged at once, so that others read it
only if it is current, and again in the turn of its group. Belongs to one event loop.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from dataclasses import field as field_of

from msgspec import Struct, field

from gitbatch.batch.events import Notice
from gitbatch.batch.group.base import BaseBuilder, ItemBase
from gitbatch.batch.group.early_judging import EarlyJudge, set_stale_aside
from gitbatch.batch.group.early_turn import EarlyContext, PlannedTurn, plan_turn, schedule_early
from gitbatch.batch.group.recording import find_gates
from gitbatch.batch.group.scheduled_items import GroupStart, ItemDefaults, find_unwritten_files
from gitbatch.batch.history.progress import BatchProgress
from gitbatch.batch.item.retries import run_item
from gitbatch.batch.item.run import Run
from gitbatch.batch.model import BatchItem, Outcome
from gitbatch.batch.planning.early.eagerness import EagerMode
from gitbatch.batch.planning.early.frontier import Frontier
from gitbatch.batch.planning.early.model import EarlyLimits, Start
from gitbatch.concurrency import find_first_error, shielded
from gitbatch.limits.usage import format_dollars
from gitbatch.plan.model import ItemKey, ItemReference
from gitbatch.text import format_count


@asynccontextmanager
async def open_pool(run: Run) -> AsyncIterator["EarlyPool"]:
    """Yields what runs early items. At the end, those that run are waited for.

    Raises:
        GitbatchError: an early item has ended the run by it, as any item may.
    """
    try:
        async with asyncio.TaskGroup() as tasks:
            pool = EarlyPool(run, tasks)
            yield pool
            await pool.finish_items()
    except ExceptionGroup as several:
        raise find_first_error(several) from several


class EarlyPool(Struct):
    """The items of a run that have started before their group."""

    run: Run
    tasks: asyncio.TaskGroup
    turn: "EagerTurn | None" = None
    barred: set[ItemKey] = field(default_factory=set)
    """The items that were stale, or have failed: they do not start early again in this process."""
    started: dict[ItemKey, tuple[Start, asyncio.Task[Outcome | None]]] = field(default_factory=dict)
    """The early items that have not been taken yet, by key."""
    ended: dict[ItemKey, Outcome | None] = field(default_factory=dict)
    """What came of those that have ended."""
    judging: list[asyncio.Task[None]] = field(default_factory=list)
    """Those that judge items which ended while a turn was planned."""
    bases: dict[tuple[str, tuple[str, ...]], ItemBase] = field(default_factory=dict)
    """See `BaseBuilder`."""
    is_suspended: bool = False
    """Whether none starts for the present."""
    is_paused: bool = False
    """Whether a person is asked, and more of them start meanwhile."""

    @property
    def running(self) -> tuple[ItemKey, ...]:
        """The items that run, or are judged."""
        return tuple(key for key, (_, task) in self.started.items() if not task.done())

    @property
    def _is_busy(self) -> bool:
        return bool(self.running) or not all(task.done() for task in self.judging)

    async def open_turn(
        self, start: GroupStart, defaults: ItemDefaults, progress: BatchProgress
    ) -> "EagerTurn":
        """Plans the turn of a group, which gives the slots from now on."""
        run = self.run
        self.is_suspended = True  # the branch has moved since the turn before
        for key, outcome in tuple(self.ended.items()):
            if key in progress.ready or not (
                outcome and outcome.succeeded
            ):  # their branches say what is done
                self.forget_item(key)
        failed = find_unwritten_files(start)
        judge = EarlyJudge(run.repo, start.project_state, start.planned, failed)
        context = EarlyContext(run.batch.record, progress, run.eagerness, run.jobs, frozenset(self.barred))
        planned = await run.git(plan_turn, judge, start, context)
        self.is_suspended = self.is_paused = False
        run.running_agents.lets_early_start = True
        self.turn = EagerTurn(self, start, defaults, judge, planned)
        self.turn.begin()
        return self.turn

    def forget_item(self, key: ItemKey) -> None:
        """Forgets an item that is taken from its branch, or runs again."""
        self.started.pop(key, None)
        self.ended.pop(key, None)

    def start_item(self, turn: "EagerTurn", start: Start) -> None:
        """Starts an early item."""
        group, item = turn.planned.items[start.reference]
        seen = tuple(turn.find_outcome(reference) for reference in start.base)
        line, commits = turn.start.project_state.commit, self.run.commit_context()
        builder = BaseBuilder(self.run.repo.objects, commits, group, line, turn.judge.reader, self.bases)
        self.started[item.key] = start, self.tasks.create_task(self._run_item(turn, builder, (item, seen)))

    async def _run_item(
        self, turn: "EagerTurn", builder: BaseBuilder, waiting: tuple[BatchItem, tuple[Outcome, ...]]
    ) -> Outcome | None:
        """Returns the outcome of an item; None if it did not start, or the batch halts before it has one."""
        run = self.run
        scheduled = await run.git(schedule_early, turn.judge, turn.start, turn.defaults, builder, waiting)
        outcome = await run_item(run, scheduled) if scheduled else None
        key = waiting[0].key
        self.ended[key] = outcome
        if self.turn:
            await self.turn.note_early_end(key)
        return outcome

    def suspend_items(self) -> bool:
        """Lets no further item start while a person is asked, unless the mode says so.

        Returns:
            Whether early items run meanwhile, so that the lock has to be kept.
        """
        self.is_paused = self.run.eagerness.mode is EagerMode.WHILE_PAUSED
        self.is_suspended = self.is_suspended or not self.is_paused
        self.run.running_agents.lets_early_start = not self.is_suspended
        if self.turn:
            self.turn.give_slots()
        self.run.running_agents.keeps_lock = is_busy = self._is_busy
        return is_busy

    async def finish_items(self) -> None:
        """Lets no further item start, and waits for those that run."""
        self.is_suspended = True
        self.run.running_agents.lets_early_start = self.run.running_agents.keeps_lock = False
        self._announce_running()
        while self._is_busy:
            await asyncio.wait((*(task for _, task in self.started.values()), *self.judging))

    def _announce_running(self) -> None:
        """Says how many items are waited for, and what they have cost so far."""
        if running := self.running:
            known = [self.run.agents.budget.charged_usage(key).cost for key in running]
            cost = sum(each for each in known if each is not None)
            spent = f" ({format_dollars(round(cost, 4))} so far)" if cost else ""
            text = f"{format_count(len(running), 'item')} of later groups must end first{spent}"
            self.run.emit(Notice(batch=self.run.batch.id, text=text))


@dataclass(slots=True)
class EagerTurn:
    """The turn of a group: it gives each slot to the item that starts next."""

    pool: EarlyPool
    start: GroupStart
    defaults: ItemDefaults
    judge: EarlyJudge
    planned: PlannedTurn
    frontier: Frontier = field_of(init=False)
    has_gates: bool = field_of(init=False)
    outcomes: dict[ItemKey, Outcome] = field_of(default_factory=dict)
    """The items that are done and not merged yet, by key."""
    left: set[ItemKey] = field_of(default_factory=set)
    """The items of the group that have not ended."""
    running: set[ItemKey] = field_of(default_factory=set)
    """The items that the frontier counts as running."""
    slots: dict[ItemKey, asyncio.Event] = field_of(default_factory=dict)

    def __post_init__(self) -> None:
        self.has_gates = bool(find_gates(self.start))
        self.frontier = Frontier(self.planned.plan, EarlyLimits(self.pool.run.jobs))
        self.slots = {item.key: asyncio.Event() for item in self.start.items}
        self.left = {k for k in self.slots if k in self.planned.references and k not in self.start.already}

    def begin(self) -> None:
        """Notes what is done and what runs already, and starts what can start."""
        for done in self.planned.done:
            self.frontier.restore_item(done.start, is_done=True)
            self.outcomes[done.outcome.item.key] = done.outcome
        for key, (start, _) in self.pool.started.items():
            reference = self.planned.references.get(key)
            if reference and key not in self.outcomes:
                base = tuple(each for each in start.base if each in self.planned.items)
                self.frontier.resume_item(Start(reference, start.is_early, base))
                self.running.add(key)
        if self.start.group.number in self.planned.plan.positions:
            self.frontier.open_group(self.start.group.number)
        for done in self.planned.done:
            if done.is_current:
                self.frontier.keep_item(done.start.reference)
        for key in tuple(self.running & self.pool.ended.keys()):
            self.pool.judging.append(self.pool.tasks.create_task(self.note_early_end(key)))
        self.give_slots()

    def find_outcome(self, reference: ItemReference) -> Outcome:
        """Returns the outcome of an item that is done."""
        return self.outcomes[self.planned.items[reference][1].key]

    def give_slots(self) -> None:
        """Starts each item that can start now. While nothing may start early, those of later groups wait for their turn.

        When the last item of the group has ended, it is recorded at once, and the next group begins; unless gates run.
        """
        pool = self.pool
        is_ending = not (self.has_gates or pool.is_paused or self.left)
        if pool.turn is not self or is_ending:
            return
        while starts := self.frontier.start_items():
            for start in starts:
                key = self.planned.items[start.reference][1].key
                if not start.is_early:
                    self.running.add(key)
                    self.slots[key].set()
                elif pool.is_suspended or pool.run.stop_switch.halt:
                    self.frontier.end_item(start.reference, is_done=False)
                else:
                    self.running.add(key)
                    pool.start_item(self, start)

    def note_end(self, key: ItemKey, outcome: Outcome | None) -> None:
        """Notes that an item of the group has ended, or is not going to run; starts what can start now."""
        reference = self.planned.references.get(key)
        if reference is None or key in self.outcomes:
            return
        self.left.discard(key)
        is_done = outcome is not None and outcome.succeeded
        if outcome and is_done:
            self.outcomes[key] = outcome
            self.judge.keep(outcome)
        if key in self.running:
            self.running.discard(key)
            self.frontier.end_item(reference, is_done=is_done)
        else:
            self.frontier.restore_item(Start(reference, is_early=False), is_done=is_done)
        self.give_slots()

    async def note_early_end(self, key: ItemKey) -> None:
        """Notes that an early item of a later group has ended: it is read by others only if it is current."""
        if key in self.slots or key not in self.running:
            return
        outcome = self.pool.ended[key]
        is_done = outcome is not None and outcome.succeeded
        is_current = bool(outcome and is_done and not await self._judge(outcome))
        if key not in self.running:
            return
        self.running.discard(key)
        if outcome and is_done:
            self.outcomes[key] = outcome
        elif outcome:
            self.pool.barred.add(key)
        if outcome and is_current:
            self.judge.keep(outcome)
        self.frontier.end_item(self.planned.references[key], is_done=is_done, is_current=is_current)
        self.give_slots()

    async def take_early(self, item: BatchItem) -> Outcome | None:
        """Returns the outcome of an item of the group that has started before it, if it is taken; None: it is to run."""
        pool, key = self.pool, item.key
        if key not in pool.started:
            return None
        outcome = await pool.started[key][1]
        pool.forget_item(key)
        if outcome and outcome.succeeded:
            stale = await pool.run.git(self.judge.judge, outcome)
            if not stale:
                return outcome
            pool.barred.add(key)
            run = pool.run
            ready = {key: outcome}
            _, notices = await shielded(run.git(set_stale_aside, run.repo, run.ledger, ready, {key: stale}))
            for text in notices:
                run.emit(Notice(batch=run.batch.id, text=text))
        if reference := self.planned.references.get(key):
            self.running.discard(key)
            self.frontier.end_item(reference, is_done=False)
            self.frontier.reopen_item(reference)
            self.give_slots()
        return None

    async def _judge(self, outcome: Outcome) -> bool:
        return bool(await self.pool.run.git(self.judge.judge, outcome))
