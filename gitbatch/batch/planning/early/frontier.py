"""The core of early start: which items start now, and from what. Pure: it is given what happens, and answers.

An item of the open group starts when those that it waits for have ended. An item of a later group starts early, in a slot
that the open group leaves free, when all that it reads is final: recorded, or done on its item's branch and written from
what is there now. The open group comes first, then the longest chain of items that read each other, then the order of the
plan. A choice costs no more with more items, but for a logarithm.
"""

from collections.abc import Iterator
from enum import Enum
from heapq import heappop, heappush

from msgspec import Struct

from gitbatch.batch.planning.early.heights import measure_heights
from gitbatch.batch.planning.early.model import EarlyItem, EarlyLimits, EarlyPlan, Start
from gitbatch.plan.model import ItemReference

_Entry = tuple[int, int, ItemReference]
"""The negative height of an item, its place in the plan, and its name: the smallest starts first."""


class _Standing(Enum):
    WAITING = 1
    RUNNING = 2
    DONE = 3
    FAILED = 4
    RECORDED = 5


class _TrackedItem(Struct):
    """The state of an item."""

    item: EarlyItem
    position: int
    """That of its group."""
    place: int
    """Its place in the plan."""
    height: int
    may_be_early: bool
    before_turn: int
    """How many items have to end before it starts in its group's turn."""
    before_early: int
    """How many items have to be final before it starts early."""
    standing: _Standing = _Standing.WAITING
    is_final: bool = False
    """Whether its output is there, and was written from what is there."""
    version: int = 0
    """How often it has ended."""
    start: Start | None = None
    """The last one."""
    started_from: tuple[int, ...] = ()
    """The versions of what it reads and waits for at that time."""

    @property
    def inputs(self) -> tuple[ItemReference, ...]:
        """Returns the items that have to be final before it starts early."""
        return (*self.item.reads, *self.item.waits)


class Frontier:
    """The items that can start next, kept up to date event by event. The groups open in the order of the plan."""

    def __init__(self, plan: EarlyPlan, limits: EarlyLimits) -> None:
        self._plan, self._limits = plan, limits
        heights = measure_heights(plan, limits)
        self._nodes = {
            item.reference: _TrackedItem(
                item,
                plan.positions[item.group],
                place,
                heights[item.reference],
                plan.find_obstacle(item) is None,
                len(item.waits),
                len(item.reads) + len(item.waits),
            )
            for place, item in enumerate(plan.items)
        }
        self._behind: dict[ItemReference, list[_TrackedItem]] = {reference: [] for reference in self._nodes}
        self._of_groups: list[list[_TrackedItem]] = [[] for _ in plan.groups]
        self._ready: dict[int, list[_Entry]] = {}
        self._running = [0] * len(plan.groups)
        self._busy = 0
        self._turn: dict[ItemReference, _TrackedItem] = {}
        """The items whose turn has come and that are not recorded, nor reported as failed."""
        self._open = self._last = -1
        for node in self._nodes.values():
            self._of_groups[node.position].append(node)
            for other in node.inputs:
                self._behind[other].append(node)
            self._offer(node)

    def restore_item(self, start: Start, *, is_done: bool) -> None:
        """Notes that an item which started in an earlier process is done, or has failed.

        What it wrote is not read before `keep_item` says that it is what it was written from.
        """
        node = self._nodes[start.reference]
        node.standing, node.start = _Standing.DONE if is_done else _Standing.FAILED, start
        self._count_end(node)

    def resume_item(self, start: Start) -> None:
        """Notes that an item which started in an earlier turn still runs."""
        node = self._nodes[start.reference]
        node.standing, node.start, node.started_from = _Standing.RUNNING, start, self._read_versions(node)
        self._running[node.position] += 1
        self._busy += 1

    def open_group(self, number: int) -> tuple[ItemReference, ...]:
        """Opens a group, whose turn it is; all groups before it are recorded.

        Returns:
            Its items that are done already, in the order of the plan: whether they are stale is to be judged.
        """
        self._open = self._plan.positions[number]
        self._last = self._find_last()
        for node in self._of_groups[self._open]:
            self._turn[node.item.reference] = node
            self._offer(node)
        return self._list_turn(_Standing.DONE)

    def start_items(self) -> tuple[Start, ...]:
        """Returns the items that start now, in order; they count as running."""
        starts: list[Start] = []
        while self._busy < self._limits.jobs and (node := self._choose_node()):
            node.standing = _Standing.RUNNING
            node.start = Start(node.item.reference, node.position > self._open, self._find_base(node))
            node.started_from = self._read_versions(node)
            self._running[node.position] += 1
            self._busy += 1
            starts.append(node.start)
        return tuple(starts)

    def end_item(self, reference: ItemReference, *, is_done: bool, is_current: bool = True) -> None:
        """Notes that a running item has ended: it is done on its branch, or it has failed.

        `is_current`: whether what it was written from is what is there, as far as that was judged.
        """
        node = self._nodes[reference]
        self._running[node.position] -= 1
        self._busy -= 1
        node.standing = _Standing.DONE if is_done else _Standing.FAILED
        self._count_end(node)
        is_fresh = node.started_from == self._read_versions(node)
        if (
            is_done
            and is_current
            and is_fresh
            and not (node.start and node.start.is_early and node.before_early)
        ):
            self._make_final(node)

    def keep_item(self, reference: ItemReference) -> None:
        """Notes that a done item was judged and is taken as it is."""
        self._make_final(self._nodes[reference])

    def reopen_item(self, reference: ItemReference) -> tuple[ItemReference, ...]:
        """Notes that an item which has ended runs again: it is stale, or was sent back by a review.

        Returns:
            The items that run again, in no order: if its commit is given up, also those whose base has it.
        """
        found = [self._nodes[reference]]
        if found[0].standing is _Standing.DONE:
            found += self._find_standing_on(found[0])
        for node in found:
            self._withdraw_output(node)
            node.standing = _Standing.WAITING
            for other in self._waiting_for(node):
                other.before_turn += 1
        for node in found:
            if node.position <= self._open:
                self._turn[node.item.reference] = node
            self._offer(node)
        return tuple(node.item.reference for node in found)

    def discard_output(self, reference: ItemReference) -> tuple[ItemReference, ...]:
        """Notes that what a done item wrote does not count and is not written again: a conflict, or it was rejected.

        Returns:
            The items that run again: if it was not recorded, those whose base has its commit.
        """
        node = self._nodes[reference]
        lost = self._find_standing_on(node) if node.standing is _Standing.DONE else []
        self._withdraw_output(node)
        node.standing = _Standing.FAILED
        again = (self.reopen_item(other.item.reference) for other in lost if other.standing is _Standing.DONE)
        return tuple(each for references in again for each in references)

    def record_group(self) -> None:
        """Notes that the open group is recorded, with what a review sent back: what done items wrote is on the branch."""
        for node in self._turn.values():
            if node.standing is _Standing.DONE:
                node.standing = _Standing.RECORDED
                self._make_final(node)
        self._turn.clear()

    def list_unended(self) -> tuple[ItemReference, ...]:
        """Returns the items that have not ended, of the open group or sent back by a review, in the order of the plan."""
        return self._list_turn(_Standing.WAITING, _Standing.RUNNING)

    def _list_turn(self, *standings: _Standing) -> tuple[ItemReference, ...]:
        found = (node for node in self._turn.values() if node.standing in standings)
        return tuple(node.item.reference for node in sorted(found, key=lambda node: node.place))

    def _count_end(self, node: _TrackedItem) -> None:
        node.version += 1
        for other in self._waiting_for(node):
            other.before_turn -= 1
            self._offer(other)

    def _waiting_for(self, node: _TrackedItem) -> Iterator[_TrackedItem]:
        """Yields the items of the same group that wait for an item."""
        return (other for other in self._behind[node.item.reference] if other.position == node.position)

    def _make_final(self, node: _TrackedItem) -> None:
        if not node.is_final:
            node.is_final = True
            for other in self._behind[node.item.reference]:
                other.before_early -= 1
                self._offer(other)

    def _withdraw_output(self, node: _TrackedItem) -> None:
        """Notes that the output of an item is not final, nor what was written from it and is not recorded."""
        to_do = [node]
        while to_do:
            each = to_do.pop()
            if each.is_final:
                each.is_final = False
                for other in self._behind[each.item.reference]:
                    other.before_early += 1
                    if other.standing is _Standing.DONE:
                        to_do.append(other)

    def _find_standing_on(self, node: _TrackedItem) -> list[_TrackedItem]:
        """Returns the done items whose base has the commit of an item."""
        reference, found = node.item.reference, dict[ItemReference, _TrackedItem]()
        to_do = [node]
        while to_do:
            for other in self._behind[to_do.pop().item.reference]:
                is_on_it = other.start and reference in other.start.base
                if is_on_it and other.standing is _Standing.DONE and other.item.reference not in found:
                    found[other.item.reference] = other
                    to_do.append(other)
        return list(found.values())

    def _offer(self, node: _TrackedItem) -> None:
        """Puts an item among those of its group that can start, if it can."""
        if self._can_start(node):
            entry = (-node.height, node.place, node.item.reference)
            heappush(self._ready.setdefault(node.position, []), entry)

    def _can_start(self, node: _TrackedItem) -> bool:
        if node.standing is not _Standing.WAITING:
            return False
        if node.position <= self._open:
            return not node.before_turn
        return node.may_be_early and not node.before_early

    def _choose_node(self) -> _TrackedItem | None:
        """Takes the next item: of a group whose turn has come, else the first of those that can start early."""
        now = [position for position in self._ready if position <= self._open]
        if now and (node := self._take_first(now)):
            return node
        return self._take_first([at for at in self._ready if self._open < at <= self._last])

    def _take_first(self, positions: list[int]) -> _TrackedItem | None:
        found = [(entry, position) for position in positions if (entry := self._peek(position))]
        return self._nodes[heappop(self._ready[min(found)[1]])[2]] if found else None

    def _peek(self, position: int) -> _Entry | None:
        """Returns the entry of the item of a group that starts next, if the group has room."""
        if self._running[position] >= self._plan.groups[position].at_once:
            return None
        entries = self._ready[position]
        while entries and not self._can_start(self._nodes[entries[0][2]]):
            heappop(entries)
        if entries:
            return entries[0]
        del self._ready[position]
        return None

    def _find_last(self) -> int:
        """Returns the position of the last group whose items may start now."""
        groups, ahead = self._plan.groups, self._limits.lookahead
        most = len(groups) - 1 if ahead is None else min(len(groups) - 1, self._open + ahead)
        return next((at for at in range(self._open, most) if groups[at].boundary), most)

    def _read_versions(self, node: _TrackedItem) -> tuple[int, ...]:
        return tuple(self._nodes[other].version for other in node.inputs)

    def _find_base(self, node: _TrackedItem) -> tuple[ItemReference, ...]:
        """Returns the done items whose commits an item's base has, in the order of the plan."""
        found: dict[ItemReference, _TrackedItem] = {}
        to_do = [node]
        while to_do:
            for other in map(self._nodes.__getitem__, to_do.pop().inputs):
                if other.standing is _Standing.DONE and other.item.reference not in found:
                    found[other.item.reference] = other
                    to_do.append(other)
        return tuple(each.item.reference for each in sorted(found.values(), key=lambda each: each.place))
