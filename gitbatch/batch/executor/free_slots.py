"""Finding the worker with most room, among any number of them, without looking at each.

A heap has workers by what they are chosen by. A worker that gets room is put in; what has changed meanwhile in the other direction
is noticed when its entry is the first one.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from heapq import heapify, heappop, heappush

from gitbatch.batch.executor.pool_member import PoolMember

_Rank = tuple[int, int, int]
"""How often a worker was lost, its room (negative) and its number: the least is the first to get a job."""
_SPARE = 64


@dataclass(slots=True)
class FreeSlots:
    """The workers that have room. Belongs to one event loop."""

    _heap: list[_Rank] = field(default_factory=list)
    """May have entries that do not count any more."""
    _ranks: dict[int, _Rank] = field(default_factory=dict)
    """By number: the entry that counts."""
    _members: dict[int, PoolMember] = field(default_factory=dict)

    def note_room(self, member: PoolMember) -> None:
        """Notes that a worker may have more room than before."""
        rank = (member.losses, -member.room, member.number)
        if member.room <= 0:
            self._ranks.pop(member.number, None)
        elif self._ranks.get(member.number) != rank:
            self._ranks[member.number], self._members[member.number] = rank, member
            heappush(self._heap, rank)
            if len(self._heap) > 2 * len(self._ranks) + _SPARE:
                self._heap = list(self._ranks.values())
                heapify(self._heap)

    def remove_member(self, member: PoolMember) -> None:
        """Removes a worker that is gone for good."""
        self._ranks.pop(member.number, None)
        self._members.pop(member.number, None)

    def find_best(self, can_take: Callable[[PoolMember], bool]) -> PoolMember | None:
        """Returns the worker that was lost least, and of these has most room, among those that can take a job."""
        skipped: list[_Rank] = []
        try:
            while self._heap:
                rank = self._heap[0]
                if self._ranks.get(rank[2]) != rank:
                    heappop(self._heap)
                    continue
                member = self._members[rank[2]]
                if rank != (member.losses, -member.room, member.number):
                    heappop(self._heap)
                    self.note_room(member)
                elif can_take(member):
                    return member
                else:
                    skipped.append(heappop(self._heap))
            return None
        finally:
            for rank in skipped:
                heappush(self._heap, rank)
