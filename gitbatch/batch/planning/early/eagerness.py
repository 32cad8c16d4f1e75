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
    REQUIRE_APPROVAL = "require-approval"
    """Every group is reviewed and needs a person's decisions before the next one starts, whatever was asked for."""


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
    if needs_approval and pauses_after_each:
        return Eagerness(EagerMode.OFF, EagerReason.REQUIRE_APPROVAL)
    if asked is not None:
        return Eagerness(asked, stops_at_pauses=needs_approval)
    if has_max_cost:
        return Eagerness(EagerMode.OFF, EagerReason.MAX_COST)
    mode = EagerMode.OFF if pauses_after_each else EagerMode.ON
    return Eagerness(mode, EagerReason.CHECKPOINT_MODE, stops_at_pauses=True)
