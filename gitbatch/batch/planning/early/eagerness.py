"""Whether a run starts items before their group, and why not. Pure."""

from enum import StrEnum

from msgspec import Struct

from gitbatch.batch.model import CheckpointMode


class EagerMode(StrEnum):
    """When items start before their group (rule F2)."""

    OFF = "off"
    ON = "on"
    """While an earlier group runs. Those that run when a review begins continue; none starts while it lasts."""
    WHILE_PAUSED = "while-paused"
    """During reviews too."""


class EagerReason(StrEnum):
    """Why a run has the mode that it has; the values are codes in JSON."""

    ASKED = "asked"
    """The user has chosen it."""
    CHECKPOINT_MODE = "checkpoint-mode"
    """The default: on, up to the next pause, unless every group is reviewed."""
    MAX_COST = "max-cost"
    """A cost limit is set: early items may be paid twice, so they are asked for."""
    NOTHING = "nothing-can-start"
    """No item that is left can start before its group, by the plan: most often, none declares its context."""
    ASKED_FOR_NOTHING = "asked-nothing-can-start"
    """The same, although early start was asked for."""
    REQUIRE_APPROVAL = "require-approval"
    """Early start was asked for, but a person has to decide about every group before the next one starts."""


class Eagerness(Struct, frozen=True):
    """Whether the items of a run start before their group."""

    mode: EagerMode = EagerMode.OFF
    reason: EagerReason = EagerReason.ASKED
    stops_at_pauses: bool = False
    """Whether nothing starts before a pause that is between it and the open group."""

    @property
    def is_on(self) -> bool:
        """Whether any item may start early."""
        return self.mode is not EagerMode.OFF


def read_setting(setting: str) -> EagerMode | None:
    """Returns the mode that the configuration names; None: `auto`."""
    return None if setting == "auto" else EagerMode(setting)


def choose_eagerness(
    asked: EagerMode | None, checkpoint: CheckpointMode, *, has_max_cost: bool, needs_approval: bool
) -> Eagerness:
    """Returns whether a run starts items early.

    Args:
        asked: the mode that the command line or the configuration names; None: the default.
        checkpoint: when the batch pauses.
        has_max_cost: whether the batch has a cost limit.
        needs_approval: whether a batch continues after a pause only when every item is decided.
    """
    pauses_after_each = checkpoint.pauses_after(1)
    if asked is not None:
        if needs_approval and pauses_after_each and asked is not EagerMode.OFF:
            return Eagerness(EagerMode.OFF, EagerReason.REQUIRE_APPROVAL)
        return Eagerness(asked, stops_at_pauses=needs_approval)
    if pauses_after_each:
        return Eagerness(EagerMode.OFF, EagerReason.CHECKPOINT_MODE, stops_at_pauses=True)
    if has_max_cost:
        return Eagerness(EagerMode.OFF, EagerReason.MAX_COST)
    return Eagerness(EagerMode.ON, EagerReason.CHECKPOINT_MODE, stops_at_pauses=True)


def give_up_early(chosen: Eagerness) -> Eagerness:
    """Returns what a run has instead of a choice by which no item can start early."""
    was_asked = chosen.reason is EagerReason.ASKED
    return Eagerness(EagerMode.OFF, EagerReason.ASKED_FOR_NOTHING if was_asked else EagerReason.NOTHING)
