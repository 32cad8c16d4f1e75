"""What attempts used, added up: a value. What may be used is `budget.py`'s."""

from typing import Self

from msgspec import Struct

from gitbatch.agents.protocol import Usage


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
