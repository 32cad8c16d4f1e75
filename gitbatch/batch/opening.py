"""Opening a session: the steps from a locked repository to a batch that is ready to run.

Nothing here waits for an agent. Where a step refuses, a new batch has not been started.
"""

# ruff: noqa: PLC0415 - what only some runs need is imported for them: a batch that is resumed, items that start early

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.agents.pool import AgentPool
from gitbatch.agents.process.children import make_room
from gitbatch.batch.caller import Frontend, SessionSettings
from gitbatch.batch.event_stream import EventStream
from gitbatch.batch.events import BatchStopped, ConfigChanged, Notice
from gitbatch.batch.extras.extras import ExtraSources, open_extras
from gitbatch.batch.history.ledger import Ledger, SpendingLimits, read_ledger
from gitbatch.batch.history.progress import BatchProgress, read_progress
from gitbatch.batch.history.record import Batch, rewrite_record
from gitbatch.batch.history.spending import read_spending, sum_spending
from gitbatch.batch.history.target import require_tip
from gitbatch.batch.history.trailers import EARLY_FORMAT
from gitbatch.batch.history.worktree_folders import note_worktrees_dir
from gitbatch.batch.item.run import Run
from gitbatch.batch.item.stop import RunningAgents, StopSwitch
from gitbatch.batch.model import Record
from gitbatch.batch.notices import Notices
from gitbatch.batch.planning.agents import (
    recorded_agents,
    require_agents_left,
    require_measurable_limits,
    set_limits,
)
from gitbatch.batch.planning.configuration import FixedConfig
from gitbatch.batch.planning.early.eagerness import (
    Eagerness,
    choose_eagerness,
    give_up_early,
    read_setting,
)
from gitbatch.batch.planning.failed_items import find_failed_items
from gitbatch.batch.planning.project_state import ProjectState, read_project_state, require_runnable
from gitbatch.batch.planning.risks import add_risks
from gitbatch.batch.planning.selection import select_items
from gitbatch.batch.planning.start import BatchOptions, find_reason_not_to_start, plan_batch
from gitbatch.batch.planning.start import begin_batch as start_batch
from gitbatch.batch.planning.start_checks import Folders, StartChoice
from gitbatch.batch.planning.target import Target, find_target
from gitbatch.batch.planning.tls_files import find_tls_keys
from gitbatch.batch.planning.worktrees_dir import find_worktrees_dir
from gitbatch.batch.remote_agents import send_agents
from gitbatch.batch.workplace.detached_worktrees import DetachedTrees
from gitbatch.batch.workplace.local import LocalWorkplaces
from gitbatch.batch.workplace.supply import open_workplaces
from gitbatch.batch.worktree_choice import (
    begin_choice,
    choose_worktrees,
    find_user_folders,
    open_trial_memory,
)
from gitbatch.checks.command import SIDE_BY_SIDE, CheckTools
from gitbatch.checks.tree import FreshTrees
from gitbatch.concurrency import GitThread
from gitbatch.errors import UsageError
from gitbatch.plan.duration import require_duration
from gitbatch.repo.fingerprint import Fingerprint, require_untouched, take_fingerprint
from gitbatch.repo.refs.names import base_ref, gates_ref, limits_ref, record_ref
from gitbatch.repo.refs.store import config_ref
from gitbatch.repo.repository import Repository
from gitbatch.repo.settings import read_own_config
from gitbatch.repo.templates.templates import layers_dir
from gitbatch.repo.worktrees.agent_git import read_agent_git
from gitbatch.repo.worktrees.checkouts import find_checkouts

HOW_TO_START = "for example: gitbatch run --items all --checkpoint after-each"
ACCEPTED = "accepted: the batch runs with this configuration from now on"


class PlannedBatch(Struct, frozen=True):
    """A batch that could start: all checks have passed."""

    target: Target
    record: Record


class Opening(Struct, frozen=True):
    """The steps from a locked repository to a run."""

    repo: Repository
    settings: SessionSettings
    frontend: Frontend
    agents: AgentPool
    emit: EventStream

    def begin_batch(self) -> Batch | BatchStopped:
        """Checks everything, asks for missing choices and starts a batch, or returns why nothing runs."""
        planned = self.plan_batch(begins=True)
        if isinstance(planned, BatchStopped):
            return planned
        return start_batch(self.repo, planned.target, planned.record)

    def plan_batch(self, *, begins: bool = False) -> PlannedBatch | BatchStopped:
        """Checks everything, asks for missing choices; returns the batch, or why none runs. `begins`: its launcher starts."""
        settings, repo = self.settings, self.repo
        target = find_target(repo, settings.branch)
        state = read_project_state(repo, target.tip, settings.plan)
        config = state.project.config
        repo = _apply_config(repo, state, self.frontend.report_waiting)
        require_runnable(state)
        self.frontend.report_warnings(add_risks(repo, state, followed=target.followed))
        idle = find_reason_not_to_start(state)
        if idle:
            self.emit(idle)
            return idle
        if begins:
            begin_choice(settings, config, self.agents)
            repo.start_writing()
        agent = config.agent_name(settings.agent)
        self._require_answers()
        given = settings.items  # an empty one is refused: a variable that is not set names nothing
        selection = self.frontend.choose_items(state.plan) if given is None else given
        items = select_items(state.plan, selection, lambda: find_failed_items(repo, state))
        if not items:
            raise UsageError(f"--items {selection} names no open item", "see gitbatch plan for what is open")
        mode = settings.checkpoint or self.frontend.choose_mode(len({item.group for item in items}))
        folders = Folders(settings.worktrees, settings.cache_dir)
        choice = StartChoice(items, agent, self.agents, settings.limits, folders, settings.cluster)
        options = BatchOptions(choice, selection, mode, settings.jobs or config.batch.jobs)
        return PlannedBatch(target, plan_batch(repo, target, state, options, settings.clock()))

    def _require_answers(self) -> None:
        """Rule O7: a missing choice is asked for; where no question can be answered, the error names it."""
        given = {"--items": self.settings.items, "--checkpoint": self.settings.checkpoint}
        missing = " and ".join(name for name, value in given.items() if value is None)
        if missing and not self.frontend.can_ask:
            raise UsageError(f"missing {missing}: cannot ask without a terminal", HOW_TO_START)

    def _set_limits(self, state: ProjectState, names: frozenset[str], given: SpendingLimits) -> None:
        """Sets what the batch may spend: as given, else as configured. Refuses a limit that cannot be held."""
        config = state.project.config
        limits = set_limits(self.agents, config, given)
        configured = sorted(names & config.agents.keys())  # a missing agent is another check's error
        require_measurable_limits(tuple(self.agents.get_agent(name, config) for name in configured), limits)

    def continue_batch(self, batch: Batch) -> Batch:
        """Returns the unfinished batch, with what `--continue` changes for the rest of it.

        Raises:
            UsageError: an option says something else than the batch.
            GitbatchError: the rest cannot run by the changed options; nothing has been changed.
        """
        changed, said = self.plan_rest(batch)
        if not said:
            return batch
        self.emit(Notice(batch=batch.id, text=said))
        return rewrite_record(self.repo, batch, changed)

    def plan_rest(self, batch: Batch) -> tuple[Record, str]:
        """Returns what the rest of an unfinished batch runs by, and what of it is changed; changes nothing.

        Raises:
            UsageError: an option says something else than the batch.
            GitbatchError: the rest cannot run by the changed options.
        """
        from gitbatch.batch.planning import continuation

        settings = self.settings
        given = continuation.GivenOptions(
            plan=settings.plan,
            items=settings.items,
            checkpoint=settings.checkpoint,
            agent=settings.agent,
            branch=settings.branch,
        )
        found = continuation.find_differences(self.repo, batch, given)
        can_change = settings.continues and all(each.option in continuation.CHANGEABLE for each in found)
        if not can_change:
            continuation.refuse_differences(batch, found)
        if not found:
            return batch.record, ""
        mode, agent = settings.checkpoint or batch.record.mode, settings.agent or batch.record.agent
        changed = replace(batch.record, mode=str(mode), agent=agent)
        self._require_agents_of(batch, changed)
        said = ", ".join(f"{each.option} {each.given} (was {each.recorded})" for each in found)
        return changed, f"for the rest of the batch: {said}"

    def _require_agents_of(self, batch: Batch, changed: Record) -> None:
        """Refuses an agent that the rest of a batch cannot run by."""
        state = read_project_state(self.repo, require_tip(self.repo, changed.target), changed.plan)
        state.project.config.agent_name(changed.agent)
        require_agents_left(state, changed, read_progress(self.repo, batch).failed_keys, self.agents)
        limits = self.settings.limits.or_else(read_ledger(self.repo, batch.id).limits)
        self._set_limits(state, recorded_agents(state, changed), limits)

    def accept_config(self, batch: Batch, state: ProjectState, fixed: FixedConfig) -> bool:
        """Shows what differs from the accepted configuration. Returns true if the batch may run with it."""
        change = fixed.find_change(state)
        if change is None:
            return True
        self.emit(ConfigChanged(batch=batch.id, difference=change.difference))
        require_agents_left(state, batch.record, read_progress(self.repo, batch).failed_keys, self.agents)
        if not self.settings.accept_config and not (self.frontend.can_ask and self.frontend.accept_config()):
            return False
        fixed.accept_change(self.repo, batch.id, change)
        self.emit(Notice(batch=batch.id, text=ACCEPTED))
        return True

    @contextmanager
    def prepare_run(
        self, batch: Batch, state: ProjectState, fixed: FixedConfig, git: GitThread, notices: Notices
    ) -> Iterator[Run]:
        """Yields what a run of the batch needs, and closes it."""
        settings, repo, config = self.settings, self.repo, state.project.config
        folder = find_worktrees_dir(repo, config, settings.worktrees, settings.cache_dir) / batch.id
        recorded = read_progress(repo, batch)
        names = recorded_agents(state, batch.record, recorded.chosen_agents)
        ledger = self._open_ledger(batch, state, recorded, names)
        batch = self._state_format(batch, eagerness := self._choose_eagerness(batch, state))
        note_worktrees_dir(repo, batch.id, folder)
        fingerprint = take_fingerprint(repo, f"{batch.id}-", _pinned_refs(batch.id))
        wanted = settings.jobs or batch.record.jobs
        watched = _guard_fetches(_apply_config(repo, state, notices), fingerprint, notices)
        checkouts = find_checkouts(repo, settings.environment.get("PATH", ""))
        tools, store = CheckTools(self.agents), layers_dir(repo, settings.cache_dir)
        memory = open_trial_memory(settings)
        kind = choose_worktrees(settings, state, self.agents, names, (folder, store), memory)
        hidden = find_tls_keys(config.executor.tls, settings.environment)
        with (
            closing(read_agent_git(repo, folder, batch.record.target)) as agent_git,
            open_extras(_find_sources(watched, batch, folder, state), git, tools, store, notices) as extras,
            open_workplaces(
                LocalWorkplaces(
                    *(watched, git, folder, agent_git, checkouts.folders, fingerprint, hidden), extras=extras
                ),
                kind.kind,
                find_user_folders(settings, config, memory),
            ) as supply,
        ):
            extras.detached = supply.detached
            programs = _count_programs(state)
            run = Run(
                repo=watched,
                batch=batch,
                jobs=make_room(wanted * programs) // programs or 1,
                worktrees_dir=folder,
                agents=self.agents,
                emit=self.emit,
                clock=settings.clock,
                git=git,
                fingerprint=fingerprint,
                workplaces=supply.workplaces,
                extras=extras,
                worktrees=kind.text,
                checkouts=checkouts,
                trees=FreshTrees(
                    *(watched, git, folder, agent_git, checkouts.folders, fingerprint),
                    *(DetachedTrees(supply.detached, extras), hidden),
                ),
                check_tools=tools,
                stop_switch=StopSwitch(),
                running_agents=RunningAgents(),
                ledger=ledger,
                fixed=fixed,
                eagerness=eagerness,
            )
            if run.jobs < wanted:
                notices(f"the open-file limit allows {run.jobs} agents at a time, not {wanted} (ulimit -n)")
            yield send_agents(run, recorded, config, settings, notices)

    def _choose_eagerness(self, batch: Batch, state: ProjectState) -> Eagerness:
        """Returns whether items start before their group, once the limits of the batch are set."""
        config = state.project.config
        chosen = choose_eagerness(
            self.settings.eager or read_setting(config.batch.eager),
            batch.record.checkpoint_mode,
            has_max_cost=self.agents.budget.max_cost is not None,
            needs_approval=config.review.require_approval,
        )
        if not chosen.is_on:
            return chosen
        if len(batch.record.groups) > 1:
            from gitbatch.batch.group.early_turn import can_start_early

            if can_start_early(state, batch.record):
                return chosen
        return give_up_early(chosen)

    def _state_format(self, batch: Batch, eagerness: Eagerness) -> Batch:
        """Returns the batch, whose commits have a later format from now on if items of it may start early."""
        record = batch.record
        if not (eagerness.is_on and 0 < record.format < EARLY_FORMAT):
            return batch
        return rewrite_record(self.repo, batch, replace(record, format=EARLY_FORMAT))

    def _open_ledger(
        self, batch: Batch, state: ProjectState, recorded: BatchProgress, names: frozenset[str]
    ) -> Ledger:
        """Returns the ledger; sets the budget's limits (the last that were given) and what has been spent."""
        ledger = Ledger.open(self.repo, batch)
        given = self.settings.limits.or_else(ledger.entries.limits)
        self._set_limits(state, names, given)
        ledger.set_limits(given)
        if any(self.agents.get_agent(name, state.project.config).knows_cost for name in names):
            from gitbatch.batch.history.killed_attempts import find_killed_attempts

            for killed in find_killed_attempts(self.repo, batch, recorded, ledger.entries):
                ledger.add_attempt(killed)
        self.agents.budget.spent = sum_spending(read_spending(self.repo, batch, recorded, ledger.entries))
        return ledger


def _pinned_refs(batch: str) -> tuple[str, ...]:
    """Returns the refs of a batch that say what it runs with."""
    return (record_ref(batch), base_ref(batch), config_ref(batch), limits_ref(batch), gates_ref(batch))


def _count_programs(state: ProjectState) -> int:
    """Returns how many programs run for an item at the same time: while it is checked, its agent has ended."""
    return min(SIDE_BY_SIDE, max(1, len(state.project.config.checks)))


def _find_sources(repo: Repository, batch: Batch, folder: Path, state: ProjectState) -> ExtraSources:
    return ExtraSources(repo, batch.id, batch.base, folder, state.project.config.batch, state.guarded)


def _apply_config(repo: Repository, state: ProjectState, tell: Callable[[str], None]) -> Repository:
    """Returns the repository, which fetches and waits for a signature as the configuration says."""
    table = state.project.config.batch
    repo.objects.wait_for_signer(require_duration(table.sign_timeout), tell)
    return repo if table.fetch else repo.fetching(None)


def _guard_fetches(repo: Repository, fingerprint: Fingerprint, notices: Notices) -> Repository:
    """Returns the repository, which fetches with the present configuration until a control file changes."""
    if repo.promised is None or repo.promised.before is None:
        return repo
    config = read_own_config(repo.git, repo.promised.environment)

    def before_fetch(text: str) -> None:
        require_untouched(repo, fingerprint)
        notices(text)

    return repo.fetching(before_fetch, config)
