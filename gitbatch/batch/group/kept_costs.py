"""Keeping money for the items of the open group: early items reserve only what these leave (rule F2)."""

from collections.abc import Mapping

from gitbatch.batch.group.scheduled_items import GroupStart
from gitbatch.batch.item.run import Run
from gitbatch.batch.planning.schedule import settings_of
from gitbatch.plan.model import ItemKey


def keep_costs(run: Run, start: GroupStart) -> None:
    """Keeps what the items of a group may cost, if others may start early and there is a limit."""
    budget = run.agents.budget
    if run.eagerness.is_on and budget.max_cost is not None:
        budget.keep_cost(_find_limits(run, start))


def _find_limits(run: Run, start: GroupStart) -> Mapping[ItemKey, float | None]:
    """Returns the most that each item which is to run may cost; None: its agent has no limit."""
    state, found = start.project_state, dict[ItemKey, float | None]()
    config = state.project.config
    for item in start.items:
        if item.key in start.planned and item.key not in start.already:
            group, planned = start.planned[item.key]
            again = start.reopened.get(item.key)
            hinted = settings_of(planned, group, state.plan).agent or run.batch.record.agent
            agent = (again.agent if again else "") or hinted
            found[item.key] = (
                run.agents.get_agent(agent, config).cost_limit if agent in config.agents else None
            )
    return found
