"""What a batch may spend: reserved before an item starts, charged as it is used, settled when an attempt ends."""

import asyncio
from dataclasses import dataclass, field
from typing import Self

from gitbatch.agents.protocol import Usage


@dataclass(frozen=True, slots=True)
class Spent:
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


@dataclass(slots=True)
class Budget:
    """Limits, and what was used of them. Used from one event loop."""

    max_cost: float | None = None
    """US dollars; None: no limit."""
    max_tokens: int | None = None
    spent: Spent = Spent()
    """By everything so far, failed attempts and earlier starts of the batch too."""
    _reserved: dict[str, float] = field(default_factory=dict, init=False)
    _charged: dict[str, Usage] = field(default_factory=dict, init=False)
    """By item: what its attempt has been charged with so far."""
    _freed: asyncio.Event = field(default_factory=asyncio.Event, init=False)

    @property
    def used(self) -> Usage:
        """What is known of what was used."""
        return self.spent.usage

    def reserve(self, item: str, cost: float) -> bool:
        """Set US dollars aside for an item; false if there are not as many left."""
        if self.is_reached or (self.max_cost is not None and self._committed() + cost > self.max_cost):
            return False
        self._reserved[item] = cost
        return True

    async def secure(self, item: str, cost: float) -> bool:
        """Set US dollars aside, waiting for others to give some back; false if that can't be enough."""
        while not self.reserve(item, cost):
            if self.is_reached or not self._reserved:
                return False
            self._freed.clear()
            await self._freed.wait()
        return True

    def charge(self, item: str, usage: Usage) -> None:
        """Note what a request of an item used; it comes off what was set aside for it."""
        self.spent = self.spent.plus(usage)
        self._charged[item] = self._charged.get(item, Usage()) + usage
        if item in self._reserved and usage.cost is not None:
            self._reserved[item] = max(0.0, self._reserved[item] - usage.cost)

    def settle(self, item: str, usage: Usage) -> Usage:
        """End an attempt; returns what it used.

        Args:
            item: whose.
            usage: what the agent says of the whole attempt; it counts if no request was charged before.
        """
        if item not in self._charged:
            self.charge(item, usage)
        whole = self._charged.pop(item)
        said = whole.cost is not None
        self.spent = Spent(self.spent.usage, self.spent.known + said, self.spent.unknown + (not said))
        return whole

    def is_charged(self, item: str) -> bool:
        """Whether the attempt that runs has been charged with anything."""
        return item in self._charged

    def release(self, item: str) -> None:
        """Give back what was set aside for an item and not used."""
        self._reserved.pop(item, None)
        self._freed.set()

    @property
    def is_reached(self) -> bool:
        """Whether no further request may be made."""
        over_cost = self.max_cost is not None and self.spent.estimate >= self.max_cost
        return over_cost or (self.max_tokens is not None and self.used.tokens >= self.max_tokens)

    def _committed(self) -> float:
        return self.spent.estimate + sum(self._reserved.values())
