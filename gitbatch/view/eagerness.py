"""Whether a run starts items before their group, for people."""

from gitbatch.batch.planning.early.eagerness import EagerMode, EagerReason

_OFF = {
    EagerReason.MAX_COST: "there is a cost limit, and early items may be paid twice (--eager on starts them)",
    EagerReason.REQUIRE_APPROVAL: "review.require-approval: every group waits for the decisions about the one before",
}
"""The reasons that are shown; else it is off as usual, or as asked for."""


def describe_eagerness(mode: str, reason: str, groups: int) -> str:
    """Returns a sentence for the header of a run of some groups; empty if there is nothing to say."""
    if groups < 2:
        return ""
    if mode == EagerMode.OFF:
        return f"early start off: {_OFF[EagerReason(reason)]}" if reason in _OFF else ""
    until = " up to the next pause" if reason == EagerReason.CHECKPOINT_MODE else ""
    paused = ", during reviews too" if mode == EagerMode.WHILE_PAUSED else ""
    return f"early start on{until}{paused}: an item of a later group whose input changes runs again, and is paid twice"
