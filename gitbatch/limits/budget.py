"""What a batch may spend: reserved before an item starts, charged as it is used, settled when an attempt ends."""

import asyncio
from dataclasses import dataclass, field

from gitbatch.limits.usage import Spent, Usage


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
