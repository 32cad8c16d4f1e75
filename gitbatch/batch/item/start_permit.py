"""Whether an attempt may start: the batch has not halted, what it may cost is left, and the server may be asked.

It is asked before an attempt, and again where the attempt had to wait for a slot of another machine: by then other items have
used what was left, or the batch halts.
"""

from msgspec import Struct

from gitbatch.batch.events import Notice
from gitbatch.batch.item.judge import sum_spent
from gitbatch.batch.item.run import Run
from gitbatch.batch.item.scheduled import ScheduledItem
from gitbatch.batch.item.stop import out_of_budget
from gitbatch.batch.model import FailedAttempt
from gitbatch.text import clean_text


class ItemPermit(Struct):
    """The permit for the next attempt at an item: a `workplace.protocol.StartPermit`."""

    run: Run
    scheduled: ScheduledItem
    past: tuple[FailedAttempt, ...]
    """The attempts before."""
    waited: float = 0.0
    """Seconds for which the attempt had to wait for a machine: they are not among those of its work."""

    @property
    def is_early(self) -> bool:
        """Whether the item starts before its group: it takes no slot that others wait for."""
        return self.scheduled.is_early

    @property
    def is_given(self) -> bool:
        """Whether the attempt may start now; its cost is reserved again, by what an attempt costs by now."""
        run, key, budget = self.run, self.scheduled.key, self.run.agents.budget
        if run.stop_switch.halt or run.running_agents.has_undecided or run.agents.rate_limit.seconds_left > 0:
            return False
        if self.is_early and not run.running_agents.lets_early_start:
            return False
        budget.release_reservation(key)
        reserve = budget.reserve_early_cost if self.is_early else budget.reserve_cost
        return reserve(key, self._find_cost())

    async def wait_for_start(self) -> float | None:
        """Waits until the attempt may start. Returns the seconds of the wait for the server; None: the batch halts.

        None too: an early item is to start with its group.
        """
        run, scheduled = self.run, self.scheduled
        budget, stop_switch = run.agents.budget, run.stop_switch
        budget.release_reservation(scheduled.key)
        await run.running_agents.wait_for_decisions()
        if stop_switch.halt:
            return None
        if self.is_early:
            if not run.running_agents.lets_early_start:
                return None
            if not budget.reserve_early_cost(scheduled.key, self._find_cost()):
                emit_unaffordable(run, scheduled)
                return None
        elif not await budget.wait_to_reserve(scheduled.key, self._find_cost()):
            stop_switch.trip(out_of_budget(budget))
            return None
        waited = await stop_switch.wait_unless_stopped(run.agents.rate_limit.wait())
        if stop_switch.halt:
            budget.release_reservation(scheduled.key)
            return None
        return waited

    def _find_cost(self) -> float:
        """Returns the US dollars that the attempt may need: what is left of its limit, else what one costs in the mean."""
        run, scheduled = self.run, self.scheduled
        budget = run.agents.budget
        limit = run.agents.get_agent(scheduled.agent, scheduled.project_state.project.config).cost_limit
        if limit is None:
            return budget.mean_cost
        return max(0.0, limit - budget.estimate_cost(sum_spent(self.past)))


def emit_unaffordable(run: Run, scheduled: ScheduledItem) -> None:
    """Says that an early item waits for its group: it must not use up what the open group needs."""
    if run.agents.budget.note_refusal():
        who = f"{scheduled.batch_item.name} starts with its group, and so may others"
        why = "the open group may need what is left of the cost limit"
        text = f"{who}: {'a limit is reached' if run.agents.budget.is_reached else why}"
        run.emit(Notice(batch=run.batch.id, text=clean_text(text)))
