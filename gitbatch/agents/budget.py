"""What a batch may spend: reserved before an item starts, charged after each request."""

from dataclasses import dataclass, field

from gitbatch.agents.protocol import Usage


@dataclass(slots=True)
class Budget:
    """Limits, and what was used of them. Used from one event loop."""

    max_cost: float | None = None
    """US dollars; None: no limit."""
    max_tokens: int | None = None
    used: Usage = Usage()
    """By everything so far, failed attempts and earlier starts of the batch too."""
    _reserved: dict[str, float] = field(default_factory=dict, init=False)

    def reserve(self, item: str, cost: float) -> bool:
        """Set US dollars aside for an item; false if there are not as many left."""
        if self.is_reached or (self.max_cost is not None and self._committed() + cost > self.max_cost):
            return False
        self._reserved[item] = cost
        return True

    def charge(self, item: str, usage: Usage) -> None:
        """Note what a request of an item used; it comes off what was set aside for it."""
        self.used += usage
        if item in self._reserved and usage.cost is not None:
            self._reserved[item] = max(0.0, self._reserved[item] - usage.cost)

    def release(self, item: str) -> None:
        """Give back what was set aside for an item and not used."""
        self._reserved.pop(item, None)

    @property
    def is_reached(self) -> bool:
        """Whether no further request may be made."""
        over_cost = self.max_cost is not None and (self.used.cost or 0.0) >= self.max_cost
        return over_cost or (self.max_tokens is not None and self.used.tokens >= self.max_tokens)

    def _committed(self) -> float:
        return (self.used.cost or 0.0) + sum(self._reserved.values())
