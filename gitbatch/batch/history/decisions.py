"""The decisions of a person about items, as a review states them: `Gitbatch-Review: approve|revise|… KEY BLOB`.

An agent's own "decisions" (`Gitbatch-Decision`) are something else, and are never read as a person's.
"""

from enum import StrEnum
from typing import NamedTuple

from msgspec import Struct

from gitbatch.paths import quote_for_message, unquote_path
from gitbatch.patterns import compile_later
from gitbatch.plan.hints import AGENT
from gitbatch.text import clean_lines, neutralise_forge_commands

LONGEST_COMMENT = 20_000
"""Characters of a comment, each line break counted as one."""
_NOTHING = "-"
"""Stands for the blob where the item's path has no file."""
_FORM = compile_later(r"(\w+) ([1-9][0-9]{0,5}) (.+) (-|[0-9a-f]{40}(?:[0-9a-f]{24})?)")
_AGENT_FORM = compile_later(rf"([1-9][0-9]{{0,5}}) (.+) ({AGENT.pattern})")


class DecisionKind(StrEnum):
    """What a person decides about an item."""

    APPROVE = "approve"
    """Looked at, and good as it is."""
    REVISE = "revise"
    """Sent back: it runs again on top of its own output, with a comment."""
    REJECT = "reject"
    """The path is put back to what it was before the item, which does not run again in this batch."""
    RETRY = "retry"
    """An item that did not succeed, or was rejected, runs again."""
    UNDO = "undo"
    """The path is put back as with `reject`, later than at the review."""

    @property
    def reopens(self) -> bool:
        """Whether the item runs again."""
        return self in {DecisionKind.REVISE, DecisionKind.RETRY}

    @property
    def puts_back(self) -> bool:
        """Whether the item's path is put back to what it was before the item."""
        return self in {DecisionKind.REJECT, DecisionKind.UNDO}

    @property
    def word(self) -> str:
        """The decision as people read it: what the item is now."""
        return _WORDS[self]


_WORDS = {
    DecisionKind.APPROVE: "approved",
    DecisionKind.REVISE: "sent back",
    DecisionKind.REJECT: "rejected",
    DecisionKind.RETRY: "retried",
    DecisionKind.UNDO: "undone",
}


class ItemName(NamedTuple):
    """What an item is known by in a history: the number of its group, and its output."""

    group: int
    output: str

    def __str__(self) -> str:
        return f"{self.group} {quote_for_message(self.output)}"


class ItemDecision(Struct, frozen=True):
    """The decision of a person about an item."""

    kind: DecisionKind
    item: ItemName
    blob: str | None
    """The blob at the item's path that the person saw; None: no file was there."""
    comment: str = ""
    """Of the person, for the agent or for the record, as `clean_comment` gives it; may have several lines."""
    agent: str = ""
    """The agent of the next run, if the item runs again; empty: the one that the plan or the batch names."""


def clean_comment(text: str) -> str:
    """Returns a comment as a commit keeps it; idempotent. Its words are an instruction, but no order to a forge."""
    return neutralise_forge_commands(clean_lines(text, LONGEST_COMMENT))


def render_decision(decision: ItemDecision) -> str:
    """Returns the value of the trailer of a decision. The comment is not part of it."""
    return f"{decision.kind} {decision.item} {decision.blob or _NOTHING}"


def parse_decision(value: str) -> ItemDecision | None:
    """Returns the decision that a trailer states, without its comment; None if it is not written as we write it."""
    found = _FORM.fullmatch(value)
    if found is None or found[1] not in set(DecisionKind):
        return None
    item = ItemName(int(found[2]), unquote_path(found[3]))
    blob = None if found[4] == _NOTHING else found[4]
    decision = ItemDecision(DecisionKind(found[1]), item, blob)
    return decision if item.output and render_decision(decision) == value else None


class ChosenAgent(NamedTuple):
    """The agent of an item's next run, as a review states it: `Gitbatch-Review-Agent: KEY AGENT`."""

    item: ItemName
    agent: str


def render_chosen_agent(decision: ItemDecision) -> str:
    """Returns the value of the trailer for the agent of a decision; empty if it names none."""
    return f"{decision.item} {decision.agent}" if decision.agent else ""


def parse_chosen_agent(value: str) -> ChosenAgent | None:
    """Returns the agent that a trailer states for an item; None if it is not written as we write it."""
    found = _AGENT_FORM.fullmatch(value)
    chosen = ChosenAgent(ItemName(int(found[1]), unquote_path(found[2])), found[3]) if found else None
    return chosen if chosen and chosen.item.output and f"{chosen.item} {chosen.agent}" == value else None
