"""The values of early start: the items of a batch with what each has to wait for, and what starts. Frozen."""

from collections.abc import Mapping
from enum import StrEnum
from functools import cached_property

from msgspec import Struct

from gitbatch.plan.model import ItemReference


class Obstacle(StrEnum):
    """The reason why an item never starts before its group; the values are codes in JSON."""

    NO_CONTEXT = "no-context"
    """It declares no context, so it reads what all groups before it write."""
    WAIT = "wait"
    """It has the hint `wait`."""
    MISSING_INPUT = "missing-input"
    """It reads what an open item writes that does not run: one that failed, or that is not part of the batch."""
    SHARED_FILE = "shared-file"
    """It declares an artifact or the decisions log: what that says is final when the group before it is recorded."""
    SEVERAL_WRITERS = "several-writers"
    """Its base could have a file in two versions, as several items write it one after the other."""
    FIRST_GROUP = "first-group"
    """Its group is the first."""
    BARRIER = "barrier"
    """The group before it has the hint `barrier`."""
    DEFINITION_OF_DONE = "definition-of-done"
    """The group before it can complete the Definition of Done, or a group before that: then nothing more runs."""
    PAUSE = "pause"
    """The batch pauses after the group before it."""


class EarlyItem(Struct, frozen=True):
    """An item that is to run. References name items that are to run too."""

    reference: ItemReference
    group: int
    reads: tuple[ItemReference, ...] = ()
    """The items of earlier groups that write what it reads or revises, or that it names with `after`."""
    waits: tuple[ItemReference, ...] = ()
    """The items of its group that have to end before it starts."""
    obstacle: Obstacle | None = None
    """Why it starts with its group, if that is its own doing."""


class EarlyGroup(Struct, frozen=True):
    """A group with items that are to run."""

    number: int
    at_once: int
    """How many of its items may run at the same time."""
    boundary: Obstacle | None = None
    """Why nothing of a later group starts before this group is recorded."""


class EarlyPlan(Struct, frozen=True, dict=True):
    """The items of a batch that are to run, in the order of the plan, and their groups."""

    items: tuple[EarlyItem, ...]
    groups: tuple[EarlyGroup, ...]

    @cached_property
    def positions(self) -> Mapping[int, int]:
        """Returns the positions of the groups by their numbers."""
        return {group.number: position for position, group in enumerate(self.groups)}

    def find_obstacle(self, item: EarlyItem) -> Obstacle | None:
        """Returns why an item never starts before its group; None: it may."""
        position = self.positions[item.group]
        if position == 0:
            return Obstacle.FIRST_GROUP
        return self.groups[position - 1].boundary or item.obstacle


class EarlyLimits(Struct, frozen=True):
    """The limits that a batch sets to early items."""

    jobs: int
    """How many items may run at the same time."""
    lookahead: int | None = None
    """How many groups behind the open one may start items; 0: none, as without early start; None: all."""


class Start(Struct, frozen=True):
    """An item that starts now."""

    reference: ItemReference
    is_early: bool
    """Whether its group is not open yet."""
    base: tuple[ItemReference, ...] = ()
    """The items whose commits its base has in addition to the branch, in the order of the plan; none: the branch's tip.

    With each of them are those that its own base has: no commit comes into the base without its file.
    """
