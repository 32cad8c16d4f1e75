"""Whether a run starts items before their group, for people."""

from gitbatch.batch.events import EarlyWork
from gitbatch.batch.history.effort import format_cost
from gitbatch.batch.planning.early.eagerness import EagerMode, EagerReason
from gitbatch.limits.usage import Usage
from gitbatch.text import format_count

_OFF = {
    EagerReason.MAX_COST: "there is a cost limit, and early items may be paid twice (--eager on starts them)",
    EagerReason.ASKED_FOR_NOTHING: "no item that is left can start before its group (gitbatch plan says why)",
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
    return (
        f"early start on{until}: an item of a later group whose input changes runs again, and is paid twice"
    )


def describe_early_work(early: EarlyWork) -> str:
    """Returns what is done of later groups at a pause and what runs, with its cost; empty if nothing is and does."""
    count = early.done + early.running
    if not count:
        return ""
    parts = (f"{early.done} done" if early.done else "", f"{early.running} running" if early.running else "")
    cost = "" if early.spent.usage == Usage() else f" ({format_cost(early.spent)})"
    return f"{format_count(count, 'item')} of later groups: {', '.join(filter(None, parts))}{cost}"
