"""The slots of a worker that serves several runs at the same time: each gets its share of those that all want.

A run knows the number of slots, and sends as many jobs. If all slots are taken, a job is refused, not kept waiting: the
time that its agent has would pass meanwhile. A slot that becomes free is offered to the run that has the fewest of
those that want one.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

_OFFER = 1.0
"""Seconds for which a slot is kept for a run."""


class SlotUser(Protocol):
    """A run that is connected."""

    def offer_slots(self, slots: int) -> None:
        """Tells it how many jobs are taken from it now."""
        ...


@dataclass(slots=True)
class _Share:
    """The slots of one run."""

    running: int = 0
    kept: int = 0
    """Those that are kept for it."""
    limit: int | None = None
    """How many it believes that it may have; None: all, as it was never refused one."""

    @property
    def held(self) -> int:
        """Those that no other run can have."""
        return self.running + self.kept

    @property
    def is_waiting(self) -> bool:
        """Whether it would take one more, as far as is known."""
        return self.limit is not None and self.held >= self.limit


@dataclass(slots=True)
class SharedSlots:
    """The slots of a worker. Belongs to one event loop."""

    count: int
    _shares: dict[int, tuple[SlotUser, _Share]] = field(default_factory=dict)
    """By the identity of the run."""

    def take_slot(self, user: SlotUser) -> bool:
        """Takes a slot for a job; false: this run gets none now."""
        share = self._share_of(user)
        if share.kept:
            share.kept -= 1
        elif self._count_free() <= 0:
            share.limit = share.running
            return False
        share.running += 1
        self._offer_free()
        return True

    def release_slot(self, user: SlotUser) -> None:
        """Gives a slot back. It stays with a run that would have fewer than all that wait: its next job comes at once."""
        share = self._share_of(user)
        share.running -= 1
        waiting = [other.held for _, other in self._shares.values() if other.is_waiting]
        if waiting and min(waiting) > share.held:
            self._keep_for(share)
        self._offer_free()

    def count_running(self, user: SlotUser) -> int:
        """Returns the slots that a run has."""
        return self._share_of(user).running

    def leave(self, user: SlotUser) -> None:
        """Drops a run whose connection has ended, and which has no job left."""
        self._shares.pop(id(user), None)
        self._offer_free()

    def _share_of(self, user: SlotUser) -> _Share:
        return self._shares.setdefault(id(user), (user, _Share()))[1]

    def _count_free(self) -> int:
        return self.count - sum(share.held for _, share in self._shares.values())

    def _offer_free(self) -> None:
        """Offers each free slot to one of the runs that wait: the one that has the fewest."""
        offered: dict[int, tuple[SlotUser, _Share]] = {}
        while self._count_free() > 0:
            waiting = [pair for pair in self._shares.values() if pair[1].is_waiting]
            if not waiting:
                break
            user, share = min(waiting, key=lambda pair: pair[1].held)
            self._keep_for(share)
            share.limit = share.held
            offered[id(user)] = (user, share)
        for user, share in offered.values():
            user.offer_slots(share.held)
            share.limit = None if share.held >= self.count else share.limit

    def _keep_for(self, share: _Share) -> None:
        share.kept += 1
        asyncio.get_running_loop().call_later(_OFFER, self._withdraw_offer, share)

    def _withdraw_offer(self, share: _Share) -> None:
        if share.kept:
            share.kept -= 1
            self._offer_free()
