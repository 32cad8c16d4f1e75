"""The budget of a batch: cost is reserved before an item starts and charged with each request."""

import asyncio
from collections.abc import Callable, Mapping

from msgspec import Struct, field

from gitbatch.limits.usage import Spent, Usage
from gitbatch.plan.model import ItemKey


class Budget(Struct):
    """The limits of a batch and the usage so far. Belongs to one event loop."""

    max_cost: float | None = None
    """US dollars; None: no limit."""
    max_tokens: int | None = None
    spent: Spent = Spent()
    """By all attempts so far, failed ones and those of earlier starts of the batch included."""
    listener: Callable[[ItemKey, Usage], None] = field(default=lambda _, __: None)
    """Called with each charge, before an attempt has ended too."""
    _reserved: dict[ItemKey, float] = field(default_factory=dict)
    _charged: dict[ItemKey, Usage] = field(default_factory=dict)
    """By item: the charges of its current attempt."""
    _kept: dict[ItemKey, float | None] = field(default_factory=dict)
    """The items of the open group that have not ended, with the limit of each; None: it may cost the mean."""
    _early: set[ItemKey] = field(default_factory=set)
    """The items that have reserved only what the open group leaves."""
    _has_refused: bool = False
    """Whether an early item could not reserve, while the present group is open."""
    _given: dict[ItemKey, float | None] = field(default_factory=dict)
    """What items may spend by the word of a run on another machine, which has the budget of the batch."""
    _given_tokens: dict[ItemKey, int | None] = field(default_factory=dict)
    _reports: dict[ItemKey, Callable[[Usage], None] | None] = field(default_factory=dict)
    """By such an item: called with all that it has used so far, at each charge."""
    _freed: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def known_usage(self) -> Usage:
        """The known part of the usage so far."""
        return self.spent.usage

    def reserve_cost(self, item: ItemKey, cost: float) -> bool:
        """Reserves US dollars for an item. Returns false if fewer are left."""
        if self.is_reached or (self.max_cost is not None and self._committed_cost() + cost > self.max_cost):
            return False
        self._reserved[item] = cost
        return True

    def keep_cost(self, items: Mapping[ItemKey, float | None]) -> None:
        """Keeps US dollars for the items of the open group, until each has ended: early items reserve none of it.

        `items`: the most that each may cost; None: the mean.
        """
        self._kept, self._has_refused = dict(items), False

    def end_keeping(self, item: ItemKey) -> None:
        """Keeps nothing more for an item, which has ended."""
        self._kept.pop(item, None)

    def reserve_early_cost(self, item: ItemKey, cost: float) -> bool:
        """Reserves US dollars for an item whose group is not open. Returns false if the open group does not leave them.

        While no cost is known, that is unknown too.
        """
        is_unknown = not self.spent.known and None in self._kept.values()
        if self.max_cost is not None and (is_unknown or self._kept_cost(item) + cost > self.max_cost):
            return False
        self._early.add(item)
        if self.reserve_cost(item, cost):
            return True
        self._early.discard(item)
        return False

    def note_refusal(self) -> bool:
        """Notes that an early item could not reserve. Returns true at the first one since the present group is open."""
        is_first, self._has_refused = not self._has_refused, True
        return is_first

    def begin_job(
        self,
        item: ItemKey,
        left: float | None,
        tokens: int | None = None,
        report: Callable[[Usage], None] | None = None,
    ) -> None:
        """Notes what an item may use that a run on another machine has sent; nothing of it is charged yet.

        Args:
            item: its key.
            left: US dollars; None: no limit.
            tokens: the same of tokens.
            report: called with all that it has used so far, at each charge.
        """
        self._charged.pop(item, None)
        self._given[item], self._given_tokens[item], self._reports[item] = left, tokens, report

    def cost_left_for(self, item: ItemKey) -> float | None:
        """Returns the US dollars that an item may still spend; None: no limit. Other items keep their reservations."""
        if (given := self._given.get(item)) is not None:
            return given - self.charged_cost(item)
        if self.max_cost is None:
            return None
        taken = self._kept_cost(item) if item in self._early else self._committed_cost()
        return self.max_cost - taken + self._reserved.get(item, 0.0)

    def tokens_left_for(self, item: ItemKey) -> int | None:
        """Returns the tokens that an item may still use; None: no limit."""
        if (given := self._given_tokens.get(item)) is not None:
            return given - self.charged_usage(item).total_tokens
        return None if self.max_tokens is None else self.max_tokens - self.known_usage.total_tokens

    async def wait_to_reserve(self, item: ItemKey, cost: float) -> bool:
        """Reserves US dollars, waiting for other items to release theirs. Returns false if that cannot be enough."""
        while not self.reserve_cost(item, cost):
            if self.is_reached or not self._reserved:
                return False
            self._freed.clear()
            await self._freed.wait()
        return True

    def charge_request(self, item: ItemKey, usage: Usage) -> None:
        """Adds the usage of a request of an item; its cost is subtracted from the reservation of the item."""
        self.spent = self.spent.plus_usage(usage)
        self._charged[item] = self._charged.get(item, Usage()) + usage
        if item in self._reserved and usage.cost is not None:
            self._reserved[item] = max(0.0, self._reserved[item] - usage.cost)
        self.listener(item, usage)
        if report := self._reports.get(item):
            report(self._charged[item])

    def close_attempt(self, item: ItemKey, usage: Usage) -> Usage:
        """Ends an attempt and returns its usage.

        Args:
            item: the key of the item.
            usage: the total of the attempt; of it counts what was not charged before.
        """
        charged = self._charged.get(item)
        rest = usage if charged is None else usage.find_rest(charged)
        if charged is None or not rest.is_empty:
            self.charge_request(item, rest)
        whole = self._charged.pop(item)
        attempt = Spent.of_attempt(whole)
        self.spent = Spent(
            self.spent.usage, self.spent.known + attempt.known, self.spent.unknown + attempt.unknown
        )
        return whole

    def charged_usage(self, item: ItemKey) -> Usage:
        """Returns what was charged for the current attempt of an item."""
        return self._charged.get(item, Usage())

    def charged_cost(self, item: ItemKey) -> float:
        """Returns the US dollars that were charged for the current attempt of an item."""
        return self.charged_usage(item).cost or 0.0

    def is_charged(self, item: ItemKey) -> bool:
        """Whether the current attempt of an item has any charges."""
        return item in self._charged

    def release_reservation(self, item: ItemKey) -> None:
        """Releases the unused part of the reservation of an item."""
        self._reserved.pop(item, None)
        self._early.discard(item)
        self._freed.set()

    @property
    def mean_cost(self) -> float:
        """US dollars for an attempt: the mean of those that have ended and whose cost is known; 0 if there are none."""
        running = sum(usage.cost or 0.0 for usage in self._charged.values())
        ended = max(0.0, (self.spent.usage.cost or 0.0) - running)
        return ended / self.spent.known if self.spent.known else 0.0

    def estimate_cost(self, spent: Spent) -> float:
        """Returns the US dollars of some attempts, with the mean for each one of unknown cost."""
        return (spent.usage.cost or 0.0) + spent.unknown * self.mean_cost

    @property
    def is_reached(self) -> bool:
        """Whether a limit is reached, so that no further request may be made."""
        over_cost = self.max_cost is not None and self.estimate_cost(self.spent) >= self.max_cost
        return over_cost or (self.max_tokens is not None and self.known_usage.total_tokens >= self.max_tokens)

    def is_exhausted_for(self, item: ItemKey) -> bool:
        """Whether an item that works may use no more: of a limit, nothing is left but what other items have reserved."""
        cost, tokens = self.cost_left_for(item), self.tokens_left_for(item)
        return self.is_reached or (cost is not None and cost <= 0) or (tokens is not None and tokens <= 0)

    def _committed_cost(self) -> float:
        return self.estimate_cost(self.spent) + sum(self._reserved.values())

    def _kept_cost(self, item: ItemKey) -> float:
        """Returns the US dollars that are spent, reserved, or kept for other items of the open group."""
        return self._committed_cost() + sum(map(self._needed_cost, self._kept.keys() - {item}))

    def _needed_cost(self, item: ItemKey) -> float:
        """Returns the US dollars that an item may need in addition to what it has reserved and used."""
        limit = self._kept[item]
        needed = self.mean_cost if limit is None else limit
        return max(0.0, needed - self._reserved.get(item, 0.0) - self.charged_cost(item))
