"""The agents that a batch's items want: whether they are configured, and whether they report what limits need."""

from collections.abc import Iterable, Mapping

from gitbatch.agents.pool import AgentPool
from gitbatch.agents.protocol import Agent
from gitbatch.batch.history.ledger import SpendingLimits
from gitbatch.batch.model import Record
from gitbatch.batch.planning.project_state import ProjectState
from gitbatch.batch.planning.schedule import settings_of
from gitbatch.errors import PlanError, UsageError
from gitbatch.plan.model import ItemKey, WorkItem


def require_agents(
    project_state: ProjectState, items: Iterable[WorkItem], default: str, pool: AgentPool
) -> None:
    """Makes the agents of items, so that one that cannot be used is found before the batch starts.

    Raises:
        PlanError: an item wants an agent that is not configured.
        GitbatchError: an agent cannot be used.
    """
    config, plan = project_state.project.config, project_state.plan
    for item, agent in _agents_by_item(project_state, items, default).items():
        if agent not in config.agents:
            known = ", ".join(sorted(config.agents))
            raise PlanError(
                f"{plan.path}:{item.line}: {item.name} wants agent {agent!r}, which is not configured",
                f"use one of gitbatch.toml: {known}" if known else "add it to gitbatch.toml, and commit that",
            )
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


def wanted_agents(project_state: ProjectState, items: Iterable[WorkItem], default: str) -> frozenset[str]:
    """Returns the names of the agents that items want."""
    return frozenset(_agents_by_item(project_state, items, default).values())


def recorded_agents(project_state: ProjectState, record: Record) -> frozenset[str]:
    """Returns the names of the configured agents that a batch's items want."""
    found = project_state.find_items(record)
    wanted = wanted_agents(project_state, (item for _, item in found.values()), record.agent)
    return wanted & project_state.project.config.agents.keys()


def _agents_by_item(
    project_state: ProjectState, items: Iterable[WorkItem], default: str
) -> Mapping[WorkItem, str]:
    plan = project_state.plan
    groups = {group.number: group for group in plan.groups}
    return {item: settings_of(item, groups[item.group], plan).agent or default for item in items}


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
