"""The verdicts of gates, as a checkpoint records them: `Gitbatch-Gate: NAME pass|skip|red-before TREE[ at HOST]`."""

from enum import StrEnum

from msgspec import Struct

from gitbatch.text import CleanText


class GateState(StrEnum):
    """What a gate said of the tree that a checkpoint records."""

    PASSED = "pass"
    SKIPPED = "skip"
    """It said itself that it does not apply (exit code 77)."""
    RED_BEFORE = "red-before"
    """It is red, and was red on the base of the group too."""


class GateVerdict(Struct, frozen=True):
    """The verdict of a gate on a tree."""

    name: str
    state: GateState
    tree: str
    """The tree of the checkpoint."""
    seconds: float = 0.0
    """The time of all its runs for this checkpoint; 0 if its result was known."""
    runs: int = 0
    note: CleanText = CleanText("")
    """A remark for people: what a red gate said, or that a gate is flaky. It is not in a trailer."""
    host: CleanText = CleanText("")
    """The other machine whose word it is; empty: it ran here."""


def describe_state(state: GateState) -> str:
    """Returns a state in words that people read."""
    return "red before this group already" if state is GateState.RED_BEFORE else str(state)
