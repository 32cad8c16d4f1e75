"""Judging the checkpoint of a revision: it records items that reviews below it have made run again, and no others."""

from collections.abc import Mapping

from gitbatch.batch.history.decisions import ItemName
from gitbatch.batch.history.standings import ItemStanding, LineCommit, derive_standings
from gitbatch.batch.history.trailers import Kind
from gitbatch.batch.history.verify.graph import History, Ours
from gitbatch.batch.history.verify.rules import Check, Complaints
from gitbatch.batch.history.verify.trees import format_paths


def judge_revision(history: History, ours: Ours) -> Complaints:
    """Yields the findings about the number and the items of a revision's checkpoint."""
    trailers, parent = ours.trailers, ours.commit.parents[0]
    if parent in history.lines.cut:  # what it follows may be on a part of the line that the clone lacks
        return
    own = [
        other.trailers
        for other in history.checkpoints_of[trailers.batch]
        if other.trailers.group == trailers.group and history.lines.is_on(other.commit.oid, parent)
    ]
    if trailers.position not in {each.position for each in own if not each.revision}:
        yield Check.CHECKPOINT_NUMBER, "is a revision of a checkpoint that is not below it"
    if trailers.revision != 1 + max((each.revision for each in own), default=0):
        yield Check.CHECKPOINT_NUMBER, "its revision does not follow the last one of its group"
    named = (*trailers.succeeded, *(failed.output for failed in trailers.failed))
    standings = read_standings(history, trailers.batch, parent)
    if strays := {output for output in named if not _is_reopened(standings, trailers.group, output)}:
        yield (
            Check.CHECKPOINT_ITEMS,
            f"records {format_paths(strays)} again, which no review below it has made run again",
        )


def read_standings(history: History, batch: str, tip: str) -> Mapping[ItemName, ItemStanding]:
    """Returns how the items of a batch stand at a commit."""
    kinds = {Kind.CHECKPOINT, Kind.REVIEW}
    below = (
        other
        for other in history.ours.values()
        if other.trailers.kind in kinds
        and other.trailers.batch == batch
        and history.lines.is_on(other.commit.oid, tip)
    )
    return derive_standings(LineCommit(o.commit.oid, o.commit.message, o.trailers) for o in below)


def _is_reopened(standings: Mapping[ItemName, ItemStanding], group: int, output: str) -> bool:
    decided = standings.get(ItemName(group, output), ItemStanding()).decided
    return decided is not None and decided.decision.kind.reopens
