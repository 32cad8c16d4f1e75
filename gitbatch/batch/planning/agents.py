"""The agents that a batch's items want: whether they are configured, and whether they report what limits need."""

from collections.abc import Iterable

from gitbatch.agents.pool import AgentPool
from gitbatch.agents.protocol import Agent
from gitbatch.batch.history.ledger import SpendingLimits
from gitbatch.batch.model import Record
from gitbatch.batch.planning.item_problems import agents_by_item, find_agent_problems, require_no_problems
from gitbatch.batch.planning.project_state import ProjectState, ProjectView
from gitbatch.errors import UsageError
from gitbatch.plan.model import ItemKey, WorkItem
from gitbatch.project.check_choice import item_reviewers
from gitbatch.project.config import Config


def require_agents(
    project_state: ProjectState, items: Iterable[WorkItem], default: str, pool: AgentPool
) -> None:
    """Makes the agents of items, so that one that cannot be used is found before the batch starts.

    Raises:
        PlanError: an item wants an agent that is not configured.
        GitbatchError: an agent cannot be used.
    """
    chosen = tuple(items)
    config, plan = project_state.project.config, project_state.plan
    require_no_problems(plan, find_agent_problems(plan, config, chosen, default))
    for agent in sorted(wanted_agents(project_state, chosen, default)):
        pool.get_agent(agent, config)


def require_agents_left(
    project_state: ProjectState, record: Record, failed: frozenset[ItemKey], pool: AgentPool
) -> None:
    """Makes the agents of a batch's open items, so that a configuration without them is not accepted.

    Args:
        project_state: with the configuration.
        record: the batch's.
        failed: the keys of the items that the batch does not run again.
        pool: makes the agents.

    Raises:
        GitbatchError: as `require_agents`.
    """
    found = project_state.find_items(record)
    left = (item for key, (_, item) in found.items() if key not in failed and not item.done)
    require_agents(project_state, left, record.agent, pool)


def wanted_agents(project_state: ProjectView, items: Iterable[WorkItem], default: str) -> frozenset[str]:
    """Returns the names of the agents that items want, and of those that review their outputs."""
    plan, config = project_state.plan, project_state.project.config
    groups = {group.number: group for group in plan.groups}
    found: set[str] = set()
    for item, agent in agents_by_item(plan, items, default):
        found |= {agent, *item_reviewers(config, plan, groups[item.group], item)}
    return frozenset(found)


def recorded_agents(
    project_state: ProjectState, record: Record, chosen: Iterable[str] = ()
) -> frozenset[str]:
    """Returns the names of the configured agents that a batch's items want. `chosen`: further ones, by reviews."""
    found = project_state.find_items(record)
    wanted = wanted_agents(project_state, (item for _, item in found.values()), record.agent)
    return (wanted | frozenset(chosen)) & project_state.project.config.agents.keys()


def set_limits(pool: AgentPool, config: Config, given: SpendingLimits) -> SpendingLimits:
    """Sets and returns what a batch may spend: as given, else as configured."""
    limits = given.or_else(SpendingLimits(config.batch.max_cost, config.batch.max_tokens))
    pool.budget.max_cost, pool.budget.max_tokens = limits.max_cost, limits.max_tokens
    return limits


def require_measurable_limits(agents: tuple[Agent, ...], limits: SpendingLimits) -> None:
    """Refuses a limit that cannot be enforced.

    Raises:
        UsageError: an agent does not report what it uses.
    """
    for agent in agents:
        if limits.max_cost is not None and not agent.knows_cost:
            what, option = "cost", "--max-cost"
        elif limits.max_tokens is not None and not agent.knows_usage:
            what, option = "usage", "--max-tokens"
        else:
            continue
        raise UsageError(
            f"agent {agent.name} does not report its {what}, so {option} cannot be enforced",
            "for a command agent: let it write usage into its reply and set reports-usage = true; "
            "for a model without a known price: set its price; or run without a limit",
        )
