"""The checks before a review whose items run again at once: what would keep that run from starting.

A review is a commit, and the options of the command that makes it are not: if the run refused to start after the commit, the
next one would run without them. So everything that a run refuses for at its start is judged before the review is recorded.
"""

from collections.abc import Callable

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.agents.pool import AgentPool, make_idle_pool
from gitbatch.batch.caller import SessionSettings
from gitbatch.batch.history.decisions import ItemDecision, ItemName
from gitbatch.batch.history.ledger import read_ledger
from gitbatch.batch.history.progress import BatchProgress, FinishedGroup
from gitbatch.batch.history.record import Batch
from gitbatch.batch.history.spending import read_spending, sum_spending
from gitbatch.batch.history.standings import StandingDecision
from gitbatch.batch.history.target import require_tip
from gitbatch.batch.item.stop import out_of_budget
from gitbatch.batch.planning.agents import recorded_agents, require_measurable_limits
from gitbatch.batch.planning.configuration import read_fixed_config
from gitbatch.batch.planning.project_state import ProjectState
from gitbatch.batch.planning.start_checks import Folders, StartChoice, machine_checks
from gitbatch.batch.planning.worktrees_dir import find_worktrees_dir
from gitbatch.batch.preconditions import read_runnable_state, require_resumable
from gitbatch.batch.worktree_choice import choose_worktrees
from gitbatch.errors import GitbatchError
from gitbatch.plan.model import WorkItem
from gitbatch.repo.repository import Repository
from gitbatch.repo.templates.templates import layers_dir


def foresee_progress(state: BatchProgress, decisions: tuple[ItemDecision, ...], review: str) -> BatchProgress:
    """Returns the progress of a batch as a review will leave it. `review`: stands for its commit."""
    return replace(
        state, finished=tuple(_foresee_group(finished, decisions, review) for finished in state.finished)
    )


def _foresee_group(
    finished: FinishedGroup, decisions: tuple[ItemDecision, ...], review: str
) -> FinishedGroup:
    standings = dict(finished.standings)
    keys = {ItemName(item.group, item.output): item.key for item in finished.group.items}
    for decision in decisions:
        if decision.item in keys:
            key = keys[decision.item]
            standings[key] = standings[key].decide(decision, review)
    after = replace(finished, standings=standings)
    failed = tuple(outcome for outcome in finished.failed if outcome.item.key not in after.reopened)
    return replace(after, failed=failed)


def require_continuing(
    repo: Repository, batch: Batch, state: BatchProgress, decisions: tuple[ItemDecision, ...]
) -> None:
    """Refuses what a run that waits for a review would refuse for as it continues; arguments as below.

    Raises:
        GitbatchError: what is in the way in the checkout.
    """
    after = foresee_progress(state, decisions, require_tip(repo, batch.record.target))
    require_resumable(repo, batch, after)


class RerunChecks(Struct, frozen=True):
    """The checks of a run that follows a review at once."""

    settings: SessionSettings
    """Those of the run."""
    can_ask: bool
    """Whether the run can ask about a changed configuration."""
    more: tuple[Callable[[], object], ...] = ()
    """Further checks, of the caller."""
    without_run: str = "--no-run"
    """The option, or the key, by which the same is recorded and nothing runs."""
    has_limits: bool = True
    """Whether the command that records it has `--max-cost`."""

    @property
    def _record_alone(self) -> str:
        return f"nothing was decided. Record it without a run ({self.without_run}), then:"

    def require_start(
        self, repo: Repository, batch: Batch, state: BatchProgress, decisions: tuple[ItemDecision, ...]
    ) -> None:
        """Refuses what the run would refuse for at its start. Moves no ref.

        Args:
            repo: the repository, whose lock is held.
            batch: the batch.
            state: its progress before the review.
            decisions: those of the review.

        Raises:
            GitbatchError: why the run would not start.
        """
        for check in self.more:
            check()
        after = foresee_progress(state, decisions, require_tip(repo, batch.record.target))
        require_resumable(repo, batch, after)
        project_state = read_runnable_state(repo, batch.record, after)
        if not self.can_ask and not self.settings.accept_config:
            _require_same_config(repo, batch, project_state, self._record_alone)
        _require_planned(batch, project_state, decisions)
        pool = make_idle_pool(self.settings.environment)
        _require_machine(repo, batch, project_state, after, (self.settings, pool))
        give_more = "nothing was decided. Give more with --max-cost USD" if self.has_limits else ""
        _require_budget(repo, batch, state, pool, (give_more, self._record_alone))


def _require_machine(
    repo: Repository,
    batch: Batch,
    state: ProjectState,
    after: BatchProgress,
    used: tuple[SessionSettings, AgentPool],
) -> None:
    """Refuses where the agents of the batch cannot work here, or a limit cannot be kept; sets the limits."""
    settings, pool = used
    limits = settings.limits.or_else(read_ledger(repo, batch.id).limits)
    folders = Folders(settings.worktrees, settings.cache_dir)
    choice = StartChoice(_find_items(batch, state, after), batch.record.agent, pool, limits, folders)
    choice = replace(choice, cluster=settings.cluster)
    for check in machine_checks(repo, state, choice):
        check.refuse()
    config, names = state.project.config, recorded_agents(state, batch.record, after.chosen_agents)
    require_measurable_limits(tuple(pool.get_agent(name, config) for name in sorted(names)), limits)
    worktrees = find_worktrees_dir(repo, config, settings.worktrees, settings.cache_dir) / batch.id
    choose_worktrees(settings, state, pool, names, (worktrees, layers_dir(repo, settings.cache_dir)))


def _require_planned(batch: Batch, state: ProjectState, decisions: tuple[ItemDecision, ...]) -> None:
    """Refuses to make items run again that the plan does not have any more. One of an earlier review is cancelled.

    Raises:
        GitbatchError: the message names the first one.
    """
    again = {decision.item for decision in decisions if decision.kind.reopens}
    planned = state.find_items(batch.record)
    for item in batch.record.items:
        if ItemName(item.group, item.output) in again and item.key not in planned:
            raise GitbatchError(
                f"{state.plan.path} does not have {item.name} any more, so it cannot run again",
                "nothing was decided. Put it back into the plan, commit that, and decide again",
            )


def _find_items(batch: Batch, state: ProjectState, after: BatchProgress) -> tuple[WorkItem, ...]:
    """Returns the items that run again, as the plan has them, with the agents that the review chooses."""
    return tuple(
        _with_agent(item, after.reopened[key])
        for key, (_, item) in state.find_items(batch.record).items()
        if key in after.reopened
    )


def _with_agent(item: WorkItem, decided: StandingDecision) -> WorkItem:
    chosen = decided.decision.agent
    return replace(item, hints=replace(item.hints, agent=chosen)) if chosen else item


def _require_same_config(repo: Repository, batch: Batch, state: ProjectState, record_alone: str) -> None:
    """Refuses a changed configuration where the user cannot be asked about it.

    Raises:
        GitbatchError: the message has the first difference.
    """
    change = read_fixed_config(repo, batch, state).find_change(state)
    if change:
        first = next(iter(change.difference), "")
        raise GitbatchError(
            f"gitbatch.toml differs from what the batch was started with: {first}",
            f"{record_alone} gitbatch run --accept-config",
        )


def _require_budget(
    repo: Repository, batch: Batch, state: BatchProgress, pool: AgentPool, advice: tuple[str, str]
) -> None:
    """Refuses to start where the limits, which are set in the budget of the pool, are reached already.

    `advice`: how to give more money, if that is possible here; and how to record the decisions without a run.

    Raises:
        GitbatchError: the message says what is spent.
    """
    budget = pool.budget
    budget.spent = sum_spending(read_spending(repo, batch, state, read_ledger(repo, batch.id)))
    if budget.is_reached:
        halt, (give_more, record_alone) = out_of_budget(budget), advice
        is_cost = budget.max_tokens is None or budget.known_usage.total_tokens < budget.max_tokens
        option = "--max-cost USD" if is_cost else "--max-tokens N"
        alone = f"{record_alone} gitbatch run {option}"
        raise GitbatchError(halt.reason, (give_more if is_cost else "") or alone)
