"""What attempts used, added up: a value. What may be used is `budget.py`'s."""

from typing import Self

from msgspec import Struct

from gitbatch.text import CleanText


class Usage(Struct, frozen=True):
    """What an agent used, in one or more requests. No requests: it did not say."""

    model: CleanText = CleanText("")
    """The last one; empty: unknown."""
    input: int = 0
    """Tokens that were read anew, those of the cache not included."""
    output: int = 0
    cache_read: int = 0
    cache_write: int = 0
    requests: int = 0
    cost: float | None = None
    """US dollars; None: unknown."""

    @property
    def is_nothing(self) -> bool:
        """Whether nothing is known to have been used."""
        return not (self.requests or self.tokens or self.cost)

    @property
    def tokens(self) -> int:
        """All tokens, read and written."""
        return self.input + self.output + self.cache_read + self.cache_write

    @property
    def is_uncounted(self) -> bool:
        """Whether there were requests, and no server said how many tokens they took."""
        return self.requests > 0 and not self.tokens

    @property
    def cache_hits(self) -> float:
        """How much of all that was read came from the cache, 0 to 1."""
        read = self.input + self.cache_read + self.cache_write
        return self.cache_read / read if read else 0.0

    def __add__(self, other: "Usage") -> "Usage":
        """What both used; the cost is unknown if one of both that made requests does not know it."""
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


FREE = Usage(cost=0.0)
"""What an attempt used that made no request: it is known what that costs."""


def dollars(amount: float) -> str:
    """An amount for people; with parts of a cent where it has some."""
    return f"${amount:.2f}" if round(amount, 2) == round(amount, 4) else f"${amount:.4f}"


class Spent(Struct, frozen=True):
    """What several attempts used: the sum of what is known, and how many did not say what they cost."""

    usage: Usage = Usage()
    """Its cost is the sum of the costs that are known; None if none is."""
    known: int = 0
    """Attempts that said what they cost."""
    unknown: int = 0
    """Attempts that did not."""

    @classmethod
    def of(cls, usage: Usage) -> Self:
        """What one attempt used."""
        said = usage.cost is not None
        return cls(usage, int(said), int(not said))

    def __add__(self, other: "Spent") -> "Spent":
        """What both used."""
        return Spent(self.plus(other.usage).usage, self.known + other.known, self.unknown + other.unknown)

    def plus(self, usage: Usage) -> "Spent":
        """With a request more, of an attempt that goes on."""
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
    def mean(self) -> float:
        """US dollars for an attempt, by those that said; 0 if none did."""
        return (self.usage.cost or 0.0) / self.known if self.known else 0.0

    @property
    def estimate(self) -> float:
        """US dollars, with the mean for each attempt that did not say."""
        return (self.usage.cost or 0.0) + self.unknown * self.mean
