"""The limits of one attempt, held by what the proxy counts while the agent's program works.

The program may have its own limits, or none, and may report too little or nothing: the larger of both counts holds.
"""

from collections.abc import Callable
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.limits.budget import Budget
from gitbatch.limits.causes import Cause
from gitbatch.limits.model_prices import find_cost
from gitbatch.limits.usage import Usage, format_dollars
from gitbatch.plan.model import ItemKey

FindCost = Callable[[str, Usage], float | None]


class ReachedLimit(NamedTuple):
    """A limit that is reached, and what is said about it."""

    cause: Cause
    reason: str


class AttemptLimits(Struct, frozen=True):
    """What an attempt may use."""

    budget: Budget
    """That of the batch."""
    item: ItemKey
    cost_limit: float | None = None
    """US dollars for the item, all attempts together; None: no limit."""
    token_limit: int | None = None
    """Tokens for the item, all attempts together; None: no limit."""
    used: Usage = Usage()
    """By the attempts before."""
    find_cost: FindCost = find_cost

    def charge_usages(self, usages: tuple[Usage, ...]) -> None:
        """Charges what was counted since the last charge, so that the items that run at the same time see it.

        The number of requests is left to the end of the attempt: with requests of unknown cost in it, the sum would have
        no cost, also if the program reports one at its end.

        Args:
            usages: the answers of this attempt.
        """
        rest = self.sum_usage(usages, needs_cost=False).find_rest(self.budget.charged_usage(self.item))
        if rest.total_tokens or rest.cost:
            self.budget.charge_request(self.item, replace(rest, requests=0))

    def find_reached(self, usages: tuple[Usage, ...]) -> ReachedLimit | None:
        """Returns the limit that is reached; None: no limit is.

        Args:
            usages: the answers of this attempt.
        """
        if reached := self.find_reached_tokens(sum(usage.total_tokens for usage in usages)):
            return reached
        of_batch = self.budget.cost_left_for(self.item)
        if self.cost_limit is None and of_batch is None:
            return None
        cost = self.sum_cost(usages)[0]
        if self.cost_limit is not None and (self.used.cost or 0.0) + cost >= self.cost_limit:
            return ReachedLimit(
                Cause.LIMIT, f"its limit of {format_dollars(self.cost_limit)} (max-cost) is reached"
            )
        # What a program has reported while it works is charged already, and is a part of what was counted here.
        if of_batch is not None and cost >= of_batch + self.budget.charged_cost(self.item):
            return ReachedLimit(Cause.BUDGET, "the budget of the batch is reached")
        return None

    def find_reached_tokens(self, counted: int) -> ReachedLimit | None:
        """Returns the limit of tokens that is reached; None: none is.

        Args:
            counted: the tokens of this attempt so far.
        """
        if self.token_limit is not None and self.used.total_tokens + counted >= self.token_limit:
            return ReachedLimit(
                Cause.LIMIT, f"its limit of {self.token_limit:,} tokens (max-tokens) is reached"
            )
        uncharged = max(0, counted - self.budget.charged_usage(self.item).total_tokens)
        left, most = self.budget.tokens_left_for(self.item), self.budget.max_tokens
        if left is None or uncharged < left:
            return None
        said = "tokens" if most is None else f"{most} tokens"  # the whole is known where the batch is
        return ReachedLimit(Cause.BUDGET, f"the budget of the batch is reached ({said})")

    def sum_cost(self, usages: tuple[Usage, ...]) -> tuple[float, bool]:
        """Returns the known part of the cost of some answers, and whether that is all of it."""
        costs = [self.find_cost(usage.model, usage) if usage.total_tokens else None for usage in usages]
        known = [cost for cost in costs if cost is not None]
        return sum(known), len(known) == len(costs)

    def sum_usage(self, usages: tuple[Usage, ...], *, needs_cost: bool) -> Usage:
        """Returns the usage of all answers of the attempt; its cost is None if one has an unknown cost.

        Args:
            usages: of the answers.
            needs_cost: whether the cost is to be found: it takes 0.2 s the first time.
        """
        total = sum(usages, Usage())
        has_limit = self.cost_limit is not None or self.budget.cost_left_for(self.item) is not None
        if not usages or not (needs_cost or has_limit):
            return total
        cost, is_whole = self.sum_cost(usages)
        return replace(total, cost=cost if is_whole else None)
