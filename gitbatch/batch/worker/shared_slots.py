"""The slots of a worker that serves several runs at the same time: each gets its share of those that all want.

A run knows the number of slots, and sends as many jobs. If all slots are taken, a job is refused, not kept waiting: the
time that its agent has would pass meanwhile. A slot that becomes free is offered to the run that was refused and has the
fewest.
"""

import asyncio
from dataclasses import dataclass, field
from typing import Protocol

_OFFER = 2.0
"""Seconds for which a slot is kept for the run that it is offered to."""
_REST = 0.25
"""Seconds after which slots that none has asked for are offered to all runs that were refused once."""


class SlotUser(Protocol):
    """A run that is connected."""

    def offer_slots(self, slots: int) -> None:
        """Tells it how many jobs are taken from it now."""
        ...


@dataclass(slots=True)
class _Share:
    """The slots of one run."""

    running: int = 0
    offered: int = 0
    """Those that are kept for it."""
    is_waiting: bool = False
    """Whether it was refused since the last offer."""
    was_refused: bool = False
    """Whether it believes that there are fewer slots than there are."""


@dataclass(slots=True)
class SharedSlots:
    """The slots of a worker. Belongs to one event loop."""

    count: int
    _shares: dict[int, tuple[SlotUser, _Share]] = field(default_factory=dict)
    """By the identity of the run."""
    _rest: asyncio.TimerHandle | None = None

    def take_slot(self, user: SlotUser) -> bool:
        """Takes a slot for a job; false: this run gets none now."""
        share = self._share_of(user)
        if share.offered:
            share.offered -= 1
        elif self._count_free() <= 0:
            share.is_waiting = share.was_refused = True
            return False
        share.running += 1
        return True

    def release_slot(self, user: SlotUser) -> None:
        """Gives a slot back."""
        self._share_of(user).running -= 1
        self._offer_free()

    def count_running(self, user: SlotUser) -> int:
        """Returns the slots that a run has."""
        return self._share_of(user).running

    def leave(self, user: SlotUser) -> None:
        """Drops a run that has no job left, or will have none: its connection has ended."""
        share = self._share_of(user)
        share.offered, share.is_waiting, share.was_refused = 0, False, False
        if not share.running:
            del self._shares[id(user)]
        self._offer_free()

    def _share_of(self, user: SlotUser) -> _Share:
        return self._shares.setdefault(id(user), (user, _Share()))[1]

    def _count_free(self) -> int:
        return self.count - sum(share.running + share.offered for _, share in self._shares.values())

    def _offer_free(self) -> None:
        """Offers each free slot to a run that was refused."""
        while self._count_free() > 0:
            waiting = [pair for pair in self._shares.values() if pair[1].is_waiting]
            if not waiting:
                self._offer_rest_soon()
                return
            user, share = min(waiting, key=lambda pair: pair[1].running + pair[1].offered)
            share.is_waiting = False
            share.offered += 1
            user.offer_slots(share.running + share.offered)
            asyncio.get_running_loop().call_later(_OFFER, self._withdraw_offer, share)

    def _withdraw_offer(self, share: _Share) -> None:
        if share.offered:
            share.offered -= 1
            self._offer_free()

    def _offer_rest_soon(self) -> None:
        if self._rest is None and any(share.was_refused for _, share in self._shares.values()):
            self._rest = asyncio.get_running_loop().call_later(_REST, self._offer_rest)

    def _offer_rest(self) -> None:
        """Tells all runs that were refused of the slots that none has asked for meanwhile."""
        self._rest = None
        free = self._count_free()
        if free <= 0:
            return
        for user, share in tuple(self._shares.values()):
            if share.was_refused:
                share.was_refused = share.running + free < self.count
                user.offer_slots(share.running + free)
