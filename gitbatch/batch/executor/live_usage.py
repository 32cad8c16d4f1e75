"""What an agent at a worker has used so far, charged to the budget of the batch while it works, as a local one's is.

A worker is believed what it could also say in its result: that is bounded, and never less than before.
"""

from dataclasses import dataclass

from msgspec.structs import replace

from gitbatch.batch.executor.carrier import ChannelError
from gitbatch.limits.budget import Budget
from gitbatch.limits.usage import Usage
from gitbatch.plan.model import ItemKey

MOST_REPORTS = 10_000
"""The reports of one job that are counted, each of which is an event; of further ones those that add a hundredth."""
_LEAST_COST = 0.01
"""US dollars that such a report is measured by, if the job has cost less."""


@dataclass(slots=True)
class LiveUsage:
    """The usage of one job. Belongs to one event loop."""

    budget: Budget
    """That of the batch."""
    item: ItemKey
    known: Usage = Usage()
    """By the last report."""
    _reports: int = 0

    def take_report(self, total: Usage) -> bool:
        """Charges what a worker reports beyond its last report; false: the agent may use no more, and must be stopped.

        The number of requests is left to the result, as `AttemptLimits.charge_usages` leaves it.

        Args:
            total: the usage of the job so far.

        Raises:
            ChannelError: it is less than before.
        """
        _require_growth(self.known, total)
        rest = total.find_rest(self.known)
        if self._reports < MOST_REPORTS or self._adds_much(rest):
            self._reports += 1
            self.known = replace(total, requests=0)
            if rest.total_tokens or rest.cost:
                self.budget.charge_request(self.item, replace(rest, requests=0))
        return not self.budget.is_exhausted_for(self.item)

    def _adds_much(self, rest: Usage) -> bool:
        cost = max(self.known.cost or 0.0, _LEAST_COST)
        return rest.total_tokens * 100 > self.known.total_tokens or (rest.cost or 0.0) * 100 > cost


def _require_growth(before: Usage, now: Usage) -> None:
    counts = ("input", "output", "cache_read", "cache_write")
    is_less = any(getattr(now, name) < getattr(before, name) for name in counts)
    if is_less or (before.cost is not None and (now.cost is None or now.cost < before.cost)):
        raise ChannelError("an agent has used less than before")
