"""The tokens and the cost of attempts, as values that can be added. The limits are in `budget.py`."""

from typing import Self

from msgspec import Struct

from gitbatch.text import CleanText


class Usage(Struct, frozen=True):
    """The usage of an agent in one or more requests. No requests: the agent did not report any."""

    model: CleanText = CleanText("")
    """The last model that was used; empty: unknown."""
    input: int = 0
    """Tokens that were read, without those of the cache."""
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    requests: int = 0
    cost: float | None = None
    """US dollars; None: unknown."""

    @property
    def is_empty(self) -> bool:
        """Whether no usage is known."""
        return not (self.requests or self.total_tokens or self.cost)

    @property
    def total_tokens(self) -> int:
        """All tokens, read and written."""
        return self.input + self.output + self.cache_read + self.cache_write

    @property
    def is_uncounted(self) -> bool:
        """Whether there were requests whose tokens no server reported."""
        return self.requests > 0 and not self.total_tokens

    @property
    def cache_hits(self) -> float:
        """The part of all tokens read that came from the cache, 0 to 1."""
        read = self.input + self.cache_read + self.cache_write
        return self.cache_read / read if read else 0.0

    def find_rest(self, charged: "Usage") -> "Usage":
        """Returns what this total has more than was charged already; its cost is unknown if the total's is."""
        return Usage(
            model=self.model,
            input=max(0, self.input - charged.input),
            output=max(0, self.output - charged.output),
            cache_read=max(0, self.cache_read - charged.cache_read),
            cache_write=max(0, self.cache_write - charged.cache_write),
            requests=max(0, self.requests - charged.requests),
            cost=None if self.cost is None else max(0.0, self.cost - (charged.cost or 0.0)),
        )

    def __add__(self, other: "Usage") -> "Usage":
        """Returns the sum of both; its cost is unknown if either made requests of unknown cost."""
        used = [usage for usage in (self, other) if usage.requests or usage.cost is not None]
        costs = [usage.cost for usage in used if usage.cost is not None]
        return Usage(
            model=other.model or self.model,
            input=self.input + other.input,
            output=self.output + other.output,
            cache_read=self.cache_read + other.cache_read,
            cache_write=self.cache_write + other.cache_write,
            requests=self.requests + other.requests,
            cost=sum(costs) if costs and len(costs) == len(used) else None,
        )

    def without(self, part: "Usage") -> "Usage":
        """Returns what is left of a sum without a part of it."""
        return Usage(
            model=self.model,
            input=max(0, self.input - part.input),
            output=max(0, self.output - part.output),
            cache_read=max(0, self.cache_read - part.cache_read),
            cache_write=max(0, self.cache_write - part.cache_write),
            requests=max(0, self.requests - part.requests),
            cost=None if self.cost is None else max(0.0, round(self.cost - (part.cost or 0.0), 6)),
        )


FREE = Usage(cost=0.0)
"""The usage of an attempt that made no request: its cost is known to be 0."""


def take_larger(reported: Usage, counted: Usage) -> Usage:
    """Returns the larger of two counts of the same requests: limits hold by it.

    Args:
        reported: by the agent.
        counted: in the answers that it got; its cost is None if it is not known of all of them.
    """
    if not (counted.requests or counted.total_tokens):
        return reported
    larger = counted if counted.total_tokens > reported.total_tokens else reported
    costs = [usage.cost for usage in (reported, counted) if usage.cost is not None and not usage.is_empty]
    return Usage(
        reported.model or counted.model,
        larger.input,
        larger.output,
        larger.cache_read,
        larger.cache_write,
        max(reported.requests, counted.requests),
        max(costs, default=None),
    )


def format_dollars(amount: float) -> str:
    """Formats an amount for people: with parts of a cent if it has any."""
    return f"${amount:.2f}" if round(amount, 2) == round(amount, 4) else f"${amount:.4f}"


class Spent(Struct, frozen=True):
    """The usage of several attempts: the sum of the known part, and the number of attempts of unknown cost."""

    usage: Usage = Usage()
    """Its cost is the sum of the known costs; None if all are unknown."""
    known: int = 0
    """Attempts of known cost that have used something."""
    unknown: int = 0
    """Attempts of unknown cost."""

    @classmethod
    def of_attempt(cls, usage: Usage) -> Self:
        """Returns the spending of one attempt. One that has used nothing, as it was never sent, is not counted: it says nothing of costs."""
        is_known = usage.cost is not None
        return cls(usage, int(is_known and not usage.is_empty), int(not is_known))

    def __add__(self, other: "Spent") -> "Spent":
        """Returns the sum of both."""
        return Spent(
            self.plus_usage(other.usage).usage, self.known + other.known, self.unknown + other.unknown
        )

    def plus_usage(self, usage: Usage) -> "Spent":
        """Returns the sum with a request of an attempt that has not ended: the attempts are not counted."""
        costs = [cost for cost in (self.usage.cost, usage.cost) if cost is not None]
        both = self.usage + usage
        summed = Usage(
            both.model,
            both.input,
            both.output,
            both.cache_read,
            both.cache_write,
            both.requests,
            sum(costs) if costs else None,
        )
        return Spent(summed, self.known, self.unknown)

    @property
    def mean_cost(self) -> float:
        """US dollars for an attempt: the mean of the known costs; 0 if none is known."""
        return (self.usage.cost or 0.0) / self.known if self.known else 0.0
