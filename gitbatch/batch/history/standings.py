"""The standings of the items of a batch: what is decided about each, derived from its commits on the branch's line. Pure.

A decision stands until a later one about the same item, or until a checkpoint that names it: then it has run again.
"""

from collections.abc import Iterable, Mapping

from msgspec import Struct
from msgspec.structs import replace

from gitbatch.batch.history.decisions import DecisionKind, ItemDecision, ItemName
from gitbatch.batch.history.review_message import parse_review_message
from gitbatch.batch.history.trailers import Kind, Trailers, parse_trailers


class StandingDecision(Struct, frozen=True):
    """A decision, and the review that it is part of."""

    decision: ItemDecision
    review: str
    """The commit."""


class LineCommit(Struct, frozen=True):
    """A commit of a batch on the line of the branch."""

    oid: str
    message: str
    trailers: Trailers


class ItemStanding(Struct, frozen=True):
    """How an item stands after checkpoints and reviews."""

    decided: StandingDecision | None = None
    """The decision that stands; None: none does, or it has run again since."""
    brought_by: tuple[str, ...] = ()
    """The checkpoints that brought its output, since its path was last put back."""
    phases: tuple[str, ...] = ("",)
    """For its first run and for each later one: the checkpoint that brought its output; empty: none did."""
    reviews: tuple[str, ...] = ()
    """The reviews that made it run again, one for each phase but the first."""
    sent_back: str = ""
    """What the person said who sent it back, until a run by that has succeeded, or it was taken back."""
    retried: str = ""
    """The same of a retry. The run of a retry that says nothing is by what was said before."""

    @property
    def instruction(self) -> str:
        """Returns what its next run is to do, in the words of the reviews; may be empty."""
        return "\n\n".join(filter(None, (self.sent_back, self.retried)))

    def decide(self, decision: ItemDecision, review: str) -> "ItemStanding":
        """Returns the standing after a decision."""
        decided, kind = StandingDecision(decision, review), decision.kind
        if kind.puts_back:
            return replace(self, decided=decided, brought_by=(), sent_back="", retried="")
        if not kind.reopens:
            return replace(self, decided=decided)
        is_revised = kind is DecisionKind.REVISE
        return replace(
            self,
            decided=decided,
            phases=(*self.phases, ""),
            reviews=(*self.reviews, review),
            sent_back=decision.comment if is_revised else self.sent_back,
            retried="" if is_revised else decision.comment or self.retried,
        )

    def record(self, checkpoint: str, *, is_done: bool) -> "ItemStanding":
        """Returns the standing after a checkpoint that names the item."""
        if not is_done:
            return replace(self, decided=None)
        return replace(
            self,
            decided=None,
            brought_by=(*self.brought_by, checkpoint),
            phases=(*self.phases[:-1], checkpoint),
            sent_back="",
            retried="",
        )


def select_line(batch: str, commits: Iterable[tuple[str, str]]) -> tuple[LineCommit, ...]:
    """Returns the commits of a batch among commits, each an id and a message."""
    read = (LineCommit(oid, message, parse_trailers(message)) for oid, message in commits)
    return tuple(commit for commit in read if commit.trailers.batch == batch)


def derive_standings(line: Iterable[LineCommit]) -> Mapping[ItemName, ItemStanding]:
    """Returns how the items stand that the commits of a batch name, which are given the oldest first."""
    found: dict[ItemName, ItemStanding] = {}
    for commit in line:
        trailers = commit.trailers
        if trailers.kind is Kind.REVIEW:
            for decision in parse_review_message(commit.message):
                found[decision.item] = found.get(decision.item, ItemStanding()).decide(decision, commit.oid)
        elif trailers.kind is Kind.CHECKPOINT:
            named = dict.fromkeys(trailers.succeeded, True)
            named |= {failed.output: False for failed in trailers.failed}
            for output, is_done in named.items():
                item = ItemName(trailers.group, output)
                found[item] = found.get(item, ItemStanding()).record(commit.oid, is_done=is_done)
    return found
